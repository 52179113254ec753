//! Which handler answers which route.

use super::{operations, problem::Code, problem::Problem};
use crate::machine::{Method, Route};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

/// Registers all of them.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(operations::healthz))
        .route("/readyz", web::get().to(operations::readyz))
        .route("/metrics", web::get().to(operations::metrics))
        .route("/openapi.json", web::get().to(operations::openapi))
        .route("/docs/{file:.*}", web::get().to(operations::docs))
        .route("/docs", web::get().to(operations::to_docs))
        .route("/", web::get().to(operations::to_docs));
}

/// What nobody answers: there is nothing here, or not with this method.
pub async fn nothing(request: HttpRequest) -> HttpResponse {
    let taken: Vec<&str> = [Method::Get, Method::Post, Method::Delete]
        .into_iter()
        .map(Method::code)
        .filter(|method| Route::find(method, request.path()).is_some())
        .collect();
    if taken.is_empty() {
        return Problem::about(Code::NotFound, format!("{} is not a path of this API", request.path()))
            .error_response();
    }
    let mut answer = Problem::from(Code::MethodNotAllowed).error_response();
    if let Ok(methods) = HeaderValue::from_str(&taken.join(", ")) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}
