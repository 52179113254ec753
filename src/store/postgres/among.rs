//! Tests of what nodes share: the lease, the end of a writer's connections, a server that says nothing, a commit that
//! did not wait for its standby.

use super::super::cluster::{self, Cluster};
use super::super::{AppendError, Log, NewEntry, Place, PutError, Read, Row, State, TipRecord};
use super::{Database, Lease, Postgres};
use crate::types::Hash;
use std::process::Command;
use std::time::{Duration, Instant};

fn place(seq: u64) -> Place {
    Place { seq, hash: Hash::sha256(&seq.to_be_bytes()) }
}

fn tip(seq: u64) -> TipRecord {
    let Place { seq, hash } = place(seq);
    TipRecord { seq, hash, edge: vec![1; 70], checkpoint: format!("demo\n{seq}\n") }
}

fn append(log: &mut impl Log, seq: u64) -> Result<(), AppendError> {
    let entry = NewEntry { seq, envelope: format!("{{\"seq\":{seq}}}").into(), parts: vec![b"{}".to_vec()] };
    log.append(seq.checked_sub(1).map(place), &[entry], &tip(seq))
}

fn row(key: &str, seq: u64) -> Row {
    Row { key: key.into(), value: Some(b"v".to_vec()), seq, due: None }
}

fn database(address: &str) -> Database {
    Database::at(address.parse().unwrap())
}

fn lease(database: &Database, who: &str, millis: u64) -> Lease {
    Lease::of(database, who.into(), format!("{who}:1"), Duration::from_millis(millis))
}

#[test]
fn one_node_holds_the_lease_at_a_time_and_each_term_is_a_larger_one() {
    let database = database(&cluster::shared().database());
    database.migrate().unwrap();
    let (mut a, mut b) = (lease(&database, "a", 600), lease(&database, "b", 600));
    assert_eq!(a.look().unwrap(), None);
    let held = a.take().unwrap().expect("free");
    assert_eq!((held.holder.as_str(), held.address.as_str(), held.term), ("a", "a:1", 1));
    assert!(held.left > Duration::from_millis(300), "{held:?}");
    assert!(held.now.micros().abs_diff(crate::clock::now().micros()) < 5_000_000, "the same machine's clock");
    assert_eq!(b.take().unwrap(), None, "it is held");
    assert!(!b.renew(1).unwrap(), "and not by this one");
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        assert!(a.renew(1).unwrap(), "held for as long as it is renewed");
    }
    assert_eq!(b.take().unwrap(), None);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(b.look().unwrap().expect("a row").left, Duration::ZERO, "it ran out");
    assert_eq!(b.take().unwrap().expect("free").term, 2);
    assert!(!a.renew(1).unwrap(), "another took it");
    a.give_up(1).unwrap();
    assert_eq!(a.take().unwrap(), None, "what is another's is not given up");
    b.give_up(2).unwrap();
    assert_eq!(a.take().unwrap().expect("free at once").term, 3);
}

#[test]
fn whoever_takes_over_ends_the_connections_of_the_writer_before() {
    let database = database(&cluster::shared().database());
    let mut old = Postgres::open(&database).unwrap();
    append(&mut old.log, 0).unwrap();
    old.state.put(None, place(0), &[row("a", 0)]).unwrap();
    let mut next = lease(&database, "next", 5_000);
    next.take().unwrap().expect("free");
    assert_eq!(next.clear_way().unwrap(), 2, "the log's and the state's");
    assert_eq!(old.reader.tip().unwrap(), Some(tip(0)), "readers are left alone");
    let begun = Instant::now();
    let mut new = Postgres::open(&database).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody is waited for");
    append(&mut new.log, 1).unwrap();
    new.state.put(Some(place(0)), place(1), &[row("a", 1)]).unwrap();
    // The one before finds its connections gone, and opens others: nothing that it believes fits any more.
    assert!(append(&mut old.log, 1).is_err());
    let stale = old.state.put(Some(place(0)), place(2), &[row("a", 7)]);
    assert!(matches!(stale, Err(PutError::Stale)), "{stale:?}");
    let kept = new.reader.load(&["a".into()]).unwrap();
    assert_eq!((kept.cursor, kept.rows[0].seq), (Some(place(1)), 1), "no row changed");
}

/// Sends a signal to the server's process behind a connection.
fn signal(server: &Cluster, address: &str, whom: &str, name: &str) {
    let pids = server.sql(
        address,
        &format!("SELECT pid FROM pg_stat_activity WHERE application_name = 'tallyhouse' AND datname = current_database() AND {whom}"),
    );
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert!(!pids.is_empty(), "nobody is connected");
    for pid in pids {
        assert!(Command::new("kill").args([&format!("-{name}"), pid]).status().unwrap().success());
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let server = cluster::shared();
    let address = server.database();
    let database = database(&format!("{address}?answer_within=2"));
    let mut open = Postgres::open(&database).unwrap();
    append(&mut open.log, 0).unwrap();
    open.reader.tip().unwrap();
    signal(server, &address, "true", "STOP");
    let begun = Instant::now();
    let fault = match append(&mut open.log, 1) {
        Err(AppendError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert!(fault.is_away(), "its outcome is not known: {fault}");
    let within = Duration::from_secs(1)..Duration::from_secs(5);
    assert!(within.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    // A reader's connection is given up as well, and the question asked again on another one.
    assert_eq!(open.reader.tip().unwrap(), Some(tip(0)));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    signal(server, &address, "true", "CONT");
    let after = open.log.tip().unwrap().expect("a tip").seq;
    assert!(after <= 1);
    append(&mut open.log, after + 1).unwrap();
}

#[test]
fn a_commit_that_did_not_wait_for_its_standby_is_of_unknown_outcome() {
    // Of its own: nobody else could commit meanwhile.
    let server = Cluster::start();
    let address = server.database();
    let database = database(&address);
    let mut open = Postgres::open(&database).unwrap();
    append(&mut open.log, 0).unwrap();
    server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'missing'");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let waits = "backend_type = 'client backend' AND wait_event = 'SyncRep'";
    let count = |server: &Cluster| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {waits}");
        server.sql("postgres", &sql).trim().parse::<u32>().unwrap()
    };
    let (fault, seq) = std::thread::scope(|scope| {
        // The server takes new settings in when it gets to it: what is committed before that waits for nobody.
        let writing = scope.spawn(|| {
            let mut seqs = 1..;
            seqs.find_map(|seq| append(&mut open.log, seq).err().map(|error| (error, seq)))
        });
        let begun = Instant::now();
        while count(&server) == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(30) && !writing.is_finished(),
                "it waits for the standby"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server.sql("postgres", &format!("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {waits}"));
        match writing.join().unwrap() {
            Some((AppendError::Fault(fault), seq)) => (fault, seq),
            other => panic!("{other:?}"),
        }
    });
    assert!(fault.is_away() && fault.to_string().contains("synchronous replication"), "{fault}");
    server.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    server.sql("postgres", "SELECT pg_reload_conf()");
    // Here it is there after all; whoever goes on reads that first.
    assert_eq!(open.log.tip().unwrap(), Some(tip(seq)));
    append(&mut open.log, seq + 1).unwrap();
    let whole = open.reader.read_envelopes(seq, 10).unwrap();
    assert_eq!(whole.len(), 2);
    assert!(
        matches!(append(&mut open.log, seq + 9), Err(AppendError::Deposed)),
        "what does not follow the tip"
    );
}
