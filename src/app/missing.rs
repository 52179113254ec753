//! Parts that are missing from the log, and the entries that say that they were erased.
//!
//! Owns: the comparison of the two, at the end of a verification.
//! Promises: a part is accepted as erased only if the log itself says so, with the same hash.
//! Refuses to know: what an entry without its evidence can have done; `machine` bounds that.

use crate::book::{Name, Record};
use crate::engine::{Due, open_entry, said_erased};
use crate::machine::{Event, Kind};
use crate::store::Read;
use crate::types::Hash;
use std::collections::BTreeMap;

/// A part that is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    /// Its entry.
    pub seq: u64,
    /// Its place there.
    pub part: u16,
    /// What is left of it.
    pub leaf: Hash,
}

impl Missing {
    /// The name of the record that must be there.
    pub fn name(&self) -> Name {
        Name::Erased(self.seq, self.part)
    }

    /// Whether this record says that it was erased.
    pub fn is_said(&self, record: Option<&Record>) -> bool {
        record.and_then(Record::erased).is_some_and(|erased| erased.leaf == self.leaf)
    }
}

/// All parts that the log says are erased, by entry and place, with what remains of them. Those that are there still may
/// be shown to nobody.
pub fn said_by_log(read: &dyn Read) -> Result<BTreeMap<(u64, u16), Hash>, Box<dyn std::error::Error>> {
    // How far state is comes first: it may go on meanwhile, and what is found twice is the same.
    let beyond = read.cursor()?.map_or(0, |place| place.seq + 1);
    let mut all: BTreeMap<_, _> =
        said_erased(read)?.into_iter().map(|Due { seq, part, leaf }| ((seq, part), leaf)).collect();
    all.extend(said_since(read, beyond)?);
    Ok(all)
}

/// What a writer at work has said to be erased since the log was looked at: those entries are for the next
/// verification, but a part that they name may have gone meanwhile.
pub(super) fn said_since(
    live: &dyn Read,
    from: u64,
) -> Result<BTreeMap<(u64, u16), Hash>, Box<dyn std::error::Error>> {
    let (mut said, mut next) = (BTreeMap::new(), from);
    loop {
        let entries = live.read(next, 1_000, 4 << 20)?;
        let Some(last) = entries.last() else { return Ok(said) };
        next = last.seq + 1;
        for entry in &entries {
            let (envelope, parts) = open_entry(entry)?;
            if envelope.kind != Kind::EvidenceErased.text() {
                continue;
            }
            let hash = crate::log::Envelope::hash(&entry.envelope);
            let event = Event::read(&envelope, hash, &parts)?;
            for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
                if let (Name::Erased(seq, part), Some(erased)) = (name, record.and_then(Record::erased)) {
                    said.insert((*seq, *part), erased.leaf);
                }
            }
        }
    }
}
