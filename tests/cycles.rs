//! Cycles: from obligations to payments, on the pure core.
//!
//! Owns: the way of a cycle, step by step, forbidden ones included; what objections, returned payments and shortfalls do
//! to it; caps; random histories.
//! Promises: after every history, taking over and deciding again give the same state.
//! Refuses to know: disks and HTTP.

#[path = "cycles/account.rs"]
mod account;
#[path = "cycles/carry.rs"]
mod carry;
mod common;
#[path = "cycles/notified.rs"]
mod notified;
#[path = "cycles/paying.rs"]
mod paying;
#[path = "cycles/returns.rs"]
mod returns;

use common::house::{House, code, eur, funding, step};
use common::node::{replay_by_applying, replay_by_checking};
use common::{rng::Rng, world::id, world::money};
use std::collections::BTreeMap;
use tallyhouse::book::{Answered, Booking, CoverChange, Every, Exception, Name, Record, StatementLine, Way};
use tallyhouse::clearing::{
    ComputeCycle, FileObjection, InstructionStage, InstructionStep, Move, MoveCycle, MoveInstruction,
    SealCycle, SetSchedule, Stage, Step, instruction_stage,
};
use tallyhouse::types::{Hash, InstructionId, ParticipantId, Refusal};

/// Three participants owe each other: kino owes polar 3.00 EUR, harvest owes kino 1.00, polar owes harvest 0.505.
fn trade(house: &mut House) {
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    for (shop, unit, amount) in [(2, "KINO", 30_000), (1, "HARVEST", 10_000), (0, "POLAR", 5_050)] {
        house.pay(shop, unit, 0, amount, true).expect("paid");
    }
}

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
}

/// Positions sum to zero in every cycle, and are what the pairs say.
fn conserved(house: &House) {
    let mut nets: BTreeMap<(u64, ParticipantId), i64> = BTreeMap::new();
    for (name, record) in &house.node.state.0 {
        match (name, &**record) {
            (Name::Net(cycle, who, _), Record::Total(total)) => {
                *nets.entry((*cycle, who.clone())).or_insert(0) += total;
            }
            (Name::Pair(cycle, a, b, _), Record::Total(total)) => {
                *nets.entry((*cycle, a.clone())).or_insert(0) -= total;
                *nets.entry((*cycle, b.clone())).or_insert(0) += total;
            }
            _ => {}
        }
    }
    assert!(nets.values().all(|net| *net == 0), "{nets:?}");
    for cycle in 1..=house.open() {
        let closing = house.closing(cycle);
        for sums in &closing.sums {
            let came = sums.paid_in.get() + sums.drawn.get() + sums.written_off.get();
            assert!(sums.paid_out.get() <= came, "{cycle}: {sums:?}");
            assert!(came + sums.lost.get() <= sums.moved.get(), "{cycle}: {sums:?}");
        }
    }
}

