//! The instructions that a bank may speak of, and what it said before.
//!
//! Owns: which instructions are open, by the name that the bank has for them; which lines were counted.
//! Promises: a line that was counted is known with its amount, so that one which comes again altered is noticed.
//! Refuses to know: files.

use super::{Desk, Fault};
use crate::book::{self, Closing, Instruction, Name, Record, StatementState, Way};
use crate::clearing::{
    Accepted, Account, Last, Line, LineKey, Open, Statement, Step, instruction_stage, stage,
};
use crate::engine::open_entry;
use crate::formats::{end_to_end, line_name, open, statement_names};
use crate::log::{Slot, open as open_part};
use crate::machine::PartBody;
use crate::types::{Currency, Ident, InstructionId, Malformed, decode};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// See the module.
pub struct OpenInstructions {
    /// In the order of cycles.
    pub all: Vec<(InstructionId, Instruction)>,
}

impl Desk<'_> {
    /// The instructions of the cycles under way, those that were issued again included.
    pub fn open_instructions(&self, currency: Currency) -> Result<OpenInstructions, Fault> {
        let record = self.record(&Name::Cycle)?;
        let live =
            record.as_ref().and_then(Record::cycle).map(|cycle| cycle.live.clone()).unwrap_or_default();
        let mut all = vec![];
        for cycle in live {
            for (mut id, mut one) in self.instructions(cycle, currency, false)? {
                loop {
                    let before = one.replaces;
                    all.push((id, one));
                    let Some(before) = before else { break };
                    (id, one) = (before, self.instruction(before)?);
                }
            }
        }
        Ok(OpenInstructions { all })
    }

    /// The same in all currencies.
    pub(super) fn all_open(&self) -> Result<OpenInstructions, Fault> {
        let mut all = vec![];
        for setting in &self.genesis.currencies {
            all.extend(self.open_instructions(setting.code)?.all);
        }
        Ok(OpenInstructions { all })
    }

    /// The account as the last accepted statement left it.
    pub(super) fn account(&self, currency: Currency) -> Result<Account, Fault> {
        let setting = self.setting(currency)?;
        let record = self.record(&Name::Bank(currency))?;
        let last = record.as_ref().and_then(Record::bank).map(|bank| {
            let unit = i64::try_from(setting.bank_unit()).unwrap_or(i64::MAX);
            Last { closing: bank.balance.checked_div(unit).unwrap_or(0), number: None }
        });
        let account = self.accounts.of(currency)?.iban.to_string();
        Ok(Account { account, currency, last })
    }

    /// By how much a payment may be off and be written off, in the bank's minor unit.
    pub(super) fn tolerance(&self, currency: Currency) -> Result<u64, Fault> {
        let unit = self.setting(currency)?.bank_unit();
        let record = self.record(&Name::Schedule)?;
        let set = record.as_ref().and_then(Record::schedule).map_or(0, |one| one.tolerance(currency).get());
        Ok(set.checked_div(unit).unwrap_or(0))
    }

    /// What a statement's imports are called, and where each stands that was made before.
    pub(super) fn pages(&self, statement: &Statement) -> Result<Vec<(Ident, Option<StatementState>)>, Fault> {
        let unit = self.setting(statement.currency)?.bank_unit();
        let state = |id: Ident| {
            let record = self.record(&Name::Statement(statement.currency, id.clone()))?;
            let state = record.as_ref().and_then(Record::statement).map(book::Statement::state);
            Ok((id, state))
        };
        statement_names(statement, unit)?.into_iter().map(state).collect()
    }

    /// The lines of a statement that were counted before, with their amounts in the bank's minor unit.
    pub(super) fn counted(&self, statement: &Statement) -> Result<Counted, Fault> {
        let unit = self.setting(statement.currency)?.bank_unit();
        let pages = self.pages(statement)?;
        let taken = pages.iter().all(|(_, state)| *state == Some(StatementState::Accepted));
        let (mut lines, mut entries) = (BTreeMap::new(), BTreeMap::new());
        for line in &statement.lines {
            let Some(amount) = self.counted_line(statement.currency, line, unit)? else { continue };
            lines.insert(line.key(), amount);
            if line.detail == 0 && amount != line.amount {
                entries.insert(line.entry.clone(), self.counted_entry(statement.currency, line, unit)?);
            }
        }
        Ok(Counted { taken, lines, entries })
    }

    /// The statement with each batch taken apart that was told line by line before, so that what was told is compared with
    /// it line by line; `None`: there is none.
    pub(super) fn apart(&self, statement: &Statement, counted: &Counted) -> Result<Option<Statement>, Fault> {
        let unit = self.setting(statement.currency)?.bank_unit();
        let batch = |line: &Line| {
            let whole = line.detail == 0 && counted.entry(&line.entry) == Some(line.amount);
            whole && statement.lines.iter().filter(|other| other.entry == line.entry).count() == 1
        };
        if !statement.lines.iter().any(batch) {
            return Ok(None);
        }
        let mut lines = vec![];
        for line in &statement.lines {
            if !batch(line) {
                lines.push(line.clone());
                continue;
            }
            // Which payment of the batch a name or a reference of the whole is about, nobody says.
            let mut part = Line { end_to_end: None, reference: None, mistyped: None, ..line.clone() };
            while let Some(amount) = self.counted_line(statement.currency, &part, unit)? {
                lines.push(Line { amount, ..part.clone() });
                part.detail = part.detail.saturating_add(1);
            }
        }
        Ok(Some(Statement { lines, ..statement.clone() }))
    }

    /// What a line of this name came to, if one was counted.
    fn counted_line(&self, currency: Currency, line: &Line, unit: u64) -> Result<Option<i64>, Fault> {
        let entry = line_name(line)?;
        let record = self.record(&Name::UsedEntry(currency, entry.clone()))?;
        let used = record.as_ref().and_then(Record::used);
        used.map(|used| self.amount_of(used.0, entry.as_str(), unit)).transpose()
    }

    /// What the lines of a batch came to that were counted.
    fn counted_entry(&self, currency: Currency, first: &Line, unit: u64) -> Result<i64, Fault> {
        let (mut sum, mut line) = (0i64, first.clone());
        while let Some(amount) = self.counted_line(currency, &line, unit)? {
            sum = sum.saturating_add(amount);
            line.detail = line.detail.saturating_add(1);
        }
        Ok(sum)
    }

    /// What a line came to that an acceptance counted: the acceptance's entry has the statement.
    fn amount_of(&self, seq: u64, entry: &str, unit: u64) -> Result<i64, Fault> {
        let damaged = |e: &dyn std::fmt::Display| Fault::Damaged(format!("entry {seq}: {e}"));
        let stored = self.read.read(seq, 1, usize::MAX)?;
        let found = stored.first().filter(|stored| stored.seq == seq);
        let (_, slots) = open_entry(found.ok_or_else(|| damaged(&"missing"))?).map_err(|e| damaged(&e))?;
        for slot in &slots {
            let Slot::Whole(bytes) = slot else { continue };
            let read = open_part(bytes).and_then(|(_, body)| decode::<PartBody>(&body));
            let body = read.map_err(|e: Malformed| damaged(&e))?;
            let puts = body.done.iter().flat_map(|done| done.puts());
            let statements = puts.filter_map(|(_, record)| record.and_then(Record::statement));
            for line in statements.flat_map(|statement| &statement.lines) {
                if line.entry.as_str() == entry {
                    let minor =
                        line.amount.signed().checked_div(i64::try_from(unit).unwrap_or(1)).unwrap_or(0);
                    return Ok(if line.way == Way::In { minor } else { minor.saturating_neg() });
                }
            }
        }
        Err(damaged(&format!("it has no line {entry}")))
    }
}

