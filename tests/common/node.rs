//! A node without a disk: the pure code, driven the way the writer drives it.
//!
//! Owns: state as a map of records, the chain, and every sealed entry.
//! Promises: what it answers is what the pure core decides. `replay_*` rebuild state from the entries
//! alone, by taking effects over and by deciding everything again.
//! Refuses to know: crashes, eviction, lag; the engine's driver has those.

use super::rng::Rng;
use super::world::{World, beginning};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tallyhouse::book::{Draft, Found, Name, Record, Source, Stop};
use tallyhouse::log::{Chain, Envelope, Slot};
use tallyhouse::machine::{
    self, Answer, Broken, Checked, Command, Decision, EntryBody, Evidence, Records, Request, Sealed, Stored,
    apply, bodies, burn, check, decide, record_refusals, seal, seal_by_schedule, seal_due, sweep, term,
};
use tallyhouse::sign::{PublicKey, Verifier};
use tallyhouse::types::{AccountId, Hash, Kid, Refusal, Refused, Time};

/// State in memory: everything is at hand.
#[derive(Clone, Default)]
pub struct State(pub HashMap<Name, Arc<Record>>);

impl Source for State {
    fn find(&self, name: &Name) -> Found {
        self.0.get(name).map_or(Found::Absent, |record| Found::Known(record.clone()))
    }
}

impl State {
    /// Decides the next entry again.
    pub fn check(&self, entry: Stored, signatures: bool) -> Result<Checked, Broken> {
        let net = match self.find(&Name::Network) {
            Found::Known(record) => record.network().expect("a network").net,
            Found::Absent | Found::NotLoaded => Hash::default(),
        };
        let mut evidence = Evidence::read(entry, net)?;
        if signatures {
            let known = |kid| match self.find(&Name::Key(kid)) {
                Found::Known(record) => record.key().map(|key| Verifier::new(&key.key)),
                Found::Absent | Found::NotLoaded => None,
            };
            evidence.prove(&known)?;
        }
        check(entry, &evidence, self)
    }

    pub fn get(&self, name: &Name) -> Option<&Record> {
        self.0.get(name).map(|record| &**record)
    }

    pub fn take(&mut self, records: Records) {
        for (name, record) in records {
            match record {
                Some(record) => drop(self.0.insert(name, record)),
                None => drop(self.0.remove(&name)),
            }
        }
    }

    /// Every record in the order of its name's text, as canonical bytes: what a snapshot would hash.
    pub fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.iter().map(|(name, record)| (name.to_string(), record.encode())).collect()
    }

    /// Accounts with work due by `at`, in order of deadline and account.
    pub fn due(&self, at: Time) -> Vec<AccountId> {
        let mut due: Vec<(Time, AccountId)> = self
            .0
            .iter()
            .filter_map(|(name, record)| match name {
                Name::Account(id) => record.due().filter(|due| *due <= at).map(|due| (due, *id)),
                _ => None,
            })
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }
}

/// Accounts of one tick, at most: a busy instant takes several.
const SWEEP: usize = 256;

/// The node.
pub struct PureNode {
    pub net: Hash,
    pub state: State,
    pub chain: Chain,
    pub entries: Vec<Sealed>,
    /// What was submitted, and when: to do the same elsewhere.
    pub asked: Vec<(Request, Time)>,
    /// Sweep what is due before each command; if not, only what a command reads is booked.
    pub ticking: bool,
    verify: bool,
    salts: Rng,
}

impl PureNode {
    /// Genesis and the first term. Signatures are verified if the world makes any.
    pub fn new(world: &World) -> Self {
        let mut node = Self {
            net: world.net,
            state: State::default(),
            chain: Chain::start(),
            entries: vec![],
            asked: vec![],
            ticking: true,
            verify: world.signing,
            salts: Rng::new(world.seed ^ 0x5a17),
        };
        node.append(world.genesis.entry(), beginning());
        let records = world.genesis.records(beginning());
        node.state.take(records.into_iter().map(|(name, record)| (name, Some(record))).collect());
        let decided = term(node.draft(node.instant(beginning()))).expect("a term is never refused");
        node.commit(decided, node.instant(beginning()));
        node
    }

    /// A node whose network is founded and ready for trade.
    pub fn founded(world: &World) -> Self {
        let mut node = Self::new(world);
        for request in world.founding() {
            node.submit(&request, beginning()).unwrap_or_else(|no| panic!("founding: {no}"));
        }
        node
    }

    /// The instant of the next entry if `at` is wanted: never before the last one.
    pub fn instant(&self, at: Time) -> Time {
        self.chain.last_at().map_or(at, |last| at.max(last.next()))
    }

