//! Complaints: a consumer says that points are missing, that it was not them, or that an amount is wrong.
//!
//! Owns: the reasons, and the table of stages, steps and sides.
//! Promises: a brand answers, the operator on appeal; no step leaves an end; few of an account wait for an answer at a
//! time. A complaint moves no points: what is upheld is mended by an award, a refund or a dispute of its own.
//! Refuses to know: who the consumer is.

use super::people::analyst;
use super::stage::misplaced;
use crate::book::{Complaint, ComplaintStage, Draft, Limit, Measure, Name, PartKey, Principal, Record, Stop};
use crate::network::{Asked, signer};
use crate::sign::Purpose;
use crate::types::{AccountId, ComplaintId, Hash, Ident, PaymentId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// How long whoever is to answer has.
const ANSWER: u64 = 30 * 86_400;
/// Most documents of one complaint.
const MOST_EVIDENCE: usize = 16;
/// Most complaints of one account that wait for an answer.
const MOST_OPEN: u64 = 10;
/// What may be complained about.
pub const COMPLAINTS: &[&str] = &["missing_points", "not_me", "wrong_amount"];

/// `complaint.file`, signed by the account's key.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileComplaint {
    /// The account.
    pub account: AccountId,
    /// `missing_points`, `not_me` or `wrong_amount`.
    pub reason: Ident,
    /// The payment, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment: Option<PaymentId>,
    /// SHA-256 of documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Hash>,
}

/// A step of a complaint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComplaintStep {
    /// Whoever answers agrees.
    Uphold,
    /// Whoever answers does not.
    Reject,
    /// The consumer asks the operator, also where the brand did not answer in time.
    Appeal,
    /// The consumer takes it back.
    Withdraw,
}

/// `complaint.move`, signed by whoever takes the step.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveComplaint {
    /// Which.
    pub complaint: ComplaintId,
    /// The step.
    pub step: ComplaintStep,
    /// SHA-256 of documents that are brought with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Hash>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Holder,
    /// The holder, within the time to appeal; of a complaint that nobody answered, once that time has passed.
    Appellant,
    Brand,
    Operator,
}

const TABLE: &[(ComplaintStage, ComplaintStep, Side, ComplaintStage)] = {
    use ComplaintStage as S;
    use ComplaintStep as T;
    &[
        (S::Filed, T::Uphold, Side::Brand, S::Upheld),
        (S::Filed, T::Reject, Side::Brand, S::Rejected),
        (S::Filed, T::Appeal, Side::Appellant, S::Appealed),
        (S::Filed, T::Withdraw, Side::Holder, S::Withdrawn),
        (S::Rejected, T::Appeal, Side::Appellant, S::Appealed),
        (S::Appealed, T::Uphold, Side::Operator, S::AppealUpheld),
        (S::Appealed, T::Reject, Side::Operator, S::AppealRejected),
        (S::Appealed, T::Withdraw, Side::Holder, S::Withdrawn),
    ]
};

fn next(stage: ComplaintStage, step: ComplaintStep) -> Option<(Side, ComplaintStage)> {
    let row = TABLE.iter().find(|(from, by, ..)| *from == stage && *by == step);
    row.map(|(_, _, side, to)| (*side, *to))
}

fn holder(draft: &mut Draft, asked: &Asked, account: AccountId) -> Result<(), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Account])?;
    if key.owner == Principal::Account(account) {
        return Ok(());
    }
    Err(Refused::about(Refusal::KeyOwner, asked.kid).into())
}

/// Files a complaint.
pub fn file_complaint(draft: &mut Draft, asked: &Asked, args: &FileComplaint) -> Result<(), Stop> {
    holder(draft, asked, args.account)?;
    let unit = draft.account(args.account)?.head.unit;
    let brand = draft.unit(unit)?.brand.clone();
    if !COMPLAINTS.contains(&args.reason.as_str()) || args.evidence.len() > MOST_EVIDENCE {
        return Err(Refused::about(Refusal::ComplaintInvalid, format!("reason {}", args.reason)).into());
    }
    if let Some(payment) = args.payment {
        // Only of one's own payments: others' are as good as unknown.
        let share = draft.get(&Name::Share(payment, unit))?;
        if share.as_deref().and_then(Record::share).is_none_or(|share| share.account != args.account) {
            return Err(Refused::about(Refusal::PaymentUnknown, payment).into());
        }
    }
    let complaint = Complaint {
        account: args.account,
        brand,
        reason: args.reason.clone(),
        payment: args.payment,
        stage: ComplaintStage::Filed,
        until: draft.at.seconds().saturating_add(ANSWER),
        evidence: args.evidence.clone(),
    };
    if waiting(draft, &complaint)? >= MOST_OPEN {
        let about = format!("{MOST_OPEN} of the account are open: withdraw one, or wait for an answer");
        return Err(Refused::about(Refusal::ComplaintInvalid, about).into());
    }
    put(draft, ComplaintId { seq: draft.seq, part: 0 }, None, complaint)
}

fn counted(complaint: &Complaint) -> Result<Name, Stop> {
    let subject = complaint.account.to_string().parse();
    let subject = subject.map_err(|_| Stop::Bug("an account's id is an id".into()))?;
    Ok(Name::Limit(complaint.brand.clone(), subject, Measure::OpenComplaints))
}

