//! What everybody may look up: brands, participants, keys, units, prices, acceptance. All of it stands in public
//! entries of the log.

use super::call::service;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use crate::book::{self, KeyState, Name, Principal, Record};
use crate::reading::{Sort, list};
use crate::sign::PublicKey;
use crate::types::{BrandId, Currency, Ident, Kid, ParticipantId, Points, UnitCode, b64};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

pub(super) fn nothing(what: &str) -> Problem {
    Problem::about(Code::NotFound, format!("there is no such {what}"))
}

/// A page of a list of state, each record made into what is shown.
async fn listed<T: Serialize + Send + 'static>(
    request: HttpRequest,
    query: Query<PageQuery>,
    sort: Sort,
    name: &'static str,
    show: fn(Name, Record) -> Option<T>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>(name)?.unwrap_or_default());
    service.wait_for(min_seq(request.headers())?).await?;
    let found = web::block(move || Ok::<_, Problem>(list(&**service.engine().read(), sort, &after, limit)?));
    let found = found.await.map_err(Problem::fault)??;
    let next = found.next.map(|next| cursor(name, &next));
    let items = found.items.into_iter().filter_map(|item| show(item.name, item.record)).collect();
    Ok(page(&request, found.as_of.map(|place| place.seq), &Page { items, next }))
}

/// A brand.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Brand {
    /// Its id.
    brand: BrandId,
    /// The legal entity that answers for its points.
    participant: ParticipantId,
    /// Its root key, by thumbprint.
    root: Kid,
    /// The key that may replace a lost root.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Kid>,
    /// Nothing new while true.
    frozen: bool,
}

fn brand(name: Name, record: Record) -> Option<Brand> {
    let (Name::Brand(id), Record::Brand(brand)) = (name, record) else { return None };
    let book::Brand { participant, root, frozen } = brand;
    Some(Brand { brand: id, participant, root: root.root, recovery: root.recovery, frozen })
}

/// List brands
///
/// All brands of the network, by id.
#[utoipa::path(get, path = "/v1/brands", tag = "brands", operation_id = "listBrands", params(PageQuery),
    responses((status = 200, description = "The brands.", body = Page<Brand>)))]
pub async fn brands(request: HttpRequest, query: Query<PageQuery>) -> Result<HttpResponse, Problem> {
    listed(request, query, Sort::Brands, "brands", brand).await
}

/// One record of state, made into what is shown.
pub(super) async fn one<T: Serialize>(
    request: &HttpRequest,
    name: Name,
    what: &str,
    show: impl Fn(Name, Record) -> Option<T>,
) -> Result<HttpResponse, Problem> {
    let service = service(request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let seq = service.engine().progress().state.checked_sub(1);
    let record = service.record(&name)?.ok_or_else(|| nothing(what))?;
    let shown = show(name, (*record).clone()).ok_or_else(|| nothing(what))?;
    Ok(json(seq, &shown))
}

/// Show a brand
///
/// Its participant and its root key.
#[utoipa::path(get, path = "/v1/brands/{brand}", tag = "brands", operation_id = "getBrand",
    params(("brand" = BrandId, Path, description = "Its id.")),
    responses((status = 200, description = "The brand.", body = Brand)))]
pub async fn get_brand(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id.parse().map_err(|_| nothing("brand"))?;
    one(&request, Name::Brand(id), "brand", brand).await
}

/// A participant.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Participant {
    /// Its id.
    participant: ParticipantId,
    /// The currency that it settles in.
    currency: Currency,
    /// The brand that speaks for it: the first that was registered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<BrandId>,
}

fn participant(name: Name, record: Record) -> Option<Participant> {
    let (Name::Participant(id), Record::Participant(record)) = (name, record) else { return None };
    Some(Participant { participant: id, currency: record.currency, speaker: record.speaker })
}

/// List participants
///
/// All legal entities of the network, by id.
#[utoipa::path(get, path = "/v1/participants", tag = "brands", operation_id = "listParticipants", params(PageQuery),
    responses((status = 200, description = "The participants.", body = Page<Participant>)))]
pub async fn participants(request: HttpRequest, query: Query<PageQuery>) -> Result<HttpResponse, Problem> {
    listed(request, query, Sort::Participants, "participants", participant).await
}

/// Show a participant
///
/// The currency that it settles in.
#[utoipa::path(get, path = "/v1/participants/{participant}", tag = "brands", operation_id = "getParticipant",
    params(("participant" = ParticipantId, Path, description = "Its id.")),
    responses((status = 200, description = "The participant.", body = Participant)))]
pub async fn get_participant(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id.parse().map_err(|_| nothing("participant"))?;
    one(&request, Name::Participant(id), "participant", participant).await
}

