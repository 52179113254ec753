//! The tail: how a node that does not write follows one that does.
//!
//! Owns: the look at the log's end, and what the entries there make of accounts and keys before state shows them.
//! Promises: what is proved to readers here is what the log has; a log that is not the one that was followed ends it.
//! Nothing is written.
//! Refuses to know: who writes, and how state and views are kept. It looks how far they are.
//!
//! State is followed by the node that writes, so it may be ahead of what was read here. An account that is loaded from
//! it counts as of the entry that it shows, and the log is read at least as far before anybody is told.

use super::pace::Pace;
use super::run::{Engine, Shared, lock};
use super::stored::open_entry;
use super::{Commit, Failure, fault};
use crate::book::{Apply, Name, Record};
use crate::log::Envelope;
use crate::machine::Event;
use crate::store::{Place, Read};
use crate::types::{AccountId, Hash, Time};
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How far the views are.
pub type Viewed = Box<dyn Fn() -> Result<Option<Place>, Failure> + Send>;

/// Entries read at a time, and bytes.
const CHUNK: usize = 500;
const BYTES: usize = 4 << 20;
/// Whoever is further behind than this begins anew, at what state shows.
const FAR: u64 = 20_000;
/// From one look at the log's end to the next: while entries come, and at the most.
const QUICK: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(40);

impl Engine {
    /// An engine that only reads: it begins where state is, and follows the log from there.
    pub fn reading(read: Arc<dyn Read>, viewed: Viewed, net: Hash, pace: Pace) -> Result<Self, Failure> {
        let cursor = read.cursor().map_err(fault)?;
        let size = cursor.map_or(0, |place| place.seq + 1);
        let last = cursor.map(|place| last_at(&*read, place)).transpose()?.unwrap_or_default();
        let tip = read.tip().map_err(fault)?.ok_or_else(|| fault("the log is empty"))?;
        // The newest checkpoint is of an entry that the first look reads.
        let shared = Shared::new(&pace, 2, size, tip.checkpoint, last);
        let shared = Arc::new(shared);
        let mut tail = Tail {
            read: read.clone(),
            viewed,
            shared: shared.clone(),
            pace: pace.clone(),
            last: cursor,
            published: None,
            forged: false,
        };
        tail.look()?;
        let thread = std::thread::Builder::new().name("tail".into()).spawn(move || tail.run());
        Ok(Self::without_writer(net, pace, read, shared, thread.map_err(fault)?))
    }
}

/// Log time of an entry, which must be the one that stands there.
fn last_at(read: &dyn Read, place: Place) -> Result<Time, Failure> {
    let there = read.read_envelopes(place.seq, 1).map_err(fault)?;
    let there = there.first().filter(|entry| entry.seq == place.seq);
    let there = there.filter(|entry| Envelope::hash(&entry.bytes) == place.hash);
    let other = || fault(format!("state shows another entry {} than the log has", place.seq));
    Ok(Envelope::decode(&there.ok_or_else(other)?.bytes).map_err(fault)?.at)
}

struct Tail {
    read: Arc<dyn Read>,
    viewed: Viewed,
    shared: Arc<Shared>,
    pace: Pace,
    /// The last entry that was taken.
    last: Option<Place>,
    published: Option<Instant>,
    /// Whether the newest checkpoint was not the log's own.
    forged: bool,
}

/// Why a look at the log came to nothing.
enum Trouble {
    /// It cannot be read at the moment.
    Away(String),
    /// It is not the log that was followed, or too far ahead.
    Over(Failure),
}

fn away(e: impl std::fmt::Display) -> Trouble {
    Trouble::Away(e.to_string())
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(why) => fault(why),
            Trouble::Over(failure) => failure,
        }
    }
}

impl Tail {
    fn run(mut self) {
        let mut pause = QUICK;
        while !self.shared.is_stopping() {
            match self.look() {
                Ok(true) => pause = QUICK,
                Ok(false) => pause = (pause * 2).min(SLOW),
                Err(Trouble::Away(why)) => {
                    if !self.shared.away.swap(true, Ordering::AcqRel) {
                        eprintln!("warning: the log cannot be read: {why}");
                    }
                    pause = SLOW;
                }
                Err(Trouble::Over(failure)) => {
                    self.shared.fail(failure);
                    return;
                }
            }
            self.shared.idle(pause);
        }
    }

