//! Verification: the whole log decided again into a scratch state, then compared with the live one.
//!
//! Owns: the levels of checking and their order; it names the first place that fails and why.
//! Promises: nothing of the data folder is changed, and nothing of it is believed: keys of trust come
//! from the caller where they are given.
//! Refuses to know: how a difference came about.

use super::cores::spread;
use super::missing::{Missing, said_since};
use super::notes::Notes;
use super::report::{Finding, Options, Report};
use super::scratch::Scratch;
use crate::book::{Draft, Found, Name, Record, Source, Stop};
use crate::clearing::{HOLDING, scheduled};
use crate::engine::{self, Commit, Follower, Memory, StateFollower, open_entry, state_root};
use crate::log::{Broken as ChainBroken, Chain, Checkpoint, LogVerifier, vkey};
use crate::machine::{self, Broken, Event, Evidence, Genesis, Hints, Kind, Snapshot};
use crate::reading::records;
use crate::sign::{PublicKey, Verifier};
use crate::store::{Fault, Home, Read, Reader, Sqlite, StoredEntry, Stray, TipRecord};
use crate::types::{Hash, Kid, Time, decode};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Entries in one run.
const CHUNK: usize = 4_000;
const CHUNK_BYTES: usize = 4 << 20;
/// Records at hand, and records that may wait for the scratch state.
const ROWS: usize = 150_000;
const PINNED: usize = 60_000;

/// How far this machine's clock may be behind the log's, in seconds.
const AHEAD: u64 = 5;

enum Halt {
    Finding(Finding),
    Fault(String),
}

impl<E: std::error::Error> From<E> for Halt {
    fn from(e: E) -> Self {
        Self::Fault(e.to_string())
    }
}

fn wrong(place: impl Into<String>, what: impl ToString) -> Halt {
    Halt::Finding(Finding { place: place.into(), what: what.to_string() })
}

