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
use super::grants;
use super::schema::{self, Schema};
use super::watch::Watch;
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
        let Address { config, tls, answer_within, .. } = Address::clone(&self.address);
        let patience = purpose.patience().map(|own| answer_within.unwrap_or(own));
        let watch = Watch::new(patience);
        let watching = watch.clone();
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let task = async move {
            let (client, connection) = config.connect(tls.connect()).await.map_err(|e| cause(&e))?;
            tokio::spawn(watching.drive(connection));
            AsyncPgConnection::try_from(client).await.map_err(|e| e.to_string())
        };
        let greeting = GREETING.saturating_mul(hosts);
        let task = async move {
            let late = |_| Err(format!("no answer within {} s", greeting.as_secs()));
            tokio::time::timeout(greeting, task).await.unwrap_or_else(late)
        };
        let connection = driver.run(task).and_then(|made| made).map_err(unreachable)?;
        let connection = PgConnection::from(connection);
        let bound = bounded(patience);
        let mut session = Session { connection, named: Named(name), watch, purpose, bound, _driver: driver };
        let settings = format!("{}; {}", purpose.settings(), session.bound);
        let prepared =
            session.run("prepare the connection", |connection| connection.batch_execute(&settings));
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

/// The server's own bound on a statement: a server that lives says so itself, a little before its patience ends.
fn bounded(patience: Option<Duration>) -> String {
    let most = patience.map_or(0, |patience| patience.as_millis() * 4 / 5);
    format!("SET statement_timeout TO {most}")
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
    /// The lease of the writer.
    Lease,
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
            Self::Lease => "lease",
            Self::Migrate(schema) => schema.name(),
        }
    }

    /// How long an answer may take before the server counts as lost; work that takes as long as it takes is not
    /// bounded. The address may say otherwise.
    fn patience(self) -> Option<Duration> {
        match self {
            Self::Lease => Some(Duration::from_secs(2)),
            Self::Log => Some(Duration::from_secs(10)),
            Self::Read | Self::ReadViews | Self::Vault => Some(Duration::from_secs(20)),
            Self::State | Self::Views => Some(Duration::from_secs(60)),
            Self::Migrate(_) => None,
        }
    }

    pub(super) fn schemas(self) -> &'static [Schema] {
        match self {
            Self::Log | Self::Lease => &[Schema::Log],
            Self::State => &[Schema::State],
            Self::Read => &[Schema::State, Schema::Log],
            Self::Views | Self::ReadViews => &[Schema::Views],
            Self::Vault => &[Schema::Vault],
            Self::Migrate(_) => &[],
        }
    }

    /// The log and the vault answer for what was acknowledged, so each commit waits for the disk, and for the standby
    /// if there is one. So does what follows the log: a server that crashes must not take back a step that its
    /// follower was told of, or the follower finds its cursor moved. The lease is judged anew by whoever comes.
    /// What this node holds is given up soon after the server heard from it last. Statements that are prepared once
    /// are planned once: a look-up of many keys takes its index, and is not planned anew for each number of keys. All
    /// that is asked has an index, and no plan is to think better of it once tables are large.
    ///
    /// Those who follow the log share a lock, by which whoever takes over finds their connections and ends them.
    fn settings(self) -> String {
        const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                               WHERE current_setting('synchronous_commit') <> 'remote_apply'; ";
        const LOOSE: &str = "SET synchronous_commit TO off; ";
        // All statements of one transaction see one moment.
        const READING: &str = "SET default_transaction_read_only TO on; \
                               SET default_transaction_isolation TO 'repeatable read'; ";
        let following = format!("{DURABLE}SELECT pg_advisory_lock_shared({}); ", schema::FOLLOWING);
        let (path, more) = match self {
            Self::Log => ("log", DURABLE),
            Self::State => ("state", following.as_str()),
            Self::Read => ("state, log", READING),
            Self::Views => ("views", following.as_str()),
            Self::ReadViews => ("views", READING),
            Self::Vault => ("vault", DURABLE),
            Self::Lease => ("log", LOOSE),
            Self::Migrate(schema) => (schema.name(), ""),
        };
        format!(
            "{more}SET search_path TO {path}; SET plan_cache_mode TO force_generic_plan; \
             SET enable_seqscan TO off; SET max_parallel_workers_per_gather TO 0; SET jit TO off; \
             SET idle_in_transaction_session_timeout TO '30s'; SET lock_timeout TO '60s'; \
             SET tcp_keepalives_idle TO 30; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 4"
        )
    }
}

