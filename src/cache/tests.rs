//! Balances against a model that remembers every value an account ever had: whatever is interleaved, an
//! answer is what the account was after the entry that it names, and that is never an old one.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

/// An account that says which entry changed it.
fn record(seq: u64) -> Arc<Record> {
    let mut account = Account::new("KINO".parse().expect("a unit"), 0, None);
    account.head.owed = crate::types::Points::new(seq).expect("few");
    Arc::new(Record::Account(account))
}

fn said(seen: &Seen) -> Option<u64> {
    seen.account().map(|account| account.head.owed.get())
}

/// The log as a list of which accounts each entry changed. Entry 0 founded the network.
struct Model {
    log: Vec<Vec<u8>>,
    shown: u64,
    /// Entries that a cache behind this one was fed.
    fed: u64,
}

impl Model {
    /// The entry that changed the account last, among the first `size`.
    fn last_change(&self, id: u8, size: u64) -> Option<u64> {
        let entries = (0..size).zip(&self.log);
        entries.filter(|(_, ids)| ids.contains(&id)).map(|(seq, _)| seq).last()
    }

    fn load(&self, id: u8) -> Loaded {
        self.loaded(id, self.shown)
    }

    /// What a cache that follows the log says, as far as it is. It holds some accounts only.
    fn behind(&self, id: u8) -> Option<Loaded> {
        let loaded = self.loaded(id, self.fed);
        loaded.row.as_ref().filter(|(seq, _)| seq % 3 != 0)?;
        Some(loaded)
    }

    fn loaded(&self, id: u8, size: u64) -> Loaded {
        let row = self.last_change(id, size).map(|seq| (seq, record(seq)));
        Loaded { size, row }
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// An entry changes accounts; `false`: it is put, and not proved until the next one.
    Commit(Vec<u8>, bool),
    /// State takes over some of what it lacks.
    Show(u8),
    /// The cache behind this one is fed some of what it lacks, or falls back.
    Feed(u8),
    Fall(u8),
    /// What was borrowed does not count any more.
    Expire,
    /// A reader asks. Should it miss, the first list happens before its load and the second after it,
    /// before it goes on.
    Get(u8, Vec<Act>, Vec<Act>),
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..12u8;
    let simple = prop_oneof![
        3 => (prop::collection::vec(id.clone(), 1..4), prop::bool::weighted(0.8)).prop_map(|(ids, proved)| Act::Commit(ids, proved)),
        2 => (1..5u8).prop_map(Act::Show),
        2 => (1..9u8).prop_map(Act::Feed),
        1 => (1..9u8).prop_map(Act::Fall),
        1 => Just(Act::Expire),
        2 => id.clone().prop_map(|id| Act::Get(id, vec![], vec![])),
    ];
    simple.prop_recursive(3, 48, 8, move |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..12);
        (id.clone(), some(), some()).prop_map(|(id, before, after)| Act::Get(id, before, after))
    })
}

