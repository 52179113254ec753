//! Disputes: whoever owes for a payment says that it should not, and who is owed answers.
//!
//! Owns: the reasons with their time limits, the table of stages, steps and sides, and what an end does.
//! Promises: what is disputed of a share and what was refunded of it never come to more than was captured; a dispute
//! that is open costs its target headroom and gives its filer none; an end books its effect in the same entry; no step
//! leaves an end.
//! Refuses to know: who is right, and documents: the log has their hashes, the vault what stands in them.

use super::people::{analyst, speaks_for, two_people};
use crate::book::{Dispute, DisputeStage, Draft, Name, PartKey, Payment, Record, Stop};
use crate::network::Asked;
use crate::payments::owed_now;
use crate::prices::{release, reserve};
use crate::types::{
    DisputeId, Hash, Ident, Money, ParticipantId, PaymentId, Refusal, Refused, Time, UnitCode,
};
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;
/// How long either side has for its next step.
const ANSWER: u64 = 30 * DAY;
/// Most documents of one dispute.
const MOST_EVIDENCE: usize = 32;

/// Why somebody may dispute, and until how many days after a payment's deadline.
pub const REASONS: &[(&str, u64)] =
    &[("not_ours", 120), ("fraud", 120), ("goods_not_received", 90), ("wrong_amount", 60), ("duplicate", 60)];

/// `dispute.file`, signed by a key of the brand whose participant owes.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDispute {
    /// The payment.
    pub payment: PaymentId,
    /// The unit whose share of it is disputed.
    pub unit: UnitCode,
    /// How much of the obligation.
    pub amount: Money,
    /// `not_ours`, `fraud`, `goods_not_received`, `wrong_amount` or `duplicate`.
    pub reason: Ident,
    /// SHA-256 of documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Hash>,
}

/// A step of a dispute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStep {
    /// An analyst lets it through: its target has 30 days.
    ChargeBack,
    /// An analyst ends it without effect.
    Close,
    /// The target accepts it.
    Accept,
    /// The target brings evidence against it.
    Represent,
    /// An analyst looks at both sides: the filer has 30 days.
    Review,
    /// The filer goes on: to pre-arbitration, then to arbitration.
    Escalate,
    /// The target gives in.
    Concede,
    /// An analyst finds that whoever was to answer did not in time.
    Lapse,
    /// Decided for the filer: two approvers sign.
    RuleForFiler,
    /// Decided for the target: two approvers sign.
    RuleForTarget,
    /// The filer takes it back.
    Withdraw,
}

/// `dispute.move`, signed by whoever takes the step.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveDispute {
    /// Which.
    pub dispute: DisputeId,
    /// The step.
    pub step: DisputeStep,
    /// SHA-256 of documents that are brought with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Hash>,
}

/// Who takes a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Filer,
    Target,
    Analyst,
    /// An analyst, once the time to answer has passed.
    Clock,
    /// An analyst, with two approvers.
    Bench,
}

/// The table: from a stage, by a step that a side takes, to the next stage. What is not in it is refused.
const TABLE: &[(DisputeStage, DisputeStep, Side, DisputeStage)] = {
    use DisputeStage as S;
    use DisputeStep as T;
    &[
        (S::Filed, T::ChargeBack, Side::Analyst, S::ChargedBack),
        (S::Filed, T::Close, Side::Analyst, S::Closed),
        (S::Filed, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::ChargedBack, T::Accept, Side::Target, S::Accepted),
        (S::ChargedBack, T::Lapse, Side::Clock, S::Accepted),
        (S::ChargedBack, T::Represent, Side::Target, S::Represented),
        (S::ChargedBack, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Represented, T::Review, Side::Analyst, S::Review),
        (S::Represented, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Review, T::Close, Side::Analyst, S::Closed),
        (S::Review, T::Escalate, Side::Filer, S::PreArbitration),
        (S::Review, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Review, T::Lapse, Side::Clock, S::Closed),
        (S::PreArbitration, T::Concede, Side::Target, S::Conceded),
        (S::PreArbitration, T::Lapse, Side::Clock, S::Conceded),
        (S::PreArbitration, T::Escalate, Side::Filer, S::Arbitration),
        (S::PreArbitration, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Arbitration, T::RuleForFiler, Side::Bench, S::RuledForFiler),
        (S::Arbitration, T::RuleForTarget, Side::Bench, S::RuledForTarget),
    ]
};

fn next(stage: DisputeStage, step: DisputeStep) -> Option<(Side, DisputeStage)> {
    let row = TABLE.iter().find(|(from, by, ..)| *from == stage && *by == step);
    row.map(|(_, _, side, to)| (*side, *to))
}

