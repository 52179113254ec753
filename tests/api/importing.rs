//! Statements on their way into the log: in pages that can be signed, rejected where they are wrong, as the bank has them.

use super::banking::{Office, cents, line};
use crate::common::house::{cover, eur, funding};
use crate::common::http::Ask;
use crate::common::world::id;
use serde_json::{Value, json};
use tallyhouse::book::Way;
use tallyhouse::clearing::{AcceptStatement, Line, LinePlace, MoveCover, SetFunding};
use tallyhouse::machine::Role;
use tallyhouse::vault::Whom;

#[test]
fn a_statement_of_many_lines_comes_in_pages_that_can_be_signed_and_a_wrong_one_is_rejected() {
    let office = Office::open(false);
    let many = |more: i64| -> Vec<Line> {
        let text = "text ".repeat(28);
        let one = |n: i64| Line {
            text: Some(text.trim().chars().take(140).collect()),
            ..line(&format!("2026120100000000000{n:03}"), 1_000_000 + n + more, None, None)
        };
        (0..151).map(one).collect()
    };
    let wrong = office.read("MANY", 0, many(1));
    let pages = wrong["imports"].as_array().expect("imports").clone();
    assert!(pages.len() > 5, "{}", pages.len());
    let name = |page: &Value| page["statement"].as_str().expect("a name").to_owned();
    for page in &pages {
        office.sent("statement.import", "/v1/bank-statements", page).expect(201);
    }
    // They wait, and whoever reads the document again is told so.
    let listed = |state: &str| {
        let all = office.get(&format!("/v1/bank-statements?limit=7&state={state}")).expect(200);
        let next = all["next"].as_str().map(str::to_owned);
        let mut items = all["items"].as_array().expect("items").clone();
        if let Some(next) = next {
            let more = office.get(&format!("/v1/bank-statements?state={state}&cursor={next}")).expect(200);
            items.extend(more["items"].as_array().expect("items").clone());
        }
        items
    };
    assert_eq!(listed("imported").len(), pages.len());
    let right = office.read("MANY", 0, many(0));
    assert_eq!(right["imports"], json!([]), "{right}");
    assert_eq!(right["imported"].as_array().map(Vec::len), Some(pages.len()));
    assert_eq!(right["imported"][0], json!({"statement": name(&pages[0]), "state": "imported"}));
    let no = office.sent("statement.import", "/v1/bank-statements", &pages[0]).refused(409, "already_exists");
    assert!(no["detail"].as_str().expect("why").contains("statement.reject"), "{no}");
    // Who imported it may reject it; then the same names are free.
    let path = "/v1/bank-statements/rejections";
    for page in &pages {
        let args = json!({"currency": "EUR", "statement": name(page), "reason": "wrong_file"});
        office.sent("statement.reject", path, &args).expect(201);
        office.sent("statement.reject", path, &args).refused(422, "statement_invalid");
    }
    assert_eq!(listed("rejected").len(), pages.len());
    let kept = office.get(&format!("/v1/bank-statements/EUR/{}", name(&pages[0]))).expect(200);
    assert_eq!(kept["facts"]["rejected"]["reason"], "wrong_file");
    // Page by page, with the document read anew in between.
    let accept = |name: String| {
        let args = AcceptStatement { currency: eur(), statement: id(&name) };
        let path = "/v1/bank-statements/acceptances";
        office.command(&office.approvers[0], &[], "statement.accept", path, &args).expect(201);
    };
    let right = office.read("MANY", 0, many(0));
    let again = right["imports"].as_array().expect("imports").clone();
    assert_eq!(again.len(), pages.len());
    for page in &again[..2] {
        office.sent("statement.import", "/v1/bank-statements", page).expect(201);
        accept(name(page));
    }
    let rest = office.read("MANY", 0, many(0));
    assert_eq!(rest["imports"], json!(again[2..]), "{rest}");
    for page in &again[2..] {
        office.sent("statement.import", "/v1/bank-statements", page).expect(201);
        accept(name(page));
    }
    let twice = office.read("MANY", 0, many(0));
    assert_eq!(twice["exceptions"][0]["exception"]["why"], "statement_twice");
    assert_eq!(listed("accepted").len(), pages.len());
    let kino = office.server.api_key(Whom::Brand(id("br_kino")), Role::BrandFinance);
    office.server.ask(&Ask::get("/v1/bank-statements").key(&kino)).refused(403, "not_yours");
}

#[test]
fn what_a_payer_mistyped_and_an_overdrawn_account_are_shown_and_stop_nothing() {
    let office = Office::open(false);
    let notices = office.get("/v1/cycles/1/notices/EUR").expect(200)["items"].clone();
    let mistyped = Line { mistyped: Some("RF00BAD".into()), ..line("A", 5_000, None, None) };
    let good = line("B", cents(&notices[0]["amount"]), None, notices[0]["reference"].as_str());
    let read = office.booked("S-1", 0, vec![line("Q", -1_200, None, None), mistyped, good]);
    assert_eq!((&read["matched"], &read["overdrawn"]), (&json!(1), &json!("-12.00")), "{read}");
    let shown = &read["exceptions"][1];
    assert_eq!(
        (&shown["exception"]["why"], &shown["line"]["mistyped"]),
        (&json!("unknown_reference"), &json!("RF00BAD")),
        "{read}"
    );
}

#[test]
fn a_line_with_a_withdrawals_reference_is_shown_as_that() {
    let office = Office::open(false);
    office.booked("IN", 0, vec![line("A", 50_000, None, None)]);
    let terms = SetFunding { version: 1, ..funding("pa_kino", None) };
    office.agreed("funding.set", "/v1/funding", &terms, false).expect(201);
    let line_of = |statement: &str| Some(LinePlace { statement: id(statement), line: 0 });
    let brings = MoveCover { line: line_of("IN"), ..cover("pa_kino", None, Way::In, 5_000_000) };
    office.agreed("cover.move", "/v1/cover", &brings, false).expect(201);
    let takes = MoveCover { reference: Some(id("OUT-9")), ..cover("pa_kino", None, Way::Out, 100_000) };
    let done = office.agreed("cover.move", "/v1/cover", &takes, true).expect(201);
    let no = office.agreed("cover.move", "/v1/cover", &takes, true).refused(422, "cover_invalid");
    assert!(no["detail"].as_str().expect("why").contains("OUT-9"), "{no}");
    let read = office.booked("OUT", 50_000, vec![line("B", -1_000, Some("OUT-9"), None)]);
    let of = json!({"participant": "pa_kino", "entry": done["seq"]});
    assert_eq!(read["exceptions"][0]["withdrawal"], of, "{read}");
    let args = json!({"currency": "EUR", "line": {"statement": "OUT", "line": 0}, "withdrawal": of});
    office.agreed("line.assign", "/v1/bank-statements/assignments", &args, false).expect(201);
}
