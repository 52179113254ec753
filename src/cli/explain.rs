//! `explain`: what a refusal, another problem of the API, or a kind of entry means.

use super::context::{CliError, Context, Exit};
use crate::api::Code;
use crate::config::nearest;
use crate::machine::Kind;
use crate::types::{Action, Refusal};
use serde::Serialize;

/// Options of `explain`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse explain                           all refusals, problems and kinds of entries
  tallyhouse explain budget_exceeded           one refusal
  tallyhouse explain scope_missing             one problem of the API
  tallyhouse explain payment.authorised        one kind of entry
  tallyhouse explain payment.authorise         the kind of entry that a command makes
  tallyhouse explain --json | jq '.refusals[].code'")]
pub struct Args {
    /// The code of a refusal or of another problem, a kind of entry, or the kind of a command
    code: Option<String>,
}

/// A refusal, for programs.
#[derive(Serialize)]
struct RefusalInfo {
    code: &'static str,
    text: &'static str,
    action: &'static str,
    spends_id: bool,
}

/// A problem on the way to the machine, for programs.
#[derive(Serialize)]
struct ProblemInfo {
    code: &'static str,
    status: u16,
    text: &'static str,
    action: &'static str,
}

/// A kind of entry, for programs.
#[derive(Serialize)]
struct KindInfo {
    kind: &'static str,
    text: &'static str,
    command: Option<&'static str>,
    public: bool,
}

#[derive(Serialize)]
struct All {
    refusals: Vec<RefusalInfo>,
    problems: Vec<ProblemInfo>,
    kinds: Vec<KindInfo>,
}

/// Explains one code, or lists all.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    match args.code.as_deref() {
        None => list(context)?,
        Some(code) => one(code, context)?,
    }
    Ok(Exit::Ok)
}

fn one(code: &str, context: &mut Context<'_>) -> Result<(), CliError> {
    if let Ok(refusal) = code.parse::<Refusal>() {
        return if context.json {
            context.say_json(&refusal_info(refusal))
        } else {
            say_refusal(refusal, context)
        };
    }
    if let Some(problem) = Code::ALL.iter().copied().find(|problem| problem.code() == code) {
        return if context.json {
            context.say_json(&problem_info(problem))
        } else {
            say_problem(problem, context)
        };
    }
    let kind = Kind::ALL.iter().copied().find(|kind| kind.text() == code || kind.command() == code);
    match kind {
        Some(kind) if context.json => context.say_json(&kind_info(kind)),
        Some(kind) => say_kind(kind, context),
        None => Err(CliError::Usage(format!(
            "there is no refusal, no problem and no kind of entry {code:?}; did you mean {}? \
             `tallyhouse explain` alone lists all.",
            nearest(code, &words()).unwrap_or_default()
        ))),
    }
}

/// Everything that can be explained.
fn words() -> Vec<&'static str> {
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.code());
    let kinds = Kind::ALL.iter().flat_map(|kind| [kind.text(), kind.command()]);
    let problems = Code::ALL.iter().map(|problem| problem.code());
    refusals.chain(problems).chain(kinds).filter(|word| !word.is_empty()).collect()
}

fn list(context: &mut Context<'_>) -> Result<(), CliError> {
    if context.json {
        let refusals = Refusal::ALL.iter().copied().map(refusal_info).collect();
        let problems = Code::ALL.iter().copied().map(problem_info).collect();
        let kinds = Kind::ALL.iter().copied().map(kind_info).collect();
        return context.say_json(&All { refusals, problems, kinds });
    }
    context.say("Refusals, in order of precedence: of several reasons the first is given\n")?;
    for refusal in Refusal::ALL {
        context.say(format_args!("  {:<26} {}", refusal.code(), refusal.text()))?;
    }
    context.say("\nProblems of the API, before the network is asked or when something broke\n")?;
    for problem in Code::ALL {
        context.say(format_args!("  {:<26} {}", problem.code(), problem.text()))?;
    }
    context.say("\nKinds of entries\n")?;
    for kind in Kind::ALL {
        context.say(format_args!("  {:<26} {}", kind.text(), kind.doc()))?;
    }
    Ok(())
}

/// What a till does.
fn meaning(action: Action) -> &'static str {
    match action {
        Action::FixRequest => "the request itself is wrong: change it",
        Action::OtherTender => "ask the customer for another way to pay",
        Action::Retry => "send the same again a little later",
        Action::CallIssuer => "the issuer of the points, or the operator, must act first",
    }
}

