//! Cycles: how obligations are sealed, netted, reviewed, approved and paid.

use super::call::{Caller, Whom, service};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{Closing, Line, Mark, Name, Period, Record, Schedule, Sums};
use crate::clearing::{
    AnswerObjection, ClosePeriod, ComputeCycle, FileObjection, InstructionStage, MoveCycle, SealCycle,
    SetSchedule, Stage, instruction_stage, scheduled, seal_due, side, stage,
};
use crate::log::root_at;
use crate::types::{Currency, Hash, Ident, InstructionId, Money, ParticipantId, Time};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;

/// Seal the open cycle
///
/// One entry fixes which obligations are in it: those that were booked before. The next cycle opens in the same entry.
/// By an analyst: a key of the operator's for daily work.
#[utoipa::path(post, path = "/v1/cycles", tag = "clearing", operation_id = "sealCycle", request_body = SealCycle,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn seal(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Set when cycles are sealed
///
/// On which days and at which hour the open cycle is sealed without anybody asking; never, if no day is named. And by how
/// much what payers pay may be off and be written off by two people. Signed by an analyst, approved by two of the
/// operator's approvers: send it as `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/schedule", tag = "clearing", operation_id = "setSchedule", request_body = SetSchedule,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_schedule(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// When cycles are sealed by themselves.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ScheduleShown {
    /// What was set.
    schedule: Schedule,
    /// When the open cycle is sealed, if nobody seals it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Time>,
}

/// Show when cycles are sealed
///
/// The schedule, and when it seals the open cycle.
#[utoipa::path(get, path = "/v1/schedule", tag = "clearing", operation_id = "getSchedule",
    responses((status = 200, description = "The schedule.", body = ScheduleShown)))]
pub async fn schedule(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    looks(&caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Schedule)?;
    let schedule = record.as_deref().and_then(Record::schedule).cloned();
    let schedule = schedule.ok_or_else(|| Problem::about(Code::NotFound, "no schedule was set"))?;
    let due = service.looked(service.log_time()?, seal_due)?;
    Ok(json(seq, &ScheduleShown { schedule, due }))
}

/// Close a month
///
/// Nothing more is expected for it: what is earned in it and comes later is told as prior-period by the reports. Months are
/// closed in order, after they ended. Signed by an analyst, approved by two of the operator's approvers: send it as
/// `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/periods", tag = "clearing", operation_id = "closePeriod", request_body = ClosePeriod,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn close_period(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// The month that was closed last.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PeriodShown {
    /// What the log says.
    period: Period,
    /// The root of the log's tree through the last entry that belongs to it: the checkpoint of that size.
    root: Hash,
}

/// Show the month that was closed last
///
/// Through which entry, and the root of the log's tree there, so that a report of the month names what it rests on.
#[utoipa::path(get, path = "/v1/periods", tag = "clearing", operation_id = "getPeriod",
    responses((status = 200, description = "The month.", body = PeriodShown)))]
pub async fn period(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    looks(&caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Period)?;
    let period = record.as_deref().and_then(Record::period).cloned();
    let period = period.ok_or_else(|| Problem::about(Code::NotFound, "no month was closed"))?;
    let size = period.seq.saturating_add(1);
    let from = service.clone();
    let root = web::block(move || root_at(size, &from.hashes)).await.map_err(Problem::fault)?;
    let root = root.map_err(|e| Problem::fault(format!("the root over {size} entries: {e:?}")))?;
    Ok(json(seq, &PeriodShown { period, root }))
}

