//! The views against the state: whatever the machine decides, the tables made for people say the same.
//!
//! Owns: a random day of trade in the test network, and what each view must say about it.
//! Promises: a seed names a run. The views are checked against state records, which other code made.
//! Refuses to know: how the tables are written.

mod common;

use common::node::PureNode;
use common::rng::Rng;
use common::world::{Till, World, beginning, id, money, points};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tallyhouse::book::{Name, Record, Shared};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::{Event, Kind};
use tallyhouse::payments::Authorise;
use tallyhouse::sign::{Award, PaymentConsent};
use tallyhouse::types::{AccountId, PaymentId, Time, UnitCode, encode};
use tallyhouse::views::{Moment, Reader, Span, Views, What, difference};

/// Holders of each unit.
const HOLDERS: u64 = 3;

/// A day of trade: requests at random, many of them refused.
struct Trade {
    world: World,
    node: PureNode,
    rng: Rng,
    now: Time,
    count: u64,
    payments: Vec<(PaymentId, usize, usize)>,
}

impl Trade {
    fn new(seed: u64, steps: usize) -> Self {
        let world = World::unsigned(seed);
        let mut node = PureNode::founded(&world);
        // Half of the days nothing is swept: what is due is booked by the commands that come across it.
        node.ticking = seed.is_multiple_of(2);
        let rng = Rng::new(seed);
        let mut trade = Self { world, node, rng, now: beginning(), count: 0, payments: vec![] };
        for unit in trade.units() {
            for n in 0..HOLDERS as usize {
                let (cid, holder) = (trade.fresh("open"), trade.world.holder(unit, n));
                let request = trade.world.open_account(&cid, unit, &holder);
                trade.node.submit(&request, trade.now).expect("opens");
            }
        }
        for _ in 0..steps {
            trade.step();
        }
        trade
    }

    fn units(&self) -> Vec<UnitCode> {
        self.world.units().map(|unit| unit.unit).collect()
    }

    fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    fn step(&mut self) {
        let jump = if self.rng.chance(10) { self.rng.below(10 * 86_400) } else { self.rng.below(600) };
        self.now = self.now.plus_seconds(jump);
        match self.rng.below(10) {
            0..3 => self.award(),
            3..5 => self.batch(),
            5..8 => self.pay(),
            _ => self.move_payment(),
        }
    }

    fn award(&mut self) {
        let unit = *self.rng.pick(&self.units());
        let (jti, sub) = (self.fresh("award"), self.world.holder(unit, self.rng.index(3)).account);
        let (brand, at) = self.world.brand_of(unit);
        let token = self.world.token(brand, unit, &jti, sub, self.rng.range(1, 5_000), self.now);
        let request = self.world.issue(&brand.issuing[at], &token);
        let _ = self.node.submit(&request, self.now);
    }

    /// Lines for one account more than once, lines that expire at once, lines that repeat a receipt.
    fn batch(&mut self) {
        let unit = *self.rng.pick(&self.units());
        let jti = self.fresh("batch");
        let mut lines = vec![];
        for _ in 0..self.rng.range(1, 6) {
            let sub = self.world.holder(unit, self.rng.index(3)).account;
            let until = self.rng.chance(20).then(|| id("2025-12-31"));
            let reference = Some(id(&format!("r-{}", self.rng.below(200))));
            lines.push(encode(&Award {
                sub,
                amount: points(self.rng.range(1, 3_000)),
                reference,
                store: None,
                till: None,
                occurred_at: None,
                business_date: None,
                reason: None,
                campaign: None,
                until,
                from: None,
                lines: None,
                sale: None,
            }));
        }
        let (brand, at) = self.world.brand_of(unit);
        let claims = self.world.batch(brand, unit, &jti, &lines, true, self.now);
        let request = self.world.issue_batch(&brand.issuing[at], &claims, &lines);
        let _ = self.node.submit(&request, self.now);
    }

