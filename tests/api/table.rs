//! The table of routes, the handlers and the document: they must be the same list.

use crate::common::http::{Ask, Server};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tallyhouse::api;
use tallyhouse::machine::{Carrier, Kind, Route};

/// The route's path with something in each parameter.
pub fn sample(route: &Route) -> String {
    let mut path = route.path.to_owned();
    let samples = [
        ("{brand}", "br_harvest"),
        ("{participant}", "pa_harvest"),
        ("{kid}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("{unit}", "HARVEST"),
        ("{seq}", "0"),
        ("{path...}", "0/000"),
        ("{account}", "ac_00000000000000000000000000"),
        ("{payment}", "py_0000000000000000_0"),
        ("{application}", "ap_00000000000000000000000000"),
        ("{api_key}", "ak_00000000000000000000000000"),
        ("{wallet}", "wa_00000000000000000000000000"),
    ];
    for (name, value) in samples {
        path = path.replace(name, value);
    }
    assert!(!path.contains('{'), "no sample for {path}");
    path
}

#[test]
fn every_route_has_a_handler() {
    let server = Server::founded(1);
    for route in Route::ALL {
        let reply = server.ask(&Ask::new(route.method.code(), sample(route)));
        let detail = if reply.code().is_empty() { Value::Null } else { reply.json()["detail"].clone() };
        let nothing = detail.as_str().is_some_and(|text| text.ends_with("is not a path of this API"));
        assert!(reply.status != 405 && !nothing, "{} {}: {}", route.method, route.path, reply.text());
    }
}
