//! Fees and tax, decided: what is charged after any steps is a function of where a payment stands, whatever the order,
//! and whatever changes later; and no trip through the exchange creates value.
//!
//! Owns: the functions of amounts, written again in plain integers.
//! Promises: every sum is looked at in state and, line by line, in the entries.
//! Refuses to know: how the house computes.

mod common;
#[path = "fees/disputed.rs"]
mod disputed;
#[path = "fees/trips.rs"]
mod trips;

use common::house::{House, code, eur};
use common::rng::Rng;
use common::world::{Holder, id, money, points};
use std::collections::BTreeMap;
use tallyhouse::book::{
    ExchangeFee, Fee, FeeTerms, Name, PROVISIONAL, Place, Record, Service, Tax, TaxCategory,
};
use tallyhouse::log::open;
use tallyhouse::machine::PartBody;
use tallyhouse::payments::{AgreeExchange, MakeOffer, WantedExchange, WantedPayment, WantedShare};
use tallyhouse::prices::{PublishFees, PublishTax};
use tallyhouse::types::{Asset, OfferId, ParticipantId, PaymentId, Points, Refusal, Time, decode};

const DAY: u64 = 86_400;

fn fee(ppm: u32, min: u64, max: Option<u64>, refundable: bool) -> Fee {
    Fee { ppm, min: money(min), max: max.map(money), refundable }
}

fn standard(rate: u32) -> Tax {
    Tax { category: if rate == 0 { TaxCategory::OutsideScope } else { TaxCategory::Standard }, rate }
}

fn fees(version: u64, from: u64, acceptor: Fee, issuer: Fee, rate: u32) -> PublishFees {
    PublishFees {
        version,
        currency: eur(),
        from,
        until: None,
        supplier: id("pa_op"),
        acceptor,
        issuer,
        exchange: None,
        tax: standard(rate),
        dispute: None,
        reason: None,
    }
}

/// A house whose operator has a participant of its own, with these fees in force.
fn charging(seed: u64, acceptor: Fee, issuer: Fee, rate: u32) -> House {
    let mut house = House::new(seed, false);
    let cid = house.cid();
    let request = house.world.register_participant(&cid, &id("pa_op"), eur());
    house.send(request).expect("registered");
    let from = house.now.seconds() + 31 * DAY;
    house.agreed("fees.publish", &fees(1, from, acceptor, issuer, rate)).expect("published");
    house.now = house.now.plus_seconds(32 * DAY);
    house
}

#[test]
fn what_ends_begins_anew_with_the_longer_notice() {
    let mut house = House::new(9, false);
    let cid = house.cid();
    let request = house.world.register_participant(&cid, &id("pa_op"), eur());
    house.send(request).expect("registered");
    let start = house.now.seconds();
    let some = fee(1_000, 0, None, true);
    let version = |number, from: u64, until: Option<u64>| PublishFees {
        until: until.map(|days| start + days * DAY),
        ..fees(number, start + from * DAY, some, some, 0)
    };
    let publish = |house: &mut House, args: &PublishFees| house.agreed("fees.publish", args).map(drop);
    publish(&mut house, &version(1, 31, Some(60))).expect("published");
    house.now = house.now.plus_seconds(45 * DAY);
    // Nothing is asked from day 60 on: who announces something for then, from an earlier day on too, takes 30 days.
    for until in [None, Some(61)] {
        assert_eq!(code(publish(&mut house, &version(2, 53, until))), Refusal::NoticeTooShort, "{until:?}");
    }
    publish(&mut house, &version(2, 53, Some(60))).expect("as much, and no longer than before");
    publish(&mut house, &version(3, 76, None)).expect("in 31 days");
}

/// What one participant owes another by everything that was booked for good, over all cycles.
fn owes(house: &House, debtor: &str, creditor: &str) -> i64 {
    let (debtor, creditor): (ParticipantId, ParticipantId) = (id(debtor), id(creditor));
    let all = house.node.state.0.iter().map(|(name, record)| match (name, &**record) {
        (Name::Pair(PROVISIONAL, ..), _) => 0,
        (Name::Pair(_, a, b, _), Record::Total(n)) if *a == creditor && *b == debtor => *n,
        (Name::Pair(_, a, b, _), Record::Total(n)) if *a == debtor && *b == creditor => -n,
        _ => 0,
    });
    all.sum()
}

