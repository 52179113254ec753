//! An attempt to link: everything that a brand can reach, read with all of its credentials, and what must not be
//! found there.

use super::scene::{award, harvest, open, pay};
use crate::common::http::{Ask, Server};
use crate::common::world::{beginning, id};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tallyhouse::machine::{Method, Role, Route};
use tallyhouse::types::{AccountId, UnitCode, b64, b64_decode};
use tallyhouse::vault::Whom;

/// A story with two brands in it: what each of them knows of the same people.
struct Story {
    server: Server,
    kino: UnitCode,
    /// Every account of the network.
    accounts: Vec<AccountId>,
    wallets: Vec<String>,
    payments: Vec<String>,
    /// What may be seen by br_kino, by holders and by the operator, and by nobody else.
    hidden: Vec<String>,
}

fn story() -> Story {
    let server = Server::founded(9);
    let kino: UnitCode = id("KINOPLUS");
    let (mut accounts, mut wallets, mut payments, mut hidden) = (vec![], vec![], vec![], vec![]);
    let vault = &server.service().vault;
    for n in 0..3 {
        // A person with a wallet: an account of each brand, found by either brand under the same number.
        let alias = format!("member-{n}@mail.example");
        let wallet = vault.create_wallets(std::slice::from_ref(&alias)).expect("a wallet")[0];
        let own = vault.ensure_accounts(&[(wallet, harvest()), (wallet, kino)]).expect("accounts");
        hidden.extend([alias, wallet.to_string(), own[1].to_string()]);
        wallets.push(wallet.to_string());
        for (unit, account) in [(harvest(), own[0]), (kino, own[1])] {
            let (brand, at) = server.world.brand_of(unit);
            let jti = format!("token-of-{unit}-{n}");
            let mut token = server.world.token(brand, unit, &jti, account, 500, beginning());
            token.reference = Some(id(&format!("receipt-of-{unit}-{n}")));
            server.submit("/v1/tokens", &server.world.issue(&brand.issuing[at], &token)).expect(201);
            accounts.push(account);
        }
        hidden.extend([format!("token-of-KINOPLUS-{n}"), format!("receipt-of-KINOPLUS-{n}")]);
        // And somebody who holds keys.
        for unit in [harvest(), kino] {
            let holder = open(&server, unit, n);
            award(&server, unit, n, 5_000);
            accounts.push(holder.account);
            if unit == kino {
                hidden.extend([
                    holder.account.to_string(),
                    holder.key.kid.to_string(),
                    b64(holder.key.public.as_bytes()),
                ]);
            }
        }
        payments.push(pay(&server, 1, kino, n, 50, n == 0));
        payments.push(pay(&server, 1, harvest(), n, 200, true));
        payments.push(pay(&server, 0, harvest(), n, 100, true));
    }
    Story { server, kino, accounts, wallets, payments, hidden }
}

