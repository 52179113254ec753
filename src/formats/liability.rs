//! The liability for points: opening balance, what happened, closing balance, in points and in money.
//!
//! Owns: the lines of the roll-forward, month by month, and what they come to at settlement cost.
//! Promises: opening and lines make closing, in points and in money, in every month of every unit. Money is the
//! settle price in force when it happened, rounded down once for each line and price; what a change of price and
//! rounding make stands in a line of its own.
//! Refuses to know: which of the points will never be spent.

use super::periods::Periods;
use crate::book::{Name, Payment, Period, Place, Prices, Record, Shared, Unit};
use crate::machine::{Event, Kind};
use crate::types::{Asset, BrandId, Currency, Malformed, Month, PaymentId, Points, Rate, Time, UnitCode};
use serde::Serialize;
use std::collections::BTreeMap;

/// What changes a liability.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LiabilityChange)]
pub enum Change {
    /// Points came into being.
    Issued,
    /// Points came into being that were earned in a month that was closed before.
    IssuedPriorPeriod,
    /// Points were spent at the issuer's own shops.
    RedeemedHome,
    /// Points were spent elsewhere.
    RedeemedElsewhere,
    /// Points of a payment were given back.
    Reinstated,
    /// Points came into being for points of another unit.
    ExchangedIn,
    /// Points were given up for points of another unit.
    ExchangedOut,
    /// Points went past their date.
    Expired,
    /// Their brand took points back.
    ClawedBack,
    /// Their holder gave points up.
    Forfeited,
}

impl Change {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::IssuedPriorPeriod => "issued, prior period",
            Self::RedeemedHome => "redeemed home",
            Self::RedeemedElsewhere => "redeemed elsewhere",
            Self::Reinstated => "reinstated",
            Self::ExchangedIn => "exchanged in",
            Self::ExchangedOut => "exchanged out",
            Self::Expired => "expired",
            Self::ClawedBack => "clawed back",
            Self::Forfeited => "forfeited",
        }
    }

    /// What a leg on a shared account is, and what it does to the liability. Points on their way between two accounts
    /// change nothing.
    fn of(kind: Kind, shared: Shared, amount: i64, home: bool) -> Option<Self> {
        Some(match shared {
            Shared::Issuance if kind == Kind::ExchangeMade => Self::ExchangedIn,
            Shared::Issuance => Self::Issued,
            Shared::Redeemed if amount < 0 => Self::Reinstated,
            Shared::Redeemed if home => Self::RedeemedHome,
            Shared::Redeemed => Self::RedeemedElsewhere,
            Shared::Exchanged => Self::ExchangedOut,
            Shared::Transit => return None,
            Shared::Expired => Self::Expired,
            Shared::ClawedBack => Self::ClawedBack,
            Shared::Forfeited => Self::Forfeited,
        })
    }
}

/// An amount both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = LiabilityAmounts)]
pub struct Amounts {
    /// In the unit's smallest part; below 0 it makes the liability smaller.
    pub points: i64,
    /// In the currency's scale, at the settle price.
    pub money: i64,
}

/// A line of the roll-forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LiabilityLine)]
pub struct ChangeLine {
    /// What happened.
    pub change: Change,
    /// What it came to.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// One unit's roll-forward over one month of its own days.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct RollForward {
    /// The unit.
    pub unit: UnitCode,
    /// Decimal places of a point.
    pub scale: u8,
    /// The month.
    pub month: Month,
    /// The currency of the money.
    pub currency: Currency,
    /// At its beginning.
    pub opening: Amounts,
    /// What happened.
    pub lines: Vec<ChangeLine>,
    /// What changes of the price, and rounding, make of it: money alone.
    pub price_changes: i64,
    /// At its end, or at the cut.
    pub closing: Amounts,
}

/// A price as the liability is measured by.
struct Settle {
    version: u64,
    from: u64,
    until: Option<u64>,
    rate: Rate,
}

/// A unit's numbers as the events leave them.
struct Book {
    brand: BrandId,
    scale: u8,
    offset: i16,
    prices: Vec<Settle>,
    /// Points by month, change and version of the price (0: there was none).
    flows: BTreeMap<Month, BTreeMap<(Change, u64), i64>>,
}

/// Sums up events. Give it the log from the first entry on, in order.
pub struct Liability {
    currency: Currency,
    books: BTreeMap<UnitCode, Book>,
    last: Time,
    periods: Periods,
}

pub(super) fn plus(a: i64, b: i64) -> Result<i64, Malformed> {
    a.checked_add(b).ok_or_else(|| Malformed("a sum above 63 bits".into()))
}

pub(super) fn negated(a: i64) -> Result<i64, Malformed> {
    a.checked_neg().ok_or_else(|| Malformed("an amount above 63 bits".into()))
}

