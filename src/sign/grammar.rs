//! The grammar that headers and payloads share, whatever their type: what holds before anybody looks for
//! meaning.
//!
//! Owns: the bounds of a payload (a JSON object; integers 0 to 2^53 − 1 only; no member twice; member names of
//! `[A-Za-z0-9._:-]{1,64}`; at most [`MAX_DEPTH`] levels), and how a refusal names the member.
//! Promises: what passes reads the same in every JSON reader.
//! Refuses to know: which members there should be. That is the `Deserialize` of each payload's type.

use crate::types::{MAX_INT, Refusal, Refused};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

const DEEP: &str = "nested too deeply";
const LARGE: &str = "above 2^53 - 1";
const NAME: &str = "not a name of a member";
const TWICE: &str = "stands twice";

/// How many objects and arrays may stand inside each other, the payload itself included.
pub const MAX_DEPTH: usize = 8;

/// Reads a struct from an object and from nothing else.
///
/// A derived `Deserialize` also takes an array with the members in order, which would give one statement
/// two spellings. For a struct within a payload, write `#[serde(deserialize_with = "crate::sign::object")]`
/// on the member; the payload itself is always held to this.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    d.deserialize_map(Object(PhantomData))
}

/// Reads a struct from bytes that are held to the grammar of payloads without being one: a line of a
/// batch. `token_payload` names the member that is wrong.
pub fn read_object<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Result<T, Refused> {
    read(&check(json.to_vec())?, Refusal::TokenPayload)
}

/// Reads a struct from the body of a request, held to the grammar of payloads. `malformed` names the member
/// that is wrong.
pub fn read_body<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, Refused> {
    let as_body = |no: Refused| Refused { code: Refusal::Malformed, ..no };
    check(json.as_bytes().to_vec()).and_then(|text| read(&text, Refusal::Malformed)).map_err(as_body)
}

/// A struct that is read from an object and from nothing else.
struct Only<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Only<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        object(d).map(Self)
    }
}

/// [`object`] for a member that may be absent.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Only<T>>::deserialize(d)?.map(|only| only.0))
}

/// [`object`] for each item of a list.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Only<T>>::deserialize(d)?.into_iter().map(|only| only.0).collect())
}

/// [`object`] for each item of a list that may be absent.
pub fn optional_objects<'de, D, T>(d: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<Only<T>>>::deserialize(d)?.map(|all| all.into_iter().map(|only| only.0).collect()))
}

/// Holds a payload to the bounds and hands it back as the text it is.
pub(super) fn check(payload: Vec<u8>) -> Result<String, Refused> {
    let code = Refusal::TokenPayload;
    let text = String::from_utf8(payload).map_err(|_| Refused::about(code, "not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Refused::about(code, "not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(&text);
    let walked = Level(MAX_DEPTH).deserialize(&mut json).and_then(|()| json.end());
    walked.map_err(|e| refusal(code, &text, &e))?;
    Ok(text)
}

/// Reads a type from an object, with nothing behind it; otherwise refuses with the code given.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str, code: Refusal) -> Result<T, Refused> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = object(&mut json).and_then(|value| json.end().map(|()| value));
    value.map_err(|e| refusal(code, text, &e))
}

/// One value, with so many levels left for objects and arrays.
struct Level(usize);

impl Level {
    fn below<E: Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, true, false, an object, an array or an integer from 0 to 2^53 - 1")
    }

    // Without `visit_i64`, `visit_f64` and `visit_unit`, negative numbers, fractions, exponents and null find
    // no taker. A member that says nothing is left out: one statement, one spelling.
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        if number <= MAX_INT { Ok(()) } else { Err(E::custom(LARGE)) }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below::<A::Error>()?;
        while items.next_element_seed(Self(below.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below::<A::Error>()?;
        let mut seen: BTreeSet<&'de str> = BTreeSet::new();
        // A name is borrowed, so it has no escapes: one spelling, and bytes can be compared.
        while let Some(name) = members.next_key::<&'de str>()? {
            if !is_name(name) {
                return Err(A::Error::custom(NAME));
            }
            if !seen.insert(name) {
                return Err(A::Error::custom(TWICE));
            }
            members.next_value_seed(Self(below.0))?;
        }
        Ok(())
    }
}

/// The form of every text in the log. It also keeps out the names that `serde_json` gives a meaning of
/// its own (`$serde_json::private::RawValue` would carry numbers past this check inside a text).
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// The refusal for what the JSON reader said: where it was, and why in our own words. The reader's own
/// message may repeat values, which can be anybody's secret.
fn refusal(code: Refusal, text: &str, error: &serde_json::Error) -> Refused {
    let message = error.to_string();
    let taken_in = offset(text, error);
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    let place = match missing {
        Some((name, _)) => [members_at(text, taken_in), vec![name]].concat(),
        // Complaints about the last member may come when the bracket behind it is taken in already.
        None => members_at(text, taken_in.saturating_sub(1)),
    };
    let words = wanted(&message);
    let why = match [DEEP, LARGE, NAME, TWICE].into_iter().find(|own| message.starts_with(own)) {
        Some(own) => own,
        None if words.is_some() => words.as_deref().unwrap_or_default(),
        None if missing.is_some() => "missing",
        None if message.starts_with("unknown field") => "unknown member",
        None if message.starts_with("duplicate field") => TWICE,
        None if error.is_data() => "not of the documented form",
        None => "not JSON",
    };
    let place = place.join(".");
    let colon = if place.is_empty() { "" } else { ": " };
    Refused::about(code, format_args!("{place}{colon}{why}"))
}

