//! Runs: how a follower's thread takes what the writer committed.
//!
//! Owns: when a follower writes. Many changes written together, in the order of their keys, cost a fraction
//! of the same changes one commit at a time; so it lets them gather, unless somebody waits.
//! Promises: entries in order, each once; a failure is everybody's.
//! Refuses to know: what a follower keeps.

use super::away::{PATIENCE, PAUSE};
use super::follow::{Follower, state_root};
use super::pace::Pace;
use super::run::Shared;
use super::{Commit, Failure};
use crate::machine::Snapshot;
use crate::store;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use tokio::sync::oneshot;

/// What a follower's thread is told.
pub(super) enum Order {
    Take(Vec<Arc<Commit>>),
    /// Somebody waits: write what there is.
    Hurry,
    Snapshot(oneshot::Sender<Result<Option<Snapshot>, Failure>>),
}

/// The thread of one follower, until nobody can send it orders any more.
pub(super) fn follow(
    which: usize,
    mut follower: Box<dyn Follower>,
    orders: Receiver<Order>,
    shared: &Shared,
    read: &dyn store::Read,
    pace: &Pace,
) {
    let most = pace.rows_per_run.min(pace.pinned_rows / 2);
    while let Ok(first) = orders.recv() {
        let begun = Instant::now();
        let mut run = Run::default();
        run.add(first);
        while run.rows < most && !run.hurry {
            let Some(left) = pace.linger.checked_sub(begun.elapsed()) else { break };
            match orders.recv_timeout(left) {
                Ok(order) => run.add(order),
                Err(_) => break,
            }
        }
        while run.rows < most && run.ask.is_none() {
            match orders.try_recv() {
                Ok(order) => run.add(order),
                Err(_) => break,
            }
        }
        let Run { commits, rows, ask, .. } = run;
        if let Err(failure) = take(&mut *follower, &commits, shared) {
            shared.fail(failure);
            return;
        }
        if let Some(last) = commits.last() {
            let seq = last.event.seq;
            if let (Some(size), Some(waiting)) = (shared.followed.get(which), shared.waiting.get(which)) {
                size.store(seq + 1, Ordering::Release);
                waiting.fetch_sub(rows, Ordering::AcqRel);
            }
            if which == 0 {
                shared.balances.show(seq + 1);
            }
            shared.wake();
        }
        if let Some(reply) = ask {
            let _ = reply.send(state_root(read));
        }
    }
}

/// Lets a follower take entries; one whose database is away is tried again for a while.
fn take(follower: &mut dyn Follower, commits: &[Arc<Commit>], shared: &Shared) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match follower.take(commits) {
            Err(_) if follower.comes_back() && begun.elapsed() < PATIENCE && !shared.is_stopping() => {
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// What a follower takes at once.
#[derive(Default)]
struct Run {
    commits: Vec<Arc<Commit>>,
    rows: usize,
    hurry: bool,
    ask: Option<oneshot::Sender<Result<Option<Snapshot>, Failure>>>,
}

impl Run {
    fn add(&mut self, order: Order) {
        match order {
            Order::Take(more) => {
                self.rows += more.iter().map(|commit| commit.records.len()).sum::<usize>();
                self.commits.extend(more);
            }
            Order::Hurry => self.hurry = true,
            Order::Snapshot(reply) => {
                self.hurry = true;
                self.ask = Some(reply);
            }
        }
    }
}
