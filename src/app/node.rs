//! A node: one of several processes that share a network in a database, of which one writes.
//!
//! Owns: when this node takes the writer's place and when it leaves it, and what is opened and closed for that.
//! Promises: it writes under a lease only, and begins a term before anything is served by it as the writer. A writer that
//! lost its lease, its log or its wits drops all memory and goes on as a reader, in the same process. One that is stopped
//! in order leaves its place at once.
//! Refuses to know: requests. What keeps two writers apart is the log's tip; the lease only says who tries.

use super::fork::ForkGuard;
use super::hold::Hold;
use super::{Tuning, ViewsFollower, fault, genesis_of, off};
use crate::cache::remote::MacKey;
use crate::clock::{self, Clock};
use crate::config;
use crate::engine::{Alarm, Core, Engine, Failure, Pace, Seat, Setup, StateFollower, Stores};
use crate::log::LogSigner;
use crate::machine::Genesis;
use crate::sign::SecretKey;
use crate::store::{Home, Lease, Read};
use crate::tiles::{Hashes, Keeper};
use crate::types::{Time, b64};
use crate::views;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From one look at the lease to the next.
const LOOK: Duration = Duration::from_millis(100);
/// How long a node that could not go on as the writer lets others try first.
const REST: Duration = Duration::from_millis(1_500);
/// How often a writer is opened in a row before others may try.
const TRIES: u32 = 4;
/// How often an alarm is told.
const AGAIN: Duration = Duration::from_secs(60);
/// How often a node looks whether it may write, also while it does.
const AGAINST: Duration = Duration::from_secs(1);
/// How often tiles are kept.
const TILES: Duration = Duration::from_millis(100);

/// How a node is one of several.
#[derive(Clone, Debug)]
pub struct Among {
    /// What people call it.
    pub name: String,
    /// Where its peers reach it: `host:port`.
    pub address: String,
    /// How long the lease is taken at a time.
    pub lease: Duration,
    /// What time it is here.
    pub clock: Clock,
}

impl Among {
    /// As configured; `None`: it is alone.
    pub fn of(node: &config::Node) -> Option<Self> {
        (!node.listen.is_empty()).then(|| Self {
            name: node.name.clone(),
            address: match node.address.as_str() {
                "" => node.listen.clone(),
                address => address.to_owned(),
            },
            lease: Duration::from_millis(node.lease_ms),
            clock: Clock::Real,
        })
    }
}

