//! `balance`: what an account holds, now or at an earlier instant.

use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use super::holder::accounts;
use super::trail::{Trace, walk};
use crate::book::{Account, Bucket, Lot, Name, Origin, Record};
use crate::clock;
use crate::log::Envelope;
use crate::store::Read;
use crate::types::{AccountId, Date, HoldId, Month, Points, Time, UnitCode};
use serde::Serialize;

/// Options of `balance`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse balance h1058                     all accounts of a member's wallet
  tallyhouse balance ac_01jd0000000000000000000000
  tallyhouse balance ac_01jd0000000000000000000000 --json
  tallyhouse balance ac_01jd0000000000000000000000 --as-of 2026-12-31T23:00:00Z

Shows the newest entry of the log; `as of` names it. --as-of goes through the log from its beginning and takes
only what was recorded by then. JSON gives amounts in the unit's smallest part; `scale` says how many decimal
places a point has.")]
pub struct Args {
    /// An account, or a wallet by its id or an alias of it
    #[arg(value_name = "WHOSE")]
    whose: String,
    /// An earlier instant: 2026-12-31T23:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    as_of: Option<Time>,
}

/// What is printed.
#[derive(Serialize, Debug, PartialEq, Eq)]
struct Balance {
    account: AccountId,
    unit: UnitCode,
    scale: u8,
    available: Points,
    held: Points,
    pending: Points,
    owed: Points,
    frozen: bool,
    lots: Vec<LotLine>,
    holds: Vec<HoldLine>,
    /// The last entry that is counted.
    seq: u64,
    at: Time,
}

#[derive(Serialize, Debug, PartialEq, Eq)]
struct LotLine {
    points: Points,
    until: Option<Date>,
    from: Option<Date>,
    month: Month,
    origin: Origin,
}

#[derive(Serialize, Debug, PartialEq, Eq)]
struct HoldLine {
    of: HoldId,
    points: Points,
    until: Time,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let accounts = accounts(context, &args.whose)?;
    let several = accounts.len() > 1;
    for account in accounts {
        let balance = match balance(&folder, account, args.as_of, clock::now())? {
            Some(balance) => balance,
            // A wallet's other accounts may have been opened by then.
            None if several => continue,
            None => return Err(CliError::usage(format!("there is no account {account}"))),
        };
        if context.json {
            context.say_json(&balance)?;
        } else {
            say(&balance, context)?;
        }
    }
    Ok(Exit::Ok)
}

fn balance(
    folder: &Folder,
    id: AccountId,
    as_of: Option<Time>,
    now: Time,
) -> Result<Option<Balance>, CliError> {
    let read = &*folder.read;
    let Found { trace, seq, last } = match as_of {
        Some(at) => then(read, id, at)?,
        None => newest(read, id)?,
    };
    // In a driven network time is what the log says; elsewhere it goes on between two entries.
    let at = as_of.unwrap_or(if folder.genesis.driven { last } else { now.max(last) });
    let Some(account) = trace.account() else { return Ok(None) };
    let scale = scale(read, account.head.unit)?;
    Ok(Some(describe(id, account.clone(), scale, seq, at)))
}

/// An account, the last entry counted, and its instant.
struct Found {
    trace: Trace,
    seq: u64,
    last: Time,
}

/// State, and what the log has beyond it.
fn newest(read: &dyn Read, id: AccountId) -> Result<Found, CliError> {
    // The log's end first: state may move on while this reads, and what is counted twice is the same.
    let tip = read.tip()?.ok_or_else(|| CliError::fault("the log is empty"))?;
    let name = Name::Account(id);
    let loaded = read.load(&[name.to_string()])?;
    let known = match loaded.rows.first() {
        Some(row) => Record::decode(&name, &row.value).map_err(CliError::fault)?.account().cloned(),
        None => None,
    };
    let mut trace = Trace::from(id, known);
    let from = loaded.cursor.map_or(0, |place| place.seq.saturating_add(1));
    walk(read, id, from..tip.seq.saturating_add(1), &mut |envelope, dones| {
        trace.take(id, &dones, envelope.seq)?;
        Ok(true)
    })?;
    let seq = loaded.cursor.map_or(tip.seq, |place| place.seq.max(tip.seq));
    let last = read.read_envelopes(seq, 1)?;
    let last = last.first().ok_or_else(|| CliError::Refused(format!("entry {seq} is missing")))?;
    let last = Envelope::decode(&last.bytes).map_err(|e| CliError::Refused(format!("entry {seq}: {e}")))?.at;
    Ok(Found { trace, seq, last })
}

