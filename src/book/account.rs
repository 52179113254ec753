//! One account: lots, holds, what is owed. Pure arithmetic on one record; the draft does the rest.
//!
//! Available, pending and held are functions of the lots, the holds and the instant; they are stored
//! nowhere. Lots stay in spending order: earliest `until` first, never last.

use crate::types::{Date, HoldId, Ident, Kid, Month, Points, Refusal, Time, UnitCode};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Most lots of one account, held ones not counted.
pub const MAX_LOTS: usize = 64;
/// Most open holds of one account.
pub const MAX_HOLDS: usize = 64;

/// Where points came from. Written as a word; what a sponsor's key awarded as `{"sponsored":"<kid>"}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// For a purchase.
    Earned,
    /// Another brand paid for them: the one whose key this is awarded them.
    Sponsored(Kid),
    /// For points of another unit.
    Exchanged,
    /// A gesture of the brand.
    Goodwill,
    /// Given back by a refund after their date.
    Reinstated,
}

/// What makes points alike: they can be spent through `until` (never expiring if there is none), from
/// `from` on (at once if there is none), were earned in `month`, and come from `origin`.
/// Written as an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Bucket(
    /// `until`: the last day.
    pub Option<Date>,
    /// `from`: the first day.
    pub Option<Date>,
    /// `month`: when they were earned.
    pub Month,
    /// `origin`: where they came from.
    pub Origin,
);

impl Bucket {
    pub(super) fn comes_before(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Less
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |b: &Self| (b.0.is_none(), b.0, b.1, b.2, b.3);
        key(self).cmp(&key(other))
    }

    fn spendable(&self, today: Date) -> bool {
        self.1.is_none_or(|from| from <= today)
    }
}

impl Origin {
    /// Of points that become one lot, `self` the later: what a sponsor paid for is no other's to take back, so it is nobody's
    /// then who awarded only some of them.
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Sponsored(_), Self::Sponsored(_)) => Self::Earned,
            (Self::Sponsored(_), other) => other,
            (own, _) => own,
        }
    }
}

/// Points of one bucket. Written as `[bucket, points]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lot(
    /// The bucket.
    pub Bucket,
    /// How many, never zero in a stored lot.
    pub Points,
);

/// Points reserved for a payment or an offer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What for.
    pub of: HoldId,
    /// When they are free again.
    pub until: Time,
    /// What is reserved, in spending order.
    pub lots: Vec<Lot>,
}

/// The account without its points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its unit.
    pub unit: UnitCode,
    /// The unit's offset from UTC in minutes, so that the account knows its own days.
    pub offset: i16,
    /// The holder's key, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Kid>,
    /// The holder's membership tier, as the unit's brand says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Ident>,
    /// What a reversal could not take; later credits repay it first.
    pub owed: Points,
    /// Nothing new while true.
    pub frozen: bool,
}

/// The holder of one unit's points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Everything but the points.
    pub head: Head,
    /// Free points, in spending order.
    pub lots: Vec<Lot>,
    /// Reserved points, in the order of what they are for.
    pub holds: Vec<Hold>,
}

fn sum(lots: &[Lot]) -> Points {
    // A sum over an account's lots fits: finishing a draft checks every total against 2^53 − 1.
    lots.iter().fold(Points::ZERO, |total, lot| total.plus(lot.1).unwrap_or(total))
}

impl Account {
    /// An empty account.
    pub fn new(unit: UnitCode, offset: i16, key: Option<Kid>) -> Self {
        Self {
            head: Head { unit, offset, key, tier: None, owed: Points::ZERO, frozen: false },
            lots: vec![],
            holds: vec![],
        }
    }

    /// Points that can be spent at `at`.
    pub fn available(&self, at: Time) -> Points {
        let today = at.date(self.head.offset);
        let spendable = |lot: &&Lot| lot.0.spendable(today) && !self.over(lot, at);
        self.lots.iter().filter(spendable).fold(Points::ZERO, |total, lot| total.plus(lot.1).unwrap_or(total))
    }

    /// Points that cannot be spent yet at `at`.
    pub fn pending(&self, at: Time) -> Points {
        let today = at.date(self.head.offset);
        let pending = |lot: &&Lot| !lot.0.spendable(today);
        self.lots.iter().filter(pending).fold(Points::ZERO, |total, lot| total.plus(lot.1).unwrap_or(total))
    }

    /// Points reserved.
    pub fn held(&self) -> Points {
        self.holds.iter().fold(Points::ZERO, |total, hold| total.plus(sum(&hold.lots)).unwrap_or(total))
    }

    /// available + held + pending: the balance that a leg states.
    pub fn total(&self) -> Points {
        self.held().plus(sum(&self.lots)).unwrap_or(Points::ZERO)
    }

