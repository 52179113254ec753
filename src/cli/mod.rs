//! The command line: one file a verb.
//!
//! Owns: the verbs, what all of them share (the data folder, the configuration, where output goes) and
//! what the exit codes mean.
//! Promises: what a verb found out goes to standard output, everything else to standard error; `--help`
//! of each verb shows it at work.
//! Refuses to know: what the verbs do. A new one is a file with `Args` and `run`, a variant of [`Verb`]
//! and a line in `dispatch`.

pub mod backup;
pub mod balance;
pub mod bank;
pub mod bench;
pub mod claw_back;
mod context;
pub mod copy;
mod cut;
pub mod cycle;
pub mod demo;
pub mod disputes;
pub mod explain;
pub mod export;
mod folder;
pub mod found;
pub mod funding;
pub mod history;
mod holder;
pub mod import;
pub mod journal;
pub mod keys;
pub mod liability;
pub mod migrate;
pub mod offers;
pub mod peers;
pub mod prices;
pub mod proof;
pub mod recover;
#[cfg(test)]
mod reading;
pub mod report;
#[cfg(test)]
mod sample;
pub mod serve;
pub mod sign;
mod statement;
pub mod submit;
pub mod token;
mod trail;
pub mod verify;
pub mod verify_proof;
mod when;

pub use context::{CliError, Context, Exit, Globals};

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Examples:
  tallyhouse demo                              ten brands, a year of receipts, verified
  tallyhouse serve                             the same network over HTTP, with Swagger UI
  tallyhouse found points.example/main …       a network of one's own, without anybody in it
  tallyhouse import receipts.csv --brand br_harvest
  tallyhouse keys new br_harvest issuing       make a key of a brand
  tallyhouse token check TOKEN                 is a token well formed, and whose is it?
  tallyhouse sign GET /v1/me --as br_harvest/issuing | sh
  tallyhouse explain insufficient_points       what a refusal means, and what to do about it

Exit codes:
  0  done, or yes
  1  refused, or a verification failed
  2  the command line or the configuration is wrong
  3  something broke: a file, the disk, another process";

/// The whole command line.
#[derive(Parser, Debug)]
#[command(name = "tallyhouse", version, about = "A points network that brands share", after_help = AFTER_HELP)]
pub struct Cli {
    /// What all verbs share.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Found a network of ten brands and fill it with a year of real receipts
    Demo(demo::Args),
    /// Found a network, from the public keys of its roots
    Found(found::Args),
    /// Take receipts or awards in from a file, in signed batches
    Import(import::Args),
    /// Make key files, show, certify and budget keys
    Keys(keys::Args),
    /// Sign a point token, or say what is wrong with one
    Token(token::Args),
    /// Serve the network of the data folder over HTTP, with Swagger UI
    Serve(serve::Args),
    /// Sign a request over HTTP, as a curl command
    Sign(sign::Args),
    /// Hand a signed request to the network of the data folder
    Submit(submit::Args),
    /// Say what a refusal or a kind of entry means
    Explain(explain::Args),
    /// Say where cycles stand, who pays and who is paid, and why
    Cycle(cycle::Args),
    /// List what participants dispute, and what they object to in cycles
    Disputes(disputes::Args),
    /// Say what a unit's points are worth where, and what they were: who said so, when, why
    Prices(prices::PricesArgs),
    /// Say what the network asks for its service, and what it asked
    Fees(prices::FeesArgs),
    /// Say what to sign to take an award's points back
    ClawBack(claw_back::Args),
    /// List what is offered and can still be agreed to
    Offers(offers::Args),
    /// Say what stands behind points and debts, and whether it is enough
    Funding(funding::Args),
    /// Make files of payment orders, read what banks say
    Bank(bank::Args),
    /// Say what an account holds
    Balance(balance::Args),
    /// Say what happened to an account
    History(history::Args),
    /// Write the log as lines, or as a folder of public files
    Export(export::Args),
    /// Write what happened for an accountant's program: hledger, beancount, CSV
    Journal(journal::Args),
    /// Say what brands owe for points, month by month
    Liability(liability::Args),
    /// Say how old debts are, what stands behind them, and who would bear a default
    Report(report::Args),
    /// Make a proof that the log contains an entry
    Proof(proof::Args),
    /// Check a proof without a connection
    VerifyProof(verify_proof::Args),
    /// Check the whole log, state and views
    Verify(verify::Args),
    /// Make state and views anew from the log
    Rebuild(verify::RebuildArgs),
    /// Bring the schemas of a PostgreSQL database up to date
    Migrate(migrate::Args),
    /// Keep a second copy of the network in a folder, checked as it is made
    Backup(backup::Args),
    /// Move the network to another store, checking it on the way
    Copy(copy::Args),
    /// Give a network restored from an older copy the entries that it lacks
    Recover(recover::Args),
    /// Measure what this hardware carries
    Bench(bench::Args),
}

