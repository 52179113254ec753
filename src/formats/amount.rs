//! Amounts as exact decimals.
//!
//! Owns: reading and writing an integer of minor units as a decimal number.
//! Promises: nothing is rounded: a number finer than the minor unit is refused.
//! Refuses to know: currencies; the number of digits is an argument.

pub use crate::types::decimal;
use crate::types::{MAX_INT, Malformed};

/// Most digits behind the point: ISO 20022 allows five.
const MOST_DIGITS: usize = 5;

/// A decimal without sign as minor units of so many digits: `1234.5` with 2 is 123450. At most 2^53 − 1; zeros
/// behind the last digit do no harm.
pub fn minor_units(text: &str, digits: u8) -> Result<u64, Malformed> {
    let no = |why: &str| Err(Malformed(format!("the amount {text:?} {why}")));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if text.is_empty() || text.len() > 24 || text.starts_with('.') || text.ends_with('.') {
        return no("is not a decimal number");
    }
    if !plain(whole) || !plain(part) || part.len() > MOST_DIGITS.max(usize::from(digits)) {
        return no("is not a decimal number of at most 5 digits behind the point, without sign or exponent");
    }
    let part = part.trim_end_matches('0');
    let missing = usize::from(digits).checked_sub(part.len());
    let Some(missing) = missing else {
        return no(&format!("is finer than the bank's minor unit of {digits} digits"));
    };
    let all = format!("{whole}{part}{}", "0".repeat(missing));
    match all.parse::<u64>() {
        Ok(minor) if minor <= MAX_INT => Ok(minor),
        _ => no("is above 9007199254740991 minor units"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_decimals_are_amounts() {
        assert_eq!(minor_units("1234.5", 2), Ok(123_450));
        assert_eq!(minor_units("1234.50000", 2), Ok(123_450));
        assert_eq!(minor_units("7", 0), Ok(7));
        assert_eq!(minor_units("0.05", 2), Ok(5));
        assert_eq!(minor_units("1.234", 3), Ok(1_234));
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1.005",
            "1.000000",
            " 1",
            "0x1",
            "90071992547409.92",
            "½",
        ] {
            assert!(minor_units(text, 2).is_err(), "{text}");
        }
        assert_eq!(
            (decimal(-5, 2).as_str(), decimal(123_456, 2).as_str(), decimal(7, 0).as_str()),
            ("-0.05", "1234.56", "7")
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(minor in 0..=MAX_INT, digits in 0..5u8) {
            prop_assert_eq!(minor_units(&decimal(minor as i64, digits), digits), Ok(minor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.,eE+ -]{0,26}", digits in 0..5u8) {
            if let Ok(minor) = minor_units(&text, digits) {
                let (a, b) = (decimal(minor as i64, digits), text.trim_start_matches('0').to_owned());
                let same = |t: &str| t.trim_start_matches('0').trim_end_matches('0').trim_end_matches('.').to_owned();
                prop_assert!(!text.contains('.') || same(&a) == same(&b), "{} {}", a, b);
            }
        }
    }
}
