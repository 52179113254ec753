//! What the store costs: `cargo bench --bench store -- [records of state] [folder]`.
//!
//! Prints microseconds a row, each figure the median of its rounds. The folder should be on the disk that
//! is to be judged; a temporary one under `target` is taken otherwise, and removed at the end.

use std::path::Path;
use std::time::{Duration, Instant};
use tallyhouse::store::{
    Log, NewEntry, Place, Read, Reader, Row, Sqlite, SqliteLog, SqliteState, State, TipRecord,
};
use tallyhouse::types::Hash;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let records = args.next().map_or(Ok(2_000_000), |n| n.parse())?;
    let folder = tempfile::tempdir_in(args.next().unwrap_or_else(|| "target".into()))?;
    let Sqlite { log, state, reader } = Sqlite::open(folder.path())?;
    println!("{:<56} {:>9} {:>9} {:>9}", "", "median", "worst", "unit");
    let entries = bench_log(log, &reader)?;
    bench_reading(&reader, entries)?;
    bench_state(state, &reader, records)?;
    sizes(folder.path())
}

/// A stream of numbers that is the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

fn report(what: &str, mut rounds: Vec<Duration>, rows: usize) {
    rounds.sort();
    let micros = |d: Duration| d.as_secs_f64() * 1e6 / rows as f64;
    let (median, worst) = (micros(rounds[rounds.len() / 2]), micros(rounds[rounds.len() - 1]));
    println!("{what:<56} {median:>9.2} {worst:>9.2} {:>9}", "µs/row");
}

