//! The API through the real application: requests over a socket, answers compared.
//!
//! Owns: one test binary; a file a subject under `tests/api/`.
//! Promises: what is tested is what is served: the wiring of `tallyhouse serve`, over a real data folder.
//! Refuses to know: what the handlers do inside.

mod common;

#[path = "api/table.rs"]
mod table;
