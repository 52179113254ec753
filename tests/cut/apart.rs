//! What the ledger makes of set-off: what stands apart leaves a cycle whole, and nobody's net changes by it.

use super::ledger::{Entry, Ledger, ensure, integer, list, number, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Creditor, debtor, currency.
type Pair = (String, String, String);

impl Ledger {
    /// Who is set off in a cycle, as they declared it.
    pub fn apart(&self, cycle: u64) -> BTreeSet<String> {
        let declared = list(&self.netting["declared"]).iter().filter(|one| {
            let from = list(&one["from"]).iter().rev().find(|from| number(&from[0]) <= cycle);
            from.is_some_and(|from| from[1] == "set_off")
        });
        declared.map(|one| text(&one["participant"]).to_owned()).collect()
    }

    /// What one part moves, seen from its creditor.
    fn moved(part: &Value) -> Option<(u64, Pair, i128)> {
        let leg = list(&part["done"]["legs"]).first()?;
        let (creditor, debtor) = text(&leg[0]).split_once(':')?;
        let pair = (creditor.to_owned(), debtor.to_owned(), text(&leg[1]).to_owned());
        Some((number(&part["cycle"]), pair, integer(&leg[2])))
    }

    /// An entry that takes what stands apart out of `cycle`; it was taken into the sums already.
    pub(super) fn taken_out(&self, entry: &Entry, cycle: u64) -> Result<(), String> {
        let (apart, open) = (self.apart(cycle), self.open());
        let (mut taken, mut left) = (BTreeMap::new(), BTreeMap::new());
        let mut nets: BTreeMap<(String, String), i128> = BTreeMap::new();
        for (of, pair, amount) in entry.parts.iter().filter_map(Self::moved) {
            let (creditor, debtor, currency) = pair.clone();
            ensure!(apart.contains(&creditor) || apart.contains(&debtor), "{pair:?}: both are novated");
            *nets.entry((creditor, currency.clone())).or_default() += amount;
            *nets.entry((debtor, currency)).or_default() -= amount;
            let sums = if of == open { &mut left } else { &mut taken };
            *sums.entry(pair).or_insert(0i128) += amount;
        }
        ensure!(nets.values().all(|net| *net == 0), "set-off changes nets by {nets:?}");
        for (pair, amount) in &left {
            let had = -taken.get(pair).copied().unwrap_or(0);
            ensure!(*amount > 0 && *amount <= had, "{pair:?} is left with {amount} of {had}");
        }
        ensure!(
            taken.values().all(|amount| *amount < 0),
            "something is taken out that nobody owed: {taken:?}"
        );
        let of = self.all_of(cycle);
        for ((_, a, b, currency), _) in self.pairs.iter().filter(|((c, ..), _)| of.contains(c)) {
            let rest = self.owes(cycle, b, a, currency);
            let stays = !apart.contains(a) && !apart.contains(b);
            ensure!(stays || rest == 0, "{b} still owes {a} {rest} {currency} in cycle {cycle}");
        }
        no_loop(left.keys().cloned().collect())
    }
}

/// Whether debts lead in a loop: whoever owes nobody any more is struck out, until nobody is left.
fn no_loop(mut debts: Vec<Pair>) -> Result<(), String> {
    loop {
        let owing: BTreeSet<(String, String)> =
            debts.iter().map(|(_, debtor, currency)| (debtor.clone(), currency.clone())).collect();
        let before = debts.len();
        debts.retain(|(creditor, _, currency)| owing.contains(&(creditor.clone(), currency.clone())));
        match debts.len() {
            0 => return Ok(()),
            still if still == before => return Err(format!("a loop is left: {debts:?}")),
            _ => {}
        }
    }
}
