//! An evil operator with signed HTTP requests: what was signed for one thing is not evidence of another, and what
//! was signed for one moment is not applied at another.

mod common;
#[path = "evil/mod.rs"]
mod evil;

use common::carried::unsigned;
use common::node::PureNode;
use common::world::{Holder, Key, World, beginning, id};
use evil::story::Bill;
use evil::{Honest, Loose, append, json, key_in, take_apart};
use std::sync::LazyLock;
use tallyhouse::book::{Draft, Stop};
use tallyhouse::log::Slot;
use tallyhouse::machine::{Command, DryRun, Kind, PartBody, PubBody, Request, decide};
use tallyhouse::network::DefineUnit;
use tallyhouse::sign::HttpMessage;
use tallyhouse::types::{Refusal, Time, b64, decode, encode};

/// The world, its history over HTTP, and that history taken apart.
fn stage() -> (&'static World, &'static PureNode, &'static Honest) {
    static STAGE: LazyLock<(World, PureNode, Honest)> = LazyLock::new(|| {
        let world = World::new(77);
        let mut node = PureNode::founded(&world);
        requests(&world, &mut node);
        let honest = take_apart(&node.entries);
        (world, node, honest)
    });
    (&STAGE.0, &STAGE.1, &STAGE.2)
}

fn minutes(n: u64) -> Time {
    beginning().plus_seconds(n * 60)
}

/// Every command that can come over HTTP and moves points, and one of those that everybody sees.
fn requests(world: &World, node: &mut PureNode) {
    let (harvest, kino, unit) = (&world.brands[0], &world.brands[1], id("HARVEST"));
    let ada = world.holder(unit, 0);
    let till = &kino.tills[1].key;
    let mut now = minutes(10);
    let mut go = |request: Request, key: &Key| {
        now = now.plus_seconds(60);
        let request = world.over_http(&request, key, now);
        node.submit(&request, now).unwrap_or_else(|no| panic!("{no}"))
    };
    go(world.open_account("open-ada", unit, &ada), &ada.key);
    let token = world.token(harvest, unit, "t1", ada.account, 5_000, minutes(11));
    go(world.issue(&harvest.issuing[0], &token), &harvest.issuing[0]);
    for cid in ["pay-1", "pay-2"] {
        let bill = Bill { cid, shop: "br_kino", holder: &ada, amount: 20_010, most: 4_000, now: minutes(14) };
        let payment = go(bill.request(world), till).payment.expect("a payment");
        if cid == "pay-2" {
            go(world.void(till, "void-2", payment), till);
            continue;
        }
        go(world.capture(till, "cap-1", payment, 7_003, false), till);
        go(world.refund(till, "ref-1", payment, 1_001), till);
    }
    let again = DefineUnit { version: 2, ..harvest.units[0].clone() };
    go(world.define_unit(&harvest.root, "unit-2", &again), &harvest.root);
    go(world.freeze_account(&ada.key, "freeze-a", ada.account, true), &ada.key);
}

/// The signed request of an entry, if it has one.
fn message(entry: &Loose) -> Option<HttpMessage> {
    let first = match (&entry.body.public, entry.body.parts.first()) {
        (Some(_), _) if matches!(entry.body.kind, Kind::Genesis | Kind::Snapshot) => None,
        (Some(public), _) => decode::<PubBody>(public).expect("pub").http,
        (None, Some(part)) => decode::<PartBody>(part).expect("a part").http,
        (None, None) => None,
    };
    first.map(|message| *message)
}

/// The same entry with another request in the place of its own.
fn with_message(entry: &Loose, message: &HttpMessage) -> Loose {
    let mut entry = entry.clone();
    let http = Some(Box::new(message.clone()));
    match &mut entry.body.public {
        Some(public) => {
            let body = decode::<PubBody>(public).expect("pub");
            *public = encode(&PubBody { http, ..body });
        }
        None => entry.body.parts[0] = encode(&PartBody { http, ..PartBody::default() }),
    }
    entry
}

fn carried(honest: &Honest) -> impl Iterator<Item = (usize, &Loose, HttpMessage)> {
    honest.entries.iter().enumerate().filter_map(|(seq, e)| message(e).map(|message| (seq, e, message)))
}

