//! The API: everything that the kernel can do, over HTTP.
//!
//! Owns: requests and answers: who asks, in what form, how often; the OpenAPI document and Swagger UI. One file
//! a resource.
//! Promises: the table of routes in `machine` is all there is: a request that it does not name reaches nothing,
//! and every scope and carrier in it is enforced in one place (`gate`). What was accepted is answered, also
//! while the server shuts down.
//! Refuses to know: rules. The body of a write is the machine's command; a "no" is the machine's.

// A problem is made once, where a request ends: that it is large costs nothing.
#![allow(clippy::result_large_err)]

mod call;
mod clearing;
mod closing;
mod document;
mod documents;
mod fees;
mod filed;
mod forward;
mod gate;
mod leaving;
mod limit;
mod lookup;
mod metrics;
mod nonce;
mod plain;
mod problem;
mod process;
mod query;
mod refusals;
mod reply;
mod reports;
mod routes;
mod service;
mod streams;
mod write;
mod wrong;

mod accounting;
mod accounts;
mod api_keys;
mod applications;
mod awards;
mod banking;
mod batches;
mod brands;
mod breakage;
mod budgets;
mod consents;
mod cycles;
mod disputes;
mod docs;
mod entries;
mod erasures;
mod freezes;
mod funding;
mod held;
mod keys;
mod netting;
mod network;
mod offers;
mod operations;
mod payments;
mod prices;
mod reconciliations;
mod reference;
mod settlement;
mod tiles;
mod units;
mod wallets;

pub use closing::Stopper;
pub use document::document;
pub use limit::{Limits, Rates};
pub use problem::{Code, Problem};
pub use process::open_files;
pub use service::{Parts, Service, Settings};

use crate::peers::Identity;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// How the server runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// Threads that read and answer requests.
    pub workers: usize,
    /// Connections that may be open.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and an idle connection stay, in milliseconds.
    pub idle_ms: u64,
    /// How long requests may take to finish once the server is told to stop, in seconds.
    pub drain_seconds: u64,
    /// Whether the server itself listens to signals to stop.
    pub signals: bool,
    /// How long it goes on after a signal while `/readyz` says no, in milliseconds.
    pub lead_ms: u64,
}

/// A server of a service, not bound yet.
macro_rules! server {
    ($service:expr, $running:expr, $app:expr) => {{
        let (workers, idle_ms) = ($running.workers.max(1), $running.idle_ms);
        let data = web::Data::from($service);
        HttpServer::new(move || {
            $app.app_data(data.clone())
                .wrap(from_fn(gate::pass))
                .configure(routes::configure)
                .default_service(web::to(routes::nothing))
        })
        .workers(workers)
        .max_connections($running.connections.div_ceil(workers))
        .backlog(4_096)
        .keep_alive(Duration::from_millis($running.idle_ms))
        .client_request_timeout(Duration::from_millis($running.idle_ms))
        .client_disconnect_timeout(Duration::from_secs(1))
        .on_connect(move |stream, _| process::give_up_after(stream, idle_ms))
        .shutdown_timeout($running.drain_seconds)
        .disable_signals()
    }};
}

/// Starts the server on a listener. It runs until it is told to stop; await it.
pub fn start(service: Arc<Service>, listener: TcpListener, running: &Running) -> std::io::Result<Server> {
    start_with(service, listener, running, Stopper::default())
}

/// The same; `stopper` is one more way to stop it.
pub fn start_with(
    service: Arc<Service>,
    listener: TcpListener,
    running: &Running,
    stopper: Stopper,
) -> std::io::Result<Server> {
    let signals = running.signals.then(closing::Signals::listen).transpose()?;
    let told = closing::told(service.clone(), stopper, signals, Duration::from_millis(running.lead_ms));
    let server = server!(service, running, App::new());
    Ok(server.shutdown_signal(told).listen(listener)?.run())
}

/// Starts the server that the other nodes reach. It runs until it is stopped by its handle.
pub fn start_for_peers(
    service: Arc<Service>,
    listener: TcpListener,
    identity: &Identity,
    running: &Running,
) -> std::io::Result<Server> {
    let mark = web::Data::new(forward::ForPeers);
    let server = server!(service, running, App::new().app_data(mark.clone()));
    Ok(server.listen_rustls_0_23(listener, identity.server())?.run())
}

/// A listener; an error says what to do, with the setting that says where.
pub fn listen(address: SocketAddr, setting: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|e| {
        std::io::Error::new(
            e.kind(),
            format!("cannot listen on {address}: {e}; choose another with {setting}"),
        )
    })
}
