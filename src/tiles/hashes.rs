//! Reading the tree's hashes, and proofs.
//!
//! Owns: where a hash comes from: the files as far as they go, else the envelopes.
//! Promises: an answer for every place in the log, with the files, with a part of them, or without; a
//! proof that holds, or an error.
//! Refuses to know: who may have a proof.

use super::keeper::{folder_of, kept_cursor, level_file};
use super::{Fault, PAGE};
use crate::log::{
    Checkpoint, LogVerifier, NoPath, Proof, Shelf, Slot, TILE_WIDTH, TileId, TileSource, Unproven, bundle,
    inclusion, leaf_hash, root_of,
};
use crate::store::{Read, StoredPart, TipRecord};
use crate::types::Hash;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle for reading; cheap to clone.
#[derive(Clone)]
pub struct Hashes {
    folder: PathBuf,
    /// So many leaves, and what follows from them, may be taken from the files.
    kept: Arc<AtomicU64>,
    read: Arc<dyn Read>,
}

impl Hashes {
    /// Of a data folder, whether or not its writer is at work and tiles are kept there.
    pub fn open(dir: &Path, read: Arc<dyn Read>) -> Self {
        let folder = folder_of(dir);
        let kept = kept_cursor(&folder).map_or(0, |place| place.seq + 1);
        Self { folder, kept: Arc::new(AtomicU64::new(kept)), read }
    }

    /// Of a log for which nothing is kept: everything is computed from the envelopes.
    pub fn of_log(read: Arc<dyn Read>) -> Self {
        Self { folder: PathBuf::new(), kept: Arc::default(), read }
    }

    /// What the keeper counts.
    pub(super) fn kept(&self) -> Arc<AtomicU64> {
        self.kept.clone()
    }

    /// In the process of the keeper.
    pub(super) fn live(folder: PathBuf, kept: Arc<AtomicU64>, read: Arc<dyn Read>) -> Self {
        Self { folder, kept, read }
    }

    /// The bytes of a tile of either sort, as C2SP tlog-tiles lays them out; `None` if the log is not
    /// that long.
    pub fn tile_bytes(&self, id: TileId) -> Result<Option<Vec<u8>>, Fault> {
        let size = self.read.tip()?.map_or(0, |tip| tip.seq + 1);
        let level = match id.shelf {
            Shelf::Entries => 0,
            Shelf::Hashes(level) => level,
        };
        let has = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let end = id.index.checked_mul(256).and_then(|first| first.checked_add(u64::from(id.width)));
        if id.width == 0 || id.width > TILE_WIDTH || end.is_none_or(|end| end > has) {
            return Ok(None);
        }
        match id.shelf {
            Shelf::Entries => self.entries(id.index, id.width).map(Some),
            Shelf::Hashes(level) => {
                let hashes = self.level(level, id.index * 256, usize::from(id.width))?;
                Ok(Some(hashes.iter().flat_map(|hash| hash.0).collect()))
            }
        }
    }

    fn entries(&self, index: u64, width: u16) -> Result<Vec<u8>, Fault> {
        let page = envelopes(&*self.read, index * 256, usize::from(width))?;
        bundle(page.iter().map(Vec::as_slice)).map_err(|e| Fault::Broken(e.0))
    }

    /// `count` hashes of a level from one on; the log has them.
    fn level(&self, level: u8, from: u64, count: usize) -> Result<Vec<Hash>, Fault> {
        let mut hashes = self.on_disk(level, from, count);
        match level.checked_sub(1) {
            None => {
                while hashes.len() < count {
                    let next = from + hashes.len() as u64;
                    let page = envelopes(&*self.read, next, (count - hashes.len()).min(PAGE.into()))?;
                    hashes.extend(page.iter().map(|envelope| leaf_hash(envelope)));
                }
            }
            Some(below) => {
                while hashes.len() < count {
                    let next = from + hashes.len() as u64;
                    hashes.push(root_of(&self.level(below, next * 256, usize::from(TILE_WIDTH))?));
                }
            }
        }
        Ok(hashes)
    }