/// What an end means: for the filer, for the target; `None` while it goes on.
fn end(stage: DisputeStage) -> Option<bool> {
    use DisputeStage as S;
    match stage {
        S::Accepted | S::Conceded | S::RuledForFiler => Some(true),
        S::Closed | S::RuledForTarget | S::Withdrawn => Some(false),
        S::Filed | S::ChargedBack | S::Represented | S::Review | S::PreArbitration | S::Arbitration => None,
    }
}

fn changed(draft: &mut Draft, id: PaymentId, payment: Payment) -> Result<(), Stop> {
    let part = PartKey::Brand(payment.brand.clone());
    draft.put(part, Name::Payment(id), Some(Record::Payment(payment)))
}

fn put(draft: &mut Draft, id: DisputeId, dispute: Dispute) -> Result<(), Stop> {
    let (a, b) = (dispute.filer.clone(), dispute.target.clone());
    let pair = if a < b { PartKey::Pair(a, b) } else { PartKey::Pair(b, a) };
    draft.put(pair, Name::Dispute(id), Some(Record::Dispute(dispute)))
}

/// Files a dispute.
pub fn file_dispute(draft: &mut Draft, asked: &Asked, args: &FileDispute) -> Result<(), Stop> {
    let filer = speaks_for(draft, asked.kid)?;
    let mut payment = (*draft.payment(args.payment)?).clone();
    let (currency, target) = (payment.currency, payment.participant.clone());
    let days = REASONS.iter().find(|(reason, _)| *reason == args.reason.as_str()).map(|(_, days)| *days);
    let days =
        days.ok_or_else(|| Refused::about(Refusal::DisputeInvalid, format!("reason {}", args.reason)))?;
    let until = payment.deadline.seconds().saturating_add(days.saturating_mul(DAY));
    if draft.at.seconds() > until {
        return Err(
            Refused::about(Refusal::DisputeInvalid, format!("it could be filed until {until}")).into()
        );
    }
    let at = payment.shares.iter().position(|share| share.unit == args.unit && share.issuer == filer);
    let at = at.ok_or_else(|| Refused::about(Refusal::KeyOwner, format!("{filer} owes nothing for it")))?;
    let owed = owed_now(&payment, at)?;
    let Some(share) = payment.shares.get_mut(at) else {
        return Err(Stop::Bug("a share that was found".into()));
    };
    let left = owed.minus(share.charged).unwrap_or_default();
    if args.amount.is_zero() || args.amount > left || args.evidence.len() > MOST_EVIDENCE || filer == target {
        return Err(Refused::about(Refusal::DisputeInvalid, format!("amount: 1 to {left}")).into());
    }
    share.charged = share.charged.plus(args.amount).ok_or(Refusal::AmountTooLarge)?;
    changed(draft, args.payment, payment)?;
    let dispute = Dispute {
        payment: args.payment,
        unit: args.unit,
        evidence: args.evidence.iter().map(|hash| (filer.clone(), *hash)).collect(),
        filer,
        target,
        currency,
        amount: args.amount,
        reason: args.reason.clone(),
        stage: DisputeStage::Filed,
        until: draft.at.seconds().saturating_add(ANSWER),
        reserved: None,
    };
    put(draft, DisputeId { seq: draft.seq, part: 0 }, dispute)
}

/// Takes a step in a dispute.
pub fn move_dispute(draft: &mut Draft, asked: &Asked, args: &MoveDispute) -> Result<(), Stop> {
    let mut dispute = (*draft.dispute(args.dispute)?).clone();
    let Some((side, to)) = next(dispute.stage, args.step) else {
        let about = format!("{} is {:?}: no {:?}", args.dispute, dispute.stage, args.step);
        return Err(Refused::about(Refusal::DisputeStage, about).into());
    };
    let by = allowed(draft, asked, &dispute, side)?;
    if dispute.evidence.len().saturating_add(args.evidence.len()) > MOST_EVIDENCE {
        return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_EVIDENCE} documents")).into());
    }
    if let Some(by) = by {
        dispute.evidence.extend(args.evidence.iter().map(|hash| (by.clone(), *hash)));
    } else if !args.evidence.is_empty() {
        return Err(Refused::about(Refusal::TokenPayload, "evidence: brought by either side").into());
    }
    dispute.stage = to;
    dispute.until = draft.at.seconds().saturating_add(ANSWER);
    if to == DisputeStage::ChargedBack {
        // It may come to owe this: that costs headroom from now on, as long as it can take.
        let longest = draft.at.plus_seconds(ANSWER.saturating_mul(6));
        let held = reserve(draft, &dispute.target, None, dispute.currency, longest, dispute.amount)?;
        dispute.reserved = held.any.then_some(longest);
    }
    if let Some(for_filer) = end(to) {
        finish(draft, args.dispute, &mut dispute, for_filer)?;
    }
    put(draft, args.dispute, dispute)
}

