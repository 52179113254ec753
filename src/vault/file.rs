//! The vault's tables: how they are opened, what is asked of them, and how their errors are named.
//!
//! Owns: `vault.sqlite`: its settings, its schema; the statements, also where the tables are in a database.
//! Promises: a file that opened is of this program and of this version's schema; every commit is on disk;
//! freed space is overwritten.
//! Refuses to know: what the records say. It sees blind indexes and sealed bytes only.

use super::Fault;
use super::seal::Blind;
use crate::store::Home;
use crate::store::base::{Link, on};
use crate::store::postgres::Vaulted;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::path::{Path, PathBuf};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite/vault");

/// The `application_id` that the first migration sets.
const MARK: i32 = i32::from_be_bytes(*b"THva");

/// Names in one look-up, rows in one insert.
const MANY: usize = 500;
/// Rows read at a time where all of them are.
const PAGE: i64 = 5_000;

diesel::table! {
    vault (id) {
        id -> Integer,
        fingerprint -> Binary,
    }
}

diesel::table! {
    wallet (id) {
        id -> BigInt,
        blind -> Binary,
        key -> Nullable<Binary>,
        sealed -> Nullable<Binary>,
    }
}

diesel::table! {
    alias (blind) {
        blind -> Binary,
        wallet -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    account (slot) {
        slot -> Binary,
        blind -> Binary,
        wallet -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    record (name) {
        name -> Binary,
        secret -> Nullable<Binary>,
        owner -> Binary,
        state -> Nullable<Binary>,
        wallet -> Nullable<BigInt>,
        sealed -> Binary,
    }
}

diesel::table! {
    nonce (name) {
        name -> Binary,
        until -> BigInt,
    }
}

diesel::joinable!(alias -> wallet (wallet));
diesel::joinable!(account -> wallet (wallet));
diesel::joinable!(record -> wallet (wallet));
diesel::allow_tables_to_appear_in_same_query!(wallet, alias, account, record);

/// A wallet; `key` and `sealed` are gone if it was erased.
#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = wallet, treat_none_as_default_value = false)]
pub(super) struct WalletRow {
    pub(super) id: i64,
    pub(super) blind: Vec<u8>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) sealed: Option<Vec<u8>>,
}

/// An alias.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = alias, treat_none_as_default_value = false)]
pub(super) struct AliasRow {
    pub(super) blind: Vec<u8>,
    pub(super) wallet: i64,
    pub(super) sealed: Vec<u8>,
}

/// An account of a wallet.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = account, treat_none_as_default_value = false)]
pub(super) struct AccountRow {
    pub(super) slot: Vec<u8>,
    pub(super) blind: Vec<u8>,
    pub(super) wallet: i64,
    pub(super) sealed: Vec<u8>,
}

/// A record of one of the other rooms; see the migration for what the columns are.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = record, treat_none_as_default_value = false)]
pub(super) struct RecordRow {
    pub(super) name: Vec<u8>,
    pub(super) secret: Option<Vec<u8>>,
    pub(super) owner: Vec<u8>,
    pub(super) state: Option<Vec<u8>>,
    pub(super) wallet: Option<i64>,
    pub(super) sealed: Vec<u8>,
}

/// By what records are looked for.
#[derive(Clone, Copy)]
pub(super) enum By {
    Name(Blind),
    Secret(Blind),
    Owner(Blind),
    State(Blind),
}

/// The vault's tables, opened.
pub(super) struct File {
    kept: Kept,
    pub(super) path: PathBuf,
}

/// Where they are.
enum Kept {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<Vaulted>),
}

impl File {
    /// Opens the tables, making them if they are not there, and brings their schema up to date.
    pub(super) fn open(home: &Home) -> Result<Self, Fault> {
        let path = path(home);
        let kept = match home.database() {
            None => Kept::Sqlite(Box::new(open(&path)?)),
            Some(database) => Kept::Postgres(Box::new(Vaulted::open(database)?)),
        };
        Ok(Self { kept, path })
    }

