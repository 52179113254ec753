//! Backing: what must stand behind a unit's points, and whether it does.
//!
//! Owns: how many points are outstanding, what they need, and the one check of points that come into being.
//! Promises: no award and no exchange leaves more points outstanding than their reserve stands for, at the highest settle
//! price in force or announced, rounded against the issuer: a price that is lowered for a day frees nothing; where a reserve is filled when points are issued, none that its issuer may
//! not owe for. Each line of a batch sees the lines before it. Points that come back, by a refund or a void, are never
//! refused. A unit without a reserve costs one look-up.
//! Refuses to know: who issues, and for whom.

use super::exposure::asks;
use super::issuance::may_fill;
use super::{can_apply, in_force, price_now};
use crate::book::{Draft, Name, Price, Record, Reserve, Shared, Stop};
use crate::network::unless_refused;
use crate::types::{Currency, Money, Points, Rate, Refusal, Refused, UnitCode, decimal};

/// What must stand behind a unit's points; `None` if nothing was set.
pub fn reserve_of(draft: &mut Draft, unit: UnitCode) -> Result<Option<Reserve>, Stop> {
    let record = draft.get(&Name::Reserve(unit))?;
    Ok(record.as_deref().and_then(Record::reserve).cloned())
}

/// A unit's points on accounts: available, held and pending. All its legs sum to zero, so that is what its shared
/// accounts gave and did not get back: a few totals, however many accounts there are.
pub fn points_outstanding(draft: &mut Draft, unit: UnitCode) -> Result<Points, Stop> {
    let mut shared = 0i64;
    for place in Shared::ALL {
        shared = shared
            .checked_add(draft.total(&Name::Shared(unit, place))?)
            .ok_or_else(|| Stop::Bug(format!("the totals of {unit} overflow")))?;
    }
    let outstanding = shared.checked_neg().and_then(|sum| u64::try_from(sum).ok()).and_then(Points::new);
    outstanding.ok_or_else(|| Stop::Bug(format!("accounts of {unit} hold {shared} less than nothing")))
}

/// What a point stands for in a reserve: the highest settle price of all versions in force or announced, which points that
/// are outstanding may be spent at. `None` if none is in force.
pub fn dearest(versions: &[Price], currency: Currency, now: u64) -> Option<Rate> {
    in_force(versions, currency, now)?;
    let counts = |price: &&Price| price.currency == currency && can_apply(*price, versions, now);
    let each = versions.iter().filter(counts).map(Price::dearest);
    each.reduce(|high, rate| if rate.is_above(high) { rate } else { high })
}

/// The same now; refused as a price that is asked for is, if none is in force.
pub fn dearest_now(draft: &mut Draft, unit: UnitCode, currency: Currency) -> Result<Rate, Stop> {
    let now = draft.at.seconds();
    let price = price_now(draft, unit, currency)?;
    Ok(dearest(&draft.prices(unit)?.versions, currency, now).unwrap_or_else(|| price.dearest()))
}

/// What so many points of a unit need: `None` is more than can be held.
pub fn needed(
    draft: &mut Draft,
    unit: UnitCode,
    reserve: &Reserve,
    points: Points,
) -> Result<Option<Money>, Stop> {
    if reserve.ratio == 0 {
        return Ok(Some(Money::ZERO));
    }
    Ok(dearest_now(draft, unit, reserve.currency)?.money_ppm_ceil(points, reserve.ratio))
}

/// Whether a unit's points need more than is held for them, or no price in force says what they need.
pub fn is_short(draft: &mut Draft, unit: UnitCode, reserve: &Reserve) -> Result<bool, Stop> {
    let points = points_outstanding(draft, unit)?;
    let need = unless_refused(needed(draft, unit, reserve, points))?.flatten();
    Ok(need.is_none_or(|need| need > reserve.held))
}

/// The reserve of a unit that is being issued: looked up once an entry, asked about with each award.
pub struct Backing {
    unit: UnitCode,
    reserve: Reserve,
    rate: Rate,
}

impl Backing {
    /// The reserve of a unit, if points of it need one.
    pub fn of(draft: &mut Draft, unit: UnitCode) -> Result<Option<Self>, Stop> {
        let Some(reserve) = reserve_of(draft, unit)?.filter(|reserve| reserve.ratio > 0) else {
            return Ok(None);
        };
        let rate = dearest_now(draft, unit, reserve.currency)?;
        draft.want(Shared::ALL.map(|place| Name::Shared(unit, place)))?;
        Ok(Some(Self { unit, reserve, rate }))
    }

    /// How many points are outstanding now.
    pub fn outstanding(&self, draft: &mut Draft) -> Result<Points, Stop> {
        points_outstanding(draft, self.unit)
    }

    /// Refused if more points are outstanding than before, and more than the reserve stands for, or than its issuer may
    /// fill it for.
    pub fn check(&self, draft: &mut Draft, before: Points) -> Result<(), Stop> {
        let after = points_outstanding(draft, self.unit)?;
        if self.reserve.issuance.is_some() {
            return may_fill(draft, self.unit, &self.reserve, self.rate);
        }
        let need = self.rate.money_ppm_ceil(after, self.reserve.ratio);
        let Reserve { held, currency, .. } = self.reserve;
        if after <= before || need.is_some_and(|need| need <= held) {
            return Ok(());
        }
        let (network, scale) = (draft.network()?, draft.unit(self.unit)?.scale);
        let need = need.map(|need| network.told(currency, need.get()));
        let all = format!(
            "{} would be outstanding: {} are needed, {} are held",
            decimal(after.signed(), scale),
            need.unwrap_or_else(|| "more than can be held".into()),
            network.told(currency, held.get())
        );
        // A sponsor or a shop would read off it what was issued today.
        let brand = draft.unit(self.unit)?.brand.clone();
        let issuer = draft.brand(&brand)?.participant.clone();
        let about = format!("{issuer} tops the reserve of {} up first: {}", self.unit, asks(draft, &issuer)?);
        Err(Refused::about(Refusal::IssuanceCoverExceeded, about).telling(&issuer, all).into())
    }
}
