//! Several nodes, one network: one writes, the others hand on to it and serve readers; whoever writes may be killed,
//! paused, cut off or stopped, and another takes its place. Nothing is lost, nothing happens twice, and a writer that
//! wakes up too late changes nothing.

mod common;

use common::carried::ADDRESS;
use common::cluster;
use common::http::{Ask, now};
use common::nodes::Nodes;
use serde_json::json;
use std::time::{Duration, Instant};
use tallyhouse::app::{Options, verify};
use tallyhouse::sign::HttpMessage;

/// The log verifies, and what follows it is what it should be.
fn check(nodes: &mut Nodes) {
    nodes.end();
    let report = verify(nodes.home(0), &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    assert!(report.views && report.records > 0, "state and views were compared");
}

#[test]
fn a_reader_answers_and_hands_on_as_the_writer_would() {
    let mut nodes = Nodes::start(cluster::shared(), 501, 2, "");
    let (writer, reader) = (nodes.writer(), nodes.reader());
    assert_eq!(nodes.role(reader).as_deref(), Some("reader"));
    // A signed request, and what it did, seen where it was asked for.
    let (done, ..) = nodes.until_done(reader, || nodes.award("one", 0, 5));
    for n in [reader, writer] {
        let seen = nodes.ask(n, &nodes.balance(0, Some(done.seq())));
        assert_eq!(seen.expect(200)["available"], 5, "n{n}");
        assert!(seen.seq() >= done.seq());
    }
    // The same again, at either node, is the same answer.
    for n in [writer, reader] {
        let again = nodes.ask(n, &nodes.award("one", 0, 5));
        assert_eq!((again.seq(), again.header("idempotency-replayed")), (done.seq(), Some("true")));
    }
    // Statements, with a proof; a dry run; refusals by either.
    let token = nodes.token("two", 1, 7);
    let proven = nodes.ask(reader, &Ask::statements("/v1/tokens", &token).with("prefer", "return=proof"));
    assert!(proven.expect(201)["proof"].is_object(), "{}", proven.text());
    let dry = nodes.ask(reader, &Ask::statements("/v1/tokens?dry_run=true", &nodes.token("three", 1, 7)));
    assert_eq!(dry.expect(200)["dry_run"], true);
    let wrong = nodes.award("four", 0, 1).body("application/json", "{}");
    assert_eq!(nodes.ask(reader, &wrong).status, nodes.ask(writer, &wrong).status);
    let conflict = nodes.ask(reader, &nodes.award("one", 0, 6));
    conflict.refused(409, "token_conflict");
    assert_eq!(conflict.json()["request_id"].as_str(), conflict.header("request-id"), "one id on both nodes");
    // A batch, line by line, and lists that show it.
    let lines: String = (0..300)
        .map(|n| json!({ "jws": nodes.token(&format!("line-{n}"), 2, 1) }).to_string() + "\n")
        .collect();
    let batch = nodes.ask(reader, &Ask::post("/v1/awards:batch").body("application/x-ndjson", lines));
    assert_eq!(batch.status, 200);
    let verdicts = batch.text();
    let last: serde_json::Value =
        serde_json::from_str(verdicts.lines().last().expect("lines")).expect("JSON");
    assert_eq!((verdicts.lines().count(), &last["status"]), (300, &json!(201)), "{last}");
    let seq = last["done"]["seq"].as_u64().expect("a number");
    let moved =
        Ask::get(format!("/v1/accounts/{}/movements?limit=1000", nodes.account(2))).key(&nodes.auditor);
    let moved = nodes.ask(reader, &moved.with("min-seq", seq.to_string()));
    assert_eq!(moved.expect(200)["items"].as_array().expect("a list").len(), 300);
    // Proofs, tiles, the checkpoint.
    let proof = nodes.ask(reader, &Ask::get(format!("/v1/entries/{seq}/proof")));
    assert_eq!(proof.status, 200, "{}", proof.text());
    let checkpoint = nodes.ask(reader, &Ask::get("/checkpoint"));
    assert!(checkpoint.text().starts_with(&nodes.world.genesis.origin), "{}", checkpoint.text());
    assert_eq!(nodes.ask(reader, &Ask::get("/tile/0/000")).status, 200);
    // What the vault keeps, made at one node, is known at the other; what is taken back is taken back everywhere.
    let root = &nodes.world.brands[0].root;
    let made =
        common::nodes::signed_post(&nodes, root, "/v1/api-keys", &json!({ "role": "till", "name": "x" }));
    let made = nodes.ask(reader, &made).expect(201);
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    for n in [reader, writer] {
        nodes.ask(n, &Ask::get("/v1/me").key(&secret)).expect(200);
    }
    let gone = common::nodes::signed(
        &nodes,
        root,
        "DELETE",
        &format!("/v1/api-keys/{}", made["id"].as_str().expect("an id")),
    );
    nodes.ask(reader, &gone).expect(200);
    for n in [writer, reader] {
        nodes.ask(n, &Ask::get("/v1/me").key(&secret)).refused(401, "api_key_expired");
    }
    // A signed read counts once in all: without a Redis the writer remembers.
    let read = common::nodes::signed(&nodes, root, "GET", "/v1/me");
    nodes.ask(reader, &read).expect(200);
    for n in [reader, writer] {
        nodes.ask(n, &read).refused(401, "signature_replayed");
    }
    // What is handed on is signed as it came.
    for n in [reader, writer] {
        let reply = common::nodes::signed(&nodes, root, "HEAD", "/v1/me").send(nodes.node(n).address);
        assert_eq!((reply.status, reply.text().as_str()), (200, ""), "n{n}");
    }
    check(&mut nodes);
}

#[test]
fn a_killed_writer_is_replaced_within_five_seconds() {
    let mut nodes = Nodes::start(cluster::shared(), 502, 3, "");
    let mut took = vec![];
    for round in 0..3 {
        let (writer, reader) = (nodes.writer(), nodes.reader());
        let name = format!("before-{round}");
        let before = nodes.until_done(reader, || nodes.award(&name, 0, 1)).0.seq();
        let captured = [0, 1].map(|n| {
            let (root, target) = (&nodes.world.brands[0].root, format!("{ADDRESS}/v1/api-keys"));
            let body = json!({ "role": "till", "name": "x" }).to_string();
            let message = HttpMessage::post(target, format!("ahead-{round}-{n}"), body);
            Ask::message(&message.sign(&root.secret, now() + 15 * n, &nodes.nonce()))
        });
        for captured in &captured {
            nodes.ask(reader, captured).expect(201);
        }
        nodes.kill(writer);
        let name = format!("after-{round}");
        let (done, without, refused) = nodes.until_done(reader, || nodes.award(&name, 0, 1));
        assert!(done.seq() > before + 1, "a term began");
        assert!(without < Duration::from_secs(5), "{without:?} without service");
        println!("round {round}: {without:.2?} without service, {refused} told to come again");
        took.push(without);
        let seen = nodes.ask(reader, &nodes.balance(0, Some(done.seq())));
        assert_eq!(seen.expect(200)["available"], 2 * (round + 1));
        // What changed the vault is known to whoever comes next; its signer's clock was ahead.
        for captured in &captured {
            nodes.ask(reader, captured).refused(401, "signature_replayed");
        }
        nodes.run(writer);
        nodes.until_role(writer, "reader");
    }
    println!("failover after kill -9, lease {} ms: {took:.2?}", common::nodes::LEASE_MS);
    check(&mut nodes);
}

#[test]
fn a_paused_writer_that_wakes_up_changes_nothing_and_becomes_a_reader() {
    let mut nodes = Nodes::start(cluster::shared(), 503, 3, "");
    let (old, reader) = (nodes.writer(), nodes.reader());
    nodes.ask(old, &nodes.award("first", 0, 1)).expect(201);
    nodes.node(old).signal("STOP");
    let others: Vec<usize> = (0..3).filter(|n| *n != old).collect();
    let (done, without, _) = nodes.until_done(reader, || nodes.award("second", 0, 1));
    println!("{without:.2?} without service after SIGSTOP");
    assert!(without < Duration::from_secs(5), "{without:?} without service");
    let new = nodes.writer_among(&others);
    // It answers nobody wrongly from the first moment on, and changes nothing.
    nodes.node(old).signal("CONT");
    let begun = Instant::now();
    let mut answers = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        // Ids that are taken, so that a writer without its log would have an answer at hand.
        for (name, seq) in [("first", None), ("second", Some(done.seq()))] {
            let reply = nodes.ask(old, &nodes.award(name, 0, 1));
            match reply.status {
                201 => assert!(
                    reply.header("idempotency-replayed").is_some()
                        && seq.is_none_or(|seq| seq == reply.seq())
                ),
                503 => {}
                _ => panic!("{reply:?}"),
            }
            answers += usize::from(reply.status == 201);
        }
        let seen = nodes.ask(old, &nodes.balance(0, Some(done.seq())));
        if seen.status == 200 {
            assert_eq!(seen.json()["available"], 2);
        }
    }
    assert!(answers > 0, "it hands on");
    nodes.until_role(old, "reader");
    assert_eq!(nodes.role(new).as_deref(), Some("writer"));
    let (last, ..) = nodes.until_done(old, || nodes.award("third", 0, 1));
    assert_eq!(nodes.ask(old, &nodes.balance(0, Some(last.seq()))).expect(200)["available"], 3);
    check(&mut nodes);
}

