//! Entries, proofs, events: the log, as far as a reader may see it.

use super::call::{Caller, Whom, service};
use super::gate;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::streams;
use crate::machine::{Reader, Scope};
use crate::reading::{Events, Seen, What};
use crate::types::MAX_INT;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::time::Duration;

/// A part of an entry.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Part {
    /// Its place among the entry's parts, from 0.
    #[schema(example = 0)]
    index: u32,
    /// Its exact bytes, salt included, as text; absent if it was erased on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// It was erased on request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

/// An entry, as its reader may see it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// Its place.
    #[schema(example = 42)]
    seq: u64,
    /// What it is.
    #[schema(example = "payment.captured")]
    kind: &'static str,
    /// The envelope: everybody's. Its hash (BLAKE3 of exactly these bytes) is `prev` of the next.
    #[schema(value_type = Object)]
    envelope: Box<RawValue>,
    /// The reader's own parts.
    parts: Vec<Part>,
}

/// Who has no name here.
const NOBODY: Reader = Reader::Accounts(vec![]);

fn shown(seen: Seen) -> Result<Entry, Problem> {
    let envelope = String::from_utf8(seen.bytes).map_err(Problem::fault)?;
    let envelope = RawValue::from_string(envelope).map_err(Problem::fault)?;
    let parts = seen.parts.into_iter().map(|part| match part.what {
        What::Whole(bytes) => {
            let text = String::from_utf8(bytes).map_err(Problem::fault)?;
            Ok(Part { index: part.index, part: Some(text), erased: false })
        }
        What::Erased => Ok(Part { index: part.index, part: None, erased: true }),
    });
    Ok(Entry {
        seq: seen.seq,
        kind: seen.kind.text(),
        envelope,
        parts: parts.collect::<Result<_, Problem>>()?,
    })
}

/// As whom a request reads: nobody in particular sees envelopes.
fn reader(service: &Service, request: &HttpRequest) -> Result<Reader, Problem> {
    use actix_web::HttpMessage;
    match request.extensions().get::<Caller>() {
        Some(caller) => as_reader(service, caller),
        None => Ok(NOBODY),
    }
}

/// As whom somebody reads entries. Who may not read them at all reads what is everybody's, and so does an analyst with an
/// API key, who sees settlement data elsewhere and no holder's parts; one who signs works on disputes, with all of them.
pub fn as_reader(service: &Service, caller: &Caller) -> Result<Reader, Problem> {
    if !caller.scopes.contains(&Scope::EntriesRead) {
        return Ok(NOBODY);
    }
    match &caller.whom {
        Whom::Operator if caller.sees_all() => Ok(Reader::Operator),
        Whom::Operator => Ok(NOBODY),
        whom => service.reader(whom),
    }
}

/// A number as an entry has it: in no other spelling.
pub fn place(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number <= MAX_INT && number.to_string() == text).then_some(number)
}

fn number(text: &str) -> Result<u64, Problem> {
    place(text).ok_or_else(|| Problem::about(Code::NotFound, "an entry has a number: 0, 1, 2 …"))
}

/// List entries
///
/// Envelopes of the public log, the newest first. Who says who they are, and may `entries:read`, is shown their own parts
/// at each entry.
#[utoipa::path(get, path = "/v1/entries", tag = "log", operation_id = "listEntries", params(PageQuery),
    responses((status = 200, description = "The entries.", body = Page<Entry>)))]
pub async fn list(request: HttpRequest, query: Query<PageQuery>) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, before) = (query.limit()?, query.place::<u64>("entries")?.map(|before| before.min(MAX_INT)));
    service.wait_for(min_seq(request.headers())?).await?;
    let reader = reader(&service, &request)?;
    let found = web::block(move || -> Result<Vec<Entry>, Problem> {
        let newest = service.entries.newest(before, limit)?;
        let Some((first, last)) = newest.last().zip(newest.first()) else { return Ok(vec![]) };
        let count = usize::try_from(last.seq - first.seq + 1).unwrap_or(limit);
        let mut seen = service.entries.entries(first.seq, count, usize::MAX, &reader)?;
        seen.reverse();
        seen.into_iter().map(shown).collect()
    });
    let items = found.await.map_err(Problem::fault)??;
    let next = items.last().filter(|last| last.seq > 0).map(|last| cursor("entries", &last.seq));
    let newest = items.first().map(|entry| entry.seq);
    Ok(page(&request, newest, &Page { items, next }))
}

/// Show an entry
///
/// Its envelope, which is everybody's, and those of its parts that are the caller's, if they may `entries:read`.
#[utoipa::path(get, path = "/v1/entries/{seq}", tag = "log", operation_id = "getEntry",
    params(("seq" = u64, Path, description = "Its place.", example = 42)),
    responses((status = 200, description = "The entry.", body = Entry)))]
pub async fn get(request: HttpRequest, seq: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (service, seq) = (service(&request)?, number(&seq)?);
    service.wait_for(min_seq(request.headers())?).await?;
    let reader = reader(&service, &request)?;
    let found = web::block(move || -> Result<Option<Entry>, Problem> {
        service.entries.entry(seq, &reader)?.map(shown).transpose()
    });
    let entry = found.await.map_err(Problem::fault)??.ok_or_else(|| absent(seq))?;
    Ok(json(Some(seq), &entry))
}

fn absent(seq: u64) -> Problem {
    Problem::about(Code::NotFound, format!("there is no entry {seq} yet"))
}