/// Where one of some words is wanted, which: ours, as the reader lists them behind what stands there.
fn wanted(message: &str) -> Option<String> {
    let (_, ours) = message.strip_prefix("unknown variant `")?.rsplit_once(", expected ")?;
    let words: Vec<&str> = ours.split('`').skip(1).step_by(2).collect();
    (!words.is_empty()).then(|| format!("not of the documented form: {}", words.join(" or ")))
}

/// How many bytes the reader had taken in. Its columns count bytes, and so do we.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    before.saturating_add(error.column())
}

/// The names of the members that stand open after so many bytes of JSON, outermost first. Only for
/// messages: what is not JSON gives some answer too.
fn members_at(text: &str, offset: usize) -> Vec<&str> {
    let mut open: Vec<Option<&str>> = Vec::new();
    let mut rest = text;
    while text.len().saturating_sub(rest.len()) < offset {
        let mut chars = rest.chars();
        match chars.next() {
            Some('{' | '[') => open.push(None),
            Some('}' | ']') => drop(open.pop()),
            Some('"') => {
                let (string, after) = chars.as_str().split_at(string_length(chars.as_str()));
                chars = after.chars();
                chars.next();
                if chars.as_str().trim_ascii_start().starts_with(':')
                    && let Some(name) = open.last_mut()
                {
                    *name = Some(string);
                }
            }
            Some(_) => {}
            None => break,
        }
        rest = chars.as_str();
    }
    open.into_iter().flatten().filter(|name| is_name(name)).collect()
}

