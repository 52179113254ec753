//! Cover and reserves: the money that stands behind debts and behind points, brought and taken back.
//!
//! Owns: how much must stand behind a unit's points; top-ups and withdrawals, each with what it rests on; margin calls.
//! Promises: nothing is counted as brought but by a line of an accepted bank statement that nothing else was about, and
//! no more than the line brought; nothing is taken back that is needed now, or may be as long as its participant or a cycle of
//! its is behind, nor without the consent of whose money it is.
//! Each step stands in a record of its own.
//! Refuses to know: how money moves.

use super::funding::next_version;
use super::people::{analyst, consented, two_people};
use super::stage::{Stage, side};
use crate::book::{
    AtIssuance, Booking, BreakageTo, CoverChange, CoverStep, Draft, Funding, LinePlace, MarginCall, Name,
    Network, PartKey, Record, Reserve, Statement, Stop, Used, Way,
};
use crate::network::{Asked, consents, operators_own};
use crate::prices::{
    WHOLE, dearest_now, end_met_call, exposure, funding, limit, needed, points_outstanding, reserve_of,
};
use crate::types::{
    Currency, Fingerprint, Ident, Money, ParticipantId, Rate, Refusal, Refused, UnitCode, decimal,
};
use serde::{Deserialize, Serialize};

/// Most that a reserve may have to be of what points are worth, in parts per million: ten times.
pub const MOST_RATIO: u32 = 10_000_000;

/// `reserve.set`, signed by an analyst, approved by two approvers: how much must stand behind a unit's points. With
/// `issuance` the unit's issuer agrees, too: the root or an approver key of the brand that speaks for its participant signs an
/// approval.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetReserve {
    /// Which unit's.
    pub unit: UnitCode,
    /// In this currency: the settle price in it counts, and money of it is held.
    pub currency: Currency,
    /// One more than that of the reserve's terms in force; 1 at first.
    pub version: u64,
    /// How much of what outstanding points are worth must be held, in parts per million; 0: nothing.
    #[schema(maximum = 10_000_000, example = 1_000_000)]
    pub ratio: u32,
    /// If the reserve is filled when points are issued, and not topped up: the operator's participant holds it and pays for
    /// the points where they are spent. Only while none are outstanding, and with a ratio of at least 1,000,000; set, changed
    /// and ended so.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub issuance: Option<FilledAtIssuance>,
}

/// On what terms a reserve is filled when points are issued.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilledAtIssuance {
    /// Who gets what points free that expire or are forfeited.
    pub breakage_to: BreakageTo,
}

/// `cover.move`, signed by an analyst, approved by two approvers: a participant's cover, its share of the common fund, or
/// the reserve of a unit of its own, is topped up by what a statement says came in, or some of it is taken back. Nothing is
/// taken back without an approval by the root or an approver of the brand whose participant's money it is.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveCover {
    /// Whose.
    pub participant: ParticipantId,
    /// In this currency.
    pub currency: Currency,
    /// The reserve of this unit; the cover of the participant's debts if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<UnitCode>,
    /// Its share of the common fund, which is drawn after its cover, instead of its cover.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fund: bool,
    /// `in`: a top-up; `out`: a withdrawal.
    pub way: Way,
    /// How much.
    pub amount: Money,
    /// Of a top-up: the line by which the money came.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub line: Option<LinePlace>,
    /// Of a withdrawal: the reference of the order by which the money goes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
}

/// How far ahead a call's deadline may be, in seconds: 30 days.
const LONGEST_CALL: u64 = 30 * 86_400;

/// `margin.call`, signed by an analyst: a participant that stands for more than is behind it is to bring what is missing.
/// How much that is the log says itself.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallMargin {
    /// Whom.
    pub participant: ParticipantId,
    /// In this currency.
    pub currency: Currency,
    /// By when, in Unix seconds: at most 30 days ahead, and never later than a call that was not met yet.
    pub until: u64,
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T, Stop> {
    Err(Refused::about(Refusal::CoverInvalid, what).into())
}

