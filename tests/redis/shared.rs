//! What nodes share beside balances: limits, which fail open, and nonces, which fail closed. And what the API and the
//! command line say about all of it.

use crate::common::http::{Server, api_config};
use crate::common::redis::Redis;
use crate::common::world::{World, beginning};
use crate::stage::{HOLDERS, Stage, award_all, holders, tune};
use std::process::Command;
use std::time::{Duration, Instant};
use tallyhouse::config::Api;
use tallyhouse::machine::Role;
use tallyhouse::vault::{KeyFolder, Owner, Whom};

/// A node of the test network. Two of them have logs of their own here; what they share is the network's name.
fn node(redis: &Redis, config: Api) -> Server {
    let world = World::new(31);
    let accounts = holders(&world);
    let founding = world.founding().into_iter().chain([award_all(&world, "first", &accounts)]);
    let asked: Vec<_> = founding.map(|request| (request, beginning())).collect();
    let url = redis.url();
    let server = Server::tuned(world, &asked, config, Box::new(move |tuning| tune(tuning, &url)));
    until("Redis is asked", || !server.service().engine().remote().expect("a Redis").figures().is_open);
    server
}

#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signature_counts_once_on_all_nodes_and_not_at_all_where_that_cannot_be_told() {
    let redis = Redis::start();
    let (one, two) = (node(&redis, api_config()), node(&redis, api_config()));
    let holder = one.world.holder(crate::stage::unit(), 0);
    let key = &one.world.brands[0].root;
    let signed = || one.signed_get(key, "/v1/brands");
    let first = signed();
    assert_eq!(one.ask(&first).status, 200);
    two.ask(&first).refused(401, "signature_replayed");
    one.ask(&first).refused(401, "signature_replayed");
    assert_eq!(two.ask(&signed()).status, 200);

    redis.do_it(&["CONFIG", "SET", "maxmemory", "1"]);
    two.ask(&signed()).refused(503, "busy");
    redis.do_it(&["CONFIG", "SET", "maxmemory", "0"]);
    until("signed reads count again", || two.ask(&signed()).status == 200);

    redis.signal("STOP");
    let replies: Vec<_> = (0..8).map(|_| two.ask(&signed())).collect();
    for reply in &replies {
        reply.refused(503, "busy");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    let secret = two.api_key(Whom::Operator, Role::Auditor);
    assert_eq!(
        two.get_as(&secret, &format!("/v1/accounts/{}", holder.account)).status,
        200,
        "a key has none"
    );
    // What the log keeps is recognised by its id.
    let new = two.world.holder(crate::stage::unit(), 9_999);
    let open = two.world.open_account("open-while-away", crate::stage::unit(), &new);
    assert_eq!(two.submit("/v1/accounts", &open).status, 201);
    redis.signal("CONT");
    until("signed reads count again", || two.ask(&signed()).status == 200);
    // Longer than it counts here: the clock of another node may be behind.
    let key = redis.keys("tallyhouse:*:n:*").pop().expect("a nonce");
    let left: i64 = redis.ask(&["TTL", &key]);
    assert!((310..=360).contains(&left), "{left} s");
    // One whose nonce could not be shared is not used up for others: nobody saw it. This node did.
    two.ask(&first).refused(401, "signature_replayed");
}

#[test]
fn without_a_redis_a_node_remembers_nonces_itself() {
    let server = Server::founded(32);
    let signed = server.signed_get(&server.world.brands[0].root, "/v1/brands");
    assert_eq!(server.ask(&signed).status, 200);
    server.ask(&signed).refused(401, "signature_replayed");
}

