//! Records: what is sealed in each row, and how rows are found, opened and made.
//!
//! Owns: the sealed contents. A wallet's row holds its id (16 bytes, big-endian), an alias's row its text
//! in UTF-8 (one that holds at a brand only: the brand, a zero byte, the text), an account's row its id (16
//! bytes) and its unit (ASCII).
//! Promises: a row that does not open is an error, never "not there".
//! Refuses to know: transactions, and what is kept in memory.

use super::file::{AccountRow, AliasRow, Stop, Tables, WalletRow};
use super::seal::{Blind, Key, Master, What, open, seal};
use super::{Fault, WalletId};
use crate::clock::Salts;
use crate::types::{AccountId, BrandId, UnitCode};
use hashbrown::HashMap;

/// A wallet whose key was unwrapped.
pub(super) struct Person {
    pub(super) row: i64,
    pub(super) key: Key,
}

/// The index of a wallet.
pub(super) fn wallet_blind(master: &Master, wallet: WalletId) -> Blind {
    master.blind(What::Wallet, &wallet.0.to_be_bytes())
}

/// The index of an account's id.
pub(super) fn account_blind(master: &Master, account: AccountId) -> Blind {
    master.blind(What::Account, &account.0.to_be_bytes())
}

/// The index of a wallet's account for a unit.
pub(super) fn slot_of(master: &Master, wallet: WalletId, unit: UnitCode) -> Blind {
    master.blind(What::Slot, &[&wallet.0.to_be_bytes()[..], unit.as_str().as_bytes()].concat())
}

/// What the index of a brand's alias is of, and what is sealed in its row.
pub(super) fn at_brand(brand: &BrandId, alias: &str) -> Vec<u8> {
    [brand.as_str().as_bytes(), b"\0", alias.as_bytes()].concat()
}

pub(super) fn damaged(what: What) -> Stop {
    Stop::Damaged(what.text())
}