/// Sets how much must stand behind a unit's points. What is held stays.
pub fn set_reserve(draft: &mut Draft, asked: &Asked, args: &SetReserve) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    draft.unit(args.unit)?;
    if args.ratio > MOST_RATIO || !draft.network()?.currencies.contains(&args.currency) {
        let about = format!("ratio, currency: at most {MOST_RATIO}, of the network");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let mut rate = None;
    if args.ratio > 0 {
        // Without a price nothing says what points need, and none could be issued any more.
        rate = Some(dearest_now(draft, args.unit, args.currency)?);
    }
    let before = reserve_of(draft, args.unit)?;
    let version = next_version(before.as_ref().map_or(0, |before| before.version), args.version)?;
    let issuance = filled_at_issuance(draft, asked, args, before.as_ref(), rate)?;
    let held = match before {
        Some(before) if before.currency != args.currency && !before.held.is_zero() => {
            let held = draft.network()?.told(before.currency, before.held.get());
            let about = format!("currency: {held} are held, and are taken back first");
            return Err(Refused::about(Refusal::SettingInvalid, about).into());
        }
        before => before.map_or(Money::ZERO, |before| before.held),
    };
    let reserve = Reserve { version, currency: args.currency, ratio: args.ratio, held, issuance };
    draft.put(PartKey::Public, Name::Reserve(args.unit), Some(Record::Reserve(reserve)))
}

/// The terms of a reserve that is filled when points are issued. What is outstanding was paid for by the terms that it was
/// issued under, so they are set, changed and ended while nothing is.
fn filled_at_issuance(
    draft: &mut Draft,
    asked: &Asked,
    args: &SetReserve,
    before: Option<&Reserve>,
    rate: Option<Rate>,
) -> Result<Option<AtIssuance>, Stop> {
    let was = before.is_some_and(|before| before.issuance.is_some());
    if args.issuance.is_none() && !was {
        return Ok(None);
    }
    let outstanding = points_outstanding(draft, args.unit)?;
    if !outstanding.is_zero() {
        let about = format!("issuance: {outstanding} {} are outstanding", args.unit);
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let (Some(terms), held) = (&args.issuance, before.map_or(Money::ZERO, |before| before.held)) else {
        return Ok(None);
    };
    let keeper = operators_own(draft)?;
    let brand = draft.unit(args.unit)?.brand.clone();
    let issuer = draft.brand(&brand)?.participant.clone();
    // It comes to owe for points that it issues, and to somebody else than who takes them.
    consents(draft, asked, &issuer)?;
    let Some(rate) = rate.filter(|_| args.ratio >= WHOLE && held.is_zero() && issuer != keeper) else {
        let about =
            "issuance: a ratio of 1,000,000 or more, of another issuer than the operator, nothing held yet";
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    };
    let network = draft.network()?;
    if !network.funded {
        let network = Network { funded: true, ..(*network).clone() };
        draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))?;
    }
    Ok(Some(AtIssuance { keeper, breakage_to: terms.breakage_to, rate }))
}

/// Tops cover or a reserve up, or takes some of it back.
pub fn move_cover(draft: &mut Draft, asked: &Asked, args: &MoveCover) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    draft.participant(&args.participant)?;
    if args.amount.is_zero() {
        return invalid("amount: at least 1");
    }
    if args.fund && args.unit.is_some() {
        return invalid("fund, unit: the share of the fund, or a unit's reserve");
    }
    match (args.way, &args.line, &args.reference) {
        (Way::In, Some(line), None) => draw_line(draft, args, line)?,
        (Way::Out, None, Some(reference)) => {
            consented(draft, asked, &args.participant)?;
            take_reference(draft, args, reference)?;
        }
        (Way::In, ..) => return invalid("a top-up names a line, and nothing else"),
        (Way::Out, ..) => return invalid("a withdrawal names a reference, and nothing else"),
    }
    let after = match args.unit {
        Some(unit) => change_reserve(draft, args, unit)?,
        None => change_cover(draft, args)?,
    };
    let change = match args.way {
        Way::In => CoverChange::ToppedUp,
        Way::Out => CoverChange::Withdrawn,
    };
    let step = CoverStep {
        unit: args.unit,
        of_fund: args.fund,
        line: args.line.as_ref().map(|line| (line.statement.clone(), line.line)),
        reference: args.reference.clone(),
        ..CoverStep::bare(change, args.amount, after, asked.kid, draft.at)
    };
    keep(draft, &args.participant, args.currency, step)
}

/// Keeps a step for ever.
pub(super) fn keep(
    draft: &mut Draft,
    who: &ParticipantId,
    currency: Currency,
    step: CoverStep,
) -> Result<(), Stop> {
    let name = Name::CoverStep(who.clone(), currency, draft.seq);
    draft.put(PartKey::Participant(who.clone()), name, Some(Record::from(step)))
}