#[test]
fn a_cycle_goes_its_way() {
    let mut house = House::new(1, true);
    trade(&mut house);
    let cycle = house.seal();
    assert_eq!((cycle, house.open()), (1, 2));
    // What is booked from now on is the next cycle's.
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let nets = house.nets(1);
    // Settled at 19/20 of the till price.
    assert_eq!(nets[&id("pa_kino")], -28_500 + 9_500);
    assert_eq!(nets[&id("pa_polar")], 28_500 - 4_797);
    assert_eq!(nets[&id("pa_harvest")], -9_500 + 4_797);
    let wrong = ComputeCycle { cycle, version: 1, digest: Hash::default() };
    assert_eq!(code(house.ask("cycle.compute", &wrong)), Refusal::CycleDigest);
    house.approve(cycle);
    // In cents, by largest remainder; the rest is carried.
    let line = |house: &House, who: &str| house.line(1, who).expect("a line");
    assert_eq!(line(&house, "pa_kino").amount, -19_000);
    assert_eq!(line(&house, "pa_polar").amount, 23_700);
    assert_eq!(line(&house, "pa_harvest").amount, -4_700);
    let carried = ["pa_kino", "pa_polar", "pa_harvest"].map(|who| line(&house, who).carried());
    assert_eq!(carried, [0, 3, -3]);
    house.pay_in(cycle);
    assert_eq!(code(house.pay_out(cycle)), Refusal::CycleStage);
    house.paid(cycle, Way::In, &["pa_kino"]);
    assert_eq!(house.stage(cycle), Stage::PayIn);
    house.paid(cycle, Way::In, &[]);
    assert_eq!(house.stage(cycle), Stage::Funded);
    assert_eq!(code(house.ask("cycle.move", &step(cycle, Move::Settle))), Refusal::CycleOpenWork);
    house.pay_out(cycle).expect("orders leave");
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    assert_eq!(house.stage(cycle), Stage::Settled);
    assert_eq!(house.node.state.get(&Name::Bank(eur())).and_then(Record::bank).expect("there").balance, 0);
    // The next one takes the carries over.
    let next = house.seal();
    house.approve(next);
    let line = house.line(next, "pa_polar").expect("a line");
    assert_eq!((line.net, line.carry, line.amount, line.carried()), (9_500, 3, 9_500, 3));
    let line = house.line(next, "pa_harvest").expect("a line");
    assert_eq!((line.net, line.carry, line.amount, line.carried()), (0, -3, 0, -3));
    conserved(&house);
    verified(&house);
}

/// Tries every step on a cycle, and says which are refused for its stage.
fn every_step(house: &House, cycle: u64) {
    let stage = house.stage(cycle);
    for wanted in Step::ALL {
        // On a copy: what goes through is not kept.
        let mut copy = House::new(house.world.seed, false);
        for (request, at) in &house.node.asked[copy.node.asked.len()..] {
            let _ = copy.node.submit(request, *at);
            copy.now = *at;
        }
        copy.now = copy.now.plus_seconds(1);
        assert_eq!(copy.stage(cycle), stage);
        let mut moved = |what: Move| {
            let args = MoveCycle {
                version: Some(house.closing(cycle).version),
                until: Some(house.now.seconds() + 9_000),
                reason: Some(id("trying")),
                currency: Some(eur()),
                file: Some(Hash::default()),
                ..step(cycle, what)
            };
            copy.agreed("cycle.move", &args)
        };
        let result = match wanted {
            Step::Seal => copy.ask("cycle.seal", &SealCycle { cycle }),
            Step::Compute => copy.compute(cycle),
            Step::Object => {
                let args = objection(cycle, 10);
                copy.object(1, &args).map(|_| copy.node.answer(copy.node.entries.len() as u64 - 1))
            }
            Step::Review => moved(Move::Review),
            Step::Return => moved(Move::Return),
            Step::Approve => moved(Move::Approve),
            Step::PayIn => moved(Move::PayIn),
            Step::Shortfall => moved(Move::Shortfall),
            Step::Cover => moved(Move::Cover),
            Step::PayOut => moved(Move::PayOut),
            Step::Settle => moved(Move::Settle),
            Step::Void => moved(Move::Void),
            // Tried elsewhere: they need an objection, a payment, somebody who stands apart.
            Step::Answer | Step::Confirm | Step::SetOff => continue,
        };
        let refused = matches!(&result, Err(no) if no.code == Refusal::CycleStage);
        let orders = stage == Stage::PayOut && *wanted == Step::PayOut;
        assert_eq!(refused, !stage.allows(*wanted) || orders, "{stage}, {wanted}: {result:?}");
    }
}

fn objection(cycle: u64, amount: u64) -> FileObjection {
    FileObjection {
        cycle,
        debtor: id("pa_kino"),
        creditor: id("pa_polar"),
        currency: eur(),
        amount: money(amount),
        payment: None,
        reason: id("not_ours"),
    }
}

