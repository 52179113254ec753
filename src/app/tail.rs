//! The tail of a log, taken over from another copy of it.
//!
//! Owns: the comparison of two copies of one log, and what the shorter one is given.
//! Promises: nothing is appended that a checkpoint does not cover which the log's key signed. Each entry follows the one
//! before, each part is the one that its entry commits to, and the root is the signed one: all of that is known
//! before the first entry is written. The newest such checkpoint stands in the folder before that, so that a copy that was
//! not finished is not opened.
//! Refuses to know: what entries mean; whoever verifies decides them again.

use super::fork::is_root;
use crate::engine::{Failure, open_entry};
use crate::log::{Chain, Checkpoint, Envelope, Frontier, LogVerifier, PartsRef, Tip};
use crate::store::{Faces, Log, Place, Read, StoredEntry, TipRecord};
use crate::tiles::Hashes;
use crate::types::Hash;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Entries appended in one commit at most, and bytes.
const CHUNK: usize = 1_000;
const CHUNK_BYTES: usize = 8 << 20;

/// Another copy of a log, with all its parts.
pub trait Mirror {
    /// Some entries from `from` on, in order; none if it ends there.
    fn read(&mut self, from: u64) -> Result<Vec<StoredEntry>, Untaken>;

    /// A signed checkpoint over its entries, if it has one.
    fn checkpoint(&self) -> Option<String>;

    /// What people call it.
    fn name(&self) -> String;
}

/// A mirror that is a store.
pub struct StoreMirror {
    name: String,
    read: Arc<dyn Read>,
    tip: Option<TipRecord>,
}

impl StoreMirror {
    /// The log of a store as it is now.
    pub fn of(name: String, read: Arc<dyn Read>) -> Result<Self, Untaken> {
        let tip = read.tip()?;
        Ok(Self { name, read, tip })
    }
}

impl Mirror for StoreMirror {
    fn read(&mut self, from: u64) -> Result<Vec<StoredEntry>, Untaken> {
        Ok(self.read.read(from, CHUNK, CHUNK_BYTES)?)
    }

    fn checkpoint(&self) -> Option<String> {
        self.tip.as_ref().map(|tip| tip.checkpoint.clone())
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// The two are not copies of one log, or something in it is not what was signed. Nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Something broke.
    #[error("{0}")]
    Fault(String),
}

impl From<crate::store::Fault> for Untaken {
    fn from(fault: crate::store::Fault) -> Self {
        Self::Fault(fault.to_string())
    }
}

impl From<Failure> for Untaken {
    fn from(failure: Failure) -> Self {
        Self::Fault(failure.to_string())
    }
}

impl From<crate::vault::Fault> for Untaken {
    fn from(fault: crate::vault::Fault) -> Self {
        Self::Fault(fault.to_string())
    }
}

pub(super) fn refused(why: impl std::fmt::Display) -> Untaken {
    Untaken::Refused(why.to_string())
}

/// What was taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Entries that were there before.
    pub before: u64,
    /// Entries that are there now.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Entries that the checkpoint in the folder covers: if it is more, this copy is older than what was published.
    pub published: u64,
}

/// Signed checkpoints of one log, by size: the name of each, what it says, its text.
pub(super) struct Signed {
    log: LogVerifier,
    all: BTreeMap<u64, (String, Checkpoint, String)>,
}

impl Signed {
    /// None yet; those that come must be signed by this key.
    pub(super) fn by(log: LogVerifier) -> Self {
        Self { log, all: BTreeMap::new() }
    }

    /// Adds one.
    pub(super) fn add(&mut self, name: String, note: String) -> Result<(), Untaken> {
        let checkpoint = self.log.verify(&note).map_err(|e| refused(format!("{name}: {e}")))?;
        match self.all.get(&checkpoint.size) {
            Some((other, known, _)) if known.root != checkpoint.root => Err(refused(format!(
                "{name} and {other} are signed over {} entries and name two roots: the log was forked. Keep both",
                checkpoint.size
            ))),
            Some(_) => Ok(()),
            None => {
                self.all.insert(checkpoint.size, (name, checkpoint, note));
                Ok(())
            }
        }
    }

