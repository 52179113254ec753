//! Followers: readers of the log with a cursor. They may be behind, never wrong; what they keep can be
//! thrown away and made again.

use super::{Commit, Crash, Failure, Point, reach};
use crate::book::{Name, Record};
use crate::log;
use crate::machine::Snapshot;
use crate::store::{self, Place, PutError, Row};
use hashbrown::HashMap;
use std::sync::Arc;

/// A reader of the log with a cursor.
pub trait Follower: Send {
    /// Its name, for people.
    fn name(&self) -> &'static str;
    /// How far it is.
    fn cursor(&mut self) -> Result<Option<Place>, Failure>;
    /// Takes the entries after its cursor, in order and without a gap, in one commit.
    fn take(&mut self, commits: &[Arc<Commit>]) -> Result<(), Failure>;
    /// Forgets everything.
    fn wipe(&mut self) -> Result<(), Failure>;
    /// Whether the last failure was that its database is away: then the same entries may be given to it again.
    fn comes_back(&self) -> bool {
        false
    }
}

/// The follower that keeps state: key → record, written in sorted runs, a record that changed often
/// once.
pub struct StateFollower {
    state: Box<dyn store::State>,
    cursor: Option<Place>,
    crash: Option<Crash>,
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

impl StateFollower {
    /// A follower where its store stands.
    pub fn new(mut state: Box<dyn store::State>, crash: Option<Crash>) -> Result<Self, Failure> {
        let cursor = state.cursor().map_err(fault)?;
        Ok(Self { state, cursor, crash })
    }
}

impl Follower for StateFollower {
    fn name(&self) -> &'static str {
        "state"
    }

    fn cursor(&mut self) -> Result<Option<Place>, Failure> {
        Ok(self.cursor)
    }

    fn take(&mut self, commits: &[Arc<Commit>]) -> Result<(), Failure> {
        let Some(last) = commits.last() else {
            return Ok(());
        };
        reach(&self.crash, Point::BeforeFollow)?;
        let rows = rows(commits);
        let to = Place { seq: last.event.seq, hash: last.event.hash };
        self.state.put(self.cursor, to, &rows).map_err(|e| match e {
            PutError::Stale => fault("the state's cursor moved: another follower is at work here"),
            other => fault(other),
        })?;
        self.cursor = Some(to);
        reach(&self.crash, Point::AfterFollow)
    }

    fn wipe(&mut self) -> Result<(), Failure> {
        self.cursor = None;
        self.state.wipe().map_err(fault)
    }

    fn comes_back(&self) -> bool {
        self.state.comes_back()
    }
}

/// The rows of a run: each record once, as it is at the end, in the order of keys.
fn rows(commits: &[Arc<Commit>]) -> Vec<Row> {
    let mut last: HashMap<&Name, (u64, &Option<Arc<Record>>)> = HashMap::new();
    for commit in commits {
        for (name, record) in commit.records.iter() {
            last.insert(name, (commit.event.seq, record));
        }
    }
    let mut rows: Vec<Row> = last
        .into_iter()
        .map(|(name, (seq, record))| Row {
            key: name.to_string(),
            value: record.as_ref().map(|record| record.encode()),
            seq,
            due: record.as_ref().and_then(|record| record.due()).map(|due| due.micros()),
        })
        .collect();
    rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    rows
}

/// The root over all of state as it stands in the store: what a snapshot entry claims.
pub fn state_root(read: &dyn store::Read) -> Result<Option<Snapshot>, Failure> {
    let mut tree = log::Frontier::default();
    let mut after = String::new();
    let mut of = None;
    loop {
        let page = read.scan(&after, 10_000).map_err(fault)?;
        if of.is_some() && page.cursor != of {
            return Err(fault("state moved while it was read"));
        }
        of = page.cursor;
        for row in &page.rows {
            tree.push(log::leaf_hash(&leaf(&row.key, &row.value)));
        }
        match page.rows.last() {
            Some(row) => after.clone_from(&row.key),
            None => break,
        }
    }
    Ok(of.map(|place| Snapshot { of: place.seq, root: tree.root(), rows: tree.size() }))
}

/// A record as a leaf of the snapshot's tree: its name, a zero byte, its bytes.
fn leaf(key: &str, value: &[u8]) -> Vec<u8> {
    let mut leaf = Vec::with_capacity(key.len() + 1 + value.len());
    leaf.extend_from_slice(key.as_bytes());
    leaf.push(0);
    leaf.extend_from_slice(value);
    leaf
}