/// Rows of the matrix of all pairs are the nets that state keeps, and they sum to zero.
fn rows_are_nets(house: &House) {
    let mut rows: BTreeMap<(u64, ParticipantId), i64> = BTreeMap::new();
    let mut nets = BTreeMap::new();
    for (name, record) in &house.node.state.0 {
        match (name, &**record) {
            (Name::Pair(cycle, a, b, _), Record::Total(n)) => {
                *rows.entry((*cycle, a.clone())).or_default() += n;
                *rows.entry((*cycle, b.clone())).or_default() -= n;
            }
            (Name::Net(cycle, who, _), Record::Total(n)) => {
                nets.insert((*cycle, who.clone()), *n);
            }
            _ => {}
        }
    }
    rows.retain(|_, sum| *sum != 0);
    nets.retain(|_, sum| *sum != 0);
    assert_eq!(rows, nets);
    assert_eq!(nets.values().sum::<i64>(), 0);
}

/// Net and tax of all lines of an entry and later ones, by service, supplier and customer; each line is what its legs say.
fn lines(house: &House, from: usize) -> BTreeMap<(Service, ParticipantId, ParticipantId), (i64, i64)> {
    let mut sums = BTreeMap::new();
    for part in house.node.entries[from..].iter().flat_map(|entry| &entry.parts) {
        let body: PartBody = decode(&open(part).expect("a part").1).expect("a body");
        let (Some(line), Some(done)) = (body.supply, body.done) else { continue };
        assert_eq!(line.net + line.tax, line.gross);
        let leg = done.legs.first().expect("a leg");
        assert_eq!(leg.place, Place::Pair(line.supplier.clone(), line.customer.clone()));
        assert_eq!((leg.amount, leg.asset), (line.gross, Asset::Money(eur())));
        let sum = sums.entry((line.service, line.supplier, line.customer)).or_insert((0, 0));
        (sum.0, sum.1) = (sum.0 + line.net, sum.1 + line.tax);
    }
    sums
}

/// Half up.
fn nearest(n: u128, d: u128) -> u128 {
    (2 * n + d) / (2 * d)
}

fn on_top(net: u64, rate: u32) -> u64 {
    nearest(u128::from(net) * u128::from(rate), 1_000_000) as u64
}

fn charged(fee: &Fee, amount: u64) -> u64 {
    let part = (u128::from(amount) * u128::from(fee.ppm)).div_ceil(1_000_000) as u64;
    let part = part.max(fee.min.get());
    fee.max.map_or(part, |max| part.min(max.get()))
}

fn gross_at(fee: &Fee, rate: u32, x: u64, captured: u64, refunded: u64) -> i64 {
    let n = if fee.refundable { captured - refunded } else { captured };
    let net = (u128::from(charged(fee, x)) * u128::from(n)).div_ceil(u128::from(x)) as u64;
    (net + on_top(net, rate)) as i64
}

fn step(house: &mut House, shop: usize, payment: PaymentId, amount: u64, back: bool) -> bool {
    let (cid, till) = (house.cid(), &house.world.brands[shop].tills[0].key);
    let request = match back {
        true => house.world.refund(till, &cid, payment, amount),
        false => house.world.capture(till, &cid, payment, amount, false),
    };
    house.send(request).is_ok()
}

