//! Writes: a request becomes a command, the machine decides it, its answer goes back.
//!
//! Owns: the carriers of a command (statements, a signed request, an API key with a held key), the command's
//! id, dry runs, `Prefer: return=proof`.
//! Promises: one way for all writes to the log; what is answered was committed; a repeat gets the same answer. What a
//! body is follows from the request alone: see [`Incoming::statements`].
//! Refuses to know: what commands mean; but a file of orders is compared with what this node would make (`leaving`), since
//! the machine knows no files.

use super::call::{Caller, Whom, body, header, route, service, too_large};
use super::gate::{self, IDEMPOTENCY_KEY, SIGNATURE_INPUT, by_change, read_signed};
use super::leaving::Leaving;
use super::limit::Who;
use super::nonce;
use super::plain::Plain;
use super::problem::{Code, Problem};
use super::reply::SEQ;
use super::service::Service;
use crate::book::{Name, Principal};
use crate::engine::{Failure, Level};
use crate::log::Proof;
use crate::machine::{Answer, Body, Carrier, Command, Kind, Reader, Request, Route};
use crate::network::Asked;
use crate::sign::object;
use crate::types::{AccountId, Ident, Kid, Refusal, Refused, Time};
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a proof waits for what it shows.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a body with a document in it, which grows by a third.
const DOCUMENT: usize = crate::vault::MAX_DOCUMENT / 2 * 3;

/// Statements, one a line.
pub const JOSE: &str = "application/jose";
/// Arguments.
pub const JSON: &str = "application/json";
/// Lines of a batch.
pub const NDJSON: &str = "application/x-ndjson";
/// Consents of a payment that is signed by HTTP.
const CONSENTS: HeaderName = HeaderName::from_static("tallyhouse-consents");
/// The statement that signs a batch.
pub const BATCH: HeaderName = HeaderName::from_static("tallyhouse-batch");
/// In a network on its own time, the instant that a command of the operator's people brings.
const TIME: HeaderName = HeaderName::from_static("tallyhouse-time");
/// Most days that one command moves such a network on.
const MOST_DAYS: u64 = 366;
/// Says that the answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whether the body is a list of many things.
pub fn takes_batches(route: &Route) -> bool {
    route.path.ends_with(":batch")
}

/// Whether nothing shall be written. A wish that is not understood is no leave to write.
pub fn dry_run(request: &HttpRequest) -> Result<bool, Problem> {
    let mut pairs = request.query_string().split('&').filter(|pair| !pair.is_empty());
    pairs.try_fold(false, |dry, pair| match pair {
        "dry_run=true" => Ok(true),
        "dry_run=false" => Ok(dry),
        _ => Err(Problem::about(Code::QueryInvalid, "dry_run=true or dry_run=false, and nothing else")),
    })
}

/// The media types that a write takes, for people.
fn media_types(route: &Route) -> &'static str {
    if takes_batches(route) { NDJSON } else { "application/json or application/jose" }
}

/// Statements as JSON: the body of a write, or a line of a batch.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statements {
    /// The signed command, token or certificate, then what approves it or consents to it: compact JWSs.
    #[schema(max_items = 32, example = json!(["eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJleGFtcGxlIn0.c2ln"]))]
    pub jws: Vec<String>,
}

impl Statements {
    /// Reads them, from an object and from nothing else.
    pub fn read(body: &[u8]) -> Result<Vec<String>, Problem> {
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::about(Code::BodyInvalid, "an object with a member jws is wanted"));
        }
        super::wrong::read::<Self>(body).map(|all| all.jws)
    }
}

/// Whether a JSON body is an object with a member `jws`, whatever that is.
fn has_jws(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Seen {
        #[serde(rename = "jws")]
        _jws: IgnoredAny,
    }
    object::<_, Seen>(&mut serde_json::Deserializer::from_slice(body)).is_ok()
}

/// A request with its body.
pub struct Incoming {
    /// The service.
    pub service: web::Data<Service>,
    /// Its head.
    pub request: HttpRequest,
    /// Its place in the table.
    pub route: &'static Route,
    /// Its body.
    pub body: web::Bytes,
}

impl FromRequest for Incoming {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let service = service(&request)?;
            let route = route(&request)?;
            let settings = &service.settings;
            // A bank's statement is as long as a batch.
            let most = match route.id {
                _ if takes_batches(route) => settings.batch_bytes,
                "matchStatement" => settings.batch_bytes,
                "addDocument" => settings.body_bytes.max(DOCUMENT),
                _ => settings.body_bytes,
            };
            let declared = header(&request, CONTENT_LENGTH)?.and_then(|length| length.parse::<u64>().ok());
            if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most)) {
                return Err(too_large(most));
            }
            let body = body(&mut payload, most, Duration::from_millis(settings.body_ms)).await?;
            Ok(Self { service, request, route, body })
        })
    }
}

