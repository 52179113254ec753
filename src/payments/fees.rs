//! Fees of a payment: what each step books of them.
//!
//! Owns: the functions from what is captured and refunded to what is owed.
//! Promises: a fee stands at ceil(F·n/X) after every step, n = captured − refunded if it is refundable and captured if
//! not, its tax at the tax of that; each step books the difference, so nothing is split again and a full refund of a
//! refundable fee ends at exactly zero. A fee is never refused for what its debtor owes already.
//! Refuses to know: how F was found.

use crate::book::{Draft, FeeTerms, Payment, Stop, Supply};
use crate::types::{Money, PaymentId, Refusal};

/// How far a payment has come: what is captured, and what of that is refunded.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    captured: Money,
    refunded: Money,
}

impl Reached {
    /// Where it stands.
    pub fn by(payment: &Payment) -> Self {
        Self { captured: payment.captured, refunded: payment.refunded }
    }
}

/// Net and tax of a fee at this point.
fn fee_at(fee: &FeeTerms, reached: Reached, of: Money) -> Option<(Money, Money)> {
    let back = if fee.refundable { reached.refunded } else { Money::ZERO };
    let net = fee.net.share_ceil(reached.captured.minus(back)?.get(), of.get())?;
    Some((net, fee.taxed().on(net)?))
}

/// The same, but no less than what is disputed of it or was taken back by a dispute: that is given back no second time.
fn stands(fee: &FeeTerms, reached: Reached, of: Money) -> Option<(Money, Money)> {
    let (net, tax) = fee_at(fee, reached, of)?;
    if net.plus(tax)? >= fee.charged {
        return Some((net, tax));
    }
    let tax = fee.taxed().within(fee.charged)?;
    Some((fee.charged.minus(tax)?, tax))
}

/// What a fee comes to as a payment stands now, whatever disputes take back of it: net and tax.
pub fn charged_now(payment: &Payment, fee: &FeeTerms) -> Result<(Money, Money), Stop> {
    Ok(stands(fee, Reached::by(payment), payment.amount).ok_or(Refusal::AmountTooLarge)?)
}

/// What changes for a fee from one point to another: nothing if nothing does.
fn change(fee: &FeeTerms, had: (Money, Money), has: (Money, Money)) -> Option<Supply> {
    let (net, amount) =
        (has.0.signed().saturating_sub(had.0.signed()), has.1.signed().saturating_sub(had.1.signed()));
    let supply = Supply { service: fee.service, tax: fee.taxed(), net, amount };
    Some(supply).filter(|supply| supply.gross() != Some(0))
}

/// Less of a fee is disputed, since a dispute was lost: what refunds took back of it meanwhile is booked now.
pub fn undisputed(
    draft: &mut Draft,
    id: PaymentId,
    payment: &Payment,
    fee: &FeeTerms,
    before: Money,
) -> Result<(), Stop> {
    let disputed = FeeTerms { charged: before, ..fee.clone() };
    let (had, has) = (charged_now(payment, &disputed)?, charged_now(payment, fee)?);
    match change(fee, had, has) {
        Some(supply) => draft.owe_for(&fee.customer, &fee.supplier, payment.currency, supply, id.into()),
        None => Ok(()),
    }
}

/// Books what a step adds to each fee, or takes from it.
pub(super) fn book_fees(
    draft: &mut Draft,
    id: PaymentId,
    payment: &Payment,
    before: Reached,
) -> Result<(), Stop> {
    for fee in &payment.fees {
        let had = stands(fee, before, payment.amount).ok_or(Refusal::AmountTooLarge)?;
        if let Some(supply) = change(fee, had, charged_now(payment, fee)?) {
            draft.owe_for(&fee.customer, &fee.supplier, payment.currency, supply, id.into())?;
        }
    }
    Ok(())
}
