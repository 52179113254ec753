//! The scene: what an entry without evidence recorded, and what was there before it.
//!
//! Owns: looking things up in both.
//! Promises: what is not loaded is asked for, never taken for absent.
//! Refuses to know: what to make of it.

use super::super::entry::PartBody;
use super::super::kind::Kind;
use super::super::verify::Broken;
use super::left::Left;
use crate::book::{
    Account, Bucket, Command, Done, Found, KeyRecord, Measure, Name, Place, Principal, Record, Shared,
    Source, Used,
};
use crate::types::{AccountId, BrandId, Ident, Kid, Time, UnitCode};
use std::sync::Arc;

/// See the module.
pub(super) struct Scene<'a> {
    pub state: &'a dyn Source,
    pub kind: Kind,
    pub seq: u64,
    pub at: Time,
    pub left: &'a Left,
    pub effects: &'a [PartBody],
}

/// State with one account more: whose it was is not known.
pub(super) struct With<'a> {
    state: &'a dyn Source,
    name: Name,
    record: Arc<Record>,
}

impl Source for With<'_> {
    fn find(&self, name: &Name) -> Found {
        if *name == self.name { Found::Known(self.record.clone()) } else { self.state.find(name) }
    }
}

impl<'a> Scene<'a> {
    pub fn with(&self, (id, account): &(AccountId, Account)) -> With<'a> {
        let record = Arc::new(Record::Account(account.clone()));
        With { state: self.state, name: Name::Account(*id), record }
    }

    /// A record as it was before the entry.
    pub fn before(&self, name: &Name) -> Result<Option<Arc<Record>>, Broken> {
        match self.state.find(name) {
            Found::Known(record) => Ok(Some(record)),
            Found::Absent => Ok(None),
            Found::NotLoaded => Err(Broken::Need(vec![name.clone()])),
        }
    }

    pub fn done(&self) -> impl Iterator<Item = &'a Done> {
        self.effects.iter().filter_map(|body| body.done.as_ref())
    }

    /// The records that it put.
    pub fn puts(&self) -> impl Iterator<Item = (&'a Name, &'a Record)> {
        self.done().flat_map(Done::puts).filter_map(|(name, record)| Some((name, record?)))
    }

    /// The id under which it was asked for.
    pub fn command(&self) -> Option<(&'a Principal, &'a Ident, &'a Command)> {
        self.puts().find_map(|(name, record)| match name {
            Name::Command(principal, cid) => Some((principal, cid, record.command()?)),
            _ => None,
        })
    }

    pub fn used_token(&self) -> Option<(&'a BrandId, &'a Ident, &'a Used)> {
        self.puts().find_map(|(name, record)| match name {
            Name::UsedToken(brand, jti) => Some((brand, jti, record.used()?)),
            _ => None,
        })
    }

    pub fn used_consents(&self) -> impl Iterator<Item = (AccountId, &'a Ident, &'a Used)> {
        self.puts().filter_map(|(name, record)| match name {
            Name::UsedConsent(account, jti) => Some((*account, jti, record.used()?)),
            _ => None,
        })
    }

    /// The keys whose limits of these measures it drew on.
    pub fn drawn(&self, measures: &[Measure]) -> Vec<Kid> {
        let mut kids = vec![];
        for (name, _) in self.puts() {
            if let Name::Limit(_, subject, measure) = name
                && measures.contains(measure)
                && let Ok(kid) = subject.as_str().parse::<Kid>()
                && !kids.contains(&kid)
            {
                kids.push(kid);
            }
        }
        kids
    }

    /// Whether something was counted. A count that begins at nothing is recorded too, and counts nothing.
    pub fn counted(&self, wanted: Measure) -> bool {
        self.puts().any(|(name, record)| {
            let used = record.limit().is_some_and(|limit| limit.used > 0);
            used && matches!(name, Name::Limit(_, _, measure) if *measure == wanted)
        })
    }

    /// The first account that it changed, or counted against.
    pub fn account(&self) -> Option<AccountId> {
        let changed = self.done().find_map(|done| {
            let heads = done.heads.iter().map(|(id, _)| *id).chain(done.lots.iter().map(|(id, ..)| *id));
            let legs = done.legs.iter().filter_map(|leg| match leg.place {
                Place::Holder(id) => Some(id),
                Place::Shared(..) | Place::Pair(..) => None,
            });
            heads.chain(done.holds.iter().map(|(id, ..)| *id)).chain(legs).next()
        });
        changed.or_else(|| {
            self.puts().find_map(|(name, _)| match name {
                Name::Limit(_, subject, Measure::AssertedAccountDay) => {
                    subject.as_str().split('.').next().and_then(|id| id.parse().ok())
                }
                _ => None,
            })
        })
    }

    /// Points that moved to a shared account, less what it gave.
    pub fn gained(&self, wanted: Shared) -> i128 {
        let legs = self.done().flat_map(|done| &done.legs);
        let of = legs.filter(|leg| matches!(leg.place, Place::Shared(_, shared) if shared == wanted));
        of.fold(0, |sum, leg| sum.saturating_add(i128::from(leg.amount)))
    }

    /// The lots of an account that it made larger: by points that came, or because their first day had come.
    pub fn grown(&self, id: AccountId) -> Result<Vec<Bucket>, Broken> {
        let before = self.before(&Name::Account(id))?;
        let had = before.as_deref().and_then(Record::account).map_or(&[][..], |account| &account.lots);
        let lots = self.done().flat_map(|done| &done.lots).filter(|(of, ..)| *of == id);
        let grown = lots.filter(|(_, bucket, points)| {
            had.iter().find(|lot| lot.0 == *bucket).map_or(!points.is_zero(), |lot| *points > lot.1)
        });
        Ok(grown.map(|(_, bucket, _)| *bucket).collect())
    }

    /// A key as it was before.
    pub fn key(&self, kid: Kid) -> Result<Option<KeyRecord>, Broken> {
        Ok(self.before(&Name::Key(kid))?.as_deref().and_then(Record::key).cloned())
    }

    /// The brand of a unit.
    pub fn brand_of(&self, unit: UnitCode) -> Result<Option<BrandId>, Broken> {
        Ok(self.before(&Name::Unit(unit))?.as_deref().and_then(Record::unit).map(|unit| unit.brand.clone()))
    }

    /// How many of the operator's roots must sign.
    pub fn threshold(&self) -> Result<usize, Broken> {
        let network = self.before(&Name::Network)?;
        Ok(network.as_deref().and_then(Record::network).map_or(usize::MAX, |n| usize::from(n.threshold)))
    }
}
