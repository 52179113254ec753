//! The chain: entries in their one order.
//!
//! Owns: which envelope may come next, and the tree over those that came.
//! Promises: what [`Chain::accept`] takes follows the last entry in seq, in hash and in time, and what
//! [`Chain::append`] makes is what `accept` takes. A refused envelope changes nothing.
//! Refuses to know: who appends, where entries are stored, and what they mean.

use super::envelope::{Envelope, PartsRef, Unreadable, VERSION};
use super::tree::{Frontier, leaf_hash};
use crate::types::{Hash, Malformed, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The last entry: its place and the BLAKE3 of its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tip {
    /// Its place.
    pub seq: u64,
    /// The hash of its envelope's bytes.
    pub hash: Hash,
}

/// The first entry that does not follow, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {why}")]
pub struct Broken {
    /// The place at which an entry was expected.
    pub seq: u64,
    /// What is wrong with the one that stands there.
    pub why: Why,
}

/// Why an envelope does not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its bytes are not an envelope this release can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It claims another place.
    #[error("it says it is entry {0}")]
    Seq(u64),
    /// It names another entry, or another network, as the one before.
    #[error("prev is {said} and should be {expected}")]
    Prev {
        /// What stands in it.
        said: Hash,
        /// What would follow.
        expected: Hash,
    },
    /// It is not later than the entry before.
    #[error("its instant {said} is not after {last}")]
    At {
        /// What stands in it.
        said: Time,
        /// The instant of the entry before.
        last: Time,
    },
    /// A first entry that says nothing about the network it begins.
    #[error("the first entry has no public content")]
    NoGenesis,
}

/// A chain as far as it is known: what the next entry must follow, and the frontier of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    last: Option<(Tip, Time)>,
    tree: Frontier,
}

impl Chain {
    /// The empty chain, before genesis.
    pub fn start() -> Self {
        Self { last: None, tree: Frontier::default() }
    }

    /// A chain that goes on after a stored tip. The tree must hold exactly the entries up to it.
    pub fn resume(tip: Tip, at: Time, tree: Frontier) -> Result<Self, Malformed> {
        if tip.seq.checked_add(1) == Some(tree.size()) {
            Ok(Self { last: Some((tip, at)), tree })
        } else {
            Err(Malformed(format!("a tree of {} entries does not end with entry {}", tree.size(), tip.seq)))
        }
    }

    /// The place of the next entry, which is the number of entries so far.
    pub fn next_seq(&self) -> u64 {
        self.tree.size()
    }

    /// The last entry.
    pub fn tip(&self) -> Option<Tip> {
        self.last.map(|(tip, _)| tip)
    }

    /// The instant of the last entry.
    pub fn last_at(&self) -> Option<Time> {
        self.last.map(|(_, at)| at)
    }

