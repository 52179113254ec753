//! Where a network is kept: a data folder, and perhaps a database.
//!
//! Owns: which of the two holds log and state. The folder is there in any case, for keys, tiles and the checkpoint.
//! Promises: whoever has a home need not know what it is made of.
//! Refuses to know: what else is in the folder.

use super::fault::Fault;
use super::port::{Log, Read, State};
use super::postgres::{Address, Database, Postgres, PostgresLog, PostgresReader, PostgresState};
use super::sqlite::{Reader, Sqlite};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module. A path alone is a folder that holds everything.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
    database: Option<Database>,
}

/// The three faces of a store, whatever it stands on.
pub struct Faces {
    /// The writer's hand on the log.
    pub log: Box<dyn Log>,
    /// The follower's hand on the state.
    pub state: Box<dyn State>,
    /// Reads.
    pub reader: Arc<dyn Read>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Home {
    fn from(dir: &P) -> Self {
        Self { dir: dir.as_ref().to_path_buf(), database: None }
    }
}

impl From<&Home> for Home {
    fn from(home: &Home) -> Self {
        home.clone()
    }
}

impl Home {
    /// A data folder and, if there is one, a database.
    pub fn new(dir: &Path, database: Option<Address>) -> Self {
        Self { dir: dir.to_path_buf(), database: database.map(Database::at) }
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database, if log and state are not files of the folder.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// What people are told it is.
    pub fn shown(&self) -> String {
        match &self.database {
            None => self.dir.display().to_string(),
            Some(database) => database.address().to_string(),
        }
    }

    /// Whether there is a log.
    pub fn exists(&self) -> Result<bool, Fault> {
        match &self.database {
            None => Ok(self.dir.join("log.sqlite").exists()),
            Some(database) => database.exists(),
        }
    }

    /// Opens it for its one writer, making what is not there and bringing schemas up to date.
    pub fn open(&self) -> Result<Faces, Fault> {
        Ok(match &self.database {
            None => {
                let Sqlite { log, state, reader } = Sqlite::open(&self.dir)?;
                Faces { log: Box::new(log), state: Box::new(state), reader: Arc::new(reader) }
            }
            Some(database) => {
                std::fs::create_dir_all(&self.dir)
                    .map_err(|source| Fault::Folder { path: self.dir.clone(), source })?;
                let Postgres { log, state, reader } = Postgres::open(database)?;
                Faces { log: Box::new(log), state: Box::new(state), reader: Arc::new(reader) }
            }
        })
    }

    /// Opens a database for its one writer, where schemas are up to date and something else reads. `None`: it is files.
    #[allow(clippy::type_complexity)]
    pub fn write(&self) -> Result<Option<(Box<dyn Log>, Box<dyn State>)>, Fault> {
        let Some(database) = &self.database else { return Ok(None) };
        Ok(Some((Box::new(PostgresLog::open(database)?), Box::new(PostgresState::open(database)?))))
    }

    /// Opens log and state for reading only, whether or not a writer has them open.
    pub fn read(&self) -> Result<Arc<dyn Read>, Fault> {
        Ok(match &self.database {
            None => Arc::new(Reader::open(&self.dir)?),
            Some(database) => Arc::new(PostgresReader::open(database)?),
        })
    }
}
