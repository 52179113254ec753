//! Reading the log and the state on SQLite, from any thread.
//!
//! Owns: the questions that the port asks, as statements.
//! Promises: nobody waits for the writers, nor they for a reader; an answer about the state is of one
//! moment, and says of which.
//! Refuses to know: what it reads.

use super::super::chunk::Unpacker;
use super::super::fault::Fault;
use super::super::port::{Envelope, Kept, Loaded, Place, Read, StoredEntry, StoredPart, TipRecord};
use super::cursor::{place, read_cursor};
use super::file::{File, Kind, at_most, integer};
use super::log::{entry, first_id, last_id, parts, place_of, read_tip};
use super::pool::Pool;
use super::state::{json, state};
use super::statement::Lookup;
use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::path::Path;
use std::sync::Arc;

/// A handle for reading; its clones share their connections.
#[derive(Clone)]
pub struct Reader {
    pools: Arc<Pools>,
}

struct Pools {
    log: Pool,
    state: Pool,
}

impl Reader {
    /// Opens a data folder for reading only, whether or not a writer has it open.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        let pools = Pools { log: Pool::open(dir, Kind::Log)?, state: Pool::open(dir, Kind::State)? };
        Ok(Self { pools: Arc::new(pools) })
    }

    /// Records and the cursor, of one moment.
    fn loaded(
        &self,
        doing: &'static str,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<Vec<StateTuple>>,
    ) -> Result<Loaded, Fault> {
        self.pools.state.with(|file| {
            let (cursor, rows) = file.run(doing, |connection| {
                connection.transaction(|connection| Ok((read_cursor(connection)?, query(connection)?)))
            })?;
            let mut kept = Vec::with_capacity(rows.len());
            for (key, value, seq, due) in rows {
                kept.push(Kept { key, value, seq: file.seq(seq)?, due });
            }
            Ok(Loaded { cursor: place(file, cursor)?, rows: kept })
        })
    }
}

type StateTuple = (String, Vec<u8>, i64, Option<i64>);

impl Read for Reader {
    fn tip(&self) -> Result<Option<TipRecord>, Fault> {
        self.pools.log.with(read_tip)
    }

    fn read(&self, from: u64, limit: usize, max_bytes: usize) -> Result<Vec<StoredEntry>, Fault> {
        self.pools.log.with(|file| {
            let mut page = Page::new(max_bytes);
            page.envelopes(file, from, limit)?;
            page.parts(file)?;
            Ok(page.finish())
        })
    }

    fn read_parts(&self, seq: u64) -> Result<Vec<StoredPart>, Fault> {
        self.pools.log.with(|file| {
            let mut page = Page::new(usize::MAX);
            page.push(seq, Vec::new());
            page.parts(file)?;
            Ok(page.finish().pop().map(|entry| entry.parts).unwrap_or_default())
        })
    }

    fn read_envelopes(&self, from: u64, limit: usize) -> Result<Vec<Envelope>, Fault> {
        let from = integer(from)?;
        self.pools.log.with(|file| {
            let rows: Vec<(i64, Vec<u8>)> = file.run("read envelopes", |connection| {
                let after = entry::table.filter(entry::seq.ge(from)).order(entry::seq);
                after.limit(at_most(limit)).load(connection)
            })?;
            rows.into_iter().map(|(seq, bytes)| Ok(Envelope { seq: file.seq(seq)?, bytes })).collect()
        })
    }

    fn cursor(&self) -> Result<Option<Place>, Fault> {
        self.pools.state.with(|file| {
            let row = file.run("read the cursor", read_cursor)?;
            place(file, row)
        })
    }

    fn load(&self, keys: &[String]) -> Result<Loaded, Fault> {
        self.loaded("look up records", |connection| Lookup { keys: json(keys) }.load(connection))
    }

    fn due(&self, through: i64, limit: usize) -> Result<Loaded, Fault> {
        self.loaded("read what is due", |connection| {
            let due = state::table.filter(state::due.le(through)).order((state::due, state::key));
            due.limit(at_most(limit)).load(connection)
        })
    }

    fn next_due(&self) -> Result<Option<i64>, Fault> {
        self.pools.state.with(|file| {
            let next: Option<Option<i64>> = file.run("read what is due next", |connection| {
                let due = state::table.filter(state::due.is_not_null()).order(state::due);
                due.select(state::due).first(connection).optional()
            })?;
            Ok(next.flatten())
        })
    }

