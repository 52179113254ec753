//! A network behind the real engine, with tills, brands and the clearing house's people asking it from many threads.
//!
//! Owns: who asks, the time that they all ask at, the requests of tills and brands.
//! Promises: what was answered is noted; a refusal that trade cannot explain ends the test.
//! Refuses to know: what the log has to say about it.

use super::super::common::dispute::{over, step};
use super::super::common::funds::{account, certify_tellers, second_analyst};
use super::super::common::house::{eur, hiring, keys};
use super::super::common::place::Place;
use super::super::common::rng::Rng;
use super::super::common::world::{Holder, Key, World, beginning, id, money, points};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tallyhouse::app::Network;
use tallyhouse::clearing::DisputeStep;
use tallyhouse::engine::Failure;
use tallyhouse::machine::{Answer, Request};
use tallyhouse::payments::{AgreeExchange, Authorise, MakeOffer, WantedExchange};
use tallyhouse::sign::PaymentConsent;
use tallyhouse::types::{DisputeId, PaymentId, Refusal, Time, UnitCode};

/// The units that are spent, with the place of their brand.
pub const UNITS: [(&str, usize); 4] = [("HARVEST", 0), ("KINO", 1), ("POLAR", 2), ("TWIN", 3)];
/// Holders of each, enough points for all that is bought.
const HOLDERS: usize = 4;
const EACH: u64 = 20_000_000;

/// See the module.
pub struct Town {
    pub world: World,
    pub network: Network,
    pub place: Place,
    pub analyst: Key,
    pub approvers: Vec<Key>,
    /// Cycles that were sealed.
    pub sealed: AtomicU64,
    /// Seconds since 1970.
    clock: AtomicU64,
    ids: AtomicU64,
}

/// What somebody was told: the kind of entry and its place.
pub type Told = BTreeMap<u64, String>;

/// A refusal, by its code; whatever else stops an answer ends the test.
pub fn refused(failure: &Failure) -> Refusal {
    match failure {
        Failure::Refused(no) => no.code,
        other => panic!("{other}"),
    }
}

impl Town {
    /// A network with nothing in it but the people of the clearing house.
    pub fn open(world: World) -> Self {
        let place = Place::new();
        let (genesis, key) = (world.genesis.clone(), &world.log.secret);
        let network =
            Network::create(&place.home, genesis, key, beginning(), &place.tuning()).expect("a network");
        let (analyst, approvers) = keys(&world);
        let clock = AtomicU64::new(beginning().seconds() + 60);
        let (sealed, ids) = (AtomicU64::default(), AtomicU64::default());
        let town = Self { world, network, place, analyst, approvers, sealed, clock, ids };
        for request in hiring(&town.world) {
            town.send(&request).expect("hired");
        }
        town
    }

    /// Founded, its people hired, its holders with points that can be spent.
    pub fn new(seed: u64) -> Self {
        let town = Self::open(World::new(seed));
        for request in town.world.founding() {
            town.send(&request).expect("founded");
        }
        for (unit, brand) in UNITS {
            for n in 0..HOLDERS {
                let (holder, now) = (town.holder(unit, n), town.now());
                let brand = &town.world.brands[brand];
                let token = town.world.token(brand, id(unit), &town.cid(), holder.account, EACH, now);
                town.send(&town.world.issue(&brand.issuing[0], &token)).expect("awarded");
                let key = &brand.issuing[0];
                let request = town.world.open_account_by_brand(&town.cid(), key, id(unit), &holder);
                town.send(&request).expect("opened");
            }
        }
        town.send(&second_analyst(&town.world)).expect("hired");
        for brand in &town.world.brands[..3] {
            certify_tellers(&town.world, brand)
                .iter()
                .for_each(|one| drop(town.send(one).expect("certified")));
        }
        for who in ["pa_harvest", "pa_kino", "pa_polar", "pa_franchise"] {
            account(&town.world, &id(who), eur())
                .iter()
                .for_each(|one| drop(town.send(one).expect("banked")));
        }
        // Points of one unit are pending for two days.
        town.pass(3 * 86_400);
        town
    }

