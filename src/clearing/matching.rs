//! Matching: which lines of a bank's statement pay which instruction, and what a person has to look at.
//!
//! Owns: the rules: exact reference and amount, several lines for one instruction, differences within tolerance,
//! returns; and the closed list of exceptions.
//! Promises: nothing is matched by resemblance: a line without a known reference is an exception, with candidates
//! named for the person who looks at it. An instruction is never paid beyond its amount and the tolerance: of a statement's
//! line that brings more, what is open is paid, and the rest is an exception. A line counts once, in whichever messages it
//! comes.
//! Refuses to know: who imported the statement and who accepted it; that takes two people, and is decided where it
//! is booked.

use super::bank::Reference;
use super::statement::{Line, LineKey, Statement, StatementKind};
use crate::book::Way;
use crate::types::{Currency, Ident, Malformed};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most candidates that are named for a line.
const MOST_CANDIDATES: usize = 5;

/// An instruction or notice that may be paid, returned, or paid again by mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// Its id, which the bank gives back as EndToEndId.
    pub id: Ident,
    /// Its structured reference, if it has one.
    pub reference: Option<Reference>,
    /// Pay-in or pay-out.
    pub way: Way,
    /// How much, in the bank's minor unit.
    pub amount: u64,
    /// What earlier lines paid of it, less what came back.
    pub paid: u64,
    /// Whether a line that pays it would count now.
    pub takes: bool,
    /// Whether a line by which it comes back would count now, once something of it is paid.
    pub returns: bool,
}

/// What is known of the account before the statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The settlement account: an IBAN, or what the bank calls it.
    pub account: String,
    /// Its currency.
    pub currency: Currency,
    /// The last statement's closing balance and number; `None` before the first.
    pub last: Option<Last>,
}

/// The last accepted statement of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Last {
    /// Its closing balance, in the bank's minor unit.
    pub closing: i64,
    /// Its number, if the bank gives one.
    pub number: Option<u64>,
}

/// A line that pays an instruction, or takes a payment back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Which line.
    pub line: LineKey,
    /// Which instruction.
    pub id: Ident,
    /// How much, in the bank's minor unit; below 0 if it came back. Less than the line's if that brings more than is open.
    pub amount: i64,
    /// What is paid of the instruction afterwards.
    pub paid: u64,
    /// The bank's reason, if it came back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub return_reason: Option<String>,
}

/// A difference small enough that two people may write it off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Which instruction.
    pub id: Ident,
    /// Paid less owed, in the bank's minor unit; not 0.
    pub amount: i64,
}