    /// Takes what is new. Whether anything was.
    fn look(&mut self) -> Result<bool, Trouble> {
        let asked = Instant::now();
        let tip = self.read.tip().map_err(away)?.ok_or_else(|| over("the log is empty now"))?;
        let end = tip.seq + 1;
        self.shared.seen(end, asked);
        let size = self.size();
        if end < size {
            return Err(over(format!("the log lost entry {}", size - 1)));
        }
        if end == size && self.last.is_some_and(|last| last.hash != tip.hash) {
            return Err(over(format!("entry {} of the log is another one now", tip.seq)));
        }
        if end - size > FAR {
            return Err(over(format!("the log is {} entries ahead", end - size)));
        }
        while self.size() < end {
            let commits = self.take()?;
            self.shared.publish(&commits);
        }
        self.learn(tip.checkpoint, end);
        let shown = self.read.cursor().map_err(away)?.map_or(0, |place| place.seq + 1);
        let viewed = (self.viewed)().map_err(away)?.map_or(0, |place| place.seq + 1);
        let moved = self.shared.follows(0, shown) | self.shared.follows(1, viewed) | (end > size);
        self.shared.balances.show(shown.min(self.size()));
        self.shared.away.store(false, Ordering::Release);
        if moved {
            self.shared.wake();
        }
        if self.published.is_none_or(|at| at.elapsed() >= self.pace.publish) {
            super::published::checkpoint(&self.pace, &lock(&self.shared.checkpoint));
            self.published = Some(Instant::now());
        }
        Ok(moved)
    }

    /// Shows a checkpoint from here on, if the log's key signed it.
    fn learn(&mut self, checkpoint: String, end: u64) {
        let mut shown = lock(&self.shared.checkpoint);
        if *shown == checkpoint {
            return;
        }
        let genuine = self.pace.guard.as_ref().is_none_or(|guard| guard.is_genuine(&checkpoint, end));
        if genuine {
            *shown = checkpoint;
        } else if !self.forged {
            tracing::error!(
                "the checkpoint in the database is not one that the log's key signed over {end} entries"
            );
        }
        self.forged = !genuine;
    }

    fn size(&self) -> u64 {
        self.last.map_or(0, |last| last.seq + 1)
    }

    /// The next entries, with the accounts and keys that they changed.
    fn take(&mut self) -> Result<Vec<Arc<Commit>>, Trouble> {
        let mut events = vec![];
        let mut at = self.last;
        self.more(&mut at, &mut events)?;
        let mut accounts = Accounts::default();
        loop {
            let wanted = self.unknown(&events, &accounts);
            if wanted.is_empty() {
                break;
            }
            let size = self.load(&mut accounts, wanted)?;
            // State shows them as of there: nobody is told of a moment in between.
            while at.map_or(0, |place| place.seq + 1) < size {
                self.more(&mut at, &mut events)?;
            }
        }
        let mut commits = Vec::with_capacity(events.len());
        for event in events {
            let records = accounts.take(&event).map_err(|e| over(format!("entry {}: {e}", event.seq)))?;
            commits.push(Arc::new(Commit { event, records: Arc::new(records) }));
        }
        self.last = at;
        Ok(commits)
    }

    /// Reads on; each entry must follow the one before.
    fn more(&self, at: &mut Option<Place>, events: &mut Vec<Event>) -> Result<(), Trouble> {
        let next = at.map_or(0, |place| place.seq + 1);
        let entries = self.read.read(next, CHUNK, BYTES).map_err(away)?;
        if entries.is_empty() {
            return Err(away(format!("entry {next} is not there yet")));
        }
        for entry in &entries {
            let (envelope, parts) = open_entry(entry).map_err(Trouble::Over)?;
            let hash = Envelope::hash(&entry.envelope);
            if at.is_some_and(|before| envelope.prev != before.hash || entry.seq != before.seq + 1) {
                return Err(over(format!("entry {} does not follow what was read before it", entry.seq)));
            }
            events.push(Event::read(&envelope, hash, &parts).map_err(|e| over(e.to_string()))?);
            *at = Some(Place { seq: entry.seq, hash });
        }
        Ok(())
    }

