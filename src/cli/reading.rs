//! The verbs that read, from the command line to what is printed.

use super::Exit;
use super::sample::{ACCOUNT, folder, signer};
use super::tests::tallyhouse;
use crate::log::{LogSigner, Proof};
use crate::types::Hash;
use serde_json::Value;
use std::path::Path;

fn done(dir: &Path, line: &str) -> String {
    let (exit, out, err) = tallyhouse(dir, line, "");
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{line}: {out}");
    out
}

fn json(dir: &Path, line: &str) -> Value {
    serde_json::from_str(&done(dir, &format!("{line} --json"))).expect("JSON")
}

/// A folder of entries, and a place for what is written from it.
fn made(size: u64, state: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    folder(&dir.path().join("data"), size, state);
    dir
}

#[test]
fn a_balance_counts_what_state_does_not_show_yet() {
    for state in [0, 1, 2, 4, 5, 6, 9] {
        let dir = made(10, state);
        let balance = json(&dir.path().join("data"), &format!("balance {ACCOUNT}"));
        let sums = ["available", "held", "pending", "owed", "scale", "seq"].map(|sum| balance[sum].clone());
        assert_eq!(sums, [9_345, 2_000, 0, 0, 2, 9].map(Value::from), "state at {state}");
        assert_eq!(balance["lots"][0]["until"], "2027-12-31");
        assert_eq!(balance["holds"][0]["of"], "pay_4.0");
    }
}

#[test]
fn a_balance_as_of_an_instant_is_what_was_recorded_by_then() {
    let dir = made(10, 9);
    let data = dir.path().join("data");
    let rows = [(2, 12_345, 0), (3, 12_345, 0), (4, 9_345, 3_000), (5, 9_345, 3_000), (6, 9_345, 2_000)];
    for (seq, available, held) in rows {
        let at = super::sample::at(seq);
        let balance = json(&data, &format!("balance {ACCOUNT} --as-of {at}"));
        let sums = ["available", "held", "seq"].map(|sum| balance[sum].clone());
        assert_eq!(sums, [available, held, seq].map(Value::from), "{seq}");
    }
    // Long after: the hold and the lot are past their time, whether or not anybody swept them.
    let late = json(&data, &format!("balance {ACCOUNT} --as-of 2028-01-02T00:00:00Z"));
    assert_eq!((late["available"].clone(), late["held"].clone()), (0.into(), 0.into()));
    let before = super::sample::at(1);
    let (exit, out, err) = tallyhouse(&data, &format!("balance {ACCOUNT} --as-of {before}"), "");
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(err.contains("there is no account"), "{err}");
}

