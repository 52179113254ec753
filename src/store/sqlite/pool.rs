//! Read-only connections to one file, a few of which are kept for the next who asks.
//!
//! Owns: the connections that nobody uses at the moment.
//! Promises: one on which something failed is not used again.
//! Refuses to know: what is read.

use super::super::fault::Fault;
use super::file::{File, Kind, Mode};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many connections to a file are kept open when nobody uses them.
const KEPT: usize = 4;

/// The connections to one file.
pub(crate) struct Pool {
    dir: PathBuf,
    kind: Kind,
    idle: Mutex<Vec<File>>,
}

impl Pool {
    /// Opens a file for reading only, whether or not a writer has it open.
    pub(crate) fn open(dir: &Path, kind: Kind) -> Result<Self, Fault> {
        let first = File::open(dir, kind, Mode::Read)?;
        Ok(Self { dir: dir.to_path_buf(), kind, idle: Mutex::new(vec![first]) })
    }

    /// Lends a connection.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut File) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle().pop();
        let mut file = match idle {
            Some(file) => file,
            None => File::open(&self.dir, self.kind, Mode::Read)?,
        };
        let answer = work(&mut file)?;
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(file);
        }
        Ok(answer)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<File>> {
        // A panic elsewhere leaves the list as good as it was.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
