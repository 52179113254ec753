//! Limits: budgets, tills' limits, caps a day and quotas are one thing.

use super::draft::{Draft, PartKey, Stop};
use super::name::Name;
use super::record::Record;
use crate::types::{BrandId, Ident, Malformed, Refusal, Refused, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What is counted, and over which window of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// Points issued, ever, under one budget.
    Issued,
    /// Points issued in an hour.
    IssuedHour,
    /// Money's worth of points taken in an hour.
    TakenHour,
    /// Money's worth of points taken in a day.
    TakenDay,
    /// Money's worth of points given back in an hour.
    ReturnedHour,
    /// Money's worth of points given back in a day.
    ReturnedDay,
    /// Money's worth of one unit accepted in a day.
    AcceptedDay,
    /// Refusals recorded in an hour.
    RefusedHour,
}

const MEASURES: [(Measure, &str); 8] = [
    (Measure::Issued, "issued"),
    (Measure::IssuedHour, "issued-hour"),
    (Measure::TakenHour, "taken-hour"),
    (Measure::TakenDay, "taken-day"),
    (Measure::ReturnedHour, "returned-hour"),
    (Measure::ReturnedDay, "returned-day"),
    (Measure::AcceptedDay, "accepted-day"),
    (Measure::RefusedHour, "refused-hour"),
];

impl Measure {
    /// The number of the window that `at` falls into. Hours are floor(at / 3600 s); days begin at the
    /// given offset from UTC in minutes.
    pub fn window(self, at: Time, offset: i16) -> u64 {
        match self {
            Self::Issued => 0,
            Self::IssuedHour | Self::TakenHour | Self::ReturnedHour | Self::RefusedHour => at.hour(),
            Self::TakenDay | Self::ReturnedDay | Self::AcceptedDay => at.date(offset).number(),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MEASURES.iter().find(|(m, _)| m == self).map_or("", |(_, text)| text))
    }
}

impl FromStr for Measure {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        MEASURES
            .iter()
            .find(|(_, t)| *t == text)
            .map(|(m, _)| *m)
            .ok_or_else(|| Malformed(format!("{text:?} is not a measure")))
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::types::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What has been drawn in the current window. The ceiling stands where the limit was granted (a
/// budget, a till's certificate, an acceptance), so that it can change without touching this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The window's number.
    pub window: u64,
    /// Drawn in it so far.
    pub used: u64,
}

impl Limit {
    /// Draws `amount` in `window` if the ceiling allows it; `None` if not.
    pub fn draw(self, window: u64, amount: u64, ceiling: u64) -> Option<Self> {
        let before = if self.window == window { self.used } else { 0 };
        let used = before.checked_add(amount).filter(|used| *used <= ceiling)?;
        Some(Self { window, used })
    }
}

/// A draw on a limit.
pub struct Draw<'a> {
    /// Whose limit it is.
    pub brand: &'a BrandId,
    /// What of the brand's: a key, a unit.
    pub subject: Ident,
    /// What is counted.
    pub measure: Measure,
    /// Where its days begin.
    pub offset: i16,
    /// How much.
    pub amount: u64,
    /// Most in one window.
    pub ceiling: u64,
}

impl Draft<'_> {
    /// Draws, or refuses with the given code.
    pub fn draw(&mut self, draw: Draw, refusal: Refusal) -> Result<(), Stop> {
        let name = Name::Limit(draw.brand.clone(), draw.subject, draw.measure);
        let before = self.get(&name)?.as_deref().and_then(Record::limit).copied().unwrap_or_default();
        let window = draw.measure.window(self.at, draw.offset);
        let after = before
            .draw(window, draw.amount, draw.ceiling)
            .ok_or_else(|| Refused::about(refusal, format!("the ceiling is {}", draw.ceiling)))?;
        self.put(PartKey::Brand(draw.brand.clone()), name, Some(Record::Limit(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_within_its_window_only() {
        let one = Limit::default().draw(5, 60, 100).expect("under the ceiling");
        assert_eq!(one, Limit { window: 5, used: 60 });
        assert_eq!(one.draw(5, 41, 100), None);
        assert_eq!(one.draw(5, 40, 100), Some(Limit { window: 5, used: 100 }));
        assert_eq!(one.draw(6, 100, 100), Some(Limit { window: 6, used: 100 }));
        assert_eq!(one.draw(5, u64::MAX, u64::MAX), None);
    }
}
