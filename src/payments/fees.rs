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

/// What a fee comes to as a payment stands now: net and tax.
pub fn charged_now(payment: &Payment, fee: &FeeTerms) -> Result<(Money, Money), Stop> {
    Ok(fee_at(fee, Reached::by(payment), payment.amount).ok_or(Refusal::AmountTooLarge)?)
}

/// Books what a step adds to each fee, or takes from it.
pub(super) fn book_fees(
    draft: &mut Draft,
    id: PaymentId,
    payment: &Payment,
    before: Reached,
) -> Result<(), Stop> {
    for fee in &payment.fees {
        let (had, has) =
            (fee_at(fee, before, payment.amount).ok_or(Refusal::AmountTooLarge)?, charged_now(payment, fee)?);
        let (net, amount) =
            (has.0.signed().saturating_sub(had.0.signed()), has.1.signed().saturating_sub(had.1.signed()));
        let supply = Supply { service: fee.service, tax: fee.taxed(), net, amount };
        if supply.gross() != Some(0) {
            draft.owe_for(&fee.customer, &fee.supplier, payment.currency, supply, id.into())?;
        }
    }
    Ok(())
}
