//! Pledges: what spending points may add to what their issuer owes, where its reserve is filled when points are issued.
//!
//! Owns: which spends ask the issuer for headroom, beside who pays in its place, and how much.
//! Promises: who spends points of their own will leaves the issuer within its limits, or owing no more than before: what is paid
//! for the points, less what the reserve frees for them, and what a dearer price asks for all that are outstanding. While a
//! payment is open, what the reserve may fail to free by its deadline is kept for it, by the prices in force and announced.
//! Refuses to know: who spends.

use super::backing::reserve_of;
use super::can_apply;
use super::exposure::{end_firm, funding, hold_firm, reserve};
use crate::book::{Draft, Name, Pledge, Price, Record, Reserve, Stop};
use crate::types::{Currency, Money, ParticipantId, Points, Rate, Time, UnitCode};

/// Points that are spent.
pub struct Spend<'a> {
    /// Of this unit.
    pub unit: UnitCode,
    /// So many.
    pub points: Points,
    /// The participant that answers for them.
    pub issuer: &'a ParticipantId,
    /// The currency in which they are paid for.
    pub currency: Currency,
    /// What is paid for them.
    pub owed: Money,
    /// Until when they may be; `None`: they are in this entry.
    pub until: Option<Time>,
}

/// Asks the issuer, when the entry ends. See [`pledged`] for what is told.
pub fn pledge(draft: &mut Draft, spend: &Spend) -> Result<Option<(ParticipantId, Money)>, Stop> {
    let found = pledged(draft, spend)?;
    if let Some((_, amount)) = &found {
        draft.ask_issuer(spend.unit, spend.currency, *amount);
    }
    Ok(found)
}

/// Who holds the reserve, and what is to be kept until the spend happens; what is paid, if it does now. `None`: nothing limits
/// the issuer, or its reserve is another.
pub fn pledged(draft: &mut Draft, spend: &Spend) -> Result<Option<(ParticipantId, Money)>, Stop> {
    let network = draft.get(&Name::Network)?;
    if !network.as_deref().and_then(Record::network).is_some_and(|network| network.funded && network.capped) {
        return Ok(None);
    }
    let Some(backing) = reserve_of(draft, spend.unit)? else { return Ok(None) };
    let Some(terms) = &backing.issuance else { return Ok(None) };
    let limited = funding(draft, spend.issuer, spend.currency)?.is_some()
        || funding(draft, spend.issuer, backing.currency)?.is_some();
    if !limited {
        return Ok(None);
    }
    let amount = match spend.until {
        Some(until) if spend.currency == backing.currency => {
            let freed = freed(draft, spend, &backing, terms.rate, until)?;
            spend.owed.minus(freed).unwrap_or_default()
        }
        _ => spend.owed,
    };
    Ok(Some((terms.keeper.clone(), amount)))
}

/// What a reserve frees for points at the least, at whichever price they are spent until then.
fn freed(
    draft: &mut Draft,
    spend: &Spend,
    backing: &Reserve,
    stands: Rate,
    until: Time,
) -> Result<Money, Stop> {
    let now = draft.at.seconds();
    let prices = draft.prices(spend.unit)?;
    let versions = &prices.versions;
    let applies = |price: &&Price| {
        price.currency == backing.currency
            && price.from <= until.seconds()
            && can_apply(*price, versions, now)
    };
    let dearest = versions.iter().filter(applies).map(Price::dearest);
    let lowest = dearest.reduce(|low, rate| if low.is_above(rate) { rate } else { low }).unwrap_or(stands);
    Ok(lowest.money_ppm_floor(spend.points, backing.ratio).unwrap_or_default())
}

/// The same for a firm offer: what is to be kept is held for it until it can no longer be agreed to.
pub fn pledge_firm(draft: &mut Draft, spend: &Spend, until: Time) -> Result<Option<Money>, Stop> {
    let Some((keeper, amount)) = pledge(draft, spend)? else { return Ok(None) };
    hold_firm(draft, spend.issuer, &keeper, spend.currency, amount, until)?;
    Ok(Some(amount))
}

/// Ends what was held of an issuer for a firm offer; says who holds its reserve.
pub fn end_pledge(
    draft: &mut Draft,
    spend: &Spend,
    amount: Money,
    until: Time,
) -> Result<Option<(ParticipantId, Money)>, Stop> {
    let terms = reserve_of(draft, spend.unit)?.and_then(|backing| backing.issuance);
    let Some(keeper) = terms.map(|terms| terms.keeper) else { return Ok(None) };
    end_firm(draft, spend.issuer, &keeper, spend.currency, amount, until)?;
    Ok(Some((keeper, amount)))
}

/// Keeps headroom of an issuer while a payment is open.
pub fn keep_pledge(
    draft: &mut Draft,
    spend: &Spend,
    keeper: &ParticipantId,
    amount: Money,
) -> Result<Option<Pledge>, Stop> {
    let Some(deadline) = spend.until.filter(|_| !amount.is_zero()) else { return Ok(None) };
    let kept = reserve(draft, spend.issuer, Some(keeper), spend.currency, deadline, amount)?;
    Ok(kept.any.then_some(Pledge { amount, paired: kept.paired }))
}
