//! The API on the wire: the test network served on a port of its own, and a small client that says exactly
//! what it is told to.
//!
//! Owns: a server over a temporary folder, and how requests are written and answers read.
//! Promises: nothing is added to a request but what HTTP demands; a server that is dropped stops.
//! Refuses to know: what requests mean.

use super::carried::ADDRESS;
use super::place::Place;
use super::world::{Key, World, beginning};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tallyhouse::api::{self, Service, Stopper};
use tallyhouse::app::{Network, Tuning, running};
use tallyhouse::clock::Clock;
use tallyhouse::config::{Api, Config};
use tallyhouse::machine::{Request, Role};
use tallyhouse::sign::HttpMessage;
use tallyhouse::types::Time;
use tallyhouse::vault::{NewApiKey, Vault, Whom};

/// Longest that a test waits for a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// The code of a problem; empty if it is none.
    pub fn code(&self) -> String {
        match self.header("content-type") {
            Some("application/problem+json") => self.json()["code"].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }

    /// The answer's JSON, if it is of this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that it is a problem of this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        self.json()
    }

    /// The entry that it shows.
    pub fn seq(&self) -> u64 {
        let seq = self.header("tallyhouse-seq").unwrap_or_else(|| panic!("no Tallyhouse-Seq: {self:?}"));
        seq.parse().expect("a number")
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: vec![], body: vec![] }
    }

    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Takes the place of a header.
    #[must_use]
    pub fn instead(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self.with(name, value)
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    #[must_use]
    pub fn body(mut self, media: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with("content-type", media)
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With an API key.
    #[must_use]
    pub fn key(self, secret: &str) -> Self {
        self.with("authorization", format!("Bearer {secret}"))
    }

    /// A message that is signed already, sent as it is.
    pub fn message(message: &HttpMessage) -> Self {
        let target = message.target_uri.strip_prefix(ADDRESS).unwrap_or(&message.target_uri);
        let mut ask = Self::new(&message.method, target);
        for (name, value) in message.headers() {
            ask = ask.with(name, value);
        }
        ask.body = message.body.clone().unwrap_or_default().into_bytes();
        ask
    }

    /// Statements, one a line.
    pub fn statements(target: &str, jws: &[String]) -> Self {
        Self::post(target).body("application/jose", jws.join("\n"))
    }

    /// The bytes on the wire.
    pub fn bytes(&self, close: bool) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: test\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method == "POST" {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        if close {
            text.push_str("connection: close\r\n");
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub fn send(&self, to: SocketAddr) -> Reply {
        let mut stream = Stream::open(to, self, true);
        let head = stream.head.clone();
        let body = stream.rest();
        Reply { body, ..head }
    }
}

/// An answer that is read as it arrives.
pub struct Stream {
    /// The answer without its body.
    pub head: Reply,
    stream: TcpStream,
    left: Vec<u8>,
}

impl Stream {
    pub fn open(to: SocketAddr, ask: &Ask, close: bool) -> Self {
        let mut stream = TcpStream::connect(to).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        // A server may answer, or close its side, before it has read all of a body.
        let (bytes, mut writing) = (ask.bytes(close), stream.try_clone().expect("a socket"));
        if bytes.len() < 16_384 {
            let _ = writing.write_all(&bytes);
        } else {
            std::thread::spawn(move || writing.write_all(&bytes));
        }
        let mut left = vec![];
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Response::new(&mut fields);
            if let Ok(httparse::Status::Complete(length)) = parsed.parse(&left) {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let headers = parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value)));
                let head = Reply {
                    status: parsed.code.expect("a status"),
                    headers: headers.collect(),
                    body: vec![],
                };
                left.drain(..length);
                return Self { head, stream, left };
            }
            let mut piece = [0; 8192];
            let count =
                stream.read(&mut piece).unwrap_or_else(|e| panic!("{} {}: {e}", ask.method, ask.target));
            assert!(count > 0, "{} {}: no answer", ask.method, ask.target);
            left.extend_from_slice(&piece[..count]);
        }
    }

    /// More of the raw body; `None` at its end or if nothing comes for a while.
    pub fn more(&mut self) -> Option<Vec<u8>> {
        if !self.left.is_empty() {
            return Some(std::mem::take(&mut self.left));
        }
        let mut piece = [0; 65_536];
        match self.stream.read(&mut piece) {
            Ok(0) | Err(_) => None,
            Ok(count) => Some(piece[..count].to_vec()),
        }
    }

    /// How long to wait for more.
    pub fn patience(&self, most: Duration) {
        self.stream.set_read_timeout(Some(most)).expect("set");
    }

    /// The raw text until it has what is looked for, or for as long as the patience lasts.
    pub fn until(&mut self, found: impl Fn(&str) -> bool) -> String {
        let (mut text, begun) = (String::new(), Instant::now());
        while !found(&text) && begun.elapsed() < PATIENCE {
            match self.more() {
                Some(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
                None => break,
            }
        }
        text
    }

    /// The whole body that is left, without its framing.
    fn rest(&mut self) -> Vec<u8> {
        let length: Option<usize> = self.head.header("content-length").map(|n| n.parse().expect("a length"));
        let mut raw = std::mem::take(&mut self.left);
        while length.is_none_or(|length| raw.len() < length) {
            match self.more() {
                Some(piece) => raw.extend(piece),
                None => break,
            }
        }
        if self.head.header("transfer-encoding") == Some("chunked") { unchunk(&raw) } else { raw }
    }
}

