//! Statements in two bodies: JSON and lines of text are one request, and JSON is never taken for what it is not.

use super::scene::{authorise, award_json, award_message, harvest, held_issuing, open, token};
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::{Key, beginning};
use serde_json::{Value, json};
use tallyhouse::machine::{Carrier, Request, Route};

/// The statements of a request as JSON.
fn as_json(path: &str, request: &Request) -> Ask {
    Ask::post(path).json(&json!({"jws": request.jws}))
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

#[test]
fn either_body_is_the_same_request() {
    let server = Server::founded(12);
    let world = &server.world;
    let brand = &world.brands[0];
    let new = Key::derive(world.seed, "br_harvest issuing new");
    let cert = world.issuing_cert(brand, &new, beginning().seconds(), None);
    open(&server, harvest(), 0);
    server.submit("/v1/tokens", &token(&server, harvest(), 0, 5_000)).expect(201);
    let holder = world.holder(harvest(), 1);
    let rows = [
        ("/v1/keys", world.certify(&brand.root, &new, &cert)),
        ("/v1/budgets", world.set_budget(&brand.root, &world.budget(new.kid, harvest(), 1))),
        ("/v1/tokens", token(&server, harvest(), 0, 7)),
        ("/v1/awards", token(&server, harvest(), 0, 8)),
        ("/v1/accounts", world.open_account("open-1", harvest(), &holder)),
        ("/v1/freezes/units", world.freeze_unit("freeze-1", harvest(), false)),
        ("/v1/payments", authorise(&server, 1, harvest(), 0, 500, true)),
        ("/v1/payments", authorise(&server, 1, harvest(), 0, 600, false)),
    ];
    for (at, (path, request)) in rows.iter().enumerate() {
        let (json, lines) = (as_json(path, request), Ask::statements(path, &request.jws));
        let (first, second) = if at % 2 == 0 { (&json, &lines) } else { (&lines, &json) };
        let would = server.ask(&Ask { target: format!("{path}?dry_run=true"), ..json.clone() }).expect(200);
        assert_eq!(would["dry_run"], true, "{path}");
        let done = server.ask(first);
        let again = server.ask(second);
        assert_eq!(done.expect(201), again.expect(201), "{path}");
        // What registers a key or a budget has no id of its own: it is known again all the same.
        assert!(!replayed(&done) && replayed(&again), "{path}");
        assert_eq!(done.header("location"), again.header("location"), "{path}");
    }
    // With the media type's own parameter too.
    let utf8 = token(&server, harvest(), 0, 9);
    let body = json!({"jws": utf8.jws}).to_string();
    let ask = Ask::post("/v1/tokens").body("Application/JSON; charset=utf-8", body);
    server.ask(&ask).expect(201);
    // And what they are refused is the same.
    let unlike = server.world.freeze_unit("freeze-2", harvest(), false);
    let other = Key::derive(world.seed, "br_harvest issuing other");
    let cert = world.issuing_cert(brand, &other, beginning().seconds(), None);
    let unproven = Request::of(vec![world.certify(&brand.root, &other, &cert).jws.remove(0)]);
    let poor = authorise(&server, 1, harvest(), 0, 900_000, false);
    for (path, request, id) in [
        ("/v1/freezes/units", &unlike, Some("freeze-3")),
        ("/v1/payments", &unlike, None),
        ("/v1/payments", &poor, None),
        ("/v1/keys", &unproven, None),
        ("/v1/tokens", &Request::default(), None),
        ("/v1/tokens", &Request::of(vec!["x".into()]), None),
        ("/v1/tokens", &Request::of(vec!["a.b.c".into(); 33]), None),
    ] {
        let with = |ask: Ask| id.map_or(ask.clone(), |id| ask.with("idempotency-key", id));
        let one = server.ask(&with(as_json(path, request)));
        let two = server.ask(&with(Ask::statements(path, &request.jws)));
        assert!(one.status >= 400, "{path}: {}", one.text());
        assert_eq!((one.status, one.code()), (two.status, two.code()), "{path}: {}", one.text());
    }
}

#[test]
fn json_is_statements_where_it_says_so_and_nothing_else_stands_there() {
    let server = Server::founded(12);
    let finance = held_issuing(&server);
    let issuing = &server.world.brands[0].issuing[0];
    let jws = || token(&server, harvest(), 0, 5).jws;
    let text = |body: &str| Ask::post("/v1/awards").body("application/json", body.replace('@', &jws()[0]));
    let keyed = |ask: Ask| ask.key(&finance).with("idempotency-key", server.fresh("id"));
    let mut both = award_json(&server, 0, 5);
    both["jws"] = json!(jws());
    let both = both.to_string();
    let wrong = [
        (r#"{"jws":["@"],"amount":5}"#, "/amount"),
        (r#"{"amount":5,"jws":["@"]}"#, "/amount"),
        (both.as_str(), ""),
        (r#"{"jws":null}"#, "/jws"),
        (r#"{"jws":"@"}"#, "/jws"),
        (r#"{"jws":{"0":"@"}}"#, "/jws"),
        (r#"{"jws":[["@"]]}"#, "/jws/0"),
    ];
    for (body, pointer) in wrong {
        // Whoever asks, and whatever they may: it is statements, written wrongly.
        for ask in [text(body), keyed(text(body))] {
            let problem = server.ask(&ask).refused(400, "body_invalid");
            let place = problem["errors"][0]["pointer"].as_str().expect("a place");
            assert!(pointer.is_empty() || place == pointer, "{body}: {problem}");
        }
    }
    // What is no such object is arguments: for who has an API key, in the wrong form, and for nobody else.
    for body in
        [r#"{"jws":["@"],"jws":["@"]}"#, r#"[["@"]]"#, r#"{"JWS":["@"]}"#, r#"{"x":{"jws":["@"]}}"#, "[]", ""]
    {
        server.ask(&text(body)).refused(401, "unauthenticated");
        server.ask(&keyed(text(body))).refused(400, "malformed");
        // Where nothing but statements is taken, it is wrong for everybody.
        let only = Ask { target: "/v1/tokens".into(), ..text(body) };
        server.ask(&only).refused(400, "body_invalid");
    }
    let before = server.service().engine().progress().committed;
    // An API key beside them neither helps nor hinders, and signs nothing.
    let done = server.ask(&text(r#"{"jws":["@"]}"#).key(&finance)).expect(201);
    assert_eq!(done["seq"], json!(before));
    server.ask(&text(r#" { "\u006aws" : [ "@" ] } "#)).expect(201);
    // What is signed is arguments, and is kept as such: statements are none.
    for path in ["/v1/awards", "/v1/tokens", "/v1/keys"] {
        let mut message = award_message(&server.fresh("signed"), &json!({"jws": jws()}));
        message.target_uri = message.target_uri.replace("/v1/awards", path);
        server.ask(&Ask::message(&server.sign(issuing, message))).refused(400, "malformed");
    }
    // Lines that are handed in together are read the same.
    let batch = Ask::post("/v1/awards:batch").body("application/x-ndjson", format!("[{}]\n", json!(jws())));
    let verdict: Value = serde_json::from_str(server.ask(&batch).text().trim()).expect("a verdict");
    assert_eq!((&verdict["status"], &verdict["problem"]["code"]), (&json!(400), &json!("body_invalid")));
}

#[test]
fn every_command_is_taken_as_json_statements() {
    let server = Server::founded(12);
    let body = json!({"jws": ["a.b.c"]});
    let mut seen = 0;
    for route in Route::ALL.iter().filter(|route| route.kind.is_some() && !route.path.contains(':')) {
        assert!(matches!(route.carrier, Carrier::Command | Carrier::Statement), "{}", route.id);
        let problem = server.ask(&Ask::post(route.path).json(&body)).refused(400, "token_malformed");
        let lines =
            server.ask(&Ask::statements(route.path, &["a.b.c".into()])).refused(400, "token_malformed");
        assert_eq!(problem["detail"], lines["detail"], "{}", route.id);
        seen += 1;
    }
    assert!(seen >= 19, "{seen}");
}
