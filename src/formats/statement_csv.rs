//! Statements as CSV, for banks that send nothing else.
//!
//! Owns: one form, with a header that names its columns; a row for the opening balance, one for each line and one for
//! the closing balance.
//! Promises: what is read passes the statement's own check; what is written is read again as it was.
//! Refuses to know: banks' own forms; whoever has one brings it into this form.

use super::amount::{decimal, minor_units};
use crate::clearing::{Balance, Line, Reference, Statement, StatementKind};
use crate::types::{Currency, Malformed};
use serde::{Deserialize, Serialize};

/// Most bytes of a file.
const MOST_BYTES: usize = 64 << 20;

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Row {
    /// `opening`, `line`, `reversal` or `closing`.
    record: String,
    account: String,
    statement: String,
    number: Option<u64>,
    currency: String,
    date: String,
    /// A decimal; − went out.
    amount: String,
    #[serde(default)]
    entry: Option<String>,
    #[serde(default)]
    end_to_end: Option<String>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    counterparty: Option<String>,
    #[serde(default)]
    return_reason: Option<String>,
}

/// Reads one statement.
pub fn read_statement_csv(
    bytes: &[u8],
    digits: impl Fn(Currency) -> Option<u8>,
) -> Result<Statement, Malformed> {
    if bytes.len() > MOST_BYTES {
        return Err(Malformed(format!("the file has {} bytes; at most {MOST_BYTES}", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut statement: Option<Statement> = None;
    for (row, number) in reader.deserialize::<Row>().zip(2u64..) {
        let row = row.map_err(|e| Malformed(format!("row {number}: {e}")))?;
        let wrong = |e: Malformed| Malformed(format!("row {number}: {e}"));
        let currency: Currency = row.currency.parse().map_err(wrong)?;
        let digits = digits(currency);
        let digits =
            digits.ok_or_else(|| wrong(Malformed(format!("{currency} is not a currency of the network"))))?;
        let statement = statement.get_or_insert_with(|| Statement {
            kind: StatementKind::Statement,
            id: row.statement.clone(),
            number: row.number,
            account: row.account.clone(),
            currency,
            opening: None,
            closing: None,
            lines: vec![],
        });
        let same = (&statement.id, &statement.account, statement.currency, statement.number)
            == (&row.statement, &row.account, currency, row.number);
        if !same {
            return Err(wrong(Malformed(
                "another statement, account, number or currency than in the rows before".into(),
            )));
        }
        take(statement, row, digits).map_err(wrong)?;
    }
    let statement = statement.ok_or_else(|| Malformed("the file has no rows".into()))?;
    statement.check()?;
    Ok(statement)
}

fn take(statement: &mut Statement, row: Row, digits: u8) -> Result<(), Malformed> {
    let (size, out) = match row.amount.strip_prefix('-') {
        Some(size) => (size, true),
        None => (row.amount.as_str(), false),
    };
    let size = i64::try_from(minor_units(size, digits)?).map_err(|e| Malformed(e.to_string()))?;
    let amount = if out { size.saturating_neg() } else { size };
    let on = row.date.parse()?;
    let balance = |slot: &mut Option<Balance>| match slot {
        Some(_) => Err(Malformed(format!("a second {} balance", row.record))),
        None => {
            *slot = Some(Balance { amount, on });
            Ok(())
        }
    };
    match row.record.as_str() {
        "opening" => balance(&mut statement.opening),
        "closing" => balance(&mut statement.closing),
        "line" | "reversal" => {
            let some = |text: Option<String>| text.filter(|text| !text.is_empty());
            let entry =
                some(row.entry).ok_or_else(|| Malformed("a line without an entry reference".into()))?;
            // What a payer mistyped is for a person to read, and stops nobody else's line.
            let said = some(row.reference);
            let reference: Option<Reference> = said.as_deref().and_then(|text| text.parse().ok());
            let mistyped = said.filter(|_| reference.is_none());
            statement.lines.push(Line {
                entry,
                unnamed: false,
                detail: 0,
                booked: on,
                amount,
                reversal: row.record == "reversal",
                return_reason: some(row.return_reason),
                end_to_end: some(row.end_to_end),
                reference,
                mistyped,
                text: some(row.text),
                name: some(row.name),
                account: some(row.counterparty),
            });
            Ok(())
        }
        other => Err(Malformed(format!("record is opening, line, reversal or closing, not {other:?}"))),
    }
}

/// Writes one statement. Lines of batches lose their place in the entry: it becomes part of the reference.
pub fn write_statement_csv(statement: &Statement, digits: u8) -> Result<Vec<u8>, Malformed> {
    let mut out = csv::Writer::from_writer(vec![]);
    let row = |record: &str, on: String, amount: i64| Row {
        record: record.into(),
        account: statement.account.clone(),
        statement: statement.id.clone(),
        number: statement.number,
        currency: statement.currency.to_string(),
        date: on,
        amount: decimal(amount, digits),
        ..Row::default()
    };
    let mut rows = vec![];
    rows.extend(statement.opening.map(|balance| row("opening", balance.on.to_string(), balance.amount)));
    for line in &statement.lines {
        let record = if line.reversal { "reversal" } else { "line" };
        let entry = match line.detail {
            0 => line.entry.clone(),
            detail => format!("{}/{detail}", line.entry),
        };
        rows.push(Row {
            entry: Some(entry),
            end_to_end: line.end_to_end.clone(),
            reference: line.reference.as_ref().map(ToString::to_string).or_else(|| line.mistyped.clone()),
            text: line.text.clone(),
            name: line.name.clone(),
            counterparty: line.account.clone(),
            return_reason: line.return_reason.clone(),
            ..row(record, line.booked.to_string(), line.amount)
        });
    }
    rows.extend(statement.closing.map(|balance| row("closing", balance.on.to_string(), balance.amount)));
    for row in rows {
        out.serialize(row).map_err(|e| Malformed(e.to_string()))?;
    }
    out.into_inner().map_err(|e| Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(currency: Currency) -> Option<u8> {
        (currency.as_str() == "EUR").then_some(2)
    }

    const GOOD: &str = "\
record,account,statement,number,currency,date,amount,entry,end_to_end,reference,text,name,counterparty,return_reason
opening,DE89370400440532013000,ST-1,1,EUR,2026-11-30,10.00,,,,,,,
line,DE89370400440532013000,ST-1,1,EUR,2026-11-30,100.50,E1,,RF18539007547034,\"points, November\",Harvest,,
reversal,DE89370400440532013000,ST-1,1,EUR,2026-11-30,-0.50,E2,out-1,,,,,AC04
closing,DE89370400440532013000,ST-1,1,EUR,2026-11-30,110.00,,,,,,,
";

    #[test]
    fn what_is_read_is_written_again() {
        let statement = read_statement_csv(GOOD.as_bytes(), euro).expect("read");
        assert_eq!((statement.lines[0].amount, statement.lines[1].amount), (10_050, -50));
        assert_eq!(statement.lines[0].text.as_deref(), Some("points, November"));
        assert_eq!(
            write_statement_csv(&statement, 2).map(|b| String::from_utf8(b).expect("UTF-8")),
            Ok(GOOD.into())
        );
    }

    #[test]
    fn a_mistyped_reference_is_kept_as_it_was_written() {
        let typed = GOOD.replacen("RF18", "RF19", 1);
        let statement = read_statement_csv(typed.as_bytes(), euro).expect("read");
        let line = &statement.lines[0];
        assert_eq!((&line.reference, line.mistyped.as_deref()), (&None, Some("RF19539007547034")));
        let again = write_statement_csv(&statement, 2).expect("written");
        assert_eq!(String::from_utf8(again), Ok(typed));
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_row() {
        let rows = [
            ("100.50", "100.505", "row 3: the amount"),
            ("100.50", "100.40", "opening balance and lines make 10990"),
            ("closing", "end", "row 5: record is"),
            (
                "line,DE89370400440532013000,ST-1",
                "line,DE89370400440532013000,ST-2",
                "row 3: another statement",
            ),
            ("EUR,2026-11-30,10.00", "USD,2026-11-30,10.00", "row 2: USD is not"),
            ("reversal", "opening", "row 4: a second opening"),
            ("2026-11-30,100.50", "30.11.2026,100.50", "row 3"),
            (",E1,", ",,", "row 3: a line without"),
            ("return_reason\n", "why\n", "row 2"),
        ];
        for (from, to, says) in rows {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            let said = read_statement_csv(bad.as_bytes(), euro).expect_err(to);
            assert!(said.0.contains(says), "{to}: {said}");
        }
        assert!(read_statement_csv(b"", euro).is_err());
    }
}
