//! Ed25519 keys: what a usable one is, how it is written, named, derived and used.
//!
//! Owns: the JWK form (RFC 8037), the thumbprint that names a key (RFC 7638), and the one predicate that
//! says whether a signature holds: RFC 8032 with canonical `S`, no small-order points and no cofactor,
//! which is `verify_strict` of `ed25519-dalek`.
//! Promises: a [`PublicKey`] is a point of large order in its canonical spelling; a [`SecretKey`] never
//! shows itself by accident and is wiped from memory when dropped.
//! Refuses to know: what a key is for and whose it is. A point with a small-order component besides the
//! large one is taken: the predicate is the same for everybody, so nobody can be told two answers.

use super::grammar::object;
use crate::types::{Hash, Kid, Malformed, UnitCode, b64};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What a phone derives the keys of its accounts under (BLAKE3's key derivation). Part of the format.
const ACCOUNT_KEY: &str = "tallyhouse 2026 account key";

/// A public key: 32 bytes that were found to be a usable point when the key was first taken in. Written as
/// the JWK object `{"kty":"OKP","crv":"Ed25519","x":"<43 base64url characters>"}`, with no other members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032. Refused are bytes that are no point of the curve, points of small
    /// order (anybody could sign for them) and a second spelling of a point (a second name for one key).
    ///
    /// This decompresses the point, a tenth of what checking a signature costs.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, Malformed> {
        let no = |why: &str| Malformed(format!("not a usable Ed25519 key: {why}"));
        let point = VerifyingKey::from_bytes(&bytes).map_err(|_| no("no point of the curve"))?;
        if point.is_weak() {
            return Err(no("a point of small order"));
        }
        if point.to_edwards().compress().to_bytes() != bytes {
            return Err(no("not in canonical form"));
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's name: SHA-256 of its JWK in the form of RFC 7638.
    pub fn kid(&self) -> Kid {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(&self.0));
        Kid(Hash::sha256(jwk.as_bytes()))
    }

    /// Whether this key made the signature over exactly this message. Whoever checks many signatures of
    /// one key keeps its [`Verifier`].
    pub fn verify_strict(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        verifies(self.point().as_ref(), message, signature)
    }

    /// `None` only for a key that was read by [`recorded`] from a state that was damaged.
    fn point(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0).ok()
    }
}

/// The one predicate.
fn verifies(point: Option<&VerifyingKey>, message: &[u8], signature: &[u8; 64]) -> bool {
    point.is_some_and(|point| point.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// Reads a key back that was checked when it was registered: decompressing the point once more would cost
/// more than all else that is done with most records. Nothing verifies under bytes that are no point.
pub fn recorded<'de, D: Deserializer<'de>>(d: D) -> Result<PublicKey, D::Error> {
    object::<D, PublicJwk>(d)?.x().map(PublicKey).map_err(D::Error::custom)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", b64(&self.0))
    }
}

/// A public key made ready for many signatures: the point is decompressed and the name computed once.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    kid: Kid,
    key: PublicKey,
    point: Option<VerifyingKey>,
}

impl Verifier {
    /// Prepares a key.
    pub fn new(key: &PublicKey) -> Self {
        Self { kid: key.kid(), key: *key, point: key.point() }
    }

    /// The key's name.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The key itself.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether this key made the signature over exactly this message.
    pub fn verify_strict(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        verifies(self.point.as_ref(), message, signature)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.kid)
    }
}

/// A secret key. It has no `Clone`, its `Debug` shows the public name only, and it is wiped when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of 32 secret bytes (RFC 8032's private key). Randomness is the caller's.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// A consumer's key for one unit, from the one seed that the phone keeps: BLAKE3's `derive_key` with
    /// the context `tallyhouse 2026 account key` over the seed's 32 bytes and the unit's code in ASCII.
    pub fn derive(seed: &[u8; 32], unit: UnitCode) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ACCOUNT_KEY);
        hasher.update(seed).update(unit.as_str().as_bytes());
        Self(SigningKey::from_bytes(hasher.finalize().as_bytes()))
    }

    /// The 32 bytes that the key is made of, for a signer of another form.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        // A secret scalar is clamped: its point has large order, and dalek writes it canonically.
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message (RFC 8032, deterministic): the 64 bytes `R ‖ S`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The private JWK `{"kty","crv","x","d"}` as JSON text, for key files. The text is as secret as the
    /// key, and nothing wipes it.
    pub fn to_jwk_private(&self) -> String {
        let (x, d) = (b64(self.public().as_bytes()), b64(self.0.as_bytes()));
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{d}"}}"#)
    }

    /// Reads a private JWK of exactly `kty`, `crv`, `x` and `d`; `x` must be the public half of `d`. The
    /// error never repeats any of the text.
    pub fn from_jwk_private(text: &str) -> Result<Self, Malformed> {
        let no = |why: &str| Malformed(format!("not a private key: {why}"));
        let mut json = serde_json::Deserializer::from_str(text);
        let PrivateJwk { kty, crv, x, d } = object(&mut json)
            .and_then(|jwk| json.end().map(|()| jwk))
            .map_err(|_| no("a JSON object of exactly kty, crv, x and d is wanted"))?;
        let key = decode_32(&d).map(Self::from_seed).ok_or_else(|| no("d is not 32 bytes of base64url"))?;
        if (PublicJwk { kty, crv, x }).key()? != key.public() {
            return Err(no("x does not belong to d"));
        }
        Ok(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, hidden)", self.public().kid())
    }
}