/// A running node.
pub struct Node {
    /// Its engine, as a reader's or the writer's.
    pub seat: Arc<Seat>,
    /// What people list.
    pub views: views::Reader,
    /// Entry 0.
    pub genesis: Genesis,
    /// Its folder.
    pub dir: PathBuf,
    /// Hashes of the public log's tree.
    pub hashes: Hashes,
    stop: Arc<AtomicBool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Node {
    /// Opens the network of a database as one node of several. It reads at once, and writes when it has the lease.
    pub fn open(
        home: impl Into<Home>,
        log_key: SecretKey,
        tuning: &Tuning,
        among: Among,
    ) -> Result<Self, Failure> {
        let home = home.into();
        let Some(database) = home.database().cloned() else {
            return Err(fault(
                "several nodes share a PostgreSQL: set store.database, or leave node.listen empty",
            ));
        };
        std::fs::create_dir_all(home.dir()).map_err(fault)?;
        database.migrate().map_err(fault)?;
        let read = home.read().map_err(fault)?;
        let genesis = genesis_of(&*read)?;
        let genesis = genesis.ok_or_else(|| fault(format!("{} holds an empty log", home.shown())))?;
        if log_key.public() != genesis.log {
            return Err(fault("the log key is not the one that genesis names"));
        }
        let views = views::Reader::open(&home).map_err(fault)?;
        let hashes = Hashes::open(home.dir(), read.clone());
        // No two processes have one name, so that one which is started again does not take itself for the one before.
        let holder = format!("{}/{}", among.name, b64(&clock::random::<9>()));
        let lease = Lease::of(&database, holder, among.address.clone(), among.lease);
        let guard = Arc::new(ForkGuard::of(home.dir(), read.clone(), hashes.clone(), &genesis)?);
        let open = Opening {
            guard,
            home: home.clone(),
            read: read.clone(),
            views: views.clone(),
            genesis: genesis.clone(),
            log_key,
            tuning: tuning.clone(),
        };
        let seat = Arc::new(Seat::shared(open.reader()?));
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = vec![];
        {
            let (seat, stop) = (seat.clone(), stop.clone());
            let hold = Arc::new(Hold::new(lease, seat.clone(), among.lease));
            let mut keeper =
                Steward { seat, stop, open, among, hold, rest: None, said: None, held_against: None };
            let run = move || keeper.run();
            threads.push(std::thread::Builder::new().name("node".into()).spawn(run).map_err(fault)?);
        }
        {
            let (dir, stop, hashes) = (home.dir().to_owned(), stop.clone(), hashes.clone());
            let run = move || keep_tiles(&dir, &read, &hashes, &stop);
            threads.push(std::thread::Builder::new().name("tiles".into()).spawn(run).map_err(fault)?);
        }
        let threads = Arc::new(Mutex::new(threads));
        let node = Self { seat, views, genesis, dir: home.dir().into(), hashes, stop, threads };
        let (stop, threads) = (node.stop.clone(), node.threads.clone());
        node.seat.on_close(Box::new(move || {
            finish(&stop, &threads);
            Ok(())
        }));
        Ok(node)
    }

    /// Leaves its place, if it writes, and stops.
    pub fn close(&self) {
        finish(&self.stop, &self.threads);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
    }
}

fn finish(stop: &AtomicBool, threads: &Mutex<Vec<JoinHandle<()>>>) {
    stop.store(true, Ordering::Release);
    let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
    for thread in threads {
        let _ = thread.join();
    }
}

/// Keeps the tiles of this node's folder, until it stops. What they lack is computed, so nobody waits for them.
fn keep_tiles(dir: &std::path::Path, read: &Arc<dyn Read>, hashes: &Hashes, stop: &AtomicBool) {
    let mut keeper = None;
    while !stop.load(Ordering::Acquire) {
        let kept = match &mut keeper {
            None => Keeper::open_with(dir, read.clone(), hashes).map(|opened| keeper = Some(opened)),
            Some(keeper) => match read.tip() {
                Ok(Some(tip)) => keeper.take(tip.place()),
                Ok(None) => Ok(()),
                Err(fault) => Err(fault.into()),
            },
        };
        if let Err(why) = kept {
            tracing::warn!("tiles are not kept: {why}");
            // Opened again, they are compared with the log.
            keeper = None;
            pause(stop, REST);
        }
        pause(stop, TILES);
    }
}

fn pause(stop: &AtomicBool, length: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < length && !stop.load(Ordering::Acquire) {
        std::thread::sleep(length.min(Duration::from_millis(20)));
    }
}

/// What engines are opened with.
struct Opening {
    guard: Arc<ForkGuard>,
    home: Home,
    read: Arc<dyn Read>,
    views: views::Reader,
    genesis: Genesis,
    log_key: SecretKey,
    tuning: Tuning,
}

impl Opening {
    fn pace(&self) -> Pace {
        Pace { guard: Some(self.guard.clone()), ..self.tuning.pace.clone() }
    }

    fn reader(&self) -> Result<Engine, Failure> {
        let views = self.views.clone();
        let viewed = Box::new(move || views.cursor().map_err(fault));
        let engine = Engine::reading(self.read.clone(), viewed, self.genesis.net(), self.pace())?;
        if let Some(url) = &self.tuning.redis {
            engine.share_read(url, MacKey::of(&self.log_key))?;
        }
        Ok(engine)
    }

