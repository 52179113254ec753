//! Disputes, on the pure core.
//!
//! Owns: every step at every stage, what a charge-back does to exposures, what ends do to obligations and points, random
//! histories together with captures and refunds.
//! Promises: after every history, taking over and deciding again give the same state.
//! Refuses to know: disks and HTTP.

mod common;

use common::dispute::over;
use common::house::{House, code, eur, funding};
use common::node::{replay_by_applying, replay_by_checking};
use common::rng::Rng;
use common::world::{Holder, id, money};
use tallyhouse::book::{
    Dispute, DisputeStage, Draft, Fee, LosingFees, Name, PROVISIONAL, Payment, PointsEffect, Record, Tax,
};
use tallyhouse::clearing::{DisputeStep, FileDispute, REASONS};
use tallyhouse::prices::{Exposure, PublishFees, exposure};
use tallyhouse::types::{DisputeId, Money, PaymentId, Points, Refusal, Refused, Time};

/// A payment of harvest's points in kino's shop: harvest owes kino for it.
fn paid(house: &mut House, amount: u64, capture: bool) -> (Holder, PaymentId) {
    let holder = house.award("HARVEST", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    let payment = house.pay(1, "HARVEST", 0, amount, capture).expect("paid");
    (holder, payment)
}

fn file(house: &mut House, payment: PaymentId, amount: u64, reason: &str) -> Result<DisputeId, Refused> {
    house.dispute(0, &over(payment, "HARVEST", amount, reason))
}

/// A step by whoever takes it: the filer is harvest, the target kino.
fn take(house: &mut House, dispute: DisputeId, step: DisputeStep) -> Result<(), Refused> {
    use DisputeStep as T;
    let by = match step {
        T::Withdraw | T::Escalate => Some(0),
        T::Accept | T::Represent | T::Concede => Some(1),
        T::ChargeBack | T::RuleForFiler | T::RuleForTarget | T::Close | T::Review | T::Lapse => None,
    };
    house.argue(by, dispute, step)
}

/// By a till, and by its brand's root once the bill is too old for that.
fn refund(house: &mut House, bill: PaymentId, amount: u64) -> Result<(), Refused> {
    let by = |house: &mut House, old: bool| {
        let (cid, kino) = (house.cid(), &house.world.brands[1]);
        let key = if old { &kino.root } else { &kino.tills[0].key };
        let request = house.world.refund(key, &cid, bill, amount);
        house.send(request).map(drop)
    };
    match by(house, false) {
        Err(no) if no.code == Refusal::PaymentClosed => by(house, true),
        done => done,
    }
}

fn dispute(house: &House, id: DisputeId) -> Dispute {
    house.node.state.get(&Name::Dispute(id)).and_then(Record::dispute).expect("there").clone()
}

fn payment(house: &House, id: PaymentId) -> Payment {
    house.node.state.get(&Name::Payment(id)).and_then(Record::payment).expect("there").clone()
}

fn total(house: &House, name: &Name) -> i64 {
    house.node.state.get(name).and_then(Record::total).copied().unwrap_or(0)
}

fn disputed(house: &House, who: &str) -> i64 {
    total(house, &Name::Disputed(id(who), eur()))
}

/// What harvest owes kino in a cycle.
fn owes(house: &House, cycle: u64) -> i64 {
    -total(house, &Name::Pair(cycle, id("pa_harvest"), id("pa_kino"), eur()))
}

fn exposed(house: &House, who: &str) -> Exposure {
    let mut draft = Draft::new(&house.node.state, house.node.entries.len() as u64, house.now);
    exposure(&mut draft, &id(who), eur()).expect("an exposure")
}

fn points_of(house: &House, holder: &Holder) -> u64 {
    let account = house.node.state.get(&Name::Account(holder.account)).and_then(Record::account);
    account.expect("an account").total().get()
}

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
}

