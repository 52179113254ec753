//! `bank statements`: imports, and where each stands.

use super::super::context::{CliError, Context};
use super::super::folder::Folder;
use crate::book::{Name, Record, Rejection, StatementState};
use crate::reading::{Sort, list};
use crate::types::{Currency, Ident, word};
use serde::Serialize;

/// An imported statement as programs see it.
#[derive(Serialize)]
struct StatementRow {
    currency: Currency,
    statement: Ident,
    state: StatementState,
    lines: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejection>,
}

/// Lists them.
pub(super) fn statements(folder: &Folder, waiting: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    let (mut rows, mut after) = (vec![], String::new());
    loop {
        let page = list(&*folder.read, Sort::Statements, &after, 500).map_err(CliError::fault)?;
        for item in page.items {
            let (Name::Statement(currency, statement), Record::Statement(of)) = (item.name, item.record)
            else {
                continue;
            };
            let (state, lines, rejected) = (of.state(), of.lines.len(), of.rejected);
            if !waiting || state == StatementState::Imported {
                rows.push(StatementRow { currency, statement, state, lines, rejected });
            }
        }
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    if context.json {
        return context.say_json(&rows);
    }
    for row in &rows {
        let why = row.rejected.as_ref().map_or(String::new(), |why| format!("  {}", why.reason));
        let (state, lines) = (word(&row.state), row.lines);
        context.say(format!(
            "  {}  {:<28}{state:<10}{lines:>6} lines{why}",
            row.currency,
            row.statement.as_str()
        ))?;
    }
    if rows.is_empty() {
        return context.say(if waiting { "none waits" } else { "none was imported" });
    }
    if rows.iter().any(|row| row.state == StatementState::Imported) {
        context.say(
            "who did not import it accepts it, POST /v1/bank-statements/acceptances; anybody who works for the operator rejects\n\
             it, POST /v1/bank-statements/rejections: {\"currency\":…,\"statement\":…,\"reason\":\"wrong_file\"}",
        )?;
    }
    Ok(())
}
