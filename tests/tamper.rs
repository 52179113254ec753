//! Flip any one byte of an envelope, a part, state or a view, and `verify` says where.
//!
//! A network is run through every kind of entry, closed, and copied once for each thing to spoil: every
//! column of every table of every file, and every member of an entry of every kind.

mod common;

use common::ordered::Json;
use common::tour::Tour;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable, Text};
use std::path::{Path, PathBuf};
use tallyhouse::app::{Network, Options, Tuning, verify};
use tallyhouse::log::Envelope;
use tallyhouse::sign::SecretKey;
use tallyhouse::store::Home;

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Bytes {
    #[diesel(sql_type = Nullable<Binary>)]
    bytes: Option<Vec<u8>>,
}

fn connect(file: &Path) -> SqliteConnection {
    SqliteConnection::establish(&file.display().to_string()).expect("a database")
}

fn names(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    let rows: Vec<Name> = diesel::sql_query(query).load(connection).expect("names");
    rows.into_iter().map(|row| row.name).collect()
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(from).expect("the network").flatten() {
        if file.file_type().is_ok_and(|kind| kind.is_file()) {
            std::fs::copy(file.path(), to.path().join(file.file_name())).expect("a copy");
        }
    }
    to
}

/// The network of the tour, on disk: every kind of entry, closed cleanly.
fn network() -> (tempfile::TempDir, Tour) {
    let dir = tempfile::tempdir().expect("a folder");
    let tour = Tour::take();
    let key: &SecretKey = &tour.world.log.secret;
    let genesis = tour.world.genesis.clone();
    let begins = common::world::beginning();
    let network =
        Network::create(dir.path(), genesis, key, begins, &Tuning::at(dir.path())).expect("a network");
    for (request, at) in &tour.node.asked {
        // What the tour was refused is refused here too.
        let _ = network.engine.ask(request, Some(*at));
    }
    network.engine.snapshot().expect("a snapshot");
    network.close().expect("a clean end");
    (dir, tour)
}

fn finding(dir: &Path) -> Option<String> {
    match verify(dir, &Options::default(), &mut |_, _| {}) {
        Ok(report) => report.finding.map(|finding| finding.to_string()),
        // A file that cannot even be read is named by the fault.
        Err(fault) => Some(fault),
    }
}