fn dispatch(verb: Verb, context: &mut Context<'_>) -> Result<Exit, CliError> {
    // A wrong setting is said by every verb, whether or not it needs one.
    context.config()?;
    match verb {
        Verb::Demo(args) => demo::run(args, context),
        Verb::Found(args) => found::run(args, context),
        Verb::Import(args) => import::run(args, context),
        Verb::Keys(args) => keys::run(args, context),
        Verb::Token(args) => token::run(args, context),
        Verb::Serve(args) => serve::run(args, context),
        Verb::Sign(args) => sign::run(args, context),
        Verb::Submit(args) => submit::run(args, context),
        Verb::Explain(args) => explain::run(args, context),
        Verb::Cycle(args) => cycle::run(args, context),
        Verb::Disputes(args) => disputes::run(args, context),
        Verb::Prices(args) => prices::prices(args, context),
        Verb::Fees(args) => prices::fees(args, context),
        Verb::ClawBack(args) => claw_back::run(args, context),
        Verb::Offers(args) => offers::run(args, context),
        Verb::Funding(args) => funding::run(args, context),
        Verb::Bank(args) => bank::run(args, context),
        Verb::Balance(args) => balance::run(args, context),
        Verb::History(args) => history::run(args, context),
        Verb::Export(args) => export::run(args, context),
        Verb::Journal(args) => journal::run(args, context),
        Verb::Liability(args) => liability::run(args, context),
        Verb::Report(args) => report::run(args, context),
        Verb::Proof(args) => proof::run(args, context),
        Verb::VerifyProof(args) => verify_proof::run(args, context),
        Verb::Verify(args) => verify::run(args, context),
        Verb::Rebuild(args) => verify::rebuild(args, context),
        Verb::Migrate(args) => migrate::run(args, context),
        Verb::Backup(args) => backup::run(args, context),
        Verb::Copy(args) => copy::run(args, context),
        Verb::Recover(args) => recover::run(args, context),
        Verb::Bench(args) => bench::run(args, context),
    }
}

/// Runs the program: arguments and streams of this process.
pub fn main() -> ExitCode {
    // Standard error is not locked: other threads log there, and say there why they panicked.
    let mut out = BufWriter::new(io::stdout());
    execute(std::env::args_os(), &mut io::stdin().lock(), &mut out, &mut io::stderr()).into()
}

/// Runs the program with these arguments (the first is its name) and streams.
pub fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let result = match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let mut context = Context::new(cli.globals, input, out);
            dispatch(cli.verb, &mut context)
        }
        // Help and version come as errors too; they are what was asked for.
        Err(asked) if !asked.use_stderr() => {
            write!(out, "{asked}").map(|()| Exit::Ok).map_err(CliError::from)
        }
        Err(usage) => {
            Err(CliError::Usage(usage.to_string().trim_start_matches("error: ").trim_end().to_owned()))
        }
    };
    let result = result.and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match result {
        Ok(exit) => exit,
        // Whoever reads our output has seen enough, as `| head` does.
        Err(CliError::Closed) => Exit::Ok,
        Err(error) => {
            // If standard error is gone too, the exit code alone has to say it.
            let _ = out.flush();
            let _ = writeln!(err, "error: {error}");
            error.exit()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Runs a command line, split at white space, on a data folder; what it printed and how it ended.
    pub(crate) fn tallyhouse(data: &std::path::Path, line: &str, input: &str) -> (Exit, String, String) {
        let mut arguments: Vec<OsString> = vec!["tallyhouse".into(), "--data".into(), data.into()];
        arguments.extend(line.split_whitespace().map(OsString::from));
        let (mut out, mut err) = (vec![], vec![]);
        let exit = execute(arguments, &mut input.as_bytes(), &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (exit, text(out), text(err))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_every_verb_at_work_and_the_exit_codes() {
        let dir = tempfile::tempdir().expect("a folder");
        let (exit, help, _) = tallyhouse(dir.path(), "--help", "");
        assert_eq!(exit, Exit::Ok);
        assert!(help.contains("Exit codes:") && help.contains("tallyhouse explain insufficient_points"));
        assert_eq!(tallyhouse(dir.path(), "help", "").1, help);
        for verb in Cli::command().get_subcommands() {
            let (exit, help, _) = tallyhouse(dir.path(), &format!("{} --help", verb.get_name()), "");
            assert_eq!(exit, Exit::Ok);
            assert!(help.contains("Examples:") && help.contains("  tallyhouse "), "{}", verb.get_name());
        }
    }

    /// Calls `each` with every verb that has none below it, by its words.
    fn leaves(command: &clap::Command, words: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
        let words = format!("{words} {}", command.get_name());
        if !command.has_subcommands() {
            return each(words.trim(), command);
        }
        command.get_subcommands().for_each(|below| leaves(below, &words, each));
    }

    #[test]
    fn every_verb_and_every_verb_below_one_shows_itself_at_work() {
        let mut seen = 0;
        leaves(&Cli::command(), "", &mut |words, command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples") && help.contains(words), "{words}: {help}");
            seen += 1;
        });
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn a_wrong_command_line_ends_with_2() {
        let dir = tempfile::tempdir().expect("a folder");
        for line in ["", "explian", "explain a b c", "--no-such-flag"] {
            let (exit, out, err) = tallyhouse(dir.path(), line, "");
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{line}");
            assert!(!err.is_empty());
        }
    }

    #[test]
    fn output_that_nobody_reads_is_no_fault() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut err = vec![];
        let arguments = ["tallyhouse", "explain"].map(OsString::from);
        assert_eq!(execute(arguments, &mut io::empty(), &mut Closed, &mut err), Exit::Ok);
        assert!(err.is_empty());
    }
}
