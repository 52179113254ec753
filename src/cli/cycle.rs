//! `cycle`: where cycles stand, what each means for whom, and the entries behind every line.
//!
//! Owns: the tables. Promises: gross, bilateral and multilateral are computed from the entries of the log, and compared
//! with the nets that the cycle was computed from; every line leads down to entries, each with its proof.
//! Refuses to know: how a cycle is moved; that takes signed requests (`tallyhouse sign`, `tallyhouse submit`).

use super::context::{CliError, Context, Exit};
use super::cut::deliver;
use super::demo::page::decimal;
use super::folder::Folder;
use crate::banking::{Accounts, CycleReport, Desk, Effect, Fault, NextStep, effects, next_step, owed};
use crate::book::{Closing, Line, Name, Record, SetOffSums};
use crate::clearing::{
    Figures, InstructionStage, Matrix, Stage, digest, figures_table, instruction_stage, set_off as solve,
    stage,
};
use crate::engine::open_entry;
use crate::log::root_at;
use crate::types::{Currency, Hash, Ident, Money, ParticipantId, Time, encode};
use serde::Serialize;
use std::path::PathBuf;

/// Most pairs that set-off is shown for.
const MOST_SHOWN: usize = 5_000;
/// Bytes read at a time.
const PAGE_BYTES: usize = 8 << 20;

/// Options of `cycle`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse cycle                             every cycle, and where it stands
  tallyhouse cycle 3                           gross, bilateral, multilateral; who pays and who is paid
  tallyhouse cycle 3 pa_harvest                the obligations behind one line, entry by entry
  tallyhouse cycle 3 pa_harvest --json
  tallyhouse cycle 3 --report --out cycle-3.csv
  tallyhouse proof --seq 14485 --parts all     the proof of one of those entries

+ is owed to the participant, - is owed by it. Paid is what bank statements confirmed; drawn, lost, written off and kept
(what was too much) are shown where a line has any, and TABLES.md says what they are. JSON gives amounts in the network's
smallest unit.")]
pub struct Args {
    /// A cycle's number; all if left out
    cycle: Option<u64>,
    /// A participant, to see what its line is made of
    participant: Option<ParticipantId>,
    /// The report of the cycle as CSV, or with --json as JSON: figures, documents, lines, entries, cut and checkpoint
    #[arg(long, requires = "cycle")]
    report: bool,
    /// Write the report to this file; it appears when it is whole
    #[arg(long, requires = "report")]
    out: Option<PathBuf>,
}

/// A cycle on the list.
#[derive(Serialize)]
struct Listed {
    cycle: u64,
    stage: Stage,
    from: u64,
    sealed: Option<u64>,
    at: Option<Time>,
    version: u32,
    /// Why that version does not count, if it was sent back and is not computed again yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Ident>,
    with_loss: bool,
}

/// What a cycle means for a participant.
#[derive(Serialize)]
struct Row {
    participant: ParticipantId,
    currency: Currency,
    #[serde(flatten)]
    line: Line,
    stage: Option<InstructionStage>,
    /// Who bears what was missing and written off, or has what was too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<ParticipantId>,
}

/// Gross, bilateral and multilateral of a currency.
#[derive(Serialize)]
struct Side {
    currency: Currency,
    #[serde(flatten)]
    figures: Figures,
}

/// A cycle as a whole.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    /// Of the nets of the entries behind it: what whoever computes it says.
    digest: Hash,
    /// Of the set-off that was taken out of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_off: Option<Hash>,
    /// What the next step is signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextStep>,
    sides: Vec<Side>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    apart: Vec<SetOffSums>,
    lines: Vec<Row>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    if let Some(who) = &args.participant {
        folder.knows(&Name::Participant(who.clone()))?;
    }
    if let (true, Some(cycle)) = (args.report, args.cycle) {
        report(&folder, cycle, args.participant.as_ref(), args.out.as_deref(), context)?;
        return Ok(Exit::Ok);
    }
    match (args.cycle, args.participant) {
        (None, _) => all(&folder, context)?,
        (Some(cycle), None) => one(&folder, cycle, context)?,
        (Some(cycle), Some(who)) => behind(&folder, cycle, &who, context)?,
    }
    Ok(Exit::Ok)
}

fn record(folder: &Folder, name: &Name) -> Result<Option<Record>, CliError> {
    let rows = folder.read.load(&[name.to_string()])?.rows;
    rows.first().map(|row| Record::decode(name, &row.value).map_err(CliError::fault)).transpose()
}

