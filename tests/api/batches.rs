//! Batches: a verdict for each line, in order, as if each had come alone.

use super::scene::{authorise, award, harvest, open, pay, token};
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::{beginning, id, points};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tallyhouse::machine::Request;
use tallyhouse::sign::Award;
use tallyhouse::types::{PaymentId, encode};

const NDJSON: &str = "application/x-ndjson";

fn line(request: &Request) -> String {
    json!({"jws": request.jws}).to_string()
}

fn post(server: &Server, path: &str, lines: &[String]) -> Reply {
    server.ask(&Ask::post(path).body(NDJSON, lines.join("\n")))
}

fn verdicts(reply: &Reply) -> Vec<Value> {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(NDJSON)), "{}", reply.text());
    let all: Vec<Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(all.iter().zip(1u64..).all(|(one, line)| one["line"] == line), "in order");
    all
}

/// What a repeat must say again.
fn told(verdict: &Value) -> Value {
    let mut verdict = verdict.clone();
    let members = verdict.as_object_mut().expect("an object");
    members.remove("replayed");
    verdict
}

#[test]
fn tokens_are_decided_one_by_one() {
    let server = Server::founded(6);
    let mut lines: Vec<String> = (0..300).map(|n| line(&token(&server, harvest(), n % 3, 10))).collect();
    lines[5] = "no JSON".into();
    lines[6] = json!({"jws": ["a.b"]}).to_string();
    lines[7] = line(&server.world.freeze_unit("in-a-batch", harvest(), true));
    lines[8] = json!({"jws": [], "more": 1}).to_string();
    lines[9] = lines[0].clone();
    lines.insert(20, String::new());
    let stranger = Server::founded(7);
    lines[50] = line(&token(&stranger, harvest(), 0, 10));
    let before = server.service().engine().progress().committed;
    let first = verdicts(&post(&server, "/v1/awards:batch", &lines));
    assert_eq!(first.len(), 300, "an empty line is none");
    let status = |at: usize| first[at]["status"].as_u64().expect("a status");
    let code = |at: usize| first[at]["problem"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!((status(5), code(5).as_str()), (400, "body_invalid"));
    assert_eq!((status(6), code(6).as_str()), (400, "token_malformed"));
    assert_eq!((status(7), code(7).as_str()), (400, "body_invalid"));
    assert_eq!((status(8), code(8).as_str()), (400, "body_invalid"));
    assert_eq!(first[8]["problem"]["errors"][0]["pointer"], "/more");
    assert_eq!((status(9), &first[9]["replayed"]), (201, &json!(true)));
    assert_eq!(first[9]["done"], first[0]["done"]);
    assert_eq!(code(49), "audience_mismatch");
    let done = first.iter().filter(|one| one["status"] == 201 && one.get("replayed").is_none()).count();
    assert_eq!(done, 294);
    assert_eq!(server.service().engine().progress().committed, before + 294, "an entry each");
    let order: Vec<u64> = first
        .iter()
        .filter(|one| one.get("replayed").is_none())
        .filter_map(|one| one["done"]["seq"].as_u64())
        .collect();
    assert!(order.is_sorted(), "decided in the order of the lines");
    // The same body again: the same verdicts, and nothing is done.
    let again = verdicts(&post(&server, "/v1/awards:batch", &lines));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), again.iter().map(told).collect::<Vec<_>>());
    assert!(again.iter().filter(|one| one["status"] == 201).all(|one| one["replayed"] == true));
    assert_eq!(server.service().engine().progress().committed, before + 294);
}

