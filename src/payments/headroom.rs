//! Headroom: what is reserved of who may come to owe while a payment is open.
//!
//! Owns: giving it back, as the payment is captured, voided or closed.
//! Promises: what was captured is a debt and reserved no longer; what can still be captured is, also where a reserve may free
//! less for the points that are left than is owed for them.
//! Refuses to know: whether there was enough of it; that was asked when the payment was authorised.

use super::capture::{obligation_at, points_at};
use crate::book::{Draft, Payment, Pledge, ShareTerms, Stop};
use crate::prices::{Spend, keep_pledge, pledged, release};
use crate::types::{Money, Refusal};

/// After a step of an open payment: what is kept of the issuer of a share from now on.
pub(super) fn give_back(
    draft: &mut Draft,
    payment: &Payment,
    terms: &ShareTerms,
    before: Money,
    after: Money,
) -> Result<Option<Pledge>, Stop> {
    let (x, currency, deadline) = (payment.amount, payment.currency, payment.deadline);
    if terms.reserved {
        let kept = if payment.closed { x } else { after.max(before) };
        let (had, has) = (obligation_at(terms, before, x)?, obligation_at(terms, kept, x)?);
        let amount = has.minus(had).unwrap_or_default();
        let creditor = terms.paired.then_some(&payment.participant);
        release(draft, terms.payer(), creditor, currency, deadline, amount)?;
    }
    if let Some(old) = terms.pledge {
        let keeper = terms.keeper.as_ref().unwrap_or(&payment.participant);
        release(draft, &terms.issuer, old.paired.then_some(keeper), currency, deadline, old.amount)?;
    }
    if payment.closed {
        return Ok(None);
    }
    // What can still be captured: points are rounded up and money down, so of the rest more may be owed than of the whole.
    let last = x.minus(payment.refunded).unwrap_or_default();
    let owed = obligation_at(terms, last, x)?.minus(obligation_at(terms, after, x)?);
    let points = points_at(terms, last, x)?.minus(points_at(terms, after, x)?);
    let (points, owed) = points.zip(owed).ok_or(Refusal::AmountTooLarge)?;
    let (unit, issuer) = (terms.unit, &terms.issuer);
    let rest = Spend { unit, points, issuer, currency, owed, until: Some(deadline) };
    match pledged(draft, &rest)? {
        Some((keeper, amount)) => keep_pledge(draft, &rest, &keeper, amount),
        None => Ok(None),
    }
}
