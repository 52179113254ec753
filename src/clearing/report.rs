//! Reports for whoever watches the house: how old obligations are, what stands behind debts, who would bear a default.
//!
//! Owns: the buckets of age, and what "cannot pay" means before a cycle is computed.
//! Promises: who would bear what is found by the functions that distribute a true shortfall; nothing is written. What a
//! report says is of the records that it was given and of nothing else.
//! Refuses to know: where the records are from, and how a report is printed.

use super::shortfall::{Tranches, waterfall};
use super::stage::{Stage, stage};
use crate::book::{Closing, Draft, Found, Funding, Line, Name, PROVISIONAL, Record, Source, Stop};
use crate::prices::{Exposure, exposure};
use crate::types::{Currency, Malformed, Money, ParticipantId, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: u64 = 86_400;

/// How the names of the records begin that reports are made of.
pub const BOOKS: &[&str] =
    &["cycle", "disputed/", "funding/", "line/", "net/", "network", "pair/", "participant/"];

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
    /// Nobody: below the bank's smallest unit, carried to the next cycle.
    pub left: u64,
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
    fn currencies(&self) -> Vec<(Currency, u64)> {
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

/// A cycle and those whose obligations it took over.
fn with_included(cycle: u64, closing: &Closing) -> Vec<u64> {
    closing.includes.iter().copied().chain([cycle]).collect()
}

/// What is owed and not settled, pair by pair, by age at an instant.
pub fn aging(books: &Books, now: Time) -> Vec<Aged> {
    let mut ages: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    for (cycle, closing) in books.unsettled() {
        for of in with_included(cycle, closing) {
            let sealed = books.0.get(&Name::Closing(of)).and_then(|record| record.closing()?.sealed);
            let days = sealed.map(|mark| now.seconds().saturating_sub(mark.at.seconds()).div_ceil(DAY));
            ages.insert(of, days);
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
        let amount = total.unsigned_abs();
        let place = match age {
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
            let (hole, mut receivers) = due(books, (cycle, closing, &of), who, currency);
            // Whose orders left is paid in full: none of them bears anything.
            if closing.sums.iter().any(|sums| sums.currency == currency && sums.file.is_some()) {
                receivers.clear();
            }
            if hole == 0 {
                continue;
            }
            let claim = |(other, open): &(ParticipantId, u64)| {
                let claim = u64::try_from(books.has_from(&of, other, who, currency)).unwrap_or(0);
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
            });
        }
    }
    holes.sort_by_key(|hole| hole.cycle);
    Ok(holes)
}

/// What a participant is still to pay for a cycle, and what others are still to be paid: by its lines once two people
/// approved it, by its nets before.
fn due(
    books: &Books,
    (cycle, closing, of): (u64, &Closing, &[u64]),
    who: &ParticipantId,
    currency: Currency,
) -> (u64, Vec<(ParticipantId, u64)>) {
    let stands = |one: &ParticipantId| match books.line(cycle, one, currency) {
        Some(line) if closing.approved.is_some() => {
            let open = i64::try_from(line.open()).unwrap_or(i64::MAX);
            if line.amount < 0 { open.saturating_neg() } else { open }
        }
        _ => of.iter().fold(0i64, |sum, cycle| {
            sum.saturating_add(books.total(&Name::Net(*cycle, one.clone(), currency)))
        }),
    };
    let owes = u64::try_from(stands(who).saturating_neg()).unwrap_or(0);
    let paid = |one: &ParticipantId| Some((one.clone(), u64::try_from(stands(one)).ok().filter(|n| *n > 0)?));
    (owes, books.participants().filter_map(paid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Cycle, Mark, Network, Participant};
    use crate::types::Hash;

    fn id<T: std::str::FromStr>(text: &str) -> T {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    fn eur() -> Currency {
        id("EUR")
    }

    /// a owes b 300 and c 100 in the open cycle; a owes b 50 in one that was sealed 40 days ago; 7 are disputed.
    fn books(now: Time) -> Books {
        let mut all = Books::default();
        let mut put = |name: Name, record: Record| drop(all.0.insert(name, Arc::new(record)));
        let (a, b, c) = (id("pa_a"), id("pa_b"), id("pa_c"));
        put(
            Name::Network,
            Record::Network(Network {
                net: Hash::default(),
                threshold: 1,
                roots: vec![],
                currencies: vec![eur()],
                bank_units: vec![10],
                capped: true,
                fees: false,
                taxed: false,
                funded: false,
                driven: false,
                frozen: false,
            }),
        );
        for who in [&a, &b, &c] {
            let record = Participant { currency: eur() };
            put(Name::Participant(ParticipantId::clone(who)), Record::Participant(record));
        }
        put(Name::Cycle, Record::Cycle(Cycle { open: 2, live: vec![1] }));
        let sealed = Time::from_seconds(now.seconds() - 40 * DAY).expect("an instant");
        let sealed = Some(Mark { seq: 5, at: sealed });
        put(Name::Closing(1), Record::Closing(Closing { sealed, ..Closing::opened(1) }));
        put(Name::Closing(2), Record::Closing(Closing::opened(5)));
        for (cycle, debtor, creditor, amount) in
            [(2, &a, &b, 300), (2, &a, &c, 100), (1, &a, &b, 50), (0, &b, &a, 7)]
        {
            let (debtor, creditor): (&ParticipantId, &ParticipantId) = (debtor, creditor);
            let (first, second) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
            let total = if first == creditor { amount } else { -amount };
            put(Name::Pair(cycle, first.clone(), second.clone(), eur()), Record::Total(total));
        }
        for (cycle, who, net) in [(2, &a, -400), (2, &b, 300), (2, &c, 100), (1, &a, -50), (1, &b, 50)] {
            put(Name::Net(cycle, ParticipantId::clone(who), eur()), Record::Total(net));
        }
        let money = |n| Money::new(n).expect("fits");
        let funding = Funding { cover: money(75), fund: money(29), ..Funding::default() };
        put(Name::Funding(a, eur()), Record::Funding(funding));
        all
    }

    fn now() -> Time {
        id("2026-06-01T00:00:00Z")
    }

    #[test]
    fn obligations_are_as_old_as_their_cycles() {
        let rows = aging(&books(now()), now());
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (row.debtor.as_str(), row.creditor.as_str(), row.open, row.days_60, row.total, row.disputed)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("pa_a", "pa_b", 300, 50, 350, 0),
                ("pa_a", "pa_c", 100, 0, 100, 0),
                ("pa_b", "pa_a", 0, 0, 0, 7),
            ]
        );
        let exposed = exposures(&books(now()), now()).expect("fits");
        let nets: Vec<i64> = exposed.iter().map(|one| one.position).collect();
        assert_eq!(nets, [-450, 350, 100]);
    }

    #[test]
    fn a_default_is_borne_as_a_shortfall_would_be_and_sums_to_the_hole() {
        let holes = what_if(&books(now()), &id("pa_a"), Money::new(15).expect("fits")).expect("fits");
        let told: Vec<_> = holes
            .iter()
            .map(|one| {
                let others: Vec<_> = one.others.iter().map(|b| (b.participant.as_str(), b.amount)).collect();
                (one.cycle, one.hole, one.cover, one.fund, one.operator, others, one.left)
            })
            .collect();
        // The oldest cycle draws first; in whole units of ten; then who is owed, in proportion.
        assert_eq!(
            told,
            [(1, 50, 50, 0, 0, vec![], 0), (2, 400, 20, 20, 10, vec![("pa_b", 260), ("pa_c", 90)], 0),]
        );
        for one in &holes {
            let others: u64 = one.others.iter().map(|bears| bears.amount).sum();
            assert_eq!(one.cover + one.fund + one.operator + others + one.left, one.hole);
        }
        assert_eq!(what_if(&books(now()), &id("pa_b"), Money::ZERO), Ok(vec![]));
    }
}
