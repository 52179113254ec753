//! Queries: no operation takes a parameter that it does not know, and each takes those that it is described with.

use super::table::sample;
use crate::common::http::{Ask, Server};
use crate::common::world::id;
use serde_json::Value;
use tallyhouse::api;
use tallyhouse::machine::{Carrier, Role, Route};
use tallyhouse::vault::Whom;

/// The parameters of a route's query in the document.
fn described(document: &Value, route: &Route) -> Vec<String> {
    let item = &document["paths"][route.path.replace("...}", "}")];
    let operation = &item[route.method.code().to_lowercase()];
    let all = operation["parameters"].as_array().expect("parameters").iter();
    let whole = |one: &Value| match one["$ref"].as_str() {
        Some(at) => document.pointer(&at[1..]).expect("a component").clone(),
        None => one.clone(),
    };
    let of_query = all.map(whole).filter(|one| one["in"] == "query");
    of_query.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

/// An asker of each route: an API key that may, or a signature that is not looked at before.
fn asker(keys: &[(Role, String)], route: &Route, query: &str) -> Ask {
    let ask = Ask::new(route.method.code(), format!("{}?{query}", sample(route)));
    let may = |(role, _): &&(Role, String)| route.scope.is_none_or(|scope| role.scopes().contains(&scope));
    let signed = route.scope.is_some_and(|scope| !scope.for_api_keys());
    match keys.iter().find(may) {
        _ if !matches!(route.carrier, Carrier::Reader | Carrier::Vault) => ask,
        Some((_, key)) if !signed => ask.key(key),
        _ => ask.with("signature-input", "sig=()"),
    }
}

fn askers(server: &Server) -> Vec<(Role, String)> {
    let brand = || Whom::Brand(id("br_harvest"));
    [
        (Role::Auditor, Whom::Operator),
        (Role::Operator, Whom::Operator),
        (Role::BrandAdmin, brand()),
        (Role::Till, brand()),
    ]
    .map(|(role, whom)| (role, server.api_key(whom, role)))
    .into()
}

#[test]
fn no_operation_takes_a_parameter_that_it_does_not_know() {
    let server = Server::founded(41);
    let (keys, document) = (askers(&server), api::document());
    // Swagger UI is a page for people, not an operation.
    for route in Route::ALL.iter().filter(|route| route.id != "getDocs") {
        let known = described(&document, route);
        for (query, name) in [("nothing=1", "nothing"), ("%6E%6Fthing", "nothing"), ("=", "")] {
            let problem = server.ask(&asker(&keys, route, query)).refused(400, "query_invalid");
            let told = problem["detail"].as_str().expect("a detail");
            let named = told.starts_with(&format!("{name}: no such parameter here; "));
            assert!(
                named && known.iter().all(|one| told.contains(&format!("`{one}`"))),
                "{}: {told}",
                route.id
            );
        }
        // One that is known does not excuse another.
        if let Some(first) = known.first() {
            let ask = asker(&keys, route, &format!("{first}=1&nothing=1"));
            server.ask(&ask).refused(400, "query_invalid");
        }
        for name in known {
            let reply = server.ask(&asker(&keys, route, &format!("{name}=1")));
            assert!(!reply.text().contains("no such parameter"), "{}?{name}: {}", route.id, reply.text());
            assert!(!reply.text().contains("unknown field"), "{}?{name}: {}", route.id, reply.text());
        }
    }
}

#[test]
fn what_would_write_is_not_asked_to_try() {
    let server = Server::founded(42);
    let operator = server.api_key(Whom::Operator, Role::Operator);
    let ask = Ask::post("/v1/wallets?dry_run=true").key(&operator);
    let ask = ask.json(&serde_json::json!({"alias": "card-900042"}));
    let problem = server.ask(&ask).refused(400, "query_invalid");
    assert_eq!(problem["detail"], "dry_run: no such parameter here; it takes none");
    let none = server.get_as(&operator, "/v1/wallets?alias=card-900042");
    assert!(
        none.status != 200 || none.json()["items"].as_array().is_none_or(Vec::is_empty),
        "{}",
        none.text()
    );
}
