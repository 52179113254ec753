//! Banks: participants' accounts, files of orders, notices, and what banks say.

use super::call::{Caller, Whom, service};
use super::cycles::{shown, sight};
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, json, min_seq};
use super::reports::{is_csv, turn};
use super::service::Service;
use super::wallets::vault_problem;
use super::write::{Done, Incoming};
use crate::banking;
use crate::banking::{
    CycleReport, Desk, ForDay, Paid, StatementRead, StatusRead, read_statements, read_status,
};
use crate::book::{DetailsVersion, Name, Record};
use crate::clearing::{ConfirmDetails, SaltedDetails, SetDetails};
use crate::formats::PayInNotice;
use crate::log::root_at;
use crate::types::{Currency, Date, Hash, InstructionId, ParticipantId};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// The media type of banks' messages.
const XML: &str = "application/xml";

/// Set bank details
///
/// A commitment to a participant's account in a currency: BLAKE3 of the canonical JSON of salt and details. Signed by the
/// root of the brand that speaks for the participant, approved by two of that brand's approvers; for a participant without a
/// brand signed by an analyst, approved by two of the operator's. Send it as `application/jose`, which `tallyhouse sign` prints
/// with `--approve` for each of them. It counts from the next cycle on, once an analyst has confirmed it by calling back. The
/// details themselves go to `/v1/bank-details:keep`; they stand in no entry.
/// With `settlement` it is the house's own account, to which payers pay: signed by an analyst, approved by two of the
/// operator's approvers, of the operator's participant. Notices and files then name no other account.
#[utoipa::path(post, path = "/v1/bank-details", tag = "clearing", operation_id = "setBankDetails",
    request_body = SetDetails,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_details(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Confirm bank details
///
/// By an analyst, who called the participant back at a number known from before. From the next cycle on they count; a
/// participant's first, for what is computed from now on. The vault has them in full by then (`/v1/bank-details:keep`), or
/// they are refused with `not_ready`.
#[utoipa::path(post, path = "/v1/bank-details/confirmations", tag = "clearing", operation_id = "confirmBankDetails",
    request_body = ConfirmDetails,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn confirm_details(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// What stands for details that are kept.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KeptDetails {
    /// The commitment, for `/v1/bank-details`.
    commitment: Hash,
}

/// Keep bank details
///
/// The network keeps them sealed, under their commitment, and uses them once the log says that they count. Salt and
/// commitment are the participant's to make: its people sign for what they meant, and not for what was understood.
#[utoipa::path(post, path = "/v1/bank-details:keep", tag = "clearing", operation_id = "keepBankDetails",
    request_body = SaltedDetails,
    responses((status = 201, description = "Kept.", body = KeptDetails)))]
pub async fn keep_details(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let salted: SaltedDetails = incoming.json()?;
    salted.check().map_err(|e| Problem::about(Code::BodyInvalid, e))?;
    let own = sight(&incoming.service, &caller)?;
    if own.is_some_and(|own| own != salted.details.participant) {
        return Err(Problem::about(Code::NotYours, "participant: another brand's"));
    }
    let service = incoming.service.clone();
    let kept = web::block(move || service.vault.keep_details(&salted)).await;
    let commitment = kept.map_err(Problem::fault)?.map_err(vault_problem)?;
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(KeptDetails { commitment }))
}

/// A version of bank details.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BankDetailsShown {
    /// The version.
    version: u64,
    /// It is the house's settlement account, and not where its participant is paid.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    settlement: bool,
    /// What the log says of it.
    facts: DetailsVersion,
    /// What the commitment stands for, if it was kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<SaltedDetails>,
}

/// Show bank details
///
/// The versions of a participant's bank details in a currency, the newest first, with what they stand for: so that whoever
/// calls back reads out what was committed to. Of the operator's participant the house's settlement account, too, with
/// `settlement`. For the participant's brand and those who work for the operator.
#[utoipa::path(get, path = "/v1/participants/{participant}/bank-details/{currency}", tag = "clearing",
    operation_id = "getBankDetails",
    params(("participant" = ParticipantId, Path, description = "The participant."),
        ("currency" = Currency, Path, description = "The currency.")),
    responses((status = 200, description = "The versions.", body = Page<BankDetailsShown>)))]
