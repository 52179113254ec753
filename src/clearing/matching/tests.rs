//! Matching: one row for every way a statement can look, and the promise that nothing is paid twice.

use super::super::statement::Balance;
use super::*;
use proptest::prelude::*;

const IBAN: &str = "DE89370400440532013000";

fn id(text: &str) -> Ident {
    text.parse().expect("an id")
}

fn rf(body: &str) -> Reference {
    Reference::of(body).expect("a reference")
}

fn account(last: Option<Last>) -> Account {
    Account { account: IBAN.into(), currency: "EUR".parse().expect("EUR"), last }
}

/// Two pay-ins with references, of 100.00 and 50.00, and a pay-out of 80.00.
fn open() -> Vec<Open> {
    let one = |name: &str, reference: Option<&str>, way, amount| Open {
        id: id(name),
        reference: reference.map(rf),
        way,
        amount,
        paid: 0,
        takes: true,
        returns: true,
    };
    vec![
        one("in-1", Some("IN1"), Way::In, 10_000),
        one("in-2", Some("IN2"), Way::In, 5_000),
        one("out-1", None, Way::Out, 8_000),
    ]
}

fn line(entry: &str, amount: i64) -> Line {
    Line {
        entry: entry.into(),
        unnamed: false,
        detail: 0,
        booked: "2026-11-30".parse().expect("a date"),
        amount,
        reversal: false,
        return_reason: None,
        end_to_end: None,
        reference: None,
        mistyped: None,
        text: None,
        name: None,
        account: None,
    }
}

fn with_id(mut line: Line, id: &str) -> Line {
    line.end_to_end = Some(id.into());
    line
}

fn with_rf(mut line: Line, body: &str) -> Line {
    line.reference = Some(rf(body));
    line
}

fn returned(mut line: Line, why: &str) -> Line {
    line.return_reason = Some(why.into());
    line
}

fn statement(opening: i64, lines: Vec<Line>) -> Statement {
    let on = "2026-11-30".parse().expect("a date");
    let closing = opening + lines.iter().map(|line| line.amount).sum::<i64>();
    Statement {
        kind: StatementKind::Statement,
        id: "ST-7".into(),
        number: Some(7),
        account: IBAN.into(),
        currency: "EUR".parse().expect("EUR"),
        opening: Some(Balance { amount: opening, on }),
        closing: Some(Balance { amount: closing, on }),
        lines,
    }
}

#[derive(Default)]
struct Before {
    statements: Vec<String>,
    lines: BTreeMap<LineKey, i64>,
}

impl Accepted for Before {
    fn statement(&self, statement: &Statement) -> bool {
        self.statements.contains(&statement.id)
    }

    fn line(&self, key: &LineKey) -> Option<i64> {
        self.lines.get(key).copied()
    }

    fn entry(&self, entry: &str) -> Option<i64> {
        let of = self.lines.iter().filter(|(key, _)| key.entry == entry);
        self.lines.contains_key(&LineKey { entry: entry.into(), detail: 0 }).then(|| of.map(|(_, n)| n).sum())
    }
}

fn run(statement: &Statement) -> Matching {
    match_statement(&account(None), statement, &open(), &Before::default(), 5).expect("whole")
}

fn told(matching: &Matching) -> (Vec<(&str, i64, u64)>, Vec<Why>) {
    let matches = matching.matches.iter().map(|m| (m.id.as_str(), m.amount, m.paid)).collect();
    (matches, matching.exceptions.iter().map(|e| e.why).collect())
}

