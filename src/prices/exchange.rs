//! Exchange: how many points of one unit are got for how many of another, and into which units.
//!
//! Owns: the one function that offers and executions go by, and whose points a unit is got for.
//! Promises: source · settle ≥ target · issue, in exact numbers, whichever side is fixed: an exchange never creates
//! value. Each amount is rounded once, from the original integers.
//! Refuses to know: accounts, and what becomes of the amounts.

use super::{listed, price_now};
use crate::book::{AcceptedUnit, Draft, Draw, ExchangeAccepted, Measure, Name, Price, Record, Stop};
use crate::sign::Sale;
use crate::types::{BrandId, Currency, Points, Rate, Refusal, Refused, UnitCode};

/// Which side of an exchange is fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fixed {
    /// So many points are given up.
    Source(Points),
    /// So many points are got.
    Target(Points),
}

/// What is given up and what is got: `target` = floor(source · settle / issue), or `source` = ceil(target · issue /
/// settle). `None` if it does not fit.
pub fn exchanged(fixed: Fixed, settle: Rate, issue: Rate) -> Option<(Points, Points)> {
    match fixed {
        Fixed::Source(source) => Some((source, source.reprice_floor(settle, issue)?)),
        Fixed::Target(target) => Some((target.reprice_ceil(issue, settle)?, target)),
    }
}

/// The prices that an exchange goes by: `settle` of what is given up, `issue` of what is got.
pub struct ExchangePrices {
    /// Of the unit that is given up.
    pub settle: Price,
    /// Of the unit that is got.
    pub issue: Price,
}

/// The prices in force of both units.
pub fn exchange_prices(
    draft: &mut Draft,
    from: UnitCode,
    to: UnitCode,
    currency: Currency,
) -> Result<ExchangePrices, Stop> {
    let settle = price_now(draft, from, currency)?;
    let issue = price_now(draft, to, currency)?;
    if gains(draft, to, currency)? {
        return Err(Refused::about(Refusal::ExchangePaused, format!("{to} in {currency}")).into());
    }
    Ok(ExchangePrices { settle, issue })
}

/// Whether, over all versions of a unit's prices in force or announced, some settle price is above some issue price:
/// points got by exchange could then be worth more than was paid for them.
fn gains(draft: &mut Draft, unit: UnitCode, currency: Currency) -> Result<bool, Stop> {
    let now = draft.at.seconds();
    Ok(opens_a_loop(&draft.prices(unit)?.versions, currency, now))
}

/// See [`gains`].
pub(super) fn opens_a_loop(versions: &[Price], currency: Currency, now: u64) -> bool {
    let counts = |price: &&Price| price.currency == currency && super::can_apply(price, versions, now);
    let all = || versions.iter().filter(counts);
    all().any(|high| all().any(|low| high.settle.is_above(low.issue)))
}

/// What a brand says of exchanges into a unit of its own.
fn into(draft: &mut Draft, brand: &BrandId, to: UnitCode) -> Result<Option<ExchangeAccepted>, Stop> {
    let list = draft.get(&Name::Acceptance(brand.clone()))?;
    let list = list.as_deref().and_then(Record::acceptance);
    Ok(list.and_then(|list| list.exchange.iter().find(|one| one.into == to).cloned()))
}

/// On what terms a brand gives points of a unit of its own for another's: the key whose budget they draw on. Refused
/// if it does not.
pub fn exchange_terms(
    draft: &mut Draft,
    brand: &BrandId,
    from: UnitCode,
    to: UnitCode,
) -> Result<ExchangeAccepted, Stop> {
    let found = into(draft, brand, to)?.filter(|found| listed(&found.units, from).is_some());
    found.ok_or_else(|| Refused::about(Refusal::UnitNotAccepted, format!("{from} for {to}")).into())
}

/// Counts what is exchanged against what the brand of `to` takes of `from` a day. What was offered is taken, also if the
/// list does not name it any more.
pub fn draw_exchange(
    draft: &mut Draft,
    brand: &BrandId,
    from: UnitCode,
    to: UnitCode,
    offset: i16,
    worth: &Sale,
) -> Result<(), Stop> {
    let found = into(draft, brand, to)?;
    let most = found.as_ref().and_then(|found| listed(&found.units, from)?.per_day.as_ref());
    let Some(most) = most else { return Ok(()) };
    if most.currency != worth.currency {
        let only = format!("{from} for {to}: in {} only", most.currency);
        return Err(Refused::about(Refusal::AcceptanceCapExceeded, only).into());
    }
    let subject = format!("{from}.{to}").parse().map_err(|_| Stop::Bug("two codes are an id".into()))?;
    let (amount, ceiling) = (worth.amount.get(), most.amount.get());
    let draw = Draw { brand, subject, measure: Measure::ExchangedDay, offset, amount, ceiling };
    draft.draw(draw, Refusal::AcceptanceCapExceeded)
}

/// Whether a list of what is taken names nothing twice, and only currencies of the network.
pub(super) fn check_list(draft: &mut Draft, units: &[AcceptedUnit]) -> Result<(), Stop> {
    let distinct = units.iter().enumerate().all(|(at, a)| !units.iter().take(at).any(|b| b.unit == a.unit));
    if units.len() > super::MOST_UNITS || !distinct {
        return Err(Refused::about(Refusal::SettingInvalid, "units: each once, at most 1,000").into());
    }
    for accepted in units {
        draft.unit(accepted.unit)?;
        if let Some(most) = &accepted.per_day
            && !draft.network()?.currencies.contains(&most.currency)
        {
            return Err(Refused::about(Refusal::SettingInvalid, format!("currency {}", most.currency)).into());
        }
    }
    Ok(())
}

/// What a brand says of exchanges is about units of its own, each once, and names a key of its own for each.
pub(super) fn check_exchange(
    draft: &mut Draft,
    brand: &BrandId,
    exchange: &[ExchangeAccepted],
) -> Result<(), Stop> {
    for (at, one) in exchange.iter().enumerate() {
        if exchange.iter().take(at).any(|earlier| earlier.into == one.into) {
            return Err(Refused::about(Refusal::SettingInvalid, "exchange: each unit once").into());
        }
        if draft.unit(one.into)?.brand != *brand {
            return Err(Refused::about(Refusal::KeyOwner, one.into).into());
        }
        let key = draft.key(one.budget)?;
        if key.owner != crate::book::Principal::Brand(brand.clone()) {
            return Err(Refused::about(Refusal::KeyOwner, one.budget).into());
        }
        check_list(draft, &one.units)?;
        if one.units.iter().any(|unit| unit.unit == one.into) {
            return Err(Refused::about(Refusal::SettingInvalid, "exchange: of other units").into());
        }
    }
    Ok(())
}
