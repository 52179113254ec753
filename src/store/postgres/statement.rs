//! Statements for many rows at once.
//!
//! Owns: the insert of any number of rows by one statement: a column is an array, `unnest` makes rows of them.
//! Promises: a statement's text depends on its type alone, so that each is prepared once a connection.
//! Refuses to know: what is inserted.

use super::super::rows::{Cells, Tuple};
use super::driver::PgConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text};
use std::marker::PhantomData;

/// Inserts rows by one statement.
pub(crate) fn insert<T: Tuple>(connection: &mut PgConnection, rows: &[T]) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut columns = Columns { at: 0, all: vec![] };
    for row in rows {
        columns.at = 0;
        row.cells(&mut columns)?;
    }
    Insert::<T>(columns.all, PhantomData).execute(connection).map(|_| ())
}

enum Column<'b> {
    Ints(Vec<i64>),
    MaybeInts(Vec<Option<i64>>),
    Smalls(Vec<i32>),
    Flags(Vec<bool>),
    Texts(Vec<&'b str>),
    MaybeTexts(Vec<Option<&'b str>>),
    Bytes(Vec<&'b [u8]>),
}

/// Columns in the making, and where the next cell goes.
struct Columns<'b> {
    at: usize,
    all: Vec<Column<'b>>,
}

macro_rules! cell {
    ($self:ident, $column:ident, $value:expr) => {{
        if $self.at == $self.all.len() {
            $self.all.push(Column::$column(vec![]));
        }
        match $self.all.get_mut($self.at) {
            Some(Column::$column(cells)) => cells.push($value),
            _ => return Err(diesel::result::Error::QueryBuilderError("rows of different shapes".into())),
        }
        $self.at = $self.at.saturating_add(1);
        Ok(())
    }};
}

impl<'b> Cells<'b> for Columns<'b> {
    fn int(&mut self, value: &'b i64) -> QueryResult<()> {
        cell!(self, Ints, *value)
    }
    fn maybe_int(&mut self, value: &'b Option<i64>) -> QueryResult<()> {
        cell!(self, MaybeInts, *value)
    }
    fn small(&mut self, value: &'b i32) -> QueryResult<()> {
        cell!(self, Smalls, *value)
    }
    fn flag(&mut self, value: &'b bool) -> QueryResult<()> {
        cell!(self, Flags, *value)
    }
    fn text(&mut self, value: &'b str) -> QueryResult<()> {
        cell!(self, Texts, value)
    }
    fn maybe_text(&mut self, value: Option<&'b str>) -> QueryResult<()> {
        cell!(self, MaybeTexts, value)
    }
    fn bytes(&mut self, value: &'b [u8]) -> QueryResult<()> {
        cell!(self, Bytes, value)
    }
}

struct Insert<'a, T>(Vec<Column<'a>>, PhantomData<T>);

/// What tells one prepared insert from another.
struct InsertId<I>(PhantomData<I>);

impl<T: Tuple> QueryId for Insert<'_, T> {
    type QueryId = InsertId<T::Id>;
}

impl<T: Tuple> QueryFragment<Pg> for Insert<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_sql(T::INTO);
        let mut before = " SELECT * FROM unnest(";
        for column in &self.0 {
            out.push_sql(before);
            match column {
                Column::Ints(all) => out.push_bind_param::<Array<BigInt>, _>(all)?,
                Column::MaybeInts(all) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(all)?,
                Column::Smalls(all) => out.push_bind_param::<Array<Integer>, _>(all)?,
                Column::Flags(all) => out.push_bind_param::<Array<Bool>, _>(all)?,
                Column::Texts(all) => out.push_bind_param::<Array<Text>, _>(all)?,
                Column::MaybeTexts(all) => out.push_bind_param::<Array<Nullable<Text>>, _>(all)?,
                Column::Bytes(all) => out.push_bind_param::<Array<Binary>, _>(all)?,
            }
            before = ", ";
        }
        out.push_sql(")");
        out.push_sql(T::AFTER);
        Ok(())
    }
}

impl<T> RunQueryDsl<PgConnection> for Insert<'_, T> {}
