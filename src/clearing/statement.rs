//! A bank's statement of an account, in the house's own words.
//!
//! Owns: the model that every format of statement is read into, and what makes one whole in itself.
//! Promises: a statement that passes its check adds up, and every line of it can be told from every other.
//! Refuses to know: XML, and whether what it says was expected.

use super::bank::Reference;
use crate::types::{Currency, Date, Hash, MAX_INT, Malformed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most lines of one statement.
pub const MOST_LINES: usize = 100_000;
/// Most characters of a text that comes from a bank.
const MOST_CHARS: usize = 140;

/// What kind of message the lines came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// All of an account's lines between two balances (camt.053).
    Statement,
    /// Some lines, told early (camt.054), without balances; they come again in a statement.
    Notification,
}

/// A balance on a day, in the bank's minor unit; below zero if overdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// How much.
    pub amount: i64,
    /// At the end of this day, or at the beginning of an opening one.
    pub on: Date,
}

/// One payment that the bank booked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BankLine)]
pub struct Line {
    /// The bank's own reference of the entry; the message's id and the place in it if the bank gives none.
    pub entry: String,
    /// The bank gives no reference: another message that has the same line does not say so.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unnamed: bool,
    /// Which payment of the entry this is: 0 but in batches.
    pub detail: u32,
    /// When it was booked.
    pub booked: Date,
    /// In the bank's minor unit: + came in, − went out.
    pub amount: i64,
    /// Whether it takes back an earlier line.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub reversal: bool,
    /// Why money came back (ISO external code, such as AC04), if it is a return.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub return_reason: Option<String>,
    /// What the payer called the payment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_to_end: Option<String>,
    /// The structured reference, if a valid one came along.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Reference>,
    /// What came along as a structured reference and is none: somebody mistyped it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mistyped: Option<String>,
    /// The free text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// Who is on the other side.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The other side's account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
}

impl Line {
    /// What tells it from all other lines of the account.
    pub fn key(&self) -> LineKey {
        LineKey { entry: self.entry.clone(), detail: self.detail }
    }
}

/// What tells a line from all others of an account: the bank's reference of the entry, and the place in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineKey {
    /// The bank's reference.
    pub entry: String,
    /// The place in the entry.
    pub detail: u32,
}

/// What a bank says of an account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What kind of message it came in.
    pub kind: StatementKind,
    /// The bank's id of it.
    pub id: String,
    /// The bank's running number, if it gives one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<u64>,
    /// The account: an IBAN, or what the bank calls it.
    pub account: String,
    /// The account's currency.
    pub currency: Currency,
    /// The booked balance before the lines; a statement has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opening: Option<Balance>,
    /// The booked balance after them; a statement has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closing: Option<Balance>,
    /// What was booked, in the bank's order.
    pub lines: Vec<Line>,
}

impl Statement {
    /// What is wrong with it in itself, if anything: texts too long, lines that cannot be told apart, balances that
    /// are missing or that the lines do not lead from one to the other.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |what: String| Err(Malformed(format!("statement {}: {what}", self.id)));
        if self.lines.len() > MOST_LINES {
            return wrong(format!("{} lines; at most {MOST_LINES}", self.lines.len()));
        }
        let texts = self.lines.iter().flat_map(|line| {
            let free = [
                &line.return_reason,
                &line.end_to_end,
                &line.text,
                &line.name,
                &line.account,
                &line.mistyped,
            ];
            free.into_iter().flatten().chain([&line.entry])
        });
        for text in texts.chain([&self.id, &self.account]) {
            if text.is_empty() || text.chars().count() > MOST_CHARS || text.chars().any(char::is_control) {
                return wrong(format!("{text:?} is not a text of 1 to {MOST_CHARS} characters"));
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.lines.iter().find(|line| !seen.insert((&line.entry, line.detail))) {
            return wrong(format!("the entry {} is twice there", twice.entry));
        }
        let fits = |amount: i64| amount.unsigned_abs() <= MAX_INT;
        if let Some(line) = self.lines.iter().find(|line| line.amount == 0 || !fits(line.amount)) {
            return wrong(format!("the entry {} has an amount of 0, or one too large", line.entry));
        }
        let (opening, closing) = match (self.kind, self.opening, self.closing) {
            (_, Some(opening), Some(closing)) => (opening, closing),
            (StatementKind::Notification, ..) => return Ok(()),
            _ => return wrong("the opening or the closing booked balance is missing".into()),
        };
        if opening.on > closing.on {
            return wrong(format!("it opens on {} and closes on {}", opening.on, closing.on));
        }
        let lines = self.lines.iter().map(|line| line.amount);
        let sum = lines.chain([opening.amount]).try_fold(0i64, i64::checked_add);
        if sum != Some(closing.amount) {
            let sum = sum.map_or("too much".into(), |sum| sum.to_string());
            let says = closing.amount;
            return wrong(format!("opening balance and lines make {sum}, the closing balance is {says}"));
        }
        Ok(())
    }

    /// The lowest balance before, between and after its lines; a notification has none.
    pub fn lowest(&self) -> Option<i64> {
        let mut balance = self.opening?.amount;
        let mut lowest = balance;
        for line in &self.lines {
            balance = balance.saturating_add(line.amount);
            lowest = lowest.min(balance);
        }
        Some(lowest)
    }

    /// The name under which it is accepted once: of the account, the kind and the bank's id.
    pub fn fingerprint(&self) -> Hash {
        Hash::blake3(&crate::types::encode(&(&self.account, self.kind, &self.id)))
    }
}
