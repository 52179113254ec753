//! Limits: budgets, tills' limits, caps a day and quotas are one thing.

use super::draft::{Draft, Stop};
use super::name::Name;
use super::part::PartKey;
use super::record::Record;
use crate::sign::HeldCaps;
use crate::types::{AccountId, Asset, BrandId, Ident, Malformed, Refusal, Refused, Time};
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
    /// Money that a sponsor owed, ever, under one budget.
    Sponsored,
    /// Points taken back in an hour.
    ClawedBackHour,
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
    /// Money's worth of one unit exchanged into another in a day.
    ExchangedDay,
    /// Points of one unit that a shop's brand offered bills in, in a minute.
    OfferedMinute,
    /// Points or money that held keys of one brand moved for one account in a day.
    AssertedAccountDay,
    /// Points or money that held keys of one brand moved in a day.
    AssertedDay,
    /// Refusals recorded in an hour.
    RefusedHour,
    /// Complaints of an account that wait for an answer.
    OpenComplaints,
}

const MEASURES: [(Measure, &str); 15] = [
    (Measure::Issued, "issued"),
    (Measure::IssuedHour, "issued-hour"),
    (Measure::Sponsored, "sponsored"),
    (Measure::ClawedBackHour, "clawed-back-hour"),
    (Measure::TakenHour, "taken-hour"),
    (Measure::TakenDay, "taken-day"),
    (Measure::ReturnedHour, "returned-hour"),
    (Measure::ReturnedDay, "returned-day"),
    (Measure::AcceptedDay, "accepted-day"),
    (Measure::ExchangedDay, "exchanged-day"),
    (Measure::OfferedMinute, "offered-minute"),
    (Measure::AssertedAccountDay, "asserted-account-day"),
    (Measure::AssertedDay, "asserted-day"),
    (Measure::RefusedHour, "refused-hour"),
    (Measure::OpenComplaints, "open-complaints"),
];

impl Measure {
    /// The number of the window that `at` falls into. Hours are floor(at / 3600 s), minutes floor(at / 60 s); days begin at the
    /// given offset from UTC in minutes.
    pub fn window(self, at: Time, offset: i16) -> u64 {
        match self {
            Self::Issued | Self::Sponsored | Self::OpenComplaints => 0,
            Self::OfferedMinute => at.seconds() / 60,
            Self::IssuedHour
            | Self::ClawedBackHour
            | Self::TakenHour
            | Self::ReturnedHour
            | Self::RefusedHour => at.hour(),
            Self::TakenDay
            | Self::ReturnedDay
            | Self::AcceptedDay
            | Self::ExchangedDay
            | Self::AssertedAccountDay
            | Self::AssertedDay => at.date(offset).number(),
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

/// What a held key moves.
#[derive(Clone, Copy)]
pub struct Asserted<'a> {
    /// Whose key it is.
    pub brand: &'a BrandId,
    /// What its certificate allows.
    pub caps: HeldCaps,
    /// Points of which unit, or money of which currency.
    pub asset: Asset,
    /// Where its days begin.
    pub offset: i16,
}

impl Asserted<'_> {
    /// What the day's total is counted under.
    pub fn subject(&self) -> Result<Ident, Stop> {
        self.asset.to_string().parse().map_err(|_| Stop::Bug("an asset's code is an id".into()))
    }
}

impl Draft<'_> {
    /// Counts what a held key moves for one account. The count stands with the holder: to the shop's brand
    /// an account has no name.
    pub fn assert_for(&mut self, held: &Asserted, account: AccountId, amount: u64) -> Result<(), Stop> {
        let subject = format!("{account}.{}", held.asset);
        let subject = subject.parse().map_err(|_| Stop::Bug(format!("{subject} is an id")))?;
        let Asserted { brand, caps, offset, .. } = *held;
        let (measure, ceiling) = (Measure::AssertedAccountDay, caps.per_account_day);
        let draw = Draw { brand, subject, measure, offset, amount, ceiling };
        let part = self.line_key().unwrap_or(PartKey::Holder(account));
        self.draw_in(part, draw, Refusal::AssertedLimitExceeded)
    }

    /// Counts what a held key moves in all.
    pub fn assert_day(&mut self, held: &Asserted, amount: u64) -> Result<(), Stop> {
        let Asserted { brand, caps, offset, .. } = *held;
        let (measure, ceiling) = (Measure::AssertedDay, caps.per_day);
        let draw = Draw { brand, subject: held.subject()?, measure, offset, amount, ceiling };
        self.draw(draw, Refusal::AssertedLimitExceeded)
    }

    /// Draws, or refuses with the given code.
    pub fn draw(&mut self, draw: Draw, refusal: Refusal) -> Result<(), Stop> {
        self.draw_in(PartKey::Brand(draw.brand.clone()), draw, refusal)
    }

    fn draw_in(&mut self, part: PartKey, draw: Draw, refusal: Refusal) -> Result<(), Stop> {
        let name = Name::Limit(draw.brand.clone(), draw.subject, draw.measure);
        let before = self.get(&name)?.as_deref().and_then(Record::limit).copied().unwrap_or_default();
        let window = draw.measure.window(self.at, draw.offset);
        let after = before
            .draw(window, draw.amount, draw.ceiling)
            .ok_or_else(|| Refused::about(refusal, format!("the ceiling is {}", draw.ceiling)))?;
        self.put(part, name, Some(Record::Limit(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Found, Source};
    use proptest::prelude::*;

    struct Nothing;

    impl Source for Nothing {
        fn find(&self, _: &Name) -> Found {
            Found::Absent
        }
    }

    proptest! {
        /// Whatever is tried in whatever order, no account and no day passes its cap, and nothing that
        /// would fit is refused.
        #[test]
        fn what_held_keys_move_stays_within_their_caps(
            per_account_day in 0u64..40, per_day in 0u64..100,
            tries in prop::collection::vec((0u128..3, 1u64..20), 0..40),
        ) {
            let brand: BrandId = "br_kino".parse().expect("a brand");
            let caps = HeldCaps { per_account_day, per_day };
            let asset = "EUR".parse().expect("a currency");
            let held = Asserted { brand: &brand, caps, asset, offset: 0 };
            let mut draft = Draft::new(&Nothing, 5, Time::default());
            let (mut accounts, mut day) = ([0u64; 3], 0u64);
            for (who, amount) in tries {
                let had = &mut accounts[who as usize];
                let one = draft.assert_for(&held, AccountId(who), amount);
                prop_assert_eq!(one.is_ok(), *had + amount <= per_account_day);
                if one.is_ok() {
                    *had += amount;
                }
                let all = draft.assert_day(&held, amount);
                prop_assert_eq!(all.is_ok(), day + amount <= per_day);
                if all.is_ok() {
                    day += amount;
                }
                for no in [one, all].into_iter().filter_map(Result::err) {
                    let said = matches!(&no, Stop::Refused(no) if no.code == Refusal::AssertedLimitExceeded);
                    prop_assert!(said, "{:?}", no);
                }
            }
        }
    }

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
