//! What banks say: status reports and statements, as what the house does about them.
//!
//! Owns: the step that each line of a report means, the import that a statement makes, and what is left for a person.
//! Promises: nothing is confirmed here: a report acknowledges or rejects, a statement is imported by one person and
//! accepted by another. What was said before makes no step again. What people look at has amounts as decimals of the
//! currency, as notices and orders have; what they sign has them as the log does.
//! Refuses to know: who signs.

use super::{Desk, Fault, OpenInstructions};
use crate::book::{Name, Record, StatementState, Way};
use crate::clearing::{
    Exception, ImportStatement, InstructionStep, Line, LineKey, Matching, MoveInstruction, Reference,
    Statement, StatementKind, Why, WithdrawalPlace, instruction_stage, match_statement,
};
use crate::formats::{
    FileOf, Verdict, decimal, imports, message_id, of_end_to_end, read_camt, read_pain002, read_statement_csv,
};
use crate::types::{Currency, Date, Hash, Ident, InstructionId, Time};
use serde::Serialize;

/// One thing that a report says of a payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Said {
    /// What the bank calls the payment or the block.
    pub name: String,
    /// The bank's code.
    #[schema(example = "RJCT")]
    pub code: String,
    /// Its reasons.
    pub reasons: Vec<String>,
    /// What is to be done about it, or why nothing is.
    pub note: String,
}

/// A status report, read.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct StatusRead {
    /// The message that it is about.
    pub message: String,
    /// What to sign: `instruction.move`, one for each instruction.
    pub moves: Vec<MoveInstruction>,
    /// What the bank said that makes no step.
    pub others: Vec<Said>,
}

/// Reads a status report (pain.002) about orders; `now` is the log's time.
pub fn read_status(desk: &Desk<'_>, bytes: &[u8], now: Time) -> Result<StatusRead, Fault> {
    let report = read_pain002(bytes)?;
    let open = desk.all_open()?;
    let mut out = StatusRead { message: report.message.clone(), moves: vec![], others: vec![] };
    for said in &report.payments {
        let mut note = |note: &str| {
            let (name, code) = (said.id.clone(), said.code.clone());
            out.others.push(Said { name, code, reasons: said.reasons.clone(), note: note.into() });
        };
        match open.named(&said.id) {
            None => note("no instruction of a cycle under way has this name"),
            Some((id, _)) => match said.verdict {
                Verdict::Pending => note("wait: the bank has not decided"),
                Verdict::PartlyAccepted => note("ask the bank: a single payment cannot be accepted in part"),
                Verdict::Accepted => match desk.step(*id, InstructionStep::Acknowledge, now)? {
                    Some(one) => out.moves.push(one),
                    None => note("it was acknowledged, or more, before"),
                },
                Verdict::Rejected => match desk.step(*id, InstructionStep::Reject, now)? {
                    Some(one) => out.moves.push(one),
                    None => note("it was rejected before, or was paid"),
                },
            },
        }
    }
    // Banks that accept or reject a message as a whole name no payments.
    let whole = report.blocks.iter().chain(report.group.iter());
    for said in whole.filter(|_| report.payments.is_empty()) {
        let step = match said.verdict {
            Verdict::Accepted => InstructionStep::Acknowledge,
            Verdict::Rejected => InstructionStep::Reject,
            Verdict::Pending | Verdict::PartlyAccepted => continue,
        };
        for id in desk.of_message(&report.message, &open)? {
            if out.moves.iter().all(|one| one.instruction != id)
                && let Some(one) = desk.step(id, step, now)?
            {
                out.moves.push(one);
            }
        }
    }
    if out.moves.is_empty() && report.payments.is_empty() {
        for said in report.group.iter().chain(&report.blocks) {
            let (name, code) = (said.id.clone(), said.code.clone());
            let note = "nothing follows: no open order of ours is in a message of this id, or the bank has not decided";
            out.others.push(Said { name, code, reasons: said.reasons.clone(), note: note.into() });
        }
    }
    Ok(out)
}

