//! Units: points, their settings, prices and who takes them.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::network::DefineUnit;
use crate::prices::{PublishAcceptance, PublishPrices};
use actix_web::HttpResponse;

/// Define a unit
///
/// Creates a unit (version 1) or changes its settings (the next version). Signed by the brand's root. What was issued
/// keeps its dates.
#[utoipa::path(post, path = "/v1/units", tag = "units", operation_id = "defineUnit",
    request_body = DefineUnit,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn define(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Publish prices
///
/// A version of a unit's prices in one currency. Signed by the brand's root; from the second in a currency on it is approved
/// by two of the brand's approvers, too: send it as `application/jose`, which `tallyhouse sign` prints with `--approve` for
/// each of them.
#[utoipa::path(post, path = "/v1/prices", tag = "units", operation_id = "publishPrices",
    request_body = PublishPrices,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn publish_prices(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Publish acceptance
///
/// Whose units a brand takes, and up to how much a day. Signed by the brand's root.
#[utoipa::path(post, path = "/v1/acceptance", tag = "units", operation_id = "publishAcceptance",
    request_body = PublishAcceptance,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn publish_acceptance(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
