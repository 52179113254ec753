//! What can break in the vault, said so that an operator knows what and where.
//!
//! Owns: the faults. Promises: none repeats a secret, an alias or key material.
//! Refuses to know: what to do about it.

use super::{ApplicationId, Erased, WalletId};
use crate::types::{AccountId, BrandId, Malformed};
use std::io;
use std::path::PathBuf;

/// Something broke, or was not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database that the vault is in.
    #[error(transparent)]
    Store(#[from] crate::store::Fault),
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
    /// No wallet of this vault has this account.
    #[error("the account {0} is of no wallet here")]
    NoAccount(AccountId),
    /// There is nothing under this id.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A text is too long, or there are too many of it.
    #[error("{0}")]
    TooMuch(&'static str),
    /// An API key would not expire, or not after it was made, or too late.
    #[error("an API key expires after it was made, and within a year")]
    Term,
    /// As many applications of a brand, or in all, are open as may be.
    #[error("too many applications are open, for {0} or in all: wait until some are decided")]
    TooManyOpen(BrandId),
    /// The document was erased, and stays so.
    #[error("a document is not taken again: {0}")]
    DocumentErased(Erased),
    /// The application was decided or withdrawn before.
    #[error("the application {0} is not open any more")]
    Decided(ApplicationId),
}
