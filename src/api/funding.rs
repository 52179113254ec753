//! Funding: what stands behind units' points, for everybody to see; behind debts, for whose they are; cover and reserves.
//!
//! Owns: these operations.
//! Promises: what everybody is shown of a unit's points is as of the end of a day: who asks again and again learns the
//! sum of a day, and not what single awards and payments come to.
//! Refuses to know: what is enough; `prices` measures it.

use super::call::{Caller, service};
use super::clearing::{State, unread};
use super::cycles::{shown, sight};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{self, AtIssuance, BreakageTo, Draft, MarginCall, Name, Record};
use crate::clearing::{CallMargin, MoveCover, SetReserve};
use crate::prices::{Standing, dearest, exposure, funding, is_short, owed_to, standing};
use crate::reading::{Item, Sort, cover_history, list};
use crate::types::{Currency, Date, Money, ParticipantId, Points, Rate, Time, UnitCode};
use crate::views::What;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Set how much must stand behind a unit's points
///
/// The reserve ratio. Signed by an analyst, approved by two of the operator's approvers: send it as `application/jose`, which
/// `tallyhouse sign` prints with `--approve` for each of them. With `issuance`, the root or an approver of the issuer's
/// brand approves it, too. From then on points are awarded, and got by exchange, only as far as the reserve stands for all
/// that are outstanding. With `issuance` the reserve is filled when points are issued instead: their issuer then owes its
/// holder what they need, its holder pays for them where they are spent, and what is freed by points that end unspent goes
/// where `breakage_to` says.
#[utoipa::path(post, path = "/v1/reserves", tag = "clearing", operation_id = "setReserve", request_body = SetReserve,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_reserve(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Top cover up, or take some back
///
/// A participant's cover, its share of the common fund, or the reserve of a unit of its own. Signed by an analyst, approved
/// by two of the operator's approvers: send it as `application/jose`, which `tallyhouse sign` prints with `--approve` for
/// each of them. A top-up names the line of an accepted bank statement by which
/// the money came. A withdrawal names the reference of the order, and carries the approval of the root or an approver of the
/// brand whose participant's money it is; nothing is taken back that is needed now.
#[utoipa::path(post, path = "/v1/cover", tag = "clearing", operation_id = "moveCover", request_body = MoveCover,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn move_cover(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Call upon a participant for what is missing
///
/// A participant that refunds, fees, losses or a lowered credit took over its limit is to top its cover up or to settle in
/// time. By an analyst; how much is missing the log says itself. It ends once the participant is within its limit again.
#[utoipa::path(post, path = "/v1/margin-calls", tag = "clearing", operation_id = "callMargin",
    request_body = CallMargin,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn call_margin(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// What is held for a unit's points.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnitReserve)]
pub struct Reserve {
    /// Version of what must be held: the next one is set under the number after it, the first under 1.
    #[schema(example = 1)]
    version: u64,
    /// In this currency.
    currency: Currency,
    /// How much of what outstanding points are worth must be held, in parts per million.
    #[schema(example = 1_000_000)]
    ratio: u32,
    /// The money that is held, apart from all other. Of a reserve that is filled when points are issued: what the points
    /// that are shown put into it, paid or owed.
    held: Money,
    /// Who holds it, if it is filled when points are issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<ParticipantId>,
    /// If so: who gets what points free that end unspent.
    #[serde(skip_serializing_if = "Option::is_none")]
    breakage_to: Option<BreakageTo>,
    /// The highest settle price of all in force or announced; absent if none is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Rate>,
    /// What the outstanding points need at that price.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<Money>,
}

/// What stands behind a unit's points.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UnitFunding {
    /// The unit.
    unit: UnitCode,
    /// The day of the unit's at whose end points were counted: the last one that is over.
    through: Date,
    /// Points on accounts then, in the unit's smallest: available, held and pending.
    outstanding: Points,
    /// What is held for them now; absent if nothing must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve: Option<Reserve>,
}

/// The day before an instant's.
fn day_before(at: Time, offset: i16) -> Option<Date> {
    let today = at.date(offset).starts(offset);
    Time::from_micros(today.micros().checked_sub(1)?).map(|last| last.date(offset))
}

