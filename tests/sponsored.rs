//! Sponsored awards: another brand's key awards a unit's points, and its participant pays for them.
//!
//! Owns: who must agree; random awards, in tokens and batches, against caps and ceilings, with a model that counts for itself;
//! disputes.
//! Promises: what is owed is the sum of what each award costs, rounded up; no line is taken that its sponsor may not owe or did
//! not agree to pay, and none refused that it may; a repeat costs nothing.
//! Refuses to know: disks and HTTP.

#[path = "sponsored/agreed.rs"]
mod agreed;
mod common;

use common::dispute::about;
use common::funds::has;
use common::house::{House, code, eur};
use common::node::{How, Replay, replay_by_applying, replay_by_checking};
use common::rng::Rng;
use common::world::{Key, id, money, rate};
use tallyhouse::book::{BreakageTo, DisputeStage, KeyState, Name, Origin, PointsEffect, Record, Sponsored};
use tallyhouse::clearing::{DisputeStep, FileDispute};
use tallyhouse::points::Verdict;
use tallyhouse::prices::PublishPrices;
use tallyhouse::sign::{Award, KeyBudget, SponsorTerms};
use tallyhouse::types::{AccountId, AwardId, Refusal, Refused, encode};

const UNIT: &str = "HARVEST";

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
    let mut erased = Replay::new(How::Erased);
    erased.follow(&house.node.entries).unwrap_or_else(|e| panic!("{e}"));
    erased.same(&house.node.state).expect("the same without evidence");
}

/// Kino's key that awards harvest's points, and two of harvest's holders.
fn scene(seed: u64) -> (House, Key, Vec<AccountId>) {
    let mut house = House::new(seed, false);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let key = Key::derive(seed, "sponsor");
    let holders = (0..2).map(|n| house.award(UNIT, n, 1).account).collect();
    (house, key, holders)
}

fn award(house: &mut House, key: &Key, sub: AccountId, amount: u64) -> Result<u64, Refused> {
    let (cid, now) = (house.cid(), house.now);
    let token = house.world.token(&house.world.brands[1], id(UNIT), &cid, sub, amount, now);
    house.send(house.world.issue(key, &token)).map(|answer| answer.seq)
}

fn batch(house: &mut House, key: &Key, awards: &[Award]) -> Vec<Verdict> {
    let (cid, now) = (house.cid(), house.now);
    let lines: Vec<Vec<u8>> = awards.iter().map(encode).collect();
    let claims = house.world.batch(&house.world.brands[1], id(UNIT), &cid, &lines, true, now);
    let answer = house.send(house.world.issue_batch(key, &claims, &lines)).expect("taken in");
    let mut verdicts = vec![Verdict::Ok; awards.len()];
    for other in answer.others {
        verdicts[other.line as usize - 1] = other.verdict;
    }
    verdicts
}

fn sponsored(house: &House, seq: u64) -> Sponsored {
    let record = house.node.state.get(&Name::Sponsored(AwardId { seq, part: 0 }));
    record.and_then(Record::sponsored).expect("there").clone()
}

