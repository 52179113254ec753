//! Input: a file of receipts or of awards, row by row.
//!
//! Owns: what a row of either form becomes: an award to be, a row to pass over, or a bad one.
//! Promises: rows come in the file's order with their line numbers; only one is in memory.
//! Refuses to know: accounts of members, batches, the network.

use crate::cli::demo::receipts::{Receipt, Rows, Source};
use crate::cli::demo::terms::Earn;
use crate::sign::Award;
use crate::types::Points;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Most bytes of a line in a batch.
pub(super) const MAX_LINE: usize = 1_024;

/// The form of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Form {
    /// Receipts, CSV.
    Receipts,
    /// Awards, NDJSON.
    Awards,
}

/// What a row is.
pub(super) enum What {
    /// A receipt that earns points for a member.
    Receipt(Box<Receipt>, Points),
    /// An award, as it stands in the file.
    Award(Box<Award>, String),
    /// A receipt of another brand.
    OtherBrand(String),
    /// A receipt too small to earn a point.
    TooSmall,
    /// It cannot be used.
    Bad(String),
}

/// A row with its place.
pub(super) struct Row {
    pub(super) line: u64,
    /// For the file of rejects: the cells of a receipt, or the line.
    pub(super) raw: Vec<String>,
    pub(super) what: What,
}

/// Which receipts count, and what they earn.
pub(super) struct Filter {
    /// The brand's name in the file.
    pub(super) named: Box<dyn Fn(&str) -> bool>,
    /// What a purchase earns.
    pub(super) earn: Earn,
}

/// See the module.
pub(super) enum Input {
    Receipts(Box<Rows>, Filter),
    Awards { reader: BufReader<File>, line: u64, bytes: u64 },
}

/// The form of a file by its first character that is not white space: awards are JSON objects.
pub(super) fn form_of(path: &Path) -> Result<Form, String> {
    let mut reader = BufReader::new(open(path)?);
    let mut first = String::new();
    while reader.read_line(&mut first).unwrap_or(0) > 0 {
        if let Some(start) = first.trim_start_matches('\u{feff}').trim_start().chars().next() {
            return Ok(if start == '{' { Form::Awards } else { Form::Receipts });
        }
        first.clear();
    }
    Err(format!("{}: there is nothing in it", path.display()))
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|e| format!("{}: {e}", path.display()))
}

impl Input {
    /// Opens receipts.
    pub(super) fn receipts(path: &Path, filter: Filter) -> Result<Self, String> {
        Ok(Self::Receipts(Box::new(Rows::begin(&Source::File(path.into()))?), filter))
    }

    /// Opens awards.
    pub(super) fn awards(path: &Path) -> Result<Self, String> {
        Ok(Self::Awards { reader: BufReader::with_capacity(1 << 16, open(path)?), line: 0, bytes: 0 })
    }

    /// The names of the columns of rejects, after `line` and `reason`.
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Receipts(rows, _) => rows.header(),
            Self::Awards { .. } => vec![],
        }
    }

    /// How many bytes of the file are behind us.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Receipts(rows, _) => rows.bytes_read(),
            Self::Awards { bytes, .. } => *bytes,
        }
    }

    /// The next row; an error is a fault of the file itself.
    pub(super) fn next(&mut self) -> Result<Option<Row>, String> {
        match self {
            Self::Receipts(rows, filter) => Ok(next_receipt(rows, filter)),
            Self::Awards { reader, line, bytes } => next_award(reader, line, bytes),
        }
    }
}

fn next_receipt(rows: &mut Rows, filter: &Filter) -> Option<Row> {
    let row = rows.next()?;
    let raw = rows.raw();
    Some(match row {
        Err(bad) => Row { line: bad.line, raw, what: What::Bad(bad.reason) },
        Ok(receipt) => {
            let line = receipt.line;
            let what = match filter.earn.points(receipt.amount) {
                _ if !(filter.named)(&receipt.brand) => What::OtherBrand(receipt.brand),
                None => What::Bad("amount_minor: more points than 2^53 - 1".into()),
                Some(points) if points.is_zero() => What::TooSmall,
                Some(points) => What::Receipt(Box::new(receipt), points),
            };
            Row { line, raw, what }
        }
    })
}

fn next_award(reader: &mut BufReader<File>, line: &mut u64, bytes: &mut u64) -> Result<Option<Row>, String> {
    loop {
        let mut raw = vec![];
        let read = reader.read_until(b'\n', &mut raw).map_err(|e| e.to_string())?;
        if read == 0 {
            return Ok(None);
        }
        *line += 1;
        *bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(0));
        let text = String::from_utf8_lossy(&raw);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let what = award(&raw, text);
        return Ok(Some(Row { line: *line, raw: vec![text.to_owned()], what }));
    }
}

fn award(raw: &[u8], text: &str) -> What {
    if std::str::from_utf8(raw).is_err() {
        return What::Bad("not UTF-8".into());
    }
    if text.len() > MAX_LINE {
        return What::Bad(format!("{} bytes, at most {MAX_LINE}", text.len()));
    }
    match serde_json::from_str::<Award>(text) {
        Ok(award) => What::Award(Box::new(award), text.to_owned()),
        Err(e) => What::Bad(e.to_string()),
    }
}
