//! A follower's cursor: the one row that says how far its file has followed the log.
//!
//! Owns: the table `cursor`, which each follower's file has.
//! Promises: a follower's commit begins by a compare-and-swap on the cursor, so two cannot take turns.
//! Refuses to know: what else the commit writes.

use super::super::fault::{Fault, PutError};
use super::super::page::integer;
use super::super::port::Place;
pub(crate) use super::super::tables::cursor;
use super::file::File;
use crate::types::Hash;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

/// Why the transaction of a follower ended early.
enum Ended {
    Stale,
    Broken(diesel::result::Error),
}

impl From<diesel::result::Error> for Ended {
    fn from(e: diesel::result::Error) -> Self {
        Self::Broken(e)
    }
}

/// Moves the cursor and does the rest of a follower's work, in one commit, if the cursor still stands at
/// `from`; `doing` completes "could not …".
pub(crate) fn follow(
    file: &mut File,
    doing: &'static str,
    from: Option<Place>,
    to: Place,
    work: impl FnOnce(&mut SqliteConnection) -> QueryResult<()>,
) -> Result<(), PutError> {
    let to = (integer(to.seq)?, to.hash);
    let from = match from {
        Some(place) => Some((integer(place.seq)?, place.hash)),
        None => None,
    };
    let done = file.connection.immediate_transaction(|connection| {
        if !move_cursor(connection, from, to)? {
            return Err(Ended::Stale);
        }
        Ok(work(connection)?)
    });
    done.map_err(|ended| match ended {
        Ended::Stale => PutError::Stale,
        Ended::Broken(source) => file.fault(doing, source).into(),
    })
}

pub(crate) fn read_cursor(connection: &mut SqliteConnection) -> QueryResult<Option<(i64, Vec<u8>)>> {
    // Not `first`: a bound LIMIT makes SQLite prepare the statement anew each time.
    cursor::table.find(1).select((cursor::seq, cursor::hash)).get_result(connection).optional()
}

pub(crate) fn place(file: &File, row: Option<(i64, Vec<u8>)>) -> Result<Option<Place>, Fault> {
    let Some((seq, hash)) = row else { return Ok(None) };
    let seq = file.seq(seq)?;
    Ok(Some(Place { seq, hash: file.hash(seq, hash)? }))
}

/// The compare-and-swap: whether the cursor was where it should be, and has moved.
fn move_cursor(
    connection: &mut SqliteConnection,
    from: Option<(i64, Hash)>,
    to: (i64, Hash),
) -> QueryResult<bool> {
    let values = (cursor::seq.eq(to.0), cursor::hash.eq(&to.1.0[..]));
    let moved = match from {
        Some((seq, hash)) => diesel::update(cursor::table.find(1))
            .filter(cursor::seq.eq(seq).and(cursor::hash.eq(&hash.0[..])))
            .set(values)
            .execute(connection)?,
        None => diesel::insert_into(cursor::table)
            .values((cursor::id.eq(1), values))
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    Ok(moved == 1)
}
