//! Ten thousand payments from one account, over HTTP, by sixty-four clients at once, with points for half of them:
//! never is a point spent twice, never is one lost, and whoever asks again gets the first answer, on whatever
//! connection.

mod common;

use common::carried::unsigned;
use common::http::{Ask, Reply, now};
use common::place::Place;
use common::process::{Process, Wire, found};
use common::rng::Rng;
use common::world::{Holder, World, id, money, points};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, verify};
use tallyhouse::payments::Authorise;
use tallyhouse::sign::{PaymentConsent, Typ};
use tallyhouse::types::UnitCode;

const CLIENTS: usize = 64;
const EACH: usize = 157;
/// Payments that there are points for.
const COVERED: usize = 5_000;
/// Points that each takes, in minor units.
const POINTS: u64 = 10;
/// What each pays: at a till a minor unit is worth 20.
const AMOUNT: u64 = 200;

fn unit() -> UnitCode {
    id("TWIN")
}

/// A payment as its till sends it; the signature of each sending is its own.
struct Payment {
    name: String,
    jws: Vec<String>,
}

/// What somebody was told.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Paid { seq: u64, payment: String },
    Refused(String),
}

fn told(reply: &Reply) -> Told {
    match reply.status {
        201 => {
            let body = reply.json();
            let payment = body["payment"].as_str().expect("a payment").to_owned();
            Told::Paid { seq: reply.seq(), payment }
        }
        422 => Told::Refused(reply.code()),
        _ => panic!("{reply:?}"),
    }
}

struct Hammer {
    world: World,
    holder: Holder,
    nonces: AtomicU64,
    deadline: u64,
}

impl Hammer {
    fn payment(&self, name: String) -> Payment {
        // A shop of another brand, so that every payment books a debt.
        let brand = &self.world.brands[1];
        let claims = PaymentConsent {
            offer: None,
            aud: self.world.net,
            jti: id(&format!("consent-{name}")),
            account: self.holder.account,
            payee: brand.id.clone(),
            payment: id(&name),
            till: None,
            amount: money(AMOUNT),
            currency: id("EUR"),
            points: points(POINTS),
            deadline: self.deadline,
            iat: None,
            exp: now() + 250,
        };
        let consent = self.world.consent(&self.holder.key, &claims);
        let args = Authorise {
            offer: None,
            amount: money(AMOUNT),
            currency: id("EUR"),
            deadline: self.deadline,
            reference: None,
            capture: true,
            under: None,
        };
        let first = self.world.command(&brand.tills[0].key, &name, "payment.authorise", &args);
        Payment { name, jws: vec![first, consent] }
    }

    /// The request, signed anew.
    fn ask(&self, payment: &Payment) -> Ask {
        let nonce = format!("nonce-{:0>20}", self.nonces.fetch_add(1, Ordering::Relaxed));
        let message =
            unsigned(&payment.jws[0]).sign(&self.world.brands[1].tills[0].key.secret, now(), &nonce);
        Ask::message(&message).with("tallyhouse-consents", payment.jws[1].clone())
    }

    fn client(&self, server: &Process, which: usize) -> Vec<Told> {
        let mut rng = Rng::new(which as u64);
        let mut wire = Wire::connect(server.address).expect("connects");
        let mut other = Wire::connect(server.address).expect("connects");
        let mut all = vec![];
        for n in 0..EACH {
            let payment = self.payment(format!("c{which}-p{n}"));
            // Some are asked for on two connections at once: whichever is first decides.
            let twice = rng.chance(10);
            if twice {
                other.send(&self.ask(&payment).bytes(false)).expect("sent");
            }
            let first = told(&wire.ask(&self.ask(&payment)).expect("an answer"));
            if twice {
                let second = told(&other.reply().expect("an answer"));
                assert_eq!(first, second, "{}: two answers to one command", payment.name);
            }
            if rng.chance(20) {
                let again = wire.ask(&self.ask(&payment)).expect("an answer");
                if again.status == 201 {
                    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", payment.name);
                }
                assert_eq!(told(&again), first, "{}: another answer to a retry", payment.name);
            }
            all.push(first);
        }
        all
    }
}

#[test]
fn one_account_under_the_hammer() {
    let place = Place::new();
    let world = World::real(51);
    let holder = world.holder(unit(), 0);
    let (brand, at) = world.brand_of(unit());
    let all = POINTS * COVERED as u64;
    let token = world.token(brand, unit(), "all-points", holder.account, all, tallyhouse::clock::now());
    let award = world.alone(world.statement(&brand.issuing[at], Typ::PointToken, &token));
    found(&world, &place.home, &[world.open_account("open", unit(), &holder), award]);
    let config = place.config("[api]\nper_key = 1000000\nper_address = 1000000\n");
    let mut server = Process::start(place.dir(), &config);
    let hammer = Hammer { world, holder, nonces: AtomicU64::default(), deadline: now() + 3_600 };

    let begun = Instant::now();
    let told: Vec<Told> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|which| {
                let (hammer, server) = (&hammer, &server);
                scope.spawn(move || hammer.client(server, which))
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    let took = begun.elapsed();
    println!("{} payments in {:.1} s", told.len(), took.as_secs_f64());
    assert!(told.len() >= 10_000);
    assert!(took < Duration::from_secs(60), "{took:?}");
    server.signal("TERM");
    assert!(server.ended(Duration::from_secs(40)).expect("it ends").success(), "{}", server.errors());

    let paid: BTreeSet<(u64, String)> = told
        .iter()
        .filter_map(|told| match told {
            Told::Paid { seq, payment } => Some((*seq, payment.clone())),
            Told::Refused(code) => {
                assert_eq!(code, "insufficient_points");
                None
            }
        })
        .collect();
    assert_eq!(paid.len(), COVERED, "as many payments as there were points for, each one told once");
    check(&hammer, &place, &paid);
}

/// What the log says: after each payment there is less by exactly what it took, and never less than nothing.
fn check(hammer: &Hammer, place: &Place, paid: &BTreeSet<(u64, String)>) {
    let network = Network::open(&place.home, &hammer.world.log.secret, &place.tuning()).expect("opens");
    let account = network.engine.account(hammer.holder.account).expect("read").expect("an account");
    assert_eq!(account.total().get(), 0);
    network.engine.settle().expect("followed");
    let moved = network.views.history(hammer.holder.account, None, 20_000).expect("read").what;
    let (award, payments) = moved.split_last().expect("movements");
    assert_eq!(award.amount, (POINTS * COVERED as u64) as i64);
    let mut left = award.balance;
    for one in payments.iter().rev() {
        left -= POINTS as i64;
        assert_eq!((one.amount, one.balance), (-(POINTS as i64), left), "entry {}", one.seq);
        assert!(left >= 0, "entry {} overspent", one.seq);
    }
    assert_eq!(left, 0);
    let moved = payments.iter().map(|one| (one.seq, one.payment.expect("a payment").to_string()));
    assert_eq!(moved.collect::<BTreeSet<_>>(), *paid, "what was told is what happened");
    network.close().expect("closes");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
}
