//! kill -9 under load, twenty times over: what was answered is in the log, once; the log verifies.
//!
//! The load runs in a process of its own: this very test binary, told by the environment to be the
//! load. It prints what was answered, and is killed at a moment that the seed picks.

mod common;

use common::place::Place;
use common::rng::Rng;
use common::world::{World, beginning, id};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, Tuning, verify};
use tallyhouse::machine::Request;
use tallyhouse::store::Home;
use tallyhouse::types::{Time, UnitCode};

const FOLDER: &str = "TALLYHOUSE_KILL_FOLDER";
/// The addresses of database and Redis, if they are in use.
const DATABASE: &str = "TALLYHOUSE_KILL_DATABASE";
const REDIS: &str = "TALLYHOUSE_KILL_REDIS";
const FROM: &str = "TALLYHOUSE_KILL_FROM";
const KILLS: u64 = 20;
/// Answers awaited at a time, so that a commit holds several commands.
const AHEAD: usize = 16;

fn unit() -> UnitCode {
    id("TWIN")
}

fn now() -> Time {
    beginning().plus_seconds(3_600)
}

/// The n-th award: a token of one point. The same n gives the same bytes.
fn award(world: &World, n: u64) -> Request {
    let (brand, _) = world.brand_of(unit());
    let holder = world.holder(unit(), (n % 7) as usize);
    let token = world.token(brand, unit(), &format!("kill-{n}"), holder.account, 1, now());
    world.issue(&brand.issuing[0], &token)
}

fn open(world: &World, home: &Home, redis: Option<String>) -> Network {
    let (key, tuning) = (&world.log.secret, Tuning { redis, ..Tuning::at(home.dir()) });
    if home.exists().expect("looked for") {
        return Network::open(home, key, &tuning).expect("it opens after every kill");
    }
    let network = Network::create(home, world.genesis.clone(), key, beginning(), &tuning).expect("a network");
    for request in world.founding() {
        network.engine.ask(&request, Some(beginning())).expect("founding");
    }
    network
}

/// Not a test by itself: the load, if the environment says so.
#[test]
fn the_load() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let from: u64 = std::env::var(FROM).expect("where to begin").parse().expect("a number");
    let world = World::new(9);
    let database = std::env::var(DATABASE).ok().map(|text| text.parse().expect("an address"));
    let home = Home::new(folder.as_ref(), database);
    let network = open(&world, &home, std::env::var(REDIS).ok());
    let mut waiting = std::collections::VecDeque::new();
    for n in from.. {
        let command = network.engine.check(&award(&world, n)).expect("well formed");
        waiting.push_back((n, network.engine.submit(command, Some(now()))));
        if waiting.len() >= AHEAD
            && let Some((n, ticket)) = waiting.pop_front()
        {
            let answer = ticket.wait().expect("an answer");
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nanswered {n} {}", answer.seq).expect("told");
            out.flush().expect("told");
        }
    }
}

/// Runs the load until it is killed; what it was answered, by number.
fn run_and_kill(place: &Place, from: u64, after: Duration) -> BTreeMap<u64, u64> {
    let mut load = Command::new(std::env::current_exe().expect("this binary"))
        .args(["the_load", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, place.dir())
        .envs(place.database.as_ref().map(|address| (DATABASE, address)))
        .envs(place.redis.as_ref().map(|url| (REDIS, url)))
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the load starts");
    let out = BufReader::new(load.stdout.take().expect("its output"));
    let (tell, told) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut answered = BTreeMap::new();
        // The last line may be torn by the kill; a torn line is no answer that anybody got.
        for line in out.lines().map_while(Result::ok) {
            let mut words = line.split(' ');
            if words.next() == Some("answered")
                && let (Some(Ok(n)), Some(Ok(seq))) =
                    (words.next().map(str::parse), words.next().map(str::parse))
            {
                answered.insert(n, seq);
                let _ = tell.send(());
            }
        }
        answered
    });
    // The clock of the kill starts with the first answer, so that every round is one under load.
    let began = told.recv_timeout(Duration::from_secs(60)).is_ok();
    std::thread::sleep(after);
    load.kill().expect("SIGKILL");
    load.wait().expect("gone");
    assert!(began, "the load never began");
    reading.join().expect("read")
}

#[test]
fn what_was_answered_survives_twenty_kills_and_happened_once() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_121);
    println!("seed {seed}; KILL_SEED={seed} repeats the moments of the kills");
    let mut rng = Rng::new(seed);
    let place = Place::new();
    let mut answered: BTreeMap<u64, u64> = BTreeMap::new();
    let mut next = 0;
    for _ in 0..KILLS {
        let got = run_and_kill(&place, next, Duration::from_millis(rng.range(1, 120)));
        // The next round begins where answers stopped: what was on its way then is asked again.
        next = got.keys().next_back().map_or(next, |n| n + 1);
        answered.extend(got);
    }
    assert!(answered.len() > 100, "only {} answers", answered.len());
    let world = World::new(9);
    let network = open(&world, &place.home, place.redis.clone());
    // A client that asks again gets the first answer again, and everything it was told is so.
    let begun = Instant::now();
    for (n, seq) in &answered {
        let again = network.engine.ask(&award(&world, *n), Some(now())).expect("known");
        assert_eq!(again.seq, *seq, "award {n} took effect in another entry");
    }
    println!("{} answers asked again in {:.1} s", answered.len(), begun.elapsed().as_secs_f64());
    network.engine.settle().expect("followed");
    let mut points = 0;
    for n in 0..7 {
        let account = network.engine.account(world.holder(unit(), n).account).expect("read");
        points += account.map_or(0, |account| account.total().get());
    }
    let issued = issued(&network);
    assert_eq!(points, issued, "accounts have what was issued");
    assert!(issued >= answered.len() as u64, "an answered award is missing");
    network.close().expect("a clean end");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}

/// Tokens in the log, counted from its entries.
fn issued(network: &Network) -> u64 {
    let read = network.engine.read();
    let (mut next, mut count) = (0, 0);
    loop {
        let envelopes = read.read_envelopes(next, 1_000).expect("read");
        let Some(last) = envelopes.last() else { return count };
        next = last.seq + 1;
        let text = b"\"kind\":\"points.issued\"";
        count += envelopes.iter().filter(|e| e.bytes.windows(text.len()).any(|w| w == text)).count() as u64;
    }
}
