//! Who writes, step by step: nodes in this process, and what happens between them at exact points. A writer that was
//! replaced changes nothing and reads on; a follower that wakes up in the midst of its work changes no row; a node with
//! a wrong clock, or with a checkpoint that the log does not agree with, does not begin to write.

mod common;

use common::cluster;
use common::process::found;
use common::world::{World, id};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tallyhouse::app::{Among, Node, Options, Tuning, verify};
use tallyhouse::clock::{self, Clock};
use tallyhouse::engine::{Follower, Part, Point, Rebuilder, StateFollower};
use tallyhouse::machine::Request;
use tallyhouse::sign::SecretKey;
use tallyhouse::store::{Home, PostgresState};
use tallyhouse::types::{AccountId, Time};
use tallyhouse::vault::{KeyFolder, Owner};

struct Bed {
    dir: tempfile::TempDir,
    world: World,
    address: String,
    began: Time,
}

impl Bed {
    fn new(seed: u64) -> Self {
        let (dir, world) = (tempfile::tempdir().expect("a folder"), World::real(seed));
        let address = cluster::shared().database();
        let bed = Self { dir, world, address, began: clock::now() };
        found(&bed.world, bed.home("a"), &[]);
        bed
    }

    fn home(&self, name: &str) -> Home {
        Home::new(&self.dir.path().join(name), Some(self.address.parse().expect("an address")))
    }

    /// The log's key, as a node finds it.
    fn key(&self) -> SecretKey {
        KeyFolder::at(self.home("a").dir()).load(&Owner::Operator, &id("log")).expect("a key file")
    }

    fn node(&self, name: &str, clock: Clock) -> Node {
        let home = self.home(name);
        let lease = Duration::from_millis(1_000);
        let among = Among { name: name.into(), address: format!("{name}:1"), lease, clock };
        let tuning = Tuning::at(home.dir());
        Node::open(&home, self.key(), &tuning, among).expect("it opens")
    }

    fn sql(&self, sql: &str) -> String {
        cluster::shared().sql(&self.address, sql)
    }

    fn account(&self) -> AccountId {
        self.world.holder(id("TWIN"), 0).account
    }

    fn award(&self, name: &str) -> Request {
        let (brand, at) = self.world.brand_of(id("TWIN"));
        let token = self.world.token(brand, id("TWIN"), name, self.account(), 1, self.began);
        self.world.issue(&brand.issuing[at], &token)
    }

    /// As if its holder had been gone for a while, and another had taken the lease and lost it, too.
    fn steal_lease(&self) {
        self.sql(
            "UPDATE log.lease SET holder = 'nobody', term = term + 1, until = now() - interval '1 second'",
        );
    }

    /// All that follows the log, as it stands.
    fn dump(&self) -> String {
        let tables = self.sql(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('state', 'views') \
             AND tablename NOT LIKE '\\_\\_%' ORDER BY 1",
        );
        tables
            .lines()
            .map(|table| {
                format!("{table}\n{}", self.sql(&format!("SELECT t::text FROM {table} AS t ORDER BY 1")))
            })
            .collect()
    }

    fn verified(&self) {
        let report = verify(self.home("a"), &Options::default(), &mut |_, _| {}).expect("no fault");
        assert_eq!(report.finding, None);
        assert!(report.views, "live state and views were compared");
    }
}