#[test]
fn what_is_charged_is_a_function_of_where_a_payment_stands() {
    let mut dice = Rng::new(8);
    // 0.29 %, a third, nothing, all; with and without bounds; refundable or not.
    let tables = [
        (fee(2_900, 0, None, true), fee(333_333, 7, Some(900), true), 190_000),
        (fee(333_333, 0, Some(1_001), false), fee(0, 0, None, true), 70_000),
        (fee(0, 13, None, true), fee(2_900, 1, None, false), 0),
        (fee(1_000_000, 0, None, true), fee(999_999, 0, None, true), 333_333),
    ];
    for (seed, (acceptor, issuer, rate)) in tables.into_iter().enumerate() {
        let mut house = charging(seed as u64, acceptor, issuer, rate);
        house.award("HARVEST", 0, 10_000_000);
        let (mut due_kino, mut due_harvest) = (0, 0);
        for _ in 0..6 {
            let x = 1 + dice.below(60_000);
            let payment = house.pay(1, "HARVEST", 0, x, false).expect("held");
            let (mut captured, mut refunded) = (0, 0);
            for _ in 0..8 {
                let amount = 1 + dice.below(x);
                if dice.below(2) == 0 && captured + amount <= x && captured < x {
                    assert!(step(&mut house, 1, payment, amount, false));
                    captured += amount;
                } else if refunded + amount <= captured {
                    assert!(step(&mut house, 1, payment, amount, true));
                    refunded += amount;
                }
                let stands = |fee: &Fee| gross_at(fee, rate, x, captured, refunded);
                assert_eq!(owes(&house, "pa_kino", "pa_op"), due_kino + stands(&acceptor));
                assert_eq!(owes(&house, "pa_harvest", "pa_op"), due_harvest + stands(&issuer));
            }
            if captured > refunded {
                assert!(step(&mut house, 1, payment, captured - refunded, true));
            }
            let left = |fee: &Fee| gross_at(fee, rate, x, captured, captured);
            for (fee, due, who) in
                [(&acceptor, &mut due_kino, "pa_kino"), (&issuer, &mut due_harvest, "pa_harvest")]
            {
                assert!(!fee.refundable || left(fee) == 0, "a full refund of a refundable fee ends at zero");
                *due += left(fee);
                assert_eq!(owes(&house, who, "pa_op"), *due);
            }
            assert_eq!(owes(&house, "pa_harvest", "pa_kino"), 0);
            rows_are_nets(&house);
        }
        let sums = lines(&house, 0);
        let of = |service, customer| {
            sums.get(&(service, id("pa_op"), id(customer))).map_or(0, |(net, tax)| net + tax)
        };
        assert_eq!(of(Service::AcceptorFee, "pa_kino"), due_kino);
        assert_eq!(of(Service::IssuerFee, "pa_harvest"), due_harvest);
    }
}

#[test]
fn one_line_for_each_who_owes_and_none_for_what_is_ones_own() {
    let mut house = charging(3, fee(2_900, 0, None, true), fee(0, 0, None, true), 190_000);
    for unit in ["HARVEST", "KINO", "TWIN"] {
        house.award(unit, 0, 100_000_000);
    }
    // KINO's points can be spent after two days.
    house.now = house.now.plus_seconds(3 * DAY);
    let bill = |payment: PaymentId, house: &House| -> Vec<FeeTerms> {
        house
            .node
            .state
            .get(&Name::Payment(payment))
            .and_then(Record::payment)
            .expect("a payment")
            .fees
            .clone()
    };
    let own = house.pay(1, "KINO", 0, 5_000, true).expect("paid");
    assert_eq!(bill(own, &house), vec![], "at home");
    let paid = house.pay(1, "HARVEST", 0, 100_001, true).expect("paid");
    let fees = bill(paid, &house);
    let line = |fee: &FeeTerms| {
        (fee.service, fee.customer.to_string(), fee.net.get(), fee.tax.get(), fee.gross.get())
    };
    // 0.29 % of 100,001 is above 290; 19 % of 291 is 55.29. A waived fee is an explicit 0.
    let wanted = [
        (Service::AcceptorFee, "pa_kino".to_owned(), 291, 55, 346),
        (Service::IssuerFee, "pa_harvest".to_owned(), 0, 0, 0),
    ];
    assert_eq!(fees.iter().map(line).collect::<Vec<_>>(), wanted);
    assert_eq!(owes(&house, "pa_kino", "pa_op"), 346);
    assert_eq!(owes(&house, "pa_harvest", "pa_op"), 0);
    // They belong to the cycle as every obligation: sealed, computed, settled.
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    assert_eq!(house.line(cycle, "pa_op").map(|line| line.net), Some(346));
    assert_eq!(house.nets(cycle).values().sum::<i64>(), 0);
}

