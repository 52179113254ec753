//! The fork guard: the newest checkpoint that a data folder knows of, held against the log.
//!
//! Owns: what is compared, and what is said when it does not agree.
//! Promises: a log that lacks what was published, or has something else in its place, is found at whatever size it is by
//! now, and the file that proves it stays as it is. It is read once for each checkpoint that somebody else put there; one
//! that this process wrote itself costs nothing.
//! Refuses to know: whether the log or the checkpoint is the true one.

use super::fault;
use crate::engine::{Failure, Guard};
use crate::log::{LogVerifier, Shelf, TILE_WIDTH, TileId, leaf_hash, root_at, vkey};
use crate::machine::Genesis;
use crate::store::Read;
use crate::tiles::Hashes;
use crate::types::Hash;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(super) struct ForkGuard {
    path: PathBuf,
    key: LogVerifier,
    read: Arc<dyn Read>,
    hashes: Hashes,
    /// The checkpoint that the log was found to agree with.
    sound: Mutex<Option<String>>,
}

impl ForkGuard {
    /// Of a data folder and the log that belongs to it.
    pub(super) fn of(
        dir: &Path,
        read: Arc<dyn Read>,
        hashes: Hashes,
        genesis: &Genesis,
    ) -> Result<Self, Failure> {
        let key = vkey(&genesis.origin, genesis.log.as_bytes()).parse().map_err(fault)?;
        Ok(Self { path: dir.join("checkpoint"), key, read, hashes, sound: Mutex::default() })
    }

    fn sound(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log may be another one than it was.
    pub(super) fn forget(&self) {
        *self.sound() = None;
    }

    /// Holds the file against the log. Without a file there is nothing to say.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match std::fs::read_to_string(&self.path) {
            Ok(note) => self.agrees(&note).map_err(fault),
            Err(_) => Ok(()),
        }
    }

    fn agrees(&self, note: &str) -> Result<(), String> {
        let shown = self.path.display();
        let outside = self.key.verify(note).map_err(|e| {
            format!("{shown}: {e}. If the file is damaged and you are sure of the log, remove it.")
        })?;
        let size = self.read.tip().map_err(|e| e.to_string())?.map_or(0, |tip| tip.seq + 1);
        if outside.size > size {
            return Err(format!(
                "the log has {size} entries, but a checkpoint over {} was published: this copy is too old. Restore a \
                 newer one, or give it the entries that it lacks with `tallyhouse recover --from COPY`; nothing was \
                 changed.",
                outside.size
            ));
        }
        if self.sound().as_deref() == Some(note) {
            return Ok(());
        }
        if !is_root(&self.read, &self.hashes, outside.size, outside.root)? {
            return Err(format!(
                "the first {} entries of the log have another root than the checkpoint in {shown} that was published \
                 over them: they were rewritten, or this log is a fork. Keep the file, it proves that. Restore a copy \
                 that agrees with it; nothing was changed.",
                outside.size
            ));
        }
        *self.sound() = Some(note.to_owned());
        Ok(())
    }
}

impl Guard for ForkGuard {
    fn is_genuine(&self, checkpoint: &str, size: u64) -> bool {
        self.key.verify(checkpoint).is_ok_and(|checkpoint| checkpoint.size == size)
    }

    fn gives_way(&self, kept: &str, newer: &str) -> Result<(), String> {
        if self.sound().as_deref() != Some(kept) {
            self.agrees(kept)?;
        }
        *self.sound() = Some(newer.to_owned());
        Ok(())
    }
}

impl fmt::Debug for ForkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForkGuard of {}", self.path.display())
    }
}

/// Whether this is the root over the first `size` entries of the log. Kept hashes shorten it; they may be of the log that
/// stood here before, so the last entry, which the chain ties to all before it, is read; where either differs
/// everything is computed anew.
pub(super) fn is_root(read: &Arc<dyn Read>, hashes: &Hashes, size: u64, root: Hash) -> Result<bool, String> {
    let Some(last) = size.checked_sub(1) else { return Ok(true) };
    let said = |e: crate::store::Fault| e.to_string();
    let envelope = read.read_envelopes(last, 1).map_err(said)?.pop();
    let envelope = envelope.ok_or_else(|| format!("entry {last} of the log is missing"))?;
    let width = last % u64::from(TILE_WIDTH);
    let tile = TileId {
        shelf: Shelf::Hashes(0),
        index: last / u64::from(TILE_WIDTH),
        width: u16::try_from(width).unwrap_or_default() + 1,
    };
    let kept = hashes.tile_bytes(tile).ok().flatten();
    let same = kept.is_some_and(|bytes| bytes.ends_with(&leaf_hash(&envelope.bytes).0));
    if same && root_at(size, hashes).ok() == Some(root) {
        return Ok(true);
    }
    let computed = root_at(size, &Hashes::of_log(read.clone()));
    Ok(computed.map_err(|e| format!("the root over {size} entries cannot be computed: {e}"))? == root)
}
