//! Onboarding: new brands join a served network, each with tools of its own or with a client made of the document, from
//! making keys to the first payment in another brand's shop and its proof.
//!
//! The scripts in `tests/interop` are the story; here they are run, one after the other, against one network, which is
//! then verified from its first entry to its last.

mod common;

use common::served::Served;
use common::tools::{must_run, node_script, python_script, scripts};
use std::path::Path;
use std::process::Command;

/// Receipts of the sample: enough for a shop of every brand that the scripts name.
fn receipts(to: &Path) {
    let all = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/receipts.csv"));
    let some: Vec<String> = all.expect("there").lines().take(301).map(str::to_owned).collect();
    std::fs::write(to, some.join("\n") + "\n").expect("written");
}

/// Runs a script that must come to its end; every line of it names a step and its time.
fn tells(command: &mut Command, name: &str) {
    let said = must_run(command, "");
    println!("{}", said.trim_end());
    let (steps, end) = said.trim_end().rsplit_once('\n').expect("steps, then the end");
    assert!(end.starts_with(&format!("{name}: from nothing to a payment elsewhere in ")), "{said}");
    assert!(steps.lines().count() >= 9 && steps.lines().all(|line| line.contains(" ms  ")), "{said}");
}

#[test]
fn brands_join_with_curl_with_python_with_node_and_with_a_generated_client() {
    let dir = tempfile::tempdir().expect("a folder");
    receipts(&dir.path().join("some.csv"));
    let line = ["demo", "--receipts", "some.csv", "--data", "demo", "--listen", "127.0.0.1:0"];
    let served = Served::start(dir.path(), &line);
    let (demo, work) = (dir.path().join("demo"), dir.path().join("work"));
    std::fs::create_dir(&work).expect("made");

    let mut shell = Command::new("bash");
    shell.arg(scripts().join("onboarding.sh")).env("TALLYHOUSE", env!("CARGO_BIN_EXE_tallyhouse"));
    tells(shell.arg(&served.url).arg(&demo).arg(&work), "onboarding.sh");
    tells(python_script("onboarding.py").arg(&served.url).arg(&demo), "onboarding.py");
    tells(node_script("onboarding.mjs").arg(&served.url).arg(&demo), "onboarding.mjs");
    let (client, name) = (dir.path().join("client"), "generated_onboarding.py");
    std::fs::create_dir(&client).expect("made");
    tells(python_script(name).arg(&served.url).arg(&demo).arg(&client), name);

    assert!(served.stop("-TERM").success());
    let mut verify = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    let said = must_run(verify.arg("verify").arg("--data").arg(&demo), "");
    assert!(said.contains("VERIFIED"), "{said}");
}
