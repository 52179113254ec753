//! What two people approve is the file that leaves: another hash is not taken, and one that got into the log on another
//! way holds nothing up for good.

use super::banking::{Office, pay_in, sha256};
use crate::common::house::{eur, step};
use crate::common::http::{Ask, Reply};
use serde_json::{Value, json};
use tallyhouse::clearing::{Move, MoveCycle};
use tallyhouse::machine::Request;
use tallyhouse::types::Hash;

/// Two people let a cycle's orders leave in a file, as statements.
fn approved(office: &Office, sha256: &str) -> Request {
    let file = Some(Hash::parse(sha256).expect("a hash"));
    let args = MoveCycle { currency: Some(eur()), file, ..step(1, Move::PayOut) };
    let world = &office.server.world;
    let first = world.command(&office.analyst, &office.server.fresh("leave"), "cycle.move", &args);
    let approvals = office.approvers[..2].iter().map(|key| world.approve(key, &first));
    Request::of(std::iter::once(first.clone()).chain(approvals).collect())
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[test]
fn only_the_hash_of_the_file_that_would_leave_is_taken() {
    let office = Office::open(true);
    let wrong = "0".repeat(64);
    // Before its turn the machine says what is wrong.
    office.pay_out(&wrong).refused(422, "cycle_stage");
    pay_in(&office);
    // A file that cannot be made is approved by nobody.
    let no = office.pay_out(&wrong).refused(409, "not_ready");
    assert!(text(&no["detail"]).contains("pa_polar's bank details"), "{no}");
    office.keep();
    let hash = |query: &str| {
        let shown = office.get(&format!("/v1/cycles/1/orders/EUR{query}")).expect(200);
        (text(&shown["sha256"]), text(&shown["on"]))
    };
    let (right, usual) = hash("");
    let no = office.pay_out(&wrong).refused(422, "file_mismatch");
    let why = text(&no["detail"]);
    assert!(why.contains("GET /v1/cycles/1/orders/EUR") && why.contains("bank orders 1"), "{why}");
    assert!(!why.contains(&right), "nobody signs what a refusal told them");
    // As the body of a signed request, too; the hash that is right comes to the machine.
    let body = |file: &str| json!({"cycle": 1, "step": "pay_out", "currency": "EUR", "file": file});
    let signed = |file: &str| {
        let id = office.server.fresh("leave");
        office.server.ask(&office.server.signed_post(&office.analyst, "/v1/cycles/moves", &id, &body(file)))
    };
    signed(&wrong).refused(422, "file_mismatch");
    signed(&right).refused(422, "people_missing");
    // To whoever does not work for the operator, the machine says whose it is.
    let root = &office.server.world.brands[0].root;
    office.command(root, &[], "cycle.move", "/v1/cycles/moves", &body(&wrong)).refused(403, "key_purpose");
    // A file for a later day is another one, and as good.
    let dry = |file: &str| office.server.submit("/v1/cycles/moves?dry_run=true", &approved(&office, file));
    let days = |n: u32| usual.parse::<tallyhouse::types::Date>().expect("a date").plus_days(n);
    dry(&hash(&format!("?on={}", days(5))).0).expect(200);
    dry(&hash(&format!("?on={}", days(500))).0).refused(422, "file_mismatch");
    office.pay_out(&right).expect(201);
    assert_eq!(sha256(&office.file()), right);
}

#[test]
fn a_wrong_hash_that_got_into_the_log_on_another_way_is_mended_by_issuing_again() {
    let office = Office::open(true);
    office.keep();
    pay_in(&office);
    let engine = office.server.service().engine();
    engine.ask(&approved(&office, &"0".repeat(64)), None).expect("nobody compares");
    engine.settle().expect("settled");
    office.file().refused(409, "not_ready");
    let shown = office.get("/v1/cycles/1/orders/EUR").expect(200);
    let moved = |id: &str, step: &str, file: Option<&str>| -> Reply {
        let mut args = json!({"instruction": id, "step": step});
        if let Some(file) = file {
            args["file"] = json!(file);
        }
        office.command(
            &office.analyst,
            &office.approvers[..2],
            "instruction.move",
            "/v1/instructions/moves",
            &args,
        )
    };
    for one in shown["payments"].as_array().expect("payments") {
        let old = text(&one["instruction"]);
        moved(&old, "reject", None).expect(201);
        let new = format!("ins_{}.0", moved(&old, "reissue", None).seq());
        let path = format!("/v1/cycles/1/orders/EUR?instruction={new}");
        let no = moved(&new, "send", Some(&"1".repeat(64))).refused(422, "file_mismatch");
        assert!(text(&no["detail"]).contains(&path), "{no}");
        let right = text(&office.get(&path).expect(200)["sha256"]);
        moved(&new, "send", Some(&right)).expect(201);
        let ask = Ask::get(path.as_str()).key(&office.reads).with("accept", "application/xml");
        let file = office.server.ask(&ask);
        assert_eq!((file.status, sha256(&file)), (200, right));
    }
}

#[test]
fn a_file_is_of_a_day_that_has_not_passed_and_stays_that_of_the_day_it_was_approved_for() {
    let office = Office::open(true);
    office.keep();
    pay_in(&office);
    let engine = office.server.service().engine();
    let today = || office.server.service().log_time().expect("an instant").date(0);
    let orders = |query: &str| {
        let shown = office.get(&format!("/v1/cycles/1/orders/EUR{query}")).expect(200);
        let on: tallyhouse::types::Date = text(&shown["on"]).parse().expect("a date");
        (on, text(&shown["sha256"]))
    };
    // Payers were late, and that was covered; so the day on which they would have been late has passed.
    let (on, _) = orders("");
    assert!(on >= today() && tallyhouse::clearing::is_business_day(on), "{on}, and it is {}", today());
    // It was approved for a day that nobody would ask for: made again without one, it is that file still.
    let other = today().plus_days(40);
    let (_, hash) = orders(&format!("?on={other}"));
    engine.ask(&approved(&office, &hash), None).expect("approved");
    engine.settle().expect("settled");
    assert_eq!(orders(""), (other, hash.clone()));
    assert_eq!(sha256(&office.file()), hash);
}
