//! Vintages: what is left of the points that were earned in a month.
//!
//! Owns: the triangles of a unit: months of earning by months since; what is left, and what was spent.
//! Promises: what is outstanding of all vintages at the cut is what holders have. What was spent of a vintage is what
//! payments took out of its lots and did not give back.
//! Refuses to know: money.

use super::liability::{negated, plus};
use crate::book::{Bucket, Done, Hold, Leg, Lot, Name, Place, Record, Shared};
use crate::machine::{Event, Kind};
use crate::types::{AccountId, HoldId, Malformed, Month, PaymentId, Points, Time, UnitCode, encode};
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of a unit that were earned in one month.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Vintage {
    /// The unit.
    pub unit: UnitCode,
    /// When they were earned.
    pub earned: Month,
    /// What was outstanding at the end of each month from then on, the last one at the cut: available, held and
    /// pending points.
    pub outstanding: Vec<i64>,
    /// Points that came into being, less those that went past their date in the same entry.
    pub issued: i64,
    /// What was spent by the end of each of these months and not given back.
    pub redeemed: Vec<i64>,
    /// The same for a million points that came into being.
    pub rates: Vec<i64>,
}

/// Sums up events. Give it the log from the first entry on, in order.
#[derive(Default)]
pub struct Vintages {
    units: BTreeMap<AccountId, UnitCode>,
    offsets: BTreeMap<UnitCode, i16>,
    lots: BTreeMap<(AccountId, Vec<u8>), Points>,
    holds: BTreeMap<(AccountId, HoldId), Hold>,
    /// By unit and month of earning: changes by month.
    changes: BTreeMap<(UnitCode, Month), BTreeMap<Month, i64>>,
    /// What payments have taken, by month of earning.
    taken: BTreeMap<(PaymentId, UnitCode), BTreeMap<Month, i64>>,
    /// By unit and month of earning: what was spent, by month.
    spent: BTreeMap<(UnitCode, Month), BTreeMap<Month, i64>>,
    issued: BTreeMap<(UnitCode, Month), i64>,
    last: Time,
}

/// Points of a unit that were earned in a month.
pub(super) type Earned = BTreeMap<(UnitCode, Month), i64>;

impl Vintages {
    /// Takes an event in; says what came into being with it.
    pub fn take(&mut self, event: &Event) -> Result<(), Malformed> {
        self.take_issued(event).map(drop)
    }

