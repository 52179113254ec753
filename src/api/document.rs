//! The document: OpenAPI 3.1, written by the handlers and completed from the table of routes.
//!
//! Owns: what all operations have in common: credentials, scopes, carriers, what they can be refused with.
//! Promises: what stands in it is what the gate enforces and the machine refuses; the same program gives the
//! same bytes.
//! Refuses to know: single operations; examples of them stand in `document/examples.json`.

mod fields;
mod schemas;

use super::problem::{Code, Problem, Wrong, status};
use super::refusals::{self, waits};
use super::write::{JOSE, JSON, takes_batches};
use crate::machine::{Carrier, Kind, Method, Route, Scope};
use crate::types::Refusal;
use fields::reference;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::OpenApi;

/// Bodies and answers, by operation.
const EXAMPLES: &str = include_str!("document/examples.json");

const ABOUT: &str = "\
A points network that brands share. Brands issue points, consumers collect and spend them in any shop, what shops are \
owed is booked at once, and everything stands in one log that anybody can verify.

**Who asks.** Reading takes an API key (`Authorization: Bearer th_…`) or a signature; what is public takes neither. \
A write is signed: by an HTTP Message Signature (RFC 9421) over its arguments as JSON, or by sending the signed \
statements themselves, as JSON (`{\"jws\":[\"…\"]}`) or one compact JWS a line (`application/jose`); the two are the \
same. With an API key, the network signs with a key that it holds for you. What no API key may ever do (certify, give \
budgets, publish terms, freeze, make keys) is signed by the brand's root, or whoever it names: those operations do not \
list `api_key`.

**Which JSON.** The body of a signed request is arguments, always. Otherwise an object with a member `jws` is \
statements, which say themselves who made them, and nothing else may stand in it; no arguments have a member of that \
name.

**Signing a request.** Ed25519 over `@method`, `@target-uri`, `content-type`, `content-digest` (RFC 9530, sha-256), \
`idempotency-key`; parameters `created`, `expires` (at most 300 s later), `nonce` (16 characters or more), `keyid` \
(the key's RFC 7638 thumbprint) and `tag=\"tallyhouse-v1\"`. `tallyhouse sign` turns a request into a signed curl \
command.

**Once.** A write has an `Idempotency-Key`, the same for every retry: it takes effect once, and each retry gets the \
first answer.

**Nothing unheard.** A member of a body or a parameter that an operation does not know is refused by its name, so that \
what is misspelt never passes for left out.

**Amounts** of money are whole numbers of the network's smallest unit of the currency, as the log has them; what banks and \
people settle by (notices, orders, the lines of a bank's statement) is a decimal as text, `\"2.37\"`.

**Seen at once.** Lists, records and events follow a write within about a tenth of a second; balances at once. Who wants \
to see their own write sends `Min-Seq` with the `Tallyhouse-Seq` of its answer, and waits those milliseconds.

**No.** Problems are `application/problem+json` (RFC 9457) with a stable `code` and an `action` for tills; all \
codes stand at `/v1/refusals`.";

