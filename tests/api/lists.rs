//! Lists, freshness, the past, and events as they happen.

use super::scene::{award, harvest, open, pay};
use crate::common::http::{Ask, Reply, Server, Stream};
use crate::common::world::id;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::machine::Role;
use tallyhouse::vault::Whom;

/// Walks a list to its end; the items.
fn walk(server: &Server, secret: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (vec![], None);
    loop {
        let join = if path.contains('?') { '&' } else { '?' };
        let target = match &cursor {
            None => path.to_owned(),
            Some(cursor) => format!("{path}{join}cursor={cursor}"),
        };
        let reply = server.get_as(secret, &target);
        let page = reply.expect(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        let next = page["next"].as_str().map(str::to_owned);
        assert_eq!(next.is_some(), reply.header("link").is_some(), "{path}");
        if let (Some(next), Some(link)) = (&next, reply.header("link")) {
            assert!(link.contains(&format!("cursor={next}>; rel=\"next\"")), "{link}");
        }
        match next {
            Some(next) => cursor = Some(next),
            None => return items,
        }
        assert!(items.len() < 100_000, "{path} has no end");
    }
}

#[test]
fn a_list_is_walked_without_gaps_while_it_grows() {
    let server = Server::founded(8);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    open(&server, harvest(), 0);
    for _ in 0..20 {
        award(&server, harvest(), 0, 100);
    }
    // Lists follow the log at a distance; these awards are there from the first page on.
    server.service().engine().settle().expect("settled");
    let account = server.world.holder(harvest(), 0).account;
    let path = format!("/v1/accounts/{account}/movements?limit=3");
    let stop = AtomicBool::new(false);
    let (entries, movements) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                award(&server, harvest(), 0, 1);
            }
        });
        let walked = (walk(&server, &auditor, "/v1/entries?limit=4"), walk(&server, &auditor, &path));
        stop.store(true, Ordering::Relaxed);
        walked
    });
    let seqs: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().expect("a place")).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] == pair[1] + 1), "{seqs:?}");
    assert_eq!(seqs.last(), Some(&0));
    let seqs: Vec<u64> = movements.iter().map(|one| one["seq"].as_u64().expect("a place")).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] > pair[1]), "{seqs:?}");
    // Each tells the balance after it: none is left out.
    for pair in movements.windows(2) {
        let [balance, amount, before] = [&pair[0]["balance"], &pair[0]["amount"], &pair[1]["balance"]]
            .map(|n| n.as_i64().expect("a number"));
        assert_eq!(balance - amount, before);
    }
    assert!(movements.len() >= 20);
}

#[test]
fn reference_lists_have_everything_once() {
    let server = Server::founded(8);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    let names = |path: &str, name: &str| -> Vec<String> {
        let items = walk(&server, &auditor, path);
        items.iter().map(|item| item[name].as_str().expect("a name").to_owned()).collect()
    };
    let mut units: Vec<String> = server.world.units().map(|unit| unit.unit.to_string()).collect();
    let (mut listed, whole) = (names("/v1/units?limit=1", "unit"), names("/v1/units", "unit"));
    assert_eq!(listed, whole);
    listed.sort();
    units.sort();
    assert_eq!(listed, units);
    assert_eq!(names("/v1/brands?limit=3", "brand").len(), server.world.brands.len());
    assert_eq!(names("/v1/participants?limit=1", "participant").len(), 4);
    let keys = names("/v1/brands/br_kino/keys?limit=2", "kid");
    let brand = &server.world.brands[1];
    let own =
        std::iter::once(&brand.root).chain(&brand.issuing).chain(brand.tills.iter().map(|till| &till.key));
    assert!(own.map(|key| key.kid.to_string()).all(|kid| keys.contains(&kid)), "{keys:?}");
}

#[test]
fn a_cursor_is_taken_by_its_own_list_only() {
    let server = Server::founded(8);
    let next = server.get("/v1/brands?limit=1").expect(200)["next"].as_str().expect("more").to_owned();
    assert_eq!(server.get(&format!("/v1/brands?limit=1&cursor={next}")).status, 200);
    for path in ["/v1/units", "/v1/participants", "/v1/entries", "/v1/brands/br_kino/keys"] {
        server.get(&format!("{path}?cursor={next}")).refused(400, "cursor_invalid");
    }
    for limit in ["0", "1001", "-1", "x"] {
        server.get(&format!("/v1/brands?limit={limit}")).refused(400, "query_invalid");
    }
}

