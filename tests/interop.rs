//! Interop: tools that are not ours accept what we write, and reject it when it was tampered with.
//!
//! Owns: the data that the scripts of `tests/interop` get.
//! Promises: each script is content with what we write, and objects to it when a bit was flipped.
//! Refuses to know: how the scripts check; each says what it checked.

mod common;

use common::tools::{accepts, must_run, node_script, python_script, rejects, workshop};
use common::tour::Tour;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use tallyhouse::log::{
    Envelope, LogSigner, Proof, Shelf, Slot, TileSet, TileSource, bundle, inclusion, leaf_hash, root_at,
    tiles_of,
};
use tallyhouse::machine::{PartBody, Request};
use tallyhouse::sign::{Jws, SecretKey, Typ};
use tallyhouse::types::{b64, decode};

const SEED: [u8; 32] = [42; 32];

/// Entries of the log that is exported: more than a full tile, and a partial one.
const SIZE: u64 = 400;

static EXPORT: LazyLock<Export> = LazyLock::new(Export::make);

/// A log as it is exported: envelopes.ndjson, parts.ndjson, proof.json and `static`.
struct Export {
    /// Under the target folder, made anew by each run: what a static holds is never dropped.
    folder: PathBuf,
    tour: Tour,
    vkey: String,
}

impl Export {
    fn make() -> Self {
        let mut tour = Tour::take();
        tour.lengthen(SIZE);
        let signer = LogSigner::new(&tour.world.genesis.origin, &SEED).expect("a log's name");
        let folder = workshop().join("export");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("an old export can be removed");
        }
        let export = Self { folder, tour, vkey: signer.vkey() };
        export.write_lines();
        export.write_static(&signer);
        export
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    fn write_lines(&self) {
        let (mut envelopes, mut parts) = (vec![], vec![]);
        for entry in &self.tour.node.entries {
            envelopes.extend_from_slice(&entry.envelope);
            envelopes.push(b'\n');
            for (index, part) in entry.parts.iter().enumerate() {
                // One part is exported as what remains after it was erased.
                let erased = entry.seq == SIZE - 1 && index == 0;
                let text = std::str::from_utf8(part).expect("text");
                let line = match erased {
                    true => json!({"seq": entry.seq, "index": index, "erased": leaf_hash(part)}),
                    false => json!({"seq": entry.seq, "index": index, "part": text}),
                };
                parts.extend_from_slice(line.to_string().as_bytes());
                parts.push(b'\n');
            }
        }
        self.write("envelopes.ndjson", envelopes);
        self.write("parts.ndjson", parts);
    }

    fn write_static(&self, signer: &LogSigner) {
        let entries = &self.tour.node.entries;
        let mut tiles = TileSet::default();
        for (entry, size) in entries.iter().zip(1..) {
            tiles.push(leaf_hash(&entry.envelope));
            if [1, 100, 256].contains(&size) {
                self.write(&format!("old-{size}"), signer.sign(size, root_at(size, &tiles).expect("a root")));
            }
        }
        let note = signer.sign(SIZE, self.tour.node.chain.root());
        for id in tiles_of(SIZE) {
            let bytes = match id.shelf {
                Shelf::Hashes(level) => tiles.tile(level, id.index, id.width).expect("a tile"),
                Shelf::Entries => {
                    let from = id.index as usize * 256;
                    let lines = &entries[from..from + usize::from(id.width)];
                    bundle(lines.iter().map(|entry| entry.envelope.as_slice())).expect("a bundle")
                }
            };
            self.write(&format!("static/{id}"), bytes);
        }
        self.write("static/checkpoint", &note);
        self.write("static/vkey", format!("{}\n", self.vkey));
        let entry = entries.iter().max_by_key(|entry| entry.parts.len()).expect("entries");
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        let path = inclusion(entry.seq, SIZE, &tiles).expect("in the tree");
        let own: Vec<u32> = (0..slots.len() as u32).step_by(2).collect();
        let proof = Proof::make(&entry.envelope, path, &slots, &own, &note).expect("a proof");
        proof.verify(&self.vkey.parse().expect("a verifier key")).expect("our own proof");
        self.write("proof.json", proof.encode());
    }

