//! The same work over HTTP: what does a server carry, its client on the same machine included?
//!
//! Owns: which loads are run, and what is said of them.
//! Promises: warm-up is left out; what was refused or broke is counted apart and never as done.
//! Refuses to know: who runs the server.

mod client;
mod dead;
mod hello;
mod load;
mod server;
mod shown;
#[cfg(test)]
mod stub;
mod work;

pub use work::Work;

use super::world::World;
use crate::clock;
use crate::config::Config;
use crate::store::Home;
use client::Connection;
use load::{Maker, Plan, Tally, run};
use serde::Serialize;
use server::{Prepared, Server};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use work::{Orders, Place};

/// Options for measuring over HTTP.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Measure over HTTP instead, with these numbers of connections
    #[arg(long, value_delimiter = ',', value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    http: Vec<u32>,
    /// What is asked for over HTTP
    #[arg(long, value_enum, value_delimiter = ',', default_value = "payments", requires = "http")]
    work: Vec<Work>,
    /// An open loop: so many requests a second are due, whether or not the server keeps up
    #[arg(long, requires = "http", value_parser = rate)]
    rate: Option<f64>,
    /// Make and sign requests before the clock starts
    #[arg(long, requires = "http")]
    presign: bool,
    /// Everything concerns one account
    #[arg(long, requires = "http")]
    hot: bool,
    /// Measure reads also with a Redis that refuses, and with one that is silent
    #[arg(long, requires = "http", conflicts_with_all = ["url", "prepare"])]
    dead_redis: bool,
    /// Drive a server that runs: `tallyhouse serve` of a network made with --prepare
    #[arg(long, requires_all = ["http", "network"])]
    url: Option<String>,
    /// The folder of that network; its keys are taken from there
    #[arg(long, value_name = "DIR", requires = "url")]
    network: Option<PathBuf>,
    /// The API key for reads there, as --prepare said it
    #[arg(long, value_name = "SECRET", requires = "url")]
    api_key: Option<String>,
    /// Only make a network to be served and driven with --url
    #[arg(long, value_name = "DIR", conflicts_with = "http")]
    prepare: Option<PathBuf>,
    /// So many awards, to --accounts accounts, are in that network already
    #[arg(long, value_name = "AWARDS", default_value_t = 0, requires = "prepare")]
    past: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.1..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("0.1 to 1000000 requests a second".into()),
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// About how long each load is measured.
    pub seconds: f64,
    /// Accounts that pay and are read.
    pub payers: u64,
    /// Accounts that awards go to.
    pub accounts: u64,
    /// Lines in a batch.
    pub lines: u64,
}

impl Args {
    /// Whether anything is to be measured over HTTP.
    pub(super) fn is_wanted(&self) -> bool {
        !self.http.is_empty()
    }

    /// Whether a server is driven that somebody else runs.
    pub(super) fn drives_another(&self) -> bool {
        self.url.is_some()
    }

    /// Where a network is only to be made.
    pub(super) fn prepare(&self) -> Option<&Path> {
        self.prepare.as_deref()
    }

    /// What that network has seen by then.
    pub(super) fn past(&self, accounts: u64) -> Past {
        Past { awards: self.past, accounts }
    }

    /// Measures, on a network made for it at `home` or at the server that runs.
    pub(super) fn measure(
        &self,
        home: &Home,
        config: &Config,
        extent: Extent,
    ) -> Result<Vec<Figure>, String> {
        let target = |url: &str, secret: &str| Target {
            url: url.into(),
            secret: secret.into(),
            run: clock::now().seconds(),
        };
        if let (Some(url), Some(network)) = (&self.url, &self.network) {
            let secret = self.api_key.as_deref().unwrap_or_default();
            return self.load(extent, Prepared::world_of(network)?, &target(url, secret));
        }
        let (prepared, _) = Prepared::make(home, config, extent.payers, &Past::default())?;
        if self.dead_redis {
            return dead::measure(self, home, &prepared, config, extent);
        }
        let server = Server::start(home, &prepared, config)?;
        let figures = self.load(extent, prepared.world.clone(), &target(&server.url, &prepared.secret));
        server.stop()?;
        figures
    }

