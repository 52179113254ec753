//! Requests of the test network as signed HTTP messages.
//!
//! Owns: how a statement becomes a message that asks for the same.
//! Promises: nothing is left out and nothing added; what is wrong with a statement is wrong with the message.
//! Refuses to know: what a request will be answered.

#![allow(dead_code, unreachable_pub, missing_docs)]

use super::world::{Holder, Key, World};
use serde_json::Value;
use tallyhouse::machine::{Kind, Request, Route};
use tallyhouse::sign::{CommandClaims, HttpMessage, Jws, Typ};
use tallyhouse::types::{Time, b64};

/// The address of the test network.
pub const ADDRESS: &str = "https://points.test";

/// What a statement asks for, as a message that is not signed yet.
pub fn unsigned(statement: &str) -> HttpMessage {
    let jws = Jws::parse(statement).expect("our own statement");
    match jws.typ() {
        Typ::PointToken => {
            let mut award: Value = serde_json::from_slice(jws.payload_bytes()).expect("JSON");
            let members = award.as_object_mut().expect("claims");
            let jti = members.remove("jti").expect("an id");
            for name in ["aud", "iat", "exp"] {
                members.remove(name);
            }
            post("/v1/awards", jti.as_str().expect("text"), award.to_string())
        }
        Typ::Command => {
            let claims: CommandClaims = jws.payload().expect("our own claims");
            let kind = Kind::ALL.iter().find(|kind| kind.command() == claims.kind).expect("a command");
            let route = Route::of_kind(*kind).expect("a route");
            post(route.path, claims.cid.as_str(), claims.args.get().to_owned())
        }
        typ => panic!("{typ} has no form of its own over HTTP"),
    }
}

fn post(path: &str, id: &str, body: String) -> HttpMessage {
    HttpMessage::post(format!("{ADDRESS}{path}"), id, body)
}

impl World {
    /// Signs a message at `now`, if statements are signed at all.
    pub fn sign_http(&self, key: &Key, message: HttpMessage, now: Time) -> HttpMessage {
        let nonce = format!("nonce-of-{:0>12}", message.id().unwrap_or_default());
        let mut signed = message.sign(&key.secret, now.seconds(), &nonce);
        if !self.signing {
            signed.signature = b64(&[0; 64]);
        }
        signed
    }

    /// The same request, its first statement as a message signed by the same key.
    pub fn over_http(&self, request: &Request, key: &Key, now: Time) -> Request {
        let (first, others) = request.jws.split_first().expect("a statement");
        Request::signed(self.sign_http(key, unsigned(first), now), others.to_vec())
    }

    /// The pair of a key of the cast, or of one of these holders.
    pub fn find_key<'a>(&'a self, request: &Request, holders: &'a [Holder]) -> &'a Key {
        let kid = Jws::parse(&request.jws[0]).expect("our own statement").kid();
        let of_brands = self.brands.iter().flat_map(|brand| {
            std::iter::once(&brand.root).chain(&brand.issuing).chain(brand.tills.iter().map(|till| &till.key))
        });
        let mut all = self.roots.iter().chain(of_brands).chain(holders.iter().map(|holder| &holder.key));
        all.find(|key| key.kid == kid).unwrap_or_else(|| panic!("{kid} is nobody of the cast"))
    }
}
