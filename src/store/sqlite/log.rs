//! The log's writer on SQLite.
//!
//! Owns: `log.sqlite` for writing: envelopes, chunks of parts, the tip.
//! Promises: one durable commit an append, begun by a compare-and-swap on the tip.
//! Refuses to know: what is appended; reading it back is `reader`'s.

use super::super::base::Link;
use super::super::chunk::{Packer, Unpacker};
use super::super::end;
use super::super::fault::{AppendError, Fault, Stray};
use super::super::page::{chunk_id, first_id, integer, pack, place_of};
use super::super::port::{Incoming, Log, NewEntry, Place, StoredEntry, TipRecord, follows};
use super::super::rows::{Cells, Tuple};
use super::super::tables::{parts, tip};
use super::file::{File, Kind};
use super::keeper::Keeper;
use super::statement::insert;
use crate::types::Hash;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;
use std::path::Path;
use std::sync::Arc;

/// Pages that any commit writes: the last page of either table and the tip's.
const PAGES_A_COMMIT: usize = 3;

/// The writer's hand on the log.
pub struct SqliteLog {
    // Before the file: its connection closes first, so that the writer's is the last and tidies up.
    keeper: Keeper,
    file: File,
    packer: Packer,
    unpacker: Unpacker,
    _lock: Arc<std::fs::File>,
}

struct EntryRow<'a> {
    seq: i64,
    envelope: &'a [u8],
}

impl Tuple for EntryRow<'_> {
    type Id = EntryRow<'static>;
    const INTO: &'static str = "entry (seq, envelope)";
    const AFTER: &'static str = "";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.int(&self.seq)?;
        out.bytes(self.envelope)
    }
}

struct PartsRow {
    id: i64,
    bytes: Vec<u8>,
}

impl Tuple for PartsRow {
    type Id = PartsRow;
    const INTO: &'static str = "parts (id, bytes)";
    const AFTER: &'static str = "";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.int(&self.id)?;
        out.bytes(&self.bytes)
    }
}

/// Why the transaction of an append ended early.
enum Ended {
    Deposed,
    Broken(diesel::result::Error),
}

impl From<diesel::result::Error> for Ended {
    fn from(e: diesel::result::Error) -> Self {
        Self::Broken(e)
    }
}

impl SqliteLog {
    pub(super) fn new(dir: &Path, file: File, lock: Arc<std::fs::File>) -> Result<Self, Fault> {
        let zstd = |source| Fault::Folder { path: dir.to_path_buf(), source };
        Ok(Self {
            keeper: Keeper::start(dir)?,
            file,
            packer: Packer::new().map_err(zstd)?,
            unpacker: Unpacker::new().map_err(zstd)?,
            _lock: lock,
        })
    }

    /// The chunk that holds a part.
    fn chunk_of(&mut self, seq: u64, index: usize) -> Result<Option<PartsRow>, Fault> {
        let first = first_id(seq)?;
        let Some(id) = chunk_id(first, index) else { return Ok(None) };
        let row: Option<(i64, Vec<u8>)> = self.file.run("find the part to erase", |connection| {
            parts::table
                .filter(parts::id.between(first, id))
                .order(parts::id.desc())
                .first(connection)
                .optional()
        })?;
        Ok(row.map(|(id, bytes)| PartsRow { id, bytes }))
    }

    /// Moves everything into place and empties the write-ahead file, which may still hold old bytes.
    fn flush(&mut self) -> Result<(), Fault> {
        let (busy, _, _) = self.file.run("empty the write-ahead file", |connection| {
            diesel::dsl::sql::<(Integer, Integer, Integer)>("PRAGMA wal_checkpoint(TRUNCATE)")
                .get_result::<(i32, i32, i32)>(connection)
        })?;
        if busy == 0 {
            return Ok(());
        }
        let held = "a reader holds on to old pages; erase again when it is done";
        Err(self
            .file
            .named()
            .fault("empty the write-ahead file", diesel::result::Error::QueryBuilderError(held.into())))
    }

