//! The books: state, views and the demo's own tally must tell the same.
//!
//! Owns: what is compared with what, and how a difference is named.
//! Promises: every number on the page of points and obligations went through here.
//! Refuses to know: how any of the three was made.

use super::figures::Figures;
use super::page::{Line, Owed};
use super::tally::Tally;
use super::terms::BrandTerms;
use crate::types::{Currency, ParticipantId, UnitCode};
use crate::views::{Reader, What};
use std::collections::BTreeMap;

fn differ(what: String) -> Result<(), String> {
    Err(format!("the books differ: {what}"))
}

/// State against the demo's own sums.
pub fn against_tally(
    figures: &Figures,
    tally: &Tally,
    brands: &[BrandTerms],
    supplier: Option<&ParticipantId>,
) -> Result<(), String> {
    for (brand, sums) in brands.iter().zip(&tally.brands) {
        let unit = figures.units.get(&brand.unit).ok_or_else(|| format!("{} is no unit", brand.unit))?;
        let (state, own) =
            ((unit.issued, unit.home, unit.elsewhere), (sums.issued, sums.home, sums.elsewhere));
        if state != own {
            differ(format!(
                "{} issued, home, elsewhere: {state:?} in state, {own:?} by the answers",
                brand.name
            ))?;
        }
    }
    let participant = |at: usize| brands.get(at).map(|brand| brand.participant.clone());
    let mut own = BTreeMap::new();
    for ((debtor, creditor), amount) in &tally.owed {
        if let (Some(a), Some(b), true) = (participant(*debtor), participant(*creditor), *amount > 0) {
            *own.entry((a, b)).or_default() += *amount;
        }
    }
    for ((debtor, _), amount) in &tally.fees {
        if let (Some(a), Some(b), true) = (participant(*debtor), supplier, *amount > 0) {
            *own.entry((a, b.clone())).or_default() += *amount;
        }
    }
    same("by the answers", &figures.owed, &own)?;
    if figures.payments != tally.counts.payments {
        differ(format!("{} payments in state, {} by the answers", figures.payments, tally.counts.payments))?;
    }
    Ok(())
}

type Obligations = BTreeMap<(ParticipantId, ParticipantId), u64>;

fn same(whose: &str, state: &Obligations, other: &Obligations) -> Result<(), String> {
    for pair in state.keys().chain(other.keys()) {
        let (have, want) = (state.get(pair), other.get(pair));
        if have.unwrap_or(&0) != want.unwrap_or(&0) {
            differ(format!("{} owes {} {have:?} in state, {want:?} {whose}", pair.0, pair.1))?;
        }
    }
    Ok(())
}

/// State against the views.
pub fn against_views(figures: &Figures, views: &Reader, currency: Currency) -> Result<(), String> {
    let mut sums: BTreeMap<(UnitCode, What, bool), i64> = BTreeMap::new();
    for flow in views.flows(None, None, None).map_err(|e| e.to_string())?.what {
        *sums.entry((flow.unit, flow.what, flow.home)).or_default() += flow.points;
    }
    for unit in figures.units.values() {
        let at = |what, home| sums.get(&(unit.unit, what, home)).copied().unwrap_or(0);
        let both = |what| at(what, true) + at(what, false);
        let spent = |home| at(What::Redeemed, home) - at(What::GivenBack, home);
        let views = [both(What::Issued), spent(true), spent(false), both(What::Expired)];
        let state = [unit.issued, unit.home, unit.elsewhere, unit.expired];
        if views.map(u64::try_from) != state.map(Ok) {
            differ(format!(
                "{} issued, home, elsewhere, expired: {state:?} in state, {views:?} in the views",
                unit.unit
            ))?;
        }
    }
    // A month may give back more, of earlier months' payments, than it captured: only the sum over all is gross.
    let mut sums: BTreeMap<(ParticipantId, ParticipantId), i64> = BTreeMap::new();
    for row in views.obligations(None).map_err(|e| e.to_string())?.what {
        if row.currency == currency {
            *sums.entry((row.debtor, row.creditor)).or_default() += row.amount;
        }
    }
    let mut owed = Obligations::new();
    for (pair, amount) in sums.into_iter().filter(|(_, amount)| *amount != 0) {
        owed.insert(pair, u64::try_from(amount).map_err(|e| e.to_string())?);
    }
    same("in the views", &figures.owed, &owed)
}

/// The page's lines of points.
pub fn lines(figures: &Figures, brands: &[BrandTerms]) -> Vec<Line> {
    let line = |brand: &BrandTerms| {
        let unit = figures.units.get(&brand.unit)?;
        Some(Line {
            brand: brand.name.clone(),
            unit: brand.unit.to_string(),
            scale: unit.scale,
            accounts: unit.accounts,
            issued: unit.issued,
            home: unit.home,
            elsewhere: unit.elsewhere,
            expired: unit.expired,
            outstanding: unit.outstanding,
            liability: unit.liability.get(),
            net: figures.nets.get(&brand.participant).copied().unwrap_or(0),
        })
    };
    brands.iter().filter_map(line).collect()
}

/// The page's obligations.
pub fn obligations(figures: &Figures, brands: &[BrandTerms]) -> Vec<Owed> {
    let name = |participant: &ParticipantId| {
        let brand = brands.iter().find(|brand| brand.participant == *participant);
        brand.map_or_else(|| participant.to_string(), |brand| brand.name.clone())
    };
    let owed = figures.owed.iter();
    owed.map(|((a, b), amount)| Owed { debtor: name(a), creditor: name(b), amount: *amount }).collect()
}
