//! The model's account: dated piles of points in a map, the date first to be spent first.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate};
use std::collections::BTreeMap;
use tallyhouse::book::Expiry;
use tallyhouse::types::{HoldId, Kid, Refusal, UnitCode};

pub const MOST: u128 = (1 << 53) - 1;
pub const MOST_PILES: usize = 64;
pub const MOST_HOLDS: usize = 64;
const DAY: i64 = 86_400_000_000;

/// Where points came from, in the order in which they are spent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum From {
    Earned,
    Exchanged,
    Goodwill,
    Reinstated,
}

/// What makes points alike. The derived order is the order of spending, with the year 9999's successor
/// standing for never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pile {
    pub until: NaiveDate,
    pub from: Option<NaiveDate>,
    pub month: (i32, u32),
    pub origin: From,
}

pub const NEVER: NaiveDate = NaiveDate::MAX;

pub fn local_day(micros: i64, offset: i16) -> NaiveDate {
    let local = micros + i64::from(offset) * 60_000_000;
    DateTime::from_timestamp_micros(local).expect("in range").date_naive()
}

/// The instant at which a day is over.
pub fn end_of(day: NaiveDate, offset: i16) -> i64 {
    if day == NEVER {
        return i64::MAX;
    }
    (i64::from(day.to_epoch_days()) + 1) * DAY - i64::from(offset) * 60_000_000
}

