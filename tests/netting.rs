//! Netting: set-off against an independent solver.
//!
//! Owns: 200 random graphs, of every density, drawn by a fixed seed.
//! Promises: our set-off is networkx's optimum on each of them, our certificate holds, and a total that is one too
//! small is found.
//! Refuses to know: how either solver works.

mod common;

use common::rng::Rng;
use common::tools::{accepts, python_script, rejects};
use serde_json::{Value, json};
use tallyhouse::clearing::{Matrix, check_set_off, set_off};
use tallyhouse::types::ParticipantId;

const GRAPHS: u64 = 200;

/// A graph of 2 to 30 participants; the higher its number, the denser.
fn graph(rng: &mut Rng, number: u64) -> Matrix {
    let count = 2 + rng.below(29);
    let id = |n: u64| format!("pa_{n:02}").parse::<ParticipantId>().expect("an id");
    let parties: Vec<ParticipantId> = (0..count).map(id).collect();
    let mut debts = vec![];
    for debtor in &parties {
        for creditor in &parties {
            if debtor != creditor && rng.below(GRAPHS) <= number {
                // Small amounts make ties, large ones use every bit.
                let most = if number.is_multiple_of(2) { 5 } else { 1 << 40 };
                debts.push((debtor, creditor, 1 + rng.below(most) as i64));
            }
        }
    }
    Matrix::of(debts).expect("sound")
}

#[test]
fn set_off_is_the_optimum_of_networkx() {
    let mut rng = Rng::new(2026);
    let mut cases: Vec<Value> = vec![];
    while cases.len() < GRAPHS as usize {
        let matrix = graph(&mut rng, cases.len() as u64);
        if matrix.is_empty() {
            continue;
        }
        let off = set_off(&matrix).expect("solved");
        check_set_off(&matrix, &off).expect("our own certificate");
        let debts: Vec<Value> =
            matrix.debts().map(|debt| json!([debt.debtor, debt.creditor, debt.amount])).collect();
        cases.push(json!({"debts": debts, "set_off": off.total() as u64}));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cases.json");
    std::fs::write(&path, json!(cases).to_string()).expect("a file");
    let said = accepts(python_script("setoff.py").arg(&path), "setoff.py");
    assert!(said.contains("200 graphs"), "{said}");
    let last = cases.last_mut().expect("cases");
    let less = last["set_off"].as_u64().expect("a total") - 1;
    last["set_off"] = json!(less);
    std::fs::write(&path, json!(cases).to_string()).expect("a file");
    rejects(python_script("setoff.py").arg(&path), "setoff.py");
}
