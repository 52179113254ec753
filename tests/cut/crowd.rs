//! A network of very many participants: each has a brand, a unit, a till and a customer, and takes some others' points.
//!
//! Owns: their keys, how they come into the network, bills of four units at once.
//! Promises: a seed names the crowd.
//! Refuses to know: what becomes of what they owe each other.

use super::super::common::house::eur;
use super::super::common::rng::Rng;
use super::super::common::world::{Brand, Key, Till, World, beginning, id, money, points};
use super::town::Town;
use tallyhouse::book::{AcceptedUnit, Expiry, Notice};
use tallyhouse::engine::Ticket;
use tallyhouse::machine::Request;
use tallyhouse::network::DefineUnit;
use tallyhouse::payments::Authorise;
use tallyhouse::prices::PublishAcceptance;
use tallyhouse::sign::PaymentConsent;

/// Other brands' units that each takes; a bill is paid with some of them.
const TAKEN: usize = 24;
const SHARES: usize = 4;
/// Requests that wait for their answers at a time.
const AHEAD: usize = 256;

/// See the module.
pub struct Crowd {
    pub town: Town,
    /// By brand: whose units it takes.
    taken: Vec<Vec<usize>>,
}

fn unit(n: usize) -> DefineUnit {
    DefineUnit {
        unit: id(&format!("UNIT{n}")),
        version: 1,
        scale: 0,
        offset: 0,
        expiry: Expiry::Never,
        pending_days: 0,
        grace_days: 0,
        issue_cap: None,
        min_spend: None,
        floor: None,
        offer_cap: None,
        notice: Some(Notice { change_days: 0, cut_days: 0 }),
    }
}

fn brand(seed: u64, n: usize) -> Brand {
    let key = |label: &str| Key::derive(seed, &format!("{label} of {n}"));
    let participant = id(&format!("pa_{n}"));
    let till = Till {
        key: key("till"),
        store: id("store"),
        till: id("till"),
        participant: id(&format!("pa_{n}")),
        most: [None; 3],
    };
    Brand {
        id: id(&format!("br_{n}")),
        participant,
        root: key("root"),
        issuing: vec![key("issuing")],
        tills: vec![till],
        units: vec![unit(n)],
        approvers: vec![],
    }
}

impl Crowd {
    /// So many of them, each with a customer that has points.
    pub fn new(seed: u64, many: usize) -> Self {
        let mut world = World::new(seed);
        world.brands = (0..many).map(|n| brand(seed, n)).collect();
        let (town, mut rng) = (Town::open(world), Rng::new(seed));
        // A few have most of the customers, as among real shops.
        let mut other = |n: usize| loop {
            let drawn = rng.index(many) * rng.index(many) / many;
            if drawn != n {
                break drawn;
            }
        };
        let taken = (0..many).map(|n| {
            let mut all: Vec<usize> = (0..TAKEN).map(|_| other(n)).collect();
            all.sort_unstable();
            all.dedup();
            all
        });
        let crowd = Self { taken: taken.collect(), town };
        for step in 0..9 {
            crowd.all((0..many).map(|n| crowd.joining(n, step)));
        }
        crowd
    }

    /// What brings one of them in, step by step: nobody takes a unit that is not defined yet.
    fn joining(&self, n: usize, step: usize) -> Request {
        let (world, now) = (&self.town.world, beginning().seconds());
        let brand = &world.brands[n];
        let (unit, issuing, till) = (brand.units[0].unit, &brand.issuing[0], &brand.tills[0]);
        let name = format!("join-{n}-{step}");
        match step {
            0 => world.register_participant(&name, &brand.participant, eur()),
            1 => world.register_brand(&name, brand),
            2 => world.define_unit(&brand.root, &name, &brand.units[0]),
            3 => world.certify(&brand.root, issuing, &world.issuing_cert(brand, issuing, now, None)),
            4 => world.set_budget(&brand.root, &world.budget(issuing.kid, unit, 1)),
            5 => world.publish_prices(&brand.root, &name, &world.prices(unit, 1, eur(), now)),
            6 => world.certify(&brand.root, &till.key, &world.till_cert(brand, till, now, None)),
            7 => {
                let listed =
                    |of: &usize| AcceptedUnit { unit: world.brands[*of].units[0].unit, per_day: None };
                let units = self.taken[n].iter().map(listed).collect();
                let brand_id = brand.id.clone();
                let args =
                    PublishAcceptance { from: None, brand: brand_id, version: 1, units, exchange: None };
                world.publish_acceptance(&brand.root, &name, &args)
            }
            _ => {
                let holder = world.holder(unit, 0);
                world.open_account_by_brand(&name, issuing, unit, &holder)
            }
        }
    }

    /// Awards to every customer.
    pub fn award(&self) {
        let world = &self.town.world;
        self.all(world.brands.iter().map(|brand| {
            let (unit, now) = (brand.units[0].unit, self.town.now());
            let holder = world.holder(unit, 0);
            let token = world.token(brand, unit, "all", holder.account, 900_000_000, now);
            world.issue(&brand.issuing[0], &token)
        }));
    }

    /// Has all of these decided, in this order, without waiting for each.
    pub fn all(&self, requests: impl Iterator<Item = Request>) {
        let engine = &self.town.network.engine;
        let mut waiting = std::collections::VecDeque::new();
        let answered = |ticket: Ticket| drop(ticket.wait().unwrap_or_else(|failure| panic!("{failure}")));
        for request in requests {
            let command = engine.check(&request).unwrap_or_else(|failure| panic!("{failure}"));
            waiting.push_back(engine.submit(command, Some(self.town.now())));
            if waiting.len() > AHEAD
                && let Some(ticket) = waiting.pop_front()
            {
                answered(ticket);
            }
        }
        waiting.into_iter().for_each(answered);
    }

    /// A bill at some shop, paid with points of up to four units: an obligation each.
    pub fn bill(&self, rng: &mut Rng, name: &str) -> Request {
        let (world, now) = (&self.town.world, self.town.now());
        let shop = rng.index(world.brands.len());
        let (brand, deadline) = (&world.brands[shop], now.seconds() + 86_400);
        let mut units = self.taken[shop].clone();
        while units.len() > SHARES {
            units.swap_remove(rng.index(units.len()));
        }
        let mut total = 0;
        let consents = units.into_iter().map(|of| {
            let holder = world.holder(world.brands[of].units[0].unit, 0);
            let amount = rng.range(100, 50_000);
            total += amount;
            let claims = PaymentConsent {
                aud: world.net,
                jti: id(&format!("{name}-{of}")),
                account: holder.account,
                payee: brand.id.clone(),
                payment: id(name),
                till: None,
                amount: money(amount),
                currency: eur(),
                points: points(9_000_000_000_000),
                deadline,
                offer: None,
                iat: None,
                exp: now.seconds() + 200,
            };
            world.consent(&holder.key, &claims)
        });
        let consents: Vec<String> = consents.collect();
        let args = Authorise {
            amount: money(total),
            currency: eur(),
            deadline,
            reference: None,
            capture: true,
            offer: None,
            under: None,
        };
        world.authorise(&brand.tills[0].key, name, &args, consents)
    }
}
