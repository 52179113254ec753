//! The store on SQLite: two files in one folder.
//!
//! Owns: the folder's lock, and which connections are open: one writer of the log, one of the state, a
//! small pool of readers, and one that moves the log's write-ahead file into place in the background.
//! Promises: a second writer is refused; dropping the last handle closes the files and frees the folder.
//! Refuses to know: what is in the log and the state.
//!
//! `file`, `pool` and `statement` serve the views as well, which are a follower's file like the
//! state.

mod file;
mod keeper;
mod log;
mod pool;
mod reader;
mod state;
mod statement;
#[cfg(test)]
mod tests;

use super::fault::Fault;
pub(crate) use file::{File, Kind, Mode};
use std::fs::TryLockError;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub(crate) use pool::Pool;
pub(crate) use statement::insert;

pub use log::SqliteLog;
pub use reader::Reader;
pub use state::SqliteState;

/// A data folder, opened by its one writer. The three faces go to the threads that use them.
pub struct Sqlite {
    /// The writer's hand on the log.
    pub log: SqliteLog,
    /// The follower's hand on the state.
    pub state: SqliteState,
    /// Reads; clone it freely.
    pub reader: Reader,
}

impl Sqlite {
    /// Opens the folder, making it and its files if they are not there, and bringing their schema up to
    /// date.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        let lock = Arc::new(lock(dir)?);
        let log = File::open(dir, Kind::Log, Mode::Write)?;
        let state = File::open(dir, Kind::State, Mode::Write)?;
        Ok(Self {
            log: SqliteLog::new(dir, log, Arc::clone(&lock))?,
            state: SqliteState::new(state, lock),
            reader: Reader::open(dir)?,
        })
    }
}

/// Who this is, to people who look for it.
fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("this machine").to_owned();
    format!("process {} on {host}, since {}", std::process::id(), crate::clock::now())
}

/// Takes the folder for its writer. The lock is the open file's, so it ends with the process at latest.
fn lock(dir: &Path) -> Result<std::fs::File, Fault> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        |source| Fault::Folder { path, source }
    };
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    let path = dir.join("lock");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {
            // Read by whoever comes and finds it locked; that it cannot be written changes nothing else.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", this_process()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).ok().filter(|said| !said.trim().is_empty());
            let holder =
                holder.map_or_else(|| "which does not say who it is".into(), |said| said.trim().to_owned());
            Err(Fault::InUse { path: dir.to_path_buf(), holder })
        }
        Err(TryLockError::Error(source)) => Err(Fault::Folder { path, source }),
    }
}