    /// Runs every load against a server.
    fn load(&self, extent: Extent, world: Arc<World>, target: &Target) -> Result<Vec<Figure>, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let place = Place::of(&target.url)?;
        let address = place.address;
        let (secret, hot, run) = (target.secret.clone(), self.hot, target.run);
        let Extent { payers, accounts, lines, .. } = extent;
        let orders = Arc::new(Orders { world, place, secret, payers, accounts, lines, hot, run });
        let (mut figures, mut number) = (vec![], 0);
        for work in &self.work {
            let consents = match work {
                Work::Shown => shown::open(&runtime, &orders)?,
                _ => vec![],
            };
            let maker = orders.clone().maker(*work, &consents);
            for connections in &self.http {
                let connections = *connections as usize;
                let load = Load { options: self, extent, work: Some(*work), connections, address };
                figures.push(load.measure(&runtime, &maker, &mut number)?);
                if *work == Work::Reads {
                    let workers = std::thread::available_parallelism().map_or(1, usize::from);
                    let hello = hello::Hello::start(workers)?;
                    let load = Load { work: None, address: hello.address, ..load };
                    let figure = load.measure(&runtime, &maker, &mut number);
                    hello.stop()?;
                    figures.push(figure?);
                }
            }
        }
        Ok(figures)
    }
}

/// Awards of a network's past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// How many.
    pub awards: u64,
    /// How many accounts got them.
    pub accounts: u64,
}

/// Makes a network to be served, and says what reads it, and how many awards of its past went in a second, in each tenth.
pub(super) fn prepare(
    home: &Home,
    config: &Config,
    payers: u64,
    past: &Past,
) -> Result<(String, Vec<f64>), String> {
    let (prepared, rates) = Prepared::make(home, config, payers, past)?;
    Ok((prepared.secret, rates))
}

/// A server that runs.
pub(super) struct Target {
    /// As callers sign it.
    pub url: String,
    /// A brand's API key.
    pub secret: String,
    /// When this run began, in Unix seconds.
    pub run: u64,
}

/// What a load came to.
#[derive(Serialize, Debug)]
pub struct Figure {
    pub(super) work: &'static str,
    pub(super) connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered_per_second: Option<f64>,
    presigned: bool,
    hot: bool,
    requests: usize,
    seconds: f64,
    /// Requests that were answered with a success.
    pub(super) accepted_per_second: f64,
    /// Entries between the first and the last that an answer named.
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_per_second: Option<f64>,
    /// Lines of batches in requests that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lines_per_second: Option<f64>,
    pub(super) p50_ms: f64,
    p90_ms: f64,
    pub(super) p99_ms: f64,
    max_ms: f64,
    /// How many requests failed, by status; 0 is a broken connection.
    pub(super) errors: BTreeMap<u16, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
}

/// Requests of one round of a closed loop: those that are made ahead wait in memory.
const ROUND: usize = 12_000;
/// Requests of a round for each second that is to be measured.
const EACH_SECOND: f64 = 20_000.0;
/// Lines of one round.
const LINES: usize = 100_000;
/// Seconds at the beginning of an open loop that are not counted.
const WARM: f64 = 1.0;

/// One load.
#[derive(Clone, Copy)]
struct Load<'a> {
    options: &'a Args,
    extent: Extent,
    /// `None`: the server says hello.
    work: Option<Work>,
    connections: usize,
    address: SocketAddr,
}

