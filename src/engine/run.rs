//! The engine with threads: one for the writer, one for each follower.

use super::appender::{Appender, Told};
use super::core::Core;
use super::desk::Desk;
use super::pace::{Pace, Progress};
use super::queue::{Handle, Message, Ticket};
use super::runs::{Order, follow};
use super::writer::{Job, Outcome};
use super::{Failure, fault};
use crate::book::Record;
use crate::cache::remote::Remote;
use crate::cache::{Balances, Seen};
use crate::machine::{Command, Request};
use crate::sign::{PublicKey, Verifier};
use crate::store;
use crate::types::{AccountId, Hash, Kid, Time};
use hashbrown::HashMap;
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Keys kept ready to verify with, about 300 bytes each: a till's and a brand's come again and again.
const VERIFIERS: usize = 10_000;

pub(super) struct Shared {
    /// Accounts for readers, and how many entries are committed: what is proved here is what is visible.
    pub(super) balances: Balances,
    /// Accounts for readers of several nodes.
    pub(super) remote: OnceLock<Remote>,
    /// How many durable commits there were.
    pub(super) commits: AtomicU64,
    /// Parts that are to be erased and are there still.
    pub(super) unerased: AtomicUsize,
    /// Sizes, not seqs: 0 is nothing.
    pub(super) followed: Vec<AtomicU64>,
    /// Changed records that wait, by follower.
    pub(super) waiting: Vec<AtomicUsize>,
    moved: Condvar,
    lock: Mutex<()>,
    pub(super) keys: RwLock<HashMap<Kid, PublicKey>>,
    /// Those that sign much, made ready for it.
    pub(super) verifiers: Cache<Kid, Verifier>,
    /// Keys that changed and that state may not show yet, and the entries that changed them.
    pub(super) changed_keys: RwLock<HashMap<Kid, (u64, Arc<Record>)>>,
    /// Log time of the last entry, in microseconds.
    pub(super) last_at: AtomicI64,
    failed: Mutex<Option<Failure>>,
    /// Whether the writer is without its log at the moment.
    pub(super) away: AtomicBool,
    stopping: AtomicBool,
    pub(super) checkpoint: Mutex<String>,
    /// Somebody waits for what only a look at the log's end can show.
    wanted: AtomicBool,
    /// Entries of the log, as far as this node knows.
    end: AtomicU64,
    /// When the engine began, and when the log's end was asked for last and seen, in milliseconds since.
    begun: Instant,
    looked: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    /// For an engine that begins at a size of the log, which all of its followers show.
    pub(super) fn new(pace: &Pace, followers: usize, size: u64, checkpoint: String, last_at: Time) -> Self {
        Self {
            balances: Balances::new(pace.balances, size),
            remote: OnceLock::new(),
            commits: AtomicU64::default(),
            unerased: AtomicUsize::default(),
            followed: (0..followers).map(|_| AtomicU64::new(size)).collect(),
            waiting: (0..followers).map(|_| AtomicUsize::new(0)).collect(),
            moved: Condvar::new(),
            lock: Mutex::default(),
            keys: RwLock::default(),
            verifiers: Cache::new(VERIFIERS),
            changed_keys: RwLock::default(),
            failed: Mutex::default(),
            away: AtomicBool::default(),
            stopping: AtomicBool::default(),
            checkpoint: Mutex::new(checkpoint),
            last_at: AtomicI64::new(last_at.micros()),
            wanted: AtomicBool::default(),
            end: AtomicU64::new(size),
            begun: Instant::now(),
            looked: AtomicU64::default(),
        }
    }

