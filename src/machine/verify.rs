//! Taking an entry over, and deciding it again.
//!
//! [`apply`] takes recorded effects over and interprets nothing: recovery, rebuilding and followers use
//! it. [`check`] decides the entry again from its own evidence, on the state before it, and compares
//! every byte: verification and mirrors use it.

use super::asserted::AssertedTotal;
use super::decide::{Decision, decide};
use super::due::{seal_by_schedule, sweep, term};
use super::entry::{Effect, PartBody, PubBody, Snapshot};
use super::evidence::{Evidence, What};
use super::genesis::Genesis;
use super::kind::Kind;
use super::refuse::record_refusals;
use super::remains::check_remains;
use crate::book::{Apply, Done, Draft, Found, Name, Record, Source, Stop, changed};
use crate::log::{Envelope, Slot, holds, open, parts_root};
use crate::types::{Hash, Malformed, Time, decode};
use indexmap::IndexMap;
use std::sync::Arc;

/// An entry as it came from a log.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// The envelope; its bytes were canonical.
    pub envelope: &'a Envelope,
    /// The parts.
    pub parts: &'a [Slot],
}

/// Why an entry cannot be taken over or does not hold.
#[derive(Debug)]
pub enum Broken {
    /// These records must be at hand first.
    Need(Vec<Name>),
    /// This is wrong with it.
    Wrong(String),
}

impl From<Malformed> for Broken {
    fn from(e: Malformed) -> Self {
        Self::Wrong(e.0)
    }
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Need(names) => Self::Need(names),
            Stop::Refused(no) => Self::Wrong(format!("it should have been refused: {no}")),
            Stop::Known(seq) => Self::Wrong(format!("the same command took effect before, in entry {seq}")),
            Stop::Bug(what) => Self::Wrong(what),
        }
    }
}

/// Records and their values after an entry.
pub type Records = Vec<(Name, Option<Arc<Record>>)>;

/// An entry that holds.
#[derive(Debug)]
pub struct Checked {
    /// What state becomes.
    pub records: Records,
    /// What happened, part by part, for followers.
    pub effects: Vec<Effect>,
    /// Signatures that were verified.
    pub signatures: u64,
    /// What it moved on the word of the network, which signed with a key that it holds.
    pub asserted: AssertedTotal,
    /// Parts that are not there, each with its leaf hash: whoever has the whole log looks whether it says that they
    /// were erased. The entry is then taken over as recorded, not decided again.
    pub missing: Vec<(u16, Hash)>,
    /// Whether evidence was erased, so that the entry was taken over as recorded, within what its kind allows.
    pub undecided: bool,
    /// What a snapshot entry claims: its root is for whoever has all records to compare.
    pub snapshot: Option<Snapshot>,
    /// What a tick claims: after it nothing due up to here is left. Whoever has all records compares
    /// with the earliest [`Record::due`], since a single record cannot tell.
    pub through: Option<Time>,
}

/// State with the effects of an entry over it.
pub(super) struct Overlay<'a> {
    source: &'a dyn Source,
    now: IndexMap<Name, Option<Arc<Record>>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source, now: IndexMap::new() }
    }

    pub(super) fn records(self) -> Records {
        changed(self.source, self.now)
    }

    pub(super) fn take(&mut self, cycle: Option<u64>, done: &Done) -> Result<(), Broken> {
        let missing =
            |name: &Name| matches!(self.source.find(name), Found::NotLoaded) && !self.now.contains_key(name);
        let need: Vec<Name> = done.names(cycle).into_iter().filter(missing).collect();
        if !need.is_empty() {
            return Err(Broken::Need(need));
        }
        Ok(done.apply(cycle, self)?)
    }
}

impl Apply for Overlay<'_> {
    fn record(&mut self, name: &Name) -> Option<Arc<Record>> {
        match self.now.get(name) {
            Some(record) => record.clone(),
            None => match self.source.find(name) {
                Found::Known(record) => Some(record),
                Found::Absent | Found::NotLoaded => None,
            },
        }
    }

    fn store(&mut self, name: Name, record: Option<Arc<Record>>) {
        self.now.insert(name, record);
    }
}

fn kind_of(envelope: &Envelope) -> Result<Kind, Malformed> {
    envelope.kind.parse()
}

pub(super) fn public(envelope: &Envelope) -> Result<&[u8], Malformed> {
    let missing = || Malformed(format!("{} without pub", envelope.kind));
    envelope.public.as_ref().map(|raw| raw.get().as_bytes()).ok_or_else(missing)
}

/// Envelope and parts belong together: number, root, and where the content stands.
pub fn check_form(entry: Stored) -> Result<Kind, Malformed> {
    let kind = kind_of(entry.envelope)?;
    if usize::try_from(entry.envelope.parts.n).ok() != Some(entry.parts.len()) {
        return Err(Malformed(format!(
            "parts.n is {}, {} are there",
            entry.envelope.parts.n,
            entry.parts.len()
        )));
    }
    if parts_root(entry.parts) != entry.envelope.parts.root {
        return Err(Malformed("the parts do not have the root that the envelope states".into()));
    }
    if kind.is_public() != entry.envelope.public.is_some() {
        return Err(Malformed(format!("{kind} is {}public", if kind.is_public() { "" } else { "not " })));
    }
    Ok(kind)
}