#[test]
fn what_a_till_queued_is_taken_in() {
    let server = Server::founded(6);
    open(&server, harvest(), 0);
    award(&server, harvest(), 0, 10_000);
    let payments: Vec<PaymentId> =
        (0..3).map(|n| id(&pay(&server, 1, harvest(), 0, 1_000, n == 2))).collect();
    let key = &server.world.brands[1].tills[0].key;
    let world = &server.world;
    let lines = [
        line(&authorise(&server, 1, harvest(), 0, 500, true)),
        line(&world.capture(key, "queued-1", payments[0], 400, true)),
        line(&world.void(key, "queued-2", payments[1])),
        line(&world.refund(key, "queued-3", payments[2], 300)),
        line(&authorise(&server, 1, harvest(), 0, 9_000_000, true)),
        line(&world.void(key, "queued-4", payments[1])),
        line(&token(&server, harvest(), 0, 10)),
    ];
    let dry = verdicts(&post(&server, "/v1/payments:batch?dry_run=true", &lines));
    assert!(dry[..4].iter().all(|one| one["dry_run"] == true && one["status"] == 201), "{dry:?}");
    let first = verdicts(&post(&server, "/v1/payments:batch", &lines));
    let kinds: Vec<&str> = first.iter().filter_map(|one| one["done"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["payment.authorised", "payment.captured", "payment.voided", "payment.refunded"]);
    let codes: Vec<&str> = first.iter().filter_map(|one| one["problem"]["code"].as_str()).collect();
    assert_eq!(codes, ["insufficient_points", "payment_closed", "body_invalid"]);
    assert!(first.iter().all(|one| one.get("replayed").is_none() && one.get("dry_run").is_none()));
    let again = verdicts(&post(&server, "/v1/payments:batch", &lines));
    let statuses = |all: &[Value]| all.iter().map(|one| one["status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses(&first), statuses(&again));
    for (first, again) in first.iter().zip(&again).filter(|(first, _)| first["status"] == 201) {
        assert_eq!((told(first), &again["replayed"]), (told(again), &json!(true)));
    }
}

/// Three awards of HARVEST that one statement signs.
pub fn signed_batch(server: &Server, jti: &str) -> Ask {
    let award = |n: usize, amount: u64| {
        encode(&Award {
            sub: server.world.holder(harvest(), n).account,
            amount: points(amount),
            reference: None,
            store: None,
            till: None,
            occurred_at: None,
            business_date: None,
            reason: None,
            campaign: None,
            until: None,
            from: None,
            lines: None,
            sale: None,
        })
    };
    let lines = vec![award(0, 5), award(1, 6), award(0, 7)];
    let brand = &server.world.brands[0];
    let claims = server.world.batch(brand, harvest(), jti, &lines, true, beginning());
    let request = server.world.issue_batch(&brand.issuing[0], &claims, &lines);
    let body = request.lines.clone().expect("lines").to_vec();
    Ask::post("/v1/awards:batch").body(NDJSON, body).with("tallyhouse-batch", request.jws[0].clone())
}

#[test]
fn one_statement_signs_many_awards() {
    let server = Server::founded(6);
    let ask = signed_batch(&server, "batch-1");
    let first = server.ask(&ask);
    let answer = first.expect(201);
    assert_eq!((&answer["kind"], &answer["awarded"]), (&json!("points.batch"), &json!(3)));
    let again = server.ask(&ask);
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (answer, Some("true")));
    // Lines that are not those that were signed.
    let first = ask.body.split_inclusive(|byte| *byte == b'\n').next().expect("a line");
    let other = Ask { body: [&ask.body[..], first].concat(), ..ask.clone() };
    server.ask(&other).refused(400, "batch_mismatch");
}

#[test]
fn there_is_an_end_to_a_batch() {
    let server = Server::founded(6);
    let lines = vec!["x".to_owned(); 100_010];
    let all = verdicts(&post(&server, "/v1/awards:batch", &lines));
    assert_eq!(all.len(), 100_001);
    assert_eq!(all[100_000]["problem"]["code"], "body_too_large");
    assert!(all[..100_000].iter().all(|one| one["problem"]["code"] == "body_invalid"));
    let long = vec!["y".repeat(200_000), "x".into()];
    let all = verdicts(&post(&server, "/v1/payments:batch", &long));
    assert_eq!((all.len(), all[0]["problem"]["code"].as_str()), (1, Some("body_too_large")));
    // However the body is cut: what comes before is answered, what comes behind is not looked at.
    let among = vec!["x".into(), "y".repeat(200_000), "x".into()];
    let all = verdicts(&post(&server, "/v1/payments:batch", &among));
    let codes: Vec<_> = all.iter().map(|one| one["problem"]["code"].as_str()).collect();
    assert_eq!(codes, [Some("body_invalid"), Some("body_too_large")]);
    let last = vec!["x".to_owned(), "y".repeat(200_000)];
    assert_eq!(verdicts(&post(&server, "/v1/payments:batch", &last)).len(), 2);
}

#[test]
fn verdicts_come_while_lines_are_still_sent() {
    let server = Server::founded(6);
    let mut stream = TcpStream::connect(server.address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let head = format!(
        "POST /v1/awards:batch HTTP/1.1\r\nhost: test\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut have = String::new();
    for n in 1..=3 {
        let line = format!("{}\n", line(&token(&server, harvest(), 0, 10)));
        // A line that arrives in two pieces is one line.
        let (one, two) = line.split_at(line.len() / 2);
        for piece in [one, two] {
            stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).expect("sent");
        }
        while !have.contains(&format!("{{\"line\":{n},\"status\":201")) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).expect("a verdict before the next line");
            assert!(count > 0, "{have}");
            have.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
}
