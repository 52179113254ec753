//! Disputes: whoever owes for a payment or an exchange, a fee of either or sponsored awards says that it should not, and
//! who is owed answers.
//!
//! Owns: the reasons with their time limits, and the table of stages, steps and sides.
//! Promises: what is charged back of an obligation and what was refunded of it never come to more than was captured; a
//! charge-back is booked provisionally, against its target alone; an end books all that it does in the same entry; no
//! step leaves an end. Each reason counts once for a subject, so nobody stands in the way of refunds by filing again and
//! again; what losing costs was published before it was filed.
//! Refuses to know: who is right, and documents: the log has their hashes, the vault what stands in them.

use super::chargeback::{end, finish, losing_costs, provide};
use super::people::{acts_for, analyst, speaks_for, two_people};
use super::stage::misplaced;
use super::subject::{Subject, charge, note};
use crate::book::{
    Dispute, DisputeFee, DisputeStage, Draft, Name, PartKey, PointsEffect, Record, Service, Stop,
};
use crate::network::Asked;
use crate::payments::LONGEST_DISPUTE;
use crate::prices::fees_now;
use crate::sign::Purpose;
use crate::types::{
    AwardId, Currency, DisputeId, ExchangeId, Hash, Ident, Money, ParticipantId, PaymentId, Refusal, Refused,
    Time, UnitCode,
};
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;
/// How long either side has for its next step.
const ANSWER: u64 = 30 * DAY;
/// Most documents of one dispute.
const MOST_EVIDENCE: usize = 32;
/// Most disputes over one subject, whatever became of them.
const MOST_DISPUTES: usize = 3;

/// A reason to dispute.
pub struct Reason {
    /// As it is written.
    pub code: &'static str,
    /// Until how many days after a payment's deadline, an exchange or an award it may be given.
    pub days: u64,
    /// What becomes of the points if the filer wins and did not say.
    pub points: PointsEffect,
}

const fn reason(code: &'static str, days: u64, points: PointsEffect) -> Reason {
    Reason { code, days, points }
}

/// Why somebody may dispute. Where the goods did not come or the holder did not spend, the points come back.
pub const REASONS: &[Reason] = &[
    reason("not_ours", LONGEST_DISPUTE, PointsEffect::None),
    reason("fraud", LONGEST_DISPUTE, PointsEffect::Restore),
    reason("goods_not_received", 90, PointsEffect::Restore),
    reason("wrong_amount", 60, PointsEffect::Restore),
    reason("duplicate", 60, PointsEffect::Restore),
];

/// `dispute.file`, signed by a key of the brand whose participant owes.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDispute {
    /// The payment; or else `exchange` or `award` stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// The unit whose share of the payment is disputed; absent if a fee is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitCode>,
    /// The exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    /// Instead of the payment's share, or of the exchange: a fee of it, with its tax. `acceptor_fee` or `issuer_fee` of a
    /// payment, by who owes it; `exchange_fee` of an exchange, by the issuer of the points that were given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Service>,
    /// The sponsored awards: `awd_<seq>.0` of the entry that took them in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub award: Option<AwardId>,
    /// How much of the obligation, tax included.
    pub amount: Money,
    /// `not_ours`, `fraud`, `goods_not_received`, `wrong_amount` or `duplicate`: each once for what is disputed, and three
    /// in all, whatever becomes of them.
    pub reason: Ident,
    /// What becomes of the points if the filer wins; if absent, what the reason says: of `not_ours` nothing, of the
    /// others they go back into their lots. Points of an exchange stay exchanged, those that were awarded stay so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsEffect>,
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
    /// It has no ground: an analyst ends it, and two approvers sign. Once the target has answered, losing it so costs what
    /// losing costs.
    Close,
    /// The target accepts it.
    Accept,
    /// The target brings evidence against it; before arbitration it says so that it goes on.
    Represent,
    /// An analyst looks at both sides: the filer has 30 days.
    Review,
    /// The filer goes on: to pre-arbitration, then to arbitration.
    Escalate,
    /// The target gives in after it has answered, whoever is to answer now: so it can always let a refund pass.
    Concede,
    /// Whoever was to answer did not in time: an analyst finds it of a side, the target of the house, which ends the dispute
    /// as if it had not been filed.
    Lapse,
    /// Decided for the filer: two approvers sign.
    RuleForFiler,
    /// Decided for the target: two approvers sign.
    RuleForTarget,
    /// The filer takes it back.
    Withdraw,
}

