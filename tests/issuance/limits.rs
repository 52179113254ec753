//! What the issuer of a unit whose reserve is filled at issuance may owe, when others spend its points.
//!
//! Owns: prices that rise and fall between issuing, holding and capturing; another currency; two units in one bill; a model of
//! the most that it may come to owe.
//! Promises: nothing that is done of somebody's own will leaves the issuer owing more than before and more than it may.
//! Refuses to know: how the reserve is counted; the other tests have that.

use super::common::house::{House, code, eur, funding};
use super::common::rng::Rng;
use super::common::world::{Brand, id, money, points, rate};
use super::scene::{
    ISSUER, UNIT, award, capture, left, need, nets, on_accounts, refund, reprice, reserve, scene, scene_of,
    unit, verified, void,
};
use std::collections::BTreeMap;
use tallyhouse::book::{BreakageTo, Name, Record};
use tallyhouse::clearing::{PairCap, SetFunding};
use tallyhouse::payments::{Authorise, MakeOffer, WantedPayment, WantedShare};
use tallyhouse::prices::PublishPrices;
use tallyhouse::sign::PaymentConsent;
use tallyhouse::types::{PaymentId, Refusal, Refused};

/// What the issuer owes on balance.
fn owes(house: &House) -> i64 {
    -nets(house).get(&id(ISSUER)).copied().unwrap_or(0)
}

/// What is reserved of its headroom, firm offers included.
fn held_of(house: &House) -> i64 {
    let record = house.node.state.get(&Name::Funding(id(ISSUER), eur()));
    let Some(have) = record.and_then(Record::funding) else { return 0 };
    tallyhouse::prices::reserved(have, house.now) as i64
}

fn dearer(house: &mut House, settle: u64) {
    reprice(house, 2, settle);
}

#[test]
fn a_dearer_price_is_asked_for_when_points_are_spent() {
    for captured in [true, false] {
        let mut house = scene(83);
        house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
        award(&mut house, 0, 100).expect("awarded");
        house.fund(ISSUER, Some(1_999), 0).expect("set");
        // Each of the hundred points costs one more now, whoever spends one: 100 are missing, and 99 are left.
        dearer(&mut house, 20);
        let paid = house.pay(0, UNIT, 0, 400, captured);
        assert_eq!(code(paid), Refusal::ExposureExceeded);
        assert_eq!(owes(&house), 1_900);
        house.fund(ISSUER, Some(2_000), 0).expect("set");
        house.pay(0, UNIT, 0, 400, captured).expect("paid");
        assert_eq!(owes(&house), 2_000, "what is missing is owed with the first of them, and once");
        house.pay(2, UNIT, 0, 600, captured).expect("paid");
        assert_eq!(
            (owes(&house), held_of(&house)),
            (2_000, 0),
            "what is paid out of the reserve is not asked for again"
        );
        verified(&house);
    }
}

#[test]
fn a_price_that_is_lowered_for_a_day_frees_nothing() {
    let mut house = scene(82);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    award(&mut house, 0, 100).expect("awarded");
    let now = house.now.seconds();
    let prices = house.world.prices(unit(), 2, eur(), now + 2);
    let day = PublishPrices { settle: rate(1, 1), until: Some(now + 86_400), ..prices };
    house.agreed_by_brand(1, "prices.publish", &day).expect("published");
    house.now = house.now.plus_seconds(2);
    // One point is spent for 1; 99 are there to be spent at 19 again.
    house.pay(0, UNIT, 0, 20, true).expect("paid");
    assert_eq!(on_accounts(&house.node.state, unit()), 99);
    assert_eq!(reserve(&house.node.state, unit()).expect("set").held, money(99 * 19));
    assert_eq!(owes(&house), 99 * 19 + 1);
    verified(&house);
}