/// The matches (instruction, amount, paid afterwards) and exceptions of lines.
type Row<'a> = (&'a str, Vec<Line>, Vec<(&'a str, i64, u64)>, Vec<Why>);

#[test]
fn every_kind_of_line() {
    let rows: Vec<Row<'_>> = vec![
        ("by reference", vec![with_rf(line("a", 10_000), "IN1")], vec![("in-1", 10_000, 10_000)], vec![]),
        ("by id", vec![with_id(line("a", -8_000), "out-1")], vec![("out-1", 8_000, 8_000)], vec![]),
        (
            "two lines fill one",
            vec![with_rf(line("a", 4_000), "IN1"), with_rf(line("b", 6_000), "IN1")],
            vec![("in-1", 4_000, 4_000), ("in-1", 6_000, 10_000)],
            vec![],
        ),
        (
            "too much: what is open is paid",
            vec![with_rf(line("a", 10_006), "IN1")],
            vec![("in-1", 10_000, 10_000)],
            vec![Why::WrongAmount],
        ),
        (
            "the rest is too much",
            vec![with_rf(line("a", 4_000), "IN1"), with_rf(line("b", 7_000), "IN1")],
            vec![("in-1", 4_000, 4_000), ("in-1", 6_000, 10_000)],
            vec![Why::WrongAmount],
        ),
        (
            "more went out than was ordered",
            vec![with_id(line("a", -8_006), "out-1")],
            vec![],
            vec![Why::WrongAmount],
        ),
        (
            "too much within tolerance",
            vec![with_rf(line("a", 10_005), "IN1")],
            vec![("in-1", 10_005, 10_005)],
            vec![],
        ),
        (
            "paid twice",
            vec![with_rf(line("a", 5_000), "IN2"), with_rf(line("b", 5_000), "IN2")],
            vec![("in-2", 5_000, 5_000)],
            vec![Why::PaidAlready],
        ),
        (
            "paid twice by a cent",
            vec![with_rf(line("a", 5_000), "IN2"), with_rf(line("b", 1), "IN2")],
            vec![("in-2", 5_000, 5_000)],
            vec![Why::PaidAlready],
        ),
        ("no reference", vec![line("a", 10_000)], vec![], vec![Why::UnknownReference]),
        (
            "another's reference",
            vec![with_rf(line("a", 10_000), "ELSE")],
            vec![],
            vec![Why::UnknownReference],
        ),
        (
            "two references",
            vec![with_id(with_rf(line("a", 5_000), "IN1"), "in-2")],
            vec![],
            vec![Why::TwoReferences],
        ),
        ("the wrong way", vec![with_rf(line("a", -5_000), "IN2")], vec![], vec![Why::WrongWay]),
        (
            "a pay-out comes back",
            vec![with_id(line("a", -8_000), "out-1"), returned(with_id(line("b", 8_000), "out-1"), "AC04")],
            vec![("out-1", 8_000, 8_000), ("out-1", -8_000, 0)],
            vec![],
        ),
        (
            "a direct debit comes back in part, and then too much",
            vec![
                with_id(line("a", 5_000), "in-2"),
                returned(with_id(line("b", -2_000), "in-2"), "MD06"),
                returned(with_id(line("c", -3_001), "in-2"), "MD06"),
            ],
            vec![("in-2", 5_000, 5_000), ("in-2", -2_000, 3_000)],
            vec![Why::ReturnTooLarge],
        ),
        (
            "a return of what was not paid",
            vec![returned(with_id(line("a", 8_000), "out-1"), "AC04")],
            vec![],
            vec![Why::ReturnTooLarge],
        ),
        (
            "a return the wrong way",
            vec![returned(with_id(line("a", -8_000), "out-1"), "AC04")],
            vec![],
            vec![Why::WrongWay],
        ),
    ];
    for (name, lines, matches, exceptions) in rows {
        let matching = run(&statement(0, lines));
        assert_eq!(told(&matching), (matches, exceptions), "{name}");
    }
}

#[test]
fn what_acceptance_would_not_take_is_not_promised() {
    let one = |takes, returns| Open { takes, returns, paid: 4_000, ..open().remove(0) };
    let whys = |of: Open, lines: Vec<Line>| {
        let got = match_statement(&account(None), &statement(0, lines), &[of], &Before::default(), 5);
        got.expect("whole").exceptions.into_iter().map(|one| one.why).collect::<Vec<_>>()
    };
    let pays = || with_rf(line("a", 6_000), "IN1");
    let back = |entry: &str| returned(with_rf(line(entry, -1_000), "IN1"), "AC04");
    assert_eq!(whys(one(true, true), vec![pays()]), []);
    // Its order was rejected, or others bore it.
    assert_eq!(whys(one(false, false), vec![pays(), back("b")]), [Why::NotOpen, Why::NotOpen]);
    // It may come back in parts; then it is issued again before it is paid.
    assert_eq!(whys(one(true, true), vec![back("b"), back("c"), pays()]), [Why::NotOpen]);
}

