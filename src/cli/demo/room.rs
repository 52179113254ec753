//! Room: a folder that a demo can begin in.
//!
//! Owns: what of a folder may be removed.
//! Promises: nothing is removed but a demo's network, after `--fresh`, while no process is at work there;
//! files of others stay.
//! Refuses to know: what is founded there.

use super::page::grouped;
use crate::app;
use crate::cli::CliError;
use crate::store::Home;
use std::io::ErrorKind;

/// What a network leaves in its folder.
const OURS: &[&str] = &["checkpoint", "checkpoint.new", "keys", "lock", "tiles"];
/// And its databases, with what SQLite puts beside them.
const DATABASES: &[&str] = &["log", "state", "views", "vault"];

fn is_ours(name: &str) -> bool {
    let of = |base: &&str| name.strip_prefix(*base).is_some_and(|rest| rest.starts_with(".sqlite"));
    OURS.contains(&name) || DATABASES.iter().any(of)
}

/// The folder must be empty; with `--fresh` the demo's network in it is removed.
pub fn make(home: &Home, fresh: bool) -> Result<(), CliError> {
    let dir = home.dir();
    let named = |e: std::io::Error| CliError::fault(format!("{}: {e}", dir.display()));
    let there: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(named)?,
        Err(e) if e.kind() == ErrorKind::NotFound => vec![],
        Err(e) => return Err(named(e)),
    };
    if there.is_empty() && (home.database().is_none() || !home.exists()?) {
        return Ok(());
    }
    let shown = home.shown();
    if !home.exists()? {
        return Err(CliError::Usage(format!(
            "{} is not empty and {} no network: choose another folder",
            dir.display(),
            if home.database().is_some() { format!("{shown} holds") } else { "holds".into() }
        )));
    }
    let (entries, demo) = look(home)?;
    if !demo {
        return Err(CliError::Usage(format!(
            "{shown} holds a network that is no demo: choose another folder"
        )));
    }
    if !fresh {
        return Err(CliError::Usage(format!(
            "{shown} holds a demo's network of {} entries already.\n\
             Check it with `tallyhouse verify {option} {shown}`, or begin again with `tallyhouse demo {option} \
             {shown} --fresh`, which removes it.",
            grouped(entries),
            option = if home.database().is_some() { "--database" } else { "--data" }
        )));
    }
    if let Some(database) = home.database() {
        database.clear()?;
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
fn look(home: &Home) -> Result<(u64, bool), CliError> {
    let stores = home.open()?;
    let tip = stores.reader.tip()?;
    let genesis = app::genesis_of(&*stores.reader).map_err(CliError::fault)?;
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
        assert!(make(&dir.path().into(), false).is_ok());
        assert!(make(&(&dir.path().join("not/there")).into(), true).is_ok());
        std::fs::write(dir.path().join("mine.csv"), "x").expect("written");
        assert!(matches!(make(&dir.path().into(), true), Err(CliError::Usage(_))));
        assert!(dir.path().join("mine.csv").exists());
    }
}