/// The body of a chunked answer.
pub fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = vec![];
    while let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(raw) {
        let end = head + usize::try_from(size).expect("fits");
        if size == 0 || raw.len() < end {
            break;
        }
        body.extend_from_slice(&raw[head..end]);
        raw = raw.get(end + 2..).unwrap_or_default();
    }
    body
}

/// What is not as by default in how a network is run.
pub type Tune = Box<dyn Fn(&mut Tuning) + Send + Sync>;

fn tuning(place: &Place, tune: &Tune) -> Tuning {
    let mut tuning = place.tuning();
    tune(&mut tuning);
    tuning
}

/// The test network, served.
pub struct Server {
    pub world: World,
    pub address: SocketAddr,
    pub config: Api,
    service: Option<Arc<Service>>,
    place: Place,
    tune: Tune,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    count: AtomicU64,
}

/// Limits that no test meets by accident.
pub fn api_config() -> Api {
    let api = Config::parse("").expect("the defaults").api;
    Api {
        per_key: 1_000_000,
        per_address: 1_000_000,
        failures: 1_000_000,
        resolves: 1_000_000,
        applications: 1_000_000,
        workers: 2,
        drain_seconds: 5,
        ..api
    }
}

impl Server {
    /// The founded network of a seed.
    pub fn founded(seed: u64) -> Self {
        let world = World::new(seed);
        let asked = world.founding().into_iter().map(|request| (request, beginning())).collect::<Vec<_>>();
        Self::of(world, &asked, api_config())
    }

    /// A network in which these things were asked, at these times.
    pub fn of(world: World, asked: &[(Request, Time)], config: Api) -> Self {
        Self::tuned(world, asked, config, Box::new(|_| {}))
    }

