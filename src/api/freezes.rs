//! Freezing: nothing new for an account, a unit, a brand or the network. What was begun goes on.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::network::{FreezeAccount, FreezeBrand, FreezeNetwork, FreezeUnit};
use actix_web::HttpResponse;

/// Freeze the network
///
/// By the operator's roots. `frozen: false` releases.
#[utoipa::path(post, path = "/v1/freezes/network", tag = "network", operation_id = "freezeNetwork",
    request_body = FreezeNetwork,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn network(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Freeze a brand
///
/// By its root or the operator; released by the operator.
#[utoipa::path(post, path = "/v1/freezes/brands", tag = "brands", operation_id = "freezeBrand",
    request_body = FreezeBrand,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn brand(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Freeze a unit
///
/// By its brand's root or the operator; released by the operator.
#[utoipa::path(post, path = "/v1/freezes/units", tag = "units", operation_id = "freezeUnit",
    request_body = FreezeUnit,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn unit(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Freeze an account
///
/// By its holder, its brand's root or the operator; released by the latter two.
#[utoipa::path(post, path = "/v1/freezes/accounts", tag = "accounts", operation_id = "freezeAccount",
    request_body = FreezeAccount,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn account(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
