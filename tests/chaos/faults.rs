//! Faults: what is done to nodes, database and Redis.
//!
//! Owns: the processes, and which of them is paused or gone. Promises: at the end all of them run again. Refuses to
//! know: who asks what.

use crate::common::cluster::Cluster;
use crate::common::process::Process;
use crate::common::redis::Redis;
use crate::common::rng::Rng;
use crate::{NODES, Stage};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Faults<'a> {
    stage: &'a Stage<'a>,
    server: &'a Cluster,
    redis: Redis,
    processes: Vec<Option<Process>>,
    rng: Rng,
    done: BTreeMap<&'static str, u32>,
}

fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

impl<'a> Faults<'a> {
    pub fn new(
        stage: &'a Stage<'a>,
        server: &'a Cluster,
        redis: Redis,
        processes: Vec<Option<Process>>,
    ) -> Self {
        let (rng, done) = (Rng::new(stage.seed), BTreeMap::new());
        Self { stage, server, redis, processes, rng, done }
    }

    fn note(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// Any node, or in half of the cases the one that writes.
    fn victim(&mut self) -> usize {
        let any = self.rng.index(NODES);
        if self.rng.chance(50) {
            return any;
        }
        let writes = |process: &Process| {
            let reply = process.try_get("/readyz").ok()?;
            (reply.status == 200 && reply.json()["role"] == "writer").then_some(())
        };
        let writer = self.processes.iter().position(|process| process.as_ref().and_then(writes).is_some());
        writer.unwrap_or(any)
    }

    /// Does something, and waits a while.
    pub fn strike(&mut self) {
        match self.rng.below(100) {
            0..25 => self.kill(),
            25..50 => self.stop(),
            50..58 => self.end_in_order(),
            58..75 => self.cut(),
            _ => self.redis(),
        }
        pause(self.rng.range(100, 2_500));
    }

    fn kill(&mut self) {
        let n = self.victim();
        self.note("kill -9 of a node");
        *self.stage.addresses[n].lock().expect("an address") = None;
        // Dropped, it is killed.
        drop(self.processes[n].take());
        pause(self.rng.range(0, 3_000));
        self.again(n);
    }

    fn end_in_order(&mut self) {
        let n = self.victim();
        self.note("SIGTERM of a node");
        *self.stage.addresses[n].lock().expect("an address") = None;
        if let Some(mut process) = self.processes[n].take() {
            process.signal("TERM");
            let status = process.ended(Duration::from_secs(30)).expect("it ends");
            assert!(status.success(), "{status}: {}", process.errors());
        }
        self.again(n);
    }

    fn again(&mut self, n: usize) {
        let process = self.stage.nodes.spawn(n);
        *self.stage.addresses[n].lock().expect("an address") = Some(process.address);
        self.processes[n] = Some(process);
    }

    /// Pauses a node, mostly for longer than its lease; sometimes two at once.
    fn stop(&mut self) {
        let mut nodes = vec![self.victim()];
        if self.rng.chance(20) {
            nodes.push((nodes[0] + 1) % NODES);
        }
        self.note("SIGSTOP of nodes");
        for n in &nodes {
            self.processes[*n].as_ref().expect("it runs").signal("STOP");
        }
        pause(self.rng.range(100, 5_000));
        for n in &nodes {
            self.processes[*n].as_ref().expect("it runs").signal("CONT");
        }
    }

    fn cut(&mut self) {
        self.note("cuts of connections to the database");
        let whom = *self.rng.pick(&["true", "state <> 'idle'", "random() < 0.3"]);
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'tallyhouse' AND datname = current_database() AND {whom}"
        );
        self.server.sql(&self.stage.nodes.address, &cut);
    }

    fn redis(&mut self) {
        match self.rng.below(4) {
            0 => {
                self.note("kill of Redis");
                self.redis.kill();
                pause(self.rng.range(0, 1_500));
                self.redis.start_again();
            }
            1 => {
                self.note("SIGSTOP of Redis");
                self.redis.signal("STOP");
                pause(self.rng.range(50, 2_000));
                self.redis.signal("CONT");
            }
            2 => {
                self.note("FLUSHALL of Redis");
                self.redis.do_it(&["FLUSHALL"]);
            }
            _ => {
                self.note("failovers of Redis");
                let mut replica = Redis::start();
                replica.follow(&self.redis);
                // Cut off here, it lacks what is written until the master dies.
                replica.do_it(&["REPLICAOF", "NO", "ONE"]);
                pause(self.rng.range(0, 1_000));
                self.redis.kill();
                replica.move_to(self.redis.port);
                self.redis = replica;
            }
        }
    }

    /// Waits until all nodes answer.
    pub fn heal(&mut self) {
        for process in self.processes.iter().flatten() {
            process.get_ready();
        }
    }

    /// The processes, and what was done.
    pub fn end(self) -> (Vec<Option<Process>>, String) {
        let done = self.done.iter().map(|(what, count)| format!("{count} {what}"));
        (self.processes, done.collect::<Vec<_>>().join(", "))
    }
}
