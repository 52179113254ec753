//! The one form of signed statement: a compact JWS (RFC 7515) with one algorithm and a closed header.
//!
//! Owns: the profile. At most [`MAX_TOKEN`] bytes; three parts of strict base64url; header exactly
//! `{alg: "EdDSA", typ, kid}` in any order; payload within the bounds of `grammar.rs`; 64 bytes of signature.
//! Promises: a [`Jws`] is well formed, whoever made it; its identity is the hash of what was signed, so a
//! signature that was bent cannot make a second token of one.
//! Refuses to know: whether a signature holds until [`Jws::verify`] is called with a key, and whether that
//! key may sign this.

use super::{PublicKey, SecretKey, Typ, Verifier, grammar};
use crate::types::{Hash, Kid, Refusal, Refused};
use data_encoding::BASE64URL_NOPAD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The longest token, in bytes of its text.
pub const MAX_TOKEN: usize = 4096;

/// The longest header, encoded. Ours have 116 to 127 characters; the rest is for white space.
const MAX_HEADER: usize = 256;

/// A well-formed signed statement. Its signature may still be wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct Jws {
    text: Box<str>,
    typ: Typ,
    kid: Kid,
    payload: String,
    signature: [u8; 64],
}

impl Jws {
    /// Takes a token apart. Refusals: `token_too_large`, else `token_malformed`, `token_header`,
    /// `token_type`, `token_payload`, in this order.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > MAX_TOKEN {
            return Err(Refused::about(Refusal::TokenTooLarge, text.len()));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::about(Refusal::TokenMalformed, "not three parts"));
        };
        let payload = decode_payload(payload)?;
        let signature = decode_signature(signature)?;
        let (typ, kid) = read_header(header)?;
        Ok(Self { text: text.into(), typ, kid, payload: grammar::check(payload)?, signature })
    }

    /// What the header says this is.
    pub fn typ(&self) -> Typ {
        self.typ
    }

    /// The key that the header names.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The token as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The payload as it was signed: a JSON object in UTF-8.
    pub fn payload_bytes(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    /// What was signed: header, dot and payload, as they came.
    pub fn signing_input(&self) -> &[u8] {
        self.text.rsplit_once('.').map_or(&[], |(signed, _)| signed.as_bytes())
    }

    /// The token's identity: SHA-256 of the signing input.
    pub fn identity(&self) -> Hash {
        Hash::sha256(self.signing_input())
    }

    /// Reads the payload as its type, which says with `deny_unknown_fields` what members there are.
    /// `token_payload` names the member that is wrong.
    pub fn payload<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refused> {
        grammar::read(&self.payload, Refusal::TokenPayload)
    }

    /// Whether the key is the one that the header names and made the signature; else
    /// `signature_invalid`. Whoever checks many tokens of one key uses [`Jws::verify_with`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), Refused> {
        self.verify_with(&Verifier::new(key))
    }

    /// [`Jws::verify`] with a prepared key.
    pub fn verify_with(&self, key: &Verifier) -> Result<(), Refused> {
        if self.kid != key.kid() {
            return Err(Refused::about(Refusal::SignatureInvalid, "kid"));
        }
        if !key.verify_strict(self.signing_input(), &self.signature) {
            return Err(Refusal::SignatureInvalid.into());
        }
        Ok(())
    }
}

/// Makes a token: the same key, type and payload give the same text. The payload is taken as it is;
/// [`Jws::parse`] refuses the token if it is not of the form, or too long.
pub fn sign(key: &SecretKey, typ: Typ, payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, key.public().kid());
    let mut token = String::with_capacity(MAX_TOKEN / 4);
    BASE64URL_NOPAD.encode_append(header.as_bytes(), &mut token);
    token.push('.');
    BASE64URL_NOPAD.encode_append(payload, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    token
}

fn malformed(part: &str) -> Refused {
    Refused::about(Refusal::TokenMalformed, part)
}

fn decode_payload(text: &str) -> Result<Vec<u8>, Refused> {
    let payload = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| malformed("payload"))?;
    if payload.is_empty() { Err(malformed("payload")) } else { Ok(payload) }
}

fn decode_signature(text: &str) -> Result<[u8; 64], Refused> {
    let mut signature = [0; 64];
    match decode_into(text, &mut signature) {
        Some(64) => Ok(signature),
        _ => Err(malformed("signature")),
    }
}