fn closing(folder: &Folder, cycle: u64) -> Result<Closing, CliError> {
    let found = record(folder, &Name::Closing(cycle))?;
    let closing = found.as_ref().and_then(Record::closing).cloned();
    closing
        .ok_or_else(|| CliError::usage(format!("there is no cycle {cycle}; `tallyhouse cycle` lists them")))
}

fn listed(cycle: u64, closing: &Closing) -> Listed {
    Listed {
        cycle,
        stage: stage(closing),
        from: closing.from,
        sealed: closing.sealed.map(|mark| mark.seq),
        at: closing.sealed.map(|mark| mark.at),
        version: closing.version,
        returned: closing.returned.clone(),
        with_loss: closing.shortfall.is_some(),
    }
}

fn all(folder: &Folder, context: &mut Context<'_>) -> Result<(), CliError> {
    let head = record(folder, &Name::Cycle)?;
    let open = head.as_ref().and_then(Record::cycle).map_or(0, |cycle| cycle.open);
    let mut cycles = vec![];
    for cycle in 1..=open {
        cycles.push(listed(cycle, &closing(folder, cycle)?));
    }
    if context.json {
        return context.say_json(&cycles);
    }
    context.say("  cycle  stage        entries                sealed at")?;
    for one in cycles {
        let to = one.sealed.map_or("…".into(), |seq| seq.saturating_sub(1).to_string());
        let at = one.at.map_or(String::new(), |at| at.to_string());
        let loss = if one.with_loss { "  with a shortfall" } else { "" };
        let entries = format!("{} to {to}", one.from);
        context.say(format!("  {:>5}  {:<11}  {entries:<21}  {at}{loss}", one.cycle, one.stage.code()))?;
    }
    Ok(())
}

/// Calls `each` with every effect of the obligations of a cycle, in the order of the log.
fn behind_cycle(
    folder: &Folder,
    cycle: u64,
    closing: &Closing,
    each: &mut dyn FnMut(Effect),
) -> Result<(), CliError> {
    let of: Vec<u64> = closing.includes.iter().copied().chain([cycle]).collect();
    let mut from = closing.from;
    for earlier in &closing.includes {
        from = from.min(self::closing(folder, *earlier)?.from);
    }
    // An accepted objection takes out of a cycle after it was sealed; what is written off of its payments, once it was
    // approved, is in none of its nets.
    let to = closing.approved.map_or(u64::MAX, |mark| mark.seq);
    effects(&*folder.read, from, to, &mut |effect| {
        if of.contains(&effect.cycle) {
            each(effect);
        }
        Ok(())
    })?;
    Ok(())
}

fn report(
    folder: &Folder,
    cycle: u64,
    who: Option<&ParticipantId>,
    out: Option<&std::path::Path>,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let accounts = Accounts::default();
    let desk = Desk { read: &*folder.read, vault: None, genesis: &folder.genesis, accounts: &accounts };
    let root = |size| {
        root_at(size, &folder.hashes).map_err(|e| Fault::Damaged(format!("the tree at {size}: {e:?}")))
    };
    let (tip, now) = newest(folder)?;
    let mut made: CycleReport = desk.report(cycle, tip, now, root)?;
    if let Some(who) = who {
        made = made.of(who);
    }
    if context.json && out.is_none() {
        return context.say_json(&made);
    }
    let bytes = if context.json { encode(&made) } else { made.csv()? };
    deliver(&bytes, out, context)?;
    if let Some(path) = out {
        context.say(format!(
            "{}: cut at entry {}, as of entry {}, root {}",
            path.display(),
            made.cut,
            made.seq,
            made.root
        ))?;
    }
    Ok(())
}

/// The newest entry and its instant.
fn newest(folder: &Folder) -> Result<(u64, Time), CliError> {
    let tip = folder.read.tip()?.map_or(0, |tip| tip.seq);
    let entries = folder.read.read(tip, 1, PAGE_BYTES)?;
    let at = entries.first().map(|entry| open_entry(entry).map(|(envelope, _)| envelope.at)).transpose();
    Ok((tip, at.map_err(CliError::fault)?.unwrap_or_default()))
}

