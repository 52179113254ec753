//! What a key is for, and which statements a key of each purpose may sign.
//!
//! Owns: the closed lists of purposes and of statement types, and the table between them.
//! Promises: what is not in the table is not allowed.
//! Refuses to know: whose key it is and what its certificate adds or takes away.

use crate::types::Malformed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What a key is for. One key has one purpose, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// The operator's offline key (one of n): certifies the network's own keys and its brands.
    OperatorRoot,
    /// A brand's offline key: certifies the brand's other keys, signs budgets, units and prices.
    BrandRoot,
    /// Named when a brand registers, to replace its root and for nothing else.
    Recovery,
    /// Signs checkpoints of the log. These are not JWS, so it signs none but its proof of possession.
    Log,
    /// The operator's daily work.
    Operations,
    /// A brand's hot key: creates points within a budget.
    Issuing,
    /// A till of one store: takes payments and, if its certificate says so, awards points.
    Till,
    /// A consumer's key, one per unit.
    Account,
    /// A person who approves what needs two people.
    Approver,
}

/// The type of a signed statement: the `typ` of a JWS header, compared byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Typ {
    /// Grants points to one holder.
    PointToken,
    /// Grants points line by line; signs the count, total and root of the lines.
    PointBatch,
    /// A holder takes a voucher in.
    VoucherClaim,
    /// A holder agrees to a spend.
    PaymentConsent,
    /// What a phone shows at a till.
    SpendCode,
    /// Certifies a key.
    KeyCert,
    /// Gives an issuing key its budget.
    KeyBudget,
    /// Approves a command of somebody else, or proves possession of the key when it is registered.
    Approval,
    /// Everything else that is asked for.
    Command,
}

impl Purpose {
    /// Every purpose, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::OperatorRoot,
        Self::BrandRoot,
        Self::Recovery,
        Self::Log,
        Self::Operations,
        Self::Issuing,
        Self::Till,
        Self::Account,
        Self::Approver,
    ];

    /// The purpose as it is written in certificates.
    pub fn code(self) -> &'static str {
        match self {
            Self::OperatorRoot => "operator_root",
            Self::BrandRoot => "brand_root",
            Self::Recovery => "recovery",
            Self::Log => "log",
            Self::Operations => "operations",
            Self::Issuing => "issuing",
            Self::Till => "till",
            Self::Account => "account",
            Self::Approver => "approver",
        }
    }

    /// The table: all that a key of this purpose may sign. Every purpose may sign an approval, since
    /// that is how a key proves, when it is registered, that its owner holds it.
    pub fn signs(self) -> &'static [Typ] {
        use Typ::*;
        match self {
            Self::OperatorRoot => &[KeyCert, Command, Approval],
            Self::BrandRoot => &[KeyCert, KeyBudget, Command, Approval],
            Self::Recovery => &[Command, Approval],
            Self::Log => &[Approval],
            Self::Operations => &[Command, Approval],
            Self::Issuing => &[PointToken, PointBatch, Command, Approval],
            // A till awards only if its certificate names a budget; that is decided with the certificate.
            Self::Till => &[PointToken, Command, Approval],
            Self::Account => &[VoucherClaim, PaymentConsent, SpendCode, Command, Approval],
            Self::Approver => &[Command, Approval],
        }
    }

    /// Whether a key of this purpose may sign a statement of this type at all.
    pub fn may_sign(self, typ: Typ) -> bool {
        self.signs().contains(&typ)
    }
}

impl Typ {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::PointToken,
        Self::PointBatch,
        Self::VoucherClaim,
        Self::PaymentConsent,
        Self::SpendCode,
        Self::KeyCert,
        Self::KeyBudget,
        Self::Approval,
        Self::Command,
    ];

    /// The type as it stands in a header.
    pub fn code(self) -> &'static str {
        match self {
            Self::PointToken => "point-token+jwt",
            Self::PointBatch => "point-batch+jwt",
            Self::VoucherClaim => "voucher-claim+jwt",
            Self::PaymentConsent => "payment-consent+jwt",
            Self::SpendCode => "spend-code+jwt",
            Self::KeyCert => "key-cert+jwt",
            Self::KeyBudget => "key-budget+jwt",
            Self::Approval => "approval+jwt",
            Self::Command => "command+jwt",
        }
    }
}

impl FromStr for Purpose {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.code() == text);
        found.ok_or_else(|| Malformed(format!("{text:?} is not a purpose of a key")))
    }
}

impl FromStr for Typ {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|typ| typ.code() == text);
        found.ok_or_else(|| Malformed(format!("{text:?} is not a type of statement")))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Typ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Purpose {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Typ {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Typ {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{decode, encode};

    /// The whole matrix, written out apart from the table in the code.
    const MATRIX: &str = "
                      operator_root brand_root recovery log operations issuing till account approver
point-token+jwt       -             -          -        -   -          yes     yes  -       -
point-batch+jwt       -             -          -        -   -          yes     -    -       -
voucher-claim+jwt     -             -          -        -   -          -       -    yes     -
payment-consent+jwt   -             -          -        -   -          -       -    yes     -
spend-code+jwt        -             -          -        -   -          -       -    yes     -
key-cert+jwt          yes           yes        -        -   -          -       -    -       -
key-budget+jwt        -             yes        -        -   -          -       -    -       -
approval+jwt          yes           yes        yes      yes yes        yes     yes  yes     yes
command+jwt           yes           yes        yes      -   yes        yes     yes  yes     yes
";

    #[test]
    fn the_matrix_of_purpose_and_typ() {
        let mut rows = MATRIX.trim().lines();
        let heads: Vec<&str> = rows.next().expect("a heading").split_whitespace().collect();
        assert_eq!(heads, Purpose::ALL.map(Purpose::code));
        let mut seen = Vec::new();
        for row in rows {
            let (name, cells) = row.split_once(' ').expect("a row has cells");
            let typ: Typ = name.parse().expect("a typ");
            let cells: Vec<&str> = cells.split_whitespace().collect();
            assert_eq!(cells.len(), heads.len(), "{row}");
            for (head, cell) in heads.iter().zip(cells) {
                let purpose: Purpose = head.parse().expect("a purpose");
                assert_eq!(purpose.may_sign(typ), cell == "yes", "{purpose} signs {typ}");
            }
            seen.push(typ);
        }
        assert_eq!(seen, Typ::ALL);
    }

    #[test]
    fn each_name_reads_back() {
        for purpose in Purpose::ALL {
            assert_eq!(decode::<Purpose>(&encode(&purpose)), Ok(purpose));
        }
        for typ in Typ::ALL {
            assert_eq!(decode::<Typ>(&encode(&typ)), Ok(typ));
        }
        assert_eq!(encode(&Purpose::OperatorRoot), b"\"operator_root\"");
        assert!("Issuing".parse::<Purpose>().is_err());
        assert!("Command+JWT".parse::<Typ>().is_err());
        assert!("application/command+jwt".parse::<Typ>().is_err());
    }
}
