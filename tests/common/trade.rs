//! A random day of trade in the test network: awards, batches, payments and what becomes of them.
//!
//! Owns: what is asked, at random; many of it is refused.
//! Promises: a seed names a day.
//! Refuses to know: what is checked with it.

use super::node::PureNode;
use super::rng::Rng;
use super::world::{Till, World, beginning, id, money, points};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::Event;
use tallyhouse::payments::Authorise;
use tallyhouse::sign::{Award, PaymentConsent};
use tallyhouse::types::{AccountId, PaymentId, Time, UnitCode, encode};

/// Holders of each unit.
const HOLDERS: u64 = 3;

/// A day of trade: requests at random, many of them refused.
pub struct Trade {
    pub world: World,
    pub node: PureNode,
    pub rng: Rng,
    pub now: Time,
    count: u64,
    /// What was authorised, with brand and till.
    pub payments: Vec<(PaymentId, usize, usize)>,
}

impl Trade {
    pub fn new(seed: u64, steps: usize) -> Self {
        Self::of(World::unsigned(seed), seed, steps)
    }

    /// A day whose statements are signed.
    pub fn signed(seed: u64, steps: usize) -> Self {
        Self::of(World::new(seed), seed, steps)
    }

    fn of(world: World, seed: u64, steps: usize) -> Self {
        let mut node = PureNode::founded(&world);
        // Half of the days nothing is swept: what is due is booked by the commands that come across it.
        node.ticking = seed.is_multiple_of(2);
        let rng = Rng::new(seed);
        let mut trade = Self { world, node, rng, now: beginning(), count: 0, payments: vec![] };
        for unit in trade.units() {
            for n in 0..HOLDERS as usize {
                let (cid, holder) = (trade.fresh("open"), trade.world.holder(unit, n));
                let request = trade.world.open_account(&cid, unit, &holder);
                trade.node.submit(&request, trade.now).expect("opens");
            }
        }
        for _ in 0..steps {
            trade.step();
        }
        trade
    }

    pub fn units(&self) -> Vec<UnitCode> {
        self.world.units().map(|unit| unit.unit).collect()
    }

    pub fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    pub fn step(&mut self) {
        let jump = if self.rng.chance(10) { self.rng.below(10 * 86_400) } else { self.rng.below(600) };
        self.now = self.now.plus_seconds(jump);
        match self.rng.below(10) {
            0..3 => self.award(),
            3..5 => self.batch(),
            5..8 => self.pay(),
            _ => self.move_payment(),
        }
    }

    fn award(&mut self) {
        let unit = *self.rng.pick(&self.units());
        let (jti, sub) = (self.fresh("award"), self.world.holder(unit, self.rng.index(3)).account);
        let (brand, at) = self.world.brand_of(unit);
        let token = self.world.token(brand, unit, &jti, sub, self.rng.range(1, 5_000), self.now);
        let request = self.world.issue(&brand.issuing[at], &token);
        let _ = self.node.submit(&request, self.now);
    }

    /// Lines for one account more than once, lines that expire at once, lines that repeat a receipt.
    fn batch(&mut self) {
        let unit = *self.rng.pick(&self.units());
        let jti = self.fresh("batch");
        let mut lines = vec![];
        for _ in 0..self.rng.range(1, 6) {
            let sub = self.world.holder(unit, self.rng.index(3)).account;
            let until = self.rng.chance(20).then(|| id("2025-12-31"));
            let reference = Some(id(&format!("r-{}", self.rng.below(200))));
            lines.push(encode(&Award {
                sub,
                amount: points(self.rng.range(1, 3_000)),
                reference,
                store: None,
                till: None,
                occurred_at: None,
                business_date: None,
                reason: None,
                campaign: None,
                until,
                from: None,
                lines: None,
                sale: None,
            }));
        }
        let (brand, at) = self.world.brand_of(unit);
        let claims = self.world.batch(brand, unit, &jti, &lines, true, self.now);
        let request = self.world.issue_batch(&brand.issuing[at], &claims, &lines);
        let _ = self.node.submit(&request, self.now);
    }

    fn till(&self, brand: usize, till: usize) -> &Till {
        &self.world.brands[brand].tills[till]
    }

    fn pay(&mut self) {
        let cid = self.fresh("pay");
        let (brand, till) = (self.rng.index(self.world.brands.len()), self.rng.index(2));
        let units = self.units();
        let first = self.rng.index(units.len());
        let both = self.rng.chance(40);
        let deadline = self.now.seconds() + self.rng.range(60, 20 * 86_400);
        let (mut total, mut consents) = (0, vec![]);
        for unit in [Some(units[first]), both.then(|| units[(first + 1) % units.len()])].into_iter().flatten()
        {
            let amount = self.rng.range(1, 30_000);
            total += amount;
            let holder = self.world.holder(unit, self.rng.index(3));
            let jti = self.fresh("consent");
            let claims = PaymentConsent {
                offer: None,
                aud: self.world.net,
                jti: id(&jti),
                account: holder.account,
                payee: self.world.brands[brand].id.clone(),
                payment: id(&cid),
                till: None,
                amount: money(amount),
                currency: id("EUR"),
                points: points(1_000_000),
                deadline,
                iat: None,
                exp: self.now.seconds() + 60,
            };
            consents.push(self.world.consent(&holder.key, &claims));
        }
        let args = Authorise {
            offer: None,
            amount: money(total),
            currency: id("EUR"),
            deadline,
            reference: both.then(|| id(&cid)),
            capture: self.rng.chance(40),
            under: None,
        };
        let request = self.world.authorise(&self.till(brand, till).key, &cid, &args, consents);
        if let Ok(answer) = self.node.submit(&request, self.now) {
            self.payments.push((answer.payment.expect("a payment"), brand, till));
        }
    }

    fn move_payment(&mut self) {
        if self.payments.is_empty() {
            return;
        }
        let (payment, brand, till) = *self.rng.pick(&self.payments);
        let cid = self.fresh("move");
        let (amount, last) = (self.rng.range(1, 20_000), self.rng.chance(30));
        let what = self.rng.below(5);
        let key = &self.till(brand, till).key;
        let request = match what {
            0..2 => self.world.capture(key, &cid, payment, amount, last),
            2..4 => self.world.refund(key, &cid, payment, amount),
            _ => self.world.void(key, &cid, payment),
        };
        let _ = self.node.submit(&request, self.now);
    }

    pub fn events(&self) -> Vec<Event> {
        events(&self.node.entries)
    }

    pub fn accounts(&self) -> Vec<AccountId> {
        let units = self.units();
        units.iter().flat_map(|unit| (0..3).map(|n| self.world.holder(*unit, n).account)).collect()
    }
}

/// Entries as followers take them.
pub fn events(entries: &[tallyhouse::machine::Sealed]) -> Vec<Event> {
    let read = |entry: &tallyhouse::machine::Sealed| {
        let envelope = Envelope::decode(&entry.envelope).expect("our own");
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        Event::read(&envelope, entry.hash, &slots).expect("our own")
    };
    entries.iter().map(read).collect()
}
