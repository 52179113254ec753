//! The writer: takes what waits, decides each command on the state left by the one before, commits the
//! batch durably at once, and only then answers.
//!
//! Owns: the order of everything, and the memory it decides on.
//! Promises: an answer is given after its entry is on disk; after a commit whose outcome is unknown it
//! answers nobody, forgets all it knows and is done for.
//! Refuses to know: threads and queues. It is stepped by whoever owns it.

use super::appender::{Decided, LogEnd};
use super::erase::{Due, may_erase, said_by};
use super::memory::{Changes, Memory, load, look_ahead};
use super::stored::{answer_of, take_over};
use super::{Commit, Failure, Setup};
use crate::book::{Draft, Name, Record, Source, Stop};
use crate::log::{Chain, Envelope, Frontier, LogSigner};
use crate::machine::{
    self, Answer, Burnt, Command, Decision, EntryBody, Event, Genesis, Kind, Sealed, Snapshot,
};
use crate::store::{self, NewEntry, Place, StoredEntry, StoredPart, TipRecord};
use crate::types::{AccountId, Hash, Malformed, Refusal, Refused, Time, encode};
use std::sync::Arc;
use std::time::Instant;

/// Accounts swept in one tick.
pub(super) const TURN: usize = 500;
/// How far behind the log a command's own time may lie, in seconds, before it is refused.
pub(super) const LATE: u64 = 60;

/// A command that waits for its decision.
pub struct Job {
    /// The command, its evidence verified.
    pub command: Command,
    /// In a driven network, its time.
    pub at: Option<Time>,
}

/// What opening the log anew came to.
pub(crate) enum Reopened {
    /// The writer stands at its end again; these entries were not known to have been committed.
    At(Vec<Arc<Commit>>),
    /// It is not the log that it was: this writer is done for.
    Never(Failure),
}

/// What a job came to.
pub type Outcome = Result<Answer, Failure>;

/// See the module.
pub struct Writer {
    setup: Setup,
    pub(super) end: Arc<LogEnd>,
    pub(super) read: Arc<dyn store::Read>,
    signer: LogSigner,
    memory: Memory,
    driven: bool,
    /// Where the log ends, with all that is decided and drawn up.
    tip: Option<Place>,
    at: Time,
    tree: Frontier,
    /// Decided and sealed, not yet committed.
    ready: Vec<(Sealed, Arc<Commit>, Option<Answer>)>,
    burnt: Vec<Burnt>,
    /// When the schedule seals the open cycle next; `None` if it is to be looked at again.
    sealing: Option<Option<Time>>,
    checkpoint: String,
    /// Said to be erased, and to be erased yet.
    pub(super) erasing: Vec<Due>,
    /// When that was tried last.
    pub(super) tried: Option<Instant>,
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

impl Writer {
    /// A writer at the log's end, its memory empty.
    pub(crate) fn open(
        setup: Setup,
        log: Box<dyn store::Log>,
        read: Arc<dyn store::Read>,
        signer: LogSigner,
        genesis: &Genesis,
    ) -> Result<Self, Failure> {
        let end = Arc::new(LogEnd::new(log, setup.crash.clone()));
        let tip = end.with(|log| log.tip()).map_err(fault)?;
        let state_due = read.next_due().map_err(fault)?.and_then(Time::from_micros);
        let memory = Memory::new(setup.memory_rows, state_due);
        let mut writer = Self {
            setup,
            end,
            read,
            signer,
            memory,
            driven: genesis.driven,
            tip: None,
            at: Time::default(),
            tree: Chain::start().tree().clone(),
            ready: vec![],
            burnt: vec![],
            sealing: None,
            checkpoint: String::new(),
            erasing: vec![],
            tried: None,
        };
        if let Some(tip) = tip {
            writer.stand_at(&tip)?;
        }
        Ok(writer)
    }

    /// Whether what went wrong may be the way to the log, so that the log's end can be read again.
    pub(crate) fn comes_back(&self) -> bool {
        self.end.with(|log| log.comes_back())
    }

    /// Whether nobody else can write.
    pub(crate) fn is_alone(&self) -> bool {
        self.setup.holds.is_none()
    }

    /// What keeps everybody from writing: a row that somebody put behind the end of the log.
    pub(crate) fn in_the_way(&self) -> Option<Failure> {
        self.read.stray().ok().flatten().map(fault)
    }

