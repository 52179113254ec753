//! Breakage: how many of a unit's points are expected to be spent, by how long ago they were earned.
//!
//! Owns: the command that publishes a curve, and what a curve must be.
//! Promises: a version is never altered; two people approve each of them. Nothing that is owed or spent depends on it:
//! reports do.
//! Refuses to know: where the estimate is from.

use super::root_of_unit;
use crate::book::{Breakage, Draft, Name, PartKey, Principal, Record, Stop};
use crate::network::{Asked, two_approvers};
use crate::types::{Ident, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// Most months of a curve.
const MOST_MONTHS: usize = 120;
/// All of it, in parts per million.
pub const WHOLE: u32 = 1_000_000;

/// `breakage.publish`, signed by the brand's root, approved by two of the brand's approvers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishBreakage {
    /// The unit.
    pub unit: UnitCode,
    /// 1, then one more for each publication.
    pub version: u64,
    /// How much of what was earned in a month is expected to be spent by the end of that month, of the next one, and so
    /// on: parts per million, never falling. What is missing to a million at the end is breakage.
    #[schema(example = json!([150000, 300000, 420000, 600000, 700000]))]
    pub redeemed: Vec<u32>,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
}

/// Publishes a breakage curve. It is in force from this entry on.
pub fn publish_breakage(draft: &mut Draft, asked: &Asked, args: &PublishBreakage) -> Result<(), Stop> {
    let brand = draft.unit(args.unit)?.brand.clone();
    root_of_unit(draft, asked, &brand)?;
    let name = Name::Breakage(args.unit);
    let before = draft.get(&name)?;
    let last = before.as_deref().and_then(Record::breakage).map_or(0, |curve| curve.version);
    let next = last.saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let months = args.redeemed.len();
    let sound = args.redeemed.is_sorted() && args.redeemed.last().is_some_and(|last| *last <= WHOLE);
    if !sound || months > MOST_MONTHS {
        let about = format!("redeemed: 1 to {MOST_MONTHS} months, never falling, at most {WHOLE}");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    two_approvers(draft, asked, &Principal::Brand(brand))?;
    let record = Breakage { version: args.version, redeemed: args.redeemed.clone() };
    draft.put(PartKey::Public, name, Some(Record::Breakage(record)))
}
