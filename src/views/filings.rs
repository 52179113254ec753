//! The view of filings: disputes, objections and complaints by who is on either side of them, for lists.
//!
//! Owns: the table `filings`, a row for each of them and whoever lists it: everybody's, and one for each side.
//! Promises: a page is read by the index alone, the newest first; what stands in a row is as the record has it after the last
//! entry that changed it.
//! Refuses to know: what is disputed, and who may see it.

use super::follow::Entry;
use super::reader::{Reader, Shown};
use crate::book::{Answered, Name, Record};
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::word;
use diesel::prelude::*;
use std::collections::BTreeMap;

diesel::table! {
    filings (sort, whom, id) {
        sort -> Text,
        whom -> Text,
        id -> BigInt,
        cycle -> BigInt,
        stage -> Text,
        open -> Bool,
    }
}

/// What can be filed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Filing {
    /// A dispute; its stage is that of its record.
    Dispute,
    /// An objection to a cycle; its stage is `open`, `accepted` or `rejected`.
    Objection,
    /// A consumer's complaint; its sides are the brand and the account.
    Complaint,
}

impl Filing {
    fn text(self) -> &'static str {
        match self {
            Self::Dispute => "dispute",
            Self::Objection => "objection",
            Self::Complaint => "complaint",
        }
    }
}

/// Which are listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilingsOf {
    /// Those that this participant, brand or account is on either side of; all if absent.
    pub whose: Option<String>,
    /// Those that stand here.
    pub stage: Option<String>,
    /// Those that nothing ended yet, or those that something did.
    pub open: Option<bool>,
    /// Objections to this cycle.
    pub cycle: Option<u64>,
}

/// The place in the log where something was filed: entry and part.
pub type FiledAt = (u64, u16);

/// Whom the rows for everybody name.
const ALL: &str = "";
/// Parts that a place has room for.
const ROOM: i64 = 65_536;

fn number((seq, part): FiledAt) -> Result<i64, String> {
    let seq = i64::try_from(seq).ok().and_then(|seq| seq.checked_mul(ROOM));
    seq.and_then(|seq| seq.checked_add(i64::from(part))).ok_or_else(|| "a place is too large".into())
}

type Key = (Filing, String, i64);

/// The filings of a run, each as it stands at the end.
#[derive(Default)]
pub(super) struct Run {
    rows: BTreeMap<Key, Stands>,
}

#[derive(Clone)]
struct Stands {
    cycle: i64,
    stage: String,
    open: bool,
}

impl Run {
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        let puts = entry.event.effects.iter().flat_map(|effect| effect.done.puts());
        for (name, record) in puts {
            let (sort, at, sides, stands) = match (name, record) {
                (Name::Dispute(id), Some(Record::Dispute(one))) => {
                    let stands = Stands { cycle: 0, stage: word(&one.stage), open: one.outcome.is_none() };
                    let sides = [one.filer.to_string(), one.target.to_string()];
                    (Filing::Dispute, (id.seq, id.part), sides, stands)
                }
                (Name::Objection(id), Some(Record::Objection(one))) => {
                    let stage = match &one.answer {
                        None => "open",
                        Some((Answered::Accepted, _)) => "accepted",
                        Some((Answered::Rejected, _)) => "rejected",
                    };
                    let cycle = i64::try_from(one.cycle).map_err(|e| e.to_string())?;
                    let stands = Stands { cycle, stage: stage.into(), open: one.answer.is_none() };
                    let sides = [one.debtor.to_string(), one.creditor.to_string()];
                    (Filing::Objection, (id.seq, id.part), sides, stands)
                }
                (Name::Complaint(id), Some(Record::Complaint(one))) => {
                    let stands = Stands { cycle: 0, stage: word(&one.stage), open: one.stage.is_open() };
                    let sides = [one.brand.to_string(), one.account.to_string()];
                    (Filing::Complaint, (id.seq, id.part), sides, stands)
                }
                _ => continue,
            };
            let id = number(at)?;
            for whom in sides.into_iter().chain([ALL.to_owned()]) {
                self.rows.insert((sort, whom, id), stands.clone());
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows: Vec<Row> = std::mem::take(&mut self.rows).into_iter().map(Row).collect();
        insert(connection, &rows)
    }
}

struct Row((Key, Stands));

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str = "filings (sort, whom, id, cycle, stage, open)";
    const AFTER: &'static str = " ON CONFLICT (sort, whom, id) DO UPDATE SET stage = excluded.stage, \
        open = excluded.open";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        let ((sort, whom, id), stands) = &self.0;
        out.text(sort.text())?;
        out.text(whom)?;
        out.int(id)?;
        out.int(&stands.cycle)?;
        out.text(&stands.stage)?;
        out.flag(&stands.open)
    }
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(filings::table).execute(c)).map(|_| ())
}

impl Reader {
    /// The places of those that pass the filter, the newest first, at most `limit`; with `before`, those filed before that.
    pub fn filings(
        &self,
        sort: Filing,
        filter: &FilingsOf,
        before: Option<FiledAt>,
        limit: usize,
    ) -> Result<Shown<Vec<FiledAt>>, Fault> {
        let before = before.map_or(Ok(i64::MAX), number).map_err(Fault::Unfit)?;
        let whom = filter.whose.as_deref().unwrap_or(ALL);
        let query = |connection: &mut Link<'_>| {
            on!(connection, c => {
                let of = filings::table.filter(filings::sort.eq(sort.text()).and(filings::whom.eq(whom)));
                let mut of = of.filter(filings::id.lt(before)).select(filings::id).into_boxed();
                if let Some(stage) = &filter.stage {
                    of = of.filter(filings::stage.eq(stage));
                }
                if let Some(open) = filter.open {
                    of = of.filter(filings::open.eq(open));
                }
                if let Some(cycle) = filter.cycle {
                    of = of.filter(filings::cycle.eq(i64::try_from(cycle).unwrap_or(-1)));
                }
                of.order(filings::id.desc()).limit(at_most(limit)).load::<i64>(c)
            })
        };
        self.show("list filings", query, |file, rows| {
            let place =
                |id: i64| match (u64::try_from(id.div_euclid(ROOM)), u16::try_from(id.rem_euclid(ROOM))) {
                    (Ok(seq), Ok(part)) => Ok((seq, part)),
                    _ => Err(file.damaged(format!("filings, {id}"), "not a place in the log")),
                };
            rows.into_iter().map(place).collect()
        })
    }
}
