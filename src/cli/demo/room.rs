//! Room: a folder that a demo can begin in.
//!
//! Owns: what of a folder may be removed.
//! Promises: nothing is removed but a demo's network, after `--fresh`, while no process is at work there;
//! files of others stay.
//! Refuses to know: what is founded there.

use super::page::grouped;
use crate::app;
use crate::cli::CliError;
use crate::store::{Read as _, Sqlite};
use std::io::ErrorKind;
use std::path::Path;

/// What a network leaves in its folder.
const OURS: &[&str] = &["checkpoint", "checkpoint.new", "keys", "lock", "tiles"];
/// And its databases, with what SQLite puts beside them.
const DATABASES: &[&str] = &["log", "state", "views", "vault"];

fn is_ours(name: &str) -> bool {
    let of = |base: &&str| name.strip_prefix(*base).is_some_and(|rest| rest.starts_with(".sqlite"));
    OURS.contains(&name) || DATABASES.iter().any(of)
}

/// The folder must be empty; with `--fresh` the demo's network in it is removed.
pub fn make(dir: &Path, fresh: bool) -> Result<(), CliError> {
    let named = |e: std::io::Error| CliError::fault(format!("{}: {e}", dir.display()));
    let there: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(named)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(named(e)),
    };
    if there.is_empty() {
        return Ok(());
    }
    let shown = dir.display();
    if !dir.join("log.sqlite").exists() {
        return Err(CliError::Usage(format!(
            "{shown} is not empty and holds no network: choose another folder"
        )));
    }
    let (entries, demo) = look(dir)?;
    if !demo {
        return Err(CliError::Usage(format!(
            "{shown} holds a network that is no demo: choose another folder"
        )));
    }
    if !fresh {
        return Err(CliError::Usage(format!(
            "{shown} holds a demo's network of {} entries already.\n\
             Check it with `tallyhouse verify --data {shown}`, or begin again with `tallyhouse demo --data \
             {shown} --fresh`, which removes it.",
            grouped(entries)
        )));
    }
    for entry in there.iter().filter(|entry| entry.file_name().to_str().is_some_and(is_ours)) {
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(CliError::fault(format!("{}: {e}", path.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// How many entries the log has, and whether the network is driven and worth nothing. The folder is opened
/// as its writer does it, which also tells whether another process is at work there.
fn look(dir: &Path) -> Result<(u64, bool), CliError> {
    let stores = Sqlite::open(dir)?;
    let tip = stores.reader.tip()?;
    let genesis = app::genesis_of(&stores.reader).map_err(CliError::fault)?;
    let demo = genesis.is_none_or(|genesis| genesis.driven && !genesis.live);
    Ok((tip.map_or(0, |tip| tip.seq + 1), demo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_not_ours() {
        for name in ["log.sqlite", "log.sqlite-wal", "vault.sqlite-shm", "keys", "checkpoint"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["log", "mine.csv", "logs.sqlite", "keys.txt", "state.db"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_folder_of_others_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(make(dir.path(), false).is_ok());
        assert!(make(&dir.path().join("not/there"), true).is_ok());
        std::fs::write(dir.path().join("mine.csv"), "x").expect("written");
        assert!(matches!(make(dir.path(), true), Err(CliError::Usage(_))));
        assert!(dir.path().join("mine.csv").exists());
    }
}