/// Verifies a data folder. `progress` is told how many of how many entries are done. An `Err` is a
/// fault of this machine; what is wrong with the log stands in the report.
pub fn verify(
    home: impl Into<Home>,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, String> {
    let mut report = Report::default();
    let scratch = Scratch::make()?;
    match run(&home.into(), options, &scratch, &mut report, progress) {
        Ok(()) => Ok(report),
        Err(Halt::Finding(finding)) => {
            report.finding = Some(finding);
            Ok(report)
        }
        Err(Halt::Fault(what)) => Err(what),
    }
}

/// State made again, as far as it is.
struct Again {
    memory: Memory,
    state: StateFollower,
    views: crate::views::Views,
    read: Arc<Reader>,
    waiting: Vec<Arc<Commit>>,
    /// Parts that the log does not have.
    missing: Vec<Missing>,
    notes: Notes,
}

impl Again {
    fn new(scratch: &Path) -> Result<Self, Halt> {
        let stores = Sqlite::open(scratch)?;
        let views = crate::views::Views::open(scratch)?;
        let state = StateFollower::new(Box::new(stores.state), None)?;
        Ok(Self {
            memory: Memory::new(ROWS, None),
            state,
            views,
            read: Arc::new(stores.reader),
            waiting: vec![],
            missing: vec![],
            notes: Notes::default(),
        })
    }

    fn flush(&mut self) -> Result<(), Halt> {
        let Some(last) = self.waiting.last().map(|commit| commit.event.seq) else {
            return Ok(());
        };
        self.state.take(&self.waiting)?;
        let events: Vec<&Event> = self.waiting.iter().map(|commit| &commit.event).collect();
        self.views.take(&events)?;
        self.memory.projected(last);
        self.waiting.clear();
        Ok(())
    }

    fn load(&mut self, names: Vec<Name>) -> Result<(), Halt> {
        Ok(engine::load(&mut self.memory, &*self.read, names)?)
    }

    /// The open cycle, and when the schedule seals it, before entry `seq`.
    fn scheduled(&mut self, seq: u64, at: Time) -> Result<Option<(u64, Time)>, Halt> {
        loop {
            let due = scheduled(&mut Draft::new(&self.memory, seq, at));
            match due {
                Ok(due) => return Ok(due),
                Err(Stop::Need(names)) => self.load(names)?,
                Err(stop) => return Err(Halt::Fault(format!("the schedule: {stop:?}"))),
            }
        }
    }

    /// Loads what deciding these again will look up.
    fn look_ahead(&mut self, run: &[Opened]) -> Result<(), Halt> {
        Ok(engine::look_ahead(&mut self.memory, &*self.read, run, |memory, one| one.hints(memory))?)
    }

    /// Whether something due by `through` is left.
    fn left(&mut self, through: Time) -> Result<Option<Name>, Halt> {
        if let Some((_, name)) = self.memory.pinned_due(through, 1).into_iter().next() {
            return Ok(Some(name));
        }
        if self.memory.next_due().is_none_or(|due| due > through) {
            return Ok(None);
        }
        for row in self.read.due(through.micros(), usize::MAX / 2)?.rows {
            let name: Name = row.key.parse()?;
            if !self.memory.is_pinned(&name) {
                return Ok(Some(name));
            }
        }
        let next = self.read.next_due()?.and_then(Time::from_micros);
        self.memory.set_state_due(next.map(|due| due.max(through.next())));
        Ok(None)
    }
}

fn run(
    home: &Home,
    options: &Options,
    scratch: &Scratch,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Halt> {
    let live = home.read()?;
    let live = &*live;
    let Some(tip) = live.tip()? else {
        return Err(Halt::Fault(format!("{} holds no log", home.shown())));
    };
    let against = Against::new(home.dir(), live, options, report)?;
    let claims = snapshots_claimed(live)?;
    // State and views are compared where they stand: after a kill they may be behind the log.
    let state_at = if options.compare { live.cursor()?.map(|place| place.seq) } else { None };
    let views = if options.compare { Some(crate::views::Reader::open(home)?) } else { None };
    let views_at = match &views {
        Some(views) => views.cursor()?.map(|place| place.seq),
        None => None,
    };
    for (what, at) in [("state", state_at), ("views", views_at)] {
        if at.is_some_and(|seq| seq > tip.seq) {
            return Err(wrong(format!("{what}, cursor"), "is ahead of the log"));
        }
    }
    if options.compare && state_at.is_none() && !live.scan("", 1)?.rows.is_empty() {
        return Err(wrong(
            "state, cursor",
            "is gone, and there are records; `tallyhouse rebuild` makes them anew",
        ));
    }
    let mut again = Again::new(&scratch.0)?;
    let mut chain = Chain::start();
    let mut roots: BTreeMap<u64, Snapshot> = BTreeMap::new();
    let mut next = 0;
    let mut run = read_run(live, next, &tip, against.net)?;
    if let Some(views) = views.as_ref().filter(|_| views_at.is_none()) {
        compare_views(views, &scratch.0, report)?;
        report.views = false;
    }
    while !run.is_empty() {
        let from = next + run.len() as u64;
        if options.signatures {
            prove(&mut run, &mut again)?;
        }
        again.look_ahead(&run)?;
        // The next run is read while this one is decided.
        let (decided, following) = std::thread::scope(|scope| {
            let following = scope.spawn(|| read_run(live, from, &tip, against.net));
            let decided = run.drain(..).try_for_each(|one| {
                let seq = one.seq;
                if seq != next {
                    return Err(wrong(format!("entry {next}"), "is missing"));
                }
                check_entry(one, &mut chain, &mut again, report, &roots)?;
                next += 1;
                against.outside(next, &chain)?;
                if claims.contains(&seq) || state_at == Some(seq) || views_at == Some(seq) {
                    again.flush()?;
                }
                if let Some(views) = views.as_ref().filter(|_| views_at == Some(seq)) {
                    let still = || Ok(views.cursor()?.map(|place| place.seq) == views_at);
                    unless_moved(compare_views(views, &scratch.0, report), still)?;
                }
                if claims.contains(&seq) || state_at == Some(seq) {
                    if let Some(root) = state_root(&*again.read)? {
                        roots.insert(seq, root);
                    }
                    if state_at == Some(seq) {
                        let still = || Ok(live.cursor()?.map(|place| place.seq) == state_at);
                        unless_moved(compare_state(live, &*again.read, report), still)?;
                    }
                }
                Ok(())
            });
            (decided, following.join())
        });
        decided?;
        if again.memory.pinned_rows() > PINNED {
            again.flush()?;
        }
        progress(next, tip.seq + 1);
        run = following.map_err(|_| Halt::Fault("reading the log ended in a panic".into()))??;
    }
    again.flush()?;
    check_end(&tip, &chain, &against, report)?;
    // Also beside a writer at work: what it appends stands behind no tip at any moment.
    if let Some(Stray { table, seq }) = live.stray()? {
        let what = format!("stands behind the tip, in the table {table}: no writer put it there");
        return Err(wrong(format!("entry {seq}"), what));
    }
    check_missing(live, &tip, &mut again)?;
    let last = chain.last_at().unwrap_or_default();
    let now = if against.driven { last } else { last.max(crate::clock::now()) };
    if let Some((open, due)) = again.scheduled(next, last)? {
        again.notes.sealed(open, due, None, now);
    }
    again.notes.told(&*again.read, now).map_err(Halt::Fault)?;
    again.notes.accounts(&records(&*again.read, HOLDING)?, now);
    report.notes = std::mem::take(&mut again.notes.said);
    report.unerased = engine::unerased(&*again.read, live)?.len() as u64;
    report.level = report.deep(options.signatures);
    Ok(())
}

/// Each part that is missing was erased by the word of the log.
fn check_missing(live: &dyn Read, tip: &TipRecord, again: &mut Again) -> Result<(), Halt> {
    let missing = std::mem::take(&mut again.missing);
    again.load(missing.iter().map(Missing::name).collect())?;
    let is_said = |one: &&Missing| match again.memory.find(&one.name()) {
        Found::Known(record) => one.is_said(Some(&record)),
        Found::Absent | Found::NotLoaded => false,
    };
    let unsaid: Vec<&Missing> = missing.iter().filter(|one| !is_said(one)).collect();
    // A writer at work may have erased a part while it was looked for.
    let since = if unsaid.is_empty() {
        BTreeMap::new()
    } else {
        said_since(live, tip.seq + 1).map_err(|e| Halt::Fault(e.to_string()))?
    };
    match unsaid.iter().find(|one| since.get(&(one.seq, one.part)) != Some(&one.leaf)) {
        Some(Missing { seq, part, .. }) => {
            let what = format!("part {part} of entry {seq} is missing, and no entry says that it was erased");
            Err(wrong(format!("entry {seq}"), what))
        }
        None => Ok(()),
    }
}

/// The entries whose state some snapshot in the log claims to have the root of.
fn snapshots_claimed(live: &dyn Read) -> Result<std::collections::BTreeSet<u64>, Halt> {
    let mut claimed = std::collections::BTreeSet::new();
    let mut next = 0;
    loop {
        let envelopes = live.read_envelopes(next, 10_000)?;
        let Some(last) = envelopes.last() else { return Ok(claimed) };
        if let Some((envelope, seq)) =
            envelopes.iter().zip(next..).find(|(envelope, seq)| envelope.seq != *seq)
        {
            return Err(wrong(format!("entry {seq}"), format!("is missing: {} comes next", envelope.seq)));
        }
        next = last.seq + 1;
        for envelope in &envelopes {
            let text = b"\"kind\":\"snapshot\",\"pub\":";
            let Some(at) = envelope.bytes.windows(text.len()).position(|window| window == text) else {
                continue;
            };
            let from = at + text.len();
            let rest = envelope.bytes.get(from..).unwrap_or_default();
            let end = rest.iter().position(|b| *b == b'}').map_or(rest.len(), |end| end + 1);
            if let Ok(snapshot) = decode::<Snapshot>(rest.get(..end).unwrap_or_default()) {
                claimed.insert(snapshot.of);
            }
        }
    }
}

/// An entry, read.
struct Opened {
    seq: u64,
    /// The envelope as it is stored.
    bytes: Vec<u8>,
    slots: Vec<crate::log::Slot>,
    /// What it says and rests on, or why that cannot be read. That is told when all before it held.
    read: Result<(crate::log::Envelope, Evidence), String>,
}

impl Opened {
    fn new(entry: StoredEntry, net: Hash) -> Self {
        let opened = match entry.beside {
            None => open_entry(&entry).map_err(|e| e.to_string()),
            Some(part) => Err(format!(
                "a row of the table parts stands among its parts, as part {part}, and is none of them: no writer put it there"
            )),
        };
        let read = match opened {
            Ok((envelope, slots)) => {
                let stored = machine::Stored { envelope: &envelope, parts: &slots };
                let evidence = Evidence::read(stored, net).map_err(|e| e.to_string());
                (slots, evidence.map(|evidence| (envelope, evidence)))
            }
            Err(e) => (vec![], Err(e)),
        };
        Self { seq: entry.seq, bytes: entry.envelope, slots: read.0, read: read.1 }
    }

    fn evidence(&self) -> Option<&Evidence> {
        self.read.as_ref().ok().map(|(_, evidence)| evidence)
    }

    fn hints<'a>(&self, memory: &'a Memory) -> Hints<'a> {
        self.evidence().map_or_else(|| Hints::of(memory, vec![]), |evidence| evidence.hints(memory))
    }

    fn prove(&mut self, keys: &HashMap<Kid, Ready>) {
        let ready = |kid| keys.get(&kid).map(|(key, ready)| ready.get_or_init(|| Verifier::new(key)).clone());
        if let Ok((_, evidence)) = &mut self.read
            && let Err(e) = evidence.prove(&ready)
        {
            self.read = Err(e.to_string());
        }
    }
}