impl DisputeStep {
    /// Every step.
    pub const ALL: [Self; 11] = [
        Self::ChargeBack,
        Self::Close,
        Self::Accept,
        Self::Represent,
        Self::Review,
        Self::Escalate,
        Self::Concede,
        Self::Lapse,
        Self::RuleForFiler,
        Self::RuleForTarget,
        Self::Withdraw,
    ];
}

/// `dispute.move`, signed by whoever takes the step: for a side that has no brand an analyst, with two of the operator's
/// approvers; to accept or concede an approver key or the root of the side's brand.
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
    /// The target, once the house's time has passed.
    Stalled,
    /// An analyst, with two approvers.
    Bench,
}

/// The table: from a stage, by a step that a side takes, to the next stage. What is not in it is refused.
const TABLE: &[(DisputeStage, DisputeStep, Side, DisputeStage)] = {
    use DisputeStage as S;
    use DisputeStep as T;
    &[
        (S::Filed, T::ChargeBack, Side::Analyst, S::ChargedBack),
        (S::Filed, T::Close, Side::Bench, S::Closed),
        (S::Filed, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::ChargedBack, T::Accept, Side::Target, S::Accepted),
        (S::ChargedBack, T::Lapse, Side::Clock, S::Accepted),
        (S::ChargedBack, T::Represent, Side::Target, S::Represented),
        (S::ChargedBack, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Represented, T::Review, Side::Analyst, S::Review),
        (S::Represented, T::Concede, Side::Target, S::Conceded),
        (S::Represented, T::Escalate, Side::Filer, S::PreArbitration),
        (S::Represented, T::Lapse, Side::Stalled, S::Closed),
        (S::Represented, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Review, T::Close, Side::Bench, S::Closed),
        (S::Review, T::Concede, Side::Target, S::Conceded),
        (S::Review, T::Escalate, Side::Filer, S::PreArbitration),
        (S::Review, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Review, T::Lapse, Side::Clock, S::Closed),
        (S::PreArbitration, T::Concede, Side::Target, S::Conceded),
        (S::PreArbitration, T::Lapse, Side::Clock, S::Conceded),
        (S::PreArbitration, T::Represent, Side::Target, S::Arbitration),
        (S::PreArbitration, T::Escalate, Side::Filer, S::Arbitration),
        (S::PreArbitration, T::Withdraw, Side::Filer, S::Withdrawn),
        (S::Arbitration, T::RuleForFiler, Side::Bench, S::RuledForFiler),
        (S::Arbitration, T::RuleForTarget, Side::Bench, S::RuledForTarget),
        (S::Arbitration, T::Concede, Side::Target, S::Conceded),
        (S::Arbitration, T::Lapse, Side::Stalled, S::Closed),
    ]
};

fn next(stage: DisputeStage, step: DisputeStep) -> Option<(Side, DisputeStage)> {
    let row = TABLE.iter().find(|(from, by, ..)| *from == stage && *by == step);
    row.map(|(_, _, side, to)| (*side, *to))
}

fn put(draft: &mut Draft, id: DisputeId, dispute: Dispute) -> Result<(), Stop> {
    let (a, b) = (dispute.filer.clone(), dispute.target.clone());
    let pair = if a < b { PartKey::Pair(a, b) } else { PartKey::Pair(b, a) };
    draft.put(pair, Name::Dispute(id), Some(Record::from(dispute)))
}

/// The reason of this name.
fn named(code: &Ident) -> Result<&'static Reason, Refused> {
    let found = REASONS.iter().find(|reason| reason.code == code.as_str());
    found.ok_or_else(|| Refused::about(Refusal::DisputeInvalid, format!("reason {code}")))
}

