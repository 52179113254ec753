//! The network that is measured: one issuer, one shop of another brand, accounts with keys, everything
//! signed as it would be.

use crate::app::{Network, Tuning};
use crate::clock;
use crate::engine::Failure;
use crate::log::{leaf_hash, root_of};
use crate::machine::{CurrencySetting, Genesis, Request};
use crate::sign::{SecretKey, Typ, sign};
use crate::store::Home;
use crate::types::{AccountId, ConsentId, Hash, Time, b64, encode};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the driven clock of the measured network stands, in Unix seconds: 2026-01-01.
pub(super) const NOW: u64 = 1_767_225_600;

/// Keys and names of the measured network.
pub(super) struct World {
    /// The network's id.
    pub net: Hash,
    log: SecretKey,
    root: SecretKey,
    issuer_root: SecretKey,
    shop_root: SecretKey,
    issuing: SecretKey,
    till: SecretKey,
    genesis: Genesis,
}

/// Wraps a key's signature around claims.
fn jws<T: Serialize>(key: &SecretKey, typ: Typ, claims: &T) -> String {
    sign(key, typ, &encode(claims))
}

/// The i-th account: its number spread over all bits, so that keys are as scattered as random ones.
pub(super) fn account(i: u64) -> AccountId {
    let hash = blake3::hash(&i.to_le_bytes());
    let mut first = [0u8; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    AccountId(u128::from_le_bytes(first))
}

fn account_key(i: u64) -> SecretKey {
    SecretKey::from_seed(*blake3::hash(&[b"key".as_slice(), &i.to_le_bytes()].concat()).as_bytes())
}

impl World {
    /// With keys of its own. In a driven network commands bring their time, which stands still.
    pub(super) fn new(driven: bool) -> Self {
        Self::of(&SecretKey::from_seed(clock::random()), driven)
    }

    /// With all keys made of one.
    pub(super) fn of(master: &SecretKey, driven: bool) -> Self {
        let seed = |name: &str| *blake3::hash(&master.sign(name.as_bytes())).as_bytes();
        let key = |name: &str| SecretKey::from_seed(seed(name));
        let (log, root) = (key("log"), key("root"));
        let genesis = Genesis {
            nonce: b64(&seed("nonce")),
            origin: "bench.example/log".into(),
            roots: vec![root.public()],
            threshold: 1,
            log: log.public(),
            currencies: vec![CurrencySetting {
                code: "EUR".parse().expect("a currency"),
                minor: 2,
                scale: 2,
            }],
            driven,
            live: false,
        };
        Self {
            net: genesis.net(),
            log,
            root,
            issuer_root: key("issuer_root"),
            shop_root: key("shop_root"),
            issuing: key("issuing"),
            till: key("till"),
            genesis,
        }
    }

    /// The time that commands bring, if they do.
    pub(super) fn at(&self) -> Option<Time> {
        Time::from_seconds(NOW).filter(|_| self.genesis.driven)
    }

    /// What time it is there, in Unix seconds.
    pub(super) fn now(&self) -> u64 {
        if self.genesis.driven { NOW } else { clock::now().seconds() }
    }

    /// The log's key.
    pub(super) fn log(&self) -> &SecretKey {
        &self.log
    }

    /// The shop's till.
    pub(super) fn till(&self) -> &SecretKey {
        &self.till
    }

    /// Founds the network and all that payments and awards need.
    pub(super) fn found(&self, home: &Home, tuning: &Tuning) -> Result<Network, Failure> {
        let start = self.at().unwrap_or_else(clock::now);
        let network = Network::create(home, self.genesis.clone(), &self.log, start, tuning)?;
        for request in self.founding() {
            network.engine.ask(&request, self.at())?;
        }
        Ok(network)
    }

    /// Opens it again, with nothing in memory.
    pub(super) fn reopen(&self, home: &Home, tuning: &Tuning) -> Result<Network, Failure> {
        Network::open(home, &self.log, tuning)
    }

    fn command(&self, key: &SecretKey, cid: &str, kind: &str, args: Value) -> String {
        jws(key, Typ::Command, &json!({"aud": self.net, "cid": cid, "kind": kind, "args": args}))
    }

    /// Adds approvals of a statement to it.
    fn approved(&self, statement: String, by: &[&SecretKey]) -> Request {
        let signed = statement.rsplit_once('.').map_or("", |(input, _)| input);
        let digest = Hash::sha256(signed.as_bytes());
        let approval =
            |key: &&SecretKey| jws(key, Typ::Approval, &json!({"aud": self.net, "digest": digest}));
        let approvals: Vec<String> = by.iter().map(approval).collect();
        Request::of(std::iter::once(statement).chain(approvals).collect())
    }

    fn founding(&self) -> Vec<Request> {
        let mut all = vec![];
        for (name, root) in [("issuer", &self.issuer_root), ("shop", &self.shop_root)] {
            let (participant, brand) = (format!("pa_{name}"), format!("br_{name}"));
            let args = json!({"participant": participant, "currency": "EUR"});
            all.push(
                self.approved(self.command(&self.root, &participant, "participant.register", args), &[]),
            );
            let args = json!({"brand": brand, "participant": participant, "root": root.public()});
            all.push(self.approved(self.command(root, &brand, "brand.register", args), &[&self.root]));
        }
        let cert = |key: &SecretKey, purpose: &str, owner: &str, till: Value| {
            let mut claims =
                json!({"aud": self.net, "key": key.public(), "purpose": purpose, "owner": owner, "from": 0});
            if !till.is_null() {
                claims["till"] = till;
            }
            claims
        };
        let issuing = cert(&self.issuing, "issuing", "br_issuer", Value::Null);
        all.push(self.approved(jws(&self.issuer_root, Typ::KeyCert, &issuing), &[&self.issuing]));
        let till = json!({"store": "s1", "till": "t1", "participant": "pa_shop"});
        let till = cert(&self.till, "till", "br_shop", till);
        all.push(self.approved(jws(&self.shop_root, Typ::KeyCert, &till), &[&self.till]));
        let unit = json!({"unit": "POINTS", "version": 1, "scale": 0, "offset": "+00:00",
            "expiry": {"months": {"n": 24, "round": 12}}});
        all.push(self.approved(self.command(&self.issuer_root, "unit", "unit.define", unit), &[]));
        let most = crate::types::MAX_INT;
        let budget = json!({"aud": self.net, "key": self.issuing.public().kid(), "unit": "POINTS", "serial": 1,
            "ceiling": most, "hourly": most, "until": NOW * 2});
        all.push(self.approved(jws(&self.issuer_root, Typ::KeyBudget, &budget), &[]));
        let prices = json!({"unit": "POINTS", "version": 1, "currency": "EUR", "from": 0,
            "home": [1, 1], "till": [1, 1], "settle": [1, 1], "issue": [1, 1]});
        all.push(self.approved(self.command(&self.issuer_root, "prices", "prices.publish", prices), &[]));
        let accepted = json!({"brand": "br_shop", "version": 1, "units": [{"unit": "POINTS"}]});
        all.push(self.approved(self.command(&self.shop_root, "accept", "acceptance.publish", accepted), &[]));
        all
    }

    /// The brand opens the i-th account with its own key.
    pub(super) fn open_account(&self, i: u64) -> Request {
        let key = account_key(i);
        let args = json!({"account": account(i), "unit": "POINTS", "key": key.public()});
        let cid = format!("open-{i}");
        self.approved(self.command(&self.issuing, &cid, "account.open", args), &[&key])
    }

    /// A payment of one cent by the i-th account at the shop's till, captured at once, under the
    /// holder's consent: two signatures, as evidence.
    pub(super) fn payment(&self, number: u64, i: u64) -> Request {
        let cid = format!("p{number}");
        let (args, consent) = self.signed_payment(&cid, i);
        let till = self.command(&self.till, &cid, "payment.authorise", args);
        Request::of(vec![till, consent])
    }

    /// The arguments of such a payment, and the consent to it.
    pub(super) fn signed_payment(&self, cid: &str, i: u64) -> (Value, String) {
        let now = self.now();
        let consent = jws(
            &account_key(i),
            Typ::PaymentConsent,
            &json!({"aud": self.net, "jti": cid,
            "account": account(i), "payee": "br_shop", "payment": cid, "amount": 1, "currency": "EUR",
            "points": 1, "deadline": now + 3600, "exp": now + 300}),
        );
        let args = json!({"amount": 1, "currency": "EUR", "deadline": now + 3600, "capture": true});
        (args, consent)
    }

    /// What the i-th account's phone shows to the shop's till, and the arguments with which the till opens a consent.
    pub(super) fn shown_code(&self, jti: &str, i: u64) -> (Value, String) {
        let code = json!({"aud": self.net, "jti": jti, "most": 1_000_000_000, "currency": "EUR",
            "exp": self.now() + 60});
        (json!({"code": jti}), jws(&account_key(i), Typ::SpendCode, &code))
    }

    /// The arguments of a payment of one cent under an open consent, captured at once.
    pub(super) fn payment_under(&self, consent: ConsentId) -> Value {
        json!({"amount": 1, "currency": "EUR", "deadline": self.now() + 3600, "capture": true,
            "under": [{"consent": consent, "amount": 1}]})
    }

    /// A token: 5 points for the i-th account.
    pub(super) fn token(&self, jti: &str, i: u64, number: u64) -> String {
        let (till, receipt, now) = (number % 100, number / 100, self.now());
        let claims = json!({"aud": self.net, "iss": "br_issuer", "jti": jti, "unit": "POINTS", "exp": now + 86_400,
            "sub": account(i), "amount": 5, "ref": format!("{receipt:010}"), "store": format!("s{till:02}"),
            "till": format!("t{till:02}"), "occurred_at": now, "sale": {"amount": 1999, "currency": "EUR"}});
        jws(&self.issuing, Typ::PointToken, &claims)
    }

    /// A signed batch: a line for each of the accounts, receipts counted up from `first` over 100 tills.
    pub(super) fn batch(&self, id: &str, first: u64, accounts: &[u64], points: u64) -> Request {
        let mut lines = Vec::with_capacity(accounts.len() * 160);
        let mut leaves = Vec::with_capacity(accounts.len());
        let now = self.now();
        for (number, i) in (first..).zip(accounts) {
            let begin = lines.len();
            let (till, receipt) = (number % 100, number / 100);
            let line = format!(
                "{{\"sub\":\"{}\",\"amount\":{points},\"ref\":\"{receipt:010}\",\"store\":\"s{till:02}\",\"till\":\"t{till:02}\",\
                 \"occurred_at\":{now},\"sale\":{{\"amount\":1999,\"currency\":\"EUR\"}}}}",
                account(*i)
            );
            lines.extend_from_slice(line.as_bytes());
            leaves.push(leaf_hash(&lines[begin..]));
            lines.push(b'\n');
        }
        let claims = json!({"aud": self.net, "iss": "br_issuer", "jti": id, "unit": "POINTS", "exp": NOW * 2,
            "count": accounts.len(), "total": accounts.len() as u64 * points, "root": root_of(&leaves),
            "on_line_error": "skip"});
        Request {
            jws: vec![jws(&self.issuing, Typ::PointBatch, &claims)],
            lines: Some(Arc::from(lines)),
            http: None,
        }
    }
}
