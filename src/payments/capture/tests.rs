//! Tests of captures and refunds: sums, shares, fees, and what a step costs.

use super::*;
use crate::book::{Account, Bucket, Found, Name, Origin, PartKey, Source};
use crate::types::{AccountId, Date, Hash, Kid, MAX_INT, ParticipantId, Time, UnitCode};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
struct State(BTreeMap<Name, Arc<Record>>);

impl Source for State {
    fn find(&self, name: &Name) -> Found {
        self.0.get(name).map_or(Found::Absent, |record| Found::Known(record.clone()))
    }
}

impl State {
    fn put(&mut self, name: Name, record: Record) {
        self.0.insert(name, Arc::new(record));
    }

    fn total(&self, name: &Name) -> i64 {
        self.0.get(name).and_then(|record| record.total().copied()).unwrap_or(0)
    }
}

const ID: PaymentId = PaymentId { seq: 3, part: 0 };
const HOLDERS: [AccountId; 2] = [AccountId(1), AccountId(2)];

fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn at(seconds: u64) -> Time {
    Time::from_seconds(seconds).expect("in range")
}

fn terms(unit: &str, amount: u64, points: u64, obligation: u64) -> ShareTerms {
    ShareTerms {
        unit: id(unit),
        consent: id("c"),
        amount: Money::new(amount).expect("fits"),
        points: Points::new(points).expect("fits"),
        obligation: Money::new(obligation).expect("fits"),
        issuer: id("pa_issuer"),
        keeper: None,
        price: 1,
        tax: None,
        reserved: false,
        paired: false,
        pledge: None,
        charged: Money::ZERO,
        disputes: vec![],
        won: Money::ZERO,
        restored: Money::ZERO,
    }
}

/// An open payment of two units, whose accounts hold exactly its points, in some lots each.
fn open(x: u64, points: [u64; 2], obligations: [u64; 2], lots: usize) -> (State, Payment) {
    let mut state = State::default();
    state.put(Name::Cycle, Record::Cycle(crate::book::Cycle { open: 1, live: vec![] }));
    let shares = [("KINO", 0), ("HARVEST", 1)];
    for (unit, n) in shares {
        let code: UnitCode = id(unit);
        let mut account = Account::new(code, 0, None);
        let month = "2026-01".parse().expect("a month");
        for lot in 0..lots {
            let each = points[n] / lots as u64;
            let part = if lot == 0 { points[n] - each * (lots as u64 - 1) } else { each };
            let day: Date = id::<Date>("2030-01-01").plus_days(lot as u32);
            let bucket = Bucket(Some(day), None, month, Origin::Earned);
            account.give(Lot(bucket, Points::new(part).expect("fits")), at(1)).expect("room");
        }
        account.hold(ID.into(), at(1_000), Points::new(points[n]).expect("fits"), at(1)).expect("enough");
        state.put(Name::Account(HOLDERS[n]), Record::Account(account));
        state.put(Name::Share(ID, code), Record::Share(Share { account: HOLDERS[n], taken: vec![] }));
        state.put(Name::Unit(code), Record::from(unit_of(code)));
    }
    let payment = Payment {
        brand: id("br_shop"),
        participant: id("pa_shop"),
        store: id("s"),
        till: id("t"),
        by: Kid(Hash::default()),
        reference: None,
        currency: id("EUR"),
        amount: Money::new(x).expect("fits"),
        shares: shares.iter().map(|(unit, n)| terms(unit, x / 2, points[*n], obligations[*n])).collect(),
        captured: Money::ZERO,
        refunded: Money::ZERO,
        fees: vec![],
        deadline: at(1_000),
        closed: false,
    };
    (state, payment)
}

fn unit_of(_: UnitCode) -> crate::book::Unit {
    crate::book::Unit {
        brand: id("br_issuer"),
        version: 1,
        scale: 0,
        offset: 0,
        expiry: crate::book::Expiry::Never,
        pending_days: 0,
        grace_days: 5,
        issue_cap: None,
        min_spend: None,
        offer_cap: None,
        notice: None,
        floor: vec![],
        kept: None,
        frozen: false,
    }
}

