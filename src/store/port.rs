//! The port: what a store does, whichever database it stands on.
//!
//! Owns: the shapes that go in and out, and the three faces of a store: one writer of the log, one writer
//! of the state, any number of readers.
//! Promises: every implementation passes the tests in `tests`.
//! Refuses to know: files, tables, statements.

use super::fault::{AppendError, Fault, PutError, Stray};
use crate::types::Hash;

/// A place in the log: an entry's number and the hash of its envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The entry's number, from 0.
    pub seq: u64,
    /// BLAKE3 of its envelope.
    pub hash: Hash,
}

/// The end of the log, as its writer left it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TipRecord {
    /// The last entry's number.
    pub seq: u64,
    /// The hash of its envelope.
    pub hash: Hash,
    /// The tree's frontier, in the tree's own form.
    pub edge: Vec<u8>,
    /// The signed checkpoint over the log up to here.
    pub checkpoint: String,
}

impl TipRecord {
    /// Where the log ends.
    pub fn place(&self) -> Place {
        Place { seq: self.seq, hash: self.hash }
    }
}

/// An entry to append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    /// Its number: one more than that of the entry before.
    pub seq: u64,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// The parts' bytes in order: at most 16,384, without a line feed, none in the form of an erased one.
    pub parts: Vec<Vec<u8>>,
}

/// An envelope as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The entry's number.
    pub seq: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An entry as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// Its number.
    pub seq: u64,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// The parts in order.
    pub parts: Vec<StoredPart>,
    /// A row of the table of parts that stands among this entry's and is none of them: the part that it would begin with. No
    /// writer put it there, and it is not read.
    pub beside: Option<usize>,
}

/// A part as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoredPart {
    /// Its bytes.
    Whole(Vec<u8>),
    /// It was erased on request; its leaf hash stays.
    Erased(Hash),
}

/// A record of the state to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The key; not empty, no control characters.
    pub key: String,
    /// The record's bytes, or `None` to delete it.
    pub value: Option<Vec<u8>>,
    /// The entry that changed it last.
    pub seq: u64,
    /// When something falls due on it, microseconds since 1970; `None` if nothing does.
    pub due: Option<i64>,
}

/// A record of the state as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The key.
    pub key: String,
    /// The record's bytes.
    pub value: Vec<u8>,
    /// The entry that changed it last.
    pub seq: u64,
    /// When something falls due on it.
    pub due: Option<i64>,
}

/// Records with the cursor of the state they were read from, all of one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// How far the state had followed the log; `None` if it had not begun.
    pub cursor: Option<Place>,
    /// What was found. What was asked for and is not here does not exist as of `cursor`.
    pub rows: Vec<Kept>,
}

/// A part on its way into the log.
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    Erased(Hash),
}

/// An entry on its way into the log, new or of another copy of it.
pub(super) trait Incoming {
    fn seq(&self) -> u64;
    fn envelope(&self) -> &[u8];
    fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>>;
}

impl Incoming for NewEntry {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.parts.iter().map(|part| Line::Whole(part))
    }
}

impl Incoming for StoredEntry {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.parts.iter().map(|part| match part {
            StoredPart::Whole(bytes) => Line::Whole(bytes),
            StoredPart::Erased(leaf) => Line::Erased(*leaf),
        })
    }
}

/// The writer's hand on the log.
pub trait Log: Send {
    /// Whether a fault may be one of the way to the log: then asking for the tip finds another way, and tells what
    /// became of the append.
    fn comes_back(&self) -> bool {
        false
    }

    /// The end of the log; `None` before the first append.
    fn tip(&mut self) -> Result<Option<TipRecord>, Fault>;

    /// Appends entries and moves the tip, durably and in one commit, if the log still ends at `from`
    /// (`None`: is still empty). The entries are numbered without a gap and end at `tip`.
    fn append(
        &mut self,
        from: Option<Place>,
        entries: &[NewEntry],
        tip: &TipRecord,
    ) -> Result<(), AppendError>;

    /// [`Log::append`] for entries of another copy of this log: what is erased there is erased here.
    fn copy(
        &mut self,
        from: Option<Place>,
        entries: &[StoredEntry],
        tip: &TipRecord,
    ) -> Result<(), AppendError>;