    /// Runs queries in one transaction, durable when this returns; `doing` completes "could not …".
    pub(super) fn write<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Stop>,
    ) -> Result<T, Fault> {
        let done = match &mut self.kept {
            Kept::Sqlite(connection) => connection
                .immediate_transaction(|connection| work(&mut Tables { link: Link::Sqlite(connection) })),
            Kept::Postgres(vaulted) => {
                vaulted.write(|connection| work(&mut Tables { link: Link::Postgres(connection) }))
            }
        };
        done.map_err(|stop| self.fault(doing, stop))
    }

    /// Runs queries that change nothing.
    pub(super) fn read<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Stop>,
    ) -> Result<T, Fault> {
        let done = match &mut self.kept {
            Kept::Sqlite(connection) => {
                connection.transaction(|connection| work(&mut Tables { link: Link::Sqlite(connection) }))
            }
            Kept::Postgres(vaulted) => {
                vaulted.read(|connection| work(&mut Tables { link: Link::Postgres(connection) }))
            }
        };
        done.map_err(|stop| self.fault(doing, stop))
    }

    /// How often something was taken back that other nodes may have at hand; a file has no other nodes.
    pub(super) fn changes(&mut self) -> Result<i64, Fault> {
        self.read("look for what was taken back", |tables| match &mut tables.link {
            Link::Sqlite(_) => Ok(0),
            Link::Postgres(connection) => {
                let changes = diesel::dsl::sql::<BigInt>("SELECT changes FROM vault WHERE id = 1");
                Ok(changes.get_result(&mut **connection)?)
            }
        })
    }

    /// Sees to it that freed space is overwritten: moves everything of a file into place and empties the
    /// write-ahead file, which may still hold old bytes. A server frees what nobody reads any more; what its
    /// write-ahead log, its replicas and its backups hold is theirs to forget.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        const DOING: &str = "empty the write-ahead file";
        let connection = match &mut self.kept {
            Kept::Sqlite(connection) => connection,
            Kept::Postgres(vaulted) => return vaulted.vacuum().map_err(Fault::Store),
        };
        let done = diesel::dsl::sql::<(Integer, Integer, Integer)>("PRAGMA wal_checkpoint(TRUNCATE)")
            .get_result::<(i32, i32, i32)>(&mut **connection);
        let held = "a reader holds on to old pages; erase again when it is done";
        match done {
            Ok((0, _, _)) => Ok(()),
            Ok(_) => Err(self.fault(DOING, diesel::result::Error::QueryBuilderError(held.into()).into())),
            Err(e) => Err(self.fault(DOING, e.into())),
        }
    }

    fn fault(&self, doing: &'static str, stop: Stop) -> Fault {
        match stop {
            Stop::Broken(source) => Fault::Database { path: self.path.clone(), doing, source },
            Stop::Damaged(what) => Fault::Damaged { path: self.path.clone(), what },
            Stop::Fault(fault) => fault,
        }
    }
}

/// What the vault is called: its file, or its database.
pub(super) fn path(home: &Home) -> PathBuf {
    match home.database() {
        None => home.dir().join("vault.sqlite"),
        Some(database) => PathBuf::from(format!("{} (vault)", database.address())),
    }
}

/// Opens the file, making it if it is not there, and brings its schema up to date.
fn open(path: &Path) -> Result<SqliteConnection, Fault> {
    let foreign = |why: String| Fault::Foreign { path: path.to_path_buf(), why };
    let text = path.to_str().ok_or_else(|| foreign("its path is not valid UTF-8".into()))?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut connection = SqliteConnection::establish(&format!("file:{escaped}?mode=rwc"))
        .map_err(|e| foreign(format!("it does not open: {e}")))?;
    recognise(&mut connection).map_err(foreign)?;
    settle(&mut connection).map_err(|source| Fault::Database {
        path: path.to_path_buf(),
        doing: "prepare the connection",
        source,
    })?;
    migrate(&mut connection).map_err(foreign)?;
    Ok(connection)
}

/// Why a transaction ended early.
pub(super) enum Stop {
    Broken(diesel::result::Error),
    Damaged(&'static str),
    Fault(Fault),
}

impl From<crate::store::Fault> for Stop {
    fn from(fault: crate::store::Fault) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<diesel::result::Error> for Stop {
    fn from(e: diesel::result::Error) -> Self {
        Self::Broken(e)
    }
}

/// The tables, within a transaction.
pub(super) struct Tables<'a> {
    link: Link<'a>,
}

impl Tables<'_> {
    /// The fingerprint of the vault's key; it is set by whoever asks first.
    pub(super) fn fingerprint(&mut self, ours: &Blind) -> Result<Vec<u8>, Stop> {
        let values = (vault::id.eq(1), vault::fingerprint.eq(&ours[..]));
        let insert = diesel::insert_into(vault::table).values(values);
        on!(&mut self.link, c => insert.on_conflict_do_nothing().execute(c))?;
        let needed = vault::table.find(1).select(vault::fingerprint);
        Ok(on!(&mut self.link, c => needed.first(c))?)
    }

