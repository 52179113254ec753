//! Taking an entry over, and deciding it again.
//!
//! [`apply`] takes recorded effects over and interprets nothing: recovery, rebuilding and followers use
//! it. [`check`] decides the entry again from its own evidence, on the state before it, and compares
//! every byte: verification and mirrors use it.

use super::command::{Command, Request};
use super::decide::{Decision, decide};
use super::due::{sweep, term};
use super::entry::{EntryBody, PartBody, PubBody, Snapshot, bodies};
use super::genesis::Genesis;
use super::kind::Kind;
use super::refuse::{Burnt, record_refusals};
use super::remains::check_remains;
use crate::book::{Apply, Done, Draft, Found, Measure, Name, Record, Source, Stop};
use crate::log::{Envelope, Slot, open, parts_root};
use crate::sign::Jws;
use crate::types::{AccountId, Malformed, Time, decode};
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
    /// Signatures that were verified.
    pub signatures: u64,
    /// Parts that were erased on request; if the evidence is among them the entry was taken over as
    /// recorded, not decided again.
    pub erased: u64,
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
        self.now.into_iter().collect()
    }

    pub(super) fn take(&mut self, done: &Done) -> Result<(), Broken> {
        let missing =
            |name: &Name| matches!(self.source.find(name), Found::NotLoaded) && !self.now.contains_key(name);
        let need: Vec<Name> = done.names().into_iter().filter(missing).collect();
        if !need.is_empty() {
            return Err(Broken::Need(need));
        }
        Ok(done.apply(self)?)
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

fn public(envelope: &Envelope) -> Result<&[u8], Malformed> {
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
            overlay.take(&body.done)?;
        }
        _ => {
            for part in entry.parts {
                if let Slot::Whole(bytes) = part {
                    let body: PartBody = decode(&open(bytes)?.1)?;
                    if let Some(done) = &body.done {
                        overlay.take(done)?;
                    }
                }
            }
        }
    }
    Ok(overlay.records())
}

/// Decides an entry again and compares. `state` is what the entries before it left; `signatures` may be
/// switched off to measure everything else.
pub fn check(entry: Stored, state: &dyn Source, signatures: bool) -> Result<Checked, Broken> {
    let kind = check_form(entry)?;
    if (kind == Kind::Genesis) != (entry.envelope.seq == 0) {
        return Err(Broken::Wrong("a log has one genesis, and begins with it".into()));
    }
    let erased = entry.parts.iter().filter(|part| matches!(part, Slot::Erased(_))).count();
    let mut checked = Checked {
        records: vec![],
        signatures: 0,
        erased: u64::try_from(erased).unwrap_or(u64::MAX),
        snapshot: None,
        through: None,
    };
    match kind {
        Kind::Genesis => {
            let genesis: Genesis = decode(public(entry.envelope)?)?;
            genesis.check()?;
            checked.records = apply(entry, state)?;
        }
        Kind::Snapshot => {
            let snapshot: Snapshot = decode(public(entry.envelope)?)?;
            if snapshot.of >= entry.envelope.seq {
                return Err(Broken::Wrong(format!(
                    "a snapshot as of entry {}, which is yet to come",
                    snapshot.of
                )));
            }
            checked.snapshot = Some(snapshot);
        }
        Kind::Tick | Kind::Refused if erased > 0 => return Err(Broken::Wrong("effects were erased".into())),
        Kind::Refused => checked.records = check_refused(entry, state)?,
        _ if erased > 0 => checked.records = check_remains(entry, kind, state)?,
        _ => again(entry, kind, state, signatures, &mut checked)?,
    }
    Ok(checked)
}

fn again(
    entry: Stored,
    kind: Kind,
    state: &dyn Source,
    signatures: bool,
    checked: &mut Checked,
) -> Result<(), Broken> {
    let draft = Draft::new(state, entry.envelope.seq, entry.envelope.at);
    let recorded = recorded(entry, kind)?;
    let decision = match kind {
        Kind::Term => term(draft)?,
        Kind::Tick => {
            let (accounts, through) = swept(entry)?;
            checked.through = through;
            sweep(draft, &accounts, through)?
        }
        _ => {
            let request = request(entry, kind)?;
            let command = read(&request, state, signatures)?;
            checked.signatures =
                if signatures { u64::try_from(command.jws.len()).unwrap_or(u64::MAX) } else { 0 };
            decide(draft, &command)?
        }
    };
    checked.records = compare(decision, &recorded)?;
    Ok(())
}

fn compare(decided: Decision, recorded: &EntryBody) -> Result<Records, Broken> {
    if decided.entry == *recorded {
        Ok(decided.records)
    } else {
        Err(Broken::Wrong(difference(&decided.entry, recorded)))
    }
}

fn difference(decided: &EntryBody, recorded: &EntryBody) -> String {
    if decided.kind != recorded.kind {
        return format!("the evidence makes a {}, the envelope says {}", decided.kind, recorded.kind);
    }
    if decided.public != recorded.public {
        return "pub is not what the evidence gives".into();
    }
    let at = decided.parts.iter().zip(&recorded.parts).position(|(a, b)| a != b);
    match at {
        Some(part) => format!("part {part} is not what the evidence gives"),
        None => format!("{} parts, the evidence gives {}", recorded.parts.len(), decided.parts.len()),
    }
}

