//! The shared cache compared with state: every balance that Redis holds of a network.
//!
//! Owns: what counts as a difference, and what is only a follower that is behind.
//! Promises: nothing is changed, neither here nor there; it may be done while the network runs.
//! Refuses to know: how Redis is asked.

use super::Finding;
use crate::book::{Name, Record};
use crate::cache::remote::{Contents, Kept, MacKey, contents};
use crate::log::Envelope;
use crate::store::{Kept as Row, Read};
use crate::types::{AccountId, Hash};
use hashbrown::HashMap;
use serde::Serialize;
use std::time::Duration;

/// What was compared.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CacheReport {
    /// Values that a reader would take and that are what state says.
    pub same: u64,
    /// Values that state shows a later change of, after the entry that they are right through: nobody is told that
    /// they are newer than they are.
    pub behind: u64,
    /// Values of a generation that is over, or ahead of their cursor: no reader takes them.
    pub unread: u64,
    /// The last entry that was fed; `None` if there is no cursor.
    pub fed: Option<u64>,
    /// Entries of the log.
    pub entries: u64,
    /// What differs: every one of them.
    pub findings: Vec<Finding>,
}

/// How often state is asked again for what it does not show yet, and how long it is given each time.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Compares every cached balance of a network with its state; `mac` is what its nodes write with. An `Err` is a fault: Redis
/// or the store cannot be read.
pub fn compare_cache(read: &dyn Read, url: &str, net: Hash, mac: MacKey) -> Result<CacheReport, String> {
    let mut report = CacheReport::default();
    contents(url, net, mac, &mut |some| {
        if let Some(fed) = some.fed {
            let there = read.read_envelopes(fed.seq, 1).map_err(text)?;
            let same =
                there.first().is_some_and(|e| e.seq == fed.seq && Envelope::hash(&e.bytes) == fed.hash);
            let finding =
                || Finding { place: "cursor".into(), what: format!("entry {} of another log", fed.seq) };
            if !same && !report.findings.iter().any(|known| known.place == "cursor") {
                report.findings.push(finding());
            }
            report.fed = Some(fed.seq);
        }
        compare(read, some, &mut report)
    })?;
    report.entries = read.tip().map_err(text)?.map_or(0, |tip| tip.seq + 1);
    Ok(report)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// State's rows of accounts, when it shows `least` entries or as far as it goes; and how many it shows.
fn rows(read: &dyn Read, accounts: &[Kept], least: u64) -> Result<(u64, HashMap<AccountId, Row>), String> {
    let mut keys: Vec<String> = accounts.iter().map(|kept| Name::Account(kept.account).to_string()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut tries = 0;
    loop {
        // Read after Redis was: what was proved there by then is in the log.
        let loaded = read.load(&keys).map_err(text)?;
        let size = loaded.cursor.map_or(0, |place| place.seq + 1);
        tries += 1;
        if size < least && tries < TRIES {
            std::thread::sleep(PAUSE);
            continue;
        }
        let mut rows = HashMap::with_capacity(loaded.rows.len());
        for row in loaded.rows {
            if let Name::Account(id) = row.key.parse().map_err(text)? {
                rows.insert(id, row);
            }
        }
        return Ok((size, rows));
    }
}

fn compare(read: &dyn Read, some: Contents, report: &mut CacheReport) -> Result<(), String> {
    for place in some.strange {
        // The cursor is read with every page.
        if !report.findings.iter().any(|known| known.place == place) {
            let what =
                "no node of this network wrote this there, or it is damaged; no reader takes it".into();
            report.findings.push(Finding { place, what });
        }
    }
    let mut finding = |place: String, what: String| report.findings.push(Finding { place, what });
    let (taken, unread): (Vec<Kept>, Vec<Kept>) =
        some.accounts.into_iter().partition(|kept| kept.through.is_some());
    report.unread += unread.len() as u64;
    if taken.is_empty() {
        return Ok(());
    }
    let tip = read.tip().map_err(text)?.map_or(0, |tip| tip.seq + 1);
    let least = taken.iter().map(|kept| kept.changed + 1).max().unwrap_or(0).min(tip);
    let (size, rows) = rows(read, &taken, least)?;
    for kept in taken {
        let through = kept.through.unwrap_or_default();
        let place = format!("account {}", kept.account);
        let row = rows.get(&kept.account);
        let state = row.map(|row| row.seq);
        if kept.changed >= tip || through >= tip {
            finding(
                place,
                format!("is right through entry {through}, it says, and the log ends before that"),
            );
        } else if state == Some(kept.changed) {
            if row.is_some_and(|row| row.value == kept.record) {
                report.same += 1;
            } else {
                let shown = |bytes: &[u8]| total(kept.account, bytes);
                let (cached, stored) =
                    (shown(&kept.record), row.map_or_else(String::new, |row| shown(&row.value)));
                finding(
                    place,
                    format!("Redis says {cached}, state {stored}, both after entry {}", kept.changed),
                );
            }
        } else if state.is_some_and(|seq| seq > kept.changed && seq > through) {
            report.behind += 1;
        } else if let Some(seq) = state.filter(|seq| *seq > kept.changed) {
            let says =
                format!("Redis says that it did not change from entry {} through {through}", kept.changed);
            finding(place, format!("{says}; state says that entry {seq} changed it"));
        } else if kept.changed < size {
            let last = state.map_or_else(|| "has no such account".to_owned(), |seq| format!("entry {seq}"));
            finding(place, format!("Redis says that entry {} changed it last, state {last}", kept.changed));
        } else {
            // State did not come so far in all this time: nothing can be said.
            report.unread += 1;
        }
    }
    Ok(())
}

/// What an account holds, for people.
fn total(id: AccountId, bytes: &[u8]) -> String {
    let record = Record::decode(&Name::Account(id), bytes);
    match record.as_ref().map(Record::account) {
        Ok(Some(account)) => format!("{} points", account.total().get()),
        _ => "nothing that can be read".into(),
    }
}
