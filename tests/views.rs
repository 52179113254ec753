//! The views against the state: whatever the machine decides, the tables made for people say the same.
//!
//! Owns: what each view must say about a random day of trade in the test network.
//! Promises: a seed names a run. The views are checked against state records, which other code made.
//! Refuses to know: how the tables are written.

mod common;

use common::dispute::over;
use common::house::{House, eur};
use common::place::Place;
use common::reading::{Book, brand_reader};
use common::trade::{Trade, events};
use common::world::{id, money};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tallyhouse::book::{Answered, ComplaintStage, Name, Principal, Record, Shared};
use tallyhouse::clearing::{ComplaintStep, DisputeStep, FileComplaint, FileObjection, MoveComplaint};
use tallyhouse::machine::{Event, Kind, PartBody, Sealed, bodies, concerned_by, may_read};
use tallyhouse::types::{BrandId, ComplaintId, word};
use tallyhouse::views::{
    DayFlow, FiledAt, Filing, FilingsOf, Filter, ListedPayment, Moment, Obligation, Reader, Span, Views,
    What, difference,
};

/// Views of these events in a place of their own, taken in runs of these lengths, over and over.
fn views_of(events: &[Event], runs: &[usize]) -> (Place, Reader) {
    let place = Place::new();
    let mut views = Views::open(&place.home).expect("views");
    let (mut rest, mut lengths) = (events, runs.iter().cycle());
    while !rest.is_empty() {
        let (run, later) = rest.split_at((*lengths.next().expect("endless")).min(rest.len()));
        views.take(&run.iter().collect::<Vec<_>>()).expect("taken");
        rest = later;
    }
    drop(views);
    let reader = Reader::open(&place.home).expect("readable");
    (place, reader)
}

#[test]
fn views_say_what_the_state_says() {
    let mut seen = BTreeMap::new();
    for seed in 1..5 {
        let trade = Trade::new(seed, 250);
        let events = trade.events();
        let (_place, reader) = views_of(&events, &[7]);
        let last = events.last().expect("some");
        assert_eq!(
            reader.cursor().expect("read").map(|place| (place.seq, place.hash)),
            Some((last.seq, last.hash))
        );
        check_histories(&trade, &events, &reader, &mut seen);
        check_payments(&trade, &reader);
        check_flows(&trade, &reader);
        check_obligations(&trade, &reader);
        check_concerns(&trade, &reader);
    }
    for (what, least) in [("came", 100), ("left", 100), ("split", 3), ("paged", 10)] {
        assert!(seen.get(what).is_some_and(|times| *times >= least), "{what} is not tested: {seen:?}");
    }
}

fn check_histories(trade: &Trade, events: &[Event], reader: &Reader, seen: &mut BTreeMap<&str, u32>) {
    let mut see = |what| *seen.entry(what).or_insert(0) += 1;
    for account in trade.accounts() {
        let Some(Record::Account(state)) = trade.node.state.get(&Name::Account(account)) else {
            panic!("{account} was opened")
        };
        let whole = reader.history(account, None, usize::MAX).expect("read").what;
        let now = whole.first().map_or(0, |movement| movement.balance);
        assert_eq!(now, state.total().signed(), "{account} as the state has it");
        for (newer, older) in whole.iter().zip(whole.iter().skip(1)) {
            assert!(older.id < newer.id && older.balance >= 0);
            assert_eq!(older.balance + newer.amount, newer.balance, "{newer:?} after {older:?}");
            if older.seq == newer.seq && newer.kind != Kind::PointsBatch {
                // Two movements of one part: never the same way twice.
                assert_ne!(older.other, newer.other);
                see("split");
            }
        }
        if let Some(first) = whole.last() {
            assert_eq!(first.balance, first.amount);
        }
        for movement in &whole {
            see(if movement.amount > 0 { "came" } else { "left" });
            let event = &events[movement.seq as usize];
            assert_eq!((movement.kind, movement.at), (event.kind, event.at));
            assert_eq!(movement.payment.is_some(), movement.other == Shared::Redeemed);
        }
        // The balance as of each entry that moved the account, by number and by time, and in between.
        for movement in &whole {
            let end = as_of_seq(&whole, movement.seq);
            let before = movement.seq.checked_sub(1).and_then(|seq| as_of_seq(&whole, seq));
            let ask = |moment| reader.balance_as_of(account, moment).expect("read").what;
            assert_eq!(ask(Moment::Seq(movement.seq)), end);
            assert_eq!(ask(Moment::Time(movement.at)), end);
            assert_eq!(ask(Moment::Seq(movement.seq - 1)), before);
        }
        let (mut pages, mut before) = (vec![], None);
        loop {
            let page = reader.history(account, before, 3).expect("read").what;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            pages.extend(page);
            see("paged");
        }
        assert_eq!(pages, whole, "page by page");
    }
}

