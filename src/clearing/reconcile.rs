//! Reconciliation: a brand's own counts and sums against the log's, till by till and day by day.
//!
//! Owns: the comparison.
//! Promises: every till and day of either side stands in exactly one list; what matches is the same to the unit.
//! Refuses to know: where either side comes from.

use crate::types::{Date, Ident, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A till on a day.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TillDay {
    /// The shop.
    pub store: Ident,
    /// The till.
    pub till: Ident,
    /// The day.
    pub day: Date,
}

/// What a till took on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Takings {
    /// Payments of which something was captured.
    pub payments: u64,
    /// Captured, in the network's smallest unit.
    pub captured: Money,
    /// Given back of that.
    pub refunded: Money,
}

/// A till and day on which the two sides differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Differs {
    /// Which.
    pub till: TillDay,
    /// What the log says.
    pub here: Takings,
    /// What was uploaded.
    pub there: Takings,
}

/// A till and day that one side has alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Missing {
    /// Which.
    pub till: TillDay,
    /// What the other side has.
    pub takings: Takings,
}

/// What a comparison came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Reconciled {
    /// Tills and days that are the same on both sides.
    pub matched: u64,
    /// What they come to.
    pub sum: Takings,
    /// On both sides, and not the same.
    pub differs: Vec<Differs>,
    /// Uploaded, and not in the log.
    pub missing_here: Vec<Missing>,
    /// In the log, and not uploaded.
    pub missing_there: Vec<Missing>,
}

/// Compares. Tills and days with nothing on them are as if they were not there.
pub fn reconcile(
    here: &BTreeMap<TillDay, Takings>,
    there: &BTreeMap<TillDay, Takings>,
) -> Option<Reconciled> {
    let nothing = Takings::default();
    let mut out = Reconciled::default();
    let all: BTreeMap<&TillDay, ()> = here.keys().chain(there.keys()).map(|till| (till, ())).collect();
    for till in all.into_keys() {
        let of = |side: &BTreeMap<TillDay, Takings>| side.get(till).copied().filter(|one| *one != nothing);
        match (of(here), of(there)) {
            (Some(a), Some(b)) if a == b => {
                out.matched = out.matched.saturating_add(1);
                out.sum = out.sum.plus(a)?;
            }
            (Some(here), Some(there)) => out.differs.push(Differs { till: till.clone(), here, there }),
            (None, Some(takings)) => out.missing_here.push(Missing { till: till.clone(), takings }),
            (Some(takings), None) => out.missing_there.push(Missing { till: till.clone(), takings }),
            (None, None) => {}
        }
    }
    Some(out)
}

impl Takings {
    /// Both together; `None` above the largest amount.
    pub fn plus(self, more: Self) -> Option<Self> {
        Some(Self {
            payments: self.payments.checked_add(more.payments)?,
            captured: self.captured.plus(more.captured)?,
            refunded: self.refunded.plus(more.refunded)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn side(cells: &[(u8, u64)]) -> BTreeMap<TillDay, Takings> {
        let day = "2026-11-30".parse::<Date>().expect("a date");
        let cell = |(n, amount): &(u8, u64)| {
            let till = TillDay {
                store: "store-1".parse().expect("an id"),
                till: format!("till-{n}").parse().expect("an id"),
                day,
            };
            let captured = Money::new(*amount).expect("fits");
            (till, Takings { payments: u64::from(*amount > 0), captured, refunded: Money::ZERO })
        };
        cells.iter().map(cell).collect()
    }

    proptest! {
        #[test]
        fn everything_stands_in_one_list(
            here in prop::collection::vec((0..6u8, 0..3u64), 0..8),
            there in prop::collection::vec((0..6u8, 0..3u64), 0..8),
        ) {
            let (here, there) = (side(&here), side(&there));
            let out = reconcile(&here, &there).expect("fits");
            let some = |side: &BTreeMap<TillDay, Takings>, till: &TillDay| {
                side.get(till).is_some_and(|one| one.payments > 0)
            };
            let both = here.keys().filter(|till| some(&here, till) && some(&there, till)).count();
            prop_assert_eq!(out.matched as usize + out.differs.len(), both);
            prop_assert!(out.differs.iter().all(|one| one.here != one.there));
            prop_assert!(out.missing_here.iter().all(|one| some(&there, &one.till) && !some(&here, &one.till)));
            prop_assert!(out.missing_there.iter().all(|one| some(&here, &one.till) && !some(&there, &one.till)));
            let swapped = reconcile(&there, &here).expect("fits");
            prop_assert_eq!(swapped.missing_here, out.missing_there);
        }
    }
}
