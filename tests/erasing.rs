//! Evidence that is erased on request: by the operator's word in the log and in no other way, from the log's own
//! files, also if the process dies in between.

mod common;

use common::node::{How, Replay};
use common::place::Place;
use common::rng::Rng;
use common::tour::Tour;
use common::world::{World, beginning, id};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tallyhouse::app::{Network, Options, Report, verify};
use tallyhouse::engine::{Core, Engine, Failure, Point, Setup, StateFollower, Stores};
use tallyhouse::log::{LogSigner, leaf_hash};
use tallyhouse::machine::{Answer, Reader};
use tallyhouse::reading::{Entries, What};
use tallyhouse::store::{Faces, Home, StoredPart};
use tallyhouse::tiles::Hashes;
use tallyhouse::types::{Hash, Refusal, Time};

fn at(minute: u64) -> Time {
    beginning().plus_seconds(minute * 60)
}

/// A founded network with an account that its holder opened, and points on it: the entries of both.
fn scene(seed: u64) -> (Place, World, u64, u64) {
    scene_in(Place::new(), seed)
}

fn scene_in(place: Place, seed: u64) -> (Place, World, u64, u64) {
    let world = World::new(seed);
    let (genesis, key) = (world.genesis.clone(), &world.log.secret);
    let network =
        Network::create(&place.home, genesis, key, beginning(), &place.tuning()).expect("a network");
    for request in world.founding() {
        network.engine.ask(&request, Some(beginning())).expect("founding");
    }
    let ada = world.holder(id("HARVEST"), 0);
    let open = world.open_account("open", id("HARVEST"), &ada);
    let opened = network.engine.ask(&open, Some(at(1))).expect("opened").seq;
    let token = world.token(&world.brands[0], id("HARVEST"), "t1", ada.account, 500, at(2));
    let award = world.issue(&world.brands[0].issuing[0], &token);
    let awarded = network.engine.ask(&award, Some(at(2))).expect("awarded").seq;
    network.close().expect("closed");
    (place, world, opened, awarded)
}

fn parts(place: &Place, seq: u64) -> Vec<StoredPart> {
    place.home.read().expect("a reader").read_parts(seq).expect("parts")
}

fn leaf(place: &Place, seq: u64, part: usize) -> Hash {
    match &parts(place, seq)[part] {
        StoredPart::Whole(bytes) => leaf_hash(bytes),
        StoredPart::Erased(leaf) => *leaf,
    }
}

fn checked(place: &Place) -> Report {
    verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault")
}

