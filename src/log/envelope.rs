//! The envelope: the public side of an entry.
//!
//! Owns: the envelope's members, their order and limits, and its bytes.
//! Promises: [`Envelope::decode`] accepts exactly what [`Envelope::encode`] writes, byte for byte, so
//! the stored bytes are the truth and a hash over them means one thing only.
//! Refuses to know: what a kind means, and what stands in the parts.

use super::part::{MAX_PARTS, Slot, parts_root};
use super::scan::Scanner;
use super::tree::EMPTY_ROOT;
use crate::types::{Hash, MAX_INT, Malformed, Time, encode};
use chrono::{DateTime, Datelike};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Bytes of an envelope, at most: what a C2SP entry bundle can hold.
pub const MAX_ENVELOPE: usize = 65_535;

/// The version of format and rules that this code writes.
pub const VERSION: u32 = 1;

/// Commits an envelope to its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartsRef {
    /// How many there are, at most [`MAX_PARTS`].
    pub n: u32,
    /// Their RFC 6962 root; SHA-256 of nothing where there are none.
    pub root: Hash,
}

impl PartsRef {
    /// Of an entry that has no parts.
    pub const NONE: Self = Self { n: 0, root: EMPTY_ROOT };

    /// Of these parts, in this order.
    pub fn of(slots: &[Slot]) -> Result<Self, Malformed> {
        match u32::try_from(slots.len()) {
            Ok(n) if n <= MAX_PARTS => Ok(Self { n, root: parts_root(slots) }),
            _ => Err(Malformed(format!("an entry has at most {MAX_PARTS} parts"))),
        }
    }
}

/// The public side of an entry. The members are written in the order in which they stand here.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// Numbers format and rules together: [`VERSION`].
    pub v: u32,
    /// The entry's place in the log, from 0; below 2^53.
    pub seq: u64,
    /// BLAKE3 of the bytes of the envelope before; in the first entry, of its own `pub`.
    pub prev: Hash,
    /// Log time, later than in the envelope before.
    pub at: Time,
    /// What sort of entry it is: `[a-z._]{1,64}`.
    pub kind: String,
    /// Content that everybody may read, in canonical form, with its evidence. Such an entry has no parts.
    #[serde(rename = "pub", skip_serializing_if = "Option::is_none")]
    pub public: Option<Box<RawValue>>,
    /// What commits to the content that not everybody may read.
    pub parts: PartsRef,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written under rules that this release does not know. Not a lie: upgrade.
    #[error("version {0} of the log's rules is not known to this release: upgrade")]
    Version(u64),
    /// Not in the canonical form, or beyond a limit.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Envelope {
    /// The canonical bytes. Whether they keep the limits is for [`Envelope::check`] to say.
    ///
    /// These are the bytes of [`crate::types::encode`] (a test holds that), put together by hand because
    /// every entry pays for it: a quarter of the time.
    pub fn encode(&self) -> Vec<u8> {
        let content = self.public.as_ref().map(|public| public.get());
        let mut out = Vec::with_capacity(content.map_or(320, |text| text.len().saturating_add(320)));
        out.extend_from_slice(b"{\"v\":");
        push_integer(&mut out, u64::from(self.v));
        out.extend_from_slice(b",\"seq\":");
        push_integer(&mut out, self.seq);
        out.extend_from_slice(b",\"prev\":\"");
        push_hash(&mut out, &self.prev);
        out.extend_from_slice(b"\",\"at\":\"");
        push_instant(&mut out, self.at);
        out.extend_from_slice(b"\",\"kind\":");
        out.extend_from_slice(&encode(&self.kind));
        if let Some(content) = content {
            out.extend_from_slice(b",\"pub\":");
            out.extend_from_slice(content.as_bytes());
        }
        out.extend_from_slice(b",\"parts\":{\"n\":");
        push_integer(&mut out, u64::from(self.parts.n));
        out.extend_from_slice(b",\"root\":\"");
        push_hash(&mut out, &self.parts.root);
        out.extend_from_slice(b"\"}}");
        out
    }

    /// BLAKE3 of an envelope's bytes: the `prev` of the next one.
    pub fn hash(bytes: &[u8]) -> Hash {
        Hash::blake3(bytes)
    }

    /// Reads canonical bytes; `encode` of the result gives the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(too_large().into());
        }
        let mut scanner = Scanner::new(bytes);
        scanner.expect(b"{\"v\":")?;
        match scanner.integer()? {
            v if v == u64::from(VERSION) => Ok(members(scanner)?),
            other => Err(Unreadable::Version(other)),
        }
    }

    /// What [`Envelope::decode`] would say about these bytes of this envelope, without reading them all.
    pub(super) fn check_written(&self, bytes: &[u8]) -> Result<(), Malformed> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(too_large());
        }
        if let Some(public) = &self.public {
            let mut scanner = Scanner::new(public.get().as_bytes());
            scanner.value()?;
            scanner.end()?;
        }
        self.check()
    }

    /// Whether the members keep the limits that the form alone does not.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |what: &str| Err(Malformed(what.into()));
        let kind = self.kind.as_bytes();
        if self.v != VERSION {
            return wrong("an envelope of this release has version 1");
        }
        if self.seq > MAX_INT {
            return wrong("a seq is below 2^53");
        }
        if !(1..=64).contains(&kind.len()) || !kind.iter().all(|b| matches!(b, b'a'..=b'z' | b'.' | b'_')) {
            return wrong("a kind is 1 to 64 characters of a-z . _");
        }
        if self.parts.n > MAX_PARTS {
            return wrong("an entry has at most 10,010 parts");
        }
        if (self.parts.n == 0) != (self.parts.root == EMPTY_ROOT) {
            return wrong("the root over no parts, and only that, is SHA-256 of nothing");
        }
        if self.public.is_some() && self.parts.n > 0 {
            return wrong("an entry has public content or parts, not both");
        }
        Ok(())
    }
}