/// How many of the account wait for an answer.
fn waiting(draft: &mut Draft, complaint: &Complaint) -> Result<u64, Stop> {
    let record = draft.get(&counted(complaint)?)?;
    Ok(record.as_deref().and_then(Record::limit).map_or(0, |limit| limit.used))
}

/// Writes it, and how many of its account are open now; `before` is where it stood.
fn put(
    draft: &mut Draft,
    id: ComplaintId,
    before: Option<ComplaintStage>,
    complaint: Complaint,
) -> Result<(), Stop> {
    let part = PartKey::Holder(complaint.account);
    let open = waiting(draft, &complaint)?;
    let used = match (before.is_some_and(ComplaintStage::is_open), complaint.stage.is_open()) {
        (false, true) => open.saturating_add(1),
        (true, false) => open.saturating_sub(1),
        _ => open,
    };
    draft.put(part.clone(), counted(&complaint)?, Some(Record::Limit(Limit { window: 0, used })))?;
    draft.put(part, Name::Complaint(id), Some(Record::Complaint(complaint)))
}

/// Takes a step in a complaint.
pub fn move_complaint(draft: &mut Draft, asked: &Asked, args: &MoveComplaint) -> Result<(), Stop> {
    let (_, side, _) = step_of(draft, args)?;
    let key = match side {
        Side::Holder | Side::Appellant => signer(draft, asked.kid, &[Purpose::Account])?,
        Side::Brand => signer(draft, asked.kid, &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot])?,
        Side::Operator => analyst(draft, asked.kid)?,
    };
    let who = key.owner.clone();
    move_complaint_as(draft, &who, args)
}

/// What a step does that somebody took in this name.
pub fn move_complaint_as(draft: &mut Draft, who: &Principal, args: &MoveComplaint) -> Result<(), Stop> {
    let (mut complaint, side, to) = step_of(draft, args)?;
    let wanted = match side {
        Side::Holder | Side::Appellant => Principal::Account(complaint.account),
        Side::Brand => Principal::Brand(complaint.brand.clone()),
        Side::Operator => Principal::Operator,
    };
    if *who != wanted {
        return Err(Refused::about(Refusal::KeyOwner, who).into());
    }
    let over = complaint.until <= draft.at.seconds();
    if side == Side::Appellant && over != (complaint.stage == ComplaintStage::Filed) {
        let about = format!("the time of this step is {}", complaint.until);
        return Err(Refused::about(Refusal::ComplaintStage, about).into());
    }
    complaint.evidence.extend_from_slice(&args.evidence);
    if complaint.evidence.len() > MOST_EVIDENCE {
        return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_EVIDENCE} documents")).into());
    }
    let before = std::mem::replace(&mut complaint.stage, to);
    complaint.until = draft.at.seconds().saturating_add(ANSWER);
    put(draft, args.complaint, Some(before), complaint)
}

fn step_of(draft: &mut Draft, args: &MoveComplaint) -> Result<(Complaint, Side, ComplaintStage), Stop> {
    let complaint = (*draft.complaint(args.complaint)?).clone();
    let Some((side, to)) = next(complaint.stage, args.step) else {
        let may = TABLE.iter().filter(|(at, ..)| *at == complaint.stage).map(|(_, step, ..)| *step);
        let about = misplaced(&args.complaint, &complaint.stage, &args.step, may);
        return Err(Refused::about(Refusal::ComplaintStage, about).into());
    };
    Ok((complaint, side, to))
}

/// The step that leads from one stage to another: there is one at the most.
pub fn complaint_step(from: ComplaintStage, to: ComplaintStage) -> Option<ComplaintStep> {
    TABLE.iter().find(|(a, .., b)| *a == from && *b == to).map(|(_, step, ..)| *step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row for each stage: the steps that it allows, each with who takes it and where it leads.
    const STAGES: &str = "
        Filed          Uphold:Brand:Upheld Reject:Brand:Rejected Appeal:Appellant:Appealed Withdraw:Holder:Withdrawn
        Upheld
        Rejected       Appeal:Appellant:Appealed
        Appealed       Uphold:Operator:AppealUpheld Reject:Operator:AppealRejected Withdraw:Holder:Withdrawn
        AppealUpheld
        AppealRejected
        Withdrawn
    ";

    #[test]
    fn every_pair_of_stage_and_step() {
        use ComplaintStage as S;
        let stages =
            [S::Filed, S::Upheld, S::Rejected, S::Appealed, S::AppealUpheld, S::AppealRejected, S::Withdrawn];
        let steps =
            [ComplaintStep::Uphold, ComplaintStep::Reject, ComplaintStep::Appeal, ComplaintStep::Withdraw];
        let rows: Vec<&str> = STAGES.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), stages.len());
        for (row, stage) in rows.iter().zip(stages) {
            let mut words = row.split_whitespace();
            assert_eq!(words.next(), Some(format!("{stage:?}").as_str()));
            let allowed: Vec<&str> = words.collect();
            for step in steps {
                let found = next(stage, step).map(|(side, to)| format!("{step:?}:{side:?}:{to:?}"));
                let listed = allowed.iter().find(|one| one.starts_with(&format!("{step:?}:")));
                assert_eq!(found.as_deref(), listed.copied(), "{stage:?}, {step:?}");
                if let Some((_, to)) = next(stage, step) {
                    assert_eq!(complaint_step(stage, to), Some(step));
                }
            }
        }
    }
}
