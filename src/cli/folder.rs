//! A data folder as the reading verbs see it: the log, its key, and how work on it is shown.

use super::context::{CliError, Context};
use crate::app::genesis_of;
use crate::log::{LogVerifier, vkey};
use crate::machine::Genesis;
use crate::store::Read;
use crate::tiles::{self, Hashes};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;

impl From<tiles::Fault> for CliError {
    fn from(e: tiles::Fault) -> Self {
        match e {
            tiles::Fault::Absent(_) => Self::usage(e),
            tiles::Fault::Broken(_) | tiles::Fault::Foreign { .. } => Self::Refused(e.to_string()),
            tiles::Fault::File { .. } | tiles::Fault::Store(_) => Self::fault(e),
        }
    }
}

/// A data folder that is read, whether or not its writer is at work.
pub(super) struct Folder {
    /// Log and state.
    pub(super) read: Arc<dyn Read>,
    /// Entry 0.
    pub(super) genesis: Genesis,
    /// What checks the log's own checkpoints.
    pub(super) log: LogVerifier,
    /// The log's verifier key, as text.
    pub(super) vkey: String,
    /// The tree's hashes.
    pub(super) hashes: Hashes,
}

impl Folder {
    /// Opens it for reading only.
    pub(super) fn open(context: &Context<'_>) -> Result<Self, CliError> {
        let home = context.network()?;
        let read = home.read()?;
        let hashes = Hashes::open(home.dir(), read.clone());
        Self::of(read, hashes)
    }

    /// The same of a log that is open.
    pub(super) fn of(read: Arc<dyn Read>, hashes: Hashes) -> Result<Self, CliError> {
        let genesis = genesis_of(&*read).map_err(CliError::fault)?;
        let genesis = genesis.ok_or_else(|| CliError::fault("the log is empty"))?;
        let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
        let log = vkey.parse().map_err(|e| CliError::fault(format!("entry 0: {e}")))?;
        Ok(Self { read, genesis, log, vkey, hashes })
    }
}

/// A bar on standard error; nothing where that is not a terminal.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
    match ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} entries, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
