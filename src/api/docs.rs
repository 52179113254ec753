//! Swagger UI: the document as a page on which everything can be tried.
//!
//! Owns: the page's settings, and what a browser may load and run there.
//! Promises: nothing comes from elsewhere, and nothing that is not a file of its own runs.
//! Refuses to know: the document.

use super::problem::{Code, Problem};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use std::sync::{Arc, OnceLock};

/// What a browser may load and run here: files from here, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      form-action 'none'";

/// The page.
const PAGE: &str = include_str!("docs/index.html");
/// Begins the page, with its settings.
const BEGIN: &str = include_str!("docs/initializer.js");

/// Swagger UI: pages, scripts and styles, all from this program.
pub async fn docs(path: web::Path<String>) -> Result<HttpResponse, Problem> {
    static CONFIG: OnceLock<Arc<utoipa_swagger_ui::Config<'static>>> = OnceLock::new();
    let (kind, bytes) = match path.as_str() {
        "" | "index.html" => {
            ("text/html; charset=utf-8".to_owned(), web::Bytes::from_static(PAGE.as_bytes()))
        }
        "swagger-initializer.js" => {
            ("text/javascript; charset=utf-8".to_owned(), web::Bytes::from_static(BEGIN.as_bytes()))
        }
        file => {
            let config = CONFIG.get_or_init(|| Arc::new(utoipa_swagger_ui::Config::from("/openapi.json")));
            let file = utoipa_swagger_ui::serve(file, config.clone()).map_err(Problem::fault)?;
            let file = file.ok_or(Code::NotFound)?;
            (file.content_type, file.bytes.into_owned().into())
        }
    };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(bytes))
}

/// `/docs` and `/` lead to Swagger UI.
pub async fn to_docs() -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, "/docs/")).finish()
}
