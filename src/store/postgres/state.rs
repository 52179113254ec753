//! The state's follower on PostgreSQL.
//!
//! Owns: the schema `state` for writing: records and the cursor.
//! Promises: a put is one statement, and what it writes hangs on the cursor having moved. A connection that is lost
//! is opened anew, and the cursor says whether the put came through; while the database is away, a put waits.
//! Refuses to know: what a record says; reading is `reader`'s.

use super::super::fault::{Fault, PutError};
use super::super::page::integer;
use super::super::port::{Place, Row, State, in_order};
use super::super::tables::{cursor, state};
use super::again::Again;
use super::driver::PgConnection;
use super::session::{Database, Purpose};
use crate::types::Hash;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};

/// The follower's hand on the state.
pub struct PostgresState {
    link: Again,
}

impl PostgresState {
    /// Opens it; its schema is up to date.
    pub fn open(database: &Database) -> Result<Self, Fault> {
        Ok(Self { link: Again::open(database, Purpose::State)? })
    }
}

impl State for PostgresState {
    fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        self.link.cursor()
    }

    fn put(&mut self, from: Option<Place>, to: Place, rows: &[Row]) -> Result<(), PutError> {
        in_order(rows)?;
        let put = Put::new(from, to, rows)?;
        self.link.follow(to, |session| {
            // To the end of the answer: the commit comes behind the row.
            let moved: Vec<i64> = session.run("put records", |connection| (&put).load(connection))?;
            Ok(moved == [1])
        })
    }

    fn comes_back(&self) -> bool {
        self.link.is_unsure()
    }

    fn wipe(&mut self) -> Result<(), Fault> {
        self.link.with(|session| {
            session.run_long("forget the state", |connection| {
                connection.transaction(|connection| {
                    diesel::delete(state::table).execute(connection)?;
                    diesel::delete(cursor::table).execute(connection).map(|_| ())
                })
            })
        })
    }
}

/// The compare-and-swap on a cursor, up to its `RETURNING`, as a common table expression `moved`.
struct Move {
    from: Option<(i64, Hash)>,
    to: (i64, Hash),
}

impl Move {
    fn new(from: Option<Place>, to: Place) -> Result<Self, Fault> {
        let from = from.map(|place| Ok::<_, Fault>((integer(place.seq)?, place.hash))).transpose()?;
        Ok(Self { from, to: (integer(to.seq)?, to.hash) })
    }

    fn walk<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (seq, hash) = &self.to;
        match &self.from {
            Some((from, before)) => {
                out.push_sql("UPDATE cursor SET seq = ");
                out.push_bind_param::<BigInt, _>(seq)?;
                out.push_sql(", hash = ");
                out.push_bind_param::<Binary, [u8]>(&hash.0)?;
                out.push_sql(" WHERE id = 1 AND seq = ");
                out.push_bind_param::<BigInt, _>(from)?;
                out.push_sql(" AND hash = ");
                out.push_bind_param::<Binary, [u8]>(&before.0)
            }
            None => {
                out.push_sql("INSERT INTO cursor (id, seq, hash) VALUES (1, ");
                out.push_bind_param::<BigInt, _>(seq)?;
                out.push_sql(", ");
                out.push_bind_param::<Binary, [u8]>(&hash.0)?;
                out.push_sql(") ON CONFLICT (id) DO NOTHING");
                Ok(())
            }
        }
    }
}

/// A put as one statement; its answer is how many cursors moved: one, or none.
struct Put<'a> {
    step: Move,
    keys: Vec<&'a str>,
    values: Vec<&'a [u8]>,
    seqs: Vec<i64>,
    dues: Vec<Option<i64>>,
    gone: Vec<&'a str>,
}

impl<'a> Put<'a> {
    fn new(from: Option<Place>, to: Place, rows: &'a [Row]) -> Result<Self, Fault> {
        let step = Move::new(from, to)?;
        let mut put = Self { step, keys: vec![], values: vec![], seqs: vec![], dues: vec![], gone: vec![] };
        for row in rows {
            match &row.value {
                Some(value) => {
                    put.keys.push(&row.key);
                    put.values.push(value);
                    put.seqs.push(integer(row.seq)?);
                    put.dues.push(row.due);
                }
                None => put.gone.push(&row.key),
            }
        }
        Ok(put)
    }
}

impl QueryId for Put<'_> {
    // Two texts, so the cache of prepared statements goes by the text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Put<'_> {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for Put<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH moved AS (");
        self.step.walk(&mut out)?;
        // Each key comes once, so changes and deletions do not meet.
        out.push_sql(
            " RETURNING 1), written AS (INSERT INTO state (key, value, seq, due) SELECT r.* FROM moved, unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.values)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.dues)?;
        out.push_sql(
            ") AS r ON CONFLICT (key) DO UPDATE SET value = excluded.value, seq = excluded.seq, \
             due = excluded.due), deleted AS (DELETE FROM state USING moved WHERE key = ANY(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.gone)?;
        out.push_sql(")) SELECT count(*) FROM moved");
        Ok(())
    }
}

impl RunQueryDsl<PgConnection> for &Put<'_> {}
