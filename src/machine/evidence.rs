//! Evidence: what an entry rests on, taken apart once.
//!
//! Owns: which parts of an entry are evidence, and in what form the rules want them.
//! Promises: nothing that an entry claims as its effect is used here, but for what a tick or a record of
//! refusals is about; [`check`](super::check) compares that too.
//! Refuses to know: state. So entries can be read, and signatures be verified, in any order and at once.

use super::command::{Command, Request, verify};
use super::entry::{Snapshot, bodies};
use super::genesis::Genesis;
use super::hints::{Hints, hints};
use super::kind::Kind;
use super::refuse::Burnt;
use super::remains::Left;
use super::verify::{Stored, check_form, public};
use crate::book::{Done, Measure, Name, Record, Source};
use crate::log::Slot;
use crate::sign::{HttpMessage, HttpSigned, Jws, PublicKey, Verifier};
use crate::types::{AccountId, Hash, Kid, Malformed, Time, decode};
use serde::Deserialize;
use std::sync::Arc;

/// What an entry rests on.
#[derive(Debug)]
pub struct Evidence {
    kind: Kind,
    what: What,
    proven: bool,
}

/// By kind.
#[derive(Debug)]
pub(super) enum What {
    Genesis(Box<Genesis>),
    Snapshot(Snapshot),
    Term,
    /// The schedule sealed the open cycle.
    CycleDue,
    /// The accounts that a tick swept, in its order, and through when.
    Tick(Vec<AccountId>, Option<Time>),
    Refused(Vec<Burnt>),
    /// A command, read for this network.
    Asked(Box<Command>, Hash),
    /// Evidence was erased on request; what is left of it, and the keys that the entry registers.
    Remains(Box<Left>, Vec<PublicKey>),
}

impl Evidence {
    /// Takes an entry's evidence apart, after [`check_form`]; `net` is the network that it must be meant for.
    pub fn read(entry: Stored, net: Hash) -> Result<Self, Malformed> {
        let kind = check_form(entry)?;
        let erased = entry.parts.iter().any(|part| matches!(part, Slot::Erased(_)));
        let what = match kind {
            Kind::Genesis => What::Genesis(decode(public(entry.envelope)?)?),
            Kind::Snapshot => What::Snapshot(decode(public(entry.envelope)?)?),
            Kind::Term => What::Term,
            Kind::Tick | Kind::CycleDue | Kind::Refused if erased => {
                return Err(Malformed("effects were erased".into()));
            }
            Kind::CycleDue => What::CycleDue,
            Kind::Tick => swept(entry)?,
            Kind::Refused => What::Refused(refused(entry)?),
            _ if erased => remains(entry, kind, net)?,
            _ => {
                let command = Command::read_unsigned(&request(entry, kind)?, net);
                What::Asked(Box::new(command.map_err(|no| Malformed(no.to_string()))?), net)
            }
        };
        Ok(Self { kind, what, proven: false })
    }

    /// What the entry is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn what(&self) -> &What {
        &self.what
    }

    /// What is signed: statements, and the HTTP message that they stand beside.
    fn signed(&self) -> (&[Jws], Option<&HttpSigned>) {
        match &self.what {
            What::Asked(command, _) => (&command.jws, command.http.as_deref()),
            What::Remains(left, _) => (&left.jws, left.http.as_deref()),
            _ => (&[], None),
        }
    }

    /// Verifies every signature. `keys` needs no trust: a key's name is its own hash.
    pub fn prove(&mut self, keys: &dyn Fn(Kid) -> Option<Verifier>) -> Result<(), Malformed> {
        let (statements, http) = self.signed();
        let verified = verify(statements, http, &self.own_keys(), keys);
        verified.map_err(|no| Malformed(no.to_string()))?;
        self.proven = true;
        Ok(())
    }

    /// Signatures that were verified.
    pub(super) fn signatures(&self) -> u64 {
        if self.proven { u64::try_from(self.kids().count()).unwrap_or(u64::MAX) } else { 0 }
    }

    /// The keys that made the signatures.
    pub fn kids(&self) -> impl Iterator<Item = Kid> {
        let (statements, http) = self.signed();
        http.into_iter().map(HttpSigned::kid).chain(statements.iter().map(Jws::kid))
    }

    /// The keys that the evidence itself brings.
    pub fn own_keys(&self) -> Vec<PublicKey> {
        match &self.what {
            What::Genesis(genesis) => genesis.roots.clone(),
            What::Asked(command, _) => command.body.own_keys(),
            What::Remains(_, keys) => keys.clone(),
            _ => vec![],
        }
    }

    /// What deciding the entry again will look up.
    pub fn hints<'a>(&self, source: &'a dyn Source) -> Hints<'a> {
        let names = match &self.what {
            What::Asked(command, _) => return hints(source, command),
            What::Tick(accounts, _) => accounts.iter().copied().map(Name::Account).collect(),
            What::Refused(burnt) => {
                burnt.iter().map(|one| Name::Command(one.principal.clone(), one.cid.clone())).collect()
            }
            _ => vec![],
        };
        Hints::of(source, names)
    }
}

