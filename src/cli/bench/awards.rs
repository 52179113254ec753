//! Awards in signed batches: parsed, checked line by line, looked up, durable.

use super::payments::tenths;
use super::world::{World, account};
use crate::app::Network;
use crate::machine::Request;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What the batches came to.
#[derive(Serialize)]
pub struct Figure {
    pub(super) awards: u64,
    pub(super) lines: usize,
    pub(super) accounts: u64,
    /// Whether they got awards in turn; else by a zipfian distribution.
    pub(super) even: bool,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) drain_seconds: f64,
    pub(super) bytes_per_award: f64,
    /// Accounts that got something.
    pub(super) opened: usize,
    /// How many a second in each tenth of the batches, in their order.
    pub(super) tenths: Vec<f64>,
}

/// Zipfian numbers below n with exponent 0.99, by the method of Gray et al. (SIGMOD 1994).
pub(super) struct Zipf {
    n: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub(super) fn new(n: u64) -> Self {
        let zeta = |n: u64| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        let all = zeta(n);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - THETA)) / (1.0 - zeta(2) / all);
        Self { n: n as f64, alpha: 1.0 / (1.0 - THETA), zeta: all, eta }
    }

    pub(super) fn draw(&self, u: f64) -> u64 {
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

/// Who gets the awards.
pub(super) struct Receivers {
    accounts: u64,
    /// None: one after the other.
    zipf: Option<Zipf>,
}

impl Receivers {
    pub(super) fn new(accounts: u64, even: bool) -> Self {
        Self { accounts, zipf: (!even).then(|| Zipf::new(accounts)) }
    }

    fn of(&self, award: u64, random: &mut rand::rngs::StdRng) -> u64 {
        match &self.zipf {
            Some(zipf) => zipf.draw(random.random()),
            None => award % self.accounts,
        }
    }
}

/// Batches that were made beforehand. Their lines wait in a file: in memory they would stand for the memory
/// of the engine.
struct Waiting {
    file: File,
    batches: VecDeque<(Vec<String>, usize)>,
}

impl Waiting {
    fn new(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { file, batches: VecDeque::new() })
    }

    fn push(&mut self, batch: &Request) -> std::io::Result<()> {
        let lines = batch.lines.as_deref().unwrap_or_default();
        self.batches.push_back((batch.jws.clone(), lines.len()));
        self.file.write_all(lines)
    }

    fn pop(&mut self) -> std::io::Result<Option<Request>> {
        let Some((jws, length)) = self.batches.pop_front() else { return Ok(None) };
        let mut lines = vec![0; length];
        self.file.read_exact(&mut lines)?;
        Ok(Some(Request { jws, lines: Some(Arc::from(lines)), http: None }))
    }
}

/// Accounts that most awards of a past go to.
const BUSY: u64 = 1_000_000;
/// What a batch of a past is at the most.
const PAST_LINES: u64 = 10_000;

/// Gives a network a past: awards for it to have when it is measured. The first go to one account after the other, in the
/// order of their ids, which is how so many are soonest there; the others to a million of them, zipfian. Returns how many a
/// second went in, in each tenth, made and taken at once.
pub(super) fn past(world: &World, network: &Network, awards: u64, accounts: u64) -> Result<Vec<f64>, String> {
    let reached = accounts.min(awards);
    let mut all: Vec<_> = (0..reached).map(|i| (account(i), i)).collect();
    all.sort_unstable();
    let mut opened = all.into_iter().map(|(_, i)| i);
    let zipf = Zipf::new(accounts.min(BUSY));
    let mut random = rand::rngs::StdRng::seed_from_u64(11);
    let (mut made, mut begun) = (0, Instant::now());
    let (mut tickets, mut stretches) = (VecDeque::<crate::engine::Ticket>::new(), vec![]);
    while made < awards || !tickets.is_empty() {
        if made < awards {
            let some = (awards - made).min(PAST_LINES);
            let ids: Vec<u64> =
                (0..some).map(|_| opened.next().unwrap_or_else(|| zipf.draw(random.random()))).collect();
            let request = world.batch(&format!("past{made}"), made, &ids, 5);
            let command = network.engine.check(&request).map_err(|e| e.to_string())?;
            tickets.push_back(network.engine.submit(command, world.at()));
            made += some;
        }
        if (tickets.len() > 2 || made == awards)
            && let Some(ticket) = tickets.pop_front()
        {
            ticket.wait().map_err(|e| e.to_string())?;
            stretches.push((PAST_LINES as usize, begun.elapsed()));
            begun = Instant::now();
        }
    }
    Ok(tenths(&stretches))
}

/// Makes all batches beforehand, then sends them, two on the way at a time.
pub(super) fn measure(
    world: &World,
    network: &Network,
    awards: u64,
    lines: usize,
    receivers: &Receivers,
) -> Result<Figure, String> {
    let accounts = receivers.accounts;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut waiting = Waiting::new(&network.dir.with_extension("batches")).map_err(|e| e.to_string())?;
    let mut got = vec![false; usize::try_from(accounts).map_err(|e| e.to_string())?];
    let mut made = 0;
    while made < awards {
        let some = (awards - made).min(lines as u64);
        let ids: Vec<u64> = (made..made + some).map(|award| receivers.of(award, &mut random)).collect();
        for id in &ids {
            if let Some(got) = got.get_mut(*id as usize) {
                *got = true;
            }
        }
        let batch = world.batch(&format!("b{made}"), made, &ids, 5);
        waiting.push(&batch).map_err(|e| e.to_string())?;
        made += some;
    }
    waiting.file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let (mut tickets, mut answered, mut stretches) = (VecDeque::new(), Instant::now(), vec![]);
    let mut wait = |ticket: crate::engine::Ticket| {
        ticket.wait().map_err(|e| e.to_string())?;
        stretches.push((lines, answered.elapsed()));
        answered = Instant::now();
        Ok::<_, String>(())
    };
    while let Some(request) = waiting.pop().map_err(|e| e.to_string())? {
        let command = network.engine.check(&request).map_err(|e| e.to_string())?;
        tickets.push_back(network.engine.submit(command, world.at()));
        if tickets.len() > 2
            && let Some(ticket) = tickets.pop_front()
        {
            wait(ticket)?;
        }
    }
    for ticket in tickets {
        wait(ticket)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    network.engine.settle().map_err(|e| e.to_string())?;
    let drain_seconds = begun.elapsed().as_secs_f64();
    let per_second = awards as f64 / seconds;
    let opened = got.iter().filter(|got| **got).count();
    let tenths = tenths(&stretches);
    let bytes_per_award = 0.0;
    Ok(Figure {
        awards,
        lines,
        accounts,
        even: receivers.zipf.is_none(),
        seconds,
        per_second,
        drain_seconds,
        bytes_per_award,
        opened,
        tenths,
    })
}