/// Show what stands behind a unit's points
///
/// How many are outstanding, what is held for them, and how much of their worth must be. Points are counted as of the end
/// of the unit's last whole day. For everybody.
#[utoipa::path(get, path = "/v1/units/{unit}/funding", tag = "units", operation_id = "getUnitFunding",
    params(("unit" = UnitCode, Path, description = "The unit.")),
    responses((status = 200, description = "What stands behind its points.", body = UnitFunding)))]
pub async fn unit_funding(request: HttpRequest, unit: web::Path<String>) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such unit");
    let code: UnitCode = unit.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let at = service.log_time()?;
    let (seq, [unit, reserve, prices]) =
        service.records(&[Name::Unit(code), Name::Reserve(code), Name::Prices(code)])?;
    let offset = unit.as_ref().and_then(Record::unit).ok_or_else(nothing)?.offset;
    let through = day_before(at, offset).ok_or_else(|| Problem::fault("no day is over yet"))?;
    let flows = web::block(move || service.views.flows(Some(code), None, Some(through)));
    let flows = flows.await.map_err(Problem::fault)??;
    let came = flows.what.iter().map(|flow| match flow.what {
        What::Issued | What::GivenBack => i128::from(flow.points),
        _ => -i128::from(flow.points),
    });
    let outstanding = u64::try_from(came.sum::<i128>()).ok().and_then(Points::new);
    let outstanding = outstanding.ok_or_else(|| Problem::fault(format!("flows of {code} sum below zero")))?;
    let reserve = reserve.as_ref().and_then(Record::reserve).map(|reserve| {
        let versions = prices.as_ref().and_then(Record::prices).map_or(&[][..], |prices| &prices.versions);
        let price = dearest(versions, reserve.currency, at.seconds());
        // As of the same day: the amount itself would tell what is outstanding now.
        let filled = |terms: &AtIssuance| terms.rate.money_ppm_ceil(outstanding, reserve.ratio);
        Reserve {
            version: reserve.version,
            currency: reserve.currency,
            ratio: reserve.ratio,
            held: reserve.issuance.as_ref().and_then(filled).unwrap_or(reserve.held),
            keeper: reserve.issuance.as_ref().map(|terms| terms.keeper.clone()),
            breakage_to: reserve.issuance.as_ref().map(|terms| terms.breakage_to),
            price,
            needed: price.and_then(|price| price.money_ppm_ceil(outstanding, reserve.ratio)),
        }
    });
    Ok(json(seq, &UnitFunding { unit: code, through, outstanding, reserve }))
}

/// What a participant may owe one other at the most.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PairExposure {
    /// Who is owed.
    creditor: ParticipantId,
    /// Most that may be owed on balance.
    most: Money,
    /// What is: − is owed the other way.
    owed: i64,
}

/// What a participant stands for in one currency, and what stands behind it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ParticipantExposure)]
pub struct Exposure {
    /// The currency.
    currency: Currency,
    /// Booked and not settled: + is owed to it, − is owed by it.
    position: i64,
    /// What it owes for the purpose of caps: credits that are being paid out do not count.
    debt: i64,
    /// Reserved for what was authorised and is not captured, and for firm offers.
    in_flight: u64,
    /// Version of the terms on which it may owe: the next ones are set under the number after it. 0: none were set.
    #[schema(example = 1)]
    version: u64,
    /// Most that it may owe.
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<Money>,
    /// Whether its debts must be covered.
    covered: bool,
    /// The money that it left as cover.
    cover: Money,
    /// Its share of the common fund.
    fund: Money,
    /// Most that debt and in-flight debits may come to: the smaller of cap and cover; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// What it may still come to owe.
    #[serde(skip_serializing_if = "Option::is_none")]
    headroom: Option<u64>,
    /// What is missing, if it is over its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Money>,
    /// How it stands.
    state: Standing,
    /// The margin call that was not met yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<MarginCall>,
    /// Caps for single creditors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<PairExposure>,
}

fn exposures(service: &Service, who: &ParticipantId) -> Result<Vec<Exposure>, Problem> {
    let (state, at) = (State { service }, service.log_time()?);
    let mut draft = Draft::new(&state, 0, at);
    let mut all = vec![];
    for currency in service.genesis.currencies.iter().map(|currency| currency.code) {
        let stands = exposure(&mut draft, who, currency).map_err(unread)?;
        let have = funding(&mut draft, who, currency).map_err(unread)?;
        if have.is_none() && stands.position == 0 && stands.debt == 0 {
            continue;
        }
        let have = have.unwrap_or_default();
        let mut pairs = vec![];
        for (creditor, most) in have.pairs {
            let owed = owed_to(&mut draft, who, &creditor, currency).map_err(unread)?;
            pairs.push(PairExposure { creditor, most, owed });
        }
        all.push(Exposure {
            currency,
            position: stands.position,
            debt: stands.debt,
            in_flight: stands.reserved,
            version: have.version,
            cap: have.cap,
            covered: have.covered,
            cover: have.cover,
            fund: have.fund,
            limit: stands.limit,
            headroom: stands.headroom(),
            missing: stands.missing(),
            state: standing(&stands, have.call.as_ref(), at),
            call: have.call,
            pairs,
        });
    }
    Ok(all)
}