    /// Puts `leaf` in the place of a part's bytes. When this returns `Ok`, the bytes are gone from the
    /// log's files too, which may have to wait some seconds for readers; on a database server they are gone from the
    /// table, and its write-ahead log, replicas and backups forget them in their own time. After a fault, erase again: with
    /// the same leaf that is harmless.
    fn erase_part(&mut self, seq: u64, index: usize, leaf: Hash) -> Result<(), Fault>;
}

/// The follower's hand on the state.
pub trait State: Send {
    /// How far the state has followed the log; `None` before the first put.
    fn cursor(&mut self) -> Result<Option<Place>, Fault>;

    /// Writes rows, in ascending order of their keys and each key once, and moves the cursor, in one
    /// commit, if the cursor still stands at `from`. A crash of the machine may lose the last puts, never
    /// a part of one and never one before another.
    fn put(&mut self, from: Option<Place>, to: Place, rows: &[Row]) -> Result<(), PutError>;

    /// Forgets everything, the cursor too.
    fn wipe(&mut self) -> Result<(), Fault>;

    /// Whether the last put failed because the database is away. Then the same put may be tried again, and if it
    /// had come through after all, that is found and is no error.
    fn comes_back(&self) -> bool {
        false
    }
}

/// What anybody may ask, from any thread.
pub trait Read: Send + Sync {
    /// The end of the log.
    fn tip(&self) -> Result<Option<TipRecord>, Fault>;

    /// The first row that stands behind the tip: nothing of it is ever read as an entry, and nothing is appended while
    /// it is there.
    fn stray(&self) -> Result<Option<Stray>, Fault>;

    /// Up to `limit` entries from `from` on and up to the tip, fewer if they would pass `max_bytes` (envelopes and parts,
    /// unpacked); one at least if there is one.
    fn read(&self, from: u64, limit: usize, max_bytes: usize) -> Result<Vec<StoredEntry>, Fault>;

    /// The parts of one entry; empty if it has none or does not exist.
    fn read_parts(&self, seq: u64) -> Result<Vec<StoredPart>, Fault>;

    /// Up to `limit` envelopes from `from` on and up to the tip.
    fn read_envelopes(&self, from: u64, limit: usize) -> Result<Vec<Envelope>, Fault>;

    /// How far the state has followed the log.
    fn cursor(&self) -> Result<Option<Place>, Fault>;

    /// The records under these keys, in the order of `keys`. Fastest with sorted keys, many at a time.
    fn load(&self, keys: &[String]) -> Result<Loaded, Fault>;

    /// Up to `limit` records due at or before `through`, ordered by due and key.
    fn due(&self, through: i64, limit: usize) -> Result<Loaded, Fault>;

    /// The earliest due of all records.
    fn next_due(&self) -> Result<Option<i64>, Fault>;

    /// Up to `limit` records after the key `after` (`""`: from the first), ordered by key.
    fn scan(&self, after: &str, limit: usize) -> Result<Loaded, Fault>;
}

/// Whether the entries follow `from` one by one and end at the tip.
pub(super) fn follows(from: Option<Place>, entries: &[impl Incoming], tip: &TipRecord) -> Result<(), Fault> {
    let unfit = |why: String| Err(Fault::Unfit(why));
    let mut next = match from {
        Some(place) => place.seq.saturating_add(1),
        None => 0,
    };
    for entry in entries {
        if entry.seq() != next {
            return unfit(format!("entry {} comes where {next} should", entry.seq()));
        }
        next = next.saturating_add(1);
    }
    if next.checked_sub(1) != Some(tip.seq) {
        return unfit(format!("the tip is {}, but {next} is the next entry", tip.seq));
    }
    Ok(())
}

/// Sorted runs are what makes a put fast, and each key once is what makes it mean one thing.
pub(super) fn in_order(rows: &[Row]) -> Result<(), Fault> {
    let mut before = "";
    for row in rows {
        if row.key.as_str() <= before {
            return Err(Fault::Unfit(format!("the key {:?} does not come after {before:?}", row.key)));
        }
        if row.key.bytes().any(|byte| byte < b' ') {
            return Err(Fault::Unfit(format!("the key {:?} contains a control character", row.key)));
        }
        before = &row.key;
    }
    Ok(())
}
