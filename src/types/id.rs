//! Ids: what they look like, and nothing else.
//!
//! All texts in the log match `[A-Za-z0-9._:-]{1,64}`. Ids that are looked at often are small values
//! that copy without allocating.

use super::encode::{Hash, Malformed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                super::encode::as_text(self, s)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let name = text.strip_prefix($prefix).unwrap_or("");
                if name.is_empty() || text.len() > 64 || !name.bytes().all(plain) {
                    return Err(Malformed(format!("{text:?} is not {}", $what)));
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_serde!($name);
    };
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

text_id! {
    /// An id chosen by a caller (a receipt number, a `jti`, a till): `[A-Za-z0-9._-]{1,64}`.
    Ident, "", "an id: 1 to 64 characters of A-Z a-z 0-9 . _ -"
}

impl Default for Ident {
    fn default() -> Self {
        Self("-".into())
    }
}

text_id! {
    /// A brand: `br_` and a name of at most 61 characters.
    BrandId, "br_", "a brand id: br_ and a name of A-Z a-z 0-9 . _ -"
}
text_id! {
    /// A legal entity that owes and is owed: `pa_` and a name.
    ParticipantId, "pa_", "a participant id: pa_ and a name of A-Z a-z 0-9 . _ -"
}

/// An id that is a place in the log: a prefix, the entry that made the thing, the part of that entry that asked for it.
macro_rules! place_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The entry that made it.
            pub seq: u64,
            /// The part of that entry that asked for it.
            pub part: u16,
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let parsed = text
                    .strip_prefix($prefix)
                    .and_then(|rest| rest.split_once('.'))
                    .and_then(|(seq, part)| Some(Self { seq: seq.parse().ok()?, part: part.parse().ok()? }));
                match parsed {
                    // One spelling each: no leading zeros or plus signs.
                    Some(id) if id.to_string() == text => Ok(id),
                    _ => Err(Malformed(format!(concat!("{:?} is not an id such as ", $prefix, "42.0"), text))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}.{}"), self.seq, self.part)
            }
        }

        text_serde!($name);
    };
}

place_id! {
    /// A payment: `pay_<seq>.<part>`, the place in the log where it began.
    PaymentId, "pay_"
}
place_id! {
    /// An instruction: `ins_<seq>.<n>`, the entry that computed or issued it and its number in that.
    InstructionId, "ins_"
}
place_id! {
    /// A set-off: `set_<seq>.<part>`, the entry that set off and took the rest out of its cycle.
    SetOffId, "set_"
}
place_id! {
    /// An objection to a cycle: `obj_<seq>.<part>`, the place in the log where it was filed.
    ObjectionId, "obj_"
}
place_id! {
    /// A dispute: `dsp_<seq>.<part>`, the place in the log where it was filed.
    DisputeId, "dsp_"
}
place_id! {
    /// A complaint of a consumer: `cmp_<seq>.<part>`, the place in the log where it was filed.
    ComplaintId, "cmp_"
}
place_id! {
    /// A consent that stays open: `con_<seq>.<part>`, the place in the log where it was opened.
    ConsentId, "con_"
}

place_id! {
    /// An offer: `off_<seq>.<part>`, the place in the log where it was made.
    OfferId, "off_"
}
place_id! {
    /// An exchange: `exc_<seq>.<part>`, the place in the log where it happened.
    ExchangeId, "exc_"
}

place_id! {
    /// Awards that another participant pays for: `awd_<seq>.<part>`, the place in the log where they were given.
    AwardId, "awd_"
}

/// The reserve of a unit's points, as what an obligation is for: `rsv_` and the unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReserveId(pub UnitCode);

impl FromStr for ReserveId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not a reserve: rsv_ and a unit's code"));
        text.strip_prefix("rsv_").and_then(|unit| unit.parse().ok()).map(Self).ok_or_else(no)
    }
}

impl fmt::Display for ReserveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rsv_{}", self.0)
    }
}

text_serde!(ReserveId);

/// An id that is one of several sorts of ids; the prefix tells them apart.
macro_rules! either_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$line:meta])* $variant:ident($id:ident, $prefix:literal)),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$line])* $variant($id),)* }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                $(if text.starts_with($prefix) {
                    return text.parse().map(Self::$variant);
                })*
                Err(Malformed(format!(concat!("{:?} is not the id of ", $what), text)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant(id) => id.fmt(f),)* }
            }
        }

        $(impl From<$id> for $name {
            fn from(id: $id) -> Self {
                Self::$variant(id)
            }
        })*

        text_serde!($name);
    };
}

either_id! {
    /// What points are held for.
    HoldId, "a payment or an offer",
    /// A payment.
    Payment(PaymentId, "pay_"),
    /// An offer that nobody has agreed to yet.
    Offer(OfferId, "off_")
}
either_id! {
    /// What an obligation is for.
    CauseId, "a payment, an exchange, sponsored awards, an objection, a dispute, an instruction, a reserve or a set-off",
    /// A payment: its captures, refunds and fees.
    Payment(PaymentId, "pay_"),
    /// An exchange.
    Exchange(ExchangeId, "exc_"),
    /// An objection: what it carries from one cycle to another.
    Objection(ObjectionId, "obj_"),
    /// A dispute: what it books back.
    Dispute(DisputeId, "dsp_"),
    /// An instruction that was not paid: what its payer owes those who bore it.
    Instruction(InstructionId, "ins_"),
    /// A unit's reserve: what issuing points puts into it, and what it pays out or frees.
    Reserve(ReserveId, "rsv_"),
    /// Awards that another participant pays for.
    Award(AwardId, "awd_"),
    /// A set-off: what it takes out of a cycle, what stays owed, and what was paid of that.
    SetOff(SetOffId, "set_")
}