    fn till(&self, brand: usize, till: usize) -> &Till {
        &self.world.brands[brand].tills[till]
    }

    fn pay(&mut self) {
        let cid = self.fresh("pay");
        let (brand, till) = (self.rng.index(self.world.brands.len()), self.rng.index(2));
        let units = self.units();
        let first = self.rng.index(units.len());
        let both = self.rng.chance(40);
        let deadline = self.now.seconds() + self.rng.range(60, 20 * 86_400);
        let (mut total, mut consents) = (0, vec![]);
        for unit in [Some(units[first]), both.then(|| units[(first + 1) % units.len()])].into_iter().flatten()
        {
            let amount = self.rng.range(1, 30_000);
            total += amount;
            let holder = self.world.holder(unit, self.rng.index(3));
            let jti = self.fresh("consent");
            let claims = PaymentConsent {
                aud: self.world.net,
                jti: id(&jti),
                account: holder.account,
                payee: self.world.brands[brand].id.clone(),
                payment: id(&cid),
                till: None,
                amount: money(amount),
                currency: id("EUR"),
                points: points(1_000_000),
                deadline,
                iat: None,
                exp: self.now.seconds() + 60,
            };
            consents.push(self.world.consent(&holder.key, &claims));
        }
        let args = Authorise {
            amount: money(total),
            currency: id("EUR"),
            deadline,
            reference: both.then(|| id(&cid)),
            capture: self.rng.chance(40),
        };
        let request = self.world.authorise(&self.till(brand, till).key, &cid, &args, consents);
        if let Ok(answer) = self.node.submit(&request, self.now) {
            self.payments.push((answer.payment.expect("a payment"), brand, till));
        }
    }

    fn move_payment(&mut self) {
        if self.payments.is_empty() {
            return;
        }
        let (payment, brand, till) = *self.rng.pick(&self.payments);
        let cid = self.fresh("move");
        let (amount, last) = (self.rng.range(1, 20_000), self.rng.chance(30));
        let what = self.rng.below(5);
        let key = &self.till(brand, till).key;
        let request = match what {
            0..2 => self.world.capture(key, &cid, payment, amount, last),
            2..4 => self.world.refund(key, &cid, payment, amount),
            _ => self.world.void(key, &cid, payment),
        };
        let _ = self.node.submit(&request, self.now);
    }

    fn events(&self) -> Vec<Event> {
        let read = |entry: &tallyhouse::machine::Sealed| {
            let envelope = Envelope::decode(&entry.envelope).expect("our own");
            let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
            Event::read(&envelope, entry.hash, &slots).expect("our own")
        };
        self.node.entries.iter().map(read).collect()
    }

    fn accounts(&self) -> Vec<AccountId> {
        let units = self.units();
        units.iter().flat_map(|unit| (0..3).map(|n| self.world.holder(*unit, n).account)).collect()
    }
}

/// Views of these events in a folder of their own, taken in runs of these lengths, over and over.
fn views_of(events: &[Event], runs: &[usize]) -> (tempfile::TempDir, Reader) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut views = Views::open(dir.path()).expect("views");
    let (mut rest, mut lengths) = (events, runs.iter().cycle());
    while !rest.is_empty() {
        let (run, later) = rest.split_at((*lengths.next().expect("endless")).min(rest.len()));
        views.take(&run.iter().collect::<Vec<_>>()).expect("taken");
        rest = later;
    }
    drop(views);
    let reader = Reader::open(dir.path()).expect("readable");
    (dir, reader)
}

#[test]
fn views_say_what_the_state_says() {
    let mut seen = BTreeMap::new();
    for seed in 1..5 {
        let trade = Trade::new(seed, 250);
        let events = trade.events();
        let (_dir, reader) = views_of(&events, &[7]);
        let last = events.last().expect("some");
        assert_eq!(
            reader.cursor().expect("read").map(|place| (place.seq, place.hash)),
            Some((last.seq, last.hash))
        );
        check_histories(&trade, &events, &reader, &mut seen);
        check_payments(&trade, &reader);
        check_flows(&trade, &reader);
        check_obligations(&trade, &reader);
    }
    for (what, least) in [("came", 100), ("left", 100), ("split", 3), ("paged", 10)] {
        assert!(seen.get(what).is_some_and(|times| *times >= least), "{what} is not tested: {seen:?}");
    }
}

