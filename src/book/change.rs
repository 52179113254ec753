//! Change: the complete effects of an entry, as its parts record them, and how state takes them over.
//!
//! Applying interprets nothing: heads, lots, holds and puts carry the value after; legs add to the
//! totals of shared and pair accounts. So recovery and mirrors need no rule of the business.

use super::account::{Account, Bucket, Head, Hold, Lot};
use super::name::Name;
use super::record::Record;
use crate::types::{AccountId, Asset, HoldId, Malformed, ParticipantId, Points, UnitCode};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A unit's shared accounts: where points come from and end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shared {
    /// Points come from here; its total is minus what was issued.
    Issuance,
    /// Spent in shops.
    Redeemed,
    /// Changed into another unit.
    Exchanged,
    /// On the way between two accounts of one entry.
    Transit,
    /// Past their date.
    Expired,
    /// Taken back by their brand.
    ClawedBack,
    /// Given up by their holder.
    Forfeited,
}

impl Shared {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Issuance,
        Self::Redeemed,
        Self::Exchanged,
        Self::Transit,
        Self::Expired,
        Self::ClawedBack,
        Self::Forfeited,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Issuance => "issuance",
            Self::Redeemed => "redeemed",
            Self::Exchanged => "exchanged",
            Self::Transit => "transit",
            Self::Expired => "expired",
            Self::ClawedBack => "clawed_back",
            Self::Forfeited => "forfeited",
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Shared {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|shared| shared.text() == text)
            .ok_or_else(|| Malformed(format!("{text:?} is not a shared account")))
    }
}

/// Where a leg stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A holder's account.
    Holder(AccountId),
    /// A unit's shared account.
    Shared(UnitCode, Shared),
    /// What the first participant has from the second, in the cycle that the part names.
    Pair(ParticipantId, ParticipantId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holder(account) => account.fmt(f),
            Self::Shared(unit, shared) => write!(f, "{unit}:{shared}"),
            Self::Pair(a, b) => write!(f, "{a}:{b}"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::types::as_text(self, s)
    }
}

impl FromStr for Place {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.split_once(':') {
            None => text.parse().map(Self::Holder),
            Some((a, b)) if a.starts_with("pa_") => Ok(Self::Pair(a.parse()?, b.parse()?)),
            Some((unit, shared)) => Ok(Self::Shared(unit.parse()?, shared.parse()?)),
        }
    }
}

/// A movement on one account: `[account, asset, signed amount]`, on holder and pair accounts with the
/// balance after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The account.
    pub place: Place,
    /// Points or money.
    pub asset: Asset,
    /// + is more, − is less.
    pub amount: i64,
    /// The balance after, where both readers know it.
    pub after: Option<i64>,
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(None)?;
        seq.serialize_element(&self.place)?;
        seq.serialize_element(&self.asset)?;
        seq.serialize_element(&self.amount)?;
        if let Some(after) = self.after {
            seq.serialize_element(&after)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Leg {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Legs;
        impl<'de> Visitor<'de> for Legs {
            type Value = Leg;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a leg [account, asset, amount] with or without a balance after")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Leg, A::Error> {
                let short = || A::Error::custom("a leg has at least three members");
                let place: Cow<'de, str> = seq.next_element()?.ok_or_else(short)?;
                Ok(Leg {
                    place: place.parse().map_err(A::Error::custom)?,
                    asset: seq.next_element()?.ok_or_else(short)?,
                    amount: seq.next_element()?.ok_or_else(short)?,
                    after: seq.next_element()?,
                })
            }
        }
        d.deserialize_seq(Legs)
    }
}

/// A record's value after the entry; `null` if it is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Put(pub Name, pub Option<Arc<Record>>);

impl Serialize for Put {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (&self.0, self.1.as_deref()).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Put {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (name, value) = <(Name, Box<RawValue>)>::deserialize(d)?;
        let record = match value.get() {
            "null" => None,
            text => Some(Arc::new(Record::decode(&name, text.as_bytes()).map_err(D::Error::custom)?)),
        };
        Ok(Self(name, record))
    }
}

/// The effects that one part records.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Done {
    /// Movements; they sum to zero per asset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<Leg>,
    /// Accounts' heads after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<(AccountId, Head)>,
    /// Lots after: `[account, bucket, points]`; 0 points: the lot is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<(AccountId, Bucket, Points)>,
    /// Holds after: `[account, payment or offer, hold]`; null: the hold is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<(AccountId, HoldId, Option<Hold>)>,
    /// All other records after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) put: Vec<Put>,
}

