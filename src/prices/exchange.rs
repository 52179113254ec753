//! Exchange: how many points of one unit are got for how many of another, and into which units.
//!
//! Owns: the one function that offers and executions go by, and whose points a unit is got for.
//! Promises: source · settle ≥ target · issue, in exact numbers, whichever side is fixed: an exchange never creates
//! value. Each amount is rounded once, from the original integers.
//! Refuses to know: accounts, and what becomes of the amounts.

use super::acceptance::listed;
use super::price_now;
use crate::book::{AcceptedUnit, Draft, Draw, ExchangeAccepted, Measure, Name, Price, Record, Stop};
use crate::sign::Sale;
use crate::types::{BrandId, Currency, ParticipantId, Points, Rate, Refusal, Refused, UnitCode};

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

/// What another participant is charged for points of a unit that it awards, and by which version. Refused while points
/// could be worth more than is paid for them, as exchange into the unit is.
pub fn charged_for(
    draft: &mut Draft,
    unit: UnitCode,
    currency: Currency,
    sponsor: &ParticipantId,
) -> Result<(Rate, u64), Stop> {
    let price = price_now(draft, unit, currency)?;
    if gains(draft, unit, currency)? {
        return Err(Refused::about(Refusal::ExchangePaused, format!("{unit} in {currency}")).into());
    }
    Ok((price.issue_to(sponsor), price.version))
}

/// Whether, over all versions of a unit's prices in force or announced, some settle price is above some issue price,
/// whoever's they are:
/// points got by exchange could then be worth more than was paid for them.
fn gains(draft: &mut Draft, unit: UnitCode, currency: Currency) -> Result<bool, Stop> {
    let now = draft.at.seconds();
    Ok(opens_a_loop(&draft.prices(unit)?.versions, currency, now))
}

/// See [`gains`].
pub(super) fn opens_a_loop(versions: &[Price], currency: Currency, now: u64) -> bool {
    let counts = |price: &&Price| price.currency == currency && super::can_apply(*price, versions, now);
    let all = || versions.iter().filter(counts);
    all().flat_map(Price::settles).any(|high| all().flat_map(Price::issues).any(|low| high.is_above(low)))
}

