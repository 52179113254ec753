//! Funding: what stands behind points and debts is enough, whatever happens.
//!
//! Owns: random histories under reserves, caps and covers, with a model that counts for itself.
//! Promises: no award and no exchange is accepted that its reserve does not stand for, line by line, and none is refused
//! that it does; no voluntary debit is accepted that its issuer's limit or a pair's cap does not allow.
//! Refuses to know: disks and HTTP.

mod common;

use common::house::{House, code, eur, funding};
use common::node::{replay_by_applying, replay_by_checking};
use common::rng::Rng;
use common::world::{id, money};
use tallyhouse::book::{Funding, Name, OfferTerms, OfferedShare, Record, Shared};
use tallyhouse::clearing::{CallMargin, PairCap, SetFunding, SetReserve};
use tallyhouse::points::Verdict;
use tallyhouse::types::{ParticipantId, PaymentId, Refusal, Time, UnitCode, encode};

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
}

/// What accounts of a unit hold together, account by account.
fn on_accounts(house: &House, unit: UnitCode) -> u64 {
    let of = |record: &Record| match record {
        Record::Account(account) if account.head.unit == unit => account.total().get(),
        _ => 0,
    };
    house.node.state.0.values().map(|record| of(record)).sum()
}

/// What so many points need at 19 a point, in parts per million.
fn needs(points: u64, ppm: u32) -> u64 {
    (u128::from(points) * 19 * u128::from(ppm)).div_ceil(1_000_000) as u64
}

/// A batch of awards: what became of each.
fn batch(house: &mut House, unit: UnitCode, amounts: &[u64]) -> Vec<Verdict> {
    let (cid, now) = (house.cid(), house.now);
    let (brand, at) = house.world.brand_of(unit);
    let line = |(n, amount): (usize, &u64)| {
        let sub = house.world.holder(unit, n % 3).account;
        encode(&house.world.token(brand, unit, &cid, sub, *amount, now).award())
    };
    let lines: Vec<Vec<u8>> = amounts.iter().enumerate().map(line).collect();
    let claims = house.world.batch(brand, unit, &cid, &lines, true, now);
    let request = house.world.issue_batch(&brand.issuing[at], &claims, &lines);
    let answer = house.send(request).expect("taken in");
    let mut verdicts = vec![Verdict::Ok; amounts.len()];
    for other in answer.others {
        verdicts[other.line as usize - 1] = other.verdict;
    }
    verdicts
}

