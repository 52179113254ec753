//! Balances in Redis: a cache that nodes share, behind each node's own.
//!
//! Owns: connections, the feeder, what readers are told out of Redis, and two more things that nodes share there:
//! buckets of limits and nonces.
//! Promises: what is told is right through the entry that is named with it, whatever happened to Redis: flushed,
//! restarted, stopped, full, failed over to a replica that is behind. A Redis in trouble costs a reader a few
//! milliseconds at first, and then nothing. Nothing here is ever asked by the writer.
//! Refuses to know: where state is kept, and who asks.
//!
//! What happens when Redis is away, and why:
//!
//! - **Balances** are read from state: Redis holds nothing that is not there too.
//! - **Limits fail open**: each node goes on with its own buckets, so somebody may have as many requests a second as
//!   there are nodes times what one grants. A limit protects the service, and refusing everybody would be the harm
//!   itself.
//! - **Nonces fail closed**: a signed read whose nonce cannot be shared is refused (503, Retry-After). A
//!   repeat could be noticed by nothing else, and whoever is refused can sign anew. Without a Redis in the
//!   configuration a node is alone, and its own memory suffices. A Redis that lost its data has forgotten nonces too;
//!   each node still knows those that it saw itself.
//! - **Sessions** there are none yet. They will stand in the vault.

mod contents;
mod draws;
mod feeder;
mod link;
mod mac;
mod wire;

pub use contents::{Contents, Kept, contents};
pub use draws::Bucket;
pub use link::Away;
pub use mac::MacKey;

use super::Loaded;
use crate::book::Record;
use crate::clock;
use crate::store::Place;
use crate::types::{AccountId, Hash};
use draws::Draws;
use feeder::{Feeder, Waiting};
use futures_util::future::{Either, join, select};
use hashbrown::HashMap;
use link::{Link, PATIENCE, Target};
use redis::Pipeline;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wire::{Cursor, FILLED, How, Keys, Value};

/// An account's last change: the entry and the record, `None` if there is none any more.
pub type Changed = (u64, Option<Arc<Record>>);

/// Where the feeder finds what it missed.
pub trait Source: Send + Sync {
    /// The log's end.
    fn newest(&self) -> Result<Place, String>;
    /// The hash of an entry; `None` if there is none.
    fn hash(&self, seq: u64) -> Result<Option<Hash>, String>;
    /// The accounts that were changed by the entries from `from` on, up to `most` of them, and the last of these;
    /// `None` if there are none.
    fn touched(&self, from: u64, most: usize) -> Result<Option<(Place, Vec<AccountId>)>, String>;
    /// What state says about accounts, and how many entries it shows.
    fn load(&self, ids: &[AccountId]) -> Result<(u64, HashMap<AccountId, Changed>), String>;
}

/// How Redis does, for operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Readers that were answered out of Redis.
    pub hits: u64,
    /// Readers that Redis had nothing for, or nothing new enough.
    pub misses: u64,
    /// Questions that were not answered, or wrongly.
    pub errors: u64,
    /// Values that no node of this network wrote: each counted as a miss, too.
    pub foreign: u64,
    /// Values that the feeder wrote.
    pub written: u64,
    /// Values that readers filled in.
    pub filled: u64,
    /// Whether nobody asks, because it is in trouble.
    pub is_open: bool,
    /// Entries that were fed.
    pub fed: u64,
}

/// What threads have in common.
#[derive(Default)]
struct Shared {
    /// Whether somebody takes what is put in `waiting`.
    feeding: AtomicBool,
    waiting: Waiting,
    /// The generation that the feeder saw last, 0 before it saw one: no other is believed.
    generation: AtomicU64,
    /// Entries that were fed.
    fed: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    foreign: AtomicU64,
    written: AtomicU64,
    filled: AtomicU64,
}

impl Shared {
    /// Redis has this cursor.
    fn at(&self, cursor: &Cursor) {
        self.generation.store(cursor.generation.0, Ordering::Release);
        self.fed.store(cursor.place.seq + 1, Ordering::Release);
    }
}

/// Balances in Redis. Dropping it closes it.
pub struct Remote {
    keys: Keys,
    link: Arc<Link>,
    shared: Arc<Shared>,
    draws: Arc<Draws>,
    fills: mpsc::Sender<(String, Vec<u8>)>,
    over: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Values of readers that wait to be filled in; further ones are dropped.
const FILLS: usize = 4_096;
/// How long the check of a nonce may take. There is nothing else to go on to, so this is longer than a reader's.
const NONCE: Duration = Duration::from_millis(250);

impl Remote {
    /// Connects to the Redis of an address in the background, and feeds it with the network's balances. Errors are
    /// about the address alone.
    ///
    /// One node feeds, the one that writes; the others (`feeds` is false) only look which generation is the log's. Only what
    /// a node with the same `mac` wrote is believed.
    pub fn open(
        url: &str,
        net: Hash,
        mac: MacKey,
        source: Arc<dyn Source>,
        feeds: bool,
    ) -> Result<Self, String> {
        let keys = Keys::of(net, mac);
        let link = Arc::new(Link::new(Target::read(url)?));
        let shared = Arc::<Shared>::default();
        let draws = Arc::<Draws>::default();
        let (fills, filling) = mpsc::channel(FILLS);
        let (over, _) = watch::channel(false);
        let mut threads = vec![];
        {
            let (link, shared, draws, keys) = (link.clone(), shared.clone(), draws.clone(), keys.clone());
            threads.push(thread("redis", over.subscribe(), async move {
                let work = join(fill(filling, &link, &shared), draws.share(&link, &keys));
                join(link.keep(), work).await;
            })?);
        }
        {
            let (link, shared, keys) = (link.clone(), shared.clone(), keys.clone());
            threads.push(thread("redis-feeder", over.subscribe(), async move {
                let calm = AtomicBool::new(false);
                let feeder = Feeder { keys: &keys, link: &link, shared: &shared, source: &*source, calm };
                if feeds { feeder.run().await } else { feeder.watch().await }
            })?);
        }
        Ok(Self { keys, link, shared, draws, fills, over, threads: Mutex::new(threads) })
    }