    /// The export again in a folder of its own, with one bit of one byte of a file flipped.
    fn tampered(&self, name: &str, byte: impl FnOnce(usize) -> usize) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(&self.folder, copy.path());
        let path = copy.path().join(name);
        let mut bytes = std::fs::read(&path).expect("a file");
        let at = byte(bytes.len());
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("a file");
        copy
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("a file")),
        }
    }
}

fn chain(folder: &Path) -> Command {
    let mut command = python_script("chain.py");
    command.arg(folder.join("envelopes.ndjson")).arg(EXPORT.tour.world.net.to_string());
    command
}

fn roots(folder: &Path) -> Command {
    let mut command = python_script("roots.py");
    command.args(
        ["envelopes.ndjson", "parts.ndjson", "static/checkpoint", "proof.json"].map(|name| folder.join(name)),
    );
    command
}

fn tlog(folder: &Path) -> Command {
    let mut command = python_script("tlog.py");
    // The verifier key comes from elsewhere than what it verifies.
    command.arg(folder.join("static")).arg(EXPORT.path("static/vkey"));
    command.args(["old-1", "old-100", "old-256"].map(|name| folder.join(name)));
    command
}

#[test]
fn the_chain_holds_for_blake3() {
    let said = accepts(&mut chain(&EXPORT.folder), "chain.py");
    assert!(said.contains(&format!("{SIZE} envelopes")), "{said}");
    let copy = EXPORT.tampered("envelopes.ndjson", |len| len / 3);
    rejects(&mut chain(copy.path()), "chain.py");
    let mut other = python_script("chain.py");
    rejects(other.arg(EXPORT.path("envelopes.ndjson")).arg("0".repeat(64)), "chain.py");
}

