//! What is left of an entry whose evidence was erased.
//!
//! Owns: which parts may be missing, and what effects an entry of each kind can have at all.
//! Promises: whoever claims that evidence was erased gains no more than the kind of entry allows: no key
//! but a holder's, no setting, no budget, and every part still sums to zero.
//! Refuses to know: whether the effects were asked for. That went with the evidence, and is counted.

use super::entry::{Effect, PartBody, bodies};
use super::kind::Kind;
use super::verify::{Broken, Overlay, Records, Stored};
use crate::book::{Apply, Done, Measure, Name, Place, Principal, Record, Source};
use crate::log::Slot;
use crate::types::{AccountId, Asset};

fn wrong<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Wrong(what.into()))
}

/// Takes the recorded effects over, as far as an entry of this kind can have them.
pub(super) fn check_remains(
    entry: Stored,
    kind: Kind,
    state: &dyn Source,
) -> Result<(Records, Vec<Effect>), Broken> {
    let bodies = evidence_first(entry, kind)?;
    let mut overlay = Overlay::new(state);
    for done in bodies.iter().filter_map(|body| body.done.as_ref()) {
        if let Some((name, _)) = done.puts().find(|(name, record)| !may_put(kind, name, *record)) {
            return wrong(format!("a {kind} cannot change {name}"));
        }
        sums_to_zero(done)?;
        take(&mut overlay, done)?;
    }
    let effects = bodies.into_iter().filter_map(PartBody::effect);
    Ok((overlay.records(), effects.collect()))
}

/// Evidence stands before effects, and only evidence may be missing.
fn evidence_first(entry: Stored, kind: Kind) -> Result<Vec<PartBody>, Broken> {
    let mut statements = 0usize;
    let mut effects: Vec<PartBody> = vec![];
    for part in entry.parts {
        let body = match part {
            Slot::Erased(_) => None,
            Slot::Whole(bytes) => {
                bodies(std::iter::once(bytes.as_slice()))?.pop().filter(|b| b.jws.is_none())
            }
        };
        match body {
            Some(body) => effects.push(body),
            None if effects.is_empty() => statements = statements.saturating_add(1),
            None => return wrong("effects were erased"),
        }
    }
    let fits = match kind {
        Kind::PaymentAuthorised => consents(&effects).and_then(|n| n.checked_add(1)) == Some(statements),
        Kind::AccountOpened => statements > 0 && puts(&effects).any(|(name, _)| matches!(name, Name::Key(_))),
        // These may change nothing, and have any number of approvals: a part that is gone may have been one.
        Kind::AccountFrozen | Kind::AccountKeyRevoked => statements > 0,
        _ => statements == 1,
    };
    if fits && !effects.is_empty() { Ok(effects) } else { wrong("effects were erased") }
}

/// How many consents a payment rests on, as its brand's part says.
fn consents(effects: &[PartBody]) -> Option<usize> {
    puts(effects).find_map(|(_, record)| record?.payment()).map(|payment| payment.shares.len())
}

fn puts(effects: &[PartBody]) -> impl Iterator<Item = (&Name, Option<&Record>)> {
    effects.iter().filter_map(|body| body.done.as_ref()).flat_map(Done::puts)
}

/// Whether an entry of this kind can put this record. Accounts and totals are never put: heads, lots,
/// holds and legs change them.
fn may_put(kind: Kind, name: &Name, record: Option<&Record>) -> bool {
    let issues = matches!(kind, Kind::PointsIssued | Kind::PointsBatch);
    let opens = matches!(kind, Kind::AccountOpened | Kind::AccountKeyRevoked);
    let pays = kind == Kind::PaymentAuthorised;
    let moves = matches!(kind, Kind::PaymentCaptured | Kind::PaymentVoided | Kind::PaymentRefunded);
    match (name, record) {
        (Name::Command(..), Some(Record::Command(command))) => !issues && command.refused.is_none(),
        (Name::Key(kid), Some(Record::Key(key))) => {
            opens && key.key.kid() == *kid && matches!(key.owner, Principal::Account(_))
        }
        (Name::UsedToken(..) | Name::UsedRef(..), Some(_)) => issues,
        (Name::Limit(_, _, Measure::Issued | Measure::IssuedHour), Some(_)) => issues,
        (Name::Limit(_, _, Measure::TakenHour | Measure::TakenDay | Measure::AcceptedDay), Some(_)) => pays,
        (Name::Limit(_, _, Measure::ReturnedHour | Measure::ReturnedDay), Some(_)) => {
            matches!(kind, Kind::PaymentVoided | Kind::PaymentRefunded)
        }
        (Name::UsedConsent(..), Some(_)) => pays,
        (Name::Payment(_) | Name::Share(..), Some(_)) => pays || moves,
        _ => false,
    }
}

fn sums_to_zero(done: &Done) -> Result<(), Broken> {
    let sum = |asset: Asset| {
        let same = done.legs.iter().filter(|leg| leg.asset == asset);
        same.fold(0i128, |sum, leg| sum.saturating_add(i128::from(leg.amount)))
    };
    match done.legs.iter().find(|leg| sum(leg.asset) != 0) {
        Some(leg) => wrong(format!("the legs in {} do not sum to zero", leg.asset)),
        None => Ok(()),
    }
}

/// Takes a part over; what each account has changes by exactly what its legs say.
fn take(overlay: &mut Overlay, done: &Done) -> Result<(), Broken> {
    let mut accounts: Vec<AccountId> = done.names().iter().filter_map(account_of).collect();
    accounts.extend(done.legs.iter().filter_map(|leg| match leg.place {
        Place::Holder(id) => Some(id),
        Place::Shared(..) | Place::Pair(..) => None,
    }));
    accounts.sort_unstable();
    accounts.dedup();
    let before: Vec<i64> = accounts.iter().map(|id| total(overlay, *id)).collect();
    overlay.take(done)?;
    for (id, had) in accounts.into_iter().zip(before) {
        let legs = done.legs.iter().filter(|leg| leg.place == Place::Holder(id));
        let change = legs.clone().fold(0i64, |sum, leg| sum.saturating_add(leg.amount));
        let has = total(overlay, id);
        if had.checked_add(change) != Some(has) || legs.clone().any(|leg| leg.after != Some(has)) {
            return wrong(format!("{id} has {has} afterwards, its legs say otherwise"));
        }
    }
    Ok(())
}

fn account_of(name: &Name) -> Option<AccountId> {
    match name {
        Name::Account(id) => Some(*id),
        _ => None,
    }
}

fn total(overlay: &mut Overlay, id: AccountId) -> i64 {
    let record = overlay.record(&Name::Account(id));
    record.as_deref().and_then(Record::account).map_or(0, |account| account.total().signed())
}