/// Calls upon a participant to bring what is missing: the log says how much, the analyst by when.
pub fn call_margin(draft: &mut Draft, asked: &Asked, args: &CallMargin) -> Result<(), Stop> {
    let no = |what: String| Err(Refused::about(Refusal::MarginCallInvalid, what).into());
    analyst(draft, asked.kid)?;
    draft.participant(&args.participant)?;
    let (who, currency, now) = (&args.participant, args.currency, draft.at.seconds());
    let stands = exposure(draft, who, currency)?;
    let Some(have) = funding(draft, who, currency)?.filter(|_| stands.overrun()) else {
        return no(format!("{who} stands for no more than is behind it in {currency}"));
    };
    let Some(amount) = stands.missing() else { return Err(Refusal::AmountTooLarge.into()) };
    // A call that is under way is for more at most; it is not put off.
    let latest = now.saturating_add(LONGEST_CALL).min(have.call.map_or(u64::MAX, |call| call.until.max(now)));
    if args.until <= now || args.until > latest {
        return no(format!("until: after {now}, at the latest {latest}"));
    }
    let (cover, call) = (have.cover, MarginCall { amount, until: args.until, seq: draft.seq });
    let name = Name::Funding(who.clone(), currency);
    let after = Record::from(Funding { call: Some(call), ..have });
    draft.put(PartKey::Participant(who.clone()), name, Some(after))?;
    let called = CoverStep::bare(CoverChange::Called, amount, cover, asked.kid, draft.at);
    let step = CoverStep { until: Some(args.until), ..called };
    keep(draft, who, currency, step)
}

/// Takes so much of what a line brought, if nothing else was about it.
fn draw_line(draft: &mut Draft, args: &MoveCover, place: &LinePlace) -> Result<(), Stop> {
    let mut statement: Statement = (*draft.statement(args.currency, &place.statement)?).clone();
    let line = statement.lines.get(usize::from(place.line));
    let came = line.is_some_and(|line| line.way == Way::In && line.booking == Booking::Booked);
    let left = statement.left(place.line);
    if !came || left.is_zero() {
        return invalid(format!("{}: no line {} of money that is nobody's", place.statement, place.line));
    }
    let used = statement.covers.iter().position(|(line, _)| *line == place.line);
    let before = used.and_then(|at| statement.covers.get(at)).map_or(Money::ZERO, |(_, used)| *used);
    if args.amount > left {
        let left = draft.network()?.told(args.currency, left.get());
        return invalid(format!("{left} are left of line {}", place.line));
    }
    let after = before.plus(args.amount).ok_or(Refusal::AmountTooLarge)?;
    match used.and_then(|at| statement.covers.get_mut(at)) {
        Some(used) => used.1 = after,
        None => statement.covers.push((place.line, after)),
    }
    let name = Name::Statement(args.currency, place.statement.clone());
    draft.put(PartKey::Public, name, Some(Record::from(statement)))
}

/// By its reference the bank's line is known by which a withdrawal left: no other has it.
fn take_reference(draft: &mut Draft, args: &MoveCover, reference: &Ident) -> Result<(), Stop> {
    let name = Name::UsedOrder(args.currency, reference.clone());
    if let Some(Used(seq, ..)) = draft.get(&name)?.as_deref().and_then(Record::used) {
        return invalid(format!("reference: {reference} is that of the withdrawal of entry {seq}"));
    }
    let used = Used(draft.seq, 0, Fingerprint::of(reference.as_str().as_bytes()));
    draft.put(PartKey::Participant(args.participant.clone()), name, Some(Record::Used(used)))
}

/// What there is after the change.
fn changed(draft: &mut Draft, args: &MoveCover, before: Money) -> Result<Money, Stop> {
    match args.way {
        Way::In => Ok(before.plus(args.amount).ok_or(Refusal::AmountTooLarge)?),
        Way::Out => match before.minus(args.amount) {
            Some(after) => Ok(after),
            None => {
                let before = draft.network()?.told(args.currency, before.get());
                invalid(format!("{before} are there"))
            }
        },
    }
}

