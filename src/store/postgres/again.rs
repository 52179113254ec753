//! A follower's connection, which comes back by itself.
//!
//! Owns: opening it anew, and how long that is tried.
//! Promises: a step of a follower happens once. When a connection is lost the step may have happened or not; the
//! cursor tells, and no step can still be under way that it does not tell of, since each begins by a
//! compare-and-swap on the cursor.
//! Refuses to know: what a step writes.

use super::super::fault::{Fault, PutError};
use super::super::named::Named;
use super::super::port::Place;
use super::session::{Database, Purpose, Session};
use std::time::{Duration, Instant};

/// How long a follower waits for a database that is away. Meanwhile the writer is held up by what waits for the
/// follower, not by this.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) struct Again {
    database: Database,
    purpose: Purpose,
    named: Named,
    /// None after a fault.
    session: Option<Session>,
}

impl Again {
    pub(crate) fn open(database: &Database, purpose: Purpose) -> Result<Self, Fault> {
        let session = database.open(purpose)?;
        let named = session.named().clone();
        Ok(Self { database: database.clone(), purpose, named, session: Some(session) })
    }

    /// Works on the connection, once.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.database.open(self.purpose)?,
        };
        let answer = work(&mut session)?;
        self.session = Some(session);
        Ok(answer)
    }

    /// What its errors are named after.
    pub(crate) fn named(&self) -> &Named {
        &self.named
    }

    /// How far the follower is.
    pub(crate) fn cursor(&mut self) -> Result<Option<Place>, Fault> {
        self.with(|session| session.cursor())
    }

    /// Takes a step to a place; `step` says whether the cursor moved.
    pub(crate) fn follow(
        &mut self,
        to: Place,
        mut step: impl FnMut(&mut Session) -> Result<bool, Fault>,
    ) -> Result<(), PutError> {
        let begun = Instant::now();
        let mut lost = false;
        loop {
            let done = self.with(|session| match step(session) {
                // What is wrong with a connection that still answers is wrong with the step.
                Err(fault) if session.alive() => Ok(Err(fault)),
                outcome => outcome.map(Ok),
            });
            match done {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) if lost && self.cursor()? == Some(to) => return Ok(()),
                Ok(Ok(false)) => return Err(PutError::Stale),
                Ok(Err(fault)) => return Err(fault.into()),
                Err(fault @ (Fault::Database { .. } | Fault::Unreachable { .. })) => {
                    if begun.elapsed() > PATIENCE {
                        return Err(fault.into());
                    }
                    lost = true;
                    std::thread::sleep(PAUSE);
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}
