//! Issuance: reserves that are filled when points are issued.
//!
//! Owns: what such a reserve comes to, who owes it for that, and by which way a unit's points are paid for then.
//! Promises: after every entry in which points of the unit moved, its reserve stands at ceil(outstanding · dearest settle
//! price in force or announced · ratio), whatever moved them and in whatever order: the difference to what it stood at before is owed
//! between the issuer's participant and the reserve's holder, once. So at nothing outstanding it is nothing. What is paid to
//! others for points goes through its holder and leaves it as it was: it owes them what the issuer owes it.
//! Refuses to know: what moved the points.
//!
//! With H before, n outstanding after and b of the points ended unspent in the entry: where these free money for somebody
//! else than the issuer, the holder keeps f(n + b) − f(n) of what is freed, and the issuer owes f(n + b) − H in all.

use super::backing::{dearest_now, points_outstanding, reserve_of};
use super::exposure::{funding, may_owe, within};
use crate::book::{
    AtIssuance, BreakageTo, Draft, Funding, Name, PartKey, Record, Reserve, Service, Shared, Stop, Supply,
    Tax,
};
use crate::network::unless_refused;
use crate::types::{
    CauseId, Currency, Money, ParticipantId, Points, Rate, Refusal, Refused, ReserveId, UnitCode,
};
use std::collections::BTreeMap;

/// Between whom a unit's points are paid for.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The participant that answers for the points.
    pub issuer: &'a ParticipantId,
    /// Who pays in its place, if somebody does.
    pub keeper: Option<&'a ParticipantId>,
    /// Who is owed.
    pub creditor: &'a ParticipantId,
}

/// Who pays for a unit's points in their issuer's place: the holder of their reserve, if that is filled when points are
/// issued. `None` if it is who is owed.
pub fn keeper_of(
    draft: &mut Draft,
    unit: UnitCode,
    creditor: &ParticipantId,
) -> Result<Option<ParticipantId>, Stop> {
    if !draft.network()?.funded {
        return Ok(None);
    }
    let terms = reserve_of(draft, unit)?.and_then(|reserve| reserve.issuance);
    Ok(terms.map(|terms| terms.keeper).filter(|keeper| keeper != creditor))
}

/// Books what is owed for points: by the issuer, or by who pays in its place, to whom the issuer then owes as much.
pub fn owe_for_points(
    draft: &mut Draft,
    sides: Sides,
    currency: Currency,
    amount: i64,
    supply: Option<Supply>,
    cause: CauseId,
) -> Result<(), Stop> {
    let Sides { issuer, keeper, creditor } = sides;
    let steps = [Some((keeper.unwrap_or(issuer), creditor)), keeper.map(|keeper| (issuer, keeper))];
    for (debtor, creditor) in steps.into_iter().flatten() {
        match supply {
            Some(supply) => draft.owe_for(debtor, creditor, currency, supply, cause)?,
            None => draft.owe(debtor, creditor, currency, amount, cause)?,
        }
    }
    Ok(())
}

/// What a reserve comes to by the points that are outstanding now.
struct Due {
    /// At this price.
    rate: Rate,
    /// What it stands at.
    held: Money,
    /// What the issuer owes for that, + or is owed, −.
    owes: i64,
    /// What the holder keeps of what was freed.
    kept: Money,
}

fn due(draft: &mut Draft, unit: UnitCode, reserve: &Reserve, terms: &AtIssuance) -> Result<Due, Stop> {
    let outstanding = points_outstanding(draft, unit)?;
    let ended = match terms.breakage_to {
        BreakageTo::Issuer => Points::ZERO,
        BreakageTo::Operator | BreakageTo::Fund => ended_unspent(draft, unit)?,
    };
    let with = outstanding.plus(ended).ok_or(Refusal::AmountTooLarge)?;
    let at = |rate: Rate| {
        let of = |points| rate.money_ppm_ceil(points, reserve.ratio);
        Some((rate, of(outstanding)?, of(with)?))
    };
    // Without a price in force, or with one at which they are worth more than can be written, points are worth what they
    // were: what ends or comes back is never refused for that.
    let now = unless_refused(dearest_now(draft, unit, reserve.currency))?;
    let (rate, held, whole) = now.and_then(at).or_else(|| at(terms.rate)).ok_or(Refusal::AmountTooLarge)?;
    let owes = whole.signed().saturating_sub(reserve.held.signed());
    let kept = whole.minus(held).unwrap_or_default();
    Ok(Due { rate, held, owes, kept })
}

