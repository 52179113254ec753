//! The wiring: a network as a value, made of a folder and perhaps a database.
//!
//! Owns: which file is where in a data folder, and in what order things open and close.
//! Promises: a folder that cannot be trusted (a log cut or restored too old, a foreign key) is not opened.
//! Refuses to know: what commands mean.

mod backup;
mod cached;
mod cores;
mod exported;
mod fork;
mod founding;
mod hold;
mod missing;
mod node;
mod notes;
mod off;
mod pen;
mod rebuild;
mod report;
mod reserved;
mod scratch;
mod serve;
mod tail;
mod verify;

pub use backup::{Made, Other, backup, copy, recover};
pub use cached::{CacheReport, compare_cache};
pub use exported::Exported;
pub use founding::{BrandKeys, Joining, Operator, accept};
pub use missing::said_by_log;
pub use node::{Among, Node};
pub use pen::{Pen, id_of};
pub use rebuild::rebuild;
pub use report::{Finding, Options, Report, Undecided};
pub use serve::{ForPeers, public_address, running, serve, serve_until, settlement_accounts};
pub use tail::{Mirror, StoreMirror, Taken, Untaken};
pub use verify::verify;

use crate::cache::remote::MacKey;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::engine::{Commit, Core, Engine, Failure, Follower, Pace, Setup, StateFollower, Stores};
use crate::log::LogSigner;
use crate::machine::{Event, Genesis};
use crate::sign::SecretKey;
use crate::store::{Faces, Home, Place, Read};
use crate::tiles;
use crate::types::{Time, decode};
use crate::views;
use fork::ForkGuard;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A running network over a data folder.
pub struct Network {
    /// The engine.
    pub engine: Engine,
    /// What people list.
    pub views: views::Reader,
    /// Entry 0.
    pub genesis: Genesis,
    /// The folder.
    pub dir: PathBuf,
}

/// How a network is run. All of it has defaults that suit one machine.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// See [`Pace`].
    pub pace: Pace,
    /// Records that the writer keeps at hand.
    pub memory_rows: usize,
    /// The Redis that nodes share balances through, if there is one.
    pub redis: Option<String>,
    /// What is compared with a database's clock before anything is written to it.
    pub clock: Clock,
}

impl Tuning {
    /// The defaults, for a data folder.
    pub fn at(dir: &Path) -> Self {
        match Config::parse("") {
            Ok(config) => Self::of(&config, dir),
            Err(e) => unreachable!("the built-in configuration: {e}"),
        }
    }

    /// As configured, for a data folder.
    pub fn of(config: &Config, dir: &Path) -> Self {
        let pace = Pace {
            queue: config.writer.queue,
            max_batch: config.writer.max_batch,
            max_lines: config.writer.max_lines,
            pinned_rows: config.writer.pinned_rows,
            rows_per_run: config.follow.rows_per_run,
            linger: Duration::from_millis(config.follow.linger_ms),
            patience: Duration::from_millis(config.writer.patience_ms),
            publish: Duration::from_millis(config.checkpoint.publish_ms),
            checkpoint: dir.join("checkpoint"),
            guard: None,
            balances: config.cache.rows,
        };
        let redis = Some(config.redis.clone()).filter(|url| !url.is_empty());
        Self { pace, memory_rows: config.writer.memory_rows, redis, clock: Clock::Real }
    }
}

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

/// The views as a follower of the engine.
pub struct ViewsFollower(pub views::Views);

impl Follower for ViewsFollower {
    fn name(&self) -> &'static str {
        "views"
    }

    fn cursor(&mut self) -> Result<Option<Place>, Failure> {
        self.0.cursor().map_err(fault)
    }

    fn take(&mut self, commits: &[Arc<Commit>]) -> Result<(), Failure> {
        let events: Vec<&Event> = commits.iter().map(|commit| &commit.event).collect();
        self.0.take(&events).map_err(fault)
    }

    fn wipe(&mut self) -> Result<(), Failure> {
        self.0.wipe().map_err(fault)
    }

    fn comes_back(&self) -> bool {
        self.0.comes_back()
    }
}

/// The public log's tiles as a follower of the engine.
struct TilesFollower {
    keeper: tiles::Keeper,
    /// Whether it last failed because the log was away, which it reads.
    away: bool,
}

impl Follower for TilesFollower {
    fn name(&self) -> &'static str {
        "tiles"
    }

    fn cursor(&mut self) -> Result<Option<Place>, Failure> {
        Ok(self.keeper.cursor())
    }

    fn take(&mut self, commits: &[Arc<Commit>]) -> Result<(), Failure> {
        let Some(last) = commits.last() else { return Ok(()) };
        let taken = self.keeper.take(Place { seq: last.event.seq, hash: last.event.hash });
        self.away = matches!(&taken, Err(tiles::Fault::Store(fault)) if fault.is_away());
        taken.map_err(fault)
    }

    fn wipe(&mut self) -> Result<(), Failure> {
        self.keeper.wipe().map_err(fault)
    }

    fn comes_back(&self) -> bool {
        self.away
    }
}