/// A public JWK as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicJwk {
    kty: String,
    crv: String,
    x: String,
}

impl PublicJwk {
    fn x(&self) -> Result<[u8; 32], Malformed> {
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return Err(Malformed("a key has kty OKP and crv Ed25519".into()));
        }
        decode_32(&self.x)
            .ok_or_else(|| Malformed("x is not 32 bytes of strict base64url: 43 characters".into()))
    }

    fn key(&self) -> Result<PublicKey, Malformed> {
        self.x().and_then(PublicKey::from_bytes)
    }
}

/// A private JWK as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: String,
    d: String,
}

fn decode_32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // The length is compared first because decoding into a buffer of another length would panic.
    if BASE64URL_NOPAD.decode_len(text.len()) != Ok(bytes.len()) {
        return None;
    }
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes).is_ok().then_some(bytes)
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut jwk = s.serialize_struct("Jwk", 3)?;
        jwk.serialize_field("kty", "OKP")?;
        jwk.serialize_field("crv", "Ed25519")?;
        jwk.serialize_field("x", &b64(&self.0))?;
        jwk.end()
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        object::<D, PublicJwk>(d)?.key().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{decode, encode, hex};
    use proptest::prelude::*;

    /// RFC 8037, appendix A.
    const RFC_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const RFC_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn rfc_8037_appendix_a() {
        // A.1 to A.3: the key, its public half, its thumbprint.
        let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{RFC_D}","x":"{RFC_X}"}}"#);
        let key = SecretKey::from_jwk_private(&text).expect("the key of appendix A.1");
        assert_eq!(key.public().kid().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // A.4 and A.5: signing and checking. Our parser wants more of a header, so these are bare.
        let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = key.sign(input);
        assert_eq!(
            b64(&signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert!(key.public().verify_strict(input, &signature));
        assert!(!key.public().verify_strict(b"another", &signature));
    }

    /// Every point whose order divides 8, in every spelling that decompresses: as listed in "Taming the
    /// many EdDSAs" (Chalkias, Garillot, Nikolaenko), table 1.
    const SMALL_ORDER: &str = "
        0000000000000000000000000000000000000000000000000000000000000000
        0000000000000000000000000000000000000000000000000000000000000080
        0100000000000000000000000000000000000000000000000000000000000000
        0100000000000000000000000000000000000000000000000000000000000080
        ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
        eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05
        26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85
        c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a
        c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa
    ";

    fn bytes_32(hex: &str) -> [u8; 32] {
        Hash::parse(hex).expect("64 digits").0
    }

    #[test]
    fn weak_keys_are_no_keys() {
        for line in SMALL_ORDER.split_whitespace() {
            assert!(PublicKey::from_bytes(bytes_32(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        // y = 3 is a point of large order; y = p + 3 is the same point.
        let (three, again) = ("03", "f0");
        let canonical = format!("{three}{}", "00".repeat(31));
        let second = format!("{again}{}7f", "ff".repeat(30));
        let point = |hex: &str| VerifyingKey::from_bytes(&bytes_32(hex)).expect("a point");
        assert_eq!(point(&canonical).to_edwards(), point(&second).to_edwards());
        assert!(PublicKey::from_bytes(bytes_32(&canonical)).is_ok());
        assert!(PublicKey::from_bytes(bytes_32(&second)).is_err());
        // y = 2 is on no point.
        assert!(PublicKey::from_bytes(bytes_32(&format!("02{}", "00".repeat(31)))).is_err());
    }

    #[test]
    fn a_public_key_is_written_as_its_jwk() {
        let key = SecretKey::from_seed([7; 32]).public();
        let json = String::from_utf8(encode(&key)).expect("text");
        assert_eq!(json, format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(key.as_bytes())));
        assert_eq!(decode::<PublicKey>(json.as_bytes()), Ok(key));
    }

    #[test]
    fn public_jwks_that_are_refused() {
        let x = b64(SecretKey::from_seed([7; 32]).public().as_bytes());
        let weak = b64(&bytes_32(SMALL_ORDER.split_whitespace().nth(12).expect("a point of order 8")));
        let last = x.chars().next_back().expect("43 characters");
        let stray = x.replace(last, if last == 'Q' { "R" } else { "B" });
        let standard = x.replace(['-', '_'], "+");
        let rows = [
            ("private", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}"#)),
            ("unknown member", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"a"}}"#)),
            ("duplicate member", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","x":"{x}"}}"#)),
            ("no kty", format!(r#"{{"crv":"Ed25519","x":"{x}"}}"#)),
            ("no crv", format!(r#"{{"kty":"OKP","x":"{x}"}}"#)),
            ("no x", r#"{"kty":"OKP","crv":"Ed25519"}"#.to_owned()),
            ("other kty", format!(r#"{{"kty":"EC","crv":"Ed25519","x":"{x}"}}"#)),
            ("other crv", format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#)),
            ("padding", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}"#)),
            ("stray bits", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{stray}"}}"#)),
            ("standard alphabet", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{standard}"}}"#)),
            ("short", r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.to_owned()),
            ("small order", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{weak}"}}"#)),
            ("an array", format!(r#"["OKP","Ed25519","{x}"]"#)),
            ("text", format!(r#""{x}""#)),
            ("null d", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":null}}"#)),
            ("null x", r#"{"kty":"OKP","crv":"Ed25519","x":null}"#.to_owned()),
        ];
        for (name, json) in rows {
            assert!(serde_json::from_str::<PublicKey>(&json).is_err(), "{name}: {json}");
        }
    }

    #[test]
    fn private_jwks_that_are_refused() {
        let (key, other) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let (x, d) = (b64(key.public().as_bytes()), b64(&[1; 32]));
        let foreign = b64(other.public().as_bytes());
        let rows = [
            ("other x", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{foreign}","d":"{d}"}}"#)),
            ("no d", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)),
            ("no x", format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{d}"}}"#)),
            ("short d", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"AAAA"}}"#)),
            ("unknown", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{d}","use":"sig"}}"#)),
            ("other crv", format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}","d":"{d}"}}"#)),
            ("trailing", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{d}"}} 1"#)),
            ("an array", format!(r#"["OKP","Ed25519","{x}","{d}"]"#)),
        ];
        for (name, text) in rows {
            let refused = SecretKey::from_jwk_private(&text).err().unwrap_or_else(|| panic!("{name}: taken"));
            assert!(!refused.0.contains(&d), "{name} repeats the secret");
        }
    }

    #[test]
    fn a_secret_key_hides_itself() {
        let key = SecretKey::from_seed([0xAB; 32]);
        let shown = format!("{key:?} {key:#?}").to_lowercase();
        assert!(!shown.contains(&"ab".repeat(4)) && !shown.contains("171"), "{shown}");
        assert!(!shown.contains(&b64(&[0xAB; 32]).to_lowercase()), "{shown}");
        assert!(std::mem::needs_drop::<SecretKey>(), "nothing to wipe it");
    }

    #[test]
    fn account_keys_differ_by_seed_and_unit() {
        let unit = |code: &str| code.parse::<UnitCode>().expect("a unit");
        let derived = SecretKey::derive(&[3; 32], unit("HARVEST"));
        // The same bytes by BLAKE3's one-shot function.
        let again = blake3::derive_key("tallyhouse 2026 account key", &[&[3; 32][..], b"HARVEST"].concat());
        assert_eq!(hex(derived.0.as_bytes()), hex(&again));
        assert_ne!(derived.public(), SecretKey::derive(&[3; 32], unit("HARVEST2")).public());
        assert_ne!(derived.public(), SecretKey::derive(&[4; 32], unit("HARVEST")).public());
    }

    proptest! {
        #[test]
        fn keys_survive_their_files_and_sign(seed: [u8; 32], message: Vec<u8>, bit in 0..512usize) {
            let key = SecretKey::from_seed(seed);
            let public = key.public();
            prop_assert_eq!(PublicKey::from_bytes(*public.as_bytes()), Ok(public));
            let read = SecretKey::from_jwk_private(&key.to_jwk_private()).expect("its own file");
            prop_assert_eq!(read.public(), public);
            let mut signature = key.sign(&message);
            prop_assert_eq!(read.sign(&message), signature);
            let verifier = Verifier::new(&public);
            prop_assert_eq!((verifier.kid(), verifier.key()), (public.kid(), public));
            prop_assert!(verifier.verify_strict(&message, &signature));
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!public.verify_strict(&message, &signature));
            prop_assert!(!verifier.verify_strict(&message, &signature));
        }
    }
}
