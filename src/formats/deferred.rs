//! The liability as deferred revenue (IFRS 15): what was allocated to points when they were awarded, and is not earned yet.
//!
//! Owns: the second basis beside settlement cost, vintage by vintage.
//! Promises: an award is allocated its points that are expected to be spent, at the home price and by the breakage curve in
//! force then; that never changes. It is earned as the points are spent, against what is expected in all by the curve in
//! force at the end of the month; with the last point of a vintage gone nothing of it is left. Integers; each amount is
//! rounded down once. Opening, allocated and recognised make closing.
//! Refuses to know: what a sale without points would have brought; the home price stands for it.

use super::liability::{negated, plus};
use super::vintages::{Vintage, Vintages};
use crate::book::{Breakage, Name, Price, Record};
use crate::machine::Event;
use crate::types::{Currency, Malformed, Month, Points, Rate, Time, UnitCode};
use serde::Serialize;
use std::collections::BTreeMap;

/// One unit's deferred revenue over one month of its own days.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct DeferredMonth {
    /// The unit.
    pub unit: UnitCode,
    /// The month.
    pub month: Month,
    /// At its beginning.
    pub opening: i64,
    /// Allocated to points that were awarded.
    pub allocated: i64,
    /// Earned: points were spent, or are not expected to be any more.
    pub recognised: i64,
    /// At its end, or at the cut.
    pub closing: i64,
}

/// A vintage with its deferred revenue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct DeferredVintage {
    /// Its points.
    #[serde(flatten)]
    pub vintage: Vintage,
    /// What was allocated to it in all.
    pub allocated: i64,
    /// What of that was left at the end of each month.
    pub deferred: Vec<i64>,
}

/// How an award was measured: what did it, and how many points of it are expected to be spent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Measure {
    /// The version of the prices; 0: there was none.
    price: u64,
    /// The version of the curve; 0: there was none, and all is expected to be spent.
    curve: u64,
}

/// A version of prices: number, from, until, and the home price.
type Home = (u64, u64, Option<u64>, Rate);

/// Sums up events. Give it the log from the first entry on, in order.
pub struct Deferred {
    currency: Currency,
    vintages: Vintages,
    prices: BTreeMap<UnitCode, Vec<Home>>,
    curves: BTreeMap<UnitCode, Vec<(Month, Breakage)>>,
    /// Points by unit, month of earning and month of award, and how they were measured.
    awards: BTreeMap<(UnitCode, Month), BTreeMap<(Month, Measure), i64>>,
}

