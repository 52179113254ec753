//! Whose balance or history: an account, or all accounts of a wallet, named by its id or by an alias.

use super::context::{CliError, Context};
use crate::types::AccountId;
use crate::vault::{Vault, WalletId};

/// The accounts that a text means: itself if it is an account's id, those of the wallet with this id or
/// alias (such as a member number) otherwise.
pub(super) fn accounts(context: &Context<'_>, text: &str) -> Result<Vec<AccountId>, CliError> {
    if let Ok(account) = text.parse() {
        return Ok(vec![account]);
    }
    let home = context.home()?;
    if !Vault::exists(&home)? {
        return Err(CliError::usage(format!(
            "{text:?} is no account, and {} knows no wallets",
            home.shown()
        )));
    }
    let vault = Vault::open(&home).map_err(CliError::fault)?;
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
