//! Chaos: three nodes, one PostgreSQL, one Redis, writers and readers at all nodes, while nodes are killed, paused and
//! stopped in every role, connections to the database are cut, and Redis is killed, paused, flushed and failed over to a replica that lags. Then a checker
//! that knows nothing of the machine compares what every client was told with the log.
//!
//! Promises: a seed names what is done and asked; when it takes effect is chance. CHAOS_SEED repeats one, CHAOS_SECONDS
//! says how long it goes on.

mod common;

#[path = "chaos/checker.rs"]
mod checker;
#[path = "chaos/clients.rs"]
mod clients;
#[path = "chaos/faults.rs"]
mod faults;

use checker::Ledger;
use clients::{Reading, Writing};
use common::cluster;
use common::nodes::Nodes;
use common::redis::Redis;
use faults::Faults;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Options, verify};

const NODES: usize = 3;
const WRITERS: u64 = 5;
const READERS: u64 = 4;
/// Accounts that points are awarded to.
const HOLDERS: usize = 40;

/// What clients and faults share.
struct Stage<'a> {
    nodes: &'a Nodes,
    /// Where each node answers, if it runs.
    addresses: Vec<Mutex<Option<SocketAddr>>>,
    over: AtomicBool,
    seed: u64,
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn whatever_happens_to_nodes_database_and_redis_clients_are_told_the_truth() {
    let seed = number("CHAOS_SEED", 20_261_130);
    let long = Duration::from_secs(number("CHAOS_SECONDS", 45));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={}", long.as_secs());
    let (server, redis) = (cluster::shared(), Redis::start());
    let mut nodes = Nodes::start(server, seed, NODES, &format!("redis = \"{}\"", redis.url()));
    let processes = std::mem::replace(&mut nodes.all, (0..NODES).map(|_| None).collect());
    let addresses = processes.iter().map(|node| Mutex::new(node.as_ref().map(|node| node.address)));
    let stage = Stage { nodes: &nodes, addresses: addresses.collect(), over: AtomicBool::new(false), seed };
    let begun = Instant::now();
    let (written, read, processes, done) = std::thread::scope(|scope| {
        let stage = &stage;
        let writers: Vec<_> =
            (0..WRITERS).map(|which| scope.spawn(move || Writing::run(stage, which))).collect();
        let readers: Vec<_> =
            (0..READERS).map(|which| scope.spawn(move || Reading::run(stage, which))).collect();
        let mut faults = Faults::new(stage, server, redis, processes);
        while begun.elapsed() < long {
            faults.strike();
        }
        faults.heal();
        // A while in peace: everybody comes to an end.
        std::thread::sleep(Duration::from_secs(2));
        stage.over.store(true, Ordering::Release);
        let written: Vec<Writing> = writers.into_iter().map(|one| one.join().expect("a writer")).collect();
        let read: Vec<Reading> = readers.into_iter().map(|one| one.join().expect("a reader")).collect();
        let (processes, done) = faults.end();
        (written, read, processes, done)
    });
    nodes.all = processes;

    // What nobody was told is asked for again, until it is: so each happened once.
    let mut told: BTreeMap<String, checker::Award> = BTreeMap::new();
    let mut unknown = 0;
    for (name, mut award) in written.iter().flat_map(|one| one.history.clone()) {
        if award.seq.is_none() {
            unknown += 1;
            let (done, ..) = nodes.until_done(0, || nodes.award(&name, award.which, award.amount));
            award.seq = Some(done.seq());
        }
        assert!(told.insert(name, award).is_none(), "names are their own");
    }
    nodes.end();

    let read_log = nodes.home(0).read().expect("the log");
    let accounts: Vec<_> = (0..HOLDERS).map(|which| nodes.account(which).to_string()).collect();
    let ledger = Ledger::read(&*read_log, &accounts);
    ledger.holds_each_once(&told);
    let (mut exact, mut later) = (0, 0);
    for one in read.iter().flat_map(|one| &one.told) {
        match ledger.agrees(one) {
            true => exact += 1,
            false => later += 1,
        }
    }
    let refused: u64 = written.iter().map(|one| one.refused).chain(read.iter().map(|one| one.refused)).sum();
    println!("{done}");
    println!(
        "{} awards told ({unknown} first of unknown outcome), {exact} balances exactly as of the entry they name, \
         {later} newer; {refused} times told to come again or not answered; {} entries",
        told.len(),
        ledger.entries
    );
    println!("longest times without an award anywhere: {:.2?}", longest(&written, begun));
    assert!(told.len() > 200 && exact + later > 500, "hardly anything happened");

    let report = verify(nodes.home(0), &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    assert!(report.views && report.records > 0, "state and views were compared with a rebuild");
}

/// The five longest times in which no award was answered.
fn longest(written: &[Writing], begun: Instant) -> Vec<Duration> {
    let mut all: Vec<Instant> = written.iter().flat_map(|one| one.answered.iter().copied()).collect();
    all.push(begun);
    all.sort_unstable();
    let mut gaps: Vec<Duration> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    gaps.truncate(5);
    gaps
}
