//! Reports of a few records, figure by figure.

use super::*;
use crate::book::{Cycle, Declared, Mark, Netting, NettingMode, Network, Participant};
use crate::types::Hash;

fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn eur() -> Currency {
    id("EUR")
}

/// a owes b 300 and c 100 in the open cycle; a owes b 50 in one that was sealed 40 days ago; 7 are disputed.
fn books(now: Time) -> Books {
    let mut all = Books::default();
    let mut put = |name: Name, record: Record| drop(all.0.insert(name, Arc::new(record)));
    let (a, b, c) = (id("pa_a"), id("pa_b"), id("pa_c"));
    put(
        Name::Network,
        Record::from(Network {
            net: Hash::default(),
            threshold: 1,
            roots: vec![],
            currencies: vec![eur()],
            bank_units: vec![10],
            scales: vec![3],
            capped: true,
            fees: false,
            taxed: false,
            funded: false,
            operator: None,
            driven: false,
            frozen: false,
        }),
    );
    for who in [&a, &b, &c] {
        let record = Participant { currency: eur(), speaker: None };
        put(Name::Participant(ParticipantId::clone(who)), Record::Participant(record));
    }
    put(Name::Cycle, Record::Cycle(Cycle { open: 2, live: vec![1] }));
    let sealed = Time::from_seconds(now.seconds() - 40 * DAY).expect("an instant");
    let sealed = Some(Mark { seq: 5, at: sealed });
    put(Name::Closing(1), Record::from(Closing { sealed, ..Closing::opened(1) }));
    put(Name::Closing(2), Record::from(Closing::opened(5)));
    for (cycle, debtor, creditor, amount) in
        [(2, &a, &b, 300), (2, &a, &c, 100), (1, &a, &b, 50), (0, &b, &a, 7)]
    {
        let (debtor, creditor): (&ParticipantId, &ParticipantId) = (debtor, creditor);
        let (first, second) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
        let total = if first == creditor { amount } else { -amount };
        put(Name::Pair(cycle, first.clone(), second.clone(), eur()), Record::Total(total));
    }
    for (cycle, who, net) in [(2, &a, -400), (2, &b, 300), (2, &c, 100), (1, &a, -50), (1, &b, 50)] {
        put(Name::Net(cycle, ParticipantId::clone(who), eur()), Record::Total(net));
    }
    let money = |n| Money::new(n).expect("fits");
    let funding = Funding { cover: money(75), fund: money(29), ..Funding::default() };
    put(Name::Funding(a, eur()), Record::from(funding));
    all
}

fn now() -> Time {
    id("2026-06-01T00:00:00Z")
}

#[test]
fn obligations_are_as_old_as_their_cycles() {
    let rows = aging(&books(now()), now());
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (row.debtor.as_str(), row.creditor.as_str(), row.open, row.days_60, row.total, row.disputed)
        })
        .collect();
    assert_eq!(
        told,
        [("pa_a", "pa_b", 300, 50, 350, 0), ("pa_a", "pa_c", 100, 0, 100, 0), ("pa_b", "pa_a", 0, 0, 0, 7),]
    );
    let exposed = exposures(&books(now()), now()).expect("fits");
    let nets: Vec<i64> = exposed.iter().map(|one| one.position).collect();
    assert_eq!(nets, [-450, 350, 100]);
}

#[test]
fn what_others_bore_is_owed_once() {
    let mut books = books(now());
    let zero = Money::ZERO;
    let line = |drawn: u64| Line {
        version: 1,
        net: -50,
        carry: 0,
        amount: -50,
        instruction: None,
        paid: zero,
        drawn: Money::new(drawn).expect("fits"),
        lost: zero,
        written_off: zero,
        kept: zero,
    };
    let closing = books.0[&Name::Closing(1)].closing().cloned().expect("a cycle");
    let mark = Mark { seq: 6, at: now() };
    let closing = Closing { approved: Some(mark), due: Some(now().seconds()), ..closing };
    books.0.insert(Name::Closing(1), Arc::new(Record::from(closing)));
    // b bore 30 of the 50 that a did not pay, its cover 20: a owes b 30 in the open cycle.
    let pair = Name::Pair(2, id("pa_a"), id("pa_b"), eur());
    books.0.insert(pair, Arc::new(Record::Total(-330)));
    for (drawn, days_60, total) in [(0, 50, 380), (25, 25, 355), (50, 0, 330)] {
        let name = Name::Line(1, id("pa_a"), eur());
        books.0.insert(name, Arc::new(Record::Line(line(drawn))));
        let rows = aging(&books, now());
        assert_eq!((rows[0].open, rows[0].days_60, rows[0].total), (330, days_60, total), "{rows:?}");
    }
}

#[test]
fn what_stands_apart_is_borne_by_whom_it_is_owed_to_and_by_nobody_else() {
    let mut books = books(now());
    let c =
        Declared { participant: id("pa_c"), version: 1, house: false, from: vec![(2, NettingMode::SetOff)] };
    books.0.insert(Name::Netting, Arc::new(Record::Netting(Netting { declared: vec![c] })));
    // c owes b 40, too, and b owes a nothing: no loop, so all of it is left.
    books.0.insert(Name::Pair(2, id("pa_b"), id("pa_c"), eur()), Arc::new(Record::Total(40)));
    books.0.insert(Name::Net(2, id("pa_b"), eur()), Arc::new(Record::Total(340)));
    books.0.insert(Name::Net(2, id("pa_c"), eur()), Arc::new(Record::Total(60)));
    let told = |who: &str| -> Vec<_> {
        let holes = what_if(&books, &id(who), Money::new(15).expect("fits")).expect("fits");
        let told = |one: Hole| {
            let others: Vec<_> = one.others.iter().map(|b| (b.participant.to_string(), b.amount)).collect();
            (one.cycle, one.apart, one.hole, one.cover + one.fund + one.operator, others, one.left)
        };
        holes.into_iter().map(told).collect()
    };
    let bears = |who: &str, amount: u64| vec![(who.to_owned(), amount)];
    assert_eq!(
        told("pa_a"),
        [
            (1, false, 50, 50, vec![], 0),
            (2, true, 100, 0, bears("pa_c", 100), 0),
            (2, false, 300, 50, bears("pa_b", 250), 0),
        ]
    );
    assert_eq!(told("pa_c"), [(2, true, 40, 0, bears("pa_b", 40), 0)], "though it is owed more than it owes");
}

#[test]
fn a_default_is_borne_as_a_shortfall_would_be_and_sums_to_the_hole() {
    let holes = what_if(&books(now()), &id("pa_a"), Money::new(15).expect("fits")).expect("fits");
    let told: Vec<_> = holes
        .iter()
        .map(|one| {
            let others: Vec<_> = one.others.iter().map(|b| (b.participant.as_str(), b.amount)).collect();
            (one.cycle, one.hole, one.cover, one.fund, one.operator, others, one.left)
        })
        .collect();
    // The oldest cycle draws first; in whole units of ten; then who is owed, in proportion.
    assert_eq!(
        told,
        [(1, 50, 50, 0, 0, vec![], 0), (2, 400, 20, 20, 10, vec![("pa_b", 260), ("pa_c", 90)], 0),]
    );
    for one in &holes {
        let others: u64 = one.others.iter().map(|bears| bears.amount).sum();
        assert_eq!(one.cover + one.fund + one.operator + others + one.left, one.hole);
    }
    assert_eq!(what_if(&books(now()), &id("pa_b"), Money::ZERO), Ok(vec![]));
}
