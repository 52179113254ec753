//! The rule: which bills are paid with points, with whose, and which payments are returned.
//!
//! Owns: the demo's stand-in for people's choices.
//! Promises: a choice depends on the receipt, the terms and the balances, and on nothing else, so that two
//! runs over the same receipts come to the same numbers.
//! Refuses to know: where balances come from and how a payment is asked for.

use super::receipts::Receipt;
use super::terms::{CaptureWhen, Terms};
use crate::types::{Date, Money, Points, Rate};

/// A number that the receipt decides, another one for each question.
fn draw(receipt: &Receipt, question: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [question, &receipt.brand, receipt.store.as_str(), receipt.number.as_str()] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}

/// What somebody would like to pay with points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// How much of the bill, whole minor units of the currency at the log's scale.
    pub amount: Money,
    /// What is held for it: as much, or rounded up to whole units of money where it is captured later.
    pub hold: Money,
    /// With points of the shop's own brand, or with points of others.
    pub home: bool,
}

/// Whether this bill is to be paid with points in part, and how.
pub fn wish(terms: &Terms, receipt: &Receipt, capture: CaptureWhen) -> Option<Wish> {
    let paying = &terms.paying;
    if !draw(receipt, "pays").is_multiple_of(paying.one_in) {
        return None;
    }
    let part = receipt.amount.checked_mul(paying.percent)? / 100;
    let amount = terms.money(part)?;
    if amount < terms.least().ok()? {
        return None;
    }
    let whole = 10u64.checked_pow(u32::from(terms.network.minor))?;
    let hold = match capture {
        CaptureWhen::AtOnce => amount,
        CaptureWhen::Later => terms.money(part.div_ceil(whole).checked_mul(whole)?)?,
    };
    Some(Wish { amount, hold, home: draw(receipt, "home").is_multiple_of(paying.home_one_in) })
}

/// What is given back of a payment, and how many seconds after the purchase.
pub fn returned(terms: &Terms, receipt: &Receipt, paid: Money, cent: u64) -> Option<(Money, u64)> {
    if !draw(receipt, "returns").is_multiple_of(terms.returns.one_in) {
        return None;
    }
    let [from, to] = terms.returns.after_days;
    let span = to.saturating_sub(from).saturating_add(1).saturating_mul(86_400);
    let after = from.saturating_mul(86_400).saturating_add(draw(receipt, "when") % span);
    let half = paid.get() / 2 / cent * cent;
    let amount = if draw(receipt, "half").is_multiple_of(2) && half > 0 { half } else { paid.get() };
    Some((Money::new(amount)?, after))
}

/// An account that could pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purse {
    /// Which, as the caller counts.
    pub which: usize,
    /// What can be spent.
    pub available: Points,
    /// The last day of the points that are spent first; `None` is never.
    pub until: Option<Date>,
    /// What a minor unit of points is worth at this shop.
    pub rate: Rate,
    /// Fewest points in a payment.
    pub min_spend: Option<Points>,
}

/// What one account pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Which.
    pub which: usize,
    /// How much of the bill.
    pub amount: Money,
    /// With how many points.
    pub points: Points,
}

