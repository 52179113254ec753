//! The ids of what the vault keeps: wallets, API keys, applications.
//!
//! Owns: their text: a prefix and 26 characters of Crockford's base32 (lower case), 128 random bits.
//! Promises: one spelling each. Refuses to know: what is kept under them; none stands in the log.

use crate::types::{AccountId, Malformed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The digits are those of an account's id.
                let account = AccountId(self.0).to_string();
                write!(f, concat!($prefix, "{}"), account.trim_start_matches("ac_"))
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let digits = text.strip_prefix($prefix);
                let account = digits.and_then(|digits| format!("ac_{digits}").parse::<AccountId>().ok());
                let no = || {
                    Malformed(format!(concat!("{:?} is not ", $what, ": ", $prefix, " and 26 characters of base32"), text))
                };
                account.map(|account| Self(account.0)).ok_or_else(no)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

random_id! {
    /// A person's set of accounts: `wa_…`.
    WalletId, "wa_", "a wallet id"
}
random_id! {
    /// An API key's public name: `ak_…`.
    ApiKeyId, "ak_", "the id of an API key"
}
random_id! {
    /// A brand's application to join: `app_…`.
    ApplicationId, "app_", "the id of an application"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        for value in [0, 1, u128::MAX, 0x1234_5678_9abc_def0_1122_3344_5566_7788] {
            let text = WalletId(value).to_string();
            assert_eq!((text.len(), text.parse()), (29, Ok(WalletId(value))));
            assert_eq!(ApiKeyId(value).to_string().parse(), Ok(ApiKeyId(value)));
            assert_eq!(ApplicationId(value).to_string().parse(), Ok(ApplicationId(value)));
        }
        let ends = ["", "8zzzzzzzzzzzzzzzzzzzzzzzzz", "0000000000000000000000000"];
        let wrong = ends.map(|end| format!("wa_{end}"));
        for wrong in wrong.iter().map(String::as_str).chain(["", "ac_00000000000000000000000000"]) {
            assert!(wrong.parse::<WalletId>().is_err(), "{wrong}");
            assert!(wrong.replace("wa_", "ak_").parse::<ApiKeyId>().is_err(), "{wrong}");
        }
    }
}
