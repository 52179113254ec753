//! What is seen of the log: no more than scope and owner allow, whatever door it is asked for at.

use super::scene::{award_json, award_message, harvest, held_issuing, open, token};
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::{Holder, beginning, id, money, points};
use serde_json::{Value, json};
use tallyhouse::machine::Role;
use tallyhouse::payments::OpenConsent;
use tallyhouse::sign::SpendCode;
use tallyhouse::vault::{NewApiKey, WalletId, Whom};

/// An API key that may not all that its role may.
fn limited(server: &Server, whom: Whom, role: Role, scopes: &[&str]) -> String {
    let now = tallyhouse::clock::now();
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let (role, name, expires) = (role.code().to_owned(), "limited".to_owned(), now.plus_seconds(600));
    let new = NewApiKey { whom, role, scopes, name, expires, live: false };
    server.service().vault.create_api_key(new, now).expect("a key").1
}

/// A wallet with an account of HARVEST that the brand opened, with a key of the holder's.
fn member(server: &Server, n: usize) -> (WalletId, Holder) {
    let (vault, world) = (&server.service().vault, &server.world);
    let wallet = vault.create_wallet().expect("a wallet");
    let account = vault.ensure_accounts(&[(wallet, harvest())]).expect("an account")[0];
    let holder = Holder { account, ..world.holder(harvest(), n) };
    let ((brand, at), id) = (world.brand_of(harvest()), server.fresh("open"));
    let request = world.open_account_by_brand(&id, &brand.issuing[at], harvest(), &holder);
    server.submit("/v1/accounts", &request).expect(201);
    (wallet, holder)
}

/// Gives points to a holder.
fn give(server: &Server, holder: &Holder, amount: u64) -> Reply {
    let (world, jti) = (&server.world, server.fresh("token"));
    let (brand, at) = world.brand_of(harvest());
    let token = world.token(brand, harvest(), &jti, holder.account, amount, beginning());
    server.submit("/v1/tokens", &world.issue(&brand.issuing[at], &token))
}

/// The parts of an entry or a proof.
fn parts(shown: &Value) -> Vec<String> {
    let parts = shown["parts"].as_array().expect("parts").iter();
    parts.map(|part| part["part"].as_str().expect("a part").to_owned()).collect()
}

#[test]
fn parts_are_for_those_who_may_read_entries() {
    let server = Server::founded(41);
    let (wallet, holder) = member(&server, 0);
    let seq = give(&server, &holder, 10).seq();
    let brand = || Whom::Brand(id("br_harvest"));
    for (whom, role) in [
        (brand(), Role::BrandFinance),
        (Whom::Wallet(wallet), Role::Consumer),
        (Whom::Operator, Role::Auditor),
    ] {
        for (scopes, sees) in [(&["accounts:read"][..], false), (&["accounts:read", "entries:read"], true)] {
            let secret = limited(&server, whom.clone(), role, scopes);
            let ask = |path: &str| {
                server.ask(&Ask::get(path).key(&secret).with("min-seq", seq.to_string())).expect(200)
            };
            let listed = ask("/v1/entries?limit=1");
            for shown in [
                &listed["items"][0],
                &ask(&format!("/v1/entries/{seq}")),
                &ask(&format!("/v1/entries/{seq}/proof")),
            ] {
                assert_eq!(!parts(shown).is_empty(), sees, "{role} with {scopes:?}: {shown}");
            }
        }
    }
    let public = server.get(&format!("/v1/entries/{seq}")).expect(200);
    assert!(parts(&public).is_empty());
}

