//! Rows to insert, many at once.
//!
//! Owns: how a row says what it holds. Each database takes many of them in its own way: SQLite fifty a statement,
//! PostgreSQL all of them, column by column.
//! Promises: the cells come in the order of the columns.
//! Refuses to know: what is inserted.

use diesel::QueryResult;

/// A row that can be inserted.
pub(crate) trait Tuple {
    /// Stands for the type in the cache of prepared statements.
    type Id: 'static;
    /// The table, and its columns in brackets.
    const INTO: &'static str;
    /// The statement after the last row.
    const AFTER: &'static str;

    /// Hands over the row's cells.
    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()>;
}

/// Takes the cells of rows.
pub(crate) trait Cells<'b> {
    /// A `BigInt`.
    fn int(&mut self, value: &'b i64) -> QueryResult<()>;
    /// A `Nullable<BigInt>`.
    fn maybe_int(&mut self, value: &'b Option<i64>) -> QueryResult<()>;
    /// An `Integer`.
    fn small(&mut self, value: &'b i32) -> QueryResult<()>;
    /// A `Bool`.
    fn flag(&mut self, value: &'b bool) -> QueryResult<()>;
    /// A `Text`.
    fn text(&mut self, value: &'b str) -> QueryResult<()>;
    /// A `Nullable<Text>`.
    fn maybe_text(&mut self, value: Option<&'b str>) -> QueryResult<()>;
    /// A `Binary`.
    fn bytes(&mut self, value: &'b [u8]) -> QueryResult<()>;
}
