//! `bank`: files of payment orders, notices to payers, and what banks say back.
//!
//! Owns: how a file is shown and written, and how what a bank said becomes commands to sign.
//! Promises: not a byte of a file of orders is written before the log says that a file of this hash may leave; written again
//! after a crash it is the same file. Nothing is confirmed from here.
//! Refuses to know: how files travel to the bank, and who signs (`tallyhouse sign`, `tallyhouse submit`).

mod statements;

use super::context::{CliError, Context, Exit, read};
use super::cut::deliver;
use super::demo::page::decimal;
use super::folder::Folder;
use crate::app::settlement_accounts;
use crate::banking::{Accounts, Desk, Fault, ForDay, Prepared, Unmatched, read_statements, read_status};
use crate::book::{DetailsVersion, Exception, Name, Record, StatementState, Way};
use crate::clearing::{BankDetails, DebitScheme, SaltedDetails, SetDetails, StatementKind};
use crate::clock;
use crate::formats::write_notices_csv;
use crate::types::{Currency, Date, Hash, InstructionId, ParticipantId, b64, word};
use crate::vault::Vault;
use clap::Subcommand;
use serde::Serialize;
use std::path::PathBuf;

/// Options of `bank`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse bank keep harvest.json            seal a participant's account in the vault; what its people sign for
  tallyhouse bank notices 3 --currency EUR     who pays how much, where, under which reference
  tallyhouse bank orders 3 --currency EUR      what is paid out, and the hash that two approvers sign for
  tallyhouse bank orders 3 --currency EUR --out cycle-3.xml
  tallyhouse bank status report.xml            what the bank says of orders, as commands to sign
  tallyhouse bank statement camt053.xml        what was paid, as commands to sign; what a person has to look at
  tallyhouse bank statements --waiting         imports that wait to be accepted, or rejected
  tallyhouse bank unmatched --currency EUR     lines that are nobody's, and what each may be about

The house's own accounts stand in the file that `api.settlement_accounts` of the configuration names. All of this works
beside a node that serves the same network, too; that node answers the same at /v1/cycles/3/orders/EUR and the addresses
beside it.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show a cycle's pay-outs, and write them for the bank (pain.001) once they may leave
    #[command(after_help = "Examples:
  tallyhouse bank orders 3 --currency EUR      what is paid out, and the hash that two approvers sign for
  tallyhouse bank orders 3 --currency EUR --out cycle-3.xml
  tallyhouse bank orders 3 --currency EUR --on 2026-12-07
  tallyhouse bank orders 3 --currency EUR --instruction ins_42.0     a payment that was issued again")]
    Orders(OrdersArgs),
    /// Write what payers are asked for, as CSV
    #[command(after_help = "Examples:
  tallyhouse bank notices 3 --currency EUR --out notices.csv
  tallyhouse bank notices 3 --currency EUR --json")]
    Notices(Of),
    /// Write the direct debits of those who gave a mandate (pain.008)
    #[command(after_help = "Examples:
  tallyhouse bank debits 3 --currency EUR --out debits.xml
  tallyhouse bank debits 3 --currency EUR --scheme core --on 2026-12-07 --out core.xml")]
    Debits(DebitsArgs),
    /// Read what a bank says of orders (pain.002)
    #[command(after_help = "Examples:
  tallyhouse bank status pain002.xml           what it says, and the steps to sign for POST /v1/instructions/moves
  tallyhouse bank status pain002.xml --json")]
    Status {
        /// The report
        file: PathBuf,
    },
    /// Read a statement (camt.053, camt.054, CSV) and match it with what is open
    #[command(after_help = "Examples:
  tallyhouse bank statement camt053.xml        what was matched, what a person looks at, what to sign
  tallyhouse bank statement camt054.xml        what the bank says early; the statement repeats it
  tallyhouse bank statement statement.csv --json")]
    Statement {
        /// The document as the bank sent it
        file: PathBuf,
    },
    /// List statements that were imported: which wait, which were accepted or rejected
    #[command(after_help = "Examples:
  tallyhouse bank statements
  tallyhouse bank statements --waiting         those that another person accepts, or anybody rejects
  tallyhouse bank statements --json")]
    Statements {
        /// Only those that wait
        #[arg(long)]
        waiting: bool,
    },
    /// List lines of accepted statements that are nobody's, and what each may be about
    #[command(after_help = "Examples:
  tallyhouse bank unmatched --currency EUR
  tallyhouse bank unmatched --currency EUR --json")]
    Unmatched {
        /// In which currency
        #[arg(long)]
        currency: Currency,
    },
    /// Seal a participant's bank details in the vault
    #[command(after_help = "Examples:
  tallyhouse bank keep harvest.json

