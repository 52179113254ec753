//! The follower's hand on the views: takes entries, folds them, writes what came out.
//!
//! Owns: `views.sqlite` for writing, and the order in which the views are written.
//! Promises: one commit a run, begun by a compare-and-swap on the cursor; in it each row is written once,
//! and rows with random keys in the order of their keys.
//! Refuses to know: what the tables hold; each view folds for itself.

use super::{concerns, filings, flows, keys, movements, obligations, payments, supplies, units};
use crate::book::{Name, Payment, Record};
use crate::machine::{Effect, Event};
use crate::store::base::{Link, Tables, on};
use crate::store::postgres::Purpose;
use crate::store::sqlite::Kind;
use crate::store::tables::cursor;
use crate::store::{Fault, Home, Place, PutError};
use crate::types::PaymentId;
use diesel::prelude::*;

/// The views, opened by their one follower.
pub struct Views {
    file: Tables,
    cursor: Option<Place>,
    units: units::Known,
    brands: concerns::Known,
}

impl Views {
    /// Opens the views of a network, making the folder and the tables if they are not there, and
    /// bringing the schema up to date.
    pub fn open(home: impl Into<Home>) -> Result<Self, Fault> {
        let mut file = Tables::open(&home.into(), Kind::Views, Purpose::Views)?;
        let cursor = file.cursor()?;
        let units = units::known(&mut file)?;
        let brands = concerns::known(&mut file)?;
        Ok(Self { file, cursor, units, brands })
    }

    /// How far the views have followed the log; `None` before the first entry. After a fault in `take`
    /// this is where the run began, whether or not its commit came through: open the views again.
    pub fn cursor(&self) -> Result<Option<Place>, Fault> {
        Ok(self.cursor)
    }

    /// Takes the entries after the cursor, in order and without a gap, in one commit.
    /// [`PutError::Stale`]: another follower was here; [`Fault::Unfit`]: these entries do not follow, or
    /// cannot have been decided. In both cases nothing was written.
    pub fn take(&mut self, events: &[&Event]) -> Result<(), PutError> {
        let Some(last) = events.last() else { return Ok(()) };
        self.check_order(events)?;
        let mut run = Run::of(events, &self.units, &self.brands)?;
        let to = Place { seq: last.seq, hash: last.hash };
        let mut again = false;
        self.file.follow("write the views", self.cursor, to, |connection| {
            // Writing uses a run up.
            if std::mem::replace(&mut again, true) {
                let other = |e: Fault| diesel::result::Error::QueryBuilderError(e.to_string().into());
                run = Run::of(events, &self.units, &self.brands).map_err(other)?;
            }
            run.write(connection)
        })?;
        let (units, brands) = (run.units.into_new(), run.concerns.into_new());
        self.cursor = Some(to);
        self.units.extend(units);
        self.brands.extend(brands);
        Ok(())
    }

    fn check_order(&self, events: &[&Event]) -> Result<(), Fault> {
        let mut next = self.cursor.map_or(0, |place| place.seq.saturating_add(1));
        for event in events {
            if event.seq != next {
                return Err(Fault::Unfit(format!("entry {} came where entry {next} is next", event.seq)));
            }
            next = next.saturating_add(1);
        }
        Ok(())
    }

    /// Whether the last `take` failed because the database is away: then the same entries may be taken again.
    pub fn comes_back(&self) -> bool {
        self.file.comes_back()
    }

    /// Forgets everything.
    pub fn wipe(&mut self) -> Result<(), Fault> {
        self.file.run_long("forget the views", |connection| {
            movements::wipe(connection)?;
            payments::wipe(connection)?;
            units::wipe(connection)?;
            flows::wipe(connection)?;
            obligations::wipe(connection)?;
            supplies::wipe(connection)?;
            filings::wipe(connection)?;
            concerns::wipe(connection)?;
            keys::wipe(connection)?;
            on!(connection, c => diesel::delete(cursor::table).execute(c)).map(|_| ())
        })?;
        self.cursor = None;
        self.units.clear();
        self.brands.clear();
        Ok(())
    }
}

/// What a run of entries comes to.
struct Run<'a> {
    movements: movements::Run,
    payments: payments::Run,
    units: units::Run<'a>,
    flows: flows::Run,
    obligations: obligations::Run,
    supplies: supplies::Run,
    filings: filings::Run,
    concerns: concerns::Run<'a>,
    keys: keys::Run,
}

impl<'a> Run<'a> {
    fn new(units: &'a units::Known, brands: &'a concerns::Known) -> Self {
        Self {
            movements: movements::Run::default(),
            payments: payments::Run::default(),
            units: units::Run::new(units),
            flows: flows::Run::default(),
            obligations: obligations::Run::default(),
            supplies: supplies::Run::default(),
            filings: filings::Run::default(),
            concerns: concerns::Run::new(brands),
            keys: keys::Run::default(),
        }
    }

    /// What these entries come to.
    fn of(events: &[&Event], units: &'a units::Known, brands: &'a concerns::Known) -> Result<Self, Fault> {
        let mut run = Self::new(units, brands);
        for event in events {
            run.take(event).map_err(|why| Fault::Unfit(format!("entry {}: {why}", event.seq)))?;
        }
        Ok(run)
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        let entry = Entry::new(event);
        // Units first: the other views ask for them.
        self.units.take(event);
        self.concerns.take(event, &self.units)?;
        self.keys.take(event);
        self.movements.take(&entry, &self.units, &mut self.concerns)?;
        self.payments.take(&entry)?;
        self.flows.take(&entry, &self.units)?;
        self.supplies.take(&entry)?;
        self.filings.take(&entry)?;
        self.obligations.take(&entry)
    }

    fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        self.movements.write(connection)?;
        self.payments.write(connection)?;
        self.units.write(connection)?;
        self.flows.write(connection)?;
        self.obligations.write(connection)?;
        self.supplies.write(connection)?;
        self.filings.write(connection)?;
        self.keys.write(connection)?;
        // After the movements: they say whose each account is.
        self.concerns.write(connection)
    }
}

/// An entry with the payments that it put, which several views ask for.
pub(super) struct Entry<'a> {
    pub(super) event: &'a Event,
    payments: Vec<(PaymentId, &'a Payment)>,
}

impl<'a> Entry<'a> {
    fn new(event: &'a Event) -> Self {
        let puts = event.effects.iter().flat_map(|effect| effect.done.puts());
        let payments = puts.filter_map(|(name, record)| match (name, record) {
            (Name::Payment(id), Some(Record::Payment(payment))) => Some((*id, &**payment)),
            _ => None,
        });
        Self { event, payments: payments.collect() }
    }

    /// The payments as they stand after the entry.
    pub(super) fn payments(&self) -> &[(PaymentId, &'a Payment)] {
        &self.payments
    }

    /// A payment as it stands after the entry, if the entry changed it.
    pub(super) fn payment(&self, id: PaymentId) -> Option<&'a Payment> {
        self.payments.iter().find(|(have, _)| *have == id).map(|(_, payment)| *payment)
    }
}

/// The payment that a holder's part belongs to: what it took or gave back changed the payment's share.
pub(super) fn payment_of(effect: &Effect) -> Option<PaymentId> {
    effect.done.puts().find_map(|(name, _)| match name {
        Name::Share(payment, _) => Some(*payment),
        _ => None,
    })
}