/// Every path that can be read, with everything that a reader could put into it.
fn everything(story: &Story) -> Vec<String> {
    let Story { server, accounts, wallets, payments, .. } = story;
    let world = &server.world;
    let size = server.service().engine().progress().committed;
    let texts = |list: &[&dyn std::fmt::Display]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let kids = world.brands.iter().flat_map(|brand| {
        let tills = brand.tills.iter().map(|till| &till.key);
        std::iter::once(&brand.root).chain(&brand.issuing).chain(tills).map(|key| key.kid.to_string())
    });
    let kids: Vec<String> =
        kids.chain((0..3).map(|n| world.holder(story.kino, n).key.kid.to_string())).collect();
    let values = |name: &str| -> Vec<String> {
        match name {
            "{brand}" => world.brands.iter().map(|brand| brand.id.to_string()).collect(),
            "{participant}" => texts(&[&"pa_harvest", &"pa_kino", &"pa_polar", &"pa_franchise"]),
            "{kid}" => kids.clone(),
            "{unit}" => world.units().map(|unit| unit.unit.to_string()).collect(),
            "{seq}" => (0..size).map(|seq| seq.to_string()).collect(),
            "{account}" => accounts.iter().map(ToString::to_string).collect(),
            "{payment}" => payments.clone(),
            "{wallet}" => wallets.clone(),
            "{path...}" => (0..size)
                .map(|n| format!("entries/000.p/{n}"))
                .chain(["0/000".into(), format!("0/000.p/{size}")])
                .collect(),
            _ => vec!["app_00000000000000000000000000".into(), "ak_00000000000000000000000000".into()],
        }
    };
    let mut paths = vec![];
    for route in Route::ALL.iter().filter(|route| route.method == Method::Get && route.id != "getDocs") {
        let mut all = vec![route.path.to_owned()];
        while let Some(start) = all[0].find('{') {
            let name = all[0][start..=all[0].find('}').expect("closed")].to_owned();
            all = all
                .iter()
                .flat_map(|path| values(&name).into_iter().map(|v| path.replace(&name, &v)))
                .collect();
        }
        paths.extend(all);
    }
    let lists = [
        "/v1/entries?limit=1000",
        "/v1/events?limit=1000",
        "/v1/payments?limit=1000",
        "/v1/payments?brand=br_kino",
    ];
    paths.extend(lists.map(str::to_owned));
    let past = accounts.iter().flat_map(|account| {
        [format!("/v1/accounts/{account}?as_of=9999"), format!("/v1/accounts/{account}/movements?limit=1000")]
    });
    paths.extend(past);
    paths
}

/// A text with everything that is written in base64 in it, read.
fn unfolded(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let mut rest = text.clone();
    for _ in 0..3 {
        let words = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let read: Vec<Vec<u8>> =
            words.filter(|word| word.len() > 20).filter_map(|word| b64_decode(word).ok()).collect();
        rest = read.iter().map(|bytes| String::from_utf8_lossy(bytes) + "\n").collect();
        text.push_str(&rest);
    }
    text
}

