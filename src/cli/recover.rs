//! `recover`: what a restored network lacks, from another copy of it.
//!
//! Owns: how the other copy and kept checkpoints are named, and what is said.
//! Promises: either everything that a signed checkpoint covers is there afterwards, or nothing was changed.
//! Refuses to know: how it is checked.

use super::context::{CliError, Context, Exit, read};
use super::folder::bar;
use crate::app::{self, Other};
use crate::store::Home;
use crate::vault::{KeyFolder, Owner};
use std::path::PathBuf;

/// Options of `recover`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse recover --data /var/lib/tallyhouse --from /mnt/backup/points
  tallyhouse recover --database postgres://… --from export.ndjson --checkpoint kept/checkpoint
  tallyhouse recover --from-database postgres://old.example/points --from /var/lib/old
A node whose log is older than what was published does not start. This gives it the entries that it lacks, byte for byte, if
somebody has them: another data folder (a backup), another database, or a file of `export --parts`, with its checkpoint in
FILE.checkpoint. Each entry and part is checked against what the log's key signed: DIR/checkpoint, that of the other copy,
and those of --checkpoint (a monitor, a witness or a brand may have kept one). All of what the newest of them covers is
taken, or nothing.
The vault stays as it was restored: accounts that were opened since are in the log, whose they are is not.")]
pub struct Args {
    /// A data folder, or a file that `export --parts` wrote
    #[arg(long, value_name = "DIR|FILE", required_unless_present = "from_database")]
    from: Option<PathBuf>,
    /// A database that holds another copy
    #[arg(long, value_name = "postgres://…")]
    from_database: Option<String>,
    /// A signed checkpoint that somebody kept; may be given more than once
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

/// Recovers.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.home()?;
    let notes = args.checkpoint.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    let notes = notes.collect::<Result<Vec<_>, CliError>>()?;
    let address = args.from_database.as_deref().map(str::parse).transpose().map_err(CliError::usage)?;
    let path = args.from.unwrap_or_else(|| context.data.clone());
    let store = Home::new(&path, address);
    let from = if store.database().is_none() && path.is_file() {
        Other::Export(&path)
    } else {
        Other::Store(&store)
    };
    if let Other::Store(store) = from
        && !store.exists()?
    {
        return Err(CliError::usage(format!("{} holds no network", store.shown())));
    }
    let name = "log".parse().map_err(CliError::fault)?;
    let key = KeyFolder::at(&context.data).load(&Owner::Operator, &name).ok().map(|key| key.public());
    let bar = bar();
    let taken = app::recover(&home, from, key, notes, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let taken = taken?;
    let new = taken.size.saturating_sub(taken.before);
    if context.json {
        context.say_json(&serde_json::json!({
            "new": new, "size": taken.size, "root": taken.root,
        }))?;
    } else {
        context.say(format_args!(
            "{}: {new} entries taken over, {} in all; root {}",
            home.shown(),
            taken.size,
            taken.root
        ))?;
    }
    if !context.json {
        context.say("it has all that was published; `tallyhouse verify` decides it again")?;
    }
    Ok(Exit::Ok)
}
