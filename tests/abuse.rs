//! Abuse: heads and bodies that never end, clients that dawdle, ten thousand connections that idle, garbage, floods
//! of made-up signatures and look-ups, a disk that fills up. Whoever behaves is served all the while.

mod common;

use common::carried::{ADDRESS, unsigned};
use common::http::{Ask, Reply, now};
use common::process::{Process, Wire, found};
use common::world::{Key, World, id};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Options, verify};
use tallyhouse::sign::HttpMessage;
use tallyhouse::types::UnitCode;

static COUNT: AtomicU64 = AtomicU64::new(0);

fn unit() -> UnitCode {
    id("TWIN")
}

/// A served network of a seed. The folder goes with what is returned.
fn serve(seed: u64, config: &str) -> (tempfile::TempDir, World, Process) {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::real(seed);
    found(&world, dir.path(), &[]);
    let server = Process::start(dir.path(), config);
    (dir, world, server)
}

fn nonce() -> String {
    format!("nonce-{}-{:0>16}", now(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn post(key: &Key, target: &str, name: &str, body: String) -> Ask {
    Ask::message(&HttpMessage::post(format!("{ADDRESS}{target}"), name, body).sign(
        &key.secret,
        now(),
        &nonce(),
    ))
}

/// An award of one point, signed now.
fn award(world: &World, name: &str) -> Ask {
    let (brand, at) = world.brand_of(unit());
    let token =
        world.token(brand, unit(), name, world.holder(unit(), 0).account, 1, tallyhouse::clock::now());
    let message = unsigned(&world.issue(&brand.issuing[at], &token).jws[0]);
    Ask::message(&message.sign(&brand.issuing[at].secret, now(), &nonce()))
}

fn is_well(server: &Process) {
    assert_eq!(server.try_get("/healthz").expect("it serves").status, 200);
}

/// What a server does with these bytes: the status of its answer, or nothing if it closed the connection.
fn poke(server: &Process, bytes: &[u8]) -> Option<u16> {
    let mut wire = Wire::connect(server.address).expect("connects");
    wire.stream.set_read_timeout(Some(Duration::from_secs(8))).expect("set");
    // It may close before it has read all.
    let _ = wire.send(bytes);
    match wire.head() {
        Ok(head) => Some(head.status),
        Err(e) => {
            let waits = matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            assert!(!waits, "no answer, and the connection stays open");
            None
        }
    }
}

#[test]
fn heads_and_bodies_have_bounds_and_garbage_harms_nobody() {
    let (_dir, world, server) = serve(61, "[api]\nidle_ms = 3000\nbody_ms = 3000\nbody_bytes = 8192\n");
    let refused = |what: &str, bytes: &[u8]| {
        let status = poke(&server, bytes);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{what}: {status:?}");
        is_well(&server);
    };
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    refused("many fields", format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes());
    let huge = "y".repeat(300_000);
    refused("a huge field", format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {huge}\r\n\r\n").as_bytes());
    refused("a huge target", format!("GET /{huge} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
    refused("no end of line", &[b'a'; 1 << 20]);
    refused("bytes", &(0..=255).cycle().take(70_000).collect::<Vec<u8>>());
    refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    refused("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    refused(
        "two lengths",
        b"POST /v1/awards HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    );
    refused(
        "length and chunks",
        b"POST /v1/awards HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    refused("a negative length", b"POST /v1/awards HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n");
    refused(
        "a chunk without end",
        b"POST /v1/awards HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    );
    // A body that says that it is too large is not waited for, one that does not say is cut.
    let declared = "POST /v1/awards HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n";
    let begun = Instant::now();
    assert_eq!(poke(&server, declared.as_bytes()), Some(413));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let chunk = format!("1000\r\n{}\r\n", "z".repeat(0x1000)).repeat(4);
    let chunked =
        format!("POST /v1/awards HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    assert_eq!(poke(&server, chunked.as_bytes()), Some(413));

    // Behind a good request, in the same write: the good one is answered.
    let good = Ask::get("/healthz").bytes(false);
    for garbage in [
        "GARBAGE\r\n\r\n",
        "GET",
        "\0\0\0\0\r\n\r\n",
        "POST /v1/awards HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12",
    ] {
        let mut wire = Wire::connect(server.address).expect("connects");
        wire.send(&[&good[..], &good, garbage.as_bytes()].concat()).expect("sent");
        assert_eq!(wire.reply().expect("an answer").status, 200, "{garbage:?}");
        assert_eq!(wire.reply().expect("an answer").status, 200, "{garbage:?}");
        assert!(wire.is_closed_within(Duration::from_secs(10)), "{garbage:?}: it stays open");
    }
    // Cut off at every place: nothing of it happens, and nobody else notices.
    let whole = award(&world, "cut").bytes(false);
    for at in (0..whole.len()).step_by(13) {
        let mut wire = Wire::connect(server.address).expect("connects");
        wire.send(&whole[..at]).expect("sent");
    }
    is_well(&server);
    let reply =
        Wire::connect(server.address).expect("connects").ask(&award(&world, "cut")).expect("an answer");
    reply.expect(201);
    assert_eq!(reply.header("idempotency-replayed"), None, "a request that was cut off took effect");
}

#[test]
fn who_dawdles_is_sent_away() {
    let (_dir, world, server) = serve(62, "[api]\nidle_ms = 1000\nbody_ms = 1000\n");
    let most = Duration::from_secs(6);
    let timed = |what: &str, mut wire: Wire, drip: &[u8]| {
        let begun = Instant::now();
        for byte in drip {
            // The server may have closed its side by now.
            if wire.send(&[*byte]).is_err() || begun.elapsed() > most {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(wire.is_closed_within(most), "{what}: it stays open");
        let took = begun.elapsed();
        println!("{what}: {took:?}");
        assert!(took > Duration::from_millis(500) && took < most, "{what}: {took:?}");
    };
    let open = || Wire::connect(server.address).expect("connects");
    let drip = b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: ".iter().chain([b'y'; 1_000].iter()).copied();
    let head = award(&world, "slow").bytes(false);
    let at = head.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    std::thread::scope(|scope| {
        scope.spawn(|| timed("silence", open(), b""));
        scope.spawn(|| timed("a head by drops", open(), &drip.clone().collect::<Vec<u8>>()));
        scope.spawn(|| {
            let mut wire = open();
            assert_eq!(wire.ask(&Ask::get("/healthz")).expect("an answer").status, 200);
            timed("silence after a request", wire, b"");
        });
        scope.spawn(|| {
            let mut wire = open();
            wire.send(&head[..at]).expect("sent");
            assert_eq!(wire.reply().expect("an answer").status, 408, "a body that never comes");
        });
        scope.spawn(|| {
            let mut wire = open();
            wire.send(&head[..at]).expect("sent");
            timed(
                "a body by drops",
                wire,
                &head[at..head.len() - 1].repeat(20)[..200.min(head.len() - at - 1)],
            );
        });
        // Others are served meanwhile.
        scope.spawn(|| (0..40).for_each(|_| is_well(&server)));
    });
}

#[test]
fn who_does_not_read_answers_is_sent_away() {
    let (_dir, _world, server) = serve(68, "[api]\nidle_ms = 1000\nper_address = 1000000\n");
    let mut wire = Wire::connect(server.address).expect("connects");
    wire.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("set");
    let ask = Ask::get("/openapi.json").bytes(false);
    // Until the server's answers fill what the system keeps of them, and it stops to read.
    let begun = Instant::now();
    while wire.send(&ask).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it answers whom nobody reads");
    }
    std::thread::sleep(Duration::from_secs(6));
    is_well(&server);
    // What the system had kept is still there to be read, some megabytes; then the connection has ended. Had the
    // server waited, thousands of answers would follow now.
    assert!(wire.is_closed_within(Duration::from_secs(2)), "it waits for whom nobody reads");
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let (_dir, world, server) = serve(63, "[api]\nconnections = 12000\nidle_ms = 120000\n");
    let allowed = tallyhouse::api::open_files(10_500);
    let count = usize::try_from(allowed.saturating_sub(400)).expect("fits").min(10_000);
    if count < 10_000 {
        println!("this machine lets a process open {allowed} files only: {count} connections");
    }
    let before = server.memory();
    // Half of them ask something before they idle: so no more of them come at once than the system lets wait.
    let open = |n: usize| {
        let mut wire = Wire::connect(server.address).expect("connects");
        if n.is_multiple_of(2) {
            assert_eq!(wire.ask(&Ask::get("/healthz")).expect("an answer").status, 200);
        }
        wire
    };
    let mut idle: Vec<Wire> = (0..count).map(open).collect();
    let each = server.memory().saturating_sub(before) as f64 / count as f64;
    println!("{count} idle connections: {each:.1} KiB each");
    assert!(each < 32.0, "{each} KiB for a connection that idles");
    let ticks = server.ticks();
    std::thread::sleep(Duration::from_secs(1));
    println!("{} hundredths of a second of processor time in a second of idling", server.ticks() - ticks);
    let mut wire = Wire::connect(server.address).expect("connects");
    let mut times: Vec<Duration> = (0..100)
        .map(|n| {
            let begun = Instant::now();
            wire.ask(&award(&world, &format!("beside-{n}"))).expect("an answer").expect(201);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("awards beside them: median {:?}, at most {:?}", times[50], times[99]);
    assert!(times[50] < Duration::from_millis(500), "{times:?}");
    for wire in idle.iter_mut().step_by(97) {
        assert_eq!(wire.ask(&Ask::get("/healthz")).expect("it is still there").status, 200);
    }
}

/// Asks over and over: how often each status came, and for how long it went on.
fn flood(server: &Process, ask: &Ask, times: usize) -> (BTreeMap<u16, usize>, Reply, Duration) {
    let mut wire = Wire::connect(server.address).expect("connects");
    let (mut counts, mut last) = (BTreeMap::new(), None);
    let begun = Instant::now();
    for _ in 0..times {
        let reply = wire.ask(ask).expect("an answer");
        *counts.entry(reply.status).or_default() += 1;
        // What is refused by its head alone is not read further: the connection ends.
        if reply.header("connection") == Some("close") {
            wire = Wire::connect(server.address).expect("connects");
        }
        last = Some(reply);
    }
    (counts, last.expect("an answer"), begun.elapsed())
}

#[test]
fn made_up_signatures_and_keys_are_cheap_to_refuse() {
    let (_dir, world, server) = serve(64, "[api]\nfailures = 20\nburst = 1\nper_address = 1000000\n");
    let (brand, at) = world.brand_of(unit());
    let key = &brand.issuing[at];
    // A good form and a known key, and the signature of something else.
    let other = award(&world, "another");
    let signature = other.headers.iter().find(|(name, _)| name == "signature").expect("signed").1.clone();
    let statement = |n: u64| {
        let token = world.token(brand, unit(), &format!("t-{n}"), id_of(&world), 1, tallyhouse::clock::now());
        world.issue(key, &token).jws[0].clone()
    };
    let (one, two) = (statement(1), statement(2));
    let (head, tail) = (one.rsplit_once('.').expect("parts").0, two.rsplit_once('.').expect("parts").1);
    let stranger = Key::derive(64, "nobody");
    let get = HttpMessage::get(format!("{ADDRESS}/v1/me")).sign(&stranger.secret, now(), &nonce());
    let floods = [
        ("a wrong signature", award(&world, "wrong").instead("signature", signature)),
        ("a wrong statement", Ask::statements("/v1/tokens", &[format!("{head}.{tail}")])),
        ("an unknown key writes", post(&stranger, "/v1/awards", "x", other_body(&other))),
        ("an unknown key reads", Ask::message(&get)),
        ("an unknown API key", Ask::get("/v1/me").key("th_test_00000000000000000000000000000000")),
    ];
    for (what, ask) in floods {
        let before = server.ticks();
        let (counts, last, took) = flood(&server, &ask, 2_000);
        let each = (server.ticks() - before) as f64 * 10_000.0 / 2_000.0;
        println!("{what}: {counts:?} in {took:?}, {each:.0} µs of processor time each");
        let looked_at = counts.get(&401).copied().unwrap_or(0);
        // At most 20 at once and 20 a second, and the one that finds the bucket empty.
        let most = 20 + 21 * (1 + usize::try_from(took.as_secs()).expect("fits"));
        assert!(looked_at <= most, "{what}: {looked_at} were looked at in {took:?}");
        assert!(counts.keys().all(|status| matches!(status, 401 | 429)), "{what}: {counts:?}");
        if last.status == 429 {
            assert_eq!(last.header("retry-after"), Some("1"), "{what}");
        }
        assert!(counts.get(&429).copied().unwrap_or(0) > 1_000, "{what}: {counts:?}");
        // It is over in a second, and whoever signs well is served.
        std::thread::sleep(Duration::from_millis(1_200));
        let mut wire = Wire::connect(server.address).expect("connects");
        wire.ask(&award(&world, &format!("good-{}", COUNT.load(Ordering::Relaxed))))
            .expect("an answer")
            .expect(201);
    }
}

fn id_of(world: &World) -> tallyhouse::types::AccountId {
    world.holder(unit(), 0).account
}

fn other_body(ask: &Ask) -> String {
    String::from_utf8(ask.body.clone()).expect("text")
}

#[test]
fn each_key_has_a_bucket_of_its_own_and_so_have_strangers() {
    let (_dir, world, server) = serve(65, "[api]\nper_key = 10\nper_address = 30\nburst = 1\nresolves = 3\n");
    let mut wire = Wire::connect(server.address).expect("connects");
    // Until it is one too many; a slow machine takes longer for that.
    let ask = |n| wire.ask(&award(&world, &format!("a-{n}"))).expect("an answer");
    let mut replies = (0..500).map(ask).enumerate();
    let (done, no) = replies.find(|(_, reply)| reply.status != 201).expect("one too many");
    assert!(done >= 10, "{done}");
    no.refused(429, "rate_limited");
    assert_eq!(no.header("retry-after"), Some("1"));
    assert_eq!(no.header("ratelimit-policy"), Some("\"default\";q=10;w=1"));
    assert_eq!(no.header("ratelimit"), Some("\"default\";r=0;t=1"));
    // Another key at the same address has its own.
    let (brand, at) = world.brand_of(id("POLAR"));
    let me = HttpMessage::get(format!("{ADDRESS}/v1/me")).sign(&brand.issuing[at].secret, now(), &nonce());
    let reply = wire.ask(&Ask::message(&me)).expect("an answer");
    reply.expect(200);
    assert_eq!(reply.header("ratelimit"), Some("\"default\";r=9;t=1"));
    // What nobody signed is counted by address, also where a signature was wanted.
    let (counts, _, _) = flood(&server, &Ask::post("/v1/payments").body("application/json", "{}"), 400);
    assert!(counts[&401] >= 30 && counts[&429] > 50, "{counts:?}");

    // Look-ups of members are writes of the vault: they have a tighter bucket.
    let (brand, at) = world.brand_of(id("KINO"));
    let resolve = |n: usize| {
        let body = format!(r#"{{"alias":"m-{n}","unit":"KINO"}}"#);
        post(&brand.issuing[at], "/v1/accounts:resolve", &format!("r-{n}"), body)
    };
    let mut replies = (0..200).map(|n| wire.ask(&resolve(n)).expect("an answer")).enumerate();
    let (done, no) = replies.find(|(_, reply)| reply.status != 200).expect("one too many");
    assert!(done >= 3, "{done}: {no:?}");
    no.refused(429, "rate_limited");
    assert_eq!(no.header("ratelimit-policy"), Some("\"resolve\";q=3;w=1"));
}

/// Members who are known and numbers that nobody has are looked up alternately. What is compared are medians, with
/// bounds that a busy machine stays within; that the work is the same by construction, the vault's own tests show.
#[test]
fn time_does_not_tell_who_is_a_member() {
    let (_dir, world, server) = serve(66, "[api]\nresolves = 100000\nper_key = 100000\n");
    let (brand, at) = world.brand_of(id("KINO"));
    let mut wire = Wire::connect(server.address).expect("connects");
    let mut look_up = |alias: &str| {
        let body = format!(r#"{{"alias":"{alias}","unit":"KINO"}}"#);
        let name = format!("look-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let ask = post(&brand.issuing[at], "/v1/accounts:resolve", &name, body);
        let begun = Instant::now();
        let reply = wire.ask(&ask).expect("an answer");
        (begun.elapsed(), reply.expect(200)["account"].as_str().expect("an account").to_owned(), reply)
    };
    let first: Vec<String> = (0..20).map(|n| look_up(&format!("known-{n}")).1).collect();
    let (mut known, mut unknown) = (vec![], vec![]);
    for n in 0..200 {
        let (took, account, reply) = look_up(&format!("known-{}", n % 20));
        assert_eq!(account, first[n % 20]);
        known.push(took);
        let (took, _, other) = look_up(&format!("nobody-{n:0>4}"));
        unknown.push(took);
        assert_eq!(reply.body.len(), other.body.len(), "the answers differ in length");
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    println!("known {known:?}, unknown {unknown:?}");
    assert!(known < unknown * 2 && unknown < known * 2, "known {known:?}, unknown {unknown:?}");
}

/// A file that may not grow stands for a disk that is full.
#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::real(67);
    found(&world, dir.path(), &[]);
    let config = "[api]\nper_key = 1000000\nlead_ms = 0\ndrain_seconds = 5\n";
    let mut server = Process::start_by(dir.path(), config, "trap '' XFSZ; ulimit -f 10000;");
    let told: Vec<(String, u64, u16)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let (world, server) = (&world, &server);
                scope.spawn(move || {
                    let mut told = vec![];
                    let mut wire = Wire::connect(server.address).expect("connects");
                    for n in 0..20_000 {
                        let name = format!("full-{client}-{n}");
                        let Ok(reply) = wire.ask(&award(world, &name)) else { break };
                        let seq = if reply.status == 201 { reply.seq() } else { 0 };
                        let status = reply.status;
                        told.push((name, seq, status));
                        if status != 201 {
                            reply.refused(503, "busy");
                            assert!(reply.header("retry-after").is_some());
                            break;
                        }
                    }
                    told
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    let refused = told.iter().filter(|(_, _, status)| *status == 503).count();
    assert!(refused > 0, "the disk never filled up");
    // It cannot go on: it ends, and says why and what to do.
    let status = server.ended(Duration::from_secs(30)).expect("it ends");
    let said = server.errors();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("make room") && said.contains("start it again"), "{said}");

    let mut server = Process::start(dir.path(), config);
    let mut wire = Wire::connect(server.address).expect("connects");
    let answered = told.iter().filter(|(_, _, status)| *status == 201);
    for (name, seq, _) in answered.clone() {
        let reply = wire.ask(&award(&world, name)).expect("an answer");
        reply.expect(201);
        assert_eq!(reply.seq(), *seq, "{name}");
    }
    println!("{} answered, {refused} refused", answered.clone().count());
    assert!(answered.count() > 50);
    server.signal("TERM");
    assert!(server.ended(Duration::from_secs(40)).expect("it ends").success(), "{}", server.errors());
    let report = verify(dir.path(), &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}
