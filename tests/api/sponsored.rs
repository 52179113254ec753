//! Awards that another brand pays for, as both sides of them read them, and nobody else.

use crate::common::house::{House, eur};
use crate::common::http::{Ask, Server, api_config};
use crate::common::world::{Key, id, money, points, rate};
use serde_json::json;
use tallyhouse::book::{Service, Tax, TaxCategory};
use tallyhouse::machine::{Request, Role};
use tallyhouse::prices::PublishTax;
use tallyhouse::sign::{KeyBudget, SponsorTerms};
use tallyhouse::vault::Whom;

#[test]
fn both_sides_read_the_budget_and_what_was_awarded_under_it() {
    let mut house = House::new(6, true);
    let key = Key::derive(6, "sponsor");
    let terms = SponsorTerms { currency: eur(), issue: rate(22, 1), ceiling: Some(money(9_000)) };
    let budget = KeyBudget {
        ceiling: points(500),
        sponsored: Some(terms),
        ..house.world.budget(key.kid, id("HARVEST"), 1)
    };
    house.grant(1, &key, 0, &budget, &[1]).expect("granted");
    let tax = Tax { category: TaxCategory::Standard, rate: 190_000 };
    let args =
        PublishTax { participant: id("pa_harvest"), version: 1, service: Service::Award, from: None, tax };
    let cid = house.cid();
    let request = house.world.command(&house.world.brands[0].root, &cid, "tax.publish", &args);
    house.send(Request::of(vec![request])).expect("published");
    let sub = house.award("HARVEST", 7, 1).account;
    let cid = house.cid();
    let token = house.world.token(&house.world.brands[1], id("HARVEST"), &cid, sub, 100, house.now);
    let seq = house.send(house.world.issue(&key, &token)).expect("awarded").seq;
    let server = Server::of(house.world, &house.node.asked, api_config());
    server.service().engine().settle().expect("settled");

    let api_key =
        |brand: usize| server.api_key(Whom::Brand(server.world.brands[brand].id.clone()), Role::BrandFinance);
    let keys: Vec<String> = (0..3).map(api_key).collect();
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let path = format!("/v1/budgets/{}", key.kid);
    for reader in [&keys[0], &keys[1], &auditor] {
        let shown = server.get_as(reader, &path).expect(200);
        assert_eq!((&shown["used"], &shown["ceiling"]), (&json!(100), &json!(500)));
        let sponsored = json!({"participant": "pa_kino", "currency": "EUR", "issue": [22, 1], "ceiling": 9_000, "used": 2_100});
        assert_eq!(shown["sponsored"], sponsored);
    }
    server.get_as(&keys[2], &path).refused(404, "not_found");

    let path = format!("/v1/awards/awd_{seq}.0");
    let analyst = server.api_key(Whom::Operator, Role::Analyst);
    for reader in [&keys[0], &keys[1], &auditor, &analyst] {
        let shown = server.get_as(reader, &path).expect(200);
        // 2,100 at 19 %: 1,764.7 and 335.3.
        let wanted = json!({
            "award": format!("awd_{seq}.0"), "unit": "HARVEST", "points": 100, "key": key.kid,
            "customer": "pa_kino", "supplier": "pa_harvest", "currency": "EUR", "price": 1, "net": 1_765,
            "category": "standard", "rate": 190_000, "tax": 335, "gross": 2_100, "charged": 0, "clawed_back": 0, "returned": 0,
            "at": shown["at"],
        });
        assert_eq!(shown, wanted);
        assert!(!shown.to_string().contains(&sub.to_string()), "whose they are is not told");
    }
    server.get_as(&keys[2], &path).refused(404, "not_found");
    server.get_as(&keys[0], "/v1/awards/awd_1.0").refused(404, "not_found");
    server.get_as(&keys[0], "/v1/awards/nonsense").refused(404, "not_found");
    server.ask(&Ask::get(&path)).refused(401, "unauthenticated");
    // The obligation says the same.
    let all = server.get_as(&auditor, "/v1/obligations").expect(200);
    let items = all["items"].as_array().expect("items");
    let owed = items.iter().find(|one| one["debtor"] == "pa_kino" && one["creditor"] == "pa_harvest");
    let said = &owed.expect("owed")["supplies"];
    let wanted = json!([{"service": "award", "supplier": "pa_harvest", "customer": "pa_kino", "net": 1_765,
        "category": "standard", "rate": 190_000, "tax": 335, "gross": 2_100}]);
    assert_eq!(*said, wanted);
}
