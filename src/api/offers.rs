//! Offers and exchanges: amounts that are fixed for a minute, until somebody agrees.

use super::call::{Caller, Whom, service};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{json, min_seq};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{self, ExchangeTerms, Name, OfferState, OfferTerms, Principal, Record};
use crate::payments::{AgreeExchange, CancelOffer, MakeOffer};
use crate::types::{ExchangeId, Hash, OfferId, Time};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Make an offer
///
/// Fixes all amounts of an exchange or of a bill for 60 seconds, at the prices in force now. An exchange is asked for by
/// the key of the account whose points are given up, which are held meanwhile; at most three are open. A bill is offered
/// by a till, with the split by unit that it proposes. With `dry_run=true` it is a quote: nothing is held or written.
#[utoipa::path(post, path = "/v1/offers", tag = "offers", operation_id = "makeOffer",
    request_body = MakeOffer,
    responses((status = 201, description = "Done: the entry that was made, with the offer and its hash.", body = Done)))]
pub async fn make(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Cancel an offer
///
/// What it held is free again. Signed by the account's key, or by a till of the brand: by whoever's offer it is.
#[utoipa::path(post, path = "/v1/offers/cancellations", tag = "offers", operation_id = "cancelOffer",
    request_body = CancelOffer,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn cancel(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Exchange points
///
/// Agrees to an offer by its hash: points of one unit become points of another, in one entry, exactly as offered.
/// Signed by the key of the account that gives points up, approved by the key of the account that gets the others: two
/// statements (`command+jwt`, `approval+jwt`). A bill is agreed to in `POST /v1/payments`.
#[utoipa::path(post, path = "/v1/exchanges", tag = "offers", operation_id = "exchange",
    request_body = AgreeExchange,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn exchange(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// An offer.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Offer {
    /// Its id.
    offer: OfferId,
    /// What a consent to it repeats.
    hash: Hash,
    /// What is offered.
    terms: OfferTerms,
    /// First instant at which it can no longer be agreed to.
    until: Time,
    /// What became of it.
    state: OfferState,
    /// Whether it can be agreed to.
    open: bool,
}

/// Proof that somebody was shown an offer.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Knows {
    /// The offer's hash: who knows it, from the shop's link or code, may see a bill that is offered.
    hash: Option<Hash>,
}

impl Service {
    /// A record, once the entry that is named by its id can be read.
    async fn made(
        self: &Arc<Self>,
        request: &HttpRequest,
        seq: u64,
        name: Name,
    ) -> Result<(Option<u64>, Option<Arc<Record>>), Problem> {
        let own = Some(seq).filter(|seq| *seq < self.engine().progress().committed);
        self.wait_for(min_seq(request.headers())?.max(own)).await?;
        // Read before the record: what is shown is this entry or a later one, never an earlier.
        let seq = self.engine().progress().state.checked_sub(1);
        let service = self.clone();
        let found = web::block(move || service.record(&name));
        Ok((seq, found.await.map_err(Problem::fault)??))
    }
}

/// Show an offer
///
/// For whoever's it is, and the operator; a bill also for a holder who gives its hash.
#[utoipa::path(get, path = "/v1/offers/{offer}", tag = "offers", operation_id = "getOffer",
    params(("offer" = OfferId, Path, description = "Its id."), Knows),
    responses((status = 200, description = "The offer.", body = Offer)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<Knows>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such offer, or it is not yours to see");
    let id: OfferId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?.into_inner();
    let (seq, record) = service.made(&request, id.seq, Name::Offer(id)).await?;
    let offer = record.as_deref().and_then(Record::offer).ok_or_else(nothing)?;
    let (hash, holder) = (offer.hash(id), matches!(caller.whom, Whom::Account(_) | Whom::Wallet(_)));
    let own = match &offer.by {
        Principal::Account(account) => service.may_see_account(&caller, *account, None).is_ok(),
        Principal::Brand(brand) => {
            caller.brand() == Some(brand) || (holder && query.into_inner().hash == Some(hash))
        }
        Principal::Operator => false,
    };
    if !own && !caller.sees_all() {
        return Err(nothing());
    }
    let open = offer.open(service.log_time()?);
    let book::Offer { terms, until, state, .. } = offer.clone();
    Ok(json(seq, &Offer { offer: id, hash, terms, until, state, open }))
}

/// An exchange.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Exchange {
    /// Its id.
    exchange: ExchangeId,
    /// The offer that was agreed to.
    offer: OfferId,
    /// What was exchanged.
    terms: ExchangeTerms,
}

/// Show an exchange
///
/// For the holder whose points were given up, their unit's brand, and the operator.
#[utoipa::path(get, path = "/v1/exchanges/{exchange}", tag = "offers", operation_id = "getExchange",
    params(("exchange" = ExchangeId, Path, description = "Its id.")),
    responses((status = 200, description = "The exchange.", body = Exchange)))]
pub async fn get_exchange(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such exchange, or it is not yours to see");
    let id: ExchangeId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?.into_inner();
    let (seq, record) = service.made(&request, id.seq, Name::Exchange(id)).await?;
    let exchange = record.as_deref().and_then(Record::exchange).ok_or_else(nothing)?;
    service.may_see_account(&caller, exchange.account, Some(exchange.terms.from)).map_err(|_| nothing())?;
    Ok(json(seq, &Exchange { exchange: id, offer: exchange.offer, terms: exchange.terms.clone() }))
}
