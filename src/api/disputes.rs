//! Disputes between participants, and complaints of consumers.

use super::call::{Caller, Whom, service};
use super::cycles::{shown, sight};
use super::filed::filed;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, PageQuery, json, min_seq, page};
use super::write::{Done, Incoming};
use crate::book::{self, ComplaintStage, DisputeStage, Name, Record};
use crate::clearing::{FileComplaint, FileDispute, MoveComplaint, MoveDispute, is_overdue};
use crate::types::{AccountId, ComplaintId, DisputeId, word};
use crate::views::{Filing, FilingsOf};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// File a dispute
///
/// The brand whose participant owes for a payment, an exchange or sponsored awards, or a fee of a payment or an exchange,
/// says that it should not: why, how much of it, with the hashes of documents. Each reason has a time limit, and counts
/// once for what is disputed, three in all. It may say whether the points are to go back into their lots. What is taken
/// back takes its tax with it. What losing costs is what the network's fees say now.
#[utoipa::path(post, path = "/v1/disputes", tag = "clearing", operation_id = "fileDispute", request_body = FileDispute,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn file_dispute(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Move a dispute on
///
/// The filer, the target or an analyst takes a step. `rule_for_filer`, `rule_for_target` and `close` are signed by an
/// analyst and approved by two of the operator's approvers: send them as `application/jose`, which `tallyhouse sign` prints
/// with `--approve` for each of them. A charge-back is of what is owed then, so what was refunded first is not charged back
/// as well; it stands in cycle 0, beside all cycles, costs its target headroom, and is not refunded while it stands. The
/// target may give in at any time; who gives in, also by withdrawing what was charged back, does so by its root or an
/// approver. An end takes that away, and takes the obligation and the points back or leaves them, in the same entry; who loses
/// after the target has answered owes the fees.
#[utoipa::path(post, path = "/v1/disputes/moves", tag = "clearing", operation_id = "moveDispute",
    request_body = MoveDispute,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn move_dispute(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// File a complaint
///
/// The holder of an account complains: points are missing, it was not them, or an amount is wrong. The account's brand
/// answers within 30 days.
#[utoipa::path(post, path = "/v1/complaints", tag = "clearing", operation_id = "fileComplaint",
    request_body = FileComplaint,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn file_complaint(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Move a complaint on
///
/// The brand answers, the holder appeals or takes it back, the operator answers an appeal.
#[utoipa::path(post, path = "/v1/complaints/moves", tag = "clearing", operation_id = "moveComplaint",
    request_body = MoveComplaint,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn move_complaint(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// A dispute.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Dispute {
    /// Its id.
    dispute: DisputeId,
    /// Whether the time for the next step has passed.
    overdue: bool,
    /// What it says.
    facts: book::Dispute,
}

/// Show a dispute
///
/// For the brands of both sides, the operator and analysts.
#[utoipa::path(get, path = "/v1/disputes/{dispute}", tag = "clearing", operation_id = "getDispute",
    params(("dispute" = DisputeId, Path, description = "Its id.")),
    responses((status = 200, description = "The dispute.", body = Dispute)))]
pub async fn get_dispute(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such dispute of yours");
    let id: DisputeId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Dispute(id))?;
    let facts = record.as_deref().and_then(Record::dispute).cloned().ok_or_else(nothing)?;
    if own.is_some_and(|own| own != facts.filer && own != facts.target) {
        return Err(nothing());
    }
    let overdue = is_overdue(&facts, service.log_time()?);
    Ok(json(seq, &Dispute { dispute: id, overdue, facts }))
}

/// Which disputes.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichDisputes {
    /// Those that stand here.
    #[param(inline)]
    stage: Option<DisputeStage>,
    /// Those that have not ended; or those that have.
    open: Option<bool>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List disputes
///
/// The newest first. A brand gets those of its participant, whichever side that is on; the operator and analysts get all.
#[utoipa::path(get, path = "/v1/disputes", tag = "clearing", operation_id = "listDisputes", params(WhichDisputes),
    responses((status = 200, description = "The disputes.", body = Page<Dispute>)))]
