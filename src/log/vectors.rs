//! Vectors: a small log written down completely, for readers in other languages.
//!
//! Owns: `schemas/vectors/log.json`, which the test below compares with what the code makes. Set
//! `UPDATE_VECTORS=1` to write the file anew after an intended change of the format.

use super::proof::tests::{signer, verifier};
use super::*;
use crate::types::{Hash, Time, encode, hex};
use serde_json::{Value, json, value::RawValue};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/vectors/log.json");

/// An entry with all that was put into it.
struct Entry {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

fn part(salt: u8, body: Value) -> Slot {
    Slot::Whole(seal([salt; 16], &encode(&body)).expect("a part"))
}

/// Genesis, an award with two parts of which one was erased later, a payment with three.
fn entries() -> (Chain, Vec<Entry>) {
    let genesis = json!({"nonce": "00".repeat(32), "live": false});
    let genesis = RawValue::from_string(String::from_utf8(encode(&genesis)).expect("UTF-8")).expect("JSON");
    let award = vec![part(1, json!({"said": "erased on request"})), part(2, json!({"done": ["é", -1, 0]}))];
    let payment = vec![part(3, json!({"said": 1})), part(4, json!({})), part(5, json!({"done": []}))];
    let contents = [
        ("2026-11-20T22:39:14.000000Z", "genesis", Some(genesis), vec![]),
        ("2026-11-20T22:39:14.000001Z", "points.awarded", None, award),
        ("2026-11-21T08:00:00.123456Z", "payment.captured", None, payment),
    ];
    let mut chain = Chain::start();
    let mut entries = Vec::new();
    for (at, kind, public, slots) in contents {
        let at: Time = at.parse().expect("an instant");
        let parts = PartsRef::of(&slots).expect("few enough");
        let (_, bytes) = chain.append(at, kind, public, parts).expect("follows");
        entries.push(Entry { bytes, slots });
    }
    entries[1].slots[0] = entries[1].slots[0].erase();
    (chain, entries)
}

fn described(entry: &Entry, size: u64, root: Hash) -> Value {
    let parts: Vec<Value> = entry
        .slots
        .iter()
        .map(|slot| match slot {
            Slot::Whole(bytes) => {
                let (salt, body) = open(bytes).expect("a part");
                json!({
                    "part": String::from_utf8_lossy(bytes),
                    "salt": hex(&salt),
                    "body": String::from_utf8_lossy(&body),
                    "leaf": slot.leaf_hash(),
                })
            }
            Slot::Erased(hash) => json!({"erased": true, "leaf": hash}),
        })
        .collect();
    json!({
        "envelope": String::from_utf8_lossy(&entry.bytes),
        "blake3": Envelope::hash(&entry.bytes),
        "leaf": leaf_hash(&entry.bytes),
        "parts": parts,
        "parts_root": parts_root(&entry.slots),
        "tree": {"size": size, "root": root},
    })
}

/// Everything in the file, made by the code.
fn made() -> Value {
    let (chain, entries) = entries();
    let mut tiles = TileSet::default();
    let mut described_entries = Vec::new();
    for entry in &entries {
        tiles.push(leaf_hash(&entry.bytes));
        let size = tiles.size();
        described_entries.push(described(entry, size, root_at(size, &tiles).expect("a root")));
    }
    let note = signer().sign(3, chain.root());
    let path = inclusion(1, 3, &tiles).expect("in the tree");
    let proof = Proof::make(&entries[1].bytes, path, &entries[1].slots, &[1], &note).expect("a proof");
    let tile = tiles.tile(0, 0, 3).expect("the only tile");
    let bytes = bundle(entries.iter().map(|entry| entry.bytes.as_slice())).expect("a bundle");
    let files: Vec<String> = tiles_of(3).iter().map(ToString::to_string).collect();
    assert_eq!(files, ["tile/0/000.p/3", "tile/entries/000.p/3"]);
    json!({
        "about": "A log of three entries. Hashes are hexadecimal; blake3 is over the envelope's bytes and is \
                  prev of the next; leaf, parts_root, tree and paths are RFC 6962 with SHA-256.",
        "net": Hash::blake3(br#"{"live":false,"nonce":"0000000000000000000000000000000000000000000000000000000000000000"}"#),
        "entries": described_entries,
        "log": {"origin": "points.example/log", "seed": hex(&[7; 32]), "vkey": signer().vkey()},
        "checkpoint": note,
        "tiles": {&files[0]: hex(&tile), &files[1]: hex(&bytes)},
        "consistency": [
            {"old": 1, "new": 3, "proof": consistency(1, 3, &tiles).expect("a proof")},
            {"old": 2, "new": 3, "proof": consistency(2, 3, &tiles).expect("a proof")},
        ],
        "proof": proof,
        "tlog_proof": proof.to_tlog_proof().expect("text"),
    })
}

#[test]
fn the_file_is_what_the_code_makes() {
    let made = serde_json::to_string_pretty(&made()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|v| v == "1") {
        std::fs::write(FILE, &made).expect("schemas/vectors can be written");
    }
    let file = std::fs::read_to_string(FILE).expect("schemas/vectors/log.json is there");
    assert!(
        file == made,
        "schemas/vectors/log.json differs from what the code makes; UPDATE_VECTORS=1 rewrites it"
    );
}

/// Reads the file as a stranger would and checks all of it.
#[test]
fn the_file_verifies() {
    let file = std::fs::read_to_string(FILE).expect("schemas/vectors/log.json is there");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let hash = |value: &Value| Hash::parse(&text(value)).expect("a hash");
    let mut chain = Chain::start();
    for entry in file["entries"].as_array().expect("entries") {
        let envelope = chain.accept(text(&entry["envelope"]).as_bytes()).expect("follows");
        assert_eq!(chain.tip().expect("a tip").hash, hash(&entry["blake3"]));
        assert_eq!(chain.root(), hash(&entry["tree"]["root"]));
        assert_eq!(envelope.parts.root, hash(&entry["parts_root"]));
        let leaves: Vec<Hash> =
            entry["parts"].as_array().expect("parts").iter().map(|p| hash(&p["leaf"])).collect();
        assert_eq!(envelope.parts.root, root_of(&leaves));
    }
    let genesis = Envelope::decode(text(&file["entries"][0]["envelope"]).as_bytes()).expect("genesis");
    assert_eq!(genesis.prev, hash(&file["net"]));
    let checkpoint = verifier().verify(&text(&file["checkpoint"])).expect("signed");
    assert_eq!((checkpoint.size, checkpoint.root), (3, chain.root()));
    assert_eq!(text(&file["log"]["vkey"]), signer().vkey());
    for proof in file["consistency"].as_array().expect("proofs") {
        let old = proof["old"].as_u64().expect("a size");
        let before = hash(&file["entries"][old as usize - 1]["tree"]["root"]);
        let hashes: Vec<Hash> = serde_json::from_value(proof["proof"].clone()).expect("hashes");
        assert_eq!(check_consistency(old, &before, 3, &chain.root(), &hashes), Ok(()));
    }
    let proof: Proof = serde_json::from_value(file["proof"].clone()).expect("a proof");
    assert_eq!(proof.verify(&verifier()).expect("proven").parts.len(), 1);
    let bare = Proof::from_tlog_proof(&text(&file["tlog_proof"])).expect("a proof");
    assert!(bare.verify(&verifier()).is_ok());
}
