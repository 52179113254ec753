//! What the tests share: a small world of brands, tills and holders, and a node without a disk.
//!
//! Promises: the same seed makes the same keys, ids and requests.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod carried;
pub mod cluster;
pub mod dispute;
pub mod funds;
pub mod house;
pub mod http;
pub mod joining;
pub mod load;
pub mod month;
pub mod node;
pub mod nodes;
pub mod ordered;
pub mod patroni;
pub mod place;
pub mod process;
pub mod reading;
pub mod redis;
pub mod rng;
pub mod sandbox;
pub mod served;
pub mod terms;
pub mod tools;
pub mod tour;
pub mod trade;
pub mod world;
