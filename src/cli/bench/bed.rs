//! Where what is measured is kept: files in a folder, or a database with them, and perhaps a Redis.
//!
//! Owns: making room for a network and clearing it away, and what is said of how durable a commit is.
//! Promises: a database that holds a network is never touched; what was measured in one is removed from it.
//! Refuses to know: what is measured.

use crate::app::Tuning;
use crate::config::Config;
use crate::store::{Address, Database, Home};
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct Bed {
    /// How nodes run there.
    pub(super) config: Config,
    dir: PathBuf,
    database: Option<Address>,
}

impl Bed {
    /// In a folder and, if there is one, an empty database. `redis`: the address of one, or nothing.
    pub(super) fn new(
        dir: PathBuf,
        database: Option<Address>,
        config: &Config,
        redis: &str,
    ) -> Result<Self, String> {
        let mut config = config.clone();
        redis.clone_into(&mut config.redis);
        if let Some(address) = &database
            && Database::at(address.clone()).exists().map_err(|e| e.to_string())?
        {
            return Err(format!(
                "{address} holds a network; name an empty database, which is emptied afterwards"
            ));
        }
        Ok(Self { config, dir, database })
    }

    /// Room for a network, with nothing in it.
    pub(super) fn room(&self, name: &str) -> Result<Home, String> {
        let dir = self.dir.join(name);
        self.clear()?;
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        Ok(Home::new(&dir, self.database.clone()))
    }

    /// How a network there is run.
    pub(super) fn tuning(&self, home: &Home) -> Tuning {
        Tuning::of(&self.config, home.dir())
    }

    /// Removes what was measured.
    pub(super) fn clear(&self) -> Result<(), String> {
        let _ = std::fs::remove_dir_all(&self.dir);
        match &self.database {
            Some(address) => Database::at(address.clone()).clear().map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// What an answer waits for.
    pub(super) fn durability(&self) -> Result<String, String> {
        let mut text = match &self.database {
            None => "SQLite WAL, synchronous=FULL: one fsync a commit, before any answer".to_owned(),
            Some(address) => Database::at(address.clone()).described().map_err(|e| e.to_string())?,
        };
        if !self.config.redis.is_empty() {
            text.push_str("; with a Redis");
        }
        Ok(text)
    }

    /// What a column of figures is headed with.
    pub(super) fn name(&self) -> &'static str {
        match (&self.database, self.config.redis.is_empty()) {
            (None, true) => "files",
            (None, false) => "files + Redis",
            (Some(_), true) => "PostgreSQL",
            (Some(_), false) => "PostgreSQL + Redis",
        }
    }
}

/// What a network takes on disk: its files, or the tables and indexes of its schemas.
pub(super) fn size_of(home: &Home) -> Result<u64, String> {
    match home.database() {
        Some(database) => database.size().map_err(|e| e.to_string()),
        None => Ok(size_of_files(home.dir())),
    }
}

fn size_of_files(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
}