#[test]
fn a_pairs_cap_is_asked_too() {
    let mut house = scene(84);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    award(&mut house, 0, 100).expect("awarded");
    let pairs = vec![PairCap { creditor: id("pa_franchise"), most: money(1_950) }];
    house.set_funding(&SetFunding { pairs, ..funding(ISSUER, None) }).expect("set");
    house.pay(0, UNIT, 0, 200, true).expect("paid");
    dearer(&mut house, 20);
    assert_eq!(code(house.pay(0, UNIT, 0, 200, true)), Refusal::PairCapExceeded);
    verified(&house);
}

#[test]
fn who_holds_the_reserve_and_takes_the_points_is_no_way_round() {
    let mut house = scene_of(85, "pa_polar");
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    award(&mut house, 0, 100).expect("awarded");
    house.fund(ISSUER, Some(1_900), 0).expect("set");
    // Out of the reserve: the issuer owes the shop what the reserve frees.
    house.pay(2, UNIT, 0, 400, false).expect("held");
    house.pay(2, UNIT, 0, 400, true).expect("paid");
    assert_eq!((owes(&house), held_of(&house)), (1_900, 0));
    dearer(&mut house, 20);
    assert_eq!(code(house.pay(2, UNIT, 0, 400, true)), Refusal::ExposureExceeded);
    verified(&house);
}

#[test]
fn what_is_paid_in_another_currency_frees_nothing_in_it() {
    let mut house = scene(86);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    let prices = house.world.prices(unit(), 2, id("CHF"), house.now.seconds() + 2);
    house.agreed_by_brand(1, "prices.publish", &prices).expect("published");
    house.now = house.now.plus_seconds(2);
    award(&mut house, 0, 1_000).expect("awarded");
    let chf = |most| SetFunding { currency: id("CHF"), ..funding(ISSUER, Some(most)) };
    house.set_funding(&chf(500)).expect("set");
    let pay = |house: &mut House, amount, captured| house.pay_with(id("CHF"), 0, UNIT, 0, amount, captured);
    assert_eq!(code(pay(&mut house, 600, true)), Refusal::ExposureExceeded);
    assert_eq!(code(pay(&mut house, 600, false)), Refusal::ExposureExceeded);
    // 190 are kept while it is open, and given back with it.
    let first = pay(&mut house, 200, false).expect("held");
    assert_eq!(code(pay(&mut house, 400, true)), Refusal::ExposureExceeded);
    void(&mut house, 0, first).expect("voided");
    let second = pay(&mut house, 400, false).expect("held");
    capture(&mut house, 0, second, 400, true).expect("captured");
    assert_eq!(code(pay(&mut house, 200, true)), Refusal::ExposureExceeded);
    pay(&mut house, 120, true).expect("paid");
    verified(&house);
}

/// A bill of two units of one issuer, so much of each.
fn both(house: &mut House, amount: u64, captured: bool) -> Result<PaymentId, Refused> {
    let (cid, now) = (house.cid(), house.now);
    let deadline = now.seconds() + 86_400;
    let brand: &Brand = &house.world.brands[0];
    let consent = |unit: &str| {
        let holder = house.world.holder(id(unit), 0);
        let claims = PaymentConsent {
            aud: house.world.net,
            jti: id(&format!("{unit}-{cid}")),
            account: holder.account,
            payee: brand.id.clone(),
            payment: id(&cid),
            till: None,
            amount: money(amount),
            currency: eur(),
            points: points(9_000_000_000),
            deadline,
            offer: None,
            iat: None,
            exp: now.seconds() + 200,
        };
        house.world.consent(&holder.key, &claims)
    };
    let args = Authorise {
        amount: money(2 * amount),
        currency: eur(),
        deadline,
        reference: None,
        capture: captured,
        offer: None,
        under: None,
    };
    let consents = vec![consent("KINO"), consent(UNIT)];
    let request = house.world.authorise(&brand.tills[0].key, &cid, &args, consents);
    house.send(request).map(|answer| answer.payment.expect("a payment"))
}

