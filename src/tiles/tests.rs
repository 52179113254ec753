//! Tiles against [`TileSet`], which holds all hashes in memory and is tested against RFC 6962 itself.

use super::*;
use crate::log::{
    Chain, LogSigner, LogVerifier, PartsRef, Proof, Slot, TileId, TileSet, TileSource, leaf_hash, seal,
    tiles_of, unbundle,
};
use crate::store::{self, Loaded, Place, Read, StoredEntry, StoredPart, TipRecord};
use crate::types::{Hash, Time};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A log in memory.
#[derive(Default)]
pub(crate) struct MemoryLog {
    inside: Mutex<Inside>,
}

#[derive(Default, Clone)]
struct Inside {
    entries: Vec<StoredEntry>,
    tip: Option<TipRecord>,
    reads: usize,
}

pub(crate) fn signer() -> LogSigner {
    LogSigner::new("points.example/log", &[7; 32]).expect("a name")
}

pub(crate) fn verifier() -> LogVerifier {
    signer().vkey().parse().expect("a verifier key")
}

/// Parts of entry `seq`: `seq % 4` of them.
fn parts(seq: u64) -> Vec<Vec<u8>> {
    let part = |i: u64| seal([i as u8; 16], format!(r#"{{"done":"{seq}.{i} \"ä\""}}"#).as_bytes());
    (0..seq % 4).map(|i| part(i).expect("sealed")).collect()
}

impl MemoryLog {
    /// A log of `size` entries; with another `variant` the entries from 300 on differ.
    pub(crate) fn of(size: u64, variant: u8) -> Arc<Self> {
        let mut chain = Chain::start();
        let mut inside = Inside::default();
        for seq in 0..size {
            let micros = 10 * seq + if seq >= 300 { u64::from(variant) } else { 0 };
            let at = Time::from_micros(micros as i64).expect("in range");
            let parts = parts(seq);
            let slots: Vec<Slot> = parts.iter().cloned().map(Slot::Whole).collect();
            let refer = PartsRef::of(&slots).expect("few enough");
            let public = (seq == 0).then(|| RawValue::from_string("{\"n\":1}".into()).expect("JSON"));
            let (_, envelope) = chain.append(at, "points.awarded", public, refer).expect("follows");
            let parts = parts.into_iter().map(StoredPart::Whole).collect();
            inside.entries.push(StoredEntry { seq, envelope, parts, beside: None });
        }
        if let Some(tip) = chain.tip() {
            let checkpoint = signer().sign(size, chain.root());
            let edge = chain.tree().to_bytes();
            inside.tip = Some(TipRecord { seq: tip.seq, hash: tip.hash, edge, checkpoint });
        }
        Arc::new(Self { inside: Mutex::new(inside) })
    }

    /// Becomes this one: the log has grown, or was exchanged.
    fn become_(&self, other: &Self) {
        let other = other.inside.lock().expect("not poisoned").clone();
        *self.inside.lock().expect("not poisoned") = other;
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<StoredEntry>)) {
        change(&mut self.inside.lock().expect("not poisoned").entries);
    }

    fn place(&self) -> Place {
        self.tip().expect("readable").expect("not empty").place()
    }

    /// Envelopes read so far.
    fn reads(&self) -> usize {
        self.inside.lock().expect("not poisoned").reads
    }
}

impl Read for MemoryLog {
    fn tip(&self) -> Result<Option<TipRecord>, store::Fault> {
        Ok(self.inside.lock().expect("not poisoned").tip.clone())
    }

    fn stray(&self) -> Result<Option<store::Stray>, store::Fault> {
        Ok(None)
    }

    fn read(&self, from: u64, limit: usize, max: usize) -> Result<Vec<StoredEntry>, store::Fault> {
        let inside = self.inside.lock().expect("not poisoned");
        let mut sum = 0;
        let size = |e: &StoredEntry| {
            let part = |p: &StoredPart| if let StoredPart::Whole(b) = p { b.len() } else { 32 };
            e.envelope.len() + e.parts.iter().map(part).sum::<usize>()
        };
        let entries = inside.entries.iter().filter(|e| e.seq >= from).take(limit);
        let fitting = entries.enumerate().take_while(|(i, e)| {
            sum += size(e);
            *i == 0 || sum <= max
        });
        Ok(fitting.map(|(_, e)| e.clone()).collect())
    }

    fn read_parts(&self, seq: u64) -> Result<Vec<StoredPart>, store::Fault> {
        let inside = self.inside.lock().expect("not poisoned");
        Ok(inside.entries.iter().find(|e| e.seq == seq).map(|e| e.parts.clone()).unwrap_or_default())
    }

    fn read_envelopes(&self, from: u64, limit: usize) -> Result<Vec<store::Envelope>, store::Fault> {
        let mut inside = self.inside.lock().expect("not poisoned");
        let first = inside.entries.partition_point(|e| e.seq < from);
        let page: Vec<_> = inside.entries[first..]
            .iter()
            .take(limit)
            .map(|e| store::Envelope { seq: e.seq, bytes: e.envelope.clone() })
            .collect();
        inside.reads += page.len();
        Ok(page)
    }

    fn cursor(&self) -> Result<Option<Place>, store::Fault> {
        Ok(None)
    }

    fn load(&self, _: &[String]) -> Result<Loaded, store::Fault> {
        Ok(Loaded { cursor: None, rows: vec![] })
    }

    fn due(&self, _: i64, _: usize) -> Result<Loaded, store::Fault> {
        self.load(&[])
    }

    fn next_due(&self) -> Result<Option<i64>, store::Fault> {
        Ok(None)
    }

    fn scan(&self, _: &str, _: usize) -> Result<Loaded, store::Fault> {
        self.load(&[])
    }
}

fn tile_set(log: &MemoryLog) -> TileSet {
    let mut set = TileSet::default();
    for entry in log.read_envelopes(0, usize::MAX).expect("readable") {
        set.push(leaf_hash(&entry.bytes));
    }
    set
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                all.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    all
}

fn site(log: &MemoryLog, folder: &Path) -> Result<Site, Fault> {
    publish(log, &verifier(), &signer().vkey(), folder, |_, _| {})
}

const SIZES: [u64; 8] = [1, 2, 255, 256, 257, 511, 513, 70_000];

#[test]
fn a_public_folder_is_the_tiles_of_its_size_and_nothing_else() {
    for size in SIZES {
        let (log, dir) = (MemoryLog::of(size, 0), folder());
        let public = dir.path().join("log");
        let made = site(&log, &public).expect("published");
        assert_eq!(made.size, size);
        let set = tile_set(&log);
        let mut expected = BTreeMap::new();
        for id in tiles_of(size) {
            let bytes = match id.shelf {
                crate::log::Shelf::Hashes(level) => set.tile(level, id.index, id.width).expect("a tile"),
                crate::log::Shelf::Entries => {
                    let page = log.read_envelopes(id.index * 256, id.width.into()).expect("readable");
                    crate::log::bundle(page.iter().map(|e| e.bytes.as_slice())).expect("a bundle")
                }
            };
            expected.insert(id.to_string(), bytes);
        }
        let note = log.tip().expect("readable").expect("not empty").checkpoint;
        expected.insert("checkpoint".into(), note.into_bytes());
        let found = files(&public);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{size}");
        assert!(found == expected, "{size}");
        assert_eq!(made.written, found.len() as u64);
        assert_eq!(std::fs::read_to_string(&made.vkey).expect("a key"), signer().vkey());
        assert_eq!(made.vkey, dir.path().join("log.vkey"));
    }
}

#[test]
fn the_shape_of_seventy_thousand_is_the_documented_one() {
    let (log, dir) = (MemoryLog::of(70_000, 0), folder());
    site(&log, &dir.path().join("log")).expect("published");
    let found = files(&dir.path().join("log"));
    let on = |prefix: &str| found.keys().filter(|name| name.starts_with(prefix)).cloned().collect::<Vec<_>>();
    assert_eq!(on("tile/0/").len(), 274);
    assert!(found.contains_key("tile/0/273.p/112"));
    assert_eq!(on("tile/1/"), ["tile/1/000", "tile/1/001.p/17"]);
    assert_eq!(on("tile/2/"), ["tile/2/000.p/1"]);
    assert_eq!(unbundle(&found["tile/entries/273.p/112"]).expect("a bundle").len(), 112);
}

#[test]
fn an_empty_log_has_no_public_folder() {
    let (log, dir) = (MemoryLog::of(0, 0), folder());
    assert!(matches!(site(&log, &dir.path().join("log")), Err(Fault::Absent(_))));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn publishing_again_writes_nothing_and_growing_adds() {
    let (log, dir) = (MemoryLog::of(300, 0), folder());
    let public = dir.path().join("log");
    site(&log, &public).expect("published");
    let before = files(&public);
    assert_eq!(site(&log, &public).expect("again").written, 0);
    assert_eq!(files(&public), before);

    log.become_(&MemoryLog::of(700, 0));
    site(&log, &public).expect("grown");
    let fresh = dir.path().join("fresh");
    site(&log, &fresh).expect("published");
    let (grown, fresh) = (files(&public), files(&fresh));
    for (name, bytes) in &fresh {
        assert_eq!(grown.get(name), Some(bytes), "{name}");
    }
    let left: Vec<&String> = grown.keys().filter(|name| !fresh.contains_key(*name)).collect();
    assert_eq!(left, ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"], "for old checkpoints");
}

#[test]
fn an_export_that_was_cut_off_is_completed() {
    let (log, dir) = (MemoryLog::of(600, 0), folder());
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    site(&log, &whole).expect("published");
    site(&log, &cut).expect("published");
    for name in ["checkpoint", "tile/0/001", "tile/entries/002.p/88"] {
        std::fs::remove_file(cut.join(name)).expect("removed");
    }
    assert_eq!(site(&log, &cut).expect("completed").written, 3);
    assert_eq!(files(&cut), files(&whole));
}

#[test]
fn a_folder_of_another_log_or_a_longer_one_is_left_alone() {
    let dir = folder();
    let public = dir.path().join("log");
    site(&MemoryLog::of(700, 0), &public).expect("published");
    let before = files(&public);
    let refused = |result: Result<Site, Fault>, what: &str| match result {
        Err(Fault::Foreign { why, .. }) => assert!(why.contains(what), "{why}"),
        other => panic!("{what}: {other:?}"),
    };
    refused(site(&MemoryLog::of(600, 0), &public), "old copy");
    refused(site(&MemoryLog::of(700, 1), &public), "never changes");
    refused(site(&MemoryLog::of(900, 1), &public), "never changes");
    let other = LogSigner::new("points.example/log", &[8; 32]).expect("a name").sign(700, Hash([1; 32]));
    std::fs::write(public.join("checkpoint"), &other).expect("written");
    refused(site(&MemoryLog::of(900, 0), &public), "not a checkpoint of this log");
    std::fs::write(public.join("checkpoint"), &before["checkpoint"]).expect("written");
    assert_eq!(files(&public), before);
    // The tiles gone, the checkpoint of a fork still shows it.
    std::fs::remove_dir_all(public.join("tile")).expect("removed");
    refused(site(&MemoryLog::of(900, 1), &public), "another root");
    assert_eq!(files(&public)["checkpoint"], before["checkpoint"]);
}

#[test]
fn a_log_that_does_not_hold_is_not_published() {
    let broken = |change: &dyn Fn(&mut Vec<StoredEntry>)| {
        let (log, dir) = (MemoryLog::of(300, 0), folder());
        log.change(|entries| change(entries));
        let public = dir.path().join("log");
        let result = site(&log, &public);
        assert!(matches!(result, Err(Fault::Broken(_))), "{result:?}");
        assert!(!public.join("checkpoint").exists());
    };
    broken(&|entries| drop(entries.remove(17)));
    broken(&|entries| drop(entries.pop()));
    broken(&|entries| entries[280].envelope[10] ^= 1);
}

#[test]
fn what_is_kept_is_what_is_computed() {
    for size in SIZES {
        let (log, dir) = (MemoryLog::of(size, 0), folder());
        let keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
        assert_eq!(keeper.cursor(), Some(log.place()));
        let set = tile_set(&log);
        let kept = [keeper.hashes(), Hashes::open(dir.path(), log.clone()), Hashes::of_log(log.clone())];
        // Computing all of a large log tile by tile is what the files are for.
        let kept = if size > 1000 { &kept[..2] } else { &kept[..] };
        for hashes in kept {
            for id in tiles_of(size) {
                let crate::log::Shelf::Hashes(level) = id.shelf else { continue };
                assert_eq!(
                    hashes.tile(level, id.index, id.width),
                    set.tile(level, id.index, id.width),
                    "{id}"
                );
            }
        }
    }
}

#[test]
fn any_width_up_to_the_edge_is_there_and_nothing_beyond() {
    let (log, dir) = (MemoryLog::of(700, 0), folder());
    let keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
    let set = tile_set(&log);
    for hashes in [keeper.hashes(), Hashes::of_log(log.clone())] {
        let bytes =
            |path: &str| hashes.tile_bytes(path.parse::<TileId>().expect("a path")).expect("readable");
        for width in 1..=188u16 {
            assert_eq!(bytes(&format!("tile/0/002.p/{width}")), set.tile(0, 2, width));
            let entries = bytes(&format!("tile/entries/002.p/{width}")).expect("entries");
            assert_eq!(unbundle(&entries).expect("a bundle").len(), usize::from(width));
        }
        assert_eq!(bytes("tile/1/000.p/1"), set.tile(1, 0, 1));
        for beyond in [
            "tile/0/002.p/189",
            "tile/0/002",
            "tile/0/003",
            "tile/1/000.p/3",
            "tile/2/000.p/1",
            "tile/63/000",
        ] {
            assert_eq!(bytes(beyond), None, "{beyond}");
        }
        let far = TileId { shelf: crate::log::Shelf::Entries, index: u64::MAX, width: 256 };
        assert!(hashes.tile_bytes(far).expect("readable").is_none());
    }
}

#[test]
fn the_keeper_goes_on_after_a_kill_wherever_it_was() {
    let log = MemoryLog::of(5_000, 0);
    let set = tile_set(&log);
    for more in [5_001, 5_120, 9_500] {
        let dir = folder();
        drop(Keeper::open(dir.path(), log.clone()).expect("opened"));
        let grown = MemoryLog::of(more, 0);
        let mut keeper = Keeper::open(dir.path(), grown.clone()).expect("opened");
        keeper.wipe().expect("wiped");
        assert_eq!(keeper.cursor(), None);
        let sure = Place { seq: 4_999, hash: log.place().hash };
        keeper.take(sure).expect("taken");
        keeper.take(grown.place()).expect("taken");
        keeper.take(sure).expect("what is behind is there already");
        // A kill: nothing is tidied up.
        std::mem::forget(keeper);
        let before = grown.reads();
        let keeper = Keeper::open(dir.path(), grown.clone()).expect("opened again");
        assert!(grown.reads() - before < 5_000, "it did not begin anew");
        assert_eq!(keeper.cursor(), Some(grown.place()));
        let all = tile_set(&grown);
        for id in tiles_of(more) {
            let crate::log::Shelf::Hashes(level) = id.shelf else { continue };
            let tile = keeper.hashes().tile(level, id.index, id.width);
            assert_eq!(tile, all.tile(level, id.index, id.width), "{id}");
        }
        assert_eq!(keeper.hashes().tile(0, 3, 256), set.tile(0, 3, 256));
    }
}

#[test]
fn what_does_not_fit_the_log_is_made_anew() {
    type Damage<'a> = &'a dyn Fn(&Path);
    let cut = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("readable");
        std::fs::write(&path, &bytes[..bytes.len() - 5]).expect("written");
    };
    let damages: [Damage<'_>; 6] = [
        &|dir| std::fs::write(dir.join("cursor"), "nonsense").expect("written"),
        &|dir| std::fs::remove_file(dir.join("level-0")).expect("removed"),
        &|dir| cut(dir.join("level-0")),
        &|dir| cut(dir.join("level-1")),
        &|dir| {
            let mut bytes = std::fs::read(dir.join("level-0")).expect("readable");
            let last = bytes.len() - 40;
            bytes[last] ^= 1;
            std::fs::write(dir.join("level-0"), bytes).expect("written");
        },
        &|dir| {
            let hash = Hash([9; 32]);
            let cursor = format!("{{\"seq\":299,\"hash\":\"{hash}\"}}");
            std::fs::write(dir.join("cursor"), cursor).expect("written");
        },
    ];
    let log = MemoryLog::of(700, 0);
    let set = tile_set(&log);
    for damage in damages {
        let dir = folder();
        drop(Keeper::open(dir.path(), log.clone()).expect("opened"));
        damage(&dir.path().join("tiles"));
        // A reader gets along without the files that are gone.
        let proof = prove(&Hashes::open(dir.path(), log.clone()), &verifier(), 650, &Parts::None);
        assert!(proof.is_ok() || matches!(proof, Err(Fault::Foreign { .. })), "{proof:?}");
        let keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
        for id in tiles_of(700) {
            let crate::log::Shelf::Hashes(level) = id.shelf else { continue };
            let tile = keeper.hashes().tile(level, id.index, id.width);
            assert_eq!(tile, set.tile(level, id.index, id.width), "{id}");
        }
    }
    // The tiles of another log, in place of these.
    let dir = folder();
    drop(Keeper::open(dir.path(), MemoryLog::of(700, 1)).expect("opened"));
    let keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
    assert_eq!(keeper.hashes().tile(0, 1, 256), set.tile(0, 1, 256));
}

#[test]
fn a_keeper_stops_at_a_gap_and_at_another_entry() {
    let (log, dir) = (MemoryLog::of(10, 0), folder());
    let mut keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
    log.become_(&MemoryLog::of(20, 0));
    let wrong = Place { seq: 15, hash: Hash([1; 32]) };
    assert!(matches!(keeper.take(wrong), Err(Fault::Broken(_))));
    log.change(|entries| drop(entries.remove(17)));
    assert!(matches!(keeper.take(log.place()), Err(Fault::Broken(_))));
}

#[test]
fn a_proof_shows_what_was_asked_for_with_and_without_files() {
    for size in [1, 2, 256, 257, 700] {
        let (log, dir) = (MemoryLog::of(size, 0), folder());
        let keeper = Keeper::open(dir.path(), log.clone()).expect("opened");
        for hashes in [keeper.hashes(), Hashes::open(dir.path(), log.clone()), Hashes::of_log(log.clone())] {
            for seq in [0, 1, 3, 254, 255, 256, 511, 512, 699].into_iter().filter(|seq| *seq < size) {
                let proof = prove(&hashes, &verifier(), seq, &Parts::All).expect("proven");
                assert_eq!(proof.parts.len() as u64, seq % 4);
                let shown = proof.verify(&verifier()).expect("holds");
                assert_eq!((shown.envelope.seq, shown.checkpoint.size), (seq, size));
                assert_eq!(Proof::decode(&proof.encode()), Ok(proof));
            }
            let absent = |seq, parts: Parts| {
                let result = prove(&hashes, &verifier(), seq, &parts);
                assert!(matches!(result, Err(Fault::Absent(_))), "{seq} {parts:?} {result:?}");
            };
            absent(size, Parts::None);
            absent(u64::MAX, Parts::None);
            absent(0, Parts::These(vec![0]));
            if size > 3 {
                absent(3, Parts::These(vec![3]));
                absent(3, Parts::These(vec![1, 0]));
                let proof = prove(&hashes, &verifier(), 3, &Parts::These(vec![0, 2])).expect("proven");
                assert_eq!(proof.parts.iter().map(|own| own.index).collect::<Vec<_>>(), [0, 2]);
            }
        }
    }
}

#[test]
fn an_erased_part_is_not_shown_and_takes_nothing_from_the_others() {
    let log = MemoryLog::of(700, 0);
    log.change(|entries| {
        let leaf = Slot::Whole(parts(603).remove(1)).leaf_hash();
        entries[603].parts[1] = StoredPart::Erased(leaf);
    });
    let hashes = Hashes::of_log(log);
    let proof = prove(&hashes, &verifier(), 603, &Parts::All).expect("proven");
    assert_eq!(proof.parts.iter().map(|own| own.index).collect::<Vec<_>>(), [0, 2]);
    let erased = prove(&hashes, &verifier(), 603, &Parts::These(vec![1]));
    assert!(matches!(erased, Err(Fault::Absent(_))), "{erased:?}");
}

#[test]
fn a_proof_that_would_not_hold_is_not_given() {
    type Tampering<'a> = &'a dyn Fn(&mut Vec<StoredEntry>);
    let tampered: [Tampering; 4] = [
        &|entries| entries[603].parts[1] = StoredPart::Erased(Hash([1; 32])),
        &|entries| drop(entries[603].parts.pop()),
        &|entries| entries[604].envelope[10] ^= 1,
        &|entries| {
            let text = String::from_utf8(entries[603].envelope.clone()).expect("UTF-8");
            entries[603].envelope = text.replace("awarded", "awarder").into_bytes();
        },
    ];
    for tamper in tampered {
        let log = MemoryLog::of(700, 0);
        log.change(|entries| tamper(entries));
        let result = prove(&Hashes::of_log(log), &verifier(), 603, &Parts::None);
        assert!(matches!(result, Err(Fault::Broken(_))), "{result:?}");
    }
    let other: LogVerifier =
        LogSigner::new("points.example/log", &[8; 32]).expect("a name").vkey().parse().expect("a key");
    let result = prove(&Hashes::of_log(MemoryLog::of(7, 0)), &other, 3, &Parts::None);
    assert!(matches!(result, Err(Fault::Broken(_))), "{result:?}");
}
