//! The seat: where a process has its engine, which changes with what the node is.
//!
//! Owns: the engine of now; whether this node writes, until when that is sure, and where the one that does is reached.
//! Promises: whoever asks gets an engine that was whole when it was put there; a node counts as the writer only while
//! nobody else can be.
//! Refuses to know: who decides that.

use super::Failure;
use super::run::{Engine, lock};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Part {
    /// It decides and commits.
    Writer,
    /// It answers readers, and hands on what the writer must answer.
    #[default]
    Reader,
}

impl Part {
    /// As it is told.
    pub fn code(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }
}

/// Why a node may not write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// Its clock; as a reader it is as good as any.
    Clock(String),
    /// The log is not the one that was published: it answers nobody.
    Log(String),
    /// Something stands behind the end of the log that no writer put there: it is read as far as it goes.
    Rows(String),
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Clock(why) | Self::Log(why) | Self::Rows(why)) = self;
        f.write_str(why)
    }
}

/// How a node stands among the others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// What it is.
    pub part: Part,
    /// The term of the lease, its own or another's.
    pub term: u64,
    /// Where the writer is reached by its peers; `None`: no writer is known.
    pub writer: Option<String>,
    /// Why this node may not write.
    pub alarm: Option<Alarm>,
}

type Closing = Box<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// See the module.
pub struct Seat {
    engine: RwLock<Arc<Engine>>,
    standing: Mutex<Standing>,
    begun: Instant,
    /// Until when it surely writes, in milliseconds since `begun`; the largest number: for as long as it runs.
    until: AtomicU64,
    /// When it began to write, in Unix seconds.
    wrote: AtomicU64,
    /// Until when it surely wrote, the last time it did.
    left: AtomicU64,
    /// See [`Seat::is_astray`].
    astray: AtomicBool,
    closing: OnceLock<Closing>,
}

/// For ever.
const ALWAYS: u64 = u64::MAX;

impl Seat {
    /// Of a process that has its network for itself.
    pub fn alone(engine: Engine) -> Self {
        let seat = Self::shared(engine);
        lock(&seat.standing).part = Part::Writer;
        seat.until.store(ALWAYS, Ordering::Release);
        seat
    }

    /// Of one node among others, which begins as a reader.
    pub fn shared(engine: Engine) -> Self {
        Self {
            engine: RwLock::new(Arc::new(engine)),
            standing: Mutex::default(),
            begun: Instant::now(),
            until: AtomicU64::new(0),
            wrote: AtomicU64::new(0),
            left: AtomicU64::new(0),
            astray: AtomicBool::new(false),
            closing: OnceLock::new(),
        }
    }

    /// The engine of now.
    pub fn engine(&self) -> Arc<Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this process has its network for itself.
    pub fn is_alone(&self) -> bool {
        self.until.load(Ordering::Acquire) == ALWAYS
    }

    /// Whether this node writes, for sure: after a pause it may not, and does not know it yet.
    pub fn is_writer(&self) -> bool {
        match self.until.load(Ordering::Acquire) {
            0 => false,
            ALWAYS => true,
            until => self.now() < until,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(ALWAYS - 1)
    }

    /// It writes for `length` from `asked` on.
    pub fn hold(&self, asked: Instant, length: Duration) {
        let until = asked.saturating_duration_since(self.begun).saturating_add(length);
        let until = u64::try_from(until.as_millis()).unwrap_or(ALWAYS - 1);
        // Only a writer holds on; whoever was deposed meanwhile stays so.
        let hold = |have: u64| (have > 0).then_some(until.max(1));
        let _ = self.until.fetch_update(Ordering::AcqRel, Ordering::Acquire, hold);
    }

    /// It writes no more.
    pub fn let_go(&self) {
        let until = self.until.swap(0, Ordering::AcqRel);
        if until > 0 {
            self.left.store(until.min(self.now()), Ordering::Release);
        }
        let mut standing = lock(&self.standing);
        (standing.part, standing.writer) = (Part::Reader, None);
    }

    /// Puts another engine in, for a reader.
    pub fn read_with(&self, engine: Engine) -> Arc<Engine> {
        self.let_go();
        self.put(engine)
    }

    /// Puts another engine in, for the writer of a term, which it is sure to be for `length` from `asked` on, and since
    /// `now`, in Unix seconds.
    pub fn write_with(
        &self,
        engine: Engine,
        term: u64,
        asked: Instant,
        length: Duration,
        now: u64,
    ) -> Arc<Engine> {
        self.wrote.store(now, Ordering::Release);
        let before = self.put(engine);
        *lock(&self.standing) = Standing { part: Part::Writer, term, writer: None, alarm: None };
        self.until.store(1, Ordering::Release);
        self.hold(asked, length);
        before
    }

    fn put(&self, engine: Engine) -> Arc<Engine> {
        let mut held = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, Arc::new(engine))
    }

    /// How this node stands.
    pub fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    /// Who writes, as far as a reader knows.
    pub fn know_writer(&self, term: u64, writer: Option<String>) {
        let mut standing = lock(&self.standing);
        if standing.part == Part::Reader {
            (standing.term, standing.writer) = (term, writer);
        }
    }

    /// Why this node may not write; `None`: it may.
    pub fn set_alarm(&self, alarm: Option<Alarm>) {
        self.astray.store(matches!(alarm, Some(Alarm::Log(_))), Ordering::Release);
        lock(&self.standing).alarm = alarm;
    }

    /// Whether its log is not the one that was published.
    pub fn is_astray(&self) -> bool {
        self.astray.load(Ordering::Acquire)
    }

    /// How long this node is sure to write yet.
    pub fn sure_for(&self) -> Option<Duration> {
        match self.until.load(Ordering::Acquire) {
            0 | ALWAYS => None,
            until => Some(Duration::from_millis(until.saturating_sub(self.now()))),
        }
    }

    /// For how long this node has not seen the log's end: no time at all while it surely writes, which nobody else can
    /// then.
    pub fn unseen(&self) -> Duration {
        let since = |then: u64| Duration::from_millis(self.now().saturating_sub(then));
        match self.until.load(Ordering::Acquire) {
            ALWAYS => Duration::ZERO,
            // Between a writer's engine and a reader's it is the writer's that is left.
            0 => self.engine().unseen().unwrap_or_else(|| since(self.left.load(Ordering::Acquire))),
            until => since(until),
        }
    }

    /// Since when it writes, in Unix seconds; 0: it never did, or always.
    pub fn wrote_since(&self) -> u64 {
        self.wrote.load(Ordering::Acquire)
    }

    /// Why the process must end, if it must: among others a node goes on as a reader.
    pub fn failure(&self) -> Option<Failure> {
        if self.is_alone() { self.engine().failure() } else { None }
    }

    /// What closing means here, if it is more than closing the engine.
    pub fn on_close(&self, closing: Closing) {
        let _ = self.closing.set(closing);
    }

    /// Answers what was accepted, and stops.
    pub fn close(&self) -> Result<(), Failure> {
        match self.closing.get() {
            Some(close) => close(),
            None => self.engine().close(),
        }
    }
}