#[test]
fn two_units_of_one_issuer_do_not_take_the_same_headroom() {
    for (captured, backed) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut house = scene(87);
        house.award("KINO", 0, 100_000);
        if backed {
            house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
        }
        award(&mut house, 0, 1_000).expect("awarded");
        house.now = house.now.plus_seconds(2 * 86_400 + 60);
        let before = owes(&house);
        if backed {
            dearer(&mut house, 20);
        }
        // Of the one unit 190, of the other as much, or a thousand that its reserve lacks now.
        let asks = if backed { 190 + 1_000 } else { 190 + 190 };
        house.fund(ISSUER, Some((before + asks - 1) as u64), 0).expect("set");
        assert_eq!(code(both(&mut house, 200, captured)), Refusal::ExposureExceeded);
        house.fund(ISSUER, Some((before + asks) as u64), 0).expect("set");
        let paid = both(&mut house, 200, captured).expect("paid");
        assert_eq!(owes(&house) + held_of(&house), before + asks);
        let record = house.node.state.get(&Name::Payment(paid)).and_then(Record::payment).expect("there");
        assert_eq!(record.shares.iter().any(|share| share.reserved), !captured);
        verified(&house);
    }
}

/// A bill of the unit that a shop offers for sure.
fn firm(house: &mut House, amount: u64) -> Result<tallyhouse::types::OfferId, Refused> {
    let cid = house.cid();
    let bill = WantedPayment {
        amount: money(amount),
        currency: eur(),
        deadline: house.now.seconds() + 3_600,
        reference: None,
        capture: false,
        shares: vec![WantedShare { unit: unit(), amount: money(amount) }],
    };
    let args = MakeOffer { exchange: None, payment: Some(bill), firm: true };
    let request = house.world.make_offer(&house.world.brands[0].tills[0].key, &cid, &args);
    house.send(request).map(|answer| answer.offer.expect("an offer").offer)
}

#[test]
fn a_firm_offer_asks_before_it_promises() {
    let mut house = scene(88);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    award(&mut house, 0, 100).expect("awarded");
    house.fund(ISSUER, Some(1_999), 0).expect("set");
    dearer(&mut house, 20);
    assert_eq!(code(firm(&mut house, 200)), Refusal::ExposureExceeded);
    house.fund(ISSUER, Some(2_000), 0).expect("set");
    firm(&mut house, 200).expect("offered");
    assert_eq!((owes(&house), held_of(&house)), (2_000, 0));
    verified(&house);
}

/// An open payment: its shop, and what it may come to.
struct Bill {
    shop: usize,
    payment: PaymentId,
}

/// What the issuer would owe if all that is open were captured now.
fn worst(house: &House, bills: &[Bill], price: u64, ratio: u32) -> i64 {
    let (mut owed, mut spent) = (0i64, 0u64);
    for bill in bills {
        let record = house.node.state.get(&Name::Payment(bill.payment)).and_then(Record::payment);
        let payment = record.expect("there");
        if payment.closed || payment.deadline <= house.now {
            continue;
        }
        let share = &payment.shares[0];
        let of = |n: u64| u128::from(n);
        let (x, back) = (of(payment.amount.get()), of(payment.refunded.get()));
        let (n, p, o) =
            (of(payment.captured.get()) - back, of(share.points.get()), of(share.obligation.get()));
        owed += (o * (x - back) / x - o * n / x) as i64;
        spent += ((p * (x - back)).div_ceil(x) - (p * n).div_ceil(x)) as u64;
    }
    let outstanding = on_accounts(&house.node.state, unit());
    let held = reserve(&house.node.state, unit()).expect("set").held.get();
    owes(house) + owed + need(outstanding - spent, price, ratio) as i64 - held as i64
}

