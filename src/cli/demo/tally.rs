//! The tally: what the demo itself believes to have happened, from the answers that it was given.
//!
//! Owns: the demo's own sums, made apart from the network's books.
//! Promises: only commands that were accepted are counted, by the published formulas; the page compares
//! these sums with the network's and the demo fails if they differ.
//! Refuses to know: state, views, the log.

use super::fees::Charged;
use crate::types::{Money, Points};
use std::collections::BTreeMap;

/// One brand's sums, in minor units of its points.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Points that were issued.
    pub issued: u64,
    /// Spent at the brand's own shops, returns taken off.
    pub home: u64,
    /// Spent elsewhere, returns taken off.
    pub elsewhere: u64,
}

/// How many commands of each sort were accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Counts {
    /// What founding took.
    pub founding: u64,
    /// Tills that were certified.
    pub tills: u64,
    /// Budgets that were renewed.
    pub budgets: u64,
    /// Accounts that were opened.
    pub accounts: u64,
    /// Awards.
    pub awards: u64,
    /// Payments.
    pub payments: u64,
    /// Captures of their own.
    pub captures: u64,
    /// Returns.
    pub refunds: u64,
    /// What lets API keys write.
    pub sandbox: u64,
    /// What closing the months took.
    pub clearing: u64,
}

impl Counts {
    /// All of them.
    pub fn sum(&self) -> u64 {
        let Self {
            founding,
            tills,
            budgets,
            accounts,
            awards,
            payments,
            captures,
            refunds,
            sandbox,
            clearing,
        } = self;
        let trade = accounts + awards + payments + captures + refunds;
        founding + tills + budgets + trade + sandbox + clearing
    }
}

/// What one brand's points bear of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Borne {
    /// Whose points: the brand's place.
    pub brand: usize,
    /// What of the bill they pay, in full.
    pub amount: Money,
    /// P, in full.
    pub points: Points,
    /// O, in full.
    pub obligation: Money,
}

/// A payment that may still move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paid {
    /// The shop's brand.
    pub shop: usize,
    /// X, what was authorised.
    pub amount: Money,
    /// What was captured and not refunded.
    pub net: u64,
    /// One for each unit.
    pub shares: Vec<Borne>,
    /// What the network asks for it.
    pub fees: Vec<Charged>,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// By brand.
    pub brands: Vec<Sums>,
    /// Gross obligations: debtor's brand, creditor's brand.
    pub owed: BTreeMap<(usize, usize), u64>,
    /// Fees: the brand that owes them, and whether for having taken points.
    pub fees: BTreeMap<(usize, bool), u64>,
    /// What was accepted.
    pub counts: Counts,
    /// What was refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// What was told again, since it had taken effect before.
    pub repeated: u64,
}

impl Tally {
    /// For so many brands.
    pub fn new(brands: usize) -> Self {
        Self { brands: vec![Sums::default(); brands], ..Self::default() }
    }

    /// Points were issued.
    pub fn issued(&mut self, brand: usize, points: Points) {
        self.counts.awards += 1;
        if let Some(sums) = self.brands.get_mut(brand) {
            sums.issued += points.get();
        }
    }

    /// A payment's net goes to another amount: points(n) = ceil(P·n/X), obligation(n) = floor(O·n/X).
    pub fn moved(&mut self, paid: &mut Paid, net: u64) -> Result<(), String> {
        let of = paid.amount.get();
        for share in &paid.shares {
            let points = |n| share.points.share_ceil(n, of).map(Points::get);
            let owed = |n| share.obligation.share_floor(n, of).map(Money::get);
            let all = (points(paid.net), points(net), owed(paid.net), owed(net));
            let (Some(had), Some(has), Some(owed_before), Some(owed_after)) = all else {
                return Err("a share of a payment does not fit 2^53 - 1".into());
            };
            if let Some(sums) = self.brands.get_mut(share.brand) {
                let sum = if share.brand == paid.shop { &mut sums.home } else { &mut sums.elsewhere };
                *sum = *sum + has - had;
            }
            if share.brand != paid.shop {
                let owed = self.owed.entry((share.brand, paid.shop)).or_default();
                *owed = *owed + owed_after - owed_before;
            }
        }
        for fee in &paid.fees {
            let (Some(before), Some(after)) = (fee.at(paid.net, of), fee.at(net, of)) else {
                return Err("a fee of a payment does not fit 2^53 - 1".into());
            };
            let sum = self.fees.entry((fee.brand, fee.acceptor)).or_default();
            *sum = *sum + after - before;
        }
        paid.net = net;
        Ok(())
    }

    /// All fees for having taken points, or for having issued them.
    pub fn fees_of(&self, acceptor: bool) -> u64 {
        self.fees.iter().filter(|((_, of), _)| *of == acceptor).map(|(_, sum)| sum).sum()
    }

    /// The issuer does not owe a payment any more and its points are back.
    pub fn ruled(&mut self, issuer: usize, shop: usize, points: u64, amount: u64) {
        if let Some(sums) = self.brands.get_mut(issuer) {
            sums.elsewhere -= points;
        }
        *self.owed.entry((issuer, shop)).or_default() -= amount;
    }

    /// A command was refused.
    pub fn refused(&mut self, code: &'static str) {
        *self.refused.entry(code).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_moves_up_and_down_and_ends_at_nothing() {
        let mut tally = Tally::new(3);
        let (points, obligation) = (Points::new(667).expect("fits"), Money::new(499).expect("fits"));
        let amount = Money::new(1_000).expect("fits");
        let shares = vec![
            Borne { brand: 0, amount: Money::ZERO, points, obligation: Money::ZERO },
            Borne { brand: 2, amount, points, obligation },
        ];
        let fees = vec![Charged { brand: 2, acceptor: false, full: 7 }];
        let mut paid = Paid { shop: 0, amount, net: 0, shares, fees };
        tally.moved(&mut paid, 1_000).expect("fits");
        assert_eq!((tally.brands[0].home, tally.brands[2].elsewhere), (667, 667));
        assert_eq!(tally.owed.get(&(2, 0)), Some(&499));
        tally.moved(&mut paid, 333).expect("fits");
        assert_eq!((tally.brands[0].home, tally.owed.get(&(2, 0))), (223, Some(&166)));
        assert_eq!((tally.fees_of(false), tally.fees_of(true)), (3, 0), "2.331, rounded up");
        tally.moved(&mut paid, 0).expect("fits");
        assert_eq!((tally.brands[0].home, tally.brands[2].elsewhere), (0, 0));
        assert_eq!((tally.owed.get(&(2, 0)), tally.fees_of(false)), (Some(&0), 0));
        assert_eq!(tally.owed.get(&(0, 0)), None);
    }
}
