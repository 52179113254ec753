//! Streams: answers that do not end, and how many there are.
//!
//! Owns: the count of open event streams: for each who asks, for the holders of accounts together, in all.
//! Promises: a stream that ends is counted no more; connections are left to those who ask and go.
//! Refuses to know: what is told on them.

use super::limit::Who;
use super::problem::{Code, Problem};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams of one key at the same time.
const EACH: usize = 8;
/// When to come again, in seconds: streams are long.
const AFTER: u32 = 30;

/// All streams of a service.
pub struct Streams {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// Those of accounts: anybody opens one, so they never take what others need.
    holders: usize,
    by: HashMap<Who, usize>,
}

/// One that is open, until it is dropped.
pub struct Stream {
    streams: Arc<Streams>,
    who: Who,
    holder: bool,
}

impl Streams {
    /// None is open; at most so many may be.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one. `holder`: for the key of an account.
    pub fn begin(self: &Arc<Self>, who: Who, holder: bool) -> Result<Stream, Problem> {
        let no = |about: String| Err(Problem::about(Code::RateLimited, about).after(AFTER));
        let mut open = self.open();
        if open.by.get(&who).is_some_and(|count| *count >= EACH) {
            return no(format!(
                "{EACH} event streams of one key at the same time; close one, or ask for pages"
            ));
        }
        if open.all >= self.most || holder && open.holders >= self.most.div_ceil(2) {
            return no("too many event streams are open in all; ask for pages, or come again".into());
        }
        open.all += 1;
        open.holders += usize::from(holder);
        *open.by.entry(who.clone()).or_default() += 1;
        Ok(Stream { streams: self.clone(), who, holder })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.all = open.all.saturating_sub(1);
        open.holders = open.holders.saturating_sub(usize::from(self.holder));
        let left = open.by.get_mut(&self.who).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            open.by.remove(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_counted_no_more() {
        let streams = Streams::new(20);
        let who = |name: &str| Who::Key(name.into());
        let begin = |name: &str, holder| streams.begin(who(name), holder);
        let mine: Vec<_> = (0..EACH).map(|_| begin("a", false).expect("room")).collect();
        assert!(begin("a", false).is_err_and(|no| no.code() == "rate_limited"));
        drop(mine);
        let holders: Vec<_> = (0..10).map(|n| begin(&format!("h{n}"), true).expect("room")).collect();
        assert!(begin("h", true).is_err());
        let others: Vec<_> = (0..10).map(|n| begin(&format!("k{n}"), false).expect("room")).collect();
        assert!(begin("k", false).is_err());
        drop((holders, others));
        let open = streams.open();
        assert_eq!((open.all, open.holders, open.by.len()), (0, 0, 0));
    }
}
