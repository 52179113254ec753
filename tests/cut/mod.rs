//! Cycles cut while trade goes on: the town that trades, the crowd of very many, the desk that clears, the ledger that
//! checks.

#![allow(dead_code, unreachable_pub)]

pub mod apart;
pub mod crowd;
pub mod desk;
pub mod foresee;
pub mod history;
pub mod ledger;
pub mod town;
