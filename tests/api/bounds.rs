//! Bounds: what nobody may take more of than their share, and what does not outlive its reason.

use super::scene::{award, award_json, award_message, harvest, open, token};
use crate::common::carried::ADDRESS;
use crate::common::http::{Ask, Server, Stream, api_config, now};
use crate::common::world::{Key, World, beginning, id};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tallyhouse::book::KeyState;
use tallyhouse::config::Api;
use tallyhouse::machine::Role;
use tallyhouse::network::RegisterBrand;
use tallyhouse::sign::HttpMessage;
use tallyhouse::vault::Whom;

/// The founded network, served in other bounds.
fn bounded(seed: u64, change: impl FnOnce(&mut Api)) -> Server {
    let mut config = api_config();
    change(&mut config);
    let world = World::new(seed);
    let asked: Vec<_> = world.founding().into_iter().map(|request| (request, beginning())).collect();
    Server::of(world, &asked, config)
}

#[test]
fn who_brings_a_key_along_is_counted_by_address() {
    let server = bounded(21, |api| (api.per_address, api.burst) = (3, 1));
    // Each account has a key of its own: whoever makes them up has a new bucket each time otherwise.
    let refused = (0..200).find_map(|n| {
        let holder = server.world.holder(harvest(), n);
        let request = server.world.open_account(&server.fresh("open"), harvest(), &holder);
        let reply = server.submit("/v1/accounts", &request);
        (reply.status != 201).then_some(reply)
    });
    let refused = refused.expect("one too many");
    refused.refused(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"default\";q=3;w=1"));
    // A brand that opens accounts for its members is counted by its own key.
    let brand = &server.world.brands[0];
    for n in 200..220 {
        let holder = server.world.holder(harvest(), n);
        let id = server.fresh("open");
        let request = server.world.open_account_by_brand(&id, &brand.issuing[0], harvest(), &holder);
        server.submit("/v1/accounts", &request).expect(201);
    }
}

fn events(secret: &str) -> Ask {
    Ask::get("/v1/events").key(secret).with("accept", "text/event-stream")
}

fn stream(server: &Server, ask: &Ask) -> Stream {
    Stream::open(server.address, ask, false)
}

/// Opens streams until one is refused: those that are open, and what the last was told.
fn streams(server: &Server, ask: &Ask, most: usize) -> (Vec<Stream>, Option<Value>) {
    let mut open = vec![];
    for _ in 0..most {
        let next = stream(server, ask);
        if next.head.status == 200 {
            open.push(next);
            continue;
        }
        assert_eq!((next.head.status, next.head.header("retry-after")), (429, Some("30")));
        return (open, Some(server.ask(ask).refused(429, "rate_limited")));
    }
    (open, None)
}

#[test]
fn event_streams_are_few_for_each_and_leave_connections_to_others() {
    // 20 in all: a quarter of the connections.
    let server = bounded(22, |api| api.connections = 80);
    let key = || server.api_key(Whom::Brand(id("br_harvest")), Role::BrandFinance);
    let first = key();
    let (mut open, told) = streams(&server, &events(&first), 12);
    assert_eq!(open.len(), 8);
    let told = told.expect("one too many");
    assert!(told["detail"].as_str().is_some_and(|text| text.contains("8 event streams")), "{told}");
    // Pages are answered still, and another key has streams of its own, until there are too many in all.
    server.get_as(&first, "/v1/events").expect(200);
    let second = streams(&server, &events(&key()), 12);
    assert_eq!(second.0.len(), 8);
    let third = streams(&server, &events(&key()), 12);
    assert_eq!(third.0.len(), 4);
    assert!(third.1.as_ref().expect("one too many")["detail"].to_string().contains("in all"));
    server.get("/v1/network").expect(200);
    // One that ends makes room; a server notices at its next word that nobody listens.
    open.clear();
    drop((second, third));
    super::scene::open(&server, harvest(), 0);
    let begun = Instant::now();
    loop {
        award(&server, harvest(), 0, 1);
        std::thread::sleep(Duration::from_millis(50));
        if stream(&server, &events(&first)).head.status == 200 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no room was made");
    }
}

#[test]
fn accounts_that_anybody_opens_take_half_of_the_streams() {
    let server = bounded(22, |api| api.connections = 80);
    let mut all = vec![];
    for n in 0..2 {
        let holder = open(&server, harvest(), n);
        for _ in 0..8 {
            let ask = server.signed_get(&holder.key, "/v1/events").with("accept", "text/event-stream");
            let next = stream(&server, &ask);
            if next.head.status == 200 {
                all.push(next);
            }
        }
    }
    assert_eq!(all.len(), 10);
    let finance = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandFinance);
    assert_eq!(stream(&server, &events(&finance)).head.status, 200);
}

