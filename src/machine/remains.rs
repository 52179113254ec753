//! What is left of an entry whose evidence was erased.
//!
//! Owns: which parts may be missing, and what effects an entry of each kind can have at all.
//! Promises: whoever claims that evidence was erased gains no more than the kind of entry allows: no key
//! but a holder's, no setting, no budget, and every part still sums to zero.
//! Refuses to know: whether the effects were asked for. That went with the evidence, and is counted.

use super::entry::{Effect, PartBody, bodies};
use super::kind::Kind;
use super::verify::{Broken, Overlay, Records, Stored};
use crate::book::{
    Apply, Consent, Done, Found, Head, KeyRecord, KeyState, Leg, Measure, Name, Payment, Place, Principal,
    Record, Shared, Source,
};
use crate::log::Slot;
use crate::sign::Purpose;
use crate::types::{AccountId, Asset, Currency, MAX_INT, ParticipantId};
use std::sync::Arc;

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
    let heads = bodies.iter().filter_map(|body| body.done.as_ref()).flat_map(|done| &done.heads);
    let headed = heads.map(|(id, _)| *id).collect();
    let before = Before { state, kind, seq: entry.envelope.seq, issued: issued(&bodies), headed };
    for body in &bodies {
        let Some(done) = &body.done else { continue };
        for (name, record) in done.puts() {
            before.may_put(name, record)?;
        }
        for (id, head) in &done.heads {
            before.may_head(*id, head)?;
        }
        before.tag(body, &bodies)?;
        sums_to_zero(done)?;
        take(&mut overlay, done)?;
    }
    let effects = bodies.into_iter().filter_map(PartBody::effect);
    Ok((overlay.records(), effects.collect()))
}

/// Points that come into being, by the legs of all parts.
fn issued(bodies: &[PartBody]) -> i128 {
    let legs = bodies.iter().filter_map(|body| body.done.as_ref()).flat_map(|done| &done.legs);
    let from = legs.filter(|leg| matches!(leg.place, Place::Shared(_, Shared::Issuance)));
    from.fold(0, |sum, leg| sum.saturating_sub(i128::from(leg.amount)))
}

/// What was there before the entry, against which its effects are held.
struct Before<'a> {
    state: &'a dyn Source,
    kind: Kind,
    seq: u64,
    issued: i128,
    /// Accounts whose heads the entry writes.
    headed: Vec<AccountId>,
}

