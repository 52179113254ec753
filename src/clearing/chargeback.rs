//! What disputes book: the provisional obligation of a charge-back, and all that an end does.
//!
//! Owns: which ends are for whom, and the legs.
//! Promises: a charge-back stands beside all cycles, costs its target headroom and gives its filer neither headroom nor
//! credit; its end takes exactly that away again. What is taken back of an obligation, what becomes of the points and
//! what losing costs stand in one entry, and the dispute names all three.
//! Refuses to know: which step may follow which.

use super::subject::{Subject, charge};
use super::taken::take;
use crate::book::{Dispute, DisputeOutcome, DisputeStage, Draft, Name, PROVISIONAL, PartKey, PointsEffect};
use crate::book::{Record, Stop, Tag};
use crate::payments::give_charged_back;
use crate::prices::{Sides, change_disputed, owe_for_points};
use crate::types::{DisputeId, Money, Refusal};

/// What an end means: for the filer, for the target; `None` while it goes on.
pub(super) fn end(stage: DisputeStage) -> Option<bool> {
    use DisputeStage as S;
    match stage {
        S::Accepted | S::Conceded | S::RuledForFiler => Some(true),
        S::Closed | S::RuledForTarget | S::Withdrawn => Some(false),
        S::Filed | S::ChargedBack | S::Represented | S::Review | S::PreArbitration | S::Arbitration => None,
    }
}

/// Whether losing costs something from here on: who gives in before the target has answered pays nothing.
pub(super) fn losing_costs(from: DisputeStage) -> bool {
    use DisputeStage as S;
    matches!(from, S::Represented | S::Review | S::PreArbitration | S::Arbitration)
}

/// Books that the target may come to owe the filer so much, or takes that back.
pub(super) fn provide(draft: &mut Draft, id: DisputeId, dispute: &Dispute, amount: i64) -> Result<(), Stop> {
    let tag = Tag { cause: id.into(), cycle: PROVISIONAL, supply: None };
    draft.owe_in(&dispute.target, &dispute.filer, dispute.currency, amount, tag)?;
    change_disputed(draft, &dispute.target, dispute.currency, amount)
}

/// What an end does.
pub(super) fn finish(
    draft: &mut Draft,
    id: DisputeId,
    dispute: &mut Dispute,
    for_filer: bool,
    charged_back: bool,
    costs: bool,
) -> Result<(), Stop> {
    let amount = dispute.amount.signed();
    let less = amount.saturating_neg();
    if charged_back {
        provide(draft, id, dispute, less)?;
    }
    let subject = Subject::disputed(dispute)?;
    let mut points = PointsEffect::None;
    if for_filer {
        let keeper = subject.keeper(draft)?;
        let (filer, target, currency) = (&dispute.filer, &dispute.target, dispute.currency);
        let sides = Sides { issuer: filer, keeper: keeper.as_ref(), creditor: target };
        // What is taken back of a taxed line takes its tax with it.
        let supply = take(draft, &subject, dispute.amount)?;
        owe_for_points(draft, sides, currency, less, supply, id.into())?;
        points = dispute.points;
        if points == PointsEffect::Restore {
            restore(draft, &subject, dispute.amount)?;
        }
    } else if charged_back {
        // It may be refunded now, or charged back for another reason.
        charge(draft, &subject, less)?;
    }
    let fees = if costs { fees(draft, id, dispute, for_filer)? } else { Money::ZERO };
    let obligation = if for_filer { dispute.amount } else { Money::ZERO };
    dispute.outcome = Some(DisputeOutcome { for_filer, obligation, points, fees });
    Ok(())
}

/// The points behind what was taken back go into the lots that they came from.
fn restore(draft: &mut Draft, subject: &Subject, amount: Money) -> Result<(), Stop> {
    let Subject::Payment(id, unit) = subject else {
        return Err(Stop::Bug("points go back for a share of a payment alone".into()));
    };
    let mut payment = (*draft.payment(*id)?).clone();
    for share in payment.shares.iter_mut().filter(|share| share.unit == *unit) {
        give_charged_back(draft, *id, share, amount)?;
    }
    let part = PartKey::Brand(payment.brand.clone());
    draft.put(part, Name::Payment(*id), Some(Record::from(payment)))
}

/// Whoever lost owes what that costs; what it would owe itself it does not.
fn fees(draft: &mut Draft, id: DisputeId, dispute: &Dispute, for_filer: bool) -> Result<Money, Stop> {
    let (winner, loser) =
        if for_filer { (&dispute.filer, &dispute.target) } else { (&dispute.target, &dispute.filer) };
    let mut all = Money::ZERO;
    for fee in &dispute.fees {
        let to = fee.to.as_ref().unwrap_or(winner);
        if to != loser {
            draft.owe(loser, to, dispute.currency, fee.amount.signed(), id.into())?;
            all = all.plus(fee.amount).ok_or(Refusal::AmountTooLarge)?;
        }
    }
    Ok(all)
}