/// Splits an amount over purses, those first whose points expire first; `None` if they do not suffice. Each
/// share is a whole number of `cent`s.
pub fn split(amount: Money, purses: &[Purse], cent: u64, most: usize) -> Option<Vec<Share>> {
    let mut purses: Vec<&Purse> = purses.iter().collect();
    purses.sort_by_key(|purse| (purse.until.is_none(), purse.until, purse.which));
    let mut left = amount;
    let mut shares = vec![];
    for purse in purses {
        if left.is_zero() || shares.len() >= most {
            break;
        }
        let worth = purse.rate.money_floor(purse.available)?;
        let share = Money::new(worth.min(left).get() / cent * cent)?;
        let points = purse.rate.points_ceil(share)?;
        if share.is_zero() || purse.min_spend.is_some_and(|least| points < least) {
            continue;
        }
        left = left.minus(share)?;
        shares.push(Share { which: purse.which, amount: share, points });
    }
    left.is_zero().then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purse(which: usize, points: u64, until: Option<&str>, rate: (u64, u64)) -> Purse {
        Purse {
            which,
            available: Points::new(points).expect("fits"),
            until: until.map(|day| day.parse().expect("a date")),
            rate: Rate::new(rate.0, rate.1).expect("a price"),
            min_spend: None,
        }
    }

    fn money(minor: u64) -> Money {
        Money::new(minor).expect("fits")
    }

    fn receipt(number: &str, amount: u64) -> Receipt {
        Receipt {
            line: 2,
            number: number.parse().expect("an id"),
            brand: "HARVEST".into(),
            store: "s".parse().expect("an id"),
            member: "m".into(),
            at: Time::default(),
            amount,
        }
    }

    use crate::types::Time;

    #[test]
    fn what_expires_first_is_spent_first() {
        let purses = [
            purse(0, 1_000, None, (100, 1)),
            purse(1, 10, Some("2017-05-01"), (100, 1)),
            purse(2, 10, Some("2017-04-01"), (100, 1)),
        ];
        let shares = split(money(3_000), &purses, 100, 3).expect("enough");
        let paid: Vec<(usize, u64, u64)> =
            shares.iter().map(|s| (s.which, s.amount.get(), s.points.get())).collect();
        assert_eq!(paid, [(2, 1_000, 10), (1, 1_000, 10), (0, 1_000, 10)]);
        assert_eq!(split(money(3_000), &purses, 100, 2), None);
    }

    #[test]
    fn a_bill_below_the_least_part_is_not_asked_for() {
        let terms = Terms::built_in().expect("terms");
        let asked = |amount| {
            (0..200).any(|n| wish(&terms, &receipt(&format!("r{n}"), amount), CaptureWhen::AtOnce).is_some())
        };
        assert!(!asked(249));
        assert!(asked(250));
    }

    #[test]
    fn a_hold_for_later_is_whole_and_not_less() {
        let terms = Terms::built_in().expect("terms");
        let wishes =
            (0..50).filter_map(|n| wish(&terms, &receipt(&format!("r{n}"), 2_345), CaptureWhen::Later));
        let wishes: Vec<Wish> = wishes.collect();
        assert!(!wishes.is_empty());
        for wish in wishes {
            assert_eq!((wish.amount, wish.hold), (money(46_900), money(50_000)));
        }
    }

    proptest! {
        #[test]
        fn a_split_sums_up_and_no_purse_is_overdrawn(
            amount in 1u64..500,
            purses in prop::collection::vec((0u64..5_000, 1u64..300, 1u64..40), 1..6),
        ) {
            let purses: Vec<Purse> = purses
                .iter()
                .enumerate()
                .map(|(which, (points, num, den))| purse(which, *points, None, (*num, *den)))
                .collect();
            let amount = money(amount * 100);
            if let Some(shares) = split(amount, &purses, 100, 6) {
                prop_assert_eq!(shares.iter().map(|s| s.amount.get()).sum::<u64>(), amount.get());
                for share in shares {
                    prop_assert!(share.points <= purses[share.which].available);
                    prop_assert_eq!(purses[share.which].rate.points_ceil(share.amount), Some(share.points));
                }
            }
        }

        #[test]
        fn what_is_returned_is_a_part_of_what_was_paid(paid in 1u64..10_000, number in 0u64..10_000) {
            let terms = Terms::built_in().expect("terms");
            let paid = money(paid * 100);
            if let Some((amount, after)) = returned(&terms, &receipt(&format!("r{number}"), 1), paid, 100) {
                prop_assert!(!amount.is_zero() && amount <= paid);
                prop_assert!((2 * 86_400..13 * 86_400).contains(&after));
            }
        }
    }
}
