//! Instants on the command line.

use crate::types::{Date, Malformed, Time};
use std::str::FromStr;

/// An instant as people write it: `2027-01-31T12:00:00Z`, `2027-01-31` (its first instant in UTC), or
/// how long from now: `15m`, `24h`, `90d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    At(Time),
    In(u64),
}

impl When {
    /// In Unix seconds, as tokens write it.
    pub(super) fn seconds(self, now: Time) -> u64 {
        match self {
            Self::At(at) => at.seconds(),
            Self::In(seconds) => now.plus_seconds(seconds).seconds(),
        }
    }
}

impl FromStr for When {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Ok(at) = text.parse::<Time>() {
            return Ok(Self::At(at));
        }
        if let Ok(day) = text.parse::<Date>() {
            return Ok(Self::At(day.starts(0)));
        }
        let no = || {
            Malformed(format!(
                "{text:?} is not an instant: 2027-01-31T12:00:00Z, 2027-01-31, or 15m, 24h, 90d from now"
            ))
        };
        let scales = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
        let (number, scale) = scales
            .iter()
            .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))
            .ok_or_else(no)?;
        let number = number.parse::<u64>().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(|number| number.checked_mul(scale)).map(Self::In).ok_or_else(no)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_days_and_spans() {
        let now = Time::from_seconds(1_000).expect("an instant");
        let rows = [("1970-01-02T00:00:01Z", 86_401), ("1970-01-02", 86_400), ("15m", 1_900), ("2h", 8_200)];
        for (text, seconds) in rows {
            assert_eq!(text.parse::<When>().map(|when| when.seconds(now)), Ok(seconds), "{text}");
        }
        for text in ["", "d", "+3d", "-3d", "3w", "1970-02-30", "99999999999999999999d", "5"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
