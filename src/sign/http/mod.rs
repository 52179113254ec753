//! HTTP Message Signatures (RFC 9421): the second carrier of what somebody signs, for a request over HTTP.
//!
//! Owns: the profile. One signature tagged [`TAG`] by an Ed25519 key that its thumbprint names, over exactly
//! `@method` and `@target-uri`, over `content-type` and `content-digest` (RFC 9530, sha-256) if there is a
//! body, and over `idempotency-key` and `authorization` if they are sent; and [`HttpMessage`], which is what
//! has to be kept of a request so that anybody can verify it later.
//! Promises: an [`HttpSigned`] is well formed and covers what it must; what was signed is computed from the
//! message alone, with the member of `Signature-Input` as its signer wrote it.
//! Refuses to know: which requests there are, whose key it is, and the time of day.

mod input;
mod received;

#[cfg(test)]
mod malformed;
#[cfg(test)]
mod tests;

pub use received::{HttpFields, content_digest};

use super::{PublicKey, SecretKey, Verifier};
use crate::types::{Kid, Refusal, Refused, b64, b64_decode};
use input::Input;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The tag of our signatures: what a proxy signs on the way has another and is left alone.
pub const TAG: &str = "tallyhouse-v1";
/// The longest signed body, in bytes, of a request that is kept as evidence: it has to fit into the log.
pub const MAX_BODY: usize = 4096;
/// How far ahead of the reader's clock `created` may be, in seconds.
pub const AHEAD: u64 = 30;
/// How long a signature may count, in seconds.
pub const LONGEST: u64 = 300;
/// The longest target, in bytes.
const MAX_TARGET: usize = 1024;
/// The longest value of another field, in bytes.
const MAX_FIELD: usize = 256;

/// A signed request as far as it must be kept to verify it again: evidence. Written as a JSON object of
/// these members; absent ones are left out.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpMessage {
    /// The method, such as `POST`.
    pub method: String,
    /// The absolute URI that the request was sent to, as its signer wrote it.
    pub target_uri: String,
    /// The field `Content-Type`; there is one if there is a body.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// The field `Idempotency-Key` as it came, quoted or bare.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idempotency_key: Option<String>,
    /// Our member of `Signature-Input`, behind the label and the equals sign.
    pub signature_input: String,
    /// The signature's 64 bytes in base64url.
    pub signature: String,
    /// The body. Its `Content-Digest` is computed anew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<String>,
    /// The field `Authorization` of a request that only reads. It is a secret and never kept.
    #[serde(skip)]
    pub authorization: Option<String>,
}

/// When a signature counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpLife {
    /// From when on, in Unix seconds.
    pub created: u64,
    /// For how long.
    pub seconds: u64,
}