/// Files a dispute.
pub fn file_dispute(draft: &mut Draft, asked: &Asked, args: &FileDispute) -> Result<(), Stop> {
    let filer = speaks_for(draft, asked.kid)?;
    let subject = Subject::of(args.payment, args.unit, args.exchange, args.award, (args.fee, &filer))?;
    let reason = named(&args.reason)?;
    let stands = subject.stands(draft, &filer)?;
    let limit = stands.since.seconds().saturating_add(reason.days.saturating_mul(DAY));
    if draft.at.seconds() > limit {
        return Err(
            Refused::about(Refusal::DisputeInvalid, format!("it could be filed until {limit}")).into()
        );
    }
    once(draft, &args.reason, &stands.disputes)?;
    let left = stands.left();
    if args.amount.is_zero() || args.amount > left || filer == stands.target {
        return Err(Refused::about(Refusal::DisputeInvalid, format!("amount: 1 to {left}")).into());
    }
    if args.evidence.len() > MOST_EVIDENCE {
        return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_EVIDENCE} documents")).into());
    }
    let points = match (&subject, args.points) {
        (Subject::Payment(..), asked) => asked.unwrap_or(reason.points),
        (_, Some(PointsEffect::Restore)) => {
            let about = "points: those of an exchange stay exchanged, those awarded stay so, and of a fee there are none";
            return Err(Refused::about(Refusal::DisputeInvalid, about).into());
        }
        _ => PointsEffect::None,
    };
    let id = DisputeId { seq: draft.seq, part: 0 };
    note(draft, &subject, id)?;
    let (fees_version, fees) = losing(draft, stands.currency)?;
    let dispute = Dispute {
        payment: args.payment,
        unit: args.unit,
        exchange: args.exchange,
        fee: args.fee,
        award: args.award,
        evidence: args.evidence.iter().map(|hash| (filer.clone(), *hash)).collect(),
        filer,
        target: stands.target,
        currency: stands.currency,
        amount: args.amount,
        reason: args.reason.clone(),
        limit,
        points,
        stage: DisputeStage::Filed,
        until: draft.at.seconds().saturating_add(ANSWER),
        fees_version,
        fees,
        outcome: None,
    };
    put(draft, id, dispute)
}

/// Refused if there was a dispute over the same for the same reason, however it ended, or three for others.
fn once(draft: &mut Draft, reason: &Ident, before: &[DisputeId]) -> Result<(), Stop> {
    for id in before {
        if draft.dispute(*id)?.reason == *reason {
            let about = format!("{id} was filed for {reason}: a reason counts once");
            return Err(Refused::about(Refusal::DisputeInvalid, about).into());
        }
    }
    if before.len() >= MOST_DISPUTES {
        let about = format!("at most {MOST_DISPUTES} disputes over the same, whatever became of them");
        return Err(Refused::about(Refusal::DisputeInvalid, about).into());
    }
    Ok(())
}

/// What losing costs, as published: the version in force now, and each of its fees.
fn losing(draft: &mut Draft, currency: Currency) -> Result<(Option<u64>, Vec<DisputeFee>), Stop> {
    let Some(published) = fees_now(draft, currency)? else { return Ok((None, vec![])) };
    let losing = published.dispute.unwrap_or_default();
    let network = DisputeFee { to: Some(published.supplier), amount: losing.network };
    let winner = DisputeFee { to: None, amount: losing.winner };
    let fees: Vec<_> = [network, winner].into_iter().filter(|fee| !fee.amount.is_zero()).collect();
    Ok(((!fees.is_empty()).then_some(published.version), fees))
}

/// Takes a step in a dispute.
pub fn move_dispute(draft: &mut Draft, asked: &Asked, args: &MoveDispute) -> Result<(), Stop> {
    let mut dispute = (*draft.dispute(args.dispute)?).clone();
    let from = dispute.stage;
    let Some((side, to)) = next(from, args.step) else {
        let may = TABLE.iter().filter(|(at, ..)| *at == from).map(|(_, step, ..)| *step);
        let about = misplaced(&args.dispute, &from, &args.step, may);
        return Err(Refused::about(Refusal::DisputeStage, about).into());
    };
    let by = allowed(draft, asked, &dispute, side, args.step)?;
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
        charge_back(draft, args.dispute, &mut dispute)?;
    }
    if let Some(for_filer) = end(to) {
        let charged_back = from != DisputeStage::Filed;
        let costs = losing_costs(from) && side != Side::Stalled;
        finish(draft, args.dispute, &mut dispute, for_filer, charged_back, costs)?;
    }
    put(draft, args.dispute, dispute)
}

