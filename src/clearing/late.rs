//! What comes back after its cycle was settled.
//!
//! Owns: what a pay-in that its payer's bank takes back, or a pay-out that comes back, means once nothing of its cycle moves.
//! Promises: the cycle stays settled. What was taken back its payer owes the operator's participant, which paid for it; what came
//! back the operator's participant owes the receiver: in the cycle that is open, so that it is paid by the ordinary way. No more
//! of an instruction comes back than was confirmed of it, before and after.
//! Refuses to know: why the bank did it, and who says so: two people (`assign`).

use super::assign::bear;
use crate::book::{Closing, Draft, Instruction, Name, PartKey, Record, Stop, Way};
use crate::network::operators_own;
use crate::types::{InstructionId, Money, Refusal, Refused};

/// Whether a line that moved this way takes back what an ended instruction moved.
pub(super) fn is_late(one: &Instruction, closing: &Closing, way: Way) -> bool {
    closing.settled.is_some() && one.way != way
}

/// Books that so much of an instruction came back after the end.
pub(super) fn come_back(
    draft: &mut Draft,
    id: InstructionId,
    one: &Instruction,
    amount: Money,
) -> Result<(), Stop> {
    let late = one.late.plus(amount).filter(|late| *late <= one.confirmed);
    let Some(late) = late else {
        let left = one.confirmed.minus(one.late).unwrap_or_default();
        let left = draft.network()?.told(one.currency, left.get());
        let about = format!("{id}: {left} of it can come back still");
        return Err(Refused::about(Refusal::LineInvalid, about).into());
    };
    let operator = operators_own(draft)?;
    let (who, signed) = (&one.participant, amount.signed());
    let (debtor, creditor, borne) = match one.way {
        // Whom it was for was paid: the operator's participant brings it until it has it.
        Way::In => (who, &operator, signed),
        Way::Out => (&operator, who, signed.saturating_neg()),
    };
    if debtor != creditor {
        draft.owe(debtor, creditor, one.currency, signed, id.into())?;
    }
    bear(draft, one.currency, borne)?;
    let part = PartKey::Participant(who.clone());
    draft.put(part, Name::Instruction(id), Some(Record::from(Instruction { late, ..one.clone() })))
}
