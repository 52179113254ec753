//! Limits: how often anybody may ask.
//!
//! Owns: a bucket for each caller (an API key, a signing key, or an address for those who show neither), one
//! for each address whose signatures fail, and the headers that tell how much is left.
//! Promises: a look costs no more than a look-up; buckets that nobody draws on are forgotten.
//! Refuses to know: what is asked for.
//!
//! Headers: `RateLimit-Policy` and `RateLimit` (IETF draft-ietf-httpapi-ratelimit-headers).

use super::problem::{Code, Problem};
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

type Buckets<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All buckets.
pub struct Limits {
    keys: Buckets<Who>,
    strangers: Buckets<Who>,
    failures: Buckets<IpAddr>,
    per_second: u32,
    strangers_per_second: u32,
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
    /// Seconds' worth that may come at once.
    pub burst: u32,
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let some = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
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
            per_second: rates.per_key,
            strangers_per_second: rates.per_address,
            blocked: Cache::new(BLOCKED),
            clock: DefaultClock::default(),
            asked: AtomicU32::new(0),
        }
    }

    /// Takes one out of somebody's bucket. What is left goes into the answer's headers.
    pub fn draw(&self, who: &Who) -> Result<Left, Problem> {
        // Now and then, those that are full again are forgotten.
        if self.asked.fetch_add(1, Ordering::Relaxed) % 65_536 == 65_535 {
            self.keys.retain_recent();
            self.strangers.retain_recent();
            self.failures.retain_recent();
        }
        let (buckets, policy) = match who {
            Who::Key(_) => (&self.keys, self.per_second),
            Who::Address(_) => (&self.strangers, self.strangers_per_second),
        };
        match buckets.check_key(who) {
            Ok(left) => Ok(Left { policy, remaining: left.remaining_burst_capacity() }),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(Problem::from(Code::RateLimited).after(seconds))
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

    /// A signature or key from this address was wrong.
    pub fn failed(&self, address: IpAddr) {
        if self.failures.check_key(&address).is_err() {
            self.blocked.insert(address, Instant::now());
        }
    }
}

/// What is left of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    policy: u32,
    remaining: u32,
}

impl Left {
    /// Writes the headers.
    pub fn write(self, headers: &mut HeaderMap) {
        let texts = [
            ("ratelimit-policy", format!("\"default\";q={};w=1", self.policy)),
            ("ratelimit", format!("\"default\";r={};t=1", self.remaining)),
        ];
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
