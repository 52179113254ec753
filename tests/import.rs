//! `import`: every row accounted for, and none twice, whatever happens to the process.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tallyhouse::book::{Name, Record};
use tallyhouse::store::{Read as _, Reader};

fn tallyhouse(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    command.args(arguments).arg("--data").arg(data).arg("--json");
    command
}

fn ran(data: &Path, arguments: &[&str]) -> Output {
    tallyhouse(data, arguments).output().expect("it runs")
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{told}"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// A network with a few receipts of the sample in it.
fn network() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/receipts.csv");
    let some: Vec<String> =
        std::fs::read_to_string(sample).expect("there").lines().take(31).map(str::to_owned).collect();
    let receipts = written(dir.path(), "some.csv", &(some.join("\n") + "\n"));
    let data = dir.path().join("data");
    let made = ran(&data, &["demo", "--no-serve", "--receipts", &receipts]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (dir, data)
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

fn issued(data: &Path) -> u64 {
    let name: Name = "shared/HARVEST:issuance".parse().expect("a name");
    let rows = Reader::open(data).expect("open").load(&[name.to_string()]).expect("read").rows;
    let record = Record::decode(&name, &rows.first().expect("there").value).expect("a record");
    record.total().expect("a total").unsigned_abs()
}

fn entries(data: &Path) -> u64 {
    size(data).expect("a network that nobody is opening")
}

/// How many entries there are; nothing while a writer opens the folder and holds it for itself.
fn size(data: &Path) -> Option<u64> {
    Some(Reader::open(data).ok()?.tip().ok()??.seq + 1)
}

fn verifies(data: &Path) {
    let verify = ran(data, &["verify"]);
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
}

const HEADER: &str = "receipt,brand,store,member,at,amount_minor,items\n";

#[test]
fn receipts_go_in_once_and_bad_lines_go_to_the_rejects() {
    let (dir, data) = network();
    let before = issued(&data);
    let mut text = HEADER.to_owned();
    for n in 0..500 {
        let (day, amount) = (n / 20 + 1, 100 * n + 50);
        text.push_str(&format!(
            "r{n},HARVEST,s{},m{},2017-02-{day:02}T10:00:00Z,{amount},1\n",
            n % 7,
            n % 90
        ));
    }
    text.push_str("r9,HARVEST,s2,m9,2017-02-26T10:00:00Z,99999,1\n");
    text.push_str("other,BLOOM,s1,m1,2017-02-26T10:00:00Z,500,1\n");
    text.push_str("late,HARVEST,s1,m1,26.02.2017,500,1\n");
    let file = written(dir.path(), "history.csv", &text);
    let arguments = ["import", file.as_str(), "--brand", "br_harvest", "--backfill", "--lines", "64"];
    let first = ran(&data, &arguments);
    assert_eq!(first.status.code(), Some(1), "{}", String::from_utf8_lossy(&first.stderr));
    let first = summary(&first);
    // r0 came to 0.50 and earns nothing; of the others, receipt n earns n points.
    let points: u64 = (1..500).sum();
    assert_eq!(
        (number(&first, "rows"), number(&first, "awarded"), number(&first, "points")),
        (503, 499, points)
    );
    assert_eq!((number(&first, "too_small"), number(&first, "other_brands")), (1, 1));
    assert_eq!(first["reasons"], serde_json::json!({"bad line": 1, "ref_conflict": 1}));
    assert_eq!(issued(&data), before + points);
    let rejects = std::fs::read_to_string(first["rejects"].as_str().expect("a path")).expect("there");
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines[0], "line,reason,receipt,brand,store,member,at,amount_minor,items");
    assert_eq!(lines.len(), 3);
    assert!(rejects.contains("\n504,\"at:") && rejects.contains("\n502,ref_conflict"), "{rejects}");

    // Again: everything is recognised, and what was refused is refused again.
    let again = summary(&ran(&data, &arguments));
    assert_eq!(
        (number(&again, "awarded"), number(&again, "already"), number(&again, "rejected")),
        (0, 499, 2)
    );
    assert_eq!(issued(&data), before + points);

    // The rejects, mended, are a file of receipts like any other.
    let mended =
        rejects.replace("26.02.2017", "2017-02-26T11:00:00Z").replace("\n502,ref_conflict", "\n502,was");
    let mended = mended.replace(",r9,", ",r9b,");
    let file = written(dir.path(), "mended.csv", &mended);
    let mended = ran(&data, &["import", &file, "--brand", "br_harvest", "--backfill"]);
    assert_eq!(mended.status.code(), Some(0));
    assert_eq!(number(&summary(&mended), "points"), 999 + 5);
    assert_eq!(issued(&data), before + points + 1_004);
    verifies(&data);
}

#[test]
fn what_a_budget_refused_is_tried_again_and_nothing_else() {
    let (dir, data) = network();
    let before = issued(&data);
    let line = |n: u64| format!(r#"{{"sub":"ac_{n:026}","amount":{n},"occurred_at":1483300000}}"#);
    let text: Vec<String> = (1..=300).map(line).collect();
    let file = written(dir.path(), "awards.ndjson", &(text.join("\n") + "\n{\"sub\":5}\n\nnothing\n"));
    let arguments = ["import", file.as_str(), "--brand", "br_harvest", "--lines", "100"];
    let first = summary(&ran(&data, &arguments));
    assert!(number(&first, "awarded") > 0 && number(&first, "awarded") < 300, "{first}");
    assert_eq!(number(&first, "awarded") + number(&first, "rejected"), 302);
    assert_eq!(number(&first, "without_ref"), 300);
    let raised = summary(&ran(&data, &[&arguments[..], &["--backfill"]].concat()));
    assert_eq!(number(&raised, "awarded") + number(&raised, "already"), 300);
    assert_eq!(number(&raised, "already"), number(&first, "awarded"));
    assert_eq!(raised["reasons"], serde_json::json!({"bad line": 2}));
    assert_eq!(issued(&data), before + 300 * 301 / 2);
    let rejects = std::fs::read_to_string(dir.path().join("awards.rejects.ndjson")).expect("there");
    let bad: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((bad[0]["line"].as_u64(), bad[1]["line"].as_u64()), (Some(301), Some(303)));
    assert_eq!(bad[1]["text"], "nothing");
    verifies(&data);
}

/// Lets an import run until the log has so many entries, then kills it.
fn kill_at(data: &Path, arguments: &[&str], wanted: u64) {
    let mut child: Child =
        tallyhouse(data, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    while size(data).is_none_or(|size| size < wanted) {
        assert!(child.try_wait().expect("asked").is_none(), "it ended before it was killed");
        assert!(begun.elapsed() < Duration::from_secs(120), "it got nowhere");
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL: nothing of it can tidy up.
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[test]
fn killed_and_started_again_it_goes_on_and_awards_nothing_twice() {
    let (dir, data) = network();
    let before = issued(&data);
    let mut text = HEADER.to_owned();
    for n in 0..12_000u64 {
        let (day, amount) = (n / 430 + 1, 100 * (n % 17 + 1));
        text.push_str(&format!(
            "k{n},HARVEST,s{},m{},2017-02-{day:02}T10:00:00Z,{amount},1\n",
            n % 31,
            n % 1_009
        ));
    }
    let file = written(dir.path(), "many.csv", &text);
    let arguments = ["import", file.as_str(), "--brand", "br_harvest", "--backfill", "--lines", "50"];
    let start = entries(&data);
    kill_at(&data, &arguments, start + 25);
    kill_at(&data, &arguments, start + 90);
    let last = ran(&data, &arguments);
    assert_eq!(last.status.code(), Some(0), "{}", String::from_utf8_lossy(&last.stderr));
    let last = summary(&last);
    assert_eq!(number(&last, "awarded") + number(&last, "already"), 12_000);
    assert!(number(&last, "already") >= 80 * 50 && number(&last, "awarded") > 0, "{last}");
    let points: u64 = (0..12_000u64).map(|n| n % 17 + 1).sum();
    assert_eq!(issued(&data), before + points);
    verifies(&data);
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let (dir, data) = network();
    let file = written(dir.path(), "r.csv", &format!("{HEADER}r1,BLOOM,s,m,2017-01-02T00:00:00Z,500,1\n"));
    let told = |arguments: &[&str]| {
        let output = ran(&data, &[&["import"], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, why) = told(&[&file, "--brand", "br_harvest"]);
    assert!(code == Some(2) && why.contains("BLOOM") && why.contains("--named"), "{why}");
    let (code, why) = told(&[&file, "--brand", "br_nobody"]);
    assert!(code == Some(2) && why.contains("issuing.jwk"), "{why}");
    let (code, why) = told(&["missing.csv", "--brand", "br_harvest"]);
    assert!(code == Some(2) && why.contains("missing.csv"), "{why}");
    let (code, why) = told(&[&file, "--brand", "br_harvest", "--unit", "APOTHECARY"]);
    assert!(code == Some(2) && why.contains("br_apothecary"), "{why}");
    let (code, why) = told(&[&file, "--brand", "br_harvest", "--points-per", "much"]);
    assert!(code == Some(2) && why.contains("1/1.00"), "{why}");
    // The rejects do not take the place of the receipts, nor does a mistyped year move the network's time.
    let same = dir.path().join(".").join("r.csv").display().to_string();
    let (code, why) = told(&[&file, "--brand", "br_bloom", "--rejects", &same]);
    assert!(code == Some(2) && why.contains("itself"), "{why}");
    let before = entries(&data);
    let far = written(dir.path(), "far.csv", &format!("{HEADER}f1,HARVEST,s,m,2019-01-05T00:00:00Z,500,1\n"));
    let (code, _) = told(&[&far, "--brand", "br_harvest"]);
    let rejected = std::fs::read_to_string(dir.path().join("far.rejects.csv")).expect("rejects");
    assert!(code == Some(1) && rejected.contains("far ahead"), "{rejected}");
    assert_eq!(entries(&data), before + 1, "the writer's term, and nothing else");
    let elsewhere = ran(&dir.path().join("nowhere"), &["import", &file, "--brand", "br_harvest"]);
    assert_eq!(elsewhere.status.code(), Some(2));
}
