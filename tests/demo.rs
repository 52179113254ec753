//! `demo`: the sample's numbers, files of one's own, and a folder that is taken.

mod common;

use common::served::Served;
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
    // Two keys that the network holds for the sandbox, the budget of one of them, and that of a till are entries like all
    // others.
    assert_eq!(number(commands, "sandbox"), 4);
    let nets: i64 = brands.iter().map(|brand| brand["net"].as_i64().expect("a number")).sum();
    let fees = &page["fees"];
    assert_eq!(nets + fees["net"].as_i64().expect("a number"), 0);
    // Fees begin with the second month and end with the year; what they came to is in the cycles, all of it.
    assert_eq!((&fees["from"], &fees["until"]), (&"2017-02-01".into(), &"2018-01-01".into()));
    let of = |who: &str| fees[who][1].as_u64().expect("a sum");
    let (shops, issuers) = (of("acceptor"), of("issuer"));
    assert!(shops > issuers && issuers > 0, "{fees}");
    assert_eq!(fees["net"], shops + issuers, "the operator owes nobody anything");
    // Each month has its cycle, and all of them are settled.
    let months = page["months"].as_array().expect("months");
    let cycles: Vec<u64> = months.iter().map(|month| number(month, "cycle")).collect();
    assert_eq!(cycles, (1..=13).collect::<Vec<_>>());
    let in_it = |month: &Value| month["fees"].as_i64().expect("a sum");
    assert_eq!(in_it(&months[0]), 0);
    assert!(months[1..12].iter().all(|month| in_it(month) > 0));
    assert_eq!(months.iter().map(in_it).sum::<i64>(), (shops + issuers) as i64);
    // One month somebody objected, one month a payment was disputed and ruled on, one month somebody paid late.
    let note = |month: usize| months[month]["note"].as_str().expect("text");
    assert!(note(1).contains("objected"), "{}", note(1));
    assert!(note(2).contains("charged") && note(2).contains("points restored"), "{}", note(2));
    assert!(note(3).contains("did not pay in time"), "{}", note(3));
    let shown =
        Command::new(env!("CARGO_BIN_EXE_tallyhouse")).args(["cycle", "--data"]).arg(dir.path()).output();
    let shown = out(&shown.expect("it runs"));
    let stages: Vec<&str> = shown.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(stages[..13], ["settled"; 13]);
    assert_eq!(stages[13..], ["open"]);

    // Reports of the same books, each with the cut that it is of.
    let report = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
        out(&command.arg("report").args(arguments).arg("--data").arg(dir.path()).output().expect("it runs"))
    };
    let aging: Value = serde_json::from_str(&report(&["aging", "--json"])).expect("JSON");
    assert!(aging["checkpoint"].as_str().is_some_and(|text| text.split(' ').count() == 3), "{aging}");
    let exposure = report(&["exposure", "--csv"]);
    assert!(exposure.starts_with("participant,currency,position,debt,reserved,limit,headroom,state,cut,"));
    let debtor =
        aging["rows"].as_array().and_then(|rows| rows.first()).and_then(|row| row["debtor"].as_str());
    if let Some(debtor) = debtor {
        let table = report(&["what-if", debtor]);
        assert!(table.contains(&format!("as of entry {}", aging["seq"])), "{table}");
    }
    assert_eq!(report(&["what-if"]), "", "a participant is needed");

    // Its keys are there, and anybody may check again.
    for key in ["operator/root-1.jwk", "operator/log.jwk", "br_harvest/root.jwk", "br_harvest/issuing.jwk"] {
        assert!(dir.path().join("keys").join(key).exists(), "{key}");
    }
    let tills = std::fs::read_dir(dir.path().join("keys/br_harvest")).expect("there").count();
    assert_eq!(tills, 118 + 4, "root, issuing and two approvers beside");
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
        .args(["demo", "--no-serve", "--receipts", "some.csv", "--data"])
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

/// What `sh` makes of a command, in a folder: whether it ended well, and what it printed.
fn sh(folder: &Path, command: &str) -> (bool, Value) {
    let done = Command::new("sh").arg("-c").arg(command).current_dir(folder).output().expect("a shell");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let told = String::from_utf8_lossy(&done.stderr);
    let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{command}: {e}: {text}{told}"));
    (done.status.success(), value)
}

