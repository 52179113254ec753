//! Vintages: what is left of the points that were earned in a month.
//!
//! Owns: the triangle of a unit: months of earning by months since.
//! Promises: what is outstanding of all vintages at the cut is what holders have.
//! Refuses to know: money.

use super::liability::{negated, plus};
use crate::book::{Bucket, Hold, Name, Record};
use crate::machine::Event;
use crate::types::{AccountId, HoldId, Malformed, Month, Points, Time, UnitCode, encode};
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of a unit that were earned in one month.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Vintage {
    /// The unit.
    pub unit: UnitCode,
    /// When they were earned.
    pub earned: Month,
    /// What was outstanding at the end of each month from then on, the last one at the cut: available, held and
    /// pending points.
    pub outstanding: Vec<i64>,
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
    last: Time,
}

impl Vintages {
    /// Takes an event in.
    pub fn take(&mut self, event: &Event) -> Result<(), Malformed> {
        self.last = event.at;
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            if let (Name::Unit(unit), Some(Record::Unit(settings))) = (name, record) {
                self.offsets.insert(*unit, settings.offset);
            }
        }
        for done in event.effects.iter().map(|effect| &effect.done) {
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
                self.change(*account, bucket, plus(after.signed(), negated(before.signed())?)?)?;
            }
            for (account, of, after) in &done.holds {
                let key = (*account, *of);
                for lot in self.holds.remove(&key).into_iter().flat_map(|hold| hold.lots) {
                    self.change(*account, &lot.0, negated(lot.1.signed())?)?;
                }
                for lot in after.iter().flat_map(|hold| &hold.lots) {
                    self.change(*account, &lot.0, lot.1.signed())?;
                }
                if let Some(hold) = after {
                    self.holds.insert(key, hold.clone());
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, account: AccountId, bucket: &Bucket, amount: i64) -> Result<(), Malformed> {
        let unit = self.units.get(&account).copied();
        let unit = unit.ok_or_else(|| Malformed(format!("{account} was not opened before")))?;
        let now = self.last.date(self.offsets.get(&unit).copied().unwrap_or(0)).month();
        let sum = self.changes.entry((unit, bucket.2)).or_default().entry(now).or_default();
        *sum = plus(*sum, amount)?;
        Ok(())
    }

    /// Every vintage, in the order of units and months.
    pub fn report(&self) -> Result<Vec<Vintage>, Malformed> {
        let mut out = vec![];
        for ((unit, earned), changes) in &self.changes {
            let last = self.last.date(self.offsets.get(unit).copied().unwrap_or(0)).month();
            // Points may come back into an earlier month's bucket, but none were there before they were earned.
            let first = changes.keys().next().copied().unwrap_or(*earned).min(*earned);
            let (mut month, mut left, mut outstanding) = (first, 0i64, vec![]);
            while month <= last {
                left = plus(left, changes.get(&month).copied().unwrap_or(0))?;
                if month >= *earned {
                    outstanding.push(left);
                }
                month = month.next();
            }
            out.push(Vintage { unit: *unit, earned: *earned, outstanding });
        }
        Ok(out)
    }
}
