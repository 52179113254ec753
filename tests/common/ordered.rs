//! JSON with its members in the order they came, and every small way to spoil it.
//!
//! Promises: `text` of what `read` took is the same text again; `spoiled` changes one thing at a time.

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).expect("JSON")
    }

    pub fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("JSON")
    }

    /// For validators, which do not see the order.
    pub fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("JSON")
    }

    pub fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(have, _)| have == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Json] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub fn str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Every value that differs from this one in one small way, with what was done.
    pub fn spoiled(&self) -> Vec<(String, Json)> {
        let mut all: Vec<(String, Json)> =
            self.here().into_iter().map(|(what, v)| (what.into(), v)).collect();
        match self {
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    for (what, other) in item.spoiled() {
                        let mut items = items.clone();
                        items[at] = other;
                        all.push((format!("/{at}{what}"), Self::List(items)));
                    }
                }
            }
            Self::Object(members) => {
                for (at, (name, member)) in members.iter().enumerate() {
                    let mut without = members.clone();
                    without.remove(at);
                    all.push((format!("/{name} removed"), Self::Object(without)));
                    for (what, other) in member.spoiled() {
                        let mut members = members.clone();
                        members[at].1 = other;
                        all.push((format!("/{name}{what}"), Self::Object(members)));
                    }
                }
            }
            _ => {}
        }
        all
    }

    fn here(&self) -> Vec<(&'static str, Json)> {
        match self {
            Self::Null => vec![(" to 0", Self::Int(0))],
            Self::Bool(_) => vec![(" to null", Self::Null), (" to 1", Self::Int(1))],
            Self::Int(_) | Self::Fraction(_) => vec![
                (" to text", Self::Text("1".into())),
                (" to null", Self::Null),
                (" to -1", Self::Int(-1)),
                (" to 2^53", Self::Int(1 << 53)),
                (" to a fraction", Self::Fraction(1.5)),
            ],
            Self::Text(text) => vec![
                (" to 1", Self::Int(1)),
                (" to null", Self::Null),
                (" emptied", Self::Text(String::new())),
                (" with a mark", Self::Text(format!("{text}!"))),
                (" with a space", Self::Text(format!(" {text}"))),
            ],
            Self::List(items) => {
                let more = items.iter().cloned().chain([Self::Null]).collect();
                let fewer = items.iter().skip(1).cloned().collect();
                vec![
                    (" with null", Self::List(more)),
                    (" cut", Self::List(fewer)),
                    (" to {}", Self::Object(vec![])),
                ]
            }
            Self::Object(members) => {
                let more = members.iter().cloned().chain([("zz".into(), Self::Int(1))]).collect();
                vec![(" with zz", Self::Object(more)), (" to []", Self::List(vec![]))]
            }
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(value) => s.serialize_bool(*value),
            Self::Int(value) => s.serialize_i64(*value),
            Self::Fraction(value) => s.serialize_f64(*value),
            Self::Text(text) => s.serialize_str(text),
            Self::List(items) => {
                let mut seq = s.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Self::Object(members) => {
                let mut map = s.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with integers only")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        i64::try_from(value).map(Json::Int).map_err(E::custom)
    }
    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = vec![];
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = vec![];
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Reader)
    }
}