/// What a till's key is for.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Till {
    /// The shop.
    store: Ident,
    /// The till.
    till: Ident,
    /// The legal entity that the shop belongs to.
    participant: ParticipantId,
}

/// A key.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Key {
    /// Its thumbprint.
    kid: Kid,
    /// The key.
    key: PublicKey,
    /// What it may sign.
    #[schema(example = "issuing")]
    purpose: &'static str,
    /// Whose it is: `op`, or a brand.
    #[schema(example = "br_harvest")]
    owner: String,
    /// Whether it may sign.
    state: KeyState,
    /// First instant of validity, in Unix seconds.
    from: u64,
    /// First instant after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// For a till's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    till: Option<Till>,
    /// Whether the network holds it for its owner: what it signs is asserted by the network.
    held: bool,
}

/// A key as everybody may see it. Keys of accounts stand in no public entry.
fn key(name: Name, record: Record) -> Option<Key> {
    let (Name::Key(kid), Record::Key(key)) = (name, record) else { return None };
    if matches!(key.owner, Principal::Account(_)) {
        return None;
    }
    Some(Key {
        kid,
        key: key.key,
        purpose: key.purpose.code(),
        owner: key.owner.to_string(),
        state: key.state,
        from: key.from,
        until: key.until,
        till: key.till.map(|till| Till { store: till.store, till: till.till, participant: till.participant }),
        held: key.held.is_some(),
    })
}

/// Show a key
///
/// Of a brand or the operator, by its thumbprint: what it is for, whose it is, whether it may sign.
#[utoipa::path(get, path = "/v1/keys/{kid}", tag = "keys", operation_id = "getKey",
    params(("kid" = Kid, Path, description = "Its thumbprint.")),
    responses((status = 200, description = "The key.", body = Key)))]
pub async fn get_key(request: HttpRequest, kid: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kid = kid.parse().map_err(|_| nothing("key"))?;
    one(&request, Name::Key(kid), "key", key).await
}

/// The keys of a brand, a page of them.
async fn keys_of(
    request: &HttpRequest,
    id: &str,
    query: &PageQuery,
) -> Result<(Vec<Key>, Option<String>, Option<u64>), Problem> {
    let brand: BrandId = id.parse().map_err(|_| nothing("brand"))?;
    let service = service(request)?;
    let (limit, after) = (query.limit()?, query.place::<Kid>("keys")?);
    service.wait_for(min_seq(request.headers())?).await?;
    service.record(&Name::Brand(brand.clone()))?.ok_or_else(|| nothing("brand"))?;
    let found = web::block(move || -> Result<_, Problem> {
        let kids = service.views.keys_of(&Principal::Brand(brand), after, limit)?;
        let mut keys = vec![];
        for kid in &kids.what {
            let record = service.record(&Name::Key(*kid))?;
            keys.extend(record.and_then(|record| key(Name::Key(*kid), (*record).clone())));
        }
        let next = kids.what.last().filter(|_| kids.what.len() == limit).map(|last| cursor("keys", last));
        Ok((keys, next, kids.as_of.map(|place| place.seq)))
    });
    found.await.map_err(Problem::fault)?
}

/// List the keys of a brand
///
/// All that its root certified, retired ones too.
#[utoipa::path(get, path = "/v1/brands/{brand}/keys", tag = "keys", operation_id = "listBrandKeys",
    params(("brand" = BrandId, Path, description = "Its id."), PageQuery),
    responses((status = 200, description = "The keys.", body = Page<Key>)))]
pub async fn keys(
    request: HttpRequest,
    id: web::Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let (items, next, seq) = keys_of(&request, &id, &query).await?;
    Ok(page(&request, seq, &Page { items, next }))
}

/// A key as a JWK.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Jwk {
    /// Its thumbprint.
    kid: Kid,
    /// `sig`.
    #[serde(rename = "use")]
    usage: &'static str,
    /// `EdDSA`.
    alg: &'static str,
    /// `OKP`.
    kty: &'static str,
    /// `Ed25519`.
    crv: &'static str,
    /// The key's 32 bytes in base64url.
    x: String,
}

/// A JWKS.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// The issuing keys of a brand as a JWKS
///
/// Those that may sign now: a convenience for JWT libraries. Proof is the certificate in the log.
#[utoipa::path(get, path = "/v1/brands/{brand}/jwks", tag = "keys", operation_id = "getBrandJwks",
    params(("brand" = BrandId, Path, description = "Its id.")),
    responses((status = 200, description = "The keys (RFC 7517).", body = Jwks)))]