#[test]
fn a_balance_in_words_has_decimal_places() {
    let dir = made(10, 9);
    let text = done(&dir.path().join("data"), &format!("balance {ACCOUNT}"));
    for words in ["HARVEST", "93.45", "20.00 held for pay_4.0 until", "through 2027-12-31", "as of entry 9"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_history_is_newest_first_and_goes_on() {
    let dir = made(10, 9);
    let data = dir.path().join("data");
    let all = json(&data, &format!("history {ACCOUNT}"));
    let line = |line: &Value| (line["seq"].clone(), line["amount"].clone(), line["balance"].clone());
    let lines = all["movements"].as_array().expect("a list");
    let expected = [(6, -1_000, 11_345), (2, 12_345, 12_345)].map(|(a, b, c)| (a.into(), b.into(), c.into()));
    assert_eq!(lines.iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!(all["as_of"], 9);
    let first = json(&data, &format!("history {ACCOUNT} --limit 1"));
    let before = &first["movements"][0]["id"];
    let rest = json(&data, &format!("history {ACCOUNT} --before {before}"));
    assert_eq!(rest["movements"][0], lines[1]);
    let text = done(&data, &format!("history {ACCOUNT}"));
    assert!(
        text.lines().next().is_some_and(|line| line.contains("-10.00") && line.contains("113.45")),
        "{text}"
    );
}

#[test]
fn a_proof_goes_out_and_comes_back_in_both_forms() {
    let dir = made(300, 9);
    let data = dir.path().join("data");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let vkey = signer().vkey();
    std::fs::write(file("vkey"), format!("{vkey}\n")).expect("written");
    for (asked, parts) in [("", 0), ("--parts 1", 1), ("--parts 1,0", 2), ("--parts all", 2)] {
        done(&data, &format!("proof --seq 2 {asked} --out {}", file("2.json")));
        assert_eq!(
            done(&data, &format!("proof --seq 2 {asked}")).as_bytes(),
            std::fs::read(file("2.json")).unwrap()
        );
        // The data folder is not looked at: here is none.
        let nowhere = dir.path().join("nowhere");
        for key in [format!("--vkey {vkey}"), format!("--vkey-file {}", file("vkey"))] {
            let shown = json(&nowhere, &format!("verify-proof {} {key}", file("2.json")));
            assert_eq!(shown["holds"], true);
            let shows = &shown["shows"];
            assert_eq!(
                (&shows["seq"], &shows["size"], &shows["kind"]),
                (&2.into(), &300.into(), &"points.batch".into())
            );
            assert_eq!(shows["parts"].as_array().map(Vec::len), Some(parts));
            assert_eq!(shows["parts_of_entry"], 2);
        }
    }
    done(&data, &format!("proof --seq 2 --tlog-proof --out {}", file("2.tlog-proof")));
    let line = format!("verify-proof {} --vkey {vkey}", file("2.tlog-proof"));
    assert!(done(&data, &line).starts_with("The proof holds.\nlog         points.example/log\n"));
    for name in ["2.json", "2.tlog-proof"] {
        let text = std::fs::read_to_string(file(name)).expect("readable");
        let (exit, out, err) = tallyhouse(&data, &format!("verify-proof - --vkey {vkey}"), &text);
        assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{out}");
    }
}

#[test]
fn a_proof_holds_however_its_json_is_written() {
    let dir = made(300, 9);
    let (data, file) = (dir.path().join("data"), dir.path().join("proof"));
    let good = done(&data, "proof --seq 2 --parts 1");
    let value: Value = serde_json::from_str(&good).expect("JSON");
    let answer = serde_json::json!({"seq": 2, "kind": "points.batch", "proof": value});
    let sorted: std::collections::BTreeMap<String, Value> = serde_json::from_str(&good).expect("JSON");
    let line = format!("verify-proof {} --vkey {}", file.display(), signer().vkey());
    for text in [
        serde_json::to_string_pretty(&value).expect("JSON"),
        serde_json::to_string(&sorted).expect("JSON") + "\n\n",
        good.replace('/', "\\/").replace('+', "\\u002b"),
        answer.to_string(),
    ] {
        std::fs::write(&file, &text).expect("written");
        assert_eq!(json(&data, &line)["shows"]["seq"], 2, "{text}");
        // What is signed is still looked at.
        std::fs::write(&file, text.replace("12345", "92345")).expect("written");
        assert_eq!(tallyhouse(&data, &line, "").0, Exit::Refused, "{text}");
    }
    // One name, one value.
    std::fs::write(&file, good.replacen("{\"v\":1,", "{\"v\":1,\"v\":1,", 1)).expect("written");
    assert_eq!(tallyhouse(&data, &line, "").0, Exit::Refused);
}

#[test]
fn every_entry_of_the_log_is_proven() {
    let dir = made(300, 9);
    let data = dir.path().join("data");
    let log = signer().vkey().parse().expect("a key");
    for seq in [0, 1, 4, 254, 255, 256, 299] {
        let text = done(&data, &format!("proof --seq {seq} --parts all"));
        let shown = Proof::decode(text.trim_end().as_bytes()).expect("a proof").verify(&log).expect("holds");
        assert_eq!(shown.envelope.seq, seq);
    }
    for (line, words) in [
        ("proof --seq 300", "the last is 299"),
        ("proof --seq 2 --parts 2", "no such part"),
        ("proof --seq 2 --parts x", "not a place"),
        ("proof --seq 2 --parts 0 --tlog-proof", "cannot be used with"),
    ] {
        let (exit, out, err) = tallyhouse(&data, line, "");
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{line}");
        assert!(err.contains(words), "{line}: {err}");
    }
}

#[test]
fn a_proof_that_was_tampered_with_ends_with_1() {
    let dir = made(300, 9);
    let data = dir.path().join("data");
    let good = done(&data, "proof --seq 2 --parts 1");
    let text = done(&data, "proof --seq 2 --tlog-proof");
    let vkey = signer().vkey();
    let root = good.split("\\n").nth(2).expect("a root").to_owned();
    let first_hash = good.split_once("\"path\":[\"").expect("a path").1[..64].to_owned();
    let forged = LogSigner::new("points.example/log", &[8; 32]).expect("a name").sign(300, Hash([1; 32]));
    let other_log =
        LogSigner::new("points.example/other", &[7; 32]).expect("a name").sign(300, Hash([1; 32]));
    let note = |note: &str| {
        let start = good.find("\"checkpoint\":").expect("a checkpoint");
        format!("{}\"checkpoint\":{}}}\n", &good[..start], serde_json::to_string(note).expect("JSON"))
    };
    let rows: Vec<(&str, String)> = vec![
        ("the envelope's kind", good.replace("points.batch", "points.issued")),
        ("the envelope's place", good.replace("\\\"seq\\\":2", "\\\"seq\\\":3")),
        ("the part's amount", good.replace("12345", "92345")),
        ("the part's salt", good.replace("AQEBAQ", "AQEBAA")),
        ("the part's place", good.replace("\"index\":1", "\"index\":0")),
        ("the path", good.replacen(&first_hash, &"0".repeat(64), 1)),
        ("the path's length", good.replacen(&format!("\"{first_hash}\","), "", 1)),
        ("the size", good.replace("\\n300\\n", "\\n301\\n")),
        ("the root", good.replace(&root, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")),
        ("another's signature", note(&forged)),
        ("another log", note(&other_log)),
        ("the version", good.replace("{\"v\":1,\"env", "{\"v\":2,\"env")),
        ("a member more", good.replace("{\"v\":1,\"env", "{\"x\":1,\"v\":1,\"env")),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("nothing", String::new()),
        ("not a proof", "hello\n".into()),
        ("the text's place", text.replace("index 2", "index 3")),
        ("the text's size", text.replace("\n300\n", "\n301\n")),
        ("the text's version", text.replace("@v1", "@v2")),
        ("the text's signature", text.replacen("— points", "— pointz", 1)),
    ];
    let file = dir.path().join("proof");
    for (what, bad) in rows {
        assert!(bad != good && bad != text, "{what}");
        std::fs::write(&file, &bad).expect("written");
        let (exit, out, err) =
            tallyhouse(&data, &format!("verify-proof {} --vkey {vkey}", file.display()), "");
        assert_eq!((exit, err.as_str()), (Exit::Refused, ""), "{what}: {out}");
        assert!(out.starts_with("The proof does not hold: "), "{what}: {out}");
        let (exit, out, _) =
            tallyhouse(&data, &format!("verify-proof {} --vkey {vkey} --json", file.display()), "");
        assert_eq!(exit, Exit::Refused);
        let report: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(report["holds"], false, "{what}");
        assert!(report["why"].is_string() && report.get("shows").is_none(), "{what}");
    }
}

#[test]
fn the_key_comes_from_outside_and_must_be_the_log_s() {
    let dir = made(10, 9);
    let data = dir.path().join("data");
    let file = dir.path().join("proof");
    std::fs::write(&file, done(&data, "proof --seq 2")).expect("written");
    let name = file.display();
    let other = LogSigner::new("points.example/log", &[8; 32]).expect("a name").vkey();
    let (exit, out, _) = tallyhouse(&data, &format!("verify-proof {name} --vkey {other}"), "");
    assert_eq!(exit, Exit::Refused, "{out}");
    let vkey = signer().vkey();
    for line in [
        format!("verify-proof {name}"),
        format!("verify-proof {name} --vkey {vkey} --vkey-file {name}"),
        format!("verify-proof {name} --vkey nonsense"),
        format!("verify-proof {name} --vkey-file {name}"),
        format!("verify-proof {name} --vkey-file {name}.gone"),
        format!("verify-proof {name}.gone --vkey {vkey}"),
    ] {
        let (exit, out, err) = tallyhouse(&data, &line, "");
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{line}");
        assert!(!err.is_empty());
    }
}

#[test]
fn an_export_is_the_log_and_the_same_every_time() {
    let dir = made(600, 9);
    let data = dir.path().join("data");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let lines = done(&data, "export");
    assert_eq!(lines.lines().count(), 600);
    assert_eq!(done(&data, "export"), lines);
    let with_parts = done(&data, "export --parts");
    assert_eq!(with_parts.lines().count(), 604);
    let told = done(&data, &format!("export --parts --from 2 --to 2 --out {}", path("two.ndjson")));
    assert!(told.contains("1 entries"), "{told}");
    let two = std::fs::read_to_string(path("two.ndjson")).expect("readable");
    assert_eq!(two.lines().collect::<Vec<_>>(), with_parts.lines().skip(2).take(3).collect::<Vec<_>>());
    let made = json(&data, &format!("export --static {}", path("log")));
    assert_eq!(made["size"], 600);
    assert_eq!(json(&data, &format!("export --static {}", path("log")))["written"], 0);
    assert_eq!(std::fs::read_to_string(path("log.vkey")).expect("a key"), signer().vkey());
    let bundle = std::fs::read(path("log/tile/entries/002.p/88")).expect("a bundle");
    let last = crate::log::unbundle(&bundle).expect("envelopes").pop().expect("one").to_vec();
    assert_eq!(lines.lines().last().map(str::as_bytes), Some(&last[..]));
    for line in ["export --from 601", "export --to 600", "export --static x --parts"] {
        assert_eq!(tallyhouse(&data, line, "").0, Exit::Usage, "{line}");
    }
}

#[test]
fn a_folder_without_a_network_is_said_to_be_one() {
    let dir = tempfile::tempdir().expect("a folder");
    for line in ["export", "proof --seq 0", &format!("balance {ACCOUNT}"), &format!("history {ACCOUNT}")] {
        let (exit, out, err) = tallyhouse(dir.path(), line, "");
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{line}");
        assert!(err.contains("holds no network"), "{err}");
    }
}
