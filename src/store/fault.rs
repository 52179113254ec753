//! What can break in the store, said so that an operator knows what and where.
//!
//! Owns: the faults, and the two refusals of the compare-and-swap.
//! Promises: every fault names the file, folder or database that it is about, unless the caller's data is at fault.
//! Refuses to know: what to do about it.

use std::io;
use std::path::PathBuf;

/// Something broke, or was not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another writer holds the folder, or the log of a database.
    #[error(
        "{path} is in use: another writer holds it, {holder}. Stop that one first, or open it for reading."
    )]
    InUse {
        /// The folder or database.
        path: PathBuf,
        /// Who that is, as far as it can be told.
        holder: String,
    },
    /// The folder, its lock or a path could not be used.
    #[error("{path}: {source}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not ours, not readable as a database, or of another version.
    #[error("{path} cannot be used: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// The database cannot be reached, or was lost in the midst of something, whose outcome is unknown then.
    #[error("{path}: {why}")]
    Unreachable {
        /// The database.
        path: PathBuf,
        /// What was said instead.
        why: String,
    },
    /// The database refused or broke off. After a fault in `append` or `put` the outcome is unknown:
    /// read the tip or the cursor again.
    #[error("{path}: could not {doing}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: diesel::result::Error,
    },
    /// The database's account may not do what was asked for. Nothing was changed; it works once it may.
    #[error("{path}: could not {doing}: {why}; {remedy}")]
    Forbidden {
        /// The database.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        why: String,
        /// Which grants are missing, and what makes them.
        remedy: String,
    },
    /// Somebody put rows behind the end of the log. Nothing was appended, and nothing will be while they are there.
    #[error("{path}: {stray}")]
    Stray {
        /// The file or database.
        path: PathBuf,
        /// The first of them.
        stray: Stray,
    },
    /// What was read is not what can have been written.
    #[error("{path} is damaged at {at}: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The place in it: a seq, a part, a key.
        at: String,
        /// What is wrong there.
        why: String,
    },
    /// The caller's data cannot be kept as it is. Nothing was written.
    #[error("the store cannot keep this: {0}")]
    Unfit(String),
}

impl Fault {
    /// Whether the database is away, or closed to this account: the same may be asked again when it is back.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Forbidden { .. })
    }
}

/// A row that stands behind the tip of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stray {
    /// Its table in the log: `entry` or `parts`.
    pub table: &'static str,
    /// The entry that it would be, or be a part of.
    pub seq: u64,
}

impl std::fmt::Display for Stray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, seq } = self;
        write!(
            f,
            "the table {table} of the log has a row of entry {seq}, behind the tip, where no writer put it; nothing is \
             appended until it is gone (OPERATIONS.md: Rows behind the end of the log)"
        )
    }
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The tip is not where the caller believes it is: somebody else writes. Nothing was written.
    #[error("the log's tip has moved: another writer took over")]
    Deposed,
    /// Something broke; unless it is [`Fault::Unfit`] the outcome is unknown.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a put did not happen.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The cursor is not where the caller believes it is. Nothing was written.
    #[error("the cursor has moved: another follower was here")]
    Stale,
    /// Something broke; unless it is [`Fault::Unfit`] the outcome is unknown.
    #[error(transparent)]
    Fault(#[from] Fault),
}
