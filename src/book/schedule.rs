//! When cycles are sealed by themselves, by how much payments may be off, and through which month the books are closed.
//!
//! Owns: the shapes of these. Promises: instants are of the log. Refuses to know: who set them.

use super::clearing::Mark;
use crate::types::{Currency, Money, Month};
use serde::{Deserialize, Serialize};

/// On which days.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Every {
    /// Every day.
    Day,
    /// One day of the week.
    Week(DayOfWeek),
    /// One day of the month.
    Month(DayOfMonth),
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DayOfWeek {
    /// 1 for Monday to 7 for Sunday.
    #[schema(minimum = 1, maximum = 7)]
    pub day: u8,
}

/// A day of the month that every month has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DayOfMonth {
    /// 1 to 28.
    #[schema(minimum = 1, maximum = 28)]
    pub day: u8,
}

/// By how much one payment may be off and be written off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The currency.
    pub currency: Currency,
    /// How much, in the network's smallest unit; whole units of the bank's.
    pub amount: Money,
}

/// When the open cycle is sealed without anybody asking, and by how much payments may be off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// A higher version replaces a lower one.
    pub version: u64,
    /// On which days; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// At which hour, in UTC.
    pub hour: u8,
    /// The cycle is sealed so many minutes after that hour: what tills and shops send late falls into it still. It is not a
    /// time that payers have.
    pub grace_minutes: u32,
    /// By how much what a payer pays may be off and be written off; 0 in a currency that is not named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerance: Vec<Tolerance>,
    /// When it was set.
    pub set: Mark,
}

impl Schedule {
    /// By how much a payment in a currency may be off and be written off.
    pub fn tolerance(&self, currency: Currency) -> Money {
        let own = self.tolerance.iter().find(|one| one.currency == currency);
        own.map_or(Money::ZERO, |one| one.amount)
    }
}

/// The month that was closed last: what arrives later for it, or an earlier one, is told as prior-period.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The month, of UTC.
    pub month: Month,
    /// The last entry that belongs to it.
    pub seq: u64,
    /// When it was closed.
    pub closed: Mark,
}
