//! The writer's memory: what it used lately, and everything that state does not show yet.
//!
//! Owns: which records are at hand, which are pinned, and which are known to be absent.
//! Promises: a record that changed after the state's cursor is never forgotten, so memory together with
//! a fresh read of state is always current. Bounded: unpinned records are forgotten in turns.
//! Refuses to know: what the records mean.

use super::Failure;
use crate::book::{Found, Name, Record, Source};
use crate::machine::{Hints, ROUNDS};
use crate::store;
use crate::types::{AccountId, Time};
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What is known of a name: a record or its absence, and the entry that last changed it (0: as loaded).
#[derive(Clone)]
struct Known {
    record: Option<Arc<Record>>,
    seq: u64,
}

/// Records that one entry changed, as followers get them too.
pub type Changes = Arc<Vec<(Name, Option<Arc<Record>>)>>;

/// See the module.
pub struct Memory {
    /// Two generations: what is found in the old one moves to the young one; when the young one is full
    /// the old one is forgotten, pinned records aside.
    young: RefCell<HashMap<Name, Known>>,
    old: RefCell<HashMap<Name, Known>>,
    half: usize,
    /// Changes that state does not show yet, oldest first.
    pinned: VecDeque<(u64, Changes)>,
    pinned_rows: usize,
    /// Deadlines of pinned records, and the earliest that state may hold.
    due: BTreeSet<(Time, Name)>,
    state_due: Option<Time>,
}

impl Memory {
    /// A memory for about `rows` unpinned records; `state_due` is the earliest deadline in state.
    pub fn new(rows: usize, state_due: Option<Time>) -> Self {
        Self {
            young: RefCell::default(),
            old: RefCell::default(),
            half: rows.max(2) / 2,
            pinned: VecDeque::new(),
            pinned_rows: 0,
            due: BTreeSet::new(),
            state_due,
        }
    }

    fn get(&self, name: &Name) -> Option<Known> {
        if let Some(known) = self.young.borrow().get(name) {
            return Some(known.clone());
        }
        let known = self.old.borrow_mut().remove(name)?;
        self.young.borrow_mut().insert(name.clone(), known.clone());
        Some(known)
    }

    /// Whether a lookup would need loading.
    pub fn lacks(&self, name: &Name) -> bool {
        !self.young.borrow().contains_key(name) && self.get(name).is_none()
    }

    /// The accounts at hand whose records answer this, in order.
    pub(super) fn accounts(&self, wanted: impl Fn(&Arc<Record>) -> bool) -> Vec<AccountId> {
        let (young, old) = (self.young.borrow(), self.old.borrow());
        let all = young.iter().chain(old.iter()).filter_map(|(name, known)| match (name, &known.record) {
            (Name::Account(id), Some(record)) if wanted(record) => Some(*id),
            _ => None,
        });
        let mut all: Vec<AccountId> = all.collect();
        all.sort_unstable();
        all
    }

    /// Takes what state answered; what memory knows itself is newer and stays.
    pub fn loaded(&mut self, name: Name, record: Option<Arc<Record>>) {
        if self.lacks(&name) {
            self.young.get_mut().insert(name, Known { record, seq: 0 });
        }
    }

    /// Takes the changes of an entry that is being committed.
    pub fn changed(&mut self, seq: u64, changes: &Changes) {
        for (name, record) in changes.iter() {
            if let Name::Account(_) = name {
                self.note_due(name, record.as_deref());
            }
            self.old.get_mut().remove(name);
            self.young.get_mut().insert(name.clone(), Known { record: record.clone(), seq });
        }
        self.pinned_rows += changes.len();
        self.pinned.push_back((seq, changes.clone()));
    }

    fn note_due(&mut self, name: &Name, record: Option<&Record>) {
        let before = self.get(name).filter(|known| known.seq > 0).and_then(|known| known.record?.due());
        let after = record.and_then(Record::due);
        if before == after {
            return;
        }
        if let Some(due) = before {
            self.due.remove(&(due, name.clone()));
        }
        if let Some(due) = after {
            self.due.insert((due, name.clone()));
        }
    }

    /// State shows everything through `seq` now: those records need no pin any more.
    pub fn projected(&mut self, seq: u64) {
        while self.pinned.front().is_some_and(|(at, _)| *at <= seq) {
            let Some((at, changes)) = self.pinned.pop_front() else { return };
            self.pinned_rows -= changes.len();
            for (name, _) in changes.iter() {
                self.unpin(at, name);
            }
        }
        self.forget();
    }

