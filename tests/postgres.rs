//! A network in PostgreSQL: served while its connections are cut under load, and while the server goes away and comes
//! back. What was told is so, once; what was not told happened once at the most; meanwhile callers are told to come
//! again.

mod common;

use common::cluster::{self, Cluster};
use common::load::{Bed, Load, end, told};
use common::process::{Process, Wire, found};
use common::world::World;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Options, Tuning, verify};
use tallyhouse::clock::{self, Clock};
use tallyhouse::types::Time;

#[test]
fn nothing_is_lost_or_doubled_when_connections_are_cut_under_load() {
    let server = cluster::shared();
    let bed = Bed::in_database(server.database());
    let world = World::real(71);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let cut = |whom: &str| {
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'tallyhouse' AND datname = current_database() AND {whom}"
        );
        server.sql(&bed.address, &cut).trim().parse::<u32>().expect("a number")
    };
    let mut history = BTreeMap::new();
    let mut cuts = 0;
    for round in 0..12 {
        // All connections, or those at work at this moment: the writer's in the midst of a commit among them.
        let whom = if round % 3 == 0 { "true" } else { "state <> 'idle'" };
        history.extend(load.during(&process, &format!("r{round}"), || {
            for pause in [30, 70, 20] {
                std::thread::sleep(Duration::from_millis(pause));
                cuts += cut(whom);
            }
            std::thread::sleep(Duration::from_millis(100));
        }));
    }
    let unknown = history.values().filter(|told| told.is_none()).count();
    println!("{} commands, {cuts} connections cut, {unknown} told to come again", history.len());
    assert!(cuts > 20 && unknown > 0 && history.len() > 200);
    assert!(unknown * 2 < history.len(), "it comes back quickly");
    load.settle(&process, &mut history);
    end(process);
    bed.check(&load.world, &history);
}

#[test]
fn while_the_database_is_away_callers_are_told_so_and_then_it_goes_on() {
    let server = Cluster::start();
    let bed = Bed::in_database(server.database());
    let world = World::real(72);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let mut history = BTreeMap::new();
    for (round, stop) in [Cluster::stop, Cluster::crash].into_iter().enumerate() {
        history.extend(load.during(&process, &format!("r{round}"), || {
            std::thread::sleep(Duration::from_millis(150));
            stop(&server);
            std::thread::sleep(Duration::from_millis(300));
            let begun = Instant::now();
            for target in ["/v1/units", "/v1/entries?limit=5", "/v1/accounts/ac_01jd0000000000000000000000"] {
                let reply = process.try_get(target).expect("an answer");
                assert!(matches!(reply.status, 401 | 503), "{target}: {reply:?}");
            }
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "nobody waits for a database that is not there"
            );
            assert_eq!(process.try_get("/healthz").expect("an answer").status, 200, "the node lives");
            assert_eq!(process.try_get("/readyz").expect("an answer").status, 503, "and takes nothing");
            server.again();
            std::thread::sleep(Duration::from_millis(700));
        }));
        let told = history.values().filter(|told| told.is_some()).count();
        println!("round {round}: {told} of {} told", history.len());
    }
    let last = history.iter().filter(|(name, told)| name.starts_with("r1") && told.is_some()).count();
    assert!(last > 0, "the second round began after the first outage");
    assert_eq!(process.try_get("/readyz").expect("an answer").status, 200);
    load.settle(&process, &mut history);
    assert!(process.errors().contains("the log is open again"), "{}", process.errors());
    end(process);
    bed.check(&load.world, &history);
}