    /// [`Vintages::take`]; says which points came into being.
    pub(super) fn take_issued(&mut self, event: &Event) -> Result<Earned, Malformed> {
        self.last = event.at;
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            match (name, record) {
                (Name::Unit(unit), Some(Record::Unit(settings))) => {
                    self.offsets.insert(*unit, settings.offset);
                }
                (Name::Share(payment, unit), Some(Record::Share(share))) => {
                    self.share(*payment, *unit, &share.taken)?;
                }
                _ => {}
            }
        }
        let issues = matches!(event.kind, Kind::PointsIssued | Kind::PointsBatch | Kind::ExchangeMade);
        let mut all = Earned::new();
        for done in event.effects.iter().map(|effect| &effect.done) {
            let moved = self.move_lots(done)?;
            let comes = |leg: &Leg| matches!(leg.place, Place::Shared(_, Shared::Issuance)) && leg.amount < 0;
            if issues && done.legs.iter().any(comes) {
                for (key, amount) in moved.into_iter().filter(|(_, amount)| *amount > 0) {
                    for sums in [&mut self.issued, &mut all] {
                        let sum = sums.entry(key).or_default();
                        *sum = plus(*sum, amount)?;
                    }
                }
            }
        }
        Ok(all)
    }

    /// Takes one part's lots and holds over; says by how much each vintage changed.
    fn move_lots(&mut self, done: &Done) -> Result<Earned, Malformed> {
        let mut moved = Earned::new();
        for (account, head) in &done.heads {
            self.units.insert(*account, head.unit);
        }
        for (account, bucket, after) in &done.lots {
            // A bucket's text is one-to-one, and can be sorted.
            let key = (*account, encode(bucket));
            let before = self.lots.remove(&key).unwrap_or_default();
            if !after.is_zero() {
                self.lots.insert(key, *after);
            }
            self.change(*account, bucket, plus(after.signed(), negated(before.signed())?)?, &mut moved)?;
        }
        for (account, of, after) in &done.holds {
            let key = (*account, *of);
            for lot in self.holds.remove(&key).into_iter().flat_map(|hold| hold.lots) {
                self.change(*account, &lot.0, negated(lot.1.signed())?, &mut moved)?;
            }
            for lot in after.iter().flat_map(|hold| &hold.lots) {
                self.change(*account, &lot.0, lot.1.signed(), &mut moved)?;
            }
            if let Some(hold) = after {
                self.holds.insert(key, hold.clone());
            }
        }
        Ok(moved)
    }

    fn change(
        &mut self,
        account: AccountId,
        bucket: &Bucket,
        amount: i64,
        moved: &mut Earned,
    ) -> Result<(), Malformed> {
        let unit = self.units.get(&account).copied();
        let unit = unit.ok_or_else(|| Malformed(format!("{account} was not opened before")))?;
        let now = self.month(unit);
        for sum in [
            self.changes.entry((unit, bucket.2)).or_default().entry(now).or_default(),
            moved.entry((unit, bucket.2)).or_default(),
        ] {
            *sum = plus(*sum, amount)?;
        }
        Ok(())
    }

    /// What a payment has taken of a unit, all in all: the difference was spent now, or given back.
    fn share(&mut self, payment: PaymentId, unit: UnitCode, taken: &[Lot]) -> Result<(), Malformed> {
        let mut after: BTreeMap<Month, i64> = BTreeMap::new();
        for lot in taken {
            let sum = after.entry(lot.0.2).or_default();
            *sum = plus(*sum, lot.1.signed())?;
        }
        let now = self.month(unit);
        let before = self.taken.remove(&(payment, unit)).unwrap_or_default();
        let mut spend = |earned: Month, amount: i64| {
            let sum = self.spent.entry((unit, earned)).or_default().entry(now).or_default();
            *sum = plus(*sum, amount)?;
            Ok::<_, Malformed>(())
        };
        for (earned, amount) in &after {
            spend(*earned, *amount)?;
        }
        for (earned, amount) in before {
            spend(earned, negated(amount)?)?;
        }
        self.taken.insert((payment, unit), after);
        Ok(())
    }

    /// The month of the last event, in the days of a unit.
    pub(super) fn month(&self, unit: UnitCode) -> Month {
        self.last.date(self.offsets.get(&unit).copied().unwrap_or(0)).month()
    }

    /// Every vintage, in the order of units and months.
    pub fn report(&self) -> Result<Vec<Vintage>, Malformed> {
        let mut out = vec![];
        for ((unit, earned), changes) in &self.changes {
            let last = self.month(*unit);
            let spent = self.spent.get(&(*unit, *earned));
            let issued = self.issued.get(&(*unit, *earned)).copied().unwrap_or(0);
            // Points may come back into an earlier month's bucket, but none were there before they were earned.
            let first = changes.keys().next().copied().unwrap_or(*earned).min(*earned);
            let (mut month, mut left, mut gone) = (first, 0i64, 0i64);
            let (mut outstanding, mut redeemed, mut rates) = (vec![], vec![], vec![]);
            while month <= last {
                left = plus(left, changes.get(&month).copied().unwrap_or(0))?;
                gone = plus(gone, spent.and_then(|spent| spent.get(&month)).copied().unwrap_or(0))?;
                if month >= *earned {
                    outstanding.push(left);
                    redeemed.push(gone);
                    rates.push(per_million(gone, issued));
                }
                month = month.next();
            }
            out.push(Vintage { unit: *unit, earned: *earned, outstanding, issued, redeemed, rates });
        }
        Ok(out)
    }
}

/// A part for a million of the whole, rounded down; 0 of nothing.
fn per_million(part: i64, of: i64) -> i64 {
    let product = i128::from(part).saturating_mul(1_000_000);
    i64::try_from(product.checked_div(i128::from(of)).unwrap_or(0)).unwrap_or(i64::MAX)
}
