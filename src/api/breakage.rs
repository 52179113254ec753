//! Breakage: how many of a unit's points are expected never to be spent, as its brand publishes it.

use super::problem::Problem;
use super::reference::{nothing, one};
use super::write::{Done, Incoming};
use crate::book::{Name, Record};
use crate::prices::{PublishBreakage, WHOLE};
use crate::types::UnitCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Publish a breakage curve
///
/// Signed by the brand's root, approved by two of the brand's approvers: send it as `application/jose`, which `tallyhouse
/// sign` prints with `--approve` for each of them. Liabilities on the basis of deferred revenue are measured by it; nothing
/// that is owed or spent depends on it.
#[utoipa::path(post, path = "/v1/breakage", tag = "units", operation_id = "publishBreakage",
    request_body = PublishBreakage,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn publish(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// A breakage curve.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BreakageCurve {
    /// The unit.
    unit: UnitCode,
    /// Its version.
    version: u64,
    /// How much of what was earned in a month is expected to be spent by the end of that month, of the next one, and so
    /// on: parts per million.
    redeemed: Vec<u32>,
    /// What is expected never to be spent: parts per million.
    breakage: u32,
}

/// Show the breakage curve of a unit
///
/// The newest version: it is in force.
#[utoipa::path(get, path = "/v1/units/{unit}/breakage", tag = "units", operation_id = "getBreakage",
    params(("unit" = UnitCode, Path, description = "Its code.")),
    responses((status = 200, description = "The curve.", body = BreakageCurve)))]
pub async fn get(request: HttpRequest, code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let unit: UnitCode = code.parse().map_err(|_| nothing("unit"))?;
    one(&request, Name::Breakage(unit), "breakage curve: the unit published none", |_, record| {
        let Record::Breakage(curve) = record else { return None };
        let last = curve.redeemed.last().copied().unwrap_or(0);
        let breakage = WHOLE.saturating_sub(last);
        Some(BreakageCurve { unit, version: curve.version, redeemed: curve.redeemed.clone(), breakage })
    })
    .await
}
