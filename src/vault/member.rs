//! Members by a brand's own numbers.
//!
//! Owns: aliases that hold at one brand only, each brand's in a namespace of its own.
//! Promises: [`Vault::resolve`] answers every number with an account and writes as much for one that it
//! knows as for one that it does not, so neither the answer nor its time says which it was. Of names that hold everywhere
//! a brand gets the wallet only if it asks for that: nobody else's word decides who has one of its cards.
//! Refuses to know: whose a unit is; the caller lets a brand ask about its own unit only.

use super::file::{Stop, Tables};
use super::record::{
    add_alias, aliases_of, at_brand, ensure_slots, find_person, find_slots, make_wallets, open_aliases,
    seal_anew, seal_slot_anew, slot_of,
};
use super::seal::{Blind, Master, What};
use super::{Fault, Inner, Vault, WalletId, check_alias};
use crate::clock::Salts;
use crate::types::{AccountId, BrandId, UnitCode};
use hashbrown::{HashMap, HashSet};

/// A member that is asked for.
struct Asked {
    /// The index of the number at the brand, and, if that was asked for, of the same text as an alias that holds
    /// everywhere.
    at_brand: Blind,
    everywhere: Option<Blind>,
    text: Vec<u8>,
    unit: UnitCode,
}

impl Vault {
    /// The account, for a unit, of a brand's member: of the wallet that the brand's number names, else of a new wallet
    /// under the brand's number.
    pub fn resolve(&self, brand: &BrandId, alias: &str, unit: UnitCode) -> Result<AccountId, Fault> {
        self.resolve_one(brand, alias, unit, false)
    }

    /// [`Vault::resolve`]; with `everywhere`, before there is a new wallet, of the one that has the text as an alias
    /// everywhere.
    pub fn resolve_one(
        &self,
        brand: &BrandId,
        alias: &str,
        unit: UnitCode,
        everywhere: bool,
    ) -> Result<AccountId, Fault> {
        let found = self.resolve_all(brand, &[(alias, unit)], everywhere)?;
        found.first().copied().ok_or(Fault::Alias(alias.len()))
    }

    /// [`Vault::resolve_one`] for many, in their order and in one transaction.
    pub fn resolve_all<A: AsRef<str>>(
        &self,
        brand: &BrandId,
        members: &[(A, UnitCode)],
        everywhere: bool,
    ) -> Result<Vec<AccountId>, Fault> {
        let mut inner = self.inner();
        let Inner { file, master, salts, .. } = &mut *inner;
        let mut asked = Vec::with_capacity(members.len());
        for (alias, unit) in members {
            check_alias(alias.as_ref())?;
            let text = at_brand(brand, alias.as_ref());
            let wide = everywhere.then(|| master.blind(What::Alias, alias.as_ref().as_bytes()));
            asked.push(Asked {
                at_brand: master.blind(What::BrandAlias, &text),
                everywhere: wide,
                text,
                unit: *unit,
            });
        }
        let found = file.write("resolve members", |tables| resolve(tables, master, salts, &asked))?;
        for (wallet, unit, account) in &found {
            inner.remember(*wallet, *unit, *account);
        }
        Ok(found.into_iter().map(|(_, _, account)| account).collect())
    }

    /// Gives a wallet a member's number at a brand. One that it has already changes nothing.
    pub fn add_member(&self, wallet: WalletId, brand: &BrandId, alias: &str) -> Result<(), Fault> {
        check_alias(alias)?;
        let Inner { file, master, salts, .. } = &mut *self.inner();
        let text = at_brand(brand, alias);
        let named = (master.blind(What::BrandAlias, &text), &text[..]);
        file.write("add a member's number", |tables| {
            add_alias(tables, master, salts, wallet, What::BrandAlias, named)
        })
    }

    /// A wallet's numbers at brands, sorted; none if there is no such wallet or it was erased.
    pub fn members(&self, wallet: WalletId) -> Result<Vec<(BrandId, String)>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let all = file.read("read a member's numbers", |tables| aliases_of(tables, master, wallet))?;
        Ok(all.into_iter().filter_map(|(brand, alias)| Some((brand?, alias))).collect())
    }
}

