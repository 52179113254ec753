//! What closing a part looks at: the changes of an account one by one, balances after, and every sum.
//!
//! Promises: a part whose legs do not sum to zero per asset, or whose accounts changed by anything else than their legs,
//! is a defect and never leaves a draft.
//! Owns: these checks. Refuses to know: what the changes are for.

use super::account::Account;
use super::change::{Done, Leg, Place};
use super::draft::Stop;
use super::name::Name;
use super::record::Record;
use crate::types::{AccountId, Currency, ParticipantId, Points};
use hashbrown::DefaultHashBuilder;
use indexmap::IndexMap;
use std::sync::Arc;

/// Records as a draft has them now.
pub(super) type Overlay = IndexMap<Name, Option<Arc<Record>>, DefaultHashBuilder>;

pub(super) fn balance(now: &Overlay, id: AccountId) -> Option<i64> {
    let record = now.get(&Name::Account(id))?.as_deref()?;
    record.account().map(|account| account.total().signed())
}

pub(super) fn pair_total(
    now: &Overlay,
    cycle: u64,
    a: &ParticipantId,
    b: &ParticipantId,
    currency: Currency,
) -> Option<i64> {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    let total = *now.get(&Name::Pair(cycle, first.clone(), second.clone(), currency))?.as_deref()?.total()?;
    if a < b { Some(total) } else { total.checked_neg() }
}

/// What changed on an account: its head, and lots and holds one by one.
pub(super) fn account_changes(done: &mut Done, id: AccountId, before: Option<&Account>, after: &Account) {
    if before.is_none_or(|account| account.head != after.head) {
        done.heads.push((id, after.head.clone()));
    }
    let had = before.map_or(&[][..], |account| &account.lots);
    for lot in had.iter().filter(|lot| !after.lots.iter().any(|now| now.0 == lot.0)) {
        done.lots.push((id, lot.0, Points::ZERO));
    }
    for lot in after.lots.iter().filter(|lot| !had.contains(lot)) {
        done.lots.push((id, lot.0, lot.1));
    }
    let had = before.map_or(&[][..], |account| &account.holds);
    for hold in had.iter().filter(|hold| after.hold_of(hold.of).is_none()) {
        done.holds.push((id, hold.of, None));
    }
    for hold in after.holds.iter().filter(|hold| !had.contains(hold)) {
        done.holds.push((id, hold.of, Some(hold.clone())));
    }
}

/// Every part sums to zero per asset, and what accounts have is what their legs say.
pub(super) fn check_sums(done: &Done, moved: &[(AccountId, i64)]) -> Result<(), Stop> {
    for (at, leg) in done.legs.iter().enumerate() {
        if done.legs.iter().take(at).any(|earlier| earlier.asset == leg.asset) {
            continue;
        }
        let same = done.legs.iter().filter(|other| other.asset == leg.asset);
        let sum = same.fold(0i128, |sum, leg| sum.saturating_add(i128::from(leg.amount)));
        if sum != 0 {
            return Err(Stop::Bug(format!("a part's {} legs sum to {sum}", leg.asset)));
        }
    }
    let of = |id: AccountId| done.legs.iter().filter(move |leg| leg.place == Place::Holder(id));
    for (id, change) in moved {
        let legs = of(*id).fold(0i64, |sum, leg| sum.saturating_add(leg.amount));
        if legs != *change {
            return Err(Stop::Bug(format!("{id} changed by {change}, its legs say {legs}")));
        }
    }
    let unmoved = |leg: &&Leg| matches!(leg.place, Place::Holder(id) if !moved.iter().any(|(m, _)| *m == id));
    match done.legs.iter().find(unmoved) {
        Some(leg) => Err(Stop::Bug(format!("a leg on {} that did not change", leg.place))),
        None => Ok(()),
    }
}
