//! The stage: a network that shares its balances through a Redis, with so little at hand that it has to ask it, and
//! what the log says about each account.

use crate::common::node::{How, Replay};
use crate::common::redis::Redis;
use crate::common::world::{World, beginning, id};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Tuning, compare_cache};
use tallyhouse::book::{Name, Record};
use tallyhouse::cache::Loaded;
use tallyhouse::cache::remote::{Figures, MacKey};
use tallyhouse::engine::Engine;
use tallyhouse::machine::Request;
use tallyhouse::sign::Award;
use tallyhouse::store::{Home, StoredPart};
use tallyhouse::types::{AccountId, UnitCode, encode};

/// Accounts: many more than are kept at hand, and more than the feeder writes at once.
pub const HOLDERS: usize = 700;
/// Longest that a test waits for the feeder.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn unit() -> UnitCode {
    id("TWIN")
}

pub fn holders(world: &World) -> Vec<AccountId> {
    (0..HOLDERS).map(|n| world.holder(unit(), n).account).collect()
}

/// Little at hand, and a Redis.
pub fn tune(tuning: &mut Tuning, url: &str) {
    tuning.pace.balances = 0;
    tuning.redis = Some(url.to_owned());
}

/// Points for one holder.
pub fn award(world: &World, name: &str, to: AccountId, amount: u64) -> Request {
    let (brand, at) = world.brand_of(unit());
    world.issue(&brand.issuing[at], &world.token(brand, unit(), name, to, amount, beginning()))
}

/// A point for each holder, in one entry.
pub fn award_all(world: &World, name: &str, to: &[AccountId]) -> Request {
    let (brand, at) = world.brand_of(unit());
    let lines: Vec<Vec<u8>> = to
        .iter()
        .map(|sub| {
            encode(&Award {
                sub: *sub,
                amount: crate::common::world::points(1),
                reference: None,
                store: None,
                till: None,
                occurred_at: None,
                business_date: None,
                reason: None,
                campaign: None,
                until: None,
                from: None,
                lines: None,
                sale: None,
            })
        })
        .collect();
    let claims = world.batch(brand, unit(), name, &lines, false, beginning());
    world.issue_batch(&brand.issuing[at], &claims, &lines)
}

/// What each account had after which entry.
pub struct History(BTreeMap<AccountId, Vec<(u64, u64)>>);

impl History {
    /// From the log alone.
    pub fn of(engine: &Engine, accounts: &[AccountId]) -> Self {
        let mut replay = Replay::new(How::Apply);
        let mut all: BTreeMap<AccountId, Vec<(u64, u64)>> = BTreeMap::new();
        loop {
            let entries = engine.read().read(replay.next_seq(), 1_000, 64 << 20).expect("the log");
            if entries.is_empty() {
                return Self(all);
            }
            for entry in entries {
                let parts = entry.parts.iter().map(|part| match part {
                    StoredPart::Whole(bytes) => bytes.clone(),
                    StoredPart::Erased(_) => panic!("nothing was erased"),
                });
                replay.take(&entry.envelope, &parts.collect::<Vec<_>>()).expect("it follows");
                for id in accounts {
                    let Some(record) = replay.state.get(&Name::Account(*id)) else { continue };
                    let total = record.account().expect("an account").total().get();
                    let known = all.entry(*id).or_default();
                    if known.last().is_none_or(|(_, last)| *last != total) {
                        known.push((entry.seq, total));
                    }
                }
            }
        }
    }

    /// Whether an account had this total (`None`: was not there) after an entry from `through` on.
    pub fn allows(&self, id: AccountId, total: Option<u64>, through: u64) -> Result<(), String> {
        let none = vec![];
        let known = self.0.get(&id).unwrap_or(&none);
        let ends = match total {
            None => known.first().map(|(seq, _)| *seq),
            Some(total) => {
                let Some(at) = known.iter().position(|(_, have)| *have == total) else {
                    return Err(format!("{id} never had {total}: {known:?}"));
                };
                known.get(at + 1).map(|(seq, _)| *seq)
            }
        };
        match ends {
            Some(end) if end <= through => {
                Err(format!("{id} had {total:?} until entry {end}, told as of {through}: {known:?}"))
            }
            _ => Ok(()),
        }
    }

    /// What it has at the end.
    pub fn last(&self, id: AccountId) -> Option<u64> {
        self.0.get(&id)?.last().map(|(_, total)| *total)
    }
}

/// See the module.
pub struct Stage {
    pub world: World,
    pub network: Option<Network>,
    pub redis: Redis,
    pub url: String,
    pub accounts: Vec<AccountId>,
    dir: tempfile::TempDir,
    awards: usize,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub fn new(redis: Redis) -> Self {
        let url = redis.url();
        Self::at(redis, url)
    }

