//! What whoever takes the next step of a sealed cycle signs for, out of the entries of the log.
//!
//! Owns: the digests of the set-off and of the nets, as whoever has the log finds them.
//! Promises: they are made of the entries alone, and not of what the writer says: where the two differ, the log's own
//! refusal of the digest shows it.
//! Refuses to know: who signs.

use super::{Effect, Fault};
use crate::book::Closing;
use crate::clearing::{
    Matrix, PairBalance, Stage, digest, set_off_digest, set_off_lines, set_off_next, stage,
};
use crate::types::{Currency, Hash, ParticipantId};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is taken out of a cycle before it is computed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct NextSetOff {
    /// What to sign for.
    pub digest: Hash,
    /// Pairs that it takes out.
    pub pairs: usize,
    /// Pairs that are left for the time after.
    pub later: usize,
}

/// The next step of a sealed cycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct NextStep {
    /// The version that is computed next.
    pub version: u32,
    /// What stands apart and is set off before that, if something does still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_off: Option<NextSetOff>,
    /// The digest of the nets, without what stands apart: what to sign for to compute it.
    pub digest: Hash,
}

/// What comes next for a cycle, out of its obligations; `None` if it is not waiting to be computed. `apart`: who is set off in
/// it; `currencies`: those of the network, in their order.
pub fn next_step(
    all: &[Effect],
    apart: &[ParticipantId],
    currencies: &[Currency],
    closing: &Closing,
) -> Result<Option<NextStep>, Fault> {
    if stage(closing) != Stage::Sealed {
        return Ok(None);
    }
    let version = closing.version.saturating_add(1);
    let taken = closing.apart.as_ref().is_some_and(|taken| taken.version == version && taken.later == 0);
    let is_apart = |one: &&Effect| apart.contains(&one.debtor) || apart.contains(&one.creditor);
    let (mut balances, mut nets): (Vec<PairBalance>, Vec<_>) = (vec![], vec![]);
    for currency in currencies {
        let of = || all.iter().filter(|one| one.currency == *currency);
        let mut between: BTreeMap<(&ParticipantId, &ParticipantId), i64> = BTreeMap::new();
        for one in of().filter(is_apart) {
            let (key, has) = match one.creditor < one.debtor {
                true => ((&one.creditor, &one.debtor), one.amount),
                false => ((&one.debtor, &one.creditor), one.amount.saturating_neg()),
            };
            let sum = between.entry(key).or_default();
            *sum = sum.saturating_add(has);
        }
        balances.extend(between.into_iter().map(|((a, b), has)| (*currency, a.clone(), b.clone(), has)));
        let rest = of().filter(|one| !is_apart(one));
        let matrix = Matrix::of(rest.map(|one| (&one.debtor, &one.creditor, one.amount)))?;
        nets.extend(matrix.nets()?.into_iter().map(|(who, net)| (*currency, who, net)));
    }
    let set_off = if apart.is_empty() || taken { None } else { Some(next_set_off(&balances)?) };
    Ok(Some(NextStep { version, set_off, digest: digest(&nets) }))
}

fn next_set_off(balances: &[PairBalance]) -> Result<NextSetOff, Fault> {
    let (sides, later) = set_off_next(balances)?;
    let lines: Vec<_> =
        sides.iter().flat_map(|side| set_off_lines(side.currency, &side.matrix, &side.off)).collect();
    Ok(NextSetOff { digest: set_off_digest(&lines), pairs: lines.len(), later })
}
