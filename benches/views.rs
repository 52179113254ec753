//! How fast the views take awards in, and what they occupy on disk.
//!
//! Owns: a made-up log: batches of 10,000 awards over a million accounts, most of them to few, taken in runs
//! of 100,000.
//! Promises: the rate is of the second half, when most accounts are known; it counts the time that this
//! thread had a processor, since the machine may be shared (only Linux tells; elsewhere it is wall time).
//! Refuses to know: deciding and keeping the log, which `tallyhouse bench` measures.

use std::time::{Duration, Instant};
use tallyhouse::book::{Done, Expiry, Leg, Name, Place, Record, Shared, Unit};
use tallyhouse::machine::{Effect, Event, Kind};
use tallyhouse::types::{AccountId, Asset, Hash, Time, UnitCode};
use tallyhouse::views::Views;

const RUNS: u64 = 30;
const BATCHES: u64 = 10;
const LINES: u64 = 10_000;
/// Entries before the first award, so that ids are as long as those of a log that has been used.
const BEFORE: u64 = 150_000;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut views = Views::open(dir.path()).expect("views");
    let mut log = Log::new();
    let start: Vec<Event> = (0..BEFORE).map(|_| log.entry(Kind::UnitDefined, vec![])).collect();
    take(&mut views, &start);
    take(&mut views, &[log.define()]);
    let (mut taking, mut wall) = (Duration::ZERO, Duration::ZERO);
    for run in 0..RUNS {
        let events: Vec<Event> = (0..BATCHES).map(|_| log.batch()).collect();
        let (began, busy) = (Instant::now(), processor());
        take(&mut views, &events);
        if run >= RUNS / 2 {
            wall += began.elapsed();
            taking += processor().zip(busy).map_or(began.elapsed(), |(now, then)| now - then);
        }
    }
    drop(views);
    let bytes = std::fs::metadata(dir.path().join("views.sqlite")).expect("a file").len();
    let count = (RUNS - RUNS / 2) * BATCHES * LINES;
    println!(
        "movements a second: {:.0} of processor time, {:.0} of wall time; {} bytes an award, accounts included",
        count as f64 / taking.as_secs_f64(),
        count as f64 / wall.as_secs_f64(),
        bytes / (RUNS * BATCHES * LINES),
    );
}

fn take(views: &mut Views, events: &[Event]) {
    views.take(&events.iter().collect::<Vec<_>>()).expect("taken");
}

/// How long this thread has had a processor.
fn processor() -> Option<Duration> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(spent.split(' ').next()?.parse().ok()?))
}

struct Log {
    seq: u64,
    unit: UnitCode,
    at: Time,
    chance: u64,
    balances: Vec<i64>,
}

impl Log {
    fn new() -> Self {
        let (unit, at) =
            ("HARVEST".parse().expect("a unit"), "2026-01-01T12:00:00.123456Z".parse().expect("an instant"));
        Self { seq: 0, unit, at, chance: 1, balances: vec![0; 1_000_001] }
    }

    fn entry(&mut self, kind: Kind, effects: Vec<Effect>) -> Event {
        let seq = self.seq;
        self.seq += 1;
        Event { seq, hash: Hash::blake3(&seq.to_be_bytes()), at: self.at, kind, effects }
    }

    fn define(&mut self) -> Event {
        let unit = Unit {
            brand: "br_harvest".parse().expect("a brand"),
            version: 1,
            scale: 0,
            offset: 60,
            expiry: Expiry::Never,
            pending_days: 0,
            grace_days: 0,
            issue_cap: None,
            min_spend: None,
            offer_cap: None,
            notice: None,
            floor: vec![],
            kept: None,
            frozen: false,
        };
        let mut done = Done::default();
        done.put(Name::Unit(self.unit), Some(Record::from(unit).into()));
        self.entry(Kind::UnitDefined, vec![Effect { tag: None, done }])
    }

    fn batch(&mut self) -> Event {
        let lines = (0..LINES).map(|_| self.award()).collect();
        self.entry(Kind::PointsBatch, lines)
    }

    /// An award to the account of rank r, which comes with a chance of about 1 / r.
    fn award(&mut self) -> Effect {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let rank = 1e6_f64.powf((self.chance >> 11) as f64 / (1u64 << 53) as f64) as usize;
        let key = Hash::blake3(&rank.to_be_bytes()).0;
        let account = AccountId(u128::from_be_bytes(key[..16].try_into().expect("16 bytes")));
        let amount = rank as i64 % 500 + 1;
        self.balances[rank] += amount;
        let leg = |place, amount, after| Leg { place, asset: Asset::Unit(self.unit), amount, after };
        let legs = vec![
            leg(Place::Holder(account), amount, Some(self.balances[rank])),
            leg(Place::Shared(self.unit, Shared::Issuance), -amount, None),
        ];
        let mut done = Done::default();
        done.legs = legs;
        Effect { tag: None, done }
    }
}