#[test]
fn what_it_made_is_served_and_each_printed_command_works() {
    let dir = tempfile::tempdir().expect("a folder");
    written(dir.path(), "some.csv", &some(2_000, 900));
    let served = Served::start(
        dir.path(),
        &["demo", "--receipts", "some.csv", "--data", "d", "--listen", "127.0.0.1:0"],
    );
    let commands = served.commands();
    assert_eq!(commands.len(), 6, "{}", served.said.join("\n"));
    let run = |at: usize| {
        let (done, value) = sh(dir.path(), &commands[at]);
        assert!(done, "{}: {value}", commands[at]);
        value
    };
    let network = run(0);
    assert_eq!((&network["driven"], &network["live"]), (&true.into(), &false.into()));
    let before = number(&run(1), "available");
    let award = run(2);
    assert_eq!((&award["kind"], &award["replayed"]), (&"points.issued".into(), &Value::Null));
    assert_eq!(run(2)["seq"], award["seq"], "once, however often it is asked for");
    let given = number(&run(1), "available") + number(&run(1), "pending") - before;
    assert_eq!(given, 25);
    // A till gives points on its own too.
    assert_eq!(run(3)["kind"], "points.issued");
    let given = number(&run(1), "available") + number(&run(1), "pending") - before;
    assert_eq!(given, 30);
    let paid = run(4);
    assert_eq!(paid["kind"], "payment.authorised");
    assert!(number(&run(1), "available") < before + 30);
    // A second time it is the same payment.
    assert_eq!(run(4)["payment"], paid["payment"]);

    // A code opens a consent, and what is paid under it takes points once as well.
    let by_code = run(5);
    assert_eq!(by_code["kind"], "payment.authorised");
    assert_ne!(by_code["payment"], paid["payment"]);
    assert_eq!(run(5)["payment"], by_code["payment"]);

    // The keys are kept where nobody else reads them, and each does what it is for.
    let file = dir.path().join("d/keys/sandbox.txt");
    let note = std::fs::read_to_string(&file).expect("the keys");
    let key = |role: &str| {
        let line =
            note.lines().find(|line| line.starts_with(role)).unwrap_or_else(|| panic!("{role}: {note}"));
        line.rsplit(' ').next().expect("a key").to_owned()
    };
    let reads = |role: &str, path: &str| {
        let command = format!(
            "curl -sS --fail-with-body -H 'authorization: Bearer {}' {}{path}",
            key(role),
            served.url
        );
        sh(dir.path(), &command)
    };
    assert_eq!(reads("consumer ", "/v1/me").1["role"], "consumer");
    assert_eq!(reads("till ", "/v1/me").1["role"], "till");
    let owed = reads("auditor ", "/v1/obligations").1;
    assert!(owed["items"].as_array().is_some_and(|all| !all.is_empty()), "{owed}");
    assert!(!reads("consumer ", "/v1/obligations").0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    }
    assert!(served.stop("-INT").success(), "Ctrl-C is an ordinary end");

    // What was written over HTTP is verified as everything else, and `serve` goes on with the same keys.
    let verify = ["verify", "--data", "d"];
    let verified =
        Command::new(env!("CARGO_BIN_EXE_tallyhouse")).args(verify).current_dir(dir.path()).output();
    let verified = verified.expect("it runs");
    assert!(verified.status.success(), "{}", out(&verified));
    let served = Served::start(dir.path(), &["serve", "--data", "d", "--listen", "127.0.0.1:0"]);
    assert!(served.said.iter().any(|line| line.contains("sandbox.txt")), "{}", served.said.join("\n"));
    let me = format!("curl -sS -H 'authorization: Bearer {}' {}/v1/me", key("brand_admin "), served.url);
    assert_eq!(sh(dir.path(), &me).1["role"], "brand_admin");
    assert!(served.stop("-TERM").success(), "and so is SIGTERM");
}

#[test]
fn a_port_that_is_taken_is_no_reason_to_fail_unless_it_was_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    written(dir.path(), "some.csv", &some(0, 30));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let config = written(dir.path(), "node.toml", &format!("[api]\nlisten = \"{address}\"\n"));
    let line = ["demo", "--receipts", "some.csv", "--data", "d", "--config", &config];
    let served = Served::start(dir.path(), &line);
    assert!(
        served.said.iter().any(|line| line.contains(&format!("{address} is taken"))),
        "{:?}",
        served.said
    );
    assert!(!served.url.contains(&address));
    assert!(served.stop("-TERM").success());
    let asked = ["demo", "--receipts", "some.csv", "--data", "e", "--listen", &address];
    let refused = Command::new(env!("CARGO_BIN_EXE_tallyhouse")).args(asked).current_dir(dir.path()).output();
    let refused = refused.expect("it runs");
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(!dir.path().join("e").exists(), "nothing is founded where nothing can be served");
}
