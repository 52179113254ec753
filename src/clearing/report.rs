//! Reports for whoever watches the house: how old obligations are, what stands behind debts, who would bear a default.
//!
//! Owns: the buckets of age, and what "cannot pay" means before a cycle is computed.
//! Promises: who would bear what is found by the functions that distribute a true shortfall, and of what stands apart by those
//! that set it off; nothing is written. What a report says is of the records that it was given and of nothing else.
//! Refuses to know: where the records are from, and how a report is printed.

use super::instruct::{Remaining, remaining};
use super::netting::Matrix;
use super::setoff::set_off;
use super::shortfall::{Tranches, waterfall};
use super::stage::{Stage, stage};
use super::wrong::Unsound;
use crate::book::{Closing, Draft, Found, Funding, Line, Name, PROVISIONAL, Record, Source, Stop};
use crate::prices::{Exposure, exposure};
use crate::types::{Currency, Malformed, Money, ParticipantId, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const DAY: u64 = 86_400;

/// How the names of the records begin that reports are made of.
pub const BOOKS: &[&str] = &[
    "bank/",
    "cover/",
    "cycle",
    "disputed/",
    "funding/",
    "line/",
    "net/",
    "netting",
    "network",
    "pair/",
    "participant/",
    "reserve/",
    "statement/",
    "told/",
];

/// The records that reports are made of, all of one moment.
#[derive(Default)]
pub struct Books(pub BTreeMap<Name, Arc<Record>>);

impl Source for Books {
    fn find(&self, name: &Name) -> Found {
        self.0.get(name).map_or(Found::Absent, |record| Found::Known(record.clone()))
    }
}

/// What one participant owes another, by how long ago the cycle was sealed that it fell into.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Aged {
    /// Who owes, on balance.
    pub debtor: ParticipantId,
    /// Whom.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// In the open cycle.
    pub open: u64,
    /// In cycles that were sealed at most 30 days ago and are not settled.
    pub days_30: u64,
    /// 31 to 60 days ago.
    pub days_60: u64,
    /// 61 to 90 days ago.
    pub days_90: u64,
    /// Longer ago.
    pub older: u64,
    /// All of that.
    pub total: u64,
    /// Beside it: charged back and not decided.
    pub disputed: u64,
}

/// What a participant stands for in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Exposed {
    /// The participant.
    pub participant: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// Booked and not settled: + is owed to it, − is owed by it.
    pub position: i64,
    /// What it owes for the purpose of caps.
    pub debt: i64,
    /// Reserved for payments that are not captured, and charged back and not decided.
    pub reserved: u64,
    /// Most that both may come to.
    pub limit: Option<u64>,
    /// What it may still come to owe.
    pub headroom: Option<u64>,
    /// Over its limit.
    pub overrun: bool,
}

/// What somebody would bear.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Bears {
    /// Who.
    pub participant: ParticipantId,
    /// How much.
    pub amount: u64,
}

/// Who would bear what a participant is to pay for a cycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Hole {
    /// The cycle.
    pub cycle: u64,
    /// Where it stands.
    pub stage: Stage,
    /// The currency.
    pub currency: Currency,
    /// What it would not pay.
    pub hole: u64,
    /// Out of its own cover.
    pub cover: u64,
    /// Out of its share of the fund.
    pub fund: u64,
    /// The operator.
    pub operator: u64,
    /// Those who are to be paid.
    pub others: Vec<Bears>,
    /// Nobody: below the bank's smallest unit, carried to the next cycle. If orders left, what cover, fund and operator lack.
    pub left: u64,
    /// Its payment orders left: cover, fund and operator bear all of it, and a true shortfall is refused until they can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sent: bool,
    /// It stands apart from the house: after set-off it is owed to these alone, and nobody else bears any of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
}

impl Books {
    /// The cycles that are not settled, oldest first.
    fn unsettled(&self) -> impl Iterator<Item = (u64, &Closing)> {
        self.0.iter().filter_map(|(name, record)| match (name, record.closing()) {
            (Name::Closing(cycle), Some(closing))
                if closing.settled.is_none() && closing.voided.is_none() =>
            {
                Some((*cycle, closing))
            }
            _ => None,
        })
    }

    fn line(&self, cycle: u64, who: &ParticipantId, currency: Currency) -> Option<&Line> {
        self.0.get(&Name::Line(cycle, who.clone(), currency))?.line()
    }

