//! A data folder as the reading verbs see it: the log, its key, and how work on it is shown.

use super::context::{CliError, Context};
use crate::app::genesis_of;
use crate::book::Name;
use crate::log::{LogVerifier, vkey};
use crate::machine::Genesis;
use crate::store::Read;
use crate::tiles::{self, Hashes};
use crate::types::Currency;
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

/// Most names that are told when there is none of a name.
const MOST_NAMED: usize = 20;

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

    /// Refuses a currency that is none of the network's.
    pub(super) fn trades_in(&self, currency: Currency) -> Result<(), CliError> {
        let known: Vec<&str> = self.genesis.currencies.iter().map(|one| one.code.as_str()).collect();
        if known.contains(&currency.as_str()) {
            return Ok(());
        }
        let about = format!("{currency} is not a currency of the network; there is {}", known.join(", "));
        Err(CliError::usage(about))
    }

    /// Refuses the name of what nobody registered: an empty report would say that there was nothing.
    pub(super) fn knows(&self, name: &Name) -> Result<(), CliError> {
        if !self.read.load(&[name.to_string()])?.rows.is_empty() {
            return Ok(());
        }
        let name = name.to_string();
        let (what, id) = name.rsplit_once('/').unwrap_or(("record", &name));
        let prefix = format!("{what}/");
        let rows = self.read.scan(&prefix, MOST_NAMED.saturating_add(1))?.rows;
        let known: Vec<&str> = rows.iter().filter_map(|row| row.key.strip_prefix(&prefix)).collect();
        let more = if known.len() > MOST_NAMED { ", …" } else { "" };
        let known = known.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        Err(CliError::usage(format!("there is no {what} {id}; there is {known}{more}")))
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
