//! Where a database is, and how it is reached.
//!
//! Owns: what an address may say, and what is added to it: bounds on silence, and TLS by `sslmode`.
//! Promises: no password is ever shown.
//! Refuses to know: what the database holds.

use super::tls::{Mode, Tls};
use crate::types::Malformed;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long connecting may take, unless the address says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// The same for each of several hosts: one that lost its power does not refuse, and another one may be the primary.
const CONNECT_EACH: Duration = Duration::from_secs(2);
/// How long sent bytes may go unacknowledged before a connection counts as lost.
const SILENCE: Duration = Duration::from_secs(20);
/// How long an idle connection may be silent before the other side is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(30);

/// An address: `postgres://user:password@host:port,host:port/database?sslmode=…`. Of several hosts the first that
/// takes writes is connected to.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// How long any answer may take, if not as by default.
    pub(super) answer_within: Option<Duration>,
    shown: String,
}

impl FromStr for Address {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = |why: &dyn fmt::Display| Malformed(format!("not a database's address: {why}"));
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong(&"it begins with postgres://"));
        }
        let Own { rest, mode, roots, answer_within } = take_own(text).map_err(|why| wrong(&why))?;
        let mut config: Config = rest.parse().map_err(|e: tokio_postgres::Error| wrong(&cause(&e)))?;
        if config.get_hosts().is_empty() {
            return Err(wrong(&"it names no host"));
        }
        let several = config.get_hosts().len() > 1;
        // Of several hosts the one is wanted that takes writes: reads are as current as writes.
        if several && !text.contains("target_session_attrs=") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(if several { CONNECT_EACH } else { CONNECT });
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(IDLE);
        config.application_name("tallyhouse");
        let tls = Tls::new(mode, roots.as_deref()).map_err(|why| wrong(&why))?;
        let shown = shown(&config);
        Ok(Self { config, tls, answer_within, shown })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What a client says, with what is behind it.
pub(super) fn cause(e: &tokio_postgres::Error) -> String {
    match std::error::Error::source(e) {
        Some(source) => format!("{e}: {source}"),
        None => e.to_string(),
    }
}

/// Hosts and database; neither user nor password.
fn shown(config: &Config) -> String {
    let mut text = String::from("postgres://");
    for (at, host) in config.get_hosts().iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match host {
            Host::Tcp(name) => text.push_str(name),
            Host::Unix(path) => text.push_str(&path.display().to_string()),
        }
        let ports = config.get_ports();
        if let Some(port) = ports.get(at).or(ports.first()) {
            text.push_str(&format!(":{port}"));
        }
    }
    text.push('/');
    text.push_str(config.get_dbname().or(config.get_user()).unwrap_or_default());
    text
}

/// An address without what the client does not know, and that.
struct Own {
    rest: String,
    mode: Mode,
    roots: Option<String>,
    answer_within: Option<Duration>,
}

/// Takes `sslmode`, `sslrootcert` and `answer_within` out of an address.
fn take_own(text: &str) -> Result<Own, String> {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    let mut own = Own { rest: before.to_owned(), mode: Mode::Prefer, roots: None, answer_within: None };
    let mut rest = vec![];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => own.mode = value.parse()?,
            Some(("sslrootcert", path)) => own.roots = Some(path.replace("%2F", "/").replace("%2f", "/")),
            Some(("answer_within", value)) => {
                let seconds = value.parse::<u16>().ok().filter(|seconds| *seconds > 0);
                let seconds = seconds.ok_or_else(|| format!("answer_within={value}: a number of seconds"))?;
                own.answer_within = Some(Duration::from_secs(seconds.into()));
            }
            _ => rest.push(pair),
        }
    }
    if !rest.is_empty() {
        own.rest = format!("{before}?{}", rest.join("&"));
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shows_no_secret() {
        let quick: Address = "postgres://h/d?answer_within=3&sslmode=disable".parse().unwrap();
        assert_eq!(quick.answer_within, Some(Duration::from_secs(3)));
        let address: Address =
            "postgres://tally:s3cret@db.example:5433/points?sslmode=disable".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://db.example:5433/points");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert_eq!(address.config.get_user(), Some("tally"));
        assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
        let socket: Address = "postgresql://%2Fvar%2Frun%2Fpostgresql/points".parse().unwrap();
        assert_eq!(socket.to_string(), "postgres:///var/run/postgresql:5432/points");
        assert_eq!(socket.config.get_ssl_mode(), SslMode::Prefer);
        let own: Address = "postgres://h/d?connect_timeout=9&sslmode=require".parse().unwrap();
        assert_eq!(own.config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(own.config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn of_several_hosts_the_primary_is_wanted() {
        let read = |text: &str| text.parse::<Address>().unwrap();
        let several = read("postgres://tally@a:5433,b:5434,c/points?sslmode=disable");
        assert_eq!(several.to_string(), "postgres://a:5433,b:5434,c:5432/points");
        assert_eq!(several.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(several.config.get_connect_timeout(), Some(&CONNECT_EACH));
        let any = read("postgres://a,b/points?target_session_attrs=any&connect_timeout=9");
        assert_eq!(any.config.get_target_session_attrs(), TargetSessionAttrs::Any);
        assert_eq!(any.config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(read("postgres://a/d").config.get_target_session_attrs(), TargetSessionAttrs::Any);
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        let rows = [
            ("mysql://h/d", "begins with postgres://"),
            ("postgres:///d", "names no host"),
            ("postgres://h/d?sslmode=maybe", "sslmode"),
            ("postgres://h/d?nonsense=1", "nonsense"),
            ("postgres://h/d?answer_within=soon", "answer_within"),
            ("postgres://h/d?sslmode=verify-full", "sslrootcert"),
            ("postgres://h/d?sslmode=verify-ca&sslrootcert=/none", "/none"),
        ];
        for (text, wanted) in rows {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(wanted), "{text:?} gave {error:?}");
        }
    }
}
