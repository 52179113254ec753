//! `history`: what came to an account and left it, newest first.

use super::balance::{decimal, scale};
use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use super::holder::accounts;
use crate::book::{Name, Record};
use crate::types::{AccountId, PaymentId, Time};
use crate::views::{Movement, Reader};
use serde::Serialize;

/// Options of `history`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse history h1058 --limit 5           all accounts of a member's wallet
  tallyhouse history ac_01jd0000000000000000000000
  tallyhouse history ac_01jd0000000000000000000000 --limit 100 --before 2334162944
  tallyhouse history ac_01jd0000000000000000000000 --limit 1000000 --json

Columns: entry, instant, kind, amount, balance after, where the points came from or went, payment. The balance counts
held and pending points too; holding and releasing points moves none, so it is not here.
JSON has every movement's id: --before with the last one goes on with what is older. Amounts are in the unit's
smallest part; `scale` says how many decimal places a point has. `as_of` is the last entry that is shown.")]
pub struct Args {
    /// An account, or a wallet by its id or an alias of it: its accounts one after the other
    #[arg(value_name = "WHOSE")]
    whose: String,
    /// How many movements at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Only movements before the one with this id.
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
}

/// What is printed.
#[derive(Serialize, Debug)]
struct History {
    account: AccountId,
    unit: String,
    scale: u8,
    as_of: Option<u64>,
    movements: Vec<Line>,
}

#[derive(Serialize, Debug)]
struct Line {
    id: u64,
    seq: u64,
    at: Time,
    kind: &'static str,
    amount: i64,
    balance: i64,
    other: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentId>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let views = Reader::open(context.home()?)?;
    let whose = accounts(context, &args.whose)?;
    for account in &whose {
        let history = history(&folder, &views, *account, &args)?;
        if context.json {
            context.say_json(&history)?;
            continue;
        }
        if whose.len() > 1 {
            context.say(format!("{account}: {}", history.unit))?;
        }
        for line in &history.movements {
            context.say(words(line, history.scale))?;
        }
        if history.movements.is_empty() {
            context.say("nothing moved")?;
        }
    }
    Ok(Exit::Ok)
}

fn history(folder: &Folder, views: &Reader, id: AccountId, args: &Args) -> Result<History, CliError> {
    let name = Name::Account(id);
    let loaded = folder.read.load(&[name.to_string()])?;
    let row = loaded.rows.first().ok_or_else(|| CliError::usage(format!("there is no account {id}")))?;
    let record = Record::decode(&name, &row.value).map_err(CliError::fault)?;
    let account = record.account().ok_or_else(|| CliError::fault(format!("{name} is something else")))?;
    let unit = account.head.unit;
    let shown = views.history(id, args.before, args.limit)?;
    Ok(History {
        account: id,
        unit: unit.to_string(),
        scale: scale(&*folder.read, unit)?,
        as_of: shown.as_of.map(|place| place.seq),
        movements: shown.what.into_iter().map(line).collect(),
    })
}

fn line(movement: Movement) -> Line {
    Line {
        id: movement.id,
        seq: movement.seq,
        at: movement.at,
        kind: movement.kind.text(),
        amount: movement.amount,
        balance: movement.balance,
        other: movement.other.to_string(),
        payment: movement.payment,
    }
}

fn words(line: &Line, scale: u8) -> String {
    let Line { seq, at, kind, other, .. } = line;
    let sign = if line.amount > 0 { "+" } else { "" };
    let amount = format!("{sign}{}", decimal(line.amount, scale));
    let balance = decimal(line.balance, scale);
    let payment = line.payment.map_or(String::new(), |payment| format!("  {payment}"));
    format!("{seq:>9}  {at}  {kind:<18}{amount:>14}{balance:>14}  {other}{payment}")
}
