//! `bench`: what does this hardware carry? The engine alone: independent callers that each wait for
//! their own durable answer, and signed batches of awards.

mod awards;
mod bed;
mod beside;
mod http;
mod payments;
mod world;

use crate::app::{Options, verify};
use crate::cli::{CliError, Context, Exit};
use crate::store::{Address, Home};
use bed::{Bed, size_of};
use beside::Beside;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use world::World;

/// Options of `bench`.
#[derive(clap::Args, Debug, Clone)]
#[command(after_help = "Examples:
  tallyhouse bench                             the whole table, a few minutes
  tallyhouse bench --callers 1,128 --seconds 2 --awards 0
  tallyhouse bench --awards 3000000 --accounts 1000000 --callers '' --json
  tallyhouse bench --awards 10000000 --accounts 10000000 --even --callers '' --no-verify    ten million accounts
  tallyhouse bench --http 64 --payers 100000 --presign     payments over HTTP, signed by a till
  tallyhouse bench --http 64 --work reads,awards
  tallyhouse bench --http 64 --rate 5000 --seconds 10      an open loop
  tallyhouse bench --http 64 --work reads --dead-redis     what a Redis that does not answer costs those who read
  tallyhouse bench --database postgres://… --redis redis://… --beside    files and that, side by side
  tallyhouse bench --prepare data/bench --past 100000000 --accounts 10000000    a network that is large already
  tallyhouse bench --prepare data/bench                    then, while `tallyhouse --data data/bench serve` runs:
  tallyhouse bench --http 64 --url http://127.0.0.1:8710 --network data/bench
Everything is measured on a network made for it in a folder of its own, which is removed afterwards, or in a database,
which must be empty and is emptied afterwards. Durable: an answer is given after its commit reached the disk (SQLite
synchronous=FULL; PostgreSQL as its settings say, which are printed).")]
pub struct Args {
    /// Numbers of independent callers, each waiting for its own payment.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,128,1024", value_parser = callers)]
    callers: Vec<usize>,
    /// About how long each number of callers is measured, in seconds.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Accounts that pay.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    payers: u64,
    /// Awards in signed batches (0: none).
    #[arg(long, default_value_t = 2_000_000)]
    awards: u64,
    /// Lines in a batch.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lines: u32,
    /// Accounts that awards go to.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(2..=1_000_000_000))]
    accounts: u64,
    /// Awards go to one account after the other, in turn, instead of to few of them most of the time
    #[arg(long)]
    even: bool,
    /// Do not verify what was written
    #[arg(long)]
    no_verify: bool,
    /// Where to measure: a folder on the disk in question.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Balances are shared through this Redis
    #[arg(long, value_name = "redis://…")]
    redis: Option<String>,
    /// Measure on files and without a Redis too, and print both side by side
    #[arg(long)]
    beside: bool,
    #[command(flatten)]
    http: http::Args,
}

/// A number of callers; nothing stands for none.
fn callers(text: &str) -> Result<usize, String> {
    match text.trim() {
        "" => Ok(0),
        text => match text.parse() {
            Ok(n) if (1..=100_000).contains(&n) => Ok(n),
            _ => Err("numbers of callers, 1 to 100,000, with commas between them".into()),
        },
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.1 to 3600 seconds".into()),
    }
}

/// Everything that was measured.
#[derive(Serialize, Default)]
pub struct Figures {
    version: &'static str,
    machine: String,
    durability: String,
    payments: Vec<payments::Figure>,
    awards: Option<awards::Figure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    http: Vec<http::Figure>,
    starts: Vec<Start>,
    verify: Vec<Verified>,
    memory_mib: Memory,
}

/// How long it took until a network that had been closed could be used again.
#[derive(Serialize)]
struct Start {
    what: &'static str,
    accounts: u64,
    entries: u64,
    seconds: f64,
}

impl Start {
    fn measure(
        what: &'static str,
        accounts: u64,
        world: &World,
        bed: &Bed,
        home: &Home,
    ) -> Result<Self, String> {
        let begun = Instant::now();
        let network = world.reopen(home, &bed.tuning(home)).map_err(|e| e.to_string())?;
        let seconds = begun.elapsed().as_secs_f64();
        let entries = network.engine.progress().committed;
        network.close().map_err(|e| e.to_string())?;
        Ok(Self { what, accounts, entries, seconds })
    }
}

