//! What no rule of the log forbids, and whoever verifies it should know.
//!
//! Owns: cycles that the schedule sealed late or not at all; months that were closed before all of their entries were there;
//! notifications of a bank that its statements do not repeat; settlement accounts with less on them than must be there.
//! Promises: each is named with its entry; none of it makes a log wrong.
//! Refuses to know: why it came so.

use crate::book::{Name, Period, Record, Told};
use crate::clearing::{Books, NOTIFIED_WAITS, holdings};
use crate::store::Read;
use crate::types::{Currency, Ident, Malformed, Month, Time};
use std::collections::BTreeMap;

/// How late a scheduled seal may be, in seconds: a node that was started anew needs some.
const SLACK: u64 = 3_600;
/// How the names of what notifications told begin.
const TOLD: &str = "told/";

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

    /// What notifications of banks told and no accepted statement repeats, out of the state at the end.
    pub fn told(&mut self, read: &dyn Read, now: Time) -> Result<(), String> {
        let mut after = TOLD.to_owned();
        loop {
            let rows = read.scan(&after, 1_000).map_err(|e| e.to_string())?.rows;
            for row in rows.iter().take_while(|row| row.key.starts_with(TOLD)) {
                let name: Name = row.key.parse().map_err(|e: Malformed| e.to_string())?;
                let record = Record::decode(&name, &row.value).map_err(|e| e.to_string())?;
                if let (Name::Told(currency, entry), Record::Told(told)) = (name, record) {
                    self.waits(currency, &entry, &told, now);
                }
            }
            match rows.last().filter(|row| row.key.starts_with(TOLD)) {
                Some(row) => after.clone_from(&row.key),
                None => return Ok(()),
            }
        }
    }

    fn waits(&mut self, currency: Currency, entry: &Ident, told: &Told, now: Time) {
        if told.accepted.at.plus_seconds(NOTIFIED_WAITS) >= now {
            return;
        }
        self.said.push(format!(
            "notification {} counts by entry {} of {}, and no statement in {currency} has its line {entry} since: ask the \
             bank for the account's statements",
            told.statement, told.accepted.seq, told.accepted.at
        ));
    }

    /// A settlement account has less than must be there.
    pub fn accounts(&mut self, books: &Books, now: Time) {
        let network = books.0.get(&Name::Network).and_then(|record| record.network());
        for one in holdings(books, now).iter().filter(|one| one.short) {
            let told = |amount: i64| match network {
                Some(network) => network.told(one.currency, amount),
                None => amount.to_string(),
            };
            let borne = match one.borne {
                1.. => format!("; the operator bears {} and has not brought it", told(one.borne)),
                _ => String::new(),
            };
            self.said.push(format!(
                "the settlement account in {} has {} by its newest accepted statement, and {} must be there: covers, \
                 fund, reserves, cycles under way and what is nobody's{borne}",
                one.currency,
                told(one.balance),
                told(one.must)
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
    fn a_notification_that_no_statement_repeats_is_named() {
        let line = r#"{"entry":"BANK-9","booking":"booked","way":"in","amount":51000}"#;
        let accepted = Mark { seq: 7, at: Time::default() };
        let told = Told {
            statement: "N-1".parse().expect("an id"),
            line: serde_json::from_str(line).expect("a line"),
            accepted,
        };
        let (eur, entry) = ("EUR".parse().expect("EUR"), told.line.entry.clone());
        let (end, mut notes) = (accepted.at.plus_seconds(NOTIFIED_WAITS), Notes::default());
        notes.waits(eur, &entry, &told, end);
        assert_eq!(notes.said, Vec::<String>::new());
        notes.waits(eur, &entry, &told, end.plus_seconds(1));
        assert!(notes.said.iter().any(|said| said.contains("N-1") && said.contains("BANK-9")));
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
