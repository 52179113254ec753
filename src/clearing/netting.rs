//! Netting: obligations of one currency as a matrix, and what would have to be paid three ways.
//!
//! Owns: the matrix (who owes whom, summed), nets, the figures gross, bilateral and multilateral.
//! Promises: nets sum to zero; the order in which obligations come changes nothing; amounts are in the
//! currency's scale of the log.
//! Refuses to know: records. Whoever computes a cycle takes the obligations out of the log.

use super::wrong::Unsound;
use crate::types::{MAX_INT, Money, ParticipantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Signed amounts by participant, in the currency's scale: + is owed, − owes.
pub type Nets = BTreeMap<ParticipantId, i64>;

/// What one participant owes another, over all obligations from the one to the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Debt {
    /// Who owes.
    pub debtor: ParticipantId,
    /// Who is owed.
    pub creditor: ParticipantId,
    /// How much, in the currency's scale.
    pub amount: Money,
    /// How many obligations that is the sum of.
    pub count: u64,
}

/// What one way of settling would move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Payments.
    pub payments: u64,
    /// Their sum, in the currency's scale.
    pub value: u64,
}

/// Gross, bilateral and multilateral side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Every obligation paid by itself.
    pub gross: Figure,
    /// Each pair pays the difference.
    pub bilateral: Figure,
    /// Each participant pays its net to the settlement account or receives it from there. The value is the
    /// sum of the positive nets, the least that any way of settling moves.
    pub multilateral: Figure,
}

/// A cell of the matrix: indices of parties.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Cell {
    pub(super) debtor: usize,
    pub(super) creditor: usize,
    pub(super) amount: u64,
    count: u64,
}

/// Obligations of one currency, summed by debtor and creditor, in the order of their ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matrix {
    parties: Vec<ParticipantId>,
    cells: Vec<Cell>,
}

