//! What callers are told: which parameter, which address, whose signature, and that something was done before.

use super::scene::{award, award_json, award_message, harvest, open, token};
use crate::common::http::{Ask, Server};
use crate::common::world::{id, points};
use serde_json::{Value, json};
use tallyhouse::api;
use tallyhouse::machine::{Carrier, Role, Route, Scope};
use tallyhouse::sign::KeyBudget;
use tallyhouse::vault::Whom;

fn detail(problem: &Value) -> &str {
    problem["detail"].as_str().unwrap_or_default()
}

#[test]
fn a_wrong_parameter_is_named() {
    let server = Server::founded(51);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    for (target, words) in [
        ("/v1/events?after=x", "after: a whole number"),
        ("/v1/events?afer=1", "afer: no such parameter here; there are `after`, `limit`"),
        ("/v1/units?limit=-1", "limit: a whole number"),
        ("/v1/payments?brand=HARVEST", "brand: "),
    ] {
        let problem = server.get_as(&auditor, target).refused(400, "query_invalid");
        assert!(detail(&problem).starts_with(words), "{target}: {problem}");
    }
}

#[test]
fn an_entry_has_one_spelling_and_the_future_no_balance() {
    let server = Server::founded(52);
    open(&server, harvest(), 0);
    let seq = award(&server, harvest(), 0, 10).seq();
    for wrong in ["+1", "01", "1.0", "-0"] {
        server.get(&format!("/v1/entries/{wrong}")).refused(404, "not_found");
    }
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let account = server.world.holder(harvest(), 0).account;
    let as_of = |when: &str| {
        let path = format!("/v1/accounts/{account}?as_of={when}");
        server.ask(&Ask::get(path).key(&auditor).with("min-seq", seq.to_string()))
    };
    assert_eq!(as_of(&seq.to_string()).expect(200)["balance"], 10);
    for ahead in [&(seq + 1).to_string(), "2100-01-01T00:00:00.000000Z"] {
        let problem = as_of(ahead).refused(400, "query_invalid");
        assert!(detail(&problem).contains("not over yet"), "{problem}");
    }
    as_of("+1").refused(400, "query_invalid");
}

#[test]
fn a_signature_over_another_address_is_told_the_right_one() {
    let server = Server::founded(53);
    let key = &server.world.brands[0].issuing[0];
    let read = server.signed_get(key, "/v1/payments?limit=1");
    let read = Ask { target: "/v1/payments?limit=2".into(), ..read };
    let write = Ask::message(&server.sign(key, award_message("a-1", &award_json(&server, 0, 5))));
    let write = Ask { target: "/v1/awards?dry_run=true".into(), ..write };
    for ask in [read, write] {
        let problem = server.ask(&ask).refused(401, "signature_invalid");
        let uri = format!("@target-uri is {}{}", crate::common::carried::ADDRESS, ask.target);
        assert!(detail(&problem).ends_with(&uri), "{problem}");
    }
}

#[test]
fn the_id_in_the_header_is_the_statements_own() {
    let server = Server::founded(54);
    open(&server, harvest(), 0);
    let token = token(&server, harvest(), 0, 5);
    let ask = |id: &str| Ask::statements("/v1/tokens", &token.jws).with("idempotency-key", id);
    server.ask(&ask("another")).refused(400, "idempotency_key_mismatch");
    let before = server.service().engine().progress().committed;
    let batch = super::batches::signed_batch(&server, "batch-1");
    let ask = |id: &str| batch.clone().with("idempotency-key", id);
    server.ask(&ask("another")).refused(400, "idempotency_key_mismatch");
    assert_eq!(server.service().engine().progress().committed, before, "nothing was done");
    server.ask(&ask("batch-1")).expect(201);
}

#[test]
fn a_dry_run_says_that_it_was_done_before() {
    let server = Server::founded(55);
    open(&server, harvest(), 0);
    let token = token(&server, harvest(), 0, 5);
    let dry = Ask::statements("/v1/tokens?dry_run=true", &token.jws);
    let lines = Ask::post("/v1/awards:batch?dry_run=true")
        .body("application/x-ndjson", json!({"jws": token.jws}).to_string());
    for done in [false, true] {
        let reply = server.ask(&dry);
        assert_eq!(reply.expect(200)["dry_run"], true);
        assert_eq!(reply.header("idempotency-replayed"), done.then_some("true"));
        let line: Value = serde_json::from_str(&server.ask(&lines).text()).expect("JSON");
        assert_eq!((&line["dry_run"], line["replayed"].as_bool()), (&json!(true), done.then_some(true)));
        server.submit("/v1/tokens", &token).expect(201);
    }
}

