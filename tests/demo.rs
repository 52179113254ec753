//! `demo`: the sample's numbers, files of one's own, and a folder that is taken.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo(data: &Path, more: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_tallyhouse");
    Command::new(program)
        .args(["demo", "--no-serve", "--data"])
        .arg(data)
        .args(more)
        .output()
        .expect("it runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn page(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&out(output)).expect("the page as JSON")
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn sample() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/receipts.csv")).expect("there")
}

/// The header and some of the sample's receipts.
fn some(from: usize, rows: usize) -> String {
    let all = sample();
    let mut lines = all.lines();
    let header = lines.next().expect("a header");
    let rows: Vec<&str> = lines.skip(from).take(rows).collect();
    format!("{header}\n{}\n", rows.join("\n"))
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

/// What a page says of points and obligations: everything that the receipts decide.
fn numbers(page: &Value) -> (Value, Value, Value, Value) {
    (page["brands"].clone(), page["obligations"].clone(), page["commands"].clone(), page["refused"].clone())
}

#[test]
fn the_sample_ends_with_books_that_balance() {
    let dir = tempfile::tempdir().expect("a folder");
    let page = page(&demo(dir.path(), &["--json"]));
    assert_eq!(
        (number(&page, "receipts"), number(&page, "members"), number(&page, "stores")),
        (12_962, 108, 697)
    );
    assert_eq!(page["verified"]["holds"], true);
    assert_eq!(page["refused"], serde_json::json!({}));
    let mut sales = BTreeMap::new();
    for row in sample().lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        *sales.entry(cells[1].to_owned()).or_insert(0u64) += cells[5].parse::<u64>().expect("cents");
    }
    let brands = page["brands"].as_array().expect("brands");
    assert_eq!(brands.len(), 10);
    for brand in brands {
        let [issued, home, elsewhere, expired, outstanding] =
            ["issued", "home", "elsewhere", "expired", "outstanding"].map(|key| number(brand, key));
        assert_eq!(issued, home + elsewhere + expired + outstanding, "{brand}");
        assert!(elsewhere > 0 && sales.contains_key(brand["brand"].as_str().expect("text")));
    }
    // One point a dollar, each receipt rounded down, less what was paid with points.
    let harvest = brands.iter().find(|brand| brand["brand"] == "HARVEST").expect("there");
    let most = sales["HARVEST"] / 100;
    assert!((most * 9 / 10..most).contains(&number(harvest, "issued")));
    assert!(number(harvest, "expired") > 0 && number(harvest, "home") > 0);
    let commands = &page["commands"];
    for key in ["awards", "payments", "captures", "refunds", "budgets", "accounts", "tills"] {
        assert!(number(commands, key) > 0, "{key}");
    }
    let nets: i64 = brands.iter().map(|brand| brand["net"].as_i64().expect("a number")).sum();
    assert_eq!(nets, 0);

    // Its keys are there, and anybody may check again.
    for key in ["operator/root-1.jwk", "operator/log.jwk", "br_harvest/root.jwk", "br_harvest/issuing.jwk"] {
        assert!(dir.path().join("keys").join(key).exists(), "{key}");
    }
    let tills = std::fs::read_dir(dir.path().join("keys/br_harvest")).expect("there").count();
    assert_eq!(tills, 118 + 2);
    let vkey = page["vkey"].as_str().expect("text");
    let verify = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
        .args(["verify", "--vkey", vkey, "--data"])
        .arg(dir.path())
        .output()
        .expect("it runs");
    assert!(verify.status.success(), "{}", out(&verify));

    // What is made anew from the log is what stood there.
    for verb in ["rebuild", "verify"] {
        let run =
            Command::new(env!("CARGO_BIN_EXE_tallyhouse")).args([verb, "--data"]).arg(dir.path()).output();
        let run = run.expect("it runs");
        assert!(run.status.success(), "{verb}: {}", out(&run));
    }
}

