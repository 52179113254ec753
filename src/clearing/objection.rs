//! Objections: a participant does not agree with what a cycle says that it owes or is owed.
//!
//! Owns: filing and answering them, and carrying what was accepted to the open cycle.
//! Promises: what is carried leaves one cycle and enters another in one entry; silence accepts the cycle. No participant has
//! more than a handful of objections to a cycle waiting, and of a payment no more is put off than is owed for it. One person
//! rejects an objection: the cycle stays as it is. To accept one takes two more: a creditor is not paid what was computed.
//! Refuses to know: who is right; a dispute decides about the payment itself.

use super::cycle::store;
use super::people::{analyst, speaks_for, two_people};
use super::stage::{Step, allowed};
use crate::book::{Answered, Draft, Name, Objection, PartKey, Principal, Record, Stop, Tag};
use crate::network::Asked;
use crate::types::{Currency, Ident, Money, ObjectionId, ParticipantId, PaymentId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Most objections to one cycle that wait for an answer.
const MOST_OPEN: u32 = 10_000;
/// Most of them of one participant: so that none takes the others' time, and the cycle with it.
const MOST_OF_ONE: i64 = 50;

/// `objection.file`, signed by a key of the brand that speaks for the debtor or for the creditor, while the cycle is
/// reviewed. At most 50 of one participant wait for an answer. For the debtor of a participant that has no bank details by an
/// analyst: what is owed to it waits for the next cycle, and everybody else is paid.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileObjection {
    /// The cycle.
    pub cycle: u64,
    /// Who owes.
    pub debtor: ParticipantId,
    /// Who is owed.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much of it should not be in this cycle.
    pub amount: Money,
    /// The payment that it is about; without one, it is about what the debtor owes on balance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment: Option<PaymentId>,
    /// A code for why, such as `not_ours`.
    pub reason: Ident,
}

/// `objection.answer`, signed by an analyst; approved by two approvers if it accepts.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerObjection {
    /// Which.
    pub objection: ObjectionId,
    /// The answer.
    pub answer: Answered,
    /// A code for why.
    pub reason: Ident,
}

/// Files an objection.
pub fn file_objection(draft: &mut Draft, asked: &Asked, args: &FileObjection) -> Result<(), Stop> {
    let by = match draft.key(asked.kid)?.owner {
        Principal::Operator => for_debtor(draft, asked, args)?,
        _ => speaks_for(draft, asked.kid)?,
    };
    if by != args.debtor && by != args.creditor {
        return Err(Refused::about(Refusal::KeyOwner, format!("{by} is on neither side")).into());
    }
    let mut closing = (*draft.closing(args.cycle)?).clone();
    allowed(args.cycle, &closing, Step::Object)?;
    if closing.review.is_some_and(|until| until <= draft.at.seconds()) {
        return Err(Refused::about(Refusal::CycleStage, "the time for objections has passed").into());
    }
    let most = match args.payment {
        Some(id) => {
            let most = owed_for(draft, id, &args.debtor, &args.creditor, args.currency)?;
            most.saturating_sub(put_off(draft, (args.cycle, &closing.includes), id, &args.debtor)?)
        }
        None => {
            of_pair(draft, (args.cycle, &closing.includes), (&args.debtor, &args.creditor), args.currency)?
        }
    };
    if args.amount.is_zero() || args.amount.get() > most {
        return Err(Refused::about(Refusal::ObjectionInvalid, format!("amount: 1 to {most}")).into());
    }
    waiting(draft, args.cycle, &by, 1)?;
    closing.objections =
        closing.objections.checked_add(1).filter(|n| *n <= MOST_OPEN).ok_or(Refusal::TooLarge)?;
    let objection = Objection {
        cycle: args.cycle,
        version: closing.version,
        by,
        debtor: args.debtor.clone(),
        creditor: args.creditor.clone(),
        currency: args.currency,
        amount: args.amount,
        payment: args.payment,
        reason: args.reason.clone(),
        answer: None,
    };
    put(draft, ObjectionId { seq: draft.seq, part: 0 }, objection)?;
    store(draft, args.cycle, closing)
}

/// The house objects for a debtor whose creditor cannot be paid: so nobody stops everybody's cycle by having no account.
fn for_debtor(draft: &mut Draft, asked: &Asked, args: &FileObjection) -> Result<ParticipantId, Stop> {
    analyst(draft, asked.kid)?;
    if super::details::in_force(draft, &args.creditor, args.currency, args.cycle)?.is_none() {
        return Ok(args.debtor.clone());
    }
    let about = format!("{} has bank details: its debtors object themselves, or {0} does", args.creditor);
    Err(Refused::about(Refusal::KeyOwner, about).into())
}

/// Counts the objections of a participant to a cycle that wait for an answer.
fn waiting(draft: &mut Draft, cycle: u64, who: &ParticipantId, change: i64) -> Result<(), Stop> {
    let name = Name::Objecting(cycle, who.clone());
    let after = draft.total(&name)?.saturating_add(change);
    if after > MOST_OF_ONE {
        let about = format!(
            "{who} has {MOST_OF_ONE} objections to cycle {cycle} that wait, the most there may be: wait for answers, or \
             object once to what is owed on balance"
        );
        return Err(Refused::about(Refusal::ObjectionInvalid, about).into());
    }
    draft.put(PartKey::Participant(who.clone()), name, Some(Record::Total(after)))
}

