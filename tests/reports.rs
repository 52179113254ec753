//! Reports against what truly happens, on the pure core.
//!
//! Owns: a default that is asked about and then happens; positions that the reports and the books agree on; what comes for
//! a month after it was closed.
//! Promises: who would bear what is who then bears it, to the unit.
//! Refuses to know: how reports are printed.

mod common;

use common::house::{House, eur, step};
use common::rng::Rng;
use common::world::{id, money};
use std::collections::BTreeMap;
use tallyhouse::book::{Name, Record, Way};
use tallyhouse::clearing::{Books, ClosePeriod, Move, MoveCycle, aging, exposures, what_if};
use tallyhouse::formats::{Change, Cut, Ledger, Liability, RollForward};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::{Event, Sealed};
use tallyhouse::types::{ParticipantId, Time};

fn books(house: &House) -> Books {
    Books(house.node.state.0.iter().map(|(name, record)| (name.clone(), record.clone())).collect())
}

/// A month of trade, random amounts.
fn traded(seed: u64) -> House {
    let (mut rng, mut house) = (Rng::new(seed), House::new(seed, false));
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    for _ in 0..8 {
        let shops = [(2, "KINO"), (1, "HARVEST"), (0, "POLAR"), (2, "HARVEST"), (0, "KINO")];
        let (shop, unit) = shops[rng.below(5) as usize];
        house.pay(shop, unit, 0, 1_000 + rng.below(60_000), true).expect("paid");
    }
    house
}

#[test]
fn what_would_be_borne_is_what_then_is() {
    for seed in 0..10 {
        let mut rng = Rng::new(seed + 100);
        let mut house = traded(seed);
        let cycle = house.seal();
        house.approve(cycle);
        house.pay_in(cycle);
        let lines = ["pa_harvest", "pa_kino", "pa_polar"].map(|who| (who, house.line(cycle, who)));
        let payers: Vec<&str> = lines
            .iter()
            .filter(|(_, line)| line.as_ref().is_some_and(|l| l.amount < 0))
            .map(|l| l.0)
            .collect();
        let Some(late) = payers.first().copied() else { continue };
        house.fund(late, None, 100 * rng.below(40)).expect("set");
        house.paid(cycle, Way::In, &[late]);
        let tranche = money(100 * rng.below(30));
        let holes = what_if(&books(&house), &id(late), tranche).expect("a report");
        let [hole] = holes.as_slice() else { panic!("{holes:?}") };

        house.now = house.now.plus_seconds(9 * 86_400);
        house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
        let args = MoveCycle { tranche: Some(tranche), ..step(cycle, Move::Cover) };
        house.agreed("cycle.move", &args).expect("covered");
        let borne: BTreeMap<ParticipantId, u64> = ["pa_harvest", "pa_kino", "pa_polar"]
            .into_iter()
            .filter_map(|who| Some((id(who), house.line(cycle, who)?.lost.get())))
            .filter(|(_, lost)| *lost > 0)
            .collect();
        let told: BTreeMap<_, _> = hole.others.iter().map(|b| (b.participant.clone(), b.amount)).collect();
        assert_eq!(told, borne, "seed {seed}");
        let sums = &house.closing(cycle).sums[0];
        assert_eq!(hole.cover + hole.fund + hole.operator, sums.drawn.get(), "seed {seed}");
        assert_eq!(hole.hole, sums.drawn.get() + sums.lost.get() + hole.left, "seed {seed}");
    }
}

#[test]
fn reports_say_what_the_books_say() {
    let mut house = traded(3);
    let first = aging(&books(&house), house.now);
    let owed: u64 = first.iter().map(|row| row.open).sum();
    let pairs = house.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
        (Name::Pair(1, ..), Record::Total(total)) => Some(total.unsigned_abs()),
        _ => None,
    });
    assert_eq!(owed, pairs.sum::<u64>());
    house.seal();
    house.now = house.now.plus_seconds(42 * 86_400);
    house.award("KINO", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    house.pay(2, "KINO", 0, 20_000, true).expect("paid");
    let then = aging(&books(&house), house.now);
    assert_eq!(then.iter().map(|row| row.days_60).sum::<u64>(), owed);
    assert_eq!(then.iter().map(|row| row.open).sum::<u64>(), 19_000);
    assert!(then.iter().all(|row| row.total == row.open + row.days_60 && row.disputed == 0));
    let positions = exposures(&books(&house), house.now).expect("a report");
    assert_eq!(positions.iter().map(|one| one.position).sum::<i64>(), 0);
    assert!(positions.iter().all(|one| one.currency == eur()));
}

/// The events of a house's log.
fn events(house: &House) -> Vec<Event> {
    let read = |entry: &Sealed| {
        let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        Event::read(&envelope, entry.hash, &slots).expect("an event")
    };
    house.node.entries.iter().map(read).collect()
}

