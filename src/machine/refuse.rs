//! Recorded refusals: a command that was refused for a reason of state has spent its id.

use super::command::Command;
use super::decide::{Decision, part_of, principal};
use super::entry::{Answer, EntryBody, effects_only};
use super::kind::Kind;
use crate::book::{self, Draft, Draw, Effects, Measure, Name, Principal, Record, Source, Stop};
use crate::types::{Fingerprint, Ident, Refusal, Time};
use std::collections::BTreeMap;

/// Refusals that the log records for one principal in an hour; what comes after is refused all the
/// same, and not recorded.
const QUOTA: u64 = 1_000;

/// Refusals of one principal in one entry: they stand in one part, which holds 16 KiB. One of them takes
/// 250 bytes at the most. What comes after is treated as beyond the quota.
const MOST_IN_PART: usize = 60;

/// Refusals in one entry: an entry has at most 10,010 parts.
const MOST_IN_ENTRY: usize = 5_000;

/// One refusal to record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Burnt {
    /// Who asked.
    pub principal: Principal,
    /// Under which id.
    pub cid: Ident,
    /// Recognises the same command coming again.
    pub fingerprint: Fingerprint,
    /// What it was told.
    pub code: Refusal,
}

/// The record that a refusal leaves, if it leaves one: it has an id of its own, its reason is one of
/// state, the id was not known before, and a registered key asked. A stranger, whose key the statement
/// itself brings, can ask in anybody's name; nobody's ids are spent by that.
pub fn burn(source: &dyn Source, at: Time, command: &Command, code: Refusal) -> Option<Burnt> {
    let cid = command.asked.cid.clone().filter(|_| code.burns())?;
    let mut draft = Draft::new(source, 0, at);
    draft.get(&Name::Key(command.asked.kid)).ok()??;
    let principal = principal(&mut draft, command).ok()?;
    match draft.get(&Name::Command(principal.clone(), cid.clone())) {
        Ok(None) => Some(Burnt { principal, cid, fingerprint: command.asked.fingerprint, code }),
        _ => None,
    }
}

/// The entry that records refusals; `None` if every principal's quota is used up.
pub fn record_refusals(mut draft: Draft, burnt: &[Burnt]) -> Result<Option<Decision>, Stop> {
    let (seq, at) = (draft.seq, draft.at);
    let mut recorded: BTreeMap<&Principal, usize> = BTreeMap::new();
    for one in burnt.iter().take(MOST_IN_ENTRY) {
        let name = Name::Command(one.principal.clone(), one.cid.clone());
        let of_this = recorded.get(&one.principal).copied().unwrap_or(0);
        if of_this >= MOST_IN_PART || draft.get(&name)?.is_some() {
            continue;
        }
        if let Principal::Brand(brand) = &one.principal {
            let subject = "refused".parse().map_err(|_| Stop::Bug("a plain word is an id".into()))?;
            let measure = Measure::RefusedHour;
            let draw = Draw { brand, subject, measure, offset: 0, amount: 1, ceiling: QUOTA };
            match draft.draw(draw, one.code) {
                Err(Stop::Refused(_)) => continue,
                other => other?,
            }
        }
        let record = book::Command { seq, fingerprint: one.fingerprint, refused: Some(one.code) };
        draft.put(part_of(&one.principal), name, Some(Record::Command(record)))?;
        recorded.insert(&one.principal, of_this.saturating_add(1));
    }
    if recorded.is_empty() {
        return Ok(None);
    }
    let Effects { parts, records } = draft.finish()?;
    let bodies = parts.iter().map(effects_only).collect();
    let entry = EntryBody { kind: Kind::Refused, public: None, parts: bodies };
    Ok(Some(Decision { entry, answer: Answer::new(seq, at, Kind::Refused, None, &[]), parts, records }))
}

#[cfg(test)]
mod tests {
    use super::super::entry::seal;
    use super::*;
    use crate::book::Found;
    use crate::types::Hash;

    struct Nothing;

    impl Source for Nothing {
        fn find(&self, _: &Name) -> Found {
            Found::Absent
        }
    }

    fn burnt(brand: &str, n: usize) -> Burnt {
        let longest = Refusal::ALL.iter().max_by_key(|code| code.code().len()).expect("some");
        Burnt {
            principal: brand.parse().expect("a principal"),
            cid: format!("{n:064}").parse().expect("an id"),
            fingerprint: Fingerprint::of(&n.to_be_bytes()),
            code: *longest,
        }
    }

    fn recorded(burnt: &[Burnt]) -> (usize, usize) {
        let draft = Draft::new(&Nothing, crate::types::MAX_INT, Time::default().plus_seconds(9_000));
        let decision = record_refusals(draft, burnt).expect("never refused").expect("some are recorded");
        let ids = decision.records.iter().filter(|(name, _)| matches!(name, Name::Command(..))).count();
        let parts = decision.entry.parts.len();
        let sealed = seal(decision.entry, 5, Hash::default(), Time::default(), &mut || [1; 16]);
        assert!(sealed.is_ok(), "{sealed:?}");
        (ids, parts)
    }

    #[test]
    fn a_flood_of_refusals_still_makes_an_entry() {
        let brand = format!("br_{}", "b".repeat(61));
        let flood: Vec<Burnt> = (0..500).map(|n| burnt(&brand, n)).collect();
        assert_eq!(recorded(&flood), (MOST_IN_PART, 1));
        let mut two = flood.clone();
        two.extend((0..500).map(|n| burnt("br_other", n)));
        assert_eq!(recorded(&two), (2 * MOST_IN_PART, 2));
        let operator: Vec<Burnt> = (0..500).map(|n| burnt("op", n)).collect();
        assert_eq!(recorded(&operator), (MOST_IN_PART, 1));
    }

    #[test]
    fn one_id_is_recorded_once() {
        let same = [burnt("br_a", 1), burnt("br_a", 1), burnt("br_a", 2)];
        assert_eq!(recorded(&same), (2, 1));
    }
}
