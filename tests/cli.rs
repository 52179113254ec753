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