fn key(world: &World, message: &HttpMessage) -> Key {
    let kid =
        message.signature_input.split("keyid=\"").nth(1).expect("keyid").split('"').next().expect("text");
    let holder = world.holder(id("HARVEST"), 0).key;
    let labels = ["br_harvest root", "br_harvest issuing 0", "br_kino till 1"];
    let mut all = labels.iter().map(|label| Key::derive(world.seed, label)).chain([holder]);
    all.find(|key| key.kid.to_string() == kid).expect("a key of the story")
}

/// The message signed anew by a key, at the same time.
fn resigned(message: &HttpMessage, key: &Key) -> HttpMessage {
    let created = message.signature_input.split("created=").nth(1).expect("created");
    let created = created.split(';').next().expect("a number").parse().expect("seconds");
    message.clone().sign(&key.secret, created, "another-nonce-altogether")
}

#[test]
fn the_story_holds() {
    let (_, node, honest) = stage();
    assert_eq!(carried(honest).count(), 9);
    let (state, signatures) = common::node::replay_by_checking(&node.entries, true);
    assert_eq!(state.bytes(), node.state.bytes());
    let (_, without) = common::node::replay_by_checking(&node.entries, false);
    assert!(signatures > 9 && without == 0);
    assert_eq!(common::node::replay_by_applying(&node.entries).bytes(), node.state.bytes());
}

