//! One SQLite file: how it is opened, and how its errors are named.
//!
//! Owns: the settings of every connection, the migrations, and the test whether a file is ours.
//! Promises: a file that opened is of this program and of this version's schema.
//! Refuses to know: what its tables hold.

use super::super::base::Link;
use super::super::cursor::{place, read_cursor};
use super::super::fault::Fault;
use super::super::named::Named;
use super::super::port::Place;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LOG: EmbeddedMigrations = embed_migrations!("migrations/sqlite/log");
const STATE: EmbeddedMigrations = embed_migrations!("migrations/sqlite/state");
const VIEWS: EmbeddedMigrations = embed_migrations!("migrations/sqlite/views");

/// How large a write-ahead file grows before a commit moves its pages into place.
const WAL: u32 = 64 * 1024 * 1024;
/// What a write-ahead file may keep on disk when it starts over: keeping it saves growing it again.
const WAL_KEPT: u32 = 128 * 1024 * 1024;

/// Which of the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Log,
    State,
    Views,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Write,
    Read,
    /// Moving the write-ahead file into place, nothing else.
    Keep,
}

impl Kind {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(match self {
            Self::Log => "log.sqlite",
            Self::State => "state.sqlite",
            Self::Views => "views.sqlite",
        })
    }

    pub(crate) fn migrations(self) -> EmbeddedMigrations {
        match self {
            Self::Log => LOG,
            Self::State => STATE,
            Self::Views => VIEWS,
        }
    }

    /// The `application_id` that the first migration sets.
    fn mark(self) -> i32 {
        match self {
            Self::Log => i32::from_be_bytes(*b"THlg"),
            Self::State => i32::from_be_bytes(*b"THst"),
            Self::Views => i32::from_be_bytes(*b"THvw"),
        }
    }

    /// Bytes of a page. Measured with 4, 8 and 16 KiB. The log is only added to, and the sizes hardly
    /// differ; large pages make the fewest writes of a large batch. For the state 8 KiB lies between: a
    /// sparse run of puts costs 26, 33 and 63 µs a row with 4, 8 and 16 KiB, a look-up in a table larger
    /// than the cache 4.7, 4.3 and 7.5 µs (rows stand in inner pages too: small pages make deep trees).
    pub(super) fn page(self) -> u32 {
        match self {
            Self::Log => 16 * 1024,
            Self::State | Self::Views => 8 * 1024,
        }
    }

    /// KiB of page cache. With the eight readers that the pool keeps, all connections together stay within
    /// 64 MiB.
    fn cache(self, mode: Mode) -> u32 {
        match (self, mode) {
            (Self::Log, Mode::Write) => 3 * 1024,
            (Self::State, Mode::Write) => 24 * 1024,
            (Self::Log, Mode::Read) => 1024,
            (Self::State, Mode::Read) => 8 * 1024,
            (Self::Views, Mode::Write) => 12 * 1024,
            (Self::Views, Mode::Read) => 1024,
            (_, Mode::Keep) => 256,
        }
    }

    /// The log answers for what was acknowledged, so each commit is on disk. State and views can be made
    /// again from the log, so their commits need to be in order only. In the log, freed space is overwritten:
    /// what was erased is gone.
    fn durability(self) -> &'static str {
        match self {
            Self::Log => "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;",
            Self::State | Self::Views => "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF;",
        }
    }
}

/// An open file.
pub(crate) struct File {
    pub(crate) connection: SqliteConnection,
    named: Named,
    mode: Mode,
}

