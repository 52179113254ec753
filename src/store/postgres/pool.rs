//! Connections for reading, a few of which are kept for the next who asks.
//!
//! Owns: the connections that nobody uses at the moment, and how many there may be.
//! Promises: one on which something failed is not used again. One that was lost while nobody used it is noticed, and
//! the question asked again on a new one: reading twice is harmless.
//! Refuses to know: what is read.

use super::super::fault::Fault;
use super::session::{Database, Purpose, Session};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many connections are open at most: each is a process of the server.
const MOST: usize = 12;
/// How long a reader waits for one to be free.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a database that was found to be away is taken to be.
const REST: Duration = Duration::from_millis(250);

/// The connections for one purpose.
pub(crate) struct Pool {
    database: Database,
    purpose: Purpose,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Default)]
struct Held {
    idle: Vec<Session>,
    lent: usize,
    /// When the database was found to be away, and what was said of it.
    away: Option<(Instant, PathBuf, String)>,
}

impl Pool {
    /// Opens the first connection.
    pub(crate) fn open(database: &Database, purpose: Purpose) -> Result<Self, Fault> {
        let held = Held { idle: vec![database.open(purpose)?], lent: 0, away: None };
        Ok(Self { database: database.clone(), purpose, held: Mutex::new(held), freed: Condvar::new() })
    }

    /// Lends a connection, to ask something that may be asked twice.
    pub(crate) fn with<T>(&self, ask: impl Fn(&mut Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let (mut lent, kept) = self.borrow()?;
        let mut session = match kept {
            Some(session) => session,
            None => self.connect()?,
        };
        let answer = match ask(&mut session) {
            Err(Fault::Database { .. }) if !session.alive() => {
                // The others were idle as long: whatever ended this one has ended them.
                self.held().idle.clear();
                session = self.connect()?;
                ask(&mut session).map_err(|fault| session.lost(fault))?
            }
            answer => answer.map_err(|fault| session.lost(fault))?,
        };
        lent.session = Some(session);
        Ok(answer)
    }

    /// Lends a connection for longer work, which fails if the connection is lost.
    pub(crate) fn once<T>(&self, work: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let (mut lent, kept) = self.borrow()?;
        let mut session = match kept.and_then(Session::if_alive) {
            Some(session) => session,
            None => self.connect()?,
        };
        let answer = work(&mut session).map_err(|fault| session.lost(fault))?;
        lent.session = Some(session);
        Ok(answer)
    }

    /// Opens a connection, unless it was tried a moment ago and the database was away: who serves must not wait for it
    /// request by request.
    fn connect(&self) -> Result<Session, Fault> {
        if let Some((at, path, why)) = &self.held().away
            && at.elapsed() < REST
        {
            return Err(Fault::Unreachable { path: path.clone(), why: why.clone() });
        }
        let opened = self.database.open(self.purpose);
        self.held().away = match &opened {
            Err(Fault::Unreachable { path, why }) => Some((Instant::now(), path.clone(), why.clone())),
            _ => None,
        };
        opened
    }

    fn borrow(&self) -> Result<(Lent<'_>, Option<Session>), Fault> {
        let full = |held: &mut Held| held.lent >= MOST;
        let waited = self.freed.wait_timeout_while(self.held(), PATIENCE, full);
        let (mut held, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && held.lent >= MOST {
            let why = format!("all {MOST} connections for reading are busy");
            return Err(Fault::Unreachable { path: self.database.address().to_string().into(), why });
        }
        held.lent = held.lent.saturating_add(1);
        let kept = held.idle.pop();
        Ok((Lent { pool: self, session: None }, kept))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves the list as good as it was.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the connections that are lent; given back with the connection, if that is still good.
struct Lent<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut held = self.pool.held();
        held.lent = held.lent.saturating_sub(1);
        held.idle.extend(self.session.take());
        drop(held);
        self.pool.freed.notify_one();
    }
}
