//! Proofs: what shows that the log contains something, to whoever holds the log's verifier key.
//!
//! Owns: the proof bundle (JSON), how it is made, and how it is checked without a connection.
//! Promises: what [`Proof::verify`] shows stands in the log under a checkpoint signed by the given key,
//! and the bundle shows nobody else's parts. The same in the public text format is in
//! [`Proof::to_tlog_proof`].
//! Refuses to know: who may have a proof, and which cosignatures make it final.

use super::checkpoint::{BadNote, Checkpoint, LogVerifier};
use super::envelope::{Envelope, PartsRef, Unreadable};
use super::part::{Slot, open};
use super::tree::{Mismatch, Tree, check_inclusion, leaf_hash};
use crate::types::{Hash, Malformed, decode, encode};
use serde::{Deserialize, Serialize};

/// The version of the bundle.
const PROOF_VERSION: u32 = 1;

/// A proof bundle. As JSON: `{"v":1,"envelope":…,"path":[…],"parts":[…],"checkpoint":…}`, hashes in
/// hexadecimal, the envelope and each part as a string that holds their exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The bundle's version: 1.
    pub v: u32,
    /// The envelope's bytes. Its `seq` is its place in the tree.
    pub envelope: String,
    /// From the envelope's leaf to the root of the checkpoint.
    pub path: Vec<Hash>,
    /// The parts that are shown, in rising order of their place; perhaps none.
    pub parts: Vec<OwnPart>,
    /// The signed note.
    pub checkpoint: String,
}

/// One part that a proof shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPart {
    /// Its place among the entry's parts, from 0.
    pub index: u32,
    /// Its bytes, salt included.
    pub part: String,
    /// From the part's leaf to the envelope's `parts.root`.
    pub path: Vec<Hash>,
}

/// What a proof has shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The signed size and root under which it was shown.
    pub checkpoint: Checkpoint,
    /// The entry's public side.
    pub envelope: Envelope,
    /// Place and body (an encoded JSON object, without the salt) of each part.
    pub parts: Vec<(u32, Vec<u8>)>,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The bundle is of a version this release does not know.
    #[error("version {0} of the proof is not known to this release: upgrade")]
    Version(u32),
    /// The checkpoint is not one of the log asked for.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] BadNote),
    /// The envelope cannot be read.
    #[error("envelope: {0}")]
    Envelope(#[from] Unreadable),
    /// The envelope does not stand in the tree of the checkpoint.
    #[error("path of the envelope: {0}")]
    Path(Mismatch),
    /// A part does not stand in the entry.
    #[error("path of part {0}: {1}")]
    PartPath(u32, Mismatch),
    /// A part cannot be read, was erased, is not there, or parts are out of order.
    #[error("part {0}: {1}")]
    Part(u32, Malformed),
}

impl Proof {
    /// Puts a proof together from an entry, its path to a checkpoint's tree, and the checkpoint's note.
    ///
    /// `slots` are all parts of the entry, `own` the places of those to show, in rising order. The note
    /// and the path are taken as they are; [`Proof::verify`] judges them.
    pub fn make(
        envelope: &[u8],
        path: Vec<Hash>,
        slots: &[Slot],
        own: &[u32],
        note: &str,
    ) -> Result<Self, Unproven> {
        let read = Envelope::decode(envelope)?;
        let no_match = |e| Unproven::Envelope(Unreadable::Malformed(e));
        if PartsRef::of(slots).map_err(no_match)? != read.parts {
            return Err(no_match(Malformed("these are not the parts of this entry".into())));
        }
        let leaves: Vec<Hash> = slots.iter().map(Slot::leaf_hash).collect();
        let tree = Tree::of(&leaves);
        let parts = own.iter().map(|index| own_part(slots, &tree, *index)).collect::<Result<Vec<_>, _>>()?;
        in_order(&parts)?;
        let envelope = String::from_utf8_lossy(envelope).into_owned();
        Ok(Self { v: PROOF_VERSION, envelope, path, parts, checkpoint: note.to_owned() })
    }

    /// A proof of the envelope alone.
    pub(super) fn of_envelope(envelope: String, path: Vec<Hash>, checkpoint: String) -> Self {
        Self { v: PROOF_VERSION, envelope, path, parts: Vec::new(), checkpoint }
    }

