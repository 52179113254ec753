//! Participants that do not accept the clearing house as their counterparty, on the pure core.
//!
//! Owns: who declares it and from when on, what set-off leaves, what is due and paid, and that nothing of it touches what
//! others settle by the house.
//! Promises: after every history, taking over and deciding again give the same state; the ledger of `cut` has read every
//! entry.
//! Refuses to know: whether a set-off is the optimum; `tests/netting.rs` asks an independent solver.

mod common;
mod cut;

use common::house::{House, code, eur, step};
use common::node::{replay_by_applying, replay_by_checking};
use common::world::{id, money};
use cut::ledger::Ledger;
use std::collections::BTreeMap;
use tallyhouse::book::{Due, Name, NettingMode, Record};
use tallyhouse::clearing::{ConfirmDue, Move, SetNetting, SetOffCycle, Stage};
use tallyhouse::formats::{Cut, Ledger as Books};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::{Answer, Event};
use tallyhouse::types::{Hash, ParticipantId, Refusal, Refused};

/// Brands and their participants.
const ALL: [(usize, &str); 3] = [(0, "pa_harvest"), (1, "pa_kino"), (2, "pa_polar")];

/// A house in which these declared that they stand apart, and which is in the first cycle that it counts for.
fn house(seed: u64, signing: bool, apart: &[usize]) -> House {
    let mut house = House::new(seed, signing);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    for brand in apart {
        declare(&mut house, *brand, 1, NettingMode::SetOff).expect("declared");
    }
    let first = house.seal();
    house.approve(first);
    house
}

fn declare(house: &mut House, brand: usize, version: u64, mode: NettingMode) -> Result<Answer, Refused> {
    let participant = house.world.brands[brand].participant.clone();
    house.agreed_by_brand(brand, "netting.set", &SetNetting { participant, version, mode })
}

/// Kino owes polar 2.85, harvest owes kino 0.95, polar owes harvest 0.4797.
fn trade(house: &mut House) {
    for (shop, unit, amount) in [(2, "KINO", 30_000), (1, "HARVEST", 10_000), (0, "POLAR", 5_050)] {
        house.pay(shop, unit, 0, amount, true).expect("paid");
    }
}

fn due(house: &House, debtor: &str, creditor: &str) -> Option<Due> {
    let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
    let record = house.node.state.get(&Name::Due(id(a), id(b), eur()));
    record.and_then(Record::due_between).filter(|due| due.debtor == id(debtor)).cloned()
}

fn amount(house: &House, debtor: &str, creditor: &str) -> Option<u64> {
    due(house, debtor, creditor).map(|due| due.amount.get() - due.paid.get())
}

fn paid(house: &mut House, by: usize, debtor: &str, creditor: &str, n: u64) -> Result<Answer, Refused> {
    let (debtor, creditor) = (id(debtor), id(creditor));
    let args = ConfirmDue { debtor, creditor, currency: eur(), amount: money(n), reference: id("seen") };
    house.by_brand(by, "due.confirm", &args)
}

/// What the first has from the second in a cycle.
fn has(house: &House, cycle: u64, a: &str, b: &str) -> i64 {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    let total = house.node.state.get(&Name::Pair(cycle, id(first), id(second), eur()));
    let total = total.and_then(Record::total).copied().unwrap_or(0);
    if a < b { total } else { -total }
}

fn verified(house: &House) {
    let mut ledger = Ledger::default();
    for entry in &house.node.entries {
        let parts = entry.parts.iter().map(Vec::as_slice);
        ledger.take(&entry.envelope, parts).unwrap_or_else(|what| panic!("{what}"));
    }
    ledger.homes().unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
}

/// Settles a cycle in which nobody pays anything by the house.
fn settle_empty(house: &mut House, cycle: u64) {
    house.approve(cycle);
    house.pay_in(cycle);
    assert!(house.instructions(cycle).is_empty());
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    assert_eq!(house.stage(cycle), Stage::Settled);
}

