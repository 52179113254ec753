//! Servers for the tests of the load generator.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Runs a test's future, with a thread for its servers.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Answers each request, which is read up to its empty line; its number counts over all connections. The
/// connection goes on with the stream that `answer` gives back.
pub(super) async fn serve<F, A>(answer: F) -> SocketAddr
where
    F: Fn(u64, TcpStream) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<Option<TcpStream>>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (answer, number) = (Arc::new(answer), Arc::new(AtomicU64::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, number) = (answer.clone(), number.clone());
            tokio::spawn(async move {
                let mut next = Some(stream);
                while let Some(mut stream) = next {
                    let mut head = vec![];
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await? == 0 {
                            return Ok::<_, io::Error>(());
                        }
                    }
                    next = answer(number.fetch_add(1, Ordering::SeqCst), stream).await?;
                }
                Ok(())
            });
        }
    });
    address
}
