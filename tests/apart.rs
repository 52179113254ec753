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
use std::sync::Arc;
use tallyhouse::book::{Due, Name, NettingMode, Record, Roll, Way};
use tallyhouse::clearing::{
    ClaimDue, ConfirmDue, Move, MoveCycle, PairBalance, SetNetting, SetOffCycle, Stage, set_off_digest,
    set_off_lines, set_off_next,
};
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
    let (debtor, creditor, reference) = (id(debtor), id(creditor), id(&house.cid()));
    let args = ConfirmDue { debtor, creditor, currency: eur(), amount: money(n), reference };
    house.by_root(by, "due.confirm", &args)
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
    // The operator declares for who has no brand, and for nobody else, not even for the first time.
    assert_eq!(code(house.agreed("netting.set", &set)), Refusal::KeyOwner);
    declare(&mut house, 1, 1, NettingMode::SetOff).expect("declared");
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

#[test]
fn what_is_due_outlives_the_cycle_that_left_it() {
    let mut house = house(5, true, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    let left = [("pa_kino", "pa_polar", 23_700), ("pa_harvest", "pa_kino", 4_700)];
    let is_due = |house: &House| {
        for (debtor, creditor, most) in left {
            assert_eq!(amount(house, debtor, creditor), Some(most), "{debtor} to {creditor}");
        }
    };
    is_due(&house);
    // Sent back, set off again and computed again: nothing of it is due twice, and nothing is lost.
    house.compute(cycle).expect("computed");
    let returned = MoveCycle { reason: Some(id("look-again")), ..step(cycle, Move::Return) };
    house.ask("cycle.move", &returned).expect("returned");
    house.set_off(cycle).expect("nothing is left to set off");
    is_due(&house);
    paid(&mut house, 1, "pa_harvest", "pa_kino", 1_700).expect("confirmed");
    house.compute(cycle).expect("computed");
    // Given up: what was left is due still.
    let void = MoveCycle { reason: Some(id("no")), ..step(cycle, Move::Void) };
    house.agreed("cycle.move", &void).expect("voided");
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), Some(3_000));
    paid(&mut house, 1, "pa_harvest", "pa_kino", 3_000).expect("confirmed");
    paid(&mut house, 2, "pa_kino", "pa_polar", 23_700).expect("confirmed");
    verified(&house);
}

#[test]
fn two_cycles_leave_what_is_due_together() {
    let mut house = house(6, true, &[0, 1, 2]);
    trade(&mut house);
    let first = house.seal();
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    house.pay(0, "KINO", 0, 6_000, true).expect("paid");
    let second = house.seal();
    house.set_off(first).expect("set off");
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), Some(4_700));
    house.set_off(second).expect("set off");
    // The same way: both. The other way: the difference, which kino owes now, and no more than that.
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(23_700 + 9_500));
    assert_eq!(amount(&house, "pa_harvest", "pa_kino"), None);
    assert_eq!(amount(&house, "pa_kino", "pa_harvest"), Some(900));
    // What is due is owed in the open cycle, to the cent.
    let open = house.open();
    assert_eq!(has(&house, open, "pa_polar", "pa_kino") / 100, 237 + 95);
    assert_eq!(has(&house, open, "pa_harvest", "pa_kino"), 5_700 - 4_703);
    paid(&mut house, 2, "pa_kino", "pa_polar", 33_200).expect("confirmed");
    verified(&house);
}

#[test]
fn what_is_due_is_paid_before_a_debtor_is_settled_with_all() {
    let mut house = house(7, true, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(23_700));
    let no = declare(&mut house, 1, 2, NettingMode::Novated).expect_err("it is due");
    assert_eq!(no.code, Refusal::CycleOpenWork);
    assert!(no.about.contains("due.confirm"), "{no}");
    // Its creditor may, and it may stay as it is.
    declare(&mut house, 2, 2, NettingMode::Novated).expect("it owes nothing");
    declare(&mut house, 1, 2, NettingMode::SetOff).expect("as before");
    paid(&mut house, 2, "pa_kino", "pa_polar", 23_600).expect("confirmed");
    assert_eq!(code(declare(&mut house, 1, 3, NettingMode::Novated)), Refusal::CycleOpenWork);
    paid(&mut house, 2, "pa_kino", "pa_polar", 100).expect("confirmed");
    declare(&mut house, 1, 3, NettingMode::Novated).expect("it paid");
    verified(&house);
}