pub async fn jwks(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (mut all, mut place, mut seq);
    let mut query = PageQuery { limit: Some(super::reply::MOST), cursor: None };
    (all, place, seq) = keys_of(&request, &id, &query).await?;
    while place.is_some() {
        query.cursor = place;
        let more;
        (more, place, seq) = keys_of(&request, &id, &query).await?;
        all.extend(more);
    }
    let signs = |key: &Key| key.purpose == "issuing" && key.state == KeyState::Active;
    let keys = all.into_iter().filter(signs);
    let keys = keys
        .map(|key| Jwk {
            kid: key.kid,
            usage: "sig",
            alg: "EdDSA",
            kty: "OKP",
            crv: "Ed25519",
            x: b64(key.key.as_bytes()),
        })
        .collect();
    Ok(json(seq, &Jwks { keys }))
}

/// Whose units a brand takes.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Acceptance {
    /// The brand.
    brand: BrandId,
    /// A higher version replaces a lower one.
    version: u64,
    /// The units, its own aside.
    units: Vec<book::AcceptedUnit>,
    /// For whose points it gives points of its own.
    exchange: Vec<book::ExchangeAccepted>,
    /// The next version, if one is announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<book::AnnouncedAcceptance>,
}

/// Show what a brand accepts
///
/// Whose units it takes, for payment and for exchange, and up to how much a day; its own are taken anyway.
#[utoipa::path(get, path = "/v1/brands/{brand}/acceptance", tag = "units", operation_id = "getAcceptance",
    params(("brand" = BrandId, Path, description = "Its id.")),
    responses((status = 200, description = "The list.", body = Acceptance)))]
pub async fn acceptance(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id.parse().map_err(|_| nothing("brand"))?;
    let at = service(&request)?.log_time()?;
    one(&request, Name::Acceptance(id), "list: the brand published none", |name, record| {
        let (Name::Acceptance(brand), Record::Acceptance(list)) = (name, record) else { return None };
        let book::Accepted { version, units, exchange } = list.at(at).clone();
        let next = list.next.filter(|next| next.list.version != version);
        Some(Acceptance { brand, version, units, exchange, next })
    })
    .await
}

/// A unit.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Unit {
    /// Its code.
    unit: UnitCode,
    /// Whose points they are.
    brand: BrandId,
    /// The version of these settings.
    version: u64,
    /// Decimal places of a point: amounts count the smallest.
    #[schema(example = 0, minimum = 0, maximum = 4)]
    scale: u8,
    /// Minutes from UTC: where its days begin and end.
    #[schema(example = 60)]
    offset_minutes: i16,
    /// When points expire.
    expiry: book::Expiry,
    /// Days before earned points can be spent.
    pending_days: u32,
    /// Days that points given back after their date live on.
    grace_days: u32,
    /// Most points ever issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue_cap: Option<Points>,
    /// Fewest points in a payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_spend: Option<Points>,
    /// Most points in which one shop's brand may offer bills in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_cap: Option<Points>,
    /// How long before they apply its prices are announced.
    notice: book::Notice,
    /// What a point is worth at the least, at home and at tills.
    floor: Vec<book::Floor>,
    /// What holds still, until these settings, which are worse for who has points, count too.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<book::Kept>,
    /// Nothing new while true.
    frozen: bool,
}

fn unit(name: Name, record: Record) -> Option<Unit> {
    let (Name::Unit(code), Record::Unit(unit)) = (name, record) else { return None };
    Some(Unit {
        unit: code,
        brand: unit.brand,
        version: unit.version,
        scale: unit.scale,
        offset_minutes: unit.offset,
        expiry: unit.expiry,
        pending_days: unit.pending_days,
        grace_days: unit.grace_days,
        issue_cap: unit.issue_cap,
        min_spend: unit.min_spend,
        offer_cap: unit.offer_cap,
        notice: unit.notice.unwrap_or(book::Notice::DEFAULT),
        floor: unit.floor,
        kept: unit.kept,
        frozen: unit.frozen,
    })
}

/// List units
///
/// All points of the network, by code.
#[utoipa::path(get, path = "/v1/units", tag = "units", operation_id = "listUnits", params(PageQuery),
    responses((status = 200, description = "The units.", body = Page<Unit>)))]
pub async fn units(request: HttpRequest, query: Query<PageQuery>) -> Result<HttpResponse, Problem> {
    listed(request, query, Sort::Units, "units", unit).await
}

/// Show a unit
///
/// Its settings: decimal places, where its days begin, when its points expire.
#[utoipa::path(get, path = "/v1/units/{unit}", tag = "units", operation_id = "getUnit",
    params(("unit" = UnitCode, Path, description = "Its code.")),
    responses((status = 200, description = "The unit.", body = Unit)))]
pub async fn get_unit(request: HttpRequest, code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let code = code.parse().map_err(|_| nothing("unit"))?;
    one(&request, Name::Unit(code), "unit", unit).await
}