fn too_large() -> Malformed {
    Malformed("an envelope is at most 65,535 bytes".into())
}

fn push_hash(out: &mut Vec<u8>, hash: &Hash) {
    let mut text = [0u8; 64];
    data_encoding::HEXLOWER.encode_mut(&hash.0, &mut text);
    out.extend_from_slice(&text);
}

fn push_integer(out: &mut Vec<u8>, value: u64) {
    let mut text = [0u8; 20];
    put_digits(&mut text, value);
    let zeros = text.iter().take(19).take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(text.get(zeros..).unwrap_or_default());
}

fn push_instant(out: &mut Vec<u8>, at: Time) {
    let micros = at.micros().unsigned_abs();
    let day = DateTime::from_timestamp_micros(at.micros()).unwrap_or_default();
    let mut put = |width: usize, value: u64, then: u8| {
        let mut text = [0u8; 6];
        put_digits(&mut text, value);
        out.extend_from_slice(text.get(6usize.saturating_sub(width)..).unwrap_or_default());
        out.push(then);
    };
    put(4, u64::from(day.year().unsigned_abs()), b'-');
    put(2, u64::from(day.month()), b'-');
    put(2, u64::from(day.day()), b'T');
    put(2, micros / 3_600_000_000 % 24, b':');
    put(2, micros / 60_000_000 % 60, b':');
    put(2, micros / 1_000_000 % 60, b'.');
    put(6, micros % 1_000_000, b'Z');
}

