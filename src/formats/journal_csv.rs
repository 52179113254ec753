//! Journals as CSV, in a company's own chart of accounts.
//!
//! Owns: the columns; the chart that maps the journal's accounts to a company's.
//! Promises: every row names batch, document and line, which are the same whenever the same entries are exported, so
//! that a program can refuse what it has; an account that the chart lacks is an error and not a guess.
//! Refuses to know: any one program's import.

use super::journal::Journal;
use crate::types::Malformed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rows of a chart.
const MOST_ROWS: usize = 10_000;

/// Where the postings of an account, and of all accounts below it, go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartRow {
    /// The journal's account, such as `Liabilities:Points`.
    #[schema(example = "Liabilities:Points")]
    pub ledger: String,
    /// The company's account.
    pub account: String,
    /// Its cost centre, if it has one.
    #[serde(default)]
    pub cost_centre: String,
    /// Its tax code, if it has one.
    #[serde(default)]
    pub tax_code: String,
}

/// A company's chart of accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chart {
    rows: BTreeMap<String, ChartRow>,
}

impl Chart {
    /// Reads a chart: CSV with the columns ledger, account, cost_centre and tax_code.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut chart = Self::default();
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        for (row, number) in reader.deserialize::<ChartRow>().zip(2u64..) {
            let wrong = |e: String| Malformed(format!("row {number} of the chart: {e}"));
            chart.add(row.map_err(|e| wrong(e.to_string()))?).map_err(|e| wrong(e.0))?;
        }
        Ok(chart)
    }

    /// A chart of these rows.
    pub fn of_rows(rows: Vec<ChartRow>) -> Result<Self, Malformed> {
        let mut chart = Self::default();
        for (row, number) in rows.into_iter().zip(1u64..) {
            chart.add(row).map_err(|e| Malformed(format!("row {number} of the chart: {}", e.0)))?;
        }
        Ok(chart)
    }

    fn add(&mut self, row: ChartRow) -> Result<(), Malformed> {
        if row.ledger.is_empty() || row.account.is_empty() {
            return Err(Malformed("ledger and account are needed".into()));
        }
        if self.rows.len() >= MOST_ROWS {
            return Err(Malformed(format!("at most {MOST_ROWS} rows")));
        }
        match self.rows.insert(row.ledger.clone(), row) {
            Some(had) => Err(Malformed(format!("{} stands in an earlier row", had.ledger))),
            None => Ok(()),
        }
    }

    /// The row of the account itself or of the nearest account above it.
    fn of(&self, ledger: &str) -> Result<&ChartRow, Malformed> {
        let mut accounts =
            std::iter::successors(Some(ledger), |at| at.rsplit_once(':').map(|(above, _)| above));
        let found = accounts.find_map(|account| self.rows.get(account));
        found.ok_or_else(|| Malformed(format!("the chart has no row for {ledger}: add it, or one above it")))
    }
}

#[derive(Serialize)]
struct Row<'a> {
    batch: &'a str,
    document: u64,
    line: usize,
    document_date: String,
    posting_date: String,
    account: &'a str,
    cost_centre: &'a str,
    tax_code: &'a str,
    debit: String,
    credit: String,
    commodity: &'a str,
    text: &'a str,
    ledger: &'a str,
    first_entry: u64,
    last_entry: u64,
    cut: u64,
    checkpoint: &'a str,
}

/// The journal's documents as CSV, with a chart or with the journal's own accounts.
pub fn write_journal_csv(journal: &Journal, chart: Option<&Chart>) -> Result<Vec<u8>, Malformed> {
    let mut out = csv::Writer::from_writer(vec![]);
    let (batch, checkpoint) = (journal.cut.batch(), journal.cut.checkpoint_line());
    for document in &journal.documents {
        for (posting, line) in document.postings.iter().zip(1usize..) {
            let own = chart.map(|chart| chart.of(&posting.account)).transpose()?;
            let size = i64::try_from(posting.amount.unsigned_abs()).map_err(|e| Malformed(e.to_string()))?;
            let size = journal.amount(&posting.commodity, size);
            let (debit, credit) =
                if posting.amount > 0 { (size, String::new()) } else { (String::new(), size) };
            let row = Row {
                batch: &batch,
                document: document.number,
                line,
                document_date: document.date.to_string(),
                posting_date: document.posted.to_string(),
                account: own.map_or(&posting.account, |row| &row.account),
                cost_centre: own.map_or("", |row| &row.cost_centre),
                tax_code: own.map_or("", |row| &row.tax_code),
                debit,
                credit,
                commodity: &posting.commodity,
                text: &document.text,
                ledger: &posting.account,
                first_entry: document.entries.0,
                last_entry: document.entries.1,
                cut: journal.cut.seq,
                checkpoint: &checkpoint,
            };
            out.serialize(row).map_err(|e| Malformed(e.to_string()))?;
        }
    }
    out.into_inner().map_err(|e| Malformed(e.to_string()))
}