/// A participant that the caller may see: its own, or any.
fn visible(service: &Service, caller: &Caller, id: &str) -> Result<ParticipantId, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such participant of yours");
    let who: ParticipantId = id.parse().map_err(|_| nothing())?;
    if sight(service, caller)?.is_some_and(|own| own != who) {
        return Err(nothing());
    }
    service.record(&Name::Participant(who.clone()))?.ok_or_else(nothing)?;
    Ok(who)
}

/// Show what a participant stands for
///
/// In each currency: position, in-flight debits, cap, cover, headroom, how it stands, and the margin call that was not met.
/// For the participant's brand, the operator, analysts and auditors.
#[utoipa::path(get, path = "/v1/participants/{participant}/exposure", tag = "clearing", operation_id = "getExposure",
    params(("participant" = ParticipantId, Path, description = "The participant.")),
    responses((status = 200, description = "What it stands for.", body = Page<Exposure>)))]
pub async fn participant_exposure(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let who = visible(&service, &caller, &id)?;
    let seq = shown(&service);
    let items = web::block(move || exposures(&service, &who)).await.map_err(Problem::fault)??;
    Ok(json(seq, &Page { items, next: None }))
}

/// A step of a participant's cover, or of a reserve of its own.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CoverStep {
    /// The entry.
    #[schema(example = 15740)]
    seq: u64,
    /// The currency.
    currency: Currency,
    /// What happened.
    facts: book::CoverStep,
}

/// List what became of a participant's cover
///
/// The terms that were set, top-ups, withdrawals, margin calls and what was drawn when it did not pay, oldest first, by
/// currency, each with what it rests on. For the participant's brand, the operator, analysts and auditors.
#[utoipa::path(get, path = "/v1/participants/{participant}/cover", tag = "clearing", operation_id = "listCover",
    params(("participant" = ParticipantId, Path, description = "The participant."), PageQuery),
    responses((status = 200, description = "The steps.", body = Page<CoverStep>)))]
pub async fn cover_steps(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>("cover")?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    let who = visible(&service, &caller, &id)?;
    let found =
        web::block(move || Ok::<_, Problem>(cover_history(&**service.engine().read(), &who, &after, limit)?));
    let found = found.await.map_err(Problem::fault)??;
    let next = found.next.map(|next| cursor("cover", &next));
    let step = |item: Item| match (item.name, item.record) {
        (Name::CoverStep(_, currency, seq), Record::CoverStep(facts)) => {
            Some(CoverStep { seq, currency, facts: *facts })
        }
        _ => None,
    };
    let items = found.items.into_iter().filter_map(step).collect();
    Ok(page(&request, found.as_of.map(|place| place.seq), &Page { items, next }))
}

/// How many participants are over their limit, and how many units' reserves are short.
pub(super) fn alarms(service: &Service) -> Result<[u64; 2], Problem> {
    let state = State { service };
    let mut draft = Draft::new(&state, 0, service.log_time()?);
    let (mut over, mut short) = (0, 0);
    for item in all(service, Sort::Funding)? {
        let Name::Funding(who, currency) = item.name else { continue };
        over += u64::from(exposure(&mut draft, &who, currency).map_err(unread)?.overrun());
    }
    for item in all(service, Sort::Reserves)? {
        let (Name::Reserve(unit), Record::Reserve(reserve)) = (item.name, item.record) else { continue };
        short += u64::from(is_short(&mut draft, unit, &reserve).map_err(unread)?);
    }
    Ok([over, short])
}

fn all(service: &Service, sort: Sort) -> Result<Vec<Item>, Problem> {
    let (mut items, mut after) = (vec![], String::new());
    loop {
        let page = list(&**service.engine().read(), sort, &after, 500)?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return Ok(items),
        }
    }
}
