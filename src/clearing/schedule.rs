//! The schedule: when the open cycle is sealed without anybody asking, and the tolerance of payments.
//!
//! Owns: the settings, the instants that follow from it, and the seal itself.
//! Promises: the cut is a place in the log, as with every seal: what was booked before it is in. A schedule that is new
//! does not seal for instants that have passed.
//! Refuses to know: who looks at the clock.

use super::cycle::{can_seal, now, seal};
use super::people::{analyst, two_people};
use crate::book::{DayOfMonth, DayOfWeek, Draft, Every, Name, PartKey, Record, Schedule, Stop, Tolerance};
use crate::network::Asked;
use crate::types::{Currency, Date, Money, Refusal, Refused, Time};
use serde::{Deserialize, Serialize};

/// Most minutes of grace.
const MOST_GRACE: u32 = 24 * 60;
/// Most that may be written off of one payment, in the bank's smallest units.
const MOST_TOLERANCE: u64 = 10_000;

/// `schedule.set`, signed by an analyst and approved by two approvers: when the open cycle is sealed by itself, and by how
/// much what payers pay may be off and be written off.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// One more than that of the schedule in force; 1 at first.
    pub version: u64,
    /// On which days; never if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub every: Option<Every>,
    /// At which hour, in UTC.
    #[schema(maximum = 23)]
    pub hour: u8,
    /// The cycle is sealed so many minutes after that hour: what tills and shops send late falls into it still. It is not a
    /// time that payers have.
    #[schema(maximum = 1440)]
    pub grace_minutes: u32,
    /// By how much what a payer pays may be off and be written off, by currency; 0 in those that are not named.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "crate::sign::objects")]
    pub tolerance: Vec<Tolerance>,
}

fn in_force(draft: &mut Draft) -> Result<Option<Schedule>, Stop> {
    Ok(draft.get(&Name::Schedule)?.as_deref().and_then(Record::schedule).cloned())
}

/// Sets when cycles are sealed.
pub fn set_schedule(draft: &mut Draft, asked: &Asked, args: &SetSchedule) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    let days = match args.every {
        Some(Every::Week(DayOfWeek { day })) => (1..=7).contains(&day),
        Some(Every::Month(DayOfMonth { day })) => (1..=28).contains(&day),
        Some(Every::Day) | None => true,
    };
    if !days || args.hour > 23 || args.grace_minutes > MOST_GRACE {
        let about =
            "a day of the week from 1 to 7, of the month from 1 to 28; hour to 23; grace_minutes to 1440";
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let next = in_force(draft)?.map_or(0, |have| have.version).saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    check_tolerance(draft, &args.tolerance)?;
    let schedule = Schedule {
        version: next,
        every: args.every,
        hour: args.hour,
        grace_minutes: args.grace_minutes,
        tolerance: args.tolerance.clone(),
        set: now(draft),
    };
    draft.put(PartKey::Public, Name::Schedule, Some(Record::Schedule(schedule)))
}

/// A currency of the network once, in whole units of the bank's.
fn check_tolerance(draft: &mut Draft, all: &[Tolerance]) -> Result<(), Stop> {
    let network = draft.network()?;
    for (at, one) in all.iter().enumerate() {
        let twice = all.iter().take(at).any(|before| before.currency == one.currency);
        let unit = network.bank_unit(one.currency).filter(|_| !twice);
        let units = |unit: u64| {
            let whole = one.amount.get().checked_rem(unit) == Some(0);
            one.amount.get().checked_div(unit).filter(|units| whole && *units <= MOST_TOLERANCE)
        };
        if unit.and_then(units).is_none() {
            let about = format!(
                "tolerance: a currency of the network once, up to {MOST_TOLERANCE} whole units of the bank's"
            );
            return Err(Refused::about(Refusal::SettingInvalid, about).into());
        }
    }
    Ok(())
}

/// By how much a payment in a currency may be off and be written off.
pub(super) fn tolerance(draft: &mut Draft, currency: Currency) -> Result<Money, Stop> {
    Ok(in_force(draft)?.map_or(Money::ZERO, |schedule| schedule.tolerance(currency)))
}

