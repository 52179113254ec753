//! Either database: what serves a query whichever it goes to.
//!
//! Owns: a connection to either, the connections of a follower and of its readers, and inserting many rows.
//! Promises: a query is written once. `on!` compiles it for both, so that each keeps its types, its text and its
//! prepared statements.
//! Refuses to know: what is asked.

use super::Home;
use super::cursor::{Step, place, read_cursor};
use super::fault::{Fault, PutError};
use super::named::Named;
use super::port::Place;
use super::postgres::{self, Again, PgConnection, Purpose, Session};
use super::rows::Tuple;
use super::sqlite::{self, File, Kind, Mode};
use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::{Sqlite, SqliteConnection};

/// A connection to either database, lent.
pub(crate) enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// Asks the same of whichever database is connected to: `on!(connection, c => query.load(c))`.
macro_rules! on {
    ($connection:expr, $c:ident => $ask:expr) => {
        match $connection {
            $crate::store::base::Link::Sqlite(lent) => {
                let $c = &mut **lent;
                $ask
            }
            $crate::store::base::Link::Postgres(lent) => {
                let $c = &mut **lent;
                $ask
            }
        }
    };
}
pub(crate) use on;

/// What the two databases write differently.
pub(crate) trait Base: Backend {
    /// A join that is carried out as it stands: from the left, by the index of the right. SQLite would turn it round
    /// where it believes that pays, and read a whole table; PostgreSQL knows how many rows there are.
    const NESTED: &'static str;
    /// Whether a recursion is told within how many rows are enough, or whoever reads it just stops.
    const LIMIT_WITHIN: bool;
}

impl Base for Sqlite {
    const NESTED: &'static str = "CROSS JOIN";
    const LIMIT_WITHIN: bool = true;
}

impl Base for Pg {
    const NESTED: &'static str = "JOIN";
    const LIMIT_WITHIN: bool = false;
}

/// Inserts rows, in their order.
pub(crate) fn insert<T: Tuple>(connection: &mut Link<'_>, rows: &[T]) -> QueryResult<()> {
    match connection {
        Link::Sqlite(connection) => sqlite::insert(connection, rows),
        Link::Postgres(connection) => postgres::insert(connection, rows),
    }
}

/// A follower's tables, opened for writing.
pub(crate) enum Tables {
    Sqlite(Box<File>),
    Postgres(Box<Again>),
}

impl Tables {
    /// Opens them, making them if they are not there, and bringing the schema up to date.
    pub(crate) fn open(home: &Home, kind: Kind, purpose: Purpose) -> Result<Self, Fault> {
        match home.database() {
            None => {
                let dir = home.dir();
                let folder = |source| Fault::Folder { path: dir.to_path_buf(), source };
                std::fs::create_dir_all(dir).map_err(folder)?;
                Ok(Self::Sqlite(Box::new(File::open(dir, kind, Mode::Write)?)))
            }
            Some(database) => {
                database.migrate()?;
                Ok(Self::Postgres(Box::new(Again::open(database, purpose)?)))
            }
        }
    }

