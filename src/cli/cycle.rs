//! `cycle`: where cycles stand, what each means for whom, and the entries behind every line.
//!
//! Owns: the tables. Promises: gross, bilateral and multilateral are computed from the entries of the log, and compared
//! with the nets that the cycle was computed from; every line leads down to entries, each with its proof.
//! Refuses to know: how a cycle is moved; that takes signed requests (`tallyhouse sign`, `tallyhouse submit`).

use super::context::{CliError, Context, Exit};
use super::demo::page::{decimal, grouped};
use super::folder::Folder;
use crate::book::{Closing, Line, Name, Place, Record};
use crate::clearing::{Figures, InstructionStage, Matrix, Stage, instruction_stage, stage};
use crate::engine::open_entry;
use crate::log::{Slot, open};
use crate::machine::PartBody;
use crate::types::{Asset, CauseId, Currency, ParticipantId, PaymentId, Time, decode};
use serde::Serialize;

/// Entries and bytes read at a time.
const PAGE: usize = 2_048;
const PAGE_BYTES: usize = 8 << 20;

/// Options of `cycle`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse cycle                             every cycle, and where it stands
  tallyhouse cycle 3                           gross, bilateral, multilateral; who pays and who is paid
  tallyhouse cycle 3 pa_harvest                the obligations behind one line, entry by entry
  tallyhouse cycle 3 pa_harvest --json
  tallyhouse proof 14485                       the proof of one of those entries

+ is owed to the participant, - is owed by it. JSON gives amounts in the network's smallest unit.")]
pub struct Args {
    /// A cycle's number; all if left out
    cycle: Option<u64>,
    /// A participant, to see what its line is made of
    participant: Option<ParticipantId>,
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
    sides: Vec<Side>,
    lines: Vec<Row>,
}

/// One entry's effect on a participant.
#[derive(Serialize, Clone)]
struct Effect {
    seq: u64,
    at: Time,
    debtor: ParticipantId,
    creditor: ParticipantId,
    currency: Currency,
    amount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseId>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
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
fn effects(
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
    // An accepted objection takes out of a cycle after it was sealed, so the log is read to its end.
    loop {
        let page = folder.read.read(from, PAGE, PAGE_BYTES)?;
        if page.is_empty() {
            return Ok(());
        }
        for entry in &page {
            let (envelope, slots) = open_entry(entry).map_err(CliError::fault)?;
            for slot in &slots {
                let Slot::Whole(bytes) = slot else { continue };
                // The text is looked for first: most parts are of no cycle.
                if !std::str::from_utf8(bytes).is_ok_and(|text| text.contains("\"cycle\":")) {
                    continue;
                }
                let unreadable = |e| CliError::Refused(format!("entry {}: {e}", entry.seq));
                let body: PartBody = decode(&open(bytes).map_err(unreadable)?.1).map_err(unreadable)?;
                let (Some(part), Some(done)) = (body.cycle, &body.done) else { continue };
                // The creditor's leg stands first.
                if let (true, Some(leg)) = (of.contains(&part), done.legs.first())
                    && let (Place::Pair(creditor, debtor), Asset::Money(currency)) = (&leg.place, leg.asset)
                {
                    each(Effect {
                        seq: entry.seq,
                        at: envelope.at,
                        debtor: debtor.clone(),
                        creditor: creditor.clone(),
                        currency,
                        amount: leg.amount,
                        payment: body.payment,
                        cause: body.cause,
                    });
                }
            }
            from = entry.seq.saturating_add(1);
        }
    }
}

fn rows(folder: &Folder, cycle: u64, closing: &Closing) -> Result<Vec<Row>, CliError> {
    let prefix = format!("line/{cycle}/");
    let now = folder.read.tip()?.map_or(0, |tip| tip.seq);
    let now = folder.read.read(now, 1, PAGE_BYTES)?;
    let now = match now.first() {
        Some(entry) => open_entry(entry).map_err(CliError::fault)?.0.at.seconds(),
        None => 0,
    };
    let mut rows = vec![];
    for row in folder.read.scan(&prefix, 10_000)?.rows.iter().take_while(|row| row.key.starts_with(&prefix)) {
        let name: Name = row.key.parse().map_err(CliError::fault)?;
        let found = Record::decode(&name, &row.value).map_err(CliError::fault)?;
        let (Name::Line(_, participant, currency), Record::Line(line)) = (name, found) else { continue };
        let instruction = match line.instruction {
            Some(id) => record(folder, &Name::Instruction(id))?,
            None => None,
        };
        let stage = instruction.as_ref().and_then(Record::instruction);
        let stage = stage.map(|one| instruction_stage(one, closing, now));
        rows.push(Row { participant, currency, line, stage });
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
    effects(folder, cycle, &closing, &mut |effect| all.push(effect))?;
    let mut sides = vec![];
    for currency in folder.genesis.currencies.iter().map(|one| one.code) {
        let of = all.iter().filter(|effect| effect.currency == currency);
        let matrix = Matrix::of(of.map(|one| (&one.debtor, &one.creditor, one.amount)));
        let matrix = matrix.map_err(CliError::fault)?;
        if !matrix.is_empty() {
            sides.push(Side { currency, figures: matrix.figures().map_err(CliError::fault)? });
        }
    }
    let lines = rows(folder, cycle, &closing)?;
    let shown = Shown { listed: listed(cycle, &closing), sides, lines };
    if context.json {
        return context.say_json(&shown);
    }
    let loss = if shown.listed.with_loss { ", with a shortfall" } else { "" };
    context.say(format!("CYCLE {cycle}  {}{loss}, version {}", shown.listed.stage, shown.listed.version))?;
    for side in &shown.sides {
        let scale = scale(folder, side.currency);
        context.say(format!("\n  {:<14}{:>12}{:>24}", side.currency.to_string(), "payments", "value"))?;
        let figures = &side.figures;
        for (name, figure) in [
            ("gross", &figures.gross),
            ("bilateral", &figures.bilateral),
            ("multilateral", &figures.multilateral),
        ] {
            let (n, value) = (grouped(figure.payments), decimal(figure.value, scale));
            context.say(format!("  {name:<14}{n:>12}{value:>24}"))?;
        }
    }
    if shown.lines.is_empty() {
        return Ok(());
    }
    context.say(format!(
        "\n  {:<20}{:>18}{:>10}{:>18}{:>10}  instruction",
        "participant", "net", "carry", "pays (-), gets", "carried"
    ))?;
    for row in &shown.lines {
        let scale = scale(folder, row.currency);
        let line = &row.line;
        let stage = row.stage.map_or("", InstructionStage::code);
        let id = line.instruction.map_or(String::new(), |id| id.to_string());
        context.say(format!(
            "  {:<20}{:>18}{:>10}{:>18}{:>10}  {id} {stage}",
            row.participant.to_string(),
            money(line.net, scale),
            money(line.carry, scale),
            money(line.amount, scale),
            money(line.carried(), scale),
        ))?;
    }
    Ok(())
}

fn behind(
    folder: &Folder,
    cycle: u64,
    who: &ParticipantId,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let closing = closing(folder, cycle)?;
    let mut all = vec![];
    effects(folder, cycle, &closing, &mut |effect| {
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
        let cause = effect.cause.map(|cause| cause.to_string());
        let what = effect.payment.map(|payment| payment.to_string()).or(cause).unwrap_or_default();
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
