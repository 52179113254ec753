//! Instructions, objections, bank statements, positions.

use super::call::{Caller, service};
use super::cycles::{shown, sight};
use super::filed::filed;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{
    self, Answered, Draft, Found, Mark, Name, Record, Rejection, Source, StatementState, Stop,
};
use crate::clearing::{
    AcceptStatement, AssignLine, ImportStatement, InstructionStage, MoveInstruction, RejectStatement,
    SetFunding, instruction_stage,
};
use crate::prices::exposure;
use crate::reading::{Item, Sort, list};
use crate::types::{Currency, Hash, Ident, InstructionId, Kid, ObjectionId, ParticipantId, Time, word};
use crate::views::{Filing, FilingsOf};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// Move an instruction on
///
/// The bank acknowledged or rejected it; it is issued again, and sent; a small difference is written off. Signed by an
/// analyst. All but `acknowledge` are approved by two of the operator's approvers: send them as
/// `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them. The `file` of `send` is the `sha256`
/// that `GET /v1/cycles/{cycle}/orders/{currency}?instruction=…` says: another is refused with `file_mismatch`.
#[utoipa::path(post, path = "/v1/instructions/moves", tag = "clearing", operation_id = "moveInstruction",
    request_body = MoveInstruction,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn move_instruction(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Import a bank statement
///
/// A statement of the settlement account, matched with instructions. Nothing is confirmed until somebody else accepts it.
#[utoipa::path(post, path = "/v1/bank-statements", tag = "clearing", operation_id = "importStatement",
    request_body = ImportStatement,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn import(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Accept a bank statement
///
/// By another person than who imported it. A line that fits no instruction is an exception and changes nothing; of one that
/// brings more than is open of its instruction (`pays`) the rest is nobody's.
#[utoipa::path(post, path = "/v1/bank-statements/acceptances", tag = "clearing", operation_id = "acceptStatement",
    request_body = AcceptStatement,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn accept(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Reject a bank statement
///
/// One that was imported and is not accepted: by whoever works for the operator, who imported it included. It changes nothing,
/// the log says who rejected it and why, and the bank's id of it may be imported again.
#[utoipa::path(post, path = "/v1/bank-statements/rejections", tag = "clearing", operation_id = "rejectStatement",
    request_body = RejectStatement,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn reject(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Say what a line of a bank statement was about
///
/// A line that fitted nothing when its statement was accepted, or a part of it (`amount`): it paid an `instruction`, or took a
/// payment of it back; it took back another such line (`returns`), money that was nobody's, or too much of a payment, and went
/// back to whoever sent it; by it left what was taken back of cover (`withdrawal`); it was the bank's `charge`, which the
/// operator's participant bears, or money of that participant's `own`, brought for what it bears (`operator`). Signed by an
/// analyst, approved by two of the operator's approvers: send it as `application/jose`, which `tallyhouse sign` prints with
/// `--approve` for each of them. What becomes cover or a reserve is `POST /v1/cover`.
#[utoipa::path(post, path = "/v1/bank-statements/assignments", tag = "clearing", operation_id = "assignLine",
    request_body = AssignLine,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn assign(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Set on what terms a participant may owe
///
/// Caps, and whether its debts must be covered. Signed by an analyst, approved by two of the operator's approvers: send it
/// as `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them. It replaces what was set before,
/// and stays in the history of the cover; no cap is cut below what is in use. It brings no money: that is `POST /v1/cover`.
#[utoipa::path(post, path = "/v1/funding", tag = "clearing", operation_id = "setFunding", request_body = SetFunding,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_funding(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// An instruction.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Instruction {
    /// Its id: the EndToEndId of the payment.
    instruction: InstructionId,
    /// Where it stands.
    stage: InstructionStage,
    /// What it says.
    facts: book::Instruction,
}

/// Show an instruction
///
/// A payment that a cycle asks for. For the participant's brand, the operator and analysts.
#[utoipa::path(get, path = "/v1/instructions/{instruction}", tag = "clearing", operation_id = "getInstruction",
    params(("instruction" = InstructionId, Path, description = "Its id.")),
    responses((status = 200, description = "The instruction.", body = Instruction)))]
pub async fn get_instruction(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such instruction of yours");
    let id: InstructionId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Instruction(id))?;
    let facts = record.as_deref().and_then(Record::instruction).cloned().ok_or_else(nothing)?;
    if own.is_some_and(|own| own != facts.participant) {
        return Err(nothing());
    }
    let closing = service.record(&Name::Closing(facts.cycle))?;
    let closing = closing.as_deref().and_then(Record::closing).ok_or_else(nothing)?;
    let stage = instruction_stage(&facts, closing, service.log_time()?.seconds());
    Ok(json(seq, &Instruction { instruction: id, stage, facts }))
}

/// An objection.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Objection {
    /// Its id.
    objection: ObjectionId,
    /// What it says.
    facts: book::Objection,
}

