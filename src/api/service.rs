//! The service: what every handler is given.
//!
//! Owns: a network that is open for requests, and how it is reached from outside.
//! Promises: what stands in it can be used from any thread.
//! Refuses to know: HTTP.

use super::limit::Limits;
use super::metrics::Metrics;
use super::nonce::Nonces;
use super::streams::Streams;
use crate::banking::Accounts;
use crate::clock::Clock;
use crate::engine::{Engine, Part, Seat};
use crate::log::LogVerifier;
use crate::machine::Genesis;
use crate::peers::Outbound;
use crate::reading::Entries;
use crate::store::Read;
use crate::tiles::Hashes;
use crate::types::{BrandId, Hash, UnitCode};
use crate::vault::Vault;
use crate::views;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How the service is reached and what it takes; see `[api]` in config/default.toml.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that callers use and sign, without a slash at its end: `https://api.example.org`.
    pub public: String,
    /// Most bytes of the body of a single write.
    pub body_bytes: usize,
    /// Most bytes of a batch.
    pub batch_bytes: usize,
    /// How long a body may take to arrive, in milliseconds.
    pub body_ms: u64,
    /// How long a reader waits for the entry it names in `Min-Seq`, in milliseconds.
    pub min_seq_ms: u64,
    /// How long a node that reads answers without having seen the log's end.
    pub stale: Duration,
    /// Event streams that may be open at the same time.
    pub streams: usize,
    /// The house's settlement accounts.
    pub accounts: Accounts,
}

/// A network that is open for requests.
pub struct Service {
    /// Where its engine is, which decides and remembers.
    pub seat: Arc<Seat>,
    /// The way to other nodes, if there are any.
    pub peers: Option<Outbound>,
    /// The log and state, to read.
    pub read: Arc<dyn Read>,
    /// What people list.
    pub views: views::Reader,
    /// Wallets, API keys, held keys, applications.
    pub vault: Vault,
    /// Entry 0.
    pub genesis: Genesis,
    /// Checks the log's checkpoints.
    pub log: LogVerifier,
    /// The log's verifier key, as text.
    pub vkey: String,
    /// Hashes of the public log's tree.
    pub hashes: Hashes,
    /// The log, for whoever reads it.
    pub entries: Entries,
    /// The gate to the time of day.
    pub clock: Clock,
    /// How it is reached.
    pub settings: Settings,
    /// How often anybody may ask.
    pub limits: Limits,
    /// What operators watch.
    pub metrics: Metrics,
    /// Nonces of signed requests that the log does not keep.
    pub nonces: Nonces,
    /// Event streams that are open.
    pub streams: Arc<Streams>,
    /// When it began, in Unix seconds: nonces from before are not known to it.
    pub began: u64,
    /// Whose points units are.
    pub brands: Cache<UnitCode, BrandId>,
    closing: AtomicBool,
}

/// What a service is made of, beside what it makes itself.
pub struct Parts {
    /// See [`Service::seat`].
    pub seat: Arc<Seat>,
    /// See [`Service::peers`].
    pub peers: Option<Outbound>,
    /// See [`Service::views`].
    pub views: views::Reader,
    /// See [`Service::vault`].
    pub vault: Vault,
    /// See [`Service::genesis`].
    pub genesis: Genesis,
    /// See [`Service::log`].
    pub log: LogVerifier,
    /// See [`Service::vkey`].
    pub vkey: String,
    /// See [`Service::hashes`].
    pub hashes: Hashes,
    /// See [`Service::clock`].
    pub clock: Clock,
    /// See [`Service::settings`].
    pub settings: Settings,
    /// See [`Service::limits`].
    pub limits: Limits,
}

impl Service {
    /// Opens it.
    pub fn new(parts: Parts) -> Self {
        let Parts { seat, peers, views, vault, genesis, log, vkey, hashes, clock, settings, limits } = parts;
        let read = seat.engine().read().clone();
        let metrics = Metrics::new();
        if let Some(peers) = &peers {
            metrics.certified(peers.good_until());
        }
        let entries = Entries::new(read.clone(), hashes.clone(), log.clone());
        let (nonces, brands) = (Nonces::default(), Cache::new(10_000));
        let (closing, began) = (AtomicBool::new(false), clock.now().seconds());
        let streams = Streams::new(settings.streams);
        Self {
            seat,
            peers,
            read,
            views,
            vault,
            genesis,
            log,
            vkey,
            hashes,
            entries,
            clock,
            settings,
            limits,
            metrics,
            nonces,
            streams,
            began,
            brands,
            closing,
        }
    }

    /// The engine of now; keep it no longer than a request.
    pub fn engine(&self) -> Arc<Engine> {
        self.seat.engine()
    }

    /// The network's id.
    pub fn net(&self) -> Hash {
        self.engine().net()
    }

    /// Whether it takes requests: not while it closes, or cannot read, or reads a log that is not the one that was
    /// published, or is the writer and not sure of its lease, or has not seen the log's end for too long.
    pub fn is_ready(&self) -> bool {
        let engine = self.engine();
        let sure = self.seat.standing().part == Part::Reader || self.seat.is_writer();
        !self.is_closing()
            && sure
            && !self.seat.is_astray()
            && !self.is_stale()
            && engine.failure().is_none()
            && !engine.is_away()
    }

    /// Whether what this node knows may be older than anybody should be told: others write, and it has not seen the log's
    /// end for longer than is configured.
    pub fn is_stale(&self) -> bool {
        self.seat.unseen() > self.settings.stale
    }

    /// Whether it ends.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// From here on `/readyz` says no, so that a load balancer looks elsewhere.
    pub fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Answers what was accepted and closes the network. Whoever still holds the service then, a stream that
    /// nobody reads say, is told that it is not ready.
    pub fn close(&self) -> Result<(), crate::engine::Failure> {
        self.begin_closing();
        self.seat.close()
    }
}
