//! Reading the log and the state on PostgreSQL, from any thread.
//!
//! Owns: the questions that the port asks, as statements.
//! Promises: nobody waits for the writers, nor they for a reader; an answer about the state is of one statement, and
//! so of one moment, and says of which; records are looked up by one way to the server and back.
//! Refuses to know: what it reads.

use super::super::cursor::place;
use super::super::fault::{Fault, Stray};
use super::super::page::{Page, at_most, integer, place_of};
use super::super::port::{Envelope, Kept, Loaded, Place, Read, StoredEntry, StoredPart, TipRecord};
use super::super::tables::{entry, parts, state, tip};
use super::driver::PgConnection;
use super::log::{read_stray, read_tip};
use super::pool::Pool;
use super::session::{Database, Purpose, Session};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
use std::sync::Arc;

/// Rows of the log in one answer of the server. Which entries fit is known only when they are unpacked.
const SLICE: i64 = 512;

/// A handle for reading; its clones share their connections.
#[derive(Clone)]
pub struct PostgresReader {
    pool: Arc<Pool>,
}

impl PostgresReader {
    /// Opens log and state for reading only, whether or not a writer has them open.
    pub fn open(database: &Database) -> Result<Self, Fault> {
        Ok(Self { pool: Arc::new(Pool::open(database, Purpose::Read)?) })
    }

    /// Records and the cursor, of one moment.
    fn loaded(&self, doing: &'static str, ask: &Ask<'_>) -> Result<Loaded, Fault> {
        self.pool.with(|session| {
            let rows: Vec<StateTuple> = session.run(doing, |connection| ask.load(connection))?;
            let (mut cursor, mut kept) = (None, Vec::with_capacity(rows.len()));
            for (key, value, seq, due) in rows {
                // No record has an empty key: it is the cursor.
                if key.is_empty() {
                    cursor = place(session.named(), Some((seq, value)))?;
                } else {
                    kept.push(Kept { key, value, seq: session.named().seq(seq)?, due });
                }
            }
            Ok(Loaded { cursor, rows: kept })
        })
    }
}

type StateTuple = (String, Vec<u8>, i64, Option<i64>);

impl Read for PostgresReader {
    fn tip(&self) -> Result<Option<TipRecord>, Fault> {
        self.pool.with(read_tip)
    }

    fn stray(&self) -> Result<Option<Stray>, Fault> {
        self.pool.with(read_stray)
    }

    fn read(&self, from: u64, limit: usize, max_bytes: usize) -> Result<Vec<StoredEntry>, Fault> {
        self.pool.with(|session| {
            let mut page = Page::new(max_bytes)?;
            envelopes(session, from, limit, max_bytes, |seq, envelope| page.push(seq, envelope))?;
            all_parts(session, &mut page)?;
            Ok(page.finish())
        })
    }

    fn read_parts(&self, seq: u64) -> Result<Vec<StoredPart>, Fault> {
        self.pool.with(|session| parts_of(session, seq))
    }

    fn read_envelopes(&self, from: u64, limit: usize) -> Result<Vec<Envelope>, Fault> {
        self.pool.with(|session| {
            let mut all = vec![];
            envelopes(session, from, limit, usize::MAX, |seq, bytes| all.push(Envelope { seq, bytes }))?;
            Ok(all)
        })
    }

    fn cursor(&self) -> Result<Option<Place>, Fault> {
        self.pool.with(|session| session.cursor())
    }

    fn load(&self, keys: &[String]) -> Result<Loaded, Fault> {
        self.loaded("look up records", &Ask::Keys(keys))
    }

    fn due(&self, through: i64, limit: usize) -> Result<Loaded, Fault> {
        self.loaded("read what is due", &Ask::Due(through, at_most(limit)))
    }

    fn next_due(&self) -> Result<Option<i64>, Fault> {
        self.pool.with(|session| {
            let next: Option<Option<i64>> = session.run("read what is due next", |connection| {
                let due = state::table.filter(state::due.is_not_null()).order(state::due);
                due.select(state::due).first(connection).optional()
            })?;
            Ok(next.flatten())
        })
    }

    fn scan(&self, after: &str, limit: usize) -> Result<Loaded, Fault> {
        self.loaded("read the state", &Ask::After(after, at_most(limit)))
    }
}

