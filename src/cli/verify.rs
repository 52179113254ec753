//! `verify` and `rebuild`: the log decided again, and state and views made anew from it.

use super::context::{CliError, Context, Exit};
use crate::app::{self, Options, Report, Undecided};
use crate::cache::remote::MacKey;
use crate::log::LogVerifier;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse verify                            the demo's network
  tallyhouse verify --data DIR --json          for programs; the exit code says it too
  tallyhouse verify --checkpoint june.txt      and it still has what it had in June
  tallyhouse verify --allow-undecided 2        two entries may rest on the operator's word
  tallyhouse verify --cache --config node.toml every balance in Redis against state, also while the network runs
  tallyhouse verify --vkey 'points.example/demo+1f2e3d4c+AaBb…' --net 3f2a…   trust nothing in the folder
What is checked, entry by entry: form and chain (BLAKE3), tree (RFC 6962) and signed checkpoints, every
part against its root, every signature under the keys that the log itself had registered at that point,
every effect by deciding the command again from its evidence and comparing all bytes, every snapshot, and
at the end the live state and views record by record. The first thing that is wrong is named. A part may be
missing only if a later entry, signed by the operator's roots, says that it was erased, and one that is said to be erased
and is there still makes the exit code 1; an entry that lost its
evidence so is taken over within what its kind can do, named, and makes the exit code 1 unless it is allowed.
Without --vkey and --net the keys that the log's own first entry names are taken: that shows that the log
is consistent, not whose it is.")]
pub struct Args {
    /// The log's verifier key, from outside
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// The network's id, from outside
    #[arg(long, value_name = "NET")]
    net: Option<String>,
    /// Leave signatures out: to measure everything else
    #[arg(long)]
    no_signatures: bool,
    /// Check the log alone, without the live state and views
    #[arg(long)]
    log_only: bool,
    /// How many entries may rest on the operator's word, because their evidence was erased
    #[arg(long, value_name = "N", default_value_t = 0)]
    allow_undecided: u64,
    /// A checkpoint of this log that you kept, or a proof in JSON: the log must contain what it signed; may stand often
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Compare every balance in the configured Redis with state, and nothing else
    #[arg(long, conflicts_with_all = ["vkey", "net", "no_signatures", "log_only"])]
    cache: bool,
}

/// Options of `rebuild`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse rebuild                           after a fault in state or views
  tallyhouse rebuild --data DIR
State and views follow the log: this throws them away and makes them again. The log is not touched.")]
pub struct RebuildArgs {}

/// A bar for people; nothing where nobody looks.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// A checkpoint that somebody kept, alone or in a proof.
fn kept(file: &Path) -> Result<(String, String), CliError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| CliError::Usage(format!("{name}: {e}")))?;
    let proof: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let inside = proof.as_ref().map(|proof| proof.get("proof").unwrap_or(proof));
    let inside = inside.and_then(|proof| proof.get("checkpoint")?.as_str());
    let text = inside.map_or_else(|| text.clone(), str::to_owned);
    Ok((name, text))
}

/// Verifies.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.network()?;
    let missing =
        |file: &&&str| !args.log_only && home.database().is_none() && !home.dir().join(file).exists();
    if let Some(gone) = ["state.sqlite", "views.sqlite"].iter().find(missing) {
        let anew = "is gone: `tallyhouse rebuild` makes it anew from the log";
        return Err(CliError::Fault(format!("{}: {anew}", home.dir().join(gone).display())));
    }
    if args.cache {
        return cache(context);
    }
    if let Some(vkey) = &args.vkey {
        vkey.parse::<LogVerifier>().map_err(|e| CliError::Usage(format!("--vkey {vkey}: {e}")))?;
    }
    let checkpoints = args.checkpoints.iter().map(|file| kept(file)).collect::<Result<_, _>>()?;
    let (signatures, compare) = (!args.no_signatures, !args.log_only);
    let options = Options { signatures, vkey: args.vkey, net: args.net, compare, checkpoints };
    let begun = Instant::now();
    let progress = bar("verify");
    let report = app::verify(&home, &options, &mut |done, of| {
        progress.set_length(of);
        progress.set_position(done);
    });
    progress.finish_and_clear();
    let report = report.map_err(CliError::Fault)?;
    if context.json {
        context.say_json(&report)?;
    } else {
        say(&report, &home.shown(), args.allow_undecided, begun.elapsed().as_secs_f64(), context)?;
    }
    let taken = report.undecided <= args.allow_undecided && report.unerased == 0;
    Ok(if report.finding.is_none() && taken { Exit::Ok } else { Exit::Refused })
}

