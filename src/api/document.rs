//! The document: OpenAPI 3.1, written by the handlers and completed from the table of routes.
//!
//! Owns: what all operations have in common: credentials, headers, scopes, what they can be refused with.
//! Promises: what stands in it is what the gate enforces and the machine refuses; the same program gives the
//! same bytes.
//! Refuses to know: single operations.

use super::problem::{Code, Problem, Wrong, status};
use super::refusals;
use super::write::takes_batches;
use crate::machine::{Carrier, Route};
use crate::types::Refusal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::OpenApi;

const ABOUT: &str = "\
A points network that brands share. Brands issue points, consumers collect and spend them in any shop, what shops are \
owed is booked at once, and everything stands in one log that anybody can verify.

**Who asks.** Reading takes an API key (`Authorization: Bearer th_…`) or a signature; what is public takes neither. \
A write is signed: by an HTTP Message Signature (RFC 9421) over a JSON body, or by sending the signed statements \
themselves (`application/jose`, one compact JWS a line). With an API key, the network signs with a key that it holds \
for you.

**Signing a request.** Ed25519 over `@method`, `@target-uri`, `content-type`, `content-digest` (RFC 9530, sha-256), \
`idempotency-key`; parameters `created`, `expires` (at most 300 s later), `nonce` (16 characters or more), `keyid` \
(the key's RFC 7638 thumbprint) and `tag=\"tallyhouse-v1\"`. `tallyhouse sign` turns a request into a signed curl \
command.

**Once.** A write has an `Idempotency-Key`, the same for every retry: it takes effect once, and each retry gets the \
first answer.

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
        (name = "settlement", description = "What participants owe each other."),
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
        super::reference::prices,
        super::reference::budget,
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
        super::units::publish_acceptance,
        super::freezes::network,
        super::freezes::brand,
        super::freezes::unit,
        super::freezes::account,
        super::accounts::open,
        super::accounts::get,
        super::accounts::movements,
        super::awards::token,
        super::awards::award,
        super::payments::authorise,
        super::payments::capture,
        super::payments::void,
        super::payments::refund,
        super::payments::get,
        super::payments::list,
        super::settlement::obligations,
        super::settlement::flows,
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
        super::wallets::create,
        super::wallets::get,
        super::wallets::aliases,
        super::wallets::add_alias,
        super::wallets::accounts,
        super::wallets::add_account,
        super::wallets::resolve,
    )
)]
struct Written;

/// The whole document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Written::openapi()).unwrap_or_default();
    let components =
        document.as_object_mut().map(|whole| whole.entry("components").or_insert_with(|| json!({})));
    if let Some(components) = components.and_then(Value::as_object_mut) {
        components.insert("securitySchemes".into(), security());
        components.insert("parameters".into(), parameters());
        components.insert("headers".into(), headers());
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut()) {
        for operation in item.values_mut().filter_map(Value::as_object_mut) {
            complete(operation);
        }
    }
    document
}

fn security() -> Value {
    json!({
        "api_key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "th_test_… or th_live_…",
            "description": "An API key. It reads; it writes with keys that the network holds."
        },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "An HTTP Message Signature (RFC 9421), together with Signature-Input."
        }
    })
}

fn header(name: &str, about: &str, example: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": about,
        "schema": {"type": "string"}, "example": example
    })
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": header("Idempotency-Key", "The write's id, your own: the same for every retry. Quoted or bare. \
            A statement (JWS) brings its own.", "01JB2Z7K9Q0V5W8X3N6M4T1RYE"),
        "Consents": header("Tallyhouse-Consents", "Consents of the holders (payment-consent+jwt), separated by commas.", ""),
        "Prefer": header("Prefer", "`return=proof`: the answer carries its proof.", "return=proof"),
        "MinSeq": {
            "name": "Min-Seq", "in": "header", "required": false,
            "description": "The answer shows this entry at least, or is 503.",
            "schema": {"type": "integer", "minimum": 0}
        },
        "DryRun": {
            "name": "dry_run", "in": "query", "required": false,
            "description": "Say what would happen, and write nothing.",
            "schema": {"type": "boolean", "default": false}
        }
    })
}

fn headers() -> Value {
    let integer = |about: &str| json!({"description": about, "schema": {"type": "integer", "minimum": 0}});
    let text = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    json!({
        "TallyhouseSeq": integer("The last entry that the answer shows; send it back as Min-Seq to see it at least."),
        "IdempotencyReplayed": text("`true`: this answer was given before."),
        "RateLimit": text("What is left, as `\"default\";r=…;t=…`."),
        "RetryAfter": integer("Seconds to wait.")
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Completes an operation from its row in the table.
fn complete(operation: &mut Map<String, Value>) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(route) = Route::of_id(&id) else { return };
    let secure = match route.carrier {
        Carrier::Nobody => json!([]),
        Carrier::Optional => json!([{}, {"api_key": []}, {"signature": []}]),
        Carrier::Statement => json!([]),
        Carrier::Reader | Carrier::Command | Carrier::Vault => json!([{"api_key": []}, {"signature": []}]),
    };
    operation.insert("security".into(), secure);
    if let Some(scope) = route.scope {
        operation.insert("x-scope".into(), json!(scope.code()));
        let about = operation.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = format!("{about}\n\nScope: `{}`.", scope.code());
        operation.insert("description".into(), json!(about.trim_start()));
    }
    let mut extra = vec![];
    if route.kind.is_some() || takes_batches(route) {
        extra.extend(["IdempotencyKey", "Prefer", "DryRun"]);
    }
    if route.id == "authorisePayment" {
        extra.push("Consents");
    }
    if matches!(route.carrier, Carrier::Reader | Carrier::Optional) {
        extra.push("MinSeq");
    }
    let list = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(extra.into_iter().map(|name| reference("parameters", name)));
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        for (status, codes) in problems(route) {
            let text = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
            responses.insert(status.to_string(), problem(&text, &codes));
        }
        responses.insert("default".into(), problem("Another problem.", &[]));
    }
}

fn problem(about: &str, codes: &[&str]) -> Value {
    let mut answer = json!({
        "description": about,
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem")}}
    });
    if !codes.is_empty() {
        answer["x-codes"] = json!(codes);
    }
    answer
}

/// The codes that an operation can be answered with, by status.
fn problems(route: &Route) -> BTreeMap<u16, Vec<&'static str>> {
    let mut all: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    let mut add = |status: u16, code: &'static str| all.entry(status).or_default().push(code);
    for code in refusals::of_way(route) {
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