/// What a write to the log is answered.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Done {
    /// The machine's answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// Only a dry run: nothing was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// With `Prefer: return=proof`: what shows that the log contains the entry, and the parts of it that are the
    /// caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub proof: Option<Proof>,
}

/// A "no" to the evidence of a request.
fn refused(no: Failure, request: &Request) -> Problem {
    match (no, &request.http) {
        (Failure::Refused(no), Some(message)) => gate::explained(no, message),
        (no, _) => no.into(),
    }
}

/// Whose parts a proof shows.
enum Whose {
    Caller(Caller),
    Signer(Kid),
    Accounts(Vec<AccountId>),
}

impl Incoming {
    /// The media type of the body, without parameters.
    pub fn media_type(&self) -> Result<String, Problem> {
        let text = header(&self.request, CONTENT_TYPE)?.unwrap_or_default();
        Ok(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    pub(super) fn is_signed(&self) -> bool {
        self.request.headers().contains_key(SIGNATURE_INPUT)
    }

    /// Who asks, where the body has no signature of its own that the log keeps.
    pub async fn caller(&self) -> Result<Caller, Problem> {
        if self.is_signed() {
            let signed = read_signed(&self.service, &self.request, &self.body)?;
            let caller = by_change(&self.service, &signed).await?;
            gate::draw(&self.service, &self.request, &gate::who(&caller, &self.request))?;
            if let Some(scope) = self.route.scope {
                caller.needs(scope)?;
            }
            // Last, since it is written down.
            nonce::once(&self.service, &signed).await?;
            return Ok(caller);
        }
        let caller = self.api_caller();
        caller.ok_or_else(|| Code::Unauthenticated.into())
    }

    /// Whether an API key came with it, which the gate looked at.
    pub(super) fn has_api_key(&self) -> bool {
        self.api_caller().is_some()
    }

    /// Reads and verifies what is asked, without having it decided: who signed, and whether with a key that came along.
    pub(super) fn checked(&self) -> Result<(Kid, bool), Problem> {
        let request = self.to_machine()?;
        let command = self.service.engine().check(&request).map_err(|no| refused(no, &request))?;
        self.fits(&command)?;
        Ok((command.asked.kid, command.is_by_own_key()))
    }

    fn api_caller(&self) -> Option<Caller> {
        use actix_web::HttpMessage;
        self.request.extensions().get::<Caller>().cloned()
    }

    /// The body as JSON, for what the vault remembers.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.media_type()? != JSON {
            return Err(Problem::about(Code::MediaTypeUnsupported, JSON));
        }
        super::wrong::read(&self.body)
    }

    /// The id in the header, quoted or bare.
    fn id(&self) -> Result<Option<Ident>, Problem> {
        let Some(text) = header(&self.request, IDEMPOTENCY_KEY)? else { return Ok(None) };
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let wrong = |e| Problem::about(Code::HeaderInvalid, format!("Idempotency-Key: {e}"));
        bare.parse().map(Some).map_err(wrong)
    }

    fn consents(&self) -> Result<Vec<String>, Problem> {
        let texts = self.request.headers().get_all(CONSENTS).map(|value| value.to_str());
        let texts: Vec<&str> = texts
            .collect::<Result<_, _>>()
            .map_err(|_| Problem::about(Code::HeaderInvalid, "Tallyhouse-Consents: not plain text"))?;
        let all =
            texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
        Ok(all.map(str::to_owned).collect())
    }

    /// The statements that the body carries; `None` if it carries arguments.
    ///
    /// `application/jose` is statements. JSON is arguments where the request is signed: what is signed is what the
    /// log keeps, and whoever reads it there knows no other form. Otherwise JSON is statements where nothing else is
    /// taken, and where it has a member `jws`: no command's arguments have one, and nothing may stand beside it.
    fn statements(&self, media: &str) -> Result<Option<Vec<String>>, Problem> {
        match media {
            JOSE => Ok(Some(self.text()?.split_whitespace().map(str::to_owned).collect())),
            JSON if self.is_signed() || takes_batches(self.route) => Ok(None),
            JSON if self.route.carrier == Carrier::Statement || has_jws(&self.body) => {
                Ok(Some(Statements::read(&self.body)?))
            }
            _ => Ok(None),
        }
    }

    fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.body)
            .map_err(|_| Problem::about(Code::BodyInvalid, "the body is not UTF-8"))
    }

    /// The request to the machine, by its carrier.
    fn to_machine(&self) -> Result<Request, Problem> {
        let media = self.media_type()?;
        if let Some(batch) = header(&self.request, BATCH)?.filter(|_| takes_batches(self.route)) {
            let lines: Arc<[u8]> = Arc::from(&self.body[..]);
            return Ok(Request { jws: vec![batch.to_owned()], lines: Some(lines), ..Request::default() });
        }
        if let Some(mut jws) = self.statements(&media)? {
            if self.route.kind == Some(Kind::KeyCertified) {
                super::held::prove_possession(&self.service, &mut jws)?;
            }
            return Ok(Request::of(jws));
        }
        match media.as_str() {
            JSON if self.route.kind.is_some() && self.is_signed() => {
                let signed = read_signed(&self.service, &self.request, &self.body)?;
                Ok(Request { http: Some(signed.message().clone()), jws: self.consents()?, lines: None })
            }
            JSON if self.route.carrier == Carrier::Command => {
                let caller = self.api_caller().ok_or(Code::Unauthenticated)?;
                let id = self.id()?.ok_or(Code::IdempotencyKeyMissing)?;
                let consents = self.consents()?;
                super::held::sign(self, &caller, self.route, &id, self.text()?, consents)
            }
            _ => Err(Problem::about(Code::MediaTypeUnsupported, media_types(self.route))),
        }
    }

    /// Whether this is the place for a command, and the id in the header its own.
    fn fits(&self, command: &Command) -> Result<(), Problem> {
        if self.route.kind.is_some_and(|kind| kind != command.body.kind()) {
            let about = format!("{} is not taken here", command.body.kind());
            return Err(Problem::about(Code::BodyInvalid, about));
        }
        let own = match &command.body {
            Body::Issue(token) => Some(&token.jti),
            Body::Batch(batch) => Some(&batch.claims.jti),
            _ => command.asked.cid.as_ref(),
        };
        if let (Some(header), Some(own)) = (self.id()?, own)
            && header != *own
        {
            return Err(Code::IdempotencyKeyMismatch.into());
        }
        Ok(())
    }

    fn wants_proof(&self) -> bool {
        let prefer = self.request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
        prefer.flat_map(|text| text.split(',')).any(|one| one.trim() == "return=proof")
    }

    /// When the command happens, if it says so: a network on its own time stands still until one of the operator's people
    /// moves it on. A command that took effect before moves nothing: anybody can send again what stands in the log.
    async fn at(&self, asked: &Asked) -> Result<Option<Time>, Problem> {
        let Some(text) = header(&self.request, TIME)? else { return Ok(None) };
        let signer = asked.kid;
        if !self.service.genesis.driven {
            return Err(Refused::from(Refusal::NotDriven).into());
        }
        let (key, now) = self.service.key_now(signer)?;
        if key.owner != Principal::Operator {
            return Err(Problem::about(
                Code::NotYours,
                "tallyhouse-time: for those who work for the operator",
            ));
        }
        let latest = now.plus_seconds(MOST_DAYS * 86_400);
        let at = text.parse::<Time>().ok().filter(|at| *at <= latest);
        let about = || format!("tallyhouse-time: an instant such as {now}, at most {MOST_DAYS} days later");
        let at = at.ok_or_else(|| Problem::about(Code::HeaderInvalid, about()))?;
        let Some(cid) = asked.cid.clone() else {
            let about = "tallyhouse-time: for commands with an id of their own";
            return Err(Problem::about(Code::HeaderInvalid, about));
        };
        Ok((!self.is_known(key.owner, cid).await?).then_some(at))
    }

    /// Whether a command of this id was decided before: then it gets the same answer.
    async fn is_known(&self, owner: Principal, cid: Ident) -> Result<bool, Problem> {
        let service = self.service.clone();
        let known = web::block(move || service.engine().record(&Name::Command(owner, cid)));
        Ok(known.await.map_err(Problem::fault)??.record.is_some())
    }

    /// What speaks against a file of orders that the command lets leave, or against bank details that it makes count. Only who
    /// works for the operator is told: to all others the machine says that it is not theirs.
    async fn looked_at(&self, command: &Command) -> Result<(), Problem> {
        let (leaving, plain) = (Leaving::by(&command.body), Plain::of(&command.body));
        if leaving.is_none() && plain.is_none() {
            return Ok(());
        }
        let owner = self.service.key_now(command.asked.kid)?.0.owner;
        if owner != Principal::Operator {
            return Ok(());
        }
        if let Some(cid) = command.asked.cid.clone()
            && self.is_known(owner, cid).await?
        {
            return Ok(());
        }
        let service = self.service.clone();
        let look = move || {
            leaving.map_or(Ok(()), |leaving| leaving.check(&service))?;
            plain.map_or(Ok(()), |plain| plain.check(&service))
        };
        web::block(look).await.map_err(Problem::fault)?
    }

    /// Says what would happen.
    async fn dry(self, request: Request) -> Result<HttpResponse, Problem> {
        let service = self.service.clone();
        // Trying costs as much as doing, and needs no signature.
        if self.api_caller().is_none() {
            gate::draw(&service, &self.request, &gate::stranger(&self.request))?;
        }
        let dry = service.engine().check_dry(&request).map_err(|no| refused(no, &request))?;
        self.fits(dry.command())?;
        self.looked_at(dry.command()).await?;
        let at = self.at(&dry.command().asked).await?;
        let run = web::block(move || service.engine().dry_run(dry.command(), at));
        let run = run.await.map_err(Problem::fault)??;
        let mut reply = HttpResponse::Ok();
        if run.repeated {
            reply.insert_header((REPLAYED, "true"));
        }
        Ok(reply.json(Done { answer: run.answer, dry_run: true, proof: None }))
    }

    /// Whose parts a proof shows: those of whoever asks. A token is handed on, so that who presents it is not who signed
    /// it: they are shown what its holder may see. Other statements are their signer's to send.
    fn shown(&self, command: &Command) -> Whose {
        match (self.api_caller(), &command.body) {
            (Some(caller), _) => Whose::Caller(caller),
            (None, _) if self.is_signed() => Whose::Signer(command.asked.kid),
            (None, Body::Issue(token)) => Whose::Accounts(vec![token.sub]),
            (None, Body::Batch(_)) => Whose::Accounts(vec![]),
            (None, _) => Whose::Signer(command.asked.kid),
        }
    }

    /// What shows that the log contains an entry, with somebody's own parts.
    async fn proof(&self, seq: u64, whose: Whose) -> Result<Proof, Problem> {
        self.service.engine().reach(Level::State, seq, PATIENCE).await?;
        let service = self.service.clone();
        let made = web::block(move || {
            let reader = match whose {
                Whose::Caller(caller) => super::entries::as_reader(&service, &caller)?,
                Whose::Signer(kid) => service.reader(&Whom::of(&service.key_now(kid)?.0.owner))?,
                Whose::Accounts(accounts) => Reader::Accounts(accounts),
            };
            Ok::<_, Problem>(service.entries.proof(seq, &reader)?)
        });
        made.await.map_err(Problem::fault)??.ok_or_else(|| Problem::fault("an entry without a proof"))
    }

    /// Has the command decided, and answers.
    pub async fn run(self) -> Result<HttpResponse, Problem> {
        let dry = dry_run(&self.request)?;
        let request = self.to_machine()?;
        if dry {
            return self.dry(request).await;
        }
        let command = self.service.engine().check(&request).map_err(|no| refused(no, &request))?;
        self.fits(&command)?;
        let (signer, shown) = (command.asked.kid, self.shown(&command));
        // Whoever signed is known now. An API key was drawn on at the gate.
        if self.api_caller().is_none() {
            // A key that comes with its own command has a bucket that nobody drew on: it is counted by address.
            let own = command.is_by_own_key();
            let who = if own { gate::stranger(&self.request) } else { Who::Key(signer.to_string()) };
            gate::draw(&self.service, &self.request, &who)?;
        }
        self.looked_at(&command).await?;
        let at = self.at(&command.asked).await?;
        let ticket = self.service.engine().handle().submit(command, at).await;
        let answer = ticket.await?;
        let mut reply = HttpResponse::Created();
        reply.insert_header((SEQ, answer.seq));
        if answer.replayed {
            reply.insert_header((REPLAYED, "true"));
        }
        if let Some(payment) = &answer.payment {
            reply.insert_header((LOCATION, format!("/v1/payments/{payment}")));
        }
        if let Some(consent) = &answer.consent {
            reply.insert_header((LOCATION, format!("/v1/consents/{consent}")));
        }
        if let Some(offered) = &answer.offer {
            reply.insert_header((LOCATION, format!("/v1/offers/{}", offered.offer)));
        }
        if let Some(exchange) = &answer.exchange {
            reply.insert_header((LOCATION, format!("/v1/exchanges/{exchange}")));
        }
        let proof = match self.wants_proof() {
            true => {
                reply.insert_header(("preference-applied", "return=proof"));
                Some(self.proof(answer.seq, shown).await?)
            }
            false => None,
        };
        Ok(reply.json(Done { answer, dry_run: false, proof }))
    }
}
