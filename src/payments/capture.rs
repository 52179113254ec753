//! Capture, void, refund: three ways to move a payment's n = captured − refunded.

use super::own_payment;
use crate::book::{Draft, Lot, Name, PartKey, Payment, Record, Share, ShareTerms, Stop};
use crate::network::Asked;
use crate::types::{Money, PaymentId, Points, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// `payment.capture`, signed by a till of the payment's brand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Which.
    pub payment: PaymentId,
    /// How much of the bill.
    pub amount: Money,
    /// The last capture: what is left of the holds is released.
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// `payment.void`, signed by a till of the payment's brand: what is not captured is released.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Which.
    pub payment: PaymentId,
}

/// `payment.refund`, signed by a till of the payment's brand, in any of its shops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// Which.
    pub payment: PaymentId,
    /// How much of what was captured.
    pub amount: Money,
}

/// One step of a payment.
pub(super) enum Step {
    Capture { amount: Money, last: bool },
    Void,
    Refund { amount: Money },
}

/// Captures part or all of a payment.
pub fn capture(draft: &mut Draft, asked: &Asked, args: &Capture) -> Result<(), Stop> {
    let step = Step::Capture { amount: args.amount, last: args.last };
    change(draft, asked, args.payment, step)
}

/// Voids what is not captured of a payment.
pub fn void(draft: &mut Draft, asked: &Asked, args: &Void) -> Result<(), Stop> {
    change(draft, asked, args.payment, Step::Void)
}

/// Refunds part or all of what was captured.
pub fn refund(draft: &mut Draft, asked: &Asked, args: &Refund) -> Result<(), Stop> {
    change(draft, asked, args.payment, Step::Refund { amount: args.amount })
}

fn change(draft: &mut Draft, asked: &Asked, id: PaymentId, what: Step) -> Result<(), Stop> {
    let mut payment = own_payment(draft, asked, id)?;
    step(draft, id, &mut payment, what)?;
    draft.put(PartKey::Brand(payment.brand.clone()), Name::Payment(id), Some(Record::Payment(payment)))
}

/// points(n) = ceil(P·n/X).
fn points_at(share: &ShareTerms, n: Money, of: Money) -> Result<Points, Stop> {
    Ok(share.points.share_ceil(n.get(), of.get()).ok_or(Refusal::AmountTooLarge)?)
}

/// obligation(n) = floor(O·n/X).
fn obligation_at(share: &ShareTerms, n: Money, of: Money) -> Result<Money, Stop> {
    Ok(share.obligation.share_floor(n.get(), of.get()).ok_or(Refusal::AmountTooLarge)?)
}

fn net(payment: &Payment) -> Result<Money, Stop> {
    payment.captured.minus(payment.refunded).ok_or_else(|| Stop::Bug("refunded more than captured".into()))
}

/// Moves a payment by one step: all shares move together by f(after) − f(before).
pub(super) fn step(draft: &mut Draft, id: PaymentId, payment: &mut Payment, what: Step) -> Result<(), Stop> {
    let before = net(payment)?;
    let open = payment.open(draft.at);
    match what {
        Step::Capture { .. } | Step::Void if !open => {
            return Err(Refused::about(Refusal::PaymentClosed, id).into());
        }
        Step::Capture { amount, last } => {
            let captured = payment.captured.plus(amount).filter(|c| *c <= payment.amount);
            let left = payment.amount.minus(payment.captured).unwrap_or_default();
            let over = || Refused::about(Refusal::CaptureExceeded, format!("{left} are left"));
            payment.captured = captured.ok_or_else(over)?;
            payment.closed = last || payment.captured == payment.amount;
            positive(amount)?;
        }
        Step::Void => payment.closed = true,
        Step::Refund { amount } => {
            let refunded = payment.refunded.plus(amount).filter(|r| *r <= payment.captured);
            let over =
                || Refused::about(Refusal::RefundExceeded, format!("{before} are captured and not refunded"));
            payment.refunded = refunded.ok_or_else(over)?;
            positive(amount)?;
        }
    }
    let after = net(payment)?;
    for terms in &payment.shares {
        let mut share = (*draft.share(id, terms.unit)?).clone();
        let (had, has) =
            (points_at(terms, before, payment.amount)?, points_at(terms, after, payment.amount)?);
        if let Some(more) = has.minus(had) {
            let taken = draft.take(share.account, terms.unit, id, more)?;
            for lot in taken {
                join(&mut share.taken, lot);
            }
        } else if let Some(less) = had.minus(has) {
            let grace = draft.unit(terms.unit)?.grace_days;
            let back = give_back(&mut share, less);
            draft.restore(share.account, terms.unit, &back, grace)?;
        }
        if payment.closed && open {
            draft.release(share.account, terms.unit, id)?;
        }
        let key = PartKey::Holder(share.account);
        draft.put(key, Name::Share(id, terms.unit), Some(Record::Share(share)))?;
        book_obligation(draft, id, payment, terms, before, after)?;
    }
    Ok(())
}

/// Adds a lot at the end; joined with the last one if they are alike, which keeps the order.
fn join(taken: &mut Vec<Lot>, lot: Lot) {
    match taken.last_mut() {
        Some(last) if last.0 == lot.0 => last.1 = last.1.plus(lot.1).unwrap_or(last.1),
        _ => taken.push(lot),
    }
}

fn positive(amount: Money) -> Result<(), Stop> {
    if amount.is_zero() {
        Err(Refused::about(Refusal::AmountTooSmall, "amount: at least 1").into())
    } else {
        Ok(())
    }
}

fn book_obligation(
    draft: &mut Draft,
    id: PaymentId,
    payment: &Payment,
    terms: &ShareTerms,
    before: Money,
    after: Money,
) -> Result<(), Stop> {
    let had = obligation_at(terms, before, payment.amount)?.signed();
    let has = obligation_at(terms, after, payment.amount)?.signed();
    match has.checked_sub(had) {
        Some(0) => Ok(()),
        Some(change) => draft.owe(&terms.issuer, &payment.participant, payment.currency, change, id),
        None => Err(Refusal::AmountTooLarge.into()),
    }
}

/// The last `points` that were taken, in exact reverse order of taking.
fn give_back(share: &mut Share, points: Points) -> Vec<Lot> {
    let mut left = points;
    let mut back = vec![];
    while let Some(last) = share.taken.last_mut() {
        if left.is_zero() {
            break;
        }
        let part = left.min(last.1);
        if let (Some(stays), Some(rest)) = (last.1.minus(part), left.minus(part)) {
            back.push(Lot(last.0, part));
            last.1 = stays;
            left = rest;
        }
        if last.1.is_zero() {
            share.taken.pop();
        }
    }
    back
}
