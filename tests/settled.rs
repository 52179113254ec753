//! The journal against the house's positions, after every single entry.
//!
//! Owns: histories in which cycles are paid, are short, are repaid, are off by cents; cover, funds and reserves come and go;
//! participants pay each other.
//! Promises: what a participant's clearing accounts come to is what the house says is not settled, and what the last cycle
//! carried on; cover, funds and reserves are what the house holds; its own books say what the network's say of it.
//! Refuses to know: accountants' programs; `books.rs` asks them.

mod common;

use common::house::{House, eur, step};
use common::node::{How, Replay};
use common::tour::Tour;
use common::world::{id, money};
use std::collections::BTreeMap;
use tallyhouse::book::{Booking, CoverChange, Name, Record, StatementLine, Way};
use tallyhouse::clearing::{Books, InstructionStep, Move, MoveCycle, exposures};
use tallyhouse::formats::{Balances, Chart, Cut, Ledger, write_journal_csv};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::{Event, Sealed};
use tallyhouse::types::{Currency, ParticipantId};

fn event(entry: &Sealed) -> Event {
    let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
    let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
    Event::read(&envelope, entry.hash, &slots).expect("an event")
}

/// An id as accounts have it.
fn part(who: &ParticipantId) -> String {
    format!("P-{}", who.as_str().trim_start_matches("pa_"))
}

/// What the accounts below one come to.
fn below(balances: &Balances, start: &str, currency: Currency) -> i64 {
    let of = balances
        .iter()
        .filter(|((account, commodity), _)| account.starts_with(start) && commodity == currency.as_str());
    of.map(|(_, amount)| amount).sum()
}

/// What the house says is not settled, with what the newest cycle carried on.
fn unsettled(books: &Books, who: &ParticipantId, currency: Currency, position: i64) -> i64 {
    let mut newest = None;
    let mut position = position;
    for (name, record) in &books.0 {
        let (Name::Closing(cycle), Record::Closing(closing)) = (name, &**record) else { continue };
        if closing.approved.is_none() || closing.voided.is_some() {
            continue;
        }
        let line = books.0.get(&Name::Line(*cycle, who.clone(), currency)).and_then(|one| one.line());
        newest = line.map(|line| line.carried()).or(newest);
        // Who bears what was written off owes it in the cycle's books until that is settled; here it has brought it.
        if line.is_none() && closing.settled.is_none() {
            for of in closing.includes.iter().chain([cycle]) {
                let net = books.0.get(&Name::Net(*of, who.clone(), currency)).and_then(|one| one.total());
                position -= net.copied().unwrap_or(0);
            }
        }
    }
    position + newest.unwrap_or(0)
}

/// What the newest statement says is on the house's account, with what was told early and less what was withdrawn and has
/// not left.
fn at_the_bank(books: &Books) -> i64 {
    let of = |record: &Record| match record {
        Record::Bank(bank) => bank.balance,
        Record::Told(told) if told.line.way == Way::In => told.line.amount.signed(),
        Record::Told(told) => -told.line.amount.signed(),
        Record::CoverStep(step) if step.change == CoverChange::Withdrawn && step.line.is_none() => {
            -step.amount.signed()
        }
        _ => 0,
    };
    let in_euro = |name: &Name| match name {
        Name::Bank(currency) | Name::Told(currency, _) | Name::CoverStep(_, currency, _) => {
            *currency == eur()
        }
        _ => false,
    };
    books.0.iter().filter(|(name, _)| in_euro(name)).map(|(_, record)| of(record)).sum()
}