fn say_problem(problem: Code, context: &mut Context<'_>) -> Result<(), CliError> {
    let (code, action) = (problem.code(), problem.action());
    context.say(format_args!("{code}: {}", problem.text()))?;
    context.say(format_args!("  a till does   {}: {}", action.code(), meaning(action)))?;
    context.say(format_args!("  over HTTP     {}", problem.status()))
}

fn say_refusal(refusal: Refusal, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = if refusal.burns() {
        "spent: the refusal is recorded in the log; ask again under a new id"
    } else {
        "not spent: the same request may succeed later"
    };
    context.say(format_args!("{refusal}: {}", refusal.text()))?;
    let action = refusal.action();
    context.say(format_args!("  a till does   {}: {}", action.code(), meaning(action)))?;
    context.say(format_args!("  the id        {id}"))
}

fn say_kind(kind: Kind, context: &mut Context<'_>) -> Result<(), CliError> {
    let seen = if kind.is_public() {
        "everybody: content and evidence stand in the envelope"
    } else {
        "those concerned: the envelope only commits to the parts"
    };
    context.say(format_args!("{kind}: {}", kind.doc()))?;
    if !kind.command().is_empty() {
        context.say(format_args!("  made by       the command {}", kind.command()))?;
    }
    context.say(format_args!("  read by       {seen}"))
}

fn refusal_info(refusal: Refusal) -> RefusalInfo {
    RefusalInfo {
        code: refusal.code(),
        text: refusal.text(),
        action: refusal.action().code(),
        spends_id: refusal.burns(),
    }
}

fn problem_info(problem: Code) -> ProblemInfo {
    ProblemInfo {
        code: problem.code(),
        status: problem.status().as_u16(),
        text: problem.text(),
        action: problem.action().code(),
    }
}

fn kind_info(kind: Kind) -> KindInfo {
    let command = Some(kind.command()).filter(|command| !command.is_empty());
    KindInfo { kind: kind.text(), text: kind.doc(), command, public: kind.is_public() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tallyhouse;
    use super::*;
    use std::path::Path;

    fn explain(line: &str) -> (Exit, String, String) {
        tallyhouse(Path::new("nowhere"), &format!("explain {line}"), "")
    }

    #[test]
    fn every_code_and_kind_is_explained_and_listed() {
        let (exit, all, _) = explain("");
        assert_eq!(exit, Exit::Ok);
        for word in words() {
            let (exit, text, _) = explain(word);
            assert_eq!(exit, Exit::Ok, "{word}");
            assert!(text.lines().count() >= 2 && !text.contains("  \n"), "{text}");
        }
        for refusal in Refusal::ALL {
            assert!(all.contains(&format!("  {refusal} ")), "{refusal}");
            let (_, text, _) = explain(refusal.code());
            assert!(text.contains(refusal.action().code()));
            assert_eq!(text.contains("not spent"), !refusal.burns());
        }
        for problem in Code::ALL {
            let (_, text, _) = explain(problem.code());
            assert!(
                all.contains(&format!("  {} ", problem.code())) && text.contains(problem.text()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_code_gets_the_nearest() {
        for (wrong, right) in [
            ("insufficient_point", "insufficient_points"),
            ("payment.authorized", "payment.authorised"),
            ("batchline", "batch_line"),
        ] {
            let (exit, out, err) = explain(wrong);
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            assert!(err.contains(&format!("did you mean {right}?")), "{err}");
        }
    }

    #[test]
    fn programs_get_json() {
        let json = |line: &str| serde_json::from_str::<serde_json::Value>(&explain(line).1).expect("JSON");
        let all = json("--json");
        assert_eq!(all["refusals"].as_array().map(Vec::len), Some(Refusal::ALL.len()));
        assert_eq!(all["kinds"].as_array().map(Vec::len), Some(Kind::ALL.len()));
        assert_eq!(all["problems"].as_array().map(Vec::len), Some(Code::ALL.len()));
        let one = json("scope_missing --json");
        assert_eq!((&one["action"], &one["status"]), (&"fix_request".into(), &403.into()));
        let one = json("budget_exceeded --json");
        assert_eq!((&one["action"], &one["spends_id"]), (&"call_issuer".into(), &true.into()));
        assert_eq!(json("tick --json")["command"], serde_json::Value::Null);
    }
}