    fn draft(&self, at: Time) -> Draft<'_> {
        Draft::new(&self.state, self.chain.next_seq(), at)
    }

    /// One command from the outside, at `at` or as soon after the last entry as there is an instant.
    pub fn submit(&mut self, request: &Request, at: Time) -> Result<Answer, Refused> {
        self.asked.push((request.clone(), at));
        let command = self.read(request)?;
        if self.ticking {
            self.tick(at);
        }
        let at = self.instant(at);
        match decide(self.draft(at), &command) {
            Ok(decision) => Ok(self.commit(decision, at)),
            Err(Stop::Known(seq)) => Ok(Answer { replayed: true, ..self.answer(seq) }),
            Err(Stop::Refused(no)) => {
                self.burn(&command, no.code, at);
                Err(no)
            }
            Err(stop) => panic!("{stop:?} for {:?}", command.body),
        }
    }

    fn read(&self, request: &Request) -> Result<Command, Refused> {
        let key = |kid: Kid| -> Option<PublicKey> {
            self.state.get(&Name::Key(kid)).and_then(Record::key).map(|record| record.key)
        };
        if self.verify {
            return Command::read(request, self.net, &|kid| key(kid).as_ref().map(Verifier::new));
        }
        let command = Command::read_unsigned(request, self.net)?;
        // What reading with signatures refuses besides wrong signatures: keys that nobody knows.
        let own: Vec<Kid> = match &command.body {
            machine::Body::RegisterBrand(args) => vec![args.root.kid()],
            machine::Body::Certify(cert) => vec![cert.key.kid()],
            machine::Body::OpenAccount(args) => vec![args.key.kid()],
            _ => vec![],
        };
        let unknown = command.kids().find(|kid| !own.contains(kid) && key(*kid).is_none());
        unknown.map_or(Ok(command), |kid| Err(Refused::about(Refusal::KeyUnknown, kid)))
    }

    /// Sweeps everything due by `at`.
    pub fn tick(&mut self, at: Time) {
        let due = seal_due(self.draft(at)).expect("all of state is at hand");
        if due.is_some_and(|due| due <= at) {
            let now = self.instant(at);
            let decided = seal_by_schedule(self.draft(now)).expect("it is due");
            self.commit(decided, now);
        }
        loop {
            let due = self.state.due(at);
            if due.is_empty() {
                return;
            }
            let now = self.instant(at);
            let last = due.len() <= SWEEP;
            let turn = &due[..due.len().min(SWEEP)];
            let decided = sweep(self.draft(now), turn, last.then_some(at)).expect("a sweep is never refused");
            self.commit(decided, now);
        }
    }

    fn burn(&mut self, command: &Command, code: Refusal, at: Time) {
        let Some(burnt) = burn(&self.state, at, command, code) else { return };
        let at = self.instant(at);
        if let Some(decided) = record_refusals(self.draft(at), &[burnt]).expect("recording is never refused")
        {
            self.commit(decided, at);
        }
    }

    fn commit(&mut self, decision: Decision, at: Time) -> Answer {
        self.append(decision.entry, at);
        self.state.take(decision.records);
        decision.answer
    }

    fn append(&mut self, body: EntryBody, at: Time) {
        let prev = match (self.chain.tip(), &body.public) {
            (Some(tip), _) => tip.hash,
            (None, genesis) => Hash::blake3(genesis.as_deref().unwrap_or_default()),
        };
        let salts = &mut self.salts;
        let sealed = seal(body, self.chain.next_seq(), prev, at, &mut || salts.salt());
        let sealed = sealed.unwrap_or_else(|e| panic!("an entry that cannot be sealed: {e}"));
        self.chain.accept(&sealed.envelope).unwrap_or_else(|e| panic!("an entry that does not follow: {e}"));
        self.entries.push(sealed);
    }

    /// The answer that an entry gave, made from the entry alone.
    pub fn answer(&self, seq: u64) -> Answer {
        let entry = &self.entries[usize::try_from(seq).expect("fits")];
        let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
        let parts = bodies(entry.parts.iter().map(Vec::as_slice)).expect("our own parts");
        machine::answer(&envelope, &parts).expect("our own entry")
    }
}

impl PureNode {
    /// An entry with the root over all of state: a leaf is the name, a zero byte and the record's bytes.
    pub fn snapshot(&mut self, at: Time) {
        let rows = self.state.bytes();
        let leaves = rows
            .iter()
            .map(|(name, record)| tallyhouse::log::leaf_hash(&[name.as_bytes(), &[0], record].concat()));
        let root = tallyhouse::log::root_of(&leaves.collect::<Vec<_>>());
        let of = self.chain.tip().expect("an entry").seq;
        let snapshot = machine::Snapshot { of, root, rows: rows.len() as u64 };
        let public = Some(tallyhouse::types::encode(&snapshot));
        let at = self.instant(at);
        self.append(EntryBody { kind: machine::Kind::Snapshot, public, parts: vec![] }, at);
    }
}

