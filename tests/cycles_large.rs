//! A cycle of very many participants through the real engine: how long sealing and computing it take, and how long others
//! wait meanwhile.
//!
//! Owns: the figures that it prints. `CYCLE_PARTICIPANTS` (120; 2000 for the figures of the README) and `CYCLE_BILLS` (5
//! for each participant; an obligation for each of a bill's units) say how large.
//! Promises: the ledger of `cut` reads every entry; what was computed is what the entries say, to the last participant.
//! Refuses to know: HTTP.

mod common;
mod cut;

use common::funds::{account, certify_tellers};
use common::house::{eur, step};
use common::rng::Rng;
use cut::crowd::Crowd;
use cut::desk::follow;
use cut::ledger::Ledger;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::app::{Options, verify};
use tallyhouse::clearing::{ComputeCycle, Move, MoveCycle, SealCycle};

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Pays one bill after the other until it is told to stop; how long each waited for its answer, the longest first.
fn pay_on(crowd: &Crowd, over: &AtomicBool) -> Vec<Duration> {
    let (mut rng, mut waited) = (Rng::new(9), vec![]);
    while !over.load(Ordering::SeqCst) {
        let request = crowd.bill(&mut rng, &crowd.town.cid());
        let begun = Instant::now();
        crowd.town.send(&request).expect("paid");
        waited.push(begun.elapsed());
    }
    waited.sort_unstable_by(|a, b| b.cmp(a));
    waited
}

#[test]
fn a_cycle_of_very_many_participants() {
    let many = number("CYCLE_PARTICIPANTS", 120);
    let bills = number("CYCLE_BILLS", 5 * many);
    let begun = Instant::now();
    let crowd = Crowd::new(81, many);
    crowd.award();
    println!(
        "{many} participants, each with brand, unit, till and customer: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let (begun, mut rng) = (Instant::now(), Rng::new(8));
    crowd.all((0..bills).map(|n| crowd.bill(&mut rng, &format!("bill-{n}"))));
    println!("{bills} bills: {:.1} s", begun.elapsed().as_secs_f64());
    let (town, mut ledger) = (&crowd.town, Ledger::default());
    follow(town, &mut ledger);
    let obligations = ledger.obligations.len();
    let over = AtomicBool::new(false);
    let waited = std::thread::scope(|scope| {
        let payer = scope.spawn(|| pay_on(&crowd, &over));
        let begun = Instant::now();
        town.ask(&town.analyst, &[], "cycle.seal", &SealCycle { cycle: 1 }).expect("sealed");
        let sealed = begun.elapsed();
        follow(town, &mut ledger);
        let begun = Instant::now();
        let digest = ledger.digest(1);
        let args = ComputeCycle { cycle: 1, version: 1, digest };
        town.ask(&town.analyst, &[], "cycle.compute", &args).expect("computed");
        let computed = begun.elapsed();
        println!("{obligations} obligations: sealed in {sealed:.1?}, computed in {computed:.1?}");
        for brand in &town.world.brands {
            let account = account(&town.world, &brand.participant, eur());
            for request in certify_tellers(&town.world, brand).iter().chain(&account) {
                town.send(request).expect("banked");
            }
        }
        let until = Some(town.now().seconds() + 3);
        town.ask(&town.analyst, &[], "cycle.move", &MoveCycle { until, ..step(1, Move::Review) })
            .expect("reviewed");
        town.pass(3);
        let args = MoveCycle { version: Some(1), ..step(1, Move::Approve) };
        town.ask(&town.analyst, &town.approvers[..2], "cycle.move", &args).expect("approved");
        over.store(true, Ordering::SeqCst);
        payer.join().expect("the payer")
    });
    println!(
        "{} payments meanwhile waited {:.1?} at the most, {:.1?} in the middle",
        waited.len(),
        waited[0],
        waited[waited.len() / 2]
    );
    follow(town, &mut ledger);
    let nets = ledger.nets_of(1);
    assert!(
        obligations >= 3 * bills && nets.len() > many * 9 / 10,
        "{obligations} obligations, {} nets",
        nets.len()
    );
    assert!(ledger.amounts(1).len() > many * 9 / 10, "nearly everybody pays or is paid");
    ledger.homes().unwrap_or_else(|what| panic!("{what}"));
    let place = &crowd.town.place;
    crowd.town.network.close().expect("closes");
    let begun = Instant::now();
    let report = verify(&place.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    assert_eq!(report.finding, None);
    println!("verified in {:.1} s", begun.elapsed().as_secs_f64());
}