    /// Something is taken back: other nodes shall not go on to remember it.
    pub(super) fn taken_back(&mut self) -> Result<(), Stop> {
        if let Link::Postgres(connection) = &mut self.link {
            connection.batch_execute("UPDATE vault SET changes = changes + 1 WHERE id = 1")?;
        }
        Ok(())
    }

    pub(super) fn next_wallet(&mut self) -> Result<i64, Stop> {
        let last = wallet::table.select(diesel::dsl::max(wallet::id));
        let last: Option<i64> = on!(&mut self.link, c => last.first(c))?;
        Ok(last.unwrap_or(0).saturating_add(1))
    }

    pub(super) fn wallets(&mut self, blinds: &[Blind]) -> Result<Vec<WalletRow>, Stop> {
        let mut found = vec![];
        for some in blinds.chunks(MANY) {
            let query = wallet::table.filter(wallet::blind.eq_any(some.iter().map(|b| &b[..])));
            found.extend(on!(&mut self.link, c => query.select(WalletRow::as_select()).load(c))?);
        }
        Ok(found)
    }

    pub(super) fn aliases(&mut self, blinds: &[Blind]) -> Result<Vec<(AliasRow, WalletRow)>, Stop> {
        let mut found = vec![];
        for some in blinds.chunks(MANY) {
            let query = alias::table.inner_join(wallet::table);
            let query = query.filter(alias::blind.eq_any(some.iter().map(|b| &b[..])));
            found.extend(on!(&mut self.link, c => query.select((AliasRow::as_select(), WalletRow::as_select())).load(c))?);
        }
        Ok(found)
    }

    pub(super) fn slots(&mut self, slots: &[Blind]) -> Result<Vec<(AccountRow, WalletRow)>, Stop> {
        let mut found = vec![];
        for some in slots.chunks(MANY) {
            let query = account::table.inner_join(wallet::table);
            let query = query.filter(account::slot.eq_any(some.iter().map(|b| &b[..])));
            found.extend(on!(&mut self.link, c => query.select((AccountRow::as_select(), WalletRow::as_select())).load(c))?);
        }
        Ok(found)
    }

    pub(super) fn holder(&mut self, account_blind: &Blind) -> Result<Option<(AccountRow, WalletRow)>, Stop> {
        let query = account::table.inner_join(wallet::table).filter(account::blind.eq(&account_blind[..]));
        Ok(on!(&mut self.link, c => query.select((AccountRow::as_select(), WalletRow::as_select())).first(c))
            .optional()?)
    }

    pub(super) fn aliases_of(&mut self, wallet: i64) -> Result<Vec<AliasRow>, Stop> {
        let query = alias::table.filter(alias::wallet.eq(wallet));
        Ok(on!(&mut self.link, c => query.select(AliasRow::as_select()).load(c))?)
    }

    pub(super) fn accounts_of(&mut self, wallet: i64) -> Result<Vec<AccountRow>, Stop> {
        let query = account::table.filter(account::wallet.eq(wallet));
        Ok(on!(&mut self.link, c => query.select(AccountRow::as_select()).load(c))?)
    }

    /// The fingerprint of the key that is needed, if there is anything at all.
    pub(super) fn needed(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        let needed = vault::table.find(1).select(vault::fingerprint);
        Ok(on!(&mut self.link, c => needed.first(c)).optional()?)
    }

    /// Wallets after one, in the order of their numbers: all of them, page by page.
    pub(super) fn page_of_wallets(&mut self, after: i64) -> Result<Vec<WalletRow>, Stop> {
        let page = wallet::table.filter(wallet::id.gt(after)).order(wallet::id).limit(PAGE);
        Ok(on!(&mut self.link, c => page.select(WalletRow::as_select()).load(c))?)
    }

