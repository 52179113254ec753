//! The driver: how ordinary threads talk through an asynchronous client.
//!
//! Owns: the one thread that moves bytes between all connections and the database; waiting for an answer.
//! Promises: any thread may wait, also one that serves HTTP: it is then only busy, as it is with a file.
//! Refuses to know: what is asked.
//!
//! Why an asynchronous client: it speaks the protocol itself. The other way for Diesel is libpq in C, which has
//! to be installed or built with OpenSSL, and that takes Perl and make.

use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::{AsyncConnectionWrapper, BlockOn};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use tokio::runtime::{Builder, Runtime};

/// A connection as Diesel's synchronous half knows it.
pub(crate) type PgConnection = AsyncConnectionWrapper<AsyncPgConnection, Parked>;

/// Waits by parking the thread. The driver's own thread moves the bytes, so nothing else is needed here.
pub(crate) struct Parked;

impl BlockOn for Parked {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        wait(future)
    }

    fn get_runtime() -> Self {
        Self
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[derive(Debug)]
/// The thread that moves bytes. It ends when nobody holds it any more.
pub(super) struct Driver(Option<Runtime>);

impl Driver {
    pub(super) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("postgres").enable_io().enable_time().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a task on the driver's thread and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let runtime = self.0.as_ref().ok_or("the driver has ended")?;
        wait(runtime.spawn(task)).map_err(|e| e.to_string())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Not an ordinary drop, which waits, and may not where requests are served.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
