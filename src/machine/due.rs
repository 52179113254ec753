//! Entries that nobody asks for: a writer's term, the sweep of due work, and the seal of a cycle by the schedule.

use super::decide::Decision;
use super::entry::{Answer, EntryBody, PubBody, effects_only};
use super::kind::Kind;
use crate::book::{Draft, Effects, Name, PartKey, Record, Stop, Term, Tick};
use crate::clearing;
use crate::prices::restate;
use crate::types::{AccountId, Time, encode};

/// A writer begins: the next term.
pub fn term(mut draft: Draft) -> Result<Decision, Stop> {
    let (seq, at) = (draft.seq, draft.at);
    let before = draft.get(&Name::Term)?;
    let last = match before.as_deref() {
        Some(Record::Term(term)) => term.term,
        _ => 0,
    };
    let term = Term { term: last.checked_add(1).ok_or_else(|| Stop::Bug("terms overflow".into()))? };
    draft.put(PartKey::Public, Name::Term, Some(Record::Term(term)))?;
    let Effects { parts, records } = draft.finish()?;
    let done = parts.first().map(|part| part.done.clone()).unwrap_or_default();
    let entry = EntryBody {
        kind: Kind::Term,
        public: Some(encode(&PubBody { done, ..PubBody::default() })),
        parts: vec![],
    };
    Ok(Decision { entry, answer: Answer::new(seq, at, Kind::Term, None, &[]), parts, records })
}

/// Sweeps accounts whose work is due by `at`, in the order given (deadline, then account). With
/// `through`, nothing due up to there is left afterwards.
pub fn sweep(mut draft: Draft, accounts: &[AccountId], through: Option<Time>) -> Result<Decision, Stop> {
    let (seq, at) = (draft.seq, draft.at);
    for account in accounts {
        // Reading books what is due.
        draft.get(&Name::Account(*account))?;
    }
    if let Some(through) = through {
        // What falls due after this entry's own instant is not booked in it.
        if through > at {
            return Err(Stop::Bug(format!("swept through {through} at {at}")));
        }
        let before = draft.get(&Name::Tick)?;
        let further = !matches!(before.as_deref(), Some(Record::Tick(tick)) if tick.through >= through);
        if further {
            draft.put(PartKey::Public, Name::Tick, Some(Record::Tick(Tick { through })))?;
        }
    }
    restate(&mut draft)?;
    own(draft, Kind::Tick, seq, at)
}

/// When the schedule seals the open cycle, if it does.
pub fn seal_due(mut draft: Draft) -> Result<Option<Time>, Stop> {
    clearing::seal_due(&mut draft)
}

/// Seals the open cycle, because the schedule says so: it is a defect to ask before it is time.
pub fn seal_by_schedule(mut draft: Draft) -> Result<Decision, Stop> {
    let (seq, at) = (draft.seq, draft.at);
    clearing::seal_by_schedule(&mut draft)?;
    own(draft, Kind::CycleDue, seq, at)
}

/// The entry of effects that nobody asked for.
fn own(draft: Draft, kind: Kind, seq: u64, at: Time) -> Result<Decision, Stop> {
    let Effects { parts, records } = draft.finish()?;
    let bodies = parts.iter().map(effects_only).collect();
    let entry = EntryBody { kind, public: None, parts: bodies };
    Ok(Decision { entry, answer: Answer::new(seq, at, kind, None, &[]), parts, records })
}

#[cfg(test)]
mod tests {
    use super::super::entry::seal;
    use super::*;
    use crate::book::{Account, Bucket, Found, Hold, Lot, Origin, Source};
    use crate::types::{Date, Hash, MAX_INT, PaymentId, Points};
    use std::sync::Arc;

    struct One(Account);

    impl Source for One {
        fn find(&self, name: &Name) -> Found {
            match name {
                Name::Account(_) => Found::Known(Arc::new(Record::Account(self.0.clone()))),
                _ => Found::Absent,
            }
        }
    }

    fn day(text: &str, plus: u32) -> Date {
        text.parse::<Date>().expect("a day").plus_days(plus)
    }

    fn lot(until: Date, from: Option<Date>) -> Lot {
        let month = "9999-12".parse().expect("a month");
        let points = Points::new(900_719_925_474).expect("fits");
        Lot(Bucket(Some(until), from, month, Origin::Reinstated), points)
    }

    #[test]
    fn the_fullest_account_still_makes_an_entry() {
        // 64 lots that wait for their day, and 64 holds of other lots that all lapse at once.
        let mut account = Account::new("ABCDEFGHIJKLMNOP".parse().expect("a unit"), 0, None);
        let now = day("2030-01-01", 0).starts(0);
        account.lots = (0..64).map(|n| lot(day("9000-01-01", n), Some(day("2029-01-01", n)))).collect();
        account.holds = (0..64u16)
            .map(|n| Hold {
                of: PaymentId { seq: MAX_INT - 64 + u64::from(n), part: 65_535 }.into(),
                until: now,
                lots: (0..64).map(|k| lot(day("9100-01-01", u32::from(n) * 64 + k), None)).collect(),
            })
            .collect();
        let one = One(account);
        let id = AccountId(u128::MAX);
        let decided = sweep(Draft::new(&one, 5, now), &[id], Some(now)).expect("a sweep");
        let size = decided.entry.parts.iter().map(Vec::len).max();
        let sealed = seal(decided.entry, 5, Hash::default(), now, &mut || [1; 16]);
        assert!(sealed.is_ok(), "the largest part has {size:?} bytes");
        // The same, found by a command that also holds most of what is there.
        for share in [1, 32, 64] {
            let mut draft = Draft::new(&one, 5, now);
            let points = Points::new(900_719_925_474 * share).expect("fits");
            let payment = PaymentId { seq: MAX_INT, part: 0 };
            draft.hold(id, payment, now.plus_seconds(9), points).expect("enough");
            let Effects { parts, .. } = draft.finish().expect("sums");
            let bodies: Vec<Vec<u8>> = parts.iter().map(effects_only).collect();
            let size = bodies.iter().map(Vec::len).max();
            let entry = EntryBody { kind: Kind::Tick, public: None, parts: bodies };
            let sealed = seal(entry, 5, Hash::default(), now, &mut || [1; 16]);
            assert!(sealed.is_ok(), "holding {share} lots makes a part of {size:?} bytes");
        }
    }

    #[test]
    fn nobody_sweeps_through_the_future_or_back() {
        let one = One(Account::new("KINO".parse().expect("a unit"), 0, None));
        let at = |seconds| Time::default().plus_seconds(seconds);
        assert!(matches!(sweep(Draft::new(&one, 5, at(9)), &[], Some(at(10))), Err(Stop::Bug(_))));
        assert!(sweep(Draft::new(&one, 5, at(9)), &[], Some(at(9))).is_ok());
    }
}
