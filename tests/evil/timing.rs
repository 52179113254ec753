//! Forgeries of what happens by itself: an operator that says that a time has come.

use crate::evil::{Honest, Loose};
use crate::stage;
use tallyhouse::book::Draft;
use tallyhouse::clearing::seal_due;
use tallyhouse::machine::Kind;
use tallyhouse::types::Time;

/// The entry at another instant, which all that it says of itself says, too.
fn at(entry: &Loose, at: Time) -> Loose {
    let (from, to) = (entry.at.to_string(), at.to_string());
    let moved =
        |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).expect("text").replace(&from, &to).into_bytes();
    let mut moved_to = entry.clone();
    moved_to.at = at;
    moved_to.body.public = entry.body.public.as_ref().map(moved);
    moved_to.body.parts = entry.body.parts.iter().map(moved).collect();
    moved_to
}

/// When the schedule seals the open cycle, as the log stands before an entry.
fn due(honest: &Honest, seq: usize) -> Option<Time> {
    let (_, state) = &honest.before[seq];
    let mut draft = Draft::new(state, seq as u64, honest.entries[seq].at);
    seal_due(&mut draft).expect("all is at hand")
}

#[test]
fn a_cycle_is_not_sealed_by_itself_before_its_time() {
    let (.., honest) = stage();
    let seq = honest.first(Kind::CycleDue);
    let entry = &honest.entries[seq];
    let time = due(honest, seq).expect("a schedule");
    let before = honest.entries[seq - 1].at;
    assert!(before < time && time <= entry.at, "{before}, {time}, {}", entry.at);
    // To the microsecond: what is right then is wrong an instant earlier, and as soon as the schedule was set.
    honest.instead(seq, &at(entry, time)).expect("its time has come");
    let early = Time::from_micros(time.micros() - 1).expect("an instant");
    for early in [early, Time::from_micros(before.micros() + 1).expect("an instant")] {
        let why = honest.caught(seq, &at(entry, early), "its time has not come");
        assert!(why.contains("the schedule seals at"), "{why}");
    }
    // Nor where there is no schedule any more, however late.
    let last = honest.entries.len() - 1;
    assert_eq!(due(honest, last), None);
    honest.caught(last, &at(entry, honest.after().plus_seconds(400 * 86_400)), "no schedule is in force");
}
