//! `report`: how old obligations are, what stands behind debts, who would bear a default.
//!
//! Owns: the tables. Promises: each report is of one moment of the state and names its last entry and the checkpoint over
//! it; nothing is written. Refuses to know: how a report is made.

use super::context::{CliError, Context, Exit};
use super::cut::deliver;
use super::folder::Folder;
use crate::book::Name;
use crate::clearing::{aging, exposures, what_if};
use crate::formats::{Table, aging_table, exposure_table, what_if_table};
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
in the network's smallest unit), who is owed by it, all who are to be paid. Once orders left, the first three bear all of
it: what they lack is borne by nobody, and a true shortfall is refused until they can. Nothing is written to the log. JSON gives
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
    match args.report {
        Which::Aging => {
            let rows = aging(&kept.books, kept.at);
            let table = aging_table(&rows, scale);
            tell(&args, &kept, rows, &table, context)
        }
        Which::Exposure => {
            let rows = exposures(&kept.books, kept.at).map_err(refused)?;
            let table = exposure_table(&rows, scale);
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
            let table = what_if_table(&holes, scale);
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
        table.csv(seq, &checkpoint).map_err(CliError::fault)?
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
