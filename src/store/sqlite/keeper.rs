//! The keeper: moves the log's write-ahead file into place while the writer goes on.
//!
//! Owns: a thread with a connection of its own.
//! Promises: to take the long part of a checkpoint off the writer. Left to SQLite, the commit that finds
//! 64 MiB waiting copies them all before it returns; with the keeper it finds the last few only.
//! Refuses to know: what is in the log. If it fails, the writer's own commit does the work and reports.

use super::super::fault::Fault;
use super::file::{File, Kind, Mode};
use diesel::connection::SimpleConnection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// So many bytes in the write-ahead file make it worth a run. Measured with 2, 4 and 8 MiB and without a
/// keeper: the worst of 2,000 single commits took 4, 5, 10 and 40 ms.
const WORTH: usize = 2 * 1024 * 1024;

/// Ends its thread when dropped.
pub(super) struct Keeper {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    written: usize,
}

impl Keeper {
    pub(super) fn start(dir: &Path) -> Result<Self, Fault> {
        let file = File::open(dir, Kind::Log, Mode::Keep)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("log-keeper".into())
            .spawn(move || keep(file, &woken))
            .map_err(|source| Fault::Folder { path: dir.to_path_buf(), source })?;
        Ok(Self { wake: Some(wake), thread: Some(thread), written: 0 })
    }

    /// Tells that a commit wrote about so many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
        if self.written >= WORTH {
            self.written = 0;
            // A full channel means that it is at work, or about to be.
            if let Some(wake) = &self.wake {
                let _ = wake.try_send(());
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(mut file: File, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // PASSIVE waits for nobody and holds nobody up; what it leaves, the next run takes.
        let _ = file.connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)");
    }
}
