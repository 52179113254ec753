//! Business days: the days on which the euro's settlement system is open.
//!
//! Owns: TARGET's closing days, computed: Saturdays, Sundays, 1 January, Good Friday, Easter Monday, 1 May,
//! 25 and 26 December (European Central Bank, long-term calendar in force since 2002).
//! Promises: a due date is a business day.
//! Refuses to know: holidays of countries; the payment system is open on them.

use crate::types::Date;

/// Whether TARGET settles on this day.
pub fn is_business_day(day: Date) -> bool {
    // 1970-01-01 was a Thursday: 2 and 3 days later begins no week of work.
    let weekend = matches!(day.number().checked_rem(7), Some(2 | 3));
    let (year, month, of_month) = day.ymd();
    let fixed = matches!((month, of_month), (1, 1) | (5, 1) | (12, 25 | 26));
    let moving = easter(year).is_some_and(|sunday| {
        // Good Friday is two days before, Easter Monday one day after.
        day.plus_days(2) == sunday || sunday.plus_days(1) == day
    });
    !(weekend || fixed || moving)
}

/// Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
fn easter(year: i32) -> Option<Date> {
    let y = u32::try_from(year).ok()?;
    let (div, rem) = (|a: u32, b: u32| a.checked_div(b), |a: u32, b: u32| a.checked_rem(b));
    let plus = |terms: &[u32]| terms.iter().try_fold(0u32, |sum, term| sum.checked_add(*term));
    let a = rem(y, 19)?;
    let (b, c) = (div(y, 100)?, rem(y, 100)?);
    let (d, e) = (div(b, 4)?, rem(b, 4)?);
    let f = div(b.checked_add(8)?, 25)?;
    let g = div(b.checked_add(1)?.checked_sub(f)?, 3)?;
    let h = rem(plus(&[a.checked_mul(19)?, b, 15])?.checked_sub(d)?.checked_sub(g)?, 30)?;
    let (i, k) = (div(c, 4)?, rem(c, 4)?);
    let l = rem(plus(&[32, e.checked_mul(2)?, i.checked_mul(2)?])?.checked_sub(h)?.checked_sub(k)?, 7)?;
    let m = div(plus(&[a, h.checked_mul(11)?, l.checked_mul(22)?])?, 451)?;
    let n = plus(&[h, l, 114])?.checked_sub(m.checked_mul(7)?)?;
    Date::of(year, div(n, 31)?, rem(n, 31)?.checked_add(1)?)
}

/// The day itself if it is a business day, else the next one.
pub fn on_or_after(mut day: Date) -> Date {
    // Never more than five closed days in a row.
    for _ in 0..7 {
        if is_business_day(day) {
            break;
        }
        day = day.plus_days(1);
    }
    day
}

/// The `count`-th business day after a day; with 0 the day itself or the next business day.
pub fn business_days_after(day: Date, count: u32) -> Date {
    let mut day = on_or_after(day);
    for _ in 0..count {
        day = on_or_after(day.plus_days(1));
    }
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn easter_is_where_the_almanac_has_it() {
        let known = [
            (2000, 4, 23),
            (2008, 3, 23),
            (2011, 4, 24),
            (2016, 3, 27),
            (2019, 4, 21),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2028, 4, 16),
            (2029, 4, 1),
            (2030, 4, 21),
            (2038, 4, 25),
            (2285, 3, 22),
        ];
        for (year, month, day) in known {
            assert_eq!(easter(year), Date::of(year, month, day), "{year}");
        }
    }

    #[test]
    fn target_is_closed_when_the_ecb_says_so() {
        let closed = [
            "2026-01-01",
            "2026-04-03",
            "2026-04-06",
            "2026-05-01",
            "2026-12-25",
            "2026-12-26",
            "2026-11-28",
            "2026-11-29",
            "2027-03-26",
            "2027-03-29",
        ];
        for day in closed {
            assert!(!is_business_day(date(day)), "{day}");
        }
        let open = [
            "2026-01-02",
            "2026-04-02",
            "2026-04-07",
            "2026-05-14",
            "2026-11-30",
            "2026-12-24",
            "2026-12-31",
        ];
        for day in open {
            assert!(is_business_day(date(day)), "{day}");
        }
        let year = (0..365).map(|n| date("2026-01-01").plus_days(n));
        // 365 − 104 days of weekends (26 December is a Saturday) − 5 others.
        assert_eq!(year.filter(|day| is_business_day(*day)).count(), 256);
    }

    #[test]
    fn due_dates_are_business_days() {
        assert_eq!(business_days_after(date("2026-04-01"), 2), date("2026-04-07"), "over Easter");
        assert_eq!(business_days_after(date("2026-12-24"), 1), date("2026-12-28"));
        assert_eq!(business_days_after(date("2026-11-28"), 0), date("2026-11-30"));
        assert_eq!(business_days_after(date("2026-11-27"), 1), date("2026-11-30"));
        assert_eq!(
            business_days_after(date("2026-11-28"), 1),
            date("2026-12-01"),
            "a Saturday counts as its Monday"
        );
    }
}
