//! Questions about movements that take one statement a walk.
//!
//! Owns: the look-up of many accounts' heads, and the walks from a movement backwards.
//! Promises: each is one statement, which touches no more rows than it walks over.
//! Refuses to know: what the rows mean.

use super::movements::ROOM;
use crate::store::base::Base;
use crate::store::postgres::PgConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, Nullable};
use diesel::sqlite::{Sqlite, SqliteConnection};

/// The heads of many accounts on SQLite: where each key stands among `keys`, and its first and last movement.
pub(super) struct InOneText {
    /// Keys of 16 bytes, one after the other.
    pub(super) keys: Vec<u8>,
    /// The place of the last key.
    pub(super) last: i64,
}

impl QueryId for InOneText {
    type QueryId = Self;
}

impl Query for InOneText {
    type SqlType = (BigInt, BigInt, BigInt);
}

impl QueryFragment<Sqlite> for InOneText {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("WITH RECURSIVE key(at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM key WHERE at < ");
        out.push_bind_param::<BigInt, _>(&self.last)?;
        // CROSS JOIN keeps SQLite from turning the join around and reading the whole table.
        out.push_sql(
            ") SELECT key.at, h.first, h.last FROM key CROSS JOIN heads AS h ON h.account = substr(",
        );
        out.push_bind_param::<Binary, _>(&self.keys)?;
        out.push_sql(", key.at * 16 + 1, 16)");
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for InOneText {}

/// The same on PostgreSQL.
pub(super) struct InOneArray<'a> {
    pub(super) keys: Vec<&'a [u8]>,
}

impl QueryId for InOneArray<'_> {
    type QueryId = InOneArray<'static>;
}

impl Query for InOneArray<'_> {
    type SqlType = (BigInt, BigInt, BigInt);
}

impl QueryFragment<Pg> for InOneArray<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT key.at - 1, h.first, h.last FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.keys)?;
        out.push_sql(") WITH ORDINALITY AS key(account, at) JOIN heads AS h ON h.account = key.account");
        Ok(())
    }
}

impl RunQueryDsl<PgConnection> for InOneArray<'_> {}

/// A walk from a movement backwards.
pub(super) struct Walk {
    pub(super) from: i64,
    pub(super) limit: i64,
}

impl QueryId for Walk {
    type QueryId = Self;
}

impl Query for Walk {
    type SqlType = (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, Nullable<BigInt>);
}

impl<DB: Base> QueryFragment<DB> for Walk
where
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "WITH RECURSIVE step AS (SELECT id, prev, kind, other, amount, balance, at, payment \
             FROM movements WHERE id = ",
        );
        out.push_bind_param::<BigInt, _>(&self.from)?;
        // A movement that is not older than the one that points at it is damage, and would never end.
        out.push_sql(
            " UNION ALL SELECT m.id, m.prev, m.kind, m.other, m.amount, m.balance, m.at, m.payment \
             FROM step ",
        );
        out.push_sql(DB::NESTED);
        out.push_sql(" movements AS m ON m.id = step.prev AND m.id < step.id");
        if DB::LIMIT_WITHIN {
            out.push_sql(" LIMIT ");
            out.push_bind_param::<BigInt, _>(&self.limit)?;
        }
        out.push_sql(") SELECT id, kind, other, amount, balance, at, payment FROM step");
        if !DB::LIMIT_WITHIN {
            out.push_sql(" LIMIT ");
            out.push_bind_param::<BigInt, _>(&self.limit)?;
        }
        Ok(())
    }
}

impl<C: diesel::Connection> RunQueryDsl<C> for Walk {}

/// A walk from a movement backwards to the first that is old enough: its balance.
pub(super) struct Back {
    pub(super) from: i64,
    /// Not later than this.
    pub(super) at: i64,
    /// Lower than this.
    pub(super) id: i64,
}

impl QueryId for Back {
    type QueryId = Self;
}

impl Query for Back {
    type SqlType = BigInt;
}

impl<DB: Base> QueryFragment<DB> for Back
where
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("WITH RECURSIVE step AS (SELECT id, prev, at, balance FROM movements WHERE id = ");
        out.push_bind_param::<BigInt, _>(&self.from)?;
        out.push_sql(
            " UNION ALL SELECT m.id, m.prev, m.at, m.balance \
             FROM step ",
        );
        out.push_sql(DB::NESTED);
        out.push_sql(" movements AS m ON m.id = step.prev AND m.id < step.id WHERE step.at > ");
        out.push_bind_param::<BigInt, _>(&self.at)?;
        out.push_sql(" OR step.id >= ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        out.push_sql(") SELECT balance FROM step WHERE at <= ");
        out.push_bind_param::<BigInt, _>(&self.at)?;
        out.push_sql(" AND id < ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        Ok(())
    }
}

impl<C: diesel::Connection> RunQueryDsl<C> for Back {}

/// A walk from a movement backwards to an entry: the first entries after that one, in order.
pub(super) struct Since {
    pub(super) from: i64,
    /// Movements from this one on.
    pub(super) id: i64,
    pub(super) limit: i64,
}

impl QueryId for Since {
    type QueryId = Self;
}

impl Query for Since {
    type SqlType = BigInt;
}

impl<DB: Base> QueryFragment<DB> for Since
where
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("WITH RECURSIVE step AS (SELECT id, prev FROM movements WHERE id = ");
        out.push_bind_param::<BigInt, _>(&self.from)?;
        out.push_sql(" AND id >= ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        out.push_sql(
            " UNION ALL SELECT m.id, m.prev \
             FROM step ",
        );
        out.push_sql(DB::NESTED);
        out.push_sql(" movements AS m ON m.id = step.prev AND m.id < step.id WHERE m.id >= ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        out.push_sql(") SELECT DISTINCT id / ");
        out.push_bind_param::<BigInt, _>(&ROOM)?;
        out.push_sql(" FROM step ORDER BY 1 LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        Ok(())
    }
}

impl<C: diesel::Connection> RunQueryDsl<C> for Since {}