pub async fn get_details(
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such bank details of yours");
    let (who, currency) = path.into_inner();
    let who: ParticipantId = who.parse().map_err(|_| nothing())?;
    let currency: Currency = currency.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    if sight(&service, &caller)?.is_some_and(|own| own != who) {
        return Err(nothing());
    }
    let seq = shown(&service);
    let newest = |name: &Name| -> Result<Option<u64>, Problem> {
        Ok(service.record(name)?.as_deref().and_then(Record::details).map(|head| head.newest))
    };
    let network = service.record(&Name::Network)?;
    let operator = network.as_deref().and_then(Record::network).and_then(|network| network.operator.clone());
    let own = newest(&Name::Details(who.clone(), currency))?;
    let house = if operator.as_ref() == Some(&who) { newest(&Name::House(currency))? } else { None };
    if own.is_none() && house.is_none() {
        return Err(nothing());
    }
    let versions = |newest: Option<u64>| (1..=newest.unwrap_or(0)).rev().take(100);
    let all = versions(own).map(|version| (version, Name::DetailsVersion(who.clone(), currency, version)));
    let all = all.chain(versions(house).map(|version| (version, Name::HouseVersion(currency, version))));
    let mut items = vec![];
    for (version, name) in all {
        let record = service.record(&name)?;
        let Some(facts) = record.as_deref().and_then(Record::details_version).cloned() else { continue };
        let kept = service.vault.details(facts.commitment).map_err(Problem::fault)?;
        let settlement = matches!(name, Name::HouseVersion(..));
        items.push(BankDetailsShown { version, settlement, facts, kept });
    }
    Ok(json(seq, &Page { items, next: None }))
}

/// A file of payment orders, as the approvers look at it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OrdersShown {
    /// The SHA-256 of the file: what the approvers sign for in `pay_out`.
    sha256: Hash,
    /// The day on which the bank carries it out.
    on: Date,
    /// The hash of the file that the log lets leave, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<Hash>,
    /// Whether this file may leave.
    released: bool,
    /// Whether the log has a commitment to the house's account that two people signed and a third confirmed.
    signed: bool,
    /// What its payments come to, in the network's smallest unit.
    sum: u64,
    /// Its payments.
    payments: Vec<Paid>,
}

/// Which file.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichFile {
    /// The day on which the bank carries it out; if absent, when payers would be late, or the next business day once that has
    /// passed, and for a file that was approved its own day.
    on: Option<Date>,
    /// A payment of the cycle that was issued again: it leaves in a file of its own.
    instruction: Option<InstructionId>,
}

pub(super) fn desk(service: &Service) -> Desk<'_> {
    Desk {
        read: &*service.read,
        vault: Some(&service.vault),
        genesis: &service.genesis,
        accounts: &service.settings.accounts,
    }
}

fn of_operator(caller: &Caller) -> Result<(), Problem> {
    match caller.whom {
        Whom::Operator => Ok(()),
        _ => Err(Problem::about(Code::NotYours, "for those who work for the operator")),
    }
}

fn place(path: &(String, String)) -> Result<(u64, Currency), Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such cycle or currency");
    let cycle = path.0.parse().map_err(|_| nothing())?;
    Ok((cycle, path.1.parse().map_err(|_| nothing())?))
}

/// Get a cycle's payment orders
///
/// The pay-outs of a cycle in a currency as a file for the bank (pain.001). As JSON, what is in it and its SHA-256, which
/// two approvers sign for (`pay_out`, or `send` for one that was issued again). With `Accept: application/xml` the file
/// itself, as soon as that is in the log and not before: made again, it is the same to the byte.
#[utoipa::path(get, path = "/v1/cycles/{cycle}/orders/{currency}", tag = "clearing", operation_id = "getOrders",
    params(("cycle" = u64, Path, description = "Its number.", example = 3),
        ("currency" = Currency, Path, description = "The currency."), WhichFile),
    responses((status = 200, description = "The orders.", content(
        (OrdersShown = "application/json"), (String = "application/xml")))))]
pub async fn orders(
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    query: Query<WhichFile>,
) -> Result<HttpResponse, Problem> {
    of_operator(&caller)?;
    let (cycle, currency) = place(&path)?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let (seq, WhichFile { on, instruction }) = (shown(&service), query.into_inner());
    let day = ForDay { on, today: service.log_time()?.date(0) };
    let made = web::block(move || match instruction {
        Some(id) => desk(&service).again(id, day),
        None => desk(&service).pay_outs(cycle, currency, day),
    });
    let prepared = made.await.map_err(Problem::fault)??;
    let wants_file = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    if wants_file.is_some_and(|accept| accept.contains(XML)) {
        let name = match instruction {
            Some(id) => format!("attachment; filename=\"{id}.xml\""),
            None => format!("attachment; filename=\"cycle-{cycle}-{currency}.xml\""),
        };
        let orders = prepared.release()?;
        let mut answer = HttpResponse::Ok();
        answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((CONTENT_DISPOSITION, name));
        return Ok(answer.content_type(XML).body(orders.bytes));
    }
    let sum = prepared.sum();
    let shown = OrdersShown {
        sha256: prepared.sha256,
        on: prepared.on,
        approved: prepared.approved,
        released: prepared.approved == Some(prepared.sha256),
        signed: prepared.signed,
        sum,
        payments: prepared.payments,
    };
    Ok(json(seq, &shown))
}