/// Why a line, or a whole statement, needs a person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No instruction has this reference, or there is none.
    UnknownReference,
    /// The EndToEndId names one instruction and the structured reference another.
    TwoReferences,
    /// More than what is still to pay, and the tolerance: of a statement's pay-in the rest, of others all of it.
    WrongAmount,
    /// The instruction was paid in full before.
    PaidAlready,
    /// The instruction is not to be paid now, or came back under another id: its order was rejected or returned, others bore what
    /// its payer did not pay, or what was missing was written off.
    NotOpen,
    /// Money moved the wrong way for the instruction, and not as a return.
    WrongWay,
    /// More came back than was paid.
    ReturnTooLarge,
    /// The same line came earlier with another amount.
    Altered,
    /// The statement is of another account, or another currency.
    OtherAccount,
    /// The opening balance is not the last closing balance.
    Gap,
    /// The bank's running number does not follow the last one.
    NumberGap,
    /// This statement was accepted before.
    StatementTwice,
    /// A notification's line that the bank gave no reference: it would not be known when the statement repeats it.
    Unnamed,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::UnknownReference,
        Self::TwoReferences,
        Self::WrongAmount,
        Self::PaidAlready,
        Self::NotOpen,
        Self::WrongWay,
        Self::ReturnTooLarge,
        Self::Altered,
        Self::OtherAccount,
        Self::Gap,
        Self::NumberGap,
        Self::StatementTwice,
        Self::Unnamed,
    ];

    /// Whether it is about the statement as a whole, which then cannot be accepted.
    pub fn is_of_statement(self) -> bool {
        matches!(self, Self::OtherAccount | Self::Gap | Self::NumberGap | Self::StatementTwice)
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::UnknownReference => {
                "ask the payer or the bank; then two people say what it was (line.assign): an instruction's, sent back, a \
                 withdrawal, the bank's charge, the operator's own; or make it cover (cover.move)"
            }
            Self::TwoReferences => "ask the payer which of the two was meant, then line.assign",
            Self::WrongAmount => {
                "a statement's pay-in pays what is open; what is too much is nobody's until two people say what it was \
                 (line.assign): another instruction's, or sent back; or make it cover (cover.move). Of a notification, wait \
                 for the statement; a pay-out the bank puts right"
            }
            Self::PaidAlready => {
                "the instruction was paid in full before: send it back, and say so when it went (line.assign, returns), or \
                 make it cover (cover.move)"
            }
            Self::NotOpen => {
                "what it names is not to be paid now: ask the payer or the bank; then two people say what it was (line.assign): \
                 another instruction's, sent back; or make it cover (cover.move)"
            }
            Self::WrongWay => "ask the bank: the money moved against the instruction",
            Self::ReturnTooLarge => {
                "ask the bank: more came back than was paid; two people say of each part what it was (line.assign): of the \
                 payment, or of a line that brought too much"
            }
            Self::Altered => "ask the bank: the same entry came with another amount",
            Self::OtherAccount => "import the settlement account's own statement",
            Self::Gap => "import the statements in between first",
            Self::NumberGap => {
                "import the statements in between first, or confirm that the bank began to count anew"
            }
            Self::StatementTwice => "nothing: it was accepted before",
            Self::Unnamed => {
                "wait for the statement: without a reference of the bank's it cannot be told from a second payment"
            }
        }
    }
}

/// A line, or a statement, that needs a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LineException)]
pub struct Exception {
    /// The line; the whole statement if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<LineKey>,
    /// Why.
    pub why: Why,
    /// The line's amount, in the bank's minor unit; 0 for a statement.
    pub amount: i64,
    /// Instructions that it may be about: the named one, or those of the same way and the same open amount.
    pub candidates: Vec<Ident>,
}

/// What a statement says of the open instructions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Matching {
    /// In the order of lines.
    pub matches: Vec<Match>,
    /// Of the statement first, then in the order of lines.
    pub exceptions: Vec<Exception>,
    /// Lines that were counted before, in another message.
    pub repeated: Vec<LineKey>,
    /// Instructions that are off by no more than the tolerance, after all lines.
    pub differences: Vec<Difference>,
}

impl Matching {
    /// Whether the statement as a whole can be accepted: its lines may still have exceptions.
    pub fn is_acceptable(&self) -> bool {
        !self.exceptions.iter().any(|exception| exception.why.is_of_statement())
    }
}

/// What was accepted of an account before.
pub trait Accepted {
    /// Whether this very statement was.
    fn statement(&self, statement: &Statement) -> bool;
    /// The amount of a line that was counted, if it was.
    fn line(&self, key: &LineKey) -> Option<i64>;
    /// What all lines of an entry came to that were counted, where a batch was told line by line.
    fn entry(&self, entry: &str) -> Option<i64>;
}

