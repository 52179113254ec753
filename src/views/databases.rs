//! The views in a database against the same views in a file: the tables, the answers, the differences found.

use super::tests::{ANN, BOB, story, take};
use super::*;
use crate::store::cluster::{self, Cluster};
use crate::store::{Home, PutError};
use crate::types::{PaymentId, Time};
use std::path::Path;

/// A home of which each test has its own.
struct Bed {
    dir: tempfile::TempDir,
    home: Home,
    address: String,
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let address = cluster::shared().database();
    let home = Home::new(dir.path(), Some(address.parse().unwrap()));
    Bed { dir, home, address }
}

fn server() -> &'static Cluster {
    cluster::shared()
}

/// Every question that readers ask, as text.
fn answers(reader: &Reader) -> String {
    let mut all = String::new();
    let mut say = |answer: &dyn std::fmt::Debug| all.push_str(&format!("{answer:?}\n"));
    for account in [ANN, BOB] {
        for limit in [0, 2, 100] {
            let page = reader.history(account, None, limit).unwrap();
            say(&page);
            for movement in &page.what {
                say(&reader.history(account, Some(movement.id), limit));
                say(&reader.history(BOB, Some(movement.id), limit));
            }
            for after in [None, Some(0), Some(2), Some(3), Some(5)] {
                say(&reader.moving(account, after, limit));
            }
        }
        for seq in 0..8 {
            say(&reader.balance_as_of(account, Moment::Seq(seq)));
        }
        for at in ["2026-01-01T00:00:00Z", "2026-01-02T08:00:00Z", "2026-02-01T00:00:00Z"] {
            say(&reader.balance_as_of(account, Moment::Time(at.parse::<Time>().unwrap())));
        }
    }
    let kino = "br_kino".parse().unwrap();
    let harvest = "br_harvest".parse().unwrap();
    for seq in 2..6 {
        say(&reader.payment(PaymentId { seq, part: 0 }));
    }
    for open in [None, Some((true, "2026-01-02T08:30:00Z".parse().unwrap())), Some((false, Time::default()))]
    {
        for before in [None, Some(PaymentId { seq: 4, part: 0 })] {
            let filter = Filter { open, ..Filter::default() };
            say(&reader.payments(&kino, &filter, before, 10));
            say(&reader.payments(&harvest, &filter, before, 10));
        }
    }
    say(&reader.units());
    say(&reader.flows(None, None, None));
    say(&reader.flows(Some("HARVEST".parse().unwrap()), None, Some("2026-01-02".parse().unwrap())));
    let days = reader.flows_by_day("HARVEST".parse().unwrap(), None, None, None, 100).unwrap();
    for day in &days.what {
        say(&reader.flows_by_day("HARVEST".parse().unwrap(), None, None, Some(day), 2));
    }
    let owed = reader.obligations(None).unwrap();
    say(&(reader.obligations(Some(2)), &owed, days));
    let both = ["pa_kino".parse().unwrap(), "pa_harvest".parse().unwrap()];
    for after in &owed.what {
        say(&reader.obligations_of(&both, None, Some(after), 1));
        say(&reader.obligations_of(&both[..1], Some(1), None, 9));
    }
    for whose in [None, Some(both[0].to_string()), Some("pa_polar".to_owned())] {
        for open in [None, Some(true), Some(false)] {
            let of = FilingsOf { whose: whose.clone(), open, ..FilingsOf::default() };
            say(&reader.filings(Filing::Objection, &of, None, 9));
            say(&reader.filings(Filing::Dispute, &of, Some((4, 0)), 9));
        }
    }
    for brand in [&kino, &harvest] {
        say(&reader.concerning(brand, None, 100));
        say(&reader.concerning(brand, Some(2), 2));
        say(&reader.keys_of(&crate::book::Principal::Brand((*brand).clone()), None, 9));
    }
    all
}

fn file(dir: &Path) -> Reader {
    take(&mut Views::open(dir).unwrap(), &story().events).unwrap();
    Reader::open(dir).unwrap()
}