pub async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhichDisputes>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (stage, open) = (query.stage, query.open);
    let places = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let filter = FilingsOf {
        whose: own.as_ref().map(ToString::to_string),
        stage: stage.map(|stage| word(&stage)),
        open,
        cycle: None,
    };
    let wanted = |record: &Record| {
        record.dispute().is_some_and(|one| {
            own.as_ref().is_none_or(|own| *own == one.filer || *own == one.target)
                && stage.is_none_or(|stage| stage == one.stage)
                && open.is_none_or(|open| open == one.outcome.is_none())
        })
    };
    let found = filed(&service, Filing::Dispute, filter, ("disputes", &places), wanted).await?;
    let (mut items, now) = (vec![], service.log_time()?);
    for ((seq, part), record) in found.rows {
        let Record::Dispute(facts) = record else { continue };
        let (dispute, overdue) = (DisputeId { seq, part }, is_overdue(&facts, now));
        items.push(Dispute { dispute, overdue, facts: *facts });
    }
    Ok(page(&request, found.seq, &Page { items, next: found.next }))
}

/// A complaint.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Complaint {
    /// Its id.
    complaint: ComplaintId,
    /// What it says.
    facts: book::Complaint,
}

/// Show a complaint
///
/// For the account's holder, its brand and the operator.
#[utoipa::path(get, path = "/v1/complaints/{complaint}", tag = "clearing", operation_id = "getComplaint",
    params(("complaint" = ComplaintId, Path, description = "Its id.")),
    responses((status = 200, description = "The complaint.", body = Complaint)))]
pub async fn get_complaint(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such complaint, or it is not yours to see");
    let id: ComplaintId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let seq = shown(&service);
    let record = service.record(&Name::Complaint(id))?;
    let facts = record.as_deref().and_then(Record::complaint).cloned().ok_or_else(nothing)?;
    if caller.brand() != Some(&facts.brand) {
        service.may_see_account(&caller, facts.account, None).map_err(|_| nothing())?;
    }
    Ok(json(seq, &Complaint { complaint: id, facts }))
}

/// Which complaints.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichComplaints {
    /// Those of this account.
    account: Option<AccountId>,
    /// Those that stand here.
    #[param(inline)]
    stage: Option<ComplaintStage>,
    /// Those that wait for an answer; or those that do not.
    open: Option<bool>,
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// List complaints
///
/// The newest first. A holder gets those of an account of theirs, a brand those about its points, the operator all.
#[utoipa::path(get, path = "/v1/complaints", tag = "clearing", operation_id = "listComplaints", params(WhichComplaints),
    responses((status = 200, description = "The complaints.", body = Page<Complaint>)))]
pub async fn complaints(
    caller: Caller,
    request: HttpRequest,
    query: Query<WhichComplaints>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (stage, open) = (query.stage, query.open);
    let places = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
    service.wait_for(min_seq(request.headers())?).await?;
    let account = match &caller.whom {
        Whom::Account(own) => Some(query.account.unwrap_or(*own)),
        _ => query.account,
    };
    let brand = caller.brand().cloned();
    let whose = match (&brand, account) {
        (Some(brand), None) => Some(brand.to_string()),
        (_, Some(account)) => {
            let record = service.record(&Name::Account(account))?;
            let unit = record.as_deref().and_then(Record::account).map(|one| one.head.unit);
            service.may_see_account(&caller, account, unit)?;
            Some(account.to_string())
        }
        (None, None) if caller.sees_all() => None,
        (None, None) => return Err(Problem::about(Code::QueryInvalid, "account: of which of yours?")),
    };
    let filter = FilingsOf { whose, stage: stage.map(|stage| word(&stage)), open, cycle: None };
    let wanted = |record: &Record| {
        record.complaint().is_some_and(|one| {
            brand.as_ref().is_none_or(|brand| *brand == one.brand)
                && account.is_none_or(|account| account == one.account)
                && stage.is_none_or(|stage| stage == one.stage)
                && open.is_none_or(|open| open == one.stage.is_open())
        })
    };
    let found = filed(&service, Filing::Complaint, filter, ("complaints", &places), wanted).await?;
    let mut items = vec![];
    for ((seq, part), record) in found.rows {
        let Record::Complaint(facts) = record else { continue };
        items.push(Complaint { complaint: ComplaintId { seq, part }, facts });
    }
    Ok(page(&request, found.seq, &Page { items, next: found.next }))
}
