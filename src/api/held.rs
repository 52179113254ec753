//! Held keys: how an API key writes. The network signs with a key whose private half its vault holds, so the
//! log shows who signed, and that it was the network that did.

use super::call::{Caller, Whom, header};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, json, page};
use super::service::Service;
use super::write::Incoming;
use crate::book::Name;
use crate::clock;
use crate::machine::{Kind, Request, Route};
use crate::sign::{Approval, HttpMessage, KeyCert, Purpose, Typ, sign as sign_jws};
use crate::types::{BrandId, Ident, Kid, Refusal, Refused, Time, b64, encode};
use crate::vault::{self, HeldKey, Holder, Signer};
use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which held key signs, if there are several of the purpose.
const HELD_KEY: HeaderName = HeaderName::from_static("tallyhouse-held-key");

/// The purpose of the key that signs a kind of command for an API key; `None`: a person signs it.
fn purpose(kind: Kind) -> Option<Purpose> {
    match kind {
        Kind::PointsIssued | Kind::AccountOpened => Some(Purpose::Issuing),
        Kind::ConsentOpened
        | Kind::PaymentAuthorised
        | Kind::PaymentCaptured
        | Kind::PaymentVoided
        | Kind::PaymentRefunded
        | Kind::OfferMade
        | Kind::OfferCancelled => Some(Purpose::Till),
        _ => None,
    }
}

/// Signs a request in the name of an API key's owner: as it came, as if the owner had signed it. What it is recognised
/// by, its path, id and body, is the same whenever and with whichever key it is signed, so a retry is a retry.
pub fn sign(
    incoming: &Incoming,
    caller: &Caller,
    route: &Route,
    id: &Ident,
    body: &str,
    consents: Vec<String>,
) -> Result<Request, Problem> {
    let service = &incoming.service;
    let by_people =
        || Problem::about(Code::HeldKeyMissing, "this operation is signed by its owner, never by a held key");
    let purpose = route.kind.and_then(purpose).ok_or_else(by_people)?;
    let Some(brand) = caller.brand() else { return Err(by_people()) };
    if body.is_empty() {
        return Err(Refused::about(Refusal::Malformed, "the body: empty, and a JSON object is wanted").into());
    }
    let signer = signer(incoming, &Holder::Brand(brand.clone()), purpose)?;
    let target = format!("{}{}", service.settings.public, route.path);
    let message = HttpMessage::post(target, id.to_string(), body);
    let nonce = b64(&clock::random::<16>());
    let message = message.sign(signer.secret(), service.clock.now().seconds(), &nonce);
    Ok(Request::signed(message, consents))
}

/// The held key that signs: the one that is named, else the newest that may.
fn signer(incoming: &Incoming, owner: &Holder, purpose: Purpose) -> Result<Arc<Signer>, Problem> {
    let service = &incoming.service;
    let missing = |about: String| Problem::about(Code::HeldKeyMissing, about);
    let held = |kid: Kid| service.vault.signer(kid).map_err(Problem::fault);
    if let Some(kid) = header(&incoming.request, HELD_KEY)? {
        let kid = kid.parse().map_err(|e| Problem::about(Code::HeaderInvalid, format!("{HELD_KEY}: {e}")))?;
        let found = held(kid)?.filter(|signer| signer.held.owner == *owner && signer.held.purpose == purpose);
        return found.ok_or_else(|| missing(format!("purpose: {purpose}; {kid} is not held for you")));
    }
    let mut keys = service.vault.held_keys(owner).map_err(Problem::fault)?;
    keys.retain(|key| key.purpose == purpose);
    let (mut ready, mut active) = (None, None);
    for key in keys.iter().rev().filter(|key| service.is_active(key.kid)) {
        active = active.or(Some(key.kid));
        // State may not show a budget yet that was given a moment ago: then the newest is tried.
        if purpose != Purpose::Issuing || service.record(&Name::Budget(key.kid))?.is_some() {
            ready = Some(key.kid);
            break;
        }
    }
    let found = ready.or(active).map(held).transpose()?.flatten();
    found.ok_or_else(|| {
        missing(match keys.last() {
            None => format!("purpose: {purpose}; none is held for {owner}"),
            Some(key) => {
                format!("purpose: {purpose}; the brand's root has not certified {} yet, or no more", key.kid)
            }
        })
    })
}

impl Service {
    /// Whether a key is certified and counts now.
    fn is_active(&self, kid: Kid) -> bool {
        self.key_now(kid).is_ok_and(|(key, at)| crate::network::is_active(&key, at).is_ok())
    }
}

/// What a held key shall be for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHeldKey)]
pub struct Wanted {
    /// `issuing` or `till`.
    #[schema(value_type = String, example = "issuing")]
    purpose: Purpose,
}

/// A held key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = HeldKey)]
pub struct Shown {
    /// Its thumbprint.
    kid: Kid,
    /// The public key: the brand's root certifies it, with `held` in the certificate.
    key: crate::sign::PublicKey,
    /// What it is for.
    #[schema(example = "issuing")]
    purpose: String,
    /// When it was made.
    created: Time,
}