#[test]
fn what_was_earned_in_a_closed_month_and_comes_later_is_told_as_prior_period() {
    let mut house = House::new(4, false);
    let holder = house.award("HARVEST", 0, 500);
    house.now = "2026-02-03T12:00:00Z".parse().expect("an instant");
    let late = |house: &mut House, amount, day: &str| {
        let (brand, at) = house.world.brand_of(id("HARVEST"));
        let (issuing, now, cid) = (&brand.issuing[at], house.now, house.node.entries.len().to_string());
        let occurred: Time = day.parse().expect("an instant");
        let mut token =
            house.world.token(brand, id("HARVEST"), &format!("late-{cid}"), holder.account, amount, now);
        token.occurred_at = Some(occurred.seconds());
        let request = house.world.issue(issuing, &token);
        house.send(request).expect("awarded");
    };
    // What comes late while the month is open is of the month in which it comes, and nothing else.
    late(&mut house, 30, "2026-01-20T10:00:00Z");
    let seq = house.node.entries.len() as u64 - 1;
    house.agreed("period.close", &ClosePeriod { month: id("2026-01"), seq }).expect("closed");
    late(&mut house, 7, "2026-01-21T10:00:00Z");
    late(&mut house, 200, "2026-02-02T10:00:00Z");
    house.award("HARVEST", 0, 1_000);
    let (mut liability, mut ledger) = (Liability::new(eur()), Ledger::new(None, 0, [(eur(), 4)]));
    for event in events(&house) {
        liability.take(&event).expect("taken");
        ledger.take(&event).expect("booked");
    }
    assert_eq!(liability.closed().map(|closed| (closed.month, closed.seq)), Some((id("2026-01"), seq)));
    let months = liability.report().expect("a report");
    let lines = |month: &str| -> Vec<(Change, i64)> {
        let of = |one: &&RollForward| one.unit == id("HARVEST") && one.month == id(month);
        let month = months.iter().find(of).expect("a month");
        month.lines.iter().map(|line| (line.change, line.amounts.points)).collect()
    };
    assert_eq!(lines("2026-01"), [(Change::Issued, 500)], "a closed month is as it was");
    assert_eq!(lines("2026-02"), [(Change::Issued, 30 + 200 + 1_000), (Change::IssuedPriorPeriod, 7)]);
    // The journal has a document of its own for it, on the day on which it came.
    let last = house.node.entries.len() as u64 - 1;
    let cut = Cut { origin: "tally.test/world".into(), from: 0, seq: last, checkpoint: "a\nb\nc\n".into() };
    let journal = ledger.journal(cut).expect("it balances");
    let prior: Vec<_> = journal.documents.iter().filter(|one| one.text.contains("prior period")).collect();
    let [document] = prior.as_slice() else { panic!("one: {prior:?}") };
    assert_eq!(document.text, "points.issued, prior period 2026-01");
    assert_eq!(document.date.to_string(), "2026-02-03");
    let points = document.postings.iter().find(|posting| posting.account.starts_with("Liabilities:Points"));
    assert_eq!(points.map(|posting| posting.amount), Some(-7));
}

#[test]
fn an_award_that_finds_older_points_ripe_is_no_prior_periods() {
    let mut house = House::new(5, false);
    let holder = house.award("HARVEST", 0, 500);
    // Pending into February.
    let (brand, at) = house.world.brand_of(id("HARVEST"));
    let mut token = house.world.token(brand, id("HARVEST"), "pending", holder.account, 300, house.now);
    token.from = Some(id("2026-02-02"));
    let request = house.world.issue(&brand.issuing[at], &token);
    house.send(request).expect("awarded");
    house.now = "2026-02-03T12:00:00Z".parse().expect("an instant");
    let seq = house.node.entries.len() as u64 - 1;
    house.agreed("period.close", &ClosePeriod { month: id("2026-01"), seq }).expect("closed");
    house.award("HARVEST", 0, 9_000);
    let (mut liability, mut ledger) = (Liability::new(eur()), Ledger::new(None, 0, [(eur(), 4)]));
    let events = events(&house);
    let last = events.last().expect("an entry");
    let lots: usize = last.effects.iter().map(|effect| effect.done.lots.len()).sum();
    assert!(lots >= 3, "{lots} lots: all in the entry of the award");
    for event in events {
        liability.take(&event).expect("taken");
        ledger.take(&event).expect("booked");
    }
    let months = liability.report().expect("a report");
    let of = |one: &&RollForward| one.unit == id("HARVEST") && one.month == id("2026-02");
    let lines: Vec<_> = months
        .iter()
        .find(of)
        .expect("a month")
        .lines
        .iter()
        .map(|line| (line.change, line.amounts.points))
        .collect();
    assert_eq!(lines, [(Change::Issued, 9_000)]);
    let seq = house.node.entries.len() as u64 - 1;
    let cut = Cut { origin: "tally.test/world".into(), from: 0, seq, checkpoint: "a\nb\nc\n".into() };
    let journal = ledger.journal(cut).expect("it balances");
    assert!(journal.documents.iter().all(|one| !one.text.contains("prior period")));
}
