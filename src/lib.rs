//! Tallyhouse: a points network that brands share.
//!
//! The map. A folder imports only folders listed before it; `tests/tidy.rs` holds that.
//!
//! Pure: no async, I/O, clock, randomness or floats.

// In the pure folders an unchecked operation is a wrong one: amounts are somebody's money.
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

// The shell: the only code that can fail for outside reasons. A fault is an answer there too, never a panic.
#[cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]
pub mod store;
