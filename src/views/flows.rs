//! The view of flows: points of a unit by where they came from and where they went.
//!
//! Owns: the table `flows`, a row for each unit, day of the unit, what, and shop's brand.
//! Promises: issued − redeemed + given back − exchanged − expired − clawed back − forfeited over all days
//! is what the unit's accounts hold together.
//! Refuses to know: accounts.

use super::follow::{Entry, payment_of};
use super::reader::{Reader, Shown, parsed};
use super::units;
use crate::book::{Place, Shared};
use crate::store::Fault;
use crate::store::base::{Base, Link, insert, on};
use crate::store::named::Named;
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::{Asset, BrandId, Date, Malformed, UnitCode};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType, Text};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

diesel::table! {
    flows (unit, day, what, brand) {
        unit -> Text,
        day -> Text,
        what -> Text,
        brand -> Text,
        points -> BigInt,
    }
}

/// What became of points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// They came into being.
    Issued,
    /// They were spent in a shop.
    Redeemed,
    /// A shop gave them back.
    GivenBack,
    /// They were changed into another unit.
    Exchanged,
    /// They went past their date.
    Expired,
    /// Their brand took them back.
    ClawedBack,
    /// Their holder gave them up.
    Forfeited,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Issued,
        Self::Redeemed,
        Self::GivenBack,
        Self::Exchanged,
        Self::Expired,
        Self::ClawedBack,
        Self::Forfeited,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Redeemed => "redeemed",
            Self::GivenBack => "given_back",
            Self::Exchanged => "exchanged",
            Self::Expired => "expired",
            Self::ClawedBack => "clawed_back",
            Self::Forfeited => "forfeited",
        }
    }

    /// What a leg on a shared account says, and of how many points. Points on their way between two
    /// accounts come to nothing.
    fn of(shared: Shared, amount: i64) -> Result<Option<(Self, i64)>, String> {
        let minus = || amount.checked_neg().ok_or("an amount overflows");
        Ok(match shared {
            Shared::Issuance => Some((Self::Issued, minus()?)),
            Shared::Redeemed if amount < 0 => Some((Self::GivenBack, minus()?)),
            Shared::Redeemed => Some((Self::Redeemed, amount)),
            Shared::Exchanged => Some((Self::Exchanged, amount)),
            Shared::Transit => None,
            Shared::Expired => Some((Self::Expired, amount)),
            Shared::ClawedBack => Some((Self::ClawedBack, amount)),
            Shared::Forfeited => Some((Self::Forfeited, amount)),
        })
    }

    /// Whether a shop's brand is named with it.
    fn in_a_shop(self) -> bool {
        matches!(self, Self::Redeemed | Self::GivenBack)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for What {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|what| what.text() == text);
        found.ok_or_else(|| Malformed(format!("{text:?} is not what becomes of points")))
    }
}

/// Points of a unit, summed over days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The unit.
    pub unit: UnitCode,
    /// What became of them.
    pub what: What,
    /// The shop's brand, if they were redeemed or given back.
    pub brand: Option<BrandId>,
    /// Whether that is the unit's own brand.
    pub home: bool,
    /// How many, in the unit's smallest.
    pub points: i64,
}

/// Points of a unit on one of its days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayFlow {
    /// The day.
    pub day: Date,
    /// What became of them.
    pub what: What,
    /// The shop's brand, if they were redeemed or given back.
    pub brand: Option<BrandId>,
    /// How many, in the unit's smallest.
    pub points: i64,
}

type Key = (UnitCode, Date, What, Option<BrandId>);

/// The flows of a run, summed.
#[derive(Default)]
pub(super) struct Run {
    sums: BTreeMap<Key, i64>,
}

impl Run {
    pub(super) fn take(&mut self, entry: &Entry, units: &units::Run) -> Result<(), String> {
        for effect in &entry.event.effects {
            for leg in &effect.done.legs {
                let (Place::Shared(unit, shared), Asset::Unit(_)) = (&leg.place, leg.asset) else { continue };
                let Some((what, points)) = What::of(*shared, leg.amount)? else { continue };
                let shop = || payment_of(effect).and_then(|id| entry.payment(id));
                let brand = what.in_a_shop().then(shop).flatten().map(|payment| payment.brand.clone());
                let key = (*unit, units.day(*unit, entry.event.at)?, what, brand);
                let sum = self.sums.entry(key).or_insert(0);
                *sum = sum.checked_add(points).ok_or("flows overflow")?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows = self.sums.iter().map(|((unit, day, what, brand), points)| Row {
            unit: unit.as_str(),
            day: day.to_string(),
            what: what.text(),
            brand: brand.as_ref().map_or("", BrandId::as_str),
            points: *points,
        });
        insert(connection, &rows.collect::<Vec<_>>())
    }
}

struct Row<'a> {
    unit: &'a str,
    day: String,
    what: &'static str,
    brand: &'a str,
    points: i64,
}

impl Tuple for Row<'_> {
    type Id = Row<'static>;
    const INTO: &'static str = "flows (unit, day, what, brand, points)";
    const AFTER: &'static str =
        " ON CONFLICT (unit, day, what, brand) DO UPDATE SET points = flows.points + excluded.points";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        for text in [self.unit, self.day.as_str(), self.what, self.brand] {
            out.text(text)?;
        }
        out.int(&self.points)
    }
}

