//! Points that are taken back from what is left of their award.
//!
//! Owns: awards in each form, random spending and taking back with a model that counts for itself, sponsors who get their
//! money back, also beside disputes, reserves, what the command line finds.
//! Promises: no award loses more than it gave and no account what it spent; a sponsor pays in the end for what was kept.
//! Refuses to know: disks and HTTP.

mod common;

use common::dispute::about;
use common::funds::has;
use common::house::{House, code};
use common::node::{How, Replay, award_text, replay_by_applying, replay_by_checking};
use common::rng::Rng;
use common::world::{Key, id, points};
use std::collections::BTreeMap;
use tallyhouse::book::{BreakageTo, Name, Record, Shared};
use tallyhouse::clearing::{DisputeStep, FileDispute};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::{Event, Sealed};
use tallyhouse::points::ClawBack;
use tallyhouse::sign::{Award, PointToken};
use tallyhouse::types::{AccountId, AwardId, Month, Refusal, Refused, encode};

const UNIT: &str = "HARVEST";

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
    let mut erased = Replay::new(How::Erased);
    erased.follow(&house.node.entries).unwrap_or_else(|e| panic!("{e}"));
    erased.same(&house.node.state).expect("the same without evidence");
}

fn shared(house: &House, unit: &str, place: Shared) -> i64 {
    let record = house.node.state.get(&Name::Shared(id(unit), place));
    record.and_then(Record::total).copied().unwrap_or(0)
}

fn holds(house: &House, account: AccountId) -> u64 {
    let record = house.node.state.get(&Name::Account(account)).and_then(Record::account);
    record.expect("an account").total().get()
}

fn month(house: &House) -> Month {
    house.now.date(60).month()
}

/// An award's points are taken back by a key of its brand; how many were.
fn take(
    house: &mut House,
    key: &Key,
    award: &str,
    month: Option<Month>,
    most: Option<u64>,
) -> Result<u64, Refused> {
    let (units, before) =
        (["HARVEST", "KINOPLUS"], |house: &House, unit| shared(house, unit, Shared::ClawedBack));
    let had: i64 = units.iter().map(|unit| before(house, unit)).sum();
    let args = ClawBack {
        award: award.to_owned(),
        till: None,
        month,
        points: most.map(points),
        reason: id("error"),
    };
    house.by(key, "points.claw_back", &args)?;
    let has: i64 = units.iter().map(|unit| before(house, unit)).sum();
    Ok((has - had) as u64)
}

fn issuing(house: &House, unit: &str) -> Key {
    let (brand, at) = house.world.brand_of(id(unit));
    Key::derive(house.world.seed, &format!("{} issuing {at}", brand.id))
}

fn token(house: &mut House, unit: &str, n: usize, amount: u64) -> PointToken {
    let (cid, now) = (house.cid(), house.now);
    let (brand, _) = house.world.brand_of(id(unit));
    house.world.token(brand, id(unit), &cid, house.world.holder(id(unit), n).account, amount, now)
}