fn rows(folder: &Folder, cycle: u64, closing: &Closing) -> Result<Vec<Row>, CliError> {
    let prefix = format!("line/{cycle}/");
    let now = newest(folder)?.1.seconds();
    let mut rows = vec![];
    for row in folder.read.scan(&prefix, 10_000)?.rows.iter().take_while(|row| row.key.starts_with(&prefix)) {
        let name: Name = row.key.parse().map_err(CliError::fault)?;
        let found = Record::decode(&name, &row.value).map_err(CliError::fault)?;
        let (Name::Line(_, participant, currency), Record::Line(line)) = (name, found) else { continue };
        let (mut next, mut stage, mut bearer) = (line.instruction, None, None);
        // What was written off of one that was issued again since stands with the one before.
        while let (Some(id), None) = (next, &bearer) {
            let found = record(folder, &Name::Instruction(id))?;
            let one = found.as_ref().and_then(Record::instruction);
            stage = stage.or(one.map(|one| instruction_stage(one, closing, now)));
            bearer = one.and_then(|one| one.bearer.clone());
            next = one.and_then(|one| one.replaces);
        }
        rows.push(Row { participant, currency, line, stage, bearer });
    }
    Ok(rows)
}

/// A signed amount with its decimal point.
fn money(amount: i64, scale: u8) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{}", decimal(amount.unsigned_abs(), scale))
}

fn scale(folder: &Folder, currency: Currency) -> u8 {
    let known = folder.genesis.currencies.iter().find(|one| one.code == currency);
    known.map_or(0, |one| one.scale)
}

fn one(folder: &Folder, cycle: u64, context: &mut Context<'_>) -> Result<(), CliError> {
    let closing = closing(folder, cycle)?;
    let mut all = vec![];
    behind_cycle(folder, cycle, &closing, &mut |effect| all.push(effect))?;
    let cut = closing.sealed.map_or(u64::MAX, |mark| mark.seq);
    let before = owed(&all, cut);
    let of = |all: &[Effect], currency| {
        let of = all.iter().filter(|effect| effect.currency == currency);
        Matrix::of(of.map(|one| (&one.debtor, &one.creditor, one.amount))).map_err(CliError::fault)
    };
    let (mut sides, mut matrices, mut nets) = (vec![], vec![], vec![]);
    for currency in folder.genesis.currencies.iter().map(|one| one.code) {
        // What was set off since is not in what is computed.
        let left = of(&all, currency)?.nets().map_err(CliError::fault)?;
        nets.extend(left.into_iter().map(|(who, net)| (currency, who, net)));
        let matrix = of(&before, currency)?;
        if !matrix.is_empty() {
            sides.push(Side { currency, figures: matrix.figures().map_err(CliError::fault)? });
            matrices.push(matrix);
        }
    }
    let lines = rows(folder, cycle, &closing)?;
    let apart = closing.apart.as_ref().map_or(vec![], |apart| apart.sums.clone());
    let netting = record(folder, &Name::Netting)?;
    let netting = netting.as_ref().and_then(Record::netting).cloned().unwrap_or_default();
    let who: Vec<_> = netting.apart(cycle).cloned().collect();
    let currencies: Vec<_> = folder.genesis.currencies.iter().map(|one| one.code).collect();
    let next = next_step(&all, &who, &currencies, &closing)?;
    let digest = next.as_ref().map_or_else(|| digest(&nets), |next| next.digest);
    let set_off = closing.apart.as_ref().map(|apart| apart.digest);
    let shown = Shown { listed: listed(cycle, &closing), digest, set_off, next, sides, apart, lines };
    if context.json {
        return context.say_json(&shown);
    }
    let loss = if shown.listed.with_loss { ", with a shortfall" } else { "" };
    context.say(format!("CYCLE {cycle}  {}{loss}, version {}", shown.listed.stage, shown.listed.version))?;
    for (side, matrix) in shown.sides.iter().zip(&matrices) {
        let scale = scale(folder, side.currency);
        context.say(format!("\n{}", side.currency))?;
        // What would be left if nobody accepted the clearing house, where that is soon found.
        let off = (matrix.debts().count() <= MOST_SHOWN).then(|| solve(matrix)).transpose();
        let off = off.map_err(CliError::fault)?;
        let table = figures_table(matrix, off.as_ref(), |amount| decimal(amount, scale));
        context.say(table.map_err(CliError::fault)?.trim_end())?;
        for one in shown.apart.iter().filter(|one| one.currency == side.currency) {
            let [owed, off, left] = [one.owed, one.set_off, one.left].map(|n| decimal(n.get(), scale));
            context.say(format!(
                "apart: {} pairs owe {owed}, {off} set off, {left} left in {} payments between them",
                one.pairs, one.payments
            ))?;
        }
    }
    for (number, line) in digests(&shown, &closing).iter().enumerate() {
        context.say(format!("{}{line}", if number == 0 { "\n" } else { "" }))?;
    }
    if shown.lines.is_empty() { Ok(()) } else { table(folder, &shown, &closing, context) }
}

