//! Parts: what an entry says and does, each part readable by those concerned only.
//!
//! Owns: the bytes of a part (a salt, then the members of its body) and the root over an entry's parts.
//! Promises: [`open`] is the exact inverse of [`seal`] and takes nothing else. The salt makes the hash of
//! a part tell nothing about its content, not even to someone who guesses it; an erased part keeps its
//! hash, so every root stays checkable.
//! Refuses to know: what the members mean, and who may read them.

use super::scan::Scanner;
use super::tree::{leaf_hash, root_of};
use crate::types::{Hash, Malformed, b64};

/// Bytes of a part, at most: 16 KiB.
pub const MAX_PART: usize = 16 * 1024;

/// Parts of an entry, at most: a batch of 10,000 lines and what surrounds it.
pub const MAX_PARTS: u32 = 10_010;

/// The characters of a salt: 16 bytes as unpadded base64url.
const SALT_TEXT: usize = 22;

/// Puts a salt before the members of an encoded JSON object: `{"salt":"<22 characters>",…}`.
///
/// The salt comes from an injected generator and is never used twice. An error is a body that is not an
/// object in canonical form, that has a `salt` of its own, or that is too large.
pub fn seal(salt: [u8; 16], body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let part = seal_encoded(salt, body)?;
    check(&part)?;
    Ok(part)
}

/// [`seal`] for a body that the one encoder wrote, from a type without a `salt`: its form is not checked
/// again. An error is a part that is too large.
pub fn seal_encoded(salt: [u8; 16], body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let members =
        body.strip_prefix(b"{").ok_or_else(|| Malformed("the body of a part is an object".into()))?;
    let mut part = Vec::with_capacity(body.len().saturating_add(SALT_TEXT).saturating_add(12));
    part.extend_from_slice(b"{\"salt\":\"");
    part.extend_from_slice(b64(&salt).as_bytes());
    part.push(b'"');
    if members != b"}" {
        part.push(b',');
    }
    part.extend_from_slice(members);
    check_size(&part)?;
    Ok(part)
}

/// The salt and the body of a part. Accepts exactly what [`seal`] makes.
pub fn open(part: &[u8]) -> Result<([u8; 16], Vec<u8>), Malformed> {
    check(part)?;
    let mut scanner = Scanner::new(part);
    scanner.expect(b"{\"salt\":\"")?;
    let text = scanner.exactly::<SALT_TEXT>()?;
    let mut salt = [0u8; 16];
    data_encoding::BASE64URL_NOPAD
        .decode_mut(text, &mut salt)
        .map_err(|_| Malformed("a salt is 16 bytes in strict base64url".into()))?;
    scanner.expect(b"\"")?;
    let more = scanner.skip(b",");
    let mut body = Vec::with_capacity(part.len());
    body.push(b'{');
    body.extend_from_slice(scanner.rest());
    if more == (body == b"{}") {
        return Err(Malformed("a comma without a member, or a member without a comma".into()));
    }
    Ok((salt, body))
}

/// Whether a part is this body under some salt: `open(part)` gives `body`, for a body that the one encoder
/// wrote.
pub fn holds(part: &[u8], body: &[u8]) -> bool {
    let rest = part.strip_prefix(b"{\"salt\":\"").and_then(|rest| rest.split_at_checked(SALT_TEXT));
    let Some((text, rest)) = rest else { return false };
    let salted = data_encoding::BASE64URL_NOPAD.decode_mut(text, &mut [0; 16]).is_ok();
    let members = match body.strip_prefix(b"{") {
        Some(b"}") => rest.strip_prefix(b"\"") == Some(b"}"),
        Some(members) => rest.strip_prefix(b"\",") == Some(members),
        None => false,
    };
    salted && members && part.len() <= MAX_PART
}

fn check_size(part: &[u8]) -> Result<(), Malformed> {
    if part.len() > MAX_PART {
        return Err(Malformed("a part is at most 16 KiB".into()));
    }
    Ok(())
}

fn check(part: &[u8]) -> Result<(), Malformed> {
    check_size(part)?;
    let mut scanner = Scanner::new(part);
    scanner.value()?;
    scanner.end()
}

/// One part's place in an entry: its bytes, or what remains after they were erased on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// The part as it was written.
    Whole(Vec<u8>),
    /// The RFC 6962 leaf hash of a part that is gone.
    Erased(Hash),
}