#[test]
fn an_award_is_named_by_its_text_in_each_form() {
    let mut house = House::new(1, true);
    let (key, this) = (issuing(&house, UNIT), Some(month(&house)));
    // A token without a receipt, one with, a request over HTTP, and lines of a batch.
    let bare = token(&mut house, UNIT, 0, 100);
    let with =
        PointToken { reference: Some(id("r-1")), till: Some(id("t-1")), ..token(&mut house, UNIT, 0, 100) };
    let over = PointToken { reference: Some(id("r-2")), ..token(&mut house, UNIT, 0, 100) };
    let mut seqs = vec![];
    for (token, http) in [(&bare, false), (&with, false), (&over, true)] {
        let request = house.world.issue(&key, token);
        let now = house.now;
        let request = if http { house.world.over_http(&request, &key, now) } else { request };
        seqs.push(house.send(request).expect("awarded").seq);
    }
    for seq in &seqs {
        let text = award_text(&house.node.entries[*seq as usize], None);
        assert_eq!(take(&mut house, &key, &text, this, Some(40)).expect("taken"), 40);
        assert_eq!(code(take(&mut house, &key, &text, this, Some(61))), Refusal::ClawBackExceeded);
        assert_eq!(take(&mut house, &key, &text, this, None).expect("taken"), 60);
        assert_eq!(code(take(&mut house, &key, &text, this, None)), Refusal::ClawBackExceeded);
    }
    let line = |reference: Option<&str>| Award { reference: reference.map(id), ..bare.award() };
    let lines = [line(Some("r-3")), line(None)].map(|award| encode(&award)).to_vec();
    let (cid, now) = (house.cid(), house.now);
    let claims = house.world.batch(house.world.brand_of(id(UNIT)).0, id(UNIT), &cid, &lines, false, now);
    let seq = house.send(house.world.issue_batch(&key, &claims, &lines)).expect("taken in").seq;
    let [first, second] = [1, 2].map(|line| award_text(&house.node.entries[seq as usize], Some(line)));
    assert_eq!(take(&mut house, &key, &first, this, None).expect("taken"), 100);
    // What has neither a receipt nor an id of its own cannot be told from another.
    assert_eq!(code(take(&mut house, &key, &second, this, None)), Refusal::AwardUnknown);
    // Another byte is another award.
    let other = first.replace("\"amount\":100", "\"amount\":101");
    assert_eq!(code(take(&mut house, &key, &other, this, None)), Refusal::AwardUnknown);
    assert_eq!(holds(&house, bare.sub), 100, "the second line's");
    let record = house.node.state.get(&Name::ClawedBack(AwardId { seq, part: 1 }));
    let record = record.and_then(Record::clawed_back).expect("kept");
    assert_eq!((record.taken, record.awarded), (points(100), points(100)));
    verified(&house);
}

#[test]
fn what_is_spent_held_or_another_months_stays() {
    let mut house = House::new(2, false);
    let (key, this) = (issuing(&house, UNIT), Some(month(&house)));
    let holder = house.award(UNIT, 0, 100);
    let text = newest(&house);
    // 20 money is a point: 30 are spent, 50 are held.
    house.pay(1, UNIT, 0, 600, true).expect("paid");
    house.pay(1, UNIT, 0, 1_000, false).expect("held");
    assert_eq!(take(&mut house, &key, &text, this, None).expect("what is left"), 20);
    assert_eq!(code(take(&mut house, &key, &text, this, None)), Refusal::InsufficientPoints);
    assert_eq!(holds(&house, holder.account), 50);
    // Of a later month nothing is taken.
    house.now = house.now.plus_seconds(40 * 86_400);
    house.node.tick(house.now);
    house.award(UNIT, 0, 70);
    assert_eq!(take(&mut house, &key, &text, this, None).expect("the hold is over"), 50);
    assert_eq!(code(take(&mut house, &key, &text, this, None)), Refusal::InsufficientPoints);
    assert_eq!(holds(&house, holder.account), 70);
    // A frozen account is no way out.
    let text = newest(&house);
    let cid = house.cid();
    let request = house.world.freeze_account(&holder.key, &cid, holder.account, true);
    house.send(request).expect("frozen");
    let this = Some(month(&house));
    assert_eq!(take(&mut house, &key, &text, this, None).expect("taken"), 70);
    verified(&house);
}

/// The text of the newest award.
fn newest(house: &House) -> String {
    let issued =
        |entry: &&Sealed| Envelope::decode(&entry.envelope).expect("our own").kind == "points.issued";
    award_text(house.node.entries.iter().rev().find(issued).expect("an award"), None)
}

#[test]
fn the_holder_reads_what_was_taken_and_why() {
    let mut house = House::new(3, false);
    let (key, this) = (issuing(&house, UNIT), Some(month(&house)));
    let holder = house.award(UNIT, 0, 100);
    let text = newest(&house);
    take(&mut house, &key, &text, this, Some(30)).expect("taken");
    let entry = house.node.entries.last().expect("the entry");
    let envelope = Envelope::decode(&entry.envelope).expect("our own");
    let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
    let event = Event::read(&envelope, tallyhouse::types::Hash::default(), &slots).expect("our own");
    let put = event.effects.iter().flat_map(|effect| effect.done.puts()).find_map(|(_, record)| {
        record?.clawed_back().map(|back| (back.account, back.taken, back.reason.to_string()))
    });
    assert_eq!(put, Some((holder.account, points(30), "error".to_owned())));
}

