//! Batches: many commands in one request, one a line, and a verdict for each.
//!
//! Owns: taking lines in as they arrive, handing them to the writer one after the other while earlier ones are
//! still decided, writing verdicts in the order of the lines.
//! Promises: memory does not grow with the batch; a line is decided as if it had come alone, so sending the same
//! body again gives the same verdicts.
//! Refuses to know: what commands mean. A batch that one statement signs as a whole is a command like any other.

use super::call::{header, route, service};
use super::gate;
use super::problem::{Code, Problem};
use super::service::Service;
use super::write::{BATCH, Done, Incoming, NDJSON, Statements, dry_run};
use crate::engine::Ticket;
use crate::machine::{Answer, Command, Kind, Request};
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::net::IpAddr;
use std::time::Duration;

/// Most lines of a batch.
const MOST: u64 = 100_000;
/// Lines whose signatures are verified at the same time.
const CHECKING: usize = 8;
/// Lines that wait for the writer at the same time.
const WAITING: usize = 1_024;
/// Verdicts that are written at a time, if they are there.
const CHUNK: usize = 64;

/// What became of a line.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LineAnswer {
    /// Its number, from 1 on.
    #[schema(example = 1)]
    line: u64,
    /// The status that it would have had alone.
    #[schema(example = 201)]
    status: u16,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Answer>,
    /// Whether it was done before, and this is the same answer again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// Only a dry run: nothing was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Award many
///
/// With the header `Tallyhouse-Batch` (a `point-batch+jwt`) the body's lines are awards (JSON), which that one
/// statement signs together: up to 10,000 in one entry, answered as one command. Without it each line is a command of
/// its own, `{"jws":["…"]}` as `tallyhouse … --json` prints it: up to 100,000 tokens, decided one by one.
///
/// Verdicts come in the order of the lines, while later lines are still being sent: read the answer while you send, or
/// send a few thousand lines at a time, with curl and `--data-binary @lines.ndjson`: the form at `/docs/` makes one line of
/// all. Ids are remembered for ever: after a lost answer send the same body again, and
/// what was done is told again, with `replayed`. Where too many signatures are wrong, the batch ends with the verdict
/// `rate_limited`.
#[utoipa::path(post, path = "/v1/awards:batch", tag = "awards", operation_id = "awardBatch",
    request_body(content = String, content_type = "application/x-ndjson", description = "One line each: an award, or the statements of a token.",
        example = json!("{\"jws\":[\"eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJleGFtcGxlIn0.c2ln\"]}\n")),
    responses(
        (status = 200, description = "A verdict for each line, in their order.", body = LineAnswer, content_type = "application/x-ndjson",
            example = json!("{\"line\":1,\"status\":201,\"done\":{\"seq\":15756,\"kind\":\"points.issued\",\"at\":\"2018-01-03T19:40:12.000000Z\"}}\n")),
        (status = 201, description = "Done, as one entry.", body = Done)))]
pub async fn awards(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let mut payload = payload.into_inner();
    if header(&request, BATCH)?.is_some() {
        lines_of(&request)?;
        return Incoming::from_request(&request, &mut payload).await?.run().await;
    }
    answer(&request, payload, &[Kind::PointsIssued])
}

/// Hand in payments
///
/// What tills did while there was no line: each line holds the statements of a command, `{"jws":["…","…"]}`:
/// authorisations with their consents, captures, voids, refunds; up to 100,000, decided one by one in their order.
///
/// Verdicts come in the order of the lines, while later lines are still being sent: read the answer while you send, or
/// send a few thousand lines at a time, with curl and `--data-binary @lines.ndjson`: the form at `/docs/` makes one line of
/// all. Ids are remembered for ever: after a lost answer send the same body again, and
/// what was done is told again, with `replayed`. Where too many signatures are wrong, the batch ends with the verdict
/// `rate_limited`.
#[utoipa::path(post, path = "/v1/payments:batch", tag = "payments", operation_id = "paymentBatch",
    request_body(content = Statements, content_type = "application/x-ndjson", description = "One line each.",
        example = json!("{\"jws\":[\"eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJleGFtcGxlIn0.c2ln\"]}\n")),
    responses((status = 200, description = "A verdict for each line, in their order.", body = LineAnswer, content_type = "application/x-ndjson",
        example = json!("{\"line\":1,\"status\":201,\"done\":{\"seq\":15757,\"kind\":\"payment.authorised\",\"at\":\"2018-01-03T19:40:13.000000Z\",\"payment\":\"pay_15757.0\"}}\n"))))]