fn refused(asked: Result<Answer, Failure>) -> Refusal {
    match asked {
        Err(Failure::Refused(no)) => no.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_operator_has_erased_is_gone_and_accounted_for() {
    let (place, world, opened, awarded) = scene(31);
    let (place, key) = (&place, &world.log.secret);
    let (leaf, effects) = (leaf(place, opened, 0), leaf(place, opened, 1));
    let network = Network::open(&place.home, key, &place.tuning()).expect("opens");
    let ask =
        |cid: &str, seq, part, leaf| network.engine.ask(&world.erase(cid, seq, part, leaf), Some(at(5)));
    // Not with another hash, not what is no evidence, not what is not there or is public.
    for (cid, seq, part, leaf) in [
        ("other", opened, 0, effects),
        ("effects", opened, 1, effects),
        ("beyond", opened, 9, leaf),
        ("public", 1, 0, leaf),
    ] {
        assert_eq!(refused(ask(cid, seq, part, leaf)), Refusal::EvidenceMismatch, "{cid}");
    }
    assert_eq!(refused(ask("ahead", 9_000, 0, leaf)), Refusal::SettingInvalid);
    let no = network.engine.ask(
        &world.alone(world.command(
            &world.roots[0],
            "alone",
            "evidence.erase",
            &tallyhouse::network::EraseEvidence { entry: opened, part: 0, leaf, reason: id("asked") },
        )),
        Some(at(5)),
    );
    assert_eq!(refused(no), Refusal::EvidenceMissing);
    assert!(matches!(parts(place, opened)[0], StoredPart::Whole(_)), "nothing of it did anything");

    let answer = ask("one", opened, 0, leaf).expect("erased");
    assert_eq!(parts(place, opened)[0], StoredPart::Erased(leaf));
    // Asked again it is the same answer; asked anew it is there already.
    let again = ask("one", opened, 0, leaf).expect("the same");
    assert_eq!((again.seq, again.replayed), (answer.seq, true));
    assert_eq!(refused(ask("two", opened, 0, leaf)), Refusal::AlreadyExists);
    network.close().expect("closed");
    let report = checked(place);
    assert_eq!(report.finding, None);
    assert_eq!((report.erased, report.undecided), (1, 1));
    let one = &report.undecided_entries[0];
    assert_eq!((one.seq, one.kind.as_str(), one.moved.len()), (opened, "account.opened", 0));
    assert!(report.level.ends_with("but for 1 entry whose evidence was erased"), "{}", report.level);

    // An award tells how much it moved.
    let network = Network::open(&place.home, key, &place.tuning()).expect("opens");
    network
        .engine
        .ask(&world.erase("three", awarded, 0, self::leaf(place, awarded, 0)), None)
        .expect("erased");
    network.close().expect("closed");
    let report = checked(place);
    assert_eq!((report.finding, report.undecided), (None, 2));
    assert_eq!(report.undecided_entries[1].moved.get("HARVEST"), Some(&500));
}

#[test]
fn a_node_in_the_writers_role_erases_what_the_log_says_and_nothing_else() {
    let (place, world, opened, awarded) = scene_in(Place::in_database(), 35);
    let server = common::cluster::shared();
    let owner = place.database.clone().expect("a database");
    server.script("tally", &owner, include_str!("../config/postgres-roles.sql")).expect("roles");
    server.sql(&owner, "CREATE ROLE erasing_node LOGIN IN ROLE tallyhouse_writer");
    let address = owner.replace("tally@", "erasing_node@");
    let home = Home::new(place.dir(), Some(address.parse().expect("an address")));
    let network = Network::open(&home, &world.log.secret, &place.tuning()).expect("opens");
    let erase = |cid: &str, seq| {
        let ask = world.erase(cid, seq, 0, leaf(&place, seq, 0));
        network.engine.ask(&ask, Some(at(5))).expect("erased");
        leaf(&place, seq, 0)
    };
    let gone = erase("one", opened);
    assert_eq!(parts(&place, opened)[0], StoredPart::Erased(gone));

    // What the log does not say is not done for anybody in that role, nor anything else under its name.
    let whole = |part: &StoredPart| match part {
        StoredPart::Whole(bytes) => format!("{}0a", tallyhouse::types::hex(bytes)),
        StoredPart::Erased(leaf) => said(leaf),
    };
    let lines = |parts: &[StoredPart]| parts.iter().map(whole).collect::<String>();
    let leaves = |seq: u64| {
        let of = |at: usize| format!("decode('{}', 'hex')", leaf(&place, seq, at));
        (0..parts(&place, seq).len()).map(of).collect::<Vec<_>>().join(", ")
    };
    let ask = |seq: u64, lines: &str, leaves: &str| {
        let chunk = seq * 16_384;
        let sql = format!("SELECT log.erase_part({chunk}, decode('{lines}', 'hex'), ARRAY[{leaves}])");
        server.try_sql(&owner, &format!("SET ROLE erasing_node; {sql}"))
    };
    let refused = |seq: u64, lines: &str, leaves: &str, why: &str| {
        let no = ask(seq, lines, leaves).expect_err(why);
        assert!(no.contains(why), "{why}: {no}");
    };
    let award = parts(&place, awarded);
    let mut unsaid = award.clone();
    unsaid[0] = StoredPart::Erased(leaf(&place, awarded, 0));
    refused(awarded, &lines(&unsaid), &leaves(awarded), "no entry says that part 0");
    let mut other = award.clone();
    other[0] = StoredPart::Whole(b"{}".to_vec());
    refused(awarded, &lines(&other), &leaves(awarded), "is another one");
    let foreign = vec![format!("decode('{}', 'hex')", leaf(&place, opened, 1)); award.len()].join(", ");
    refused(awarded, &lines(&award), &foreign, "have another root");
    refused(awarded, &lines(&award[1..]), &leaves(awarded), "is another one");
    refused(awarded, &lines(&award[..1]), &leaves(awarded), "the chunk has more parts");
    let more = lines(&award) + &lines(&award[..1]);
    refused(awarded, &more, &leaves(awarded), "the chunk has fewer parts");
    refused(9_000, &lines(&award), &leaves(awarded), "entry 9000 has not these parts");
    let mut effects = parts(&place, opened);
    effects[1] = StoredPart::Erased(leaf(&place, opened, 1));
    refused(opened, &lines(&effects), &leaves(opened), "no entry says that part 1");
    // Where the server does not do it, nobody is shown what the log says is gone; it is done when it may be.
    let may = "EXECUTE ON FUNCTION log.erase_part";
    server.sql(&owner, &format!("REVOKE {may} FROM tallyhouse_writer"));
    assert_eq!(network.engine.unerased(), 0);
    let left = erase("two", awarded);
    network.engine.settle().expect("settled");
    assert_eq!((&parts(&place, awarded), network.engine.unerased()), (&award, 1));
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!((report.finding, report.unerased), (None, 1));
    let read = place.home.read().expect("a reader");
    let genesis = &world.genesis;
    let log = tallyhouse::log::vkey(&genesis.origin, genesis.log.as_bytes()).parse().expect("a key");
    let entries = Entries::new(read.clone(), Hashes::open(place.dir(), read), log);
    let shown = entries.entry(awarded, &Reader::Operator).expect("read").expect("there");
    let gone: Vec<u32> =
        shown.parts.iter().filter(|part| part.what == What::Erased).map(|part| part.index).collect();
    assert_eq!((gone, shown.parts.len()), (vec![0], award.len()));
    // Nor is it in an export.
    let StoredPart::Whole(bytes) = &award[0] else { panic!("it is there") };
    let exported = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
        .args(["export", "--parts", "--data"])
        .arg(place.dir())
        .args(["--database", place.database.as_deref().expect("a database")])
        .output()
        .expect("it runs");
    let text = String::from_utf8(exported.stdout).expect("text");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let line = |what: &str| text.lines().any(|line| line == what);
    assert!(
        line(&format!("{{\"seq\":{awarded},\"index\":0,\"erased\":\"{left}\"}}")),
        "it says what remains"
    );
    assert!(text.contains(&format!("{{\"seq\":{awarded},\"index\":1,\"part\":")), "the others are there");
    let bytes = std::str::from_utf8(bytes).expect("text");
    let longest =
        bytes.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|run| run.len()).expect("a run");
    assert!(longest.len() > 30 && !text.contains(longest), "nothing of it is there: {longest}");
    network.close().expect("closed");
    server.sql(&owner, &format!("GRANT {may} TO tallyhouse_writer"));
    let network = Network::open(&home, &world.log.secret, &place.tuning()).expect("opens");
    assert_eq!((parts(&place, awarded)[0].clone(), network.engine.unerased()), (StoredPart::Erased(left), 0));
    let award = parts(&place, awarded);
    // What changes nothing is let through.
    ask(awarded, &lines(&award), &leaves(awarded)).expect("the same again");
    assert_eq!(parts(&place, awarded), award);
    network.close().expect("closed");
    let report = checked(&place);
    assert_eq!((report.finding, report.erased, report.unerased), (None, 2, 0));
}

/// The line of an erased part, as a database's chunk has it.
fn said(leaf: &Hash) -> String {
    format!("{}0a", tallyhouse::types::hex(format!("{{\"erased\":\"{leaf}\"}}").as_bytes()))
}

#[test]
fn what_is_missing_and_nobody_says_so_is_named() {
    let (place, world, opened, awarded) = scene(32);
    let place = &place;
    let (leaf, other) = (leaf(place, opened, 0), leaf(place, awarded, 0));
    let erase = |seq, leaf| place.home.open().expect("stores").log.erase_part(seq, 0, leaf).expect("erased");
    erase(opened, leaf);
    let finding = checked(place).finding.expect("it is missing");
    assert_eq!(finding.place, format!("entry {opened}"));
    let what = format!("part 0 of entry {opened} is missing, and no entry says that it was erased");
    assert_eq!(finding.what, what);
    // Said afterwards, it counts; and of one part it says nothing of another.
    let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
    network.engine.ask(&world.erase("late", opened, 0, leaf), None).expect("said");
    network.close().expect("closed");
    assert_eq!(checked(place).finding, None);
    erase(awarded, other);
    assert_eq!(checked(place).finding.expect("it is missing").place, format!("entry {awarded}"));
}

#[test]
fn whatever_evidence_is_gone_the_rest_gives_the_same_state() {
    let tour = Tour::take();
    let mut replay = Replay::new(How::Erased);
    replay.follow(&tour.node.entries).unwrap_or_else(|what| panic!("{what}"));
    replay.same(&tour.node.state).unwrap_or_else(|what| panic!("{what}"));
}

/// Opens the network without its other followers; once `armed` it dies when an entry is on disk.
fn fragile(world: &World, place: &Place, armed: Arc<AtomicBool>) -> Engine {
    let dies = move |point| point == Point::AfterAppend && armed.load(Ordering::SeqCst);
    let Faces { log, state, reader } = place.home.open().expect("stores");
    let state = StateFollower::new(state, None).expect("a follower");
    let stores = Stores { log, read: reader, state: Box::new(state), others: vec![] };
    let mut rng = Rng::new(9);
    let salts = Box::new(move || u128::from(rng.next()).to_be_bytes());
    let setup = Setup { memory_rows: 1_000, salts, crash: Some(Arc::new(dies)), holds: None };
    let signer = LogSigner::of(&world.genesis.origin, &world.log.secret).expect("a signer");
    let core = Core::open(setup, stores, signer, &world.genesis, Time::default()).expect("opens");
    Engine::start(core, world.net, place.tuning().pace, || Ok(beginning())).expect("starts")
}

#[test]
fn what_was_said_and_not_done_is_done_at_the_next_opening() {
    let (place, world, opened, _) = scene(33);
    let place = &place;
    let leaf = leaf(place, opened, 0);
    let armed = Arc::new(AtomicBool::new(false));
    let engine = fragile(&world, place, armed.clone());
    armed.store(true, Ordering::SeqCst);
    let died = engine.ask(&world.erase("one", opened, 0, leaf), None);
    assert!(matches!(died, Err(Failure::Unavailable(_))), "{died:?}");
    drop(engine);
    assert!(matches!(parts(place, opened)[0], StoredPart::Whole(_)), "it died between the two");

    // Whoever opens it next, with whatever hurry, does it first; and a second time does no harm.
    for _ in 0..2 {
        let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
        assert_eq!(parts(place, opened)[0], StoredPart::Erased(leaf));
        network.close().expect("closed");
    }
    let report = checked(place);
    assert_eq!((report.finding, report.erased), (None, 1));
}

#[test]
fn the_exit_code_says_how_much_rests_on_the_operators_word() {
    let (place, world, _, awarded) = scene(34);
    let place = &place;
    let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
    network.engine.ask(&world.erase("one", awarded, 0, leaf(place, awarded, 0)), None).expect("erased");
    network.close().expect("closed");
    let run = |options: &[&str]| {
        let program = env!("CARGO_BIN_EXE_tallyhouse");
        let mut command = std::process::Command::new(program);
        command.arg("--data").arg(place.dir()).arg("verify").args(options);
        if let Some(database) = &place.database {
            command.args(["--database", database]);
        }
        let out = command.output().expect("it runs");
        (out.status.code(), String::from_utf8(out.stdout).expect("text"))
    };
    let (code, said) = run(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with(
            "VERIFIED  all parts: every signature that is left, every effect decided again, but"
        )
    );
    assert!(said.contains(&format!("entry {awarded}  points.issued  moved 500 HARVEST")), "{said}");
    assert_eq!(run(&["--allow-undecided", "1"]).0, Some(0));
    let (code, said) = run(&["--json", "--allow-undecided", "2"]);
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &report["undecided"]), (Some(0), &serde_json::json!(1)));
    let entries = serde_json::json!([{"seq": awarded, "kind": "points.issued", "moved": {"HARVEST": 500}}]);
    assert_eq!(report["undecided_entries"], entries);
}
