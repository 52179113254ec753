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
