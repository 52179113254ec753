//! The state's follower on SQLite.
//!
//! Owns: `state.sqlite` for writing: records and the cursor.
//! Promises: one commit a put, begun by a compare-and-swap on the cursor.
//! Refuses to know: what a record says; reading is `reader`'s.

use super::super::base::Link;
use super::super::cursor::{Ended, Step};
use super::super::fault::{Fault, PutError};
use super::super::page::integer;
use super::super::port::{Place, Row, State, in_order};
use super::super::rows::{Cells, Tuple};
use super::super::tables::{cursor, state};
use super::file::File;
use super::statement::{Delete, insert};
use diesel::prelude::*;
use std::sync::Arc;

/// The follower's hand on the state.
pub struct SqliteState {
    file: File,
    _lock: Arc<std::fs::File>,
}

struct StateRow<'a> {
    key: &'a str,
    value: &'a [u8],
    seq: i64,
    due: Option<i64>,
}

impl Tuple for StateRow<'_> {
    type Id = StateRow<'static>;
    const INTO: &'static str = "state (key, value, seq, due)";
    const AFTER: &'static str = " ON CONFLICT (key) DO UPDATE SET \
        value = excluded.value, seq = excluded.seq, due = excluded.due";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.text(self.key)?;
        out.bytes(self.value)?;
        out.int(&self.seq)?;
        out.maybe_int(&self.due)
    }
}

impl SqliteState {
    pub(super) fn new(file: File, lock: Arc<std::fs::File>) -> Self {
        Self { file, _lock: lock }
    }
}

impl State for SqliteState {
    fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        self.file.cursor()
    }

    fn put(&mut self, from: Option<Place>, to: Place, rows: &[Row]) -> Result<(), PutError> {
        in_order(rows)?;
        let mut changed = Vec::with_capacity(rows.len());
        let mut gone = Vec::new();
        for row in rows {
            match &row.value {
                Some(value) => {
                    changed.push(StateRow { key: &row.key, value, seq: integer(row.seq)?, due: row.due })
                }
                None => gone.push(row.key.as_str()),
            }
        }
        let step = Step::new(from, to)?;
        let done = self.file.connection.immediate_transaction(|connection| {
            step.with(&mut Link::Sqlite(connection), |_| Ok(()))?;
            // Each key comes once, so changes and deletions do not meet.
            insert(connection, &changed)?;
            if !gone.is_empty() {
                Delete { keys: json(&gone) }.execute(connection)?;
            }
            Ok(())
        });
        done.map_err(|ended: Ended| ended.or_fault(self.file.named(), "put records"))
    }

    fn wipe(&mut self) -> Result<(), Fault> {
        self.file.run("forget the state", |connection| {
            connection.immediate_transaction(|connection| {
                diesel::delete(state::table).execute(connection)?;
                diesel::delete(cursor::table).execute(connection).map(|_| ())
            })
        })
    }
}

/// Keys as an array for the statements that take many.
pub(super) fn json<T: serde::Serialize>(keys: &[T]) -> String {
    // Strings always serialise.
    serde_json::to_string(keys).unwrap_or_default()
}
