//! Limits: how often anybody may ask.
//!
//! Owns: a bucket for each caller (an API key, a signing key, or an address for those who show neither), one
//! for each address whose signatures fail, and the headers that tell how much is left.
//! Promises: a look costs no more than a look-up; buckets that nobody draws on are forgotten.
//! Where nodes share a Redis, what all of them granted counts: a bucket that they emptied together grants nothing until
//! it has something again. Without an answer from there a node's own buckets hold.
//! Refuses to know: what is asked for.
//!
//! Headers: `RateLimit-Policy` and `RateLimit` (IETF draft-ietf-httpapi-ratelimit-headers).

use super::problem::{Code, Problem};
use crate::cache::remote::{Bucket, Remote};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whose bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    /// An API key or a signing key, by its id.
    Key(String),
    /// Somebody who shows neither.
    Address(IpAddr),
}

impl Who {
    /// The bucket's name among nodes.
    fn name(&self, policy: &str) -> String {
        match self {
            Self::Key(id) => format!("{policy}/key/{id}"),
            Self::Address(address) => format!("{policy}/address/{address}"),
        }
    }
}

type Buckets<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All buckets.
pub struct Limits {
    keys: Buckets<Who>,
    strangers: Buckets<Who>,
    failures: Buckets<IpAddr>,
    resolvers: Buckets<Who>,
    applicants: Buckets<Who>,
    applications_per_hour: u32,
    resolves_per_second: u32,
    failures_per_second: u32,
    per_second: u32,
    strangers_per_second: u32,
    burst: u32,
    blocked: Cache<IpAddr, Instant>,
    clock: DefaultClock,
    asked: AtomicU32,
}

/// Addresses whose failures were too many that are remembered; the oldest are forgotten first.
const BLOCKED: usize = 10_000;

/// How long no signature of such an address is looked at.
const BLOCK: Duration = Duration::from_secs(1);

/// How often, in requests a second; as much may come at once as in `burst` seconds.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// With an API key or a signature.
    pub per_key: u32,
    /// Without, by address.
    pub per_address: u32,
    /// Failed signatures and keys, by address.
    pub failures: u32,
    /// Look-ups of members, by key.
    pub resolves: u32,
    /// Applications to join an hour, by address.
    pub applications: u32,
    /// Seconds' worth that may come at once.
    pub burst: u32,
}

fn some(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

fn quota(per_second: u32, burst: u32) -> Quota {
    Quota::per_second(some(per_second)).allow_burst(some(per_second.saturating_mul(burst)))
}

fn buckets<K: Hash + Eq + Clone>(per_second: u32, burst: u32) -> Buckets<K> {
    RateLimiter::dashmap(quota(per_second, burst)).with_middleware()
}

impl Limits {
    /// Full buckets.
    pub fn new(rates: Rates) -> Self {
        Self {
            keys: buckets(rates.per_key, rates.burst),
            strangers: buckets(rates.per_address, rates.burst),
            failures: buckets(rates.failures, rates.burst),
            resolvers: buckets(rates.resolves, rates.burst),
            applicants: RateLimiter::dashmap(Quota::per_hour(some(rates.applications))).with_middleware(),
            applications_per_hour: rates.applications,
            resolves_per_second: rates.resolves,
            failures_per_second: rates.failures,
            per_second: rates.per_key,
            strangers_per_second: rates.per_address,
            burst: rates.burst,
            blocked: Cache::new(BLOCKED),
            clock: DefaultClock::default(),
            asked: AtomicU32::new(0),
        }
    }

    /// Takes one out of somebody's bucket. What is left goes into the answer's headers.
    pub fn draw(&self, who: &Who, remote: Option<&Remote>) -> Left {
        // Now and then, those that are full again are forgotten.
        if self.asked.fetch_add(1, Ordering::Relaxed) % 65_536 == 65_535 {
            self.keys.retain_recent();
            self.strangers.retain_recent();
            self.failures.retain_recent();
            self.resolvers.retain_recent();
            self.applicants.retain_recent();
        }
        match who {
            Who::Key(_) => self.take(&self.keys, who, ("default", self.per_second, 1), remote),
            Who::Address(_) => {
                self.take(&self.strangers, who, ("default", self.strangers_per_second, 1), remote)
            }
        }
    }

    /// [`Limits::draw`] for a look-up of a member, which has a tighter bucket of its own.
    pub fn draw_resolve(&self, who: &Who, remote: Option<&Remote>) -> Left {
        self.take(&self.resolvers, who, ("resolve", self.resolves_per_second, 1), remote)
    }

    /// [`Limits::draw`] for an application to join: a handful an hour, since anybody can sign one. Each node counts its
    /// own.
    pub fn draw_application(&self, who: &Who) -> Left {
        self.take(&self.applicants, who, ("application", self.applications_per_hour, 3_600), None)
    }

    fn take(
        &self,
        buckets: &Buckets<Who>,
        who: &Who,
        (policy, rate, window): (&'static str, u32, u32),
        remote: Option<&Remote>,
    ) -> Left {
        match buckets.check_key(who) {
            Ok(left) => {
                let burst = rate.saturating_mul(self.burst);
                match remote.and_then(|remote| remote.draw(Bucket { name: &who.name(policy), rate, burst })) {
                    Some(wait) => {
                        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                        Left { policy, rate, window, remaining: 0, wait: Some(seconds) }
                    }
                    None => {
                        Left { policy, rate, window, remaining: left.remaining_burst_capacity(), wait: None }
                    }
                }
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Left { policy, rate, window, remaining: 0, wait: Some(seconds) }
            }
        }
    }

    /// Whether a signature or key from this address is looked at now.
    pub fn may_try(&self, address: IpAddr) -> Result<(), Problem> {
        match self.blocked.get(&address) {
            Some(since) if since.elapsed() < BLOCK => Err(Problem::about(
                Code::RateLimited,
                "too many signatures or keys from this address were wrong",
            )
            .after(1)),
            _ => Ok(()),
        }
    }

    /// A signature or key from this address was wrong. Returns whether that was one too many, here or at all nodes
    /// together.
    pub fn failed(&self, address: IpAddr, remote: Option<&Remote>) -> bool {
        let elsewhere = |remote: &Remote| {
            let (name, rate) = (Who::Address(address).name("failure"), self.failures_per_second);
            remote.draw(Bucket { name: &name, rate, burst: rate.saturating_mul(self.burst) }).is_some()
        };
        let many = self.failures.check_key(&address).is_err() || remote.is_some_and(elsewhere);
        if many {
            self.blocked.insert(address, Instant::now());
        }
        many
    }
}

/// What is left of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    policy: &'static str,
    rate: u32,
    /// In how many seconds.
    window: u32,
    remaining: u32,
    /// If it was empty: seconds until it is not.
    wait: Option<u32>,
}

impl Left {
    /// Refuses if there was nothing left.
    pub fn granted(self) -> Result<(), Problem> {
        match self.wait {
            None => Ok(()),
            Some(seconds) => Err(Problem::from(Code::RateLimited).after(seconds)),
        }
    }

    /// Writes the headers.
    pub fn write(self, headers: &mut HeaderMap) {
        let texts = [
            ("ratelimit-policy", format!("\"{}\";q={};w={}", self.policy, self.rate, self.window)),
            ("ratelimit", format!("\"{}\";r={};t={}", self.policy, self.remaining, self.wait.unwrap_or(1))),
        ];
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