    /// Tells the feeder what was committed: the entries from `first` through `to`, without a gap, and in order. Costs
    /// little, and nothing while Redis is away; nothing is waited for.
    pub fn feed(&self, first: u64, to: Place, changes: impl Iterator<Item = (AccountId, Changed)>) {
        if self.shared.feeding.load(Ordering::Acquire) {
            self.shared.waiting.add(first, to, changes);
        }
    }

    /// An account, as of `least` entries or more. `None`: ask state.
    pub async fn get(&self, id: AccountId, least: u64) -> Option<Loaded> {
        if self.link.is_open() {
            return None;
        }
        let mut get = Pipeline::new();
        get.cmd("MGET").arg(self.keys.cursor()).arg(self.keys.account(id));
        let asked = self.link.ask::<((Option<Vec<u8>>, Option<Vec<u8>>),)>(&get, PATIENCE).await;
        let Ok(((cursor, value),)) = asked else { return None };
        let found = cursor.zip(value).and_then(|(cursor, value)| {
            let (Some(cursor), Some(value)) =
                (self.keys.read_cursor(&cursor), self.keys.read_value(id, &value))
            else {
                self.shared.foreign.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            let through = value.proves(&cursor, clock::now().seconds())?;
            let ours = cursor.generation.0 == self.shared.generation.load(Ordering::Acquire);
            (ours && through >= least.saturating_sub(1)).then(|| value.loaded(id, through))?
        });
        let counter = if found.is_some() { &self.shared.hits } else { &self.shared.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Puts there what a reader found in state on a miss, for two seconds; if something is there by now, that stays.
    pub fn fill(&self, id: AccountId, loaded: &Loaded) {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let (Some((changed, record)), Some(as_of)) = (&loaded.row, loaded.size.checked_sub(1)) else {
            return;
        };
        if self.link.is_open() || generation == 0 || self.fills.capacity() == 0 {
            return;
        }
        let (how, changed, record) = (How::Filled, *changed, &record.encode());
        let (generation, written) = (wire::Generation(generation), clock::now().seconds());
        let value = Value { generation, how, changed, as_of, written, record };
        // If nobody has time for it, it is not filled in.
        let _ = self.fills.try_send((self.keys.account(id), self.keys.write_value(id, &value)));
    }

    /// Takes one out of a bucket that all nodes share. `Some`: how long it is empty; what this node has granted is only
    /// counted here, so it grants on while Redis is away.
    pub fn draw(&self, bucket: Bucket<'_>) -> Option<Duration> {
        if self.link.is_open() { None } else { self.draws.draw(bucket) }
    }

    /// Whether a name is used for the first time by any node; it is remembered for some seconds.
    pub async fn is_first(&self, name: &str, seconds: u64) -> Result<bool, Away> {
        let mut set = Pipeline::new();
        set.cmd("SET").arg(self.keys.nonce(name)).arg("1").arg("NX").arg("EX").arg(seconds.max(1));
        let (set,) = self.link.ask::<(Option<String>,)>(&set, NONCE).await?;
        Ok(set.is_some())
    }

    /// Ends its threads: nothing is fed any more, and nothing is told.
    pub fn close(&self) {
        let _ = self.over.send(true);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A thread that died of a panic has said so.
            let _ = thread.join();
        }
        self.link.trip();
    }

    /// How it does.
    pub fn figures(&self) -> Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            hits: count(&self.shared.hits),
            misses: count(&self.shared.misses),
            errors: self.link.errors(),
            foreign: count(&self.shared.foreign),
            written: count(&self.shared.written),
            filled: count(&self.shared.filled),
            is_open: self.link.is_open(),
            fed: count(&self.shared.fed),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.close();
    }
}

/// A thread that works until it is over.
fn thread(
    name: &str,
    mut over: watch::Receiver<bool>,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let run = move || {
        runtime.block_on(async move {
            let end = pin!(over.wait_for(|over| *over));
            match select(pin!(work), end).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        });
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(|e| e.to_string())
}

/// Fills in what readers found in state.
async fn fill(mut filling: mpsc::Receiver<(String, Vec<u8>)>, link: &Link, shared: &Shared) {
    let mut values = vec![];
    while filling.recv_many(&mut values, 64).await > 0 {
        let mut set = Pipeline::new();
        let count = values.len();
        for (key, value) in values.drain(..) {
            set.cmd("SET").arg(key).arg(value).arg("NX").arg("PX").arg(FILLED.as_millis() as u64).ignore();
        }
        if link.ask::<()>(&set, PATIENCE).await.is_ok() {
            shared.filled.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}
