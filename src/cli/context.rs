//! What every verb is given, and how it may end.

use crate::app::genesis_of;
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::log::Envelope;
use crate::machine::Genesis;
use crate::sign::SecretKey;
use crate::store::{self, Home};
use crate::types::{Hash, Malformed, Refused, Time};
use crate::vault::{KeyFolder, Owner};
use serde::Serialize;
use std::cell::OnceCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Names the database in the environment.
const DATABASE: &str = "TALLYHOUSE_DATABASE";

/// Options of all verbs.
#[derive(clap::Args, Clone, Debug)]
pub struct Globals {
    /// The data folder of the network
    #[arg(long, global = true, value_name = "DIR", default_value = "./data/demo")]
    pub data: PathBuf,
    /// The PostgreSQL database that log, state, views and vault are in, if they are not in the data folder
    #[arg(long, global = true, value_name = "postgres://…")]
    pub database: Option<String>,
    /// A file that changes settings of this node, see config/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, where there is something for programs to read
    #[arg(long, global = true)]
    pub json: bool,
}

/// How a verb ends when nothing went wrong with the verb itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done, or yes.
    Ok = 0,
    /// Refused, or a verification failed.
    Refused = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Something broke.
    Fault = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Fault => 3,
        })
    }
}

/// Why a verb could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A domain "no", or something that does not verify.
    #[error("{0}")]
    Refused(String),
    /// The command line, a file named in it, or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something broke.
    #[error("{0}")]
    Fault(String),
    /// Nobody reads the output any more.
    #[error("the output was closed")]
    Closed,
}

impl CliError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
            Self::Fault(_) => Exit::Fault,
            Self::Closed => Exit::Ok,
        }
    }

    /// Something broke.
    pub fn fault(why: impl fmt::Display) -> Self {
        Self::Fault(why.to_string())
    }

    /// The command line is wrong.
    pub fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }
}

impl From<io::Error> for CliError {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::fault(e) }
    }
}

impl From<Refused> for CliError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.to_string())
    }
}

impl From<ConfigError> for CliError {
    fn from(e: ConfigError) -> Self {
        Self::usage(e)
    }
}

impl From<crate::store::Fault> for CliError {
    fn from(e: crate::store::Fault) -> Self {
        Self::fault(e)
    }
}

impl From<crate::app::Untaken> for CliError {
    fn from(e: crate::app::Untaken) -> Self {
        match e {
            crate::app::Untaken::Refused(why) => Self::Refused(why),
            crate::app::Untaken::Fault(why) => Self::Fault(why),
        }
    }
}

impl From<crate::vault::Fault> for CliError {
    fn from(e: crate::vault::Fault) -> Self {
        use crate::vault::Fault;
        match e {
            // A name on the command line was wrong; nothing broke.
            Fault::NoKey(_) | Fault::KeyExists(_) | Fault::BadKey { .. } => Self::usage(e),
            e => Self::fault(e),
        }
    }
}

/// What a verb is given: where the data is, and its streams.
pub struct Context<'a> {
    /// The data folder; it need not exist.
    pub data: PathBuf,
    /// Whether JSON was asked for.
    pub json: bool,
    config: Option<PathBuf>,
    database: Option<String>,
    home: OnceCell<Home>,
    input: &'a mut dyn Read,
    /// Standard output, buffered.
    pub out: &'a mut dyn Write,
}

impl<'a> Context<'a> {
    /// From the options and the streams.
    pub fn new(globals: Globals, input: &'a mut dyn Read, out: &'a mut dyn Write) -> Self {
        let Globals { data, database, config, json } = globals;
        Self { data, json, config, database, home: OnceCell::new(), input, out }
    }

    /// The settings of this node.
    pub fn config(&self) -> Result<Config, CliError> {
        Ok(Config::load(self.config.as_deref())?)
    }

