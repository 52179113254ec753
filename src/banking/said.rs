//! What banks say: status reports and statements, as what the house does about them.
//!
//! Owns: the step that each line of a report means, the import that a statement makes, and what is left for a person.
//! Promises: nothing is confirmed here: a report acknowledges or rejects, a statement is imported by one person and
//! accepted by another. What was said before makes no step again.
//! Refuses to know: who signs.

use super::{Desk, Fault, OpenInstructions};
use crate::book::Way;
use crate::clearing::{
    Difference, Exception, ImportStatement, InstructionStep, Line, Matching, MoveInstruction, Statement,
    StatementKind, instruction_stage, match_statement,
};
use crate::formats::{
    FileOf, Verdict, imports, message_id, of_end_to_end, read_camt, read_pain002, read_statement_csv,
};
use crate::types::{Currency, Hash, InstructionId, Time};
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

/// A line that needs a person.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Unmatched {
    /// Why, and what it may be about.
    pub exception: Exception,
    /// What to do about it.
    pub advice: &'static str,
    /// The line as the bank has it; absent if it is about the statement as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
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
    /// Lines that pay an instruction, or take a payment back.
    pub matched: usize,
    /// Lines that were counted before.
    pub repeated: usize,
    /// Pay-ins that are off by no more than the tolerance once this counts: more comes, or two people write it off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What a person has to look at.
    pub exceptions: Vec<Unmatched>,
    /// What to sign, in this order: `statement.import`. A statement's lines with exceptions come along and change nothing; one
    /// that brings more than is open says how much of it pays (`pays`).
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

fn matched(desk: &Desk<'_>, statement: &Statement, document: Hash) -> Result<StatementRead, Fault> {
    let unit = desk.setting(statement.currency)?.bank_unit();
    let open = desk.open_instructions(statement.currency)?;
    let account = desk.account(statement.currency)?;
    let mut counted = desk.counted(statement)?;
    let apart = desk.apart(statement, &counted)?;
    if let Some(apart) = &apart {
        counted = desk.counted(apart)?;
    }
    let statement = apart.as_ref().unwrap_or(statement);
    let tolerance = desk.tolerance(statement.currency)?;
    let matching = match_statement(&account, statement, &open.to_match(unit)?, &counted, tolerance)?;
    let ids: Vec<InstructionId> = open.all.iter().map(|(id, _)| *id).collect();
    let imports =
        if matching.is_acceptable() { imports(statement, &matching, &ids, unit, document)? } else { vec![] };
    let Matching { matches, exceptions, repeated, mut differences } = matching;
    differences.iter_mut().for_each(|one| one.id = of_end_to_end(&one.id));
    let exceptions = exceptions.into_iter().map(|mut exception| {
        exception.candidates.iter_mut().for_each(|id| *id = of_end_to_end(id));
        let line = statement.lines.iter().find(|line| Some(line.key()) == exception.line).cloned();
        Unmatched { advice: exception.why.advice(), line, exception }
    });
    Ok(StatementRead {
        statement: statement.id.clone(),
        kind: statement.kind,
        currency: statement.currency,
        document,
        matched: matches.len(),
        repeated: repeated.len(),
        differences,
        exceptions: exceptions.collect(),
        imports,
    })
}
