//! Sharing: balances in a cache that nodes share, fed from here.
//!
//! Owns: what that cache is told of each commit, and where its feeder finds what it missed.
//! Promises: the writer waits for nothing here, and reads nothing back.
//! Refuses to know: how the cache keeps it.

use super::run::{Engine, Shared};
use super::stored::open_entry;
use super::{Commit, Failure, fault};
use crate::book::{Name, Record};
use crate::cache::remote::{Changed, MacKey, Remote, Source};
use crate::log::Envelope;
use crate::machine::Event;
use crate::store::{Place, Read};
use crate::types::{AccountId, Hash};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

impl Engine {
    /// Shares balances through the Redis of an address from here on. Only a wrong address is an error: whether it is
    /// there is seen later, and time and again. Only what nodes with the same `mac` wrote there is believed.
    pub fn share(&self, url: &str, mac: MacKey) -> Result<(), Failure> {
        self.share_as(url, mac, true)
    }

    /// The same for a node that does not write: it asks, and another one feeds.
    pub fn share_read(&self, url: &str, mac: MacKey) -> Result<(), Failure> {
        self.share_as(url, mac, false)
    }

    fn share_as(&self, url: &str, mac: MacKey, feeds: bool) -> Result<(), Failure> {
        let source = Arc::new(Behind(self.read.clone()));
        let remote = Remote::open(url, self.net(), mac, source, feeds);
        let remote = remote.map_err(|e| fault(format!("redis: {e}")))?;
        self.shared.remote.set(remote).map_err(|_| fault("balances are shared already"))
    }

    /// The cache that nodes share, if there is one.
    pub fn remote(&self) -> Option<&Remote> {
        self.shared.remote.get()
    }
}

impl Shared {
    /// Tells the cache what was committed.
    pub(super) fn feed(&self, commits: &[Arc<Commit>]) {
        let (Some(first), Some(last), Some(remote)) = (commits.first(), commits.last(), self.remote.get())
        else {
            return;
        };
        let to = Place { seq: last.event.seq, hash: last.event.hash };
        let changes = commits.iter().flat_map(|commit| {
            commit.records.iter().filter_map(|(name, record)| match name {
                Name::Account(id) => Some((*id, (commit.event.seq, record.clone()))),
                _ => None,
            })
        });
        remote.feed(first.event.seq, to, changes);
    }
}

/// Log and state, for a feeder that missed something.
struct Behind(Arc<dyn Read>);

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Bytes of entries that are read back at a time.
const BYTES: usize = 4 << 20;

impl Source for Behind {
    fn newest(&self) -> Result<Place, String> {
        let tip = self.0.tip().map_err(text)?;
        tip.map(|tip| tip.place()).ok_or_else(|| "the log is empty".into())
    }

    fn hash(&self, seq: u64) -> Result<Option<Hash>, String> {
        let there = self.0.read_envelopes(seq, 1).map_err(text)?;
        Ok(there.first().filter(|entry| entry.seq == seq).map(|entry| Envelope::hash(&entry.bytes)))
    }

    fn touched(&self, from: u64, most: usize) -> Result<Option<(Place, Vec<AccountId>)>, String> {
        let (mut ids, mut to) = (HashSet::new(), None);
        for entry in self.0.read(from, most, BYTES).map_err(text)? {
            let (envelope, parts) = open_entry(&entry).map_err(text)?;
            let hash = Envelope::hash(&entry.envelope);
            let event = Event::read(&envelope, hash, &parts).map_err(text)?;
            ids.extend(event.names().filter_map(|name| match name {
                Name::Account(id) => Some(id),
                _ => None,
            }));
            to = Some(Place { seq: entry.seq, hash });
        }
        Ok(to.map(|to| (to, ids.into_iter().collect())))
    }

    fn load(&self, ids: &[AccountId]) -> Result<(u64, HashMap<AccountId, Changed>), String> {
        let mut keys: Vec<String> = ids.iter().map(|id| Name::Account(*id).to_string()).collect();
        keys.sort_unstable();
        let loaded = self.0.load(&keys).map_err(text)?;
        let mut rows = HashMap::with_capacity(loaded.rows.len());
        for row in &loaded.rows {
            let name: Name = row.key.parse().map_err(text)?;
            let Name::Account(id) = name else { continue };
            let record = Record::decode(&name, &row.value).map_err(text)?;
            rows.insert(id, (row.seq, Some(Arc::new(record))));
        }
        Ok((loaded.cursor.map_or(0, |place| place.seq + 1), rows))
    }
}
