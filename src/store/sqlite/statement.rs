//! Statements for many rows at once.
//!
//! Owns: the insert of many rows by one statement, and the look-up of many keys by one statement.
//! Promises: a statement's text depends on its type alone, so that each is prepared once a connection.
//! Refuses to know: what is inserted.
//!
//! Why not Diesel's own insert: on SQLite it runs a statement a row. Measured side by side, 1,000 rows of
//! 300 bytes a commit: a statement a row 1.5 µs a row, fifty rows a statement 1.1 µs, a JSON array of
//! offsets into one large blob 1.2 µs. Look-ups of 10,000 keys among 20,000: a JSON array joined to the
//! table 1.6 µs a key, `VALUES` of fifty 1.5 µs, `IN` of fifty 1.9 µs, a statement a key 2.5 µs; the array
//! is one statement for any number of keys.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use std::marker::PhantomData;

/// A row that can be inserted.
pub(crate) trait Tuple {
    /// Stands for the type in the cache of prepared statements.
    type Id: 'static;
    /// The statement up to the first row.
    const INSERT: &'static str;
    /// The statement after the last row.
    const AFTER: &'static str;

    /// The row's values, with the commas between them.
    fn values<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
}

/// Inserts rows, in their order, by few statements.
pub(crate) fn insert<T: Tuple>(connection: &mut SqliteConnection, rows: &[T]) -> QueryResult<()> {
    let (fifties, rest) = rows.as_chunks::<50>();
    let (fives, ones) = rest.as_chunks::<5>();
    for rows in fifties {
        Insert(rows).execute(connection)?;
    }
    for rows in fives {
        Insert(rows).execute(connection)?;
    }
    for row in ones {
        Insert(std::array::from_ref(row)).execute(connection)?;
    }
    Ok(())
}

struct Insert<'a, T, const N: usize>(&'a [T; N]);

/// What tells one prepared insert from another.
struct InsertId<I, const N: usize>(PhantomData<I>);

impl<T: Tuple, const N: usize> QueryId for Insert<'_, T, N> {
    type QueryId = InsertId<T::Id, N>;
}

impl<T: Tuple, const N: usize> QueryFragment<Sqlite> for Insert<'_, T, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(T::INSERT);
        let mut before = " (";
        for row in self.0 {
            out.push_sql(before);
            row.values(&mut out)?;
            before = "), (";
        }
        out.push_sql(")");
        out.push_sql(T::AFTER);
        Ok(())
    }
}

impl<T, const N: usize> RunQueryDsl<SqliteConnection> for Insert<'_, T, N> {}

/// The records under the keys of a JSON array, in its order.
pub(super) struct Lookup {
    /// An array of strings.
    pub(super) keys: String,
}

impl QueryId for Lookup {
    type QueryId = Self;
}

impl Query for Lookup {
    type SqlType = (Text, Binary, BigInt, Nullable<BigInt>);
}

impl QueryFragment<Sqlite> for Lookup {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // CROSS JOIN keeps SQLite from turning the join around and reading the whole table.
        out.push_sql("SELECT s.key, s.value, s.seq, s.due FROM json_each(");
        out.push_bind_param::<Text, _>(&self.keys)?;
        out.push_sql(") AS j CROSS JOIN state AS s ON s.key = j.value");
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for Lookup {}

/// Deletes the records under the keys of a JSON array.
pub(super) struct Delete {
    /// An array of strings.
    pub(super) keys: String,
}

impl QueryId for Delete {
    type QueryId = Self;
}

impl QueryFragment<Sqlite> for Delete {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("DELETE FROM state WHERE key IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.keys)?;
        out.push_sql("))");
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for Delete {}
