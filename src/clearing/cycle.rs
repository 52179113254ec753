//! A cycle's way from open to settled: seal, compute, review, approve, pay in, pay out, settle, void.
//!
//! Owns: what each step needs and which facts it stores.
//! Promises: an obligation is in exactly one cycle, cut by its place in the log; a computed cycle's nets sum to zero
//! per currency; pay-outs leave only once as much is there; an ended cycle never changes again.
//! Refuses to know: what a shortfall costs whom (`shortfall`), and what banks say (`import`).

use super::instruct::instruct;
use super::netting::Nets;
use super::people::{analyst, two_people};
use super::stage::{Step, allowed, collected, paid_out_in_full, stage};
use crate::book::{
    Closing, Computed, Cycle, Draft, Instruction, Line, Mark, Name, PartKey, Record, Stop, Sums, Way,
};
use crate::network::Asked;
use crate::types::{
    Currency, Hash, Ident, InstructionId, MAX_INT, Money, ParticipantId, Refusal, Refused, encode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most cycles under way: a participant's exposure is summed over them.
const MOST_LIVE: usize = 12;
/// Most lines of a cycle: each stands in a part of its own, of which an entry has 10,010.
const MOST_LINES: usize = 10_000;
/// Shortest time ahead for a deadline, for whoever is to object or to pay: a day, less what passes until it is signed and
/// sent. Where commands bring their own time, nobody waits.
const LEAST_AHEAD: u64 = 23 * 3_600;
/// Longest time ahead for a deadline.
const MOST_AHEAD: u64 = 90 * 86_400;
/// Longest time that an analyst alone may give payers, which nobody shortens again: 10 days.
const MOST_ALONE: u64 = 10 * 86_400;
/// How long after the due date a payer is in default.
pub const GRACE: u64 = 86_400;

/// `cycle.seal`, signed by an analyst: fixes the obligations of the open cycle and opens the next one.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealCycle {
    /// The open cycle's number.
    pub cycle: u64,
}

/// `cycle.compute`, signed by an analyst: nets and instructions of a sealed cycle.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeCycle {
    /// The cycle.
    pub cycle: u64,
    /// 1, then one more each time that it is computed again.
    pub version: u32,
    /// BLAKE3 of the nets as whoever asks computed them: of the JSON `[[currency, participant, net], …]` without spaces,
    /// in this order, without nets of 0.
    pub digest: Hash,
}

/// A step of a computed cycle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Opens the review: participants may object until `until`.
    Review,
    /// Sends it back with a `reason`, to be computed again.
    Return,
    /// Approves `version`: two approvers sign. Everybody who is to be paid has bank details that were confirmed.
    Approve,
    /// Asks payers to pay before `until`. More than 10 days ahead two approvers sign.
    PayIn,
    /// Says that not everybody paid.
    Shortfall,
    /// Covers what is missing, in a `currency` or in all; at most `tranche` of each by the operator's
    /// participant. Two approvers sign.
    Cover,
    /// Lets the payment orders of a `currency` leave in a `file` of this SHA-256. Two approvers sign.
    PayOut,
    /// Ends it, when all is confirmed.
    Settle,
    /// Gives it up with a `reason`: its obligations go on to the open cycle. Two approvers sign.
    Void,
}

/// `cycle.move`, signed by an analyst: a step of a cycle that was sealed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveCycle {
    /// The cycle.
    pub cycle: u64,
    /// The step.
    pub step: Move,
    /// To approve: the version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u32>,
    /// To open the review, to ask for payment: the deadline, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
    /// To return, to void: why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
    /// To pay out: the currency. To cover: this one alone; all that are short if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<Currency>,
    /// To pay out: SHA-256 of the file of payment orders.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Hash>,
    /// To cover: most that the operator's participant bears.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tranche: Option<Money>,
}

impl MoveCycle {
    /// A step with nothing but its name.
    pub fn bare(cycle: u64, step: Move) -> Self {
        Self {
            cycle,
            step,
            version: None,
            until: None,
            reason: None,
            currency: None,
            file: None,
            tranche: None,
        }
    }
}

/// Seals the open cycle and opens the next.
pub fn seal_cycle(draft: &mut Draft, asked: &Asked, args: &SealCycle) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    seal(draft, args.cycle)
}

