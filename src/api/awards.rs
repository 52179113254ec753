//! Awards: how points come into being and are taken back, and who pays for those that another brand's key gave.

use super::call::{Caller, service};
use super::cycles::{shown, sight};
use super::problem::{Code, Problem};
use super::reply::{json, min_seq};
use super::write::{Done, Incoming};
use crate::book::{Name, Record, Tax, TaxCategory};
use crate::points::ClawBack;
use crate::sign::AwardOrder;
use crate::types::{AwardId, Currency, Kid, Money, ParticipantId, Points, Time, UnitCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Award points
///
/// Gives points to an account, within the budget of the key that signs; the account is opened if there is none. The
/// `Idempotency-Key` is the award's `jti`. With an API key the network signs with the brand's held key.
#[utoipa::path(post, path = "/v1/awards", tag = "awards", operation_id = "award",
    request_body = AwardOrder,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn award(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Take points back
///
/// An issuing key of the brand whose key made an award takes its points back: they were awarded in error, or for what was
/// returned. The award is named by its own text, as it was taken in. What is spent, held or past its date is not taken; if
/// less is left than is asked for, that is taken, and the entry says how much. All of an award's points can be taken back,
/// once. Who paid for sponsored points gets that back in proportion. The holder's history shows it.
#[utoipa::path(post, path = "/v1/awards/claw-backs", tag = "awards", operation_id = "clawBack",
    request_body = ClawBack,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn claw_back(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Take a token in
///
/// A `point-token+jwt` that an issuing key signed, perhaps long ago and without a line. It takes effect once, whoever
/// brings it and how often.
#[utoipa::path(post, path = "/v1/tokens", tag = "awards", operation_id = "submitToken",
    request_body(content = String, content_type = "application/jose", description = "The statement, then what approves it: compact JWSs, in a JSON object or one a line."),
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn token(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Awards of one entry that another participant pays for. Whose the points are stands nowhere in it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SponsoredAwards {
    /// Their id.
    award: AwardId,
    /// The unit.
    unit: UnitCode,
    /// How many points, in all.
    points: Points,
    /// The key that awarded them.
    key: Kid,
    /// Who is supplied, and owes: the participant of the key's brand.
    customer: ParticipantId,
    /// Who supplies, and is owed: the participant of the unit's brand.
    supplier: ParticipantId,
    /// The currency.
    currency: Currency,
    /// The version of the prices that was applied.
    price: u64,
    /// What is owed without tax.
    net: Money,
    /// The tax's category: outside its scope if the supplier published none.
    category: TaxCategory,
    /// Its rate in parts per million of the net amount.
    rate: u32,
    /// The tax.
    tax: Money,
    /// What is owed.
    gross: Money,
    /// How much of that was charged back by disputes that are open or won.
    charged: Money,
    /// How many of the points were taken back.
    clawed_back: Points,
    /// How much is not owed any more for that.
    returned: Money,
    /// When.
    at: Time,
}

/// Show sponsored awards
///
/// What another brand's key awarded in one entry, and what its participant owes for that, with its tax. For the brands of
/// both participants, the operator and analysts. Which accounts got the points only the unit's brand reads, in the entry.
#[utoipa::path(get, path = "/v1/awards/{award}", tag = "awards", operation_id = "getSponsoredAwards",
    params(("award" = AwardId, Path, description = "Their id: `awd_` and the entry's number, then `.0`.")),
    responses((status = 200, description = "The awards.", body = SponsoredAwards)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such sponsored awards of yours");
    let id: AwardId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Sponsored(id))?;
    let one = record.as_deref().and_then(Record::sponsored).cloned().ok_or_else(nothing)?;
    if own.is_some_and(|own| own != one.debtor && own != one.creditor) {
        return Err(nothing());
    }
    let Tax { category, rate } = one.tax.unwrap_or_default();
    let parts = Tax { category, rate }.within(one.worth).and_then(|tax| Some((one.worth.minus(tax)?, tax)));
    let (net, tax) = parts.ok_or_else(|| Problem::fault("a tax above its amount"))?;
    let answer = SponsoredAwards {
        award: id,
        unit: one.unit,
        points: one.points,
        key: one.key,
        customer: one.debtor,
        supplier: one.creditor,
        currency: one.currency,
        price: one.price,
        net,
        category,
        rate,
        tax,
        gross: one.worth,
        charged: one.charged,
        clawed_back: one.clawed_back,
        returned: one.returned,
        at: one.at,
    };
    Ok(json(seq, &answer))
}
