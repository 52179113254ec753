//! Records of participants that stand apart: who does not accept the clearing house as its counterparty, and what is due
//! between two of whom one does not.
//!
//! Owns: their shapes.
//! Promises: a mode counts from a cycle on, so no cycle that was sealed, and not the open one, changes by a declaration.
//! Refuses to know: how set-off is found, and how people pay each other.

use super::clearing::Mark;
use crate::types::{Currency, Hash, Ident, Money, ParticipantId, SetOffId};
use serde::{Deserialize, Serialize};

/// How what a participant owes and is owed is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NettingMode {
    /// By one net, which it pays to the clearing house or gets from it.
    Novated,
    /// With each other participant by itself, after set-off: nobody stands in for anybody.
    SetOff,
}

/// What a participant declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Whose.
    pub participant: ParticipantId,
    /// How often it was declared.
    pub version: u64,
    /// The operator declared it, for a participant that has no brand to do it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub house: bool,
    /// From which cycle on which mode counts, as far back as a cycle is under way.
    pub from: Vec<(u64, NettingMode)>,
}

/// The participants that ever declared a mode; of all others what they owe is novated.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Netting {
    /// In the order of their ids.
    pub declared: Vec<Declared>,
}

impl Netting {
    /// Those that are set off in a cycle.
    pub fn apart(&self, cycle: u64) -> impl Iterator<Item = &ParticipantId> + '_ {
        let is_apart = move |one: &&Declared| {
            let newest = one.from.iter().rev().find(|(from, _)| *from <= cycle);
            newest.is_some_and(|(_, mode)| *mode == NettingMode::SetOff)
        };
        self.declared.iter().filter(is_apart).map(|one| &one.participant)
    }
}

/// What set-off came to in a currency, in the network's smallest unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOffSums {
    /// The currency.
    pub currency: Currency,
    /// Pairs that owed each other something on balance.
    pub pairs: u64,
    /// What they owed.
    pub owed: Money,
    /// What of that was set off.
    pub set_off: Money,
    /// Payments that are left.
    pub payments: u64,
    /// What is left: owed in the cycle that was open then.
    pub left: Money,
}

/// That what stands apart was taken out of a cycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenApart {
    /// For which version of the cycle.
    pub version: u32,
    /// When.
    pub mark: Mark,
    /// BLAKE3 over what was owed and set off.
    pub digest: Hash,
    /// By currency.
    pub sums: Vec<SetOffSums>,
    /// Pairs that are still to be taken out, where more stand apart than are at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub later: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A debtor's word that it paid, which its creditor did not answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DueClaim {
    /// The reference that the payment carries.
    pub reference: Ident,
    /// How much.
    pub amount: Money,
    /// When it was claimed.
    pub claimed: Mark,
}

/// What one participant is to pay another by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Who pays.
    pub debtor: ParticipantId,
    /// The set-off that left it.
    pub of: SetOffId,
    /// The cycle in which it is owed: until that is sealed its creditor can say that it was paid.
    pub cycle: u64,
    /// How much, in the network's smallest unit; a whole number of the bank's.
    pub amount: Money,
    /// How much of it its creditor got.
    pub paid: Money,
    /// What its debtor says it paid, and its creditor did not confirm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<DueClaim>,
}