fn falls_on(every: Every, day: Date) -> bool {
    match every {
        Every::Day => true,
        // 1970-01-01 was a Thursday, the fourth day.
        Every::Week(DayOfWeek { day: of }) => {
            day.number().saturating_add(3).checked_rem(7) == Some(u64::from(of).saturating_sub(1))
        }
        Every::Month(DayOfMonth { day: of }) => day.ymd().2 == u32::from(of),
    }
}

/// The first instant of the schedule after this one.
fn next(every: Every, hour: u8, after: Time) -> Option<Time> {
    let today = after.date(0);
    // A day of the month comes within 31 days.
    let instants = (0..=32u32).map(|n| today.plus_days(n)).filter(|day| falls_on(every, *day));
    let mut instants = instants.map(|day| day.starts(0).plus_seconds(u64::from(hour).saturating_mul(3_600)));
    instants.find(|at| *at > after)
}

/// When the schedule seals the open cycle; `None` if it does not, or too many cycles are under way.
pub fn seal_due(draft: &mut Draft) -> Result<Option<Time>, Stop> {
    let Some((_, at)) = scheduled(draft)? else { return Ok(None) };
    Ok(can_seal(&*draft.cycle()?).then_some(at))
}

/// The open cycle, and when it is to be sealed by the schedule, whether it can be then or not.
pub fn scheduled(draft: &mut Draft) -> Result<Option<(u64, Time)>, Stop> {
    let Some(schedule) = in_force(draft)? else { return Ok(None) };
    let Some(every) = schedule.every else { return Ok(None) };
    let cycles = draft.cycle()?;
    let before = cycles.open.checked_sub(1).filter(|before| *before > 0);
    let opened = match before {
        Some(before) => draft.closing(before)?.sealed.map(|mark| mark.at),
        None => None,
    };
    let after = opened.map_or(schedule.set.at, |opened| opened.max(schedule.set.at));
    let at = next(every, schedule.hour, after);
    let grace = u64::from(schedule.grace_minutes).saturating_mul(60);
    Ok(at.map(|at| (cycles.open, at.plus_seconds(grace))))
}

/// Seals the open cycle because its time has come.
pub fn seal_by_schedule(draft: &mut Draft) -> Result<(), Stop> {
    match seal_due(draft)? {
        Some(due) if due <= draft.at => {
            let open = draft.cycle()?.open;
            seal(draft, open)
        }
        due => Err(Stop::Bug(format!("the schedule seals at {due:?}, it is {}", draft.at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().expect("an instant")
    }

    #[test]
    fn the_next_instant_is_later_and_on_its_day() {
        let rows = [
            (Every::Day, 6, "2026-11-30T05:59:59.000000Z", "2026-11-30T06:00:00.000000Z"),
            (Every::Day, 6, "2026-11-30T06:00:00.000000Z", "2026-12-01T06:00:00.000000Z"),
            // 30 November 2026 is a Monday.
            (
                Every::Week(DayOfWeek { day: 1 }),
                0,
                "2026-11-29T23:00:00.000000Z",
                "2026-11-30T00:00:00.000000Z",
            ),
            (
                Every::Week(DayOfWeek { day: 1 }),
                0,
                "2026-11-30T00:00:00.000000Z",
                "2026-12-07T00:00:00.000000Z",
            ),
            (
                Every::Week(DayOfWeek { day: 7 }),
                23,
                "2026-11-30T00:00:00.000000Z",
                "2026-12-06T23:00:00.000000Z",
            ),
            (
                Every::Month(DayOfMonth { day: 28 }),
                12,
                "2027-01-28T12:00:00.000000Z",
                "2027-02-28T12:00:00.000000Z",
            ),
            (
                Every::Month(DayOfMonth { day: 1 }),
                0,
                "2026-12-01T00:00:00.000001Z",
                "2027-01-01T00:00:00.000000Z",
            ),
        ];
        for (every, hour, after, wanted) in rows {
            assert_eq!(next(every, hour, at(after)), Some(at(wanted)), "{every:?} after {after}");
        }
    }
}
