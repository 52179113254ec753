//! Metrics: what operators watch, in the text form of OpenMetrics.
//!
//! Owns: counters of requests by operation and status, their time, and gauges of how far everybody is.
//! Promises: no label is made of what a caller sends, so nobody can fill memory with names or write secrets
//! here.
//! Refuses to know: who asked.

use crate::cache::remote::Remote;
use crate::engine::{Engine, Part, Progress, Seat};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Why {
    code: &'static str,
}

/// All of them.
pub struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    problems: Family<Why, Counter>,
    seconds: Family<Operation, Histogram>,
    open: Gauge,
    committed: Gauge,
    state: Gauge,
    views: Gauge,
    commits: Counter,
    strays: Gauge,
    unerased: Gauge,
    shared: Shared,
    node: Node,
    /// What stands behind debts and points.
    over: Gauge,
    short: Gauge,
    overdue: Gauge,
    looked: Mutex<Option<Instant>>,
}

/// How long what was found of debts and points stands: looking costs a few records for each of them.
const LOOK: Duration = Duration::from_secs(15);

/// One node of several.
struct Node {
    writes: Gauge,
    term: Gauge,
    lease: Gauge,
    behind: Gauge,
    unseen: Gauge,
    expires: Gauge,
    alarm: Gauge,
}

/// The cache that nodes share.
struct Shared {
    hits: Gauge,
    misses: Gauge,
    errors: Gauge,
    foreign: Gauge,
    written: Gauge,
    filled: Gauge,
    open: Gauge,
    behind: Gauge,
}

fn size(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers them.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tallyhouse");
        let answered = Family::<Answered, Counter>::default();
        registry.register("requests", "Requests answered, by operation and status", answered.clone());
        let problems = Family::<Why, Counter>::default();
        registry.register("problems", "Answers that are problems, by code", problems.clone());
        let make = || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        let seconds = Family::<Operation, Histogram>::new_with_constructor(make);
        registry.register("request_seconds", "From the head of a request to its answer", seconds.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let open = gauge("requests_open", "Requests being worked on");
        let committed = gauge("entries_committed", "Entries of the log");
        let state = gauge("entries_in_state", "Entries that state shows");
        let views = gauge("entries_in_views", "Entries that the views show");
        let strays = gauge(
            "log_rows_behind_tip",
            "1 while rows stand behind the end of the log that no writer put there: nothing is appended",
        );
        let unerased = gauge("parts_unerased", "Parts that the log says are erased and that are there still");
        let shared = Shared {
            hits: gauge("redis_hits", "Balances that were found in Redis since the start"),
            misses: gauge(
                "redis_misses",
                "Balances that Redis did not have, or not new enough, since the start",
            ),
            errors: gauge("redis_errors", "Questions that Redis did not answer, or wrongly, since the start"),
            foreign: gauge(
                "redis_foreign",
                "Values in Redis that no node of this network wrote, since the start: somebody else writes there",
            ),
            written: gauge("redis_written", "Values that the feeder wrote to Redis since the start"),
            filled: gauge("redis_filled", "Values that readers filled in since the start"),
            open: gauge(
                "redis_breaker_open",
                "1 while Redis is in trouble and not asked; 0 also if there is none",
            ),
            behind: gauge("redis_entries_behind", "Entries of the log that Redis does not show yet"),
        };
        let node = Node {
            writes: gauge("node_writes", "1 on the node that writes, 0 on one that reads"),
            term: gauge("node_term", "How often the writer's lease changed hands; 0 where one node is alone"),
            lease: gauge("node_lease_left_ms", "Milliseconds for which this node is sure to be the writer"),
            behind: gauge("node_entries_behind", "Entries of the log that this node has not read yet"),
            unseen: gauge(
                "node_unseen_ms",
                "Milliseconds since this node saw the end of the log; 0 on the node that writes",
            ),
            expires: gauge(
                "node_certificate_expires_seconds",
                "Until when this node's certificate is good for its peers, in Unix seconds; 0 where one node is alone",
            ),
            alarm: gauge("node_alarm", "1 while this node may not become the writer; /readyz says why"),
        };
        let over = gauge("participants_over_limit", "Participants that stand for more than is behind them");
        let short = gauge("reserves_short", "Units whose points need more than is held for them");
        let overdue = gauge(
            "seal_overdue_seconds",
            "Seconds since the schedule was to seal the open cycle, and nothing was sealed",
        );
        let looked = Mutex::new(None);
        let commits = Counter::default();
        registry.register("commits", "Durable commits since this node began to write", commits.clone());
        Self {
            registry,
            answered,
            problems,
            seconds,
            open,
            committed,
            state,
            views,
            commits,
            strays,
            unerased,
            shared,
            node,
            over,
            short,
            overdue,
            looked,
        }
    }

    /// Whether it is time to look again at what stands behind debts and points: true for one who asks.
    pub fn looks(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|at| at.elapsed() >= LOOK);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }

    /// What was found: participants over their limit, and reserves that are short.
    pub fn found(&self, [over, short]: [u64; 2]) {
        self.over.set(size(over));
        self.short.set(size(short));
    }

    /// For how many seconds the schedule was to seal the open cycle.
    pub fn overdue(&self, seconds: u64) {
        self.overdue.set(size(seconds));
    }

    /// Whether rows stand behind the end of the log.
    pub fn strayed(&self, are: bool) {
        self.strays.set(are.into());
    }

    /// Until when this node's certificate is good, in Unix seconds.
    pub fn certified(&self, until: u64) {
        self.node.expires.set(size(until));
    }

    /// A request came in.
    pub fn begun(&self) {
        self.open.inc();
    }

    /// It was answered.
    pub fn ended(&self, operation: &'static str, status: u16, problem: Option<&'static str>, took: Duration) {
        self.open.dec();
        self.answered.get_or_create(&Answered { operation, status }).inc();
        self.seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
        if let Some(code) = problem {
            self.problems.get_or_create(&Why { code }).inc();
        }
    }

    /// All of them as text.
    pub fn text(&self, engine: &Engine, seat: &Seat) -> String {
        let Progress { committed, state, views, end } = engine.progress();
        self.committed.set(size(committed));
        self.state.set(size(state));
        self.views.set(size(views));
        self.commits.inner().store(engine.commits(), Ordering::Relaxed);
        self.unerased.set(i64::try_from(engine.unerased()).unwrap_or(i64::MAX));
        let standing = seat.standing();
        self.node.writes.set((standing.part == Part::Writer).into());
        self.node.term.set(size(standing.term));
        let left = seat.sure_for().map_or(0, |left| left.as_millis());
        self.node.lease.set(i64::try_from(left).unwrap_or(i64::MAX));
        self.node.behind.set(size(end.saturating_sub(committed)));
        self.node.unseen.set(i64::try_from(seat.unseen().as_millis()).unwrap_or(i64::MAX));
        self.node.alarm.set(standing.alarm.is_some().into());
        if let Some(figures) = engine.remote().map(Remote::figures) {
            self.shared.hits.set(size(figures.hits));
            self.shared.misses.set(size(figures.misses));
            self.shared.errors.set(size(figures.errors));
            self.shared.foreign.set(size(figures.foreign));
            self.shared.written.set(size(figures.written));
            self.shared.filled.set(size(figures.filled));
            self.shared.open.set(figures.is_open.into());
            self.shared.behind.set(size(committed.saturating_sub(figures.fed)));
        }
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
