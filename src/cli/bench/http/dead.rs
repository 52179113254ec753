//! Reads while the Redis that is configured does not answer: nobody listens there, or somebody does and says nothing.
//!
//! Owns: the three ways to run the same server, and what they are compared by.
//! Promises: balances are read from state in all three, since too few are kept at hand: that is when a Redis is asked.
//! Refuses to know: how a reader finds out that nobody answers.

use super::server::{Prepared, Server};
use super::{Args, Extent, Figure, Target};
use crate::clock;
use crate::config::Config;
use crate::store::Home;
use std::fmt;
use std::net::TcpListener;

/// One in so many of the accounts that are read is kept at hand.
const SHARE: u64 = 10;

/// Without a Redis, with one that refuses, with one that is silent.
const NAMES: [&str; 3] = ["reads", "refused", "silent"];

/// Measures all three on one network.
pub(super) fn measure(
    args: &Args,
    home: &Home,
    prepared: &Prepared,
    config: &Config,
    extent: Extent,
) -> Result<Vec<Figure>, String> {
    // It takes connections into its backlog, and never looks at them.
    let silent = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let silent = (format!("redis://{}", silent.local_addr().map_err(|e| e.to_string())?), silent);
    let mut figures = vec![];
    for (name, url) in NAMES.into_iter().zip(["", "redis://127.0.0.1:1", &silent.0]) {
        let mut config = config.clone();
        url.clone_into(&mut config.redis);
        config.cache.rows = usize::try_from(extent.payers / SHARE).unwrap_or(usize::MAX).max(1);
        let server = Server::start(home, prepared, &config)?;
        let target =
            Target { url: server.url.clone(), secret: prepared.secret.clone(), run: clock::now().seconds() };
        let measured = args.load(extent, prepared.world.clone(), &target);
        server.stop()?;
        let reads = measured?.into_iter().filter(|figure| figure.work != "hello");
        figures.extend(reads.map(|figure| Figure { work: name, ..figure }));
    }
    Ok(figures)
}

/// What becomes of the slowest reads.
pub(super) fn compared(figures: &[Figure], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for row in figures.iter().filter(|row| NAMES[1..].contains(&row.work)) {
        let same = |other: &&Figure| other.work == NAMES[0] && other.connections == row.connections;
        let Some(without) = figures.iter().find(same) else { continue };
        let what = if row.work == NAMES[1] { "that refuses" } else { "that is silent" };
        writeln!(
            f,
            "p99 of balances with a Redis {what} is {:.2} of that without one, {} connections",
            row.p99_ms / without.p99_ms.max(0.001),
            row.connections
        )?;
    }
    Ok(())
}
