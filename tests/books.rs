//! Books: accountants' programs accept the demo's journal, and their balances are ours.
//!
//! Owns: the first months of the sample network of `demo`, exported for hledger, for beancount and as CSV.
//! Promises: `hledger check --strict` and beancount's own checks are content, both count the same balances as the page of
//! the demo and as the CSV, and both object when one amount was changed.
//! Refuses to know: how either program counts.

mod common;

use common::house::House;
use common::month;
use common::tools::{accepts, must_run, python_script, rejects, run};
use common::world::id;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use tallyhouse::clearing::{Balance, Statement, StatementKind};
use tallyhouse::formats::{
    Cut, Journal, Ledger, write_beancount, write_hledger, write_notices_csv, write_statement_csv,
};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::Event;

/// Of the sample's receipts: enough for several months, and read again for each export.
const RECEIPTS: usize = 4_000;

static DEMO: LazyLock<(tempfile::TempDir, Value)> = LazyLock::new(|| {
    let (dir, beside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/receipts.csv");
    let all = std::fs::read_to_string(all).expect("the sample's receipts");
    let some: String = all.split_inclusive('\n').take(1 + RECEIPTS).collect();
    let receipts = beside.path().join("some.csv");
    std::fs::write(&receipts, some).expect("written");
    let receipts = receipts.to_str().expect("text");
    let page = tallyhouse(dir.path(), &["demo", "--no-serve", "--json", "--receipts", receipts]);
    let page = serde_json::from_str(&page).expect("the page as JSON");
    (dir, page)
});

fn tallyhouse(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    must_run(command.args(arguments).arg("--data").arg(data), "")
}

/// The journal as a file beside the data.
fn journal(name: &str, arguments: &[&str]) -> PathBuf {
    let path = DEMO.0.path().join(name);
    let out = path.to_str().expect("text");
    let said = tallyhouse(DEMO.0.path(), &[&["journal", "--out", out], arguments].concat());
    assert!(said.contains("documents") && said.contains("cut: entry"), "{said}");
    path
}

fn hledger(file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("hledger");
    command.arg("-f").arg(file).args(arguments);
    command
}

const ADVICE: &str = "hledger is needed: apt install hledger; ./test does it";

/// Balances by account and commodity, out of hledger's own CSV.
fn counted_by_hledger(file: &Path) -> BTreeMap<(String, String), String> {
    let text =
        must_run(&mut hledger(file, &["bal", "--flat", "-N", "-O", "csv", "--layout", "bare"]), ADVICE);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| ((row[0].to_owned(), row[1].to_owned()), row[2].to_owned())).collect()
}