/// Nets by participant in whatever cycle.
fn nets(house: &House) -> BTreeMap<ParticipantId, i64> {
    let mut all = house.nets(house.open());
    all.retain(|_, net| *net != 0);
    all
}

#[test]
fn the_order_of_independent_payments_changes_no_net() {
    let mut dice = Rng::new(6);
    let bills: Vec<(usize, &str, usize, u64, u64, u64)> = (0..8)
        .map(|n| {
            let (shop, unit) = [(1, "HARVEST"), (2, "HARVEST"), (0, "POLAR"), (1, "POLAR")][n % 4];
            let x = 100 + dice.below(30_000);
            let captured = 1 + dice.below(x);
            (shop, unit, n, x, captured, dice.below(captured))
        })
        .collect();
    let play = |order: &[usize]| {
        let mut house = charging(9, fee(2_900, 3, Some(70), true), fee(333_333, 0, None, false), 190_000);
        for (_, unit, n, ..) in &bills {
            house.award(unit, *n, 1_000_000);
        }
        let mut open = BTreeMap::new();
        for at in order {
            let (shop, unit, n, x, captured, _) = bills[*at];
            let payment = house.pay(shop, unit, n, x, false).expect("held");
            assert!(step(&mut house, shop, payment, captured, false));
            open.insert(*at, payment);
        }
        for at in order.iter().rev() {
            let (shop, _, _, _, _, back) = bills[*at];
            assert!(back == 0 || step(&mut house, shop, open[at], back, true));
        }
        rows_are_nets(&house);
        nets(&house)
    };
    let mut order: Vec<usize> = (0..bills.len()).collect();
    let wanted = play(&order);
    assert!(wanted.len() == 4 && wanted[&id::<ParticipantId>("pa_op")] > 0, "{wanted:?}");
    order.reverse();
    assert_eq!(play(&order), wanted);
    order.sort_by_key(|at| (at * 5) % 8);
    assert_eq!(play(&order), wanted);
}

/// Whether fees, prices and tax change or not, what was held or offered before is captured, refunded and taken as if not.
#[test]
fn a_later_change_alters_nothing_that_was_offered_or_held_before() {
    let play = |changes: bool| {
        let mut house = charging(4, fee(2_900, 3, None, true), fee(5_000, 0, None, false), 190_000);
        house.award("HARVEST", 0, 10_000_000);
        let from = house.now.seconds() + 31 * DAY;
        if changes {
            let args = PublishFees {
                exchange: Some(vec![ExchangeFee {
                    unit: None,
                    tier: None,
                    ppm: 500_000,
                    min: Points::ZERO,
                    max: None,
                }]),
                ..fees(2, from, fee(900_000, 999, None, false), fee(0, 0, None, true), 70_000)
            };
            house.agreed("fees.publish", &args).expect("published");
            let tax = PublishTax {
                participant: id("pa_kino"),
                version: 1,
                service: Service::Redemption,
                from: Some(from),
                tax: standard(190_000),
            };
            let root = common::world::Key::derive(house.world.seed, "br_kino root");
            house.by(&root, "tax.publish", &tax).expect("published");
        }
        house.now = Time::from_seconds(from - 60).expect("in range");
        house.award("HARVEST", 1, 10_000_000);
        let held = house.pay(1, "HARVEST", 1, 77_777, false).expect("held");
        assert!(step(&mut house, 1, held, 11_111, false));
        house.now = Time::from_seconds(from - 20).expect("in range");
        let (cid, holder) = (house.cid(), house.world.holder(id("HARVEST"), 1));
        let wanted =
            WantedExchange { to: id("KINO"), currency: eur(), source: Some(points(1_001)), target: None };
        let offer = house.world.make_offer(
            &holder.key,
            &cid,
            &MakeOffer { firm: false, exchange: Some(wanted), payment: None },
        );
        let offer = house.send(offer).expect("offered").offer.expect("an offer");
        let bill = WantedPayment {
            amount: money(4_321),
            currency: eur(),
            deadline: from + 2 * DAY,
            reference: None,
            capture: true,
            shares: vec![WantedShare { unit: id("HARVEST"), amount: money(4_321) }],
        };
        let (cid, till) = (house.cid(), &house.world.brands[1].tills[0].key);
        let bill = house.world.make_offer(
            till,
            &cid,
            &MakeOffer { firm: false, exchange: None, payment: Some(bill) },
        );
        let bill = house.send(bill).expect("offered").offer.expect("an offer");
        // Now the versions that were announced are in force.
        house.now = Time::from_seconds(from + 10).expect("in range");
        let (cid, kino) = (house.cid(), house.award("KINO", 1, 1));
        let args = AgreeExchange { offer: offer.offer, hash: offer.hash };
        let request = house.world.agree_exchange(&holder.key, &kino.key, &cid, &args);
        house.send(request).expect("exchanged");
        let request = take(&house, &holder, bill.offer, bill.hash, from + 2 * DAY);
        house.send(request).expect("paid as offered");
        assert!(step(&mut house, 1, held, 22_222, false));
        assert!(step(&mut house, 1, held, 3_333, true));
        nets(&house)
    };
    assert_eq!(play(true), play(false));
}

