//! An operator that holds the log and its key, and lies: it writes entries with no evidence, with somebody
//! else's, with evidence for something else, and with other effects than the evidence gives; it reorders,
//! drops and repeats. Every forgery is formally perfect (seq, prev, parts root, tree), so nothing but
//! deciding again can find it. What the verifier must do is name the entry.

mod common;
#[path = "evil/erasing.rs"]
mod erasing;
mod evil;
#[path = "evil/forging.rs"]
mod forging;
#[path = "evil/timing.rs"]
mod timing;

use common::funds::{caller, tellers};
use common::node::{PureNode, State};
use common::world::{Key, World, id, points};
use evil::cast::{Role, cast, may_speak};
use evil::story::{Bill, minutes, story};
use evil::{Honest, Loose, append, evidence, json, key_in, show, take_apart, with_evidence};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use tallyhouse::book::{Draft, Name, Record, Stop};
use tallyhouse::log::Slot;
use tallyhouse::machine::{Command, EntryBody, Kind, Request, Snapshot, Stored, decide, request, sweep};
use tallyhouse::sign::{HeldCaps, Jws, Typ};
use tallyhouse::types::{Hash, encode};

fn stage() -> &'static (World, PureNode, Honest) {
    static STAGE: OnceLock<(World, PureNode, Honest)> = OnceLock::new();
    STAGE.get_or_init(|| {
        let world = World::new(77);
        let node = story(&world);
        let honest = take_apart(&node.entries);
        (world, node, honest)
    })
}

fn public(kind: Kind, text: &str) -> EntryBody {
    EntryBody { kind, public: Some(text.as_bytes().to_vec()), parts: vec![] }
}

#[test]
fn the_story_has_every_kind_of_entry() {
    let (.., honest) = stage();
    let seen: BTreeSet<Kind> = honest.entries.iter().map(|e| e.body.kind).collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(missing, [&Kind::Snapshot]);
}

/// Kinds that follow from evidence.
fn asked_for(entry: &Loose) -> bool {
    !matches!(
        entry.body.kind,
        Kind::Genesis | Kind::Term | Kind::Tick | Kind::CycleDue | Kind::Refused | Kind::Snapshot
    )
}

#[test]
fn nothing_goes_without_evidence() {
    let (.., honest) = stage();
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| asked_for(e)) {
        let mut bare = entry.clone();
        match &mut bare.body.public {
            Some(public) => {
                let json::Json::Object(mut members) = json::parse(public) else { panic!("an object") };
                members.retain(|(name, _)| name != "jws");
                *public = json::write(&json::Json::Object(members));
            }
            None => bare.body.parts.retain(|part| !part.starts_with(b"{\"jws\"")),
        }
        honest.caught(seq, &bare, "it has no evidence");
        // One statement less: an approval, a consent, a proof of possession.
        for at in 1..evidence(entry).len() {
            let mut fewer = entry.clone();
            match &mut fewer.body.public {
                Some(public) => {
                    let mut tree = json::parse(public);
                    if let json::Json::Object(members) = &mut tree
                        && let json::Json::List(items) = &mut members[0].1
                    {
                        items.remove(at);
                    }
                    *public = json::write(&tree);
                }
                None => drop(fewer.body.parts.remove(at)),
            }
            honest.caught(seq, &fewer, "a statement is missing");
        }
    }
}

/// Signs the statement at `at` with another key; approvals of it are made again by those who made them.
fn resigned(world: &World, keys: &[(Role, &Key)], jws: &[Jws], at: usize, thief: &Key) -> Vec<String> {
    let payload = |one: &Jws| {
        serde_json::value::RawValue::from_string(
            String::from_utf8(one.payload_bytes().to_vec()).expect("text"),
        )
        .expect("JSON")
    };
    let mut all: Vec<String> = jws.iter().map(|one| one.text().to_owned()).collect();
    all[at] = world.statement(thief, jws[at].typ(), &payload(&jws[at]));
    if at == 0 {
        for (n, approval) in jws.iter().enumerate().skip(1).filter(|(_, one)| one.typ() == Typ::Approval) {
            let (_, key) = keys.iter().find(|(_, key)| key.kid == approval.kid()).expect("a known key");
            all[n] = world.approve(key, &all[0]);
        }
    }
    all
}