#[test]
fn a_sponsor_gets_back_what_it_paid_for() {
    let mut house = House::new(4, false);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let key = Key::derive(4, "sponsor");
    let sub = house.award(UNIT, 0, 1).account;
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let (cid, now) = (house.cid(), house.now);
    let given = house.world.token(&house.world.brands[1], id(UNIT), &cid, sub, 100, now);
    let seq = house.send(house.world.issue(&key, &given)).expect("awarded").seq;
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 2_100);
    let (text, this) = (award_text(&house.node.entries[seq as usize], None), Some(month(&house)));
    // The unit's brand did not make the award.
    let own = issuing(&house, UNIT);
    assert_eq!(code(take(&mut house, &own, &text, this, None)), Refusal::AwardUnknown);
    assert_eq!(take(&mut house, &key, &text, this, Some(33)).expect("taken"), 33);
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 2_100 - 693);
    // A dispute takes back what is owed still, and nothing is paid back twice.
    let of = |amount| FileDispute { award: Some(AwardId { seq, part: 0 }), ..about(amount, "wrong_amount") };
    assert_eq!(code(house.dispute(1, &of(1_408))), Refusal::DisputeInvalid);
    let dispute = house.dispute(1, &of(1_000)).expect("filed");
    house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    assert_eq!(take(&mut house, &key, &text, this, None).expect("taken"), 67);
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 1_000, "what is charged back waits for its end");
    house.argue(Some(1), dispute, DisputeStep::Withdraw).expect("taken back");
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 0);
    assert_eq!(holds(&house, sub), 1);
    verified(&house);
}

/// Kino and polar, each with a key that awards harvest's points, and a holder of one of those.
fn two_sponsors(seed: u64) -> (House, [(usize, Key); 2], AccountId) {
    let mut house = House::new(seed, false);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let sponsors = [1, 2].map(|brand| (brand, Key::derive(seed, &format!("sponsor {brand}"))));
    let sub = house.award(UNIT, 0, 1).account;
    for (brand, key) in &sponsors {
        house.sponsor(*brand, UNIT, key, &[*brand]).expect("granted");
    }
    (house, sponsors, sub)
}

/// A sponsor's award: its text.
fn sponsored(house: &mut House, (brand, key): &(usize, Key), sub: AccountId, amount: u64) -> String {
    let (cid, now) = (house.cid(), house.now);
    let token = house.world.token(&house.world.brands[*brand], id(UNIT), &cid, sub, amount, now);
    let seq = house.send(house.world.issue(key, &token)).expect("awarded").seq;
    award_text(&house.node.entries[seq as usize], None)
}

#[test]
fn what_another_sponsor_paid_for_or_another_month_is_no_awards() {
    let (mut house, [kino, polar], sub) = two_sponsors(7);
    let first = sponsored(&mut house, &kino, sub, 100);
    // All of them are spent, with the one that was there.
    house.pay(1, UNIT, 0, 101 * 20, true).expect("paid");
    assert_eq!(holds(&house, sub), 0);
    let second = sponsored(&mut house, &polar, sub, 100);
    assert_eq!(code(take(&mut house, &kino.1, &first, None, None)), Refusal::InsufficientPoints);
    assert_eq!(holds(&house, sub), 100);
    assert_eq!(take(&mut house, &polar.1, &second, None, Some(60)).expect("its own"), 60);
    // The month is that of the entry, whatever whoever asks says.
    house.now = house.now.plus_seconds(40 * 86_400);
    house.node.tick(house.now);
    let third = sponsored(&mut house, &kino, sub, 70);
    let this = Some(month(&house));
    assert_eq!(code(take(&mut house, &kino.1, &first, this, None)), Refusal::InsufficientPoints);
    assert_eq!(take(&mut house, &polar.1, &second, this, None).expect("of its month"), 40);
    assert_eq!(take(&mut house, &kino.1, &third, None, None).expect("of this month"), 70);
    assert_eq!(holds(&house, sub), 0);
    verified(&house);
}

