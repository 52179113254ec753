//! Checkpoints: the signed size and root of the log's tree.
//!
//! Owns: the log key's name and verifier key, the checkpoint's three lines, signing and checking them.
//! Promises: the format is C2SP tlog-checkpoint in a C2SP signed note, key type 0x01, no extension
//! lines; what is accepted was signed by the given key under ed25519's strict rules, whatever
//! cosignatures of others stand beside it.
//! Refuses to know: where keys come from, which witnesses count, and when a checkpoint is published.

use crate::sign::SecretKey;
use crate::types::{Hash, MAX_INT, Malformed};
use data_encoding::BASE64;
use ed25519_dalek::{Signature as Ed25519, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use signed_note::{Note, Signature, is_key_name_valid};
use std::fmt;

/// C2SP signed-note's number for ed25519.
const ED25519: u8 = 0x01;

/// What the log's key says about the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, such as `points.example/log`; also the name of its key.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The RFC 6962 root over their envelopes.
    pub root: Hash,
}

impl Checkpoint {
    /// The three lines that are signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }

    /// Reads exactly three lines.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok().map(Hash)?;
        let size = size.parse().ok().filter(|size| *size <= MAX_INT)?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// Why a signed note is not a checkpoint of the log asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Not a C2SP signed note.
    #[error("not a signed note")]
    Format,
    /// No signature by the log's key, or more than one.
    #[error("the note has not exactly one signature by the log's key")]
    Unsigned,
    /// The signature by the log's key does not verify.
    #[error("the signature by the log's key does not verify")]
    Signature,
    /// Signed, and not the three lines of a checkpoint.
    #[error("the signed text is not a checkpoint of three lines")]
    Lines,
    /// A checkpoint of a log whose name is not the key's.
    #[error("the checkpoint is of another log")]
    Origin,
}

/// The log's verifier key: `<name>+<8 hex>+<base64 of type and key>`.
pub fn vkey(name: &str, public: &[u8; 32]) -> String {
    let id = data_encoding::HEXLOWER.encode(&key_id(name, public));
    format!("{name}+{id}+{}", BASE64.encode(&typed(public)))
}

/// Signs one checkpoint. Whoever signs many makes a [`LogSigner`] once.
pub fn sign(origin: &str, size: u64, root: Hash, seed: &[u8; 32]) -> Result<String, Malformed> {
    Ok(LogSigner::new(origin, seed)?.sign(size, root))
}

/// Checks one checkpoint. Whoever checks many makes a [`LogVerifier`] once.
pub fn verify(note: &str, vkey: &str) -> Result<Checkpoint, BadNote> {
    vkey.parse::<LogVerifier>().map_err(|_| BadNote::Unsigned)?.verify(note)
}

/// The first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key).
fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(typed(public)).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
    [a, b, c, d]
}

fn typed(public: &[u8; 32]) -> Vec<u8> {
    [&[ED25519][..], public].concat()
}

/// A name that can stand in a note: not empty, no white space, no plus, no control characters.
fn check_name(name: &str) -> Result<(), Malformed> {
    if is_key_name_valid(name) && name.len() <= 255 && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Malformed(format!("{name:?} cannot be a log's name")))
    }
}

/// Signs checkpoints with the log's key.
pub struct LogSigner {
    origin: String,
    id: [u8; 4],
    key: SigningKey,
}

impl LogSigner {
    /// From the log's name and the 32 bytes of its ed25519 seed.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self, Malformed> {
        check_name(origin)?;
        let key = SigningKey::from_bytes(seed);
        let id = key_id(origin, key.verifying_key().as_bytes());
        Ok(Self { origin: origin.to_owned(), id, key })
    }

    /// From the log's name and its key.
    pub fn of(origin: &str, key: &SecretKey) -> Result<Self, Malformed> {
        Self::new(origin, &key.seed())
    }

    /// The verifier key to publish.
    pub fn vkey(&self) -> String {
        vkey(&self.origin, self.key.verifying_key().as_bytes())
    }

    /// The signed note over a size and a root. The same input gives the same bytes.
    pub fn sign(&self, size: u64, root: Hash) -> String {
        let origin = &self.origin;
        let text = Checkpoint { origin: origin.clone(), size, root }.text();
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let line = BASE64.encode(&[&self.id[..], &signature].concat());
        format!("{text}\n— {origin} {line}\n")
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed stays out of every message.
        write!(f, "LogSigner({})", self.vkey())
    }
}

