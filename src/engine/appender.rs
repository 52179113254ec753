//! The appender: makes what was decided durable on a thread of its own, while the writer decides what comes next.
//!
//! Owns: the log's end, the order of commits, and who is told of them.
//! Promises: one commit after the other, in the order in which they were decided; nothing is seen by a reader or answered
//! before its commit returned. After one whose outcome is not known nothing more is appended until the writer has opened
//! the log anew, and everybody who waits is told just that.
//! Refuses to know: what is decided.

use super::pace::Pace;
use super::run::{Shared, Watched, lock};
use super::runs::Order;
use super::writer::Outcome;
use super::{Commit, Crash, Failure, Point, fault, reach};
use crate::store::{self, AppendError, NewEntry, Place, TipRecord};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Entries that were decided and are to be committed at once.
pub(super) struct Decided {
    pub from: Option<Place>,
    pub entries: Vec<NewEntry>,
    pub tip: TipRecord,
    pub commits: Vec<Arc<Commit>>,
}

/// The log, and how far it is committed: less than was decided while a commit is on its way.
pub(super) struct LogEnd {
    log: Mutex<Box<dyn store::Log>>,
    crash: Option<Crash>,
    way: Mutex<Way>,
    moved: Condvar,
}

#[derive(Default)]
struct Way {
    committed: Option<Place>,
    /// What was handed to the appender and is not answered.
    waiting: usize,
    /// Why nothing more is appended.
    broken: Option<Failure>,
    /// Commits of what was handed over.
    turns: u64,
}

impl LogEnd {
    pub(super) fn new(log: Box<dyn store::Log>, crash: Option<Crash>) -> Self {
        Self { log: Mutex::new(log), crash, way: Mutex::default(), moved: Condvar::new() }
    }

    /// With the log in hand; nothing may be on its way.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut dyn store::Log) -> T) -> T {
        work(&mut **lock(&self.log))
    }

    /// Where the log ends, as far as is known.
    pub(super) fn committed(&self) -> Option<Place> {
        lock(&self.way).committed
    }

    /// The writer has looked: the log ends here.
    pub(super) fn stands_at(&self, place: Option<Place>) {
        let mut way = lock(&self.way);
        (way.committed, way.broken) = (place, None);
    }

    /// One append, one fsync.
    pub(super) fn append(&self, decided: &Decided) -> Result<(), Failure> {
        reach(&self.crash, Point::BeforeAppend)?;
        let Decided { from, entries, tip, .. } = decided;
        self.with(|log| log.append(*from, entries, tip)).map_err(|e| match e {
            AppendError::Deposed => Failure::Deposed,
            other => fault(other),
        })?;
        reach(&self.crash, Point::AfterAppend)?;
        lock(&self.way).committed = Some(tip.place());
        Ok(())
    }

    /// Waits until nothing is on its way. An error: something did not arrive.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        let way = self.moved.wait_while(lock(&self.way), |way| way.waiting > 0);
        way.unwrap_or_else(PoisonError::into_inner).broken.clone().map_or(Ok(()), Err)
    }

    /// Why nothing more is appended, if that is so.
    pub(super) fn broken(&self) -> Option<Failure> {
        lock(&self.way).broken.clone()
    }

    fn is_idle(&self) -> bool {
        lock(&self.way).waiting == 0
    }

    /// How much of what was handed over was committed.
    pub(super) fn turns(&self) -> u64 {
        lock(&self.way).turns
    }

    fn break_off(&self, failure: &Failure) {
        lock(&self.way).broken.get_or_insert_with(|| failure.clone());
    }
}

/// Decided entries, perhaps none, and those who wait for what came of them.
pub(super) struct Work {
    pub decided: Option<Decided>,
    pub outcomes: Vec<Outcome>,
    pub replies: Vec<oneshot::Sender<Outcome>>,
}

impl Work {
    /// Nobody is told anything but that its outcome is not known.
    pub(super) fn fail(self, failure: &Failure) {
        for reply in self.replies {
            let _ = reply.send(Err(failure.clone()));
        }
    }
}