fn as_of_seq(newest_first: &[tallyhouse::views::Movement], seq: u64) -> Option<i64> {
    newest_first.iter().find(|movement| movement.seq <= seq).map(|movement| movement.balance)
}

fn check_payments(trade: &Trade, reader: &Reader) {
    let mut found = 0;
    for brand in &trade.world.brands {
        let all = reader.payments(&brand.id, &Filter::default(), None, usize::MAX).expect("read").what;
        let (mut pages, mut before) = (vec![], None);
        loop {
            let page = reader.payments(&brand.id, &Filter::default(), before, 2).expect("read").what;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            pages.extend(page);
        }
        assert_eq!(pages, all, "page by page");
        assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
        check_filters(&brand.id, reader, &all);
        for listed in all {
            let Some(Record::Payment(state)) = trade.node.state.get(&Name::Payment(listed.id)) else {
                panic!("{} is in the state", listed.id)
            };
            assert_eq!(
                (&listed.brand, &listed.store, &listed.till),
                (&state.brand, &state.store, &state.till)
            );
            assert_eq!((&listed.reference, listed.currency), (&state.reference, state.currency));
            assert_eq!(
                (listed.amount, listed.captured, listed.refunded, listed.deadline, listed.closed),
                (state.amount, state.captured, state.refunded, state.deadline, state.closed)
            );
            assert_eq!(listed.at, trade.node.entries[listed.id.seq as usize].at);
            assert_eq!(reader.payment(listed.id).expect("read").what.as_ref(), Some(&listed));
            found += 1;
        }
    }
    assert_eq!(found, trade.payments.len());
    assert!(found > 10, "the test pays");
}

fn check_filters(brand: &BrandId, reader: &Reader, all: &[ListedPayment]) {
    let Some(one) = all.get(all.len() / 2) else { return };
    let check = |filter: Filter, pass: &dyn Fn(&ListedPayment) -> bool| {
        let listed = reader.payments(brand, &filter, None, usize::MAX).expect("read").what;
        assert_eq!(listed, all.iter().filter(|p| pass(p)).cloned().collect::<Vec<_>>(), "{filter:?}");
    };
    let none = Filter::default();
    check(Filter { store: Some(one.store.clone()), ..none.clone() }, &|p| p.store == one.store);
    check(Filter { till: Some(one.till.clone()), ..none.clone() }, &|p| p.till == one.till);
    let span = Span { from: None, to: Some(one.at) };
    check(Filter { span, till: Some(one.till.clone()), ..none.clone() }, &|p| {
        p.till == one.till && p.at < one.at
    });
    for at in [one.at, one.deadline] {
        for open in [true, false] {
            check(Filter { open: Some((open, at)), ..none.clone() }, &|p| {
                (!p.closed && at < p.deadline) == open
            });
        }
    }
}

