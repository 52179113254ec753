//! The Merkle tree of RFC 6962 §2.1 over SHA-256.
//!
//! Owns: the hash of a leaf, of a node, of a list; the frontier the writer extends; paths and the checks
//! of paths.
//! Promises: a leaf and a node never hash alike (the prefixes 0x00 and 0x01), a check accepts exactly one
//! list of hashes for given sizes, and appending a leaf costs two hashes on average and no allocation.
//! Refuses to know: what the leaves are.

use crate::types::{Hash, Malformed};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// SHA-256(0x00 ‖ bytes).
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(bytes);
    Hash(hasher.finalize().into())
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// The level above: neighbours joined, a last one without a neighbour carried up as it is.
fn level_above(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(node_hash(left, right)),
            [alone] => Some(*alone),
            _ => None,
        })
        .collect()
}

/// The root over leaf hashes.
pub fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [only] => *only,
        _ => {
            let mut level = level_above(leaves);
            while level.len() > 1 {
                level = level_above(&level);
            }
            level.first().copied().unwrap_or(EMPTY_ROOT)
        }
    }
}

/// The audit path of one leaf (RFC 6962 §2.1.1), from the leaf's neighbour upwards.
///
/// Empty for a leaf that is alone, and for an index beyond the leaves (no path proves that one). For
/// many paths over the same leaves, build a [`Tree`] once.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    Tree::of(leaves).path(index)
}

/// All nodes over a list of leaf hashes, for when many paths are wanted: 64 bytes a leaf.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The leaves, then each level above, up to the root.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Hashes every node once.
    pub fn of(leaves: &[Hash]) -> Self {
        let mut levels = vec![leaves.to_vec()];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            levels.push(level_above(level));
        }
        Self { levels }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(EMPTY_ROOT)
    }

    /// The audit path of one leaf, as [`path`].
    pub fn path(&self, index: usize) -> Vec<Hash> {
        if self.levels.first().is_none_or(|leaves| index >= leaves.len()) {
            return Vec::new();
        }
        // A node without a neighbour is carried up, and adds nothing to the path.
        let mut place = index;
        let mut path = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            path.extend(level.get(place ^ 1).copied());
            place >>= 1;
        }
        path
    }
}

/// What the writer keeps of the tree: the roots of the complete subtrees, largest first, one for each
/// bit that is set in the size. Enough to append leaves and to know the root; at most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "StoredFrontier")]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

/// A frontier as it was written down, before it is known to be one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFrontier {
    size: u64,
    edge: Vec<Hash>,
}

impl TryFrom<StoredFrontier> for Frontier {
    type Error = Malformed;
    fn try_from(stored: StoredFrontier) -> Result<Self, Malformed> {
        Self::new(stored.size, stored.edge)
    }
}

impl Frontier {
    /// The tree of `size` leaves whose complete subtrees have these roots, largest first.
    pub fn new(size: u64, edge: Vec<Hash>) -> Result<Self, Malformed> {
        if u32::try_from(edge.len()) == Ok(size.count_ones()) {
            Ok(Self { size, edge })
        } else {
            Err(Malformed("a frontier has one hash for each bit that is set in its size".into()))
        }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        // Every complete subtree of the size the new one has grown to is joined with it.
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.edge.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        let joined = self.edge.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        joined.unwrap_or(EMPTY_ROOT)
    }

    /// The size as eight bytes, big-endian, then the hashes: the form in which it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.edge.iter().flat_map(|hash| hash.0);
        self.size.to_be_bytes().into_iter().chain(hashes).collect()
    }

    /// Reverse of [`Frontier::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let cut = || Malformed("a stored frontier is eight bytes and whole hashes".into());
        let (size, hashes) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let edge = hashes.chunks(32).map(|hash| hash.try_into().map(Hash).map_err(|_| cut()));
        Self::new(u64::from_be_bytes(*size), edge.collect::<Result<_, _>>()?)
    }
}