/// List pay-in notices
///
/// What participants are asked to pay for a cycle and have not paid yet: how much, to which account, under which reference,
/// until when. A brand gets its own participant's.
#[utoipa::path(get, path = "/v1/cycles/{cycle}/notices/{currency}", tag = "clearing", operation_id = "listNotices",
    params(("cycle" = u64, Path, description = "Its number.", example = 3),
        ("currency" = Currency, Path, description = "The currency.")),
    responses((status = 200, description = "The notices.", body = Page<PayInNotice>)))]
pub async fn notices(
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (cycle, currency) = place(&path)?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let (own, seq) = (sight(&service, &caller)?, shown(&service));
    let made = web::block(move || desk(&service).notices(cycle, currency, own.as_ref()));
    let items = made.await.map_err(Problem::fault)??;
    Ok(json(seq, &Page { items, next: None }))
}

/// As what a report is asked for.
pub(super) const CSV: &str = "text/csv";

/// Report on a cycle
///
/// Gross, bilateral and multilateral; numbered documents of what each participant bills each other one; each line, and each
/// entry behind it; the cut and the checkpoint. A brand gets the documents, lines and entries of its participant, and no
/// figures of the house. With `Accept: text/csv` as a table. The proof of each entry is at `/v1/entries/{seq}/proof`.
#[utoipa::path(get, path = "/v1/cycles/{cycle}/report", tag = "clearing", operation_id = "getCycleReport",
    params(("cycle" = u64, Path, description = "Its number.", example = 3)),
    responses((status = 200, description = "The report.", content(
        (CycleReport = "application/json"), (String = "text/csv")))))]
pub async fn report(
    caller: Caller,
    request: HttpRequest,
    cycle: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let cycle: u64 = cycle.parse().map_err(|_| Problem::about(Code::NotFound, "no such cycle"))?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let (own, _turn) = (sight(&service, &caller)?, turn().await?);
    let seq = shown(&service);
    let made = web::block(move || {
        let (tip, now) = (seq.unwrap_or(0), service.log_time()?);
        let root = |size| {
            root_at(size, &service.hashes)
                .map_err(|e| banking::Fault::Damaged(format!("the tree at {size}: {e:?}")))
        };
        let report = desk(&service).report(cycle, tip, now, root)?;
        Ok::<_, Problem>(match &own {
            Some(own) => report.of(own),
            None => report,
        })
    });
    let report = made.await.map_err(Problem::fault)??;
    if is_csv(&request) {
        let mut answer = HttpResponse::Ok();
        answer.insert_header((CACHE_CONTROL, "no-store"));
        let name = format!("attachment; filename=\"cycle-{cycle}.csv\"");
        answer.insert_header((CONTENT_DISPOSITION, name));
        return Ok(answer.content_type(CSV).body(report.csv()?));
    }
    Ok(json(seq, &report))
}

/// What a bank sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankDocument {
    /// The document as it came: camt.053 or camt.054, a statement as CSV, or a status report (pain.002).
    document: String,
}

/// Match a bank statement
///
/// Reads a statement (camt.053, camt.054 or CSV), matches its lines with the open instructions and answers what to sign for
/// `/v1/bank-statements`, and what a person has to look at. Nothing is written.
#[utoipa::path(post, path = "/v1/bank-statements:match", tag = "clearing", operation_id = "matchStatement",
    request_body = BankDocument,
    responses((status = 200, description = "What it says.", body = Page<StatementRead>)))]
pub async fn match_statement(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    of_operator(&caller)?;
    let BankDocument { document } = incoming.json()?;
    let service = incoming.service.clone();
    let seq = shown(&service);
    let read = web::block(move || read_statements(&desk(&service), document.as_bytes()));
    let items = read.await.map_err(Problem::fault)??;
    Ok(json(seq, &Page { items, next: None }))
}

/// Read a status report
///
/// Reads what a bank says of orders (pain.002) and answers the steps to sign for `/v1/instructions/moves`. Nothing is
/// written.
#[utoipa::path(post, path = "/v1/status-reports:read", tag = "clearing", operation_id = "readStatusReport",
    request_body = BankDocument,
    responses((status = 200, description = "What it says.", body = StatusRead)))]
pub async fn read_status_report(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    of_operator(&caller)?;
    let BankDocument { document } = incoming.json()?;
    let service = incoming.service.clone();
    let (seq, now) = (shown(&service), service.log_time()?);
    let read = web::block(move || read_status(&desk(&service), document.as_bytes(), now));
    let read = read.await.map_err(Problem::fault)??;
    Ok(json(seq, &read))
}
