//! Tiles on disk: what the tree of a large log needs, so that a proof does not read all of it.
//!
//! Owns: the folder `tiles` of a data folder (one file of hashes a level, and a cursor), how a proof is
//! put together from it, and the public log as a folder of static files.
//! Promises: what is kept here can be thrown away and is made again from the envelopes; it may be
//! behind the log, and what it lacks is then computed. A proof is compared with the signed root before
//! anybody gets it, and a public folder never changes a tile that it has shown.
//! Refuses to know: what entries mean, who may read them, and when it is called.

mod edge;
mod hashes;
mod keeper;
mod site;
#[cfg(test)]
pub(crate) mod tests;

pub use edge::{Edge, Filled};
pub use hashes::{Hashes, Parts, prove};
pub use keeper::Keeper;
pub use site::{Site, publish};

use crate::store;
use std::io;
use std::path::{Path, PathBuf};

/// Envelopes read from the store at a time: one tile of leaves, one bundle of entries.
const PAGE: u16 = crate::log::TILE_WIDTH;

/// What can go wrong with tiles and what is made of them.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Fault),
    /// A file or folder holds something that is not of this log.
    #[error("{path}: {why}")]
    Foreign {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The log itself is not as it should be: a gap, or a root that is not the signed one.
    #[error("the log does not hold: {0}; `tallyhouse verify` says more")]
    Broken(String),
    /// The caller asks for something that is not there.
    #[error("{0}")]
    Absent(String),
}

impl Fault {
    /// For `map_err` on what the operating system says of a path.
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// Puts a file into place whole: whoever looks sees the old one, or the new one, and nothing between.
fn put_file(path: &Path, bytes: &[u8], durable: bool) -> Result<(), Fault> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        io::Write::write_all(&mut file, bytes)?;
        if durable {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, path)
    };
    write().map_err(Fault::at(path))
}