/// A state that takes effects over: reads and stores whole records.
pub trait Apply {
    /// The record of that name, as stored.
    fn record(&mut self, name: &Name) -> Option<Arc<Record>>;
    /// Stores the record, or forgets it.
    fn store(&mut self, name: Name, record: Option<Arc<Record>>);
}

impl Done {
    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the records that applying will read; `cycle`: the one that the part names.
    pub fn names(&self, cycle: Option<u64>) -> Vec<Name> {
        let accounts = self.heads.iter().map(|(a, _)| *a).chain(self.lots.iter().map(|(a, ..)| *a));
        let accounts = accounts.chain(self.holds.iter().map(|(a, ..)| *a));
        let totals = self.legs.iter().flat_map(|leg| totals_of(leg, cycle).into_iter().flatten());
        accounts.map(Name::Account).chain(totals).collect()
    }

    /// The records put, by name.
    pub fn puts(&self) -> impl Iterator<Item = (&Name, Option<&Record>)> {
        self.put.iter().map(|Put(name, record)| (name, record.as_deref()))
    }

    /// Adds a record's value after.
    pub fn put(&mut self, name: Name, record: Option<Arc<Record>>) {
        self.put.push(Put(name, record));
    }

    /// Takes the effects over into a state; `cycle`: the one that the part names.
    pub fn apply(&self, cycle: Option<u64>, state: &mut impl Apply) -> Result<(), Malformed> {
        for (id, head) in &self.heads {
            let name = Name::Account(*id);
            let account = match state.record(&name).as_deref() {
                Some(Record::Account(have)) => Account { head: head.clone(), ..have.clone() },
                _ => Account { head: head.clone(), lots: vec![], holds: vec![] },
            };
            state.store(name, Some(Arc::new(Record::Account(account))));
        }
        for (id, bucket, points) in &self.lots {
            change_account(state, *id, |account| account.set_lot(*bucket, *points))?;
        }
        for (id, of, hold) in &self.holds {
            change_account(state, *id, |account| account.set_hold(*of, hold.clone()))?;
        }
        for Put(name, record) in &self.put {
            state.store(name.clone(), record.clone());
        }
        for leg in &self.legs {
            if matches!(leg.place, Place::Pair(..)) && cycle.is_none() {
                return Err(Malformed(format!("{} belongs to no cycle", leg.place)));
            }
            for name in totals_of(leg, cycle).into_iter().flatten() {
                let before = state.record(&name).and_then(|r| r.total().copied()).unwrap_or(0);
                let after =
                    before.checked_add(leg.amount).ok_or_else(|| Malformed(format!("{name} overflows")))?;
                state.store(name, Some(Arc::new(Record::Total(after))));
            }
        }
        Ok(())
    }
}

/// The totals that a leg adds to: what stands between two participants is kept once, under the smaller id first,
/// and what one has from all others under its own.
pub(super) fn totals_of(leg: &Leg, cycle: Option<u64>) -> [Option<Name>; 2] {
    match (&leg.place, leg.asset, cycle) {
        (Place::Shared(unit, shared), ..) => [Some(Name::Shared(*unit, *shared)), None],
        (Place::Pair(a, b), Asset::Money(currency), Some(cycle)) => {
            let pair = (a < b).then(|| Name::Pair(cycle, a.clone(), b.clone(), currency));
            [pair, Some(Name::Net(cycle, a.clone(), currency))]
        }
        _ => [None, None],
    }
}

fn change_account(
    state: &mut impl Apply,
    id: AccountId,
    change: impl FnOnce(&mut Account),
) -> Result<(), Malformed> {
    let name = Name::Account(id);
    let mut record = state.record(&name).ok_or_else(|| Malformed(format!("{name} does not exist")))?;
    if let Record::Account(account) = Arc::make_mut(&mut record) {
        change(account);
    }
    state.store(name, Some(record));
    Ok(())
}

impl Account {
    fn set_lot(&mut self, bucket: Bucket, points: Points) {
        self.lots.retain(|lot| lot.0 != bucket);
        // Recorded effects were checked when they were decided; room is not judged again.
        let place = self.lots.partition_point(|lot| lot.0.comes_before(&bucket));
        if !points.is_zero() {
            self.lots.insert(place, Lot(bucket, points));
        }
    }

    fn set_hold(&mut self, of: HoldId, hold: Option<Hold>) {
        self.holds.retain(|have| have.of != of);
        let place = self.holds.partition_point(|have| have.of < of);
        if let Some(hold) = hold {
            self.holds.insert(place, hold);
        }
    }
}
