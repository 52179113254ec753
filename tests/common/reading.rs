//! Readers of a node's log: what is looked up for them, and the brands as readers.

use super::node::State;
use super::world::{Brand, World};
use std::convert::Infallible;
use tallyhouse::book::{Name, Principal, Record};
use tallyhouse::machine::{Reader, Resolve};
use tallyhouse::types::{AccountId, Kid, UnitCode};

/// Look-ups in a node's state.
pub struct Book<'a>(pub &'a State);

impl Resolve for Book<'_> {
    type Fault = Infallible;

    fn unit_of(&self, account: AccountId) -> Result<Option<UnitCode>, Infallible> {
        Ok(self.0.get(&Name::Account(account)).and_then(Record::account).map(|account| account.head.unit))
    }

    fn owner_of(&self, key: Kid) -> Result<Option<Principal>, Infallible> {
        Ok(self.0.get(&Name::Key(key)).and_then(Record::key).map(|key| key.owner.clone()))
    }
}

/// A brand as it reads: what a participant owes and is owed, if it speaks for it.
pub fn brand_reader(world: &World, brand: &Brand) -> Reader {
    let units = brand.units.iter().map(|unit| unit.unit).collect();
    let speaks = world.speaker(&brand.participant).is_some_and(|speaker| speaker.id == brand.id);
    let participants = speaks.then(|| brand.participant.clone()).into_iter().collect();
    Reader::Brand { brand: brand.id.clone(), units, participants }
}
