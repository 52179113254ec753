//! The public log as a folder of static files, in the layout of C2SP tlog-tiles: what any web server can
//! serve and anybody can check.
//!
//! Owns: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`, and beside the folder its key.
//! Promises: the same log gives the same bytes; the checkpoint is put into place last, when all that it
//! covers is there; a tile that stands there is never changed, and a folder of another log never
//! touched. Memory for two bundles and the edge of the tree.
//! Refuses to know: parts. Only envelopes are public.

use super::edge::{Edge, Filled};
use super::hashes::checkpoint_of;
use super::{Fault, PAGE, put_file};
use crate::log::{Checkpoint, EMPTY_ROOT, LogVerifier, Shelf, TileId, bundle, leaf_hash, root_of};
use crate::store::Read;
use crate::types::Hash;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a public folder came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The entries it shows.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Files that were written; those that stood there already are not counted.
    pub written: u64,
    /// Where the log's verifier key is: beside the folder, since a verifier must not take the key from
    /// what it checks.
    pub vkey: PathBuf,
}

/// Writes the log, or what is new of it, into a folder. `progress` is told how many entries are done,
/// and of how many.
pub fn publish(
    read: &dyn Read,
    log: &LogVerifier,
    vkey: &str,
    folder: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Site, Fault> {
    let tip = read.tip()?.ok_or_else(|| Fault::Absent("the log is empty: there is no checkpoint".into()))?;
    let checkpoint = checkpoint_of(&tip, log)?;
    let earlier = earlier(folder, log, &checkpoint)?;
    let mut work = Work { folder, made: BTreeSet::new(), written: 0, edge: Edge::default(), earlier };
    while work.edge.size() < checkpoint.size {
        work.bundle(read, checkpoint.size)?;
        progress(work.edge.size(), checkpoint.size);
    }
    let root = work.finish()?;
    if root != checkpoint.root {
        return Err(Fault::Broken(format!(
            "the root over {} entries is not the signed one",
            checkpoint.size
        )));
    }
    let mut written = work.written;
    let place = folder.join("checkpoint");
    if content(&place)?.as_deref() != Some(tip.checkpoint.as_bytes()) {
        put_file(&place, tip.checkpoint.as_bytes(), true)?;
        written += 1;
    }
    let key = key_file(folder);
    if content(&key)?.as_deref() != Some(vkey.as_bytes()) {
        put_file(&key, vkey.as_bytes(), false)?;
    }
    Ok(Site { size: checkpoint.size, root, written, vkey: key })
}

/// `<folder>.vkey`
fn key_file(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".vkey");
    folder.with_file_name(name)
}

/// The checkpoint that the folder shows now. One that is not of this log, or of a longer one, ends it.
fn earlier(folder: &Path, log: &LogVerifier, now: &Checkpoint) -> Result<Option<Checkpoint>, Fault> {
    let place = folder.join("checkpoint");
    let foreign = |why: String| Fault::Foreign { path: place.clone(), why };
    let Some(note) = content(&place)? else { return Ok(None) };
    let earlier = log
        .verify(&String::from_utf8_lossy(&note))
        .map_err(|e| foreign(format!("is not a checkpoint of this log ({e}); choose another folder")))?;
    if earlier.size > now.size {
        let (then, now) = (earlier.size, now.size);
        return Err(foreign(format!(
            "shows {then} entries, the log has {now}: the data folder is an old copy"
        )));
    }
    Ok(Some(earlier))
}

/// A file's bytes, or `None` where there is no such file.
fn content(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fault::at(path)(e)),
    }
}

struct Work<'a> {
    folder: &'a Path,
    /// Folders that are there.
    made: BTreeSet<PathBuf>,
    written: u64,
    edge: Edge,
    earlier: Option<Checkpoint>,
}

impl Work<'_> {
    /// The next bundle of entries, and the tiles that it fills.
    fn bundle(&mut self, read: &dyn Read, size: u64) -> Result<(), Fault> {
        let first = self.edge.size();
        let width = PAGE.min(u16::try_from(size - first).unwrap_or(PAGE));
        let page = read.read_envelopes(first, width.into())?;
        let expected = (first..).take(width.into());
        if !page.iter().map(|entry| entry.seq).eq(expected) {
            return Err(Fault::Broken(format!("one of the entries from {first} on is missing")));
        }
        let bytes = bundle(page.iter().map(|e| e.bytes.as_slice())).map_err(|e| Fault::Broken(e.0))?;
        self.tile(TileId { shelf: Shelf::Entries, index: first / 256, width }, &bytes)?;
        for entry in &page {
            self.compare()?;
            for Filled { id, hashes, .. } in self.edge.push(leaf_hash(&entry.bytes)) {
                self.tile(id, &concat(&hashes))?;
            }
        }
        self.compare()
    }

    /// The partial tiles; returns the root.
    fn finish(&mut self) -> Result<Hash, Fault> {
        let partial: Vec<_> = self.edge.partial().map(|(id, hashes)| (id, concat(hashes))).collect();
        for (id, bytes) in partial {
            self.tile(id, &bytes)?;
        }
        Ok(root(&self.edge))
    }

    /// Where the folder's old checkpoint stands the root must be the one it shows.
    fn compare(&self) -> Result<(), Fault> {
        match &self.earlier {
            Some(shown) if shown.size == self.edge.size() && shown.root != root(&self.edge) => {
                Err(Fault::Foreign {
                    path: self.folder.join("checkpoint"),
                    why: format!("shows another root over the first {} entries than the log has", shown.size),
                })
            }
            _ => Ok(()),
        }
    }

    /// Puts a tile into place, or sees that it stands there.
    fn tile(&mut self, id: TileId, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.folder.join(id.to_string());
        match content(&path)? {
            Some(there) if there == bytes => return Ok(()),
            Some(_) => {
                let why = "is not what the log says, and a tile never changes; remove it and export again";
                return Err(Fault::Foreign { path, why: why.into() });
            }
            None => {}
        }
        if let Some(parent) = path.parent().filter(|parent| !self.made.contains(*parent)) {
            std::fs::create_dir_all(parent).map_err(Fault::at(parent))?;
            self.made.insert(parent.to_owned());
        }
        put_file(&path, bytes, false)?;
        self.written += 1;
        Ok(())
    }
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The root over all leaves of an edge: what is left open on each level, the higher levels to the left.
fn root(edge: &Edge) -> Hash {
    // On each level the open tile is followed by the root over what is open below it, if anything is.
    let open: Vec<&[Hash]> = edge.open_tiles().collect();
    let joined = open.into_iter().fold(None, |below: Option<Hash>, hashes| {
        let mut level = hashes.to_vec();
        level.extend(below);
        if level.is_empty() { None } else { Some(root_of(&level)) }
    });
    joined.unwrap_or(EMPTY_ROOT)
}