    fn total(&self, name: &Name) -> i64 {
        self.0.get(name).and_then(|record| record.total().copied()).unwrap_or(0)
    }

    /// The participants, in the order of ids.
    fn participants(&self) -> impl Iterator<Item = &ParticipantId> {
        self.0.keys().filter_map(|name| match name {
            Name::Participant(who) => Some(who),
            _ => None,
        })
    }

    /// The network's currencies, each with how many of its smallest units are one of the bank's.
    pub(super) fn currencies(&self) -> Vec<(Currency, u64)> {
        let network = self.0.get(&Name::Network).and_then(|record| record.network());
        let all = network.map(|network| network.currencies.iter().copied().zip(network.bank_units.clone()));
        all.into_iter().flatten().collect()
    }

    /// What a participant has from another by the obligations of a cycle and of those that it took over.
    fn has_from(&self, of: &[u64], who: &ParticipantId, other: &ParticipantId, currency: Currency) -> i64 {
        let (a, b) = if who < other { (who, other) } else { (other, who) };
        let sum = of.iter().fold(0i64, |sum, cycle| {
            sum.saturating_add(self.total(&Name::Pair(*cycle, a.clone(), b.clone(), currency)))
        });
        if who < other { sum } else { sum.saturating_neg() }
    }
}

/// Most pairs that are set off for a report: so many are set off at once.
const MOST_PAIRS: usize = 3_300;

/// What the first of two has from the second.
type Pairs = BTreeMap<(ParticipantId, ParticipantId), i64>;

impl Books {
    /// What stands apart in a cycle: between two of whom one does not accept the house as its counterparty.
    fn apart(&self, cycle: u64, of: &[u64], currency: Currency) -> Pairs {
        let netting = self.0.get(&Name::Netting).and_then(|record| record.netting());
        let who: BTreeSet<&ParticipantId> = netting.into_iter().flat_map(|one| one.apart(cycle)).collect();
        let mut pairs = Pairs::new();
        if who.is_empty() {
            return pairs;
        }
        for (name, record) in &self.0 {
            if let (Name::Pair(cycle, a, b, in_currency), Some(total)) = (name, record.total())
                && *in_currency == currency
                && of.contains(cycle)
                && (who.contains(a) || who.contains(b))
            {
                let sum = pairs.entry((a.clone(), b.clone())).or_default();
                *sum = sum.saturating_add(*total);
            }
        }
        pairs
    }
}

/// A cycle and those whose obligations it took over.
fn with_included(cycle: u64, closing: &Closing) -> Vec<u64> {
    closing.includes.iter().copied().chain([cycle]).collect()
}

/// How old a cycle's obligations are, and whose lines say what of them is still owed.
#[derive(Clone, Copy)]
struct Age {
    /// Days since it was sealed; `None`: it is open.
    days: Option<u64>,
    /// The cycle that settles it, once payers were asked to pay.
    paid_by: Option<u64>,
}

/// What of a debt a participant still owes: all of it, until it is asked to pay; then as much as of what it is to pay. What
/// others bore in its place it owes them in the open cycle.
fn still_owed(
    books: &Books,
    age: Option<&Age>,
    debtor: &ParticipantId,
    currency: Currency,
    amount: u64,
) -> u64 {
    let line = age.and_then(|age| books.line(age.paid_by?, debtor, currency));
    let Some(line) = line.filter(|line| line.amount < 0) else { return amount };
    let (open, of) = (u128::from(line.open()), u128::from(line.amount.unsigned_abs()));
    let part = u128::from(amount).saturating_mul(open).div_ceil(of.max(1));
    u64::try_from(part).unwrap_or(amount)
}

