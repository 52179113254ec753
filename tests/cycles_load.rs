//! Cycles under full load: many threads trade through the real engine while one seals cycles as fast as it is let and one
//! takes each of them to its end.
//!
//! Owns: the load, and random histories on the pure core under the same eyes.
//! Promises: what clearing promises is read out of the entries' bytes alone, at every entry, by code that shares nothing
//! with the crate (`cut/ledger.rs`); then the log verifies.
//! Refuses to know: HTTP.

mod common;
mod cut;

use common::node::{replay_by_applying, replay_by_checking};
use common::rng::Rng;
use cut::desk::{Desk, follow, seal};
use cut::history::History;
use cut::ledger::{Ledger, Nets};
use cut::town::{Sale, Told, Town, Trader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tallyhouse::app::{Options, verify};
use tallyhouse::types::Refusal;

const TRADERS: u64 = 6;
const STEPS: u64 = 250;
const CYCLES: u64 = 24;
/// Sales whose order must not matter.
const SALES: usize = 300;
const HISTORIES: u64 = 12;

/// Says that trade is over, also if it ended in a panic: whoever waits for that must not wait for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Trades while cycles are sealed and taken to their end; what trade gave, who cleared, how many cycles were sealed.
fn cleared<T>(town: &Town, trade: impl FnOnce() -> T) -> (T, Desk<'_>, u64) {
    let (over, sealed) = (AtomicBool::new(false), OnceLock::new());
    let mut desk = Desk::new(town);
    let traded = std::thread::scope(|scope| {
        scope.spawn(|| sealed.set(seal(town, &over)).expect("once"));
        scope.spawn(|| desk.work(&sealed));
        let _over = Over(&over);
        trade()
    });
    (traded, desk, sealed.into_inner().expect("sealed"))
}

/// Closes the network, and has all of it decided again.
fn verified(town: Town) {
    let Town { network, place, .. } = town;
    network.close().expect("closes");
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    assert!(report.views && report.records > 0, "live state and views were compared");
}

#[test]
fn cycles_sealed_under_full_load_keep_what_clearing_promises() {
    let (town, begun) = (Town::new(71), Instant::now());
    let (traders, desk, last) = cleared(&town, || {
        std::thread::scope(|scope| {
            let town = &town;
            let trade = |n| {
                let mut trader = Trader::new(town, n);
                // At least so long that many cycles are cut meanwhile.
                let enough = |n| n >= STEPS && town.sealed.load(Ordering::SeqCst) >= CYCLES;
                (0..40 * STEPS).take_while(|n| !enough(*n)).for_each(|_| trader.step());
                trader
            };
            let traders: Vec<_> = (0..TRADERS).map(|n| scope.spawn(move || trade(n))).collect();
            traders.into_iter().map(|trader| trader.join().expect("a trader")).collect::<Vec<_>>()
        })
    });
    let Desk { mut ledger, mut told, .. } = desk;
    let mut refusals: BTreeMap<Refusal, u64> = BTreeMap::new();
    for trader in traders {
        told.extend(trader.told);
        for (code, n) in trader.refusals {
            *refusals.entry(code).or_default() += n;
        }
    }
    println!(
        "{} answers, {last} cycles in {:.1} s; refused: {refusals:?}",
        told.len(),
        begun.elapsed().as_secs_f64()
    );
    follow(&town, &mut ledger);
    // Every obligation is in exactly one cycle, and trade went on in most of them.
    let homes = ledger.homes().unwrap_or_else(|what| panic!("{what}"));
    let traded: BTreeSet<u64> = ledger.obligations.iter().map(|one| one.cycle).collect();
    assert!(
        last > CYCLES && traded.len() as u64 > last / 2,
        "{last} cycles, obligations in {}",
        traded.len()
    );
    let (voided, settled) = (ledger.with("voided"), ledger.with("settled"));
    assert!(voided >= 4 && settled >= 8, "{voided} given up, {settled} settled");
    assert_eq!((voided + settled) as u64, last, "each sealed cycle came to its end");
    let carried = |home: &&u64| ledger.fact(**home, "includes").is_some();
    assert!(homes.keys().filter(carried).count() >= 2, "some obligations were carried");
    let wanted = [
        "payment.authorised",
        "payment.captured",
        "payment.refunded",
        "exchange.made",
        "dispute.filed",
        "dispute.moved",
        "objection.answered",
    ];
    for kind in wanted {
        assert!(ledger.kinds.get(kind).is_some_and(|n| *n >= 3), "{kind}: {:?}", ledger.kinds);
    }
    happened(&town, &told);
    verified(town);
}

/// Each answer names an entry of the log that is of its kind.
fn happened(town: &Town, told: &Told) {
    let read = town.network.engine.read();
    let (mut next, mut found) = (0, 0);
    loop {
        let envelopes = read.read_envelopes(next, 1_000).expect("read");
        let Some(last) = envelopes.last() else { break };
        next = last.seq + 1;
        for envelope in &envelopes {
            let Some(kind) = told.get(&envelope.seq) else { continue };
            let text = format!("\"kind\":\"{kind}\"");
            assert!(
                String::from_utf8_lossy(&envelope.bytes).contains(&text),
                "{} is no {kind}",
                envelope.seq
            );
            found += 1;
        }
    }
    assert_eq!(found, told.len());
}

/// Sells all of it, from so many threads at once.
fn sell(town: &Town, sales: &[(String, Sale)], threads: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, sale)) = sales.get(next.fetch_add(1, Ordering::SeqCst)) {
                    town.send(&town.bill(name, sale)).expect("sold");
                }
            });
        }
    });
}

