//! `verify-proof`: what a proof shows, checked here, with the log's key from elsewhere.

use super::context::{CliError, Context, Exit};
use crate::log::{LogVerifier, Proof, Shown};
use crate::types::{Hash, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

/// Options of `verify-proof`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse verify-proof 42.json --vkey-file log.vkey
  tallyhouse verify-proof answer.json --vkey-file log.vkey       an answer to `Prefer: return=proof`
  tallyhouse verify-proof 42.tlog-proof --vkey 'points.example/log+530d903a+AekyeRrm56hA…'
  curl -s https://points.example/v1/entries/42/proof | tallyhouse verify-proof - --vkey-file log.vkey --json

Needs no connection. The key must come from where you trust it, never from the proof or from who gave it to you.
The exit status is 0 if the proof holds, and 1 if it does not.")]
pub struct Args {
    /// The proof: a JSON bundle, an answer that has one as its `proof`, or a .tlog-proof; - is standard input.
    file: PathBuf,
    #[command(flatten)]
    key: Key,
}

/// Where the key comes from.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Key {
    /// The log's verifier key: <name>+<id>+<key>.
    #[arg(long)]
    vkey: Option<String>,
    /// A file that holds it.
    #[arg(long, value_name = "FILE")]
    vkey_file: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize, Debug)]
struct Report {
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shows: Option<Shows>,
}

#[derive(Serialize, Debug)]
struct Shows {
    log: String,
    size: u64,
    root: Hash,
    grade: &'static str,
    seq: u64,
    at: Time,
    kind: String,
    #[serde(rename = "pub", skip_serializing_if = "Option::is_none")]
    public: Option<Box<RawValue>>,
    parts_of_entry: u32,
    parts: Vec<Part>,
}

#[derive(Serialize, Debug)]
struct Part {
    index: u32,
    body: Box<RawValue>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let key = key(&args.key)?;
    let report = check(&read(&args.file, context)?, &key);
    if context.json {
        context.say_json(&report)?;
    } else {
        context.out.write_all(words(&report).as_bytes())?;
    }
    Ok(if report.holds { Exit::Ok } else { Exit::Refused })
}

fn read(path: &Path, context: &mut Context<'_>) -> Result<Vec<u8>, CliError> {
    if path.as_os_str() != "-" {
        return std::fs::read(path).map_err(|e| CliError::usage(format!("{}: {e}", path.display())));
    }
    let mut text = context.text("-")?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn key(key: &Key) -> Result<LogVerifier, CliError> {
    let text = match (&key.vkey, &key.vkey_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => super::context::read(path)?,
        (None, None) => return Err(CliError::usage("--vkey or --vkey-file is needed")),
    };
    text.trim().parse().map_err(|e| CliError::usage(format!("the verifier key: {e}")))
}

/// Reads a proof in either form. A bundle may be written in any way of JSON: what is signed stands in it as strings, whose
/// bytes no other spelling of them changes.
fn parse(bytes: &[u8]) -> Result<Proof, String> {
    if bytes.starts_with(b"c2sp.org/tlog-proof@") {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
        return Proof::from_tlog_proof(text).map_err(|e| e.0);
    }
    // An answer to a write has the proof beside what was done.
    #[derive(Deserialize)]
    struct Answer {
        proof: Proof,
    }
    let bundle = serde_json::from_slice::<Proof>(bytes);
    let proof = bundle.or_else(|e| serde_json::from_slice::<Answer>(bytes).map(|a| a.proof).map_err(|_| e));
    proof.map_err(|e| format!("it is not a proof: {e}"))
}

fn check(bytes: &[u8], log: &LogVerifier) -> Report {
    let shown = parse(bytes).and_then(|proof| proof.verify(log).map_err(|e| e.to_string()));
    match shown.and_then(shows) {
        Ok(shows) => Report { holds: true, why: None, shows: Some(shows) },
        Err(why) => Report { holds: false, why: Some(why), shows: None },
    }
}

fn shows(shown: Shown) -> Result<Shows, String> {
    let part = |(index, body): (u32, Vec<u8>)| {
        let text = String::from_utf8(body).map_err(|e| e.to_string())?;
        RawValue::from_string(text).map(|body| Part { index, body }).map_err(|e| e.to_string())
    };
    Ok(Shows {
        log: shown.checkpoint.origin,
        size: shown.checkpoint.size,
        root: shown.checkpoint.root,
        // A final proof carries cosignatures that meet a policy, and no policy is asked for here.
        grade: "accepted",
        seq: shown.envelope.seq,
        at: shown.envelope.at,
        kind: shown.envelope.kind,
        public: shown.envelope.public,
        parts_of_entry: shown.envelope.parts.n,
        parts: shown.parts.into_iter().map(part).collect::<Result<_, _>>()?,
    })
}

fn words(report: &Report) -> String {
    let Some(shows) = &report.shows else {
        return format!("The proof does not hold: {}\n", report.why.as_deref().unwrap_or("unknown"));
    };
    let Shows { log, size, root, seq, at, kind, parts_of_entry, .. } = shows;
    let mut text = format!(
        "The proof holds.\n\
         log         {log}\n\
         checkpoint  {size} entries, root {root}\n\
         entry       {seq}, {kind}, {at}, {parts_of_entry} parts\n"
    );
    if let Some(public) = &shows.public {
        text.push_str(&format!("public      {public}\n"));
    }
    for Part { index, body } in &shows.parts {
        text.push_str(&format!("part {index:<6} {body}\n"));
    }
    text
}
