//! What a verification is asked, and what it says.
//!
//! Owns: the shapes, which `--json` prints as they are, and the words for how deep it went.
//! Promises: whatever was not decided again is named, entry by entry, and the level says it too.
//! Refuses to know: how it is checked.

use crate::log::Envelope;
use crate::machine::{AssertedTotal, Checked, Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// What to check, and against what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Verify signatures too (off: to measure everything else).
    pub signatures: bool,
    /// The log's verifier key, from outside; without it the one that genesis names is taken.
    pub vkey: Option<String>,
    /// The network's id, from outside; without it the log's own is taken.
    pub net: Option<String>,
    /// Compare with the live state and views.
    pub compare: bool,
    /// Checkpoints of this log that somebody kept, each with a name for it: the log must contain what they signed.
    pub checkpoints: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { signatures: true, vkey: None, net: None, compare: true, checkpoints: vec![] }
    }
}

/// Where something is wrong, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Finding {
    /// An entry, a part, a record, a table.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

/// What was checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How deep: what the words mean is in the help of `verify`.
    pub level: String,
    /// Entries.
    pub entries: u64,
    /// Parts.
    pub parts: u64,
    /// Signatures.
    pub signatures: u64,
    /// Parts that were erased on request.
    pub erased: u64,
    /// Entries whose evidence is among those: taken over as recorded, within what their kind allows.
    pub undecided: u64,
    /// Those entries.
    pub undecided_entries: Vec<Undecided>,
    /// Parts that the log says are erased and that are there still.
    pub unerased: u64,
    /// What was moved under keys that the network holds.
    pub asserted: AssertedTotal,
    /// Snapshots whose root was made again.
    pub snapshots: u64,
    /// Records of live state that were compared.
    pub records: u64,
    /// Whether the live views were compared.
    pub views: bool,
    /// Whether there was a checkpoint beside the database to hold the log against.
    pub outside: bool,
    /// The log's size and root, as the checkpoint signs them.
    pub size: u64,
    /// The root, hexadecimal.
    pub root: String,
    /// The network's id.
    pub net: String,
    /// What makes nothing wrong, and a person should know: seals that the schedule missed, months that were closed too soon.
    pub notes: Vec<String>,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

/// An entry that was taken over as recorded, because evidence of it was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// Its place.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// What it moved, in smallest units, by unit or currency: of each the sum of what was added somewhere.
    pub moved: BTreeMap<String, u64>,
}

impl Undecided {
    fn of(envelope: &Envelope, kind: Kind, checked: &Checked) -> Self {
        let mut moved = BTreeMap::new();
        let legs = checked.effects.iter().flat_map(|effect| &effect.done.legs);
        for leg in legs.filter(|leg| leg.amount > 0) {
            let sum: &mut u64 = moved.entry(leg.asset.to_string()).or_default();
            *sum = sum.saturating_add(leg.amount.unsigned_abs());
        }
        Self { seq: envelope.seq, kind: kind.text().into(), moved }
    }
}

impl Report {
    /// Counts an entry that holds.
    pub(super) fn count(&mut self, envelope: &Envelope, kind: Kind, parts: usize, checked: &Checked) {
        self.entries += 1;
        self.parts += parts as u64;
        self.signatures += checked.signatures;
        self.erased += checked.missing.len() as u64;
        self.asserted.add(&checked.asserted);
        if checked.undecided {
            self.undecided += 1;
            self.undecided_entries.push(Undecided::of(envelope, kind, checked));
        }
    }

    /// How deep it went, in words.
    pub(super) fn deep(&self, signatures: bool) -> String {
        let decided = match (signatures, self.undecided) {
            (false, 0) => return "all parts, without signatures".into(),
            (false, _) => "all parts, without signatures".to_owned(),
            (true, 0) => return "all parts: every signature, every effect decided again".into(),
            (true, _) => "all parts: every signature that is left, every effect decided again".to_owned(),
        };
        let entries = if self.undecided == 1 { "entry" } else { "entries" };
        format!("{decided}, but for {} {entries} whose evidence was erased", self.undecided)
    }
}
