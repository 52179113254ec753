//! Applications: a brand that wants to join hands in its registration, the operator approves, and the brand is
//! registered.
//!
//! Until then nothing of it stands in the log.

use super::call::{Caller, Whom};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, json, page};
use super::service::Service;
use super::wallets::vault_problem;
use super::write::Incoming;
use crate::engine::Failure;
use crate::machine::{Answer, Body, Request};
use crate::types::{BrandId, Currency, ParticipantId, Refusal, Time};
use crate::vault::{self, ApplicationId, ApplicationState, NewApplication};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// What a brand hands in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The legal entity that will owe and be owed.
    participant: ParticipantId,
    /// The currency that it settles in.
    currency: Currency,
    /// The registration (`brand.register` as `command+jwt`), signed by the brand's root key.
    #[schema(example = "eyJhbGciOiJFZERTQSIs…", max_length = 4096)]
    registration: String,
    /// How to reach you. Sealed in the vault; it stands in no entry of the log.
    #[serde(default)]
    #[schema(example = "points@harvest.example", max_length = 1024)]
    contact: String,
}

/// An application.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Application {
    /// Its id.
    #[schema(example = "app_2vtb9m0e3d5w7q9x1z4k6p8r0c")]
    id: String,
    /// `applied`, `approved`, `rejected`, `withdrawn`, or `lapsed`: nobody decided it within 30 days.
    #[schema(example = "applied")]
    state: &'static str,
    /// The brand's id.
    brand: BrandId,
    /// The legal entity behind it.
    participant: ParticipantId,
    /// The currency that it settles in.
    currency: Currency,
    /// What the operator's roots approve: the registration as it was handed in.
    registration: String,
    /// Approvals so far.
    approvals: usize,
    /// When it was handed in.
    created: Time,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<Time>,
    /// How to reach the applicant; for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    /// What reads this application, as `Authorization: Bearer …`; told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "th_app_…")]
    token: Option<String>,
    /// What is still missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// The entry that registered the brand.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Answer>,
}

fn shown(application: vault::Application, operator: bool) -> Application {
    let vault::Application {
        id,
        state,
        brand,
        participant,
        currency,
        statements,
        approvals,
        created,
        decided,
        contact,
    } = application;
    Application {
        id: id.to_string(),
        state: state.code(),
        brand,
        participant,
        currency,
        registration: statements.into_iter().next().unwrap_or_default(),
        approvals: approvals.len(),
        created,
        decided,
        contact: (operator && !contact.is_empty()).then_some(contact),
        token: None,
        missing: None,
        entry: None,
    }
}

/// Apply to join
///
/// A brand hands in its registration, signed by its own root key. Nobody needs to know it for that. The answer has a
/// token with which the applicant looks how it stands. From one address a handful are taken an hour, and one that nobody
/// decides lapses after 30 days.
#[utoipa::path(post, path = "/v1/applications", tag = "access", operation_id = "apply", request_body = Apply,
    responses((status = 201, description = "Handed in.", body = Application)))]
pub async fn apply(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let Apply { participant, currency, registration, contact } = incoming.json()?;
    let service = &incoming.service;
    let command = service.engine().check(&Request::of(vec![registration.clone()]))?;
    let Body::RegisterBrand(asked) = &command.body else {
        return Err(Problem::about(Code::BodyInvalid, "registration: a brand.register is wanted"));
    };
    if asked.participant != participant || asked.root.kid() != command.asked.kid {
        let about = "registration: signed by the root that it names, for the same participant";
        return Err(Problem::about(Code::BodyInvalid, about));
    }
    if !service.genesis.currencies.iter().any(|known| known.code == currency) {
        return Err(Problem::about(
            Code::BodyInvalid,
            format!("currency: {currency} is none of this network"),
        ));
    }
    super::gate::draw_application(service, &incoming.request)?;
    let brand = asked.brand.clone();
    let new = NewApplication { brand, participant, currency, statements: vec![registration], contact };
    let (application, token) = service.vault.apply(new, service.clock.now()).map_err(vault_problem)?;
    let answer = Application { token: Some(token), ..shown(application, false) };
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(answer))
}

/// Which applications.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichApplications {
    /// `applied` if absent; or `approved`, `rejected`, `withdrawn`, `lapsed`.
    #[param(example = "applied")]
    state: Option<String>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List applications
