//! Operations: whether the node lives and is ready, its metrics, the document, Swagger UI.

use super::call::service;
use super::document::document;
use super::problem::{Code, Problem};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::{Arc, OnceLock};

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
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "getHealth",
    responses((status = 200, description = "It lives.", body = String, content_type = "text/plain", example = "ok")))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Does it take requests? Not while it closes, or when the engine stopped.
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

/// Metrics, in the text form of OpenMetrics.
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

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "getOpenapi",
    responses((status = 200, description = "The OpenAPI 3.1 document of this API.", body = Object)))]
pub async fn openapi() -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string());
    HttpResponse::Ok().content_type("application/json").body(text.as_str())
}

/// What a browser may load and run here: nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; form-action 'none'";

/// Swagger UI: pages, scripts and styles, all from this program.
pub async fn docs(path: web::Path<String>) -> Result<HttpResponse, Problem> {
    static CONFIG: OnceLock<Arc<utoipa_swagger_ui::Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let config = utoipa_swagger_ui::Config::from("/openapi.json");
        // The validator's badge would ask a server elsewhere.
        let config = config.validator_url("none").try_it_out_enabled(true).persist_authorization(false);
        Arc::new(config.display_request_duration(true).use_base_layout())
    });
    let file = if path.is_empty() { "index.html" } else { path.as_str() };
    match utoipa_swagger_ui::serve(file, config.clone()) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(file.bytes.to_vec())),
        Ok(None) => Err(Code::NotFound.into()),
        Err(e) => Err(Problem::fault(e)),
    }
}

/// `/docs` and `/` lead to Swagger UI.
pub async fn to_docs() -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, "/docs/")).finish()
}