/// What is owed and not settled, pair by pair, by age at an instant.
pub fn aging(books: &Books, now: Time) -> Vec<Aged> {
    let mut ages: BTreeMap<u64, Age> = BTreeMap::new();
    for (cycle, closing) in books.unsettled() {
        for of in with_included(cycle, closing) {
            let sealed = books.0.get(&Name::Closing(of)).and_then(|record| record.closing()?.sealed);
            let days = sealed.map(|mark| now.seconds().saturating_sub(mark.at.seconds()).div_ceil(DAY));
            ages.insert(of, Age { days, paid_by: closing.due.map(|_| cycle) });
        }
    }
    let mut rows: BTreeMap<(ParticipantId, ParticipantId, Currency), Aged> = BTreeMap::new();
    for (name, record) in &books.0 {
        let (Name::Pair(cycle, a, b, currency), Some(total)) = (name, record.total()) else { continue };
        let age = ages.get(cycle);
        if *total == 0 || (age.is_none() && *cycle != PROVISIONAL) {
            continue;
        }
        // What the first has from the second is what the second owes.
        let (debtor, creditor) = if *total > 0 { (b, a) } else { (a, b) };
        let amount = still_owed(books, age, debtor, *currency, total.unsigned_abs());
        if amount == 0 {
            continue;
        }
        let row = rows.entry((debtor.clone(), creditor.clone(), *currency)).or_insert_with(|| Aged {
            debtor: debtor.clone(),
            creditor: creditor.clone(),
            currency: *currency,
            open: 0,
            days_30: 0,
            days_60: 0,
            days_90: 0,
            older: 0,
            total: 0,
            disputed: 0,
        });
        let place = match age.map(|age| age.days) {
            None => &mut row.disputed,
            Some(None) => &mut row.open,
            Some(Some(0..=30)) => &mut row.days_30,
            Some(Some(31..=60)) => &mut row.days_60,
            Some(Some(61..=90)) => &mut row.days_90,
            Some(Some(_)) => &mut row.older,
        };
        *place = place.saturating_add(amount);
        if age.is_some() {
            row.total = row.total.saturating_add(amount);
        }
    }
    rows.into_values().collect()
}

/// What a decision that cannot be refused says when the records do not fit together.
fn unfit(stop: &Stop) -> Malformed {
    Malformed(format!("the records do not fit together: {stop:?}"))
}

/// What each participant stands for at an instant, those that stand for something.
pub fn exposures(books: &Books, now: Time) -> Result<Vec<Exposed>, Malformed> {
    let mut all = vec![];
    for participant in books.participants() {
        for (currency, _) in books.currencies() {
            let mut draft = Draft::new(books, 0, now);
            let stands: Exposure = exposure(&mut draft, participant, currency).map_err(|e| unfit(&e))?;
            let idle = stands.position == 0 && stands.used() == 0 && stands.limit.is_none();
            if !idle {
                all.push(Exposed {
                    participant: participant.clone(),
                    currency,
                    position: stands.position,
                    debt: stands.debt,
                    reserved: stands.reserved,
                    limit: stands.limit,
                    headroom: stands.headroom(),
                    overrun: stands.overrun(),
                });
            }
        }
    }
    Ok(all)
}

/// Who would bear what, if a participant paid nothing any more of what it owes for the cycles that are not settled. Cover
/// and fund are drawn by the oldest cycle first, and so is what the operator would bear: `tranche` in each currency.
pub fn what_if(books: &Books, who: &ParticipantId, tranche: Money) -> Result<Vec<Hole>, Malformed> {
    let mut holes = vec![];
    for (currency, unit) in books.currencies() {
        let funding = books.0.get(&Name::Funding(who.clone(), currency)).and_then(|one| one.funding());
        let Funding { cover, fund, .. } = funding.cloned().unwrap_or_default();
        let mut has = Tranches { cover: cover.get(), fund: fund.get(), operator: tranche.get() };
        for (cycle, closing) in books.unsettled() {
            let of = with_included(cycle, closing);
            let pairs = books.apart(cycle, &of, currency);
            holes.extend(apart_hole((cycle, closing), &pairs, who, currency, unit).map_err(|e| wrong(&e))?);
            let (hole, mut receivers) = due(books, (cycle, closing, &of), &pairs, who, currency);
            // Whose orders left is paid in full: none of them bears anything.
            let sent = closing.sums.iter().any(|sums| sums.currency == currency && sums.file.is_some());
            if sent {
                receivers.clear();
            }
            if hole == 0 {
                continue;
            }
            let claim = |(other, open): &(ParticipantId, u64)| {
                let pair =
                    if other < who { (other.clone(), who.clone()) } else { (who.clone(), other.clone()) };
                let has =
                    if pairs.contains_key(&pair) { 0 } else { books.has_from(&of, other, who, currency) };
                let claim = u64::try_from(has).unwrap_or(0);
                (other.clone(), claim.min(*open))
            };
            let claims: Vec<_> = receivers.iter().map(claim).collect();
            let borne = waterfall(hole, &has, &claims, &receivers, unit).map_err(|e| unfit(&e))?;
            has.cover = has.cover.saturating_sub(borne.cover);
            has.fund = has.fund.saturating_sub(borne.fund);
            has.operator = has.operator.saturating_sub(borne.operator);
            let mut others: BTreeMap<ParticipantId, u64> = BTreeMap::new();
            for (other, amount) in borne.others {
                let sum = others.entry(other).or_default();
                *sum = sum.saturating_add(amount);
            }
            let bears = |(participant, amount)| Bears { participant, amount };
            holes.push(Hole {
                cycle,
                stage: stage(closing),
                currency,
                hole,
                cover: borne.cover,
                fund: borne.fund,
                operator: borne.operator,
                others: others.into_iter().map(bears).collect(),
                left: borne.left,
                sent,
                apart: false,
            });
        }
    }
    holes.sort_by_key(|hole| hole.cycle);
    Ok(holes)
}

