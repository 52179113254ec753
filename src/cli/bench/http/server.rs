//! The server that is measured: in this process, or one that serves a network made for it.
//!
//! Owns: making such a network: all its keys come from one that lies in its folder.
//! Promises: callers are limited by the machine alone; a server that was started here has answered everything and
//! closed its network when it is stopped.
//! Refuses to know: what is asked of it.

use super::super::world::World;
use super::super::{awards, payments};
use super::Past;
use crate::api::Stopper;
use crate::app::{Network, Tuning, public_address, running, serve_until};
use crate::clock::{self, Clock};
use crate::config::{Api, Config};
use crate::engine::Failure;
use crate::store::Home;
use crate::vault::{KeyFolder, NewApiKey, Owner, Vault, Whom};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A network to be measured over HTTP.
pub(super) struct Prepared {
    pub world: Arc<World>,
    /// A brand's API key.
    pub secret: String,
}

/// The key that all others of such a network come from, among the operator's.
const MASTER: &str = "bench";

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

impl Prepared {
    /// Founds a network in an empty folder, with accounts that can pay, such that `serve` can open it.
    /// Also says how many awards of its past went in a second, in each tenth.
    pub(super) fn make(
        home: &Home,
        config: &Config,
        payers: u64,
        past: &Past,
    ) -> Result<(Self, Vec<f64>), String> {
        let keys = KeyFolder::at(home.dir());
        let master = keys.create(&Owner::Operator, &MASTER.parse().map_err(text)?).map_err(text)?;
        let world = Arc::new(World::of(&master, false));
        keys.put(&Owner::Operator, &"log".parse().map_err(text)?, world.log()).map_err(text)?;
        let network = world.found(home, &Tuning::of(config, home.dir())).map_err(text)?;
        payments::prepare(&world, &network, payers)?;
        let rates = match past.awards {
            0 => vec![],
            many => awards::past(&world, &network, many, past.accounts)?,
        };
        network.close().map_err(text)?;
        let now = clock::now();
        let key = NewApiKey {
            whom: Whom::Brand("br_issuer".parse().map_err(text)?),
            role: "brand_admin".into(),
            scopes: vec![],
            name: "bench".into(),
            expires: now.plus_seconds(300 * 86_400),
            live: false,
        };
        let (_, secret) = Vault::open(home).map_err(text)?.create_api_key(key, now).map_err(text)?;
        Ok((Self { world, secret }, rates))
    }

    /// The world of a network that was made so, by its folder.
    pub(super) fn world_of(dir: &Path) -> Result<Arc<World>, String> {
        let master = KeyFolder::at(dir).load(&Owner::Operator, &MASTER.parse().map_err(text)?);
        let master =
            master.map_err(|e| format!("{e}; `tallyhouse bench --prepare DIR` makes such a network"))?;
        Ok(Arc::new(World::of(&master, false)))
    }
}

/// A server in this process.
pub(super) struct Server {
    pub url: String,
    stopper: Stopper,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Server {
    /// Serves the network at a free port of this machine.
    pub(super) fn start(home: &Home, prepared: &Prepared, config: &Config) -> Result<Self, String> {
        let network: Network = prepared.world.reopen(home, &Tuning::of(config, home.dir())).map_err(text)?;
        let vault = Vault::open(home).map_err(text)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(text)?;
        // What is measured is the machine, not the limits.
        let (most, burst) = (1_000_000, 60);
        let api = Api {
            public: String::new(),
            per_key: most,
            per_address: most,
            failures: most,
            resolves: most,
            applications: most,
            burst,
            ..config.api.clone()
        };
        let url = public_address(&api, listener.local_addr().map_err(text)?);
        let service = network.into_service(vault, &api, url.clone(), Clock::Real).map_err(text)?;
        let running = running(&api, false);
        let (sender, stopper) = std::sync::mpsc::channel();
        let run = move || {
            // Whoever started this waits for it.
            serve_until(service, listener, None, &running, |stopper| drop(sender.send(stopper)))
        };
        let thread = std::thread::Builder::new().name("server".into()).spawn(run).map_err(text)?;
        match stopper.recv() {
            Ok(stopper) => Ok(Self { url, stopper, thread }),
            Err(_) => Err(match thread.join() {
                Ok(Err(failure)) => failure.to_string(),
                _ => "the server did not start".into(),
            }),
        }
    }

    /// Lets it answer what it accepted, and closes the network.
    pub(super) fn stop(self) -> Result<(), String> {
        self.stopper.stop();
        self.thread.join().map_err(|_| "the server ended in a panic")?.map_err(text)
    }
}
