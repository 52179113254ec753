//! Who wrote what stands in Redis: a code that only nodes of the network can make.
//!
//! Owns: the key, which is derived from the log's, and what it vouches for.
//! Promises: a text is read only under the name that it was written for, and as it was written. What was written
//! once and is put back later is right by its code: its age and the cursor say what it is worth.
//! Refuses to know: what the texts say.

use crate::sign::SecretKey;
use crate::types::b64;

/// For BLAKE3's `derive_key`, over the 32 bytes of the log's key.
const CONTEXT: &str = "tallyhouse 2026 values in Redis";
/// 32 bytes in base64url, and the blank before them.
const LONG: usize = 44;

/// The key of a network's nodes: a keyed BLAKE3 hash over a key's name in Redis, a zero byte and the text.
#[derive(Clone)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// Of the key that signs the network's log, which all of its nodes have.
    pub fn of(log: &SecretKey) -> Self {
        Self(blake3::derive_key(CONTEXT, &log.seed()))
    }

    fn code(&self, name: &str, text: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(name.as_bytes()).update(&[0]).update(text);
        hasher.finalize()
    }

    /// What is written under a name: the text, a blank, its code.
    pub fn seal(&self, name: &str, text: &[u8]) -> Vec<u8> {
        [text, b" ", b64(self.code(name, text).as_bytes()).as_bytes()].concat()
    }

    /// The text that was written under a name; `None`: no node of this network wrote this there.
    pub fn open<'a>(&self, name: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (text, code) = bytes.split_at_checked(bytes.len().checked_sub(LONG)?)?;
        let code = std::str::from_utf8(code.strip_prefix(b" ")?).ok()?;
        let code: [u8; 32] = crate::types::b64_decode(code).ok()?.try_into().ok()?;
        // Compared in constant time.
        (self.code(name, text) == code).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_as_it_was_written_under_its_name_and_by_this_network_only() {
        let key = |seed| MacKey::of(&SecretKey::from_seed([seed; 32]));
        let sealed = key(1).seal("a", b"some text");
        assert_eq!(key(1).open("a", &sealed), Some(&b"some text"[..]));
        assert_eq!((key(2).open("a", &sealed), key(1).open("b", &sealed)), (None, None));
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(key(1).open("a", &other), None, "byte {at}");
            assert_eq!(key(1).open("a", &sealed[..at]), None, "{at} bytes");
        }
    }
}