/// Takes the recorded effects of an entry over.
pub fn apply(entry: Stored, source: &dyn Source) -> Result<Records, Broken> {
    let kind = kind_of(entry.envelope)?;
    let mut overlay = Overlay::new(source);
    match kind {
        Kind::Genesis => {
            let genesis: Genesis = decode(public(entry.envelope)?)?;
            let records = genesis.records(entry.envelope.at);
            return Ok(records.into_iter().map(|(name, record)| (name, Some(record))).collect());
        }
        Kind::Snapshot => {}
        _ if kind.is_public() => {
            let body: PubBody = decode(public(entry.envelope)?)?;
            overlay.take(None, &body.done)?;
        }
        _ => {
            for part in entry.parts {
                if let Slot::Whole(bytes) = part {
                    let body: PartBody = decode(&open(bytes)?.1)?;
                    if let Some(done) = &body.done {
                        overlay.take(body.cycle, done)?;
                    }
                }
            }
        }
    }
    Ok(overlay.records())
}

/// Decides an entry again from its own evidence and compares every byte. `state` is what the entries before
/// it left. Signatures count as far as the evidence was [proven](Evidence::prove).
pub fn check(entry: Stored, evidence: &Evidence, state: &dyn Source) -> Result<Checked, Broken> {
    let kind = evidence.kind();
    if (kind == Kind::Genesis) != (entry.envelope.seq == 0) {
        return Err(Broken::Wrong("a log has one genesis, and begins with it".into()));
    }
    let missing: Vec<(u16, Hash)> = (0u16..).zip(entry.parts).filter_map(erased).collect();
    let mut checked = Checked {
        records: vec![],
        effects: vec![],
        signatures: evidence.signatures(),
        missing,
        asserted: AssertedTotal::default(),
        undecided: false,
        snapshot: None,
        through: None,
    };
    let draft = Draft::new(state, entry.envelope.seq, entry.envelope.at);
    let decision = match evidence.what() {
        What::Genesis(genesis) => {
            genesis.check()?;
            checked.records = apply(entry, state)?;
            return Ok(checked);
        }
        What::Snapshot(snapshot) => {
            if snapshot.of >= entry.envelope.seq {
                return Err(Broken::Wrong(format!(
                    "a snapshot as of entry {}, which is yet to come",
                    snapshot.of
                )));
            }
            checked.snapshot = Some(*snapshot);
            return Ok(checked);
        }
        What::Remains(left, _) => {
            checked.undecided = true;
            (checked.records, checked.effects) = check_remains(entry, kind, left, state)?;
            checked.asserted = AssertedTotal::of(&checked.records, &checked.effects, state)?;
            return Ok(checked);
        }
        What::Term => term(draft)?,
        What::CycleDue => seal_by_schedule(draft)?,
        What::Tick(accounts, through) => {
            checked.through = *through;
            sweep(draft, accounts, *through)?
        }
        What::Refused(burnt) => {
            for one in burnt {
                let name = Name::Command(one.principal.clone(), one.cid.clone());
                if known(state, &name)?.is_some() {
                    return Err(Broken::Wrong(format!("{name} is recorded twice")));
                }
            }
            let decision = record_refusals(draft, burnt)?;
            decision.ok_or_else(|| Broken::Wrong("no refusal is recorded".into()))?
        }
        What::Asked(command, net) => {
            let network = known(state, &Name::Network)?;
            if network.as_deref().and_then(Record::network).map(|network| network.net) != Some(*net) {
                return Err(Broken::Wrong("no such network before this entry".into()));
            }
            for kid in command.foreign_keys() {
                if known(state, &Name::Key(kid))?.is_none() {
                    return Err(Broken::Wrong(format!("key {kid} was not registered before")));
                }
            }
            decide(draft, command)?
        }
    };
    compare(&decision, entry, kind)?;
    checked.records = decision.records;
    checked.effects = decision.parts.into_iter().map(Effect::from).collect();
    checked.asserted = AssertedTotal::of(&checked.records, &checked.effects, state)?;
    Ok(checked)
}

fn erased((part, slot): (u16, &Slot)) -> Option<(u16, Hash)> {
    match slot {
        Slot::Erased(leaf) => Some((part, *leaf)),
        Slot::Whole(_) => None,
    }
}

fn known(state: &dyn Source, name: &Name) -> Result<Option<Arc<Record>>, Broken> {
    match state.find(name) {
        Found::Known(record) => Ok(Some(record)),
        Found::Absent => Ok(None),
        Found::NotLoaded => Err(Broken::Need(vec![name.clone()])),
    }
}

/// Every byte that was recorded is what the evidence gives, salts aside.
fn compare(decision: &Decision, recorded: Stored, kind: Kind) -> Result<(), Broken> {
    let decided = &decision.entry;
    let wrong = |what: String| Err(Broken::Wrong(what));
    if decided.kind != kind {
        return wrong(format!("the evidence makes a {}, the envelope says {kind}", decided.kind));
    }
    let public = recorded.envelope.public.as_ref().map(|raw| raw.get().as_bytes());
    if decided.public.as_deref() != public {
        return wrong("pub is not what the evidence gives".into());
    }
    let same = |(body, part): (&Vec<u8>, &Slot)| match part {
        Slot::Whole(bytes) => holds(bytes, body),
        Slot::Erased(_) => false,
    };
    match decided.parts.iter().zip(recorded.parts).position(|both| !same(both)) {
        Some(part) => wrong(format!("part {part} is not what the evidence gives")),
        None if decided.parts.len() != recorded.parts.len() => {
            wrong(format!("{} parts, the evidence gives {}", recorded.parts.len(), decided.parts.len()))
        }
        None => Ok(()),
    }
}