    /// The tree over all envelopes so far.
    pub fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// The root over all envelopes so far.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Takes the next envelope if it follows.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<Envelope, Broken> {
        let envelope = Envelope::decode(bytes).map_err(|e| self.broken(e.into()))?;
        self.follows(&envelope).map_err(|why| self.broken(why))?;
        self.extend(&envelope, bytes);
        Ok(envelope)
    }

    /// Makes the next envelope and takes it: the writer's way, which does not read what it has just
    /// written. Returns the envelope and its bytes.
    ///
    /// `public` must be canonical JSON; what does not follow or breaks a limit changes nothing.
    pub fn append(
        &mut self,
        at: Time,
        kind: &str,
        public: Option<Box<RawValue>>,
        parts: PartsRef,
    ) -> Result<(Envelope, Vec<u8>), Broken> {
        let prev = match (self.tip(), &public) {
            (Some(tip), _) => tip.hash,
            (None, Some(genesis)) => Hash::blake3(genesis.get().as_bytes()),
            (None, None) => return Err(self.broken(Why::NoGenesis)),
        };
        let seq = self.next_seq();
        let envelope = Envelope { v: VERSION, seq, prev, at, kind: kind.to_owned(), public, parts };
        let bytes = envelope.encode();
        envelope.check_written(&bytes).map_err(|e| self.broken(Unreadable::from(e).into()))?;
        self.follows(&envelope).map_err(|why| self.broken(why))?;
        self.extend(&envelope, &bytes);
        Ok((envelope, bytes))
    }

    fn broken(&self, why: Why) -> Broken {
        Broken { seq: self.next_seq(), why }
    }

    fn follows(&self, envelope: &Envelope) -> Result<(), Why> {
        if envelope.seq != self.next_seq() {
            return Err(Why::Seq(envelope.seq));
        }
        let expected = match (&self.last, &envelope.public) {
            (Some((tip, _)), _) => tip.hash,
            (None, Some(genesis)) => Hash::blake3(genesis.get().as_bytes()),
            (None, None) => return Err(Why::NoGenesis),
        };
        if envelope.prev != expected {
            return Err(Why::Prev { said: envelope.prev, expected });
        }
        match self.last {
            Some((_, last)) if envelope.at <= last => Err(Why::At { said: envelope.at, last }),
            _ => Ok(()),
        }
    }

    fn extend(&mut self, envelope: &Envelope, bytes: &[u8]) {
        let tip = Tip { seq: envelope.seq, hash: Envelope::hash(bytes) };
        self.last = Some((tip, envelope.at));
        self.tree.push(leaf_hash(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::root_of;
    use super::*;
    use crate::types::encode;
    use proptest::prelude::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros).expect("in range")
    }

    fn content(text: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(text.into()).expect("JSON"))
    }

    fn some_parts() -> PartsRef {
        PartsRef { n: 2, root: Hash([5; 32]) }
    }

    fn written(n: u64) -> (Chain, Vec<Vec<u8>>) {
        let mut chain = Chain::start();
        let genesis = chain.append(at(10), "genesis", content(r#"{"nonce":"x"}"#), PartsRef::NONE);
        let mut lines = vec![genesis.expect("genesis").1];
        for i in 1..n {
            let entry = chain.append(at(10 + i as i64), "points.awarded", None, some_parts());
            lines.push(entry.expect("an entry").1);
        }
        (chain, lines)
    }

    #[test]
    fn what_is_written_is_accepted() {
        let (writer, lines) = written(20);
        let mut reader = Chain::start();
        for (seq, line) in lines.iter().enumerate() {
            assert_eq!(reader.accept(line).map(|e| e.seq), Ok(seq as u64));
        }
        assert_eq!(reader, writer);
        let leaves: Vec<Hash> = lines.iter().map(|line| leaf_hash(line)).collect();
        assert_eq!(reader.root(), root_of(&leaves));
        assert_eq!(reader.next_seq(), 20);
        assert_eq!(reader.tip(), Some(Tip { seq: 19, hash: Hash::blake3(&lines[19]) }));
        assert_eq!(reader.last_at(), Some(at(29)));
    }

    #[test]
    fn a_stored_chain_goes_on() {
        let (_, lines) = written(9);
        let mut reader = Chain::start();
        lines[..5].iter().for_each(|line| drop(reader.accept(line).expect("follows")));
        let (tip, last) = (reader.tip().expect("a tip"), reader.last_at().expect("an instant"));
        let mut again = Chain::resume(tip, last, reader.tree().clone()).expect("fits");
        assert_eq!(again, reader);
        lines[5..].iter().for_each(|line| drop(again.accept(line).expect("follows")));
        assert!(Chain::resume(Tip { seq: 5, ..tip }, last, reader.tree().clone()).is_err());
    }

    /// The bytes of an entry after some members were changed.
    fn altered(line: &[u8], change: impl Fn(&mut Envelope)) -> Vec<u8> {
        let mut envelope = Envelope::decode(line).expect("an envelope");
        change(&mut envelope);
        envelope.encode()
    }

    #[test]
    fn the_first_entry_that_does_not_follow_is_named() {
        let (_, lines) = written(4);
        let mut chain = Chain::start();
        lines[..3].iter().for_each(|line| drop(chain.accept(line).expect("follows")));
        let before = chain.clone();
        let mut refuses = |bytes: &[u8]| {
            let broken = chain.accept(bytes).expect_err("does not follow");
            assert_eq!(broken.seq, 3);
            assert_eq!(chain, before, "nothing has changed");
            broken.why
        };
        assert_eq!(refuses(&altered(&lines[3], |e| e.seq = 4)), Why::Seq(4));
        assert_eq!(refuses(&lines[2]), Why::Seq(2));
        assert!(matches!(refuses(&altered(&lines[3], |e| e.prev = Hash([1; 32]))), Why::Prev { .. }));
        let late = at(12);
        assert_eq!(refuses(&altered(&lines[3], |e| e.at = late)), Why::At { said: late, last: late });
        assert!(matches!(refuses(b"{}"), Why::Unreadable(Unreadable::Malformed(_))));
        let newer = String::from_utf8_lossy(&lines[3]).replace("{\"v\":1", "{\"v\":2");
        assert_eq!(refuses(newer.as_bytes()), Why::Unreadable(Unreadable::Version(2)));
        assert_eq!(refuses(&altered(&lines[3], |e| e.seq = 9)).to_string(), "it says it is entry 9");
        assert!(chain.accept(&lines[3]).is_ok());
    }

    #[test]
    fn genesis_names_its_network() {
        let (_, lines) = written(1);
        let genesis = Envelope::decode(&lines[0]).expect("an envelope");
        assert_eq!(genesis.prev, Hash::blake3(br#"{"nonce":"x"}"#));
        let no = |bytes: &[u8]| Chain::start().accept(bytes).expect_err("no genesis").why;
        let other = content(r#"{"nonce":"y"}"#);
        assert!(matches!(no(&altered(&lines[0], |e| e.public = other.clone())), Why::Prev { .. }));
        assert_eq!(no(&altered(&lines[0], |e| e.public = None)), Why::NoGenesis);
        assert_eq!(no(&altered(&lines[0], |e| e.seq = 1)), Why::Seq(1));
        assert!(Chain::start().append(at(0), "genesis", None, PartsRef::NONE).is_err());
    }

    #[test]
    fn nothing_is_appended_that_would_not_be_accepted() {
        let (mut chain, _) = written(2);
        let before = chain.clone();
        let large = format!("\"{}\"", "x".repeat(65_535));
        let cases = [
            (at(11), "a", None, some_parts()),
            (at(99), "", None, some_parts()),
            (at(99), "A", None, some_parts()),
            (at(99), "a", None, PartsRef { n: 0, root: Hash([5; 32]) }),
            (at(99), "a", None, PartsRef { n: 10_011, root: Hash([5; 32]) }),
            (at(99), "a", content("{}"), some_parts()),
            (at(99), "a", content(r#"{"a": 1}"#), PartsRef::NONE),
            (at(99), "a", content(r#"{"a":1,"a":1}"#), PartsRef::NONE),
            (at(99), "a", content("1.5"), PartsRef::NONE),
            (at(99), "a", content(&large), PartsRef::NONE),
        ];
        for (at, kind, public, parts) in cases {
            assert!(chain.append(at, kind, public.clone(), parts).is_err(), "{kind} {public:?} {parts:?}");
            assert_eq!(chain, before);
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_breaks_the_chain(entry in 0usize..6, at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let (_, mut lines) = written(7);
            let at = at.index(lines[entry].len());
            prop_assume!(lines[entry][at] != byte);
            lines[entry][at] = byte;
            let mut chain = Chain::start();
            let broken = lines.iter().find_map(|line| chain.accept(line).err());
            let seq = broken.map(|b| b.seq);
            prop_assert!(seq == Some(entry as u64) || seq == Some(entry as u64 + 1), "{:?}", seq);
        }

        #[test]
        fn any_content_round_trips(text in any::<String>(), kind in "[a-z._]{1,64}") {
            let public = String::from_utf8(encode(&serde_json::json!({"text": text}))).expect("UTF-8");
            let mut chain = Chain::start();
            let (_, bytes) = chain.append(at(0), &kind, content(&public), PartsRef::NONE).expect("genesis");
            let mut reader = Chain::start();
            prop_assert!(reader.accept(&bytes).is_ok());
            prop_assert_eq!(reader, chain);
        }
    }
}
