//! Copies of a network: backed up while it works, restored too old and refused, given the rest by another copy, moved to
//! another store. What clients were told is so at the end, and a copy that somebody tampered with gives nothing.

mod common;

use common::cluster::{self, Cluster};
use common::load::{Load, end};
use common::place::Place;
use common::process::{Process, found};
use common::world::World;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tallyhouse::app::{Network, Options, Tuning, verify};
use tallyhouse::store::Home;
use tallyhouse::vault::Vault;

const API: &str = "[api]\nper_key = 1000000\nper_address = 1000000\ndrain_seconds = 10\n";

/// The program at a home.
fn tallyhouse(home: &Home, database: Option<&str>, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    command.env_remove("TALLYHOUSE_DATABASE").arg("--data").arg(home.dir());
    if let Some(database) = database {
        command.args(["--database", database]);
    }
    command.args(words).output().expect("it runs")
}

/// What it prints as JSON, if it ends well.
#[track_caller]
fn done(place: &Place, words: &[&str]) -> Value {
    let output = tallyhouse(&place.home, place.database.as_deref(), &[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// What it says to standard error, and its exit code.
fn refused(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let output = tallyhouse(&place.home, place.database.as_deref(), words);
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Entries of a log.
fn size(home: &Home) -> u64 {
    home.read().expect("opens").tip().expect("read").map_or(0, |tip| tip.seq + 1)
}

/// A network at work that was backed up twice; then it stopped.
struct Scene {
    place: Place,
    load: Load,
    history: common::load::History,
    kept: tempfile::TempDir,
    older: PathBuf,
    newer: PathBuf,
}

/// The network works, and is backed up as it does.
fn scene(seed: u64, place: Place) -> Scene {
    let world = World::real(seed);
    found(&world, &place.home, &[]);
    let load = Load::new(world);
    Vault::open(&place.home).expect("a vault").create_wallets(&["member-1", "member-2"]).expect("wallets");
    let kept = tempfile::tempdir().expect("a folder");
    let (older, newer) = (kept.path().join("older"), kept.path().join("newer"));
    let process = Process::start(place.dir(), &place.config(API));
    let pause = || std::thread::sleep(Duration::from_millis(200));
    let mut history = load.during(&process, "one", || {
        pause();
        let made = done(&place, &["backup", text(&older)]);
        assert!(made["new"] == made["size"] && made["wallets"] == 2, "{made}");
    });
    done(&place, &["backup", text(&newer)]);
    history.extend(load.during(&process, "two", pause));
    load.settle(&process, &mut history);
    // Again, only what is new.
    let made = done(&place, &["backup", text(&newer)]);
    // A backup has neither state nor views, and its log is verified as it stands.
    let output = tallyhouse(&Home::from(&newer), None, &["verify", "--log-only"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains(text(&newer)), "{said}");
    let (new, all) = (made["new"].as_u64().expect("a number"), made["size"].as_u64().expect("a number"));
    assert!(new > 0 && new < all, "{made}");
    end(process);
    // What came after it, the term's end at most, is no more than the node's own.
    done(&place, &["backup", text(&newer)]);
    Scene { place, load, history, kept, older, newer }
}

/// Puts the older copy where the network was. Key files and the published checkpoint are kept apart, and stay.
fn restore(scene: &Scene) {
    let Scene { place, older, .. } = scene;
    match place.home.database() {
        None => {
            for name in ["log", "state", "views", "vault"] {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(place.dir().join(format!("{name}.sqlite{end}")));
                }
            }
            for name in ["log.sqlite", "state.sqlite", "vault.sqlite"] {
                std::fs::copy(older.join(name), place.dir().join(name)).expect("copied");
            }
        }
        Some(database) => {
            database.clear().expect("cleared");
            let address = place.database.as_deref().expect("a database");
            let words = ["copy", "--to", text(place.dir()), "--to-database", address];
            let output = tallyhouse(&Home::from(older), None, &words);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("too old to be served"), "{said}");
        }
    }
}

fn there_and_back(seed: u64, place: Place) {
    let mut scene = scene(seed, place);
    let whole = size(&scene.place.home);
    let export = scene.kept.path().join("log.ndjson");
    done(&scene.place, &["export", "--parts", "--out", text(&export)]);
    restore(&scene);
    let place = &scene.place;
    let before = size(&place.home);
    assert!(before < whole);
    // A node that would fork the log does not start, and says what to do.
    let (code, said) = refused(place, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("too old") && said.contains("tallyhouse recover --from"), "{said}");
    forged(&scene, &export, before);

    // The rest comes from a backup, or from an export: the same.
    let from = if seed.is_multiple_of(2) { &export } else { &scene.newer };
    let taken = done(place, &["recover", "--from", text(from)]);
    assert_eq!((taken["new"].as_u64(), taken["size"].as_u64()), (Some(whole - before), Some(whole)));
    assert_eq!(done(place, &["recover", "--from", text(from)])["new"], 0, "again, there is nothing to do");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    assert!(report.views && report.records > 0 && report.outside, "all of it was compared");

    // And it serves on: everybody is told what they were told before.
    let process = Process::start(place.dir(), &place.config(API));
    scene.load.settle(&process, &mut scene.history);
    let more = scene.load.during(&process, "three", || {});
    assert!(more.values().all(Option::is_some));
    end(process);
    let wallets = Vault::open(&place.home).expect("a vault").wallets_of(&["member-1", "member-2"]);
    assert!(wallets.expect("read").iter().all(Option::is_some), "people are known again");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}

/// Whatever somebody changed in the tail, nothing is taken.
fn forged(scene: &Scene, export: &Path, before: u64) {
    let lines: Vec<String> =
        std::fs::read_to_string(export).expect("text").lines().map(str::to_owned).collect();
    let note = std::fs::read_to_string(export.with_extension("ndjson.checkpoint")).expect("a checkpoint");
    let file = scene.kept.path().join("forged.ndjson");
    let beside = scene.kept.path().join("forged.ndjson.checkpoint");
    let begins = lines.iter().position(|line| line.contains(&format!("\"seq\":{before},"))).expect("a tail");
    let part = (begins..).find(|at| lines[*at].starts_with("{\"seq\":")).expect("a part");
    let envelope = (part..).find(|at| lines[*at].starts_with("{\"v\":")).expect("an envelope");
    let change = |at: usize, from: &str, to: &str| {
        let mut changed = lines.clone();
        assert!(changed[at].contains(from), "{}", changed[at]);
        changed[at] = changed[at].replacen(from, to, 1);
        changed
    };
    let without = |from: usize, to: usize| [&lines[..from], &lines[to..]].concat();
    let rows = [
        (change(part, "salt", "tlas"), "are not those that it commits to"),
        (change(envelope, "points.issued", "points.xssued"), "entry"),
        (without(part, part + 1), "does not follow"),
        (without(begins, envelope), "entry"),
        (without(lines.len() - 40, lines.len()), "look for a copy that is newer"),
        (change(part, "{\"seq\":", "{\"seq\":x"), "line"),
    ];
    for (changed, wanted) in rows {
        std::fs::write(&file, changed.join("\n") + "\n").expect("written");
        std::fs::write(&beside, &note).expect("written");
        let (code, said) = refused(&scene.place, &["recover", "--from", text(&file)]);
        assert_eq!(code, Some(1), "{wanted}: {said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert_eq!(size(&scene.place.home), before, "{wanted}: nothing was written");
    }
    // A checkpoint that another key signed.
    std::fs::write(&file, lines.join("\n") + "\n").expect("written");
    std::fs::write(&beside, note.replacen("— ", "— x", 1)).expect("written");
    let (code, said) = refused(&scene.place, &["recover", "--from", text(&file)]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(size(&scene.place.home), before);
}

#[test]
fn a_network_in_files_is_backed_up_restored_too_old_and_recovered() {
    there_and_back(81, Place::new());
}

#[test]
fn a_network_in_a_database_is_backed_up_restored_too_old_and_recovered() {
    there_and_back(82, Place::in_database());
}

#[test]
fn a_fork_that_the_logs_own_key_signed_is_not_taken_for_the_tail() {
    let scene = scene(83, Place::new());
    let key = &scene.load.world.log.secret;
    // The older copy is served beside the network, by whoever has the key and removes what guards it.
    std::fs::remove_file(scene.older.join("checkpoint")).expect("there");
    let fork = Network::open(&scene.older, key, &Tuning::at(&scene.older)).expect("opens");
    let far = size(&scene.place.home) + 3;
    for n in 0.. {
        let holder = scene.load.world.holder("TWIN".parse().expect("a unit"), n);
        let request =
            scene.load.world.open_account(&format!("fork-{n}"), "TWIN".parse().expect("a unit"), &holder);
        let _ = fork.engine.ask(&request, None);
        if fork.engine.newest() >= Some(far) {
            break;
        }
    }
    fork.close().expect("closes");
    let before = size(&scene.place.home);
    let (code, said) = refused(&scene.place, &["recover", "--from", text(&scene.older)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is no copy of this log"), "{said}");
    assert_eq!(size(&scene.place.home), before);
    let (code, said) = refused(&scene.place, &["backup", text(&scene.older)]);
    assert_eq!(code, Some(1), "{said}");
    // The fork is longer by now than what was published; beside a checkpoint of that it is not opened, given nothing,
    // and the checkpoint stays.
    let proof = std::fs::read_to_string(scene.place.dir().join("checkpoint")).expect("a checkpoint");
    let file = scene.older.join("checkpoint");
    std::fs::write(&file, &proof).expect("written");
    let refusal = Network::open(&scene.older, key, &Tuning::at(&scene.older)).err().expect("refused");
    assert!(refusal.to_string().contains("another root"), "{refusal}");
    let output = tallyhouse(&Home::from(&scene.older), None, &["recover", "--from", text(scene.place.dir())]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another root"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("a checkpoint"), proof, "what proves it stays");
}

#[test]
fn a_network_is_moved_into_a_database_and_back() {
    let scene = scene(84, Place::new());
    let Scene { place, mut history, load, kept, .. } = scene;
    let address = cluster::shared().database();
    let moved = done(&place, &["copy", "--to-database", &address]);
    assert_eq!(moved["size"].as_u64(), Some(size(&place.home)));
    assert!(moved["records"].as_u64() > Some(10) && moved["wallets"] == 2, "{moved}");
    // Served from there it goes on.
    let home = Home::new(place.dir(), Some(address.parse().expect("an address")));
    let process = Process::start(place.dir(), &format!("[store]\ndatabase = \"{address}\"\n{API}"));
    load.settle(&process, &mut history);
    history.extend(load.during(&process, "there", || {}));
    end(process);
    let report = verify(&home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    // Where it came from is too old now, and is not served.
    let tuning = Tuning::at(place.dir());
    let stale = Network::open(place.dir(), &load.world.log.secret, &tuning).err().expect("refused");
    assert!(stale.to_string().contains("too old"), "{stale}");
    // And back, into files of another folder.
    let back = kept.path().join("back");
    let output = tallyhouse(&home, Some(&address), &["copy", "--to", text(&back)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("next: cp -a"), "keys go by hand");
    let report = verify(&back, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!((report.finding, report.entries), (None, size(&home)));
    // A place that holds another network, or another vault, is left alone.
    let other = Place::new();
    found(&World::real(85), &other.home, &[]);
    let output = tallyhouse(&home, Some(&address), &["copy", "--to", text(other.dir())]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_base_backup_of_the_server_is_refused_and_recovered() {
    let place = Place::in_database();
    let address = place.database.clone().expect("a database");
    let world = World::real(86);
    found(&world, &place.home, &[]);
    let load = Load::new(world);
    let process = Process::start(place.dir(), &place.config(API));
    let mut history = load.during(&process, "one", || std::thread::sleep(Duration::from_millis(100)));
    // pg_basebackup, with the write-ahead log that it needs.
    let restored = Cluster::copy_of(cluster::shared());
    history.extend(load.during(&process, "two", || std::thread::sleep(Duration::from_millis(100))));
    load.settle(&process, &mut history);
    end(process);
    let older = restored.address(&address);
    let home = Home::new(place.dir(), Some(older.parse().expect("an address")));
    assert!(size(&home) < size(&place.home));
    let run = |words: &[&str]| {
        let output = tallyhouse(&home, Some(&older), words);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == Some(3) && said.contains("too old"), "{said}");
    // The old server's disk was saved after all: what is missing comes from there.
    let (code, said) = run(&["recover", "--from-database", &address]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(size(&home), size(&place.home));
    let process = Process::start(place.dir(), &format!("[store]\ndatabase = \"{older}\"\n{API}"));
    load.settle(&process, &mut history);
    end(process);
    let report = verify(&home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}
