//! The safe: where the demo's people and brands keep their secrets.
//!
//! Owns: which key file and which record of the vault each of them has.
//! Promises: what it returns is on disk.
//! Refuses to know: what keys sign.

use crate::app::id_of;
use crate::sign::SecretKey;
use crate::store::Home;
use crate::types::{AccountId, BrandId, Ident, UnitCode};
use crate::vault::{KeyFolder, Owner, Vault, WalletId};

/// See the module.
pub struct Safe {
    keys: KeyFolder,
    vault: Vault,
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// The file of a shop's till key: `till-` and the shop, or a hash where that is too long for a name.
pub(crate) fn till_name(store: &Ident) -> Ident {
    format!("till-{store}").parse().unwrap_or_else(|_| id_of(&["till", store.as_str()]))
}

impl Safe {
    /// Of a network.
    pub fn open(home: &Home) -> Result<Self, String> {
        Ok(Self { keys: KeyFolder::at(home.dir()), vault: Vault::open(home).map_err(text)? })
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Keeps a text that is as secret as the keys beside it.
    pub fn keep_note(&self, name: &str, note: &str) -> Result<(), String> {
        self.keys.put_note(name, note).map_err(text)
    }

    /// Keeps a key of the operator.
    pub fn keep_operator(&self, name: &str, key: &SecretKey) -> Result<(), String> {
        self.keys.put(&Owner::Operator, &name.parse().map_err(text)?, key).map_err(text)
    }

    /// Makes a key of somebody who works for the operator.
    pub fn operator_key(&self, name: &str) -> Result<SecretKey, String> {
        self.keys.create(&Owner::Operator, &name.parse().map_err(text)?).map_err(text)
    }

    /// Makes a key of a brand.
    pub fn brand_key(&self, brand: &BrandId, name: &str) -> Result<SecretKey, String> {
        self.keys.create(&Owner::Brand(brand.clone()), &name.parse().map_err(text)?).map_err(text)
    }

    /// Makes the key of a shop's till.
    pub fn till_key(&self, brand: &BrandId, store: &Ident) -> Result<SecretKey, String> {
        self.keys.create(&Owner::Brand(brand.clone()), &till_name(store)).map_err(text)
    }

    /// Makes a member's wallet and the seed that its phone keeps.
    pub fn wallet(&self, member: &str) -> Result<(WalletId, [u8; 32]), String> {
        let made = self.vault.create_wallets(&[member]).map_err(text)?;
        let wallet = made.first().copied().ok_or("no wallet was made")?;
        Ok((wallet, self.keys.create_seed(wallet).map_err(text)?))
    }

    /// Draws the id of a wallet's account.
    pub fn account(&self, wallet: WalletId, unit: UnitCode) -> Result<AccountId, String> {
        let made = self.vault.ensure_accounts(&[(wallet, unit)]).map_err(text)?;
        made.first().copied().ok_or_else(|| "no account was made".into())
    }
}