fn check_histories(trade: &Trade, events: &[Event], reader: &Reader, seen: &mut BTreeMap<&str, u32>) {
    let mut see = |what| *seen.entry(what).or_insert(0) += 1;
    for account in trade.accounts() {
        let Some(Record::Account(state)) = trade.node.state.get(&Name::Account(account)) else {
            panic!("{account} was opened")
        };
        let whole = reader.history(account, None, usize::MAX).expect("read").what;
        let now = whole.first().map_or(0, |movement| movement.balance);
        assert_eq!(now, state.total().signed(), "{account} as the state has it");
        for (newer, older) in whole.iter().zip(whole.iter().skip(1)) {
            assert!(older.id < newer.id && older.balance >= 0);
            assert_eq!(older.balance + newer.amount, newer.balance, "{newer:?} after {older:?}");
            if older.seq == newer.seq && newer.kind != Kind::PointsBatch {
                // Two movements of one part: never the same way twice.
                assert_ne!(older.other, newer.other);
                see("split");
            }
        }
        if let Some(first) = whole.last() {
            assert_eq!(first.balance, first.amount);
        }
        for movement in &whole {
            see(if movement.amount > 0 { "came" } else { "left" });
            let event = &events[movement.seq as usize];
            assert_eq!((movement.kind, movement.at), (event.kind, event.at));
            assert_eq!(movement.payment.is_some(), movement.other == Shared::Redeemed);
        }
        // The balance as of each entry that moved the account, by number and by time, and in between.
        for movement in &whole {
            let end = as_of_seq(&whole, movement.seq);
            let before = movement.seq.checked_sub(1).and_then(|seq| as_of_seq(&whole, seq));
            let ask = |moment| reader.balance_as_of(account, moment).expect("read").what;
            assert_eq!(ask(Moment::Seq(movement.seq)), end);
            assert_eq!(ask(Moment::Time(movement.at)), end);
            assert_eq!(ask(Moment::Seq(movement.seq - 1)), before);
        }
        let (mut pages, mut before) = (vec![], None);
        loop {
            let page = reader.history(account, before, 3).expect("read").what;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            pages.extend(page);
            see("paged");
        }
        assert_eq!(pages, whole, "page by page");
    }
}

fn as_of_seq(newest_first: &[tallyhouse::views::Movement], seq: u64) -> Option<i64> {
    newest_first.iter().find(|movement| movement.seq <= seq).map(|movement| movement.balance)
}

fn check_payments(trade: &Trade, reader: &Reader) {
    let mut found = 0;
    for brand in &trade.world.brands {
        let all = reader.payments(&brand.id, Span::default(), None, usize::MAX).expect("read").what;
        let (mut pages, mut before) = (vec![], None);
        loop {
            let page = reader.payments(&brand.id, Span::default(), before, 2).expect("read").what;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            pages.extend(page);
        }
        assert_eq!(pages, all, "page by page");
        assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
        for listed in all {
            let Some(Record::Payment(state)) = trade.node.state.get(&Name::Payment(listed.id)) else {
                panic!("{} is in the state", listed.id)
            };
            assert_eq!(
                (&listed.brand, &listed.store, &listed.till),
                (&state.brand, &state.store, &state.till)
            );
            assert_eq!((&listed.reference, listed.currency), (&state.reference, state.currency));
            assert_eq!(
                (listed.amount, listed.captured, listed.refunded, listed.deadline, listed.closed),
                (state.amount, state.captured, state.refunded, state.deadline, state.closed)
            );
            assert_eq!(listed.at, trade.node.entries[listed.id.seq as usize].at);
            assert_eq!(reader.payment(listed.id).expect("read").what.as_ref(), Some(&listed));
            found += 1;
        }
    }
    assert_eq!(found, trade.payments.len());
    assert!(found > 10, "the test pays");
}

