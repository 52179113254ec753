//! The log: envelopes that commit to parts, the hash chain, the Merkle tree, checkpoints and proofs.
//!
//! Owns: the bytes of an entry, the order of entries, and everything that shows to an outsider that an
//! entry stands where we say it stands.
//! Promises: what is read here is in the one canonical form, whatever is accepted extends the chain by
//! exactly one entry, and the tree, the tiles, the checkpoint and the text proof are the public formats
//! (RFC 6962, C2SP tlog-tiles, signed-note, tlog-checkpoint, tlog-proof), so that verifiers written by
//! others accept them.
//! Refuses to know: points, brands, accounts, and what the content of an entry means.

mod chain;
mod checkpoint;
mod envelope;
mod part;
mod proof;
mod scan;
mod tile;
mod tlog_proof;
mod tree;
#[cfg(test)]
mod vectors;

pub use chain::{Broken, Chain, Tip, Why};
pub use checkpoint::{BadNote, Checkpoint, LogSigner, LogVerifier, sign, verify, vkey};
pub use envelope::{Envelope, MAX_ENVELOPE, PartsRef, Unreadable, VERSION, parts_said};
pub use part::{MAX_PART, MAX_PARTS, Slot, holds, open, parts_root, seal, seal_encoded};
pub use proof::{OwnPart, Proof, Shown, Unproven};
pub use tile::{
    NoPath, Shelf, TILE_WIDTH, TileId, TileSet, TileSource, bundle, consistency, inclusion, new_tiles,
    root_at, tiles_of, unbundle,
};
pub use tree::{
    EMPTY_ROOT, Frontier, Mismatch, Tree, check_consistency, check_inclusion, leaf_hash, node_hash, path,
    root_of,
};
