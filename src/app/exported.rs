//! An export with parts, as a mirror: the lines that `export --parts` writes.
//!
//! Owns: reading them back. Beside the file, in `FILE.checkpoint`, stands the checkpoint that the export ends with.
//! Promises: a line that is of neither form is named by its number; memory for a few entries.
//! Refuses to know: whether what stands there is so.

use super::tail::{Mirror, Untaken, refused};
use crate::log::Envelope;
use crate::store::{StoredEntry, StoredPart};
use crate::types::Hash;
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Entries handed over at a time, and about as many bytes of the file at most.
const PAGE: usize = 500;
const PAGE_BYTES: u64 = 8 << 20;
/// The longest line: an envelope, or a part in a line of its own.
const LONGEST: u64 = 1 << 20;

/// A line of a part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartLine {
    seq: u64,
    index: usize,
    part: Option<String>,
    erased: Option<Hash>,
}

/// See the module.
pub struct Exported {
    path: PathBuf,
    lines: BufReader<File>,
    number: u64,
    /// Bytes read so far.
    read: u64,
    /// An entry whose parts are still to come.
    open: Option<StoredEntry>,
    /// The entry that comes next.
    next: u64,
}

impl Exported {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, Untaken> {
        let file = File::open(path).map_err(|e| Untaken::Fault(format!("{}: {e}", path.display())))?;
        Ok(Self { path: path.into(), lines: BufReader::new(file), number: 0, read: 0, open: None, next: 0 })
    }

    /// Where the checkpoint of an export stands.
    pub fn checkpoint_path(path: &Path) -> PathBuf {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".checkpoint");
        path.with_file_name(name)
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Untaken {
        refused(format!("{}, line {}: {what}", self.path.display(), self.number))
    }

    /// The next line, without its end; `None` at the end of the file.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Untaken> {
        self.number += 1;
        let mut line = vec![];
        let mut some = std::io::Read::take(&mut self.lines, LONGEST);
        let read = some.read_until(b'\n', &mut line);
        let read = read.map_err(|e| Untaken::Fault(format!("{}: {e}", self.path.display())))?;
        self.read += read as u64;
        match read {
            0 => Ok(None),
            _ if line.pop() == Some(b'\n') => Ok(Some(line)),
            _ => Err(self.wrong("it is cut off, or longer than any line of an export")),
        }
    }

    /// The next entry with all its parts.
    fn entry(&mut self) -> Result<Option<StoredEntry>, Untaken> {
        loop {
            let Some(line) = self.line()? else { return Ok(self.open.take()) };
            if line.starts_with(b"{\"seq\":") {
                let part: PartLine = serde_json::from_slice(&line).map_err(|e| self.wrong(e))?;
                let is_next =
                    |entry: &&mut StoredEntry| (part.seq, part.index) == (entry.seq, entry.parts.len());
                let Some(entry) = self.open.as_mut().filter(is_next) else {
                    return Err(self.wrong("a part that does not follow what stands before it"));
                };
                entry.parts.push(match (part.part, part.erased) {
                    (Some(text), None) => StoredPart::Whole(text.into_bytes()),
                    (None, Some(leaf)) => StoredPart::Erased(leaf),
                    _ => return Err(self.wrong("either `part` or `erased` is wanted")),
                });
                continue;
            }
            let seq = Envelope::decode(&line).map_err(|e| self.wrong(e))?.seq;
            let before = self.open.replace(StoredEntry { seq, envelope: line, parts: vec![], beside: None });
            if before.is_some() {
                return Ok(before);
            }
        }
    }
}

impl Mirror for Exported {
    fn read(&mut self, from: u64) -> Result<Vec<StoredEntry>, Untaken> {
        if from < self.next {
            *self = Self::open(&self.path.clone())?;
        }
        let (mut page, begun) = (vec![], self.read);
        while page.len() < PAGE
            && (page.is_empty() || self.read - begun < PAGE_BYTES)
            && let Some(entry) = self.entry()?
        {
            self.next = entry.seq.saturating_add(1);
            if entry.seq >= from {
                page.push(entry);
            }
        }
        Ok(page)
    }

    fn checkpoint(&self) -> Option<String> {
        std::fs::read_to_string(Self::checkpoint_path(&self.path)).ok()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}
