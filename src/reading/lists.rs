//! Lists of what state says: brands, participants, units, prices, acceptance, budgets, fees, and what stands behind.
//!
//! Promises: a page costs its own length, however much there is, but for [`newest`], which people at the node's own desk ask.
//! Holders' records are on no list.

use super::Fault;
use crate::book::{Name, Record};
use crate::store::{Place, Read};
use crate::types::{ParticipantId, UnitCode};
use std::collections::BTreeMap;

/// What can be listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// Brands, by id.
    Brands,
    /// Participants, by id.
    Participants,
    /// Units, by code.
    Units,
    /// The published prices of units, by code.
    Prices,
    /// What brands accept, by brand.
    Acceptance,
    /// Budgets, by key.
    Budgets,
    /// All versions of the network's fees that were ever published, oldest first.
    Fees,
    /// What stands behind participants' debts, by participant and currency.
    Funding,
    /// What stands behind units' points, by code.
    Reserves,
    /// Disputes.
    Disputes,
    /// Objections to cycles.
    Objections,
    /// Consumers' complaints.
    Complaints,
    /// Bank statements, by currency and name.
    Statements,
}

impl Sort {
    /// How the names of its records begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Brands => "brand/",
            Self::Participants => "participant/",
            Self::Units => "unit/",
            Self::Prices => "prices/",
            Self::Acceptance => "acceptance/",
            Self::Budgets => "budget/",
            Self::Fees => "fee/",
            Self::Funding => "funding/",
            Self::Reserves => "reserve/",
            Self::Disputes => "dispute/",
            Self::Objections => "objection/",
            Self::Complaints => "complaint/",
            Self::Statements => "statement/",
        }
    }
}

/// A record on a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// Its name.
    pub name: Name,
    /// The record.
    pub record: Record,
    /// The entry that changed it last.
    pub seq: u64,
}

/// A page of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// The last entry that it shows.
    pub as_of: Option<Place>,
    /// The records, in order.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` if this was the last.
    pub next: Option<String>,
}

/// A page of a list: at most `limit` records after `after`, which is `""` for the first page and the page
/// before's `next` from there on; it may also be an id, which need not exist.
pub fn list(read: &dyn Read, sort: Sort, after: &str, limit: usize) -> Result<Page, Fault> {
    page(read, sort.prefix(), after, limit)
}

/// The place in the log that a name stands for: entry and part.
pub type Filed = (u64, u16);

/// Records read at a time.
const SCANNED: usize = 1_000;

/// What was filed last, of the records that are wanted and filed before a place: at most `limit`, the newest first, and
/// whether there are more. Reads all records of its sort, and holds a page of them; who asks over HTTP is answered from the
/// views.
pub fn newest(
    read: &dyn Read,
    sort: Sort,
    before: Option<Filed>,
    limit: usize,
    wanted: impl Fn(&Record) -> bool,
) -> Result<(Vec<(Filed, Record)>, bool), Fault> {
    let (mut kept, mut after) = (BTreeMap::new(), String::new());
    loop {
        let found = list(read, sort, &after, SCANNED)?;
        for Item { name, record, .. } in found.items {
            let filed = match name {
                Name::Dispute(id) => (id.seq, id.part),
                Name::Objection(id) => (id.seq, id.part),
                Name::Complaint(id) => (id.seq, id.part),
                other => return Err(Fault::Damaged(format!("{other} was not filed"))),
            };
            if before.is_none_or(|before| filed < before) && wanted(&record) {
                kept.insert(filed, record);
                // One more tells whether there are more.
                if kept.len() > limit.saturating_add(1) {
                    kept.pop_first();
                }
            }
        }
        match found.next {
            Some(next) => after = next,
            None => break,
        }
    }
    let more = kept.len() > limit;
    Ok((kept.into_iter().rev().take(limit).collect(), more))
}

/// A page of all versions of a unit's prices that were ever published, oldest first.
pub fn history(read: &dyn Read, unit: UnitCode, after: &str, limit: usize) -> Result<Page, Fault> {
    page(read, &format!("price/{unit}/"), after, limit)
}

/// A page of what became of a participant's cover: by currency, oldest first.
pub fn cover_history(
    read: &dyn Read,
    participant: &ParticipantId,
    after: &str,
    limit: usize,
) -> Result<Page, Fault> {
    page(read, &format!("cover/{participant}/"), after, limit)
}

fn page(read: &dyn Read, prefix: &str, after: &str, limit: usize) -> Result<Page, Fault> {
    // One more tells whether there are more.
    let loaded = read.scan(&format!("{prefix}{after}"), limit.saturating_add(1))?;
    let mut items = vec![];
    for row in loaded.rows.iter().take_while(|row| row.key.starts_with(prefix)) {
        let damaged = |e: crate::types::Malformed| Fault::Damaged(format!("{}: {e}", row.key));
        let name: Name = row.key.parse().map_err(damaged)?;
        let record = Record::decode(&name, &row.value).map_err(damaged)?;
        items.push(Item { name, record, seq: row.seq });
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more).map(|item| item.name.to_string());
    let next = last.and_then(|name| name.strip_prefix(prefix).map(str::to_owned));
    Ok(Page { as_of: loaded.cursor, items, next })
}