    /// Accounts that these events change and that are not known yet; what is at hand is newest. What Redis lent is not
    /// built on: it would stay.
    fn unknown(&self, events: &[Event], accounts: &Accounts) -> Vec<AccountId> {
        let all = events.iter().flat_map(Event::names);
        let mut all: Vec<AccountId> = all.filter_map(|name| account(&name)).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| !accounts.0.contains_key(id));
        all
    }

    /// Finds accounts, in memory or in state; returns how many entries state shows.
    fn load(&self, accounts: &mut Accounts, wanted: Vec<AccountId>) -> Result<u64, Trouble> {
        let mut missing = vec![];
        for id in wanted {
            match self.shared.balances.look_own(id) {
                Ok(seen) => {
                    accounts.0.insert(id, (self.size(), seen.record));
                }
                Err(_) => missing.push(Name::Account(id).to_string()),
            }
        }
        if missing.is_empty() {
            return Ok(0);
        }
        missing.sort_unstable();
        let loaded = self.read.load(&missing).map_err(away)?;
        let size = loaded.cursor.map_or(0, |place| place.seq + 1);
        if size < self.size_shown() {
            return Err(over("state went back"));
        }
        let mut rows = loaded.rows.into_iter().peekable();
        for key in missing {
            let name: Name = key.parse().map_err(|_| over(format!("{key}: no account")))?;
            let Some(id) = account(&name) else { continue };
            let row = rows.next_if(|row| row.key == key);
            let record = row.map(|row| Record::decode(&name, &row.value)).transpose();
            let record = record.map_err(|e| over(format!("state holds something else under {key}: {e}")))?;
            accounts.0.insert(id, (size, record.map(Arc::new)));
        }
        Ok(size)
    }

    /// What state showed at the last look: what is not at hand was there then.
    fn size_shown(&self) -> u64 {
        self.shared.followed.first().map_or(0, |size| size.load(Ordering::Acquire)).min(self.size())
    }
}

fn over(why: impl std::fmt::Display) -> Trouble {
    Trouble::Over(fault(why))
}

fn account(name: &Name) -> Option<AccountId> {
    match name {
        Name::Account(id) => Some(*id),
        _ => None,
    }
}

type Records = Vec<(Name, Option<Arc<Record>>)>;

/// Accounts, each as of its own size of the log: what an entry before that changed is in it already.
#[derive(Default)]
struct Accounts(HashMap<AccountId, (u64, Option<Arc<Record>>)>);

impl Accounts {
    /// Takes an event's effects over. Returns the accounts as they are now, and the keys.
    fn take(&mut self, event: &Event) -> Result<Records, String> {
        let mut step = Step { accounts: self, seq: event.seq, keys: vec![] };
        for effect in &event.effects {
            effect.done.apply(effect.tag.map(|tag| tag.cycle), &mut step).map_err(|e| e.to_string())?;
        }
        let mut records = step.keys;
        let mut ids: Vec<AccountId> = event.names().filter_map(|name| account(&name)).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            if let Some((size, record)) = self.0.get_mut(&id) {
                *size = (*size).max(event.seq + 1);
                records.push((Name::Account(id), record.clone()));
            }
        }
        Ok(records)
    }
}

/// One event's effects on accounts. Totals are for the node that writes.
struct Step<'a> {
    accounts: &'a mut Accounts,
    seq: u64,
    keys: Records,
}

impl Apply for Step<'_> {
    fn record(&mut self, name: &Name) -> Option<Arc<Record>> {
        self.accounts.0.get(&account(name)?)?.1.clone()
    }

    fn store(&mut self, name: Name, record: Option<Arc<Record>>) {
        match &name {
            Name::Account(id) => {
                if let Some((size, known)) = self.accounts.0.get_mut(id)
                    && *size <= self.seq
                {
                    *known = record;
                }
            }
            Name::Key(_) => self.keys.push((name, record)),
            _ => {}
        }
    }
}