fn say(
    report: &Report,
    shown: &str,
    allowed: u64,
    seconds: f64,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if let Some(finding) = &report.finding {
        context.say(format!("WRONG  {finding}"))?;
        return context.say(format!("       {} entries before it hold", report.entries));
    }
    let rate = report.parts as f64 / seconds.max(0.001);
    context.say(format!("VERIFIED  {}", report.level))?;
    context.say(format!(
        "  {shown}: {} entries, {} parts, {} signatures in {seconds:.2} s ({rate:.0} parts/s)",
        report.entries, report.parts, report.signatures
    ))?;
    let compared = match (report.records, report.views) {
        (0, _) => "not compared with live state".to_owned(),
        (records, true) => format!("{records} records of live state and all views are what the log gives"),
        (records, false) => format!("{records} records of live state are what the log gives"),
    };
    context.say(format!(
        "  {compared}; {} snapshots hold; {} parts erased on request",
        report.snapshots, report.erased
    ))?;
    if report.asserted.movements > 0 {
        let worth = report.asserted.value.iter().map(|(asset, amount)| format!("{amount} {asset}"));
        let worth = worth.collect::<Vec<_>>().join(", ");
        context.say(format!(
            "  {} movements rest on the network's word: keys that it holds signed for {worth} (smallest units)",
            report.asserted.movements
        ))?;
    }
    if report.undecided > 0 {
        context.say(format!(
            "  {} entries were not decided again: their evidence was erased, and what they did is taken on the \
             operator's word, within what their kind can do:",
            report.undecided
        ))?;
        for Undecided { seq, kind, moved } in &report.undecided_entries {
            let moved: Vec<String> =
                moved.iter().map(|(asset, amount)| format!("{amount} {asset}")).collect();
            let moved = if moved.is_empty() { "nothing".to_owned() } else { moved.join(", ") };
            context.say(format!("    entry {seq}  {kind}  moved {moved}"))?;
        }
        if report.undecided > allowed {
            context.say(format!(
                "  more than --allow-undecided {allowed} lets pass: the exit code is {}",
                Exit::Refused as u8
            ))?;
        }
    }
    if report.unerased > 0 {
        context.say(format!(
            "  {} parts are there still that the log says are erased: the node that writes says on standard error why",
            report.unerased
        ))?;
    }
    for note in &report.notes {
        context.say(format!("  note: {note}"))?;
    }
    if !report.outside {
        context.say("  no checkpoint file beside the database: a log that was cut would not be noticed")?;
    }
    context.say(format!("  network {}", report.net))?;
    context.say(format!("  size {} root {}", report.size, report.root))
}

/// Compares Redis with state.
fn cache(context: &mut Context<'_>) -> Result<Exit, CliError> {
    let url = context.config()?.redis;
    if url.is_empty() {
        return Err(CliError::usage(
            "no Redis is configured: `redis = \"redis://…\"` in the file of --config",
        ));
    }
    let net = context.net(None)?;
    let mac = MacKey::of(&context.log_key()?);
    let report = app::compare_cache(&*context.network()?.read()?, &url, net, mac).map_err(CliError::Fault)?;
    if context.json {
        context.say_json(&report)?;
    } else {
        for finding in &report.findings {
            context.say(format!("WRONG  {finding}"))?;
        }
        let verdict = if report.findings.is_empty() { "SAME" } else { "DIFFERENT" };
        let fed =
            report.fed.map_or_else(|| "nothing was fed".into(), |seq| format!("fed through entry {seq}"));
        context.say(format!("{verdict}  {} balances in Redis are what state says", report.same))?;
        context.say(format!(
            "  {} differ; {} are older and say so; {} are taken by no reader",
            report.findings.len(),
            report.behind,
            report.unread
        ))?;
        context.say(format!("  {fed}, of {} entries of the log", report.entries))?;
    }
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::Refused })
}

/// Makes state and views anew.
pub fn rebuild(_: RebuildArgs, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.network()?;
    let begun = Instant::now();
    let progress = bar("rebuild");
    let entries = app::rebuild(&home, &mut |done, of| {
        progress.set_length(of);
        progress.set_position(done);
    });
    progress.finish_and_clear();
    let entries = entries.map_err(CliError::fault)?;
    let seconds = begun.elapsed().as_secs_f64();
    if context.json {
        context.say_json(&serde_json::json!({"entries": entries, "seconds": seconds}))?;
    } else {
        context.say(format!("state and views made anew from {entries} entries in {seconds:.2} s"))?;
    }
    Ok(Exit::Ok)
}
