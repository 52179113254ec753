//! A network under load over HTTP, and a Redis that everything happens to, at random: each balance that anybody was
//! told is compared with the log afterwards.

use crate::common::http::{Ask, Reply, Server, api_config};
use crate::common::process::Wire;
use crate::common::redis::Redis;
use crate::common::rng::Rng;
use crate::common::world::{World, beginning};
use crate::stage::{HOLDERS, History, award, award_all, holders, tune};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::compare_cache;
use tallyhouse::cache::remote::MacKey;
use tallyhouse::machine::Role;
use tallyhouse::types::AccountId;
use tallyhouse::vault::Whom;

/// How long it goes on.
const LONG: Duration = Duration::from_secs(15);
const CLIENTS: u64 = 5;

/// What somebody was told.
struct Told {
    account: AccountId,
    total: u64,
    /// The entry that the answer names.
    seq: u64,
    /// The entry that was asked for, or that was answered to somebody before.
    least: u64,
}

fn told(reply: &Reply, account: AccountId, least: u64) -> Told {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let total = body["available"].as_u64().unwrap_or_else(|| panic!("{body}"));
    Told { account, total, seq: reply.seq(), least }
}

struct Play {
    server: Server,
    accounts: Vec<AccountId>,
    secret: String,
    /// The last entry that the writer was answered with.
    known: AtomicU64,
    over: AtomicBool,
    seed: u64,
}

impl Play {
    /// Awards, to one or to all, without a pause.
    fn write(&self) {
        let mut rng = Rng::new(self.seed ^ 1);
        let mut count = 0;
        while !self.over.load(Ordering::Acquire) {
            count += 1;
            let world = &self.server.world;
            let request = if rng.chance(5) {
                award_all(world, &format!("all-{count}"), &self.accounts)
            } else {
                let few = rng.chance(50);
                let to = if few { &self.accounts[..20] } else { &self.accounts[..] };
                award(world, &format!("one-{count}"), *rng.pick(to), rng.range(1, 9))
            };
            let answer = self.server.service().engine().ask(&request, Some(beginning())).expect("an award");
            self.known.fetch_max(answer.seq, Ordering::AcqRel);
        }
    }

    /// Reads over HTTP. Each answer must be as new as everything that was committed when it was asked for; with
    /// `Min-Seq` as what this client saw last.
    fn client(&self, which: u64) -> Vec<Told> {
        let mut rng = Rng::new(self.seed ^ (which << 8));
        let mut wire = Wire::connect(self.server.address).expect("connects");
        let (mut all, mut last) = (vec![], 0);
        let mut seen: HashMap<AccountId, u64> = HashMap::new();
        while !self.over.load(Ordering::Acquire) {
            let few = rng.chance(30);
            let to = if few { &self.accounts[..20] } else { &self.accounts[..] };
            let account = *rng.pick(to);
            let mut ask = Ask::get(format!("/v1/accounts/{account}")).key(&self.secret);
            let known = self.known.load(Ordering::Acquire);
            let demands = which.is_multiple_of(2);
            if demands {
                ask = ask.with("min-seq", last.to_string());
            }
            let one = told(&wire.ask(&ask).expect("an answer"), account, known.max(last));
            if demands {
                assert!(one.seq >= last, "{} after {last}", one.seq);
                let before = seen.insert(account, one.total).unwrap_or(0);
                assert!(one.total >= before, "{account} went back from {before} to {}", one.total);
                last = one.seq;
            }
            all.push(one);
        }
        all
    }

