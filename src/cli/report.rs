//! `report`: how old obligations are, what stands behind debts, who would bear a default.
//!
//! Owns: the tables. Promises: each report is of one moment of the state and names its last entry and the checkpoint over
//! it; nothing is written. Refuses to know: how a report is made.

use super::balance::decimal;
use super::context::{CliError, Context, Exit};
use super::cut::deliver;
use super::folder::Folder;
use crate::book::Name;
use crate::clearing::{aging, exposures, what_if};
use crate::reading::{Kept, books};
use crate::types::{Currency, Money, ParticipantId};
use serde::Serialize;
use std::path::PathBuf;

/// Options of `report`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse report aging                         what each pair owes, by age
  tallyhouse report exposure --csv                what each participant owes, and what stands behind it
  tallyhouse report what-if pa_harvest            who would bear what, if it paid nothing any more
  tallyhouse report what-if pa_harvest --tranche 500000 --json

Obligations are as old as the seal of the cycle that they fell into, and count until that is settled. A default is
distributed as a true shortfall would be: the participant's cover, its share of the fund, the operator (up to --tranche,
in the network's smallest unit), who is owed by it, all who are to be paid. Nothing is written to the log. JSON gives
amounts in the network's smallest unit. Each report names the last entry that it counts and the checkpoint.")]
pub struct Args {
    /// Which report
    report: Which,
    /// Who would not pay, with what-if
    participant: Option<ParticipantId>,
    /// What the operator would bear at the most, with what-if
    #[arg(long)]
    tranche: Option<u64>,
    /// As CSV
    #[arg(long)]
    csv: bool,
    /// Write to this file instead of standard output; it appears when it is whole
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    /// What is owed, by age.
    Aging,
    /// What participants stand for.
    Exposure,
    /// Who would bear a default.
    WhatIf,
}

/// A report as it is printed.
#[derive(Serialize)]
struct Report<T> {
    seq: u64,
    at: String,
    checkpoint: String,
    rows: Vec<T>,
}

/// One table: its head, and its rows as text.
struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    if (args.report == Which::WhatIf) != args.participant.is_some() {
        return Err(CliError::usage("a participant goes with what-if: `tallyhouse report what-if pa_…`"));
    }
    let folder = Folder::open(context)?;
    let kept = books(&*folder.read, &folder.hashes, &folder.genesis.origin).map_err(CliError::fault)?;
    let refused = |e: crate::types::Malformed| CliError::Refused(e.to_string());
    let scale = |currency: Currency| {
        let known = folder.genesis.currencies.iter().find(|one| one.code == currency);
        known.map_or(0, |one| one.scale)
    };
    let money = |amount: i128, currency: Currency| {
        decimal(i64::try_from(amount).unwrap_or(i64::MAX), scale(currency))
    };
    match args.report {
        Which::Aging => {
            let rows = aging(&kept.books, kept.at);
            let text = |row: &crate::clearing::Aged| {
                let of = |amount: u64| money(amount.into(), row.currency);
                let mut cells =
                    vec![row.debtor.to_string(), row.creditor.to_string(), row.currency.to_string()];
                let all =
                    [row.open, row.days_30, row.days_60, row.days_90, row.older, row.total, row.disputed];
                cells.extend(all.map(of));
                cells
            };
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
            let table = Table { head, rows: rows.iter().map(text).collect() };
            tell(&args, &kept, rows, &table, context)
        }
        Which::Exposure => {
            let rows = exposures(&kept.books, kept.at).map_err(refused)?;
            let text = |row: &crate::clearing::Exposed| {
                let of = |amount: i128| money(amount, row.currency);
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
            let head =
                vec!["participant", "currency", "position", "debt", "reserved", "limit", "headroom", "state"];
            let table = Table { head, rows: rows.iter().map(text).collect() };
            tell(&args, &kept, rows, &table, context)
        }
        Which::WhatIf => {
            let who = args.participant.clone().unwrap_or_else(|| unreachable!("looked at above"));
            if !kept.books.0.contains_key(&Name::Participant(who.clone())) {
                return Err(CliError::usage(format!("there is no participant {who}")));
            }
            let most = Money::new(args.tranche.unwrap_or(0));
            let most = most.ok_or_else(|| CliError::usage("--tranche: at most 2^53 - 1"))?;
            let holes = what_if(&kept.books, &who, most).map_err(refused)?;
            let mut rows = vec![];
            for hole in &holes {
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
                        money(hole.hole.into(), hole.currency),
                        bears.to_owned(),
                        money(amount.into(), hole.currency),
                    ]);
                }
            }
            let table =
                Table { head: vec!["cycle", "stage", "currency", "not paid", "borne by", "amount"], rows };
            tell(&args, &kept, holes, &table, context)
        }
    }
}

fn tell<T: Serialize>(
    args: &Args,
    kept: &Kept,
    rows: Vec<T>,
    table: &Table,
    context: &mut Context<'_>,
) -> Result<Exit, CliError> {
    let (seq, at, checkpoint) = (kept.seq, kept.at.to_string(), kept.checkpoint.clone());
    let text = if context.json {
        let report = Report { seq, at, checkpoint, rows };
        let mut text = serde_json::to_string_pretty(&report).map_err(CliError::fault)?;
        text.push('\n');
        text.into_bytes()
    } else if args.csv {
        csv_of(table, kept)?
    } else {
        let mut text = String::new();
        let mut widths: Vec<usize> = table.head.iter().map(|head| head.chars().count()).collect();
        for row in &table.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head: Vec<String> = table.head.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&head).chain(&table.rows) {
            // Amounts to the right, names to the left.
            let number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            for ((cell, width), at) in row.iter().zip(&widths).zip(0..) {
                let right = number(cell)
                    || table.rows.first().is_some_and(|first| first.get(at).is_some_and(|c| number(c)));
                text.push_str(&if right { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") });
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text.push_str(&format!("as of entry {seq}, {at}, checkpoint {checkpoint}\n"));
        text.into_bytes()
    };
    deliver(&text, args.out.as_deref(), context)?;
    Ok(Exit::Ok)
}

/// The table as CSV; each row names the cut.
fn csv_of(table: &Table, kept: &Kept) -> Result<Vec<u8>, CliError> {
    let mut out = csv::Writer::from_writer(vec![]);
    let cut = [kept.seq.to_string(), kept.checkpoint.clone()];
    let head = table.head.iter().map(|head| head.replace(' ', "_"));
    out.write_record(head.chain(["cut".into(), "checkpoint".into()])).map_err(CliError::fault)?;
    for row in &table.rows {
        out.write_record(row.iter().chain(&cut)).map_err(CliError::fault)?;
    }
    out.into_inner().map_err(CliError::fault)
}
