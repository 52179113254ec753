//! Operations: whether the node lives and is ready, its metrics, the document.

use super::call::service;
use super::document::DOCUMENT;
use super::problem::{Code, Problem};
use crate::engine::Alarm;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// How a node is.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`, or `closing`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Entries of the log.
    #[schema(example = 15754)]
    entries: u64,
    /// Entries that lists and balances show.
    #[schema(example = 15754)]
    shown: u64,
    /// `writer` or `reader`: of several nodes one writes.
    #[schema(example = "writer")]
    role: &'static str,
    /// How often the lease of the writer changed hands; 0 where one node is alone.
    #[schema(example = 3)]
    term: u64,
    /// Entries of the log that this node has not read yet.
    #[schema(example = 0)]
    behind: u64,
    /// Why it may not become the writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<String>,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Does the process live?
///
/// Says no more than that it answers.
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "getHealth",
    responses((status = 200, description = "It lives.", body = String, content_type = "text/plain", example = "ok")))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Does it take requests?
///
/// Not while it closes, or when it cannot read its log, or cannot write where it should: send requests elsewhere, or
/// later. Of several nodes a reader takes all requests too: what the writer must answer it hands on.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "getReadiness",
    responses((status = 200, description = "It does.", body = Health)))]
pub async fn readyz(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let standing = service.seat.standing();
    if !service.is_ready() {
        let about = match standing.alarm {
            _ if service.is_closing() => "it closes".to_owned(),
            Some(Alarm::Log(why)) => why,
            _ if service.is_stale() => "it has not seen the log's end for too long".to_owned(),
            _ => "its log cannot be read, or its lease is not sure".to_owned(),
        };
        return Err(Problem::about(Code::Busy, format!("role: none ({about})")));
    }
    let progress = service.engine().progress();
    let shown = progress.state.min(progress.views);
    Ok(HttpResponse::Ok().json(Health {
        status: "ok",
        entries: progress.committed,
        shown,
        role: standing.part.code(),
        term: standing.term,
        behind: progress.end.saturating_sub(progress.committed),
        alarm: standing.alarm.map(|alarm| alarm.to_string()),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Show metrics
///
/// Counters, times, how far the engine is, in the text form of OpenMetrics.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "getMetrics",
    responses((status = 200, description = "Counters, times, how far everybody is.", body = String,
        content_type = "application/openmetrics-text")))]
pub async fn metrics(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    if service.metrics.looks() {
        let from = service.clone();
        // What cannot be read now is looked at again later; the other figures do not wait for it.
        let looked = move || {
            (super::funding::alarms(&from), super::cycles::overdue(&from), from.engine().read().stray())
        };
        if let Ok((found, overdue, stray)) = web::block(looked).await {
            if let Ok(found) = found {
                service.metrics.found(found);
            }
            if let Ok(seconds) = overdue {
                service.metrics.overdue(seconds);
            }
            if let Ok(stray) = stray {
                if let Some(stray) = stray {
                    tracing::error!("{stray}");
                }
                service.metrics.strayed(stray.is_some());
            }
        }
    }
    let text = service.metrics.text(&service.engine(), &service.seat);
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// Show this document
///
/// OpenAPI 3.1. The page that shows it is at `/docs/`.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "getOpenapi",
    responses((status = 200, description = "The OpenAPI 3.1 document of this API.", body = Object)))]
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT)
}
