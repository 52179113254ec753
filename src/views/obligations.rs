//! The view of obligations: what the payments of a cycle, and their fees, made one participant owe another.
//!
//! Owns: the table `obligations`, a row for each cycle, debtor, creditor and currency.
//! Promises: an amount is the sum of what captures booked less what refunds took back, in the direction
//! in which it was booked: what two participants owe each other is not netted here.
//! Refuses to know: netting, paying, settling.

use super::follow::Entry;
use super::reader::{Reader, Shown, parsed};
use crate::book::Place;
use crate::machine::Effect;
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::named::Named;
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::{Asset, CauseId, Currency, ParticipantId};
use diesel::prelude::*;
use std::collections::BTreeMap;

diesel::table! {
    obligations (cycle, debtor, creditor, currency) {
        cycle -> BigInt,
        debtor -> Text,
        creditor -> Text,
        currency -> Text,
        amount -> BigInt,
    }
}

/// What one participant owes another for the payments of a cycle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obligation {
    /// The cycle.
    pub cycle: u64,
    /// Who owes: the participant whose brand's points were spent, or who owes a fee.
    pub debtor: ParticipantId,
    /// Who is owed: the participant whose shop took them, or the operator's.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much, in the currency's smallest unit; below zero if this cycle refunded more, of earlier
    /// cycles' payments, than it captured.
    pub amount: i64,
}

type Key = (i64, ParticipantId, ParticipantId, Currency);

/// The obligations of a run, summed.
#[derive(Default)]
pub(super) struct Run {
    sums: BTreeMap<Key, i64>,
}

impl Run {
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        for effect in &entry.event.effects {
            // Of an obligation's two legs one is the creditor's: the shop's participant is, also when a refund takes
            // back.
            let shop = effect.tag.and_then(|tag| match (tag.cause, tag.supply) {
                (_, Some(supply)) if supply.service.is_fee() => None,
                (CauseId::Payment(payment), _) => entry.payment(payment),
                _ => None,
            });
            let is_creditors = |shop: &&ParticipantId| {
                let of = |place: &Place| matches!(place, Place::Pair(creditor, _) if creditor == *shop);
                effect.done.legs.iter().any(|leg| of(&leg.place))
            };
            // What the issuer owes who pays the shop in its place is no obligation to the shop.
            let shop = shop.map(|payment| &payment.participant).filter(is_creditors);
            // What no payment booked, and a fee, names its creditor first.
            let first = effect.done.legs.first().map(|leg| &leg.place);
            for leg in &effect.done.legs {
                if let (Place::Pair(creditor, debtor), Asset::Money(currency)) = (&leg.place, leg.asset)
                    && shop.map_or(first == Some(&leg.place), |shop| shop == creditor)
                {
                    let key = (cycle(effect)?, debtor.clone(), creditor.clone(), currency);
                    let sum = self.sums.entry(key).or_insert(0);
                    *sum = sum.checked_add(leg.amount).ok_or("obligations overflow")?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows: Vec<Row<'_>> = self.sums.iter().map(|(key, amount)| Row { key, amount }).collect();
        insert(connection, &rows)
    }
}

fn cycle(effect: &Effect) -> Result<i64, String> {
    let tag = effect.tag.ok_or("an obligation of no cycle")?;
    i64::try_from(tag.cycle).map_err(|e| e.to_string())
}

struct Row<'a> {
    key: &'a Key,
    amount: &'a i64,
}

impl Tuple for Row<'_> {
    type Id = Row<'static>;
    const INTO: &'static str = "obligations (cycle, debtor, creditor, currency, amount)";
    const AFTER: &'static str = " ON CONFLICT (cycle, debtor, creditor, currency) \
        DO UPDATE SET amount = obligations.amount + excluded.amount";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        let (cycle, debtor, creditor, currency) = self.key;
        out.int(cycle)?;
        for text in [debtor.as_str(), creditor.as_str(), currency.as_str()] {
            out.text(text)?;
        }
        out.int(self.amount)
    }
}

type Kept = (i64, String, String, String, i64);

fn listed(file: &Named, rows: Vec<Kept>) -> Result<Vec<Obligation>, Fault> {
    let one = |(cycle, debtor, creditor, currency, amount): Kept| {
        let place = format!("obligations, {cycle} {debtor} {creditor} {currency}");
        Ok(Obligation {
            cycle: u64::try_from(cycle).map_err(|e| file.damaged(&place, e))?,
            debtor: parsed(file, &place, &debtor)?,
            creditor: parsed(file, &place, &creditor)?,
            currency: parsed(file, &place, &currency)?,
            amount,
        })
    };
    rows.into_iter().map(one).collect()
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(obligations::table).execute(c)).map(|_| ())
}

impl Reader {
    /// The obligations of a cycle, or of all; in the order of cycle, debtor, creditor, currency.
    pub fn obligations(&self, cycle: Option<u64>) -> Result<Shown<Vec<Obligation>>, Fault> {
        let (from, to) = match cycle.map(|cycle| i64::try_from(cycle).unwrap_or(i64::MAX)) {
            Some(cycle) => (cycle, cycle),
            None => (0, i64::MAX),
        };
        let query = |connection: &mut Link<'_>| {
            use self::obligations::dsl;
            let rows = dsl::obligations.filter(dsl::cycle.between(from, to));
            let rows = rows.order((dsl::cycle, dsl::debtor, dsl::creditor, dsl::currency));
            on!(connection, c => rows.load(c))
        };
        self.show("list obligations", query, listed)
    }
    /// The obligations of some participants, on either side, of a cycle or of all; in the same order, at
    /// most `limit`, after `after` (`None`: from the first).
    pub fn obligations_of(
        &self,
        participants: &[ParticipantId],
        cycle: Option<u64>,
        after: Option<&Obligation>,
        limit: usize,
    ) -> Result<Shown<Vec<Obligation>>, Fault> {
        let number = |cycle: u64| i64::try_from(cycle).unwrap_or(i64::MAX);
        let (from, to) = cycle.map_or((0, i64::MAX), |cycle| (number(cycle), number(cycle)));
        let query = |connection: &mut Link<'_>| {
            on!(connection, c => {
                use self::obligations::dsl;
                let names: Vec<&str> = participants.iter().map(ParticipantId::as_str).collect();
                let of = dsl::debtor.eq_any(names.clone()).or(dsl::creditor.eq_any(names));
                let mut rows = dsl::obligations.filter(dsl::cycle.between(from, to)).filter(of).into_boxed();
                if let Some(last) = after {
                    let (debtor, creditor) = (last.debtor.as_str(), last.creditor.as_str());
                    let (cycle, currency) = (number(last.cycle), last.currency.as_str());
                    let same_pair = dsl::creditor.eq(creditor).and(dsl::currency.gt(currency));
                    let same_debtor = dsl::debtor.eq(debtor).and(dsl::creditor.gt(creditor).or(same_pair));
                    let same_cycle = dsl::cycle.eq(cycle).and(dsl::debtor.gt(debtor).or(same_debtor));
                    rows = rows.filter(dsl::cycle.gt(cycle).or(same_cycle));
                }
                let rows = rows.order((dsl::cycle, dsl::debtor, dsl::creditor, dsl::currency));
                rows.limit(at_most(limit)).load(c)
            })
        };
        self.show("list a participant's obligations", query, listed)
    }
}