/// Reads a log into journals; after each entry the network's is what the house says, at the end each participant's own is
/// what the network's says of it.
fn compare(entries: &[Sealed]) -> Balances {
    let scales = [(eur(), 4), (id("CHF"), 4)];
    let (mut ledger, mut replay) = (Ledger::new(None, 0, scales), Replay::new(How::Apply));
    let mut participants = vec![];
    for (entry, seq) in entries.iter().zip(0u64..) {
        let event = event(entry);
        ledger.take(&event).expect("booked");
        replay.take(&entry.envelope, &entry.parts).expect("taken over");
        let state = replay.state.0.iter().map(|(name, record)| (name.clone(), record.clone()));
        let books = Books(state.collect());
        participants = books
            .0
            .keys()
            .filter_map(|name| match name {
                Name::Participant(who) => Some(who.clone()),
                _ => None,
            })
            .collect();
        if seq < 2 {
            continue;
        }
        let told: BTreeMap<_, _> = exposures(&books, event.at)
            .expect("a report")
            .into_iter()
            .map(|one| ((one.participant, one.currency), one.position))
            .collect();
        let balances = ledger.balances();
        for who in &participants {
            for (currency, _) in scales {
                let position = told.get(&(who.clone(), currency)).copied().unwrap_or(0);
                let own = part(who);
                let has = below(balances, &format!("Assets:Clearing:{own}:"), currency)
                    + below(balances, &format!("Assets:ClearingTax:{own}:"), currency);
                let should = unsettled(&books, who, currency, position);
                assert_eq!(has, should, "entry {seq} ({}): {who} in {currency}", event.kind);
                let behind = books.0.get(&Name::Funding(who.clone(), currency)).and_then(|one| one.funding());
                for (book, amount) in [
                    ("Cover", behind.map_or(0, |funding| funding.cover.signed())),
                    ("Fund", behind.map_or(0, |funding| funding.fund.signed())),
                ] {
                    let has = below(balances, &format!("Assets:{book}:{own}:House"), currency);
                    assert_eq!(has, amount, "entry {seq} ({}): {book} of {who}", event.kind);
                    assert_eq!(below(balances, &format!("Assets:{book}:House:{own}"), currency), -amount);
                }
            }
        }
        for (name, record) in &books.0 {
            if let (Name::Reserve(unit), Record::Reserve(reserve)) = (name, &**record)
                && reserve.issuance.is_none()
            {
                let has = below(balances, &format!("Assets:Reserve:House:{unit}"), reserve.currency);
                assert_eq!(has, -reserve.held.signed(), "entry {seq}: {unit}");
            }
        }
        let bank = below(balances, "Assets:Bank:House:", eur());
        assert_eq!(bank, at_the_bank(&books), "entry {seq} ({}): the house's bank", event.kind);
        // Nothing comes from nowhere, pair by pair and in all.
        let all: i64 = balances.iter().filter(|((_, of), _)| of == "EUR").map(|(_, amount)| amount).sum();
        assert_eq!(
            (all, below(balances, "Assets:Clearing:", eur())),
            (0, -below(balances, "Assets:ClearingTax:", eur()))
        );
    }
    own_books(entries, &participants, ledger.balances());
    ledger.balances().clone()
}

fn own_books(entries: &[Sealed], participants: &[ParticipantId], network: &Balances) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/config/chart.csv");
    let chart = Chart::read(&std::fs::read(chart).expect("readable")).expect("a chart");
    for who in participants {
        let mut ledger = Ledger::new(Some(who.clone()), 0, [(eur(), 4), (id("CHF"), 4)]);
        entries.iter().for_each(|entry| ledger.take(&event(entry)).expect("booked"));
        let own = ledger.balances();
        for book in ["Bank", "Cover", "Fund", "Overpaid", "Borne", "Disputed"] {
            let (has, says) = (
                below(own, &format!("Assets:{book}:"), eur()),
                below(network, &format!("Assets:{book}:{}:", part(who)), eur())
                    + below(network, &format!("Assets:{book}Tax:{}:", part(who)), eur()),
            );
            assert_eq!(has, says, "{book} of {who}");
        }
        for other in participants.iter().map(part).chain(["House".into()]) {
            let (has, tax) =
                (format!("Assets:Clearing:{other}"), format!("Assets:ClearingTax:{}:{other}", part(who)));
            let at = |balances: &Balances, account: String| {
                balances.get(&(account, "EUR".into())).copied().unwrap_or(0)
            };
            let says = at(network, format!("Assets:Clearing:{}:{other}", part(who))) + at(network, tax);
            assert_eq!(at(own, has), says, "{who} and {other}");
        }
        let all: i64 = own.iter().filter(|((_, of), _)| of == "EUR").map(|(_, amount)| amount).sum();
        assert_eq!(all, 0, "{who}: {own:?}");
        // The chart that comes with the program has an account for each of them.
        let seq = entries.len() as u64 - 1;
        let cut = Cut { origin: "tally.test/world".into(), from: 0, seq, checkpoint: "a\nb\nc\n".into() };
        let journal = ledger.journal(cut).expect("it balances");
        write_journal_csv(&journal, Some(&chart)).expect("an account for each");
    }
}

#[test]
fn the_journal_is_what_the_house_says_after_every_entry() {
    let balances = compare(&Tour::take().node.entries);
    for account in ["Assets:Cover:", "Assets:Fund:", "Assets:Reserve:", "Assets:Bank:P-harvest:House"] {
        assert!(balances.keys().any(|(name, _)| name.starts_with(account)), "{account}: {balances:?}");
    }
    // What was paid between two, beside the house.
    assert!(below(&balances, "Assets:Bank:P-harvest:P-polar", eur()) < 0);
}

