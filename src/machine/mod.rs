//! The machine: from a signed request to an entry, and back.
//!
//! Owns: the closed set of kinds and commands, the table of routes, who must sign each, the decision, the form
//! of entries, who may read which part, and re-deciding an entry for verification.
//! Promises: the same state, command and time give the same entry, byte for byte (salts aside).
//! Refuses to know: threads, files, clocks, people.

mod asserted;
mod command;
mod decide;
mod due;
mod entry;
mod evidence;
mod genesis;
mod hints;
mod http;
mod kind;
mod readers;
mod refuse;
mod remains;
mod route;
mod scope;
mod verify;

pub use asserted::AssertedTotal;
pub use command::{Body, Command, DryRun, Request};
pub use decide::{Decision, decide};
pub use due::{seal_by_schedule, seal_due, sweep, term};
pub use entry::{
    Answer, Effect, EntryBody, Event, LineVerdict, Offered, PartBody, PubBody, Sealed, Snapshot, SupplyLine,
    answer, bodies, seal,
};
pub use evidence::{Evidence, request};
pub use genesis::{CurrencySetting, Genesis};
pub use hints::{Hints, ROUNDS, hints};
pub use kind::Kind;
pub use readers::{Concerned, Reader, Resolve, concerned, concerned_by, issuer, may_read};
pub use refuse::{Burnt, burn, record_refusals};
pub use route::{Carrier, Method, Route};
pub use scope::{Role, Scope};
pub use verify::{Broken, Checked, Records, Stored, apply, check, check_form};
