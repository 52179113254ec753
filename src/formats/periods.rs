//! Closed months: what comes for one of them after it was closed is told apart.
//!
//! Owns: that rule. Promises: points count as of the month in which they were earned, as their lots say.
//! Refuses to know: who closes months.

use crate::book::{Done, Name, Period, Place, Record, Shared};
use crate::machine::Event;
use crate::types::Month;

/// The months that are closed, as far as the events tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Periods {
    last: Option<Period>,
}

impl Periods {
    /// Takes an event in; it is judged by what was closed before it.
    pub fn take(&mut self, event: &Event) {
        let puts = event.effects.iter().flat_map(|effect| effect.done.puts());
        for (name, record) in puts {
            if let (Name::Period, Some(Record::Period(period))) = (name, record) {
                self.last = Some(period.clone());
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
        let issues = done.legs.iter().any(|leg| matches!(leg.place, Place::Shared(_, Shared::Issuance)));
        let given = done.lots.iter().filter(|(_, _, after)| !after.is_zero()).map(|(_, bucket, _)| bucket.2);
        given.filter(|earned| issues && *earned <= closed).max()
    }
}
