//! Capture, void, refund: three ways to move a payment's n = captured − refunded.

use super::fees::{Reached, book_fees};
use super::headroom::give_back as give_headroom_back;
use super::limits::{Way, draw_held, draw_till};
use super::{in_time, own_payment, peoples_payment};
use crate::book::{
    Draft, KeyRecord, Lot, Name, PartKey, Payment, Record, Service, Share, ShareTerms, Shared, Stop, Supply,
    TillTerms,
};
use crate::network::Asked;
use crate::prices::{Sides, owe_for_points};
use crate::sign::{HeldCaps, Sale};
use crate::types::{Kid, Money, PaymentId, Points, Refusal, Refused, Time};
use serde::{Deserialize, Serialize};

/// `payment.capture`, signed by a till of the payment's participant and brand.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
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

/// `payment.void`, signed by a till of the payment's participant and brand: what is not captured is released.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Which.
    pub payment: PaymentId,
}

/// `payment.refund`, signed by a till of the payment's participant and brand, in any of its shops, until 120 days after the
/// payment's deadline; by the root or an approver key of the brand at any time.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// Which.
    pub payment: PaymentId,
    /// How much of what was captured.
    pub amount: Money,
}

/// One step of a payment.
#[derive(Clone, Copy)]
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
    let (id, what) = (args.payment, Step::Refund { amount: args.amount });
    if let Some(mut payment) = peoples_payment(draft, asked, id)? {
        step(draft, id, &mut payment, what)?;
        return put(draft, id, payment);
    }
    let (payment, till) = own_payment(draft, asked, id)?;
    in_time(draft, &payment)?;
    book_by(draft, &till, Some(asked.kid), id, payment, what)
}

fn change(draft: &mut Draft, asked: &Asked, id: PaymentId, what: Step) -> Result<(), Stop> {
    let (payment, till) = own_payment(draft, asked, id)?;
    book_by(draft, &till, Some(asked.kid), id, payment, what)
}

fn put(draft: &mut Draft, id: PaymentId, payment: Payment) -> Result<(), Stop> {
    draft.put(PartKey::Brand(payment.brand.clone()), Name::Payment(id), Some(Record::from(payment)))
}

/// A step of a payment, as it was asked for.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Asks {
    Capture(Capture),
    Void(Void),
    Refund(Refund),
}

/// What a step does that some other till of the payment's brand asked for, of which nothing is known any more but that
/// its limits counted nothing; `caps`: what it may move in a day, if its key was the network's.
pub fn step_by_some_till(draft: &mut Draft, asks: &Asks, caps: Option<HeldCaps>) -> Result<(), Stop> {
    let (id, what) = match asks {
        Asks::Capture(args) => (args.payment, Step::Capture { amount: args.amount, last: args.last }),
        Asks::Void(args) => (args.payment, Step::Void),
        Asks::Refund(args) => (args.payment, Step::Refund { amount: args.amount }),
    };
    let payment = (*draft.payment(id)?).clone();
    let terms = TillTerms {
        store: payment.store.clone(),
        till: payment.till.clone(),
        participant: payment.participant.clone(),
        limits: None,
    };
    let asking = (*draft.key(payment.by)?).clone();
    let other = KeyRecord { till: Some(terms), held: caps, ..asking };
    book_by(draft, &other, None, id, payment, what)
}

/// `kid`: the till's key, if it is known; if not it is another than the one that authorised.
fn book_by(
    draft: &mut Draft,
    till: &KeyRecord,
    kid: Option<Kid>,
    id: PaymentId,
    mut payment: Payment,
    what: Step,
) -> Result<(), Stop> {
    step(draft, id, &mut payment, what)?;
    let terms = till.till.as_ref().ok_or_else(|| Stop::Bug("a till without terms".into()))?;
    let mut draw = |way, amount: Money| {
        if amount.is_zero() {
            return Ok(());
        }
        let sale = Sale { amount, currency: payment.currency };
        draw_till(draft, till.key.kid(), &payment.brand, terms, way, &sale)?;
        if till.held.is_none() {
            return Ok(());
        }
        let mut shares = Vec::with_capacity(payment.shares.len());
        for share in &payment.shares {
            let part = share.amount.share_floor(amount.get(), payment.amount.get());
            let part = part.ok_or(Refusal::AmountTooLarge)?;
            shares.push((draft.share(id, share.unit)?.account, part));
        }
        draw_held(draft, &payment.brand, till, &sale, shares)
    };
    let released = payment.amount.minus(payment.captured).filter(|_| payment.closed).unwrap_or_default();
    match what {
        // What the authorising key takes was counted when it asked.
        Step::Capture { amount, .. } if kid != Some(payment.by) => {
            draw(Way::Take, amount)?;
            draw(Way::GiveBack, released)?;
        }
        Step::Capture { .. } | Step::Void => draw(Way::GiveBack, released)?,
        Step::Refund { amount } => draw(Way::GiveBack, amount)?,
    }
    put(draft, id, payment)
}