#[test]
fn no_sponsor_gets_back_more_than_is_left_of_what_it_paid_for() {
    let (mut taken, mut spent) = (0, 0);
    for seed in 0..6 {
        let (mut house, sponsors, sub) = two_sponsors(700 + seed);
        let mut rng = Rng::new(seed);
        // Points alike are spent by origin: what was earned, then the sponsors' by their keys.
        let order = if sponsors[0].1.kid < sponsors[1].1.kid { [0, 1] } else { [1, 0] };
        let (mut earned, mut unspent, mut paid) = (1, [0u64; 2], [0u64; 2]);
        let mut given: Vec<(usize, String, u64)> = vec![];
        for _ in 0..60 {
            let by = rng.index(2);
            match rng.below(3) {
                0 => {
                    let amount = 1 + rng.below(300);
                    given.push((by, sponsored(&mut house, &sponsors[by], sub, amount), amount));
                    unspent[by] += amount;
                    paid[by] += amount;
                }
                1 => {
                    let before = holds(&house, sub);
                    house.pay(1, UNIT, 0, 20 * (1 + rng.below(before.max(1))), true).ok();
                    let mut gone = before - holds(&house, sub);
                    spent += gone;
                    let [a, b] = order;
                    for left in [&mut earned].into_iter().chain(pick(&mut unspent, a, b)) {
                        let part = gone.min(*left);
                        (*left, gone) = (*left - part, gone - part);
                    }
                    assert_eq!(gone, 0);
                }
                _ if given.is_empty() => {}
                _ => {
                    let at = rng.index(given.len());
                    let (by, text, left) = given[at].clone();
                    let wanted = [None, Some(1 + rng.below(300))][rng.index(2)];
                    let asked = wanted.unwrap_or(left);
                    match take(&mut house, &sponsors[by].1, &text, None, wanted) {
                        Ok(back) => {
                            assert_eq!(back, asked.min(unspent[by]), "{asked} of {left}");
                            (unspent[by], paid[by]) = (unspent[by] - back, paid[by] - back);
                            given[at].2 -= back;
                            taken += back;
                        }
                        Err(no) if no.code == Refusal::ClawBackExceeded => {
                            assert!(asked == 0 || asked > left)
                        }
                        Err(no) => {
                            assert_eq!((no.code, unspent[by]), (Refusal::InsufficientPoints, 0));
                        }
                    }
                }
            }
            for (at, name) in ["pa_kino", "pa_polar"].into_iter().enumerate() {
                let records = house.node.state.0.values().filter_map(|record| record.sponsored());
                let own = records.filter(|one| one.debtor.as_str() == name);
                let owed: u64 = own.map(|one| one.worth.get() - one.returned.get()).sum();
                assert_eq!(owed, 21 * paid[at], "{name} pays for all but what it got back");
            }
        }
        verified(&house);
    }
    assert!(taken > 1_000 && spent > 1_000, "{taken} {spent}");
}

/// Two of two, in this order.
fn pick(all: &mut [u64; 2], a: usize, b: usize) -> [&mut u64; 2] {
    assert_eq!(a + b, 1);
    let [first, second] = all;
    if a == 0 { [first, second] } else { [second, first] }
}

#[test]
fn a_reserve_is_restated_and_what_that_frees_is_the_issuers() {
    for to in [BreakageTo::Issuer, BreakageTo::Operator, BreakageTo::Fund] {
        let mut house = House::new(5, false);
        house.fill_at_issuance("KINOPLUS", 1_000_000, to).expect("set");
        let (key, this) = (issuing(&house, "KINOPLUS"), house.now.date(-300).month());
        let given = token(&mut house, "KINOPLUS", 0, 1_000);
        let seq = house.send(house.world.issue(&key, &given)).expect("awarded").seq;
        assert_eq!(has(&house, "pa_franchise", "pa_kino"), 19_000);
        let text = award_text(&house.node.entries[seq as usize], None);
        assert_eq!(take(&mut house, &key, &text, Some(this), Some(400)).expect("taken"), 400);
        assert_eq!(has(&house, "pa_franchise", "pa_kino"), 600 * 19, "{to:?}");
        assert_eq!(take(&mut house, &key, &text, Some(this), None).expect("taken"), 600);
        assert_eq!(has(&house, "pa_franchise", "pa_kino"), 0, "{to:?}");
        verified(&house);
    }
}

