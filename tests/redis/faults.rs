//! One fault at a time: what it does to answers (nothing), and how Redis comes to be right again.

use crate::common::redis::Redis;
use crate::stage::{HOLDERS, History, Stage};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Tuning, compare_cache};
use tallyhouse::store::Home;

#[test]
fn balances_are_answered_out_of_redis() {
    let mut stage = Stage::new(Redis::start());
    stage.read_out_of_redis();
    let written = stage.figures().written;
    stage.award_some(20);
    stage.fed();
    stage.read_out_of_redis();
    let more = stage.figures().written - written;
    assert!((20..HOLDERS as u64).contains(&more), "what changed, and not all: {more}");
    assert_eq!(stage.compared(), HOLDERS as u64);
    let history = History::of(stage.engine(), &stage.accounts);
    stage.until("not all is there", |_| stage.read_shared(&history) == HOLDERS);
    assert!(stage.redis.ask::<i64>(&["PTTL", &stage.key(&format!("a:{}", stage.accounts[0]))]) > 0, "a life");
}

#[test]
fn an_entry_with_more_accounts_than_a_script_takes_arrives_whole() {
    let mut stage = Stage::new(Redis::start());
    for _ in 0..20 {
        stage.award_all();
        let history = History::of(stage.engine(), &stage.accounts);
        stage.read_shared(&history);
    }
    stage.fed();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

/// A feeder that was cut off between two pieces, of a log whose tail was lost afterwards: when the new tail is as long,
/// the values that were ahead would pass for those of the log.
#[test]
fn values_of_a_lost_tail_are_not_believed() {
    let mut stage = Stage::new(Redis::start());
    let (generation, seq) = stage.cursor().expect("a cursor");
    stage.network.take().expect("open").close().expect("closes");
    let (cursor, account) = (stage.key("cursor"), stage.key(&format!("a:{}", stage.accounts[0])));
    let text = stage.text(&cursor);
    stage.write(&cursor, &format!("{text} {} {}", seq + 10, "ab".repeat(32)));
    let text = stage.text(&account);
    let fields: Vec<&str> = text.splitn(6, ' ').collect();
    assert_eq!(fields[0], generation);
    let (written, record) = (fields[4], fields[5].replacen(",1]", ",1000]", 1));
    stage.write(&account, &format!("{generation} f {0} {0} {written} {record}", seq + 10));
    let mut tuning = Tuning::at(stage.dir());
    crate::stage::tune(&mut tuning, &stage.url);
    stage.network = Some(Network::open(stage.home(), &stage.world.log.secret, &tuning).expect("opens"));
    for _ in 0..20 {
        stage.award_to(1);
    }
    stage.fed();
    let history = History::of(stage.engine(), &stage.accounts);
    stage.read_shared(&history);
    stage.compared();
}

/// Whoever can write to Redis and has none of the network's keys.
#[test]
fn what_no_node_wrote_there_is_not_believed() {
    let mut stage = Stage::new(Redis::start());
    let key = |stage: &Stage, n: usize| stage.key(&format!("a:{}", stage.accounts[n]));
    let (mine, other, cursor) = (key(&stage, 0), key(&stage, 1), stage.key("cursor"));
    let get = |stage: &Stage, key: &str| stage.redis.ask::<String>(&["GET", key]);
    let (old, of_another) = (get(&stage, &mine), get(&stage, &other));
    assert!(stage.shared_surely(stage.accounts[0]).is_some() && old.contains(",1]"), "{old}");
    let foreign = stage.figures().foreign;
    // More points, another account's value, and one without a code.
    let wrong = [old.replacen(",1]", ",999]", 1), of_another, stage.text(&mine), "\u{7f}".to_owned()];
    for wrong in &wrong {
        stage.redis.do_it(&["SET", &mine, wrong]);
        assert_eq!(stage.shared_surely(stage.accounts[0]), None, "{wrong}");
    }
    stage.read();
    assert!(stage.figures().foreign >= foreign + 4, "each is counted");
    let places = compare_cache(&**stage.engine().read(), &stage.url, stage.world.net, stage.mac());
    let places: Vec<String> = places.expect("compared").findings.into_iter().map(|one| one.place).collect();
    assert_eq!(places, std::slice::from_ref(&mine));
    // The next change takes its place, and is made of what the log says.
    stage.award_to(0);
    stage.fed();
    assert_eq!(stage.shared_surely(stage.accounts[0]).map(|(total, _)| total), Some(2));
    // A cursor that says more than there is: the feeder begins anew, and nothing of before counts.
    let (generation, seq) = stage.cursor().expect("a cursor");
    stage.redis.do_it(&["SET", &cursor, &format!("{generation} {} {}", seq + 9, "ab".repeat(32))]);
    assert_eq!(stage.shared_surely(stage.accounts[0]), None);
    stage.award_to(0);
    stage.fed();
    assert_ne!(stage.cursor().expect("a cursor").0, generation);
    stage.award_to(0);
    stage.fed();
    assert_eq!(stage.shared_surely(stage.accounts[0]).map(|(total, _)| total), Some(4));
    stage.read();
    stage.compared();
}

/// What a node wrote once is right by its code. Put back, it is shown while it is there, and two seconds longer; what
/// comes later is not made of it.
#[test]
fn an_old_value_that_is_put_back_does_not_stay() {
    let mut stage = Stage::new(Redis::start());
    let (id, history) = (stage.accounts[0], |stage: &Stage| History::of(stage.engine(), &stage.accounts));
    let key = stage.key(&format!("a:{id}"));
    let old: String = stage.redis.ask(&["GET", &key]);
    for _ in 0..3 {
        stage.award_all();
    }
    stage.fed();
    stage.redis.do_it(&["SET", &key, &old]);
    assert_eq!(stage.shared_surely(id).map(|(total, _)| total), Some(1), "a node wrote it, and not long ago");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let total = |stage: &Stage| {
        let seen = runtime.block_on(stage.engine().seen(id)).expect("an answer");
        seen.account().map(|account| account.total().get())
    };
    total(&stage);
    stage.redis.do_it(&["DEL", &key]);
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(total(&stage), history(&stage).last(id));
    // Older than it may be.
    let text = stage.text(&stage.key("cursor"));
    let generation = text.split(' ').next().expect("a generation");
    let fields: Vec<&str> = old.splitn(6, ' ').collect();
    let record = fields[5].rsplit_once(' ').expect("a code").0;
    let written = fields[4].parse::<u64>().expect("seconds") - 3_700;
    stage.write(&key, &format!("{generation} f {0} {0} {written} {record}", fields[2]));
    assert_eq!(stage.shared_surely(id), None);
}

/// A slow reader: what it found in state is old by the time that it puts it there, and nothing else is there.
#[test]
fn what_a_reader_filled_in_proves_its_own_entry_only_and_lives_two_seconds() {
    let mut stage = Stage::new(Redis::start());
    let id = stage.accounts[0];
    let key = stage.key(&format!("a:{id}"));
    let old = stage.in_state(id);
    stage.award_to(0);
    stage.fed();
    let fed = stage.shared_surely(id).expect("fed");
    assert_eq!(fed.1 + 1, stage.engine().progress().committed);
    let fill = |stage: &Stage, is_there: &dyn Fn() -> bool| {
        let (filled, begun) = (stage.figures().filled, Instant::now());
        stage.engine().remote().expect("a Redis").fill(id, &old);
        stage.until("never filled in", |figures| figures.filled > filled);
        assert!(is_there() && begun.elapsed() < Duration::from_secs(1), "too slow to tell");
    };
    fill(&stage, &|| stage.shared_surely(id) == Some(fed));

    stage.redis.do_it(&["DEL", &key]);
    fill(&stage, &|| stage.redis.ask::<i64>(&["PTTL", &key]) <= 2_000);
    assert_eq!(stage.shared_surely(id), Some((fed.0 - 1, old.size - 1)), "as old as it is");
    let history = History::of(stage.engine(), &stage.accounts);
    stage.read_shared(&history);
    stage.read();
    // The next change takes its place.
    stage.award_to(0);
    stage.fed();
    assert_eq!(stage.shared_surely(id).map(|(total, _)| total), Some(fed.0 + 1));

    stage.redis.do_it(&["DEL", &key]);
    fill(&stage, &|| true);
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(stage.shared_surely(id), None, "after two seconds it is gone");
}

#[test]
fn flushed() {
    let mut stage = Stage::new(Redis::start());
    let (generation, _) = stage.cursor().expect("a cursor");
    for _ in 0..5 {
        stage.redis.do_it(&["FLUSHALL"]);
        stage.read();
        stage.award_some(3);
        stage.read();
    }
    stage.fed();
    let begun = Instant::now();
    while stage.cursor().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "an idle network notices a flush, too");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (anew, _) = stage.cursor().expect("a cursor");
    assert_ne!(generation, anew, "nobody knows what was there before");
    stage.award_all();
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

/// The worst of flushes: values stay, and what says how old they are is gone.
#[test]
fn a_lost_cursor_makes_old_values_worthless() {
    let mut stage = Stage::new(Redis::start());
    // What would happen if the feeder saw the loss only after more was committed.
    stage.redis.do_it(&["CLIENT", "PAUSE", "600", "WRITE"]);
    stage.award_all();
    stage.redis.do_it(&["CLIENT", "UNPAUSE"]);
    stage.redis.do_it(&["DEL", &stage.key("cursor")]);
    let history = History::of(stage.engine(), &stage.accounts);
    for _ in 0..50 {
        stage.read_shared(&history);
    }
    stage.fed();
    stage.read_shared(&history);
    stage.award_some(5);
    stage.fed();
    let history = History::of(stage.engine(), &stage.accounts);
    let found = stage.read_shared(&history);
    assert!(found < HOLDERS, "values of the lost generation are taken: {found}");
    stage.compared();
}

#[test]
fn restarted_with_what_was_saved_before() {
    let mut stage = Stage::new(Redis::start());
    stage.redis.do_it(&["SAVE"]);
    let (generation, before) = stage.cursor().expect("a cursor");
    stage.award_some(30);
    stage.fed();
    stage.redis.kill();
    stage.read();
    stage.award_some(30);
    stage.read();
    stage.redis.start_again();
    stage.read();
    stage.fed();
    let (after, seq) = stage.cursor().expect("a cursor");
    assert_eq!((after, seq), (generation, stage.engine().newest().expect("entries")));
    assert!(seq >= before + 60, "it went on from the older cursor that it found");
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64, "nothing of the gap was left out");
}

