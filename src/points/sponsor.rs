//! Sponsored awards: another brand's key awards a unit's points, and its participant pays for them.
//!
//! Owns: what they cost, who may owe that, what its budget allows, and what is booked.
//! Promises: each award costs ceil(points · issue), at the price in force for the sponsor, so that no way of splitting
//! awards makes points cheaper than their issue price; what all awards of an entry cost is owed in one sum, and each line of
//! a batch is taken only if with the lines before it the sponsor may owe it and agreed to pay it. While points could be worth
//! more than is paid for them, or cost more than the sponsor agreed to, none are sponsored. Tax is within what is owed, as the
//! issuer published it. Points that are taken back are paid back in proportion, so all of
//! them in full. The record names no account.
//! Refuses to know: whose points they are.

use crate::book::{Draft, Limit, Measure, Name, PartKey, Record, Service, Sponsored, Stop, Supply, Unit};
use crate::prices::{charged_for, end_met_call, may_owe, tax_now};
use crate::sign::SponsorTerms;
use crate::types::{AwardId, BrandId, Ident, Kid, MAX_INT, Money, Points, Rate, Refusal, Refused, UnitCode};

/// All of it, in parts per million.
const WHOLE: u32 = 1_000_000;

/// What the awards of an entry cost their sponsor so far.
pub(super) struct Sponsorship {
    rate: Rate,
    terms: SponsorTerms,
    paid: Limit,
    so_far: Sponsored,
}

impl Sponsorship {
    /// The terms on which a key of another brand awards a unit's points. Refused if it has no such budget, or points cost
    /// more now than was agreed.
    pub fn open(
        draft: &mut Draft,
        kid: Kid,
        sponsor: &BrandId,
        unit: &Unit,
        code: UnitCode,
    ) -> Result<Self, Stop> {
        let budget = draft.get(&Name::Budget(kid))?;
        let budget = budget.as_deref().and_then(Record::budget).filter(|budget| budget.unit == code);
        let Some(terms) = budget.and_then(|budget| budget.sponsored) else {
            return Err(Refused::about(Refusal::KeyOwner, code).into());
        };
        let currency = terms.currency;
        let debtor = draft.brand(sponsor)?.participant.clone();
        let creditor = draft.brand(&unit.brand)?.participant.clone();
        let (rate, price) = charged_for(draft, code, currency, &debtor)?;
        if rate.is_above(terms.issue) {
            let about = format!("{code} costs {rate:?} in {currency}, agreed are {:?}", terms.issue);
            return Err(Refused::about(Refusal::SponsorPriceExceeded, about).into());
        }
        let paid = draft.get(&paid_so_far(kid, sponsor)?)?;
        let paid = paid.as_deref().and_then(Record::limit).copied().unwrap_or_default();
        let tax = tax_now(draft, &creditor, Service::Award)?;
        let so_far = Sponsored {
            unit: code,
            points: Points::ZERO,
            key: kid,
            debtor,
            creditor,
            currency,
            worth: Money::ZERO,
            price,
            tax,
            at: draft.at,
            charged: Money::ZERO,
            disputes: vec![],
            won: Money::ZERO,
            clawed_back: Points::ZERO,
            returned: Money::ZERO,
        };
        Ok(Self { rate, terms, paid, so_far })
    }

    /// The key that awards.
    pub fn key(&self) -> Kid {
        self.so_far.key
    }

    /// The same with another award. Refused if its sponsor did not agree to pay that, or may not owe it.
    pub fn with(&self, draft: &mut Draft, award: Points) -> Result<Self, Stop> {
        let Sponsored { points, worth, debtor, creditor, currency, .. } = &self.so_far;
        let more = self.rate.money_ppm_ceil(award, WHOLE).ok_or(Refusal::AmountTooLarge)?;
        let worth = worth.plus(more).ok_or(Refusal::AmountTooLarge)?;
        let points = points.plus(award).ok_or(Refusal::AmountTooLarge)?;
        let ceiling = self.terms.ceiling.map_or(MAX_INT, Money::get);
        let paid = self.paid.draw(0, more.get(), ceiling).ok_or_else(|| {
            Refused::about(Refusal::BudgetExceeded, format!("the sponsor pays {ceiling} {currency} in all"))
        })?;
        may_owe(draft, debtor, creditor, *currency, worth)?;
        let so_far = Sponsored { points, worth, ..self.so_far.clone() };
        Ok(Self { rate: self.rate, terms: self.terms, paid, so_far })
    }