/// A house in which brands owe each other.
fn traded(seed: u64) -> House {
    let mut house = House::new(seed, false);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    house.fund("pa_harvest", None, 7_000).expect("set");
    for (shop, unit, amount) in
        [(2, "HARVEST", 40_000), (1, "HARVEST", 12_345), (0, "KINO", 9_000), (2, "KINO", 5_050)]
    {
        house.pay(shop, unit, 0, amount, true).expect("paid");
    }
    house
}

fn settle(house: &mut House, cycle: u64) {
    house.pay_out(cycle).expect("orders leave");
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
}

#[test]
fn who_bore_a_default_is_repaid_by_the_next_cycle_and_then_nobody_has_anything_left() {
    let mut house = traded(21);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &["pa_harvest"]);
    house.now = house.now.plus_seconds(9 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    let tranche = Some(money(500));
    let args = MoveCycle { tranche, ..step(cycle, Move::Cover) };
    house.agreed("cycle.move", &args).expect("covered");
    house.deposit(100_000);
    settle(&mut house, cycle);
    let balances = compare(&house.node.entries);
    let at = |balances: &Balances, account: &str| {
        balances.get(&(account.into(), "EUR".into())).copied().unwrap_or(0)
    };
    assert_eq!(
        at(&balances, "Assets:Clearing:P-franchise:P-harvest"),
        500,
        "the operator's part is owed to it"
    );
    assert_eq!(at(&balances, "Assets:Borne:P-franchise:House"), -500, "which it is to bring");
    assert!(at(&balances, "Assets:Clearing:P-polar:P-harvest") > 0, "and so is what others bore");
    assert_eq!(at(&balances, "Assets:Cover:P-harvest:House"), 0, "all of it was drawn");
    // The next cycle repays them.
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &[]);
    settle(&mut house, cycle);
    let balances = compare(&house.node.entries);
    for who in ["harvest", "kino", "polar", "franchise"] {
        let left = below(&balances, &format!("Assets:Clearing:P-{who}:"), eur());
        assert!(left.abs() < 100, "{who} has {left}, which is no cent");
        let between =
            balances.keys().filter(|(name, _)| name.starts_with(&format!("Assets:Clearing:P-{who}:P-")));
        let between: Vec<_> = between.filter(|key| balances[*key] != 0).collect();
        assert_eq!(between, Vec::<&(String, String)>::new(), "{who}");
    }
    let own = ["Assets:Borne:P-franchise:House", "Assets:Bank:P-franchise:House"];
    assert_eq!(own.map(|one| at(&balances, one)), [-500, 500], "the operator has its part back");
}

#[test]
fn cents_that_are_written_off_are_the_operators_and_come_back_with_the_payment() {
    let mut house = traded(22);
    house.tolerate(300).expect("set");
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due: Vec<_> =
        house.instructions(cycle).into_iter().filter(|(_, (_, one))| one.way == Way::In).collect();
    let (payer, (first, one)) = due[0].clone();
    let own =
        |balances: &Balances, account: String| balances.get(&(account, "EUR".into())).copied().unwrap_or(0);
    let line = house.booked(first, one.amount.get() + 200);
    house.statement(vec![line]);
    let balances = compare(&house.node.entries);
    assert_eq!(own(&balances, format!("Assets:Overpaid:{}:House", part(&payer))), 200);
    house.instruct(first, InstructionStep::WriteOff).expect("written off");
    let balances = compare(&house.node.entries);
    assert_eq!(own(&balances, format!("Assets:Overpaid:{}:House", part(&payer))), 0);
    assert_eq!(own(&balances, "Assets:Borne:P-franchise:House".into()), 200);
    // In its own books it is a loss, and none once all comes back.
    let loss = |house: &House| {
        let mut ledger = Ledger::new(Some(payer.clone()), 0, [(eur(), 4), (id("CHF"), 4)]);
        house.node.entries.iter().for_each(|entry| ledger.take(&event(entry)).expect("booked"));
        own(ledger.balances(), "Expenses:WrittenOff:P-franchise".into())
    };
    assert_eq!(loss(&house), 200);
    let back = StatementLine {
        booking: Booking::Returned,
        way: Way::Out,
        ..house.booked(first, one.amount.get() + 200)
    };
    assert_eq!(house.statement(vec![back]).exceptions, vec![]);
    compare(&house.node.entries);
    assert_eq!(loss(&house), 0);
}