/// A column of a line: its head, and what stands there.
type Column = (&'static str, fn(&Line) -> Money);

/// The lines of a cycle: what is to be paid, and what became of it. What no line has anything of is no column.
fn table(
    folder: &Folder,
    shown: &Shown,
    closing: &Closing,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if let Some(why) = &closing.returned {
        let (version, next) = (closing.version, closing.version.saturating_add(1));
        context.say(format!(
            "\nversion {version} was sent back ({why}): these are its lines, and they do not count; version {next} is \
             computed next"
        ))?;
    }
    let all: [Column; 5] = [
        ("paid", |line| line.paid),
        ("drawn", |line| line.drawn),
        ("lost", |line| line.lost),
        ("written off", |line| line.written_off),
        ("kept", |line| line.kept),
    ];
    let has = |of: fn(&Line) -> Money| shown.lines.iter().any(|row| !of(&row.line).is_zero());
    let columns: Vec<Column> = all.into_iter().filter(|(_, of)| has(*of)).collect();
    let heads: String = columns.iter().map(|(head, _)| format!("{head:>14}")).collect();
    context.say(format!(
        "\n  {:<20}{:>18}{:>10}{:>18}{heads}{:>10}  instruction",
        "participant", "net", "carry", "pays (-), gets", "carried"
    ))?;
    for row in &shown.lines {
        let scale = scale(folder, row.currency);
        let line = &row.line;
        let cells: String =
            columns.iter().map(|(_, of)| format!("{:>14}", decimal(of(line).get(), scale))).collect();
        let mut what = line.instruction.map_or(String::new(), |id| id.to_string());
        if line.version != closing.version || closing.returned.is_some() {
            what = format!("{what} of version {}", line.version);
        } else if let Some(stage) = row.stage {
            what = format!("{what} {stage}");
        }
        if let Some(bearer) = &row.bearer {
            what = format!("{what}, borne by {bearer}");
        }
        context.say(format!(
            "  {:<20}{:>18}{:>10}{:>18}{cells}{:>10}  {what}",
            row.participant.to_string(),
            money(line.net, scale),
            money(line.carry, scale),
            money(line.amount, scale),
            money(line.carried(), scale),
        ))?;
    }
    Ok(())
}

/// What is signed for next; of what was done, what was signed for, and whether the entries say the same.
fn digests(shown: &Shown, closing: &Closing) -> Vec<String> {
    let mut lines = vec![];
    if let Some(apart) = &closing.apart {
        lines.push(format!("digest of the set-off for version {}: {}", apart.version, apart.digest));
    }
    if let Some(next) = &shown.next {
        if let Some(off) = &next.set_off {
            let later = if off.later > 0 { format!(", {} later", off.later) } else { String::new() };
            lines.push(format!(
                "digest of the set-off, to take out {} pairs{later}: {}",
                off.pairs, off.digest
            ));
        }
        lines.push(format!("digest of the nets, to compute version {}: {}", next.version, next.digest));
    } else if let Some(computed) = &closing.computed {
        lines.push(format!("digest of the nets of version {}: {}", closing.version, computed.digest));
        if computed.digest != shown.digest && closing.voided.is_none() {
            lines.push(format!("its entries come to {}: `tallyhouse verify` says more", shown.digest));
        }
    }
    lines
}

fn behind(
    folder: &Folder,
    cycle: u64,
    who: &ParticipantId,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let closing = closing(folder, cycle)?;
    let mut all = vec![];
    behind_cycle(folder, cycle, &closing, &mut |effect| {
        if effect.debtor == *who || effect.creditor == *who {
            all.push(effect);
        }
    })?;
    if context.json {
        return context.say_json(&all);
    }
    let mut sum = 0i64;
    context
        .say(format!("{:>10}  {:<28}{:<20}{:>18}{:>18}", "entry", "at", "with", "amount", "net so far"))?;
    for effect in &all {
        let (with, amount) = match effect.creditor == *who {
            true => (&effect.debtor, effect.amount),
            false => (&effect.creditor, effect.amount.saturating_neg()),
        };
        sum = sum.saturating_add(amount);
        let scale = scale(folder, effect.currency);
        let mut what = effect.what();
        if let Some(fee) = effect.fee() {
            what = format!("{what} {fee}");
        }
        context.say(format!(
            "{:>10}  {:<28}{:<20}{:>18}{:>18}  {what}",
            effect.seq,
            effect.at.to_string(),
            with.to_string(),
            money(amount, scale),
            money(sum, scale)
        ))?;
    }
    Ok(())
}
