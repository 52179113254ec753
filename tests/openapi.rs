//! The OpenAPI document: it is complete, its examples are right, and the committed copy is what the program says.
//!
//! Owns: what must be said of every operation.
//! Promises: examples are read by the program's own types, and hold for the document's own schemas.
//! Refuses to know: how the operations answer; `tests/clients.rs` asks them.

mod common;

use common::tools::{accepts, python_script, rejects};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tallyhouse::api::document;
use tallyhouse::machine::{Carrier, Method, Route};
use tallyhouse::sign::Jws;
use tallyhouse::types::Refusal;
use tallyhouse::{clearing as c, network as n, payments as p, prices};

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// In the table of routes, and not in the document: a page for people.
const LEFT_OUT: [&str; 1] = ["getDocs"];

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json")
}

/// Each operation that is described, with its row in the table.
fn operations() -> Vec<(&'static Route, &'static Value)> {
    let mut all = vec![];
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            let route = Route::of_id(id).unwrap_or_else(|| panic!("{id} is not in the table"));
            assert_eq!(route.method.code().to_lowercase(), *method, "{id}");
            assert_eq!(route.path.replace("...}", "}"), *path, "{id}");
            all.push((route, operation));
        }
    }
    all
}

fn text<'a>(value: &'a Value, about: &str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{about}: no text, {value}"))
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(to) => DOCUMENT.pointer(to.strip_prefix('#').expect("local")).unwrap_or_else(|| panic!("{to}")),
        None => value,
    }
}

/// A schema of the document, with the components that it names.
fn validator(schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    whole["components"] = DOCUMENT["components"].clone();
    jsonschema::validator_for(&whole).expect("a schema")
}

/// What an object's schema lists, `allOf` included.
fn every_value(value: &Value, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            see(name, member);
            every_value(member, see);
        }),
        Value::Array(items) => items.iter().for_each(|item| every_value(item, see)),
        _ => {}
    }
}

#[test]
fn the_committed_document_is_what_the_program_says() {
    let made = serde_json::to_string_pretty(&*DOCUMENT).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|v| v == "1") {
        std::fs::write(file(), &made).expect("schemas can be written");
    }
    let have = std::fs::read_to_string(file()).expect("schemas/openapi.json is there");
    assert!(
        have == made,
        "schemas/openapi.json differs from what the program says; UPDATE_VECTORS=1 rewrites it"
    );
}

#[test]
fn a_validator_that_is_not_ours_accepts_the_document() {
    let said = accepts(python_script("openapi.py").arg(file()), "openapi.py");
    assert!(said.contains(&format!("{} operations", operations().len())), "{said}");
    let dir = tempfile::tempdir().expect("a folder");
    let spoiled = dir.path().join("openapi.json");
    let mut document = DOCUMENT.clone();
    document["paths"]["/v1/brands/{brand}"]["get"]["parameters"] = json!([]);
    std::fs::write(&spoiled, document.to_string()).expect("written");
    rejects(python_script("openapi.py").arg(&spoiled), "openapi.py");
}

#[test]
fn every_route_is_described() {
    let described: BTreeSet<&str> = operations().iter().map(|(route, _)| route.id).collect();
    let missing = Route::ALL.iter().map(|route| route.id).filter(|id| !described.contains(id));
    assert_eq!(missing.collect::<BTreeSet<_>>(), BTreeSet::from(LEFT_OUT));
}

#[test]
fn every_operation_is_complete() {
    let tags: BTreeSet<&str> =
        DOCUMENT["tags"].as_array().expect("tags").iter().map(|tag| text(&tag["name"], "a tag")).collect();
    for (route, operation) in operations() {
        let id = route.id;
        text(&operation["summary"], id);
        let description = text(&operation["description"], id);
        assert!(description.len() > 20, "{id}");
        // Whoever needs others' approvals is told how to make such a request.
        if description.contains("application/jose") && description.contains("pprove") {
            assert!(description.contains("--approve"), "{id}: {description}");
        }
        let own = operation["tags"].as_array().expect("tags");
        assert!(own.len() == 1 && tags.contains(text(&own[0], id)), "{id}: {own:?}");
        assert_eq!(operation["x-scope"].as_str(), route.scope.map(|scope| scope.code()), "{id}");
        let secure = operation["security"].as_array().expect("security");
        let open = secure.is_empty() || secure.contains(&json!({}));
        assert_eq!(open, !matches!(route.carrier, Carrier::Reader | Carrier::Vault), "{id}");
        for parameter in operation["parameters"].as_array().expect("parameters") {
            let parameter = resolved(parameter);
            text(&parameter["description"], id);
            let needed = parameter["required"] == true;
            assert_eq!(needed, parameter["in"] == "path", "{id}: {parameter}");
            // A form in a browser begins with what is needed, and with nothing else.
            assert_eq!(parameter.get("example").is_some(), needed, "{id}: {parameter}");
        }
        if route.method == Method::Post {
            assert_eq!(operation["requestBody"]["required"], true, "{id}");
        }
    }
}

