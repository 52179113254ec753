//! The view of payments: each as it stands, for lists by brand and time.
//!
//! Owns: the table `payments`, a row a payment, and its index.
//! Promises: the numbers are those of the payment's record after the last entry that changed it.
//! Refuses to know: shares, accounts, consents.

use super::follow::Entry;
use super::reader::{Reader, Shown, money, parsed, time};
use crate::book::Payment;
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::named::Named;
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::{BrandId, Currency, Ident, Money, PaymentId, Time};
use diesel::prelude::*;
use std::collections::BTreeMap;

diesel::table! {
    payments (id) {
        id -> BigInt,
        brand -> Text,
        store -> Text,
        till -> Text,
        reference -> Nullable<Text>,
        at -> BigInt,
        currency -> Text,
        amount -> BigInt,
        captured -> BigInt,
        refunded -> BigInt,
        deadline -> BigInt,
        closed -> Bool,
    }
}

/// A payment as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedPayment {
    /// Which.
    pub id: PaymentId,
    /// The shop's brand.
    pub brand: BrandId,
    /// The shop.
    pub store: Ident,
    /// The till.
    pub till: Ident,
    /// The shop's receipt number.
    pub reference: Option<Ident>,
    /// When it was authorised.
    pub at: Time,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The amount paid with points.
    pub amount: Money,
    /// Captured so far.
    pub captured: Money,
    /// Refunded so far.
    pub refunded: Money,
    /// When it lapses, if it is open.
    pub deadline: Time,
    /// Captured for the last time, or voided.
    pub closed: bool,
}

/// A stretch of time: from the first instant on, up to and without the second; open where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// The first instant.
    pub from: Option<Time>,
    /// The first instant after it.
    pub to: Option<Time>,
}

/// Which of a brand's payments are listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Authorised in this stretch of time.
    pub span: Span,
    /// In this shop.
    pub store: Option<Ident>,
    /// At this till.
    pub till: Option<Ident>,
    /// Those that can be captured or voided at the instant, or those that cannot.
    pub open: Option<(bool, Time)>,
}

/// Parts that a payment's id has room for.
const ROOM: i64 = 65_536;

/// A payment's id as an integer; payments keep their order.
pub(super) fn number(id: PaymentId) -> Result<i64, String> {
    let seq = i64::try_from(id.seq).ok().and_then(|seq| seq.checked_mul(ROOM));
    seq.and_then(|seq| seq.checked_add(i64::from(id.part))).ok_or_else(|| format!("{id} is too large"))
}

/// The payment's id that was written as this integer.
pub(super) fn id_of(file: &Named, number: i64) -> Result<PaymentId, Fault> {
    let seq = u64::try_from(number.div_euclid(ROOM));
    match (seq, u16::try_from(number.rem_euclid(ROOM))) {
        (Ok(seq), Ok(part)) => Ok(PaymentId { seq, part }),
        _ => Err(file.damaged(number, "not the number of a payment")),
    }
}

/// The payments of a run, each as it stands at the end.
#[derive(Default)]
pub(super) struct Run {
    rows: BTreeMap<i64, Row>,
}

impl Run {
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        for (id, payment) in entry.payments() {
            let id = number(*id)?;
            // A payment's first entry says when it was made; later ones leave that alone.
            let at = self.rows.get(&id).map_or(entry.event.at.micros(), |row| row.at);
            self.rows.insert(id, Row::new(id, at, payment));
        }
        Ok(())
    }

    pub(super) fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        let rows: Vec<Row> = std::mem::take(&mut self.rows).into_values().collect();
        insert(connection, &rows)
    }
}

struct Row {
    id: i64,
    at: i64,
    texts: [String; 3],
    reference: Option<String>,
    currency: Currency,
    amounts: [i64; 3],
    deadline: i64,
    closed: bool,
}

