//! Reading the views, from any thread.
//!
//! Owns: read-only connections; the questions stand with their views.
//! Promises: nobody waits for the follower, nor it for a reader; an answer is of one moment and says of
//! which.
//! Refuses to know: who may see what.

use crate::store::base::{Lent, Link, Pool};
use crate::store::cursor::{place, read_cursor};
use crate::store::named::Named;
use crate::store::postgres::Purpose;
use crate::store::sqlite::Kind;
use crate::store::{Fault, Home, Place};
use crate::types::{Money, Time};
use diesel::QueryResult;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// A handle for reading; its clones share their connections.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

/// An answer, and how far the views had followed the log when it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown<T> {
    /// The last entry that the answer shows; `None` if there was none yet.
    pub as_of: Option<Place>,
    /// The answer.
    pub what: T,
}

impl Reader {
    /// Opens the views of a network for reading only. They must be there: a follower makes them.
    pub fn open(home: impl Into<Home>) -> Result<Self, Fault> {
        Ok(Self { pool: Arc::new(Pool::open(&home.into(), Kind::Views, Purpose::ReadViews)?) })
    }

    /// How far the views have followed the log.
    pub fn cursor(&self) -> Result<Option<Place>, Fault> {
        self.show("read the cursor", |_| Ok(()), |_, ()| Ok(())).map(|shown| shown.as_of)
    }

    /// Lends a connection, to ask something that may be asked twice.
    pub(super) fn with<T>(&self, work: impl Fn(Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.pool.with(work)
    }

    /// Lends a connection for longer work, which fails if the connection is lost.
    pub(super) fn once<T>(&self, work: impl FnOnce(Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.pool.once(work)
    }

    /// Asks and reads the cursor in one moment, then makes the rows into an answer; `doing` completes
    /// "could not …".
    pub(super) fn show<R, T>(
        &self,
        doing: &'static str,
        query: impl Fn(&mut Link<'_>) -> QueryResult<R>,
        answer: impl FnOnce(&Named, R) -> Result<T, Fault>,
    ) -> Result<Shown<T>, Fault> {
        let (named, cursor, rows) = self.with(|mut lent| {
            let (cursor, rows) =
                lent.still(doing, |connection| Ok((read_cursor(connection)?, query(connection)?)))?;
            Ok((lent.named().clone(), cursor, rows))
        })?;
        Ok(Shown { as_of: place(&named, cursor)?, what: answer(&named, rows)? })
    }
}

/// A text that was written from a value of this type.
pub(super) fn parsed<T>(file: &Named, place: &str, text: &str) -> Result<T, Fault>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|e| file.damaged(place, e))
}

/// An instant that was written as microseconds.
pub(super) fn time(file: &Named, place: &str, micros: i64) -> Result<Time, Fault> {
    Time::from_micros(micros).ok_or_else(|| file.damaged(place, format!("{micros} is not an instant")))
}

/// An amount of money that was written as minor units.
pub(super) fn money(file: &Named, place: &str, minor: i64) -> Result<Money, Fault> {
    let amount = u64::try_from(minor).ok().and_then(Money::new);
    amount.ok_or_else(|| file.damaged(place, format!("{minor} is not an amount")))
}