/// Whether one more cycle may be under way.
pub(super) fn can_seal(cycles: &Cycle) -> bool {
    cycles.live.len() < MOST_LIVE
}

/// Seals the open cycle, whoever asks.
pub(super) fn seal(draft: &mut Draft, cycle: u64) -> Result<(), Stop> {
    let mut closing = (*draft.closing(cycle)?).clone();
    allowed(cycle, &closing, Step::Seal)?;
    let mut cycles = (*draft.cycle()?).clone();
    if !can_seal(&cycles) {
        return Err(Refused::about(Refusal::CyclesTooMany, format!("{MOST_LIVE} are under way")).into());
    }
    closing.sealed = Some(now(draft));
    cycles.live.push(cycle);
    cycles.open = cycle.checked_add(1).ok_or(Refusal::AmountTooLarge)?;
    let next = Closing::opened(draft.seq);
    draft.put(PartKey::Public, Name::Closing(cycles.open), Some(Record::from(next)))?;
    draft.put(PartKey::Public, Name::Cycle, Some(Record::Cycle(cycles)))?;
    store(draft, cycle, closing)
}

pub(super) fn now(draft: &Draft) -> Mark {
    Mark { seq: draft.seq, at: draft.at }
}

pub(super) fn store(draft: &mut Draft, cycle: u64, closing: Closing) -> Result<(), Stop> {
    draft.put(PartKey::Public, Name::Closing(cycle), Some(Record::from(closing)))
}

/// All participants, in the order of their ids.
pub(super) fn participants(draft: &mut Draft) -> Result<Vec<ParticipantId>, Stop> {
    let count = draft.get(&Name::Roll)?.as_deref().and_then(Record::roll).map_or(0, |roll| roll.participants);
    draft.want((0..count).map(Name::Enrolled))?;
    let mut all = vec![];
    for number in 0..count {
        let record = draft.get(&Name::Enrolled(number))?;
        all.extend(record.as_deref().and_then(Record::enrolled).cloned());
    }
    all.sort_unstable();
    Ok(all)
}

/// The digest of nets: BLAKE3 of their canonical JSON, `[[currency, participant, net], …]`, in this order, without those
/// that are 0.
pub fn digest(nets: &[(Currency, ParticipantId, i64)]) -> Hash {
    let mut nets: Vec<_> = nets.iter().filter(|(_, _, net)| *net != 0).collect();
    nets.sort_unstable();
    Hash::blake3(&encode(&nets))
}

