//! Tiles: the tree and the envelopes in files of 256, as C2SP tlog-tiles lays them out.
//!
//! Owns: the names of tiles, which tiles a tree of some size has, the bytes of entry bundles, and how
//! paths are put together from tiles.
//! Promises: names have one spelling; a full tile never changes; what is computed from tiles follows
//! RFC 6962. Tiles are not trusted: whoever uses a path checks it against a root they trust.
//! Refuses to know: where tiles are kept and who fetches them.

use super::tree::{EMPTY_ROOT, root_of};
use crate::types::{Hash, Malformed};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Hashes in a full tile, envelopes in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of tiles that a tree below 2^64 can have.
const LEVELS: u8 = 8;

/// What sort of tile it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// Envelopes, each behind its length.
    Entries,
    /// Hashes: of leaves on level 0, of full tiles of the level below on the others.
    Hashes(u8),
}

/// The name of a tile. Written as its path under the log's prefix: `tile/0/x001/x234/067`,
/// `tile/entries/000.p/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// What it holds.
    pub shelf: Shelf,
    /// Its place among the tiles of its shelf.
    pub index: u64,
    /// How many hashes or envelopes it holds, 1 to 256; fewer than 256 at the growing edge only.
    pub width: u16,
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shelf {
            Shelf::Entries => f.write_str("tile/entries")?,
            Shelf::Hashes(level) => write!(f, "tile/{level}")?,
        }
        // Groups of three digits; all but the last carry an x.
        let digits = self.index.to_string();
        let groups = digits.len().div_ceil(3);
        let padded = format!("{digits:0>width$}", width = groups.saturating_mul(3));
        for (group, left) in padded.as_bytes().chunks(3).zip((0..groups).rev()) {
            let mark = if left > 0 { "x" } else { "" };
            write!(f, "/{mark}{}", String::from_utf8_lossy(group))?;
        }
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TileId {
    type Err = Malformed;
    fn from_str(path: &str) -> Result<Self, Malformed> {
        parse(path)
            .filter(|id| id.to_string() == path)
            .ok_or_else(|| Malformed(format!("{path:?} is not a tile's path")))
    }
}

/// Reads a path generously; the caller compares with the one spelling.
fn parse(path: &str) -> Option<TileId> {
    let (shelf, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let shelf = match shelf {
        "entries" => Shelf::Entries,
        level => Shelf::Hashes(level.parse().ok().filter(|level| *level < 64)?),
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, width.parse().ok().filter(|w| (1..TILE_WIDTH).contains(w))?),
        None => (rest, TILE_WIDTH),
    };
    let index = groups.split('/').try_fold(0u64, |index, group| {
        let digits: u16 = group.trim_start_matches('x').parse().ok().filter(|d| *d < 1000)?;
        index.checked_mul(1000)?.checked_add(u64::from(digits))
    })?;
    Some(TileId { shelf, index, width })
}

/// Every tile of a tree of this size, partial ones included: levels of hashes upwards, then the entries.
pub fn tiles_of(size: u64) -> Vec<TileId> {
    new_tiles(0, size)
}

/// The tiles to write when the tree grows from one size to another: what a tree of the new size has and
/// one of the old size has not. Partial tiles of the old size are superseded, not changed.
pub fn new_tiles(old: u64, new: u64) -> Vec<TileId> {
    let levels = (0..LEVELS).map(|level| (Shelf::Hashes(level), on_level(old, level), on_level(new, level)));
    levels
        .chain([(Shelf::Entries, old, new)])
        .filter(|(_, old, new)| old < new)
        .flat_map(|(shelf, old, new)| {
            let first = old >> 8;
            (first..new.div_ceil(256)).map(move |index| TileId { shelf, index, width: width_at(new, index) })
        })
        .collect()
}

/// How many hashes a level has in a tree of this size.
fn on_level(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0)
}

/// How many of `count` hashes or envelopes stand in one tile; 0 if it is beyond them.
fn width_at(count: u64, index: u64) -> u16 {
    let left = count.saturating_sub(index.saturating_mul(256));
    u16::try_from(left).unwrap_or(TILE_WIDTH).min(TILE_WIDTH)
}

/// An entry bundle: each envelope behind its length in two bytes, big-endian.
pub fn bundle<'a>(envelopes: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    for envelope in envelopes {
        let length = u16::try_from(envelope.len())
            .map_err(|_| Malformed("an envelope in a bundle is at most 65,535 bytes".into()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(envelope);
    }
    Ok(out)
}

