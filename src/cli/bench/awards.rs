//! Awards in signed batches: parsed, checked line by line, looked up, durable.

use super::world::{World, at};
use crate::app::Network;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Instant;

/// What the batches came to.
#[derive(Serialize)]
pub struct Figure {
    pub(super) awards: u64,
    pub(super) lines: usize,
    pub(super) accounts: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) drain_seconds: f64,
    pub(super) bytes_per_award: f64,
}

/// Zipfian numbers below n with exponent 0.99, by the method of Gray et al. (SIGMOD 1994).
struct Zipf {
    n: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    fn new(n: u64) -> Self {
        let zeta = |n: u64| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        let all = zeta(n);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - THETA)) / (1.0 - zeta(2) / all);
        Self { n: n as f64, alpha: 1.0 / (1.0 - THETA), zeta: all, eta }
    }

    fn draw(&self, u: f64) -> u64 {
        let scaled = u * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1;
        }
        let rank = self.n * (self.eta * u - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.n as u64 - 1)
    }
}

/// Makes all batches beforehand, then sends them, two on the way at a time.
pub(super) fn measure(
    world: &World,
    network: &Network,
    awards: u64,
    lines: usize,
    accounts: u64,
) -> Result<Figure, String> {
    let zipf = Zipf::new(accounts);
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut batches = VecDeque::new();
    let mut made = 0;
    while made < awards {
        let some = (awards - made).min(lines as u64);
        let ids: Vec<u64> = (0..some).map(|_| zipf.draw(random.random())).collect();
        batches.push_back(world.batch(&format!("b{made}"), made, &ids, 5));
        made += some;
    }
    let begun = Instant::now();
    let mut tickets = VecDeque::new();
    while let Some(request) = batches.pop_front() {
        let command = network.engine.check(&request).map_err(|e| e.to_string())?;
        tickets.push_back(network.engine.submit(command, at()));
        if tickets.len() > 2
            && let Some(ticket) = tickets.pop_front()
        {
            ticket.wait().map_err(|e| e.to_string())?;
        }
    }
    for ticket in tickets {
        ticket.wait().map_err(|e| e.to_string())?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    network.engine.settle().map_err(|e| e.to_string())?;
    let drain_seconds = begun.elapsed().as_secs_f64();
    let per_second = awards as f64 / seconds;
    Ok(Figure { awards, lines, accounts, seconds, per_second, drain_seconds, bytes_per_award: 0.0 })
}
