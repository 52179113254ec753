//! The vault: what must be remembered and is neither in the log nor derivable from it.
//!
//! Owns: `vault.sqlite` (wallets, their aliases, the account of a wallet for each unit; API keys, keys held
//! for others, applications to join, participants' bank details, documents of disputes and complaints; nonces of
//! signed changes) and the key files under `keys/`.
//! Promises: nothing in the database can be read or joined without the key file `keys/vault.key`; what a
//! call returned is on disk; after [`Vault::erase`] nothing of that person can be read any more, in this
//! file or in a copy of it made later. A vault is used by one process at a time, by all of its threads; one in a database
//! by several nodes, if each says so ([`Vault::share`]).
//! Refuses to know: what accounts hold, and who asks.
//!
//! Each wallet has a key of its own, wrapped under the vault's key, and everything about the wallet is
//! sealed under it. Look-ups go by blind indexes, see `seal`.

mod apikey;
mod application;
mod copy;
mod details;
mod document;
mod fault;
mod file;
mod held;
mod id;
mod keyfile;
mod member;
mod nonce;
mod recent;
mod record;
mod room;
mod seal;
mod shared;
#[cfg(test)]
mod tests;

pub use apikey::{ApiKey, NewApiKey, Presented, Whom};
pub use application::{Application, ApplicationState, NewApplication};
pub use copy::{Copied, copy};
pub use document::{DOCUMENT_TYPES, Document, Erased, Found, MAX_DOCUMENT};
pub use fault::Fault;
pub use held::{HeldKey, Holder, Signer};
pub use id::{ApiKeyId, ApplicationId, WalletId};
pub use keyfile::{KeyFolder, Owner};

use crate::clock::{self, Salts};
use crate::store::Home;
use crate::types::{AccountId, Hash, Kid, UnitCode, b64};
use file::{File, Stop};
use hashbrown::{HashMap, HashSet};
use quick_cache::sync::Cache;
use recent::Recent;
use record::{
    accounts_of, add_alias, add_wallet, aliases_of, ensure_slots, ensure_wallets, find_aliases, find_slots,
    holder_of, slot_of, wallet_blind,
};
use seal::{Blind, Key, Master, What, readable};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest alias, in bytes.
pub const MAX_ALIAS: usize = 256;

/// Look-ups kept at hand if nothing else is said.
const CACHE_ROWS: usize = 500_000;

/// API keys, and as many held keys, kept at hand.
const CACHE_KEYS: usize = 10_000;

/// An open vault.
pub struct Vault {
    inner: Mutex<Inner>,
    // Looked up at every request, so they have locks of their own. They are filled and emptied only by who
    // has the vault's lock: what was revoked or erased cannot come back from a slow reader.
    api_keys: Cache<Hash, Arc<ApiKey>>,
    held: Cache<Kid, Arc<Signer>>,
    shared: shared::Shared,
}

struct Inner {
    file: File,
    master: Master,
    salts: Salts,
    by_alias: Recent<Blind, WalletId>,
    by_slot: Recent<(WalletId, UnitCode), AccountId>,
    by_account: Recent<AccountId, WalletId>,
}

impl Vault {
    /// Opens the vault of a network, making it and its key file if neither is there.
    pub fn open(home: impl Into<Home>) -> Result<Self, Fault> {
        Self::open_with(home, CACHE_ROWS, Salts::new())
    }

    /// Whether a network has a vault.
    pub fn exists(home: impl Into<Home>) -> Result<bool, Fault> {
        file::exists(&home.into())
    }

    /// [`Vault::open`], with a bound on the look-ups kept at hand and a source of ids and nonces.
    pub fn open_with(home: impl Into<Home>, cache_rows: usize, salts: Salts) -> Result<Self, Fault> {
        let home = home.into();
        let key_path = KeyFolder::at(home.dir()).vault_path();
        let master = Master::of(&vault_key(&home, &key_path)?);
        let mut file = File::open(&home)?;
        let needed =
            file.write("read which key it needs", |tables| tables.fingerprint(master.fingerprint()))?;
        if needed != master.fingerprint() {
            let (given, needed) = (readable(master.fingerprint()), readable(&needed));
            return Err(Fault::WrongKey { vault: file.path, key: key_path, given, needed });
        }
        let rows = cache_rows / 3;
        let (by_alias, by_slot, by_account) = (Recent::new(rows), Recent::new(rows), Recent::new(rows));
        let inner = Inner { file, master, salts, by_alias, by_slot, by_account };
        let (api_keys, held) = (Cache::new(CACHE_KEYS), Cache::new(CACHE_KEYS));
        Ok(Self { inner: Mutex::new(inner), api_keys, held, shared: shared::Shared::default() })
    }