impl Drop for File {
    /// A writer leaves the whole database in its main file, if readers let it; else the next one does it.
    fn drop(&mut self) {
        if self.mode == Mode::Write {
            let _ = self.connection.batch_execute("PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }
}

impl File {
    /// Opens a file of `dir`. The writer makes it if it is not there and migrates it; a reader expects it
    /// to be there and up to date.
    pub(crate) fn open(dir: &Path, kind: Kind, mode: Mode) -> Result<Self, Fault> {
        let path = kind.path(dir);
        let foreign = |path: &Path, why: String| Fault::Foreign { path: path.to_path_buf(), why };
        let url = url(&path, mode)?;
        let connection = SqliteConnection::establish(&url)
            .map_err(|e| foreign(&path, format!("it does not open: {e}")))?;
        let mut file = Self { connection, named: Named(path.clone()), mode };
        // Before anything is read: a writer that opens or tidies up holds the file for a moment.
        file.run("prepare the connection", |connection| {
            connection.batch_execute("PRAGMA busy_timeout=5000")
        })?;
        file.recognise(kind).map_err(|why| foreign(&path, why))?;
        file.settle(kind, mode)?;
        file.migrate(kind, mode).map_err(|why| foreign(&path, why))?;
        Ok(file)
    }

    /// Refuses a file that is not a database, or another program's, before anything is changed in it.
    fn recognise(&mut self, kind: Kind) -> Result<(), String> {
        let not_a_database = |e: diesel::result::Error| format!("it does not read as a database: {e}");
        let mark: i32 =
            number::<Integer, _>("PRAGMA application_id", &mut self.connection).map_err(not_a_database)?;
        let tables: i64 = number::<BigInt, _>("SELECT count(*) FROM sqlite_schema", &mut self.connection)
            .map_err(not_a_database)?;
        if mark == kind.mark() || (mark == 0 && tables == 0) {
            return Ok(());
        }
        Err(format!("it is the database of another program (application id {mark:#010x})"))
    }

    fn settle(&mut self, kind: Kind, mode: Mode) -> Result<(), Fault> {
        let (cache, durability) = (kind.cache(mode), kind.durability());
        let common = format!(
            "PRAGMA cache_size=-{cache}; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; \
             PRAGMA trusted_schema=OFF;"
        );
        let page = kind.page();
        let pages = WAL.checked_div(page).unwrap_or_default();
        let writing = format!(
            "PRAGMA page_size={page}; PRAGMA journal_mode=WAL; {durability} \
             PRAGMA wal_autocheckpoint={pages}; PRAGMA journal_size_limit={WAL_KEPT};"
        );
        self.run("prepare the connection", |connection| {
            connection.batch_execute(&common)?;
            if mode == Mode::Write { connection.batch_execute(&writing) } else { Ok(()) }
        })
    }

    fn migrate(&mut self, kind: Kind, mode: Mode) -> Result<(), String> {
        let broken = |e| format!("its schema cannot be brought up to date: {e}");
        if mode == Mode::Write {
            self.connection.run_pending_migrations(kind.migrations()).map_err(broken)?;
        }
        let known = known(kind).map_err(broken)?;
        let applied: BTreeSet<_> =
            self.connection.applied_migrations().map_err(broken)?.into_iter().collect();
        if let Some(version) = applied.difference(&known).next() {
            return Err(format!("a newer version of this program wrote it (schema {version})"));
        }
        if let Some(version) = known.difference(&applied).next() {
            return Err(format!("it lacks schema {version}; let the writer open it first"));
        }
        Ok(())
    }

    /// Runs a query or several; `doing` completes "could not …".
    pub(crate) fn run<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        work(&mut self.connection).map_err(|source| self.named.fault(doing, source))
    }

    /// What its errors are named after.
    pub(crate) fn named(&self) -> &Named {
        &self.named
    }

    /// How far a follower's file is.
    pub(super) fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        let row = self.run("read the cursor", |connection| read_cursor(&mut Link::Sqlite(connection)))?;
        place(&self.named, row)
    }
}

fn known(kind: Kind) -> diesel::migration::Result<BTreeSet<MigrationVersion<'static>>> {
    let migrations: Vec<Box<dyn Migration<Sqlite>>> = kind.migrations().migrations()?;
    Ok(migrations.iter().map(|m| m.name().version().as_owned()).collect())
}

fn number<T, N>(query: &str, connection: &mut SqliteConnection) -> QueryResult<N>
where
    T: diesel::sql_types::SingleValue + 'static,
    N: diesel::deserialize::FromSqlRow<T, Sqlite> + 'static,
    Sqlite: diesel::expression::QueryMetadata<T>,
    diesel::expression::SqlLiteral<T>: diesel::query_dsl::LoadQuery<'static, SqliteConnection, N>,
{
    diesel::dsl::sql::<T>(query).get_result(connection)
}

/// The path as a URI, which is where SQLite takes the mode from.
fn url(path: &Path, mode: Mode) -> Result<String, Fault> {
    let text = path.to_str().ok_or_else(|| Fault::Foreign {
        path: path.to_path_buf(),
        why: "its path is not valid UTF-8".into(),
    })?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    // A file that nobody made yet is the writer's to make.
    let mode = match mode {
        Mode::Write => "rwc",
        Mode::Read => "ro",
        Mode::Keep => "rw",
    };
    Ok(format!("file:{escaped}?mode={mode}"))
}
