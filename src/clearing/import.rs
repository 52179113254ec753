//! Bank statements: what was paid, by the bank's own word.
//!
//! Owns: taking statements in, once, and what each line does to the instruction that it was matched with.
//! Promises: one person imports, another accepts; a statement begins with the balance that the last one ended with;
//! an entry of the bank counts once, in whichever message it comes first, and as the statement has it (`notified`); nothing else confirms an instruction, and no
//! instruction is confirmed for more than its amount and, of a pay-in, the tolerance. A line that fits nothing is an exception and changes nothing: one
//! of a notification counts when a statement repeats it. Of a line that brings more than is open the rest is nobody's.
//! Refuses to know: the bank's formats, and how lines were matched.

use super::cycle::{now, store};
use super::notified::{came, repeats, tell, told, undo};
use super::people::analyst;
use super::schedule::tolerance;
use super::stage::{Step, instruction_stage, stage};
use super::write_off::take_back;
use crate::book::{
    Assigned, Bank, Booking, Closing, Draft, Exception, Fate, Instruction, KeyRecord, Name, Of, Part,
    PartKey, Record, Rejection, Statement, StatementLine, StatementState, Stop, Sums, Used, Way,
};
use crate::network::{Asked, person, signer};
use crate::prices::end_met_call;
use crate::sign::Purpose;
use crate::types::{Currency, Fingerprint, Hash, Ident, InstructionId, Money, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Most lines of one import: a statement with more comes in several, each with its own balances.
const MOST_LINES: usize = 100;

/// `statement.import`, signed by an analyst: a statement of the settlement account, matched with instructions; or, without
/// balances, a notification of single lines (camt.054), which a statement repeats.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportStatement {
    /// The bank's id of the statement: there is one of it in the account of a currency.
    pub statement: Ident,
    /// The currency of the account.
    pub currency: Currency,
    /// SHA-256 of the document as the bank sent it.
    pub document: Hash,
    /// The balance that it begins with, in the network's smallest unit; absent of a notification.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opening: Option<Money>,
    /// The balance that it ends with; absent of a notification.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closing: Option<Money>,
    /// `opening` is how much the account was below zero.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub opening_below_zero: bool,
    /// `closing` is how much it is below zero.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub closing_below_zero: bool,
    /// Its lines, at most 100. Each of a notification names an instruction: all others wait for the statement.
    #[serde(deserialize_with = "crate::sign::objects")]
    pub lines: Vec<StatementLine>,
}

impl ImportStatement {
    /// The balances by their sign; of a notification, none.
    fn balances(&self) -> (Option<i64>, Option<i64>) {
        let signed = |amount: Option<Money>, below: bool| {
            amount.map(Money::signed).map(|n| if below { n.saturating_neg() } else { n })
        };
        (signed(self.opening, self.opening_below_zero), signed(self.closing, self.closing_below_zero))
    }
}

/// `statement.accept`, signed by another person than who imported it: its lines take effect.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptStatement {
    /// Of the account of this currency.
    pub currency: Currency,
    /// Which.
    pub statement: Ident,
}

/// `statement.reject`, signed by who works for the operator, who imported it included: an import that was not accepted does not
/// count, and its name is free again.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectStatement {
    /// Of the account of this currency.
    pub currency: Currency,
    /// Which.
    pub statement: Ident,
    /// Why, in one word.
    #[schema(example = "wrong_file")]
    pub reason: Ident,
}

