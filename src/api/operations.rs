//! Operations: whether the node lives and is ready, its metrics, the document.

use super::call::service;
use super::document::document;
use super::problem::{Code, Problem};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::sync::OnceLock;

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
/// Not while it closes, or when the engine stopped: send requests elsewhere, or later.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "getReadiness",
    responses((status = 200, description = "It does.", body = Health)))]
pub async fn readyz(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    if !service.is_ready() {
        return Err(Code::Busy.into());
    }
    let progress = service.engine.progress();
    let shown = progress.state.min(progress.views);
    Ok(HttpResponse::Ok().json(Health {
        status: "ok",
        entries: progress.committed,
        shown,
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
    let text = service.metrics.text(&service.engine);
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
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string());
    HttpResponse::Ok().content_type("application/json").body(text.as_str())
}
