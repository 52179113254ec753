//! Clients that are not ours: a generated one, Swagger UI in a browser, and one that sends whatever it can think of.
//!
//! Owns: the networks that they are shown. Promises: none of them knows more than the document and an API key.
//! Refuses to know: how they work.

mod common;

use common::http::Ask;
use common::sandbox::Sandbox;
use common::tools::{accepts, node_script, python_script};

#[test]
fn a_generated_client_gives_points_and_follows_them() {
    let (sandbox, folder) = (Sandbox::open(71), tempfile::tempdir().expect("a folder"));
    let mut story = python_script("generated.py");
    accepts(story.arg(sandbox.url()).arg(&sandbox.admin).arg(folder.path()), "generated.py");
}

#[test]
fn swagger_ui_gives_points_in_a_browser() {
    let sandbox = Sandbox::open(72);
    let mut story = node_script("swagger.mjs");
    story.arg(sandbox.url()).arg(&sandbox.admin);
    if let Some(picture) = std::env::var_os("PICTURE") {
        story.arg(picture);
    }
    accepts(&mut story, "swagger.mjs");
}

#[test]
fn whatever_is_sent_the_answer_is_one_that_is_described() {
    let sandbox = Sandbox::impatient(73);
    sandbox.award("before", 500);
    // What it keeps for its next run stays out of the tree.
    let folder = tempfile::tempdir().expect("a folder");
    let mut fuzz = python_script("fuzz.py");
    fuzz.current_dir(folder.path()).arg(sandbox.url());
    for (role, key) in [
        ("brand_admin", sandbox.admin.as_str()),
        ("till", &sandbox.till),
        ("consumer", &sandbox.consumer),
        ("operator", &sandbox.operator),
        ("auditor", &sandbox.auditor),
        ("nobody", "-"),
    ] {
        fuzz.args([role, key]);
    }
    accepts(&mut fuzz, "fuzz.py");
    // Whatever it did: the network still stands and gives points.
    assert!(sandbox.award("after", 500) > 0);
}

/// What was found this way, once each.
#[test]
fn numbers_beyond_all_entries_are_nothing_there() {
    let sandbox = Sandbox::impatient(74);
    let (beyond, most) = (1u64 << 63, u64::MAX);
    for path in [
        format!("/v1/entries/{beyond}"),
        format!("/v1/entries/{beyond}/proof"),
        format!("/v1/payments/pay_{}.0", 1u64 << 40),
        "/tile/entries/x999/x999/x999/x999/x999/999".to_owned(),
    ] {
        sandbox.server.get_as(&sandbox.admin, &path).refused(404, "not_found");
    }
    let cursor = tallyhouse::types::b64(format!("[\"entries\",{most}]").as_bytes());
    let page = sandbox.server.get(&format!("/v1/entries?limit=1&cursor={cursor}")).expect(200);
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    for key in [&sandbox.admin, &sandbox.operator] {
        let feed = sandbox.server.get_as(key, &format!("/v1/events?after={most}")).expect(200);
        assert_eq!((&feed["items"], &feed["more"]), (&serde_json::json!([]), &false.into()), "{feed}");
    }
}

/// A wish that is not understood is no leave to write.
#[test]
fn a_dry_run_is_asked_for_in_one_way_only() {
    let sandbox = Sandbox::open(75);
    let body =
        serde_json::json!({"iss": "br_harvest", "unit": "HARVEST", "sub": sandbox.account, "amount": 1});
    for query in ["dry_run=1", "dry_run=True", "dryrun=true", "dry_run=true&x"] {
        let ask = Ask::post(format!("/v1/awards?{query}")).key(&sandbox.admin);
        let ask = ask.with("idempotency-key", "dry").json(&body);
        sandbox.server.ask(&ask).refused(400, "query_invalid");
    }
}