#[test]
fn who_wrote_reads_what_they_wrote() {
    let server = Server::founded(8);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    open(&server, harvest(), 0);
    let account = server.world.holder(harvest(), 0).account;
    let kid = server.world.brands[0].issuing[0].kid;
    for n in 1..=10u64 {
        let seq = award(&server, harvest(), 0, 100).seq();
        let read = |path: &str| -> Reply {
            let reply = server.ask(&Ask::get(path).key(&auditor).with("min-seq", seq.to_string()));
            reply.expect(200);
            assert!(reply.seq() >= seq || path.contains("/events"), "{path} shows {} only", reply.seq());
            reply
        };
        let shown = read(&format!("/v1/accounts/{account}")).json();
        assert_eq!(shown["available"], json!(100 * n));
        let moved = read(&format!("/v1/accounts/{account}/movements?limit=1")).json();
        assert_eq!(moved["items"][0]["seq"], json!(seq));
        assert_eq!(read("/v1/entries?limit=1").json()["items"][0]["seq"], json!(seq));
        let past = read(&format!("/v1/accounts/{account}?as_of={seq}")).json();
        assert_eq!(past["balance"], json!(100 * n));
        for path in [
            &format!("/v1/budgets/{kid}"),
            "/v1/obligations",
            "/v1/units/HARVEST/flows",
            "/v1/payments?brand=br_kino",
            "/v1/brands",
            "/v1/units",
            "/v1/participants",
            "/v1/units/HARVEST/prices",
        ] {
            read(path);
        }
    }
    let payment = pay(&server, 1, harvest(), 0, 1_000, true);
    let till = &server.world.brands[1].tills[0].key;
    assert_eq!(server.get_signed(till, &format!("/v1/payments/{payment}")).expect(200)["captured"], 1_000);
    // What is not there yet is waited for, but not for ever.
    let begun = Instant::now();
    let ahead = server.service().engine().progress().committed;
    let late = Ask::get(format!("/v1/accounts/{account}")).key(&auditor).with("min-seq", ahead.to_string());
    let reply = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.ask(&late));
        std::thread::sleep(Duration::from_millis(200));
        award(&server, harvest(), 0, 1);
        waiting.join().expect("an answer")
    });
    assert!(reply.expect(200)["available"].as_u64() > Some(0) && begun.elapsed() < Duration::from_secs(4));
    let never = Ask::get("/v1/units").with("min-seq", "99999999");
    let reply = server.ask(&never);
    reply.refused(503, "not_yet_there");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[test]
fn the_past_stays_as_it_was() {
    let server = Server::founded(8);
    let auditor = server.api_key(Whom::Operator, Role::Auditor);
    open(&server, harvest(), 0);
    let account = server.world.holder(harvest(), 0).account;
    let mut known = vec![];
    for n in 1..=5u64 {
        let reply = award(&server, harvest(), 0, 10);
        known.push((reply.seq(), reply.json()["at"].as_str().expect("an instant").to_owned(), 10 * n));
    }
    let last = known.last().expect("some").0;
    for (seq, at, balance) in known {
        for as_of in [seq.to_string(), at] {
            let path = format!("/v1/accounts/{account}?as_of={as_of}");
            let past =
                server.ask(&Ask::get(path).key(&auditor).with("min-seq", last.to_string())).expect(200);
            assert_eq!((&past["balance"], &past["as_of"]), (&json!(balance), &json!(as_of)));
        }
    }
    let before = server.get_as(&auditor, &format!("/v1/accounts/{account}?as_of=1")).expect(200);
    assert_eq!(before["balance"], 0);
    server.get_as(&auditor, &format!("/v1/accounts/{account}?as_of=yesterday")).refused(400, "query_invalid");
    server.get_as(&auditor, &format!("/v1/accounts/{account}?asof=1")).refused(400, "query_invalid");
}

/// The ids of server-sent events in a text, in order.
fn ids(text: &str) -> Vec<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("id: "));
    lines.map(|id| id.parse().expect("a number")).collect()
}

#[test]
fn events_are_told_as_they_happen_and_resume() {
    let mut server = Server::founded(8);
    let secret = server.api_key(Whom::Brand(id("br_harvest")), Role::BrandFinance);
    let other = server.api_key(Whom::Brand(id("br_twin")), Role::BrandFinance);
    open(&server, harvest(), 0);
    let ask = |secret: &str| Ask::get("/v1/events").key(secret).with("accept", "text/event-stream");
    let mut stream = Stream::open(server.address, &ask(&secret), false);
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    let mut wanted = vec![];
    for _ in 0..3 {
        wanted.push(award(&server, harvest(), 0, 10).seq());
    }
    let last = wanted[2];
    let text = stream.until(|text| ids(text).last() == Some(&last));
    let told = ids(&text);
    assert!(told.is_sorted() && wanted.iter().all(|seq| told.contains(seq)), "{told:?}, not {wanted:?}");
    assert!(text.contains("event: points.issued\n"));
    // The page says the same.
    let page = server.get_as(&secret, "/v1/events?limit=1000").expect(200);
    let listed: Vec<u64> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["seq"].as_u64().expect("a place"))
        .collect();
    assert_eq!(listed, told);
    // Another brand is told none of it.
    let theirs = server.get_as(&other, "/v1/events?limit=1000").expect(200).to_string();
    let account = server.world.holder(harvest(), 0).account.to_string();
    assert!(!theirs.contains(&account));
    drop(stream);
    let next = award(&server, harvest(), 0, 10).seq();
    let resumed = ask(&secret).with("last-event-id", last.to_string());
    let mut stream = Stream::open(server.address, &resumed, false);
    let text = stream.until(|text| ids(text).last() == Some(&next));
    assert_eq!(ids(&text), [next]);
    // It ends when the server stops, and goes on at the next one.
    let begun = Instant::now();
    let ended = std::thread::spawn(move || {
        while stream.more().is_some() {}
        begun.elapsed()
    });
    server.restart();
    assert!(ended.join().expect("ended") < Duration::from_secs(5), "the stream did not end");
    let again = award(&server, harvest(), 0, 10).seq();
    let resumed = ask(&secret).with("last-event-id", next.to_string());
    let mut stream = Stream::open(server.address, &resumed, false);
    let told = ids(&stream.until(|text| ids(text).last() == Some(&again)));
    // The server's new term stands between the two; nothing comes twice.
    assert!(told.iter().all(|seq| *seq > next) && told.is_sorted(), "{told:?}");
    drop(stream);
}