fn report_tail(what: &str, mut rounds: Vec<Duration>) {
    rounds.sort();
    let at = |share: f64| rounds[((rounds.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!("{what:<56} p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
}

fn hash(seq: u64) -> Hash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    Hash(bytes)
}

fn part(dice: &mut Dice) -> Vec<u8> {
    let (salt, a, b) = (dice.roll(), dice.roll(), dice.roll());
    format!(
        "{{\"salt\":\"{salt:022x}\",\"done\":{{\"legs\":[[\"ac_{a:026x}\",\"HARVEST\",{},{}],[\"HARVEST:issuance\",\
         \"HARVEST\",-{}]],\"lots\":[{{\"from\":\"2026-11-20\",\"until\":\"2028-11-30\",\"month\":\"2026-11\",\
         \"origin\":\"br_harvest\",\"points\":{}}}],\"ref\":\"br_harvest/t-0042/{b:016x}\",\"line\":\"{b:032x}\"}}}}",
        a % 1000, b % 100_000, a % 1000, a % 1000,
    )
    .into_bytes()
}

/// The next `count` entries with as many parts each.
fn entries(dice: &mut Dice, next: u64, count: u64, parts: usize) -> Vec<NewEntry> {
    (next..next + count)
        .map(|seq| {
            let envelope = format!(
                "{{\"v\":1,\"seq\":{seq},\"prev\":\"{:064x}\",\"at\":\"2026-11-20T22:39:14.123456Z\",\"kind\":\
                 \"payment.captured\",\"parts\":{{\"n\":{parts},\"root\":\"{:064x}\"}}}}",
                dice.roll(),
                dice.roll()
            );
            let parts = (0..parts).map(|_| part(dice)).collect();
            NewEntry { seq, envelope: envelope.into_bytes(), parts }
        })
        .collect()
}

/// Appends batches and times each.
struct Appender {
    log: SqliteLog,
    next: u64,
    dice: Dice,
}

impl Appender {
    fn rounds(&mut self, rounds: usize, count: u64, parts: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let batch = entries(&mut self.dice, self.next, count, parts);
            let from = self.next.checked_sub(1).map(|seq| Place { seq, hash: hash(seq) });
            self.next += count;
            let seq = self.next - 1;
            let tip = TipRecord { seq, hash: hash(seq), edge: vec![3; 640], checkpoint: "c".repeat(300) };
            let start = Instant::now();
            self.log.append(from, &batch, &tip)?;
            times.push(start.elapsed());
        }
        Ok(times)
    }
}

fn bench_log(log: SqliteLog, reader: &Reader) -> Result<u64> {
    let mut appender = Appender { log, next: 0, dice: Dice(7) };
    appender.rounds(20, 1000, 3)?;
    report("append: a commit of one entry, 3 parts", appender.rounds(2000, 1, 3)?, 1);
    report("append: batches of 10 entries, 3 parts each", appender.rounds(500, 10, 3)?, 10);
    report("append: batches of 100 entries, 3 parts each", appender.rounds(200, 100, 3)?, 100);
    report("append: batches of 1,000 entries, 3 parts each", appender.rounds(100, 1000, 3)?, 1000);
    report("append: batches of 1,000 entries without parts", appender.rounds(200, 1000, 0)?, 1000);
    report("append: one entry of 10,000 parts, by part", appender.rounds(60, 1, 10_000)?, 10_000);
    report_tail("append: 6,000 commits of 50 entries, 3 parts each", appender.rounds(6000, 50, 3)?);
    assert_eq!(reader.tip()?.map(|tip| tip.seq), Some(appender.next - 1));
    Ok(appender.next)
}

fn bench_reading(reader: &Reader, entries: u64) -> Result {
    let (mut times, mut from) = (Vec::new(), entries - 200_000);
    while from + 1000 < entries && times.len() < 200 {
        let start = Instant::now();
        let page = reader.read(from, 1000, usize::MAX)?;
        times.push(start.elapsed());
        assert_eq!(page.len(), 1000);
        from += 1000;
    }
    report("read: pages of 1,000 entries, 3 parts each", times, 1000);
    let mut times = Vec::new();
    for from in (0..100_000).step_by(1000) {
        let start = Instant::now();
        reader.read_envelopes(from, 1000)?;
        times.push(start.elapsed());
    }
    report("read: pages of 1,000 envelopes", times, 1000);
    Ok(())
}

/// Keys in ascending order, spread as random account ids are.
fn key(n: u64) -> String {
    format!("acct/ac_{:08}{:018}", n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8)
}

struct Putter {
    state: SqliteState,
    at: Option<u64>,
    dice: Dice,
}

impl Putter {
    /// Puts records of these numbers, which ascend.
    fn put(&mut self, numbers: impl Iterator<Item = u64>) -> Result<(Duration, usize)> {
        let to = self.at.map_or(0, |at| at + 1);
        let mut rows = Vec::new();
        for n in numbers {
            let value: Vec<u8> = (0..23).flat_map(|_| self.dice.roll().to_le_bytes()).collect();
            let due = (n % 20 == 0).then_some((n * 7919 % 1_000_003) as i64);
            rows.push(Row { key: key(n), value: Some(value), seq: to, due });
        }
        let place = |seq| Place { seq, hash: hash(seq) };
        let start = Instant::now();
        self.state.put(self.at.map(place), place(to), &rows)?;
        self.at = Some(to);
        Ok((start.elapsed(), rows.len()))
    }
}

fn sample(dice: &mut Dice, count: usize, end: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).map(|_| dice.below(end)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn bench_state(state: SqliteState, reader: &Reader, records: u64) -> Result {
    let mut putter = Putter { state, at: None, dice: Dice(11) };
    let (mut times, step) = (Vec::new(), 100_000);
    for from in (0..records).step_by(step) {
        times.push(putter.put(from..(from + step as u64).min(records))?.0);
    }
    report("put: new records, runs of 100,000", times, step);
    let mut dice = Dice(13);
    for (run, of, rounds) in [
        (500_000, records, 4),
        (100_000, 200_000, 10),
        (10_000, records / 100, 40),
        (1000, records / 100, 100),
        (10_000, records, 30),
        (20, records, 500),
    ] {
        let mut times = Vec::new();
        let mut rows = 1;
        for _ in 0..rounds {
            let (time, count) = putter.put(sample(&mut dice, run, of).into_iter())?;
            times.push(time);
            rows = count;
        }
        report(&format!("put: {run} records, sorted, of {of}"), times, rows);
    }
    for (count, of) in
        [(10_000, 20_000), (10_000, records / 10), (10_000, records), (100, records), (1, records)]
    {
        let mut times = Vec::new();
        let mut rows = 1;
        for _ in 0..40 {
            let keys: Vec<String> = sample(&mut dice, count, of).into_iter().map(key).collect();
            let start = Instant::now();
            rows = reader.load(&keys)?.rows.len();
            times.push(start.elapsed());
            assert_eq!(rows, keys.len());
        }
        report(&format!("load: {count} keys, sorted, of {of}"), times, rows);
    }
    let keys: Vec<String> = sample(&mut dice, 10_000, records).into_iter().map(|n| key(n) + "x").collect();
    let start = Instant::now();
    assert!(reader.load(&keys)?.rows.is_empty());
    report(&format!("load: 10000 absent keys, sorted, of {records}"), vec![start.elapsed()], keys.len());
    let start = Instant::now();
    let due = reader.due(1000, 10_000)?.rows.len();
    report(&format!("due: {due} records"), vec![start.elapsed()], due.max(1));
    let start = Instant::now();
    let rows = reader.scan("", 100_000)?.rows.len();
    report("scan: 100,000 records", vec![start.elapsed()], rows);
    Ok(())
}

fn sizes(folder: &Path) -> Result {
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        println!("{:<56} {:>9} MiB", file.file_name().to_string_lossy(), file.metadata()?.len() >> 20);
    }
    Ok(())
}
