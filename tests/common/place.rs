//! Where a test's network is kept, as the environment says: `TEST_STORE=postgres` puts it into a database of its own,
//! `TEST_REDIS=1` has it share its balances through a Redis.
//!
//! Owns: the folder, the database's address, the number of the database in Redis.
//! Promises: two places share nothing. Without the two words a place is a folder.
//! Refuses to know: what is kept there.

use super::{cluster, redis};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tallyhouse::app::Tuning;
use tallyhouse::store::Home;

/// See the module.
pub struct Place {
    pub home: Home,
    /// The address of the database, if it is in one.
    pub database: Option<String>,
    /// The address of its Redis, if there is one.
    pub redis: Option<String>,
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self::of(&std::env::temp_dir(), wanted())
    }

    /// With its folder in memory, if there is such a place: where a test is not about the disk.
    pub fn in_memory() -> Self {
        let base = Path::new("/dev/shm");
        Self::of(if base.is_dir() { base } else { Path::new("/tmp") }, wanted())
    }

    /// In a database of its own, whatever the environment says.
    pub fn in_database() -> Self {
        Self::of(&std::env::temp_dir(), Some(database()))
    }

    fn of(base: &Path, database: Option<String>) -> Self {
        let dir = tempfile::tempdir_in(base).expect("a folder");
        let address = database.as_deref().map(|text| text.parse().expect("an address"));
        let home = Home::new(dir.path(), address);
        Self { home, database, redis: redis(), dir }
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How a network is run there.
    pub fn tuning(&self) -> Tuning {
        let mut tuning = Tuning::at(self.dir());
        tuning.redis.clone_from(&self.redis);
        tuning
    }

    /// The configuration of a process that serves it; `more` is TOML that begins with a section.
    pub fn config(&self, more: &str) -> String {
        let redis = self.redis.as_ref().map(|url| format!("redis = \"{url}\"\n")).unwrap_or_default();
        let database = self.database.as_ref().map(|at| format!("[store]\ndatabase = \"{at}\"\n"));
        format!("{redis}{}{more}", database.unwrap_or_default())
    }
}

/// The address of a database, if the environment wants one.
fn wanted() -> Option<String> {
    std::env::var("TEST_STORE").is_ok_and(|store| store == "postgres").then(database)
}

/// An empty database.
fn database() -> String {
    cluster::shared().database()
}

/// A Redis that nobody else uses: a database of the one that this program's tests share.
fn redis() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::env::var("TEST_REDIS").is_ok_and(|wanted| wanted == "1").then(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < redis::DATABASES, "more networks than databases of the shared Redis");
        format!("redis://127.0.0.1:{}/{number}", redis::shared())
    })
}
