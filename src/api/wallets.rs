//! Wallets: a person's accounts of many brands. Known to the vault only; no brand sees a wallet's id, and what a
//! brand asks for by a member's number is the account in its own unit.

use super::call::{Caller, Whom};
use super::gate;
use super::prices::{Worth, worth};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, json};
use super::service::Service;
use super::write::Incoming;
use crate::types::{AccountId, Points, UnitCode};
use crate::vault::{Fault, WalletId};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// What the vault says no to, and what broke in it.
pub fn vault_problem(fault: Fault) -> Problem {
    match fault {
        Fault::Alias(_) | Fault::TooMuch(_) | Fault::Term => Problem::about(Code::BodyInvalid, fault),
        Fault::NoWallet(_) | Fault::NoAccount(_) | Fault::Unknown { .. } => {
            Problem::about(Code::NotFound, fault)
        }
        Fault::AliasTaken(_) => Problem::about(Code::AlreadyTaken, "this alias belongs to somebody else"),
        Fault::TooManyOpen(_) | Fault::Decided(_) | Fault::DocumentErased(_) => {
            Problem::about(Code::AlreadyTaken, fault)
        }
        fault => Problem::fault(fault),
    }
}

/// Whose wallet somebody may look into: their own; the operator and its auditors each.
fn look(caller: &Caller, id: &str) -> Result<WalletId, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such wallet of yours");
    let wallet: WalletId = id.parse().map_err(|_| nothing())?;
    match &caller.whom {
        Whom::Wallet(own) if *own == wallet => Ok(wallet),
        Whom::Operator => Ok(wallet),
        _ => Err(nothing()),
    }
}

/// One unit in a wallet.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Pocket {
    /// The unit.
    unit: UnitCode,
    /// The account; it may have had no points yet.
    account: AccountId,
    /// Points that can be spent now.
    available: Points,
    /// Points reserved for open payments.
    held: Points,
    /// Points that can be spent later.
    pending: Points,
    /// What a reversal could not take.
    owed: Points,
    /// With `worth`: what the points that can be spent now are worth, by currency.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    worth: Vec<Worth>,
}

/// A wallet.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Wallet {
    /// Its id; never told to a brand.
    #[schema(value_type = String, example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c")]
    wallet: WalletId,
    /// A unit each.
    accounts: Vec<Pocket>,
}

async fn wallet(service: &Service, id: WalletId, valued: bool) -> Result<Wallet, Problem> {
    let at = service.log_time()?;
    let mut accounts = vec![];
    for (unit, account) in service.vault.accounts(id).map_err(Problem::fault)? {
        let seen = service.engine().seen(account).await?;
        let zero = Points::ZERO;
        let mut pocket =
            Pocket { unit, account, available: zero, held: zero, pending: zero, owed: zero, worth: vec![] };
        if let Some(mut record) = seen.account().cloned() {
            record.settle(at);
            let (available, held, pending) = (record.available(at), record.held(), record.pending(at));
            pocket = Pocket { available, held, pending, owed: record.head.owed, ..pocket };
        }
        if valued {
            pocket.worth = worth(service, unit, pocket.available, at)?;
        }
        accounts.push(pocket);
    }
    Ok(Wallet { wallet: id, accounts })
}

/// How a wallet is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Valued {
    /// Whether to say what the points that can be spent now are worth at the prices in force.
    #[serde(default)]
    worth: bool,
}

/// What a new wallet is called.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWallet {
    /// A name that finds it everywhere in the network, such as an e-mail address. A brand finds it by that only where it
    /// asks for names that hold everywhere: its own numbers are its own. Sealed in the vault; it stands in no entry of
    /// the log.
    #[serde(default)]
    #[schema(example = "h1058", max_length = 256)]
    alias: Option<String>,
}

/// Make a wallet
///
/// For the operator's consumer service. A wallet is made once for an alias: asked again, the same one is told.
#[utoipa::path(post, path = "/v1/wallets", tag = "wallets", operation_id = "createWallet", request_body = NewWallet,
    responses((status = 201, description = "The wallet.", body = Wallet)))]
pub async fn create(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    if caller.whom != Whom::Operator {
        return Err(Problem::about(Code::NotYours, "the operator's consumer service makes wallets"));
    }
    let NewWallet { alias } = incoming.json()?;
    let vault = &incoming.service.vault;
    let made = match alias {
        Some(alias) => vault.create_wallets(&[alias]).map(|mut all| all.pop()).map_err(vault_problem)?,
        None => Some(vault.create_wallet().map_err(vault_problem)?),
    };
    let id = made.ok_or_else(|| Problem::fault("no wallet was made"))?;
    Ok(HttpResponse::Created().json(wallet(&incoming.service, id, false).await?))
}

/// List wallets
///
/// The caller's own: a person's key has one, everybody else has none. The operator finds the wallet of an alias by
/// making it again.
#[utoipa::path(get, path = "/v1/wallets", tag = "wallets", operation_id = "listWallets",
    responses((status = 200, description = "The wallets.", body = Page<Wallet>)))]
pub async fn list(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let items = match caller.whom {
        Whom::Wallet(own) => vec![wallet(&service, own, false).await?],
        _ => vec![],
    };
    Ok(json(None, &Page { items, next: None }))
}