#[test]
fn reserves_stand_for_what_is_outstanding_line_by_line() {
    let mut seen = [0u32; 4];
    for seed in 0..6 {
        let (mut house, mut rng, unit) = (House::new(300 + seed, false), Rng::new(seed), id("HARVEST"));
        for n in 0..3 {
            house.award("HARVEST", n, 1 + rng.below(50));
        }
        let (mut ppm, mut held) = (1 + rng.below(2_000_000) as u32, 0);
        house.reserve("HARVEST", ppm).expect("set");
        for _ in 0..40 {
            let before = on_accounts(&house, unit);
            match rng.below(8) {
                0 => {
                    let amount = 100 * (1 + rng.below(40));
                    house.top_up("pa_harvest", Some("HARVEST"), amount).expect("topped up");
                    held += amount;
                }
                1 => {
                    let amount = 1 + rng.below(500);
                    let enough = amount <= held && needs(before, ppm) <= held - amount;
                    let done = house.withdraw("pa_harvest", Some("HARVEST"), amount);
                    assert_eq!(done.is_ok(), enough, "{amount} of {held} for {before} at {ppm}: {done:?}");
                    held -= if enough { amount } else { 0 };
                }
                2 => {
                    ppm = rng.below(3_000_000) as u32;
                    house.reserve("HARVEST", ppm).expect("set");
                }
                3 => {
                    // Spent elsewhere: fewer are outstanding; half of it may come back, whatever the reserve is.
                    let paid = house.pay(1, "HARVEST", 0, 20 * (1 + rng.below(10)), true);
                    if let Ok(payment) = paid.as_ref() {
                        let cid = house.cid();
                        let till = &house.world.brands[1].tills[0].key;
                        let request = house.world.refund(till, &cid, *payment, 10);
                        house.send(request).expect("a refund is never refused");
                        seen[3] += 1;
                    }
                }
                4 | 5 => {
                    let amounts: Vec<u64> = (0..1 + rng.below(6)).map(|_| 1 + rng.below(40)).collect();
                    let verdicts = batch(&mut house, unit, &amounts);
                    let mut outstanding = before;
                    for (amount, verdict) in amounts.iter().zip(&verdicts) {
                        let fits = needs(outstanding + amount, ppm) <= held;
                        let wanted = match fits {
                            true => Verdict::Ok,
                            false => Verdict::Refused(Refusal::IssuanceCoverExceeded),
                        };
                        assert_eq!(*verdict, wanted, "{amount} to {outstanding} at {ppm}, {held} held");
                        outstanding += if fits { *amount } else { 0 };
                        seen[usize::from(fits)] += 1;
                    }
                    assert_eq!(on_accounts(&house, unit), outstanding);
                }
                _ => {
                    let amount = 1 + rng.below(60);
                    let (cid, now) = (house.cid(), house.now);
                    let (brand, at) = house.world.brand_of(unit);
                    let sub = house.world.holder(unit, 1).account;
                    let token = house.world.token(brand, unit, &cid, sub, amount, now);
                    let request = house.world.issue(&brand.issuing[at], &token);
                    let given = house.send(request);
                    let fits = needs(before + amount, ppm) <= held;
                    assert_eq!(given.is_ok(), fits, "{amount} to {before} at {ppm}, {held} held: {given:?}");
                    if !fits {
                        assert_eq!(code(given), Refusal::IssuanceCoverExceeded);
                    }
                    seen[2] += 1;
                }
            }
            // The totals of the unit's shared accounts say the same as all of its accounts do.
            let shared = Shared::ALL.map(|place| house.node.state.get(&Name::Shared(unit, place)));
            let shared: i64 = shared.iter().map(|of| of.and_then(Record::total).copied().unwrap_or(0)).sum();
            assert_eq!(-shared, on_accounts(&house, unit) as i64);
            let reserve = house.node.state.get(&Name::Reserve(unit)).and_then(Record::reserve).expect("set");
            assert_eq!((reserve.held, reserve.currency), (money(held), eur()));
        }
        verified(&house);
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// What the participants of three brands owe each other, and what stands behind it, counted from payments and offers.
struct Model<'a> {
    house: &'a House,
    at: Time,
}

const DEBTORS: [&str; 3] = ["pa_harvest", "pa_kino", "pa_polar"];

impl<'a> Model<'a> {
    fn of(house: &'a House) -> Self {
        Self { house, at: house.node.chain.last_at().expect("entries") }
    }

    fn records(&self) -> impl Iterator<Item = &'a Record> {
        self.house.node.state.0.values().map(|record| &**record)
    }

    fn funding(&self, debtor: &str) -> Option<&'a Funding> {
        self.house.node.state.get(&Name::Funding(id(debtor), eur())).and_then(Record::funding)
    }

    /// What one owes another on balance, by all obligations: none was settled.
    fn owed(&self, debtor: &str, creditor: &str) -> i64 {
        let pairs = self.house.node.state.0.iter().map(|(name, record)| match (name, &**record) {
            (Name::Pair(_, a, b, _), Record::Total(n)) if a.as_str() == creditor && b.as_str() == debtor => {
                *n
            }
            (Name::Pair(_, a, b, _), Record::Total(n)) if a.as_str() == debtor && b.as_str() == creditor => {
                -*n
            }
            _ => 0,
        });
        pairs.sum()
    }

    /// What it may come to owe: of open payments what is not captured, of firm offers all.
    fn in_flight(&self, debtor: &str, creditor: Option<&str>) -> i64 {
        let to = |who: &ParticipantId| creditor.is_none_or(|creditor| who.as_str() == creditor);
        let mut sum = 0;
        for record in self.records() {
            match record {
                Record::Payment(payment) if payment.open(self.at) && to(&payment.participant) => {
                    let (x, c) = (u128::from(payment.amount.get()), u128::from(payment.captured.get()));
                    for share in payment.shares.iter().filter(|share| share.issuer.as_str() == debtor) {
                        let full = u128::from(share.obligation.get());
                        sum += (full - full * c / x) as i64;
                    }
                }
                Record::Offer(offer) if offer.open(self.at) => {
                    let OfferTerms::Payment(bill) = &offer.terms else { continue };
                    let own = |share: &&OfferedShare| share.firm && share.issuer.as_str() == debtor;
                    let held = bill.shares.iter().filter(own).map(|share| share.obligation.signed());
                    sum += if to(&bill.participant) { held.sum() } else { 0 };
                }
                _ => {}
            }
        }
        sum
    }

    fn used(&self, debtor: &str) -> i64 {
        let net = |cycle| self.house.nets(cycle).get(&id(debtor)).copied().unwrap_or(0);
        self.in_flight(debtor, None) - (1..=self.house.open()).map(net).sum::<i64>()
    }

    fn limit(&self, debtor: &str) -> Option<i64> {
        let have = self.funding(debtor)?;
        let cover = have.covered.then_some(have.cover);
        [have.cap, cover].into_iter().flatten().map(|most| most.signed()).min()
    }

    /// What was accepted left the debtor within its limit and within its cap for the creditor.
    fn holds(&self, debtor: &str, creditor: &str, what: &str) {
        if let Some(limit) = self.limit(debtor) {
            let used = self.used(debtor);
            assert!(used <= limit, "{what}: {debtor} stands for {used} of {limit}");
        }
        let pairs = self.funding(debtor).map_or(&[][..], |have| &have.pairs);
        if let Some((_, most)) = pairs.iter().find(|(who, _)| who.as_str() == creditor) {
            let stands = self.owed(debtor, creditor) + self.in_flight(debtor, Some(creditor));
            assert!(stands <= most.signed(), "{what}: {debtor} to {creditor}: {stands} of {most}");
        }
    }
}

