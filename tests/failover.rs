//! The primary of a network's database is lost under load, machine and all. With a standby that is waited for, strictly,
//! nothing that was told is lost and service comes back by itself; without one the node finds out, and stops.

mod common;

use common::cluster::Cluster;
use common::load::{Bed, Load, end, told};
use common::patroni::Patroni;
use common::process::{Process, Wire, found};
use common::world::World;
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Tuning};

#[test]
fn a_primary_that_is_killed_costs_seconds_and_no_acknowledged_write() {
    let mut patroni = Patroni::start();
    let first = patroni.primary();
    patroni.sql(first, "postgres", "CREATE DATABASE points");
    let bed = Bed::in_database(patroni.address("points"));
    let world = World::real(75);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let mut killed = Instant::now();
    let mut history = load.during(&process, "under", || {
        std::thread::sleep(Duration::from_secs(1));
        patroni.kill(first);
        killed = Instant::now();
        // An answer that was on its way at that moment is none of the new primary.
        let back = || load.acknowledged().last().is_some_and(|last| *last > killed + Duration::from_secs(1));
        while !back() {
            let waited = killed.elapsed();
            assert!(waited < Duration::from_secs(90), "no service after {waited:?}: {}", process.errors());
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(1));
    });
    let second = patroni.primary();
    assert_ne!(second, first, "another one is the primary now");
    let acknowledged = load.acknowledged();
    let gap = acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().expect("answers");
    let before = acknowledged.iter().filter(|at| **at <= killed).count();
    assert!(before > 50, "only {before} answers before the kill");

    // The one that was lost comes back, and follows; all goes on.
    patroni.start_again(first);
    patroni.whole();
    assert_eq!(patroni.primary(), second);
    let rest = load.during(&process, "after", || std::thread::sleep(Duration::from_millis(300)));
    assert!(rest.values().all(Option::is_some), "nobody is turned away by a standby that joins");
    history.extend(rest);
    let told = history.values().filter(|told| told.is_some()).count();
    let asked = history.len();
    load.settle(&process, &mut history);
    assert!(process.errors().contains("the log is open again"), "{}", process.errors());
    end(process);
    // Compares every entry that anybody was told with the log of the new primary.
    bed.check(&load.world, &history);
    println!(
        "primary killed under load: {:.1} s without service, {told} writes acknowledged of {asked} asked for, 0 lost",
        gap.as_secs_f64()
    );
}

#[test]
fn a_standby_that_nobody_waited_for_is_not_written_to_if_it_lacks_what_was_told() {
    let primary = Cluster::start();
    let address = primary.database();
    let standby = Cluster::standby_of(&primary);
    let name = address.rsplit('/').next().expect("a name");
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    let bed = Bed::in_database(format!("postgres://tally@{hosts}/{name}"));
    let world = World::real(76);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let mut process = Process::start(bed.home.dir(), &bed.config);
    let mut wire = Wire::connect(process.address).expect("connects");
    let mut ask = |name: &str| told(&wire.ask(&load.ask(name)).expect("an answer"));
    let kept = ask("kept").expect("told");
    let begun = Instant::now();
    let there = || standby.sql(name, "SELECT coalesce(max(seq), 0) FROM log.entry").trim().parse::<u64>();
    while there() != Ok(kept) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the standby does not follow");
        std::thread::sleep(Duration::from_millis(20));
    }
    standby.stop();
    let lost = ask("lost").expect("told: nobody waits for this standby");
    // The newest checkpoint is published within a second or two.
    std::thread::sleep(Duration::from_millis(2_500));
    primary.crash();
    standby.again();
    standby.sql("postgres", "SELECT pg_promote()");
    assert_eq!(ask("next"), None, "nobody knows what became of it");
    let status = process.ended(Duration::from_secs(40)).expect("it ends");
    assert_eq!(status.code(), Some(3), "{}", process.errors());
    assert!(process.errors().contains(&format!("lost entry {lost}")), "{}", process.errors());
    assert_eq!(there(), Ok(kept), "nothing was written");
    // Nor does it start again: the newest checkpoint stands outside the database too.
    let tuning = Tuning::at(bed.home.dir());
    let again = Network::open(&bed.home, &load.world.log.secret, &tuning).err().expect("refused").to_string();
    assert!(again.contains("too old"), "{again}");
}