    fn unpin(&mut self, at: u64, name: &Name) {
        let (young, old) = (self.young.get_mut(), self.old.get_mut());
        let mut place = match young.entry_ref(name) {
            EntryRef::Occupied(place) => place,
            EntryRef::Vacant(_) => match old.entry_ref(name) {
                EntryRef::Occupied(place) => place,
                EntryRef::Vacant(_) => return,
            },
        };
        let known = place.get_mut();
        // A later entry changed it again: that one's turn will come.
        if known.seq != at {
            return;
        }
        known.seq = 0;
        if let Some(due) = known.record.as_ref().and_then(|record| record.due()) {
            self.due.remove(&(due, name.clone()));
            self.state_due = Some(self.state_due.map_or(due, |have| have.min(due)));
        }
        if seldom_again(name, known.record.as_deref()) {
            place.remove();
        }
    }

    fn forget(&mut self) {
        if self.young.get_mut().len() <= self.half {
            return;
        }
        let young = std::mem::take(self.young.get_mut());
        let old = std::mem::replace(self.old.get_mut(), young);
        let pinned = old.into_iter().filter(|(_, known)| known.seq > 0);
        self.young.get_mut().extend(pinned);
    }

    /// How many changed records wait for state.
    pub fn pinned_rows(&self) -> usize {
        self.pinned_rows
    }

    /// The earliest instant at which work may be due; never later than the truth.
    pub fn next_due(&self) -> Option<Time> {
        let pinned = self.due.first().map(|(due, _)| *due);
        match (pinned, self.state_due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Pinned accounts due by `through`, in order.
    pub fn pinned_due(&self, through: Time, limit: usize) -> Vec<(Time, Name)> {
        self.due.iter().take_while(|(due, _)| *due <= through).take(limit).cloned().collect()
    }

    /// Whether a name's newest value is not in state yet.
    pub fn is_pinned(&self, name: &Name) -> bool {
        self.get(name).is_some_and(|known| known.seq > 0)
    }

    /// State was asked: this is the earliest deadline it still holds for records that are not pinned.
    pub fn set_state_due(&mut self, due: Option<Time>) {
        self.state_due = due;
    }
}

/// Whether a record is hardly looked at again: a single-use id, a payment that is over. Keeping those would
/// push accounts out.
fn seldom_again(name: &Name, record: Option<&Record>) -> bool {
    match (name, record) {
        (Name::UsedRef(..) | Name::UsedToken(..) | Name::UsedConsent(..) | Name::Command(..), _) => true,
        (_, Some(Record::Payment(payment))) => payment.closed,
        (_, Some(Record::Share(share))) => !share.taken.is_empty(),
        _ => false,
    }
}

/// Loads what memory lacks of these names: one look-up in state, in the order of its keys.
pub fn load(memory: &mut Memory, read: &dyn store::Read, mut names: Vec<Name>) -> Result<(), Failure> {
    names.retain(|name| memory.lacks(name));
    if names.is_empty() {
        return Ok(());
    }
    load_at(memory, read, names).map(drop)
}

/// Loads what all of these are going to touch, together; again for those of which more is known then.
pub fn look_ahead<T>(
    memory: &mut Memory,
    read: &dyn store::Read,
    all: &[T],
    hints: impl for<'a> Fn(&'a Memory, &T) -> Hints<'a>,
) -> Result<(), Failure> {
    let mut names = vec![];
    let mut left: Vec<&T> = all.iter().collect();
    for _ in 0..=ROUNDS {
        left.retain(|one| {
            let mut said = hints(memory, one);
            names.append(&mut said.names);
            said.more
        });
        load(memory, read, std::mem::take(&mut names))?;
        if left.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The same for names that are not at hand; also says as of where state answered.
pub(super) fn load_at(
    memory: &mut Memory,
    read: &dyn store::Read,
    names: Vec<Name>,
) -> Result<Option<store::Place>, Failure> {
    let fault = |e: String| Failure::Unavailable(e);
    let mut keyed: Vec<(String, Name)> = names.into_iter().map(|name| (name.to_string(), name)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    keyed.dedup_by(|a, b| a.0 == b.0);
    let (keys, names): (Vec<String>, Vec<Name>) = keyed.into_iter().unzip();
    let store::Loaded { cursor, rows } = read.load(&keys).map_err(|e| fault(e.to_string()))?;
    let mut rows = rows.into_iter().peekable();
    for (key, name) in keys.iter().zip(names) {
        let record = match rows.next_if(|row| row.key == *key) {
            Some(row) => Some(Arc::new(Record::decode(&name, &row.value).map_err(|e| {
                fault(format!(
                    "state holds something else under {key}: {e}; `tallyhouse rebuild` makes it anew"
                ))
            })?)),
            None => None,
        };
        memory.loaded(name, record);
    }
    Ok(cursor)
}

impl Source for Memory {
    fn find(&self, name: &Name) -> Found {
        match self.get(name) {
            Some(Known { record: Some(record), .. }) => Found::Known(record),
            Some(Known { record: None, .. }) => Found::Absent,
            None => Found::NotLoaded,
        }
    }
}