#[test]
fn both_brands_agree_and_the_budget_ends_it() {
    let (mut house, key, holders) = scene(1);
    assert_eq!(code(award(&mut house, &key, holders[0], 5)), Refusal::KeyUnknown);
    assert_eq!(code(house.sponsor(1, UNIT, &key, &[])), Refusal::EvidenceMissing);
    assert_eq!(code(house.sponsor(1, UNIT, &key, &[0, 2])), Refusal::EvidenceMissing);
    assert_eq!(code(award(&mut house, &key, holders[0], 5)), Refusal::KeyOwner);
    // Two brands of one participant owe each other nothing.
    let twin = Key::derive(1, "twin");
    assert_eq!(code(house.sponsor(3, UNIT, &twin, &[3])), Refusal::KeyOwner);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let seq = award(&mut house, &key, holders[0], 5).expect("awarded");
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 5 * 21);
    let one = sponsored(&house, seq);
    assert_eq!((one.points.get(), one.worth.get(), one.charged.get()), (5, 105, 0));
    let lots =
        house.node.state.get(&Name::Account(holders[0])).and_then(Record::account).expect("one").lots.clone();
    assert!(lots.iter().any(|lot| lot.0.3 == Origin::Sponsored(key.kid) && lot.1.get() == 5), "{lots:?}");
    // Accounts are the issuer's to open, other units are not granted, and each of the brands can stop it.
    let nobody = house.world.holder(id(UNIT), 9).account;
    assert_eq!(code(award(&mut house, &key, nobody, 5)), Refusal::AccountUnknown);
    for brand in [0, 1] {
        let brand = house.world.brands[brand].id.clone();
        for frozen in [true, false] {
            let cid = house.cid();
            let request = house.world.freeze_brand(&cid, &brand, frozen);
            house.send(request).expect("done");
            let given = award(&mut house, &key, holders[0], 1);
            assert_eq!(given.err().map(|no| no.code), frozen.then_some(Refusal::BrandFrozen));
        }
    }
    let cid = house.cid();
    let request = house.world.revoke_key(&house.world.brands[1].root, &cid, key.kid, KeyState::Retired);
    house.send(request).expect("revoked");
    assert_eq!(code(award(&mut house, &key, holders[0], 5)), Refusal::KeyRetired);
    verified(&house);
}

#[test]
fn what_is_owed_is_what_each_award_costs() {
    let (mut taken, mut refused, mut again, mut ceilings) = (0, 0, 0, 0);
    for seed in 0..6 {
        let (mut house, key, holders) = scene(100 + seed);
        let mut rng = Rng::new(seed);
        // A price that does not come out even.
        let from = house.now.seconds() + 2;
        let (num, den) = (1 + rng.below(50), 1 + rng.below(17));
        let prices = PublishPrices {
            settle: rate(num, den),
            issue: rate(num + 1, den),
            ..house.world.prices(id(UNIT), 2, eur(), from)
        };
        house.agreed_by_brand(0, "prices.publish", &prices).expect("published");
        house.now = house.now.plus_seconds(2);
        // What it agreed to pay in all: sometimes more than these awards come to.
        let most = rng.chance(70).then(|| 5_000 + rng.below(20_000));
        let terms = SponsorTerms { currency: eur(), issue: rate(num + 1, den), ceiling: most.map(money) };
        let budget = KeyBudget { sponsored: Some(terms), ..house.world.budget(key.kid, id(UNIT), 1) };
        house.grant(1, &key, 0, &budget, &[1]).expect("granted");
        let cost = |amount: u64| (u128::from(amount) * u128::from(num + 1)).div_ceil(u128::from(den)) as u64;
        let (mut owed, mut cap) = (0u64, None::<u64>);
        let mut receipts: Vec<Award> = vec![];
        for n in 0..60 {
            let fits = |owed: u64, amount: u64| {
                let over = |most: Option<u64>| most.is_some_and(|most| owed + cost(amount) > most);
                match (over(most), over(cap)) {
                    (true, _) => Err(Refusal::BudgetExceeded),
                    (false, true) => Err(Refusal::ExposureExceeded),
                    (false, false) => Ok(()),
                }
            };
            match rng.below(5) {
                0 => {
                    cap = rng.chance(80).then(|| owed + rng.below(3_000));
                    house.fund("pa_kino", cap, 0).expect("set");
                }
                1 | 2 => {
                    let amount = 1 + rng.below(300);
                    let given = award(&mut house, &key, holders[rng.index(2)], amount);
                    let said = given.as_ref().map(drop).map_err(|no| no.code);
                    assert_eq!(said, fits(owed, amount), "{amount}, {owed} of {cap:?}, {most:?}");
                    ceilings += u32::from(said == Err(Refusal::BudgetExceeded));
                    if let Ok(seq) = given {
                        owed += cost(amount);
                        assert_eq!(sponsored(&house, seq).worth, money(cost(amount)));
                    }
                }
                _ => {
                    let mut awards = vec![];
                    for line in 0..1 + rng.below(6) {
                        let sub = holders[rng.index(2)];
                        let mut award = house
                            .world
                            .token(&house.world.brands[1], id(UNIT), "t", sub, 1 + rng.below(90), house.now)
                            .award();
                        award.till = Some(id("web"));
                        award.reference = Some(id(&format!("r-{n}-{line}")));
                        awards.push(match receipts.is_empty() || rng.chance(80) {
                            true => award,
                            false => receipts[rng.index(receipts.len())].clone(),
                        });
                    }
                    for (award, verdict) in awards.iter().zip(batch(&mut house, &key, &awards)) {
                        let amount = award.amount.get();
                        let wanted = match (receipts.contains(award), fits(owed, amount)) {
                            (true, _) => Verdict::AlreadyDone,
                            (false, Ok(())) => Verdict::Ok,
                            (false, Err(no)) => Verdict::Refused(no),
                        };
                        assert_eq!(verdict, wanted, "{amount}, {owed} of {cap:?}, {most:?}");
                        ceilings += u32::from(verdict == Verdict::Refused(Refusal::BudgetExceeded));
                        again += u32::from(verdict == Verdict::AlreadyDone);
                        refused += u32::from(!matches!(verdict, Verdict::Ok | Verdict::AlreadyDone));
                        if verdict == Verdict::Ok {
                            owed += cost(amount);
                            receipts.push(award.clone());
                            taken += 1;
                        }
                    }
                }
            }
            assert_eq!(has(&house, "pa_harvest", "pa_kino"), owed as i64);
        }
        let records = house.node.state.0.values().filter_map(|record| record.sponsored());
        assert_eq!(records.map(|one| one.worth.get()).sum::<u64>(), owed);
        let nets = house.nets(house.open());
        assert_eq!(nets.values().sum::<i64>(), 0);
        verified(&house);
    }
    assert!(
        taken > 100 && refused > 20 && again > 20 && ceilings > 10,
        "{taken} {refused} {again} {ceilings}"
    );
}

