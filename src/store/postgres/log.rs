//! The log's writer on PostgreSQL.
//!
//! Owns: the schema `log` for writing: envelopes, chunks of parts, the tip.
//! Promises: an append is one statement, and so one durable commit and one way to the server and back; what is
//! inserted hangs on the tip having moved. While it holds the log, no other writer opens it; the tip is what keeps
//! out one that still believes to hold it.
//! Refuses to know: what is appended; reading it back is `reader`'s.

use super::super::base::Link;
use super::super::chunk::{Packer, Unpacker};
use super::super::end;
use super::super::fault::{AppendError, Fault, Stray};
use super::super::page::{chunk_id, first_id, integer, pack, place_of};
use super::super::port::{Incoming, Log, NewEntry, Place, StoredEntry, StoredPart, TipRecord, follows};
use super::super::tables::parts;
use super::driver::PgConnection;
use super::reader::parts_of;
use super::schema::{claim, holder};
use super::session::{Database, Purpose, Session};
use crate::log::leaf_hash;
use crate::types::Hash;
use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a writer waits for the one before it to be gone: the server notices an end within moments.
const PATIENCE: Duration = Duration::from_secs(5);

/// The writer's hand on the log.
pub struct PostgresLog {
    database: Database,
    /// None after a fault: whatever its cause, the next use begins with a new connection.
    session: Option<Session>,
    packer: Packer,
    unpacker: Unpacker,
}

impl PostgresLog {
    /// Opens it; its schema is up to date.
    pub fn open(database: &Database) -> Result<Self, Fault> {
        let zstd = |source| Fault::Folder { path: PathBuf::from("zstd"), source };
        let mut log = Self {
            database: database.clone(),
            session: None,
            packer: Packer::new().map_err(zstd)?,
            unpacker: Unpacker::new().map_err(zstd)?,
        };
        log.session()?;
        Ok(log)
    }

    fn session(&mut self) -> Result<&mut Session, Fault> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let mut session = self.database.open(Purpose::Log)?;
                let begun = Instant::now();
                while !claim(&mut session).map_err(|fault| session.lost(fault))? {
                    if begun.elapsed() > PATIENCE {
                        let (path, holder) = (session.named().0.clone(), holder(&mut session)?);
                        return Err(Fault::InUse { path, holder });
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// Works on the connection, and lets go of it after a fault.
    fn with<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let session = self.session()?;
        match work(session) {
            Err(fault) => {
                let fault = session.lost(fault);
                self.session = None;
                Err(fault)
            }
            answer => answer,
        }
    }

    /// The leaf hashes of an entry's parts.
    fn leaves(&mut self, seq: u64) -> Result<Vec<Vec<u8>>, Fault> {
        let parts = self.with(|session| parts_of(session, seq))?;
        let leaf = |part: &StoredPart| match part {
            StoredPart::Whole(bytes) => leaf_hash(bytes).0.to_vec(),
            StoredPart::Erased(leaf) => leaf.0.to_vec(),
        };
        Ok(parts.iter().map(leaf).collect())
    }

    fn take(
        &mut self,
        from: Option<Place>,
        entries: &[impl Incoming],
        tip: &TipRecord,
    ) -> Result<(), AppendError> {
        follows(from, entries, tip)?;
        let (ids, chunks): (Vec<_>, Vec<_>) = pack(&mut self.packer, entries)?.into_iter().unzip();
        let mut seqs = Vec::with_capacity(entries.len());
        for entry in entries {
            seqs.push(integer(entry.seq())?);
        }
        let append = Append {
            from: match &from {
                Some(place) => Some((integer(place.seq)?, &place.hash.0)),
                None => None,
            },
            first: first_id(from.map_or(0, |place| place.seq.saturating_add(1)))?,
            to: integer(tip.seq)?,
            tip,
            seqs,
            envelopes: entries.iter().map(|entry| entry.envelope()).collect(),
            ids,
            chunks,
        };
        let moved: i64 = self.with(|session| {
            session.forget_warning();
            // To the end of the answer: the commit comes behind the row, and with it what the server warns of.
            let moved: Vec<i64> = session.run("append entries", |connection| append.load(connection))?;
            let moved = moved.iter().sum();
            // The commit may stand here alone, and not where it was to stand too.
            session.no_warning().map(|()| moved)
        })?;
        if moved == 1 { Ok(()) } else { Err(self.why_not(from)) }
    }

    /// Why a tip did not move: it is elsewhere, or something stands behind it.
    fn why_not(&mut self, from: Option<Place>) -> AppendError {
        let look =
            |session: &mut Session| Ok((read_tip(session)?, read_stray(session)?, session.named().0.clone()));
        match self.with(look) {
            Err(fault) => fault.into(),
            Ok((tip, Some(stray), path)) if tip.as_ref().map(TipRecord::place) == from => {
                Fault::Stray { path, stray }.into()
            }
            Ok(_) => AppendError::Deposed,
        }
    }
}

impl Log for PostgresLog {
    fn comes_back(&self) -> bool {
        true
    }

