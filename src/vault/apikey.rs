//! API keys: who somebody is who presents a secret and signs nothing.
//!
//! Owns: the form of a key, `th_test_` or `th_live_` and 256 random bits in base64url; whose it is, what it
//! may, until when.
//! Promises: a key is shown once, when it is made; kept is its SHA-256. A look-up of a key that was used
//! lately costs no read of the file, and a revoked key is revoked for every look-up that begins afterwards.
//! Refuses to know: what roles and scopes mean.

use super::file::Stop;
use super::record::find_person;
use super::room::{self, Kept};
use super::seal::What;
use super::{ApiKeyId, Fault, Inner, Vault, WalletId};
use crate::clock;
use crate::types::{BrandId, Hash, Malformed, Time, b64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest a key may be valid, in seconds: 366 days.
const LONGEST: u64 = 366 * 86_400;
/// The longest name, role or scope, in bytes.
const MAX_TEXT: usize = 256;
/// The most scopes of a key.
const MAX_SCOPES: usize = 64;

/// Whose an API key is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Whom {
    /// The operator, `op`.
    Operator,
    /// A brand.
    Brand(BrandId),
    /// A person, by the wallet.
    Wallet(WalletId),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("op"),
            Self::Brand(brand) => fmt::Display::fmt(brand, f),
            Self::Wallet(wallet) => fmt::Display::fmt(wallet, f),
        }
    }
}

impl FromStr for Whom {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} owns no API keys: op, a brand's id or a wallet's"));
        match text {
            "op" => Ok(Self::Operator),
            _ if text.starts_with("br_") => text.parse().map(Self::Brand).map_err(|_| no()),
            _ => text.parse().map(Self::Wallet).map_err(|_| no()),
        }
    }
}

impl Serialize for Whom {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Whom {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an API key shall be.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Whose it is.
    pub whom: Whom,
    /// The code of the role that it has.
    pub role: String,
    /// What of the role it may; empty: all.
    pub scopes: Vec<String>,
    /// What its owner calls it.
    pub name: String,
    /// From when on it counts no more; within a year.
    pub expires: Time,
    /// Whether it is for a network where points are money: `th_live_`, else `th_test_`.
    pub live: bool,
}

/// An API key without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its public name.
    pub id: ApiKeyId,
    /// Whose it is.
    pub whom: Whom,
    /// The code of the role that it has.
    pub role: String,
    /// What of the role it may; empty: all.
    pub scopes: Vec<String>,
    /// What its owner calls it.
    pub name: String,
    /// Whether it is a `th_live_` key.
    pub live: bool,
    /// When it was made.
    pub created: Time,
    /// From when on it counts no more.
    pub expires: Time,
    /// When it was revoked.
    pub revoked: Option<Time>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptKey {
    key: ApiKey,
    sha256: Hash,
}

impl Kept for KeptKey {
    const WHAT: What = What::ApiKey;
    fn name(&self) -> String {
        self.key.id.to_string()
    }
    fn owner(&self) -> String {
        self.key.whom.to_string()
    }
    fn secret(&self) -> Option<Hash> {
        Some(self.sha256)
    }
}

/// What a presented secret turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presented {
    /// A key that counts.
    Valid(Arc<ApiKey>),
    /// Its time is over.
    Expired(Arc<ApiKey>),
    /// It was revoked.
    Revoked(Arc<ApiKey>),
    /// No key of this vault.
    Unknown,
}

impl Vault {
    /// Makes an API key: the key and its secret, which is told this once. A wallet must be there.
    pub fn create_api_key(&self, wanted: NewApiKey, now: Time) -> Result<(ApiKey, String), Fault> {
        let NewApiKey { whom, role, scopes, name, expires, live } = wanted;
        if expires <= now || expires > now.plus_seconds(LONGEST) {
            return Err(Fault::Term);
        }
        let long = scopes.iter().chain([&role, &name]).any(|text| text.len() > MAX_TEXT);
        if long || scopes.len() > MAX_SCOPES {
            return Err(Fault::TooMuch("an API key has at most 64 scopes, and texts of at most 256 bytes"));
        }
        let secret = format!("{}{}", if live { "th_live_" } else { "th_test_" }, b64(&clock::random::<32>()));
        let Inner { file, master, salts, .. } = &mut *self.inner();
        let id = ApiKeyId(u128::from_be_bytes(salts.bytes()));
        let key = ApiKey { id, whom, role, scopes, name, live, created: now, expires, revoked: None };
        let kept = KeptKey { key, sha256: Hash::sha256(secret.as_bytes()) };
        file.write("keep an API key", |tables| {
            let person = match kept.key.whom {
                Whom::Wallet(wallet) => {
                    let person = find_person(tables, master, wallet)?;
                    Some(person.ok_or(Stop::Fault(Fault::NoWallet(wallet)))?)
                }
                _ => None,
            };
            room::add(tables, master, salts, &kept, person.as_ref())
        })?;
        Ok((kept.key, secret))
    }