/// The cycle whose carries this one takes over: the newest before it that was not voided. It must be approved, since
/// until then its carries can change.
fn before(draft: &mut Draft, cycle: u64) -> Result<Option<u64>, Stop> {
    let mut at = cycle;
    while let Some(earlier) = at.checked_sub(1).filter(|earlier| *earlier > 0) {
        let closing = draft.closing(earlier)?;
        if closing.voided.is_none() {
            if closing.approved.is_some() {
                return Ok(Some(earlier));
            }
            let about = format!("cycle {earlier} is {}: approve or void it first", stage(&closing));
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
        at = earlier;
    }
    Ok(None)
}

/// Computes nets and instructions.
pub fn compute_cycle(draft: &mut Draft, asked: &Asked, args: &ComputeCycle) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let cycle = args.cycle;
    let mut closing = (*draft.closing(cycle)?).clone();
    allowed(cycle, &closing, Step::Compute)?;
    let next = closing.version.saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    if closing.objections > 0 {
        let about = format!("{} objections are not answered", closing.objections);
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    super::apart::taken_out(draft, cycle, &closing)?;
    let after = before(draft, cycle)?;
    let who = participants(draft)?;
    let network = draft.network()?;
    let units: Vec<_> = network.currencies.iter().copied().zip(network.bank_units.iter().copied()).collect();
    let of: Vec<u64> = std::iter::once(cycle).chain(closing.includes.iter().copied()).collect();
    want_all(draft, &who, &units, &of, cycle, after)?;
    let (mut all, mut sums, mut number) = (vec![], vec![], 0u16);
    for (currency, unit) in units {
        let (nets, carried) = nets_of(draft, &who, currency, &of, after)?;
        all.extend(nets.iter().map(|(who, net)| (currency, who.clone(), *net)));
        let mut nowhere = BTreeSet::new();
        for participant in &who {
            if !super::details::is_known(draft, participant, currency)? {
                nowhere.insert(participant.clone());
            }
        }
        let made = instruct(&nets, &carried, unit, &nowhere).map_err(|wrong| Stop::Bug(wrong.to_string()))?;
        let mut sum = blank(currency);
        for participant in &who {
            let of = |nets: &Nets| nets.get(participant).copied().unwrap_or(0);
            let amount = of(&made.instructions).checked_mul(unit.cast_signed());
            let amount = amount.filter(|amount| amount.unsigned_abs() <= MAX_INT);
            let amount = amount.ok_or_else(|| Refused::about(Refusal::AmountTooLarge, participant))?;
            let mut line = Line {
                version: next,
                net: of(&nets),
                carry: of(&carried),
                amount,
                instruction: None,
                paid: Money::ZERO,
                drawn: Money::ZERO,
                lost: Money::ZERO,
                written_off: Money::ZERO,
                kept: Money::ZERO,
            };
            let name = Name::Line(cycle, participant.clone(), currency);
            if line.net == 0 && line.carry == 0 && draft.get(&name)?.is_none() {
                continue;
            }
            let part = PartKey::Participant(participant.clone());
            if amount != 0 {
                number = number
                    .checked_add(1)
                    .filter(|n| usize::from(*n) <= MOST_LINES)
                    .ok_or(Refusal::TooLarge)?;
                let id = InstructionId { seq: draft.seq, part: number };
                line.instruction = Some(id);
                let mut instruction = instruction(cycle, next, participant, currency, amount)?;
                instruction.details = super::details::in_force(draft, participant, currency, cycle)?;
                count(&mut sum, &instruction)?;
                draft.put(part.clone(), Name::Instruction(id), Some(Record::from(instruction)))?;
            }
            draft.put(part, name, Some(Record::Line(line)))?;
        }
        if sum.payers > 0 {
            sums.push(sum);
        }
    }
    let digest = digest(&all);
    if digest != args.digest {
        // What it is is not said here: whoever signs has it from the obligations, not from who is to be checked.
        let about = format!(
            "BLAKE3 of the nets of cycle {cycle} as your own copy of the log has them: `tallyhouse cycle {cycle}` makes \
             it out of the entries"
        );
        return Err(Refused::about(Refusal::CycleDigest, about).into());
    }
    closing.version = next;
    closing.computed = Some(Computed { mark: now(draft), digest, after });
    (closing.review, closing.returned, closing.sums) = (None, None, sums);
    store(draft, cycle, closing)
}

/// Asks for all that a computation reads, at once.
fn want_all(
    draft: &Draft,
    who: &[ParticipantId],
    units: &[(Currency, u64)],
    of: &[u64],
    cycle: u64,
    after: Option<u64>,
) -> Result<(), Stop> {
    let each = who.iter().flat_map(|who| units.iter().map(move |(currency, _)| (who, *currency)));
    draft.want(each.flat_map(|(who, currency)| {
        let nets = of.iter().map(move |cycle| Name::Net(*cycle, who.clone(), currency));
        let lines = after.into_iter().chain([cycle]);
        let lines = lines.map(move |cycle| Name::Line(cycle, who.clone(), currency));
        nets.chain(lines).chain([Name::Details(who.clone(), currency)])
    }))
}

/// What each participant has by the obligations of these cycles, and what the cycle before carried on.
fn nets_of(
    draft: &mut Draft,
    who: &[ParticipantId],
    currency: Currency,
    of: &[u64],
    after: Option<u64>,
) -> Result<(Nets, Nets), Stop> {
    let (mut nets, mut carried) = (Nets::new(), Nets::new());
    for participant in who {
        let mut net = 0i64;
        for cycle in of {
            let more = draft.total(&Name::Net(*cycle, participant.clone(), currency))?;
            net =
                net.checked_add(more).ok_or_else(|| Refused::about(Refusal::AmountTooLarge, participant))?;
        }
        nets.insert(participant.clone(), net);
        if let Some(after) = after {
            let line = draft.get(&Name::Line(after, participant.clone(), currency))?;
            carried
                .insert(participant.clone(), line.as_deref().and_then(Record::line).map_or(0, Line::carried));
        }
    }
    Ok((nets, carried))
}

fn blank(currency: Currency) -> Sums {
    let [moved, paid_in, drawn, written_off, lost, paid_out, surplus] = Default::default();
    let (payers, receivers, file) = (0, 0, None);
    Sums { currency, payers, receivers, moved, paid_in, drawn, written_off, lost, paid_out, surplus, file }
}

fn instruction(
    cycle: u64,
    version: u32,
    participant: &ParticipantId,
    currency: Currency,
    amount: i64,
) -> Result<Instruction, Stop> {
    Ok(Instruction {
        cycle,
        version,
        participant: participant.clone(),
        currency,
        way: if amount < 0 { Way::In } else { Way::Out },
        amount: Money::new(amount.unsigned_abs()).ok_or(Refusal::AmountTooLarge)?,
        confirmed: Money::ZERO,
        written_off: Money::ZERO,
        kept: Money::ZERO,
        late: Money::ZERO,
        bearer: None,
        acknowledged: false,
        fate: None,
        file: None,
        details: None,
        replaces: None,
        replaced: None,
    })
}

fn count(sum: &mut Sums, instruction: &Instruction) -> Result<(), Stop> {
    match instruction.way {
        Way::In => sum.payers = sum.payers.saturating_add(1),
        Way::Out => {
            sum.receivers = sum.receivers.saturating_add(1);
            sum.moved = sum.moved.plus(instruction.amount).ok_or(Refusal::AmountTooLarge)?;
        }
    }
    Ok(())
}

fn missing(what: &str) -> Stop {
    Refused::about(Refusal::TokenPayload, format!("{what}: this step needs it")).into()
}

/// Moves a sealed cycle one step on.
pub fn move_cycle(draft: &mut Draft, asked: &Asked, args: &MoveCycle) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let cycle = args.cycle;
    let mut closing = (*draft.closing(cycle)?).clone();
    let step = match args.step {
        Move::Review => Step::Review,
        Move::Return => Step::Return,
        Move::Approve => Step::Approve,
        Move::PayIn => Step::PayIn,
        Move::Shortfall => Step::Shortfall,
        Move::Cover => Step::Cover,
        Move::PayOut => Step::PayOut,
        Move::Settle => Step::Settle,
        Move::Void => Step::Void,
    };
    allowed(cycle, &closing, step)?;
    let mark = now(draft);
    match args.step {
        Move::Review => closing.review = Some(ahead(draft, args)?),
        Move::Return => closing.returned = Some(args.reason.clone().ok_or_else(|| missing("reason"))?),
        Move::Approve => {
            approvable(draft, cycle, &closing, args)?;
            two_people(draft, asked)?;
            super::details::payable(draft, cycle, &closing)?;
            closing.approved = Some(mark);
        }
        Move::PayIn => {
            let due = ahead(draft, args)?;
            if due > draft.at.seconds().saturating_add(MOST_ALONE) {
                two_people(draft, asked)?;
            }
            closing.due = Some(due);
        }
        Move::Shortfall => {
            late(draft, &closing)?;
            closing.shortfall = Some(mark);
        }
        Move::Cover => {
            two_people(draft, asked)?;
            super::shortfall::cover(draft, asked.kid, cycle, &mut closing, args)?;
        }
        Move::PayOut => {
            let currency = args.currency.ok_or_else(|| missing("currency"))?;
            let file = args.file.ok_or_else(|| missing("file"))?;
            two_people(draft, asked)?;
            release(&mut closing, currency, file)?;
        }
        Move::Settle => {
            balanced(&closing)?;
            closing.settled = Some(mark);
            leave(draft, cycle, &[])?;
        }
        Move::Void => {
            args.reason.as_ref().ok_or_else(|| missing("reason"))?;
            two_people(draft, asked)?;
            voidable(draft, cycle)?;
            closing.voided = Some(mark);
            let carried: Vec<u64> = std::iter::once(cycle).chain(closing.includes.iter().copied()).collect();
            leave(draft, cycle, &carried)?;
        }
    }
    store(draft, cycle, closing)
}