impl From<&HeldKey> for Shown {
    fn from(held: &HeldKey) -> Self {
        Self { kid: held.kid, key: held.key, purpose: held.purpose.code().into(), created: held.created }
    }
}

/// Have the network hold a key
///
/// The network makes a key and holds it. The brand's root certifies it (`/v1/keys`), with `held` in the
/// certificate; the network itself adds the proof that it has the key. From then on API keys of the brand write with
/// it, within the caps of its certificate.
#[utoipa::path(post, path = "/v1/held-keys", tag = "access", operation_id = "createHeldKey", request_body = Wanted,
    responses((status = 201, description = "The key to certify.", body = Shown)))]
pub async fn create(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let wanted: Wanted = incoming.json()?;
    let Whom::Brand(brand) = caller.whom else {
        return Err(Problem::about(Code::NotYours, "keys are held for brands"));
    };
    if !matches!(wanted.purpose, Purpose::Issuing | Purpose::Till) {
        return Err(Problem::about(Code::BodyInvalid, "purpose: issuing or till"));
    }
    let service = &incoming.service;
    let held = service.vault.hold_key(Holder::Brand(brand), wanted.purpose, service.clock.now());
    Ok(HttpResponse::Created().json(Shown::from(&held.map_err(Problem::fault)?)))
}

/// Whose keys are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// A brand's, if the operator asks.
    brand: Option<BrandId>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List held keys
///
/// Their public halves, the oldest first.
#[utoipa::path(get, path = "/v1/held-keys", tag = "access", operation_id = "listHeldKeys", params(Whose),
    responses((status = 200, description = "The keys.", body = Page<Shown>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<Whose>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let Whose { brand, limit, cursor } = query.into_inner();
    let (brand, query) = (caller.brand_or(brand.as_ref())?.clone(), PageQuery { limit, cursor });
    let list = format!("held-keys/{brand}");
    let keys = service.vault.held_keys(&Holder::Brand(brand)).map_err(Problem::fault)?;
    let keys = Page::cut(keys, &list, &query, |key| (key.created, key.kid), |key| Shown::from(&key))?;
    Ok(page(&request, None, &keys))
}

/// What became of a key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ForgottenKey)]
pub struct Forgotten {
    /// Its thumbprint.
    kid: Kid,
    /// Whether the network holds it: no more.
    #[schema(example = false)]
    held: bool,
}

/// Forget a held key
///
/// The network destroys its private half: from this answer on nothing is signed with it, and who asks for it is refused
/// (`held_key_missing`). What it signed stays signed, and its certificate stays in the log: revoke it there too
/// (`/v1/keys/revocations`), for a copy of the vault that was made before still has the key. Forgetting again changes
/// nothing.
#[utoipa::path(delete, path = "/v1/held-keys/{kid}", tag = "access", operation_id = "forgetHeldKey",
    params(("kid" = Kid, Path, description = "The key's thumbprint.")),
    responses((status = 200, description = "The network does not hold the key.", body = Forgotten)))]
pub async fn forget(incoming: Incoming, kid: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let nothing = || Problem::about(Code::NotFound, "no such held key of yours");
    let Whom::Brand(brand) = caller.whom else {
        return Err(Problem::about(Code::NotYours, "keys are held for brands"));
    };
    let kid: Kid = kid.parse().map_err(|_| nothing())?;
    let owner = Holder::Brand(brand);
    let service = incoming.service.clone();
    // Old bytes of it are waited for, until no reader needs them.
    let forgotten = web::block(move || {
        let vault = &service.vault;
        let of_another = vault.signer(kid)?.is_some_and(|signer| signer.held.owner != owner);
        if of_another { Ok(false) } else { vault.forget_key(kid).map(|_| true) }
    });
    match forgotten.await.map_err(Problem::fault)?.map_err(|e: vault::Fault| Problem::fault(e))? {
        true => Ok(json(None, &Forgotten { kid, held: false })),
        false => Err(nothing()),
    }
}

/// Adds the proof that the network has a key that it holds to the key's certificate: an approval by that key.
pub fn prove_possession(service: &Service, jws: &mut Vec<String>) -> Result<(), Problem> {
    let [certificate] = jws.as_slice() else { return Ok(()) };
    let Ok(statement) = crate::sign::Jws::parse(certificate) else { return Ok(()) };
    if statement.typ() != Typ::KeyCert {
        return Ok(());
    }
    let Ok(cert) = statement.payload::<KeyCert>() else { return Ok(()) };
    let Some(signer) = service.vault.signer(cert.key.kid()).map_err(Problem::fault)? else { return Ok(()) };
    // The network proves only what its owner's own root asks for.
    if signer.held.owner.to_string() != cert.owner || signer.held.purpose != cert.purpose {
        return Ok(());
    }
    let approval = Approval { aud: service.net(), digest: statement.identity(), iat: None };
    jws.push(sign_jws(signer.secret(), Typ::Approval, &encode(&approval)));
    Ok(())
}