fn claimed(house: &mut House, by: usize, n: u64, reference: &str) -> Result<Answer, Refused> {
    let (debtor, creditor, reference) = (id("pa_kino"), id("pa_polar"), id(reference));
    let args = ClaimDue { debtor, creditor, currency: eur(), amount: money(n), reference };
    house.by_root(by, "due.claim", &args)
}

#[test]
fn a_debtor_says_that_it_paid_and_a_reference_counts_once() {
    let mut house = house(7, true, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    assert_eq!(code(claimed(&mut house, 2, 100, "a")), Refusal::KeyOwner, "the creditor does not pay");
    for wrong in [0, 50, 23_800] {
        assert_eq!(code(claimed(&mut house, 1, wrong, "a")), Refusal::SettingInvalid);
    }
    claimed(&mut house, 1, 20_000, "a").expect("claimed");
    claimed(&mut house, 1, 3_700, "b").expect("claimed");
    assert_eq!(code(claimed(&mut house, 1, 3_700, "b")), Refusal::AlreadyExists);
    let claims = |house: &House| -> Vec<(String, u64)> {
        let due = due(house, "pa_kino", "pa_polar").expect("due");
        due.claims.iter().map(|claim| (claim.reference.to_string(), claim.amount.get())).collect()
    };
    assert_eq!(claims(&house), [("a".into(), 20_000), ("b".into(), 3_700)]);
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(23_700), "silence leaves it open");
    let confirm = |house: &mut House, n, reference: &str| {
        let (debtor, creditor, reference) = (id("pa_kino"), id("pa_polar"), id(reference));
        let args = ConfirmDue { debtor, creditor, currency: eur(), amount: money(n), reference };
        house.by_root(2, "due.confirm", &args)
    };
    confirm(&mut house, 20_000, "a").expect("confirmed");
    assert_eq!(claims(&house), [("b".into(), 3_700)]);
    // The same payment neither counts nor is claimed again.
    assert_eq!(code(confirm(&mut house, 3_700, "a")), Refusal::AlreadyExists);
    assert_eq!(code(claimed(&mut house, 1, 100, "a")), Refusal::AlreadyExists);
    // What is not answered goes on with the debt.
    house.pay(2, "KINO", 0, 10_000, true).expect("paid");
    let next = house.seal();
    assert_eq!(code(claimed(&mut house, 1, 100, "c")), Refusal::CycleOpenWork);
    house.set_off(next).expect("set off");
    assert_eq!(claims(&house), [("b".into(), 3_700)]);
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(3_700 + 9_500));
    for n in 0..19 {
        claimed(&mut house, 1, 100, &format!("more-{n}")).expect("claimed");
    }
    assert_eq!(code(claimed(&mut house, 1, 100, "d")), Refusal::TooLarge);
    confirm(&mut house, 3_700, "b").expect("confirmed");
    claimed(&mut house, 1, 100, "d").expect("there is room again");
    verified(&house);
}

#[test]
fn no_key_of_a_server_says_that_something_was_paid() {
    let mut house = house(10, true, &[0, 1, 2]);
    trade(&mut house);
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    let (debtor, creditor, currency) = (id("pa_kino"), id("pa_polar"), eur());
    let claim = ClaimDue { debtor, creditor, currency, amount: money(20_000), reference: id("a") };
    let ClaimDue { debtor, creditor, reference, .. } = claim.clone();
    let confirm = ConfirmDue { debtor, creditor, currency, amount: money(20_000), reference };
    // What is stolen from a shop's server neither gives away what is owed to its brand nor misleads who is owed.
    assert_eq!(code(house.by_brand(1, "due.claim", &claim)), Refusal::KeyPurpose);
    assert_eq!(code(house.by_brand(2, "due.confirm", &confirm)), Refusal::KeyPurpose);
    let till = common::world::Key::derive(house.world.seed, "br_polar till 0");
    assert_eq!(code(house.by(&till, "due.confirm", &confirm)), Refusal::KeyPurpose);
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(23_700));
    let approver = |brand: &str| common::world::Key::derive(house.world.seed, &format!("{brand} approver 0"));
    let (theirs, ours) = (approver("br_kino"), approver("br_polar"));
    house.by(&theirs, "due.claim", &claim).expect("an approver of the debtor's brand");
    house.by(&ours, "due.confirm", &confirm).expect("an approver of the creditor's brand");
    assert_eq!(amount(&house, "pa_kino", "pa_polar"), Some(3_700));
    verified(&house);
}