/// Takes a statement in; nothing is confirmed yet.
pub fn import_statement(draft: &mut Draft, asked: &Asked, args: &ImportStatement) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let name = Name::Statement(args.currency, args.statement.clone());
    if let Some(before) = draft.get(&name)?.as_deref().and_then(Record::statement) {
        let about = match before.state() {
            StatementState::Rejected => None,
            StatementState::Imported => Some("it waits to be accepted, or rejected (statement.reject)"),
            StatementState::Accepted => Some("it was accepted"),
        };
        if let Some(about) = about {
            let about = format!("{}: {about}", args.statement);
            return Err(Refused::about(Refusal::AlreadyExists, about).into());
        }
    }
    let unit = draft.network()?.bank_unit(args.currency);
    let no_currency = || Refused::about(Refusal::SettingInvalid, format!("currency {}", args.currency));
    let unit = unit.ok_or_else(no_currency)?;
    if args.lines.len() > MOST_LINES {
        return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_LINES} lines")).into());
    }
    let mut amounts = args.lines.iter().flat_map(|line| [line.amount, line.pays.unwrap_or_default()]);
    if !amounts.all(|amount| amount.get().checked_rem(unit) == Some(0)) {
        let about = format!("a line's amount is not whole units of {unit}");
        return Err(Refused::about(Refusal::StatementInvalid, about).into());
    }
    balanced(args)?;
    let (opening, closing) = args.balances();
    let in_part = |line: &StatementLine| match line.pays {
        Some(pays) => {
            let booked = line.booking == Booking::Booked && line.instruction.is_some();
            booked && args.closing.is_some() && !pays.is_zero() && pays < line.amount
        }
        None => true,
    };
    if !args.lines.iter().all(in_part) {
        let about = "pays: less than a statement's line brings, of the instruction that it pays";
        return Err(Refused::about(Refusal::StatementInvalid, about).into());
    }
    let statement = Statement {
        currency: args.currency,
        document: args.document,
        opening,
        closing,
        lines: args.lines.clone(),
        by: asked.kid,
        accepted: None,
        rejected: None,
        exceptions: vec![],
        covers: vec![],
        assigned: vec![],
    };
    draft.put(PartKey::Public, name, Some(Record::from(statement)))
}

/// A statement's lines lead from one balance to the other; a notification has no balances, and lines that name
/// instructions.
fn balanced(args: &ImportStatement) -> Result<(), Refused> {
    let below = [(args.opening, args.opening_below_zero), (args.closing, args.closing_below_zero)];
    let about = match args.balances() {
        _ if below.iter().any(|(amount, below)| *below && amount.is_none_or(Money::is_zero)) => {
            "opening_below_zero, closing_below_zero: of a balance that is not 0"
        }
        (Some(opening), Some(closing)) => {
            // A bank's statement is a fact, also where the account was overdrawn.
            let moved = args.lines.iter().try_fold(opening, |balance, line| match line.way {
                Way::In => balance.checked_add(line.amount.signed()),
                Way::Out => balance.checked_sub(line.amount.signed()),
            });
            if moved == Some(closing) {
                return Ok(());
            }
            "closing is not opening plus what came in less what went out"
        }
        (None, None) if args.lines.is_empty() => "a notification of nothing",
        (None, None) if args.lines.iter().all(|line| line.instruction.is_some()) => return Ok(()),
        (None, None) => "a line of a notification names an instruction; others wait for the statement",
        _ => "opening, closing: together, or neither of a notification",
    };
    Err(Refused::about(Refusal::StatementInvalid, about))
}

/// Accepts a statement: what it says is what was paid.
pub fn accept_statement(draft: &mut Draft, asked: &Asked, args: &AcceptStatement) -> Result<(), Stop> {
    let accepting = clerk(draft, asked)?;
    let mut statement = waiting(draft, args.currency, &args.statement)?;
    if person(&*draft.key(statement.by)?)? == person(&accepting)? {
        return Err(Refused::about(Refusal::PeopleMissing, "who imported it does not accept it").into());
    }
    let bank = draft.get(&Name::Bank(statement.currency))?;
    if let Some(bank) = bank.as_deref().and_then(Record::bank)
        && let Some(opening) = statement.opening
        && bank.balance != opening
    {
        let about = format!("it begins with {opening}, the last one ended with {}", bank.balance);
        return Err(Refused::about(Refusal::StatementInvalid, about).into());
    }
    let currency = statement.currency;
    draft.want(statement.lines.iter().flat_map(|line| {
        [Name::UsedEntry(currency, line.entry.clone()), Name::Told(currency, line.entry.clone())]
    }))?;
    draft.want(statement.lines.iter().filter_map(|line| line.instruction).map(Name::Instruction))?;
    for (number, line) in (0u16..).zip(&statement.lines) {
        // What a notification says in vain is looked at again when the statement repeats it.
        let early = statement.closing.is_none();
        match book(draft, statement.currency, line, early)? {
            Ok(()) if early => {
                take_entry(draft, currency, line)?;
                tell(draft, currency, &args.statement, line)?;
            }
            Ok(()) => {
                if let (Some(amount), Some(id)) = (line.pays, line.instruction) {
                    statement.exceptions.push((number, Exception::TooMuch));
                    let to = Assigned::Instruction(id);
                    statement.assigned.push(Part { line: number, amount, to });
                }
            }
            Err(why) => statement.exceptions.push((number, why)),
        }
    }
    statement.accepted = Some(now(draft));
    // A notification says nothing of the balance.
    if let Some(balance) = statement.closing {
        let bank = Bank { balance, statement: args.statement.clone() };
        draft.put(PartKey::Public, Name::Bank(statement.currency), Some(Record::Bank(bank)))?;
    }
    let name = Name::Statement(currency, args.statement.clone());
    draft.put(PartKey::Public, name, Some(Record::from(statement)))
}