#[test]
fn differences_within_tolerance_are_shown_for_two_people() {
    let short = run(&statement(0, vec![with_rf(line("a", 9_996), "IN1")]));
    assert_eq!(short.differences, [Difference { id: id("in-1"), amount: -4 }]);
    let over = run(&statement(0, vec![with_rf(line("a", 10_003), "IN1")]));
    assert_eq!(over.differences, [Difference { id: id("in-1"), amount: 3 }]);
    assert!(run(&statement(0, vec![with_rf(line("a", 9_000), "IN1")])).differences.is_empty(), "partly paid");
}

#[test]
fn what_is_too_much_waits_for_the_statement_and_is_an_exception_of_it() {
    let lines = vec![with_rf(line("a", 12_500), "IN1")];
    let notification = Statement {
        kind: StatementKind::Notification,
        opening: None,
        closing: None,
        ..statement(0, lines.clone())
    };
    assert_eq!(told(&run(&notification)), (vec![], vec![Why::WrongAmount]));
    let matching = run(&statement(0, lines));
    let except = |e: &Exception| (e.amount, e.candidates.clone(), e.line.clone().map(|key| key.entry));
    let all: Vec<_> = matching.exceptions.iter().map(except).collect();
    assert_eq!(all, [(2_500, vec![id("in-1")], Some("a".to_owned()))]);
    assert!(matching.differences.is_empty(), "nothing to write off");
}

#[test]
fn who_might_be_meant_is_named() {
    let matching = run(&statement(0, vec![line("a", 5_000), line("b", -8_000), line("c", 77)]));
    let names: Vec<Vec<&str>> =
        matching.exceptions.iter().map(|e| e.candidates.iter().map(Ident::as_str).collect()).collect();
    assert_eq!(names, [vec!["in-2"], vec!["out-1"], vec![]]);
}

#[test]
fn a_statement_follows_the_last_one() {
    let last = |closing, number| Some(Last { closing, number });
    let pays = || vec![with_rf(line("a", 10_000), "IN1")];
    let of = |account: &Account, statement: &Statement| {
        match_statement(account, statement, &open(), &Before::default(), 0).expect("whole")
    };
    assert!(of(&account(last(300, Some(6))), &statement(300, pays())).is_acceptable());
    assert!(of(&account(last(300, None)), &statement(300, pays())).is_acceptable());
    for (last, why) in [
        (last(299, Some(6)), vec![Why::Gap]),
        (last(300, Some(5)), vec![Why::NumberGap]),
        (last(1, Some(7)), vec![Why::Gap, Why::NumberGap]),
    ] {
        let matching = of(&account(last), &statement(300, pays()));
        assert_eq!(told(&matching), (vec![], why), "nothing is matched behind a gap");
        assert!(!matching.is_acceptable());
    }
    let mut anew = statement(300, pays());
    anew.number = Some(1);
    assert!(of(&account(last(300, Some(250))), &anew).is_acceptable(), "a new year");
    let mut other = statement(300, pays());
    other.account = "GB29NWBK60161331926819".into();
    assert_eq!(told(&of(&account(None), &other)).1, [Why::OtherAccount]);
    let before = Before { statements: vec!["ST-7".into()], ..Before::default() };
    let matching = match_statement(&account(None), &statement(300, pays()), &open(), &before, 0);
    assert_eq!(told(&matching.expect("whole")).1, [Why::StatementTwice]);
}

#[test]
fn a_line_counts_once_in_whichever_message() {
    let paid = with_rf(line("a", 10_000), "IN1");
    let mut early = statement(0, vec![paid.clone()]);
    (early.kind, early.opening, early.closing) = (StatementKind::Notification, None, None);
    let first = match_statement(&account(None), &early, &open(), &Before::default(), 0).expect("whole");
    assert_eq!(told(&first), (vec![("in-1", 10_000, 10_000)], vec![]));
    let mut open = open();
    open[0].paid = 10_000;
    let mut before = Before::default();
    before.lines.insert(paid.key(), paid.amount);
    let again =
        match_statement(&account(None), &statement(0, vec![paid.clone()]), &open, &before, 0).expect("whole");
    assert_eq!(told(&again), (vec![], vec![]));
    assert_eq!(again.repeated, [paid.key()]);
    let altered = statement(0, vec![with_rf(line("a", 9_999), "IN1")]);
    let altered = match_statement(&account(None), &altered, &open, &before, 0).expect("whole");
    assert_eq!(told(&altered), (vec![], vec![Why::Altered]));
}