harvest.json is, for example, {\"participant\":\"pa_harvest\",\"currency\":\"EUR\",\"name\":\"Harvest\",\"iban\":\"DE89370400440532013000\"}.
What is printed are the arguments of details.set, which the participant's people sign for POST /v1/bank-details.")]
    Keep {
        /// JSON: participant, currency, name, iban, and bic or mandate if there are; with a salt, exactly as it was signed for
        file: PathBuf,
        /// It is the house's settlement account, of the operator's participant
        #[arg(long)]
        settlement: bool,
    },
    /// Show a participant's bank details, and what the log says of them
    #[command(after_help = "Examples:
  tallyhouse bank details pa_harvest --currency EUR      read out over the telephone before they are confirmed")]
    Details {
        /// Whose
        participant: ParticipantId,
        /// In which currency
        #[arg(long)]
        currency: Currency,
        /// The house's settlement account, and not where its participant is paid
        #[arg(long)]
        settlement: bool,
    },
}

/// Of which cycle, and where to.
#[derive(clap::Args, Debug)]
struct Of {
    /// The cycle
    cycle: u64,
    /// In which currency
    #[arg(long)]
    currency: Currency,
    /// Write to this file instead of standard output; it appears when it is whole
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct OrdersArgs {
    #[command(flatten)]
    of: Of,
    /// The day on which the bank carries it out; if left out, when payers would be late, or the next business day once that has
    /// passed, and for a file that was approved its own day
    #[arg(long)]
    on: Option<Date>,
    /// A payment of the cycle that was issued again: it leaves in a file of its own
    #[arg(long)]
    instruction: Option<InstructionId>,
}

#[derive(clap::Args, Debug)]
struct DebitsArgs {
    #[command(flatten)]
    of: Of,
    /// Whose rules
    #[arg(long, value_enum, default_value = "b2b")]
    scheme: Scheme,
    /// The day on which they are collected; if left out, the last on which payers are in time, or the next business day once
    /// that has come
    #[arg(long)]
    on: Option<Date>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Scheme {
    /// SEPA Direct Debit Core.
    Core,
    /// Between businesses.
    B2b,
}

impl From<Fault> for CliError {
    fn from(e: Fault) -> Self {
        match e {
            Fault::No(why) => Self::Refused(why),
            fault => Self::fault(fault),
        }
    }
}

/// A folder whose vault is open.
struct Room {
    folder: Folder,
    vault: Vault,
    accounts: Accounts,
}

impl Room {
    fn open(context: &Context<'_>) -> Result<Self, CliError> {
        let accounts = settlement_accounts(&context.config()?.api).map_err(CliError::usage)?;
        Ok(Self { folder: Folder::open(context)?, vault: Vault::open(context.network()?)?, accounts })
    }

    fn desk(&self) -> Desk<'_> {
        Desk {
            read: &*self.folder.read,
            vault: Some(&self.vault),
            genesis: &self.folder.genesis,
            accounts: &self.accounts,
        }
    }

    fn scale(&self, currency: Currency) -> u8 {
        let known = self.folder.genesis.currencies.iter().find(|one| one.code == currency);
        known.map_or(0, |one| one.scale)
    }

