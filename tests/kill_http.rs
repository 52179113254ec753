//! kill -9 of a server under load, round after round: what clients were told over HTTP is in the log, once, where
//! they were told; what they were not told happened once at the most; proofs that they were given still hold.

mod common;

use common::carried::unsigned;
use common::http::{Ask, Reply, now};
use common::place::Place;
use common::process::{Process, Wire, found};
use common::rng::Rng;
use common::world::{World, id};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tallyhouse::app::{Network, Options, verify};
use tallyhouse::log::{LogVerifier, Proof, leaf_hash, root_of, vkey};
use tallyhouse::types::{Time, UnitCode};

const ROUNDS: usize = 6;
const CLIENTS: usize = 8;

/// What a client knows of one command.
#[derive(Clone, Debug, Default)]
struct Told {
    seq: Option<u64>,
    proof: Option<Proof>,
}

struct Load {
    world: World,
    unit: UnitCode,
    /// Tokens count from here on, so that a retry has the same bytes.
    began: Time,
    nonces: AtomicU64,
}

impl Load {
    /// The award of an id: always the same, signed anew each time.
    fn ask(&self, name: &str, proof: bool) -> Ask {
        let (brand, at) = self.world.brand_of(self.unit);
        let holder = self.world.holder(self.unit, name.len() % 3);
        let token = self.world.token(brand, self.unit, name, holder.account, 1, self.began);
        let message = unsigned(&self.world.issue(&brand.issuing[at], &token).jws[0]);
        let nonce = format!("nonce-{}-{:0>16}", now(), self.nonces.fetch_add(1, Ordering::Relaxed));
        let ask = Ask::message(&message.sign(&brand.issuing[at].secret, now(), &nonce));
        if proof { ask.with("prefer", "return=proof") } else { ask }
    }

