//! A journal: what happened, as an accountant's program takes it.
//!
//! Owns: the model (documents whose postings sum to zero), names of accounts and commodities, the check.
//! Promises: a journal that passes its check balances in every document and in every commodity, and its closing
//! balances are the opening ones and the postings.
//! Refuses to know: where the postings come from, and how they are written down.

use super::amount::decimal;
use crate::types::{Date, Malformed};
use std::collections::BTreeMap;

/// A signed amount by account and commodity, in the commodity's smallest part: + debit, − credit.
pub type Balances = BTreeMap<(String, String), i64>;

/// What a journal is a picture of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The log's name.
    pub origin: String,
    /// The first entry that is told.
    pub from: u64,
    /// The last entry that is told.
    pub seq: u64,
    /// The checkpoint over the log through that entry: its three lines.
    pub checkpoint: String,
}

impl Cut {
    /// The batch: the same entries of the same log have the same name, so that whoever imports twice sees it.
    pub fn batch(&self) -> String {
        let name = crate::types::Hash::blake3(self.checkpoint.as_bytes()).to_string();
        format!("TH-{}-{}-{}", self.from, self.seq, name.get(..8).unwrap_or_default())
    }

    /// The checkpoint in one line.
    pub fn checkpoint_line(&self) -> String {
        self.checkpoint.trim_end().replace('\n', " ")
    }
}

/// One amount on one account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Posting {
    /// The account, its parts parted by colons, such as `Liabilities:Points:HARVEST`.
    pub account: String,
    /// The commodity: a unit or a currency.
    pub commodity: String,
    /// In the commodity's smallest part: + debit, − credit.
    pub amount: i64,
}

/// Postings that belong together and sum to zero in each commodity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// Its number in the journal, from 1, without gaps.
    pub number: u64,
    /// When it happened.
    pub date: Date,
    /// When it is booked.
    pub posted: Date,
    /// What it is.
    pub text: String,
    /// The entries of the log that it sums up: first and last.
    pub entries: (u64, u64),
    /// In the order of accounts.
    pub postings: Vec<Posting>,
}

/// A journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journal {
    /// Of what.
    pub cut: Cut,
    /// Decimal places of each commodity.
    pub commodities: BTreeMap<String, u8>,
    /// Balances before the first document.
    pub opening: Balances,
    /// In the order of dates.
    pub documents: Vec<Document>,
    /// Balances after the last document, summed on their own.
    pub closing: Balances,
}

impl Journal {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), Malformed> {
        let mut sums = self.opening.clone();
        let mut last = None;
        for (document, number) in self.documents.iter().zip(1u64..) {
            let wrong = |what: &str| Err(Malformed(format!("document {}: {what}", document.number)));
            if document.number != number {
                return wrong("numbers have a gap");
            }
            if last.is_some_and(|last| document.date < last) {
                return wrong("dates go back");
            }
            last = Some(document.date);
            let mut zero: BTreeMap<&str, i64> = BTreeMap::new();
            for posting in &document.postings {
                let Posting { account, commodity, amount } = posting;
                if !is_account(account) || !self.commodities.contains_key(commodity) {
                    return wrong(&format!("{account} in {commodity} is no account of the journal"));
                }
                let sum = sums.entry((account.clone(), commodity.clone())).or_default();
                add(sum, *amount)?;
                add(zero.entry(commodity).or_default(), *amount)?;
            }
            if zero.values().any(|sum| *sum != 0) {
                return wrong("its postings do not sum to zero");
            }
        }
        sums.retain(|_, sum| *sum != 0);
        let mut closing = self.closing.clone();
        closing.retain(|_, sum| *sum != 0);
        if sums == closing {
            Ok(())
        } else {
            Err(Malformed("the postings do not lead to the closing balances".into()))
        }
    }

    /// Every account with the commodities that it has, in order.
    pub(super) fn accounts(&self) -> BTreeMap<&str, Vec<&str>> {
        let postings = self.documents.iter().flat_map(|document| &document.postings);
        let posted = postings.map(|posting| (posting.account.as_str(), posting.commodity.as_str()));
        let opened = self.opening.keys().map(|(account, commodity)| (account.as_str(), commodity.as_str()));
        let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (account, commodity) in posted.chain(opened) {
            let commodities = out.entry(account).or_default();
            if let Err(place) = commodities.binary_search(&commodity) {
                commodities.insert(place, commodity);
            }
        }
        out
    }

    /// The date of the first document.
    pub(super) fn first_day(&self) -> Option<Date> {
        self.documents.first().map(|document| document.date)
    }

    /// The date of the last document.
    pub(super) fn last_day(&self) -> Option<Date> {
        self.documents.last().map(|document| document.date)
    }

    pub(super) fn amount(&self, commodity: &str, amount: i64) -> String {
        decimal(amount, self.commodities.get(commodity).copied().unwrap_or(0))
    }
}

pub(super) fn add(sum: &mut i64, amount: i64) -> Result<(), Malformed> {
    *sum = sum.checked_add(amount).ok_or_else(|| Malformed("a balance above 63 bits".into()))?;
    Ok(())
}

/// What hledger and beancount both take: parts that begin with a capital or a digit, below one of five roots.
fn is_account(name: &str) -> bool {
    let mut parts = name.split(':');
    let root = parts
        .next()
        .is_some_and(|root| matches!(root, "Assets" | "Liabilities" | "Equity" | "Income" | "Expenses"));
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    root && parts.all(part)
}

/// An id as a part of an account's name: two ids never give the same.
pub(super) fn part(id: &str) -> String {
    let mut out = String::from("P-");
    for c in id.strip_prefix("pa_").unwrap_or(id).chars() {
        match c {
            '-' => out.push_str("--"),
            '.' => out.push_str("-2E"),
            '_' => out.push_str("-5F"),
            c => out.push(c),
        }
    }
    out
}