    /// The same of aliases.
    pub(super) fn page_of_aliases(&mut self, after: &[u8]) -> Result<Vec<AliasRow>, Stop> {
        let page = alias::table.filter(alias::blind.gt(after.to_vec())).order(alias::blind).limit(PAGE);
        Ok(on!(&mut self.link, c => page.select(AliasRow::as_select()).load(c))?)
    }

    /// The same of accounts.
    pub(super) fn page_of_accounts(&mut self, after: &[u8]) -> Result<Vec<AccountRow>, Stop> {
        let page = account::table.filter(account::slot.gt(after.to_vec())).order(account::slot).limit(PAGE);
        Ok(on!(&mut self.link, c => page.select(AccountRow::as_select()).load(c))?)
    }

    /// The same of records.
    pub(super) fn page_of_records(&mut self, after: &[u8]) -> Result<Vec<RecordRow>, Stop> {
        let page = record::table.filter(record::name.gt(after.to_vec())).order(record::name).limit(PAGE);
        Ok(on!(&mut self.link, c => page.select(RecordRow::as_select()).load(c))?)
    }

    pub(super) fn add_wallets(&mut self, rows: &[WalletRow]) -> Result<(), Stop> {
        for some in rows.chunks(MANY) {
            let insert = diesel::insert_into(wallet::table).values(some);
            on!(&mut self.link, c => insert.execute(c))?;
        }
        Ok(())
    }

    /// In ascending order they go in fastest.
    pub(super) fn add_aliases(&mut self, mut rows: Vec<AliasRow>) -> Result<(), Stop> {
        rows.sort_by(|a, b| a.blind.cmp(&b.blind));
        for some in rows.chunks(MANY) {
            let insert = diesel::insert_into(alias::table).values(some);
            on!(&mut self.link, c => insert.execute(c))?;
        }
        Ok(())
    }

    /// In ascending order they go in fastest.
    pub(super) fn add_accounts(&mut self, mut rows: Vec<AccountRow>) -> Result<(), Stop> {
        rows.sort_by(|a, b| a.slot.cmp(&b.slot));
        for some in rows.chunks(MANY) {
            let insert = diesel::insert_into(account::table).values(some);
            on!(&mut self.link, c => insert.execute(c))?;
        }
        Ok(())
    }

    pub(super) fn rewrite_wallet(&mut self, row: &WalletRow) -> Result<(), Stop> {
        let update = diesel::update(wallet::table.find(row.id))
            .set((wallet::key.eq(&row.key), wallet::sealed.eq(&row.sealed)));
        on!(&mut self.link, c => update.execute(c))?;
        Ok(())
    }

    pub(super) fn rewrite_alias(&mut self, row: &AliasRow) -> Result<(), Stop> {
        let found = alias::table.find(&row.blind);
        let update = diesel::update(found).set(alias::sealed.eq(&row.sealed));
        on!(&mut self.link, c => update.execute(c))?;
        Ok(())
    }

    pub(super) fn rewrite_account(&mut self, row: &AccountRow) -> Result<(), Stop> {
        let found = account::table.find(&row.slot);
        let update =
            diesel::update(found).set((account::blind.eq(&row.blind), account::sealed.eq(&row.sealed)));
        on!(&mut self.link, c => update.execute(c))?;
        Ok(())
    }

    pub(super) fn records(&mut self, by: By) -> Result<Vec<(RecordRow, Option<WalletRow>)>, Stop> {
        Ok(on!(&mut self.link, c => {
        let all = record::table.left_join(wallet::table);
        let all = all.select((RecordRow::as_select(), Option::<WalletRow>::as_select())).into_boxed();
        let some = match by {
            By::Name(blind) => all.filter(record::name.eq(blind.to_vec())),
            By::Secret(blind) => all.filter(record::secret.eq(blind.to_vec())),
            By::Owner(blind) => all.filter(record::owner.eq(blind.to_vec())),
            By::State(blind) => all.filter(record::state.eq(blind.to_vec())),
        };
        some.load(c)
        })?)
    }

    pub(super) fn count_state(&mut self, state: &Blind) -> Result<i64, Stop> {
        let some = record::table.filter(record::state.eq(&state[..]));
        Ok(on!(&mut self.link, c => some.count().get_result(c))?)
    }

    pub(super) fn add_record(&mut self, row: &RecordRow) -> Result<(), Stop> {
        let insert = diesel::insert_into(record::table).values(row);
        on!(&mut self.link, c => insert.execute(c))?;
        Ok(())
    }

