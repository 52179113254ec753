//! `backup`: a second copy of the network, in a folder.
//!
//! Owns: what is said about it, and the form that `copy` says it in too.
//! Promises: the network may be at work; a backup that is there already takes over what is new.
//! Refuses to know: how a copy is checked.

use super::context::{CliError, Context, Exit};
use super::folder::bar;
use crate::app::{self, Made};
use std::path::PathBuf;

/// Options of `backup`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse backup /mnt/backup/points          again later, it takes over what is new
  tallyhouse backup /mnt/backup/points --data /var/lib/tallyhouse --database postgres://…
  tallyhouse verify --data /mnt/backup/points --log-only
What is copied: the log with all its parts, each entry and part checked against the signed checkpoint; the vault, sealed as it
is. What is not: key files (keep DIR/keys apart, on other people's disks: without keys/vault.key nobody can read the vault,
with it anybody can), and what is made again from the log. A part that was erased on request goes from the backup when
it is brought up to date.
To restore, put the files where the network was, with its keys, or move them into a database with `copy`; if the log of it
is older than what was published, the node says so and does not start: `tallyhouse recover`.")]
pub struct Args {
    /// Where the backup is, or is to be
    folder: PathBuf,
}

/// Makes it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.network()?;
    if same(&args.folder, home.dir()) {
        return Err(CliError::usage(format!(
            "{} is the network's own folder: name another one, on another disk",
            args.folder.display()
        )));
    }
    let bar = bar();
    let made = app::backup(&home, &args.folder, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    told(&made?, &args.folder.display().to_string(), context)?;
    Ok(Exit::Ok)
}

fn same(one: &std::path::Path, other: &std::path::Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Says what a copy came to.
pub(super) fn told(made: &Made, place: &str, context: &mut Context<'_>) -> Result<(), CliError> {
    let Made { taken, erased, vault, records } = made;
    let new = taken.size.saturating_sub(taken.before);
    if context.json {
        return context.say_json(&serde_json::json!({
            "to": place, "new": new, "size": taken.size, "root": taken.root, "erased": erased,
            "published": taken.published, "wallets": vault.map(|vault| vault.wallets), "records": records,
        }));
    }
    context
        .say(format_args!("{place}: {new} entries taken over, {} in all; root {}", taken.size, taken.root))?;
    if *erased > 0 {
        context.say(format_args!("{erased} parts erased, as the log says"))?;
    }
    match vault {
        Some(vault) => context.say(format_args!(
            "vault: {} wallets and {} other records, sealed as they are; keys were not copied",
            vault.wallets, vault.others
        ))?,
        None => context.say("there is no vault")?,
    }
    if taken.published > taken.size {
        context.say(format_args!(
            "a checkpoint over {} entries was published there, so this copy is too old to be served: `tallyhouse recover` \
             gives it the rest",
            taken.published
        ))?;
    }
    match records {
        Some(records) => {
            context.say(format_args!("state: {records} records made anew, the same as where they came from"))
        }
        None => Ok(()),
    }
}
