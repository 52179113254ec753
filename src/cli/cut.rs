//! The log up to an entry, as reports read it: its events in order, and the checkpoint that names it.

use super::context::{CliError, Context};
use super::folder::{Folder, bar};
use crate::formats;
use crate::reading::{self, Fault};
use std::fs::File;
use std::io::Write;
use std::path::Path;

impl From<Fault> for CliError {
    fn from(e: Fault) -> Self {
        match e {
            Fault::Damaged(_) => Self::Refused(e.to_string()),
            fault => Self::fault(fault),
        }
    }
}

/// The cut at the entry `to`, or at the newest, with entries told from `from` on.
pub(super) fn cut(folder: &Folder, from: u64, to: Option<u64>) -> Result<formats::Cut, CliError> {
    let found = reading::cut(&*folder.read, &folder.hashes, &folder.genesis.origin, from, to)?;
    let size = folder.read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
    let wrong = || format!("the log has {size} entries: --from and --to are two of them, in order");
    found.ok_or_else(|| CliError::usage(wrong()))
}

/// Does something that reads entries 0 to `last` in order, and shows how far it is.
pub(super) fn watched<T>(
    last: u64,
    work: impl FnOnce(&mut dyn FnMut(u64)) -> Result<T, Fault>,
) -> Result<T, CliError> {
    let bar = bar();
    bar.set_length(last.saturating_add(1));
    let done = work(&mut |next| bar.set_position(next));
    bar.finish_and_clear();
    Ok(done?)
}

/// Writes a report to a file, which appears when it is whole, or to standard output.
pub(super) fn deliver(bytes: &[u8], out: Option<&Path>, context: &mut Context<'_>) -> Result<(), CliError> {
    let Some(path) = out else { return Ok(context.out.write_all(bytes)?) };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let put = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    put().map_err(|e| CliError::fault(format!("{}: {e}", path.display())))
}