#[test]
fn a_batch_that_was_told_in_parts_is_one_line_of_the_statement() {
    let key = |detail| LineKey { entry: "b".into(), detail };
    let before = Before { lines: [(key(0), 2_000), (key(1), 3_000)].into(), ..Before::default() };
    let of = |amount| {
        let statement = statement(0, vec![with_rf(line("b", amount), "IN1")]);
        match_statement(&account(None), &statement, &open(), &before, 0).expect("whole")
    };
    assert_eq!((of(5_000).repeated, told(&of(5_000))), (vec![key(0)], (vec![], vec![])));
    assert_eq!(told(&of(5_001)), (vec![], vec![Why::Altered]));
}

#[test]
fn what_the_bank_gave_no_reference_is_not_told_early() {
    let lines = vec![Line { unnamed: true, ..with_rf(line("N-1", 10_000), "IN1") }];
    let notification = Statement {
        kind: StatementKind::Notification,
        opening: None,
        closing: None,
        ..statement(0, lines.clone())
    };
    assert_eq!(told(&run(&notification)), (vec![], vec![Why::Unnamed]));
    assert_eq!(told(&run(&statement(0, lines))), (vec![("in-1", 10_000, 10_000)], vec![]));
}

#[test]
fn a_statement_that_is_not_whole_is_refused() {
    let refused = |change: &dyn Fn(&mut Statement), says: &str| {
        let mut bad = statement(100, vec![with_rf(line("a", 10_000), "IN1"), line("b", 5)]);
        change(&mut bad);
        let said =
            match_statement(&account(None), &bad, &open(), &Before::default(), 0).expect_err("not whole");
        assert!(said.0.contains(says), "{said}");
    };
    refused(&|s| s.lines[1].entry = "a".into(), "twice");
    refused(&|s| s.lines[1].amount += 1, "the closing balance is 10105");
    refused(&|s| s.closing = None, "missing");
    refused(&|s| s.opening.as_mut().expect("there").on = "2026-12-01".parse().expect("a date"), "opens on");
    refused(&|s| s.lines[1].amount = 0, "amount of 0");
    refused(&|s| s.lines[1].text = Some("x".repeat(141)), "140 characters");
    refused(&|s| s.lines[1].text = Some("a\nb".into()), "140 characters");
    refused(&|s| s.id = String::new(), "140 characters");
}

proptest! {
    #[test]
    fn nothing_is_paid_beyond_its_amount_and_the_tolerance(
        lines in prop::collection::vec((0..4usize, -12_000..12_000i64, any::<bool>()), 1..40),
        tolerance in 0..50u64,
    ) {
        let names = ["in-1", "in-2", "out-1", "nobody"];
        let made = |(n, (which, amount, back)): (usize, &(usize, i64, bool))| {
            let mut line = with_id(line(&format!("e{n}"), if *amount == 0 { 1 } else { *amount }), names[*which]);
            line.reversal = *back;
            line
        };
        let lines: Vec<Line> = lines.iter().enumerate().map(made).collect();
        let statement = statement(0, lines.clone());
        let out = match_statement(&account(None), &statement, &open(), &Before::default(), tolerance).expect("whole");
        for line in &lines {
            let matched = out.matches.iter().filter(|m| m.line == line.key()).map(|m| m.amount.unsigned_abs());
            let except = out.exceptions.iter().filter(|e| e.line.as_ref() == Some(&line.key()));
            let told: u64 = matched.chain(except.map(|e| e.amount.unsigned_abs())).sum();
            prop_assert_eq!(told, line.amount.unsigned_abs(), "every part of a line is one of the two, once");
        }
        for one in open() {
            let paid: i64 = out.matches.iter().filter(|m| m.id == one.id).map(|m| m.amount).sum();
            prop_assert!(paid >= 0 && paid as u64 <= one.amount + tolerance);
            let last = out.matches.iter().rfind(|m| m.id == one.id).map_or(0, |m| m.paid);
            prop_assert_eq!(paid as u64, last);
        }
    }
}
