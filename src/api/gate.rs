//! The gate: every request passes it, and nothing else looks at credentials.
//!
//! Owns: the request's id, the look-up in the table of routes, credentials, scopes, limits, the names in a query,
//! metrics, the line in the node's log.
//! Promises: a handler is reached only by who may; a problem names the request; a credential is in no log line.
//! Refuses to know: what handlers do.

use super::call::{Caller, Via, Whom, header, route, service};
use super::forward;
use super::limit::{Left, Who};
use super::nonce;
use super::problem::{Code, Problem};
use super::query;
use super::service::Service;
use crate::book::KeyRecord;
use crate::clock::Salts;
use crate::machine::{Carrier, Role, Route, Scope};
use crate::sign::{AHEAD, HttpFields, HttpMessage, HttpSigned, MAX_BODY};
use crate::types::{Kid, Refusal, Refused, b64};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError, web};
use futures_util::FutureExt;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::AssertUnwindSafe;
use std::time::Instant;

/// Names the request, in answers and in the node's own log.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// RFC 9421.
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// RFC 9421.
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// RFC 9530.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The command's id.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

thread_local! {
    /// Makes the ids of requests: asking the system for chance each time costs more than the rest of the gate.
    static IDS: RefCell<Salts> = RefCell::new(Salts::new());
}

/// Lets a request through, or not.
pub async fn pass<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let id = forward::id(request.request());
    let id = id.unwrap_or_else(|| b64(&IDS.with_borrow_mut(Salts::bytes::<12>)));
    let data = service(request.request())?;
    data.metrics.begun();
    // What answers GET answers HEAD; the body is left out when the answer is written.
    let looks = request.method() == Method::HEAD;
    let method = if looks { Method::GET } else { request.method().clone() };
    let found = Route::find(method.as_str(), request.path()).map(|(route, _)| route);
    let operation = found.map_or("none", |route| route.id);
    let mut admitted = match &found {
        Some(_) if data.seat.is_astray() && is_of_log(request.path()) => {
            Err(Problem::about(Code::Busy, ASTRAY))
        }
        Some(_)
            if is_of_log(request.path()) && data.is_stale() && !is_elsewhere(&data, request.request()) =>
        {
            Err(Code::Stale.into())
        }
        Some(route) => admit(&data, request.request(), route).await,
        // Swagger's files, and what is not there at all.
        None => draw(&data, request.request(), &stranger(request.request())),
    };
    if let (Ok(()), Some(route)) = (&admitted, found) {
        admitted = query::known(route, request.query_string());
    }
    let mut answer = match admitted {
        Ok(()) => {
            if let Some(route) = found {
                request.extensions_mut().insert(route);
            }
            let far = found.filter(|_| is_elsewhere(&data, request.request()));
            // What is handed on is signed as it came.
            if far.is_none() {
                request.head_mut().method = method;
            }
            let called = async {
                match far {
                    Some(route) => hand_on(request, route, &id).await,
                    None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
                }
            };
            // A handler that panics is a defect of its own request, not the end of the thread that serves others.
            let called = AssertUnwindSafe(called).catch_unwind().await;
            let panicked = |_| Err(Problem::fault("a handler panicked").of_request(&id).into());
            match called.unwrap_or_else(panicked) {
                Ok(answer) => answer,
                Err(error) => {
                    let status = error.as_response_error().status_code().as_u16();
                    data.metrics.ended(operation, status, Some(Code::Broken.code()), begun.elapsed());
                    return Err(error);
                }
            }
        }
        Err(problem) => request.error_response(problem),
    };
    let problem = settle(&data, &mut answer, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    let left = answer.request().extensions().get::<Left>().copied();
    if let Some(left) = left {
        left.write(answer.headers_mut());
    }
    let (status, took) = (answer.status().as_u16(), begun.elapsed());
    data.metrics.ended(operation, status, problem, took);
    if looks && answer.response().body().size() == BodySize::Stream {
        // A stream may have no end.
        answer = answer.map_body(|_, _| BoxBody::new(actix_web::body::None::new()));
    }
    tracing::info!(
        request = id,
        operation,
        status,
        code = problem,
        micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
    );
    Ok(answer)
}