    fn over(&self, lot: &Lot, at: Time) -> bool {
        lot.0.0.is_some_and(|until| until.ends(self.head.offset) <= at)
    }

    /// When the account next needs attention.
    pub fn due(&self) -> Option<Time> {
        // Lots are in order of `until`, so the first one is the first to expire.
        let expiry = self.lots.first().and_then(|lot| lot.0.0).map(|until| until.ends(self.head.offset));
        let deadline = self.holds.iter().map(|hold| hold.until).min();
        match (expiry, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Adds new points at `at`.
    pub fn give(&mut self, lot: Lot, at: Time) -> Result<(), Refusal> {
        self.mature(at.date(self.head.offset));
        self.total().plus(lot.1).ok_or(Refusal::AmountTooLarge)?;
        self.put(lot)
    }

    fn put(&mut self, lot: Lot) -> Result<(), Refusal> {
        if lot.1.is_zero() {
            return Ok(());
        }
        let place = self.lots.binary_search_by(|have| have.0.order(&lot.0));
        match place {
            Ok(found) => {
                if let Some(have) = self.lots.get_mut(found) {
                    have.1 = have.1.plus(lot.1).ok_or(Refusal::AmountTooLarge)?;
                }
            }
            Err(_) if self.lots.len() >= MAX_LOTS => return Err(Refusal::TooManyLots),
            Err(gap) => self.lots.insert(gap, lot),
        }
        Ok(())
    }

    /// Pending lots whose day has come join the free ones of their kind.
    fn mature(&mut self, today: Date) {
        if self.lots.iter().any(|lot| lot.0.1.is_some_and(|from| from <= today)) {
            for Lot(bucket, points) in std::mem::take(&mut self.lots) {
                let Bucket(until, from, month, origin) = bucket;
                self.put_back(Lot(Bucket(until, from.filter(|from| *from > today), month, origin), points));
            }
        }
    }

    /// Takes points that can be spent at `at`, in spending order; nothing if there are too few.
    pub fn draw(&mut self, points: Points, at: Time) -> Result<Vec<Lot>, Refusal> {
        if self.available(at) < points {
            return Err(Refusal::InsufficientPoints);
        }
        let today = at.date(self.head.offset);
        self.mature(today);
        Ok(draw_from(&mut self.lots, points, |lot| lot.0.spendable(today)))
    }

    /// Takes up to `most` free points of these kinds, whether they can be spent yet or not: the last to be spent first.
    /// Returns how many.
    pub fn draw_last(&mut self, most: Points, of: impl Fn(&Bucket) -> bool) -> Points {
        let mut left = most;
        for lot in self.lots.iter_mut().rev().filter(|lot| of(&lot.0)) {
            let part = left.min(lot.1);
            if let (Some(stays), Some(rest)) = (lot.1.minus(part), left.minus(part)) {
                (lot.1, left) = (stays, rest);
            }
        }
        self.lots.retain(|lot| !lot.1.is_zero());
        most.minus(left).unwrap_or_default()
    }

    /// Reserves points until a deadline.
    pub fn hold(&mut self, of: HoldId, until: Time, points: Points, at: Time) -> Result<(), Refusal> {
        if self.holds.len() >= MAX_HOLDS {
            return Err(Refusal::TooManyHolds);
        }
        let lots = self.draw(points, at)?;
        let place = self.holds.partition_point(|hold| hold.of < of);
        self.holds.insert(place, Hold { of, until, lots });
        Ok(())
    }

    /// The hold for a payment or an offer.
    pub fn hold_of(&self, of: HoldId) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.of == of)
    }

    /// Takes up to `points` out of a hold, in spending order.
    pub fn draw_held(&mut self, of: HoldId, points: Points) -> Vec<Lot> {
        let Some(hold) = self.holds.iter_mut().find(|hold| hold.of == of) else {
            return vec![];
        };
        let taken = draw_from(&mut hold.lots, points, |_| true);
        self.holds.retain(|hold| !hold.lots.is_empty());
        taken
    }

    /// Gives what is still held back to the free lots. Never refused, see [`Account::put_back`].
    pub fn release(&mut self, of: HoldId) {
        let Some(place) = self.holds.iter().position(|hold| hold.of == of) else {
            return;
        };
        for lot in self.holds.remove(place).lots {
            self.put_back(lot);
        }
    }

