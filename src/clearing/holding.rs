//! What is on the settlement accounts, against what the house must hold there for others.
//!
//! Owns: the one sum of all that is others' money, and the comparison with the balance that the bank's statements say.
//! Promises: money that left an account and is nobody's makes it short, whatever else is booked; so does money that was
//! written off, that the bank charged, or that the operator bears, until the operator brings it, whether or not the line that
//! brought it was assigned. What is withdrawn must be there until the line is known by which it left, or as much left by lines
//! that are nobody's. More than must be there is no fault: the house may leave money of its own.
//! Refuses to know: what the reserves of others than the house come to: a reserve that is filled when points are issued is
//! kept by its holder, elsewhere.

use super::notified::NOTIFIED_WAITS;
use super::report::Books;
use crate::book::{Closing, CoverChange, CoverStep, Name, Record, Statement, StatementLine, Sums, Way};
use crate::types::{Currency, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the names of the records begin that this is made of.
pub const HOLDING: &[&str] =
    &["bank/", "borne/", "cover/", "cycle", "funding/", "network", "reserve/", "statement/", "told/"];

/// A settlement account: its balance, and what must be there. Amounts are in the network's smallest unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Holding {
    /// The currency.
    pub currency: Currency,
    /// By the newest accepted statement: below 0 if overdrawn; 0 before the first.
    pub balance: i64,
    /// What must be there for others: all of the following, `notified` taken off.
    pub must: i64,
    /// Cover that participants left.
    pub cover: i64,
    /// Their shares of the common fund, as far as they brought them.
    pub fund: i64,
    /// Reserves that were brought.
    pub reserves: i64,
    /// Of cycles under way: paid in, drawn and written off, and not paid out yet.
    pub cycles: i64,
    /// Lines that brought money that is nobody's, beyond what the operator is to bring.
    pub nobodys: i64,
    /// What the operator bears, of write-offs, defaults and the bank's charges, and no line is said to have brought; below 0,
    /// what of its own is there.
    pub borne: i64,
    /// What notifications told within 7 days and no statement has yet: + came in, and is not on the account by a statement.
    pub notified: i64,
    /// Withdrawn, and not gone by lines of accepted statements that are nobody's: it lies on the account still.
    pub on_its_way: i64,
    /// Less is there than must be.
    pub short: bool,
}

/// What is added up for one account.
#[derive(Default)]
struct Count {
    balance: i64,
    cover: i64,
    /// By participant: brought of the fund, less taken back and drawn.
    fund: BTreeMap<String, i64>,
    reserves: i64,
    cycles: i64,
    came: i64,
    notified: i64,
    /// What the operator is to bring: what it bears, and of shares of the fund that were drawn what was never brought.
    borne: i64,
    withdrawn: i64,
    went: i64,
}

fn add(sum: &mut i64, amount: i64) {
    *sum = sum.saturating_add(amount);
}

/// All accounts at an instant, in the order of currencies.
pub fn holdings(books: &Books, now: Time) -> Vec<Holding> {
    let mut counts: BTreeMap<Currency, Count> = BTreeMap::new();
    for (currency, _) in books.currencies() {
        counts.entry(currency).or_default();
    }
    for (name, record) in &books.0 {
        match (name, &**record) {
            (Name::Bank(currency), Record::Bank(bank)) => {
                counts.entry(*currency).or_default().balance = bank.balance;
            }
            (Name::Borne(currency), Record::Total(borne)) => {
                add(&mut counts.entry(*currency).or_default().borne, *borne);
            }
            (Name::Funding(_, currency), Record::Funding(funding)) => {
                add(&mut counts.entry(*currency).or_default().cover, funding.cover.signed());
            }
            (Name::Reserve(_), Record::Reserve(reserve)) if reserve.issuance.is_none() => {
                add(&mut counts.entry(reserve.currency).or_default().reserves, reserve.held.signed());
            }
            (Name::CoverStep(who, currency, _), Record::CoverStep(step)) => {
                counts.entry(*currency).or_default().step(who.as_str(), step);
            }
            (Name::Closing(_), Record::Closing(closing)) => {
                for sums in &closing.sums {
                    counts.entry(sums.currency).or_default().cycle(closing, sums);
                }
            }
            (Name::Statement(currency, _), Record::Statement(statement)) => {
                counts.entry(*currency).or_default().statement(statement);
            }
            // Money that no statement has for so long did not come.
            (Name::Told(currency, _), Record::Told(told))
                if told.accepted.at.plus_seconds(NOTIFIED_WAITS) >= now =>
            {
                add(&mut counts.entry(*currency).or_default().notified, signed(&told.line));
            }
            _ => {}
        }
    }
    counts.into_iter().map(|(currency, count)| count.holding(currency)).collect()
}

/// How a line moves the balance.
fn signed(line: &StatementLine) -> i64 {
    match line.way {
        Way::In => line.amount.signed(),
        Way::Out => line.amount.signed().saturating_neg(),
    }
}