/// Envelopes from a place on, in slices, until there are enough.
fn envelopes(
    session: &mut Session,
    from: u64,
    limit: usize,
    max_bytes: usize,
    mut take: impl FnMut(u64, Vec<u8>),
) -> Result<(), Fault> {
    let (mut next, mut left, mut size, mut first) = (integer(from)?, at_most(limit), 0_usize, true);
    while left > 0 {
        let rows: Vec<(i64, Vec<u8>)> = session.run("read envelopes", |connection| {
            let end = tip::table.filter(tip::id.eq(1)).select(tip::seq).single_value();
            let after = entry::table.filter(entry::seq.ge(next)).filter(entry::seq.nullable().le(end));
            after.order(entry::seq).limit(left.min(SLICE)).load(connection)
        })?;
        let slice = at_most(rows.len());
        left = left.saturating_sub(slice);
        for (seq, envelope) in rows {
            size = size.saturating_add(envelope.len());
            if size > max_bytes && !first {
                return Ok(());
            }
            first = false;
            next = seq.saturating_add(1);
            take(session.named().seq(seq)?, envelope);
        }
        if slice < SLICE {
            return Ok(());
        }
    }
    Ok(())
}

/// The parts of one entry.
pub(super) fn parts_of(session: &mut Session, seq: u64) -> Result<Vec<StoredPart>, Fault> {
    let at = integer(seq)?;
    let envelope: Option<Vec<u8>> = session.run("read an envelope", |connection| {
        entry::table.find(at).select(entry::envelope).first(connection).optional()
    })?;
    let mut page = Page::new(usize::MAX)?;
    page.push(seq, envelope.unwrap_or_default());
    all_parts(session, &mut page)?;
    Ok(page.finish().pop().map(|entry| entry.parts).unwrap_or_default())
}

/// The parts of a page's entries, in slices, until the page is full.
fn all_parts(session: &mut Session, page: &mut Page) -> Result<(), Fault> {
    let Some((mut next, last)) = page.ids()? else { return Ok(()) };
    loop {
        let rows: Vec<(i64, Vec<u8>)> = session.run("read parts", |connection| {
            let chunks = parts::table.filter(parts::id.between(next, last)).order(parts::id);
            chunks.limit(SLICE).load(connection)
        })?;
        let slice = at_most(rows.len());
        for (id, bytes) in rows {
            next = id.saturating_add(1);
            match page.take(id, &bytes) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(why) => {
                    let (seq, part) = place_of(id);
                    return Err(session.named().damaged(format!("entry {seq}, part {part}"), why));
                }
            }
        }
        if slice < SLICE {
            return Ok(());
        }
    }
}

/// What is asked of the state. The cursor comes with it, as a row with an empty key.
pub(super) enum Ask<'a> {
    /// The records under these keys, in their order.
    Keys(&'a [String]),
    /// What is due by then, so many at most.
    Due(i64, i64),
    /// What comes after a key, so many at most.
    After(&'a str, i64),
}

/// How a page begins; [`first`] goes on.
const PAGE: &str = "SELECT * FROM (SELECT *, 1 AS at FROM (SELECT key, value, seq, due FROM state WHERE ";

impl QueryId for Ask<'_> {
    // Three texts, so the cache of prepared statements goes by the text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Ask<'_> {
    type SqlType = (Text, Binary, BigInt, Nullable<BigInt>);
}

impl QueryFragment<Pg> for Ask<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT key, value, seq, due FROM (SELECT '' COLLATE \"C\" AS key, hash AS value, seq, NULL::bigint AS due, \
             0::bigint AS at FROM cursor UNION ALL ",
        );
        match self {
            Self::Keys(keys) => {
                out.push_sql("SELECT s.key, s.value, s.seq, s.due, k.at FROM unnest(");
                out.push_bind_param::<Array<Text>, [String]>(keys)?;
                out.push_sql(
                    ") WITH ORDINALITY AS k(key, at) JOIN state AS s ON s.key = k.key) AS r ORDER BY at",
                );
            }
            Self::Due(through, limit) => {
                out.push_sql(PAGE);
                out.push_sql("due <= ");
                out.push_bind_param::<BigInt, _>(through)?;
                first(" ORDER BY due, key", limit, &mut out)?;
                out.push_sql(") AS d) AS r ORDER BY at, due, key");
            }
            Self::After(after, limit) => {
                out.push_sql(PAGE);
                out.push_sql("key > ");
                out.push_bind_param::<Text, str>(after)?;
                first(" ORDER BY key", limit, &mut out)?;
                out.push_sql(") AS d) AS r ORDER BY at, key");
            }
        }
        Ok(())
    }
}

/// The first so many in an order. A plan that is made once for all numbers takes a tenth of the table for what is
/// asked for, and at a hundred million rows sorts all of it; so the text says the number too, rounded up that there
/// be few texts.
fn first<'b>(order: &str, limit: &'b i64, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    let about = limit.clamp(&1, &(1 << 62)).unsigned_abs().next_power_of_two();
    out.push_sql(&format!("{order} LIMIT {about}) AS n{order} LIMIT "));
    out.push_bind_param::<BigInt, _>(limit)
}

impl RunQueryDsl<PgConnection> for &Ask<'_> {}