/// The envelopes in a bundle: 1 to 256.
pub fn unbundle(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let cut = || Malformed("an entry bundle is cut off".into());
    let mut envelopes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (envelope, after) = after.split_at_checked(length).ok_or_else(cut)?;
        envelopes.push(envelope);
        rest = after;
    }
    if (1..=usize::from(TILE_WIDTH)).contains(&envelopes.len()) {
        Ok(envelopes)
    } else {
        Err(Malformed("an entry bundle holds 1 to 256 envelopes".into()))
    }
}

/// Where tiles of hashes come from.
pub trait TileSource {
    /// The bytes of one tile: `width` hashes of 32 bytes. `None` if there is no such tile; the full one
    /// is then asked for, since a full tile may have replaced a partial one.
    fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>>;
}

/// Why a path could not be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    /// The index is not below the size, or the old size is above the new one.
    #[error("the place is outside the tree")]
    Outside,
    /// The source has no such tile, or one of another length.
    #[error("tile {0} is missing or has the wrong length")]
    Missing(TileId),
}

/// The audit path of one leaf in the tree of `size` leaves (RFC 6962 §2.1.1).
pub fn inclusion<S: TileSource + ?Sized>(index: u64, size: u64, source: &S) -> Result<Vec<Hash>, NoPath> {
    if index >= size {
        return Err(NoPath::Outside);
    }
    let mut reader = Reader::new(size, source);
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while let Some(middle) = split(low, high) {
        if index < middle {
            path.push(reader.range(middle, high)?);
            high = middle;
        } else {
            path.push(reader.range(low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// What shows that the tree of `new` leaves begins with the tree of `old` leaves (RFC 6962 §2.1.2).
/// Empty if `old` is 0 or equal to `new`.
pub fn consistency<S: TileSource + ?Sized>(old: u64, new: u64, source: &S) -> Result<Vec<Hash>, NoPath> {
    if old > new {
        return Err(NoPath::Outside);
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(new, source);
    let (mut low, mut high) = (0, new);
    let mut proof = Vec::new();
    while let Some(middle) = split(low, high).filter(|_| high != old) {
        if old <= middle {
            proof.push(reader.range(middle, high)?);
            high = middle;
        } else {
            proof.push(reader.range(low, middle)?);
            low = middle;
        }
    }
    // A beginning that is one whole subtree is the old root, which the verifier has.
    if low > 0 {
        proof.push(reader.range(low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of `size` leaves.
pub fn root_at<S: TileSource + ?Sized>(size: u64, source: &S) -> Result<Hash, NoPath> {
    if size == 0 { Ok(EMPTY_ROOT) } else { Reader::new(size, source).range(0, size) }
}

/// Where RFC 6962 splits a range of two or more leaves: after the largest power of two below its length.
fn split(low: u64, high: u64) -> Option<u64> {
    let longest = high.checked_sub(low)?.checked_sub(1)?.checked_ilog2()?;
    low.checked_add(1u64.checked_shl(longest)?)
}

/// Reads tiles as of one size, each once.
struct Reader<'s, S: ?Sized> {
    source: &'s S,
    size: u64,
    held: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'s, S: TileSource + ?Sized> Reader<'s, S> {
    fn new(size: u64, source: &'s S) -> Self {
        Self { source, size, held: BTreeMap::new() }
    }

    /// The root over the leaves from `low` to before `high`, a range RFC 6962 splits the tree into.
    fn range(&mut self, low: u64, high: u64) -> Result<Hash, NoPath> {
        // Such a range is complete subtrees of falling size, the first at its left edge.
        let mut roots = Vec::new();
        let mut from = low;
        while let Some(height) = high.saturating_sub(from).checked_ilog2() {
            roots.push(self.subtree(from, height)?);
            from = from.saturating_add(1u64.checked_shl(height).unwrap_or(u64::MAX));
        }
        let joined = roots.into_iter().rev().reduce(|right, left| super::tree::node_hash(&left, &right));
        joined.ok_or(NoPath::Outside)
    }

    /// The root of the complete subtree of 2^height leaves that begins at leaf `from`.
    fn subtree(&mut self, from: u64, height: u32) -> Result<Hash, NoPath> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let first = on_level(from, level);
        let count = 1usize.checked_shl(height % 8).unwrap_or(0);
        let index = first >> 8;
        let offset = usize::try_from(first & 255).unwrap_or(usize::MAX);
        let hashes = self.tile(level, index)?;
        let nodes = hashes.get(offset..offset.saturating_add(count));
        nodes.map(root_of).ok_or(NoPath::Outside)
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], NoPath> {
        let hashes = match self.held.remove(&(level, index)) {
            Some(hashes) => hashes,
            None => self.fetch(level, index)?,
        };
        Ok(self.held.entry((level, index)).or_insert(hashes))
    }

    fn fetch(&self, level: u8, index: u64) -> Result<Vec<Hash>, NoPath> {
        let width = width_at(on_level(self.size, level), index);
        let asked = |width| self.source.tile(level, index, width).filter(|b| b.len() == bytes_in(width));
        let bytes = asked(width).or_else(|| asked(TILE_WIDTH));
        let missing = NoPath::Missing(TileId { shelf: Shelf::Hashes(level), index, width });
        let bytes = bytes.ok_or(missing)?;
        let hashes = bytes.chunks(32).take(usize::from(width));
        hashes.map(|hash| hash.try_into().map(Hash).map_err(|_| missing)).collect()
    }
}

fn bytes_in(width: u16) -> usize {
    usize::from(width).saturating_mul(32)
}

/// All hashes that the tiles of a tree hold, in memory: 32 bytes a leaf. What a follower keeps while it
/// writes tiles, and enough to serve a small log.
#[derive(Debug, Clone, Default)]
pub struct TileSet {
    levels: Vec<Vec<Hash>>,
}

impl TileSet {
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| u64::try_from(leaves.len()).unwrap_or(u64::MAX))
    }

    /// Appends a leaf by its hash. A level that fills a tile passes the tile's root up.
    pub fn push(&mut self, leaf: Hash) {
        let mut next = Some(leaf);
        let mut level = 0usize;
        while let Some(hash) = next.take() {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            if let Some(hashes) = self.levels.get_mut(level) {
                hashes.push(hash);
                let full = hashes.len().is_multiple_of(usize::from(TILE_WIDTH));
                next = full.then(|| hashes.rchunks(usize::from(TILE_WIDTH)).next().map(root_of)).flatten();
            }
            level = level.saturating_add(1);
        }
    }
}

impl TileSource for TileSet {
    fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
        let hashes = self.levels.get(usize::from(level))?;
        let first = usize::try_from(index).ok()?.checked_mul(usize::from(TILE_WIDTH))?;
        let tile = hashes.get(first..first.checked_add(usize::from(width))?)?;
        Some(tile.iter().flat_map(|hash| hash.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Frontier, check_consistency, check_inclusion, leaf_hash, path};
    use super::*;
    use proptest::prelude::*;

    fn grown(size: u64) -> (TileSet, Vec<Hash>) {
        let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let mut tiles = TileSet::default();
        leaves.iter().for_each(|leaf| tiles.push(*leaf));
        (tiles, leaves)
    }

    #[test]
    fn a_path_has_one_spelling() {
        let cases = [
            ("tile/0/000", Shelf::Hashes(0), 0, 256),
            ("tile/0/x001/x234/067", Shelf::Hashes(0), 1_234_067, 256),
            ("tile/2/x001/000.p/17", Shelf::Hashes(2), 1000, 17),
            ("tile/entries/273.p/112", Shelf::Entries, 273, 112),
            ("tile/entries/x018/x446/x744/x073/x709/x551/615", Shelf::Entries, u64::MAX, 256),
        ];
        for (path, shelf, index, width) in cases {
            let id = TileId { shelf, index, width };
            assert_eq!(id.to_string(), path);
            assert_eq!(path.parse(), Ok(id));
        }
        let bad = [
            "",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/x000",
            "tile/0/001/x002",
            "tile/0/001/002",
            "tile/0/xx01/002",
            "tile/00/001",
            "tile/+1/001",
            "tile/64/001",
            "tile/data/001",
            "tile/-1/001",
            "/tile/0/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/01",
            "tile/0/001.p",
            "tile/0/001.p/1.p/1",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/../001",
        ];
        for path in bad {
            assert!(path.parse::<TileId>().is_err(), "{path}");
        }
    }

    #[test]
    fn the_shape_of_a_tree_of_70000() {
        let tiles = tiles_of(70_000);
        let on = |shelf| tiles.iter().filter(|id| id.shelf == shelf).collect::<Vec<_>>();
        let level0 = on(Shelf::Hashes(0));
        assert_eq!(level0.iter().filter(|id| id.width == 256).count(), 273);
        assert_eq!(level0.last().map(|id| id.to_string()), Some("tile/0/273.p/112".into()));
        assert_eq!(level0.len(), 274);
        let names = |shelf| on(shelf).iter().map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(names(Shelf::Hashes(1)), ["tile/1/000", "tile/1/001.p/17"]);
        assert_eq!(names(Shelf::Hashes(2)), ["tile/2/000.p/1"]);
        assert_eq!(on(Shelf::Hashes(3)).len(), 0);
        assert_eq!(on(Shelf::Entries).len(), 274);
        assert_eq!(tiles_of(0), []);

        let (set, leaves) = grown(70_000);
        for id in &tiles {
            if let Shelf::Hashes(level) = id.shelf {
                assert_eq!(set.tile(level, id.index, id.width).map(|t| t.len()), Some(bytes_in(id.width)));
            }
        }
        assert!(set.tile(0, 273, 113).is_none());
        assert_eq!(root_at(70_000, &set), Ok(root_of(&leaves)));
    }

    #[test]
    fn growing_writes_what_is_new() {
        let names = |old, new| new_tiles(old, new).iter().map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(names(0, 1), ["tile/0/000.p/1", "tile/entries/000.p/1"]);
        assert_eq!(names(1, 255), ["tile/0/000.p/255", "tile/entries/000.p/255"]);
        assert_eq!(names(255, 256), ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
        assert_eq!(names(256, 257), ["tile/0/001.p/1", "tile/entries/001.p/1"]);
        assert_eq!(names(7, 7), [""; 0]);
        assert_eq!(names(7, 6), [""; 0]);
    }

    #[test]
    fn paths_come_from_full_tiles_where_partial_ones_are_gone() {
        /// Has dropped the partial tiles that a full one has replaced, as a server may.
        struct Pruned(TileSet);
        impl TileSource for Pruned {
            fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
                let replaced = width < TILE_WIDTH && self.0.tile(level, index, TILE_WIDTH).is_some();
                if replaced { None } else { self.0.tile(level, index, width) }
            }
        }
        /// Has the leaves only.
        struct Leaves(TileSet);
        impl TileSource for Leaves {
            fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
                (level == 0).then(|| self.0.tile(level, index, width)).flatten()
            }
        }
        let (set, leaves) = grown(512);
        let (pruned, bare) = (Pruned(set.clone()), Leaves(set));
        assert!(pruned.tile(0, 1, 44).is_none());
        assert_eq!(inclusion(299, 300, &pruned), Ok(path(&leaves[..300], 299)));
        let partial = NoPath::Missing("tile/1/000.p/2".parse().expect("a path"));
        assert_eq!(inclusion(300, 512, &bare), Err(partial));
        assert_eq!(inclusion(512, 512, &pruned), Err(NoPath::Outside));
        assert_eq!(consistency(513, 512, &pruned), Err(NoPath::Outside));
    }

    #[test]
    fn bundles_are_read_back() {
        let long = vec![b'x'; 65_535];
        let envelopes: Vec<&[u8]> = vec![b"one", b"", &long];
        let bytes = bundle(envelopes.iter().copied()).expect("a bundle");
        assert_eq!(&bytes[..7], b"\x00\x03one\x00\x00");
        assert_eq!(unbundle(&bytes), Ok(envelopes));
        assert!(unbundle(&bytes[..bytes.len() - 1]).is_err());
        assert!(unbundle(&bytes[..1]).is_err());
        assert!(unbundle(&[]).is_err());
        assert!(unbundle(&[0; 514]).is_err(), "257 envelopes");
        assert!(bundle([&vec![0; 65_536][..]]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn paths_from_tiles_are_those_of_the_definition(size in 1u64..1500, index in any::<prop::sample::Index>(), grows in 0u64..400) {
            let (set, leaves) = grown(size + grows);
            let index = index.index(size as usize);
            let found = inclusion(index as u64, size, &set).expect("all tiles are there");
            prop_assert_eq!(&found, &path(&leaves[..size as usize], index));
            let root = root_at(size, &set).expect("a root");
            prop_assert_eq!(check_inclusion(&leaves[index], index as u64, size, &found, &root), Ok(()));
            let proof = consistency(size, size + grows, &set).expect("all tiles are there");
            let after = root_at(size + grows, &set).expect("a root");
            prop_assert_eq!(check_consistency(size, &root, size + grows, &after, &proof), Ok(()));
            let mut frontier = Frontier::default();
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            prop_assert_eq!(frontier.root(), after);
        }

        #[test]
        fn every_step_of_growth_ends_with_the_same_tiles(steps in prop::collection::vec(1u64..700, 1..8)) {
            let mut size = 0;
            let mut written = std::collections::BTreeSet::new();
            for step in steps {
                written.extend(new_tiles(size, size + step));
                size += step;
            }
            prop_assert!(tiles_of(size).iter().all(|id| written.contains(id)));
        }

        #[test]
        fn another_implementation_names_the_same_tiles(old in 0u64..80_000, grows in 1u64..80_000) {
            let theirs = tlog_tiles::Tile::new_tiles(8, old, old + grows);
            let theirs: Vec<TileId> = theirs.iter().map(|tile| TileId {
                shelf: Shelf::Hashes(tile.level()),
                index: tile.level_index(),
                width: tile.width() as u16,
            }).collect();
            let mut ours = new_tiles(old, old + grows);
            ours.retain(|id| id.shelf != Shelf::Entries);
            prop_assert_eq!(ours, theirs);
        }
    }
}