    pub fn now(&self) -> Time {
        Time::from_seconds(self.clock.load(Ordering::SeqCst)).expect("an instant")
    }

    /// Time passes for everybody.
    pub fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn cid(&self) -> String {
        format!("town-{}", self.ids.fetch_add(1, Ordering::SeqCst))
    }

    pub fn holder(&self, unit: &str, n: usize) -> Holder {
        self.world.holder(id::<UnitCode>(unit), n)
    }

    pub fn send(&self, request: &Request) -> Result<Answer, Failure> {
        self.network.engine.ask(request, Some(self.now()))
    }

    /// A command by this key, with the approvals of others.
    pub fn ask(
        &self,
        key: &Key,
        approvers: &[Key],
        kind: &str,
        args: &impl serde::Serialize,
    ) -> Result<Answer, Failure> {
        let first = self.world.command(key, &self.cid(), kind, args);
        let approvals: Vec<String> = approvers.iter().map(|key| self.world.approve(key, &first)).collect();
        self.send(&Request::of([vec![first], approvals].concat()))
    }

    /// A bill that is paid with points of one holder.
    pub fn bill(&self, name: &str, sale: &Sale) -> Request {
        let (holder, now) = (self.holder(UNITS[sale.unit].0, sale.holder), self.now());
        let brand = &self.world.brands[sale.shop];
        let deadline = now.seconds() + 86_400;
        let claims = PaymentConsent {
            aud: self.world.net,
            jti: id(&format!("consent-{name}")),
            account: holder.account,
            payee: brand.id.clone(),
            payment: id(name),
            till: None,
            amount: money(sale.amount),
            currency: eur(),
            points: points(9_000_000_000_000),
            deadline,
            offer: None,
            iat: None,
            exp: now.seconds() + 200,
        };
        let args = Authorise {
            amount: money(sale.amount),
            currency: eur(),
            deadline,
            reference: None,
            capture: sale.capture,
            offer: None,
            under: None,
        };
        let consent = self.world.consent(&holder.key, &claims);
        self.world.authorise(&brand.tills[sale.till].key, name, &args, vec![consent])
    }
}

/// What is bought: whose points, where, for how much.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    /// Places in [`UNITS`], and among its holders.
    pub unit: usize,
    pub holder: usize,
    /// Places among brands, and among its tills.
    pub shop: usize,
    pub till: usize,
    pub amount: u64,
    pub capture: bool,
}

impl Sale {
    pub fn any(rng: &mut Rng) -> Self {
        Self {
            unit: rng.index(UNITS.len()),
            holder: rng.index(HOLDERS),
            shop: rng.index(4),
            // Every fifth is sold by a franchisee, whose till has limits.
            till: usize::from(rng.chance(20)),
            amount: rng.range(100, 40_000),
            capture: rng.chance(65),
        }
    }
}

/// One who trades: remembers what it was told, and comes back to it.
pub struct Trader<'a> {
    town: &'a Town,
    rng: Rng,
    bills: Vec<(PaymentId, Sale)>,
    /// Disputes that are charged back and wait: their number, whose they are, against whom.
    disputes: Vec<(DisputeId, usize, usize)>,
    pub told: Told,
    pub refusals: BTreeMap<Refusal, u64>,
}

impl<'a> Trader<'a> {
    pub fn new(town: &'a Town, seed: u64) -> Self {
        let (bills, disputes, told, refusals) = Default::default();
        Self { town, rng: Rng::new(seed), bills, disputes, told, refusals }
    }

    fn hear(&mut self, answer: Result<Answer, Failure>) -> Option<Answer> {
        match answer {
            Ok(answer) => {
                self.told.insert(answer.seq, answer.kind.clone());
                Some(answer)
            }
            Err(failure) => {
                *self.refusals.entry(refused(&failure)).or_default() += 1;
                None
            }
        }
    }

    /// Does one thing.
    pub fn step(&mut self) {
        match self.rng.below(100) {
            0..55 => self.pay(),
            55..75 => self.move_bill(),
            75..85 => self.exchange(),
            85..93 => self.file(),
            _ => self.end(),
        }
    }

