//! What answers have in common: problems, ids of writes, proofs, dry runs, limits, HEAD and OPTIONS.

use super::scene::{
    authorise, award, award_json, award_message, certify_held, harvest, held_issuing, hold_issuing, open,
};
use crate::common::http::{Ask, Server, api_config};
use crate::common::world::{Key, World, beginning};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tallyhouse::log::{LogVerifier, Proof};
use tallyhouse::machine::Role;
use tallyhouse::sign::HttpMessage;
use tallyhouse::vault::Whom;

#[test]
fn problems_have_one_form() {
    let mut config = api_config();
    config.min_seq_ms = 50;
    let world = World::new(5);
    let asked: Vec<_> = world.founding().into_iter().map(|request| (request, beginning())).collect();
    let server = Server::of(world, &asked, config);
    let key = &server.world.brands[0].issuing[0];
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let (one, two) = (award_json(&server, 0, 5), award_json(&server, 0, 6));
    server.ask(&Ask::message(&server.sign(key, award_message("one", &one)))).expect(201);
    let conflict = Ask::message(&server.sign(key, award_message("one", &two)));
    let rows = [
        (Ask::get("/v1/brands?limit=0"), 400, "query_invalid"),
        (Ask::get("/v1/brands?limit=x"), 400, "query_invalid"),
        (Ask::get("/v1/brands?cursor=x"), 400, "cursor_invalid"),
        (Ask::get("/v1/units").with("min-seq", "x"), 400, "header_invalid"),
        (Ask::post("/v1/tokens").body("application/jose", "x"), 400, "token_malformed"),
        (Ask::get("/v1/me"), 401, "unauthenticated"),
        (Ask::get("/v1/me").key("th_test_x"), 401, "api_key_unknown"),
        (Ask::post("/v1/api-keys").json(&json!({})).key(&auditor), 403, "scope_missing"),
        (Ask::get("/v1/brands/br_nobody"), 404, "not_found"),
        (Ask::get("/v1/nothing"), 404, "not_found"),
        (Ask::new("PUT", "/v1/brands"), 405, "method_not_allowed"),
        (Ask::new("DELETE", "/v1/awards"), 405, "method_not_allowed"),
        (conflict, 409, "token_conflict"),
        (Ask::post("/v1/tokens").body("application/jose", vec![b'a'; 200_000]), 413, "body_too_large"),
        (Ask::post("/v1/awards").body("text/plain", "x"), 415, "media_type_unsupported"),
        (Ask::post("/v1/awards:batch").body("application/json", "{}"), 415, "media_type_unsupported"),
        (Ask::message(&server.sign(key, award_message("two", &json!({})))), 400, "malformed"),
        (Ask::get("/v1/units").with("min-seq", "1000000"), 503, "not_yet_there"),
    ];
    let known = server.get("/v1/refusals").expect(200);
    let mut ids = BTreeSet::new();
    for (ask, status, code) in rows {
        let reply = server.ask(&ask);
        let problem = reply.refused(status, code);
        let place = format!("{} {}: {problem}", ask.method, ask.target);
        assert_eq!(problem["type"], format!("/v1/refusals#{code}"), "{place}");
        let meaning =
            known.as_array().expect("a list").iter().find(|one| one["code"] == code).expect("a code");
        assert_eq!(problem["title"], meaning["text"], "{place}");
        assert_eq!(problem["action"], meaning["action"], "{place}");
        assert_eq!((&problem["status"], &meaning["status"]), (&json!(status), &json!(status)), "{place}");
        assert_eq!(problem["request_id"].as_str(), reply.header("request-id"), "{place}");
        assert!(ids.insert(reply.header("request-id").expect("an id").to_owned()), "{place}");
        let has = |name: &str| reply.header(name).is_some();
        assert_eq!(has("allow"), status == 405, "{place}");
        assert_eq!(has("www-authenticate"), status == 401, "{place}");
        assert_eq!(has("retry-after"), status == 503, "{place}");
    }
}

