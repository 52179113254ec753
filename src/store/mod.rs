//! The store: keeps the log and the state, durably, and interprets nothing.
//!
//! Owns: the files of a data folder (`log.sqlite`, `state.sqlite`, `lock`) or the schemas of a PostgreSQL database, how
//! they come to be, and how parts are packed. `port` says what a store does; `sqlite` and `postgres` do it, each in
//! its own way. `base` is for the vault and the views, whose queries are written once for both.
//! Promises: what `append` and `put` returned `Ok` for is there, whole, in its order; what they refused
//! is not there at all; one writer a folder or database; nothing that was erased can be read from the files again (a
//! database server forgets it once its write-ahead log and backups are gone).
//! Refuses to know: what an envelope, a part or a record means. It checks no hash and no signature.

pub(crate) mod base;
mod chunk;
pub(crate) mod cursor;
mod end;
mod fault;
mod home;
pub(crate) mod named;
pub(crate) mod page;
mod port;
pub(crate) mod postgres;
pub(crate) mod rows;
pub(crate) mod sqlite;
pub(crate) mod tables;
#[cfg(test)]
#[path = "../../tests/common/cluster.rs"]
pub(crate) mod cluster;
#[cfg(test)]
mod tests;

pub use fault::{AppendError, Fault, PutError, Stray};
pub use home::{Faces, Home};
pub use port::{
    Envelope, Kept, Loaded, Log, NewEntry, Place, Read, Row, State, StoredEntry, StoredPart, TipRecord,
};
pub use postgres::{Address, Database, Held, Lease, Postgres, PostgresLog, PostgresReader, PostgresState};
pub use sqlite::{Reader, Sqlite, SqliteLog, SqliteState};