    /// As many of these hashes as the level's file surely has; a file that is gone or cut has none.
    fn on_disk(&self, level: u8, from: u64, count: usize) -> Vec<Hash> {
        let kept = self.kept.load(Ordering::Acquire).checked_shr(8 * u32::from(level)).unwrap_or(0);
        let have = usize::try_from(kept.saturating_sub(from)).unwrap_or(usize::MAX).min(count);
        if have == 0 {
            return vec![];
        }
        let read = || {
            let mut file = std::fs::File::open(level_file(&self.folder, level))?;
            file.seek(SeekFrom::Start(from * 32))?;
            let mut bytes = vec![0; have * 32];
            file.read_exact(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().unwrap_or_default();
        bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok().map(Hash)).collect()
    }
}

impl TileSource for Hashes {
    /// A fault of the store is told as a missing tile.
    fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
        self.tile_bytes(TileId { shelf: Shelf::Hashes(level), index, width }).ok().flatten()
    }
}

/// Exactly these envelopes.
fn envelopes(read: &dyn Read, from: u64, count: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let page = read.read_envelopes(from, count)?;
    let expected = (from..).take(count);
    if page.len() != count || !page.iter().map(|entry| entry.seq).eq(expected) {
        return Err(Fault::Broken(format!("an entry of {from} to {} is missing", from + count as u64 - 1)));
    }
    Ok(page.into_iter().map(|entry| entry.bytes).collect())
}

/// A proof that an entry stands in the log as of its newest checkpoint, showing these of its parts.
///
/// `log` is the log's own key; the proof is checked under it before it is returned, so a damaged tile or
/// envelope is an error here and not a surprise for whoever gets the proof.
pub fn prove(hashes: &Hashes, log: &LogVerifier, seq: u64, parts: &Parts) -> Result<Proof, Fault> {
    let read = &*hashes.read;
    let tip = read.tip()?.ok_or_else(|| Fault::Absent("the log is empty".into()))?;
    let size = checkpoint_of(&tip, log)?.size;
    if seq >= size {
        return Err(Fault::Absent(format!("there is no entry {seq}; the last is {}", size - 1)));
    }
    let envelope = envelopes(read, seq, 1)?.pop().unwrap_or_default();
    let slots: Vec<Slot> = read.read_parts(seq)?.into_iter().map(slot).collect();
    let own = match parts {
        Parts::None => vec![],
        Parts::All => whole(&slots),
        Parts::These(places) => places.clone(),
    };
    let path = inclusion(seq, size, hashes).map_err(|e| match e {
        NoPath::Outside => Fault::Absent(format!("there is no entry {seq}")),
        NoPath::Missing(tile) => Fault::Broken(format!("{tile} could not be made")),
    })?;
    let proof = Proof::make(&envelope, path, &slots, &own, &tip.checkpoint).map_err(|e| unmade(seq, e))?;
    match proof.verify(log) {
        Ok(_) => Ok(proof),
        Err(e) if hashes.kept.load(Ordering::Acquire) > 0 => Err(Fault::Foreign {
            path: hashes.folder.clone(),
            why: format!("does not fit the log (entry {seq}, {e}); remove it, it is made again"),
        }),
        Err(e) => Err(Fault::Broken(format!("entry {seq}: {e}"))),
    }
}

/// Only what is said of a part is the caller's affair.
fn unmade(seq: u64, why: Unproven) -> Fault {
    let text = format!("entry {seq}: {why}");
    if matches!(why, Unproven::Part(..)) { Fault::Absent(text) } else { Fault::Broken(text) }
}

/// Which parts of an entry a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// None: the envelope alone.
    None,
    /// All that were not erased.
    All,
    /// Those at these places, in rising order.
    These(Vec<u32>),
}

/// The checkpoint stored with the tip, checked.
pub(super) fn checkpoint_of(tip: &TipRecord, log: &LogVerifier) -> Result<Checkpoint, Fault> {
    let checkpoint =
        log.verify(&tip.checkpoint).map_err(|e| Fault::Broken(format!("its newest checkpoint: {e}")))?;
    if checkpoint.size == tip.seq + 1 {
        Ok(checkpoint)
    } else {
        Err(Fault::Broken("its newest checkpoint is of another size".into()))
    }
}

fn slot(part: StoredPart) -> Slot {
    match part {
        StoredPart::Whole(bytes) => Slot::Whole(bytes),
        StoredPart::Erased(leaf) => Slot::Erased(leaf),
    }
}

fn whole(slots: &[Slot]) -> Vec<u32> {
    let places = (0u32..).zip(slots);
    places.filter(|(_, slot)| matches!(slot, Slot::Whole(_))).map(|(place, _)| place).collect()
}