#[test]
fn every_step_at_every_stage() {
    use DisputeStep as T;
    // The steps that lead to a stage, and those that it allows at once.
    let through: &[T] = &[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Escalate];
    let open: &[(usize, &[T])] = &[
        (0, &[T::ChargeBack, T::Close, T::Withdraw]),
        (1, &[T::Accept, T::Represent, T::Withdraw]),
        (2, &[T::Review, T::Concede, T::Escalate, T::Withdraw]),
        (3, &[T::Close, T::Concede, T::Escalate, T::Withdraw]),
        (4, &[T::Represent, T::Concede, T::Escalate, T::Withdraw]),
        (5, &[T::RuleForFiler, T::RuleForTarget, T::Concede]),
    ];
    let mut house = House::new(1, false);
    paid(&mut house, 1_000, true);
    for (far, allowed) in open {
        for one in *allowed {
            let bill = house.pay(1, "HARVEST", 0, 1_000, true).expect("paid");
            let dispute_id = file(&mut house, bill, 100, "fraud").expect("filed");
            for step in &through[..*far] {
                take(&mut house, dispute_id, *step).expect("a step on the way");
            }
            let stage = dispute(&house, dispute_id).stage;
            for step in DisputeStep::ALL.iter().filter(|step| !allowed.contains(step)) {
                let no = take(&mut house, dispute_id, *step);
                assert_eq!(code(no), Refusal::DisputeStage, "{stage:?}, {step:?}");
                assert_eq!(dispute(&house, dispute_id).stage, stage);
            }
            take(&mut house, dispute_id, *one).unwrap_or_else(|no| panic!("{stage:?}, {one:?}: {no}"));
            // An end takes no step any more, and says what it came to.
            let after = dispute(&house, dispute_id);
            if after.outcome.is_some() {
                for step in DisputeStep::ALL {
                    assert_eq!(code(take(&mut house, dispute_id, step)), Refusal::DisputeStage);
                }
                assert_eq!(dispute(&house, dispute_id), after);
            }
        }
    }
    verified(&house);
}

/// Silence decides against whoever is silent; if that is the house, its target ends the dispute as if it had not been filed.
#[test]
fn silence_decides_at_every_stage() {
    use DisputeStep as T;
    // The way, who says that the time has passed, and for whom it ends; nothing is silent before a charge-back.
    let ways: &[(&[T], Option<usize>, Option<bool>)] = &[
        (&[], None, None),
        (&[T::ChargeBack], None, Some(true)),
        (&[T::ChargeBack, T::Represent], Some(1), Some(false)),
        (&[T::ChargeBack, T::Represent, T::Review], None, Some(false)),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate], None, Some(true)),
        (&[T::ChargeBack, T::Represent, T::Escalate], None, Some(true)),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Represent], Some(1), Some(false)),
        (&[T::ChargeBack, T::Represent, T::Escalate, T::Escalate], Some(1), Some(false)),
    ];
    let mut house = House::new(6, false);
    house.award("HARVEST", 0, 1_000_000);
    publish(&mut house, 1, 70, 30).expect("published");
    house.now = house.now.plus_seconds(32 * 86_400);
    for (way, by, ends) in ways {
        let bill = house.pay(1, "HARVEST", 0, 1_000, true).expect("paid");
        let before = owes(&house, 1);
        let id = file(&mut house, bill, 100, "fraud").expect("filed");
        for step in *way {
            take(&mut house, id, *step).unwrap_or_else(|no| panic!("{way:?}: {no}"));
        }
        house.now = Time::from_seconds(dispute(&house, id).until - 9).expect("a time");
        for who in [None, Some(0), Some(1)] {
            assert!(house.argue(who, id, T::Lapse).is_err(), "{way:?}: too early, by {who:?}");
        }
        house.now = house.now.plus_seconds(9);
        for who in [None, Some(0), Some(1)].into_iter().filter(|who| ends.is_none() || who != by) {
            assert!(house.argue(who, id, T::Lapse).is_err(), "{way:?}: not by {who:?}");
        }
        let Some(for_filer) = ends else { continue };
        house.argue(*by, id, T::Lapse).unwrap_or_else(|no| panic!("{way:?}: {no}"));
        let outcome = dispute(&house, id).outcome.expect("an end");
        assert_eq!(outcome.for_filer, *for_filer, "{way:?}");
        if *by == Some(1) {
            assert_eq!(
                (outcome.fees, owes(&house, 1)),
                (Money::ZERO, before),
                "{way:?}: the house was silent"
            );
        }
    }
    verified(&house);
}