impl HttpMessage {
    /// A write that is not signed yet: JSON under an id of its own.
    pub fn post(target_uri: impl Into<String>, id: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            method: "POST".into(),
            target_uri: target_uri.into(),
            content_type: Some("application/json".into()),
            idempotency_key: Some(id.into()),
            body: Some(body.into()),
            ..Self::default()
        }
    }

    /// A read that is not signed yet.
    pub fn get(target_uri: impl Into<String>) -> Self {
        Self { method: "GET".into(), target_uri: target_uri.into(), ..Self::default() }
    }

    /// Signs the message: over all that it has, counting for [`LONGEST`] seconds from `created` (Unix
    /// seconds) on. `nonce` is at least 16 bytes of chance as text.
    #[must_use]
    pub fn sign(self, key: &SecretKey, created: u64, nonce: &str) -> Self {
        self.sign_for(key, HttpLife { created, seconds: LONGEST }, nonce)
    }

    /// [`HttpMessage::sign`] for another time than the longest.
    #[must_use]
    pub fn sign_for(mut self, key: &SecretKey, life: HttpLife, nonce: &str) -> Self {
        let HttpLife { created, seconds } = life;
        let expires = created.saturating_add(seconds);
        let names = self.covers().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(" ");
        let kid = key.public().kid();
        self.signature_input = format!(
            "({names});created={created};expires={expires};nonce=\"{nonce}\";keyid=\"{kid}\";alg=\"ed25519\";tag=\"{TAG}\""
        );
        let base = self.base(&names.split(' ').map(|name| name.trim_matches('"')).collect::<Vec<_>>());
        self.signature = b64(&key.sign(base.as_bytes()));
        self
    }

    /// The fields to send with a signed message, `Authorization` aside.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![];
        all.extend(self.content_type.clone().map(|value| ("content-type", value)));
        all.extend(self.body.as_ref().map(|body| ("content-digest", content_digest(body.as_bytes()))));
        all.extend(self.idempotency_key.clone().map(|value| ("idempotency-key", value)));
        all.push(("signature-input", format!("tallyhouse={}", self.signature_input)));
        let signature = b64_decode(&self.signature).unwrap_or_default();
        all.push(("signature", format!("tallyhouse=:{}:", data_encoding::BASE64.encode(&signature))));
        all
    }

    /// The command's id, without the quotation marks that it may come in.
    pub fn id(&self) -> Option<&str> {
        let raw = self.idempotency_key.as_deref()?;
        Some(raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw))
    }

    /// Whether the request asks for a change.
    fn writes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// What the signature must cover, in the order in which we sign, with the value of each.
    fn covers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let digest = self.body.as_ref().map(|body| content_digest(body.as_bytes()));
        [
            ("@method", Some(self.method.clone())),
            ("@target-uri", Some(self.target_uri.clone())),
            ("content-type", self.body.as_ref().and(self.content_type.clone())),
            ("content-digest", digest),
            ("idempotency-key", self.idempotency_key.clone()),
            ("authorization", self.authorization.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
    }

    /// What is signed, with the components in the signer's order; those that the message lacks are left out.
    fn base(&self, names: &[&str]) -> String {
        let all: Vec<(&str, String)> = self.covers().collect();
        let value = |name: &&str| all.iter().find(|(have, _)| have == name);
        let covered: Vec<(&str, &str)> =
            names.iter().filter_map(value).map(|(name, value)| (*name, value.as_str())).collect();
        signature_base(&covered, &self.signature_input)
    }

    /// What must hold of the fields themselves, the body being this long at most.
    fn check(&self, longest: usize) -> Result<(), Refused> {
        let wrong = |about: String| Err(Refused::about(Refusal::SignatureMalformed, about));
        if !(1..=16).contains(&self.method.len()) || !self.method.bytes().all(|b| b.is_ascii_uppercase()) {
            return wrong("@method: capital letters".into());
        }
        let web = self.target_uri.starts_with("https://") || self.target_uri.starts_with("http://");
        let plain = self.target_uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !web || !plain || self.target_uri.len() > MAX_TARGET {
            return wrong(format!("@target-uri: an absolute http URI of at most {MAX_TARGET} bytes"));
        }
        let fields = [
            ("content-type", &self.content_type),
            ("idempotency-key", &self.idempotency_key),
            ("authorization", &self.authorization),
        ];
        for (name, value) in fields {
            let is_value = |text: &String| {
                (1..=MAX_FIELD).contains(&text.len())
                    && text.trim() == text
                    && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            };
            if !value.as_ref().is_none_or(is_value) {
                return wrong(format!("{name}: 1 to {MAX_FIELD} visible ASCII characters"));
            }
        }
        match (&self.body, &self.content_type) {
            (Some(body), _) if body.len() > longest => {
                let about = format!("a body of at most {longest} bytes is signed here");
                return Err(Refused::about(Refusal::TooLarge, about));
            }
            (Some(body), _) if body.is_empty() => return wrong("body: empty, so there is none".into()),
            (Some(_), None) => return wrong("content-type: missing, and there is a body".into()),
            _ => {}
        }
        let lacks = |about: &str| Err(Refused::about(Refusal::SignatureCoverage, about));
        if self.writes() && self.authorization.is_some() {
            return lacks("authorization: a signed write carries none; send the one or the other");
        }
        if self.writes() && self.idempotency_key.is_none() {
            return lacks("idempotency-key: a write needs it, and the signature covers it");
        }
        Ok(())
    }
}

impl fmt::Debug for HttpMessage {
    /// Without what it says: it may be as good as money.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpMessage({} {})", self.method, self.target_uri)
    }
}

