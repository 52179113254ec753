//! The generator: looks at the model and asks for something, mostly sensible, sometimes subtly wrong.
//!
//! Promises: the seed alone decides what is asked, given the model's state.

use super::super::common::rng::Rng;
use super::super::common::world::{Holder, Key, World, id};
use super::ask::{Ask, What};
use super::model::Model;
use std::collections::BTreeMap;
use tallyhouse::book::KeyState;
use tallyhouse::types::{Hash, PaymentId, Refusal, Time, UnitCode, b64};

/// Holders of each unit. Two of them are odd: one collects dates, one leaves payments open.
const HOLDERS: usize = 10;
pub const HOARDER: usize = 0;
pub const LINGERER: usize = 1;

/// Keys that a generator uses, made before it.
pub struct Cast {
    pub holders: BTreeMap<UnitCode, Vec<Holder>>,
    pub spare: Vec<Key>,
}

impl Cast {
    pub fn new(world: &World) -> Self {
        let of = |unit: UnitCode| (0..HOLDERS).map(|n| world.holder(unit, n)).collect();
        let holders = world.units().map(|unit| (unit.unit, of(unit.unit))).collect();
        let spare = (0..150).map(|n| Key::derive(world.seed, &format!("spare {n}"))).collect();
        Self { holders, spare }
    }
}

pub struct Generator<'w> {
    pub rng: Rng,
    pub world: &'w World,
    pub cast: &'w Cast,
    pub spare: usize,
    /// By unit and by place of the brand; the newest last.
    pub issuing: BTreeMap<UnitCode, Vec<&'w Key>>,
    pub tills: Vec<Vec<&'w Key>>,
    pub units: Vec<UnitCode>,
    pub payments: Vec<PaymentId>,
    count: u64,
    past: Vec<Ask>,
    pub now: i64,
}

impl<'w> Generator<'w> {
    pub fn new(world: &'w World, cast: &'w Cast, begun: Time) -> Self {
        let mut issuing: BTreeMap<UnitCode, Vec<&Key>> = BTreeMap::new();
        for brand in &world.brands {
            for (unit, key) in brand.units.iter().zip(&brand.issuing) {
                issuing.entry(unit.unit).or_default().push(key);
            }
        }
        let tills = world.brands.iter().map(|brand| brand.tills.iter().map(|till| &till.key).collect());
        Self {
            rng: Rng::new(world.seed),
            world,
            cast,
            spare: 0,
            issuing,
            tills: tills.collect(),
            units: world.units().map(|unit| unit.unit).collect(),
            payments: vec![],
            count: 0,
            past: vec![],
            now: begun.micros() + 1_000_000,
        }
    }

    pub fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    pub fn seconds(&self) -> u64 {
        u64::try_from(self.now / 1_000_000).expect("after 1970")
    }

    pub fn time(&self) -> Time {
        Time::from_micros(self.now).expect("in range")
    }

    /// Lets time pass: mostly little, sometimes to an instant at which something ends.
    fn pass(&mut self, model: &Model) {
        let second = 1_000_000;
        // In every third seed time hardly jumps, so that lots and open payments pile up.
        let most = if self.slow() { 945 } else { 1000 };
        let step = match self.rng.below(most) {
            0..700 => self.rng.range(1, 2_000_000) as i64,
            700..940 => self.rng.range(1, 400) as i64 * second,
            940..975 => self.rng.range(1, 30) as i64 * 600 * second,
            975..985 => self.rng.range(1, 6) as i64 * 86_400 * second,
            985..987 => self.rng.range(20, 100) as i64 * 86_400 * second,
            _ => self.border(model),
        };
        self.now = (self.now + step).max(model.last + 1);
    }

    pub fn slow(&self) -> bool {
        self.world.seed % 3 == 1
    }

    /// To the microsecond at which a hold or a lot ends, or the one before.
    fn border(&mut self, model: &Model) -> i64 {
        let ends = |purse: &super::purse::Purse| {
            let piles = purse.piles.keys().map(|pile| super::purse::end_of(pile.until, purse.offset));
            piles.chain(purse.holds.values().map(|held| held.deadline)).min()
        };
        let next = model.books.purses.values().filter_map(ends).filter(|end| *end > self.now).min();
        let before = self.rng.below(3) as i64;
        match next {
            Some(end) if end < i64::MAX => (end - before - self.now).max(1),
            _ => 3_600_000_000,
        }
    }