#[test]
fn every_answer_is_described_with_its_codes() {
    let mut codes = BTreeSet::new();
    for (route, operation) in operations() {
        let id = route.id;
        let answers = operation["responses"].as_object().expect("responses");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{id}");
        assert!(!answers.contains_key("default"), "{id}: every status is named");
        for (status, answer) in answers {
            text(&answer["description"], id);
            for (_, header) in answer["headers"].as_object().expect("headers") {
                text(&resolved(header)["description"], id);
            }
            if status.starts_with('2') {
                continue;
            }
            let media = &answer["content"]["application/problem+json"];
            assert_eq!(media["schema"]["$ref"], "#/components/schemas/Problem", "{id} {status}");
            let named = answer["x-codes"].as_array().expect("codes");
            assert!(!named.is_empty(), "{id} {status}");
            let problem = validator(&media["schema"]);
            for code in named {
                let example = resolved(&media["examples"][text(code, id)]);
                assert!(problem.is_valid(&example["value"]), "{id} {code}: {example}");
                assert_eq!(example["value"]["status"].to_string(), *status, "{id} {code}");
                codes.insert(text(code, id).to_owned());
            }
        }
    }
    // A batch's lines are answered with verdicts, and two codes come before any operation.
    let all: BTreeSet<String> = Refusal::ALL.iter().map(|code| code.code().to_owned()).collect();
    let missing: Vec<&String> = all.difference(&codes).collect();
    assert_eq!(missing, Vec::<&String>::new(), "refusals that no operation names");
}

#[test]
fn every_example_is_right() {
    let (mut bodies, mut answers) = (0, 0);
    for (route, operation) in operations() {
        let id = route.id;
        if let Some(media) = operation["requestBody"]["content"].get("application/json") {
            let example = media.get("example").unwrap_or_else(|| panic!("{id}: no example"));
            if let Err(e) = validator(&media["schema"]).validate(example) {
                panic!("{id}: {e}: {example}");
            }
            if route.carrier == Carrier::Statement {
                for jws in example["jws"].as_array().expect("statements") {
                    Jws::parse(text(jws, id)).unwrap_or_else(|no| panic!("{id}: {no}"));
                }
            } else if route.kind.is_some() {
                reads(route, &example.to_string()).unwrap_or_else(|e| panic!("{id}: {e}"));
            }
            bodies += 1;
        }
        for (status, answer) in operation["responses"].as_object().expect("responses") {
            let Some(media) = answer["content"].get("application/json").filter(|_| status.starts_with('2'))
            else {
                continue;
            };
            if id == "getOpenapi" {
                continue;
            }
            let example = media.get("example").unwrap_or_else(|| panic!("{id} {status}: no example"));
            if let Err(e) = validator(&media["schema"]).validate(example) {
                panic!("{id} {status}: {e}: {example}");
            }
            answers += 1;
        }
    }
    assert!(bodies >= 27 && answers >= 60, "{bodies} bodies, {answers} answers");
}