/// Show an objection
///
/// For the brands of both sides, the operator and analysts.
#[utoipa::path(get, path = "/v1/objections/{objection}", tag = "clearing", operation_id = "getObjection",
    params(("objection" = ObjectionId, Path, description = "Its id.")),
    responses((status = 200, description = "The objection.", body = Objection)))]
pub async fn get_objection(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such objection of yours");
    let id: ObjectionId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Objection(id))?;
    let facts = record.as_deref().and_then(Record::objection).cloned().ok_or_else(nothing)?;
    if own.is_some_and(|own| own != facts.debtor && own != facts.creditor) {
        return Err(nothing());
    }
    Ok(json(seq, &Objection { objection: id, facts }))
}

/// What became of an objection.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionState {
    /// Nobody answered it yet.
    Open,
    /// Its obligations went on to the open cycle.
    Accepted,
    /// They stayed.
    Rejected,
}

/// Which objections.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichObjections {
    /// Those to this cycle.
    #[param(example = 3)]
    cycle: Option<u64>,
    /// Those of which this became.
    #[param(inline)]
    state: Option<ObjectionState>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List objections
///
/// The newest first. A brand gets those about what its participant owes or is owed; the operator and analysts get all.
#[utoipa::path(get, path = "/v1/objections", tag = "clearing", operation_id = "listObjections",
    params(WhichObjections),
    responses((status = 200, description = "The objections.", body = Page<Objection>)))]
pub async fn objections(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhichObjections>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (cycle, state) = (query.cycle, query.state);
    let places = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let filter = FilingsOf {
        whose: own.as_ref().map(ToString::to_string),
        stage: state.map(|state| word(&state)),
        open: None,
        cycle,
    };
    let became = |one: &book::Objection| match &one.answer {
        None => ObjectionState::Open,
        Some((Answered::Accepted, _)) => ObjectionState::Accepted,
        Some((Answered::Rejected, _)) => ObjectionState::Rejected,
    };
    let wanted = |record: &Record| {
        record.objection().is_some_and(|one| {
            own.as_ref().is_none_or(|own| *own == one.debtor || *own == one.creditor)
                && cycle.is_none_or(|cycle| cycle == one.cycle)
                && state.is_none_or(|state| state == became(one))
        })
    };
    let found = filed(&service, Filing::Objection, filter, ("objections", &places), wanted).await?;
    let mut items = vec![];
    for ((seq, part), record) in found.rows {
        let Record::Objection(facts) = record else { continue };
        items.push(Objection { objection: ObjectionId { seq, part }, facts: *facts });
    }
    Ok(page(&request, found.seq, &Page { items, next: found.next }))
}

/// A bank statement.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Statement {
    /// The bank's id of it.
    statement: Ident,
    /// What it says, and what became of it.
    facts: book::Statement,
}

/// A bank statement on the list.
#[derive(Serialize, utoipa::ToSchema)]
pub struct StatementListed {
    /// The currency of the account.
    currency: Currency,
    /// The bank's id of it.
    statement: Ident,
    /// Where it stands.
    state: StatementState,
    /// SHA-256 of the document.
    document: Hash,
    /// How many lines it has.
    lines: usize,
    /// How many of them are nobody's, or a part of them is.
    unmatched: usize,
    /// The key that imported it.
    by: Kid,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Mark>,
    /// When it was rejected, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejection>,
}

impl StatementListed {
    fn of(item: Item) -> Option<Self> {
        let (Name::Statement(currency, statement), Record::Statement(facts)) = (item.name, item.record)
        else {
            return None;
        };
        let nobodys = (0u16..).zip(&facts.lines).filter(|(line, _)| facts.unmatched(*line).is_some());
        Some(Self {
            currency,
            statement,
            state: facts.state(),
            document: facts.document,
            lines: facts.lines.len(),
            unmatched: nobodys.count(),
            by: facts.by,
            accepted: facts.accepted,
            rejected: facts.rejected,
        })
    }
}

/// Which statements.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichStatements {
    /// Those that stand there: `imported` are those that wait.
    #[param(inline)]
    state: Option<StatementState>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List bank statements
///
/// By currency and the bank's id: which wait to be accepted, which were accepted or rejected, and of how many lines something is
/// nobody's. For the operator and analysts.
#[utoipa::path(get, path = "/v1/bank-statements", tag = "clearing", operation_id = "listStatements",
    params(WhichStatements),
    responses((status = 200, description = "The statements.", body = Page<StatementListed>)))]
