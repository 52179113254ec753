//! Prices and acceptance: what a unit is worth where, and who takes it.
//!
//! Owns: published versions of prices, acceptance lists, the price that applies at an instant.
//! Promises: a published version is never altered; what was offered or held before a change keeps
//! the version it was made with.
//! Refuses to know: whose points are spent.

mod exchange;
mod exposure;

pub use exchange::{ExchangePrices, Fixed, draw_exchange, exchange_prices, exchange_terms, exchanged};
pub use exposure::{Exposure, exposure, funding, limit, release, reserve, reserved, voluntary};

use crate::book::{
    Acceptance, AcceptedUnit, Draft, Draw, ExchangeAccepted, Measure, Name, PartKey, Price, Prices,
    Principal, Record, Stop,
};
use crate::network::{Asked, signer};
use crate::sign::{Purpose, Sale, objects, optional_objects};
use crate::types::{BrandId, Currency, Rate, Refusal, Refused, UnitCode};
use exchange::{check_exchange, check_list};
use serde::{Deserialize, Serialize};

/// Most versions that are kept: in force and announced.
const MOST_VERSIONS: usize = 64;
/// Most units on an acceptance list.
const MOST_UNITS: usize = 1_000;

/// `prices.publish`, signed by the brand's root.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishPrices {
    /// The unit.
    pub unit: UnitCode,
    /// 1, then one more for each publication.
    pub version: u64,
    /// In this currency.
    pub currency: Currency,
    /// First instant, in Unix seconds; not in the past, but for the first version in a currency.
    pub from: u64,
    /// First instant after it; until the next version if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
    /// At the issuer's own shops.
    pub home: Rate,
    /// To a consumer elsewhere.
    pub till: Rate,
    /// From the issuer to the shop's participant.
    pub settle: Rate,
    /// From another participant to the issuer.
    pub issue: Rate,
}

fn root_of_unit(draft: &mut Draft, asked: &Asked, brand: &BrandId) -> Result<(), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::BrandRoot])?;
    if key.owner == Principal::Brand(brand.clone()) {
        Ok(())
    } else {
        Err(Refused::about(Refusal::KeyOwner, asked.kid).into())
    }
}

/// Publishes a version of a unit's prices.
pub fn publish_prices(draft: &mut Draft, asked: &Asked, args: &PublishPrices) -> Result<(), Stop> {
    let brand = draft.unit(args.unit)?.brand.clone();
    root_of_unit(draft, asked, &brand)?;
    if !draft.network()?.currencies.contains(&args.currency) {
        return Err(Refused::about(Refusal::SettingInvalid, format!("currency {}", args.currency)).into());
    }
    let name = Name::Prices(args.unit);
    let before = draft.get(&name)?;
    let mut prices = before.as_deref().and_then(Record::prices).cloned().unwrap_or_default();
    let next = prices.versions.last().map_or(1, |last| last.version.saturating_add(1));
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let now = draft.at.seconds();
    let first = !prices.versions.iter().any(|price| price.currency == args.currency);
    if (args.from < now && !first) || args.until.is_some_and(|until| until <= args.from) {
        return Err(
            Refused::about(Refusal::SettingInvalid, "from, until: not in the past, and in order").into()
        );
    }
    prices.versions.push(Price {
        version: args.version,
        currency: args.currency,
        from: args.from,
        until: args.until,
        home: args.home,
        till: args.till,
        settle: args.settle,
        issue: args.issue,
    });
    forget_replaced(&mut prices, now);
    if prices.versions.len() > MOST_VERSIONS {
        return Err(
            Refused::about(Refusal::SettingInvalid, "more than 64 versions in force or announced").into()
        );
    }
    draft.put(PartKey::Public, name, Some(Record::Prices(prices)))
}

/// Versions that can never apply again leave state; the log keeps them. The newest in each currency stays in any case:
/// the next one counts on from it, and it says whether prices have ended.
fn forget_replaced(prices: &mut Prices, now: u64) {
    let all = prices.versions.clone();
    prices.versions.retain(|price| {
        let newest = !all.iter().any(|o| o.currency == price.currency && o.version > price.version);
        newest || can_apply(price, &all, now)
    });
}

/// Whether a version is in force or announced: it has not ended, and none that has no end has replaced it.
fn can_apply(price: &Price, all: &[Price], now: u64) -> bool {
    let over = price.until.is_some_and(|until| until <= now);
    let replaced = all.iter().any(|other| {
        other.version > price.version
            && other.currency == price.currency
            && other.from <= now
            && other.until.is_none()
    });
    !(over || replaced)
}

/// The price of a unit that applies now: of the versions in force the latest.
pub fn price_now(draft: &mut Draft, unit: UnitCode, currency: Currency) -> Result<Price, Stop> {
    let now = draft.at.seconds();
    let prices = draft.prices(unit)?;
    let in_force = |price: &&Price| {
        price.currency == currency && price.from <= now && price.until.is_none_or(|until| now < until)
    };
    prices.versions.iter().rev().find(in_force).cloned().ok_or_else(|| {
        let newest = prices.versions.iter().rfind(|price| price.currency == currency);
        let ended = newest.is_some_and(|price| price.until.is_some_and(|until| until <= now));
        let code = if ended { Refusal::PriceStale } else { Refusal::NoPrice };
        Refused::about(code, format!("{unit} in {currency}")).into()
    })
}