impl Deferred {
    /// In this currency.
    pub fn new(currency: Currency) -> Self {
        Self {
            currency,
            vintages: Vintages::default(),
            prices: BTreeMap::new(),
            curves: BTreeMap::new(),
            awards: BTreeMap::new(),
        }
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) -> Result<(), Malformed> {
        let issued = self.vintages.take_issued(event)?;
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            match (name, record) {
                (Name::Prices(unit), Some(Record::Prices(prices))) => {
                    let of = prices.versions.iter().filter(|price| price.currency == self.currency);
                    let known = self.prices.entry(*unit).or_default();
                    for Price { version, from, until, home, .. } in of {
                        if known.iter().all(|(have, ..)| have != version) {
                            known.push((*version, *from, *until, *home));
                        }
                    }
                }
                (Name::Breakage(unit), Some(Record::Breakage(curve))) => {
                    let month = self.vintages.month(*unit);
                    self.curves.entry(*unit).or_default().push((month, curve.clone()));
                }
                _ => {}
            }
        }
        for ((unit, earned), points) in issued {
            let measure = Measure {
                price: self.price_at(unit, event.at),
                curve: self
                    .curves
                    .get(&unit)
                    .and_then(|all| all.last())
                    .map_or(0, |(_, curve)| curve.version),
            };
            let now = self.vintages.month(unit);
            let sum = self.awards.entry((unit, earned)).or_default().entry((now, measure)).or_default();
            *sum = plus(*sum, points)?;
        }
        Ok(())
    }

    fn price_at(&self, unit: UnitCode, at: Time) -> u64 {
        let now = at.seconds();
        let of = self.prices.get(&unit).into_iter().flatten();
        let in_force = of.filter(|(_, from, until, _)| *from <= now && until.is_none_or(|until| now < until));
        in_force.map(|(version, ..)| *version).max().unwrap_or(0)
    }

    /// What these points were allocated: those that were expected to be spent, at the home price.
    fn worth(&self, unit: UnitCode, points: i64, by: Measure) -> Result<i64, Malformed> {
        let all = u64::try_from(points).unwrap_or(0);
        let curves = self.curves.get(&unit).into_iter().flatten();
        let curve = curves.map(|(_, curve)| curve).find(|curve| curve.version == by.curve);
        let expected = curve.map_or(all, |curve| curve.expected(all));
        let prices = self.prices.get(&unit).into_iter().flatten();
        let Some(rate) = prices.clone().find(|(version, ..)| *version == by.price).map(|(.., rate)| rate)
        else {
            return Ok(0);
        };
        let money = Points::new(expected).and_then(|points| rate.money_floor(points));
        Ok(money.ok_or_else(|| Malformed("points are worth more than the log can say".into()))?.signed())
    }

    /// The curve that was in force at the end of a month.
    fn curve(&self, unit: UnitCode, month: Month) -> Option<&Breakage> {
        let all = self.curves.get(&unit)?;
        all.iter().rev().find(|(since, _)| *since <= month).map(|(_, curve)| curve)
    }

    /// What was allocated to a vintage by the end of a month, and to how many points.
    fn awarded(&self, unit: UnitCode, earned: Month, through: Month) -> Result<(i64, u64), Malformed> {
        let (mut money, mut points) = (0i64, 0i64);
        for ((month, measure), some) in self.awards.get(&(unit, earned)).into_iter().flatten() {
            if *month <= through {
                money = plus(money, self.worth(unit, *some, *measure)?)?;
                points = plus(points, *some)?;
            }
        }
        Ok((money, u64::try_from(points).unwrap_or(0)))
    }

    /// Every vintage with its deferred revenue, in the order of units and months.
    pub fn vintages(&self) -> Result<Vec<DeferredVintage>, Malformed> {
        let mut out = vec![];
        for vintage in self.vintages.report()? {
            let (unit, mut month) = (vintage.unit, vintage.earned);
            let mut deferred = vec![];
            let mut allocated = 0;
            for (left, spent) in vintage.outstanding.iter().zip(&vintage.redeemed) {
                let (money, points) = self.awarded(unit, vintage.earned, month)?;
                let expected = self.curve(unit, month).map_or(points, |curve| curve.expected(points));
                deferred.push(if *left == 0 { 0 } else { not_earned(money, expected, *spent) });
                (allocated, month) = (money, month.next());
            }
            out.push(DeferredVintage { vintage, allocated, deferred });
        }
        Ok(out)
    }

    /// The roll-forward of every unit, in the order of units and months.
    pub fn months(&self) -> Result<Vec<DeferredMonth>, Malformed> {
        let mut closings: BTreeMap<(UnitCode, Month), i64> = BTreeMap::new();
        for vintage in self.vintages()? {
            let mut month = vintage.vintage.earned;
            for left in vintage.deferred {
                let sum = closings.entry((vintage.vintage.unit, month)).or_default();
                *sum = plus(*sum, left)?;
                month = month.next();
            }
        }
        let mut given: BTreeMap<(UnitCode, Month), i64> = BTreeMap::new();
        for ((unit, _), awards) in &self.awards {
            for ((month, measure), points) in awards {
                let sum = given.entry((*unit, *month)).or_default();
                *sum = plus(*sum, self.worth(*unit, *points, *measure)?)?;
            }
        }
        let mut out: Vec<DeferredMonth> = vec![];
        for ((unit, month), closing) in closings {
            let before = out.last().filter(|last| last.unit == unit);
            let opening = before.map_or(0, |last| last.closing);
            let allocated = given.get(&(unit, month)).copied().unwrap_or(0);
            let recognised = plus(plus(opening, allocated)?, negated(closing)?)?;
            out.push(DeferredMonth { unit, month, opening, allocated, recognised, closing });
        }
        Ok(out)
    }
}

