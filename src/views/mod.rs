//! Views: typed tables made for people's questions.
//!
//! Owns: `views.sqlite`: what moved on each account, each payment as it stands, points of a unit by what
//! became of them, what participants owe each other, what was filed, which entries concern whom. One file a view: its
//! table, its fold, its queries.
//! Promises: the tables are a function of the log up to the cursor, however the log was cut into runs;
//! every answer says up to which entry it is. All of it can be thrown away and made again.
//! Refuses to know: the writer, which never reads here; people and wallets.
//!
//! No lock is taken: a second follower is stopped by the cursor before it has written anything, and what
//! it would have written is the same.

mod concerns;
#[cfg(test)]
mod databases;
mod difference;
mod filings;
mod flows;
mod follow;
mod keys;
mod movements;
mod obligations;
mod payments;
mod reader;
#[cfg(test)]
mod tests;
mod supplies;
mod units;
mod walks;

pub use difference::difference;
pub use filings::{FiledAt, Filing, FilingsOf};
pub use flows::{DayFlow, Flow, What};
pub use follow::Views;
pub use movements::{Moment, Movement};
pub use obligations::Obligation;
pub use payments::{Filter, ListedPayment, Span};
pub use reader::{Reader, Shown};
pub use supplies::Supplied;
pub use units::ListedUnit;