/// State made from the entries of a log, the way a reader makes it.
#[derive(Clone)]
pub struct Replay {
    pub state: State,
    pub signatures: u64,
    chain: Chain,
    how: How,
}

/// How entries are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Recorded effects are taken over.
    Apply,
    /// Everything is decided again; the switch says whether signatures are verified.
    Check(bool),
    /// Evidence was erased on request: in each entry all of it, the first statement, or all but that.
    Erased,
}

impl Replay {
    pub fn new(how: How) -> Self {
        Self { state: State::default(), signatures: 0, chain: Chain::start(), how }
    }

    /// The place of the next entry.
    pub fn next_seq(&self) -> u64 {
        self.chain.next_seq()
    }

    /// Takes the next entry.
    pub fn take(&mut self, envelope: &[u8], parts: &[Vec<u8>]) -> Result<(), String> {
        let envelope = self.chain.accept(envelope).map_err(|e| e.to_string())?;
        let mut parts: Vec<Slot> = parts.iter().cloned().map(Slot::Whole).collect();
        if self.how == How::Erased {
            let kind: machine::Kind = envelope.kind.parse().map_err(|e| format!("{e:?}"))?;
            if !kind.keeps_evidence() {
                erase_evidence(envelope.seq, &mut parts);
            }
        }
        let entry = Stored { envelope: &envelope, parts: &parts };
        let broken = |e: Broken| format!("entry {} ({}), {:?}: {e:?}", envelope.seq, envelope.kind, self.how);
        let records = match self.how {
            How::Apply => apply(entry, &self.state).map_err(broken)?,
            How::Check(_) | How::Erased => {
                let signatures = self.how == How::Check(true);
                let checked = self.state.check(entry, signatures).map_err(broken)?;
                self.signatures += checked.signatures;
                checked.records
            }
        };
        self.state.take(records);
        Ok(())
    }

    /// Takes what a node has and this has not yet.
    pub fn follow(&mut self, sealed: &[Sealed]) -> Result<(), String> {
        let from = usize::try_from(self.next_seq()).expect("fits");
        sealed[from..].iter().try_for_each(|entry| self.take(&entry.envelope, &entry.parts))
    }

    /// Whether this came to the same state, and where not.
    pub fn same(&self, state: &State) -> Result<(), String> {
        if self.state.0 == state.0 {
            return Ok(());
        }
        let (have, again) = (state.bytes(), self.state.bytes());
        let differs = |name: &&String| have.get(*name) != again.get(*name);
        let name = have.keys().chain(again.keys()).find(differs).cloned().unwrap_or_default();
        let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (one, other) = (text(have.get(&name)), text(again.get(&name)));
        Err(format!("{:?} gives another state: {name} is {one:?}, replayed {other:?}", self.how))
    }
}

/// Which evidence goes depends on the entry's place.
fn erase_evidence(seq: u64, parts: &mut [Slot]) {
    for (at, slot) in parts.iter_mut().enumerate() {
        let Slot::Whole(bytes) = &*slot else { continue };
        let body = bodies(std::iter::once(bytes.as_slice())).expect("our own part").remove(0);
        let goes = match seq % 3 {
            0 => true,
            1 => at == 0,
            _ => at > 0,
        };
        if goes && body.is_evidence() {
            *slot = slot.erase();
        }
    }
}

/// State from nothing, by taking recorded effects over.
pub fn replay_by_applying(sealed: &[Sealed]) -> State {
    let mut replay = Replay::new(How::Apply);
    replay.follow(sealed).unwrap_or_else(|e| panic!("{e}"));
    replay.state
}

/// State from nothing, by deciding every entry again; also the number of signatures that were verified.
pub fn replay_by_checking(sealed: &[Sealed], signatures: bool) -> (State, u64) {
    let mut replay = Replay::new(How::Check(signatures));
    replay.follow(sealed).unwrap_or_else(|e| panic!("{e}"));
    (replay.state, replay.signatures)
}

/// An award's own text: the token, the body of the request, or a line of the batch, from 1.
pub fn award_text(entry: &Sealed, line: Option<u64>) -> String {
    let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
    let kind = envelope.kind.parse().expect("a kind");
    let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
    let request =
        machine::request(Stored { envelope: &envelope, parts: &slots }, kind).expect("our own entry");
    match (line, request.http) {
        (Some(line), _) => {
            let lines = String::from_utf8(request.lines.expect("a batch").to_vec()).expect("UTF-8");
            lines.lines().nth(line as usize - 1).expect("a line").to_owned()
        }
        (None, Some(message)) => message.body.expect("a body"),
        (None, None) => request.jws[0].clone(),
    }
}
