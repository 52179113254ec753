//! Who may what: every role and every sort of key at every route.

use super::scene::hire;
use super::table::sample;
use crate::common::http::{Ask, Server};
use crate::common::world::{Key, beginning, id};
use serde_json::{Value, json};
use tallyhouse::api;
use tallyhouse::machine::{Carrier, Method, Role, Route};
use tallyhouse::sign::{HttpMessage, KeyCert, Purpose};
use tallyhouse::vault::Whom;

/// A body that the route's operation is documented with, or none.
fn documented_body(document: &Value, route: &Route) -> Option<Value> {
    let operation = &document["paths"][route.path][route.method.code().to_lowercase()];
    let content = &operation["requestBody"]["content"]["application/json"];
    Some(content.get("example")?.clone())
}

/// A request to a route, with its documented body, without credentials.
fn ask(document: &Value, route: &Route, number: usize) -> Ask {
    let ask = Ask::new(route.method.code(), sample(route));
    let ask =
        if route.method == Method::Get { ask } else { ask.with("idempotency-key", format!("try-{number}")) };
    match documented_body(document, route) {
        Some(body) => ask.json(&body),
        None if route.path.ends_with(":batch") => ask.body("application/x-ndjson", "\n"),
        None if route.carrier == Carrier::Statement => ask.body("application/jose", "a.b.c"),
        None => ask,
    }
}

fn whom(server: &Server, role: Role) -> Whom {
    match role {
        Role::Operator | Role::Operations | Role::Analyst | Role::Auditor | Role::Approver => Whom::Operator,
        Role::BrandAdmin | Role::BrandFinance | Role::Till => Whom::Brand(id("br_harvest")),
        Role::Consumer => Whom::Wallet(server.service().vault.create_wallet().expect("a wallet")),
    }
}

#[test]
fn api_keys_reach_what_their_role_allows_and_nothing_else() {
    let (server, document) = (Server::founded(2), api::document());
    for role in Role::ALL {
        let secret = server.api_key(whom(&server, *role), *role);
        for (number, route) in Route::ALL.iter().enumerate().filter(|(_, route)| route.id != "listEvents") {
            let reply = server.ask(&ask(&document, route, number).key(&secret));
            let allowed =
                route.scope.is_none_or(|scope| scope.for_api_keys() && role.scopes().contains(&scope));
            let place =
                format!("{role} at {} {}: {} {}", route.method, route.path, reply.status, reply.code());
            assert_ne!(reply.status, 401, "{place}");
            assert_eq!(reply.code() != "scope_missing", allowed, "{place}");
            if !allowed {
                reply.refused(403, "scope_missing");
            }
        }
    }
}

#[test]
fn without_credentials_only_what_is_public_is_answered() {
    let (server, document) = (Server::founded(2), api::document());
    let before = server.service().engine().progress().committed;
    for (number, route) in Route::ALL.iter().enumerate() {
        let reply = server.ask(&ask(&document, route, number));
        match route.carrier {
            Carrier::Reader | Carrier::Vault | Carrier::Command => {
                let problem = reply.refused(401, "unauthenticated");
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{problem}");
            }
            Carrier::Nobody | Carrier::Optional => {
                let place = format!("{} {}: {}", route.method, route.path, reply.text());
                assert!(!matches!(reply.status, 401 | 403 | 500..), "{place}");
            }
            // A statement says itself who made it; these say nothing.
            Carrier::Statement => {
                assert!(matches!(reply.status, 200 | 400), "{}: {}", route.id, reply.text())
            }
        }
    }
    assert_eq!(server.service().engine().progress().committed, before, "nothing was written");
}

#[test]
fn wrong_credentials_are_refused_everywhere() {
    let server = Server::founded(2);
    for route in Route::ALL.iter().filter(|route| !matches!(route.id, "getHealth" | "getReadiness")) {
        let target = sample(route);
        let method = route.method.code();
        let unknown =
            server.ask(&Ask::new(method, &target).key("th_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        unknown.refused(401, "api_key_unknown");
        let basic = server.ask(&Ask::new(method, &target).with("authorization", "Basic YTpi"));
        basic.refused(401, "unauthenticated");
    }
}

/// Each sort of key that signs requests, with the role in which it works.
fn signers(server: &Server) -> Vec<(Key, Role)> {
    let world = &server.world;
    let brand = &world.brands[0];
    let copy = |label: &str| Key::derive(world.seed, label);
    let holder = world.holder(id("HARVEST"), 0);
    server.submit("/v1/accounts", &world.open_account("open-0", id("HARVEST"), &holder)).expect(201);
    let approver = Key::derive(world.seed, "approver");
    let cert = KeyCert {
        aud: world.net,
        key: approver.public,
        purpose: Purpose::Approver,
        owner: brand.id.to_string(),
        from: beginning().seconds(),
        until: None,
        till: None,
        held: None,
        person: Some(id("bo")),
    };
    server.submit("/v1/keys", &world.certify(&brand.root, &approver, &cert)).expect(201);
    vec![
        (copy("root 0"), Role::Operator),
        (hire(server), Role::Operations),
        (copy("br_harvest root"), Role::BrandAdmin),
        (copy("br_harvest issuing 0"), Role::BrandFinance),
        (copy("br_harvest till 0"), Role::Till),
        (holder.key, Role::Consumer),
        (approver, Role::Approver),
    ]
}

#[test]
fn signed_requests_reach_what_the_keys_purpose_allows_and_nothing_else() {
    let (server, document) = (Server::founded(3), api::document());
    for (key, role) in signers(&server) {
        let me = server.get_signed(&key, "/v1/me").expect(200);
        assert_eq!((&me["role"], &me["key"]), (&json!(role.code()), &json!(key.kid)), "{me}");
        for (number, route) in Route::ALL.iter().enumerate() {
            // Statements sign themselves; nothing else is looked at.
            if route.carrier == Carrier::Statement {
                continue;
            }
            let target = format!("{}{}", crate::common::carried::ADDRESS, sample(route));
            let message = match (route.method, documented_body(&document, route)) {
                (Method::Get, _) => HttpMessage::get(target),
                (_, Some(body)) => {
                    HttpMessage::post(target, format!("signed-{role}-{number}"), body.to_string())
                }
                (method, None) => HttpMessage {
                    method: method.code().into(),
                    target_uri: target,
                    idempotency_key: Some(format!("signed-{role}-{number}")),
                    ..HttpMessage::default()
                },
            };
            let reply = server.ask(&Ask::message(&server.sign(&key, message)));
            let allowed = route.scope.is_none_or(|scope| role.scopes().contains(&scope));
            let code = reply.code();
            let place =
                format!("{role} at {} {}: {} {}", route.method, route.path, reply.status, reply.text());
            assert!(reply.status < 500, "{place}");
            if route.carrier == Carrier::Command {
                // The machine decides by the key's purpose and owner, and may be narrower than the scope.
                let refused = matches!(code.as_str(), "key_purpose" | "key_owner" | "evidence_missing");
                assert!(allowed || refused || reply.status == 422, "{place}");
                assert!(allowed || reply.status != 201, "{place}");
            } else {
                assert_ne!(reply.status, 401, "{place}");
                assert_eq!(code != "scope_missing", allowed, "{place}");
            }
        }
    }
}
