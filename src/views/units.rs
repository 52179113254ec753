//! The view of units: what the other views and their readers need to know of each.
//!
//! Owns: the table `units`, a row a unit.
//! Promises: a unit is here before anything of it moved.
//! Refuses to know: settings that say what is allowed; those are the state's.

use super::reader::{Reader, Shown, parsed};
use crate::book::{Name, Record};
use crate::machine::Event;
use crate::store::Fault;
use crate::store::base::{Link, Tables, insert, on};
use crate::store::named::Named;
use crate::store::rows::{Cells, Tuple};
use crate::types::{BrandId, Date, Time, UnitCode};
use diesel::prelude::*;
use std::collections::BTreeMap;

diesel::table! {
    units (unit) {
        unit -> Text,
        brand -> Text,
        scale -> Integer,
        utc_offset -> Integer,
    }
}

/// A unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedUnit {
    /// Its code.
    pub unit: UnitCode,
    /// Whose points they are.
    pub brand: BrandId,
    /// Decimal places of a point, 0 to 4: amounts count the smallest.
    pub scale: u8,
    /// The unit's fixed offset from UTC in minutes: where its days begin and end.
    pub offset: i16,
}

/// The units that are in the table.
pub(super) type Known = BTreeMap<UnitCode, ListedUnit>;

/// The units of a run: those known before, and those it brings.
pub(super) struct Run<'a> {
    known: &'a Known,
    new: Known,
}

impl<'a> Run<'a> {
    pub(super) fn new(known: &'a Known) -> Self {
        Self { known, new: Known::new() }
    }

    pub(super) fn take(&mut self, event: &Event) {
        for (name, record) in event.effects.iter().flat_map(|effect| effect.done.puts()) {
            if let (Name::Unit(code), Some(Record::Unit(unit))) = (name, record) {
                let brand = unit.brand.clone();
                let listed = ListedUnit { unit: *code, brand, scale: unit.scale, offset: unit.offset };
                self.new.insert(*code, listed);
            }
        }
    }

    /// A unit as it stands.
    pub(super) fn unit(&self, code: UnitCode) -> Result<&ListedUnit, String> {
        let unit = self.new.get(&code).or_else(|| self.known.get(&code));
        unit.ok_or_else(|| format!("{code} moves before it is defined"))
    }

    /// The day of a unit on which an instant falls.
    pub(super) fn day(&self, code: UnitCode, at: Time) -> Result<Date, String> {
        self.unit(code).map(|unit| at.date(unit.offset))
    }

    pub(super) fn write(&self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows = self.new.values().map(|unit| Row {
            unit,
            scale: i32::from(unit.scale),
            offset: i32::from(unit.offset),
        });
        let rows: Vec<Row<'_>> = rows.collect();
        insert(connection, &rows)
    }

    pub(super) fn into_new(self) -> Known {
        self.new
    }
}

struct Row<'a> {
    unit: &'a ListedUnit,
    scale: i32,
    offset: i32,
}

impl Tuple for Row<'_> {
    type Id = Row<'static>;
    const INTO: &'static str = "units (unit, brand, scale, utc_offset)";
    const AFTER: &'static str = " ON CONFLICT (unit) DO UPDATE SET \
        brand = excluded.brand, scale = excluded.scale, utc_offset = excluded.utc_offset";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.text(self.unit.unit.as_str())?;
        out.text(self.unit.brand.as_str())?;
        out.small(&self.scale)?;
        out.small(&self.offset)
    }
}

type Kept = (String, String, i32, i32);

fn listed(file: &Named, rows: Vec<Kept>) -> Result<Vec<ListedUnit>, Fault> {
    let one = |(unit, brand, scale, offset): Kept| {
        let place = format!("units, {unit}");
        Ok(ListedUnit {
            unit: parsed(file, &place, &unit)?,
            brand: parsed(file, &place, &brand)?,
            scale: u8::try_from(scale).map_err(|e| file.damaged(&place, e))?,
            offset: i16::try_from(offset).map_err(|e| file.damaged(&place, e))?,
        })
    };
    rows.into_iter().map(one).collect()
}

fn all(connection: &mut Link<'_>) -> QueryResult<Vec<Kept>> {
    on!(connection, c => units::table.order(units::unit).load(c))
}

/// The units in the table.
pub(super) fn known(file: &mut Tables) -> Result<Known, Fault> {
    let rows = file.run("read the units", all)?;
    Ok(listed(&file.named(), rows)?.into_iter().map(|unit| (unit.unit, unit)).collect())
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(units::table).execute(c)).map(|_| ())
}

impl Reader {
    /// All units, in the order of their codes.
    pub fn units(&self) -> Result<Shown<Vec<ListedUnit>>, Fault> {
        self.show("list units", all, listed)
    }
}
