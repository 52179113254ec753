//! What is SQLite's own: files, lock, schema, plans, and bytes that must be gone.

use super::super::{Fault, Log, NewEntry, Place, Read, Row, State, StoredPart, TipRecord};
use super::file::{File, Kind, Mode};
use super::{Reader, Sqlite};
use crate::types::Hash;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::MigrationHarness;
use std::path::Path;

fn tip() -> TipRecord {
    TipRecord { seq: 0, hash: Hash([1; 32]), edge: vec![], checkpoint: String::new() }
}

fn texts(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    diesel::dsl::sql::<Text>(query).load(connection).unwrap()
}

fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    let mut all = texts(connection, "SELECT 'id ' || application_id FROM pragma_application_id");
    let ours = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema \
                WHERE name NOT LIKE '%diesel_schema_migrations%' ORDER BY 1";
    all.extend(texts(connection, ours));
    all
}

#[test]
fn migrations_go_up_down_and_up_again() {
    for kind in [Kind::Log, Kind::State, Kind::Views] {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let empty = schema(&mut connection);
        connection.run_pending_migrations(kind.migrations()).unwrap();
        let full = schema(&mut connection);
        assert!(full.len() > 3 && full[0] != empty[0], "{full:?}");
        connection.revert_all_migrations(kind.migrations()).unwrap();
        assert_eq!(schema(&mut connection), empty, "{kind:?} down");
        connection.run_pending_migrations(kind.migrations()).unwrap();
        assert_eq!(schema(&mut connection), full, "{kind:?} up again");
    }
}

#[test]
fn a_folder_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sqlite::open(dir.path()).unwrap();
    let second = Sqlite::open(dir.path()).err().expect("refused");
    assert!(matches!(&second, Fault::InUse { path, .. } if path == dir.path()), "{second}");
    let named = format!("process {} on ", std::process::id());
    assert!(second.to_string().contains(&named), "{second}");
    Reader::open(dir.path()).expect("readers are welcome");
    let Sqlite { log, state, .. } = first;
    drop(log);
    assert!(matches!(Sqlite::open(dir.path()), Err(Fault::InUse { .. })), "the follower still writes");
    drop(state);
    Sqlite::open(dir.path()).expect("free again");
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let refused = |dir: &Path, name: &str| {
        let before = std::fs::read(dir.join(name)).unwrap();
        let fault = Sqlite::open(dir).err().expect("refused");
        assert!(matches!(&fault, Fault::Foreign { path, .. } if path.ends_with(name)), "{fault}");
        assert_eq!(std::fs::read(dir.join(name)).unwrap(), before);
        fault.to_string()
    };
    for name in ["log.sqlite", "state.sqlite"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(name),
            "a letter to my aunt, long enough to be a header. ".repeat(200),
        )
        .unwrap();
        assert!(refused(dir.path(), name).contains("does not read as a database"));

        let dir = tempfile::tempdir().unwrap();
        let url = dir.path().join(name).to_str().unwrap().to_owned();
        SqliteConnection::establish(&url).unwrap().batch_execute("CREATE TABLE recipe (cake TEXT)").unwrap();
        assert!(refused(dir.path(), name).contains("another program"));
    }
    let dir = tempfile::tempdir().unwrap();
    let Sqlite { log, state, reader } = Sqlite::open(dir.path()).unwrap();
    drop((log, state));
    for name in ["log.sqlite-wal", "state.sqlite-wal"] {
        let left = std::fs::metadata(dir.path().join(name)).unwrap().len();
        assert_eq!(left, 0, "a writer that ends leaves {name} empty, though a reader stays");
    }
    drop(reader);
    std::fs::rename(dir.path().join("state.sqlite"), dir.path().join("log.sqlite")).unwrap();
    assert!(refused(dir.path(), "log.sqlite").contains("another program"), "the state is not the log");
}

#[test]
fn a_newer_schema_and_a_missing_file_are_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(Fault::Foreign { .. })), "a reader makes no file");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let mut store = Sqlite::open(dir.path()).unwrap();
    store.log.append(None, &[], &tip()).expect_err("an empty log has no tip");
    drop(store);
    let mut file = File::open(dir.path(), Kind::State, Mode::Write).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    file.connection.batch_execute(newer).unwrap();
    drop(file);
    for fault in [Sqlite::open(dir.path()).err(), Reader::open(dir.path()).err()] {
        assert!(fault.expect("refused").to_string().contains("newer version"));
    }
}

