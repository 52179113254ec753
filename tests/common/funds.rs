//! What the house does about reserves, about awards that somebody else pays for, about payments that are off by little, and
//! about where participants are paid.

use super::house::{House, approved, certify, eur, keys};
use super::world::{Brand, Key, World, beginning, id, money, rate};
use tallyhouse::book::{BreakageTo, Name, PROVISIONAL, Record, Tolerance};
use tallyhouse::clearing::{
    ConfirmDetails, FilledAtIssuance, SetDetails, SetFunding, SetReserve, SetSchedule,
};
use tallyhouse::machine::{Answer, Request};
use tallyhouse::sign::{KeyBudget, KeyCert, Purpose, SponsorTerms, Typ};
use tallyhouse::types::{Currency, Hash, Kid, ParticipantId, Refused};

/// What one has from another, in all cycles.
pub fn has(house: &House, a: &str, b: &str) -> i64 {
    let of = |(name, record): (&Name, &std::sync::Arc<Record>)| match name {
        Name::Pair(cycle, ..) if *cycle == PROVISIONAL => 0,
        Name::Pair(_, x, y, _) if x.as_str() == a && y.as_str() == b => *record.total().expect("a total"),
        Name::Pair(_, x, y, _) if x.as_str() == b && y.as_str() == a => -*record.total().expect("a total"),
        _ => 0,
    };
    house.node.state.0.iter().map(of).sum()
}

/// Another analyst: whoever sets bank details does not confirm them.
pub fn caller(world: &World) -> Key {
    Key::derive(world.seed, "analyst 2")
}

/// What brings the other analyst into the network.
pub fn second_analyst(world: &World) -> Request {
    certify(world, &caller(world), Purpose::Operations, Some("eve"))
}

/// Two people of a brand who sign for where it is paid.
pub fn tellers(world: &World, brand: &Brand) -> [Key; 2] {
    [0, 1].map(|n| Key::derive(world.seed, &format!("{} teller {n}", brand.id)))
}

/// Their certificates.
pub fn certify_tellers(world: &World, brand: &Brand) -> Vec<Request> {
    let of = |(n, key): (usize, &Key)| {
        let (purpose, person) = (Purpose::Approver, Some(id(&format!("{}-teller-{n}", brand.id))));
        let cert = KeyCert { purpose, person, ..world.issuing_cert(brand, key, beginning().seconds(), None) };
        world.certify(&brand.root, key, &cert)
    };
    tellers(world, brand).iter().enumerate().map(of).collect()
}

/// Somebody says where it is paid, and is called back: by its brand's tellers, or by the house if it has no brand.
pub fn account(world: &World, who: &ParticipantId, currency: Currency) -> [Request; 2] {
    let (analyst, approvers) = keys(world);
    let commitment = Hash::blake3(format!("{who} {currency}").as_bytes());
    let args = SetDetails { participant: who.clone(), currency, version: 1, commitment, settlement: false };
    let set = |key: &Key, by: &[Key]| {
        let first = world.command(key, &format!("bank-{who}-{currency}"), "details.set", &args);
        approved(world, first, by.iter())
    };
    match world.brands.iter().find(|brand| brand.participant == *who) {
        Some(brand) => {
            let set = set(&brand.root, &tellers(world, brand));
            [set, called(world, &analyst, who, currency, 1)]
        }
        None => [set(&analyst, &approvers[..2]), called(world, &caller(world), who, currency, 1)],
    }
}

/// An analyst calls back.
fn called(world: &World, key: &Key, who: &ParticipantId, currency: Currency, version: u64) -> Request {
    let args = ConfirmDetails { participant: who.clone(), currency, version, settlement: false };
    Request::of(vec![world.command(key, &format!("call-{who}-{currency}"), "details.confirm", &args)])
}

