//! `proof`: what shows, without us, that the log contains an entry and some of its parts.

use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use crate::tiles::{Parts, prove};
use std::path::PathBuf;
use std::str::FromStr;

/// Options of `proof`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse proof --seq 42 > 42.json
  tallyhouse proof --seq 42 --parts 0,3 --out 42.json
  tallyhouse proof --seq 42 --tlog-proof --out 42.tlog-proof

The JSON bundle holds the envelope, its path to the newest checkpoint, and the parts that are asked for with
their paths to the envelope. It shows nobody else's parts: ask for those only that its reader may see.
--tlog-proof is the public text format (C2SP tlog-proof) of the same without parts. Either is checked offline:
  tallyhouse verify-proof 42.json --vkey-file log.vkey")]
pub struct Args {
    /// The entry.
    #[arg(long)]
    seq: u64,
    /// The parts to show: their places from 0, separated by commas, or `all`.
    #[arg(long, value_name = "PLACES")]
    parts: Option<Shown>,
    /// The text format instead of JSON.
    #[arg(long, conflicts_with = "parts")]
    tlog_proof: bool,
    /// Write to this file instead of standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// `--parts`: places in any order, each once, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown(Parts);

impl FromStr for Shown {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Parts::All));
        }
        let place = |field: &str| {
            field.parse::<u32>().map_err(|_| format!("{field:?} is not a place: 0, 1, 2 …, or `all`"))
        };
        let mut places = text.split(',').map(place).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(Self(Parts::These(places)))
    }
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let text = text(&args, &Folder::open(context)?)?;
    match &args.out {
        Some(path) => {
            std::fs::write(path, text).map_err(|e| CliError::fault(format!("{}: {e}", path.display())))?
        }
        None => context.out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Ok)
}

/// The proof as it is handed out: text in either form, ending with a line feed.
fn text(args: &Args, folder: &Folder) -> Result<String, CliError> {
    let parts = args.parts.clone().map_or(Parts::None, |shown| shown.0);
    let proof = prove(&folder.hashes, &folder.log, args.seq, &parts)?;
    if args.tlog_proof {
        return proof.to_tlog_proof().map_err(CliError::fault);
    }
    let mut text = String::from_utf8_lossy(&proof.encode()).into_owned();
    text.push('\n');
    Ok(text)
}