    fn record(&self, name: &Name) -> Result<Option<Record>, CliError> {
        let rows = self.folder.read.load(&[name.to_string()])?.rows;
        rows.first().map(|row| Record::decode(name, &row.value).map_err(CliError::fault)).transpose()
    }
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    if let Action::Unmatched { currency } = args.action {
        // The log is enough: a network that is served may be asked, too.
        unmatched(&Folder::open(context)?, currency, context)?;
        return Ok(Exit::Ok);
    }
    if let Action::Statements { waiting } = args.action {
        statements::statements(&Folder::open(context)?, waiting, context)?;
        return Ok(Exit::Ok);
    }
    let room = Room::open(context)?;
    match args.action {
        Action::Unmatched { .. } | Action::Statements { .. } => {}
        Action::Orders(args) => orders(&room, args, context)?,
        Action::Notices(of) => {
            warn(&room, of.cycle, of.currency)?;
            let notices = room.desk().notices(of.cycle, of.currency, None)?;
            if context.json {
                context.say_json(&notices)?;
            } else {
                let bytes = write_notices_csv(&notices).map_err(CliError::fault)?;
                deliver(&bytes, of.out.as_deref(), context)?;
            }
        }
        Action::Debits(DebitsArgs { of, scheme, on }) => {
            let scheme = match scheme {
                Scheme::Core => DebitScheme::Core,
                Scheme::B2b => DebitScheme::B2b,
            };
            warn(&room, of.cycle, of.currency)?;
            let made = room.desk().debits(
                of.cycle,
                of.currency,
                scheme,
                ForDay { on, today: context.now()?.date(0) },
            )?;
            let none = || {
                let who = "nobody of whom something is open gave such a mandate";
                CliError::Refused(format!("cycle {}: {who}", of.cycle))
            };
            deliver(&made.ok_or_else(none)?, of.out.as_deref(), context)?;
        }
        Action::Status { file } => status(&room, &file, context)?,
        Action::Statement { file } => statement(&room, &file, context)?,
        Action::Keep { file, settlement } => keep(&room, &file, settlement, context)?,
        Action::Details { participant, currency, settlement } => {
            details(&room, &participant, currency, settlement, context)?;
        }
    }
    Ok(Exit::Ok)
}

/// A file of orders as programs see it.
#[derive(Serialize)]
struct Shown<'a> {
    sha256: Hash,
    on: Date,
    approved: Option<Hash>,
    sum: u64,
    payments: &'a [crate::banking::Paid],
}

