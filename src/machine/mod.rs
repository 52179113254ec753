//! The machine: from a signed request to an entry, and back.
//!
//! Owns: the closed set of kinds and commands, who must sign each, the decision, the form of entries,
//! and re-deciding an entry for verification.
//! Promises: the same state, command and time give the same entry, byte for byte (salts aside).
//! Refuses to know: threads, files, clocks, people.

mod asserted;
mod command;
mod decide;
mod due;
mod entry;
mod evidence;
mod genesis;
mod kind;
mod refuse;
mod remains;
mod verify;

pub use asserted::AssertedTotal;
pub use command::{Body, Command, Request};
pub use decide::{Decision, decide, hints};
pub use due::{sweep, term};
pub use entry::{
    Answer, Effect, EntryBody, Event, LineVerdict, PartBody, PubBody, Sealed, Snapshot, answer, bodies, seal,
};
pub use evidence::{Evidence, request};
pub use genesis::{CurrencySetting, Genesis};
pub use kind::Kind;
pub use refuse::{Burnt, burn, record_refusals};
pub use verify::{Broken, Checked, Records, Stored, apply, check, check_form};
