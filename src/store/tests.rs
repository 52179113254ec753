//! What every store must do, asked through the port alone, of each of them.

use super::*;
use crate::types::Hash;
use proptest::prelude::*;
use std::sync::Arc;

struct Faces {
    log: Box<dyn Log>,
    state: Box<dyn State>,
    reader: Arc<dyn Read>,
}

/// Where a store is.
enum Bed {
    Folder(tempfile::TempDir),
    Database(Database),
}

impl Bed {
    fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    fn database() -> Self {
        Self::Database(Database::at(cluster::shared().database().parse().unwrap()))
    }

    fn open(&self) -> Faces {
        match self {
            Self::Folder(dir) => {
                let Sqlite { log, state, reader } = Sqlite::open(dir.path()).expect("opens");
                Faces { log: Box::new(log), state: Box::new(state), reader: Arc::new(reader) }
            }
            Self::Database(database) => {
                let Postgres { log, state, reader } = Postgres::open(database).expect("opens");
                Faces { log: Box::new(log), state: Box::new(state), reader: Arc::new(reader) }
            }
        }
    }
}

fn with(make: fn() -> Bed, test: impl FnOnce(&mut Faces)) {
    test(&mut make().open());
}

fn place(seq: u64) -> Place {
    Place { seq, hash: Hash::sha256(&seq.to_be_bytes()) }
}

fn tip(seq: u64) -> TipRecord {
    let Place { seq, hash } = place(seq);
    TipRecord { seq, hash, edge: vec![1; 70], checkpoint: format!("demo\n{seq}\n") }
}

fn entry(seq: u64, parts: &[&str]) -> NewEntry {
    let parts = parts.iter().map(|p| p.as_bytes().to_vec()).collect();
    NewEntry { seq, envelope: format!("{{\"seq\":{seq}}}").into_bytes(), parts }
}

fn stored(entry: &NewEntry) -> StoredEntry {
    let parts = entry.parts.iter().cloned().map(StoredPart::Whole).collect();
    StoredEntry { seq: entry.seq, envelope: entry.envelope.clone(), parts, beside: None }
}

fn row(key: &str, value: &str, seq: u64, due: Option<i64>) -> Row {
    Row { key: key.into(), value: Some(value.into()), seq, due }
}

fn kept(row: &Row) -> Kept {
    let value = row.value.clone().expect("a row that stays");
    Kept { key: row.key.clone(), value, seq: row.seq, due: row.due }
}

/// Appends as many entries, three a commit.
fn fill(faces: &mut Faces, entries: &[NewEntry]) {
    let mut from = None;
    for batch in entries.chunks(3) {
        let to = tip(batch.last().unwrap().seq);
        faces.log.append(from, batch, &to).unwrap();
        from = Some(to.place());
    }
}

fn an_empty_store_has_nothing(make: fn() -> Bed) {
    with(make, |s| {
        assert_eq!(s.log.tip().unwrap(), None);
        assert_eq!(s.reader.tip().unwrap(), None);
        assert_eq!(s.state.cursor().unwrap(), None);
        assert_eq!(s.reader.cursor().unwrap(), None);
        assert_eq!(s.reader.read(0, 10, 1000).unwrap(), vec![]);
        assert_eq!(s.reader.read_parts(0).unwrap(), vec![]);
        assert_eq!(s.reader.read_envelopes(0, 10).unwrap(), vec![]);
        assert_eq!(s.reader.next_due().unwrap(), None);
        let nothing = Loaded { cursor: None, rows: vec![] };
        assert_eq!(s.reader.load(&["a".into()]).unwrap(), nothing);
        assert_eq!(s.reader.due(i64::MAX, 10).unwrap(), nothing);
        assert_eq!(s.reader.scan("", 10).unwrap(), nothing);
    });
}

