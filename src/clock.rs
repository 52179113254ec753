//! The one gate to the clock and to chance.
//!
//! Owns: what time it is, whether the machine's clock was set while we ran, random bytes.
//! Promises: nothing else in this crate asks the machine for the time of day or for randomness, so a test
//! that brings its own of both sees the same run twice.
//! Refuses to know: what either is used for. Log time, which never runs backwards, is the engine's.

use crate::types::Time;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A wall clock that moves this much otherwise than the monotonic one was set: 5 seconds, in
/// microseconds. Slewing (at most 0.05 %) stays far below it between two looks a minute apart.
const STEP: i64 = 5_000_000;

/// The time of day by the machine's clock. A clock that stands before 1970 or after 9999 says 1970.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).ok().and_then(Time::from_micros).unwrap_or_default()
}

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine.
    #[default]
    Real,
    /// A test: it stands still until it is set. Clones show the same time.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at an instant.
    pub fn fixed(at: Time) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.micros())))
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        match self {
            Self::Real => now(),
            Self::Fixed(at) => Time::from_micros(at.load(Ordering::SeqCst)).unwrap_or_default(),
        }
    }

    /// Sets a fixed clock and all its clones; the machine's is not ours to set.
    pub fn set(&self, to: Time) {
        if let Self::Fixed(at) = self {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }
}

/// Notices when the machine's clock is set: each look compares how far it and the monotonic clock went
/// since the look before. Looking once a second is plenty.
#[derive(Debug)]
pub struct Watch {
    wall: Time,
    monotonic: Instant,
}

impl Watch {
    /// Begins to watch.
    pub fn start() -> Self {
        Self { wall: now(), monotonic: Instant::now() }
    }

    /// By how many microseconds the clock was set since the last look, forwards or backwards, if that is
    /// more than 5 seconds. A machine that slept looks the same.
    pub fn look(&mut self) -> Option<i64> {
        let before = std::mem::replace(self, Self::start());
        stepped(before.wall, self.wall, self.monotonic.saturating_duration_since(before.monotonic))
    }
}

fn stepped(before: Time, after: Time, elapsed: Duration) -> Option<i64> {
    let wall = after.micros().saturating_sub(before.micros());
    let step = wall.saturating_sub(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX));
    (step.saturating_abs() > STEP).then_some(step)
}

/// Random bytes from the operating system: for keys, and for seeds of [`Salts`].
///
/// # Panics
/// If the operating system has none. A machine without randomness can make no key and keep no secret;
/// there is nothing to go on with.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(e) = SysRng.try_fill_bytes(&mut bytes) {
        unreachable!("the operating system gives no random bytes: {e}");
    }
    bytes
}

/// A fast generator for what is needed by the million: salts, ids, nonces. It is cryptographically
/// secure: who sees its output cannot tell what comes next.
pub struct Salts(StdRng);

impl Salts {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self::seeded(random())
    }

    /// Seeded by a test: the same seed gives the same bytes, with this version of this crate.
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self(StdRng::from_seed(seed))
    }

    /// The next bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

impl Default for Salts {
    fn default() -> Self {
        Self::new()
    }
}

/// Salts of parts, one a call, as the engine takes them.
pub fn salts() -> impl FnMut() -> [u8; 16] + Send {
    let mut salts = Salts::new();
    move || salts.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    #[test]
    fn the_machine_knows_the_time() {
        assert!(now() > at(1_700_000_000));
        assert!(Clock::Real.now() <= now());
    }

    #[test]
    fn a_fixed_clock_stands_until_it_is_set() {
        let clock = Clock::fixed(at(5));
        let other = clock.clone();
        assert_eq!((clock.now(), clock.now()), (at(5), at(5)));
        other.set(at(9));
        assert_eq!(clock.now(), at(9));
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_and_one_that_is_slewed_is_not() {
        let minute = Duration::from_secs(60);
        let cases = [
            (160, minute, None),
            (165, minute, None),
            (155, minute, None),
            (166, minute, Some(6_000_000)),
            (154, minute, Some(-6_000_000)),
            (40, minute, Some(-120_000_000)),
            (100, Duration::ZERO, None),
        ];
        for (after, elapsed, step) in cases {
            assert_eq!(stepped(at(100), at(after), elapsed), step, "100 s to {after} s in {elapsed:?}");
        }
        assert_eq!(Watch::start().look(), None);
    }

    #[test]
    fn chance_differs_and_a_seed_repeats_it() {
        assert_ne!(random::<32>(), random::<32>());
        assert_ne!(Salts::new().bytes::<16>(), Salts::new().bytes::<16>());
        let run = || {
            let mut salts = Salts::seeded([7; 32]);
            (salts.bytes::<16>(), salts.bytes::<24>())
        };
        assert_eq!(run(), run());
        let mut salts = salts();
        assert_ne!(salts(), salts());
    }
}
