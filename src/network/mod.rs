//! The network: participants, brands, keys, budgets, units, accounts' opening, freezing.
//!
//! Owns: who is in the network, which key may sign what, who speaks for whom, and the public settings of units.
//! Promises: a key's validity is judged at the entry's own time, here and nowhere else.
//! Refuses to know: what points are worth and how they are paid with.

mod erase;
mod freeze;
mod keys;
mod register;
mod signer;
mod speaking;
mod sponsors;
mod tier;
mod units;

pub use erase::{EraseEvidence, erase};
pub use freeze::{
    FreezeAccount, FreezeBrand, FreezeNetwork, FreezeUnit, freeze_account, freeze_brand, freeze_network,
    freeze_unit, set_frozen,
};
pub use keys::{RevokeKey, certify, revoke, set_budget, set_state};
pub use register::{
    OpenAccount, RegisterBrand, RegisterParticipant, give_key, keyless, open_account, register_brand,
    register_participant,
};
pub use signer::{Asked, analyst, is_active, operator, person, signer, two_approvers, unless_refused};
pub use speaking::{consents, operators_own, speaker, speakers_root, spoken_for, unspoken};
pub use tier::{SetTier, set_tier};
pub use units::{DefineUnit, define_unit};