impl Row {
    fn new(id: i64, at: i64, payment: &Payment) -> Self {
        Self {
            id,
            at,
            texts: [payment.brand.to_string(), payment.store.to_string(), payment.till.to_string()],
            reference: payment.reference.as_ref().map(Ident::to_string),
            currency: payment.currency,
            amounts: [payment.amount, payment.captured, payment.refunded].map(Money::signed),
            deadline: payment.deadline.micros(),
            closed: payment.closed,
        }
    }
}

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str = "payments (id, brand, store, till, reference, at, currency, \
        amount, captured, refunded, deadline, closed)";
    const AFTER: &'static str = " ON CONFLICT (id) DO UPDATE SET reference = excluded.reference, \
        amount = excluded.amount, captured = excluded.captured, refunded = excluded.refunded, \
        deadline = excluded.deadline, closed = excluded.closed";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.int(&self.id)?;
        for text in &self.texts {
            out.text(text)?;
        }
        out.maybe_text(self.reference.as_deref())?;
        out.int(&self.at)?;
        out.text(self.currency.as_str())?;
        for amount in &self.amounts {
            out.int(amount)?;
        }
        out.int(&self.deadline)?;
        out.flag(&self.closed)
    }
}

#[derive(Queryable)]
struct Kept {
    id: i64,
    brand: String,
    store: String,
    till: String,
    reference: Option<String>,
    at: i64,
    currency: String,
    amount: i64,
    captured: i64,
    refunded: i64,
    deadline: i64,
    closed: bool,
}

fn listed(file: &Named, row: Kept) -> Result<ListedPayment, Fault> {
    let place = format!("payments, {}", row.id);
    Ok(ListedPayment {
        id: id_of(file, row.id)?,
        brand: parsed(file, &place, &row.brand)?,
        store: parsed(file, &place, &row.store)?,
        till: parsed(file, &place, &row.till)?,
        reference: row.reference.map(|text| parsed(file, &place, &text)).transpose()?,
        at: time(file, &place, row.at)?,
        currency: parsed(file, &place, &row.currency)?,
        amount: money(file, &place, row.amount)?,
        captured: money(file, &place, row.captured)?,
        refunded: money(file, &place, row.refunded)?,
        deadline: time(file, &place, row.deadline)?,
        closed: row.closed,
    })
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => diesel::delete(payments::table).execute(c)).map(|_| ())
}

impl Reader {
    /// A payment, if there is one of this id.
    pub fn payment(&self, id: PaymentId) -> Result<Shown<Option<ListedPayment>>, Fault> {
        let number = number(id).map_err(Fault::Unfit)?;
        self.show(
            "look a payment up",
            |connection| on!(connection, c => payments::table.find(number).first::<Kept>(c).optional()),
            |file, row| row.map(|row| listed(file, row)).transpose(),
        )
    }

    /// The payments in a brand's shops that pass the filter, newest first, at most `limit`; with `before`,
    /// those older than that payment.
    pub fn payments(
        &self,
        brand: &BrandId,
        filter: &Filter,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Shown<Vec<ListedPayment>>, Fault> {
        let before = before.map(number).transpose().map_err(Fault::Unfit)?;
        let from = filter.span.from.map_or(0, Time::micros);
        let to = filter.span.to.map_or(i64::MAX, Time::micros);
        let query = |connection: &mut Link<'_>| {
            on!(connection, c => {
                // The index is in order of time, as ids are; so the page begins at the time of `before`.
                let last = match before {
                    Some(id) => payments::table.find(id).select(payments::at).first(c).optional()?,
                    None => Some(i64::MAX),
                };
                let of = payments::table.filter(payments::brand.eq(brand.as_str()));
                let mut of = of
                    .filter(payments::at.ge(from).and(payments::at.lt(to)))
                    .filter(payments::at.le(last.unwrap_or(-1)))
                    .filter(payments::id.lt(before.unwrap_or(i64::MAX)))
                    .into_boxed();
                if let Some(store) = &filter.store {
                    of = of.filter(payments::store.eq(store.as_str()));
                }
                if let Some(till) = &filter.till {
                    of = of.filter(payments::till.eq(till.as_str()));
                }
                of = match filter.open.map(|(open, at)| (open, at.micros())) {
                    Some((true, at)) => of.filter(payments::closed.eq(false).and(payments::deadline.gt(at))),
                    Some((false, at)) => of.filter(payments::closed.eq(true).or(payments::deadline.le(at))),
                    None => of,
                };
                let of = of.order((payments::at.desc(), payments::id.desc())).limit(at_most(limit));
                of.load::<Kept>(c)
            })
        };
        self.show("list payments", query, |file, rows| {
            rows.into_iter().map(|row| listed(file, row)).collect()
        })
    }
}
