//! Reading as a brand, a holder and the operator: entries, events, proofs, lists.
//!
//! Owns: a day of trade in a real network, read by everybody.
//! Promises: a seed names the day. What is shown is compared with what the rule says of each part.
//! Refuses to know: who is who to the outside.

mod common;

use common::place::Place;
use common::reading::{Book, brand_reader};
use common::trade::Trade;
use common::world::beginning;
use std::collections::BTreeSet;
use tallyhouse::app::Network;
use tallyhouse::book::Record;
use tallyhouse::log::{LogVerifier, leaf_hash, vkey};
use tallyhouse::machine::{Kind, Reader, bodies, concerned, issuer, may_read};
use tallyhouse::reading::{Entries, Sort, What, list};
use tallyhouse::tiles::Hashes;
use tallyhouse::types::AccountId;

/// A day that happened in a network, which is closed.
fn day(seed: u64) -> (Trade, Place, LogVerifier) {
    let trade = Trade::signed(seed, 80);
    let place = Place::new();
    let (genesis, key) = (trade.world.genesis.clone(), &trade.world.log.secret);
    let log = vkey(&genesis.origin, genesis.log.as_bytes()).parse().expect("a key");
    let network = Network::create(&place.home, genesis, key, beginning(), &place.tuning());
    let network = network.unwrap_or_else(|e| panic!("{e}"));
    for (request, at) in &trade.node.asked {
        let _ = network.engine.ask(request, Some(*at));
    }
    network.close().expect("closes");
    (trade, place, log)
}

fn entries(place: &Place, log: &LogVerifier) -> Entries {
    let read = place.home.read().expect("opens");
    Entries::new(read.clone(), Hashes::open(place.dir(), read), log.clone())
}

/// Where the parts stand that the rule gives to a reader.
fn ruled(whole: &[Vec<u8>], reader: &Reader, book: &Book<'_>) -> Vec<u32> {
    let bodies = bodies(whole.iter().map(Vec::as_slice)).expect("our own");
    let brand = issuer(bodies.iter());
    let own = (0u32..).zip(&bodies).filter(|(_, body)| {
        let Ok(may) = may_read(&concerned(body, brand.as_ref()).expect("our own"), reader, book);
        may
    });
    own.map(|(index, _)| index).collect()
}

#[test]
fn everybody_sees_and_proves_what_is_theirs_and_nothing_else() {
    let (trade, place, log) = day(4);
    let (world, entries) = (&trade.world, entries(&place, &log));
    let views = tallyhouse::views::Reader::open(&place.home).expect("opens");
    let book = Book(&trade.node.state);
    let all = entries.entries(0, usize::MAX, usize::MAX, &Reader::Operator).expect("read");
    let whole = |seq: usize| -> Vec<Vec<u8>> {
        let parts = all[seq].parts.iter().map(|part| match &part.what {
            What::Whole(bytes) => bytes.clone(),
            What::Erased => panic!("nothing was erased"),
        });
        parts.collect()
    };
    assert!(all.iter().all(|seen| seen.parts.len() == seen.envelope.parts.n as usize));
    let mut readers = vec![];
    for brand in &world.brands {
        let reader = entries.known().brand(&brand.id).expect("read").expect("registered");
        assert_eq!(reader, brand_reader(world, brand), "as state says");
        readers.push(reader);
    }
    let holders: Vec<AccountId> = trade.accounts();
    readers.extend([Reader::Accounts(holders[..1].to_vec()), Reader::Accounts(holders[2..5].to_vec())]);
    let mut proved = 0;
    for reader in &readers {
        let mut own = BTreeSet::new();
        for (seq, operators) in all.iter().enumerate() {
            let (expected, parts) = (ruled(&whole(seq), reader, &book), whole(seq));
            let seen = entries.entry(seq as u64, reader).expect("read").expect("there");
            assert_eq!(seen.bytes, operators.bytes);
            let shown: Vec<u32> = seen.parts.iter().map(|part| part.index).collect();
            assert_eq!(shown, expected, "entry {seq} ({}) for {reader:?}", seen.kind);
            for part in &seen.parts {
                assert_eq!(part.what, What::Whole(parts[part.index as usize].clone()));
            }
            if seen.is_own() {
                own.insert(seen.seq);
            }
            if seq % 7 == 0 || (seen.kind == Kind::PaymentCaptured && proved < 500) {
                let proof = entries.proof(seq as u64, reader).expect("made").expect("there");
                proof.verify(&log).expect("holds");
                assert_eq!(proof.parts.iter().map(|part| part.index).collect::<Vec<_>>(), expected);
                proved += proof.parts.len();
            }
        }
        // A page at a time, events are the reader's own entries.
        let (mut events, mut after) = (BTreeSet::new(), None);
        loop {
            let page = entries.events(&views, reader, after, 3).expect("read");
            assert!(page.events.len() <= 3 && page.events.iter().all(|seen| seen.is_own()));
            events.extend(page.events.iter().map(|seen| seen.seq));
            after = page.after;
            if !page.more {
                break;
            }
        }
        match reader {
            Reader::Accounts(_) => {
                assert!(!events.is_empty() && events.is_subset(&own), "{events:?} of {own:?}")
            }
            _ => assert_eq!(events, own, "{reader:?}"),
        }
    }
    assert!(proved > 50, "{proved}");
    let page = entries.events(&views, &Reader::Operator, Some(4), 6).expect("read");
    assert_eq!(page.events.iter().map(|seen| seen.seq).collect::<Vec<_>>(), (5..11).collect::<Vec<_>>());
    assert!(page.more && page.after == Some(10));
    let end = entries.events(&views, &Reader::Operator, Some(all.len() as u64 - 1), 6).expect("read");
    assert!(end.events.is_empty() && !end.more && end.after == Some(all.len() as u64 - 1));
    assert!(entries.entry(all.len() as u64, &Reader::Operator).expect("read").is_none());
    assert!(entries.proof(all.len() as u64, &Reader::Operator).expect("read").is_none());
    let newest: Vec<u64> = entries.newest(None, 3).expect("read").iter().map(|entry| entry.seq).collect();
    let last = all.len() as u64 - 1;
    assert_eq!(newest, [last, last - 1, last - 2]);
    let oldest: Vec<u64> = entries.newest(Some(2), 9).expect("read").iter().map(|entry| entry.seq).collect();
    assert_eq!(oldest, [1, 0]);
}