    /// The database answers for what is true; a thread that panicked left at most its own call undone.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wallet that an alias (a member number, say) belongs to. Aliases are compared byte by byte.
    pub fn wallet_of(&self, alias: &str) -> Result<Option<WalletId>, Fault> {
        Ok(self.wallets_of(&[alias])?.pop().flatten())
    }

    /// [`Vault::wallet_of`] for many, in their order.
    pub fn wallets_of<A: AsRef<str>>(&self, aliases: &[A]) -> Result<Vec<Option<WalletId>>, Fault> {
        self.refresh()?;
        let mut inner = self.inner();
        let blinds = inner.alias_blinds(aliases)?;
        let (mut known, missing) = inner.at_hand(&blinds);
        if !missing.is_empty() {
            let Inner { file, master, .. } = &mut *inner;
            let found = file.read("look up aliases", |tables| find_aliases(tables, master, &missing))?;
            found.iter().for_each(|(blind, wallet)| inner.by_alias.put(*blind, *wallet));
            known.extend(found);
        }
        Ok(blinds.iter().map(|blind| known.get(blind).copied()).collect())
    }

    /// The wallets of these aliases, in their order; a wallet is made for each alias that has none. All
    /// in one transaction: either all of them are there afterwards, or no new one.
    pub fn create_wallets<A: AsRef<str>>(&self, aliases: &[A]) -> Result<Vec<WalletId>, Fault> {
        let mut inner = self.inner();
        let blinds = inner.alias_blinds(aliases)?;
        let names: Vec<(Blind, &str)> =
            blinds.iter().copied().zip(aliases.iter().map(AsRef::as_ref)).collect();
        let Inner { file, master, salts, .. } = &mut *inner;
        let all = file.write("create wallets", |tables| ensure_wallets(tables, master, salts, &names))?;
        let wallets: Vec<WalletId> = blinds.iter().filter_map(|blind| all.get(blind).copied()).collect();
        all.into_iter().for_each(|(blind, wallet)| inner.by_alias.put(blind, wallet));
        Ok(wallets)
    }

    /// A wallet that has no alias.
    pub fn create_wallet(&self) -> Result<WalletId, Fault> {
        let Inner { file, master, salts, .. } = &mut *self.inner();
        file.write("create a wallet", |tables| add_wallet(tables, master, salts))
    }

    /// Gives a wallet one more alias. An alias that it has already changes nothing.
    pub fn add_alias(&self, wallet: WalletId, alias: &str) -> Result<(), Fault> {
        let mut inner = self.inner();
        let blind = inner.alias_blind(alias)?;
        let Inner { file, master, salts, .. } = &mut *inner;
        let named = (blind, alias.as_bytes());
        file.write("add an alias", |tables| add_alias(tables, master, salts, wallet, What::Alias, named))?;
        inner.by_alias.put(blind, wallet);
        Ok(())
    }

