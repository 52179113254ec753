//! Moves: the few ways in which points change hands. Each books the account and its legs together.

use super::account::{Bucket, Lot, Origin};
use super::change::Shared;
use super::draft::{Draft, Stop};
use crate::types::{AccountId, HoldId, Points, Refusal, Time, UnitCode};

impl Draft<'_> {
    /// Issues points to an account: what it owes is repaid first, and what is past its date already
    /// expires at once.
    pub fn give(&mut self, id: AccountId, unit: UnitCode, lot: Lot) -> Result<(), Stop> {
        let at = self.at;
        let Lot(bucket, points) = lot;
        let (repaid, expired, kept) = self.change(id, |account| {
            let repaid = account.head.owed.min(points);
            let rest = points.minus(repaid).ok_or(Refusal::AmountTooLarge)?;
            account.head.owed = account.head.owed.minus(repaid).ok_or(Refusal::AmountTooLarge)?;
            if bucket.0.is_some_and(|until| until.ends(account.head.offset) <= at) {
                return Ok((repaid, rest, Points::ZERO));
            }
            account.give(Lot(bucket, rest), at)?;
            Ok((repaid, Points::ZERO, rest))
        })?;
        self.issue_into(id, unit, Shared::ClawedBack, repaid)?;
        self.issue_into(id, unit, Shared::Expired, expired)?;
        self.transfer(id, unit, Shared::Issuance, kept.signed().checked_neg().ok_or(Refusal::AmountTooLarge)?)
    }

    fn issue_into(&mut self, id: AccountId, unit: UnitCode, to: Shared, points: Points) -> Result<(), Stop> {
        if points.is_zero() {
            return Ok(());
        }
        self.reroute(id, unit, Shared::Issuance, to, points.signed())
    }

    /// Reserves points for a payment or an offer until its deadline.
    pub fn hold(
        &mut self,
        id: AccountId,
        of: impl Into<HoldId>,
        until: Time,
        points: Points,
    ) -> Result<(), Stop> {
        let at = self.at;
        self.change(id, |account| account.hold(of.into(), until, points, at))
    }

    /// Gives back what is still held; what is past its date expires in the same entry.
    pub fn release(&mut self, id: AccountId, unit: UnitCode, of: impl Into<HoldId>) -> Result<(), Stop> {
        let at = self.at;
        let expired = self.change(id, |account| {
            account.release(of.into());
            Ok(account.settle(at))
        })?;
        self.transfer(id, unit, Shared::Expired, expired.signed())
    }

    /// Takes points, for a shared account: out of the hold, then, if that is short by rounding, out of the
    /// account. Returns the lots, in the order of taking.
    pub fn take(
        &mut self,
        id: AccountId,
        unit: UnitCode,
        of: impl Into<HoldId>,
        points: Points,
        to: Shared,
    ) -> Result<Vec<Lot>, Stop> {
        let at = self.at;
        let taken = self.change(id, |account| {
            let mut taken = account.draw_held(of.into(), points);
            let have = taken.iter().fold(Points::ZERO, |sum, lot| sum.plus(lot.1).unwrap_or(sum));
            let short = points.minus(have).ok_or(Refusal::AmountTooLarge)?;
            if !short.is_zero() {
                taken.extend(account.draw(short, at)?);
            }
            Ok(taken)
        })?;
        self.transfer(id, unit, to, points.signed())?;
        Ok(taken)
    }

    /// Takes points of these kinds for good, up to so many: what is there and not held, the last to be spent first. Returns
    /// how many.
    pub fn claw_back(
        &mut self,
        id: AccountId,
        unit: UnitCode,
        most: Points,
        of: impl Fn(&Bucket) -> bool,
    ) -> Result<Points, Stop> {
        let taken = self.change(id, |account| Ok(account.draw_last(most, of)))?;
        self.transfer(id, unit, Shared::ClawedBack, taken.signed())?;
        Ok(taken)
    }

    /// Gives spent points back, into the lots they came from. What is past its date lives on for the
    /// unit's grace, once; after that it expires at once.
    pub fn restore(
        &mut self,
        id: AccountId,
        unit: UnitCode,
        lots: &[Lot],
        grace_days: u32,
    ) -> Result<(), Stop> {
        let at = self.at;
        let (mut restored, mut expired) = (Points::ZERO, Points::ZERO);
        self.change(id, |account| {
            for lot in lots {
                restored = restored.plus(lot.1).ok_or(Refusal::AmountTooLarge)?;
                let over =
                    |bucket: &Bucket| bucket.0.is_some_and(|until| until.ends(account.head.offset) <= at);
                let Bucket(until, _, month, origin) = lot.0;
                let again =
                    Bucket(until.map(|day| day.plus_days(grace_days)), None, month, Origin::Reinstated);
                if !over(&lot.0) {
                    account.put_back(*lot);
                } else if origin != Origin::Reinstated && !over(&again) {
                    account.put_back(Lot(again, lot.1));
                } else {
                    expired = expired.plus(lot.1).ok_or(Refusal::AmountTooLarge)?;
                }
            }
            Ok(())
        })?;
        let back = restored.minus(expired).ok_or(Refusal::AmountTooLarge)?;
        self.transfer(
            id,
            unit,
            Shared::Redeemed,
            back.signed().checked_neg().ok_or(Refusal::AmountTooLarge)?,
        )?;
        if expired.is_zero() {
            return Ok(());
        }
        self.reroute(id, unit, Shared::Redeemed, Shared::Expired, expired.signed())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Account, Found, Name, Record, Source};
    use super::*;
    use std::sync::Arc;

    /// One account of 10 points, of which 4 are held.
    struct One(Account);

    const ID: AccountId = AccountId(7);
    const PAYMENT: HoldId = HoldId::Payment(crate::types::PaymentId { seq: 3, part: 0 });

    impl Source for One {
        fn find(&self, name: &Name) -> Found {
            match name {
                Name::Account(ID) => Found::Known(Arc::new(Record::Account(self.0.clone()))),
                _ => Found::Absent,
            }
        }
    }

    fn points(n: u64) -> Points {
        Points::new(n).expect("few")
    }

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("in range")
    }

    fn unit() -> UnitCode {
        "KINO".parse().expect("a unit")
    }

    fn lot(n: u64) -> Lot {
        Lot(Bucket(None, None, "2026-01".parse().expect("a month"), Origin::Earned), points(n))
    }

    fn one() -> One {
        let mut account = Account::new(unit(), 0, None);
        account.give(lot(10), at(1)).expect("room");
        account.hold(PAYMENT, at(1_000), points(4), at(1)).expect("enough");
        One(account)
    }

    fn totals(draft: Draft) -> Vec<Name> {
        let records = draft.finish().expect("sums").records;
        records.into_iter().map(|(name, _)| name).filter(|name| matches!(name, Name::Shared(..))).collect()
    }

    #[test]
    fn a_release_of_which_nothing_expires_makes_no_total() {
        let one = one();
        let mut draft = Draft::new(&one, 5, at(10));
        draft.release(ID, unit(), PAYMENT).expect("released");
        assert_eq!(totals(draft), vec![]);
    }

    #[test]
    fn a_refused_line_leaves_no_total() {
        let one = one();
        let mut draft = Draft::new(&one, 5, at(10));
        draft.begin_line(1);
        draft.give(ID, unit(), lot(1)).expect("given");
        draft.end_line(false).expect("undone");
        assert_eq!(totals(draft), vec![]);

        let mut draft = Draft::new(&one, 5, at(10));
        for (line, keep) in [(1, true), (2, false)] {
            draft.begin_line(line);
            draft.give(ID, unit(), lot(1)).expect("given");
            draft.end_line(keep).expect("closed");
        }
        let records = draft.finish().expect("sums").records;
        let issued = records.iter().find(|(name, _)| matches!(name, Name::Shared(_, Shared::Issuance)));
        assert_eq!(issued.and_then(|(_, record)| record.as_deref()), Some(&Record::Total(-1)));
    }
}
