//! The word `http`: a row's first statement comes as a signed HTTP request instead.
//!
//! `path= method= query= type= id= body=` change the message before it is signed; `created=` is when it is
//! signed; `life= tag= alg= uncover=` change what the signature says of itself, and `forged` who made it.

use super::{Row, Table};
use crate::common::carried::{ADDRESS, unsigned};
use crate::common::world::Key;
use tallyhouse::machine::Request;
use tallyhouse::sign::Jws;
use tallyhouse::types::b64;

impl Table {
    pub(super) fn over_http(&self, row: &Row, request: &Request) -> Request {
        let (first, others) = request.jws.split_first().expect("a statement");
        let mut message = unsigned(first);
        if let Some(path) = row.get("path") {
            message.target_uri = format!("{ADDRESS}{path}");
        }
        if let Some(query) = row.get("query") {
            message.target_uri = format!("{}?{query}", message.target_uri);
        }
        let put = |field: &mut Option<String>, name| {
            if let Some(text) = row.get(name) {
                *field = Some(text.to_owned());
            }
        };
        put(&mut message.content_type, "type");
        put(&mut message.idempotency_key, "id");
        put(&mut message.body, "body");
        if let Some(method) = row.get("method") {
            message.method = method.to_owned();
        }
        let kid = Jws::parse(first).expect("our own statement").kid();
        let holders: Vec<_> =
            ["HARVEST", "KINO", "POLAR"].iter().map(|unit| self.holder(&format!("{unit}.0"))).collect();
        let named = row.get("by").map(|who| self.key(who));
        let key = match &named {
            Some(key) if key.kid == kid => key,
            _ => self.world.find_key(request, &holders),
        };
        let created = self.instant(row.or("created", "+0s"));
        let mut message = self.world.sign_http(key, message, created);
        let mut change = |from: String, to: String| {
            assert!(message.signature_input.contains(&from), "{from} in {}", message.signature_input);
            message.signature_input = message.signature_input.replace(&from, &to);
        };
        if let Some(life) = row.get("life") {
            let at = created.seconds();
            change(format!("expires={}", at + 300), format!("expires={}", at + super::number(life)));
        }
        if let Some(tag) = row.get("tag") {
            change("tallyhouse-v1".into(), tag.into());
        }
        if let Some(alg) = row.get("alg") {
            change("ed25519".into(), alg.into());
        }
        if let Some(name) = row.get("uncover") {
            change(format!(" \"{name}\""), String::new());
        }
        if row.has("forged") {
            message.signature = b64(&Key::derive(1, "thief").secret.sign(message.signature_input.as_bytes()));
        }
        Request::signed(message, others.to_vec())
    }
}