#[test]
fn points_that_are_paid_for_fill_a_reserve() {
    let (mut house, key, holders) = scene(3);
    house.now = house.now.plus_seconds(600 * 86_400);
    house.node.tick(house.now);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    award(&mut house, &key, holders[0], 100).expect("awarded");
    assert_eq!(
        (has(&house, "pa_harvest", "pa_kino"), has(&house, "pa_franchise", "pa_harvest")),
        (2_100, 1_900)
    );
    verified(&house);
}

#[test]
fn nothing_is_sponsored_while_points_are_worth_more_than_is_paid() {
    let (mut house, key, holders) = scene(4);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let from = house.now.seconds() + 9 * 86_400;
    let prices = PublishPrices {
        settle: rate(22, 1),
        issue: rate(23, 1),
        ..house.world.prices(id(UNIT), 2, eur(), from)
    };
    house.agreed_by_brand(0, "prices.publish", &prices).expect("announced");
    assert_eq!(code(award(&mut house, &key, holders[0], 5)), Refusal::ExchangePaused);
    house.now = house.now.plus_seconds(9 * 86_400);
    award(&mut house, &key, holders[0], 5).expect("awarded");
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 5 * 23);
}

#[test]
fn a_sponsor_disputes_what_it_was_charged() {
    let (mut house, key, holders) = scene(5);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let seq = award(&mut house, &key, holders[0], 100).expect("awarded");
    let of =
        |seq, amount, reason| FileDispute { award: Some(AwardId { seq, part: 0 }), ..about(amount, reason) };
    // It is for who pays, up to what it pays, and the points stay where they are.
    assert_eq!(code(house.dispute(0, &of(seq, 100, "fraud"))), Refusal::KeyOwner);
    assert_eq!(code(house.dispute(1, &of(seq, 2_101, "fraud"))), Refusal::DisputeInvalid);
    let back = FileDispute { points: Some(PointsEffect::Restore), ..of(seq, 100, "fraud") };
    assert_eq!(code(house.dispute(1, &back)), Refusal::DisputeInvalid);
    let won = house.dispute(1, &of(seq, 600, "wrong_amount")).expect("filed");
    let lost = house.dispute(1, &of(seq, 1_500, "fraud")).expect("filed");
    for dispute in [won, lost] {
        house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    }
    assert_eq!(code(house.dispute(1, &of(seq, 1, "duplicate"))), Refusal::DisputeInvalid, "all of it is");
    assert_eq!(sponsored(&house, seq).charged, money(2_100));
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 2_100, "beside all cycles until it has ended");
    house.argue(Some(0), won, DisputeStep::Accept).expect("accepted");
    house.argue(Some(1), lost, DisputeStep::Withdraw).expect("withdrawn");
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 1_500);
    assert_eq!(sponsored(&house, seq).charged, money(600));
    let stage = |house: &House, id| {
        house.node.state.get(&Name::Dispute(id)).and_then(Record::dispute).expect("one").stage
    };
    assert_eq!((stage(&house, won), stage(&house, lost)), (DisputeStage::Accepted, DisputeStage::Withdrawn));
    house.dispute(1, &of(seq, 1_500, "duplicate")).expect("for another reason");
    assert_eq!(code(house.dispute(1, &of(seq, 1, "not_ours"))), Refusal::DisputeInvalid, "three in all");
    // 60 days after the award it is too late.
    let late = award(&mut house, &key, holders[0], 10).expect("awarded");
    house.now = house.now.plus_seconds(60 * 86_400 + 10);
    assert_eq!(code(house.dispute(1, &of(late, 10, "wrong_amount"))), Refusal::DisputeInvalid);
    verified(&house);
}

