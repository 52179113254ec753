//! The network's own record, and its participants'.
//!
//! Owns: what genesis fixed, what was switched on since, and which brand speaks for a legal entity.
//! Promises: a participant has at most one speaker, and amounts are told to people in the decimals that genesis gave.
//! Refuses to know: who may change any of it.

use crate::types::{BrandId, Currency, Hash, Kid, ParticipantId, decimal};
use serde::{Deserialize, Serialize};

/// The network: what genesis fixed for ever, and whether the operator froze it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// BLAKE3 of genesis' `pub`: the `aud` of everything signed.
    pub net: Hash,
    /// How many operator roots must sign.
    pub threshold: u8,
    /// The operator's root keys.
    pub roots: Vec<Kid>,
    /// Currencies, in the order of genesis.
    pub currencies: Vec<Currency>,
    /// For each of them, how many of the network's smallest units are one of the bank's.
    pub bank_units: Vec<u64>,
    /// For each of them, how many decimal places amounts have.
    pub scales: Vec<u8>,
    /// Whether some participant's debts have a cap: payments look then, and not before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capped: bool,
    /// Whether fees were ever published: payments look then, and not before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fees: bool,
    /// Whether some participant said how its supplies are taxed: payments look then, and not before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taxed: bool,
    /// Whether some unit's reserve is filled when points are issued: entries look then, and not before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub funded: bool,
    /// The operator's own participant, once it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<ParticipantId>,
    /// Whether commands bring their own time.
    pub driven: bool,
    /// Nothing new while true.
    pub frozen: bool,
}

impl Network {
    /// How many of the network's smallest units of a currency are one of the bank's.
    pub fn bank_unit(&self, currency: Currency) -> Option<u64> {
        let mut units = self.currencies.iter().zip(&self.bank_units);
        units.find(|(have, _)| **have == currency).map(|(_, unit)| *unit)
    }

    /// An amount as people read it: with its decimal point and its currency.
    pub fn told(&self, currency: Currency, amount: impl Into<i128>) -> String {
        let amount = amount.into();
        let mut scales = self.currencies.iter().zip(&self.scales);
        let scale = scales.find(|(have, _)| **have == currency).map_or(0, |(_, scale)| *scale);
        let fits = i64::try_from(amount).map(|amount| decimal(amount, scale));
        format!("{} {currency}", fits.unwrap_or_else(|_| amount.to_string()))
    }
}

/// A legal entity that owes and is owed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// The currency it settles in.
    pub currency: Currency,
    /// The brand that speaks for it: the first that was registered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<BrandId>,
}

impl Participant {
    /// Whether this brand speaks for it.
    pub fn is_spoken_for_by(&self, brand: &BrandId) -> bool {
        self.speaker.as_ref() == Some(brand)
    }
}
