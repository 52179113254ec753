//! What banks tell early and their statements say otherwise, and what was sent and is said to be rejected.

use super::*;
use tallyhouse::clearing::{AssignLine, Books, LinePlace, holdings};

/// A cycle that asks for payment, and kino's instruction of 19,000.
fn asked(seed: u64) -> (House, u64, InstructionId) {
    let mut house = House::new(seed, true);
    trade(&mut house);
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let kino = house.instructions(cycle)[&id::<ParticipantId>("pa_kino")].0;
    (house, cycle, kino)
}

fn told(house: &House, line: &StatementLine) -> bool {
    house.node.state.get(&Name::Told(eur(), line.entry.clone())).is_some()
}

#[test]
fn what_a_statement_says_otherwise_than_a_notification_is_as_the_statement_says() {
    let (mut house, cycle, kino) = asked(161);
    let line = house.booked(kino, 19_000);
    house.notify("n-1", vec![line.clone()]).expect("imported");
    house.accept("n-1", 2).expect("accepted");
    assert!(told(&house, &line));
    assert_eq!(house.instruction(kino).confirmed, money(19_000));
    // Another notification of it says something else: that is no statement, and changes nothing.
    let other = StatementLine { amount: money(100), ..line.clone() };
    house.notify("n-2", vec![other.clone()]).expect("imported");
    house.accept("n-2", 2).expect("accepted");
    assert_eq!(house.instruction(kino).confirmed, money(19_000));
    // The statement: the bank booked less under that reference.
    house.import("s-1", 0, vec![other]).expect("imported");
    house.accept("s-1", 2).expect("accepted");
    let record = |house: &House| {
        let name = Name::Statement(eur(), id("s-1"));
        house.node.state.get(&name).and_then(Record::statement).expect("there").clone()
    };
    let statement = record(&house);
    assert_eq!(
        (statement.exceptions.clone(), statement.unmatched(0)),
        (vec![(0, Exception::Altered)], Some(Exception::Altered))
    );
    assert!(!told(&house, &line));
    assert_eq!(
        (house.instruction(kino).confirmed, house.line(cycle, "pa_kino").expect("a line").paid),
        (money(0), money(0))
    );
    house.paid(cycle, Way::In, &["pa_kino"]);
    assert_eq!(house.stage(cycle), Stage::PayIn);
    assert_eq!(code(house.pay_out(cycle)), Refusal::CycleStage);
    // Two people say what it was about; the rest comes by a line of its own.
    let line = LinePlace { statement: id("s-1"), line: 0 };
    let args = AssignLine { instruction: Some(kino), ..AssignLine::bare(eur(), line) };
    house.agreed("line.assign", &args).expect("kino's");
    assert_eq!((house.instruction(kino).confirmed, record(&house).unmatched(0)), (money(100), None));
    house.paid(cycle, Way::In, &[]);
    assert_eq!(house.stage(cycle), Stage::Funded);
    conserved(&house);
    verified(&house);
}