#[test]
fn a_brand_finds_nothing_of_another_ones_holders() {
    let story = story();
    let Story { server, hidden, .. } = &story;
    let brand = &server.world.brands[0];
    let secrets = [Role::BrandAdmin, Role::BrandFinance, Role::Till]
        .map(|role| server.api_key(Whom::Brand(brand.id.clone()), role));
    let keys = [&brand.root, &brand.issuing[0], &brand.tills[0].key, &brand.tills[1].key];
    let (mut found, mut own) = (BTreeSet::new(), false);
    let ours = server.world.holder(harvest(), 0).account.to_string();
    let mut answers = 0;
    for path in everything(&story) {
        let asks = std::iter::once(Ask::get(path.as_str()))
            .chain(secrets.iter().map(|secret| Ask::get(path.as_str()).key(secret)))
            .chain(keys.iter().map(|key| server.signed_get(key, &path)));
        for ask in asks {
            let reply = server.ask(&ask);
            assert!(reply.status < 500, "{path}: {}", reply.text());
            answers += usize::from(reply.status == 200);
            let headers: String =
                reply.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let text = headers + &unfolded(&reply.body);
            own |= text.contains(&ours);
            let seen = hidden.iter().filter(|hidden| text.contains(hidden.as_str()));
            found.extend(seen.map(|hidden| format!("{hidden} at {path} ({})", reply.status)));
        }
    }
    assert!(own && answers > 500, "the test reads too little to find anything: {answers} answers");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_public_finds_no_holder_at_all() {
    let story = story();
    let Story { server, accounts, hidden, .. } = &story;
    let kids = (0..3).map(|n| server.world.holder(harvest(), n).key.kid.to_string());
    let hidden: Vec<String> =
        accounts.iter().map(ToString::to_string).chain(hidden.iter().cloned()).chain(kids).collect();
    let mut found = BTreeSet::new();
    for path in everything(&story) {
        let reply = server.get(&path);
        let text = unfolded(&reply.body);
        let seen = hidden.iter().filter(|hidden| text.contains(hidden.as_str()));
        found.extend(seen.map(|hidden| format!("{hidden} at {path}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn looking_members_up_tells_nothing_of_other_brands() {
    let story = story();
    let Story { server, kino, accounts, .. } = &story;
    let key = |brand: &str| server.api_key(Whom::Brand(id(brand)), Role::BrandFinance);
    let (a, b) = (key("br_harvest"), key("br_kino"));
    let resolve = |secret: &str, alias: &str, unit: UnitCode| {
        let body = json!({"alias": alias, "unit": unit, "everywhere": true});
        server.ask(&Ask::post("/v1/accounts:resolve").key(secret).json(&body))
    };
    let shape = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    // A number that nobody has, one that only the other brand has, one that a person has: the same answers.
    let theirs = resolve(&b, "k-77", *kino).expect(200);
    let mut seen = BTreeSet::new();
    for alias in ["nobody", "k-77", "member-0@mail.example", "member-1@mail.example"] {
        let first = resolve(&a, alias, harvest());
        let (body, again) = (first.expect(200), resolve(&a, alias, harvest()).expect(200));
        assert_eq!((&body, shape(&body)), (&again, shape(&theirs)), "{alias}");
        let account: AccountId = id(body["account"].as_str().expect("an account"));
        assert_ne!(body["account"], theirs["account"]);
        assert!(!accounts.iter().skip(1).step_by(2).any(|kino| *kino == account));
        assert!(seen.insert(account), "{alias} has the account of somebody else");
        let names: Vec<&str> = first.headers.iter().map(|(name, _)| name.as_str()).collect();
        let headers = resolve(&a, "another", harvest()).headers;
        assert_eq!(names, headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        resolve(&a, alias, *kino).refused(403, "not_yours");
    }
}

#[test]
fn a_name_that_the_operator_gives_takes_no_brands_card() {
    let server = Server::founded(9);
    let kino: UnitCode = id("KINOPLUS");
    let (root, service) = (&server.world.roots[0], server.api_key(Whom::Operator, Role::Operator));
    let keys = ["br_harvest", "br_kino"].map(|brand| server.api_key(Whom::Brand(id(brand)), Role::Till));
    let resolve = |at: usize, alias: &str, everywhere: bool| -> AccountId {
        let unit = [harvest(), kino][at];
        let body = json!({"alias": alias, "unit": unit, "everywhere": everywhere});
        let found = server.ask(&Ask::post("/v1/accounts:resolve").key(&keys[at]).json(&body)).expect(200);
        id(found["account"].as_str().expect("an account"))
    };
    // A card of harvest that somebody has, one that nobody has yet, and a name that is no card.
    let known = resolve(0, "card-1", false);
    let made = Ask::post("/v1/wallets").key(&service).json(&json!({"alias": "card-1"}));
    let made = server.ask(&made).expect(201)["wallet"].as_str().expect("an id").to_owned();
    let aliases = format!("/v1/wallets/{made}/aliases");
    for alias in ["card-2", "ana@mail.example"] {
        let ask = server.signed_post(root, &aliases, &server.fresh("alias"), &json!({"alias": alias}));
        server.ask(&ask).expect(201);
    }
    let wallet = made.parse().expect("a wallet");
    let accounts = server.service().vault.ensure_accounts(&[(wallet, harvest()), (wallet, kino)]);
    let accounts = accounts.expect("accounts");
    // The brands' cards are whoever's they say, each brand its own; asked for everywhere as well.
    let cards = [resolve(0, "card-2", false), resolve(1, "card-2", false), known];
    assert!(cards.iter().all(|card| !accounts.contains(card)), "{cards:?}");
    assert_eq!([resolve(0, "card-2", true), resolve(1, "card-2", true), resolve(0, "card-1", true)], cards);
    // A name holds everywhere where a brand takes the operator's word for it.
    for (at, account) in accounts.iter().enumerate() {
        assert_eq!(resolve(at, "ana@mail.example", true), *account);
    }
    assert_ne!(resolve(0, "ana@mail.example", false), accounts[0]);
}