/// Entry 0 of the log in a folder.
pub fn genesis_of(read: &dyn Read) -> Result<Option<Genesis>, Failure> {
    let first = read.read_envelopes(0, 1).map_err(fault)?;
    let Some(first) = first.first() else { return Ok(None) };
    let envelope = crate::log::Envelope::decode(&first.bytes).map_err(|e| fault(format!("entry 0: {e}")))?;
    let public = envelope.public.as_ref().ok_or_else(|| fault("entry 0 is not a genesis"))?;
    decode(public.get().as_bytes()).map(Some).map_err(|e| fault(format!("entry 0: {e}")))
}

impl Network {
    /// Founds a network in an empty folder, or an empty database.
    pub fn create(
        home: impl Into<Home>,
        genesis: Genesis,
        log_key: &SecretKey,
        at: Time,
        tuning: &Tuning,
    ) -> Result<Self, Failure> {
        let home = home.into();
        let stores = home.open().map_err(fault)?;
        if genesis_of(&*stores.reader)?.is_some() {
            return Err(fault(format!("{} already holds a network", home.shown())));
        }
        Self::start(&home, stores, genesis, log_key, at, tuning)
    }

    /// Opens the network in a folder or a database. The log key signs checkpoints and must be the one of genesis.
    pub fn open(home: impl Into<Home>, log_key: &SecretKey, tuning: &Tuning) -> Result<Self, Failure> {
        let home = home.into();
        if !home.exists().map_err(fault)? {
            return Err(fault(format!("{} holds no network; `tallyhouse found` makes one", home.shown())));
        }
        let stores = home.open().map_err(fault)?;
        let genesis = genesis_of(&*stores.reader)?;
        let genesis = genesis.ok_or_else(|| fault(format!("{} holds an empty log", home.shown())))?;
        if let Some(database) = home.database().filter(|_| !genesis.driven) {
            off::check(database, &tuning.clock)?;
        }
        let now = clock::now();
        Self::start(&home, stores, genesis, log_key, now, tuning)
    }

    fn start(
        home: &Home,
        stores: Faces,
        genesis: Genesis,
        log_key: &SecretKey,
        at: Time,
        tuning: &Tuning,
    ) -> Result<Self, Failure> {
        if log_key.public() != genesis.log {
            return Err(fault("the log key is not the one that genesis names"));
        }
        let signer = LogSigner::of(&genesis.origin, log_key).map_err(fault)?;
        let dir = home.dir();
        let Faces { log, state, reader: read } = stores;
        let hashes = tiles::Hashes::open(dir, read.clone());
        let guard = Arc::new(ForkGuard::of(dir, read.clone(), hashes, &genesis)?);
        guard.check()?;
        let views = ViewsFollower(views::Views::open(home).map_err(fault)?);
        let keeper = tiles::Keeper::open(dir, read.clone()).map_err(fault)?;
        let tiles = TilesFollower { keeper, away: false };
        let stores = Stores {
            log,
            read,
            state: Box::new(StateFollower::new(state, None)?),
            others: vec![Box::new(views), Box::new(tiles)],
        };
        let setup = Setup {
            memory_rows: tuning.memory_rows,
            salts: Box::new(clock::salts()),
            crash: None,
            holds: None,
        };
        // A driven network's terms begin at the time of its last entry: the clock has no say in it.
        let now =
            if genesis.driven && stores.read.tip().map_err(fault)?.is_some() { Time::default() } else { at };
        let core = Core::open(setup, stores, signer, &genesis, now)?;
        let pace = Pace { guard: Some(guard), ..tuning.pace.clone() };
        let engine = Engine::start(core, genesis.net(), pace, watched(genesis.driven))?;
        if let Some(url) = &tuning.redis {
            engine.share(url, MacKey::of(log_key))?;
        }
        let views = views::Reader::open(home).map_err(fault)?;
        Ok(Self { engine, views, genesis, dir: dir.into() })
    }

    /// Answers what was accepted, brings everything to the log's end, and stops.
    pub fn close(self) -> Result<(), Failure> {
        self.engine.close()
    }
}

/// The machine's clock. On real time it is watched: a clock that was set says so once and for all, since
/// deadlines compare with it.
fn watched(driven: bool) -> impl FnMut() -> Result<Time, String> + Send {
    let mut watch = clock::Watch::start();
    move || match watch.look() {
        Some(step) if !driven => Err(format!(
            "the machine's clock moved {:.1} s against its monotonic clock; set it right and start again",
            step as f64 / 1e6
        )),
        _ => Ok(clock::now()),
    }
}
