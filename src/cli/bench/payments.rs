//! Independent callers: each sends a payment, waits for its durable answer, and sends the next.

use super::world::World;
use crate::app::Network;
use crate::machine::Command;
use crate::types::Time;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What one number of callers came to.
#[derive(Serialize)]
pub struct Figure {
    pub(super) callers: usize,
    pub(super) payments: usize,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    pub(super) per_commit: f64,
    /// How many a second in each tenth of the rounds, in their order: does it slow down as the log grows?
    pub(super) tenths: Vec<f64>,
}

/// Rates of each tenth of some stretches of work, each a number and a time.
pub(super) fn tenths(stretches: &[(usize, Duration)]) -> Vec<f64> {
    let rate = |some: &[(usize, Duration)]| {
        let (done, took) = some.iter().fold((0, Duration::ZERO), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        done as f64 / took.as_secs_f64()
    };
    stretches.chunks(stretches.len().div_ceil(10).max(1)).map(rate).collect()
}

/// Opens and fills the accounts that pay.
pub(super) fn prepare(world: &World, network: &Network, payers: u64) -> Result<(), String> {
    let mut tickets = vec![];
    for i in 0..payers {
        let request = world.open_account(i);
        let command = Command::read_unsigned(&request, world.net).map_err(|e| e.to_string())?;
        tickets.push(network.engine.submit(command, world.at()));
    }
    for ticket in tickets {
        ticket.wait().map_err(|e| e.to_string())?;
    }
    let all: Vec<u64> = (0..payers).collect();
    for (number, some) in all.chunks(10_000).enumerate() {
        let first = number as u64 * 10_000;
        let request = world.batch(&format!("fill{number}"), first, some, 1_000_000);
        network.engine.ask(&request, world.at()).map_err(|e| e.to_string())?;
    }
    network.engine.settle().map_err(|e| e.to_string())
}

/// Commands made for one round, over all callers: enough for a round of some tenths of a second, and few
/// enough that the commands, which wait in memory, do not stand for the memory of the engine.
const ROUND: usize = 12_000;

/// Measures each number of callers in turn, in rounds: commands are made and signed, then sent and timed.
/// The first round warms up and is left out.
pub(super) fn measure(
    world: &World,
    network: &Network,
    callers: &[usize],
    seconds: f64,
    payers: u64,
) -> Result<Vec<Figure>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let engine = &network.engine;
    let mut number = 0;
    let mut figures = vec![];
    for callers in callers {
        // A lone caller waits for the disk most of the time: fewer commands take as long.
        let each = (ROUND.min(2_000 * callers) / callers).max(10);
        let (mut elapsed, mut latencies, mut commits, mut rounds) = (Duration::ZERO, vec![], 0, vec![]);
        let mut warm = false;
        while elapsed.as_secs_f64() < seconds {
            let queues = queues(world, &mut number, *callers, each, payers)?;
            let before = engine.commits();
            let (took, some) = drive(&runtime, engine, queues, world.at())?;
            if warm {
                elapsed += took;
                rounds.push((some.len(), took));
                latencies.extend(some);
                commits += engine.commits() - before;
            }
            warm = true;
        }
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
            latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        figures.push(Figure {
            callers: *callers,
            payments: latencies.len(),
            seconds: elapsed.as_secs_f64(),
            per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            per_commit: latencies.len() as f64 / commits.max(1) as f64,
            tenths: tenths(&rounds),
        });
        engine.settle().map_err(|e| e.to_string())?;
    }
    Ok(figures)
}

/// A queue of signed payments for each caller, made on all cores.
fn queues(
    world: &World,
    number: &mut u64,
    callers: usize,
    each: usize,
    payers: u64,
) -> Result<Vec<Vec<Command>>, String> {
    let first = *number;
    *number += (callers * each) as u64;
    let made = |caller: usize| {
        let from = first + (caller * each) as u64;
        let all = (from..from + each as u64).map(|number| {
            // Accounts in a scattered order: neighbours in time are not neighbours in the store.
            let request = world.payment(number, number * 7_919 % payers);
            Command::read_unsigned(&request, world.net).map_err(|e| e.to_string())
        });
        all.collect::<Result<Vec<_>, _>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let share = |thread: usize| (0..callers).filter(move |caller| caller % threads == thread);
        let work = |thread| move || share(thread).map(made).collect::<Result<Vec<_>, _>>();
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        let mut all = vec![];
        for thread in running {
            all.extend(thread.join().map_err(|_| "making commands ended in a panic")??);
        }
        Ok(all)
    })
}

/// Lets all callers run until one of them has nothing left; what was answered by then counts.
fn drive(
    runtime: &tokio::runtime::Runtime,
    engine: &crate::engine::Engine,
    queues: Vec<Vec<Command>>,
    at: Option<Time>,
) -> Result<(Duration, Vec<Duration>), String> {
    let begun = Arc::new(std::sync::OnceLock::new());
    let handle = engine.handle();
    runtime.block_on(async {
        let tasks: Vec<_> = queues
            .into_iter()
            .map(|queue| {
                let (handle, begun) = (handle.clone(), begun.clone());
                tokio::spawn(async move {
                    let first: Instant = *begun.get_or_init(Instant::now);
                    let mut latencies = Vec::with_capacity(queue.len());
                    for command in queue {
                        let sent = Instant::now();
                        let answer = handle.submit(command, at).await.await;
                        answer.map_err(|e| e.to_string())?;
                        latencies.push(sent.elapsed());
                    }
                    Ok::<_, String>((first.elapsed(), latencies))
                })
            })
            .collect();
        let (mut longest, mut all) = (Duration::ZERO, vec![]);
        for task in tasks {
            let (elapsed, latencies) = task.await.map_err(|e| e.to_string())??;
            longest = longest.max(elapsed);
            all.extend(latencies);
        }
        Ok((longest, all))
    })
}
