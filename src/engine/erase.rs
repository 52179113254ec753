//! Erasing: what the log says is erased goes from the store.
//!
//! Owns: the look at a part before its erasure is decided, and the erasing after it was committed.
//! Promises: nothing but evidence goes, and only the part whose hash was named. What a kill or a reader in the
//! way left undone is done at a later tick, or when the network is opened again.
//! Refuses to know: who may ask for it.

use super::writer::Writer;
use super::{Commit, Failure};
use crate::book::{Name, Record};
use crate::log::leaf_hash;
use crate::machine::{Body, bodies};
use crate::store::{self, StoredPart};
use crate::types::{Hash, Refusal, Refused};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records read at a time. There are few.
const CHUNK: usize = 1_000;

/// A part that the log says is erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its entry.
    pub seq: u64,
    /// Its place there.
    pub part: u16,
    /// What remains of it.
    pub leaf: Hash,
}

impl Due {
    /// What a record says is erased.
    pub(super) fn of(name: &Name, record: &Record) -> Option<Self> {
        match (name, record) {
            (Name::Erased(seq, part), Record::Erased(erased)) => {
                Some(Self { seq: *seq, part: *part, leaf: erased.leaf })
            }
            _ => None,
        }
    }
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

/// Why a part is left as it is; `None`: it may go, or is gone.
fn unfit(part: Option<&StoredPart>, leaf: Hash) -> Option<&'static str> {
    match part {
        None => Some("there is no such part"),
        Some(StoredPart::Erased(had)) => (*had != leaf).then_some("it was erased and had another hash"),
        Some(StoredPart::Whole(bytes)) if leaf_hash(bytes) != leaf => Some("it has another hash"),
        Some(StoredPart::Whole(bytes)) => {
            let body = bodies(std::iter::once(bytes.as_slice())).ok().and_then(|mut all| all.pop());
            let evidence = body.is_some_and(|body| body.is_evidence());
            (!evidence).then_some("it is not evidence, or not evidence alone")
        }
    }
}

/// Refuses an erasure that the store could not follow. `parts` are those of the entry that it names.
pub(super) fn may_erase(
    body: &Body,
    parts: impl FnOnce(u64) -> Result<Vec<StoredPart>, Failure>,
) -> Result<(), Failure> {
    let Body::EraseEvidence(args) = body else { return Ok(()) };
    match unfit(parts(args.entry)?.get(usize::from(args.part)), args.leaf) {
        None => Ok(()),
        Some(why) => {
            let about = format!("part {} of entry {}: {why}", args.part, args.entry);
            Err(Failure::Refused(Refused::about(Refusal::EvidenceMismatch, about)))
        }
    }
}

/// All parts that state says are erased, whether or not they are yet.
pub fn said(read: &dyn store::Read) -> Result<Vec<Due>, Failure> {
    let (mut all, mut after) = (vec![], "erased/".to_owned());
    loop {
        let rows = read.scan(&after, CHUNK).map_err(fault)?.rows;
        for row in &rows {
            let Some(name) = row.key.starts_with("erased/").then(|| row.key.parse::<Name>()) else {
                return Ok(all);
            };
            let name = name.map_err(fault)?;
            let record = Record::decode(&name, &row.value).map_err(fault)?;
            all.extend(Due::of(&name, &record));
        }
        match rows.last() {
            Some(last) => after.clone_from(&last.key),
            None => return Ok(all),
        }
    }
}

/// What state says is erased and a log has still.
pub fn unerased(state: &dyn store::Read, log: &dyn store::Read) -> Result<Vec<Due>, Failure> {
    let mut all = vec![];
    for due in said(state)? {
        let parts = log.read_parts(due.seq).map_err(fault)?;
        if matches!(parts.get(usize::from(due.part)), Some(StoredPart::Whole(_))) {
            all.push(due);
        }
    }
    Ok(all)
}

/// What committed entries say is erased.
pub(super) fn said_by(commits: &[Arc<Commit>]) -> Vec<Due> {
    let records = commits.iter().flat_map(|commit| commit.records.iter());
    records.filter_map(|(name, record)| Due::of(name, record.as_deref()?)).collect()
}

/// How often what could not be erased is tried again: a reader may be in the way once more, and that takes seconds.
const AGAIN: Duration = Duration::from_secs(60);

impl Writer {
    /// [`Writer::erase`], now and then.
    pub(crate) fn erase_again(&mut self) {
        if !self.erasing.is_empty() && self.tried.is_none_or(|tried| tried.elapsed() >= AGAIN) {
            self.erase();
        }
    }

    /// Erases what the log says is erased and is still there.
    pub(crate) fn erase(&mut self) {
        if self.erasing.is_empty() || self.end.settle().is_err() {
            return;
        }
        let waiting = std::mem::take(&mut self.erasing);
        self.tried = Some(Instant::now());
        for due in waiting {
            let done = self.erase_one(due);
            if let Err(why) = done {
                let Due { seq, part, .. } = due;
                eprintln!("warning: part {part} of entry {seq} is to be erased and is there still: {why}");
                self.erasing.push(due);
            }
        }
    }

    fn erase_one(&mut self, due: Due) -> Result<(), String> {
        let Due { seq, part, leaf } = due;
        let parts = self.read.read_parts(seq).map_err(|e| e.to_string())?;
        let part = usize::from(part);
        match unfit(parts.get(part), leaf) {
            // Whole for good: what is no evidence does not go, whoever says so.
            Some(why) => {
                eprintln!("warning: part {part} of entry {seq} is left as it is: {why}");
                Ok(())
            }
            None => self.end.with(|log| log.erase_part(seq, part, leaf)).map_err(|e| e.to_string()),
        }
    }

    /// What was not done before the network was closed, or killed.
    pub(crate) fn resume_erasing(&mut self) -> Result<(), Failure> {
        self.erasing.extend(unerased(&*self.read, &*self.read)?);
        Ok(())
    }
}