/// Checks that the step is taken by whose it is; says which participant, if it is one.
fn allowed(
    draft: &mut Draft,
    asked: &Asked,
    dispute: &Dispute,
    side: Side,
) -> Result<Option<ParticipantId>, Stop> {
    let wanted = match side {
        Side::Filer => &dispute.filer,
        Side::Target => &dispute.target,
        Side::Analyst => return analyst(draft, asked.kid).map(|_| None),
        Side::Bench => {
            analyst(draft, asked.kid)?;
            return two_people(draft, asked).map(|()| None);
        }
        Side::Clock => {
            analyst(draft, asked.kid)?;
            if draft.at.seconds() < dispute.until {
                let about = format!("there is time to answer until {}", dispute.until);
                return Err(Refused::about(Refusal::DisputeStage, about).into());
            }
            return Ok(None);
        }
    };
    let by = speaks_for(draft, asked.kid)?;
    if by == *wanted { Ok(Some(by)) } else { Err(Refused::about(Refusal::KeyOwner, by).into()) }
}

/// What an end does: the obligation is taken back, or what was disputed may be refunded or disputed again.
fn finish(draft: &mut Draft, id: DisputeId, dispute: &mut Dispute, for_filer: bool) -> Result<(), Stop> {
    if let Some(until) = dispute.reserved.take() {
        release(draft, &dispute.target, None, dispute.currency, until, dispute.amount)?;
    }
    if for_filer {
        let less = dispute.amount.signed().saturating_neg();
        return draft.owe(&dispute.filer, &dispute.target, dispute.currency, less, id.into());
    }
    let mut payment = (*draft.payment(dispute.payment)?).clone();
    for share in payment.shares.iter_mut().filter(|share| share.unit == dispute.unit) {
        share.charged = share.charged.minus(dispute.amount).unwrap_or_default();
    }
    changed(draft, dispute.payment, payment)
}

/// Whether a dispute waits for somebody at an instant.
pub fn is_overdue(dispute: &Dispute, at: Time) -> bool {
    end(dispute.stage).is_none() && dispute.until <= at.seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row for each stage: the steps that it allows, each with who takes it and where it leads.
    const DISPUTES: &str = "
        Filed          ChargeBack:Analyst:ChargedBack Close:Analyst:Closed Withdraw:Filer:Withdrawn
        ChargedBack    Accept:Target:Accepted Represent:Target:Represented Lapse:Clock:Accepted Withdraw:Filer:Withdrawn
        Represented    Review:Analyst:Review Withdraw:Filer:Withdrawn
        Review         Close:Analyst:Closed Escalate:Filer:PreArbitration Lapse:Clock:Closed Withdraw:Filer:Withdrawn
        PreArbitration Escalate:Filer:Arbitration Concede:Target:Conceded Lapse:Clock:Conceded Withdraw:Filer:Withdrawn
        Arbitration    RuleForFiler:Bench:RuledForFiler RuleForTarget:Bench:RuledForTarget
        Accepted
        Closed
        Conceded
        RuledForFiler
        RuledForTarget
        Withdrawn
    ";

    const STEPS: [DisputeStep; 11] = [
        DisputeStep::ChargeBack,
        DisputeStep::Close,
        DisputeStep::Accept,
        DisputeStep::Represent,
        DisputeStep::Review,
        DisputeStep::Escalate,
        DisputeStep::Concede,
        DisputeStep::Lapse,
        DisputeStep::RuleForFiler,
        DisputeStep::RuleForTarget,
        DisputeStep::Withdraw,
    ];

    #[test]
    fn every_pair_of_stage_and_step() {
        use DisputeStage as S;
        let stages = [
            S::Filed,
            S::ChargedBack,
            S::Represented,
            S::Review,
            S::PreArbitration,
            S::Arbitration,
            S::Accepted,
            S::Closed,
            S::Conceded,
            S::RuledForFiler,
            S::RuledForTarget,
            S::Withdrawn,
        ];
        let rows: Vec<&str> = DISPUTES.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), stages.len());
        for (row, stage) in rows.iter().zip(stages) {
            let mut words = row.split_whitespace();
            assert_eq!(words.next(), Some(format!("{stage:?}").as_str()));
            let allowed: Vec<&str> = words.collect();
            for step in STEPS {
                let found = next(stage, step).map(|(side, to)| format!("{step:?}:{side:?}:{to:?}"));
                let listed = allowed.iter().find(|one| one.starts_with(&format!("{step:?}:")));
                assert_eq!(found.as_deref(), listed.copied(), "{stage:?}, {step:?}");
            }
            assert_eq!(end(stage).is_some(), allowed.is_empty(), "{stage:?}");
        }
    }
}
