//! What the house does about reserves, about awards that somebody else pays for, and about payments that are off by little.

use super::house::{House, approved, eur};
use super::world::{Key, beginning, id, money, rate};
use tallyhouse::book::{BreakageTo, Name, Record, Tolerance};
use tallyhouse::clearing::{FilledAtIssuance, SetReserve, SetSchedule};
use tallyhouse::machine::Answer;
use tallyhouse::sign::{KeyBudget, SponsorTerms, Typ};
use tallyhouse::types::Refused;

impl House {
    /// A key of one brand's awards another's unit, and its participant pays, at any price: certified, granted, and approved by
    /// these roots.
    pub fn sponsor(
        &mut self,
        brand: usize,
        unit: &str,
        key: &Key,
        approve: &[usize],
    ) -> Result<Answer, Refused> {
        self.ids += 1;
        let terms =
            SponsorTerms { currency: eur(), issue: rate(1_000, 1), ceiling: Some(money(9_000_000_000)) };
        let serial = u64::from(self.ids);
        let budget = KeyBudget { sponsored: Some(terms), ..self.world.budget(key.kid, id(unit), serial) };
        let issuer = self.world.brands.iter().position(|one| one.id == self.world.brand_of(id(unit)).0.id);
        self.grant(brand, key, issuer.expect("a brand"), &budget, approve)
    }

    /// A budget of a brand's key, signed by this brand's root and approved by these: the key is certified first.
    pub fn grant(
        &mut self,
        brand: usize,
        key: &Key,
        by: usize,
        budget: &KeyBudget,
        approve: &[usize],
    ) -> Result<Answer, Refused> {
        let sponsor = &self.world.brands[brand];
        if self.node.state.get(&Name::Key(key.kid)).is_none() {
            let cert = self.world.issuing_cert(sponsor, key, beginning().seconds(), None);
            let request = self.world.certify(&sponsor.root, key, &cert);
            self.send(request).expect("certified");
        }
        let first = self.world.statement(&self.world.brands[by].root, Typ::KeyBudget, budget);
        let roots = approve.iter().map(|brand| &self.world.brands[*brand].root);
        let request = approved(&self.world, first, roots);
        self.send(request)
    }

    /// A unit's reserve is filled when points are issued, and held by this participant.
    pub fn fill_at_issuance(
        &mut self,
        unit: &str,
        ratio: u32,
        keeper: &str,
        breakage_to: BreakageTo,
    ) -> Result<Answer, Refused> {
        let issuance = Some(FilledAtIssuance { keeper: id(keeper), breakage_to });
        self.agreed("reserve.set", &SetReserve { unit: id(unit), currency: eur(), ratio, issuance })
    }

    /// By how much payments in EUR may be off: a schedule that seals nothing.
    pub fn tolerate(&mut self, amount: u64) -> Result<Answer, Refused> {
        let before = self.node.state.get(&Name::Schedule).and_then(Record::schedule).cloned();
        let args = SetSchedule {
            version: before.map_or(1, |before| before.version + 1),
            every: None,
            hour: 0,
            grace_minutes: 0,
            tolerance: vec![Tolerance { currency: eur(), amount: money(amount) }],
        };
        self.agreed("schedule.set", &args)
    }
}
