//! What roots, the operator and holders ask for about keys, settings and freezing.

use super::super::common::world::{Key, Till, id, money, points, rate};
use super::ask::{Ask, What};
use super::generate::Generator;
use super::model::{MAccepted, Model, Owner};
use tallyhouse::book::{AcceptedUnit, ExchangeAccepted, KeyState, Notice};
use tallyhouse::network::{OpenAccount, RegisterParticipant, RevokeKey};
use tallyhouse::prices::PublishAcceptance;
use tallyhouse::sign::{Sale, Window};
use tallyhouse::types::{AccountId, BrandId, Kid, UnitCode};

const DAY: u64 = 86_400;

impl<'w> Generator<'w> {
    /// An operator's command: its request, signer and approvals; rarely one root alone.
    fn operator(&mut self, cid: &str, kind: &str, args: &impl serde::Serialize, what: What) -> Ask {
        let mut request = self.world.by_operator(cid, kind, args);
        let mut approvals = vec![self.world.roots[1].kid];
        if self.rng.chance(4) {
            request.jws.truncate(1);
            approvals.clear();
        }
        Ask::new(request, self.world.roots[0].kid, approvals, Some(cid), what)
    }

    pub fn freeze_network(&mut self, frozen: bool) -> Ask {
        let cid = self.fresh("freeze");
        let args = tallyhouse::network::FreezeNetwork { frozen };
        self.operator(&cid, "network.freeze", &args, What::FreezeNetwork(frozen))
    }

    pub fn freeze_brand(&mut self, brand: BrandId, frozen: bool) -> Ask {
        let cid = self.fresh("freeze");
        let args = tallyhouse::network::FreezeBrand { brand: brand.clone(), frozen };
        self.operator(&cid, "brand.freeze", &args, What::FreezeBrand(brand, frozen))
    }

    pub fn freeze_unit(&mut self, unit: UnitCode, frozen: bool) -> Ask {
        let cid = self.fresh("freeze");
        if self.rng.chance(50) {
            // By a brand's root: its own unit's, mostly; only the operator may release.
            let brand = if self.rng.chance(80) { self.world.brand_of(unit).0 } else { &self.world.brands[0] };
            let args = tallyhouse::network::FreezeUnit { unit, frozen };
            let request = self.world.alone(self.world.command(&brand.root, &cid, "unit.freeze", &args));
            return Ask::new(request, brand.root.kid, vec![], Some(&cid), What::FreezeUnit(unit, frozen));
        }
        let args = tallyhouse::network::FreezeUnit { unit, frozen };
        self.operator(&cid, "unit.freeze", &args, What::FreezeUnit(unit, frozen))
    }

    pub fn freeze_account(&mut self, model: &Model, account: AccountId, frozen: bool) -> Ask {
        let cid = self.fresh("freeze");
        let unit = model.books.purses.get(&account).map_or(self.units[0], |purse| purse.unit);
        let holders = &self.cast.holders[&unit];
        let own = holders.iter().find(|holder| holder.account == account).unwrap_or(&holders[0]);
        let key: &Key = match self.rng.below(4) {
            0 if model.keys.contains_key(&own.key.kid) => &own.key,
            1 => self.issuing_of(unit, model),
            _ => &self.world.brand_of(unit).0.root,
        };
        let request = self.world.freeze_account(key, &cid, account, frozen);
        Ask::new(request, key.kid, vec![], Some(&cid), What::FreezeAccount(account, frozen))
    }

    pub fn some_freeze(&mut self, model: &Model) -> Ask {
        let frozen = self.rng.chance(80);
        match self.rng.below(20) {
            0 => self.freeze_network(frozen),
            1..3 => {
                let brand = self.brand();
                self.freeze_brand(self.world.brands[brand].id.clone(), frozen)
            }
            3..6 => {
                let unit = if self.rng.chance(90) { self.unit() } else { Self::unknown_unit() };
                if unit == Self::unknown_unit() {
                    let cid = self.fresh("freeze");
                    let args = tallyhouse::network::FreezeUnit { unit, frozen };
                    return self.operator(&cid, "unit.freeze", &args, What::FreezeUnit(unit, frozen));
                }
                self.freeze_unit(unit, frozen)
            }
            _ => {
                let unit = self.unit();
                let account = self.holder(unit).account;
                self.freeze_account(model, account, frozen)
            }
        }
    }

