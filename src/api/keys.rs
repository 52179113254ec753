//! Keys: certificates, revocation, budgets.

use super::problem::Problem;
use super::write::{Done, Incoming};
use crate::network::RevokeKey;
use actix_web::HttpResponse;

/// Certify a key
///
/// A `key-cert+jwt` by the brand's root (or the operator's, for its own keys), then the new key's `approval+jwt` of it,
/// which proves that its owner has it. For a key that the network holds, it adds that proof itself.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", operation_id = "certifyKey",
    request_body(content = String, content_type = "application/jose", description = "The statement, then what approves it: compact JWSs, in a JSON object or one a line."),
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn certify(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Revoke a key
///
/// Retires a key, reports it compromised, or restores it. A key may be given up by its brand's root, by the operator,
/// or by two approvers of the brand; restored by the root only.
#[utoipa::path(post, path = "/v1/keys/revocations", tag = "keys", operation_id = "revokeKey",
    request_body = RevokeKey,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn revoke(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Set a budget
///
/// A `key-budget+jwt` by the brand's root: how many points a key may issue, in all and in an hour, and until when. The
/// next serial, each by one, replaces the one in force. With `sponsored` the key is another brand's: its participant pays the issue price for
/// the points, in that currency, while it is no dearer than `issue`, and no more in all than `ceiling`; its root approves the
/// statement. A next serial that raises nothing, or closes it (`ceiling` 0), either root signs alone.
#[utoipa::path(post, path = "/v1/budgets", tag = "keys", operation_id = "setBudget",
    request_body(content = String, content_type = "application/jose", description = "The statement, then what approves it: compact JWSs, in a JSON object or one a line."),
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_budget(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Revoke the key of an account
///
/// By its unit's brand, or the operator. The account then takes a new key: `openAccount` by the brand's issuing key, with
/// approvals by the new key and by the brand's root or an approver key.
#[utoipa::path(post, path = "/v1/accounts/key-revocations", tag = "accounts", operation_id = "revokeAccountKey",
    request_body = RevokeKey,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn revoke_account_key(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}
