//! A reader for canonical JSON that builds nothing.
//!
//! Owns: which bytes are JSON exactly as the one encoder writes it, and how to step over them.
//! Promises: a value it steps over has no insignificant white space, shortest escapes, no member name
//! twice in one object, no fractions, and integers within ±(2^53 − 1); so encoding what was read gives
//! the same bytes back. Nothing is allocated except a list of member names per object.
//! Refuses to know: which members a value should have.

use crate::types::{Hash, MAX_INT, Malformed};

/// Objects and arrays within each other, at most. Deeper than anything we write, and shallow enough
/// that a hostile text cannot exhaust the stack.
const MAX_DEPTH: u32 = 32;

/// What is left of a text that is being read from the left.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Steps over exactly these bytes.
    pub(super) fn expect(&mut self, literal: &[u8]) -> Result<(), Malformed> {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.refuse(&format!("expected {}", String::from_utf8_lossy(literal)))),
        }
    }

    /// Steps over these bytes if they come next.
    pub(super) fn skip(&mut self, literal: &[u8]) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.refuse("expected the end")) }
    }

    /// An integer from 0 to 2^53 − 1 without leading zeros.
    pub(super) fn integer(&mut self) -> Result<u64, Malformed> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (text, rest) = self.rest.split_at_checked(digits).unwrap_or_default();
        if text.is_empty() || (digits > 1 && text.starts_with(b"0")) {
            return Err(self.refuse("expected an integer without leading zeros"));
        }
        let value = text.iter().try_fold(0u64, |sum, digit| {
            let next = sum.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?))?;
            (next <= MAX_INT).then_some(next)
        });
        let value = value.ok_or_else(|| self.refuse("an integer beyond 2^53 - 1"))?;
        self.rest = rest;
        Ok(value)
    }

    /// The next `N` bytes, whatever they are.
    pub(super) fn exactly<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (bytes, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.refuse("the text is cut off"))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// 64 lower-case hexadecimal digits.
    pub(super) fn hash(&mut self) -> Result<Hash, Malformed> {
        let mut hash = Hash::default();
        let digits = self.exactly::<64>()?;
        match data_encoding::HEXLOWER.decode_mut(digits, &mut hash.0) {
            Ok(32) => Ok(hash),
            _ => Err(self.refuse("expected a hash of 64 lower-case hexadecimal digits")),
        }
    }

    /// All bytes up to the next quotation mark, which stays.
    pub(super) fn until_quote(&mut self) -> &'a [u8] {
        let length = self.rest.iter().take_while(|b| **b != b'"').count();
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        text
    }

    /// Steps over one value of any kind and returns its bytes.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let from = self.rest;
        self.any(MAX_DEPTH)?;
        Ok(self.since(from))
    }

    fn since(&self, from: &'a [u8]) -> &'a [u8] {
        from.get(..from.len().saturating_sub(self.rest.len())).unwrap_or_default()
    }

    fn any(&mut self, depth: u32) -> Result<(), Malformed> {
        let deeper = || depth.checked_sub(1).ok_or_else(|| self.refuse("nested too deeply"));
        match self.rest.first() {
            Some(b'{') => self.object(deeper()?),
            Some(b'[') => self.array(deeper()?),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.expect(b"true"),
            Some(b'f') => self.expect(b"false"),
            Some(b'n') => self.expect(b"null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<(), Malformed> {
        self.expect(b"{")?;
        if self.skip(b"}") {
            return Ok(());
        }
        let mut names = Vec::with_capacity(8);
        loop {
            names.push(self.string()?);
            self.expect(b":")?;
            self.any(depth)?;
            if !self.skip(b",") {
                break;
            }
        }
        self.expect(b"}")?;
        // Escapes have one spelling, so equal names are equal bytes.
        names.sort_unstable();
        if names.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(self.refuse("a member name comes twice")) }
    }

    fn array(&mut self, depth: u32) -> Result<(), Malformed> {
        self.expect(b"[")?;
        if self.skip(b"]") {
            return Ok(());
        }
        loop {
            self.any(depth)?;
            if !self.skip(b",") {
                return self.expect(b"]");
            }
        }
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.expect(b"\"")?;
        let from = self.rest;
        loop {
            let plain = self.rest.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=31)).count();
            self.rest = self.rest.get(plain..).unwrap_or_default();
            match self.rest.first() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return Err(self.refuse("a bare control character, or a string without end")),
            }
        }
        let text = self.since(from);
        self.expect(b"\"")?;
        match std::str::from_utf8(text) {
            Ok(_) => Ok(text),
            Err(_) => Err(self.refuse("a string that is not UTF-8")),
        }
    }

    /// The escapes the encoder writes: seven short ones, and `\u00xx` for what has no short one.
    fn escape(&mut self) -> Result<(), Malformed> {
        self.expect(b"\\")?;
        let short = self.rest.first().is_some_and(|b| br#""\bfnrt"#.contains(b));
        if short {
            self.rest = self.rest.get(1..).unwrap_or_default();
            return Ok(());
        }
        self.expect(b"u00")?;
        let [high, low] = *self.exactly::<2>()?;
        let has_short_form = high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
        let is_control = matches!(high, b'0' | b'1') && matches!(low, b'0'..=b'9' | b'a'..=b'f');
        if is_control && !has_short_form { Ok(()) } else { Err(self.refuse("not the shortest escape")) }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let negative = self.skip(b"-");
        match self.integer()? {
            0 if negative => Err(self.refuse("a negative zero")),
            _ => Ok(()),
        }
    }

    /// An error that shows where reading stopped.
    pub(super) fn refuse(&self, why: &str) -> Malformed {
        let next = self.rest.get(..self.rest.len().min(24)).unwrap_or_default();
        Malformed(format!("{why} at {:?}", String::from_utf8_lossy(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reads(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_ok_and(|v| v == text) && scanner.end().is_ok()
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let good: &[&str] = &[
            "{}",
            "[]",
            "0",
            "-1",
            "true",
            "null",
            r#""""#,
            "9007199254740991",
            "-9007199254740991",
            r#"{"a":[1,{"b":"\u0001\u001f\n\"\\"}],"aa":false}"#,
            "\"é/\u{7f}\u{2028}\"",
        ];
        for text in good {
            assert!(reads(text.as_bytes()), "{text}");
            let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(crate::types::encode(&value), text.as_bytes(), "and the encoder writes the same");
        }
        let bad: &[&str] = &[
            "",
            " 1",
            "1 ",
            "{ }",
            "[1, 2]",
            "[1,]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"b":1,"c":3,"b":1}"#,
            r#"{a:1}"#,
            "01",
            "-0",
            "+1",
            "1.0",
            "1e3",
            "9007199254740992",
            "-9007199254740992",
            "99999999999999999999999",
            "tru",
            "\"\u{1}\"",
            "\"a\nb\"",
            r#""\/""#,
            r#""\u0041""#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\u00e9""#,
            r#""\u2028""#,
            r#""open"#,
            r#""\"#,
        ];
        for text in bad {
            assert!(!reads(text.as_bytes()), "{text}");
        }
        assert!(!reads(b"\"\xff\""), "not UTF-8");
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(reads(&nested(32)));
        assert!(!reads(&nested(33)));
        assert!(!reads(&nested(60_000)));
    }

    /// Values of the kinds the log may hold.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (0..=MAX_INT).prop_map(Into::into),
            (1..=MAX_INT as i64).prop_map(|n| (-n).into()),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_the_encoder_writes_is_read(value in json()) {
            prop_assert!(reads(&crate::types::encode(&value)));
        }

        #[test]
        fn whatever_is_read_the_encoder_writes_alike(value in json(), at in any::<prop::sample::Index>(), byte in 0u8..128) {
            let mut text = crate::types::encode(&value);
            let at = at.index(text.len());
            text[at] = byte;
            if reads(&text) {
                let Ok(again) = serde_json::from_slice::<serde_json::Value>(&text) else {
                    // The only texts read here and refused there: none.
                    return Err(TestCaseError::fail("not JSON at all"));
                };
                let mut sorted = text.clone();
                let mut rewritten = crate::types::encode(&again);
                // serde_json's map sorts its members; the same bytes must be there in some order.
                sorted.sort_unstable();
                rewritten.sort_unstable();
                prop_assert_eq!(sorted, rewritten);
            }
        }
    }
}