/// Hashes that do not prove what they were given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The index is not below the size, or the old size is above the new one.
    #[error("the place is outside the tree")]
    Outside,
    /// More or fewer hashes than this place in a tree of this size has.
    #[error("the path has the wrong length")]
    Length,
    /// The hashes lead to another root.
    #[error("the path leads to another root")]
    Root,
}

/// Checks that a leaf stands at `index` in the tree of `size` leaves with this root
/// (RFC 9162 §2.1.3.2).
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), Mismatch> {
    if index >= size {
        return Err(Mismatch::Outside);
    }
    let mut climb = Climb { place: index, last: size.saturating_sub(1) };
    let mut found = *leaf;
    for hash in path {
        found = match climb.step()? {
            Side::Left => node_hash(hash, &found),
            Side::Right => node_hash(&found, hash),
        };
    }
    climb.arrived()?;
    if found == *root { Ok(()) } else { Err(Mismatch::Root) }
}

/// Checks that the tree of `new_size` leaves begins with the tree of `old_size` leaves
/// (RFC 9162 §2.1.4.2). The empty tree is the beginning of every tree, and that needs no proof.
pub fn check_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Mismatch> {
    if old_size > new_size {
        return Err(Mismatch::Outside);
    }
    if old_size == 0 || old_size == new_size {
        let expected = if old_size == 0 { &EMPTY_ROOT } else { new_root };
        return match (proof, expected == old_root) {
            ([], true) if new_size > 0 || *new_root == EMPTY_ROOT => Ok(()),
            ([], _) => Err(Mismatch::Root),
            _ => Err(Mismatch::Length),
        };
    }
    // A complete old tree is itself the first node of the new one, and is left out of the proof.
    let (first, rest) = match proof.split_first() {
        _ if old_size.is_power_of_two() => (*old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return Err(Mismatch::Length),
    };
    let mut climb = Climb { place: old_size.saturating_sub(1), last: new_size.saturating_sub(1) };
    climb.up(climb.place.trailing_ones());
    let (mut old, mut new) = (first, first);
    for hash in rest {
        match climb.step()? {
            Side::Left => {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
            }
            Side::Right => new = node_hash(&new, hash),
        }
    }
    climb.arrived()?;
    if old == *old_root && new == *new_root { Ok(()) } else { Err(Mismatch::Root) }
}

/// On which side of the node we come from its neighbour stands.
enum Side {
    Left,
    Right,
}

/// The way from a node up to the root: the node's place on its level, and the last place there.
struct Climb {
    place: u64,
    last: u64,
}

impl Climb {
    fn up(&mut self, levels: u32) {
        self.place = self.place.checked_shr(levels).unwrap_or(0);
        self.last = self.last.checked_shr(levels).unwrap_or(0);
    }

    /// Goes up to the next node that has a neighbour below it, and says where that neighbour is.
    fn step(&mut self) -> Result<Side, Mismatch> {
        if self.last == 0 {
            return Err(Mismatch::Length);
        }
        let side = if self.place & 1 == 1 || self.place == self.last { Side::Left } else { Side::Right };
        if matches!(side, Side::Left) {
            // A last node without a neighbour was carried up to where it is the right one of two.
            self.up(self.place.trailing_zeros());
        }
        self.up(1);
        Ok(side)
    }

    fn arrived(&self) -> Result<(), Mismatch> {
        if self.last == 0 { Ok(()) } else { Err(Mismatch::Length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962 §2.1 to the letter.
    fn mth(d: &[Hash]) -> Hash {
        match d.len() {
            0 => Hash::sha256(b""),
            1 => d[0],
            n => {
                let k = largest_power_below(n);
                node_hash(&mth(&d[..k]), &mth(&d[k..]))
            }
        }
    }

    /// RFC 6962 §2.1.1 to the letter.
    fn rfc_path(m: usize, d: &[Hash]) -> Vec<Hash> {
        if d.len() == 1 {
            return vec![];
        }
        let k = largest_power_below(d.len());
        if m < k {
            [rfc_path(m, &d[..k]), vec![mth(&d[k..])]].concat()
        } else {
            [rfc_path(m - k, &d[k..]), vec![mth(&d[..k])]].concat()
        }
    }

    /// RFC 6962 §2.1.2 to the letter: PROOF(m, D[n]) = SUBPROOF(m, D[n], true).
    fn rfc_proof(m: usize, d: &[Hash], whole: bool) -> Vec<Hash> {
        if m == d.len() {
            return if whole { vec![] } else { vec![mth(d)] };
        }
        let k = largest_power_below(d.len());
        if m <= k {
            [rfc_proof(m, &d[..k], whole), vec![mth(&d[k..])]].concat()
        } else {
            [rfc_proof(m - k, &d[k..], false), vec![mth(&d[..k])]].concat()
        }
    }

    fn largest_power_below(n: usize) -> usize {
        n.next_power_of_two() / 2
    }

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_published_vectors() {
        let data: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), EMPTY_ROOT);
        assert_eq!(Hash::sha256(b""), EMPTY_ROOT);
        assert_eq!(
            data_encoding::BASE64.encode(&EMPTY_ROOT.0),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        for (bytes, root) in data.iter().zip(roots) {
            frontier.push(leaf_hash(bytes));
            assert_eq!(frontier.root().to_string(), root);
        }
    }

    #[test]
    fn every_small_tree_follows_the_definition() {
        let mut frontier = Frontier::default();
        for size in 0..=70usize {
            let d = leaves(size);
            assert_eq!(root_of(&d), mth(&d), "root of {size}");
            assert_eq!(frontier.root(), mth(&d), "frontier of {size}");
            assert_eq!(Tree::of(&d).root(), mth(&d));
            for (i, leaf) in d.iter().enumerate() {
                let path = path(&d, i);
                assert_eq!(path, rfc_path(i, &d), "path of {i} in {size}");
                assert_eq!(check_inclusion(leaf, i as u64, size as u64, &path, &mth(&d)), Ok(()));
            }
            for old in 0..=size {
                let proof = if old == 0 { vec![] } else { rfc_proof(old, &d, true) };
                let (before, after) = (mth(&d[..old]), mth(&d));
                assert_eq!(check_consistency(old as u64, &before, size as u64, &after, &proof), Ok(()));
            }
            frontier.push(leaf_hash(&size.to_be_bytes()));
        }
        assert!(path(&leaves(3), 3).is_empty());
        assert!(path(&[], 0).is_empty());
    }

    #[test]
    fn ten_thousand_leaves() {
        let d = leaves(10_000);
        let mut frontier = Frontier::default();
        d.iter().for_each(|leaf| frontier.push(*leaf));
        assert_eq!(frontier.root(), root_of(&d));
        assert_eq!(frontier.edge().len(), 5, "10,000 has five bits set");
    }

    #[test]
    fn an_empty_beginning_needs_no_proof_and_takes_none() {
        let root = mth(&leaves(3));
        assert_eq!(check_consistency(0, &EMPTY_ROOT, 3, &root, &[]), Ok(()));
        assert_eq!(check_consistency(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]), Ok(()));
        assert_eq!(check_consistency(0, &EMPTY_ROOT, 3, &root, &[root]), Err(Mismatch::Length));
        assert_eq!(check_consistency(0, &root, 3, &root, &[]), Err(Mismatch::Root));
        assert_eq!(check_consistency(0, &EMPTY_ROOT, 0, &root, &[]), Err(Mismatch::Root));
        assert_eq!(check_consistency(0, &root, 0, &root, &[]), Err(Mismatch::Root));
        assert_eq!(check_consistency(3, &root, 3, &root, &[root]), Err(Mismatch::Length));
        assert_eq!(check_consistency(3, &root, 2, &root, &[]), Err(Mismatch::Outside));
        assert_eq!(check_consistency(3, &root, 5, &root, &[]), Err(Mismatch::Length));
        assert_eq!(check_inclusion(&root, 0, 0, &[], &root), Err(Mismatch::Outside));
    }

    #[test]
    fn a_stored_frontier_is_checked() {
        let mut frontier = Frontier::default();
        leaves(11).into_iter().for_each(|leaf| frontier.push(leaf));
        assert_eq!(Frontier::from_bytes(&frontier.to_bytes()), Ok(frontier.clone()));
        let text = serde_json::to_string(&frontier).expect("JSON");
        assert_eq!(serde_json::from_str::<Frontier>(&text).expect("a frontier"), frontier);
        let mut cut = frontier.to_bytes();
        cut.pop();
        assert!(Frontier::from_bytes(&cut).is_err());
        assert!(Frontier::from_bytes(&[0; 7]).is_err());
        assert!(Frontier::new(12, frontier.edge().to_vec()).is_err());
        assert!(serde_json::from_str::<Frontier>(&text.replace("11", "12")).is_err());
    }

    proptest! {
        #[test]
        fn paths_prove_one_place_only(size in 1usize..600, index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let d = leaves(size);
            let i = index.index(size);
            let (root, mut path) = (root_of(&d), path(&d, i));
            prop_assert_eq!(&path, &rfc_path(i, &d));
            let check = |leaf: &Hash, i: usize, n: usize, path: &[Hash]| check_inclusion(leaf, i as u64, n as u64, path, &root);
            prop_assert_eq!(check(&d[i], i, size, &path), Ok(()));
            prop_assert!(check(&leaf_hash(b"other"), i, size, &path).is_err());
            for j in [i ^ 1, i + 1, i / 2] {
                prop_assert!(j == i || check(&d[i], j, size, &path).is_err());
            }
            prop_assert!(check(&d[i], i, size, &[&path[..], &[root]].concat()).is_err());
            if let Some(shorter) = path.len().checked_sub(1) {
                prop_assert!(check(&d[i], i, size, &path[..shorter]).is_err());
                let k = at.index(path.len());
                path[k].0[31] ^= 1 << bit;
                prop_assert!(check(&d[i], i, size, &path).is_err());
            }
        }

        #[test]
        fn consistency_accepts_the_true_past_only(new in 2usize..600, old in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
            let d = leaves(new);
            let old = 1 + old.index(new - 1);
            let (before, after) = (root_of(&d[..old]), root_of(&d));
            let mut proof = rfc_proof(old, &d, true);
            let check = |old: usize, before: &Hash, proof: &[Hash]| check_consistency(old as u64, before, new as u64, &after, proof);
            prop_assert_eq!(check(old, &before, &proof), Ok(()));
            prop_assert!(check(old, &leaf_hash(b"other"), &proof).is_err());
            if old + 1 < new {
                prop_assert!(check(old + 1, &before, &proof).is_err());
            }
            prop_assert!(check(old, &before, &[&proof[..], &[after]].concat()).is_err());
            prop_assert!(check(old, &before, &proof[..proof.len() - 1]).is_err());
            let k = at.index(proof.len());
            proof[k].0[0] ^= 1;
            prop_assert!(check(old, &before, &proof).is_err());
        }

        #[test]
        fn another_implementation_agrees(new in 1usize..300, index in any::<prop::sample::Index>()) {
            use tlog_tiles::tlog;
            let theirs = |hash: &Hash| tlog::Hash(hash.0);
            let d = leaves(new);
            let i = index.index(new);
            let root = root_of(&d);
            let path = path(&d, i).iter().map(theirs).collect();
            prop_assert!(tlog::check_record(&path, new as u64, theirs(&root), i as u64, theirs(&d[i])).is_ok());
            let proof = rfc_proof(i + 1, &d, true).iter().map(theirs).collect();
            let before = theirs(&root_of(&d[..=i]));
            prop_assert!(tlog::check_tree(&proof, new as u64, theirs(&root), i as u64 + 1, before).is_ok());
        }
    }
}
