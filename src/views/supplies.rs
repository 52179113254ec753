//! The view of supplies: what stands behind the obligations of a cycle, and its tax.
//!
//! Owns: the table `supplies`, a row for each cycle, supplier, customer, currency, service, category and rate of tax.
//! Promises: net and tax are sums of what the log's own lines say, what was taken back subtracted; an obligation whose
//! lines say nothing of a supply has no row here.
//! Refuses to know: what is netted and paid.

use super::follow::Entry;
use super::reader::{Reader, Shown, parsed};
use crate::book::{Place, Service, TaxCategory};
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::named::Named;
use crate::store::rows::{Cells, Tuple};
use crate::types::{Asset, Currency, ParticipantId};
use diesel::prelude::*;
use std::collections::BTreeMap;

diesel::table! {
    supplies (cycle, supplier, customer, currency, service, category, rate) {
        cycle -> BigInt,
        supplier -> Text,
        customer -> Text,
        currency -> Text,
        service -> Text,
        category -> Text,
        rate -> BigInt,
        net -> BigInt,
        tax -> BigInt,
    }
}

/// What one participant supplied another in a cycle, as one tax applies to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supplied {
    /// The cycle.
    pub cycle: u64,
    /// Who supplies, and is owed.
    pub supplier: ParticipantId,
    /// Who is supplied, and owes.
    pub customer: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// What.
    pub service: Service,
    /// The tax's category.
    pub category: TaxCategory,
    /// The tax's rate, in parts per million of the net amount.
    pub rate: u32,
    /// Without tax, in the currency's smallest unit.
    pub net: i64,
    /// The tax.
    pub tax: i64,
}

type Key = (i64, ParticipantId, ParticipantId, Currency, Service, TaxCategory, u32);

/// The supplies of a run, summed.
#[derive(Default)]
pub(super) struct Run {
    sums: BTreeMap<Key, (i64, i64)>,
}

impl Run {
    pub(super) fn take(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        for effect in &entry.event.effects {
            let Some((tag, supply)) = effect.tag.and_then(|tag| tag.supply.map(|supply| (tag, supply)))
            else {
                continue;
            };
            // The supplier's leg stands first, also when something is taken back.
            let Some(leg) = effect.done.legs.first() else { continue };
            let (Place::Pair(supplier, customer), Asset::Money(currency)) = (&leg.place, leg.asset) else {
                return Err("a supply of points".into());
            };
            let cycle = i64::try_from(tag.cycle).map_err(|e| e.to_string())?;
            let (supplier, customer, tax) = (supplier.clone(), customer.clone(), supply.tax);
            let key = (cycle, supplier, customer, currency, supply.service, tax.category, tax.rate);
            let (net, of_tax) = self.sums.entry(key).or_insert((0, 0));
            *net = net.checked_add(supply.net).ok_or("supplies overflow")?;
            *of_tax = of_tax.checked_add(supply.amount).ok_or("supplies overflow")?;
        }
        Ok(())
    }

    pub(super) fn write(&self, connection: &mut Link<'_>) -> QueryResult<()> {
        let row = |(key, (net, tax)): (&Key, &(i64, i64))| {
            let (cycle, supplier, customer, currency, service, category, rate) = key.clone();
            let texts = [supplier.to_string(), customer.to_string(), currency.to_string()];
            let texts = texts.into_iter().chain([word(&service), word(&category)]).collect();
            Row { texts, numbers: [cycle, i64::from(rate), *net, *tax] }
        };
        let rows: Vec<Row> = self.sums.iter().map(row).collect();
        insert(connection, &rows)
    }
}

/// As the log writes it.
fn word(of: &impl serde::Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Supplier, customer, currency, service, category; cycle, rate, net, tax.
struct Row {
    texts: Vec<String>,
    numbers: [i64; 4],
}

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str =
        "supplies (supplier, customer, currency, service, category, cycle, rate, net, tax)";
    const AFTER: &'static str = " ON CONFLICT (cycle, supplier, customer, currency, service, category, rate) \
        DO UPDATE SET net = supplies.net + excluded.net, tax = supplies.tax + excluded.tax";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        for text in &self.texts {
            out.text(text)?;
        }
        self.numbers.iter().try_for_each(|number| out.int(number))
    }
}

type Kept = (i64, String, String, String, String, String, i64, i64, i64);

fn listed(file: &Named, rows: Vec<Kept>) -> Result<Vec<Supplied>, Fault> {
    let one = |(cycle, supplier, customer, currency, service, category, rate, net, tax): Kept| {
        let place = format!("supplies, {cycle} {supplier} {customer} {currency} {service} {category} {rate}");
        Ok(Supplied {
            cycle: u64::try_from(cycle).map_err(|e| file.damaged(&place, e))?,
            supplier: parsed(file, &place, &supplier)?,
            customer: parsed(file, &place, &customer)?,
            currency: parsed(file, &place, &currency)?,
            service: serde_json::from_value(service.into()).map_err(|e| file.damaged(&place, e))?,
            category: serde_json::from_value(category.into()).map_err(|e| file.damaged(&place, e))?,
            rate: u32::try_from(rate).map_err(|e| file.damaged(&place, e))?,
            net,
            tax,
        })
    };
    rows.into_iter().map(one).collect()
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(supplies::table).execute(c)).map(|_| ())
}

impl Reader {
    /// The supplies of a cycle, or of all; in the order of cycle, supplier, customer, currency, service, category, rate.
    pub fn supplies(&self, cycle: Option<u64>) -> Result<Shown<Vec<Supplied>>, Fault> {
        let (from, to) = match cycle.map(|cycle| i64::try_from(cycle).unwrap_or(i64::MAX)) {
            Some(cycle) => (cycle, cycle),
            None => (0, i64::MAX),
        };
        let query = |connection: &mut Link<'_>| {
            use self::supplies::dsl;
            let rows = dsl::supplies.filter(dsl::cycle.between(from, to));
            let pair = (dsl::cycle, dsl::supplier, dsl::customer, dsl::currency);
            let rows = rows.order((pair, dsl::service, dsl::category, dsl::rate));
            on!(connection, c => rows.load(c))
        };
        self.show("list supplies", query, listed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{story, told};

    #[test]
    fn net_and_tax_are_summed_by_cycle_and_go_below_zero() {
        let (_dir, reader) = told(&story().events);
        let all = reader.supplies(None).unwrap().what;
        let rows: Vec<_> =
            all.iter().map(|one| (one.cycle, one.supplier.as_str(), one.net, one.tax)).collect();
        assert_eq!(rows, [(1, "pa_kino", 493, 7), (2, "pa_kino", -157, 7)]);
        assert_eq!(reader.supplies(Some(2)).unwrap().what, all[1..]);
    }
}