pub async fn statements(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhichStatements>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let WhichStatements { state, limit, cursor: from } = query.into_inner();
    let places = PageQuery { limit, cursor: from };
    let (limit, mut after) = (places.limit()?, places.place::<String>("statements")?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    if sight(&service, &caller)?.is_some() {
        return Err(Code::NotYours.into());
    }
    let seq = shown(&service);
    let found = web::block(move || {
        let mut items: Vec<StatementListed> = vec![];
        loop {
            let left = limit.saturating_sub(items.len());
            let page = list(&**service.engine().read(), Sort::Statements, &after, left)?;
            let wanted = page.items.into_iter().filter_map(StatementListed::of);
            items.extend(wanted.filter(|one| state.is_none_or(|state| state == one.state)));
            match page.next {
                Some(next) if items.len() < limit => after = next,
                next => return Ok::<_, Problem>((items, next)),
            }
        }
    });
    let (items, next) = found.await.map_err(Problem::fault)??;
    let next = next.map(|next| cursor("statements", &next));
    Ok(page(&request, seq, &Page { items, next }))
}

/// Show a bank statement
///
/// With the lines that changed nothing, and why. For the operator and analysts.
#[utoipa::path(get, path = "/v1/bank-statements/{currency}/{statement}", tag = "clearing", operation_id = "getStatement",
    params(("currency" = Currency, Path, description = "The currency of the account."),
        ("statement" = Ident, Path, description = "The bank's id of it.", example = "2026-04-02.1")),
    responses((status = 200, description = "The statement.", body = Statement)))]
pub async fn get_statement(
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such statement");
    let (currency, id) = path.into_inner();
    let currency: Currency = currency.parse().map_err(|_| nothing())?;
    let id: Ident = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    if sight(&service, &caller)?.is_some() {
        return Err(Code::NotYours.into());
    }
    let seq = shown(&service);
    let record = service.record(&Name::Statement(currency, id.clone()))?;
    let facts = record.as_deref().and_then(Record::statement).cloned().ok_or_else(nothing)?;
    Ok(json(seq, &Statement { statement: id, facts }))
}

/// What a participant stands for in one currency.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Position {
    /// The participant.
    participant: ParticipantId,
    /// The currency.
    currency: Currency,
    /// Booked and not settled: + is owed to it, − is owed by it.
    position: i64,
    /// What it owes for the purpose of caps: credits that are being paid out do not count.
    debt: i64,
    /// Reserved for payments that are authorised and not captured.
    reserved: u64,
    /// Most that debt and reserved may come to: the smaller of cap and cover.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// What it may still come to owe.
    #[serde(skip_serializing_if = "Option::is_none")]
    headroom: Option<u64>,
    /// Over its limit, by refunds or the like: no voluntary debit is taken until that has changed.
    overrun: bool,
}

/// State, as a source for a draft that is never finished.
pub(super) struct State<'a> {
    pub(super) service: &'a Service,
}

/// What goes wrong in a draft that only reads is no caller's fault.
pub(super) fn unread(stop: Stop) -> Problem {
    match stop {
        Stop::Refused(no) => Problem::fault(no),
        other => Problem::fault(format!("{other:?}")),
    }
}

impl Source for State<'_> {
    fn find(&self, name: &Name) -> Found {
        match self.service.record(name) {
            Ok(Some(record)) => Found::Known(record),
            Ok(None) => Found::Absent,
            Err(_) => Found::NotLoaded,
        }
    }
}

impl Service {
    /// What the rules make of state as it is shown.
    pub(super) fn looked<T>(
        &self,
        at: Time,
        look: impl FnOnce(&mut Draft) -> Result<T, Stop>,
    ) -> Result<T, Problem> {
        let state = State { service: self };
        look(&mut Draft::new(&state, 0, at)).map_err(unread)
    }
}

fn position(
    service: &Service,
    who: &ParticipantId,
    currency: Currency,
    at: Time,
) -> Result<Position, Problem> {
    let stands = service.looked(at, |draft| exposure(draft, who, currency))?;
    Ok(Position {
        participant: who.clone(),
        currency,
        position: stands.position,
        debt: stands.debt,
        reserved: stands.reserved,
        limit: stands.limit,
        headroom: stands.headroom(),
        overrun: stands.overrun(),
    })
}

/// List positions
///
/// What each participant is owed or owes now, and what it may still come to owe. In each currency the positions sum to
/// zero. A brand sees its own participant's.
#[utoipa::path(get, path = "/v1/positions", tag = "clearing", operation_id = "listPositions", params(PageQuery),
    responses((status = 200, description = "The positions.", body = Page<Position>)))]
pub async fn positions(
    caller: Caller,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>("positions")?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let (seq, from) = (shown(&service), service.clone());
    let found = web::block(move || {
        let (who, next) = match own {
            Some(own) => (vec![own], None),
            None => {
                let sort = crate::reading::Sort::Participants;
                let page = crate::reading::list(&**from.engine().read(), sort, &after, limit)?;
                let who = page.items.into_iter().filter_map(|item| match item.name {
                    Name::Participant(who) => Some(who),
                    _ => None,
                });
                (who.collect(), page.next)
            }
        };
        let (mut items, at) = (vec![], from.log_time()?);
        for who in &who {
            for currency in &from.genesis.currencies {
                let one = position(&from, who, currency.code, at)?;
                if one.position != 0 || one.debt != 0 || one.reserved != 0 || one.limit.is_some() {
                    items.push(one);
                }
            }
        }
        Ok::<_, Problem>((items, next))
    });
    let (items, next) = found.await.map_err(Problem::fault)??;
    let next = next.map(|next| cursor("positions", &next));
    Ok(page(&request, seq, &Page { items, next }))
}