#[test]
fn an_untouched_network_verifies() {
    let (dir, _) = network();
    let report = verify(dir.path(), &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    assert!(report.records > 50 && report.views && report.snapshots == 1, "{report:?}");
}

/// One byte of one value, changed in the middle; numbers become the next number.
fn spoil(file: &Path, table: &str, column: &str) -> bool {
    let mut db = connect(file);
    db.batch_execute("PRAGMA foreign_keys=OFF").expect("pragma");
    let pick = format!(
        "SELECT CAST({column} AS BLOB) AS bytes FROM {table} WHERE {column} IS NOT NULL AND length({column}) > 0 \
         ORDER BY rowid_or_key LIMIT 1 OFFSET (SELECT count(*) / 2 FROM {table} WHERE {column} IS NOT NULL AND length({column}) > 0)"
    )
    .replace("ORDER BY rowid_or_key", "ORDER BY 1");
    let rows: Vec<Bytes> = diesel::sql_query(pick).load(&mut db).expect("a value");
    let Some(Some(before)) = rows.into_iter().next().map(|row| row.bytes) else { return false };
    let mut after = before.clone();
    let middle = after.len() / 2;
    after[middle] ^= 1;
    let change = format!(
        "UPDATE {table} SET {column} = CASE typeof({column}) WHEN 'integer' THEN {column} + 1 \
         WHEN 'text' THEN CAST(? AS TEXT) ELSE ? END WHERE CAST({column} AS BLOB) = ?"
    );
    diesel::sql_query(change)
        .bind::<Binary, _>(&after)
        .bind::<Binary, _>(&after)
        .bind::<Binary, _>(&before)
        .execute(&mut db)
        .is_ok_and(|rows| rows > 0)
}

#[test]
fn a_spoiled_value_in_any_column_of_any_table_is_found() {
    let (dir, _) = network();
    let mut tried = vec![];
    let mut missed = vec![];
    for file in ["log.sqlite", "state.sqlite", "views.sqlite"] {
        let tables = names(
            &mut connect(&dir.path().join(file)),
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
        );
        for table in tables {
            let columns = names(
                &mut connect(&dir.path().join(file)),
                &format!("SELECT name FROM pragma_table_info('{table}')"),
            );
            for column in columns {
                let broken = copy(dir.path());
                if !spoil(&broken.path().join(file), &table, &column) {
                    continue;
                }
                let place = format!("{file} {table}.{column}");
                match finding(broken.path()) {
                    Some(found) => tried.push(format!("{place}: {found}")),
                    None => missed.push(place),
                }
            }
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
    assert!(tried.len() >= 15, "too few places: {tried:#?}");
    let named = |file: &str, word: &str| {
        for row in tried.iter().filter(|row| row.starts_with(file)) {
            assert!(
                row.split_once(": ").is_some_and(|(_, found)| found.contains(word)),
                "does not name the place: {row}"
            );
        }
    };
    named("state.sqlite", "state");
    named("views.sqlite", "views");
}

fn rewrite(dir: &Path, seq: u64, envelope: &[u8]) {
    let mut db = connect(&dir.join("log.sqlite"));
    diesel::sql_query("UPDATE entry SET envelope = ? WHERE seq = ?")
        .bind::<Binary, _>(envelope)
        .bind::<diesel::sql_types::BigInt, _>(i64::try_from(seq).expect("small"))
        .execute(&mut db)
        .expect("rewritten");
}

#[test]
fn a_spoiled_member_of_any_kind_of_envelope_is_found_and_named() {
    let (dir, _) = network();
    let mut db = connect(&dir.path().join("log.sqlite"));
    let rows: Vec<Bytes> = diesel::sql_query("SELECT envelope AS bytes FROM entry ORDER BY seq")
        .load(&mut db)
        .expect("envelopes");
    drop(db);
    let mut seen = std::collections::BTreeSet::new();
    for (seq, row) in rows.into_iter().enumerate() {
        let bytes = row.bytes.expect("an envelope");
        let kind = Envelope::decode(&bytes).expect("ours").kind;
        if !seen.insert(kind.clone()) {
            continue;
        }
        // Each outer member in one way; the inner ones are walked through by the evil operator.
        let mut members = std::collections::BTreeSet::new();
        for (place, spoiled) in Json::read(&bytes).spoiled() {
            let member = place.split([' ', '/']).nth(1).unwrap_or_default().to_owned();
            if member.is_empty() || place.ends_with("removed") || !members.insert(member) {
                continue;
            }
            let broken = copy(dir.path());
            rewrite(broken.path(), seq as u64, &spoiled.text());
            let found = finding(broken.path()).unwrap_or_default();
            assert!(found.contains(&format!("entry {seq}")), "{kind} {place}: {found:?}");
        }
    }
    assert!(seen.len() >= 20, "{seen:?}");
}

#[test]
fn a_log_that_was_cut_is_not_opened() {
    let (dir, tour) = network();
    let cut: PathBuf = dir.path().into();
    let mut db = connect(&cut.join("log.sqlite"));
    db.batch_execute("DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)").expect("cut");
    drop(db);
    assert!(finding(&cut).is_some());
    let opened = Network::open(&cut, &tour.world.log.secret, &Tuning::at(&cut));
    assert!(opened.is_err(), "a log without its end was opened");
}

#[test]
fn what_was_moved_taken_away_or_rewritten_as_a_whole_is_found() {
    let (dir, tour) = network();
    let told = |dir: &Path, wanted: &str| {
        let found = finding(dir).unwrap_or_default();
        assert!(found.contains(wanted), "{wanted:?} is wanted, this was found: {found:?}");
    };
    let change = |file: &str, sql: &str| {
        let spoiled = copy(dir.path());
        connect(&spoiled.path().join(file)).batch_execute(sql).expect("changed");
        spoiled
    };
    // The last entry under another number, and one behind the tip.
    let moved =
        change("log.sqlite", "UPDATE entry SET seq = seq + 5 WHERE seq = (SELECT max(seq) FROM entry)");
    told(moved.path(), "is missing");
    let more = change(
        "log.sqlite",
        "INSERT INTO entry (seq, envelope) SELECT max(seq) + 1, envelope FROM entry WHERE seq = (SELECT max(seq) FROM entry)",
    );
    told(more.path(), "stands behind the tip, in the table entry");
    // Parts of an entry that is to come: they would be taken for its own.
    let parts = change(
        "log.sqlite",
        "INSERT INTO parts (id, bytes) SELECT (seq + 1) * 16384 + 9, x'7b7d0a' FROM tip",
    );
    told(parts.path(), "stands behind the tip, in the table parts");
    // Whoever reads is not held up by them; whoever would write is told where they are.
    let (whole, read) =
        (Home::from(dir.path()).read().expect("a log"), Home::from(parts.path()).read().expect("a log"));
    assert_eq!(
        read.read(0, usize::MAX, usize::MAX).expect("readable"),
        whole.read(0, usize::MAX, usize::MAX).expect("readable")
    );
    let opened = Network::open(parts.path(), &tour.world.log.secret, &Tuning::at(parts.path()));
    let why = opened.err().expect("nothing may be appended").to_string();
    assert!(why.contains("the table parts of the log has a row of entry"), "{why}");
    // Parts among those of an entry, or behind its last; one that has none, and one whose parts fill many rows.
    for (place, among) in [
        ("(SELECT max(id) / 16384 FROM parts) * 16384 + 600", "as part 600"),
        ("(SELECT max(id) / 16384 FROM parts) * 16384 + 1", "as part 1"),
        ("(SELECT min(seq) FROM entry WHERE seq NOT IN (SELECT id / 16384 FROM parts)) * 16384", "as part 0"),
    ] {
        let parts = change("log.sqlite", &format!("INSERT INTO parts (id, bytes) SELECT {place}, x'7b7d0a'"));
        told(parts.path(), among);
        told(parts.path(), "is none of them: no writer put it there");
        let read = Home::from(parts.path()).read().expect("a log");
        let mut all = read.read(0, usize::MAX, usize::MAX).expect("readable");
        let odd: Vec<u64> =
            all.iter().filter(|entry| entry.beside.is_some()).map(|entry| entry.seq).collect();
        assert_eq!(odd.len(), 1, "{place}");
        all.iter_mut().for_each(|entry| entry.beside = None);
        assert_eq!(all, whole.read(0, usize::MAX, usize::MAX).expect("readable"), "{place}");
        assert_eq!(read.read_parts(odd[0]).expect("readable"), whole.read_parts(odd[0]).expect("readable"));
        // It is no reason not to go on: what is appended stands behind it.
        let network = Network::open(parts.path(), &tour.world.log.secret, &Tuning::at(parts.path()));
        network.expect("opens").close().expect("closes");
    }
    // Records that no cursor places.
    told(change("state.sqlite", "DELETE FROM cursor").path(), "state, cursor");
    told(change("views.sqlite", "DELETE FROM cursor").path(), "views");
    // The checkpoint beside the database: unreadable, of another history, or not there.
    let note = |bytes: &[u8]| {
        let spoiled = copy(dir.path());
        std::fs::write(spoiled.path().join("checkpoint"), bytes).expect("written");
        spoiled
    };
    told(note(b"\xff").path(), "checkpoint file");
    let signer = tallyhouse::log::LogSigner::of(&tour.world.genesis.origin, &tour.world.log.secret);
    let other = signer.expect("a signer").sign(9, tallyhouse::types::Hash([5; 32]));
    told(note(other.as_bytes()).path(), "over the first 9 entries");
    let gone = copy(dir.path());
    std::fs::remove_file(gone.path().join("checkpoint")).expect("removed");
    let report = verify(gone.path(), &Options::default(), &mut |_, _| {}).expect("no fault");
    assert!(report.finding.is_none() && !report.outside, "{report:?}");
}

#[test]
fn a_checkpoint_that_somebody_kept_is_held_against_the_log() {
    let (dir, tour) = network();
    let newest = std::fs::read_to_string(dir.path().join("checkpoint")).expect("a checkpoint");
    let held = |kept: &str| {
        let checkpoints = vec![("mine".to_owned(), kept.to_owned())];
        let options = Options { checkpoints, ..Options::default() };
        let report = verify(dir.path(), &options, &mut |_, _| {}).expect("no fault");
        report.finding.map(|finding| finding.to_string())
    };
    assert_eq!(held(&newest), None);
    let signer = tallyhouse::log::LogSigner::of(&tour.world.genesis.origin, &tour.world.log.secret);
    let signer = signer.expect("a signer");
    let other = tallyhouse::types::Hash([7; 32]);
    let rewritten = held(&signer.sign(5, other)).expect("another history");
    assert!(rewritten.contains("mine") && rewritten.contains("rewritten"), "{rewritten}");
    let cut = held(&signer.sign(100_000, other)).expect("a longer one");
    assert!(cut.contains("mine") && cut.contains("cut"), "{cut}");
    let forged = held(&newest.replace('\n', " \n")).expect("no checkpoint");
    assert!(forged.contains("mine"), "{forged}");
}
