//! What errors are named after: a file, or a schema of a database.
//!
//! Owns: the faults of what is read and written there.
//! Promises: each says where.
//! Refuses to know: which database it is.

use super::fault::Fault;
use crate::types::Hash;
use std::path::PathBuf;

/// The name of a file, or of a database with a schema.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) PathBuf);

impl Named {
    pub(crate) fn fault(&self, doing: &'static str, source: diesel::result::Error) -> Fault {
        Fault::Database { path: self.0.clone(), doing, source }
    }

    /// The same of a connection that was lost.
    pub(crate) fn lost(&self, why: impl ToString) -> Fault {
        Fault::Unreachable { path: self.0.clone(), why: why.to_string() }
    }

    pub(crate) fn foreign(&self, why: impl ToString) -> Fault {
        Fault::Foreign { path: self.0.clone(), why: why.to_string() }
    }

    pub(crate) fn damaged(&self, at: impl ToString, why: impl ToString) -> Fault {
        Fault::Damaged { path: self.0.clone(), at: at.to_string(), why: why.to_string() }
    }

    /// A number that was written by `integer`.
    pub(crate) fn seq(&self, kept: i64) -> Result<u64, Fault> {
        u64::try_from(kept).map_err(|_| self.damaged(kept, "a seq below 0"))
    }

    /// A hash that was written as 32 bytes.
    pub(crate) fn hash(&self, at: u64, kept: Vec<u8>) -> Result<Hash, Fault> {
        kept.try_into().map(Hash).map_err(|_| self.damaged(at, "a hash that has not 32 bytes"))
    }
}