    /// The network is founded, and every account has a point.
    pub fn at(redis: Redis, url: String) -> Self {
        let world = World::new(77);
        let dir = tempfile::tempdir().expect("a folder");
        let mut tuning = Tuning::at(dir.path());
        tune(&mut tuning, &url);
        let (genesis, key) = (world.genesis.clone(), &world.log.secret);
        let network = Network::create(Home::new(dir.path(), None), genesis, key, beginning(), &tuning)
            .expect("a network");
        for request in world.founding() {
            network.engine.ask(&request, Some(beginning())).expect("founding");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let accounts = holders(&world);
        let mut stage = Self { world, network: Some(network), redis, url, accounts, dir, awards: 0, runtime };
        stage.award_all();
        stage.fed();
        stage
    }

    pub fn engine(&self) -> &Engine {
        &self.network.as_ref().expect("open").engine
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn home(&self) -> Home {
        Home::new(self.dir.path(), None)
    }

    fn ask(&self, request: &Request) -> u64 {
        self.engine().ask(request, Some(beginning())).expect("an award").seq
    }

    /// A point for each.
    pub fn award_all(&mut self) {
        self.awards += 1;
        self.ask(&award_all(&self.world, &format!("all-{}", self.awards), &self.accounts));
    }

    /// A point for some, in entries of their own.
    pub fn award_some(&mut self, count: usize) {
        for n in 0..count {
            self.awards += 1;
            let to = self.accounts[(self.awards * 7 + n) % HOLDERS];
            self.ask(&award(&self.world, &format!("one-{}", self.awards), to, 1));
        }
    }

    /// A point for one.
    pub fn award_to(&mut self, which: usize) {
        self.awards += 1;
        let to = self.accounts[which];
        self.ask(&award(&self.world, &format!("one-{}", self.awards), to, 1));
    }

    pub fn figures(&self) -> Figures {
        self.engine().remote().expect("a Redis").figures()
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn until(&self, what: &str, is: impl Fn(&Figures) -> bool) {
        let begun = Instant::now();
        while !is(&self.figures()) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.figures());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until Redis is asked, and has everything.
    #[track_caller]
    pub fn fed(&self) {
        let committed = self.engine().progress().committed;
        self.until("never fed", |figures| !figures.is_open && figures.fed == committed);
        self.engine().settle().expect("followed");
    }

    /// Reads all accounts the way the API does, and what Redis alone says: all of it must be right. Returns how many
    /// answers came out of Redis.
    #[track_caller]
    pub fn read(&self) -> u64 {
        let history = History::of(self.engine(), &self.accounts);
        let newest = self.engine().newest().expect("entries");
        let before = self.figures().hits;
        for id in &self.accounts {
            let seen = self.runtime.block_on(self.engine().seen(*id)).expect("an answer");
            let total = seen.account().map(|account| account.total().get());
            assert_eq!((seen.seq, total), (newest, history.last(*id)), "{id}");
        }
        let hits = self.figures().hits - before;
        self.read_shared(&history);
        hits
    }

    /// Reads all accounts until enough of them came out of Redis: on a machine that is busy some answers of Redis come
    /// too late for a reader.
    #[track_caller]
    pub fn read_out_of_redis(&self) {
        self.until("Redis is not asked, or has nothing", |_| self.read() > 100);
    }

    /// What Redis alone says, as another node would see it.
    #[track_caller]
    pub fn read_shared(&self, history: &History) -> usize {
        let (mut found, newest) = (0, self.engine().newest().expect("entries"));
        for id in &self.accounts {
            let Some(loaded) = self.shared(*id) else { continue };
            let (total, through) = loaded;
            assert!(through <= newest, "{id}: told as of {through}, and the log ends at {newest}");
            history.allows(*id, Some(total), through).unwrap_or_else(|e| panic!("{e}"));
            found += 1;
        }
        found
    }

    /// An account in Redis: its total, and as of which entry.
    pub fn shared(&self, id: AccountId) -> Option<(u64, u64)> {
        let loaded = self.runtime.block_on(self.engine().remote().expect("a Redis").get(id, 0))?;
        let record = loaded.row.expect("a record").1;
        Some((record.account().expect("an account").total().get(), loaded.size - 1))
    }

    /// [`Stage::shared`] of a Redis that is well: an answer that came too late is asked for again.
    pub fn shared_surely(&self, id: AccountId) -> Option<(u64, u64)> {
        for _ in 0..200 {
            let errors = self.figures().errors;
            let shared = self.shared(id);
            let figures = self.figures();
            if shared.is_some() || (figures.errors == errors && !figures.is_open) {
                return shared;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no answer: {:?}", self.figures());
    }

    /// What state says about an account.
    pub fn in_state(&self, id: AccountId) -> Loaded {
        let name = Name::Account(id);
        let loaded = self.engine().read().load(&[name.to_string()]).expect("state");
        let row = loaded.rows.first().expect("an account");
        let record = Record::decode(&name, &row.value).expect("a record");
        Loaded { size: loaded.cursor.expect("a cursor").seq + 1, row: Some((row.seq, Arc::new(record))) }
    }

    /// The cursor in Redis: its generation and entry.
    pub fn cursor(&self) -> Option<(String, u64)> {
        let text: Option<String> = self.redis.ask(&["GET", &self.key("cursor")]);
        let text = text?;
        let mut words = text.split(' ');
        let generation = words.next().expect("a generation").to_owned();
        Some((generation, words.next().expect("an entry").parse().expect("a number")))
    }

    /// What the network's nodes write with.
    pub fn mac(&self) -> MacKey {
        MacKey::of(&self.world.log.secret)
    }

    /// What a node wrote under a key, without its code.
    pub fn text(&self, key: &str) -> String {
        let bytes: Vec<u8> = self.redis.ask(&["GET", key]);
        String::from_utf8(self.mac().open(key, &bytes).expect("a node wrote it").to_vec()).expect("text")
    }

    /// Writes as a node would.
    pub fn write(&self, key: &str, text: &str) {
        let sealed = String::from_utf8(self.mac().seal(key, text.as_bytes())).expect("text");
        self.redis.do_it(&["SET", key, &sealed]);
    }

    pub fn key(&self, name: &str) -> String {
        format!("tallyhouse:{{{}}}:{name}", self.world.net)
    }

    /// Everything in Redis is what state says.
    #[track_caller]
    pub fn compared(&self) -> u64 {
        self.engine().settle().expect("followed");
        let report =
            compare_cache(&**self.engine().read(), &self.url, self.world.net, self.mac()).expect("compared");
        assert_eq!(report.findings, [], "{report:?}");
        report.same
    }
}