/// What was captured of a payment and not refunded.
fn left(house: &House, payment: PaymentId) -> u64 {
    let record = house.node.state.get(&Name::Payment(payment)).and_then(Record::payment);
    record.map_or(0, |payment| payment.captured.get() - payment.refunded.get())
}

#[test]
fn no_voluntary_debit_leaves_more_than_stands_behind_it() {
    let units = ["HARVEST", "KINO", "POLAR"];
    let (mut accepted, mut refused, mut over, mut firmly) = (0u32, 0u32, 0u32, 0u32);
    for seed in 0..8 {
        // In every other history no time passes that ends a reservation: then nothing is refused that would fit either.
        let exact = seed % 2 == 0;
        let (mut house, mut rng) = (House::new(400 + seed, false), Rng::new(seed));
        for unit in units {
            house.award(unit, 0, 10_000_000);
        }
        house.now = house.now.plus_seconds(3 * 86_400);
        // What is held before anything is set for a participant is not counted for it.
        for who in DEBTORS {
            house.fund(who, None, 0).expect("set");
        }
        let mut payments: Vec<(usize, PaymentId)> = vec![];
        for _ in 0..120 {
            let (who, shop) = (rng.index(3), rng.index(3));
            let (unit, amount) = (units[who], 20 * (1 + rng.below(500)));
            let pick = (!payments.is_empty()).then(|| payments[rng.index(payments.len())]);
            match rng.below(13) {
                0 => {
                    let mut pairs = vec![];
                    for other in (0..3).filter(|other| *other != who) {
                        if rng.chance(40) {
                            pairs.push(PairCap {
                                creditor: id(DEBTORS[other]),
                                most: money(rng.below(9_000)),
                            });
                        }
                    }
                    let args = SetFunding {
                        cap: rng.chance(80).then(|| money(rng.below(9_000))),
                        pairs,
                        covered: rng.chance(50),
                        in_flight: true,
                        per_shop: Some(money(5_000)),
                        ..funding(DEBTORS[who], None)
                    };
                    let _ = house.set_funding(&args);
                }
                1 => {
                    let _ = house.top_up(DEBTORS[who], None, 100 * (1 + rng.below(90)));
                }
                2 => {
                    if house.withdraw(DEBTORS[who], None, 1 + rng.below(3_000)).is_ok() {
                        let model = Model::of(&house);
                        let covered = model.funding(DEBTORS[who]).is_some_and(|have| have.covered);
                        let within =
                            model.limit(DEBTORS[who]).is_none_or(|limit| model.used(DEBTORS[who]) <= limit);
                        assert!(within || !covered, "withdrawn below what is in use");
                    }
                }
                3 | 8 => {
                    if let Some((shop, payment)) = pick {
                        let cid = house.cid();
                        let till = &house.world.brands[shop].tills[0].key;
                        let request = match rng.below(6) {
                            0 => house.world.void(till, &cid, payment),
                            1 => house.world.capture(till, &cid, payment, 1 + rng.below(500), rng.chance(20)),
                            _ => house.world.refund(till, &cid, payment, left(&house, payment)),
                        };
                        let _ = house.send(request);
                    }
                }
                4 | 9 => {
                    let model = Model::of(&house);
                    let (limit, used) = (model.limit(DEBTORS[who]), model.used(DEBTORS[who]));
                    let until = house.now.seconds() + 86_400;
                    let args = CallMargin { participant: id(DEBTORS[who]), currency: eur(), until };
                    if house.ask("margin.call", &args).is_ok() {
                        let have = Model::of(&house).funding(DEBTORS[who]).expect("set").clone();
                        let missing = have.call.expect("called").amount.signed();
                        assert!(!exact || missing == used - limit.expect("a limit"), "{missing}");
                        over += 1;
                    } else {
                        let called =
                            Model::of(&house).funding(DEBTORS[who]).is_some_and(|have| have.call.is_some());
                        assert!(
                            !exact || called || limit.is_none_or(|limit| used <= limit),
                            "{used} of {limit:?}"
                        );
                    }
                }
                5 if !exact => house.now = house.now.plus_seconds(rng.below(3 * 86_400)),
                6 if !exact => {
                    if let Ok(offer) = house.offer_firm(shop, unit, amount) {
                        Model::of(&house).holds(DEBTORS[who], DEBTORS[shop], "a firm offer");
                        firmly += 1;
                        if rng.chance(40) {
                            let cid = house.cid();
                            let till = &house.world.brands[shop].tills[0].key;
                            let request = house.world.cancel_offer(till, &cid, offer.offer);
                            house.send(request).expect("cancelled");
                        }
                    }
                }
                // A sealed cycle still counts, until it is paid; at most a few may be under way.
                7 if house.open() < 5 => drop(house.seal()),
                _ => {
                    let model = Model::of(&house);
                    let fits = model.limit(DEBTORS[who]).is_none_or(|limit| {
                        who == shop || model.used(DEBTORS[who]) + (amount * 19 / 20) as i64 <= limit
                    });
                    match house.pay(shop, unit, 0, amount, rng.chance(50)) {
                        Ok(payment) => {
                            payments.push((shop, payment));
                            if who != shop {
                                Model::of(&house).holds(DEBTORS[who], DEBTORS[shop], "a payment");
                            }
                            accepted += 1;
                        }
                        Err(no) => {
                            assert!(!exact || no.code != Refusal::ExposureExceeded || !fits, "{no}");
                            refused += u32::from(matches!(
                                no.code,
                                Refusal::ExposureExceeded | Refusal::PairCapExceeded
                            ));
                        }
                    }
                }
            }
        }
        verified(&house);
    }
    assert!(accepted > 100 && refused > 20 && over > 1 && firmly > 5, "{accepted} {refused} {over} {firmly}");
}

