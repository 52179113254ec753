//! Documents of disputes and complaints: handed in by who brought their hash, read by both sides and the operator, erased.

use super::scene::{award, delete, harvest, hire, open, pay};
use crate::common::dispute::{over, step};
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::{Key, id};
use serde_json::json;
use tallyhouse::clearing::{ComplaintStep, DisputeStep, FileComplaint, FileDispute, MoveComplaint};
use tallyhouse::machine::{Request, Role};
use tallyhouse::types::{Hash, b64};
use tallyhouse::vault::{MAX_DOCUMENT, Whom};

fn file(server: &Server, key: &Key, kind: &str, path: &str, args: &impl serde::Serialize) -> u64 {
    let statement = server.world.command(key, &server.fresh("file"), kind, args);
    server.submit(path, &Request::of(vec![statement])).expect(201)["seq"].as_u64().expect("an entry")
}

fn hand_in(server: &Server, key: &Key, matter: &str, content: &[u8]) -> Reply {
    let body = json!({"media_type": "text/plain", "content": b64(content)});
    server.ask(&server.signed_post(key, &format!("/v1/documents/{matter}"), &server.fresh("hand-in"), &body))
}

fn look(server: &Server, key: &Key, matter: &str, hash: Hash) -> Reply {
    server.get_signed(key, &format!("/v1/documents/{matter}/{hash}"))
}

fn erase(server: &Server, key: &Key, matter: &str, hash: Hash) -> Reply {
    server.ask(&delete(server, key, &format!("/v1/documents/{matter}/{hash}?reason=holder-asked")))
}

/// A payment of harvest's points in kino's shop, and its holder.
fn scene() -> (Server, Key, String) {
    let server = Server::founded(31);
    let holder = open(&server, harvest(), 0);
    award(&server, harvest(), 0, 50_000);
    let payment = pay(&server, 1, harvest(), 0, 10_000, true);
    (server, holder.key, payment)
}

#[test]
fn a_document_is_taken_from_who_brought_its_hash_and_read_by_both_sides() {
    let (server, holder, payment) = scene();
    let [harvest, kino, polar] = [0, 1, 2].map(|at| &server.world.brands[at].issuing[0]);
    let (analyst, root) = (hire(&server), &server.world.roots[0]);
    let letter = b"what was agreed";
    let hash = Hash::sha256(letter);
    // As large as may be, and with a signed request all the same.
    let scan = vec![b'x'; MAX_DOCUMENT];
    let args = FileDispute {
        evidence: vec![hash, Hash::sha256(&scan)],
        ..over(id(&payment), "HARVEST", 100, "wrong_amount")
    };
    let seq = file(&server, harvest, "dispute.file", "/v1/disputes", &args);
    let matter = format!("dsp_{seq}.0");
    look(&server, harvest, &matter, hash).refused(404, "not_found");
    // Nothing but what was announced, and from nobody else.
    hand_in(&server, harvest, &matter, b"what was not agreed").refused(422, "document_mismatch");
    hand_in(&server, kino, &matter, letter).refused(422, "document_mismatch");
    hand_in(&server, &analyst, &matter, letter).refused(422, "document_mismatch");
    hand_in(&server, root, &matter, letter).refused(403, "scope_missing");
    for stranger in [polar, &holder] {
        hand_in(&server, stranger, &matter, letter).refused(404, "not_found");
    }
    hand_in(&server, harvest, "dsp_9.0", letter).refused(404, "not_found");
    let of = |media: &str, content: &str| {
        let body = json!({"media_type": media, "content": content});
        server.ask(&server.signed_post(
            harvest,
            &format!("/v1/documents/{matter}"),
            &server.fresh("odd"),
            &body,
        ))
    };
    of("text/html", &b64(letter)).refused(400, "body_invalid");
    of("text/plain", "not base64url!").refused(400, "body_invalid");
    of("text/plain", &"A".repeat(MAX_DOCUMENT * 3 / 2)).refused(413, "body_too_large");
    let kept = hand_in(&server, harvest, &matter, &scan).expect(201);
    assert_eq!(kept["bytes"], MAX_DOCUMENT);
    let shown = look(&server, kino, &matter, Hash::sha256(&scan)).expect(200);
    assert_eq!(shown["content"], json!(b64(&scan)));
    // What is signed is what arrives.
    let body = json!({"media_type": "text/plain", "content": b64(&scan)});
    let mut changed =
        server.signed_post(harvest, &format!("/v1/documents/{matter}"), &server.fresh("odd"), &body);
    changed.body.push(b' ');
    server.ask(&changed).refused(401, "digest_mismatch");
    let kept = hand_in(&server, harvest, &matter, letter).expect(201);
    assert_eq!(kept, json!({"matter": matter, "sha256": hash, "bytes": 15}));
    assert_eq!(hand_in(&server, harvest, &matter, letter).expect(201), kept, "once more is the same");

    for reader in [harvest, kino, &analyst, root] {
        let shown = look(&server, reader, &matter, hash).expect(200);
        let of = |key: &str| shown[key].clone();
        assert_eq!(of("content"), json!(b64(letter)));
        assert_eq!((of("by"), of("media_type")), (json!("pa_harvest"), json!("text/plain")));
    }
    for stranger in [polar, &holder] {
        look(&server, stranger, &matter, hash).refused(404, "not_found");
    }
    look(&server, harvest, &matter, Hash::sha256(b"other")).refused(404, "not_found");
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    server.get_as(&auditor, &format!("/v1/documents/{matter}/{hash}")).refused(403, "scope_missing");
}

