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

/// What the program prints; it must end well.
fn program(data: &Path, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    must_run(command.arg("--data").arg(data).args(line.split_whitespace()), "")
}

#[test]
fn a_network_of_ones_own_is_founded_and_a_brand_joins_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (node, brand) = (dir.path().join("node"), dir.path().join("brand"));
    let mut roots = String::new();
    for name in ["root-1", "root-2", "root-3"] {
        let (apart, public) = (dir.path().join(name), dir.path().join(format!("{name}.json")));
        std::fs::write(&public, program(&apart, &format!("keys new operator {name} --json")))
            .expect("written");
        roots += &format!(" --root @{}", public.display());
    }
    let said = program(&node, &format!("found points.example/main --currency EUR:2 --json{roots}"));
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let net = said["net"].as_str().expect("a network").to_owned();
    let folder = node.display().to_string();
    let served =
        Served::until(dir.path(), &["serve", "--data", &folder, "--listen", "127.0.0.1:0"], "listening on");

    let root = program(&brand, "keys new br_kino root");
    let root = root.lines().last().expect("a key");
    let sign = |data: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
        must_run(command.arg("--data").arg(data).arg("sign").args(more).args(["--net", &net]), "")
    };
    let approved = |data: &Path, kind: &str, body: &str, as_key: &str, by: &[&str]| {
        let statement = sign(data, &["POST", kind, "--as", as_key, "--jws", "--body", body]);
        let mut lines = vec![statement.trim().to_owned()];
        for name in by {
            let key = format!("operator/{name}");
            let one = sign(&dir.path().join(name), &["approval", statement.trim(), "--as", &key]);
            lines.push(one.trim().to_owned());
        }
        let mut post = Command::new("curl");
        post.args(["-sS", "--fail-with-body", "-H", "content-type: application/jose", "--data-binary"]);
        must_run(post.arg(lines.join("\n")).arg(format!("{}{kind}", served.url)), "")
    };
    let entity = r#"{"participant":"pa_kino","currency":"EUR"}"#;
    approved(&dir.path().join("root-1"), "/v1/participants", entity, "operator/root-1", &["root-3"]);
    let body = format!(r#"{{"brand":"br_kino","participant":"pa_kino","root":{root}}}"#);
    let joined = approved(&brand, "/v1/brands", &body, "br_kino/root", &["root-1", "root-2"]);
    assert!(joined.contains("brand.registered"), "{joined}");

    assert!(served.stop("-TERM").success());
    let said = program(&node, "verify");
    assert!(said.contains("VERIFIED"), "{said}");
    let keys = program(&node, "keys show");
    assert!(keys.lines().count() == 1 && keys.contains("operator/log"), "no root was ever here: {keys}");
}
