//! `submit`: hands a signed request to the network of the data folder.
//!
//! Owns: how a request that was signed elsewhere, perhaps on a machine without a line, comes in.
//! Promises: what it prints is the network's own answer; the same request again is answered the same.
//! Refuses to know: what is asked for, and who signed it.

use super::context::{CliError, Context, Exit, read};
use super::serve::network;
use crate::app::Tuning;
use crate::engine::Failure;
use crate::machine::Request;
use crate::types::{Refusal, Refused};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Options of `submit`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys certify br_harvest till-9 --purpose till --store s9 --till t9 --participant pa_harvest > till-9.txt
  tallyhouse submit @till-9.txt                what was signed on another machine, carried here
  tallyhouse token sign --brand br_harvest --unit HARVEST --sub ac_0123456789abcdefghjkmnpqrs --amount 120 | tallyhouse submit -
  tallyhouse submit @batch.txt --lines batch.ndjson
The network of the data folder must not be running: it has one writer. Exit code 1 is a refusal, with its code.")]
pub struct Args {
    /// The request, as `keys` and `token` print it: statements, or JSON with --json; @FILE, or - for standard input
    request: String,
    /// The lines that a signed batch is about
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
}

/// A request as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    jws: Vec<String>,
}

fn jws(text: &str) -> Result<Vec<String>, CliError> {
    if text.starts_with('{') {
        let wrong = |e| CliError::Usage(format!("not a request as `keys --json` prints it: {e}"));
        return serde_json::from_str(text).map(|written: Written| written.jws).map_err(wrong);
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Submits.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let jws = jws(&context.text(&args.request)?)?;
    let lines = args.lines.as_deref().map(read).transpose()?;
    let request = Request { jws, lines: lines.map(|text| Arc::from(text.into_bytes())), http: None };
    context.network()?;
    let network = network(context, &Tuning::of(&context.config()?, &context.data))?;
    let outcome = network.engine.ask(&request, None);
    network.close().map_err(CliError::fault)?;
    match outcome {
        Ok(answer) if context.json => context.say_json(&answer)?,
        Ok(answer) => context.say(format_args!("entry {}: {} at {}", answer.seq, answer.kind, answer.at))?,
        Err(Failure::Refused(no)) => return Err(explained(no)),
        Err(failure) => return Err(CliError::fault(failure)),
    }
    Ok(Exit::Ok)
}

/// Refusals that a newcomer meets here, with what to do here.
fn explained(no: Refused) -> CliError {
    match no.code {
        Refusal::AudienceMismatch => CliError::Refused(format!(
            "{no} It was signed for another network: sign it again with --data or --net of this one."
        )),
        _ => CliError::from(no),
    }
}
