//! The clearing house's reports as tables: for people, and as CSV.
//!
//! Owns: the columns of each, amounts as decimals of their currency.
//! Promises: each row of the CSV names the last entry that the report counts and the checkpoint over it.
//! Refuses to know: who reads them.

use super::amount::decimal;
use crate::clearing::{Aged, Exposed, Hole};
use crate::types::{Currency, Malformed};

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
        let all = drawn.into_iter().chain(others).chain([("carried", hole.left)]);
        for (bears, amount) in all.filter(|(_, amount)| *amount > 0) {
            rows.push(vec![
                hole.cycle.to_string(),
                hole.stage.code().to_owned(),
                hole.currency.to_string(),
                of(hole.hole),
                bears.to_owned(),
                of(amount),
            ]);
        }
    }
    Table { head: vec!["cycle", "stage", "currency", "not paid", "borne by", "amount"], rows }
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