#[test]
fn restarted_empty() {
    let mut stage = Stage::new(Redis::start());
    for _ in 0..3 {
        stage.redis.kill();
        stage.read();
        stage.award_some(3);
        stage.redis.start_again();
        stage.award_some(3);
        stage.read();
    }
    stage.fed();
    stage.award_all();
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

#[test]
fn stopped_and_continued() {
    let mut stage = Stage::new(Redis::start());
    stage.redis.signal("STOP");
    let begun = Instant::now();
    for _ in 0..10 {
        stage.award_some(1);
        stage.read();
    }
    let figures = stage.figures();
    assert!(figures.is_open, "{figures:?}");
    // 5 readers that waited, and feeder and probes that tried again.
    let tries = 10 + begun.elapsed().as_millis() as u64 / 500;
    assert!(figures.errors <= tries, "each of {HOLDERS} readers pays: {figures:?}");
    stage.redis.signal("CONT");
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

#[test]
fn clients_are_cut_off() {
    let mut stage = Stage::new(Redis::start());
    for _ in 0..20 {
        stage.redis.do_it(&["CLIENT", "KILL", "TYPE", "normal"]);
        stage.award_some(2);
        stage.read();
    }
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64, "no run was left out or taken half");
}

#[test]
fn full() {
    let mut stage = Stage::new(Redis::start());
    let (generation, before) = stage.cursor().expect("a cursor");
    stage.redis.do_it(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    stage.redis.do_it(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..5 {
        stage.award_some(5);
        stage.read();
    }
    assert_eq!(stage.cursor(), Some((generation.clone(), before)), "nothing could be written");
    stage.redis.do_it(&["CONFIG", "SET", "maxmemory", "0"]);
    stage.fed();
    assert_eq!(stage.cursor().expect("a cursor").0, generation);
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

/// A Redis that throws away what it likes.
#[test]
fn evicting() {
    let mut stage = Stage::new(Redis::start());
    stage.redis.do_it(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    let used: String = stage.redis.ask(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("a number").to_owned();
    stage.redis.do_it(&["CONFIG", "SET", "maxmemory", &used]);
    for _ in 0..10 {
        stage.award_all();
        stage.read();
    }
    stage.compared();
}

#[test]
fn failed_over_to_a_replica_that_is_behind() {
    let mut stage = Stage::new(Redis::start());
    let mut replica = Redis::start();
    replica.follow(&stage.redis);
    stage.award_some(10);
    stage.fed();
    let (generation, _) = stage.cursor().expect("a cursor");
    // Cut off here, it never sees what comes now.
    replica.do_it(&["REPLICAOF", "NO", "ONE"]);
    stage.award_all();
    stage.award_some(10);
    stage.fed();
    let port = stage.redis.port;
    stage.redis.kill();
    replica.move_to(port);
    stage.redis = replica;
    let (same, behind) = stage.cursor().expect("the replica's cursor");
    assert_eq!(same, generation);
    stage.read();
    stage.award_some(1);
    stage.fed();
    let (same, seq) = stage.cursor().expect("a cursor");
    assert!(same == generation && seq > behind, "it goes on from the replica's cursor");
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64, "what the replica lacked was written again");
}

#[test]
fn sentinel_says_who_is_the_master() {
    let master = Redis::start();
    let replica = Redis::start();
    replica.follow(&master);
    let sentinel = Redis::sentinel(&master);
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let begun = Instant::now();
    while !sentinel.ask::<String>(&["INFO", "sentinel"]).contains("slaves=1") {
        assert!(begun.elapsed() < Duration::from_secs(20), "the sentinel does not see the replica");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Where the master is, Sentinel says, so that comparing goes there as well.
    let mut stage = Stage::at(master, url);
    stage.read_out_of_redis();
    stage.redis.kill();
    stage.read();
    stage.award_some(5);
    stage.redis = replica;
    stage.fed();
    let role: Vec<redis::Value> = stage.redis.ask(&["ROLE"]);
    assert!(matches!(&role[0], redis::Value::BulkString(role) if role == b"master"), "{role:?}");
    stage.award_all();
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

#[test]
fn a_cluster_holds_a_network_in_one_slot() {
    let redis = Redis::with(&["--cluster-enabled", "yes"]);
    redis.do_it(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let begun = Instant::now();
    while !redis.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        assert!(begun.elapsed() < Duration::from_secs(20), "no cluster");
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port);
    let mut stage = Stage::at(redis, url);
    stage.read_out_of_redis();
    stage.award_all();
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

/// The node itself ends and comes back: Redis has a cursor of before, and the log went on without it.
#[test]
fn a_node_that_comes_back_goes_on_from_the_cursor() {
    let mut stage = Stage::new(Redis::start());
    let (generation, before) = stage.cursor().expect("a cursor");
    stage.network.take().expect("open").close().expect("closes");
    let alone = Tuning::at(stage.dir());
    stage.network = Some(Network::open(stage.home(), &stage.world.log.secret, &alone).expect("opens"));
    stage.award_some(40);
    stage.network.take().expect("open").close().expect("closes");
    let mut tuning = Tuning::at(stage.dir());
    crate::stage::tune(&mut tuning, &stage.url);
    stage.network = Some(Network::open(stage.home(), &stage.world.log.secret, &tuning).expect("opens"));
    stage.fed();
    let (same, seq) = stage.cursor().expect("a cursor");
    assert!(same == generation && seq >= before + 40, "{same} {seq}");
    assert_eq!(stage.compared(), HOLDERS as u64, "what was written while nobody fed Redis is there");
    stage.read_out_of_redis();
}

/// Another log under the same network's name, as after a restored copy: nothing of it is believed.
#[test]
fn what_another_log_left_is_not_believed() {
    let mut stage = Stage::new(Redis::start());
    for _ in 0..3 {
        stage.award_all();
    }
    stage.fed();
    let (generation, _) = stage.cursor().expect("a cursor");
    // The same genesis and the same commands; but the salts, and so the hashes, are others.
    let Stage { redis, network, .. } = stage;
    network.expect("open").close().expect("closes");
    let stage = Stage::new(redis);
    assert_ne!(stage.cursor().expect("a cursor").0, generation);
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
}

#[test]
fn an_address_that_is_none_is_an_error_and_one_where_nobody_is_no() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = crate::common::world::World::new(5);
    let open = |url: &str| {
        let mut tuning = Tuning::at(dir.path());
        tuning.redis = Some(url.to_owned());
        let (genesis, at) = (world.genesis.clone(), crate::common::world::beginning());
        if dir.path().join("log.sqlite").exists() {
            Network::open(Home::new(dir.path(), None), &world.log.secret, &tuning)
        } else {
            Network::create(Home::new(dir.path(), None), genesis, &world.log.secret, at, &tuning)
        }
    };
    let error = open("http://nowhere").err().expect("no address").to_string();
    assert!(error.starts_with("redis: "), "{error}");
    let port = crate::common::redis::free_port();
    let network = open(&format!("redis://127.0.0.1:{port}")).expect("it opens without");
    assert!(network.engine.remote().expect("configured").figures().is_open);
    network.close().expect("closes");
}
