//! Rules of announcing: how long before it applies a price, or the end of an acceptance, must be known.
//!
//! Owns: what a cut is, and the periods of notice.
//! Promises: nobody who holds points or takes them gets less for them without the longer notice.
//! Refuses to know: who publishes.

use crate::book::{Notice, Price, Unit};
use crate::types::{Rate, Refusal, Refused, Time};

/// The unit's periods.
pub(super) fn notice(unit: &Unit) -> Notice {
    unit.notice.unwrap_or(Notice::DEFAULT)
}

/// An instant so many days after now, in seconds.
pub(super) fn after(now: u64, days: u32) -> u64 {
    now.saturating_add(u64::from(days).saturating_mul(86_400))
}

/// Whether somebody gets less for a point under `new` than under `old`: at home, at a till, or as a shop.
fn cuts(old: &Price, new: &Price) -> bool {
    let less = |old: Rate, new: Rate| old.is_above(new);
    let acceptors = old.settle_for.iter().chain(&new.settle_for).map(|one| &one.participant);
    let mut acceptors = acceptors.map(|acceptor| (old.settle_with(acceptor), new.settle_with(acceptor)));
    less(old.home, new.home)
        || less(old.till, new.till)
        || less(old.settle, new.settle)
        || acceptors.any(|(old, new)| less(old, new))
}

/// A version begins no sooner than its notice allows: the longer one if it cuts, against any version that it may follow.
pub(super) fn check_notice(unit: &Unit, versions: &[Price], price: &Price, now: u64) -> Result<(), Refused> {
    let notice = notice(unit);
    let before = |old: &&Price| old.currency == price.currency && super::can_apply(*old, versions, now);
    let cut = versions.iter().filter(before).any(|old| cuts(old, price));
    let (what, days) = if cut { ("a cut", notice.cut_days) } else { ("a change", notice.change_days) };
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
