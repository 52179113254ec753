//! Rules of announcing: how long before it applies a price, or the end of an acceptance, must be known.
//!
//! Owns: what a cut is, and the periods of notice.
//! Promises: nobody who holds points or takes them gets less for them, and no sponsor pays more, without the longer notice.
//! Refuses to know: who publishes.

use crate::book::{Draft, Name, Notice, Price, Record, Stop, Unit};
use crate::types::{Currency, ParticipantId, Rate, Refusal, Refused, Time, UnitCode};

/// The unit's periods.
pub(super) fn notice(unit: &Unit) -> Notice {
    unit.notice.unwrap_or(Notice::DEFAULT)
}

/// An instant so many days after now, in seconds.
pub(super) fn after(now: u64, days: u32) -> u64 {
    now.saturating_add(u64::from(days).saturating_mul(86_400))
}

/// Whether somebody gets less for a point under `new` than under `old`, at home, at a till, or as a shop; or pays more for
/// one, as a sponsor.
fn cuts(old: &Price, new: &Price, sponsors: &[ParticipantId]) -> bool {
    let less = |old: Rate, new: Rate| old.is_above(new);
    let mut sponsors = sponsors.iter();
    let acceptors = old.settle_for.iter().chain(&new.settle_for).map(|one| &one.participant);
    let mut acceptors = acceptors.map(|acceptor| (old.settle_with(acceptor), new.settle_with(acceptor)));
    less(old.home, new.home)
        || less(old.till, new.till)
        || less(old.settle, new.settle)
        || acceptors.any(|(old, new)| less(old, new))
        || sponsors.any(|sponsor| less(new.issue_to(sponsor), old.issue_to(sponsor)))
}

/// Who has agreed to pay for awards of a unit in a currency at an instant: their budgets are live then.
pub(super) fn sponsors(
    draft: &mut Draft,
    unit: UnitCode,
    currency: Currency,
    at: u64,
) -> Result<Vec<ParticipantId>, Stop> {
    let record = draft.get(&Name::Sponsors(unit))?;
    let live = record.as_deref().and_then(Record::sponsors).map_or(&[][..], |sponsors| &sponsors.live);
    let live = live.iter().filter(|one| one.currency == currency && one.until > at);
    Ok(live.map(|one| one.participant.clone()).collect())
}

/// A version begins no sooner than its notice allows: the longer one if it cuts, against any version that it may follow, and
/// if it is the first in its currency, in which whoever takes the unit would be paid at it.
pub(super) fn check_notice(
    unit: &Unit,
    versions: &[Price],
    price: &Price,
    sponsors: &[ParticipantId],
    now: u64,
) -> Result<(), Refused> {
    let notice = notice(unit);
    let before = |old: &&Price| old.currency == price.currency && super::can_apply(*old, versions, now);
    let cut = versions.iter().filter(before).any(|old| cuts(old, price, sponsors));
    let new = !versions.iter().any(|old| old.currency == price.currency);
    let (what, days) = match (cut, new) {
        (true, _) => ("a cut", notice.cut_days),
        (_, true) => ("a price in a further currency", notice.cut_days),
        _ => ("a change", notice.change_days),
    };
    in_time(what, days, price.from, now)
}

/// Refused if what is announced begins sooner than in so many days.
pub(super) fn in_time(what: &str, days: u32, from: u64, now: u64) -> Result<(), Refused> {
    let least = after(now, days);
    if from >= least {
        return Ok(());
    }
    let least = Time::from_seconds(least).map_or_else(String::new, |at| at.to_string());
    Err(Refused::about(Refusal::NoticeTooShort, format!("{what}: {days} days, from {least} on")))
}