    /// A wallet's aliases that hold everywhere, sorted; none if there is no such wallet or it was erased.
    pub fn aliases(&self, wallet: WalletId) -> Result<Vec<String>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let all = file.read("read aliases", |tables| aliases_of(tables, master, wallet))?;
        Ok(all.into_iter().filter(|(brand, _)| brand.is_none()).map(|(_, alias)| alias).collect())
    }

    /// A wallet's account for a unit, if it has one.
    pub fn account(&self, wallet: WalletId, unit: UnitCode) -> Result<Option<AccountId>, Fault> {
        self.refresh()?;
        let mut inner = self.inner();
        if let Some(account) = inner.by_slot.get(&(wallet, unit)) {
            return Ok(Some(account));
        }
        let slot = slot_of(&inner.master, wallet, unit);
        let Inner { file, master, .. } = &mut *inner;
        let found = file.read("look up an account", |tables| find_slots(tables, master, &[slot]))?;
        let account = found.get(&slot).copied();
        if let Some(account) = account {
            inner.remember(wallet, unit, account);
        }
        Ok(account)
    }

    /// The accounts of these wallets for these units, in their order; an account's id is drawn for each
    /// that has none. All in one transaction. A wallet that is not there is [`Fault::NoWallet`], and then
    /// nothing was made.
    pub fn ensure_accounts(&self, wanted: &[(WalletId, UnitCode)]) -> Result<Vec<AccountId>, Fault> {
        self.refresh()?;
        let mut inner = self.inner();
        let at_hand: Vec<_> = wanted.iter().map_while(|slot| inner.by_slot.get(slot)).collect();
        if at_hand.len() == wanted.len() {
            return Ok(at_hand);
        }
        let slots: Vec<Blind> =
            wanted.iter().map(|(wallet, unit)| slot_of(&inner.master, *wallet, *unit)).collect();
        let Inner { file, master, salts, .. } = &mut *inner;
        let all =
            file.write("create accounts", |tables| ensure_slots(tables, master, salts, wanted, &slots))?;
        let mut accounts = Vec::with_capacity(wanted.len());
        for ((wallet, unit), slot) in wanted.iter().zip(&slots) {
            let account = all.get(slot).copied().ok_or(Fault::NoWallet(*wallet))?;
            inner.remember(*wallet, *unit, account);
            accounts.push(account);
        }
        Ok(accounts)
    }

    /// A wallet's accounts, by unit; none if there is no such wallet or it was erased.
    pub fn accounts(&self, wallet: WalletId) -> Result<Vec<(UnitCode, AccountId)>, Fault> {
        let mut inner = self.inner();
        let Inner { file, master, .. } = &mut *inner;
        file.read("read accounts", |tables| accounts_of(tables, master, wallet))
    }

    /// The wallet that an account belongs to.
    pub fn wallet_of_account(&self, account: AccountId) -> Result<Option<WalletId>, Fault> {
        self.refresh()?;
        let mut inner = self.inner();
        if let Some(wallet) = inner.by_account.get(&account) {
            return Ok(Some(wallet));
        }
        let Inner { file, master, .. } = &mut *inner;
        let found = file.read("look up an account's wallet", |tables| holder_of(tables, master, account))?;
        let Some((wallet, _)) = found else { return Ok(None) };
        inner.by_account.put(account, wallet);
        Ok(Some(wallet))
    }

    /// Erases a person: destroys the key of the wallet and all that was sealed under it. The log keeps its
    /// accounts, and nothing can tell any more whose they were. Erasing again changes nothing.
    ///
    /// An error that says that a reader is in the way means that the records are gone, but old bytes of
    /// them may still stand in the write-ahead file: erase again.
    pub fn erase(&self, wallet: WalletId) -> Result<(), Fault> {
        let mut inner = self.inner();
        let blind = wallet_blind(&inner.master, wallet);
        inner.file.write("erase a wallet", |tables| match tables.wallets(&[blind])?.first() {
            Some(row) => {
                tables.taken_back()?;
                tables.erase(row.id)
            }
            None => Err(Stop::Fault(Fault::NoWallet(wallet))),
        })?;
        self.forget_all(&mut inner);
        inner.file.flush()?;
        drop(inner);
        self.settle();
        Ok(())
    }

    /// Keeps nothing at hand any more.
    fn forget_all(&self, inner: &mut Inner) {
        inner.by_alias.clear();
        inner.by_slot.clear();
        inner.by_account.clear();
        self.api_keys.clear();
        self.held.clear();
    }
}

impl Inner {
    fn alias_blind(&self, alias: &str) -> Result<Blind, Fault> {
        check_alias(alias)?;
        Ok(self.master.blind(What::Alias, alias.as_bytes()))
    }

    fn alias_blinds<A: AsRef<str>>(&self, aliases: &[A]) -> Result<Vec<Blind>, Fault> {
        aliases.iter().map(|alias| self.alias_blind(alias.as_ref())).collect()
    }

    /// What memory knows of these aliases, and those that it does not know, each once.
    fn at_hand(&mut self, blinds: &[Blind]) -> (HashMap<Blind, WalletId>, Vec<Blind>) {
        let (mut known, mut missing) = (HashMap::new(), HashSet::new());
        for blind in blinds {
            match self.by_alias.get(blind) {
                Some(wallet) => drop(known.insert(*blind, wallet)),
                None => drop(missing.insert(*blind)),
            }
        }
        (known, missing.into_iter().collect())
    }

    fn remember(&mut self, wallet: WalletId, unit: UnitCode, account: AccountId) {
        self.by_slot.put((wallet, unit), account);
        self.by_account.put(account, wallet);
    }
}

fn check_alias(alias: &str) -> Result<(), Fault> {
    match alias.len() {
        1..=MAX_ALIAS => Ok(()),
        length => Err(Fault::Alias(length)),
    }
}

/// The vault's key. It is made once, together with the vault; later it is there or the vault is lost.
fn vault_key(home: &Home, path: &Path) -> Result<Key, Fault> {
    match keyfile::secret(path) {
        Err(Fault::NoKey(_)) if file::exists(home)? => {
            Err(Fault::KeyLost { vault: file::path(home), key: path.to_path_buf() })
        }
        Err(Fault::NoKey(_)) => {
            let key = clock::random();
            keyfile::write_new(path, &(b64(&key) + "\n"))?;
            Ok(key)
        }
        key => key,
    }
}