#[test]
fn a_document_is_erased_by_a_root_alone_and_only_when_its_dispute_has_ended() {
    let (server, _, payment) = scene();
    let [harvest, kino] = [0, 1].map(|at| &server.world.brands[at].issuing[0]);
    let (analyst, root) = (hire(&server), &server.world.roots[0]);
    let letter = b"what was agreed";
    let hash = Hash::sha256(letter);
    let args = FileDispute { evidence: vec![hash], ..over(id(&payment), "HARVEST", 100, "wrong_amount") };
    let matter = format!("dsp_{}.0", file(&server, harvest, "dispute.file", "/v1/disputes", &args));
    hand_in(&server, harvest, &matter, letter).expect(201);
    // By nobody else, and by nobody as long as somebody may need it.
    for key in [harvest, kino, &server.world.brands[0].root, &analyst] {
        erase(&server, key, &matter, hash).refused(403, "scope_missing");
    }
    let service = server.api_key(Whom::Operator, Role::Operator);
    let path = format!("/v1/documents/{matter}/{hash}");
    server.ask(&Ask::new("DELETE", &path).key(&service)).refused(403, "scope_missing");
    let problem = erase(&server, root, &matter, hash).refused(409, "not_ready");
    let detail = problem["detail"].as_str().expect("a reason");
    assert!(detail.contains(&matter) && detail.contains("filed") && detail.contains("has ended"), "{detail}");
    look(&server, kino, &matter, hash).expect(200);

    file(&server, harvest, "dispute.move", "/v1/disputes/moves", &step(id(&matter), DisputeStep::Withdraw));
    erase(&server, &analyst, &matter, hash).refused(403, "scope_missing");
    let gone = erase(&server, root, &matter, hash).expect(200);
    assert_eq!((&gone["kept"], &gone["erased"]["by"]), (&json!(false), &json!(root.kid)), "{gone}");
    assert_eq!(gone["erased"]["reason"], "holder-asked", "{gone}");
    // Once more, by another root, changes nothing: who did it first did it.
    assert_eq!(erase(&server, &server.world.roots[1], &matter, hash).expect(200), gone);
    // Both sides are told when, by which key and why; it does not come back.
    let at = gone["erased"]["at"].as_str().expect("an instant").to_owned();
    let told = [look(&server, harvest, &matter, hash), look(&server, kino, &matter, hash)]
        .map(|reply| reply.refused(410, "document_erased"));
    let again = hand_in(&server, harvest, &matter, letter).refused(409, "already_taken");
    for problem in told.iter().chain([&again]) {
        let detail = problem["detail"].as_str().expect("a reason");
        for said in [at.as_str(), &root.kid.to_string(), "holder-asked"] {
            assert!(detail.contains(said), "{detail}");
        }
    }
}

#[test]
fn a_complaints_document_is_its_holders_and_the_brands() {
    let (server, holder, _) = scene();
    let stranger = open(&server, harvest(), 1).key;
    let account = server.world.holder(harvest(), 0).account;
    let receipt = b"a receipt";
    let hash = Hash::sha256(receipt);
    let args = FileComplaint { account, reason: id("missing_points"), payment: None, evidence: vec![hash] };
    let seq = file(&server, &holder, "complaint.file", "/v1/complaints", &args);
    let matter = format!("cmp_{seq}.0");
    let [harvest, kino] = [0, 1].map(|at| &server.world.brands[at].issuing[0]);
    hand_in(&server, kino, &matter, receipt).refused(404, "not_found");
    hand_in(&server, &holder, &matter, receipt).expect(201);
    let (analyst, root) = (hire(&server), &server.world.roots[0]);
    for reader in [&holder, harvest, &analyst, root] {
        assert_eq!(look(&server, reader, &matter, hash).expect(200)["by"], json!(account));
    }
    look(&server, kino, &matter, hash).refused(404, "not_found");
    // It is needed until nobody can go on: what is rejected may be appealed, and the house decides then.
    let open = || erase(&server, root, &matter, hash).refused(409, "not_ready");
    open();
    for (key, step) in [(harvest, ComplaintStep::Reject), (&holder, ComplaintStep::Appeal)] {
        let args = MoveComplaint { complaint: id(&matter), step, evidence: vec![] };
        file(&server, key, "complaint.move", "/v1/complaints/moves", &args);
        open();
    }
    server.get_signed(&analyst, &format!("/v1/complaints/{matter}")).expect(200);
    // Listed for the same: the holder's own, the brand's, all for the house; of others' accounts nobody learns anything.
    let listed = |key: &Key, query: &str| {
        let list = server.get_signed(key, &format!("/v1/complaints{query}")).expect(200);
        list["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|one| one["complaint"].clone())
            .collect::<Vec<_>>()
    };
    let of = format!("?account={account}");
    for (key, query) in
        [(&holder, ""), (harvest, "?open=true"), (harvest, &of), (&analyst, "?stage=appealed")]
    {
        assert_eq!(listed(key, query), [json!(matter)], "{query}");
    }
    for (key, query) in [(harvest, "?open=false"), (kino, ""), (&stranger, "")] {
        assert!(listed(key, query).is_empty(), "{query}");
    }
    for key in [kino, &stranger] {
        server.get_signed(key, &format!("/v1/complaints{of}")).refused(404, "not_found");
    }
    let args = MoveComplaint { complaint: id(&matter), step: ComplaintStep::Uphold, evidence: vec![] };
    file(&server, &analyst, "complaint.move", "/v1/complaints/moves", &args);
    erase(&server, root, &matter, hash).expect(200);
    look(&server, &holder, &matter, hash).refused(410, "document_erased");
}
