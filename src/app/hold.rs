//! Holding the lease: renewed for as long as this node writes.
//!
//! Owns: the thread that renews, and what this node knows of its own lease.
//! Promises: the seat is told that the node writes only as far as the lease surely reaches, counted from before it was
//! asked for.
//! Refuses to know: what is written under it.

use super::fault;
use crate::engine::{Failure, Seat};
use crate::store::{Held, Lease};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Hold {
    lease: Mutex<Lease>,
    seat: Arc<Seat>,
    length: Duration,
    /// The term that is held; 0: none.
    term: AtomicU64,
    lost: AtomicBool,
    /// When it was asked for last, successfully.
    asked: Mutex<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hold {
    pub(super) fn new(lease: Lease, seat: Arc<Seat>, length: Duration) -> Self {
        let (term, lost) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { lease: Mutex::new(lease), seat, length, term, lost, asked: Mutex::new(Instant::now()) }
    }

    /// The term in which this node holds it, or believes to.
    pub(super) fn term(&self) -> Option<u64> {
        Some(self.term.load(Ordering::Acquire)).filter(|term| *term > 0)
    }

    /// Whether it turned out to be another's.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn look(&self) -> Result<Option<Held>, Failure> {
        lock(&self.lease).look().map_err(fault)
    }

    /// Takes it if it is free, and renews it from then on.
    pub(super) fn take(self: &Arc<Self>) -> Result<Option<Held>, Failure> {
        let asked = Instant::now();
        let Some(held) = lock(&self.lease).take().map_err(fault)? else { return Ok(None) };
        *lock(&self.asked) = asked;
        self.lost.store(false, Ordering::Release);
        self.term.store(held.term, Ordering::Release);
        let (hold, term) = (self.clone(), held.term);
        let run = move || hold.renew(term);
        std::thread::Builder::new().name("lease".into()).spawn(run).map_err(fault)?;
        Ok(Some(held))
    }

    fn renew(&self, term: u64) {
        let every = self.length / 4;
        while self.term() == Some(term) && !self.is_lost() {
            std::thread::sleep(every);
            match self.confirm_term(term) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => tracing::warn!("the lease is not renewed: {failure}"),
            }
        }
    }

    /// Whether it is held still; asks the database.
    pub(super) fn confirm(&self) -> Result<bool, Failure> {
        match self.term() {
            Some(term) => self.confirm_term(term),
            None => Ok(false),
        }
    }

    fn confirm_term(&self, term: u64) -> Result<bool, Failure> {
        let mut lease = lock(&self.lease);
        if self.term() != Some(term) {
            return Ok(false);
        }
        let asked = Instant::now();
        let held = lease.renew(term).map_err(fault)?;
        if held {
            *lock(&self.asked) = asked;
            self.seat.hold(asked, self.length);
        } else {
            self.lost.store(true, Ordering::Release);
        }
        Ok(held)
    }

    /// Puts the writer into its seat, with what is known of the lease.
    pub(super) fn seated<T>(&self, sit: impl FnOnce(Instant, Duration) -> T) -> T {
        let asked = *lock(&self.asked);
        sit(asked, self.length)
    }

    /// Lets go of it, so that nobody has to wait.
    pub(super) fn give_up(&self) {
        let mut lease = lock(&self.lease);
        let term = self.term.swap(0, Ordering::AcqRel);
        if term > 0
            && let Err(fault) = lease.give_up(term)
        {
            tracing::warn!("the lease runs out by itself: {fault}");
        }
    }

    pub(super) fn clear_way(&self) -> Result<usize, Failure> {
        lock(&self.lease).clear_way().map_err(fault)
    }
}
