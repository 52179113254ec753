//! The schemas of a database: which there are, and how they come to be.
//!
//! Owns: the migrations, one row of them a schema, and the lock under which they are carried out.
//! Promises: two programs that start at once do not migrate at once; what another program made is left alone; whoever
//! may not change a schema can still use one that is up to date.
//! Refuses to know: what the tables hold.

use super::super::fault::Fault;
use super::driver::PgConnection;
use super::session::{Database, Purpose, Session};
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

const LOG: EmbeddedMigrations = embed_migrations!("migrations/postgres/log");
const STATE: EmbeddedMigrations = embed_migrations!("migrations/postgres/state");
const VIEWS: EmbeddedMigrations = embed_migrations!("migrations/postgres/views");
const VAULT: EmbeddedMigrations = embed_migrations!("migrations/postgres/vault");

/// The advisory lock of migrations: 'tallymig'.
const MIGRATING: i64 = i64::from_be_bytes(*b"tallymig");
/// The advisory lock of the one writer: 'tallywri'.
const WRITING: i64 = i64::from_be_bytes(*b"tallywri");
/// The advisory lock that those share who follow the log with state and views: 'tallyfol'.
pub(super) const FOLLOWING: i64 = i64::from_be_bytes(*b"tallyfol");

/// A schema of the database; the network of a database has one of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Schema {
    Log,
    State,
    Views,
    Vault,
}

impl Schema {
    pub(crate) const ALL: [Self; 4] = [Self::Log, Self::State, Self::Views, Self::Vault];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::State => "state",
            Self::Views => "views",
            Self::Vault => "vault",
        }
    }

    pub(crate) fn migrations(self) -> EmbeddedMigrations {
        match self {
            Self::Log => LOG,
            Self::State => STATE,
            Self::Views => VIEWS,
            Self::Vault => VAULT,
        }
    }

    fn known(self) -> diesel::migration::Result<BTreeSet<String>> {
        let migrations: Vec<Box<dyn Migration<Pg>>> = self.migrations().migrations()?;
        Ok(migrations.iter().map(|m| m.name().version().to_string()).collect())
    }
}

/// What stands in a database under a schema's name.
enum Found {
    /// Nothing.
    Nothing,
    /// Ours, with these migrations.
    Ours(BTreeSet<String>),
    /// Something else.
    Foreign,
}

fn look(connection: &mut PgConnection, schema: Schema) -> QueryResult<Found> {
    let of = |text: &str| text.replace("SCHEMA", schema.name());
    let count = "SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('SCHEMA')";
    let tables: i64 = diesel::dsl::sql::<BigInt>(&of(count)).get_result(connection)?;
    if tables == 0 {
        return Ok(Found::Nothing);
    }
    let ours = "SELECT to_regclass('SCHEMA.__diesel_schema_migrations') IS NOT NULL";
    if !diesel::dsl::sql::<Bool>(&of(ours)).get_result::<bool>(connection)? {
        return Ok(Found::Foreign);
    }
    let applied = "SELECT version FROM SCHEMA.__diesel_schema_migrations";
    let applied: Vec<String> = diesel::dsl::sql::<Text>(&of(applied)).load(connection)?;
    Ok(Found::Ours(applied.into_iter().collect()))
}

/// Refuses a schema that is not there, not ours, or of another version.
pub(super) fn check(session: &mut Session, schema: Schema) -> Result<(), Fault> {
    match missing(session, schema)? {
        None => Ok(()),
        Some(version) => Err(session.named().foreign(format!(
            "its schema {} lacks {version}; let the writer open it first, or `tallyhouse migrate`",
            schema.name()
        ))),
    }
}

/// The first migration that a schema lacks.
fn missing(session: &mut Session, schema: Schema) -> Result<Option<String>, Fault> {
    let found = session.run("look at the schemas", |connection| look(connection, schema))?;
    let known = schema.known().map_err(|e| session.named().foreign(e.to_string()))?;
    let applied = match found {
        Found::Nothing => BTreeSet::new(),
        Found::Ours(applied) => applied,
        Found::Foreign => {
            let name = schema.name();
            return Err(session.named().foreign(format!("its schema {name} is another program's")));
        }
    };
    if let Some(version) = applied.difference(&known).next() {
        let name = schema.name();
        return Err(session
            .named()
            .foreign(format!("a newer version of this program wrote it (schema {name}, {version})")));
    }
    Ok(known.difference(&applied).next().cloned())
}

/// Whether a schema has a table, and that a row.
pub(super) fn filled(session: &mut Session, schema: Schema, table: &str) -> Result<bool, Fault> {
    let name = format!("{}.{table}", schema.name());
    session.run("look for what is there", |connection| {
        let there = format!("SELECT to_regclass('{name}') IS NOT NULL");
        if !diesel::dsl::sql::<Bool>(&there).get_result::<bool>(connection)? {
            return Ok(false);
        }
        diesel::dsl::sql::<Bool>(&format!("SELECT EXISTS (SELECT FROM {name})")).get_result(connection)
    })
}

