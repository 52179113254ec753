//! The clearing house's reports as tables: for people, and as CSV.
//!
//! Owns: the columns of each, amounts as decimals of their currency.
//! Promises: each row of the CSV names the last entry that the report counts and the checkpoint over it.
//! Refuses to know: who reads them.

use super::amount::decimal;
use super::deferred::{DeferredMonth, DeferredVintage};
use super::liability::RollForward;
use crate::clearing::{Aged, Exposed, Hole};
use crate::types::{Currency, Malformed, Month, UnitCode};
use std::collections::BTreeMap;

/// One table: its head, and its rows as text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// What stands in which column.
    pub head: Vec<&'static str>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

fn money(amount: i128, scale: u8) -> String {
    decimal(i64::try_from(amount).unwrap_or(i64::MAX), scale)
}

/// What is owed, by age. `scale` tells the decimal places of a currency's amounts.
pub fn aging_table(all: &[Aged], scale: impl Fn(Currency) -> u8) -> Table {
    let head = vec![
        "debtor",
        "creditor",
        "currency",
        "open",
        "to 30 days",
        "to 60",
        "to 90",
        "older",
        "total",
        "disputed",
    ];
    let cells = |row: &Aged| {
        let mut cells = vec![row.debtor.to_string(), row.creditor.to_string(), row.currency.to_string()];
        let all = [row.open, row.days_30, row.days_60, row.days_90, row.older, row.total, row.disputed];
        cells.extend(all.map(|amount| money(amount.into(), scale(row.currency))));
        cells
    };
    Table { head, rows: all.iter().map(cells).collect() }
}

/// What participants stand for.
pub fn exposure_table(all: &[Exposed], scale: impl Fn(Currency) -> u8) -> Table {
    let head = vec!["participant", "currency", "position", "debt", "reserved", "limit", "headroom", "state"];
    let cells = |row: &Exposed| {
        let of = |amount: i128| money(amount, scale(row.currency));
        let some = |amount: Option<u64>| amount.map_or(String::new(), |amount| of(amount.into()));
        vec![
            row.participant.to_string(),
            row.currency.to_string(),
            of(row.position.into()),
            of(row.debt.into()),
            of(row.reserved.into()),
            some(row.limit),
            some(row.headroom),
            if row.overrun { "overrun".into() } else { String::new() },
        ]
    };
    Table { head, rows: all.iter().map(cells).collect() }
}

/// Who would bear a default: a row for each who bears a part.
pub fn what_if_table(all: &[Hole], scale: impl Fn(Currency) -> u8) -> Table {
    let mut rows = vec![];
    for hole in all {
        let of = |amount: u64| money(amount.into(), scale(hole.currency));
        let drawn = [
            ("its cover", hole.cover),
            ("its share of the fund", hole.fund),
            ("the operator", hole.operator),
        ];
        let others = hole.others.iter().map(|one| (one.participant.as_str(), one.amount));
        let all = drawn
            .into_iter()
            .chain(others)
            .chain([(if hole.sent { "nobody" } else { "carried" }, hole.left)]);
        for (bears, amount) in all.filter(|(_, amount)| *amount > 0) {
            rows.push(vec![
                hole.cycle.to_string(),
                hole.stage.code().to_owned(),
                hole.currency.to_string(),
                of(hole.hole),
                bears.to_owned(),
                of(amount),
                if hole.apart { "apart".into() } else { String::new() },
            ]);
        }
    }
    Table { head: vec!["cycle", "stage", "currency", "not paid", "borne by", "amount", "settled"], rows }
}

/// What brands owe for points: a row for each line of each month, on each basis that was asked for.
pub fn liability_table(
    months: &[RollForward],
    deferred: Option<&[DeferredMonth]>,
    vintages: Option<&[DeferredVintage]>,
    currency: Currency,
    scale: u8,
) -> Table {
    let head = vec!["basis", "unit", "month", "earned", "line", "points", "currency", "amount"];
    let mut rows = vec![];
    let mut row = |basis: &str,
                   unit: UnitCode,
                   (month, earned): (Month, Option<Month>),
                   line: &str,
                   amounts: [String; 2]| {
        let [points, amount] = amounts;
        rows.push(vec![
            basis.to_owned(),
            unit.to_string(),
            month.to_string(),
            earned.map_or(String::new(), |month| month.to_string()),
            line.to_owned(),
            points,
            currency.to_string(),
            amount,
        ]);
    };
    let mut scales = BTreeMap::new();
    for month in months {
        scales.insert(month.unit, month.scale);
        let (unit, at) = (month.unit, (month.month, None));
        let both = |points, money| [decimal(points, month.scale), decimal(money, scale)];
        row("settlement", unit, at, "opening", both(month.opening.points, month.opening.money));
        for line in &month.lines {
            row("settlement", unit, at, line.change.text(), both(line.amounts.points, line.amounts.money));
        }
        if month.price_changes != 0 {
            row("settlement", unit, at, "price changes", both(0, month.price_changes));
        }
        row("settlement", unit, at, "closing", both(month.closing.points, month.closing.money));
    }
    for month in deferred.into_iter().flatten() {
        let recognised = month.recognised.saturating_neg();
        let lines = [
            ("opening", month.opening),
            ("allocated", month.allocated),
            ("recognised", recognised),
            ("closing", month.closing),
        ];
        for (line, amount) in lines {
            row("deferred", month.unit, (month.month, None), line, [String::new(), decimal(amount, scale)]);
        }
    }
    for DeferredVintage { vintage, deferred, .. } in vintages.into_iter().flatten() {
        let digits = scales.get(&vintage.unit).copied().unwrap_or(0);
        let mut month = vintage.earned;
        let each = vintage.outstanding.iter().zip(&vintage.redeemed).zip(deferred);
        for ((left, spent), deferred) in each {
            let at = (month, Some(vintage.earned));
            row("vintage", vintage.unit, at, "left", [decimal(*left, digits), decimal(*deferred, scale)]);
            row("vintage", vintage.unit, at, "spent", [decimal(*spent, digits), String::new()]);
            month = month.next();
        }
    }
    Table { head, rows }
}

impl Table {
    /// As CSV; each row names the cut.
    pub fn csv(&self, seq: u64, checkpoint: &str) -> Result<Vec<u8>, Malformed> {
        let wrong = |e: csv::Error| Malformed(e.to_string());
        let mut out = csv::Writer::from_writer(vec![]);
        let cut = [seq.to_string(), checkpoint.to_owned()];
        let head = self.head.iter().map(|head| head.replace(' ', "_"));
        out.write_record(head.chain(["cut".into(), "checkpoint".into()])).map_err(wrong)?;
        for row in &self.rows {
            out.write_record(row.iter().chain(&cut)).map_err(wrong)?;
        }
        out.into_inner().map_err(|e| Malformed(e.to_string()))
    }
}
