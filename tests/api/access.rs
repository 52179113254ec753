//! What a brand administers of its access: held keys that are forgotten, budgets and what was drawn, long lists.

use super::scene::{award_json, award_message, delete, harvest, held_issuing, hire, open};
use crate::common::http::{Ask, Server, api_config};
use crate::common::world::{Key, World, beginning, id};
use serde_json::{Value, json};
use tallyhouse::machine::{Request, Role};
use tallyhouse::network::RegisterBrand;
use tallyhouse::types::Kid;
use tallyhouse::vault::Whom;

/// The thumbprint of the only held key of br_harvest.
fn held(server: &Server) -> Kid {
    let listed = server.get_signed(&server.world.brands[0].root, "/v1/held-keys").expect(200);
    serde_json::from_value(listed["items"][0]["kid"].clone()).expect("a key")
}

#[test]
fn a_held_key_that_is_forgotten_signs_no_more() {
    let mut server = Server::founded(13);
    let finance = held_issuing(&server);
    let kid = held(&server);
    let (root, other, operator) = (
        Key::derive(server.world.seed, "br_harvest root"),
        &server.world.brands[1].root,
        &server.world.roots[0],
    );
    let path = format!("/v1/held-keys/{kid}");
    let award = |server: &Server, named: bool| {
        let ask = Ask::post("/v1/awards").key(&finance).with("idempotency-key", server.fresh("award"));
        let ask = ask.json(&award_json(server, 0, 5));
        server.ask(&if named { ask.with("tallyhouse-held-key", kid.to_string()) } else { ask })
    };
    for named in [false, true] {
        award(&server, named).expect(201);
    }
    // Nobody else has it forgotten, an API key of its own brand included.
    server.ask(&delete(&server, other, &path)).refused(404, "not_found");
    server.ask(&delete(&server, operator, &path)).refused(403, "scope_missing");
    server.ask(&delete(&server, &server.world.brands[0].issuing[0], &path)).refused(403, "scope_missing");
    let admin = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandAdmin);
    server.ask(&Ask::new("DELETE", &path).key(&admin)).refused(403, "scope_missing");
    server.ask(&Ask::new("DELETE", &path)).refused(401, "unauthenticated");
    award(&server, false).expect(201);

    let gone = json!({"kid": kid, "held": false});
    for _ in 0..2 {
        assert_eq!(server.ask(&delete(&server, &root, &path)).expect(200), gone);
    }
    for restarted in [false, true] {
        if restarted {
            server.restart();
        }
        for named in [false, true] {
            let problem = award(&server, named).refused(403, "held_key_missing");
            let detail = problem["detail"].as_str().expect("a reason");
            assert!(
                detail.contains(if named { kid.to_string() } else { "br_harvest".into() }.as_str()),
                "{detail}"
            );
        }
        assert_eq!(server.get_signed(&root, "/v1/held-keys").expect(200)["items"], json!([]));
        assert_eq!(server.ask(&delete(&server, &root, &path)).expect(200), gone);
    }
    // The log still knows what the key was, and that it may be certified no more without its owner's proof.
    assert_eq!(server.get(&format!("/v1/keys/{kid}")).expect(200)["held"], true);
    let nonsense = delete(&server, &root, "/v1/held-keys/x");
    server.ask(&nonsense).refused(404, "not_found");
    // A key that is made anew takes its place.
    let finance = held_issuing(&server);
    let ask = Ask::post("/v1/awards").key(&finance).with("idempotency-key", "anew");
    server.ask(&ask.json(&award_json(&server, 0, 5))).expect(201);
}

