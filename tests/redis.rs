//! Balances through a real Redis: whatever happens to it, an answer is one that the log gave, at or after the entry
//! that it names, and nobody is refused.
//!
//! Promises: a seed names what the random test asks of Redis and of the network; what threads make of it is chance.
//! Points are only ever awarded here, so each balance that an account ever had is told apart from every other.

mod common;

#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/random.rs"]
mod random;
#[path = "redis/shared.rs"]
mod shared;
#[path = "redis/stage.rs"]
mod stage;
#[path = "redis/tls.rs"]
mod tls;
