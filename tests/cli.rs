//! The program itself: its exit codes, its streams, and verbs that work on each other's output.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const NET: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn tallyhouse(data: &Path, line: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
        .arg("--data")
        .arg(data)
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_exit_codes_are_as_documented() {
    let dir = tempfile::tempdir().expect("a folder");
    let code = |line: &str| tallyhouse(dir.path(), line, "").status.code();
    assert_eq!(code("explain tick"), Some(0));
    assert_eq!(code("--version"), Some(0));
    assert_eq!(code("token check a.b.c"), Some(1));
    assert_eq!(code("explain nonsense"), Some(2));
    assert_eq!(code("--nonsense"), Some(2));
    std::fs::write(dir.path().join("keys"), "a file where a folder should be").expect("written");
    assert_eq!(code("keys new operator root-1"), Some(3));
    let help = out(&tallyhouse(dir.path(), "help", ""));
    for line in ["  0  done", "  1  refused", "  2  the command line", "  3  something broke"] {
        assert!(help.contains(line), "{help}");
    }
}

#[test]
fn a_key_signs_a_token_that_checks() {
    let dir = tempfile::tempdir().expect("a folder");
    let ok = |line: &str, input: &str| {
        let output = tallyhouse(dir.path(), line, input);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        out(&output)
    };
    ok("keys new br_harvest issuing", "");
    let line =
        "token sign --brand br_harvest --unit HARVEST --sub ac_0123456789abcdefghjkmnpqrs --amount 120 --net";
    let token = ok(&format!("{line} {NET}"), "");
    assert!(ok("token check -", &token).contains("(br_harvest/issuing)"));
    let expired = tallyhouse(dir.path(), "token check - --at 9000d", &token);
    assert_eq!(expired.status.code(), Some(1));
    assert!(out(&expired).contains("token_expired"));
}

#[test]
fn errors_go_to_standard_error_and_answers_to_standard_output() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = tallyhouse(dir.path(), "explain budget_exeeded", "");
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.starts_with("error: ") && error.contains("budget_exceeded"), "{error}");
}

#[test]
fn what_was_signed_elsewhere_is_handed_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, path) = (dir.path().join("net"), dir.path().join("few.csv"));
    let few = "receipt,brand,store,member,at,amount_minor,items\n\
               r1,HARVEST,s1,m1,2017-03-01T10:00:00Z,5000,3\n";
    std::fs::write(&path, few).expect("written");
    let run = |line: &str, input: &str| tallyhouse(&data, line, input);
    let fine = |line: &str, input: &str| {
        let output = run(line, input);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        out(&output)
    };
    fine(&format!("demo --no-serve --receipts {}", path.display()), "");
    fine("keys new br_harvest spare", "");
    let request = fine("keys certify br_harvest spare --purpose issuing", "");
    let answer = fine("submit -", &request);
    assert!(answer.starts_with("entry ") && answer.contains(": key.certified at 2017-"), "{answer}");
    assert_eq!(fine("submit -", &request), answer, "the same request, the same answer");
    let budget_of = |name: &str| {
        format!(
            "keys budget br_harvest {name} --unit HARVEST --serial 1 --ceiling 100 --hourly 90 --until 9d"
        )
    };
    let budget = budget_of("spare");
    let json = fine(&format!("{budget} --json"), "");
    let answer: serde_json::Value = serde_json::from_str(&fine("submit - --json", &json)).expect("JSON");
    assert_eq!(answer["kind"], "budget.set");
    assert!(!fine("verify", "").contains("word"), "nothing rests on the network's word");

    fine("keys new br_harvest web", "");
    let caps = "--held-per-account-day 50 --held-per-day 80";
    let request = fine(&format!("keys certify br_harvest web --purpose issuing {caps}"), "");
    fine("submit -", &request);
    fine("submit -", &fine(&budget_of("web"), ""));
    let award = |account: &str, amount: u64| {
        let to = format!("--unit HARVEST --sub {account} --amount {amount}");
        run("submit -", &fine(&format!("token sign --brand br_harvest --key web {to}"), ""))
    };
    assert!(award("ac_0123456789abcdefghjkmnpqrs", 40).status.success());
    assert!(award("ac_1123456789abcdefghjkmnpqrs", 10).status.success());
    let refused = award("ac_0123456789abcdefghjkmnpqrs", 11);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("asserted_limit_exceeded"), "{refused:?}");
    let verified = fine("verify", "");
    assert!(verified.contains("  2 movements rest on the network's word"), "{verified}");
    assert!(verified.contains("signed for 50 HARVEST (smallest units)"), "{verified}");
    let json: serde_json::Value = serde_json::from_str(&fine("verify --json", "")).expect("JSON");
    assert_eq!(json["asserted"], serde_json::json!({"movements": 2, "value": {"HARVEST": 50}}));

    let other = fine(&format!("{budget} --net {}", "0".repeat(64)), "");
    let refused = run("submit -", &other);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("audience_mismatch"), "{refused:?}");
    assert_eq!(run("submit nonsense", "").status.code(), Some(1));
    assert_eq!(run("submit @missing.txt", "").status.code(), Some(2));
}

#[test]
fn the_files_for_production_are_what_the_program_and_systemd_take() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let node =
        tallyhouse::config::Config::load(Some(&config.join("production.toml"))).expect("a configuration");
    let address: tallyhouse::store::Address = node
        .store
        .database
        .replace("verify-full", "disable")
        .replace("&sslrootcert=/etc/tallyhouse/database-ca.pem", "")
        .parse()
        .expect("an address");
    assert_eq!(address.to_string().matches("example").count(), 3, "three servers: {address}");
    assert!(node.redis.starts_with("rediss://") && node.api.public.starts_with("https://"));
    // Each unit starts the program as it can be started.
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["tallyhouse.service", "tallyhouse-backup.service", "tallyhouse-backup.timer"] {
        let text = std::fs::read_to_string(config.join(name)).expect("a unit");
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/tallyhouse "))
        {
            let help = tallyhouse(dir.path(), &format!("{line} --help"), "");
            assert!(help.status.success(), "{line}: {}", String::from_utf8_lossy(&help.stderr));
        }
        let unit = text.replace("/usr/bin/tallyhouse", env!("CARGO_BIN_EXE_tallyhouse"));
        std::fs::write(dir.path().join(name), unit).expect("written");
    }
    // A machine without systemd cannot look at them.
    let mut look = Command::new("systemd-analyze");
    look.arg("verify").current_dir(dir.path());
    look.args(["./tallyhouse.service", "./tallyhouse-backup.service", "./tallyhouse-backup.timer"]);
    if let Ok(said) = look.output() {
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("tallyhouse"), "{said}");
    }
}
