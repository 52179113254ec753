//! Sponsored awards: another brand's key awards a unit's points, and its participant pays for them.
//!
//! Owns: what they cost, who may owe that, and what is booked.
//! Promises: each award costs ceil(points · issue), at the price in force for the sponsor, so that no way of splitting
//! awards makes points cheaper than their issue price; what all awards of an entry cost is owed in one sum, and each line of
//! a batch is taken only if with the lines before it the sponsor may owe it. While points could be worth more than is paid
//! for them, none are sponsored. The record names no account.
//! Refuses to know: whose points they are.

use crate::book::{Draft, Name, PartKey, Record, Sponsored, Stop, Unit};
use crate::prices::{charged_for, end_met_call, may_owe};
use crate::types::{AwardId, BrandId, Kid, Money, Points, Rate, Refusal, Refused, UnitCode};

/// All of it, in parts per million.
const WHOLE: u32 = 1_000_000;

/// What the awards of an entry cost their sponsor so far.
pub(super) struct Sponsorship {
    rate: Rate,
    so_far: Sponsored,
}

impl Sponsorship {
    /// The terms on which a key of another brand awards a unit's points. Refused if it has no such budget.
    pub fn open(
        draft: &mut Draft,
        kid: Kid,
        sponsor: &BrandId,
        unit: &Unit,
        code: UnitCode,
    ) -> Result<Self, Stop> {
        let budget = draft.get(&Name::Budget(kid))?;
        let budget = budget.as_deref().and_then(Record::budget).filter(|budget| budget.unit == code);
        let Some(currency) = budget.and_then(|budget| budget.sponsored) else {
            return Err(Refused::about(Refusal::KeyOwner, code).into());
        };
        let debtor = draft.brand(sponsor)?.participant.clone();
        let creditor = draft.brand(&unit.brand)?.participant.clone();
        let (rate, price) = charged_for(draft, code, currency, &debtor)?;
        let (points, worth, charged, at) = (Points::ZERO, Money::ZERO, Money::ZERO, draft.at);
        let so_far = Sponsored { unit: code, points, debtor, creditor, currency, worth, price, at, charged };
        Ok(Self { rate, so_far })
    }

    /// The same with another award. Refused if its sponsor may not owe that.
    pub fn with(&self, draft: &mut Draft, award: Points) -> Result<Self, Stop> {
        let Sponsored { points, worth, debtor, creditor, currency, .. } = &self.so_far;
        let more = self.rate.money_ppm_ceil(award, WHOLE).ok_or(Refusal::AmountTooLarge)?;
        let worth = worth.plus(more).ok_or(Refusal::AmountTooLarge)?;
        let points = points.plus(award).ok_or(Refusal::AmountTooLarge)?;
        may_owe(draft, debtor, creditor, *currency, worth)?;
        Ok(Self { rate: self.rate, so_far: Sponsored { points, worth, ..self.so_far.clone() } })
    }

    /// Books what they cost, if any were given.
    pub fn close(self, draft: &mut Draft) -> Result<(), Stop> {
        let record = self.so_far;
        if record.worth.is_zero() {
            return Ok(());
        }
        let id = AwardId { seq: draft.seq, part: 0 };
        let (debtor, creditor, currency) = (record.debtor.clone(), record.creditor.clone(), record.currency);
        draft.owe(&debtor, &creditor, currency, record.worth.signed(), id.into())?;
        put(draft, id, record)?;
        end_met_call(draft, &creditor, currency)
    }
}

/// Writes what is known of sponsored awards into the part of both sides.
pub fn put(draft: &mut Draft, id: AwardId, record: Sponsored) -> Result<(), Stop> {
    let (a, b) = (record.debtor.clone(), record.creditor.clone());
    let pair = if a < b { PartKey::Pair(a, b) } else { PartKey::Pair(b, a) };
    draft.put(pair, Name::Sponsored(id), Some(Record::Sponsored(record)))
}
