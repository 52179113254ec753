//! Tallyhouse: a points network that brands share.
//!
//! The map. A folder imports only folders listed before it; `tests/tidy.rs` holds that.
//!
//! Pure (no async, I/O, clock, randomness or floats; in these folders an unchecked operation is a wrong
//! one, since amounts are somebody's money):
//!
//! - [`types`]: ids, amounts, instants, refusals, the one encoder
//! - [`sign`]: keys, purposes, the one form of signed statement
//! - [`log`]: envelope, parts, chain, tree, tiles, checkpoint, proof; knows nothing of points
//! - [`book`]: records, state, draft, change; accounts, lots, holds, limits
//! - [`network`]: participants, brands, keys, budgets, units, freezing
//! - [`prices`]: published values, acceptance
//! - [`points`]: tokens, batches
//! - [`payments`]: consents, authorise, capture, void, refund
//! - [`clearing`]: netting, set-off, matching of bank statements; cycles, instructions, shortfall, funding
//! - [`machine`]: kinds, commands, evidence; decide, answer, verify
//! - [`formats`]: what banks and accountants read and write
//!
//! Shell (the only code that can fail for outside reasons):
//!
//! - [`config`]: sizes and intervals of a node
//! - [`clock`]: the one gate to the time of day and to chance
//! - [`store`]: log and state, durably
//! - [`vault`]: wallets, API keys, held keys and applications, sealed; key files
//! - [`views`]: typed tables for people's questions
//! - [`tiles`]: the public log's hash tiles, as files
//! - [`cache`]: balances at hand, for readers
//! - [`engine`]: queue, writer, memory, following
//! - [`reading`]: what each reader may see of the log and of state
//! - [`banking`]: files of payment orders, and what banks say back
//! - [`peers`]: the other nodes of a network, and the one outbound client
//! - [`api`]: the HTTP service, one file a resource
//! - [`app`]: a network as a value, made of a folder; verification
//! - [`cli`]: one file a verb

#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod types;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod sign;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod log;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod book;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod network;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod prices;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod points;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod payments;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod clearing;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod machine;
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        clippy::panic
    )
)]
pub mod formats;

pub mod config;
pub mod clock;
pub mod store;
pub mod vault;
pub mod views;
pub mod tiles;
pub mod cache;
pub mod engine;
pub mod reading;
pub mod banking;
pub mod peers;
pub mod api;
pub mod app;
pub mod cli;
