//! Clients: they ask whichever node they like, and write down what they were told.
//!
//! Owns: the histories. Promises: a command goes down before it is sent; a client that demands what it saw never accepts
//! less. Refuses to know: what is done to the nodes.

use crate::checker::{Award, Balance};
use crate::common::http::{Ask, Reply};
use crate::common::process::Wire;
use crate::common::rng::Rng;
use crate::{HOLDERS, NODES, Stage};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a client waits for an answer: a node may be paused.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Connections of one client.
struct Wires<'a> {
    stage: &'a Stage<'a>,
    open: Vec<Option<Wire>>,
}

impl<'a> Wires<'a> {
    fn new(stage: &'a Stage<'a>) -> Self {
        Self { stage, open: (0..NODES).map(|_| None).collect() }
    }

    fn ask(&mut self, n: usize, ask: &Ask) -> io::Result<Reply> {
        let mut wire = match self.open[n].take() {
            Some(wire) => wire,
            None => {
                let address = *self.stage.addresses[n].lock().expect("an address");
                let address = address.ok_or_else(|| io::Error::other("it does not run"))?;
                let wire = Wire::connect(address)?;
                wire.stream.set_read_timeout(Some(PATIENCE))?;
                wire.stream.set_write_timeout(Some(PATIENCE))?;
                wire
            }
        };
        let reply = wire.ask(ask)?;
        if reply.header("connection") != Some("close") {
            self.open[n] = Some(wire);
        }
        Ok(reply)
    }
}

/// Whether it shall come again; nothing else is an excuse.
fn comes_again(reply: &Reply) -> bool {
    if reply.status != 503 {
        return false;
    }
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    true
}

/// A client that writes.
pub struct Writing {
    pub history: BTreeMap<String, Award>,
    /// When an award was answered.
    pub answered: Vec<Instant>,
    pub refused: u64,
}

impl Writing {
    pub fn run(stage: &Stage<'_>, which: u64) -> Self {
        let mut rng = Rng::new(stage.seed ^ (which + 1) << 8);
        let (mut wires, mut own) =
            (Wires::new(stage), Self { history: BTreeMap::new(), answered: vec![], refused: 0 });
        for count in 0.. {
            if stage.over.load(Ordering::Acquire) {
                break;
            }
            let name = format!("w{which}-{count}");
            let (holder, amount) = (rng.index(HOLDERS), rng.range(1, 9));
            // From here on it may happen.
            own.history.insert(name.clone(), Award { which: holder, amount, seq: None });
            let mut tries = rng.range(1, 60);
            let seq = loop {
                let reply = wires.ask(rng.index(NODES), &stage.nodes.award(&name, holder, amount));
                match reply {
                    Ok(reply) if reply.status == 201 => break Some(reply.seq()),
                    Ok(reply) => assert!(comes_again(&reply), "{name}: {reply:?}"),
                    Err(_) => {}
                }
                own.refused += 1;
                tries -= 1;
                if tries == 0 {
                    break None;
                }
                std::thread::sleep(Duration::from_millis(rng.range(5, 60)));
            };
            let Some(seq) = seq else { continue };
            own.answered.push(Instant::now());
            own.history.insert(name.clone(), Award { which: holder, amount, seq: Some(seq) });
            // Now and then what was answered is asked again, elsewhere.
            if rng.chance(10)
                && let Ok(reply) = wires.ask(rng.index(NODES), &stage.nodes.award(&name, holder, amount))
                && !comes_again(&reply)
            {
                assert_eq!((reply.status, reply.seq()), (201, seq), "{name} was told another entry");
            }
        }
        own
    }
}

/// A client that reads.
pub struct Reading {
    pub told: Vec<Balance>,
    pub refused: u64,
}

impl Reading {
    pub fn run(stage: &Stage<'_>, which: u64) -> Self {
        let mut rng = Rng::new(stage.seed ^ (which + 1) << 16);
        let (mut wires, mut own) = (Wires::new(stage), Self { told: vec![], refused: 0 });
        let demands = which.is_multiple_of(2);
        let (mut last, mut seen) = (0, HashMap::new());
        while !stage.over.load(Ordering::Acquire) {
            let holder = rng.index(HOLDERS);
            let least = demands.then_some(last);
            let ask = stage.nodes.balance(holder, least);
            match wires.ask(rng.index(NODES), &ask) {
                Ok(reply) if reply.status == 200 => {
                    let total = reply.json()["available"].as_u64().expect("points");
                    let one = Balance { which: holder, total, seq: reply.seq(), least };
                    if demands {
                        let before = seen.insert(holder, total).unwrap_or(0);
                        assert!(total >= before, "went back from {before} to {total}: {one:?}");
                        last = last.max(one.seq);
                    }
                    own.told.push(one);
                }
                // An account that nothing was awarded to is not there yet; nobody who saw it is told so.
                Ok(reply) if reply.status == 404 => {
                    assert!(!demands || !seen.contains_key(&holder), "gone: {}", reply.text());
                }
                Ok(reply) => {
                    assert!(comes_again(&reply), "{reply:?}");
                    own.refused += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => {
                    own.refused += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            // The processors are for the nodes.
            std::thread::sleep(Duration::from_millis(rng.below(8)));
        }
        own
    }
}
