//! Bank: other people's tools take our orders, and we read what other people's tools write.
//!
//! Owns: orders as a cycle makes them, and a bank that pyiso20022 plays.
//! Promises: pain.001 and pain.008 validate against the ISO schemas; what the bank sends is read in the forms of 2009
//! and 2019, matched, and everything that is not right becomes an exception.
//! Refuses to know: how either library works.

mod common;

use common::tools::{accepts, python_script, rejects};
use serde_json::{Value, json};
use std::path::Path;
use tallyhouse::clearing::{
    Accepted, Account, Last, LineKey, Matching, Open, Reference, Statement, StatementKind, Way, Why,
    match_statement,
};
use tallyhouse::formats::{
    BankParty, CreditTransfers, Debit, DirectDebits, Mandate, Order, Scheme, SequenceType, Transfer, Verdict,
    read_camt, read_pain002, write_pain001, write_pain008,
};
use tallyhouse::types::Currency;

const IBAN: &str = "DE89370400440532013000";

fn euro(currency: Currency) -> Option<u8> {
    (currency.as_str() == "EUR").then_some(2)
}

fn party(name: &str, iban: &str, bic: Option<&str>) -> BankParty {
    BankParty {
        name: name.into(),
        iban: iban.parse().expect("an IBAN"),
        bic: bic.map(|bic| bic.parse().expect("a BIC")),
    }
}

fn order(message: &str) -> Order {
    Order {
        message: message.parse().expect("an id"),
        created: "2026-11-30T08:15:00.000000Z".parse().expect("an instant"),
        initiator: "Tallyhouse Clearing <Ltd> & Söhne".into(),
        account: party("Tallyhouse Clearing", IBAN, Some("COBADEFF")),
        currency: "EUR".parse().expect("EUR"),
        digits: 2,
    }
}

fn transfers() -> CreditTransfers {
    let one = |id: &str, amount, reference: Option<&str>, text: Option<&str>| Transfer {
        id: id.parse().expect("an id"),
        amount,
        creditor: party(
            "Müller \"Points\" AG",
            "GB29NWBK60161331926819",
            Some("NWBKGB2L").filter(|_| amount > 5),
        ),
        reference: reference.map(|body| Reference::of(body).expect("a reference")),
        text: text.map(str::to_owned),
    };
    CreditTransfers {
        order: order("CYCLE-2026-11-OUT"),
        on: "2026-12-01".parse().expect("a date"),
        transfers: vec![
            one("cy-7.out-1", 1_234_567, Some("2026110001"), None),
            one("cy-7.out-2", 5, None, Some("Points, November 2026 – thanks ☺")),
            one("cy-7.out-3", 9_007_199_254_740_991, None, None),
        ],
    }
}

fn debits() -> DirectDebits {
    let one = |id: &str, amount, sequence| Debit {
        id: id.parse().expect("an id"),
        amount,
        debtor: party("Orchard Ltd", "GB29NWBK60161331926819", None),
        mandate: Mandate {
            id: format!("MANDATE-{id}").parse().expect("an id"),
            signed: "2026-01-15".parse().expect("a date"),
            sequence,
        },
        reference: Some(Reference::of("2026110002").expect("a reference")),
    };
    DirectDebits {
        order: order("CYCLE-2026-11-IN"),
        creditor_id: "DE98ZZZ09999999999".parse().expect("a creditor identifier"),
        scheme: Scheme::B2b,
        on: "2026-12-01".parse().expect("a date"),
        debits: vec![
            one("cy-7.in-1", 100, SequenceType::Recurring),
            one("cy-7.in-2", 2_050, SequenceType::First),
            one("cy-7.in-3", 3_000, SequenceType::Recurring),
        ],
    }
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn orders_validate_against_the_iso_schemas() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = write_pain001(&transfers()).expect("written");
    let collect = write_pain008(&debits()).expect("written");
    let files = [file(folder.path(), "out.xml", &out), file(folder.path(), "in.xml", &collect)];
    let said = accepts(python_script("pain.py").args(&files), "pain.py");
    assert!(said.contains("2 files, 6 payments"), "{said}");
    assert_eq!(write_pain001(&transfers()).expect("written"), out, "the same bytes again");
    let mut dollars = transfers();
    dollars.order.currency = "USD".parse().expect("USD");
    let dollars = write_pain001(&dollars).expect("written");
    assert!(!String::from_utf8_lossy(&dollars).contains("SEPA"));
    accepts(python_script("pain.py").arg(file(folder.path(), "usd.xml", &dollars)), "pain.py");
    let bent = |bytes: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        assert!(text.contains(from), "{from}");
        let path = file(folder.path(), "bent.xml", text.replacen(from, to, 1).as_bytes());
        rejects(python_script("pain.py").arg(path), "pain.py");
    };
    bent(&out, "12345.67", "12345.68");
    bent(&out, "<NbOfTxs>3", "<NbOfTxs>4");
    bent(&out, "<PmtMtd>TRF</PmtMtd>", "");
    bent(&out, "GB29NWBK60161331926819", "not an IBAN");
    bent(&collect, "<SeqTp>FRST", "<SeqTp>NEXT");
    bent(&collect, "20.50", "20.505555");
}

