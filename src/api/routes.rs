//! Which handler answers which route.

use super::problem::{Code, Problem};
use super::{
    accounting, accounts, api_keys, applications, awards, banking, batches, brands, breakage, budgets,
    clearing, consents, cycles, disputes, docs, documents, entries, erasures, fees, freezes, funding, held,
    keys, netting, network, offers, operations, payments, prices, reconciliations, reference, reports,
    settlement, tiles, units, wallets,
};
use crate::machine::{Method, Route};
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, web};

/// Registers all of them. They are tried in order: what is asked most comes first, and fixed paths, which cost little,
/// before patterns.
pub fn configure(config: &mut web::ServiceConfig) {
    config.route("/v1/accounts/{account}", web::get().to(accounts::get));
    written(config);
    public(config);
    kept(config);
}

/// What is read.
fn public(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(operations::healthz))
        .route("/readyz", web::get().to(operations::readyz))
        .route("/metrics", web::get().to(operations::metrics))
        .route("/openapi.json", web::get().to(operations::openapi))
        .route("/docs/{file:.*}", web::get().to(docs::docs))
        .route("/docs", web::get().to(docs::to_docs))
        .route("/", web::get().to(docs::to_docs))
        .route("/checkpoint", web::get().to(tiles::checkpoint))
        .route("/tile/{path:.*}", web::get().to(tiles::tile))
        .route("/v1/brands", web::get().to(reference::brands))
        .route("/v1/brands/{brand}", web::get().to(reference::get_brand))
        .route("/v1/brands/{brand}/jwks", web::get().to(reference::jwks))
        .route("/v1/brands/{brand}/keys", web::get().to(reference::keys))
        .route("/v1/brands/{brand}/acceptance", web::get().to(reference::acceptance))
        .route("/v1/participants", web::get().to(reference::participants))
        .route("/v1/participants/{participant}", web::get().to(reference::get_participant))
        .route("/v1/keys/{kid}", web::get().to(reference::get_key))
        .route("/v1/units", web::get().to(reference::units))
        .route("/v1/units/{unit}", web::get().to(reference::get_unit))
        .route("/v1/units/{unit}/funding", web::get().to(funding::unit_funding))
        .route("/v1/units/{unit}/prices", web::get().to(prices::prices))
        .route("/v1/units/{unit}/breakage", web::get().to(breakage::get))
        .route("/v1/units/{unit}/prices/history", web::get().to(prices::price_history))
        .route("/v1/budgets/{kid}", web::get().to(budgets::get))
        .route("/v1/entries", web::get().to(entries::list))
        .route("/v1/entries/{seq}", web::get().to(entries::get))
        .route("/v1/entries/{seq}/proof", web::get().to(entries::proof))
        .route("/v1/events", web::get().to(entries::events))
        .route("/v1/network", web::get().to(network::get))
        .route("/v1/me", web::get().to(network::me))
        .route("/v1/fees", web::get().to(fees::fees))
        .route("/v1/fees/history", web::get().to(fees::history))
        .route("/v1/participants/{participant}/tax", web::get().to(fees::tax))
        .route("/v1/refusals", web::get().to(network::refusals))
        .route("/v1/accounts/{account}/movements", web::get().to(accounts::movements))
        .route("/v1/consents/{consent}", web::get().to(consents::get))
        .route("/v1/offers/{offer}", web::get().to(offers::get))
        .route("/v1/exchanges/{exchange}", web::get().to(offers::get_exchange))
        .route("/v1/awards/{award}", web::get().to(awards::get))
        .route("/v1/payments", web::get().to(payments::list))
        .route("/v1/payments/{payment}", web::get().to(payments::get))
        .route("/v1/cycles", web::get().to(cycles::list))
        .route("/v1/cycles/{cycle}", web::get().to(cycles::get))
        .route("/v1/cycles/{cycle}/lines", web::get().to(cycles::lines))
        .route("/v1/instructions/{instruction}", web::get().to(clearing::get_instruction))
        .route("/v1/objections/{objection}", web::get().to(clearing::get_objection))
        .route("/v1/bank-statements", web::get().to(clearing::statements))
        .route("/v1/bank-statements/{currency}/{statement}", web::get().to(clearing::get_statement))
        .route("/v1/participants/{participant}/exposure", web::get().to(funding::participant_exposure))
        .route("/v1/participants/{participant}/cover", web::get().to(funding::cover_steps))
        .route("/v1/cycles/{cycle}/report", web::get().to(banking::report))
        .route("/v1/cycles/{cycle}/orders/{currency}", web::get().to(banking::orders))
        .route("/v1/cycles/{cycle}/notices/{currency}", web::get().to(banking::notices))
        .route("/v1/participants/{participant}/bank-details/{currency}", web::get().to(banking::get_details))
        .route("/v1/schedule", web::get().to(cycles::schedule))
        .route("/v1/netting", web::get().to(netting::get))
        .route("/v1/dues", web::get().to(netting::dues))
        .route("/v1/periods", web::get().to(cycles::period))
        .route("/v1/positions", web::get().to(clearing::positions))
        .route("/v1/disputes/{dispute}", web::get().to(disputes::get_dispute))
        .route("/v1/complaints", web::get().to(disputes::complaints))
        .route("/v1/complaints/{complaint}", web::get().to(disputes::get_complaint))
        .route("/v1/documents/{matter}/{sha256}", web::get().to(documents::get))
        .route("/v1/disputes", web::get().to(disputes::list))
        .route("/v1/objections", web::get().to(clearing::objections))
        .route("/v1/reports/liability", web::get().to(accounting::owed))
        .route("/v1/reports/journal", web::get().to(accounting::journal))
        .route("/v1/reports/aging", web::get().to(reports::age))
        .route("/v1/reports/exposure", web::get().to(reports::exposure))
        .route("/v1/reports/what-if/{participant}", web::get().to(reports::default))
        .route("/v1/obligations", web::get().to(settlement::obligations))
        .route("/v1/units/{unit}/flows", web::get().to(settlement::flows));
}

