//! How a node runs: sizes and intervals, read from a file over the defaults.
//!
//! Owns: which keys there are, their defaults (`config/default.toml`, built in) and their bounds.
//! Promises: a [`Config`] is whole and within bounds; a key that does not exist is an error that names
//! the nearest one that does.
//! Refuses to know: what the network is; that stands in its log.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The built-in defaults, with a comment on each key.
pub const DEFAULT: &str = include_str!("../config/default.toml");

/// What a number may be, by key.
const BOUNDS: &[(&str, i64, i64)] = &[
    ("api.applications", 1, 1_000_000),
    ("api.batch_bytes", 65_536, 64 << 20),
    ("api.body_bytes", 8_192, 1 << 20),
    ("api.body_ms", 100, 600_000),
    ("api.burst", 1, 60),
    ("api.connections", 10, 1_000_000),
    ("api.drain_seconds", 1, 3_600),
    ("api.failures", 1, 1_000_000),
    ("api.idle_ms", 100, 600_000),
    ("api.lead_ms", 0, 600_000),
    ("api.min_seq_ms", 0, 60_000),
    ("api.per_address", 1, 1_000_000),
    ("api.per_key", 1, 1_000_000),
    ("api.resolves", 1, 1_000_000),
    ("api.stale_ms", 500, 600_000),
    ("api.workers", 1, 1_024),
    // With few beside many pinned ones, a change of generations comes too often.
    ("cache.rows", 10_000, 100_000_000),
    ("checkpoint.publish_ms", 10, 3_600_000),
    ("follow.linger_ms", 0, 60_000),
    ("follow.rows_per_run", 1_000, 10_000_000),
    ("node.lease_ms", 500, 60_000),
    ("vault.cache_rows", 1_000, 100_000_000),
    ("writer.max_batch", 1, 100_000),
    ("writer.max_lines", 10_000, 1_000_000),
    ("writer.memory_rows", 1_000, 100_000_000),
    ("writer.patience_ms", 100, 600_000),
    // Twice what the largest entry changes: a batch of 10,000 lines touches three records a line at most.
    ("writer.pinned_rows", 60_000, 100_000_000),
    ("writer.queue", 1, 1_000_000),
];

/// Keys whose value is a text.
const TEXTS: &[&str] = &[
    "api.listen",
    "api.public",
    "api.settlement_accounts",
    "node.address",
    "node.ca",
    "node.cert",
    "node.denied",
    "node.key",
    "node.listen",
    "node.name",
    "redis",
    "store.database",
];

/// Everything that can be configured.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where log, state, views and vault are.
    pub store: Store,
    /// The address of the Redis that nodes share; empty: there is none.
    pub redis: String,
    /// The thread that decides and commits.
    pub writer: Writer,
    /// Those that follow the log.
    pub follow: Follow,
    /// The file that the newest checkpoint is written to.
    pub checkpoint: Checkpoint,
    /// Wallets and their accounts.
    pub vault: Vault,
    /// The HTTP service.
    pub api: Api,
    /// Balances for readers.
    pub cache: Cache,
    /// One node of several.
    pub node: Node,
}

/// One node of several that share a database.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What people call it.
    pub name: String,
    /// Where it listens to its peers; empty: it is alone.
    pub listen: String,
    /// Where its peers reach it, if not at `listen`.
    pub address: String,
    /// The authority that all nodes' certificates are of.
    pub ca: String,
    /// Its certificate.
    pub cert: String,
    /// The key of its certificate.
    pub key: String,
    /// Certificates of the authority that count no more; empty: all do.
    pub denied: String,
    /// How long the writer's lease is taken at a time, in milliseconds.
    pub lease_ms: u64,
}

/// Where log, state, views and vault are.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The address of a PostgreSQL database; if empty they are files in the data folder.
    pub database: String,
}

/// The thread that decides and commits.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// Commands that may wait.
    pub queue: usize,
    /// Most commands in one commit.
    pub max_batch: usize,
    /// Most lines of batches in one commit.
    pub max_lines: usize,
    /// Records kept at hand.
    pub memory_rows: usize,
    /// Changed records that may wait for state.
    pub pinned_rows: usize,
    /// How long a wait for followers may take, in milliseconds.
    pub patience_ms: u64,
}

/// Those that follow the log.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// Most changed records in one run.
    pub rows_per_run: usize,
    /// How long fewer than that may wait to be written, in milliseconds.
    pub linger_ms: u64,
}

/// The file that the newest checkpoint is written to.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// How often, in milliseconds.
    pub publish_ms: u64,
}

/// Wallets and their accounts.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Look-ups kept at hand.
    pub cache_rows: usize,
}

