//! A page of entries in the making, whichever database it is read from.
//!
//! Owns: the numbering of chunks, and how envelopes and chunks become entries.
//! Promises: entries are whole, follow each other, and are no more than asked for; what cannot have been written
//! is damage. What somebody put among an entry's parts, or behind the last that its envelope counts, is named and left out:
//! it holds nobody up. Envelopes come first, then the parts; entries are never changed (but for erased parts), so the
//! two need not be read at one moment.
//! Refuses to know: queries; of an envelope all but how many parts it counts.

use super::chunk::{Packer, Unpacker};
use super::fault::Fault;
use super::port::{Incoming, StoredEntry};
use crate::log::parts_said;

/// A chunk's id is its entry's seq times this, plus the index of its first part.
const STRIDE: i64 = 16_384;

/// A seq as a database keeps it.
pub(crate) fn integer(seq: u64) -> Result<i64, Fault> {
    i64::try_from(seq).map_err(|_| Fault::Unfit(format!("the seq {seq} is too large")))
}

/// A limit as a database takes it; what does not fit is no limit.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The id of an entry's first chunk.
pub(super) fn first_id(seq: u64) -> Result<i64, Fault> {
    let too_large = || Fault::Unfit(format!("the seq {seq} is too large"));
    integer(seq)?.checked_mul(STRIDE).ok_or_else(too_large)
}

/// The id of the chunk that begins with this part; `None` if no entry has so many.
pub(super) fn chunk_id(first: i64, part: usize) -> Option<i64> {
    i64::try_from(part).ok().filter(|part| *part < STRIDE).map(|part| first.saturating_add(part))
}

/// The entry and the part that a chunk begins with.
pub(super) fn place_of(id: i64) -> (i64, i64) {
    (id.div_euclid(STRIDE), id.rem_euclid(STRIDE))
}

/// The chunks of entries, with their ids.
pub(super) fn pack(packer: &mut Packer, entries: &[impl Incoming]) -> Result<Vec<(i64, Vec<u8>)>, Fault> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let first = first_id(entry.seq())?;
        packer
            .pack(entry.lines(), |chunk| {
                let part = i64::try_from(chunk.first).unwrap_or(i64::MAX);
                rows.push((first.saturating_add(part), chunk.bytes));
            })
            .map_err(|why| Fault::Unfit(format!("entry {}: {why}", entry.seq())))?;
    }
    Ok(rows)
}

/// See the module.
pub(super) struct Page {
    entries: Vec<StoredEntry>,
    /// What each entry takes, as far as it is read, and how many parts it has.
    sizes: Vec<(usize, Option<usize>)>,
    max_bytes: usize,
    unpacker: Unpacker,
    /// Which entry the next chunk is expected to belong to, and what the ones before it take.
    place: usize,
    before: usize,
}

impl Page {
    pub(super) fn new(max_bytes: usize) -> Result<Self, Fault> {
        let unpacker =
            Unpacker::new().map_err(|e| Fault::Unfit(format!("no memory to unpack parts: {e}")))?;
        Ok(Self { entries: vec![], sizes: vec![], max_bytes, unpacker, place: 0, before: 0 })
    }

    /// Adds an envelope.
    pub(super) fn push(&mut self, seq: u64, envelope: Vec<u8>) {
        self.sizes.push((envelope.len(), parts_said(&envelope)));
        self.entries.push(StoredEntry { seq, envelope, parts: Vec::new(), beside: None });
    }

    /// The ids that the chunks of the entries can have: from the first to the last.
    pub(super) fn ids(&self) -> Result<Option<(i64, i64)>, Fault> {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return Ok(None) };
        Ok(Some((first_id(first.seq)?, first_id(last.seq)?.saturating_add(STRIDE - 1))))
    }

    /// Adds a chunk to the entry it belongs to; `false` when the page is full. Chunks come in the order of
    /// their ids.
    pub(super) fn take(&mut self, id: i64, bytes: &[u8]) -> Result<bool, String> {
        let (seq, part) = place_of(id);
        let here = self.sizes.iter().zip(&self.entries).skip(self.place);
        for ((size, _), _) in here.take_while(|(_, entry)| i64::try_from(entry.seq).is_ok_and(|s| s < seq)) {
            self.before = self.before.saturating_add(*size);
            self.place = self.place.saturating_add(1);
        }
        let (Some(entry), Some((size, said))) =
            (self.entries.get_mut(self.place), self.sizes.get_mut(self.place))
        else {
            return Ok(false);
        };
        if i64::try_from(entry.seq) != Ok(seq) {
            return Err("there are parts, but no envelope".into());
        }
        let (part, have) = (usize::try_from(part).unwrap_or(usize::MAX), entry.parts.len());
        if said.is_some_and(|said| have >= said || part < have) {
            entry.beside.get_or_insert(part);
            return Ok(true);
        }
        if part != have {
            return Err(format!("{have} parts stand before it"));
        }
        let more = self.unpacker.unpack(bytes, &mut entry.parts).map_err(|e| e.to_string())?;
        *size = size.saturating_add(more);
        Ok(self.place == 0 || self.before.saturating_add(*size) <= self.max_bytes)
    }

    /// The entries that fit, the first in any case.
    pub(super) fn finish(mut self) -> Vec<StoredEntry> {
        let mut sum = 0_usize;
        let fitting = self.sizes.iter().take_while(|(size, _)| {
            sum = sum.saturating_add(*size);
            sum <= self.max_bytes
        });
        let fitting = fitting.count().max(1);
        self.entries.truncate(fitting);
        self.entries
    }
}
