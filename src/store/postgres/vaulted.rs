//! The vault's connection.
//!
//! Owns: one connection to the schema `vault`, and the lock under which it is written to.
//! Promises: what was written is durable; those who write, in this program or another, take turns, as with a file. A
//! connection that was lost while nobody used it is opened anew; one that is lost in the midst of something is an
//! error, and whether it took effect is not known.
//! Refuses to know: what the records say.

use super::super::fault::Fault;
use super::driver::PgConnection;
use super::schema::{self, Schema};
use super::session::{Database, Purpose, Session};
use diesel::connection::SimpleConnection;

/// The advisory lock of those who write: 'tallyvlt'.
const WRITING: i64 = i64::from_be_bytes(*b"tallyvlt");

/// See the module.
pub(crate) struct Vaulted {
    database: Database,
    /// None after a fault.
    session: Option<Session>,
}

impl Vaulted {
    /// Opens the vault, making its schema if it is not there, and bringing it up to date.
    pub(crate) fn open(database: &Database) -> Result<Self, Fault> {
        database.migrate()?;
        Ok(Self { database: database.clone(), session: Some(database.open(Purpose::Vault)?) })
    }

    /// Whether a vault was begun.
    pub(crate) fn exists(database: &Database) -> Result<bool, Fault> {
        let mut session = database.connect(Purpose::Migrate(Schema::Vault))?;
        schema::filled(&mut session, Schema::Vault, "vault").map_err(|fault| session.lost(fault))
    }

    fn session(&mut self) -> Result<Session, Fault> {
        match self.session.take().and_then(Session::if_alive) {
            Some(session) => Ok(session),
            None => self.database.open(Purpose::Vault),
        }
    }

    /// Does something in one transaction, alone.
    pub(crate) fn write<T, E>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Fault> + From<diesel::result::Error>,
    {
        self.transaction(|connection| {
            connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({WRITING})"))?;
            work(connection)
        })
    }

    /// Does something that changes nothing.
    pub(crate) fn read<T, E>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Fault> + From<diesel::result::Error>,
    {
        self.transaction(|connection| {
            connection.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
            work(connection)
        })
    }

    fn transaction<T, E>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Fault> + From<diesel::result::Error>,
    {
        let mut session = self.session()?;
        session.forget_warning();
        let done = session.transaction(work);
        if done.is_err() && !session.alive() {
            return Err(session.named().lost("the connection was lost in the midst of it").into());
        }
        // What the vault says no to is no fault of the database; that nothing was allowed at all is.
        if done.is_err() {
            session.permitted("use the vault")?;
        }
        session.no_warning()?;
        self.session = Some(session);
        done
    }

    /// Frees what was deleted. Whoever may not do that is told so in the server's log only.
    pub(crate) fn vacuum(&mut self) -> Result<(), Fault> {
        let mut session = self.session()?;
        session.run_long("free what was erased", |connection| {
            connection.batch_execute("VACUUM wallet, alias, account, record")
        })?;
        self.session = Some(session);
        Ok(())
    }
}
