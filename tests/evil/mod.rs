//! What an evil operator works with: an honest log taken apart, a pen to rewrite entries with, and the
//! verifier that has to notice.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod cast;
pub mod json;
pub mod story;

use crate::common::node::State;
use tallyhouse::book::{Name, Record};
use tallyhouse::log::{self, Chain, Envelope, Slot};
use tallyhouse::machine::{Broken, Checked, EntryBody, Kind, Sealed, Stored, bodies, seal};
use tallyhouse::sign::Jws;
use tallyhouse::types::{Hash, Time, b64_decode, decode};

/// An entry without its place: what an operator can move, drop and rewrite.
#[derive(Clone, Debug)]
pub struct Loose {
    pub at: Time,
    pub body: EntryBody,
}

/// An honest log: its entries, and the chain and the state before each of them (and after the last).
pub struct Honest {
    pub entries: Vec<Loose>,
    pub before: Vec<(Chain, State)>,
}

/// An entry in the form a log gives it.
pub struct Written {
    pub envelope: Envelope,
    pub parts: Vec<Slot>,
}

impl Written {
    pub fn check(&self, state: &State) -> Result<Checked, Broken> {
        state.check(Stored { envelope: &self.envelope, parts: &self.parts }, true)
    }
}

fn loose(sealed: &Sealed) -> Loose {
    let envelope = Envelope::decode(&sealed.envelope).expect("an envelope");
    let parts = sealed.parts.iter().map(|part| log::open(part).expect("a part").1).collect();
    let public = envelope.public.as_ref().map(|raw| raw.get().as_bytes().to_vec());
    Loose { at: envelope.at, body: EntryBody { kind: envelope.kind.parse().expect("a kind"), public, parts } }
}

/// Takes a log apart, checking it on the way.
pub fn take_apart(sealed: &[Sealed]) -> Honest {
    let entries: Vec<Loose> = sealed.iter().map(loose).collect();
    let mut before = vec![(Chain::start(), State::default())];
    for entry in &entries {
        let (mut chain, mut state) = before.last().cloned().expect("one");
        let written = append(&mut chain, entry).expect("an honest entry is well formed");
        let checked = written.check(&state).unwrap_or_else(|e| panic!("{}: {e:?}", written.envelope.seq));
        state.take(checked.records);
        before.push((chain, state));
    }
    Honest { entries, before }
}

/// Writes an entry at the end of a chain: seq, prev, parts root, tree and checkpoint all fit. `None` if
/// its content cannot be written at all.
pub fn append(chain: &mut Chain, entry: &Loose) -> Option<Written> {
    let prev = match chain.tip() {
        Some(tip) => tip.hash,
        None => Hash::blake3(entry.body.public.as_deref()?),
    };
    let mut salt = 0u8;
    let mut salts = || {
        salt = salt.wrapping_add(1);
        [salt; 16]
    };
    let sealed = seal(entry.body.clone(), chain.next_seq(), prev, entry.at, &mut salts).ok()?;
    let envelope = chain.accept(&sealed.envelope).ok()?;
    let signed = log::sign("evil.test", chain.next_seq(), chain.root(), &[7; 32]).expect("a checkpoint");
    assert!(signed.contains(&chain.next_seq().to_string()));
    Some(Written { envelope, parts: sealed.parts.into_iter().map(Slot::Whole).collect() })
}

impl Honest {
    /// The first entry of a kind.
    pub fn first(&self, kind: Kind) -> usize {
        self.entries.iter().position(|e| e.body.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// A minute after its last entry.
    pub fn after(&self) -> Time {
        self.entries.last().expect("entries").at.plus_seconds(60)
    }

    /// Writes an entry in place of the one at `seq` and asks the verifier.
    pub fn instead(&self, seq: usize, entry: &Loose) -> Result<Checked, String> {
        let (chain, state) = &self.before[seq];
        let Some(written) = append(&mut chain.clone(), entry) else {
            return Err("not a well formed entry".into());
        };
        match written.check(state) {
            Ok(checked) => Ok(checked),
            Err(Broken::Wrong(what)) => Err(what),
            Err(Broken::Need(names)) => panic!("everything is at hand, and {names:?} is wanted"),
        }
    }

    /// The verifier must name this entry.
    #[track_caller]
    pub fn caught(&self, seq: usize, entry: &Loose, how: &str) -> String {
        match self.instead(seq, entry) {
            Err(what) => what,
            Ok(_) => panic!("entry {seq} ({}) passes although {how}:\n{}", entry.body.kind, show(entry)),
        }
    }

    /// Writes a whole other log from `from` on; returns the first entry that is rejected.
    pub fn rewritten(&self, from: usize, entries: &[Loose]) -> Option<(u64, String)> {
        let (mut chain, mut state) = self.before[from].clone();
        for entry in entries {
            let seq = chain.next_seq();
            let Some(written) = append(&mut chain, entry) else {
                return Some((seq, "it does not follow".into()));
            };
            match written.check(&state) {
                Ok(checked) => state.take(checked.records),
                Err(e) => return Some((seq, format!("{e:?}"))),
            }
        }
        None
    }
}

/// An entry as text, for messages.
pub fn show(entry: &Loose) -> String {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    entry.body.public.iter().chain(&entry.body.parts).map(text).collect::<Vec<_>>().join("\n")
}

/// The evidence of an entry, in order.
pub fn evidence(entry: &Loose) -> Vec<Jws> {
    match &entry.body.public {
        Some(_) if matches!(entry.body.kind, Kind::Genesis | Kind::Snapshot) => vec![],
        Some(public) => decode::<tallyhouse::machine::PubBody>(public).expect("pub").jws,
        None => entry.body.parts.iter().filter_map(|body| part(body).jws).collect(),
    }
}

fn part(body: &[u8]) -> tallyhouse::machine::PartBody {
    let sealed = log::seal([1; 16], body).expect("a part");
    bodies(std::iter::once(sealed.as_slice())).expect("a part").remove(0)
}

/// The same entry with other evidence in the same places.
pub fn with_evidence(entry: &Loose, evidence: &[String]) -> Loose {
    let mut entry = entry.clone();
    let mut new = evidence.iter();
    let mut swap = |bytes: &mut Vec<u8>| {
        let mut tree = json::parse(bytes);
        json::texts(&mut tree, &mut |text| {
            if text.matches('.').count() == 2
                && b64_decode(text.split('.').next().unwrap_or("")).is_ok_and(|h| h.starts_with(b"{\"alg\""))
            {
                *text = new.next().expect("as many as before").clone();
            }
        });
        *bytes = json::write(&tree);
    };
    entry.body.public.iter_mut().for_each(&mut swap);
    entry.body.parts.iter_mut().for_each(&mut swap);
    entry
}

/// What the state says of a key, for reading requests.
pub fn key_in(state: &State) -> impl Fn(tallyhouse::types::Kid) -> Option<tallyhouse::sign::Verifier> + '_ {
    |kid| {
        state
            .get(&Name::Key(kid))
            .and_then(Record::key)
            .map(|record| tallyhouse::sign::Verifier::new(&record.key))
    }
}
