//! Reports of the clearing house, for the operator and its analysts: each of one moment, which it names.

use super::banking::CSV;
use super::call::{Caller, Whom, service};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{SEQ, json, min_seq};
use crate::clearing::{Aged, Exposed, Holding, Hole, aging, exposures, holdings, what_if};
use crate::formats::{Table, aging_table, exposure_table, what_if_table};
use crate::reading::{Kept, books};
use crate::types::{Currency, Money, ParticipantId, Time};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

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
    /// The settlement accounts: what is on each by the bank's word, and what must be.
    accounts: Vec<Holding>,
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

/// Most reports that are made at once: each reads much of the log, or all books, and holds it.
const AT_ONCE: usize = 3;
/// How long a report waits for others.
const PATIENCE: Duration = Duration::from_secs(20);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Waits until another report may be made; it is until what this gives is dropped.
pub(super) async fn turn() -> Result<SemaphorePermit<'static>, Problem> {
    match timeout(PATIENCE, TURNS.acquire()).await {
        Ok(turn) => turn.map_err(Problem::fault),
        Err(_) => Err(Problem::about(Code::Busy, "other reports are being made: ask again in a moment")),
    }
}

/// Whether a table is asked for.
pub(super) fn is_csv(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(CSV))
}

/// Reads the books and makes a report of them, on a thread that may wait.
async fn of<T: Send + 'static>(
    caller: &Caller,
    request: &HttpRequest,
    make: impl FnOnce(&Kept) -> Result<T, Problem> + Send + 'static,
) -> Result<(Cut, T), Problem> {
    if caller.whom != Whom::Operator {
        let about = "for those who work for the operator: a brand reads what its participant owes and may still come to \
                     owe at /v1/participants/{participant}/exposure";
        return Err(Problem::about(Code::NotYours, about));
    }
    let service = service(request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let _turn = turn().await?;
    let made = web::block(move || {
        let engine = service.engine();
        let kept = books(&**engine.read(), &service.hashes, &service.genesis.origin)?;
        let report = make(&kept)?;
        let Kept { seq, at, checkpoint, .. } = kept;
        Ok::<_, Problem>((Cut { seq, at, checkpoint }, report))
    });
    made.await.map_err(Problem::fault)?
}

/// The answer as a table, if that is asked for: each row names the last entry that it counts, and the checkpoint.
fn table(
    request: &HttpRequest,
    cut: &Cut,
    name: &str,
    make: impl FnOnce(&dyn Fn(Currency) -> u8) -> Table,
) -> Result<Option<HttpResponse>, Problem> {
    if !is_csv(request) {
        return Ok(None);
    }
    let service = service(request)?;
    let scale = |currency: Currency| {
        let known = service.genesis.currencies.iter().find(|one| one.code == currency);
        known.map_or(0, |one| one.scale)
    };
    let bytes = make(&scale).csv(cut.seq, &cut.checkpoint).map_err(Problem::fault)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((SEQ, cut.seq));
    answer.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}-{}.csv\"", cut.seq)));
    Ok(Some(answer.content_type(CSV).body(bytes)))
}

/// Report the age of obligations
///
/// What each participant owes each other one and is not settled, by how long ago the cycle was sealed that it fell into.
/// With `Accept: text/csv` as a table. For the operator and its analysts.
#[utoipa::path(get, path = "/v1/reports/aging", tag = "clearing", operation_id = "reportAging",
    responses((status = 200, description = "The report.", content(
        (AgingReport = "application/json"), (String = "text/csv")))))]
pub async fn age(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (cut, items) = of(&caller, &request, |kept| Ok(aging(&kept.books, kept.at))).await?;
    if let Some(answer) = table(&request, &cut, "aging", |scale| aging_table(&items, scale))? {
        return Ok(answer);
    }
    Ok(json(Some(cut.seq), &AgingReport { cut, items }))
}

/// Report exposures
///
/// What each participant owes, what is reserved for it, and what stands behind that; and of each settlement account what is on
/// it by the newest accepted statement and what must be there for others. With `Accept: text/csv` the former as a table. For
/// the operator and its analysts.
#[utoipa::path(get, path = "/v1/reports/exposure", tag = "clearing", operation_id = "reportExposure",
    responses((status = 200, description = "The report.", content(
        (ExposureReport = "application/json"), (String = "text/csv")))))]
pub async fn exposure(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let report = |kept: &Kept| {
        Ok((exposures(&kept.books, kept.at).map_err(Problem::fault)?, holdings(&kept.books, kept.at)))
    };
    let (cut, (items, accounts)) = of(&caller, &request, report).await?;
    if let Some(answer) = table(&request, &cut, "exposure", |scale| exposure_table(&items, scale))? {
        return Ok(answer);
    }
    Ok(json(Some(cut.seq), &ExposureReport { cut, items, accounts }))
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
/// operator and others would bear, cycle by cycle, by the rules of a true shortfall. Once orders
/// left (`sent`), the first three bear all of it, and a true one is refused as long as something is `left`. Nothing is
/// written. With
/// `Accept: text/csv` as a table. For the operator and its analysts.
#[utoipa::path(get, path = "/v1/reports/what-if/{participant}", tag = "clearing", operation_id = "reportWhatIf",
    params(("participant" = ParticipantId, Path, description = "Who would pay nothing any more."), Beside),
    responses((status = 200, description = "The report.", content(
        (WhatIfReport = "application/json"), (String = "text/csv")))))]
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
    if let Some(answer) = table(&request, &cut, "what-if", |scale| what_if_table(&items, scale))? {
        return Ok(answer);
    }
    Ok(json(Some(cut.seq), &WhatIfReport { cut, participant, items }))
}
