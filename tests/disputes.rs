//! Disputes, on the pure core.
//!
//! Owns: every step at every stage, what a charge-back does to exposures, what ends do to obligations and points, random
//! histories together with captures and refunds.
//! Promises: after every history, taking over and deciding again give the same state.
//! Refuses to know: disks and HTTP.

mod common;

use common::house::{House, code, eur, funding};
use common::node::{replay_by_applying, replay_by_checking};
use common::rng::Rng;
use common::world::{Holder, id, money};
use tallyhouse::book::{
    Dispute, DisputeFee, DisputeStage, Draft, Name, PROVISIONAL, Payment, PointsEffect, Record,
};
use tallyhouse::clearing::{DisputeStep, FileDispute, MoveDispute};
use tallyhouse::prices::{Exposure, exposure};
use tallyhouse::types::{DisputeId, Money, PaymentId, Points, Refusal, Refused};

/// A payment of harvest's points in kino's shop: harvest owes kino for it.
fn paid(house: &mut House, amount: u64, capture: bool) -> (Holder, PaymentId) {
    let holder = house.award("HARVEST", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    let payment = house.pay(1, "HARVEST", 0, amount, capture).expect("paid");
    (holder, payment)
}

fn file(
    house: &mut House,
    payment: PaymentId,
    amount: u64,
    points: Option<PointsEffect>,
) -> Result<DisputeId, Refused> {
    let args = FileDispute {
        payment: Some(payment),
        unit: Some(id("HARVEST")),
        exchange: None,
        fee: None,
        award: None,
        amount: money(amount),
        reason: id("fraud"),
        points,
        evidence: vec![],
    };
    house.by_brand(0, "dispute.file", &args).map(|answer| DisputeId { seq: answer.seq, part: 0 })
}

/// A step by whoever takes it: the filer is harvest, the target kino.
fn take(
    house: &mut House,
    dispute: DisputeId,
    step: DisputeStep,
    fees: &[DisputeFee],
) -> Result<(), Refused> {
    let args = MoveDispute { dispute, step, fees: fees.to_vec(), evidence: vec![] };
    use DisputeStep as T;
    match step {
        T::Withdraw | T::Escalate => house.by_brand(0, "dispute.move", &args),
        T::Accept | T::Represent | T::Concede => house.by_brand(1, "dispute.move", &args),
        T::ChargeBack | T::RuleForFiler | T::RuleForTarget => house.agreed("dispute.move", &args),
        T::Close | T::Review | T::Lapse => house.ask("dispute.move", &args),
    }
    .map(drop)
}

fn refund(house: &mut House, bill: PaymentId, amount: u64) -> Result<(), Refused> {
    let cid = house.cid();
    let request = house.world.refund(&house.world.brands[1].tills[0].key, &cid, bill, amount);
    house.send(request).map(drop)
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
        (2, &[T::Review, T::Withdraw]),
        (3, &[T::Close, T::Escalate, T::Withdraw]),
        (4, &[T::Concede, T::Escalate, T::Withdraw]),
        (5, &[T::RuleForFiler, T::RuleForTarget]),
    ];
    let mut house = House::new(1, false);
    let (_, bill) = paid(&mut house, 200_000, true);
    for (far, allowed) in open {
        for one in *allowed {
            let dispute_id = file(&mut house, bill, 100, None).expect("filed");
            for step in &through[..*far] {
                take(&mut house, dispute_id, *step, &[]).expect("a step on the way");
            }
            let stage = dispute(&house, dispute_id).stage;
            for step in DisputeStep::ALL.iter().filter(|step| !allowed.contains(step)) {
                let no = take(&mut house, dispute_id, *step, &[]);
                assert_eq!(code(no), Refusal::DisputeStage, "{stage:?}, {step:?}");
                assert_eq!(dispute(&house, dispute_id).stage, stage);
            }
            take(&mut house, dispute_id, *one, &[]).unwrap_or_else(|no| panic!("{stage:?}, {one:?}: {no}"));
            // An end takes no step any more, and says what it came to.
            let after = dispute(&house, dispute_id);
            if after.outcome.is_some() {
                for step in DisputeStep::ALL {
                    assert_eq!(code(take(&mut house, dispute_id, step, &[])), Refusal::DisputeStage);
                }
                assert_eq!(dispute(&house, dispute_id), after);
            }
        }
    }
    verified(&house);
}

