//! Copies of a network: backed up, moved to another store, and given back what they lack.
//!
//! Owns: what belongs to a copy (log with all parts, vault as it is sealed, checkpoint) and what does not (key files, which
//! are kept apart, and what can be made again: state, views, tiles).
//! Promises: a copy is checked as it is made, see `tail`. A backup that is made again takes over what is new, and forgets
//! what the log says is erased.
//! Refuses to know: who makes copies, and when.

use super::exported::Exported;
use super::genesis_of;
use super::missing::said_since;
use super::rebuild::follow;
use super::reserved::Reserved;
use super::tail::{Mirror, Signed, StoreMirror, Taken, Untaken, refused, take_tail};
use crate::engine::state_root;
use crate::log::{Envelope, LogVerifier, vkey};
use crate::machine::Genesis;
use crate::sign::PublicKey;
use crate::store::{Faces, Home, Read, StoredPart};
use crate::types::decode;
use crate::vault::{self, Copied};
use std::path::Path;

/// What a copy came to.
#[derive(Debug)]
pub struct Made {
    /// What it took over of the log.
    pub taken: Taken,
    /// Parts that were erased in it, since the log says so.
    pub erased: u64,
    /// The vault, if there is one.
    pub vault: Option<Copied>,
    /// Records of state that were compared; `None`: there was nothing to compare with.
    pub records: Option<u64>,
}

fn verifier(genesis: &Genesis) -> Result<LogVerifier, Untaken> {
    vkey(&genesis.origin, genesis.log.as_bytes()).parse().map_err(|e| refused(format!("entry 0: {e}")))
}

/// Entry 0 of a mirror.
fn genesis_in(mirror: &mut dyn Mirror) -> Result<Genesis, Untaken> {
    let name = mirror.name();
    let first = mirror.read(0)?;
    let first = first.first().ok_or_else(|| refused(format!("{name} holds no entries")))?;
    let wrong = |e: &dyn std::fmt::Display| refused(format!("{name}, entry 0: {e}"));
    let envelope = Envelope::decode(&first.envelope).map_err(|e| wrong(&e))?;
    let public = envelope.public.ok_or_else(|| wrong(&"it is not a genesis"))?;
    decode(public.get().as_bytes()).map_err(|e| wrong(&e))
}

/// What the log says to be erased goes, from the entry on that was new.
fn forget(faces: &mut Faces, from: u64) -> Result<u64, Untaken> {
    let said = said_since(&*faces.reader, from).map_err(|e| Untaken::Fault(e.to_string()))?;
    let mut erased = 0;
    for ((seq, part), leaf) in said {
        let parts = faces.reader.read_parts(seq)?;
        if matches!(parts.get(usize::from(part)), Some(StoredPart::Whole(_))) {
            faces.log.erase_part(seq, usize::from(part), leaf)?;
            erased += 1;
        }
    }
    Ok(erased)
}

/// Takes the log of a store over into another store of the same network, or an empty one.
fn mirrored(
    source: &Home,
    read: std::sync::Arc<dyn Read>,
    dir: &Path,
    faces: &mut Faces,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Taken, u64), Untaken> {
    let genesis = genesis_of(&*read)?;
    let genesis = genesis.ok_or_else(|| refused(format!("{} holds an empty log", source.shown())))?;
    if let Some(there) = genesis_of(&*faces.reader)?
        && there.net() != genesis.net()
    {
        return Err(refused(format!("{} holds another network: {}", dir.display(), there.net())));
    }
    let mut mirror = StoreMirror::of(source.shown(), read)?;
    let mut signed = Signed::by(verifier(&genesis)?);
    signed.add(source.shown(), mirror.checkpoint().unwrap_or_default())?;
    let taken = take_tail(dir, faces, &mut mirror, &signed, progress)?;
    let erased = forget(faces, taken.before)?;
    Ok((taken, erased))
}

