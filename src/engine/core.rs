//! The engine without threads: a writer and its followers, stepped by their owner. Recovery is here.

use super::follow::Follower;
use super::memory::Memory;
use super::stored::{open_entry, take_over};
use super::writer::{Job, Outcome, Writer};
use super::{Commit, Failure, Setup};
use crate::log::{Envelope, LogSigner};
use crate::machine::{Event, Genesis};
use crate::store;
use crate::types::Time;
use std::sync::Arc;

/// Entries read back from the log at a time.
const CHUNK: usize = 2_000;
/// Bytes read back at a time.
const CHUNK_BYTES: usize = 8 << 20;

/// Where a core keeps things.
pub struct Stores {
    /// The log, to append to.
    pub log: Box<dyn store::Log>,
    /// Log and state, to read.
    pub read: Arc<dyn store::Read>,
    /// The follower that keeps state.
    pub state: Box<dyn Follower>,
    /// The others; they need no records, so they can read from the log what they missed.
    pub others: Vec<Box<dyn Follower>>,
}

/// See the module.
pub struct Core {
    /// The writer.
    pub writer: Writer,
    /// The follower that keeps state.
    pub state: Box<dyn Follower>,
    /// The others.
    pub others: Vec<Box<dyn Follower>>,
    pub(super) read: Arc<dyn store::Read>,
    pub(super) waiting: Vec<Vec<Arc<Commit>>>,
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

impl Core {
    /// Opens a network: takes over what the log has and state has not, then begins a term. A log that
    /// is empty is founded with `genesis`.
    pub fn open(
        setup: Setup,
        stores: Stores,
        signer: LogSigner,
        genesis: &Genesis,
        now: Time,
    ) -> Result<Self, Failure> {
        let Stores { log, read, state, others } = stores;
        // Whatever stands there would be taken for a part of what comes.
        if let Some(stray) = read.stray().map_err(fault)? {
            return Err(fault(stray));
        }
        let writer = Writer::open(setup, log, read.clone(), signer, genesis)?;
        let waiting = std::iter::repeat_with(Vec::new).take(others.len() + 1).collect();
        let mut core = Self { writer, state, others, read, waiting };
        if core.writer.tip().is_none() {
            let commits = core.writer.found(genesis, now)?;
            core.pass_on(&commits);
            core.follow_all()?;
        } else {
            core.recover()?;
        }
        let commits = core.writer.begin(now)?;
        core.pass_on(&commits);
        // What was to be erased when the network was closed, or killed.
        core.writer.resume_erasing()?;
        core.writer.erase();
        Ok(core)
    }

    /// Brings every follower to the log's end. A follower that is ahead of the log, or followed another
    /// one, starts from nothing.
    fn recover(&mut self) -> Result<(), Failure> {
        for follower in std::iter::once(&mut self.state).chain(&mut self.others) {
            wipe_stranger(&mut **follower, &*self.read)?;
        }
        loop {
            let next = self.state.cursor()?.map_or(0, |place| place.seq + 1);
            let entries = self.read.read(next, CHUNK, CHUNK_BYTES).map_err(fault)?;
            let Some(last) = entries.last().map(|entry| entry.seq) else { break };
            let commits = self.writer.recover(&entries)?;
            self.state.take(&commits)?;
            self.writer.projected(last);
        }
        for follower in &mut self.others {
            catch_up(&mut **follower, &*self.read)?;
        }
        Ok(())
    }

    /// Decides and commits jobs. If this fails the core is done for: drop it and open it anew.
    pub fn commit(&mut self, jobs: &[Job], now: Time) -> Result<Vec<Outcome>, Failure> {
        let (outcomes, commits) = self.writer.commit(jobs, now)?;
        self.pass_on(&commits);
        Ok(outcomes)
    }

    /// Sweeps what is due by `time`.
    pub fn tick(&mut self, time: Time) -> Result<(), Failure> {
        self.writer.sweep(time)?;
        let commits = self.writer.append()?;
        self.pass_on(&commits);
        self.writer.erase();
        Ok(())
    }