/// Why a node answers nothing that comes out of its log.
const ASTRAY: &str = "the log here is not the one that was published; /readyz says more";

/// Whether the answer comes out of the log, or goes into it.
pub fn is_of_log(path: &str) -> bool {
    path.starts_with("/v1/") || path.starts_with("/tile/") || path == "/checkpoint"
}

/// Whether the writer must answer it, and that is another node.
fn is_elsewhere(service: &Service, request: &HttpRequest) -> bool {
    forward::is_for_writer(service, request) && !service.seat.is_writer()
}

/// Has the writer answer.
async fn hand_on(
    mut request: ServiceRequest,
    route: &'static Route,
    id: &str,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut payload = request.take_payload();
    let head = request.request().clone();
    Ok(match forward::forward(&head, &mut payload, route, id).await {
        Ok(answer) => request.into_response(answer),
        Err(problem) => request.error_response(problem),
    })
}

/// Counts what went wrong, and whoever asked without being known: their bucket is drawn on when it is clear that
/// nobody else's was. Returns the problem's code.
fn settle(service: &Service, answer: &mut ServiceResponse<BoxBody>, id: &str) -> Option<&'static str> {
    let problem = name_problem(answer, id);
    if problem.is_some_and(is_wrong) {
        service.limits.failed(address(answer.request()), service.engine().remote());
    }
    let unpaid = answer.request().extensions().get::<Unpaid>().is_some();
    let paid = answer.request().extensions().get::<Left>().is_some();
    if !unpaid || paid {
        return problem;
    }
    let request = answer.request().clone();
    match draw(service, &request, &stranger(&request)) {
        Ok(()) => problem,
        Err(refused) => {
            *answer = ServiceResponse::new(request, refused.error_response());
            name_problem(answer, id)
        }
    }
}

/// What says that a signature or a key was made up.
const WRONG: [&str; 3] = ["signature_invalid", "key_unknown", "api_key_unknown"];

/// Whether a problem says so.
pub fn is_wrong(code: &str) -> bool {
    WRONG.contains(&code)
}

/// Marks a request that is counted when it is known who sent it.
struct Unpaid;

/// Puts the request's id into a problem, and makes a problem of whatever else went wrong on the way.
fn name_problem(answer: &mut ServiceResponse<BoxBody>, id: &str) -> Option<&'static str> {
    let problem = match answer.response().error() {
        Some(error) => match error.as_error::<Problem>() {
            Some(problem) => problem.clone(),
            None if answer.status().is_server_error() => Problem::fault(error.to_string()),
            None => Problem::about(Code::QueryInvalid, error),
        },
        None => return None,
    };
    let code = problem.code();
    let named = problem.of_request(id).error_response();
    let request = answer.request().clone();
    *answer = ServiceResponse::new(request, named);
    Some(code)
}