/// The last day of points that were earned on `day`.
pub fn last_day(expiry: &Expiry, day: NaiveDate) -> NaiveDate {
    let round = |date: NaiveDate, block: &Option<u32>| match block {
        None => date,
        Some(months) => {
            let end_month = (date.month0() / months + 1) * months;
            let (year, month) =
                if end_month == 12 { (date.year() + 1, 1) } else { (date.year(), end_month + 1) };
            NaiveDate::from_ymd_opt(year, month, 1).and_then(|first| first.pred_opt()).expect("in range")
        }
    };
    match expiry {
        Expiry::Never => NEVER,
        Expiry::Days { n, round: block } => round(day + Days::new(u64::from(*n)), block),
        Expiry::Months { n, round: block } => round(day + Months::new(*n), block),
        Expiry::Yearly { month, day: of, least } => {
            let least = day + Days::new(u64::from(*least));
            let on = |y| NaiveDate::from_ymd_opt(y, *month, *of).or(NaiveDate::from_ymd_opt(y, *month, 28));
            (least.year()..).filter_map(on).find(|date| *date >= least).expect("next year at the latest")
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub deadline: i64,
    pub piles: Vec<(Pile, u128)>,
}

#[derive(Clone, Debug)]
pub struct Purse {
    pub unit: UnitCode,
    pub offset: i16,
    pub key: Option<Kid>,
    pub frozen: bool,
    pub piles: BTreeMap<Pile, u128>,
    pub holds: BTreeMap<HoldId, Held>,
}

impl Purse {
    pub fn new(unit: UnitCode, offset: i16, key: Option<Kid>) -> Self {
        Self { unit, offset, key, frozen: false, piles: BTreeMap::new(), holds: BTreeMap::new() }
    }

    pub fn over(&self, pile: &Pile, at: i64) -> bool {
        end_of(pile.until, self.offset) <= at
    }

    pub fn available(&self, at: i64) -> u128 {
        let today = local_day(at, self.offset);
        self.piles.iter().filter(|(pile, _)| pile.from.is_none_or(|from| from <= today)).map(|(_, n)| n).sum()
    }

    pub fn pending(&self, at: i64) -> u128 {
        self.piles.values().sum::<u128>() - self.available(at)
    }

    pub fn held(&self) -> u128 {
        self.holds.values().flat_map(|held| &held.piles).map(|(_, n)| n).sum()
    }

    pub fn total(&self) -> u128 {
        self.held() + self.piles.values().sum::<u128>()
    }

    /// Whether anything is due by `at`.
    pub fn is_due(&self, at: i64) -> bool {
        self.holds.values().any(|held| held.deadline <= at)
            || self.piles.first_key_value().is_some_and(|(pile, _)| self.over(pile, at))
    }

    /// Releases and expires what is due; says how many expired.
    pub fn settle(&mut self, at: i64) -> u128 {
        let lapsed: Vec<HoldId> =
            self.holds.iter().filter(|(_, held)| held.deadline <= at).map(|(id, _)| *id).collect();
        for id in lapsed {
            self.release(id);
        }
        let gone: Vec<Pile> = self.piles.keys().filter(|pile| self.over(pile, at)).copied().collect();
        gone.iter().map(|pile| self.piles.remove(pile).expect("just seen")).sum()
    }

    pub fn mature(&mut self, at: i64) {
        let today = local_day(at, self.offset);
        let ripe: Vec<Pile> =
            self.piles.keys().filter(|pile| pile.from.is_some_and(|from| from <= today)).copied().collect();
        for pile in ripe {
            let n = self.piles.remove(&pile).expect("just seen");
            *self.piles.entry(Pile { from: None, ..pile }).or_default() += n;
        }
    }

    /// New points.
    pub fn give(&mut self, pile: Pile, n: u128, at: i64) -> Result<(), Refusal> {
        self.mature(at);
        if self.total() + n > MOST {
            return Err(Refusal::AmountTooLarge);
        }
        if !self.piles.contains_key(&pile) && self.piles.len() >= MOST_PILES {
            return Err(Refusal::TooManyLots);
        }
        *self.piles.entry(pile).or_default() += n;
        Ok(())
    }

    /// Points that were here before. Where there is no room, they and the pile behind them, or at the
    /// end the last pile, become one: with the later end and the earlier beginning of the two.
    pub fn put_back(&mut self, pile: Pile, n: u128) {
        if self.piles.contains_key(&pile) || self.piles.len() < MOST_PILES {
            *self.piles.entry(pile).or_default() += n;
            return;
        }
        let behind = self.piles.range(pile..).next().map(|(next, _)| *next);
        let other = behind.unwrap_or_else(|| *self.piles.last_key_value().expect("it is full").0);
        let have = self.piles.remove(&other).expect("just seen");
        let from = pile.from.zip(other.from).map(|(a, b)| a.min(b));
        *self.piles.entry(Pile { from, ..pile.max(other) }).or_default() += have + n;
    }

    pub fn draw(&mut self, mut n: u128, at: i64) -> Result<Vec<(Pile, u128)>, Refusal> {
        if self.available(at) < n {
            return Err(Refusal::InsufficientPoints);
        }
        self.mature(at);
        let mut taken = vec![];
        let ripe: Vec<Pile> = self.piles.keys().filter(|pile| pile.from.is_none()).copied().collect();
        for pile in ripe {
            let have = self.piles[&pile];
            let part = have.min(n);
            if part > 0 {
                taken.push((pile, part));
                n -= part;
            }
            if part == have {
                self.piles.remove(&pile);
            } else {
                self.piles.insert(pile, have - part);
            }
        }
        Ok(taken)
    }

    /// Takes up to `n` of these piles, the last to be spent first; says how many.
    pub fn take_last(&mut self, n: u128, of: impl Fn(&Pile) -> bool) -> u128 {
        let mut left = n;
        for (_, have) in self.piles.iter_mut().rev().filter(|(pile, _)| of(pile)) {
            let part = left.min(*have);
            *have -= part;
            left -= part;
        }
        self.piles.retain(|_, have| *have > 0);
        n - left
    }

    pub fn hold(&mut self, id: HoldId, deadline: i64, n: u128, at: i64) -> Result<(), Refusal> {
        if self.holds.len() >= MOST_HOLDS {
            return Err(Refusal::TooManyHolds);
        }
        let piles = self.draw(n, at)?;
        self.holds.insert(id, Held { deadline, piles });
        Ok(())
    }

    /// Spends out of a hold first, then, where rounding left it short, out of the rest.
    pub fn take(&mut self, id: HoldId, n: u128, at: i64) -> Result<Vec<(Pile, u128)>, Refusal> {
        let mut left = n;
        let mut taken = vec![];
        if let Some(held) = self.holds.get_mut(&id) {
            for (pile, have) in &mut held.piles {
                let part = left.min(*have);
                *have -= part;
                left -= part;
                if part > 0 {
                    taken.push((*pile, part));
                }
            }
            held.piles.retain(|(_, have)| *have > 0);
            if held.piles.is_empty() {
                self.holds.remove(&id);
            }
        }
        if left > 0 {
            taken.extend(self.draw(left, at)?);
        }
        Ok(taken)
    }

    pub fn release(&mut self, id: HoldId) {
        for (pile, n) in self.holds.remove(&id).map(|held| held.piles).unwrap_or_default() {
            self.put_back(pile, n);
        }
    }
}
