//! Instants and dates. No clock is read here: time is always an argument.

use super::encode::Malformed;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An instant of log time: microseconds since 1970-01-01T00:00:00Z, written as RFC 3339 with six
/// decimals and `Z`. Between the years 1970 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

const MICROS: i64 = 1_000_000;
/// 9999-12-31T23:59:59.999999Z.
const LAST: i64 = 253_402_300_799_999_999;

fn minutes(offset: i16) -> i64 {
    i64::from(offset).saturating_mul(60 * MICROS)
}

impl Time {
    /// From microseconds since the epoch; `None` outside the years 1970 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..=LAST).contains(&micros).then_some(Self(micros))
    }

    /// From Unix seconds, as tokens write instants.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        i64::try_from(seconds).ok().and_then(|s| s.checked_mul(MICROS)).and_then(Self::from_micros)
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole Unix seconds, rounded down.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.div_euclid(MICROS)).unwrap_or(0)
    }

    /// The instant `seconds` later, at the latest the end of the year 9999.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let more = i64::try_from(seconds).unwrap_or(LAST).saturating_mul(MICROS);
        Self(self.0.saturating_add(more).min(LAST))
    }

    /// The next instant: one microsecond later.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1).min(LAST))
    }

    /// The number of the hour since the epoch: the window of hourly limits.
    pub fn hour(self) -> u64 {
        self.seconds() / 3600
    }

    /// The calendar day at a fixed offset from UTC, in minutes.
    pub fn date(self, offset: i16) -> Date {
        let local = self.0.saturating_add(minutes(offset));
        Date(i32::try_from(local.div_euclid(86_400 * MICROS)).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = DateTime::from_timestamp_micros(self.0).ok_or(fmt::Error)?;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            self.0.rem_euclid(MICROS)
        )
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = Malformed;
    /// Accepts RFC 3339 in UTC with up to six decimals.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not an instant such as 2026-11-20T22:39:14Z"));
        if !text.ends_with('Z') {
            return Err(no());
        }
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| no())?;
        if parsed.timestamp_subsec_nanos() % 1000 != 0 {
            return Err(Malformed(format!("{text:?} is finer than a microsecond")));
        }
        Self::from_micros(parsed.timestamp_micros()).ok_or_else(no)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::encode::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A calendar day, `YYYY-MM-DD`, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    fn civil(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or(NaiveDate::MAX)
    }

    fn from_civil(day: NaiveDate) -> Self {
        Self(day.to_epoch_days())
    }

    /// The first instant of the day at an offset from UTC in minutes.
    pub fn starts(self, offset: i16) -> Time {
        let micros = i64::from(self.0).saturating_mul(86_400 * MICROS).saturating_sub(minutes(offset));
        Time(micros.clamp(0, LAST))
    }

    /// The first instant of the following day: when what lasts through this day is over.
    pub fn ends(self, offset: i16) -> Time {
        Self(self.0.saturating_add(1)).starts(offset)
    }

    /// The day `days` later, at most 9999-12-31.
    pub fn plus_days(self, days: u32) -> Self {
        Self::from_civil(self.civil().checked_add_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MAX))
            .capped()
    }

    /// The same day `months` later, or the last day of that month if it is shorter.
    pub fn plus_months(self, months: u32) -> Self {
        Self::from_civil(self.civil().checked_add_months(Months::new(months)).unwrap_or(NaiveDate::MAX))
            .capped()
    }

    fn capped(self) -> Self {
        self.min(Self::from_civil(NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX)))
    }

    /// The last day of the block of `months` (1, 3 or 12) calendar months that holds this day.
    pub fn end_of_block(self, months: u32) -> Self {
        let day = self.civil();
        let into = day.month0().checked_rem(months).unwrap_or(0);
        let first = day.with_day(1).unwrap_or(day);
        let ahead = months.saturating_sub(into);
        let next = first.checked_add_months(Months::new(ahead)).unwrap_or(NaiveDate::MAX);
        Self::from_civil(next.pred_opt().unwrap_or(next)).capped()
    }

    /// The first day on or after this one that is the given day of the given month (29 February is
    /// 28 February in other years).
    pub fn next_anniversary(self, month: u32, day: u32) -> Self {
        let this = self.civil();
        let on = |year| {
            NaiveDate::from_ymd_opt(year, month, day).or_else(|| NaiveDate::from_ymd_opt(year, month, 28))
        };
        match (on(this.year()), on(this.year().saturating_add(1))) {
            (Some(now), _) if now >= this => Self::from_civil(now).capped(),
            (_, Some(next)) => Self::from_civil(next).capped(),
            _ => self,
        }
    }

    /// From year, month (1 to 12) and day of the month; `None` if there is no such day from 1970 to 9999.
    pub fn of(year: i32, month: u32, day: u32) -> Option<Self> {
        let within = (1970..=9999).contains(&year);
        NaiveDate::from_ymd_opt(year, month, day).filter(|_| within).map(Self::from_civil)
    }

    /// Year, month (1 to 12) and day of the month.
    pub fn ymd(self) -> (i32, u32, u32) {
        let day = self.civil();
        (day.year(), day.month(), day.day())
    }

    /// Days since 1970-01-01, for windows of limits.
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// The month the day is in.
    pub fn month(self) -> Month {
        let day = self.civil();
        Month(day.year().saturating_mul(12).saturating_add(i32::try_from(day.month0()).unwrap_or(0)))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.civil();
        write!(f, "{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not a date such as 2026-11-20"));
        let mut fields = text.splitn(3, '-').map(str::parse::<u32>);
        let (Some(Ok(y)), Some(Ok(m)), Some(Ok(d))) = (fields.next(), fields.next(), fields.next()) else {
            return Err(no());
        };
        let year = i32::try_from(y).ok().filter(|y| (1970..=9999).contains(y)).ok_or_else(no)?;
        let date = Self::from_civil(NaiveDate::from_ymd_opt(year, m, d).ok_or_else(no)?);
        if date.to_string() == text { Ok(date) } else { Err(no()) }
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::encode::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A calendar month, `YYYY-MM`: when points were earned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

