//! The lease, held by whoever is no node: nobody writes meanwhile.
//!
//! Owns: the thread that renews it. Promises: a node that runs beside it does not become the writer before it is dropped.
//! Refuses to know: what is done under it.

use super::tail::{Untaken, refused};
use crate::clock;
use crate::store::{Database, Lease};
use crate::types::b64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it is taken at a time.
const LENGTH: Duration = Duration::from_secs(10);
/// From one look at whether it is over to the next.
const LOOK: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Reserved {
    lease: Arc<Mutex<Lease>>,
    term: u64,
    over: Arc<AtomicBool>,
    renews: Option<JoinHandle<()>>,
}

impl Reserved {
    /// Takes it, unless a node writes.
    pub(super) fn take(database: &Database) -> Result<Self, Untaken> {
        database.migrate()?;
        let holder = format!("recover/{}", b64(&clock::random::<9>()));
        let mut lease = Lease::of(database, holder, String::new(), LENGTH);
        let Some(held) = lease.take()? else {
            let who = lease.look()?.map(|held| held.holder).unwrap_or_default();
            return Err(refused(format!("{who} writes: stop all nodes first. Nothing was changed")));
        };
        let (lease, term) = (Arc::new(Mutex::new(lease)), held.term);
        let over = Arc::new(AtomicBool::new(false));
        let renews = std::thread::Builder::new().name("lease".into());
        let (hand, end) = (lease.clone(), over.clone());
        let renews = renews.spawn(move || renew(&hand, term, &end));
        let renews = Some(renews.map_err(|e| Untaken::Fault(e.to_string()))?);
        Ok(Self { lease, term, over, renews })
    }
}

fn renew(lease: &Mutex<Lease>, term: u64, over: &AtomicBool) {
    let mut since = Duration::ZERO;
    while !over.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
        since += LOOK;
        if since < LENGTH / 4 {
            continue;
        }
        since = Duration::ZERO;
        if let Err(fault) = lease.lock().unwrap_or_else(PoisonError::into_inner).renew(term) {
            tracing::warn!("the lease is not renewed: {fault}");
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(renews) = self.renews.take() {
            let _ = renews.join();
        }
        let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(fault) = lease.give_up(self.term) {
            tracing::warn!("the lease runs out by itself: {fault}");
        }
    }
}