/// Brings every schema up to date. Returns the names of the migrations that were carried out.
pub(super) fn migrate(database: &Database) -> Result<Vec<String>, Fault> {
    let mut done = vec![];
    let mut any = database.connect(Purpose::Migrate(Schema::Log))?;
    for schema in Schema::ALL {
        let missing_here = missing(&mut any, schema).map_err(|fault| any.lost(fault))?;
        let Some(version) = missing_here else { continue };
        let may: bool = any.run("look at what this role may do", |connection| {
            let may = "SELECT has_database_privilege(current_database(), 'CREATE')";
            diesel::dsl::sql::<Bool>(may).get_result(connection)
        })?;
        if !may {
            let name = schema.name();
            let why = format!("its schema {name} lacks {version}, which this role may not make");
            return Err(any.named().foreign(format!("{why}; run `tallyhouse migrate` as the owner")));
        }
        let mut session = database.connect(Purpose::Migrate(schema))?;
        session.run("wait for another migration", |connection| lock(connection, MIGRATING))?;
        // While this one waited the other may have done it.
        if missing(&mut session, schema)?.is_none() {
            continue;
        }
        session.run("make the schema", |connection| {
            connection.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", schema.name()))
        })?;
        let carried_out = session.connection.run_pending_migrations(schema.migrations());
        let carried_out = carried_out
            .map(|all| all.iter().map(|version| format!("{} {version}", schema.name())).collect::<Vec<_>>())
            .map_err(|e| e.to_string());
        done.extend(carried_out.map_err(|e| {
            session.named().foreign(format!("its schema {} cannot be brought up to date: {e}", schema.name()))
        })?);
        // The end of the session gives the lock back.
    }
    Ok(done)
}

/// Removes the schemas that are ours.
pub(super) fn clear(database: &Database) -> Result<(), Fault> {
    for schema in Schema::ALL {
        let mut session = database.connect(Purpose::Migrate(schema))?;
        let found = session.run("look at the schemas", |connection| look(connection, schema))?;
        if let Found::Ours(_) = found {
            session.run("remove a schema", |connection| {
                connection.batch_execute(&format!("DROP SCHEMA {} CASCADE", schema.name()))
            })?;
        }
    }
    Ok(())
}

/// What the server says of itself, and what a commit of the log waits for.
pub(super) fn described(session: &mut Session) -> Result<String, Fault> {
    session.run("ask the server about itself", |connection| {
        let text = "SELECT format('PostgreSQL %s: fsync %s, synchronous_commit %s, synchronous standbys: %s', \
                    split_part(current_setting('server_version'), ' ', 1), current_setting('fsync'), \
                    current_setting('synchronous_commit'), \
                    coalesce(nullif(current_setting('synchronous_standby_names'), ''), 'none'))";
        diesel::dsl::sql::<Text>(text).get_result(connection)
    })
}

/// Bytes of the tables of all schemas, their indexes and what is stored beside them.
pub(super) fn size(session: &mut Session) -> Result<u64, Fault> {
    let names = Schema::ALL.map(|schema| format!("'{}'", schema.name())).join(", ");
    let sum = format!(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname IN ({names})"
    );
    let size: i64 = session
        .run("look at what it takes", |connection| diesel::dsl::sql::<BigInt>(&sum).get_result(connection))?;
    Ok(u64::try_from(size).unwrap_or_default())
}

fn lock(connection: &mut PgConnection, key: i64) -> QueryResult<()> {
    connection.batch_execute(&format!("SELECT pg_advisory_lock({key})"))
}

/// Takes the log for its one writer, until the connection ends. False: another one has it.
pub(super) fn claim(session: &mut Session) -> Result<bool, Fault> {
    session.run("take the log", |connection| {
        diesel::dsl::sql::<Bool>(&format!("SELECT pg_try_advisory_lock({WRITING})")).get_result(connection)
    })
}

/// Which connections hold one of the locks, as a condition on `pg_locks`.
fn held(keys: &[i64]) -> String {
    let keys = keys.iter().map(|key| {
        let (high, low) = (key >> 32, key & 0xffff_ffff);
        format!("classid = {high} AND objid = {low} AND objsubid = 1")
    });
    let keys: Vec<String> = keys.map(|key| format!("({key})")).collect();
    format!(
        "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND ({})",
        keys.join(" OR ")
    )
}

/// Who has the log, as far as the server tells this account.
pub(super) fn holder(session: &mut Session) -> Result<String, Fault> {
    let text = format!(
        "SELECT concat_ws('; ', (SELECT format('the server''s process %s, connected from %s since %s', a.pid, \
         coalesce(host(a.client_addr) || ':' || a.client_port, 'the server''s own machine'), \
         to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) \
         FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE granted AND {} LIMIT 1), \
         (SELECT format('the node %s, at %s, holds the lease', split_part(holder, '/', 1), address) FROM lease \
         WHERE until > clock_timestamp()))",
        held(&[WRITING])
    );
    let named: String = session
        .run("look who has the log", |connection| diesel::dsl::sql::<Text>(&text).get_result(connection))?;
    Ok(if named.is_empty() { "which has gone meanwhile".into() } else { named })
}

/// Ends all connections that write the log, or follow it, but for those that this account may not end: all nodes log in
/// with one. Returns how many there were.
pub(super) fn end_writers(connection: &mut PgConnection) -> QueryResult<usize> {
    let ended: i64 = diesel::dsl::sql::<BigInt>(&format!(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE {} AND pid <> pg_backend_pid() \
         AND (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))) AS writers",
        held(&[WRITING, FOLLOWING])
    ))
    .get_result(connection)?;
    Ok(usize::try_from(ended).unwrap_or_default())
}
