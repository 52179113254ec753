//! Balances at hand, for readers: what every balance query is answered from.
//!
//! Owns: a bounded number of account records, and how far each answer is proved.
//! Promises: an answer names an entry and is as new as it or newer, and that entry is the newest one that
//! was proved when the question was asked, or a later one; so whoever asks again never sees an older state.
//! A record that changed after what state shows is never forgotten. Readers wait for a writer in the same
//! shard only; a miss loads without any lock.
//! Refuses to know: what an account means, and where state is kept.
//!
//! The contract, for any cache that takes this one's place. The feeder puts every changed account of an
//! entry, newer over older, and only then says that the entry is proved. What it put is right through
//! whatever was proved when it is read. What a reader loaded on a miss is right as of the state it was
//! loaded from, and proves no more, unless the cache itself knows that no change was missed. This one
//! does: it shares its memory with its feeder, keeps what state lacks, and remembers what it forgot. So
//! what it holds is always the newest, and nothing in it has to die of age. A cache in another process
//! cannot know it: there a loaded value proves its own entry only, and lives two seconds. That one is [`remote`]:
//! Redis, asked on a miss before state is. What it gives is taken if it is as new as whatever was forgotten here, and is
//! borrowed: it is shown for two seconds, and nothing is made of it, so that what is wrong there does not stay here.

pub mod remote;

use crate::book::{Account, Record};
use crate::types::AccountId;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// An account as somebody saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The account is shown as it was after this entry, or newer.
    pub seq: u64,
    /// The record; `None` if there is none.
    pub record: Option<Arc<Record>>,
}

impl Seen {
    /// The account; `None` if there is none.
    pub fn account(&self) -> Option<&Account> {
        self.record.as_ref()?.account()
    }
}

/// What state says about an account.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Entries that state shows.
    pub size: u64,
    /// The record and the entry that changed it last; `None` if there is none.
    pub row: Option<(u64, Arc<Record>)>,
}

/// An account was not at hand.
#[derive(Clone, Copy, Debug)]
pub struct Missed {
    proved: u64,
    forgotten: u64,
}

impl Missed {
    /// Entries that must be shown by whoever is asked instead. An account that changed after them was at hand: so what
    /// it was after them it was also after everything that was proved when it was looked for.
    pub fn least(&self) -> u64 {
        self.forgotten
    }
}

/// Sizes below are numbers of entries: an entry's seq is one less, and 0 is nothing.
pub struct Balances {
    shards: Vec<RwLock<Shard>>,
    hasher: DefaultHashBuilder,
    /// Unpinned records in one generation of a shard.
    half: usize,
    /// Entries of which every change was put.
    proved: AtomicU64,
    /// Entries that state shows: their changes need no pin any more.
    shown: AtomicU64,
}

/// Two generations: what is found in the old one moves to the young one; when the young one is full, the
/// old one is forgotten, pinned records aside.
#[derive(Default)]
struct Shard {
    young: HashMap<AccountId, Known>,
    old: HashMap<AccountId, Known>,
    /// Records in the young generation at which the next turn comes.
    full: usize,
    /// What was forgotten had changed in the first so many entries.
    forgotten: u64,
}

#[derive(Clone)]
struct Known {
    /// The size of the log after its last change.
    size: u64,
    /// The record; `None` if there is none.
    pub record: Option<Arc<Record>>,
    /// Until when it counts, if another cache said so.
    borrowed: Option<Instant>,
}

impl Known {
    fn own(size: u64, record: Option<Arc<Record>>) -> Self {
        Self { size, record, borrowed: None }
    }

    fn is_own(&self) -> bool {
        self.borrowed.is_none()
    }

    fn counts(&self) -> bool {
        self.borrowed.is_none_or(|until| Instant::now() < until)
    }
}

/// How long what another cache said is taken for good.
const BORROWED: Duration = Duration::from_secs(2);

/// More than threads that could meet in one.
const SHARDS: usize = 64;

impl Balances {
    /// Keeps about `rows` records, and at most twice the pinned ones beside them. The log has `size` entries, and state shows
    /// them all.
    pub fn new(rows: usize, size: u64) -> Self {
        Self::sharded(rows, size, SHARDS)
    }

    fn sharded(rows: usize, size: u64, shards: usize) -> Self {
        let half = (rows / shards / 2).max(1);
        Self {
            shards: (0..shards)
                .map(|_| RwLock::new(Shard { full: half, forgotten: size, ..Shard::default() }))
                .collect(),
            hasher: DefaultHashBuilder::default(),
            half,
            proved: AtomicU64::new(size),
            shown: AtomicU64::new(size),
        }
    }

