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

/// See the module.
pub(crate) struct Again {
    database: Database,
    purpose: Purpose,
    named: Named,
    /// The place of a step whose connection was lost.
    unsure: Option<Place>,
    /// None after a fault.
    session: Option<Session>,
}

impl Again {
    pub(crate) fn open(database: &Database, purpose: Purpose) -> Result<Self, Fault> {
        let session = database.open(purpose)?;
        let named = session.named().clone();
        Ok(Self { database: database.clone(), purpose, named, unsure: None, session: Some(session) })
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
        let answer = work(&mut session).map_err(|fault| session.lost(fault))?;
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

    /// Whether a step may have come through that was reported as failed.
    pub(crate) fn is_unsure(&self) -> bool {
        self.unsure.is_some()
    }

    /// Takes a step to a place; `step` says whether the cursor moved. If the connection is lost it is taken again on
    /// a new one, once: whoever is told that the database is away may come again later.
    pub(crate) fn follow(
        &mut self,
        to: Place,
        mut step: impl FnMut(&mut Session) -> Result<bool, Fault>,
    ) -> Result<(), PutError> {
        let mut first = true;
        loop {
            let again = self.unsure.take() == Some(to);
            match self.with(&mut step) {
                Ok(true) => return Ok(()),
                Ok(false) if again => {
                    // Also if the cursor cannot be read now.
                    self.unsure = Some(to);
                    let here = self.cursor()?;
                    self.unsure = None;
                    return if here == Some(to) { Ok(()) } else { Err(PutError::Stale) };
                }
                Ok(false) => return Err(PutError::Stale),
                Err(fault) if fault.is_away() => {
                    self.unsure = Some(to);
                    if !std::mem::take(&mut first) {
                        return Err(fault.into());
                    }
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}