/// Decodes to the front of a buffer and says how much it was; `None` if it does not fit or is not strict.
fn decode_into(text: &str, room: &mut [u8]) -> Option<usize> {
    let length = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), room.get_mut(..length)?).ok()
}

/// The members of a header. Escapes make a borrowed text impossible, and a `Cow` takes both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
}

fn read_header(text: &str) -> Result<(Typ, Kid), Refused> {
    let wrong = |about| Refused::about(Refusal::TokenHeader, about);
    if text.len() > MAX_HEADER {
        return Err(wrong("too long"));
    }
    let mut room = [0; MAX_HEADER];
    let length =
        decode_into(text, &mut room).filter(|length| *length > 0).ok_or_else(|| malformed("header"))?;
    let json = std::str::from_utf8(room.get(..length).unwrap_or_default()).map_err(|_| wrong("not UTF-8"))?;
    let header: Header<'_> = grammar::read(json, Refusal::TokenHeader)?;
    if header.alg != "EdDSA" {
        return Err(wrong("alg"));
    }
    let kid = header.kid.parse().map_err(|_| wrong("kid"))?;
    let typ = header.typ.parse().map_err(|_| Refused::about(Refusal::TokenType, "typ"))?;
    Ok((typ, kid))
}

impl fmt::Debug for Jws {
    /// Without the text: a token may be as good as money.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jws({} by {}, {})", self.typ, self.kid, self.identity())
    }
}

