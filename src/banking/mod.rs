//! The house's dealings with its banks: files of orders, notices to payers, what banks say back; the report of a cycle.
//!
//! Owns: which instructions of the log go into which file, the accounts behind their commitments, what a status report
//! or a statement says of open instructions; what is signed for to take a cycle's next step.
//! Promises: not a byte of a file of payment orders is handed out before the log says that a file of exactly this hash may
//! leave; made again after a crash, it is the same file, with the same message id and the same EndToEndIds, so a bank that
//! gets it twice pays once. An account is used only if the log has a commitment to it that was confirmed.
//! Refuses to know: who asks, and how files travel.

mod accounts;
mod behind;
mod house;
mod nobodys;
mod open;
mod orders;
mod preview;
mod report;
mod said;

pub use accounts::Accounts;
pub use behind::{Effect, effects, owed};
pub use nobodys::Nobodys;
pub use open::OpenInstructions;
pub use orders::{Desk, ForDay, Orders, Paid, Prepared};
pub use preview::{NextSetOff, NextStep, next_step};
pub use report::{CycleReport, ReportLine, ReportSide};
pub use said::{Said, StatementRead, StatusRead, Unmatched, read_statements, read_status};

use crate::types::{Malformed, Refused};

/// Why something cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is not there to be made yet, or something that it needs is missing; the text says what to do.
    #[error("{0}")]
    No(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Fault),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] crate::vault::Fault),
    /// What is kept does not read.
    #[error("{0}; `tallyhouse verify` says more")]
    Damaged(String),
}

impl From<Malformed> for Fault {
    fn from(e: Malformed) -> Self {
        Self::No(e.0)
    }
}

impl From<Refused> for Fault {
    fn from(e: Refused) -> Self {
        Self::No(e.to_string())
    }
}
