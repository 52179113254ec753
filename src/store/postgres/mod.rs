//! The store on PostgreSQL: a schema for the log and one for the state, in one database.
//!
//! Owns: which connections are open: one writer of the log, one of the state, a small pool of readers.
//! Promises: a second writer is refused, and a deposed one changes nothing; a connection that is lost is opened anew.
//! Refuses to know: what is in the log and the state.

mod address;
mod again;
#[cfg(test)]
mod among;
mod driver;
mod grants;
mod lease;
mod log;
mod pool;
mod reader;
mod schema;
mod session;
mod state;
mod statement;
#[cfg(test)]
mod tests;
mod tls;
mod vaulted;
mod watch;

use super::fault::Fault;

pub(crate) use again::Again;
pub(crate) use driver::PgConnection;
pub(crate) use pool::Pool;
pub(crate) use session::{Purpose, Session};
pub(crate) use statement::insert;
pub(crate) use vaulted::Vaulted;

pub use address::Address;
pub use lease::{Held, Lease};
pub use log::PostgresLog;
pub use reader::PostgresReader;
pub use session::Database;
pub use state::PostgresState;

/// A database, opened by its one writer. The three faces go to the threads that use them.
pub struct Postgres {
    /// The writer's hand on the log.
    pub log: PostgresLog,
    /// The follower's hand on the state.
    pub state: PostgresState,
    /// Reads; clone it freely.
    pub reader: PostgresReader,
}

impl Postgres {
    /// Opens the database, making its schemas if they are not there and bringing them up to date.
    pub fn open(database: &Database) -> Result<Self, Fault> {
        schema::migrate(database)?;
        Ok(Self {
            log: PostgresLog::open(database)?,
            state: PostgresState::open(database)?,
            reader: PostgresReader::open(database)?,
        })
    }
}

impl Database {
    /// Whether a log was begun in it.
    pub fn exists(&self) -> Result<bool, Fault> {
        let mut session = self.connect(Purpose::Migrate(schema::Schema::Log))?;
        schema::filled(&mut session, schema::Schema::Log, "tip").map_err(|fault| session.lost(fault))
    }

    /// What a server says of itself and of what a commit waits for.
    pub fn described(&self) -> Result<String, Fault> {
        let mut session = self.connect(Purpose::Log)?;
        schema::described(&mut session)
    }

    /// Bytes that the tables and indexes of a network take.
    pub fn size(&self) -> Result<u64, Fault> {
        let mut session = self.connect(Purpose::Log)?;
        schema::size(&mut session)
    }

    /// Removes everything that a network left in it. It must not be open.
    pub fn clear(&self) -> Result<(), Fault> {
        schema::clear(self)
    }

    /// Brings every schema up to date. Returns the names of the migrations that were carried out.
    pub fn migrate(&self) -> Result<Vec<String>, Fault> {
        schema::migrate(self)
    }
}