    fn pay(&mut self) {
        let sale = Sale::any(&mut self.rng);
        let request = self.town.bill(&self.town.cid(), &sale);
        let answer = self.town.send(&request);
        if let Some(payment) = self.hear(answer).and_then(|answer| answer.payment) {
            self.bills.push((payment, sale));
        }
    }

    /// Captures, refunds, voids something sold before.
    fn move_bill(&mut self) {
        if self.bills.is_empty() {
            return self.pay();
        }
        let (payment, sale) = *self.rng.pick(&self.bills);
        let amount = self.rng.range(1, sale.amount);
        let (world, cid) = (&self.town.world, self.town.cid());
        let key = &world.brands[sale.shop].tills[sale.till].key;
        let request = match (sale.capture, self.rng.below(10)) {
            (true, _) | (false, 0..3) => world.refund(key, &cid, payment, amount),
            (false, 3..9) => world.capture(key, &cid, payment, amount, self.rng.chance(20)),
            (false, _) => world.void(key, &cid, payment),
        };
        let answer = self.town.send(&request);
        self.hear(answer);
    }

    fn exchange(&mut self) {
        let (from, to) = (self.rng.index(UNITS.len()), self.rng.index(UNITS.len()));
        if from == to {
            return self.pay();
        }
        let (giver, getter) = (self.rng.index(HOLDERS), self.rng.index(HOLDERS));
        let (from, to) =
            (self.town.holder(UNITS[from].0, giver), (UNITS[to].0, self.town.holder(UNITS[to].0, getter)));
        let wanted = WantedExchange {
            to: id(to.0),
            currency: eur(),
            source: Some(points(self.rng.range(10, 3_000))),
            target: None,
        };
        let args = MakeOffer { exchange: Some(wanted), payment: None, firm: self.rng.chance(30) };
        let request = self.town.world.make_offer(&from.key, &self.town.cid(), &args);
        let answer = self.town.send(&request);
        let Some(offer) = self.hear(answer).and_then(|answer| answer.offer) else { return };
        let args = AgreeExchange { offer: offer.offer, hash: offer.hash };
        let request = self.town.world.agree_exchange(&from.key, &to.1.key, &self.town.cid(), &args);
        let answer = self.town.send(&request);
        self.hear(answer);
    }

    /// The brand whose points were taken disputes it, and an analyst charges it back.
    fn file(&mut self) {
        if self.bills.is_empty() {
            return self.pay();
        }
        let (payment, sale) = *self.rng.pick(&self.bills);
        let (unit, filer) = UNITS[sale.unit];
        let reason = *self.rng.pick(&["wrong_amount", "fraud", "duplicate"]);
        let args = over(payment, unit, self.rng.range(1, sale.amount), reason);
        let (town, key) = (self.town, &self.town.world.brands[filer].issuing[0]);
        let answer = town.ask(key, &[], "dispute.file", &args);
        let Some(answer) = self.hear(answer) else { return };
        let dispute = DisputeId { seq: answer.seq, part: 0 };
        let args = step(dispute, DisputeStep::ChargeBack);
        let answer = town.ask(&town.analyst, &[], "dispute.move", &args);
        // It may have been refunded meanwhile, or charged back for another reason.
        let Some(_) = self.hear(answer) else { return };
        self.disputes.push((dispute, filer, sale.shop));
    }

    /// A dispute ends: its target accepts, or its filer takes it back.
    fn end(&mut self) {
        let Some((dispute, filer, target)) = self.disputes.pop() else { return self.pay() };
        let accepts = self.rng.chance(60);
        let (town, brands) = (self.town, &self.town.world.brands);
        let (end, by) = match accepts {
            true => (DisputeStep::Accept, &brands[target].root),
            false => (DisputeStep::Withdraw, &brands[filer].issuing[0]),
        };
        let answer = town.ask(by, &[], "dispute.move", &step(dispute, end));
        // A franchisee has no brand that could accept for it.
        self.hear(answer);
    }
}