#[test]
fn a_reader_cannot_write_and_reads_a_folder_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("50% off? #1");
    let mut store = Sqlite::open(&odd).unwrap();
    let entry = NewEntry { seq: 0, envelope: b"e".to_vec(), parts: vec![b"p".to_vec()] };
    store.log.append(None, &[entry], &tip()).unwrap();
    drop(store);
    assert!(odd.join("log.sqlite").is_file(), "the path is taken as it is");
    let reader = Reader::open(&odd).unwrap();
    assert_eq!(reader.read_parts(0).unwrap(), [StoredPart::Whole(b"p".to_vec())]);
    let mut file = File::open(&odd, Kind::Log, Mode::Read).unwrap();
    let refused = file.connection.batch_execute("DELETE FROM entry").unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[test]
fn what_was_erased_is_in_no_file() {
    let secret = "4111-secret-of-a-customer";
    let dir = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    let parts = vec![b"{}".to_vec(), secret.into(), b"{\"kept\":1}".to_vec()];
    store.log.append(None, &[NewEntry { seq: 0, envelope: b"e".to_vec(), parts }], &tip()).unwrap();
    let found = || {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|f| std::fs::read(f.unwrap().path()).unwrap());
        files
            .map(|bytes| bytes.windows(secret.len()).filter(|w| *w == secret.as_bytes()).count())
            .sum::<usize>()
    };
    assert!(found() > 0, "the test can see it");
    store.log.erase_part(0, 1, Hash([5; 32])).unwrap();
    assert_eq!(found(), 0);
    assert_eq!(store.reader.read_parts(0).unwrap()[1], StoredPart::Erased(Hash([5; 32])));
}

#[test]
fn damage_inside_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    let entry = |seq| NewEntry { seq, envelope: b"e".to_vec(), parts: vec![b"p".to_vec()] };
    store.log.append(None, &[entry(0), entry(1)], &TipRecord { seq: 1, ..tip() }).unwrap();
    drop(store);
    let damage = |sql: &str| {
        let mut file = File::open(dir.path(), Kind::Log, Mode::Write).unwrap();
        file.connection.batch_execute(sql).unwrap();
        drop(file);
        let fault =
            Reader::open(dir.path()).unwrap().read(0, 10, usize::MAX).expect_err("noticed").to_string();
        assert!(fault.contains("log.sqlite is damaged at entry 1"), "{fault}");
        fault
    };
    assert!(damage("UPDATE parts SET id = id + 1 WHERE id = 16384").contains("0 parts stand before"));
    assert!(
        damage("UPDATE parts SET id = 16384, bytes = x'28b52ffd00' WHERE id = 16385").contains("cut off")
    );
    assert!(damage("UPDATE parts SET bytes = x'70' WHERE id = 16384").contains("end with a line"));
    assert!(
        damage("DELETE FROM entry WHERE seq = 1; INSERT INTO entry VALUES (2, x''); UPDATE tip SET seq = 2")
            .contains("no envelope")
    );
}

#[test]
fn questions_about_due_and_keys_use_their_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(dir.path()).unwrap();
    let row = Row { key: "a".into(), value: Some(vec![]), seq: 0, due: Some(1) };
    store.state.put(None, Place { seq: 0, hash: Hash([0; 32]) }, &[row]).unwrap();
    let mut file = File::open(dir.path(), Kind::State, Mode::Read).unwrap();
    let mut plan = |query: &str| {
        #[derive(QueryableByName)]
        struct Step {
            #[diesel(sql_type = Text)]
            detail: String,
        }
        let steps: Vec<Step> =
            diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(&mut file.connection).unwrap();
        steps.into_iter().map(|s| s.detail).collect::<Vec<_>>().join("; ")
    };
    let due = plan("SELECT key, value, seq, due FROM state WHERE due <= 5 ORDER BY due, key LIMIT 3");
    assert!(due.contains("USING INDEX state_due") && !due.contains("TEMP B-TREE"), "{due}");
    let next = plan("SELECT due FROM state WHERE due IS NOT NULL ORDER BY due LIMIT 1");
    assert!(next.contains("state_due") && !next.contains("TEMP B-TREE"), "{next}");
    let load = plan("SELECT s.key FROM json_each('[\"a\"]') AS j CROSS JOIN state AS s ON s.key = j.value");
    assert!(load.contains("SEARCH s USING PRIMARY KEY"), "{load}");
}