/// The HTTP service.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where it listens.
    pub listen: String,
    /// The address that callers use and sign; made of `listen` if empty.
    pub public: String,
    /// The file that names the house's settlement accounts; empty: it has none.
    pub settlement_accounts: String,
    /// Threads that read and answer requests.
    pub workers: usize,
    /// Connections that may be open.
    pub connections: usize,
    /// Most bytes of the body of a single write.
    pub body_bytes: usize,
    /// Most bytes of a batch.
    pub batch_bytes: usize,
    /// How long a body may take to arrive, in milliseconds.
    pub body_ms: u64,
    /// How long the head of a request may take, and an idle connection stay, in milliseconds.
    pub idle_ms: u64,
    /// How long a reader waits for the entry it names, in milliseconds.
    pub min_seq_ms: u64,
    /// How long a node that reads answers without having seen the log's end, in milliseconds.
    pub stale_ms: u64,
    /// Requests a second with an API key or a signature.
    pub per_key: u32,
    /// Requests a second without, by address.
    pub per_address: u32,
    /// Failed signatures and keys a second, by address.
    pub failures: u32,
    /// Look-ups of members a second, by key.
    pub resolves: u32,
    /// Applications to join an hour, by address.
    pub applications: u32,
    /// Seconds' worth of requests that may come at once.
    pub burst: u32,
    /// How long requests may take to finish once the server is told to stop, in seconds.
    pub drain_seconds: u64,
    /// How long it goes on after a signal while it says that it is not ready, in milliseconds.
    pub lead_ms: u64,
}

/// Balances for readers.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Accounts kept at hand.
    pub rows: usize,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("{0}")]
    Syntax(toml::de::Error),
    /// There is no such key.
    #[error("there is no key {key}; did you mean {nearest}?")]
    Unknown {
        /// What stands in the file.
        key: String,
        /// The key that looks most like it.
        nearest: String,
    },
    /// A value is of the wrong kind or out of bounds.
    #[error("{key} = {value}: a whole number from {least} to {most} is wanted")]
    Value {
        /// The key.
        key: String,
        /// What stands in the file.
        value: String,
        /// Its lower bound.
        least: i64,
        /// Its upper bound.
        most: i64,
    },
    /// A value is not a text.
    #[error("{key} = {value}: a text in quotation marks is wanted")]
    Text {
        /// The key.
        key: String,
        /// What stands in the file.
        value: String,
    },
    /// A value is no address of a web server.
    #[error(
        "{key} = {value}: https://host or http://host:port is wanted, without path and query; callers sign it"
    )]
    Address {
        /// The key.
        key: String,
        /// What stands in the file.
        value: String,
    },
    /// About a file: what is wrong in it.
    #[error("{path}: {why}")]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: Box<ConfigError>,
    },
}

impl Config {
    /// The file over the defaults, or the defaults alone.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::parse("") };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text).map_err(|why| ConfigError::In { path: path.to_path_buf(), why: Box::new(why) })
    }

    /// TOML over the defaults.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut whole = defaults()?;
        let given: Table = text.parse().map_err(ConfigError::Syntax)?;
        for (key, value) in leaves(&given) {
            if is_empty(&value)
                && whole.keys().any(|known| known.split_once('.').is_some_and(|(section, _)| section == key))
            {
                continue;
            }
            if whole.insert(key.clone(), value).is_none() {
                let known: Vec<&str> =
                    whole.keys().filter(|known| **known != key).map(String::as_str).collect();
                let nearest = nearest(&key, &known).unwrap_or_default().to_owned();
                return Err(ConfigError::Unknown { key, nearest });
            }
        }
        for (key, least, most) in BOUNDS {
            check(key, whole.get(*key), *least, *most)?;
        }
        for key in TEXTS {
            if let Some(value) = whole.get(*key).filter(|value| !value.is_str()) {
                return Err(ConfigError::Text { key: (*key).to_owned(), value: value.to_string() });
            }
        }
        let config: Self = nest(whole).try_into().map_err(ConfigError::Syntax)?;
        if !is_address(&config.api.public) {
            return Err(ConfigError::Address { key: "api.public".into(), value: config.api.public });
        }
        Ok(config)
    }
}

/// Whether a text is empty, or scheme and authority of a web server; a slash may end it.
fn is_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |host: &str| {
        let host = host.strip_suffix('/').unwrap_or(host);
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    };
    text.is_empty() || host.is_some_and(plain)
}

impl Default for Config {
    fn default() -> Self {
        match Self::parse("") {
            Ok(config) => config,
            Err(bug) => unreachable!("the built-in configuration is wrong: {bug}"),
        }
    }
}

fn defaults() -> Result<BTreeMap<String, Value>, ConfigError> {
    let table: Table = DEFAULT.parse().map_err(ConfigError::Syntax)?;
    Ok(leaves(&table).into_iter().collect())
}

/// Every value with its dotted key; an empty section stands for itself, so that a wrong one is noticed.
fn leaves(table: &Table) -> Vec<(String, Value)> {
    let mut all = vec![];
    for (section, value) in table {
        match value {
            Value::Table(keys) if !keys.is_empty() => {
                let dotted = |(key, value): (&String, &Value)| (format!("{section}.{key}"), value.clone());
                all.extend(keys.iter().map(dotted));
            }
            value => all.push((section.clone(), value.clone())),
        }
    }
    all
}

fn is_empty(value: &Value) -> bool {
    value.as_table().is_some_and(Table::is_empty)
}