/// The next entries, taken apart on all cores.
fn read_run(live: &dyn Read, from: u64, tip: &TipRecord, net: Hash) -> Result<Vec<Opened>, Halt> {
    let mut entries = live.read(from, CHUNK, CHUNK_BYTES).map_err(|e| match e {
        Fault::Damaged { .. } => wrong("log", e),
        other => other.into(),
    })?;
    // What a writer at work has added since is for the next verification.
    entries.retain(|entry| entry.seq <= tip.seq);
    Ok(spread(entries, |some| some.into_iter().map(|entry| Opened::new(entry, net)).collect()))
}

/// A key, made ready for all of a run's signatures when the first of them is looked at.
type Ready = (PublicKey, OnceLock<Verifier>);

/// Verifies the signatures of a run on all cores, each under the key that it names.
fn prove(run: &mut Vec<Opened>, again: &mut Again) -> Result<(), Halt> {
    let evidence = || run.iter().filter_map(Opened::evidence);
    again.load(evidence().flat_map(Evidence::kids).map(Name::Key).collect())?;
    // A key may be registered by an entry of this very run.
    let unready = |key| (key, OnceLock::new());
    let mut keys: HashMap<Kid, Ready> =
        evidence().flat_map(Evidence::own_keys).map(|key| (key.kid(), unready(key))).collect();
    for kid in evidence().flat_map(Evidence::kids) {
        if let Found::Known(record) = again.memory.find(&Name::Key(kid))
            && let Some(record) = record.key()
        {
            keys.insert(kid, unready(record.key));
        }
    }
    *run = spread(std::mem::take(run), |mut some| {
        some.iter_mut().for_each(|one| one.prove(&keys));
        some
    });
    Ok(())
}

