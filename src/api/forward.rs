//! Forwarding: what the writer must answer and this node is not the writer.
//!
//! Owns: which requests those are, what is checked before they are handed on, and how the answer comes back.
//! Promises: the writer gets the request as it came, and decides for itself; its answer is not changed. What may have been
//! sent is not sent again: then, and while no writer is known, whoever asks is told to come again. What this node can
//! refuse by itself never reaches the writer.
//! Refuses to know: what requests mean.
//!
//! Limits are drawn on where a request comes in, so the writer does not draw on them again. It is told where a request
//! came from, by peers alone.

use super::call::{header, service};
use super::gate;
use super::limit::Who;
use super::problem::{Code, Problem};
use super::service::Service;
use super::write::{BATCH, Incoming, takes_batches};
use crate::machine::Route;
use crate::peers::{Answer, Piece, Sending};
use crate::types::Refusal;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

/// Where a request that is handed on came from.
const CLIENT: &str = "tallyhouse-client";
/// The id that the node gave it which it came to.
const REQUEST: &str = "tallyhouse-request";

/// Stands in the server that peers reach.
pub struct ForPeers;

/// Whether a peer sent it.
pub fn is_from_peer(request: &HttpRequest) -> bool {
    request.app_data::<web::Data<ForPeers>>().is_some()
}

/// Where a peer says that it came from.
pub fn client(request: &HttpRequest) -> Option<IpAddr> {
    if !is_from_peer(request) {
        return None;
    }
    request.headers().get(CLIENT)?.to_str().ok()?.parse().ok()
}

/// The id that a peer gave it.
pub fn id(request: &HttpRequest) -> Option<String> {
    if !is_from_peer(request) {
        return None;
    }
    let text = request.headers().get(REQUEST)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (text.len() <= 64 && text.bytes().all(plain)).then(|| text.to_owned())
}

/// Whether the writer must answer it: what changes something, and where nodes share no Redis what is signed, whose nonce
/// is remembered in one place then.
pub fn is_for_writer(service: &Service, request: &HttpRequest) -> bool {
    if service.seat.is_alone() {
        return false;
    }
    let reads = request.method().is_safe();
    !reads || request.headers().contains_key(gate::SIGNATURE_INPUT) && service.engine().remote().is_none()
}

/// Nobody is there who could answer.
fn nobody(why: &str) -> Problem {
    Problem::about(Code::Busy, why)
}

/// Hands a request on to the writer, and its answer back.
pub async fn forward(
    request: &HttpRequest,
    payload: &mut Payload,
    route: &'static Route,
    id: &str,
) -> Result<HttpResponse, Problem> {
    let service = service(request)?;
    // One hop: whoever sent it here may know by now who writes.
    if is_from_peer(request) {
        return Err(nobody("this node does not write, or no more"));
    }
    let standing = service.seat.standing();
    let (Some(writer), Some(peers)) = (standing.writer, &service.peers) else {
        return Err(nobody("no node writes at the moment"));
    };
    let streams = takes_batches(route) && header(request, BATCH)?.is_none();
    let body = if request.method().is_safe() {
        Sending::Whole(web::Bytes::new())
    } else if streams {
        stream(payload.take(), Duration::from_millis(service.settings.body_ms))
    } else {
        let incoming = Incoming::from_request(request, payload).await?;
        incoming.pass_on().await?;
        Sending::Whole(incoming.body)
    };
    let from = gate::address(request).to_string();
    let own = [(CLIENT, from.as_bytes()), (REQUEST, id.as_bytes())];
    let given = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let given = given.filter(|(name, _)| *name != CLIENT && *name != REQUEST);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let sent = pin!(peers.send(&writer, request.method().as_str(), target, given.chain(own), body));
    let moved = pin!(replaced(service.clone(), standing.term));
    match select(sent, moved).await {
        Either::Left((Ok(answer), _)) => {
            // Whoever asks here next may want to see what came of it.
            service.engine().look_soon();
            Ok(told(answer, service.clone(), standing.term))
        }
        Either::Right(_) => {
            Err(nobody("the node that wrote was replaced, so what became of this is not known"))
        }
        Either::Left((Err(why), _)) => {
            tracing::warn!(writer, "the writer did not answer: {why}");
            Err(nobody("the node that writes did not answer, so what became of this is not known"))
        }
    }
}