/// Where it comes from. Of an IPv6 address the half that names a network: the other half is anybody's to choose.
pub fn address(request: &HttpRequest) -> IpAddr {
    let peer = || request.peer_addr().map(|peer| peer.ip());
    match forward::client(request).or_else(peer).map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

pub fn stranger(request: &HttpRequest) -> Who {
    Who::Address(address(request))
}

/// Takes one out of somebody's bucket; the answer's headers will say what is left. What a peer hands on was drawn on
/// where it came in.
pub fn draw(service: &Service, request: &HttpRequest, who: &Who) -> Result<(), Problem> {
    if forward::is_from_peer(request) {
        return Ok(());
    }
    let left = service.limits.draw(who, service.engine().remote());
    request.extensions_mut().insert(left);
    left.granted()
}

/// [`draw`] for a look-up of a member.
pub fn draw_resolve(service: &Service, request: &HttpRequest, caller: &Caller) -> Result<(), Problem> {
    let left = service.limits.draw_resolve(&who(caller, request), service.engine().remote());
    request.extensions_mut().insert(left);
    left.granted()
}

/// [`draw`] for an application to join, by address whoever asks.
pub fn draw_application(service: &Service, request: &HttpRequest) -> Result<(), Problem> {
    let left = service.limits.draw_application(&stranger(request));
    request.extensions_mut().insert(left);
    left.granted()
}

/// Whether somebody who was let in some time ago would be let in again: the API key or the key counts still.
pub fn counts_still(service: &Service, caller: &Caller) -> Result<bool, Problem> {
    match &caller.via {
        Via::ApiKey(id) => super::api_keys::counts(service, id),
        Via::Signature(kid) => {
            let (key, at) = service.key_now(*kid)?;
            Ok(crate::network::is_active(&key, at).is_ok())
        }
    }
}

/// Looks at credentials, as far as the head of the request shows them. A signature over a body is verified
/// when the body is there, in `call`.
async fn admit(service: &web::Data<Service>, request: &HttpRequest, route: &Route) -> Result<(), Problem> {
    if matches!(route.id, "getHealth" | "getReadiness") {
        return Ok(());
    }
    let signed = request.headers().contains_key(SIGNATURE_INPUT);
    let has_key = request.headers().contains_key(AUTHORIZATION);
    let reads = request.method().is_safe();
    // Statements in the body have signatures too.
    let later = !reads && !has_key && (signed || route.kind.is_some());
    if signed || has_key || later {
        service.limits.may_try(address(request))?;
    }
    // Its nonce is taken where it is answered.
    let elsewhere = is_elsewhere(service, request);
    let caller = match (signed, has_key) {
        (true, _) if reads && elsewhere => {
            let signed = read_signed(service, request, &[])?;
            signer(service, &signed)?;
            draw(service, request, &Who::Key(signed.kid().to_string()))?;
            return Ok(());
        }
        (true, _) if reads => Some(by_read(service, &read_signed(service, request, &[])?).await?),
        (true, _) => None,
        (false, true) => Some(by_api_key(service, request)?),
        (false, false) => None,
    };
    match &caller {
        Some(caller) => draw(service, request, &who(caller, request))?,
        None if later && forward::is_from_peer(request) => {}
        None if later => drop(request.extensions_mut().insert(Unpaid)),
        None => draw(service, request, &stranger(request))?,
    }
    let demanded = matches!(route.carrier, Carrier::Reader | Carrier::Vault) && !signed;
    match caller {
        Some(caller) => {
            if let Some(scope) = route.scope {
                caller.needs(scope)?;
            }
            request.extensions_mut().insert(caller);
        }
        None if demanded => return Err(Code::Unauthenticated.into()),
        None => {}
    }
    Ok(())
}

/// Whose bucket.
pub fn who(caller: &Caller, request: &HttpRequest) -> Who {
    match &caller.via {
        // Anybody can make one up.
        _ if matches!(caller.whom, Whom::Applicant(_)) => stranger(request),
        Via::ApiKey(id) => Who::Key(id.clone()),
        Via::Signature(kid) => Who::Key(kid.to_string()),
    }
}

fn by_api_key(service: &Service, request: &HttpRequest) -> Result<Caller, Problem> {
    let value = header(request, AUTHORIZATION)?.unwrap_or_default();
    let secret = match value.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => secret.trim(),
        _ => return Err(Problem::about(Code::Unauthenticated, "Authorization: Bearer th_… is wanted")),
    };
    if secret.starts_with("th_app_") {
        let (whom, scopes) = (Whom::Applicant(secret.to_owned()), vec![Scope::ApplicationsRead]);
        return Ok(Caller { whom, role: Role::BrandAdmin, scopes, via: Via::ApiKey("applicant".into()) });
    }
    super::api_keys::caller(service, secret)
}

