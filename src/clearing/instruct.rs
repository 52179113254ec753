//! From exact positions to amounts that a bank can move.
//!
//! Owns: the largest remainder over the nets, with the carry from cycle to cycle; the floor on pairs.
//! Promises: instructions sum to zero, so do carries, and a carry is under one of the bank's minor units.
//! Refuses to know: accounts and banks.

use super::netting::{Matrix, Nets};
use super::setoff::{SetOff, check_set_off};
use super::wrong::Unsound;
use crate::types::{MAX_INT, Money, ParticipantId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Nets in the bank's minor unit, and what is left for the next cycle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Instructed {
    /// In the bank's minor unit: + receives (a pay-out), − pays (a pay-in). Those with nothing are there with 0.
    pub instructions: Nets,
    /// In the currency's scale: what opens the next cycle, under one minor unit each; only what is not 0.
    pub carries: Nets,
}

/// Rounds nets to the bank's minor unit (`unit` of the currency's scale) by largest remainder, ties by id.
/// `carried` are the carries of the cycle before; `nowhere`: who has not said where it is to be paid, so that a unit of a
/// carry need not wait for them.
///
/// floor(x / unit) each; the remainders sum to k units, which go to the k largest of them, last to those of
/// `nowhere` who are owed less than a unit. A remainder of nothing gets nothing, since k of them above 0 would be needed to make k units.
pub fn instruct(
    nets: &Nets,
    carried: &Nets,
    unit: u64,
    nowhere: &BTreeSet<ParticipantId>,
) -> Result<Instructed, Unsound> {
    let unit = i128::from(unit);
    if unit == 0 {
        return Err(Unsound::Unit);
    }
    let mut exact: BTreeMap<&ParticipantId, i128> = BTreeMap::new();
    for (party, amount) in nets.iter().chain(carried) {
        let slot = exact.entry(party).or_default();
        *slot = slot.checked_add(i128::from(*amount)).ok_or(Unsound::Bug("128 bits"))?;
    }
    let sum = exact.values().try_fold(0i128, |sum, x| sum.checked_add(*x)).ok_or(Unsound::Bug("128 bits"))?;
    if sum != 0 {
        return Err(Unsound::Sum(sum));
    }
    let mut rounded = vec![];
    let mut missing = 0i128;
    for (party, x) in &exact {
        let (floor, rest) = (x.checked_div_euclid(unit), x.checked_rem_euclid(unit));
        let (floor, rest) = floor.zip(rest).ok_or(Unsound::Unit)?;
        missing = missing.checked_sub(floor).ok_or(Unsound::Bug("128 bits"))?;
        rounded.push((*party, floor, rest));
    }
    // The largest remainders first, those of nothing last of all; the order of ids stays among equals.
    rounded.sort_by_key(|(party, floor, rest)| {
        (*rest == 0, *floor == 0 && nowhere.contains(*party), std::cmp::Reverse(*rest))
    });
    let mut out = Instructed::default();
    for (party, floor, rest) in rounded {
        let up = missing > 0;
        let (paid, carry) = match up {
            true => (floor.checked_add(1), rest.checked_sub(unit)),
            false => (Some(floor), Some(rest)),
        };
        missing = missing.saturating_sub(i128::from(up));
        let fits = |x: Option<i128>| {
            let x = x.and_then(|x| i64::try_from(x).ok()).filter(|x| x.unsigned_abs() <= MAX_INT);
            x.ok_or_else(|| Unsound::TooLarge(party.clone()))
        };
        out.instructions.insert(party.clone(), fits(paid)?);
        let carry = fits(carry)?;
        if carry != 0 {
            out.carries.insert(party.clone(), carry);
        }
    }
    Ok(out)
}

/// What is left to pay between a pair after set-off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remaining {
    /// Who pays.
    pub debtor: ParticipantId,
    /// Who receives.
    pub creditor: ParticipantId,
    /// How much, in the bank's minor unit.
    pub pays: Money,
    /// What stays on the pair, in the currency's scale: under one minor unit.
    pub rest: Money,
}

