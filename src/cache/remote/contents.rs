//! What Redis holds of a network, for whoever compares it with state.
//!
//! Owns: the walk over all accounts that are cached.
//! Promises: each value comes with the cursor that was read at the same moment, as a reader would see it.
//! Refuses to know: state.

use super::link::Target;
use super::mac::MacKey;
use super::wire::{Cursor, Keys};
use crate::clock;
use crate::store::Place;
use crate::types::{AccountId, Hash};
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError};
use std::time::Duration;

/// A cached account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Whose.
    pub account: AccountId,
    /// The entry that changed it last, as the value says.
    pub changed: u64,
    /// The entry through which a reader would take the value for right; `None`: no reader would take it.
    pub through: Option<u64>,
    /// The record's bytes.
    pub record: Vec<u8>,
}

/// Some of what is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// How far it was fed, when this was read.
    pub fed: Option<Place>,
    /// Accounts.
    pub accounts: Vec<Kept>,
    /// Keys whose name or value is not of the expected form, or that no node of this network wrote.
    pub strange: Vec<String>,
}

/// How long Redis may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads all accounts of a network that the Redis of an address holds, some at a time.
pub fn contents(
    url: &str,
    net: Hash,
    mac: MacKey,
    each: &mut dyn FnMut(Contents) -> Result<(), String>,
) -> Result<(), String> {
    let target = Target::read(url)?;
    let keys = Keys::of(net, mac);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let text = |e: RedisError| format!("Redis: {e}");
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let mut connection = target.connect(PATIENCE).await.map_err(text)?;
        let mut place = "0".to_owned();
        loop {
            let found;
            (place, found) = scan(&mut connection, &keys, &place).await.map_err(text)?;
            each(read(&mut connection, &keys, found).await.map_err(text)?)?;
            if place == "0" {
                return Ok(());
            }
        }
    })
}

async fn scan(
    connection: &mut impl ConnectionLike,
    keys: &Keys,
    place: &str,
) -> Result<(String, Vec<String>), RedisError> {
    let mut scan = Cmd::new();
    // In a pattern braces mean nothing, and a network's id has digits and letters only.
    scan.arg("SCAN").arg(place).arg("MATCH").arg(format!("{}*", keys.accounts())).arg("COUNT").arg(1_000);
    scan.query_async(connection).await
}

async fn read(
    connection: &mut impl ConnectionLike,
    keys: &Keys,
    found: Vec<String>,
) -> Result<Contents, RedisError> {
    let mut get = Cmd::new();
    get.arg("MGET").arg(keys.cursor());
    for key in &found {
        get.arg(key);
    }
    let mut cursor: Vec<Option<Vec<u8>>> = get.query_async(connection).await?;
    let values = cursor.split_off(1.min(cursor.len()));
    let written = cursor.pop().flatten();
    let cursor: Option<Cursor> = written.as_ref().and_then(|bytes| keys.read_cursor(bytes));
    let mut contents = Contents { fed: cursor.map(|cursor| cursor.place), ..Contents::default() };
    if written.is_some() && cursor.is_none() {
        contents.strange.push(keys.cursor());
    }
    let now = clock::now().seconds();
    for (key, value) in found.into_iter().zip(values) {
        // It may have died since.
        let Some(value) = value else { continue };
        let account = key.strip_prefix(&keys.accounts()).and_then(|id| id.parse().ok());
        match account.and_then(|account| Some((account, keys.read_value(account, &value)?))) {
            Some((account, value)) => contents.accounts.push(Kept {
                account,
                changed: value.changed,
                through: cursor.as_ref().and_then(|cursor| value.proves(cursor, now)),
                record: value.record.to_vec(),
            }),
            None => contents.strange.push(key),
        }
    }
    Ok(contents)
}