/// What a brand says of exchanges into a unit of its own.
fn into(draft: &mut Draft, brand: &BrandId, to: UnitCode) -> Result<Option<ExchangeAccepted>, Stop> {
    let at = draft.at;
    let list = draft.get(&Name::Acceptance(brand.clone()))?;
    let list = list.as_deref().and_then(Record::acceptance).map(|list| list.at(at));
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

#[cfg(test)]
mod tests {
    use super::super::{can_apply, in_force};
    use super::*;
    use crate::types::MAX_INT;

    /// A small generator of its own: what is tried must be the same every time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }

        fn rate(&mut self) -> Rate {
            let awkward = [
                (29, 100),
                (1, 3),
                (2, 3),
                (7, 9),
                (999_999_999_999_999, 999_999_999_999_998),
                (333_333_333_333_333, 1_000_000_000_000 - 11),
                (123_456_789_012_345, 98_765_432_109_876),
                (100, 1),
            ];
            let (num, den) = awkward[self.below(8) as usize];
            Rate::new(num, den).expect("a price")
        }
    }

    /// a·b·c as four digits of 64 bits, the highest first.
    fn product(a: u64, b: u64, c: u64) -> [u64; 4] {
        let ab = u128::from(a) * u128::from(b);
        let (low, high) = ((ab as u64) as u128 * u128::from(c), (ab >> 64) * u128::from(c));
        let middle = (low >> 64) + (high as u64) as u128;
        [0, ((high >> 64) + (middle >> 64)) as u64, middle as u64, low as u64]
    }

    fn parts(rate: Rate) -> (u64, u64) {
        serde_json::from_value(serde_json::to_value(rate).expect("JSON")).expect("two integers")
    }

    /// source · settle ≥ target · issue, exactly.
    fn holds_value(source: u64, settle: Rate, target: u64, issue: Rate) -> bool {
        let ((a, b), (c, d)) = (parts(settle), parts(issue));
        product(source, a, d) >= product(target, c, b)
    }

    const NOTICE: u64 = 10;

    fn publish(dice: &mut Dice, versions: &mut Vec<Price>, from: u64, now: u64) {
        let version = versions.last().map_or(1, |last| last.version + 1);
        let (settle, over) = (dice.rate(), dice.rate());
        // Mostly a margin of the issuer's; sometimes none, or the wrong way round, which pauses exchange.
        let issue = match dice.below(4) {
            0 => over,
            1 => settle,
            _ if settle.is_above(over) => settle,
            _ => over,
        };
        let price = Price {
            version,
            currency: "EUR".parse().expect("a currency"),
            from,
            until: None,
            verifiable_until: None,
            home: settle,
            till: settle,
            settle,
            settle_for: vec![],
            issue,
            issue_for: vec![],
        };
        versions.push(price);
        let all = versions.clone();
        versions.retain(|price| price.version == version || can_apply(price, &all, now));
    }

    /// A million trips over units whose prices change, each change announced. What is got is never worth more than what is
    /// given; and who comes back within the notice to a unit that they left has no more of it than what they gave up
    /// was worth then buys now: only a cut of that unit itself, which was announced before they left, gives more points.
    #[test]
    fn a_million_trips_never_create_value() {
        let eur = "EUR".parse().expect("a currency");
        let (mut dice, mut now) = (Dice(2_026), 0);
        let mut units: Vec<Vec<Price>> = vec![vec![]; 5];
        units.iter_mut().for_each(|versions| publish(&mut dice, versions, 0, 0));
        let (mut hops, mut home, mut gone, mut paused) = (0u32, 0u32, 0u32, 0u32);
        for _ in 0..1_000_000 {
            let began = now;
            let start = dice.below(5) as usize;
            let most = [9, 1_000, 1_000_000, MAX_INT / 1_000_000][dice.below(4) as usize];
            let (mut at, mut has) = (start, 1 + dice.below(most));
            let mut left = None;
            while now < began + NOTICE - 1 && dice.below(6) > 0 {
                if dice.below(3) == 0 {
                    now += 1;
                }
                if dice.below(4) == 0 {
                    let unit = dice.below(5) as usize;
                    publish(&mut dice, &mut units[unit], now + NOTICE, now);
                }
                let to = if dice.below(2) == 0 { start } else { dice.below(5) as usize };
                if to == at {
                    continue;
                }
                let rates = (in_force(&units[at], eur, now), in_force(&units[to], eur, now));
                let (Some(from), Some(into)) = rates else { continue };
                if opens_a_loop(&units[to], eur, now) {
                    paused += 1;
                    continue;
                }
                let all = Fixed::Source(Points::new(has).expect("fits"));
                let Some((source, target)) = exchanged(all, from.settle, into.issue) else { break };
                let got = match dice.below(2) {
                    0 => Some((source, target)),
                    // The same the other way round: what is got is fixed, and costs no more than that.
                    _ => exchanged(Fixed::Target(target), from.settle, into.issue),
                };
                let (source, target) = got.expect("less than before");
                assert!(source.get() <= has, "{source} of {has}");
                assert!(holds_value(source.get(), from.settle, target.get(), into.issue));
                hops += 1;
                if at == start {
                    left = Some((has, from.settle));
                }
                (at, has) = (to, target.get());
                if let Some((gave, settle)) = left.filter(|_| at == start) {
                    home += 1;
                    assert!(holds_value(gave, settle, has, into.issue), "{gave} became {has}, at {now}");
                }
                if has == 0 {
                    gone += 1;
                    break;
                }
            }
            now += 1;
        }
        assert!(
            hops > 500_000 && home > 50_000 && gone > 1_000 && paused > 10_000,
            "{hops} {home} {gone} {paused}"
        );
    }

    #[test]
    fn a_unit_whose_prices_gain_is_not_exchanged_into() {
        let eur = "EUR".parse().expect("a currency");
        let rate = |n| Rate::new(n, 1).expect("a price");
        let one = |version, from, settle, issue| Price {
            version,
            currency: eur,
            from,
            until: None,
            verifiable_until: None,
            home: rate(settle),
            till: rate(settle),
            settle: rate(settle),
            settle_for: vec![],
            issue: rate(issue),
            issue_for: vec![],
        };
        let mut all = vec![one(1, 0, 19, 21)];
        assert!(!opens_a_loop(&all, eur, 5));
        // Announced: whoever gets points at 21 now could have 22 for them then.
        all.push(one(2, 10, 22, 23));
        assert!(opens_a_loop(&all, eur, 5) && !opens_a_loop(&all, eur, 10));
        // A price for one shop counts as well, and one for one counterparty.
        let dear = crate::book::PriceFor { participant: "pa_a".parse().expect("one"), rate: rate(24) };
        all[1].settle_for.push(dear);
        assert!(opens_a_loop(&all, eur, 10));
        all[1].settle_for.clear();
        all[1]
            .issue_for
            .push(crate::book::PriceFor { participant: "pa_b".parse().expect("one"), rate: rate(20) });
        assert!(opens_a_loop(&all, eur, 10));
        assert!(!opens_a_loop(&all, "CHF".parse().expect("a currency"), 10));
    }
}