impl Before<'_> {
    fn record(&self, name: &Name) -> Result<Option<Arc<Record>>, Broken> {
        match self.state.find(name) {
            Found::Known(record) => Ok(Some(record)),
            Found::Absent => Ok(None),
            Found::NotLoaded => Err(Broken::Need(vec![name.clone()])),
        }
    }

    /// Whether an entry of this kind can put this record. Accounts and totals are never put: heads, lots,
    /// holds and legs change them.
    fn may_put(&self, name: &Name, record: Option<&Record>) -> Result<(), Broken> {
        let before = self.record(name)?;
        let issues = matches!(self.kind, Kind::PointsIssued | Kind::PointsBatch);
        let opens = self.kind == Kind::ConsentOpened;
        let pays = self.kind == Kind::PaymentAuthorised;
        let gives_back = matches!(self.kind, Kind::PaymentVoided | Kind::PaymentRefunded);
        let moves = gives_back || self.kind == Kind::PaymentCaptured;
        let fits = match (name, record, before.as_deref()) {
            (Name::Command(..), Some(Record::Command(now)), None) => {
                !issues && now.refused.is_none() && now.seq == self.seq
            }
            (Name::Key(kid), Some(Record::Key(now)), before) => {
                now.key.kid() == *kid && self.may_key(now, before.and_then(Record::key))
            }
            (Name::UsedToken(..) | Name::UsedRef(..), Some(Record::Used(now)), None) => {
                issues && now.0 == self.seq
            }
            (Name::UsedConsent(..), Some(Record::Used(now)), None) => (pays || opens) && now.0 == self.seq,
            (Name::Consent(id), Some(Record::Consent(now)), None) => {
                opens && id.seq == self.seq && now.used.is_zero()
            }
            (Name::Consent(_), Some(Record::Consent(now)), Some(Record::Consent(had))) => {
                let asked = Consent { used: now.used, spent: now.spent, ..had.clone() };
                let money = now.used >= had.used && now.used <= had.most;
                pays && money && now.spent >= had.spent && now.spent <= had.points && *now == asked
            }
            (Name::Shown(id), Some(Record::Shown(_)), None) => opens && id.seq == self.seq,
            (Name::Limit(_, _, measure), Some(Record::Limit(now)), before) => {
                let had = before.and_then(Record::limit).copied().unwrap_or_default();
                let grows = now.window > had.window || (now.window == had.window && now.used >= had.used);
                let exactly = i128::from(had.used).saturating_add(self.issued) == i128::from(now.used);
                match measure {
                    Measure::Issued => issues && exactly,
                    Measure::IssuedHour => issues && grows,
                    Measure::TakenHour | Measure::TakenDay => (pays || moves) && grows,
                    Measure::AcceptedDay => pays && grows,
                    Measure::ReturnedHour | Measure::ReturnedDay => moves && grows,
                    Measure::AssertedAccountDay | Measure::AssertedDay => (issues || pays || moves) && grows,
                    Measure::RefusedHour => false,
                }
            }
            (Name::Payment(id), Some(Record::Payment(now)), None) => {
                pays && id.seq == self.seq && now.refunded.is_zero()
            }
            (Name::Payment(_), Some(Record::Payment(now)), Some(Record::Payment(had))) => {
                let moved = Payment {
                    captured: now.captured,
                    refunded: now.refunded,
                    closed: now.closed,
                    ..had.clone()
                };
                let forward = now.captured >= had.captured
                    && now.refunded >= had.refunded
                    && now.refunded <= now.captured
                    && (now.closed || !had.closed);
                moves && forward && *now == moved
            }
            (Name::Share(id, _), Some(Record::Share(_)), None) => pays && id.seq == self.seq,
            (Name::Share(..), Some(Record::Share(now)), Some(Record::Share(had))) => {
                moves && now.account == had.account
            }
            _ => false,
        };
        if fits { Ok(()) } else { wrong(format!("{} cannot change {name} so", self.kind)) }
    }

    /// A holder's key, new; or one that is revoked, once and for all if it is compromised.
    fn may_key(&self, now: &KeyRecord, before: Option<&KeyRecord>) -> bool {
        let holders = now.purpose == Purpose::Account && matches!(now.owner, Principal::Account(_));
        let headed = matches!(&now.owner, Principal::Account(id) if self.headed.contains(id));
        match before {
            None => {
                self.kind == Kind::AccountOpened
                    && holders
                    && headed
                    && now.state == KeyState::Active
                    && now.till.is_none()
                    && now.held.is_none()
            }
            Some(had) => {
                let revoked = KeyRecord { state: now.state, ..had.clone() };
                self.kind == Kind::AccountKeyRevoked
                    && holders
                    && had.state != KeyState::Compromised
                    && *now == revoked
            }
        }
    }

    /// An account's head: new, given a key, or frozen; its unit stays.
    fn may_head(&self, id: AccountId, now: &Head) -> Result<(), Broken> {
        let name = Name::Account(id);
        let before = self.record(&name)?;
        let fits = match before.as_deref().and_then(Record::account).map(|account| &account.head) {
            None => {
                let opened = self.kind == Kind::AccountOpened && now.key.is_some();
                let awarded =
                    matches!(self.kind, Kind::PointsIssued | Kind::PointsBatch) && now.key.is_none();
                (opened || awarded) && !now.frozen && now.owed.is_zero()
            }
            Some(had) => match self.kind {
                Kind::AccountOpened => had.key.is_none() && *now == Head { key: now.key, ..had.clone() },
                Kind::AccountFrozen => *now == Head { frozen: now.frozen, ..had.clone() },
                _ => now == had,
            },
        };
        if fits { Ok(()) } else { wrong(format!("{} cannot change {name} so", self.kind)) }
    }

    /// The payment and the cycle that an obligation is tagged with.
    fn tag(&self, body: &PartBody, all: &[PartBody]) -> Result<(), Broken> {
        let money = |done: &Done| done.legs.iter().any(|leg| matches!(leg.asset, Asset::Money(_)));
        let owes = body.done.as_ref().is_some_and(money);
        let of = |id| puts(all).any(|(name, _)| *name == Name::Payment(id));
        let open = match self.record(&Name::Cycle)?.as_deref() {
            Some(Record::Cycle(cycle)) => Some(cycle.open),
            _ => None,
        };
        let tagged = body.payment.is_some_and(of) && body.cycle == open;
        let untagged = body.payment.is_none() && body.cycle.is_none();
        if (owes && tagged) || (!owes && untagged) {
            Ok(())
        } else {
            wrong("an obligation belongs to the entry's payment and the open cycle")
        }
    }
}

