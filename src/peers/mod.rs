//! Peers: the other nodes of a network, and the way to them.
//!
//! Owns: who a node is to its peers (a certificate of their common authority), the one outbound client, and making
//! certificates.
//! Promises: TLS 1.3, both sides with a certificate of the authority that is good now and not denied; nothing that may have been sent is sent again.
//! Refuses to know: what is sent, and which node is what.

mod authority;
mod denied;
mod identity;
mod outbound;

pub use authority::{Issued, make, make_at};
pub use identity::{Identity, SOON};
pub use outbound::{Answer, Outbound, Piece, Sending, Unreached};