    fn tip(&mut self) -> Result<Option<TipRecord>, Fault> {
        self.with(read_tip)
    }

    fn append(
        &mut self,
        from: Option<Place>,
        entries: &[NewEntry],
        tip: &TipRecord,
    ) -> Result<(), AppendError> {
        self.take(from, entries, tip)
    }

    fn copy(
        &mut self,
        from: Option<Place>,
        entries: &[StoredEntry],
        tip: &TipRecord,
    ) -> Result<(), AppendError> {
        self.take(from, entries, tip)
    }

    fn erase_part(&mut self, seq: u64, index: usize, leaf: Hash) -> Result<(), Fault> {
        let at = format!("entry {seq}, part {index}");
        let unfit = |why: &dyn std::fmt::Display| Fault::Unfit(format!("{at}: {why}"));
        let first = first_id(seq)?;
        let no_part = || unfit(&"there is no such part");
        let last = chunk_id(first, index).ok_or_else(no_part)?;
        let found: Option<(i64, Vec<u8>)> = self.with(|session| {
            session.run("find the part to erase", |connection| {
                let chunks = parts::table.filter(parts::id.between(first, last)).order(parts::id.desc());
                chunks.first(connection).optional()
            })
        })?;
        let (id, chunk) = found.ok_or_else(no_part)?;
        let begins = usize::try_from(place_of(id).1).unwrap_or(usize::MAX);
        let offset = index.saturating_sub(begins);
        // Whoever may not change the table has the server do it, which checks what the log says of it.
        let owns: bool = self.with(|session| {
            session.run("look at what this role may do", |connection| {
                diesel::dsl::sql::<Bool>("SELECT has_table_privilege('parts', 'UPDATE')")
                    .get_result(connection)
            })
        })?;
        let Self { packer, unpacker, .. } = self;
        let erased = if owns {
            packer.erase(unpacker, &chunk, offset, leaf)
        } else {
            packer.erase_plain(unpacker, &chunk, offset, leaf)
        };
        let Some(bytes) = erased.map_err(|why| unfit(&why))? else { return Ok(()) };
        let leaves = if owns { vec![] } else { self.leaves(seq)? };
        self.with(|session| {
            session.run_long("erase a part", |connection| {
                if owns {
                    diesel::update(parts::table.find(id)).set(parts::bytes.eq(bytes)).execute(connection)?;
                } else {
                    let ask = diesel::sql_query("SELECT erase_part($1, $2, $3)").bind::<BigInt, _>(id);
                    let ask = ask.bind::<Binary, _>(bytes).bind::<Array<Binary>, _>(leaves);
                    ask.execute(connection)?;
                }
                // The old bytes' place is freed; the table is not rewritten for it. Where this is not the owner, the
                // server says so and does it by itself within a minute.
                connection.batch_execute("VACUUM parts")
            })
        })
    }
}

pub(super) fn read_stray(session: &mut Session) -> Result<Option<Stray>, Fault> {
    let row =
        session.run("look behind the tip", |connection| end::read_stray(&mut Link::Postgres(connection)))?;
    end::stray_of(session.named(), row)
}

pub(super) fn read_tip(session: &mut Session) -> Result<Option<TipRecord>, Fault> {
    let row = session.run("read the tip", |connection| end::read_tip(&mut Link::Postgres(connection)))?;
    end::tip_of(session.named(), row)
}

/// That nothing stands behind a tip: before the seq of it, and before the id of the first chunk behind it.
pub(super) const BEHIND: [&str; 2] = [
    " AND (SELECT coalesce(max(e.seq), -1) FROM entry AS e) <= ",
    " AND (SELECT coalesce(max(p.id), -1) FROM parts AS p) < ",
];

/// The compare-and-swap and what hangs on it. Its answer is how many tips moved: one, or none.
struct Append<'a> {
    from: Option<(i64, &'a [u8; 32])>,
    /// The id of the first chunk behind `from`.
    first: i64,
    to: i64,
    tip: &'a TipRecord,
    seqs: Vec<i64>,
    envelopes: Vec<&'a [u8]>,
    ids: Vec<i64>,
    chunks: Vec<Vec<u8>>,
}

impl QueryId for Append<'_> {
    // Two texts, so the cache of prepared statements goes by the text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Append<'_> {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for Append<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let hash: &'b [u8] = &self.tip.hash.0;
        match &self.from {
            Some((seq, from)) => {
                out.push_sql("WITH moved AS (UPDATE tip SET seq = ");
                out.push_bind_param::<BigInt, _>(&self.to)?;
                out.push_sql(", hash = ");
                out.push_bind_param::<Binary, [u8]>(hash)?;
                out.push_sql(", edge = ");
                out.push_bind_param::<Binary, [u8]>(&self.tip.edge)?;
                out.push_sql(", checkpoint = ");
                out.push_bind_param::<Text, str>(&self.tip.checkpoint)?;
                out.push_sql(" WHERE id = 1 AND seq = ");
                out.push_bind_param::<BigInt, _>(seq)?;
                out.push_sql(" AND hash = ");
                out.push_bind_param::<Binary, [u8]>(&from[..])?;
                // What somebody put there must not become a part of what comes. Asked so, because whatever the server
                // knows of the tables, it looks at the end of two indexes.
                out.push_sql(BEHIND[0]);
                out.push_bind_param::<BigInt, _>(seq)?;
                out.push_sql(BEHIND[1]);
                out.push_bind_param::<BigInt, _>(&self.first)?;
            }
            None => {
                out.push_sql("WITH moved AS (INSERT INTO tip (id, seq, hash, edge, checkpoint) VALUES (1, ");
                out.push_bind_param::<BigInt, _>(&self.to)?;
                out.push_sql(", ");
                out.push_bind_param::<Binary, [u8]>(hash)?;
                out.push_sql(", ");
                out.push_bind_param::<Binary, [u8]>(&self.tip.edge)?;
                out.push_sql(", ");
                out.push_bind_param::<Text, str>(&self.tip.checkpoint)?;
                out.push_sql(") ON CONFLICT (id) DO NOTHING");
            }
        }
        out.push_sql(
            " RETURNING 1), entries AS (INSERT INTO entry (seq, envelope) SELECT e.* FROM moved, unnest(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.envelopes)?;
        out.push_sql(") AS e), chunks AS (INSERT INTO parts (id, bytes) SELECT p.* FROM moved, unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.chunks)?;
        out.push_sql(") AS p) SELECT count(*) FROM moved");
        Ok(())
    }
}

impl RunQueryDsl<PgConnection> for Append<'_> {}