/// An award that the model follows.
struct Given {
    text: String,
    n: usize,
    sponsor: bool,
    amount: u64,
    left: u64,
    seq: u64,
}

#[test]
fn any_order_of_awards_payments_and_taking_back() {
    for seed in 0..8 {
        let (mut rng, mut house) = (Rng::new(seed), House::new(600 + seed, false));
        for request in house.world.approving() {
            house.send(request).expect("certified");
        }
        let (own, sponsor) = (issuing(&house, UNIT), Key::derive(seed, "sponsor"));
        let this = Some(month(&house));
        let accounts: Vec<AccountId> = (0..2).map(|n| house.award(UNIT, n, 1_000).account).collect();
        house.sponsor(1, UNIT, &sponsor, &[1]).expect("granted");
        let (mut given, mut out): (Vec<Given>, i64) = (vec![], 0);
        for _ in 0..70 {
            match rng.below(4) {
                0 => {
                    let (n, sponsored, amount) = (rng.index(2), rng.chance(50), 1 + rng.below(400));
                    let (cid, now) = (house.cid(), house.now);
                    let brand = &house.world.brands[usize::from(sponsored)];
                    let token = house.world.token(brand, id(UNIT), &cid, accounts[n], amount, now);
                    let key = if sponsored { &sponsor } else { &own };
                    let seq = house.send(house.world.issue(key, &token)).expect("awarded").seq;
                    let text = award_text(&house.node.entries[seq as usize], None);
                    given.push(Given { text, n, sponsor: sponsored, amount, left: amount, seq });
                }
                1 => drop(house.pay(1, UNIT, rng.index(2), 20 * (1 + rng.below(60)), true)),
                _ if given.is_empty() => {}
                _ => {
                    let at = rng.index(given.len());
                    let one = &mut given[at];
                    let wanted = [None, Some(1 + rng.below(one.amount))][rng.index(2)];
                    let (key, before) =
                        (if one.sponsor { &sponsor } else { &own }, holds(&house, accounts[one.n]));
                    let text = one.text.clone();
                    let done = take(&mut house, key, &text, this, wanted);
                    let asked = wanted.unwrap_or(one.left);
                    match done {
                        Ok(taken) => {
                            assert!((1..=asked.min(one.left)).contains(&taken), "{taken} of {asked}");
                            assert_eq!(holds(&house, accounts[one.n]), before - taken);
                            one.left -= taken;
                            out += taken as i64;
                        }
                        Err(no) if no.code == Refusal::ClawBackExceeded => {
                            assert!(asked == 0 || asked > one.left)
                        }
                        // Others' points of the account are of another origin, or spent.
                        Err(no) => assert_eq!(no.code, Refusal::InsufficientPoints),
                    }
                }
            }
            assert_eq!(shared(&house, UNIT, Shared::ClawedBack), out);
            // A sponsor owes for what was not taken back of its awards, each rounded up once.
            let mut owed: BTreeMap<u64, i64> = BTreeMap::new();
            for one in given.iter().filter(|one| one.sponsor) {
                let (worth, back) = (one.amount * 21, one.amount - one.left);
                owed.insert(one.seq, (worth - worth * back / one.amount) as i64);
            }
            let spent = owed_for_payments(&house);
            assert_eq!(has(&house, "pa_harvest", "pa_kino"), owed.values().sum::<i64>() - spent);
        }
        verified(&house);
    }
}

/// What harvest owes kino for points that were spent there.
fn owed_for_payments(house: &House) -> i64 {
    let of = |record: &std::sync::Arc<Record>| {
        let payment = record.payment()?;
        payment.shares.iter().map(|share| share.obligation.signed()).reduce(|a, b| a + b)
    };
    house.node.state.0.values().filter_map(of).sum()
}