fn wrong(e: &Unsound) -> Malformed {
    Malformed(format!("the records do not fit together: {e}"))
}

/// Who would bear what a participant owes apart from the house: those whom it owes, once that is set off as far as it goes.
fn apart_hole(
    (cycle, closing): (u64, &Closing),
    pairs: &Pairs,
    who: &ParticipantId,
    currency: Currency,
    unit: u64,
) -> Result<Option<Hole>, Unsound> {
    // What the first has from the second, the second owes.
    let matrix = Matrix::of(pairs.iter().map(|((a, b), has)| (b, a, *has)))?;
    // More than are ever set off at once stay as they are.
    let off = if matrix.debts().count() > MOST_PAIRS { None } else { Some(set_off(&matrix)?) };
    let left: Vec<(ParticipantId, ParticipantId, u64)> = match off {
        Some(off) => {
            let whole = |one: &Remaining| one.pays.get().saturating_mul(unit).saturating_add(one.rest.get());
            let left = remaining(&matrix, &off, unit)?.into_iter();
            left.map(|one| (one.debtor.clone(), one.creditor.clone(), whole(&one))).collect()
        }
        None => matrix.debts().map(|debt| (debt.debtor, debt.creditor, debt.amount.get())).collect(),
    };
    let own = left.into_iter().filter(|(debtor, ..)| debtor == who);
    let others: Vec<_> = own.map(|(_, participant, amount)| Bears { participant, amount }).collect();
    let hole = others.iter().fold(0u64, |sum, bears| sum.saturating_add(bears.amount));
    let (cover, fund, operator, left, sent) = Default::default();
    let stage = stage(closing);
    let hole = Hole { cycle, stage, currency, hole, cover, fund, operator, others, left, sent, apart: true };
    Ok(Some(hole).filter(|hole| hole.hole > 0))
}

/// What a participant is still to pay for a cycle, and what others are still to be paid: by its lines once two people
/// approved it, by its nets before, without what stands apart.
fn due(
    books: &Books,
    (cycle, closing, of): (u64, &Closing, &[u64]),
    pairs: &Pairs,
    who: &ParticipantId,
    currency: Currency,
) -> (u64, Vec<(ParticipantId, u64)>) {
    let apart = |one: &ParticipantId| {
        pairs.iter().fold(0i64, |sum, ((a, b), has)| match (a == one, b == one) {
            (true, _) => sum.saturating_add(*has),
            (_, true) => sum.saturating_sub(*has),
            _ => sum,
        })
    };
    let stands = |one: &ParticipantId| match books.line(cycle, one, currency) {
        Some(line) if closing.approved.is_some() => {
            let open = i64::try_from(line.open()).unwrap_or(i64::MAX);
            if line.amount < 0 { open.saturating_neg() } else { open }
        }
        _ => of
            .iter()
            .fold(0i64, |sum, cycle| {
                sum.saturating_add(books.total(&Name::Net(*cycle, one.clone(), currency)))
            })
            .saturating_sub(apart(one)),
    };
    let owes = u64::try_from(stands(who).saturating_neg()).unwrap_or(0);
    let paid = |one: &ParticipantId| Some((one.clone(), u64::try_from(stands(one)).ok().filter(|n| *n > 0)?));
    (owes, books.participants().filter_map(paid).collect())
}

#[cfg(test)]
mod tests;