    fn scan(&self, after: &str, limit: usize) -> Result<Loaded, Fault> {
        self.loaded("read the state", |connection| {
            let rest = state::table.filter(state::key.gt(after)).order(state::key);
            rest.limit(at_most(limit)).load(connection)
        })
    }
}

/// A page of entries in the making. Envelopes come first, then the parts; entries are never changed
/// (but for erased parts), so the two need not be read at one moment.
struct Page {
    entries: Vec<StoredEntry>,
    /// What each entry takes, as far as it is read.
    sizes: Vec<usize>,
    max_bytes: usize,
}

impl Page {
    fn new(max_bytes: usize) -> Self {
        Self { entries: Vec::new(), sizes: Vec::new(), max_bytes }
    }

    fn push(&mut self, seq: u64, envelope: Vec<u8>) {
        self.sizes.push(envelope.len());
        self.entries.push(StoredEntry { seq, envelope, parts: Vec::new() });
    }

    fn envelopes(&mut self, file: &mut File, from: u64, limit: usize) -> Result<(), Fault> {
        let (from, mut size) = (integer(from)?, 0_usize);
        let rows = file.run("read envelopes", |connection| {
            let query = entry::table.filter(entry::seq.ge(from)).order(entry::seq).limit(at_most(limit));
            let mut rows = Vec::new();
            for row in query.load_iter::<(i64, Vec<u8>), DefaultLoadingMode>(connection)? {
                let row = row?;
                size = size.saturating_add(row.1.len());
                if size > self.max_bytes && !rows.is_empty() {
                    break;
                }
                rows.push(row);
            }
            Ok(rows)
        })?;
        for (seq, envelope) in rows {
            self.push(file.seq(seq)?, envelope);
        }
        Ok(())
    }

    fn parts(&mut self, file: &mut File) -> Result<(), Fault> {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return Ok(()) };
        let ids = (first_id(first.seq)?, last_id(first_id(last.seq)?));
        let mut unpacker =
            Unpacker::new().map_err(|e| Fault::Unfit(format!("no memory to unpack parts: {e}")))?;
        let mut damage = None;
        file.run("read parts", |connection| {
            let query = parts::table.filter(parts::id.between(ids.0, ids.1)).order(parts::id);
            let mut filling = Filling::default();
            for row in query.load_iter::<(i64, Vec<u8>), DefaultLoadingMode>(connection)? {
                let (id, bytes) = row?;
                match self.take(&mut filling, &mut unpacker, id, &bytes) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(why) => {
                        damage = Some((id, why));
                        break;
                    }
                }
            }
            Ok(())
        })?;
        match damage {
            None => Ok(()),
            Some((id, why)) => {
                let (seq, part) = place_of(id);
                Err(file.damaged(format!("entry {seq}, part {part}"), why))
            }
        }
    }

    /// Adds a chunk to the entry it belongs to; `false` when the page is full.
    fn take(
        &mut self,
        filling: &mut Filling,
        unpacker: &mut Unpacker,
        id: i64,
        bytes: &[u8],
    ) -> Result<bool, String> {
        let (seq, part) = place_of(id);
        let here = self.sizes.iter().zip(&self.entries).skip(filling.place);
        for (size, _) in here.take_while(|(_, entry)| i64::try_from(entry.seq).is_ok_and(|s| s < seq)) {
            filling.before = filling.before.saturating_add(*size);
            filling.place = filling.place.saturating_add(1);
        }
        let (Some(entry), Some(size)) =
            (self.entries.get_mut(filling.place), self.sizes.get_mut(filling.place))
        else {
            return Ok(false);
        };
        if i64::try_from(entry.seq) != Ok(seq) {
            return Err("there are parts, but no envelope".into());
        }
        if i64::try_from(entry.parts.len()) != Ok(part) {
            return Err(format!("{} parts stand before it", entry.parts.len()));
        }
        let more = unpacker.unpack(bytes, &mut entry.parts).map_err(|e| e.to_string())?;
        *size = size.saturating_add(more);
        Ok(filling.place == 0 || filling.before.saturating_add(*size) <= self.max_bytes)
    }

    /// The entries that fit, the first in any case.
    fn finish(mut self) -> Vec<StoredEntry> {
        let mut sum = 0_usize;
        let fitting = self.sizes.iter().take_while(|size| {
            sum = sum.saturating_add(**size);
            sum <= self.max_bytes
        });
        let fitting = fitting.count().max(1);
        self.entries.truncate(fitting);
        self.entries
    }
}

/// Which entry the next chunk is expected to belong to, and what the ones before it take.
#[derive(Default)]
struct Filling {
    place: usize,
    before: usize,
}
