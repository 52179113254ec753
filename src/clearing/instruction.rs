//! Instructions: what happens to one of them apart from statements.
//!
//! Owns: the bank's first word (pain.002), issuing again, sending what was issued again; which steps need two people.
//! Promises: an instruction is issued again only once the bank rejected or returned it, under a new id, for what is
//! open. That the bank rejected it two people say, as they do all that lets money move.
//! Refuses to know: files and banks.

use super::import::change_line;
use super::people::{analyst, two_people};
use super::stage::{InstructionStep, instruction_stage, misplaced};
use super::write_off::write_off;
use crate::book::{Draft, Fate, Instruction, Name, PartKey, Record, Stop, Way};
use crate::network::Asked;
use crate::types::{Hash, InstructionId, Money, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// `instruction.move`, signed by an analyst.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveInstruction {
    /// Which.
    pub instruction: InstructionId,
    /// The step; two approvers sign for all but `acknowledge`.
    pub step: InstructionStep,
    /// To send a payment order that was issued again: SHA-256 of the file that it leaves in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Hash>,
}

impl MoveInstruction {
    /// A step with nothing but its name.
    pub fn bare(instruction: InstructionId, step: InstructionStep) -> Self {
        Self { instruction, step, file: None }
    }
}

/// Moves an instruction one step on.
pub fn move_instruction(draft: &mut Draft, asked: &Asked, args: &MoveInstruction) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let mut one = (*draft.instruction(args.instruction)?).clone();
    let closing = draft.closing(one.cycle)?;
    let at = instruction_stage(&one, &closing, draft.at.seconds());
    if !at.allows(args.step) || super::stage(&closing).is_final() {
        let ended = super::stage(&closing).is_final();
        let may = InstructionStep::ALL.iter().copied().filter(|step| !ended && at.allows(*step));
        let about = misplaced(&args.instruction, &at, &args.step, may);
        return Err(Refused::about(Refusal::InstructionStage, about).into());
    }
    match args.step {
        InstructionStep::Acknowledge => one.acknowledged = true,
        // What was sent and is rejected may be issued again: said wrongly, it is paid twice.
        InstructionStep::Reject => {
            two_people(draft, asked)?;
            if !one.confirmed.is_zero() {
                let about = "part of it is confirmed: the bank returns what it booked";
                return Err(Refused::about(Refusal::InstructionStage, about).into());
            }
            one.fate = Some(Fate::Rejected);
        }
        InstructionStep::Reissue => {
            two_people(draft, asked)?;
            let id = reissue(draft, args, &one)?;
            one.replaced = Some(id);
        }
        InstructionStep::Send => {
            two_people(draft, asked)?;
            send(args, &mut one)?;
        }
        InstructionStep::WriteOff => {
            two_people(draft, asked)?;
            write_off(draft, args, &mut one)?;
        }
    }
    put(draft, args.instruction, one)
}

fn put(draft: &mut Draft, id: InstructionId, one: Instruction) -> Result<(), Stop> {
    let part = PartKey::Participant(one.participant.clone());
    draft.put(part, Name::Instruction(id), Some(Record::from(one)))
}

fn reissue(draft: &mut Draft, args: &MoveInstruction, old: &Instruction) -> Result<InstructionId, Stop> {
    if let Some(by) = old.replaced {
        return Err(Refused::about(Refusal::InstructionStage, format!("{by} was issued in its place")).into());
    }
    // The file names the new instruction, whose id is not known yet: it is sent afterwards. Older entries have both.
    if old.way == Way::In && args.file.is_some() {
        let about = "file: a payment order leaves in one, a notice does not";
        return Err(Refused::about(Refusal::TokenPayload, about).into());
    }
    let open = old.amount.minus(old.confirmed).and_then(|open| open.minus(old.written_off));
    let id = InstructionId { seq: draft.seq, part: 0 };
    let open_cycle = draft.cycle()?.open;
    let details = super::details::in_force(draft, &old.participant, old.currency, open_cycle)?;
    if old.way == Way::Out && details.is_none() {
        let about = format!("{} in {}", old.participant, old.currency);
        return Err(Refused::about(Refusal::DetailsUnknown, about).into());
    }
    let new = Instruction {
        amount: open.ok_or_else(|| Stop::Bug("confirmed more than the amount".into()))?,
        confirmed: Money::ZERO,
        written_off: Money::ZERO,
        kept: Money::ZERO,
        bearer: None,
        acknowledged: false,
        fate: None,
        file: args.file,
        details,
        replaces: Some(args.instruction),
        ..old.clone()
    };
    change_line(draft, old, |line| {
        line.instruction = Some(id);
        Ok(())
    })?;
    put(draft, id, new)?;
    Ok(id)
}

/// What was issued again leaves in a file of its own, and what the bank gets is what was approved.
fn send(args: &MoveInstruction, one: &mut Instruction) -> Result<(), Stop> {
    let file = args.file.ok_or_else(|| Refused::about(Refusal::TokenPayload, "file: this step needs it"))?;
    if one.way == Way::In || one.replaces.is_none() {
        let about = "only a payment order that was issued again leaves on its own";
        return Err(Refused::about(Refusal::InstructionStage, about).into());
    }
    one.file = Some(file);
    Ok(())
}