#[test]
fn the_roots_hold_for_pymerkle() {
    let said = accepts(&mut roots(&EXPORT.folder), "roots.py");
    assert!(said.contains("1 proofs"), "{said}");
    let parts = std::fs::read_to_string(EXPORT.path("parts.ndjson")).expect("parts");
    let salt = parts.find(r#"\"salt\":\""#).expect("a salt") + 12;
    for (name, at) in [("envelopes.ndjson", 100), ("parts.ndjson", salt), ("static/checkpoint", 25)] {
        let copy = EXPORT.tampered(name, |_| at);
        rejects(&mut roots(copy.path()), "roots.py");
    }
    let proof = std::fs::read_to_string(EXPORT.path("proof.json")).expect("a proof");
    let paths = proof.find(r#""path":[""#).expect("a path") + 10;
    let copy = EXPORT.tampered("proof.json", |_| paths);
    rejects(&mut roots(copy.path()), "roots.py");
}

#[test]
fn the_log_holds_for_aics_tlog() {
    let said = accepts(&mut tlog(&EXPORT.folder), "tlog.py");
    assert!(said.contains(&format!("{SIZE} entries")) && said.contains("3 of them signed"), "{said}");
    let names = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/144",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/144",
    ];
    for name in names {
        let copy = EXPORT.tampered(&format!("static/{name}"), |len| len / 2);
        rejects(&mut tlog(copy.path()), "tlog.py");
    }
    let copy = EXPORT.tampered("old-100", |len| len - 20);
    rejects(&mut tlog(copy.path()), "tlog.py");
    let stranger = LogSigner::new(&EXPORT.tour.world.genesis.origin, &[43; 32]).expect("a log's name").vkey();
    rejects(python_script("tlog.py").arg(EXPORT.path("static")).arg(stranger), "tlog.py");
}

/// Tokens of every type: those of the golden vectors that have an audience, and evidence from the log.
fn tokens() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/vectors/jws.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).expect("the vectors")).expect("JSON");
    let with_audience = |one: &&Value| one["payload"].as_str().is_some_and(|text| text.contains(r#""aud""#));
    let golden = vectors.as_array().expect("vectors").iter().filter(with_audience);
    let mut tokens: Vec<Value> = golden
        .map(|one| json!({"token": one["token"], "jwk": one["jwk"], "typ": one["typ"], "aud": "example"}))
        .collect();
    assert_eq!(tokens.len(), Typ::ALL.len());
    let bodies = EXPORT.tour.node.entries.iter().flat_map(|entry| &entry.parts).map(|part| {
        let (_, body) = tallyhouse::log::open(part).expect("our own part");
        decode::<PartBody>(&body).expect("our own part")
    });
    let mut seen = vec![];
    for jws in bodies.filter_map(|body| body.jws) {
        let name = tallyhouse::book::Name::Key(jws.kid());
        let key =
            EXPORT.tour.node.state.get(&name).and_then(|record| record.key()).expect("a registered key");
        if !seen.contains(&(jws.typ(), jws.kid())) {
            seen.push((jws.typ(), jws.kid()));
            let net = EXPORT.tour.world.net;
            tokens
                .push(json!({"token": jws.text(), "jwk": key.key, "typ": jws.typ().to_string(), "aud": net}));
        }
    }
    assert!(tokens.len() > Typ::ALL.len() + 5, "the log has evidence");
    tokens
}

/// A script verifies our tokens, and not tampered ones.
fn verifies(script: impl Fn() -> Command, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, tokens: &[Value]| {
        let path = folder.path().join(name);
        std::fs::write(&path, serde_json::to_vec(tokens).expect("JSON")).expect("a file");
        path
    };
    let mut tokens = tokens();
    accepts(script().arg("verify").arg(write("good.json", &tokens)), name);
    let token = tokens[3]["token"].as_str().expect("a token").to_owned();
    let middle = token.len() / 2;
    let other = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
    tokens[3]["token"] = json!(format!("{}{other}{}", &token[..middle], &token[middle + 1..]));
    rejects(script().arg("verify").arg(write("bad.json", &tokens)), name);
}

/// A script makes a token that the network takes in; changed ones it does not.
fn makes(script: impl Fn() -> Command, jti: &str) {
    let (world, folder) = (&EXPORT.tour.world, tempfile::tempdir().expect("a folder"));
    let mut node = common::node::PureNode::founded(world);
    let (brand, unit) = (&world.brands[0], world.brands[0].units[0].unit);
    let at = common::world::beginning().plus_seconds(60);
    let claims = world.token(brand, unit, jti, world.holder(unit, 9).account, 5, at);
    let key: &SecretKey = &brand.issuing[0].secret;
    let jwk: Value = serde_json::from_str(&key.to_jwk_private()).expect("JSON");
    let order = json!([{"jwk": jwk, "typ": Typ::PointToken.to_string(), "claims": claims}]);
    let path = folder.path().join("orders.json");
    std::fs::write(&path, order.to_string()).expect("a file");
    let made = must_run(script().arg("make").arg(&path), "");
    let token = made.trim_end();
    assert_eq!(Jws::parse(token).and_then(|jws| jws.verify(&key.public())), Ok(()), "{token}");
    let request = |token: &str| Request::of(vec![token.to_owned()]);
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let bent = format!(
        "{signed}.{}",
        b64(&{
            let mut bytes = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
            bytes[40] ^= 1;
            bytes
        })
    );
    assert!(node.submit(&request(&bent), at).is_err(), "a bent signature is taken");
    assert!(node.submit(&request(&format!("{token}=")), at).is_err(), "padding is taken");
    let answer = node.submit(&request(token), at).expect("the network takes the token in");
    let entry = &node.entries[answer.seq as usize];
    assert_eq!(Envelope::decode(&entry.envelope).expect("an entry").kind, "points.issued");
}

#[test]
fn tokens_hold_for_pyjwt() {
    verifies(|| python_script("tokens.py"), "tokens.py");
    makes(|| python_script("tokens.py"), "by-pyjwt");
}

#[test]
fn tokens_hold_for_jose() {
    verifies(|| node_script("tokens.mjs"), "tokens.mjs");
    makes(|| node_script("tokens.mjs"), "by-jose");
}