impl Count {
    /// Steps come in the order of entries, so a share of the fund never gives more than was brought: what it grew by points
    /// that ended is kept elsewhere.
    fn step(&mut self, who: &str, step: &CoverStep) {
        let amount = step.amount.signed();
        let fund = self.fund.entry(who.to_owned()).or_default();
        match step.change {
            CoverChange::ToppedUp if step.of_fund => add(fund, amount),
            CoverChange::Withdrawn => {
                let mut left = amount;
                if step.of_fund {
                    left = amount.min(*fund);
                    add(fund, left.saturating_neg());
                }
                if step.line.is_none() {
                    add(&mut self.withdrawn, left);
                }
            }
            CoverChange::Drawn => {
                let brought = step.fund.signed().min(*fund);
                add(fund, brought.saturating_neg());
                add(&mut self.borne, step.fund.signed().saturating_sub(brought));
            }
            _ => {}
        }
    }

    fn cycle(&mut self, closing: &Closing, sums: &Sums) {
        let [paid_in, drawn, written_off, surplus, paid_out] =
            [sums.paid_in, sums.drawn, sums.written_off, sums.surplus, sums.paid_out].map(|n| n.signed());
        if closing.settled.is_none() && closing.voided.is_none() {
            for amount in [paid_in, drawn, written_off, surplus, paid_out.saturating_neg()] {
                add(&mut self.cycles, amount);
            }
        }
    }

    fn statement(&mut self, statement: &Statement) {
        for (number, line) in (0u16..).zip(&statement.lines) {
            let left = statement.left(number).signed();
            add(if line.way == Way::In { &mut self.came } else { &mut self.went }, left);
        }
    }

    fn holding(self, currency: Currency) -> Holding {
        let fund = self.fund.values().fold(0i64, |sum, brought| sum.saturating_add(*brought));
        let nobodys = self.came.saturating_sub(self.borne.max(0)).max(0);
        let on_its_way = self.withdrawn.saturating_sub(self.went).max(0);
        let notified = self.notified.saturating_neg();
        let all = [self.cover, fund, self.reserves, self.cycles, nobodys, on_its_way, notified];
        let must = all.into_iter().fold(0, i64::saturating_add);
        Holding {
            currency,
            balance: self.balance,
            must,
            cover: self.cover,
            fund,
            reserves: self.reserves,
            cycles: self.cycles,
            nobodys,
            borne: self.borne,
            notified: self.notified,
            on_its_way,
            short: self.balance < must,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn books(records: &[(&str, &str)]) -> Books {
        let mut books = Books::default();
        for (name, text) in records {
            let name: Name = name.parse().expect("a name");
            let record = Record::decode(&name, text.as_bytes()).expect("a record");
            books.0.insert(name, Arc::new(record));
        }
        books
    }

    const ACCEPTED: &str = r#""accepted":{"seq":5,"at":"2026-11-30T08:15:00.000000Z"}"#;

    fn statement(lines: &str, exceptions: &str) -> String {
        let zeros = "0".repeat(64);
        let by = "A".repeat(43);
        format!(
            r#"{{"currency":"EUR","document":"{zeros}","opening":0,"closing":0,"lines":[{lines}],"by":"{by}",{ACCEPTED}{exceptions}}}"#
        )
    }

    #[test]
    fn money_that_left_and_is_nobodys_makes_an_account_short() {
        let came = r#"{"entry":"E1","booking":"booked","way":"in","amount":700}"#;
        let went = r#"{"entry":"E2","booking":"booked","way":"out","amount":200}"#;
        let first = statement(came, r#","exceptions":[[0,"unknown"]],"covers":[[0,500]]"#);
        let second = statement(went, r#","exceptions":[[0,"unknown"]]"#);
        let bank = |balance: u64| format!(r#"{{"balance":{balance},"statement":"S-2"}}"#);
        let of = |balance: u64| {
            let all = books(&[
                ("bank/EUR", &bank(balance)),
                ("funding/pa_kino/EUR", r#"{"cover":500,"fund":0}"#),
                ("statement/EUR/S-1", &first),
                ("statement/EUR/S-2", &second),
            ]);
            holdings(&all, Time::default()).pop().expect("an account")
        };
        let before = of(700);
        assert_eq!((before.cover, before.nobodys, before.must, before.short), (500, 200, 700, false));
        let after = of(500);
        assert_eq!((after.balance, after.must, after.short), (500, 700, true));
    }

    #[test]
    fn what_was_notified_is_not_on_the_account_yet() {
        let line = r#"{"entry":"N1","booking":"booked","way":"in","amount":300}"#;
        let told = format!(r#"{{"statement":"N-1","line":{line},{ACCEPTED}}}"#);
        let sums = r#"{"currency":"EUR","payers":1,"receivers":1,"moved":300,"paid_in":300,"drawn":0,"lost":0,"paid_out":0}"#;
        let sums = sums.replace(r#""lost""#, r#""written_off":0,"lost""#);
        let closing = format!(r#"{{"from":1,"version":1,"sums":[{sums}]}}"#);
        let all = books(&[("cycle/1", &closing), ("told/EUR/N1", &told)]);
        let one = holdings(&all, Time::default()).pop().expect("an account");
        assert_eq!((one.cycles, one.notified, one.must, one.short), (300, 300, 0, false));
        let one = holdings(&books(&[("cycle/1", &closing)]), Time::default()).pop().expect("an account");
        assert!(one.short, "nobody told of it, and no statement has it");
        let accepted: Time = "2026-11-30T08:15:00.000000Z".parse().expect("an instant");
        let late = holdings(&all, accepted.plus_seconds(NOTIFIED_WAITS + 1)).pop().expect("an account");
        assert!(late.short, "it was told of, and no statement has it for so long");
    }
}