/// Writes to the log.
fn written(config: &mut web::ServiceConfig) {
    config
        .route("/v1/participants", web::post().to(brands::register_participant))
        .route("/v1/brands", web::post().to(brands::register))
        .route("/v1/keys", web::post().to(keys::certify))
        .route("/v1/keys/revocations", web::post().to(keys::revoke))
        .route("/v1/budgets", web::post().to(keys::set_budget))
        .route("/v1/units", web::post().to(units::define))
        .route("/v1/prices", web::post().to(units::publish_prices))
        .route("/v1/breakage", web::post().to(breakage::publish))
        .route("/v1/acceptance", web::post().to(units::publish_acceptance))
        .route("/v1/fees", web::post().to(fees::publish))
        .route("/v1/tax", web::post().to(fees::publish_tax))
        .route("/v1/accounts/tiers", web::post().to(fees::set_tier))
        .route("/v1/erasures", web::post().to(erasures::erase))
        .route("/v1/freezes/network", web::post().to(freezes::network))
        .route("/v1/freezes/brands", web::post().to(freezes::brand))
        .route("/v1/freezes/units", web::post().to(freezes::unit))
        .route("/v1/freezes/accounts", web::post().to(freezes::account))
        .route("/v1/accounts", web::post().to(accounts::open))
        .route("/v1/accounts/key-revocations", web::post().to(keys::revoke_account_key))
        .route("/v1/tokens", web::post().to(awards::token))
        .route("/v1/awards", web::post().to(awards::award))
        .route("/v1/awards/claw-backs", web::post().to(awards::claw_back))
        .route("/v1/awards:batch", web::post().to(batches::awards))
        .route("/v1/payments:batch", web::post().to(batches::payments))
        .route("/v1/consents", web::post().to(consents::open))
        .route("/v1/offers", web::post().to(offers::make))
        .route("/v1/offers/cancellations", web::post().to(offers::cancel))
        .route("/v1/exchanges", web::post().to(offers::exchange))
        .route("/v1/payments", web::post().to(payments::authorise))
        .route("/v1/captures", web::post().to(payments::capture))
        .route("/v1/voids", web::post().to(payments::void))
        .route("/v1/refunds", web::post().to(payments::refund))
        .route("/v1/cycles", web::post().to(cycles::seal))
        .route("/v1/cycles/computations", web::post().to(cycles::compute))
        .route("/v1/cycles/moves", web::post().to(cycles::advance))
        .route("/v1/objections", web::post().to(cycles::object))
        .route("/v1/objections/answers", web::post().to(cycles::answer))
        .route("/v1/bank-statements", web::post().to(clearing::import))
        .route("/v1/bank-statements/acceptances", web::post().to(clearing::accept))
        .route("/v1/bank-statements/rejections", web::post().to(clearing::reject))
        .route("/v1/bank-statements/assignments", web::post().to(clearing::assign))
        .route("/v1/instructions/moves", web::post().to(clearing::move_instruction))
        .route("/v1/bank-details", web::post().to(banking::set_details))
        .route("/v1/bank-details/confirmations", web::post().to(banking::confirm_details))
        .route("/v1/schedule", web::post().to(cycles::set_schedule))
        .route("/v1/netting", web::post().to(netting::set))
        .route("/v1/cycles/set-offs", web::post().to(netting::set_off))
        .route("/v1/dues/claims", web::post().to(netting::claim))
        .route("/v1/dues/confirmations", web::post().to(netting::confirm))
        .route("/v1/periods", web::post().to(cycles::close_period))
        .route("/v1/funding", web::post().to(clearing::set_funding))
        .route("/v1/reserves", web::post().to(funding::set_reserve))
        .route("/v1/margin-calls", web::post().to(funding::call_margin))
        .route("/v1/cover", web::post().to(funding::move_cover))
        .route("/v1/disputes", web::post().to(disputes::file_dispute))
        .route("/v1/disputes/moves", web::post().to(disputes::move_dispute))
        .route("/v1/complaints", web::post().to(disputes::file_complaint))
        .route("/v1/complaints/moves", web::post().to(disputes::move_complaint));
}

