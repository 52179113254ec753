//! Clients that are not ours: a generated one, Swagger UI in a browser, and one that sends whatever it can think of.
//!
//! Owns: the networks that they are shown. Promises: none of them knows more than the document and an API key.
//! Refuses to know: how they work.

mod common;

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
    let sandbox = Sandbox::open(73);
    sandbox.award("before", 500);
    let mut fuzz = python_script("fuzz.py");
    fuzz.arg(sandbox.url());
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