impl Load<'_> {
    fn measure(
        self,
        runtime: &tokio::runtime::Runtime,
        maker: &Maker,
        number: &mut u64,
    ) -> Result<Figure, String> {
        let mut connections: Vec<Option<Connection>> = (0..self.connections).map(|_| None).collect();
        let mut send = |count: usize, rate: Option<f64>, warm: usize| {
            let first = *number;
            *number += count as u64;
            let (maker, ahead) = (maker.clone(), self.options.presign);
            let plan = Plan { address: self.address, maker, first, count, ahead, rate, warm };
            runtime.block_on(run(&mut connections, plan))
        };
        if let Some(rate) = self.options.rate {
            let warm = (rate * WARM) as usize;
            let count = warm + (rate * self.extent.seconds).ceil() as usize;
            return Ok(self.figure(send(count, Some(rate), warm)?));
        }
        let round = match self.work {
            Some(Work::Awards) => LINES / self.extent.lines.max(1) as usize,
            _ => (2_000 * self.connections).min((EACH_SECOND * self.extent.seconds) as usize),
        };
        let round = round.clamp(2 * self.connections, ROUND.max(2 * self.connections));
        send(round, None, 0)?;
        let mut tally = Tally::default();
        while tally.elapsed.as_secs_f64() < self.extent.seconds {
            tally.add(send(round, None, 0)?);
        }
        Ok(self.figure(tally))
    }

    fn figure(self, tally: Tally) -> Figure {
        let (accepted, seconds) = (tally.accepted() as f64, tally.elapsed.as_secs_f64());
        let mut latencies = tally.latencies;
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
            latencies.get(place).map_or(0.0, Duration::as_secs_f64) * 1_000.0
        };
        let writes = !matches!(self.work, None | Some(Work::Reads));
        let entries = tally.seqs.filter(|_| writes).map(|(first, last)| (last - first + 1) as f64);
        let lines = (self.work == Some(Work::Awards)).then_some(accepted * self.extent.lines as f64);
        Figure {
            work: match self.work {
                None => "hello",
                Some(Work::Payments) => "payments",
                Some(Work::Shown) => "shown",
                Some(Work::Tokens) => "tokens",
                Some(Work::Awards) => "awards",
                Some(Work::Reads) => "reads",
            },
            connections: self.connections,
            offered_per_second: self.options.rate,
            presigned: self.options.presign,
            hot: self.options.hot,
            requests: latencies.len(),
            seconds,
            accepted_per_second: accepted / seconds,
            committed_per_second: entries.map(|entries| entries / seconds),
            lines_per_second: lines.map(|lines| lines / seconds),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            errors: tally.statuses.into_iter().filter(|(status, _)| !(200..300).contains(status)).collect(),
            first_error: tally.complaint,
        }
    }
}

/// Prints figures as a table.
pub(super) fn table(figures: &[Figure], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    writeln!(
        f,
        "over HTTP, each connection waiting for its answer; in an open loop latency counts from when a request was due"
    )?;
    writeln!(
        f,
        "{:>9} {:>6} {:>9} {:>10} {:>11} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "work",
        "conns",
        "offered/s",
        "accepted/s",
        "committed/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "errors"
    )?;
    for row in figures {
        let some = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.0}"));
        let committed = row.lines_per_second.or(row.committed_per_second);
        writeln!(
            f,
            "{:>9} {:>6} {:>9} {:>10.0} {:>11} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>8}",
            row.work,
            row.connections,
            some(row.offered_per_second),
            row.accepted_per_second,
            some(committed),
            row.p50_ms,
            row.p90_ms,
            row.p99_ms,
            row.max_ms,
            row.errors.values().sum::<u64>()
        )?;
        for (status, number) in &row.errors {
            let what =
                if *status == 0 { "broken connections".to_owned() } else { format!("answers {status}") };
            let first = row.first_error.as_deref().unwrap_or_default();
            writeln!(f, "          {number} {what}; the first: {first}")?;
        }
    }
    for pair in figures.windows(2) {
        if let [reads, hello] = pair
            && hello.work == "hello"
        {
            let share = 100.0 * reads.accepted_per_second / hello.accepted_per_second;
            writeln!(
                f,
                "reads are {share:.0} % of a hello-world of the same server, {} connections",
                reads.connections
            )?;
        }
    }
    dead::compared(figures, f)
}

#[cfg(test)]
mod tests {
    use super::stub::serve;
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// A server that does every second thing that it is asked for, and its address.
    fn server(runtime: &tokio::runtime::Runtime) -> SocketAddr {
        runtime.block_on(serve(|number, mut stream| async move {
            let reply = match number % 2 {
                0 => format!("HTTP/1.1 201 Created\r\ntallyhouse-seq: {number}\r\ncontent-length: 0\r\n\r\n"),
                _ => "HTTP/1.1 429 Slow\r\ncontent-length: 4\r\n\r\nslow".to_owned(),
            };
            stream.write_all(reply.as_bytes()).await?;
            Ok(Some(stream))
        }))
    }