    pub(super) fn rewrite_record(&mut self, row: &RecordRow) -> Result<(), Stop> {
        let update = diesel::update(record::table.find(&row.name))
            .set((record::state.eq(&row.state), record::sealed.eq(&row.sealed)));
        on!(&mut self.link, c => update.execute(c))?;
        Ok(())
    }

    pub(super) fn remove_record(&mut self, name: &Blind) -> Result<bool, Stop> {
        let gone = diesel::delete(record::table.find(&name[..]));
        Ok(on!(&mut self.link, c => gone.execute(c))? > 0)
    }

    /// Forgets nonces that cannot count any more.
    pub(super) fn forget_nonces(&mut self, now: i64) -> Result<(), Stop> {
        let over = diesel::delete(nonce::table.filter(nonce::until.le(now)));
        on!(&mut self.link, c => over.execute(c))?;
        Ok(())
    }

    /// Whether it was not there before.
    pub(super) fn add_nonce(&mut self, name: &Blind, until: i64) -> Result<bool, Stop> {
        let values = (nonce::name.eq(&name[..]), nonce::until.eq(until));
        let insert = diesel::insert_into(nonce::table).values(values);
        Ok(on!(&mut self.link, c => insert.on_conflict_do_nothing().execute(c))? == 1)
    }

    /// Destroys the person's key and everything that was sealed under it. What stays is an empty row, so
    /// that the wallet is known to be erased and not unknown.
    pub(super) fn erase(&mut self, id: i64) -> Result<(), Stop> {
        let gone = diesel::delete(alias::table.filter(alias::wallet.eq(id)));
        on!(&mut self.link, c => gone.execute(c))?;
        let gone = diesel::delete(account::table.filter(account::wallet.eq(id)));
        on!(&mut self.link, c => gone.execute(c))?;
        let gone = diesel::delete(record::table.filter(record::wallet.eq(id)));
        on!(&mut self.link, c => gone.execute(c))?;
        let update = diesel::update(wallet::table.find(id))
            .set((wallet::key.eq(None::<Vec<u8>>), wallet::sealed.eq(None::<Vec<u8>>)));
        on!(&mut self.link, c => update.execute(c))?;
        Ok(())
    }
}

/// Refuses a file that is not a database, or another program's, before anything is changed in it.
fn recognise(connection: &mut SqliteConnection) -> Result<(), String> {
    let not_a_database = |e: diesel::result::Error| format!("it does not read as a database: {e}");
    let mark: i32 = diesel::dsl::sql::<Integer>("SELECT application_id FROM pragma_application_id")
        .get_result(connection)
        .map_err(not_a_database)?;
    let tables: i64 = diesel::dsl::sql::<BigInt>("SELECT count(*) FROM sqlite_schema")
        .get_result(connection)
        .map_err(not_a_database)?;
    if mark == MARK || (mark == 0 && tables == 0) {
        return Ok(());
    }
    Err(format!("it is the database of another program (application id {mark:#010x})"))
}

/// An entry of the log may rely on what the vault answered, so each commit is on disk. What was erased is
/// overwritten.
fn settle(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(
        "PRAGMA busy_timeout=5000; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; \
         PRAGMA trusted_schema=OFF; PRAGMA page_size=8192; PRAGMA journal_mode=WAL; \
         PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON;",
    )
}

fn migrate(connection: &mut SqliteConnection) -> Result<(), String> {
    let broken = |e| format!("its schema cannot be brought up to date: {e}");
    connection.run_pending_migrations(MIGRATIONS).map_err(broken)?;
    let migrations: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations().map_err(broken)?;
    let known: Vec<_> = migrations.iter().map(|m| m.name().version().as_owned()).collect();
    let applied = connection.applied_migrations().map_err(broken)?;
    match applied.iter().find(|version| !known.contains(version)) {
        Some(version) => Err(format!("a newer version of this program wrote it (schema {version})")),
        None => Ok(()),
    }
}

/// Whether a vault is there at all.
pub(super) fn exists(home: &Home) -> Result<bool, Fault> {
    match home.database() {
        None => Ok(path(home).metadata().is_ok_and(|meta| meta.len() > 0)),
        Some(database) => Ok(Vaulted::exists(database)?),
    }
}
