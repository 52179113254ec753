//! Things that happen in the test network, over HTTP: what other files begin with.

use crate::common::carried::ADDRESS;
use crate::common::house;
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::{Holder, Key, beginning, id, money, points};
use serde_json::{Value, json};
use tallyhouse::machine::{Request, Role};
use tallyhouse::payments::Authorise;
use tallyhouse::sign::{HeldCaps, HttpMessage, KeyCert, PaymentConsent, PublicKey, Purpose};
use tallyhouse::types::UnitCode;
use tallyhouse::vault::Whom;

pub fn harvest() -> UnitCode {
    id("HARVEST")
}

/// Hires an analyst: the operator's roots certify the key.
pub fn hire(server: &Server) -> Key {
    let (analyst, _) = house::keys(&server.world);
    let request = house::certify(&server.world, &analyst, Purpose::Operations, Some("ana"));
    server.submit("/v1/keys", &request).expect(201);
    analyst
}

/// A signed request without a body that ends something.
pub fn delete(server: &Server, key: &Key, path: &str) -> Ask {
    let message = HttpMessage {
        method: "DELETE".into(),
        target_uri: format!("{ADDRESS}{path}"),
        idempotency_key: Some(server.fresh("delete")),
        ..HttpMessage::default()
    };
    Ask::message(&server.sign(key, message))
}

/// Opens the account of a holder, by its own key.
pub fn open(server: &Server, unit: UnitCode, n: usize) -> Holder {
    let holder = server.world.holder(unit, n);
    let request = server.world.open_account(&server.fresh("open"), unit, &holder);
    server.submit("/v1/accounts", &request).expect(201);
    holder
}

/// A token for a holder.
pub fn token(server: &Server, unit: UnitCode, n: usize, amount: u64) -> Request {
    let (world, jti) = (&server.world, server.fresh("token"));
    let (brand, at) = world.brand_of(unit);
    let sub = world.holder(unit, n).account;
    world.issue(&brand.issuing[at], &world.token(brand, unit, &jti, sub, amount, beginning()))
}

/// Gives points to a holder.
pub fn award(server: &Server, unit: UnitCode, n: usize, amount: u64) -> Reply {
    let reply = server.submit("/v1/tokens", &token(server, unit, n, amount));
    reply.expect(201);
    reply
}

/// A till of a brand asks for points of a holder.
pub fn authorise(
    server: &Server,
    brand: usize,
    unit: UnitCode,
    n: usize,
    amount: u64,
    capture: bool,
) -> Request {
    let (world, cid, jti) = (&server.world, server.fresh("pay"), server.fresh("consent"));
    let holder = world.holder(unit, n);
    let deadline = beginning().seconds() + 86_400;
    let claims = PaymentConsent {
        offer: None,
        aud: world.net,
        jti: id(&jti),
        account: holder.account,
        payee: world.brands[brand].id.clone(),
        payment: id(&cid),
        till: None,
        amount: money(amount),
        currency: id("EUR"),
        points: points(1_000_000),
        deadline,
        iat: None,
        exp: beginning().seconds() + 200,
    };
    let consents = vec![world.consent(&holder.key, &claims)];
    let args = Authorise {
        offer: None,
        amount: money(amount),
        currency: id("EUR"),
        deadline,
        reference: None,
        capture,
        under: None,
    };
    world.authorise(&world.brands[brand].tills[0].key, &cid, &args, consents)
}

/// Pays; the payment's id.
pub fn pay(server: &Server, brand: usize, unit: UnitCode, n: usize, amount: u64, capture: bool) -> String {
    let reply = server.submit("/v1/payments", &authorise(server, brand, unit, n, amount, capture));
    reply.expect(201)["payment"].as_str().expect("a payment").to_owned()
}

/// Has the network hold an issuing key for br_harvest, and gives an API key of its finance that writes with it.
pub fn held_issuing(server: &Server) -> String {
    let brand = &server.world.brands[0];
    certify_held(server, hold_issuing(server));
    server.api_key(Whom::Brand(brand.id.clone()), Role::BrandFinance)
}

/// Has the network hold an issuing key for br_harvest.
pub fn hold_issuing(server: &Server) -> PublicKey {
    let wanted = json!({"purpose": "issuing"});
    let root = &server.world.brands[0].root;
    let made = server.ask(&server.signed_post(root, "/v1/held-keys", &server.fresh("hold"), &wanted));
    serde_json::from_value(made.expect(201)["key"].clone()).expect("a key")
}

/// br_harvest's root certifies a held key and gives it a budget.
pub fn certify_held(server: &Server, key: PublicKey) {
    let world = &server.world;
    let brand = &world.brands[0];
    let cert = KeyCert {
        aud: world.net,
        key,
        purpose: Purpose::Issuing,
        owner: brand.id.to_string(),
        from: beginning().seconds(),
        until: None,
        till: None,
        held: Some(HeldCaps { per_account_day: 1_000_000, per_day: 10_000_000 }),
        person: None,
    };
    let statement = world.statement(&brand.root, tallyhouse::sign::Typ::KeyCert, &cert);
    server.submit("/v1/keys", &Request::of(vec![statement])).expect(201);
    let budget = world.set_budget(&brand.root, &world.budget(key.kid(), harvest(), 1));
    server.submit("/v1/budgets", &budget).expect(201);
}

/// An award of HARVEST as JSON.
pub fn award_json(server: &Server, n: usize, amount: u64) -> Value {
    let account = server.world.holder(harvest(), n).account;
    json!({"iss": "br_harvest", "unit": "HARVEST", "sub": account, "amount": amount})
}

/// An award of HARVEST, to be signed.
pub fn award_message(id: &str, body: &Value) -> HttpMessage {
    HttpMessage::post(format!("{ADDRESS}/v1/awards"), id, body.to_string())
}
