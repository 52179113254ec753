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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Answer, Kind};
    use crate::store::{Fault, StoredEntry};
    use crate::types::{Hash, Time};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// A log that appends when it is told to, and fails when it is told that.
    struct Gated {
        gate: Receiver<bool>,
        begun: Sender<u64>,
    }

    impl store::Log for Gated {
        fn tip(&mut self) -> Result<Option<TipRecord>, Fault> {
            Ok(None)
        }
        fn append(&mut self, _: Option<Place>, _: &[NewEntry], tip: &TipRecord) -> Result<(), AppendError> {
            self.begun.send(tip.seq).expect("somebody looks");
            match self.gate.recv().expect("somebody says") {
                true => Ok(()),
                false => Err(Fault::Unfit("as the test asked".into()).into()),
            }
        }
        fn copy(&mut self, _: Option<Place>, _: &[StoredEntry], _: &TipRecord) -> Result<(), AppendError> {
            unreachable!("nothing is copied here")
        }
        fn erase_part(&mut self, _: u64, _: usize, _: Hash) -> Result<(), Fault> {
            unreachable!("nothing is erased here")
        }
    }

    fn work(seq: u64) -> (Work, oneshot::Receiver<Outcome>) {
        let (reply, answer) = oneshot::channel();
        let tip = TipRecord { seq, hash: Hash::default(), edge: vec![], checkpoint: String::new() };
        let decided = Decided { from: None, entries: vec![], tip, commits: vec![] };
        let outcome = Ok(Answer::new(seq, Time::default(), Kind::Term, None, &[]));
        (Work { decided: Some(decided), outcomes: vec![outcome], replies: vec![reply] }, answer)
    }

    fn started() -> (Appender, Arc<LogEnd>, Sender<bool>, Receiver<u64>, Receiver<()>) {
        let ((gate, told), (begun, appends), (wake, woken)) = (channel(), channel(), channel());
        let end = Arc::new(LogEnd::new(Box::new(Gated { gate: told, begun }), None));
        let pace = Pace {
            queue: 1,
            max_batch: 1,
            max_lines: 1,
            pinned_rows: 1,
            rows_per_run: 1,
            linger: Duration::ZERO,
            patience: Duration::ZERO,
            publish: Duration::ZERO,
            checkpoint: "nowhere".into(),
            guard: None,
            balances: 1,
        };
        let shared = Arc::new(Shared::new(&pace, 0, 0, String::new(), Time::default()));
        let told = Told { shared, orders: vec![] };
        let wake = move || {
            let _ = wake.send(());
        };
        let appender = Appender::start(end.clone(), told, wake).expect("a thread");
        (appender, end, gate, appends, woken)
    }

    #[test]
    fn who_asked_is_answered_after_the_commit_and_in_order() {
        let (appender, end, gate, appends, _woken) = started();
        let ((first, mut one), (second, two)) = (work(0), work(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                appender.hand_over(first);
                appender.hand_over(second);
            });
            assert_eq!(appends.recv(), Ok(0));
            assert!(one.try_recv().is_err() && end.committed().is_none(), "its commit has not returned");
            gate.send(true).expect("it waits");
            assert_eq!(one.blocking_recv().expect("an answer").expect("done").seq, 0);
            assert_eq!(appends.recv(), Ok(1));
            assert_eq!(end.committed().map(|place| place.seq), Some(0));
            gate.send(true).expect("it waits");
        });
        assert_eq!(two.blocking_recv().expect("an answer").expect("done").seq, 1);
        assert!(end.settle().is_ok() && end.turns() == 2);
    }

    #[test]
    fn after_a_commit_that_failed_nothing_is_appended_until_the_log_was_opened_anew() {
        let (appender, end, gate, appends, woken) = started();
        let ((first, one), (second, two)) = (work(0), work(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                appender.hand_over(first);
                appender.hand_over(second);
            });
            assert_eq!(appends.recv(), Ok(0));
            gate.send(false).expect("it waits");
        });
        // What was decided on top of it is as unknown as itself.
        for answer in [one, two] {
            assert!(matches!(answer.blocking_recv().expect("an answer"), Err(Failure::Unavailable(_))));
        }
        assert!(end.settle().is_err() && end.broken().is_some() && end.committed().is_none());
        assert!(appends.try_recv().is_err(), "the second was not tried");
        assert_eq!((woken.recv(), woken.try_recv().is_err()), (Ok(()), true), "the writer is woken once");
        let (lone, answer) = work(1);
        assert!(appender.here(lone).is_err() && answer.blocking_recv().expect("an answer").is_err());

        end.stands_at(None);
        let (again, answer) = work(0);
        gate.send(true).expect("it will wait");
        appender.here(again).expect("committed");
        assert_eq!(answer.blocking_recv().expect("an answer").expect("done").seq, 0);
        assert_eq!((appends.recv(), end.turns()), (Ok(0), 1));
    }
}
