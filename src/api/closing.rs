//! Closing: how a server is told to stop.
//!
//! Owns: the ways in which it is told: a signal, a word from the program that started it, an engine that failed.
//! Promises: `/readyz` says no and streams end before connections are closed; a signal is never the end of a
//! request that was accepted.
//! Refuses to know: how the requests under way are finished.

use super::service::Service;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::rt::time::sleep;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// How often the engine is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Stops the server that it was made with.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    /// Lets the server answer what it accepted, and end.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// The signals that end a process: of a service manager, and of a keyboard.
pub(super) struct Signals([Signal; 2]);

impl Signals {
    /// From here on they do not kill the process.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]))
    }

    async fn come(&mut self) {
        poll_fn(|cx| match self.0.iter_mut().any(|one| one.poll_recv(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

type Way = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends when the server shall close its connections; the service knows of it by then. After a signal there is a
/// `lead` in which it goes on serving, so that whoever asks `/readyz` can send requests elsewhere first.
pub(super) async fn told(service: Arc<Service>, stopper: Stopper, signals: Option<Signals>, lead: Duration) {
    let watched = service.clone();
    let mut ways: Vec<Way> = vec![
        Box::pin(async move { stopper.0.notified().await }),
        Box::pin(async move {
            while watched.seat.failure().is_none() {
                sleep(LOOK).await;
            }
        }),
    ];
    if let Some(mut signals) = signals {
        let service = service.clone();
        ways.push(Box::pin(async move {
            signals.come().await;
            service.begin_closing();
            sleep(lead).await;
        }));
    }
    poll_fn(|cx| match ways.iter_mut().any(|way| way.as_mut().poll(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
    service.begin_closing();
}
