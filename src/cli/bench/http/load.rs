//! Load: many connections, each with one request on the way, closed or open loop.
//!
//! Owns: when a request is sent, and from when on its answer is waited for.
//! Promises: in an open loop requests are due at fixed instants whatever the server does, and latency counts
//! from there: one that found no free connection has waited, and says so (no coordinated omission). In a
//! closed loop each connection sends when it has its answer, and latency counts from the sending.
//! Refuses to know: what is asked.

use super::client::Connection;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Makes the bytes of the n-th request.
pub(super) type Maker = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// What is to be sent.
pub(super) struct Plan {
    /// Where to.
    pub address: SocketAddr,
    /// Makes requests.
    pub maker: Maker,
    /// The number of the first.
    pub first: u64,
    /// How many.
    pub count: usize,
    /// Whether they are made before the clock starts.
    pub ahead: bool,
    /// Requests a second in an open loop; `None`: a closed loop.
    pub rate: Option<f64>,
    /// So many of the first ones are not counted.
    pub warm: usize,
}

/// What came back.
#[derive(Default, Debug)]
pub(super) struct Tally {
    /// How long each took.
    pub latencies: Vec<Duration>,
    /// How many answers there were of each status; 0 stands for a broken connection.
    pub statuses: BTreeMap<u16, u64>,
    /// The first and the last entry that an answer named.
    pub seqs: Option<(u64, u64)>,
    /// The first answer that was no success.
    pub complaint: Option<String>,
    /// From the first counted request until the last answer.
    pub elapsed: Duration,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (status, number) in other.statuses {
            *self.statuses.entry(status).or_default() += number;
        }
        self.seqs = match (self.seqs, other.seqs) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.complaint = self.complaint.take().or(other.complaint);
        self.elapsed += other.elapsed;
    }

    /// Answers that say that it was done.
    pub(super) fn accepted(&self) -> u64 {
        self.statuses.range(200..300).map(|(_, number)| number).sum()
    }
}

/// A run in progress.
struct Run {
    plan: Plan,
    made: Vec<Vec<u8>>,
    next: AtomicUsize,
    begun: Instant,
    /// In an open loop, requests that are due.
    due: Semaphore,
}

/// Makes requests on all cores.
pub(super) fn make(maker: &Maker, first: u64, count: usize) -> Vec<Vec<u8>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let part = |from: usize| -> Vec<Vec<u8>> {
            (from..count.min(from + share)).map(|i| maker(first + i as u64)).collect()
        };
        let running: Vec<_> = (0..count).step_by(share).map(|from| scope.spawn(move || part(from))).collect();
        let mut all = Vec::with_capacity(count);
        for thread in running {
            // A maker that panics has a defect: so has the run.
            all.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    })
}

/// Sends everything over these connections, which are opened as needed and stay open.
pub(super) async fn run(connections: &mut [Option<Connection>], plan: Plan) -> Result<Tally, String> {
    let made = if plan.ahead { make(&plan.maker, plan.first, plan.count) } else { vec![] };
    for connection in connections.iter_mut().filter(|connection| connection.is_none()) {
        *connection =
            Some(Connection::open(plan.address).await.map_err(|e| format!("{}: {e}", plan.address))?);
    }
    let (rate, warm, count) = (plan.rate, plan.warm, plan.count);
    let begun = Instant::now();
    let run = Arc::new(Run { plan, made, next: AtomicUsize::new(0), begun, due: Semaphore::new(0) });
    let pacer = rate.map(|rate| {
        let (run, idle) = (run.clone(), connections.len());
        std::thread::spawn(move || pace(&run, rate, count, idle))
    });
    let tasks: Vec<_> = connections
        .iter_mut()
        .map(|connection| tokio::spawn(drive(connection.take(), run.clone())))
        .collect();
    let mut tally = Tally::default();
    for (task, place) in tasks.into_iter().zip(connections) {
        let (connection, part) = task.await.map_err(|e| e.to_string())?;
        *place = connection;
        tally.add(part);
    }
    let counted = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(warm as f64 / rate));
    tally.elapsed = begun.elapsed().saturating_sub(counted);
    if let Some(pacer) = pacer {
        pacer.join().map_err(|_| "the pacer ended in a panic")?;
    }
    Ok(tally)
}

/// When the i-th request of an open loop is due.
fn due(begun: Instant, rate: f64, i: usize) -> Instant {
    begun + Duration::from_secs_f64(i as f64 / rate)
}

/// The shortest sleep: the timers of a runtime are too coarse for this, those of a thread are not.
const SLEEP: Duration = Duration::from_micros(50);

fn pace(run: &Run, rate: f64, count: usize, idle: usize) {
    let mut released = 0;
    while released < count {
        let now = Instant::now();
        let ready = (released..count).take_while(|i| due(run.begun, rate, *i) <= now).count();
        run.due.add_permits(ready);
        released += ready;
        let next = due(run.begun, rate, released);
        std::thread::sleep(next.saturating_duration_since(Instant::now()).max(SLEEP));
    }
    // Each connection learns that there is nothing left.
    run.due.add_permits(idle);
}