fn run(acts: &[Act], cache: &Balances, model: &RefCell<Model>) {
    for act in acts {
        match act {
            Act::Commit(ids, proved) => {
                let seq = model.borrow().log.len() as u64;
                model.borrow_mut().log.push(ids.clone());
                for id in ids {
                    cache.put(AccountId((*id).into()), seq, Some(record(seq)));
                }
                if *proved {
                    cache.prove(seq + 1);
                }
            }
            Act::Show(more) => {
                let mut model = model.borrow_mut();
                model.shown = (model.shown + u64::from(*more)).min(cache.size());
                cache.show(model.shown);
            }
            Act::Feed(more) => {
                let mut model = model.borrow_mut();
                model.fed = (model.fed + u64::from(*more)).min(cache.size());
            }
            Act::Fall(back) => {
                let mut model = model.borrow_mut();
                model.fed = model.fed.saturating_sub((*back).into());
            }
            Act::Expire => {
                for shard in &cache.shards {
                    let Shard { young, old, .. } = &mut *write(shard);
                    for known in young.values_mut().chain(old.values_mut()) {
                        known.borrowed = known.borrowed.map(|_| Instant::now());
                    }
                }
            }
            Act::Get(id, before, after) => {
                let asked = cache.size();
                let account = AccountId((*id).into());
                let seen = cache.look(account).unwrap_or_else(|missed| {
                    run(before, cache, model);
                    let behind = model.borrow().behind(*id);
                    let behind = behind.filter(|loaded| loaded.size >= missed.least());
                    let loaded = behind.clone().unwrap_or_else(|| model.borrow().load(*id));
                    run(after, cache, model);
                    if behind.is_some() {
                        cache.borrow(account, missed, loaded)
                    } else {
                        cache.keep(account, missed, loaded)
                    }
                });
                let model = model.borrow();
                assert!(seen.seq + 1 >= asked, "as new as what was proved when it was asked for");
                assert!(seen.seq < cache.size(), "nothing that is not proved");
                let (least, most) = (seen.seq + 1, model.log.len() as u64);
                let mut right = (least..=most).map(|size| model.last_change(*id, size));
                assert!(right.any(|change| change == said(&seen)), "as it was after {} or newer", seen.seq);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn an_answer_is_never_older_than_it_claims(
        acts in prop::collection::vec(act(), 1..60),
        rows in 1..16usize,
        shards in 1..3usize,
    ) {
        let cache = Balances::sharded(rows, 1, shards);
        let model = RefCell::new(Model { log: vec![vec![]], shown: 1, fed: 1 });
        run(&acts, &cache, &model);
    }
}

#[test]
fn an_account_that_is_not_there_is_not_there_as_of_now() {
    let cache = Balances::new(1_000, 7);
    let load = || Ok::<_, Infallible>(Loaded { size: 7, row: None });
    let Ok(seen) = cache.get(AccountId(1), load);
    assert_eq!((seen.seq, seen.account()), (6, None));
}

/// Whoever can write to the other cache may have put something there that is not so.
#[test]
fn what_is_borrowed_is_shown_for_a_while_and_never_built_on() {
    let cache = Balances::new(1_000, 7);
    let id = AccountId(1);
    let loaded = |seq| Loaded { size: 7, row: Some((3, record(seq))) };
    let missed = cache.look(id).expect_err("not at hand");
    assert_eq!(said(&cache.borrow(id, missed, loaded(999))), Some(999));
    assert_eq!(cache.look(id).ok().and_then(|seen| said(&seen)), Some(999), "at hand");
    assert!(cache.look_own(id).is_err(), "the next value is not made of it");
    write(cache.shard(id)).young.get_mut(&id).expect("there").borrowed = Some(Instant::now());
    let missed = cache.look(id).expect_err("not any more");
    assert_eq!(said(&cache.keep(id, missed, loaded(3))), Some(3), "state takes its place");
    assert_eq!(cache.look_own(id).ok().and_then(|seen| said(&seen)), Some(3));
    cache.borrow(id, missed, loaded(999));
    assert_eq!(cache.look(id).ok().and_then(|seen| said(&seen)), Some(3), "and keeps it");
}

#[test]
fn what_was_loaded_is_not_loaded_again_and_a_fault_is_passed_on() {
    let cache = Balances::new(1_000, 7);
    assert_eq!(cache.get(AccountId(1), || Err("broken")).map(|_| ()), Err("broken"));
    let load = || Ok::<_, &str>(Loaded { size: 7, row: Some((3, record(3))) });
    assert_eq!(cache.get(AccountId(1), load).map(|seen| (seen.seq, said(&seen))), Ok((6, Some(3))));
    assert_eq!(cache.get(AccountId(1), || Err("asked")).map(|seen| said(&seen)), Ok(Some(3)));
}

#[test]
fn what_is_kept_is_bounded() {
    let cache = Balances::new(6_400, 0);
    let kept =
        || cache.shards.iter().map(|shard| read(shard).young.len() + read(shard).old.len()).sum::<usize>();
    for seq in 0..100_000 {
        cache.put(AccountId(seq.into()), seq, Some(record(seq)));
        cache.prove(seq + 1);
        if seq % 1_000 == 0 {
            cache.show(seq + 1);
        }
        // Shards are not filled evenly.
        assert!(kept() <= 6_400 + 2 * 1_000 + 400, "{} records", kept());
    }
    for seq in 0..20_000 {
        let load = || Ok::<_, Infallible>(Loaded { size: 100_000, row: Some((seq, record(seq))) });
        let Ok(_) = cache.get(AccountId(seq.into()), load);
    }
    assert!((3_200..=6_400 + 2 * 1_000 + 400).contains(&kept()), "{} records", kept());
}

/// A feeder, a state that follows, and readers that miss often, all at once. Each reader remembers what it
/// was told; afterwards it is compared with what happened.
#[test]
fn threads_see_what_was() {
    const IDS: u64 = 24;
    const ENTRIES: u64 = 20_000;
    let cache = Balances::sharded(8, 0, 2);
    let (shown, over) = (AtomicU64::new(0), AtomicBool::new(false));
    // Entry n changes this account.
    let of = |seq: u64| ((seq * 2_654_435_761) >> 7) % IDS;
    let last = |id: u64, size: u64| (0..size).rev().find(|seq| of(*seq) == id);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 0..ENTRIES {
                cache.put(AccountId(of(seq).into()), seq, Some(record(seq)));
                cache.prove(seq + 1);
                // State is never far behind, as in the engine.
                while seq > shown.load(Ordering::Acquire) + 100 {
                    std::thread::yield_now();
                }
            }
            over.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            let mut to = 0;
            while to < ENTRIES {
                to = cache.size();
                shown.store(to, Ordering::Release);
                cache.show(to);
                std::thread::yield_now();
            }
        });
        let reader = |first: u64| {
            let (cache, shown, over) = (&cache, &shown, &over);
            move || {
                let (mut told, mut id, mut seq) = (vec![], first, 0);
                // However late this thread gets its turn, it asks often enough.
                while !over.load(Ordering::Acquire) || told.len() < 600 {
                    id = (id + 7) % IDS;
                    let load = || {
                        let size = shown.load(Ordering::Acquire);
                        let row = last(id, size).map(|seq| (seq, record(seq)));
                        std::thread::yield_now();
                        Ok::<_, Infallible>(Loaded { size, row })
                    };
                    let Ok(seen) = cache.get(AccountId(id.into()), load);
                    assert!(seen.seq >= seq, "{} after {seq}", seen.seq);
                    seq = seen.seq;
                    told.push((id, seen.seq, said(&seen)));
                }
                told
            }
        };
        let readers = [scope.spawn(reader(0)), scope.spawn(reader(3))];
        readers.into_iter().flat_map(|reader| reader.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(told.len() > 1_000, "{} answers", told.len());
    for (id, seq, what) in told {
        // Before the first entry there is nothing to be right about.
        assert!(what.is_none_or(|change| of(change) == id), "account {id} never was that");
        assert!(seq == 0 || what >= last(id, seq + 1), "account {id} after {seq} is not {what:?}");
    }
}
