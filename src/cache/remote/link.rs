//! The way to Redis: connections, and the breaker that keeps a Redis in trouble from costing readers time.
//!
//! Owns: how an address is read (one server, Sentinel, Cluster; with TLS or without), how long anybody waits, when nobody asks any
//! more, and when it is tried again.
//! Promises: while the breaker is open a question costs nothing and is not asked; it is closed by a probe, never
//! by a reader's question. A connection after trouble is a new one: no answer of before is read from it.
//! Refuses to know: what is asked.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, TlsCertificates, TlsMode, Value,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// How long a reader waits for Redis before it goes on to state.
pub(super) const PATIENCE: Duration = Duration::from_millis(5);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// Questions in a row without an answer after which nobody asks any more.
const FAILURES: u32 = 5;
/// The first wait before a probe, doubled up to the last one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Redis cannot be asked now, or did not answer in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Away;

/// A connection of either kind.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Whom an address names.
pub(super) enum Target {
    /// One server.
    One(Box<Client>),
    /// Whoever Sentinel says is the master. Asked anew for every connection.
    Sentinel(Box<Mutex<SentinelClient>>),
    /// A cluster. All keys of a network have one hash tag, so they are on one of its masters.
    Cluster(Box<ClusterClient>),
}

/// The parts of `redis+…://user:password@host:port,host:port/name`.
struct Several<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    hosts: Vec<(&'a str, u16)>,
    name: &'a str,
}

impl<'a> Several<'a> {
    fn read(rest: &'a str, port: u16) -> Result<Self, String> {
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match hosts.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, hosts),
        };
        let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or(("", text))) {
            Some((user, password)) => (Some(user).filter(|user| !user.is_empty()), Some(password)),
            None => (None, None),
        };
        let host = |text: &'a str| match text.rsplit_once(':') {
            Some((host, number)) if !host.is_empty() => {
                number.parse().map(|number| (host, number)).map_err(|_| format!("{text}: no port"))
            }
            Some(_) => Err(format!("{text}: no host")),
            None if text.is_empty() => Err("no host".to_owned()),
            None => Ok((text, port)),
        };
        Ok(Self { user, password, hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?, name })
    }
}

/// How connections are encrypted: with which authorities' certificates, or the system's.
struct Tls(TlsCertificates);

impl Tls {
    /// Takes `?sslrootcert=FILE` off an address, and tells whether it wants TLS: `rediss…://`.
    fn read(url: &str) -> Result<(String, Option<Self>), String> {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let path =
            query.strip_prefix("sslrootcert=").map(|path| path.replace("%2F", "/").replace("%2f", "/"));
        let scheme = rest.split("://").next().unwrap_or_default();
        if !scheme.starts_with("rediss") {
            return match path {
                Some(_) => Err("sslrootcert is for rediss://, which is TLS".into()),
                None => Ok((url.to_owned(), None)),
            };
        }
        let root_cert = match &path {
            Some(path) => Some(std::fs::read(path).map_err(|e| format!("{path}: {e}"))?),
            None => None,
        };
        let rest = if path.is_some() { rest } else { url };
        Ok((rest.replacen("rediss", "redis", 1), Some(Self(TlsCertificates { client_tls: None, root_cert }))))
    }
}

impl Target {
    /// Reads `redis://…` (also `redis+unix:///path`), `redis+sentinel://host:port,…/master`, or
    /// `redis+cluster://host:port,…`; with `rediss` in place of `redis` over TLS, against the system's certificates or
    /// those in `?sslrootcert=FILE`. An error never repeats a password.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let text = |e: RedisError| e.to_string();
        let (url, tls) = Tls::read(url)?;
        if let Some(rest) = url.strip_prefix("redis+sentinel://") {
            let several = Several::read(rest, 26_379)?;
            if several.name.is_empty() {
                return Err("redis+sentinel://host:port,…/NAME: the master's name is missing".into());
            }
            let hosts = several.hosts.iter().map(|(host, port)| match &tls {
                None => ConnectionAddr::Tcp((*host).into(), *port),
                // Which certificates it trusts is said below.
                Some(_) => ConnectionAddr::TcpTls {
                    host: (*host).into(),
                    port: *port,
                    insecure: false,
                    tls_params: None,
                },
            });
            let mut client =
                SentinelClientBuilder::new(hosts, several.name, SentinelServerType::Master).map_err(text)?;
            if let Some(user) = several.user {
                client = client.set_client_to_redis_username(user);
            }
            if let Some(password) = several.password {
                client = client.set_client_to_redis_password(password);
            }
            if let Some(Tls(certificates)) = tls {
                client = client
                    .set_client_to_redis_tls_mode(TlsMode::Secure)
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(certificates);
            }
            return Ok(Self::Sentinel(Box::new(Mutex::new(client.build().map_err(text)?))));
        }
        if let Some(rest) = url.strip_prefix("redis+cluster://") {
            let several = Several::read(rest, 6_379)?;
            let hosts = several.hosts.iter().map(|(host, port)| format!("redis://{host}:{port}"));
            let mut client = ClusterClient::builder(hosts)
                .retries(1)
                .connection_timeout(CONNECT)
                .response_timeout(CONNECT);
            if let Some(user) = several.user {
                client = client.username(user);
            }
            if let Some(password) = several.password {
                client = client.password(password);
            }
            if let Some(Tls(certificates)) = tls {
                client = client.tls(TlsMode::Secure).certs(certificates);
            }
            return Ok(Self::Cluster(Box::new(client.build().map_err(text)?)));
        }
        let Some(Tls(certificates)) = tls else {
            let info = url.into_connection_info().map_err(text)?;
            return Ok(Self::One(Box::new(Client::open(info).map_err(text)?)));
        };
        let info = url.replacen("redis", "rediss", 1).into_connection_info().map_err(text)?;
        Ok(Self::One(Box::new(Client::build_with_tls(info, certificates).map_err(text)?)))
    }

    /// A new connection; an answer on it may take `within`.
    pub(super) async fn connect(&self, within: Duration) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(within));
        let making = async {
            match self {
                Self::One(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::One)
                }
                Self::Sentinel(client) => {
                    let mut client = client.lock().await;
                    client.get_async_connection_with_config(&config).await.map(Connection::One)
                }
                Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
            }
        };
        match tokio::time::timeout(CONNECT * 2, making).await {
            Ok(made) => made,
            Err(_) => Err(RedisError::from((ErrorKind::Io, "no connection in time"))),
        }
    }
}