impl Liability {
    /// At settle prices in this currency.
    pub fn new(currency: Currency) -> Self {
        Self { currency, books: BTreeMap::new(), last: Time::default(), periods: Periods::default() }
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) -> Result<(), Malformed> {
        self.last = event.at;
        let mut payments: BTreeMap<PaymentId, &Payment> = BTreeMap::new();
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            match (name, record) {
                (Name::Unit(unit), Some(Record::Unit(settings))) => self.define(*unit, settings),
                (Name::Prices(unit), Some(Record::Prices(prices))) => self.price(*unit, prices)?,
                (Name::Payment(id), Some(Record::Payment(payment))) => {
                    payments.insert(*id, payment);
                }
                _ => {}
            }
        }
        for effect in &event.effects {
            let shop = effect.done.puts().find_map(|(name, _)| match name {
                Name::Share(id, _) => payments.get(id).map(|payment| &payment.brand),
                _ => None,
            });
            for leg in &effect.done.legs {
                if let (Place::Shared(unit, shared), Asset::Unit(_)) = (&leg.place, leg.asset) {
                    let late = self.periods.late(&effect.done).is_some();
                    self.flow(*unit, event, *shared, leg.amount, (shop, late))?;
                }
            }
        }
        self.periods.take(event);
        Ok(())
    }

    /// The month that was closed last.
    pub fn closed(&self) -> Option<&Period> {
        self.periods.last()
    }

    fn define(&mut self, unit: UnitCode, settings: &Unit) {
        let fresh = || Book {
            brand: settings.brand.clone(),
            scale: settings.scale,
            offset: settings.offset,
            prices: vec![],
            flows: BTreeMap::new(),
        };
        self.books.entry(unit).or_insert_with(fresh);
    }

    fn book(&mut self, unit: UnitCode) -> Result<&mut Book, Malformed> {
        let book = self.books.get_mut(&unit);
        book.ok_or_else(|| Malformed(format!("the unit {unit} was not defined before")))
    }

    /// Versions that left state stay here: months of the past are measured by them.
    fn price(&mut self, unit: UnitCode, prices: &Prices) -> Result<(), Malformed> {
        let currency = self.currency;
        let book = self.book(unit)?;
        for price in prices.versions.iter().filter(|price| price.currency == currency) {
            if book.prices.iter().all(|have| have.version != price.version) {
                book.prices.push(Settle {
                    version: price.version,
                    from: price.from,
                    until: price.until,
                    rate: price.settle,
                });
            }
        }
        Ok(())
    }

    fn flow(
        &mut self,
        unit: UnitCode,
        event: &Event,
        shared: Shared,
        amount: i64,
        (shop, late): (Option<&BrandId>, bool),
    ) -> Result<(), Malformed> {
        let book = self.book(unit)?;
        let Some(change) = Change::of(event.kind, shared, amount, shop == Some(&book.brand)) else {
            return Ok(());
        };
        let change = if late && change == Change::Issued { Change::IssuedPriorPeriod } else { change };
        let version = book.price_at(event.at).map_or(0, |price| price.version);
        let month = book.flows.entry(event.at.date(book.offset).month()).or_default();
        let sum = month.entry((change, version)).or_default();
        // What leaves a shared account comes to the holders.
        *sum = plus(*sum, negated(amount)?)?;
        Ok(())
    }

    /// The roll-forward of every unit, in the order of units and months, through the month of the last event.
    pub fn report(&self) -> Result<Vec<RollForward>, Malformed> {
        let mut out = vec![];
        for (unit, book) in &self.books {
            let Some(first) = book.flows.keys().next() else { continue };
            let (mut month, mut opening) = (*first, Amounts::default());
            while month <= self.last.date(book.offset).month() {
                let forward = self.forward(*unit, book, month, opening)?;
                opening = forward.closing;
                out.push(forward);
                month = month.next();
            }
        }
        Ok(out)
    }

    fn forward(
        &self,
        unit: UnitCode,
        book: &Book,
        month: Month,
        opening: Amounts,
    ) -> Result<RollForward, Malformed> {
        let mut sums: BTreeMap<Change, Amounts> = BTreeMap::new();
        for ((change, version), points) in book.flows.get(&month).into_iter().flatten() {
            let rate = book.prices.iter().find(|price| price.version == *version).map(|price| price.rate);
            let sum = sums.entry(*change).or_default();
            sum.points = plus(sum.points, *points)?;
            sum.money = plus(sum.money, worth(*points, rate)?)?;
        }
        let mut explained = opening;
        let mut lines = vec![];
        for (change, amounts) in sums {
            explained.points = plus(explained.points, amounts.points)?;
            explained.money = plus(explained.money, amounts.money)?;
            lines.push(ChangeLine { change, amounts });
        }
        let end = month.next().first_day().starts(book.offset).min(self.last.next());
        let before = Time::from_micros(end.micros().saturating_sub(1)).unwrap_or_default();
        let rate = book.price_at(before).map(|price| price.rate);
        let closing = Amounts { points: explained.points, money: worth(explained.points, rate)? };
        let price_changes = plus(closing.money, negated(explained.money)?)?;
        let (scale, currency) = (book.scale, self.currency);
        Ok(RollForward { unit, scale, month, currency, opening, lines, price_changes, closing })
    }
}