impl Desk<'_> {
    /// The step, if the instruction's stage allows it.
    fn step(
        &self,
        id: InstructionId,
        step: InstructionStep,
        now: Time,
    ) -> Result<Option<MoveInstruction>, Fault> {
        let one = self.instruction(id)?;
        let closing = self.closing(one.cycle)?;
        let allowed = instruction_stage(&one, &closing, now.seconds()).allows(step);
        Ok(allowed.then(|| MoveInstruction::bare(id, step)))
    }

    /// The pay-outs that left in a message of this id.
    fn of_message(&self, message: &str, open: &OpenInstructions) -> Result<Vec<InstructionId>, Fault> {
        let (net, mut found) = (self.genesis.net(), vec![]);
        for (id, one) in open.all.iter().filter(|(_, one)| one.way == Way::Out) {
            let of = if one.replaces.is_some() { FileOf::Again(*id) } else { FileOf::PayOuts };
            if message_id(net, one.cycle, one.version, one.currency, of)?.as_str() == message {
                found.push(*id);
            }
        }
        Ok(found)
    }
}

/// One payment that the bank booked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BankLine)]
pub struct LineSeen {
    /// The bank's own reference of the entry; the message's id and the place in it if the bank gives none.
    pub entry: String,
    /// The bank gives no reference: another message that has the same line does not say so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unnamed: bool,
    /// Which payment of the entry this is: 0 but in batches.
    pub detail: u32,
    /// When it was booked.
    pub booked: Date,
    /// As a decimal of the currency; with a minus if it went out.
    #[schema(example = "-1234.56")]
    pub amount: String,
    /// Whether it takes back an earlier line.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reversal: bool,
    /// Why money came back (ISO external code, such as AC04), if it is a return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_reason: Option<String>,
    /// What the payer called the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<String>,
    /// The structured reference, if a valid one came along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// What came along as a structured reference and is none: somebody mistyped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mistyped: Option<String>,
    /// The free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who is on the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The other side's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl LineSeen {
    fn of(line: Line, digits: u8) -> Self {
        let Line { entry, unnamed, detail, booked, amount, reversal, return_reason, .. } = line;
        let Line { end_to_end, reference, mistyped, text, name, account, .. } = line;
        let amount = decimal(amount, digits);
        Self {
            entry,
            unnamed,
            detail,
            booked,
            amount,
            reversal,
            return_reason,
            end_to_end,
            reference,
            mistyped,
            text,
            name,
            account,
        }
    }
}

/// Why a line needs a person, and what it may be about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LineException)]
pub struct Doubt {
    /// The line; absent if it is about the statement as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<LineKey>,
    /// Why it changes nothing.
    pub why: Why,
    /// The line's amount as a decimal of the currency; with a minus if it went out.
    #[schema(example = "1234.56")]
    pub amount: String,
    /// Instructions that it may be about.
    pub candidates: Vec<Ident>,
}

/// A pay-in that is off by no more than the tolerance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// The instruction.
    pub id: Ident,
    /// Paid less what it asks for, as a decimal of the currency: with a minus if it is short.
    #[schema(example = "-0.02")]
    pub amount: String,
}

/// A line that needs a person.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Unmatched {
    /// Why, and what it may be about.
    pub exception: Doubt,
    /// What to do about it.
    pub advice: &'static str,
    /// The line as the bank has it; absent if it is about the statement as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<LineSeen>,
    /// The withdrawal that has not left and whose reference the line has: two people say that it left by it (`line.assign`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<WithdrawalPlace>,
}

/// An import of a statement that was made before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StatementImported)]
pub struct Imported {
    /// Its name in the log.
    pub statement: Ident,
    /// Where it stands.
    pub state: StatementState,
}

/// A statement, read and matched.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct StatementRead {
    /// The bank's id of it.
    pub statement: String,
    /// Whether it is a statement with balances, or a notification: of that one only what was matched is imported, since all
    /// of it comes again.
    pub kind: StatementKind,
    /// The currency.
    pub currency: Currency,
    /// SHA-256 of the document.
    pub document: Hash,
    /// The lowest balance that it tells of, as a decimal of the currency, if that is below zero: the account was overdrawn, and
    /// less was there than the house holds for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "-12.00")]
    pub overdrawn: Option<String>,
    /// Lines that pay an instruction, or take a payment back.
    pub matched: usize,
    /// Lines that were counted before.
    pub repeated: usize,
    /// Pay-ins that are off by no more than the tolerance once this counts: more comes, or two people write it off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What a person has to look at.
    pub exceptions: Vec<Unmatched>,
    /// Imports of it that were made before, and where each stands: one that is `imported` waits to be accepted, or rejected; one
    /// that was rejected is imported again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imported: Vec<Imported>,
    /// What to sign, in this order: `statement.import`, as the log takes it: amounts in the network's smallest unit. A
    /// statement's lines with exceptions come along and change nothing; one that brings more than is open says how much of it
    /// pays (`pays`).
    pub imports: Vec<ImportStatement>,
}