#[test]
fn every_altered_byte_of_a_request_is_found() {
    let (.., honest) = stage();
    let mut tried = 0;
    for (seq, entry, _) in carried(honest) {
        let bytes = entry.body.public.as_ref().unwrap_or_else(|| &entry.body.parts[0]);
        for tree in json::altered(&json::parse(bytes)) {
            let mut forged = entry.clone();
            let new = json::write(&tree);
            match &mut forged.body.public {
                Some(public) => *public = new,
                None => forged.body.parts[0] = new,
            }
            honest.caught(seq, &forged, "the request is altered");
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn another_method_target_body_or_id_is_found() {
    let (.., honest) = stage();
    for (seq, entry, message) in carried(honest) {
        let changes: &[fn(&mut HttpMessage)] = &[
            |m| m.method = "PUT".into(),
            |m| m.target_uri = "https://points.test/v1/voids".into(),
            |m| m.target_uri = m.target_uri.replace("points.test", "other.test"),
            |m| m.target_uri.push_str("?dry_run=true"),
            |m| m.body = m.body.take().map(|body| format!("{body} ")),
            |m| m.body = Some("{}".into()),
            |m| m.idempotency_key = Some("another".into()),
            |m| m.content_type = Some("application/json; charset=utf-8".into()),
            |m| m.signature = b64(&[0; 64]),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut other = message.clone();
            change(&mut other);
            // A void is sent to where voids go.
            if other == message {
                continue;
            }
            let what = honest.caught(seq, &with_message(entry, &other), &format!("change {at}"));
            assert!(!what.contains("part 0 is not"), "change {at} is found before it is decided: {what}");
        }
    }
}

#[test]
fn nobody_signs_for_another() {
    let (world, _, honest) = stage();
    let thieves = [
        Key::derive(world.seed, "root 0"),
        Key::derive(world.seed, "log"),
        Key::derive(world.seed, "br_polar root"),
        Key::derive(world.seed, "br_polar issuing 0"),
        Key::derive(world.seed, "br_polar till 0"),
        world.holder(id("POLAR"), 0).key,
        Key::derive(1, "thief"),
    ];
    for (seq, entry, message) in carried(honest) {
        for thief in &thieves {
            honest.caught(seq, &with_message(entry, &resigned(&message, thief)), "another key signed");
            // And under the name of who should have.
            let mut other = message.clone();
            other.signature = resigned(&message, thief).signature;
            let what = honest.caught(seq, &with_message(entry, &other), "a signature is another's");
            assert!(what.contains("signature"), "{what}");
        }
        // Its signer may sign again; then it is the same command, under evidence of its own.
        let again = resigned(&message, &key(world, &message));
        assert!(honest.instead(seq, &with_message(entry, &again)).is_ok(), "entry {seq}");
    }
}

#[test]
fn a_request_is_evidence_of_its_own_entry_only() {
    let (_, _, honest) = stage();
    let end = honest.entries.len();
    for (seq, entry, own) in carried(honest) {
        for (_, _, other) in carried(honest).filter(|(other, ..)| *other != seq) {
            assert_ne!(own, other);
            honest.caught(seq, &with_message(entry, &other), "the request is another entry's");
        }
        let again = Loose { at: minutes(300), body: entry.body.clone() };
        let what = honest.caught(end, &again, "it took effect before");
        assert!(what.contains(&format!("in entry {seq}")), "{what}");
        // It stands first, once, and alone.
        for at in 1..entry.body.parts.len() {
            let (mut moved, mut twice) = (entry.clone(), entry.clone());
            moved.body.parts.swap(0, at);
            honest.caught(seq, &moved, "the request stands elsewhere");
            twice.body.parts.insert(at, entry.body.parts[0].clone());
            honest.caught(seq, &twice, "the request stands twice");
        }
        let mut gone = entry.clone();
        match &mut gone.body.public {
            Some(public) => *public = encode(&PubBody { http: None, ..decode(public).expect("pub") }),
            None => drop(gone.body.parts.remove(0)),
        }
        honest.caught(seq, &gone, "the request is gone");
    }
}

#[test]
fn a_trial_is_not_the_real_thing() {
    let (world, _, honest) = stage();
    for (seq, entry, message) in carried(honest) {
        let mut trial = message.clone();
        trial.target_uri.push_str("?dry_run=true");
        let trial = resigned(&trial, &key(world, &message));
        let what = honest.caught(seq, &with_message(entry, &trial), "it was signed for a trial");
        assert!(what.contains("dry_run"), "{what}");
        // It is good for what it was signed for, and so is the real one.
        let (_, state) = &honest.before[seq];
        let real = evidence_of(honest, seq);
        let request = Request { http: Some(trial), ..real.clone() };
        let no = Command::read(&request, world.net, &key_in(state)).expect_err("a trial");
        assert_eq!(no.code, Refusal::EvidenceMismatch);
        for request in [request, real] {
            let read = DryRun::read(&request, world.net, &key_in(state)).expect("to be tried");
            let tried =
                decide(Draft::new(state, seq as u64, entry.at), read.command()).expect("it would go in");
            assert_eq!(tried.answer.kind, entry.body.kind.text());
        }
    }
}

fn evidence_of(honest: &Honest, seq: usize) -> Request {
    let entry = &honest.entries[seq];
    let written = append(&mut honest.before[seq].0.clone(), entry).expect("honest");
    let stored = tallyhouse::machine::Stored { envelope: &written.envelope, parts: &written.parts };
    tallyhouse::machine::request(stored, entry.body.kind).expect("a request")
}

#[test]
fn on_real_time_a_request_is_not_applied_later() {
    let world = World::real(78);
    let mut node = PureNode::new(&world);
    for request in world.founding() {
        node.submit(&request, beginning()).unwrap_or_else(|no| panic!("founding: {no}"));
    }
    requests(&world, &mut node);
    let honest = take_apart(&node.entries);
    let mut tried = 0;
    for (seq, entry, _) in carried(&honest) {
        let at = |seconds: i64| {
            let seconds = entry.at.seconds().checked_add_signed(seconds).expect("in range");
            Time::from_seconds(seconds).expect("in range")
        };
        for late in [300, 301, 86_400] {
            let later = Loose { at: at(late), body: entry.body.clone() };
            let what = honest.caught(seq, &later, "it is applied when its signature no longer counts");
            assert!(what.contains("signature_stale"), "{what}");
        }
        let (_, state) = &honest.before[seq];
        let command = Command::read(&evidence_of(&honest, seq), world.net, &key_in(state)).expect("honest");
        let code = |time: Time| match decide(Draft::new(state, seq as u64, time), &command) {
            Err(Stop::Refused(no)) => Some(no.code),
            _ => None,
        };
        assert_eq!((code(at(-31)), command.fresh(at(-31)).is_err()), (Some(Refusal::SignatureStale), true));
        assert!(
            code(at(299)) != Some(Refusal::SignatureStale) && command.fresh(at(299)).is_ok(),
            "entry {seq}"
        );
        assert_eq!(code(at(300)), Some(Refusal::SignatureStale));
        tried += 1;
    }
    assert_eq!(tried, 9);
    // A replay is answered while it counts, and refused when it does not.
    let first = carried(&honest).next().expect("one").0;
    let request = evidence_of(&honest, first);
    let then = honest.entries[first].at;
    assert!(node.submit(&request, then.plus_seconds(301)).is_err());
}

#[test]
fn erased_requests_hide_nothing_else() {
    let (world, _, honest) = stage();
    let check = |seq: usize, entry: &Loose, gone: &[usize]| {
        let (chain, state) = &honest.before[seq];
        let mut written = append(&mut chain.clone(), entry).ok_or("it cannot be written")?;
        for at in gone {
            written.parts[*at] = written.parts[*at].erase();
        }
        assert!(written.parts.iter().any(|part| matches!(part, Slot::Erased(_))));
        written
            .check(state)
            .map(|checked| (checked.undecided, checked.signatures))
            .map_err(|_| "it does not hold")
    };
    for (seq, entry, _) in carried(honest).filter(|(_, e, _)| e.body.public.is_none()) {
        assert_eq!(check(seq, entry, &[0]).map(|(undecided, _)| undecided), Ok(true), "entry {seq}");
        if entry.body.parts.len() > 1 {
            assert!(check(seq, entry, &[entry.body.parts.len() - 1]).is_err(), "effects of entry {seq}");
        }
    }
    // A consent is gone and the request is left: it is verified, and must be one for such an entry.
    let (seq, entry, own) =
        carried(honest).find(|(_, e, _)| e.body.kind == Kind::PaymentAuthorised).expect("a payment");
    assert_eq!(check(seq, entry, &[1]), Ok((true, 1)));
    let (_, _, other) = carried(honest).find(|(_, e, _)| e.body.kind == Kind::PaymentCaptured).expect("one");
    assert!(check(seq, &with_message(entry, &other), &[1]).is_err(), "a capture is no authorisation");
    let mut trial = own.clone();
    trial.target_uri.push_str("?dry_run=true");
    let trial = resigned(&trial, &key(world, &own));
    assert!(check(seq, &with_message(entry, &trial), &[1]).is_err(), "a trial");
    let mut bent = own.clone();
    bent.signature = other.signature;
    assert!(check(seq, &with_message(entry, &bent), &[1]).is_err(), "another's signature");
    // Behind an erased part no request stands.
    let mut moved = entry.clone();
    moved.body.parts.swap(0, 1);
    assert!(check(seq, &moved, &[0]).is_err(), "a request that is not first");
}

#[test]
fn both_carriers_do_the_same() {
    let world = World::new(79);
    let [mut one, mut other] = [PureNode::founded(&world), PureNode::founded(&world)];
    let ada: Holder = world.holder(id("HARVEST"), 0);
    let now = minutes(10);
    let open = world.open_account("open", id("HARVEST"), &ada);
    let token = world.token(&world.brands[0], id("HARVEST"), "t1", ada.account, 500, now);
    let token = world.issue(&world.brands[0].issuing[0], &token);
    let bill = Bill { cid: "pay", shop: "br_kino", holder: &ada, amount: 900, most: 100, now };
    let holders = [world.holder(id("HARVEST"), 0)];
    for request in [open, token, bill.request(&world)] {
        let http = world.over_http(&request, world.find_key(&request, &holders), now);
        assert!(unsigned(&request.jws[0]).target_uri.starts_with("https://points.test/v1/"));
        assert_eq!(one.submit(&request, now), other.submit(&http, now));
        let again = other.submit(&http, now).expect("the same again");
        assert!(again.replayed && again.seq == other.entries.len() as u64 - 1);
    }
    let name = tallyhouse::book::Name::Account(ada.account);
    assert!(one.state.get(&name).is_some() && one.state.get(&name) == other.state.get(&name));
}
