//! What is carried on waits for nobody's bank details.

use super::*;

#[test]
fn a_cent_of_what_was_carried_goes_to_who_has_said_where() {
    let mut house = House::new(191, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    house.award("HARVEST", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    // Polar has the larger part of the cent, and no account; nothing can be put off of what is carried.
    for (shop, amount) in [(2, 40), (1, 35)] {
        house.pay(shop, "HARVEST", 0, amount, true).expect("paid");
    }
    let cycle = house.seal();
    house.details(1, 1, Hash([1; 32]));
    house.compute(cycle).expect("computed");
    let line = |house: &House, who: &str| {
        let record = house.node.state.get(&Name::Line(cycle, id(who), eur())).expect("a line");
        record.line().expect("a line").amount
    };
    assert_eq!(["pa_harvest", "pa_kino", "pa_polar"].map(|who| line(&house, who)), [-100, 100, 0]);
    let until = Some(house.now.seconds() + 3_600);
    house.ask("cycle.move", &MoveCycle { until, ..step(cycle, Move::Review) }).expect("in review");
    house.now = house.now.plus_seconds(3_601);
    house
        .agreed("cycle.move", &MoveCycle { version: Some(1), ..step(cycle, Move::Approve) })
        .expect("approved");
    verified(&house);
}