#[test]
fn a_stream_ends_with_what_opened_it() {
    let server = Server::founded(23);
    open(&server, harvest(), 0);
    let (vault, brand) = (&server.service().vault, &server.world.brands[0]);
    let secret = server.api_key(Whom::Brand(brand.id.clone()), Role::BrandFinance);
    let mut by_key = stream(&server, &events(&secret));
    let till = &brand.tills[0].key;
    let mut signed =
        stream(&server, &server.signed_get(till, "/v1/events").with("accept", "text/event-stream"));
    let seq = award(&server, harvest(), 0, 10).seq();
    let mark = |seq: u64| format!("id: {seq}\n");
    for stream in [&mut by_key, &mut signed] {
        assert!(stream.until(|text| text.contains(&mark(seq))).contains(&mark(seq)));
    }
    let made = vault.api_keys(&tallyhouse::vault::Whom::Brand(brand.id.clone())).expect("keys");
    vault.revoke_api_key(made[0].id, tallyhouse::clock::now()).expect("revoked");
    let revoke = server.world.revoke_key(&brand.root, "revoke-1", till.kid, KeyState::Retired);
    server.submit("/v1/keys/revocations", &revoke).expect(201);
    let later = award(&server, harvest(), 0, 10).seq();
    for (what, mut stream) in [("an API key", by_key), ("a key", signed)] {
        stream.patience(Duration::from_secs(5));
        let text = stream.until(|text| text.contains(&mark(later)) || text.ends_with("0\r\n\r\n"));
        assert!(!text.contains(&mark(later)), "{what}: it was told {later}");
        assert!(text.ends_with("0\r\n\r\n"), "{what}: the stream did not end: {text:?}");
    }
}

#[test]
fn wrong_signatures_in_a_batch_count_each_and_end_it() {
    let server = bounded(24, |api| (api.failures, api.burst) = (5, 1));
    open(&server, harvest(), 0);
    let (good, other) = (token(&server, harvest(), 0, 1), token(&server, harvest(), 0, 2));
    let (head, tail) = (
        good.jws[0].rsplit_once('.').expect("parts").0.to_owned(),
        other.jws[0].rsplit_once('.').expect("parts").1.to_owned(),
    );
    let wrong = json!({"jws": [format!("{head}.{tail}")]}).to_string();
    let lines = vec![wrong; 500].join("\n");
    let reply = server.ask(&Ask::post("/v1/awards:batch").body("application/x-ndjson", lines));
    let verdicts: Vec<Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reply.status, 200);
    assert!(verdicts.len() < 100, "{} signatures were looked at", verdicts.len());
    let (last, before) = verdicts.split_last().expect("verdicts");
    assert_eq!((&last["status"], &last["problem"]["code"]), (&json!(429), &json!("rate_limited")), "{last}");
    assert!(before.iter().all(|one| one["problem"]["code"] == "signature_invalid"));
    // For a moment nobody is looked at who comes from there.
    server.submit("/v1/tokens", &good).refused(429, "rate_limited");
    std::thread::sleep(Duration::from_millis(1_300));
    server.submit("/v1/tokens", &good).expect(201);
}

#[test]
fn what_was_signed_before_a_node_began_does_not_count_again() {
    let mut server = Server::founded(25);
    open(&server, harvest(), 0);
    let root = &server.world.brands[0].root;
    let wanted = json!({"name": "captured", "role": "till"});
    let make = server.signed_post(root, "/v1/api-keys", "captured", &wanted);
    let read = server.signed_get(root, "/v1/api-keys");
    // By a clock that is ahead, so that no node seems to begin after it was signed.
    let ahead =
        |message: HttpMessage, nonce: &str| Ask::message(&message.sign(&root.secret, now() + 15, nonce));
    let wanted = json!({"name": "ahead", "role": "till"});
    let body = HttpMessage::post(format!("{ADDRESS}/v1/api-keys"), "ahead", wanted.to_string());
    let make_ahead = ahead(body, "made-by-a-clock-ahead");
    let read_ahead = ahead(HttpMessage::get(format!("{ADDRESS}/v1/me")), "read-by-a-clock-ahead");
    let award = award_message("captured", &award_json(&server, 0, 5));
    let award = Ask::message(&server.sign(&server.world.brands[0].issuing[0], award));
    server.ask(&make).expect(201);
    assert_eq!(server.ask(&read).expect(200)["items"].as_array().map(Vec::len), Some(1));
    let done = server.ask(&award).expect(201);
    server.ask(&make_ahead).expect(201);
    server.ask(&read_ahead).expect(200);
    server.ask(&make).refused(401, "signature_replayed");
    server.ask(&read).refused(401, "signature_replayed");
    // Signatures tell seconds.
    let signed = now();
    while now() <= signed {
        std::thread::sleep(Duration::from_millis(50));
    }
    server.restart();
    // What changes the vault is remembered in it.
    for ask in [&make, &make_ahead, &read_ahead] {
        server.ask(ask).refused(401, "signature_replayed");
    }
    let told = server.ask(&read).refused(401, "signature_stale");
    assert!(told["detail"].as_str().is_some_and(|text| text.contains("sign again")), "{told}");
    let root = &server.world.brands[0].root;
    let listed = server.get_signed(root, "/v1/api-keys").expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "nothing was made");
    // The log knows its commands for ever: a retry is a retry.
    let again = server.ask(&award);
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (done, Some("true")));
}

#[test]
fn applications_of_an_address_are_few() {
    let server = bounded(27, |api| api.applications = 2);
    let apply = |n: usize| {
        let own = Key::derive(server.world.seed, &format!("applicant {n}"));
        let brand = id(&format!("br_new{n}"));
        let args = RegisterBrand { brand, participant: id("pa_new"), root: own.public, recovery: None };
        let registration = server.world.command(&own, "apply", "brand.register", &args);
        let apply = json!({"participant": "pa_new", "currency": "EUR", "registration": registration});
        server.ask(&Ask::post("/v1/applications").json(&apply))
    };
    apply(0).expect(201);
    apply(1).expect(201);
    let refused = apply(2);
    refused.refused(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"application\";q=2;w=3600"));
    let wait: u64 = refused.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1_700..=1_801).contains(&wait), "{wait}");
    // What else is asked for from there is answered.
    server.get("/v1/network").expect(200);
}
