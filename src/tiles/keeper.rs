//! The follower that keeps the tree's hashes.
//!
//! Owns: the folder's files: `level-0`, `level-1` …, the hashes of each level one after the other, so that
//! a tile is 8,192 bytes at 8,192 times its index; and `cursor`, the last entry that is surely in them.
//! Promises: after a kill it goes on from the cursor, cutting off what was written after it. The cursor
//! moves only after the hashes before it are on the disk; it moves every few thousand entries, since
//! what it lacks is computed within milliseconds.
//! Refuses to know: who reads.

use super::edge::{Edge, levels};
use super::hashes::Hashes;
use super::{Fault, PAGE, put_file};
use crate::log::{Envelope, Frontier, Shelf, TileId, leaf_hash, root_at};
use crate::store::{Place, Read};
use crate::types::{Hash, decode, encode};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many entries may be in the files and not yet under the cursor.
const LOOSE: u64 = 4_096;

/// The cursor as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    seq: u64,
    hash: Hash,
}

/// Where the hashes of a level stand.
pub(super) fn level_file(folder: &Path, level: u8) -> PathBuf {
    folder.join(format!("level-{level}"))
}

/// The folder of tiles in a data folder.
pub(super) fn folder_of(dir: &Path) -> PathBuf {
    dir.join("tiles")
}

/// The last entry that is surely in the files; `None` also where the file cannot be read.
pub(super) fn kept_cursor(folder: &Path) -> Option<Place> {
    let bytes = std::fs::read(folder.join("cursor")).ok()?;
    decode::<Cursor>(&bytes).ok().map(|cursor| Place { seq: cursor.seq, hash: cursor.hash })
}

/// See the module.
pub struct Keeper {
    folder: PathBuf,
    read: Arc<dyn Read>,
    edge: Edge,
    last: Option<Place>,
    /// What the cursor file says, as a size.
    sure: u64,
    /// What readers in this process may take from the files.
    kept: Arc<AtomicU64>,
    files: Vec<File>,
}

impl Keeper {
    /// Opens the tiles of a data folder and brings them to the log's end. What does not fit the log is
    /// made anew.
    pub fn open(dir: &Path, read: Arc<dyn Read>) -> Result<Self, Fault> {
        Self::open_for(dir, read, Arc::default())
    }

    /// The same; whoever reads with these hashes sees what is kept.
    pub fn open_with(dir: &Path, read: Arc<dyn Read>, hashes: &Hashes) -> Result<Self, Fault> {
        Self::open_for(dir, read, hashes.kept())
    }

    fn open_for(dir: &Path, read: Arc<dyn Read>, kept: Arc<AtomicU64>) -> Result<Self, Fault> {
        let folder = folder_of(dir);
        std::fs::create_dir_all(&folder).map_err(Fault::at(&folder))?;
        let edge = Edge::default();
        let mut keeper = Self { folder, read, edge, last: None, sure: 0, kept, files: vec![] };
        if !keeper.resume()? {
            keeper.wipe()?;
        }
        keeper.catch_up()?;
        if !keeper.fits()? {
            keeper.wipe()?;
            keeper.catch_up()?;
        }
        Ok(keeper)
    }

    /// How far it is.
    pub fn cursor(&self) -> Option<Place> {
        self.last
    }

    /// Reads what is kept here, and from the log what is not.
    pub fn hashes(&self) -> Hashes {
        Hashes::live(self.folder.clone(), self.kept.clone(), self.read.clone())
    }

    /// Takes the entries after its cursor through `to`, reading their envelopes from the log.
    pub fn take(&mut self, to: Place) -> Result<(), Fault> {
        while self.edge.size() <= to.seq {
            let wanted = (to.seq + 1 - self.edge.size()).min(u64::from(PAGE) * 4);
            let page = self.read.read_envelopes(self.edge.size(), usize::try_from(wanted).unwrap_or(1))?;
            if page.is_empty() {
                return Err(Fault::Broken(format!("entry {} is missing", self.edge.size())));
            }
            let mut grown: Vec<Vec<u8>> = vec![vec![]];
            for entry in &page {
                if entry.seq != self.edge.size() {
                    return Err(Fault::Broken(format!("entry {} is missing", self.edge.size())));
                }
                self.push(leaf_hash(&entry.bytes), &mut grown);
            }
            self.append(&grown)?;
            self.last = page.last().map(|entry| Place { seq: entry.seq, hash: Envelope::hash(&entry.bytes) });
            self.kept.store(self.edge.size(), Ordering::Release);
        }
        if self.last.is_some_and(|last| last.seq == to.seq && last.hash != to.hash) {
            return Err(Fault::Broken(format!("entry {} is not the one that was committed", to.seq)));
        }
        if self.edge.size() - self.sure >= LOOSE { self.secure() } else { Ok(()) }
    }

