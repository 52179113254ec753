//! Reports of the clearing house, for the operator and its analysts: each of one moment, which it names.

use super::call::{Caller, Whom, service};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{json, min_seq};
use crate::clearing::{Aged, Exposed, Hole, aging, exposures, what_if};
use crate::reading::{Kept, books};
use crate::types::{Money, ParticipantId, Time};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// Of which moment a report is.
#[derive(Serialize, utoipa::ToSchema)]
struct Cut {
    /// The last entry that it counts.
    #[schema(example = 15740)]
    seq: u64,
    /// Its log time.
    at: Time,
    /// The checkpoint over the log through it, in one line: origin, size, root.
    #[schema(example = "tallyhouse.example/log 15741 N4aDNk4Rl9UUL9Sj6kz1nvGtE0P7QUG1RZ3Cq5yiT9A=")]
    checkpoint: String,
}

/// What is owed, by age.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AgingReport {
    /// Of which moment.
    cut: Cut,
    /// Pair by pair.
    items: Vec<Aged>,
}

/// What participants stand for.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ExposureReport {
    /// Of which moment.
    cut: Cut,
    /// Participant by participant.
    items: Vec<Exposed>,
}

/// Who would bear a default.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WhatIfReport {
    /// Of which moment.
    cut: Cut,
    /// Who would not pay.
    participant: ParticipantId,
    /// Cycle by cycle.
    items: Vec<Hole>,
}

/// Reads the books and makes a report of them, on a thread that may wait.
async fn of<T: Send + 'static>(
    caller: &Caller,
    request: &HttpRequest,
    make: impl FnOnce(&Kept) -> Result<T, Problem> + Send + 'static,
) -> Result<(Cut, T), Problem> {
    if caller.whom != Whom::Operator {
        return Err(Code::NotYours.into());
    }
    let service = service(request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let made = web::block(move || {
        let engine = service.engine();
        let kept = books(&**engine.read(), &service.hashes, &service.genesis.origin)?;
        let report = make(&kept)?;
        let Kept { seq, at, checkpoint, .. } = kept;
        Ok::<_, Problem>((Cut { seq, at, checkpoint }, report))
    });
    made.await.map_err(Problem::fault)?
}

/// Report the age of obligations
///
/// What each participant owes each other one and is not settled, by how long ago the cycle was sealed that it fell into.
/// For the operator and its analysts.
#[utoipa::path(get, path = "/v1/reports/aging", tag = "clearing", operation_id = "reportAging",
    responses((status = 200, description = "The report.", body = AgingReport)))]
pub async fn age(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (cut, items) = of(&caller, &request, |kept| Ok(aging(&kept.books, kept.at))).await?;
    Ok(json(Some(cut.seq), &AgingReport { cut, items }))
}

/// Report exposures
///
/// What each participant owes, what is reserved for it, and what stands behind that. For the operator and its analysts.
#[utoipa::path(get, path = "/v1/reports/exposure", tag = "clearing", operation_id = "reportExposure",
    responses((status = 200, description = "The report.", body = ExposureReport)))]
pub async fn exposure(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let report = |kept: &Kept| exposures(&kept.books, kept.at).map_err(Problem::fault);
    let (cut, items) = of(&caller, &request, report).await?;
    Ok(json(Some(cut.seq), &ExposureReport { cut, items }))
}

/// Who would bear a part beside covers and funds.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Beside {
    /// What the operator would bear of it at the most, in each currency; nothing if absent.
    tranche: Option<u64>,
}

/// Report who would bear a default
///
/// If a participant paid nothing any more for the cycles that are not settled: what its cover, its share of the fund, the
/// operator and others would bear, cycle by cycle, by the rules of a true shortfall. Nothing is written. For the operator
/// and its analysts.
#[utoipa::path(get, path = "/v1/reports/what-if/{participant}", tag = "clearing", operation_id = "reportWhatIf",
    params(("participant" = ParticipantId, Path, description = "Who would pay nothing any more."), Beside),
    responses((status = 200, description = "The report.", body = WhatIfReport)))]
pub async fn default(
    caller: Caller,
    request: HttpRequest,
    participant: web::Path<String>,
    query: Query<Beside>,
) -> Result<HttpResponse, Problem> {
    let nobody = || Problem::about(Code::NotFound, format!("there is no participant {participant}"));
    let participant: ParticipantId = participant.parse().map_err(|_| nobody())?;
    let most = Money::new(query.tranche.unwrap_or(0))
        .ok_or_else(|| Problem::about(Code::QueryInvalid, "tranche: at most 2^53 - 1"))?;
    let who = participant.clone();
    let report = move |kept: &Kept| {
        let known = kept.books.0.contains_key(&crate::book::Name::Participant(who.clone()));
        if !known {
            return Err(Problem::about(Code::NotFound, format!("there is no participant {who}")));
        }
        what_if(&kept.books, &who, most).map_err(Problem::fault)
    };
    let (cut, items) = of(&caller, &request, report).await?;
    Ok(json(Some(cut.seq), &WhatIfReport { cut, participant, items }))
}