    /// What a presented secret is. Whatever it looks like, it is hashed and its hash looked up.
    pub fn present(&self, secret: &str, now: Time) -> Result<Presented, Fault> {
        self.refresh()?;
        let sha256 = Hash::sha256(secret.as_bytes());
        let key = match self.api_keys.get(&sha256) {
            Some(key) => key,
            None => match self.fetch(&sha256)? {
                Some(key) => key,
                None => return Ok(Presented::Unknown),
            },
        };
        Ok(match key.revoked {
            Some(_) => Presented::Revoked(key),
            None if now >= key.expires => Presented::Expired(key),
            None => Presented::Valid(key),
        })
    }

    fn fetch(&self, sha256: &Hash) -> Result<Option<Arc<ApiKey>>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_secret::<KeptKey>(master, sha256);
        let found = file.read("look up an API key", |tables| room::one::<KeptKey>(tables, master, by))?;
        let key = found.map(|found| Arc::new(found.record.key));
        if let Some(key) = &key {
            self.api_keys.insert(*sha256, key.clone());
        }
        Ok(key)
    }

    /// One API key, by its public name.
    pub fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_name::<KeptKey>(master, &id.to_string());
        let found = file.read("read an API key", |tables| room::one::<KeptKey>(tables, master, by))?;
        Ok(found.map(|found| found.record.key))
    }

    /// Somebody's API keys, the oldest first, revoked and expired ones too.
    pub fn api_keys(&self, whom: &Whom) -> Result<Vec<ApiKey>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_owner::<KeptKey>(master, &whom.to_string());
        let found = file.read("read API keys", |tables| room::all::<KeptKey>(tables, master, by))?;
        let mut keys: Vec<ApiKey> = found.into_iter().map(|found| found.record.key).collect();
        keys.sort_by_key(|key| (key.created, key.id));
        Ok(keys)
    }

    /// Revokes an API key, at once and for good. One that is revoked stays as it is.
    pub fn revoke_api_key(&self, id: ApiKeyId, now: Time) -> Result<ApiKey, Fault> {
        let mut inner = self.inner();
        let Inner { file, master, salts, .. } = &mut *inner;
        let by = room::by_name::<KeptKey>(master, &id.to_string());
        let kept = file.write("revoke an API key", |tables| {
            tables.taken_back()?;
            let found = room::one::<KeptKey>(tables, master, by)?;
            let unknown = || Stop::Fault(Fault::Unknown { what: "API key", id: id.to_string() });
            let mut found = found.ok_or_else(unknown)?;
            if found.record.key.revoked.is_none() {
                found.record.key.revoked = Some(now);
                room::replace(tables, master, salts, &found)?;
            }
            Ok(found.record)
        })?;
        self.api_keys.remove(&kept.sha256);
        drop(inner);
        self.settle();
        Ok(kept.key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, holds};
    use super::*;
    use crate::vault::tests::on_each;
    use std::time::Instant;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    fn wanted(whom: Whom) -> NewApiKey {
        let scopes = vec!["awards:write".to_owned()];
        NewApiKey {
            whom,
            role: "till".into(),
            scopes,
            name: "Shop 4".into(),
            expires: at(1_000),
            live: false,
        }
    }

    fn brand(id: &str) -> Whom {
        Whom::Brand(id.parse().expect("a brand"))
    }

    #[test]
    fn a_key_is_told_once_and_known_by_its_hash() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let (key, secret) = vault.create_api_key(wanted(brand("br_harvest")), at(10)).expect("a key");
        assert!(secret.starts_with("th_test_") && secret.len() == 8 + 43, "{secret}");
        let live = NewApiKey { live: true, ..wanted(Whom::Operator) };
        let (_, other) = vault.create_api_key(live, at(10)).expect("a key");
        assert!(other.starts_with("th_live_"));
        for vault in [&vault, &Vault::open(dir.path()).expect("opened again")] {
            for _ in 0..2 {
                let valid = Presented::Valid(Arc::new(key.clone()));
                assert_eq!(vault.present(&secret, at(999)).expect("known"), valid);
                assert!(matches!(vault.present(&secret, at(1_000)), Ok(Presented::Expired(_))));
                let near = secret.replace("th_test_", "th_live_");
                for wrong in ["", "th_test_", "x", &near, &secret[..50], &format!("{secret} ")] {
                    assert_eq!(vault.present(wrong, at(20)).expect("an answer"), Presented::Unknown);
                }
            }
            assert_eq!(vault.api_key(key.id).expect("known"), Some(key.clone()));
            assert_eq!(vault.api_keys(&brand("br_harvest")).expect("one"), std::slice::from_ref(&key));
            assert_eq!(vault.api_keys(&brand("br_voyage")).expect("none"), []);
        }
        for hidden in [secret.as_bytes(), &secret.as_bytes()[8..], b"br_harvest", b"Shop 4", b"awards:write"]
        {
            assert!(!holds(&bytes(dir.path()), hidden), "{}", String::from_utf8_lossy(hidden));
        }
    }

    #[test]
    fn a_revoked_key_is_revoked_at_once_and_stays_so() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let (key, secret) = vault.create_api_key(wanted(Whom::Operator), at(10)).expect("a key");
            assert!(
                matches!(vault.present(&secret, at(11)), Ok(Presented::Valid(_))),
                "and now it is at hand"
            );
            assert_eq!(vault.revoke_api_key(key.id, at(12)).expect("revoked").revoked, Some(at(12)));
            assert_eq!(vault.revoke_api_key(key.id, at(50)).expect("again").revoked, Some(at(12)));
            for vault in [&vault, &Vault::open(home).expect("opened again")] {
                for seconds in [11, 2_000] {
                    assert!(matches!(vault.present(&secret, at(seconds)), Ok(Presented::Revoked(_))));
                }
            }
            let unknown = vault.revoke_api_key(ApiKeyId(5), at(12));
            assert!(matches!(unknown, Err(Fault::Unknown { .. })));
        });
    }

    #[test]
    fn a_key_lives_a_year_at_most_and_its_texts_are_short() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let make = |change: &dyn Fn(&mut NewApiKey)| {
                let mut new = wanted(Whom::Operator);
                change(&mut new);
                vault.create_api_key(new, at(10)).map(|_| ())
            };
            assert!(make(&|new| new.expires = at(10 + LONGEST)).is_ok());
            for expires in [at(0), at(10), at(11 + LONGEST)] {
                assert!(matches!(make(&|new| new.expires = expires), Err(Fault::Term)));
            }
            assert!(matches!(make(&|new| new.name = "n".repeat(257)), Err(Fault::TooMuch(_))));
            assert!(matches!(make(&|new| new.scopes = vec!["s".into(); 65]), Err(Fault::TooMuch(_))));
            let nobody = make(&|new| new.whom = Whom::Wallet(WalletId(3)));
            assert!(matches!(nobody, Err(Fault::NoWallet(_))));
            assert_eq!(vault.api_keys(&Whom::Operator).expect("one").len(), 1);
        });
    }

    #[test]
    fn a_persons_keys_go_with_the_person() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let wallet = vault.create_wallet().expect("a wallet");
            let whom = Whom::Wallet(wallet);
            let (key, secret) = vault.create_api_key(wanted(whom.clone()), at(10)).expect("a key");
            assert!(matches!(vault.present(&secret, at(11)), Ok(Presented::Valid(_))));
            assert!(vault.revoke_api_key(key.id, at(11)).is_ok(), "sealed anew under the same person");
            let (_, second) = vault.create_api_key(wanted(whom.clone()), at(10)).expect("a key");
            assert!(matches!(vault.present(&second, at(11)), Ok(Presented::Valid(_))));
            vault.erase(wallet).expect("erased");
            for secret in [secret, second] {
                assert_eq!(vault.present(&secret, at(11)).expect("an answer"), Presented::Unknown);
            }
            assert_eq!(vault.api_keys(&whom).expect("none"), []);
            assert_eq!(vault.api_key(key.id).expect("none"), None);
        });
    }

    #[test]
    fn a_look_up_does_not_wait_for_the_vault() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let (_, secret) = vault.create_api_key(wanted(Whom::Operator), at(10)).expect("a key");
        vault.present(&secret, at(11)).expect("at hand from now on");
        // Somebody else works in the vault all the while.
        let busy = vault.inner();
        let started = Instant::now();
        for _ in 0..1_000 {
            assert!(matches!(vault.present(&secret, at(11)), Ok(Presented::Valid(_))));
        }
        assert!(started.elapsed().as_millis() < 500, "{:?} for a thousand", started.elapsed());
        drop(busy);
    }

    #[test]
    fn owners_have_one_text_each() {
        for text in ["op", "br_harvest", "wa_00000000000000000000000001"] {
            assert_eq!(text.parse::<Whom>().map(|whom| whom.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "operator", "br_", "ac_00000000000000000000000001", "pa_a"] {
            assert!(wrong.parse::<Whom>().is_err(), "{wrong}");
        }
    }
}
