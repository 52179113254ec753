//! A network, served: the wiring of the API.
//!
//! Owns: what the service is made of, and in what order it opens and closes.
//! Promises: it closes after the last accepted request was answered.
//! Refuses to know: requests.

use super::{Network, fault};
use crate::api::{Limits, Parts, Rates, Running, Service, Settings, Stopper};
use crate::clock::Clock;
use crate::config::Api;
use crate::engine::Failure;
use crate::log::{LogVerifier, vkey};
use crate::tiles::Hashes;
use crate::vault::Vault;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

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
        let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
        let log: LogVerifier = vkey.parse().map_err(fault)?;
        let hashes = Hashes::open(&dir, engine.read().clone());
        let settings = Settings {
            public,
            body_bytes: api.body_bytes,
            batch_bytes: api.batch_bytes,
            body_ms: api.body_ms,
            min_seq_ms: api.min_seq_ms,
            // Three of four connections are left to those who ask and go.
            streams: api.connections / 4,
        };
        let limits = Limits::new(Rates {
            per_key: api.per_key,
            per_address: api.per_address,
            failures: api.failures,
            burst: api.burst,
            resolves: api.resolves,
            applications: api.applications,
        });
        Ok(Service::new(Parts { engine, views, vault, genesis, log, vkey, hashes, clock, settings, limits }))
    }
}

/// Serves until it is told to stop (SIGTERM, SIGINT) or the engine fails, then answers what was accepted and closes.
pub fn serve(service: Service, listener: TcpListener, running: &Running) -> Result<(), Failure> {
    serve_until(service, listener, running, |_| {})
}

/// The same; `started` is given what stops it.
pub fn serve_until(
    service: Service,
    listener: TcpListener,
    running: &Running,
    started: impl FnOnce(Stopper),
) -> Result<(), Failure> {
    let service = Arc::new(service);
    let shared = service.clone();
    let served = actix_web::rt::System::new().block_on(async move {
        let stopper = Stopper::default();
        let server = crate::api::start_with(shared, listener, running, stopper.clone()).map_err(fault)?;
        started(stopper);
        server.await.map_err(fault)
    });
    // A stream may still hold the service: its engine is closed under it.
    service.close()?;
    served
}