fn check_flows(trade: &Trade, reader: &Reader) {
    let total = |unit, shared| match trade.node.state.get(&Name::Shared(unit, shared)) {
        Some(Record::Total(total)) => *total,
        _ => 0,
    };
    let listed = reader.units().expect("read").what;
    for unit in trade.units() {
        let flows = reader.flows(Some(unit), None, None).expect("read").what;
        let sum = |what| flows.iter().filter(|flow| flow.what == what).map(|flow| flow.points).sum::<i64>();
        assert_eq!(-sum(What::Issued), total(unit, Shared::Issuance), "{unit}");
        assert_eq!(sum(What::Redeemed) - sum(What::GivenBack), total(unit, Shared::Redeemed), "{unit}");
        assert_eq!(sum(What::Expired), total(unit, Shared::Expired), "{unit}");
        assert_eq!(sum(What::ClawedBack), total(unit, Shared::ClawedBack), "{unit}");
        let held: i64 = trade
            .accounts()
            .into_iter()
            .filter_map(|account| trade.node.state.get(&Name::Account(account))?.account().cloned())
            .filter(|account| account.head.unit == unit)
            .map(|account| account.total().signed())
            .sum();
        assert_eq!(sum(What::Issued) - sum(What::Redeemed) + sum(What::GivenBack) - sum(What::Expired), held);
        let (mut days, mut after) = (vec![], None);
        loop {
            let page = reader.flows_by_day(unit, None, None, after.as_ref(), 2).expect("read").what;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            days.extend(page);
        }
        let by_day = |a: &DayFlow| (a.day, a.what.to_string(), a.brand.clone());
        assert!(days.is_sorted_by(|a, b| by_day(a) < by_day(b)), "{days:?}");
        for flow in &flows {
            let same = days.iter().filter(|day| (day.what, &day.brand) == (flow.what, &flow.brand));
            assert_eq!(same.map(|day| day.points).sum::<i64>(), flow.points, "{flow:?}");
        }
        if let Some(day) = days.last().map(|flow| flow.day) {
            let last = reader.flows_by_day(unit, Some(day), Some(day), None, 99).expect("read").what;
            assert_eq!(last, days.iter().filter(|flow| flow.day == day).cloned().collect::<Vec<_>>());
        }
        let brand = &trade.world.brand_of(unit).0.id;
        for flow in &flows {
            let in_a_shop = matches!(flow.what, What::Redeemed | What::GivenBack);
            assert_eq!(flow.brand.is_some(), in_a_shop, "{flow:?}");
            assert_eq!(flow.home, flow.brand.as_ref() == Some(brand), "{flow:?}");
            assert!(flow.points > 0, "{flow:?}");
        }
        let settings = trade.world.units().find(|have| have.unit == unit).expect("defined");
        let has = listed.iter().find(|have| have.unit == unit).expect("listed");
        assert_eq!((&has.brand, has.scale, has.offset), (brand, settings.scale, settings.offset));
    }
}

fn check_obligations(trade: &Trade, reader: &Reader) {
    let mut pairs: BTreeMap<String, i64> = BTreeMap::new();
    let listed = reader.obligations(None).expect("read").what;
    assert_eq!(reader.obligations(Some(1)).expect("read").what, listed, "all of the first cycle");
    assert_eq!(reader.obligations(Some(2)).expect("read").what, []);
    for brand in &trade.world.brands {
        let own = [brand.participant.clone()];
        let of = |after: Option<&Obligation>, limit| {
            reader.obligations_of(&own, None, after, limit).expect("read").what
        };
        let mine = listed.iter().filter(|o| own.contains(&o.debtor) || own.contains(&o.creditor)).cloned();
        let mine: Vec<_> = mine.collect();
        assert_eq!(of(None, usize::MAX), mine);
        for (at, last) in mine.iter().enumerate() {
            assert_eq!(of(Some(last), 1), mine.iter().skip(at + 1).take(1).cloned().collect::<Vec<_>>());
        }
    }
    for owed in listed {
        assert!(owed.amount >= 0 && owed.debtor != owed.creditor, "{owed:?}");
        let (first, second, sign) = if owed.creditor < owed.debtor {
            (owed.creditor, owed.debtor, 1)
        } else {
            (owed.debtor, owed.creditor, -1)
        };
        *pairs.entry(Name::Pair(owed.cycle, first, second, owed.currency).to_string()).or_insert(0) +=
            sign * owed.amount;
    }
    let state = trade.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
        (Name::Pair(..), Record::Total(total)) => Some((name.to_string(), *total)),
        _ => None,
    });
    let state: BTreeMap<String, i64> = state.collect();
    assert!(state.len() > 2, "the test crosses brands");
    assert_eq!(pairs, state);
}