fn check_entry(
    one: Opened,
    chain: &mut Chain,
    again: &mut Again,
    report: &mut Report,
    roots: &BTreeMap<u64, Snapshot>,
) -> Result<(), Halt> {
    let Opened { seq, bytes, slots, read } = one;
    let named = |what: String| wrong(format!("entry {seq}"), what);
    chain.accept(&bytes).map_err(|ChainBroken { seq, why }| wrong(format!("entry {seq}"), why))?;
    let (envelope, evidence) = read.map_err(named)?;
    let stored = machine::Stored { envelope: &envelope, parts: &slots };
    let checked = loop {
        match machine::check(stored, &evidence, &again.memory) {
            Ok(checked) => break checked,
            Err(Broken::Need(names)) => again.load(names)?,
            Err(Broken::Wrong(what)) => return Err(named(what)),
        }
    };
    report.count(&envelope, evidence.kind(), slots.len(), &checked);
    let missing = checked.missing.iter().map(|(part, leaf)| Missing { seq, part: *part, leaf: *leaf });
    again.missing.extend(missing);
    if let Some(claim) = checked.snapshot {
        if roots.get(&claim.of) != Some(&claim) {
            return Err(named(format!(
                "state as of entry {} does not have the root that the snapshot states",
                claim.of
            )));
        }
        report.snapshots += 1;
    }
    let through = checked.records.iter().find_map(|(_, record)| match record.as_deref() {
        Some(Record::Tick(tick)) => Some(tick.through),
        _ => None,
    });
    let (kind, hash) = (evidence.kind(), crate::log::Envelope::hash(&bytes));
    again.notes.entry(seq, envelope.at);
    if matches!(kind, Kind::CycleSealed | Kind::CycleDue | Kind::ScheduleSet)
        && let Some((open, due)) = again.scheduled(seq, envelope.at)?
    {
        again.notes.sealed(open, due, Some(seq), envelope.at);
    }
    if let Some(period) =
        checked.records.iter().find_map(|(_, record)| record.as_deref().and_then(Record::period))
    {
        again.notes.closed(seq, period);
    }
    let event = Event { seq, hash, at: envelope.at, kind, effects: checked.effects };
    let records = Arc::new(checked.records);
    again.memory.changed(seq, &records);
    again.waiting.push(Arc::new(Commit { event, records }));
    if let Some(through) = through
        && let Some(name) = again.left(through)?
    {
        return Err(named(format!("says that nothing due by {through} is left, but {name} is")));
    }
    Ok(())
}

