//! Writing off: what a payer is off by a little, two people let go.
//!
//! Owns: the difference, who bears it, and the obligation that stands for it.
//! Promises: nothing above the tolerance that the network set is written off, and 0 is the tolerance if it set none. The
//! operator's participant owes the payer what was missing, or is owed what was too much, in the cycle that is paid: its
//! positions then are what was paid, and sum to zero. What comes back of what was too much takes that away again.
//! Refuses to know: what banks say.

use super::assign::bear;
use super::import::{change_line, sums_of};
use super::instruction::MoveInstruction;
use super::schedule::tolerance;
use crate::book::{Closing, Draft, Instruction, Stop, Tag, Way};
use crate::network::operators_own;
use crate::types::{CauseId, InstructionId, Money, ParticipantId, Refusal, Refused};

/// Writes off what is missing of a pay-in, or too much.
pub(super) fn write_off(
    draft: &mut Draft,
    args: &MoveInstruction,
    one: &mut Instruction,
) -> Result<(), Stop> {
    let bearer = operators_own(draft)?;
    if one.way == Way::Out || bearer == one.participant {
        let about = "only what a payer is off by is written off, and another bears it";
        return Err(Refused::about(Refusal::InstructionStage, about).into());
    }
    let done = one.confirmed.plus(one.written_off).ok_or(Refusal::AmountTooLarge)?;
    let most = one.amount.plus(one.kept).ok_or(Refusal::AmountTooLarge)?;
    let above = |more: Money, less: Money| more.minus(less).filter(|off| !off.is_zero());
    let (missing, over) = (above(one.amount, done), above(one.confirmed, most));
    let Some(amount) = missing.or(over) else {
        let about = "nothing is missing, and nothing is too much";
        return Err(Refused::about(Refusal::InstructionStage, about).into());
    };
    let tolerance = tolerance(draft, one.currency)?;
    if amount > tolerance {
        let network = draft.network()?;
        let [amount, tolerance] = [amount, tolerance].map(|n| network.told(one.currency, n.get()));
        let about = format!("{amount} are missing or too much, up to {tolerance} are written off");
        return Err(Refused::about(Refusal::AmountTooLarge, about).into());
    }
    one.bearer = Some(bearer.clone());
    let mut closing = (*draft.closing(one.cycle)?).clone();
    let sums = sums_of(&mut closing, one.currency)?;
    if missing.is_some() {
        one.written_off = one.written_off.plus(amount).ok_or(Refusal::AmountTooLarge)?;
        sums.written_off = sums.written_off.plus(amount).ok_or(Refusal::AmountTooLarge)?;
    } else {
        one.kept = one.kept.plus(amount).ok_or(Refusal::AmountTooLarge)?;
        sums.surplus =
            sums.surplus.minus(amount).ok_or_else(|| Stop::Bug("more was kept than came".into()))?;
    }
    super::cycle::store(draft, one.cycle, closing)?;
    if missing.is_none() {
        return keep(draft, args.instruction, one, amount.signed());
    }
    owe(draft, args.instruction, one, (&bearer, &one.participant), amount.signed())?;
    bear(draft, one.currency, amount.signed())?;
    change_line(draft, one, |line| {
        line.written_off = line.written_off.plus(amount).ok_or(Refusal::AmountTooLarge)?;
        Ok(())
    })
}

/// Takes back that too much was written off: some of what was paid came back.
pub(super) fn take_back(
    draft: &mut Draft,
    id: InstructionId,
    closing: &mut Closing,
    one: &mut Instruction,
) -> Result<(), Stop> {
    if one.kept.is_zero() {
        return Ok(());
    }
    let sums = sums_of(closing, one.currency)?;
    sums.surplus = sums.surplus.plus(one.kept).ok_or(Refusal::AmountTooLarge)?;
    keep(draft, id, one, one.kept.signed().saturating_neg())?;
    one.kept = Money::ZERO;
    Ok(())
}

/// The payer owes the bearer what it paid too much; below 0, it does no longer.
fn keep(draft: &mut Draft, id: InstructionId, one: &Instruction, amount: i64) -> Result<(), Stop> {
    let bearer = one.bearer.clone().ok_or_else(|| Stop::Bug(format!("nobody has what {id} is off by")))?;
    owe(draft, id, one, (&one.participant, &bearer), amount)?;
    bear(draft, one.currency, amount.saturating_neg())?;
    change_line(draft, one, |line| {
        let kept = line.kept.signed().checked_add(amount);
        let kept = kept.and_then(|kept| u64::try_from(kept).ok()).and_then(Money::new);
        line.kept = kept.ok_or(Refusal::AmountTooLarge)?;
        Ok(())
    })
}

/// Books it in the cycle that is paid.
fn owe(
    draft: &mut Draft,
    id: InstructionId,
    one: &Instruction,
    (debtor, creditor): (&ParticipantId, &ParticipantId),
    amount: i64,
) -> Result<(), Stop> {
    let tag = Tag { cause: CauseId::Instruction(id), cycle: one.cycle, supply: None };
    draft.owe_in(debtor, creditor, one.currency, amount, tag)
}