/// Matches a statement with the instructions that are open or were paid. `tolerance` is in the bank's minor unit.
///
/// A statement that is not whole in itself is refused; one that does not follow the last, or is of another account,
/// has an exception for that and no matches.
pub fn match_statement(
    account: &Account,
    statement: &Statement,
    open: &[Open],
    accepted: &impl Accepted,
    tolerance: u64,
) -> Result<Matching, Malformed> {
    statement.check()?;
    let mut run = Run::new(open, tolerance)?;
    for why in of_statement(account, statement, accepted) {
        run.out.exceptions.push(Exception { line: None, why, amount: 0, candidates: vec![] });
    }
    if !run.out.is_acceptable() {
        return Ok(run.out);
    }
    for line in &statement.lines {
        match accepted.line(&line.key()) {
            Some(amount) if amount == line.amount => run.out.repeated.push(line.key()),
            // A batch that was notified line by line stands in the statement as one.
            Some(_) if accepted.entry(&line.entry) == Some(line.amount) => run.out.repeated.push(line.key()),
            Some(_) => run.except(line, Why::Altered, vec![]),
            None if line.unnamed && statement.kind == StatementKind::Notification => {
                run.except(line, Why::Unnamed, vec![]);
            }
            None => run.take(line, statement.kind)?,
        }
    }
    run.finish()
}

fn of_statement(account: &Account, statement: &Statement, accepted: &impl Accepted) -> Vec<Why> {
    let mut found = vec![];
    if (&statement.account, statement.currency) != (&account.account, account.currency) {
        found.push(Why::OtherAccount);
    }
    if accepted.statement(statement) {
        found.push(Why::StatementTwice);
    } else if let (StatementKind::Statement, Some(last)) = (statement.kind, account.last) {
        if statement.opening.is_some_and(|opening| opening.amount != last.closing) {
            found.push(Why::Gap);
        }
        // Banks begin to count anew with the year.
        let follows = |(number, last): (u64, u64)| number == 1 || Some(number) == last.checked_add(1);
        if !statement.number.zip(last.number).is_none_or(follows) {
            found.push(Why::NumberGap);
        }
    }
    found
}

struct Run<'a> {
    open: &'a [Open],
    by_id: BTreeMap<&'a str, usize>,
    by_reference: BTreeMap<&'a Reference, usize>,
    paid: Vec<u64>,
    touched: BTreeSet<usize>,
    /// Of which something came back: they are issued again before they are paid.
    returned: BTreeSet<usize>,
    tolerance: u64,
    out: Matching,
}

const GONE: &str = "an instruction is not in the list of open ones";

impl<'a> Run<'a> {
    fn new(open: &'a [Open], tolerance: u64) -> Result<Self, Malformed> {
        let mut run = Self {
            open,
            by_id: BTreeMap::new(),
            by_reference: BTreeMap::new(),
            paid: open.iter().map(|one| one.paid).collect(),
            touched: BTreeSet::new(),
            returned: BTreeSet::new(),
            tolerance,
            out: Matching::default(),
        };
        for (at, one) in open.iter().enumerate() {
            let twice = run.by_id.insert(one.id.as_str(), at).is_some()
                | one.reference.as_ref().is_some_and(|r| run.by_reference.insert(r, at).is_some());
            if twice {
                return Err(Malformed(format!(
                    "two instructions have the id or the reference of {}",
                    one.id
                )));
            }
        }
        Ok(run)
    }

    fn except(&mut self, line: &Line, why: Why, candidates: Vec<usize>) {
        let name = |at: &usize| self.open.get(*at).map(|one| one.id.clone());
        let candidates = candidates.iter().filter_map(name).collect();
        let (line, amount) = (Some(line.key()), line.amount);
        self.out.exceptions.push(Exception { line, why, amount, candidates });
    }