/// Says on standard error that nobody signed for the house's account, if that is so.
fn warn(room: &Room, cycle: u64, currency: Currency) -> Result<(), CliError> {
    if let Some(warning) = room.desk().unsigned(cycle, currency)? {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

fn orders(room: &Room, args: OrdersArgs, context: &mut Context<'_>) -> Result<(), CliError> {
    let OrdersArgs { of: Of { cycle, currency, out }, on, instruction } = args;
    warn(room, cycle, currency)?;
    let day = ForDay { on, today: context.now()?.date(0) };
    let prepared = match instruction {
        Some(id) => room.desk().again(id, day)?,
        None => room.desk().pay_outs(cycle, currency, day)?,
    };
    match &out {
        None => show(room, &prepared, currency, context),
        Some(path) => {
            let hash = prepared.sha256;
            let orders = prepared.release()?;
            deliver(&orders.bytes, Some(path), context)?;
            context.say(format!("{}: SHA-256 {hash}, as it was approved", path.display()))
        }
    }
}

fn show(
    room: &Room,
    prepared: &Prepared,
    currency: Currency,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if context.json {
        let (sha256, on, approved, sum) = (prepared.sha256, prepared.on, prepared.approved, prepared.sum());
        return context.say_json(&Shown { sha256, on, approved, sum, payments: &prepared.payments });
    }
    let scale = room.scale(currency);
    context.say(format!("  {:<16}{:<20}{:>18}  account, version", "instruction", "participant", "amount"))?;
    for one in &prepared.payments {
        context.say(format!(
            "  {:<16}{:<20}{:>18}  {} v{}",
            one.instruction.to_string(),
            one.participant.to_string(),
            decimal(one.amount.get(), scale),
            one.account,
            one.details
        ))?;
    }
    let sum = decimal(prepared.sum(), scale);
    context.say(format!("  {:<36}{sum:>18}  {currency}, on {}", "sum", prepared.on))?;
    context.say(format!("\nSHA-256 {}", prepared.sha256))?;
    let said = match prepared.approved {
        None => "two approvers sign for this hash (pay_out, or send); nothing leaves before that".into(),
        Some(hash) if hash == prepared.sha256 => "approved: write it with --out".into(),
        Some(hash) => format!("another file was approved: {hash}"),
    };
    context.say(said)
}

fn bytes(path: &std::path::Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
}

fn status(room: &Room, file: &std::path::Path, context: &mut Context<'_>) -> Result<(), CliError> {
    let read = read_status(&room.desk(), &bytes(file)?, context.now()?)?;
    if context.json {
        return context.say_json(&read);
    }
    context.say(format!("about the message {}", read.message))?;
    for one in &read.others {
        context.say(format!("  {}: {} {}: {}", one.name, one.code, one.reasons.join(", "), one.note))?;
    }
    if !read.moves.is_empty() {
        context.say("\nto sign, for POST /v1/instructions/moves:")?;
        read.moves.iter().try_for_each(|one| context.say_json(one))?;
    }
    Ok(())
}

fn statement(room: &Room, file: &std::path::Path, context: &mut Context<'_>) -> Result<(), CliError> {
    let read = read_statements(&room.desk(), &bytes(file)?)?;
    if context.json {
        return context.say_json(&read);
    }
    for one in &read {
        context.say(format!(
            "{} {}: {} lines matched, {} counted before, {} for a person",
            if one.kind == StatementKind::Statement { "statement" } else { "notification" },
            one.statement,
            one.matched,
            one.repeated,
            one.exceptions.len()
        ))?;
        if let Some(lowest) = &one.overdrawn {
            eprintln!(
                "warning: the account was overdrawn, by {lowest} at the lowest: ask the bank, and bring what is missing"
            );
        }
        for off in &one.differences {
            let (id, amount) = (&off.id, &off.amount);
            context.say(format!("  {id} is off by {amount}: more comes, or two people write it off"))?;
        }
        one.exceptions.iter().try_for_each(|exception| except(exception, context))?;
        for page in &one.imported {
            let (name, state) = (&page.statement, word(&page.state));
            context.say(format!(
                "  {name} is {state} already{}",
                if page.state == StatementState::Imported { ": accept or reject it" } else { "" }
            ))?;
        }
        if !one.imports.is_empty() {
            context.say("to sign, for POST /v1/bank-statements; somebody else accepts it then:")?;
            one.imports.iter().try_for_each(|import| context.say_json(import))?;
        }
    }
    Ok(())
}

fn unmatched(folder: &Folder, currency: Currency, context: &mut Context<'_>) -> Result<(), CliError> {
    let accounts = Accounts::default();
    let desk = Desk { read: &*folder.read, vault: None, genesis: &folder.genesis, accounts: &accounts };
    let all = desk.nobodys(currency)?;
    if context.json {
        return context.say_json(&all);
    }
    if all.is_empty() {
        return context.say(format!("no line in {currency} is nobody's"));
    }
    let setting = folder.genesis.currencies.iter().find(|setting| setting.code == currency);
    let scale = setting.map_or(0, |setting| setting.scale);
    for one in &all {
        let sign = if one.way == Way::In { "" } else { "-" };
        let why = serde_json::to_value(one.why).unwrap_or_default();
        let (why, amount) = (why.as_str().unwrap_or_default(), decimal(one.amount.get(), scale));
        context
            .say(format!("  {} line {}  {}  {sign}{amount}  {why}", one.statement, one.line, one.entry))?;
        if let Some(id) = one.names {
            let paid = match one.why {
                Exception::Altered => ": a notification or a statement said otherwise of this entry",
                Exception::NotOpen => ", which is not to be paid now: was it paid before?",
                Exception::TooMuch => ": more came than was open of it",
                _ => "",
            };
            context.say(format!("    names {id}{paid}"))?;
        }
        if !one.candidates.is_empty() {
            let names: Vec<String> = one.candidates.iter().map(ToString::to_string).collect();
            context.say(format!("    perhaps {}", names.join(", ")))?;
        }
    }
    context.say(
        "two people say what each was, or a part of it: POST /v1/bank-statements/assignments (an instruction's, sent back,\n\
         a withdrawal, the bank's charge, the operator's own), or make it cover: POST /v1/cover",
    )
}

fn except(one: &Unmatched, context: &mut Context<'_>) -> Result<(), CliError> {
    let amount = &one.exception.amount;
    let line = one.line.as_ref().map_or("the statement", |line| line.entry.as_str());
    let name = one.line.as_ref().and_then(|line| line.name.as_deref()).unwrap_or("");
    let why = serde_json::to_value(one.exception.why).unwrap_or_default();
    let why = why.as_str().unwrap_or_default();
    context.say(format!("  {line}  {amount}  {name}  {why}: {}", one.advice))?;
    if let Some(mistyped) = one.line.as_ref().and_then(|line| line.mistyped.as_deref()) {
        context.say(format!("    the reference was mistyped: {mistyped}"))?;
    }
    if let Some(place) = &one.withdrawal {
        let (who, entry) = (&place.participant, place.entry);
        context.say(format!(
            "    it has the reference of {who}'s withdrawal of entry {entry}: two people say so (line.assign)"
        ))?;
    }
    if !one.exception.candidates.is_empty() {
        let names: Vec<&str> = one.exception.candidates.iter().map(|id| id.as_str()).collect();
        context.say(format!("    perhaps {}", names.join(", ")))?;
    }
    Ok(())
}

/// What the participant's people sign for.
#[derive(Serialize)]
struct Kept {
    commitment: Hash,
    salt: String,
    /// Arguments of `details.set`.
    args: SetDetails,
}

fn keep(
    room: &Room,
    file: &std::path::Path,
    settlement: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let text = read(file)?;
    let wrong = |e: serde_json::Error| CliError::usage(format!("{}: {e}", file.display()));
    let salted = match serde_json::from_str::<SaltedDetails>(&text) {
        Ok(salted) => salted,
        Err(_) => {
            let details: BankDetails = serde_json::from_str(&text).map_err(wrong)?;
            SaltedDetails { salt: b64(&clock::random::<32>()), details }
        }
    };
    salted.check().map_err(CliError::usage)?;
    let commitment = room.vault.keep_details(&salted)?;
    let (participant, currency) = (salted.details.participant.clone(), salted.details.currency);
    let name = if settlement { Name::House(currency) } else { Name::Details(participant.clone(), currency) };
    let head = room.record(&name)?;
    let version = head.as_ref().and_then(Record::details).map_or(0, |head| head.newest).saturating_add(1);
    let kept = Kept {
        commitment,
        salt: salted.salt,
        args: SetDetails { participant, currency, version, commitment, settlement },
    };
    if context.json {
        return context.say_json(&kept);
    }
    context.say(format!("kept, sealed, under its commitment {commitment}"))?;
    context.say(format!("salt {}: with it and the details, anybody can check that", kept.salt))?;
    let who = if settlement { "an analyst and two" } else { "the participant's brand and two of its" };
    context.say(format!("to sign by {who} approvers, for POST /v1/bank-details:"))?;
    context.say_json(&kept.args)
}

/// A version, and what it stands for.
#[derive(Serialize)]
struct Version {
    version: u64,
    facts: DetailsVersion,
    kept: Option<SaltedDetails>,
}

fn details(
    room: &Room,
    who: &ParticipantId,
    currency: Currency,
    settlement: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    room.folder.knows(&Name::Participant(who.clone()))?;
    room.folder.trades_in(currency)?;
    let head = if settlement { Name::House(currency) } else { Name::Details(who.clone(), currency) };
    let head = room.record(&head)?;
    let newest = head.as_ref().and_then(Record::details).map_or(0, |head| head.newest);
    let mut all = vec![];
    for version in (1..=newest).rev() {
        let name = match settlement {
            true => Name::HouseVersion(currency, version),
            false => Name::DetailsVersion(who.clone(), currency, version),
        };
        let record = room.record(&name)?;
        let Some(facts) = record.as_ref().and_then(Record::details_version).cloned() else { continue };
        let kept = room.vault.details(facts.commitment)?;
        all.push(Version { version, facts, kept });
    }
    if context.json {
        return context.say_json(&all);
    }
    if all.is_empty() {
        return context.say(format!("{who} has no bank details in {currency}"));
    }
    for one in &all {
        let counts = match (one.facts.confirmed, one.facts.from) {
            (Some(_), Some(from)) => format!("counts from cycle {from}"),
            _ => "not confirmed: call back, then details.confirm".into(),
        };
        let what = match &one.kept {
            Some(salted) => {
                let d = &salted.details;
                let bic = d.bic.as_ref().map(|bic| format!(", {bic}")).unwrap_or_default();
                let debit = if d.mandate.is_some() { ", by direct debit" } else { "" };
                format!("{}, {}{bic}{debit}", d.name, d.iban)
            }
            None => "not in this vault".into(),
        };
        context.say(format!(
            "version {}  {counts}\n  {what}\n  commitment {}",
            one.version, one.facts.commitment
        ))?;
    }
    Ok(())
}
