//! The view of keys: which keys a brand or the operator has.
//!
//! Owns: the table `keys`, a row a key. What may be done with a key stands in its record.
//! Promises: every key that a public entry registered is here, those aside that genesis names.
//! Refuses to know: holders' keys, which are nobody else's business.

use super::reader::{Reader, Shown};
use crate::book::{Name, Principal, Record};
use crate::machine::Event;
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::{Hash, Kid};
use diesel::prelude::*;
use std::collections::BTreeSet;

diesel::table! {
    keys (owner, kid) {
        owner -> Text,
        kid -> Binary,
    }
}

/// The keys of a run.
#[derive(Default)]
pub(super) struct Run {
    rows: BTreeSet<(String, Kid)>,
}

impl Run {
    pub(super) fn take(&mut self, event: &Event) {
        if !event.kind.is_public() {
            return;
        }
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            if let (Name::Key(kid), Some(Record::Key(key))) = (name, record)
                && !matches!(key.owner, Principal::Account(_))
            {
                self.rows.insert((key.owner.to_string(), *kid));
            }
        }
    }

    pub(super) fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows: Vec<Row> = std::mem::take(&mut self.rows).into_iter().map(Row).collect();
        insert(connection, &rows)
    }
}

struct Row((String, Kid));

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str = "keys (owner, kid)";
    const AFTER: &'static str = " ON CONFLICT (owner, kid) DO NOTHING";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.text(&self.0.0)?;
        out.bytes(&self.0.1.0.0[..])
    }
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(keys::table).execute(c)).map(|_| ())
}

impl Reader {
    /// The keys of a brand or of the operator, those of genesis aside, in the order of their ids, after
    /// `after`, at most `limit`. A holder has none here.
    pub fn keys_of(
        &self,
        owner: &Principal,
        after: Option<Kid>,
        limit: usize,
    ) -> Result<Shown<Vec<Kid>>, Fault> {
        let after = after.map_or(vec![], |kid| kid.0.0.to_vec());
        let query = |connection: &mut Link<'_>| {
            let of = keys::table.filter(keys::owner.eq(owner.to_string())).filter(keys::kid.gt(&after));
            let kids = of.select(keys::kid).order(keys::kid).limit(at_most(limit));
            on!(connection, c => kids.load::<Vec<u8>>(c))
        };
        self.show("list keys", query, |file, rows| {
            rows.into_iter().map(|kid| file.hash(0, kid).map(|hash: Hash| Kid(hash))).collect()
        })
    }
}
