//! A small network to test with: an operator with three roots of which two must sign, four brands with
//! five units between them, tills, holders; and a function for every request that can be made.
//!
//! Owns: every secret key of the test network, all derived from one seed.
//! Promises: requests are made exactly as asked, wrong ones too.
//! Refuses to know: what a request will be answered.

use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use tallyhouse::book::{AcceptedUnit, ExchangeAccepted, Expiry, KeyState, Notice};
use tallyhouse::log::{leaf_hash, root_of};
use tallyhouse::machine::{CurrencySetting, Genesis, Request};
use tallyhouse::network::{
    DefineUnit, EraseEvidence, FreezeAccount, FreezeBrand, FreezeNetwork, FreezeUnit, OpenAccount, RevokeKey,
};
use tallyhouse::payments::{Authorise, Capture, OpenConsent, Refund, Void};
use tallyhouse::prices::{PublishAcceptance, PublishPrices};
use tallyhouse::sign::{
    Approval, Award, CommandClaims, KeyBudget, KeyCert, OnLineError, PaymentConsent, PointBatch, PointToken,
    PublicKey, Purpose, SecretKey, SpendCode, TillClaims, TillLimits, Typ, sign,
};
use tallyhouse::types::{
    AccountId, BrandId, Currency, Hash, Ident, Kid, Money, ParticipantId, PaymentId, Points, Rate, Time,
    UnitCode, b64, encode,
};

/// Parses an id, a date or the like that the test itself wrote.
pub fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap_or_else(|e| panic!("{text:?}: {e:?}"))
}

pub fn points(minor: u64) -> Points {
    Points::new(minor).expect("points above 2^53 - 1")
}

pub fn money(minor: u64) -> Money {
    Money::new(minor).expect("money above 2^53 - 1")
}

pub fn rate(num: u64, den: u64) -> Rate {
    Rate::new(num, den).expect("a price")
}

/// 2026-01-05T09:00:00Z: when the test network begins.
pub fn beginning() -> Time {
    id("2026-01-05T09:00:00Z")
}

/// A key pair.
pub struct Key {
    pub secret: SecretKey,
    pub public: PublicKey,
    pub kid: Kid,
}

impl Key {
    pub fn derive(seed: u64, label: &str) -> Self {
        let secret = SecretKey::from_seed(Hash::blake3(format!("{seed} {label}").as_bytes()).0);
        let public = secret.public();
        let kid = public.kid();
        Self { secret, public, kid }
    }
}

/// A till and where it stands.
pub struct Till {
    pub key: Key,
    pub store: Ident,
    pub till: Ident,
    pub participant: ParticipantId,
    /// Most money in a payment, an hour, a day.
    pub most: [Option<u64>; 3],
}

/// A brand and all its keys.
pub struct Brand {
    pub id: BrandId,
    pub participant: ParticipantId,
    pub root: Key,
    /// One for each of its units, in their order.
    pub issuing: Vec<Key>,
    pub tills: Vec<Till>,
    pub units: Vec<DefineUnit>,
    /// Of two people.
    pub approvers: Vec<Key>,
}

/// A holder's account of one unit.
pub struct Holder {
    pub account: AccountId,
    pub key: Key,
}

/// The whole cast.
pub struct World {
    pub seed: u64,
    pub genesis: Genesis,
    pub net: Hash,
    pub roots: Vec<Key>,
    pub log: Key,
    pub brands: Vec<Brand>,
    /// The operator's own participant, among those that founding registers.
    pub operator: ParticipantId,
    /// Whether statements are really signed; if not they carry 64 zero bytes, for
    /// `Command::read_unsigned`.
    pub signing: bool,
}

fn unit(
    code: &str,
    scale: u8,
    offset: i16,
    expiry: Expiry,
    pending_days: u32,
    grace_days: u32,
) -> DefineUnit {
    DefineUnit {
        notice: Some(Notice { change_days: 0, cut_days: 0 }),
        floor: None,
        offer_cap: None,
        unit: id(code),
        version: 1,
        scale,
        offset,
        expiry,
        pending_days,
        grace_days,
        issue_cap: None,
        min_spend: None,
    }
}