#[test]
fn every_step_at_every_stage() {
    let mut house = House::new(2, false);
    trade(&mut house);
    let mut seen = vec![];
    let mut look = |house: &House, cycle: u64| {
        every_step(house, cycle);
        seen.push(house.stage(cycle));
    };
    look(&house, 1);
    let cycle = house.seal();
    look(&house, 1);
    house.compute(cycle).expect("computed");
    look(&house, 1);
    house.review(cycle);
    look(&house, 1);
    house.now = house.now.plus_seconds(3_601);
    let args = MoveCycle { version: Some(1), ..step(cycle, Move::Approve) };
    house.agreed("cycle.move", &args).expect("approved");
    look(&house, 1);
    house.pay_in(cycle);
    look(&house, 1);
    house.now = house.now.plus_seconds(4 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    look(&house, 1);
    house.agreed("cycle.move", &step(cycle, Move::Cover)).expect("covered");
    look(&house, 1);
    // All was lost: nothing is paid out, nothing is to be ordered.
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let next = house.seal();
    house.approve(next);
    house.pay_in(next);
    house.paid(next, Way::In, &[]);
    look(&house, next);
    house.pay_out(next).expect("orders leave");
    look(&house, next);
    house.paid(next, Way::Out, &[]);
    house.ask("cycle.move", &step(next, Move::Settle)).expect("settled");
    look(&house, next);
    let void = house.seal();
    house
        .agreed("cycle.move", &MoveCycle { reason: Some(id("wrong")), ..step(void, Move::Void) })
        .expect("void");
    look(&house, void);
    for stage in Stage::ALL {
        assert!(seen.contains(stage), "{stage} was not reached");
    }
}

#[test]
fn two_people_approve_and_neither_is_who_asks() {
    let mut house = House::new(3, true);
    trade(&mut house);
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    let args = MoveCycle { version: Some(1), ..step(cycle, Move::Approve) };
    assert_eq!(code(house.agreed("cycle.move", &args)), Refusal::CycleOpenWork);
    house.now = house.now.plus_seconds(3_601);
    for approvers in [&[][..], &[0], &[2]] {
        assert_eq!(code(house.with(approvers, "cycle.move", &args)), Refusal::PeopleMissing);
    }
    // A second key of the same person is not a second person.
    let twin = common::world::Key::derive(3, "twin");
    let hired = common::house::certify(&house.world, &twin, tallyhouse::sign::Purpose::Approver, Some("bo"));
    house.send(hired).expect("hired");
    house.approvers.push(twin);
    assert_eq!(code(house.with(&[0, 3], "cycle.move", &args)), Refusal::PeopleMissing);
    house.with(&[3, 2], "cycle.move", &args).expect("approved");
    verified(&house);
}

#[test]
fn an_accepted_objection_is_carried_to_the_open_cycle() {
    let mut house = House::new(4, true);
    trade(&mut house);
    let before = house.nets(1);
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    assert_eq!(code(house.object(0, &objection(cycle, 10))), Refusal::KeyOwner);
    assert_eq!(code(house.object(1, &objection(cycle, 28_501))), Refusal::ObjectionInvalid);
    let first = house.object(1, &objection(cycle, 8_500)).expect("filed");
    let second = house.object(2, &objection(cycle, 100)).expect("filed");
    house.answer(second, Answered::Rejected).expect("answered");
    assert_eq!(house.stage(cycle), Stage::Review);
    house.answer(first, Answered::Accepted).expect("answered");
    assert_eq!(code(house.answer(first, Answered::Rejected)), Refusal::ObjectionInvalid);
    assert_eq!(house.stage(cycle), Stage::Sealed);
    let after = house.nets(cycle);
    assert_eq!(after[&id("pa_kino")], before[&id("pa_kino")] + 8_500);
    assert_eq!(house.nets(2)[&id("pa_kino")], -8_500);
    house.approve(cycle);
    assert_eq!(house.closing(cycle).version, 2);
    // The instructions of the first version do not count.
    let old = InstructionId { seq: house.closing(1).computed.expect("computed").mark.seq, part: 1 };
    assert_ne!(instruction_stage(&house.instruction(old), &house.closing(1), 0), InstructionStage::Withdrawn);
    conserved(&house);
    verified(&house);
}

#[test]
fn a_voided_cycle_goes_on_in_the_open_one() {
    let mut house = House::new(5, true);
    trade(&mut house);
    let nets = house.nets(1);
    let first = house.seal();
    house.approve(first);
    let args = MoveCycle { reason: Some(id("wrong-rates")), ..step(first, Move::Void) };
    assert_eq!(code(house.ask("cycle.move", &args)), Refusal::PeopleMissing);
    house.agreed("cycle.move", &args).expect("voided");
    assert_eq!(house.nets(2), nets, "exactly the positions before");
    let second = house.seal();
    house.agreed("cycle.move", &MoveCycle { cycle: second, ..args }).expect("voided again");
    let third = house.seal();
    assert_eq!(house.closing(third).includes, [2, 1]);
    assert_eq!(house.nets(third), nets);
    house.approve(third);
    assert_eq!(house.line(third, "pa_kino").expect("a line").amount, -19_000);
    verified(&house);
}

#[test]
fn what_a_bank_says_is_taken_once_and_by_two_people() {
    let mut house = House::new(6, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due = house.instructions(cycle);
    let (kino, polar) = (due[&id::<ParticipantId>("pa_kino")].0, due[&id::<ParticipantId>("pa_polar")].0);
    let wrong = house.booked(kino, 100);
    assert_eq!(
        code(house.import("s-wrong", 0, vec![StatementLine { amount: money(50), ..wrong }])),
        Refusal::StatementInvalid
    );
    // A line in full, the same again, too much, one of nobody, one that is not to be paid yet, another way.
    let line = house.booked(kino, 18_900);
    let lines = vec![
        line.clone(),
        line.clone(),
        house.booked(kino, 200),
        StatementLine { instruction: None, ..house.booked(kino, 700) },
        house.booked(polar, 23_700),
        StatementLine { way: Way::Out, ..house.booked(kino, 100) },
        StatementLine { booking: Booking::Returned, way: Way::In, ..house.booked(polar, 100) },
    ];
    house.import("s-1", 100, lines).expect("imported");
    assert_eq!(code(house.import("s-1", 0, vec![])), Refusal::AlreadyExists);
    // Who imported it does not accept it.
    let cid = house.cid();
    let args = tallyhouse::clearing::AcceptStatement { currency: eur(), statement: id("s-1") };
    let own = house.world.command(&house.analyst, &cid, "statement.accept", &args);
    assert_eq!(code(house.send(tallyhouse::machine::Request::of(vec![own]))), Refusal::PeopleMissing);
    house.accept("s-1", 0).expect("accepted");
    let statement =
        house.node.state.get(&Name::Statement(eur(), id("s-1"))).and_then(Record::statement).expect("there");
    use Exception::*;
    assert_eq!(
        statement.exceptions,
        [(1, Altered), (2, TooMuch), (3, Unknown), (4, NotOpen), (5, Mismatch), (6, NotOpen)]
    );
    assert_eq!(code(house.accept("s-1", 0)), Refusal::StatementInvalid);
    // A gap: the next one begins elsewhere than the last one ended.
    house.import("s-2", 1_000, vec![]).expect("imported");
    assert_eq!(code(house.accept("s-2", 0)), Refusal::StatementInvalid);
    // A cent is missing: two people write it off, if the network tolerates so much.
    assert_eq!(code(house.instruct(kino, InstructionStep::WriteOff)), Refusal::AmountTooLarge);
    house.tolerate(100).expect("set");
    assert_eq!(code(house.instruct(kino, InstructionStep::Reissue)), Refusal::InstructionStage);
    house.instruct(kino, InstructionStep::WriteOff).expect("written off");
    let at = instruction_stage(&house.instruction(kino), &house.closing(cycle), house.now.seconds());
    assert_eq!(at, InstructionStage::Confirmed);
    house.paid(cycle, Way::In, &["pa_kino"]);
    house.deposit(10_000);
    house.pay_out(cycle).expect("orders leave");
    // The order comes back, and is issued again under a new id.
    let paid = house.booked(polar, 23_700);
    house.statement(vec![paid]);
    let back = StatementLine { booking: Booking::Returned, way: Way::In, ..house.booked(polar, 23_700) };
    assert_eq!(house.statement(vec![back]).exceptions, vec![]);
    let at = instruction_stage(&house.instruction(polar), &house.closing(cycle), 0);
    assert_eq!(at, InstructionStage::Returned);
    assert_eq!(code(house.ask("cycle.move", &step(cycle, Move::Settle))), Refusal::CycleOpenWork);
    house.instruct(polar, InstructionStep::Reissue).expect("again");
    assert_eq!(code(house.instruct(polar, InstructionStep::Reissue)), Refusal::InstructionStage);
    assert_ne!(house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].0, polar);
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

#[test]
fn a_shortfall_runs_down_the_waterfall() {
    let mut house = House::new(7, true);
    house.fund("pa_kino", None, 5_000).expect("set");
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &["pa_kino"]);
    assert_eq!(code(house.ask("cycle.move", &step(cycle, Move::Shortfall))), Refusal::CycleOpenWork);
    house.now = house.now.plus_seconds(4 * 86_400 + 1);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    // 190.00 are missing: 50.00 from its cover, 40.00 from the operator, 100.00 from polar.
    let args = MoveCycle { tranche: Some(money(4_000)), ..step(cycle, Move::Cover) };
    house.agreed("cycle.move", &args).expect("covered");
    assert_eq!(house.stage(cycle), Stage::Funded);
    let sums = house.closing(cycle).sums.remove(0);
    assert_eq!((sums.paid_in.get(), sums.drawn.get(), sums.lost.get()), (4_700, 9_000, 10_000));
    let (kino, polar) =
        (house.line(cycle, "pa_kino").expect("a line"), house.line(cycle, "pa_polar").expect("a line"));
    assert_eq!((kino.open(), polar.lost.get(), polar.open()), (0, 10_000, 13_700));
    // What was drawn stands in the history of its cover.
    let drawn = house.node.state.0.values().filter_map(|r| r.cover_step()).max_by_key(|s| s.at).expect("one");
    assert_eq!((drawn.change, drawn.amount, drawn.after), (CoverChange::Drawn, money(5_000), money(0)));
    // Spends stand; who bore it is owed by kino now.
    let owed = house.nets(house.open());
    assert_eq!(owed[&id("pa_kino")], -14_000);
    assert_eq!((owed[&id("pa_polar")], owed[&id("pa_franchise")]), (10_000, 4_000));
    house.pay_out(cycle).expect("orders leave");
    house.deposit(9_000);
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    // Late money is a line of the next cycle, not of this one.
    let late = house.booked(kino.instruction.expect("one"), 19_000);
    assert_eq!(house.statement(vec![late]).exceptions, [(0, Exception::NotOpen)]);
    conserved(&house);
    verified(&house);
}

#[test]
fn voluntary_debits_stop_at_the_cap_and_forced_ones_do_not() {
    let mut house = House::new(8, true);
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    assert_eq!(
        code(house.with(&[0], "funding.set", &funding("pa_kino", Some(20_000)))),
        Refusal::PeopleMissing
    );
    house.fund("pa_kino", Some(20_000), 0).expect("set");
    // 95 of 100 is owed. Held and captured count alike.
    let held = house.pay(2, "KINO", 0, 10_000, false).expect("within");
    house.pay(2, "KINO", 0, 10_000, true).expect("within");
    assert_eq!(code(house.pay(2, "KINO", 0, 1_100, false)), Refusal::ExposureExceeded);
    house.pay(2, "KINO", 0, 1_000, true).expect("exactly the rest and no more");
    // Captured in parts, what is left comes back with the void.
    let cid = house.cid();
    let request = house.world.capture(&house.world.brands[2].tills[0].key, &cid, held, 4_000, false);
    house.send(request).expect("captured");
    assert_eq!(code(house.pay(2, "KINO", 0, 1_000, true)), Refusal::ExposureExceeded);
    let cid = house.cid();
    let request = house.world.void(&house.world.brands[2].tills[0].key, &cid, held);
    house.send(request).expect("voided");
    house.pay(2, "KINO", 0, 6_000, true).expect("what the void gave back");
    // A cut below what is in use is refused; a refund by kino's own shop, which makes it owe more, is not.
    assert_eq!(code(house.fund("pa_kino", Some(19_000), 0)), Refusal::ExposureExceeded);
    house.fund("pa_kino", Some(19_950), 0).expect("what is in use");
    house.fund("pa_polar", Some(0), 0).expect("it is owed");
    assert_eq!(code(house.pay(1, "POLAR", 0, 40_000, true)), Refusal::ExposureExceeded);
    verified(&house);
}

#[test]
fn random_histories_keep_what_was_promised() {
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let mut house = House::new(100 + seed, false);
        for unit in ["HARVEST", "KINO", "POLAR", "TWIN"] {
            house.award(unit, 0, 90_000_000);
        }
        house.now = house.now.plus_seconds(3 * 86_400);
        house.fund("pa_polar", None, 7_777).expect("set");
        for _ in 0..6 {
            for _ in 0..rng.below(12) {
                let unit = ["HARVEST", "KINO", "POLAR", "TWIN"][rng.below(4) as usize];
                let _ = house.pay(rng.below(4) as usize, unit, 0, 1 + rng.below(90_000), rng.below(3) > 0);
            }
            let cycle = house.seal();
            if rng.below(4) == 0 {
                let args = MoveCycle { reason: Some(id("chance")), ..step(cycle, Move::Void) };
                house.agreed("cycle.move", &args).expect("voided");
                conserved(&house);
                continue;
            }
            if rng.below(3) == 0 {
                house.compute(cycle).expect("computed");
                house.review(cycle);
                let filed = house.object(1, &objection(cycle, 1 + rng.below(20_000)));
                let answer = if rng.below(2) == 0 { Answered::Accepted } else { Answered::Rejected };
                if let Ok(objection) = filed {
                    house.answer(objection, answer).expect("answered");
                }
                if house.stage(cycle) == Stage::Review {
                    let args = MoveCycle { reason: Some(id("again")), ..step(cycle, Move::Return) };
                    house.ask("cycle.move", &args).expect("returned");
                }
            }
            house.approve(cycle);
            let amounts: i64 = house
                .instructions(cycle)
                .values()
                .map(|(_, one)| match one.way {
                    Way::In => -one.amount.signed(),
                    Way::Out => one.amount.signed(),
                })
                .sum();
            assert_eq!(amounts, 0, "instructions sum to zero");
            house.pay_in(cycle);
            let late = ["pa_polar", "pa_kino", "pa_harvest", "nobody"][rng.below(4) as usize];
            house.paid(cycle, Way::In, &[late]);
            if house.stage(cycle) == Stage::PayIn {
                house.now = house.now.plus_seconds(5 * 86_400);
                house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
                let args = MoveCycle { tranche: Some(money(rng.below(9_000))), ..step(cycle, Move::Cover) };
                house.agreed("cycle.move", &args).expect("covered");
            }
            conserved(&house);
            let sums = house.closing(cycle).sums;
            if sums.first().is_some_and(|sums| sums.moved > sums.lost) {
                house.pay_out(cycle).expect("orders leave");
                house.deposit(sums[0].drawn.get());
            }
            house.paid(cycle, Way::Out, &[]);
            house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
            conserved(&house);
        }
        verified(&house);
    }
}