/// Rejects a statement that waits: it changes nothing.
pub fn reject_statement(draft: &mut Draft, asked: &Asked, args: &RejectStatement) -> Result<(), Stop> {
    clerk(draft, asked)?;
    let mut statement = waiting(draft, args.currency, &args.statement)?;
    statement.rejected = Some(Rejection { at: now(draft), by: asked.kid, reason: args.reason.clone() });
    let name = Name::Statement(args.currency, args.statement.clone());
    draft.put(PartKey::Public, name, Some(Record::from(statement)))
}

/// Who works with the bank for the operator.
fn clerk(draft: &mut Draft, asked: &Asked) -> Result<Of<KeyRecord>, Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Operations, Purpose::Approver])?;
    if key.owner != crate::book::Principal::Operator {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    }
    Ok(key)
}

/// A statement that is neither accepted nor rejected.
fn waiting(draft: &mut Draft, currency: Currency, id: &Ident) -> Result<Statement, Stop> {
    let statement = (*draft.statement(currency, id)?).clone();
    let about = match statement.state() {
        StatementState::Imported => return Ok(statement),
        StatementState::Accepted => "it was accepted before",
        StatementState::Rejected => "it was rejected: import it again",
    };
    Err(Refused::about(Refusal::StatementInvalid, about).into())
}

/// The bank's entry counts no second time.
fn take_entry(draft: &mut Draft, currency: Currency, line: &StatementLine) -> Result<(), Stop> {
    let used = Used(draft.seq, 0, Fingerprint::of(line.entry.as_str().as_bytes()));
    draft.put(PartKey::Public, Name::UsedEntry(currency, line.entry.clone()), Some(Record::Used(used)))
}

/// What one line does; or why it does nothing. `early`: by a notification.
fn book(
    draft: &mut Draft,
    currency: Currency,
    line: &StatementLine,
    early: bool,
) -> Result<Result<(), Exception>, Stop> {
    let used = draft.get(&Name::UsedEntry(currency, line.entry.clone()))?.is_some();
    let same = match told(draft, currency, &line.entry)? {
        Some(told) => {
            let same = repeats(line, &told.line);
            if !early {
                came(draft, currency, &line.entry)?;
            }
            if !early && !same {
                undo(draft, &told.line)?;
                take_entry(draft, currency, line)?;
            }
            same
        }
        // A statement has it. A later notification says nothing new; in another statement it moves the balance again.
        None => early,
    };
    if used {
        return Ok(Err(if same { Exception::Duplicate } else { Exception::Altered }));
    }
    if !early {
        take_entry(draft, currency, line)?;
    }
    let Some(id) = line.instruction else { return Ok(Err(Exception::Unknown)) };
    pay(draft, currency, id, Paying::all(line))
}

/// A line, or the part of it that an instruction takes.
#[derive(Clone, Copy)]
pub(super) struct Paying {
    /// In which direction money moved.
    pub way: Way,
    /// Whether it moved, or came back.
    pub booking: Booking,
    /// How much.
    pub amount: Money,
}

impl Paying {
    /// All that a line says that it pays.
    pub(super) fn all(line: &StatementLine) -> Self {
        Self { way: line.way, booking: line.booking, amount: line.pays.unwrap_or(line.amount) }
    }
}