/// Prove an entry
///
/// The envelope with its path to the newest checkpoint, and, if they may `entries:read`, the caller's own parts with their
/// paths to the envelope. It is checked offline, with the log's key from elsewhere: `tallyhouse verify-proof`.
#[utoipa::path(get, path = "/v1/entries/{seq}/proof", tag = "log", operation_id = "getProof",
    params(("seq" = u64, Path, description = "Its place.", example = 42)),
    responses((status = 200, description = "The proof.", body = Object)))]
pub async fn proof(request: HttpRequest, seq: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (service, seq) = (service(&request)?, number(&seq)?);
    service.wait_for(min_seq(request.headers())?).await?;
    let reader = reader(&service, &request)?;
    let made = web::block(move || Ok::<_, Problem>(service.entries.proof(seq, &reader)?));
    let proof = made.await.map_err(Problem::fault)??.ok_or_else(|| absent(seq))?;
    Ok(json(Some(seq), &proof))
}

/// Which events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct After {
    /// After this entry; from the first if absent. As server-sent events, `Last-Event-ID` says it too.
    #[param(example = 15000)]
    after: Option<u64>,
    /// Most events; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
}

/// Own events.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Feed {
    /// The entries that concern the caller, in order, with the caller's parts.
    items: Vec<Entry>,
    /// Ask again after this entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    /// Whether there may be more already.
    more: bool,
}

fn feed(events: Events) -> Result<Feed, Problem> {
    let items = events.events.into_iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Feed { items, after: events.after, more: events.more })
}

/// Follow own events
///
/// The entries that concern the caller, in order: a brand's, an account's, a wallet's. Ask again with `after`, or send
/// `Accept: text/event-stream` and be told as they happen (server-sent events: the id is the entry's number, the event
/// its kind, the data the entry). Of such streams a key has 8 at the same time; one ends when the key that opened it is
/// revoked or expires.
#[utoipa::path(get, path = "/v1/events", tag = "log", operation_id = "listEvents", params(After),
    responses((status = 200, description = "The events.", content(
        (Feed = "application/json"),
        (String = "text/event-stream"),
    ))))]
pub async fn events(
    caller: Caller,
    request: HttpRequest,
    query: Query<After>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let limit = PageQuery { limit: query.limit, cursor: None }.limit()?;
    let accepts = request.headers().get_all("accept").filter_map(|value| value.to_str().ok());
    let streams =
        accepts.flat_map(|text| text.split(',')).any(|one| one.trim().starts_with("text/event-stream"));
    if streams {
        let last =
            super::call::header(&request, actix_web::http::header::HeaderName::from_static("last-event-id"))?;
        let last = last.map(number).transpose()?;
        let after = last.or(query.after.map(|after| after.min(MAX_INT)));
        let holder = matches!(caller.whom, Whom::Account(_));
        let open = service.streams.begin(gate::who(&caller, &request), holder)?;
        return Ok(stream(Following { service, caller, after, seen: 0, idle: 0, _open: open }));
    }
    service.wait_for(min_seq(request.headers())?).await?;
    let (after, shared) = (query.after.map(|after| after.min(MAX_INT)), service.clone());
    let found = web::block(move || -> Result<Feed, Problem> {
        let reader = as_reader(&shared, &caller)?;
        feed(shared.entries.events(&shared.views, &reader, after, limit)?)
    });
    let found = found.await.map_err(Problem::fault)??;
    Ok(json(found.after, &found))
}

/// How often a stream looks for new entries, and how often it says that it is alive.
const LOOK: Duration = Duration::from_millis(100);
const ALIVE: u32 = 150;
/// Events written at a time.
const CHUNK: usize = 100;

/// What a stream of events remembers.
struct Following {
    service: web::Data<Service>,
    caller: Caller,
    after: Option<u64>,
    seen: u64,
    idle: u32,
    /// Counted for as long as this is here.
    _open: streams::Stream,
}

impl Following {
    /// More events, for whoever may read them still.
    async fn more(&self) -> Result<Feed, Problem> {
        let (shared, caller, after) = (self.service.clone(), self.caller.clone(), self.after);
        let found = web::block(move || {
            if !gate::counts_still(&shared, &caller)? {
                return Err(Code::ApiKeyExpired.into());
            }
            let reader = as_reader(&shared, &caller)?;
            feed(shared.entries.events(&shared.views, &reader, after, CHUNK)?)
        });
        found.await.map_err(Problem::fault)?
    }

    /// Whether the caller may read still.
    async fn counts(&self) -> bool {
        let (shared, caller) = (self.service.clone(), self.caller.clone());
        let counts = web::block(move || gate::counts_still(&shared, &caller)).await;
        matches!(counts, Ok(Ok(true)))
    }
}

fn stream(start: Following) -> HttpResponse {
    let chunks = futures_util::stream::unfold(start, |mut state| async move {
        loop {
            if !state.service.is_ready() {
                return None;
            }
            // Nothing is asked while nothing was committed.
            let size = state.service.engine().progress().views;
            if size > state.seen {
                let Ok(found) = state.more().await else { return None };
                state.after = found.after.or(state.after);
                if !found.more {
                    state.seen = size;
                }
                if !found.items.is_empty() {
                    state.idle = 0;
                    let text: String = found.items.iter().map(lines).collect();
                    return Some((Ok::<_, Infallible>(web::Bytes::from(text)), state));
                }
                if found.more {
                    continue;
                }
            }
            actix_web::rt::time::sleep(LOOK).await;
            state.idle += 1;
            if state.idle >= ALIVE {
                state.idle = 0;
                if !state.counts().await {
                    return None;
                }
                return Some((Ok(web::Bytes::from_static(b": alive\n\n")), state));
            }
        }
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(chunks))
}

/// An event as the stream writes it.
fn lines(entry: &Entry) -> String {
    let data = serde_json::to_string(entry).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", entry.seq, entry.kind)
}
