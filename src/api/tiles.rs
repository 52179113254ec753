//! The public log, in the layout of C2SP tlog-tiles: checkpoint, hash tiles, bundles of entries.

use super::call::service;
use super::problem::{Code, Problem};
use crate::log::{Shelf, TILE_WIDTH, TileId, bundle};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};

/// The newest checkpoint
///
/// A C2SP signed note: the log's name, its size, its root. Check it with the log's key, from elsewhere.
#[utoipa::path(get, path = "/checkpoint", tag = "log", operation_id = "getCheckpoint",
    responses((status = 200, description = "The signed note.", body = String, content_type = "text/plain")))]
pub async fn checkpoint(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let note = service(&request)?.engine().checkpoint();
    let answer = HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(note);
    Ok(answer)
}

/// A tile of the public log
///
/// `<L>/<N>[.p/<W>]` are hashes, `entries/<N>[.p/<W>]` envelopes (C2SP tlog-tiles). Full tiles never change.
#[utoipa::path(get, path = "/tile/{path}", tag = "log", operation_id = "getTile",
    params(("path" = String, Path, description = "Which: level, number, width.", example = "0/000")),
    responses((status = 200, description = "Its bytes.", body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn tile(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such tile, or not yet");
    let asked: TileId = format!("tile/{path}").parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    let made = web::block(move || -> Result<Option<Vec<u8>>, Problem> {
        if let Shelf::Hashes(_) = asked.shelf {
            return Ok(service.hashes.tile_bytes(asked)?);
        }
        let first = asked.index.checked_mul(u64::from(TILE_WIDTH)).ok_or(Code::NotFound)?;
        if first >= service.engine().progress().committed {
            return Ok(None);
        }
        let envelopes = service.engine().read().read_envelopes(first, usize::from(asked.width))?;
        if envelopes.len() != usize::from(asked.width) {
            return Ok(None);
        }
        let bytes = envelopes.iter().map(|envelope| envelope.bytes.as_slice());
        bundle(bytes).map(Some).map_err(Problem::fault)
    });
    let bytes = made.await.map_err(Problem::fault)??.ok_or_else(nothing)?;
    let lasting =
        if path.contains(".p/") { "public, max-age=60" } else { "public, max-age=31536000, immutable" };
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((CACHE_CONTROL, lasting))
        .body(bytes))
}
