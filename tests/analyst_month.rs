//! The analyst's month: from the last payment to the report of a settled cycle, with curl and the program, against a
//! served demo, which is then verified from its first entry to its last.
//!
//! The script in `tests/interop` is the story.

mod common;

use common::served::Served;
use common::tools::{must_run, scripts};
use std::path::Path;
use std::process::Command;

const ACCOUNTS: &str =
    "[USD]\nname = \"Tallyhouse Clearing\"\niban = \"DE89370400440532013000\"\nbic = \"COBADEFF\"\n";

/// What else an analyst does, on what that month left.
fn between_two_cycles(url: &str, demo: &Path, work: &Path) {
    let mut shell = Command::new("bash");
    shell.arg(scripts().join("analyst_desk.sh")).env("TALLYHOUSE", env!("CARGO_BIN_EXE_tallyhouse"));
    let said = must_run(shell.arg(url).arg(demo).arg(work), "");
    println!("{}", said.trim_end());
    for (number, line) in (1..).zip(said.lines().take_while(|line| !line.starts_with("analyst_desk.sh: "))) {
        assert!(line.starts_with(&format!("{number:>2}  ")), "{line}");
    }
    for told in [
        "all of HARVEST's points backed: reserve.set",
        "awards no point: issuance_cover_exceeded",
        "it awards: points.issued",
        "all of it back is refused with issuance_cover_exceeded",
        "2900000 of its smallest units are held",
        "49.00 of it back is refused with exposure_exceeded, 20.00 go",
        "its cover as it came and went: ",
        "is filed: no review; now: charge_back, close, withdraw",
        "charged back: dispute.moved",
        "is accepted, the points are restored",
        "with 40.00 at the till 1 is the same; with 35.00 1 differs",
        "one of the network's, USD",
        "version 3 counts from cycle",
        "period.closed",
        "again it is refused with serial_stale",
        "Cover:House 30.0000",
        "Reserve:HARVEST 290.0000",
        "analyst_desk.sh: between two cycles in ",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn a_cycle_is_closed_step_by_step_with_curl() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/receipts.csv"));
    let some: Vec<String> = all.expect("there").lines().take(301).map(str::to_owned).collect();
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("written");
    write("some.csv", some.join("\n") + "\n");
    write("accounts.toml", ACCOUNTS.to_owned());
    write("node.toml", "[api]\nsettlement_accounts = \"accounts.toml\"\n".to_owned());
    let line = "demo --receipts some.csv --data demo --config node.toml --listen 127.0.0.1:0";
    let served = Served::start(dir.path(), &line.split(' ').collect::<Vec<_>>());
    let (demo, work) = (dir.path().join("demo"), dir.path().join("work"));
    std::fs::create_dir(&work).expect("made");

    let mut shell = Command::new("bash");
    shell.arg(scripts().join("analyst_month.sh")).env("TALLYHOUSE", env!("CARGO_BIN_EXE_tallyhouse"));
    let said = must_run(shell.arg(&served.url).arg(&demo).arg(&work), "");
    println!("{}", said.trim_end());
    let (steps, shown) =
        said.split_once("analyst_month.sh: a month in the clearing house in ").expect("the end");
    // Every step is numbered, and what must come out of it stands in its line.
    for (number, line) in (1..).zip(steps.lines()) {
        assert!(line.starts_with(&format!("{number:>2}  ")), "{line}");
    }
    for told in [
        "sealed: cycle ",
        "version 1 at entry ",
        "pa_harvest objects to 2.00",
        "accepted by two",
        "version 2 is in review",
        "before that it was cycle_open_work",
        "1 matched, 0 counted before, 0 for a person",
        "1 matched, 1 counted before, 0 for a person",
        "written off by two, pa_tallyhouse bears it: cycle",
        "is funded",
        "a shortfall is refused with cycle_stage",
        "the same to the byte",
        "1 matched, 0 counted before, 1 for a person",
        "no line in USD is nobody's",
        "is settled",
    ] {
        assert!(steps.contains(told), "{told}: {steps}");
    }
    assert!(shown.contains("settled, version 2"), "{shown}");

    between_two_cycles(&served.url, &demo, &work);
    assert!(served.stop("-TERM").success());
    let mut verify = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    let said = must_run(verify.arg("verify").arg("--data").arg(&demo), "");
    assert!(said.contains("VERIFIED"), "{said}");
}
