//! Erasures: parts of the log that hold evidence go, on request; their hashes stay.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::network::EraseEvidence;
use actix_web::HttpResponse;

/// Have a part of evidence erased
///
/// By the operator's roots, as many as the network asks for: send it as `application/jose`, which `tallyhouse sign` prints
/// with `--approve` for each further one. The part is one that holds evidence and nothing else; what it caused stays. `leaf` is
/// the SHA-256 of a zero byte and the part's bytes.
#[utoipa::path(post, path = "/v1/erasures", tag = "network", operation_id = "eraseEvidence",
    request_body = EraseEvidence,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn erase(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
