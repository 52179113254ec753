//! The engine: one writer, its followers, and what keeps them right.
//!
//! Owns: the queue of commands, group commit, the writer's memory, following, back-pressure, recovery.
//! Promises: an answer is given once its entry is durable; each follower takes every entry once, in
//! order; after a kill at any point all of it comes back to the same state.
//! Refuses to know: how things are stored, and what commands mean.
//!
//! [`Core`] is all of it without threads, stepped by its caller; [`Engine`] puts threads around it.

mod appender;
mod away;
mod checked;
mod core;
mod desk;
mod dry;
mod erase;
mod follow;
mod fresh;
mod memory;
mod pace;
mod published;
mod queue;
mod run;
mod runs;
mod seat;
mod share;
mod stored;
mod tail;
mod writer;

pub use self::core::{Core, Rebuilder, Stores, catch_up, wipe_stranger};
pub use dry::{DryPart, DryRun};
pub use erase::{Due, said as said_erased, unerased};
pub use follow::{Follower, StateFollower, state_root};
pub use fresh::{Level, Newest};
pub use memory::{Changes, Memory, load, look_ahead};
pub use pace::{Guard, Pace, Progress};
pub use queue::{Handle, Ticket};
pub use run::Engine;
pub use seat::{Alarm, Part, Seat, Standing};
pub use stored::open_entry;
pub use tail::Viewed;
pub use writer::{Job, Outcome, Writer};

use crate::book::{Name, Record};
use crate::machine::Event;
use crate::types::Refused;
use std::sync::Arc;

/// A committed entry on its way to the followers.
#[derive(Debug)]
pub struct Commit {
    /// What happened.
    pub event: Event,
    /// The records that it changed, with their values after; empty where an entry was read back from
    /// the log for a follower that does not need them.
    pub records: Arc<Vec<(Name, Option<Arc<Record>>)>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A domain "no": nothing was changed.
    #[error("{0}")]
    Refused(Refused),
    /// Another writer took over; this one changed nothing more.
    #[error("another writer took over")]
    Deposed,
    /// Too many commands wait: this one was not accepted, nothing was changed.
    #[error("too many commands wait; ask again in a moment")]
    Busy,
    /// Something broke. Whether the command took effect is not known: ask again under the same id.
    #[error("{0}")]
    Unavailable(String),
}

/// Where a crash can be simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// All is decided, nothing is on disk.
    BeforeAppend,
    /// All is on disk, nobody was answered.
    AfterAppend,
    /// A follower has work, and has written none of it.
    BeforeFollow,
    /// A follower has committed, and told nobody.
    AfterFollow,
}

/// Says whether the process dies here; tests only.
pub type Crash = Arc<dyn Fn(Point) -> bool + Send + Sync>;

/// What an engine is given besides its stores.
pub struct Setup {
    /// Records kept at hand beside the pinned ones.
    pub memory_rows: usize,
    /// Salts of parts: 16 random bytes each.
    pub salts: Box<dyn FnMut() -> [u8; 16] + Send>,
    /// Simulated crashes.
    pub crash: Option<Crash>,
    /// Asked after the log was opened anew: whether this node is still the one that writes. `None`: nobody else can.
    pub holds: Option<Holds>,
}

/// Whether this node holds the lease still; an error: that cannot be told now.
pub type Holds = Arc<dyn Fn() -> Result<bool, Failure> + Send + Sync>;

fn reach(crash: &Option<Crash>, point: Point) -> Result<(), Failure> {
    match crash {
        Some(dies) if dies(point) => {
            Err(Failure::Unavailable(format!("died at {point:?}, as the test asked")))
        }
        _ => Ok(()),
    }
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}