/// What each debtor still pays each creditor, once the set-off was checked: floor in the bank's minor unit
/// (`unit` of the currency's scale), the rest stays on the pair. In the order of debtor and creditor.
pub fn remaining(matrix: &Matrix, set_off: &SetOff, unit: u64) -> Result<Vec<Remaining>, Unsound> {
    check_set_off(matrix, set_off)?;
    let off: BTreeMap<_, _> =
        set_off.lines.iter().map(|line| ((&line.debtor, &line.creditor), line.amount)).collect();
    let mut out = vec![];
    for debt in matrix.debts() {
        let off = off.get(&(&debt.debtor, &debt.creditor)).copied().unwrap_or_default();
        let left = debt.amount.minus(off).ok_or(Unsound::Bug("set-off was checked"))?.get();
        let pays = left.checked_div(unit).and_then(Money::new).ok_or(Unsound::Unit)?;
        let rest = left.checked_rem(unit).and_then(Money::new).ok_or(Unsound::Unit)?;
        if left > 0 {
            out.push(Remaining { debtor: debt.debtor, creditor: debt.creditor, pays, rest });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn none() -> BTreeSet<ParticipantId> {
        BTreeSet::new()
    }

    fn nets(list: &[i64]) -> Nets {
        let id = |n: usize| format!("pa_{n:03}").parse::<ParticipantId>().expect("an id");
        list.iter().enumerate().map(|(n, x)| (id(n), *x)).collect()
    }

    #[test]
    fn the_largest_remainder_is_served_first_and_ties_go_by_id() {
        // EUR with four decimals, paid in cents: 1.0050 1.0050 0.9900 owed, 3.0000 owes.
        let out =
            instruct(&nets(&[10_050, 10_050, 9_900, -30_000]), &Nets::new(), 100, &none()).expect("rounded");
        assert_eq!(out.instructions, nets(&[101, 100, 99, -300]));
        let carries: Vec<i64> = out.carries.values().copied().collect();
        assert_eq!(carries, [-50, 50]);
        // The next cycle has no obligations for them, and opens with the carries.
        let next = instruct(&Nets::new(), &out.carries, 100, &none()).expect("rounded");
        assert_eq!(next.instructions.values().copied().collect::<Vec<_>>(), [0, 0]);
        assert_eq!(next.carries, out.carries);
    }

    #[test]
    fn a_unit_of_what_was_carried_goes_to_who_has_said_where() {
        let (carried, nowhere) = (nets(&[40, 30, -70]), nets(&[0]).into_keys().collect());
        let out = instruct(&Nets::new(), &carried, 100, &nowhere).expect("rounded");
        assert_eq!(out.instructions, nets(&[0, 1, -1]));
        assert_eq!(out.carries, nets(&[40, -70, 30]));
        // Unless there is nobody else: what owes nothing and is owed nothing is never moved.
        let out = instruct(&Nets::new(), &nets(&[60, 40, -100]), 100, &nets(&[0, 0]).into_keys().collect());
        assert_eq!(out.expect("rounded").instructions, nets(&[1, 0, -1]));
    }

    #[test]
    fn positions_that_do_not_sum_to_zero_are_refused() {
        assert_eq!(instruct(&nets(&[1, 2]), &Nets::new(), 100, &none()).err(), Some(Unsound::Sum(3)));
        assert_eq!(instruct(&nets(&[1, -1]), &nets(&[1]), 100, &none()).err(), Some(Unsound::Sum(1)));
        assert_eq!(instruct(&nets(&[1, -1]), &Nets::new(), 0, &none()).err(), Some(Unsound::Unit));
    }

    proptest! {
        #[test]
        fn instructions_and_carries_sum_to_zero_over_many_cycles(
            cycles in prop::collection::vec(prop::collection::vec(-1_000_000..1_000_000i64, 11), 1..12),
            unit in 1..200u64,
            nowhere in prop::collection::btree_set(0..12usize, 0..12),
        ) {
            let nowhere: BTreeSet<ParticipantId> =
                nets(&[0; 12]).into_keys().enumerate().filter(|(n, _)| nowhere.contains(n)).map(|(_, who)| who).collect();
            let (mut carried, mut owed, mut paid) = (Nets::new(), [0i64; 12], [0i64; 12]);
            for mut cycle in cycles {
                cycle.push(-cycle.iter().sum::<i64>());
                for (sum, x) in owed.iter_mut().zip(&cycle) {
                    *sum += x;
                }
                let out = instruct(&nets(&cycle), &carried, unit, &nowhere).expect("rounded");
                prop_assert_eq!(out.instructions.values().sum::<i64>(), 0);
                prop_assert_eq!(out.carries.values().sum::<i64>(), 0);
                prop_assert!(out.carries.values().all(|carry| carry.unsigned_abs() < unit));
                for (sum, x) in paid.iter_mut().zip(out.instructions.values()) {
                    *sum += x * unit as i64;
                }
                carried = out.carries;
            }
            // Nobody is ever more than one unit away from what it is owed in all.
            let parties = nets(&[0; 12]);
            for ((party, owed), paid) in parties.keys().zip(owed).zip(paid) {
                prop_assert_eq!(owed - paid, carried.get(party).copied().unwrap_or(0));
            }
        }
    }
}