/// What each participant has in all cycles together.
fn totals(town: Town) -> Nets {
    let mut ledger = Ledger::default();
    follow(&town, &mut ledger);
    let nets = ledger.total();
    verified(town);
    nets
}

#[test]
fn neither_order_nor_cuts_change_what_independent_payments_come_to() {
    let mut rng = Rng::new(5);
    // Nobody runs out of points, and a till without limits: so no sale decides about another.
    let sale = |rng: &mut Rng| Sale { till: 0, capture: true, ..Sale::any(rng) };
    let mut sales: Vec<(String, Sale)> = (0..SALES).map(|n| (format!("sale-{n}"), sale(&mut rng))).collect();
    let town = Town::new(72);
    sell(&town, &sales, 1);
    let in_order = totals(town);
    assert!(in_order.len() >= 3, "{in_order:?}");
    for at in (1..sales.len()).rev() {
        sales.swap(at, rng.index(at + 1));
    }
    let town = Town::new(72);
    let ((), desk, last) = cleared(&town, || sell(&town, &sales, 4));
    drop(desk);
    assert!(last >= 3, "{last} cycles");
    assert_eq!(totals(town), in_order);
}

#[test]
fn random_histories_are_foreseen() {
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    let steps = if cfg!(debug_assertions) { 300 } else { 900 };
    for seed in 0..HISTORIES {
        let mut history = History::new(seed);
        history.play(steps);
        history.ledger.homes().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        for (what, n) in history.met {
            *met.entry(what).or_default() += n;
        }
        let node = &history.house.node;
        assert_eq!(replay_by_applying(&node.entries).bytes(), node.state.bytes());
        assert_eq!(replay_by_checking(&node.entries, false).0.bytes(), node.state.bytes());
    }
    println!("{met:#?}");
    // They met what they are about, right and wrong.
    let wanted = [
        "Seal ok",
        "Seal cycle_stage",
        "Seal cycle_unknown",
        "Compute ok",
        "Compute cycle_digest",
        "Compute cycle_open_work",
        "Compute cycle_stage",
        "Compute serial_stale",
        "SetOff ok",
        "SetOff cycle_digest",
        "SetOff cycle_stage",
        "Confirm ok",
        "Confirm cycle_open_work",
        "Review ok",
        "Return ok",
        "Object ok",
        "Answer ok",
        "Approve ok",
        "Approve cycle_open_work",
        "Approve serial_stale",
        "PayIn ok",
        "PayIn cycle_stage",
        "Shortfall ok",
        "Shortfall cycle_open_work",
        "Cover ok",
        "PayOut ok",
        "PayOut cycle_stage",
        "Settle ok",
        "Settle cycle_open_work",
        "Void ok",
        "Void cycle_stage",
    ];
    let missing: Vec<_> = wanted.iter().filter(|what| !met.contains_key(**what)).collect();
    assert!(missing.is_empty(), "not met: {missing:?} of {met:?}");
}