#[test]
fn a_budget_shows_what_was_drawn_to_those_whom_it_concerns() {
    // The clock of a driven network stands where it was put.
    let world = World::new(13);
    let founding = world.founding().into_iter().map(|request| (request, beginning()));
    let issued = |n: usize, amount: u64, seconds: u64| {
        let ((brand, key), at) = (world.brand_of(harvest()), beginning().plus_seconds(seconds));
        let sub = world.holder(harvest(), n).account;
        let token = world.token(brand, harvest(), &format!("after-{seconds}"), sub, amount, at);
        (world.issue(&brand.issuing[key], &token), at)
    };
    let asked: Vec<(Request, _)> =
        founding.chain([issued(0, 30, 60), issued(0, 12, 7_260), issued(1, 5, 7_300)]).collect();
    let server = Server::of(world, &asked, api_config());
    let (brand, other) = (&server.world.brands[0], &server.world.brands[1]);
    let path = format!("/v1/budgets/{}", brand.issuing[0].kid);
    let shown = server.get_signed(&brand.root, &path).expect(200);
    assert_eq!((&shown["used"], &shown["used_this_hour"]), (&json!(47), &json!(17)), "{shown}");
    assert!(shown["ceiling"].as_u64() > Some(47) && shown["unit"] == "HARVEST", "{shown}");
    // It is what the next award is measured by, and shown as of the entry that is asked for.
    open(&server, harvest(), 2);
    let award = award_message("later", &award_json(&server, 2, 3));
    let seq = server.ask(&Ask::message(&server.sign(&brand.issuing[0], award))).seq();
    let finance = server.api_key(Whom::Brand(brand.id.clone()), Role::BrandFinance);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    for key in [&finance, &auditor] {
        let reply = server.ask(&Ask::get(&path).key(key).with("min-seq", seq.to_string()));
        assert_eq!((&reply.expect(200)["used"], reply.seq() >= seq), (&json!(50), true));
    }
    // Others are not told whether there is one.
    let none = format!("/v1/budgets/{}", brand.tills[0].key.kid);
    let told = |key: &Key, path: &str| {
        let mut problem: Value = server.get_signed(key, path).refused(404, "not_found");
        problem["request_id"].take();
        problem
    };
    assert_eq!(told(&other.root, &path), told(&other.root, &none));
    assert_eq!(told(&other.root, &path), told(&brand.root, &none));
    let analyst = server.api_key(Whom::Operator, Role::Analyst);
    server.get_as(&analyst, &path).refused(403, "scope_missing");
}

/// Walks a list two at a time, signed; the ids in order.
fn walk(server: &Server, key: &Key, path: &str, name: &str) -> Vec<String> {
    let (mut ids, mut target) = (vec![], path.to_owned());
    loop {
        let reply = server.get_signed(key, &target);
        let page = reply.expect(200);
        let items = page["items"].as_array().expect("items");
        assert!((1..=2).contains(&items.len()), "{page}");
        ids.extend(items.iter().map(|item| item[name].as_str().expect("an id").to_owned()));
        let link = reply.header("link").map(|link| link.split(['<', '>']).nth(1).expect("a link").to_owned());
        assert_eq!(link.is_some(), page["next"].is_string(), "{page}");
        match link {
            Some(next) => target = next,
            None => return ids,
        }
    }
}

#[test]
fn keys_and_applications_come_in_pages() {
    let server = Server::founded(13);
    let (root, operator) = (&server.world.brands[0].root, &server.world.roots[0]);
    let (mut keys, mut holds, mut applied) = (vec![], vec![], vec![]);
    let text = |value: &Value, name: &str| value[name].as_str().expect("an id").to_owned();
    for n in 0..5 {
        let wanted = json!({"name": format!("key {n}"), "role": "till"});
        let made = server.ask(&server.signed_post(root, "/v1/api-keys", &server.fresh("key"), &wanted));
        keys.push(text(&made.expect(201), "id"));
        let wanted = json!({"purpose": if n % 2 == 0 { "issuing" } else { "till" }});
        let made = server.ask(&server.signed_post(root, "/v1/held-keys", &server.fresh("hold"), &wanted));
        holds.push(text(&made.expect(201), "kid"));
        let own = Key::derive(server.world.seed, &format!("applicant {n}"));
        let args = RegisterBrand {
            brand: id(&format!("br_new{n}")),
            participant: id("pa_new"),
            root: own.public,
            recovery: None,
        };
        let registration = server.world.command(&own, "apply", "brand.register", &args);
        let apply = json!({"participant": "pa_new", "currency": "EUR", "registration": registration});
        applied.push(text(&server.ask(&Ask::post("/v1/applications").json(&apply)).expect(201), "id"));
    }
    assert_eq!(walk(&server, root, "/v1/api-keys?limit=2", "id"), keys);
    assert_eq!(walk(&server, operator, "/v1/api-keys?brand=br_harvest&limit=2", "id"), keys);
    assert_eq!(walk(&server, root, "/v1/held-keys?limit=2", "kid"), holds);
    assert_eq!(walk(&server, operator, "/v1/applications?limit=2", "id"), applied);
    let next = text(&server.get_signed(root, "/v1/api-keys?limit=2").expect(200), "next");
    for (key, path) in
        [(operator, "/v1/applications"), (operator, "/v1/api-keys?brand=br_kino"), (root, "/v1/held-keys")]
    {
        let join = if path.contains('?') { '&' } else { '?' };
        server.get_signed(key, &format!("{path}{join}cursor={next}")).refused(400, "cursor_invalid");
        server.get_signed(key, &format!("{path}{join}limit=0")).refused(400, "query_invalid");
    }
}

