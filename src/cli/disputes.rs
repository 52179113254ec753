//! `disputes`: what participants dispute, what they object to in cycles, and what consumers complain about.
//!
//! Owns: the tables. Promises: the newest stands first; amounts have their decimal point. Refuses to know: how a dispute is
//! moved; that takes signed requests (`tallyhouse sign`).

use super::context::{CliError, Context, Exit};
use super::demo::page::decimal;
use super::folder::Folder;
use super::prices::now;
use crate::book::{Answered, Complaint, ComplaintStage, Dispute, DisputeStage, Objection, Record};
use crate::clearing::is_overdue;
use crate::reading::{Sort, newest};
use crate::types::{ComplaintId, Currency, DisputeId, ObjectionId, Time, word};
use serde::Serialize;

/// Options of `disputes`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse disputes                          the newest, wherever they stand
  tallyhouse disputes --open                   those that have not ended
  tallyhouse disputes --objections --open      objections to cycles that nobody answered
  tallyhouse disputes --complaints --open      complaints that wait for the brand, or on appeal for the house
  tallyhouse disputes --json

A dispute is of what was paid long ago; an objection is to a cycle in review. Awaited is whose next step the time runs
for; others may take steps meanwhile, and README has the table of all of them (\"A dispute, step by step\"). JSON gives
amounts in the network's smallest unit. A complaint is answered by the brand of its points in time; then, or where it was
rejected, its holder may appeal to the house. The API lists the same at /v1/disputes, /v1/objections and /v1/complaints, page
by page.")]
pub struct Args {
    /// Objections to cycles instead
    #[arg(long)]
    objections: bool,
    /// Consumers' complaints instead
    #[arg(long, conflicts_with = "objections")]
    complaints: bool,
    /// Only what waits for somebody
    #[arg(long)]
    open: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

#[derive(Serialize)]
struct Disputed {
    dispute: DisputeId,
    /// Whose next step the time runs for; nobody's once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaited: Option<String>,
    overdue: bool,
    facts: Dispute,
}

#[derive(Serialize)]
struct Complained {
    complaint: ComplaintId,
    /// Whose next step the time runs for; nobody's once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaited: Option<String>,
    facts: Complaint,
}

#[derive(Serialize)]
struct Objected {
    objection: ObjectionId,
    facts: Objection,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let scale = |currency: Currency| {
        let known = folder.genesis.currencies.iter().find(|one| one.code == currency);
        known.map_or(0, |one| one.scale)
    };
    if args.objections {
        objections(&folder, &args, context, scale)?
    } else if args.complaints {
        complaints(&folder, &args, context)?
    } else {
        disputes(&folder, &args, context, scale)?
    }
    Ok(Exit::Ok)
}

/// Whose next step the time runs for: a participant's, or the house's.
fn awaited(dispute: &Dispute) -> Option<String> {
    use DisputeStage as S;
    match dispute.stage {
        S::Filed | S::Represented | S::Arbitration => Some("house".to_owned()),
        S::ChargedBack | S::PreArbitration => Some(dispute.target.to_string()),
        S::Review => Some(dispute.filer.to_string()),
        S::Accepted | S::Closed | S::Conceded | S::RuledForFiler | S::RuledForTarget | S::Withdrawn => None,
    }
}

fn disputes(
    folder: &Folder,
    args: &Args,
    context: &mut Context<'_>,
    scale: impl Fn(Currency) -> u8,
) -> Result<(), CliError> {
    let wanted = |record: &Record| record.dispute().is_some_and(|one| !args.open || one.outcome.is_none());
    let (rows, more) = newest(&*folder.read, Sort::Disputes, None, usize::from(args.limit), wanted)?;
    let (mut all, at) = (vec![], now(folder)?);
    for ((seq, part), record) in rows {
        if let Record::Dispute(facts) = record {
            let (awaited, overdue) = (awaited(&facts), is_overdue(&facts, at));
            all.push(Disputed { dispute: DisputeId { seq, part }, awaited, overdue, facts: *facts });
        }
    }
    if context.json {
        return context.say_json(&all);
    }
    context.say(format!(
        "  {:<14}{:<18}{:<18}{:>16}  {:<18}{:<18}until",
        "dispute", "filer", "target", "amount", "stage", "awaited"
    ))?;
    for one in &all {
        let facts = &one.facts;
        let amount = format!("{} {}", decimal(facts.amount.get(), scale(facts.currency)), facts.currency);
        let until = match &facts.outcome {
            Some(outcome) if outcome.for_filer => "for its filer".into(),
            Some(_) => "for its target".into(),
            None => Time::from_seconds(facts.until).map_or(String::new(), |until| until.to_string()),
        };
        let late = if one.overdue { ", overdue" } else { "" };
        context.say(format!(
            "  {:<14}{:<18}{:<18}{amount:>16}  {:<18}{:<18}{until}{late}",
            one.dispute.to_string(),
            facts.filer.to_string(),
            facts.target.to_string(),
            word(&facts.stage),
            one.awaited.as_deref().unwrap_or("-"),
        ))?;
    }
    say_more(more, context)
}

fn objections(
    folder: &Folder,
    args: &Args,
    context: &mut Context<'_>,
    scale: impl Fn(Currency) -> u8,
) -> Result<(), CliError> {
    let wanted = |record: &Record| record.objection().is_some_and(|one| !args.open || one.answer.is_none());
    let (rows, more) = newest(&*folder.read, Sort::Objections, None, usize::from(args.limit), wanted)?;
    let mut all = vec![];
    for ((seq, part), record) in rows {
        if let Record::Objection(facts) = record {
            all.push(Objected { objection: ObjectionId { seq, part }, facts: *facts });
        }
    }
    if context.json {
        return context.say_json(&all);
    }
    context.say(format!(
        "  {:<14}{:>5}  {:<18}{:<18}{:<18}{:>16}  answer",
        "objection", "cycle", "by", "debtor", "creditor", "amount"
    ))?;
    for one in &all {
        let facts = &one.facts;
        let amount = format!("{} {}", decimal(facts.amount.get(), scale(facts.currency)), facts.currency);
        let answer = match &facts.answer {
            None => "open".into(),
            Some((Answered::Accepted, why)) => format!("accepted: {why}"),
            Some((Answered::Rejected, why)) => format!("rejected: {why}"),
        };
        context.say(format!(
            "  {:<14}{:>5}  {:<18}{:<18}{:<18}{amount:>16}  {answer}",
            one.objection.to_string(),
            facts.cycle,
            facts.by.to_string(),
            facts.debtor.to_string(),
            facts.creditor.to_string(),
        ))?;
    }
    say_more(more, context)
}

/// Whom a complaint waits for: the brand, the house on appeal, or its holder, who may appeal for a time.
fn waits_for(complaint: &Complaint, at: Time) -> Option<String> {
    use ComplaintStage as S;
    match complaint.stage {
        S::Filed => Some(complaint.brand.to_string()),
        S::Appealed => Some("house".to_owned()),
        S::Rejected if at.seconds() < complaint.until => Some(complaint.account.to_string()),
        S::Rejected | S::Upheld | S::AppealUpheld | S::AppealRejected | S::Withdrawn => None,
    }
}

fn complaints(folder: &Folder, args: &Args, context: &mut Context<'_>) -> Result<(), CliError> {
    let wanted = |record: &Record| record.complaint().is_some_and(|one| !args.open || one.stage.is_open());
    let (rows, more) = newest(&*folder.read, Sort::Complaints, None, usize::from(args.limit), wanted)?;
    let (mut all, at) = (vec![], now(folder)?);
    for ((seq, part), record) in rows {
        if let Record::Complaint(facts) = record {
            let awaited = waits_for(&facts, at);
            all.push(Complained { complaint: ComplaintId { seq, part }, awaited, facts });
        }
    }
    if context.json {
        return context.say_json(&all);
    }
    context.say(format!(
        "  {:<14}{:<31}{:<16}{:<16}{:<16}{:<31}until",
        "complaint", "account", "brand", "reason", "stage", "awaited"
    ))?;
    for Complained { complaint, awaited, facts } in &all {
        let until = awaited.as_ref().and_then(|_| Time::from_seconds(facts.until));
        context.say(format!(
            "  {:<14}{:<31}{:<16}{:<16}{:<16}{:<31}{}",
            complaint.to_string(),
            facts.account.to_string(),
            facts.brand.to_string(),
            facts.reason.to_string(),
            word(&facts.stage),
            awaited.as_deref().unwrap_or("-"),
            until.map_or(String::new(), |until| until.to_string()),
        ))?;
    }
    say_more(more, context)
}

fn say_more(more: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    if more { context.say("there are more: --limit") } else { Ok(()) }
}
