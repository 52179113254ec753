//! API keys: made, listed, revoked; and who one is of, when it comes with a request.
//!
//! Promises: nobody makes a key of somebody else. A wallet's is made by the program that keeps the vault, as for a sandbox, and
//! by no request: a wallet has no key that could sign one. An account's key is no wallet's: the account's brand may have
//! registered it, and would read with it what the person has from all others.

use super::call::{Caller, Via, Whom};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, json, page};
use super::service::Service;
use super::write::Incoming;
use crate::machine::{Role, Scope};
use crate::types::{BrandId, Time};
use crate::vault::{self, ApiKey, NewApiKey, Presented, WalletId};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// The longest life of a key: a year, in seconds.
const YEAR: u64 = 365 * 86_400;

/// What an API key shall be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub struct Wanted {
    /// What you call it.
    #[schema(example = "web shop, read only", max_length = 100)]
    name: String,
    /// Its role: of a brand `brand_admin`, `brand_finance` or `till`; of the operator `operator`, `analyst` or
    /// `auditor`.
    #[schema(value_type = String, example = "till")]
    role: Role,
    /// What of the role it may; all that an API key can if absent.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["accounts:read", "payments:read"]))]
    scopes: Vec<Scope>,
    /// From when on it counts no more; in a year at the latest, and if absent.
    #[serde(default)]
    expires: Option<Time>,
    /// Your own brand, if you want to say so: nobody makes a key of somebody else.
    #[serde(default)]
    brand: Option<BrandId>,
}

/// An API key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ApiKey)]
pub struct Shown {
    /// Its public name.
    #[schema(value_type = String, example = "ak_2vtb9m0e3d5w7q9x1z4k6p8r0c")]
    id: String,
    /// Whose it is: `op`, a brand, a wallet.
    #[schema(example = "br_harvest")]
    whom: String,
    /// What its owner calls it.
    name: String,
    /// Its role.
    #[schema(example = "till")]
    role: String,
    /// What it may.
    scopes: Vec<String>,
    /// When it was made.
    created: Time,
    /// From when on it counts no more.
    expires: Time,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Time>,
    /// The key itself, told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "th_test_…")]
    secret: Option<String>,
}

fn shown(key: &ApiKey, secret: Option<String>) -> Shown {
    Shown {
        id: key.id.to_string(),
        whom: key.whom.to_string(),
        name: key.name.clone(),
        role: key.role.clone(),
        scopes: scopes(key).iter().map(|scope| scope.code().to_owned()).collect(),
        created: key.created,
        expires: key.expires,
        revoked: key.revoked,
        secret,
    }
}

fn role(key: &ApiKey) -> Option<Role> {
    key.role.parse().ok()
}

/// What a key may: of its role, what an API key can at all, and what it was limited to.
fn scopes(key: &ApiKey) -> Vec<Scope> {
    let all = role(key).map_or(&[][..], Role::scopes).iter().copied();
    all.filter(|scope| scope.for_api_keys())
        .filter(|scope| key.scopes.is_empty() || key.scopes.iter().any(|one| one == scope.code()))
        .collect()
}

/// Who presents a secret.
pub fn caller(service: &Service, secret: &str) -> Result<Caller, Problem> {
    let key = match service.vault.present(secret, service.clock.now()).map_err(Problem::fault)? {
        Presented::Valid(key) => key,
        Presented::Expired(_) | Presented::Revoked(_) => return Err(Code::ApiKeyExpired.into()),
        Presented::Unknown => return Err(Code::ApiKeyUnknown.into()),
    };
    let whom = match &key.whom {
        vault::Whom::Operator => Whom::Operator,
        vault::Whom::Brand(brand) => Whom::Brand(brand.clone()),
        vault::Whom::Wallet(wallet) => Whom::Wallet(*wallet),
    };
    let role = role(&key).ok_or_else(|| Problem::fault(format!("{} has no role", key.id)))?;
    Ok(Caller { whom, role, scopes: scopes(&key), via: Via::ApiKey(key.id.to_string()) })
}

/// Whether an API key, by its public name, counts now.
pub fn counts(service: &Service, id: &str) -> Result<bool, Problem> {
    let Ok(id) = id.parse() else { return Ok(false) };
    let key = service.vault.api_key(id).map_err(Problem::fault)?;
    Ok(key.is_some_and(|key| key.revoked.is_none() && service.clock.now() < key.expires))
}

/// Whose key somebody makes: their own. The operator makes none of a brand or a person: it would write with the key that
/// the vault holds for them, and the log would not show that it was another.
fn own(caller: &Caller, named: Option<&BrandId>) -> Result<vault::Whom, Problem> {
    match (&caller.whom, named) {
        (Whom::Operator, None) => Ok(vault::Whom::Operator),
        (Whom::Operator, Some(brand)) => {
            let sign = format!("`tallyhouse sign POST /v1/api-keys --as {brand}/root …`");
            let about = format!("brand: only the root of {brand} makes its keys: {sign}");
            Err(Problem::about(Code::NotYours, about))
        }
        (Whom::Brand(own), named) if named.is_none_or(|named| named == own) => {
            Ok(vault::Whom::Brand(own.clone()))
        }
        _ => Err(Code::NotYours.into()),
    }
}

/// Whose keys somebody looks at: their own; the operator also a brand's or a person's.
fn owner(caller: &Caller, brand: Option<BrandId>, wallet: Option<WalletId>) -> Result<vault::Whom, Problem> {
    Ok(match (&caller.whom, brand, wallet) {
        (_, Some(_), Some(_)) => return Err(Problem::about(Code::BodyInvalid, "brand, wallet: one of them")),
        (Whom::Operator, None, None) => vault::Whom::Operator,
        (Whom::Operator, Some(brand), None) => vault::Whom::Brand(brand),
        (Whom::Operator, None, Some(wallet)) => vault::Whom::Wallet(wallet),
        (Whom::Brand(own), named, None) if named.as_ref().is_none_or(|named| named == own) => {
            vault::Whom::Brand(own.clone())
        }
        _ => return Err(Code::NotYours.into()),
    })
}

