//! Genesis: the first entry, which fixes what never changes, and names the network.

use super::entry::EntryBody;
use super::kind::Kind;
use crate::book::{Closing, Cycle, KeyRecord, KeyState, Name, Network, Principal, Record};
use crate::sign::{PublicKey, Purpose};
use crate::types::{Currency, Hash, Malformed, Time, encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most operator roots.
const MOST_ROOTS: usize = 16;

/// A currency of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrencySetting {
    /// Its code.
    pub code: Currency,
    /// Digits of the bank's minor unit: 2 for cents.
    pub minor: u8,
    /// Digits of amounts in the log: the minor unit's plus 0 to 4.
    pub scale: u8,
}

impl CurrencySetting {
    /// How many of the network's smallest units are one of the bank's.
    pub fn bank_unit(&self) -> u64 {
        10u64.saturating_pow(u32::from(self.scale.saturating_sub(self.minor)))
    }
}

/// The `pub` of entry 0. Its BLAKE3 is the network's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// 32 random bytes, base64url: no two networks are alike.
    pub nonce: String,
    /// The log's name in checkpoints, such as `points.example/demo`.
    pub origin: String,
    /// The operator's root keys, each once.
    pub roots: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: u8,
    /// The key that signs checkpoints.
    pub log: PublicKey,
    /// Currencies.
    pub currencies: Vec<CurrencySetting>,
    /// Whether commands bring their own time (demos, sandboxes) or the clock decides.
    pub driven: bool,
    /// Whether anything here is worth anything.
    pub live: bool,
}

impl Genesis {
    /// The canonical bytes of `pub`.
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The network's id.
    pub fn net(&self) -> Hash {
        Hash::blake3(&self.bytes())
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |what: &str| Err(Malformed(format!("genesis: {what}")));
        let threshold = usize::from(self.threshold);
        let distinct =
            self.roots.iter().enumerate().all(|(at, key)| !self.roots.iter().take(at).any(|k| k == key));
        if threshold == 0 || threshold > self.roots.len() || !distinct {
            return wrong("1 to n of n different roots must sign");
        }
        // All their approvals of one command must fit into one envelope.
        if self.roots.len() > MOST_ROOTS {
            return wrong("at most 16 roots");
        }
        if self.roots.contains(&self.log) {
            return wrong("one key has one purpose: the log's key is none of the roots");
        }
        let twice =
            |(at, c): (usize, &CurrencySetting)| self.currencies.iter().take(at).any(|d| d.code == c.code);
        if self.currencies.is_empty() || self.currencies.iter().enumerate().any(twice) {
            return wrong("at least one currency, each once");
        }
        let scaled =
            |c: &CurrencySetting| c.minor <= 4 && c.scale >= c.minor && c.scale.saturating_sub(c.minor) <= 4;
        if !self.currencies.iter().all(scaled) {
            return wrong("a currency's scale is its minor digits plus 0 to 4");
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'/' | b'_' | b':');
        if self.origin.is_empty() || self.origin.len() > 64 || !self.origin.bytes().all(plain) {
            return wrong("origin is a name of 1 to 64 characters without spaces");
        }
        match crate::types::b64_decode(&self.nonce) {
            Ok(nonce) if nonce.len() == 32 => Ok(()),
            _ => wrong("nonce: 32 bytes in base64url"),
        }
    }

    /// The entry.
    pub fn entry(&self) -> EntryBody {
        EntryBody { kind: Kind::Genesis, public: Some(self.bytes()), parts: vec![] }
    }

    /// The records that state begins with.
    pub fn records(&self, at: Time) -> Vec<(Name, Arc<Record>)> {
        let network = Network {
            net: self.net(),
            threshold: self.threshold,
            roots: self.roots.iter().map(PublicKey::kid).collect(),
            currencies: self.currencies.iter().map(|c| c.code).collect(),
            bank_units: self.currencies.iter().map(CurrencySetting::bank_unit).collect(),
            scales: self.currencies.iter().map(|c| c.scale).collect(),
            capped: false,
            fees: false,
            taxed: false,
            funded: false,
            operator: None,
            driven: self.driven,
            frozen: false,
        };
        let key = |key: &PublicKey, purpose| KeyRecord {
            key: *key,
            purpose,
            owner: Principal::Operator,
            state: KeyState::Active,
            from: at.seconds(),
            until: None,
            till: None,
            held: None,
            person: None,
        };
        let mut records = vec![
            (Name::Network, Record::from(network)),
            (Name::Cycle, Record::Cycle(Cycle { open: 1, live: vec![] })),
            (Name::Closing(1), Record::from(Closing::opened(0))),
            (Name::Key(self.log.kid()), Record::from(key(&self.log, Purpose::Log))),
        ];
        let roots = self
            .roots
            .iter()
            .map(|root| (Name::Key(root.kid()), Record::from(key(root, Purpose::OperatorRoot))));
        records.extend(roots);
        records.into_iter().map(|(name, record)| (name, Arc::new(record))).collect()
    }
}
