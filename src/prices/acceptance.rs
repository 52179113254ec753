//! Acceptance: whose units a brand takes, for payment and for exchange, and up to how much a day.
//!
//! Owns: publishing it, and the caps. Promises: what is no longer taken, or less of it, is announced as long before as a
//! cut of that unit's prices. Refuses to know: prices.

use super::exchange::{check_exchange, check_list};
use super::{root_of_unit, rules};
use crate::book::{
    Acceptance, Accepted, AcceptedUnit, AnnouncedAcceptance, Draft, Draw, ExchangeAccepted, Measure, Name,
    PartKey, Record, Stop,
};
use crate::network::Asked;
use crate::sign::{Sale, objects, optional_objects};
use crate::types::{BrandId, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// `acceptance.publish`, signed by the brand's root: whose units it takes.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishAcceptance {
    /// The brand.
    pub brand: BrandId,
    /// 1, then one more for each publication.
    pub version: u64,
    /// First instant, in Unix seconds; now if absent. What is no longer taken, or less of it, is announced as long before
    /// as a cut of that unit's prices.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u64>,
    /// The units; its own are taken anyway.
    #[serde(deserialize_with = "objects")]
    pub units: Vec<AcceptedUnit>,
    /// For whose points it gives points of its own, by unit.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub exchange: Option<Vec<ExchangeAccepted>>,
}

/// Publishes what a brand accepts.
pub fn publish_acceptance(draft: &mut Draft, asked: &Asked, args: &PublishAcceptance) -> Result<(), Stop> {
    root_of_unit(draft, asked, &args.brand)?;
    check_list(draft, &args.units)?;
    let exchange = args.exchange.clone().unwrap_or_default();
    check_exchange(draft, &args.brand, &exchange)?;
    let name = Name::Acceptance(args.brand.clone());
    let before = draft.get(&name)?.as_deref().and_then(Record::acceptance).cloned();
    let next = before.as_ref().map_or(1, |list| list.newest().version.saturating_add(1));
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let (at, now) = (draft.at, draft.at.seconds());
    let from = args.from.unwrap_or(now);
    if from < now {
        return Err(Refused::about(Refusal::SettingInvalid, "from: not in the past").into());
    }
    let list = Accepted { version: args.version, units: args.units.clone(), exchange };
    let in_force = before.as_ref().map(|list| list.at(at).clone()).unwrap_or_default();
    for unit in withdrawn(&in_force, &list) {
        let days = rules::notice(&*draft.unit(unit)?).cut_days;
        rules::in_time(&format!("{unit} is withdrawn"), days, from, now)?;
    }
    let record = match from > now {
        true => Acceptance { list: in_force, next: Some(AnnouncedAcceptance { from, list }) },
        false => Acceptance { list, next: None },
    };
    draft.put(PartKey::Public, name, Some(Record::Acceptance(record)))
}

/// The units of which less is taken than before, for payment or for exchange.
fn withdrawn(before: &Accepted, after: &Accepted) -> Vec<UnitCode> {
    let mut all = less(&before.units, &after.units);
    for had in &before.exchange {
        let has = after.exchange.iter().find(|has| has.into == had.into);
        all.extend(less(&had.units, has.map_or(&[][..], |has| &has.units)));
    }
    all
}

fn less(before: &[AcceptedUnit], after: &[AcceptedUnit]) -> Vec<UnitCode> {
    let fewer = |had: &&AcceptedUnit| match (listed(after, had.unit), &had.per_day) {
        (None, _) => true,
        (Some(has), had) => match (&has.per_day, had) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(has), Some(had)) => has.currency != had.currency || has.amount < had.amount,
        },
    };
    before.iter().filter(fewer).map(|had| had.unit).collect()
}

/// Whether a list of what is taken names a unit.
pub(super) fn listed(units: &[AcceptedUnit], unit: UnitCode) -> Option<&AcceptedUnit> {
    units.iter().find(|accepted| accepted.unit == unit)
}

/// What a shop's brand takes now.
fn taken(draft: &mut Draft, shop: &BrandId, unit: UnitCode) -> Result<Option<AcceptedUnit>, Stop> {
    let at = draft.at;
    let list = draft.get(&Name::Acceptance(shop.clone()))?;
    let list = list.as_deref().and_then(Record::acceptance).map(|list| list.at(at));
    Ok(list.and_then(|list| listed(&list.units, unit)).cloned())
}

/// Refused if a shop's brand does not take a unit.
pub fn accepts(draft: &mut Draft, shop: &BrandId, unit: UnitCode) -> Result<(), Stop> {
    match taken(draft, shop, unit)? {
        Some(_) => Ok(()),
        None => Err(Refused::about(Refusal::UnitNotAccepted, format!("{unit} at {shop}")).into()),
    }
}

/// Counts `amount` against what a shop's brand takes of a unit a day; refused if it does not take it, unless it was
/// `offered` when it still did.
pub fn accept(
    draft: &mut Draft,
    shop: &BrandId,
    unit: UnitCode,
    offset: i16,
    amount: &Sale,
    offered: bool,
) -> Result<(), Stop> {
    let per_day = match (taken(draft, shop, unit)?, offered) {
        (Some(accepted), _) => accepted.per_day,
        (None, true) => None,
        (None, false) => {
            return Err(Refused::about(Refusal::UnitNotAccepted, format!("{unit} at {shop}")).into());
        }
    };
    match &per_day {
        None => Ok(()),
        Some(most) if most.currency != amount.currency => {
            let only = format!("{unit} at {shop}: in {} only", most.currency);
            Err(Refused::about(Refusal::AcceptanceCapExceeded, only).into())
        }
        Some(most) => {
            let subject = unit.as_str().parse().map_err(|_| Stop::Bug("a unit's code is an id".into()))?;
            let draw = Draw {
                brand: shop,
                subject,
                measure: Measure::AcceptedDay,
                offset,
                amount: amount.amount.get(),
                ceiling: most.amount.get(),
            };
            draft.draw(draw, Refusal::AcceptanceCapExceeded)
        }
    }
}
