//! Participants that do not accept the clearing house as their counterparty: who they are, set-off, what is due.

use super::call::{Caller, service};
use super::cycles::{looks, shown, sight};
use super::problem::Problem;
use super::query::Query;
use super::reply::{Page, PageQuery, cursor, json, min_seq, page};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{self, DueClaim, Name, NettingMode, Record};
use crate::clearing::{ClaimDue, ConfirmDue, SetNetting, SetOffCycle};
use crate::types::{Currency, Money, ParticipantId};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;

/// Declare how a participant is settled
///
/// By one net with the clearing house, or with each other participant by itself, after set-off. It counts from the cycle
/// after the open one on. Refused while the participant is over its limit or did not pay in time. Signed by the root of the
/// brand that speaks for it, approved by two of its approvers; for a participant without a brand signed by an analyst, approved
/// by two of the operator's. Send it as `application/jose`, which `tallyhouse sign` prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/netting", tag = "clearing", operation_id = "setNetting", request_body = SetNetting,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Set off what stands apart in a cycle
///
/// Before a sealed cycle is computed, what is owed between two of whom one is set off leaves it: set off as far as it goes,
/// the rest owed between the same two in the open cycle, to be paid between them. Whoever asks says the digest of the
/// set-off as they found it; the log's own must be the same. It takes 3,300 pairs at once, and is asked for again while more
/// are left. By an analyst.
#[utoipa::path(post, path = "/v1/cycles/set-offs", tag = "clearing", operation_id = "setOffCycle",
    request_body = SetOffCycle,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn set_off(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Claim to have paid what was due
///
/// A debtor says that it paid, and under which reference: its creditor sees that and looks for the payment. Nothing is owed
/// less until the creditor confirms it. By the root or an approver key of the brand that speaks for the debtor; for a debtor
/// without a brand by an analyst, approved by two of the operator's approvers: send that as `application/jose`, which
/// `tallyhouse sign` prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/dues/claims", tag = "clearing", operation_id = "claimDue", request_body = ClaimDue,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn claim(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// Confirm what was due
///
/// A creditor says that it was paid, all or in part: so much less is owed to it. A reference counts once between the two. By
/// the root or an approver key of the brand that speaks for it, since what is confirmed is given up; for a creditor without a
/// brand by an analyst, approved by two of the operator's approvers: send that as `application/jose`, which `tallyhouse sign`
/// prints with `--approve` for each of them.
#[utoipa::path(post, path = "/v1/dues/confirmations", tag = "clearing", operation_id = "confirmDue",
    request_body = ConfirmDue,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn confirm(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// From a cycle on.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NettingFrom {
    /// The first cycle that it counts for.
    cycle: u64,
    /// How what the participant owes and is owed is settled.
    mode: NettingMode,
}

/// What a participant declared.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NettingShown {
    /// Whose.
    participant: ParticipantId,
    /// How often it was declared.
    version: u64,
    /// What counts, and what will.
    from: Vec<NettingFrom>,
}

/// Who declared how they are settled.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Nettings {
    /// In the order of participants. Whoever is not there is settled by one net.
    declared: Vec<NettingShown>,
}

/// Show who declared how they are settled
///
/// Everybody sees everybody: it decides how their own debts to them are settled.
#[utoipa::path(get, path = "/v1/netting", tag = "clearing", operation_id = "getNetting",
    responses((status = 200, description = "What was declared.", body = Nettings)))]
pub async fn get(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    looks(&caller)?;
    let seq = shown(&service);
    let record = service.record(&Name::Netting)?;
    let netting = record.as_deref().and_then(Record::netting).cloned().unwrap_or_default();
    let declared = netting.declared.into_iter().map(|one| NettingShown {
        participant: one.participant,
        version: one.version,
        from: one.from.into_iter().map(|(cycle, mode)| NettingFrom { cycle, mode }).collect(),
    });
    Ok(json(seq, &Nettings { declared: declared.collect() }))
}

/// What one participant is to pay another by itself.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DueShown)]
pub struct Due {
    /// Who pays.
    debtor: ParticipantId,
    /// Whom.
    creditor: ParticipantId,
    /// The currency.
    currency: Currency,
    /// The cycle in which it is owed: until that is sealed its creditor can confirm it.
    cycle: u64,
    /// How much.
    amount: Money,
    /// How much of it its creditor got.
    paid: Money,
    /// What its debtor says it paid, and its creditor did not confirm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    claims: Vec<DueClaim>,
}

/// List what is due
///
/// After set-off, between two of whom one does not accept the clearing house: what the one is to pay the other. A brand
/// sees its participant's.
#[utoipa::path(get, path = "/v1/dues", tag = "clearing", operation_id = "listDues", params(PageQuery),
    responses((status = 200, description = "What is due.", body = Page<Due>)))]
pub async fn dues(
    caller: Caller,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    let (limit, after) = (query.limit()?, query.place::<String>("dues")?);
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let (seq, from) = (shown(&service), service.clone());
    let found = web::block(move || dues_of(&from, own.as_ref(), after.as_deref(), limit));
    let (items, next) = found.await.map_err(Problem::fault)??;
    let next = next.map(|next| cursor("dues", &next));
    Ok(page(&request, seq, &Page { items, next }))
}

/// Records looked at at a time.
const SCAN: usize = 1_000;
const PREFIX: &str = "due/";

fn dues_of(
    service: &Arc<Service>,
    own: Option<&ParticipantId>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Due>, Option<String>), Problem> {
    // What was due in a cycle that was sealed since is owed in that, and due anew once it is set off.
    let cycles = service.record(&Name::Cycle)?;
    let open = cycles.as_deref().and_then(Record::cycle).map_or(0, |cycles| cycles.open);
    let mut from = after.unwrap_or(PREFIX).to_owned();
    // What was shown last is where the next page begins: a key of a row that was not would tell whose it is.
    let (mut items, mut last) = (vec![], from.clone());
    loop {
        let loaded = service.engine().read().scan(&from, SCAN)?;
        for row in &loaded.rows {
            if !row.key.starts_with(PREFIX) {
                return Ok((items, None));
            }
            let name: Name = row.key.parse().map_err(Problem::fault)?;
            let record = Record::decode(&name, &row.value).map_err(Problem::fault)?;
            if let (Name::Due(a, b, currency), Record::Due(due)) = (name, record)
                && due.cycle == open
                && own.is_none_or(|own| *own == a || *own == b)
            {
                if items.len() >= limit {
                    return Ok((items, Some(last)));
                }
                let creditor = if due.debtor == a { b } else { a };
                let book::Due { debtor, cycle, amount, paid, claims, .. } = due;
                items.push(Due { debtor, creditor, currency, cycle, amount, paid, claims });
                last.clone_from(&row.key);
            }
            from.clone_from(&row.key);
        }
        if loaded.rows.len() < SCAN {
            return Ok((items, None));
        }
    }
}