fn until(what: &str, there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(15), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_writer_that_was_replaced_changes_nothing_and_reads_on() {
    let bed = Bed::new(601);
    let a = bed.node("a", Clock::Real);
    until("a writes", || a.seat.is_writer());
    let old = a.seat.engine();
    let first = old.ask(&bed.award("first"), None).expect("written");
    let b = bed.node("b", Clock::Real);
    assert_eq!(b.seat.standing().part, Part::Reader);
    until("b knows who writes", || b.seat.standing().writer.as_deref() == Some("a:1"));
    bed.steal_lease();
    until("b writes", || b.seat.is_writer());
    assert_eq!(b.seat.standing().term, 3, "one, the stolen one, and this");
    until("a reads", || a.seat.standing().part == Part::Reader && a.seat.engine().failure().is_none());
    assert!(!a.seat.is_writer());
    // What is left of the writer that it was answers nobody, not even what it knows for sure.
    for name in ["first", "second"] {
        let answer = old.ask(&bed.award(name), None);
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
    let second = b.seat.engine().ask(&bed.award("second"), None).expect("written");
    assert!(second.seq > first.seq + 1, "a term began in between");
    let again = b.seat.engine().ask(&bed.award("first"), None).expect("known");
    assert_eq!((again.seq, again.replayed), (first.seq, true));
    // The reader sees what the other one wrote.
    until("it is read", || a.seat.engine().newest() >= Some(second.seq));
    let seen = a.seat.engine().balance(bed.account(), second.seq).expect("a balance");
    assert_eq!(seen.account().expect("an account").total().get(), 2);
    drop((a, b, old));
    bed.verified();
}

#[test]
fn a_node_that_closes_leaves_its_place_at_once() {
    let bed = Bed::new(602);
    let a = bed.node("a", Clock::Real);
    until("a writes", || a.seat.is_writer());
    let b = bed.node("b", Clock::Real);
    a.close();
    let begun = Instant::now();
    until("b writes", || b.seat.is_writer());
    println!("{:.2?} from the end of one writer to the next", begun.elapsed());
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "the lease is not waited for: {:.2?}",
        begun.elapsed()
    );
    drop((a, b));
    bed.verified();
}

#[test]
fn a_node_whose_clock_is_off_does_not_begin_to_write() {
    let bed = Bed::new(603);
    let wrong = Clock::fixed(clock::now().plus_seconds(60));
    let node = bed.node("a", wrong.clone());
    until("it says so", || node.seat.standing().alarm.is_some());
    let alarm = node.seat.standing().alarm.expect("an alarm").to_string();
    assert!(alarm.contains("clock is 6") || alarm.contains("clock is 5"), "{alarm}");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!node.seat.is_writer());
    assert!(node.seat.engine().newest().is_some() && !node.seat.is_astray(), "it reads");
    // Set right, it goes on by itself.
    wrong.set(clock::now());
    until("it writes", || node.seat.is_writer());
    assert_eq!(node.seat.standing().alarm, None);
}

