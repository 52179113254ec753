//! A sandbox: the founded test network, served, with held keys and an API key for each role.
//!
//! Owns: what must be there before somebody with nothing but an API key can ask for anything.
//! Promises: everything was asked for over HTTP as its owners would, but for the API keys themselves.
//! Refuses to know: what is then asked for.

use super::http::{Ask, Server, api_config};
use super::world::{Brand, World, beginning, id, money};
use serde_json::{Value, json};
use std::time::Duration;
use tallyhouse::config::Api;
use tallyhouse::machine::Role;
use tallyhouse::sign::{HeldCaps, PublicKey, Purpose, TillClaims, TillLimits, Typ};
use tallyhouse::types::AccountId;
use tallyhouse::vault::{WalletId, Whom};

/// A number by which br_harvest knows a person.
pub const MEMBER: &str = "h1058";

/// A served network and those who ask.
pub struct Sandbox {
    pub server: Server,
    /// API keys of br_harvest.
    pub admin: String,
    pub till: String,
    /// Of the operator.
    pub operator: String,
    pub auditor: String,
    /// Of a person.
    pub consumer: String,
    pub wallet: WalletId,
    /// The person's account in HARVEST.
    pub account: AccountId,
}

impl Sandbox {
    pub fn open(seed: u64) -> Self {
        Self::of(seed, api_config())
    }

    /// One that waits for nobody: who asks for an entry to come is told at once that it is not there.
    pub fn impatient(seed: u64) -> Self {
        Self::of(seed, Api { min_seq_ms: 1, ..api_config() })
    }

    fn of(seed: u64, config: Api) -> Self {
        let world = World::new(seed);
        let asked = world.founding().into_iter().map(|request| (request, beginning()));
        let server = Server::of(world, &asked.collect::<Vec<_>>(), config);
        settle(&server);
        let brand = &server.world.brands[0];
        let issuing = hold(&server, brand, Purpose::Issuing);
        hold(&server, brand, Purpose::Till);
        let budget = server.world.budget(issuing.kid(), brand.units[0].unit, 1);
        let budget = server.world.set_budget(&brand.root, &budget);
        server.submit("/v1/budgets", &budget).expect(201);
        let vault = &server.service().vault;
        let wallet = vault.create_wallets(&[MEMBER]).expect("a wallet")[0];
        vault.add_member(wallet, &brand.id, MEMBER).expect("the brand's number");
        let account = vault.resolve(&brand.id, MEMBER, brand.units[0].unit).expect("an account");
        let of_brand = Whom::Brand(brand.id.clone());
        Self {
            admin: server.api_key(of_brand.clone(), Role::BrandAdmin),
            till: server.api_key(of_brand, Role::Till),
            operator: server.api_key(Whom::Operator, Role::Operator),
            auditor: server.api_key(Whom::Operator, Role::Auditor),
            consumer: server.api_key(Whom::Wallet(wallet), Role::Consumer),
            wallet,
            account,
            server,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Gives the person points, with the held key; the entry.
    pub fn award(&self, cid: &str, amount: u64) -> u64 {
        let body = json!({"iss": "br_harvest", "unit": "HARVEST", "sub": self.account, "amount": amount});
        let ask = Ask::post("/v1/awards").key(&self.admin).with("idempotency-key", cid).json(&body);
        let answer: Value = self.server.ask(&ask).expect(201);
        answer["seq"].as_u64().expect("a number")
    }
}

/// Waits until everything that was founded can be looked up.
fn settle(server: &Server) {
    loop {
        let node = server.get("/readyz").expect(200);
        if node["shown"] == node["entries"] {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Has the network hold a key, and the brand's root certify it.
fn hold(server: &Server, brand: &Brand, purpose: Purpose) -> PublicKey {
    let (world, name) = (&server.world, purpose.code());
    let wanted =
        server.signed_post(&brand.root, "/v1/held-keys", &server.fresh(name), &json!({"purpose": name}));
    let held = server.ask(&wanted).expect(201);
    let key: PublicKey = serde_json::from_value(held["key"].clone()).expect("a key");
    let till = TillClaims {
        store: id("web"),
        till: id("web-1"),
        participant: brand.participant.clone(),
        limits: Some(TillLimits { currency: id("EUR"), once: Some(money(1_000_000)), hour: None, day: None }),
    };
    let mut cert = world.issuing_cert(brand, &brand.issuing[0], beginning().seconds(), None);
    cert.key = key;
    cert.purpose = purpose;
    cert.till = (purpose == Purpose::Till).then_some(till);
    cert.held = Some(HeldCaps { per_account_day: 1_000_000_000, per_day: 100_000_000_000 });
    let cert = world.alone(world.statement(&brand.root, Typ::KeyCert, &cert));
    server.submit("/v1/keys", &cert).expect(201);
    key
}