/// Those who are told of a commit.
#[derive(Clone)]
pub(super) struct Told {
    pub shared: Arc<Shared>,
    pub orders: Vec<Sender<Order>>,
}

impl Told {
    /// Readers first, then followers.
    pub(super) fn pass_on(&self, commits: &[Arc<Commit>], checkpoint: &str) {
        if commits.is_empty() {
            return;
        }
        self.shared.publish(commits);
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        checkpoint.clone_into(&mut lock(&self.shared.checkpoint));
        let rows = commits.iter().map(|commit| commit.records.len()).sum();
        for (orders, waiting) in self.orders.iter().zip(&self.shared.waiting) {
            waiting.fetch_add(rows, Ordering::AcqRel);
            let _ = orders.send(Order::Take(commits.to_vec()));
        }
    }
}

/// See the module.
pub(super) struct Appender {
    end: Arc<LogEnd>,
    told: Told,
    /// `None` once it has ended.
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    /// `wake` is called when a commit failed: the writer may be asleep.
    pub(super) fn start(
        end: Arc<LogEnd>,
        told: Told,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, Failure> {
        // Without room: while one commit is on its way the next is decided and waits, and what comes meanwhile gathers in the
        // writer's queue, for one commit together.
        let (queue, works) = sync_channel(0);
        let (its_end, its_told) = (end.clone(), told.clone());
        let run = move || {
            let _watched = Watched(its_told.shared.clone());
            let _ended = Ended(its_end.clone());
            serve(&works, &its_end, &its_told, &wake);
        };
        let thread = std::thread::Builder::new().name("appender".into()).spawn(run).map_err(fault)?;
        Ok(Self { end, told, queue: Some(queue), thread: Some(thread) })
    }

    /// Commits on this thread: after all that is on its way.
    pub(super) fn here(&self, work: Work) -> Result<(), Failure> {
        if let Err(failure) = self.end.settle() {
            work.fail(&failure);
            return Err(failure);
        }
        commit(work, &self.end, &self.told)
    }

    /// Hands over; returns when its commit begins. What came of it those who wait are told.
    pub(super) fn hand_over(&self, work: Work) {
        lock(&self.end.way).waiting += 1;
        if let Some(queue) = &self.queue
            && let Err(lost) = queue.send(work)
        {
            // Its thread is gone, and has left its failure.
            lost.0.fail(&fault("the engine has stopped"));
            lock(&self.end.way).waiting -= 1;
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.end.is_idle()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(works: &Receiver<Work>, end: &LogEnd, told: &Told, wake: &impl Fn()) {
    while let Ok(work) = works.recv() {
        let failed = match end.broken() {
            Some(failure) => {
                work.fail(&failure);
                false
            }
            None => commit(work, end, told).is_err(),
        };
        lock(&end.way).waiting -= 1;
        end.moved.notify_all();
        if failed {
            wake();
        }
    }
}

/// Commits, passes on, answers.
fn commit(work: Work, end: &LogEnd, told: &Told) -> Result<(), Failure> {
    if let Some(decided) = &work.decided {
        if let Err(failure) = end.append(decided) {
            end.break_off(&failure);
            work.fail(&failure);
            return Err(failure);
        }
        lock(&end.way).turns += 1;
        told.pass_on(&decided.commits, &decided.tip.checkpoint);
    }
    for (outcome, reply) in work.outcomes.into_iter().zip(work.replies) {
        let _ = reply.send(outcome);
    }
    Ok(())
}

/// Lies in the appender's thread: if that dies of a panic, nobody waits for it.
struct Ended(Arc<LogEnd>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.break_off(&fault("the engine has stopped"));
        lock(&self.0.way).waiting = 0;
        self.0.moved.notify_all();
    }
}

/// Publishes the newest checkpoint that was committed.
pub(super) fn publish_checkpoint(shared: &Shared, pace: &Pace) {
    let checkpoint = lock(&shared.checkpoint).clone();
    super::published::checkpoint(pace, &checkpoint);
}
