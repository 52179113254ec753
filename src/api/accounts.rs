//! Accounts: opened, read, found by a member number.

use super::call::Caller;
use super::prices::{Worth, worth};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book;
use crate::network::OpenAccount;
use crate::types::{AccountId, Date, Ident, Kid, PaymentId, Points, Time, UnitCode};
use crate::views::Moment;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// Open an account
///
/// By its own key, or by the brand's issuing key. An account that a first award opened gets its key this way too.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", operation_id = "openAccount",
    request_body = OpenAccount,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn open(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Points with the same last day.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Lot {
    /// How many.
    points: Points,
    /// The last day on which they can be spent; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Date>,
    /// The first day, if it is still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Date>,
}

/// An account.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Account {
    /// Its id.
    account: AccountId,
    /// Whose points it holds.
    unit: UnitCode,
    /// Points that can be spent now.
    available: Points,
    /// Points reserved for open payments.
    held: Points,
    /// Points that can be spent later.
    pending: Points,
    /// What a reversal could not take; later points repay it first.
    owed: Points,
    /// Whether nothing new may happen on it.
    frozen: bool,
    /// Its own key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Kid>,
    /// Its holder's membership tier, as the unit's brand says.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Ident>,
    /// With `worth`: what the points that can be spent now are worth, by currency.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    worth: Vec<Worth>,
    /// What is there, spent in this order.
    lots: Vec<Lot>,
    /// As of when.
    at: Time,
}

/// An account in the past.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Past {
    /// Its id.
    account: AccountId,
    /// Whose points it holds.
    unit: UnitCode,
    /// Available, held and pending points together, after everything up to then.
    #[schema(example = 120)]
    balance: i64,
    /// As of when: an instant, or the number of an entry.
    #[schema(example = "2017-06-30T23:59:59.000000Z")]
    as_of: String,
}

/// As of when.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AsOf {
    /// An instant, or the number of an entry; now if absent.
    #[param(example = "2017-06-30T23:59:59.000000Z")]
    as_of: Option<String>,
    /// Whether to say what the points that can be spent now are worth at the prices in force.
    #[serde(default)]
    worth: bool,
}

fn moment(service: &Service, text: &str) -> Result<Moment, Problem> {
    let seq = super::entries::place(text).map(Moment::Seq);
    let time = || text.parse().ok().map(Moment::Time);
    let wrong = "as_of: an instant such as 2017-06-30T23:59:59.000000Z, or the number of an entry";
    let moment = seq.or_else(time).ok_or_else(|| Problem::about(Code::QueryInvalid, wrong))?;
    // What is still to come may change what it would say.
    let ahead = match moment {
        Moment::Seq(seq) => seq >= service.engine().progress().committed,
        Moment::Time(at) => at > service.log_time()?,
    };
    if ahead {
        return Err(Problem::about(Code::QueryInvalid, format!("as_of: {text} is not over yet")));
    }
    Ok(moment)
}

/// The account of a path, newest, if the caller may see it; and the entry that it shows, or a later one.
async fn seen(
    service: &Service,
    caller: &Caller,
    id: &str,
) -> Result<(AccountId, book::Account, u64), Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such account, or it is not yours to see");
    let id: AccountId = id.parse().map_err(|_| nothing())?;
    let seen = service.engine().seen(id).await?;
    service.may_see_account(caller, id, seen.account().map(|record| record.head.unit))?;
    seen.account().map(|record| (id, record.clone(), seen.seq)).ok_or_else(nothing)
}

/// Show an account
///
/// What it holds now, or its balance in the past. For its holder, its unit's brand, and auditors.
#[utoipa::path(get, path = "/v1/accounts/{account}", tag = "accounts", operation_id = "getAccount",
    params(("account" = AccountId, Path, description = "Its id."), AsOf),
    responses((status = 200, description = "The account.", body = Shown)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<AsOf>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let least = min_seq(request.headers())?;
    match &query.as_of {
        // What it holds now is at hand as soon as it is committed; what it held is read from the views.
        None => service.wait_for_balances(least).await?,
        Some(_) => service.wait_for(least).await?,
    }
    let (id, mut record, seq) = seen(&service, &caller, &id).await?;
    let unit = record.head.unit;
    let AsOf { as_of, worth: valued } = query.into_inner();
    if let Some(as_of) = as_of {
        let moment = moment(&service, &as_of)?;
        let shown = web::block({
            let service = service.clone();
            move || service.views.balance_as_of(id, moment)
        });
        let shown = shown.await.map_err(Problem::fault)??;
        let past = Past { account: id, unit, balance: shown.what.unwrap_or(0), as_of };
        return Ok(json(shown.as_of.map(|place| place.seq), &Shown::Then(past)));
    }
    let at = service.log_time()?;
    record.settle(at);
    let today = at.date(record.head.offset);
    let lots = record.lots.iter().map(|book::Lot(bucket, points)| Lot {
        points: *points,
        until: bucket.0,
        from: bucket.1.filter(|from| *from > today),
    });
    let available = record.available(at);
    let worth = if valued { worth(&service, unit, available, at)? } else { vec![] };
    let account = Account {
        account: id,
        unit,
        available,
        held: record.held(),
        pending: record.pending(at),
        owed: record.head.owed,
        frozen: record.head.frozen,
        key: record.head.key,
        tier: record.head.tier,
        worth,
        lots: lots.collect(),
        at,
    };
    Ok(json(Some(seq), &Shown::Now(account)))
}

/// What an account is shown as.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountShown)]
#[serde(untagged)]
pub enum Shown {
    /// Now.
    Now(Account),
    /// With `as_of`.
    Then(Past),
}

/// Something that moved.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Moved {
    /// The entry.
    #[schema(example = 14485)]
    seq: u64,
    /// When.
    at: Time,
    /// The entry's kind.
    #[schema(example = "payment.authorised")]
    kind: &'static str,
    /// How many points: + came, − left.
    #[schema(example = -77)]
    amount: i64,
    /// Available, held and pending points after it.
    #[schema(example = 56)]
    balance: i64,
    /// Where they came from or went to.
    #[schema(example = "redeemed")]
    other: String,
    /// The payment that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentId>,
}

/// List what moved on an account
///
/// The newest first, with the balance after each.
#[utoipa::path(get, path = "/v1/accounts/{account}/movements", tag = "accounts", operation_id = "listMovements",
    params(("account" = AccountId, Path, description = "Its id."), PageQuery),
    responses((status = 200, description = "What moved.", body = Page<Moved>)))]
pub async fn movements(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let (id, ..) = seen(&service, &caller, &id).await?;
    let list = format!("movements/{id}");
    let (limit, before) = (query.limit()?, query.place::<u64>(&list)?);
    let shown =
        web::block(move || service.views.history(id, before, limit)).await.map_err(Problem::fault)??;
    let full = shown.what.len() == limit;
    let next = shown.what.last().filter(|_| full).map(|last| cursor(&list, &last.id));
    let items = shown.what.into_iter().map(|one| Moved {
        seq: one.seq,
        at: one.at,
        kind: one.kind.text(),
        amount: one.amount,
        balance: one.balance,
        other: one.other.to_string(),
        payment: one.payment,
    });
    Ok(page(&request, shown.as_of.map(|place| place.seq), &Page { items: items.collect(), next }))
}
