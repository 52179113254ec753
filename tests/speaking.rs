//! Who speaks for a participant, and who does not: an operator with all its keys, a further brand, a key of nobody's.
//!
//! Owns: the holes that were found, each with whoever would use it.
//! Promises: what a participant declares, is paid by, owes and agrees to is said by the brand that was registered for it first.
//! Refuses to know: disks and HTTP.

mod common;

use common::house::{House, code, eur, step};
use common::node::{PureNode, replay_by_applying, replay_by_checking};
use common::world::{Key, World, beginning, id, money};
use std::sync::Arc;
use tallyhouse::book::{Answered, Name, NettingMode, Record, Service, Tax};
use tallyhouse::clearing::{
    ConfirmDue, DisputeStep, FileDispute, FileObjection, InstructionStep, Move, MoveCycle, MoveDispute,
    SetDetails, SetNetting,
};
use tallyhouse::machine::{Answer, Request};
use tallyhouse::network::RegisterBrand;
use tallyhouse::prices::PublishTax;
use tallyhouse::types::{DisputeId, Hash, Refusal, Refused};

fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    assert_eq!(replay_by_checking(&house.node.entries, true).0.bytes(), house.node.state.bytes());
}

/// A house in which kino owes harvest, harvest owes polar, and the cycle of it is in review.
fn reviewed(seed: u64) -> (House, u64) {
    let mut house = House::new(seed, true);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    house.award("HARVEST", 0, 10_000_000);
    house.award("KINO", 0, 10_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    house.pay(0, "KINO", 0, 200_000, true).expect("paid");
    house.pay(2, "HARVEST", 0, 100_000, true).expect("paid");
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    (house, cycle)
}

/// A command of a brand's root with the approvals of its two approvers.
fn by(house: &mut House, brand: usize, kind: &str, args: &impl serde::Serialize) -> Result<Answer, Refused> {
    house.agreed_by_brand(brand, kind, args)
}

#[test]
fn no_further_brand_comes_to_a_participant_without_the_word_of_its_first() {
    let mut house = House::new(1, true);
    let root = Key::derive(99, "a further brand's root");
    let args = RegisterBrand {
        brand: id("br_impostor"),
        participant: id("pa_kino"),
        root: root.public,
        recovery: None,
    };
    let ask = |house: &mut House, brands: &[usize]| {
        let cid = house.cid();
        let first = house.world.command(&root, &cid, "brand.register", &args);
        let brands = brands.iter().map(|brand| &house.world.brands[*brand].root);
        let by: Vec<&Key> = house.world.roots.iter().chain(brands).collect();
        let approvals = by.iter().map(|key| house.world.approve(key, &first)).collect();
        house.send(Request::of([vec![first], approvals].concat()))
    };
    let refused = ask(&mut house, &[]).expect_err("not by all the operator's roots");
    assert_eq!(refused.code, Refusal::EvidenceMissing);
    assert!(refused.about.contains("the root of br_kino, which speaks for pa_kino"), "{}", refused.about);
    assert_eq!(code(ask(&mut house, &[0, 2, 3])), Refusal::EvidenceMissing);
    ask(&mut house, &[1]).expect("kino's root agrees");
    // It is there, and speaks for nobody.
    let set = SetNetting { participant: id("pa_kino"), version: 1, mode: NettingMode::SetOff };
    let refused = house.by(&root, "netting.set", &set).expect_err("it does not speak");
    assert_eq!(refused.code, Refusal::KeyOwner);
    assert!(
        refused.about.contains("br_impostor does not speak for pa_kino: br_kino does"),
        "{}",
        refused.about
    );
    verified(&house);
}

#[test]
fn a_further_brand_has_no_word_in_what_its_participant_owes() {
    // br_twin is of pa_harvest, which br_harvest was registered for first.
    let (mut house, cycle) = reviewed(2);
    let (twin, harvest) = (3, 0);
    let netting = SetNetting { participant: id("pa_harvest"), version: 1, mode: NettingMode::SetOff };
    let known = house.node.state.get(&Name::Details(id("pa_harvest"), eur())).and_then(Record::details);
    let details = SetDetails {
        participant: id("pa_harvest"),
        currency: eur(),
        version: known.map_or(1, |known| known.newest + 1),
        commitment: Hash::blake3(b"the thief's account"),
        settlement: false,
    };
    let tax = PublishTax {
        participant: id("pa_harvest"),
        version: 1,
        service: Service::Redemption,
        from: None,
        tax: Tax::default(),
    };
    let objection = FileObjection {
        cycle,
        debtor: id("pa_harvest"),
        creditor: id("pa_polar"),
        currency: eur(),
        amount: money(100),
        payment: None,
        reason: id("not_ours"),
    };
    let due = ConfirmDue {
        debtor: id("pa_kino"),
        creditor: id("pa_harvest"),
        currency: eur(),
        amount: money(100),
        reference: id("seen"),
    };
    let payment = house.node.state.0.iter().find_map(|(name, record)| match (name, &**record) {
        (Name::Payment(payment), Record::Payment(one)) if one.brand.as_str() == "br_polar" => Some(*payment),
        _ => None,
    });
    let dispute = FileDispute {
        payment,
        unit: Some(id("HARVEST")),
        exchange: None,
        award: None,
        fee: None,
        amount: money(100),
        reason: id("not_ours"),
        points: None,
        evidence: vec![],
    };
    for who in [twin, harvest] {
        let filed = house.by_brand(who, "dispute.file", &dispute);
        let done = [
            by(&mut house, who, "netting.set", &netting),
            by(&mut house, who, "details.set", &details),
            by(&mut house, who, "tax.publish", &tax),
            house.by_brand(who, "objection.file", &objection),
            house.by_root(who, "due.confirm", &due),
            filed,
        ];
        let codes: Vec<_> = done.iter().map(|done| done.as_ref().err().map(|no| no.code)).collect();
        let owner = Some(Refusal::KeyOwner);
        match who == twin {
            true => assert_eq!(codes, [owner; 6]),
            // Nothing is due yet; all else is its to say.
            false => assert_eq!(codes, [None, None, None, None, Some(Refusal::InstructionUnknown), None]),
        }
        if let [.., Ok(filed)] = done.as_slice() {
            let moved = MoveDispute {
                dispute: DisputeId { seq: filed.seq, part: 0 },
                step: DisputeStep::Withdraw,
                evidence: vec![],
            };
            assert_eq!(code(house.by_brand(twin, "dispute.move", &moved)), Refusal::KeyOwner);
            house.by_brand(harvest, "dispute.move", &moved).expect("withdrawn");
        }
    }
    verified(&house);
}

#[test]
fn the_house_says_nothing_for_who_has_a_brand() {
    let (mut house, _) = reviewed(3);
    for (who, allowed) in [("pa_kino", false), ("pa_franchise", true)] {
        let netting = SetNetting { participant: id(who), version: 1, mode: NettingMode::SetOff };
        let commitment = Hash::blake3(b"the house's own account");
        let details =
            SetDetails { participant: id(who), currency: eur(), version: 1, commitment, settlement: false };
        let due = ConfirmDue {
            debtor: id("pa_harvest"),
            creditor: id(who),
            currency: eur(),
            amount: money(100),
            reference: id("seen"),
        };
        let done = [
            house.agreed("netting.set", &netting),
            house.agreed("details.set", &details),
            house.agreed("due.confirm", &due),
        ];
        let codes = done.map(|done| done.err().map(|no| no.code));
        match allowed {
            true => assert_eq!(codes, [None, None, Some(Refusal::InstructionUnknown)]),
            false => assert_eq!(codes, [Some(Refusal::KeyOwner); 3]),
        }
    }
    verified(&house);
}

#[test]
fn whose_key_names_nobody_is_nobody() {
    let (mut house, _) = reviewed(4);
    let netting = SetNetting { participant: id("pa_franchise"), version: 1, mode: NettingMode::SetOff };
    // No certificate of that sort is taken any more; were one there, it would not make a second person.
    let name = Name::Key(house.approvers[1].kid);
    let mut key = house.node.state.get(&name).and_then(Record::key).expect("certified").clone();
    let person = key.person.take();
    house.node.state.0.insert(name.clone(), Arc::new(Record::from(key.clone())));
    let refused = house.agreed("netting.set", &netting).expect_err("one person");
    assert_eq!(refused.code, Refusal::PeopleMissing);
    assert!(refused.about.contains("of two persons by their certificates"), "{}", refused.about);
    key.person = person;
    house.node.state.0.insert(name, Arc::new(Record::from(key)));
    house.agreed("netting.set", &netting).expect("two people");
    verified(&house);
}

#[test]
fn nobody_floods_a_review() {
    let (mut house, cycle) = reviewed(5);
    let objection = |debtor: &str, creditor: &str| FileObjection {
        cycle,
        debtor: id(debtor),
        creditor: id(creditor),
        currency: eur(),
        amount: money(1),
        payment: None,
        reason: id("not_ours"),
    };
    let args = objection("pa_kino", "pa_harvest");
    let filed: Vec<_> = (0..50).map(|_| house.object(1, &args).expect("filed")).collect();
    let refused = house.object(1, &args).expect_err("enough of one");
    assert_eq!(refused.code, Refusal::ObjectionInvalid);
    assert!(
        refused.about.contains("50 objections to cycle") && refused.about.contains("wait"),
        "{}",
        refused.about
    );
    // The others are not in its way, about the same pair neither.
    let others = house.object(0, &args).expect("filed");
    house.object(0, &objection("pa_harvest", "pa_polar")).expect("filed");
    house.answer(others, Answered::Rejected).expect("answered");
    assert_eq!(code(house.object(1, &args)), Refusal::ObjectionInvalid);
    house.answer(filed[7], Answered::Rejected).expect("answered");
    house.object(1, &args).expect("there is room for one");
    assert_eq!(code(house.object(1, &args)), Refusal::ObjectionInvalid);
    // What is answered leaves nothing behind.
    let waiting = |(name, record): (&Name, &Arc<Record>)| match (name, &**record) {
        (Name::Objection(id), Record::Objection(one)) if one.answer.is_none() => Some(*id),
        _ => None,
    };
    let open: Vec<_> = house.node.state.0.iter().filter_map(waiting).collect();
    assert_eq!(open.len(), 51);
    for one in open {
        house.answer(one, Answered::Rejected).expect("answered");
    }
    let counted = house.node.state.0.iter().filter(|(name, _)| matches!(name, Name::Objecting(..)));
    assert!(counted.map(|(_, record)| record.total().copied()).all(|total| total == Some(0)));
    verified(&house);
}

#[test]
fn the_operators_participant_is_named_once() {
    // Without one nobody bears what is written off, or a part of a shortfall.
    let world = World { operator: id("pa_nobody"), ..World::new(6) };
    let node = PureNode::founded(&world);
    let mut house = House::adopt(world, node, beginning().plus_seconds(60));
    house.award("HARVEST", 0, 10_000_000);
    house.pay(1, "HARVEST", 0, 100_000, true).expect("paid");
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    let (harvest, due) = house.instructions(cycle)[&id("pa_harvest")].clone();
    let short = house.booked(harvest, due.amount.get() - 500);
    house.statement(vec![short]);
    let refused = house.instruct(harvest, InstructionStep::WriteOff).expect_err("nobody bears it");
    assert_eq!(refused.code, Refusal::ParticipantUnknown);
    assert!(refused.about.contains("participant.register with \"operator\":true"), "{}", refused.about);
    house.now = house.now.plus_seconds(9 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    let cover = MoveCycle { tranche: Some(money(500)), ..step(cycle, Move::Cover) };
    assert_eq!(code(house.agreed("cycle.move", &cover)), Refusal::ParticipantUnknown);
    // Then it has one, and never another.
    house.world.operator = id("pa_house");
    for (who, done) in [("pa_house", None), ("pa_other", Some(Refusal::AlreadyExists))] {
        house.world.operator = id(who);
        let cid = house.cid();
        let request = house.world.register_participant(&cid, &id(who), eur());
        assert_eq!(house.send(request).err().map(|no| no.code), done);
    }
    house.agreed("cycle.move", &cover).expect("covered");
    let owed = house.nets(house.open());
    assert_eq!(owed.get(&id("pa_house")), Some(&500));
    verified(&house);
}
