//! Entries as a reader may see them.

use super::{Fault, Known};
use crate::book::Name;
use crate::log::{Envelope, LogVerifier, Proof, open};
use crate::machine::{Kind, PartBody, Reader, concerned, issuer, may_read};
use crate::store::{self, StoredEntry, StoredPart};
use crate::tiles::{Hashes, Parts, prove};
use crate::types::decode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An entry as one reader may see it: its envelope, and of its parts the reader's own.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    /// The envelope, which is everybody's.
    pub envelope: Envelope,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// The reader's own parts, in order.
    pub parts: Vec<SeenPart>,
}

/// One part that a reader may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenPart {
    /// Its place among the entry's parts, from 0.
    pub index: u32,
    /// Its content.
    pub what: What,
}

/// The content of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Its bytes, salt included.
    Whole(Vec<u8>),
    /// It was erased on request. Whose it was is not known any more: whoever reads anything of the entry is
    /// told that it is gone.
    Erased,
}

impl Seen {
    /// Whether it says anything to its reader: a public entry does to everybody, another through its parts.
    pub fn is_own(&self) -> bool {
        self.kind.is_public() || !self.parts.is_empty()
    }

    /// Bytes that it shows.
    pub(super) fn size(&self) -> usize {
        let parts = self.parts.iter().map(|part| match &part.what {
            What::Whole(bytes) => bytes.len(),
            What::Erased => 0,
        });
        parts.sum::<usize>() + self.bytes.len()
    }

    /// Where its whole parts stand.
    fn whole(&self) -> Vec<u32> {
        let whole = self.parts.iter().filter(|part| part.what != What::Erased);
        whole.map(|part| part.index).collect()
    }
}

/// The log, for readers.
pub struct Entries {
    known: Known,
    hashes: Hashes,
    log: LogVerifier,
}

fn damaged(seq: u64, e: impl std::fmt::Display) -> Fault {
    Fault::Damaged(format!("entry {seq}: {e}"))
}

impl Entries {
    /// Of a network's log and state; `log` is the log's own key, under which proofs are checked before they
    /// are handed out.
    pub fn new(read: Arc<dyn store::Read>, hashes: Hashes, log: LogVerifier) -> Self {
        Self { known: Known::new(read), hashes, log }
    }

    /// What is looked up to tell who reads.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// An entry as this reader may see it; `None` if there is none of that number.
    pub fn entry(&self, seq: u64, reader: &Reader) -> Result<Option<Seen>, Fault> {
        let found = self.known.read().read(seq, 1, usize::MAX)?;
        let seen = found.iter().filter(|entry| entry.seq == seq).map(|entry| self.see(entry, reader));
        Ok(self.withheld(seen.collect::<Result<_, _>>()?)?.pop())
    }

    /// Up to `limit` entries from one on, as this reader may see them, fewer if they would pass `max_bytes`.
    pub fn entries(
        &self,
        from: u64,
        limit: usize,
        max_bytes: usize,
        reader: &Reader,
    ) -> Result<Vec<Seen>, Fault> {
        let found = self.known.read().read(from, limit, max_bytes)?;
        self.withheld(found.iter().map(|entry| self.see(entry, reader)).collect::<Result<_, _>>()?)
    }

    /// Takes out what the log says is erased, where the store has it still.
    fn withheld(&self, mut all: Vec<Seen>) -> Result<Vec<Seen>, Fault> {
        let mut names = BTreeMap::new();
        for (at, seen) in all.iter().enumerate() {
            for (own, part) in seen.parts.iter().enumerate() {
                let What::Whole(bytes) = &part.what else { continue };
                if let (true, Ok(index)) = (may_be_evidence(bytes), u16::try_from(part.index)) {
                    names.insert(Name::Erased(seen.seq, index).to_string(), (at, own));
                }
            }
        }
        if names.is_empty() {
            return Ok(all);
        }
        let keys: Vec<String> = names.keys().cloned().collect();
        for row in self.known.read().load(&keys)?.rows {
            let part = names.get(&row.key).and_then(|(at, own)| all.get_mut(*at)?.parts.get_mut(*own));
            if let Some(part) = part {
                part.what = What::Erased;
            }
        }
        Ok(all)
    }