#[test]
fn nobody_signs_for_another() {
    let (world, _, honest) = stage();
    let cast_holders = [
        ("HARVEST", 0),
        ("HARVEST", 1),
        ("HARVEST", 2),
        ("KINO", 0),
        ("HARVEST", 7),
        ("KINO", 7),
        ("POLAR", 7),
        ("KINOPLUS", 7),
    ];
    let holders: Vec<_> = cast_holders.map(|(unit, n)| world.holder(id(unit), n)).into();
    let mut keys = cast(world);
    keys.extend(holders.iter().enumerate().map(|(n, holder)| (Role::Holder(n), &holder.key)));
    // It awards harvest's points, and kino pays.
    let sponsor = Key::derive(world.seed, "sponsor");
    keys.push((Role::Issuing("br_kino"), &sponsor));
    // Who says where participants are paid, and who calls them back.
    let caller = caller(world);
    keys.push((Role::Analyst, &caller));
    let all: Vec<_> = world.brands.iter().map(|brand| (brand.id.as_str(), tellers(world, brand))).collect();
    keys.extend(all.iter().flat_map(|(brand, keys)| keys.iter().map(|key| (Role::Approver(brand), key))));
    let mut tried = 0;
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| asked_for(e)) {
        let jws = evidence(entry);
        for at in 0..jws.len() {
            let (signed_by, _) = keys.iter().find(|(_, key)| key.kid == jws[at].kid()).expect("a known key");
            for (role, thief) in &keys {
                // The same sort of key of the same owner may, and an account's brand may freeze it, or say its tier.
                let may = role == signed_by
                    || (entry.body.kind == Kind::AccountFrozen && *role == Role::Root("br_harvest"))
                    || (entry.body.kind == Kind::AccountTierSet
                        && matches!(role, Role::Root("br_harvest") | Role::Approver("br_harvest")))
                    // An approver of its brand may agree to a key for an account with points, as the root may.
                    || (entry.body.kind == Kind::AccountOpened
                        && at > 0
                        && matches!((role, signed_by), (Role::Approver(a), Role::Root(b)) if a == b))
                    || may_speak(entry.body.kind, *role)
                    // A brand's people refund what its tills do.
                    || (entry.body.kind == Kind::PaymentRefunded
                        && matches!((role, signed_by), (Role::Root(a) | Role::Approver(a), Role::Till(b)) if a == b))
                    // Another analyst accepts what one imported, as an approver does.
                    || (entry.body.kind == Kind::StatementAccepted && thief.kid == caller.kid)
                    // One that waits is rejected by whoever could have accepted it, or imported it.
                    || (entry.body.kind == Kind::StatementRejected && *role == Role::Checker)
                    // To the withdrawal of cover its brand's root or an approver of it agrees.
                    || (entry.body.kind == Kind::CoverMoved
                        && at == 3
                        && matches!(role, Role::Root("br_harvest") | Role::Approver("br_harvest")))
                    // An approver of its brand agrees for an issuer as its root does.
                    || (entry.body.kind == Kind::ReserveSet
                        && *signed_by == Role::Root("br_kino")
                        && *role == Role::Approver("br_kino"))
                    // Whoever approves an exchange gets the points, and nobody else is named: both have an account of the unit.
                    || (entry.body.kind == Kind::ExchangeMade && at == 1 && matches!(role, Role::Holder(3 | 5)))
                    // br_twin is of br_harvest's participant, whose tax it is.
                    || (entry.body.kind == Kind::TaxPublished && *role == Role::Root("br_twin"))
                    // Who defines a unit first has it.
                    || (entry.body.kind == Kind::UnitDefined && matches!(role, Role::Root(_)));
                if may {
                    continue;
                }
                let forged = resigned(world, &keys, &jws, at, thief);
                let how = format!("{signed_by:?} should have signed statement {at}, {role:?} did");
                honest.caught(seq, &with_evidence(entry, &forged), &how);
                // A code names nobody: another holder's, with the effects that fit, is that holder's own.
                if jws[at].typ() == Typ::SpendCode && matches!(role, Role::Holder(_)) {
                    continue;
                }
                // What somebody has offered is theirs: with the effects that fit, another till's bill, say, is its own.
                if entry.body.kind == Kind::OfferMade && matches!(role, Role::Till(_) | Role::Holder(_)) {
                    continue;
                }
                // Effects that would fit do not help: it is the decision itself that says no.
                let lines = lines_of(honest, seq);
                let (_, state) = &honest.before[seq];
                let request = Request { jws: forged, lines, http: None };
                if let Ok(command) = Command::read(&request, world.net, &key_in(state)) {
                    let draft = Draft::new(state, seq as u64, entry.at);
                    match decide(draft, &command) {
                        Err(Stop::Refused(_)) => {}
                        Err(stop) => panic!("entry {seq} ({}), {how}: {stop:?}", entry.body.kind),
                        Ok(_) => panic!("entry {seq} ({}), {how}: and may", entry.body.kind),
                    }
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}

fn lines_of(honest: &Honest, seq: usize) -> Option<std::sync::Arc<[u8]>> {
    let written = append(&mut honest.before[seq].0.clone(), &honest.entries[seq]).expect("honest");
    request(Stored { envelope: &written.envelope, parts: &written.parts }, honest.entries[seq].body.kind)
        .expect("a request")
        .lines
}

#[test]
fn a_signature_under_another_name_is_none() {
    // The thief signs, the header names the victim.
    let (_world, _, honest) = stage();
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| asked_for(e)) {
        let jws = evidence(entry);
        for at in 0..jws.len() {
            let mut texts: Vec<String> = jws.iter().map(|one| one.text().to_owned()).collect();
            let (input, _) = texts[at].rsplit_once('.').expect("three parts");
            let signature = Key::derive(1, "thief").secret.sign(input.as_bytes());
            texts[at] = format!("{input}.{}", tallyhouse::types::b64(&signature));
            let what = honest.caught(seq, &with_evidence(entry, &texts), "a signature is another's");
            assert!(what.contains("signature"), "{what}");
        }
    }
}

#[test]
fn evidence_for_something_else_is_none() {
    let (.., honest) = stage();
    // Every entry with the evidence of every other entry that has as many statements.
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| asked_for(e)) {
        let own = evidence(entry);
        for other in honest.entries.iter().filter(|e| asked_for(e)) {
            let jws = evidence(other);
            if jws.len() == own.len() && jws != own {
                let texts: Vec<String> = jws.iter().map(|one| one.text().to_owned()).collect();
                honest.caught(seq, &with_evidence(entry, &texts), "the evidence is another entry's");
            }
        }
    }
}

#[test]
fn every_altered_effect_is_found() {
    let (.., honest) = stage();
    let mut tried = 0;
    // Which ids were refused, and why, is the operator's word; that they were free is not: see below.
    let entries = honest.entries.iter().enumerate().skip(1).filter(|(_, e)| e.body.kind != Kind::Refused);
    for (seq, entry) in entries {
        for at in 0..entry.body.parts.len() + 1 {
            let Some(bytes) = entry.body.parts.get(at).or(entry.body.public.as_ref()) else { continue };
            // To claim less than was swept is no lie; to claim more has a test of its own.
            if bytes.starts_with(br#"{"done":{"put":[["tick","#) {
                continue;
            }
            for tree in json::altered(&json::parse(bytes)) {
                let mut forged = entry.clone();
                let new = json::write(&tree);
                match forged.body.parts.get_mut(at) {
                    Some(part) => *part = new,
                    None => forged.body.public = Some(new),
                }
                honest.caught(seq, &forged, "an effect is altered");
                tried += 1;
            }
        }
        // Parts that are gone, stand twice, or come in another order.
        for at in 0..entry.body.parts.len() {
            let (mut gone, mut twice, mut swapped) = (entry.clone(), entry.clone(), entry.clone());
            gone.body.parts.remove(at);
            let part = twice.body.parts[at].clone();
            twice.body.parts.insert(at, part);
            honest.caught(seq, &twice, "a part stands twice");
            // A sweep may take accounts in any order, and leave some to the next one.
            if entry.body.kind == Kind::Tick {
                continue;
            }
            honest.caught(seq, &gone, "a part is gone");
            // Two approvals say the same in either order.
            let alike = at > 0 && [at - 1, at].iter().all(|at| approval(&entry.body.parts[*at]));
            if at > 0 && !alike && swapped.body.parts[at] != swapped.body.parts[at - 1] {
                swapped.body.parts.swap(at, at - 1);
                honest.caught(seq, &swapped, "parts have changed places");
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn another_kind_is_found() {
    let (.., honest) = stage();
    for (seq, entry) in honest.entries.iter().enumerate() {
        for kind in Kind::ALL.iter().filter(|kind| **kind != entry.body.kind) {
            let mut forged = entry.clone();
            forged.body.kind = *kind;
            honest.caught(seq, &forged, "it is called something else");
        }
    }
}

#[test]
fn reordering_is_found() {
    let (.., honest) = stage();
    for seq in 1..honest.entries.len() - 1 {
        let mut entries = honest.entries[seq..].to_vec();
        entries.swap(0, 1);
        // Times stay in order, so that the chain holds.
        let (a, b) = (entries[0].at, entries[1].at);
        (entries[0].at, entries[1].at) = (b, a);
        let (named, _) = honest.rewritten(seq, &entries).unwrap_or_else(|| panic!("{seq} and its neighbour"));
        assert!(named as usize <= seq + 1, "named {named} for {seq}");
    }
}

#[test]
fn dropping_an_entry_is_found() {
    let (.., honest) = stage();
    for seq in 1..honest.entries.len() - 1 {
        let (named, _) = honest.rewritten(seq, &honest.entries[seq + 1..]).unwrap_or_else(|| panic!("{seq}"));
        assert!(named as usize <= seq + 2, "named {named} for {seq}");
    }
}

#[test]
fn an_award_is_not_dropped_even_if_everything_is_decided_anew() {
    // The operator drops ada's points and writes all that follows afresh, from the true requests: her
    // payment has nothing to stand on, and what refers to it names another place.
    let (world, node, honest) = stage();
    let dropped = honest.first(Kind::PointsIssued);
    let mut anew = State::default();
    anew.0.clone_from(&honest.before[dropped].1.0);
    let mut refused = 0;
    for (seq, entry) in honest.entries.iter().enumerate().skip(dropped + 1).filter(|(_, e)| asked_for(e)) {
        let sealed = &node.entries[seq];
        let parts: Vec<Slot> = sealed.parts.iter().cloned().map(Slot::Whole).collect();
        let envelope = tallyhouse::log::Envelope::decode(&sealed.envelope).expect("ours");
        let request =
            request(Stored { envelope: &envelope, parts: &parts }, entry.body.kind).expect("a request");
        let Ok(command) = Command::read(&request, world.net, &key_in(&anew)) else {
            panic!("its keys are there")
        };
        match decide(Draft::new(&anew, seq as u64 - 1, entry.at), &command) {
            Ok(decision) => anew.take(decision.records),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= 3, "authorise, capture and refund cannot stand, {refused} fell");
}

#[test]
fn repeating_is_found() {
    let (.., honest) = stage();
    let end = honest.entries.len();
    for (seq, entry) in honest.entries.iter().enumerate().filter(|(_, e)| asked_for(e)) {
        let again = Loose { at: honest.after(), body: entry.body.clone() };
        let what = honest.caught(end, &again, "it took effect before");
        assert!(what.contains(&format!("in entry {seq}")), "{what}");
    }
}

#[test]
fn there_is_one_genesis() {
    let (world, _, honest) = stage();
    let end = honest.entries.len();
    let mut own = world.genesis.clone();
    own.roots = vec![world.log.public];
    own.threshold = 1;
    let text = String::from_utf8(own.bytes()).expect("text");
    let second = Loose { at: honest.after(), body: public(Kind::Genesis, &text) };
    assert!(honest.caught(end, &second, "it is a second genesis").contains("genesis"));
    // And nothing comes before it.
    let term = honest.entries[1].clone();
    honest.caught(0, &term, "there is no network yet");
    // Nor is one accepted that cannot work.
    let wrong = |change: &dyn Fn(&mut tallyhouse::machine::Genesis)| {
        let mut genesis = world.genesis.clone();
        change(&mut genesis);
        let text = String::from_utf8(genesis.bytes()).expect("text");
        honest.caught(0, &Loose { at: minutes(0), body: public(Kind::Genesis, &text) }, "genesis is invalid")
    };
    wrong(&|g| g.threshold = 0);
    wrong(&|g| g.threshold = 4);
    wrong(&|g| g.roots[1] = g.roots[0]);
    wrong(&|g| g.log = g.roots[0]);
    wrong(&|g| g.currencies.clear());
    wrong(&|g| g.currencies[1] = g.currencies[0]);
    wrong(&|g| g.nonce = "AAAA".into());
}

#[test]
fn a_tick_neither_comes_early_nor_claims_too_much() {
    let (.., honest) = stage();
    let tick = honest.first(Kind::Tick);
    let (_, state) = &honest.before[tick];
    let due = state.due(minutes(200));
    assert!(!due.is_empty());
    // Swept before its time: effects of later at an earlier instant.
    let early = Loose { at: honest.entries[tick - 1].at.plus_seconds(1), ..honest.entries[tick].clone() };
    honest.caught(tick, &early, "nothing is due yet");
    // Swept through an instant that is yet to come.
    let ahead = minutes(100_000);
    let mut claims = honest.entries[tick].clone();
    for part in &mut claims.body.parts {
        let text = String::from_utf8_lossy(part).replace(&minutes(200).to_string(), &ahead.to_string());
        *part = text.into_bytes();
    }
    assert_ne!(show(&claims), show(&honest.entries[tick]));
    honest.caught(tick, &claims, "it sweeps through the future");
    // Claims to be through, and left somebody out: the verifier that keeps the deadlines sees it.
    let lazy = sweep(Draft::new(state, tick as u64, minutes(201)), &[], Some(minutes(200))).expect("a sweep");
    let lazy = Loose { at: minutes(201), body: lazy.entry };
    let checked = honest.instead(tick, &lazy).expect("the entry by itself is consistent");
    let mut after = state.clone();
    after.take(checked.records);
    assert_eq!(checked.through, Some(minutes(200)));
    assert_eq!(after.due(checked.through.expect("a claim")), due, "what was left");
    // The honest one leaves nothing.
    let honest_tick = honest.instead(tick, &honest.entries[tick]).expect("honest");
    assert_eq!(honest_tick.through, Some(minutes(200)));
    assert!(honest.before[tick + 1].1.due(minutes(200)).is_empty());
}

#[test]
fn refusals_burn_no_id_that_was_used() {
    let (.., honest) = stage();
    let refused = honest.first(Kind::Refused);
    let end = honest.entries.len();
    let entry = &honest.entries[refused];
    let text = |forged: &Loose| show(forged);
    // Again, elsewhere: known already.
    let again = Loose { at: honest.after(), body: entry.body.clone() };
    honest.caught(end, &again, "the id is burnt already");
    let replace = |from: &str, to: &str| {
        let mut forged = entry.clone();
        for part in &mut forged.body.parts {
            *part = String::from_utf8_lossy(part).replace(from, to).into_bytes();
        }
        assert_ne!(text(&forged), text(entry), "{from} is not there");
        forged
    };
    let cases = [
        ("cap-no", "cap-1", "the id took effect"),
        ("\"capture_exceeded\"", "\"key_retired\"", "such a refusal spends no id"),
        (",\"refused\":\"capture_exceeded\"", "", "it is no refusal"),
        ("\"used\":1", "\"used\":0", "the quota is not counted"),
        ("\"used\":1", "\"used\":1000", "the quota is used up"),
        ("refused-hour", "issued", "another limit is changed"),
    ];
    for (from, to, how) in cases {
        honest.caught(refused, &replace(from, to), how);
    }
    let mut extra = entry.clone();
    extra.body.parts.push(br#"{"done":{"put":[["cycle",{"open":2}]]}}"#.to_vec());
    honest.caught(refused, &extra, "it changes the cycle");
    let (.., end_state) = (&honest.before[end].0, &honest.before[end].1);
    assert!(end_state.0.keys().any(|name| name.to_string() == "command/br_kino/cap-no"));
    let empty = Loose { at: entry.at, body: EntryBody { parts: vec![], ..entry.body.clone() } };
    honest.caught(refused, &empty, "nothing was refused");
}

#[test]
fn a_held_key_moves_no_more_than_its_certificate_says() {
    // The operator holds the key, so it can sign whatever it likes: what stops it is deciding again.
    let world = World::new(78);
    let mut node = PureNode::founded(&world);
    let kino = &world.brands[1];
    let (held, unit, first) = (Key::derive(78, "held"), id("KINO"), world.holder(id("KINO"), 0));
    let mut cert = world.issuing_cert(kino, &held, minutes(0).seconds(), None);
    cert.held = Some(HeldCaps { per_account_day: 50, per_day: 60 });
    let token =
        |jti: &str, amount, at| world.issue(&held, &world.token(kino, unit, jti, first.account, amount, at));
    let budget = world.budget(held.kid, unit, 1);
    for (at, request) in [
        (10, world.certify(&kino.root, &held, &cert)),
        (11, world.set_budget(&kino.root, &budget)),
        (12, token("h1", 40, minutes(12))),
    ] {
        node.submit(&request, minutes(at)).unwrap_or_else(|no| panic!("{no}"));
    }
    let honest = take_apart(&node.entries);
    let end = honest.entries.len();
    let last = &honest.entries[end - 1];
    let asserted = honest.instead(end - 1, last).expect("honest").asserted;
    assert_eq!((asserted.movements, asserted.value.get("KINO")), (1, Some(&40)));

    let (_, state) = &honest.before[end];
    let request = token("h2", 20, minutes(13));
    let command = Command::read(&request, world.net, &key_in(state)).expect("well signed");
    // What it would be if nothing had been drawn, or if the certificate allowed more.
    let mut undrawn = state.clone();
    undrawn.0.retain(|name, _| !name.to_string().contains("/asserted-"));
    let mut generous = state.clone();
    let Some(Record::Key(key)) = state.get(&Name::Key(held.kid)) else { panic!("a key") };
    let mut key = key.clone();
    key.held = None;
    generous.take(vec![(Name::Key(held.kid), Some(std::sync::Arc::new(Record::from(*key))))]);
    for believed in [undrawn, generous] {
        let decision = decide(Draft::new(&believed, end as u64, minutes(13)), &command).expect("decided");
        let forged = Loose { at: minutes(13), body: decision.entry };
        let what = honest.caught(end, &forged, "the cap is passed");
        assert!(what.contains("asserted_limit_exceeded"), "{what}");
    }
    // Nor can it count less than it moved, or leave the count out.
    for (from, to) in [("\"used\":40", "\"used\":4"), ("asserted-day", "accepted-day")] {
        let mut forged = last.clone();
        for part in &mut forged.body.parts {
            *part = String::from_utf8_lossy(part).replace(from, to).into_bytes();
        }
        assert_ne!(show(&forged), show(last), "{from} is not there");
        honest.caught(end - 1, &forged, "the count is another");
    }
}

#[test]
fn a_snapshot_does_not_foretell() {
    let (_, node, honest) = stage();
    let end = honest.entries.len();
    let snapshot = |of: u64| Snapshot { of, root: Hash([3; 32]), rows: 4 };
    let entry = |of| Loose {
        at: honest.after(),
        body: public(Kind::Snapshot, &String::from_utf8(encode(&snapshot(of))).expect("text")),
    };
    honest.caught(end, &entry(end as u64), "it is of itself");
    honest.caught(end, &entry(end as u64 + 9), "it is of the future");
    // Its claim is handed to whoever has all records; it changes nothing.
    let checked = honest.instead(end, &entry(end as u64 - 1)).expect("a claim");
    assert_eq!(checked.snapshot, Some(snapshot(end as u64 - 1)));
    assert!(checked.records.is_empty());
    assert_eq!(node.entries.len(), end);
}

/// Whether a part is somebody's approval.
fn approval(part: &[u8]) -> bool {
    let body: serde_json::Value = serde_json::from_slice(part).expect("JSON");
    let jws = body["jws"].as_str().map(|text| Jws::parse(text).expect("a token"));
    jws.is_some_and(|jws| jws.typ() == Typ::Approval)
}

#[test]
fn a_consent_is_for_one_payment() {
    // The operator and a till together: the consent of pay-1 under another command, another amount,
    // another currency, another brand's till.
    let (world, _, honest) = stage();
    let seq = honest.entries.len();
    let (_, state) = &honest.before[seq];
    let ada = world.holder(id("HARVEST"), 0);
    let now = minutes(202);
    let bill = Bill { cid: "new", shop: "br_kino", holder: &ada, amount: 500, most: 100, now };
    let tills = [&world.brands[1].tills[1].key, &world.brands[2].tills[0].key];
    let good = bill.consent(world);
    let refused = |args, consent: &tallyhouse::sign::PaymentConsent, cid: &str, till: &Key| {
        let consent = world.consent(&ada.key, consent);
        let request = world.authorise(till, cid, &args, vec![consent]);
        let command = Command::read(&request, world.net, &key_in(state)).expect("well signed");
        match decide(Draft::new(state, seq as u64, now), &command) {
            Err(Stop::Refused(no)) => Some(no.code.code()),
            Err(stop) => panic!("{stop:?}"),
            Ok(_) => None,
        }
    };
    assert_eq!(refused(bill.args(), &good, "new", tills[0]), None);
    assert_eq!(refused(bill.args(), &good, "other", tills[0]), Some("consent_mismatch"));
    assert_eq!(refused(bill.args(), &good, "new", tills[1]), Some("consent_mismatch"));
    let mut used = good.clone();
    used.jti = id("consent-pay-1");
    assert_eq!(refused(bill.args(), &used, "new", tills[0]), Some("consent_used"));
    let mut francs = bill.args();
    francs.currency = id("CHF");
    // This till deals in euros only, so the consent is not even looked at.
    assert_eq!(refused(francs, &good, "new", tills[0]), Some("till_limit_exceeded"));
    let mut few = good.clone();
    few.points = points(24);
    assert_eq!(refused(bill.args(), &few, "new", tills[0]), Some("consent_exceeded"));
}