/// Checks checkpoints against one log's key, which comes from outside the server that shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl std::str::FromStr for LogVerifier {
    type Err = Malformed;
    /// Reads a verifier key; the key's type must be 0x01.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not a verifier key <name>+<id>+<key> of type 0x01"));
        let mut fields = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(no());
        };
        check_name(name)?;
        let bytes = BASE64.decode(key.as_bytes()).map_err(|_| no())?;
        let public = match bytes.split_first_chunk::<1>() {
            Some(([ED25519], key)) => <[u8; 32]>::try_from(key).map_err(|_| no())?,
            _ => return Err(no()),
        };
        let key = VerifyingKey::from_bytes(&public).map_err(|_| no())?;
        // One spelling: this also compares the id.
        if key.is_weak() || vkey(name, &public) != text {
            return Err(no());
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, &public), key })
    }
}

impl LogVerifier {
    /// The name of the log and of its key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checkpoint in a signed note. Signatures by other keys are left to others.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, BadNote> {
        let text = self.signed_text(note)?;
        let checkpoint = Checkpoint::parse(&text).ok_or(BadNote::Lines)?;
        if checkpoint.origin == self.name { Ok(checkpoint) } else { Err(BadNote::Origin) }
    }

    /// The text of a note that bears exactly one signature by this key.
    fn signed_text(&self, note: &str) -> Result<String, BadNote> {
        Note::from_bytes(note.as_bytes()).map_err(|_| BadNote::Format)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(BadNote::Format)?;
        let text = format!("{text}\n");
        let id = u32::from_be_bytes(self.id);
        let signatures = lines.lines().filter_map(|line| Signature::from_bytes(line.as_bytes()).ok());
        let mut ours = signatures.filter(|signature| signature.name() == self.name && signature.id() == id);
        let (Some(signature), None) = (ours.next(), ours.next()) else {
            return Err(BadNote::Unsigned);
        };
        let signature = Ed25519::from_slice(signature.signature()).map_err(|_| BadNote::Signature)?;
        self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| BadNote::Signature)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::EMPTY_ROOT;
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: &str = "points.example/log";
    const SEED: [u8; 32] = [7; 32];

    fn signer() -> LogSigner {
        LogSigner::new(ORIGIN, &SEED).expect("a name")
    }

    fn verifier() -> LogVerifier {
        signer().vkey().parse().expect("a verifier key")
    }

    #[test]
    fn the_published_vector() {
        let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let signature =
            "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
        let verifier: LogVerifier = key.parse().expect("a verifier key");
        assert_eq!(verifier.name(), "example.com/foo");
        let note = format!("This is an example message.\n\n— example.com/foo {signature}\n");
        assert_eq!(verifier.signed_text(&note), Ok("This is an example message.\n".into()));
        assert_eq!(verifier.verify(&note), Err(BadNote::Lines));
        let other = note.replace("message.", "message!");
        assert_eq!(verifier.signed_text(&other), Err(BadNote::Signature));
    }

    #[test]
    fn a_checkpoint_is_three_signed_lines() {
        let note = signer().sign(0, EMPTY_ROOT);
        let expected =
            "points.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— points.example/log ";
        assert!(note.starts_with(expected), "{note}");
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 0, root: EMPTY_ROOT };
        assert_eq!(verify(&note, &signer().vkey()), Ok(checkpoint));
        assert_eq!(sign(ORIGIN, 0, EMPTY_ROOT, &SEED), Ok(note));
    }

    #[test]
    fn the_signed_note_crate_agrees() {
        use signed_note::{StandardVerifier, VerifierList};
        let theirs = StandardVerifier::new(&signer().vkey()).expect("a verifier key");
        let note = Note::from_bytes(signer().sign(9, Hash([3; 32])).as_bytes()).expect("a note");
        assert!(note.verify(&VerifierList::new(vec![Box::new(theirs)])).is_ok());
    }

    /// A note with any text, signed by the log's key.
    fn signed(text: &str) -> String {
        let signature = signer().key.sign(text.as_bytes()).to_bytes();
        format!("{text}\n— {ORIGIN} {}\n", BASE64.encode(&[&signer().id[..], &signature].concat()))
    }

    #[test]
    fn signed_texts_that_are_no_checkpoints() {
        let root = BASE64.encode(&[1; 32]);
        assert!(verifier().verify(&signed(&format!("{ORIGIN}\n5\n{root}\n"))).is_ok());
        let bad = [
            format!("{ORIGIN}\n5\n{root}\nextension\n"),
            format!("{ORIGIN}\n05\n{root}\n"),
            format!("{ORIGIN}\n+5\n{root}\n"),
            format!("{ORIGIN}\n-5\n{root}\n"),
            format!("{ORIGIN}\n9007199254740992\n{root}\n"),
            format!("{ORIGIN}\n5\n{}\n", root.trim_end_matches('=')),
            format!("{ORIGIN}\n5\n{}\n", BASE64.encode(&[1; 31])),
            format!("{ORIGIN}\n5\n"),
            format!("{ORIGIN}\n5\n{root} \n"),
            format!("\n{ORIGIN}\n5\n{root}\n"),
        ];
        for text in bad {
            assert_eq!(verifier().verify(&signed(&text)), Err(BadNote::Lines), "{text}");
        }
        let foreign = signed(&format!("other.example/log\n5\n{root}\n"));
        assert_eq!(verifier().verify(&foreign), Err(BadNote::Origin));
    }

    #[test]
    fn one_signature_by_the_log_counts_and_others_do_not() {
        let note = signer().sign(5, Hash([1; 32]));
        let ours = note.lines().last().expect("a signature");
        let other = LogSigner::new("witness.example", &[9; 32]).expect("a name").sign(5, Hash([1; 32]));
        let theirs = other.lines().last().expect("a signature");
        assert!(verifier().verify(&format!("{note}{theirs}\n")).is_ok(), "a cosignature may stand beside");
        assert_eq!(verifier().verify(&format!("{note}{ours}\n")), Err(BadNote::Unsigned));
        assert_eq!(verifier().verify(&note.replace(ours, theirs)), Err(BadNote::Unsigned));
        assert_eq!(verifier().verify(&other), Err(BadNote::Unsigned));
        assert_eq!(verifier().verify(note.trim_end()), Err(BadNote::Format));
        assert_eq!(verifier().verify(&note.replace("\n\n", "\n")), Err(BadNote::Format));
        assert_eq!(verifier().verify(""), Err(BadNote::Format));
    }

    #[test]
    fn verifier_keys_have_one_spelling() {
        let key = signer().vkey();
        let (name, rest) = key.split_once('+').expect("a name");
        let (id, public) = rest.split_once('+').expect("an id");
        let typed_4 = BASE64.encode(&[&[4u8][..], signer().key.verifying_key().as_bytes()].concat());
        let bad = [
            format!("{name}+{}+{public}", id.to_uppercase()),
            format!("{name}+00000000+{public}"),
            format!("other+{id}+{public}"),
            format!("{name}+{id}+{typed_4}"),
            format!("{name}+{id}+{}", public.trim_end_matches('=')),
            format!("+{id}+{public}"),
            format!("{name}+{id}"),
            format!("{key}\n"),
            // The neutral element: a key under which anything can be signed.
            vkey("weak", &[&[1u8][..], &[0; 31]].concat().try_into().expect("32 bytes")),
        ];
        for text in bad {
            assert!(text == key || text.parse::<LogVerifier>().is_err(), "{text}");
        }
        assert!(id.chars().any(|c| c.is_ascii_lowercase()), "the first case above differs");
        for name in ["", "a b", "a+b", "a\nb", "a\u{7f}", &"x".repeat(256)] {
            assert!(LogSigner::new(name, &SEED).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_seed_is_never_shown() {
        assert_eq!(format!("{:?}", signer()), format!("LogSigner({})", signer().vkey()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_change_is_noticed(size in 0..=MAX_INT, root in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let note = signer().sign(size, Hash(root));
            let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root: Hash(root) };
            prop_assert_eq!(verifier().verify(&note), Ok(checkpoint));
            let mut bytes = note.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(changed == note || verifier().verify(&changed).is_err());
            }
        }
    }
}
