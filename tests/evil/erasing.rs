//! Evidence that was erased, or is said to be: what an operator can hide behind it.

use crate::common::world::id;
use crate::evil::{Honest, Loose, Written, append};
use crate::stage;
use tallyhouse::book::{Name, Record};
use tallyhouse::log::Slot;
use tallyhouse::machine::{Kind, bodies};
use tallyhouse::types::encode;

/// The written entry with some parts erased.
fn erased(
    honest: &Honest,
    seq: usize,
    entry: &Loose,
    gone: impl Fn(usize, &[u8]) -> bool,
) -> Result<u64, String> {
    let (chain, state) = &honest.before[seq];
    let Some(Written { envelope, mut parts }) = append(&mut chain.clone(), entry) else {
        return Err("not a well formed entry".into());
    };
    for (at, slot) in parts.iter_mut().enumerate() {
        let Slot::Whole(bytes) = &*slot else { continue };
        if gone(at, bytes) {
            *slot = slot.erase();
        }
    }
    match (Written { envelope, parts }).check(state) {
        Ok(checked) => {
            let mut after = state.clone();
            after.take(checked.records);
            let hidden = matches!(entry.body.kind, Kind::AccountFrozen | Kind::AccountKeyRevoked);
            if entry.body == honest.entries[seq].body && !hidden {
                assert!(after.bytes() == honest.before[seq + 1].1.bytes(), "entry {seq}: another state");
            }
            Ok(checked.missing.len() as u64)
        }
        Err(e) => Err(format!("{e:?}")),
    }
}

fn said(part: &[u8]) -> bool {
    let body = bodies(std::iter::once(part)).expect("a part").remove(0);
    body.jws.is_some()
}

#[test]
fn only_evidence_may_be_erased() {
    let (.., honest) = stage();
    let private = |entry: &Loose| entry.body.public.is_none() && !entry.body.kind.keeps_evidence();
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| private(e)) {
        for at in 0..entry.body.parts.len() {
            let one = erased(honest, seq, entry, |n, _| n == at);
            let evidence = entry.body.parts[at].starts_with(b"{\"jws\"");
            let unclear = matches!(entry.body.kind, Kind::AccountFrozen | Kind::AccountKeyRevoked);
            match one {
                Ok(_) if unclear => {}
                Ok(count) => assert!(evidence && count == 1, "entry {seq} ({}) part {at}", entry.body.kind),
                Err(what) => assert!(!evidence, "entry {seq} ({}) part {at}: {what}", entry.body.kind),
            }
        }
        let all = erased(honest, seq, entry, |_, _| true);
        assert!(all.is_err(), "entry {seq}");
    }
}