/// Plays a step on a draft of its own; a refused step leaves everything as it was.
fn play(state: &mut State, payment: &mut Payment, when: u64, what: Step) -> Result<(), Stop> {
    let mut after = payment.clone();
    let mut draft = Draft::new(&*state, 9, at(when));
    step(&mut draft, ID, &mut after, what)?;
    draft.put(PartKey::Public, Name::Payment(ID), Some(Record::from(after.clone())))?;
    let effects = draft.finish()?;
    for (name, record) in effects.records {
        match record {
            Some(record) => drop(state.0.insert(name, record)),
            None => drop(state.0.remove(&name)),
        }
    }
    *payment = after;
    Ok(())
}

fn ceil(p: u64, n: u64, x: u64) -> u64 {
    (u128::from(p) * u128::from(n)).div_ceil(u128::from(x)) as u64
}

fn floor(o: u64, n: u64, x: u64) -> u64 {
    (u128::from(o) * u128::from(n) / u128::from(x)) as u64
}

fn redeemed(state: &State, unit: &str) -> i64 {
    state.total(&Name::Shared(id(unit), crate::book::Shared::Redeemed))
}

fn owed(state: &State) -> i64 {
    let pair = (id::<ParticipantId>("pa_issuer"), id::<ParticipantId>("pa_shop"));
    state.total(&Name::Pair(1, pair.0, pair.1, id("EUR")))
}

fn account(state: &State, n: usize) -> &Account {
    state.0[&Name::Account(HOLDERS[n])].account().expect("an account")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_step_stands_at_its_function_and_a_full_refund_ends_at_zero(
        x in 1..5_000u64,
        points in [1..3_000u64, 1..3_000u64],
        obligations in [0..9_000u64, 0..9_000u64],
        lots in 1..5usize,
        steps in prop::collection::vec((0..3u8, 1..3_000u64), 1..14),
    ) {
        let (mut state, mut payment) = open(x, points, obligations, lots.min(points[0].min(points[1]) as usize));
        let before: Vec<Points> = (0..2).map(|n| account(&state, n).total()).collect();
        let lots_before: Vec<Vec<Lot>> =
            (0..2).map(|n| account(&state, n).holds[0].lots.clone()).collect();
        for (sort, amount) in steps {
            let was = (payment.clone(), owed(&state));
            let amount = Money::new(amount).expect("fits");
            let what = match sort {
                0 => Step::Capture { amount, last: false },
                _ => Step::Refund { amount },
            };
            if play(&mut state, &mut payment, 10, what).is_err() {
                prop_assert_eq!((payment.clone(), owed(&state)), was);
            }
            let n = payment.captured.get() - payment.refunded.get();
            prop_assert!(payment.refunded <= payment.captured && payment.captured <= payment.amount);
            for (k, unit) in ["KINO", "HARVEST"].into_iter().enumerate() {
                let stands = ceil(points[k], n, x);
                prop_assert_eq!(redeemed(&state, unit), stands as i64);
                prop_assert_eq!(account(&state, k).total().get(), before[k].get() - stands);
            }
            let due: u64 = obligations.iter().map(|o| floor(*o, n, x)).sum();
            prop_assert_eq!(owed(&state), -(due as i64));
        }
        // Close it, refund the rest: nothing is left anywhere, and every lot is where it was.
        if payment.open(at(10)) {
            play(&mut state, &mut payment, 10, Step::Void).expect("open");
        }
        let left = payment.captured.minus(payment.refunded).expect("not more than captured");
        if !left.is_zero() {
            play(&mut state, &mut payment, 20, Step::Refund { amount: left }).expect("captured");
        }
        prop_assert_eq!(owed(&state), 0);
        for (k, unit) in ["KINO", "HARVEST"].into_iter().enumerate() {
            prop_assert_eq!(redeemed(&state, unit), 0);
            prop_assert_eq!(&account(&state, k).lots, &lots_before[k]);
            prop_assert!(account(&state, k).holds.is_empty());
            let share = state.0[&Name::Share(ID, id(unit))].share().expect("a share").clone();
            prop_assert_eq!(share.taken, vec![]);
        }
    }

    #[test]
    fn a_refund_takes_from_the_end_of_what_was_taken(
        taken in prop::collection::vec(1..100u64, 1..10),
        back in 1..900u64,
    ) {
        let month = "2026-01".parse().expect("a month");
        let lot = |n: usize, points: u64| {
            let day = id::<Date>("2030-01-01").plus_days(n as u32);
            Lot(Bucket(Some(day), None, month, Origin::Earned), Points::new(points).expect("fits"))
        };
        let taken: Vec<Lot> = taken.iter().enumerate().map(|(n, points)| lot(n, *points)).collect();
        let mut share = Share { account: HOLDERS[0], taken: taken.clone() };
        let given = give_back(&mut share, Points::new(back).expect("fits"));
        // Point by point: what stays is the beginning, what comes back is the end, turned around.
        let spread = |lots: &[Lot]| -> Vec<Bucket> {
            lots.iter().flat_map(|lot| (0..lot.1.get()).map(|_| lot.0)).collect()
        };
        let all = spread(&taken);
        let (stays, mut returns) = all.split_at(all.len().saturating_sub(back as usize));
        let turned: Vec<Bucket> = returns.iter().rev().copied().collect();
        returns = &turned;
        prop_assert_eq!(spread(&share.taken), stays);
        prop_assert_eq!(spread(&given), returns);
    }
}

