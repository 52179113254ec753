//! The network: what it is, who asks, and what every code means.

use super::call::{Caller, Via, Whom, service};
use super::document::codes;
use super::problem::Problem;
use super::reply::json;
use crate::book::{Name, Record};
use crate::types::{Currency, Hash, ParticipantId, Time};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// A currency of the network.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NetworkCurrency)]
pub struct Money {
    /// Its code.
    code: Currency,
    /// Decimal places of the bank's smallest unit.
    #[schema(example = 2)]
    minor: u8,
    /// Decimal places of amounts here: the smallest unit that is counted.
    #[schema(example = 4)]
    scale: u8,
}

/// A network.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Network {
    /// Its id: the `aud` of everything signed.
    net: Hash,
    /// The log's name.
    #[schema(example = "demo.tallyhouse.example/log")]
    origin: String,
    /// The address that callers sign in `@target-uri`.
    #[schema(example = "http://127.0.0.1:8710")]
    address: String,
    /// The key that checks its checkpoints. Take it from elsewhere too: a verifier does not trust what it checks.
    log_key: String,
    /// Whether commands live on their own time (a sandbox), not on the clock's.
    driven: bool,
    /// Whether points are money's worth here.
    live: bool,
    /// Log time now: what `occurred_at`, `deadline` and `exp` are compared with.
    time: Time,
    /// How many of the operator's roots must sign.
    #[schema(example = 2)]
    threshold: u8,
    /// Its currencies.
    currencies: Vec<Money>,
    /// The operator's own participant, which bears what is written off and holds reserves.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<ParticipantId>,
    /// Entries of the log.
    #[schema(example = 15754)]
    entries: u64,
}

/// Show the network
///
/// Its id, which everything signed names as `aud`; the address to sign; what time it is in the log.
#[utoipa::path(get, path = "/v1/network", tag = "network", operation_id = "getNetwork",
    responses((status = 200, description = "The network.", body = Network)))]
pub async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let genesis = &service.genesis;
    let entries = service.engine().progress().committed;
    let record = service.record(&Name::Network)?;
    let money = |c: &crate::machine::CurrencySetting| Money { code: c.code, minor: c.minor, scale: c.scale };
    let network = Network {
        net: service.net(),
        origin: genesis.origin.clone(),
        address: service.settings.public.clone(),
        log_key: service.vkey.clone(),
        driven: genesis.driven,
        live: genesis.live,
        time: service.log_time()?,
        threshold: genesis.threshold,
        currencies: genesis.currencies.iter().map(money).collect(),
        operator: record.as_deref().and_then(Record::network).and_then(|network| network.operator.clone()),
        entries,
    };
    Ok(json(entries.checked_sub(1), &network))
}

/// Who asks.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    /// On whose behalf: `op`, a brand, an account, a wallet.
    #[schema(example = "br_harvest")]
    whom: String,
    /// As what.
    #[schema(example = "till")]
    role: &'static str,
    /// What these credentials may.
    scopes: Vec<&'static str>,
    /// The API key, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    /// The key that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<crate::types::Kid>,
}

/// Show who asks
///
/// What these credentials are and may.
#[utoipa::path(get, path = "/v1/me", tag = "network", operation_id = "getMe",
    responses((status = 200, description = "You.", body = Me)))]
pub async fn me(caller: Caller) -> Result<HttpResponse, Problem> {
    let whom = match &caller.whom {
        Whom::Operator => "op".to_owned(),
        Whom::Brand(brand) => brand.to_string(),
        Whom::Account(account) => account.to_string(),
        Whom::Wallet(wallet) => wallet.to_string(),
        Whom::Applicant(_) => "applicant".to_owned(),
    };
    let (api_key, key) = match &caller.via {
        Via::ApiKey(id) => (Some(id.clone()), None),
        Via::Signature(kid) => (None, Some(*kid)),
    };
    let scopes = caller.scopes.iter().map(|scope| scope.code()).collect();
    Ok(json(None, &Me { whom, role: caller.role.code(), scopes, api_key, key }))
}

/// What a code means.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Meaning {
    /// The code.
    #[schema(example = "insufficient_points")]
    code: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What a till should do: `fix_request`, `other_tender`, `retry` or `call_issuer`.
    #[schema(example = "other_tender")]
    action: &'static str,
    /// What it means and what to do.
    text: &'static str,
}

/// List all codes
///
/// Every refusal and every other problem, with what a till should do. Codes are only ever added.
#[utoipa::path(get, path = "/v1/refusals", tag = "network", operation_id = "listRefusals",
    responses((status = 200, description = "The codes.", body = Vec<Meaning>)))]
pub async fn refusals() -> HttpResponse {
    let meaning = |(code, status, action, text)| Meaning { code, status, action, text };
    HttpResponse::Ok().json(codes().into_iter().map(meaning).collect::<Vec<_>>())
}
