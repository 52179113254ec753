//! The growing edge of the tree: the last, open tile of every level.
//!
//! Owns: which tiles a new leaf fills.
//! Promises: memory for at most 255 hashes a level, however large the log is.
//! Refuses to know: where full tiles go.

use crate::log::{Shelf, TILE_WIDTH, TileId, root_of};
use crate::types::Hash;

/// A tile that has become full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub id: TileId,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
    /// Their root: a hash of the level above.
    pub root: Hash,
}

impl Filled {
    /// The level it stands on.
    pub fn level(&self) -> u8 {
        match self.id.shelf {
            Shelf::Hashes(level) => level,
            Shelf::Entries => 0,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    open: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves; `open` gives the hashes of a level's open tile, in order.
    /// `None` if a level has another number of them than the size says.
    pub fn resume<E>(
        size: u64,
        mut open: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
    ) -> Result<Option<Self>, E> {
        let mut edge = Self { size, open: vec![] };
        for (level, count) in (0..8u8).zip(levels(size)) {
            let (index, width) = place(count);
            let hashes = match width {
                0 => vec![],
                _ => open(TileId { shelf: Shelf::Hashes(level), index, width })?,
            };
            if hashes.len() != usize::from(width) {
                return Ok(None);
            }
            edge.open.push(hashes);
        }
        Ok(Some(edge))
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash. Returns the tiles that it filled, the lowest level first; mostly none.
    pub fn push(&mut self, leaf: Hash) -> Vec<Filled> {
        self.size += 1;
        let mut filled: Vec<Filled> = vec![];
        for level in 0..8u8 {
            let hash = filled.last().map_or(leaf, |below| below.root);
            let place = usize::from(level);
            if self.open.len() <= place {
                self.open.push(vec![]);
            }
            let Some(open) = self.open.get_mut(place) else { break };
            open.push(hash);
            if open.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let hashes = std::mem::take(open);
            let index = (self.size >> (8 * u32::from(level) + 8)) - 1;
            let id = TileId { shelf: Shelf::Hashes(level), index, width: TILE_WIDTH };
            filled.push(Filled { id, root: root_of(&hashes), hashes });
        }
        filled
    }

    /// The hashes of each level's open tile, the leaves first; some may be empty.
    pub fn open_tiles(&self) -> impl Iterator<Item = &[Hash]> {
        self.open.iter().map(Vec::as_slice)
    }

    /// The tiles that are begun and not full, the lowest level first.
    pub fn partial(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        let levels = (0..8u8).zip(levels(self.size)).zip(&self.open);
        levels.filter(|(_, open)| !open.is_empty()).map(|((level, count), open)| {
            let (index, width) = place(count);
            (TileId { shelf: Shelf::Hashes(level), index, width }, open.as_slice())
        })
    }
}

/// How many hashes each level of a tree has, the leaves first, as far as there are any.
pub(super) fn levels(size: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(size), |count| Some(count >> 8)).take_while(|count| *count > 0)
}

/// Where the open tile of a level of `count` hashes is, and how many stand in it.
fn place(count: u64) -> (u64, u16) {
    (count / 256, u16::try_from(count % 256).unwrap_or(0))
}