fn what_was_appended_is_read_back_also_after_reopening(make: fn() -> Bed) {
    let bed = make();
    let entries: Vec<_> = (0..20).map(|i| entry(i, &["{\"a\":1}", "", "{}"][..(i % 4) as usize])).collect();
    let want: Vec<_> = entries.iter().map(stored).collect();
    {
        let mut s = bed.open();
        fill(&mut s, &entries);
        assert_eq!(s.reader.read(0, 100, usize::MAX).unwrap(), want);
        s.state.put(None, place(7), &[row("k", "v", 7, Some(5))]).unwrap();
    }
    let mut s = bed.open();
    assert_eq!(s.log.tip().unwrap(), Some(tip(19)));
    assert_eq!(s.reader.tip().unwrap(), Some(tip(19)));
    assert_eq!(s.reader.read(0, 100, usize::MAX).unwrap(), want);
    assert_eq!(s.reader.read(18, 100, usize::MAX).unwrap(), want[18..]);
    assert_eq!(s.reader.read(20, 100, usize::MAX).unwrap(), vec![]);
    assert_eq!(s.reader.read(5, 3, usize::MAX).unwrap(), want[5..8]);
    assert_eq!(s.reader.read_parts(3).unwrap(), want[3].parts);
    let envelopes = s.reader.read_envelopes(2, 2).unwrap();
    assert_eq!(envelopes.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(envelopes[1].bytes, want[3].envelope);
    assert_eq!(s.state.cursor().unwrap(), Some(place(7)));
    assert_eq!(s.reader.load(&["k".into()]).unwrap().rows, [kept(&row("k", "v", 7, Some(5)))]);
    s.log.append(Some(place(19)), &[entry(20, &[])], &tip(20)).unwrap();
}

fn an_entry_with_ten_thousand_parts_and_its_neighbours(make: fn() -> Bed) {
    with(make, |s| {
        let mut large = entry(1, &[]);
        large.parts = (0..10_010).map(|i| format!("{{\"line\":{i},\"text\":\"{i:0300}\"}}").into()).collect();
        let entries = [entry(0, &["{}"]), large, entry(2, &["{\"after\":true}"])];
        s.log.append(None, &entries, &tip(2)).unwrap();
        let back = s.reader.read(0, 10, usize::MAX).unwrap();
        assert_eq!(back, entries.iter().map(stored).collect::<Vec<_>>());
        assert_eq!(s.reader.read_parts(1).unwrap(), back[1].parts);

        // Erasing in the first chunk, in the middle and at the end leaves all others as they are.
        let mut want = back[1].parts.clone();
        for index in [0, 5000, 10_009] {
            let leaf = Hash::sha256(&[index as u8]);
            s.log.erase_part(1, index, leaf).unwrap();
            s.log.erase_part(1, index, leaf).unwrap();
            want[index] = StoredPart::Erased(leaf);
        }
        assert_eq!(s.reader.read_parts(1).unwrap(), want);
        assert_eq!(s.reader.read(0, 1, usize::MAX).unwrap(), back[..1]);
        assert_eq!(s.reader.read(2, 1, usize::MAX).unwrap(), back[2..]);
        for (seq, index) in [(1, 10_010), (1, 16_384), (1, usize::MAX), (3, 0), (u64::MAX, 0)] {
            assert!(
                matches!(s.log.erase_part(seq, index, Hash([1; 32])), Err(Fault::Unfit(_))),
                "{seq} {index}"
            );
        }
        assert!(matches!(s.log.erase_part(1, 0, Hash([1; 32])), Err(Fault::Unfit(_))), "another leaf");
        assert_eq!(s.reader.read_parts(1).unwrap(), want);
    });
}

fn a_page_ends_before_max_bytes_but_has_one_entry(make: fn() -> Bed) {
    with(make, |s| {
        let text = "x".repeat(99);
        let entries: Vec<_> =
            (0..6).map(|i| entry(i, &[text.as_str(); 2][..if i == 4 { 0 } else { 2 }])).collect();
        fill(s, &entries);
        let size = entries[0].envelope.len() + 200;
        let count = |from, max| s.reader.read(from, 100, max).unwrap().len();
        assert_eq!(count(0, 0), 1);
        assert_eq!(count(0, 2 * size - 1), 1);
        assert_eq!(count(0, 2 * size), 2);
        let bare = entries[4].envelope.len();
        assert_eq!(count(3, size + bare), 2, "an entry without parts counts by its envelope");
        assert_eq!(count(3, size + bare - 1), 1);
        assert_eq!(count(0, usize::MAX), 6);
        for max in [0, 1, size, 3 * size] {
            for (i, got) in s.reader.read(0, 100, max).unwrap().iter().enumerate() {
                assert_eq!(*got, stored(&entries[i]), "an entry is given whole");
            }
        }
    });
}

fn an_append_from_another_tip_changes_nothing(make: fn() -> Bed) {
    with(make, |s| {
        fill(s, &[entry(0, &["{}"])]);
        let other = Place { seq: 0, hash: Hash([9; 32]) };
        let again = s.log.append(None, &[entry(0, &["{\"other\":1}"])], &tip(0));
        assert!(matches!(again, Err(AppendError::Deposed)));
        let forked = s.log.append(Some(other), &[entry(1, &["{}"])], &tip(1));
        assert!(matches!(forked, Err(AppendError::Deposed)));
        let ahead = s.log.append(Some(place(4)), &[entry(5, &["{}"])], &tip(5));
        assert!(matches!(ahead, Err(AppendError::Deposed)));
        assert_eq!(s.log.tip().unwrap(), Some(tip(0)));
        assert_eq!(s.reader.read(0, 10, usize::MAX).unwrap(), [stored(&entry(0, &["{}"]))]);
    });
    with(make, |s| {
        let early = s.log.append(Some(place(0)), &[entry(1, &[])], &tip(1));
        assert!(matches!(early, Err(AppendError::Deposed)), "the log is still empty");
        assert_eq!(s.log.tip().unwrap(), None);
    });
}

fn an_append_that_does_not_fit_changes_nothing(make: fn() -> Bed) {
    with(make, |s| {
        let mut unfit = |from, entries: &[NewEntry], to| {
            let answer = s.log.append(from, entries, &tip(to));
            assert!(matches!(answer, Err(AppendError::Fault(Fault::Unfit(_)))), "{answer:?}");
        };
        unfit(None, &[entry(1, &[])], 1);
        unfit(None, &[entry(0, &[]), entry(2, &[])], 2);
        unfit(None, &[entry(0, &[]), entry(0, &[])], 0);
        unfit(None, &[entry(0, &[])], 1);
        unfit(None, &[], 0);
        unfit(None, &[entry(0, &["a\nb"])], 0);
        unfit(Some(place(u64::MAX - 1)), &[entry(u64::MAX, &[])], u64::MAX);
        assert_eq!(s.log.tip().unwrap(), None);
        assert_eq!(s.reader.read(0, 10, usize::MAX).unwrap(), vec![]);
    });
}

fn a_tip_can_be_signed_again_without_an_entry(make: fn() -> Bed) {
    with(make, |s| {
        fill(s, &[entry(0, &[])]);
        let again = TipRecord { checkpoint: "signed again".into(), ..tip(0) };
        s.log.append(Some(place(0)), &[], &again).unwrap();
        assert_eq!(s.reader.tip().unwrap(), Some(again));
    });
}

fn the_state_is_written_over_deleted_and_forgotten(make: fn() -> Bed) {
    with(make, |s| {
        let first = [row("a", "1", 0, None), row("b", "2", 0, Some(9)), row("c/\"ü\\", "3", 0, Some(-4))];
        s.state.put(None, place(0), &first).unwrap();
        let gone = Row { key: "a".into(), value: None, seq: 1, due: None };
        let never = Row { key: "zz".into(), value: None, seq: 1, due: None };
        let second = [gone, row("b", "", 1, None), row("d", "4", 1, None), never];
        s.state.put(Some(place(0)), place(1), &second).unwrap();
        let want = [kept(&second[1]), kept(&first[2]), kept(&second[2])];
        assert_eq!(s.reader.scan("", 10).unwrap(), Loaded { cursor: Some(place(1)), rows: want.to_vec() });
        assert_eq!(s.reader.scan("b", 1).unwrap().rows, want[1..2]);
        assert_eq!(s.reader.scan("d", 10).unwrap().rows, []);
        let keys = ["d", "a", "c/\"ü\\", "nothing", "b"].map(String::from);
        let found = s.reader.load(&keys).unwrap();
        assert_eq!(found.cursor, Some(place(1)));
        assert_eq!(found.rows, [want[2].clone(), want[1].clone(), want[0].clone()], "in the order asked");
        assert_eq!(s.reader.load(&[]).unwrap().rows, []);
        assert_eq!(s.reader.next_due().unwrap(), Some(-4), "b is due no more");

        s.state.wipe().unwrap();
        assert_eq!(s.reader.scan("", 10).unwrap(), Loaded { cursor: None, rows: vec![] });
        assert_eq!(s.reader.next_due().unwrap(), None);
        s.state.put(None, place(0), &first).unwrap();
    });
}

fn a_put_from_another_cursor_or_out_of_order_changes_nothing(make: fn() -> Bed) {
    with(make, |s| {
        s.state.put(None, place(3), &[row("a", "1", 3, None)]).unwrap();
        let before = s.reader.scan("", 10).unwrap();
        let new = [row("a", "2", 4, None), row("b", "2", 4, Some(1))];
        for from in [None, Some(place(2)), Some(place(4)), Some(Place { seq: 3, hash: Hash([0; 32]) })] {
            assert!(matches!(s.state.put(from, place(5), &new), Err(PutError::Stale)), "{from:?}");
        }
        let [a, b] = new;
        let unfit = [
            vec![b.clone(), a.clone()],
            vec![a.clone(), a],
            vec![row("", "", 4, None)],
            vec![row("a\0b", "", 4, None)],
        ];
        for rows in unfit {
            let answer = s.state.put(Some(place(3)), place(4), &rows);
            assert!(matches!(answer, Err(PutError::Fault(Fault::Unfit(_)))), "{answer:?}");
        }
        assert_eq!(s.reader.scan("", 10).unwrap(), before);
        assert_eq!(s.reader.next_due().unwrap(), None);
    });
}

fn what_is_due_comes_by_time_and_then_by_key(make: fn() -> Bed) {
    with(make, |s| {
        let rows = [
            row("a", "", 0, Some(30)),
            row("b", "", 0, None),
            row("c", "", 0, Some(10)),
            row("d", "", 0, Some(20)),
            row("e", "", 0, Some(10)),
            row("f", "", 0, Some(i64::MAX)),
        ];
        s.state.put(None, place(0), &rows).unwrap();
        let keys = |through, limit| {
            let due = s.reader.due(through, limit).unwrap();
            assert_eq!(due.cursor, Some(place(0)));
            due.rows.iter().map(|r| r.key.clone()).collect::<String>()
        };
        assert_eq!(keys(9, 10), "");
        assert_eq!(keys(10, 10), "ce");
        assert_eq!(keys(29, 10), "ced");
        assert_eq!(keys(i64::MAX, 10), "cedaf");
        assert_eq!(keys(i64::MAX, 1), "c");
        assert_eq!(s.reader.next_due().unwrap(), Some(10));
    });
}

fn ten_thousand_keys_at_once_and_what_is_absent(make: fn() -> Bed) {
    with(make, |s| {
        let rows: Vec<_> =
            (0..10_000).map(|i| row(&format!("acct/{i:05}"), &i.to_string(), i, None)).collect();
        s.state.put(None, place(0), &rows).unwrap();
        let keys: Vec<_> = (0..20_000).map(|i| format!("acct/{:05}", i * 7 % 20_000)).collect();
        let found = s.reader.load(&keys).unwrap().rows;
        let present: Vec<_> = keys.iter().filter(|k| k.as_str() < "acct/10000").collect();
        assert_eq!(found.iter().map(|r| &r.key).collect::<Vec<_>>(), present);
        assert!(found.iter().all(|r| r.value == r.seq.to_string().into_bytes()));
    });
}

fn readers_on_other_threads_see_whole_commits_only(make: fn() -> Bed) {
    let bed = make();
    let Faces { mut log, mut state, reader } = bed.open();
    let last = 300;
    let watchers: Vec<_> = (0..3)
        .map(|_| {
            let reader = reader.clone();
            std::thread::spawn(move || {
                loop {
                    let keys: Vec<_> = (0..50).map(|i| format!("k{i:02}")).collect();
                    let seen = reader.load(&keys).unwrap();
                    let Some(cursor) = seen.cursor else { continue };
                    assert_eq!(seen.rows.len(), 50);
                    assert!(
                        seen.rows.iter().all(|r| r.seq == cursor.seq),
                        "rows and cursor are of one moment"
                    );
                    let tip = reader.tip().unwrap().expect("the log is ahead of the state");
                    assert!(tip.seq >= cursor.seq);
                    let entry = reader.read(tip.seq, 1, usize::MAX).unwrap().remove(0);
                    assert_eq!(entry.parts.len(), 2);
                    if cursor.seq == last {
                        return;
                    }
                }
            })
        })
        .collect();
    let mut from = None;
    for seq in 0..=last {
        log.append(from, &[entry(seq, &["{}", "{}"])], &tip(seq)).unwrap();
        let rows: Vec<_> = (0..50).map(|i| row(&format!("k{i:02}"), "v", seq, Some(seq as i64))).collect();
        state.put(from, place(seq), &rows).unwrap();
        from = Some(place(seq));
    }
    for watcher in watchers {
        watcher.join().unwrap();
    }
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let any_line = proptest::collection::vec(any::<u8>().prop_filter("no line feed", |b| *b != b'\n'), 0..40);
    prop_oneof![any_line, "[ -~]{0,400}".prop_map(String::into_bytes), Just(vec![b'z'; 9000])]
}

fn reading_gives_back_what_was_appended(make: fn() -> Bed) {
    proptest!(ProptestConfig::with_cases(24), |(
        entries in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..300), proptest::collection::vec(part(), 0..30)), 1..70),
        limit in 1_usize..80,
        max_bytes in 0_usize..60_000,
    )| {
        let bed = make();
        let mut s = bed.open();
        let entries: Vec<_> = (0..).zip(entries)
            .map(|(seq, (envelope, parts))| NewEntry { seq, envelope, parts }).collect();
        let last = entries.len() as u64 - 1;
        s.log.append(None, &entries, &tip(last)).unwrap();
        let want: Vec<_> = entries.iter().map(stored).collect();
        prop_assert_eq!(&s.reader.read(0, 100, usize::MAX).unwrap(), &want);

        // Page by page it is the same.
        let mut paged = Vec::new();
        while paged.len() < want.len() {
            let page = s.reader.read(paged.len() as u64, limit, max_bytes).unwrap();
            prop_assert!(!page.is_empty() && page.len() <= limit);
            paged.extend(page);
        }
        prop_assert_eq!(&paged, &want);
    });
}

