//! What is due between two after set-off: debtors say that they paid, creditors that they were paid.
//!
//! Owns: these two commands.
//! Promises: nothing but the creditor's word takes a debt away; a payment's reference counts once between the same two. What
//! a debtor says is shown to its creditor and changes nothing: silence leaves the debt as it is. A hot key says neither: with
//! a creditor's word goes what it is owed.
//! Refuses to know: how they pay each other, and what is due.

use super::cycle::now;
use super::people::acts_for;
use super::wrong::Unsound;
use crate::book::{Draft, Due, DueClaim, Name, PartKey, Record, Stop, Used};
use crate::network::Asked;
use crate::sign::Purpose;
use crate::types::{Currency, Fingerprint, Ident, Money, ParticipantId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Whose keys say so: of people, as where a dispute is given in.
const PURPOSES: [Purpose; 2] = [Purpose::Approver, Purpose::BrandRoot];
/// Most claims that wait for their creditor's word, of what is due between two.
const MOST_CLAIMS: usize = 20;

/// `due.claim`, signed by the root or an approver key of the brand that speaks for the debtor: it paid. For a debtor without a
/// brand by an analyst, with the approvals of two of the operator's approvers.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimDue {
    /// Who paid.
    pub debtor: ParticipantId,
    /// Whom.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much: a whole number of the bank's units, at most what is due still.
    pub amount: Money,
    /// The reference that the payment carries, by which its creditor finds it: used once between the two.
    pub reference: Ident,
}

/// `due.confirm`, signed by the root or an approver key of the brand that speaks for the creditor: it was paid. For a creditor
/// without a brand by an analyst, with the approvals of two of the operator's approvers.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmDue {
    /// Who paid.
    pub debtor: ParticipantId,
    /// Who got it.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much: a whole number of the bank's units, at most what is due still.
    pub amount: Money,
    /// The reference of the payment, which its debtor claimed or the creditor's bank gave: used once between the two.
    pub reference: Ident,
}

/// What is due, where it stands and who reads it.
struct Between {
    part: PartKey,
    name: Name,
    due: Due,
    /// That a payment of this reference was confirmed.
    used: Name,
}

/// What is due of a debtor to a creditor, if it is so much at least and the payment was not confirmed before.
fn between(
    draft: &mut Draft,
    (debtor, creditor): (&ParticipantId, &ParticipantId),
    currency: Currency,
    amount: Money,
    reference: &Ident,
) -> Result<Between, Stop> {
    let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
    let name = Name::Due(a.clone(), b.clone(), currency);
    let record = draft.get(&name)?;
    let due = record.as_deref().and_then(Record::due_between).filter(|due| due.debtor == *debtor);
    let nothing = || Refused::about(Refusal::InstructionUnknown, format!("{debtor} owes {creditor} nothing"));
    let due = due.cloned().ok_or_else(nothing)?;
    if due.cycle != draft.cycle()?.open {
        let about = format!("cycle {} was sealed: it is set off first, then something is due", due.cycle);
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    let unit = draft.network()?.bank_unit(currency).ok_or_else(|| Stop::Bug(Unsound::Unit.to_string()))?;
    let open = due.amount.minus(due.paid).unwrap_or_default();
    let whole = amount.get().checked_rem(unit) == Some(0);
    if amount.is_zero() || amount > open || !whole {
        let about = format!("amount: {unit} to {open}, in whole units of the bank's");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let used = Name::UsedDue(a.clone(), b.clone(), reference.clone());
    if draft.get(&used)?.is_some() {
        let about = format!("the payment {reference} was confirmed before: name the one that is meant");
        return Err(Refused::about(Refusal::AlreadyExists, about).into());
    }
    Ok(Between { part: PartKey::Pair(a.clone(), b.clone()), name, due, used })
}

/// Takes a debtor's word that it paid: its creditor looks for the payment.
pub fn claim_due(draft: &mut Draft, asked: &Asked, args: &ClaimDue) -> Result<(), Stop> {
    acts_for(draft, asked, (&args.debtor, "pays"), &PURPOSES)?;
    let pair = (&args.debtor, &args.creditor);
    let Between { part, name, mut due, .. } =
        between(draft, pair, args.currency, args.amount, &args.reference)?;
    if due.claims.iter().any(|claim| claim.reference == args.reference) {
        let about = format!("the payment {} was claimed before", args.reference);
        return Err(Refused::about(Refusal::AlreadyExists, about).into());
    }
    if due.claims.len() >= MOST_CLAIMS {
        let about = format!("{MOST_CLAIMS} claims wait for {}: it confirms first", args.creditor);
        return Err(Refused::about(Refusal::TooLarge, about).into());
    }
    let (amount, reference) = (args.amount, args.reference.clone());
    due.claims.push(DueClaim { reference, amount, claimed: now(draft) });
    draft.put(part, name, Some(Record::Due(due)))
}

/// Takes what a creditor was paid off what is owed to it.
pub fn confirm_due(draft: &mut Draft, asked: &Asked, args: &ConfirmDue) -> Result<(), Stop> {
    acts_for(draft, asked, (&args.creditor, "is paid"), &PURPOSES)?;
    let pair = (&args.debtor, &args.creditor);
    let Between { part, name, mut due, used } =
        between(draft, pair, args.currency, args.amount, &args.reference)?;
    let less = args.amount.signed().saturating_neg();
    draft.owe(&args.debtor, &args.creditor, args.currency, less, due.of.into())?;
    due.paid = due.paid.plus(args.amount).ok_or(Refusal::AmountTooLarge)?;
    due.claims.retain(|claim| claim.reference != args.reference);
    let once = Used(draft.seq, 0, Fingerprint::of(args.reference.as_str().as_bytes()));
    draft.put(part.clone(), used, Some(Record::Used(once)))?;
    draft.put(part, name, Some(Record::Due(due)))
}
