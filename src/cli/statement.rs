//! Signed statements that a verb prints: what a network takes in as one request.

use super::context::{CliError, Context};
use crate::sign::{Approval, Jws, SecretKey, Typ, sign};
use crate::types::{Hash, encode};
use serde::Serialize;

/// What a network takes in: the statement first, then what else was signed about it.
#[derive(Serialize, Debug)]
pub(super) struct Signed {
    /// Compact JWS.
    pub(super) jws: Vec<String>,
}

/// Who signs a statement.
pub(super) struct Signing<'a> {
    /// The network that it is for.
    pub(super) net: Hash,
    /// Makes the statement.
    pub(super) key: &'a SecretKey,
    /// Sign an approval of it: further roots, and keys that prove that somebody holds them.
    pub(super) approving: &'a [SecretKey],
}

impl Signing<'_> {
    /// Signs.
    pub(super) fn request(&self, typ: Typ, payload: &[u8]) -> Result<Signed, CliError> {
        let statement = sign(self.key, typ, payload);
        // What we would refuse ourselves is not worth printing.
        let digest = Jws::parse(&statement)?.identity();
        let approval = encode(&Approval { aud: self.net, digest, iat: None });
        let approvals = self.approving.iter().map(|key| sign(key, Typ::Approval, &approval));
        Ok(Signed { jws: std::iter::once(statement.clone()).chain(approvals).collect() })
    }
}

/// Prints a request: a statement a line, or with --json `{"jws": […]}` on one line.
pub(super) fn say_request(request: &Signed, context: &mut Context<'_>) -> Result<(), CliError> {
    if context.json {
        return context.say_json(request);
    }
    request.jws.iter().try_for_each(|jws| context.say(jws))
}