#[test]
fn the_operator_names_whose_held_keys_it_reads() {
    let server = Server::founded(56);
    let kid = super::scene::hold_issuing(&server).kid().to_string();
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let listed = server.get_as(&auditor, "/v1/held-keys?brand=br_harvest").expect(200);
    assert_eq!(listed["items"][0]["kid"], kid.as_str());
    assert_eq!(server.get_as(&auditor, "/v1/held-keys?brand=br_twin").expect(200)["items"], json!([]));
    server.get_as(&auditor, "/v1/held-keys").refused(400, "query_invalid");
    let admin = server.api_key(Whom::Brand(id("br_twin")), Role::BrandAdmin);
    server.get_as(&admin, "/v1/held-keys?brand=br_harvest").refused(403, "not_yours");
}

#[test]
fn a_budget_that_does_not_fit_says_what_would() {
    let server = Server::founded(58);
    open(&server, harvest(), 0);
    let (brand, at) = server.world.brand_of(harvest());
    let set =
        |budget: &KeyBudget| server.submit("/v1/budgets", &server.world.set_budget(&brand.root, budget));
    let of = |unit, serial| server.world.budget(brand.issuing[at].kid, unit, serial);
    set(&KeyBudget { hourly: points(100), ..of(harvest(), 2) }).expect(201);
    award(&server, harvest(), 0, 60);
    let above = |amount: u64| {
        let reply = server.submit("/v1/tokens", &token(&server, harvest(), 0, amount));
        detail(&reply.refused(422, "hourly_ceiling_exceeded")).to_owned()
    };
    assert!(above(41).ends_with("and 60 of 100 were issued in this hour"), "{}", above(41));
    assert!(above(101).contains("may issue 100 in an hour: no hour is long enough"), "{}", above(101));
    assert_eq!(
        detail(&set(&of(harvest(), 2)).refused(409, "serial_stale")),
        "the next serial is 3",
        "each is taken once"
    );
    // A key has a budget of one unit, whatever the number.
    let (kino, at) = server.world.brand_of(id("KINO"));
    let other = server.world.budget(kino.issuing[at].kid, id("KINOPLUS"), 2);
    let reply = server.submit("/v1/budgets", &server.world.set_budget(&kino.root, &other));
    let problem = reply.refused(409, "serial_stale");
    assert!(detail(&problem).contains("has a budget of KINO, serial 1"), "{problem}");
    assert!(detail(&problem).contains("another key for KINOPLUS"), "{problem}");
}

#[test]
fn a_brand_is_told_where_its_own_exposure_is() {
    let server = Server::founded(59);
    let finance = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandFinance);
    for path in ["/v1/reports/aging", "/v1/reports/exposure"] {
        let problem = server.get_as(&finance, path).refused(403, "not_yours");
        assert!(detail(&problem).contains("/v1/participants/{participant}/exposure"), "{problem}");
    }
    server.get_as(&finance, "/v1/participants/pa_harvest/exposure").expect(200);
}

#[test]
fn what_no_api_key_may_is_said_to_be_signed() {
    let (server, document) = (Server::founded(57), api::document());
    let admin = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandAdmin);
    let unit = Ask::post("/v1/units").key(&admin).json(&json!({"unit": "NEW"}));
    let problem = server.ask(&unit.with("idempotency-key", "unit-1")).refused(403, "scope_missing");
    let said = detail(&problem);
    assert!(said.contains("terms:write") && said.contains("the brand's root: `tallyhouse sign"), "{said}");
    let mut closed = 0;
    for route in Route::ALL.iter().filter(|route| route.id != "getDocs") {
        let path = route.path.replace("...}", "}");
        let operation = &document["paths"][&path][route.method.code().to_lowercase()];
        let named = |name: &str| operation["security"].to_string().contains(name);
        let may = route.scope.is_none_or(Scope::for_api_keys);
        let asks = !matches!(route.carrier, Carrier::Nobody | Carrier::Statement);
        assert_eq!((named("api_key"), named("signature")), (asks && may, asks), "{}", route.id);
        closed += usize::from(asks && !may);
        // A preference is offered where it is heeded.
        let prefers = operation["parameters"].to_string().contains("/Prefer\"");
        assert_eq!(prefers, route.kind.is_some(), "{}", route.id);
    }
    assert!(closed >= 10, "{closed}");
}