fn recorded(entry: Stored, kind: Kind) -> Result<EntryBody, Malformed> {
    let whole = entry.parts.iter().filter_map(|part| match part {
        Slot::Whole(bytes) => Some(open(bytes).map(|(_, body)| body)),
        Slot::Erased(_) => None,
    });
    let public = entry.envelope.public.as_ref().map(|raw| raw.get().as_bytes().to_vec());
    Ok(EntryBody { kind, public, parts: whole.collect::<Result<_, _>>()? })
}

fn whole_bodies(entry: Stored) -> Result<Vec<PartBody>, Malformed> {
    bodies(entry.parts.iter().filter_map(|part| match part {
        Slot::Whole(bytes) => Some(bytes.as_slice()),
        Slot::Erased(_) => None,
    }))
}

/// The request that an entry was made from: its evidence, in order.
pub fn request(entry: Stored, kind: Kind) -> Result<Request, Malformed> {
    let text = |jws: &Jws| jws.text().to_owned();
    if kind.is_public() {
        let body: PubBody = decode(public(entry.envelope)?)?;
        return Ok(Request { jws: body.jws.iter().map(text).collect(), lines: None });
    }
    let bodies = whole_bodies(entry)?;
    let jws = bodies.iter().filter_map(|body| body.jws.as_ref()).map(text).collect();
    let lines = (kind == Kind::PointsBatch).then(|| {
        let mut all = Vec::new();
        for line in bodies.iter().filter_map(|body| body.line.as_ref()) {
            all.extend_from_slice(line.as_bytes());
            all.push(b'\n');
        }
        Arc::from(all)
    });
    Ok(Request { jws, lines })
}

fn read(request: &Request, state: &dyn Source, signatures: bool) -> Result<Command, Broken> {
    let known = |name: &Name| match state.find(name) {
        Found::Known(record) => Ok(Some(record)),
        Found::Absent => Ok(None),
        Found::NotLoaded => Err(Broken::Need(vec![name.clone()])),
    };
    let network = known(&Name::Network)?;
    let Some(network) = network.as_deref().and_then(Record::network) else {
        return Err(Broken::Wrong("no network before this entry".into()));
    };
    let mut keys = IndexMap::new();
    for text in &request.jws {
        let kid = Jws::parse(text).map_err(|no| Broken::Wrong(no.to_string()))?.kid();
        if let Some(key) = known(&Name::Key(kid))?.as_deref().and_then(Record::key) {
            keys.insert(kid, key.key);
        }
    }
    let key = |kid| keys.get(&kid).copied();
    let command = if signatures {
        Command::read(request, network.net, &key)
    } else {
        Command::read_unsigned(request, network.net)
    };
    command.map_err(|no| Broken::Wrong(no.to_string()))
}

/// The accounts that a tick swept, in its order, and through when.
fn swept(entry: Stored) -> Result<(Vec<AccountId>, Option<Time>), Malformed> {
    let mut accounts = vec![];
    let mut through = None;
    for body in whole_bodies(entry)? {
        let Some(done) = body.done else { continue };
        let lots = done.lots.iter().map(|(id, ..)| *id);
        accounts.extend(lots.chain(done.holds.iter().map(|(id, ..)| *id)).next());
        through = through.or(done.puts().find_map(|(_, record)| match record {
            Some(Record::Tick(tick)) => Some(tick.through),
            _ => None,
        }));
    }
    Ok((accounts, through))
}

/// Commands that were refused are not decided again; but none of their ids may have been known before,
/// and the entry is exactly what recording them makes.
fn check_refused(entry: Stored, state: &dyn Source) -> Result<Records, Broken> {
    let mut burnt = vec![];
    for body in whole_bodies(entry)? {
        for (name, record) in body.done.iter().flat_map(Done::puts) {
            match (name, record) {
                (Name::Command(principal, cid), Some(Record::Command(command))) => {
                    let code = command.refused.filter(|code| code.burns());
                    let code =
                        code.ok_or_else(|| Broken::Wrong(format!("{name} was not refused for good")))?;
                    let (principal, cid) = (principal.clone(), cid.clone());
                    burnt.push(Burnt { principal, cid, fingerprint: command.fingerprint, code });
                }
                (Name::Limit(_, _, Measure::RefusedHour), Some(_)) => {}
                _ => return Err(Broken::Wrong(format!("a refusal changes {name}"))),
            }
        }
    }
    for one in &burnt {
        let name = Name::Command(one.principal.clone(), one.cid.clone());
        match state.find(&name) {
            Found::NotLoaded => return Err(Broken::Need(vec![name])),
            Found::Known(_) => return Err(Broken::Wrong(format!("{name} is recorded twice"))),
            Found::Absent => {}
        }
    }
    let draft = Draft::new(state, entry.envelope.seq, entry.envelope.at);
    let decision = record_refusals(draft, &burnt)?;
    let decision = decision.ok_or_else(|| Broken::Wrong("no refusal is recorded".into()))?;
    compare(decision, &recorded(entry, Kind::Refused)?)
}
