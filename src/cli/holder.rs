//! Whose balance or history: an account, or all accounts of a wallet, named by its id or by an alias.

use super::context::{CliError, Context};
use crate::store;
use crate::types::AccountId;
use crate::vault::{Fault, Vault, WalletId};

/// What became of a look into the vault; there are accounts of a database that it is closed to.
fn open<T>(looked: Result<T, Fault>) -> Result<T, CliError> {
    looked.map_err(|fault| match fault {
        Fault::Store(store::Fault::Forbidden { why, .. }) => CliError::Usage(format!(
            "who members and wallets are stands in the vault, which this account of the database may not read ({why}): \
             give the id of an account, ac_…, or log in as the node does"
        )),
        fault => CliError::fault(fault),
    })
}

/// The accounts that a text means: itself if it is an account's id, those of the wallet with this id or
/// alias (such as a member number) otherwise.
pub(super) fn accounts(context: &Context<'_>, text: &str) -> Result<Vec<AccountId>, CliError> {
    if let Ok(account) = text.parse() {
        return Ok(vec![account]);
    }
    let home = context.home()?;
    if !open(Vault::exists(&home))? {
        return Err(CliError::usage(format!(
            "{text:?} is no account, and {} knows no wallets",
            home.shown()
        )));
    }
    let vault = open(Vault::open(&home))?;
    let wallet = match text.parse::<WalletId>() {
        Ok(wallet) => wallet,
        Err(_) => vault
            .wallet_of(text)
            .map_err(CliError::fault)?
            .ok_or_else(|| CliError::usage(format!("there is no account, wallet or member {text:?} here")))?,
    };
    let accounts = vault.accounts(wallet).map_err(CliError::fault)?;
    if accounts.is_empty() {
        return Err(CliError::usage(format!("wallet {wallet} has no accounts")));
    }
    Ok(accounts.into_iter().map(|(_, account)| account).collect())
}
