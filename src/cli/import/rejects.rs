//! Rejects: the rows that did not go in, with line number and reason, in a file of their own.
//!
//! Owns: the file and its form. Receipts keep their columns behind `line` and `reason`, so that the file can
//! be mended and imported; awards are objects `{"line", "reason", "text"}`.
//! Promises: there is a file only if there is something in it; it holds this run's rejects and no others.
//! Refuses to know: why a row was rejected.

use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct Rejects {
    path: PathBuf,
    /// Names of the columns; none for awards.
    columns: Vec<String>,
    file: Option<Sink>,
    /// How many.
    pub(super) count: u64,
}

enum Sink {
    Csv(Box<csv::Writer<File>>),
    Ndjson(BufWriter<File>),
}

#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    reason: &'a str,
    text: &'a str,
}

/// Where rejects go if nothing else is said: `x.csv` → `x.rejects.csv`.
pub(super) fn beside(file: &Path, receipts: bool) -> PathBuf {
    file.with_extension(if receipts { "rejects.csv" } else { "rejects.ndjson" })
}

impl Rejects {
    /// Rejects to a file, which is replaced. `columns` are those of receipts, or none.
    pub(super) fn at(path: PathBuf, columns: Vec<String>) -> Result<Self, String> {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", path.display())),
            _ => Ok(Self { path, columns, file: None, count: 0 }),
        }
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One more.
    pub(super) fn put(&mut self, line: u64, reason: &str, raw: &[String]) -> Result<(), String> {
        self.count += 1;
        self.try_put(line, reason, raw).map_err(|e| format!("{}: {e}", self.path.display()))
    }

    fn try_put(&mut self, line: u64, reason: &str, raw: &[String]) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open(&self.path, &self.columns)?);
        }
        match &mut self.file {
            Some(Sink::Csv(writer)) => {
                let place = [line.to_string(), reason.to_owned()];
                writer.write_record(place.iter().chain(raw)).map_err(std::io::Error::other)
            }
            Some(Sink::Ndjson(writer)) => {
                let text = raw.first().map(String::as_str).unwrap_or_default();
                serde_json::to_writer(&mut *writer, &Reject { line, reason, text })?;
                writer.write_all(b"\n")
            }
            None => Ok(()),
        }
    }

    /// Writes what is left to be written.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        let done = match &mut self.file {
            Some(Sink::Csv(writer)) => writer.flush(),
            Some(Sink::Ndjson(writer)) => writer.flush(),
            None => Ok(()),
        };
        done.map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

fn open(path: &Path, columns: &[String]) -> std::io::Result<Sink> {
    let file = File::create(path)?;
    if columns.is_empty() {
        return Ok(Sink::Ndjson(BufWriter::new(file)));
    }
    // A bad row may have any number of cells.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
    let named = ["line", "reason"].into_iter().chain(columns.iter().map(String::as_str));
    writer.write_record(named).map_err(std::io::Error::other)?;
    Ok(Sink::Csv(Box::new(writer)))
}