#[test]
fn a_charge_back_costs_its_target_and_gives_its_filer_nothing() {
    let mut house = House::new(2, true);
    for who in ["pa_harvest", "pa_kino"] {
        house.set_funding(&funding(who, Some(1_000_000))).expect("set");
    }
    let (_, bill) = paid(&mut house, 100_000, true);
    let before = (exposed(&house, "pa_harvest"), exposed(&house, "pa_kino"));
    let id = file(&mut house, bill, 9_500, "fraud").expect("filed");
    assert_eq!((exposed(&house, "pa_harvest"), exposed(&house, "pa_kino")), before, "filing costs nobody");
    take(&mut house, id, DisputeStep::ChargeBack).expect("charged back");
    assert_eq!(exposed(&house, "pa_harvest"), before.0, "no headroom for whoever files");
    let after = exposed(&house, "pa_kino");
    assert_eq!((after.position, after.used()), (before.1.position, before.1.used() + 9_500));
    // It stands beside all cycles: nobody's net has changed.
    assert_eq!((owes(&house, PROVISIONAL), owes(&house, 1)), (-9_500, 95_000));
    assert_eq!(disputed(&house, "pa_kino"), 9_500);
    // Whoever is charged back may issue no more than that leaves, whatever else it files itself.
    take(&mut house, id, DisputeStep::Accept).expect("accepted");
    assert_eq!((owes(&house, PROVISIONAL), owes(&house, 1)), (0, 85_500));
    assert_eq!(disputed(&house, "pa_kino"), 0);
    assert_eq!(exposed(&house, "pa_harvest").position, before.0.position + 9_500);
    let outcome = dispute(&house, id).outcome.expect("an end");
    assert_eq!((outcome.for_filer, outcome.obligation, outcome.fees), (true, money(9_500), Money::ZERO));
    verified(&house);
}

#[test]
fn an_end_gives_the_lots_back_or_none() {
    for (effect, back) in [(None, 500), (Some(PointsEffect::None), 0)] {
        let mut house = House::new(3, true);
        let (holder, bill) = paid(&mut house, 100_000, true);
        let spent = points_of(&house, &holder);
        assert_eq!(spent, 1_000_000 - 5_000);
        let asked = FileDispute { points: effect, ..over(bill, "HARVEST", 9_500, "fraud") };
        let id = house.dispute(0, &asked).expect("filed");
        take(&mut house, id, DisputeStep::ChargeBack).expect("charged back");
        assert_eq!(points_of(&house, &holder), spent, "nothing before the end");
        take(&mut house, id, DisputeStep::Accept).expect("accepted");
        // A tenth of the obligation stands for a tenth of the points.
        assert_eq!(points_of(&house, &holder), spent + back);
        let wanted = if back > 0 { PointsEffect::Restore } else { PointsEffect::None };
        assert_eq!(dispute(&house, id).outcome.expect("an end").points, wanted);
        // What is left can be refunded, and then everything is back where it came from.
        assert_eq!(code(refund(&mut house, bill, 90_001)), Refusal::RefundExceeded);
        refund(&mut house, bill, 90_000).expect("refunded");
        assert_eq!(points_of(&house, &holder), 1_000_000 - 500 + back);
        assert_eq!(owes(&house, 1), 0);
        verified(&house);
    }
}

/// Publishes what losing costs, to the house and to whoever wins, and waits until that is in force.
fn publish(house: &mut House, version: u64, network: u64, winner: u64) -> Result<u64, Refused> {
    let free = Fee { ppm: 0, min: Money::ZERO, max: None, refundable: true };
    let from = house.now.seconds() + 31 * 86_400;
    let args = PublishFees {
        version,
        currency: eur(),
        from,
        until: None,
        supplier: id("pa_franchise"),
        acceptor: free,
        issuer: free,
        exchange: None,
        tax: Tax::default(),
        dispute: Some(LosingFees { network: money(network), winner: money(winner) }),
        reason: None,
    };
    house.agreed("fees.publish", &args).map(|_| from)
}

