//! What is left of an entry whose evidence was erased.
//!
//! Owns: which parts may be missing, and the proof that the effects are some that an entry of its kind has.
//! Promises: a request is made up that would have had these effects, out of them and of the evidence that is left, and
//! is decided by the very code that decides true ones; what comes out is compared part by part. So an entry without
//! evidence does what one with evidence could have done at that place, and nothing else.
//! Refuses to know: whether it was asked for. That went with the evidence, and is counted.

mod accounts;
mod complaints;
mod guess;
mod left;
mod offers;
mod payments;
mod points;
mod scene;

pub(super) use left::Left;

use super::decide::{Outcome, known, may_sign, principal, record_id, run};
use super::entry::{Effect, PartBody, SupplyLine, bodies, tagged};
use super::http::typ_of;
use super::kind::Kind;
use super::verify::{Broken, Records, Stored};
use crate::book::{Draft, Effects, PartKey, PartOut, Stop};
use crate::log::Slot;
use crate::points::{Lines, Verdict};
use crate::prices::restate;
use guess::{Guess, guesses};
use scene::Scene;

fn wrong<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Wrong(what.into()))
}

/// Takes the recorded effects over, if a request could have had them.
pub(super) fn check_remains(
    entry: Stored,
    kind: Kind,
    left: &Left,
    state: &dyn crate::book::Source,
) -> Result<(Records, Vec<Effect>), Broken> {
    let recorded = effects(entry, left)?;
    let fits = match kind {
        Kind::ConsentOpened | Kind::ExchangeMade => left.statements == 2,
        Kind::PaymentAuthorised | Kind::AccountOpened | Kind::AccountFrozen | Kind::AccountKeyRevoked => {
            left.statements > 0
        }
        _ => left.statements == 1,
    };
    if !fits {
        return wrong("effects were erased");
    }
    let scene =
        Scene { state, kind, seq: entry.envelope.seq, at: entry.envelope.at, left, effects: &recorded };
    let mut why = "nothing that can be asked for has such effects".to_owned();
    for guess in guesses(&scene)? {
        match play(&scene, &guess) {
            Ok((effects, made)) if made == recorded => {
                let done = effects.parts.into_iter().map(Effect::from).collect();
                return Ok((effects.records, done));
            }
            Ok((_, made)) => {
                let other = made.iter().zip(&recorded).position(|(made, recorded)| made != recorded);
                let other = other.unwrap_or_else(|| made.len().min(recorded.len()));
                let at = other.saturating_add(left.statements);
                why = format!("part {at} is not what any such request gives");
            }
            Err(Stop::Need(names)) => return Err(Broken::Need(names)),
            Err(Stop::Refused(no)) => why = format!("it should have been refused: {no}"),
            Err(Stop::Known(seq)) => why = format!("the same took effect before, in entry {seq}"),
            Err(Stop::Bug(what)) => why = what,
        }
    }
    wrong(format!("a {kind} whose evidence was erased: {why}"))
}

/// Evidence stands before effects, and only evidence may be missing.
fn effects(entry: Stored, left: &Left) -> Result<Vec<PartBody>, Broken> {
    let mut effects = vec![];
    for part in entry.parts.iter().skip(left.statements) {
        let Slot::Whole(bytes) = part else { return wrong("effects were erased") };
        for body in bodies(std::iter::once(bytes.as_slice()))? {
            if body.jws.is_some() || body.http.is_some() {
                return wrong("evidence among effects");
            }
            effects.push(body);
        }
    }
    if effects.is_empty() { wrong("effects were erased") } else { Ok(effects) }
}

/// Decides what was made up; its parts are in the form in which an entry records them.
fn play(scene: &Scene, guess: &Guess) -> Result<(Effects, Vec<PartBody>), Stop> {
    let somebody = guess.somebody.as_ref().map(|account| scene.with(account));
    let source: &dyn crate::book::Source = match &somebody {
        Some(somebody) => somebody,
        None => scene.state,
    };
    let mut draft = Draft::new(source, scene.seq, scene.at);
    let left = scene.left;
    let http = left.http.iter().map(|http| (http.kid(), typ_of(scene.kind)));
    may_sign(&mut draft, http.chain(left.jws.iter().map(|jws| (jws.kid(), jws.typ()))))?;
    let mut outcome = Outcome::default();
    let principal = match (&guess.principal, guess.act.command()) {
        (Some(principal), _) => Some(principal.clone()),
        (None, Some(command)) => Some(principal(&mut draft, command)?),
        (None, None) => None,
    };
    if let Some(principal) = &principal {
        known(&mut draft, principal, &guess.asked)?;
    }
    match guess.act.command() {
        Some(command) => run(&mut draft, command, &mut outcome)?,
        None => guess.act.book(&mut draft, &guess.asked, &mut outcome)?,
    }
    restate(&mut draft)?;
    if let Some(principal) = &principal {
        record_id(&mut draft, principal, &guess.asked)?;
    }
    let effects = draft.finish()?;
    let made = recorded_as(&effects.parts, guess.act.lines(), &outcome.verdicts)?;
    Ok((effects, made))
}

fn recorded_as(
    parts: &[PartOut],
    lines: Option<&Lines>,
    verdicts: &[Verdict],
) -> Result<Vec<PartBody>, Stop> {
    let none = Lines::default();
    let mut lines = lines.unwrap_or(&none).iter().zip(verdicts);
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        let done = (!part.done.is_empty()).then(|| part.done.clone());
        let (payment, exchange, cause, cycle) = tagged(part.tag);
        let supply = SupplyLine::of(part);
        let mut body = PartBody { payment, exchange, cause, cycle, supply, done, ..PartBody::default() };
        if let PartKey::Line(_) = part.key {
            let (line, verdict) = lines.next().ok_or_else(|| Stop::Bug("more parts than lines".into()))?;
            body.line = std::str::from_utf8(line).ok().map(str::to_owned);
            body.verdict = Some(*verdict);
        }
        all.push(body);
    }
    Ok(all)
}