///
/// For the operator: those that wait, the oldest first, or those that are decided.
#[utoipa::path(get, path = "/v1/applications", tag = "access", operation_id = "listApplications",
    params(WhichApplications),
    responses((status = 200, description = "The applications.", body = Page<Application>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhichApplications>,
) -> Result<HttpResponse, Problem> {
    if caller.whom != Whom::Operator {
        return Err(Problem::about(Code::NotYours, "the operator lists applications"));
    }
    let WhichApplications { state, limit, cursor } = query.into_inner();
    let state = state.as_deref().unwrap_or("applied").parse();
    let state: ApplicationState =
        state.map_err(|e| Problem::about(Code::QueryInvalid, format!("state: {e}")))?;
    let service = super::call::service(&request)?;
    let all = service.vault.applications(state).map_err(Problem::fault)?;
    let (list, query) = (format!("applications/{state}"), PageQuery { limit, cursor });
    let all = Page::cut(all, &list, &query, |one| (one.created, one.id), |one| shown(one, true))?;
    Ok(page(&request, None, &all))
}

fn nothing() -> Problem {
    Problem::about(Code::NotFound, "no such application of yours")
}

/// Show an application
///
/// For the operator, and for the applicant with the token that came with it.
#[utoipa::path(get, path = "/v1/applications/{application}", tag = "access", operation_id = "getApplication",
    params(("application" = String, Path, description = "Its id.", example = "app_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "The application.", body = Application)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let service = super::call::service(&request)?;
    let id: ApplicationId = id.parse().map_err(|_| nothing())?;
    let found = match &caller.whom {
        Whom::Operator => service.vault.application(id).map_err(Problem::fault)?,
        Whom::Applicant(token) => service.vault.application_for(id, token).map_err(Problem::fault)?,
        _ => None,
    };
    let operator = caller.whom == Whom::Operator;
    Ok(json(None, &shown(found.ok_or_else(nothing)?, operator)))
}

/// Approvals of an application, or its end.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Approvals of the registration (`approval+jwt`), by the operator's roots; for a further brand of a participant by the
    /// root of the brand that speaks for it, too.
    #[serde(default)]
    #[schema(example = json!(["eyJhbGciOiJFZERTQSIs…"]))]
    approvals: Vec<String>,
    /// Reject it instead.
    #[serde(default)]
    reject: bool,
}

/// Approve an application
///
/// The operator's roots approve one after the other, or all at once. With the last that the network asks for, the
/// brand is registered. Its participant is registered before.
#[utoipa::path(post, path = "/v1/applications/{application}/approvals", tag = "access",
    operation_id = "approveApplication", request_body = Approve,
    params(("application" = String, Path, description = "Its id.", example = "app_2vtb9m0e3d5w7q9x1z4k6p8r0c")),
    responses((status = 200, description = "How the application stands now.", body = Application)))]
pub async fn approve(incoming: Incoming, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    if caller.whom != Whom::Operator {
        return Err(Problem::about(Code::NotYours, "the operator approves applications"));
    }
    let Approve { approvals, reject } = incoming.json()?;
    let service = &incoming.service;
    let id: ApplicationId = id.parse().map_err(|_| nothing())?;
    if reject {
        let decided = service.vault.decide_application(id, ApplicationState::Rejected, service.clock.now());
        return Ok(json(None, &shown(decided.map_err(vault_problem)?, true)));
    }
    let application = service.vault.application(id).map_err(Problem::fault)?.ok_or_else(nothing)?;
    let with = |approvals: &[String]| {
        let statements = application.statements.iter().chain(approvals).cloned();
        Request::of(statements.collect())
    };
    // A wrong approval is not kept: it would be in the way of the right ones.
    for approval in &approvals {
        service.engine().check(&with(std::slice::from_ref(approval)))?;
    }
    let mut application = application.clone();
    for approval in &approvals {
        application = service.vault.approve_application(id, approval).map_err(vault_problem)?;
    }
    register(service, application).await
}

async fn register(service: &Service, application: vault::Application) -> Result<HttpResponse, Problem> {
    let id = application.id;
    let statements = application.statements.iter().chain(&application.approvals).cloned().collect();
    let command = service.engine().check(&Request::of(statements))?;
    match service.engine().handle().submit(command, None).await.await {
        Ok(answer) => {
            let now = service.clock.now();
            let decided = service.vault.decide_application(id, ApplicationState::Approved, now);
            let seq = answer.seq;
            let shown = shown(decided.map_err(vault_problem)?, true);
            Ok(json(Some(seq), &Application { entry: Some(answer), ..shown }))
        }
        Err(Failure::Refused(no)) if no.code == Refusal::EvidenceMissing => {
            let shown = shown(application, true);
            Ok(json(None, &Application { missing: Some(no.about), ..shown }))
        }
        Err(failure) => Err(failure.into()),
    }
}
