//! Lines of a bank statement that fitted nothing when it was accepted: what they were about after all.
//!
//! Owns: the command by which two people say so, of a line or of a part of it; what the operator's participant bears on the
//! account.
//! Promises: a line, and each part of it, is somebody's once: an instruction's, cover, the other half of money that came and
//! went back, what was withdrawn, the bank's charge, the operator's own. An instruction takes such a line as it takes one that
//! named it. Lines that take each other back are of opposite ways, and change nothing else; a withdrawal leaves by one line.
//! What the bank charges the operator bears, until it brings it. It takes no more back than it has there, and nothing that
//! came for an instruction of somebody else's.
//! Refuses to know: who was asked, and what the bank's formats say.

use super::import::{Paying, pay};
use super::late::{come_back, is_late};
use super::people::{analyst, two_people};
use crate::book::{
    Assigned, Booking, CoverChange, Draft, Exception, LinePlace, Name, Part, PartKey, Record, Statement,
    StatementLine, Stop, Way, WithdrawalPlace,
};
use crate::network::{Asked, operators_own};
use crate::types::{Currency, Ident, InstructionId, Money, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// What a line was between the bank, or the operator's participant, and the house.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperatorLine {
    /// What the bank charged for the account, or paid on it, or gave back of a charge.
    Charge,
    /// Money that the operator's participant brought for what it bears, or took back of its own.
    Own,
}

/// `line.assign`, signed by an analyst, approved by two approvers: what a line, or a part of it, was about that had changed
/// nothing. One of: an instruction; another such line that it takes back, money that was nobody's and went back to whoever sent
/// it; a withdrawal that left by it; the bank's charge or the operator's own money.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignLine {
    /// The currency of the account.
    pub currency: Currency,
    /// The line, of an accepted statement.
    #[serde(deserialize_with = "crate::sign::object")]
    pub line: LinePlace,
    /// How much of it, in whole units of the bank's; all that is nobody's if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amount: Option<Money>,
    /// The instruction that it pays, or of which it takes a payment back; also after its cycle was settled: then its participant
    /// owes the operator's in the open cycle what was taken back, or is owed what came back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instruction: Option<InstructionId>,
    /// The line that it takes back.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub returns: Option<LinePlace>,
    /// The withdrawal that left by it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub withdrawal: Option<WithdrawalPlace>,
    /// What it was of the bank's or of the operator's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operator: Option<OperatorLine>,
}

impl AssignLine {
    /// A line that nothing is said about yet.
    pub fn bare(currency: Currency, line: LinePlace) -> Self {
        let (amount, instruction, returns, withdrawal, operator) = (None, None, None, None, None);
        Self { currency, line, amount, instruction, returns, withdrawal, operator }
    }
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T, Stop> {
    Err(Refused::about(Refusal::LineInvalid, what).into())
}

/// Says what a line was about.
pub fn assign_line(draft: &mut Draft, asked: &Asked, args: &AssignLine) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    let (currency, place) = (args.currency, &args.line);
    let (line, left) = unmatched(draft, currency, place)?;
    let amount = args.amount.unwrap_or(left);
    let whole =
        draft.network()?.bank_unit(currency).and_then(|unit| amount.get().checked_rem(unit)) == Some(0);
    if amount > left || amount.is_zero() || !whole {
        let left = draft.network()?.told(currency, left.get());
        return invalid(format!(
            "amount: {left} of the line are nobody's; whole units of the bank's, above 0"
        ));
    }
    let said = match (args.instruction, &args.returns, &args.withdrawal, args.operator) {
        (Some(id), None, None, None) => {
            let one = (*draft.instruction(id)?).clone();
            let closing = draft.closing(one.cycle)?;
            if is_late(&one, &closing, line.way) && one.currency == currency {
                come_back(draft, id, &one, amount)?;
                return assign(draft, currency, place, amount, Assigned::Instruction(id));
            }
            // What moved against an instruction came back, whether or not the bank said so.
            let against = one.way != line.way;
            let booking = if against { Booking::Returned } else { line.booking };
            if let Err(why) = pay(draft, currency, id, Paying { way: line.way, booking, amount })? {
                return invalid(format!("{id}: {}", why_not(why)));
            }
            Assigned::Instruction(id)
        }
        (None, Some(other), None, None) => {
            let (before, of_other) = unmatched(draft, currency, other)?;
            let booked = [&line, &before].iter().all(|line| line.booking == Booking::Booked);
            let fits = if args.amount.is_some() { amount <= of_other } else { amount == of_other };
            if !booked || before.way == line.way || !fits {
                let about = "returns: a line that moved the other way, of which as much is nobody's, or more and \
                             `amount` says how much went back";
                return invalid(about);
            }
            let own = Assigned::Line(place.clone());
            assign(draft, currency, other, amount, own)?;
            Assigned::Line(other.clone())
        }
        (None, None, Some(of), None) => {
            leaves(draft, args, &line, amount, of)?;
            Assigned::Withdrawal(of.clone())
        }
        (None, None, None, Some(what)) => of_operator(draft, currency, &line, amount, what)?,
        _ => return invalid("instruction, returns, withdrawal, operator: one of them"),
    };
    assign(draft, currency, place, amount, said)
}