    /// Where the network is kept: in the data folder, or in the database that the command line, the environment or
    /// the configuration names.
    pub fn home(&self) -> Result<Home, CliError> {
        if let Some(home) = self.home.get() {
            return Ok(home.clone());
        }
        let named = self.database.clone().or_else(|| std::env::var(DATABASE).ok());
        let named = match named {
            Some(named) => named,
            None => self.config()?.store.database,
        };
        let address = match named.as_str() {
            "" => None,
            address => Some(address.parse().map_err(|e: Malformed| CliError::usage(e))?),
        };
        let elsewhere = self.database.is_none() && address.is_some() && self.data.join("log.sqlite").exists();
        let home = self.home.get_or_init(|| Home::new(&self.data, address)).clone();
        if elsewhere {
            eprintln!(
                "warning: this is about {}, as {DATABASE} or the configuration says; {} holds a log, too, which \
                 --database '' would take",
                home.shown(),
                self.data.display()
            );
        }
        Ok(home)
    }

    /// The same; there must be a network.
    pub fn network(&self) -> Result<Home, CliError> {
        let home = self.home()?;
        if home.exists()? {
            return Ok(home);
        }
        let how = match home.database() {
            None => "give the folder of one with --data; `tallyhouse demo` or `tallyhouse found` makes one",
            Some(_) => "name another with --database; `tallyhouse demo` or `tallyhouse found` makes one",
        };
        Err(CliError::Usage(format!("{} holds no network; {how}", home.shown())))
    }

    /// Prints a line of text.
    pub fn say(&mut self, text: impl fmt::Display) -> Result<(), CliError> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Prints a value as JSON on one line.
    pub fn say_json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(&mut *self.out, value).map_err(io::Error::from)?;
        self.say("")
    }

    /// The text of an argument: itself, or what the file `@FILE` or standard input `-` holds.
    pub fn text(&mut self, argument: &str) -> Result<String, CliError> {
        let mut text = String::new();
        match (argument, argument.strip_prefix('@')) {
            ("-", _) => {
                self.input
                    .read_to_string(&mut text)
                    .map_err(|e| CliError::usage(format!("standard input: {e}")))?;
            }
            (_, Some(path)) => text = read(Path::new(path))?,
            _ => text = argument.to_owned(),
        }
        Ok(text.trim().to_owned())
    }

    /// What "now" means in a statement: the time of the machine or, if the network in the data folder is
    /// driven, that of its last entry.
    pub fn now(&self) -> Result<Time, CliError> {
        let home = self.home()?;
        if !home.exists()? {
            return Ok(clock::now());
        }
        let read = home.read()?;
        let last = match (genesis(&home, &*read)?.driven, read.tip()?) {
            (true, Some(tip)) => read.read_envelopes(tip.seq, 1)?.pop(),
            _ => None,
        };
        match last {
            Some(last) => Ok(Envelope::decode(&last.bytes).map_err(CliError::fault)?.at),
            None => Ok(clock::now()),
        }
    }

    /// The key that signs checkpoints, from the data folder.
    pub fn log_key(&self) -> Result<SecretKey, CliError> {
        let name = "log".parse().map_err(CliError::fault)?;
        Ok(KeyFolder::at(&self.data).load(&Owner::Operator, &name)?)
    }

    /// The network's id: as given, else that of the network in the data folder.
    pub fn net(&self, given: Option<Hash>) -> Result<Hash, CliError> {
        if let Some(net) = given {
            return Ok(net);
        }
        let home = self.home()?;
        if home.exists()? {
            return Ok(genesis(&home, &*home.read()?)?.net());
        }
        Err(CliError::Usage(format!(
            "which network? {} holds none: give its id with --net, or its folder with --data",
            home.shown()
        )))
    }
}

/// A text file that the command line names.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
}

/// A network's id on the command line.
pub(super) fn net(text: &str) -> Result<Hash, Malformed> {
    Hash::parse(text).map_err(|e| Malformed(format!("a network's id has 64 hexadecimal digits: {e}")))
}

/// Entry 0 of the log in a folder.
fn genesis(home: &Home, read: &dyn store::Read) -> Result<Genesis, CliError> {
    let broken = |why: &dyn fmt::Display| CliError::Fault(format!("{}: {why}", home.shown()));
    let genesis = genesis_of(read).map_err(|e| broken(&e))?;
    genesis.ok_or_else(|| broken(&"the log is empty"))
}
