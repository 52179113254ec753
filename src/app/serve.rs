//! A network, served: the wiring of the API.
//!
//! Owns: what the service is made of, and in what order it opens and closes.
//! Promises: it closes after the last accepted request was answered.
//! Refuses to know: requests.

use super::{Network, Node, fault};
use crate::api::{Limits, Parts, Rates, Running, Service, Settings, Stopper};
use crate::banking::Accounts;
use crate::clock::Clock;
use crate::config::Api;
use crate::engine::{Failure, Seat};
use crate::log::{LogVerifier, vkey};
use crate::machine::Genesis;
use crate::peers::{Identity, Outbound};
use crate::tiles::Hashes;
use crate::vault::Vault;
use crate::views;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// How the server of a configuration runs.
pub fn running(api: &Api, signals: bool) -> Running {
    Running {
        workers: api.workers,
        connections: api.connections,
        idle_ms: api.idle_ms,
        drain_seconds: api.drain_seconds,
        signals,
        lead_ms: api.lead_ms,
    }
}

/// The house's settlement accounts, as configured.
pub fn settlement_accounts(api: &Api) -> Result<Accounts, crate::banking::Fault> {
    match api.settlement_accounts.as_str() {
        "" => Ok(Accounts::default()),
        path => Accounts::load(path.as_ref()),
    }
}

/// The address that callers use and sign, if nothing else is configured.
pub fn public_address(api: &Api, listening: SocketAddr) -> String {
    match api.public.trim_end_matches('/') {
        "" => format!("http://{listening}"),
        public => public.to_owned(),
    }
}

impl Network {
    /// Makes a service of it.
    pub fn into_service(
        self,
        vault: Vault,
        api: &Api,
        public: String,
        clock: Clock,
    ) -> Result<Service, Failure> {
        let Self { engine, views, genesis, dir } = self;
        let hashes = Hashes::open(&dir, engine.read().clone());
        let seat = Arc::new(Seat::alone(engine));
        service(Made { seat, peers: None, views, genesis, hashes }, vault, api, public, clock)
    }
}

impl Node {
    /// Makes a service of it. What the writer must answer is handed on to it as `identity`.
    pub fn service(
        &self,
        vault: Vault,
        api: &Api,
        public: String,
        clock: Clock,
        identity: &Identity,
    ) -> Result<Service, Failure> {
        let (seat, views) = (self.seat.clone(), self.views.clone());
        let (genesis, hashes) = (self.genesis.clone(), self.hashes.clone());
        let peers = Some(Outbound::open(identity).map_err(fault)?);
        service(Made { seat, peers, views, genesis, hashes }, vault, api, public, clock)
    }
}

/// What a network or a node brings.
struct Made {
    seat: Arc<Seat>,
    peers: Option<Outbound>,
    views: views::Reader,
    genesis: Genesis,
    hashes: Hashes,
}

fn service(made: Made, vault: Vault, api: &Api, public: String, clock: Clock) -> Result<Service, Failure> {
    let Made { seat, peers, views, genesis, hashes } = made;
    let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
    let log: LogVerifier = vkey.parse().map_err(fault)?;
    let settings = Settings {
        public,
        body_bytes: api.body_bytes,
        batch_bytes: api.batch_bytes,
        body_ms: api.body_ms,
        min_seq_ms: api.min_seq_ms,
        stale: Duration::from_millis(api.stale_ms),
        // Three of four connections are left to those who ask and go.
        streams: api.connections / 4,
        accounts: settlement_accounts(api).map_err(fault)?,
    };
    let limits = Limits::new(Rates {
        per_key: api.per_key,
        per_address: api.per_address,
        failures: api.failures,
        burst: api.burst,
        resolves: api.resolves,
        applications: api.applications,
    });
    Ok(Service::new(Parts { seat, peers, views, vault, genesis, log, vkey, hashes, clock, settings, limits }))
}

/// Where the other nodes reach this one.
pub struct ForPeers {
    /// The listener.
    pub listener: TcpListener,
    /// Who this node is to them.
    pub identity: Identity,
}

/// Serves until it is told to stop (SIGTERM, SIGINT) or the engine fails, then answers what was accepted and closes.
pub fn serve(service: Service, listener: TcpListener, running: &Running) -> Result<(), Failure> {
    serve_until(service, listener, None, running, |_| {})
}

/// The same, for peers too; `started` is given what stops it.
pub fn serve_until(
    service: Service,
    listener: TcpListener,
    peers: Option<ForPeers>,
    running: &Running,
    started: impl FnOnce(Stopper),
) -> Result<(), Failure> {
    let service = Arc::new(service);
    let shared = service.clone();
    let served = actix_web::rt::System::new().block_on(async move {
        let stopper = Stopper::default();
        let far = peers.map(|ForPeers { listener, identity }| {
            crate::api::start_for_peers(shared.clone(), listener, &identity, running).map_err(fault)
        });
        let far = far.transpose()?;
        let handle = far.as_ref().map(|server| server.handle());
        let far = far.map(actix_web::rt::spawn);
        let server = crate::api::start_with(shared, listener, running, stopper.clone()).map_err(fault)?;
        started(stopper);
        let served = server.await.map_err(fault);
        if let Some(handle) = handle {
            handle.stop(true).await;
        }
        drop(far);
        served
    });
    // A stream may still hold the service: its engine is closed under it.
    service.close()?;
    served
}
