//! camt: the forms of 2009 and 2019, batches, returns, and what is refused.

use super::*;
use proptest::prelude::*;

const IBAN: &str = "DE89370400440532013000";

fn euro(currency: Currency) -> Option<u8> {
    (currency.as_str() == "EUR").then_some(2)
}

fn balance(code: &str, amount: &str, sign: &str, on: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
    )
}

fn entry(reference: &str, amount: &str, sign: &str, status: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>{status}</Sts><BookgDt><Dt>2026-11-30</Dt></BookgDt>\
         <AcctSvcrRef>{reference}</AcctSvcrRef><BkTxCd/><NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

fn statement_of(version: &str, inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}\"><BkToCstmrStmt>\
         <GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-30T20:00:00</CreDtTm></GrpHdr><Stmt><Id>ST-1</Id><ElctrncSeqNb>17</ElctrncSeqNb>\
         <Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>{inside}</Stmt></BkToCstmrStmt></Document>"
    )
}

fn read_one(text: &str) -> Result<Statement, String> {
    let mut all = read_camt(text.as_bytes(), euro).map_err(|e| e.0)?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

/// Opens with −1.00, two payments in, one out, closes.
fn modern() -> String {
    let first = entry(
        "E1",
        "100.50",
        "CRDT",
        "<Cd>BOOK</Cd>",
        "<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><Amt Ccy=\"EUR\">100.50</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
         <RltdPties><Dbtr><Pty><Nm>Harvest GmbH</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>GB29NWBK60161331926819</IBAN></Id></DbtrAcct></RltdPties>\
         <RmtInf><Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>",
    );
    let second = entry(
        "E2",
        "5.00",
        "CRDT",
        "<Cd>BOOK</Cd>",
        "<TxDtls><RmtInf><Ustrd>ref RF18539007547034</Ustrd><Ustrd>thanks</Ustrd></RmtInf></TxDtls>",
    );
    let third = entry(
        "E3",
        "80.00",
        "DBIT",
        "<Cd>BOOK</Cd>",
        "<TxDtls><Refs><EndToEndId>out-1</EndToEndId></Refs><RltdPties><Cdtr><Nm>Old form</Nm></Cdtr></RltdPties></TxDtls>",
    );
    let pending = entry("E4", "7.00", "DBIT", "<Cd>PDNG</Cd>", "");
    let opening = balance("OPBD", "1.00", "DBIT", "2026-11-30");
    let closing = balance("CLBD", "24.50", "CRDT", "2026-11-30");
    statement_of(
        "08",
        &format!(
            "{opening}{}{closing}{first}{second}{third}{pending}",
            balance("CLAV", "9.00", "CRDT", "2026-11-30")
        ),
    )
}

#[test]
fn a_statement_of_2019() {
    let read = read_one(&modern()).expect("read");
    assert_eq!((read.id.as_str(), read.number, read.account.as_str()), ("ST-1", Some(17), IBAN));
    assert_eq!((read.opening.map(|b| b.amount), read.closing.map(|b| b.amount)), (Some(-100), Some(2_450)));
    let lines: Vec<(&str, i64)> = read.lines.iter().map(|line| (line.entry.as_str(), line.amount)).collect();
    assert_eq!(lines, [("E1", 10_050), ("E2", 500), ("E3", -8_000)], "what is pending is no line");
    let [first, second, third] = read.lines.as_slice() else { panic!("three lines") };
    assert_eq!(first.reference.as_ref().map(Reference::as_str), Some("RF18539007547034"));
    assert_eq!((first.end_to_end.as_deref(), first.name.as_deref()), (None, Some("Harvest GmbH")));
    assert_eq!(first.account.as_deref(), Some("GB29NWBK60161331926819"));
    assert_eq!(second.reference, first.reference, "one word of the free text");
    assert_eq!(second.text.as_deref(), Some("ref RF18539007547034 thanks"));
    assert_eq!((third.end_to_end.as_deref(), third.name.as_deref()), (Some("out-1"), Some("Old form")));
}

#[test]
fn batches_returns_and_reversals_of_2009() {
    let part = |id: &str, amount: &str| {
        format!(
            "<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs><AmtDtls><TxAmt><Amt Ccy=\"EUR\">{amount}</Amt></TxAmt></AmtDtls></TxDtls>"
        )
    };
    let batch = entry("B", "30.00", "CRDT", "BOOK", &(part("in-1", "10.00") + &part("in-2", "20.00")));
    let off = entry("C", "30.00", "CRDT", "BOOK", &(part("in-3", "10.00") + &part("in-4", "19.00")));
    let mute =
        entry("D", "3.00", "CRDT", "BOOK", "<Btch><NbOfTxs>3</NbOfTxs></Btch><TxDtls/><TxDtls/><TxDtls/>");
    let returned = entry("R", "8.00", "CRDT", "BOOK", "<TxDtls><Refs><EndToEndId>out-1</EndToEndId></Refs><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>")
        .replace("<Sts>", "<RvslInd>true</RvslInd><Sts>");
    let opening = balance("PRCD", "0.00", "CRDT", "2026-11-29");
    let closing = balance("CLBD", "71.00", "CRDT", "2026-11-30");
    let read = read_one(&statement_of("02", &format!("{opening}{closing}{batch}{off}{mute}{returned}")))
        .expect("read");
    let lines: Vec<_> =
        read.lines.iter().map(|l| (l.entry.as_str(), l.detail, l.amount, l.end_to_end.as_deref())).collect();
    assert_eq!(
        lines,
        [
            ("B", 0, 1_000, Some("in-1")),
            ("B", 1, 2_000, Some("in-2")),
            ("C", 0, 3_000, None),
            ("D", 0, 300, None),
            ("R", 0, 800, Some("out-1")),
        ],
        "a batch whose parts do not add up, or are not told, is one line without a reference"
    );
    let last = &read.lines[4];
    assert_eq!((last.reversal, last.return_reason.as_deref()), (true, Some("AC04")));
}

#[test]
fn a_notification_has_no_balances() {
    let text = modern()
        .replace("camt.053.001.08", "camt.054.001.08")
        .replace("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn")
        .replace("<Stmt>", "<Ntfctn>")
        .replace("</Stmt>", "</Ntfctn>");
    let read = read_one(&text).expect("read");
    assert_eq!((read.kind, read.lines.len()), (StatementKind::Notification, 3));
    let bare: String = text.split("<Bal>").next().expect("a head").to_owned()
        + "<Ntry>"
        + text.split_once("<Ntry>").expect("entries").1;
    assert_eq!(read_one(&bare).expect("read").opening, None);
}

#[test]
fn what_is_wrong_is_refused() {
    let rows = [
        ("camt.053.001.08", "camt.053.001.99", "namespace"),
        ("<Amt Ccy=\"EUR\">5.00</Amt>", "<Amt Ccy=\"USD\">5.00</Amt>", "not in EUR"),
        ("<Ccy>EUR</Ccy>", "<Ccy>USD</Ccy>", "not a currency of the network"),
        (">5.00<", ">5.001<", "finer"),
        (">5.00<", ">5.01<", "the closing balance is 2450"),
        ("<CdtDbtInd>CRDT</CdtDbtInd><Sts>", "<CdtDbtInd>CREDIT</CdtDbtInd><Sts>", "CRDT or DBIT"),
        ("<Cd>BOOK</Cd>", "<Cd>DONE</Cd>", "BOOK, PDNG"),
        ("<Cd>CLBD</Cd>", "<Cd>CLXX</Cd>", "missing"),
        ("<AcctSvcrRef>E2<", "<AcctSvcrRef>E1<", "twice"),
        ("<Id>ST-1</Id>", "", "Stmt without Id"),
        ("<IBAN>DE89370400440532013000</IBAN>", "", "no IBAN"),
        ("<Dt>2026-11-30</Dt></BookgDt>", "<Dt>30.11.2026</Dt></BookgDt>", "not a date"),
        ("<Stmt>", "<!DOCTYPE x><Stmt>", "DTD"),
    ];
    for (from, to, says) in rows {
        let bad = modern().replacen(from, to, 1);
        assert_ne!(bad, modern(), "{from}");
        let said = read_one(&bad).expect_err(to);
        assert!(said.contains(says), "{to}: {said}");
    }
}

#[test]
fn an_entry_without_a_reference_is_told_apart_by_its_place() {
    let text = modern().replace("<AcctSvcrRef>E2</AcctSvcrRef>", "").replace(">E3<", ">NONREF<");
    let read = read_one(&text).expect("read");
    let entries: Vec<&str> = read.lines.iter().map(|line| line.entry.as_str()).collect();
    assert_eq!(entries, ["E1", "ST-1-2", "ST-1-3"]);
}

proptest! {
    #[test]
    fn damaged_bytes_are_read_or_refused_and_never_more(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = modern().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // What is still read is whole in itself.
        for statement in read_camt(&bytes, euro).into_iter().flatten() {
            prop_assert_eq!(statement.check(), Ok(()));
        }
        let cut = cut.index(bytes.len());
        prop_assert!(read_camt(&bytes[..cut], euro).is_err());
    }
}