    /// Forgets everything.
    pub fn wipe(&mut self) -> Result<(), Fault> {
        self.kept.store(0, Ordering::Release);
        let cursor = self.folder.join("cursor");
        match std::fs::remove_file(&cursor) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Fault::at(&cursor)(e)),
            _ => {}
        }
        self.files.clear();
        (self.edge, self.last, self.sure) = (Edge::default(), None, 0);
        for level in 0..8 {
            let path = level_file(&self.folder, level);
            if path.exists() {
                std::fs::remove_file(&path).map_err(Fault::at(&path))?;
            }
        }
        Ok(())
    }

    fn catch_up(&mut self) -> Result<(), Fault> {
        match self.read.tip()? {
            Some(tip) => {
                self.take(tip.place())?;
                self.secure()
            }
            None => Ok(()),
        }
    }

    /// Stands where the cursor file says; `false` if that cannot be.
    fn resume(&mut self) -> Result<bool, Fault> {
        let Some(cursor) = kept_cursor(&self.folder) else { return Ok(false) };
        let there = self.read.read_envelopes(cursor.seq, 1)?;
        let same =
            |e: &crate::store::Envelope| e.seq == cursor.seq && Envelope::hash(&e.bytes) == cursor.hash;
        if !there.first().is_some_and(same) {
            return Ok(false);
        }
        let size = cursor.seq + 1;
        for (level, count) in levels(size).enumerate() {
            let (path, file) = self.file(level)?;
            let bytes = count * 32;
            if file.metadata().map_err(Fault::at(&path))?.len() < bytes {
                return Ok(false);
            }
            file.set_len(bytes).map_err(Fault::at(&path))?;
        }
        let Some(edge) = Edge::resume(size, |tile| self.tail(tile))? else {
            return Ok(false);
        };
        (self.edge, self.last, self.sure) = (edge, Some(cursor), size);
        self.kept.store(size, Ordering::Release);
        Ok(true)
    }

    /// The hashes of an open tile, from its file.
    fn tail(&mut self, tile: TileId) -> Result<Vec<Hash>, Fault> {
        let Shelf::Hashes(level) = tile.shelf else { return Ok(vec![]) };
        let (path, file) = self.file(usize::from(level))?;
        let mut bytes = vec![0; usize::from(tile.width) * 32];
        file.seek(SeekFrom::Start(tile.index * 8_192)).map_err(Fault::at(&path))?;
        file.read_exact(&mut bytes).map_err(Fault::at(&path))?;
        file.seek(SeekFrom::End(0)).map_err(Fault::at(&path))?;
        Ok(bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok().map(Hash)).collect())
    }

    /// Whether the root over what is kept is the signed one.
    fn fits(&self) -> Result<bool, Fault> {
        let Some(tip) = self.read.tip()?.filter(|tip| tip.seq + 1 == self.edge.size()) else {
            return Ok(true);
        };
        let signed = Frontier::from_bytes(&tip.edge).map_err(|e| Fault::Broken(e.0))?.root();
        Ok(root_at(self.edge.size(), &self.hashes()) == Ok(signed))
    }

    fn push(&mut self, leaf: Hash, grown: &mut Vec<Vec<u8>>) {
        let filled = self.edge.push(leaf);
        let above = filled.iter().map(|tile| (usize::from(tile.level()) + 1, tile.root));
        for (level, hash) in std::iter::once((0, leaf)).chain(above) {
            if grown.len() <= level {
                grown.resize_with(level + 1, Vec::new);
            }
            if let Some(bytes) = grown.get_mut(level) {
                bytes.extend_from_slice(&hash.0);
            }
        }
    }

    fn append(&mut self, grown: &[Vec<u8>]) -> Result<(), Fault> {
        for (level, bytes) in grown.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
            let (path, file) = self.file(level)?;
            file.write_all(bytes).map_err(Fault::at(&path))?;
        }
        Ok(())
    }

    /// Brings the hashes to the disk, and only then the cursor.
    fn secure(&mut self) -> Result<(), Fault> {
        let Some(last) = self.last.filter(|_| self.sure < self.edge.size()) else { return Ok(()) };
        for file in &self.files {
            file.sync_data().map_err(Fault::at(&self.folder))?;
        }
        let cursor = encode(&Cursor { seq: last.seq, hash: last.hash });
        put_file(&self.folder.join("cursor"), &cursor, true)?;
        self.sure = self.edge.size();
        Ok(())
    }

    /// A level's file, with its path for messages.
    fn file(&mut self, level: usize) -> Result<(PathBuf, &mut File), Fault> {
        let path_of = |level| level_file(&self.folder, u8::try_from(level).unwrap_or(u8::MAX));
        while self.files.len() <= level {
            let path = path_of(self.files.len());
            let mut options = OpenOptions::new();
            let file = options.create(true).read(true).append(true).open(&path).map_err(Fault::at(&path))?;
            self.files.push(file);
        }
        let path = path_of(level);
        let missing = || std::io::Error::other("not open");
        match self.files.get_mut(level) {
            Some(file) => Ok((path, file)),
            None => Err(Fault::at(&path)(missing())),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // What the cursor lacks after a failure here is computed again.
        let _ = self.secure();
    }
}