    /// Opens the log anew after an append whose outcome is not known: all memory is dropped, and what the log has
    /// beyond what was known is taken over. State must show all that was known.
    pub(crate) fn reopen(&mut self) -> Result<Reopened, Failure> {
        self.ready.clear();
        self.burnt.clear();
        self.sealing = None;
        let known = self.end.committed();
        let tip = self.end.with(|log| log.tip()).map_err(fault)?;
        if let Some(place) = known {
            let there = self.read.read_envelopes(place.seq, 1).map_err(fault)?;
            let there = there.first().filter(|entry| Envelope::hash(&entry.bytes) == place.hash);
            if there.is_none_or(|entry| entry.seq != place.seq) {
                let why =
                    format!("the log lost entry {}, which was answered: this copy is too old", place.seq);
                return Ok(Reopened::Never(fault(why)));
            }
        }
        let state_due = self.read.next_due().map_err(fault)?.and_then(Time::from_micros);
        self.memory = Memory::new(self.setup.memory_rows, state_due);
        let mut commits = vec![];
        if let Some(tip) = tip {
            let next = known.map_or(0, |place| place.seq.saturating_add(1));
            let entries = self.read.read(next, usize::MAX, usize::MAX).map_err(fault)?;
            // Whoever holds the lease still was the only one to write until now, so these entries are its own.
            if let Some(holds) = &self.setup.holds
                && !holds()?
            {
                return Ok(Reopened::Never(Failure::Deposed));
            }
            commits = take_over(&mut self.memory, &*self.read, &entries)?;
            self.erasing.extend(said_by(&commits));
            self.stand_at(&tip)?;
        }
        Ok(Reopened::At(commits))
    }

    /// Takes the log's end over, after checking that it is one.
    fn stand_at(&mut self, tip: &TipRecord) -> Result<(), Failure> {
        let last = self.read.read_envelopes(tip.seq, 1).map_err(fault)?;
        let broken = |what: &str| fault(format!("the log is broken at its end (entry {}): {what}", tip.seq));
        let bytes = &last.first().ok_or_else(|| broken("the last entry is missing"))?.bytes;
        if Envelope::hash(bytes) != tip.hash {
            return Err(broken("the last entry is not the one that the tip names"));
        }
        self.at = Envelope::decode(bytes).map_err(|e| broken(&e.to_string()))?.at;
        self.tree = Frontier::from_bytes(&tip.edge).map_err(|e| broken(&e.0))?;
        if self.tree.size() != tip.seq + 1 {
            return Err(broken("the tree is of another size"));
        }
        self.tip = Some(tip.place());
        self.checkpoint.clone_from(&tip.checkpoint);
        self.end.stands_at(self.tip);
        Ok(())
    }

    /// Whether commands bring their own time.
    pub fn is_driven(&self) -> bool {
        self.driven
    }

    /// The log's end, as it is committed.
    pub fn tip(&self) -> Option<Place> {
        self.end.committed()
    }

    /// Log time of the last entry.
    pub fn last_at(&self) -> Time {
        self.at
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Waits until all that was drawn up is committed. An error: it is not known whether it is.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        self.end.settle()
    }

    /// Why nothing more can be appended before the log is opened anew.
    pub(crate) fn broken(&self) -> Option<Failure> {
        self.end.broken()
    }

    /// How many commits there were.
    pub(crate) fn turns(&self) -> u64 {
        self.end.turns()
    }

    /// How many changed records wait for state.
    pub fn waiting_rows(&self) -> usize {
        self.memory.pinned_rows()
    }

    /// State shows everything through this entry.
    pub fn projected(&mut self, seq: u64) {
        self.memory.projected(seq);
    }

    /// Takes entries over that are in the log and not yet in state: how a writer comes back.
    pub(crate) fn recover(&mut self, entries: &[StoredEntry]) -> Result<Vec<Arc<Commit>>, Failure> {
        take_over(&mut self.memory, &*self.read, entries)
    }

    /// Writes genesis.
    pub(crate) fn found(&mut self, genesis: &Genesis, at: Time) -> Result<Vec<Arc<Commit>>, Failure> {
        genesis.check().map_err(fault)?;
        let records = genesis.records(at).into_iter().map(|(name, record)| (name, Some(record))).collect();
        self.at = at;
        let sealed =
            machine::seal(genesis.entry(), 0, genesis.net(), at, &mut *self.setup.salts).map_err(fault)?;
        self.push(sealed, Kind::Genesis, vec![], records, None);
        self.append()
    }