fn cast() -> Vec<(&'static str, &'static str, Vec<DefineUnit>)> {
    let harvest = unit("HARVEST", 0, 60, Expiry::Months { n: 12, round: Some(3) }, 0, 14);
    let kino = unit("KINO", 2, -300, Expiry::Days { n: 30, round: None }, 2, 0);
    let kinoplus = unit("KINOPLUS", 0, -300, Expiry::Days { n: 3, round: Some(1) }, 0, 3);
    let mut polar = unit("POLAR", 1, 840, Expiry::Yearly { month: 3, day: 31, least: 30 }, 0, 7);
    polar.min_spend = Some(points(5));
    polar.issue_cap = Some(points(100_000_000));
    let twin = unit("TWIN", 4, 0, Expiry::Never, 0, 0);
    vec![
        ("br_harvest", "pa_harvest", vec![harvest]),
        ("br_kino", "pa_kino", vec![kino, kinoplus]),
        ("br_polar", "pa_polar", vec![polar]),
        // Two brands of one legal entity: nothing is owed between them.
        ("br_twin", "pa_harvest", vec![twin]),
    ]
}

impl World {
    /// The cast for a seed, with real signatures.
    pub fn new(seed: u64) -> Self {
        let roots: Vec<Key> = (0..3).map(|n| Key::derive(seed, &format!("root {n}"))).collect();
        let log = Key::derive(seed, "log");
        let eur = CurrencySetting { code: id("EUR"), minor: 2, scale: 4 };
        let chf = CurrencySetting { code: id("CHF"), minor: 2, scale: 2 };
        let genesis = Genesis {
            nonce: b64(&Hash::blake3(&seed.to_be_bytes()).0),
            origin: "tally.test/world".into(),
            roots: roots.iter().map(|key| key.public).collect(),
            threshold: 2,
            log: log.public,
            currencies: vec![eur, chf],
            driven: true,
            live: false,
        };
        let brands = cast().into_iter().map(|(name, participant, units)| {
            let key = |label: String| Key::derive(seed, &format!("{name} {label}"));
            let till = |n: usize| Till {
                key: key(format!("till {n}")),
                store: id(&format!("store-{n}")),
                till: id(&format!("till-{n}")),
                // The second till of each brand stands in a franchisee's shop.
                participant: id(if n == 1 { "pa_franchise" } else { participant }),
                most: if n == 0 { [None; 3] } else { [Some(400_000), Some(3_000_000), Some(20_000_000)] },
            };
            Brand {
                id: id(name),
                participant: id(participant),
                root: key("root".into()),
                issuing: (0..units.len()).map(|n| key(format!("issuing {n}"))).collect(),
                tills: (0..2).map(till).collect(),
                approvers: (0..2).map(|n| key(format!("approver {n}"))).collect(),
                units,
            }
        });
        let (brands, operator, net) = (brands.collect(), id("pa_franchise"), genesis.net());
        Self { seed, net, genesis, roots, log, brands, operator, signing: true }
    }

    /// The same cast in a network on real time.
    pub fn real(seed: u64) -> Self {
        let world = Self::new(seed);
        let genesis = Genesis { driven: false, ..world.genesis };
        Self { net: genesis.net(), genesis, ..world }
    }

    /// The same cast, whose statements are not signed.
    pub fn unsigned(seed: u64) -> Self {
        Self { signing: false, ..Self::new(seed) }
    }

    /// The nth holder of a unit; whether the account was opened is another question.
    pub fn holder(&self, unit: UnitCode, n: usize) -> Holder {
        let key = Key::derive(self.seed, &format!("holder {unit} {n}"));
        Holder { account: AccountId::of(key.kid), key }
    }

    /// The brand that defines a unit, and the unit's place in it.
    pub fn brand_of(&self, unit: UnitCode) -> (&Brand, usize) {
        let found = self.brands.iter().find_map(|b| Some((b, b.units.iter().position(|u| u.unit == unit)?)));
        found.unwrap_or_else(|| panic!("nobody defines {unit}"))
    }

    /// All units.
    pub fn units(&self) -> impl Iterator<Item = &DefineUnit> {
        self.brands.iter().flat_map(|brand| &brand.units)
    }

    // Statements.

