//! What is PostgreSQL's own: schemas, roles, TLS, connections that are lost, two writers, plans.

use super::super::cluster::{self, Cluster};
use super::super::end::STRAY;
use super::super::{
    AppendError, Fault, Log, NewEntry, Place, Read, Row, State, StoredPart, Stray, TipRecord,
};
use super::log::BEHIND;
use super::reader::Ask;
use super::schema::Schema;
use super::session::{Purpose, Session};
use super::{Database, Postgres, PostgresReader};
use crate::types::Hash;
use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::MigrationHarness;

fn place(seq: u64) -> Place {
    Place { seq, hash: Hash::sha256(&seq.to_be_bytes()) }
}

fn tip(seq: u64) -> TipRecord {
    let Place { seq, hash } = place(seq);
    TipRecord { seq, hash, edge: vec![1; 70], checkpoint: format!("demo\n{seq}\n") }
}

fn entry(seq: u64) -> NewEntry {
    NewEntry { seq, envelope: format!("{{\"seq\":{seq}}}").into(), parts: vec![b"{}".to_vec()] }
}

fn row(key: &str, seq: u64) -> Row {
    Row { key: key.into(), value: Some(b"v".to_vec()), seq, due: None }
}

fn database(address: &str) -> Database {
    Database::at(address.parse().unwrap())
}

/// A database of its own, and its address.
fn fresh() -> (Database, String) {
    let address = cluster::shared().database();
    (database(&address), address)
}

/// Ends every connection of ours to a database.
fn cut(server: &Cluster, address: &str) {
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'tallyhouse' AND datname = current_database()";
    assert!(server.sql(address, all).contains('t'), "somebody was connected");
}

#[test]
fn each_migration_goes_up_down_and_up_again() {
    let (database, address) = fresh();
    let mut all = 0;
    for schema in Schema::ALL {
        let mut session = database.connect(Purpose::Migrate(schema)).unwrap();
        session.connection.batch_execute(&format!("CREATE SCHEMA {}", schema.name())).unwrap();
        let dump = || cluster::shared().dump(&address, schema.name());
        // The migrations' own table comes with the first.
        let mut before = None;
        while session.connection.has_pending_migration(schema.migrations()).unwrap() {
            let below = before.unwrap_or_else(dump);
            session.connection.run_next_migration(schema.migrations()).unwrap();
            let above = dump();
            assert_ne!(above, below);
            session.connection.revert_last_migration(schema.migrations()).unwrap();
            assert_eq!(dump(), below, "{} down", schema.name());
            session.connection.run_next_migration(schema.migrations()).unwrap();
            assert_eq!(dump(), above, "{} up again", schema.name());
            before = Some(above);
            all += 1;
        }
    }
    assert!(all >= 6, "each schema has one");
    assert_eq!(database.migrate().unwrap(), Vec::<String>::new(), "nothing is left to do");
}

#[test]
fn programs_that_start_at_once_migrate_once() {
    let (database, _) = fresh();
    let start = |_| {
        let database = Database::at(database.address().clone());
        std::thread::spawn(move || database.migrate().unwrap())
    };
    let threads: Vec<_> = (0..4).map(start).collect();
    let mut done: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    done.sort();
    assert_eq!(done.len(), 10, "{done:?}");
    assert!(done[0].starts_with("log 2026"), "{done:?}");
}

#[test]
fn a_schema_that_is_not_ours_or_newer_is_refused_and_left_alone() {
    let (database, address) = fresh();
    let server = cluster::shared();
    assert!(matches!(PostgresReader::open(&database), Err(Fault::Foreign { .. })), "a reader makes nothing");
    assert!(!database.exists().unwrap());
    server.sql(&address, "CREATE SCHEMA views; CREATE TABLE views.recipe (cake text)");
    let fault = Postgres::open(&database).err().expect("refused").to_string();
    assert!(fault.contains("views is another program's"), "{fault}");
    server.sql(&address, "DROP SCHEMA views CASCADE");
    drop(Postgres::open(&database).unwrap());
    server.sql(&address, "INSERT INTO state.__diesel_schema_migrations VALUES ('29990101000000')");
    for fault in [Postgres::open(&database).err(), PostgresReader::open(&database).err()] {
        let fault = fault.expect("refused").to_string();
        assert!(fault.contains("newer version") && fault.contains("29990101000000"), "{fault}");
    }
    assert!(!database.exists().unwrap(), "no log was begun");
}

