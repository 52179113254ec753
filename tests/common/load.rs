//! A load that a network in a database is put under while something happens to it, and what the log has to say
//! afterwards.
//!
//! Owns: clients, what each was told, and the comparison with the log.
//! Promises: an award of a name is always the same; a client that was told nothing counts it as not known.
//! Refuses to know: what happens to the database.

use super::carried::unsigned;
use super::http::{Ask, Reply, now};
use super::process::{Process, Wire};
use super::world::{World, id};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, Tuning, verify};
use tallyhouse::store::Home;
use tallyhouse::types::{Time, UnitCode};

const CLIENTS: usize = 6;

/// Clients that ask for one award after the other.
pub struct Load {
    pub world: World,
    unit: UnitCode,
    /// Tokens count from here on, so that a retry has the same bytes.
    began: Time,
    nonces: AtomicU64,
    /// When somebody was told that something had happened.
    acknowledged: Mutex<Vec<Instant>>,
}

/// What was asked for, by name, and the entry that was told, if any was.
pub type History = BTreeMap<String, Option<u64>>;

impl Load {
    pub fn new(world: World) -> Self {
        let began = tallyhouse::clock::now();
        Self { world, unit: id("TWIN"), began, nonces: AtomicU64::default(), acknowledged: Mutex::default() }
    }

    /// The award of an id: always the same, signed anew each time.
    pub fn ask(&self, name: &str) -> Ask {
        let (brand, at) = self.world.brand_of(self.unit);
        let holder = self.world.holder(self.unit, name.len() % 3);
        let token = self.world.token(brand, self.unit, name, holder.account, 1, self.began);
        let message = unsigned(&self.world.issue(&brand.issuing[at], &token).jws[0]);
        let nonce = format!("nonce-{}-{:0>16}", now(), self.nonces.fetch_add(1, Ordering::Relaxed));
        Ask::message(&message.sign(&brand.issuing[at].secret, now(), &nonce))
    }

    /// Asks for one thing after the other; each is what it was told, if it was told anything.
    fn client(&self, server: &Process, name: &str, stop: &AtomicBool) -> History {
        let mut history = BTreeMap::new();
        let mut wire = Wire::connect(server.address).expect("connects");
        for n in 0.. {
            let name = format!("{name}-{n}");
            let reply = wire.ask(&self.ask(&name));
            let told = told(&reply.unwrap_or_else(|e| broken(server, &e)));
            match told {
                Some(_) => self.acknowledged.lock().expect("no panic").push(Instant::now()),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            history.insert(name, told);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        history
    }

    /// Runs clients while something is done to the database.
    pub fn during(&self, server: &Process, name: &str, work: impl FnOnce()) -> History {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stop = &stop;
            let start = |n| scope.spawn(move || self.client(server, &format!("{name}-c{n}"), stop));
            let clients: Vec<_> = (0..CLIENTS).map(start).collect();
            work();
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
        })
    }

    /// When somebody was told that something had happened, in order.
    pub fn acknowledged(&self) -> Vec<Instant> {
        let mut all = self.acknowledged.lock().expect("no panic").clone();
        all.sort_unstable();
        all
    }

    /// Asks for everything once more. Afterwards each has happened, and was told where.
    pub fn settle(&self, server: &Process, history: &mut History) {
        let mut wire = Wire::connect(server.address).expect("connects");
        for (name, seq) in history {
            let again = told(&wire.ask(&self.ask(name)).expect("an answer"));
            assert!(again.is_some(), "{name} is refused though the database is there");
            assert!(seq.is_none() || *seq == again, "{name} was told another entry");
            *seq = again;
        }
    }
}

/// The node ended, or it closed a connection: what it said last.
fn broken(server: &Process, e: &std::io::Error) -> ! {
    std::thread::sleep(Duration::from_secs(2));
    let errors = server.errors();
    let last: Vec<&str> = errors.lines().rev().take(3).collect();
    panic!("{e}: {last:#?}")
}

/// The entry that it was told, or that it should come again.
pub fn told(reply: &Reply) -> Option<u64> {
    match reply.status {
        201 => Some(reply.seq()),
        503 => {
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
            None
        }
        _ => panic!("{reply:?}"),
    }
}

/// A network in a database, and how it is served.
pub struct Bed {
    _dir: tempfile::TempDir,
    pub home: Home,
    pub address: String,
    pub config: String,
}

impl Bed {
    pub fn in_database(address: String) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::new(dir.path(), Some(address.parse().expect("an address")));
        let config = format!(
            "[store]\ndatabase = \"{address}\"\n[api]\nper_key = 1000000\nper_address = 1000000\n\
             drain_seconds = 10\n"
        );
        Self { _dir: dir, home, address, config }
    }

    /// What the log says to what was told, and that all of it verifies.
    pub fn check(&self, world: &World, history: &History) {
        let tuning = Tuning::at(self.home.dir());
        let network = Network::open(&self.home, &world.log.secret, &tuning).expect("opens");
        let (read, mut issued, mut next) = (network.engine.read(), vec![], 0);
        loop {
            let more = read.read_envelopes(next, 1_000).expect("read");
            let Some(last) = more.last() else { break };
            next = last.seq + 1;
            let is_issue = |text: &[u8]| String::from_utf8_lossy(text).contains("\"kind\":\"points.issued\"");
            issued.extend(more.iter().filter(|entry| is_issue(&entry.bytes)).map(|entry| entry.seq));
        }
        let mut places: Vec<u64> = history.values().map(|seq| seq.expect("told in the end")).collect();
        places.sort_unstable();
        assert_eq!(places, issued, "each happened once, where it was told");
        network.close().expect("closes");
        let report = verify(&self.home, &Options::default(), &mut |_, _| {}).expect("no fault");
        assert_eq!(report.finding, None);
        assert!(report.views && report.records > 0, "live state and views were compared");
    }
}

/// Ends a server in order.
pub fn end(mut server: Process) {
    server.signal("TERM");
    let status = server.ended(Duration::from_secs(40)).expect("it ends");
    assert!(status.success(), "{status}: {}", server.errors());
}