#[test]
fn an_erased_part_is_shown_as_gone_and_proofs_hold_without_it() {
    let (trade, place, log) = day(6);
    let paid = trade.payments.first().expect("paid").0.seq;
    let shop = brand_reader(&trade.world, &trade.world.brands[trade.payments[0].1]);
    let before = entries(&place, &log).entry(paid, &Reader::Operator).expect("read").expect("there");
    let What::Whole(consent) = &before.parts[1].what else { panic!("whole") };
    let mut stores = place.home.open().expect("opens");
    stores.log.erase_part(paid, 1, leaf_hash(consent)).expect("erased");
    drop(stores);
    let entries = entries(&place, &log);
    let seen = entries.entry(paid, &shop).expect("read").expect("there");
    assert_eq!(seen.parts.iter().find(|part| part.index == 1).map(|part| &part.what), Some(&What::Erased));
    for reader in [&Reader::Operator, &shop] {
        let proof = entries.proof(paid, reader).expect("made").expect("there");
        proof.verify(&log).expect("holds");
        assert!(!proof.parts.is_empty() && proof.parts.iter().all(|part| part.index != 1));
    }
    // Nobody who reads nothing else of the entry is told.
    let nobody = entries.entry(paid, &Reader::Accounts(vec![AccountId(1)])).expect("read").expect("there");
    assert!(nobody.parts.is_empty() && !nobody.is_own());
}

#[test]
fn lists_come_in_pages_and_hold_what_state_holds() {
    let (trade, place, _) = day(8);
    let read = place.home.read().expect("opens");
    let sorts = [
        (Sort::Brands, "brand/"),
        (Sort::Participants, "participant/"),
        (Sort::Units, "unit/"),
        (Sort::Prices, "prices/"),
        (Sort::Acceptance, "acceptance/"),
        (Sort::Budgets, "budget/"),
    ];
    for (sort, prefix) in sorts {
        let expected = trade.node.state.0.iter().filter(|(name, _)| name.to_string().starts_with(prefix));
        let mut expected: Vec<(String, Record)> =
            expected.map(|(name, record)| (name.to_string(), (**record).clone())).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(expected.len() > 1, "{sort:?}");
        for limit in [1, 2, expected.len(), 1_000] {
            let (mut listed, mut after, mut pages) = (vec![], String::new(), 0);
            loop {
                let page = list(&*read, sort, &after, limit).expect("read");
                assert!(page.as_of.is_some() && page.items.len() <= limit);
                listed.extend(page.items.into_iter().map(|item| (item.name.to_string(), item.record)));
                pages += 1;
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert_eq!(listed, expected, "{sort:?}");
            assert_eq!(pages, expected.len().div_ceil(limit), "no page is empty");
        }
    }
}