/// A consumer's account of one unit: `ac_` and 26 characters of Crockford's base32 (lower case),
/// 128 random bits with no time in them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u128);

const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Reverse of [`BASE32`]; 255 marks what is not in it.
#[allow(clippy::as_conversions, clippy::indexing_slicing)] // evaluated by the compiler, or not at all
const UNBASE32: [u8; 256] = {
    let mut table = [255u8; 256];
    let mut digit = 0u8;
    while digit < 32 {
        table[BASE32[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

impl AccountId {
    /// The account that a key of its holder's own opens: the first 16 bytes of the key's thumbprint. So nobody can open
    /// one under an id that was drawn for somebody else.
    pub fn of(key: Kid) -> Self {
        let Hash(bytes) = key.0;
        Self(bytes.iter().take(16).fold(0, |id, byte| (id << 8) | u128::from(*byte)))
    }

    fn text(self) -> [u8; 29] {
        let mut out = *b"ac_00000000000000000000000000";
        let mut rest = self.0;
        for slot in out.iter_mut().skip(3).rev() {
            if let Some(letter) = usize::try_from(rest & 31).ok().and_then(|digit| BASE32.get(digit)) {
                *slot = *letter;
            }
            rest >>= 5;
        }
        out
    }
}

impl FromStr for AccountId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not an account id: ac_ and 26 characters of base32"));
        let digits = text.strip_prefix("ac_").filter(|d| d.len() == 26).ok_or_else(no)?;
        let mut value = 0u128;
        for (place, byte) in digits.bytes().enumerate() {
            let digit = UNBASE32.get(usize::from(byte)).copied().unwrap_or(255);
            if digit == 255 || (place == 0 && digit > 7) {
                return Err(no());
            }
            value = (value << 5) | u128::from(digit);
        }
        Ok(Self(value))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

text_serde!(AccountId);

/// A unit's code: `[A-Z][A-Z0-9]{3,15}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitCode([u8; 16]);

impl UnitCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        std::str::from_utf8(self.0.get(..end).unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for UnitCode {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = text.as_bytes();
        let valid = (4..=16).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_uppercase)
            && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !valid {
            return Err(Malformed(format!("{text:?} is not a unit code: A-Z, then 3 to 15 of A-Z 0-9")));
        }
        let mut code = [0u8; 16];
        for (to, from) in code.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self(code))
    }
}

impl fmt::Display for UnitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_serde!(UnitCode);

/// A currency: three capital letters, such as `EUR` (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(Malformed(format!("{text:?} is not a currency: three capital letters"))),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_serde!(Currency);

/// A key's name: its RFC 7638 thumbprint (SHA-256), 43 base64url characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(pub Hash);

impl FromStr for Kid {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = super::encode::b64_decode(text)?;
        let bytes = bytes.try_into().map_err(|_| Malformed("a key id is a thumbprint of 32 bytes".into()))?;
        Ok(Self(Hash(bytes)))
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0u8; 43];
        data_encoding::BASE64URL_NOPAD.encode_mut(&self.0.0, &mut buffer);
        f.write_str(std::str::from_utf8(&buffer).map_err(|_| fmt::Error)?)
    }
}

text_serde!(Kid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_survives_its_text() {
        for value in [0, 1, u128::MAX, 0x1234_5678_9abc_def0_1122_3344_5566_7788] {
            let id = AccountId(value);
            assert_eq!(id.to_string().parse::<AccountId>(), Ok(id));
        }
        assert!("ac_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<AccountId>().is_err(), "129 bits");
        assert!("ac_0000000000000000000000000u".parse::<AccountId>().is_err(), "u is not in the alphabet");
    }

    #[test]
    fn ids_have_one_spelling() {
        assert!("pay_042.0".parse::<PaymentId>().is_err());
        assert!("pay_+42.0".parse::<PaymentId>().is_err());
        assert_eq!("pay_42.0".parse::<PaymentId>(), Ok(PaymentId { seq: 42, part: 0 }));
        assert!("br_".parse::<BrandId>().is_err());
        for text in ["pay_42.0", "off_42.1"] {
            assert_eq!(text.parse::<HoldId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["exc_7.0", "awd_7.0", "rsv_HARVEST"] {
            assert_eq!(text.parse::<CauseId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        assert!("rsv_harvest".parse::<CauseId>().is_err());
        for text in ["exc_42.0", "42.0", "off_042.0", ""] {
            assert!(text.parse::<HoldId>().is_err(), "{text}");
        }
        assert!("br_a:b".parse::<BrandId>().is_err());
        assert!("HAR".parse::<UnitCode>().is_err());
        assert!("1HARVEST".parse::<UnitCode>().is_err());
        assert_eq!("HARVEST".parse::<UnitCode>().map(|u| u.to_string()), Ok("HARVEST".to_owned()));
    }
}