/// Makes a backup of a network in a folder, or brings it up to date. The network may be at work.
pub fn backup(source: &Home, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Made, Untaken> {
    let target = Home::from(dir);
    let mut faces = target.open()?;
    let read = source.read()?;
    let (taken, erased) = mirrored(source, read.clone(), dir, &mut faces, progress)?;
    let here = read.tip()?.map_or(0, |tip| tip.seq + 1);
    if here < taken.size {
        return Err(refused(format!(
            "the backup has {} entries and the network {here}: it was restored from an older copy, and `tallyhouse recover \
             --from {}` gives it the rest. Nothing was changed",
            taken.size,
            dir.display()
        )));
    }
    // The vault commits before the entry that relies on it, so it is copied after the log.
    let fresh = dir.join("vault.new");
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |e: std::io::Error| Untaken::Fault(format!("{path}: {e}"))
    };
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(at(&fresh))?;
    }
    std::fs::create_dir_all(&fresh).map_err(at(&fresh))?;
    let vault = vault::copy(source, &Home::from(&fresh))?;
    if vault.is_some() {
        let name = "vault.sqlite";
        for gone in ["vault.sqlite-wal", "vault.sqlite-shm"] {
            let _ = std::fs::remove_file(dir.join(gone));
        }
        std::fs::rename(fresh.join(name), dir.join(name)).map_err(at(&fresh))?;
    }
    std::fs::remove_dir_all(&fresh).map_err(at(&fresh))?;
    Ok(Made { taken, erased, vault, records: None })
}

/// Copies a network that nobody serves to another store, and compares what follows from the log there with what
/// stands here.
pub fn copy(source: &Home, target: &Home, progress: &mut dyn FnMut(u64, u64)) -> Result<Made, Untaken> {
    // Held to the end: what is moved must not change meanwhile.
    let Faces { log: _held, state: _state, reader: read } = source.open()?;
    let mut faces = target.open()?;
    let (taken, erased) = mirrored(source, read.clone(), target.dir(), &mut faces, progress)?;
    let vault = vault::copy(source, target)?;
    let reader = follow(target, faces)?;
    let here = read.cursor()?.filter(|place| place.seq + 1 == taken.size);
    let records = match (here, state_root(&*reader)?) {
        (Some(_), Some(there)) if state_root(&*read)? == Some(there) => Some(there.rows),
        (Some(_), _) => {
            return Err(refused(
                "state made anew from the copy is not the state that stands here: run `tallyhouse verify`",
            ));
        }
        (None, _) => None,
    };
    Ok(Made { taken, erased, vault, records })
}

/// What a network is given back from.
pub enum Other<'a> {
    /// A data folder, or a database with it.
    Store(&'a Home),
    /// A file that `export --parts` wrote.
    Export(&'a Path),
}

/// Gives a network that was restored from an older copy the entries that it lacks. `key` is the log's own, if it is at
/// hand; `notes` are checkpoints that somebody kept, each with a name for it.
pub fn recover(
    home: &Home,
    from: Other<'_>,
    key: Option<PublicKey>,
    notes: Vec<(String, String)>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Taken, Untaken> {
    let mut mirror: Box<dyn Mirror> = match from {
        Other::Store(store) => Box::new(StoreMirror::of(store.shown(), store.read()?)?),
        Other::Export(path) => Box::new(Exported::open(path)?),
    };
    let _held = home.database().map(Reserved::take).transpose()?;
    let mut faces = home.open()?;
    let genesis = match (genesis_of(&*faces.reader)?, key) {
        (Some(genesis), _) => genesis,
        (None, Some(_)) => genesis_in(&mut *mirror)?,
        (None, None) => {
            return Err(refused(format!(
                "{} holds neither a log nor the log's key (keys/operator/log.jwk): nothing tells which network it is",
                home.shown()
            )));
        }
    };
    if key.is_some_and(|key| key != genesis.log) {
        return Err(refused("the log key is not the one that genesis names: this is another network"));
    }
    let mut signed = Signed::by(verifier(&genesis)?);
    let published = home.dir().join("checkpoint");
    if let Ok(note) = std::fs::read_to_string(&published) {
        signed.add(published.display().to_string(), note)?;
    }
    if let Some(note) = mirror.checkpoint() {
        signed.add(mirror.name(), note)?;
    }
    for (name, note) in notes {
        signed.add(name, note)?;
    }
    let taken = take_tail(home.dir(), &mut faces, &mut *mirror, &signed, progress)?;
    forget(&mut faces, taken.before)?;
    follow(home, faces)?;
    Ok(taken)
}
