//! One connection to PostgreSQL: how it is opened, and how its errors are named.
//!
//! Owns: the settings of every connection, and the database that they lead to.
//! Promises: a connection that opened is to a database of this version's schemas.
//! Refuses to know: what the tables hold.

use super::super::base::Link;
use super::super::cursor::{place, read_cursor};
use super::super::fault::Fault;
use super::super::named::Named;
use super::super::port::Place;
use super::address::{Address, cause};
use super::driver::{Driver, PgConnection};
use super::schema::{self, Schema};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_async::AsyncPgConnection;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a server may take from the first byte until it is ready for questions; each of several.
const GREETING: Duration = Duration::from_secs(10);

/// A database that a network is kept in; its clones share one driver.
#[derive(Clone, Debug)]
pub struct Database {
    address: Arc<Address>,
    driver: Arc<OnceLock<Arc<Driver>>>,
}

impl Database {
    /// The database at an address. Nothing is connected to yet.
    pub fn at(address: Address) -> Self {
        Self { address: Arc::new(address), driver: Arc::default() }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn driver(&self) -> Result<Arc<Driver>, Fault> {
        if let Some(driver) = self.driver.get() {
            return Ok(driver.clone());
        }
        let started = Driver::start().map_err(|source| self.folder(source))?;
        Ok(self.driver.get_or_init(|| Arc::new(started)).clone())
    }

    fn folder(&self, source: io::Error) -> Fault {
        Fault::Folder { path: PathBuf::from(self.address.to_string()), source }
    }

    /// Opens a connection for a purpose, whatever the schemas are like.
    pub(super) fn connect(&self, purpose: Purpose) -> Result<Session, Fault> {
        let name = PathBuf::from(format!("{} ({})", self.address, purpose.name()));
        let unreachable = |why: String| Fault::Unreachable { path: name.clone(), why };
        let driver = self.driver()?;
        let Address { config, tls, .. } = Address::clone(&self.address);
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let task = async move {
            let (client, connection) = config.connect(tls.connect()).await.map_err(|e| cause(&e))?;
            let made = AsyncPgConnection::try_from_client_and_connection(client, connection);
            made.await.map_err(|e| e.to_string())
        };
        let greeting = GREETING.saturating_mul(hosts);
        let task = async move {
            let late = |_| Err(format!("no answer within {} s", greeting.as_secs()));
            tokio::time::timeout(greeting, task).await.unwrap_or_else(late)
        };
        let connection = driver.run(task).and_then(|made| made).map_err(unreachable)?;
        let mut session =
            Session { connection: PgConnection::from(connection), named: Named(name), _driver: driver };
        let prepared =
            session.run("prepare the connection", |connection| connection.batch_execute(&purpose.settings()));
        match prepared {
            Ok(()) => Ok(session),
            Err(fault) => Err(session.lost(fault)),
        }
    }

    /// Opens a connection for a purpose; its schemas must be there and up to date.
    pub(crate) fn open(&self, purpose: Purpose) -> Result<Session, Fault> {
        let mut session = self.connect(purpose)?;
        for schema in purpose.schemas() {
            schema::check(&mut session, *schema).map_err(|fault| session.lost(fault))?;
        }
        Ok(session)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Writing the log.
    Log,
    /// Following with the state.
    State,
    /// Reading log and state.
    Read,
    /// Following with the views.
    Views,
    /// Reading the views.
    ReadViews,
    /// The vault.
    Vault,
    /// Changing schemas.
    Migrate(Schema),
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::State => "state",
            Self::Read => "log and state",
            Self::Views | Self::ReadViews => "views",
            Self::Vault => "vault",
            Self::Migrate(schema) => schema.name(),
        }
    }

    pub(super) fn schemas(self) -> &'static [Schema] {
        match self {
            Self::Log => &[Schema::Log],
            Self::State => &[Schema::State],
            Self::Read => &[Schema::State, Schema::Log],
            Self::Views | Self::ReadViews => &[Schema::Views],
            Self::Vault => &[Schema::Vault],
            Self::Migrate(_) => &[],
        }
    }

    /// The log and the vault answer for what was acknowledged, so each commit waits for the disk, and for the standby
    /// if there is one. What follows the log is in the same write-ahead log, behind what it follows, and can be
    /// made again. What this node holds is given up soon after the server heard from it last. Statements that are prepared once are planned once: a look-up of many keys takes its index, and
    /// is not planned anew for each number of keys.
    fn settings(self) -> String {
        const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                               WHERE current_setting('synchronous_commit') <> 'remote_apply'; ";
        const FOLLOWING: &str = "SET synchronous_commit TO off; ";
        // All statements of one transaction see one moment.
        const READING: &str = "SET default_transaction_read_only TO on; \
                               SET default_transaction_isolation TO 'repeatable read'; ";
        let (path, more) = match self {
            Self::Log => ("log", DURABLE),
            Self::State => ("state", FOLLOWING),
            Self::Read => ("state, log", READING),
            Self::Views => ("views", FOLLOWING),
            Self::ReadViews => ("views", READING),
            Self::Vault => ("vault", DURABLE),
            Self::Migrate(schema) => (schema.name(), ""),
        };
        format!(
            "{more}SET search_path TO {path}; SET plan_cache_mode TO force_generic_plan; \
             SET idle_in_transaction_session_timeout TO '30s'; SET lock_timeout TO '60s'; \
             SET tcp_keepalives_idle TO 30; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 4"
        )
    }
}

/// An open connection.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    named: Named,
    // After the connection, which it moves the bytes of.
    _driver: Arc<Driver>,
}

impl Session {
    /// Runs a query or several; `doing` completes "could not …".
    pub(crate) fn run<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        work(&mut self.connection).map_err(|source| self.named.fault(doing, source))
    }

    /// The connection, if the other side still answers.
    pub(crate) fn if_alive(mut self) -> Option<Self> {
        self.alive().then_some(self)
    }

    /// A fault as it is named if the connection does not answer any more.
    pub(crate) fn lost(&mut self, fault: Fault) -> Fault {
        match fault {
            Fault::Database { .. } if !self.alive() => self.named.lost(fault),
            fault => fault,
        }
    }

    /// Whether the other side still answers.
    pub(crate) fn alive(&mut self) -> bool {
        self.connection.batch_execute("SELECT 1").is_ok()
    }

    /// How far a follower is.
    pub(super) fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        let row = self.run("read the cursor", |connection| read_cursor(&mut Link::Postgres(connection)))?;
        place(&self.named, row)
    }

    /// What its errors are named after.
    pub(crate) fn named(&self) -> &Named {
        &self.named
    }
}