    /// Begins a term: the first entry of every writer.
    pub(crate) fn begin(&mut self, now: Time) -> Result<Vec<Arc<Commit>>, Failure> {
        let at = self.log_time(now);
        self.decide_own(at, machine::term)?;
        self.append()
    }

    fn log_time(&self, now: Time) -> Time {
        now.max(self.at.next())
    }

    fn next_seq(&self) -> u64 {
        let decided = self.ready.last().map(|(sealed, ..)| sealed.seq);
        decided.or(self.tip.map(|tip| tip.seq)).map_or(0, |seq| seq + 1)
    }

    fn load(&mut self, names: Vec<Name>) -> Result<(), Failure> {
        load(&mut self.memory, &*self.read, names)
    }

    /// Decides all jobs and commits them at once. The outcomes are in the order of the jobs; they may be
    /// told only because this returned.
    pub fn commit(&mut self, jobs: &[Job], now: Time) -> Result<(Vec<Outcome>, Vec<Arc<Commit>>), Failure> {
        let outcomes = self.decide_all(jobs, now)?;
        if self.ready.is_empty() && !jobs.is_empty() {
            self.confirm()?;
        }
        let commits = self.append()?;
        Ok((outcomes, commits))
    }

    /// Decides all jobs. The outcomes may be told when what was decided, up to here, is committed.
    pub(crate) fn decide_all(&mut self, jobs: &[Job], now: Time) -> Result<Vec<Outcome>, Failure> {
        look_ahead(&mut self.memory, &*self.read, jobs, |memory, job| machine::hints(memory, &job.command))?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(self.decide(job, now)?);
        }
        self.flush_refusals()?;
        Ok(outcomes)
    }

    /// What is answered without an append rests on memory alone: where others can write, the log must still end here.
    pub(crate) fn confirm(&mut self) -> Result<(), Failure> {
        if self.is_alone() {
            return Ok(());
        }
        self.end.settle()?;
        let there = self.end.with(|log| log.tip()).map_err(fault)?.map(|tip| tip.place());
        if there == self.tip { Ok(()) } else { Err(Failure::Deposed) }
    }

    fn decide(&mut self, job: &Job, now: Time) -> Result<Outcome, Failure> {
        let time = match (self.driven, job.at) {
            (true, Some(at)) if at.plus_seconds(LATE) < self.at => {
                let about = format!("the log is at {}", self.at);
                return Ok(Err(Failure::Refused(Refused::about(Refusal::TimeBackwards, about))));
            }
            (true, at) => at.unwrap_or(self.at),
            (false, Some(_)) => return Ok(Err(Failure::Refused(Refusal::NotDriven.into()))),
            (false, None) => now,
        };
        let waits = |burnt: &Burnt| Some(&burnt.cid) == job.command.asked.cid.as_ref();
        if self.burnt.iter().any(waits) {
            self.flush_refusals()?;
        }
        self.sweep(time)?;
        let at = self.log_time(time);
        loop {
            let draft = Draft::new(&self.memory, self.next_seq(), at);
            match machine::decide(draft, &job.command) {
                Ok(decision) => {
                    if let Err(no) = may_erase(&job.command.body, |seq| self.parts_of(seq)) {
                        return Ok(Err(no));
                    }
                    let answer = decision.answer.clone();
                    return Ok(match self.take(decision, at) {
                        Ok(()) => Ok(answer),
                        // What does not fit into an entry was not taken: the others go on.
                        Err(e) => Err(Failure::Refused(Refused::about(Refusal::TooLarge, e))),
                    });
                }
                Err(Stop::Need(names)) => self.load(names)?,
                Err(Stop::Known(seq)) => {
                    return self.answer_again(seq).map(|answer| Ok(Answer { replayed: true, ..answer }));
                }
                Err(Stop::Bug(what)) => {
                    return Ok(Err(fault(format!("a defect, nothing was changed: {what}"))));
                }
                Err(Stop::Refused(no)) => {
                    self.burnt.extend(machine::burn(&self.memory, at, &job.command, no.code));
                    return Ok(Err(Failure::Refused(no)));
                }
            }
        }
    }

    /// The parts of an entry, perhaps of this very batch.
    fn parts_of(&self, seq: u64) -> Result<Vec<StoredPart>, Failure> {
        match self.ready.iter().find(|(sealed, ..)| sealed.seq == seq) {
            Some((sealed, ..)) => Ok(sealed.parts.iter().cloned().map(StoredPart::Whole).collect()),
            None => {
                self.end.settle()?;
                self.read.read_parts(seq).map_err(fault)
            }
        }
    }