pub async fn payments(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let kinds = &[Kind::PaymentAuthorised, Kind::PaymentCaptured, Kind::PaymentVoided, Kind::PaymentRefunded];
    answer(&request, payload.into_inner(), kinds)
}

/// Refuses a body that is not lines.
fn lines_of(request: &HttpRequest) -> Result<(), Problem> {
    let media = header(request, CONTENT_TYPE)?.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case(NDJSON) {
        Ok(())
    } else {
        Err(Problem::about(Code::MediaTypeUnsupported, NDJSON))
    }
}

/// Verdicts, as the lines arrive.
fn answer(request: &HttpRequest, payload: Payload, kinds: &'static [Kind]) -> Result<HttpResponse, Problem> {
    route(request)?;
    lines_of(request)?;
    let (service, dry) = (service(request)?, dry_run(request)?);
    let (lines, address) = (Lines::new(payload, &service), gate::address(request));
    let (checking, counting, deciding) = (service.clone(), service.clone(), service);
    let verdicts = lines
        .stream()
        .map(move |(line, text)| {
            let service = checking.clone();
            async move { (line, begin(service, text, kinds, dry).await) }
        })
        // In order: commands reach the writer as they stand in the body.
        .buffered(CHECKING)
        // Each wrong signature counts like one that came alone. With the last that does, the batch ends.
        .map(move |(line, begun)| (line, begun.map_err(|problem| counted(&counting, address, problem))))
        .scan(false, |over, (line, begun)| {
            let go = !*over;
            *over = begun.as_ref().is_err_and(|problem| problem.code() == Code::RateLimited.code());
            ready(go.then_some((line, begun)))
        })
        .then(move |(line, begun)| {
            let service = deciding.clone();
            async move { (line, hand_on(&service, begun).await) }
        })
        .map(|(line, handed)| async move { verdict(line, handed).await })
        .buffered(WAITING)
        .ready_chunks(CHUNK)
        .map(|texts| Ok::<_, Infallible>(web::Bytes::from(texts.concat())));
    let mut answer = HttpResponse::Ok();
    answer.content_type(NDJSON).insert_header(("cache-control", "no-store"));
    Ok(answer.insert_header(("x-accel-buffering", "no")).streaming(Box::pin(verdicts)))
}

/// What is told of a line, after it was counted if its signature was made up.
fn counted(service: &Service, address: IpAddr, problem: Problem) -> Problem {
    if !gate::is_wrong(problem.code()) || !service.limits.failed(address, service.engine().remote()) {
        return problem;
    }
    let about = "too many signatures of this batch were wrong: no further line was looked at";
    Problem::about(Code::RateLimited, about).after(1)
}

/// A line whose signatures were verified.
enum Begun {
    /// To be decided.
    Command(Box<Command>),
    /// What would happen.
    Dry(Answer),
}

async fn begin(
    service: web::Data<Service>,
    text: Result<web::Bytes, Problem>,
    kinds: &'static [Kind],
    dry: bool,
) -> Result<Begun, Problem> {
    let text = text?;
    // Signatures are work for other threads.
    let begun = web::block(move || -> Result<Begun, Problem> {
        let request = Request::of(Statements::read(&text)?);
        let fits = |command: &Command| {
            let kind = command.body.kind();
            let about = || Problem::about(Code::BodyInvalid, format!("{kind} is not taken here"));
            if kinds.contains(&kind) { Ok(()) } else { Err(about()) }
        };
        if dry {
            let dry = service.engine().check_dry(&request)?;
            fits(dry.command())?;
            let run = service.engine().dry_run(dry.command(), None)?;
            return Ok(Begun::Dry(Answer { replayed: run.repeated, ..run.answer }));
        }
        let command = service.engine().check(&request)?;
        fits(&command)?;
        Ok(Begun::Command(Box::new(command)))
    });
    begun.await.map_err(Problem::fault)?
}