    fn writer(&self, hold: &Arc<Hold>, clock: &Clock) -> Result<Engine, Failure> {
        let (log, state) =
            self.home.write().map_err(fault)?.ok_or_else(|| fault("several nodes need a database"))?;
        let views = ViewsFollower(views::Views::open(&self.home).map_err(fault)?);
        let stores = Stores {
            log,
            read: self.read.clone(),
            state: Box::new(StateFollower::new(state, None)?),
            others: vec![Box::new(views)],
        };
        let holds = hold.clone();
        let setup = Setup {
            memory_rows: self.tuning.memory_rows,
            salts: Box::new(clock::salts()),
            crash: None,
            holds: Some(Arc::new(move || holds.confirm())),
        };
        let signer = LogSigner::of(&self.genesis.origin, &self.log_key).map_err(fault)?;
        let now = if self.genesis.driven { Time::default() } else { clock.now() };
        let core = Core::open(setup, stores, signer, &self.genesis, now)?;
        let watched = super::watched(self.genesis.driven);
        let engine = Engine::start(core, self.genesis.net(), self.pace(), watched)?;
        if let Some(url) = &self.tuning.redis {
            engine.share(url, MacKey::of(&self.log_key))?;
        }
        Ok(engine)
    }
}

/// Decides what the node is; its thread.
struct Steward {
    seat: Arc<Seat>,
    stop: Arc<AtomicBool>,
    open: Opening,
    among: Among,
    hold: Arc<Hold>,
    /// Until when others may try first.
    rest: Option<Instant>,
    /// When an alarm was told last.
    said: Option<Instant>,
    /// When it was looked last whether this node may write.
    held_against: Option<Instant>,
}

impl Steward {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.hold.term().is_some() {
                self.watch()
            } else {
                self.wait()
            }
            pause(&self.stop, LOOK);
        }
        // What was accepted is answered, and only then is the place free.
        self.seat.let_go();
        let closed = self.seat.engine().close();
        if let Err(failure) = closed {
            tracing::warn!("the engine had stopped: {failure}");
        }
        self.hold.give_up();
    }

    /// As the writer: whether it still is.
    fn watch(&mut self) {
        let why = match self.seat.engine().failure() {
            Some(failure) => failure.to_string(),
            None if self.hold.is_lost() => "another node took the lease".into(),
            None => match self.look_again() {
                Some(Some(alarm)) => alarm.to_string(),
                _ => return,
            },
        };
        eprintln!("warning: {} writes no more: {why}", self.among.name);
        self.step_down();
    }

    fn step_down(&mut self) {
        self.seat.let_go();
        self.hold.give_up();
        self.rest = Some(Instant::now() + REST);
        let before = self.seat.engine();
        before.depose();
        self.read(before);
    }

    /// Puts a reader's engine in the place of another one, which is closed where nobody waits for it.
    fn read(&mut self, before: Arc<Engine>) {
        self.open.guard.forget();
        self.held_against = None;
        match self.open.reader() {
            Ok(engine) => {
                self.seat.read_with(engine);
                close_apart(before);
            }
            // It is tried again; meanwhile whoever asks is told to come again.
            Err(failure) => tracing::warn!("not read yet: {failure}"),
        }
    }

    /// As a reader: whether nobody writes.
    fn wait(&mut self) {
        let engine = self.seat.engine();
        if let Some(failure) = engine.failure() {
            tracing::warn!("begins to read anew: {failure}");
            self.read(engine);
        }
        let held = match self.hold.look() {
            Ok(held) => held,
            Err(failure) => {
                tracing::warn!("the lease cannot be read: {failure}");
                return;
            }
        };
        let free = held.as_ref().is_none_or(|held| held.left.is_zero());
        let term = held.as_ref().map_or(0, |held| held.term);
        let writer = held.as_ref().filter(|_| !free).map(|held| held.address.clone());
        self.seat.know_writer(term, writer);
        if !free {
            self.rest = None;
            if let Some(alarm) = self.look_again() {
                self.alarm(alarm);
            }
        } else if self.rest.is_none_or(|until| Instant::now() >= until)
            && let Err(failure) = self.step_up()
        {
            tracing::warn!("could not begin to write: {failure}");
            self.hold.give_up();
            self.rest = Some(Instant::now() + REST);
        }
    }

    /// Whether this node may write, looked at once in a while, whoever writes: its clock, the checkpoint that it keeps,
    /// what stands behind the log's end. `None`: it is not time, or cannot be told now.
    fn look_again(&mut self) -> Option<Option<Alarm>> {
        if self.held_against.is_some_and(|at| at.elapsed() < AGAINST) {
            return None;
        }
        self.held_against = Some(Instant::now());
        let clock = match self.off() {
            Ok(clock) => clock,
            Err(failure) => {
                tracing::warn!("the database's clock cannot be read: {failure}");
                return None;
            }
        };
        Some(clock.or_else(|| self.against()))
    }

    /// Whether this node's clock is far off the database's.
    fn off(&self) -> Result<Option<Alarm>, Failure> {
        if self.open.genesis.driven {
            return Ok(None);
        }
        let ask = || Ok::<_, Failure>(self.hold.look()?.map(|held| held.now));
        Ok(off::too_far(&self.among.clock, ask)?.map(Alarm::Clock))
    }

    /// What is wrong with the log, for a node that would write.
    fn against(&self) -> Option<Alarm> {
        if let Err(failure) = self.open.guard.check() {
            return Some(Alarm::Log(failure.to_string()));
        }
        let stray = self.open.read.stray().ok().flatten();
        stray.map(|stray| Alarm::Rows(stray.to_string()))
    }

    fn alarm(&mut self, alarm: Option<Alarm>) {
        match &alarm {
            None => {
                if self.said.take().is_some() {
                    eprintln!("{} may write again", self.among.name);
                }
            }
            Some(alarm) if self.said.is_none_or(|at| at.elapsed() >= AGAIN) => {
                eprintln!("alarm: {} may not write: {alarm}", self.among.name);
                self.said = Some(Instant::now());
            }
            Some(_) => {}
        }
        self.seat.set_alarm(alarm);
    }

    /// Why this node may not write, whoever else does.
    fn barred(&self) -> Result<Option<Alarm>, Failure> {
        self.open.guard.forget();
        Ok(self.off()?.or_else(|| self.against()))
    }

    /// Takes the writer's place: lease, the way cleared, recovery, a term; then it writes.
    fn step_up(&mut self) -> Result<(), Failure> {
        if let Some(why) = self.barred()? {
            self.alarm(Some(why));
            return Ok(());
        }
        let begun = Instant::now();
        let Some(taken) = self.hold.take()? else { return Ok(()) };
        // The first time there was no row to compare with.
        if let Some(why) = self.barred()? {
            self.hold.give_up();
            self.alarm(Some(why));
            return Ok(());
        }
        let (engine, ended) = self.open_writer()?;
        let since = self.among.clock.now().seconds();
        let before =
            self.hold.seated(|asked, length| self.seat.write_with(engine, taken.term, asked, length, since));
        close_apart(before);
        self.alarm(None);
        let took = begun.elapsed().as_secs_f64();
        eprintln!(
            "{} writes in term {} after {took:.2} s ({ended} connections of writers before were ended)",
            self.among.name, taken.term
        );
        Ok(())
    }
}

impl Steward {
    /// Opens the writer's engine; how many connections were in its way. What the writer before had under way, and takes
    /// up again, may get in between once or twice: then everything is read again.
    fn open_writer(&self) -> Result<(Engine, usize), Failure> {
        let (mut ended, mut tries) = (0, 0);
        loop {
            ended += self.hold.clear_way()?;
            tries += 1;
            match self.open.writer(&self.hold, &self.among.clock) {
                Ok(engine) if self.hold.is_lost() => {
                    close_apart(Arc::new(engine));
                    return Err(Failure::Deposed);
                }
                Ok(engine) => return Ok((engine, ended)),
                Err(failure) if tries == TRIES || self.hold.is_lost() => return Err(failure),
                Err(failure) => tracing::warn!("opened again: {failure}"),
            }
        }
    }
}

/// Closes an engine on a thread of its own: a database that is away must not hold up whoever takes its place.
fn close_apart(engine: Arc<Engine>) {
    let run = move || {
        if let Err(failure) = engine.close() {
            tracing::info!("an engine that was replaced had stopped: {failure}");
        }
    };
    if let Err(e) = std::thread::Builder::new().name("closing".into()).spawn(run) {
        tracing::warn!("no thread to close an engine on: {e}");
    }
}