/// The signature base of RFC 9421 §2.5: a line for each component with its value, then the parameters as
/// they stand in `Signature-Input`.
pub fn signature_base(components: &[(&str, &str)], params: &str) -> String {
    let mut base = String::with_capacity(512);
    for (name, value) in components {
        for piece in ["\"", name, "\": ", value, "\n"] {
            base.push_str(piece);
        }
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(params);
    base
}

/// A well-formed signed message that covers what it must. Its signature may still be wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSigned {
    message: HttpMessage,
    input: Input,
    base: String,
    signature: [u8; 64],
}

impl HttpSigned {
    /// Takes a message apart. Refusals: `signature_malformed`, `signature_coverage`, `too_large`, and
    /// `signature_stale` for one that wants to count for too long.
    pub fn parse(message: HttpMessage) -> Result<Self, Refused> {
        Self::parse_within(message, MAX_BODY)
    }

    /// [`HttpSigned::parse`] for a request that the log does not keep: its body may have this many bytes.
    pub fn parse_within(message: HttpMessage, longest: usize) -> Result<Self, Refused> {
        message.check(longest)?;
        let input = Input::parse(&message.signature_input)?;
        let wanted: Vec<(&str, String)> = message.covers().collect();
        let all = || wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let wrong =
            |about: String| Refused::about(Refusal::SignatureCoverage, format!("{about}; cover {}", all()));
        for name in &input.components {
            if !wanted.iter().any(|(have, _)| have == name) {
                return Err(wrong(format!("{name}: not taken for this request")));
            }
        }
        if let Some((name, _)) = wanted.iter().find(|(name, _)| !input.components.iter().any(|c| c == name)) {
            return Err(wrong(format!("{name}: not covered")));
        }
        let signature = b64_decode(&message.signature).ok().and_then(|bytes| bytes.try_into().ok());
        let signature = signature
            .ok_or_else(|| Refused::about(Refusal::SignatureMalformed, "signature: not 64 bytes"))?;
        let base = message.base(&input.components.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(Self { message, input, base, signature })
    }

    /// The message as it is kept.
    pub fn message(&self) -> &HttpMessage {
        &self.message
    }

    /// The key that the signature names.
    pub fn kid(&self) -> Kid {
        self.input.kid
    }

    /// When it was made, by its signer's clock, in Unix seconds.
    pub fn created(&self) -> u64 {
        self.input.created
    }

    /// First instant at which it no longer counts, in Unix seconds.
    pub fn expires(&self) -> u64 {
        self.input.expires
    }

    /// What makes it unlike any other: whoever keeps the nonces of a key until they expire sees a replay.
    pub fn nonce(&self) -> &str {
        &self.input.nonce
    }

    /// What was signed.
    pub fn signing_input(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// Whether it counts at this instant (Unix seconds); else `signature_stale`.
    pub fn fresh(&self, now: u64) -> Result<(), Refused> {
        let stale = |about: String| Err(Refused::about(Refusal::SignatureStale, about));
        if self.created() > now.saturating_add(AHEAD) {
            let ahead = self.created().saturating_sub(now);
            return stale(format!("created: {ahead} s ahead; set the clock that signs"));
        }
        if now >= self.expires() {
            let ago = now.saturating_sub(self.expires());
            return stale(format!("expires: passed {ago} s ago; sign again under the same idempotency-key"));
        }
        Ok(())
    }

    /// Whether the key is the one that the signature names and made it; else `signature_invalid`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Refused> {
        self.verify_with(&Verifier::new(key))
    }

    /// [`HttpSigned::verify`] with a prepared key.
    pub fn verify_with(&self, key: &Verifier) -> Result<(), Refused> {
        if self.kid() != key.kid() {
            return Err(Refused::about(Refusal::SignatureInvalid, "keyid"));
        }
        if !key.verify_strict(self.signing_input(), &self.signature) {
            let about = "over @method, @target-uri and the fields as they arrived here";
            return Err(Refused::about(Refusal::SignatureInvalid, about));
        }
        Ok(())
    }
}

impl fmt::Debug for HttpSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpSigned({:?} by {})", self.message, self.kid())
    }
}
