//! Scopes and roles: what somebody who asks over HTTP may ask for at all.
//!
//! Owns: the closed lists of scopes and roles, the table between them, the role of each sort of signing key,
//! and which scopes an API key may hold.
//! Promises: what is not in the table is not allowed.
//! Refuses to know: whose data a reader may see within a scope. And a scope is never enough for a write to
//! the log: which key may sign a command is decided with the command.

use crate::book::Principal;
use crate::sign::Purpose;
use crate::types::Malformed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

macro_rules! texts {
    ($type:ident $what:literal $doc:literal $($name:ident $text:literal $line:literal)*) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type { $(#[doc = $line] $name,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means, for people.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => $line,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }

        impl FromStr for $type {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let found = Self::ALL.iter().find(|one| one.code() == text).copied();
                found.ok_or_else(|| Malformed(format!("{text:?} is not a {}", $what)))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.code())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

texts! { Scope "scope" "What may be asked for."
    AccountsRead "accounts:read" "Read accounts and their movements."
    AccountsWrite "accounts:write" "Open accounts and set their tiers."
    AccountsResolve "accounts:resolve" "Ask for the account behind a member number of one's own unit."
    AwardsWrite "awards:write" "Give points, within the budget of the key that signs."
    PaymentsRead "payments:read" "Read payments, offers and exchanges."
    PaymentsWrite "payments:write" "Authorise, capture, void and refund payments."
    OffersWrite "offers:write" "Have bills and exchanges offered, take offers back, and agree to exchanges."
    EntriesRead "entries:read" "Follow the entries that concern oneself."
    SettlementRead "settlement:read" "Read obligations, and the flows of units."
    SettlementWrite "settlement:write" "Seal, compute and settle cycles, take bank statements in, set what stands behind debts, publish fees."
    DisputesWrite "disputes:write" "Object to what a cycle says, file and answer disputes and complaints."
    DocumentsRead "documents:read" "Read the documents of one's own disputes and complaints."
    BudgetsRead "budgets:read" "Read budgets and what was drawn on them."
    BudgetsWrite "budgets:write" "Give issuing keys their budgets."
    KeysWrite "keys:write" "Certify and revoke keys."
    TermsWrite "terms:write" "Define units, publish prices, acceptance and tax, set bank details."
    FreezesWrite "freezes:write" "Freeze and release accounts, units and brands."
    NetworkOperate "network:operate" "Register participants and brands, freeze the network, have evidence erased."
    ApplicationsRead "applications:read" "Read applications to join."
    ApplicationsApprove "applications:approve" "Approve applications to join."
    ApiKeysRead "api_keys:read" "List API keys, never their secrets."
    ApiKeysWrite "api_keys:write" "Make and revoke API keys."
    HeldKeysRead "held_keys:read" "List the keys that the vault holds."
    HeldKeysWrite "held_keys:write" "Have the vault make, hold and forget keys."
    WalletsRead "wallets:read" "Read a wallet, its aliases and accounts."
    WalletsWrite "wallets:write" "Make a wallet, give it aliases and accounts."
}

texts! { Role "role" "Who asks, by what they do."
    Operator "operator" "Operates the network: its roots, and API keys of its own services."
    Operations "operations" "Works in the clearing house day by day: cycles, funding, disputes."
    BrandAdmin "brand_admin" "Runs a brand: its units, keys and budgets."
    BrandFinance "brand_finance" "Issues a brand's points and reads what it owes and is owed."
    Till "till" "Sells in a shop: takes payments and awards points."
    Consumer "consumer" "Holds points."
    Analyst "analyst" "Sees all settlement, and nobody's personal data."
    Approver "approver" "Approves what needs two people."
    Auditor "auditor" "Sees everything and changes nothing."
}

impl Scope {
    /// Whether an API key may hold it. An API key never approves, certifies, raises limits or changes terms,
    /// and makes no further keys: what was made with a stolen one ends with it. Points come into being within
    /// the budget of the held key that signs for it.
    pub fn for_api_keys(self) -> bool {
        match self {
            Self::AccountsRead
            | Self::AccountsWrite
            | Self::AccountsResolve
            | Self::AwardsWrite
            | Self::PaymentsRead
            | Self::PaymentsWrite
            | Self::OffersWrite
            | Self::EntriesRead
            | Self::SettlementRead
            | Self::DocumentsRead
            | Self::BudgetsRead
            | Self::ApplicationsRead
            | Self::ApiKeysRead
            | Self::HeldKeysRead
            | Self::WalletsRead
            | Self::WalletsWrite => true,
            Self::SettlementWrite
            | Self::DisputesWrite
            | Self::BudgetsWrite
            | Self::KeysWrite
            | Self::TermsWrite
            | Self::FreezesWrite
            | Self::NetworkOperate
            | Self::ApplicationsApprove
            | Self::ApiKeysWrite
            | Self::HeldKeysWrite => false,
        }
    }
}

impl Role {
    /// All that somebody of this role may ask for.
    pub fn scopes(self) -> &'static [Scope] {
        use Scope::*;
        match self {
            Self::Operator => &[
                AccountsRead,
                PaymentsRead,
                EntriesRead,
                SettlementRead,
                DocumentsRead,
                BudgetsRead,
                KeysWrite,
                FreezesWrite,
                NetworkOperate,
                ApplicationsRead,
                ApplicationsApprove,
                ApiKeysRead,
                ApiKeysWrite,
                HeldKeysRead,
                WalletsRead,
                WalletsWrite,
            ],
            // One person at a desk, with a key that is used all day: no keys, no wallets, nothing that outlives it.
            Self::Operations => &[
                AccountsRead,
                PaymentsRead,
                EntriesRead,
                SettlementRead,
                SettlementWrite,
                DisputesWrite,
                DocumentsRead,
                BudgetsRead,
                // Bank details of the house and of those who have no brand.
                TermsWrite,
            ],
            Self::BrandAdmin => &[
                AccountsRead,
                AccountsWrite,
                AccountsResolve,
                AwardsWrite,
                PaymentsRead,
                PaymentsWrite,
                OffersWrite,
                EntriesRead,
                SettlementRead,
                DisputesWrite,
                DocumentsRead,
                BudgetsRead,
                BudgetsWrite,
                KeysWrite,
                TermsWrite,
                FreezesWrite,
                ApiKeysRead,
                ApiKeysWrite,
                HeldKeysRead,
                HeldKeysWrite,
            ],
            Self::BrandFinance => &[
                AccountsRead,
                AccountsWrite,
                AccountsResolve,
                AwardsWrite,
                PaymentsRead,
                EntriesRead,
                SettlementRead,
                DisputesWrite,
                DocumentsRead,
                BudgetsRead,
            ],
            Self::Till => &[
                AccountsRead,
                AccountsResolve,
                AwardsWrite,
                PaymentsRead,
                PaymentsWrite,
                OffersWrite,
                EntriesRead,
                BudgetsRead,
            ],
            Self::Consumer => &[
                AccountsRead,
                AccountsWrite,
                PaymentsRead,
                OffersWrite,
                EntriesRead,
                FreezesWrite,
                DisputesWrite,
                DocumentsRead,
                WalletsRead,
                WalletsWrite,
            ],
            Self::Analyst => &[SettlementRead],
            Self::Approver => {
                &[ApplicationsRead, ApplicationsApprove, SettlementRead, SettlementWrite, DisputesWrite]
            }
            Self::Auditor => &[
                AccountsRead,
                PaymentsRead,
                EntriesRead,
                SettlementRead,
                BudgetsRead,
                ApplicationsRead,
                ApiKeysRead,
                HeldKeysRead,
                WalletsRead,
            ],
        }
    }

    /// The role in which a registered key signs requests, by its purpose and owner; `None` for keys that sign
    /// none. An issuing key is hot and works in the role of finance, an analyst's in one of its own: neither makes
    /// keys, so that nothing which a thief does with it outlives its revocation.
    pub fn of_key(purpose: Purpose, owner: &Principal) -> Option<Self> {
        match (purpose, owner) {
            (Purpose::OperatorRoot, Principal::Operator) => Some(Self::Operator),
            (Purpose::Operations, Principal::Operator) => Some(Self::Operations),
            (Purpose::BrandRoot, Principal::Brand(_)) => Some(Self::BrandAdmin),
            (Purpose::Issuing, Principal::Brand(_)) => Some(Self::BrandFinance),
            (Purpose::Till, Principal::Brand(_)) => Some(Self::Till),
            (Purpose::Account, Principal::Account(_)) => Some(Self::Consumer),
            (Purpose::Approver, Principal::Operator | Principal::Brand(_)) => Some(Self::Approver),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{decode, encode};

    #[test]
    fn each_name_reads_back() {
        for scope in Scope::ALL {
            assert_eq!(decode::<Scope>(&encode(scope)), Ok(*scope));
        }
        for role in Role::ALL {
            assert_eq!(decode::<Role>(&encode(role)), Ok(*role));
            let mut scopes = role.scopes().to_vec();
            scopes.sort_unstable();
            scopes.dedup();
            assert_eq!(scopes.len(), role.scopes().len(), "{role} has a scope twice");
        }
        assert!("accounts".parse::<Scope>().is_err());
        assert!("Operator".parse::<Role>().is_err());
    }

    #[test]
    fn who_only_looks_changes_nothing() {
        for role in [Role::Analyst, Role::Auditor] {
            assert!(role.scopes().iter().all(|scope| scope.code().ends_with(":read")), "{role}");
        }
        let personal = [Scope::AccountsRead, Scope::PaymentsRead, Scope::EntriesRead, Scope::WalletsRead];
        assert!(personal.iter().all(|scope| !Role::Analyst.scopes().contains(scope)));
        // Wallets join units: no brand looks into them.
        for role in [Role::BrandAdmin, Role::BrandFinance, Role::Till] {
            assert!(role.scopes().iter().all(|scope| !scope.code().starts_with("wallets")), "{role}");
        }
    }

    #[test]
    fn an_api_key_raises_nothing_and_makes_no_keys() {
        let never = ["keys:write", "budgets:write", "terms:write", "network:operate", "api_keys:write"];
        for code in never.into_iter().chain(["held_keys:write", "applications:approve", "freezes:write"]) {
            assert!(!code.parse::<Scope>().expect("a scope").for_api_keys(), "{code}");
        }
        assert!(Scope::ALL.iter().filter(|scope| scope.code().ends_with(":read")).all(|s| s.for_api_keys()));
    }

    #[test]
    fn whoever_is_at_a_desk_makes_no_keys_and_no_wallets() {
        let roots =
            ["keys", "api_keys", "held_keys", "wallets", "network", "applications", "freezes", "budgets"];
        let writes = |role: Role| role.scopes().iter().filter(|scope| !scope.code().ends_with(":read"));
        for scope in writes(Role::Operations) {
            assert!(!roots.iter().any(|root| scope.code().split(':').next() == Some(root)), "{scope}");
            assert!(!writes(Role::Operator).any(|root| root == scope), "{scope}");
        }
        // Names of people are not for everybody at the operator.
        assert!(!Role::Operations.scopes().contains(&Scope::WalletsRead));
        assert!(!Role::Operations.scopes().contains(&Scope::AccountsResolve));
    }

    #[test]
    fn keys_work_in_the_role_of_their_purpose() {
        let (operator, brand) = (Principal::Operator, Principal::Brand("br_a".parse().expect("a brand")));
        let account = Principal::Account("ac_00000000000000000000000000".parse().expect("an account"));
        let roles = |owner: &Principal| Purpose::ALL.map(|purpose| Role::of_key(purpose, owner));
        let (none, approver) = (None, Some(Role::Approver));
        let (root, desk) = (Some(Role::Operator), Some(Role::Operations));
        assert_eq!(roles(&operator), [root, none, none, none, desk, none, none, none, approver]);
        let (admin, finance, till) = (Some(Role::BrandAdmin), Some(Role::BrandFinance), Some(Role::Till));
        assert_eq!(roles(&brand), [none, admin, none, none, none, finance, till, none, approver]);
        let consumer = Some(Role::Consumer);
        assert_eq!(roles(&account), [none, none, none, none, none, none, none, consumer, none]);
    }
}