/// Every entry with effects that a brand may read is listed for it, in pages too, and no other.
fn check_concerns(trade: &Trade, reader: &Reader) {
    let book = Book(&trade.node.state);
    let open = |entry: &Sealed| bodies(entry.parts.iter().map(Vec::as_slice)).expect("our own");
    let opened: Vec<Vec<PartBody>> = trade.node.entries.iter().map(open).collect();
    let mut total = 0;
    for brand in &trade.world.brands {
        let reads = brand_reader(&trade.world, brand);
        let own = |parts: &Vec<PartBody>| {
            parts.iter().filter_map(|part| part.done.as_ref()).any(|done| {
                let Ok(may) = may_read(&concerned_by(done), &reads, &book);
                may
            })
        };
        let mut expected = vec![];
        for (entry, parts) in trade.node.entries.iter().zip(&opened) {
            total += u64::from(own(parts));
            if parts.is_empty() || own(parts) {
                expected.push(entry.seq);
            }
        }
        let all = reader.concerning(&brand.id, None, usize::MAX).expect("read").what;
        assert_eq!(all, expected, "{}", brand.id);
        let (mut pages, mut after) = (vec![], None);
        loop {
            let page = reader.concerning(&brand.id, after, 3).expect("read").what;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            pages.extend(page);
        }
        assert_eq!(pages, all, "page by page");
        let kids = reader.keys_of(&Principal::Brand(brand.id.clone()), None, usize::MAX).expect("read").what;
        let till = brand.tills.iter().all(|till| kids.contains(&till.key.kid));
        assert!(till && kids.contains(&brand.root.kid) && kids.is_sorted(), "{kids:?}");
        let later = reader.keys_of(&Principal::Brand(brand.id.clone()), Some(kids[0]), 1).expect("read").what;
        assert_eq!(later, kids[1..2]);
    }
    assert!(total > 100, "{total}");
    for account in trade.accounts() {
        let mut seqs: Vec<u64> =
            reader.history(account, None, usize::MAX).expect("read").what.iter().map(|m| m.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(reader.moving(account, None, usize::MAX).expect("read").what, seqs);
        let half = seqs.len() / 2;
        let later = reader.moving(account, seqs.get(half).copied(), 2).expect("read").what;
        assert_eq!(later, seqs.iter().skip(half + 1).take(2).copied().collect::<Vec<_>>());
        assert_eq!(reader.keys_of(&Principal::Account(account), None, 9).expect("read").what, []);
    }
}

/// A house with disputes, objections and complaints at several stages.
fn contested() -> House {
    let mut house = House::new(5, false);
    for unit in ["HARVEST", "KINO"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * 86_400);
    let one = house.pay(1, "HARVEST", 0, 40_000, true).expect("paid");
    let other = house.pay(2, "KINO", 0, 40_000, true).expect("paid");
    for (n, (filer, of, unit, why)) in [
        (0, one, "HARVEST", "not_ours"),
        (1, other, "KINO", "not_ours"),
        (0, one, "HARVEST", "fraud"),
        (1, other, "KINO", "duplicate"),
    ]
    .into_iter()
    .enumerate()
    {
        let filed = house.dispute(filer, &over(of, unit, 100 + n as u64, why)).expect("filed");
        match n {
            1 => house.argue(Some(1), filed, DisputeStep::Withdraw).expect("taken back"),
            2 => house.argue(None, filed, DisputeStep::ChargeBack).expect("charged back"),
            _ => {}
        }
    }
    let cycle = house.seal();
    for n in 0..6u64 {
        if house.stage(cycle) != tallyhouse::clearing::Stage::Review {
            house.compute(cycle).expect("computed");
            house.review(cycle);
        }
        let (debtor, creditor, by) =
            if n % 2 == 0 { ("pa_harvest", "pa_kino", 0) } else { ("pa_kino", "pa_polar", 1) };
        let args = FileObjection {
            cycle,
            debtor: id(debtor),
            creditor: id(creditor),
            currency: eur(),
            amount: money(100),
            payment: None,
            reason: id("not_ours"),
        };
        let filed = house.object(by, &args).expect("filed");
        if n < 4 {
            let answer = if n == 3 { Answered::Accepted } else { Answered::Rejected };
            house.answer(filed, answer).expect("answered");
        }
    }
    for n in 0..4 {
        let holder = house.world.holder(id("HARVEST"), n);
        let args = FileComplaint {
            account: holder.account,
            reason: id("missing_points"),
            payment: None,
            evidence: vec![],
        };
        house.award("HARVEST", n, 100);
        let seq = house.by(&holder.key, "complaint.file", &args).expect("filed").seq;
        let complaint = ComplaintId { seq, part: 0 };
        let step = |step| MoveComplaint { complaint, step, evidence: vec![] };
        if n > 0 {
            house.by_brand(0, "complaint.move", &step(ComplaintStep::Reject)).expect("rejected");
        }
        if n > 1 {
            house.by(&holder.key, "complaint.move", &step(ComplaintStep::Appeal)).expect("appealed");
        }
        if n > 2 {
            house.ask("complaint.move", &step(ComplaintStep::Uphold)).expect("upheld");
        }
    }
    house
}

/// The places of what state has, that is of these, the newest first.
fn filed(house: &House, sort: Filing, of: &FilingsOf) -> Vec<FiledAt> {
    let mut found: Vec<FiledAt> = house
        .node
        .state
        .0
        .iter()
        .filter_map(|(name, record)| {
            let (place, sides, stage, open, cycle) = match (sort, name, &**record) {
                (Filing::Dispute, Name::Dispute(id), Record::Dispute(one)) => {
                    let open = one.outcome.is_none();
                    let sides = [one.filer.to_string(), one.target.to_string()];
                    ((id.seq, id.part), sides, word(&one.stage), open, 0)
                }
                (Filing::Objection, Name::Objection(id), Record::Objection(one)) => {
                    let stage = one.answer.as_ref().map_or("open".into(), |(answer, _)| word(answer));
                    let open = one.answer.is_none();
                    let sides = [one.debtor.to_string(), one.creditor.to_string()];
                    ((id.seq, id.part), sides, stage, open, one.cycle)
                }
                (Filing::Complaint, Name::Complaint(id), Record::Complaint(one)) => {
                    let open = matches!(one.stage, ComplaintStage::Filed | ComplaintStage::Appealed);
                    let sides = [one.brand.to_string(), one.account.to_string()];
                    ((id.seq, id.part), sides, word(&one.stage), open, 0)
                }
                _ => return None,
            };
            let wanted = of.whose.as_ref().is_none_or(|whose| sides.contains(whose))
                && of.stage.as_ref().is_none_or(|wanted| *wanted == stage)
                && of.open.is_none_or(|wanted| wanted == open)
                && of.cycle.is_none_or(|wanted| wanted == cycle);
            wanted.then_some(place)
        })
        .collect();
    found.sort_unstable();
    found.reverse();
    found
}

#[test]
fn what_was_filed_is_listed_for_both_sides_as_it_stands() {
    let house = contested();
    let all = events(&house.node.entries);
    let (_a, reader) = views_of(&all, &[3]);
    let (_b, single) = views_of(&all, &[1, 40]);
    assert_eq!(difference(&reader, &single).expect("read"), None);
    let sides = [None, Some("pa_harvest"), Some("pa_kino"), Some("pa_polar"), Some("br_harvest")];
    let sides = sides.map(|side| side.map(str::to_owned));
    let stages = ["filed", "withdrawn", "charged_back", "open", "accepted", "rejected", "appeal_upheld"];
    let mut seen = 0;
    for sort in [Filing::Dispute, Filing::Objection, Filing::Complaint] {
        for whose in &sides {
            let of = FilingsOf { whose: whose.clone(), ..FilingsOf::default() };
            let stages = stages.iter().map(|stage| FilingsOf { stage: Some((*stage).into()), ..of.clone() });
            let open = [true, false].map(|open| FilingsOf { open: Some(open), ..of.clone() });
            let cycles = [1, 2].map(|cycle| FilingsOf { cycle: Some(cycle), ..of.clone() });
            for of in stages.chain(open).chain(cycles).chain([of.clone()]) {
                let wanted = filed(&house, sort, &of);
                assert_eq!(
                    reader.filings(sort, &of, None, 99).expect("read").what,
                    wanted,
                    "{sort:?} {of:?}"
                );
                let (mut pages, mut before) = (vec![], None);
                loop {
                    let page = reader.filings(sort, &of, before, 1).expect("read").what;
                    let Some(last) = page.last() else { break };
                    before = Some(*last);
                    pages.extend(page);
                }
                assert_eq!(pages, wanted, "page by page");
                seen += wanted.len();
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn however_the_log_is_cut_the_views_are_the_same(
        seed in 1..1_000_000u64,
        cuts in proptest::collection::vec(1..40usize, 1..12),
    ) {
        let events = Trade::new(seed, 60).events();
        let (_a, whole) = views_of(&events, &[usize::MAX]);
        let (_b, single) = views_of(&events, &[1]);
        let (_c, cut) = views_of(&events, &cuts);
        prop_assert_eq!(difference(&whole, &single).expect("read"), None);
        prop_assert_eq!(difference(&whole, &cut).expect("read"), None);
    }
}
