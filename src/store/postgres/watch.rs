//! Watching a connection: the task that moves its bytes, and what only that task sees.
//!
//! Owns: how long an answer may take, and what the server says beside its answers.
//! Promises: whoever waits for a server that says nothing, its connection open, is told so in bounded time: the
//! connection is given up then. A warning is known before the answer that it comes with.
//! Refuses to know: what was asked.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Connection, Socket};

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    /// How long an answer may take.
    most: Option<Duration>,
    /// When something was asked that is not answered, in milliseconds since `begun` and one more; 0: nothing is.
    asked: AtomicU64,
    warning: Mutex<Option<String>>,
}

/// Something was asked; dropped when it is answered.
pub(super) struct Asked<'a>(&'a Watch);

impl Watch {
    /// Answers take so long at most; `None`: as long as they take.
    pub(super) fn new(most: Option<Duration>) -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), most, asked: AtomicU64::new(0), warning: Mutex::default() })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// From here on an answer is waited for.
    pub(super) fn ask(&self) -> Asked<'_> {
        self.asked.store(self.now(), Ordering::Release);
        Asked(self)
    }

    fn is_overdue(&self) -> bool {
        let (asked, Some(most)) = (self.asked.load(Ordering::Acquire), self.most) else { return false };
        asked > 0 && Duration::from_millis(self.now().saturating_sub(asked)) > most
    }

    /// The last warning of the server, once.
    pub(super) fn take_warning(&self) -> Option<String> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn warn(&self, text: String) {
        *self.warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// Moves the bytes of a connection until it ends, or an answer is overdue.
    pub(super) async fn drive<S>(self: Arc<Self>, mut connection: Connection<Socket, S>)
    where
        S: TlsStream + Unpin,
    {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let message = poll_fn(|cx| {
                if let Poll::Ready(message) = connection.poll_message(cx) {
                    return Poll::Ready(Some(message));
                }
                look.poll_tick(cx).map(|_| None)
            });
            match message.await {
                None if self.is_overdue() => return,
                None => {}
                Some(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    // By its meaning: the word itself is in the server's language.
                    use tokio_postgres::error::Severity::Warning;
                    if notice.parsed_severity() == Some(Warning) || notice.severity() == "WARNING" {
                        self.warn(notice.message().to_owned());
                    }
                }
                Some(Some(Ok(_))) => {}
                Some(Some(Err(_)) | None) => return,
            }
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.asked.store(0, Ordering::Release);
    }
}
