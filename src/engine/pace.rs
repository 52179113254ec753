//! Pace: how an engine runs, and how far everybody in it is.
//!
//! Owns: the numbers. Promises: nothing; they are kept where they are used. Refuses to know: what runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How an engine runs.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Commands that may wait in the queue.
    pub queue: usize,
    /// Commands in one commit.
    pub max_batch: usize,
    /// Lines of batches in one commit.
    pub max_lines: usize,
    /// Changed records that may wait for state; beyond it the writer waits.
    pub pinned_rows: usize,
    /// Changed records in one run of a follower; at most half of `pinned_rows`.
    pub rows_per_run: usize,
    /// How long a follower lets changes gather before it writes fewer than that.
    pub linger: Duration,
    /// How long a wait for followers may take before commands are answered "unavailable".
    pub patience: Duration,
    /// How often the newest checkpoint is written beside the database.
    pub publish: Duration,
    /// Where it is written.
    pub checkpoint: PathBuf,
    /// Asked before that; `None`: a newer one always replaces an older.
    pub guard: Option<Arc<dyn Guard>>,
    /// Accounts kept at hand for readers.
    pub balances: usize,
}

/// Looks at checkpoints before they are believed.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Whether the log's key signed it, over so many entries. Whoever can write to the database cannot sign.
    fn is_genuine(&self, checkpoint: &str, size: u64) -> bool;

    /// Whether `kept`, which stands in the file, may give way to a newer one.
    ///
    /// # Errors
    /// The log does not agree with what is kept.
    fn gives_way(&self, kept: &str, newer: &str) -> Result<(), String>;
}

/// How far everybody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Entries committed.
    pub committed: u64,
    /// Entries that state shows.
    pub state: u64,
    /// Entries that the slowest other follower shows.
    pub views: u64,
    /// Entries of the log, as far as this node knows: more than `committed` where another node writes and this one has
    /// not read them all.
    pub end: u64,
}