#[test]
fn amounts_are_told_to_whose_they_are_alone() {
    let (mut house, key, holders) = scene(7);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    house.reserve(UNIT, 1_000_000).expect("set");
    let no = award(&mut house, &key, holders[0], 5).expect_err("nothing is held");
    let wanted = "pa_harvest tops the reserve of HARVEST up first: br_harvest speaks for it, ask there";
    assert_eq!((no.code, no.about.as_str()), (Refusal::IssuanceCoverExceeded, wanted));
    let cid = house.cid();
    let harvest = &house.world.brands[0];
    let token = house.world.token(harvest, id(UNIT), &cid, holders[0], 5, house.now);
    let request = house.world.issue(&harvest.issuing[0], &token);
    let no = house.send(request).expect_err("nothing is held");
    assert_eq!(
        no.about,
        format!("{wanted}; 7 would be outstanding: 0.0133 EUR are needed, 0.0000 EUR are held")
    );
    house.reserve(UNIT, 0).expect("ended");
    house.award("KINO", 0, 1_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    house.fund("pa_kino", Some(50), 0).expect("set");
    // A sponsor's own headroom; to a shop it is a competitor's.
    let no = award(&mut house, &key, holders[0], 5).expect_err("too little headroom");
    let wanted = "pa_kino may owe no more in EUR: br_kino speaks for it, ask there";
    assert_eq!((no.code, no.about), (Refusal::ExposureExceeded, format!("{wanted}; 0.0050 EUR are left")));
    let no = house.pay(2, "KINO", 0, 1_000, false).expect_err("too little headroom");
    assert_eq!((no.code, no.about.as_str(), no.told), (Refusal::ExposureExceeded, wanted, None));
    let no = house.offer_firm(2, "KINO", 1_000).expect_err("more than a tenth");
    assert!(no.code == Refusal::OfferLimitExceeded && !no.about.contains("EUR"), "{no}");
}
