//! Draws on buckets that nodes share: counted here, told to Redis a few times a second.
//!
//! Owns: what this node granted since the last exchange, and which buckets all nodes together have emptied.
//! Promises: no request waits for Redis. All nodes together grant what one would, but for what each grants between
//! two exchanges. Redis away: this node's own buckets are all there is.
//! Refuses to know: whose bucket it is.

use super::link::Link;
use super::wire::{DRAW, Keys};
use hashbrown::HashMap;
use redis::Pipeline;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often nodes exchange what they granted.
const OFTEN: Duration = Duration::from_millis(100);
/// How long an exchange may take: nobody waits for it.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most buckets in one script.
const PIECE: usize = 256;
/// Buckets that are counted between two exchanges; further ones are this node's alone.
const MOST: usize = 50_000;

/// Somebody's bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// What it limits and whose it is.
    pub name: &'a str,
    /// How many a second.
    pub rate: u32,
    /// How many may come at once.
    pub burst: u32,
}

#[derive(Default)]
struct Counted {
    taken: HashMap<String, Taken>,
    empty: HashMap<String, Instant>,
}

struct Taken {
    times: u32,
    rate: u32,
    burst: u32,
}

#[derive(Default)]
pub(super) struct Draws(Mutex<Counted>);

impl Draws {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one, or says how long the bucket is empty.
    pub(super) fn draw(&self, bucket: Bucket<'_>) -> Option<Duration> {
        let mut counted = self.lock();
        if !counted.empty.is_empty()
            && let Some(until) = counted.empty.get(bucket.name)
        {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Some(left);
            }
            counted.empty.remove(bucket.name);
        }
        if let Some(taken) = counted.taken.get_mut(bucket.name) {
            taken.times = taken.times.saturating_add(1);
        } else if counted.taken.len() < MOST {
            let taken = Taken { times: 1, rate: bucket.rate.max(1), burst: bucket.burst.max(1) };
            counted.taken.insert(bucket.name.to_owned(), taken);
        }
        None
    }

    /// Exchanges with the other nodes, for ever.
    pub(super) async fn share(&self, link: &Link, keys: &Keys) {
        loop {
            tokio::time::sleep(OFTEN).await;
            let taken: Vec<(String, Taken)> = std::mem::take(&mut self.lock().taken).into_iter().collect();
            for piece in taken.chunks(PIECE) {
                let mut draw = Pipeline::new();
                let script = draw.cmd("EVAL").arg(DRAW).arg(piece.len());
                for (name, _) in piece {
                    script.arg(keys.bucket(name));
                }
                for (_, Taken { times, rate, burst }) in piece {
                    script.arg(*times).arg(*rate).arg(*burst);
                }
                // Without an answer these were this node's alone.
                let Ok((waits,)) = link.ask::<(Vec<u64>,)>(&draw, PATIENCE).await else { break };
                let now = Instant::now();
                let mut counted = self.lock();
                for ((name, _), wait) in piece.iter().zip(waits).filter(|(_, wait)| *wait > 0) {
                    counted.empty.insert(name.clone(), now + Duration::from_millis(wait.min(60_000)));
                }
            }
            let now = Instant::now();
            self.lock().empty.retain(|_, until| *until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_counted_and_an_empty_bucket_says_how_long() {
        let draws = Draws::default();
        let bucket = Bucket { name: "a", rate: 10, burst: 20 };
        assert_eq!((draws.draw(bucket), draws.draw(bucket)), (None, None));
        assert_eq!(draws.lock().taken.get("a").map(|taken| (taken.times, taken.rate)), Some((2, 10)));
        draws.lock().empty.insert("a".into(), Instant::now() + Duration::from_secs(5));
        let left = draws.draw(bucket).expect("empty");
        assert!((4..=5).contains(&left.as_secs()) || left.as_millis() > 4_000, "{left:?}");
        assert_eq!(draws.draw(Bucket { name: "b", ..bucket }), None, "somebody else's");
        draws.lock().empty.insert("a".into(), Instant::now());
        assert_eq!(draws.draw(bucket), None, "full again");
    }
}
