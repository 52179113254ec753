//! The log up to an entry, as reports of all that happened read it: its events in order, and the checkpoint that names it.
//!
//! Promises: a report of the same entries names the same cut, whenever it is made.

use super::Fault;
use crate::engine::open_entry;
use crate::formats::Cut;
use crate::log::{Checkpoint, Envelope, root_at};
use crate::machine::Event;
use crate::store::Read;
use crate::tiles::Hashes;
use crate::types::Malformed;

/// Entries and bytes read at a time.
const PAGE: usize = 2_048;
const PAGE_BYTES: usize = 8 << 20;

/// The cut at the entry `to`, or at the newest, with entries told from `from` on; `None` if these are no two entries of the
/// log, in order.
pub fn cut(
    read: &dyn Read,
    hashes: &Hashes,
    origin: &str,
    from: u64,
    to: Option<u64>,
) -> Result<Option<Cut>, Fault> {
    let size = read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
    let seq = to.unwrap_or(size.saturating_sub(1));
    if seq >= size || from > seq {
        return Ok(None);
    }
    let size = seq.saturating_add(1);
    let root = root_at(size, hashes);
    let root = root.map_err(|e| Fault::Damaged(format!("the root over {size} entries: {e:?}")))?;
    let checkpoint = Checkpoint { origin: origin.to_owned(), size, root }.text();
    Ok(Some(Cut { origin: origin.to_owned(), from, seq, checkpoint }))
}

/// Gives the events of entries 0 to `last` in order; `read_to` is told how far it is.
pub fn past(
    read: &dyn Read,
    last: u64,
    read_to: &mut dyn FnMut(u64),
    each: &mut dyn FnMut(&Event) -> Result<(), Malformed>,
) -> Result<(), Fault> {
    let mut next = 0u64;
    while next <= last {
        let left = usize::try_from(last.saturating_sub(next).saturating_add(1)).unwrap_or(usize::MAX);
        let page = read.read(next, left.min(PAGE), PAGE_BYTES)?;
        if page.is_empty() {
            return Err(Fault::Damaged(format!("entry {next} is missing from the log")));
        }
        for entry in &page {
            let wrong = |e: Malformed| Fault::Damaged(format!("entry {}: {e}", entry.seq));
            let (envelope, slots) = open_entry(entry).map_err(|e| wrong(Malformed(e.to_string())))?;
            let event = Event::read(&envelope, Envelope::hash(&entry.envelope), &slots).map_err(wrong)?;
            each(&event).map_err(wrong)?;
            next = entry.seq.saturating_add(1);
        }
        read_to(next);
    }
    Ok(())
}