/// From the log alone, what was recorded by an instant.
fn then(read: &dyn Read, id: AccountId, at: Time) -> Result<Found, CliError> {
    let size = read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
    let mut found = Found { trace: Trace::from(id, None), seq: 0, last: Time::default() };
    walk(read, id, 0..size, &mut |envelope, dones| {
        if envelope.at > at {
            return Ok(false);
        }
        found.trace.take(id, &dones, envelope.seq)?;
        (found.seq, found.last) = (envelope.seq, envelope.at);
        Ok(true)
    })?;
    Ok(found)
}

/// Decimal places of a point of the unit.
pub(super) fn scale(read: &dyn Read, unit: UnitCode) -> Result<u8, CliError> {
    let name = Name::Unit(unit);
    let loaded = read.load(&[name.to_string()])?;
    let row = loaded.rows.first().ok_or_else(|| CliError::fault(format!("state has no {name}")))?;
    let record = Record::decode(&name, &row.value).map_err(CliError::fault)?;
    let unit = record.unit().ok_or_else(|| CliError::fault(format!("{name} is something else")))?;
    Ok(unit.scale)
}

fn describe(id: AccountId, mut account: Account, scale: u8, seq: u64, at: Time) -> Balance {
    // What is due by then and not yet swept is over all the same.
    account.settle(at);
    let lot = |Lot(Bucket(until, from, month, origin), points): &Lot| LotLine {
        points: *points,
        until: *until,
        from: *from,
        month: *month,
        origin: *origin,
    };
    let sum = |lots: &[Lot]| lots.iter().fold(Points::ZERO, |sum, lot| sum.plus(lot.1).unwrap_or(sum));
    Balance {
        account: id,
        unit: account.head.unit,
        scale,
        available: account.available(at),
        held: account.held(),
        pending: account.pending(at),
        owed: account.head.owed,
        frozen: account.head.frozen,
        lots: account.lots.iter().map(lot).collect(),
        holds: account
            .holds
            .iter()
            .map(|hold| HoldLine { of: hold.of, points: sum(&hold.lots), until: hold.until })
            .collect(),
        seq,
        at,
    }
}

/// An amount with its decimal places: 1234 at scale 2 is 12.34.
pub(super) fn decimal(minor: i64, scale: u8) -> String {
    let digits = minor.unsigned_abs().to_string();
    let places = usize::from(scale);
    let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
    let sign = if minor < 0 { "-" } else { "" };
    match padded.split_at_checked(padded.len().saturating_sub(places)) {
        Some((whole, part)) if places > 0 => format!("{sign}{whole}.{part}"),
        _ => format!("{sign}{padded}"),
    }
}

fn say(balance: &Balance, context: &mut Context<'_>) -> Result<(), CliError> {
    let points = |points: Points| decimal(points.signed(), balance.scale);
    let frozen = if balance.frozen { ", frozen" } else { "" };
    context.say(format!("{}: {}{frozen}", balance.account, balance.unit))?;
    let sums = [
        ("available", balance.available),
        ("held", balance.held),
        ("pending", balance.pending),
        ("owed", balance.owed),
    ];
    for (what, sum) in sums {
        context.say(format!("{what:<10}{:>16}", points(sum)))?;
    }
    for lot in &balance.lots {
        let until = lot.until.map_or("that never expire".into(), |day| format!("through {day}"));
        let from = lot.from.map_or(String::new(), |day| format!(", from {day} on"));
        context.say(format!("  {:>16} {until}{from}", points(lot.points)))?;
    }
    for hold in &balance.holds {
        context.say(format!("  {:>16} held for {} until {}", points(hold.points), hold.of, hold.until))?;
    }
    context.say(format!("as of entry {}, {}", balance.seq, balance.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_with_its_decimal_places() {
        let rows = [
            (0, 0, "0"),
            (1_234, 0, "1234"),
            (1_234, 2, "12.34"),
            (5, 2, "0.05"),
            (0, 4, "0.0000"),
            (-5, 2, "-0.05"),
            (-1_234, 0, "-1234"),
            (9_007_199_254_740_991, 3, "9007199254740.991"),
        ];
        for (minor, scale, text) in rows {
            assert_eq!(decimal(minor, scale), text);
        }
    }
}
