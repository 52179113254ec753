//! Prices, fees and acceptance: what a unit is worth where, what the network asks for its service, and who takes it.
//!
//! Owns: published versions of prices and fees, acceptance lists, the version that applies at an instant; breakage curves.
//! Promises: a published version is never altered; what was offered or held before a change keeps
//! the version it was made with.
//! Refuses to know: whose points are spent.

mod acceptance;
mod backing;
mod breakage;
mod exchange;
mod exposure;
mod fees;
mod issuance;
mod pledge;
mod rules;
mod tax;

pub use acceptance::{PublishAcceptance, accept, accepts, publish_acceptance};
pub use backing::{Backing, dearest, dearest_now, is_short, needed, points_outstanding, reserve_of};
pub use breakage::{PublishBreakage, WHOLE, publish_breakage};
pub use exchange::{
    ExchangePrices, Fixed, charged_for, draw_exchange, exchange_prices, exchange_terms, exchanged,
};
pub use exposure::{
    Exposure, Reserved, Standing, change_disputed, end_firm, end_met_call, exposure, funding, hold_firm,
    limit, may_owe, owed_to, release, reserve, reserved, standing, voluntary,
};
pub use fees::{
    Exchanged, PublishFees, exchange_fee, exchange_fee_terms, exchanged_less, fees_now, payment_fees,
    publish_fees, with_fee,
};
pub use issuance::{Sides, keeper_of, owe_for_points, restate};
pub use pledge::{Spend, end_pledge, keep_pledge, pledge, pledge_firm, pledged};
pub use tax::{PublishTax, publish_tax, tax_now};

use crate::book::{Dated, Draft, Name, PartKey, Price, PriceFor, Prices, Principal, Published, Record, Stop};
use crate::network::{Asked, signer, two_approvers};
use crate::sign::{Purpose, optional_objects};
use crate::types::{BrandId, Currency, Ident, Rate, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// Most versions that are kept: in force and announced.
const MOST_VERSIONS: usize = 64;
/// Most counterparties with a price of their own, in one version.
const MOST_FOR: usize = 50;
/// Most units on an acceptance list.
const MOST_UNITS: usize = 1_000;

/// `prices.publish`, signed by the brand's root. All but a unit's first version need the approvals of two people (approver keys
/// of the brand), and notice: the first in a further currency as long as a cut, since it binds who took the unit before.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishPrices {
    /// The unit.
    pub unit: UnitCode,
    /// 1, then one more for each publication.
    pub version: u64,
    /// In this currency.
    pub currency: Currency,
    /// First instant, in Unix seconds: as long ahead as the unit's notice says, longer for a cut and for the
    /// first in a further currency; of a unit's first version any instant.
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
    /// `settle` for some shops' participants, where it differs.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub settle_for: Option<Vec<PriceFor>>,
    /// `issue` for some participants, where it differs.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub issue_for: Option<Vec<PriceFor>>,
    /// Through when the version stays in state for what was priced with it, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verifiable_until: Option<u64>,
    /// Why, as a code, such as `inflation`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
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
    // The newest in each currency stays, so nothing is there only before the very first.
    let first = prices.versions.is_empty();
    let late = args.verifiable_until.is_some_and(|last| args.until.is_none_or(|until| last < until));
    if (args.from < now && !first) || args.until.is_some_and(|until| until <= args.from) || late {
        return Err(Refused::about(
            Refusal::SettingInvalid,
            "from, until, verifiable_until: not in the past, and in order",
        )
        .into());
    }
    let price = Price {
        version: args.version,
        currency: args.currency,
        from: args.from,
        until: args.until,
        verifiable_until: args.verifiable_until,
        home: args.home,
        till: args.till,
        settle: args.settle,
        settle_for: args.settle_for.clone().unwrap_or_default(),
        issue: args.issue,
        issue_for: args.issue_for.clone().unwrap_or_default(),
    };
    check_price(draft, args.unit, &price)?;
    let mut approved = vec![];
    if !first {
        let sponsors = rules::sponsors(draft, args.unit, args.currency, args.from)?;
        rules::check_notice(&*draft.unit(args.unit)?, &prices.versions, &price, &sponsors, now)?;
        approved = two_approvers(draft, asked, &Principal::Brand(brand))?;
    }
    let published = Published {
        terms: price.clone(),
        reason: args.reason.clone(),
        by: asked.kid,
        approved,
        seq: draft.seq,
        at: draft.at,
    };
    prices.versions.push(price);
    forget_replaced(&mut prices, now);
    if prices.versions.len() > MOST_VERSIONS {
        return Err(
            Refused::about(Refusal::SettingInvalid, "more than 64 versions in force or announced").into()
        );
    }
    let history = Name::Published(args.unit, args.version);
    draft.put(PartKey::Public, history, Some(Record::from(published)))?;
    draft.put(PartKey::Public, name, Some(Record::Prices(prices)))
}