impl House {
    /// Whoever a cycle pays has bank details, if only by the house.
    pub fn bank(&mut self, cycle: u64) {
        let lacking = self.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
            (Name::Line(of, who, currency), Record::Line(line)) if *of == cycle && line.amount > 0 => {
                let one = self.instruction(line.instruction?);
                one.details.is_none().then(|| (who.clone(), *currency))
            }
            _ => None,
        });
        // In an order, so that golden entries are the same each time.
        let mut lacking: Vec<_> = lacking.collect();
        lacking.sort_unstable();
        for (who, currency) in lacking {
            self.account(&who, currency);
        }
    }

    /// A participant has bank details that count.
    pub fn account(&mut self, who: &ParticipantId, currency: Currency) {
        let known = |house: &Self, key: &Key| house.node.state.get(&Name::Key(key.kid)).is_some();
        let mut all = vec![];
        if !known(self, &caller(&self.world)) {
            all.push(second_analyst(&self.world));
        }
        let head = self.node.state.get(&Name::Details(who.clone(), currency)).and_then(Record::details);
        match head.copied() {
            None => {
                let brand = self.world.brands.iter().find(|brand| brand.participant == *who);
                if let Some(brand) = brand.filter(|brand| !known(self, &tellers(&self.world, brand)[0])) {
                    all.extend(certify_tellers(&self.world, brand));
                }
                all.extend(account(&self.world, who, currency));
            }
            Some(head) if head.confirmed.is_none() => {
                all.push(called(&self.world, &caller(&self.world), who, currency, head.newest));
            }
            Some(_) => {}
        }
        for request in all {
            self.send(request).expect("banked");
        }
    }
}

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
        let have = self.node.state.get(&Name::Budget(key.kid)).and_then(Record::budget);
        let serial = have.map_or(1, |have| have.serial + 1);
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

    /// A unit's reserve is filled when points are issued, and held by the operator's participant; the issuer agrees.
    pub fn fill_at_issuance(
        &mut self,
        unit: &str,
        ratio: u32,
        breakage_to: BreakageTo,
    ) -> Result<Answer, Refused> {
        let issuer = &self.world.brand_of(id(unit)).0.participant;
        let root = self.world.speaker(issuer).expect("a brand").root.kid;
        self.fill_approved(unit, ratio, breakage_to, Some(root))
    }

    /// The same, approved by this key of a brand beside the operator's two.
    pub fn fill_approved(
        &mut self,
        unit: &str,
        ratio: u32,
        breakage_to: BreakageTo,
        by: Option<Kid>,
    ) -> Result<Answer, Refused> {
        let issuance = Some(FilledAtIssuance { breakage_to });
        let args = SetReserve { issuance, ..self.next_reserve(unit, ratio) };
        let cid = self.cid();
        let first = self.world.command(&self.analyst, &cid, "reserve.set", &args);
        let brands = self.world.brands.iter();
        let keys = brands.flat_map(|b| [&b.root].into_iter().chain(&b.approvers).chain(&b.issuing));
        let consent = keys.filter(|key| Some(key.kid) == by);
        let request = approved(&self.world, first, self.approvers.iter().take(2).chain(consent));
        self.send(request)
    }

    /// The terms on which somebody may owe, under the next version.
    pub fn set_funding(&mut self, args: &SetFunding) -> Result<Answer, Refused> {
        let name = Name::Funding(args.participant.clone(), args.currency);
        let before = self.node.state.get(&name).and_then(Record::funding).map_or(0, |have| have.version);
        self.agreed("funding.set", &SetFunding { version: before + 1, ..args.clone() })
    }

    /// The next version of a reserve, which is brought.
    pub fn next_reserve(&self, unit: &str, ratio: u32) -> SetReserve {
        let before = self.node.state.get(&Name::Reserve(id(unit))).and_then(Record::reserve);
        let version = before.map_or(0, |have| have.version) + 1;
        SetReserve { unit: id(unit), currency: eur(), version, ratio, issuance: None }
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