#[test]
fn who_presents_a_token_is_shown_the_holders_parts_and_not_the_brands() {
    let server = Server::founded(42);
    open(&server, harvest(), 0);
    let account = server.world.holder(harvest(), 0).account.to_string();
    let proof = |ask: &Ask| {
        let done = server.ask(&ask.clone().with("prefer", "return=proof")).expect(201);
        parts(&done["proof"]).join("\n")
    };
    let present = |n| Ask::statements("/v1/tokens", &token(&server, harvest(), 0, n).jws);
    // What stands in the brand's own part alone: how much its key may still issue.
    let private = "limit/";
    let anonymous = proof(&present(1));
    assert!(anonymous.contains(&account) && !anonymous.contains(private), "{anonymous}");
    let till = server.api_key(Whom::Brand(id("br_twin")), Role::BrandAdmin);
    let others = proof(&present(2).key(&till));
    assert!(!others.contains(private) && !others.contains(&account), "{others}");
    let own = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandAdmin);
    assert!(proof(&present(3).key(&own)).contains(private));
    // A request that the brand's key signed, or that the network signed for its API key, is its own.
    let message = award_message("award-1", &award_json(&server, 0, 5));
    let signed = Ask::message(&server.sign(&server.world.brands[0].issuing[0], message));
    assert!(proof(&signed).contains(private));
    let finance = held_issuing(&server);
    let body = award_json(&server, 0, 5);
    let by_key = |secret: &str, id: &str| {
        proof(&Ask::post("/v1/awards").key(secret).with("idempotency-key", id).json(&body))
    };
    assert!(by_key(&finance, "award-2").contains(private));
    let writes = limited(&server, Whom::Brand(id("br_harvest")), Role::BrandFinance, &["awards:write"]);
    assert_eq!(by_key(&writes, "award-3"), "");
}

#[test]
fn a_holder_sees_the_consent_that_their_code_opened() {
    let server = Server::founded(43);
    let ((theirs, holder), (elses, other)) = (member(&server, 0), member(&server, 1));
    give(&server, &holder, 5_000).expect(201);
    let claims = SpendCode {
        aud: server.world.net,
        jti: id("code-1"),
        payee: None,
        most: money(900),
        currency: id("EUR"),
        iat: None,
        exp: beginning().seconds() + 55,
    };
    let codes = vec![server.world.code(&holder.key, &claims)];
    let till = &server.world.brands[1].tills[0].key;
    let request = server.world.open_consent(till, "open-1", &OpenConsent { code: id("code-1") }, codes);
    let opened = server.submit("/v1/consents", &request);
    let path = format!("/v1/consents/{}", opened.expect(201)["consent"].as_str().expect("a consent"));
    let seen = server.get_signed(&holder.key, &path);
    assert!(seen.seq() >= opened.seq());
    let seen = seen.expect(200);
    assert_eq!((&seen["account"], &seen["left"]), (&json!(holder.account), &json!(900)));
    let key = |wallet| server.api_key(Whom::Wallet(wallet), Role::Consumer);
    assert_eq!(server.get_as(&key(theirs), &path).expect(200), seen);
    server.get_as(&key(elses), &path).refused(404, "not_found");
    server.get_signed(&other.key, &path).refused(404, "not_found");
    // The unit's brand as such does not see in which shop a code was shown.
    server.get_signed(&server.world.brands[0].root, &path).refused(404, "not_found");
}

