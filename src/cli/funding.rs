//! `funding`: what stands behind units' points and participants' debts, and whether it is enough.
//!
//! Owns: the tables, and the exit code that an alarm can hang on.
//! Promises: what is printed is measured by the functions that refuse what it does not allow, on state as it stands.
//! Refuses to know: how cover comes and goes; that takes signed requests (`tallyhouse sign`, `tallyhouse submit`).

use super::balance::decimal;
use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use crate::book::{BreakageTo, Draft, Found, MarginCall, Name, Record, Source, Stop};
use crate::clearing::{HOLDING, Holding, holdings};
use crate::machine::CurrencySetting;
use crate::prices::{
    Standing, dearest, exposure, funding, is_short, points_outstanding, reserve_of, standing,
};
use crate::reading::{Sort, list, records};
use crate::types::{Currency, Money, ParticipantId, Points, Time, UnitCode};
use serde::Serialize;
use std::sync::Arc;

/// Records read at a time.
const PAGE: usize = 500;

/// Options of `funding`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse funding                           reserves of units; exposure, cover and headroom of participants; accounts
  tallyhouse funding --json
  tallyhouse funding --check                   ends with 1 if something is short, for an alarm to hang on

A settlement account is short if the newest accepted statement leaves less on it than covers, shares of the fund and
reserves that were brought, money of cycles under way, money that is nobody's and withdrawals on their way come to. More
may be there: the house may leave money of its own.

A unit is short if its outstanding points need more than is held for them; a reserve that is filled at issuance follows
a price with the next entry in which points of the unit move. A participant is over its limit if what it
owes and may come to owe is more than the smaller of its cap and its cover. Units and participants for which nothing is
set, and nothing is owed, are left out. JSON gives amounts in the smallest unit.")]
pub struct Args {
    /// End with exit code 1 if a reserve or a settlement account is short or a participant is over its limit
    #[arg(long)]
    check: bool,
}

/// What stands behind a unit's points.
#[derive(Serialize)]
struct UnitRow {
    unit: UnitCode,
    #[serde(skip)]
    scale: u8,
    outstanding: Points,
    currency: Currency,
    ratio: u32,
    held: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<Money>,
    short: bool,
    /// Who holds it, if it is filled when points are issued, and who gets what the unspent ones free.
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<ParticipantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakage_to: Option<BreakageTo>,
}

/// What stands behind a participant's debts.
#[derive(Serialize)]
struct DebtRow {
    participant: ParticipantId,
    currency: Currency,
    position: i64,
    in_flight: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<Money>,
    cover: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headroom: Option<u64>,
    state: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<MarginCall>,
}

#[derive(Serialize)]
struct Report {
    units: Vec<UnitRow>,
    participants: Vec<DebtRow>,
    accounts: Vec<Holding>,
}

/// State on disk, as a source for a draft that is never finished.
struct State<'a>(&'a Folder);

impl Source for State<'_> {
    fn find(&self, name: &Name) -> Found {
        let Ok(loaded) = self.0.read.load(&[name.to_string()]) else { return Found::NotLoaded };
        match loaded.rows.first().map(|row| Record::decode(name, &row.value)) {
            Some(Ok(record)) => Found::Known(Arc::new(record)),
            Some(Err(_)) => Found::NotLoaded,
            None => Found::Absent,
        }
    }
}

fn unread(stop: Stop) -> CliError {
    match stop {
        Stop::Refused(no) => CliError::fault(no),
        other => CliError::fault(format!("{other:?}")),
    }
}

