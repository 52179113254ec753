//! Awards: how points come into being.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::sign::AwardOrder;
use actix_web::HttpResponse;

/// Award points
///
/// Gives points to an account, within the budget of the key that signs; the account is opened if there is none. The
/// `Idempotency-Key` is the award's `jti`. With an API key the network signs with the brand's held key.
#[utoipa::path(post, path = "/v1/awards", tag = "awards", operation_id = "award",
    request_body = AwardOrder,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn award(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Take a token in
///
/// A `point-token+jwt` that an issuing key signed, perhaps long ago and without a line. It takes effect once, whoever
/// brings it and how often.
#[utoipa::path(post, path = "/v1/tokens", tag = "awards", operation_id = "submitToken",
    request_body(content = String, content_type = "application/jose", description = "The statement, then what approves it: compact JWSs, in a JSON object or one a line."),
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn token(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