    /// The bundle's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }

    /// Checks everything: the note's signature, the envelope's path, each part's path. Needs nothing but
    /// the verifier key, which must not come from where the proof came from.
    pub fn verify(&self, log: &LogVerifier) -> Result<Shown, Unproven> {
        if self.v != PROOF_VERSION {
            return Err(Unproven::Version(self.v));
        }
        let checkpoint = log.verify(&self.checkpoint)?;
        let bytes = self.envelope.as_bytes();
        let envelope = Envelope::decode(bytes)?;
        let leaf = leaf_hash(bytes);
        check_inclusion(&leaf, envelope.seq, checkpoint.size, &self.path, &checkpoint.root)
            .map_err(Unproven::Path)?;
        in_order(&self.parts)?;
        let parts = self.parts.iter().map(|own| own.verify(&envelope.parts)).collect::<Result<_, _>>()?;
        Ok(Shown { checkpoint, envelope, parts })
    }
}

impl OwnPart {
    fn verify(&self, entry: &PartsRef) -> Result<(u32, Vec<u8>), Unproven> {
        let bytes = self.part.as_bytes();
        let (index, size) = (u64::from(self.index), u64::from(entry.n));
        check_inclusion(&leaf_hash(bytes), index, size, &self.path, &entry.root)
            .map_err(|e| Unproven::PartPath(self.index, e))?;
        let (_, body) = open(bytes).map_err(|e| Unproven::Part(self.index, e))?;
        Ok((self.index, body))
    }
}

fn own_part(slots: &[Slot], tree: &Tree, index: u32) -> Result<OwnPart, Unproven> {
    let no = |why: &str| Unproven::Part(index, Malformed(why.into()));
    let place = usize::try_from(index).map_err(|_| no("there is no such part"))?;
    match slots.get(place) {
        Some(Slot::Whole(bytes)) => {
            let part = String::from_utf8(bytes.clone()).map_err(|_| no("it is not UTF-8"))?;
            Ok(OwnPart { index, part, path: tree.path(place) })
        }
        Some(Slot::Erased(_)) => Err(no("it was erased")),
        None => Err(no("there is no such part")),
    }
}