    fn take(
        &mut self,
        from: Option<Place>,
        entries: &[impl Incoming],
        tip: &TipRecord,
    ) -> Result<(), AppendError> {
        follows(from, entries, tip)?;
        let chunks = pack(&mut self.packer, entries)?;
        let chunks: Vec<PartsRow> = chunks.into_iter().map(|(id, bytes)| PartsRow { id, bytes }).collect();
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            rows.push(EntryRow { seq: integer(entry.seq())?, envelope: entry.envelope() });
        }
        let to = integer(tip.seq)?;
        let from = match from {
            Some(place) => Some((integer(place.seq)?, place.hash)),
            None => None,
        };
        let done = self.file.connection.immediate_transaction(|connection| {
            if !move_tip(connection, from, to, tip)? {
                return Err(Ended::Deposed);
            }
            insert(connection, &rows)?;
            Ok(insert(connection, &chunks)?)
        });
        match done {
            Ok(()) => {
                let envelopes = entries.iter().map(|e| e.envelope().len());
                let bytes: usize = chunks.iter().map(|c| c.bytes.len()).chain(envelopes).sum();
                let page = usize::try_from(Kind::Log.page()).unwrap_or(usize::MAX);
                self.keeper.wrote(bytes.saturating_add(page.saturating_mul(PAGES_A_COMMIT)));
                Ok(())
            }
            Err(Ended::Deposed) => Err(AppendError::Deposed),
            Err(Ended::Broken(source)) => Err(self.broken(source).into()),
        }
    }
}

impl SqliteLog {
    /// What an append came to that a row was in the way of, or anything else.
    fn broken(&mut self, source: diesel::result::Error) -> Fault {
        use diesel::result::{DatabaseErrorKind::UniqueViolation, Error::DatabaseError};
        let in_the_way = matches!(source, DatabaseError(UniqueViolation, _));
        match read_stray(&mut self.file) {
            Ok(Some(stray)) if in_the_way => Fault::Stray { path: self.file.named().0.clone(), stray },
            _ => self.file.named().fault("append entries", source),
        }
    }
}

impl Log for SqliteLog {
    fn tip(&mut self) -> Result<Option<TipRecord>, Fault> {
        read_tip(&mut self.file)
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
        let chunk = self.chunk_of(seq, index)?.ok_or_else(|| unfit(&"there is no such part"))?;
        let first = usize::try_from(place_of(chunk.id).1).unwrap_or(usize::MAX);
        let erased = self
            .packer
            .erase(&mut self.unpacker, &chunk.bytes, index.saturating_sub(first), leaf)
            .map_err(|why| unfit(&why))?;
        if let Some(bytes) = erased {
            self.file.run("erase a part", |connection| {
                diesel::update(parts::table.find(chunk.id)).set(parts::bytes.eq(bytes)).execute(connection)
            })?;
        }
        // Also when it was erased before: that time, a reader may have been in the way.
        self.flush()
    }
}

/// The compare-and-swap: whether the tip was where it should be, and has moved.
fn move_tip(
    connection: &mut SqliteConnection,
    from: Option<(i64, Hash)>,
    to: i64,
    new: &TipRecord,
) -> QueryResult<bool> {
    let values = (
        tip::seq.eq(to),
        tip::hash.eq(&new.hash.0[..]),
        tip::edge.eq(&new.edge),
        tip::checkpoint.eq(&new.checkpoint),
    );
    let moved = match from {
        Some((seq, hash)) => diesel::update(tip::table.find(1))
            .filter(tip::seq.eq(seq).and(tip::hash.eq(&hash.0[..])))
            .set(values)
            .execute(connection)?,
        None => diesel::insert_into(tip::table)
            .values((tip::id.eq(1), values))
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    Ok(moved == 1)
}

pub(super) fn read_stray(file: &mut File) -> Result<Option<Stray>, Fault> {
    let row = file.run("look behind the tip", |connection| end::read_stray(&mut Link::Sqlite(connection)))?;
    end::stray_of(file.named(), row)
}

pub(super) fn read_tip(file: &mut File) -> Result<Option<TipRecord>, Fault> {
    let row = file.run("read the tip", |connection| end::read_tip(&mut Link::Sqlite(connection)))?;
    end::tip_of(file.named(), row)
}