/// Changes of the vault.
fn kept(config: &mut web::ServiceConfig) {
    config
        .route("/v1/applications", web::post().to(applications::apply))
        .route("/v1/applications", web::get().to(applications::list))
        .route("/v1/applications/{application}", web::get().to(applications::get))
        .route("/v1/applications/{application}/approvals", web::post().to(applications::approve))
        .route("/v1/api-keys", web::get().to(api_keys::list))
        .route("/v1/api-keys", web::post().to(api_keys::create))
        .route("/v1/api-keys/{api_key}", web::get().to(api_keys::get))
        .route("/v1/api-keys/{api_key}", web::delete().to(api_keys::revoke))
        .route("/v1/held-keys", web::get().to(held::list))
        .route("/v1/held-keys", web::post().to(held::create))
        .route("/v1/held-keys/{kid}", web::delete().to(held::forget))
        .route("/v1/documents/{matter}", web::post().to(documents::add))
        .route("/v1/documents/{matter}/{sha256}", web::delete().to(documents::erase))
        .route("/v1/accounts:resolve", web::post().to(wallets::resolve))
        .route("/v1/reports/journal", web::post().to(accounting::charted))
        .route("/v1/reconciliations", web::post().to(reconciliations::compare))
        .route("/v1/bank-details:keep", web::post().to(banking::keep_details))
        .route("/v1/bank-statements:match", web::post().to(banking::match_statement))
        .route("/v1/status-reports:read", web::post().to(banking::read_status_report))
        .route("/v1/wallets", web::post().to(wallets::create))
        .route("/v1/wallets", web::get().to(wallets::list))
        .route("/v1/wallets/{wallet}", web::get().to(wallets::get))
        .route("/v1/wallets/{wallet}/aliases", web::get().to(wallets::aliases))
        .route("/v1/wallets/{wallet}/aliases", web::post().to(wallets::add_alias))
        .route("/v1/wallets/{wallet}/accounts", web::get().to(wallets::accounts))
        .route("/v1/wallets/{wallet}/accounts", web::post().to(wallets::add_account));
}

/// What nobody answers: there is nothing here, or not with this method.
pub async fn nothing(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let taken = Method::ALL.iter().filter(|method| Route::find(method.code(), request.path()).is_some());
    let mut taken: Vec<&str> = taken.map(|method| method.code()).collect();
    if taken.is_empty() {
        return Err(Problem::about(Code::NotFound, format!("{} is not a path of this API", request.path())));
    }
    if taken.contains(&Method::Get.code()) {
        taken.push("HEAD");
    }
    taken.push("OPTIONS");
    let taken = taken.join(", ");
    if request.method() == actix_web::http::Method::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header((ALLOW, taken)).finish());
    }
    Err(Problem::from(Code::MethodNotAllowed).allowing(taken))
}