#[test]
fn an_order_that_a_bank_would_not_take_is_not_written() {
    let refused = |change: &dyn Fn(&mut CreditTransfers), says: &str| {
        let mut bad = transfers();
        change(&mut bad);
        let said = write_pain001(&bad).expect_err(says);
        assert!(said.0.contains(says), "{said}");
    };
    refused(&|f| f.transfers.clear(), "at least one payment");
    refused(&|f| f.transfers[1].amount = 0, "for nothing");
    refused(&|f| f.transfers[1].id = f.transfers[0].id.clone(), "twice");
    refused(&|f| f.transfers[1].id = "a_b".parse().expect("an id"), "no id for a bank");
    refused(&|f| f.transfers[1].id = "x".repeat(36).parse().expect("an id"), "at most 35");
    refused(&|f| f.order.message = "x".repeat(34).parse().expect("an id"), "at most 33");
    refused(&|f| f.transfers.iter_mut().for_each(|t| t.amount = u64::MAX / 3), "more than a bank takes");
    let mut long = debits();
    long.debits[0].mandate.id = "x".repeat(36).parse().expect("an id");
    assert!(write_pain008(&long).is_err());
}

/// What the bank books: a pay-in by reference, two pay-ins in a batch, a pay-out, one that comes back, and a payment
/// that nobody expects.
fn plan() -> Value {
    json!({
        "id": "ST-8", "number": "8", "account": IBAN, "day": "2026-11-30", "opening": "-10.00", "closing": "141.00",
        "message": "CYCLE-2026-11-OUT",
        "entries": [
            {"entry": "E1", "amount": "100.00", "reference": Reference::of("IN1").expect("one"), "name": "Harvest <AG>"},
            {"entry": "E2", "amount": "50.00", "parts": [
                {"amount": "20.00", "end_to_end": "in-2"}, {"amount": "30.00", "end_to_end": "in-3"},
            ]},
            {"entry": "E3", "amount": "-80.00", "end_to_end": "out-1"},
            {"entry": "E4", "amount": "80.00", "end_to_end": "out-1", "return": "AC04"},
            {"entry": "E5", "amount": "1.00", "text": "a gift", "iban": "GB29NWBK60161331926819"},
        ],
        "payments": [
            {"id": "out-1", "status": "ACSP"}, {"id": "out-2", "status": "RJCT", "reason": "AC01"}, {"id": "out-3", "status": "PDNG"},
        ],
    })
}

struct Bank(tempfile::TempDir);

