//! Founding: a network with its operator, and brands that join it.
//!
//! Owns: in which order participants, brands, keys, units, prices, budgets and acceptance come into a
//! network, and whose signatures each of them takes.
//! Promises: every step is ordinary evidence; asked for again, a step that was taken is not taken twice.
//! Refuses to know: where keys are kept.

use super::{Network, Pen, Tuning, id_of};
use crate::book::AcceptedUnit;
use crate::engine::{Engine, Failure};
use crate::machine::{CurrencySetting, Genesis, Kind, Request};
use crate::network::{DefineUnit, RegisterBrand, RegisterParticipant};
use crate::prices::{PublishAcceptance, PublishPrices};
use crate::sign::{KeyBudget, Purpose, SecretKey};
use crate::store::Home;
use crate::types::{BrandId, Currency, Ident, ParticipantId, Time, b64};

/// The operator's keys.
pub struct Operator {
    /// Its roots, kept apart in earnest.
    pub roots: Vec<SecretKey>,
    /// How many of them sign.
    pub threshold: u8,
    /// Signs checkpoints.
    pub log: SecretKey,
}

/// A brand's keys that founding needs.
pub struct BrandKeys {
    /// Its root.
    pub root: SecretKey,
    /// Creates its points.
    pub issuing: SecretKey,
}

/// A brand that joins.
pub struct Joining {
    /// Its id.
    pub brand: BrandId,
    /// The legal entity behind it.
    pub participant: ParticipantId,
    /// The currency it settles in.
    pub currency: Currency,
    /// Its unit, version 1.
    pub unit: DefineUnit,
    /// Its prices, version 1.
    pub prices: PublishPrices,
    /// The first budget of its issuing key.
    pub budget: KeyBudget,
}

impl Operator {
    /// Makes an operator; `random` gives 32 bytes for a key.
    pub fn new(roots: u8, threshold: u8, mut random: impl FnMut() -> [u8; 32]) -> Self {
        let mut key = || SecretKey::from_seed(random());
        Self { roots: (0..roots).map(|_| key()).collect(), threshold, log: key() }
    }

    /// Entry 0 of a network that is driven and worth nothing: a demo or a sandbox.
    pub fn sandbox(&self, origin: &str, currency: CurrencySetting, nonce: [u8; 32]) -> Genesis {
        Genesis {
            nonce: b64(&nonce),
            origin: origin.into(),
            roots: self.roots.iter().map(SecretKey::public).collect(),
            threshold: self.threshold,
            log: self.log.public(),
            currencies: vec![currency],
            driven: true,
            live: false,
        }
    }

    /// Founds the network in an empty folder, or an empty database.
    pub fn found(
        &self,
        home: impl Into<Home>,
        genesis: Genesis,
        at: Time,
        tuning: &Tuning,
    ) -> Result<Network, Failure> {
        Network::create(home, genesis, &self.log, at, tuning)
    }

    fn signing(&self) -> impl Iterator<Item = &SecretKey> {
        self.roots.iter().take(usize::from(self.threshold))
    }

    /// A command of the operator: the first root signs, as many others as needed approve.
    pub fn command(
        &self,
        pen: &Pen,
        cid: &Ident,
        kind: Kind,
        args: &impl serde::Serialize,
    ) -> Option<Request> {
        let mut signing = self.signing();
        let statement = pen.command(signing.next()?, cid, kind, args);
        Some(pen.approved(statement, &signing.collect::<Vec<_>>()))
    }

    fn entity(&self, pen: &Pen, participant: &ParticipantId, currency: Currency) -> Result<Request, Failure> {
        let args = RegisterParticipant { participant: participant.clone(), currency, operator: false };
        let cid = id_of(&["participant", participant.as_str()]);
        let made = self.command(pen, &cid, Kind::ParticipantRegistered, &args);
        made.ok_or_else(|| Failure::Unavailable("an operator without roots".into()))
    }

    /// Lets a brand join: participant, brand, issuing key, unit, prices and budget, in this order.
    /// Returns how many commands that took.
    pub fn admit(
        &self,
        engine: &Engine,
        pen: &Pen,
        joining: &Joining,
        keys: &BrandKeys,
        at: Time,
    ) -> Result<u64, Failure> {
        let Joining { brand, participant, currency, unit, prices, budget } = joining;
        let entity = self.entity(pen, participant, *currency)?;
        let args = RegisterBrand {
            brand: brand.clone(),
            participant: participant.clone(),
            root: keys.root.public(),
            recovery: None,
        };
        let cid = |what: &str| id_of(&[what, brand.as_str()]);
        let registered = pen.command(&keys.root, &cid("brand"), Kind::BrandRegistered, &args);
        let from = at.seconds();
        let steps = [
            entity,
            pen.approved(registered, &self.signing().collect::<Vec<_>>()),
            pen.certify(&keys.root, &keys.issuing, Purpose::Issuing, brand, from, None),
            pen.alone(pen.command(&keys.root, &cid("unit"), Kind::UnitDefined, unit)),
            pen.alone(pen.command(&keys.root, &cid("prices"), Kind::PricesPublished, prices)),
            pen.budget(&keys.root, budget),
        ];
        let mut done = 0;
        for step in &steps {
            engine.ask(step, Some(at))?;
            done += 1;
        }
        Ok(done)
    }
}

/// A brand publishes its first acceptance list; the units on it are defined by then.
pub fn accept(
    engine: &Engine,
    pen: &Pen,
    brand: &BrandId,
    root: &SecretKey,
    units: Vec<AcceptedUnit>,
    at: Time,
) -> Result<(), Failure> {
    let args = PublishAcceptance { from: None, exchange: None, brand: brand.clone(), version: 1, units };
    let cid = id_of(&["acceptance", brand.as_str()]);
    engine.ask(&pen.alone(pen.command(root, &cid, Kind::AcceptancePublished, &args)), Some(at)).map(drop)
}
