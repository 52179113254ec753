//! The end of a server: a signal comes under load, with connections that idle, streams that are read and bodies that
//! never arrive. What took effect was answered, nobody new is taken, and the process ends in time, in order.

mod common;

use common::carried::{ADDRESS, unsigned};
use common::http::{Ask, now};
use common::place::Place;
use common::process::{Process, Wire, found};
use common::world::{World, id};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, verify};
use tallyhouse::sign::HttpMessage;
use tallyhouse::types::UnitCode;

const DRAIN: u64 = 3;

fn unit() -> UnitCode {
    id("TWIN")
}

/// A new award, signed now.
fn award(world: &World, name: &str) -> Ask {
    let (brand, at) = world.brand_of(unit());
    let token =
        world.token(brand, unit(), name, world.holder(unit(), 0).account, 1, tallyhouse::clock::now());
    let message = unsigned(&world.issue(&brand.issuing[at], &token).jws[0]);
    Ask::message(&message.sign(&brand.issuing[at].secret, now(), &format!("nonce-of-{name:0>16}")))
}

/// Asks for awards until the connection ends: how many were answered.
fn client(world: &World, server: &Process, name: &str, answered: &AtomicU64) {
    let mut wire = Wire::connect(server.address).expect("connects");
    for n in 0.. {
        match wire.ask(&award(world, &format!("{name}-{n}"))) {
            Ok(reply) => {
                reply.expect(201);
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => return,
        }
    }
}

fn issued(world: &World, place: &Place) -> u64 {
    let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
    let (mut next, mut count) = (0, 0);
    loop {
        let envelopes = network.engine.read().read_envelopes(next, 1_000).expect("read");
        let Some(last) = envelopes.last() else { break };
        next = last.seq + 1;
        let texts = envelopes.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned());
        count += texts.filter(|text| text.contains("\"kind\":\"points.issued\"")).count() as u64;
    }
    network.close().expect("closes");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    count
}

/// A stream of events, as a brand reads it.
fn stream(world: &World, server: &Process, which: usize) -> Wire {
    let message = HttpMessage::get(format!("{ADDRESS}/v1/events"));
    let message = message.sign(&world.brands[0].root.secret, now(), &format!("nonce-of-stream-{which:0>8}"));
    let mut wire = Wire::connect(server.address).expect("connects");
    wire.send(&Ask::message(&message).with("accept", "text/event-stream").bytes(false)).expect("sent");
    let head = wire.head().expect("a head");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    wire.any().expect("an event");
    wire
}

fn ends_in_order(signal: &str, seed: u64) {
    let place = Place::new();
    let world = World::real(seed);
    found(&world, &place.home, &[]);
    let config = format!("[api]\nlead_ms = 400\ndrain_seconds = {DRAIN}\nper_key = 1000000\n");
    let mut server = Process::start(place.dir(), &place.config(&config));
    let mut idle: Vec<Wire> = (0..50).map(|_| Wire::connect(server.address).expect("connects")).collect();
    for wire in &mut idle {
        assert_eq!(wire.ask(&Ask::get("/healthz")).expect("an answer").status, 200);
    }
    let mut streams: Vec<Wire> = (0..5).map(|which| stream(&world, &server, which)).collect();
    // Half a body, and no more of it.
    let mut half = Wire::connect(server.address).expect("connects");
    let bytes = award(&world, "half").bytes(false);
    half.send(&bytes[..bytes.len() - 10]).expect("sent");

    let answered = AtomicU64::default();
    let signalled = std::thread::scope(|scope| {
        for n in 0..4 {
            let (world, server, answered) = (&world, &server, &answered);
            scope.spawn(move || client(world, server, &format!("c{n}"), answered));
        }
        std::thread::sleep(Duration::from_millis(300));
        server.signal(signal);
        let signalled = Instant::now();
        // It says that it closes, and still serves.
        while server.try_get("/readyz").expect("it still serves").status == 200 {
            assert!(signalled.elapsed() < Duration::from_secs(5));
        }
        assert_eq!(server.try_get("/healthz").expect("it still serves").status, 200);
        signalled
    });
    // The clients have ended, since their connections have: nobody new gets in.
    while TcpStream::connect_timeout(&server.address, Duration::from_secs(1)).is_ok() {
        assert!(signalled.elapsed() < Duration::from_secs(5), "it still takes connections");
    }
    for wire in idle.iter_mut().chain(&mut streams) {
        assert!(wire.is_closed_within(Duration::from_secs(2)), "a connection stays open");
    }
    let status = server.ended(Duration::from_secs(DRAIN + 5)).expect("it ends in time");
    assert!(status.success(), "{status}: {}", server.errors());
    let answered = answered.load(Ordering::SeqCst);
    assert!(answered > 20, "only {answered} answers");
    assert_eq!(issued(&world, &place), answered, "what took effect was answered, and nothing else");
}

#[test]
fn a_service_manager_ends_it_in_order() {
    ends_in_order("TERM", 41);
}

#[test]
fn a_keyboard_ends_it_in_order() {
    ends_in_order("INT", 42);
}

#[test]
fn one_that_idles_ends_at_once() {
    let place = Place::new();
    let world = World::real(43);
    found(&world, &place.home, &[]);
    let mut server = Process::start(place.dir(), &place.config("[api]\nlead_ms = 0\n"));
    let mut idle: Vec<Wire> = (0..10).map(|_| Wire::connect(server.address).expect("connects")).collect();
    for wire in &mut idle {
        assert_eq!(wire.ask(&Ask::get("/healthz")).expect("an answer").status, 200);
    }
    let signalled = Instant::now();
    server.signal("TERM");
    // Connections that nobody uses do not hold it up for the 30 seconds that it may take to drain.
    let status = server.ended(Duration::from_secs(10)).expect("it ends in time");
    assert!(status.success(), "{status}: {}", server.errors());
    println!("ended within {:?}", signalled.elapsed());
}