#[test]
fn no_key_of_an_account_comes_by_what_else_its_wallet_holds() {
    let server = Server::founded(45);
    // The brand opened the account, with a key that may be anybody's: the person has another account elsewhere.
    let (wallet, holder) = member(&server, 0);
    let vault = &server.service().vault;
    let other = vault.ensure_accounts(&[(wallet, id("KINOPLUS"))]).expect("an account")[0];
    let theirs = server.api_key(Whom::Wallet(wallet), Role::Consumer);
    assert!(
        server
            .get_as(&theirs, &format!("/v1/wallets/{wallet}"))
            .expect(200)
            .to_string()
            .contains(&other.to_string())
    );
    let mine = vault.api_keys(&Whom::Wallet(wallet)).expect("keys");
    let key = format!("/v1/api-keys/{}", mine[0].id);
    let wanted = [
        json!({"name": "mine", "role": "consumer"}),
        json!({"name": "mine", "role": "consumer", "wallet": wallet.to_string()}),
        json!({"name": "mine", "role": "auditor"}),
    ];
    for body in &wanted {
        let ask = server.signed_post(&holder.key, "/v1/api-keys", &server.fresh("key"), body);
        let told = server.ask(&ask).refused(403, "scope_missing");
        assert!(told["detail"].as_str().expect("why").contains("the brand's root"), "{told}");
        // Nor does a key that was stolen make another.
        server.ask(&Ask::post("/v1/api-keys").key(&theirs).json(body)).refused(403, "scope_missing");
    }
    for path in ["/v1/api-keys".to_owned(), format!("/v1/api-keys?wallet={wallet}"), key.clone()] {
        server.get_signed(&holder.key, &path).refused(403, "scope_missing");
        server.get_as(&theirs, &path).refused(403, "scope_missing");
    }
    server.ask(&super::scene::delete(&server, &holder.key, &key)).refused(403, "scope_missing");
    for path in ["", "/accounts", "/aliases"] {
        server.get_signed(&holder.key, &format!("/v1/wallets/{wallet}{path}")).refused(404, "not_found");
    }
    let seen = server.get_signed(&holder.key, &format!("/v1/accounts/{other}"));
    assert_eq!(seen.status, 404, "{}", seen.text());
    // A brand makes none of its members', and the operator stops one.
    let root = &server.world.brands[0].root;
    for body in &wanted[..2] {
        let ask = server.signed_post(root, "/v1/api-keys", &server.fresh("key"), body);
        server.ask(&ask).refused(400, "body_invalid");
    }
    server.ask(&super::scene::delete(&server, root, &key)).refused(404, "not_found");
    server.ask(&super::scene::delete(&server, &server.world.roots[0], &key)).expect(200);
    server.get_as(&theirs, "/v1/me").refused(401, "api_key_expired");
}

#[test]
fn a_further_brand_reads_its_own_and_not_what_its_participant_owes() {
    let server = Server::founded(44);
    let finance = |brand: &str| server.api_key(Whom::Brand(id(brand)), Role::BrandFinance);
    let (first, further) = (finance("br_harvest"), finance("br_twin"));
    let (_, holder) = member(&server, 0);
    give(&server, &holder, 50_000).expect(201);
    // Kino's shop takes points of harvest: an obligation, of which the entry has a part for each side.
    let claims = tallyhouse::sign::PaymentConsent {
        aud: server.world.net,
        jti: id("consent-1"),
        account: holder.account,
        payee: id("br_kino"),
        payment: id("pay-1"),
        till: None,
        amount: money(20_000),
        currency: id("EUR"),
        points: points(9_000),
        deadline: beginning().seconds() + 600,
        offer: None,
        iat: None,
        exp: beginning().seconds() + 200,
    };
    let args = tallyhouse::payments::Authorise {
        amount: money(20_000),
        currency: id("EUR"),
        deadline: claims.deadline,
        reference: None,
        capture: true,
        offer: None,
        under: None,
    };
    let (till, consent) = (&server.world.brands[1].tills[0].key, server.world.consent(&holder.key, &claims));
    let paid =
        server.submit("/v1/payments", &server.world.authorise(till, "pay-1", &args, vec![consent])).seq();
    let reads =
        |secret: &str, path: &str| server.ask(&Ask::get(path).key(secret).with("min-seq", paid.to_string()));
    let owed = parts(&reads(&first, &format!("/v1/entries/{paid}")).expect(200)).join("\n");
    assert!(owed.contains("pa_harvest:pa_kino"), "{owed}");
    let owed = parts(&reads(&further, &format!("/v1/entries/{paid}")).expect(200));
    assert_eq!(owed, Vec::<String>::new());
    for path in ["/v1/obligations", "/v1/dues", "/v1/participants/pa_harvest/bank-details/EUR"] {
        let told = reads(&further, path);
        told.refused(403, "not_yours");
        assert!(told.text().contains("another brand speaks for pa_harvest"), "{}", told.text());
        assert_ne!(reads(&first, path).status, 403, "{path}");
    }
    for path in ["/v1/cycles", "/v1/netting", "/v1/brands/br_twin", "/v1/units/TWIN/flows"] {
        reads(&further, path).expect(200);
    }
    // What everybody sees.
    assert_eq!(server.get("/v1/participants/pa_harvest").expect(200)["speaker"], "br_harvest");
    assert_eq!(server.get("/v1/network").expect(200)["operator"], "pa_franchise");
}