    /// The same, run otherwise.
    pub fn tuned(world: World, asked: &[(Request, Time)], config: Api, tune: Tune) -> Self {
        let place = Place::new();
        let (genesis, key) = (world.genesis.clone(), &world.log.secret);
        let network = Network::create(&place.home, genesis, key, beginning(), &tuning(&place, &tune));
        let network = network.unwrap_or_else(|e| panic!("{e}"));
        for (request, at) in asked {
            let _ = network.engine.ask(request, world.genesis.driven.then_some(*at));
        }
        // Everybody sees what was asked before the first request comes.
        network.engine.settle().expect("the followers follow");
        let (address, service, stopper, thread) = serve(network, &place, &config);
        let (service, thread) = (Some(service), Some(thread));
        Self { world, address, config, service, tune, place, stopper, thread, count: AtomicU64::new(0) }
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// The address of its database, if it is in one.
    pub fn database(&self) -> Option<&str> {
        self.place.database.as_deref()
    }

    /// Stops the server in order, without closing the network.
    fn halt(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }

    /// Stops and closes: the folder is somebody else's to open.
    pub fn stop(&mut self) {
        self.halt();
        self.service.take().expect("open").close().expect("closes");
    }

    /// Stops, closes, opens the same folder and serves it again, on another port.
    pub fn restart(&mut self) {
        self.halt();
        self.service.take().expect("open").close().expect("closes");
        let tuning = tuning(&self.place, &self.tune);
        let network = Network::open(&self.place.home, &self.world.log.secret, &tuning);
        let network = network.unwrap_or_else(|e| panic!("{e}"));
        let (address, service, stopper, thread) = serve(network, &self.place, &self.config);
        (self.address, self.service) = (address, Some(service));
        (self.stopper, self.thread) = (stopper, Some(thread));
    }

    /// What the server serves.
    pub fn service(&self) -> &Service {
        self.service.as_ref().expect("open")
    }

    /// Sends a request.
    pub fn ask(&self, ask: &Ask) -> Reply {
        ask.send(self.address)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.ask(&Ask::get(target))
    }

    /// Reads with an API key.
    pub fn get_as(&self, secret: &str, target: &str) -> Reply {
        self.ask(&Ask::get(target).key(secret))
    }

    /// Reads with a signature.
    pub fn get_signed(&self, key: &Key, target: &str) -> Reply {
        self.ask(&self.signed_get(key, target))
    }

    /// A nonce or id that was not used yet.
    pub fn fresh(&self, what: &str) -> String {
        format!("{what}-{:0>20}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    pub fn signed_get(&self, key: &Key, target: &str) -> Ask {
        Ask::message(&self.sign(key, HttpMessage::get(format!("{ADDRESS}{target}"))))
    }

    pub fn signed_post(&self, key: &Key, target: &str, id: &str, body: &Value) -> Ask {
        Ask::message(&self.sign(key, HttpMessage::post(format!("{ADDRESS}{target}"), id, body.to_string())))
    }

    /// Signs a message now.
    pub fn sign(&self, key: &Key, message: HttpMessage) -> HttpMessage {
        let nonce = format!("{}-{}", self.fresh("nonce"), tallyhouse::clock::now().micros());
        message.sign(&key.secret, now(), &nonce)
    }

    /// Sends the statements of a request.
    pub fn submit(&self, target: &str, request: &Request) -> Reply {
        self.ask(&Ask::statements(target, &request.jws))
    }

    /// Makes an API key.
    pub fn api_key(&self, whom: Whom, role: Role) -> String {
        let now = tallyhouse::clock::now();
        let expires = now.plus_seconds(3_600);
        let (role, name) = (role.code().to_owned(), "test".to_owned());
        let new = NewApiKey { whom, role, scopes: vec![], name, expires, live: false };
        self.service().vault.create_api_key(new, now).expect("a key").1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.service.is_some() {
            self.halt();
        }
    }
}

/// The time of day, in seconds.
pub fn now() -> u64 {
    tallyhouse::clock::now().seconds()
}

type Started = (SocketAddr, Arc<Service>, Stopper, JoinHandle<()>);

fn serve(network: Network, place: &Place, config: &Api) -> Started {
    let vault = Vault::open(&place.home).expect("a vault");
    let service = network.into_service(vault, config, ADDRESS.into(), Clock::Real).expect("a service");
    let service = Arc::new(service);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (shared, how) = (service.clone(), running(config, false));
    let stopper = Stopper::default();
    let stopped = stopper.clone();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            api::start_with(shared, listener, &how, stopped).expect("starts").await.expect("runs");
        });
    });
    (address, service, stopper, thread)
}
