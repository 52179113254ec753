//! The view of concerns: which entries hold a part for a brand.
//!
//! Owns: the tables `brands`, which gives each brand a small number, and `concerns`, a row for each brand
//! and entry, so that a brand's entries are listed without reading the others'.
//! Promises: an entry with effects that a brand may read is listed for it. What is evidence alone adds
//! nobody: whoever asked, or is named, has effects in the same entry. Whom else a row is for finds nothing
//! in the entry that is theirs: rows are for looking, what is shown is decided part by part.
//! Refuses to know: evidence, and who is asking.

use super::reader::{Reader, Shown, parsed};
use super::{movements, units};
use crate::book::{Name, Record};
use crate::machine::{Concerned, Event, concerned_by};
use crate::store::Fault;
use crate::store::base::{Link, Tables, insert, on};
use crate::store::page::{at_most, integer};
use crate::store::rows::{Cells, Tuple};
use crate::types::{AccountId, BrandId, ParticipantId};
use diesel::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

diesel::table! {
    brands (brand) {
        brand -> Text,
        number -> BigInt,
        participant -> Nullable<Text>,
    }
}

diesel::table! {
    concerns (brand, seq) {
        brand -> BigInt,
        seq -> BigInt,
    }
}

/// The number that stands for all brands.
const EVERYBODY: i64 = 0;

/// A brand's number, and the participant that it speaks for, if it does for one.
#[derive(Clone)]
pub(super) struct Listed {
    number: i64,
    participant: Option<ParticipantId>,
}

/// The brands that are in the table.
pub(super) type Known = BTreeMap<BrandId, Listed>;

/// The concerns of a run, in order.
pub(super) struct Run<'a> {
    known: &'a Known,
    /// Brands that are new or changed.
    new: Known,
    next: i64,
    rows: BTreeSet<(i64, i64)>,
    /// Accounts in parts that do not tell their unit: whose they are is looked up in the end.
    unsure: BTreeSet<(AccountId, i64)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(known: &'a Known) -> Self {
        let next = i64::try_from(known.len()).unwrap_or(i64::MAX).saturating_add(1);
        Self { known, new: Known::new(), next, rows: BTreeSet::new(), unsure: BTreeSet::new() }
    }

    /// The number of a brand.
    pub(super) fn number(&mut self, brand: &BrandId) -> i64 {
        if let Some(listed) = self.new.get(brand).or_else(|| self.known.get(brand)) {
            return listed.number;
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.new.insert(brand.clone(), Listed { number, participant: None });
        number
    }

    pub(super) fn take(&mut self, event: &Event, units: &units::Run) -> Result<(), String> {
        let seq = i64::try_from(event.seq).map_err(|e| e.to_string())?;
        if event.kind.is_public() {
            self.learn(event);
            self.rows.insert((EVERYBODY, seq));
            return Ok(());
        }
        // A batch has thousands of parts for one brand.
        let mut seen: Vec<i64> = vec![];
        for effect in &event.effects {
            let whom = concerned_by(&effect.done);
            let told = whom.iter().any(|one| matches!(one, Concerned::Unit(_)));
            for one in &whom {
                match one {
                    Concerned::Brand(brand) => seen.push(self.number(brand)),
                    Concerned::Unit(unit) => seen.push(self.number(&units.unit(*unit)?.brand)),
                    Concerned::Participant(participant) => self.answered_for(participant, &mut seen),
                    Concerned::Account(account) if !told => drop(self.unsure.insert((*account, seq))),
                    Concerned::Key(_) => seen.push(EVERYBODY),
                    Concerned::Account(_) | Concerned::Phone(_) | Concerned::Operator => {}
                }
            }
            seen.sort_unstable();
            seen.dedup();
        }
        self.rows.extend(seen.into_iter().map(|number| (number, seq)));
        Ok(())
    }

    fn learn(&mut self, event: &Event) {
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            match (name, record.and_then(Record::participant)) {
                (Name::Brand(brand), _) => drop(self.number(brand)),
                (Name::Participant(who), Some(one)) => {
                    if let Some(brand) = &one.speaker {
                        let (number, participant) = (self.number(brand), Some(who.clone()));
                        self.new.insert(brand.clone(), Listed { number, participant });
                    }
                }
                _ => {}
            }
        }
    }

    fn answered_for(&self, participant: &ParticipantId, seen: &mut Vec<i64>) {
        let known = self.known.iter().filter(|(brand, _)| !self.new.contains_key(*brand));
        for (_, listed) in known.chain(&self.new) {
            if listed.participant.as_ref() == Some(participant) {
                seen.push(listed.number);
            }
        }
    }

    /// Comes after the movements, which say whose each account is.
    pub(super) fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        let brands: Vec<BrandRow<'_>> =
            self.new.iter().map(|(brand, listed)| BrandRow { brand, listed }).collect();
        insert(connection, &brands)?;
        let mut last: Option<(AccountId, Option<(i64, i64)>)> = None;
        for (account, seq) in std::mem::take(&mut self.unsure) {
            let placed = match last {
                Some((same, placed)) if same == account => placed,
                _ => movements::brand_of(connection, account)?,
            };
            last = Some((account, placed));
            // An account is placed by its first movement; before that everybody may look. What a later entry of the same
            // run says must not count: how the log is cut into runs is chance.
            let number = placed.filter(|(_, since)| *since <= seq).map_or(EVERYBODY, |(number, _)| number);
            self.rows.insert((number, seq));
        }
        let rows: Vec<Row> = std::mem::take(&mut self.rows).into_iter().map(Row).collect();
        insert(connection, &rows)
    }

    pub(super) fn into_new(self) -> Known {
        self.new
    }
}

