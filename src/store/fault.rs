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
    /// Another writer holds the folder.
    #[error("{0} is in use: another writer holds the folder. Stop that one first, or open it for reading.")]
    InUse(PathBuf),
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
    /// Whether the database is away: the same may be asked again when it is back.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
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