#[derive(Queryable)]
struct Sum {
    unit: String,
    what: String,
    brand: String,
    home: bool,
    points: i64,
}

/// The sums of flows over units and days, each from one through another.
struct Sums {
    units: [String; 2],
    days: [String; 2],
}

impl QueryId for Sums {
    type QueryId = Self;
}

impl Query for Sums {
    type SqlType = (Text, Text, Text, Bool, BigInt);
}

impl<DB> QueryFragment<DB> for Sums
where
    DB: Base + HasSqlType<Text>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "SELECT f.unit, f.what, f.brand, f.brand = u.brand, CAST(SUM(f.points) AS bigint) FROM flows AS f ",
        );
        out.push_sql(DB::NESTED);
        out.push_sql(" units AS u ON u.unit = f.unit WHERE f.unit BETWEEN ");
        let [from, to] = &self.units;
        out.push_bind_param::<Text, _>(from)?;
        out.push_sql(" AND ");
        out.push_bind_param::<Text, _>(to)?;
        out.push_sql(" AND f.day BETWEEN ");
        let [from, to] = &self.days;
        out.push_bind_param::<Text, _>(from)?;
        out.push_sql(" AND ");
        out.push_bind_param::<Text, _>(to)?;
        out.push_sql(" GROUP BY f.unit, f.what, f.brand, u.brand ORDER BY f.unit, f.what, f.brand");
        Ok(())
    }
}

impl<C: diesel::Connection> RunQueryDsl<C> for Sums {}

fn listed(file: &Named, rows: Vec<Sum>) -> Result<Vec<Flow>, Fault> {
    let one = |row: Sum| {
        let place = format!("flows, {} {} {}", row.unit, row.what, row.brand);
        let brand = (!row.brand.is_empty()).then(|| parsed(file, &place, &row.brand)).transpose()?;
        Ok(Flow {
            unit: parsed(file, &place, &row.unit)?,
            what: parsed(file, &place, &row.what)?,
            brand,
            home: row.home,
            points: row.points,
        })
    };
    rows.into_iter().map(one).collect()
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(flows::table).execute(c)).map(|_| ())
}

impl Reader {
    /// The flows of a unit, or of all units, summed over the days from `from` through `to` (each open if
    /// `None`; days are the unit's own); in the order of unit, what, brand.
    pub fn flows(
        &self,
        unit: Option<UnitCode>,
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<Shown<Vec<Flow>>, Fault> {
        // '' comes before all codes and dates, '~' after.
        let bound = |text: Option<String>, open: &str| text.unwrap_or_else(|| open.to_owned());
        let query = |connection: &mut Link<'_>| {
            let units = ["", "~"].map(|open| bound(unit.map(|unit| unit.to_string()), open));
            let days = [(from, ""), (to, "~")].map(|(day, open)| bound(day.map(|day| day.to_string()), open));
            on!(connection, c => Sums { units, days }.load::<Sum>(c))
        };
        self.show("sum flows", query, listed)
    }
    /// The flows of a unit day by day, over the days from `from` through `to` (each open if `None`); in the
    /// order of day, what, brand, at most `limit`, after `after` (`None`: from the first).
    pub fn flows_by_day(
        &self,
        unit: UnitCode,
        from: Option<Date>,
        to: Option<Date>,
        after: Option<&DayFlow>,
        limit: usize,
    ) -> Result<Shown<Vec<DayFlow>>, Fault> {
        let bound = |day: Option<Date>, open: &str| day.map_or(open.to_owned(), |day| day.to_string());
        let query = |connection: &mut Link<'_>| {
            on!(connection, c => {
                let of = flows::table.filter(flows::unit.eq(unit.as_str()));
                let mut of = of.filter(flows::day.between(bound(from, ""), bound(to, "~"))).into_boxed();
                if let Some(last) = after {
                    let (day, what) = (last.day.to_string(), last.what.text());
                    let brand = last.brand.as_ref().map_or("", BrandId::as_str);
                    let same_what = flows::what.eq(what).and(flows::brand.gt(brand));
                    let same_day = flows::day.eq(day.clone()).and(flows::what.gt(what).or(same_what));
                    of = of.filter(flows::day.gt(day).or(same_day));
                }
                let of = of.order((flows::day, flows::what, flows::brand)).limit(at_most(limit));
                of.select((flows::day, flows::what, flows::brand, flows::points)).load(c)
            })
        };
        self.show("list flows by day", query, |file, rows: Vec<(String, String, String, i64)>| {
            let one = |(day, what, brand, points): (String, String, String, i64)| {
                let place = format!("flows, {unit} {day} {what} {brand}");
                Ok(DayFlow {
                    day: parsed(file, &place, &day)?,
                    what: parsed(file, &place, &what)?,
                    brand: (!brand.is_empty()).then(|| parsed(file, &place, &brand)).transpose()?,
                    points,
                })
            };
            rows.into_iter().map(one).collect()
        })
    }
}