/// Reads what a bank sent (camt.053, camt.054, or the house's CSV) and matches it with the open instructions.
pub fn read_statements(desk: &Desk<'_>, bytes: &[u8]) -> Result<Vec<StatementRead>, Fault> {
    let digits = |currency| desk.setting(currency).ok().map(|setting| setting.minor);
    let xml = bytes.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes.trim_ascii_start());
    let statements = match xml.first() {
        Some(b'<') => read_camt(bytes, digits)?,
        _ => vec![read_statement_csv(bytes, digits)?],
    };
    let document = Hash::sha256(bytes);
    statements.iter().map(|statement| matched(desk, statement, document)).collect()
}

impl Imported {
    fn of((statement, state): (Ident, Option<StatementState>)) -> Option<Self> {
        state.map(|state| Self { statement, state })
    }

    /// Whether its name is taken.
    pub fn is_taken(&self) -> bool {
        self.state != StatementState::Rejected
    }
}

fn matched(desk: &Desk<'_>, statement: &Statement, document: Hash) -> Result<StatementRead, Fault> {
    let setting = desk.setting(statement.currency)?;
    let (unit, digits) = (setting.bank_unit(), setting.minor);
    let open = desk.open_instructions(statement.currency)?;
    let mut account = desk.account(statement.currency)?;
    let pages = desk.pages(statement)?;
    let imported: Vec<Imported> = pages.into_iter().filter_map(Imported::of).collect();
    let newest = desk.record(&Name::Bank(statement.currency))?;
    let newest = newest.as_ref().and_then(Record::bank).map(|bank| &bank.statement);
    if imported.iter().any(|page| Some(&page.statement) == newest) {
        // The first pages of it were the last that was accepted: it goes on from there.
        account.last = None;
    }
    let mut counted = desk.counted(statement)?;
    let apart = desk.apart(statement, &counted)?;
    if let Some(apart) = &apart {
        counted = desk.counted(apart)?;
    }
    let statement = apart.as_ref().unwrap_or(statement);
    let tolerance = desk.tolerance(statement.currency)?;
    let matching = match_statement(&account, statement, &open.to_match(desk, unit)?, &counted, tolerance)?;
    let ids: Vec<InstructionId> = open.all.iter().map(|(id, _)| *id).collect();
    let imports =
        if matching.is_acceptable() { imports(statement, &matching, &ids, unit, document)? } else { vec![] };
    let taken = |id: &Ident| imported.iter().any(|one| one.statement == *id && one.is_taken());
    let imports = imports.into_iter().filter(|page| !taken(&page.statement)).collect();
    let Matching { matches, exceptions, repeated, differences } = matching;
    let off = |one: &crate::clearing::Difference| Difference {
        id: of_end_to_end(&one.id),
        amount: decimal(one.amount, digits),
    };
    let orders = match exceptions.iter().any(|one| one.why == Why::UnknownReference && one.amount < 0) {
        true => desk.withdrawals(statement.currency)?,
        false => vec![],
    };
    let exceptions = exceptions.into_iter().map(|Exception { line, why, amount, candidates }| {
        let seen = statement.lines.iter().find(|seen| Some(seen.key()) == line).cloned();
        let named = |line: &Line, reference: &Ident| {
            let names = [&line.end_to_end, &line.text];
            why == Why::UnknownReference && names.into_iter().flatten().any(|name| name == reference.as_str())
        };
        let of = seen.as_ref().filter(|line| line.amount < 0);
        let of = of.and_then(|line| orders.iter().find(|(reference, _)| named(line, reference)));
        let withdrawal = of.map(|(_, place)| place.clone());
        let seen = seen.map(|seen| LineSeen::of(seen, digits));
        let candidates = candidates.iter().map(of_end_to_end).collect();
        let exception = Doubt { line, why, amount: decimal(amount, digits), candidates };
        Unmatched { advice: why.advice(), line: seen, exception, withdrawal }
    });
    Ok(StatementRead {
        statement: statement.id.clone(),
        kind: statement.kind,
        currency: statement.currency,
        document,
        overdrawn: statement.lowest().filter(|lowest| *lowest < 0).map(|lowest| decimal(lowest, digits)),
        matched: matches.len(),
        repeated: repeated.len(),
        differences: differences.iter().map(off).collect(),
        exceptions: exceptions.collect(),
        imported,
        imports,
    })
}
