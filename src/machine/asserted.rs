//! What was moved by keys that the network holds: asserted, not signed by the owner.
//!
//! Owns: how it is counted out of what an entry recorded.
//! Promises: it counts what the caps were drawn for, no more and no less.
//! Refuses to know: the caps; they were checked when the entry was decided again.

use super::entry::Effect;
use super::verify::{Broken, Records};
use crate::book::{Found, Limit, Measure, Name, Record, Source};
use crate::types::Ident;
use serde::Serialize;
use std::collections::BTreeMap;

/// Movements that rest on the network's word.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct AssertedTotal {
    /// How many: one for each account that an award or a step of a payment concerns.
    pub movements: u64,
    /// How much, in smallest units, by unit or currency.
    pub value: BTreeMap<String, u64>,
}

impl AssertedTotal {
    /// What one entry asserts: by how much the day's counts grew.
    pub(super) fn of(records: &Records, effects: &[Effect], before: &dyn Source) -> Result<Self, Broken> {
        let mut total = Self::default();
        for (name, record) in records {
            let (Name::Limit(_, subject, Measure::AssertedDay), Some(Record::Limit(now))) =
                (name, record.as_deref())
            else {
                continue;
            };
            let had = match before.find(name) {
                Found::Known(record) => record.limit().copied().unwrap_or_default(),
                Found::Absent => Limit::default(),
                Found::NotLoaded => return Err(Broken::Need(vec![name.clone()])),
            };
            let from = if had.window == now.window { had.used } else { 0 };
            total.count(subject, now.used.saturating_sub(from));
        }
        if !total.value.is_empty() {
            let account = |name: &Name| matches!(name, Name::Account(_));
            let concerned =
                effects.iter().filter(|effect| effect.done.names(None).iter().any(account)).count();
            total.movements = u64::try_from(concerned).unwrap_or(u64::MAX);
        }
        Ok(total)
    }

    fn count(&mut self, subject: &Ident, amount: u64) {
        let sum = self.value.entry(subject.to_string()).or_default();
        *sum = sum.saturating_add(amount);
    }

    /// Adds what another entry asserts.
    pub fn add(&mut self, other: &Self) {
        self.movements = self.movements.saturating_add(other.movements);
        for (asset, amount) in &other.value {
            let sum = self.value.entry(asset.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
}