    /// The next thing to ask for, and when.
    pub fn next(&mut self, model: &Model) -> (Ask, Time) {
        self.pass(model);
        let ask = self.mend(model).unwrap_or_else(|| self.any(model));
        let ask = self.carry(ask);
        let ask = self.spoil(ask, model);
        if self.past.len() < 400 {
            self.past.push(ask.clone());
        } else {
            let at = self.rng.index(400);
            self.past[at] = ask.clone();
        }
        (ask, self.time())
    }

    /// What keeps the network alive: releases what is frozen, restores what is retired.
    fn mend(&mut self, model: &Model) -> Option<Ask> {
        if model.network_frozen && self.rng.chance(40) {
            return Some(self.freeze_network(false));
        }
        if let Some((brand, _)) = model.brands.iter().find(|(_, brand)| brand.frozen)
            && self.rng.chance(20)
        {
            return Some(self.freeze_brand(brand.clone(), false));
        }
        if let Some((unit, _)) = model.units.iter().find(|(_, unit)| unit.frozen)
            && self.rng.chance(20)
        {
            return Some(self.freeze_unit(*unit, false));
        }
        if let Some((account, _)) = model.books.purses.iter().find(|(_, purse)| purse.frozen)
            && self.rng.chance(8)
        {
            return Some(self.freeze_account(model, *account, false));
        }
        let retired = |key: &&tallyhouse::types::Kid| model.keys[key].state == KeyState::Retired;
        if self.rng.chance(8)
            && let Some(kid) = model.keys.keys().find(retired)
        {
            return Some(self.revoke(model, *kid, KeyState::Active));
        }
        None
    }

    fn any(&mut self, model: &Model) -> Ask {
        match self.rng.below(1000) {
            0..225 => self.token(model),
            225..247 => self.haggle(model),
            247..270 => self.settle_offer(model),
            270..310 => self.batch(model),
            310..350 => self.show(model),
            350..560 => self.authorise(model),
            560..710 => self.capture(model),
            710..750 => self.void(model),
            750..835 => self.refund(model),
            835..860 => self.open(model),
            860..875 => self.some_freeze(model),
            875..885 => self.certify(model),
            885..897 => self.some_revoke(model),
            897..909 => self.budget(model),
            909..921 => self.prices(model),
            921..931 => self.acceptance(model),
            931..937 => self.define(model),
            937..940 => self.register(model),
            940..955 => self.claw_back(model),
            955..985 => self.again(model),
            _ => self.reuse(model),
        }
    }

    /// The same once more.
    fn again(&mut self, model: &Model) -> Ask {
        match self.past.len() {
            0 => self.token(model),
            n => {
                let recent = self.rng.chance(50);
                let at = if recent { n - 1 - self.rng.index(n.min(8)) } else { self.rng.index(n) };
                self.past[at].clone()
            }
        }
    }

    /// The id of something asked before, with other content.
    fn reuse(&mut self, model: &Model) -> Ask {
        for _ in 0..10 {
            let before = self.again(model);
            if before.flaw.is_some() {
                continue;
            }
            let (cid, key) = (before.cid.clone(), self.key_of(before.signer));
            match (before.what, cid, key) {
                (What::Capture(payment, n, _), Some(cid), Some(key)) => {
                    let request = self.world.capture(key, &cid, payment, n + 1, false);
                    return Ask::new(
                        request,
                        key.kid,
                        vec![],
                        Some(&cid),
                        What::Capture(payment, n + 1, false),
                    );
                }
                (What::Refund(payment, n), Some(cid), Some(key)) => {
                    let request = self.world.refund(key, &cid, payment, n + 1);
                    return Ask::new(request, key.kid, vec![], Some(&cid), What::Refund(payment, n + 1));
                }
                (What::Token(mut token), None, Some(key)) => {
                    token.exp -= 1;
                    let request = self.world.issue(key, &token);
                    return Ask::new(request, key.kid, vec![], None, What::Token(token));
                }
                _ => {}
            }
        }
        self.token(model)
    }

