//! Dry runs against the real thing: what a dry run says is what the commit then does, and it leaves nothing
//! behind.
//!
//! Owns: a random day of trade, each command of which is tried before it is done.
//! Promises: a seed names a day.
//! Refuses to know: how either decides.

mod common;

use common::house::House;
use common::place::Place;
use common::trade::Trade;
use common::world::{beginning, id};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tallyhouse::app::Network;
use tallyhouse::book::{DayOfWeek, Every, Name, Record};
use tallyhouse::clearing::SetSchedule;
use tallyhouse::engine::{DryRun, Engine, Failure, Level, open_entry};
use tallyhouse::log::Envelope;
use tallyhouse::machine::{Event, Kind, concerned_by};
use tallyhouse::types::Refusal;

fn network(trade: &Trade) -> (Place, Network) {
    let (place, world) = (Place::new(), &trade.world);
    let (genesis, key) = (world.genesis.clone(), &world.log.secret);
    let network = Network::create(&place.home, genesis, key, beginning(), &place.tuning());
    (place, network.unwrap_or_else(|e| panic!("{e}")))
}

/// All of state as it is kept, and where the log ends.
fn everything(engine: &Engine) -> (Vec<(String, Vec<u8>)>, Option<u64>) {
    engine.settle().expect("settles");
    let rows = engine.read().scan("", usize::MAX).expect("read").rows;
    let tip = engine.read().tip().expect("read").map(|tip| tip.seq);
    (rows.into_iter().map(|row| (row.key, row.value)).collect(), tip)
}

fn recorded(engine: &Engine, seq: u64) -> Event {
    let entry = engine.read().read(seq, 1, usize::MAX).expect("read").remove(0);
    let (envelope, parts) = open_entry(&entry).expect("our own");
    Event::read(&envelope, Envelope::hash(&entry.envelope), &parts).expect("our own")
}

/// What was recorded is what the dry run said, part by part.
fn same_effects(dry: &DryRun, event: &Event) {
    if event.kind.is_public() {
        let count = |done: &tallyhouse::book::Done| done.puts().count();
        let said: usize = dry.parts.iter().map(|part| count(&part.effect.done)).sum();
        assert_eq!(said, event.effects.iter().map(|effect| count(&effect.done)).sum::<usize>());
        return;
    }
    let said: Vec<_> = dry.parts.iter().filter(|part| !part.effect.done.is_empty()).collect();
    assert_eq!(said.len(), event.effects.len(), "entry {}", event.seq);
    for (said, is) in said.iter().zip(&event.effects) {
        assert_eq!((&said.effect.done, said.effect.tag), (&is.done, is.tag), "entry {}", event.seq);
        assert_eq!(said.concerned, concerned_by(&is.done));
    }
}

#[test]
fn a_dry_run_says_what_the_commit_does_and_leaves_nothing_behind() {
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for seed in [2, 3] {
        let trade = Trade::signed(seed, 120);
        let (_place, network) = network(&trade);
        let engine = &network.engine;
        for (step, (request, at)) in trade.node.asked.iter().enumerate() {
            let Ok(command) = engine.check(request) else { continue };
            let look = step % 40 == 0;
            let before = look.then(|| everything(engine));
            let size = engine.progress().committed;
            let dry = engine.dry_run(&command, Some(*at));
            assert_eq!(engine.progress().committed, size);
            let again = engine.dry_run(&command, Some(*at));
            assert_eq!(dry.as_ref().map(|d| &d.answer).ok(), again.as_ref().map(|d| &d.answer).ok());
            assert_eq!(before, look.then(|| everything(engine)), "a dry run left something behind");
            match (dry, engine.submit(command, Some(*at)).wait()) {
                (Ok(dry), Ok(answer)) => {
                    assert_eq!(dry.answer, answer, "step {step}");
                    assert!(!dry.repeated);
                    same_effects(&dry, &recorded(engine, answer.seq));
                    *met.entry(answer.kind).or_default() += 1;
                    if answer.seq > size {
                        *met.entry("after a sweep".into()).or_default() += 1;
                    }
                    let command = engine.check(request).expect("as before");
                    let dry = engine.dry_run(&command, Some(*at)).expect("its answer again");
                    assert!(dry.repeated && dry.parts.is_empty() && dry.answer.seq == answer.seq);
                }
                (Err(Failure::Refused(dry)), Err(Failure::Refused(no))) => {
                    assert_eq!(dry, no, "step {step}");
                    *met.entry("refused".into()).or_default() += 1;
                    if no.code.burns() {
                        *met.entry("burnt".into()).or_default() += 1;
                    }
                }
                (dry, real) => panic!("step {step}: a dry run says {dry:?}, and then {real:?}"),
            }
        }
        network.close().expect("closes");
    }
    for what in ["unit.defined", "points.batch", "payment.authorised", "after a sweep", "refused", "burnt"] {
        assert!(met.contains_key(what), "{what} was not met: {met:?}");
    }
}