    /// The size of the newest.
    fn most(&self) -> u64 {
        self.all.last_key_value().map_or(0, |(size, _)| *size)
    }

    /// Compares what was signed over the entries that a chain has.
    fn check(&self, chain: &Chain) -> Result<bool, Untaken> {
        let Some((name, checkpoint, _)) = self.all.get(&chain.next_seq()) else { return Ok(false) };
        if checkpoint.root == chain.root() {
            return Ok(true);
        }
        Err(refused(format!(
            "the root over {} entries is {}, and {name} is signed over {}: something before that was changed",
            checkpoint.size,
            chain.root(),
            checkpoint.root
        )))
    }
}

impl Signed {
    /// Compares what was signed over fewer entries than a log has.
    fn check_older(&self, size: u64, read: &Arc<dyn Read>) -> Result<(), Untaken> {
        for (name, checkpoint, _) in self.all.range(..size).map(|(_, one)| one) {
            let hashes = Hashes::of_log(read.clone());
            if !is_root(read, &hashes, checkpoint.size, checkpoint.root).map_err(Untaken::Fault)? {
                return Err(refused(format!(
                    "the first {} entries of this log have another root than {name}, which is signed over them: it is a \
                     fork, or something was changed. Begin with a copy that agrees with it. Nothing was changed",
                    checkpoint.size
                )));
            }
        }
        Ok(())
    }
}

/// Takes an entry onto the chain, if it follows and its parts are those that it commits to.
fn check(chain: &mut Chain, entry: &StoredEntry, mirror: &str) -> Result<(), Untaken> {
    let (seq, envelope) = (chain.next_seq(), chain.accept(&entry.envelope));
    let envelope = envelope.map_err(|e| refused(format!("{mirror} is no copy of this log: {e}")))?;
    let (_, slots) = open_entry(entry)?;
    let parts = PartsRef::of(&slots).map_err(|e| refused(format!("{mirror}: entry {seq}: {e}")))?;
    if entry.seq != seq || parts != envelope.parts {
        return Err(refused(format!("{mirror}: the parts of entry {seq} are not those that it commits to")));
    }
    Ok(())
}

/// The chain as far as a log has it.
fn resume(log: &mut dyn Log, read: &dyn Read) -> Result<Chain, Untaken> {
    let Some(tip) = log.tip()? else { return Ok(Chain::start()) };
    let broken =
        |what: &dyn std::fmt::Display| refused(format!("the log is broken at entry {}: {what}", tip.seq));
    let last = read.read_envelopes(tip.seq, 1)?;
    let last = &last.first().ok_or_else(|| broken(&"it is missing"))?.bytes;
    if Envelope::hash(last) != tip.hash {
        return Err(broken(&"it is not the one that the tip names"));
    }
    let at = Envelope::decode(last).map_err(|e| broken(&e))?.at;
    let tree = Frontier::from_bytes(&tip.edge).map_err(|e| broken(&e))?;
    Chain::resume(Tip { seq: tip.seq, hash: tip.hash }, at, tree).map_err(|e| broken(&e))
}

