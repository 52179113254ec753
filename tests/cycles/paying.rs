//! What banks tell early, what payments are off by, and currencies that wait for nothing but themselves.

use super::*;
use crate::common::house::cover;
use crate::common::node::PureNode;
use crate::common::world::{World, beginning};
use std::sync::Arc;
use tallyhouse::book::{Closing, Sums};
use tallyhouse::clearing::{
    AssignLine, ConfirmDetails, ImportStatement, LinePlace, MoveCover, SetDetails, SetFunding, side,
};
use tallyhouse::types::Currency;

fn of<'a>(closing: &'a Closing, currency: &str) -> &'a Sums {
    closing.sums.iter().find(|sums| sums.currency.as_str() == currency).expect("sums")
}

#[test]
fn a_notification_counts_and_the_statement_that_repeats_it_does_not() {
    let mut house = House::new(16, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due = house.instructions(cycle);
    let (kino, polar) = (due[&id::<ParticipantId>("pa_kino")].0, due[&id::<ParticipantId>("pa_polar")].0);
    let harvest = due[&id::<ParticipantId>("pa_harvest")].0;
    // Paid in part; one that is not to be paid yet.
    let (first, early) = (house.booked(kino, 9_000), house.booked(polar, 23_700));
    house.notify("n-1", vec![first.clone(), early.clone()]).expect("imported");
    let cid = house.cid();
    let args = tallyhouse::clearing::AcceptStatement { currency: eur(), statement: id("n-1") };
    let own = house.world.command(&house.analyst, &cid, "statement.accept", &args);
    assert_eq!(code(house.send(tallyhouse::machine::Request::of(vec![own]))), Refusal::PeopleMissing);
    house.accept("n-1", 2).expect("accepted");
    let facts = |house: &House, name: &str| {
        house
            .node
            .state
            .get(&Name::Statement(eur(), id(name)))
            .and_then(Record::statement)
            .expect("there")
            .clone()
    };
    assert_eq!(facts(&house, "n-1").exceptions, [(1, Exception::NotOpen)]);
    assert_eq!(house.instruction(kino).confirmed, money(9_000));
    assert_eq!(house.node.state.get(&Name::Bank(eur())), None, "it says nothing of the balance");
    // The same again, in another notification and in the statement: nothing counts twice.
    house.notify("n-2", vec![first.clone()]).expect("imported");
    house.accept("n-2", 2).expect("accepted");
    assert_eq!(facts(&house, "n-2").exceptions, [(0, Exception::Duplicate)]);
    let (rest, other) = (house.booked(kino, 10_000), house.booked(harvest, 4_700));
    let statement = house.statement(vec![first, rest, other]);
    assert_eq!(statement.exceptions, [(0, Exception::Duplicate)]);
    assert_eq!(house.instruction(kino).confirmed, money(19_000));
    assert_eq!(house.stage(cycle), Stage::Funded);
    house.pay_out(cycle).expect("orders leave");
    // What was told too early was not used up: the statement's line counts.
    let statement = house.statement(vec![early]);
    assert_eq!((statement.exceptions, house.instruction(polar).confirmed), (vec![], money(23_700)));
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

#[test]
fn what_is_off_by_a_little_is_written_off_and_somebody_bears_it() {
    let mut house = House::new(17, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.tolerate(200).expect("set");
    let due = house.instructions(cycle);
    let (kino, harvest) = (due[&id::<ParticipantId>("pa_kino")].0, due[&id::<ParticipantId>("pa_harvest")].0);
    // Beyond amount and tolerance nothing is confirmed, and what a payment is short by more stays open.
    let lines = vec![house.booked(harvest, 5_000), house.booked(kino, 18_700)];
    assert_eq!(house.statement(lines).exceptions, [(0, Exception::TooMuch)]);
    assert_eq!(code(house.instruct(kino, InstructionStep::WriteOff)), Refusal::AmountTooLarge);
    let lines = vec![house.booked(harvest, 4_900), house.booked(kino, 100)];
    assert_eq!(house.statement(lines).exceptions, []);
    assert_eq!(house.stage(cycle), Stage::PayIn, "one's cents do not stand in for another's");
    let closing = house.closing(cycle);
    let sums = of(&closing, "EUR");
    assert_eq!((sums.paid_in, sums.surplus), (money(18_800 + 4_700), money(200)));
    let args = MoveInstruction::bare(kino, InstructionStep::WriteOff);
    assert_eq!(code(house.with(&[0], "instruction.move", &args)), Refusal::PeopleMissing);
    house.agreed("instruction.move", &args).expect("written off");
    assert_eq!(code(house.agreed("instruction.move", &args)), Refusal::InstructionStage);
    assert_eq!(house.stage(cycle), Stage::Funded);
    house.pay_out(cycle).expect("orders leave");
    house.paid(cycle, Way::Out, &[]);
    let settle = step(cycle, Move::Settle);
    assert_eq!(code(house.ask("cycle.move", &settle)), Refusal::CycleOpenWork, "200 are nobody's");
    let before = house.nets(cycle);
    house.instruct(harvest, InstructionStep::WriteOff).expect("written off");
    house.ask("cycle.move", &settle).expect("settled");
    // The positions of the cycle are what was paid, and sum to zero: the operator's participant bore 200 and got 200.
    assert_eq!((before[&id("pa_kino")], before[&id("pa_franchise")]), (-18_800, -200));
    let after = house.nets(cycle);
    assert_eq!((after[&id("pa_harvest")], after[&id("pa_franchise")]), (-4_703 - 200, 0));
    assert_eq!(after.values().sum::<i64>(), 0);
    // What is written off is not drawn: it has a place of its own, for the payer and in all.
    let lines = ["pa_kino", "pa_harvest"].map(|who| house.line(cycle, who).expect("a line"));
    let written = lines.map(|line| [line.written_off, line.kept, line.drawn].map(|n| n.get()));
    assert_eq!(written, [[200, 0, 0], [0, 200, 0]]);
    let closing = house.closing(cycle);
    assert_eq!((of(&closing, "EUR").written_off, of(&closing, "EUR").drawn), (money(200), money(0)));
    let facts = house.instruction(kino);
    assert_eq!(
        (facts.written_off, facts.kept, facts.bearer),
        (money(200), money(0), Some(id("pa_franchise")))
    );
    conserved(&house);
    verified(&house);
}

#[test]
fn what_comes_back_of_what_was_too_much_takes_its_writing_off_away() {
    let mut house = House::new(18, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.tolerate(200).expect("set");
    let harvest = house.instructions(cycle)[&id::<ParticipantId>("pa_harvest")].0;
    let line = house.booked(harvest, 4_800);
    house.statement(vec![line]);
    house.instruct(harvest, InstructionStep::WriteOff).expect("written off");
    let back = |house: &mut House, amount| {
        let line = house.booked(harvest, amount);
        let line = StatementLine { booking: Booking::Returned, way: Way::Out, ..line };
        assert_eq!(house.statement(vec![line]).exceptions, []);
    };
    back(&mut house, 100);
    let at = |house: &House| {
        instruction_stage(&house.instruction(harvest), &house.closing(cycle), house.now.seconds())
    };
    assert_eq!(at(&house), InstructionStage::Confirmed, "it is paid in full still");
    assert_eq!((house.instruction(harvest).kept, house.nets(cycle)[&id("pa_harvest")]), (money(0), -4_703));
    back(&mut house, 700);
    assert_eq!(at(&house), InstructionStage::Returned);
    let closing = house.closing(cycle);
    let sums = of(&closing, "EUR");
    assert_eq!((sums.paid_in, sums.surplus), (money(4_000), money(0)));
    house.instruct(harvest, InstructionStep::Reissue).expect("again");
    assert_eq!(house.instructions(cycle)[&id::<ParticipantId>("pa_harvest")].1.amount, money(700));
    conserved(&house);
    verified(&house);
}

fn chf() -> Currency {
    id("CHF")
}

/// What is to be paid in a currency, in one direction.
fn due(house: &House, cycle: u64, currency: Currency, way: Way) -> Vec<(InstructionId, u64)> {
    let line = |(name, record): (&Name, &Arc<Record>)| match (name, &**record) {
        (Name::Line(of, _, in_currency), Record::Line(line)) if (*of, *in_currency) == (cycle, currency) => {
            line.instruction
        }
        _ => None,
    };
    let all = house.node.state.0.iter().filter_map(line).map(|id| (id, house.instruction(id)));
    let open = all.filter(|(_, one)| one.way == way && one.amount > one.confirmed);
    open.map(|(id, one)| (id, one.amount.get() - one.confirmed.get())).collect()
}

/// A statement of a currency's account: these payments in full, and so much of nobody's.
fn booked(house: &mut House, currency: Currency, all: Vec<(InstructionId, u64)>, deposit: u64) {
    let bank = house.node.state.get(&Name::Bank(currency)).and_then(Record::bank).map(|bank| bank.balance);
    let opening = money(u64::try_from(bank.unwrap_or_default()).expect("not overdrawn"));
    let mut lines: Vec<StatementLine> = all.into_iter().map(|(id, n)| house.booked(id, n)).collect();
    if deposit > 0 {
        let entry = id(&house.cid());
        let (booking, way, amount) = (Booking::Booked, Way::In, money(deposit));
        lines.insert(0, StatementLine { entry, booking, way, amount, instruction: None, pays: None });
    }
    let closing = lines.iter().fold(opening, |sum, line| match line.way {
        Way::In => sum.plus(line.amount).expect("fits"),
        Way::Out => sum.minus(line.amount).expect("not overdrawn"),
    });
    let name = house.cid();
    let args = ImportStatement {
        statement: id(&name),
        currency,
        document: Hash::sha256(name.as_bytes()),
        opening: Some(opening),
        closing: Some(closing),
        opening_below_zero: false,
        closing_below_zero: false,
        lines,
    };
    house.ask("statement.import", &args).expect("imported");
    house.accept_in(currency, &name, 2).expect("accepted");
    let facts = house.node.state.get(&Name::Statement(currency, id(&name))).and_then(Record::statement);
    let left = usize::from(deposit > 0);
    assert_eq!(facts.expect("there").exceptions.len(), left, "{facts:?}");
}

#[test]
fn what_is_missing_in_one_currency_holds_no_other_up() {
    let mut house = House::new(19, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let from = house.now.seconds() + 31 * 86_400;
    let prices = house.world.prices(id("KINO"), 2, chf(), from);
    house.agreed_by_brand(1, "prices.publish", &prices).expect("published");
    house.now = house.now.plus_seconds(32 * 86_400);
    trade(&mut house);
    // 9.50 CHF, of which 4.00 have cover.
    house.pay_with(chf(), 2, "KINO", 0, 1_000, true).expect("paid");
    let set = SetFunding { currency: chf(), ..funding("pa_kino", None) };
    house.set_funding(&set).expect("set");
    booked(&mut house, chf(), vec![], 400);
    let bank = house.node.state.get(&Name::Bank(chf())).and_then(Record::bank).expect("an account");
    let line = Some(LinePlace { statement: bank.statement.clone(), line: 0 });
    let args = MoveCover { currency: chf(), line, ..cover("pa_kino", None, Way::In, 400) };
    house.agreed("cover.move", &args).expect("topped up");
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let at = |house: &House, currency: &str| {
        let closing = house.closing(cycle);
        side(&closing, of(&closing, currency))
    };
    let all = due(&house, cycle, eur(), Way::In);
    booked(&mut house, eur(), all, 0);
    assert_eq!(
        (house.stage(cycle), at(&house, "EUR"), at(&house, "CHF")),
        (Stage::PayIn, Stage::Funded, Stage::PayIn)
    );
    let orders = |currency: Currency| MoveCycle {
        currency: Some(currency),
        file: Some(Hash::sha256(currency.as_str().as_bytes())),
        ..step(cycle, Move::PayOut)
    };
    assert_eq!(code(house.agreed("cycle.move", &orders(chf()))), Refusal::CycleOpenWork);
    house.agreed("cycle.move", &orders(eur())).expect("euros leave while francs are missing");
    assert_eq!(code(house.agreed("cycle.move", &orders(eur()))), Refusal::CycleStage);
    let covering = MoveCycle { currency: Some(chf()), ..step(cycle, Move::Cover) };
    assert_eq!(code(house.agreed("cycle.move", &covering)), Refusal::CycleStage, "nobody is late yet");
    house.now = house.now.plus_seconds(5 * 86_400);
    // Whoever is late takes back neither its cover nor its share of the fund, however little else it owes.
    let back = |house: &mut House, fund: bool| {
        let (reference, cid) = (Some(id(&house.cid())), house.cid());
        let args = MoveCover { currency: chf(), fund, reference, ..cover("pa_kino", None, Way::Out, 1) };
        let first = house.world.command(&house.analyst, &cid, "cover.move", &args);
        let by = house.approvers[..2].iter().chain([&house.world.brands[1].root]);
        let approvals: Vec<_> = by.map(|key| house.world.approve(key, &first)).collect();
        house.send(tallyhouse::machine::Request::of([vec![first], approvals].concat())).map(drop)
    };
    assert_eq!(code(back(&mut house, false)), Refusal::CycleOpenWork);
    assert_eq!(code(back(&mut house, true)), Refusal::CycleOpenWork);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    assert_eq!((house.stage(cycle), at(&house, "EUR")), (Stage::Shortfall, Stage::PayOut));
    assert_eq!(code(back(&mut house, false)), Refusal::CycleOpenWork);
    let euros = MoveCycle { currency: Some(eur()), ..step(cycle, Move::Cover) };
    assert_eq!(code(house.agreed("cycle.move", &euros)), Refusal::CycleStage, "none are missing");
    house.agreed("cycle.move", &covering).expect("covered");
    assert_eq!((at(&house, "EUR"), at(&house, "CHF")), (Stage::PayOut, Stage::Funded));
    let closing = house.closing(cycle);
    let sums = of(&closing, "CHF");
    assert_eq!((sums.drawn, sums.lost), (money(400), money(550)));
    assert_eq!(code(house.ask("cycle.move", &step(cycle, Move::Settle))), Refusal::CycleOpenWork);
    house.agreed("cycle.move", &orders(chf())).expect("francs leave");
    for (currency, deposit) in [(eur(), 0), (chf(), 400)] {
        let all = due(&house, cycle, currency, Way::Out);
        booked(&mut house, currency, all, deposit);
    }
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

#[test]
fn what_comes_back_after_the_orders_left_is_borne_without_those_who_were_paid() {
    let mut house = House::new(20, true);
    house.fund("pa_kino", None, 5_000).expect("set");
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    let kino = house.instructions(cycle)[&id::<ParticipantId>("pa_kino")].0;
    let back = house.booked(kino, 19_000);
    house.statement(vec![StatementLine { booking: Booking::Returned, way: Way::Out, ..back }]);
    house.now = house.now.plus_seconds(5 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    let covered = |tranche| MoveCycle { tranche: Some(money(tranche)), ..step(cycle, Move::Cover) };
    assert_eq!(code(house.agreed("cycle.move", &covered(13_900))), Refusal::CycleOpenWork);
    house.agreed("cycle.move", &covered(14_000)).expect("covered");
    let closing = house.closing(cycle);
    let sums = of(&closing, "EUR");
    assert_eq!((sums.drawn, sums.lost, house.stage(cycle)), (money(19_000), money(0), Stage::PayOut));
    house.deposit(19_000);
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

/// Whoever owes puts off what it owes, never more: not by several objections at once, not by a payment of another cycle.
#[test]
fn objections_never_make_a_debtor_a_creditor() {
    let mut house = House::new(19, true);
    trade(&mut house);
    let before = house.pay(2, "KINO", 0, 50_000, true).expect("paid");
    let first = house.seal();
    house
        .agreed("cycle.move", &MoveCycle { reason: Some(id("late")), ..step(first, Move::Void) })
        .expect("voided");
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    let owed = |house: &House| {
        let nets = house.nets(cycle);
        nets[&id::<ParticipantId>("pa_kino")]
    };
    let most = 28_500 + 47_500 + 9_500;
    let all: Vec<_> = (0..3).map(|_| house.object(1, &objection(cycle, most)).expect("filed")).collect();
    let of_payment = FileObjection { payment: Some(before), ..objection(cycle, 47_500) };
    let of_payment = house.object(1, &of_payment).expect("filed");
    house.answer(all[0], Answered::Accepted).expect("accepted");
    let left = owed(&house);
    for other in [all[1], all[2], of_payment] {
        assert_eq!(code(house.answer(other, Answered::Accepted)), Refusal::ObjectionInvalid);
        house.answer(other, Answered::Rejected).expect("rejected");
    }
    assert_eq!(owed(&house), left);
    verified(&house);
}

/// Of a payment no more is put off than is owed for it, in whichever version of the cycle.
#[test]
fn a_payment_is_put_off_once() {
    let mut house = House::new(29, true);
    trade(&mut house);
    let payment = house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let cycle = house.seal();
    let again = |house: &mut House| {
        house.compute(cycle).expect("computed");
        house.review(cycle);
    };
    again(&mut house);
    let of = |amount| FileObjection { payment: Some(payment), ..objection(cycle, amount) };
    let [first, second] = [9_000, 600].map(|amount| house.object(1, &of(amount)).expect("filed"));
    house.answer(first, Answered::Accepted).expect("accepted");
    assert_eq!(code(house.answer(second, Answered::Accepted)), Refusal::ObjectionInvalid);
    house.answer(second, Answered::Rejected).expect("rejected");
    again(&mut house);
    // 9,500 is owed for it.
    assert_eq!(code(house.object(1, &of(501))), Refusal::ObjectionInvalid);
    let rest = house.object(1, &of(500)).expect("filed");
    house.answer(rest, Answered::Accepted).expect("accepted");
    again(&mut house);
    assert_eq!(code(house.object(1, &of(1))), Refusal::ObjectionInvalid);
    verified(&house);
}

/// What a voided cycle would have carried on goes on with its obligations, not in a cycle that was computed before as well.
#[test]
fn a_carry_is_taken_over_once() {
    let mut house = House::new(23, true);
    trade(&mut house);
    let void = |house: &mut House, cycle| {
        let args = MoveCycle { reason: Some(id("late")), ..step(cycle, Move::Void) };
        house.agreed("cycle.move", &args).map(drop)
    };
    let first = house.seal();
    house.approve(first);
    house.pay(2, "KINO", 0, 10_001, true).expect("paid");
    let second = house.seal();
    house.compute(second).expect("computed");
    let third = house.seal();
    void(&mut house, first).expect("nobody took its carries over for good");
    house.review(second);
    house.now = house.now.plus_seconds(90_000);
    let args = MoveCycle { version: Some(1), ..step(second, Move::Approve) };
    assert_eq!(code(house.agreed("cycle.move", &args)), Refusal::CycleOpenWork);
    house
        .ask("cycle.move", &MoveCycle { reason: Some(id("again")), ..step(second, Move::Return) })
        .expect("returned");
    house.approve(second);
    house.approve(third);
    assert_eq!(code(void(&mut house, second)), Refusal::CycleOpenWork);
    void(&mut house, third).expect("voided");
    void(&mut house, second).expect("voided");
    verified(&house);
}

#[test]
fn nobody_is_to_be_paid_who_has_not_said_where() {
    let mut house = House::new(31, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    trade(&mut house);
    house.pay(0, "KINO", 0, 20_000, true).expect("paid");
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    let until = Some(house.now.seconds() + 3_600);
    house.ask("cycle.move", &MoveCycle { until, ..step(cycle, Move::Review) }).expect("in review");
    house.now = house.now.plus_seconds(3_601);
    let approve = |house: &mut House| {
        let args = MoveCycle { version: Some(1), ..step(cycle, Move::Approve) };
        house.agreed("cycle.move", &args).map(drop)
    };
    // All who lack them are named; what is not confirmed does not count.
    let lacking = |house: &mut House, who: &str| {
        let no = approve(house).expect_err("nobody knows where");
        assert_eq!((no.code, no.about.as_str()), (Refusal::DetailsUnknown, who));
    };
    lacking(&mut house, "pa_harvest in EUR, pa_polar in EUR");
    let hash = |n: u8| Hash([n; 32]);
    let set = |version, n| SetDetails {
        participant: id("pa_polar"),
        currency: eur(),
        version,
        commitment: hash(n),
        settlement: false,
    };
    house.agreed_by_brand(2, "details.set", &set(1, 1)).expect("set");
    lacking(&mut house, "pa_harvest in EUR, pa_polar in EUR");
    let confirm =
        ConfirmDetails { participant: id("pa_polar"), currency: eur(), version: 1, settlement: false };
    house.ask("details.confirm", &confirm).expect("confirmed");
    lacking(&mut house, "pa_harvest in EUR");
    house.details(0, 1, hash(2));
    approve(&mut house).expect("all are known");
    let polar = |house: &House| house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].clone();
    assert_eq!(polar(&house).1.details, Some(1), "pinned with the approval");
    // The bank does not take it: new details, which count from the next cycle on, and the payment is issued again.
    house.pay_in(cycle);
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    let old = polar(&house).0;
    house.instruct(old, InstructionStep::Reject).expect("rejected");
    house.details(2, 2, hash(3));
    house.seal();
    house.instruct(old, InstructionStep::Reissue).expect("issued again");
    let (new, one) = polar(&house);
    assert_eq!((one.details, one.replaces), (Some(2), Some(old)));
    house.paid(cycle, Way::Out, &[]);
    assert_eq!(house.instruction(new).confirmed, one.amount);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    conserved(&house);
    verified(&house);
}

#[test]
fn a_line_that_fitted_nothing_is_somebodys_after_all() {
    let mut house = House::new(32, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due = house.instructions(cycle);
    let of = |who: &str| due[&id::<ParticipantId>(who)].0;
    let (kino, harvest, polar) = (of("pa_kino"), of("pa_harvest"), of("pa_polar"));
    let place = |statement: &str, line| LinePlace { statement: id(statement), line };
    let pays =
        |line, instruction| AssignLine { instruction: Some(instruction), ..AssignLine::bare(eur(), line) };
    let back = |line, returns| AssignLine { returns: Some(returns), ..AssignLine::bare(eur(), line) };
    let nobodys = |house: &mut House, way, amount| StatementLine {
        entry: id(&house.cid()),
        booking: Booking::Booked,
        way,
        amount: money(amount),
        instruction: None,
        pays: None,
    };
    // Kino's payment named nothing, and somebody sent what nobody asked for.
    let lines = vec![nobodys(&mut house, Way::In, 19_000), nobodys(&mut house, Way::In, 300)];
    house.import("a-1", 0, lines).expect("imported");
    let first = pays(place("a-1", 0), kino);
    assert_eq!(code(house.agreed("line.assign", &first)), Refusal::LineInvalid, "it is not accepted");
    house.accept("a-1", 2).expect("accepted");
    assert_eq!(house.instruction(kino).confirmed, money(0));
    assert_eq!(code(house.with(&[0], "line.assign", &first)), Refusal::PeopleMissing);
    for wrong in [pays(place("a-1", 0), polar), pays(place("a-1", 0), harvest), pays(place("a-1", 9), kino)] {
        assert_eq!(code(house.agreed("line.assign", &wrong)), Refusal::LineInvalid, "{wrong:?}");
    }
    let both = AssignLine { returns: Some(place("a-1", 1)), ..first.clone() };
    let neither = AssignLine { instruction: None, ..first.clone() };
    for wrong in [both, neither] {
        assert_eq!(code(house.agreed("line.assign", &wrong)), Refusal::LineInvalid, "{wrong:?}");
    }
    house.agreed("line.assign", &first).expect("kino's");
    assert_eq!(house.instruction(kino).confirmed, money(19_000));
    // It is somebody's once.
    assert_eq!(code(house.agreed("line.assign", &first)), Refusal::LineInvalid);
    house.set_funding(&funding("pa_kino", None)).expect("set");
    let takes = |line, amount| MoveCover { line: Some(line), ..cover("pa_kino", None, Way::In, amount) };
    assert_eq!(code(house.agreed("cover.move", &takes(place("a-1", 0), 100))), Refusal::CoverInvalid);
    // What nobody asked for goes back, by another line of the bank's; harvest pays early by a notification in vain.
    let early = house.booked(polar, 23_700);
    house.notify("n-1", vec![early]).expect("imported");
    house.accept("n-1", 2).expect("accepted");
    assert_eq!(code(house.agreed("line.assign", &pays(place("n-1", 0), kino))), Refusal::LineInvalid);
    let (paid, gone) = (house.booked(harvest, 4_700), nobodys(&mut house, Way::Out, 300));
    let other = nobodys(&mut house, Way::Out, 200);
    house.import("a-2", 19_300, vec![paid, gone, other]).expect("imported");
    house.accept("a-2", 2).expect("accepted");
    for wrong in [
        back(place("a-2", 2), place("a-1", 1)),
        back(place("a-1", 1), place("a-1", 1)),
        back(place("a-2", 1), place("a-1", 0)),
    ] {
        assert_eq!(code(house.agreed("line.assign", &wrong)), Refusal::LineInvalid, "{wrong:?}");
    }
    house.agreed("line.assign", &back(place("a-2", 1), place("a-1", 1))).expect("went back");
    for line in [place("a-1", 1), place("a-2", 1)] {
        assert_eq!(code(house.agreed("line.assign", &pays(line, kino))), Refusal::LineInvalid);
    }
    assert_eq!(code(house.agreed("cover.move", &takes(place("a-1", 1), 100))), Refusal::CoverInvalid);
    assert_eq!(house.stage(cycle), Stage::Funded);
    conserved(&house);
    verified(&house);
}

#[test]
fn who_has_no_account_stops_nobody_else() {
    let mut house = House::new(35, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    trade(&mut house);
    let cycle = house.seal();
    house.details(1, 1, Hash([1; 32]));
    house.compute(cycle).expect("computed");
    let review = |house: &mut House| {
        let until = Some(house.now.seconds() + 3_600);
        house.ask("cycle.move", &MoveCycle { until, ..step(cycle, Move::Review) }).expect("in review");
    };
    review(&mut house);
    let approve = |house: &mut House| {
        house.now = house.now.plus_seconds(3_601);
        let args = MoveCycle { version: Some(house.closing(cycle).version), ..step(cycle, Move::Approve) };
        house.agreed("cycle.move", &args)
    };
    let objection = |debtor: &str, creditor: &str, amount: u64| FileObjection {
        cycle,
        debtor: id(debtor),
        creditor: id(creditor),
        currency: eur(),
        amount: money(amount),
        payment: None,
        reason: id("no-account"),
    };
    // For nobody else's debtor does the house object.
    let no = house.ask("objection.file", &objection("pa_harvest", "pa_kino", 1));
    assert_eq!(code(no), Refusal::KeyOwner);
    let filed = house.ask("objection.file", &objection("pa_kino", "pa_polar", 28_500)).expect("filed");
    let filed = tallyhouse::types::ObjectionId { seq: filed.seq, part: 0 };
    assert_eq!(code(approve(&mut house)), Refusal::CycleOpenWork);
    house.answer(filed, Answered::Accepted).expect("answered");
    house.compute(cycle).expect("computed again");
    review(&mut house);
    approve(&mut house).expect("everybody else is paid");
    let pair = Name::Pair(cycle + 1, id("pa_kino"), id("pa_polar"), eur());
    let waits = house.node.state.get(&pair).and_then(Record::total).copied();
    assert_eq!(waits, Some(-28_500), "what it is owed waits");
    conserved(&house);
    verified(&house);
}

#[test]
fn where_time_is_real_nobody_objects_or_pays_in_a_moment() {
    let world = World { signing: false, ..World::real(36) };
    let node = PureNode::founded(&world);
    let mut house = House::adopt(world, node, beginning().plus_seconds(60));
    trade(&mut house);
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    let go = |house: &mut House, what, hours: u64| {
        let until = Some(house.now.seconds() + hours * 3_600);
        house.ask("cycle.move", &MoveCycle { until, ..step(cycle, what) })
    };
    assert_eq!(code(go(&mut house, Move::Review, 22)), Refusal::SettingInvalid);
    go(&mut house, Move::Review, 24).expect("in review");
    house.now = house.now.plus_seconds(86_401);
    let args = MoveCycle { version: Some(1), ..step(cycle, Move::Approve) };
    house.bank(cycle);
    house.agreed("cycle.move", &args).expect("approved");
    assert_eq!(code(go(&mut house, Move::PayIn, 22)), Refusal::SettingInvalid);
    go(&mut house, Move::PayIn, 24).expect("asked to pay");
}