#[test]
fn losing_costs_whoever_goes_on_and_loses() {
    use DisputeStep as T;
    // The way, then what harvest and kino owe the house, and kino harvest, for losing it.
    let ways: &[(&[T], i64, i64, i64)] = &[
        (&[T::ChargeBack, T::Accept], 0, 0, 0),
        (&[T::ChargeBack, T::Withdraw], 0, 0, 0),
        (&[T::ChargeBack, T::Represent, T::Withdraw], 70, 0, -30),
        (&[T::ChargeBack, T::Represent, T::Concede], 0, 70, 30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Close], 70, 0, -30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Concede], 0, 70, 30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Escalate, T::RuleForFiler], 0, 70, 30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Escalate, T::RuleForTarget], 70, 0, -30),
    ];
    let mut house = House::new(4, false);
    house.award("HARVEST", 0, 1_000_000);
    publish(&mut house, 1, 70, 30).expect("published");
    house.now = house.now.plus_seconds(32 * 86_400);
    let to_house =
        |house: &House, who: &str| total(house, &Name::Pair(1, id("pa_franchise"), id(who), eur()));
    for (way, harvest, kino, between) in ways {
        let bill = house.pay(1, "HARVEST", 0, 1_000, true).expect("paid");
        let before = (to_house(&house, "pa_harvest"), to_house(&house, "pa_kino"), owes(&house, 1));
        let id = file(&mut house, bill, 100, "fraud").expect("filed");
        for step in *way {
            take(&mut house, id, *step).unwrap_or_else(|no| panic!("{way:?}: {no}"));
        }
        let outcome = dispute(&house, id).outcome.expect("an end");
        let back = if outcome.for_filer { 100 } else { 0 };
        let after = (to_house(&house, "pa_harvest"), to_house(&house, "pa_kino"), owes(&house, 1));
        let wanted = (before.0 + harvest, before.1 + kino, before.2 - back - between);
        assert_eq!(after, wanted, "{way:?}");
        assert_eq!(outcome.fees.signed(), harvest + kino + between.abs(), "{way:?}");
    }
    verified(&house);
}

#[test]
fn losing_costs_what_was_published_when_it_was_filed() {
    let mut house = House::new(5, false);
    house.award("HARVEST", 0, 1_000_000);
    let pinned = |house: &House, id| {
        let one = dispute(house, id);
        let amounts: Vec<u64> = one.fees.iter().map(|fee| fee.amount.get()).collect();
        (one.fees_version, amounts)
    };
    let bill = |house: &mut House| house.pay(1, "HARVEST", 0, 1_000, true).expect("paid");
    let first = bill(&mut house);
    let free = file(&mut house, first, 1, "fraud").expect("filed");
    assert_eq!(pinned(&house, free), (None, vec![]), "nothing was published");
    // At most 1,000.00 of the bank's in all, of which each cent is a hundred here.
    assert_eq!(code(publish(&mut house, 1, 10_000_000, 1)), Refusal::SettingInvalid);
    publish(&mut house, 1, 9_999_999, 1).expect("published");
    let announced = file(&mut house, first, 1, "duplicate").expect("filed");
    assert_eq!(pinned(&house, announced), (None, vec![]), "announced is not in force");
    house.now = house.now.plus_seconds(32 * 86_400);
    let second = bill(&mut house);
    let one = file(&mut house, second, 1, "fraud").expect("filed");
    publish(&mut house, 2, 0, 5).expect("published");
    house.now = house.now.plus_seconds(32 * 86_400);
    let third = bill(&mut house);
    let two = file(&mut house, third, 1, "fraud").expect("filed");
    assert_eq!(
        (pinned(&house, one), pinned(&house, two)),
        ((Some(1), vec![9_999_999, 1]), (Some(2), vec![5]))
    );
    // What is published later changes nothing for what was filed before.
    use DisputeStep as T;
    for step in [T::ChargeBack, T::Represent, T::Withdraw] {
        take(&mut house, one, step).expect("a step");
    }
    assert_eq!(dispute(&house, one).outcome.expect("an end").fees, money(10_000_000));
    verified(&house);
}

