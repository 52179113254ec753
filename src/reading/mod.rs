//! Reading: what a reader may see of the log and of state, put together for whoever hands it out.
//!
//! Owns: an entry as one reader may see it, a proof of exactly that, a reader's events, and pages of what
//! state says to everybody; the books that reports are made of.
//! Promises: no part is shown, nor proved, that does not concern its reader. Every page says as of when it
//! is and where the next one begins.
//! Refuses to know: how readers prove who they are, and how answers travel.

mod books;
mod entries;
mod events;
mod known;
mod liability;
mod lists;
mod past;

pub use books::{Kept, books, records};
pub use entries::{Entries, Seen, SeenPart, What};
pub use events::Events;
pub use known::Known;
pub use liability::{LiabilityOf, LiabilityReport, liability};
pub use lists::{Filed, Item, Page, Sort, cover_history, history, list, newest};
pub use past::{cut, past};

/// What can go wrong while reading.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Fault),
    /// A proof could not be made.
    #[error(transparent)]
    Tiles(#[from] crate::tiles::Fault),
    /// What is kept does not read.
    #[error("{0}; `tallyhouse verify` says more")]
    Damaged(String),
}
