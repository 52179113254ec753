//! Brands and the legal entities behind them.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::network::{RegisterBrand, RegisterParticipant};
use actix_web::HttpResponse;

/// Register a participant
///
/// A legal entity joins. By the operator's roots, as many as the network asks for: send it as `application/jose`, which
/// `tallyhouse sign` prints with `--approve` for each further one. One participant may be the operator's own: it bears what
/// is written off, and holds reserves.
#[utoipa::path(post, path = "/v1/participants", tag = "brands", operation_id = "registerParticipant",
    request_body = RegisterParticipant,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn register_participant(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Register a brand
///
/// The brand's root signs, the operator's roots approve: send it as `application/jose`, with an approval that
/// `tallyhouse sign` prints with `--approve` for each of them. A brand that is not approved
/// yet applies at `/v1/applications`. The first brand of a participant speaks for it: in netting, bank details, objections,
/// disputes, and in what it agrees to. A further one does not, and the root of the first approves its registration.
#[utoipa::path(post, path = "/v1/brands", tag = "brands", operation_id = "registerBrand",
    request_body = RegisterBrand,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn register(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