#[test]
fn bank_details_count_from_the_next_cycle_on_and_are_pinned() {
    let mut house = House::new(4, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    trade(&mut house);
    let hash = |n: u8| Hash([n; 32]);
    house.details(2, 1, hash(1));
    let first = house.seal();
    house.approve(first);
    let pinned = |house: &House, cycle| house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].1.details;
    assert_eq!(pinned(&house, first), Some(1), "the first ones redirect nothing");
    assert_eq!(house.instructions(first)[&id::<ParticipantId>("pa_kino")].1.details, None);
    // A second version, confirmed while the second cycle is open: that one is still paid to the first account.
    house.details(2, 2, hash(2));
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let second = house.seal();
    house.approve(second);
    assert_eq!(pinned(&house, second), Some(1));
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let third = house.seal();
    house.approve(third);
    assert_eq!(pinned(&house, third), Some(2));
    // What the bank rejects is issued again with the details of now, and leaves in a file of its own.
    house.pay_in(first);
    house.paid(first, Way::In, &[]);
    house.pay_out(first).expect("orders leave");
    let (old, _) = house.instructions(first)[&id::<ParticipantId>("pa_polar")].clone();
    house.instruct(old, InstructionStep::Reject).expect("rejected");
    let again = MoveInstruction::bare(old, InstructionStep::Reissue);
    house.agreed("instruction.move", &again).expect("issued again");
    let (new, one) = house.instructions(first)[&id::<ParticipantId>("pa_polar")].clone();
    assert_eq!((one.details, one.replaces), (Some(2), Some(old)));
    let at = |house: &House| {
        instruction_stage(&house.instruction(new), &house.closing(first), house.now.seconds())
    };
    assert_eq!(at(&house), InstructionStage::Approved, "nothing left yet");
    house.deposit(1_000_000);
    let line = house.booked(new, one.amount.get());
    assert_eq!(house.statement(vec![line]).exceptions, [(0, Exception::NotOpen)]);
    let send = MoveInstruction { file: Some(hash(9)), ..MoveInstruction::bare(new, InstructionStep::Send) };
    assert_eq!(code(house.ask("instruction.move", &send)), Refusal::PeopleMissing);
    let bare = MoveInstruction { file: None, ..send.clone() };
    assert_eq!(code(house.agreed("instruction.move", &bare)), Refusal::TokenPayload);
    house.agreed("instruction.move", &send).expect("sent");
    assert_eq!(at(&house), InstructionStage::Sent);
    assert_eq!(code(house.agreed("instruction.move", &send)), Refusal::InstructionStage);
    house.paid(first, Way::Out, &[]);
    conserved(&house);
    verified(&house);
}