    /// The pair of a key that issues or stands in a till.
    fn key_of(&self, kid: tallyhouse::types::Kid) -> Option<&'w Key> {
        let all = self.issuing.values().chain(&self.tills).flatten();
        all.copied().find(|key| key.kid == kid)
    }

    /// Sends some of what tills and issuers ask for as signed HTTP requests.
    fn carry(&mut self, mut ask: Ask) -> Ask {
        let alone = ask.request.lines.is_none() && ask.approvals.is_empty();
        let trade = ask.what.is_trade() && alone && ask.request.http.is_none();
        if !trade || ask.flaw.is_some() || !self.rng.chance(20) {
            return ask;
        }
        let Some(key) = self.key_of(ask.signer) else { return ask };
        ask.request = self.world.over_http(&ask.request, key, self.time());
        let message = ask.request.http.as_ref().expect("just made");
        let body = message.body.as_deref().expect("a write has a body");
        ask.content = Hash::sha256(format!("{}\n{body}", message.target_uri).as_bytes());
        if let What::Token(token) = &mut ask.what {
            // What counts is the signature's own time, and that is not judged where time is driven.
            token.exp = tallyhouse::types::MAX_INT;
        }
        ask
    }

    /// Spoils the evidence of a few.
    fn spoil(&mut self, mut ask: Ask, model: &Model) -> Ask {
        if ask.flaw.is_some() || !self.rng.chance(2) {
            return ask;
        }
        let known = |kid: &tallyhouse::types::Kid| model.keys.contains_key(kid);
        if self.world.signing && known(&ask.signer) && self.rng.chance(50) {
            // The same under a signature of something else.
            if let Some(message) = &mut ask.request.http {
                message.signature = b64(&self.world.log.secret.sign(b"something else"));
                ask.flaw = Some(Refusal::SignatureInvalid);
                return ask;
            }
            let statement = &mut ask.request.jws[0];
            let signed = statement.rsplit_once('.').expect("three parts").0;
            let other = self.world.approve(&self.world.log, statement);
            let signature = other.rsplit_once('.').expect("three parts").1;
            *statement = format!("{signed}.{signature}");
            ask.flaw = Some(Refusal::SignatureInvalid);
            return ask;
        }
        if !ask.approvals.is_empty() {
            let last = ask.request.jws.len() - 1;
            ask.request.jws[last] = self.world.approve(&self.world.roots[0], "another.statement.entirely");
            ask.flaw = Some(Refusal::EvidenceMismatch);
            return ask;
        }
        if let (What::Token(token), Some(key)) = (&mut ask.what, self.key_of(ask.signer)) {
            token.aud = Hash([7; 32]);
            ask.request = self.world.issue(key, token);
            ask.flaw = Some(Refusal::AudienceMismatch);
        } else if ask.request.lines.is_none() {
            ask.request.lines = Some(std::sync::Arc::from(&b"{}\n"[..]));
            ask.flaw = Some(Refusal::EvidenceMismatch);
        }
        ask
    }

    pub fn holder(&mut self, unit: UnitCode) -> &'w Holder {
        let cast = self.cast;
        if self.slow() && self.rng.chance(15) {
            return &cast.holders[&unit][HOARDER];
        }
        self.rng.pick(&cast.holders[&unit])
    }

    pub fn unit(&mut self) -> UnitCode {
        *self.rng.pick(&self.units)
    }

    pub fn brand(&mut self) -> usize {
        self.rng.index(self.world.brands.len())
    }

    /// Mostly the newest of some keys that still counts.
    pub fn usable(&mut self, keys: &[&'w Key], model: &Model) -> &'w Key {
        if self.rng.chance(3) {
            return keys[self.rng.index(keys.len())];
        }
        let now = self.seconds();
        let counts = |kid| {
            model.keys.get(kid).is_some_and(|key| {
                key.state == KeyState::Active && key.from <= now && key.until.is_none_or(|until| now < until)
            })
        };
        let good: Vec<&Key> = keys.iter().filter(|key| counts(&key.kid)).copied().collect();
        let choice = if good.is_empty() { keys } else { &good };
        choice[self.rng.index(choice.len())]
    }

    pub fn till_of(&mut self, brand: usize, model: &Model) -> &'w Key {
        let keys = self.tills[brand].clone();
        self.usable(&keys, model)
    }

    pub fn issuing_of(&mut self, unit: UnitCode, model: &Model) -> &'w Key {
        let now = self.seconds();
        let budget = |key: &&&Key| model.budgets.get(&key.kid).is_some_and(|budget| budget.until > now);
        let funded: Vec<&Key> = self.issuing[&unit].iter().filter(budget).copied().collect();
        if funded.is_empty() || self.rng.chance(2) {
            let keys = self.issuing[&unit].clone();
            return self.usable(&keys, model);
        }
        self.usable(&funded, model)
    }

    pub fn spare_key(&mut self) -> Option<&'w Key> {
        let cast = self.cast;
        self.spare += 1;
        cast.spare.get(self.spare - 1)
    }

    pub fn unknown_unit() -> UnitCode {
        id("NOWHERE")
    }
}