#[test]
fn nobody_holds_refunds_up_by_filing_again() {
    use DisputeStep as T;
    let mut house = House::new(6, false);
    let (_, bill) = paid(&mut house, 100_000, true);
    // Filed is not charged back: what is refunded first is not charged back as well.
    let first = file(&mut house, bill, 95_000, "fraud").expect("filed");
    refund(&mut house, bill, 60_000).expect("refunded");
    take(&mut house, first, T::ChargeBack).expect("charged back");
    assert_eq!(dispute(&house, first).amount, money(38_000), "what is owed still");
    // Charged back is not refunded: it says who has until when, and what can be refunded.
    let no = refund(&mut house, bill, 1).expect_err("all is charged back");
    let until = Time::from_seconds(dispute(&house, first).until).expect("in range").to_string();
    let about = no.to_string();
    for wanted in ["0 can be refunded now", &first.to_string(), &until, "accept or concede"] {
        assert!(about.contains(wanted), "{about}: {wanted}");
    }
    take(&mut house, first, T::Withdraw).expect("withdrawn");
    refund(&mut house, bill, 10_000).expect("refunded");
    // The same reason counts once, whatever became of it; three in all.
    assert_eq!(code(file(&mut house, bill, 1, "fraud")), Refusal::DisputeInvalid);
    let second = file(&mut house, bill, 9_500, "duplicate").expect("filed");
    take(&mut house, second, T::ChargeBack).expect("charged back");
    refund(&mut house, bill, 20_001).expect_err("10,000 stay for what is charged back");
    refund(&mut house, bill, 20_000).expect("what is not charged back is refunded at any time");
    // Its target lets it pass after it has answered, too: the points come back by that.
    take(&mut house, second, T::Represent).expect("represented");
    take(&mut house, second, T::Concede).expect("conceded");
    let third = file(&mut house, bill, 1, "wrong_amount");
    assert_eq!(code(third), Refusal::DisputeInvalid, "nothing is left");
    let other = house.pay(1, "HARVEST", 0, 10_000, true).expect("paid");
    for reason in ["fraud", "duplicate", "wrong_amount"] {
        let id = file(&mut house, other, 1, reason).expect("filed");
        take(&mut house, id, T::Withdraw).expect("withdrawn");
    }
    assert_eq!(code(file(&mut house, other, 1, "not_ours")), Refusal::DisputeInvalid);
    // Refunded in full, there is nothing to charge back.
    let last = house.pay(1, "HARVEST", 0, 10_000, true).expect("paid");
    let filed = file(&mut house, last, 9_500, "fraud").expect("filed");
    refund(&mut house, last, 10_000).expect("refunded");
    assert_eq!(code(take(&mut house, filed, T::ChargeBack)), Refusal::DisputeInvalid);
    take(&mut house, filed, T::Close).expect("closed");
    verified(&house);
}

