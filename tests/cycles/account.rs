//! The settlement account against the books: payments that are too large, what the bank charges, what the operator brings.

use super::*;
use crate::common::house::cover;
use tallyhouse::book::Assigned;
use tallyhouse::clearing::{
    AssignLine, Books, Holding, LinePlace, MoveCover, OperatorLine, WithdrawalPlace, holdings,
};
use tallyhouse::types::Ident;

/// A line that names no instruction.
fn nobodys(house: &mut House, way: Way, amount: u64) -> StatementLine {
    let (entry, booking) = (id(&house.cid()), Booking::Booked);
    StatementLine { entry, booking, way, amount: money(amount), instruction: None, pays: None }
}

/// Such a line in an accepted statement.
pub fn came(house: &mut House, way: Way, amount: u64) -> LinePlace {
    let line = nobodys(house, way, amount);
    house.statement(vec![line]);
    newest(house, 0)
}

pub fn newest(house: &House, line: u16) -> LinePlace {
    let bank = house.node.state.get(&Name::Bank(eur())).and_then(Record::bank).expect("an account");
    LinePlace { statement: bank.statement.clone(), line }
}

fn record(house: &House, name: &Ident) -> tallyhouse::book::Statement {
    let record = house.node.state.get(&Name::Statement(eur(), name.clone()));
    record.and_then(Record::statement).expect("there").clone()
}

pub fn holding(house: &House) -> Holding {
    let all = house.node.state.0.iter().map(|(name, record)| (name.clone(), record.clone()));
    let mut all = holdings(&Books(all.collect()), house.now).into_iter();
    all.find(|one| one.currency == eur()).expect("an account")
}

pub fn of_operator(line: LinePlace, operator: OperatorLine) -> AssignLine {
    AssignLine { operator: Some(operator), ..AssignLine::bare(eur(), line) }
}