/// Captures all, and refunds it on another day; what the account has then, and what is gone.
fn refunded_on(day: &str) -> (Vec<(Option<Date>, Origin)>, i64) {
    let (mut state, mut payment) = open(100, [10, 10], [0, 0], 1);
    let all = Money::new(100).expect("fits");
    play(&mut state, &mut payment, 10, Step::Capture { amount: all, last: true }).expect("open");
    let when = id::<Date>(day).starts(0).seconds();
    play(&mut state, &mut payment, when, Step::Refund { amount: all }).expect("captured");
    let lots = account(&state, 0).lots.iter().map(|lot| (lot.0.0, lot.0.3)).collect();
    (lots, state.total(&Name::Shared(id("KINO"), crate::book::Shared::Expired)))
}

#[test]
fn grace_is_given_once_and_counts_from_the_old_date() {
    let day = |text: &str| Some(id::<Date>(text));
    // Good through 1 January 2030, with five days of grace.
    assert_eq!(refunded_on("2030-01-01"), (vec![(day("2030-01-01"), Origin::Earned)], 0));
    assert_eq!(refunded_on("2030-01-02"), (vec![(day("2030-01-06"), Origin::Reinstated)], 0));
    assert_eq!(refunded_on("2030-01-06"), (vec![(day("2030-01-06"), Origin::Reinstated)], 0));
    assert_eq!(refunded_on("2030-01-07"), (vec![], 10));
}

#[test]
fn the_largest_numbers_pass_or_are_refused_but_never_wrap() {
    let share = terms("KINO", MAX_INT, MAX_INT, MAX_INT);
    let x = Money::new(MAX_INT).expect("fits");
    for n in [0, 1, MAX_INT / 2, MAX_INT - 1, MAX_INT] {
        let part = Money::new(n).expect("fits");
        assert_eq!(points_at(&share, part, x).expect("fits").get(), n);
        assert_eq!(obligation_at(&share, part, x).expect("fits").get(), n);
    }
    assert!(points_at(&share, x, Money::new(1).expect("fits")).is_err());
    assert!(points_at(&share, x, Money::ZERO).is_err());
}
