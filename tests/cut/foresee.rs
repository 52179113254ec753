//! What a cycle's steps must come to, foreseen: a model of its way that shares nothing with the crate.
//!
//! Owns: for each cycle the facts of its way, and the answer to each step; amounts come from the ledger.
//! Promises: it says an answer before the crate does.
//! Refuses to know: nets and instructions; the ledger checks those.

use super::ledger::Ledger;
use std::collections::BTreeMap;
use tallyhouse::types::Refusal;

/// After the due date a payer has a day.
const GRACE: u64 = 86_400;
/// Most cycles under way.
const MOST: usize = 12;

/// One cycle.
#[derive(Default, Debug, Clone)]
struct Way {
    version: u32,
    /// The version for which what stands apart was taken out of it.
    apart: Option<u32>,
    /// Its newest version was neither sent back nor spoilt by an objection.
    computed: bool,
    /// The cycle whose carries that took over.
    after: Option<u64>,
    review: Option<u64>,
    objections: u32,
    approved: bool,
    due: Option<u64>,
    short: bool,
    orders: bool,
    ended: Option<&'static str>,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    Seal,
    SetOff {
        version: u32,
        right: bool,
    },
    Compute {
        version: u32,
        right: bool,
    },
    Review {
        until: u64,
    },
    Return,
    Approve {
        version: u32,
    },
    PayIn {
        until: u64,
    },
    Shortfall,
    Cover,
    PayOut,
    Settle,
    Void,
    Object,
    /// `owed`: as much as was objected to is owed still.
    Answer {
        accepted: bool,
        owed: bool,
    },
}

/// See the module.
#[derive(Default)]
pub struct Foreseen {
    /// Cycles that were sealed, by number; the open one is the next.
    ways: BTreeMap<u64, Way>,
}

/// What is there for a cycle in EUR.
struct Sums {
    /// Whether anybody pays or is paid.
    any: bool,
    collected: u64,
    wanted: u64,
    out: u64,
}

fn sums(ledger: &Ledger, cycle: u64) -> Sums {
    let all = ledger.amounts(cycle);
    let sum = |pays: bool, of: fn(&super::ledger::Amounts) -> u64| -> u64 {
        all.iter().filter(|one| one.pays == pays).map(of).sum()
    };
    let (moved, paid_in) = (sum(true, |one| one.amount), sum(true, |one| one.confirmed));
    let wanted = sum(false, |one| one.amount);
    let hole =
        all.iter().filter(|one| one.pays && one.defaulted).map(|one| one.amount - one.confirmed).sum::<u64>();
    // What receivers get less they lost; the rest of the hole was drawn.
    let drawn = hole - (moved - wanted);
    Sums { any: !all.is_empty(), collected: paid_in + drawn, wanted, out: sum(false, |one| one.confirmed) }
}

impl Foreseen {
    pub fn open(&self) -> u64 {
        self.ways.len() as u64 + 1
    }

