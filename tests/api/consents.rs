//! Consents that a code opens, over HTTP: a till opens one, pays under it, and nobody else learns of it.

use super::scene::{award, harvest, open};
use crate::common::http::Server;
use crate::common::world::{Holder, beginning, id, money};
use serde_json::{Value, json};
use tallyhouse::machine::Role;
use tallyhouse::payments::OpenConsent;
use tallyhouse::sign::SpendCode;
use tallyhouse::types::Time;
use tallyhouse::vault::Whom;

/// What the holder's phone shows.
fn code(server: &Server, holder: &Holder, jti: &str, most: u64) -> String {
    let claims = SpendCode {
        aud: server.world.net,
        jti: id(jti),
        payee: None,
        most: money(most),
        currency: id("EUR"),
        iat: None,
        exp: beginning().seconds() + 55,
    };
    server.world.code(&holder.key, &claims)
}

fn under(consent: &str, amount: u64) -> Value {
    let deadline = beginning().seconds() + 3_600;
    json!({"amount": amount, "currency": "EUR", "deadline": deadline, "capture": true,
        "under": [{"consent": consent, "amount": amount}]})
}

/// Log time, as answers say it.
fn at(value: &Value) -> Time {
    value.as_str().expect("text").parse().expect("an instant")
}

#[test]
fn a_till_opens_a_consent_and_pays_under_it_alone() {
    let server = Server::founded(31);
    let holder = open(&server, harvest(), 0);
    award(&server, harvest(), 0, 5_000);
    let shop = &server.world.brands[1];
    let till = &shop.tills[0].key;
    // The till's signed request, and the code beside it.
    let body = json!({"code": "code-1"});
    let ask = server.signed_post(till, "/v1/consents", "open-1", &body);
    let ask = ask.with("tallyhouse-consents", code(&server, &holder, "code-1", 1_500));
    let opened = server.ask(&ask);
    let consent = opened.expect(201)["consent"].as_str().expect("a consent").to_owned();
    assert_eq!(opened.header("location"), Some(format!("/v1/consents/{consent}").as_str()));
    assert_eq!(
        server.ask(&ask).expect(201)["consent"],
        consent.as_str(),
        "once, however often it is asked for"
    );
    // The same code by a statement, at another till.
    let args = OpenConsent { code: id("code-1") };
    let codes = vec![code(&server, &holder, "code-1", 1_500)];
    let second = server.world.open_consent(&shop.tills[1].key, "open-2", &args, codes);
    server.submit("/v1/consents", &second).refused(409, "consent_used");

    let pay = |cid: &str, amount: u64| {
        server.ask(&server.signed_post(till, "/v1/payments", cid, &under(&consent, amount)))
    };
    pay("pay-1", 1_000).expect(201);
    pay("pay-2", 501).refused(422, "consent_exceeded");
    pay("pay-3", 500).expect(201);
    pay("pay-4", 1).refused(422, "consent_exceeded");

    // What each sees of it, as soon as state shows it.
    server.service().engine().settle().expect("all follow");
    let shops = server.api_key(Whom::Brand(shop.id.clone()), Role::BrandFinance);
    let path = format!("/v1/consents/{consent}");
    let seen = server.get_as(&shops, &path).expect(200);
    assert_eq!((&seen["most"], &seen["used"], &seen["left"]), (&json!(1_500), &json!(1_500), &json!(0)));
    assert_eq!(
        (&seen["unit"], &seen["open"], &seen["account"]),
        (&json!("HARVEST"), &json!(false), &Value::Null)
    );
    assert_eq!(at(&seen["until"]), at(&opened.json()["at"]).plus_seconds(900));
    for brand in [0, 2] {
        let other = server.api_key(Whom::Brand(server.world.brands[brand].id.clone()), Role::BrandFinance);
        server.get_as(&other, &path).refused(404, "not_found");
    }
    server.get_as(&shops, "/v1/consents/con_1.0").refused(404, "not_found");
    server.get_as(&shops, "/v1/consents/pay_1.0").refused(404, "not_found");
    server.get(&path).refused(401, "unauthenticated");
}

#[test]
fn a_shop_of_the_units_own_brand_learns_whose_code_it_was() {
    let server = Server::founded(32);
    let holder = open(&server, harvest(), 0);
    award(&server, harvest(), 0, 5_000);
    let brand = &server.world.brands[0];
    let args = OpenConsent { code: id("code-1") };
    let codes = vec![code(&server, &holder, "code-1", 900)];
    let request = server.world.open_consent(&brand.tills[0].key, "open-1", &args, codes);
    let consent = server.submit("/v1/consents", &request).expect(201)["consent"].clone();
    let key = server.api_key(Whom::Brand(brand.id.clone()), Role::BrandFinance);
    let path = format!("/v1/consents/{}", consent.as_str().expect("a consent"));
    let seen = server.get_as(&key, &path).expect(200);
    assert_eq!((&seen["account"], &seen["open"]), (&json!(holder.account.to_string()), &json!(true)));
}
