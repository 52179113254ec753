//! What a notification said early, until the account's statement says it.
//!
//! Owns: the comparison of the two, and taking back what a notification did that turns out otherwise.
//! Promises: a line repeats a notified one only if amount, way and what it is about are the same. Of two that differ the
//! statement alone says what is on the account: what the notification did to its instruction is taken back, so that its
//! cycle is short of it again and does not settle, and the statement's line is nobody's until two people say what it was
//! about (`line.assign`). Where nothing can be taken back, in a cycle that ended or of an instruction that was issued again,
//! the line is nobody's all the same.
//! Refuses to know: which of the two is in error, and why.

use super::cycle::{now, store};
use super::import::moved;
use super::stage::{Step, stage};
use super::write_off::take_back;
use crate::book::{Booking, Draft, Fate, Name, PartKey, Record, StatementLine, Stop, Told};
use crate::types::{Currency, Ident};

/// How long a notification may wait for the statement that repeats it, in seconds: 7 days.
pub const NOTIFIED_WAITS: u64 = 7 * 86_400;

/// What was notified of a bank's entry and is not repeated yet.
pub(super) fn told(draft: &mut Draft, currency: Currency, entry: &Ident) -> Result<Option<Told>, Stop> {
    let record = draft.get(&Name::Told(currency, entry.clone()))?;
    Ok(record.as_deref().and_then(Record::told).cloned())
}

/// Remembers what a notification said and did.
pub(super) fn tell(
    draft: &mut Draft,
    currency: Currency,
    statement: &Ident,
    line: &StatementLine,
) -> Result<(), Stop> {
    let told = Told { statement: statement.clone(), line: line.clone(), accepted: now(draft) };
    draft.put(PartKey::Public, Name::Told(currency, line.entry.clone()), Some(Record::Told(told)))
}

/// A statement has it: it waits no longer.
pub(super) fn came(draft: &mut Draft, currency: Currency, entry: &Ident) -> Result<(), Stop> {
    draft.put(PartKey::Public, Name::Told(currency, entry.clone()), None)
}

/// Whether a line says what was notified. One that names no instruction does not say what it is about: matching knows no
/// instructions of a cycle that ended.
pub(super) fn repeats(line: &StatementLine, told: &StatementLine) -> bool {
    let about =
        line.instruction.is_none() || (line.instruction, line.booking) == (told.instruction, told.booking);
    about && (line.way, line.amount) == (told.way, told.amount)
}

/// Takes back what a notification did to its instruction, if its cycle moves still.
pub(super) fn undo(draft: &mut Draft, told: &StatementLine) -> Result<(), Stop> {
    let Some(id) = told.instruction else { return Ok(()) };
    let mut instruction = (*draft.instruction(id)?).clone();
    let mut closing = (*draft.closing(instruction.cycle)?).clone();
    if !stage(&closing).allows(Step::Confirm) || instruction.replaced.is_some() {
        return Ok(());
    }
    let (before, back) = (instruction.confirmed, told.booking == Booking::Returned);
    let after = if back { before.plus(told.amount) } else { before.minus(told.amount) };
    let Some(after) = after else { return Ok(()) };
    instruction.confirmed = after;
    if back {
        instruction.fate = instruction.fate.filter(|fate| *fate != Fate::Returned);
    } else {
        take_back(draft, id, &mut closing, &mut instruction)?;
    }
    moved(draft, &mut closing, &instruction, before)?;
    let part = PartKey::Participant(instruction.participant.clone());
    store(draft, instruction.cycle, closing)?;
    draft.put(part, Name::Instruction(id), Some(Record::from(instruction)))
}