/// The names of all records of a sort.
fn names(folder: &Folder, sort: Sort) -> Result<Vec<Name>, CliError> {
    let (mut all, mut after) = (vec![], String::new());
    loop {
        let page = list(&*folder.read, sort, &after, PAGE).map_err(CliError::fault)?;
        all.extend(page.items.into_iter().map(|item| item.name));
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let state = State(&folder);
    let at = context.now()?;
    let mut draft = Draft::new(&state, 0, at);
    let accounts = holdings(&records(&*folder.read, HOLDING).map_err(CliError::fault)?, at);
    let mut report = Report { units: vec![], participants: vec![], accounts };
    for name in names(&folder, Sort::Units)? {
        let Name::Unit(unit) = name else { continue };
        report.units.extend(unit_row(&mut draft, unit).map_err(unread)?);
    }
    for name in names(&folder, Sort::Participants)? {
        let Name::Participant(who) = name else { continue };
        for setting in &folder.genesis.currencies {
            report.participants.extend(debt_row(&mut draft, &who, setting.code).map_err(unread)?);
        }
    }
    let short = report.units.iter().any(|unit| unit.short)
        || report.participants.iter().any(|one| one.state != Standing::Within)
        || report.accounts.iter().any(|one| one.short);
    if context.json {
        context.say_json(&report)?;
    } else {
        say(&report, &folder.genesis.currencies, context)?;
    }
    Ok(if args.check && short { Exit::Refused } else { Exit::Ok })
}

fn unit_row(draft: &mut Draft, unit: UnitCode) -> Result<Option<UnitRow>, Stop> {
    let Some(reserve) = reserve_of(draft, unit)? else { return Ok(None) };
    let (scale, outstanding) = (draft.unit(unit)?.scale, points_outstanding(draft, unit)?);
    let now = draft.at.seconds();
    let price = dearest(&draft.prices(unit)?.versions, reserve.currency, now);
    let (currency, ratio, held) = (reserve.currency, reserve.ratio, reserve.held);
    let needed = price.and_then(|price| price.money_ppm_ceil(outstanding, ratio));
    let short = is_short(draft, unit, &reserve)?;
    let (keeper, breakage_to) = reserve.issuance.map(|terms| (terms.keeper, terms.breakage_to)).unzip();
    Ok(Some(UnitRow { unit, scale, outstanding, currency, ratio, held, needed, short, keeper, breakage_to }))
}

fn debt_row(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<Option<DebtRow>, Stop> {
    let stands = exposure(draft, who, currency)?;
    let have = funding(draft, who, currency)?;
    if have.is_none() && stands.position == 0 {
        return Ok(None);
    }
    let have = have.unwrap_or_default();
    Ok(Some(DebtRow {
        participant: who.clone(),
        currency,
        position: stands.position,
        in_flight: stands.reserved,
        cap: have.cap,
        cover: have.cover,
        limit: stands.limit,
        headroom: stands.headroom(),
        state: standing(&stands, have.call.as_ref(), draft.at),
        call: have.call,
    }))
}

fn say(report: &Report, currencies: &[CurrencySetting], context: &mut Context<'_>) -> Result<(), CliError> {
    let scale = |currency: Currency| {
        currencies.iter().find(|setting| setting.code == currency).map_or(0, |setting| setting.scale)
    };
    let money = |amount: u64, currency| decimal(i64::try_from(amount).unwrap_or(i64::MAX), scale(currency));
    let some = |amount: Option<u64>, currency| amount.map_or("-".into(), |amount| money(amount, currency));
    if !report.units.is_empty() {
        context.say(format!(
            "{:<18}{:>16}{:>9}{:>18}{:>18}",
            "RESERVES", "outstanding", "ratio %", "needed", "held"
        ))?;
    }
    for unit in &report.units {
        let points = decimal(i64::try_from(unit.outstanding.get()).unwrap_or(i64::MAX), unit.scale);
        let ratio = decimal(i64::from(unit.ratio), 4);
        let (needed, held) =
            (some(unit.needed.map(Money::get), unit.currency), money(unit.held.get(), unit.currency));
        let short = if unit.short { "  SHORT" } else { "" };
        let (code, currency) = (unit.unit.as_str(), unit.currency);
        let by =
            unit.keeper.as_ref().map_or(String::new(), |keeper| format!("  filled at issuance, by {keeper}"));
        context
            .say(format!("{code:<18}{points:>16}{ratio:>9}{needed:>18}{held:>18} {currency}{by}{short}"))?;
    }
    context.say(format!(
        "{:<18}{:>16}{:>16}{:>16}{:>16}{:>16}",
        "EXPOSURES", "position", "in flight", "cap", "cover", "headroom"
    ))?;
    for one in &report.participants {
        let currency = one.currency;
        let (position, in_flight) = (decimal(one.position, scale(currency)), money(one.in_flight, currency));
        let (cap, cover) = (some(one.cap.map(Money::get), currency), money(one.cover.get(), currency));
        let headroom = some(one.headroom, currency);
        let state = match (one.state, one.call) {
            (Standing::Within, _) => String::new(),
            (Standing::Overrun, _) | (_, None) => "  OVERRUN".into(),
            (Standing::Called, Some(call)) => {
                format!(
                    "  OVERRUN, {} called for by {}",
                    money(call.amount.get(), currency),
                    instant(call.until)
                )
            }
            (Standing::Overdue, Some(call)) => {
                format!(
                    "  OVERRUN, {} overdue since {}",
                    money(call.amount.get(), currency),
                    instant(call.until)
                )
            }
        };
        let who = one.participant.as_str();
        context.say(format!(
            "{who:<18}{position:>16}{in_flight:>16}{cap:>16}{cover:>16}{headroom:>16} {currency}{state}"
        ))?;
    }
    context.say(format!(
        "{:<18}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}",
        "ACCOUNTS", "balance", "must hold", "of cycles", "nobody's", "borne", "on its way"
    ))?;
    for one in &report.accounts {
        let all = [one.balance, one.must, one.cycles, one.nobodys, one.borne, one.on_its_way];
        let cells = all.map(|amount| format!("{:>16}", decimal(amount, scale(one.currency))));
        let missing = decimal(one.must.saturating_sub(one.balance), scale(one.currency));
        let short = if one.short { format!("  SHORT of {missing}") } else { String::new() };
        context.say(format!("{:<18}{}{short}", one.currency.as_str(), cells.concat()))?;
    }
    Ok(())
}

fn instant(seconds: u64) -> String {
    Time::from_seconds(seconds).map_or_else(|| seconds.to_string(), |at| at.to_string())
}