/// What the handlers wrote.
#[derive(OpenApi)]
#[openapi(
    info(title = "Tallyhouse", description = ABOUT, license(name = "Apache-2.0", identifier = "Apache-2.0")),
    servers((url = "/")),
    components(schemas(Problem, Wrong)),
    tags(
        (name = "network", description = "What the network is."),
        (name = "brands", description = "Brands and the legal entities behind them."),
        (name = "keys", description = "Keys, certificates, budgets."),
        (name = "units", description = "Points and their prices."),
        (name = "accounts", description = "Accounts and what moves on them."),
        (name = "awards", description = "How points come into being."),
        (name = "payments", description = "Points pay bills."),
        (name = "offers", description = "Amounts that are fixed before anybody agrees; exchange."),
        (name = "settlement", description = "What participants owe each other."),
        (name = "clearing", description = "Cycles: netting, instructions, bank statements, funding, disputes."),
        (name = "log", description = "Entries, proofs, events, the public log."),
        (name = "wallets", description = "People's sets of accounts."),
        (name = "access", description = "API keys, held keys, applications."),
        (name = "operations", description = "For those who run a node.")
    ),
    paths(
        super::operations::healthz,
        super::operations::readyz,
        super::operations::metrics,
        super::operations::openapi,
        super::network::get,
        super::network::me,
        super::network::refusals,
        super::tiles::checkpoint,
        super::tiles::tile,
        super::reference::brands,
        super::reference::get_brand,
        super::reference::jwks,
        super::reference::keys,
        super::reference::acceptance,
        super::reference::participants,
        super::reference::get_participant,
        super::reference::get_key,
        super::reference::units,
        super::reference::get_unit,
        super::prices::prices,
        super::prices::price_history,
        super::budgets::get,
        super::entries::list,
        super::entries::get,
        super::entries::proof,
        super::entries::events,
        super::brands::register_participant,
        super::brands::register,
        super::keys::certify,
        super::keys::revoke,
        super::keys::set_budget,
        super::keys::revoke_account_key,
        super::units::define,
        super::units::publish_prices,
        super::fees::fees,
        super::fees::history,
        super::fees::tax,
        super::fees::publish,
        super::fees::publish_tax,
        super::fees::set_tier,
        super::units::publish_acceptance,
        super::erasures::erase,
        super::freezes::network,
        super::freezes::brand,
        super::freezes::unit,
        super::freezes::account,
        super::accounts::open,
        super::accounts::get,
        super::accounts::movements,
        super::awards::token,
        super::awards::award,
        super::awards::claw_back,
        super::batches::awards,
        super::batches::payments,
        super::consents::open,
        super::consents::get,
        super::offers::make,
        super::offers::cancel,
        super::offers::exchange,
        super::offers::get,
        super::offers::get_exchange,
        super::awards::get,
        super::payments::authorise,
        super::payments::capture,
        super::payments::void,
        super::payments::refund,
        super::payments::get,
        super::payments::list,
        super::reconciliations::compare,
        super::settlement::obligations,
        super::settlement::flows,
        super::cycles::seal,
        super::cycles::compute,
        super::cycles::advance,
        super::cycles::object,
        super::cycles::answer,
        super::cycles::list,
        super::cycles::get,
        super::cycles::lines,
        super::clearing::import,
        super::clearing::accept,
        super::clearing::reject,
        super::clearing::assign,
        super::clearing::statements,
        super::clearing::get_statement,
        super::clearing::move_instruction,
        super::clearing::get_instruction,
        super::clearing::get_objection,
        super::clearing::set_funding,
        super::clearing::positions,
        super::funding::set_reserve,
        super::funding::move_cover,
        super::funding::unit_funding,
        super::funding::call_margin,
        super::funding::participant_exposure,
        super::funding::cover_steps,
        super::cycles::schedule,
        super::cycles::set_schedule,
        super::netting::get,
        super::netting::set,
        super::netting::set_off,
        super::netting::dues,
        super::netting::claim,
        super::netting::confirm,
        super::cycles::period,
        super::cycles::close_period,
        super::banking::report,
        super::banking::orders,
        super::banking::notices,
        super::banking::get_details,
        super::banking::set_details,
        super::banking::confirm_details,
        super::banking::keep_details,
        super::banking::match_statement,
        super::banking::read_status_report,
        super::disputes::file_dispute,
        super::disputes::move_dispute,
        super::disputes::get_dispute,
        super::disputes::file_complaint,
        super::disputes::move_complaint,
        super::disputes::get_complaint,
        super::disputes::complaints,
        super::breakage::publish,
        super::breakage::get,
        super::documents::add,
        super::documents::get,
        super::documents::erase,
        super::disputes::list,
        super::clearing::objections,
        super::accounting::owed,
        super::accounting::journal,
        super::accounting::charted,
        super::reports::age,
        super::reports::exposure,
        super::reports::default,
        super::applications::apply,
        super::applications::list,
        super::applications::get,
        super::applications::approve,
        super::api_keys::list,
        super::api_keys::create,
        super::api_keys::get,
        super::api_keys::revoke,
        super::held::list,
        super::held::create,
        super::held::forget,
        super::wallets::create,
        super::wallets::list,
        super::wallets::get,
        super::wallets::aliases,
        super::wallets::add_alias,
        super::wallets::accounts,
        super::wallets::add_account,
        super::wallets::resolve,
    )
)]
struct Written;

/// The document as it is served, the committed copy: to make it takes tens of MiB.
pub(super) const DOCUMENT: &str = include_str!("../../schemas/openapi.json");