#[test]
fn a_loop_is_set_off_and_the_rest_is_paid_between_two() {
    let mut house = house(1, true, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    assert_eq!(code(house.compute(cycle)), Refusal::CycleOpenWork);
    let wrong = SetOffCycle { cycle, version: 1, digest: Hash::default() };
    assert_eq!(code(house.ask("cycle.set_off", &wrong)), Refusal::CycleDigest);
    assert_eq!(code(house.ask("cycle.set_off", &SetOffCycle { version: 2, ..wrong })), Refusal::SerialStale);
    house.set_off(cycle).expect("set off");
    assert_eq!(code(house.set_off(cycle)), Refusal::CycleStage);
    // The loop is as strong as its weakest debt.
    let open = house.open();
    assert_eq!(has(&house, open, "pa_polar", "pa_kino"), 28_500 - 4_797);
    assert_eq!(has(&house, open, "pa_kino", "pa_harvest"), 9_500 - 4_797);
    assert_eq!(has(&house, open, "pa_harvest", "pa_polar"), 0);
    for (a, b) in [("pa_kino", "pa_polar"), ("pa_harvest", "pa_kino"), ("pa_harvest", "pa_polar")] {
        assert_eq!(has(&house, cycle, a, b), 0);
    }
    // Floor in cents; what is below stays on the pair.
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(23_700));
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), Some(4_700));
    assert_eq!(amount(&house, "pa_polar", "pa_harvest"), None);
    let sums = house.closing(cycle).apart.expect("taken out").sums.remove(0);
    assert_eq!((sums.pairs, sums.payments), (3, 2));
    let n = |money: tallyhouse::types::Money| money.get();
    assert_eq!((n(sums.owed), n(sums.set_off), n(sums.left)), (42_797, 14_391, 28_406));
    settle_empty(&mut house, cycle);
    // Who was paid says so, up to what is due.
    assert_eq!(code(paid(&mut house, 0, "pa_harvest", "pa_kino", 4_700)), Refusal::KeyOwner);
    assert_eq!(code(paid(&mut house, 1, "pa_kino", "pa_harvest", 4_700)), Refusal::KeyOwner);
    assert_eq!(code(paid(&mut house, 0, "pa_kino", "pa_harvest", 4_700)), Refusal::InstructionUnknown);
    for wrong in [0, 50, 4_800] {
        assert_eq!(code(paid(&mut house, 1, "pa_harvest", "pa_kino", wrong)), Refusal::SettingInvalid);
    }
    paid(&mut house, 1, "pa_harvest", "pa_kino", 4_000).expect("confirmed");
    paid(&mut house, 1, "pa_harvest", "pa_kino", 700).expect("confirmed");
    assert_eq!(code(paid(&mut house, 1, "pa_harvest", "pa_kino", 100)), Refusal::SettingInvalid);
    assert_eq!(has(&house, open, "pa_kino", "pa_harvest"), 3);
    // What nobody paid is owed in the next cycle, together with what came on top; nobody else bears any of it.
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let cycle = house.seal();
    assert_eq!(code(paid(&mut house, 2, "pa_kino", "pa_polar", 23_700)), Refusal::CycleOpenWork);
    house.set_off(cycle).expect("set off");
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(33_200));
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), None, "below a cent");
    settle_empty(&mut house, cycle);
    paid(&mut house, 2, "pa_kino", "pa_polar", 33_200).expect("confirmed");
    verified(&house);
    // In polar's books it is no income and no expense: what was earned stays, and the money is at the bank.
    let books = books(&house, "pa_polar");
    let of = |account: &str| books.get(&(account.to_owned(), "EUR".to_owned())).copied().unwrap_or(0);
    assert_eq!(of("Income:Redemptions:P-kino"), -38_000);
    assert_eq!(of("Expenses:Redemptions:P-kino"), 0);
    assert_eq!(of("Expenses:Redemptions:P-harvest"), 4_797);
    assert_eq!(of("Assets:Bank:P-kino"), 33_200);
    assert_eq!(of("Assets:Clearing:P-kino"), 38_000 - 4_797 - 33_200);
    assert_eq!(of("Equity:SetOff:P-kino") + of("Equity:SetOff:P-harvest"), 0);
}

/// What stands in a participant's books in the end.
fn books(house: &House, who: &str) -> BTreeMap<(String, String), i64> {
    let scales = house.world.genesis.currencies.iter().map(|setting| (setting.code, setting.scale));
    let mut ledger = Books::new(Some(id(who)), 0, scales);
    for entry in &house.node.entries {
        let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        ledger.take(&Event::read(&envelope, entry.hash, &slots).expect("an event")).expect("booked");
    }
    let seq = house.node.entries.len() as u64 - 1;
    let cut = Cut { origin: "tally.test/world".into(), from: 0, seq, checkpoint: "a\nb\nc\n".into() };
    ledger.journal(cut).expect("it balances").closing
}

