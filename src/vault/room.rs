//! Rooms: records of other things than wallets, sealed, and found by what they are, whose, and how they
//! stand.
//!
//! Owns: how such a record is sealed, indexed and opened.
//! Promises: a record that does not open, or stands under an index that is not its own, is damage and never
//! "not there". A wallet's records are sealed under the key of its person.
//! Refuses to know: what the records mean.

use super::file::{By, RecordRow, Stop, Tables, WalletRow};
use super::record::{Person, damaged, unwrap};
use super::seal::{Blind, Master, What, open, seal};
use crate::clock::Salts;
use crate::types::{Hash, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that is kept in a room.
pub(super) trait Kept: Serialize + DeserializeOwned {
    /// What it is.
    const WHAT: What;
    /// Its id.
    fn name(&self) -> String;
    /// Whose it is.
    fn owner(&self) -> String;
    /// The hash of what is presented to find it.
    fn secret(&self) -> Option<Hash> {
        None
    }
    /// How it stands.
    fn state(&self) -> Option<&'static str> {
        None
    }
}

/// A record, and the person under whose key it is sealed.
pub(super) struct Opened<K> {
    pub(super) record: K,
    pub(super) person: Option<Person>,
}

pub(super) fn by_name<K: Kept>(master: &Master, name: &str) -> By {
    By::Name(master.blind(K::WHAT, name.as_bytes()))
}

pub(super) fn by_secret<K: Kept>(master: &Master, secret: &Hash) -> By {
    By::Secret(index::<K>(master, What::Secret, &secret.0))
}

pub(super) fn by_owner<K: Kept>(master: &Master, owner: &str) -> By {
    By::Owner(index::<K>(master, What::Owner, owner.as_bytes()))
}

pub(super) fn by_state<K: Kept>(master: &Master, state: &str) -> By {
    By::State(index::<K>(master, What::State, state.as_bytes()))
}

/// How many stand so.
pub(super) fn count<K: Kept>(tables: &mut Tables<'_>, master: &Master, state: &str) -> Result<i64, Stop> {
    tables.count_state(&index::<K>(master, What::State, state.as_bytes()))
}

/// An index is of one kind of record only.
fn index<K: Kept>(master: &Master, what: What, of: &[u8]) -> Blind {
    master.blind(what, &[&[K::WHAT.code()], of].concat())
}

/// All that are found.
pub(super) fn all<K: Kept>(tables: &mut Tables<'_>, master: &Master, by: By) -> Result<Vec<Opened<K>>, Stop> {
    tables.records(by)?.into_iter().map(|(row, wallet)| read(master, &row, wallet.as_ref())).collect()
}

/// The one that is found, if there is one.
pub(super) fn one<K: Kept>(
    tables: &mut Tables<'_>,
    master: &Master,
    by: By,
) -> Result<Option<Opened<K>>, Stop> {
    Ok(all(tables, master, by)?.pop())
}

fn read<K: Kept>(master: &Master, row: &RecordRow, wallet: Option<&WalletRow>) -> Result<Opened<K>, Stop> {
    let no = || damaged(K::WHAT);
    let person = match wallet {
        Some(wallet) => Some(unwrap(master, wallet)?.ok_or_else(no)?),
        None => None,
    };
    let key = person.as_ref().map_or(master.records(), |person| &person.key);
    let place = row.name[..].try_into().map_err(|_| no())?;
    let bytes = open(key, K::WHAT, &place, &row.sealed).ok_or_else(no)?;
    let record: K = decode(&bytes).map_err(|_| no())?;
    let right = indexed(master, &record, person.as_ref(), vec![]);
    let same = right.name == row.name
        && right.secret == row.secret
        && right.owner == row.owner
        && right.state == row.state;
    if same { Ok(Opened { record, person }) } else { Err(no()) }
}

fn indexed<K: Kept>(master: &Master, record: &K, person: Option<&Person>, sealed: Vec<u8>) -> RecordRow {
    let index = |what, of: &[u8]| index::<K>(master, what, of).to_vec();
    RecordRow {
        name: master.blind(K::WHAT, record.name().as_bytes()).to_vec(),
        secret: record.secret().map(|secret| index(What::Secret, &secret.0)),
        owner: index(What::Owner, record.owner().as_bytes()),
        state: record.state().map(|state| index(What::State, state.as_bytes())),
        wallet: person.map(|person| person.row),
        sealed,
    }
}

fn sealed<K: Kept>(master: &Master, salts: &mut Salts, record: &K, person: Option<&Person>) -> RecordRow {
    let key = person.map_or(master.records(), |person| &person.key);
    let place = master.blind(K::WHAT, record.name().as_bytes());
    let bytes = seal(salts, key, K::WHAT, &place, &encode(record));
    indexed(master, record, person, bytes)
}

/// Adds a record, under the key of its person if it is somebody's.
pub(super) fn add<K: Kept>(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    record: &K,
    person: Option<&Person>,
) -> Result<(), Stop> {
    tables.add_record(&sealed(master, salts, record, person))
}

/// Writes a record that was opened and changed; its name, owner and secret stay.
pub(super) fn replace<K: Kept>(
    tables: &mut Tables<'_>,
    master: &Master,
    salts: &mut Salts,
    changed: &Opened<K>,
) -> Result<(), Stop> {
    tables.rewrite_record(&sealed(master, salts, &changed.record, changed.person.as_ref()))
}
