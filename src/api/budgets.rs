//! Budgets: what a key may issue, and what it has issued of that.
//!
//! Owns: who is shown a budget. Promises: the budget and what was drawn on it are of one moment.
//! Refuses to know: how it is drawn on.

use super::call::{Caller, service};
use super::problem::{Code, Problem};
use super::reply::{json, min_seq};
use crate::book::{self, Limit, Measure, Name, Principal, Record};
use crate::sign::SponsorTerms;
use crate::types::{Currency, Ident, Kid, Money, ParticipantId, Points, Rate, UnitCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// A budget, and what was drawn on it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Budget {
    /// The key that may issue.
    key: Kid,
    /// The unit.
    unit: UnitCode,
    /// 1, then one more each time; the next replaces the one in force.
    serial: u64,
    /// Most points ever, over all serials.
    ceiling: Points,
    /// Most points in an hour.
    hourly: Points,
    /// First instant after the budget, in Unix seconds.
    until: u64,
    /// Points issued under it so far, over all serials.
    used: Points,
    /// Points issued in this hour of the network's time; old receipts that the budget's `backfill` lets in are not
    /// counted.
    used_this_hour: Points,
    /// If the points are another brand's: who pays for them, on which terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsored: Option<BudgetSponsor>,
}

/// Who pays for the points that a budget allows.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BudgetSponsor {
    /// The participant of the key's brand.
    participant: ParticipantId,
    /// In this currency.
    currency: Currency,
    /// The dearest issue price that it pays: while the unit's is above it, nothing is awarded.
    issue: Rate,
    /// Most money ever, over all serials; as much as the points cost if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<Money>,
    /// Money that it owed for awards under it so far, over all serials.
    used: Money,
}

/// Show a budget
///
/// What a key may issue, and what it has issued of that. For the key's own brand and the operator; if the key awards
/// another brand's points, also for that brand.
#[utoipa::path(get, path = "/v1/budgets/{kid}", tag = "keys", operation_id = "getBudget",
    params(("kid" = Kid, Path, description = "The key's thumbprint.")),
    responses((status = 200, description = "The budget.", body = Budget)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    kid: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "there is no such budget, or it is not yours to see");
    let kid: Kid = kid.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let (key, now) = service.key_now(kid).map_err(|_| nothing())?;
    let Principal::Brand(brand) = key.owner else { return Err(nothing()) };
    let subject: Ident = kid.to_string().parse().map_err(Problem::fault)?;
    let drawn = |measure| Name::Limit(brand.clone(), subject.clone(), measure);
    let names = [
        Name::Budget(kid),
        Name::Brand(brand.clone()),
        drawn(Measure::Issued),
        drawn(Measure::IssuedHour),
        drawn(Measure::Sponsored),
    ];
    let (seq, [budget, owner, issued, hour, paid]) = service.records(&names)?;
    let Some(Record::Budget(budget)) = budget else { return Err(nothing()) };
    let issuer = match budget.sponsored {
        Some(_) => service.brand_of(budget.unit)?,
        None => None,
    };
    let mine = caller.brand().is_some_and(|own| *own == brand || issuer.as_ref() == Some(own));
    if !mine && !caller.sees_all() {
        return Err(nothing());
    }
    let limit = |record: Option<Record>| record.as_ref().and_then(Record::limit).copied().unwrap_or_default();
    let window = Measure::IssuedHour.window(now, 0);
    let hour = Some(limit(hour)).filter(|hour| hour.window == window).unwrap_or_default();
    let points =
        |limit: Limit| Points::new(limit.used).ok_or_else(|| Problem::fault("more points than there are"));
    let (used, used_this_hour) = (points(limit(issued))?, points(hour)?);
    let book::Budget { unit, serial, ceiling, hourly, until, sponsored, .. } = budget;
    let sponsored = match (sponsored, owner.as_ref().and_then(Record::brand)) {
        (Some(SponsorTerms { currency, issue, ceiling }), Some(owner)) => {
            let used =
                Money::new(limit(paid).used).ok_or_else(|| Problem::fault("more money than there is"))?;
            Some(BudgetSponsor { participant: owner.participant.clone(), currency, issue, ceiling, used })
        }
        _ => None,
    };
    Ok(json(seq, &Budget { key: kid, unit, serial, ceiling, hourly, until, used, used_this_hour, sponsored }))
}