/// What is evidence in a part, or in `pub`. Other members are stepped over: that they are what the
/// evidence gives is found by comparing bytes.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    jws: Option<String>,
    #[serde(default)]
    http: Option<Box<HttpMessage>>,
    #[serde(default)]
    line: Option<String>,
}

#[derive(Deserialize)]
struct PublicSaid {
    #[serde(default)]
    jws: Vec<String>,
    #[serde(default)]
    http: Option<HttpMessage>,
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|e| Malformed(e.to_string()))
}

/// The request that an entry was made from: its evidence, in order.
pub fn request(entry: Stored, kind: Kind) -> Result<Request, Malformed> {
    if kind.is_public() {
        let PublicSaid { jws, http } = read(public(entry.envelope)?)?;
        return Ok(Request { jws, lines: None, http });
    }
    let (mut jws, mut lines, mut http) = (vec![], vec![], None);
    for part in whole(entry) {
        let said: Said = read(part)?;
        jws.extend(said.jws);
        if let Some(message) = said.http
            && http.replace(*message).is_some()
        {
            return Err(Malformed("two signed requests in one entry".into()));
        }
        if let Some(line) = said.line.filter(|_| kind == Kind::PointsBatch) {
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
    }
    Ok(Request { jws, lines: (kind == Kind::PointsBatch).then(|| Arc::from(lines)), http })
}

fn whole<'a>(entry: Stored<'a>) -> impl Iterator<Item = &'a [u8]> {
    entry.parts.iter().filter_map(|part| match part {
        Slot::Whole(bytes) => Some(bytes.as_slice()),
        Slot::Erased(_) => None,
    })
}

fn swept(entry: Stored) -> Result<What, Malformed> {
    let mut accounts = vec![];
    let mut through = None;
    for body in bodies(whole(entry))? {
        let Some(done) = body.done else { continue };
        let lots = done.lots.iter().map(|(id, ..)| *id);
        accounts.extend(lots.chain(done.holds.iter().map(|(id, ..)| *id)).next());
        through = through.or(done.puts().find_map(|(_, record)| match record {
            Some(Record::Tick(tick)) => Some(tick.through),
            _ => None,
        }));
    }
    Ok(What::Tick(accounts, through))
}

/// What is left where evidence was erased. The keys that the entry registers are of use to later ones.
fn remains(entry: Stored, kind: Kind, net: Hash) -> Result<What, Malformed> {
    let left = Left::read(entry, kind, net)?;
    let mut keys = vec![];
    for body in bodies(whole(entry))? {
        let puts = body.done.iter().flat_map(Done::puts);
        keys.extend(puts.filter_map(|(_, record)| record?.key()).map(|record| record.key));
    }
    Ok(What::Remains(Box::new(left), keys))
}

/// Commands that were refused are not decided again; but none of their ids may have been known before,
/// and the entry is exactly what recording them makes.
fn refused(entry: Stored) -> Result<Vec<Burnt>, Malformed> {
    let mut burnt = vec![];
    for body in bodies(whole(entry))? {
        for (name, record) in body.done.iter().flat_map(Done::puts) {
            match (name, record) {
                (Name::Command(principal, cid), Some(Record::Command(command))) => {
                    let code = command.refused.filter(|code| code.burns());
                    let code = code.ok_or_else(|| Malformed(format!("{name} was not refused for good")))?;
                    let (principal, cid) = (principal.clone(), cid.clone());
                    burnt.push(Burnt { principal, cid, fingerprint: command.fingerprint, code });
                }
                (Name::Limit(_, _, Measure::RefusedHour), Some(_)) => {}
                _ => return Err(Malformed(format!("a refusal changes {name}"))),
            }
        }
    }
    Ok(burnt)
}