/// What can be refunded of a payment: captured, neither refunded nor charged back; by the disputes, not by what is kept
/// with the payment.
fn refundable(house: &House, bill: PaymentId, disputes: &[DisputeId]) -> u64 {
    let one = payment(house, bill);
    let share = &one.shares[0];
    let mut charged = 0;
    for one in disputes.iter().map(|id| dispute(house, *id)).filter(|one| one.payment == Some(bill)) {
        let stands = match &one.outcome {
            Some(outcome) => outcome.for_filer,
            None => one.stage != DisputeStage::Filed,
        };
        charged += if stands { one.amount.get() } else { 0 };
    }
    let n = one.captured.get() - one.refunded.get();
    // The most of which what is left still covers it, found by trying.
    let covers =
        |back: u64| share.obligation.share_floor(n - back, one.amount.get()).expect("fits").get() >= charged;
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if covers(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// After every step: what is charged back and refunded is never more than was captured, the provisional book is what is
/// charged back and open, and points are where the numbers say.
fn holds(house: &House, holder: &Holder, bills: &[PaymentId], disputes: &[DisputeId]) {
    use DisputeStage as S;
    let open: i64 = disputes
        .iter()
        .map(|id| dispute(house, *id))
        .filter(|one| !matches!(one.stage, S::Filed) && one.outcome.is_none())
        .map(|one| one.amount.signed())
        .sum();
    assert_eq!((disputed(house, "pa_kino"), -owes(house, PROVISIONAL)), (open, open));
    let (mut gone, mut owed) = (0, 0);
    for bill in bills {
        let one = payment(house, *bill);
        let share = &one.shares[0];
        let n = one.captured.get() - one.refunded.get();
        let stands = share.obligation.share_floor(n, one.amount.get()).expect("fits");
        assert!(share.charged <= stands && share.restored <= share.charged, "{share:?} of {n}");
        let of = disputes.iter().map(|id| dispute(house, *id)).filter(|one| one.payment == Some(*bill));
        let (mut charged, mut taken_back, mut restored) = (0, 0, 0);
        for one in of {
            let won = one.outcome.as_ref().is_some_and(|outcome| outcome.for_filer);
            let amount = one.amount.get();
            let pending = one.outcome.is_none() && one.stage != S::Filed;
            charged += if won || pending { amount } else { 0 };
            taken_back += if won { amount } else { 0 };
            restored += if won && one.points == PointsEffect::Restore { amount } else { 0 };
        }
        assert_eq!((share.charged.get(), share.restored.get()), (charged, restored));
        owed += stands.signed() - i64::try_from(taken_back).expect("fits");
        let spent = share.points.share_ceil(n, one.amount.get()).expect("fits");
        let back = share.points.share_ceil(restored, share.obligation.get()).map_or(0, Points::get);
        let record = house.node.state.get(&Name::Share(*bill, id("HARVEST")));
        let lots = &record.and_then(Record::share).expect("a share").taken;
        let taken: u64 = lots.iter().map(|lot| lot.1.get()).sum();
        assert_eq!(taken, spent.get() - back, "{bill}: {n}, {restored}");
        gone += taken;
    }
    assert_eq!(owes(house, 1), owed);
    assert_eq!(points_of(house, holder) + gone, 1_000_000);
}

#[test]
fn any_order_of_disputes_captures_and_refunds_keeps_every_sum() {
    for seed in 0..12 {
        let (mut rng, mut house) = (Rng::new(seed), House::new(seed, false));
        for who in ["pa_harvest", "pa_kino"] {
            house.set_funding(&funding(who, Some(90_000_000))).expect("set");
        }
        let (holder, first) = paid(&mut house, 1 + rng.below(70_000), false);
        let mut bills = vec![first];
        bills.extend((0..3).map(|_| house.pay(1, "HARVEST", 0, 1 + rng.below(70_000), true).expect("paid")));
        let mut disputes: Vec<DisputeId> = vec![];
        for _ in 0..80 {
            let bill = bills[rng.below(4) as usize];
            let of = payment(&house, bill).amount.get();
            let some = 1 + rng.below(of / 3 + 1);
            let (kino, harvest) = (exposed(&house, "pa_kino").used(), exposed(&house, "pa_harvest").used());
            match rng.below(6) {
                0 => {
                    let cid = house.cid();
                    let till = &house.world.brands[1].tills[0].key;
                    let request = house.world.capture(till, &cid, bill, some, false);
                    let _ = house.send(request);
                }
                // What is not charged back is refunded at any time, and no more than that.
                1 => {
                    let most = refundable(&house, bill, &disputes);
                    let back = [some, most, most + 1][rng.below(3) as usize];
                    let done = refund(&mut house, bill, back);
                    assert_eq!(done.is_ok(), (1..=most).contains(&back), "{back} of {most}: {done:?}");
                }
                2 => {
                    let points = [None, Some(PointsEffect::None)][rng.below(2) as usize];
                    let reason = REASONS[rng.below(REASONS.len() as u64) as usize].code;
                    let of_bill: Vec<Dispute> = disputes.iter().map(|id| dispute(&house, *id)).collect();
                    let of_bill: Vec<_> = of_bill.iter().filter(|one| one.payment == Some(bill)).collect();
                    let again = of_bill.len() >= 3 || of_bill.iter().any(|one| one.reason.as_str() == reason);
                    let args = FileDispute { points, ..over(bill, "HARVEST", some, reason) };
                    let filed = house.dispute(0, &args);
                    assert!(!again || filed.is_err(), "{reason} over {bill}, again");
                    disputes.extend(filed.ok());
                    assert_eq!(exposed(&house, "pa_harvest").used(), harvest);
                    assert_eq!(exposed(&house, "pa_kino").used(), kino);
                }
                _ if disputes.is_empty() => {}
                _ => {
                    let at = disputes[rng.below(disputes.len() as u64) as usize];
                    let step = DisputeStep::ALL[rng.below(11) as usize];
                    let before = dispute(&house, at);
                    if take(&mut house, at, step).is_ok() && dispute(&house, at).outcome.is_none() {
                        // Whatever its filer does, it has no more headroom before the end.
                        assert_eq!(exposed(&house, "pa_harvest").used(), harvest, "{step:?}");
                    } else if before.outcome.is_some() {
                        assert_eq!(dispute(&house, at), before);
                    }
                }
            }
            holds(&house, &holder, &bills, &disputes);
        }
        // The filer takes back what it can, the target gives in to the rest, and all that is left comes back.
        for id in &disputes {
            if dispute(&house, *id).outcome.is_none() && take(&mut house, *id, DisputeStep::Withdraw).is_err()
            {
                take(&mut house, *id, DisputeStep::Concede).expect("it may give in at any time");
            }
        }
        for bill in &bills {
            let most = refundable(&house, *bill, &disputes);
            assert!(most == 0 || refund(&mut house, *bill, most).is_ok(), "{most} of {bill}");
            assert_eq!(code(refund(&mut house, *bill, 1)), Refusal::RefundExceeded);
        }
        holds(&house, &holder, &bills, &disputes);
        verified(&house);
    }
}