#[test]
fn any_cut_gives_the_same_rows_and_answers_as_a_file() {
    let events = story().events;
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    let expected = answers(&file);
    assert!(expected.lines().count() > 80, "{expected}");
    for cut in [1, 2, 4, events.len()] {
        let bed = bed();
        for run in events.chunks(cut) {
            take(&mut Views::open(&bed.home).unwrap(), run).unwrap();
        }
        let reader = Reader::open(&bed.home).unwrap();
        assert_eq!(answers(&reader), expected, "in runs of {cut}");
        assert_eq!(difference(&file, &reader).unwrap(), None);
        assert_eq!(difference(&reader, &file).unwrap(), None);
        assert_eq!(std::fs::read_dir(bed.dir.path()).unwrap().count(), 0, "nothing is in the folder");

        let mut views = Views::open(&bed.home).unwrap();
        views.wipe().unwrap();
        assert_eq!((views.cursor().unwrap(), reader.cursor().unwrap()), (None, None));
        take(&mut views, &events).unwrap();
        assert_eq!(difference(&file, &reader).unwrap(), None, "after a wipe");
    }
}

#[test]
fn only_what_follows_is_taken() {
    let events = story().events;
    let bed = bed();
    let (mut one, mut two) = (Views::open(&bed.home).unwrap(), Views::open(&bed.home).unwrap());
    take(&mut one, &events[..3]).unwrap();
    assert!(matches!(take(&mut two, &events[..3]), Err(PutError::Stale)), "another follower was here");
    server().sql(&bed.address, "UPDATE views.cursor SET hash = decode(repeat('00', 32), 'hex')");
    assert!(matches!(take(&mut one, &events[3..]), Err(PutError::Stale)), "another log");
    let mut three = Views::open(&bed.home).unwrap();
    take(&mut three, &events[3..]).unwrap();
}

#[test]
fn a_run_comes_through_once_though_its_connection_is_lost() {
    let events = story().events;
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    let bed = bed();
    let mut views = Views::open(&bed.home).unwrap();
    let reader = Reader::open(&bed.home).unwrap();
    for event in &events {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'tallyhouse' AND datname = current_database()";
        assert!(server().sql(&bed.address, all).contains('t'), "somebody was connected");
        take(&mut views, std::slice::from_ref(event)).unwrap();
        assert_eq!(reader.cursor().unwrap().map(|place| place.seq), Some(event.seq), "readers come back too");
    }
    assert_eq!(difference(&file, &reader).unwrap(), None);
}

#[test]
fn a_changed_value_is_found_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    let bed = bed();
    take(&mut Views::open(&bed.home).unwrap(), &story().events).unwrap();
    let reader = Reader::open(&bed.home).unwrap();
    let rows = [
        ("UPDATE views.cursor SET seq = 5", "cursor 1, seq: 6 against 5"),
        ("UPDATE views.movements SET balance = balance + 1 WHERE kind = 24", ", balance: 0 against 1"),
        ("UPDATE views.payments SET closed = NOT closed WHERE NOT closed", ", closed: 0 against 1"),
        (
            "UPDATE views.payments SET reference = 'it''s' WHERE id = 262144",
            "reference: 'r1' against 'it''s'",
        ),
        (
            "DELETE FROM views.flows WHERE what = 'expired' AND unit = 'HARVEST'",
            "flows: 'HARVEST' '2026-01-02' 'expired'",
        ),
        ("INSERT INTO views.keys VALUES ('op', decode(repeat('ab', 32), 'hex'))", "keys 'op' X'ABAB"),
        ("ALTER TABLE views.units ADD COLUMN more integer", "the schema"),
    ];
    for (change, wanted) in rows {
        assert_eq!(difference(&file, &reader).unwrap(), None, "before {change}");
        server().sql(&bed.address, change);
        let found = difference(&file, &reader).unwrap().expect(change);
        assert!(found.contains(wanted), "{change}: {found}");
        server().sql(&bed.address, "DROP SCHEMA views CASCADE");
        take(&mut Views::open(&bed.home).unwrap(), &story().events).unwrap();
    }
}