fn in_order(parts: &[OwnPart]) -> Result<(), Unproven> {
    let out_of_order = parts.windows(2).find_map(|pair| match pair {
        [one, next] if one.index >= next.index => Some(next.index),
        _ => None,
    });
    match out_of_order {
        Some(index) => Err(Unproven::Part(index, Malformed("parts stand in rising order, each once".into()))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Chain, LogSigner, TileSet, inclusion, seal};
    use super::*;
    use crate::types::Time;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    pub(in crate::log) fn signer() -> LogSigner {
        LogSigner::new("points.example/log", &[7; 32]).expect("a name")
    }

    pub(in crate::log) fn verifier() -> LogVerifier {
        signer().vkey().parse().expect("a verifier key")
    }

    fn slots(n: u8) -> Vec<Slot> {
        let part = |i: u8| seal([i; 16], format!(r#"{{"done":{i}}}"#).as_bytes()).expect("sealed");
        (0..n).map(|i| Slot::Whole(part(i))).collect()
    }

    /// A log of eight entries, and a proof of two of the seven parts of entry 5.
    pub(in crate::log) fn proof() -> Proof {
        let mut chain = Chain::start();
        let mut tiles = TileSet::default();
        let mut lines = Vec::new();
        for i in 0..8u8 {
            let at = Time::from_micros(i.into()).expect("in range");
            let (public, parts) = match i {
                0 => (Some(RawValue::from_string("{}".into()).expect("JSON")), PartsRef::NONE),
                _ => (None, PartsRef::of(&slots(i + 2)).expect("few enough")),
            };
            let (_, bytes) = chain.append(at, "test", public, parts).expect("follows");
            tiles.push(leaf_hash(&bytes));
            lines.push(bytes);
        }
        let path = inclusion(5, 8, &tiles).expect("in the tree");
        let note = signer().sign(8, chain.root());
        Proof::make(&lines[5], path, &slots(7), &[2, 6], &note).expect("a proof")
    }

    #[test]
    fn a_proof_shows_its_parts() {
        let proof = proof();
        let shown = proof.verify(&verifier()).expect("proven");
        assert_eq!(shown.envelope.seq, 5);
        assert_eq!(shown.checkpoint.size, 8);
        assert_eq!(shown.parts, [(2, br#"{"done":2}"#.to_vec()), (6, br#"{"done":6}"#.to_vec())]);
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof.clone()));
        let text = String::from_utf8(proof.encode()).expect("UTF-8");
        assert!(!text.contains("done\\\":3"), "nobody else's part");
    }

    #[test]
    fn what_is_tampered_with_shows_nothing() {
        let good = proof();
        let why = |change: &dyn Fn(&mut Proof)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.verify(&verifier()).expect_err("tampered")
        };
        assert_eq!(why(&|p| p.v = 2), Unproven::Version(2));
        assert!(matches!(why(&|p| p.path[1] = Hash([0; 32])), Unproven::Path(Mismatch::Root)));
        assert!(matches!(why(&|p| p.path.truncate(2)), Unproven::Path(Mismatch::Length)));
        let envelope = good.envelope.replace("\"seq\":5", "\"seq\":4");
        assert!(matches!(why(&|p| p.envelope = envelope.clone()), Unproven::Path(Mismatch::Root)));
        assert!(matches!(why(&|p| p.envelope.push(' ')), Unproven::Envelope(_)));
        let other = signer().sign(8, Hash([1; 32]));
        assert!(matches!(why(&|p| p.checkpoint = other.clone()), Unproven::Path(Mismatch::Root)));
        let small = signer().sign(5, Hash([1; 32]));
        assert!(matches!(why(&|p| p.checkpoint = small.clone()), Unproven::Path(Mismatch::Outside)));
        let forged = LogSigner::new("points.example/log", &[8; 32]).expect("a name").sign(8, Hash([1; 32]));
        assert!(matches!(why(&|p| p.checkpoint = forged.clone()), Unproven::Checkpoint(BadNote::Unsigned)));
        let part = good.parts[0].part.replace("\"done\":2", "\"done\":3");
        assert!(matches!(why(&|p| p.parts[0].part = part.clone()), Unproven::PartPath(2, Mismatch::Root)));
        assert!(matches!(why(&|p| p.parts[0].index = 3), Unproven::PartPath(3, _)));
        assert!(matches!(why(&|p| p.parts[1].index = 7), Unproven::PartPath(7, Mismatch::Outside)));
        assert!(matches!(why(&|p| p.parts.swap(0, 1)), Unproven::Part(2, _)));
        assert!(matches!(why(&|p| p.parts.push(p.parts[1].clone())), Unproven::Part(6, _)));
    }

    #[test]
    fn only_whole_parts_of_the_entry_can_be_shown() {
        let good = proof();
        let make = |slots: &[Slot], own: &[u32]| {
            Proof::make(good.envelope.as_bytes(), good.path.clone(), slots, own, &good.checkpoint)
        };
        assert_eq!(make(&slots(7), &[2, 6]), Ok(good.clone()));
        let mut erased = slots(7);
        erased[3] = erased[3].erase();
        assert_eq!(make(&erased, &[2, 6]), Ok(good.clone()), "another's erasure takes nothing away");
        assert!(matches!(make(&erased, &[3]), Err(Unproven::Part(3, _))));
        assert!(matches!(make(&slots(7), &[7]), Err(Unproven::Part(7, _))));
        assert!(matches!(make(&slots(7), &[6, 2]), Err(Unproven::Part(2, _))));
        assert!(matches!(make(&slots(6), &[2]), Err(Unproven::Envelope(_))));
        assert!(make(&slots(7), &[]).is_ok_and(|p| p.verify(&verifier()).is_ok_and(|s| s.parts.is_empty())));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let good = proof().encode();
            let mut bad = good.clone();
            let at = at.index(bad.len());
            bad[at] = byte;
            prop_assume!(bad != good);
            prop_assert!(Proof::decode(&bad).map_or(true, |p| p.verify(&verifier()).is_err()));
        }
    }
}