impl Book {
    /// Of the versions in force the latest.
    fn price_at(&self, at: Time) -> Option<&Settle> {
        let now = at.seconds();
        let in_force = |price: &&Settle| price.from <= now && price.until.is_none_or(|until| now < until);
        self.prices.iter().filter(in_force).max_by_key(|price| price.version)
    }
}

/// What points are worth, rounded towards zero; nothing without a price.
fn worth(points: i64, rate: Option<Rate>) -> Result<i64, Malformed> {
    let Some(rate) = rate else { return Ok(0) };
    let money = Points::new(points.unsigned_abs()).and_then(|points| rate.money_floor(points));
    let money = money.ok_or_else(|| Malformed("points are worth more than the log can say".into()))?.signed();
    if points < 0 { negated(money) } else { Ok(money) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Done, Expiry, Leg, Price};
    use crate::machine::Effect;
    use crate::types::Hash;
    use std::sync::Arc;

    fn event(seq: u64, at: &str, kind: Kind, done: Done) -> Event {
        let at = at.parse().expect("an instant");
        Event { seq, hash: Hash::default(), at, kind, effects: vec![Effect { tag: None, done }] }
    }

    fn unit() -> UnitCode {
        "HARVEST".parse().expect("a unit")
    }

    fn moves(shared: Shared, amount: i64) -> Done {
        let leg =
            Leg { place: Place::Shared(unit(), shared), asset: Asset::Unit(unit()), amount, after: None };
        Done { legs: vec![leg], ..Done::default() }
    }

    fn priced(version: u64, num: u64, from: &str) -> Done {
        let rate = Rate::new(num, 1000).expect("a price");
        let from: Time = from.parse().expect("an instant");
        let price = Price {
            version,
            currency: "EUR".parse().expect("EUR"),
            from: from.seconds(),
            until: None,
            verifiable_until: None,
            home: rate,
            till: rate,
            settle: rate,
            settle_for: vec![],
            issue: rate,
            issue_for: vec![],
        };
        let mut done = Done::default();
        done.put(Name::Prices(unit()), Some(Arc::new(Record::Prices(Prices { versions: vec![price] }))));
        done
    }

    fn defined() -> Done {
        let settings = Unit {
            brand: "br_harvest".parse().expect("a brand"),
            version: 1,
            scale: 0,
            offset: 60,
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
        let mut done = Done::default();
        done.put(Name::Unit(unit()), Some(Arc::new(Record::from(settings))));
        done
    }

    #[test]
    fn opening_and_lines_make_closing_when_the_price_changes_too() {
        let mut liability = Liability::new("EUR".parse().expect("EUR"));
        let events = [
            event(1, "2026-01-01T00:00:00Z", Kind::UnitDefined, defined()),
            event(2, "2026-01-01T00:00:01Z", Kind::PricesPublished, priced(1, 7, "2026-01-01T00:00:00Z")),
            event(3, "2026-01-10T00:00:00Z", Kind::PointsIssued, moves(Shared::Issuance, -1_001)),
            event(4, "2026-01-20T00:00:00Z", Kind::PaymentCaptured, moves(Shared::Redeemed, 500)),
            // The unit's February begins an hour before UTC's.
            event(5, "2026-01-31T23:30:00Z", Kind::PaymentRefunded, moves(Shared::Redeemed, -100)),
            event(6, "2026-02-10T00:00:00Z", Kind::PricesPublished, priced(2, 9, "2026-02-15T00:00:00Z")),
            event(7, "2026-03-02T00:00:00Z", Kind::PointsIssued, moves(Shared::Expired, 1)),
        ];
        for event in &events {
            liability.take(event).expect("taken");
        }
        let report = liability.report().expect("a report");
        let rows: Vec<(String, Amounts, i64, Amounts)> =
            report.iter().map(|r| (r.month.to_string(), r.opening, r.price_changes, r.closing)).collect();
        let amounts = |points, money| Amounts { points, money };
        assert_eq!(
            rows,
            [
                // 7.007 issued, 3.5 spent: 7 − 3 = 4, and 501 · 0.007 = 3.507 is 3.
                ("2026-01".into(), amounts(0, 0), -1, amounts(501, 3)),
                // 100 back: 0.7, which is 0; 601 · 0.009 = 5.409.
                ("2026-02".into(), amounts(501, 3), 2, amounts(601, 5)),
                ("2026-03".into(), amounts(601, 5), 0, amounts(600, 5)),
            ]
        );
        let lines: Vec<Change> = report[0].lines.iter().map(|line| line.change).collect();
        assert_eq!(lines, [Change::Issued, Change::RedeemedElsewhere]);
    }
}