/// A verification run.
#[derive(Serialize)]
struct Verified {
    what: &'static str,
    signatures: bool,
    entries: u64,
    parts: u64,
    seconds: f64,
    parts_per_second: f64,
    signatures_per_second: f64,
}

/// Most resident memory of this process in each phase, the load generator included, in MiB.
#[derive(Serialize, Default)]
struct Memory {
    idle: u64,
    payments: u64,
    awards: u64,
    http: u64,
    verify: u64,
}

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    kib / 1024
}

/// The most since the last phase; the next one begins (Linux, proc(5): 5 resets the high-water mark).
fn most_memory() -> u64 {
    let most = memory("VmHWM");
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    most
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {}", model.trim_start_matches([' ', '\t', ':']))
}

fn verified(what: &'static str, home: &Home, signatures: bool) -> Result<Verified, String> {
    let begun = Instant::now();
    let options = Options { signatures, ..Options::default() };
    let report = verify(home, &options, &mut |_, _| {})?;
    if let Some(finding) = report.finding {
        return Err(format!("the measured log does not verify: {finding}"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Verified {
        what,
        signatures,
        entries: report.entries,
        parts: report.parts,
        seconds,
        parts_per_second: report.parts as f64 / seconds,
        signatures_per_second: report.signatures as f64 / seconds,
    })
}

/// Measures and prints.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let config = context.config()?;
    // Where a server that runs keeps its network is its own affair.
    let home = context.home()?;
    let database = home.database().filter(|_| !args.http.drives_another());
    let database = database.map(|database| database.address().clone());
    if let Some(dir) = args.http.prepare() {
        let home = Home::new(dir, database);
        let past = args.http.past(args.accounts);
        let (secret, rates) = http::prepare(&home, &config, args.payers, &past).map_err(CliError::Fault)?;
        context.say(format!(
            "{} holds a network with {} accounts that pay; --api-key {secret} reads them",
            home.shown(),
            args.payers
        ))?;
        if past.awards > 0 {
            let (awards, accounts) = (past.awards, past.accounts);
            let rates = in_tenths(&rates);
            context.say(format!("{awards} awards to {accounts} accounts, a second in each tenth:{rates}"))?;
        }
        return Ok(Exit::Ok);
    }
    let base = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let dir = base.join(format!("tallyhouse-bench-{}", std::process::id()));
    let redis = args.redis.as_deref().unwrap_or(&config.redis);
    let bed = |database: Option<Address>, redis: &str| {
        Bed::new(dir.clone(), database, &config, redis).map_err(CliError::Usage)
    };
    let measured = |bed: &Bed| {
        let figures = measure(&args, bed);
        let cleared = bed.clear();
        figures.and_then(|figures| cleared.map(|()| figures)).map_err(CliError::Fault)
    };
    let wanted = bed(database, redis)?;
    if args.beside {
        let files = bed(None, "")?;
        let names = [files.name(), wanted.name()];
        let both = Beside { names, columns: [measured(&files)?, measured(&wanted)?] };
        if context.json {
            context.say_json(&both)?
        } else {
            write!(context.out, "{both}")?
        }
        return Ok(Exit::Ok);
    }
    let figures = measured(&wanted)?;
    if context.json {
        context.say_json(&figures)?;
    } else {
        write!(context.out, "{figures}")?;
    }
    Ok(Exit::Ok)
}

fn measure(args: &Args, bed: &Bed) -> Result<Figures, String> {
    let mut figures = Figures {
        version: env!("CARGO_PKG_VERSION"),
        machine: machine(),
        durability: bed.durability()?,
        ..Figures::default()
    };
    if args.http.is_wanted() {
        let home = bed.room("http")?;
        let extent = http::Extent {
            seconds: args.seconds,
            payers: args.payers,
            accounts: args.accounts,
            lines: args.lines.into(),
        };
        figures.http = args.http.measure(&home, &bed.config, extent)?;
        figures.memory_mib.http = most_memory();
        if !args.no_verify && home.exists().map_err(|e| e.to_string())? {
            figures.verify.push(verified("http", &home, true)?);
            figures.memory_mib.verify = most_memory();
        }
        return Ok(figures);
    }
    let callers: Vec<usize> = args.callers.iter().copied().filter(|n| *n > 0).collect();
    if !callers.is_empty() {
        let home = bed.room("payments")?;
        let tuning = bed.tuning(&home);
        let world = World::new(true);
        let network = world.found(&home, &tuning).map_err(|e| e.to_string())?;
        figures.memory_mib.idle = memory("VmRSS");
        payments::prepare(&world, &network, args.payers)?;
        most_memory();
        network.close().map_err(|e| e.to_string())?;
        // Opened anew: no account is at hand.
        let network = world.reopen(&home, &tuning).map_err(|e| e.to_string())?;
        figures.payments = payments::measure(&world, &network, &callers, args.seconds, args.payers)?;
        figures.memory_mib.payments = most_memory();
        network.close().map_err(|e| e.to_string())?;
        figures.starts.push(Start::measure("payments", args.payers, &world, bed, &home)?);
        if !args.no_verify {
            figures.verify.push(verified("payments", &home, false)?);
            figures.verify.push(verified("payments", &home, true)?);
            figures.memory_mib.verify = most_memory();
        }
    }
    if args.awards > 0 {
        let home = bed.room("awards")?;
        let tuning = bed.tuning(&home);
        let world = World::new(true);
        let network = world.found(&home, &tuning).map_err(|e| e.to_string())?;
        let receivers = awards::Receivers::new(args.accounts, args.even);
        let mut figure = awards::measure(&world, &network, args.awards, args.lines as usize, &receivers)?;
        figures.memory_mib.awards = most_memory();
        network.close().map_err(|e| e.to_string())?;
        figure.bytes_per_award = size_of(&home)? as f64 / args.awards as f64;
        figures.starts.push(Start::measure("awards", figure.opened as u64, &world, bed, &home)?);
        figures.awards = Some(figure);
        if !args.no_verify {
            figures.verify.push(verified("awards", &home, false)?);
            figures.memory_mib.verify = figures.memory_mib.verify.max(most_memory());
        }
    }
    Ok(figures)
}

/// From this many seconds on it is shown how the rate changed.
const LONG: f64 = 20.0;

fn in_tenths(rates: &[f64]) -> String {
    rates.iter().map(|rate| format!(" {rate:.0}")).collect()
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "tallyhouse {} on {}\n{}\n", self.version, self.machine, self.durability)?;
        if !self.payments.is_empty() {
            writeln!(
                f,
                "payments, each caller waiting for its own durable answer (two signatures as evidence)"
            )?;
            writeln!(
                f,
                "{:>8} {:>10} {:>9} {:>9} {:>9} {:>9} {:>8}",
                "callers", "per s", "p50 ms", "p90 ms", "p99 ms", "max ms", "a commit"
            )?;
        }
        for row in &self.payments {
            writeln!(
                f,
                "{:>8} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>8.1}",
                row.callers, row.per_second, row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms, row.per_commit
            )?;
            if row.seconds >= LONG {
                writeln!(f, "         a second in each tenth:{}", in_tenths(&row.tenths))?;
            }
        }
        if !self.http.is_empty() {
            http::table(&self.http, f)?;
        }
        if let Some(row) = &self.awards {
            writeln!(
                f,
                "\nawards in signed batches of {} over {} accounts, {}, receipts checked for repeats",
                row.lines,
                row.accounts,
                if row.even { "one after the other" } else { "zipfian" }
            )?;
            writeln!(
                f,
                "{:.0} per s durable ({} in {:.2} s; followers {:.2} s later); {:.0} bytes an award, everything included",
                row.per_second, row.awards, row.seconds, row.drain_seconds, row.bytes_per_award
            )?;
            if row.seconds >= LONG {
                writeln!(f, "a second in each tenth:{}", in_tenths(&row.tenths))?;
            }
        }
        for row in &self.starts {
            writeln!(
                f,
                "ready {:.2} s after it was opened: {}, {} accounts, {} entries",
                row.seconds, row.what, row.accounts, row.entries
            )?;
        }
        writeln!(f)?;
        for row in &self.verify {
            let with = if row.signatures { "with" } else { "without" };
            writeln!(
                f,
                "verify {} {with} signatures: {:.0} parts per s, {:.0} signatures per s ({} entries, {:.2} s)",
                row.what, row.parts_per_second, row.signatures_per_second, row.entries, row.seconds
            )?;
        }
        let memory = &self.memory_mib;
        writeln!(
            f,
            "memory, most of it, in MiB: idle {}, payments {}, awards {}, over HTTP {}, verification {}",
            memory.idle, memory.payments, memory.awards, memory.http, memory.verify
        )
    }
}