/// Points that expired or were forfeited in this entry. What was taken back should not have been issued: what that frees is
/// its issuer's.
fn ended_unspent(draft: &mut Draft, unit: UnitCode) -> Result<Points, Stop> {
    let mut sum = 0i64;
    for place in [Shared::Expired, Shared::Forfeited] {
        let name = Name::Shared(unit, place);
        let more = draft.total(&name)?.saturating_sub(draft.total_before(&name)?);
        sum = sum.saturating_add(more);
    }
    Ok(u64::try_from(sum.max(0)).ok().and_then(Points::new).ok_or(Refusal::AmountTooLarge)?)
}

fn issuer_of(draft: &mut Draft, unit: UnitCode) -> Result<ParticipantId, Stop> {
    let brand = draft.unit(unit)?.brand.clone();
    Ok(draft.brand(&brand)?.participant.clone())
}

/// Whether a unit's issuer may fill its reserve for the points that are outstanding now, all of this entry's among them.
pub(super) fn may_fill(draft: &mut Draft, unit: UnitCode, reserve: &Reserve, rate: Rate) -> Result<(), Stop> {
    let Some(terms) = &reserve.issuance else { return Ok(()) };
    let due = due(draft, unit, reserve, terms)?;
    if due.rate != rate {
        let about = format!("{unit}: more than can be held is needed");
        return Err(Refused::about(Refusal::IssuanceCoverExceeded, about).into());
    }
    let Some(amount) = u64::try_from(due.owes).ok().and_then(Money::new) else { return Ok(()) };
    let issuer = issuer_of(draft, unit)?;
    may_owe(draft, &issuer, &terms.keeper, reserve.currency, amount)
}

/// Brings every reserve that is filled when points are issued to what it comes to now, if points of it moved or its issuer is
/// asked. The last thing that an entry does: nothing may move points after it. Refused if what was done of somebody's own will
/// leaves an issuer owing more, and more than it may.
pub fn restate(draft: &mut Draft) -> Result<(), Stop> {
    let (mut units, asked) = (draft.moved_units()?, draft.asked_issuers());
    units.extend(asked.iter().map(|(unit, ..)| *unit));
    units.sort_unstable();
    units.dedup();
    if units.is_empty() {
        return Ok(());
    }
    let network = draft.get(&Name::Network)?;
    if !network.as_deref().and_then(Record::network).is_some_and(|network| network.funded) {
        return Ok(());
    }
    let mut grown = BTreeMap::<(ParticipantId, ParticipantId, Currency), i64>::new();
    for unit in units {
        let Some(reserve) = reserve_of(draft, unit)? else { continue };
        let Some(terms) = reserve.issuance.clone() else { continue };
        let (currency, keeper) = (reserve.currency, terms.keeper.clone());
        let owes = book(draft, unit, reserve, terms)?;
        let paid: Vec<_> = asked.iter().filter(|(of, ..)| *of == unit).collect();
        if paid.is_empty() {
            continue;
        }
        let issuer = issuer_of(draft, unit)?;
        let paid = paid.into_iter().map(|(_, currency, amount)| (*currency, amount.signed()));
        for (currency, more) in paid.chain([(currency, owes)]) {
            let sum = grown.entry((issuer.clone(), keeper.clone(), currency)).or_default();
            *sum = sum.saturating_add(more);
        }
    }
    for ((issuer, keeper, currency), _) in grown.into_iter().filter(|(_, more)| *more > 0) {
        within(draft, &issuer, &keeper, currency)?;
    }
    Ok(())
}

/// Says what the issuer owes more for it.
fn book(draft: &mut Draft, unit: UnitCode, reserve: Reserve, terms: AtIssuance) -> Result<i64, Stop> {
    let Due { rate, held, owes, kept } = due(draft, unit, &reserve, &terms)?;
    let (issuer, currency) = (issuer_of(draft, unit)?, reserve.currency);
    let cause = CauseId::Reserve(ReserveId(unit));
    let change = owes.saturating_sub(kept.signed());
    draft.owe(&issuer, &terms.keeper, currency, change, cause)?;
    if !kept.is_zero() {
        let supply =
            Supply { service: Service::Breakage, tax: Tax::default(), net: kept.signed(), amount: 0 };
        draft.owe_for(&issuer, &terms.keeper, currency, supply, cause)?;
    }
    if terms.breakage_to == BreakageTo::Fund && !kept.is_zero() {
        let have = funding(draft, &issuer, currency)?.unwrap_or_default();
        let fund = have.fund.plus(kept).ok_or(Refusal::AmountTooLarge)?;
        let name = Name::Funding(issuer.clone(), currency);
        draft.put(PartKey::Participant(issuer), name, Some(Record::from(Funding { fund, ..have })))?;
    }
    let brand = draft.unit(unit)?.brand.clone();
    let after = Reserve { held, issuance: Some(AtIssuance { rate, ..terms }), ..reserve };
    draft.put(PartKey::Brand(brand), Name::Reserve(unit), Some(Record::Reserve(after)))?;
    Ok(owes)
}