#[test]
fn wrong_places_in_bodies_are_named() {
    let server = Server::founded(5);
    let brand = &server.world.brands[0];
    let finance = held_issuing(&server);
    let pointers = |problem: &Value| -> Vec<String> {
        let all = problem["errors"].as_array().into_iter().flatten();
        all.map(|wrong| wrong["pointer"].as_str().expect("a pointer").to_owned()).collect()
    };
    let good = award_json(&server, 0, 5);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let rows = [
        (with("amount", json!("many")), "/amount"),
        (with("amount", json!(-1)), "/amount"),
        (with("sub", json!("ac_x")), "/sub"),
        (with("surprise", json!(1)), "/surprise"),
        (with("sale", json!({"currency": 5})), "/sale/currency"),
        (json!({"iss": "br_harvest", "unit": "HARVEST"}), "/sub"),
    ];
    for (body, pointer) in rows {
        let signed = server.ask(&Ask::message(
            &server.sign(&brand.issuing[0], award_message(&server.fresh("wrong"), &body)),
        ));
        assert_eq!(pointers(&signed.refused(400, "malformed")), [pointer], "{body}");
        let by_key = Ask::post("/v1/awards").key(&finance).with("idempotency-key", server.fresh("wrong"));
        assert_eq!(pointers(&server.ask(&by_key.json(&body)).refused(400, "malformed")), [pointer], "{body}");
    }
    let account = server.world.holder(harvest(), 3);
    let opening = json!({"account": account.account, "unit": "harvest!", "key": account.key.public});
    let by_key = Ask::post("/v1/accounts").key(&finance).with("idempotency-key", "open-it").json(&opening);
    assert_eq!(pointers(&server.ask(&by_key).refused(400, "malformed")), ["/unit"]);
    let wanted = json!({"name": "x", "role": "emperor"});
    let vault = server.signed_post(&brand.root, "/v1/api-keys", "new-key", &wanted);
    assert_eq!(pointers(&server.ask(&vault).refused(400, "body_invalid")), ["/role"]);
}

#[test]
fn a_retry_is_a_retry_later_and_under_another_held_key() {
    let server = Server::founded(15);
    let finance = held_issuing(&server);
    let body = award_json(&server, 0, 5);
    let ask = |id: &str| Ask::post("/v1/awards").key(&finance).json(&body).with("idempotency-key", id);
    let first = server.ask(&ask("once")).expect(201);
    // Hours pass in the network.
    let other = server.world.freeze_unit("release", harvest(), false);
    let later = beginning().plus_seconds(7_200);
    server.service().engine().ask(&other, Some(later)).expect("taken in");
    assert_eq!(server.ask(&ask("once")).expect(201), first);
    // A key that is held and not certified yet takes nobody's place.
    let key = hold_issuing(&server);
    let second = server.ask(&ask("twice")).expect(201);
    certify_held(&server, key);
    for (id, answer) in [("once", first), ("twice", second)] {
        let again = server.ask(&ask(id));
        assert_eq!((again.expect(201), again.header("idempotency-replayed")), (answer, Some("true")));
    }
    // As soon as its budget shows, the new one signs.
    server.service().engine().settle().expect("all follow");
    let third = server.ask(&ask("thrice").with("prefer", "return=proof"));
    assert!(third.expect(201)["proof"].to_string().contains(&key.kid().to_string()));
}

#[test]
fn a_write_happens_once_under_its_id() {
    let mut server = Server::founded(5);
    let finance = held_issuing(&server);
    let seed = server.world.seed;
    let body = award_json(&server, 0, 5);
    let ask = |id: Option<&str>, body: &Value| {
        let ask = Ask::post("/v1/awards").key(&finance).json(body);
        id.map_or(ask.clone(), |id| ask.with("idempotency-key", id))
    };
    server.ask(&ask(None, &body)).refused(400, "idempotency_key_missing");
    for wrong in ["", "a b", "\"a", "ü", &"a".repeat(65)] {
        server.ask(&ask(Some(wrong), &body)).refused(400, "header_invalid");
    }
    let first = server.ask(&ask(Some("bare-1"), &body));
    assert_eq!(first.header("idempotency-replayed"), None);
    let answer = first.expect(201);
    for same in ["bare-1", "\"bare-1\""] {
        let again = server.ask(&ask(Some(same), &body));
        assert_eq!(again.expect(201), answer);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.seq(), first.seq());
    }
    server.ask(&ask(Some("bare-1"), &award_json(&server, 0, 6))).refused(409, "token_conflict");
    // A statement brings its own id; a header may repeat it and nothing else.
    let request = server.world.freeze_unit("freeze-1", harvest(), false);
    let freeze = |id: &str| Ask::statements("/v1/freezes/units", &request.jws).with("idempotency-key", id);
    server.ask(&freeze("freeze-2")).refused(400, "idempotency_key_mismatch");
    server.ask(&freeze("\"freeze-1\"")).expect(201);
    // Commands of a brand: another content under an id is refused, whichever key signs.
    let root = Key::derive(seed, "br_harvest root");
    let issuing = Key::derive(seed, "br_harvest issuing 0");
    let account = open(&server, harvest(), 1).account;
    let freeze = json!({"account": account, "frozen": true});
    let path = "/v1/freezes/accounts";
    let done = server.ask(&server.signed_post(&root, path, "hold-1", &freeze)).expect(201);
    let other = json!({"account": account, "frozen": false});
    server.ask(&server.signed_post(&root, path, "hold-1", &other)).refused(422, "id_reused");
    // A new key takes an old one's place: the id is the brand's.
    let award_body = award_json(&server, 2, 9);
    let awarded =
        server.ask(&Ask::message(&server.sign(&issuing, award_message("rotated", &award_body)))).expect(201);
    let world = &server.world;
    let brand = &world.brands[0];
    let new = Key::derive(seed, "br_harvest issuing new");
    server
        .submit(
            "/v1/keys",
            &world.certify(&brand.root, &new, &world.issuing_cert(brand, &new, beginning().seconds(), None)),
        )
        .expect(201);
    server
        .submit("/v1/budgets", &world.set_budget(&brand.root, &world.budget(new.kid, harvest(), 1)))
        .expect(201);
    let retire = world.revoke_key(&brand.root, "retire-1", issuing.kid, tallyhouse::book::KeyState::Retired);
    server.submit("/v1/keys/revocations", &retire).expect(201);
    server.restart();
    let again = server.ask(&Ask::message(&server.sign(&new, award_message("rotated", &award_body))));
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (awarded, Some("true")));
    let again = server.ask(&server.signed_post(&root, path, "hold-1", &freeze));
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (done, Some("true")));
    let again = server.ask(&ask(Some("bare-1"), &body));
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (answer, Some("true")));
}