/// The signed message of a request, fresh by this node's clock; its signature is not verified yet. What the log keeps has a
/// short body; of another the route has said how long it may be.
pub fn read_signed(service: &Service, request: &HttpRequest, body: &[u8]) -> Result<HttpSigned, Problem> {
    let public = &service.settings.public;
    let kept = route(request).map_or(true, |route| route.kind.is_some());
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let signed = HttpFields {
        method: request.method().as_str(),
        target_uri: &format!("{public}{target}"),
        content_type: header(request, CONTENT_TYPE)?,
        content_digest: header(request, CONTENT_DIGEST)?,
        idempotency_key: header(request, IDEMPOTENCY_KEY)?,
        authorization: header(request, AUTHORIZATION)?,
        signature_input: &joined(request, &SIGNATURE_INPUT)?,
        signature: &joined(request, &SIGNATURE)?,
        body,
    }
    .read_within(if kept { MAX_BODY } else { body.len() })?;
    signed.fresh(service.clock.now().seconds())?;
    Ok(signed)
}

/// A field that may stand in several lines.
fn joined(request: &HttpRequest, name: &HeaderName) -> Result<String, Problem> {
    let texts: Result<Vec<&str>, _> = request.headers().get_all(name).map(HeaderValue::to_str).collect();
    match texts {
        Ok(texts) => Ok(texts.join(", ")),
        Err(_) => Err(Problem::about(Code::HeaderInvalid, format!("{name} is not plain text"))),
    }
}

/// A signature that is not right is mostly one over another address: says over which it was verified.
pub fn explained(no: Refused, message: &HttpMessage) -> Problem {
    if no.code != Refusal::SignatureInvalid {
        return no.into();
    }
    let about = format!("{}; here @target-uri is {}", no.about, message.target_uri);
    Refused::about(no.code, about).into()
}

/// The key of a signature that is right; whether it was used before is another question.
pub fn signer(service: &Service, signed: &HttpSigned) -> Result<KeyRecord, Problem> {
    let (key, at) = service.key_now(signed.kid())?;
    crate::network::is_active(&key, at).map_err(Refused::from)?;
    signed.verify(&key.key).map_err(|no| explained(no, signed.message()))?;
    Ok(key)
}

/// Who signed what changes the vault: verifies the signature, and that it is the first request with this nonce that came
/// here. Whether it is the first at all the vault says: [`nonce::once`].
pub async fn by_change(service: &Service, signed: &HttpSigned) -> Result<Caller, Problem> {
    let (kid, key, now) = (signed.kid(), signer(service, signed)?, service.clock.now().seconds());
    service.nonces.first(None, &key.owner, kid, signed.nonce(), signed.expires(), now).await?;
    caller_of(&key, kid)
}

/// Who signed a read: verifies the signature, and that it is the first request with this nonce.
async fn by_read(service: &web::Data<Service>, signed: &HttpSigned) -> Result<Caller, Problem> {
    let kid = signed.kid();
    let key = signer(service, signed)?;
    let engine = service.engine();
    let remote = engine.remote();
    // What was signed before may have been taken before: by the one who was here then, whose nonces are forgotten.
    let began = if remote.is_none() { service.began.max(service.seat.wrote_since()) } else { service.began };
    if signed.created() < began {
        let about = "created: before this node began to remember signatures; sign again";
        return Err(Refused::about(Refusal::SignatureStale, about).into());
    }
    let now = service.clock.now().seconds();
    service.nonces.first(remote, &key.owner, kid, signed.nonce(), signed.expires(), now).await?;
    // By a clock that is ahead: it will not look as if it was signed before whoever comes next began. Nor does what
    // somebody before may have taken so.
    let ahead = signed.created() > now || signed.created() < began.saturating_add(AHEAD);
    if remote.is_none() && ahead {
        nonce::once(service, signed).await?;
    }
    caller_of(&key, kid)
}

fn caller_of(key: &KeyRecord, kid: Kid) -> Result<Caller, Problem> {
    let whom = Whom::of(&key.owner);
    let no_role = || {
        Problem::about(Code::ScopeMissing, format!("keys of the purpose {} sign no requests", key.purpose))
    };
    let role = Role::of_key(key.purpose, &key.owner).ok_or_else(no_role)?;
    Ok(Caller { whom, role, scopes: role.scopes().to_vec(), via: Via::Signature(kid) })
}
