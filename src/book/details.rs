//! Records of bank details: which versions a participant has in a currency, and what stands for each of them.
//!
//! Owns: their shapes. Promises: no account number stands in a record, only a salted commitment to it.
//! Refuses to know: where the plain details are kept, and what they say.

use super::clearing::Mark;
use crate::types::{Hash, Kid};
use serde::{Deserialize, Serialize};

/// The versions of a participant's bank details in one currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// The newest version, from 1.
    pub newest: u64,
    /// The newest one that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<u64>,
}

/// One version of a participant's bank details.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BankDetailsVersion)]
pub struct DetailsVersion {
    /// BLAKE3 over the details and a random salt: who has both can show what was meant, nobody else learns it.
    pub commitment: Hash,
    /// The key that asked for it.
    pub by: Kid,
    /// When.
    pub set: Mark,
    /// Whether the operator's people set it, for a participant that never set any itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub house: bool,
    /// When an analyst confirmed it by calling the participant back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Mark>,
    /// The first cycle for which it counts, once it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The version that counts for earlier cycles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}
