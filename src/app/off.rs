//! Off: how far this machine's clock is off that of the database.
//!
//! Owns: the comparison, and the bounds: who is far off does not write.
//! Promises: a process that was paused while it asked is not taken for one whose clock is wrong.
//! Refuses to know: who asks, and what comes of it.

use super::fault;
use crate::clock::Clock;
use crate::engine::Failure;
use crate::store::Database;
use crate::types::Time;

/// How far a clock may be off the database's, in microseconds.
const FAR: i64 = 5_000_000;
/// From when on it is said, in microseconds.
const DOUBTFUL: i64 = 1_000_000;

/// By how many microseconds a clock is off another one that showed `there` between two looks at it: only what is off both
/// before it was asked and after counts.
fn off(before: Time, there: Time, after: Time) -> i64 {
    let (before, there, after) = (before.micros(), there.micros(), after.micros());
    there.clamp(before.min(after), after.max(before)).saturating_sub(there)
}

fn seconds(off: i64) -> f64 {
    off as f64 / 1e6
}

/// What is wrong with a clock that is too far off the database's, which is asked for its own.
pub(super) fn too_far<E>(
    clock: &Clock,
    ask: impl FnOnce() -> Result<Option<Time>, E>,
) -> Result<Option<String>, E> {
    let before = clock.now();
    let Some(there) = ask()? else { return Ok(None) };
    let off = off(before, there, clock.now());
    if off.saturating_abs() > FAR {
        return Ok(Some(format!("its clock is {:.1} s off the database's; set it right", seconds(off))));
    }
    if off.saturating_abs() > DOUBTFUL {
        tracing::warn!("this machine's clock is {:.1} s off the database's", seconds(off));
    }
    Ok(None)
}

/// Refuses to begin to write beside a database whose clock is far off.
pub(super) fn check(database: &Database, clock: &Clock) -> Result<(), Failure> {
    match too_far(clock, || database.time().map(Some)).map_err(fault)? {
        None => Ok(()),
        Some(why) => Err(fault(format!("this machine may not write: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_off_on_both_sides_counts() {
        let at = |seconds| Time::from_seconds(seconds).expect("an instant");
        assert_eq!(off(at(10), at(12), at(13)), 0, "it took its time");
        assert_eq!(off(at(10), at(3), at(11)), 7_000_000, "ahead");
        assert_eq!(off(at(10), at(19), at(11)), -8_000_000, "behind");
        // A clock that was set back while it was asked.
        assert_eq!(off(at(13), at(12), at(10)), 0);
    }
}
