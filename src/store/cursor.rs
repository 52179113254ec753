//! A follower's cursor: the one row that says how far it has followed the log.
//!
//! Owns: the table `cursor`, which each follower has.
//! Promises: a follower's commit begins by a compare-and-swap on the cursor, so two cannot take turns.
//! Refuses to know: what else the commit writes.

use super::base::{Link, on};
use super::fault::{Fault, PutError};
use super::named::Named;
use super::page::integer;
use super::port::Place;
use super::tables::cursor;
use crate::types::Hash;
use diesel::prelude::*;

/// Why the transaction of a follower ended early.
pub(super) enum Ended {
    Stale,
    Broken(diesel::result::Error),
}

impl From<diesel::result::Error> for Ended {
    fn from(e: diesel::result::Error) -> Self {
        Self::Broken(e)
    }
}

impl Ended {
    pub(super) fn or_fault(self, named: &Named, doing: &'static str) -> PutError {
        match self {
            Self::Stale => PutError::Stale,
            Self::Broken(source) => named.fault(doing, source).into(),
        }
    }
}

/// A step of a cursor.
#[derive(Clone, Copy)]
pub(super) struct Step {
    from: Option<(i64, Hash)>,
    to: (i64, Hash),
}

impl Step {
    pub(super) fn new(from: Option<Place>, to: Place) -> Result<Self, Fault> {
        let from = from.map(|place| Ok::<_, Fault>((integer(place.seq)?, place.hash))).transpose()?;
        Ok(Self { from, to: (integer(to.seq)?, to.hash) })
    }

    /// The compare-and-swap: whether the cursor was where it should be, and has moved.
    fn take(&self, connection: &mut Link<'_>) -> QueryResult<bool> {
        let values = (cursor::seq.eq(self.to.0), cursor::hash.eq(&self.to.1.0[..]));
        let moved = match &self.from {
            Some((seq, hash)) => {
                let here = cursor::seq.eq(seq).and(cursor::hash.eq(&hash.0[..]));
                let update = diesel::update(cursor::table.find(1)).filter(here).set(values);
                on!(connection, c => update.execute(c))?
            }
            None => {
                let insert = diesel::insert_into(cursor::table).values((cursor::id.eq(1), values));
                on!(connection, c => insert.on_conflict_do_nothing().execute(c))?
            }
        };
        Ok(moved == 1)
    }

    /// Moves the cursor and does the rest of a follower's work, within a transaction.
    pub(super) fn with(
        &self,
        connection: &mut Link<'_>,
        work: impl FnOnce(&mut Link<'_>) -> QueryResult<()>,
    ) -> Result<(), Ended> {
        if !self.take(connection)? {
            return Err(Ended::Stale);
        }
        Ok(work(connection)?)
    }
}

pub(crate) fn read_cursor(connection: &mut Link<'_>) -> QueryResult<Option<(i64, Vec<u8>)>> {
    // Not `first`: a bound LIMIT makes SQLite prepare the statement anew each time.
    let row = cursor::table.find(1).select((cursor::seq, cursor::hash));
    on!(connection, c => row.get_result(c)).optional()
}

pub(crate) fn place(named: &Named, row: Option<(i64, Vec<u8>)>) -> Result<Option<Place>, Fault> {
    let Some((seq, hash)) = row else { return Ok(None) };
    let seq = named.seq(seq)?;
    Ok(Some(Place { seq, hash: named.hash(seq, hash)? }))
}