#[test]
fn a_log_that_lost_what_was_answered_is_not_written_to() {
    let server = cluster::shared();
    let bed = Bed::in_database(server.database());
    let world = World::real(74);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let mut process = Process::start(bed.home.dir(), &bed.config);
    let mut wire = Wire::connect(process.address).expect("connects");
    let mut ask = |name: &str| told(&wire.ask(&load.ask(name)).expect("an answer"));
    let kept = ask("kept").expect("told");
    server.sql(&bed.address, "CREATE TABLE older AS SELECT * FROM log.tip");
    let lost = ask("lost").expect("told");
    assert!(lost > kept);
    // The newest checkpoint is published within a second or two.
    std::thread::sleep(Duration::from_millis(2_500));
    // As after a failover to a standby that was behind.
    let older = format!(
        "BEGIN; ALTER TABLE log.tip DISABLE TRIGGER ALL; DELETE FROM log.tip; INSERT INTO log.tip SELECT * FROM older; \
         DELETE FROM log.entry WHERE seq > {kept}; DELETE FROM log.parts WHERE id >= {}; \
         ALTER TABLE log.tip ENABLE TRIGGER ALL; COMMIT; \
         SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'tallyhouse' AND datname = current_database()",
        (kept + 1) * 16_384
    );
    server.sql(&bed.address, &older);
    assert_eq!(ask("next"), None, "nobody knows what became of it");
    let status = process.ended(Duration::from_secs(40)).expect("it ends");
    assert_eq!(status.code(), Some(3), "{}", process.errors());
    assert!(process.errors().contains(&format!("lost entry {lost}")), "{}", process.errors());
    let left = server.sql(&bed.address, "SELECT max(seq) FROM log.entry");
    assert_eq!(left.trim(), kept.to_string(), "nothing was written");
    // Nor does it start again: the newest checkpoint stands outside the database too.
    let tuning = Tuning::at(bed.home.dir());
    let again = Network::open(&bed.home, &load.world.log.secret, &tuning).err().expect("refused").to_string();
    assert!(again.contains("too old"), "{again}");
}

#[test]
fn a_database_has_one_writer() {
    let bed = Bed::in_database(cluster::shared().database());
    let world = World::real(73);
    found(&world, &bed.home, &[]);
    let tuning = Tuning::at(bed.home.dir());
    let network = Network::open(&bed.home, &world.log.secret, &tuning).expect("opens");
    let second = Network::open(&bed.home, &world.log.secret, &tuning).err().expect("refused").to_string();
    assert!(second.contains("is in use"), "{second}");
    network.close().expect("closes");
    Network::open(&bed.home, &world.log.secret, &tuning).expect("free again");
}

#[test]
fn a_machine_whose_clock_is_far_off_the_databases_does_not_write() {
    let bed = Bed::in_database(cluster::shared().database());
    let world = World::real(79);
    found(&world, &bed.home, &[]);
    let open = |seconds: i64| {
        let micros = clock::now().micros() + seconds * 1_000_000;
        let clock = Clock::fixed(Time::from_micros(micros).expect("an instant"));
        Network::open(&bed.home, &world.log.secret, &Tuning { clock, ..Tuning::at(bed.home.dir()) })
    };
    for seconds in [60, -60] {
        let no = open(seconds).err().expect("refused").to_string();
        assert!(no.contains("s off the database's; set it right"), "{no}");
    }
    // Somewhat off is said, and no more than that; nothing was left open by those before.
    open(3).expect("open").close().expect("closed");
}