/// One connection until nothing is left.
async fn drive(mut connection: Option<Connection>, run: Arc<Run>) -> (Option<Connection>, Tally) {
    let mut tally = Tally::default();
    let Run { plan, .. } = &*run;
    loop {
        if plan.rate.is_some() {
            // It is never closed.
            let Ok(permit) = run.due.acquire().await else { break };
            permit.forget();
        }
        let i = run.next.fetch_add(1, Ordering::Relaxed);
        if i >= plan.count {
            break;
        }
        let fresh;
        let request = match run.made.get(i) {
            Some(made) => made,
            None => {
                fresh = (plan.maker)(plan.first + i as u64);
                &fresh
            }
        };
        let since = plan.rate.map_or_else(Instant::now, |rate| due(run.begun, rate, i));
        let answer = ask(&mut connection, plan.address, request).await;
        if i < plan.warm {
            continue;
        }
        tally.latencies.push(since.elapsed());
        let (status, seq, complaint) = answer;
        *tally.statuses.entry(status).or_default() += 1;
        if let Some(seq) = seq {
            let (first, last) = tally.seqs.unwrap_or((seq, seq));
            tally.seqs = Some((first.min(seq), last.max(seq)));
        }
        tally.complaint = tally.complaint.take().or(complaint);
    }
    (connection, tally)
}

/// Asks; a connection that broke is opened anew for the next request.
async fn ask(
    place: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
) -> (u16, Option<u64>, Option<String>) {
    let broken = |e: std::io::Error| (0, None, Some(e.to_string()));
    let mut connection = match place.take() {
        Some(connection) => connection,
        None => match Connection::open(address).await {
            Ok(connection) => connection,
            Err(e) => return broken(e),
        },
    };
    match connection.ask(request).await {
        Ok(reply) => {
            let well = (200..300).contains(&reply.status);
            let complaint = (!well).then(|| String::from_utf8_lossy(&connection.body(&reply)).into_owned());
            if !reply.last {
                *place = Some(connection);
            }
            (reply.status, reply.seq, complaint)
        }
        Err(e) => broken(e),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::{block_on, serve};
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn plan(address: SocketAddr, count: usize, rate: Option<f64>) -> Plan {
        let maker: Maker = Arc::new(|n| format!("GET /{n} HTTP/1.1\r\n\r\n").into_bytes());
        Plan { address, maker, first: 0, count, ahead: false, rate, warm: 0 }
    }

    #[test]
    fn every_request_is_counted_under_its_status() {
        let tally = block_on(async {
            let address = serve(|number, mut stream| async move {
                let reply = match number % 4 {
                    0 => "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy".to_owned(),
                    // The server closes, said or unsaid.
                    1 => "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    2 => String::new(),
                    _ => format!(
                        "HTTP/1.1 201 Created\r\ntallyhouse-seq: {number}\r\ncontent-length: 0\r\n\r\n"
                    ),
                };
                stream.write_all(reply.as_bytes()).await?;
                Ok((number % 4 != 1 && number % 4 != 2).then_some(stream))
            })
            .await;
            let mut connections: Vec<_> = (0..5).map(|_| None).collect();
            run(&mut connections, Plan { ahead: true, ..plan(address, 100, None) }).await.expect("a run")
        });
        assert_eq!(tally.statuses, BTreeMap::from([(0, 25), (201, 50), (503, 25)]));
        assert_eq!((tally.latencies.len(), tally.accepted(), tally.seqs), (100, 50, Some((3, 99))));
        assert!(tally.complaint.is_some());
    }

    #[test]
    fn what_waits_for_a_server_that_stands_still_is_counted_from_when_it_was_due() {
        const STILL: Duration = Duration::from_millis(300);
        let (tally, took) = block_on(async {
            let address = serve(|number, mut stream| async move {
                if number == 100 {
                    tokio::time::sleep(STILL).await;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
                Ok(Some(stream))
            })
            .await;
            let begun = Instant::now();
            // One connection: while it waits, 300 more requests are due, and each has waited by as much less.
            let tally = run(&mut [None], plan(address, 1_000, Some(1_000.0))).await.expect("a run");
            (tally, begun.elapsed())
        });
        assert_eq!(tally.statuses, BTreeMap::from([(200, 1_000)]));
        assert!(took >= Duration::from_millis(999), "{took:?}: not sooner than they are due");
        let late = tally.latencies.iter().filter(|latency| **latency >= STILL / 3).count();
        assert!(late >= 190, "{late} requests waited a hundred milliseconds or more");
        assert!(tally.latencies.iter().any(|latency| *latency >= STILL));
    }

    #[test]
    fn the_first_ones_warm_up() {
        let tally = block_on(async {
            let address = serve(|number, mut stream| async move {
                let status = if number < 50 { "500 Cold" } else { "200 OK" };
                stream
                    .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
                    .await?;
                Ok(Some(stream))
            })
            .await;
            run(&mut [None], Plan { warm: 50, ..plan(address, 200, Some(2_000.0)) }).await.expect("a run")
        });
        assert_eq!(tally.statuses, BTreeMap::from([(200, 150)]));
        assert!(tally.elapsed < Duration::from_millis(2_000), "{:?}", tally.elapsed);
    }
}
