//! A pen: signed statements, as their owners make them before they send them.
//!
//! Owns: how a request is put together of its statement, approvals and consents.
//! Promises: what it signs is for one network, and of the form that the machine reads.
//! Refuses to know: whose keys it is given, and what a request will be answered.

use crate::log::{leaf_hash, root_of};
use crate::machine::{Kind, Request};
use crate::sign::{
    Approval, CommandClaims, KeyBudget, KeyCert, PointBatch, PointToken, Purpose, SecretKey, TillClaims, Typ,
    sign,
};
use crate::types::{BrandId, Hash, Ident, b64, encode};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// An id of 22 characters that only its parts decide: the same work asked for again has the same id.
pub fn id_of(parts: &[&str]) -> Ident {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(hasher.finalize().as_bytes().get(..16).unwrap_or(&[0; 16]));
    b64(&first).parse().unwrap_or_default()
}

/// Signs for one network.
#[derive(Clone, Copy, Debug)]
pub struct Pen {
    /// The network's id.
    pub net: Hash,
}

impl Pen {
    /// A `command+jwt`.
    pub fn command(&self, key: &SecretKey, cid: &Ident, kind: Kind, args: &impl Serialize) -> String {
        let args = String::from_utf8(encode(args)).unwrap_or_default();
        let args = RawValue::from_string(args).unwrap_or_default();
        let claims = CommandClaims { aud: self.net, cid: cid.clone(), kind: kind.command().into(), args };
        sign(key, Typ::Command, &encode(&claims))
    }

    /// A statement that stands alone.
    pub fn alone(&self, statement: String) -> Request {
        Request::of(vec![statement])
    }

    /// A statement with approvals of it.
    pub fn approved(&self, statement: String, by: &[&SecretKey]) -> Request {
        let input = statement.rsplit_once('.').map_or("", |(input, _)| input);
        let claims = encode(&Approval { aud: self.net, digest: Hash::sha256(input.as_bytes()), iat: None });
        let approvals: Vec<String> = by.iter().map(|key| sign(key, Typ::Approval, &claims)).collect();
        Request::of(std::iter::once(statement).chain(approvals).collect())
    }

    /// A root certifies a brand's key, which proves that its owner has it. `till` stands in certificates of
    /// tills; `from` is the first instant of validity, in Unix seconds.
    pub fn certify(
        &self,
        root: &SecretKey,
        key: &SecretKey,
        purpose: Purpose,
        owner: &BrandId,
        from: u64,
        till: Option<TillClaims>,
    ) -> Request {
        let (aud, owner) = (self.net, owner.to_string());
        let cert = KeyCert {
            aud,
            key: key.public(),
            purpose,
            owner,
            from,
            until: None,
            till,
            held: None,
            person: None,
        };
        self.approved(sign(root, Typ::KeyCert, &encode(&cert)), &[key])
    }

    /// A root's budget for an issuing key.
    pub fn budget(&self, root: &SecretKey, budget: &KeyBudget) -> Request {
        self.alone(sign(root, Typ::KeyBudget, &encode(budget)))
    }

    /// A token.
    pub fn token(&self, key: &SecretKey, token: &PointToken) -> Request {
        self.alone(sign(key, Typ::PointToken, &encode(token)))
    }

    /// A batch over lines of NDJSON, each with its line feed. Count and root of the claims are set here.
    pub fn batch(&self, key: &SecretKey, mut claims: PointBatch, lines: Vec<u8>) -> Request {
        let leaves: Vec<Hash> = lines
            .split_inclusive(|b| *b == b'\n')
            .map(|line| leaf_hash(line.strip_suffix(b"\n").unwrap_or(line)))
            .collect();
        claims.count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        claims.root = root_of(&leaves);
        Request {
            jws: vec![sign(key, Typ::PointBatch, &encode(&claims))],
            lines: Some(Arc::from(lines)),
            http: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_their_parts_apart() {
        assert_eq!(id_of(&["a", "bc"]), id_of(&["a", "bc"]));
        assert_ne!(id_of(&["a", "bc"]), id_of(&["ab", "c"]));
        assert_eq!(id_of(&["a"]).as_str().len(), 22);
    }
}