/// Charges back what is owed still: until now it could be refunded, or charged back for another reason.
fn charge_back(draft: &mut Draft, id: DisputeId, dispute: &mut Dispute) -> Result<(), Stop> {
    let subject = Subject::disputed(dispute)?;
    let left = subject.stands(draft, &dispute.filer)?.left();
    dispute.amount = dispute.amount.min(left);
    if dispute.amount.is_zero() {
        let about = format!("nothing of what {id} is about is owed any more: close it");
        return Err(Refused::about(Refusal::DisputeInvalid, about).into());
    }
    charge(draft, &subject, dispute.amount.signed())?;
    provide(draft, id, dispute, dispute.amount.signed())
}

/// Checks that the step is taken by whose it is; says which participant, if it is one.
fn allowed(
    draft: &mut Draft,
    asked: &Asked,
    dispute: &Dispute,
    side: Side,
    step: DisputeStep,
) -> Result<Option<ParticipantId>, Stop> {
    let wanted = match side {
        Side::Filer => (&dispute.filer, "files"),
        Side::Target => (&dispute.target, "answers"),
        Side::Stalled => {
            late(draft, dispute)?;
            (&dispute.target, "answers")
        }
        Side::Analyst => return analyst(draft, asked.kid).map(|_| None),
        Side::Bench => {
            analyst(draft, asked.kid)?;
            return two_people(draft, asked).map(|()| None);
        }
        Side::Clock => {
            analyst(draft, asked.kid)?;
            return late(draft, dispute).map(|()| None);
        }
    };
    let purposes: &[Purpose] = match step {
        // Whoever gives in gives money away: no key that lies at a till's or a shop's server does that. What was only filed
        // costs nobody anything yet.
        DisputeStep::Accept | DisputeStep::Concede => &[Purpose::Approver, Purpose::BrandRoot],
        DisputeStep::Withdraw if dispute.stage != DisputeStage::Filed => {
            &[Purpose::Approver, Purpose::BrandRoot]
        }
        _ => &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot],
    };
    acts_for(draft, asked, wanted, purposes)?;
    Ok(Some(wanted.0.clone()))
}

/// Refused while whoever is to take the next step has time for it.
fn late(draft: &Draft, dispute: &Dispute) -> Result<(), Stop> {
    if draft.at.seconds() >= dispute.until {
        return Ok(());
    }
    let about = format!("there is time to answer until {}", dispute.until);
    Err(Refused::about(Refusal::DisputeStage, about).into())
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
        Filed          ChargeBack:Analyst:ChargedBack Close:Bench:Closed Withdraw:Filer:Withdrawn
        ChargedBack    Accept:Target:Accepted Represent:Target:Represented Lapse:Clock:Accepted Withdraw:Filer:Withdrawn
        Represented    Review:Analyst:Review Concede:Target:Conceded Escalate:Filer:PreArbitration Lapse:Stalled:Closed Withdraw:Filer:Withdrawn
        Review         Close:Bench:Closed Concede:Target:Conceded Escalate:Filer:PreArbitration Lapse:Clock:Closed Withdraw:Filer:Withdrawn
        PreArbitration Represent:Target:Arbitration Escalate:Filer:Arbitration Concede:Target:Conceded Lapse:Clock:Conceded Withdraw:Filer:Withdrawn
        Arbitration    RuleForFiler:Bench:RuledForFiler RuleForTarget:Bench:RuledForTarget Concede:Target:Conceded Lapse:Stalled:Closed
        Accepted
        Closed
        Conceded
        RuledForFiler
        RuledForTarget
        Withdrawn
    ";

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
            for step in DisputeStep::ALL {
                let found = next(stage, step).map(|(side, to)| format!("{step:?}:{side:?}:{to:?}"));
                let listed = allowed.iter().find(|one| one.starts_with(&format!("{step:?}:")));
                assert_eq!(found.as_deref(), listed.copied(), "{stage:?}, {step:?}");
            }
            assert_eq!(end(stage).is_some(), allowed.is_empty(), "{stage:?}");
        }
    }
}
