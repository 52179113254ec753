//! The sandbox: what somebody needs who plays with the demo's network over HTTP.
//!
//! Owns: which keys the network holds for one of the brands, which of its tills may give points, which API keys there
//! are, and the commands that the demo prints.
//! Promises: held keys are certified, capped and budgeted by ordinary entries, and so is the till; each printed command works as it
//! stands, on the network as the demo left it.
//! Refuses to know: how the network is served.

use super::cast::{Brand, Cast};
use super::safe::Safe;
use crate::app::Pen;
use crate::clock;
use crate::engine::Engine;
use crate::machine::{Request, Role};
use crate::sign::{HeldCaps, KeyBudget, KeyCert, Purpose, TillClaims, TillLimits, Typ, sign};
use crate::types::{AccountId, Ident, Money, Points, Time, encode};
use crate::vault::{HeldKey, Holder, NewApiKey, WalletId, Whom};
use serde::Serialize;

/// The brand that plays, if it stands in the receipts.
const BRAND: &str = "HARVEST";
/// The file that keeps the API keys, under `keys`.
pub const FILE: &str = "sandbox.txt";
/// A year, in seconds.
const YEAR: u64 = 365 * 86_400;
/// Most whole points that the held key may give one account in a day, all in a day, and ever. A network on its
/// own time stands still between commands: a day lasts until somebody moves it on.
const POINTS: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Most money's worth of points that the held till may take from one account in a day, at once, and in a day,
/// in the currency's minor unit.
const MONEY: [u64; 3] = [10_000, 20_000, 1_000_000];
/// Whole points of the payment that is printed, at the most.
const PAYS: u64 = 50;

/// An API key.
#[derive(Clone, Serialize)]
pub struct ApiKey {
    /// Its role.
    pub role: &'static str,
    /// Whose it is.
    pub whom: String,
    /// The key itself.
    pub key: String,
    /// What for, for people.
    pub purpose: String,
}

/// A member's account that can pay, and where.
#[derive(Clone, Serialize)]
pub struct Bill {
    wallet: WalletId,
    payee: String,
    till: String,
    amount: Money,
    points: Points,
    deadline: u64,
}

/// See the module.
#[derive(Clone, Serialize)]
pub struct Sandbox {
    /// The API keys.
    pub keys: Vec<ApiKey>,
    brand: String,
    unit: String,
    currency: String,
    /// A till that gives points, by the name of its key.
    till: Option<String>,
    account: Option<AccountId>,
    bill: Option<Bill>,
    /// How many commands it took.
    #[serde(skip)]
    pub commands: u64,
}