/// Roles that keys of somebody can have.
fn roles(whom: &vault::Whom) -> &'static [Role] {
    match whom {
        vault::Whom::Operator => &[Role::Operator, Role::Analyst, Role::Auditor],
        vault::Whom::Brand(_) => &[Role::BrandAdmin, Role::BrandFinance, Role::Till],
        vault::Whom::Wallet(_) => &[Role::Consumer],
    }
}

/// Make an API key
///
/// The key is told once. It reads, and writes with keys that the network holds for its owner; it never approves,
/// certifies, raises limits or makes keys, so this request is signed: by the brand's root for the brand, by a root of the
/// operator for the operator. Nobody makes a key of somebody else. Holders have none made here: they sign what they ask for
/// with their accounts' keys. A wallet joins accounts of many brands, and no account's key speaks for it.
#[utoipa::path(post, path = "/v1/api-keys", tag = "access", operation_id = "createApiKey", request_body = Wanted,
    responses((status = 201, description = "The key, with its secret.", body = Shown)))]
pub async fn create(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let wanted: Wanted = incoming.json()?;
    let service = &incoming.service;
    let whom = own(&caller, wanted.brand.as_ref())?;
    if !roles(&whom).contains(&wanted.role) {
        let roles = roles(&whom).iter().map(|role| role.code()).collect::<Vec<_>>().join(", ");
        return Err(Problem::about(Code::BodyInvalid, format!("role: a key of {whom} is one of {roles}")));
    }
    for scope in &wanted.scopes {
        if !scope.for_api_keys() || !wanted.role.scopes().contains(scope) {
            let about = format!("scopes: {scope} is not for an API key of the role {}", wanted.role);
            return Err(Problem::about(Code::BodyInvalid, about));
        }
    }
    let now = service.clock.now();
    let latest = now.plus_seconds(YEAR);
    let expires = wanted.expires.unwrap_or(latest);
    if expires <= now || expires > latest {
        return Err(Problem::about(
            Code::BodyInvalid,
            format!("expires: after {now}, {latest} at the latest"),
        ));
    }
    let new = NewApiKey {
        whom,
        role: wanted.role.code().to_owned(),
        scopes: wanted.scopes.iter().map(|scope| scope.code().to_owned()).collect(),
        name: wanted.name,
        expires,
        live: service.genesis.live,
    };
    let (key, secret) = service.vault.create_api_key(new, now).map_err(super::wallets::vault_problem)?;
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(shown(&key, Some(secret))))
}

/// Whose keys are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhoseKeys {
    /// A brand's, if the operator asks.
    brand: Option<BrandId>,
    /// A person's, if the operator asks.
    #[param(value_type = Option<String>)]
    wallet: Option<WalletId>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List API keys
///
/// Without their secrets, which nobody has but their owners; the oldest first.
#[utoipa::path(get, path = "/v1/api-keys", tag = "access", operation_id = "listApiKeys", params(WhoseKeys),
    responses((status = 200, description = "The keys, those that were revoked too.", body = Page<Shown>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhoseKeys>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let WhoseKeys { brand, wallet, limit, cursor } = query.into_inner();
    let whom = owner(&caller, brand, wallet)?;
    let keys = service.vault.api_keys(&whom).map_err(Problem::fault)?;
    let (list, query) = (format!("api-keys/{whom}"), PageQuery { limit, cursor });
    let keys = Page::cut(keys, &list, &query, |key| (key.created, key.id), |key| shown(&key, None))?;
    Ok(page(&request, None, &keys))
}

/// The key of a path, if it is the caller's or the caller is the operator.
fn found(service: &Service, caller: &Caller, id: &str) -> Result<ApiKey, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such API key of yours");
    let key = service.vault.api_key(id.parse().map_err(|_| nothing())?).map_err(Problem::fault)?;
    let key = key.ok_or_else(nothing)?;
    let own = match (&caller.whom, &key.whom) {
        (Whom::Operator, _) => true,
        (Whom::Brand(own), vault::Whom::Brand(of)) => own == of,
        _ => false,
    };
    if own { Ok(key) } else { Err(nothing()) }
}

/// Show an API key
///
/// Without its secret.
#[utoipa::path(get, path = "/v1/api-keys/{api_key}", tag = "access", operation_id = "getApiKey",
    params(("api_key" = String, Path, description = "Its id.", example = "ak_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "The key.", body = Shown)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    Ok(json(None, &shown(&found(&service, &caller, &id)?, None)))
}

/// Revoke an API key
///
/// It counts no more from this answer on. Revoking again changes nothing. By its owner's root; a root of the operator may
/// revoke anybody's, as an emergency stop for a key that got into the wrong hands: nothing that it wrote is taken away, and
/// its owner makes another.
#[utoipa::path(delete, path = "/v1/api-keys/{api_key}", tag = "access", operation_id = "revokeApiKey",
    params(("api_key" = String, Path, description = "Its id.", example = "ak_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "The key, revoked.", body = Shown)))]
pub async fn revoke(incoming: Incoming, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let service = &incoming.service;
    let key = found(service, &caller, &id)?;
    let key = service.vault.revoke_api_key(key.id, service.clock.now()).map_err(Problem::fault)?;
    Ok(json(None, &shown(&key, None)))
}
