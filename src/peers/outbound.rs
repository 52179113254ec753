//! The outbound client: requests to peers, over connections that are kept.
//!
//! Owns: the thread that moves their bytes, and how long a peer may take.
//! Promises: a request is sent once at the most; a body that breaks off is not taken for a whole one, on either side.
//! Refuses to know: what requests mean.

use super::identity::Identity;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// How long it may take to reach a peer.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a peer may take until it begins to answer: longer than its writer's patience with its followers.
const ANSWER: Duration = Duration::from_secs(40);
/// How long an answer that began may pause.
const PAUSE: Duration = Duration::from_secs(40);
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);
/// Connections to one peer that are kept.
const KEPT: usize = 64;
/// Pieces of a body that wait.
const WAITING: usize = 16;
/// An answer of a known length, up to so many bytes, is read as a whole before anything is told of it.
const WHOLE: u64 = 4 << 20;

/// A piece of a body.
#[derive(Debug)]
pub enum Piece {
    /// More of it.
    More(Bytes),
    /// It was all of it. Without this it broke off.
    End,
}

/// A body on its way to a peer.
#[derive(Debug)]
pub enum Sending {
    /// All of it.
    Whole(Bytes),
    /// Piece by piece.
    Pieces(mpsc::Receiver<Piece>),
}

impl Sending {
    /// A body that is put in piece by piece.
    pub fn pieces() -> (mpsc::Sender<Piece>, Self) {
        let (put, pieces) = mpsc::channel(WAITING);
        (put, Self::Pieces(pieces))
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Pieces(pieces) => pieces.poll_recv(cx).map(|piece| match piece {
                Some(Piece::More(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(io::Error::other("the body broke off"))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// What a peer answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, but those of the connection.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, if it is known as a whole.
    pub whole: Option<Bytes>,
    /// Else it comes piece by piece.
    pub pieces: mpsc::Receiver<Piece>,
}

/// There is no answer, and nobody knows whether the request took effect.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(String);

fn unreached(e: impl std::fmt::Display) -> Unreached {
    Unreached(e.to_string())
}

/// See the module.
pub struct Outbound {
    good_until: u64,
    client: Client<HttpsConnector<HttpConnector>, Sending>,
    runtime: Option<Runtime>,
}

/// What is about one connection and not about what goes over it.
const OWN: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Outbound {
    /// A client with a thread of its own.
    pub fn open(identity: &Identity) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("peers").enable_all().build()?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(identity.client())
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(KEPT)
            .retry_canceled_requests(false)
            .build(https);
        Ok(Self { good_until: identity.good_until(), client, runtime: Some(runtime) })
    }

    /// Until when this node's certificate is good, in Unix seconds.
    pub fn good_until(&self) -> u64 {
        self.good_until
    }

    /// Sends a request to a peer at `host:port`. Headers about the connection are left out.
    pub async fn send<'a>(
        &self,
        peer: &str,
        method: &str,
        target: &str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        body: Sending,
    ) -> Result<Answer, Unreached> {
        let uri: Uri = format!("https://{peer}{target}").parse().map_err(unreached)?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            let own = OWN.contains(&name) || matches!(name, "host" | "content-length" | "expect");
            if !own {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(unreached)?;
                request = request.header(name, HeaderValue::from_bytes(value).map_err(unreached)?);
            }
        }
        let request = request.body(body).map_err(unreached)?;
        let client = self.client.clone();
        let runtime = self.runtime.as_ref().ok_or_else(|| unreached("the client is closed"))?;
        let asked = runtime.spawn(async move {
            let asked = tokio::time::timeout(ANSWER, client.request(request)).await;
            let response = asked.map_err(|_| unreached("no answer in time"))?.map_err(|e| {
                let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}"));
                unreached(format!("{e}{}", cause.unwrap_or_default()))
            })?;
            told(response).await
        });
        asked.await.map_err(unreached)?
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        // Not an ordinary drop, which waits, and may not where requests are served.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn told(response: hyper::Response<Incoming>) -> Result<Answer, Unreached> {
    let (head, mut body) = response.into_parts();
    let fields = head.headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let headers = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let (put, pieces) = mpsc::channel(WAITING);
    let mut answer = Answer { status: head.status.as_u16(), headers, whole: None, pieces };
    if body.size_hint().exact().is_some_and(|length| length <= WHOLE) {
        let whole = tokio::time::timeout(PAUSE, body.collect()).await;
        answer.whole = Some(whole.map_err(unreached)?.map_err(unreached)?.to_bytes());
        return Ok(answer);
    }
    tokio::spawn(async move {
        // Whoever does not get the end knows that it broke off.
        while let Ok(frame) = tokio::time::timeout(PAUSE, body.frame()).await {
            let piece = match frame {
                None => Piece::End,
                Some(Err(_)) => return,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Piece::More(bytes),
                    Err(_) => continue,
                },
            };
            let over = matches!(piece, Piece::End);
            if put.send(piece).await.is_err() || over {
                return;
            }
        }
    });
    Ok(answer)
}