    fn pass_on(&mut self, commits: &[Arc<Commit>]) {
        for waiting in &mut self.waiting {
            waiting.extend_from_slice(commits);
        }
    }

    /// Lets one follower (0 is state, then the others) take up to `most` of the entries that wait for
    /// it. Returns whether more wait.
    pub fn follow(&mut self, which: usize, most: usize) -> Result<bool, Failure> {
        let Some(waiting) = self.waiting.get_mut(which) else {
            return Ok(false);
        };
        let now: Vec<Arc<Commit>> = waiting.drain(..most.min(waiting.len())).collect();
        let more = !waiting.is_empty();
        let Some(last) = now.last() else {
            return Ok(false);
        };
        match which.checked_sub(1) {
            None => {
                self.state.take(&now)?;
                self.writer.projected(last.event.seq);
            }
            Some(other) => self.others.get_mut(other).map_or(Ok(()), |follower| follower.take(&now))?,
        }
        Ok(more)
    }

    /// Lets every follower take all that waits.
    pub fn follow_all(&mut self) -> Result<(), Failure> {
        for which in 0..self.waiting.len() {
            self.follow(which, usize::MAX)?;
        }
        Ok(())
    }

    /// The core with nothing waiting: every follower is at the log's end.
    pub(super) fn settled(mut self) -> Result<Self, Failure> {
        self.follow_all()?;
        Ok(self)
    }

    /// What a reader sees.
    pub fn read(&self) -> &Arc<dyn store::Read> {
        &self.read
    }
}

/// A follower that is ahead of the log, or followed another one, starts from nothing.
pub fn wipe_stranger(follower: &mut dyn Follower, read: &dyn store::Read) -> Result<(), Failure> {
    let Some(cursor) = follower.cursor()? else {
        // Without a cursor nothing that it keeps can be placed.
        return follower.wipe();
    };
    let there = read.read_envelopes(cursor.seq, 1).map_err(fault)?;
    let same = there.first().is_some_and(|e| e.seq == cursor.seq && Envelope::hash(&e.bytes) == cursor.hash);
    if same { Ok(()) } else { follower.wipe() }
}

/// Makes state anew from the log, a stretch of entries at a time.
pub struct Rebuilder(Memory);

/// Records that a rebuild keeps at hand.
const ROWS: usize = 250_000;

impl Default for Rebuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Rebuilder {
    /// For a state that is empty, or stands somewhere in the log.
    pub fn new() -> Self {
        Self(Memory::new(ROWS, None))
    }

    /// Takes the next stretch over. False: there was none left.
    pub fn step(&mut self, read: &dyn store::Read, state: &mut dyn Follower) -> Result<bool, Failure> {
        let next = state.cursor()?.map_or(0, |place| place.seq + 1);
        let entries = read.read(next, CHUNK, CHUNK_BYTES).map_err(fault)?;
        let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(false) };
        let commits = take_over(&mut self.0, read, &entries)?;
        state.take(&commits)?;
        self.0.projected(last);
        Ok(true)
    }
}

/// Lets a follower that needs no records read from the log what it missed.
pub fn catch_up(follower: &mut dyn Follower, read: &dyn store::Read) -> Result<(), Failure> {
    loop {
        let next = follower.cursor()?.map_or(0, |place| place.seq + 1);
        let entries = read.read(next, CHUNK, CHUNK_BYTES).map_err(fault)?;
        if entries.is_empty() {
            return Ok(());
        }
        let mut commits = Vec::with_capacity(entries.len());
        for entry in &entries {
            let (envelope, parts) = open_entry(entry)?;
            let event = Event::read(&envelope, Envelope::hash(&entry.envelope), &parts).map_err(fault)?;
            commits.push(Arc::new(Commit { event, records: Arc::default() }));
        }
        follower.take(&commits)?;
    }
}