    pub fn open(&mut self, model: &Model) -> Ask {
        let unit = self.unit();
        let mut holder = self.holder(unit);
        for _ in 0..6 {
            if model.books.purses.get(&holder.account).is_none_or(|purse| purse.key.is_none()) {
                break;
            }
            holder = self.holder(unit);
        }
        let unit = if self.rng.chance(3) { self.unit() } else { unit };
        let cid = self.fresh("open");
        let what = What::Open(OpenAccount { account: holder.account, unit, key: holder.key.public });
        if self.rng.chance(30) {
            let request = self.world.open_account(&cid, unit, holder);
            return Ask::new(request, holder.key.kid, vec![], Some(&cid), what);
        }
        let other = if self.rng.chance(4) { self.unit() } else { unit };
        let issuing = self.issuing_of(other, model);
        let mut request = self.world.open_account_by_brand(&cid, issuing, unit, holder);
        let mut approvals = vec![holder.key.kid, self.world.brand_of(unit).0.root.kid];
        if self.rng.chance(15) {
            let left = self.rng.index(approvals.len());
            request.jws.truncate(1 + left);
            approvals.truncate(left);
        }
        Ask::new(request, issuing.kid, approvals, Some(&cid), what)
    }

    /// A new key for a unit or a till; a brand's root signs, rarely another's.
    pub fn certify(&mut self, model: &Model) -> Ask {
        let (at, now) = (self.brand(), self.seconds());
        let brand = &self.world.brands[at];
        let Some(new) = self.spare_key() else { return self.budget(model) };
        let root = if self.rng.chance(5) { &self.world.brands[self.brand()].root } else { &brand.root };
        let from = if self.rng.chance(10) { now + 3_600 } else { now - 1 };
        let until = self.rng.chance(30).then(|| now + self.rng.range(1, 20) * DAY);
        let cert = if self.rng.chance(50) {
            let unit = self.rng.pick(&brand.units).unit;
            self.issuing.get_mut(&unit).expect("ours").push(new);
            self.world.issuing_cert(brand, new, from, until)
        } else {
            self.tills[at].push(new);
            let participant =
                ["pa_harvest", "pa_kino", "pa_polar", "pa_franchise", "pa_nobody"][self.rng.index(5)];
            let till = Till {
                key: Key::derive(0, "not used: the certificate names the spare key"),
                store: id("store-9"),
                till: id("till-9"),
                participant: id(participant),
                most: [Some(300_000), Some(self.rng.range(1, 9) * 1_000_000), None],
            };
            tallyhouse::sign::KeyCert { key: new.public, ..self.world.till_cert(brand, &till, from, until) }
        };
        let mut request = self.world.certify(root, new, &cert);
        let mut approvals = vec![new.kid];
        if self.world.of_another(&cert) {
            approvals.extend(self.world.agreeing(&cert).iter().map(|root| root.kid));
        }
        if self.rng.chance(8) {
            let left = self.rng.index(approvals.len());
            request.jws.truncate(1 + left);
            approvals.truncate(left);
        }
        Ask::new(request, root.kid, approvals, None, What::Certify(cert))
    }

    pub fn revoke(&mut self, model: &Model, key: Kid, state: KeyState) -> Ask {
        let cid = self.fresh("revoke");
        let root = |brand: &BrandId| &self.world.brands.iter().find(|b| b.id == *brand).expect("ours").root;
        let args = RevokeKey { key, state };
        let (kind, what, root) = match model.keys.get(&key).map(|key| &key.owner) {
            Some(Owner::Brand(brand)) => ("key.revoke", What::Revoke(args.clone()), root(brand)),
            Some(Owner::Account(account)) => {
                let brand = &model.units[&model.books.purses[account].unit].brand;
                ("account.key_revoke", What::RevokeAccountKey(args.clone()), root(brand))
            }
            Some(Owner::Operator) | None => {
                ("key.revoke", What::Revoke(args.clone()), &self.world.brands[0].root)
            }
        };
        match self.rng.below(12) {
            0..2 => self.operator(&cid, kind, &args, what),
            2 => {
                let root = &self.world.brands[self.brand()].root;
                let request = self.world.alone(self.world.command(root, &cid, kind, &args));
                Ask::new(request, root.kid, vec![], Some(&cid), what)
            }
            3 => {
                // Under the other kind's name.
                let request = self.world.revoke_key(root, &cid, key, state);
                Ask::new(request, root.kid, vec![], Some(&cid), What::Revoke(args))
            }
            _ => {
                let request = self.world.alone(self.world.command(root, &cid, kind, &args));
                Ask::new(request, root.kid, vec![], Some(&cid), what)
            }
        }
    }