    /// Books what they cost, if any were given.
    pub fn close(self, draft: &mut Draft, sponsor: &BrandId) -> Result<(), Stop> {
        let record = self.so_far;
        if record.worth.is_zero() {
            return Ok(());
        }
        let name = paid_so_far(record.key, sponsor)?;
        draft.put(PartKey::Brand(sponsor.clone()), name, Some(Record::Limit(self.paid)))?;
        let id = AwardId { seq: draft.seq, part: 0 };
        let (debtor, creditor, currency) = (record.debtor.clone(), record.creditor.clone(), record.currency);
        let owed = record.worth.signed();
        match record.tax {
            None => draft.owe(&debtor, &creditor, currency, owed, id.into())?,
            Some(tax) => {
                let amount = tax.within(record.worth).ok_or(Refusal::AmountTooLarge)?.signed();
                let supply =
                    Supply { service: Service::Award, tax, net: owed.saturating_sub(amount), amount };
                draft.owe_for(&debtor, &creditor, currency, supply, id.into())?;
            }
        }
        put(draft, id, record)?;
        end_met_call(draft, &creditor, currency)
    }
}

/// What a sponsor owed by a key's budget, over all its serials.
fn paid_so_far(kid: Kid, sponsor: &BrandId) -> Result<Name, Stop> {
    let subject: Ident = kid.to_string().parse().map_err(|_| Stop::Bug("a key's id is an id".into()))?;
    Ok(Name::Limit(sponsor.clone(), subject, Measure::Sponsored))
}

/// What is known of the entry with this award in it, which was sponsored.
pub(super) fn of(draft: &mut Draft, award: AwardId) -> Result<Sponsored, Stop> {
    let record = draft.get(&Name::Sponsored(AwardId { part: 0, ..award }))?;
    let paid = record.as_deref().and_then(Record::sponsored).cloned();
    paid.ok_or_else(|| Stop::Bug(format!("{award} is sponsored by nobody")))
}

/// So many more of an entry's sponsored points were taken back: their sponsor gets its share back.
pub(super) fn take_back(draft: &mut Draft, award: AwardId, points: Points) -> Result<(), Stop> {
    let mut paid = of(draft, award)?;
    paid.clawed_back = paid.clawed_back.plus(points).ok_or(Refusal::AmountTooLarge)?;
    put(draft, AwardId { part: 0, ..award }, paid)
}

/// The net and the tax of what changed since so much was taken back, if it is taxed: of all that was taken back the tax is
/// what is within that, so by whatever steps all of it comes back, no tax is left.
fn supply(record: &Sponsored, before: Money) -> Result<Option<Supply>, Stop> {
    let Some(tax) = record.tax else { return Ok(None) };
    let after = record.taken_back();
    let within = |gross| tax.within(gross).map(Money::signed).ok_or(Refusal::AmountTooLarge);
    let amount = within(before)?.saturating_sub(within(after)?);
    let gross = before.signed().saturating_sub(after.signed());
    Ok(Some(Supply { service: Service::Award, tax, net: gross.saturating_sub(amount), amount }))
}

/// Writes what is known of sponsored awards into the part of both sides, and books what its sponsor is to have got back for
/// points that were taken back: floor(worth · taken back / points), but nothing that a dispute took back, or may take.
pub fn put(draft: &mut Draft, id: AwardId, mut record: Sponsored) -> Result<(), Stop> {
    let share = record.worth.share_floor(record.clawed_back.get(), record.points.get());
    let share = share.ok_or(Refusal::AmountTooLarge)?;
    let back = share.min(record.worth.minus(record.charged).unwrap_or_default());
    let less = record.returned.signed().saturating_sub(back.signed());
    if less != 0 {
        let (debtor, currency) = (record.debtor.clone(), record.currency);
        let before = record.taken_back();
        record.returned = back;
        match supply(&record, before)? {
            Some(supply) => draft.owe_for(&debtor, &record.creditor, currency, supply, id.into())?,
            None => draft.owe(&debtor, &record.creditor, currency, less, id.into())?,
        }
        end_met_call(draft, &debtor, currency)?;
    }
    let (a, b) = (record.debtor.clone(), record.creditor.clone());
    let pair = if a < b { PartKey::Pair(a, b) } else { PartKey::Pair(b, a) };
    draft.put(pair, Name::Sponsored(id), Some(Record::from(record)))
}
