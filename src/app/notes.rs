//! What no rule of the log forbids, and whoever verifies it should know.
//!
//! Owns: cycles that the schedule sealed late or not at all; months that were closed before all of their entries were there.
//! Promises: each is named with its entry; none of it makes a log wrong.
//! Refuses to know: why it came so.

use crate::book::Period;
use crate::types::{Month, Time};
use std::collections::BTreeMap;

/// How late a scheduled seal may be, in seconds: a node that was started anew needs some.
const SLACK: u64 = 3_600;

/// See the module.
#[derive(Default)]
pub(super) struct Notes {
    /// The first entry of each month that has one.
    first: BTreeMap<Month, u64>,
    /// What was found.
    pub said: Vec<String>,
}

impl Notes {
    /// An entry, in the order of the log.
    pub fn entry(&mut self, seq: u64, at: Time) {
        self.first.entry(at.date(0).month()).or_insert(seq);
    }

    /// A month was closed by this entry.
    pub fn closed(&mut self, seq: u64, period: &Period) {
        let later = self.first.range(period.month.next()..).next().map_or(seq, |(_, first)| *first);
        let outside = later.saturating_sub(period.seq.saturating_add(1));
        if outside > 0 {
            let (month, through) = (period.month, period.seq);
            self.said.push(format!(
                "entry {seq} closed {month} with entry {through}, and {outside} later entries are of that month"
            ));
        }
    }

    /// Cycle `open` was to be sealed at `due`; it was at this instant, by this entry, or is not yet.
    pub fn sealed(&mut self, open: u64, due: Time, by: Option<u64>, now: Time) {
        if due.plus_seconds(SLACK) >= now {
            return;
        }
        self.said.push(match by {
            Some(seq) => {
                format!("cycle {open} was to be sealed at {due}, and was not before entry {seq}, at {now}")
            }
            None => format!("cycle {open} was to be sealed at {due}, and is open still"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Mark;

    #[test]
    fn a_month_that_was_closed_too_soon_is_named() {
        let at = |text: &str| text.parse::<Time>().expect("an instant");
        let mut notes = Notes::default();
        for (seq, day) in [(0, "2026-01-05"), (1, "2026-01-30"), (2, "2026-01-31"), (3, "2026-02-01")] {
            notes.entry(seq, at(&format!("{day}T12:00:00.000000Z")));
        }
        let month: Month = "2026-01".parse().expect("a month");
        let closed = Mark { seq: 4, at: at("2026-02-02T00:00:00.000000Z") };
        let period = |seq| Period { month, seq, closed };
        for seq in [2, 3] {
            notes.closed(4, &period(seq));
        }
        assert_eq!(notes.said, Vec::<String>::new());
        notes.closed(4, &period(0));
        assert_eq!(
            notes.said,
            ["entry 4 closed 2026-01 with entry 0, and 2 later entries are of that month"]
        );
    }

    #[test]
    fn a_seal_that_is_late_is_named() {
        let (due, mut notes) = (Time::default().plus_seconds(1_000), Notes::default());
        notes.sealed(3, due, Some(9), due.plus_seconds(SLACK));
        assert_eq!(notes.said, Vec::<String>::new());
        notes.sealed(3, due, Some(9), due.plus_seconds(SLACK + 1));
        notes.sealed(4, due, None, due.plus_seconds(SLACK + 1));
        assert_eq!(notes.said.len(), 2);
        assert!(notes.said[0].contains("not before entry 9") && notes.said[1].contains("open still"));
    }
}