    fn take(&mut self, line: &Line, kind: StatementKind) -> Result<(), Malformed> {
        let by_id = line.end_to_end.as_deref().and_then(|id| self.by_id.get(id).copied());
        let by_reference = line.reference.as_ref().and_then(|r| self.by_reference.get(r).copied());
        let at = match (by_id, by_reference) {
            (Some(a), Some(b)) if a != b => {
                self.except(line, Why::TwoReferences, vec![a, b]);
                return Ok(());
            }
            (Some(at), _) | (None, Some(at)) => at,
            (None, None) => {
                let candidates = self.candidates(line);
                self.except(line, Why::UnknownReference, candidates);
                return Ok(());
            }
        };
        let one = self.open.get(at).ok_or_else(|| Malformed(GONE.into()))?;
        let paid = self.paid.get_mut(at).ok_or_else(|| Malformed(GONE.into()))?;
        let mut size = line.amount.unsigned_abs();
        let mut above = None;
        let expected = (line.amount > 0) == (one.way == Way::In);
        let back = line.reversal || line.return_reason.is_some();
        let wrong = match (expected, back) {
            // A credit that reverses a debit names the pay-out; one that is expected pays.
            (true, false) => {
                let sum = paid.checked_add(size);
                // What a pay-out is off by is the bank's to put right.
                let most = one.amount.saturating_add(if one.way == Way::In { self.tolerance } else { 0 });
                match sum.filter(|sum| *sum <= most) {
                    // Full, or nearly: what comes now is a second payment, not the missing cent.
                    _ if *paid >= one.amount => Some(Why::PaidAlready),
                    _ if !one.takes || self.returned.contains(&at) => Some(Why::NotOpen),
                    Some(sum) => {
                        *paid = sum;
                        None
                    }
                    // What a notification says is seen in full when the statement repeats it.
                    None if one.way == Way::In && kind == StatementKind::Statement => {
                        let open = one.amount.saturating_sub(*paid);
                        above = size.checked_sub(open);
                        (size, *paid) = (open, one.amount);
                        None
                    }
                    None => Some(Why::WrongAmount),
                }
            }
            (false, true) if !one.returns => Some(Why::NotOpen),
            (false, true) => match paid.checked_sub(size) {
                Some(rest) => {
                    *paid = rest;
                    if rest < one.amount {
                        self.returned.insert(at);
                    }
                    None
                }
                None => Some(Why::ReturnTooLarge),
            },
            _ => Some(Why::WrongWay),
        };
        if let Some(why) = wrong {
            self.except(line, why, vec![at]);
            return Ok(());
        }
        let paid = *paid;
        let amount =
            i64::try_from(size).ok().and_then(|size| if back { size.checked_neg() } else { Some(size) });
        let amount = amount.ok_or_else(|| Malformed("an amount above 63 bits".into()))?;
        let return_reason = line.return_reason.clone().filter(|_| back);
        self.touched.insert(at);
        if let Some(above) = above {
            let amount = i64::try_from(above).map_err(|_| Malformed("an amount above 63 bits".into()))?;
            let (line, candidates) = (Some(line.key()), vec![one.id.clone()]);
            self.out.exceptions.push(Exception { line, why: Why::WrongAmount, amount, candidates });
        }
        self.out.matches.push(Match { line: line.key(), id: one.id.clone(), amount, paid, return_reason });
        Ok(())
    }

    /// Instructions of the line's way of which exactly its amount is open.
    fn candidates(&self, line: &Line) -> Vec<usize> {
        let way = if line.amount > 0 { Way::In } else { Way::Out };
        let size = line.amount.unsigned_abs();
        let fits = |(at, one): (usize, &Open)| {
            let open = self.paid.get(at).and_then(|paid| one.amount.checked_sub(*paid));
            (one.way == way && open == Some(size)).then_some(at)
        };
        self.open.iter().enumerate().filter_map(fits).take(MOST_CANDIDATES).collect()
    }

    fn finish(mut self) -> Result<Matching, Malformed> {
        for at in &self.touched {
            let both = self.open.get(*at).zip(self.paid.get(*at));
            let (one, paid) = both.ok_or_else(|| Malformed(GONE.into()))?;
            let off = i128::from(*paid).saturating_sub(i128::from(one.amount));
            if one.way == Way::In && off != 0 && off.unsigned_abs() <= u128::from(self.tolerance) {
                let amount =
                    i64::try_from(off).map_err(|_| Malformed("a difference above 63 bits".into()))?;
                self.out.differences.push(Difference { id: one.id.clone(), amount });
            }
        }
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests;