fn ahead(draft: &mut Draft, args: &MoveCycle) -> Result<u64, Stop> {
    let until = args.until.ok_or_else(|| missing("until"))?;
    let now = draft.at.seconds();
    let least = if draft.network()?.driven { 1 } else { LEAST_AHEAD };
    if (now.saturating_add(least)..=now.saturating_add(MOST_AHEAD)).contains(&until) {
        return Ok(until);
    }
    Err(Refused::about(
        Refusal::SettingInvalid,
        "until: 23 hours ahead at the least, and 90 days at the most",
    )
    .into())
}

fn approvable(draft: &mut Draft, cycle: u64, closing: &Closing, args: &MoveCycle) -> Result<(), Stop> {
    if args.version != Some(closing.version) {
        let about = format!("the version to approve is {}", closing.version);
        return Err(Refused::about(Refusal::SerialStale, about).into());
    }
    let open = closing.review.is_some_and(|until| draft.at.seconds() < until);
    if open || closing.objections > 0 {
        let (until, left) = (closing.review.unwrap_or_default(), closing.objections);
        let about = format!("objections are open until {until} in Unix seconds, {left} unanswered");
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    // Carries that it took over from a cycle that was voided since go on with that one's obligations.
    if before(draft, cycle)? != closing.computed.as_ref().and_then(|computed| computed.after) {
        let about = format!("the cycle before {cycle} was voided since: return it and compute it again");
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    Ok(())
}

/// Whether nobody took over what a cycle would carry on.
fn voidable(draft: &mut Draft, cycle: u64) -> Result<(), Stop> {
    let open = draft.cycle()?.open;
    for later in cycle.saturating_add(1)..open {
        let closing = draft.closing(later)?;
        let after = closing.computed.as_ref().and_then(|computed| computed.after);
        if closing.approved.is_some() && closing.voided.is_none() && after == Some(cycle) {
            let about = format!("cycle {later} took its carries over: void that first");
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
    }
    Ok(())
}

fn late(draft: &Draft, closing: &Closing) -> Result<(), Stop> {
    let default = closing.due.unwrap_or(u64::MAX).saturating_add(GRACE);
    if draft.at.seconds() >= default {
        return Ok(());
    }
    let about = format!("payers have until {default}, a day after the due date");
    Err(Refused::about(Refusal::CycleOpenWork, about).into())
}

/// Payment orders of a currency leave in this file; what the bank gets is what was approved.
fn release(closing: &mut Closing, currency: Currency, file: Hash) -> Result<(), Stop> {
    let sums = closing.sums.iter_mut().find(|sums| sums.currency == currency);
    let sums =
        sums.ok_or_else(|| Refused::about(Refusal::SettingInvalid, format!("nothing in {currency}")))?;
    if sums.file.is_some() {
        return Err(Refused::about(Refusal::CycleStage, format!("the orders in {currency} left")).into());
    }
    // Pay-outs are judged by currency: another one may be short again, by a payment that came back.
    if collected(sums) < paid_out_in_full(sums) {
        let about =
            format!("{currency}: {} is there, {} is to be paid", collected(sums), paid_out_in_full(sums));
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    sums.file = Some(file);
    Ok(())
}

/// All that was to be paid is confirmed, and the settlement account is empty.
fn balanced(closing: &Closing) -> Result<(), Stop> {
    for sums in &closing.sums {
        if !sums.surplus.is_zero() {
            let about = format!("{}: {} came in too much: write it off", sums.currency, sums.surplus);
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
        if sums.paid_out.get() != paid_out_in_full(sums) || collected(sums) != sums.paid_out.get() {
            let about = format!(
                "{}: {} is there, {} of {} is paid out",
                sums.currency,
                collected(sums),
                sums.paid_out,
                paid_out_in_full(sums)
            );
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
    }
    Ok(())
}

/// A cycle is under way no longer; `carried`: the cycles whose obligations the open one takes over.
fn leave(draft: &mut Draft, cycle: u64, carried: &[u64]) -> Result<(), Stop> {
    let mut cycles = (*draft.cycle()?).clone();
    cycles.live.retain(|one| *one != cycle);
    if !carried.is_empty() {
        let mut open = (*draft.closing(cycles.open)?).clone();
        open.includes.extend_from_slice(carried);
        store(draft, cycles.open, open)?;
    }
    draft.put(PartKey::Public, Name::Cycle, Some(Record::Cycle(cycles)))
}
