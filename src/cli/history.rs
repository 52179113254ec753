//! `history`: what happened to an account, newest first.

use super::balance::{decimal, scale};
use super::context::{CliError, Context, Exit};
use super::folder::{Folder, bar};
use super::trail::walk;
use crate::book::{Done, Name, Place};
use crate::log::Envelope;
use crate::store::Read;
use crate::types::{AccountId, Asset, PaymentId, Time, UnitCode};
use serde::Serialize;

/// Entries looked through at a time, from the newest backwards.
const WINDOW: u64 = 4_096;

/// Options of `history`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse history ac_01jd0000000000000000000000
  tallyhouse history ac_01jd0000000000000000000000 --limit 100 --before 71234
  tallyhouse history ac_01jd0000000000000000000000 --limit 1000000 --json

Newest first; --before with the last seq shown goes on. The log itself is looked through, from its end backwards,
so what is shown is what was signed for; an account that nothing happened to for long takes a while.
JSON is one line an event, amounts in the unit's smallest part.")]
pub struct Args {
    /// The account.
    account: AccountId,
    /// How many events at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Only entries before this one.
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
}

/// One thing that happened.
#[derive(Serialize, Debug, PartialEq, Eq, Clone)]
struct Line {
    seq: u64,
    at: Time,
    kind: String,
    /// Points that came (+) or went (−); 0 where they were only held or released.
    amount: i64,
    /// The balance after, held and pending points counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<UnitCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentId>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(&context.data)?;
    let read = &*folder.read;
    let size = read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
    let end = args.before.map_or(size, |before| before.min(size));
    let bar = bar();
    bar.set_length(end);
    let lines = newest(read, args.account, end, args.limit, &mut |done| bar.set_position(done))?;
    bar.finish_and_clear();
    for line in &lines {
        if context.json {
            context.say_json(line)?;
        } else {
            context.say(words(read, line)?)?;
        }
    }
    Ok(Exit::Ok)
}

/// The newest events before an entry, newest first.
fn newest(
    read: &dyn Read,
    account: AccountId,
    mut end: u64,
    limit: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Line>, CliError> {
    let all = end;
    let mut lines = vec![];
    while end > 0 && lines.len() < limit {
        let start = end.saturating_sub(WINDOW);
        let mut found = vec![];
        walk(read, account, start..end, &mut |envelope, dones| {
            found.extend(dones.iter().map(|done| line(account, envelope, done)));
            Ok(true)
        })?;
        let room = limit.saturating_sub(lines.len());
        lines.extend(found.into_iter().rev().take(room));
        end = start;
        progress(all.saturating_sub(end));
    }
    Ok(lines)
}

fn line(account: AccountId, envelope: &Envelope, done: &Done) -> Line {
    let legs = || done.legs.iter().filter(|leg| leg.place == Place::Holder(account));
    let unit = legs().find_map(|leg| match leg.asset {
        Asset::Unit(unit) => Some(unit),
        Asset::Money(_) => None,
    });
    let held = done.holds.iter().find(|(id, ..)| *id == account).map(|(_, payment, _)| *payment);
    let share = done.puts().find_map(|(name, _)| match name {
        Name::Share(payment, _) => Some(*payment),
        _ => None,
    });
    Line {
        seq: envelope.seq,
        at: envelope.at,
        kind: envelope.kind.clone(),
        amount: legs().fold(0i64, |sum, leg| sum.saturating_add(leg.amount)),
        after: legs().next_back().and_then(|leg| leg.after),
        unit,
        payment: held.or(share),
    }
}

fn words(read: &dyn Read, line: &Line) -> Result<String, CliError> {
    let Line { seq, at, kind, .. } = line;
    let mut text = format!("{seq:>9}  {at}  {kind:<20}");
    if let Some(unit) = line.unit {
        let scale = scale(read, unit)?;
        let sign = if line.amount > 0 { "+" } else { "" };
        text.push_str(&format!("{:>14}", format!("{sign}{}", decimal(line.amount, scale))));
        if let Some(after) = line.after {
            text.push_str(&format!("{:>14}", decimal(after, scale)));
        }
    }
    if let Some(payment) = line.payment {
        text.push_str(&format!("  {payment}"));
    }
    Ok(text)
}