fn pair_of(objection: &Objection) -> PartKey {
    let (a, b) = (objection.debtor.clone(), objection.creditor.clone());
    if a < b { PartKey::Pair(a, b) } else { PartKey::Pair(b, a) }
}

fn put(draft: &mut Draft, id: ObjectionId, objection: Objection) -> Result<(), Stop> {
    draft.put(pair_of(&objection), Name::Objection(id), Some(Record::from(objection)))
}

/// What objections that were accepted put off already, out of the cycle and those that it includes, of what somebody owes for a
/// payment.
fn put_off(
    draft: &mut Draft,
    (cycle, includes): (u64, &[u64]),
    payment: PaymentId,
    debtor: &ParticipantId,
) -> Result<u64, Stop> {
    let mut sum = 0u64;
    for cycle in includes.iter().copied().chain([cycle]) {
        let total = draft.total(&Name::PutOff(cycle, payment, debtor.clone()))?;
        sum = sum.saturating_add(total.unsigned_abs());
    }
    Ok(sum)
}

/// Counts what an accepted objection puts off of a payment. Refused if that is more than is owed for it: another may have been
/// accepted since it was filed.
fn count_put_off(draft: &mut Draft, includes: &[u64], objection: &Objection) -> Result<(), Stop> {
    let Some(id) = objection.payment else { return Ok(()) };
    let (cycle, amount) = (objection.cycle, objection.amount);
    let owed = owed_for(draft, id, &objection.debtor, &objection.creditor, objection.currency)?;
    let before = put_off(draft, (cycle, includes), id, &objection.debtor)?;
    let left = owed.saturating_sub(before);
    if amount.get() > left {
        let about = format!("of {id} {left} is left to put off in cycle {cycle}: reject this objection");
        return Err(Refused::about(Refusal::ObjectionInvalid, about).into());
    }
    let name = Name::PutOff(cycle, id, objection.debtor.clone());
    let after = draft.total(&name)?.saturating_add(amount.signed());
    draft.put(pair_of(objection), name, Some(Record::Total(after)))
}

/// What a payment makes the debtor owe the creditor, in full.
fn owed_for(
    draft: &mut Draft,
    id: PaymentId,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
) -> Result<u64, Stop> {
    let payment = draft.payment(id)?;
    let concerned = payment.participant == *creditor && payment.currency == currency;
    let shares = payment.shares.iter().filter(|share| concerned && share.payer() == debtor);
    Ok(shares.fold(0, |sum, share| sum.saturating_add(share.obligation.get())))
}

/// What the debtor owes the creditor on balance, by the obligations of the cycle and those that it includes.
fn of_pair(
    draft: &mut Draft,
    (cycle, includes): (u64, &[u64]),
    (debtor, creditor): (&ParticipantId, &ParticipantId),
    currency: Currency,
) -> Result<u64, Stop> {
    let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
    let mut first_has = 0i64;
    for cycle in includes.iter().copied().chain([cycle]) {
        let total = draft.total(&Name::Pair(cycle, a.clone(), b.clone(), currency))?;
        first_has = first_has.checked_add(total).ok_or(Refusal::AmountTooLarge)?;
    }
    let owed = if a == creditor { Some(first_has) } else { first_has.checked_neg() };
    Ok(owed.and_then(|owed| u64::try_from(owed).ok()).unwrap_or(0))
}

/// Answers an objection.
pub fn answer_objection(draft: &mut Draft, asked: &Asked, args: &AnswerObjection) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let mut objection = (*draft.objection(args.objection)?).clone();
    let cycle = objection.cycle;
    let mut closing = (*draft.closing(cycle)?).clone();
    allowed(cycle, &closing, Step::Answer)?;
    if objection.answer.is_some() {
        return Err(Refused::about(Refusal::ObjectionInvalid, "it was answered").into());
    }
    if args.answer == Answered::Accepted {
        two_people(draft, asked)?;
    }
    objection.answer = Some((args.answer, args.reason.clone()));
    closing.objections = closing.objections.saturating_sub(1);
    waiting(draft, cycle, &objection.by, -1)?;
    if args.answer == Answered::Accepted {
        // Others may have been accepted since it was filed, and a payment may be of another cycle: what is put off is never
        // more than is owed in this one, so nobody who owes comes to be owed.
        let sides = (&objection.debtor, &objection.creditor);
        let most = of_pair(draft, (cycle, &closing.includes), sides, objection.currency)?;
        if objection.amount.get() > most {
            let about =
                format!("on balance {most} is owed in cycle {cycle}, less than the objection puts off");
            return Err(Refused::about(Refusal::ObjectionInvalid, about).into());
        }
        count_put_off(draft, &closing.includes, &objection)?;
        let open = draft.cycle()?.open;
        let (debtor, creditor) = (objection.debtor.clone(), objection.creditor.clone());
        let amount = objection.amount.signed();
        for (cycle, amount) in [(cycle, amount.saturating_neg()), (open, amount)] {
            let tag = Tag { cause: args.objection.into(), cycle, supply: None };
            draft.owe_in(&debtor, &creditor, objection.currency, amount, tag)?;
        }
        // What was computed does not hold any more.
        closing.returned = Some(args.reason.clone());
    }
    put(draft, args.objection, objection)?;
    store(draft, cycle, closing)
}
