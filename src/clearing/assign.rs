//! Lines of a bank statement that fitted nothing when it was accepted: what they were about after all.
//!
//! Owns: the command by which two people say so.
//! Promises: a line is somebody's once: an instruction's, cover, or the other half of money that came and went back. An
//! instruction takes such a line as it takes one that named it. Lines that take each other back are of one amount and of
//! opposite ways, and change nothing else.
//! Refuses to know: who was asked, and what the bank's formats say.

use super::cover::LinePlace;
use super::import::pay;
use super::people::{analyst, two_people};
use crate::book::{
    Assigned, Booking, Draft, Exception, Name, PartKey, Record, Statement, StatementLine, Stop,
};
use crate::network::Asked;
use crate::types::{Currency, Ident, InstructionId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// `line.assign`, signed by an analyst, approved by two approvers: what a line was about that had changed nothing. Either an
/// instruction, or another such line that it takes back: money that was nobody's, and went back to whoever sent it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignLine {
    /// The currency of the account.
    pub currency: Currency,
    /// The line, of an accepted statement.
    #[serde(deserialize_with = "crate::sign::object")]
    pub line: LinePlace,
    /// The instruction that it pays, or of which it takes a payment back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instruction: Option<InstructionId>,
    /// The line that it takes back.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub returns: Option<LinePlace>,
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T, Stop> {
    Err(Refused::about(Refusal::LineInvalid, what).into())
}

/// Says what a line was about.
pub fn assign_line(draft: &mut Draft, asked: &Asked, args: &AssignLine) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    let (currency, place) = (args.currency, &args.line);
    let line = unmatched(draft, currency, place)?;
    let said = match (args.instruction, &args.returns) {
        (Some(id), None) => {
            draft.instruction(id)?;
            if let Err(why) = pay(draft, currency, id, &line)? {
                return invalid(format!("{id}: {}", why_not(why)));
            }
            Assigned::Instruction(id)
        }
        (None, Some(other)) => {
            let before = unmatched(draft, currency, other)?;
            let booked = [&line, &before].iter().all(|line| line.booking == Booking::Booked);
            if !booked || before.way == line.way || before.amount != line.amount {
                return invalid("returns: a line of the same amount that moved the other way");
            }
            let own = Assigned::Line { statement: place.statement.clone(), line: place.line };
            assign(draft, currency, other, own)?;
            Assigned::Line { statement: other.statement.clone(), line: other.line }
        }
        _ => return invalid("instruction, returns: one of them"),
    };
    assign(draft, currency, place, said)
}

fn why_not(why: Exception) -> &'static str {
    match why {
        Exception::Mismatch => "the money moved the other way, or in another currency",
        Exception::TooMuch => "that is more than is open of it",
        Exception::NotOpen => "it is not to be paid now",
        Exception::Unknown | Exception::Duplicate | Exception::Altered => "there is none",
    }
}

fn statement(draft: &mut Draft, currency: Currency, id: &Ident) -> Result<Statement, Stop> {
    Ok((*draft.statement(currency, id)?).clone())
}

/// A line that is nobody's, and no part of which became cover.
fn unmatched(draft: &mut Draft, currency: Currency, place: &LinePlace) -> Result<StatementLine, Stop> {
    let statement = statement(draft, currency, &place.statement)?;
    let covers = statement.covers.iter().any(|(line, _)| *line == place.line);
    let nobodys = statement.unmatched(place.line).filter(|_| !covers);
    match nobodys.and_then(|_| statement.lines.get(usize::from(place.line))) {
        Some(line) => Ok(line.clone()),
        None => invalid(format!("{}: line {} is not nobody's", place.statement, place.line)),
    }
}

fn assign(draft: &mut Draft, currency: Currency, place: &LinePlace, said: Assigned) -> Result<(), Stop> {
    let mut statement = statement(draft, currency, &place.statement)?;
    statement.assigned.push((place.line, said));
    let name = Name::Statement(currency, place.statement.clone());
    draft.put(PartKey::Public, name, Some(Record::Statement(statement)))
}
