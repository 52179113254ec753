//! Months: closed one after the other, each with the last entry that belongs to it.
//!
//! Owns: which month may be closed, and what is stored of it.
//! Promises: months are closed in order, once, after they ended; the entry that closes one stands behind the entry that it
//! names, so the log's checkpoint through that one is fixed and can be shown at any time. None is closed before a cycle that
//! was sealed in it, or earlier, ended; `verify` counts the entries to the last.
//! Refuses to know: reports; what is earned in a closed month and comes later, they tell apart.

use super::cycle::now;
use super::people::{analyst, two_people};
use crate::book::{Draft, Name, PartKey, Period, Record, Stop};
use crate::network::Asked;
use crate::types::{Month, Refusal, Refused, Time};
use serde::{Deserialize, Serialize};

/// `period.close`, signed by an analyst and approved by two approvers: nothing more is expected for a month.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosePeriod {
    /// The month, of UTC; the one after the month that was closed last.
    pub month: Month,
    /// The last entry that belongs to it.
    pub seq: u64,
}

/// Closes a month.
pub fn close_period(draft: &mut Draft, asked: &Asked, args: &ClosePeriod) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    let before = draft.get(&Name::Period)?;
    let before = before.as_deref().and_then(Record::period).cloned();
    if let Some(before) = before.as_ref().filter(|before| args.month != before.month.next()) {
        let about = format!("{} is closed, the next is {}", before.month, before.month.next());
        return Err(Refused::about(Refusal::SerialStale, about).into());
    }
    let ended = args.month.next().first_day().starts(0);
    if ended > draft.at {
        return Err(Refused::about(Refusal::SettingInvalid, format!("{} has not ended", args.month)).into());
    }
    let least = before.map_or(0, |before| before.seq).max(sealed_before(draft, ended)?);
    if args.seq >= draft.seq || args.seq < least {
        let about =
            format!("seq: the last entry of {} or a later one, in any case from {least} on", args.month);
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let period = Period { month: args.month, seq: args.seq, closed: now(draft) };
    draft.put(PartKey::Public, Name::Period, Some(Record::Period(period)))
}

/// The newest entry before an instant that sealed a cycle: all before it is of an earlier time.
fn sealed_before(draft: &mut Draft, at: Time) -> Result<u64, Stop> {
    let mut cycle = draft.cycle()?.open;
    while let Some(earlier) = cycle.checked_sub(1).filter(|earlier| *earlier > 0) {
        if let Some(sealed) = draft.closing(earlier)?.sealed.filter(|sealed| sealed.at < at) {
            return Ok(sealed.seq);
        }
        cycle = earlier;
    }
    Ok(0)
}