fn why_not(why: Exception) -> &'static str {
    match why {
        Exception::Mismatch => "the money moved the other way, or in another currency",
        Exception::TooMuch => {
            "that is more than is open of it: `amount` says how much pays it, the rest is somebody else's"
        }
        Exception::NotOpen => {
            "it is not to be paid now: it ended, or others bore it; money for it is made cover (cover.move), or sent back (returns)"
        }
        Exception::Unknown | Exception::Duplicate | Exception::Altered => "there is none",
    }
}

/// A withdrawal leaves by one line, of its amount.
fn leaves(
    draft: &mut Draft,
    args: &AssignLine,
    line: &StatementLine,
    amount: Money,
    of: &WithdrawalPlace,
) -> Result<(), Stop> {
    let name = Name::CoverStep(of.participant.clone(), args.currency, of.entry);
    let record = draft.get(&name)?;
    let step = record.as_deref().and_then(Record::cover_step);
    let step = step.filter(|step| step.change == CoverChange::Withdrawn && step.line.is_none());
    let fits = line.way == Way::Out && line.booking == Booking::Booked;
    let Some(mut step) = step.filter(|step| fits && step.amount == amount).cloned() else {
        return invalid("withdrawal: one of this amount that has not left, and money that went out");
    };
    step.line = Some((args.line.statement.clone(), args.line.line));
    draft.put(PartKey::Participant(of.participant.clone()), name, Some(Record::from(step)))
}

/// What the bank charged the operator bears; what it brings it bears no longer.
fn of_operator(
    draft: &mut Draft,
    currency: Currency,
    line: &StatementLine,
    amount: Money,
    what: OperatorLine,
) -> Result<Assigned, Stop> {
    let operator = operators_own(draft)?;
    if let Some(id) = line.instruction
        && let Some(payer) = draft.get(&Name::Instruction(id))?.as_deref().and_then(Record::instruction)
        && payer.participant != operator
    {
        return invalid(format!("operator: it names {id}, which is {}'s", payer.participant));
    }
    if line.booking != Booking::Booked {
        return invalid("operator: money that moved, and not a payment that came back");
    }
    let change = match line.way {
        Way::In => amount.signed().saturating_neg(),
        Way::Out => amount.signed(),
    };
    if what == OperatorLine::Own && line.way == Way::Out {
        let has = draft.total(&Name::Borne(currency))?.saturating_neg().max(0);
        if amount.signed() > has {
            let has = draft.network()?.told(currency, has.unsigned_abs());
            return invalid(format!("operator: {has} of its own are on the account"));
        }
    }
    bear(draft, currency, change)?;
    Ok(if what == OperatorLine::Charge { Assigned::Charge } else { Assigned::Own })
}

/// The operator's participant bears so much more, and has not brought it; below 0, less.
pub(super) fn bear(draft: &mut Draft, currency: Currency, amount: i64) -> Result<(), Stop> {
    if amount == 0 {
        return Ok(());
    }
    let name = Name::Borne(currency);
    let after = draft.total(&name)?.checked_add(amount).ok_or(Refusal::AmountTooLarge)?;
    draft.put(PartKey::Public, name, Some(Record::Total(after)))
}

fn statement(draft: &mut Draft, currency: Currency, id: &Ident) -> Result<Statement, Stop> {
    Ok((*draft.statement(currency, id)?).clone())
}

/// A line of which something is nobody's, and how much.
fn unmatched(
    draft: &mut Draft,
    currency: Currency,
    place: &LinePlace,
) -> Result<(StatementLine, Money), Stop> {
    let statement = statement(draft, currency, &place.statement)?;
    let left = statement.left(place.line);
    match statement.lines.get(usize::from(place.line)).filter(|_| !left.is_zero()) {
        Some(line) => Ok((line.clone(), left)),
        None => invalid(format!("{}: line {} is not nobody's", place.statement, place.line)),
    }
}

fn assign(
    draft: &mut Draft,
    currency: Currency,
    place: &LinePlace,
    amount: Money,
    to: Assigned,
) -> Result<(), Stop> {
    let mut statement = statement(draft, currency, &place.statement)?;
    statement.assigned.push(Part { line: place.line, amount, to });
    let name = Name::Statement(currency, place.statement.clone());
    draft.put(PartKey::Public, name, Some(Record::from(statement)))
}