    pub fn some_revoke(&mut self, model: &Model) -> Ask {
        let state = match self.rng.below(10) {
            0..7 => KeyState::Retired,
            7 => KeyState::Compromised,
            _ => KeyState::Active,
        };
        let unit = self.unit();
        // A brand loses keys for ever only while it can get others.
        let lasting = self.spare >= self.cast.spare.len();
        let state = if state == KeyState::Compromised && lasting { KeyState::Retired } else { state };
        let kid = match self.rng.below(10) {
            0..3 => self.issuing_of(unit, model).kid,
            3..6 => {
                let brand = self.brand();
                self.till_of(brand, model).kid
            }
            6..9 if state != KeyState::Compromised => self.holder(unit).key.kid,
            _ => self.world.brands[0].units.first().map_or(self.world.log.kid, |_| id(&"A".repeat(43))),
        };
        self.revoke(model, kid, state)
    }

    pub fn budget(&mut self, model: &Model) -> Ask {
        let unit = self.unit();
        let brand = self.world.brand_of(unit).0;
        // Mostly a key that has none yet, or whose budget ran out.
        let all = self.issuing[&unit].clone();
        let needy =
            all.iter().find(|key| model.keys.contains_key(&key.kid) && !model.budgets.contains_key(&key.kid));
        let key = match needy {
            Some(key) if self.rng.chance(80) => *key,
            _ => self.rng.pick(&all),
        };
        let serial = model.budgets.get(&key.kid).map_or(0, |budget| budget.serial);
        let mut budget = self.world.budget(key.kid, unit, serial + 1);
        let now = self.seconds();
        match self.rng.below(16) {
            0 => budget.serial = serial + 2 * self.rng.below(2),
            1 => budget.unit = self.unit(),
            2 => budget.unit = Self::unknown_unit(),
            3 => {
                let own = self.world.brands.iter().position(|b| b.id == brand.id).expect("ours");
                budget.key = self.till_of(own, model).kid;
                budget.serial = model.budgets.get(&budget.key).map_or(0, |budget| budget.serial) + 1;
            }
            4 => budget.hourly = points(self.rng.range(1_000, 60_000)),
            5 => budget.ceiling = points(self.rng.range(1_000, 9_000_000)),
            6 => budget.until = now + self.rng.below(3) * DAY,
            7 | 8 => {
                budget.backfill = Some(Window { from: now - 90 * DAY, until: now - self.rng.below(2) * DAY })
            }
            _ => {}
        }
        let root = if self.rng.chance(4) { &self.world.brands[0].root } else { &brand.root };
        Ask::new(self.world.set_budget(root, &budget), root.kid, vec![], None, What::Budget(budget))
    }

    pub fn prices(&mut self, model: &Model) -> Ask {
        let (unit, now, cid) = (self.unit(), self.seconds(), self.fresh("prices"));
        let version = model.prices.get(&unit).and_then(|all| all.last()).map_or(0, |last| last.version) + 1;
        let mut args = self.world.prices(unit, version, id("EUR"), now);
        let num = self.rng.range(5, 60);
        args.home = rate(num + self.rng.below(9), self.rng.range(1, 3));
        args.till = rate(num, self.rng.range(1, 3));
        args.settle = rate(num * 10 - self.rng.below(20), 10);
        args.issue = rate(num + self.rng.below(40), self.rng.range(1, 2));
        match self.rng.below(14) {
            0 => args.version = version - 1,
            1 => args.from = now - 1,
            2 => args.from = now + self.rng.range(1, 5) * DAY,
            3 => args.until = Some(now + self.rng.range(1, 5) * DAY),
            4 => args.until = Some(args.from),
            5 => args.currency = id("CHF"),
            6 => args.currency = id("USD"),
            7 => args.unit = Self::unknown_unit(),
            _ => {}
        }
        let root =
            if self.rng.chance(4) { &self.world.brands[0].root } else { &self.world.brand_of(unit).0.root };
        let mut request = self.world.publish_prices(root, &cid, &args);
        let brand = self.world.brands.iter().find(|brand| brand.root.kid == root.kid).expect("ours");
        let people = if self.rng.chance(90) { 2 } else { self.rng.index(2) };
        let people: Vec<&Key> = brand.approvers.iter().take(people).collect();
        let approvals: Vec<String> =
            people.iter().map(|key| self.world.approve(key, &request.jws[0])).collect();
        request.jws.extend(approvals);
        let approvals = people.iter().map(|key| key.kid).collect();
        Ask::new(request, root.kid, approvals, Some(&cid), What::Prices(args))
    }