#[test]
fn an_account_that_lost_a_grant_is_told_which_and_goes_on_when_it_has_it_again() {
    let server = cluster::shared();
    let mut bed = Bed::in_database(server.database());
    let world = World::real(75);
    found(&world, &bed.home, &[]);
    server.script("tally", &bed.address, include_str!("../config/postgres-roles.sql")).expect("roles");
    server.sql(&bed.address, "CREATE ROLE node_75 LOGIN IN ROLE tallyhouse_writer");
    bed.config = bed.config.replace("tally@", "node_75@");
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let ask = |name: &str| {
        told(&Wire::connect(process.address).expect("connects").ask(&load.ask(name)).expect("an answer"))
    };
    let until_told = |name: &str| {
        let begun = Instant::now();
        loop {
            if let Some(seq) = ask(name) {
                return seq;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", process.errors());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let until_said = |what: &str| {
        let begun = Instant::now();
        while !process.errors().contains(what) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {}", process.errors());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let mut history = BTreeMap::new();
    history.insert("first".to_owned(), Some(until_told("first")));
    server.sql(&bed.address, "REVOKE INSERT ON log.entry FROM tallyhouse_writer");
    assert_eq!(ask("second"), None, "503 with Retry-After");
    until_said("alarm: nothing can be written: ");
    until_said("this account lacks INSERT ON log.entry: have config/postgres-roles.sql carried out");
    assert_eq!(process.try_get("/readyz").expect("an answer").status, 503);
    server.sql(&bed.address, "GRANT INSERT ON log.entry TO tallyhouse_writer");
    history.insert("second".to_owned(), Some(until_told("second")));
    // Who only reads is told to come again, too: no fault of this node's.
    server.sql(&bed.address, "REVOKE SELECT ON log.parts FROM tallyhouse_writer");
    let reply = process.try_get("/v1/entries?limit=5").expect("an answer");
    assert_eq!((reply.status, reply.header("retry-after").is_some()), (503, true), "{reply:?}");
    until_said("this account lacks SELECT ON log.parts: ");
    server.sql(&bed.address, "GRANT SELECT ON log.parts TO tallyhouse_writer");
    assert_eq!(process.try_get("/v1/entries?limit=5").expect("an answer").status, 200);
    history.insert("third".to_owned(), Some(until_told("third")));
    end(process);
    bed.check(&load.world, &history);
}

#[test]
fn rows_behind_the_end_of_the_log_are_named_and_it_goes_on_when_they_are_gone() {
    let server = cluster::shared();
    let bed = Bed::in_database(server.database());
    let world = World::real(76);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let ask = |name: &str| {
        told(&Wire::connect(process.address).expect("connects").ask(&load.ask(name)).expect("an answer"))
    };
    let first = ask("first").expect("told");
    server.sql(&bed.address, "INSERT INTO log.entry SELECT seq + 2, '{}' FROM log.tip");
    assert_eq!(ask("second"), None, "503 with Retry-After");
    let begun = Instant::now();
    let named = "alarm: nothing can be written: postgres://";
    let row = format!("the table entry of the log has a row of entry {}", first + 2);
    while !(process.errors().contains(named) && process.errors().contains(&row)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", process.errors());
        std::thread::sleep(Duration::from_millis(50));
    }
    let listed = process.try_get("/v1/entries?limit=1").expect("an answer");
    assert_eq!(listed.expect(200)["items"][0]["seq"], first, "what is an entry is shown");
    let metrics = process.try_get("/metrics").expect("an answer").text();
    assert!(metrics.contains("\ntallyhouse_log_rows_behind_tip 1\n"), "{metrics}");
    server.sql(&bed.address, "DELETE FROM log.entry WHERE seq > (SELECT seq FROM log.tip)");
    let begun = Instant::now();
    let second = loop {
        if let Some(seq) = ask("second") {
            break seq;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", process.errors());
        std::thread::sleep(Duration::from_millis(50));
    };
    end(process);
    let history = BTreeMap::from([("first".to_owned(), Some(first)), ("second".to_owned(), Some(second))]);
    bed.check(&load.world, &history);
}

#[test]
fn rows_among_the_parts_of_entries_hold_nobody_up_and_are_found() {
    let server = cluster::shared();
    let bed = Bed::in_database(server.database());
    let world = World::real(80);
    found(&world, &bed.home, &[]);
    let load = Load::new(world);
    let process = Process::start(bed.home.dir(), &bed.config);
    let ask = |name: &str| {
        told(&Wire::connect(process.address).expect("connects").ask(&load.ask(name)).expect("an answer"))
    };
    let first = ask("first").expect("told");
    // As somebody who has the writer's password: it may add rows, and take none away.
    for seq in 0..=first {
        for part in [1, 9, 16_383] {
            let row = format!(
                "INSERT INTO log.parts VALUES ({seq} * 16384 + {part}, '{{}}\n') ON CONFLICT DO NOTHING"
            );
            server.sql(&bed.address, &row);
        }
    }
    let second = ask("second").expect("it goes on");
    for target in ["/v1/entries?limit=50".to_owned(), format!("/v1/entries/{first}")] {
        assert_eq!(process.try_get(&target).expect("an answer").status, 200, "{target}");
    }
    end(process);
    let report = verify(&bed.home, &Options::default(), &mut |_, _| {}).expect("no fault");
    let finding = report.finding.expect("found").to_string();
    assert!(finding.starts_with("entry 0") && finding.contains("no writer put it there"), "{finding}");
    server.sql(&bed.address, "DELETE FROM log.parts WHERE bytes = '{}\n'");
    let history = BTreeMap::from([("first".to_owned(), Some(first)), ("second".to_owned(), Some(second))]);
    bed.check(&load.world, &history);
}