/// The whole document, made. The committed copy is this one, which `tests/openapi.rs` holds.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Written::openapi()).unwrap_or_default();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    if let Some(components) = document["components"].as_object_mut() {
        if let Some(all) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            schemas::tidy(all);
            all.insert("StatementLines".into(), fields::statement_lines());
        }
        components.insert("securitySchemes".into(), fields::security());
        components.insert("parameters".into(), fields::parameters());
        components.insert("headers".into(), fields::headers());
        components.insert("examples".into(), problem_examples());
    }
    schemas::one_line(&mut document);
    let schemas = document["components"]["schemas"].clone();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut()) {
        for operation in item.values_mut().filter_map(Value::as_object_mut) {
            let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(route) = Route::of_id(&id) {
                complete(operation, route, &examples[&id], &schemas);
            }
        }
    }
    document
}

/// Completes an operation from its row in the table.
fn complete(operation: &mut Map<String, Value>, route: &Route, examples: &Value, schemas: &Value) {
    operation.insert("security".into(), security(route));
    if let Some(scope) = route.scope {
        operation.insert("x-scope".into(), json!(scope.code()));
        let about = operation.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = format!("{about}\n\nScope: `{}`.", scope.code());
        operation.insert("description".into(), json!(about.trim_start()));
    }
    let list = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    list.iter_mut().for_each(|parameter| fields::show(parameter, schemas));
    let pages = list.iter().any(|parameter| parameter["name"] == "cursor");
    list.extend(extra(route).into_iter().map(|name| reference("parameters", name)));
    if let Some(body) = operation.get_mut("requestBody") {
        self::body(body, route, &examples["request"]);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else { return };
    for answer in responses.values_mut() {
        success(answer, route, pages, &examples["answer"]);
    }
    if route.kind.is_some()
        && let Some(done) = responses.get("201")
    {
        let mut dry = done["content"].clone();
        if let Some(example) = dry.pointer_mut("/application~1json/example") {
            example["dry_run"] = json!(true);
        }
        let about = "With `dry_run=true`: what would be answered. Nothing was written.";
        let answer = responses.entry("200").or_insert_with(|| json!({"description": about, "content": {}}));
        answer["headers"] = headers(&["RequestId", "RateLimit"]);
        answer["content"][JSON] = dry[JSON].take();
    }
    for (status, codes) in problems(route, pages) {
        responses.insert(status.to_string(), problem(status, &codes));
    }
}

/// Whether an API key may do it at all.
fn by_api_key(route: &Route) -> bool {
    route.scope.is_none_or(Scope::for_api_keys)
}

/// How a caller says who they are. A statement says it itself.
fn security(route: &Route) -> Value {
    let (key, signature) = (json!({"api_key": []}), json!({"signature": [], "signature_input": []}));
    match route.carrier {
        Carrier::Nobody | Carrier::Statement => json!([]),
        Carrier::Optional => json!([{}, key, signature]),
        Carrier::Command if !by_api_key(route) => json!([signature, {}]),
        Carrier::Command => json!([key, signature, {}]),
        Carrier::Reader | Carrier::Vault if !by_api_key(route) => json!([signature]),
        Carrier::Reader | Carrier::Vault => json!([key, signature]),
    }
}

/// What an operation takes beside its own parameters.
fn extra(route: &Route) -> Vec<&'static str> {
    let mut extra = vec![];
    let logs = route.kind.is_some() || takes_batches(route);
    if logs {
        extra.push("IdempotencyKey");
    }
    if route.kind.is_some() && route.carrier == Carrier::Command && by_api_key(route) {
        extra.push("HeldKey");
    }
    if matches!(route.id, "authorisePayment" | "openConsent") {
        extra.push("Consents");
    }
    if route.id == "awardBatch" {
        extra.push("Batch");
    }
    if logs {
        extra.push("DryRun");
    }
    if route.kind.is_some() && !takes_batches(route) {
        extra.push("Time");
    }
    if route.kind.is_some() {
        extra.push("Prefer");
    }
    if route.method != Method::Get && matches!(route.carrier, Carrier::Command | Carrier::Vault) {
        extra.extend(["ContentDigest", "SignatureInput", "Signature"]);
    }
    if waits(route) {
        extra.push("MinSeq");
    }
    extra
}