#[test]
fn more_than_was_asked_for_pays_what_is_open_and_the_rest_is_somebodys_in_the_end() {
    let mut house = House::new(171, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due = house.instructions(cycle);
    let of = |who: &str| due[&id::<ParticipantId>(who)].0;
    let (kino, harvest) = (of("pa_kino"), of("pa_harvest"));
    // What a line says that it pays is less than it brings, of an instruction, and in a statement.
    let much = StatementLine { pays: Some(money(19_000)), ..house.booked(kino, 19_600) };
    for (n, wrong) in [
        StatementLine { pays: Some(money(19_600)), ..much.clone() },
        StatementLine { pays: Some(money(0)), ..much.clone() },
        StatementLine { pays: Some(money(150)), ..much.clone() },
        StatementLine { instruction: None, ..much.clone() },
        StatementLine { booking: Booking::Returned, ..much.clone() },
    ]
    .into_iter()
    .enumerate()
    {
        let no = code(house.import(&format!("wrong-{n}"), 0, vec![wrong.clone()]));
        assert_eq!(no, Refusal::StatementInvalid, "{wrong:?}");
    }
    assert_eq!(code(house.notify("early", vec![much.clone()])), Refusal::StatementInvalid);

    let statement = house.statement(vec![much]);
    assert_eq!(statement.exceptions, [(0, Exception::TooMuch)]);
    let instruction = house.instruction(kino);
    assert_eq!(instruction.confirmed, money(19_000));
    let at = instruction_stage(&instruction, &house.closing(cycle), house.now.seconds());
    assert_eq!(at, InstructionStage::Confirmed);
    assert_eq!((statement.left(0), statement.unmatched(0)), (money(600), Some(Exception::TooMuch)));
    let one = holding(&house);
    assert_eq!((one.balance, one.cycles, one.nobodys, one.short), (19_600, 19_000, 600, false));

    // A part of it is of another instruction, a part becomes cover, the rest goes back.
    let place = newest(&house, 0);
    let pays = |amount| AssignLine {
        amount: Some(money(amount)),
        instruction: Some(harvest),
        ..AssignLine::bare(eur(), place.clone())
    };
    assert_eq!(code(house.with(&[0], "line.assign", &pays(100))), Refusal::PeopleMissing);
    for wrong in [0, 50, 700] {
        assert_eq!(code(house.agreed("line.assign", &pays(wrong))), Refusal::LineInvalid, "{wrong}");
    }
    house.agreed("line.assign", &pays(100)).expect("harvest's");
    assert_eq!(house.instruction(harvest).confirmed, money(100));
    house.set_funding(&funding("pa_kino", None)).expect("set");
    let takes = |amount| MoveCover { line: Some(place.clone()), ..cover("pa_kino", None, Way::In, amount) };
    assert_eq!(code(house.agreed("cover.move", &takes(501))), Refusal::CoverInvalid);
    house.agreed("cover.move", &takes(200)).expect("cover");
    assert_eq!(record(&house, &place.statement).left(0), money(300));
    let gone = came(&mut house, Way::Out, 400);
    let back =
        |amount| AssignLine { amount, returns: Some(place.clone()), ..AssignLine::bare(eur(), gone.clone()) };
    // What came for kino's instruction is not the operator's.
    for what in [OperatorLine::Own, OperatorLine::Charge] {
        assert_eq!(
            code(house.agreed("line.assign", &of_operator(place.clone(), what))),
            Refusal::LineInvalid
        );
    }
    // It is said how much of it went back.
    assert_eq!(code(house.agreed("line.assign", &back(None))), Refusal::LineInvalid);
    assert_eq!(code(house.agreed("line.assign", &back(Some(money(400))))), Refusal::LineInvalid);
    house.agreed("line.assign", &back(Some(money(300)))).expect("went back");
    assert_eq!(record(&house, &place.statement).unmatched(0), None);
    assert_eq!(record(&house, &gone.statement).left(0), money(100));
    assert_eq!(code(house.agreed("line.assign", &back(Some(money(100))))), Refusal::LineInvalid, "once");
    let one = holding(&house);
    assert_eq!((one.balance, one.must, one.nobodys, one.short), (19_200, 19_300, 0, true), "100 left");

    // A line that pays more than is open by now pays nothing.
    let late = StatementLine { pays: Some(money(100)), ..house.booked(kino, 200) };
    let statement = house.statement(vec![late]);
    assert_eq!(statement.exceptions, [(0, Exception::NotOpen)]);
    assert_eq!((statement.left(0), statement.assigned), (money(200), vec![]));
    // What takes a payment back is known as that, whether or not the bank said so.
    let out = came(&mut house, Way::Out, 100);
    let takes = AssignLine { instruction: Some(harvest), ..AssignLine::bare(eur(), out) };
    house.agreed("line.assign", &takes).expect("taken back");
    assert_eq!(house.instruction(harvest).confirmed, money(0));
    conserved(&house);
    verified(&house);
}

#[test]
fn a_payment_that_was_too_large_comes_back_as_a_whole() {
    let mut house = House::new(175, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let kino = house.instructions(cycle)[&id::<ParticipantId>("pa_kino")].0;
    let much = StatementLine { pays: Some(money(19_000)), ..house.booked(kino, 19_600) };
    house.statement(vec![much]);
    let place = newest(&house, 0);
    let gone = came(&mut house, Way::Out, 19_600);
    let of = |amount| AssignLine { amount: Some(money(amount)), ..AssignLine::bare(eur(), gone.clone()) };
    let all = AssignLine { instruction: Some(kino), ..of(19_600) };
    assert_eq!(code(house.agreed("line.assign", &all)), Refusal::LineInvalid, "more than was paid");
    house
        .agreed("line.assign", &AssignLine { returns: Some(place), ..of(600) })
        .expect("of what was too much");
    house
        .agreed("line.assign", &AssignLine { instruction: Some(kino), ..of(19_000) })
        .expect("of the payment");
    let (one, closing) = (house.instruction(kino), house.closing(cycle));
    let at = instruction_stage(&one, &closing, house.now.seconds());
    assert_eq!((one.confirmed, at), (money(0), InstructionStage::Returned));
    let one = holding(&house);
    assert_eq!((one.balance, one.must, one.short), (0, 0, false));
    conserved(&house);
    verified(&house);
}

#[test]
fn what_the_bank_charges_the_operator_bears_until_it_brings_it() {
    let mut house = House::new(172, true);
    house.set_funding(&funding("pa_kino", None)).expect("set");
    house.top_up("pa_kino", None, 1_000).expect("topped up");
    let charged = came(&mut house, Way::Out, 300);
    let short = |house: &House| {
        let one = holding(house);
        (one.borne, one.nobodys, one.must.saturating_sub(one.balance), one.short)
    };
    assert_eq!(short(&house), (0, 0, 300, true));
    let args = of_operator(charged.clone(), OperatorLine::Charge);
    assert_eq!(code(house.with(&[0], "line.assign", &args)), Refusal::PeopleMissing);
    let wrong = AssignLine { returns: Some(charged.clone()), ..args.clone() };
    assert_eq!(code(house.agreed("line.assign", &wrong)), Refusal::LineInvalid);
    // Nothing of the operator's own is there to be taken back.
    let own = of_operator(charged.clone(), OperatorLine::Own);
    assert_eq!(code(house.agreed("line.assign", &own)), Refusal::LineInvalid);
    house.agreed("line.assign", &args).expect("the bank's");
    assert_eq!(short(&house), (300, 0, 300, true), "it is known why, and missing still");
    assert_eq!(record(&house, &charged.statement).assigned[0].to, Assigned::Charge);

    // It brings more than that: whether or not it is said whose it is, the account is not short.
    let brought = came(&mut house, Way::In, 500);
    assert_eq!(short(&house), (300, 200, 0, false));
    house.agreed("line.assign", &of_operator(brought, OperatorLine::Own)).expect("its own");
    assert_eq!(short(&house), (-200, 0, -200, false));
    // The bank pays interest; the operator takes back what is its own, and no more.
    let interest = came(&mut house, Way::In, 100);
    house.agreed("line.assign", &of_operator(interest, OperatorLine::Charge)).expect("interest");
    let taken = came(&mut house, Way::Out, 400);
    let own = of_operator(taken, OperatorLine::Own);
    assert_eq!(code(house.agreed("line.assign", &own)), Refusal::LineInvalid);
    house.agreed("line.assign", &AssignLine { amount: Some(money(300)), ..own }).expect("its own");
    assert_eq!(short(&house), (0, 0, 100, true), "100 left that nobody ordered");
    verified(&house);
}

#[test]
fn the_operators_cent_is_brought_and_cleared() {
    let mut house = House::new(173, true);
    house.tolerate(200).expect("set");
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let due = house.instructions(cycle);
    let of = |who: &str| due[&id::<ParticipantId>(who)].0;
    let (little, much) = (house.booked(of("pa_kino"), 18_900), house.booked(of("pa_harvest"), 4_900));
    house.statement(vec![little, much]);
    house.instruct(of("pa_kino"), InstructionStep::WriteOff).expect("written off");
    assert_eq!(holding(&house).borne, 100);
    house.instruct(of("pa_harvest"), InstructionStep::WriteOff).expect("kept");
    // Two cents are its own, one is missing.
    let one = holding(&house);
    assert_eq!((one.borne, one.balance, one.must), (-100, 23_800, 23_700));
    let back =
        StatementLine { booking: Booking::Returned, way: Way::Out, ..house.booked(of("pa_harvest"), 200) };
    assert_eq!(house.statement(vec![back]).exceptions, vec![]);
    let one = holding(&house);
    assert_eq!((one.borne, one.balance, one.must, one.short), (100, 23_600, 23_700, true));
    house.pay_out(cycle).expect("orders leave");
    let brought = came(&mut house, Way::In, 100);
    assert_eq!((holding(&house).nobodys, holding(&house).short), (0, false));
    house.agreed("line.assign", &of_operator(brought, OperatorLine::Own)).expect("its own");
    let one = holding(&house);
    assert_eq!((one.borne, one.nobodys, one.balance, one.must), (0, 0, 23_700, 23_700));
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    let one = holding(&house);
    assert_eq!((one.balance, one.must, one.short), (0, 0, false));
    conserved(&house);
    verified(&house);
}

#[test]
fn an_account_that_is_overdrawn_is_taken_in_as_the_bank_says() {
    let mut house = House::new(176, true);
    let gone = came(&mut house, Way::Out, 700);
    let one = holding(&house);
    assert_eq!((one.balance, one.must, one.short), (-700, 0, true));
    house.agreed("line.assign", &of_operator(gone, OperatorLine::Charge)).expect("the bank's");
    let brought = came(&mut house, Way::In, 900);
    let own = AssignLine { amount: Some(money(700)), ..of_operator(brought, OperatorLine::Own) };
    house.agreed("line.assign", &own).expect("its own");
    let one = holding(&house);
    assert_eq!((one.balance, one.must, one.short), (200, 200, false));
    verified(&house);
}

#[test]
fn a_withdrawal_leaves_by_one_line() {
    let mut house = House::new(174, true);
    house.set_funding(&funding("pa_kino", None)).expect("set");
    house.top_up("pa_kino", None, 1_000).expect("topped up");
    let entry = house.withdraw("pa_kino", None, 400).expect("withdrawn").seq;
    assert_eq!((holding(&house).on_its_way, holding(&house).short), (400, false));
    let (other, line) = (nobodys(&mut house, Way::Out, 100), nobodys(&mut house, Way::Out, 400));
    house.statement(vec![other, line]);
    let (other, line) = (newest(&house, 0), newest(&house, 1));
    // What left and is nobody's may be what was withdrawn, as long as nobody says which.
    assert_eq!((holding(&house).on_its_way, holding(&house).short), (0, true));
    let leaves = |line: &LinePlace, who: &str, entry| AssignLine {
        withdrawal: Some(WithdrawalPlace { participant: id(who), entry }),
        ..AssignLine::bare(eur(), line.clone())
    };
    for wrong in [
        leaves(&other, "pa_kino", entry),
        leaves(&line, "pa_harvest", entry),
        leaves(&line, "pa_kino", entry - 1),
        AssignLine { amount: Some(money(300)), ..leaves(&line, "pa_kino", entry) },
    ] {
        assert_eq!(code(house.agreed("line.assign", &wrong)), Refusal::LineInvalid, "{wrong:?}");
    }
    house.agreed("line.assign", &leaves(&line, "pa_kino", entry)).expect("it left");
    let step = house.node.state.get(&Name::CoverStep(id("pa_kino"), eur(), entry));
    let went = step.and_then(Record::cover_step).expect("there").line.clone();
    assert_eq!(went, Some((line.statement, 1)));
    let one = holding(&house);
    assert_eq!((one.on_its_way, one.balance, one.must, one.short), (0, 500, 600, true), "100 is nobody's");
    // It leaves once.
    let again = came(&mut house, Way::In, 400);
    assert_eq!(code(house.agreed("line.assign", &leaves(&again, "pa_kino", entry))), Refusal::LineInvalid);
    verified(&house);
}
