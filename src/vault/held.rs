//! Held keys: secrets that the network keeps for a brand or an account, and signs with in its name.
//!
//! Owns: the secrets, and whose and for what each is.
//! Promises: a secret leaves the vault only inside a [`Signer`] in memory. A wallet's is sealed under the key
//! of its person, so that erasing destroys it.
//! Refuses to know: whether a key is certified, and what may be signed with it.

use super::file::{By, Stop};
use super::record::holder_of;
use super::room::{self, Kept};
use super::seal::What;
use super::{Fault, Inner, Vault};
use crate::clock;
use crate::sign::{PublicKey, Purpose, SecretKey};
use crate::types::{AccountId, BrandId, Kid, Malformed, Time, b64, b64_decode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Whom a key is held for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Holder {
    /// A brand.
    Brand(BrandId),
    /// A consumer's account; the vault knows whose it is.
    Account(AccountId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brand(brand) => fmt::Display::fmt(brand, f),
            Self::Account(account) => fmt::Display::fmt(account, f),
        }
    }
}

impl FromStr for Holder {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("no key is held for {text:?}: a brand's id or an account's"));
        if text.starts_with("br_") {
            return text.parse().map(Self::Brand).map_err(|_| no());
        }
        text.parse().map(Self::Account).map_err(|_| no())
    }
}

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Holder {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The public part of a held key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldKey {
    /// Its name.
    pub kid: Kid,
    /// The public key.
    pub key: PublicKey,
    /// Whom it is held for.
    pub owner: Holder,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was made.
    pub created: Time,
}

/// A held key with its secret, for as long as something is signed.
#[derive(Debug)]
pub struct Signer {
    /// The public part.
    pub held: HeldKey,
    secret: SecretKey,
}

impl Signer {
    /// What signs.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSecret {
    held: HeldKey,
    seed: String,
}

impl Kept for KeptSecret {
    const WHAT: What = What::HeldKey;
    fn name(&self) -> String {
        self.held.kid.to_string()
    }
    fn owner(&self) -> String {
        self.held.owner.to_string()
    }
}

impl Vault {
    /// Makes a key of fresh randomness and holds it. An account must be of a wallet of this vault.
    pub fn hold_key(&self, owner: Holder, purpose: Purpose, now: Time) -> Result<HeldKey, Fault> {
        let secret = SecretKey::from_seed(clock::random());
        let key = secret.public();
        let held = HeldKey { kid: key.kid(), key, owner, purpose, created: now };
        let kept = KeptSecret { held, seed: b64(&secret.seed()) };
        let Inner { file, master, salts, .. } = &mut *self.inner();
        file.write("hold a key", |tables| {
            let person = match kept.held.owner {
                Holder::Account(account) => {
                    let found = holder_of(tables, master, account)?;
                    Some(found.ok_or(Stop::Fault(Fault::NoAccount(account)))?.1)
                }
                Holder::Brand(_) => None,
            };
            room::add(tables, master, salts, &kept, person.as_ref())
        })?;
        Ok(kept.held)
    }

    /// A held key and its secret.
    pub fn signer(&self, kid: Kid) -> Result<Option<Arc<Signer>>, Fault> {
        self.refresh()?;
        if let Some(signer) = self.held.get(&kid) {
            return Ok(Some(signer));
        }
        let inner = &mut *self.inner();
        let by = room::by_name::<KeptSecret>(&inner.master, &kid.to_string());
        let Some(kept) = inner.held(by)?.pop() else { return Ok(None) };
        let seed = b64_decode(&kept.seed).ok().and_then(|seed| seed.try_into().ok());
        let secret = seed.map(SecretKey::from_seed).filter(|secret| secret.public() == kept.held.key);
        let damaged = || Fault::Damaged { path: inner.file.path.clone(), what: What::HeldKey.text() };
        let signer = Arc::new(Signer { held: kept.held, secret: secret.ok_or_else(damaged)? });
        self.held.insert(kid, signer.clone());
        Ok(Some(signer))
    }

    /// The public parts of the keys that are held for somebody, the oldest first.
    pub fn held_keys(&self, owner: &Holder) -> Result<Vec<HeldKey>, Fault> {
        let inner = &mut *self.inner();
        let by = room::by_owner::<KeptSecret>(&inner.master, &owner.to_string());
        let mut keys: Vec<HeldKey> = inner.held(by)?.into_iter().map(|kept| kept.held).collect();
        keys.sort_by_key(|held| (held.created, held.kid));
        Ok(keys)
    }

    /// Destroys a held key; whether there was one. What it signed stays signed.
    ///
    /// An error that says that a reader is in the way means that the key is gone, but old bytes of it may
    /// still stand in the write-ahead file: forget it again.
    pub fn forget_key(&self, kid: Kid) -> Result<bool, Fault> {
        let mut inner = self.inner();
        let Inner { file, master, .. } = &mut *inner;
        let name = master.blind(What::HeldKey, kid.to_string().as_bytes());
        let there = file.write("forget a held key", |tables| {
            tables.taken_back()?;
            tables.remove_record(&name)
        })?;
        self.held.remove(&kid);
        file.flush()?;
        drop(inner);
        self.settle();
        Ok(there)
    }
}

impl Inner {
    fn held(&mut self, by: By) -> Result<Vec<KeptSecret>, Fault> {
        let Self { file, master, .. } = self;
        let found = file.read("read held keys", |tables| room::all::<KeptSecret>(tables, master, by))?;
        Ok(found.into_iter().map(|found| found.record).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, holds};
    use super::*;
    use crate::vault::tests::on_each;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    fn brand(id: &str) -> Holder {
        Holder::Brand(id.parse().expect("a brand"))
    }

    #[test]
    fn a_held_key_signs_and_is_found_by_name_and_by_what_it_is_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let owner = brand("br_harvest");
        let issuing = vault.hold_key(owner.clone(), Purpose::Issuing, at(1)).expect("a key");
        let old = vault.hold_key(owner.clone(), Purpose::Till, at(2)).expect("a key");
        let till = vault.hold_key(owner.clone(), Purpose::Till, at(3)).expect("a key");
        for vault in [&vault, &Vault::open(dir.path()).expect("opened again")] {
            for _ in 0..2 {
                let signer = vault.signer(issuing.kid).expect("an answer").expect("held");
                assert_eq!((&signer.held, signer.secret().public()), (&issuing, issuing.key));
                assert!(issuing.key.verify_strict(b"text", &signer.secret().sign(b"text")));
            }
            assert_eq!(vault.held_keys(&owner).expect("three"), [issuing.clone(), old.clone(), till.clone()]);
            assert_eq!(vault.held_keys(&brand("br_voyage")).expect("none"), []);
            assert!(vault.signer(Kid(crate::types::Hash([7; 32]))).expect("an answer").is_none());
        }
        let secret = vault.signer(till.kid).expect("an answer").expect("held").secret().seed();
        for hidden in [&secret[..], b64(&secret).as_bytes(), b"br_harvest", till.kid.to_string().as_bytes()] {
            assert!(!holds(&bytes(dir.path()), hidden));
        }
        assert!(vault.forget_key(till.kid).expect("forgotten"));
        assert!(!vault.forget_key(till.kid).expect("gone already"));
        assert!(vault.signer(till.kid).expect("an answer").is_none());
        assert_eq!(vault.held_keys(&owner).expect("two"), [issuing, old]);
    }

    #[test]
    fn an_accounts_key_goes_with_its_person() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let nobody = vault.hold_key(Holder::Account(AccountId(1)), Purpose::Account, at(1));
            assert!(matches!(nobody, Err(Fault::NoAccount(AccountId(1)))));
            let wallet = vault.create_wallet().expect("a wallet");
            let unit = "HARVEST".parse().expect("a unit");
            let account = vault.ensure_accounts(&[(wallet, unit)]).expect("an account")[0];
            let owner = Holder::Account(account);
            let held = vault.hold_key(owner.clone(), Purpose::Account, at(1)).expect("a key");
            assert!(vault.signer(held.kid).expect("an answer").is_some());
            assert_eq!(vault.held_keys(&owner).expect("one"), std::slice::from_ref(&held));
            vault.erase(wallet).expect("erased");
            assert!(vault.signer(held.kid).expect("an answer").is_none(), "not even from memory");
            assert_eq!(vault.held_keys(&owner).expect("none"), []);
        });
    }

    #[test]
    fn whom_a_key_is_held_for_has_one_text_each() {
        for text in ["br_harvest", "ac_00000000000000000000000001"] {
            assert_eq!(text.parse::<Holder>().map(|holder| holder.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "op", "br_", "wa_00000000000000000000000001"] {
            assert!(wrong.parse::<Holder>().is_err(), "{wrong}");
        }
    }
}