#[test]
fn a_writer_whose_clock_goes_wrong_makes_room_for_another() {
    let bed = Bed::new(608);
    let hands = Clock::fixed(clock::now());
    // It stands still: far behind after some seconds, if nobody sets it.
    let ticking = Arc::new(AtomicBool::new(true));
    let setter = {
        let (hands, ticking) = (hands.clone(), ticking.clone());
        std::thread::spawn(move || {
            while ticking.load(Ordering::SeqCst) {
                hands.set(clock::now());
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let a = bed.node("a", hands.clone());
    until("a writes", || a.seat.is_writer());
    let b = bed.node("b", Clock::Real);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(a.seat.is_writer(), "nothing is wrong with it");
    ticking.store(false, Ordering::SeqCst);
    setter.join().expect("no panic");
    hands.set(clock::now().plus_seconds(90));
    until("b writes", || b.seat.is_writer());
    let said = || a.seat.standing().alarm.map(|alarm| alarm.to_string()).unwrap_or_default();
    until("a says why not", || said().contains("off the database's; set it right"));
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(said().contains("off the database's"), "while another writes, too: {:?}", said());
    let written = b.seat.engine().ask(&bed.award("one"), None).expect("written").seq;
    until("a reads", || a.seat.engine().newest() >= Some(written));
    hands.set(clock::now());
    until("the alarm is over", || a.seat.standing().alarm.is_none());
    drop((a, b));
    bed.verified();
}

#[test]
fn rows_behind_the_end_of_the_log_stop_writers_and_nobody_else() {
    let bed = Bed::new(609);
    let a = bed.node("a", Clock::Real);
    until("a writes", || a.seat.is_writer());
    let b = bed.node("b", Clock::Real);
    let first = a.seat.engine().ask(&bed.award("first"), None).expect("written").seq;
    until("b reads", || b.seat.engine().newest() == Some(first));
    // As somebody may who may only insert. The entry's number is the one that comes next.
    bed.sql("INSERT INTO log.parts SELECT (seq + 1) * 16384 + 3, '{}' FROM log.tip");
    let refused = a.seat.engine().ask(&bed.award("second"), None);
    assert!(refused.is_err(), "it came after rows that nobody wrote: {refused:?}");
    let said = |node: &Node| node.seat.standing().alarm.map(|alarm| alarm.to_string()).unwrap_or_default();
    let names = format!("the table parts of the log has a row of entry {}", first + 1);
    for (name, node) in [("a", &a), ("b", &b)] {
        until(name, || said(node).contains(&names));
        assert!(!node.seat.is_writer() && !node.seat.is_astray());
        let seen = node.seat.engine().balance(bed.account(), first).expect("it reads on");
        assert_eq!(seen.account().expect("an account").total().get(), 1);
        assert!(node.seat.engine().failure().is_none());
    }
    let report = verify(bed.home("a"), &Options::default(), &mut |_, _| {}).expect("no fault");
    let finding = report.finding.expect("found").to_string();
    assert!(
        finding.contains(&format!("entry {}", first + 1)) && finding.contains("behind the tip"),
        "{finding}"
    );
    assert_eq!(bed.sql("SELECT seq FROM log.tip").trim(), first.to_string(), "nothing was written");
    bed.sql("DELETE FROM log.parts WHERE id >= (SELECT (seq + 1) * 16384 FROM log.tip)");
    until("somebody writes", || a.seat.is_writer() || b.seat.is_writer());
    let engine = if a.seat.is_writer() { a.seat.engine() } else { b.seat.engine() };
    engine.ask(&bed.award("second"), None).expect("written");
    drop((a, b, engine));
    bed.verified();
}

#[test]
fn a_log_that_is_shorter_than_a_checkpoint_that_was_kept_is_not_written_to() {
    let bed = Bed::new(604);
    let node = bed.node("a", Clock::Real);
    until("it writes", || node.seat.is_writer());
    let kept = node.seat.engine().ask(&bed.award("kept"), None).expect("written").seq;
    bed.sql("CREATE TABLE older AS SELECT * FROM log.tip");
    node.seat.engine().ask(&bed.award("lost"), None).expect("written");
    drop(node);
    // As after a failover to a copy that was behind.
    bed.sql(&format!(
        "BEGIN; ALTER TABLE log.tip DISABLE TRIGGER ALL; DELETE FROM log.tip; INSERT INTO log.tip SELECT * FROM older; \
         DELETE FROM log.entry WHERE seq > {kept}; DELETE FROM log.parts WHERE id >= {}; \
         DELETE FROM state.cursor; DELETE FROM state.state; ALTER TABLE log.tip ENABLE TRIGGER ALL; COMMIT",
        (kept + 1) * 16_384
    ));
    let node = bed.node("a", Clock::Real);
    until("it says so", || node.seat.standing().alarm.is_some());
    let alarm = node.seat.standing().alarm.expect("an alarm").to_string();
    assert!(alarm.contains("too old"), "{alarm}");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!node.seat.is_writer() && node.seat.is_astray());
    assert_eq!(bed.sql("SELECT max(seq) FROM log.entry").trim(), kept.to_string(), "nothing was written");

    // A node that never saw a checkpoint writes: a fork, and soon longer than what was published.
    let file = bed.home("a").dir().join("checkpoint");
    let proof = std::fs::read_to_string(&file).expect("a checkpoint");
    let other = bed.node("b", Clock::Real);
    until("it writes", || other.seat.is_writer());
    for n in 0..8 {
        other.seat.engine().ask(&bed.award(&format!("forked-{n}")), None).expect("written");
    }
    let rewritten = || node.seat.standing().alarm.is_some_and(|why| why.to_string().contains("another root"));
    until("it says that this is another log", rewritten);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(rewritten() && node.seat.is_astray(), "and goes on saying so");
    assert_eq!(std::fs::read_to_string(&file).expect("a checkpoint"), proof, "what proves it stays");
}

#[test]
fn a_checkpoint_that_the_logs_key_did_not_sign_is_neither_shown_nor_kept() {
    let bed = Bed::new(607);
    let a = bed.node("a", Clock::Real);
    until("it writes", || a.seat.is_writer());
    let b = bed.node("b", Clock::Real);
    a.seat.engine().ask(&bed.award("one"), None).expect("written");
    let size = |node: &Node| node.seat.engine().checkpoint().lines().nth(1).map(str::to_owned);
    until("b shows it", || size(&b).is_some() && size(&b) == size(&a));
    let genuine = b.seat.engine().checkpoint();
    bed.sql("UPDATE log.tip SET checkpoint = E'origin\\n999999999\\nAAAA\\n'");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(b.seat.engine().checkpoint(), genuine);
    let kept = std::fs::read_to_string(bed.home("b").dir().join("checkpoint")).expect("a checkpoint");
    assert!(!kept.contains("999999999"), "{kept}");
    // The next commit brings one that was signed.
    a.seat.engine().ask(&bed.award("two"), None).expect("written");
    until("b goes on", || b.seat.engine().checkpoint() != genuine && size(&b) == size(&a));
}

#[test]
fn a_follower_of_state_that_was_paused_changes_no_row_when_it_wakes_up() {
    let bed = Bed::new(605);
    let home = bed.home("a");
    let read = home.read().expect("the log");
    let database = home.database().expect("a database").clone();
    let state = || Box::new(PostgresState::open(&database).expect("opens"));
    StateFollower::new(state(), None).expect("a follower").wipe().expect("wiped");
    let (reached, at) = channel();
    let (wake, sleeping) = channel::<()>();
    let sleeping = Mutex::new(sleeping);
    let pauses = move |point: Point| {
        if point == Point::BeforeFollow {
            reached.send(()).expect("told");
            sleeping.lock().expect("one at a time").recv().expect("woken");
        }
        false
    };
    let mut paused = StateFollower::new(state(), Some(Arc::new(pauses))).expect("a follower");
    let log = read.clone();
    let sleeper = std::thread::spawn(move || Rebuilder::new().step(&*log, &mut paused));
    at.recv().expect("it has work, and has written none of it");
    // Another one does all of it.
    let mut other = StateFollower::new(state(), None).expect("a follower");
    let mut rebuilder = Rebuilder::new();
    while rebuilder.step(&*read, &mut other).expect("followed") {}
    let before = bed.dump();
    wake.send(()).expect("it waits");
    let woken = sleeper.join().expect("no panic");
    assert!(woken.expect_err("stale").to_string().contains("cursor moved"));
    assert!(before == bed.dump(), "no row changed");
    bed.verified();
}

#[test]
fn a_follower_of_the_views_that_hangs_in_the_midst_of_its_work_is_not_waited_for() {
    let bed = Bed::new(606);
    let a = bed.node("a", Clock::Real);
    until("a writes", || a.seat.is_writer());
    let b = bed.node("b", Clock::Real);
    // It has moved the cursor, and comes no further: it holds the row, as a process would that is paused there.
    let locker = {
        let address = bed.address.clone();
        std::thread::spawn(move || {
            let lock = "BEGIN; LOCK TABLE views.heads IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT";
            cluster::shared().sql(&address, lock)
        })
    };
    let hangs = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'views.heads'::regclass";
    until("the table is locked", || {
        bed.sql("SELECT count(*) FROM pg_locks WHERE granted AND relation = 'views.heads'::regclass").trim()
            == "1"
    });
    let told = a.seat.engine().ask(&bed.award("one"), None).expect("written").seq;
    until("its views hang", || bed.sql(hangs).trim() != "0");
    let begun = Instant::now();
    bed.steal_lease();
    until("b has taken the lease", || b.seat.engine().newest() > Some(told) || b.seat.is_writer());
    locker.join().expect("the lock is gone");
    until("b writes", || b.seat.is_writer());
    println!("{:.2?} until another node wrote", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(8));
    let second = b.seat.engine().ask(&bed.award("two"), None).expect("written").seq;
    b.seat.engine().wait_for(second).expect("followed");
    until("a reads on", || a.seat.engine().newest() >= Some(second));
    drop((a, b));
    bed.verified();
}
