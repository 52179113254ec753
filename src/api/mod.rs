//! The API: everything that the kernel can do, over HTTP.
//!
//! Owns: requests and answers: who asks, in what form, how often; the OpenAPI document and Swagger UI. One file
//! a resource.
//! Promises: the table of routes in `machine` is all there is: a request that it does not name reaches nothing,
//! and every scope and carrier in it is enforced in one place (`gate`). What was accepted is answered, also
//! while the server shuts down.
//! Refuses to know: rules. The body of a write is the machine's command; a "no" is the machine's.

mod call;
mod document;
mod gate;
mod limit;
mod lookup;
mod metrics;
mod nonce;
mod problem;
mod refusals;
mod reply;
mod routes;
mod service;
mod write;
mod wrong;

mod accounts;
mod api_keys;
mod applications;
mod awards;
mod batches;
mod brands;
mod docs;
mod entries;
mod freezes;
mod held;
mod keys;
mod network;
mod operations;
mod payments;
mod reference;
mod settlement;
mod tiles;
mod units;
mod wallets;

pub use document::document;
pub use limit::{Limits, Rates};
pub use problem::{Code, Problem};
pub use service::{Parts, Service, Settings};

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
}

/// Starts the server on a listener. It runs until it is told to stop; await it.
pub fn start(service: Arc<Service>, listener: TcpListener, running: &Running) -> std::io::Result<Server> {
    let workers = running.workers.max(1);
    let data = web::Data::from(service);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(gate::pass))
            .configure(routes::configure)
            .default_service(web::to(routes::nothing))
    })
    .workers(workers)
    .max_connections(running.connections.div_ceil(workers))
    .backlog(4_096)
    .keep_alive(Duration::from_millis(running.idle_ms))
    .client_request_timeout(Duration::from_millis(running.idle_ms))
    .client_disconnect_timeout(Duration::from_secs(1))
    .shutdown_timeout(running.drain_seconds);
    let server =
        if running.signals { server.shutdown_signal(asked_to_stop()) } else { server.disable_signals() };
    Ok(server.listen(listener)?.run())
}

/// Ends when somebody wants the server to stop: with Ctrl-C as with SIGTERM what was accepted is answered first.
async fn asked_to_stop() {
    use actix_web::rt::signal::ctrl_c;
    #[cfg(unix)]
    {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            let both = futures_util::future::select(Box::pin(ctrl_c()), Box::pin(term.recv()));
            both.await;
            return;
        }
    }
    // Without signals there is nothing to wait for, and no reason to stop.
    if ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A listener; an error says what to do.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|e| {
        std::io::Error::new(
            e.kind(),
            format!("cannot listen on {address}: {e}; choose another with --listen"),
        )
    })
}