/// Whether an error says that this server, or this connection, is of no use now, whatever is asked.
pub(super) fn is_lost(e: &RedisError) -> bool {
    let kind = e.kind();
    e.is_unrecoverable_error()
        || e.is_io_error()
        || matches!(
            kind,
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown
            )
        )
}

/// The readers' connection and its breaker.
pub(super) struct Link {
    pub(super) target: Target,
    connection: RwLock<Option<Connection>>,
    open: AtomicBool,
    failures: AtomicU32,
    errors: AtomicU64,
    tripped: Notify,
}

impl Link {
    /// Nothing is connected yet: the breaker is open.
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            connection: RwLock::default(),
            open: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            errors: AtomicU64::new(0),
            tripped: Notify::new(),
        }
    }

    /// Whether nobody asks.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Questions that were not answered, or wrongly, since the start.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Something was wrong beside a question that was asked here.
    pub(super) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Nobody asks any more, until a new connection is there.
    pub(super) fn trip(&self) {
        self.open.store(true, Ordering::Release);
        self.tripped.notify_one();
    }

    /// Asks, and waits for `patience` at most.
    pub(super) async fn ask<T: FromRedisValue>(&self, ask: &Pipeline, patience: Duration) -> Result<T, Away> {
        if self.is_open() {
            return Err(Away);
        }
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut connection) = connection else { return Err(Away) };
        match tokio::time::timeout(patience, ask.query_async::<T>(&mut connection)).await {
            Ok(Ok(answer)) => {
                if self.failures.load(Ordering::Relaxed) != 0 {
                    self.failures.store(0, Ordering::Relaxed);
                }
                return Ok(answer);
            }
            Ok(Err(e)) if is_lost(&e) => self.trip(),
            // An answer, though not the wanted one (no memory left, say): the next question may fare better.
            Ok(Err(_)) => {}
            Err(_) => {
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
                    self.trip();
                }
            }
        }
        self.count_error();
        Err(Away)
    }

    /// Connects, and again whenever the breaker opened. Does not return.
    pub(super) async fn keep(&self) {
        let (mut wait, last) = BACKOFF;
        loop {
            if !self.is_open() {
                self.tripped.notified().await;
                continue;
            }
            if self.probe().await {
                (wait, _) = BACKOFF;
                continue;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(last);
        }
    }

    /// Makes a connection and asks the simplest question. If that is answered in a reader's patience the
    /// breaker closes.
    async fn probe(&self) -> bool {
        self.connection.write().unwrap_or_else(PoisonError::into_inner).take();
        let Ok(mut made) = self.target.connect(CONNECT).await else { return false };
        let mut ping = Cmd::new();
        ping.arg("PING");
        let answered = tokio::time::timeout(PATIENCE, ping.query_async::<Value>(&mut made)).await;
        if !matches!(answered, Ok(Ok(_))) {
            return false;
        }
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(made);
        self.failures.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_server_a_sentinel_or_a_cluster() {
        let kind = |url: &str| {
            Target::read(url).map(|target| match target {
                Target::One(_) => "one",
                Target::Sentinel(_) => "sentinel",
                Target::Cluster(_) => "cluster",
            })
        };
        assert_eq!(kind("redis://127.0.0.1:6379/2"), Ok("one"));
        assert_eq!(kind("redis+unix:///run/redis.sock"), Ok("one"));
        assert_eq!(kind("redis+sentinel://:secret@a:26379,b/main"), Ok("sentinel"));
        assert_eq!(kind("redis+cluster://tally:secret@a:7000,b:7001"), Ok("cluster"));
        assert_eq!(kind("rediss://tally:secret@a:6380/2"), Ok("one"));
        assert_eq!(kind("rediss+sentinel://a:26379,b/main"), Ok("sentinel"));
        assert_eq!(kind("rediss+cluster://a:7000"), Ok("cluster"));
        let wrong = ["", "http://a", "redis+sentinel://a:1", "redis+cluster://", "redis+cluster://a:x"];
        for wrong in wrong.into_iter().chain(["rediss://a?sslrootcert=/none", "redis://a?sslrootcert=/none"])
        {
            let error = kind(wrong).expect_err(wrong);
            assert!(!error.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn credentials_and_hosts_are_told_apart() {
        let several = Several::read("tally:s:e@c@a:1,b/main", 9).expect("an address");
        assert_eq!((several.user, several.password), (Some("tally"), Some("s:e@c")));
        assert_eq!((several.hosts, several.name), (vec![("a", 1), ("b", 9)], "main"));
        let several = Several::read("secret@a", 9).expect("an address");
        assert_eq!((several.user, several.password), (None, Some("secret")));
    }
}