#[test]
fn the_writers_role_only_adds_to_the_log_and_readers_only_read() {
    let (owner, address) = fresh();
    let server = cluster::shared();
    owner.migrate().unwrap();
    let roles = include_str!("../../../config/postgres-roles.sql");
    for _ in 0..2 {
        server.script("tally", &address, roles).unwrap();
    }
    server.sql(
        &address,
        "CREATE ROLE points_node LOGIN IN ROLE tallyhouse_writer; \
         CREATE ROLE points_report LOGIN IN ROLE tallyhouse_reader",
    );
    let writer = address.replace("tally@", "points_node@");
    let mut store = Postgres::open(&database(&writer)).expect("nothing is left to migrate");
    store.log.append(None, &[entry(0)], &tip(0)).unwrap();
    store.log.append(Some(place(0)), &[entry(1)], &tip(1)).unwrap();
    store.state.put(None, place(1), &[row("a", 1)]).unwrap();
    store.state.wipe().unwrap();
    let erased = store.log.erase_part(0, 0, Hash([1; 32])).unwrap_err().to_string();
    assert!(erased.contains("entry 0 has not these parts"), "{erased}");

    let denied = |role: &str, sql: &str| {
        let said = server.try_sql(&address, &format!("SET ROLE {role}; {sql}")).expect_err(sql);
        assert!(said.contains("permission denied") || said.contains("does not go back"), "{sql}: {said}");
    };
    for sql in [
        "UPDATE log.entry SET envelope = ''",
        "DELETE FROM log.entry",
        "UPDATE log.parts SET bytes = ''",
        "DELETE FROM log.parts",
        "DELETE FROM log.tip",
        "TRUNCATE log.entry",
        "UPDATE log.tip SET seq = 0",
        "UPDATE log.tip SET hash = decode(repeat('00', 32), 'hex')",
        "DROP TABLE log.entry",
        "ALTER TABLE log.tip DISABLE TRIGGER ALL",
        "INSERT INTO log.__diesel_schema_migrations VALUES ('1')",
    ] {
        if sql.starts_with("DROP") || sql.starts_with("ALTER") {
            let said = server.try_sql(&address, &format!("SET ROLE points_node; {sql}")).expect_err(sql);
            assert!(said.contains("must be owner"), "{sql}: {said}");
        } else {
            denied("points_node", sql);
        }
    }
    let reader = PostgresReader::open(&database(&address.replace("tally@", "points_report@"))).unwrap();
    assert_eq!(reader.read(0, 9, usize::MAX).unwrap().len(), 2);
    for sql in [
        "INSERT INTO log.entry VALUES (9, '')",
        "DELETE FROM state.state",
        "SELECT * FROM vault.wallet",
        "SELECT pg_advisory_lock_shared(1)",
        "SELECT pg_try_advisory_xact_lock(1, 2)",
    ] {
        denied("points_report", sql);
    }
    // What an account lacks is named, whatever language the server speaks.
    server.sql(&address, "REVOKE INSERT ON log.parts FROM tallyhouse_writer");
    let no = match store.log.append(Some(place(1)), &[entry(2)], &tip(2)) {
        Err(AppendError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    };
    let named = "this account lacks INSERT ON log.parts: have config/postgres-roles.sql carried out";
    assert!(no.is_away() && no.to_string().contains(named), "{no}");
    server.sql(
        &address,
        "GRANT INSERT ON log.parts TO tallyhouse_writer; REVOKE USAGE ON SCHEMA state FROM tallyhouse_writer",
    );
    let no = store.reader.load(&["a".into()]).unwrap_err();
    assert!(no.is_away() && no.to_string().contains("lacks USAGE ON SCHEMA state:"), "{no}");
    server.sql(&address, "GRANT USAGE ON SCHEMA state TO tallyhouse_writer");
    assert_eq!(store.log.tip().unwrap(), Some(tip(1)), "nothing was written");
    store.log.append(Some(place(1)), &[entry(2)], &tip(2)).unwrap();
    // The owner can erase.
    drop(store);
    let mut store = Postgres::open(&owner).unwrap();
    store.log.erase_part(0, 0, Hash([1; 32])).unwrap();
    assert_eq!(store.reader.read_parts(0).unwrap(), [StoredPart::Erased(Hash([1; 32]))]);
}

#[test]
fn what_stands_behind_the_tip_is_no_entry_and_nothing_is_appended_before_it_is_gone() {
    let (database, address) = fresh();
    let server = cluster::shared();
    let mut open = Postgres::open(&database).unwrap();
    open.log.append(None, &[entry(0)], &tip(0)).unwrap();
    open.log.append(Some(place(0)), &[entry(1)], &tip(1)).unwrap();
    let whole = open.reader.read(0, 9, usize::MAX).unwrap();
    // An envelope, parts of their own, parts that no row of the writer's would collide with, and far ahead.
    for (row, table, seq) in [
        ("entry VALUES (2, '{}')", "entry", 2),
        ("parts VALUES (2 * 16384, '{}\n')", "parts", 2),
        ("parts VALUES (2 * 16384 + 700, '{}\n')", "parts", 2),
        ("entry VALUES (90, '{}')", "entry", 90),
    ] {
        server.sql(&address, &format!("INSERT INTO log.{row}"));
        assert_eq!(open.reader.read(0, 9, usize::MAX).unwrap(), whole, "{row}");
        assert_eq!(open.reader.read_envelopes(1, 9).unwrap().len(), 1, "{row}");
        assert_eq!(open.reader.stray().unwrap(), Some(Stray { table, seq }), "{row}");
        let no = open.log.append(Some(place(1)), &[entry(2)], &tip(2));
        let found = Stray { table, seq };
        assert!(
            matches!(&no, Err(AppendError::Fault(Fault::Stray { stray, .. })) if *stray == found),
            "{row}: {no:?}"
        );
        // A writer that is not at the tip is told that.
        let deposed = open.log.append(Some(place(0)), &[entry(1)], &tip(1));
        assert!(matches!(deposed, Err(AppendError::Deposed)), "{row}: {deposed:?}");
        server.sql(
            &address,
            "DELETE FROM log.entry WHERE seq > 1; DELETE FROM log.parts WHERE id >= 2 * 16384",
        );
        assert_eq!(open.reader.stray().unwrap(), None);
    }
    open.log.append(Some(place(1)), &[entry(2)], &tip(2)).unwrap();
    assert_eq!(open.reader.read(0, 9, usize::MAX).unwrap().len(), 3);
}

#[test]
fn an_owner_who_may_not_make_roles_is_told_who_does() {
    let server = Cluster::start();
    let address = server.database();
    server.sql("postgres", "CREATE ROLE points_owner LOGIN");
    let name = address.rsplit('/').next().and_then(|end| end.split('?').next()).unwrap();
    server.sql("postgres", &format!("ALTER DATABASE {name} OWNER TO points_owner"));
    database(&address.replace("tally@", "points_owner@")).migrate().unwrap();
    let roles = include_str!("../../../config/postgres-roles.sql");
    let no = server.script("points_owner", &address, roles).expect_err("it may not");
    assert!(no.contains("points_owner may not make roles: a superuser makes tallyhouse_writer"), "{no}");
    server.sql("postgres", "CREATE ROLE tallyhouse_writer NOLOGIN; CREATE ROLE tallyhouse_reader NOLOGIN");
    server.script("points_owner", &address, roles).unwrap();
    let may = "SELECT has_table_privilege('tallyhouse_writer', 'log.entry', 'INSERT')";
    assert_eq!(server.sql(&address, may).trim(), "t");
    // A node finds an older schema, and says whose turn it is.
    server.sql("postgres", "CREATE ROLE points_node LOGIN IN ROLE tallyhouse_writer");
    let last = "DELETE FROM log.__diesel_schema_migrations WHERE version = (SELECT max(version) FROM log.__diesel_schema_migrations)";
    server.sql(&address, last);
    let no = Postgres::open(&database(&address.replace("tally@", "points_node@"))).err().expect("older");
    assert!(no.to_string().contains("run `tallyhouse migrate` as the owner"), "{no}");
}

#[test]
fn one_writer_at_a_time_and_a_deposed_one_changes_nothing() {
    let (database, address) = fresh();
    let server = cluster::shared();
    let mut first = Postgres::open(&database).unwrap();
    first.log.append(None, &[entry(0)], &tip(0)).unwrap();
    let second = Postgres::open(&database).err().expect("refused");
    assert!(matches!(second, Fault::InUse { .. }), "{second}");
    let pid = server.sql(
        &address,
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ExclusiveLock'",
    );
    let named = second.to_string();
    assert!(
        pid.lines().any(|pid| named.contains(&format!("the server's process {pid}, "))),
        "{named}: {pid}"
    );
    assert!(named.contains("from the server's own machine since 2"), "{named}");
    // The first loses its connection, and the log with it; it does not know yet.
    cut(server, &address);
    let mut second = Postgres::open(&database).unwrap();
    second.log.append(Some(place(0)), &[entry(1)], &tip(1)).unwrap();
    let lost = first.log.append(Some(place(0)), &[entry(1)], &tip(1));
    assert!(matches!(&lost, Err(AppendError::Fault(fault)) if fault.is_away()), "{lost:?}");
    assert!(matches!(first.log.tip(), Err(Fault::InUse { .. })), "somebody else writes");
    drop(second);
    assert_eq!(first.log.tip().unwrap(), Some(tip(1)), "and then it is open again");
    let deposed = first.log.append(Some(place(0)), &[entry(1)], &tip(1));
    assert!(matches!(deposed, Err(AppendError::Deposed)));
    assert_eq!(first.reader.read(0, 9, usize::MAX).unwrap().len(), 2);
}

#[test]
fn a_put_whose_connection_is_lost_happens_once() {
    let (database, address) = fresh();
    let server = cluster::shared();
    let mut store = Postgres::open(&database).unwrap();
    store.state.put(None, place(0), &[row("a", 0)]).unwrap();
    cut(server, &address);
    store.state.put(Some(place(0)), place(1), &[row("a", 1), row("b", 1)]).unwrap();
    let found = store.reader.scan("", 9).unwrap();
    assert_eq!((found.cursor, found.rows.len()), (Some(place(1)), 2), "readers come back too");
    // It was told that the put failed, but it had come through: the same put is no error, another one is.
    for (to, stale) in [(place(2), false), (place(3), true)] {
        let from = store.state.cursor().unwrap();
        let lose = "CREATE FUNCTION state.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                    PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(9); RETURN NEW; END $$; \
                    CREATE TRIGGER lose AFTER UPDATE ON state.cursor \
                    FOR EACH ROW EXECUTE FUNCTION state.lose()";
        server.sql(&address, lose);
        let failed = store.state.put(from, to, &[row("c", to.seq)]).unwrap_err().to_string();
        assert!(store.state.comes_back(), "{failed}");
        server.sql(&address, "DROP TRIGGER lose ON state.cursor; DROP FUNCTION state.lose");
        // Here the server rolled back; then somebody else takes the step, or another one.
        let seq = if stale { 7 } else { to.seq };
        let hash = format!("decode('{}', 'hex')", crate::types::hex(&place(seq).hash.0));
        server.sql(&address, &format!("UPDATE state.cursor SET seq = {seq}, hash = {hash}"));
        assert_eq!(store.state.put(from, to, &[row("c", to.seq)]).is_err(), stale);
    }
}

/// A certificate for `localhost`, and the authorities in a folder: `ca`, whose it is, and `other`.
struct Certificates {
    certificate: String,
    key: String,
    roots: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let roots = tempfile::tempdir().unwrap();
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap().pem();
            std::fs::write(roots.path().join(format!("{name}.pem")), certificate).unwrap();
            Issuer::new(params, key)
        };
        let ca = authority("ca");
        authority("other");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap().pem();
        Self { certificate, key: key.serialize_pem(), roots }
    }
}