fn check_flows(trade: &Trade, reader: &Reader) {
    let total = |unit, shared| match trade.node.state.get(&Name::Shared(unit, shared)) {
        Some(Record::Total(total)) => *total,
        _ => 0,
    };
    let listed = reader.units().expect("read").what;
    for unit in trade.units() {
        let flows = reader.flows(Some(unit), None, None).expect("read").what;
        let sum = |what| flows.iter().filter(|flow| flow.what == what).map(|flow| flow.points).sum::<i64>();
        assert_eq!(-sum(What::Issued), total(unit, Shared::Issuance), "{unit}");
        assert_eq!(sum(What::Redeemed) - sum(What::GivenBack), total(unit, Shared::Redeemed), "{unit}");
        assert_eq!(sum(What::Expired), total(unit, Shared::Expired), "{unit}");
        assert_eq!(sum(What::ClawedBack), total(unit, Shared::ClawedBack), "{unit}");
        let held: i64 = trade
            .accounts()
            .into_iter()
            .filter_map(|account| trade.node.state.get(&Name::Account(account))?.account().cloned())
            .filter(|account| account.head.unit == unit)
            .map(|account| account.total().signed())
            .sum();
        assert_eq!(sum(What::Issued) - sum(What::Redeemed) + sum(What::GivenBack) - sum(What::Expired), held);
        let brand = &trade.world.brand_of(unit).0.id;
        for flow in &flows {
            let in_a_shop = matches!(flow.what, What::Redeemed | What::GivenBack);
            assert_eq!(flow.brand.is_some(), in_a_shop, "{flow:?}");
            assert_eq!(flow.home, flow.brand.as_ref() == Some(brand), "{flow:?}");
            assert!(flow.points > 0, "{flow:?}");
        }
        let settings = trade.world.units().find(|have| have.unit == unit).expect("defined");
        let has = listed.iter().find(|have| have.unit == unit).expect("listed");
        assert_eq!((&has.brand, has.scale, has.offset), (brand, settings.scale, settings.offset));
    }
}

fn check_obligations(trade: &Trade, reader: &Reader) {
    let mut pairs: BTreeMap<String, i64> = BTreeMap::new();
    let listed = reader.obligations(None).expect("read").what;
    assert_eq!(reader.obligations(Some(1)).expect("read").what, listed, "all of the first cycle");
    assert_eq!(reader.obligations(Some(2)).expect("read").what, []);
    for owed in listed {
        assert!(owed.amount >= 0 && owed.debtor != owed.creditor, "{owed:?}");
        let (first, second, sign) = if owed.creditor < owed.debtor {
            (owed.creditor, owed.debtor, 1)
        } else {
            (owed.debtor, owed.creditor, -1)
        };
        *pairs.entry(Name::Pair(first, second, owed.currency).to_string()).or_insert(0) += sign * owed.amount;
    }
    let state = trade.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
        (Name::Pair(..), Record::Total(total)) => Some((name.to_string(), *total)),
        _ => None,
    });
    let state: BTreeMap<String, i64> = state.collect();
    assert!(state.len() > 2, "the test crosses brands");
    assert_eq!(pairs, state);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn however_the_log_is_cut_the_views_are_the_same(
        seed in 1..1_000_000u64,
        cuts in proptest::collection::vec(1..40usize, 1..12),
    ) {
        let events = Trade::new(seed, 60).events();
        let (_a, whole) = views_of(&events, &[usize::MAX]);
        let (_b, single) = views_of(&events, &[1]);
        let (_c, cut) = views_of(&events, &cuts);
        prop_assert_eq!(difference(&whole, &single).expect("read"), None);
        prop_assert_eq!(difference(&whole, &cut).expect("read"), None);
    }
}