#[test]
fn the_schedule_seals_when_its_time_has_come_and_not_before() {
    let mut house = House::new(5, true);
    trade(&mut house);
    let set = |version, every| SetSchedule { version, every, hour: 0, grace_minutes: 30, tolerance: vec![] };
    let due = |house: &House| {
        let midnight = house.now.date(0).plus_days(1).starts(0);
        midnight.plus_seconds(1_800)
    };
    house.agreed("schedule.set", &set(1, Some(Every::Day))).expect("set");
    let first = due(&house);
    house.node.tick(first.plus_seconds(0));
    assert_eq!((house.stage(1), house.open()), (Stage::Sealed, 2));
    let entry = house.node.entries.last().expect("an entry");
    assert!(String::from_utf8_lossy(&entry.envelope).contains("cycle.due"), "the log says why");
    house.now = first;
    house.node.tick(first.plus_seconds(86_399));
    assert_eq!(house.open(), 2, "one second is missing");
    house.node.tick(first.plus_seconds(86_400));
    assert_eq!(house.open(), 3);
    // Somebody sealed by hand: the next instant is the one after that.
    house.now = first.plus_seconds(86_400);
    house.seal();
    house.node.tick(house.now.plus_seconds(60));
    assert_eq!(house.open(), 4);
    house.agreed("schedule.set", &set(2, None)).expect("none any more");
    house.node.tick(house.now.plus_seconds(9 * 86_400));
    assert_eq!(house.open(), 4);
    house.now = house.now.plus_seconds(9 * 86_400);
    verified(&house);
}