/// Where it is served, for its commands.
pub struct Served {
    /// How the program is called.
    pub program: String,
    /// The address.
    pub url: String,
    /// What else the program must be told: the address and the folder, where they are not the usual ones.
    pub address: String,
    /// The folder.
    pub data: String,
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn whole(points: u64, scale: u8) -> u64 {
    points.saturating_mul(10u64.pow(u32::from(scale)))
}

/// The member with the most points of a brand, and how many that are.
struct Rich {
    name: String,
    wallet: WalletId,
    account: AccountId,
    available: Points,
}

impl Sandbox {
    /// Lets the network hold keys for a brand, and makes API keys. `now` is the network's own time.
    pub fn make(engine: &Engine, cast: &Cast<'_>, safe: &Safe, now: Time) -> Result<Self, String> {
        let named = cast.brands.iter().position(|brand| brand.terms.name == BRAND);
        let at = named.unwrap_or(0);
        let brand = cast.brand(at)?;
        let id = &brand.terms.id;
        let mut commands = 0;
        let till = brand.tills.keys().min();
        let held = held_keys(cast, brand, safe, now)?.into_iter();
        for request in held.chain(till.map(|store| till_budget(cast, brand, store, now)).transpose()?) {
            engine.ask(&request, Some(now)).map_err(text)?;
            commands += 1;
        }
        let rich = richest(engine, cast, at, now)?;
        let mut keys = vec![];
        let mut key = |whom: Whom, role: Role, purpose: String| -> Result<(), String> {
            let at = clock::now();
            let (role, scopes, expires) = (role.code().to_owned(), vec![], at.plus_seconds(YEAR));
            let name = format!("sandbox: {purpose}");
            let shown = whom.to_string();
            let wanted = NewApiKey { whom, role, scopes, name, expires, live: false };
            let (made, key) = safe.vault().create_api_key(wanted, at).map_err(text)?;
            let role = made.role.parse::<Role>().map_err(text)?.code();
            keys.push(ApiKey { role, whom: shown, key, purpose });
            Ok(())
        };
        key(Whom::Brand(id.clone()), Role::BrandAdmin, "awards, payments, reads".into())?;
        key(
            Whom::Brand(id.clone()),
            Role::Till,
            "awards and payments, as a shop's own system has it".into(),
        )?;
        if let Some(rich) = &rich {
            let purpose = format!("member {} reads what is theirs", rich.name);
            key(Whom::Wallet(rich.wallet), Role::Consumer, purpose)?;
        }
        key(Whom::Operator, Role::Auditor, "reads everything".into())?;
        let sandbox = Self {
            keys,
            brand: id.to_string(),
            unit: brand.terms.unit.to_string(),
            currency: cast.terms.network.currency.to_string(),
            till: till.map(|store| super::safe::till_name(store).to_string()),
            account: rich.as_ref().map(|rich| rich.account),
            bill: rich.as_ref().and_then(|rich| bill(cast, at, rich, now)),
            commands,
        };
        safe.keep_note(FILE, &sandbox.note())?;
        Ok(sandbox)
    }

    /// What the file says: a key a line, behind its role and its owner.
    fn note(&self) -> String {
        let mut note =
            String::from("# API keys of this sandbox, where points are worth nothing: role, whose, key\n");
        for key in &self.keys {
            note.push_str(&format!("{} {} {}\n", key.role, key.whom, key.key));
        }
        note
    }

    fn key(&self, role: Role) -> &str {
        self.keys.iter().find(|key| key.role == role.code()).map_or("", |key| &key.key)
    }

    /// Commands that somebody may copy, each with what it does.
    pub fn commands(&self, served: &Served) -> Vec<(&'static str, String)> {
        let Served { program, url, address, .. } = served;
        let mut all = vec![("what is public", format!("curl -sS {url}/v1/network"))];
        let admin = self.key(Role::BrandAdmin);
        if let Some(account) = self.account {
            all.push((
                "a balance, with an API key",
                format!("curl -sS -H 'authorization: Bearer {admin}' {url}/v1/accounts/{account}"),
            ));
            all.push((
                "points for a purchase: the network signs with a key that it holds for the brand",
                format!(
                    "curl -sS -H 'authorization: Bearer {admin}' -H 'content-type: application/json' \\\n    \
                     -H 'idempotency-key: first-award' {url}/v1/awards \\\n    \
                     -d '{{\"iss\":\"{}\",\"unit\":\"{}\",\"sub\":\"{account}\",\"amount\":25}}'",
                    self.brand, self.unit
                ),
            ));
        }
        if let (Some(account), Some(till)) = (self.account, &self.till) {
            let (brand, unit) = (&self.brand, &self.unit);
            all.push((
                "points at a till, on its own: its key signs, within the budget that its brand's root gave it",
                format!(
                    "{program} sign POST /v1/awards --as {brand}/{till}{address} --id first-at-the-till \\\n    \
                     --body '{{\"iss\":\"{brand}\",\"unit\":\"{unit}\",\"sub\":\"{account}\",\"amount\":5}}' | sh"
                ),
            ));
        }
        if let Some(bill) = &self.bill {
            let Bill { wallet, payee, till, amount, points, deadline } = bill;
            let (unit, currency) = (&self.unit, &self.currency);
            all.push((
                "a payment at another brand's till: its key signs, and the member's key consents",
                format!(
                    "{program} sign POST /v1/payments --as {payee}/{till}{address} --id first-payment \\\n    \
                     --body '{{\"amount\":{amount},\"currency\":\"{currency}\",\"deadline\":{deadline},\"capture\":true}}' \\\n    \
                     --consent \"$({program} sign consent --as {wallet}/{unit}{data} --payee {payee} \\\n    \
                     --payment first-payment --amount {amount} --currency {currency} --points {points})\" | sh",
                    data = served.folder(),
                ),
            ));
            all.push((
                "a code on the member's phone opens a consent at that till; what is paid under it needs the till's key alone",
                format!(
                    "CONSENT=$({program} sign POST /v1/consents --as {payee}/{till}{address} --id first-code \\\n    \
                     --body '{{\"code\":\"first-code\"}}' --consent \"$({program} sign code --as {wallet}/{unit}{data} \\\n    \
                     --most {amount} --currency {currency} --id first-code)\" | sh | grep -o 'con_[0-9.]*') && \\\n    \
                     {program} sign POST /v1/payments --as {payee}/{till}{address} --id paid-by-code \\\n    \
                     --body '{{\"amount\":{amount},\"currency\":\"{currency}\",\"deadline\":{deadline},\"capture\":true,\
                     \"under\":[{{\"consent\":\"'\"$CONSENT\"'\",\"amount\":{amount}}}]}}' | sh",
                    data = served.folder(),
                ),
            ));
        }
        all
    }
}

impl Served {
    /// The folder as an option, where it is not the usual one.
    fn folder(&self) -> String {
        if self.data == "./data/demo" { String::new() } else { format!(" --data '{}'", self.data) }
    }