#[test]
fn a_dry_run_comes_after_what_the_schedule_does_before_it() {
    let mut house = House::new(6, true);
    let schedule = SetSchedule {
        version: 1,
        every: Some(Every::Week(DayOfWeek { day: 5 })),
        hour: 6,
        grace_minutes: 30,
        tolerance: vec![],
    };
    house.agreed("schedule.set", &schedule).expect("set");
    let place = Place::new();
    let (genesis, key) = (house.world.genesis.clone(), &house.world.log.secret);
    let network =
        Network::create(&place.home, genesis, key, beginning(), &place.tuning()).expect("a network");
    for (request, at) in &house.node.asked {
        network.engine.ask(request, Some(*at)).expect("founds");
    }
    let (later, before) = (house.now.plus_seconds(9 * 86_400), network.engine.newest().expect("some"));
    let holder = house.world.holder(id("KINO"), 7);
    let request = house.world.open_account("later", id("KINO"), &holder);
    let command = network.engine.check(&request).expect("signed");
    let dry = network.engine.dry_run(&command, Some(later)).expect("goes through");
    assert_eq!(network.engine.newest(), Some(before), "nothing was written");
    let real = network.engine.submit(command, Some(later)).wait().expect("goes through");
    assert_eq!(recorded(&network.engine, before + 1).kind, Kind::CycleDue);
    assert_eq!((dry.answer.seq, &dry.answer), (before + 2, &real));
    network.close().expect("closes");
}

#[test]
fn a_dry_run_keeps_to_the_time_of_the_log() {
    let mut trade = Trade::signed(5, 0);
    let (_place, network) = network(&trade);
    for (request, at) in &trade.node.asked {
        network.engine.ask(request, Some(*at)).expect("founds");
    }
    let (cid, holder) = (trade.fresh("late"), trade.world.holder(id("KINO"), 7));
    let request = trade.world.open_account(&cid, id("KINO"), &holder);
    let command = network.engine.check(&request).expect("signed");
    let early = tallyhouse::types::Time::default();
    let Err(Failure::Refused(no)) = network.engine.dry_run(&command, Some(early)) else {
        panic!("too early")
    };
    assert_eq!(no.code, Refusal::TimeBackwards);
    // Without a time of its own it comes right after the last entry.
    let dry = network.engine.dry_run(&command, None).expect("goes through");
    assert_eq!(network.engine.submit(command, None).wait().expect("goes through"), dry.answer);
}

#[test]
fn records_are_as_new_as_they_say_and_a_task_waits_for_an_entry() {
    let trade = Trade::signed(8, 40);
    let (_place, network) = network(&trade);
    let engine = &network.engine;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for (request, at) in &trade.node.asked {
        let Ok(answer) = engine.ask(request, Some(*at)) else { continue };
        assert!(engine.newest() >= Some(answer.seq));
        if let Some(payment) = answer.payment {
            let newest = engine.record(&Name::Payment(payment)).expect("read");
            assert!(newest.seq >= Some(answer.seq) && newest.record.is_some());
        }
        runtime.block_on(engine.reach(Level::Committed, answer.seq, Duration::ZERO)).expect("committed");
    }
    // The node records a refusal at the command's time, the engine at the log's: hours of refusals differ.
    let same = |name: &Name| !matches!(name, Name::Limit(..));
    for (name, record) in trade.node.state.0.iter().filter(|(name, _)| same(name)) {
        let newest = engine.record(name).expect("read");
        assert_eq!(newest.record.as_deref(), Some::<&Record>(record), "{name}");
        assert_eq!(newest.seq, engine.newest());
    }
    assert_eq!(engine.record(&Name::Brand(id("br_nobody"))).expect("read").record, None);
    let last = engine.newest().expect("some");
    for level in [Level::State, Level::Views] {
        runtime.block_on(engine.reach(level, last, Duration::from_secs(20))).expect("follows");
    }
    let begun = Instant::now();
    let never = runtime.block_on(engine.reach(Level::Committed, last + 1, Duration::from_millis(30)));
    assert!(matches!(never, Err(Failure::Unavailable(_))) && begun.elapsed() >= Duration::from_millis(30));
    // Somebody waits for an entry that is yet to come.
    let holder = trade.world.holder(id("KINO"), 8);
    let request = trade.world.open_account("to-come", id("KINO"), &holder);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let reach = engine.reach(Level::Views, last + 1, Duration::from_secs(20));
            runtime.expect("a runtime").block_on(reach)
        });
        engine.ask(&request, Some(trade.now)).expect("opens");
        waits.join().expect("no panic").expect("comes");
    });
}