/// What two people approved and somebody held back does not take newer terms away. Money that comes and goes is no new version.
#[test]
fn older_terms_do_not_come_back() {
    let mut house = House::new(392, true);
    let older = SetFunding { version: 1, ..funding("pa_kino", None) };
    house.set_funding(&funding("pa_kino", Some(5_000))).expect("set");
    house.top_up("pa_kino", None, 300).expect("topped up");
    assert_eq!(code(house.agreed("funding.set", &older)), Refusal::SerialStale);
    house.agreed("funding.set", &SetFunding { version: 2, ..older }).expect("newer");
    let older = house.next_reserve("HARVEST", 0);
    house.reserve("HARVEST", 1_000_000).expect("set");
    house.top_up("pa_harvest", Some("HARVEST"), 300).expect("topped up");
    assert_eq!(code(house.agreed("reserve.set", &older)), Refusal::SerialStale);
    house.agreed("reserve.set", &SetReserve { version: 2, ..older }).expect("newer");
    verified(&house);
}

/// Cover of a debtor comes in an order, and refusals name it.
#[test]
fn cover_for_a_debtor_has_an_order() {
    let mut house = House::new(393, true);
    house.award("KINO", 0, 10_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    house.pay(2, "KINO", 0, 1_000, true).expect("paid");
    let order = "first funding.set, without covered; then";
    let no = house.top_up("pa_kino", None, 2_000).expect_err("no terms yet");
    assert!(no.code == Refusal::CoverInvalid && no.about.contains(order), "{no}");
    let covered = SetFunding { covered: true, ..funding("pa_kino", Some(9_000)) };
    let no = house.set_funding(&covered).expect_err("it owes");
    assert!(
        no.code == Refusal::ExposureExceeded && no.about.contains("first funding.set without covered"),
        "{no}"
    );
    house.set_funding(&funding("pa_kino", Some(9_000))).expect("set");
    house.top_up("pa_kino", None, 2_000).expect("topped up");
    house.set_funding(&covered).expect("covered");
    verified(&house);
}

/// Terms bring no money: that comes by a line of a statement alone; each setting stands in the history of the cover.
#[test]
fn terms_bring_no_money_and_stay_in_the_history() {
    let mut house = House::new(390, true);
    house.fund("pa_kino", Some(5_000), 0).expect("set");
    let with_cover =
        serde_json::json!({"participant": "pa_kino", "currency": "EUR", "version": 2, "cover": 900});
    assert_eq!(code(house.agreed("funding.set", &with_cover)), Refusal::TokenPayload);
    let args = SetFunding { covered: true, ..funding("pa_kino", Some(9_000)) };
    house.set_funding(&args).expect("set");
    house.top_up("pa_kino", None, 300).expect("topped up");
    house.withdraw("pa_kino", None, 100).expect("its brand agrees");
    let steps = house.node.state.0.values().filter_map(|record| record.cover_step());
    let mut steps: Vec<_> = steps.collect();
    steps.sort_by_key(|step| step.at);
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            let terms = step.terms.as_ref().map(|terms| (terms.cap.map(|cap| cap.get()), terms.covered));
            (step.change, step.amount.get(), step.after.get(), terms)
        })
        .collect();
    use tallyhouse::book::CoverChange::*;
    let wanted = [
        (Set, 0, 0, Some((Some(5_000), false))),
        (Set, 0, 0, Some((Some(9_000), true))),
        (ToppedUp, 300, 300, None),
        (Withdrawn, 100, 200, None),
    ];
    assert_eq!(steps, wanted);
    verified(&house);
}
