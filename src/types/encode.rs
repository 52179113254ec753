//! The one encoder. Every byte that is hashed, signed or stored as JSON passes through [`encode`].
//!
//! The form is compact JSON (RFC 8259): members in the order the type declares them, no insignificant
//! white space, shortest escapes. [`decode`] accepts exactly what [`encode`] produces, so
//! `encode(decode(b)) = b` for every accepted `b`; unknown and duplicate members are errors.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::fmt;

/// Bytes that [`decode`] does not accept, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// The canonical bytes of a value.
///
/// The types of this project serialise to JSON without fail: no maps with odd keys, no floats.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // Only a Serialize implementation that reports an error itself could fail here; ours never do.
    if let Err(bug) = serde_json::to_writer(&mut out, value) {
        unreachable!("a value of our own did not encode: {bug}");
    }
    out
}

/// The word that JSON has for a value of a closed set, such as a stage: as people read it in texts.
pub fn word<T: Serialize + ?Sized>(value: &T) -> String {
    let text = String::from_utf8_lossy(&encode(value)).into_owned();
    text.trim_matches('"').to_owned()
}

/// Reads canonical bytes; anything that is not exactly what [`encode`] writes is refused.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, Malformed> {
    let value: T = serde_json::from_slice(bytes).map_err(|e| Malformed(e.to_string()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(Malformed("not in canonical form".into())) }
}

/// Writes a value as the string that it shows as: through a buffer of its own, so that the JSON writer sees
/// one string and not its pieces. Every text of the log fits; a longer one takes the slow way.
pub(crate) fn as_text<T: fmt::Display + ?Sized, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    use fmt::Write as _;
    let mut text = ShortText { bytes: [0; 256], end: 0 };
    match write!(text, "{value}").ok().and_then(|()| text.as_str()) {
        Some(text) => s.serialize_str(text),
        None => s.collect_str(value),
    }
}

/// Text of up to 256 bytes on the stack.
struct ShortText {
    bytes: [u8; 256],
    end: usize,
}

impl ShortText {
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.end)?).ok()
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = self.end.checked_add(piece.len()).ok_or(fmt::Error)?;
        self.bytes.get_mut(self.end..end).ok_or(fmt::Error)?.copy_from_slice(piece.as_bytes());
        self.end = end;
        Ok(())
    }
}

/// Unpadded base64url (RFC 4648 §5).
pub fn b64(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

/// Strict reverse of [`b64`]: no padding, no white space, no stray bits in the last character.
pub fn b64_decode(text: &str) -> Result<Vec<u8>, Malformed> {
    data_encoding::BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|e| Malformed(format!("not strict base64url: {e}")))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// 32 bytes of BLAKE3 or SHA-256; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// BLAKE3 of some bytes: the chain and the network's name.
    pub fn blake3(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// SHA-256 of some bytes: thumbprints, token identities, document hashes.
    pub fn sha256(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bytes = data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .map_err(|e| Malformed(format!("not lower-case hexadecimal: {e}")))?;
        let bytes = bytes.try_into().map_err(|_| Malformed("a hash has 64 hexadecimal digits".into()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0u8; 64];
        data_encoding::HEXLOWER.encode_mut(&self.0, &mut buffer);
        s.serialize_str(std::str::from_utf8(&buffer).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The first 16 bytes of a BLAKE3 hash: recognises the same request or receipt line coming again.
/// Written as 22 base64url characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// The fingerprint of one run of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_all(&[bytes])
    }

    /// The fingerprint of several runs of bytes, hashed one after the other.
    pub fn of_all(runs: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for run in runs {
            hasher.update(run);
        }
        let mut first = [0u8; 16];
        for (to, from) in first.iter_mut().zip(hasher.finalize().as_bytes()) {
            *to = *from;
        }
        Self(first)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64(&self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0u8; 22];
        data_encoding::BASE64URL_NOPAD.encode_mut(&self.0, &mut buffer);
        s.serialize_str(std::str::from_utf8(&buffer).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let bytes = b64_decode(&text).map_err(serde::de::Error::custom)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("a fingerprint has 16 bytes"))
    }
}