fn unseal(key: &Key, what: What, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Stop> {
    let place = place.try_into().map_err(|_| damaged(what))?;
    open(key, what, &place, sealed).ok_or_else(|| damaged(what))
}

/// The person of a row; `None` if it was erased.
pub(super) fn unwrap(master: &Master, row: &WalletRow) -> Result<Option<Person>, Stop> {
    let Some(wrapped) = &row.key else { return Ok(None) };
    let blind = row.blind[..].try_into().map_err(|_| damaged(What::PersonKey))?;
    let key = master.unwrap(&blind, wrapped).ok_or_else(|| damaged(What::PersonKey))?;
    Ok(Some(Person { row: row.id, key }))
}

/// The wallet of a row, and its key; a row that something points to was not erased.
fn open_wallet(master: &Master, row: &WalletRow) -> Result<(WalletId, Person), Stop> {
    let person = unwrap(master, row)?.ok_or_else(|| damaged(What::Wallet))?;
    let id = unseal(&person.key, What::Wallet, &row.blind, row.sealed.as_deref().unwrap_or_default())?;
    let id = id.try_into().map_err(|_| damaged(What::Wallet))?;
    Ok((WalletId(u128::from_be_bytes(id)), person))
}

fn open_account(key: &Key, row: &AccountRow) -> Result<(UnitCode, AccountId), Stop> {
    let record = unseal(key, What::Slot, &row.slot, &row.sealed)?;
    let (id, unit) = record.split_first_chunk::<16>().ok_or_else(|| damaged(What::Slot))?;
    let unit = std::str::from_utf8(unit).ok().and_then(|unit| unit.parse().ok());
    Ok((unit.ok_or_else(|| damaged(What::Slot))?, AccountId(u128::from_be_bytes(*id))))
}

/// The person who owns a wallet; `None` if there is no such wallet or it was erased.
pub(super) fn find_person(
    tables: &mut Tables<'_>,
    master: &Master,
    wallet: WalletId,
) -> Result<Option<Person>, Stop> {
    match tables.wallets(&[wallet_blind(master, wallet)])?.first() {
        Some(row) => unwrap(master, row),
        None => Ok(None),
    }
}

/// The wallets of those aliases that have one.
pub(super) fn find_aliases(
    tables: &mut Tables<'_>,
    master: &Master,
    blinds: &[Blind],
) -> Result<HashMap<Blind, WalletId>, Stop> {
    let known = open_aliases(tables, master, What::Alias, blinds)?;
    Ok(known.into_iter().map(|(blind, known)| (blind, known.wallet)).collect())
}

/// An alias that was found and opened.
pub(super) struct Known {
    pub(super) wallet: WalletId,
    pub(super) person: Person,
    text: Vec<u8>,
}

/// Those of the aliases that there are, of one sort.
pub(super) fn open_aliases(
    tables: &mut Tables<'_>,
    master: &Master,
    what: What,
    blinds: &[Blind],
) -> Result<HashMap<Blind, Known>, Stop> {
    let mut found = HashMap::with_capacity(blinds.len());
    for (alias, row) in tables.aliases(blinds)? {
        let blind = alias.blind[..].try_into().map_err(|_| damaged(what))?;
        let (wallet, person) = open_wallet(master, &row)?;
        // Only if it opens under this person's key was it not moved here from another wallet.
        let text = unseal(&person.key, what, &alias.blind, &alias.sealed)?;
        found.insert(blind, Known { wallet, person, text });
    }
    Ok(found)
}

/// Seals anew what was found: the same writes as for a wallet that has just been made.
pub(super) fn seal_anew(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    what: What,
    (blind, known): (Blind, &Known),
) -> Result<(), Stop> {
    let (person, id) = (&known.person, known.wallet);
    tables.rewrite_wallet(&wallet_row(master, salts, person, id))?;
    let sealed = seal(salts, &person.key, what, &blind, &known.text);
    tables.rewrite_alias(&AliasRow { blind: blind.to_vec(), wallet: person.row, sealed })
}

/// Seals a wallet's account anew.
pub(super) fn seal_slot_anew(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    person: &Person,
    (slot, unit, account): (Blind, UnitCode, AccountId),
) -> Result<(), Stop> {
    let row = account_row(master, salts, person, slot, unit, account);
    tables.rewrite_account(&row)
}

/// The accounts in those slots that have one.
pub(super) fn find_slots(
    tables: &mut Tables<'_>,
    master: &Master,
    slots: &[Blind],
) -> Result<HashMap<Blind, AccountId>, Stop> {
    let mut found = HashMap::with_capacity(slots.len());
    for (account, wallet) in tables.slots(slots)? {
        let slot = account.slot[..].try_into().map_err(|_| damaged(What::Slot))?;
        let person = unwrap(master, &wallet)?.ok_or_else(|| damaged(What::Slot))?;
        found.insert(slot, open_account(&person.key, &account)?.1);
    }
    Ok(found)
}

/// The wallet that an account belongs to, and its person.
pub(super) fn holder_of(
    tables: &mut Tables<'_>,
    master: &Master,
    account: AccountId,
) -> Result<Option<(WalletId, Person)>, Stop> {
    let Some((row, wallet)) = tables.holder(&account_blind(master, account))? else { return Ok(None) };
    let (id, person) = open_wallet(master, &wallet)?;
    match open_account(&person.key, &row)? {
        (_, found) if found == account => Ok(Some((id, person))),
        _ => Err(damaged(What::Account)),
    }
}

/// A wallet's aliases, sorted: those that hold everywhere, then those of brands.
pub(super) fn aliases_of(
    tables: &mut Tables<'_>,
    master: &Master,
    wallet: WalletId,
) -> Result<Vec<(Option<BrandId>, String)>, Stop> {
    let Some(person) = find_person(tables, master, wallet)? else { return Ok(vec![]) };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damaged(What::Alias));
    let mut aliases = vec![];
    for row in tables.aliases_of(person.row)? {
        // Which of the two it is shows only when it opens.
        if let Ok(alias) = unseal(&person.key, What::Alias, &row.blind, &row.sealed) {
            aliases.push((None, text(&alias)?));
            continue;
        }
        let alias = unseal(&person.key, What::BrandAlias, &row.blind, &row.sealed)?;
        let (brand, alias) = text(&alias)?
            .split_once('\0')
            .and_then(|(brand, alias)| Some((brand.parse().ok()?, alias.to_owned())))
            .ok_or_else(|| damaged(What::BrandAlias))?;
        aliases.push((Some(brand), alias));
    }
    aliases.sort();
    Ok(aliases)
}

/// A wallet's accounts, by unit.
pub(super) fn accounts_of(
    tables: &mut Tables<'_>,
    master: &Master,
    wallet: WalletId,
) -> Result<Vec<(UnitCode, AccountId)>, Stop> {
    let Some(person) = find_person(tables, master, wallet)? else { return Ok(vec![]) };
    let rows = tables.accounts_of(person.row)?;
    let mut accounts =
        rows.iter().map(|row| open_account(&person.key, row)).collect::<Result<Vec<_>, _>>()?;
    accounts.sort_unstable();
    Ok(accounts)
}

/// The wallets of all these aliases; those that have none get a new one.
pub(super) fn ensure_wallets(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    names: &[(Blind, &str)],
) -> Result<HashMap<Blind, WalletId>, Stop> {
    let blinds: Vec<Blind> = names.iter().map(|(blind, _)| *blind).collect();
    let known = find_aliases(tables, master, &blinds)?;
    make_wallets(tables, master, salts, What::Alias, known, names)
}