/// The reverse of [`leaves`].
fn nest(leaves: BTreeMap<String, Value>) -> Table {
    let mut table = Table::new();
    for (dotted, value) in leaves {
        let Some((section, key)) = dotted.split_once('.') else {
            table.insert(dotted, value);
            continue;
        };
        let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(keys) = section {
            keys.insert(key.to_owned(), value);
        }
    }
    table
}

fn check(key: &str, value: Option<&Value>, least: i64, most: i64) -> Result<(), ConfigError> {
    match value {
        Some(Value::Integer(number)) if (least..=most).contains(number) => Ok(()),
        value => {
            let value = value.map(Value::to_string).unwrap_or_default();
            Err(ConfigError::Value { key: key.to_owned(), value, least, most })
        }
    }
}

/// The known word that takes the fewest changes of a letter. A word without a dot is compared with each
/// part of a dotted one too, since that is what people remember.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(word, known);
        let parts = known.split('.').map(|part| strsim::damerau_levenshtein(word, part));
        let part = if word.contains('.') { None } else { parts.min() };
        (part.map_or(whole, |part| part.min(whole)), whole)
    };
    known.iter().copied().min_by_key(|known| distance(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_whole_bounded_and_explained() {
        let config = Config::default();
        assert_eq!((config.writer.max_batch, config.checkpoint.publish_ms), (4096, 1000));
        let keys: Vec<String> = defaults().expect("TOML").into_keys().collect();
        let numbers = BOUNDS.iter().map(|(key, ..)| *key);
        let mut known: Vec<&str> = numbers.chain(TEXTS.iter().copied()).collect();
        known.sort_unstable();
        assert_eq!(keys, known);
        let lines: Vec<&str> = DEFAULT.lines().collect();
        for pair in lines.windows(2) {
            assert!(!pair[1].contains('=') || pair[0].starts_with("# "), "no comment on {}", pair[1]);
        }
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let config = Config::parse("[writer]\nmax_batch = 64\n").expect("a configuration");
        assert_eq!(config.writer.max_batch, 64);
        assert_eq!(config.writer.queue, Config::default().writer.queue);
        assert_eq!(config.vault, Config::default().vault);
        assert_eq!(Config::parse("[writer]\n").expect("an empty section"), Config::default());
        let shared =
            Config::parse("redis = \"redis://a:1\"\n[writer]\nqueue = 9").expect("without a section");
        assert_eq!((shared.redis.as_str(), shared.writer.queue), ("redis://a:1", 9));
        assert_eq!(Config::parse("writer.max_batch = 64").expect("dotted").writer, config.writer);
        for public in ["", "https://points.example", "http://127.0.0.1:8710/", "http://[::1]:80"] {
            let text = format!("[api]\npublic = \"{public}\"");
            assert_eq!(Config::parse(&text).expect("an address").api.public, public);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rows = [
            ("[writer]\nmax_bach = 1", "there is no key writer.max_bach; did you mean writer.max_batch?"),
            ("max_batch = 1", "there is no key max_batch; did you mean writer.max_batch?"),
            ("[folow]", "there is no key folow; did you mean follow.linger_ms?"),
            ("[folow]\nrows_per_run = 1", "did you mean follow.rows_per_run?"),
            ("writer = 1", "there is no key writer; did you mean writer.queue?"),
            ("[writer.queue]\nlength = 1", "writer.queue = { length = 1 }: a whole number from 1 to"),
            ("[writer]\nqueue = 0", "writer.queue = 0: a whole number from 1 to 1000000 is wanted"),
            ("[writer]\nqueue = \"many\"", "writer.queue = \"many\""),
            ("[writer]\nqueue = 1.5", "writer.queue = 1.5"),
            ("[api]\nlisten = 8080", "api.listen = 8080: a text in quotation marks is wanted"),
            ("[api]\npublic = \"points.example\"", "api.public = points.example: https://host"),
            ("[api]\npublic = \"https://points.example?x=\"", "without path and query"),
            ("[api]\npublic = \"https://points.example/api\"", "without path and query"),
            ("redis = 6379", "redis = 6379: a text in quotation marks is wanted"),
            ("redis.url = \"redis://a\"", "there is no key redis.url; did you mean"),
            ("rediss = \"redis://a\"", "there is no key rediss; did you mean redis?"),
            ("[redis]", "redis = {}: a text in quotation marks is wanted"),
            ("[writer", "TOML parse error at line 1"),
        ];
        for (text, wanted) in rows {
            let error = Config::parse(text).expect_err(text).to_string();
            assert!(error.contains(wanted), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn a_file_is_named_in_its_errors() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("node.toml");
        let error = |path: &Path| Config::load(Some(path)).expect_err("an error").to_string();
        assert!(error(&path).starts_with(&path.display().to_string()));
        std::fs::write(&path, "[vault]\ncache = 9").expect("written");
        assert_eq!(
            error(&path),
            format!("{}: there is no key vault.cache; did you mean vault.cache_rows?", path.display())
        );
    }
}