/// Compute a cycle
///
/// Nets, and an instruction for each participant that pays or is paid. Whoever asks says the digest of the nets as they
/// computed them from the obligations; the log's own must be the same.
#[utoipa::path(post, path = "/v1/cycles/computations", tag = "clearing", operation_id = "computeCycle",
    request_body = ComputeCycle,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn compute(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Move a cycle on
///
/// Review, return, approve, ask for payment, find and cover a shortfall, let payment orders leave, settle, void. Signed by
/// an analyst. `approve`, `cover`, `pay_out` and `void` are approved by two of the operator's approvers: send them as
/// `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them; so is `pay_in` if `until` is more than
/// 10 days ahead. `approve` is refused with `not_ready` while the vault lacks the bank details that the cycle would be paid
/// by. The `file` of `pay_out` is the
/// `sha256` that `GET /v1/cycles/{cycle}/orders/{currency}` says, also for another day (`on`): one that this node would not
/// make is refused with `file_mismatch`.
#[utoipa::path(post, path = "/v1/cycles/moves", tag = "clearing", operation_id = "moveCycle", request_body = MoveCycle,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn advance(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Object to a cycle
///
/// While a cycle is reviewed, a brand objects to what its participant owes or is owed. If that is accepted, it is carried
/// to the open cycle, and the cycle is computed again. Silence accepts.
#[utoipa::path(post, path = "/v1/objections", tag = "clearing", operation_id = "fileObjection",
    request_body = FileObjection,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn object(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Answer an objection
///
/// By an analyst: `rejected`, or `accepted`: its obligations go on to the open cycle and this one is computed again. To accept
/// takes the approvals of two of the operator's approvers, since the creditor is paid later: send it as `application/jose`,
/// which `tallyhouse sign` prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/objections/answers", tag = "clearing", operation_id = "answerObjection",
    request_body = AnswerObjection,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn answer(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// A cycle in one currency.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CycleSums {
    /// What is to be paid, and what was.
    #[serde(flatten)]
    sums: Sums,
    /// Where it stands in this currency, once payers were asked to pay: what is missing in another holds it up no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
}

/// A cycle.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Cycle {
    /// Its number.
    #[schema(example = 3)]
    cycle: u64,
    /// Where it stands.
    stage: Stage,
    /// The first entry whose obligations are its own.
    from: u64,
    /// Voided cycles whose obligations it took over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    includes: Vec<u64>,
    /// When it was sealed: obligations of earlier entries are in it, of this one and later not.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Mark>,
    /// How often it was computed.
    version: u32,
    /// When it was computed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    computed: Option<Mark>,
    /// The digest of its nets.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Hash>,
    /// Until when participants may object, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    review_until: Option<u64>,
    /// Objections that wait for an answer.
    objections: u32,
    /// Why it is to be computed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Ident>,
    /// When two people approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<Mark>,
    /// When payments are due, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
    /// Whether not everybody paid.
    with_loss: bool,
    /// Its sums, for the operator and analysts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sums: Vec<CycleSums>,
    /// When it was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Mark>,
    /// When it was voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    voided: Option<Mark>,
}

impl Cycle {
    fn of(cycle: u64, closing: Closing, all: bool) -> Self {
        let (at, asked) = (stage(&closing), closing.due.is_some());
        let of = |sums: &Sums| CycleSums {
            sums: sums.clone(),
            stage: Some(side(&closing, sums)).filter(|_| asked && !at.is_final()),
        };
        let sums = if all { closing.sums.iter().map(of).collect() } else { vec![] };
        Self {
            cycle,
            stage: at,
            from: closing.from,
            includes: closing.includes,
            sealed: closing.sealed,
            version: closing.version,
            computed: closing.computed.as_ref().map(|computed| computed.mark),
            digest: closing.computed.map(|computed| computed.digest),
            review_until: closing.review,
            objections: closing.objections,
            returned: closing.returned,
            approved: closing.approved,
            due: closing.due,
            with_loss: closing.shortfall.is_some(),
            sums,
            settled: closing.settled,
            voided: closing.voided,
        }
    }
}

/// For how many seconds the schedule was to seal the open cycle: 0 if it was not, or if it did.
pub(super) fn overdue(service: &Service) -> Result<u64, Problem> {
    let now = service.log_time()?;
    let due = service.looked(now, scheduled)?;
    Ok(due.map_or(0, |(_, due)| now.seconds().saturating_sub(due.seconds())))
}

/// Who reads what all of the clearing house may know: whether they see everybody's.
pub(super) fn looks(caller: &Caller) -> Result<bool, Problem> {
    match &caller.whom {
        Whom::Operator => Ok(true),
        Whom::Brand(_) => Ok(false),
        _ => Err(Code::NotYours.into()),
    }
}

/// Who reads settlement: the participant that they may see, `None` for all. Of brands it is the one that speaks for it.
pub(super) fn sight(service: &Service, caller: &Caller) -> Result<Option<ParticipantId>, Problem> {
    let Whom::Brand(id) = &caller.whom else { return looks(caller).map(|_| None) };
    let record = service.record(&Name::Brand(id.clone()))?;
    let who = &record.as_deref().and_then(Record::brand).ok_or(Code::NotYours)?.participant;
    let record = service.record(&Name::Participant(who.clone()))?;
    if record.as_deref().and_then(Record::participant).is_some_and(|one| one.is_spoken_for_by(id)) {
        return Ok(Some(who.clone()));
    }
    Err(Problem::about(Code::NotYours, format!("another brand speaks for {who}, and reads this")))
}

/// The last entry that state shows, read before the records: what is shown is that entry or a later one.
pub(super) fn shown(service: &Service) -> Option<u64> {
    service.engine().progress().state.checked_sub(1)
}

impl Service {
    fn closing(&self, cycle: u64) -> Result<Option<Closing>, Problem> {
        Ok(self.record(&Name::Closing(cycle))?.as_deref().and_then(Record::closing).cloned())
    }
}

fn nothing() -> Problem {
    Problem::about(Code::NotFound, "no such cycle")
}

/// List cycles
///
/// The newest first: the first is the open one. Sums are shown to the operator and to analysts.
#[utoipa::path(get, path = "/v1/cycles", tag = "clearing", operation_id = "listCycles", params(PageQuery),
    responses((status = 200, description = "The cycles.", body = Page<Cycle>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, before) = (query.limit()?, query.place::<u64>("cycles")?);
    service.wait_for(min_seq(request.headers())?).await?;
    let all = looks(&caller)?;
    let (seq, from) = (shown(&service), service.clone());
    let found = web::block(move || {
        let record = from.record(&Name::Cycle)?;
        let open = record.as_deref().and_then(Record::cycle).map_or(0, |cycle| cycle.open);
        let last = before.map_or(open, |before| before.saturating_sub(1)).min(open);
        let mut items = vec![];
        for cycle in (1..=last).rev().take(limit) {
            items.extend(from.closing(cycle)?.map(|closing| Cycle::of(cycle, closing, all)));
        }
        Ok::<_, Problem>(items)
    });
    let items = found.await.map_err(Problem::fault)??;
    let next = items.last().map(|one| one.cycle).filter(|last| *last > 1 && items.len() == limit);
    let next = next.map(|last| cursor("cycles", &last));
    Ok(page(&request, seq, &Page { items, next }))
}

/// Show a cycle
///
/// Where it stands and what happened to it. Sums are shown to the operator and to analysts.
#[utoipa::path(get, path = "/v1/cycles/{cycle}", tag = "clearing", operation_id = "getCycle",
    params(("cycle" = u64, Path, description = "Its number.", example = 3)),
    responses((status = 200, description = "The cycle.", body = Cycle)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    cycle: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let cycle: u64 = cycle.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let all = looks(&caller)?;
    let seq = shown(&service);
    let closing = service.closing(cycle)?.ok_or_else(nothing)?;
    Ok(json(seq, &Cycle::of(cycle, closing, all)))
}

/// What a cycle means for a participant: + is owed to it, − is owed by it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CycleLine {
    /// The participant.
    participant: ParticipantId,
    /// The currency.
    currency: Currency,
    /// Its obligations in the cycle, netted.
    net: i64,
    /// Carried from the cycle before.
    carry: i64,
    /// What it pays (−) or is paid (+).
    amount: i64,
    /// What is carried on to the next cycle.
    carried: i64,
    /// Confirmed by bank statements.
    paid: Money,
    /// For a payer: drawn from its cover, or borne by others.
    drawn: Money,
    /// For a receiver: what it did not get.
    lost: Money,
    /// For a payer: what was missing and was written off.
    written_off: Money,
    /// For a payer: what was too much and was written off.
    kept: Money,
    /// What is still to be paid.
    open: u64,
    /// The instruction in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<InstructionId>,
    /// Where that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<InstructionStage>,
}

