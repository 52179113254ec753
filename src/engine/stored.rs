//! Stored: entries read back from the log, in the engine's own shapes.
//!
//! Owns: taking over what they record, and the answer that each gave.
//! Promises: nothing is decided again. Refuses to know: who reads them, and why.

use super::memory::{Changes, Memory, load};
use super::{Commit, Failure, fault};
use crate::log::{Envelope, Slot};
use crate::machine::{self, Answer, Event};
use crate::store::{self, StoredEntry, StoredPart};
use std::sync::Arc;

/// A stored entry in the log's own shapes.
pub fn open_entry(entry: &StoredEntry) -> Result<(Envelope, Vec<Slot>), Failure> {
    let envelope = Envelope::decode(&entry.envelope)
        .map_err(|e| fault(format!("entry {} of the log cannot be read: {e}", entry.seq)))?;
    let slot = |part: &StoredPart| match part {
        StoredPart::Whole(bytes) => Slot::Whole(bytes.clone()),
        StoredPart::Erased(leaf) => Slot::Erased(*leaf),
    };
    Ok((envelope, entry.parts.iter().map(slot).collect()))
}

/// Takes recorded effects over into a memory, deciding nothing.
pub(super) fn take_over(
    memory: &mut Memory,
    read: &dyn store::Read,
    entries: &[StoredEntry],
) -> Result<Vec<Arc<Commit>>, Failure> {
    let mut opened = Vec::with_capacity(entries.len());
    for entry in entries {
        let (envelope, parts) = open_entry(entry)?;
        let event = Event::read(&envelope, Envelope::hash(&entry.envelope), &parts).map_err(fault)?;
        opened.push((envelope, parts, event));
    }
    load(memory, read, opened.iter().flat_map(|(_, _, event)| event.names()).collect())?;
    let mut commits = Vec::with_capacity(entries.len());
    for (envelope, parts, event) in opened {
        let stored = machine::Stored { envelope: &envelope, parts: &parts };
        let records = loop {
            match machine::apply(stored, memory) {
                Ok(records) => break records,
                Err(machine::Broken::Need(names)) => load(memory, read, names)?,
                Err(machine::Broken::Wrong(what)) => {
                    return Err(fault(format!("entry {} cannot be taken over: {what}", event.seq)));
                }
            }
        };
        let records: Changes = Arc::new(records);
        memory.changed(event.seq, &records);
        commits.push(Arc::new(Commit { event, records }));
    }
    Ok(commits)
}

/// The answer of an entry in the log.
pub(crate) fn answer_of(read: &dyn store::Read, seq: u64) -> Result<Answer, Failure> {
    let stored = read.read(seq, 1, usize::MAX).map_err(fault)?;
    let entry =
        stored.first().filter(|entry| entry.seq == seq).ok_or_else(|| fault(format!("no entry {seq}")))?;
    let (envelope, parts) = open_entry(entry)?;
    let whole = parts.iter().filter_map(|part| match part {
        Slot::Whole(bytes) => Some(bytes.as_slice()),
        Slot::Erased(_) => None,
    });
    let bodies = machine::bodies(whole).map_err(fault)?;
    machine::answer(&envelope, &bodies).map_err(fault)
}