#[test]
fn a_charge_back_costs_its_target_and_gives_its_filer_nothing() {
    let mut house = House::new(2, true);
    for who in ["pa_harvest", "pa_kino"] {
        house.agreed("funding.set", &funding(who, Some(1_000_000))).expect("set");
    }
    let (_, bill) = paid(&mut house, 100_000, true);
    let before = (exposed(&house, "pa_harvest"), exposed(&house, "pa_kino"));
    let id = file(&mut house, bill, 9_500, None).expect("filed");
    assert_eq!((exposed(&house, "pa_harvest"), exposed(&house, "pa_kino")), before, "filing costs nobody");
    take(&mut house, id, DisputeStep::ChargeBack, &[]).expect("charged back");
    assert_eq!(exposed(&house, "pa_harvest"), before.0, "no headroom for whoever files");
    let after = exposed(&house, "pa_kino");
    assert_eq!((after.position, after.used()), (before.1.position, before.1.used() + 9_500));
    // It stands beside all cycles: nobody's net has changed.
    assert_eq!((owes(&house, PROVISIONAL), owes(&house, 1)), (-9_500, 95_000));
    assert_eq!(disputed(&house, "pa_kino"), 9_500);
    // Whoever is charged back may issue no more than that leaves, whatever else it files itself.
    take(&mut house, id, DisputeStep::Accept, &[]).expect("accepted");
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
        let id = file(&mut house, bill, 9_500, effect).expect("filed");
        take(&mut house, id, DisputeStep::ChargeBack, &[]).expect("charged back");
        assert_eq!(points_of(&house, &holder), spent, "nothing before the end");
        take(&mut house, id, DisputeStep::Accept, &[]).expect("accepted");
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

#[test]
fn losing_costs_whoever_goes_on_and_loses() {
    use DisputeStep as T;
    let fees = [
        DisputeFee { to: Some(id("pa_polar")), amount: money(70) },
        DisputeFee { to: None, amount: money(30) },
    ];
    // The way, then what harvest and kino owe polar, and kino harvest, for losing it.
    let ways: &[(&[T], i64, i64, i64)] = &[
        (&[T::ChargeBack, T::Accept], 0, 0, 0),
        (&[T::ChargeBack, T::Withdraw], 0, 0, 0),
        (&[T::ChargeBack, T::Represent, T::Withdraw], 70, 0, -30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Close], 70, 0, -30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Concede], 0, 70, 30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Escalate, T::RuleForFiler], 0, 70, 30),
        (&[T::ChargeBack, T::Represent, T::Review, T::Escalate, T::Escalate, T::RuleForTarget], 70, 0, -30),
    ];
    let mut house = House::new(4, false);
    let (_, bill) = paid(&mut house, 100_000, true);
    let to_polar = |house: &House, who: &str| -total(house, &Name::Pair(1, id(who), id("pa_polar"), eur()));
    for (way, harvest, kino, between) in ways {
        let before = (to_polar(&house, "pa_harvest"), to_polar(&house, "pa_kino"), owes(&house, 1));
        let id = file(&mut house, bill, 100, None).expect("filed");
        for step in *way {
            let named: &[DisputeFee] = if *step == T::ChargeBack { &fees } else { &[] };
            take(&mut house, id, *step, named).unwrap_or_else(|no| panic!("{way:?}: {no}"));
        }
        let outcome = dispute(&house, id).outcome.expect("an end");
        let back = if outcome.for_filer { 100 } else { 0 };
        let after = (to_polar(&house, "pa_harvest"), to_polar(&house, "pa_kino"), owes(&house, 1));
        let wanted = (before.0 + harvest, before.1 + kino, before.2 - back - between);
        assert_eq!(after, wanted, "{way:?}");
        assert_eq!(outcome.fees.signed(), harvest + kino + between.abs(), "{way:?}");
    }
    verified(&house);
}

/// After every step: what is disputed and refunded is never more than was captured, the provisional book is what is
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
            charged += if won || one.outcome.is_none() { amount } else { 0 };
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
            house.agreed("funding.set", &funding(who, Some(90_000_000))).expect("set");
        }
        let (holder, first) = paid(&mut house, 1 + rng.below(70_000), false);
        let mut bills = vec![first];
        bills.push(house.pay(1, "HARVEST", 0, 1 + rng.below(70_000), true).expect("paid"));
        let mut disputes: Vec<DisputeId> = vec![];
        for _ in 0..60 {
            let bill = bills[rng.below(2) as usize];
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
                1 => drop(refund(&mut house, bill, some)),
                2 => {
                    let points = [None, Some(PointsEffect::None)][rng.below(2) as usize];
                    disputes.extend(file(&mut house, bill, some, points).ok());
                    assert_eq!(exposed(&house, "pa_harvest").used(), harvest);
                    assert_eq!(exposed(&house, "pa_kino").used(), kino);
                }
                _ if disputes.is_empty() => {}
                _ => {
                    let at = disputes[rng.below(disputes.len() as u64) as usize];
                    let step = DisputeStep::ALL[rng.below(11) as usize];
                    let before = dispute(&house, at);
                    if take(&mut house, at, step, &[]).is_ok() && dispute(&house, at).outcome.is_none() {
                        // Whatever its filer does, it has no more headroom before the end.
                        assert_eq!(exposed(&house, "pa_harvest").used(), harvest, "{step:?}");
                    } else if before.outcome.is_some() {
                        assert_eq!(dispute(&house, at), before);
                    }
                }
            }
            holds(&house, &holder, &bills, &disputes);
        }
        verified(&house);
    }
}
