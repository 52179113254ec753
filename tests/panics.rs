//! A thread of the engine that panics: nobody waits for it for ever, the node says that it is not ready and ends, and
//! what was answered before is there when it is opened again.

mod common;

use common::carried::{ADDRESS, unsigned};
use common::http::{Ask, Reply, api_config, now};
use common::place::Place;
use common::process::{Wire, found};
use common::world::{World, id};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, running, serve_until, verify};
use tallyhouse::clock::{self, Clock};
use tallyhouse::engine::{Core, Engine, Failure, Point, Setup, StateFollower, Stores};
use tallyhouse::log::LogSigner;
use tallyhouse::store::Faces;
use tallyhouse::types::UnitCode;
use tallyhouse::vault::Vault;

fn unit() -> UnitCode {
    id("TWIN")
}

/// The network of a folder; once `armed`, the thread that reaches the point panics.
fn open(world: &World, place: &Place, point: Point, armed: Arc<AtomicBool>) -> Network {
    let crash = move |at: Point| {
        assert!(!(at == point && armed.load(Ordering::SeqCst)), "a panic, as the test wants");
        false
    };
    let crash: Arc<dyn Fn(Point) -> bool + Send + Sync> = Arc::new(crash);
    let Faces { log, state, reader } = place.home.open().expect("opens");
    let state = StateFollower::new(state, Some(crash.clone())).expect("a follower");
    let stores = Stores { log, read: reader, state: Box::new(state), others: vec![] };
    let setup =
        Setup { memory_rows: 1_000, salts: Box::new(clock::salts()), crash: Some(crash), holds: None };
    let signer = LogSigner::of(&world.genesis.origin, &world.log.secret).expect("a signer");
    let core = Core::open(setup, stores, signer, &world.genesis, clock::now()).expect("opens");
    let engine = Engine::start(core, world.net, place.tuning().pace, || Ok(clock::now())).expect("starts");
    let views = tallyhouse::views::Reader::open(&place.home).expect("views");
    Network { engine, views, genesis: world.genesis.clone(), dir: place.dir().into() }
}

fn award(world: &World, to: SocketAddr, name: &str) -> std::io::Result<Reply> {
    let (brand, at) = world.brand_of(unit());
    let token = world.token(brand, unit(), name, world.holder(unit(), 0).account, 1, clock::now());
    let message = unsigned(&world.issue(&brand.issuing[at], &token).jws[0]);
    let message = message.sign(&brand.issuing[at].secret, now(), &format!("nonce-of-{name:0>16}"));
    Wire::connect(to)?.ask(&Ask::message(&message))
}

fn dies_in_order(point: Point, seed: u64) {
    let place = Place::new();
    let world = World::real(seed);
    found(&world, &place.home, &[]);
    let armed = Arc::new(AtomicBool::new(false));
    let network = open(&world, &place, point, armed.clone());
    let vault = Vault::open(&place.home).expect("a vault");
    let api = api_config();
    let service = network.into_service(vault, &api, ADDRESS.into(), Clock::Real).expect("a service");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        serve_until(service, listener, None, &running(&api, false), |stopper| {
            tell.send(stopper).expect("told")
        })
    });
    let stopper = told.recv().expect("started");
    let before = award(&world, address, "before").expect("an answer");
    before.expect(201);
    armed.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let after = award(&world, address, "after");
    match (&after, point) {
        // It was decided and answered; who lost its thread is a follower.
        (Ok(reply), Point::BeforeFollow) => drop(reply.expect(201)),
        (Ok(reply), _) => drop(reply.refused(503, "busy")),
        (Err(e), _) => panic!("{e}"),
    }
    // Nobody tells it to stop: it ends by itself, and says that it did not end well.
    let ended = thread.join().expect("no panic here");
    assert!(matches!(ended, Err(Failure::Unavailable(_))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(stopper);

    let network = Network::open(&place.home, &world.log.secret, &place.tuning()).expect("opens");
    let account = network.engine.account(world.holder(unit(), 0).account).expect("read").expect("an account");
    let most = if point == Point::BeforeAppend { 1 } else { 2 };
    assert_eq!(account.total().get(), most, "{point:?}");
    network.close().expect("closes");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}

#[test]
fn a_writer_that_panics_before_the_append() {
    dies_in_order(Point::BeforeAppend, 71);
}

#[test]
fn a_writer_that_panics_after_the_append() {
    dies_in_order(Point::AfterAppend, 72);
}

#[test]
fn a_follower_that_panics() {
    dies_in_order(Point::BeforeFollow, 73);
}
