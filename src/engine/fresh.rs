//! Fresh reads: waiting until what is asked about is there to be seen, and the newest value of a record.
//!
//! Owns: how a reader waits for the followers, on a thread of its own or as a task among others.
//! Promises: what is read shows every entry up to the one that is named with it. A wait ends: when it is
//! there, when the engine fails, or at its deadline.
//! Refuses to know: who reads, and what.

use super::Failure;
use super::run::{Engine, Shared};
use crate::book::{Account, Name, Record};
use crate::cache::{Loaded, Seen};
use crate::store;
use crate::types::AccountId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How far an entry must have come before it counts as seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// It is in the log.
    Committed,
    /// State shows it.
    State,
    /// State and all other followers show it.
    Views,
}

/// The newest committed value of a record.
#[derive(Clone, PartialEq, Debug)]
pub struct Newest {
    /// The record; `None` if there is none.
    pub record: Option<Arc<Record>>,
    /// Every entry through this one is shown; a later one may be. `None`: the log is empty.
    pub seq: Option<u64>,
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

impl Shared {
    fn shows(&self, level: Level, seq: u64) -> bool {
        let mut followed = self.followed.iter();
        match level {
            Level::Committed => self.balances.size() > seq,
            Level::State => followed.next().is_some_and(|size| size.load(Ordering::Acquire) > seq),
            Level::Views => followed.all(|size| size.load(Ordering::Acquire) > seq),
        }
    }
}

impl Engine {
    /// Waits until an entry is seen, without holding a thread up meanwhile: for tasks. `Unavailable` after
    /// `within`, so for an entry that nobody committed as well.
    pub async fn reach(&self, level: Level, seq: u64, within: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut step = Duration::from_micros(250);
        let mut hurried = false;
        while !self.shared.shows(level, seq) {
            if let Some(failure) = self.shared.failure() {
                return Err(failure);
            }
            // Followers are hurried once, when there is something for them to hurry for.
            if self.only_reads() || !hurried && self.shared.shows(Level::Committed, seq) {
                self.hurry();
                hurried = true;
            }
            let Some(left) = within.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(fault(format!("entry {seq} is not shown yet; try again")));
            };
            tokio::time::sleep(step.min(left)).await;
            step = (step * 2).min(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last entry that is committed.
    pub fn newest(&self) -> Option<u64> {
        self.shared.balances.size().checked_sub(1)
    }

    /// Waits on this thread until state shows everything that is committed now.
    pub(super) fn settle_state(&self) -> Result<(), Failure> {
        let Some(seq) = self.newest() else { return Ok(()) };
        if self.shared.shows(Level::State, seq) {
            return Ok(());
        }
        self.hurry();
        self.shared.wait(self.pace.patience, |shared| shared.shows(Level::State, seq))
    }

    /// A record as of the newest commit, or later. Accounts are at hand; for others this waits, on this
    /// thread, until state has caught up.
    pub fn record(&self, name: &Name) -> Result<Newest, Failure> {
        if let Name::Account(id) = name {
            let seen = self.balance(*id, 0)?;
            return Ok(Newest { record: seen.record, seq: Some(seen.seq) });
        }
        self.settle_state()?;
        let (record, seq) = self.kept(name)?;
        Ok(Newest { record, seq })
    }

    /// A record as state has it, and as of which entry.
    fn kept(&self, name: &Name) -> Result<(Option<Arc<Record>>, Option<u64>), Failure> {
        let loaded = self.read.load(&[name.to_string()]).map_err(fault)?;
        let row = loaded.rows.first();
        let record = row.map(|row| Record::decode(name, &row.value)).transpose().map_err(fault)?;
        Ok((record.map(Arc::new), loaded.cursor.map(|place| place.seq)))
    }

    /// What state says about an account.
    pub(super) fn in_state(&self, id: AccountId) -> Result<Loaded, Failure> {
        let name = Name::Account(id);
        let shown = self.shared.followed.first().map_or(0, |size| size.load(Ordering::Acquire));
        let loaded = self.read.load(&[name.to_string()]).map_err(fault)?;
        // Another node may make state anew: then it is not as new as what is told to rest on it.
        if loaded.cursor.map_or(0, |place| place.seq + 1) < shown {
            return Err(fault("state went back"));
        }
        let record = |row: &store::Kept| Record::decode(&name, &row.value).map(|r| (row.seq, Arc::new(r)));
        let row = loaded.rows.first().map(record).transpose().map_err(fault)?;
        Ok(Loaded { size: loaded.cursor.map_or(0, |place| place.seq + 1), row })
    }

    /// An account as of the newest commit, for tasks: what is not at hand is asked of the cache that nodes share,
    /// if there is one, before state is.
    pub async fn seen(&self, id: AccountId) -> Result<Seen, Failure> {
        let balances = &self.shared.balances;
        let missed = match balances.look(id) {
            Ok(seen) => return Ok(seen),
            Err(missed) => missed,
        };
        let Some(remote) = self.remote() else {
            return Ok(balances.keep(id, missed, self.in_state(id)?));
        };
        let shared = remote.get(id, missed.least()).await;
        // What is proved here is what is visible here.
        if let Some(loaded) = shared.filter(|loaded| loaded.size <= balances.size()) {
            return Ok(balances.borrow(id, missed, loaded));
        }
        let loaded = self.in_state(id)?;
        remote.fill(id, &loaded);
        Ok(balances.keep(id, missed, loaded))
    }

    /// An account as of the newest commit.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, Failure> {
        Ok(self.balance(id, 0)?.account().cloned())
    }
}