    /// One client until its connection breaks: everything that it asked for, and what it was told.
    fn client(&self, server: &Process, name: &str, stop: &AtomicBool) -> BTreeMap<String, Told> {
        let mut history = BTreeMap::new();
        let Ok(mut wire) = Wire::connect(server.address) else { return history };
        for n in 0.. {
            let (name, proof) = (format!("{name}-{n}"), n % 4 == 0);
            let ask = self.ask(&name, proof);
            // Before it is sent: from here on it may happen.
            let told: &mut Told = history.entry(name).or_default();
            let Ok(reply) = wire.ask(&ask) else { break };
            *told = read(&reply, proof);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        history
    }
}

fn read(reply: &Reply, proof: bool) -> Told {
    let body = reply.expect(201);
    let seq = body["seq"].as_u64().expect("a number");
    assert_eq!(reply.seq(), seq);
    let shown = body.get("proof").map(|proof| serde_json::from_value(proof.clone()).expect("a proof"));
    assert_eq!(shown.is_some(), proof, "{body}");
    Told { seq: Some(seq), proof: shown }
}

#[test]
fn what_clients_were_told_before_a_kill_is_so_after_it() {
    kill(&Place::new());
}

#[test]
fn what_clients_were_told_before_a_kill_is_so_after_it_in_a_database() {
    kill(&Place::in_database());
}

fn kill(place: &Place) {
    let seed = std::env::var("KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_125);
    println!("seed {seed}; KILL_SEED={seed} repeats the moments of the kills");
    let mut rng = Rng::new(seed);
    let dir = place.dir();
    let world = World::real(31);
    found(&world, &place.home, &[]);
    let load =
        Load { world, unit: id("TWIN"), began: tallyhouse::clock::now(), nonces: AtomicU64::default() };
    let config = &place.config("[api]\nper_key = 1000000\nper_address = 1000000\n");
    let mut history: BTreeMap<String, Told> = BTreeMap::new();
    let mut unknown = 0;
    for round in 0..ROUNDS {
        let mut server = Process::start(dir, config);
        ask_again(&load, &server, &mut history, &mut rng);
        let stop = AtomicBool::new(false);
        let after = Duration::from_millis(rng.range(50, 600));
        let rounds: Vec<BTreeMap<String, Told>> = std::thread::scope(|scope| {
            let shared = &server;
            let clients: Vec<_> = (0..CLIENTS)
                .map(|n| {
                    let (load, stop) = (&load, &stop);
                    scope.spawn(move || load.client(shared, &format!("r{round}-c{n}"), stop))
                })
                .collect();
            std::thread::sleep(after);
            shared.signal("KILL");
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        server.kill();
        let before = history.len();
        for one in rounds {
            unknown += one.values().filter(|told| told.seq.is_none()).count();
            history.extend(one);
        }
        println!("round {round}: {} commands within {after:?}", history.len() - before);
    }
    assert!(history.len() > 200, "only {} commands", history.len());
    assert!(unknown > 0, "every kill came between two commands");

    // The end: everything is asked once more, so that each happened once, and not more than once.
    let mut server = Process::start(dir, config);
    let mut wire = Wire::connect(server.address).expect("connects");
    for (name, told) in &mut history {
        let reply = wire.ask(&load.ask(name, false)).expect("an answer");
        let seq = read(&reply, false).seq;
        if told.seq.is_some() {
            assert_eq!(reply.header("idempotency-replayed"), Some("true"), "{name}");
            assert_eq!(seq, told.seq, "{name} was told another entry");
        }
        told.seq = seq;
    }
    server.signal("TERM");
    let status = server.ended(Duration::from_secs(40)).expect("it ends");
    assert!(status.success(), "{status}: {}", server.errors());
    check(&load.world, place, &history);
}

/// After a start: what nobody was told is asked for again, and a share of what they were told.
fn ask_again(load: &Load, server: &Process, history: &mut BTreeMap<String, Told>, rng: &mut Rng) {
    let mut wire = Wire::connect(server.address).expect("connects");
    for (name, told) in history {
        // Half of the unknown ones stay unknown until the end.
        let wanted = if told.seq.is_some() { 5 } else { 50 };
        if !rng.chance(wanted) {
            continue;
        }
        let reply = wire.ask(&load.ask(name, false)).expect("an answer");
        let seq = read(&reply, false).seq;
        if told.seq.is_some() {
            assert_eq!(seq, told.seq, "{name} was told another entry");
        }
        told.seq = seq;
    }
}

/// What the log says to what was told.
fn check(world: &World, place: &Place, history: &BTreeMap<String, Told>) {
    let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
    let (read, mut entries) = (network.engine.read(), vec![]);
    loop {
        let more = read.read_envelopes(entries.len() as u64, 1_000).expect("read");
        if more.is_empty() {
            break;
        }
        entries.extend(more.into_iter().map(|entry| String::from_utf8(entry.bytes).expect("text")));
    }
    let issued = entries.iter().filter(|text| text.contains("\"kind\":\"points.issued\"")).count();
    assert_eq!(issued, history.len(), "each command happened once");
    let mut places: Vec<u64> = history.values().filter_map(|told| told.seq).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), history.len(), "two commands were told the same entry");

    let leaves: Vec<_> = entries.iter().map(|text| leaf_hash(text.as_bytes())).collect();
    let log: LogVerifier =
        vkey(&world.genesis.origin, world.genesis.log.as_bytes()).parse().expect("a verifier");
    let mut proofs = 0;
    for (name, told) in history {
        let (Some(proof), Some(seq)) = (&told.proof, told.seq) else { continue };
        let shown = proof.verify(&log).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(shown.envelope.seq, seq);
        assert_eq!(proof.envelope, entries[seq as usize], "{name}: the entry is another one now");
        // The log of then is the beginning of the log of now.
        let size = shown.checkpoint.size as usize;
        assert!(size <= leaves.len());
        assert_eq!(root_of(&leaves[..size]), shown.checkpoint.root, "{name}: the log forked");
        let own = shown.parts.iter().any(|(_, body)| String::from_utf8_lossy(body).contains(name.as_str()));
        assert!(own, "{name}: its evidence is not in its proof");
        proofs += 1;
    }
    assert!(proofs > 20, "only {proofs} proofs");
    println!("{} commands, {proofs} proofs, {} entries", history.len(), entries.len());
    network.close().expect("closes");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}
