//! The house's account over HTTP: a payment that is too large, from the bank's file to the line by which the rest went back.

use super::banking::{Office, cents, line};
use serde_json::json;

#[test]
fn a_payment_that_is_too_large_pays_what_is_open_and_the_rest_goes_back() {
    let office = Office::open(true);
    office.keep();
    let notices = office.get("/v1/cycles/1/notices/EUR").expect(200)["items"].clone();
    let due: Vec<i64> =
        notices.as_array().expect("notices").iter().map(|one| cents(&one["amount"])).collect();
    let much =
        |n: usize, more: i64| line(&format!("IN{n}"), due[n] + more, None, notices[n]["reference"].as_str());
    let read = office.booked("IN", 0, vec![much(0, 250), much(1, 0)]);
    assert_eq!(read["matched"], 2, "{read}");
    let exception = &read["exceptions"][0];
    assert_eq!(
        (&exception["exception"]["why"], &exception["exception"]["amount"]),
        (&json!("wrong_amount"), &json!("2.50")),
        "{read}"
    );
    assert!(exception["advice"].as_str().expect("advice").contains("line.assign"), "{read}");
    assert_eq!(read["imports"][0]["lines"][0]["pays"], json!(due[0] * 100));
    assert_eq!(office.stage(), "funded");
    // What is too much is held for whoever sent it, until it went back.
    let account = || {
        let report = office.get("/v1/reports/exposure").expect(200);
        let all = report["accounts"].as_array().expect("accounts");
        all.iter().find(|one| one["currency"] == "EUR").expect("one in EUR").clone()
    };
    let before = account();
    assert_eq!((&before["nobodys"], &before["short"]), (&json!(25_000), &json!(false)), "{before}");
    let sum = due.iter().sum::<i64>();
    office.booked("OUT", sum + 250, vec![line("BACK", -250, None, None)]);
    let args = json!({"currency": "EUR", "line": {"statement": "OUT", "line": 0}, "returns": {"statement": "IN", "line": 0}});
    let path = "/v1/bank-statements/assignments";
    office.sent("line.assign", path, &args).refused(422, "people_missing");
    office.command(&office.analyst, &office.approvers[..2], "line.assign", path, &args).expect(201);
    let after = account();
    assert_eq!(
        (&after["nobodys"], &after["balance"], &after["must"]),
        (&json!(0), &json!(sum * 100), &json!(sum * 100)),
        "{after}"
    );
    let shown = office.get("/v1/bank-statements/EUR/IN").expect(200);
    let parts = shown["facts"]["assigned"].as_array().expect("parts").clone();
    assert_eq!(parts.len(), 2, "{shown}");
    assert_eq!((&parts[0]["amount"], &parts[1]["amount"]), (&json!(due[0] * 100), &json!(25_000)), "{shown}");
}