/// Fills all of `text` with the last decimal digits of `value`.
fn put_digits(text: &mut [u8], value: u64) {
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        // The digits' codes begin at 0x30, so that the low four bits are the digit.
        *slot = b'0' | u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

/// What an envelope ends with behind the number of its parts: `,"root":"`, 64 digits, `"}}`.
const END: usize = 76;

/// How many parts an envelope says that its entry has, by a look at its end; `None` if it does not end as one does.
pub fn parts_said(bytes: &[u8]) -> Option<usize> {
    let (head, end) = bytes.split_at_checked(bytes.len().checked_sub(END)?)?;
    let digits = head.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = head.split_at_checked(head.len().checked_sub(digits)?)?;
    let ours =
        end.starts_with(b",\"root\":\"") && end.ends_with(b"\"}}") && before.ends_with(b",\"parts\":{\"n\":");
    std::str::from_utf8(digits).ok().filter(|_| ours)?.parse().ok()
}

/// Reads what follows the version.
fn members(mut scanner: Scanner<'_>) -> Result<Envelope, Malformed> {
    scanner.expect(b",\"seq\":")?;
    let seq = scanner.integer()?;
    scanner.expect(b",\"prev\":\"")?;
    let prev = scanner.hash()?;
    scanner.expect(b"\",\"at\":\"")?;
    let at = instant(scanner.exactly()?)?;
    scanner.expect(b"\",\"kind\":\"")?;
    let kind = String::from_utf8_lossy(scanner.until_quote()).into_owned();
    scanner.expect(b"\"")?;
    let public = if scanner.skip(b",\"pub\":") { Some(raw(scanner.value()?)?) } else { None };
    scanner.expect(b",\"parts\":{\"n\":")?;
    let n = u32::try_from(scanner.integer()?).map_err(|_| scanner.refuse("too many parts"))?;
    scanner.expect(b",\"root\":\"")?;
    let root = scanner.hash()?;
    scanner.expect(b"\"}}")?;
    scanner.end()?;
    let envelope = Envelope { v: VERSION, seq, prev, at, kind, public, parts: PartsRef { n, root } };
    envelope.check()?;
    Ok(envelope)
}

fn raw(value: &[u8]) -> Result<Box<RawValue>, Malformed> {
    // The scanner has seen that the value is canonical JSON, strings in UTF-8 included.
    let text = std::str::from_utf8(value).map_err(|e| Malformed(e.to_string()))?;
    RawValue::from_string(text.to_owned()).map_err(|e| Malformed(e.to_string()))
}

/// An instant in its one spelling. [`Time`] reads several; the fixed shape, and no leap second, leaves
/// the one it writes.
fn instant(text: &[u8; 27]) -> Result<Time, Malformed> {
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = text.iter().zip(shape).all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s });
    let leap = text.get(17) == Some(&b'6');
    match std::str::from_utf8(text) {
        Ok(text) if fits && !leap => text.parse(),
        _ => Err(Malformed("an instant is written as 2026-11-20T22:39:14.123456Z".into())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = concat!(
        r#"{"v":1,"seq":42,"prev":"1111111111111111111111111111111111111111111111111111111111111111","#,
        r#""at":"2026-11-20T22:39:14.123456Z","kind":"payment.captured","parts":{"n":3,"#,
        r#""root":"2222222222222222222222222222222222222222222222222222222222222222"}}"#
    );
    const NO_PARTS: &str =
        r#""parts":{"n":0,"root":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;

    fn public(content: &str) -> String {
        let head = &SAMPLE[..SAMPLE.find(r#","parts""#).expect("parts")];
        format!(r#"{head},"pub":{content},{NO_PARTS}}}"#)
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let envelope = Envelope {
            v: 1,
            seq: 42,
            prev: Hash([0x11; 32]),
            at: "2026-11-20T22:39:14.123456Z".parse().expect("an instant"),
            kind: "payment.captured".into(),
            public: None,
            parts: PartsRef { n: 3, root: Hash([0x22; 32]) },
        };
        assert_eq!(String::from_utf8_lossy(&envelope.encode()), SAMPLE);
        assert_eq!(Envelope::hash(SAMPLE.as_bytes()).0, *blake3::hash(SAMPLE.as_bytes()).as_bytes());
        let text = public(r#"{"nonce":"00","n":[1,-2]}"#);
        let back = Envelope::decode(text.as_bytes()).expect("an envelope");
        assert_eq!(back.public.as_ref().map(|p| p.get()), Some(r#"{"nonce":"00","n":[1,-2]}"#));
        assert_eq!(back.encode(), text.as_bytes());
    }

    #[test]
    fn how_many_parts_there_are_stands_at_the_end() {
        assert_eq!(parts_said(SAMPLE.as_bytes()), Some(3));
        let many = SAMPLE.replace("\"n\":3", "\"n\":10010");
        assert_eq!(parts_said(many.as_bytes()), Some(10_010));
        // What is public may say what it likes.
        assert_eq!(parts_said(public(r#"{"parts":{"n":7}}"#).as_bytes()), Some(0));
        for other in
            ["", "{}", &SAMPLE[1..60], &SAMPLE[..SAMPLE.len() - 1], &SAMPLE.replace("\"n\":3", "\"n\":")]
        {
            assert_eq!(parts_said(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn any_other_form_is_refused() {
        assert!(Envelope::decode(SAMPLE.as_bytes()).is_ok());
        let changes: &[(&str, &str)] = &[
            (r#""seq":42"#, r#""seq":042"#),
            (r#""seq":42"#, r#""seq":-1"#),
            (r#""seq":42"#, r#""seq": 42"#),
            (r#""seq":42"#, r#""seq":9007199254740992"#),
            (r#""seq":42"#, r#""seq":42.0"#),
            (r#""seq":42"#, r#""seq":42,"seq":42"#),
            (r#""v":1,"seq":42"#, r#""seq":42,"v":1"#),
            ("1111\"", "111A\""),
            ("1111\"", "111\""),
            ("2222\"", "22222\""),
            (r#"14.123456Z"#, r#"14.12345Z"#),
            (r#"14.123456Z"#, r#"14.1234567Z"#),
            (r#"14.123456Z"#, r#"60.123456Z"#),
            (r#"14.123456Z"#, r#"14.123456z"#),
            (r#"T22"#, r#" 22"#),
            (r#"T22"#, r#"T24"#),
            (r#"2026-11"#, r#"2026-13"#),
            (r#"2026-11"#, r#"1969-11"#),
            ("payment.captured", ""),
            ("payment.captured", "Payment"),
            ("payment.captured", "payment-1"),
            ("payment.captured", r"payment\u002e"),
            ("payment.captured", &"a".repeat(65)),
            (r#""n":3"#, r#""n":0"#),
            (r#""n":3"#, r#""n":10011"#),
            (r#""n":3"#, r#""n":4294967297"#),
            (r#""n":3,"#, r#""n":3,"x":1,"#),
            (r#""parts""#, r#""pub":null,"parts""#),
            (r#""parts""#, r#""pub":{},"parts""#),
            (r#""parts""#, r#""extra":{},"parts""#),
            ("}}", "}} "),
            ("}}", "}}}"),
            ("}}", "}"),
        ];
        for (from, to) in changes {
            let text = SAMPLE.replacen(from, to, 1);
            assert_ne!(text, SAMPLE, "{from}");
            assert!(matches!(Envelope::decode(text.as_bytes()), Err(Unreadable::Malformed(_))), "{text}");
        }
        for content in [r#"{"a": 1}"#, r#"{"a":1,"a":2}"#, r#"{"a":1.5}"#, r#"{"a":9007199254740992}"#, ""] {
            assert!(Envelope::decode(public(content).as_bytes()).is_err(), "{content}");
        }
        assert!(Envelope::decode(b"").is_err());
        assert!(Envelope::decode(&public("\"\u{e9}\"").into_bytes()).is_ok());
    }

    #[test]
    fn another_version_is_not_a_lie() {
        for version in ["0", "2", "17"] {
            let text = SAMPLE.replacen("\"v\":1", &format!("\"v\":{version}"), 1);
            assert!(matches!(Envelope::decode(text.as_bytes()), Err(Unreadable::Version(_))), "{version}");
        }
    }

    #[test]
    fn an_envelope_has_at_most_65535_bytes() {
        let spare = MAX_ENVELOPE - public("\"\"").len();
        let fits = public(&format!("\"{}\"", "x".repeat(spare)));
        assert_eq!(fits.len(), MAX_ENVELOPE);
        assert!(Envelope::decode(fits.as_bytes()).is_ok());
        assert!(Envelope::decode(public(&format!("\"{}\"", "x".repeat(spare + 1))).as_bytes()).is_err());
    }

    /// Any valid envelope.
    pub(in crate::log) fn envelopes() -> impl Strategy<Value = Envelope> {
        let content = prop_oneof![
            Just(None),
            any::<(String, i32)>().prop_map(|(text, number)| {
                Some(encode(&serde_json::json!({"number": number, "text": text})))
            })
        ];
        let instant = (0i64..253_402_300_800_000_000).prop_map(|m| Time::from_micros(m).expect("in range"));
        let hashes = any::<([u8; 32], [u8; 32])>();
        (0..=MAX_INT, hashes, instant, "[a-z._]{1,64}", content, 1..=MAX_PARTS).prop_map(
            |(seq, (prev, root), at, kind, content, n)| Envelope {
                v: VERSION,
                seq,
                prev: Hash(prev),
                at,
                kind,
                parts: if content.is_some() { PartsRef::NONE } else { PartsRef { n, root: Hash(root) } },
                public: content.map(|bytes| raw(&bytes).expect("JSON")),
            },
        )
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(envelope in envelopes()) {
            let bytes = envelope.encode();
            prop_assert_eq!(&bytes, &encode(&envelope), "the one encoder writes the same");
            let back = Envelope::decode(&bytes).expect("canonical");
            prop_assert_eq!(back.seq, envelope.seq);
            prop_assert_eq!(back.prev, envelope.prev);
            prop_assert_eq!(back.at, envelope.at);
            prop_assert_eq!(&back.kind, &envelope.kind);
            prop_assert_eq!(back.parts, envelope.parts);
            prop_assert_eq!(back.encode(), bytes);
        }

        #[test]
        fn what_is_read_is_written_alike(envelope in envelopes(), at in any::<prop::sample::Index>(), byte in 32u8..127, how in 0..3) {
            let mut bytes = envelope.encode();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            if let Ok(read) = Envelope::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
