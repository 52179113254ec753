//! `copy`: the network moved to another store.
//!
//! Owns: which two places are meant, and what is to be done next.
//! Promises: nobody serves the network meanwhile; what was begun and not finished is not opened, and goes on when it is
//! asked for again.
//! Refuses to know: how a copy is checked.

use super::backup::told;
use super::context::{CliError, Context, Exit};
use super::folder::bar;
use crate::app;
use crate::store::Home;
use std::path::PathBuf;

/// Options of `copy`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse copy --data /var/lib/tallyhouse --to-database postgres://points_owner@db.example/points
  tallyhouse copy --data /mnt/backup/points --to /var/lib/tallyhouse --to-database postgres://…
  tallyhouse copy --data data/demo --to /tmp/second
  tallyhouse copy --data /var/lib/tallyhouse --database postgres://… --to /srv/files
Stop the node first. Log and vault are copied and compared, state and views made anew and state compared. The place where it
came from is left as it is: serve one of the two only, or the log forks. Key files are not copied: where the data folder
stays the same they are there already, else copy DIR/keys by hand.")]
pub struct Args {
    /// The data folder that it is to have; without it, the same one
    #[arg(long, value_name = "DIR", required_unless_present = "to_database")]
    to: Option<PathBuf>,
    /// The PostgreSQL database that it is to be in; without it, files in the folder
    #[arg(long, value_name = "postgres://…")]
    to_database: Option<String>,
}

/// Copies.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let source = context.network()?;
    let address = args.to_database.as_deref().map(str::parse).transpose().map_err(CliError::usage)?;
    let dir = args.to.clone().unwrap_or_else(|| source.dir().to_path_buf());
    let target = Home::new(&dir, address);
    if target.shown() == source.shown() {
        return Err(CliError::usage(format!("{} is where it is already", source.shown())));
    }
    let bar = bar();
    let made = app::copy(&source, &target, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    told(&made?, &target.shown(), context)?;
    if !context.json && !dir.join("keys").exists() {
        let (keys, to) = (source.dir().join("keys"), dir.display());
        let next = if keys.exists() {
            format!("cp -a {} {to}/", keys.display())
        } else {
            format!("the keys, from where they are kept, go to {to}/keys")
        };
        context.say(format_args!("next: {next}; then serve the copy, and never the two of them"))?;
    }
    Ok(Exit::Ok)
}