/// points(n) = ceil(P·n/X).
pub(super) fn points_at(share: &ShareTerms, n: Money, of: Money) -> Result<Points, Stop> {
    Ok(share.points.share_ceil(n.get(), of.get()).ok_or(Refusal::AmountTooLarge)?)
}

/// obligation(n) = floor(O·n/X).
pub(super) fn obligation_at(share: &ShareTerms, n: Money, of: Money) -> Result<Money, Stop> {
    Ok(share.obligation.share_floor(n.get(), of.get()).ok_or(Refusal::AmountTooLarge)?)
}

/// What the issuer's participant owes for a share of a payment as it stands now; `share`: its place.
pub fn owed_now(payment: &Payment, share: usize) -> Result<Money, Stop> {
    let terms = payment.shares.get(share).ok_or_else(|| Stop::Bug("no such share".into()))?;
    obligation_at(terms, net(payment)?, payment.amount)
}

fn net(payment: &Payment) -> Result<Money, Stop> {
    payment.captured.minus(payment.refunded).ok_or_else(|| Stop::Bug("refunded more than captured".into()))
}

/// Moves a payment by one step: all shares move together by f(after) − f(before).
pub(super) fn step(draft: &mut Draft, id: PaymentId, payment: &mut Payment, what: Step) -> Result<(), Stop> {
    let (before, reached) = (net(payment)?, Reached::by(payment));
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
    if matches!(what, Step::Refund { .. }) {
        beside_charge_backs(draft, payment, before, after)?;
    }
    let mut pledges = vec![];
    for terms in &payment.shares {
        let mut share = (*draft.share(id, terms.unit)?).clone();
        let (had, has) =
            (points_at(terms, before, payment.amount)?, points_at(terms, after, payment.amount)?);
        if let Some(more) = has.minus(had) {
            let taken = draft.take(share.account, terms.unit, id, more, Shared::Redeemed)?;
            for lot in taken {
                join(&mut share.taken, lot);
            }
        } else if let Some(less) = had.minus(has) {
            let grace = draft.unit(terms.unit)?.grace_days(draft.at);
            let back = give_back(&mut share, less);
            draft.restore(share.account, terms.unit, &back, grace)?;
        }
        if payment.closed && open {
            draft.release(share.account, terms.unit, id)?;
        }
        let key = PartKey::Holder(share.account);
        draft.put(key, Name::Share(id, terms.unit), Some(Record::Share(share)))?;
        if open {
            pledges.push(give_headroom_back(draft, payment, terms, before, after)?);
        }
        book_obligation(draft, id, payment, terms, before, after)?;
    }
    for (terms, pledge) in payment.shares.iter_mut().zip(pledges) {
        terms.pledge = pledge;
    }
    book_fees(draft, id, payment, reached)
}

/// What was charged back is not refunded as well: so much of a payment stays that each share's obligation covers it.
fn beside_charge_backs(
    draft: &mut Draft,
    payment: &Payment,
    before: Money,
    after: Money,
) -> Result<(), Stop> {
    let mut stays = Money::ZERO;
    for terms in payment.shares.iter().filter(|terms| !terms.charged.is_zero()) {
        // floor(O·n/X) covers C from n = ceil(C·X/O) on.
        let least = terms.charged.share_ceil(payment.amount.get(), terms.obligation.get());
        stays = stays.max(least.ok_or(Refusal::AmountTooLarge)?);
    }
    if after >= stays {
        return Ok(());
    }
    let left = before.minus(stays).unwrap_or_default();
    let mut about = format!("{left} can be refunded now; the rest was charged back");
    for id in payment.shares.iter().flat_map(|terms| &terms.disputes) {
        let dispute = draft.dispute(*id)?;
        if dispute.is_pending() {
            let until = Time::from_seconds(dispute.until).unwrap_or_default();
            let more = format!("; {id} waits until {until}, and its target may accept or concede it before");
            about.push_str(&more);
        }
    }
    Err(Refused::about(Refusal::RefundExceeded, about).into())
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
    let (had, has) =
        (obligation_at(terms, before, payment.amount)?, obligation_at(terms, after, payment.amount)?);
    let change = has.signed().saturating_sub(had.signed());
    if change == 0 {
        return Ok(());
    }
    let supply = match terms.tax {
        None => None,
        Some(tax) => {
            let within = |gross| tax.within(gross).map(Money::signed).ok_or(Refusal::AmountTooLarge);
            let amount = within(has)?.saturating_sub(within(had)?);
            Some(Supply { service: Service::Redemption, tax, net: change.saturating_sub(amount), amount })
        }
    };
    let (issuer, keeper) = (&terms.issuer, terms.keeper.as_ref());
    let sides = Sides { issuer, keeper, creditor: &payment.participant };
    owe_for_points(draft, sides, payment.currency, change, supply, id.into())
}

/// The last `points` that were taken, in exact reverse order of taking.
pub(super) fn give_back(share: &mut Share, points: Points) -> Vec<Lot> {
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

#[cfg(test)]
mod tests;
