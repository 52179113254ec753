//! Fees and tax: what the network asks for its service, and how what participants supply each other is taxed.

use super::call::service;
use super::problem::Problem;
use super::query::Query;
use super::reference::{nothing, one};
use super::reply::{Page, PageQuery, cursor, min_seq, page};
use super::write::{Done, Incoming};
use crate::book::{self, ExchangeFee, Fee, LosingFees, Name, Record, Tax, TaxVersion};
use crate::network::SetTier;
use crate::prices::{PublishFees, PublishTax, in_force};
use crate::reading::{Sort, list};
use crate::types::{Currency, Ident, Kid, ParticipantId, Time};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Publish fees
///
/// A version of the network's fees in one currency: from who takes points, from who issued them, from who exchanges
/// them, from who loses a dispute. It begins 7 days later at the earliest, 30 if anybody is to pay more; what was offered or held before keeps the
/// fees that it was fixed with. Signed by an analyst, approved by two of the operator's approvers: three statements
/// (`command+jwt`, `approval+jwt`), sent as `application/jose`, which `tallyhouse sign` prints with `--approve` for each of
/// them.
#[utoipa::path(post, path = "/v1/fees", tag = "settlement", operation_id = "publishFees",
    request_body = PublishFees,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn publish(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Publish tax
///
/// How what a participant supplies to others is taxed: its shops take their points, or its points are given for theirs.
/// The tax is within what it is owed, which stays the same. Signed by the root of a brand of the participant.
#[utoipa::path(post, path = "/v1/tax", tag = "settlement", operation_id = "publishTax",
    request_body = PublishTax,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn publish_tax(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Set a membership tier
///
/// It decides what exchanging the account's points costs. Signed by an issuing or approver key or the root of the
/// unit's brand.
#[utoipa::path(post, path = "/v1/accounts/tiers", tag = "accounts", operation_id = "setTier",
    request_body = SetTier,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_tier(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// A version of the network's fees.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Fees {
    /// Its number.
    version: u64,
    /// For payments and exchanges in this currency.
    currency: Currency,
    /// First instant, in Unix seconds.
    from: u64,
    /// First instant after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// Who is owed the fees, as whose service they are taxed: the operator's participant, or another of its companies.
    supplier: ParticipantId,
    /// From the participant whose shop takes points.
    acceptor: Fee,
    /// From each participant whose points others' shops take.
    issuer: Fee,
    /// From who exchanges points, by unit and tier; 0 for what is not listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exchange: Vec<ExchangeFee>,
    /// The tax on top of fees in money, and within fees in points.
    tax: Tax,
    /// From whoever loses a dispute that is filed while the version is in force, once its target has answered; nothing
    /// if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    dispute: Option<LosingFees>,
    /// Whether it is in force now.
    in_force: bool,
}

fn shown(fees: book::Fees, versions: &[book::Fees], now: u64) -> Fees {
    let current = in_force(versions, fees.currency, now);
    let in_force = current.is_some_and(|other| other.version == fees.version);
    let book::Fees { version, currency, from, until, supplier, acceptor, issuer, exchange, tax, dispute } =
        fees;
    Fees { version, currency, from, until, supplier, acceptor, issuer, exchange, tax, dispute, in_force }
}

/// The network's fees.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FeeList {
    /// Those in force and those announced, oldest first.
    versions: Vec<Fees>,
    /// As of when.
    at: Time,
}

/// List fees
///
/// What the network asks for its service: the versions in force and announced. All that there ever were stand in their
/// history. What a payment or an exchange costs stands in its offer.
#[utoipa::path(get, path = "/v1/fees", tag = "settlement", operation_id = "listFees",
    responses((status = 200, description = "The fees.", body = FeeList)))]
pub async fn fees(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let at = service(&request)?.log_time()?;
    one(&request, Name::Fees, "fee: none were published", |_, record| {
        let Record::Fees(fees) = record else { return None };
        let all = &fees.versions;
        let versions = all.iter().map(|one| shown(one.clone(), all, at.seconds())).collect();
        Some(FeeList { versions, at })
    })
    .await
}

/// A version of fees as it was published.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PublishedFees {
    /// The version.
    terms: Fees,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Ident>,
    /// The key that signed.
    by: Kid,
    /// The keys of the two people who approved.
    approved: Vec<Kid>,
    /// The entry.
    seq: u64,
    /// Its instant.
    at: Time,
}

/// Show the history of fees
///
/// Every version that was ever published, oldest first: who signed and approved it, when, and why.
#[utoipa::path(get, path = "/v1/fees/history", tag = "settlement", operation_id = "listFeeHistory", params(PageQuery),
    responses((status = 200, description = "The versions.", body = Page<PublishedFees>)))]
pub async fn history(request: HttpRequest, query: Query<PageQuery>) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>("fees")?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    let now = service.log_time()?.seconds();
    let found = web::block(move || -> Result<_, Problem> {
        let current = service.record(&Name::Fees)?;
        Ok((list(&**service.engine().read(), Sort::Fees, &after, limit)?, current))
    });
    let (found, current) = found.await.map_err(Problem::fault)??;
    let versions = current.as_deref().and_then(Record::fees).map_or(&[][..], |fees| &fees.versions);
    let item = |record: Record| {
        let Record::PublishedFees(published) = record else { return None };
        let book::Published { terms, reason, by, approved, seq, at } = *published;
        Some(PublishedFees { terms: shown(terms, versions, now), reason, by, approved, seq, at })
    };
    let next = found.next.map(|next| cursor("fees", &next));
    let items = found.items.into_iter().filter_map(|found| item(found.record)).collect();
    Ok(page(&request, found.as_of.map(|place| place.seq), &Page { items, next }))
}

/// How a participant's supplies are taxed.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TaxList {
    /// The participant.
    participant: ParticipantId,
    /// What is in force and announced, oldest first; what is not listed is outside the scope of tax.
    versions: Vec<TaxVersion>,
}

/// Show a participant's tax
///
/// How what it supplies to others is taxed: what it published. Fees have their tax in their own versions.
#[utoipa::path(get, path = "/v1/participants/{participant}/tax", tag = "settlement", operation_id = "getTax",
    params(("participant" = ParticipantId, Path, description = "Its id.")),
    responses((status = 200, description = "The settings.", body = TaxList)))]
pub async fn tax(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let participant: ParticipantId = id.parse().map_err(|_| nothing("participant"))?;
    one(&request, Name::Tax(participant.clone()), "tax: the participant published none", |_, record| {
        let Record::Tax(table) = record else { return None };
        Some(TaxList { participant: participant.clone(), versions: table.versions })
    })
    .await
}
