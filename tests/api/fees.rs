//! Fees, tax and tiers as they are read, and what points are worth.

use crate::common::house::House;
use crate::common::http::{Ask, Server, api_config};
use crate::common::month;
use serde_json::json;
use tallyhouse::machine::Role;
use tallyhouse::vault::Whom;

/// A network in which a month was charged, served.
fn charged() -> Server {
    let mut house = House::new(5, true);
    for (unit, n) in [("HARVEST", 7), ("KINO", 7)] {
        house.award(unit, n, 100_000);
    }
    month::charge(&mut house);
    Server::of(house.world, &house.node.asked, api_config())
}

#[test]
fn fees_are_public_and_what_they_come_to_is_the_shops() {
    let server = charged();
    let fees = server.get("/v1/fees").expect(200);
    let version = &fees["versions"][0];
    assert_eq!((&version["version"], &version["in_force"]), (&json!(1), &json!(true)));
    assert_eq!(version["acceptor"], json!({"ppm": 4000, "min": 10, "max": 90_000, "refundable": true}));
    let history = server.get("/v1/fees/history?limit=5").expect(200);
    let said = &history["items"][0];
    assert_eq!((&said["reason"], said["approved"].as_array().map(Vec::len)), (&json!("first-fees"), Some(2)));
    assert_eq!(said["terms"]["version"], 1);
    let tax = server.get("/v1/participants/pa_kino/tax").expect(200);
    assert_eq!(tax["versions"][1]["tax"], json!({"category": "standard", "rate": 70_000}));
    server.get("/v1/participants/pa_harvest/tax").refused(404, "not_found");

    let key = |brand: usize, role| server.api_key(Whom::Brand(server.world.brands[brand].id.clone()), role);
    let (kino, harvest) = (key(1, Role::Till), key(0, Role::BrandFinance));
    let listed = server.ask(&Ask::get("/v1/payments").key(&kino)).expect(200);
    let path = format!("/v1/payments/{}", listed["items"][0]["payment"].as_str().expect("a payment"));
    let payment = server.ask(&Ask::get(&path).key(&kino)).expect(200);
    assert_eq!(payment["shares"][0]["tax"], json!({"category": "standard", "rate": 70_000}));
    let acceptor = &payment["fees"][0];
    // 0.4 % of 60,000 is 240, of which 20,001 − 10,000 of 60,000 stand: a sixth and a bit, rounded up; 19 % on that.
    assert_eq!(
        (&acceptor["terms"]["net"], &acceptor["net"], &acceptor["tax"]),
        (&json!(240), &json!(41), &json!(8))
    );
    let issuer = &payment["fees"][1];
    assert_eq!(issuer["terms"]["customer"], "pa_harvest");
    // 0.29 % is 174, of which what was captured stands: nothing comes back.
    assert_eq!((&issuer["net"], &issuer["terms"]["refundable"]), (&json!(59), &json!(false)));
    server.ask(&Ask::get(&path).key(&harvest)).refused(404, "not_found");

    let account = server.world.holder("HARVEST".parse().expect("a unit"), 7).account;
    let path = format!("/v1/accounts/{account}");
    let plain = server.ask(&Ask::get(&path).key(&harvest)).expect(200);
    assert_eq!((&plain["tier"], plain.get("worth")), (&json!("gold"), None));
    let valued = server.ask(&Ask::get(format!("{path}?worth=true")).key(&harvest)).expect(200);
    let available = valued["available"].as_u64().expect("points");
    let worth = json!([{"currency": "EUR", "home": available * 25, "till": available * 20, "price": 1}]);
    assert_eq!(valued["worth"], worth);
}

#[test]
fn obligations_say_what_was_supplied_and_its_tax() {
    let server = charged();
    server.service().engine().settle().expect("settled");
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let all = server.get_as(&auditor, "/v1/obligations").expect(200);
    let of = |debtor: &str, creditor: &str| {
        let items = all["items"].as_array().expect("items");
        let found = |one: &&serde_json::Value| one["debtor"] == debtor && one["creditor"] == creditor;
        items.iter().find(found).unwrap_or_else(|| panic!("{debtor} owes {creditor}: {all}")).clone()
    };
    // The fee of the payment that its shop's participant owes: see the other test.
    let fee = of("pa_kino", "pa_op");
    assert_eq!(fee["amount"], json!(49));
    let taxed = json!([{"service": "acceptor_fee", "supplier": "pa_op", "customer": "pa_kino", "net": 41,
        "category": "standard", "rate": 190_000, "tax": 8, "gross": 49}]);
    assert_eq!(fee["supplies"], taxed);
    // Points taken and points exchanged, each with the tax that kino published; all of the obligation is told.
    let points = of("pa_harvest", "pa_kino");
    let parts = points["supplies"].as_array().expect("parts");
    let services: Vec<_> = parts.iter().map(|one| one["service"].as_str().expect("a service")).collect();
    assert_eq!(services, ["exchange", "redemption"]);
    let n = |one: &serde_json::Value, name: &str| one[name].as_i64().expect("an amount");
    assert_eq!(parts.iter().map(|one| n(one, "gross")).sum::<i64>(), n(&points, "amount"));
    for one in parts {
        assert_eq!(n(one, "net") + n(one, "tax"), n(one, "gross"));
        assert!(n(one, "tax") > 0 && n(one, "tax") * 107 - n(one, "gross") * 7 < 107, "{one}");
    }
    // A brand sees its own.
    let polar = server.api_key(Whom::Brand(server.world.brands[2].id.clone()), Role::BrandFinance);
    assert_eq!(server.get_as(&polar, "/v1/obligations").expect(200)["items"], json!([]));
}

#[test]
fn where_none_were_published_there_are_none() {
    let server = Server::founded(5);
    server.get("/v1/fees").refused(404, "not_found");
    assert_eq!(server.get("/v1/fees/history").expect(200)["items"], json!([]));
}