#[test]
fn tls_is_as_sslmode_asks() {
    let server = Cluster::start();
    let address = server.database();
    let file = |name: &str, text: &str| {
        // Only the server's own user may read its key.
        let copy = format!(
            "COPY (SELECT unnest(string_to_array($t${}$t$, E'\\n'))) TO PROGRAM 'umask 077; cat > {name}'",
            text.trim()
        );
        server.sql("postgres", &copy);
    };
    let made = Certificates::make();
    file("server.crt", &made.certificate);
    file("server.key", &made.key);
    let encrypted = |options: &str| -> Result<bool, Fault> {
        let tcp = server.by_tcp(&address).replace("127.0.0.1", "localhost");
        let mut session: Session =
            database(&format!("{tcp}?{options}")).connect(Purpose::Migrate(Schema::Log))?;
        let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        session.run("ask", |connection| diesel::dsl::sql::<Bool>(ssl).get_result(connection))
    };
    let unreachable = |options: &str, wanted: &str| match encrypted(options) {
        Err(fault @ Fault::Unreachable { .. }) => assert!(fault.to_string().contains(wanted), "{fault}"),
        other => panic!("{options}: {other:?}"),
    };
    assert!(!encrypted("sslmode=prefer").unwrap());
    unreachable("sslmode=require", "does not support TLS");
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    server.stop();
    server.again();
    let roots = made.roots.path().display().to_string();
    let verified =
        |mode: &str, roots_file: &str| format!("sslmode={mode}&sslrootcert={roots}/{roots_file}.pem");
    assert!(!encrypted("sslmode=disable").unwrap());
    assert!(encrypted("sslmode=prefer").unwrap());
    assert!(encrypted("sslmode=require").unwrap());
    assert!(encrypted(&verified("verify-full", "ca")).unwrap());
    unreachable(&verified("verify-full", "other"), "certificate");
    unreachable(&verified("verify-ca", "other"), "certificate");
    // Another name than the certificate's.
    let by_number = |options: &str| {
        let tcp = format!("{}?{options}", server.by_tcp(&address));
        database(&tcp).connect(Purpose::Migrate(Schema::Log)).map(drop)
    };
    by_number(&verified("verify-ca", "ca")).unwrap();
    let other = by_number(&verified("verify-full", "ca")).unwrap_err().to_string();
    assert!(other.contains("not valid for name"), "{other}");
}