/// A line that is with the writer, or that will never be.
enum Handed {
    Waits(Ticket),
    Dry(Answer),
}

async fn hand_on(service: &Service, begun: Result<Begun, Problem>) -> Result<Handed, Problem> {
    match begun? {
        Begun::Command(command) => Ok(Handed::Waits(service.engine().handle().submit(*command, None).await)),
        Begun::Dry(answer) => Ok(Handed::Dry(answer)),
    }
}

async fn verdict(line: u64, handed: Result<Handed, Problem>) -> Vec<u8> {
    let (dry_run, decided) = match handed {
        Ok(Handed::Waits(ticket)) => (false, ticket.await.map_err(Problem::from)),
        Ok(Handed::Dry(answer)) => (true, Ok(answer)),
        Err(problem) => (false, Err(problem)),
    };
    let none = LineAnswer { line, status: 201, done: None, replayed: false, dry_run, problem: None };
    let told = match decided {
        Ok(done) => LineAnswer { replayed: done.replayed, done: Some(done), ..none },
        Err(problem) => LineAnswer { status: problem.status(), problem: Some(problem), ..none },
    };
    let mut text = serde_json::to_vec(&told).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The lines of a body that is still arriving. After a problem nothing more is read.
struct Lines {
    payload: Payload,
    /// Most bytes of a line, and of all.
    longest: usize,
    left: usize,
    within: Duration,
    /// What arrived and is not looked at yet; a problem is the last of it.
    ready: VecDeque<Result<web::Bytes, Problem>>,
    rest: web::BytesMut,
    line: u64,
    ended: bool,
}

impl Lines {
    fn new(payload: Payload, service: &Service) -> Self {
        let settings = &service.settings;
        Self {
            payload,
            longest: settings.body_bytes,
            left: settings.batch_bytes,
            within: Duration::from_millis(settings.body_ms),
            ready: VecDeque::new(),
            rest: web::BytesMut::new(),
            line: 0,
            ended: false,
        }
    }

    fn stream(self) -> impl Stream<Item = (u64, Result<web::Bytes, Problem>)> {
        stream::unfold(self, |mut lines| async move {
            let next = lines.next().await?;
            lines.line += 1;
            let next = if lines.line > MOST {
                Err(Problem::about(Code::BodyTooLarge, format!("at most {MOST} lines")))
            } else {
                next
            };
            if next.is_err() {
                lines.ended = true;
                lines.ready.clear();
            }
            Some(((lines.line, next), lines))
        })
    }

    async fn next(&mut self) -> Option<Result<web::Bytes, Problem>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            match actix_web::rt::time::timeout(self.within, self.payload.next()).await {
                Err(_) => return Some(Err(Code::BodyTooSlow.into())),
                Ok(Some(Err(_))) => {
                    return Some(Err(Problem::about(Code::BodyInvalid, "the body ended early")));
                }
                Ok(Some(Ok(piece))) => {
                    // The lines before a problem are decided before it is told.
                    if let Err(problem) = self.take(&piece) {
                        self.ready.push_back(Err(problem));
                    }
                }
                Ok(None) => {
                    self.ended = true;
                    let rest = self.rest.split().freeze();
                    if let Err(problem) = self.keep(rest) {
                        self.ready.push_back(Err(problem));
                    }
                }
            }
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let Some(left) = self.left.checked_sub(piece.len()) else {
            return Err(Problem::about(Code::BodyTooLarge, "the batch is too large; send it in several"));
        };
        self.left = left;
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line = self.rest.split_to(end + 1).freeze();
            self.keep(line)?;
        }
        self.fits(self.rest.len())
    }

    fn fits(&self, length: usize) -> Result<(), Problem> {
        if length > self.longest {
            let about = format!("a line has at most {} bytes", self.longest);
            return Err(Problem::about(Code::BodyTooLarge, about));
        }
        Ok(())
    }

    /// Empty lines are none.
    fn keep(&mut self, line: web::Bytes) -> Result<(), Problem> {
        self.fits(line.len())?;
        if !line.trim_ascii().is_empty() {
            self.ready.push_back(Ok(line));
        }
        Ok(())
    }
}
