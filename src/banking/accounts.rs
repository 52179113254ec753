//! The house's settlement accounts: a file of the node's own that names one for each currency.
//!
//! Owns: its form, TOML with a section for each currency. Promises: an account that is named is a sound one.
//! Refuses to know: what moves on them.

use super::Fault;
use crate::formats::SettlementAccount;
use crate::types::Currency;
use std::collections::BTreeMap;
use std::path::Path;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts(BTreeMap<Currency, SettlementAccount>);

impl Accounts {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| Fault::No(format!("{}: {e}", path.display())))?;
        Self::parse(&text).map_err(|e| Fault::No(format!("{}: {e}", path.display())))
    }

    /// Reads its text.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let read: BTreeMap<String, SettlementAccount> =
            toml::from_str(text).map_err(|e| Fault::No(e.to_string()))?;
        let all = read.into_iter().map(|(code, account)| Ok((code.parse::<Currency>()?, account)));
        Ok(Self(all.collect::<Result<_, Fault>>()?))
    }

    /// The account of a currency.
    pub fn of(&self, currency: Currency) -> Result<&SettlementAccount, Fault> {
        self.0.get(&currency).ok_or_else(|| {
            let how = "name it in the file of `api.settlement_accounts` in the configuration, as in `[EUR]`, `name = \"…\"`, `iban = \"…\"`";
            Fault::No(format!("the house has no settlement account in {currency}: {how}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_named_by_currency_and_checked() {
        let text = "[EUR]\nname = \"House\"\niban = \"DE89370400440532013000\"\nbic = \"COBADEFF\"\n";
        let accounts = Accounts::parse(text).expect("read");
        let eur = accounts.of("EUR".parse().expect("EUR")).expect("there");
        assert_eq!(eur.iban.as_str(), "DE89370400440532013000");
        let none = accounts.of("USD".parse().expect("USD")).expect_err("none").to_string();
        assert!(none.contains("settlement_accounts"), "{none}");
        for wrong in [text.replace("89", "98"), text.replace("EUR", "euro"), text.replace("iban", "ibna")] {
            assert!(Accounts::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
