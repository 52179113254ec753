//! A till's limits: a stolen till takes, and gives back, no more than its certificate allows.

use crate::book::{Asserted, Draft, Draw, KeyRecord, Measure, Stop, TillTerms};
use crate::sign::Sale;
use crate::types::{AccountId, Asset, BrandId, Kid, Money, Refusal, Refused};

/// Counts what a till whose key is held moves, taken and given back alike: in all, and for each account
/// its share.
pub(super) fn draw_held(
    draft: &mut Draft,
    brand: &BrandId,
    till: &KeyRecord,
    sale: &Sale,
    shares: impl IntoIterator<Item = (AccountId, Money)>,
) -> Result<(), Stop> {
    let Some(caps) = till.held else { return Ok(()) };
    let held = Asserted { brand, caps, asset: Asset::Money(sale.currency), offset: 0 };
    draft.assert_day(&held, sale.amount.get())?;
    for (account, share) in shares.into_iter().filter(|(_, share)| !share.is_zero()) {
        draft.assert_for(&held, account, share.get())?;
    }
    Ok(())
}

/// Which way the money goes. Each has a count of its own, under the same limits.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// A payment.
    Take,
    /// A refund, or what a void releases.
    GiveBack,
}

/// Counts an amount against the limits of the till whose key asks.
pub(super) fn draw_till(
    draft: &mut Draft,
    key: Kid,
    brand: &BrandId,
    terms: &TillTerms,
    way: Way,
    sale: &Sale,
) -> Result<(), Stop> {
    let Some(limits) = &terms.limits else { return Ok(()) };
    let exceeded = |about: String| Err(Refused::about(Refusal::TillLimitExceeded, about).into());
    if limits.currency != sale.currency {
        return exceeded(format!("this till deals in {} only", limits.currency));
    }
    if let Some(most) = limits.once.filter(|most| sale.amount > *most) {
        return exceeded(format!("at most {most} at once"));
    }
    let (hour, day) = match way {
        Way::Take => (Measure::TakenHour, Measure::TakenDay),
        Way::GiveBack => (Measure::ReturnedHour, Measure::ReturnedDay),
    };
    for (measure, ceiling) in [(hour, limits.hour), (day, limits.day)] {
        if let Some(ceiling) = ceiling {
            let subject = key.to_string().parse().map_err(|_| Stop::Bug("a key's id is an id".into()))?;
            let (amount, ceiling) = (sale.amount.get(), ceiling.get());
            let draw = Draw { brand, subject, measure, offset: 0, amount, ceiling };
            draft.draw(draw, Refusal::TillLimitExceeded)?;
        }
    }
    Ok(())
}