/// Takes over what a mirror has and this log lacks, as far as signed checkpoints go. `progress` is told how many of how
/// many entries were looked at.
pub(super) fn take_tail(
    dir: &Path,
    faces: &mut Faces,
    mirror: &mut dyn Mirror,
    signed: &Signed,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Taken, Untaken> {
    let begun = resume(&mut *faces.log, &*faces.reader)?;
    let (before, most, name) = (begun.next_seq(), signed.most(), mirror.name());
    signed.check(&begun)?;
    signed.check_older(before, &faces.reader)?;
    if most <= before {
        let published = published(dir, &signed.log)?.max(before);
        return Ok(Taken { before, size: before, root: begun.root(), published });
    }
    let mut progress = |done: u64, half: u64| progress((done - before) / 2 + half, most - before);
    let marks = look(&begun, mirror, signed, &name, &mut |done| progress(done, 0))?;
    let published = keep_checkpoint(dir, signed)?;
    let half = (most - before) / 2;
    let (mut chain, mut from) = (begun.clone(), place(&begun));
    for (seq, hash) in &marks {
        let entries = run(mirror, &mut chain, *seq, &name)?;
        if chain.tip().map(|tip| tip.hash) != Some(*hash) {
            return Err(refused(format!("{name} was changed while it was read, before entry {seq}")));
        }
        let checkpoint = signed.all.get(&(seq + 1)).map(|(_, _, note)| note.clone());
        let (edge, checkpoint) = (chain.tree().to_bytes(), checkpoint.unwrap_or_default());
        let tip = TipRecord { seq: *seq, hash: *hash, edge, checkpoint };
        faces.log.copy(from, &entries, &tip).map_err(|e| Untaken::Fault(e.to_string()))?;
        from = Some(tip.place());
        progress(chain.next_seq(), half);
    }
    Ok(Taken { before, size: chain.next_seq(), root: chain.root(), published })
}

fn place(chain: &Chain) -> Option<Place> {
    chain.tip().map(|tip| Place { seq: tip.seq, hash: tip.hash })
}

/// Looks at everything that is to be taken over. Returns where each commit of it ends.
fn look(
    begun: &Chain,
    mirror: &mut dyn Mirror,
    signed: &Signed,
    name: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<(u64, Hash)>, Untaken> {
    let (mut chain, most) = (begun.clone(), signed.most());
    let mut marks = vec![];
    let (mut count, mut bytes) = (0, 0);
    while chain.next_seq() < most {
        let entries = mirror.read(chain.next_seq())?;
        if entries.is_empty() {
            return Err(refused(format!(
                "{name} ends with {} entries, and a checkpoint over {most} was signed: look for a copy that is newer. \
                 Nothing was changed",
                chain.next_seq()
            )));
        }
        for entry in entries {
            if chain.next_seq() == most {
                break;
            }
            check(&mut chain, &entry, name)?;
            count += 1;
            bytes += size_of(&entry);
            let reached = signed.check(&chain)?;
            if reached || count >= CHUNK || bytes >= CHUNK_BYTES {
                marks.extend(chain.tip().map(|tip| (tip.seq, tip.hash)));
                (count, bytes) = (0, 0);
            }
        }
        progress(chain.next_seq());
    }
    Ok(marks)
}

fn size_of(entry: &StoredEntry) -> usize {
    let part = |part: &crate::store::StoredPart| match part {
        crate::store::StoredPart::Whole(bytes) => bytes.len(),
        crate::store::StoredPart::Erased(_) => 32,
    };
    entry.envelope.len() + entry.parts.iter().map(part).sum::<usize>()
}

/// The next entries, up to one, looked at again.
fn run(
    mirror: &mut dyn Mirror,
    chain: &mut Chain,
    last: u64,
    name: &str,
) -> Result<Vec<StoredEntry>, Untaken> {
    let mut run = vec![];
    while chain.next_seq() <= last {
        let entries = mirror.read(chain.next_seq())?;
        if entries.is_empty() {
            return Err(refused(format!("{name} became shorter while it was read")));
        }
        for entry in entries {
            if chain.next_seq() > last {
                break;
            }
            check(chain, &entry, name)?;
            run.push(entry);
        }
    }
    Ok(run)
}

/// The size of the checkpoint in a folder; 0 if there is none.
fn published(dir: &Path, log: &LogVerifier) -> Result<u64, Untaken> {
    let path = dir.join("checkpoint");
    let Ok(note) = std::fs::read_to_string(&path) else { return Ok(0) };
    Ok(log.verify(&note).map_err(|e| refused(format!("{}: {e}", path.display())))?.size)
}

/// Puts the newest signed checkpoint where the next opening looks for it, unless a newer one is there. Its size.
fn keep_checkpoint(dir: &Path, signed: &Signed) -> Result<u64, Untaken> {
    let published = published(dir, &signed.log)?;
    let Some((size, (_, _, note))) = signed.all.last_key_value() else { return Ok(published) };
    if published > *size {
        return Ok(published);
    }
    let path = dir.join("checkpoint");
    let temporary = path.with_extension("new");
    let write = || {
        std::fs::create_dir_all(dir)?;
        let mut file = std::fs::File::create(&temporary)?;
        std::io::Write::write_all(&mut file, note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        Ok(*size)
    };
    write().map_err(|e: std::io::Error| Untaken::Fault(format!("{}: {e}", path.display())))
}