fn the_state_is_what_a_map_would_be(make: fn() -> Bed) {
    proptest!(ProptestConfig::with_cases(24), |(
        puts in proptest::collection::vec(
            proptest::collection::btree_map("[a-c/]{1,3}",
                proptest::option::of((proptest::collection::vec(any::<u8>(), 0..20), proptest::option::of(-3..9_i64))), 0..130),
            1..6),
        through in -4..10_i64,
    )| {
        let bed = make();
        let mut s = bed.open();
        let mut model = std::collections::BTreeMap::new();
        let mut from = None;
        for (seq, put) in (0..).zip(puts) {
            let mut rows = Vec::new();
            for (key, change) in put {
                let (value, due) = change.map_or((None, None), |(value, due)| (Some(value), due));
                let row = Row { key: key.clone(), value, seq, due };
                if row.value.is_some() { model.insert(key, kept(&row)); } else { model.remove(&key); }
                rows.push(row);
            }
            s.state.put(from, place(seq), &rows).unwrap();
            from = Some(place(seq));
        }
        let want: Vec<_> = model.values().cloned().collect();
        prop_assert_eq!(s.reader.scan("", 1000).unwrap().rows, want.clone());
        let mut due: Vec<_> = want.into_iter().filter(|r| r.due.is_some_and(|d| d <= through)).collect();
        due.sort_by(|a, b| (a.due, &a.key).cmp(&(b.due, &b.key)));
        prop_assert_eq!(s.reader.due(through, 1000).unwrap().rows, due);
        prop_assert_eq!(s.reader.next_due().unwrap(), model.values().filter_map(|r| r.due).min());
    });
}

/// Each test on each store.
macro_rules! on_each {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            use super::Bed;
            $(#[test] fn $test() { super::$test(Bed::folder) })+
        }
        mod postgres {
            use super::Bed;
            $(#[test] fn $test() { super::$test(Bed::database) })+
        }
    };
}

on_each!(
    reading_gives_back_what_was_appended,
    the_state_is_what_a_map_would_be,
    an_empty_store_has_nothing,
    what_was_appended_is_read_back_also_after_reopening,
    an_entry_with_ten_thousand_parts_and_its_neighbours,
    a_page_ends_before_max_bytes_but_has_one_entry,
    an_append_from_another_tip_changes_nothing,
    an_append_that_does_not_fit_changes_nothing,
    a_tip_can_be_signed_again_without_an_entry,
    the_state_is_written_over_deleted_and_forgotten,
    a_put_from_another_cursor_or_out_of_order_changes_nothing,
    what_is_due_comes_by_time_and_then_by_key,
    ten_thousand_keys_at_once_and_what_is_absent,
    readers_on_other_threads_see_whole_commits_only,
);