/// A body: with its example; of a command, as statements too.
fn body(body: &mut Value, route: &Route, example: &Value) {
    body["required"] = json!(true);
    let Some(content) = body["content"].as_object_mut() else { return };
    if let Some(json) = content.get_mut(JSON)
        && !example.is_null()
    {
        json["example"] = example.clone();
    }
    if takes_batches(route) {
        return;
    }
    let statements = reference("schemas", "Statements");
    match route.carrier {
        Carrier::Command => {
            if let Some(schema) = content.get_mut(JSON).and_then(|json| json.get_mut("schema")) {
                *schema = json!({"oneOf": [schema.take(), statements]});
            }
        }
        Carrier::Statement => {
            let example = fields::statement_lines()["examples"][0].take();
            content.insert(JSON.into(), json!({"schema": statements, "example": {"jws": [example]}}));
        }
        _ => return,
    }
    content.insert(JOSE.into(), json!({"schema": reference("schemas", "StatementLines")}));
}

/// An answer that is what was asked for: with its headers and its example.
fn success(answer: &mut Value, route: &Route, pages: bool, example: &Value) {
    let mut names = vec!["RequestId"];
    if !matches!(route.id, "getHealth" | "getReadiness") {
        names.push("RateLimit");
    }
    if route.kind.is_some() {
        names.extend(["TallyhouseSeq", "IdempotencyReplayed", "PreferenceApplied"]);
    }
    if waits(route) || route.id == "getNetwork" {
        names.push("TallyhouseSeq");
    }
    if matches!(route.id, "authorisePayment" | "openConsent" | "makeOffer" | "exchange") {
        names.push("Location");
    }
    if pages {
        names.push("Link");
    }
    answer["headers"] = headers(&names);
    let example = match route.kind {
        Some(kind) => {
            let mut done = json!({"seq": 15_756, "kind": kind.text(), "at": "2018-01-03T19:40:12.000000Z"});
            if kind.text().starts_with("payment.") {
                done["payment"] = json!("pay_15756.0");
            }
            if kind == Kind::ConsentOpened {
                done["consent"] = json!("con_15756.0");
            }
            match kind {
                Kind::OfferMade => done["offer"] = example.clone(),
                Kind::ExchangeMade => done["exchange"] = json!("exc_15756.0"),
                _ => {}
            }
            done
        }
        None => example.clone(),
    };
    let content = answer["content"].as_object_mut().into_iter().flatten();
    for (_, media) in content.filter(|(media, _)| *media == JSON) {
        if !example.is_null() {
            media["example"] = example.clone();
        }
    }
}

fn headers(names: &[&str]) -> Value {
    let header = |name: &&str| (fields::header_name(name).to_owned(), reference("headers", name));
    Value::Object(names.iter().map(header).collect())
}

fn problem(status: u16, codes: &[&str]) -> Value {
    let text = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
    let examples = codes.iter().map(|code| ((*code).to_owned(), reference("examples", code)));
    let examples: Map<String, Value> = examples.collect();
    let names: &[&str] =
        if matches!(status, 429 | 500 | 503) { &["RequestId", "RetryAfter"] } else { &["RequestId"] };
    json!({
        "description": text,
        "x-codes": codes,
        "headers": headers(names),
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem"), "examples": examples}}
    })
}

/// Each code as the problem that it makes.
fn problem_examples() -> Value {
    let example = |(code, status, action, text): (&str, u16, &str, &str)| {
        let value = json!({
            "type": format!("/v1/refusals#{code}"), "title": text, "status": status, "code": code,
            "action": action, "request_id": "dakuXPhryovkcgPI"
        });
        (code.to_owned(), json!({"summary": code, "value": value}))
    };
    Value::Object(codes().into_iter().map(example).collect())
}

/// The codes that an operation can be answered with, by status.
fn problems(route: &Route, pages: bool) -> BTreeMap<u16, Vec<&'static str>> {
    let mut all: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    let mut add = |status: u16, code: &'static str| all.entry(status).or_default().push(code);
    for code in refusals::of_way(route).into_iter().chain(pages.then_some(Code::CursorInvalid)) {
        add(code.status().as_u16(), code.code());
    }
    for code in refusals::of(route) {
        add(status(code).as_u16(), Refusal::code(code));
    }
    for codes in all.values_mut() {
        codes.sort_unstable();
        codes.dedup();
    }
    all
}

/// Every code that there is, for `/v1/refusals`.
pub fn codes() -> Vec<(&'static str, u16, &'static str, &'static str)> {
    let refusals = Refusal::ALL.iter().map(|r| (r.code(), status(*r).as_u16(), r.action().code(), r.text()));
    let ways = Code::ALL.iter().map(|c| (c.code(), c.status().as_u16(), c.action().code(), c.text()));
    refusals.chain(ways).collect()
}