/// Show a wallet
///
/// What it holds of each unit, as of now.
#[utoipa::path(get, path = "/v1/wallets/{wallet}", tag = "wallets", operation_id = "getWallet",
    params(("wallet" = String, Path, description = "Its id.", example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c"), Valued),
    responses((status = 200, description = "The wallet.", body = Wallet)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<Valued>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let id = look(&caller, &id)?;
    service.wait_for(super::reply::min_seq(request.headers())?).await?;
    // Read before the accounts: what is shown of each is this entry or a later one.
    let seq = service.engine().newest();
    Ok(json(seq, &wallet(&service, id, query.worth).await?))
}

/// An alias.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name.
    #[schema(example = "h1058", max_length = 256)]
    alias: String,
}

/// List the aliases of a wallet
///
/// For its owner and the operator.
#[utoipa::path(get, path = "/v1/wallets/{wallet}/aliases", tag = "wallets", operation_id = "listAliases",
    params(("wallet" = String, Path, description = "Its id.", example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "The aliases.", body = Page<Alias>)))]
pub async fn aliases(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let id = look(&caller, &id)?;
    let all = service.vault.aliases(id).map_err(Problem::fault)?;
    Ok(json(None, &Page { items: all.into_iter().map(|alias| Alias { alias }).collect(), next: None }))
}

/// Give a wallet an alias
///
/// An alias that it has already changes nothing; one of somebody else is refused. Only the operator's consumer
/// service does this, after it made sure that the name is the person's. It takes nothing from a brand's own numbers: see
/// `/v1/accounts:resolve`.
#[utoipa::path(post, path = "/v1/wallets/{wallet}/aliases", tag = "wallets", operation_id = "addAlias",
    request_body = Alias,
    params(("wallet" = String, Path, description = "Its id.", example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 201, description = "The alias.", body = Alias)))]
pub async fn add_alias(incoming: Incoming, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let id = look(&caller, &id)?;
    // Whether somebody has a name is told to nobody who guesses names.
    if caller.whom != Whom::Operator {
        return Err(Problem::about(Code::NotYours, "the operator's consumer service gives aliases"));
    }
    let alias: Alias = incoming.json()?;
    incoming.service.vault.add_alias(id, &alias.alias).map_err(vault_problem)?;
    Ok(HttpResponse::Created().json(alias))
}

/// Which unit.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedAccount {
    /// The unit.
    unit: UnitCode,
}

/// An account's id.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NamedAccount {
    /// The unit.
    unit: UnitCode,
    /// The account: the log knows it from its first award, or when it is opened.
    account: AccountId,
}

fn unit_there(service: &Service, unit: UnitCode) -> Result<(), Problem> {
    match service.brand_of(unit)? {
        Some(_) => Ok(()),
        None => Err(crate::types::Refused::about(crate::types::Refusal::UnitUnknown, unit).into()),
    }
}

/// Give a wallet an account
///
/// Draws the account's id for a unit, if the wallet has none yet. The account is opened by its first award, or by
/// its own key.
#[utoipa::path(post, path = "/v1/wallets/{wallet}/accounts", tag = "wallets", operation_id = "addWalletAccount",
    request_body = WantedAccount,
    params(("wallet" = String, Path, description = "Its id.", example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 201, description = "The account.", body = NamedAccount)))]
pub async fn add_account(incoming: Incoming, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let id = look(&caller, &id)?;
    let WantedAccount { unit } = incoming.json()?;
    unit_there(&incoming.service, unit)?;
    let accounts = incoming.service.vault.ensure_accounts(&[(id, unit)]).map_err(vault_problem)?;
    let account = *accounts.first().ok_or_else(|| Problem::fault("no account was drawn"))?;
    Ok(HttpResponse::Created().json(NamedAccount { unit, account }))
}

/// List the accounts of a wallet
///
/// One for each unit that it was given.
#[utoipa::path(get, path = "/v1/wallets/{wallet}/accounts", tag = "wallets", operation_id = "listWalletAccounts",
    params(("wallet" = String, Path, description = "Its id.", example = "wa_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "The accounts.", body = Page<NamedAccount>)))]
pub async fn accounts(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let id = look(&caller, &id)?;
    let all = service.vault.accounts(id).map_err(Problem::fault)?;
    let items = all.into_iter().map(|(unit, account)| NamedAccount { unit, account }).collect();
    Ok(json(None, &Page { items, next: None }))
}

/// Whose account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Your number or name for a person. Sealed in the vault; it stands in no entry of the log.
    #[schema(example = "h1058", max_length = 256)]
    alias: String,
    /// One of your own units.
    unit: UnitCode,
    /// Whether it is a name that holds everywhere, such as an e-mail address, and not a number of your own: then, unless
    /// you know somebody by it, the wallet is meant to which the operator's consumer service gave that name.
    #[serde(default)]
    everywhere: bool,
}

/// Find a member's account
///
/// The account, in one of the brand's own units, of the person whom the brand knows by a number. There is always an
/// answer: for a number that nobody has, an account's id is drawn and remembered. So the answer does not tell
/// whether somebody is a member anywhere. A brand's numbers are its own; whoever has the same text as a name that holds
/// everywhere is meant only if it asks for that, with `everywhere`.
#[utoipa::path(post, path = "/v1/accounts:resolve", tag = "accounts", operation_id = "resolveAccount",
    request_body = Member,
    responses((status = 200, description = "The account.", body = NamedAccount)))]
pub async fn resolve(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    gate::draw_resolve(&incoming.service, &incoming.request, &caller)?;
    let Member { alias, unit, everywhere } = incoming.json()?;
    let brand = caller.brand().ok_or(Code::NotYours)?.clone();
    let service = &incoming.service;
    unit_there(service, unit)?;
    if service.brand_of(unit)?.as_ref() != Some(&brand) {
        return Err(Problem::about(Code::NotYours, format!("{unit} is another brand's")));
    }
    // Each is a durable write; the threads that serve everybody do not wait for it.
    let shared = incoming.service.clone();
    let found = web::block(move || shared.vault.resolve_one(&brand, &alias, unit, everywhere)).await;
    let account = found.map_err(Problem::fault)?.map_err(vault_problem)?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(NamedAccount { unit, account }))
}