/// The same out of our CSV: debits less credits, in cents and points without decimals.
fn counted_by_csv(file: &Path) -> BTreeMap<(String, String), i64> {
    let mut sums = BTreeMap::new();
    let mut reader = csv::Reader::from_path(file).expect("readable");
    let header = reader.headers().expect("a header").clone();
    for row in reader.records().map(|row| row.expect("a row")) {
        let cell = |name: &str| &row[header.iter().position(|have| have == name).expect(name)];
        let whole = |text: &str| text.replace('.', "").parse::<i64>().unwrap_or(0);
        let key = (cell("ledger").to_owned(), cell("commodity").to_owned());
        *sums.entry(key).or_insert(0) += whole(cell("debit")) - whole(cell("credit"));
        assert!(cell("batch").starts_with("TH-0-") && cell("checkpoint").split(' ').count() == 3);
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn whole(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// By participant: its position, as the report says it, with what the newest settled cycle carried on.
fn unsettled() -> BTreeMap<String, i64> {
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&tallyhouse(DEMO.0.path(), arguments)).expect("JSON")
    };
    let number = |value: &Value| value.as_i64().expect("a number");
    let mut all = BTreeMap::new();
    for row in json(&["report", "exposure", "--json"])["rows"].as_array().expect("rows") {
        let who = row["participant"].as_str().expect("an id").to_owned();
        *all.entry(who).or_insert(0) += number(&row["position"]);
    }
    let cycles = json(&["cycle", "--json"]);
    let settled = cycles.as_array().expect("cycles").iter().filter(|one| one["stage"] == "settled");
    let newest = settled.map(|one| number(&one["cycle"])).max().expect("one was settled").to_string();
    for line in json(&["cycle", &newest, "--json"])["lines"].as_array().expect("lines") {
        let carried = number(&line["net"]) + number(&line["carry"]) - number(&line["amount"]);
        *all.entry(line["participant"].as_str().expect("an id").to_owned()).or_insert(0) += carried;
    }
    all
}

#[test]
fn hledger_accepts_the_journal_and_counts_the_same() {
    let file = journal("books.journal", &["--format", "hledger"]);
    must_run(&mut hledger(&file, &["check", "--strict"]), ADVICE);
    let counted = counted_by_hledger(&file);
    for brand in DEMO.1["brands"].as_array().expect("brands") {
        let unit = brand["brand"].as_str().expect("a unit");
        let of = |account: String| counted.get(&(account, unit.to_owned())).map_or(0, |text| whole(text));
        let number = |key: &str| brand[key].as_i64().expect(key);
        assert_eq!(of(format!("Liabilities:Points:{unit}")), -number("outstanding"), "{unit}");
        assert_eq!(of(format!("Expenses:Points:{unit}:Issued")), number("issued"), "{unit}");
        assert_eq!(of(format!("Income:Points:{unit}:Expired")), -number("expired"), "{unit}");
        let redeemed = number("home") + number("elsewhere");
        assert_eq!(of(format!("Income:Points:{unit}:Redeemed")), -redeemed, "{unit}");
    }
    let csv = counted_by_csv(&journal("books.csv", &["--format", "csv"]));
    let counted: BTreeMap<_, i64> =
        counted.into_iter().map(|(key, text)| (key, whole(&text))).filter(|(_, sum)| *sum != 0).collect();
    assert_eq!(counted, csv);
    assert!(csv.keys().any(|(account, _)| account.starts_with("Assets:Clearing:")));
    // What is below a participant's clearing accounts is what the house says of it, and what its last cycle carried on.
    let house = unsettled();
    assert!(house.len() >= 9 && house.values().any(|amount| *amount < 0), "{house:?}");
    for (who, amount) in &house {
        let own = format!("Assets:Clearing:P-{}:", who.trim_start_matches("pa_"));
        let has = counted.iter().filter(|((account, _), _)| account.starts_with(&own));
        assert_eq!(has.map(|(_, amount)| amount).sum::<i64>(), *amount, "{who}");
    }
    assert!(
        csv.keys().any(|(account, _)| account.starts_with("Assets:Bank:House:P-")),
        "what banks confirmed"
    );
    // A document that does not balance, and one amount moved from an account to another.
    let text = std::fs::read_to_string(&file).expect("readable");
    let at = text.find(" * (TH-").expect("a document");
    let line = at + text[at..].find("\n    ").expect("a posting");
    let end = line + 5 + text[line + 5..].find("  ").expect("two spaces");
    let digit = end + 2 + text[end + 2..].find(|c: char| ('1'..='8').contains(&c)).expect("a digit");
    let mut bent = text.clone().into_bytes();
    bent[digit] += 1;
    let bad = DEMO.0.path().join("bent.journal");
    std::fs::write(&bad, bent).expect("written");
    assert!(!run(&mut hledger(&bad, &["check"])).status.success(), "an unbalanced document");
}

#[test]
fn beancount_accepts_the_journal_and_objects_to_a_changed_one() {
    let file = journal("books.beancount", &["--format", "beancount"]);
    let said = accepts(python_script("books.py").arg(&file), "books.py");
    assert!(said.contains("balances hold"), "{said}");
    let text = std::fs::read_to_string(&file).expect("readable");
    let last = text.trim_end().lines().last().expect("a balance").to_owned();
    let (head, amount) = last.rsplit_once("  ").expect("an amount");
    let bent = text.replace(&last, &format!("{head}  1{}", amount.trim_start_matches('-')));
    let bad = DEMO.0.path().join("bent.beancount");
    std::fs::write(&bad, bent).expect("written");
    rejects(python_script("books.py").arg(&bad), "books.py");
}

#[test]
fn one_participants_books_have_a_chart_and_the_same_numbers_every_time() {
    let chart = DEMO.0.path().join("chart.csv");
    std::fs::write(
        &chart,
        "ledger,account,cost_centre,tax_code\nLiabilities:Points,3500,LOYALTY,\nExpenses,6100,LOYALTY,V0\n\
         Income,4400,LOYALTY,V19\nIncome:Points,4410,,\nAssets:Clearing,1400,,\n\
         Assets:Bank,1200,,\nAssets:Cover,1460,,\nAssets:Fund,1461,,\n",
    )
    .expect("written");
    let chart = chart.to_str().expect("text");
    let participant = ["--format", "csv", "--participant", "pa_harvest"];
    let own = journal("harvest.csv", &[&participant[..], &["--chart", chart]].concat());
    let text = std::fs::read_to_string(&own).expect("readable");
    let again = journal("again.csv", &[&participant[..], &["--chart", chart]].concat());
    assert_eq!(std::fs::read_to_string(again).expect("readable"), text, "the same entries, the same bytes");
    for account in [",3500,LOYALTY,,", ",4410,,,", ",1400,,,", ",6100,LOYALTY,V0,"] {
        assert!(text.contains(account), "{account}");
    }
    let units: Vec<&str> = text.lines().filter(|l| l.contains("Liabilities:Points:")).collect();
    assert!(!units.is_empty() && units.iter().all(|line| line.contains("Liabilities:Points:HARVEST")));
    // What the participant's books say of its positions is what the network's say.
    let network = counted_by_csv(&journal("network.csv", &["--format", "csv"]));
    for ((account, commodity), amount) in counted_by_csv(&own) {
        if let Some(other) = account.strip_prefix("Assets:Clearing:") {
            let same = (format!("Assets:Clearing:P-harvest:{other}"), commodity);
            assert_eq!(network.get(&same), Some(&amount), "{other}");
        }
    }
    // hledger and beancount take a part of the log with its opening balances.
    let later =
        journal("later.journal", &["--format", "hledger", "--from", "500", "--participant", "pa_harvest"]);
    must_run(&mut hledger(&later, &["check", "--strict"]), ADVICE);
    assert!(std::fs::read_to_string(&later).expect("readable").contains("opening balances"));
    let later = journal("later.beancount", &["--format", "beancount", "--from", "500"]);
    accepts(python_script("books.py").arg(&later), "books.py");
    let short = DEMO.0.path().join("short.csv");
    std::fs::write(&short, "ledger,account,cost_centre,tax_code\nAssets,1,,\n").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    command.args(["journal", "--format", "csv", "--chart"]).arg(&short).arg("--data").arg(DEMO.0.path());
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    assert!(said.contains("the chart has no row for"), "{said}");
}

#[test]
fn the_liability_rolls_forward_to_what_the_demo_says() {
    let report = tallyhouse(DEMO.0.path(), &["liability", "--vintages", "--json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let months = report["months"].as_array().expect("months");
    let vintages = report["vintages"].as_array().expect("vintages");
    let number = |value: &Value| value.as_i64().expect("a number");
    for brand in DEMO.1["brands"].as_array().expect("brands") {
        let own: Vec<&Value> = months.iter().filter(|month| month["unit"] == brand["brand"]).collect();
        let change = |name: &str| -> i64 {
            let lines = own.iter().flat_map(|month| month["lines"].as_array().expect("lines"));
            lines.filter(|line| line["change"] == name).map(|line| number(&line["points"])).sum()
        };
        for pair in own.windows(2) {
            assert_eq!(pair[0]["closing"], pair[1]["opening"]);
        }
        for month in &own {
            for side in ["points", "money"] {
                let lines = month["lines"].as_array().expect("lines").iter().map(|line| number(&line[side]));
                let prices = if side == "money" { number(&month["price_changes"]) } else { 0 };
                let sum = number(&month["opening"][side]) + lines.sum::<i64>() + prices;
                assert_eq!(sum, number(&month["closing"][side]), "{month}");
            }
        }
        let closing = number(&own.last().expect("months")["closing"]["points"]);
        assert_eq!(closing, number(&brand["outstanding"]));
        assert_eq!(change("issued"), number(&brand["issued"]));
        let spent = change("redeemed_home") + change("redeemed_elsewhere") + change("reinstated");
        assert_eq!(spent, -number(&brand["home"]) - number(&brand["elsewhere"]));
        assert_eq!(change("expired"), -number(&brand["expired"]));
        let left = vintages.iter().filter(|vintage| vintage["unit"] == brand["brand"]);
        let left: i64 =
            left.map(|v| number(v["outstanding"].as_array().expect("months").last().expect("one"))).sum();
        assert_eq!(left, closing, "vintages are what holders have");
    }
    let told = tallyhouse(DEMO.0.path(), &["liability", "--unit", "HARVEST"]);
    assert!(told.contains("redeemed elsewhere") && told.contains("as of entry"), "{told}");
}

/// A month with fees and tax, as the network's journal or one participant's.
fn charged(whose: Option<&str>) -> Journal {
    let mut house = House::new(11, false);
    for (unit, n) in [("HARVEST", 7), ("KINO", 7)] {
        house.award(unit, n, 100_000);
    }
    month::charge(&mut house);
    let scales = house.world.genesis.currencies.iter().map(|setting| (setting.code, setting.scale));
    let mut ledger = Ledger::new(whose.map(id), 0, scales);
    for entry in &house.node.entries {
        let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        ledger.take(&Event::read(&envelope, entry.hash, &slots).expect("an event")).expect("booked");
    }
    let seq = house.node.entries.len() as u64 - 1;
    let cut = Cut { origin: "tally.test/world".into(), from: 0, seq, checkpoint: "a\nb\nc\n".into() };
    ledger.journal(cut).expect("it balances")
}

#[test]
fn tax_has_accounts_of_its_own_and_both_programs_accept_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut owed = BTreeMap::new();
    for whose in [None, Some("pa_kino"), Some("pa_harvest"), Some("pa_op")] {
        let journal = charged(whose);
        let name = whose.unwrap_or("network");
        let file = dir.path().join(format!("{name}.journal"));
        std::fs::write(&file, write_hledger(&journal)).expect("written");
        must_run(&mut hledger(&file, &["check", "--strict"]), ADVICE);
        let counted = counted_by_hledger(&file);
        let bean = dir.path().join(format!("{name}.beancount"));
        std::fs::write(&bean, write_beancount(&journal)).expect("written");
        let said = accepts(python_script("books.py").arg(&bean), "books.py");
        assert!(said.contains("balances hold"), "{said}");
        let of = |start: &str| -> i64 {
            let found =
                counted.iter().filter(|((account, code), _)| account.starts_with(start) && code == "EUR");
            found.map(|(_, text)| whole(text)).sum()
        };
        owed.insert(name, ["Income:Fees", "Expenses:Fees", "Liabilities:Tax", "Assets:Tax"].map(of));
        if whose.is_none() {
            let tax =
                counted.keys().filter(|(account, _)| account.starts_with("Assets:ClearingTax:")).count();
            assert!(tax >= 4, "{counted:?}");
        }
    }
    // What the operator earns others pay, and so it is with the tax on it; KINO also has the tax on what it is owed.
    let [income, none, output, input] = owed["pa_op"];
    assert!(income < 0 && output < 0 && (none, input) == (0, 0), "{owed:?}");
    let paid = owed["pa_kino"][1] + owed["pa_harvest"][1];
    assert_eq!(paid, -income);
    let input = owed["pa_kino"][3] + owed["pa_harvest"][3];
    assert_eq!(input, -output - owed["pa_kino"][2], "{owed:?}");
    assert!(owed["pa_kino"][2] < 0);
}

/// The columns that TABLES.md tells of a file, in its order.
fn told(file: &str) -> Vec<String> {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/TABLES.md");
    let text = std::fs::read_to_string(text).expect("readable");
    let rows = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| row.len() == 5 && row[1] == file).map(|row| row[2].to_owned()).collect()
}

#[test]
fn every_column_of_every_table_is_told() {
    let head = |text: &str| -> Vec<String> {
        let first = text.trim_start_matches('\u{feff}').lines().next().expect("a head");
        first.split(',').map(str::to_owned).collect()
    };
    for (file, line) in [
        ("journal", "journal --format csv"),
        ("liability", "liability --csv"),
        ("aging", "report aging --csv"),
        ("exposure", "report exposure --csv"),
        ("what-if", "report what-if pa_harvest --csv"),
        ("cycle", "cycle 1 --report"),
    ] {
        let text = tallyhouse(DEMO.0.path(), &line.split(' ').collect::<Vec<_>>());
        assert_eq!(told(file), head(&text), "{file}");
    }
    let of_file = |path: &str| {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        head(&std::fs::read_to_string(text).expect("readable"))
    };
    assert_eq!(told("chart"), of_file("config/chart.csv"));
    assert_eq!(told("receipts"), of_file("config/demo/receipts.csv"));
    let notices = write_notices_csv(&[]).expect("a head");
    assert_eq!(told("notices"), head(&String::from_utf8(notices).expect("text")));
    let balance = Balance { amount: 0, on: "2026-12-01".parse().expect("a day") };
    let statement = Statement {
        kind: StatementKind::Statement,
        id: "S-1".into(),
        number: None,
        account: "DE89370400440532013000".into(),
        currency: "USD".parse().expect("USD"),
        opening: Some(balance),
        closing: Some(balance),
        lines: vec![],
    };
    let statement = write_statement_csv(&statement, 2).expect("written");
    assert_eq!(told("statement"), head(&String::from_utf8(statement).expect("text")));
}
