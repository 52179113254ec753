//! Lines of accepted statements that are nobody's still.
//!
//! Owns: which they are, and what each may be about.
//! Promises: a line is here until two people said what all of it was about, or made it cover.
//! Refuses to know: who says so.

use super::{Desk, Fault};
use crate::book::{CoverChange, Exception, Name, Record, Statement, Way};
use crate::clearing::WithdrawalPlace;
use crate::types::{Currency, Ident, InstructionId, Money};
use serde::Serialize;

/// Records looked at at a time.
const PAGE: usize = 500;

/// A line that is nobody's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Nobodys {
    /// The statement.
    pub statement: Ident,
    /// The line's number in it, from 0.
    pub line: u16,
    /// The bank's reference of the entry.
    pub entry: Ident,
    /// In which direction money moved.
    pub way: Way,
    /// How much of it is nobody's.
    pub amount: Money,
    /// Why it changed nothing.
    pub why: Exception,
    /// The instruction that it names, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<InstructionId>,
    /// Instructions of the same way of which so much is open.
    pub candidates: Vec<InstructionId>,
}

impl Desk<'_> {
    /// What was taken back of cover, of shares of the fund and of reserves, and has not left by a line: the order's reference, and
    /// which withdrawal it is.
    pub(super) fn withdrawals(&self, currency: Currency) -> Result<Vec<(Ident, WithdrawalPlace)>, Fault> {
        let (mut all, mut after) = (vec![], "cover/".to_owned());
        loop {
            let rows = self.read.scan(&after, PAGE)?.rows;
            for row in &rows {
                if !row.key.starts_with("cover/") {
                    return Ok(all);
                }
                let damaged = |e: crate::types::Malformed| Fault::Damaged(format!("{}: {e}", row.key));
                let name: Name = row.key.parse().map_err(damaged)?;
                let record = Record::decode(&name, &row.value).map_err(damaged)?;
                let (Name::CoverStep(participant, of, entry), Record::CoverStep(step)) = (name, record)
                else {
                    continue;
                };
                let waits = of == currency && step.change == CoverChange::Withdrawn && step.line.is_none();
                if let Some(reference) = step.reference.filter(|_| waits) {
                    all.push((reference, WithdrawalPlace { participant, entry }));
                }
            }
            match rows.last() {
                Some(row) => after.clone_from(&row.key),
                None => return Ok(all),
            }
        }
    }

    /// Those of a currency's account, in the order of the statements' names.
    pub fn nobodys(&self, currency: Currency) -> Result<Vec<Nobodys>, Fault> {
        let open = self.open_instructions(currency)?.all;
        let fits = |way: Way, amount: Money| -> Vec<InstructionId> {
            let of = open.iter().filter(|(_, one)| one.way == way && one.fate.is_none());
            let of = of.filter(|(_, one)| one.amount.minus(one.confirmed) == Some(amount));
            of.map(|(id, _)| *id).collect()
        };
        let prefix = format!("statement/{currency}/");
        let (mut all, mut after) = (vec![], prefix.clone());
        loop {
            let rows = self.read.scan(&after, PAGE)?.rows;
            for row in &rows {
                if !row.key.starts_with(&prefix) {
                    return Ok(all);
                }
                let damaged = |e: crate::types::Malformed| Fault::Damaged(format!("{}: {e}", row.key));
                let name: Name = row.key.parse().map_err(damaged)?;
                let record = Record::decode(&name, &row.value).map_err(damaged)?;
                let (Name::Statement(_, id), Record::Statement(statement)) = (name, record) else { continue };
                all.extend(of_statement(&id, &statement, &fits));
            }
            match rows.last() {
                Some(row) => after.clone_from(&row.key),
                None => return Ok(all),
            }
        }
    }
}

fn of_statement(
    id: &Ident,
    statement: &Statement,
    fits: &dyn Fn(Way, Money) -> Vec<InstructionId>,
) -> Vec<Nobodys> {
    let one = |(line, of): (u16, &crate::book::StatementLine)| {
        let (why, amount) = (statement.unmatched(line)?, statement.left(line));
        let (statement, entry, way) = (id.clone(), of.entry.clone(), of.way);
        let names = of.instruction;
        Some(Nobodys { statement, line, entry, way, amount, why, names, candidates: fits(way, amount) })
    };
    (0u16..).zip(&statement.lines).filter_map(one).collect()
}
