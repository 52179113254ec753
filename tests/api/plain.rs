//! Bank details count once the vault has them in full: else a cycle could be paid in, and then neither paid out nor given up.

use super::banking::{Office, salted};
use crate::common::funds::caller;
use crate::common::house::{eur, step};
use serde_json::json;
use tallyhouse::clearing::{ConfirmDetails, Move, MoveCycle, SetDetails};
use tallyhouse::types::Refusal;

#[test]
fn details_that_the_vault_lacks_are_not_confirmed() {
    let office = Office::open(true);
    let (polar, caller) = (&office.server.world.brands[2], caller(&office.server.world));
    let (details, participant) = (salted(0, "pa_polar"), polar.participant.clone());
    let (currency, version, settlement) = (eur(), 2, false);
    let set = SetDetails {
        participant: participant.clone(),
        currency,
        version,
        commitment: details.commitment(),
        settlement,
    };
    let path = "/v1/bank-details";
    office.command(&polar.root, &polar.approvers[..2], "details.set", path, &set).expect(201);
    let path = "/v1/bank-details/confirmations";
    let args = ConfirmDetails { participant, currency, version, settlement };
    let confirm = || office.command(&caller, &[], "details.confirm", path, &args);
    let no = confirm().refused(409, "not_ready");
    let why = no["detail"].as_str().expect("why");
    assert!(why.contains("version 2 of pa_polar") && why.contains("POST /v1/bank-details:keep"), "{why}");
    // What is not there, and who may not, the machine refuses.
    let other = ConfirmDetails { version: 3, ..args.clone() };
    let code = Refusal::SerialStale.code();
    office.command(&caller, &[], "details.confirm", path, &other).refused(409, code);
    office.command(&polar.root, &[], "details.confirm", path, &args).refused(403, "key_purpose");
    let body = serde_json::to_value(&details).expect("JSON");
    let keep = office.server.fresh("keep");
    office
        .server
        .ask(&office.server.signed_post(&polar.root, "/v1/bank-details:keep", &keep, &body))
        .expect(201);
    confirm().expect(201);
}

#[test]
fn a_cycle_whose_payments_no_file_could_name_is_not_approved() {
    let office = Office::after(true, |house, cycle| {
        house.compute(cycle).expect("computed");
        house.review(cycle);
        house.now = house.now.plus_seconds(3_601);
        house.award("HARVEST", 0, 1);
    });
    let args = MoveCycle { version: Some(1), ..step(1, Move::Approve) };
    let path = "/v1/cycles/moves";
    let approve = || office.command(&office.analyst, &office.approvers[..2], "cycle.move", path, &args);
    let no = approve().refused(409, "not_ready");
    let why = no["detail"].as_str().expect("why");
    assert!(why.contains("version 1 of pa_polar") && why.contains("/v1/bank-details:keep"), "{why}");
    office.keep();
    approve().expect(201);
    assert_eq!(office.stage(), "approved");
}

#[test]
fn a_voided_cycle_has_no_documents() {
    let office = Office::after(true, |house, cycle| house.approve(cycle));
    let documents = || office.get("/v1/cycles/1/report").expect(200)["sides"][0]["documents"].clone();
    assert_eq!(documents().as_array().map(Vec::len), Some(3));
    let void = MoveCycle { reason: Some("no".parse().expect("a word")), ..step(1, Move::Void) };
    let path = "/v1/cycles/moves";
    office.command(&office.analyst, &office.approvers[..2], "cycle.move", path, &void).expect(201);
    // Its obligations are billed with the cycle that took them over, under these numbers.
    assert_eq!(documents(), json!([]));
}