    /// The answer of an earlier entry, perhaps of this very batch.
    fn answer_again(&self, seq: u64) -> Result<Answer, Failure> {
        let here = self.ready.iter().find(|(sealed, ..)| sealed.seq == seq);
        if let Some((_, _, Some(answer))) = here {
            return Ok(answer.clone());
        }
        // It may be on its way to the log.
        self.end.settle()?;
        answer_of(&*self.read, seq)
    }

    /// Seals a decision; it counts from here on. An error is a decision that does not fit into an entry.
    fn take(&mut self, decision: Decision, at: Time) -> Result<(), Malformed> {
        let Decision { entry, answer, parts, records } = decision;
        let kind = entry.kind;
        let sealed = self.seal(entry, at)?;
        self.push(sealed, kind, parts, records, Some(answer));
        Ok(())
    }

    fn seal(&mut self, entry: EntryBody, at: Time) -> Result<Sealed, Malformed> {
        let prev = match self.ready.last() {
            Some((sealed, ..)) => sealed.hash,
            None => self.tip.map_or(Hash::default(), |tip| tip.hash),
        };
        machine::seal(entry, self.next_seq(), prev, at, &mut *self.setup.salts)
    }

    fn push(
        &mut self,
        sealed: Sealed,
        kind: Kind,
        parts: Vec<crate::book::PartOut>,
        records: machine::Records,
        answer: Option<Answer>,
    ) {
        self.at = sealed.at;
        if matches!(kind, Kind::ScheduleSet | Kind::CycleSealed | Kind::CycleDue | Kind::CycleMoved) {
            self.sealing = None;
        }
        let effects =
            parts.into_iter().map(|part| machine::Effect { tag: part.tag, done: part.done }).collect();
        let event = Event { seq: sealed.seq, hash: sealed.hash, at: sealed.at, kind, effects };
        let records: Changes = Arc::new(records);
        self.memory.changed(sealed.seq, &records);
        self.ready.push((sealed, Arc::new(Commit { event, records }), answer));
    }

    fn decide_own(&mut self, at: Time, own: impl Fn(Draft) -> Result<Decision, Stop>) -> Result<(), Failure> {
        loop {
            match own(Draft::new(&self.memory, self.next_seq(), at)) {
                Ok(decision) => return self.take(decision, at).map_err(fault),
                Err(Stop::Need(names)) => self.load(names)?,
                Err(stop) => return Err(fault(format!("{stop:?}"))),
            }
        }
    }

    fn flush_refusals(&mut self) -> Result<(), Failure> {
        let burnt = std::mem::take(&mut self.burnt);
        if burnt.is_empty() {
            return Ok(());
        }
        let at = self.at.next();
        loop {
            let draft = Draft::new(&self.memory, self.next_seq(), at);
            match machine::record_refusals(draft, &burnt) {
                Ok(Some(decision)) => return self.take(decision, at).map_err(fault),
                Ok(None) => return Ok(()),
                Err(Stop::Need(names)) => self.load(names)?,
                Err(stop) => return Err(fault(format!("{stop:?}"))),
            }
        }
    }

    /// Seals the open cycle if the schedule says so: at the first instant that anybody sees the time has come.
    fn seal_due(&mut self, time: Time) -> Result<(), Failure> {
        let due = match self.sealing {
            Some(due) => due,
            None => loop {
                match machine::seal_due(Draft::new(&self.memory, self.next_seq(), self.at)) {
                    Ok(due) => break *self.sealing.insert(due),
                    Err(Stop::Need(names)) => self.load(names)?,
                    Err(stop) => return Err(fault(format!("{stop:?}"))),
                }
            },
        };
        if due.is_none_or(|due| due > time) {
            return Ok(());
        }
        let at = self.log_time(time);
        self.decide_own(at, machine::seal_by_schedule)
    }

    /// Sweeps all work that is due by `time`, in small turns.
    pub(crate) fn sweep(&mut self, time: Time) -> Result<(), Failure> {
        self.seal_due(time)?;
        while self.memory.next_due().is_some_and(|due| due <= time) {
            let (accounts, last) = self.due_turn(time)?;
            if accounts.is_empty() {
                return Ok(());
            }
            let at = self.log_time(time);
            let through = last.then_some(time);
            self.decide_own(at, |draft| machine::sweep(draft, &accounts, through))?;
        }
        Ok(())
    }