#[test]
fn a_writer_that_is_stopped_in_order_hands_over_at_once() {
    let mut nodes = Nodes::start(cluster::shared(), 504, 3, "");
    let (writer, reader) = (nodes.writer(), nodes.reader());
    nodes.until_done(reader, || nodes.award("before", 0, 1));
    nodes.node(writer).signal("TERM");
    // Until it has closed it goes on.
    let others: Vec<usize> = (0..3).filter(|n| *n != writer).collect();
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for n in 0.. {
        let name = format!("during-{n}");
        let (_, without, _) = nodes.until_done(reader, || nodes.award(&name, 0, 1));
        longest = longest.max(without);
        if others.iter().any(|n| nodes.role(*n).as_deref() == Some("writer")) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    println!("{longest:.2?} without service after SIGTERM");
    assert!(longest < Duration::from_millis(1_900), "nobody waits for the lease: {longest:?}");
    let mut process = nodes.all[writer].take().expect("it ran");
    assert!(process.ended(Duration::from_secs(20)).expect("it ends").success(), "{}", process.errors());
    check(&mut nodes);
}

#[test]
fn whoever_has_no_certificate_is_no_peer() {
    let mut nodes = Nodes::start(cluster::shared(), 505, 2, "");
    let port = nodes.port(nodes.writer());
    let dir = nodes.dir().to_owned();
    let stranger =
        tallyhouse::peers::make(&[("x".into(), vec!["127.0.0.1".into()])], None).expect("certificates");
    std::fs::write(dir.join("x.pem"), &stranger.nodes[0].0).expect("written");
    std::fs::write(dir.join("x.key"), &stranger.nodes[0].1).expect("written");
    // It believes either authority; the nodes believe one.
    let ours = std::fs::read_to_string(dir.join("ca.pem")).expect("a certificate");
    std::fs::write(dir.join("x-ca.pem"), format!("{ours}\n{}", stranger.ca)).expect("written");
    let load = |cert: &str, key: &str| {
        tallyhouse::peers::Identity::load(&dir.join("x-ca.pem"), &dir.join(cert), &dir.join(key), None)
            .expect("files")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ask = |cert: &str, key: &str| {
        let client = tallyhouse::peers::Outbound::open(&load(cert, key)).expect("a client");
        let body = tallyhouse::peers::Sending::Whole(actix_web::web::Bytes::new());
        let peer = format!("127.0.0.1:{port}");
        runtime.block_on(client.send(&peer, "GET", "/healthz", std::iter::empty(), body))
    };
    assert_eq!(ask("n0.pem", "n0.key").expect("a peer").status, 200);
    assert_eq!(ask("spare.pem", "spare.key").expect("a peer").status, 200);
    let refused = ask("x.pem", "x.key").expect_err("a certificate of another authority").to_string();
    println!("{refused}");
    // Nor is anybody who shows none, or speaks no TLS.
    let plain = Ask::get("/healthz");
    let mut wire = common::process::Wire::connect(format!("127.0.0.1:{port}").parse().expect("an address"))
        .expect("connects");
    assert!(wire.ask(&plain).is_err());
    // What the authority made counts no more once it is denied, from the next connection on; others do.
    std::fs::copy(dir.join("spare.pem"), dir.join("denied.pem")).expect("written");
    ask("spare.pem", "spare.key").expect_err("it is denied");
    assert_eq!(ask("n0.pem", "n0.key").expect("a peer").status, 200);
    // Nor does anybody speak to a node that is: this client is told to deny both.
    let both =
        ["n0.pem", "n1.pem"].map(|name| std::fs::read_to_string(dir.join(name)).expect("a certificate"));
    std::fs::write(dir.join("both.pem"), both.concat()).expect("written");
    let files = ["ca.pem", "spare.pem", "spare.key", "both.pem"].map(|name| dir.join(name));
    std::fs::write(dir.join("denied.pem"), "").expect("written");
    let [ca, cert, key, denied] = &files;
    let wary = tallyhouse::peers::Identity::load(ca, cert, key, Some(denied)).expect("files");
    let client = tallyhouse::peers::Outbound::open(&wary).expect("a client");
    let body = tallyhouse::peers::Sending::Whole(actix_web::web::Bytes::new());
    let peer = format!("127.0.0.1:{port}");
    let refused = runtime.block_on(client.send(&peer, "GET", "/healthz", std::iter::empty(), body));
    let refused = refused.expect_err("it denies them").to_string();
    assert!(refused.contains("evoked"), "{refused}");
    let metrics = nodes.ask(0, &Ask::get("/metrics")).text();
    let expires =
        metrics.lines().find_map(|line| line.strip_prefix("tallyhouse_node_certificate_expires_seconds "));
    let days = expires.expect("a metric").parse::<u64>().expect("seconds").saturating_sub(now()) / 86_400;
    assert!((395..=397).contains(&days), "{days}");
    check(&mut nodes);
}

#[test]
fn a_node_that_is_cut_off_from_the_database_answers_for_some_seconds_and_then_says_so() {
    let server = cluster::Cluster::start();
    let mut nodes = Nodes::start(&server, 507, 2, "");
    let (writer, reader) = (nodes.writer(), nodes.reader());
    let (done, ..) = nodes.until_done(writer, || nodes.award("one", 0, 5));
    nodes.ask(reader, &nodes.balance(0, Some(done.seq()))).expect(200);
    let unseen = |n: usize| {
        let metrics = nodes.ask(n, &Ask::get("/metrics")).text();
        let unseen = metrics.lines().find_map(|line| line.strip_prefix("tallyhouse_node_unseen_ms "));
        unseen.expect("a metric").parse::<u64>().expect("a number")
    };
    assert_eq!(unseen(writer), 0);
    assert!(unseen(reader) < 2_000, "it looks 25 times a second");
    server.stop();
    let begun = Instant::now();
    // From memory, it may answer yet: what it shows was so a moment ago. Then nobody is told anything that is older.
    while begun.elapsed() < Duration::from_secs(12) {
        for n in [reader, writer] {
            for target in [
                format!("/v1/accounts/{}", nodes.account(0)),
                "/v1/network".to_owned(),
                "/checkpoint".to_owned(),
            ] {
                let reply = nodes.ask(n, &Ask::get(&target).key(&nodes.auditor));
                if begun.elapsed() > Duration::from_secs(8) {
                    reply.refused(503, "stale");
                    assert!(reply.header("retry-after").is_some(), "{reply:?}");
                } else {
                    assert!(matches!(reply.status, 200 | 503), "n{n} {target}: {reply:?}");
                }
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(unseen(reader) > 5_000);
    assert_eq!(nodes.ask(reader, &Ask::get("/healthz")).status, 200, "it lives");
    nodes.ask(reader, &Ask::get("/readyz")).refused(503, "busy");
    server.again();
    let (done, ..) = nodes.until_done(reader, || nodes.award("two", 0, 1));
    for n in [reader, writer] {
        let seen = nodes.until_status(n, 200, || nodes.balance(0, Some(done.seq())));
        assert_eq!(seen.json()["available"], 6);
    }
    check(&mut nodes);
}

#[test]
fn connections_that_are_cut_cost_a_503_at_most() {
    let server = cluster::shared();
    let mut nodes = Nodes::start(server, 506, 2, "");
    let (writer, reader) = (nodes.writer(), nodes.reader());
    let mut told = vec![];
    for round in 0..6 {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = 'tallyhouse' AND datname = current_database()";
        server.sql(&nodes.address, cut);
        for n in [reader, writer] {
            let name = format!("cut-{round}-{n}");
            let (done, without, _) = nodes.until_done(n, || nodes.award(&name, 0, 1));
            assert!(without < Duration::from_secs(5), "{without:?}");
            told.push(done.seq());
            let seen = nodes.until_status(n, 200, || nodes.balance(0, Some(done.seq())));
            assert_eq!(seen.json()["available"], told.len());
        }
    }
    let mut sorted = told.clone();
    sorted.dedup();
    assert_eq!(sorted, told, "each has an entry of its own");
    check(&mut nodes);
}