    /// Of a folder that is served at an address.
    pub fn new(program: String, url: &str, data: String) -> Self {
        let mut served = Self { program, url: url.to_owned(), address: String::new(), data };
        let url = if url == "http://127.0.0.1:8710" { String::new() } else { format!(" --url {url}") };
        served.address = url + &served.folder();
        served
    }
}

/// Lets a till of a brand give points, a hundredth of what the held key may.
fn till_budget(cast: &Cast<'_>, brand: &Brand, store: &Ident, now: Time) -> Result<Request, String> {
    let till = brand.tills.get(store).ok_or("a shop without a till")?;
    let [_, day, ceiling] = POINTS.map(|points| Points::new(whole(points / 100, brand.terms.scale)));
    let (ceiling, hourly) = ceiling.zip(day).ok_or("more points than 2^53 - 1")?;
    let (aud, key, unit) = (cast.pen.net, till.key.public().kid(), brand.terms.unit);
    let until = now.plus_seconds(YEAR).seconds();
    let budget =
        KeyBudget { aud, key, unit, serial: 1, ceiling, hourly, until, backfill: None, sponsored: None };
    Ok(cast.pen.budget(&brand.keys.root, &budget))
}

/// The entries that let the network's keys write for a brand: two certificates and a budget.
fn held_keys(cast: &Cast<'_>, brand: &Brand, safe: &Safe, now: Time) -> Result<[Request; 3], String> {
    let (pen, terms) = (cast.pen, &brand.terms);
    let [account, day, ceiling] = POINTS.map(|points| whole(points, terms.scale));
    let issuing = hold(brand, safe, Purpose::Issuing)?;
    let caps = HeldCaps { per_account_day: account, per_day: day };
    let issuer = certified(pen, brand, safe, &issuing, caps, now, None)?;
    let points = |n| Points::new(n).ok_or("more points than 2^53 - 1");
    let until = now.plus_seconds(YEAR).seconds();
    let (aud, key, unit) = (pen.net, issuing.kid, terms.unit);
    let (ceiling, hourly) = (points(ceiling)?, points(day)?);
    let budget =
        KeyBudget { aud, key, unit, serial: 1, ceiling, hourly, until, backfill: None, sponsored: None };
    let money = |minor| cast.terms.money(minor).ok_or("more money than 2^53 - 1");
    let [account, once, day] = MONEY.map(money);
    let (once, day) = (once?, day?);
    let place: Ident = "sandbox".parse().map_err(text)?;
    let currency = cast.terms.network.currency;
    let limits = TillLimits { currency, once: Some(once), hour: Some(day), day: Some(day) };
    let (store, participant) = (place.clone(), terms.participant.clone());
    let till = TillClaims { store, till: place, participant, limits: Some(limits) };
    let caps = HeldCaps { per_account_day: account?.get(), per_day: day.get() };
    let at_till = hold(brand, safe, Purpose::Till)?;
    let at_till = certified(pen, brand, safe, &at_till, caps, now, Some(till))?;
    Ok([issuer, pen.budget(&brand.keys.root, &budget), at_till])
}

fn hold(brand: &Brand, safe: &Safe, purpose: Purpose) -> Result<HeldKey, String> {
    safe.vault().hold_key(Holder::Brand(brand.terms.id.clone()), purpose, clock::now()).map_err(text)
}

/// The brand's root certifies a key that the network holds, which proves that the network has it.
fn certified(
    pen: Pen,
    brand: &Brand,
    safe: &Safe,
    held: &HeldKey,
    caps: HeldCaps,
    now: Time,
    till: Option<TillClaims>,
) -> Result<Request, String> {
    let signer = safe.vault().signer(held.kid).map_err(text)?.ok_or("a key that the vault does not hold")?;
    let cert = KeyCert {
        aud: pen.net,
        key: held.key,
        purpose: held.purpose,
        owner: brand.terms.id.to_string(),
        from: now.seconds(),
        until: None,
        till,
        held: Some(caps),
        person: None,
    };
    Ok(pen.approved(sign(&brand.keys.root, Typ::KeyCert, &encode(&cert)), &[signer.secret()]))
}

fn richest(engine: &Engine, cast: &Cast<'_>, brand: usize, now: Time) -> Result<Option<Rich>, String> {
    let mut best: Option<Rich> = None;
    let mut members: Vec<_> = cast.members.iter().collect();
    members.sort_by(|a, b| a.0.cmp(b.0));
    for (name, member) in members {
        for purse in member.purses.iter().filter(|purse| purse.brand == brand) {
            let account =
                engine.account(purse.account).map_err(text)?.ok_or("an account that is not there")?;
            let available = account.available(now);
            if best.as_ref().is_none_or(|best| available > best.available) {
                let (name, wallet, account) = (name.clone(), member.wallet, purse.account);
                best = Some(Rich { name, wallet, account, available });
            }
        }
    }
    Ok(best)
}

/// A bill in another brand's shop that the member can pay with some of the points; whole in the currency's
/// minor unit.
fn bill(cast: &Cast<'_>, issuer: usize, rich: &Rich, now: Time) -> Option<Bill> {
    let terms = &cast.brand(issuer).ok()?.terms;
    let [_, rate, ..] = terms.prices;
    let most = rich.available.get().min(whole(PAYS, terms.scale));
    let minor = cast.terms.money(1)?.get();
    let amount = rate.money_floor(Points::new(most)?)?.get() / minor * minor;
    let amount = Money::new(amount).filter(|amount| !amount.is_zero())?;
    let points = rate.points_ceil(amount)?;
    if points > rich.available || terms.min_spend.is_some_and(|least| points < least) {
        return None;
    }
    let takes =
        |at: &usize, brand: &Brand| *at != issuer && brand.terms.accepts(terms) && !brand.tills.is_empty();
    let (_, shop) = cast.brands.iter().enumerate().find(|(at, brand)| takes(at, brand))?;
    let store = shop.tills.keys().min()?;
    Some(Bill {
        wallet: rich.wallet,
        payee: shop.terms.id.to_string(),
        till: super::safe::till_name(store).to_string(),
        amount,
        points,
        deadline: now.plus_seconds(600).seconds(),
    })
}
