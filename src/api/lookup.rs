//! Look-ups: single records for handlers.
//!
//! Owns: what a handler asks of state by name. Promises: what it tells was committed; a key that was revoked
//! is never told as active once the caller's own write was answered. Refuses to know: lists.

use super::problem::Problem;
use super::service::Service;
use crate::book::{KeyRecord, Name, Record};
use crate::types::{BrandId, Kid, Refusal, Refused, Time, UnitCode};
use std::sync::Arc;

impl Service {
    /// What time it is in the log: by the clock, or in a driven network that of its last entry.
    pub fn log_time(&self) -> Result<Time, Problem> {
        let last = self.engine().last_at();
        Ok(if self.genesis.driven { last } else { last.max(self.clock.now()) })
    }

    /// A record of state.
    pub fn record(&self, name: &Name) -> Result<Option<Arc<Record>>, Problem> {
        let rows = self.engine().read().load(&[name.to_string()])?.rows;
        let Some(row) = rows.first() else { return Ok(None) };
        Record::decode(name, &row.value).map(|record| Some(Arc::new(record))).map_err(Problem::fault)
    }

    /// Records of state, all of one moment, in the order of their names; and the last entry that they show.
    pub fn records<const N: usize>(
        &self,
        names: &[Name; N],
    ) -> Result<(Option<u64>, [Option<Record>; N]), Problem> {
        let keys = names.each_ref().map(ToString::to_string);
        let loaded = self.engine().read().load(&keys)?;
        let mut records = [const { None }; N];
        for ((name, key), record) in names.iter().zip(&keys).zip(&mut records) {
            if let Some(row) = loaded.rows.iter().find(|row| row.key == *key) {
                *record = Some(Record::decode(name, &row.value).map_err(Problem::fault)?);
            }
        }
        Ok((loaded.cursor.map(|place| place.seq), records))
    }

    /// Whose points a unit is; it never changes.
    pub fn brand_of(&self, unit: UnitCode) -> Result<Option<BrandId>, Problem> {
        if let Some(brand) = self.brands.get(&unit) {
            return Ok(Some(brand));
        }
        let record = self.record(&Name::Unit(unit))?;
        let brand = record.as_deref().and_then(Record::unit).map(|unit| unit.brand.clone());
        if let Some(brand) = &brand {
            self.brands.insert(unit, brand.clone());
        }
        Ok(brand)
    }

    /// A registered key, and the instant at which to judge it.
    pub fn key_now(&self, kid: Kid) -> Result<(KeyRecord, Time), Problem> {
        // State follows the log by milliseconds; a key that was revoked, or registered, within them is here.
        let record = match self.engine().changed_key(kid) {
            Some(record) => Some(record),
            None => self.record(&Name::Key(kid))?,
        };
        let key = record.as_deref().and_then(Record::key).cloned();
        let key = key.ok_or_else(|| Refused::about(Refusal::KeyUnknown, kid))?;
        Ok((key, self.log_time()?))
    }
}
