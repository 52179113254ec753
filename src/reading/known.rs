//! What is looked up in state to tell who a reader is: units of accounts, owners of keys, a brand's units.
//!
//! Promises: an account's unit and a key's owner never change, so they are kept at hand; what is not there
//! is asked for again. What can change is read each time.

use super::Fault;
use super::lists::{Sort, list};
use crate::book::{Name, Principal, Record};
use crate::machine::{Reader, Resolve};
use crate::store::Read;
use crate::types::{AccountId, BrandId, Kid, UnitCode};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Accounts, and keys, kept at hand.
const ROWS: usize = 50_000;
/// Units read at a time.
const PAGE: usize = 1_000;

/// Look-ups in state.
pub struct Known {
    read: Arc<dyn Read>,
    units: Cache<AccountId, UnitCode>,
    owners: Cache<Kid, Principal>,
}

impl Known {
    /// Of a network's state.
    pub fn new(read: Arc<dyn Read>) -> Self {
        Self { read, units: Cache::new(ROWS), owners: Cache::new(ROWS) }
    }

    pub(super) fn read(&self) -> &Arc<dyn Read> {
        &self.read
    }

    /// A record as state has it.
    pub fn record(&self, name: &Name) -> Result<Option<Record>, Fault> {
        let rows = self.read.load(&[name.to_string()])?.rows;
        let row = rows.first().map(|row| Record::decode(name, &row.value));
        row.transpose().map_err(|e| Fault::Damaged(format!("{name}: {e}")))
    }

    /// A brand as it reads: with its units, and its participant if it speaks for it, as they are now. `None`: no such brand.
    pub fn brand(&self, id: &BrandId) -> Result<Option<Reader>, Fault> {
        let Some(Record::Brand(record)) = self.record(&Name::Brand(id.clone()))? else { return Ok(None) };
        let (mut units, mut after) = (vec![], String::new());
        loop {
            let page = list(&*self.read, Sort::Units, &after, PAGE)?;
            units.extend(page.items.iter().filter_map(|item| match (&item.name, &item.record) {
                (Name::Unit(code), Record::Unit(unit)) if unit.brand == *id => Some(*code),
                _ => None,
            }));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        // What a participant owes and is owed is for the brand that speaks for it.
        let answering = self.record(&Name::Participant(record.participant.clone()))?;
        let speaks = matches!(answering, Some(Record::Participant(one)) if one.is_spoken_for_by(id));
        let participants = if speaks { vec![record.participant] } else { vec![] };
        Ok(Some(Reader::Brand { brand: id.clone(), units, participants }))
    }
}

impl Resolve for Known {
    type Fault = Fault;

    fn unit_of(&self, account: AccountId) -> Result<Option<UnitCode>, Fault> {
        if let Some(unit) = self.units.get(&account) {
            return Ok(Some(unit));
        }
        let record = self.record(&Name::Account(account))?;
        let unit = record.as_ref().and_then(Record::account).map(|account| account.head.unit);
        if let Some(unit) = unit {
            self.units.insert(account, unit);
        }
        Ok(unit)
    }

    fn owner_of(&self, key: Kid) -> Result<Option<Principal>, Fault> {
        if let Some(owner) = self.owners.get(&key) {
            return Ok(Some(owner));
        }
        let record = self.record(&Name::Key(key))?;
        let owner = record.as_ref().and_then(Record::key).map(|key| key.owner.clone());
        if let Some(owner) = &owner {
            self.owners.insert(key, owner.clone());
        }
        Ok(owner)
    }
}