impl Slot {
    /// The hash that stands for the part in the entry's root.
    pub fn leaf_hash(&self) -> Hash {
        match self {
            Self::Whole(part) => leaf_hash(part),
            Self::Erased(hash) => *hash,
        }
    }

    /// The same place without the content.
    pub fn erase(&self) -> Self {
        Self::Erased(self.leaf_hash())
    }
}

/// The RFC 6962 root over an entry's parts in their order; SHA-256 of nothing where there are none.
pub fn parts_root(slots: &[Slot]) -> Hash {
    let leaves: Vec<Hash> = slots.iter().map(Slot::leaf_hash).collect();
    root_of(&leaves)
}

#[cfg(test)]
mod tests {
    use super::super::tree::EMPTY_ROOT;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_part_is_a_salted_object() {
        let part = seal([7; 16], br#"{"done":[1]}"#).expect("sealed");
        assert_eq!(part, br#"{"salt":"BwcHBwcHBwcHBwcHBwcHBw","done":[1]}"#);
        assert_eq!(open(&part), Ok(([7; 16], br#"{"done":[1]}"#.to_vec())));
        let empty = seal([0; 16], b"{}").expect("sealed");
        assert_eq!(empty, br#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
        assert!(holds(&empty, b"{}") && !holds(&part, b"{}"));
        assert_eq!(open(&empty), Ok(([0; 16], b"{}".to_vec())));
    }

    #[test]
    fn nothing_else_is_a_part() {
        let bad: &[&str] = &[
            r#"{}"#,
            r#"{"done":1}"#,
            r#"{"done":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAB"}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAA=="}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA",}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA" }"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA"} "#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA","a":1,"a":1}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA","a":1.5}"#,
            r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA","salt":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
        ];
        for part in bad {
            assert!(open(part.as_bytes()).is_err(), "{part}");
        }
        for body in ["", "[]", "{ }", r#"{"a":1"#, r#"{"salt":1}"#, r#"{"a":1}}"#, "{}{}"] {
            assert!(seal([0; 16], body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_part_has_at_most_16_kib() {
        let body = |n: usize| format!(r#"{{"line":"{}"}}"#, "x".repeat(n));
        let spare = MAX_PART - seal([1; 16], body(0).as_bytes()).expect("sealed").len();
        assert!(seal([1; 16], body(spare).as_bytes()).is_ok());
        assert!(seal([1; 16], body(spare + 1).as_bytes()).is_err());
    }

    #[test]
    fn erasing_keeps_the_root() {
        let slots: Vec<Slot> =
            (0..5u8).map(|i| Slot::Whole(seal([i; 16], b"{\"a\":1}").expect("sealed"))).collect();
        let root = parts_root(&slots);
        for i in 0..5 {
            let mut erased = slots.clone();
            erased[i] = slots[i].erase();
            assert_eq!(parts_root(&erased), root);
            erased.swap(i, (i + 1) % 5);
            assert_ne!(parts_root(&erased), root, "order counts");
        }
        assert_eq!(parts_root(&[]), EMPTY_ROOT);
    }

    proptest! {
        #[test]
        fn open_undoes_seal(salt in any::<[u8; 16]>(), text in any::<String>(), number in 0i64..1_000_000) {
            let body = crate::types::encode(&serde_json::json!({"number": number, "text": text}));
            let part = seal(salt, &body).expect("sealed");
            prop_assert!(holds(&part, &body));
            let others: [&[u8]; 2] = [b"{}", b"{\"number\":1}"];
            prop_assert!(others.iter().all(|other| !holds(&part, other)));
            prop_assert_eq!(open(&part), Ok((salt, body)));
        }

        #[test]
        fn what_opens_seals_to_the_same_bytes(at in 0usize..60, byte in any::<u8>()) {
            let mut part = seal([9; 16], br#"{"a":"bcd","e":12345,"f":[1,2]}"#).expect("sealed");
            part[at] = byte;
            let body = br#"{"a":"bcd","e":12345,"f":[1,2]}"#;
            prop_assert_eq!(holds(&part, body), open(&part).is_ok_and(|(_, opened)| opened == body));
            if let Ok((salt, body)) = open(&part) {
                prop_assert_eq!(seal(salt, &body), Ok(part));
            }
        }
    }
}