    /// Adds points that were this account's before, and must find room. If 64 lots are there, two that
    /// are neighbours in spending order become one, in the later bucket: nobody's points live shorter for
    /// it. The later bucket is the neighbour's behind or, at the end, that of the points themselves.
    pub fn put_back(&mut self, lot: Lot) {
        if self.put(lot).is_ok() {
            return;
        }
        let behind = self.lots.partition_point(|have| have.0.order(&lot.0) == Ordering::Less);
        let neighbour = behind.min(self.lots.len().saturating_sub(1));
        if let Some(have) = self.lots.get(neighbour).copied() {
            self.lots.remove(neighbour);
            let (early, late) = if have.0.comes_before(&lot.0) { (have.0, lot.0) } else { (lot.0, have.0) };
            let Bucket(until, _, month, origin) = late;
            let bucket = Bucket(until, sooner(have.0.1, lot.0.1), month, origin.joined(early.3));
            // A place is free now, and an account's points fit in sum.
            self.put(Lot(bucket, have.1.plus(lot.1).unwrap_or(have.1))).ok();
        }
    }

    /// Books what is due at `at`: first the holds whose deadline has come go back, then lots whose last
    /// day is over leave. Returns how many points expired.
    pub fn settle(&mut self, at: Time) -> Points {
        while let Some(of) = self.holds.iter().find(|hold| hold.until <= at).map(|hold| hold.of) {
            self.release(of);
        }
        let gone: Vec<Lot> = self.lots.iter().filter(|lot| self.over(lot, at)).copied().collect();
        if !gone.is_empty() {
            self.lots.retain(|lot| !gone.contains(lot));
        }
        sum(&gone)
    }
}

/// The earlier of two first days; no first day is earliest.
fn sooner(a: Option<Date>, b: Option<Date>) -> Option<Date> {
    a.zip(b).map(|(a, b)| a.min(b))
}