#[test]
fn nodes_grant_together_what_one_would_and_each_alone_while_redis_is_away() {
    let redis = Redis::start();
    let config = || Api { per_address: 20, per_key: 20, burst: 1, ..api_config() };
    let (one, two) = (node(&redis, config()), node(&redis, config()));
    // Each vault has keys of its own; who shows none is known by address, to both alike.
    let ask = |long| {
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < long {
            for node in [&one, &two] {
                let reply = node.get("/v1/network");
                match reply.status {
                    200 => count += 1,
                    429 => assert!(reply.header("retry-after").is_some()),
                    status => panic!("{status}: {}", reply.text()),
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        count
    };
    // Whoever can write there spoils a bucket: it is one like any other all the same.
    one.get("/v1/network");
    until("it is exchanged", || !redis.keys("tallyhouse:*:l:*").is_empty());
    for key in redis.keys("tallyhouse:*:l:*") {
        redis.do_it(&["SET", &key, "spoiled"]);
    }
    let together = ask(Duration::from_secs(4));
    // 20 at once and 80 later; and what two nodes grant in a tenth of a second before they know.
    assert!((70..=140).contains(&together), "{together} granted together");

    redis.signal("STOP");
    let remote = |node: &Server| node.service().engine().remote().expect("a Redis").figures().is_open;
    until("both notice", || {
        drop((one.get("/v1/network"), two.get("/v1/network")));
        remote(&one) && remote(&two)
    });
    std::thread::sleep(Duration::from_secs(1));
    let alone = ask(Duration::from_secs(4));
    assert!((150..=220).contains(&alone), "{alone}: each grants 20 at once and 80 later");
}

#[test]
fn wrong_keys_count_together_at_all_nodes() {
    let redis = Redis::start();
    let config = || Api { failures: 20, burst: 1, ..api_config() };
    let (one, two) = (node(&redis, config()), node(&redis, config()));
    let looked_at = |long| {
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < long {
            for node in [&one, &two] {
                let reply = node.get_as("th_test_nobody", "/v1/me");
                match reply.status {
                    401 => count += 1,
                    429 => assert!(reply.header("retry-after").is_some()),
                    status => panic!("{status}: {}", reply.text()),
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        count
    };
    let together = looked_at(Duration::from_secs(5));
    redis.signal("STOP");
    let remote = |node: &Server| node.service().engine().remote().expect("a Redis").figures().is_open;
    until("both notice", || {
        drop((one.get("/v1/network"), two.get("/v1/network")));
        remote(&one) && remote(&two)
    });
    std::thread::sleep(Duration::from_secs(2));
    let alone = looked_at(Duration::from_secs(5));
    println!("{together} wrong keys looked at by two nodes together, {alone} by each for itself");
    // 20 at once and 20 a second; and what two nodes look at in a tenth of a second before they know.
    assert!(together * 5 < alone * 4, "{together} together, {alone} alone");
}

#[test]
fn metrics_say_how_redis_does() {
    let redis = Redis::start();
    let server = node(&redis, api_config());
    let secret = server.api_key(Whom::Operator, Role::Auditor);
    let value = |name: &str| {
        let text = server.get_as(&secret, "/metrics").text();
        let name = format!("tallyhouse_redis_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse::<i64>().expect("a number")
    };
    until("all is fed", || value("entries_behind") == 0 && value("written") > 0);
    server.service().engine().settle().expect("followed");
    for id in holders(&server.world) {
        assert_eq!(server.get_as(&secret, &format!("/v1/accounts/{id}")).status, 200);
    }
    assert!(value("hits") > 100 && value("breaker_open") == 0, "{}", value("hits"));
    redis.do_it(&["FLUSHALL"]);
    until("it is fed again", || redis.keys("tallyhouse:*:cursor").len() == 1);
    let misses = value("misses");
    for id in holders(&server.world) {
        assert_eq!(server.get_as(&secret, &format!("/v1/accounts/{id}")).status, 200);
    }
    assert!(value("misses") > misses);
    until("readers fill in what they found", || value("filled") > 100);
    redis.signal("STOP");
    until("it is not asked any more", || {
        for id in holders(&server.world) {
            assert_eq!(server.get_as(&secret, &format!("/v1/accounts/{id}")).status, 200);
        }
        value("breaker_open") == 1
    });
    assert!(value("errors") > 0);
}

fn verify(stage: &Stage) -> (i32, String) {
    let config = stage.dir().join("node.toml");
    std::fs::write(&config, format!("redis = \"{}\"\n", stage.url)).expect("written");
    let (keys, log) = (KeyFolder::at(stage.dir()), "log".parse().expect("a name"));
    if !keys.path(&Owner::Operator, &log).exists() {
        keys.put(&Owner::Operator, &log, &stage.world.log.secret).expect("written");
    }
    let run = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
        .args(["verify", "--cache", "--data"])
        .arg(stage.dir())
        .arg("--config")
        .arg(&config)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    (run.status.code().expect("an end"), said)
}

#[test]
fn verify_names_what_differs() {
    let mut stage = Stage::new(Redis::start());
    let (code, said) = verify(&stage);
    assert!(code == 0 && said.starts_with(&format!("SAME  {HOLDERS} balances")), "{code}: {said}");

    // A balance that was changed, one that missed a change, and one that is not of this form.
    let [more, late, strange] = [0, 1, 2].map(|n| stage.key(&format!("a:{}", stage.accounts[n])));
    let text = stage.text(&more);
    assert!(text.contains(",1]"), "{text}");
    stage.write(&more, &text.replacen(",1]", ",1000]", 1));
    let old: String = stage.redis.ask(&["GET", &late]);
    stage.award_all();
    stage.fed();
    let text = stage.text(&more);
    stage.write(&more, &text.replacen(",2]", ",1000]", 1));
    stage.redis.do_it(&["SET", &late, &old]);
    stage.redis.do_it(&["SET", &strange, "nothing"]);
    let (code, said) = verify(&stage);
    assert_eq!(code, 1, "{said}");
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("WRONG")).collect();
    assert_eq!(wrong.len(), 3, "{said}");
    for n in 0..2 {
        assert!(wrong.iter().any(|line| line.contains(&stage.accounts[n].to_string())), "{said}");
    }
    assert!(wrong.iter().any(|line| line.contains(&strange)), "{said}");
    assert!(said.contains(&format!("DIFFERENT  {} balances", HOLDERS - 3)), "{said}");

    let away = stage.redis.port;
    stage.redis.kill();
    let (code, said) = verify(&stage);
    assert!(code == 3 && said.contains("Redis"), "{away}: {code}: {said}");
}