/// `acceptance.publish`, signed by the brand's root: whose units it takes from now on.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishAcceptance {
    /// The brand.
    pub brand: BrandId,
    /// 1, then one more for each publication.
    pub version: u64,
    /// The units; its own are taken anyway.
    #[serde(deserialize_with = "objects")]
    pub units: Vec<AcceptedUnit>,
    /// For whose points it gives points of its own, by unit.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub exchange: Option<Vec<ExchangeAccepted>>,
}

/// Publishes what a brand accepts.
pub fn publish_acceptance(draft: &mut Draft, asked: &Asked, args: &PublishAcceptance) -> Result<(), Stop> {
    root_of_unit(draft, asked, &args.brand)?;
    check_list(draft, &args.units)?;
    let exchange = args.exchange.clone().unwrap_or_default();
    check_exchange(draft, &args.brand, &exchange)?;
    let name = Name::Acceptance(args.brand.clone());
    let next =
        draft.get(&name)?.as_deref().and_then(Record::acceptance).map_or(1, |a| a.version.saturating_add(1));
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let record = Acceptance { version: args.version, units: args.units.clone(), exchange };
    draft.put(PartKey::Public, name, Some(Record::Acceptance(record)))
}

/// Whether a list of what is taken names a unit.
fn listed(units: &[AcceptedUnit], unit: UnitCode) -> Option<&AcceptedUnit> {
    units.iter().find(|accepted| accepted.unit == unit)
}

/// Refused if a shop's brand does not take a unit.
pub fn accepts(draft: &mut Draft, shop: &BrandId, unit: UnitCode) -> Result<(), Stop> {
    let list = draft.get(&Name::Acceptance(shop.clone()))?;
    let accepted = list.as_deref().and_then(Record::acceptance);
    match accepted.and_then(|list| listed(&list.units, unit)) {
        Some(_) => Ok(()),
        None => Err(Refused::about(Refusal::UnitNotAccepted, format!("{unit} at {shop}")).into()),
    }
}

/// Counts `amount` against what a shop's brand takes of a unit a day; refused if it does not take it, unless it was
/// `offered` when it still did.
pub fn accept(
    draft: &mut Draft,
    shop: &BrandId,
    unit: UnitCode,
    offset: i16,
    amount: &Sale,
    offered: bool,
) -> Result<(), Stop> {
    let list = draft.get(&Name::Acceptance(shop.clone()))?;
    let accepted = list.as_deref().and_then(Record::acceptance);
    let accepted = accepted.and_then(|list| listed(&list.units, unit));
    let per_day = match (accepted, offered) {
        (Some(accepted), _) => &accepted.per_day,
        (None, true) => &None,
        (None, false) => {
            return Err(Refused::about(Refusal::UnitNotAccepted, format!("{unit} at {shop}")).into());
        }
    };
    match per_day {
        None => Ok(()),
        Some(most) if most.currency != amount.currency => {
            let only = format!("{unit} at {shop}: in {} only", most.currency);
            Err(Refused::about(Refusal::AcceptanceCapExceeded, only).into())
        }
        Some(most) => {
            let subject = unit.as_str().parse().map_err(|_| Stop::Bug("a unit's code is an id".into()))?;
            let draw = Draw {
                brand: shop,
                subject,
                measure: Measure::AcceptedDay,
                offset,
                amount: amount.amount.get(),
                ceiling: most.amount.get(),
            };
            draft.draw(draw, Refusal::AcceptanceCapExceeded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(version: u64, from: u64, until: Option<u64>, currency: &str) -> Price {
        let one = Rate::new(1, 1).expect("a price");
        let currency = currency.parse().expect("a currency");
        Price { version, currency, from, until, home: one, till: one, settle: one, issue: one }
    }

    fn kept(versions: Vec<Price>, now: u64) -> Vec<u64> {
        let mut prices = Prices { versions };
        forget_replaced(&mut prices, now);
        prices.versions.iter().map(|price| price.version).collect()
    }

    #[test]
    fn only_what_can_never_apply_again_is_forgotten() {
        let base = price(1, 0, None, "EUR");
        let campaign = price(2, 10, Some(20), "EUR");
        let next = price(3, 30, None, "EUR");
        let other = price(4, 0, None, "CHF");
        let all = vec![base, campaign, next, other];
        assert_eq!(kept(all.clone(), 5), [1, 2, 3, 4]);
        assert_eq!(kept(all.clone(), 19), [1, 2, 3, 4]);
        assert_eq!(kept(all.clone(), 20), [1, 3, 4], "the campaign is over");
        assert_eq!(kept(all.clone(), 29), [1, 3, 4], "the next price is announced only");
        assert_eq!(kept(all, 30), [3, 4]);
    }

    #[test]
    fn campaigns_without_end_do_not_fill_the_list() {
        let mut versions = vec![price(1, 0, None, "EUR")];
        for n in 2..500 {
            versions.push(price(n, n * 10, Some(n * 10 + 5), "EUR"));
            let mut prices = Prices { versions };
            forget_replaced(&mut prices, n * 10);
            versions = prices.versions;
            assert!(versions.len() <= 2, "{versions:?}");
            assert_eq!(versions[0].version, 1);
        }
    }

    #[test]
    fn the_newest_version_stays_and_counts_on() {
        assert_eq!(kept(vec![price(7, 10, Some(20), "EUR")], 99), [7]);
        let both = vec![price(7, 10, Some(20), "EUR"), price(8, 10, Some(20), "CHF")];
        assert_eq!(kept(both, 99), [7, 8], "in each currency");
    }
}
