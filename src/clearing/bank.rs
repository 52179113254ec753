//! What banks and their customers are called by: IBAN, BIC, creditor identifier, creditor reference.
//!
//! Owns: their forms and check digits.
//! Promises: a value of one of these types has the right form, and check digits that fit.
//! Refuses to know: whether an account exists, and whose it is.

use crate::types::{Malformed, as_text};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// The number that letters and digits spell, modulo 97 (ISO 7064 MOD 97-10): A is 10, Z is 35.
fn mod97(chars: impl Iterator<Item = char>) -> Option<u32> {
    chars.map(|c| c.to_digit(36)).try_fold(0u32, |rest, digit| {
        let digit = digit?;
        let shift = if digit < 10 { 10 } else { 100 };
        rest.checked_mul(shift)?.checked_add(digit)?.checked_rem(97)
    })
}

/// Whether what follows the first four characters, and then those, leaves 1: IBANs, references and creditor
/// identifiers (these without `skip` characters behind the first four) are made so.
fn sound(text: &str, skip: usize) -> bool {
    let Some((head, tail)) = text.split_at_checked(4) else { return false };
    mod97(tail.chars().skip(skip).chain(head.chars())) == Some(1)
}

/// The two check digits for a country code (or `RF`) and what follows.
fn check_digits(head: &str, tail: &str) -> Option<String> {
    let rest = mod97(tail.chars().chain(head.chars()).chain(['0', '0']))?;
    Some(format!("{:02}", 98u32.checked_sub(rest)?))
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Without the spaces that people write between groups, and in capitals.
fn packed(text: &str) -> String {
    text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect()
}

macro_rules! bank_text {
    ($(#[$doc:meta])* $name:ident, $test:expr, $what:literal, $pattern:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// As machines write it, without spaces.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let test: fn(&str) -> bool = $test;
                let packed = packed(text);
                let is = text.len() <= 64 && packed.is_ascii() && test(&packed);
                if is { Ok(Self(packed)) } else { Err(Malformed(format!("{text:?} is not {}", $what))) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                as_text(self, s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(d)?;
                let value: Self = text.parse().map_err(serde::de::Error::custom)?;
                // In the log a value has one spelling.
                if value.0 == text { Ok(value) } else { Err(serde::de::Error::custom("without spaces, in capitals")) }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern));
                text.description(Some($what)).examples([$example]).build().into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

bank_text! {
    /// An account's number (ISO 13616), checked by its digits.
    Iban,
    |t| (15..=34).contains(&t.len())
        && t.get(..2).is_some_and(is_country)
        && t.get(2..4).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
        && is_plain(t) && sound(t, 0),
    "an IBAN: a country, two check digits, 11 to 30 letters and digits; are two characters swapped?",
    "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", "DE89370400440532013000"
}
bank_text! {
    /// A bank (ISO 9362).
    Bic,
    |t| matches!(t.len(), 8 | 11)
        && t.get(..4).is_some_and(is_plain)
        && t.get(4..6).is_some_and(is_country)
        && is_plain(t),
    "a BIC: 8 or 11 letters and digits, such as COBADEFF",
    "^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$", "COBADEFF"
}
bank_text! {
    /// Who may collect by direct debit (EPC262-08): a country, check digits, a business code of three, a number.
    CreditorId,
    |t| (8..=35).contains(&t.len())
        && t.get(..2).is_some_and(is_country)
        && is_plain(t) && sound(t, 3),
    "a SEPA creditor identifier, such as DE98ZZZ09999999999",
    "^[A-Z]{2}[0-9]{2}[A-Z0-9]{4,31}$", "DE98ZZZ09999999999"
}
bank_text! {
    /// A structured creditor reference (ISO 11649): `RF`, two check digits, 1 to 21 letters and digits.
    Reference,
    |t| (5..=25).contains(&t.len()) && t.starts_with("RF") && is_plain(t) && sound(t, 0),
    "a creditor reference: RF, two check digits, 1 to 21 letters and digits; is a character mistyped?",
    "^RF[0-9]{2}[A-Z0-9]{1,21}$", "RF18539007547034"
}

impl Reference {
    /// The reference with this body: 1 to 21 of A-Z and 0-9.
    pub fn of(body: &str) -> Result<Self, Malformed> {
        if body.is_empty() || body.len() > 21 || !is_plain(body) {
            return Err(Malformed(format!("{body:?}: a reference is made of 1 to 21 of A-Z 0-9")));
        }
        let digits = check_digits("RF", body).ok_or_else(|| Malformed("no check digits".into()))?;
        format!("RF{digits}{body}").parse()
    }

    /// In groups of four, as people read it.
    pub fn grouped(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        chars.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_examples_hold() {
        for iban in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "NO9386011117947",
            "fr1420041010050500013m02606",
        ] {
            assert!(iban.parse::<Iban>().is_ok(), "{iban}");
        }
        for iban in ["DE88370400440532013000", "DE89370400440532013", "XX", "", "DE8937040044053201300é"] {
            assert!(iban.parse::<Iban>().is_err(), "{iban}");
        }
        assert!("RF18 5390 0754 7034".parse::<Reference>().is_ok(), "the example of ISO 11649");
        assert_eq!(Reference::of("539007547034").map(|r| r.grouped()), Ok("RF18 5390 0754 7034".into()));
        assert!("DE98ZZZ09999999999".parse::<CreditorId>().is_ok(), "the example of the EPC");
        assert!("DE98ABC09999999999".parse::<CreditorId>().is_ok(), "the business code is free");
        assert!("DE97ZZZ09999999999".parse::<CreditorId>().is_err());
        assert!("COBADEFF".parse::<Bic>().is_ok() && "COBADEFFXX".parse::<Bic>().is_err());
        assert!(
            Reference::of("a-b").is_err()
                && Reference::of("").is_err()
                && Reference::of(&"9".repeat(22)).is_err()
        );
    }

    #[test]
    fn in_the_log_there_is_one_spelling() {
        assert!(serde_json::from_str::<Reference>("\"RF18539007547034\"").is_ok());
        assert!(serde_json::from_str::<Reference>("\"RF18 5390 0754 7034\"").is_err());
        assert!(serde_json::from_str::<Reference>("\"rf18539007547034\"").is_err());
    }

    proptest! {
        #[test]
        fn one_wrong_character_or_two_swapped_are_found(body in "[A-Z0-9]{2,21}", at in 0..25usize, to in "[A-Z0-9]") {
            let good = Reference::of(&body).expect("a reference").to_string();
            let at = at % good.len();
            let mut bad = good.clone();
            // A digit for a letter shifts all before it; ISO 7064 promises nothing for that.
            if good.as_bytes()[at].is_ascii_digit() == to.as_bytes()[0].is_ascii_digit() {
                bad.replace_range(at..=at, &to);
            }
            prop_assert_eq!(bad.parse::<Reference>().is_ok(), bad == good);
            let mut chars: Vec<char> = good.chars().collect();
            if at > 4 && chars[at - 1].is_ascii_digit() == chars[at].is_ascii_digit() {
                chars.swap(at - 1, at);
                let swapped: String = chars.into_iter().collect();
                prop_assert_eq!(swapped.parse::<Reference>().is_ok(), swapped == good);
            }
        }
    }
}
