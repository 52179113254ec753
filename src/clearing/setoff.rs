//! Set-off: what can be struck out without anybody standing in for anybody.
//!
//! Owns: the largest set-off over existing obligations, its certificate, and the check of both.
//! Promises: nets stay as they are; nobody gets a new debtor or creditor; of all set-offs it leaves the least
//! debt. Whoever has the obligations can check that in one pass, without solving anything.
//! Refuses to know: how what is left is paid.
//!
//! What is left after set-off has the same nets as before, and is never more than was owed. So the least that
//! can be left is a minimum-cost flow from those that owe in all to those that are owed in all, through the
//! existing debts as arcs of cost 1.
//!
//! The certificate gives each participant a **level**. (1) Every debt of which something is left leads from a
//! lower to a higher level, so no loop is left. (2) Every debt of which something is set off rises by at most one
//! level. With both, no other set-off leaves less: whatever keeps the nets, Σ rise · left over all debts is the
//! same number, Σ level · net. So what is left in all is that number plus Σ (1 − rise) · left. Debts that rise by
//! more than 1 are left whole (2), those that do not rise are struck out whole (1), and those that rise by exactly
//! 1 count nothing: every term is as small as it can be. (Complementary slackness; the levels are the dual.)

use super::flow::Network;
use super::netting::Matrix;
use super::wrong::Unsound;
use crate::types::{Money, ParticipantId};
use serde::{Deserialize, Serialize};

/// So much of a debt is struck out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOffLine {
    /// Who owes.
    pub debtor: ParticipantId,
    /// Who is owed.
    pub creditor: ParticipantId,
    /// How much less, in the currency's scale; above 0.
    pub amount: Money,
}

/// A participant's level.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Whose.
    pub participant: ParticipantId,
    /// 0 or more.
    pub level: u32,
}

/// What is struck out, and the levels that show that more cannot be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOff {
    /// In the order of debtor and creditor.
    pub lines: Vec<SetOffLine>,
    /// Of everybody who owes or is owed, in order.
    pub levels: Vec<Level>,
}

impl SetOff {
    /// What is struck out in all, in the currency's scale.
    pub fn total(&self) -> u128 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(u128::from(line.amount.get())))
    }
}

/// The set-off that leaves the least debt, with its certificate.
pub fn set_off(matrix: &Matrix) -> Result<SetOff, Unsound> {
    let parties = matrix.parties().len();
    let mut network = Network::new(parties);
    let (mut arcs, mut wanted) = (vec![], 0u128);
    for cell in matrix.cells() {
        arcs.push(network.arc(cell.debtor, cell.creditor, cell.amount)?);
    }
    for (party, net) in matrix.sums()?.into_iter().enumerate() {
        // Who owes in all sends what is left of its debt, who is owed receives it.
        let supply = net.checked_neg().ok_or(Unsound::Bug("a net"))?;
        network.supply(party, supply)?;
        wanted = wanted.saturating_add(u128::try_from(supply).unwrap_or(0));
    }
    if network.solve()? != wanted {
        // Setting nothing off ships everything, so this cannot be.
        return Err(Unsound::Bug("what is left does not carry the nets"));
    }
    let mut out = SetOff::default();
    for (cell, arc) in matrix.cells().iter().zip(arcs) {
        let off = cell.amount.checked_sub(network.flow(arc)?).and_then(Money::new);
        let amount = off.ok_or(Unsound::Bug("more is left than was owed"))?;
        if !amount.is_zero() {
            let (debtor, creditor) =
                (matrix.party(cell.debtor)?.clone(), matrix.party(cell.creditor)?.clone());
            out.lines.push(SetOffLine { debtor, creditor, amount });
        }
    }
    for (index, participant) in matrix.parties().iter().enumerate() {
        let level = u32::try_from(network.potential(index)?).map_err(|_| Unsound::Bug("a level"))?;
        out.levels.push(Level { participant: participant.clone(), level });
    }
    Ok(out)
}

/// Checks a set-off that somebody claims, in one pass over the matrix and without solving anything.
pub fn check_set_off(matrix: &Matrix, claimed: &SetOff) -> Result<(), Unsound> {
    let levels = levels(matrix, claimed)?;
    let mut nets = vec![0i128; levels.len()];
    let mut lines = claimed.lines.iter().peekable();
    for cell in matrix.cells() {
        let (debtor, creditor) = (matrix.party(cell.debtor)?, matrix.party(cell.creditor)?);
        // Lines come in the order of debts: one that would have come before belongs to none.
        if let Some(line) = lines.next_if(|line| (&line.debtor, &line.creditor) < (debtor, creditor)) {
            return Err(stray(matrix, line));
        }
        let line = lines.next_if(|line| (&line.debtor, &line.creditor) == (debtor, creditor));
        let off = line.map_or(0, |line| line.amount.get());
        let pair = || (debtor.clone(), creditor.clone());
        if line.is_some() && off == 0 {
            let (debtor, creditor) = pair();
            return Err(Unsound::Nothing { debtor, creditor });
        }
        if off > cell.amount {
            let (debtor, creditor) = pair();
            return Err(Unsound::NotOwed { debtor, creditor });
        }
        let level = |index: usize| levels.get(index).copied().ok_or(Unsound::Bug("no such level"));
        let rise = level(cell.creditor)?.checked_sub(level(cell.debtor)?).ok_or(Unsound::Bug("a level"))?;
        if off < cell.amount && rise < 1 {
            let (debtor, creditor) = pair();
            return Err(Unsound::LoopLeft { debtor, creditor });
        }
        if off > 0 && rise > 1 {
            let (debtor, creditor) = pair();
            return Err(Unsound::NotLeast { debtor, creditor });
        }
        let off = i128::from(off);
        for (index, change) in [(cell.debtor, off), (cell.creditor, off.saturating_neg())] {
            let net = nets.get_mut(index).ok_or(Unsound::Bug("no such party"))?;
            *net = net.checked_add(change).ok_or(Unsound::Bug("128 bits"))?;
        }
    }
    if let Some(line) = lines.next() {
        return Err(stray(matrix, line));
    }
    match nets.iter().position(|change| *change != 0) {
        Some(index) => Err(Unsound::NetChanged(matrix.party(index)?.clone())),
        None => Ok(()),
    }
}

/// The levels of the parties: each has exactly one, in order.
fn levels(matrix: &Matrix, claimed: &SetOff) -> Result<Vec<i64>, Unsound> {
    let mut given = claimed.levels.iter();
    let mut levels = vec![];
    for party in matrix.parties() {
        match given.next() {
            Some(level) if level.participant == *party => levels.push(i64::from(level.level)),
            _ => return Err(Unsound::Level(party.clone())),
        }
    }
    match given.next() {
        Some(level) => Err(Unsound::Level(level.participant.clone())),
        None => Ok(levels),
    }
}

/// Why a line met no debt in the order of debts.
fn stray(matrix: &Matrix, line: &SetOffLine) -> Unsound {
    let (debtor, creditor) = (line.debtor.clone(), line.creditor.clone());
    if matrix.owed(&debtor, &creditor).is_zero() {
        Unsound::NotOwed { debtor, creditor }
    } else {
        Unsound::Order { debtor, creditor }
    }
}

#[cfg(test)]
mod tests;