    /// The newest envelopes, newest first, at most `limit`; with `before`, those older than that entry.
    pub fn newest(&self, before: Option<u64>, limit: usize) -> Result<Vec<store::Envelope>, Fault> {
        let read = self.known.read();
        let size = read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
        let end = before.unwrap_or(size).min(size);
        let count = end.min(u64::try_from(limit).unwrap_or(u64::MAX));
        let mut page = read.read_envelopes(end - count, usize::try_from(count).unwrap_or(limit))?;
        page.reverse();
        Ok(page)
    }

    /// A proof of an entry with exactly the parts that this reader may see, as of the newest checkpoint.
    pub fn proof(&self, seq: u64, reader: &Reader) -> Result<Option<Proof>, Fault> {
        let Some(seen) = self.entry(seq, reader)? else { return Ok(None) };
        Ok(Some(prove(&self.hashes, &self.log, seq, &Parts::These(seen.whole()))?))
    }

    fn see(&self, entry: &StoredEntry, reader: &Reader) -> Result<Seen, Fault> {
        let seq = entry.seq;
        let envelope = Envelope::decode(&entry.envelope).map_err(|e| damaged(seq, e))?;
        let kind: Kind = envelope.kind.parse().map_err(|e| damaged(seq, e))?;
        let own = self.own(entry, kind, reader)?;
        let parts = if own.contains(&true) { shown(entry, &own) } else { vec![] };
        Ok(Seen { seq, kind, envelope, bytes: entry.envelope.clone(), parts })
    }

    /// Which parts are the reader's own.
    fn own(&self, entry: &StoredEntry, kind: Kind, reader: &Reader) -> Result<Vec<bool>, Fault> {
        if *reader == Reader::Operator {
            return Ok(vec![true; entry.parts.len()]);
        }
        let issued = if kind == Kind::PointsBatch { last_body(entry)? } else { None };
        let issued = issuer(issued.iter());
        let mut own = Vec::with_capacity(entry.parts.len());
        for part in &entry.parts {
            own.push(match part {
                StoredPart::Whole(bytes) if may_name(bytes, reader) => {
                    let body = body(entry.seq, bytes)?;
                    let whom = concerned(&body, issued.as_ref()).map_err(|e| damaged(entry.seq, e))?;
                    may_read(&whom, reader, &self.known)?
                }
                StoredPart::Whole(_) | StoredPart::Erased(_) => false,
            });
        }
        Ok(own)
    }
}

fn shown(entry: &StoredEntry, own: &[bool]) -> Vec<SeenPart> {
    let parts = (0u32..).zip(entry.parts.iter().zip(own));
    let seen = parts.filter_map(|(index, (part, own))| {
        let what = match part {
            StoredPart::Whole(bytes) => own.then(|| What::Whole(bytes.clone()))?,
            StoredPart::Erased(_) => What::Erased,
        };
        Some(SeenPart { index, what })
    });
    seen.collect()
}

fn body(seq: u64, bytes: &[u8]) -> Result<PartBody, Fault> {
    open(bytes).and_then(|(_, body)| decode(&body)).map_err(|e| damaged(seq, e))
}

/// The last part of an entry, which says who issued a batch.
fn last_body(entry: &StoredEntry) -> Result<Option<PartBody>, Fault> {
    match entry.parts.last() {
        Some(StoredPart::Whole(bytes)) => body(entry.seq, bytes).map(Some),
        _ => Ok(None),
    }
}

/// Whether a part can be a holder's at all: without evidence in it, it must name the account. Looking for a
/// text is a hundred times faster than reading a part, and a batch has thousands of them.
fn may_name(bytes: &[u8], reader: &Reader) -> bool {
    let Reader::Accounts(own) = reader else { return true };
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    may_be_evidence(bytes) || own.iter().any(|account| text.contains(&account.to_string()))
}

/// Whether there can be evidence in a part, as fast.
fn may_be_evidence(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    ["\"jws\":", "\"http\":"].iter().any(|member| text.contains(member))
}
