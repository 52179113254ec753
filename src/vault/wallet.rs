//! The id of a wallet.

use crate::types::{AccountId, Malformed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A person's set of accounts: `wa_` and 26 characters of Crockford's base32 (lower case), 128 random
/// bits. It stands in no entry of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletId(pub u128);

impl fmt::Display for WalletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digits are those of an account's id.
        let account = AccountId(self.0).to_string();
        write!(f, "wa_{}", account.trim_start_matches("ac_"))
    }
}

impl FromStr for WalletId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let account =
            text.strip_prefix("wa_").and_then(|digits| format!("ac_{digits}").parse::<AccountId>().ok());
        let no = || Malformed(format!("{text:?} is not a wallet id: wa_ and 26 characters of base32"));
        account.map(|account| Self(account.0)).ok_or_else(no)
    }
}

impl fmt::Debug for WalletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for WalletId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WalletId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_id_survives_its_text() {
        for value in [0, 1, u128::MAX, 0x1234_5678_9abc_def0_1122_3344_5566_7788] {
            let text = WalletId(value).to_string();
            assert_eq!((text.len(), text.parse()), (29, Ok(WalletId(value))));
        }
        for wrong in ["", "wa_", "ac_00000000000000000000000000", "wa_8zzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert!(wrong.parse::<WalletId>().is_err(), "{wrong}");
        }
    }
}