fn resolve(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    asked: &[Asked],
) -> Result<Vec<(WalletId, UnitCode, AccountId)>, Stop> {
    // Both are looked for, whether the first is there or not.
    let own: Vec<Blind> = asked.iter().map(|one| one.at_brand).collect();
    let wide: Vec<Blind> = asked.iter().filter_map(|one| one.everywhere).collect();
    let own = open_aliases(tables, master, What::BrandAlias, &own)?;
    let wide = open_aliases(tables, master, What::Alias, &wide)?;
    let mut known = HashMap::with_capacity(asked.len());
    let mut again = HashSet::new();
    for one in asked {
        let wide = one.everywhere.and_then(|blind| Some((What::Alias, blind, wide.get(&blind)?)));
        let found = own.get(&one.at_brand).map(|found| (What::BrandAlias, one.at_brand, found)).or(wide);
        let Some((what, blind, found)) = found else { continue };
        known.insert(one.at_brand, found.wallet);
        if again.insert(blind) {
            seal_anew(tables, master, salts, what, (blind, found))?;
        }
    }
    let names: Vec<(Blind, &[u8])> = asked.iter().map(|one| (one.at_brand, &one.text[..])).collect();
    let wallets = make_wallets(tables, master, salts, What::BrandAlias, known, &names)?;

    let mut wanted = Vec::with_capacity(asked.len());
    for one in asked {
        let wallet = wallets.get(&one.at_brand).copied();
        wanted.push((wallet.ok_or(Stop::Damaged("a brand's alias"))?, one.unit));
    }
    let slots: Vec<Blind> = wanted.iter().map(|(wallet, unit)| slot_of(master, *wallet, *unit)).collect();
    let before = find_slots(tables, master, &slots)?;
    let accounts = ensure_slots(tables, master, salts, &wanted, &slots)?;
    let mut found = Vec::with_capacity(asked.len());
    for ((wallet, unit), slot) in wanted.into_iter().zip(slots) {
        let no = || Stop::Fault(Fault::NoWallet(wallet));
        let account = accounts.get(&slot).copied().ok_or_else(no)?;
        if before.contains_key(&slot) {
            let person = find_person(tables, master, wallet)?.ok_or_else(no)?;
            seal_slot_anew(tables, master, salts, &person, (slot, unit, account))?;
        }
        found.push((wallet, unit, account));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::tests::on_each;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    fn brand(id: &str) -> BrandId {
        id.parse().expect("a brand")
    }

    fn unit(code: &str) -> UnitCode {
        code.parse().expect("a unit")
    }

    #[test]
    fn each_brand_has_numbers_of_its_own() {
        on_each(|home| {
            let (harvest, voyage) = (brand("br_harvest"), brand("br_voyage"));
            let (grain, miles) = (unit("HARVEST"), unit("VOYAGE"));
            let vault = Vault::open(home).expect("a vault");
            let one = vault.resolve(&harvest, "4711", grain).expect("an account");
            let other = vault.resolve(&voyage, "4711", miles).expect("an account");
            let wallets =
                [one, other].map(|ac| vault.wallet_of_account(ac).expect("known").expect("a wallet"));
            assert_ne!(wallets[0], wallets[1], "the same number at another brand is somebody else");
            assert_eq!(vault.wallet_of("4711").expect("none"), None, "and everywhere it is nobody");
            for vault in [&vault, &Vault::open(home).expect("opened again")] {
                assert_eq!(vault.resolve(&harvest, "4711", grain).expect("known"), one);
                assert_eq!(vault.resolve(&voyage, "4711", miles).expect("known"), other);
                assert_eq!(vault.wallet_of_account(one).expect("known"), Some(wallets[0]));
                assert_eq!(vault.account(wallets[0], grain).expect("known"), Some(one));
                assert_eq!(vault.members(wallets[0]).expect("known"), [(harvest.clone(), "4711".to_owned())]);
                assert_eq!(vault.aliases(wallets[0]).expect("none"), Vec::<String>::new());
            }
            assert!(matches!(vault.resolve(&harvest, "", grain), Err(Fault::Alias(0))));
            // Where one text ends and the other begins is part of the name.
            let near = vault.resolve(&brand("br_h"), "arvest4711", grain).expect("an account");
            assert_ne!(near, one);
        });
    }

    #[test]
    fn an_alias_that_holds_everywhere_holds_at_a_brand_that_asks_for_it_and_does_not_have_it() {
        on_each(|home| {
            let (harvest, grain) = (brand("br_harvest"), unit("HARVEST"));
            let vault = Vault::open(home).expect("a vault");
            let wallet = vault.create_wallet().expect("a wallet");
            vault.add_alias(wallet, "phone 9").expect("an alias");
            let account = vault.ensure_accounts(&[(wallet, grain)]).expect("an account")[0];
            let wide = |alias: &str| vault.resolve_one(&harvest, alias, grain, true).expect("an account");
            assert_eq!(wide("phone 9"), account);
            assert_eq!(vault.aliases(wallet).expect("known"), ["phone 9"]);

            // A brand's own number goes first, whoever else comes with it later.
            let own = vault.resolve(&harvest, "77", grain).expect("an account");
            vault.add_alias(wallet, "77").expect("an alias");
            assert_eq!((wide("77"), vault.resolve(&harvest, "77", grain).expect("known")), (own, own));
            // And where the brand does not ask for such names, one that somebody took before does not hold its card.
            vault.add_alias(wallet, "card 9").expect("an alias");
            let own = vault.resolve(&harvest, "card 9", grain).expect("an account");
            assert_ne!(own, account);
            assert_eq!(wide("card 9"), own, "nor does it from then on");
            vault.add_member(wallet, &harvest, "card 5").expect("a number");
            vault.add_member(wallet, &harvest, "card 5").expect("again");
            assert_eq!(vault.resolve(&harvest, "card 5", grain).expect("known"), account);
            assert!(matches!(vault.add_member(wallet, &harvest, "77"), Err(Fault::AliasTaken(_))));

            vault.erase(wallet).expect("erased");
            for number in ["phone 9", "card 5"] {
                assert_ne!(wide(number), account, "somebody new");
            }
            assert_eq!(vault.wallet_of_account(account).expect("nobody's"), None);
        });
    }

    #[test]
    fn many_in_one_call_and_repeated() {
        on_each(|home| {
            let (harvest, grain, miles) = (brand("br_harvest"), unit("HARVEST"), unit("VOYAGE"));
            let vault = Vault::open(home).expect("a vault");
            let known = vault.resolve(&harvest, "b", grain).expect("an account");
            let asked = [("a", grain), ("b", grain), ("a", miles), ("a", grain), ("b", grain), ("b", miles)];
            let first = vault.resolve_all(&harvest, &asked, false).expect("accounts");
            assert_eq!((first[1], first[4], first[0]), (known, known, first[3]));
            let different: HashSet<AccountId> = first.iter().copied().collect();
            assert_eq!(different.len(), 4);
            assert_eq!(vault.resolve_all(&harvest, &asked, false).expect("the same"), first);
            assert_eq!(
                vault.wallet_of_account(first[0]).expect("known"),
                vault.wallet_of_account(first[2]).expect("known")
            );
        });
    }

    #[test]
    fn a_known_number_writes_as_much_as_an_unknown_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let (harvest, grain) = (brand("br_harvest"), unit("HARVEST"));
        let vault = Vault::open(dir.path()).expect("a vault");
        for i in 0..50 {
            vault.resolve(&harvest, &format!("old {i}"), grain).expect("an account");
        }
        let written = |dir: &Path| fs::metadata(dir.join("vault.sqlite-wal")).expect("a log").len();
        let grew = |number: &str| {
            vault.inner().file.flush().expect("emptied");
            assert_eq!(written(dir.path()), 0);
            vault.resolve_one(&harvest, number, grain, true).expect("an account");
            written(dir.path())
        };
        let (known, unknown) = (grew("old 7"), grew("new"));
        assert!(known > 0, "it is a durable commit");
        // In pages of the file: the tables' own, and for a new member also those of the indexes.
        assert!(unknown >= known && unknown < 3 * known, "{known} and {unknown} bytes");
    }

    #[test]
    fn two_threads_that_ask_for_one_number_get_one_account() {
        on_each(|home| {
            let vault = Arc::new(Vault::open(home).expect("a vault"));
            let ask = |vault: Arc<Vault>| {
                move || -> Vec<AccountId> {
                    let (harvest, grain) = (brand("br_harvest"), unit("HARVEST"));
                    (0..20).map(|i| vault.resolve(&harvest, &format!("m{i}"), grain).expect("one")).collect()
                }
            };
            let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ask(vault.clone()))).collect();
            let answers: HashSet<Vec<AccountId>> =
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
            assert_eq!(answers.len(), 1);
        });
    }
}
