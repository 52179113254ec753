//! Closed months: what comes for one of them after it was closed is told apart.
//!
//! Owns: that rule. Promises: points count as of the month in which they were earned, as their lots say. What an entry only
//! moved (lots whose day has come, points that were held) belongs to no month anew.
//! Refuses to know: who closes months.

use crate::book::{Bucket, Done, Hold, Name, Period, Place, Record, Shared};
use crate::machine::Event;
use crate::types::{AccountId, HoldId, Month};
use std::collections::BTreeMap;

/// The months that are closed, as far as the events tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Periods {
    last: Option<Period>,
    holds: BTreeMap<(AccountId, HoldId), Hold>,
}

impl Periods {
    /// Takes an event in; it is judged by what was closed before it.
    pub fn take(&mut self, event: &Event) {
        for done in event.effects.iter().map(|effect| &effect.done) {
            for (account, of, after) in &done.holds {
                match after {
                    Some(hold) => self.holds.insert((*account, *of), hold.clone()),
                    None => self.holds.remove(&(*account, *of)),
                };
            }
            for (name, record) in done.puts() {
                if let (Name::Period, Some(Record::Period(period))) = (name, record) {
                    self.last = Some(period.clone());
                }
            }
        }
    }

    /// The month that was closed last.
    pub fn last(&self) -> Option<&Period> {
        self.last.as_ref()
    }

    /// The closed month for which points come into being here, if it is one.
    pub fn late(&self, done: &Done) -> Option<Month> {
        let closed = self.last.as_ref()?.month;
        if !done.legs.iter().any(|leg| matches!(leg.place, Place::Shared(_, Shared::Issuance))) {
            return None;
        }
        let moved = self.moved(done);
        let given = || done.lots.iter().filter(|(_, _, after)| !after.is_zero());
        let fresh = given().filter(|(account, bucket, _)| !moved.contains(&(*account, *bucket)));
        // What is given may join a lot that was moved: then it is of the latest month that it can be of.
        let earned = fresh.map(|(_, bucket, _)| bucket.2).max();
        let earned = earned.or_else(|| given().map(|(_, bucket, _)| bucket.2).max());
        earned.filter(|earned| *earned <= closed)
    }

    /// The lots that got points which their holder had before: of a kind whose day has come, or out of a hold that ended.
    fn moved(&self, done: &Done) -> Vec<(AccountId, Bucket)> {
        let free = |bucket: &Bucket| Bucket(bucket.0, None, bucket.2, bucket.3);
        let come = done.lots.iter().filter(|(_, bucket, after)| after.is_zero() && bucket.1.is_some());
        let come = come.map(|(account, bucket, _)| (*account, free(bucket)));
        let ended = done.holds.iter().filter_map(|(account, of, after)| match after {
            Some(_) => None,
            None => Some((*account, self.holds.get(&(*account, *of))?)),
        });
        let ended = ended.flat_map(|(account, hold)| hold.lots.iter().map(move |lot| (account, lot.0)));
        let ended = ended.flat_map(|(account, bucket)| [(account, bucket), (account, free(&bucket))]);
        come.chain(ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Leg, Lot, Mark, Origin};
    use crate::types::{Asset, Date, Points, Time, UnitCode};

    fn id<T: std::str::FromStr>(text: &str) -> T {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    fn bucket(month: &str, from: Option<&str>) -> Bucket {
        Bucket(Some(id::<Date>("2020-12-31")), from.map(id), id(month), Origin::Earned)
    }

    /// An award that leaves these lots, each with how many points.
    fn award(lots: &[(Bucket, u64)]) -> Done {
        let (unit, account): (UnitCode, AccountId) = (id("BLOOM"), AccountId(7));
        let leg = |place, amount| Leg { place, asset: Asset::Unit(unit), amount, after: None };
        let lots = lots.iter().map(|(bucket, n)| (account, *bucket, Points::new(*n).expect("points")));
        Done {
            legs: vec![leg(Place::Shared(unit, Shared::Issuance), -9), leg(Place::Holder(account), 9)],
            lots: lots.collect(),
            ..Done::default()
        }
    }

    fn closed() -> Periods {
        let closed = Mark { seq: 5, at: Time::default() };
        Periods { last: Some(Period { month: id("2018-02"), seq: 4, closed }), holds: BTreeMap::new() }
    }

    #[test]
    fn what_an_award_moves_beside_is_of_no_month() {
        let (old, ripe) = (bucket("2018-02", Some("2018-03-05")), bucket("2018-02", None));
        let new = bucket("2018-03", Some("2018-03-12"));
        assert_eq!(closed().late(&award(&[(new, 9)])), None);
        assert_eq!(closed().late(&award(&[(ripe, 9)])), Some(id("2018-02")), "earned then");
        assert_eq!(closed().late(&award(&[(old, 0), (ripe, 300), (new, 9)])), None);
        assert_eq!(closed().late(&award(&[(old, 0), (ripe, 309)])), Some(id("2018-02")), "joined it");
        assert_eq!(Periods::default().late(&award(&[(ripe, 9)])), None, "nothing is closed");
    }

    #[test]
    fn points_that_were_held_are_of_no_month() {
        let (old, new) = (bucket("2018-02", None), bucket("2018-03", Some("2018-03-12")));
        let mut done = award(&[(old, 300), (new, 9)]);
        let (account, of) = (AccountId(7), HoldId::Payment(id("pay_3.0")));
        done.holds.push((account, of, None));
        let mut periods = closed();
        let lots = vec![Lot(old, Points::new(100).expect("points"))];
        periods.holds.insert((account, of), Hold { of, until: Time::default(), lots });
        assert_eq!(periods.late(&done), None);
    }
}