    /// The shard of an account. Who opens an account chooses its id, so its bits do not choose the shard.
    fn shard(&self, id: AccountId) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % self.shards.len()]
    }

    /// Entries that are proved.
    pub fn size(&self) -> u64 {
        self.proved.load(Ordering::Acquire)
    }

    /// Puts an account that the entry `seq` changed. Entries come in order, from one thread.
    pub fn put(&self, id: AccountId, seq: u64, record: Option<Arc<Record>>) {
        let mut shard = write(self.shard(id));
        shard.young.insert(id, Known::own(seq + 1, record));
        self.turn(&mut shard);
    }

    /// Everything that the first `size` entries changed was put.
    pub fn prove(&self, size: u64) {
        self.proved.store(size, Ordering::Release);
    }

    /// State shows the first `size` entries.
    pub fn show(&self, size: u64) {
        self.shown.store(size, Ordering::Release);
    }

    /// The account as of what is proved now, or later. `load` asks state, if it is not at hand.
    pub fn get<E>(&self, id: AccountId, load: impl FnOnce() -> Result<Loaded, E>) -> Result<Seen, E> {
        match self.look(id) {
            Ok(seen) => Ok(seen),
            // Whatever was proved by now, and is not at hand, is in state.
            Err(missed) => load().map(|loaded| self.keep(id, missed, loaded)),
        }
    }

    /// The account as of what is proved now, or later, if it is at hand.
    pub fn look(&self, id: AccountId) -> Result<Seen, Missed> {
        self.look_for(id, Known::counts)
    }

    /// The same, out of what was put or came from state alone: whoever makes the next value of it needs a sure one.
    pub fn look_own(&self, id: AccountId) -> Result<Seen, Missed> {
        self.look_for(id, Known::is_own)
    }

    fn look_for(&self, id: AccountId, takes: impl Fn(&Known) -> bool) -> Result<Seen, Missed> {
        // Before looking: a change after this moment may be missed, one before it may not.
        let proved = self.size();
        match self.at_hand(self.shard(id), id, takes) {
            Ok(known) => Ok(Seen { seq: proved.saturating_sub(1), record: known.record }),
            Err(forgotten) => Err(Missed { proved, forgotten }),
        }
    }

    /// What was found in state after a miss.
    pub fn keep(&self, id: AccountId, missed: Missed, loaded: Loaded) -> Seen {
        self.kept(id, missed, loaded, None)
    }

    /// What another cache said after a miss, as of [`Missed::least`] entries or more.
    pub fn borrow(&self, id: AccountId, missed: Missed, loaded: Loaded) -> Seen {
        self.kept(id, missed, loaded, Some(Instant::now() + BORROWED))
    }

    fn kept(&self, id: AccountId, missed: Missed, loaded: Loaded, borrowed: Option<Instant>) -> Seen {
        let Loaded { size, row } = loaded;
        let (changed, record) = row.map_or((0, None), |(seq, record)| (seq + 1, Some(record)));
        if record.is_some() {
            let mut shard = write(self.shard(id));
            // If something newer came and went meanwhile, this is not the newest, and is not kept. Nor is what is ahead
            // of what is proved here, where another node follows with state: entries in between are still to come.
            let fits = size >= shard.forgotten && size <= self.size();
            let is_own = |known: &Known| known.is_own();
            let there = shard.young.get(&id).is_some_and(is_own) || shard.old.get(&id).is_some_and(is_own);
            if fits && !there {
                shard.old.remove(&id);
                shard.young.insert(id, Known { size: changed, record: record.clone(), borrowed });
                self.turn(&mut shard);
            }
        }
        Seen { seq: missed.proved.max(size).saturating_sub(1), record }
    }

    /// The record, or how much was forgotten where it would be. What changed since that is at hand and own, so one that is
    /// not taken is as good as forgotten.
    fn at_hand(
        &self,
        shard: &RwLock<Shard>,
        id: AccountId,
        takes: impl Fn(&Known) -> bool,
    ) -> Result<Known, u64> {
        let taken = |known: &Known, shard: &Shard| {
            if takes(known) { Ok(known.clone()) } else { Err(shard.forgotten) }
        };
        {
            let shard = read(shard);
            if let Some(known) = shard.young.get(&id) {
                return taken(known, &shard);
            }
            if !shard.old.get(&id).is_some_and(&takes) {
                return Err(shard.forgotten);
            }
        }
        let mut shard = write(shard);
        if let Some(known) = shard.young.get(&id) {
            return taken(known, &shard);
        }
        let known = shard.old.remove(&id).ok_or(shard.forgotten)?;
        let known = taken(&known, &shard)?;
        shard.young.insert(id, known.clone());
        self.turn(&mut shard);
        Ok(known)
    }

    /// Begins a new generation, if the young one is full. What is pinned in the old one stays.
    fn turn(&self, shard: &mut Shard) {
        if shard.young.len() <= shard.full {
            return;
        }
        let shown = self.shown.load(Ordering::Acquire);
        let young = std::mem::take(&mut shard.young);
        let old = std::mem::replace(&mut shard.old, young);
        for (id, known) in old {
            // Put again since, it stands in the other generation, newer.
            if known.is_own() && known.size > shown && !shard.old.contains_key(&id) {
                shard.young.insert(id, known);
            }
        }
        shard.forgotten = shard.forgotten.max(shown);
        shard.full = self.half + shard.young.len();
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
