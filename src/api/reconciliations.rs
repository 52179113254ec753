//! Reconciliation: a brand's own counts and sums, compared with its payments.

use super::call::service;
use super::problem::{Code, Problem};
use super::reply::json;
use super::write::Incoming;
use crate::clearing::{Reconciled, Takings, TillDay, reconcile};
use crate::types::{BrandId, Currency, Date, Ident, Money, PaymentId};
use crate::views::{Filter, Span};
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Payments looked at, at a time and in all.
const PAGE: usize = 1_000;
const MOST_PAYMENTS: usize = 200_000;
/// Most rows of an upload.
const MOST_ROWS: usize = 10_000;

/// What a till took on a day, by the brand's own books.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadedRow {
    /// The shop.
    store: Ident,
    /// The till.
    till: Ident,
    /// The day.
    day: Date,
    /// Payments with points of which something was captured.
    payments: u64,
    /// Captured, in the network's smallest unit.
    captured: Money,
    /// Given back of that, whenever.
    #[serde(default)]
    refunded: Money,
}

/// A brand's own counts and sums.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Whose, if the operator asks.
    #[serde(default)]
    brand: Option<BrandId>,
    /// The currency.
    currency: Currency,
    /// The first day.
    from: Date,
    /// The last day.
    to: Date,
    /// Where days begin: minutes east of Greenwich.
    #[serde(default)]
    #[schema(minimum = -840, maximum = 840)]
    offset_minutes: i16,
    /// At most 10,000.
    #[schema(max_items = 10_000)]
    rows: Vec<UploadedRow>,
}

/// Reconcile payments
///
/// A brand uploads counts and sums for each store, till and day; the answer says what matches, what differs, and what
/// either side has alone. A payment counts on the day on which it was authorised, with all that was captured and given back
/// of it since. Nothing is written; `/v1/payments` lists the payments of a till and day that differs.
#[utoipa::path(post, path = "/v1/reconciliations", tag = "payments", operation_id = "reconcile", request_body = Upload,
    responses((status = 200, description = "What the comparison came to.", body = Reconciled)))]
pub async fn compare(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let upload: Upload = incoming.json()?;
    let brand = caller.brand_or(upload.brand.as_ref())?.clone();
    let wrong = |what: &str| Problem::about(Code::BodyInvalid, what);
    let service = service(&incoming.request)?;
    let known: Vec<&str> = service.genesis.currencies.iter().map(|one| one.code.as_str()).collect();
    if !known.contains(&upload.currency.as_str()) {
        return Err(wrong(&format!("currency: one of the network's, {}", known.join(", "))));
    }
    if !(-840..=840).contains(&upload.offset_minutes) || upload.from > upload.to {
        return Err(wrong("from, to: in order; offset_minutes: -840 to 840"));
    }
    if upload.rows.len() > MOST_ROWS {
        return Err(wrong("rows: at most 10,000; fewer days at a time"));
    }
    let mut there: BTreeMap<TillDay, Takings> = BTreeMap::new();
    for row in &upload.rows {
        if row.day < upload.from || row.day > upload.to {
            return Err(wrong("rows: a day that is not in from to to"));
        }
        let till = TillDay { store: row.store.clone(), till: row.till.clone(), day: row.day };
        let (payments, captured, refunded) = (row.payments, row.captured, row.refunded);
        if there.insert(till, Takings { payments, captured, refunded }).is_some() {
            return Err(wrong("rows: a till and day stand there twice"));
        }
    }
    let shared = service.clone();
    let listed = web::block(move || {
        let span = Span {
            from: Some(upload.from.starts(upload.offset_minutes)),
            to: Some(upload.to.plus_days(1).starts(upload.offset_minutes)),
        };
        let filter = Filter { span, ..Filter::default() };
        let (mut here, mut before, mut seen): (BTreeMap<TillDay, Takings>, Option<PaymentId>, usize) =
            (BTreeMap::new(), None, 0);
        loop {
            let page = shared.views.payments(&brand, &filter, before, PAGE)?;
            seen += page.what.len();
            if seen > MOST_PAYMENTS {
                return Err(Problem::about(
                    Code::BodyInvalid,
                    "more than 200,000 payments: fewer days at a time",
                ));
            }
            before = page.what.last().map(|one| one.id);
            let full = page.what.len() == PAGE;
            for one in
                page.what.into_iter().filter(|one| one.currency == upload.currency && !one.captured.is_zero())
            {
                let day = one.at.date(upload.offset_minutes);
                let sum = here.entry(TillDay { store: one.store, till: one.till, day }).or_default();
                let more = Takings { payments: 1, captured: one.captured, refunded: one.refunded };
                *sum = sum.plus(more).ok_or_else(|| Problem::fault("takings above the largest amount"))?;
            }
            if !full {
                let found = reconcile(&here, &there);
                let found = found.ok_or_else(|| Problem::fault("takings above the largest amount"))?;
                return Ok((page.as_of.map(|place| place.seq), found));
            }
        }
    });
    let (seq, found): (Option<u64>, Reconciled) = listed.await.map_err(Problem::fault)??;
    Ok(json(seq, &found))
}