/// How often it is looked whether the writer was replaced.
const LOOK: Duration = Duration::from_millis(100);

/// Ends when another node has, or may take, the place of the writer of a term: one that is paused, or cut off, answers
/// nothing, its connections open.
async fn replaced(service: web::Data<Service>, term: u64) {
    loop {
        actix_web::rt::time::sleep(LOOK).await;
        let standing = service.seat.standing();
        if standing.term != term || standing.writer.is_none() {
            return;
        }
    }
}

/// A body on its way, as it arrives.
fn stream(mut payload: Payload, within: Duration) -> Sending {
    let (put, sending) = Sending::pieces();
    actix_web::rt::spawn(async move {
        loop {
            // Without an end the writer knows that it broke off.
            let piece = match actix_web::rt::time::timeout(within, payload.next()).await {
                Ok(Some(Ok(bytes))) => Piece::More(bytes),
                Ok(None) => Piece::End,
                Ok(Some(Err(_))) | Err(_) => return,
            };
            let over = matches!(piece, Piece::End);
            if put.send(piece).await.is_err() || over {
                return;
            }
        }
    });
    sending
}

/// The writer's answer.
fn told(answer: Answer, service: web::Data<Service>, term: u64) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut reply = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        if matches!(name.as_str(), "content-length" | "date" | "request-id") {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        if let Some((name, value)) = name.zip(HeaderValue::from_bytes(value).ok()) {
            reply.append_header((name, value));
        }
    }
    if let Some(whole) = answer.whole {
        return reply.body(whole);
    }
    let pieces = futures_util::stream::unfold(Some(answer.pieces), move |pieces| {
        let service = service.clone();
        async move {
            let mut pieces = pieces?;
            let piece = {
                let (next, moved) = (pin!(pieces.recv()), pin!(replaced(service, term)));
                match select(next, moved).await {
                    Either::Left((piece, _)) => piece,
                    Either::Right(_) => None,
                }
            };
            match piece {
                Some(Piece::More(bytes)) => Some((Ok(bytes), Some(pieces))),
                Some(Piece::End) => None,
                None => Some((Err(std::io::Error::other("the writer's answer broke off")), None)),
            }
        }
    });
    reply.streaming(Box::pin(pieces))
}

impl Incoming {
    /// What the node looks at that hands a request on: its form and signatures, and whose bucket it comes out of.
    async fn pass_on(&self) -> Result<(), Problem> {
        // An API key was looked at, and drawn on, at the gate.
        if self.has_api_key() {
            return Ok(());
        }
        let (service, request) = (&self.service, &self.request);
        if self.route.kind.is_none() {
            if !self.is_signed() {
                return Ok(());
            }
            let signed = gate::read_signed(service, request, &self.body)?;
            // Its nonce is the writer's to remember.
            return match gate::signer(service, &signed) {
                Ok(_) => gate::draw(service, request, &Who::Key(signed.kid().to_string())),
                Err(problem) => unless_unknown(problem),
            };
        }
        if super::write::dry_run(request)? {
            return gate::draw(service, request, &gate::stranger(request));
        }
        match self.checked() {
            Ok((signer, own)) => {
                let who = if own { gate::stranger(request) } else { Who::Key(signer.to_string()) };
                gate::draw(service, request, &who)
            }
            Err(problem) => unless_unknown(problem),
        }
    }
}

/// A key that is unknown here may have been registered a moment ago: the writer knows.
fn unless_unknown(problem: Problem) -> Result<(), Problem> {
    if problem.code() == Refusal::KeyUnknown.code() { Ok(()) } else { Err(problem) }
}