impl Serialize for Jws {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Jws {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Jws;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a compact JWS")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Jws, E> {
                Jws::parse(text).map_err(E::custom)
            }
        }

        d.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{UnitCode, b64, b64_decode, decode, encode};
    use proptest::prelude::*;
    use std::path::Path;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Claims {
        aud: String,
        points: u64,
    }

    fn claims() -> Claims {
        Claims { aud: "a network".into(), points: 100 }
    }

    #[test]
    fn a_token_there_and_back() {
        let key = SecretKey::from_seed([1; 32]);
        let text = sign(&key, Typ::PointToken, &encode(&claims()));
        assert_eq!(text, sign(&key, Typ::PointToken, &encode(&claims())), "deterministic");
        let jws = Jws::parse(&text).expect("our own token");
        assert_eq!((jws.typ(), jws.kid(), jws.text()), (Typ::PointToken, key.public().kid(), &*text));
        assert_eq!(jws.payload_bytes(), encode(&claims()));
        assert_eq!(jws.payload(), Ok(claims()));
        assert_eq!(jws.verify(&key.public()), Ok(()));
        assert_eq!(jws.verify_with(&Verifier::new(&key.public())), Ok(()));
        // In the log it stands as its text.
        assert_eq!(encode(&jws), format!("{text:?}").into_bytes());
        assert_eq!(decode::<Jws>(&encode(&jws)).as_ref(), Ok(&jws));
        assert!(serde_json::from_str::<Jws>("\"a.b.c\"").is_err());
        assert!(!format!("{jws:?}").contains(&text));
    }

    #[test]
    fn the_identity_is_of_what_was_signed() {
        let key = SecretKey::from_seed([1; 32]);
        let text = sign(&key, Typ::Command, b"{}");
        let jws = Jws::parse(&text).expect("a token");
        let (input, _) = text.rsplit_once('.').expect("two dots");
        assert_eq!(jws.signing_input(), input.as_bytes());
        assert_eq!(jws.identity(), Hash::sha256(input.as_bytes()));
        // Another signature over the same makes no other token.
        let other = Jws::parse(&format!("{input}.{}", b64(&[0; 64]))).expect("well formed");
        assert_eq!(other.identity(), jws.identity());
        assert!(other.verify(&key.public()).is_err());
    }

    #[test]
    fn members_of_a_header_stand_in_any_order() {
        let key = SecretKey::from_seed([1; 32]);
        let kid = key.public().kid();
        for header in [
            format!(r#"{{"kid":"{kid}","typ":"command+jwt","alg":"EdDSA"}}"#),
            format!("{{ \"typ\" : \"command+jwt\",\n\t\"alg\":\"EdDSA\", \"kid\":\"{kid}\" }}\r\n"),
            format!(r#"{{"alg":"\u0045dDSA","kid":"{kid}","typ":"command\u002bjwt"}}"#),
        ] {
            let input = format!("{}.{}", b64(header.as_bytes()), b64(b"{}"));
            let jws = Jws::parse(&format!("{input}.{}", b64(&key.sign(input.as_bytes()))));
            assert_eq!(jws.and_then(|jws| jws.verify(&key.public())), Ok(()), "{header}");
        }
    }

    #[test]
    fn four_kibibytes_are_the_most() {
        let key = SecretKey::from_seed([1; 32]);
        let token =
            |fill: usize| sign(&key, Typ::Command, format!(r#"{{"a":"{}"}}"#, "x".repeat(fill)).as_bytes());
        let room = (2800..).find(|fill| token(*fill).len() >= MAX_TOKEN).expect("some length");
        assert_eq!(token(room).len(), MAX_TOKEN);
        assert!(Jws::parse(&token(room)).is_ok());
        let refused = Jws::parse(&token(room + 1)).expect_err("one byte more");
        assert_eq!(refused, Refused::about(Refusal::TokenTooLarge, token(room + 1).len()));
    }

    /// One golden token.
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        /// 64 hexadecimal digits: the secret key, or what it is derived from if there is a unit.
        seed: Hash,
        #[serde(skip_serializing_if = "Option::is_none")]
        unit: Option<UnitCode>,
        jwk: PublicKey,
        kid: Kid,
        typ: Typ,
        payload: String,
        token: String,
        identity: Hash,
    }

    fn vector(seed: u8, unit: Option<&str>, typ: Typ, payload: &str) -> Vector {
        let bytes = [seed; 32];
        let unit: Option<UnitCode> = unit.map(|code| code.parse().expect("a unit"));
        let key = unit.map_or_else(|| SecretKey::from_seed(bytes), |unit| SecretKey::derive(&bytes, unit));
        let token = sign(&key, typ, payload.as_bytes());
        let identity = Jws::parse(&token).expect("a token").identity();
        let (seed, payload, jwk) = (Hash(bytes), payload.to_owned(), key.public());
        Vector { seed, unit, kid: jwk.kid(), jwk, typ, payload, token, identity }
    }

    /// Others build on these texts. They change only with the format:
    /// `UPDATE_VECTORS=1 cargo test --lib sign::jws`.
    #[test]
    fn the_golden_vectors_hold() {
        let mut vectors: Vec<Vector> = (1..)
            .zip(Typ::ALL)
            .map(|(seed, typ)| vector(seed, None, typ, &format!(r#"{{"aud":"example","n":{seed}}}"#)))
            .collect();
        for unit in ["HARVEST", "SKYMILES2"] {
            vectors.push(vector(0, Some(unit), Typ::PaymentConsent, r#"{"amount":9007199254740991}"#));
        }
        vectors.push(vector(
            0xFF,
            None,
            Typ::Command,
            "{\"text\":\"\u{e9} \u{1f600} \\n\",\"list\":[true,false,{}]}",
        ));

        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/vectors/jws.json");
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            let text = serde_json::to_string_pretty(&vectors).expect("JSON");
            std::fs::write(&path, text + "\n").expect("the vectors' file is writable");
        }
        let text = std::fs::read_to_string(&path).expect("the vectors' file");
        let golden: Vec<Vector> = serde_json::from_str(&text).expect("vectors");
        assert_eq!(golden, vectors);
        for Vector { jwk, token, .. } in &golden {
            assert_eq!(Jws::parse(token).and_then(|jws| jws.verify(jwk)), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn changing_a_character_is_noticed(
            seed: [u8; 32], points in 0..1u64 << 53, at: prop::sample::Index, to in "[A-Za-z0-9_.=-]",
        ) {
            let key = SecretKey::from_seed(seed);
            let text = sign(&key, Typ::PointToken, &encode(&Claims { aud: "a".into(), points }));
            let jws = Jws::parse(&text).expect("our own token");
            prop_assert_eq!(jws.payload::<Claims>().map(|c| c.points), Ok(points));
            prop_assert_eq!(jws.verify(&key.public()), Ok(()));

            let mut changed = text.clone();
            let at = at.index(text.len());
            changed.replace_range(at..=at, &to);
            let taken = Jws::parse(&changed).and_then(|jws| jws.verify(&key.public()));
            prop_assert_eq!(taken.is_ok(), changed == text);
        }

        #[test]
        fn any_text_gets_an_answer(text in r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,90}){0,3}|\PC{0,60}") {
            if let Ok(jws) = Jws::parse(&text) {
                prop_assert_eq!(b64_decode(text.rsplit('.').next().unwrap_or("")).map(|s| s.len()), Ok(64));
                prop_assert_eq!(jws.text(), text);
            }
        }
    }
}