/// Reads the arguments of a command, as the machine does.
fn reads(route: &Route, args: &str) -> Result<(), serde_json::Error> {
    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<(), serde_json::Error> {
        serde_json::from_str::<T>(text).map(drop)
    }
    match route.id {
        "registerParticipant" => read::<n::RegisterParticipant>(args),
        "registerBrand" => read::<n::RegisterBrand>(args),
        "revokeKey" | "revokeAccountKey" => read::<n::RevokeKey>(args),
        "defineUnit" => read::<n::DefineUnit>(args),
        "publishPrices" => read::<prices::PublishPrices>(args),
        "publishAcceptance" => read::<prices::PublishAcceptance>(args),
        "publishBreakage" => read::<prices::PublishBreakage>(args),
        "publishFees" => read::<prices::PublishFees>(args),
        "publishTax" => read::<prices::PublishTax>(args),
        "setTier" => read::<n::SetTier>(args),
        "eraseEvidence" => read::<n::EraseEvidence>(args),
        "sealCycle" => read::<c::SealCycle>(args),
        "computeCycle" => read::<c::ComputeCycle>(args),
        "moveCycle" => read::<c::MoveCycle>(args),
        "fileObjection" => read::<c::FileObjection>(args),
        "answerObjection" => read::<c::AnswerObjection>(args),
        "importStatement" => read::<c::ImportStatement>(args),
        "acceptStatement" => read::<c::AcceptStatement>(args),
        "rejectStatement" => read::<c::RejectStatement>(args),
        "moveInstruction" => read::<c::MoveInstruction>(args),
        "setBankDetails" => read::<c::SetDetails>(args),
        "confirmBankDetails" => read::<c::ConfirmDetails>(args),
        "setNetting" => read::<c::SetNetting>(args),
        "setOffCycle" => read::<c::SetOffCycle>(args),
        "confirmDue" => read::<c::ConfirmDue>(args),
        "claimDue" => read::<c::ClaimDue>(args),
        "assignLine" => read::<c::AssignLine>(args),
        "setSchedule" => read::<c::SetSchedule>(args),
        "closePeriod" => read::<c::ClosePeriod>(args),
        "setFunding" => read::<c::SetFunding>(args),
        "setReserve" => read::<c::SetReserve>(args),
        "moveCover" => read::<c::MoveCover>(args),
        "callMargin" => read::<c::CallMargin>(args),
        "fileDispute" => read::<c::FileDispute>(args),
        "moveDispute" => read::<c::MoveDispute>(args),
        "fileComplaint" => read::<c::FileComplaint>(args),
        "moveComplaint" => read::<c::MoveComplaint>(args),
        "freezeNetwork" => read::<n::FreezeNetwork>(args),
        "freezeBrand" => read::<n::FreezeBrand>(args),
        "freezeUnit" => read::<n::FreezeUnit>(args),
        "freezeAccount" => read::<n::FreezeAccount>(args),
        "openAccount" => read::<n::OpenAccount>(args),
        "award" => read::<tallyhouse::sign::AwardOrder>(args),
        "clawBack" => read::<tallyhouse::points::ClawBack>(args),
        "openConsent" => read::<p::OpenConsent>(args),
        "authorisePayment" => read::<p::Authorise>(args),
        "capturePayment" => read::<p::Capture>(args),
        "voidPayment" => read::<p::Void>(args),
        "refundPayment" => read::<p::Refund>(args),
        "makeOffer" => read::<p::MakeOffer>(args),
        "cancelOffer" => read::<p::CancelOffer>(args),
        "exchange" => read::<p::AgreeExchange>(args),
        id => panic!("{id} takes JSON, and nothing here reads it"),
    }
}

#[test]
fn bodies_are_closed_and_statements_are_an_alternative() {
    for (route, operation) in operations() {
        let id = route.id;
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        let lines = content.contains_key("application/jose");
        let taken = route.carrier == Carrier::Command
            || (route.carrier == Carrier::Statement && !route.path.ends_with(":batch"));
        assert_eq!(lines, taken, "{id}");
        let Some(json) = content.get("application/json") else { continue };
        let statements = json!({"$ref": "#/components/schemas/Statements"});
        let forms: Vec<&'static Value> = match json["schema"]["oneOf"].as_array() {
            Some(forms) => forms.iter().collect(),
            None => vec![&json["schema"]],
        };
        let wanted = match route.carrier {
            Carrier::Command => 2,
            _ => 1,
        };
        assert_eq!(forms.len(), wanted, "{id}");
        assert_eq!(forms.contains(&&statements), taken, "{id}: {forms:?}");
        for form in forms {
            let schema = resolved(form);
            assert_eq!(schema["additionalProperties"], false, "{id}");
            let properties = schema["properties"].as_object().expect("properties");
            for (name, property) in properties {
                text(&property["description"], &format!("{id} {name}"));
            }
            // What tells the two apart: see `statements` in `src/api/write.rs`.
            assert_eq!(properties.contains_key("jws"), *form == statements, "{id}");
        }
        // Each is one of the two, and never both.
        if wanted == 2 {
            let body = validator(&json["schema"]);
            assert!(body.is_valid(&json!({"jws": ["a.b.c"]})), "{id}");
            let mut both = json["example"].clone();
            both["jws"] = json!(["a.b.c"]);
            assert!(!body.is_valid(&both), "{id}");
        }
    }
}

#[test]
fn nothing_of_the_program_shows() {
    every_value(&DOCUMENT, &mut |name, value| {
        if let (Some(text), "description" | "summary" | "title") = (value.as_str(), name) {
            for wrong in ["[`", "::", "\n "] {
                assert!(!text.contains(wrong), "{name}: {text}");
            }
            assert!(!text.replace("\n\n", "").contains('\n'), "a line of a comment: {text}");
        }
        assert!(!(name == "type" && value.to_string().contains("null")), "what is absent is left out");
    });
}

#[test]
fn no_schema_hides_another() {
    let schemas = DOCUMENT["components"]["schemas"].as_object().expect("schemas");
    // A name that two types share would describe one of them twice.
    for vague in ["Shown", "Wanted", "Listed", "Which"] {
        assert!(!schemas.contains_key(vague), "{vague}");
    }
    assert_eq!(schemas["Money"]["type"], "integer");
    for (page, of) in schemas.keys().filter_map(|name| Some((name, name.strip_prefix("Page_")?))) {
        let item = &schemas[page]["properties"]["items"]["items"];
        assert_eq!(item["$ref"], format!("#/components/schemas/{of}"), "{page}");
    }
}