    /// Any payload under any type and key.
    pub fn statement(&self, key: &Key, typ: Typ, payload: &impl Serialize) -> String {
        let payload = encode(payload);
        if self.signing {
            return sign(&key.secret, typ, &payload);
        }
        let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, key.kid);
        format!("{}.{}.{}", b64(header.as_bytes()), b64(&payload), b64(&[0; 64]))
    }

    /// A `command+jwt`.
    pub fn command(&self, key: &Key, cid: &str, kind: &str, args: &impl Serialize) -> String {
        let args = String::from_utf8(encode(args)).expect("JSON is text");
        let args = RawValue::from_string(args).expect("JSON");
        self.statement(
            key,
            Typ::Command,
            &CommandClaims { aud: self.net, cid: id(cid), kind: kind.into(), args },
        )
    }

    /// An approval of a statement.
    pub fn approve(&self, key: &Key, statement: &str) -> String {
        let input = statement.rsplit_once('.').expect("three parts").0;
        let digest = Hash::sha256(input.as_bytes());
        self.statement(key, Typ::Approval, &Approval { aud: self.net, digest, iat: None })
    }

    /// A request of one statement.
    pub fn alone(&self, statement: String) -> Request {
        Request::of(vec![statement])
    }

    /// A command by the operator: signed by the first root, approved by the second.
    pub fn by_operator(&self, cid: &str, kind: &str, args: &impl Serialize) -> Request {
        let first = self.command(&self.roots[0], cid, kind, args);
        let second = self.approve(&self.roots[1], &first);
        Request::of(vec![first, second])
    }

    // One function for each kind of command.

    pub fn issuing_cert(&self, brand: &Brand, key: &Key, from: u64, until: Option<u64>) -> KeyCert {
        let (aud, owner) = (self.net, brand.id.to_string());
        KeyCert {
            aud,
            key: key.public,
            purpose: Purpose::Issuing,
            owner,
            from,
            until,
            till: None,
            held: None,
            person: None,
        }
    }

    pub fn till_cert(&self, brand: &Brand, till: &Till, from: u64, until: Option<u64>) -> KeyCert {
        let [once, hour, day] = till.most.map(|most| most.map(money));
        let limited = till.most.iter().any(Option::is_some);
        let terms = TillClaims {
            store: till.store.clone(),
            till: till.till.clone(),
            participant: till.participant.clone(),
            limits: limited.then(|| TillLimits { currency: id("EUR"), once, hour, day }),
        };
        let (aud, owner) = (self.net, brand.id.to_string());
        KeyCert {
            aud,
            key: till.key.public,
            purpose: Purpose::Till,
            owner,
            from,
            until,
            till: Some(terms),
            held: None,
            person: None,
        }
    }

    pub fn set_budget(&self, root: &Key, budget: &KeyBudget) -> Request {
        self.alone(self.statement(root, Typ::KeyBudget, budget))
    }

    /// A budget that a day's tests will not use up.
    pub fn budget(&self, key: Kid, unit: UnitCode, serial: u64) -> KeyBudget {
        let most = points(1_000_000_000_000);
        let until = beginning().seconds() + 10 * 365 * 86_400;
        KeyBudget {
            aud: self.net,
            key,
            unit,
            serial,
            ceiling: most,
            hourly: most,
            until,
            backfill: None,
            sponsored: None,
        }
    }

    pub fn define_unit(&self, root: &Key, cid: &str, args: &DefineUnit) -> Request {
        self.alone(self.command(root, cid, "unit.define", args))
    }

    pub fn publish_prices(&self, root: &Key, cid: &str, args: &PublishPrices) -> Request {
        self.alone(self.command(root, cid, "prices.publish", args))
    }

    /// Plain prices: a point's minor unit is worth 2.5, 2.0 and 1.9 thousandths at home, at tills and in
    /// settlement.
    pub fn prices(&self, unit: UnitCode, version: u64, currency: Currency, from: u64) -> PublishPrices {
        let (home, till, settle, issue) = (rate(25, 1), rate(20, 1), rate(19, 1), rate(21, 1));
        PublishPrices {
            settle_for: None,
            issue_for: None,
            verifiable_until: None,
            reason: None,
            unit,
            version,
            currency,
            from,
            until: None,
            home,
            till,
            settle,
            issue,
        }
    }

    pub fn publish_acceptance(&self, root: &Key, cid: &str, args: &PublishAcceptance) -> Request {
        self.alone(self.command(root, cid, "acceptance.publish", args))
    }

    /// The holder opens an account with its own key.
    pub fn open_account(&self, cid: &str, unit: UnitCode, holder: &Holder) -> Request {
        let args = OpenAccount { account: holder.account, unit, key: holder.key.public };
        self.alone(self.command(&holder.key, cid, "account.open", &args))
    }

    /// The brand opens an account for a holder, or gives an account that an award opened its key.
    pub fn open_account_by_brand(
        &self,
        cid: &str,
        issuing: &Key,
        unit: UnitCode,
        holder: &Holder,
    ) -> Request {
        let args = OpenAccount { account: holder.account, unit, key: holder.key.public };
        let first = self.command(issuing, cid, "account.open", &args);
        let proof = self.approve(&holder.key, &first);
        let vouched = self.approve(&self.brand_of(unit).0.root, &first);
        Request::of(vec![first, proof, vouched])
    }

    pub fn revoke_key(&self, root: &Key, cid: &str, key: Kid, state: KeyState) -> Request {
        self.alone(self.command(root, cid, "key.revoke", &RevokeKey { key, state }))
    }

    pub fn revoke_account_key(&self, root: &Key, cid: &str, key: Kid, state: KeyState) -> Request {
        self.alone(self.command(root, cid, "account.key_revoke", &RevokeKey { key, state }))
    }

    pub fn erase(&self, cid: &str, entry: u64, part: u16, leaf: Hash) -> Request {
        let args = EraseEvidence { entry, part, leaf, reason: id("holder-asked") };
        self.by_operator(cid, "evidence.erase", &args)
    }

    pub fn freeze_network(&self, cid: &str, frozen: bool) -> Request {
        self.by_operator(cid, "network.freeze", &FreezeNetwork { frozen })
    }

    pub fn freeze_brand(&self, cid: &str, brand: &BrandId, frozen: bool) -> Request {
        self.by_operator(cid, "brand.freeze", &FreezeBrand { brand: brand.clone(), frozen })
    }

    pub fn freeze_unit(&self, cid: &str, unit: UnitCode, frozen: bool) -> Request {
        self.by_operator(cid, "unit.freeze", &FreezeUnit { unit, frozen })
    }

    pub fn freeze_account(&self, key: &Key, cid: &str, account: AccountId, frozen: bool) -> Request {
        self.alone(self.command(key, cid, "account.freeze", &FreezeAccount { account, frozen }))
    }

    /// A token with nothing but what it must have, good for an hour from `now`.
    pub fn token(
        &self,
        brand: &Brand,
        unit: UnitCode,
        jti: &str,
        sub: AccountId,
        amount: u64,
        now: Time,
    ) -> PointToken {
        PointToken {
            aud: self.net,
            iss: brand.id.clone(),
            jti: id(jti),
            unit,
            iat: None,
            exp: now.seconds() + 3_600,
            sub,
            amount: points(amount),
            reference: None,
            store: None,
            till: None,
            occurred_at: None,
            business_date: None,
            reason: None,
            campaign: None,
            until: None,
            from: None,
            lines: None,
            sale: None,
        }
    }

    pub fn issue(&self, key: &Key, token: &PointToken) -> Request {
        self.alone(self.statement(key, Typ::PointToken, token))
    }

    /// The claims that fit a batch's lines.
    pub fn batch(
        &self,
        brand: &Brand,
        unit: UnitCode,
        jti: &str,
        lines: &[Vec<u8>],
        skip: bool,
        now: Time,
    ) -> PointBatch {
        let amounts = lines.iter().filter_map(|line| serde_json::from_slice::<Award>(line).ok());
        let total = amounts.fold(0, |sum, award| sum + award.amount.get());
        let leaves: Vec<Hash> = lines.iter().map(|line| leaf_hash(line)).collect();
        PointBatch {
            aud: self.net,
            iss: brand.id.clone(),
            jti: id(jti),
            unit,
            iat: None,
            exp: now.seconds() + 3_600,
            count: lines.len() as u64,
            total: points(total),
            root: root_of(&leaves),
            on_line_error: if skip { OnLineError::Skip } else { OnLineError::Reject },
        }
    }

    pub fn issue_batch(&self, key: &Key, claims: &PointBatch, lines: &[Vec<u8>]) -> Request {
        let text: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
        Request {
            jws: vec![self.statement(key, Typ::PointBatch, claims)],
            lines: Some(Arc::from(text)),
            http: None,
        }
    }

    pub fn consent(&self, holder: &Key, claims: &PaymentConsent) -> String {
        self.statement(holder, Typ::PaymentConsent, claims)
    }

    /// What a holder's phone shows.
    pub fn code(&self, holder: &Key, claims: &SpendCode) -> String {
        self.statement(holder, Typ::SpendCode, claims)
    }

    /// A till opens a consent with a code; `codes` as made by [`World::code`].
    pub fn open_consent(&self, till: &Key, cid: &str, args: &OpenConsent, codes: Vec<String>) -> Request {
        let first = self.command(till, cid, "consent.open", args);
        Request::of([vec![first], codes].concat())
    }

    /// A till asks to hold points; `consents` as made by [`World::consent`].
    pub fn authorise(&self, till: &Key, cid: &str, args: &Authorise, consents: Vec<String>) -> Request {
        let first = self.command(till, cid, "payment.authorise", args);
        Request::of([vec![first], consents].concat())
    }

    pub fn capture(&self, till: &Key, cid: &str, payment: PaymentId, amount: u64, last: bool) -> Request {
        let args = Capture { payment, amount: money(amount), last };
        self.alone(self.command(till, cid, "payment.capture", &args))
    }

    pub fn void(&self, till: &Key, cid: &str, payment: PaymentId) -> Request {
        self.alone(self.command(till, cid, "payment.void", &Void { payment }))
    }

    pub fn refund(&self, till: &Key, cid: &str, payment: PaymentId, amount: u64) -> Request {
        self.alone(self.command(till, cid, "payment.refund", &Refund { payment, amount: money(amount) }))
    }

    /// What founds the network after genesis: participants, brands, units, keys, budgets, prices,
    /// acceptance. Every request succeeds, in this order.
    pub fn founding(&self) -> Vec<Request> {
        let (now, eur) = (beginning().seconds(), id("EUR"));
        let mut all = vec![];
        for name in ["pa_harvest", "pa_kino", "pa_polar", "pa_franchise"] {
            all.push(self.register_participant(&format!("found-{name}"), &id(name), eur));
        }
        all.extend(
            self.brands.iter().map(|brand| self.register_brand(&format!("found-{}", brand.id), brand)),
        );
        for brand in &self.brands {
            for (unit, key) in brand.units.iter().zip(&brand.issuing) {
                all.push(self.define_unit(&brand.root, &format!("found-{}", unit.unit), unit));
                all.push(self.certify(&brand.root, key, &self.issuing_cert(brand, key, now, None)));
                all.push(self.set_budget(&brand.root, &self.budget(key.kid, unit.unit, 1)));
                let prices = self.prices(unit.unit, 1, eur, now);
                all.push(self.publish_prices(&brand.root, &format!("found-price-{}", unit.unit), &prices));
            }
            for till in &brand.tills {
                all.push(self.certify(&brand.root, &till.key, &self.till_cert(brand, till, now, None)));
            }
        }
        for brand in &self.brands {
            let others = self.units().filter(|unit| brand.units.iter().all(|own| own.unit != unit.unit));
            let listed = |unit: &DefineUnit| AcceptedUnit { unit: unit.unit, per_day: None };
            let units = others.map(listed).collect();
            let exchange = brand.units.iter().zip(&brand.issuing).map(|(own, key)| ExchangeAccepted {
                into: own.unit,
                budget: key.kid,
                units: self.units().filter(|unit| unit.unit != own.unit).map(listed).collect(),
            });
            let exchange = Some(exchange.collect());
            let args = PublishAcceptance { from: None, brand: brand.id.clone(), version: 1, units, exchange };
            all.push(self.publish_acceptance(&brand.root, &format!("found-accept-{}", brand.id), &args));
        }
        all
    }
}