impl Matrix {
    /// Sums obligations given as (debtor, creditor, amount). An amount below zero (a refund) is owed the
    /// other way round; one of nothing is left out.
    pub fn of<'a>(
        obligations: impl IntoIterator<Item = (&'a ParticipantId, &'a ParticipantId, i64)>,
    ) -> Result<Self, Unsound> {
        let mut seen: BTreeMap<&ParticipantId, usize> = BTreeMap::new();
        let mut cells = vec![];
        for (debtor, creditor, amount) in obligations {
            if debtor == creditor {
                return Err(Unsound::Self_(debtor.clone()));
            }
            let mut number = |party: &'a ParticipantId| {
                let next = seen.len();
                *seen.entry(party).or_insert(next)
            };
            let (debtor, creditor) = (number(debtor), number(creditor));
            let (debtor, creditor) = if amount < 0 { (creditor, debtor) } else { (debtor, creditor) };
            if amount != 0 {
                cells.push(Cell { debtor, creditor, amount: amount.unsigned_abs(), count: 1 });
            }
        }
        // Parties were numbered as they came; now in the order of their ids.
        let mut place = vec![0; seen.len()];
        for (sorted, came) in seen.values().enumerate() {
            if let Some(slot) = place.get_mut(*came) {
                *slot = sorted;
            }
        }
        for cell in &mut cells {
            let sorted = |came: usize| place.get(came).copied().ok_or(Unsound::Bug("a party has no place"));
            (cell.debtor, cell.creditor) = (sorted(cell.debtor)?, sorted(cell.creditor)?);
        }
        Self { parties: seen.into_keys().cloned().collect(), cells: vec![] }.with(cells)
    }

    fn with(mut self, mut cells: Vec<Cell>) -> Result<Self, Unsound> {
        cells.sort_unstable();
        for cell in cells {
            match self.cells.last_mut() {
                Some(last) if (last.debtor, last.creditor) == (cell.debtor, cell.creditor) => {
                    let sum = last.amount.checked_add(cell.amount).filter(|sum| *sum <= MAX_INT);
                    let Some(sum) = sum else {
                        return Err(Unsound::TooLarge(self.party(cell.debtor)?.clone()));
                    };
                    last.amount = sum;
                    last.count = last.count.saturating_add(cell.count);
                }
                _ if cell.amount > MAX_INT => {
                    return Err(Unsound::TooLarge(self.party(cell.debtor)?.clone()));
                }
                _ => self.cells.push(cell),
            }
        }
        Ok(self)
    }

    pub(super) fn party(&self, index: usize) -> Result<&ParticipantId, Unsound> {
        self.parties.get(index).ok_or(Unsound::Bug("no such party"))
    }

    /// Everybody who owes or is owed, in order.
    pub fn parties(&self) -> &[ParticipantId] {
        &self.parties
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Whether nobody owes anything.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Who owes whom, in the order of debtor and creditor.
    pub fn debts(&self) -> impl Iterator<Item = Debt> + '_ {
        self.cells.iter().filter_map(|cell| {
            Some(Debt {
                debtor: self.parties.get(cell.debtor)?.clone(),
                creditor: self.parties.get(cell.creditor)?.clone(),
                amount: Money::new(cell.amount)?,
                count: cell.count,
            })
        })
    }

    /// The matrix of the debts between participants that both accept the clearing house as their counterparty
    /// (novated: settled by nets), and that of all others (settled pair by pair, after set-off).
    pub fn split(&self, accepts: impl Fn(&ParticipantId) -> bool) -> (Self, Self) {
        let accepting: Vec<bool> = self.parties.iter().map(accepts).collect();
        let is = |index: usize| accepting.get(index).copied().unwrap_or(false);
        let (novated, others) =
            self.cells.iter().copied().partition(|cell| is(cell.debtor) && is(cell.creditor));
        (self.only(novated), self.only(others))
    }

    /// The cells alone, with the parties that stand in them.
    fn only(&self, cells: Vec<Cell>) -> Self {
        let mut place: BTreeMap<usize, usize> = BTreeMap::new();
        for cell in &cells {
            place.insert(cell.debtor, 0);
            place.insert(cell.creditor, 0);
        }
        for (sorted, slot) in place.values_mut().enumerate() {
            *slot = sorted;
        }
        let at = |index: usize| place.get(&index).copied().unwrap_or(0);
        let cells =
            cells.iter().map(|cell| Cell { debtor: at(cell.debtor), creditor: at(cell.creditor), ..*cell });
        let parties = place.keys().filter_map(|index| self.parties.get(*index).cloned());
        Self { cells: cells.collect(), parties: parties.collect() }
    }

    /// What each party is owed less what it owes, by index; sums to zero.
    pub(super) fn sums(&self) -> Result<Vec<i64>, Unsound> {
        let mut sums = vec![0i128; self.parties.len()];
        for cell in &self.cells {
            let amount = i128::from(cell.amount);
            for (index, amount) in [(cell.debtor, amount.checked_neg()), (cell.creditor, Some(amount))] {
                let slot = sums.get_mut(index).ok_or(Unsound::Bug("no such party"))?;
                *slot = amount.and_then(|amount| slot.checked_add(amount)).ok_or(Unsound::Bug("128 bits"))?;
            }
        }
        let fits = |(index, sum): (usize, i128)| {
            let sum = i64::try_from(sum).ok().filter(|sum| sum.unsigned_abs() <= MAX_INT);
            sum.map_or_else(|| Err(Unsound::TooLarge(self.party(index)?.clone())), Ok)
        };
        sums.into_iter().enumerate().map(fits).collect()
    }

    /// The multilateral nets: + is owed, − owes; parties whose net is nothing are there with 0.
    pub fn nets(&self) -> Result<Nets, Unsound> {
        Ok(self.parties.iter().cloned().zip(self.sums()?).collect())
    }

    /// What settling would take, three ways.
    pub fn figures(&self) -> Result<Figures, Unsound> {
        let mut gross = Sum::default();
        let mut bilateral = Sum::default();
        for cell in &self.cells {
            gross.add(cell.count, cell.amount)?;
            let back = self.between(cell.creditor, cell.debtor);
            if let Some(more) = cell.amount.checked_sub(back).filter(|more| *more > 0) {
                bilateral.add(1, more)?;
            }
        }
        let mut multilateral = Sum::default();
        for net in self.sums()?.into_iter().filter(|net| *net != 0) {
            multilateral.add(1, u64::try_from(net).unwrap_or(0))?;
        }
        Ok(Figures { gross: gross.0, bilateral: bilateral.0, multilateral: multilateral.0 })
    }

    fn between(&self, debtor: usize, creditor: usize) -> u64 {
        let found = self.cells.binary_search_by_key(&(debtor, creditor), |cell| (cell.debtor, cell.creditor));
        found.ok().and_then(|at| self.cells.get(at)).map_or(0, |cell| cell.amount)
    }

    /// What `debtor` owes `creditor`, not less what is owed the other way round.
    pub fn owed(&self, debtor: &ParticipantId, creditor: &ParticipantId) -> Money {
        let at = |party| self.parties.binary_search(party).ok();
        let amount = at(debtor).zip(at(creditor)).map_or(0, |(d, c)| self.between(d, c));
        Money::new(amount).unwrap_or_default()
    }
}

#[derive(Default)]
struct Sum(Figure);

