//! Entries that nobody asks for: a writer's term, and the sweep of due work.

use super::decide::Decision;
use super::entry::{Answer, EntryBody, PubBody, effects_only};
use super::kind::Kind;
use crate::book::{Draft, Effects, Name, PartKey, Record, Stop, Term, Tick};
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
    let entry =
        EntryBody { kind: Kind::Term, public: Some(encode(&PubBody { jws: vec![], done })), parts: vec![] };
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
    let Effects { parts, records } = draft.finish()?;
    let bodies = parts.iter().map(|part| effects_only(&part.done)).collect();
    let entry = EntryBody { kind: Kind::Tick, public: None, parts: bodies };
    Ok(Decision { entry, answer: Answer::new(seq, at, Kind::Tick, None, &[]), parts, records })
}