    /// Whether the last step failed because the database is away, and may be tried again.
    pub(crate) fn comes_back(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(link) => link.is_unsure(),
        }
    }

    /// What their errors are named after.
    pub(crate) fn named(&self) -> Named {
        match self {
            Self::Sqlite(file) => file.named().clone(),
            Self::Postgres(link) => link.named().clone(),
        }
    }

    /// Runs a query or several in one transaction; `doing` completes "could not …".
    pub(crate) fn run<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Link<'_>) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        match self {
            Self::Sqlite(file) => file.run(doing, |connection| {
                connection.immediate_transaction(|connection| work(&mut Link::Sqlite(connection)))
            }),
            Self::Postgres(link) => link.with(|session| {
                session.run(doing, |connection| {
                    connection.transaction(|connection| work(&mut Link::Postgres(connection)))
                })
            }),
        }
    }

    /// The same for what takes as long as it takes.
    pub(crate) fn run_long<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Link<'_>) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        match self {
            Self::Sqlite(_) => self.run(doing, work),
            Self::Postgres(link) => link.with(|session| {
                session.run_long(doing, |connection| {
                    connection.transaction(|connection| work(&mut Link::Postgres(connection)))
                })
            }),
        }
    }

    /// How far the follower is.
    pub(crate) fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        let row = self.run("read the cursor", read_cursor)?;
        place(&self.named(), row)
    }

    /// Moves the cursor and does the rest of the follower's work, in one commit, if the cursor still stands at
    /// `from`; `doing` completes "could not …". The work is done again if a connection was lost in the midst of it.
    pub(crate) fn follow(
        &mut self,
        doing: &'static str,
        from: Option<Place>,
        to: Place,
        mut work: impl FnMut(&mut Link<'_>) -> QueryResult<()>,
    ) -> Result<(), PutError> {
        let step = Step::new(from, to)?;
        match self {
            Self::Sqlite(file) => {
                let done = file
                    .connection
                    .immediate_transaction(|connection| step.with(&mut Link::Sqlite(connection), &mut work));
                done.map_err(|ended| ended.or_fault(file.named(), doing))
            }
            Self::Postgres(link) => link.follow(to, |session| {
                let done =
                    session.transaction(|connection| step.with(&mut Link::Postgres(connection), &mut work));
                match done.map_err(|ended| ended.or_fault(session.named(), doing)) {
                    Ok(()) => Ok(true),
                    Err(PutError::Stale) => Ok(false),
                    Err(PutError::Fault(fault)) => Err(fault),
                }
            }),
        }
    }
}

/// Connections for reading a follower's tables.
pub(crate) enum Pool {
    Sqlite(sqlite::Pool),
    Postgres(postgres::Pool),
}

/// A connection for reading, lent.
pub(crate) enum Lent<'a> {
    Sqlite(&'a mut File),
    Postgres(&'a mut Session),
}

impl Pool {
    /// Opens the first connection. The tables must be there and up to date.
    pub(crate) fn open(home: &Home, kind: Kind, purpose: Purpose) -> Result<Self, Fault> {
        Ok(match home.database() {
            None => Self::Sqlite(sqlite::Pool::open(home.dir(), kind)?),
            Some(database) => Self::Postgres(postgres::Pool::open(database, purpose)?),
        })
    }

    /// Lends a connection, to ask something that may be asked twice.
    pub(crate) fn with<T>(&self, ask: impl Fn(Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Self::Sqlite(pool) => pool.with(|file| ask(Lent::Sqlite(file))),
            Self::Postgres(pool) => pool.with(|session| ask(Lent::Postgres(session))),
        }
    }

    /// Lends a connection for longer work, which fails if the connection is lost.
    pub(crate) fn once<T>(&self, work: impl FnOnce(Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Self::Sqlite(pool) => pool.with(|file| work(Lent::Sqlite(file))),
            Self::Postgres(pool) => pool.once(|session| work(Lent::Postgres(session))),
        }
    }
}

impl Lent<'_> {
    /// What its errors are named after.
    pub(crate) fn named(&self) -> &Named {
        match self {
            Self::Sqlite(file) => file.named(),
            Self::Postgres(session) => session.named(),
        }
    }

    /// Runs a query or several; `doing` completes "could not …".
    pub(crate) fn run<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Link<'_>) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        match self {
            Self::Sqlite(file) => file.run(doing, |c| work(&mut Link::Sqlite(c))),
            Self::Postgres(session) => session.run(doing, |c| work(&mut Link::Postgres(c))),
        }
    }

    /// The same as of one moment.
    pub(crate) fn still<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Link<'_>) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        self.run(doing, |connection| match connection {
            Link::Sqlite(c) => c.transaction(|c| work(&mut Link::Sqlite(c))),
            Link::Postgres(c) => c.transaction(|c| work(&mut Link::Postgres(c))),
        })
    }
}
