//! The yardstick for reads: the same server, that only says hello.

use actix_web::{App, HttpResponse, HttpServer, web};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

/// About as long as a balance.
const HELLO: &str = r#"{"account":"ac_0123456789abcdefghjkmnpqrs","unit":"POINTS","available":1000000,"held":0,"pending":0,"owed":0,"frozen":false,"hello":"world"}"#;

/// A server that runs on a thread of its own.
pub(super) struct Hello {
    pub(super) address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Hello {
    /// Starts it at a free port.
    pub(super) fn start(workers: usize) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let (sender, handle) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let hello = || async { HttpResponse::Ok().content_type("application/json").body(HELLO) };
                let server = HttpServer::new(move || App::new().default_service(web::to(hello)));
                let server = server.workers(workers.max(1)).disable_signals().listen(listener)?.run();
                // Whoever started this waits for the handle.
                let _ = sender.send(server.handle());
                server.await
            })
        });
        let handle = handle.recv().map_err(|_| "the server that says hello did not start")?;
        Ok(Self { address, handle, thread })
    }

    /// Stops it.
    pub(super) fn stop(self) -> Result<(), String> {
        // The stop is asked for at once; what comes back only waits for it.
        drop(self.handle.stop(false));
        self.thread.join().map_err(|_| "a server ended in a panic")?.map_err(|e| e.to_string())
    }
}