#[test]
fn the_receipts_alone_decide_the_numbers_and_the_page_is_100_columns() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = written(dir.path(), "some.csv", &some(2_000, 900));
    let first = page(&demo(&dir.path().join("a"), &["--receipts", &receipts, "--json"]));
    // The same receipts, out of order: nothing changes, for time decides.
    let text = some(2_000, 900);
    let mut rows: Vec<&str> = text.lines().skip(1).collect();
    // Receipts of one instant keep their order: that is the file's.
    rows.sort_by_key(|row| row.split(',').nth(4).expect("at").chars().rev().collect::<String>());
    let header = text.lines().next().expect("a header");
    let shuffled = written(dir.path(), "shuffled.csv", &format!("{header}\n{}\n", rows.join("\n")));
    let second = page(&demo(&dir.path().join("b"), &["--receipts", &shuffled, "--json"]));
    assert_eq!(numbers(&first), numbers(&second));
    assert_ne!(first["network"], second["network"]);
    let folder = PathBuf::from("c");
    let text = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
        .current_dir(dir.path())
        .args(["demo", "--receipts", "some.csv", "--data"])
        .arg(&folder)
        .output()
        .expect("it runs");
    let text = out(&text);
    assert!(
        text.contains("POINTS") && text.contains("OBLIGATIONS") && text.contains("everything holds"),
        "{text}"
    );
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn brands_nobody_configured_and_lines_that_stand_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = some(0, 40).replace(",HARVEST,", ",Brötchen & Co,");
    let row = text.lines().nth(7).expect("a row").to_owned();
    let cells: Vec<&str> = row.split(',').collect();
    // Once more to the letter, and once with another amount.
    let other = row.replace(&format!(",{},", cells[5]), ",77777,");
    let mut rows: Vec<&str> = text.lines().collect();
    rows.insert(8, &row);
    rows.insert(9, &other);
    let file = written(dir.path(), "own.csv", &(rows.join("\n") + "\n"));
    let page = page(&demo(&dir.path().join("data"), &["--receipts", &file, "--json"]));
    assert_eq!((number(&page, "receipts"), number(&page, "repeated")), (42, 1));
    assert_eq!(page["refused"], serde_json::json!({"token_conflict": 1}));
    let brands = page["brands"].as_array().expect("brands");
    let own = brands.iter().find(|brand| brand["brand"] == "Brötchen & Co").expect("there");
    assert_eq!(own["unit"], "BRTCHENCO");
}

#[test]
fn a_folder_that_is_taken_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipts = written(dir.path(), "some.csv", &some(0, 30));
    let data = dir.path().join("data");
    let run = |more: &[&str]| demo(&data, &[&["--receipts", receipts.as_str(), "--json"], more].concat());
    let first = page(&run(&[]));
    let again = run(&[]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2));
    assert!(told.contains("already") && told.contains("--fresh"), "{told}");
    // What is not the network's stays where it is.
    std::fs::write(data.join("notes.txt"), "mine").expect("written");
    let fresh = page(&run(&["--fresh"]));
    assert_ne!(first["network"], fresh["network"]);
    assert_eq!(numbers(&first), numbers(&fresh));
    assert!(data.join("notes.txt").exists());
    let other = dir.path().join("other");
    std::fs::create_dir(&other).expect("made");
    std::fs::write(other.join("notes.txt"), "mine").expect("written");
    assert_eq!(demo(&other, &["--fresh"]).status.code(), Some(2));
    // A wrong setting is said before an old folder goes.
    let typo = written(dir.path(), "typo.toml", "[writer]\nqeue = 1\n");
    assert_eq!(run(&["--fresh", "--config", &typo]).status.code(), Some(2));
    assert!(data.join("log.sqlite").exists());
    // A bad line is named before anything is made.
    let bad = written(dir.path(), "bad.csv", &some(0, 3).replace("2017-01-01T17:34:25Z", "yesterday"));
    let bad = demo(&dir.path().join("none"), &["--receipts", &bad]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("line 3"));
    assert!(!dir.path().join("none").exists());
}