#[test]
fn a_line_is_no_duplicate_of_one_that_moved_the_other_way_or_is_about_something_else() {
    let (mut house, cycle, kino) = asked(162);
    let harvest = house.instructions(cycle)[&id::<ParticipantId>("pa_harvest")].0;
    let told_of = |house: &mut House, amount| {
        let (line, name) = (house.booked(kino, amount), house.cid());
        house.notify(&name, vec![line.clone()]).expect("imported");
        house.accept(&name, 2).expect("accepted");
        line
    };
    let (first, second, third) =
        (told_of(&mut house, 1_000), told_of(&mut house, 2_000), told_of(&mut house, 3_000));
    let statement = house.statement(vec![
        StatementLine { instruction: Some(harvest), ..first },
        // It does not say what it is about.
        StatementLine { instruction: None, ..second.clone() },
        third,
    ]);
    let whys = [(0, Exception::Altered), (1, Exception::Duplicate), (2, Exception::Duplicate)];
    assert_eq!(statement.exceptions, whys);
    let confirmed = |house: &House| [kino, harvest].map(|id| house.instruction(id).confirmed.get());
    assert_eq!(confirmed(&house), [5_000, 0]);
    // A statement that has what another statement had moves the balance again.
    let statement = house.statement(vec![second.clone()]);
    assert_eq!(statement.unmatched(0), Some(Exception::Altered));
    // A late notification says nothing new.
    house.notify("late", vec![second]).expect("imported");
    house.accept("late", 2).expect("accepted");
    assert_eq!(confirmed(&house), [5_000, 0]);
    // Money came back, it was told; the statement says that less did.
    let back = StatementLine { booking: Booking::Returned, way: Way::Out, ..house.booked(kino, 4_000) };
    house.notify("back", vec![back.clone()]).expect("imported");
    house.accept("back", 2).expect("accepted");
    let at = |house: &House| {
        instruction_stage(&house.instruction(kino), &house.closing(cycle), house.now.seconds())
    };
    assert_eq!((confirmed(&house)[0], at(&house)), (1_000, InstructionStage::Returned));
    let statement = house.statement(vec![StatementLine { amount: money(500), ..back }]);
    assert_eq!(statement.unmatched(0), Some(Exception::Altered));
    assert_eq!((confirmed(&house)[0], at(&house)), (5_000, InstructionStage::PartlyPaid));
    conserved(&house);
    verified(&house);
}

#[test]
fn what_was_sent_is_rejected_by_two_people_and_paid_twice_it_is_listed() {
    let (mut house, cycle, _) = asked(163);
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    let polar = house.instructions(cycle)[&id::<ParticipantId>("pa_polar")].0;
    let reject = MoveInstruction::bare(polar, InstructionStep::Reject);
    assert_eq!(code(house.ask("instruction.move", &reject)), Refusal::PeopleMissing);
    assert_eq!(code(house.with(&[0], "instruction.move", &reject)), Refusal::PeopleMissing);
    house.agreed("instruction.move", &reject).expect("rejected");
    let line = house.booked(polar, 23_700);
    let statement = house.statement(vec![line]);
    assert_eq!(statement.unmatched(0), Some(Exception::NotOpen));
    verified(&house);
}

#[test]
fn what_is_on_the_account_is_compared_with_what_must_be_there() {
    let (mut house, cycle, kino) = asked(164);
    let held = |house: &House| {
        let all = house.node.state.0.iter().map(|(name, record)| (name.clone(), record.clone()));
        let one = holdings(&Books(all.collect()), house.now).into_iter().find(|one| one.currency == eur());
        one.expect("an account")
    };
    let sums = |house: &House| (held(house).balance, held(house).must, held(house).short);
    assert_eq!(sums(&house), (0, 0, false));
    // What a notification tells is not on the account by a statement.
    let line = house.booked(kino, 19_000);
    house.notify("n-1", vec![line.clone()]).expect("imported");
    house.accept("n-1", 2).expect("accepted");
    assert_eq!((sums(&house), held(&house).notified), ((0, 0, false), 19_000));
    house.statement(vec![line]);
    assert_eq!(sums(&house), (19_000, 19_000, false));
    house.paid(cycle, Way::In, &[]);
    house.pay_out(cycle).expect("orders leave");
    house.paid(cycle, Way::Out, &[]);
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    assert_eq!(sums(&house), (0, 0, false));
    // Cover is there for whoever left it, also when it is withdrawn, until its order left.
    house.fund("pa_kino", None, 0).expect("set");
    house.top_up("pa_kino", None, 5_000).expect("brought");
    assert_eq!(sums(&house), (5_000, 5_000, false));
    house.withdraw("pa_kino", None, 2_000).expect("withdrawn");
    assert_eq!((sums(&house), held(&house).on_its_way), ((5_000, 5_000, false), 2_000));
    let gone = |house: &mut House, amount| {
        let line = StatementLine { instruction: None, way: Way::Out, ..house.booked(kino, amount) };
        house.statement(vec![line]);
    };
    gone(&mut house, 2_000);
    assert_eq!(sums(&house), (3_000, 3_000, false));
    // Money leaves that nobody ordered.
    gone(&mut house, 100);
    assert_eq!(sums(&house), (2_900, 3_000, true));
    verified(&house);
}