#[test]
fn who_accepts_the_house_nets_by_it_all_the_same() {
    let mut house = house(2, true, &[1]);
    trade(&mut house);
    let cycle = house.seal();
    let nets = house.nets(cycle);
    house.set_off(cycle).expect("set off");
    // Kino stands in no loop alone with each of them: nothing is set off, both are due.
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(28_500));
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), Some(9_500));
    house.approve(cycle);
    assert_eq!(house.line(cycle, "pa_kino"), None);
    assert_eq!(house.line(cycle, "pa_polar").expect("a line").net, -4_797);
    assert_eq!(house.line(cycle, "pa_harvest").expect("a line").net, 4_797);
    // Nobody has more or less in all.
    let open = house.open();
    for (_, who) in ALL {
        let net = |cycle: u64| -> i64 {
            ALL.iter()
                .filter(|(_, other)| *other != who)
                .map(|(_, other)| has(&house, cycle, who, other))
                .sum()
        };
        let before = nets.get(&id::<ParticipantId>(who)).copied().unwrap_or(0);
        assert_eq!(net(cycle) + net(open), before, "{who}");
    }
    verified(&house);
}

#[test]
fn a_declaration_takes_two_people_of_its_own_and_the_next_cycle() {
    let mut house = house(3, true, &[]);
    let args = |version, mode| SetNetting { participant: id("pa_kino"), version, mode };
    let set = args(1, NettingMode::SetOff);
    let alone = house.by(&common::world::Key::derive(house.world.seed, "br_kino root"), "netting.set", &set);
    assert_eq!(code(alone), Refusal::PeopleMissing);
    assert_eq!(code(house.agreed_by_brand(0, "netting.set", &set)), Refusal::KeyOwner);
    let unknown = SetNetting { participant: id("pa_nobody"), ..set.clone() };
    assert_eq!(code(house.agreed("netting.set", &unknown)), Refusal::ParticipantUnknown);
    assert_eq!(code(declare(&mut house, 1, 2, NettingMode::SetOff)), Refusal::SerialStale);
    declare(&mut house, 1, 1, NettingMode::SetOff).expect("declared");
    // The operator declares for who has no brand, and for nobody who did it.
    let franchise = SetNetting { participant: id("pa_franchise"), ..set.clone() };
    house.agreed("netting.set", &franchise).expect("declared");
    assert_eq!(code(house.agreed("netting.set", &args(2, NettingMode::Novated))), Refusal::KeyOwner);
    // The open cycle is still settled as it was when it began.
    trade(&mut house);
    let cycle = house.seal();
    assert_eq!(code(house.set_off(cycle)), Refusal::CycleStage);
    house.approve(cycle);
    assert_eq!(house.line(cycle, "pa_kino").expect("a line").net, -19_000);
    // Back again: from the cycle after the one that is open now.
    declare(&mut house, 1, 2, NettingMode::Novated).expect("declared");
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    house.approve(cycle);
    let last = house.seal();
    house.set_off(last).expect("the franchisee stands apart");
    house.approve(last);
    assert_eq!(house.line(last, "pa_kino").expect("a line").net, -9_500, "what nobody paid between the two");
    verified(&house);
}

#[test]
fn what_was_set_off_stays_so_when_a_cycle_is_returned_or_given_up() {
    let mut house = house(4, false, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    house.compute(cycle).expect("computed");
    let reason = Some(id("look-again"));
    let args = tallyhouse::clearing::MoveCycle { reason, ..step(cycle, Move::Return) };
    house.ask("cycle.move", &args).expect("returned");
    assert_eq!(code(house.compute(cycle)), Refusal::CycleOpenWork, "a version of its own");
    house.set_off(cycle).expect("nothing is left to set off");
    let open = house.open();
    assert_eq!(has(&house, open, "pa_polar", "pa_kino"), 28_500 - 4_797);
    house.compute(cycle).expect("computed");
    let args = tallyhouse::clearing::MoveCycle { reason: Some(id("no")), ..step(cycle, Move::Void) };
    house.agreed("cycle.move", &args).expect("voided");
    assert_eq!(has(&house, open, "pa_polar", "pa_kino"), 28_500 - 4_797);
    verified(&house);
}
