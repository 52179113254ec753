//! Pages of what was filed: disputes, objections, complaints.
//!
//! Owns: how a page of them is read: the view says which, state what they are. Promises: a page costs its own length; each
//! record is at least as new as the entry that the page shows, and passes the filter. Refuses to know: who asks, but for the
//! side that is asked about.

use super::problem::Problem;
use super::reply::{PageQuery, cursor};
use super::service::Service;
use crate::book::{Name, Record};
use crate::types::{ComplaintId, DisputeId, ObjectionId};
use crate::views::{FiledAt, Filing, FilingsOf};
use actix_web::web;
use std::collections::BTreeMap;

/// What a page of a list holds.
pub struct Filed {
    /// The last entry that it shows.
    pub seq: Option<u64>,
    /// The records and where they were filed, the newest first.
    pub rows: Vec<(FiledAt, Record)>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A page of those that pass the filter; `list` names it in cursors. `wanted` says it again of a record, which may have moved
/// on since it was looked for.
pub async fn filed(
    service: &web::Data<Service>,
    sort: Filing,
    filter: FilingsOf,
    (list, query): (&str, &PageQuery),
    wanted: impl Fn(&Record) -> bool,
) -> Result<Filed, Problem> {
    let (limit, before) = (query.limit()?, query.place::<FiledAt>(list)?);
    let from = service.clone();
    // One more tells whether there are more.
    let listed = web::block(move || from.views.filings(sort, &filter, before, limit.saturating_add(1)));
    let listed = listed.await.map_err(Problem::fault)??;
    let (seq, mut places) = (listed.as_of.map(|place| place.seq), listed.what);
    let more = places.len() > limit;
    places.truncate(limit);
    let next = places.last().filter(|_| more).map(|last| cursor(list, last));
    // State follows the log on its own.
    service.wait_for(seq).await?;
    let from = service.clone();
    let loaded = web::block(move || {
        let names: Vec<Name> = places.iter().map(|place| name(sort, *place)).collect();
        let keys: Vec<String> = names.iter().map(Name::to_string).collect();
        let rows = from.engine().read().load(&keys)?.rows;
        let rows: BTreeMap<&str, _> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
        let mut found = vec![];
        for ((place, name), key) in places.into_iter().zip(&names).zip(&keys) {
            let row = rows.get(key.as_str());
            let row = row.ok_or_else(|| Problem::fault(format!("{key} is listed and not in state")))?;
            found.push((place, Record::decode(name, &row.value).map_err(Problem::fault)?));
        }
        Ok::<_, Problem>(found)
    });
    let mut rows = loaded.await.map_err(Problem::fault)??;
    rows.retain(|(_, record)| wanted(record));
    Ok(Filed { seq, rows, next })
}

fn name(sort: Filing, (seq, part): FiledAt) -> Name {
    match sort {
        Filing::Dispute => Name::Dispute(DisputeId { seq, part }),
        Filing::Objection => Name::Objection(ObjectionId { seq, part }),
        Filing::Complaint => Name::Complaint(ComplaintId { seq, part }),
    }
}
