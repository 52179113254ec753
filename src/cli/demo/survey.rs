//! The survey: what a file of receipts will ask of the network, before anything is founded.
//!
//! Owns: which brands there are, in the order of their first receipt, and how much each sells a year and
//! in its busiest hour, which is what budgets are made of.
//! Promises: one pass; memory grows with brands and years only.
//! Refuses to know: what a purchase earns.

use super::receipts::Receipts;
use crate::types::Time;
use indexmap::IndexMap;

/// Seconds of a budget year: 365 days.
pub const YEAR: u64 = 365 * 86_400;

/// What a brand sells, in the receipts' minor unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sales {
    /// By year since the start.
    pub years: Vec<u64>,
    /// In the busiest hour.
    pub busiest_hour: u64,
    /// The hour that is being summed up, and its sum.
    hour: (u64, u64),
}

impl Sales {
    fn add(&mut self, start: Time, at: Time, amount: u64) {
        let year = usize::try_from(at.seconds().saturating_sub(start.seconds()) / YEAR).unwrap_or(0);
        if self.years.len() <= year {
            self.years.resize(year + 1, 0);
        }
        if let Some(sum) = self.years.get_mut(year) {
            *sum = sum.saturating_add(amount);
        }
        let before = if self.hour.0 == at.hour() { self.hour.1 } else { 0 };
        self.hour = (at.hour(), before.saturating_add(amount));
        self.busiest_hour = self.busiest_hour.max(self.hour.1);
    }

    /// What is sold up to the end of a year.
    pub fn through(&self, year: usize) -> u64 {
        self.years.iter().take(year.saturating_add(1)).fold(0, |sum, sold| sum.saturating_add(*sold))
    }
}

/// What the file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// The midnight (UTC) before the day before the first receipt: when the network is founded.
    pub start: Time,
    /// The first receipt.
    pub first: Time,
    /// The last one.
    pub last: Time,
    /// What all receipts come to.
    pub sold: u64,
    /// Brands, in the order of their first receipt.
    pub brands: IndexMap<String, Sales>,
}

impl Survey {
    /// Reads the receipts through.
    pub fn of(receipts: &Receipts) -> Result<Self, String> {
        let mut survey: Option<Self> = None;
        for row in receipts.rows()? {
            let receipt = row.map_err(|e| e.to_string())?;
            let survey = survey.get_or_insert_with(|| Self::begin(receipt.at));
            survey.last = receipt.at;
            survey.sold = survey.sold.saturating_add(receipt.amount);
            if !survey.brands.contains_key(&receipt.brand) {
                survey.brands.insert(receipt.brand.clone(), Sales::default());
            }
            if let Some(sales) = survey.brands.get_mut(&receipt.brand) {
                sales.add(survey.start, receipt.at, receipt.amount);
            }
        }
        survey.ok_or_else(|| "there are no receipts".into())
    }

    fn begin(first: Time) -> Self {
        let day = first.seconds() / 86_400;
        let start = Time::from_seconds(day.saturating_sub(1) * 86_400).unwrap_or_default();
        Self { start, first, last: first, sold: 0, brands: IndexMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_are_summed_up_by_year_and_hour() {
        let start: Time = "2017-01-01T00:00:00Z".parse().expect("an instant");
        let at = |text: &str| text.parse::<Time>().expect("an instant");
        let mut sales = Sales::default();
        sales.add(start, at("2017-01-01T10:00:00Z"), 100);
        sales.add(start, at("2017-01-01T10:59:59Z"), 50);
        sales.add(start, at("2017-01-01T11:00:00Z"), 120);
        sales.add(start, at("2018-01-01T00:00:00Z"), 7);
        assert_eq!((sales.years.as_slice(), sales.busiest_hour), (&[270, 7][..], 150));
        assert_eq!((sales.through(0), sales.through(9)), (270, 277));
    }
}