/// Which lines of a statement were counted.
pub(super) struct Counted {
    taken: bool,
    lines: BTreeMap<LineKey, i64>,
    /// What came in parts before, by the bank's reference.
    entries: BTreeMap<String, i64>,
}

impl Accepted for Counted {
    fn statement(&self, _: &Statement) -> bool {
        self.taken
    }

    fn line(&self, key: &LineKey) -> Option<i64> {
        self.lines.get(key).copied()
    }

    fn entry(&self, entry: &str) -> Option<i64> {
        self.entries.get(entry).copied()
    }
}

impl OpenInstructions {
    /// As matching sees them.
    pub(super) fn to_match(&self, desk: &Desk<'_>, unit: u64) -> Result<Vec<Open>, Fault> {
        let mut cycles: BTreeMap<u64, Closing> = BTreeMap::new();
        let mut all = vec![];
        for (id, one) in &self.all {
            let closing = match cycles.entry(one.cycle) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(desk.closing(one.cycle)?),
            };
            // Late or not, it takes as much.
            let at = instruction_stage(one, closing, 0);
            let moves = stage(closing).allows(Step::Confirm);
            let back = (at.takes() || at.comes_back()) && one.replaced.is_none();
            all.push(Open { takes: moves && at.takes(), returns: moves && back, ..open(*id, one, unit)? });
        }
        Ok(all)
    }

    /// The instruction that the bank calls by this name.
    pub fn named(&self, name: &str) -> Option<&(InstructionId, Instruction)> {
        self.all.iter().find(|(id, _)| end_to_end(*id).is_ok_and(|own| own.as_str() == name))
    }
}