/// What a line does to an instruction; or why it does nothing.
pub(super) fn pay(
    draft: &mut Draft,
    currency: Currency,
    id: InstructionId,
    line: Paying,
) -> Result<Result<(), Exception>, Stop> {
    let Some(record) = draft.get(&Name::Instruction(id))? else { return Ok(Err(Exception::Unknown)) };
    let Some(mut instruction) = record.instruction().cloned() else {
        return Err(Stop::Bug(format!("{id} is no instruction")));
    };
    let mut closing = (*draft.closing(instruction.cycle)?).clone();
    let at = instruction_stage(&instruction, &closing, draft.at.seconds());
    let cycle_moves = stage(&closing).allows(Step::Confirm);
    let same_way = instruction.way == line.way;
    let back = line.booking == Booking::Returned;
    if instruction.currency != currency || same_way == back {
        return Ok(Err(Exception::Mismatch));
    }
    // What was issued again is paid, and comes back, under its new id.
    let comes_back = at.comes_back() && instruction.replaced.is_none();
    if !(cycle_moves && if back { comes_back } else { at.takes() }) {
        return Ok(Err(Exception::NotOpen));
    }
    let confirmed = if back {
        instruction.confirmed.minus(line.amount)
    } else {
        let sum = instruction.confirmed.plus(line.amount);
        let mut most = instruction.amount.minus(instruction.written_off).unwrap_or_default();
        if instruction.way == Way::In {
            most = most.plus(tolerance(draft, currency)?).ok_or(Refusal::AmountTooLarge)?;
        }
        sum.filter(|sum| *sum <= most)
    };
    let Some(confirmed) = confirmed.filter(|_| !line.amount.is_zero()) else {
        return Ok(Err(Exception::TooMuch));
    };
    let before = instruction.confirmed;
    instruction.confirmed = confirmed;
    if back {
        take_back(draft, id, &mut closing, &mut instruction)?;
        // If only what was too much came back, it is paid still.
        if confirmed < instruction.amount {
            instruction.fate = Some(Fate::Returned);
        }
    }
    moved(draft, &mut closing, &instruction, before)?;
    let who = instruction.participant.clone();
    store(draft, instruction.cycle, closing)?;
    draft.put(PartKey::Participant(who.clone()), Name::Instruction(id), Some(Record::from(instruction)))?;
    end_met_call(draft, &who, currency)?;
    Ok(Ok(()))
}

/// Counts what was paid, or came back, for the participant and for the cycle: up to the amount as paid, above it apart, so
/// that nobody's cents stand in for another's.
pub(super) fn moved(
    draft: &mut Draft,
    closing: &mut Closing,
    instruction: &Instruction,
    before: Money,
) -> Result<(), Stop> {
    let counted = |confirmed: Money| confirmed.min(instruction.amount);
    let above = |confirmed: Money| confirmed.minus(instruction.amount).unwrap_or_default();
    let after = instruction.confirmed;
    let change = |sum: Money, had: Money, has: Money| sum.plus(has).and_then(|sum| sum.minus(had));
    let paid = |sum: Money| change(sum, counted(before), counted(after)).ok_or(Refusal::AmountTooLarge);
    let sums = sums_of(closing, instruction.currency)?;
    let sum = match instruction.way {
        Way::In => &mut sums.paid_in,
        Way::Out => &mut sums.paid_out,
    };
    *sum = paid(*sum)?;
    sums.surplus = change(sums.surplus, above(before), above(after)).ok_or(Refusal::AmountTooLarge)?;
    change_line(draft, instruction, |line| {
        line.paid = paid(line.paid)?;
        Ok(())
    })
}

pub(super) fn sums_of(closing: &mut Closing, currency: Currency) -> Result<&mut Sums, Stop> {
    let sums = closing.sums.iter_mut().find(|sums| sums.currency == currency);
    sums.ok_or_else(|| Stop::Bug(format!("a cycle without sums in {currency}")))
}

/// Changes the line that an instruction stands for.
pub(super) fn change_line(
    draft: &mut Draft,
    instruction: &Instruction,
    change: impl FnOnce(&mut crate::book::Line) -> Result<(), Refusal>,
) -> Result<(), Stop> {
    let name = Name::Line(instruction.cycle, instruction.participant.clone(), instruction.currency);
    let record = draft.get(&name)?;
    let Some(mut line) = record.as_deref().and_then(Record::line).cloned() else {
        return Err(Stop::Bug(format!("no {name}")));
    };
    change(&mut line)?;
    draft.put(PartKey::Participant(instruction.participant.clone()), name, Some(Record::Line(line)))
}
