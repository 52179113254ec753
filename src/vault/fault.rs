//! What can break in the vault, said so that an operator knows what and where.
//!
//! Owns: the faults. Promises: none repeats a secret, an alias or key material.
//! Refuses to know: what to do about it.

use super::WalletId;
use crate::types::Malformed;
use std::io;
use std::path::PathBuf;

/// Something broke, or was not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no such key file.
    #[error("there is no key {0}")]
    NoKey(PathBuf),
    /// A key is there already; keys are never overwritten.
    #[error("{0} is there already, and keys are never overwritten: choose another name")]
    KeyExists(PathBuf),
    /// A key file does not hold a key.
    #[error("{path}: {why}")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong; never the text itself.
        why: Malformed,
    },
    /// The vault is there but its key is not.
    #[error("{vault} cannot be read without its key {key}: restore the file from its own backup")]
    KeyLost {
        /// The database.
        vault: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// The vault was sealed under another key.
    #[error(
        "{vault} was sealed under another key than {key}: that is key {given}, the vault needs key {needed}"
    )]
    WrongKey {
        /// The database.
        vault: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The fingerprint of the key in the file.
        given: String,
        /// The fingerprint of the key that the vault needs.
        needed: String,
    },
    /// A file is not ours, not readable as a database, or of another version.
    #[error("{path} cannot be used: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// The database refused or broke off; nothing of that call was written.
    #[error("{path}: could not {doing}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: diesel::result::Error,
    },
    /// A sealed record does not open: it was changed, or moved to another place.
    #[error("{path} is damaged: {what} does not open under its key")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What kind of record.
        what: &'static str,
    },
    /// There is no such wallet, or it was erased.
    #[error("there is no wallet {0}, or it was erased")]
    NoWallet(WalletId),
    /// Another wallet has this alias.
    #[error("this alias belongs to another wallet than {0}")]
    AliasTaken(WalletId),
    /// An alias is empty or too long.
    #[error("an alias has 1 to 256 bytes, this one has {0}")]
    Alias(usize),
}