impl Sum {
    fn add(&mut self, payments: u64, value: u64) -> Result<(), Unsound> {
        let Figure { payments: p, value: v } = self.0;
        let sums = p.checked_add(payments).zip(v.checked_add(value));
        let (payments, value) = sums.ok_or(Unsound::Bug("a figure above 64 bits"))?;
        self.0 = Figure { payments, value };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pa(n: u8) -> ParticipantId {
        format!("pa_{n:03}").parse().expect("an id")
    }

    fn matrix(list: &[(u8, u8, i64)]) -> Matrix {
        let list: Vec<_> = list.iter().map(|(d, c, a)| (pa(*d), pa(*c), *a)).collect();
        Matrix::of(list.iter().map(|(d, c, a)| (d, c, *a))).expect("sound")
    }

    #[test]
    fn the_textbook_case() {
        // A owes B 90, B owes A 20, B owes C 60, C owes A 50; one refund: A gets 5 back from B.
        let m = matrix(&[(0, 1, 60), (0, 1, 30), (1, 0, 20), (1, 2, 60), (2, 0, 50), (0, 1, -5)]);
        assert_eq!(m.nets().expect("nets"), Nets::from([(pa(0), -15), (pa(1), 5), (pa(2), 10)]));
        let figures = m.figures().expect("figures");
        assert_eq!(figures.gross, Figure { payments: 6, value: 225 });
        assert_eq!(figures.bilateral, Figure { payments: 3, value: 65 + 60 + 50 });
        assert_eq!(figures.multilateral, Figure { payments: 3, value: 15 });
        assert_eq!(m.owed(&pa(0), &pa(1)).get(), 90);
        assert_eq!(m.owed(&pa(1), &pa(0)).get(), 25, "the refund is owed the other way round");
        assert_eq!(m.owed(&pa(0), &pa(2)).get(), 0);
    }

    #[test]
    fn a_pair_that_does_not_accept_the_house_stays_out() {
        let m = matrix(&[(0, 1, 7), (1, 2, 5), (2, 0, 3), (1, 0, 2)]);
        let (novated, others) = m.split(|party| *party != pa(2));
        assert_eq!(novated, matrix(&[(0, 1, 7), (1, 0, 2)]));
        assert_eq!(others, matrix(&[(1, 2, 5), (2, 0, 3)]));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (a, b) = (pa(1), pa(2));
        assert_eq!(Matrix::of([(&a, &a, 1)]).err(), Some(Unsound::Self_(a.clone())));
        let most = i64::try_from(MAX_INT).expect("fits");
        assert_eq!(Matrix::of([(&a, &b, most), (&a, &b, 1)]).err(), Some(Unsound::TooLarge(a.clone())));
        assert_eq!(Matrix::of([(&a, &b, i64::MIN)]).err(), Some(Unsound::TooLarge(b.clone())));
        let c = pa(3);
        let m = Matrix::of([(&a, &c, most), (&b, &c, most)]).expect("each fits");
        assert_eq!(m.nets().err(), Some(Unsound::TooLarge(c)), "the sum does not");
    }

    proptest! {
        #[test]
        fn nets_sum_to_zero_in_any_order(
            list in prop::collection::vec((0..9u8, 0..9u8, -1_000..1_000i64), 0..60),
            turn in 0..60usize,
        ) {
            let mut list: Vec<_> = list.into_iter().filter(|(d, c, _)| d != c).collect();
            let m = matrix(&list);
            let nets = m.nets().expect("nets");
            prop_assert_eq!(nets.values().sum::<i64>(), 0);
            for (party, net) in &nets {
                let of = |(d, c, a): &(u8, u8, i64)| {
                    i64::from(pa(*c) == *party) * a - i64::from(pa(*d) == *party) * a
                };
                prop_assert_eq!(list.iter().map(of).sum::<i64>(), *net);
            }
            let figures = m.figures().expect("figures");
            prop_assert!(figures.multilateral.value <= figures.bilateral.value);
            prop_assert!(figures.bilateral.value <= figures.gross.value);
            prop_assert_eq!(figures.gross.payments, list.iter().filter(|(.., a)| *a != 0).count() as u64);
            let (novated, others) = m.split(|party| party.as_str() < "pa_005");
            let sum = |party: &ParticipantId| {
                let of = |m: &Matrix| m.nets().expect("nets").get(party).copied().unwrap_or(0);
                of(&novated) + of(&others)
            };
            prop_assert!(nets.iter().all(|(party, net)| sum(party) == *net));
            if !list.is_empty() {
                let middle = turn % list.len();
                list.rotate_left(middle);
                list.reverse();
                prop_assert!(matrix(&list) == m);
            }
        }
    }
}