    /// Where a cycle must stand.
    pub fn stage(&self, ledger: &Ledger, cycle: u64) -> &'static str {
        let Some(way) = self.ways.get(&cycle) else { return "open" };
        if let Some(end) = way.ended {
            return end;
        }
        if way.orders {
            return "pay_out";
        }
        if way.due.is_some() {
            let sums = sums(ledger, cycle);
            return match sums.collected >= sums.wanted {
                true => "funded",
                false if way.short => "shortfall",
                false => "pay_in",
            };
        }
        match way {
            Way { approved: true, .. } => "approved",
            Way { computed: true, review: Some(_), .. } => "review",
            Way { computed: true, .. } => "computed",
            Way { .. } => "sealed",
        }
    }

    /// The version that a computation must name.
    pub fn next_version(&self, cycle: u64) -> u32 {
        self.ways.get(&cycle).map_or(1, |way| way.version + 1)
    }

    /// Those under way.
    pub fn live(&self) -> Vec<u64> {
        self.ways.iter().filter(|(_, way)| way.ended.is_none()).map(|(cycle, _)| *cycle).collect()
    }

    /// The last cycle before this one that was not voided.
    fn before(&self, cycle: u64) -> Option<u64> {
        self.ways.range(..cycle).rev().find(|(_, way)| way.ended != Some("voided")).map(|(of, _)| *of)
    }

    /// What the answer must be, at an instant; `Ok` is taken over.
    pub fn judge(&mut self, ledger: &Ledger, cycle: u64, now: u64, what: Try) -> Result<(), Refusal> {
        if cycle > self.open() {
            return Err(Refusal::CycleUnknown);
        }
        let stage = self.stage(ledger, cycle);
        let at = |stages: &[&str]| if stages.contains(&stage) { Ok(()) } else { Err(Refusal::CycleStage) };
        let must = |holds: bool, code: Refusal| if holds { Ok(()) } else { Err(code) };
        let mut way = self.ways.get(&cycle).cloned().unwrap_or_default();
        match what {
            Try::Seal => {
                at(&["open"])?;
                must(self.live().len() < MOST, Refusal::CyclesTooMany)?;
            }
            Try::SetOff { version, right } => {
                at(&["sealed"])?;
                must(version == way.version + 1, Refusal::SerialStale)?;
                must(way.apart != Some(version), Refusal::CycleStage)?;
                must(!ledger.apart(cycle).is_empty(), Refusal::CycleStage)?;
                must(right, Refusal::CycleDigest)?;
                way.apart = Some(version);
            }
            Try::Compute { version, right } => {
                at(&["sealed"])?;
                must(version == way.version + 1, Refusal::SerialStale)?;
                must(way.objections == 0, Refusal::CycleOpenWork)?;
                let whole = ledger.apart(cycle).is_empty() || way.apart == Some(version);
                must(whole, Refusal::CycleOpenWork)?;
                let before = self.before(cycle);
                let approved = |of: &u64| self.ways.get(of).is_some_and(|way| way.approved);
                must(before.as_ref().is_none_or(approved), Refusal::CycleOpenWork)?;
                must(right, Refusal::CycleDigest)?;
                (way.version, way.computed, way.review, way.after) = (version, true, None, before);
            }
            Try::Review { until } => {
                at(&["computed"])?;
                must(until > now, Refusal::SettingInvalid)?;
                way.review = Some(until);
            }
            Try::Return => {
                at(&["computed", "review"])?;
                way.computed = false;
            }
            Try::Object => {
                at(&["review"])?;
                must(way.review.is_none_or(|until| now < until), Refusal::CycleStage)?;
                way.objections += 1;
            }
            Try::Answer { accepted, owed } => {
                at(&["sealed", "review"])?;
                must(owed || !accepted, Refusal::ObjectionInvalid)?;
                way.objections -= 1;
                way.computed &= !accepted;
            }
            Try::Approve { version } => {
                at(&["review"])?;
                must(version == way.version, Refusal::SerialStale)?;
                must(way.review.is_none_or(|until| now >= until), Refusal::CycleOpenWork)?;
                must(way.objections == 0, Refusal::CycleOpenWork)?;
                must(self.before(cycle) == way.after, Refusal::CycleOpenWork)?;
                way.approved = true;
            }
            Try::PayIn { until } => {
                at(&["approved"])?;
                must(until > now, Refusal::SettingInvalid)?;
                way.due = Some(until);
            }
            Try::Shortfall => {
                at(&["pay_in"])?;
                must(way.due.is_some_and(|due| now >= due + GRACE), Refusal::CycleOpenWork)?;
                way.short = true;
            }
            Try::Cover => at(&["shortfall"])?,
            Try::PayOut => {
                at(&["funded", "pay_out"])?;
                must(sums(ledger, cycle).any, Refusal::SettingInvalid)?;
                must(!way.orders, Refusal::CycleStage)?;
                way.orders = true;
            }
            Try::Settle => {
                at(&["funded", "pay_out"])?;
                let sums = sums(ledger, cycle);
                must(sums.out == sums.wanted && sums.collected == sums.out, Refusal::CycleOpenWork)?;
                way.ended = Some("settled");
            }
            Try::Void => {
                at(&["sealed", "computed", "review", "approved"])?;
                let rests = |later: &Way| {
                    later.approved && later.ended != Some("voided") && later.after == Some(cycle)
                };
                must(!self.ways.range(cycle + 1..).any(|(_, later)| rests(later)), Refusal::CycleOpenWork)?;
                way.ended = Some("voided");
            }
        }
        self.ways.insert(cycle, way);
        Ok(())
    }
}