    /// Asks Redis alone, as a node would that has nothing at hand.
    fn neighbour(&self, which: u64) -> Vec<Told> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut rng = Rng::new(self.seed ^ (which << 16));
        let mut all = vec![];
        while !self.over.load(Ordering::Acquire) {
            let account = *rng.pick(&self.accounts);
            let engine = &self.server.service().engine();
            let remote = engine.remote().expect("a Redis");
            let least = if rng.chance(50) { 0 } else { engine.progress().committed.saturating_sub(20) };
            if let Some(loaded) = runtime.block_on(remote.get(account, least)) {
                let (_, record) = loaded.row.expect("a record");
                let total = record.account().expect("an account").total().get();
                assert!(loaded.size >= least, "{} entries of {least}", loaded.size);
                all.push(Told { account, total, seq: loaded.size - 1, least: least.saturating_sub(1) });
            } else if remote.figures().is_open {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        all
    }
}

/// Something happens to Redis.
fn happen(redis: &mut Redis, rng: &mut Rng, net: &str) -> &'static str {
    let rest = |rng: &mut Rng, most| std::thread::sleep(Duration::from_millis(rng.range(1, most)));
    match rng.below(10) {
        0 => {
            redis.do_it(&["FLUSHALL"]);
            "flushed"
        }
        1 => {
            redis.signal("STOP");
            rest(rng, 700);
            redis.signal("CONT");
            "stopped"
        }
        2 => {
            redis.do_it(&["CLIENT", "KILL", "TYPE", "normal"]);
            "clients cut off"
        }
        3 => {
            redis.do_it(&["CONFIG", "SET", "maxmemory", "1"]);
            rest(rng, 500);
            redis.do_it(&["CONFIG", "SET", "maxmemory", "0"]);
            "full"
        }
        4 => {
            redis.do_it(&["SAVE"]);
            "saved"
        }
        5 => {
            redis.kill();
            rest(rng, 300);
            redis.start_again();
            "back to what was saved"
        }
        6 => {
            redis.do_it(&["DEL", &format!("tallyhouse:{{{net}}}:cursor")]);
            "the cursor is lost"
        }
        7 => {
            for key in redis.keys(&format!("tallyhouse:{{{net}}}:a:*")).iter().filter(|_| rng.chance(30)) {
                redis.do_it(&["DEL", key]);
            }
            "values are lost"
        }
        8 => {
            redis.do_it(&["CLIENT", "PAUSE", &rng.range(1, 300).to_string(), "WRITE"]);
            "no writes for a moment"
        }
        _ => {
            redis.do_it(&["DEBUG", "SLEEP", "0.05"]);
            "slow"
        }
    }
}

#[test]
fn whatever_happens_to_redis_answers_are_those_of_the_log() {
    let given = std::env::var("REDIS_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| tallyhouse::clock::now().seconds());
    println!("REDIS_SEED={seed}");
    let mut redis = Redis::start();
    let world = World::new(seed);
    let accounts = holders(&world);
    let founding = world.founding().into_iter().chain([award_all(&world, "first", &accounts)]);
    let asked: Vec<_> = founding.map(|request| (request, beginning())).collect();
    let url = redis.url();
    let at = url.clone();
    let server = Server::tuned(world, &asked, api_config(), Box::new(move |tuning| tune(tuning, &at)));
    let secret = server.api_key(Whom::Operator, Role::Auditor);
    let (known, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let play = Play { server, accounts, secret, known, over, seed };
    let net = play.server.world.net.to_string();

    let (clients, neighbours) = std::thread::scope(|scope| {
        let play = &play;
        // Should something fail here, the others end, too.
        let ends = Ends(&play.over);
        scope.spawn(|| play.write());
        let clients: Vec<_> = (0..CLIENTS).map(|which| scope.spawn(move || play.client(which))).collect();
        let neighbour = scope.spawn(|| play.neighbour(1));
        let mut rng = Rng::new(seed);
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(rng.range(1, 400)));
            println!("{:>6} ms: {}", begun.elapsed().as_millis(), happen(&mut redis, &mut rng, &net));
        }
        drop(ends);
        let all = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<_>>();
        (all, neighbour.join().expect("a neighbour"))
    });

    let engine = &play.server.service().engine();
    let history = History::of(engine, &play.accounts);
    for one in clients.iter().chain(&neighbours) {
        assert!(one.seq >= one.least, "told {} and not {}", one.seq, one.least);
        let found = history.allows(one.account, Some(one.total), one.seq);
        found.unwrap_or_else(|e| panic!("REDIS_SEED={seed}: {e}"));
    }
    let remote = engine.remote().expect("a Redis");
    let figures = remote.figures();
    println!("{} answers, {} out of Redis alone; {figures:?}", clients.len(), neighbours.len());
    assert!(clients.len() > 1_000 && neighbours.len() > 100 && figures.hits > 500, "too little happened");

    // All of it over, Redis comes to be right by itself.
    let begun = Instant::now();
    while remote.figures().is_open || remote.figures().fed != engine.progress().committed {
        assert!(begun.elapsed() < Duration::from_secs(20), "never fed: {:?}", remote.figures());
        std::thread::sleep(Duration::from_millis(10));
    }
    let last = award_all(&play.server.world, "last", &play.accounts);
    engine.ask(&last, Some(beginning())).expect("an award");
    engine.settle().expect("followed");
    while remote.figures().fed != engine.progress().committed {
        assert!(begun.elapsed() < Duration::from_secs(30), "never fed: {:?}", remote.figures());
        std::thread::sleep(Duration::from_millis(10));
    }
    let mac = MacKey::of(&play.server.world.log.secret);
    let report = compare_cache(&**engine.read(), &url, play.server.world.net, mac).expect("compared");
    assert_eq!((report.findings.as_slice(), report.same), (&[][..], HOLDERS as u64), "REDIS_SEED={seed}");
}

/// Ends the others when this one ends, however.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