#[test]
fn erased_evidence_hides_no_other_power() {
    let (world, _, honest) = stage();
    let end_of = |kind| honest.first(kind);
    let thief = serde_json::to_string(&world.brands[2].root.public).expect("a key");
    let thief_kid = world.brands[2].root.kid;
    let network = {
        let (_, state) = &honest.before[honest.entries.len()];
        let record = state.get(&Name::Network).and_then(Record::network).expect("a network");
        String::from_utf8(encode(record))
            .expect("text")
            .replace(&world.roots[0].kid.to_string(), &thief_kid.to_string())
    };
    let ada = world.holder(id("HARVEST"), 0).account;
    let month = r#"["2027-03-31",null,"2026-01","earned"]"#;
    let later = r#"["2027-06-30",null,"2026-01","earned"]"#;
    let issuing = world.brands[0].issuing[0].kid;
    let powers = [
        format!(r#"{{"done":{{"put":[["network",{network}]]}}}}"#),
        format!(
            r#"{{"done":{{"put":[["key/{thief_kid}",{{"key":{thief},"purpose":"operator_root","owner":"op","state":"active","from":0}}]]}}}}"#
        ),
        r#"{"done":{"put":[["cycle",{"open":9}]]}}"#.to_owned(),
        r#"{"done":{"put":[["tick",{"through":"2026-01-05T09:00:00.000000Z"}]]}}"#.to_owned(),
        r#"{"done":{"put":[["shared/HARVEST:redeemed",1]]}}"#.to_owned(),
        format!(r#"{{"done":{{"put":[["account/{ada}",null]]}}}}"#),
        r#"{"done":{"put":[["command/br_kino/cap-1",null]]}}"#.to_owned(),
        // Points from nowhere, points without a leg, a balance that is wrong.
        format!(r#"{{"done":{{"lots":[["{ada}",{month},900000]]}}}}"#),
        format!(
            r#"{{"done":{{"legs":[["{ada}","HARVEST",900000,900000]],"lots":[["{ada}",{month},900000]]}}}}"#
        ),
        r#"{"done":{"legs":[["HARVEST:redeemed","HARVEST",5]]}}"#.to_owned(),
        // Another unit for an account, a budget that begins anew, two lots whose sum is beyond all bounds.
        format!(r#"{{"done":{{"heads":[["{ada}",{{"unit":"KINO","offset":0,"owed":0,"frozen":false}}]]}}}}"#),
        format!(r#"{{"done":{{"put":[["limit/br_harvest/{issuing}/issued",{{"window":0,"used":0}}]]}}}}"#),
        format!(
            r#"{{"done":{{"lots":[["{ada}",{month},9007199254740991],["{ada}",{later},9007199254740991]]}}}}"#
        ),
        format!(r#"{{"done":{{"legs":[["HARVEST:issuance","HARVEST",-5],["{ada}","HARVEST",5,5]]}}}}"#),
    ];
    for kind in [Kind::PaymentCaptured, Kind::PaymentVoided, Kind::AccountFrozen, Kind::PointsIssued] {
        let seq = end_of(kind);
        for power in &powers {
            let mut forged = honest.entries[seq].clone();
            forged.body.parts.push(power.clone().into_bytes());
            let how = erased(honest, seq, &forged, |_, part| said(part));
            assert!(how.is_err(), "{kind} with {power}");
        }
    }
    // Effects do not hide behind evidence that is left, and what is left must be signed.
    let seq = end_of(Kind::PaymentAuthorised);
    let first = String::from_utf8(honest.entries[seq].body.parts[0].clone()).expect("text");
    let hidden = first.replace("\"}", &format!("\",{}", &powers[0][1..]));
    let (bent, last) = first.split_at(first.len() - 4);
    let bent = format!("{bent}{}", if last.starts_with('A') { "BB\"}" } else { "AA\"}" });
    for part in [hidden, bent] {
        let mut forged = honest.entries[seq].clone();
        forged.body.parts[0] = part.clone().into_bytes();
        assert!(erased(honest, seq, &forged, |at, _| at == 1).is_err(), "{part}");
    }
    assert!(erased(honest, seq, &honest.entries[seq], |at, _| at == 1).is_ok());
    // A key that is there is no account's new key.
    let seq = end_of(Kind::AccountOpened);
    let mut forged = honest.entries[seq].clone();
    let root = serde_json::to_string(&world.roots[0].public).expect("a key");
    let taken = format!(
        r#"{{"done":{{"put":[["key/{}",{{"key":{root},"purpose":"account","owner":"{ada}","state":"active","from":0}}]]}}}}"#,
        world.roots[0].kid
    );
    forged.body.parts.push(taken.into_bytes());
    assert!(erased(honest, seq, &forged, |_, part| said(part)).is_err());
    // A tick and a refusal never had any evidence.
    for kind in [Kind::Tick, Kind::Refused] {
        let mut forged = honest.entries[end_of(kind)].clone();
        forged.body.parts.insert(0, br#"{"jws":""}"#.to_vec());
        assert!(erased(honest, end_of(kind), &forged, |at, _| at == 0).is_err(), "{kind}");
    }
}