#[test]
fn nobody_changes_sides_in_trouble() {
    let mut house = house(8, true, &[2]);
    // Over its limit by a refund: neither out of the house nor into it.
    house.fund("pa_kino", Some(9_500), 0).expect("set");
    house.pay(2, "KINO", 0, 10_000, true).expect("its limit");
    let sold = house.pay(1, "HARVEST", 0, 10_000, true).expect("paid");
    house.fund("pa_kino", Some(0), 0).expect("as much as it is owed");
    let cid = house.cid();
    let request = house.world.refund(&house.world.brands[1].tills[0].key, &cid, sold, 10_000);
    house.send(request).expect("never refused");
    assert_eq!(code(declare(&mut house, 1, 1, NettingMode::SetOff)), Refusal::ExposureExceeded);
    house.fund("pa_kino", Some(9_500), 0).expect("set");
    declare(&mut house, 1, 1, NettingMode::SetOff).expect("within its limit");
    declare(&mut house, 1, 2, NettingMode::Novated).expect("and back");
    // Late with what a cycle asked for.
    house.pay(1, "HARVEST", 0, 10_000, true).expect("paid");
    let cycle = house.seal();
    house.set_off(cycle).expect("set off");
    house.approve(cycle);
    house.pay_in(cycle);
    declare(&mut house, 0, 1, NettingMode::SetOff).expect("there is time still");
    house.now = house.now.plus_seconds(4 * 86_400);
    assert_eq!(code(declare(&mut house, 0, 2, NettingMode::Novated)), Refusal::CycleOpenWork);
    house.paid(cycle, Way::In, &[]);
    declare(&mut house, 0, 2, NettingMode::Novated).expect("it paid");
    verified(&house);
}

/// Where more stands apart than is taken out at once, the rest comes the next time; until then nothing is computed.
#[test]
fn very_many_pairs_are_taken_out_in_steps() {
    const MANY: u64 = 3_400;
    let mut house = house(9, false, &[0]);
    let cycle = house.seal();
    let before = house.node.state.get(&Name::Roll).and_then(Record::roll).expect("a roll").participants;
    // State as it would be if so many had traded with harvest.
    let state = &mut house.node.state.0;
    let mut put = |name: Name, record: Record| {
        state.insert(name, Arc::new(record));
    };
    let mut balances = vec![];
    for n in 0..MANY {
        let who: ParticipantId = id(&format!("pa_x{n:04}"));
        put(Name::Enrolled(before + n), Record::Enrolled(who.clone()));
        put(Name::Pair(cycle, id("pa_harvest"), who.clone(), eur()), Record::Total(150));
        put(Name::Net(cycle, who.clone(), eur()), Record::Total(-150));
        balances.push((eur(), id("pa_harvest"), who, 150));
    }
    put(Name::Roll, Record::Roll(Roll { participants: before + MANY }));
    put(Name::Net(cycle, id("pa_harvest"), eur()), Record::Total(150 * MANY as i64));
    let digest = |balances: &[PairBalance]| {
        let (sides, later) = set_off_next(balances).expect("solved");
        let lines: Vec<_> = sides.iter().flat_map(|s| set_off_lines(s.currency, &s.matrix, &s.off)).collect();
        (set_off_digest(&lines), lines.len(), later)
    };
    let (first, taken, later) = digest(&balances);
    assert_eq!((taken, later), (3_300, 100));
    let args = SetOffCycle { cycle, version: 1, digest: first };
    house.ask("cycle.set_off", &args).expect("the first of them");
    let apart = house.closing(cycle).apart.expect("taken out");
    assert_eq!((apart.later, apart.sums[0].pairs), (100, 3_300));
    assert_eq!(code(house.compute(cycle)), Refusal::CycleOpenWork);
    assert_eq!(code(house.ask("cycle.set_off", &args)), Refusal::CycleDigest, "those are gone");
    let (second, taken, later) = digest(&balances[3_300..]);
    assert_eq!((taken, later), (100, 0));
    house.ask("cycle.set_off", &SetOffCycle { digest: second, ..args.clone() }).expect("the rest");
    let apart = house.closing(cycle).apart.expect("taken out");
    assert_eq!((apart.later, apart.sums[0].pairs, apart.sums[0].owed), (0, 3_400, money(150 * MANY)));
    assert_eq!(code(house.ask("cycle.set_off", &args)), Refusal::CycleStage);
    assert_eq!(amount(&house, "pa_x3399", "pa_harvest"), Some(100));
    assert_eq!(has(&house, house.open(), "pa_harvest", "pa_x0000"), 150);
    house.compute(cycle).expect("computed");
}