/// List the lines of a cycle
///
/// A line for each participant that pays or is paid. A brand sees its own participant's.
#[utoipa::path(get, path = "/v1/cycles/{cycle}/lines", tag = "clearing", operation_id = "listLines",
    params(("cycle" = u64, Path, description = "Its number.", example = 3), PageQuery),
    responses((status = 200, description = "The lines.", body = Page<CycleLine>)))]
pub async fn lines(
    caller: Caller,
    request: HttpRequest,
    cycle: web::Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let cycle: u64 = cycle.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>("lines")?);
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let (seq, from) = (shown(&service), service.clone());
    let found = web::block(move || lines_of(&from, cycle, own.as_ref(), after.as_deref(), limit));
    let (items, next) = found.await.map_err(Problem::fault)??;
    let next = next.map(|next| cursor("lines", &next));
    Ok(page(&request, seq, &Page { items, next }))
}

fn lines_of(
    service: &Arc<Service>,
    cycle: u64,
    own: Option<&ParticipantId>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<CycleLine>, Option<String>), Problem> {
    let closing = service.closing(cycle)?.ok_or_else(nothing)?;
    let prefix = match own {
        Some(own) => format!("line/{cycle}/{own}/"),
        None => format!("line/{cycle}/"),
    };
    let now = service.log_time()?.seconds();
    let from = after.map_or_else(|| prefix.clone(), str::to_owned);
    let loaded = service.engine().read().scan(&from, limit.saturating_add(1))?;
    let (mut items, mut next, mut last) = (vec![], None, None);
    for row in loaded.rows.iter().take_while(|row| row.key.starts_with(&prefix)) {
        if items.len() >= limit {
            next = last;
            break;
        }
        let name: Name = row.key.parse().map_err(Problem::fault)?;
        let record = Record::decode(&name, &row.value).map_err(Problem::fault)?;
        if let (Name::Line(_, participant, currency), Record::Line(line)) = (name, record) {
            items.push(shown_line(service, &closing, participant, currency, &line, now)?);
        }
        last = Some(row.key.clone());
    }
    Ok((items, next))
}

fn shown_line(
    service: &Service,
    closing: &Closing,
    participant: ParticipantId,
    currency: Currency,
    line: &Line,
    now: u64,
) -> Result<CycleLine, Problem> {
    let record = match line.instruction {
        Some(id) => service.record(&Name::Instruction(id))?,
        None => None,
    };
    let instruction = record.as_deref().and_then(Record::instruction);
    Ok(CycleLine {
        participant,
        currency,
        net: line.net,
        carry: line.carry,
        amount: line.amount,
        carried: line.carried(),
        paid: line.paid,
        drawn: line.drawn,
        lost: line.lost,
        written_off: line.written_off,
        kept: line.kept,
        open: line.open(),
        instruction: line.instruction,
        stage: instruction.map(|one| instruction_stage(one, closing, now)),
    })
}
