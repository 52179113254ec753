//! The table of routes, the handlers, the document and the tables of refusals: they must say the same.

use crate::common::http::{Ask, Server};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tallyhouse::api;
use tallyhouse::machine::{Kind, Method, Route};

/// A route's path with something in each parameter.
pub fn sample(route: &Route) -> String {
    let mut path = route.path.to_owned();
    let samples = [
        ("{brand}", "br_harvest"),
        ("{participant}", "pa_harvest"),
        ("{kid}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("{unit}", "HARVEST"),
        ("{seq}", "0"),
        ("{cycle}", "1"),
        ("{currency}", "EUR"),
        ("{instruction}", "ins_1.1"),
        ("{objection}", "obj_1.0"),
        ("{statement}", "s-1"),
        ("{dispute}", "dsp_1.0"),
        ("{complaint}", "cmp_1.0"),
        ("{matter}", "dsp_1.0"),
        ("{sha256}", "6d1f0a4f2a3d6a1d0c3b1f6f0f9f6c0e5a7f0f2b9c8d7e6f5a4b3c2d1e0f9a8b"),
        ("{path...}", "0/000"),
        ("{account}", "ac_00000000000000000000000000"),
        ("{payment}", "pay_1.0"),
        ("{consent}", "con_1.0"),
        ("{offer}", "off_1.0"),
        ("{exchange}", "exc_1.0"),
        ("{award}", "awd_1.0"),
        ("{application}", "app_00000000000000000000000000"),
        ("{api_key}", "ak_00000000000000000000000000"),
        ("{wallet}", "wa_00000000000000000000000000"),
    ];
    for (name, value) in samples {
        path = path.replace(name, value);
    }
    assert!(!path.contains('{'), "no sample for {path}");
    path
}

/// The operations of the document: method, path, the operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = vec![];
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
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
    for (method, path) in
        [("GET", "/v1"), ("GET", "/v2/brands"), ("POST", "/v1/nothing"), ("GET", "/v1/brands/")]
    {
        server.ask(&Ask::new(method, path)).refused(404, "not_found");
    }
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let server = Server::founded(1);
    let document = server.get("/openapi.json").expect(200);
    assert_eq!(document, api::document(), "what is served is what the program writes");
    let written: BTreeSet<(String, String, String)> = operations(&document)
        .into_iter()
        .map(|(method, path, operation)| {
            (method, path, operation["operationId"].as_str().expect("an id").into())
        })
        .collect();
    // Swagger UI is a page for people, not an operation.
    let routes = Route::ALL.iter().filter(|route| route.id != "getDocs");
    let table: BTreeSet<(String, String, String)> = routes
        .map(|route| (route.method.code().into(), route.path.replace("...}", "}"), route.id.into()))
        .collect();
    let missing: Vec<_> = table.difference(&written).collect();
    let other: Vec<_> = written.difference(&table).collect();
    assert!(missing.is_empty() && other.is_empty(), "missing: {missing:#?}; other: {other:#?}");
}

/// Whether a body or an answer shows what it looks like.
fn has_example(media: &Value) -> bool {
    ["example", "examples"].iter().any(|name| media.get(name).is_some_and(|example| !example.is_null()))
}

