//! `migrate`: the schemas of a database made, or brought up to date.
//!
//! Owns: what is said about it.
//! Promises: what was done already is not done again, also when two do it at once.
//! Refuses to know: what the schemas hold.

use super::context::{CliError, Context, Exit};

/// Options of `migrate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse migrate --database postgres://owner@db.example/points
  TALLYHOUSE_DATABASE=postgres://owner@db.example/points tallyhouse migrate --json
A node brings its database up to date when it starts, if it may. Where nodes log in with a role that may not
(config/postgres-roles.sql has them), the owner of the schemas does it with this, before they start. Going back a version
is not a verb: restore a backup. Files in a data folder are brought up to date by whoever opens them.")]
pub struct Args {}

/// Migrates.
pub fn run(_: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.home()?;
    let Some(database) = home.database() else {
        return Err(CliError::Usage(format!(
            "which database? Name it with --database; files, as in {}, are brought up to date when they are opened",
            home.shown()
        )));
    };
    let done = database.migrate()?;
    if context.json {
        context.say_json(&serde_json::json!({"database": home.shown(), "migrations": done}))?;
        return Ok(Exit::Ok);
    }
    for one in &done {
        context.say(one)?;
    }
    context.say(format_args!("{} is up to date", home.shown()))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::tallyhouse;
    use crate::store::cluster;

    #[test]
    fn a_database_is_migrated_once_and_a_folder_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let address = cluster::shared().database();
        let line = format!("migrate --database {address}");
        let (exit, out, err) = tallyhouse(dir.path(), &line, "");
        assert_eq!(exit, Exit::Ok, "{err}");
        assert!(out.starts_with("log 2026") && out.contains("vault 2026"), "{out}");
        let (exit, out, _) = tallyhouse(dir.path(), &format!("{line} --json"), "");
        assert_eq!(exit, Exit::Ok);
        assert!(out.contains("\"migrations\":[]"), "{out}");
        let (exit, out, err) = tallyhouse(dir.path(), "migrate", "");
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(err.contains("--database"), "{err}");
    }

    #[test]
    fn a_wrong_address_and_a_database_that_is_away_are_said_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let (exit, _, err) = tallyhouse(dir.path(), "migrate --database mysql://h/d", "");
        assert_eq!(exit, Exit::Usage);
        assert!(err.contains("begins with postgres://"), "{err}");
        let nobody = "migrate --database postgres://me:s3cret@127.0.0.1:1/d";
        let (exit, _, err) = tallyhouse(dir.path(), nobody, "");
        assert_eq!(exit, Exit::Fault);
        assert!(err.contains("postgres://127.0.0.1:1/d") && !err.contains("s3cret"), "{err}");
    }
}