    /// The verb's options, as if typed.
    fn typed(line: &str) -> Result<Args, clap::Error> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let words = std::iter::once("bench").chain(line.split_whitespace());
        <Line as clap::Parser>::try_parse_from(words).map(|line| line.args)
    }

    const EXTENT: Extent = Extent { seconds: 0.1, payers: 10, accounts: 10, lines: 300 };

    #[test]
    fn figures_count_what_was_done_apart_from_what_was_not() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let target =
            Target { url: format!("http://{}", server(&runtime)), secret: "th_test_x".into(), run: 1 };
        let world = Arc::new(World::new(false));
        let args = typed("--http 2 --work reads --rate 500 --presign").expect("options");
        let figures = args.load(EXTENT, world, &target).expect("figures");
        assert_eq!(figures.iter().map(|row| row.work).collect::<Vec<_>>(), ["reads", "hello"]);
        let [reads, hello] = &figures[..] else { panic!("two") };
        assert_eq!((reads.requests, reads.errors.clone()), (50, BTreeMap::from([(429, 25)])));
        assert_eq!(reads.first_error.as_deref(), Some("slow"));
        assert!(reads.accepted_per_second > 100.0 && reads.accepted_per_second <= 260.0, "{reads:?}");
        assert!(hello.errors.is_empty() && hello.requests == 50, "{hello:?}");
        assert!(reads.p50_ms <= reads.p90_ms && reads.p99_ms <= reads.max_ms);
        struct Page(Vec<Figure>);
        impl std::fmt::Display for Page {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                table(&self.0, f)
            }
        }
        let page = Page(figures).to_string();
        assert!(
            page.contains("25 answers 429; the first: slow") && page.contains("% of a hello-world"),
            "{page}"
        );
    }
    #[test]
    fn options_that_make_no_sense_together_are_refused() {
        let wrong = [
            "--rate 5",
            "--http 0",
            "--http 4 --rate 0",
            "--http 4 --url http://a:1",
            "--http 4 --prepare d",
            "--past 5",
            "--http 4 --work all",
        ];
        for line in wrong {
            assert!(typed(line).is_err(), "{line}");
        }
        let args = typed("--http 1,64 --work payments,reads --url http://a:1 --network d").expect("options");
        assert_eq!((args.http, args.work), (vec![1, 64], vec![Work::Payments, Work::Reads]));
        assert!(!typed("").expect("nothing").is_wanted());
    }

    #[test]
    fn a_server_of_our_own_takes_all_that_is_asked_of_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = typed("--http 3 --work payments,tokens,awards,reads").expect("options");
        let figures = args.measure(&dir.path().into(), &Config::default(), EXTENT).expect("figures");
        for row in &figures {
            assert!(row.errors.is_empty() && row.requests > 0, "{row:?}");
            assert!(row.accepted_per_second > 0.0 && row.p50_ms > 0.0, "{row:?}");
        }
        let works: Vec<&str> = figures.iter().map(|row| row.work).collect();
        assert_eq!(works, ["payments", "tokens", "awards", "reads", "hello"]);
        let report = crate::app::verify(dir.path(), &Default::default(), &mut |_, _| {}).expect("no fault");
        assert_eq!(report.finding, None);
    }

    #[test]
    fn a_network_with_a_past_is_prepared_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let past = Past { awards: 25, accounts: 10 };
        let made = prepare(&dir.path().into(), &Config::default(), 3, &past);
        let (_, rates) = made.expect("a network");
        assert!(!rates.is_empty() && rates.iter().all(|rate| *rate > 0.0), "{rates:?}");
        let report = crate::app::verify(dir.path(), &Default::default(), &mut |_, _| {}).expect("no fault");
        assert_eq!(report.finding, None);
        assert!(report.parts >= 25, "{} parts", report.parts);
    }

    #[test]
    fn reads_go_on_while_the_redis_that_is_configured_does_not_answer() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = typed("--http 2 --work reads --dead-redis").expect("options");
        let extent = Extent { payers: 50, ..EXTENT };
        let figures = args.measure(&dir.path().into(), &Config::default(), extent).expect("figures");
        assert_eq!(figures.iter().map(|row| row.work).collect::<Vec<_>>(), ["reads", "refused", "silent"]);
        assert!(
            figures.iter().all(|row| row.errors.is_empty() && row.accepted_per_second > 0.0),
            "{figures:?}"
        );
    }
}