/// The bytes up to the quotation mark that ends a string.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// JSON, then what the refusal is about; "ok" if there is none.
    const GENERIC: &[(&str, &str)] = &[
        ("{}", "ok"),
        (r#" { "a" : [ 1 , "x" , true , { "b" : { } } ] } "#, "ok"),
        (r#"{"a":null}"#, "a: not of the documented form"),
        (r#"{"a":9007199254740991}"#, "ok"),
        (r#"{"a":"\ud83d\ude00 \u0000 \" \\"}"#, "ok"),
        (r#"{"a":1,"b":{"a":1,"c":[{"a":1},{"a":1}]}}"#, "ok"),
        (r#"{"a":[[[[[[[]]]]]]]}"#, "ok"),
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("1", "not a JSON object"),
        ("null", "not a JSON object"),
        (r#""{}""#, "not a JSON object"),
        ("\u{feff}{}", "not a JSON object"),
        ("{}{}", "not JSON"),
        ("{} x", "not JSON"),
        ("{", "not JSON"),
        (r#"{"a":1,}"#, "a: not JSON"),
        (r#"{"a":01}"#, "a: not JSON"),
        (r#"{"a":+1}"#, "a: not JSON"),
        (r#"{"a":NaN}"#, "a: not JSON"),
        (r#"{"a":'x'}"#, "a: not JSON"),
        (r#"{"a":1/*x*/}"#, "a: not JSON"),
        ("{\"a\":\"\n\"}", "a: not JSON"),
        (r#"{"a":"\ud800"}"#, "a: not JSON"),
        (r#"{"a":1.0}"#, "a: not of the documented form"),
        (r#"{"a":0.5}"#, "a: not of the documented form"),
        (r#"{"a":1e3}"#, "a: not of the documented form"),
        (r#"{"a":1E0}"#, "a: not of the documented form"),
        (r#"{"a":-1}"#, "a: not of the documented form"),
        (r#"{"a":-0}"#, "a: not of the documented form"),
        (r#"{"a":9007199254740992}"#, "a: above 2^53 - 1"),
        (r#"{"a":18446744073709551616}"#, "a: not of the documented form"),
        (r#"{"a":1e999}"#, "a: not JSON"),
        (r#"{"a":{"b":[{"c":-1}]}}"#, "a.b.c: not of the documented form"),
        (r#"{"a":{"x":1},"b":[{},-1]}"#, "b: not of the documented form"),
        (r#"{"a":1,"a":1}"#, "a: stands twice"),
        (r#"{"a":{"b":1,"c":2,"b":3}}"#, "a.b: stands twice"),
        (r#"{"a":1,"\u0061":1}"#, "not of the documented form"),
        (r#"{"":1}"#, "not a name of a member"),
        (r#"{"a b":1}"#, "not a name of a member"),
        (r#"{"é":1}"#, "not a name of a member"),
        (r#"{"a":[[[[[[[[]]]]]]]]}"#, "a: nested too deeply"),
        (r#"{"$serde_json::private::RawValue":"[-1]"}"#, "not a name of a member"),
        (r#"{"$serde_json::private::Number":"-1"}"#, "not a name of a member"),
    ];

    #[test]
    fn the_generic_grammar() {
        for (json, wanted) in GENERIC {
            match check(json.as_bytes().to_vec()) {
                Ok(text) => assert_eq!(("ok", text.as_str()), (*wanted, *json)),
                Err(refused) => {
                    assert_eq!(refused.code, Refusal::TokenPayload, "{json}");
                    assert_eq!(refused.about, *wanted, "{json}");
                }
            }
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}".to_vec()).map_err(|r| r.about), Err("not UTF-8".into()));
        let long = format!(r#"{{"{}":1}}"#, "n".repeat(65));
        assert!(check(long.into_bytes()).is_err());
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        n: u64,
        #[serde(default)]
        unit: Option<crate::types::UnitCode>,
        #[serde(deserialize_with = "object", default)]
        inner: Inner,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        word: Option<Word>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Accepted,
        Rejected,
    }

    #[derive(Deserialize, Debug, Default)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        m: u64,
    }

    #[test]
    fn a_refusal_names_the_member_and_no_value() {
        let rows = [
            (r#"{"n":1,"unit":"HARVEST","inner":{"m":2},"list":[{"m":3}],"word":"rejected"}"#, "ok"),
            (r#"{}"#, "n: missing"),
            (r#"{"n":"secret"}"#, "n: not of the documented form"),
            (r#"{"n":null}"#, "n: not of the documented form"),
            (r#"{"n":{"m":1}}"#, "n: not of the documented form"),
            (r#"{"n":1,"unit":"secret"}"#, "unit: not of the documented form"),
            (r#"{"n":1,"secret":1}"#, "secret: unknown member"),
            (r#"{"n":1,"word":"secret"}"#, "word: not of the documented form: accepted or rejected"),
            (r#"{"n":1,"word":"x`, expected `y"}"#, "word: not of the documented form: accepted or rejected"),
            (r#"{"n":1,"inner":{}}"#, "inner.m: missing"),
            (r#"{"n":1,"inner":{"m":1,"x":1}}"#, "inner.x: unknown member"),
            (r#"{"n":1,"inner":[1]}"#, "inner: not of the documented form"),
            (r#"{"n":1,"list":[{"m":1},{"m":"}\"]"}]}"#, "list.m: not of the documented form"),
            ("{\n \"n\": 1,\n \"inner\": {\n \"m\": true\n}}", "inner.m: not of the documented form"),
        ];
        for (json, wanted) in rows {
            match read::<Outer>(json, Refusal::TokenPayload) {
                Ok(outer) => {
                    assert_eq!(wanted, "ok", "{json}");
                    let unit = outer.unit.map(|u| u.to_string());
                    assert!(matches!(outer.word, Some(Word::Rejected)));
                    assert_eq!((outer.n, unit.as_deref()), (1, Some("HARVEST")));
                    assert_eq!((outer.inner.m, outer.list.iter().map(|i| i.m).sum()), (2, 3u64));
                }
                Err(refused) => assert_eq!(refused, Refused::about(Refusal::TokenPayload, wanted), "{json}"),
            }
        }
    }

    #[test]
    fn an_array_is_no_struct() {
        assert!(read::<Inner>(r#"{"m":1}"#, Refusal::TokenPayload).is_ok());
        assert!(serde_json::from_str::<Inner>("[1]").is_ok(), "what the derived reader would take");
        assert!(read::<Inner>("[1]", Refusal::TokenPayload).is_err());
    }

    /// Any JSON, with names and numbers that are often just outside the grammar.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..=MAX_INT + 1).prop_map(Value::from),
            (MAX_INT..=MAX_INT + 1).prop_map(Value::from),
            (-2..2i64).prop_map(Value::from),
            Just(Value::from(0.5)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(10, 40, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-c$ ]{1,2}", inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The grammar said a second time, over a tree.
    fn allowed(value: &Value, levels: usize) -> bool {
        match value {
            Value::Number(n) => n.as_u64().is_some_and(|n| n < 1 << 53),
            Value::Array(items) => levels > 0 && items.iter().all(|item| allowed(item, levels - 1)),
            Value::Object(members) => {
                let named =
                    |(name, item): (&String, &Value)| !name.contains(['$', ' ']) && allowed(item, levels - 1);
                levels > 0 && members.iter().all(named)
            }
            Value::Null => false,
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn the_grammar_is_the_same_over_a_tree(value in any_json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(check(text.clone().into_bytes()).is_ok(), value.is_object() && allowed(&value, MAX_DEPTH), "{}", text);
        }

        #[test]
        fn any_bytes_get_an_answer(text in r#"\PC{0,40}|[\{\}\[\]",:\\a1 -]{0,40}"#, offset in 0..50usize) {
            let _ = check(text.clone().into_bytes());
            let _ = members_at(&text, offset);
        }
    }
}
