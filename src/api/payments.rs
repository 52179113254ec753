//! Payments: points pay bills.

use super::call::{Caller, service};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::write::{Done, Incoming};
use crate::book::{self, FeeTerms, Name, Tax};
use crate::payments::{Authorise, Capture, Refund, Void, charged_now};
use crate::types::{BrandId, Currency, Ident, Money, PaymentId, Points, Time, UnitCode};
use crate::views::{Filter, ListedPayment, Span};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// Authorise a payment
///
/// Points of one or several units are held for a bill, or taken at once with `capture`. Signed by the till. Each unit
/// comes with the consent of its holder (`payment-consent+jwt`), whose shares add up to the amount: in the header
/// `Tallyhouse-Consents`, or behind the statement as `application/jose`.
#[utoipa::path(post, path = "/v1/payments", tag = "payments", operation_id = "authorisePayment",
    request_body = Authorise,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn authorise(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Capture a payment
///
/// Takes what was held, in one step or several; the last, or `final`, releases the rest. Signed by a till of the shop's
/// participant and brand.
#[utoipa::path(post, path = "/v1/captures", tag = "payments", operation_id = "capturePayment",
    request_body = Capture,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn capture(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Void a payment
///
/// Releases what is not captured. Signed by a till of the shop's participant and brand.
#[utoipa::path(post, path = "/v1/voids", tag = "payments", operation_id = "voidPayment",
    request_body = Void,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn void(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Refund a payment
///
/// Gives points back, in exact reverse order of taking, and books the obligation back. Signed by a till of the shop's
/// participant and brand, in any of its shops, until 120 days after the payment's deadline; later, or at any time, by the
/// root or an approver key of the brand.
#[utoipa::path(post, path = "/v1/refunds", tag = "payments", operation_id = "refundPayment",
    request_body = Refund,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn refund(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// What one unit bears of a payment.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Share {
    /// The unit.
    unit: UnitCode,
    /// The consent that it rests on.
    consent: Ident,
    /// Its share of the bill.
    amount: Money,
    /// The points that it takes in full.
    points: Points,
    /// What the issuer owes for it in full.
    obligation: Money,
    /// The version of the prices that was applied.
    price: u64,
    /// The tax within what the issuer owes; outside the scope if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<Tax>,
}

/// A payment.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Payment {
    /// Its id.
    payment: PaymentId,
    /// The shop's brand.
    brand: BrandId,
    /// The shop.
    store: Ident,
    /// The till.
    till: Ident,
    /// The shop's receipt number.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<Ident>,
    /// When it was authorised.
    at: Time,
    /// The currency of its amounts.
    currency: Currency,
    /// What was to be paid with points.
    amount: Money,
    /// Captured so far.
    captured: Money,
    /// Refunded so far.
    refunded: Money,
    /// When it lapses, if it is open.
    deadline: Time,
    /// Whether something can still be captured.
    open: bool,
    /// By unit; in a list they are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<Share>,
    /// The network's fees for it, and what they come to by now; in a list they are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fees: Vec<Charged>,
}

/// A fee of a payment.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Charged {
    /// As it was fixed, in full.
    terms: FeeTerms,
    /// What it comes to as the payment stands, without tax.
    net: Money,
    /// The tax on that.
    tax: Money,
}

fn charged(payment: &book::Payment) -> Result<Vec<Charged>, Problem> {
    let one = |terms: &FeeTerms| {
        let (net, tax) = charged_now(payment, terms).map_err(|stop| Problem::fault(format!("{stop:?}")))?;
        Ok(Charged { terms: terms.clone(), net, tax })
    };
    payment.fees.iter().map(one).collect()
}

fn shown(one: ListedPayment, now: Time) -> Payment {
    Payment {
        payment: one.id,
        brand: one.brand,
        store: one.store,
        till: one.till,
        reference: one.reference,
        at: one.at,
        currency: one.currency,
        amount: one.amount,
        captured: one.captured,
        refunded: one.refunded,
        deadline: one.deadline,
        open: !one.closed && now < one.deadline,
        shares: vec![],
        fees: vec![],
    }
}

fn share(terms: &book::ShareTerms) -> Share {
    Share {
        unit: terms.unit,
        consent: terms.consent.clone(),
        amount: terms.amount,
        points: terms.points,
        obligation: terms.obligation,
        price: terms.price,
        tax: terms.tax,
    }
}

/// Show a payment
///
/// As it stands: for the shop's brand and the operator. An issuer sees its own share of it in its events.
#[utoipa::path(get, path = "/v1/payments/{payment}", tag = "payments", operation_id = "getPayment",
    params(("payment" = PaymentId, Path, description = "Its id.")),
    responses((status = 200, description = "The payment.", body = Payment)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such payment, or it is not yours to see");
    let id: PaymentId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    // A payment that was answered is shown; one that is not there is not waited for.
    let own = Some(id.seq).filter(|seq| *seq < service.engine().progress().committed);
    service.wait_for(min_seq(request.headers())?.max(own)).await?;
    let (shown_payment, record) = web::block({
        let service = service.clone();
        move || -> Result<_, Problem> {
            Ok((service.views.payment(id)?, service.record(&Name::Payment(id))?))
        }
    })
    .await
    .map_err(Problem::fault)??;
    let listed = shown_payment.what.ok_or_else(nothing)?;
    if !caller.sees_all() && caller.brand() != Some(&listed.brand) {
        return Err(nothing());
    }
    let payment = record.as_deref().and_then(book::Record::payment);
    let shares = payment.map(|payment| payment.shares.iter().map(share).collect()).unwrap_or_default();
    let fees = payment.map(charged).transpose()?.unwrap_or_default();
    let shown = Payment { shares, fees, ..shown(listed, service.log_time()?) };
    Ok(json(shown_payment.as_of.map(|place| place.seq), &shown))
}

/// Which payments.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// In whose shops, if the operator asks.
    brand: Option<BrandId>,
    /// Authorised from this instant on.
    #[param(example = "2017-06-01T00:00:00.000000Z")]
    from: Option<Time>,
    /// Authorised before this instant.
    #[param(example = "2017-07-01T00:00:00.000000Z")]
    to: Option<Time>,
    /// In this shop.
    store: Option<Ident>,
    /// At this till.
    till: Option<Ident>,
    /// Those that can still be captured or voided, or those that cannot.
    open: Option<bool>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List payments
///
/// In the brand's own shops, the newest first.
#[utoipa::path(get, path = "/v1/payments", tag = "payments", operation_id = "listPayments", params(Which),
    responses((status = 200, description = "The payments.", body = Page<Payment>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<Which>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let Which { brand, from, to, store, till, open, limit, cursor: place } = query.into_inner();
    let brand = caller.brand_or(brand.as_ref())?.clone();
    let query = PageQuery { limit, cursor: place };
    let name = format!("payments/{brand}");
    let (limit, before) = (query.limit()?, query.place::<PaymentId>(&name)?);
    service.wait_for(min_seq(request.headers())?).await?;
    let now = service.log_time()?;
    let open = open.map(|open| (open, now));
    let filter = Filter { span: Span { from, to }, store, till, open };
    let listed = web::block(move || service.views.payments(&brand, &filter, before, limit));
    let listed = listed.await.map_err(Problem::fault)??;
    let full = listed.what.len() == limit;
    let next = listed.what.last().filter(|_| full).map(|last| cursor(&name, &last.id));
    let items = listed.what.into_iter().map(|one| shown(one, now)).collect();
    Ok(page(&request, listed.as_of.map(|place| place.seq), &Page { items, next }))
}