    /// For whose points a brand gives its own.
    fn exchange_lists(&mut self, at: usize) -> Vec<ExchangeAccepted> {
        let brand = &self.world.brands[at];
        let mut lists = vec![];
        for (own, key) in brand.units.iter().zip(&brand.issuing) {
            let others: Vec<UnitCode> =
                self.units.iter().filter(|unit| **unit != own.unit).copied().collect();
            let mut units = vec![];
            for unit in others {
                if self.rng.chance(85) {
                    let amount = money(self.rng.range(1, 60) * 1_000);
                    let per_day = self.rng.chance(30).then(|| Sale { amount, currency: id("EUR") });
                    units.push(AcceptedUnit { unit, per_day });
                }
            }
            let budget = *self.issuing[&own.unit].last().expect("one at least");
            let budget = if self.rng.chance(70) { key.kid } else { budget.kid };
            lists.push(ExchangeAccepted { into: own.unit, budget, units });
        }
        lists
    }

    pub fn acceptance(&mut self, model: &Model) -> Ask {
        let (at, cid) = (self.brand(), self.fresh("accept"));
        let brand = &self.world.brands[at];
        let newest = |all: &MAccepted| {
            all.next.as_ref().map(|(_, list)| list.version).or(all.now.as_ref().map(|list| list.version))
        };
        let version = model.acceptance.get(&brand.id).and_then(newest).unwrap_or(0) + 1;
        let mut units = vec![];
        for unit in self.units.clone() {
            if self.rng.chance(92) {
                let amount = money(self.rng.range(1, 60) * 10_000);
                let per_day = self.rng.chance(40).then(|| Sale { amount, currency: id("EUR") });
                units.push(AcceptedUnit { unit, per_day });
            }
        }
        let exchange = Some(self.exchange_lists(at));
        let mut args = PublishAcceptance { from: None, brand: brand.id.clone(), version, units, exchange };
        match self.rng.below(16) {
            0 => args.version += 1,
            1 => args.units.push(AcceptedUnit { unit: Self::unknown_unit(), per_day: None }),
            2 if !args.units.is_empty() => args.units.push(args.units[0].clone()),
            4 => args.from = Some(self.seconds() - 1),
            5..8 => args.from = Some(self.seconds() + self.rng.range(0, 3) * DAY),
            3 => args.exchange.iter_mut().flatten().for_each(|list| list.into = self.units[0]),
            _ => {}
        }
        let root = if self.rng.chance(4) { &self.world.brands[0].root } else { &brand.root };
        let request = self.world.publish_acceptance(root, &cid, &args);
        Ask::new(request, root.kid, vec![], Some(&cid), What::Acceptance(args))
    }

    pub fn define(&mut self, model: &Model) -> Ask {
        let (unit, cid) = (self.unit(), self.fresh("define"));
        let mut args = model.units[&unit].set.clone();
        args.version += 1;
        match self.rng.below(10) {
            0 => args.version -= 1,
            1 => args.scale += 1,
            2 => args.offset -= 60,
            3 => args.pending_days = 367,
            4 if self.rng.chance(40) => args.offer_cap = Some(points(self.rng.range(100, 900))),
            4 => args.min_spend = Some(points(self.rng.range(1, 20))),
            5 if self.rng.chance(20) => {
                args.notice = Some(Notice { change_days: 0, cut_days: self.rng.below(2) as u32 })
            }
            5 => args.grace_days = self.rng.range(0, 20) as u32,
            6 => args.pending_days = self.rng.range(0, 3) as u32,
            7 => {
                let other = self.unit();
                args.expiry = model.units[&other].set.expiry.clone();
            }
            8 => {
                let issued = model.books.shared.get(&(unit, tallyhouse::book::Shared::Issuance));
                let issued = issued.map_or(0, |sum| sum.unsigned_abs() as u64);
                args.issue_cap = Some(points(issued + self.rng.range(20_000, 900_000)));
            }
            _ => args.issue_cap = None,
        }
        let root =
            if self.rng.chance(4) { &self.world.brands[0].root } else { &self.world.brand_of(unit).0.root };
        Ask::new(self.world.define_unit(root, &cid, &args), root.kid, vec![], Some(&cid), What::Unit(args))
    }

    pub fn register(&mut self, _: &Model) -> Ask {
        let cid = self.fresh("register");
        let name = if self.rng.chance(30) { "pa_kino".to_owned() } else { self.fresh("pa_new") };
        let currency = id(["EUR", "CHF", "USD"][self.rng.index(3)]);
        let operator = self.rng.chance(20);
        let args = RegisterParticipant { participant: id(&name), currency, operator };
        self.operator(&cid, "participant.register", &args.clone(), What::Participant(args))
    }
}