#[test]
fn a_log_and_what_follows_it_wait_for_the_disk() {
    let (database, _) = fresh();
    drop(Postgres::open(&database).unwrap());
    let setting = |purpose| {
        let mut session = database.connect(purpose).unwrap();
        let show = "SELECT current_setting('synchronous_commit')";
        diesel::dsl::sql::<Text>(show).get_result::<String>(&mut session.connection).unwrap()
    };
    assert_eq!((setting(Purpose::Log), setting(Purpose::Vault)), ("on".into(), "on".into()));
    assert_eq!((setting(Purpose::State), setting(Purpose::Views)), ("on".into(), "on".into()));
}

#[test]
fn questions_use_their_index() {
    let (database, address) = fresh();
    let mut store = Postgres::open(&database).unwrap();
    let rows: Vec<Row> = (0..20_000)
        .map(|i| Row { due: (i % 100 == 0).then_some(i), ..row(&format!("acct/{i:05}"), 0) })
        .collect();
    store.state.put(None, place(0), &rows).unwrap();
    let mut session = database.open(Purpose::Read).unwrap();
    let mut plan = |statement: &str, arguments: &str| {
        let prepare = format!("DEALLOCATE ALL; PREPARE ask AS {statement}");
        session.connection.batch_execute(&prepare).unwrap();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
        let explain = format!("EXPLAIN EXECUTE ask{arguments}");
        #[derive(QueryableByName)]
        struct Step {
            #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
            step: String,
        }
        let steps: Vec<Step> = diesel::sql_query(explain).load(&mut session.connection).unwrap();
        steps.into_iter().map(|step| step.step).collect::<Vec<_>>().join("\n")
    };
    let load = plan(
        "SELECT s.key FROM unnest($1::text[]) WITH ORDINALITY AS k(key, at) JOIN state AS s ON s.key = k.key",
        "ARRAY['acct/00001', 'acct/00002']",
    );
    assert!(load.contains("Index") && load.contains("state_pkey") && !load.contains("Seq Scan"), "{load}");
    // A page is a page to the planner as well, however many rows there are.
    let text =
        |ask: &Ask| diesel::debug_query::<Pg, _>(ask).to_string().split(" --").next().unwrap().to_owned();
    for (ask, arguments, index) in [
        (Ask::Due(500, 10), "500, 10", "state_due"),
        (Ask::After("acct/1", 10), "'acct/1', 10", "state_pkey"),
    ] {
        let page = plan(&text(&ask), arguments);
        let rows = |step: &str| step.split("rows=").nth(1)?.split(' ').next()?.parse::<u64>().ok();
        let limits: Vec<u64> = page.lines().filter(|step| step.contains("Limit")).filter_map(rows).collect();
        assert!(limits.len() == 2 && limits.iter().all(|rows| *rows <= 16), "{page}");
        assert!(page.contains(index) && !page.contains("Scan on state"), "{page}");
    }
    // The end of the log is found at the end of its indexes, whether or not the server has counted its rows.
    let entries: Vec<NewEntry> = (0..2_000).map(entry).collect();
    store.log.append(None, &entries, &tip(1_999)).unwrap();
    for counted in [false, true] {
        if counted {
            cluster::shared().sql(&address, "ANALYZE");
        }
        let read = plan(
            "SELECT seq, envelope FROM entry WHERE seq >= $1::bigint \
             AND seq <= (SELECT tip.seq FROM tip WHERE tip.id = 1 LIMIT 1) ORDER BY seq LIMIT $2::bigint",
            "7, 10",
        );
        assert!(read.contains("entry_pkey") && !read.contains("Sort"), "{read}");
        let [before, after] = BEHIND;
        let behind =
            plan(&format!("SELECT 1 FROM tip WHERE id = 1{before}$1::bigint{after}$2::bigint"), "7, 9");
        let strays = plan(STRAY, "");
        for plan in [behind, strays] {
            assert!(plan.contains("entry_pkey") && plan.contains("parts_pkey"), "{plan}");
            assert!(!plan.contains("Scan on entry") && !plan.contains("Scan on parts"), "{plan}");
        }
    }
}