    /// The log had so many entries when it was asked then.
    pub(super) fn seen(&self, end: u64, asked: Instant) {
        self.end.store(end, Ordering::Release);
        let since = asked.saturating_duration_since(self.begun).as_millis();
        self.looked.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// How long ago that was.
    fn unseen(&self) -> Duration {
        let looked = Duration::from_millis(self.looked.load(Ordering::Acquire));
        self.begun.elapsed().saturating_sub(looked)
    }

    /// A follower shows so many entries; whether it is more than before.
    pub(super) fn follows(&self, which: usize, size: u64) -> bool {
        let known = self.followed.get(which).map(|known| known.swap(size, Ordering::AcqRel));
        known.is_some_and(|known| known < size)
    }

    /// Does nothing for a while, or until somebody waits.
    pub(super) fn idle(&self, pause: Duration) {
        let held = lock(&self.lock);
        let wait = |_: &mut ()| !self.wanted.load(Ordering::Acquire) && !self.is_stopping();
        let waited = self.moved.wait_timeout_while(held, pause, wait);
        drop(waited);
        self.wanted.store(false, Ordering::Release);
    }

    pub(super) fn fail(&self, failure: Failure) {
        lock(&self.failed).get_or_insert(failure);
        self.wake();
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        lock(&self.failed).clone()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn wake(&self) {
        let _held = lock(&self.lock);
        self.moved.notify_all();
    }

    /// Waits until `ready`, a failure, or the end of patience.
    pub(super) fn wait(&self, patience: Duration, ready: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let held = lock(&self.lock);
        let wait = |_: &mut ()| !ready(self) && self.failure().is_none();
        let waited = self.moved.wait_timeout_while(held, patience, wait);
        let (held, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(held);
        match self.failure() {
            Some(failure) => Err(failure),
            None if timeout.timed_out() && !ready(self) => {
                Err(fault("the followers are too far behind; try again"))
            }
            None => Ok(()),
        }
    }
}

/// A running engine. Dropping it closes it.
pub struct Engine {
    net: Hash,
    pub(super) pace: Pace,
    queue: mpsc::Sender<Message>,
    orders: Mutex<Vec<Sender<Order>>>,
    pub(super) read: Arc<dyn store::Read>,
    pub(super) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Puts threads around a core. `clock` is asked for the time of commands in networks that are not
    /// driven; if it says that it cannot be trusted the writer stops.
    pub fn start(
        core: Core,
        net: Hash,
        pace: Pace,
        clock: impl FnMut() -> Result<Time, String> + Send + 'static,
    ) -> Result<Self, Failure> {
        let Core { writer, state, others, read, waiting: _ } = core.settled()?;
        let (queue, jobs) = mpsc::channel(pace.queue);
        let driven = writer.is_driven();
        let size = writer.tip().map_or(0, |tip| tip.seq + 1);
        let followers = others.len() + 1;
        let checkpoint = writer.checkpoint().to_owned();
        let shared = Arc::new(Shared::new(&pace, followers, size, checkpoint, writer.last_at()));
        shared.unerased.store(writer.erasing.len(), Ordering::Relaxed);
        let mut threads = vec![];
        let mut orders = vec![];
        for (which, follower) in std::iter::once(state).chain(others).enumerate() {
            let (sender, receiver) = channel();
            let (shared, read, pace) = (shared.clone(), read.clone(), pace.clone());
            let name = follower.name().to_owned();
            let run = move || {
                let _watched = Watched(shared.clone());
                follow(which, follower, receiver, &shared, &*read, &pace);
            };
            threads.push(std::thread::Builder::new().name(name).spawn(run).map_err(fault)?);
            orders.push(sender);
        }
        let told = Told { shared: shared.clone(), orders: orders.clone() };
        let sleeper = queue.clone();
        let wake = move || drop(sleeper.try_send(Message::Broken));
        let appender = Appender::start(writer.end.clone(), told.clone(), wake)?;
        let desk = Desk { writer, told, appender, pace: pace.clone(), reopened: (0, 0) };
        let run = move || {
            let _watched = Watched(desk.shared().clone());
            desk.run(jobs, clock);
        };
        threads.insert(0, std::thread::Builder::new().name("writer".into()).spawn(run).map_err(fault)?);
        if !driven {
            let (queue, shared) = (queue.clone(), shared.clone());
            let run = move || ticker(&queue, &shared);
            threads.push(std::thread::Builder::new().name("ticker".into()).spawn(run).map_err(fault)?);
        }
        let (orders, threads) = (Mutex::new(orders), Mutex::new(threads));
        Ok(Self { net, pace, queue, orders, read, shared, threads })
    }

    /// An engine that only reads, with the thread that follows the log for it.
    pub(super) fn without_writer(
        net: Hash,
        pace: Pace,
        read: Arc<dyn store::Read>,
        shared: Arc<Shared>,
        thread: JoinHandle<()>,
    ) -> Self {
        // Nobody takes from this queue: whatever is put there is answered at once, with a failure.
        let (queue, _) = mpsc::channel(1);
        Self { net, pace, queue, orders: Mutex::default(), read, shared, threads: Mutex::new(vec![thread]) }
    }

    /// Hands a checked command to the writer; waits if its queue is full.
    pub fn submit(&self, command: Command, at: Option<Time>) -> Ticket {
        let (reply, answer) = oneshot::channel();
        // If the writer is gone the reply is dropped, and the ticket says so.
        let _ = self.queue.blocking_send(Message::Do(Box::new(Job { command, at }), reply));
        Ticket(answer)
    }

    /// A way to the writer for async tasks.
    pub fn handle(&self) -> Handle {
        Handle(self.queue.clone())
    }

    /// Durable commits so far.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Parts that the log says are erased and that this node, writing, could not erase yet.
    pub fn unerased(&self) -> usize {
        self.shared.unerased.load(Ordering::Relaxed)
    }

    /// Checks a request, has it decided, and waits for the answer.
    pub fn ask(&self, request: &Request, at: Option<Time>) -> Outcome {
        self.submit(self.check(request)?, at).wait()
    }

    /// Has the root over all of state recorded in the log.
    pub fn snapshot(&self) -> Outcome {
        let (reply, made) = oneshot::channel();
        let gone = || fault("the engine has stopped");
        lock(&self.orders).first().ok_or_else(gone)?.send(Order::Snapshot(reply)).map_err(|_| gone())?;
        let made = made.blocking_recv().map_err(|_| gone())??;
        let snapshot = made.ok_or_else(|| fault("state is empty"))?;
        let (reply, answer) = oneshot::channel();
        let _ = self.queue.blocking_send(Message::Snapshot(snapshot, reply));
        Ticket(answer).wait()
    }

    /// Another node writes now: whoever waits here is told so.
    pub fn depose(&self) {
        self.shared.fail(Failure::Deposed);
    }

    /// Why it stopped, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }

    /// Log time of the last entry.
    pub fn last_at(&self) -> Time {
        Time::from_micros(self.shared.last_at.load(Ordering::Acquire)).unwrap_or_default()
    }

    /// A key as it was changed lately; `None` if state shows it as it is.
    pub fn changed_key(&self, kid: Kid) -> Option<Arc<Record>> {
        let changed = self.shared.changed_keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        changed.get(&kid).map(|(_, record)| record.clone())
    }

    /// How far everybody is.
    pub fn progress(&self) -> Progress {
        let mut followed = self.shared.followed.iter().map(|size| size.load(Ordering::Acquire));
        let state = followed.next().unwrap_or(0);
        let committed = self.shared.balances.size();
        let end = self.shared.end.load(Ordering::Acquire).max(committed);
        Progress { committed, state, views: followed.min().unwrap_or(state), end }
    }

    /// Waits until state and views show the entry.
    pub fn wait_for(&self, seq: u64) -> Result<(), Failure> {
        let there = |shared: &Shared| shared.followed.iter().all(|size| size.load(Ordering::Acquire) > seq);
        if there(&self.shared) {
            return Ok(());
        }
        self.hurry();
        self.shared.wait(self.pace.patience, there)
    }

    /// Tells the followers that somebody waits.
    pub(super) fn hurry(&self) {
        for orders in lock(&self.orders).iter() {
            // A follower that is gone has left its failure, which the waiting finds.
            let _ = orders.send(Order::Hurry);
        }
        self.shared.wanted.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Something was committed elsewhere: it is looked for now.
    pub fn look_soon(&self) {
        if self.only_reads() {
            self.hurry();
        }
    }

    /// Whether it only reads, so that what is new comes from another node.
    pub(super) fn only_reads(&self) -> bool {
        self.queue.is_closed()
    }

    /// For how long it has not seen the log's end, if it only reads.
    pub(super) fn unseen(&self) -> Option<Duration> {
        self.only_reads().then(|| self.shared.unseen())
    }

    /// Waits until state and views show everything that is committed now.
    pub fn settle(&self) -> Result<(), Failure> {
        match self.shared.balances.size().checked_sub(1) {
            Some(seq) => self.wait_for(seq),
            None => Ok(()),
        }
    }

    /// An account as of the newest commit. Unavailable if the log does not reach `min_seq` yet: nobody who
    /// knows of an entry is shown what was before it.
    pub fn balance(&self, id: AccountId, min_seq: u64) -> Result<Seen, Failure> {
        let seen = self.shared.balances.get(id, || self.in_state(id))?;
        if seen.seq < min_seq {
            return Err(fault(format!("entry {min_seq} is not there; the newest is {}", seen.seq)));
        }
        Ok(seen)
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> String {
        lock(&self.shared.checkpoint).clone()
    }

    /// What readers see.
    pub fn read(&self) -> &Arc<dyn store::Read> {
        &self.read
    }

    /// The network's id.
    pub fn net(&self) -> Hash {
        self.net
    }

    /// Answers what was accepted, brings the followers to the end and stops. Whoever still holds the engine
    /// then is told that it has stopped.
    pub fn close(&self) -> Result<(), Failure> {
        self.stop();
        match self.shared.failure() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn stop(&self) {
        let mut threads = lock(&self.threads);
        if threads.is_empty() {
            return;
        }
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake();
        let _ = self.queue.blocking_send(Message::Stop);
        lock(&self.orders).clear();
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail(fault("a thread of the engine panicked"));
            }
        }
        if let Some(remote) = self.remote() {
            remote.close();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lies in a thread of the engine: if that dies of a panic, everybody is told, and nobody waits for it.
pub(super) struct Watched(pub(super) Arc<Shared>);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(fault("a thread of the engine panicked"));
        }
    }
}

/// How often a network on real time looks for due work when nobody asks for anything.
const TICK: Duration = Duration::from_secs(1);

fn ticker(queue: &mpsc::Sender<Message>, shared: &Shared) {
    let over = |shared: &Shared| shared.stopping.load(Ordering::Acquire);
    // Waiting ends with the second, or early when the engine stops or has failed.
    while shared.wait(TICK, over).is_err() && !over(shared) && shared.failure().is_none() {
        // A full queue means that commands are coming: they sweep what is due themselves.
        let _ = queue.try_send(Message::Tick);
    }
}
