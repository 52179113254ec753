//! Several nodes of one network, as processes of their own: one database, perhaps one Redis, certificates of one
//! authority.
//!
//! Owns: the folders, certificates and processes of the nodes, and who of them writes.
//! Promises: all nodes are gone when this is, paused ones too.
//! Refuses to know: what is asked of them.

use super::carried::unsigned;
use super::cluster::Cluster;
use super::http::{Ask, Reply, now};
use super::process::{Process, Wire, found};
use super::redis::free_port;
use super::world::{World, id};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::peers;
use tallyhouse::store::Home;
use tallyhouse::types::{AccountId, Time, UnitCode};
use tallyhouse::vault::{NewApiKey, Vault, Whom};

pub struct Nodes {
    pub world: World,
    pub address: String,
    pub auditor: String,
    pub till: String,
    pub all: Vec<Option<Process>>,
    config: String,
    ports: Vec<u16>,
    dir: tempfile::TempDir,
    unit: UnitCode,
    began: Time,
    count: AtomicU64,
}

/// How long the lease is in tests.
pub const LEASE_MS: u64 = 2_000;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

impl Nodes {
    /// Founds the network of a seed in a new database, and starts so many nodes; `config` is TOML for all of them, its
    /// first lines before any section.
    pub fn start(server: &Cluster, seed: u64, count: usize, config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let address = server.database();
        let home = Home::new(&dir.path().join("n0"), Some(address.parse().expect("an address")));
        let world = World::real(seed);
        found(&world, &home, &[]);
        let vault = Vault::open(&home).expect("a vault");
        let now = tallyhouse::clock::now();
        let key = |whom, role: &str| {
            let (role, expires) = (role.to_owned(), now.plus_seconds(86_400));
            let new = NewApiKey { whom, role, scopes: vec![], name: String::new(), expires, live: false };
            vault.create_api_key(new, now).expect("a key").1
        };
        let auditor = key(Whom::Operator, "auditor");
        let till = key(Whom::Brand(world.brand_of(id("TWIN")).0.id.clone()), "till");
        drop(vault);
        let names: Vec<(String, Vec<String>)> =
            (0..count).map(|n| (format!("n{n}"), vec!["127.0.0.1".to_owned()])).collect();
        // One more, whose key somebody else has.
        let names = [names, vec![("spare".to_owned(), vec!["127.0.0.1".to_owned()])]].concat();
        let made = peers::make(&names, None).expect("certificates");
        std::fs::write(dir.path().join("denied.pem"), "").expect("written");
        std::fs::write(dir.path().join("ca.pem"), &made.ca).expect("written");
        for ((name, _), (certificate, key)) in names.iter().zip(&made.nodes) {
            std::fs::write(dir.path().join(format!("{name}.pem")), certificate).expect("written");
            std::fs::write(dir.path().join(format!("{name}.key")), key).expect("written");
        }
        for n in 1..count {
            copy(&dir.path().join("n0/keys"), &dir.path().join(format!("n{n}/keys")));
        }
        let ports = (0..count).map(|_| free_port()).collect();
        let mut nodes = Self {
            world,
            address,
            auditor,
            till,
            all: (0..count).map(|_| None).collect(),
            config: config.to_owned(),
            ports,
            dir,
            unit: id("TWIN"),
            began: now,
            count: AtomicU64::new(0),
        };
        for n in 0..count {
            nodes.run(n);
        }
        nodes
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The home of a node.
    pub fn home(&self, n: usize) -> Home {
        Home::new(&self.dir.path().join(format!("n{n}")), Some(self.address.parse().expect("an address")))
    }

    /// Where a node listens to its peers.
    pub fn port(&self, n: usize) -> u16 {
        self.ports[n]
    }

    /// Starts a node, or starts it again.
    pub fn run(&mut self, n: usize) {
        self.all[n] = Some(self.spawn(n));
    }

    /// A process of a node.
    pub fn spawn(&self, n: usize) -> Process {
        let (dir, port) = (self.dir.path().display(), self.ports[n]);
        let config = format!(
            "{}\n[store]\ndatabase = \"{}\"\n[api]\nper_key = 1000000\nper_address = 1000000\ndrain_seconds = 5\n\
             lead_ms = 100\n[node]\nname = \"n{n}\"\nlisten = \"127.0.0.1:{port}\"\nca = \"{dir}/ca.pem\"\n\
             cert = \"{dir}/n{n}.pem\"\nkey = \"{dir}/n{n}.key\"\ndenied = \"{dir}/denied.pem\"\nlease_ms = {LEASE_MS}\n",
            self.config, self.address
        );
        Process::start(&self.dir.path().join(format!("n{n}")), &config)
    }

    pub fn node(&self, n: usize) -> &Process {
        self.all[n].as_ref().expect("it runs")
    }

    /// What a node says it is: `writer`, `reader`, or nothing if it is not ready.
    pub fn role(&self, n: usize) -> Option<String> {
        let reply = self.all[n].as_ref()?.try_get("/readyz").ok()?;
        (reply.status == 200).then(|| reply.json()["role"].as_str().expect("a role").to_owned())
    }

    /// Waits until one of these writes.
    pub fn writer_among(&self, among: &[usize]) -> usize {
        let begun = Instant::now();
        loop {
            for n in among {
                if self.role(*n).as_deref() == Some("writer") {
                    return *n;
                }
            }
            let said: Vec<String> = self.all.iter().flatten().map(Process::errors).collect();
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody writes: {said:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn writer(&self) -> usize {
        self.writer_among(&(0..self.all.len()).collect::<Vec<_>>())
    }

    /// One of the others.
    pub fn reader(&self) -> usize {
        let writer = self.writer();
        (0..self.all.len()).find(|n| *n != writer && self.all[*n].is_some()).expect("a reader")
    }

    pub fn until_role(&self, n: usize, role: &str) {
        let begun = Instant::now();
        while self.role(n).as_deref() != Some(role) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "n{n} is no {role}: {}",
                self.node(n).errors()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// An account of the unit that points are awarded in.
    pub fn account(&self, which: usize) -> AccountId {
        self.world.holder(self.unit, which).account
    }

    /// The award of an id to an account: always the same, signed anew each time.
    pub fn award(&self, name: &str, which: usize, amount: u64) -> Ask {
        let (brand, at) = self.world.brand_of(self.unit);
        let token = self.world.token(brand, self.unit, name, self.account(which), amount, self.began);
        let message = unsigned(&self.world.issue(&brand.issuing[at], &token).jws[0]);
        Ask::message(&message.sign(&brand.issuing[at].secret, now(), &self.nonce()))
    }

    /// The same as statements.
    pub fn token(&self, name: &str, which: usize, amount: u64) -> Vec<String> {
        let (brand, at) = self.world.brand_of(self.unit);
        let token = self.world.token(brand, self.unit, name, self.account(which), amount, self.began);
        self.world.issue(&brand.issuing[at], &token).jws
    }

    pub fn nonce(&self) -> String {
        format!("nonce-{}-{:0>16}", now(), self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// What an account holds, asked with an API key.
    pub fn balance(&self, which: usize, least: Option<u64>) -> Ask {
        let ask = Ask::get(format!("/v1/accounts/{}", self.account(which))).key(&self.auditor);
        match least {
            Some(seq) => ask.with("min-seq", seq.to_string()),
            None => ask,
        }
    }

    /// Sends a request to a node, on a connection of its own.
    pub fn try_ask(&self, n: usize, ask: &Ask) -> io::Result<Reply> {
        Wire::connect(self.node(n).address)?.ask(ask)
    }

    #[track_caller]
    pub fn ask(&self, n: usize, ask: &Ask) -> Reply {
        self.try_ask(n, ask).expect("an answer")
    }

    /// Asks until it is done; how long that took, and how often it was told to come again.
    pub fn until_done(&self, n: usize, ask: impl Fn() -> Ask) -> (Reply, Duration, u32) {
        let (begun, mut refused) = (Instant::now(), 0);
        loop {
            match self.try_ask(n, &ask()) {
                Ok(reply) if reply.status == 201 => return (reply, begun.elapsed(), refused),
                Ok(reply) => {
                    assert_eq!(reply.status, 503, "{reply:?}");
                    assert!(reply.header("retry-after").is_some(), "{reply:?}");
                    refused += 1;
                }
                Err(_) => refused += 1,
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "no service: {}", self.node(n).errors());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.all[n].take() {
            process.signal("CONT");
            process.kill();
        }
    }

    /// Ends all of them in order.
    pub fn end(&mut self) {
        for process in self.all.iter().flatten() {
            process.signal("CONT");
            process.signal("TERM");
        }
        for process in self.all.iter_mut().filter_map(Option::take) {
            let mut process = process;
            let status = process.ended(Duration::from_secs(40)).expect("it ends");
            assert!(status.success(), "{status}: {}", process.errors());
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in self.all.iter().flatten() {
            process.signal("CONT");
        }
    }
}

/// A signed request without a body.
pub fn signed(nodes: &Nodes, key: &super::world::Key, method: &str, target: &str) -> Ask {
    let message = tallyhouse::sign::HttpMessage {
        method: method.into(),
        target_uri: format!("{}{target}", super::carried::ADDRESS),
        idempotency_key: (!matches!(method, "GET" | "HEAD")).then(|| nodes.nonce()),
        ..Default::default()
    };
    Ask::message(&message.sign(&key.secret, now(), &nodes.nonce()))
}

/// A signed request to the vault.
pub fn signed_post(nodes: &Nodes, key: &super::world::Key, target: &str, body: &serde_json::Value) -> Ask {
    let target = format!("{}{target}", super::carried::ADDRESS);
    let message = tallyhouse::sign::HttpMessage::post(target, nodes.nonce(), body.to_string());
    Ask::message(&message.sign(&key.secret, now(), &nodes.nonce()))
}

impl Nodes {
    /// Asks until the answer is of this status; meanwhile there may be none, or it is to be asked again.
    pub fn until_status(&self, n: usize, status: u16, ask: impl Fn() -> Ask) -> Reply {
        let begun = Instant::now();
        loop {
            match self.try_ask(n, &ask()) {
                Ok(reply) if reply.status == status => return reply,
                Ok(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
                Err(_) => {}
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", self.node(n).errors());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