/// A version is in itself in order: nobody has two prices, and it is not below the unit's floor.
fn check_price(draft: &mut Draft, unit: UnitCode, price: &Price) -> Result<(), Stop> {
    for list in [&price.settle_for, &price.issue_for] {
        let twice =
            |at: usize, one: &PriceFor| list.iter().take(at).any(|b| b.participant == one.participant);
        if list.len() > MOST_FOR || list.iter().enumerate().any(|(at, one)| twice(at, one)) {
            let about = "settle_for, issue_for: each participant once, at most 50";
            return Err(Refused::about(Refusal::SettingInvalid, about).into());
        }
        for one in list {
            draft.participant(&one.participant)?;
        }
    }
    let floor = draft.unit(unit)?.floor.iter().find(|floor| floor.currency == price.currency).copied();
    if floor.is_some_and(|floor| floor.rate.is_above(price.home) || floor.rate.is_above(price.till)) {
        return Err(Refused::about(Refusal::BelowFloor, format!("{unit} in {}", price.currency)).into());
    }
    Ok(())
}

/// Versions that can never apply again leave state; the log keeps them. The newest in each currency stays in any case:
/// the next one counts on from it, and it says whether prices have ended.
fn forget_replaced(prices: &mut Prices, now: u64) {
    let kept = |price: &Price| price.verifiable_until.is_some_and(|until| now <= until);
    forget(&mut prices.versions, kept, now);
}

fn forget<T: Dated + Clone>(versions: &mut Vec<T>, kept: impl Fn(&T) -> bool, now: u64) {
    let all = versions.clone();
    versions.retain(|one| {
        let newest = !all.iter().any(|o| o.currency() == one.currency() && o.version() > one.version());
        newest || kept(one) || can_apply(one, &all, now)
    });
}

/// Whether a version is in force or announced: it has not ended, and none that has no end has replaced it.
fn can_apply<T: Dated>(one: &T, all: &[T], now: u64) -> bool {
    let over = one.until().is_some_and(|until| until <= now);
    let replaced = all.iter().any(|other| {
        other.version() > one.version()
            && other.currency() == one.currency()
            && other.from() <= now
            && other.until().is_none()
    });
    !(over || replaced)
}

/// Of the versions in force in a currency the latest.
pub fn in_force<T: Dated>(versions: &[T], currency: Currency, now: u64) -> Option<&T> {
    let in_force = |one: &&T| {
        one.currency() == currency && one.from() <= now && one.until().is_none_or(|until| now < until)
    };
    versions.iter().rev().find(in_force)
}

/// The price of a unit that applies now.
pub fn price_now(draft: &mut Draft, unit: UnitCode, currency: Currency) -> Result<Price, Stop> {
    let now = draft.at.seconds();
    let prices = draft.prices(unit)?;
    in_force(&prices.versions, currency, now).cloned().ok_or_else(|| {
        let newest = prices.versions.iter().rfind(|price| price.currency == currency);
        let ended = newest.is_some_and(|price| price.until.is_some_and(|until| until <= now));
        let code = if ended { Refusal::PriceStale } else { Refusal::NoPrice };
        Refused::about(code, format!("{unit} in {currency}")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(version: u64, from: u64, until: Option<u64>, currency: &str) -> Price {
        let one = Rate::new(1, 1).expect("a price");
        let currency = currency.parse().expect("a currency");
        Price {
            version,
            currency,
            from,
            until,
            verifiable_until: None,
            home: one,
            till: one,
            settle: one,
            settle_for: vec![],
            issue: one,
            issue_for: vec![],
        }
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