impl Month {
    /// The month's first day.
    pub fn first_day(self) -> Date {
        let year = self.0.div_euclid(12);
        let month = u32::try_from(self.0.rem_euclid(12)).unwrap_or(0).saturating_add(1);
        Date::from_civil(NaiveDate::from_ymd_opt(year, month, 1).unwrap_or(NaiveDate::MAX))
    }

    /// The month after.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12).saturating_add(1))
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Month {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let day: Date = format!("{text}-01")
            .parse()
            .map_err(|_| Malformed(format!("{text:?} is not a month such as 2026-11")))?;
        Ok(day.month())
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::encode::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn instants_have_six_decimals() {
        let t: Time = "2026-11-20T22:39:14.123456Z".parse().expect("an instant");
        assert_eq!(t.to_string(), "2026-11-20T22:39:14.123456Z");
        assert_eq!(
            "2017-01-01T12:56:33Z".parse::<Time>().map(|t| t.to_string()),
            Ok("2017-01-01T12:56:33.000000Z".into())
        );
        assert!("2017-01-01T12:56:33+01:00".parse::<Time>().is_err());
    }

    #[test]
    fn days_end_at_the_units_midnight() {
        let day = date("2026-11-20");
        assert_eq!(day.ends(0).to_string(), "2026-11-21T00:00:00.000000Z");
        assert_eq!(day.ends(60).to_string(), "2026-11-20T23:00:00.000000Z");
        assert_eq!(day.ends(60).date(60), date("2026-11-21"));
    }

    #[test]
    fn calendar_steps() {
        assert_eq!(date("2026-01-31").plus_months(1), date("2026-02-28"));
        assert_eq!(date("2026-02-10").end_of_block(1), date("2026-02-28"));
        assert_eq!(date("2026-02-10").end_of_block(3), date("2026-03-31"));
        assert_eq!(date("2026-02-10").end_of_block(12), date("2026-12-31"));
        assert_eq!(date("2026-03-31").next_anniversary(3, 31), date("2026-03-31"));
        assert_eq!(date("2026-04-01").next_anniversary(3, 31), date("2027-03-31"));
        assert_eq!(date("2026-04-01").month().to_string(), "2026-04");
        assert_eq!(date("2026-12-31").month().next().first_day(), date("2027-01-01"));
        assert_eq!(Date::of(2026, 2, 28), Some(date("2026-02-28")));
        assert_eq!((Date::of(2026, 2, 29), Date::of(1969, 1, 1)), (None, None));
        assert_eq!(date("2026-04-30").ymd(), (2026, 4, 30));
    }
}