/// What the log is held against.
struct Against {
    net: Hash,
    key: LogVerifier,
    driven: bool,
    /// Checkpoints that are not the database's: the file beside it, and those that somebody kept. Each with its name.
    outside: Vec<(String, Checkpoint)>,
}

impl Against {
    /// The network's id, and the verifier key of its log: from outside if given, and then genesis must name
    /// the same.
    fn new(dir: &Path, live: &dyn Read, options: &Options, report: &mut Report) -> Result<Self, Halt> {
        let first = live.read_envelopes(0, 1)?;
        let bytes = first.first().map(|envelope| envelope.bytes.as_slice()).unwrap_or_default();
        let envelope = crate::log::Envelope::decode(bytes).map_err(|e| wrong("entry 0", e))?;
        let public = envelope.public.as_ref().map(|raw| raw.get().as_bytes()).unwrap_or_default();
        let genesis: Genesis = decode(public).map_err(|e| wrong("entry 0", e))?;
        report.net = genesis.net().to_string();
        if options.net.as_ref().is_some_and(|net| *net != report.net) {
            return Err(wrong("entry 0", format!("this is network {}, not the one asked for", report.net)));
        }
        let named = vkey(&genesis.origin, genesis.log.as_bytes());
        let taken = options.vkey.as_ref().unwrap_or(&named);
        if *taken != named {
            return Err(wrong("entry 0", format!("genesis names the log key {named}, not the one given")));
        }
        let key: LogVerifier = taken.parse().map_err(|e| wrong("entry 0", format!("log key: {e}")))?;
        let mut outside = vec![];
        match std::fs::read_to_string(dir.join("checkpoint")) {
            Ok(text) => {
                let signed = key.verify(&text).map_err(|e| wrong("checkpoint file", e))?;
                outside.push(("checkpoint file".to_owned(), signed));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(wrong("checkpoint file", e)),
        }
        report.outside = !outside.is_empty();
        for (name, text) in &options.checkpoints {
            let signed = key.verify(text).map_err(|e| wrong(name, e))?;
            outside.push((name.clone(), signed));
        }
        Ok(Self { net: genesis.net(), key, driven: genesis.driven, outside })
    }

    /// The log had the roots that were signed when it had that size.
    fn outside(&self, size: u64, chain: &Chain) -> Result<(), Halt> {
        for (name, outside) in self.outside.iter().filter(|(_, outside)| outside.size == size) {
            if outside.root != chain.root() {
                let what = format!("signs another root over the first {size} entries: the log was rewritten");
                return Err(wrong(name, what));
            }
        }
        Ok(())
    }
}

/// A finding of a comparison counts only if what was compared stood still: a writer may be at work.
fn unless_moved(compared: Result<(), Halt>, still: impl FnOnce() -> Result<bool, Halt>) -> Result<(), Halt> {
    match compared {
        Err(Halt::Finding(_)) if !still()? => Ok(()),
        compared => compared,
    }
}

/// The end of the log is where its tip and the signed checkpoints say it is.
fn check_end(tip: &TipRecord, chain: &Chain, against: &Against, report: &mut Report) -> Result<(), Halt> {
    let at = chain.tip().ok_or_else(|| wrong("log", "has no entries"))?;
    if at.seq < tip.seq {
        let what = format!("is missing: the tip names entry {}, the log ends at {}", tip.seq, at.seq);
        return Err(wrong(format!("entry {}", at.seq + 1), what));
    }
    if at.seq != tip.seq || at.hash != tip.hash {
        return Err(wrong("tip", format!("names entry {}, the log ends at {}", tip.seq, at.seq)));
    }
    if chain.tree().to_bytes() != tip.edge {
        return Err(wrong("tip", "its tree is not that of the entries"));
    }
    (report.size, report.root) = (at.seq + 1, chain.root().to_string());
    let signed = against.key.verify(&tip.checkpoint).map_err(|e| wrong("tip, checkpoint", e))?;
    if signed.size != report.size || signed.root != chain.root() {
        return Err(wrong("tip, checkpoint", "signs another size or root"));
    }
    if let Some((name, outside)) = against.outside.iter().find(|(_, outside)| outside.size > report.size) {
        let what = format!(
            "signs {} entries, the log has {}: it was cut or restored too old",
            outside.size, report.size
        );
        return Err(wrong(name, what));
    }
    let ahead = crate::clock::now().plus_seconds(AHEAD);
    if let Some(last) = chain.last_at().filter(|at| !against.driven && *at > ahead) {
        return Err(wrong(format!("entry {}", at.seq), format!("is of {last}, which is yet to come")));
    }
    Ok(())
}

fn compare_state(live: &dyn Read, again: &dyn Read, report: &mut Report) -> Result<(), Halt> {
    let mut after = String::new();
    if live.cursor()? != again.cursor()? {
        return Err(wrong("state, cursor", "names another entry's hash"));
    }
    loop {
        let (a, b) = (live.scan(&after, 10_000)?.rows, again.scan(&after, 10_000)?.rows);
        for (have, want) in a.iter().zip(&b) {
            if have != want {
                let what = if have.key == want.key {
                    "is not what the log gives"
                } else {
                    "should not be there, or one before it is missing"
                };
                return Err(wrong(format!("state, record {}", have.key), what));
            }
        }
        if a.len() != b.len() {
            let first = a.get(b.len()).or(b.get(a.len())).map(|row| row.key.clone()).unwrap_or_default();
            return Err(wrong(format!("state, record {first}"), "is on one side only"));
        }
        report.records += a.len() as u64;
        match a.last() {
            Some(row) => after.clone_from(&row.key),
            None => return Ok(()),
        }
    }
}

fn compare_views(live: &crate::views::Reader, scratch: &Path, report: &mut Report) -> Result<(), Halt> {
    let again = crate::views::Reader::open(scratch)?;
    if let Some(place) = crate::views::difference(live, &again)? {
        return Err(wrong(format!("views, {place}"), "is not what the log gives"));
    }
    report.views = true;
    Ok(())
}