/// Evidence stands before effects, and only evidence may be missing.
fn evidence_first(entry: Stored, kind: Kind) -> Result<Vec<PartBody>, Broken> {
    let mut statements = 0usize;
    let mut effects: Vec<PartBody> = vec![];
    for part in entry.parts {
        let body = match part {
            Slot::Erased(_) => None,
            Slot::Whole(bytes) => bodies(std::iter::once(bytes.as_slice()))?.pop(),
        };
        let body = match body {
            // Evidence that is left says nothing else.
            Some(PartBody {
                jws,
                http,
                line: None,
                verdict: None,
                payment: None,
                cycle: None,
                done: None,
            }) => {
                // What was asked comes first: a signed request is never beside or behind something else.
                match (jws, http) {
                    (Some(_), None) => None,
                    (None, Some(_)) if statements == 0 => None,
                    (None, None) => return wrong("a part that says nothing"),
                    _ => return wrong("a signed request that does not stand first"),
                }
            }
            Some(body) if body.jws.is_some() || body.http.is_some() => {
                return wrong("evidence with effects in the same part");
            }
            body => body,
        };
        match body {
            Some(body) => effects.push(body),
            None if effects.is_empty() => statements = statements.saturating_add(1),
            None => return wrong("effects were erased"),
        }
    }
    let fits = match kind {
        Kind::PaymentAuthorised => consents(&effects).and_then(|n| n.checked_add(1)) == Some(statements),
        Kind::ConsentOpened => statements == 2,
        Kind::AccountOpened => statements > 0 && puts(&effects).any(|(name, _)| matches!(name, Name::Key(_))),
        // These may change nothing, and have any number of approvals: a part that is gone may have been one.
        Kind::AccountFrozen | Kind::AccountKeyRevoked => statements > 0,
        _ => statements == 1,
    };
    if fits && !effects.is_empty() { Ok(effects) } else { wrong("effects were erased") }
}

/// How many signed consents a payment rests on: what its brand's part says, less what rests on open ones. A signed one
/// is used up by it.
fn consents(effects: &[PartBody]) -> Option<usize> {
    let shares = puts(effects).find_map(|(_, record)| record?.payment())?.shares.len();
    let count = |fits: fn(&Name) -> bool| puts(effects).filter(|(name, _)| fits(name)).count();
    let signed = count(|name| matches!(name, Name::UsedConsent(..)));
    let open = count(|name| matches!(name, Name::Consent(_)));
    (signed.checked_add(open) == Some(shares)).then_some(signed)
}

fn puts(effects: &[PartBody]) -> impl Iterator<Item = (&Name, Option<&Record>)> {
    effects.iter().filter_map(|body| body.done.as_ref()).flat_map(Done::puts)
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
    let before: Vec<i128> = accounts.iter().map(|id| total(overlay, *id)).collect();
    overlay.take(done)?;
    for (id, had) in accounts.into_iter().zip(before) {
        let legs = done.legs.iter().filter(|leg| leg.place == Place::Holder(id));
        let change = legs.clone().fold(0i128, |sum, leg| sum.saturating_add(i128::from(leg.amount)));
        let has = total(overlay, id);
        let said = |leg: &Leg| leg.after.map(i128::from) == Some(has);
        if had.saturating_add(change) != has || !legs.clone().all(said) || has > i128::from(MAX_INT) {
            return wrong(format!("{id} has {has} afterwards, its legs say otherwise"));
        }
    }
    for leg in &done.legs {
        let right = match (&leg.place, leg.asset) {
            (Place::Pair(a, b), Asset::Money(currency)) => leg.after == Some(pair(overlay, a, b, currency)),
            (Place::Shared(..), _) => leg.after.is_none(),
            _ => true,
        };
        if !right {
            return wrong(format!("the balance after on {} is another", leg.place));
        }
    }
    Ok(())
}

/// What the first participant has from the second.
fn pair(overlay: &mut Overlay, a: &ParticipantId, b: &ParticipantId, currency: Currency) -> i64 {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    let record = overlay.record(&Name::Pair(first.clone(), second.clone(), currency));
    let total = record.as_deref().and_then(Record::total).copied().unwrap_or(0);
    if a < b { total } else { total.saturating_neg() }
}

fn account_of(name: &Name) -> Option<AccountId> {
    match name {
        Name::Account(id) => Some(*id),
        _ => None,
    }
}

fn total(overlay: &mut Overlay, id: AccountId) -> i128 {
    let record = overlay.record(&Name::Account(id));
    let Some(account) = record.as_deref().and_then(Record::account) else { return 0 };
    let held = account.holds.iter().flat_map(|hold| &hold.lots);
    account.lots.iter().chain(held).fold(0, |sum, lot| sum.saturating_add(i128::from(lot.1.get())))
}
