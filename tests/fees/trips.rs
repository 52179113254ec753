//! Trips through the exchange, hop by hop by the functions of the house, while prices and fees change as announced.

use super::common::house::eur;
use super::common::node::State;
use super::common::rng::Rng;
use super::common::world::{Holder, Key, id, points, rate};
use super::{DAY, charging, fee, fees};
use std::sync::Arc;
use tallyhouse::book::{Bucket, Draft, ExchangeFee, Lot, Name, Notice, Origin, Record, Stop};
use tallyhouse::network::Asked;
use tallyhouse::payments::{AgreeExchange, MakeOffer, WantedExchange, exchange, make_offer};
use tallyhouse::prices::{PublishFees, PublishPrices, publish_fees, publish_prices};
use tallyhouse::types::{Fingerprint, MAX_INT, Points, Rate, Refusal, Time, UnitCode};

/// State alone: the functions of the house on drafts of their own, without evidence.
struct Trips {
    state: State,
    seq: u64,
    now: Time,
}

impl Trips {
    fn play<T>(&mut self, what: impl FnOnce(&mut Draft) -> Result<T, Stop>) -> Result<T, Refusal> {
        self.seq += 1;
        self.now = self.now.plus_seconds(1);
        let mut draft = Draft::new(&self.state, self.seq, self.now);
        match what(&mut draft) {
            Ok(done) => {
                let effects = draft.finish().expect("sums");
                self.state.take(effects.records);
                Ok(done)
            }
            Err(Stop::Refused(no)) => Err(no.code),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    fn has(&self, holder: &Holder) -> Points {
        let account = self.state.get(&Name::Account(holder.account)).and_then(Record::account);
        let mut account = account.expect("an account").clone();
        account.settle(self.now);
        account.available(self.now)
    }

    fn price(&self, unit: UnitCode) -> (Rate, Rate) {
        let prices = self.state.get(&Name::Prices(unit)).and_then(Record::prices).expect("prices");
        let price =
            tallyhouse::prices::in_force(&prices.versions, eur(), self.now.seconds()).expect("a price");
        (price.settle, price.issue)
    }
}

fn asked(key: &Key, approvals: &[&Key]) -> Asked {
    let approvals = approvals.iter().map(|key| key.kid).collect();
    Asked { kid: key.kid, approvals, cid: None, fingerprint: Fingerprint::of(b"trip") }
}

fn parts(rate: Rate) -> (u128, u128) {
    let [num, den]: [u64; 2] =
        serde_json::from_value(serde_json::to_value(rate).expect("JSON")).expect("two");
    (num.into(), den.into())
}

/// a · settle ≥ b · issue, exactly: amounts and prices here are small enough for 128 bits.
fn covers(a: Points, settle: Rate, b: Points, issue: Rate) -> bool {
    let ((n, d), (m, e)) = (parts(settle), parts(issue));
    u128::from(a.get()) * n * e >= u128::from(b.get()) * m * d
}

/// Trips from a unit through others and back, within the notice, while prices and fees change as announced: every hop is
/// an offer and its exchange. `FEE_TRIPS` says how many; a million take minutes in an optimised build.
#[test]
fn trips_through_the_exchange_never_create_value() {
    let wanted: u64 = std::env::var("FEE_TRIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let mut house = charging(7, fee(0, 0, None, true), fee(0, 0, None, true), 190_000);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let units: [UnitCode; 3] = [id("HARVEST"), id("KINOPLUS"), id("TWIN")];
    let holders = units.map(|unit| house.award(unit.as_str(), 0, 1));
    for unit in units {
        let (brand, at) = house.world.brand_of(unit);
        let mut args = brand.units[at].clone();
        (args.version, args.notice) = (2, Some(Notice { change_days: 1, cut_days: 1 }));
        let cid = house.cid();
        let request = house.world.define_unit(&house.world.brand_of(unit).0.root, &cid, &args);
        house.send(request).expect("defined");
    }
    let mut trips = Trips { state: house.node.state.clone(), seq: 1_000_000, now: house.now };
    // However many trips, however long they take.
    for (name, record) in &mut trips.state.0 {
        if let (Name::Budget(_), Record::Budget(budget)) = (name, Arc::make_mut(record)) {
            (budget.until, budget.ceiling, budget.hourly) = (MAX_INT, points(MAX_INT), points(MAX_INT));
        }
    }
    let (mut dice, mut fee_version, mut versions) = (Rng::new(2_026), 1, [1u64; 3]);
    let rates =
        [(29, 100), (1, 3), (2, 3), (7, 9), (999_999_999, 999_999_998), (123_456_789, 98_765_432), (19, 1)];
    let (mut home, mut hops, mut paused, mut fees_paid) = (0u64, 0u64, 0u64, 0u64);
    for trip in 0..wanted {
        let began = trips.now;
        // An announced change now and then: of a unit's prices in a day, of the fees in a month.
        if dice.below(4) == 0 {
            let at = dice.below(3) as usize;
            let (brand, _) = house.world.brand_of(units[at]);
            let pick = |dice: &mut Rng| rates[dice.below(rates.len() as u64) as usize];
            let (settle, other) = (pick(&mut dice), pick(&mut dice));
            let (low, high) =
                if settle.0 * other.1 <= other.0 * settle.1 { (settle, other) } else { (other, settle) };
            let (settle, issue) = if dice.below(8) == 0 { (high, low) } else { (low, high) };
            versions[at] += 1;
            let from = trips.now.seconds() + DAY + 60;
            let args = PublishPrices {
                home: rate(high.0, high.1),
                till: rate(high.0, high.1),
                settle: rate(settle.0, settle.1),
                issue: rate(issue.0, issue.1),
                ..house.world.prices(units[at], versions[at], eur(), from)
            };
            let by = asked(&brand.root, &brand.approvers.iter().collect::<Vec<_>>());
            trips.play(|draft| publish_prices(draft, &by, &args)).expect("published");
        }
        if dice.below(10) == 0 {
            fee_version += 1;
            let line =
                |unit: Option<UnitCode>, ppm, min, max| ExchangeFee { unit, tier: None, ppm, min, max };
            let exchange = vec![
                line(None, [0, 2_900, 333_333, 999_999][dice.below(4) as usize], Points::ZERO, None),
                line(
                    Some(units[dice.below(3) as usize]),
                    2_900,
                    points(dice.below(9)),
                    Some(points(9 + dice.below(90))),
                ),
            ];
            let from = trips.now.seconds() + 31 * DAY;
            let args = PublishFees {
                exchange: Some(exchange),
                ..fees(fee_version, from, fee(0, 0, None, true), fee(0, 0, None, true), 190_000)
            };
            let by = asked(&house.analyst, &[&house.approvers[0], &house.approvers[1]]);
            trips.play(|draft| publish_fees(draft, &by, &args)).expect("published");
        }
        let start = dice.below(3) as usize;
        let most = [9, 1_000, 1_000_000][dice.below(3) as usize];
        let amount = points(1 + dice.below(most));
        // What is left of earlier trips is put aside: an account has room for 64 sorts of lots.
        for holder in &holders {
            let record = trips.state.0.get_mut(&Name::Account(holder.account)).map(Arc::make_mut);
            if let Some(Record::Account(account)) = record {
                account.lots.clear();
            }
        }
        let (account, month) = (holders[start].account, id("2026-01"));
        let lot = Lot(Bucket(None, None, month, Origin::Goodwill), amount);
        trips.play(|draft| draft.give(account, units[start], lot)).expect("given");
        let (mut at, mut carried, mut left) = (start, amount, None);
        while trips.now.seconds() < began.seconds() + DAY - 60 && dice.below(6) > 0 {
            if dice.below(3) == 0 {
                trips.now = trips.now.plus_seconds(dice.below(20_000));
            }
            let to = if dice.below(2) == 0 { start } else { dice.below(3) as usize };
            // The day's count of a budget, and of lots, is not what this is about.
            if to == at || carried.is_zero() {
                continue;
            }
            let before = trips.has(&holders[to]);
            let mut wanted =
                WantedExchange { to: units[to], currency: eur(), source: Some(carried), target: None };
            let (key, approval) = (&holders[at].key, &holders[to].key);
            let mut args = MakeOffer { firm: false, exchange: Some(wanted.clone()), payment: None };
            let offered = trips.play(|draft| make_offer(draft, &asked(key, &[]), &args));
            let offer = match offered {
                Ok(offer) => offer,
                // What expired meanwhile is gone.
                Err(Refusal::AmountTooSmall | Refusal::InsufficientPoints) => break,
                Err(Refusal::ExchangePaused) => {
                    paused += 1;
                    continue;
                }
                Err(no) => panic!("{no}"),
            };
            let of = |trips: &Trips, offer| {
                trips.state.get(&Name::Offer(offer)).and_then(Record::offer).expect("an offer").clone()
            };
            let terms = |offer: &tallyhouse::book::Offer| match &offer.terms {
                tallyhouse::book::OfferTerms::Exchange(terms) => (**terms).clone(),
                tallyhouse::book::OfferTerms::Payment(_) => panic!("a bill"),
            };
            let made = of(&trips, offer);
            let fixed = terms(&made);
            // The same the other way round: what is got is fixed, and costs no more than that.
            if dice.below(2) == 0 {
                (wanted.source, wanted.target) = (None, Some(fixed.target));
                args.exchange = Some(wanted);
                trips.now = trips.now.plus_seconds(61);
                match trips.play(|draft| make_offer(draft, &asked(key, &[]), &args)) {
                    Ok(offer) => {
                        let cheaper = terms(&of(&trips, offer));
                        let same = (cheaper.settle_price, cheaper.issue_price)
                            == (fixed.settle_price, fixed.issue_price);
                        let fees = |terms: &tallyhouse::book::ExchangeTerms| {
                            terms.fee.as_ref().map(|fee| fee.worth.version)
                        };
                        assert!(!same || fees(&cheaper) != fees(&fixed) || cheaper.source <= fixed.source);
                    }
                    Err(Refusal::AmountTooSmall | Refusal::InsufficientPoints | Refusal::ExchangePaused) => {}
                    Err(no) => panic!("{no}"),
                }
                trips.now = trips.now.plus_seconds(61);
                continue;
            }
            let (settle, _) = trips.price(units[at]);
            let (_, issue) = trips.price(units[to]);
            let agree = AgreeExchange { offer, hash: made.hash(offer) };
            let exchanged = trips.play(|draft| exchange(draft, &asked(key, &[approval]), &agree));
            let exchanged = exchanged.expect("as offered");
            // State would grow with every hop.
            trips.state.0.remove(&Name::Offer(offer));
            trips.state.0.remove(&Name::Exchange(exchanged));
            let got = trips.has(&holders[to]).minus(before).expect("more");
            assert_eq!(got, fixed.target);
            let fee = fixed.fee.as_ref().map_or(Points::ZERO, |fee| fee.points);
            fees_paid += fee.get();
            let rest = fixed.source.minus(fee).expect("less than all");
            assert!(covers(rest, settle, got, issue), "{fixed:?}");
            // In money: what is owed for the points, the fee among it, is not more than they are worth.
            let paid = fixed.fee.as_ref().map_or(0, |fee| fee.worth.gross.get()) + fixed.worth.get();
            assert!(paid <= settle.money_floor(fixed.source).expect("fits").get());
            hops += 1;
            if at == start {
                left = Some((fixed.source, settle));
            }
            (at, carried) = (to, got);
            if let Some((gave, settle)) = left.filter(|_| at == start) {
                home += 1;
                assert!(covers(gave, settle, got, issue), "{gave} became {got} on trip {trip}");
            }
        }
        trips.now = trips.now.plus_seconds(dice.below(2 * DAY));
    }
    let sum: i64 = trips
        .state
        .0
        .iter()
        .map(|(name, record)| match (name, &**record) {
            (Name::Net(..), Record::Total(n)) => *n,
            _ => 0,
        })
        .sum();
    assert_eq!(sum, 0);
    // Most trips end early: nothing is left of them after a fee, or there is no way on.
    assert!(
        hops > wanted / 3 && home > wanted / 12 && paused > 0 && fees_paid > 0,
        "{hops} {home} {paused} {fees_paid}"
    );
    println!("{wanted} trips: {hops} hops, {home} of them home again, {paused} with no way on");
}