fn change_cover(draft: &mut Draft, args: &MoveCover) -> Result<Money, Stop> {
    let Some(before) = funding(draft, &args.participant, args.currency)? else {
        // A debtor's order: what it owes stays within its limit at each step.
        return invalid(format!(
            "nothing is set for {} in {}: first funding.set, without covered; then its cover; then funding.set with covered",
            args.participant, args.currency
        ));
    };
    if args.way == Way::Out {
        nothing_open(draft, &args.participant, args.currency)?;
    }
    let after = match args.fund {
        true => Funding { fund: changed(draft, args, before.fund)?, ..before },
        false => Funding { cover: changed(draft, args, before.cover)?, ..before },
    };
    if args.way == Way::Out {
        above_exposure(draft, args, &after)?;
    }
    let has = if args.fund { after.fund } else { after.cover };
    let name = Name::Funding(args.participant.clone(), args.currency);
    draft.put(PartKey::Participant(args.participant.clone()), name, Some(Record::from(after)))?;
    end_met_call(draft, &args.participant, args.currency)?;
    Ok(has)
}

/// What is left stands for what is in use: cover alone for cover, which is drawn first; cover and share for the fund's share.
fn above_exposure(draft: &mut Draft, args: &MoveCover, after: &Funding) -> Result<(), Stop> {
    let used = exposure(draft, &args.participant, args.currency)?.used();
    let left = match args.fund {
        true => after.cover.get().saturating_add(after.fund.get()),
        false => limit(after).unwrap_or(u64::MAX).min(after.cover.get()),
    };
    if i128::from(used) <= i128::from(left) {
        return Ok(());
    }
    let used = draft.network()?.told(args.currency, used);
    let what = if args.fund { "the fund's share with the cover" } else { "cover" };
    let about = format!("{used} are in use: {what} is taken back as far as it is above that");
    Err(Refused::about(Refusal::ExposureExceeded, about).into())
}

/// Refused while a cycle waits for a participant that is late, or for what somebody did not pay: what stands behind it may be
/// drawn.
fn nothing_open(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<(), Stop> {
    for cycle in draft.cycle()?.live.clone() {
        let line = draft.get(&Name::Line(cycle, who.clone(), currency))?;
        let Some(line) = line.as_deref().and_then(Record::line).filter(|line| line.amount != 0) else {
            continue;
        };
        let closing = draft.closing(cycle)?;
        let Some(due) = closing.due.filter(|_| line.version == closing.version) else { continue };
        let sums = closing.sums.iter().find(|sums| sums.currency == currency);
        let short = sums.is_some_and(|sums| side(&closing, sums) == Stage::Shortfall);
        let late = line.amount < 0 && line.open() > 0 && due <= draft.at.seconds();
        let about = match (late, short) {
            (true, _) => format!(
                "{who} did not pay what cycle {cycle} asked for in time: that is paid or covered first"
            ),
            (_, true) => format!("cycle {cycle} is short in {currency}: that is paid or covered first"),
            _ => continue,
        };
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    Ok(())
}

fn change_reserve(draft: &mut Draft, args: &MoveCover, unit: UnitCode) -> Result<Money, Stop> {
    let brand = draft.unit(unit)?.brand.clone();
    if draft.brand(&brand)?.participant != args.participant {
        return invalid(format!("{unit} is none of {}'s", args.participant));
    }
    let before = reserve_of(draft, unit)?.filter(|reserve| reserve.currency == args.currency);
    let Some(before) = before else {
        let about =
            format!("nothing is set for {unit} in {}: first reserve.set, then its money", args.currency);
        return invalid(about);
    };
    if before.issuance.is_some() {
        return invalid(format!("{unit}: its reserve is filled when points are issued"));
    }
    let before_held = before.held;
    let after = Reserve { held: changed(draft, args, before.held)?, ..before };
    if args.way == Way::Out {
        let points = points_outstanding(draft, unit)?;
        let need = needed(draft, unit, &after, points)?;
        if need.is_none_or(|need| need > after.held) {
            let points = decimal(points.signed(), draft.unit(unit)?.scale);
            let held = draft.network()?.told(args.currency, before_held.get());
            let need = match need {
                Some(need) => draft.network()?.told(args.currency, need.get()),
                None => "more".into(),
            };
            let about = format!("{points} {unit} are outstanding: {need} of {held} are needed");
            return Err(Refused::about(Refusal::IssuanceCoverExceeded, about).into());
        }
    }
    let held = after.held;
    let part = PartKey::Participant(args.participant.clone());
    draft.put(part, Name::Reserve(unit), Some(Record::Reserve(after)))?;
    Ok(held)
}
