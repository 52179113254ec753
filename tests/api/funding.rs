//! What stands behind points, for everybody; what stands behind debts, for whose they are.

use super::scene::harvest;
use crate::common::house::{House, eur};
use crate::common::http::{Ask, Reply, Server, api_config};
use crate::common::world::{World, id};
use serde_json::{Value, json};
use tallyhouse::clearing::CallMargin;
use tallyhouse::cli::{Exit, execute};
use tallyhouse::machine::{Request, Role};
use tallyhouse::vault::Whom;

/// HARVEST has a reserve, which was topped up; its participant was within its cap until a refund.
fn overrun() -> (Server, House) {
    let mut house = House::new(71, true);
    for unit in ["HARVEST", "POLAR"] {
        house.award(unit, 0, 10_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    house.reserve("HARVEST", 500_000).expect("set");
    house.top_up("pa_harvest", Some("HARVEST"), 100_000).expect("topped up");
    house.pay(2, "HARVEST", 0, 10_000, true).expect("paid");
    let back = house.pay(0, "POLAR", 0, 10_000, true).expect("paid");
    house.fund("pa_harvest", Some(100), 0).expect("set");
    house.top_up("pa_harvest", None, 300).expect("topped up");
    house.withdraw("pa_harvest", None, 100).expect("withdrawn");
    let cid = house.cid();
    let request = house.world.refund(&house.world.brands[0].tills[0].key, &cid, back, 10_000);
    house.send(request).expect("never refused");
    (Server::of(World::new(71), &house.node.asked, api_config()), house)
}

/// What the command line says of the network.
fn told(server: &Server, line: &str) -> (Exit, String) {
    server.service().engine().settle().expect("settled");
    let (mut out, mut err) = (vec![], vec![]);
    let data = server.dir().to_str().expect("a path");
    let arguments = ["tallyhouse", "--data", data].into_iter().chain(line.split(' ')).map(Into::into);
    let exit =
        execute(arguments.collect::<Vec<std::ffi::OsString>>(), &mut std::io::empty(), &mut out, &mut err);
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    (exit, String::from_utf8(out).expect("text"))
}

/// Awards points of HARVEST today.
fn give(server: &Server, house: &House, amount: u64) -> Reply {
    let (world, jti) = (&server.world, server.fresh("token"));
    let (brand, at) = world.brand_of(harvest());
    let sub = world.holder(harvest(), 0).account;
    let token = world.token(brand, harvest(), &jti, sub, amount, house.now);
    server.submit("/v1/tokens", &world.issue(&brand.issuing[at], &token))
}

fn items(reply: Value) -> Vec<Value> {
    reply["items"].as_array().expect("items").clone()
}

#[test]
fn everybody_sees_what_stands_behind_points_and_nobody_a_single_award() {
    let (server, house) = overrun();
    let path = "/v1/units/HARVEST/funding";
    let shown = server.get(path);
    let seen = shown.expect(200);
    // Of what was awarded three days ago all was there at the end of yesterday, whatever happened today.
    assert_eq!(seen["outstanding"], json!(10_000), "{seen}");
    let reserve = json!({"version": 1, "currency": "EUR", "ratio": 500_000, "held": 100_000, "price": [19, 1], "needed": 95_000});
    assert_eq!(seen["reserve"], reserve);
    let given = give(&server, &house, 7);
    given.expect(201);
    let after = server.ask(&Ask::get(path).with("min-seq", given.seq().to_string()));
    assert_eq!(after.expect(200), seen, "a day's sum is not told before the day is over");
    // 500 were spent today, so 9,507 are outstanding: 10,526 may be at the most.
    give(&server, &house, 1_020).refused(422, "issuance_cover_exceeded");
    give(&server, &house, 1_019).expect(201);
    let bare = server.get("/v1/units/POLAR/funding").expect(200);
    assert_eq!((&bare["outstanding"], bare.get("reserve")), (&json!(10_000), None));
    server.get("/v1/units/NOWHERE/funding").refused(404, "not_found");
}

#[test]
fn a_participant_over_its_limit_is_seen_and_called_upon() {
    let (server, house) = overrun();
    let (exposure, cover) = ("/v1/participants/pa_harvest/exposure", "/v1/participants/pa_harvest/cover");
    let analyst = server.api_key(Whom::Operator, Role::Analyst);
    let own = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandFinance);
    let other = server.api_key(Whom::Brand(id("br_kino")), Role::BrandFinance);
    for path in [exposure, cover] {
        server.get(path).refused(401, "unauthenticated");
        server.get_as(&other, path).refused(404, "not_found");
        server.get_as(&analyst, &path.replace("harvest", "nobody")).refused(404, "not_found");
    }
    let seen = items(server.get_as(&own, exposure).expect(200));
    assert_eq!(items(server.get_as(&analyst, exposure).expect(200)), seen);
    let wanted = json!([{
        "currency": "EUR", "position": -9_500, "debt": 9_500, "in_flight": 0, "version": 1, "cap": 100, "covered": false,
        "cover": 200, "fund": 0, "limit": 100, "headroom": 0, "missing": 9_400, "state": "overrun",
    }]);
    assert_eq!(json!(seen), wanted);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("tallyhouse_participants_over_limit 1\n"), "{metrics}");
    assert!(metrics.contains("tallyhouse_reserves_short 0\n"), "{metrics}");
    let args =
        CallMargin { participant: id("pa_harvest"), currency: eur(), until: house.now.seconds() + 9_000 };
    let statement = server.world.command(&house.analyst, "call-1", "margin.call", &args);
    let called = server.submit("/v1/margin-calls", &Request::of(vec![statement]));
    let seq = called.expect(201)["seq"].clone();
    let ask = Ask::get(exposure).key(&own).with("min-seq", called.seq().to_string());
    let seen = items(server.ask(&ask).expect(200));
    assert_eq!(seen[0]["state"], "called");
    assert_eq!(seen[0]["call"], json!({"amount": 9_400, "until": args.until, "seq": seq}));
    if server.database().is_none() {
        let (exit, out) = told(&server, "funding --check");
        assert!(exit == Exit::Refused && out.contains("OVERRUN, 0.9400 called for by"), "{out}");
        assert!(out.contains("HARVEST") && !out.contains("SHORT"), "{out}");
    }
    // What became of the cover, oldest first, page by page.
    let first = server.get_as(&own, &format!("{cover}?limit=2")).expect(200);
    let next = first["next"].as_str().expect("more").to_owned();
    let rest = server.get_as(&own, &format!("{cover}?limit=5&cursor={next}")).expect(200);
    let steps = [items(first), items(rest)].concat();
    let terms = steps[1]["facts"]["terms"].clone();
    let of = |step: &Value| (step["facts"]["change"].clone(), step["facts"]["after"].clone());
    let steps: Vec<_> = steps.iter().map(of).collect();
    let wanted =
        [("topped_up", 100_000), ("set", 0), ("topped_up", 300), ("withdrawn", 200), ("called", 200)];
    assert_eq!(terms, json!({"cap": 100}));
    assert_eq!(steps, wanted.map(|(change, after)| (json!(change), json!(after))));
}