/// Takes `points` from the lots that `may` be taken, in order; the caller knows that there are enough,
/// or takes what there is.
fn draw_from(lots: &mut Vec<Lot>, points: Points, may: impl Fn(&Lot) -> bool) -> Vec<Lot> {
    let mut left = points;
    let mut taken = Vec::with_capacity(2);
    for lot in lots.iter_mut() {
        if left.is_zero() {
            break;
        }
        if !may(lot) {
            continue;
        }
        let part = left.min(lot.1);
        if let (Some(stays), Some(rest)) = (lot.1.minus(part), left.minus(part)) {
            lot.1 = stays;
            left = rest;
            taken.push(Lot(lot.0, part));
        }
    }
    lots.retain(|lot| !lot.1.is_zero());
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(n: u64) -> Points {
        Points::new(n).expect("few")
    }

    fn lot(until: Option<&str>, n: u64) -> Lot {
        let until = until.map(|day| day.parse().expect("a day"));
        Lot(Bucket(until, None, "2026-01".parse().expect("a month"), Origin::Earned), points(n))
    }

    /// An account with as many lots as there may be, the first until `first`, one a day.
    fn full(first: &str) -> Account {
        let mut account = Account::new("KINO".parse().expect("a unit"), 0, None);
        let mut day: Date = first.parse().expect("a day");
        for _ in 0..MAX_LOTS {
            account.give(lot(Some(&day.to_string()), 1), Time::default()).expect("room");
            day = day.plus_days(1);
        }
        account
    }

    #[test]
    fn points_that_come_back_to_a_full_account_never_live_shorter() {
        for back in [None, Some("2027-01-01"), Some("2026-01-01"), Some("2025-01-01")] {
            let mut account = full("2025-12-10");
            let mut before: Vec<Option<Date>> = account.lots.iter().map(|lot| lot.0.0).collect();
            account.put_back(lot(back, 1));
            assert_eq!(account.total(), points(65));
            before.push(lot(back, 1).0.0);
            let mut after: Vec<Option<Date>> = vec![];
            for lot in &account.lots {
                after.extend((0..lot.1.get()).map(|_| lot.0.0));
            }
            // Point by point, in the order of spending, never last.
            let key = |until: &Option<Date>| (until.is_none(), *until);
            before.sort_by_key(key);
            after.sort_by_key(key);
            assert!(before.iter().zip(&after).all(|(had, has)| key(had) <= key(has)), "{back:?}");
            assert!(account.lots.len() <= MAX_LOTS);
        }
    }

    #[test]
    fn what_two_sponsors_paid_for_is_neithers_once_it_is_one_lot() {
        let sponsored = |n: u8| Origin::Sponsored(Kid(crate::types::Hash([n; 32])));
        let of = |origin, n| {
            let Lot(Bucket(until, from, month, _), points) = lot(Some("2026-01-01"), n);
            Lot(Bucket(until, from, month, origin), points)
        };
        for (there, back, joined) in [
            (sponsored(2), sponsored(1), Origin::Earned),
            (Origin::Goodwill, sponsored(1), Origin::Goodwill),
            (sponsored(1), Origin::Earned, Origin::Earned),
            (sponsored(1), sponsored(1), sponsored(1)),
        ] {
            let mut account = full("2026-01-02");
            account.lots.pop();
            account.put_back(of(there, 10));
            account.put_back(of(back, 10));
            let first = account.lots.first().expect("a lot");
            assert_eq!((first.0.3, first.1), (joined, points(20)), "{there:?} {back:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Give(Option<u32>, Option<u32>, u64),
        Hold(u64, u64, u64),
        Capture(u64, u64),
        Release(u64),
        PutBack(Option<u32>, u64),
        Wait(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let day = prop::option::of(0..200u32);
        prop_oneof![
            4 => (day.clone(), prop::option::of(0..90u32), 1..50u64).prop_map(|(u, f, n)| Act::Give(u, f, n)),
            2 => (0..80u64, 1..40u64, 1..120u64).prop_map(|(p, n, d)| Act::Hold(p, n, d)),
            1 => (0..80u64, 1..40u64).prop_map(|(p, n)| Act::Capture(p, n)),
            1 => (0..80u64).prop_map(Act::Release),
            1 => (day, 1..50u64).prop_map(|(u, n)| Act::PutBack(u, n)),
            1 => (1..30u64).prop_map(Act::Wait),
        ]
    }

    fn bucket(until: Option<u32>, from: Option<u32>) -> Bucket {
        let day = |n: u32| "2026-01-01".parse::<Date>().expect("a day").plus_days(n);
        Bucket(until.map(day), from.map(day), "2026-01".parse().expect("a month"), Origin::Earned)
    }

    proptest! {
        #[test]
        fn points_are_neither_made_nor_lost(acts in prop::collection::vec(act(), 1..150), offset in -840..=840i16) {
            let start: Time = "2026-01-01T12:00:00Z".parse().expect("an instant");
            let mut account = Account::new("KINO".parse().expect("a unit"), offset, None);
            let (mut days, mut wanted) = (0u64, 0u64);
            for act in acts {
                let at = start.plus_seconds(days * 86_400);
                wanted -= account.settle(at).get();
                let payment = |p| HoldId::Payment(crate::types::PaymentId { seq: p, part: 0 });
                match act {
                    // What is past its date is never given or put back; that is the draft's business.
                    Act::Give(until, from, n) if until.is_none_or(|u| u64::from(u) > days + 1) => {
                        wanted += account.give(Lot(bucket(until, from), points(n)), at).map_or(0, |()| n);
                    }
                    Act::PutBack(until, n) if until.is_none_or(|u| u64::from(u) > days + 1) => {
                        account.put_back(Lot(bucket(until, None), points(n)));
                        wanted += n;
                    }
                    Act::Hold(p, n, d) if account.hold_of(payment(p)).is_none() => {
                        let (free, held) = (account.available(at), account.held());
                        let took = account.hold(payment(p), at.plus_seconds(d * 3_600), points(n), at);
                        prop_assert_eq!(took.is_ok(), free >= points(n) && account.holds.len() <= MAX_HOLDS);
                        let more = took.map_or(0, |()| n);
                        prop_assert_eq!(account.held().get(), held.get() + more);
                        prop_assert_eq!(account.available(at).get(), free.get() - more);
                    }
                    Act::Capture(p, n) => {
                        let taken = account.draw_held(payment(p), points(n));
                        prop_assert!(taken.is_sorted_by(|a, b| a.0.order(&b.0) != Ordering::Greater));
                        wanted -= sum(&taken).get();
                    }
                    // What is past its date when it comes back expires at once, as in the draft.
                    Act::Release(p) => {
                        account.release(payment(p));
                        wanted -= account.settle(at).get();
                    }
                    Act::Wait(n) => days += n,
                    _ => {}
                }
                prop_assert_eq!(account.total().get(), wanted);
                prop_assert_eq!(account.total(), account.available(at).plus(account.pending(at)).and_then(|s| s.plus(account.held())).expect("fits"));
                prop_assert!(account.lots.is_sorted_by(|a, b| a.0.comes_before(&b.0)), "in order, each bucket once");
                prop_assert!(account.lots.iter().all(|lot| !lot.1.is_zero()) && account.lots.len() <= MAX_LOTS);
                // What is settled is settled, however often one looks, and in however many steps.
                let (mut once, mut steps) = (account.clone(), account.clone());
                let later = at.plus_seconds(40 * 86_400);
                let all = once.settle(later);
                let first = steps.settle(at.plus_seconds(13 * 86_400));
                prop_assert_eq!(first.plus(steps.settle(later)), Some(all));
                prop_assert_eq!(&steps.lots, &once.lots);
                prop_assert!(once.due().is_none_or(|due| due > later));
                prop_assert_eq!(once.settle(later), Points::ZERO);
            }
        }
    }
}