/// An open connection.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    named: Named,
    watch: Arc<Watch>,
    purpose: Purpose,
    /// Sets the server's bound on a statement.
    bound: String,
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
        let _asked = self.watch.ask();
        work(&mut self.connection).map_err(|source| self.named.fault(doing, source))
    }

    /// The same for what takes as long as it takes.
    pub(crate) fn run_long<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        let Self { connection, bound, .. } = self;
        let done = connection
            .batch_execute("SET statement_timeout TO 0")
            .and_then(|()| work(connection))
            .and_then(|done| connection.batch_execute(bound).map(|()| done));
        done.map_err(|source| self.named.fault(doing, source))
    }

    /// Does something in one transaction.
    pub(crate) fn transaction<T, E>(
        &mut self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<diesel::result::Error>,
    {
        let _asked = self.watch.ask();
        self.connection.transaction(work)
    }

    /// Forgets what the server warned of before.
    pub(crate) fn forget_warning(&self) {
        drop(self.watch.take_warning());
    }

    /// A fault, if the server warned of something since: a commit that did not wait for its standby, say, whose outcome
    /// is not known then.
    pub(crate) fn no_warning(&self) -> Result<(), Fault> {
        match self.watch.take_warning() {
            None => Ok(()),
            Some(warning) => Err(self.named.lost(format!("the server warned: {warning}"))),
        }
    }

    /// The connection, if the other side still answers.
    pub(crate) fn if_alive(mut self) -> Option<Self> {
        self.alive().then_some(self)
    }

    /// A fault as it is named if the connection does not answer any more, or this account may not do what was asked.
    pub(crate) fn lost(&mut self, fault: Fault) -> Fault {
        match fault {
            Fault::Database { .. } if !self.alive() => self.named.lost(fault),
            Fault::Database { path, doing, source } => {
                let why = source.to_string();
                match self.forbidden(&source) {
                    Some(remedy) => Fault::Forbidden { path, doing, why, remedy },
                    None => Fault::Database { path, doing, source },
                }
            }
            fault => fault,
        }
    }

    /// What to do if that was refused for want of a grant. Which error it is the client does not tell, and its words are
    /// in the server's language: so the server is asked what this account lacks.
    fn forbidden(&mut self, source: &diesel::result::Error) -> Option<String> {
        use diesel::result::{DatabaseErrorKind::Unknown, Error::DatabaseError};
        let DatabaseError(Unknown, said) = source else { return None };
        let denied = said.message().starts_with("permission denied");
        let lacks = grants::lacking(self).unwrap_or_default();
        (denied || !lacks.is_empty()).then(|| grants::remedy(&lacks))
    }

    /// A fault, if this account lacks what its connection is for.
    pub(crate) fn permitted(&mut self, doing: &'static str) -> Result<(), Fault> {
        let lacks = grants::lacking(self)?;
        if lacks.is_empty() {
            return Ok(());
        }
        let (path, why) = (self.named.0.clone(), "permission denied".to_owned());
        Err(Fault::Forbidden { path, doing, why, remedy: grants::remedy(&lacks) })
    }

    /// What it is for.
    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether the other side still answers.
    pub(crate) fn alive(&mut self) -> bool {
        let _asked = self.watch.ask();
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