#[test]
fn every_operation_says_what_it_is_and_shows_it() {
    let document = api::document();
    let mut wrong = vec![];
    for (method, path, operation) in operations(&document) {
        let route = Route::of_id(operation["operationId"].as_str().expect("an id")).expect("a route");
        let mut lacks = |what: String| wrong.push(format!("{method} {path} lacks {what}"));
        for name in ["summary", "description"] {
            if operation[name].as_str().is_none_or(str::is_empty) {
                lacks(name.into());
            }
        }
        if operation["tags"].as_array().is_none_or(Vec::is_empty) {
            lacks("a tag".into());
        }
        if operation["x-scope"].as_str() != route.scope.map(|scope| scope.code()) {
            lacks("its scope".into());
        }
        if !operation.as_object().expect("an object").contains_key("security") {
            lacks("its credentials".into());
        }
        for (media, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let statements = body["schema"]["$ref"] == "#/components/schemas/StatementLines";
            if media == "application/json" && !has_example(body) {
                lacks(format!("an example of its body as {media}"));
            }
            if media == "application/jose" && !statements && !has_example(body) {
                lacks(format!("an example of its body as {media}"));
            }
        }
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            let Some(content) = answer["content"].as_object() else { continue };
            for (media, body) in content.iter().filter(|(media, _)| *media == "application/json") {
                // The document does not stand in itself.
                if !has_example(body) && route.id != "getOpenapi" {
                    lacks(format!("an example of its answer {status} as {media}"));
                }
            }
            if status.starts_with(['4', '5']) && answer["x-codes"].as_array().is_none_or(Vec::is_empty) {
                lacks(format!("the codes of {status}"));
            }
        }
        if !operation["responses"].as_object().expect("answers").contains_key("429")
            && !matches!(route.id, "getHealth" | "getReadiness")
        {
            lacks("429".into());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The codes that an operation is documented with.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let codes = |operation: &Value| -> BTreeSet<String> {
        let answers = operation["responses"].as_object().expect("answers").values();
        let lists = answers.filter_map(|answer| answer["x-codes"].as_array());
        lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let all = operations(document).into_iter();
    all.map(|(_, _, operation)| (operation["operationId"].as_str().expect("an id").into(), codes(&operation)))
        .collect()
}

/// The kinds that a row of the tables of refusals asks for. `raw` rows are no kind's own.
fn kind_of(row: &str) -> Option<Kind> {
    let words: Vec<&str> = row.split_whitespace().collect();
    Some(match *words.first()? {
        "participant" => Kind::ParticipantRegistered,
        "brand" => Kind::BrandRegistered,
        "certify" => Kind::KeyCertified,
        "revoke" => Kind::KeyRevoked,
        "revoke-account" => Kind::AccountKeyRevoked,
        "budget" => Kind::BudgetSet,
        "unit" => Kind::UnitDefined,
        "prices" => Kind::PricesPublished,
        "accept" => Kind::AcceptancePublished,
        "breakage" => Kind::BreakagePublished,
        "open" => Kind::AccountOpened,
        "freeze" | "release" => match words.get(1).copied() {
            Some("network") => Kind::NetworkFrozen,
            Some("brand") => Kind::BrandFrozen,
            Some("unit") => Kind::UnitFrozen,
            _ => Kind::AccountFrozen,
        },
        "erase" => Kind::EvidenceErased,
        "seal" => Kind::CycleSealed,
        "compute" => Kind::CycleComputed,
        "cycle" => Kind::CycleMoved,
        "object" => Kind::ObjectionFiled,
        "answer" => Kind::ObjectionAnswered,
        "import" => Kind::StatementImported,
        "bank-accept" => Kind::StatementAccepted,
        "bank-reject" => Kind::StatementRejected,
        "instruct" => Kind::InstructionMoved,
        "fund" => Kind::FundingSet,
        "reserve" => Kind::ReserveSet,
        "cover" => Kind::CoverMoved,
        "call" => Kind::MarginCalled,
        "netting" => Kind::NettingSet,
        "set-off" => Kind::CycleSetOff,
        "due" => Kind::DueConfirmed,
        "due-claim" => Kind::DueClaimed,
        "assign" => Kind::LineAssigned,
        "schedule" => Kind::ScheduleSet,
        "period" => Kind::PeriodClosed,
        "details" => Kind::DetailsSet,
        "details-confirm" => Kind::DetailsConfirmed,
        "dispute" => Kind::DisputeFiled,
        "dispute-move" => Kind::DisputeMoved,
        "complain" => Kind::ComplaintFiled,
        "complaint-move" => Kind::ComplaintMoved,
        "token" => Kind::PointsIssued,
        "batch" => Kind::PointsBatch,
        "claw-back" => Kind::PointsClawedBack,
        "authorise" => Kind::PaymentAuthorised,
        "capture" => Kind::PaymentCaptured,
        "void" => Kind::PaymentVoided,
        "refund" => Kind::PaymentRefunded,
        "take" => Kind::PaymentAuthorised,
        "want" | "offer" => Kind::OfferMade,
        "cancel" => Kind::OfferCancelled,
        "exchange" => Kind::ExchangeMade,
        "fees" => Kind::FeesPublished,
        "tax" => Kind::TaxPublished,
        "tier" => Kind::AccountTierSet,
        _ => return None,
    })
}

const TABLES: [&str; 13] = [
    include_str!("../refusals/evidence.txt"),
    include_str!("../refusals/network.txt"),
    include_str!("../refusals/points.txt"),
    include_str!("../refusals/offers.txt"),
    include_str!("../refusals/prices.txt"),
    include_str!("../refusals/payments.txt"),
    include_str!("../refusals/freezing.txt"),
    include_str!("../refusals/thieves.txt"),
    include_str!("../refusals/http.txt"),
    include_str!("../refusals/held.txt"),
    include_str!("../refusals/clearing.txt"),
    include_str!("../refusals/fees.txt"),
    include_str!("../refusals/funding.txt"),
];

#[test]
fn every_refusal_of_a_kind_is_documented_with_its_operations() {
    let codes = documented(&api::document());
    let (mut missing, mut seen) = (BTreeSet::new(), 0);
    for text in TABLES {
        let mut last = None;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some((row, status)) = line.split_once("->") else { continue };
            let row = match row.trim().strip_prefix("repeat ") {
                Some(row) => row.split_once(' ').expect("a row").1,
                None => row.trim(),
            };
            // `again` sends the row before once more.
            if !row.starts_with("again") {
                last = kind_of(row);
            }
            let Some(kind) = last else { continue };
            // A batch's status also tells lines' verdicts, `3:amount_too_small`: they are no refusals.
            for code in status.split_whitespace().filter(|word| *word != "ok" && !word.contains(':')) {
                seen += 1;
                for route in Route::ALL.iter().filter(|route| route.kind == Some(kind)) {
                    // A token is not taken as a signed request, an award is not taken as a statement alone; what
                    // both can be refused with is the same.
                    if !codes[route.id].contains(code) {
                        missing.insert(format!("{} ({kind}): {code}", route.id));
                    }
                }
            }
        }
    }
    assert!(seen > 300, "the tables were not read");
    assert!(missing.is_empty(), "not documented:\n{}", missing.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn documented_codes_are_codes() {
    let document = api::document();
    let known: BTreeSet<String> = Server::founded(1)
        .get("/v1/refusals")
        .expect(200)
        .as_array()
        .expect("a list")
        .iter()
        .map(|meaning| meaning["code"].as_str().expect("a code").to_owned())
        .collect();
    for (id, codes) in documented(&document) {
        let unknown: Vec<_> = codes.difference(&known).collect();
        assert!(unknown.is_empty(), "{id}: {unknown:?}");
        let route = Route::of_id(&id).expect("a route");
        if route.method == Method::Post && route.kind.is_some() {
            assert!(codes.contains("malformed") && codes.contains("rate_limited"), "{id}: {codes:?}");
        }
    }
}