/// What of an allocation is not earned: the part of the points that are still expected to be spent.
fn not_earned(allocated: i64, expected: u64, spent: i64) -> i64 {
    let spent = u64::try_from(spent).unwrap_or(0);
    let left = i128::from(expected.saturating_sub(spent));
    let product = i128::from(allocated).saturating_mul(left);
    i64::try_from(product.checked_div(i128::from(expected)).unwrap_or(0)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Bucket, Done, Expiry, Head, Leg, Lot, Origin, Place, Prices, Share, Shared, Unit};
    use crate::machine::{Effect, Kind};
    use crate::types::{AccountId, Asset, Hash, PaymentId};
    use std::sync::Arc;

    const ADA: AccountId = AccountId(7);
    const PAYMENT: PaymentId = PaymentId { seq: 9, part: 0 };

    fn id<T: std::str::FromStr>(text: &str) -> T {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    fn unit() -> UnitCode {
        id("HARVEST")
    }

    fn points(n: u64) -> Points {
        Points::new(n).expect("fits")
    }

    fn bucket(month: &str) -> Bucket {
        Bucket(None, None, id(month), Origin::Earned)
    }

    fn event(seq: u64, day: &str, kind: Kind, done: Done) -> Event {
        let at = id(&format!("{day}T12:00:00Z"));
        Event { seq, hash: Hash::default(), at, kind, effects: vec![Effect { tag: None, done }] }
    }

    fn put(name: Name, record: Record) -> Done {
        let mut done = Done::default();
        done.put(name, Some(Arc::new(record)));
        done
    }

    fn founded() -> Vec<Event> {
        let settings = Unit {
            brand: id("br_harvest"),
            version: 1,
            scale: 0,
            offset: 0,
            expiry: Expiry::Never {},
            pending_days: 0,
            grace_days: 0,
            issue_cap: None,
            min_spend: None,
            offer_cap: None,
            notice: None,
            floor: vec![],
            kept: None,
            frozen: false,
        };
        let rate = Rate::new(10, 1).expect("a price");
        let price = Price {
            version: 1,
            currency: id("EUR"),
            from: 0,
            until: None,
            verifiable_until: None,
            home: rate,
            till: rate,
            settle: rate,
            settle_for: vec![],
            issue: rate,
            issue_for: vec![],
        };
        let prices = Record::Prices(Prices { versions: vec![price] });
        vec![
            event(1, "2026-01-01", Kind::UnitDefined, put(Name::Unit(unit()), Record::from(settings))),
            event(2, "2026-01-01", Kind::PricesPublished, put(Name::Prices(unit()), prices)),
        ]
    }

    fn curve(seq: u64, day: &str, version: u64, redeemed: &[u32]) -> Event {
        let record = Record::Breakage(Breakage { version, redeemed: redeemed.to_vec() });
        event(seq, day, Kind::BreakagePublished, put(Name::Breakage(unit()), record))
    }

    fn shared(shared: Shared, amount: i64) -> Leg {
        Leg { place: Place::Shared(unit(), shared), asset: Asset::Unit(unit()), amount, after: None }
    }

    /// The account has `after` points of a month.
    fn awarded(seq: u64, day: &str, month: &str, amount: i64, after: u64) -> Event {
        let head = Head { unit: unit(), offset: 0, key: None, tier: None, owed: Points::ZERO, frozen: false };
        let done = Done {
            legs: vec![shared(Shared::Issuance, -amount)],
            heads: vec![(ADA, head)],
            lots: vec![(ADA, bucket(month), points(after))],
            ..Done::default()
        };
        event(seq, day, Kind::PointsIssued, done)
    }

    /// A payment has taken `taken` points of a month in all; the account has `after` left.
    fn spent(seq: u64, day: &str, month: &str, taken: u64, after: u64, kind: Kind) -> Event {
        let lots = if taken > 0 { vec![Lot(bucket(month), points(taken))] } else { vec![] };
        let mut done = put(Name::Share(PAYMENT, unit()), Record::Share(Share { account: ADA, taken: lots }));
        done.lots = vec![(ADA, bucket(month), points(after))];
        event(seq, day, kind, done)
    }

    fn report(events: &[Event]) -> (Vec<DeferredVintage>, Vec<DeferredMonth>) {
        let mut deferred = Deferred::new(id("EUR"));
        for event in events {
            deferred.take(event).expect("taken");
        }
        (deferred.vintages().expect("fits"), deferred.months().expect("fits"))
    }

    #[test]
    fn an_award_is_earned_as_its_points_are_spent() {
        let mut events = founded();
        events.extend([
            curve(3, "2026-01-02", 1, &[200_000, 500_000]),
            awarded(4, "2026-01-10", "2026-01", 1_000, 1_000),
            spent(5, "2026-02-03", "2026-01", 300, 700, Kind::PaymentCaptured),
            // A refund gives points back, a new curve expects more of them to be spent.
            spent(6, "2026-03-03", "2026-01", 200, 800, Kind::PaymentRefunded),
            curve(7, "2026-03-04", 2, &[200_000, 800_000]),
            awarded(8, "2026-03-05", "2026-03", 100, 100),
        ]);
        let (vintages, months) = report(&events);
        let [january, march] = vintages.as_slice() else { panic!("{vintages:?}") };
        assert_eq!(
            (january.vintage.issued, january.vintage.outstanding.as_slice()),
            (1_000, &[1_000, 700, 800][..])
        );
        assert_eq!(january.vintage.redeemed, [0, 300, 200]);
        assert_eq!(january.vintage.rates, [0, 300_000, 200_000]);
        // Half of 1,000 points at 10 each; 3/5 of the expected are spent; then 1/4 of those that are expected now.
        assert_eq!((january.allocated, january.deferred.as_slice()), (5_000, &[5_000, 2_000, 3_750][..]));
        assert_eq!((march.allocated, march.deferred.as_slice()), (800, &[800][..]));
        let told: Vec<_> = months.iter().map(|m| (m.opening, m.allocated, m.recognised, m.closing)).collect();
        assert_eq!(told, [(0, 5_000, 0, 5_000), (5_000, 0, 3_000, 2_000), (2_000, 800, -1_750, 4_550)]);
    }

    #[test]
    fn without_a_curve_all_is_expected_to_be_spent_and_nothing_is_left_of_a_vintage_that_is_gone() {
        let mut events = founded();
        events.push(awarded(3, "2026-01-10", "2026-01", 50, 50));
        let mut gone = Done { legs: vec![shared(Shared::Expired, 40)], ..Done::default() };
        gone.lots = vec![(ADA, bucket("2026-01"), Points::ZERO)];
        events.extend([
            spent(4, "2026-01-20", "2026-01", 10, 40, Kind::PaymentCaptured),
            event(5, "2026-02-20", Kind::Tick, gone),
        ]);
        let (vintages, months) = report(&events);
        assert_eq!(vintages[0].deferred, [400, 0]);
        assert_eq!(months.last().map(|m| (m.recognised, m.closing)), Some((400, 0)));
    }
}