struct BrandRow<'a> {
    brand: &'a BrandId,
    listed: &'a Listed,
}

impl Tuple for BrandRow<'_> {
    type Id = BrandRow<'static>;
    const INTO: &'static str = "brands (brand, number, participant)";
    const AFTER: &'static str = " ON CONFLICT (brand) DO UPDATE SET participant = excluded.participant";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.text(self.brand.as_str())?;
        out.int(&self.listed.number)?;
        out.maybe_text(self.listed.participant.as_ref().map(ParticipantId::as_str))
    }
}

struct Row((i64, i64));

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str = "concerns (brand, seq)";
    const AFTER: &'static str = "";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.int(&self.0.0)?;
        out.int(&self.0.1)
    }
}

type Kept = (String, i64, Option<String>);

/// The brands in the table.
pub(super) fn known(file: &mut Tables) -> Result<Known, Fault> {
    let rows: Vec<Kept> =
        file.run("read the brands", |connection| on!(connection, c => brands::table.load(c)))?;
    let file = &file.named();
    let one = |(brand, number, participant): Kept| {
        let place = format!("brands, {brand}");
        let participant = participant.map(|text| parsed(file, &place, &text)).transpose()?;
        Ok((parsed(file, &place, &brand)?, Listed { number, participant }))
    };
    rows.into_iter().map(one).collect()
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => {
        diesel::delete(concerns::table).execute(c)?;
        diesel::delete(brands::table).execute(c).map(|_| ())
    })
}

/// The entries of a number after one, in order.
fn page(connection: &mut Link<'_>, number: i64, after: i64, limit: i64) -> QueryResult<Vec<i64>> {
    let of = concerns::table.filter(concerns::brand.eq(number)).filter(concerns::seq.gt(after));
    let of = of.select(concerns::seq).order(concerns::seq).limit(limit);
    on!(connection, c => of.load(c))
}

impl Reader {
    /// The entries that concern a brand, public ones among them, after `after` (`None`: from the first), in
    /// order, at most `limit`.
    pub fn concerning(
        &self,
        brand: &BrandId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Shown<Vec<u64>>, Fault> {
        let (after, most) = (after.map_or(Ok(-1), integer)?, at_most(limit));
        let query = |connection: &mut Link<'_>| {
            let number = brands::table.find(brand.as_str()).select(brands::number);
            let number: Option<i64> = on!(connection, c => number.first(c)).optional()?;
            let mut all = page(connection, EVERYBODY, after, most)?;
            if let Some(number) = number {
                all.extend(page(connection, number, after, most)?);
            }
            all.sort_unstable();
            all.dedup();
            all.truncate(limit);
            Ok(all)
        };
        self.show("list a brand's entries", query, |file, rows| {
            rows.into_iter().map(|seq| file.seq(seq)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Views;
    use super::super::tests::{dump, id, story, take};
    use crate::book::{Done, Name, Record, Shared, Used};
    use crate::machine::{Effect, Kind as Entry};
    use crate::store::sqlite::{File, Kind, Mode};
    use crate::types::{AccountId, Fingerprint};
    use diesel::connection::SimpleConnection;
    use diesel_migrations::MigrationHarness;

    #[test]
    fn views_from_before_are_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::open(dir.path(), Kind::Views, Mode::Write).unwrap();
        // Behind that of brands and entries there are one of supplies and one of filings.
        for _ in 0..3 {
            file.connection.revert_last_migration(Kind::Views.migrations()).unwrap();
        }
        let before = "INSERT INTO cursor VALUES (1, 7, zeroblob(32)); \
            INSERT INTO heads VALUES (zeroblob(16), 1, 1); \
            INSERT INTO units VALUES ('KINO', 'br_kino', 2, 0)";
        file.connection.batch_execute(before).unwrap();
        drop(file);
        let views = Views::open(dir.path()).unwrap();
        assert_eq!(views.cursor().unwrap(), None, "it follows from the first entry");
        let reader = super::Reader::open(dir.path()).unwrap();
        assert_eq!(reader.units().unwrap().what, []);
    }

    #[test]
    fn an_account_is_placed_by_its_first_movement_however_the_runs_are_cut() {
        const CAM: AccountId = AccountId(9);
        let mut story = story();
        let named = |jti: &str| {
            let mut done = Done::default();
            let used = Used(1, 0, Fingerprint::of(jti.as_bytes()));
            done.put(Name::UsedConsent(CAM, id(jti)), Some(std::sync::Arc::new(Record::Used(used))));
            Effect { tag: None, done }
        };
        story.entry("2026-01-05T00:00:00Z", Entry::ConsentOpened, vec![named("before")]);
        let given = story.part(CAM, "KINO", &[(Shared::Issuance, -5)]);
        story.entry("2026-01-05T00:00:01Z", Entry::PointsIssued, vec![given]);
        story.entry("2026-01-05T00:00:02Z", Entry::ConsentOpened, vec![named("behind")]);
        let whole = tempfile::tempdir().unwrap();
        take(&mut Views::open(whole.path()).unwrap(), &story.events).unwrap();
        for cut in 1..4 {
            let dir = tempfile::tempdir().unwrap();
            for run in story.events.chunks(cut) {
                take(&mut Views::open(dir.path()).unwrap(), run).unwrap();
            }
            assert_eq!(dump(dir.path()), dump(whole.path()), "in runs of {cut}");
        }
    }
}