    /// The next accounts to sweep, in order, and whether they are the last.
    fn due_turn(&mut self, time: Time) -> Result<(Vec<AccountId>, bool), Failure> {
        let mut limit = 2 * TURN;
        loop {
            let kept = self.read.due(i64::MAX, limit).map_err(fault)?.rows;
            let asked_all = kept.len() < limit;
            if let Some(turn) = self.due_among(time, kept, asked_all)? {
                return Ok(turn);
            }
            // What state showed first is pinned, so newer in memory: look further.
            limit *= 4;
        }
    }

    /// The turn, if these first rows of state tell it; `all`: there are no more.
    fn due_among(
        &mut self,
        time: Time,
        kept: Vec<store::Kept>,
        all: bool,
    ) -> Result<Option<(Vec<AccountId>, bool)>, Failure> {
        let mut due = self.memory.pinned_due(time, TURN + 1);
        let pinned = due.len();
        let mut earliest_later = None;
        for row in kept {
            let name: Name = row.key.parse().map_err(fault)?;
            let Some(at) = row.due.and_then(Time::from_micros) else { continue };
            if self.memory.is_pinned(&name) {
                continue;
            }
            if at > time {
                earliest_later = Some(at);
                break;
            }
            let record = Record::decode(&name, &row.value).map_err(fault)?;
            self.memory.loaded(name.clone(), Some(Arc::new(record)));
            due.push((at, name));
        }
        // Rows come by deadline: with more than a turn of them, none that was not read comes before.
        let seen = all || earliest_later.is_some() || due.len() - pinned > TURN;
        if !seen {
            return Ok(None);
        }
        due.sort_unstable();
        due.dedup();
        let last = due.len() <= TURN;
        if last {
            self.memory.set_state_due(earliest_later);
        }
        let ids = due.into_iter().take(TURN).filter_map(|(_, name)| match name {
            Name::Account(id) => Some(id),
            _ => None,
        });
        Ok(Some((ids.collect(), last)))
    }

    /// Records the root over all of state, as a follower made it.
    pub(crate) fn snapshot(&mut self, snapshot: Snapshot, now: Time) -> Result<Vec<Arc<Commit>>, Failure> {
        let public = Some(encode(&snapshot));
        let entry = EntryBody { kind: Kind::Snapshot, public, parts: vec![] };
        let at = if self.driven { self.at.next() } else { self.log_time(now) };
        let sealed = self.seal(entry, at).map_err(fault)?;
        self.push(sealed, Kind::Snapshot, vec![], vec![], None);
        self.append()
    }

    /// What is decided and ready, as one append with one checkpoint. It counts as appended from here on.
    pub(super) fn draw_up(&mut self) -> Option<Decided> {
        let (last, ..) = self.ready.last()?;
        let to = Place { seq: last.seq, hash: last.hash };
        for (sealed, ..) in &self.ready {
            self.tree.push(sealed.leaf);
        }
        self.checkpoint = self.signer.sign(self.tree.size(), self.tree.root());
        let mut commits = Vec::with_capacity(self.ready.len());
        let mut entries = Vec::with_capacity(self.ready.len());
        for (sealed, commit, _) in self.ready.drain(..) {
            entries.push(NewEntry { seq: sealed.seq, envelope: sealed.envelope, parts: sealed.parts });
            commits.push(commit);
        }
        let checkpoint = self.checkpoint.clone();
        let tip = TipRecord { seq: to.seq, hash: to.hash, edge: self.tree.to_bytes(), checkpoint };
        Some(Decided { from: self.tip.replace(to), entries, tip, commits })
    }

    /// Commits what is ready, and erases what it says is erased.
    pub(crate) fn append(&mut self) -> Result<Vec<Arc<Commit>>, Failure> {
        let Some(decided) = self.draw_up() else { return Ok(vec![]) };
        self.end.append(&decided)?;
        self.erase_said(&decided.commits);
        Ok(decided.commits)
    }

    /// Erases what committed entries say is erased.
    pub(super) fn erase_said(&mut self, commits: &[Arc<Commit>]) {
        let said = said_by(commits);
        if !said.is_empty() {
            self.erasing.extend(said);
            self.erase();
        }
    }
}

impl Source for Writer {
    fn find(&self, name: &Name) -> crate::book::Found {
        self.memory.find(name)
    }
}