#[test]
fn nobody_of_the_operator_makes_keys_of_a_brand_or_of_a_wallet() {
    let server = Server::founded(14);
    let (analyst, operator) = (hire(&server), &server.world.roots[0]);
    let [own, other] = [0, 1].map(|at| &server.world.brands[at]);
    let wallet = server.service().vault.create_wallet().expect("a wallet");
    let make = |key: &Key, body: Value| {
        server.ask(&server.signed_post(key, "/v1/api-keys", &server.fresh("key"), &body))
    };
    let admin = json!({"name": "mine", "role": "brand_admin", "brand": "br_harvest"});
    let consumer = json!({"name": "mine", "role": "consumer", "wallet": wallet.to_string()});
    let services = json!({"name": "service", "role": "operator"});
    // An analyst makes none at all, and no wallets and held keys.
    for body in [&admin, &consumer, &services] {
        make(&analyst, body.clone()).refused(403, "scope_missing");
    }
    let aliases = format!("/v1/wallets/{wallet}/aliases");
    for (path, body) in [
        ("/v1/wallets", json!({"alias": "card-900001"})),
        (aliases.as_str(), json!({"alias": "card-900001"})),
        ("/v1/held-keys", json!({"purpose": "issuing"})),
        ("/v1/accounts:resolve", json!({"alias": "card-900001", "unit": "HARVEST"})),
    ] {
        let ask = server.signed_post(&analyst, path, &server.fresh("tried"), &body);
        server.ask(&ask).refused(403, "scope_missing");
    }
    for path in [aliases.as_str(), "/v1/api-keys", "/v1/applications"] {
        server.get_signed(&analyst, path).refused(403, "scope_missing");
    }
    // A root makes those of the operator's own services.
    let problem = make(operator, admin.clone()).refused(403, "not_yours");
    let detail = problem["detail"].as_str().expect("a reason");
    assert!(detail.contains("--as br_harvest/root"), "{detail}");
    make(operator, consumer).refused(400, "body_invalid");
    make(operator, json!({"name": "mine", "role": "consumer"})).refused(400, "body_invalid");
    assert_eq!(make(operator, services.clone()).expect(201)["whom"], "op");
    let service = server.api_key(Whom::Operator, Role::Operator);
    server.ask(&Ask::post("/v1/api-keys").key(&service).json(&services)).refused(403, "scope_missing");
    // Those of a brand its own root makes, and nobody else of it.
    make(&other.root, admin.clone()).refused(403, "not_yours");
    make(&own.issuing[0], admin.clone()).refused(403, "scope_missing");
    let made = make(&own.root, admin).expect(201);
    assert_eq!(made["whom"], "br_harvest");
    // A root of the operator stops one in an emergency; nobody else does who is not its owner.
    let secret = made["secret"].as_str().expect("told");
    let path = format!("/v1/api-keys/{}", made["id"].as_str().expect("an id"));
    server.ask(&delete(&server, &analyst, &path)).refused(403, "scope_missing");
    server.ask(&delete(&server, &other.root, &path)).refused(404, "not_found");
    server.get_as(secret, "/v1/me").expect(200);
    server.ask(&delete(&server, operator, &path)).expect(200);
    server.get_as(secret, "/v1/me").refused(401, "api_key_expired");
}
