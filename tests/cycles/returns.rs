//! What comes back: in parts, after the cycle was settled; and what comes after others bore it.

use super::account::{came, holding, newest, of_operator};
use super::*;
use crate::common::house::cover;
use tallyhouse::clearing::{AssignLine, LinePlace, MoveCover, OperatorLine};

fn about(line: LinePlace, instruction: InstructionId) -> AssignLine {
    AssignLine { instruction: Some(instruction), ..AssignLine::bare(eur(), line) }
}

fn settled(house: &mut House) -> u64 {
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    cycle
}

#[test]
fn what_comes_back_after_the_end_is_owed_in_the_open_cycle() {
    let mut house = House::new(181, true);
    trade(&mut house);
    let cycle = settled(&mut house);
    let due = house.instructions(cycle);
    let of = |who: &str| due[&id::<ParticipantId>(who)].0;
    let (kino, polar) = (of("pa_kino"), of("pa_polar"));
    house.deposit(30_000);
    let before = holding(&house);
    // Kino's bank takes its payment back, weeks later.
    house.now = house.now.plus_seconds(40 * 86_400);
    let taken = about(came(&mut house, Way::Out, 19_000), kino);
    assert_eq!(code(house.with(&[0], "line.assign", &taken)), Refusal::PeopleMissing);
    house.agreed("line.assign", &taken).expect("taken back");
    assert_eq!(
        (house.instruction(kino).late, house.instruction(kino).confirmed),
        (money(19_000), money(19_000))
    );
    let open = house.open();
    let operator: ParticipantId = {
        let record = house.node.state.get(&Name::Network);
        record.and_then(Record::network).and_then(|one| one.operator.clone()).expect("an operator")
    };
    let nets = house.nets(open);
    assert_eq!((nets[&id::<ParticipantId>("pa_kino")], nets[&operator]), (-19_000, 19_000));
    let after = holding(&house);
    assert_eq!((after.borne - before.borne, after.short), (19_000, false), "the deposit stands in");
    // No more comes back than was paid.
    let more = about(came(&mut house, Way::Out, 100), kino);
    assert_eq!(code(house.agreed("line.assign", &more)), Refusal::LineInvalid);
    // Polar's account was closed: what it was paid comes back in two parts.
    let amount = house.instruction(polar).amount.get();
    for part in [5_000, amount - 5_000] {
        let back = about(came(&mut house, Way::In, part), polar);
        house.agreed("line.assign", &back).expect("came back");
    }
    assert_eq!(house.nets(open)[&id::<ParticipantId>("pa_polar")], amount as i64);
    assert_eq!(holding(&house).borne - before.borne, 19_000 - amount as i64);
    assert_eq!(house.stage(cycle), Stage::Settled);
    // All of it is paid by the next cycle; the operator has its own again.
    settled(&mut house);
    let left = holding(&house).borne;
    if left > 0 {
        let brought = came(&mut house, Way::In, left as u64);
        house.agreed("line.assign", &of_operator(brought, OperatorLine::Own)).expect("its own");
    }
    conserved(&house);
    verified(&house);
}

#[test]
fn a_payment_may_come_back_in_parts() {
    let mut house = House::new(182, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    let (polar, one) = house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].clone();
    let amount = one.amount.get();
    let out = house.booked(polar, amount);
    house.statement(vec![out]);
    for part in [2_000, amount - 2_000] {
        let back = StatementLine { booking: Booking::Returned, way: Way::In, ..house.booked(polar, part) };
        assert_eq!(house.statement(vec![back]).exceptions, [], "{part}");
    }
    assert_eq!(house.instruction(polar).confirmed, money(0));
    house.instruct(polar, InstructionStep::Reissue).expect("issued again");
    let again = house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].clone();
    assert_eq!(again.1.amount, money(amount));
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

#[test]
fn what_comes_after_others_bore_it_is_cover() {
    let mut house = House::new(183, true);
    house.fund("pa_kino", None, 5_000).expect("set");
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &["pa_kino"]);
    house.now = house.now.plus_seconds(5 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    let covered = MoveCycle { tranche: Some(money(14_000)), ..step(cycle, Move::Cover) };
    house.agreed("cycle.move", &covered).expect("covered");
    let kino = house.instructions(cycle)[&id::<ParticipantId>("pa_kino")].0;
    let late = house.booked(kino, 19_000);
    assert_eq!(house.statement(vec![late]).exceptions, [(0, Exception::NotOpen)]);
    let place = newest(&house, 0);
    let no = house.agreed("line.assign", &about(place.clone(), kino)).expect_err("others bore it");
    assert!(no.code == Refusal::LineInvalid && no.about.contains("cover.move"), "{no:?}");
    let brings = MoveCover { line: Some(place), ..cover("pa_kino", None, Way::In, 19_000) };
    house.agreed("cover.move", &brings).expect("cover");
    conserved(&house);
    verified(&house);
}