fn take(
    house: &House,
    holder: &Holder,
    offer: OfferId,
    hash: tallyhouse::types::Hash,
    deadline: u64,
) -> tallyhouse::machine::Request {
    let (world, cid) = (&house.world, "taken");
    let claims = tallyhouse::sign::PaymentConsent {
        aud: world.net,
        jti: id("consent-taken"),
        account: holder.account,
        payee: world.brands[1].id.clone(),
        payment: id(cid),
        till: None,
        amount: money(4_321),
        currency: eur(),
        points: points(9_000_000),
        deadline,
        offer: Some(hash),
        iat: None,
        exp: house.now.seconds() + 200,
    };
    let args = tallyhouse::payments::Authorise {
        amount: money(4_321),
        currency: eur(),
        deadline,
        reference: None,
        capture: true,
        offer: Some(offer),
        under: None,
    };
    world.authorise(&world.brands[1].tills[0].key, cid, &args, vec![world.consent(&holder.key, &claims)])
}

/// Tax within what a shop is owed: the obligation is as without it, its lines are by category and rate.
#[test]
fn a_tax_is_within_what_is_owed() {
    let play = |taxed: bool| {
        let mut house = House::new(2, false);
        house.award("HARVEST", 0, 10_000_000);
        if taxed {
            let root = common::world::Key::derive(house.world.seed, "br_kino root");
            let (participant, tax) = (id("pa_kino"), standard(190_000));
            let args = PublishTax { participant, version: 1, service: Service::Redemption, from: None, tax };
            house.by(&root, "tax.publish", &args).expect("published");
        }
        let first = house.node.entries.len();
        let payment = house.pay(1, "HARVEST", 0, 10_007, false).expect("held");
        let mut said = vec![];
        for (amount, back) in [(3_333, false), (1_111, true), (2_222, false), (4_444, true)] {
            assert!(step(&mut house, 1, payment, amount, back));
            let sum =
                lines(&house, first).get(&(Service::Redemption, id("pa_kino"), id("pa_harvest"))).copied();
            said.push((owes(&house, "pa_harvest", "pa_kino"), sum));
        }
        said
    };
    let (plain, taxed) = (play(false), play(true));
    for ((owed, none), (same, line)) in plain.into_iter().zip(taxed) {
        assert_eq!((owed, none), (same, None));
        let (net, tax) = line.expect("a line");
        assert_eq!(net as u128, nearest(owed as u128 * 1_000_000, 1_190_000));
        assert_eq!(net + tax, owed);
    }
}
