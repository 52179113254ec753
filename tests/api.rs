//! The API through the real application: requests over a socket, answers compared.
//!
//! Owns: one test binary; a file a subject under `tests/api/`.
//! Promises: what is tested is what is served: the wiring of `tallyhouse serve`, over a real data folder.
//! Refuses to know: what the handlers do inside.

mod common;

#[path = "api/access.rs"]
mod access;
#[path = "api/account.rs"]
mod account;
#[path = "api/accounting.rs"]
mod accounting;
#[path = "api/answers.rs"]
mod answers;
#[path = "api/banking.rs"]
mod banking;
#[path = "api/bounds.rs"]
mod bounds;
#[path = "api/batches.rs"]
mod batches;
#[path = "api/consents.rs"]
mod consents;
#[path = "api/documents.rs"]
mod documents;
#[path = "api/fees.rs"]
mod fees;
#[path = "api/funding.rs"]
mod funding;
#[path = "api/importing.rs"]
mod importing;
#[path = "api/leaks.rs"]
mod leaks;
#[path = "api/leaving.rs"]
mod leaving;
#[path = "api/plain.rs"]
mod plain;
#[path = "api/linking.rs"]
mod linking;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/queries.rs"]
mod queries;
#[path = "api/roles.rs"]
mod roles;
#[path = "api/scene.rs"]
mod scene;
#[path = "api/sight.rs"]
mod sight;
#[path = "api/signed.rs"]
mod signed;
#[path = "api/sponsored.rs"]
mod sponsored;
#[path = "api/statements.rs"]
mod statements;
#[path = "api/table.rs"]
mod table;
#[path = "api/told.rs"]
mod told;