#[test]
fn no_spending_of_points_leaves_their_issuer_over_its_cap() {
    let mut seen = BTreeMap::<&str, u32>::new();
    for seed in 0..10 {
        let (mut house, mut rng) = (scene(930 + seed), Rng::new(seed));
        let ratio = if rng.chance(50) { 1_000_000 } else { 1_000_000 + rng.below(400_000) as u32 };
        house.fill_at_issuance(UNIT, ratio, BreakageTo::Issuer).expect("set");
        for n in 0..3 {
            award(&mut house, n, 2_000).expect("awarded");
        }
        let (mut prices, mut version, mut bills) = (vec![(0, 19)], 1, Vec::<Bill>::new());
        let mut cap = (owes(&house) + 500) as u64;
        house.fund(ISSUER, Some(cap), 0).expect("set");
        for _ in 0..90 {
            let price = |prices: &[(u64, u64)], at: u64| {
                prices.iter().rev().find(|(from, _)| *from <= at).expect("a price").1
            };
            let pick = (!bills.is_empty()).then(|| rng.index(bills.len()));
            let used = |house: &House| owes(house) + held_of(house);
            let (before, mut done) = (used(&house), None);
            match rng.below(10) {
                0 => {
                    let n = rng.index(3);
                    done = Some(("awarded", award(&mut house, n, 1 + rng.below(60)).is_ok()));
                }
                1..=4 => {
                    let (shop, n, captured) = (rng.index(3), rng.index(3), rng.chance(40));
                    let paid = house.pay(shop, UNIT, n, 20 + rng.below(4_000), captured);
                    let refused = paid.as_ref().err().map(|no| no.code);
                    *seen.entry("refused").or_default() +=
                        u32::from(refused == Some(Refusal::ExposureExceeded));
                    done = Some((if captured { "paid" } else { "held" }, paid.is_ok()));
                    bills.extend(paid.ok().map(|payment| Bill { shop, payment }));
                }
                5 => {
                    if let Some(at) = pick {
                        let (shop, payment) = (bills[at].shop, bills[at].payment);
                        let taken = capture(&mut house, shop, payment, 1 + rng.below(1_500), rng.chance(50));
                        *seen.entry("captured").or_default() += u32::from(taken.is_ok());
                    }
                }
                6 => {
                    if let Some(at) = pick {
                        let amount = 1 + rng.below(left(&house, bills[at].payment).max(1));
                        let _ = refund(&mut house, bills[at].shop, bills[at].payment, amount);
                    }
                }
                // Dearer at once, or cheaper in some hours, which no payment that is open did not know of.
                7 => {
                    version += 1;
                    let now = price(&prices, house.now.seconds());
                    let open = prices.last().is_some_and(|(from, _)| *from > house.now.seconds() + 1);
                    if rng.chance(40) && !open {
                        let settle = now + 1 + rng.below(3);
                        prices.push((reprice(&mut house, version, settle), settle));
                        *seen.entry("dearer").or_default() += 1;
                    } else if !open {
                        for bill in bills.drain(..) {
                            let _ = void(&mut house, bill.shop, bill.payment);
                        }
                        let (from, settle) = (house.now.seconds() + 20_000, (now * 3 / 4).max(9));
                        let all = house.world.prices(unit(), version, eur(), from);
                        let args =
                            PublishPrices { settle: rate(settle, 1), issue: rate(settle + 2, 1), ..all };
                        house.agreed_by_brand(1, "prices.publish", &args).expect("published");
                        prices.push((from, settle));
                        *seen.entry("cheaper").or_default() += 1;
                    } else {
                        version -= 1;
                    }
                }
                8 => house.now = house.now.plus_seconds(rng.below(9_000)),
                _ => {
                    let most = (used(&house).max(0) as u64) + rng.below(1_200);
                    if house.fund(ISSUER, Some(most), 0).is_ok() {
                        cap = most;
                    }
                }
            }
            if let Some((what, true)) = done {
                let price = price(&prices, house.now.seconds());
                let (after, most) = (used(&house), worst(&house, &bills, price, ratio));
                assert!(
                    most <= cap as i64 || after <= before,
                    "{what}: {before} became {after}, {most} at the worst, of {cap}"
                );
                *seen.entry(what).or_default() += 1;
            }
        }
        verified(&house);
    }
    assert!(seen.values().all(|n| *n >= 5) && seen.len() == 7, "{seen:?}");
}
