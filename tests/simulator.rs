//! The simulator's entry. `SIM_SEEDS` says how many seeds (100; 40 for the real engine), `SIM_SEED` runs one, `SIM_STEPS` says
//! how many commands each (10,000 in a release build). See `sim/mod.rs`.

mod common;
mod sim;

use common::node::{How, PureNode, Replay};
use common::world::{World, beginning};
use sim::{Plan, Tally};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

#[test]
fn the_founded_world_replays() {
    let world = World::new(1);
    let node = PureNode::founded(&world);
    for how in [How::Apply, How::Check(true)] {
        let mut replay = Replay::new(how);
        replay.follow(&node.entries).unwrap_or_else(|what| panic!("{what}"));
        replay.same(&node.state).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(replay.state.bytes(), node.state.bytes());
        assert!(how == How::Apply || replay.signatures > 60);
    }
    assert!(node.chain.last_at() > Some(beginning()));
}

/// Runs all seeds of a plan on two threads and stops at the first that fails.
fn run_all(name: &str, plan: &Plan, run: impl Fn(u64, u64) -> Result<Tally, String> + Sync) -> Tally {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    println!("{name}: {} seeds of {} commands, from seed {}", plan.seeds.len(), plan.steps, plan.seeds[0]);
    let work = || {
        while let Some(seed) = plan.seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(|| run(*seed, plan.steps)));
            let done = done.unwrap_or_else(|_| Err("it panicked, see above".into()));
            match done {
                Ok(tally) => total.lock().unwrap_or_else(PoisonError::into_inner).add(&tally),
                Err(what) => {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.get_or_insert((*seed, what));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    if let Some((seed, what)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let again = format!("SIM_SEED={seed} SIM_STEPS={} cargo test --test simulator {name}", plan.steps);
        panic!("seed {seed}: {what}\nto replay: {again}");
    }
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn pure() {
    let plan = Plan::from_environment(100, if cfg!(debug_assertions) { 1_000 } else { 10_000 });
    let tally = run_all("pure", &plan, sim::pure::run);
    println!("{tally}");
}

#[test]
fn real() {
    let plan = Plan::from_environment(40, if cfg!(debug_assertions) { 300 } else { 10_000 });
    let tally = run_all("real", &plan, sim::real::run);
    println!("{tally}");
}
