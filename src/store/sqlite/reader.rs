//! Reading the log and the state on SQLite, from any thread.
//!
//! Owns: the questions that the port asks, as statements.
//! Promises: nobody waits for the writers, nor they for a reader; an answer about the state is of one
//! moment, and says of which.
//! Refuses to know: what it reads.

use super::super::base::Link;
use super::super::cursor::{place, read_cursor};
use super::super::fault::{Fault, Stray};
use super::super::page::{Page, at_most, integer, place_of};
use super::super::port::{Envelope, Kept, Loaded, Place, Read, StoredEntry, StoredPart, TipRecord};
use super::super::tables::{entry, parts, state, tip};
use super::file::{File, Kind};
use super::log::{read_stray, read_tip};
use super::pool::Pool;
use super::state::json;
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
                connection.transaction(|connection| {
                    Ok((read_cursor(&mut Link::Sqlite(connection))?, query(connection)?))
                })
            })?;
            let mut kept = Vec::with_capacity(rows.len());
            for (key, value, seq, due) in rows {
                kept.push(Kept { key, value, seq: file.named().seq(seq)?, due });
            }
            Ok(Loaded { cursor: place(file.named(), cursor)?, rows: kept })
        })
    }
}

type StateTuple = (String, Vec<u8>, i64, Option<i64>);

impl Read for Reader {
    fn tip(&self) -> Result<Option<TipRecord>, Fault> {
        self.pools.log.with(read_tip)
    }

    fn stray(&self) -> Result<Option<Stray>, Fault> {
        self.pools.log.with(read_stray)
    }

    fn read(&self, from: u64, limit: usize, max_bytes: usize) -> Result<Vec<StoredEntry>, Fault> {
        self.pools.log.with(|file| {
            let mut page = Page::new(max_bytes)?;
            envelopes(file, &mut page, from, limit, max_bytes)?;
            all_parts(file, &mut page)?;
            Ok(page.finish())
        })
    }

    fn read_parts(&self, seq: u64) -> Result<Vec<StoredPart>, Fault> {
        let at = integer(seq)?;
        self.pools.log.with(|file| {
            let envelope: Option<Vec<u8>> = file.run("read an envelope", |connection| {
                entry::table.find(at).select(entry::envelope).first(connection).optional()
            })?;
            let mut page = Page::new(usize::MAX)?;
            page.push(seq, envelope.unwrap_or_default());
            all_parts(file, &mut page)?;
            Ok(page.finish().pop().map(|entry| entry.parts).unwrap_or_default())
        })
    }

    fn read_envelopes(&self, from: u64, limit: usize) -> Result<Vec<Envelope>, Fault> {
        let from = integer(from)?;
        self.pools.log.with(|file| {
            let rows: Vec<(i64, Vec<u8>)> = file.run("read envelopes", |connection| {
                let end = tip::table.filter(tip::id.eq(1)).select(tip::seq).single_value();
                let after = entry::table.filter(entry::seq.ge(from)).filter(entry::seq.nullable().le(end));
                after.order(entry::seq).limit(at_most(limit)).load(connection)
            })?;
            rows.into_iter().map(|(seq, bytes)| Ok(Envelope { seq: file.named().seq(seq)?, bytes })).collect()
        })
    }

    fn cursor(&self) -> Result<Option<Place>, Fault> {
        self.pools.state.with(|file| file.cursor())
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

fn envelopes(
    file: &mut File,
    page: &mut Page,
    from: u64,
    limit: usize,
    max_bytes: usize,
) -> Result<(), Fault> {
    let (from, mut size) = (integer(from)?, 0_usize);
    let rows = file.run("read envelopes", |connection| {
        let end = tip::table.filter(tip::id.eq(1)).select(tip::seq).single_value();
        let query = entry::table.filter(entry::seq.ge(from)).filter(entry::seq.nullable().le(end));
        let query = query.order(entry::seq).limit(at_most(limit));
        let mut rows = Vec::new();
        for row in query.load_iter::<(i64, Vec<u8>), DefaultLoadingMode>(connection)? {
            let row = row?;
            size = size.saturating_add(row.1.len());
            if size > max_bytes && !rows.is_empty() {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    })?;
    for (seq, envelope) in rows {
        page.push(file.named().seq(seq)?, envelope);
    }
    Ok(())
}

fn all_parts(file: &mut File, page: &mut Page) -> Result<(), Fault> {
    let Some((first, last)) = page.ids()? else { return Ok(()) };
    let mut damage = None;
    file.run("read parts", |connection| {
        let query = parts::table.filter(parts::id.between(first, last)).order(parts::id);
        for row in query.load_iter::<(i64, Vec<u8>), DefaultLoadingMode>(connection)? {
            let (id, bytes) = row?;
            match page.take(id, &bytes) {
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
            Err(file.named().damaged(format!("entry {seq}, part {part}"), why))
        }
    }
}