#[test]
fn duplicates_at_the_same_time_have_one_effect() {
    let server = Server::founded(5);
    let key = &server.world.brands[0].issuing[0];
    let message = server.sign(key, award_message("at-once", &award_json(&server, 0, 5)));
    let before = server.service().engine().progress().committed;
    let replies: Vec<_> = std::thread::scope(|scope| {
        let ask = || server.ask(&Ask::message(&message));
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let first = replies[0].expect(201);
    assert!(replies.iter().all(|reply| reply.expect(201) == first));
    let fresh = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!((fresh, server.service().engine().progress().committed), (1, before + 1));
}

#[test]
fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let server = Server::founded(5);
    let key = &server.world.brands[0].issuing[0];
    open(&server, harvest(), 0);
    award(&server, harvest(), 0, 1_000);
    let before = server.service().engine().progress().committed;
    let message = |id: &str, body: &Value| {
        let target = format!("{}/v1/awards?dry_run=true", crate::common::carried::ADDRESS);
        Ask::message(&server.sign(key, HttpMessage::post(target, id, body.to_string())))
    };
    let would = server.ask(&message("dry-1", &award_json(&server, 0, 5))).expect(200);
    assert_eq!((&would["dry_run"], &would["kind"]), (&json!(true), &json!("points.issued")));
    assert_eq!(would["seq"], json!(before), "the next entry");
    let poor = authorise(&server, 1, harvest(), 0, 900_000, false);
    server.submit("/v1/payments?dry_run=true", &poor).refused(422, "insufficient_points");
    let rich = authorise(&server, 1, harvest(), 0, 500, false);
    assert_eq!(server.submit("/v1/payments?dry_run=true", &rich).expect(200)["kind"], "payment.authorised");
    server.submit("/v1/payments?dry_run=perhaps", &rich).refused(400, "query_invalid");
    assert_eq!(server.service().engine().progress().committed, before, "nothing was written");
    // Its id is not spent.
    let real = server.submit("/v1/payments", &rich);
    assert_eq!((real.expect(201)["seq"].as_u64(), real.header("idempotency-replayed")), (Some(before), None));
}

#[test]
fn a_proof_comes_with_the_answer_and_shows_own_parts_only() {
    let server = Server::founded(5);
    let log: LogVerifier =
        server.get("/v1/network").expect(200)["log_key"].as_str().expect("a key").parse().expect("a key");
    open(&server, harvest(), 0);
    award(&server, harvest(), 0, 1_000);
    let request = authorise(&server, 1, harvest(), 0, 500, true);
    let ask = Ask::statements("/v1/payments", &request.jws).with("prefer", "respond-async, return=proof");
    let reply = server.ask(&ask);
    let done = reply.expect(201);
    assert_eq!(reply.header("preference-applied"), Some("return=proof"));
    let proof: Proof = serde_json::from_value(done["proof"].clone()).expect("a proof");
    let shown = proof.verify(&log).expect("holds");
    assert_eq!(shown.envelope.seq, reply.seq());
    // The till's brand is shown its own part, and not the holder's: what the payment took from HARVEST.0.
    let account = server.world.holder(harvest(), 0).account.to_string();
    assert!(!shown.parts.is_empty());
    for (_, body) in &shown.parts {
        assert!(!String::from_utf8_lossy(body).contains(&account), "{}", String::from_utf8_lossy(body));
    }
    // The holder is shown that part; nobody else than those two has any.
    let path = format!("/v1/entries/{}/proof", reply.seq());
    let parts = |proof: &Value| {
        let proof: Proof = serde_json::from_value(proof.clone()).expect("a proof");
        proof.verify(&log).expect("holds");
        proof.parts.into_iter().map(|part| part.part).collect::<Vec<_>>()
    };
    let holder = server.world.holder(harvest(), 0).key;
    let own = parts(&server.get_signed(&holder, &path).expect(200));
    assert!(own.iter().any(|part| part.contains(&account)), "{own:?}");
    assert!(parts(&server.get(&path).expect(200)).is_empty());
    assert!(parts(&server.get_signed(&server.world.brands[2].root, &path).expect(200)).is_empty());
    // A write without the wish carries none.
    let other = server.submit("/v1/payments", &authorise(&server, 1, harvest(), 0, 500, true)).expect(201);
    assert!(other.get("proof").is_none());
}

#[test]
fn limits_are_told_and_kept() {
    let mut config = api_config();
    (config.per_key, config.per_address, config.burst) = (5, 3, 1);
    let world = World::new(5);
    let asked: Vec<_> = world.founding().into_iter().map(|request| (request, beginning())).collect();
    let server = Server::of(world, &asked, config);
    let first = server.get("/v1/network");
    assert_eq!(first.header("ratelimit-policy"), Some("\"default\";q=3;w=1"));
    assert_eq!(first.header("ratelimit"), Some("\"default\";r=2;t=1"));
    let replies: Vec<_> = (0..10).map(|_| server.get("/v1/network")).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(refused.len() >= 5, "{} of 10 were refused", refused.len());
    for reply in &refused {
        reply.refused(429, "rate_limited");
        let wait: u64 = reply.header("retry-after").expect("when").parse().expect("seconds");
        assert!((1..=2).contains(&wait), "{wait}");
    }
    // Whoever shows a key has a bucket of their own, and probes are never turned away.
    let secret = server.api_key(Whom::Operator, Role::Auditor);
    let own = server.get_as(&secret, "/v1/me");
    assert_eq!((own.status, own.header("ratelimit-policy")), (200, Some("\"default\";q=5;w=1")));
    for _ in 0..20 {
        server.get("/healthz");
        assert_eq!(server.get("/readyz").status, 200);
    }
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    server.get("/v1/network").expect(200);
}

#[test]
fn head_is_get_without_a_body_and_options_tells_the_methods() {
    let server = Server::founded(5);
    let root = &server.world.brands[0].root;
    for target in ["/v1/network", "/v1/brands", "/openapi.json", "/checkpoint", "/healthz", "/v1/entries/0"] {
        let (get, head) = (server.get(target), server.ask(&Ask::new("HEAD", target)));
        assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
        for name in ["content-type", "content-length", "tallyhouse-seq"] {
            assert_eq!(head.header(name), get.header(name), "{target}: {name}");
        }
    }
    assert_eq!(server.ask(&Ask::new("HEAD", "/v1/me")).status, 401);
    assert_eq!(server.ask(&Ask::new("HEAD", "/v1/nothing")).status, 404);
    assert_eq!(server.ask(&Ask::new("HEAD", "/v1/awards")).status, 405);
    // A stream has no end; nobody who asks for its head waits for one.
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let stream = Ask::new("HEAD", "/v1/events").key(&auditor).with("accept", "text/event-stream");
    assert_eq!(server.ask(&stream).status, 200);
    let message = HttpMessage {
        method: "HEAD".into(),
        ..HttpMessage::get(format!("{}/v1/me", crate::common::carried::ADDRESS))
    };
    assert_eq!(server.ask(&Ask::message(&server.sign(root, message))).status, 200);
    for (target, methods) in [
        ("/v1/brands", "GET, POST, HEAD, OPTIONS"),
        ("/v1/awards", "POST, OPTIONS"),
        ("/v1/api-keys/ak_x", "GET, DELETE, HEAD, OPTIONS"),
    ] {
        let reply = server.ask(&Ask::new("OPTIONS", target));
        assert_eq!((reply.status, reply.header("allow")), (204, Some(methods)), "{target}");
    }
    assert_eq!(server.ask(&Ask::new("OPTIONS", "/v1/nothing")).status, 404);
}

#[test]
fn a_payment_says_where_it_is() {
    let server = Server::founded(5);
    open(&server, harvest(), 0);
    award(&server, harvest(), 0, 1_000);
    let reply = server.submit("/v1/payments", &authorise(&server, 1, harvest(), 0, 500, false));
    let payment = reply.expect(201)["payment"].as_str().expect("an id").to_owned();
    let place = reply.header("location").expect("a place").to_owned();
    assert_eq!(place, format!("/v1/payments/{payment}"));
    let shown = server.get_signed(&server.world.brands[1].tills[0].key, &place).expect(200);
    assert_eq!((&shown["amount"], &shown["open"]), (&json!(500), &json!(true)), "{shown}");
    // Another brand, even the issuer, does not see the shop's payment.
    server.get_signed(&server.world.brands[0].root, &place).refused(404, "not_found");
}