impl Bank {
    fn sends(plan: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "plan.json", plan.to_string().as_bytes());
        accepts(python_script("bank.py").arg(path).arg(folder.path()), "bank.py");
        Self(folder)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).expect("a file")
    }

    fn statement(&self, name: &str) -> Statement {
        let mut all = read_camt(&self.bytes(name), euro).expect("read");
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

struct Nothing;

impl Accepted for Nothing {
    fn statement(&self, _: &Statement) -> bool {
        false
    }

    fn line(&self, _: &LineKey) -> Option<i64> {
        None
    }

    fn entry(&self, _: &str) -> Option<i64> {
        None
    }
}

fn matched(statement: &Statement, closing: i64) -> Matching {
    let one = |id: &str, reference: Option<&str>, way, amount| Open {
        id: id.parse().expect("an id"),
        reference: reference.map(|body| Reference::of(body).expect("a reference")),
        way,
        amount,
        paid: 0,
        takes: true,
        returns: true,
    };
    let open = [
        one("in-1", Some("IN1"), Way::In, 10_000),
        one("in-2", Some("IN2"), Way::In, 2_000),
        one("in-3", Some("IN3"), Way::In, 3_000),
        one("out-1", None, Way::Out, 8_000),
    ];
    let last = Some(Last { closing, number: Some(7) });
    let account = Account { account: IBAN.into(), currency: "EUR".parse().expect("EUR"), last };
    match_statement(&account, statement, &open, &Nothing, 0).expect("whole")
}

#[test]
fn what_pyiso20022_writes_is_read_and_matched() {
    let bank = Bank::sends(&plan());
    let statement = bank.statement("statement.xml");
    assert_eq!((statement.number, statement.lines.len()), (Some(8), 6));
    assert_eq!(statement.lines[0].name.as_deref(), Some("Harvest <AG>"));
    assert_eq!(statement.lines[5].account.as_deref(), Some("GB29NWBK60161331926819"));
    assert_eq!(bank.statement("old.xml"), statement, "the form of 2009 says the same");
    let told = bank.statement("notification.xml");
    assert_eq!((told.kind, &told.lines), (StatementKind::Notification, &statement.lines));
    let matching = matched(&statement, -1_000);
    let paid: Vec<(&str, i64)> = matching.matches.iter().map(|m| (m.id.as_str(), m.amount)).collect();
    assert_eq!(
        paid,
        [("in-1", 10_000), ("in-2", 2_000), ("in-3", 3_000), ("out-1", 8_000), ("out-1", -8_000)]
    );
    assert_eq!(matching.matches[4].return_reason.as_deref(), Some("AC04"));
    let exceptions: Vec<Why> = matching.exceptions.iter().map(|e| e.why).collect();
    assert_eq!(exceptions, [Why::UnknownReference]);
}

#[test]
fn what_is_not_right_becomes_an_exception_or_is_refused() {
    let whys = |plan: &Value, closing| {
        let matching = matched(&Bank::sends(plan).statement("statement.xml"), closing);
        matching.exceptions.iter().map(|e| e.why).collect::<Vec<_>>()
    };
    assert_eq!(whys(&plan(), -999), [Why::Gap]);
    let mut much = plan();
    (much["entries"][0]["amount"], much["closing"]) = (json!("100.01"), json!("141.01"));
    assert_eq!(whys(&much, -1_000), [Why::WrongAmount, Why::UnknownReference]);
    let mut twice = plan();
    twice["entries"][4] = json!({"entry": "E5", "amount": "1.00", "end_to_end": "in-2"});
    assert_eq!(whys(&twice, -1_000), [Why::PaidAlready]);
    let bank = Bank::sends(&plan());
    let text = String::from_utf8(bank.bytes("statement.xml")).expect("UTF-8");
    let (head, body) = text.split_once('\n').expect("a declaration");
    let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let said = read_camt(format!("{head}{laughs}{body}").as_bytes(), euro).expect_err("refused");
    assert!(said.0.contains("(DTD)"), "{said}");
    let short = text.replacen("141.00", "141.01", 1);
    assert!(
        read_camt(short.as_bytes(), euro).expect_err("refused").0.contains("the closing balance is 14101")
    );
    // A file that was cut off, wherever, is refused.
    for at in (0..text.len()).step_by(97) {
        assert!(read_camt(&text.as_bytes()[..at], euro).is_err(), "{at}");
    }
}

#[test]
fn a_status_report_is_read() {
    let bank = Bank::sends(&plan());
    let report = read_pain002(&bank.bytes("status.xml")).expect("read");
    assert_eq!(report.message, "CYCLE-2026-11-OUT");
    assert_eq!(report.group.map(|group| group.verdict), Some(Verdict::PartlyAccepted));
    let payments: Vec<(&str, Verdict)> = report.payments.iter().map(|p| (p.id.as_str(), p.verdict)).collect();
    assert_eq!(
        payments,
        [("out-1", Verdict::Accepted), ("out-2", Verdict::Rejected), ("out-3", Verdict::Pending)]
    );
    assert_eq!(report.payments[1].reasons, ["AC01"]);
    let text = String::from_utf8(bank.bytes("status.xml")).expect("UTF-8");
    let said = read_pain002(text.replace("ACSP", "FINE").as_bytes()).expect_err("refused");
    assert!(said.0.contains("ask the bank"), "{said}");
}
