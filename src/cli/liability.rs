//! `liability`: what brands owe for points, month by month.

use super::balance::decimal;
use super::context::{CliError, Context, Exit};
use super::cut::{cut, deliver, watched};
use super::folder::Folder;
use crate::book::Name;
use crate::formats::{Amounts, liability_table};
use crate::reading::{LiabilityOf, LiabilityReport, liability};
use crate::types::{Currency, UnitCode};

/// Options of `liability`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse liability
  tallyhouse liability --unit HARVEST --vintages
  tallyhouse liability --deferred                 as deferred revenue (IFRS 15)
  tallyhouse liability --csv                      for a spreadsheet
  tallyhouse liability --currency USD --to 9999 --json

For each unit and month of its own days: opening, what happened, price changes, closing; in points, and in money at the
settle price in force when it happened. The money of a line is rounded down; what that and changes of the price make is
in the line of price changes, so opening and lines make closing on both sides. With --vintages: what is left, at the
end of each month, of the points that were earned in a month, and what was spent of them (also for a million of them).
With --deferred, money on the other basis: an award is allocated its points that are expected to be spent, by the
breakage curve that its brand had published then, at the home price; that is earned as they are spent. Names the last
entry that is counted and the checkpoint.")]
pub struct Args {
    /// One unit only.
    #[arg(long)]
    unit: Option<UnitCode>,
    /// In which currency; the network's first if absent.
    #[arg(long)]
    currency: Option<Currency>,
    /// Points by the month in which they were earned, too.
    #[arg(long)]
    vintages: bool,
    /// As deferred revenue, too: allocated when awarded, earned as points are spent.
    #[arg(long)]
    deferred: bool,
    /// As CSV: a row for each line of each month.
    #[arg(long)]
    csv: bool,
    /// The last entry that counts; without it, the newest.
    #[arg(long)]
    to: Option<u64>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    if let Some(unit) = args.unit {
        folder.knows(&Name::Unit(unit))?;
    }
    if let Some(currency) = args.currency {
        folder.trades_in(currency)?;
    }
    let cut = cut(&folder, 0, args.to)?;
    let wanted = |code: Currency| args.currency.is_none_or(|wanted| wanted == code);
    let setting = folder.genesis.currencies.iter().find(|setting| wanted(setting.code));
    let setting = setting.ok_or_else(|| CliError::fault("a network without a currency"))?;
    let wanted = LiabilityOf {
        units: args.unit.map(|unit| vec![unit]),
        currency: (setting.code, setting.scale),
        vintages: args.vintages,
        deferred: args.deferred,
    };
    let report = watched(cut.seq, |read_to| liability(&*folder.read, &cut, &wanted, read_to))?;
    if context.json {
        context.say_json(&report)?;
    } else if args.csv {
        let bytes = liability_table(
            &report.months,
            report.deferred.as_deref(),
            report.vintages.as_deref(),
            report.currency,
            report.currency_scale,
        );
        let bytes = bytes.csv(report.seq, &report.checkpoint).map_err(CliError::fault)?;
        deliver(&bytes, None, context)?;
    } else {
        say(&report, context)?;
    }
    Ok(Exit::Ok)
}

fn say(report: &LiabilityReport, context: &mut Context<'_>) -> Result<(), CliError> {
    for month in &report.months {
        let line = |what: &str, amounts: Amounts| {
            let (points, money) =
                (decimal(amounts.points, month.scale), decimal(amounts.money, report.currency_scale));
            format!("  {what:<22}{points:>20}{money:>20}")
        };
        let title = format!("{} {}", month.unit, month.month);
        context.say(format!("{title:<24}{:>20}{:>20}", "points", report.currency.as_str()))?;
        context.say(line("opening", month.opening))?;
        for one in &month.lines {
            context.say(line(one.change.text(), one.amounts))?;
        }
        if month.price_changes != 0 {
            context.say(line("price changes", Amounts { points: 0, money: month.price_changes }))?;
        }
        context.say(line("closing", month.closing))?;
    }
    if report.deferred.is_some() {
        let heads = ["opening", "allocated", "recognised", "closing"];
        let heads: String = heads.iter().map(|head| format!("{head:>18}")).collect();
        context.say(format!("{:<24}{heads}", format!("deferred, {}", report.currency)))?;
    }
    for month in report.deferred.iter().flatten() {
        let amounts = [month.opening, month.allocated, -month.recognised, month.closing];
        let amounts: String =
            amounts.iter().map(|amount| format!("{:>18}", decimal(*amount, report.currency_scale))).collect();
        context.say(format!("{:<24}{amounts}", format!("  {} {}", month.unit, month.month)))?;
    }
    for one in report.vintages.iter().flatten() {
        let vintage = &one.vintage;
        let scale =
            report.months.iter().find(|month| month.unit == vintage.unit).map_or(0, |month| month.scale);
        let all = |amounts: &[i64], scale| {
            amounts.iter().map(|amount| decimal(*amount, scale)).collect::<Vec<_>>().join(" ")
        };
        context.say(format!(
            "{} earned in {}: {}",
            vintage.unit,
            vintage.earned,
            decimal(vintage.issued, scale)
        ))?;
        context.say(format!("  left      {}", all(&vintage.outstanding, scale)))?;
        context.say(format!("  spent     {}", all(&vintage.redeemed, scale)))?;
        context.say(format!("  spent %   {}", all(&vintage.rates, 4)))?;
        context.say(format!("  deferred  {}", all(&one.deferred, report.currency_scale)))?;
    }
    if let Some(closed) = &report.closed {
        context.say(format!("closed through {}, entry {}", closed.month, closed.seq))?;
    }
    context.say(format!("as of entry {}, checkpoint {}", report.seq, report.checkpoint))
}