/// New wallets for those aliases of one sort that are not known.
pub(super) fn make_wallets<A: AsRef<[u8]>>(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    what: What,
    known: HashMap<Blind, WalletId>,
    names: &[(Blind, A)],
) -> Result<HashMap<Blind, WalletId>, Stop> {
    let mut all = known;
    let (mut wallets, mut aliases) = (vec![], vec![]);
    let mut rows = tables.next_wallet()?..;
    for (blind, alias) in names {
        // Known before, or because the same alias stands in the list twice.
        if all.contains_key(blind) {
            continue;
        }
        let id = WalletId(u128::from_be_bytes(salts.bytes()));
        let Some(row) = rows.next() else { return Err(damaged(What::Wallet)) };
        let (person, wallet) = new_wallet(master, salts, row, id);
        wallets.push(wallet);
        aliases.push(alias_row(salts, &person, what, *blind, alias.as_ref()));
        all.insert(*blind, id);
    }
    tables.add_wallets(&wallets)?;
    tables.add_aliases(aliases)?;
    Ok(all)
}

/// A wallet without an alias.
pub(super) fn add_wallet(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
) -> Result<WalletId, Stop> {
    let id = WalletId(u128::from_be_bytes(salts.bytes()));
    let (_, wallet) = new_wallet(master, salts, tables.next_wallet()?, id);
    tables.add_wallets(&[wallet])?;
    Ok(id)
}

fn new_wallet(master: &Master, salts: &mut Salts, row: i64, id: WalletId) -> (Person, WalletRow) {
    let person = Person { row, key: salts.bytes() };
    let wallet = wallet_row(master, salts, &person, id);
    (person, wallet)
}

fn wallet_row(master: &Master, salts: &mut Salts, person: &Person, id: WalletId) -> WalletRow {
    let blind = wallet_blind(master, id);
    let wrapped = master.wrap(salts, &blind, &person.key);
    let sealed = seal(salts, &person.key, What::Wallet, &blind, &id.0.to_be_bytes());
    WalletRow { id: person.row, blind: blind.to_vec(), key: Some(wrapped), sealed: Some(sealed) }
}

fn alias_row(salts: &mut Salts, person: &Person, what: What, blind: Blind, alias: &[u8]) -> AliasRow {
    let sealed = seal(salts, &person.key, what, &blind, alias);
    AliasRow { blind: blind.to_vec(), wallet: person.row, sealed }
}

/// Gives a wallet one more alias.
pub(super) fn add_alias(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    wallet: WalletId,
    what: What,
    (blind, alias): (Blind, &[u8]),
) -> Result<(), Stop> {
    let person = find_person(tables, master, wallet)?.ok_or(Stop::Fault(Fault::NoWallet(wallet)))?;
    match open_aliases(tables, master, what, &[blind])?.get(&blind) {
        Some(known) if known.wallet == wallet => Ok(()),
        Some(_) => Err(Stop::Fault(Fault::AliasTaken(wallet))),
        None => tables.add_aliases(vec![alias_row(salts, &person, what, blind, alias)]),
    }
}

/// The accounts of all these wallets and units; `slots` are their indexes. Those that have none get one.
pub(super) fn ensure_slots(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    wanted: &[(WalletId, UnitCode)],
    slots: &[Blind],
) -> Result<HashMap<Blind, AccountId>, Stop> {
    let mut all = find_slots(tables, master, slots)?;
    let missing: Vec<_> = wanted.iter().zip(slots).filter(|(_, slot)| !all.contains_key(*slot)).collect();
    let mut blinds: Vec<Blind> =
        missing.iter().map(|((wallet, _), _)| wallet_blind(master, *wallet)).collect();
    blinds.sort_unstable();
    blinds.dedup();
    let rows = tables.wallets(&blinds)?;
    let rows: HashMap<&[u8], &WalletRow> = rows.iter().map(|row| (&row.blind[..], row)).collect();
    let mut new = vec![];
    for ((wallet, unit), slot) in missing {
        // The same slot may stand in the list twice.
        if all.contains_key(slot) {
            continue;
        }
        let row = rows.get(&wallet_blind(master, *wallet)[..]);
        let person = row.map(|row| unwrap(master, row)).transpose()?.flatten();
        let person = person.ok_or(Stop::Fault(Fault::NoWallet(*wallet)))?;
        let account = AccountId(u128::from_be_bytes(salts.bytes()));
        new.push(account_row(master, salts, &person, *slot, *unit, account));
        all.insert(*slot, account);
    }
    tables.add_accounts(new)?;
    Ok(all)
}

fn account_row(
    master: &Master,
    salts: &mut Salts,
    person: &Person,
    slot: Blind,
    unit: UnitCode,
    account: AccountId,
) -> AccountRow {
    let record = [&account.0.to_be_bytes()[..], unit.as_str().as_bytes()].concat();
    let sealed = seal(salts, &person.key, What::Slot, &slot, &record);
    let blind = account_blind(master, account).to_vec();
    AccountRow { slot: slot.to_vec(), blind, wallet: person.row, sealed }
}
