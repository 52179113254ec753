//! The log up to an entry, as reports read it: its events in order, and the checkpoint that names it.

use super::context::{CliError, Context};
use super::folder::{Folder, bar};
use crate::engine::open_entry;
use crate::formats;
use crate::log::{Checkpoint, Envelope, root_at};
use crate::machine::Event;
use crate::types::Malformed;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Entries and bytes read at a time.
const PAGE: usize = 2_048;
const PAGE_BYTES: usize = 8 << 20;

/// The cut at the entry `to`, or at the newest, with entries told from `from` on.
pub(super) fn cut(folder: &Folder, from: u64, to: Option<u64>) -> Result<formats::Cut, CliError> {
    let size = folder.read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
    let seq = to.unwrap_or(size.saturating_sub(1));
    if seq >= size || from > seq {
        return Err(CliError::usage(format!(
            "the log has {size} entries: --from and --to are two of them, in order"
        )));
    }
    let size = seq.saturating_add(1);
    let root = root_at(size, &folder.hashes)
        .map_err(|e| CliError::fault(format!("the root over {size} entries: {e:?}")))?;
    let origin = folder.genesis.origin.clone();
    let checkpoint = Checkpoint { origin: origin.clone(), size, root }.text();
    Ok(formats::Cut { origin, from, seq, checkpoint })
}

/// Gives the events of entries 0 to `last` in order.
pub(super) fn events(
    folder: &Folder,
    last: u64,
    mut each: impl FnMut(&Event) -> Result<(), Malformed>,
) -> Result<(), CliError> {
    let bar = bar();
    bar.set_length(last.saturating_add(1));
    let mut next = 0u64;
    while next <= last {
        let left = usize::try_from(last.saturating_sub(next).saturating_add(1)).unwrap_or(usize::MAX);
        let page = folder.read.read(next, left.min(PAGE), PAGE_BYTES)?;
        if page.is_empty() {
            return Err(CliError::Refused(format!("entry {next} is missing from the log")));
        }
        for entry in &page {
            let (envelope, slots) = open_entry(entry).map_err(CliError::fault)?;
            let hash = Envelope::hash(&entry.envelope);
            let event = Event::read(&envelope, hash, &slots);
            let wrong = |e: Malformed| CliError::Refused(format!("entry {}: {e}", entry.seq));
            each(&event.map_err(wrong)?).map_err(wrong)?;
            next = entry.seq.saturating_add(1);
        }
        bar.set_position(next);
    }
    bar.finish_and_clear();
    Ok(())
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
