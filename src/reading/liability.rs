//! What brands owe for points, month by month, out of the whole log.
//!
//! Promises: it names the last entry that it counts, and the checkpoint over the log through it.

use super::Fault;
use super::past::past;
use crate::book::Period;
use crate::formats::{Cut, Deferred, DeferredMonth, DeferredVintage, Liability, RollForward};
use crate::store::Read;
use crate::types::{Currency, Malformed, UnitCode};
use serde::Serialize;

/// What is wanted of the liability.
pub struct LiabilityOf {
    /// Of these units; of all if absent.
    pub units: Option<Vec<UnitCode>>,
    /// In this currency, with so many decimal places.
    pub currency: (Currency, u8),
    /// Points by the month in which they were earned, too.
    pub vintages: bool,
    /// As deferred revenue, too.
    pub deferred: bool,
}

/// What brands owe for points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct LiabilityReport {
    /// The last entry that is counted.
    pub seq: u64,
    /// The checkpoint over the log through it, in one line: origin, size, root.
    pub checkpoint: String,
    /// The currency of the money.
    pub currency: Currency,
    /// Decimal places of its amounts.
    pub currency_scale: u8,
    /// The month that was closed last, and through which entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Period>,
    /// Unit by unit, month by month, at settlement cost.
    pub months: Vec<RollForward>,
    /// The same as deferred revenue (IFRS 15).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Vec<DeferredMonth>>,
    /// What is left and what was spent of the points that were earned in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vintages: Option<Vec<DeferredVintage>>,
}

/// Makes the report at a cut; `read_to` is told how far it is.
pub fn liability(
    read: &dyn Read,
    cut: &Cut,
    wanted: &LiabilityOf,
    read_to: &mut dyn FnMut(u64),
) -> Result<LiabilityReport, Fault> {
    let (currency, currency_scale) = wanted.currency;
    let more = wanted.vintages || wanted.deferred;
    let (mut liability, mut deferred) = (Liability::new(currency), more.then(|| Deferred::new(currency)));
    past(read, cut.seq, read_to, &mut |event| {
        liability.take(event)?;
        deferred.as_mut().map_or(Ok(()), |deferred| deferred.take(event))
    })?;
    let unfit = |e: Malformed| Fault::Damaged(e.to_string());
    let of = |unit: UnitCode| wanted.units.as_ref().is_none_or(|units| units.contains(&unit));
    let mut months = liability.report().map_err(unfit)?;
    months.retain(|month| of(month.unit));
    let if_wanted = |wanted: bool| deferred.as_ref().filter(|_| wanted);
    let mut vintages = if_wanted(wanted.vintages).map(Deferred::vintages).transpose().map_err(unfit)?;
    if let Some(vintages) = &mut vintages {
        vintages.retain(|one| of(one.vintage.unit));
    }
    let mut by_month = if_wanted(wanted.deferred).map(Deferred::months).transpose().map_err(unfit)?;
    if let Some(by_month) = &mut by_month {
        by_month.retain(|month| of(month.unit));
    }
    Ok(LiabilityReport {
        seq: cut.seq,
        checkpoint: cut.checkpoint_line(),
        currency,
        currency_scale,
        closed: liability.closed().cloned(),
        months,
        deferred: by_month,
        vintages,
    })
}
