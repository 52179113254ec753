//! Prices: what a unit is worth, where, from when on; and what it was worth, by whose word and why.

use super::call::service;
use super::problem::Problem;
use super::query::Query;
use super::reference::{nothing, one};
use super::reply::{Page, PageQuery, cursor, min_seq, page};
use super::service::Service;
use crate::book::{self, Name, PriceFor, Record};
use crate::reading::history;
use crate::types::{Currency, Ident, Kid, Money, Points, Rate, Time, UnitCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// A version of prices.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Price {
    /// Its number.
    version: u64,
    /// In this currency.
    currency: Currency,
    /// First instant, in Unix seconds.
    from: u64,
    /// First instant after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// Through when it is kept for what was priced with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    verifiable_until: Option<u64>,
    /// What a point is worth at the issuer's own shops.
    home: Rate,
    /// What a consumer gets for it elsewhere.
    till: Rate,
    /// What the issuer pays the shop's participant.
    settle: Rate,
    /// The same, for some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settle_for: Vec<PriceFor>,
    /// What the issuer charges another participant for a point issued on its account.
    issue: Rate,
    /// The same, for some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issue_for: Vec<PriceFor>,
    /// Whether it is in force now.
    in_force: bool,
}

fn shown(price: book::Price, in_force: bool) -> Price {
    Price {
        version: price.version,
        currency: price.currency,
        from: price.from,
        until: price.until,
        verifiable_until: price.verifiable_until,
        home: price.home,
        till: price.till,
        settle: price.settle,
        settle_for: price.settle_for,
        issue: price.issue,
        issue_for: price.issue_for,
        in_force,
    }
}

/// The prices of a unit.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Prices {
    /// The unit.
    unit: UnitCode,
    /// Those in force and those announced, oldest first.
    versions: Vec<Price>,
    /// As of when.
    at: Time,
}

/// List the prices of a unit
///
/// Those in force and those announced. All that there ever were stand in its history.
#[utoipa::path(get, path = "/v1/units/{unit}/prices", tag = "units", operation_id = "listPrices",
    params(("unit" = UnitCode, Path, description = "Its code.")),
    responses((status = 200, description = "The prices.", body = Prices)))]
pub async fn prices(request: HttpRequest, code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let code: UnitCode = code.parse().map_err(|_| nothing("unit"))?;
    let at = service(&request)?.log_time()?;
    one(&request, Name::Prices(code), "price: the unit published none", |_, record| {
        let Record::Prices(prices) = record else { return None };
        let now = at.seconds();
        let versions = prices.versions.iter().map(|price| {
            let in_force = crate::prices::in_force(&prices.versions, price.currency, now);
            shown(price.clone(), in_force.is_some_and(|other| other.version == price.version))
        });
        Some(Prices { unit: code, versions: versions.collect(), at })
    })
    .await
}

/// What points are worth in one currency, at the prices in force.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Worth {
    /// The currency.
    currency: Currency,
    /// At the issuer's own shops, in the network's smallest unit of the currency, rounded down.
    home: Money,
    /// In others' shops.
    till: Money,
    /// The version of the prices.
    price: u64,
}

/// What points of a unit are worth at `at`, by currency.
pub(super) fn worth(
    service: &Service,
    unit: UnitCode,
    points: Points,
    at: Time,
) -> Result<Vec<Worth>, Problem> {
    let record = service.record(&Name::Prices(unit))?;
    let versions = record.as_deref().and_then(Record::prices).map_or(&[][..], |prices| &prices.versions);
    let mut currencies: Vec<Currency> = versions.iter().map(|price| price.currency).collect();
    currencies.sort_unstable();
    currencies.dedup();
    let of = |currency| {
        let price = crate::prices::in_force(versions, currency, at.seconds())?;
        let (home, till) = (price.home.money_floor(points)?, price.till.money_floor(points)?);
        Some(Worth { currency, home, till, price: price.version })
    };
    Ok(currencies.into_iter().filter_map(of).collect())
}

/// A version of prices as it was published.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PublishedPrice {
    /// The version.
    terms: Price,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Ident>,
    /// The key that signed.
    by: Kid,
    /// The keys of the two people who approved; none for a unit's first version.
    approved: Vec<Kid>,
    /// The entry.
    seq: u64,
    /// Its instant.
    at: Time,
}

/// Show the history of a unit's prices
///
/// Every version that was ever published, oldest first: who signed and approved it, when, and why.
#[utoipa::path(get, path = "/v1/units/{unit}/prices/history", tag = "units", operation_id = "listPriceHistory",
    params(("unit" = UnitCode, Path, description = "Its code."), PageQuery),
    responses((status = 200, description = "The versions.", body = Page<PublishedPrice>)))]
pub async fn price_history(
    request: HttpRequest,
    code: web::Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let code: UnitCode = code.parse().map_err(|_| nothing("unit"))?;
    let service = service(&request)?;
    let name = format!("prices/{code}");
    let (limit, after) = (query.limit()?, query.place::<String>(&name)?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    service.record(&Name::Unit(code))?.ok_or_else(|| nothing("unit"))?;
    let now = service.log_time()?.seconds();
    let found = web::block(move || -> Result<_, Problem> {
        let current = service.record(&Name::Prices(code))?;
        Ok((history(&**service.engine().read(), code, &after, limit)?, current))
    });
    let (found, current) = found.await.map_err(Problem::fault)??;
    let versions = current.as_deref().and_then(Record::prices).map_or(&[][..], |prices| &prices.versions);
    let item = |record: Record| {
        let Record::Published(published) = record else { return None };
        let book::Published { terms, reason, by, approved, seq, at } = *published;
        let in_force = crate::prices::in_force(versions, terms.currency, now);
        let in_force = in_force.is_some_and(|other| other.version == terms.version);
        Some(PublishedPrice { terms: shown(terms, in_force), reason, by, approved, seq, at })
    };
    let next = found.next.map(|next| cursor(&name, &next));
    let items = found.items.into_iter().filter_map(|found| item(found.record)).collect();
    Ok(page(&request, found.as_of.map(|place| place.seq), &Page { items, next }))
}
