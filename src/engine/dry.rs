//! Dry runs: what a command would come to now, decided as the writer would and then forgotten.
//!
//! Owns: the scratch memory that such a decision is made on.
//! Promises: nothing is written, no id is spent, and the writer has no work of it. The answer is the one
//! that the command would get if nothing else came before it.
//! Refuses to know: who asks. What is told to whom follows from whom each part concerns.

use super::Failure;
use super::erase::may_erase;
use super::memory::{Memory, load_at};
use super::run::Engine;
use super::stored::answer_of;
use super::writer::{LATE, TURN};
use crate::book::{Draft, Found, Name, Record, Source, Stop};
use crate::clock;
use crate::log::Envelope;
use crate::machine::{self, Answer, Command, Concerned, Decision, Effect, concerned_by};
use crate::types::{AccountId, Hash, Refusal, Refused, Time};
use std::sync::Arc;

/// What a command would come to.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The answer that it would get.
    pub answer: Answer,
    /// It took effect before: this is its answer again, and nothing more would happen.
    pub repeated: bool,
    /// What would be recorded, part by part; evidence stands before these and is not repeated.
    pub parts: Vec<DryPart>,
}

/// One part of what would be recorded.
#[derive(Clone, Debug)]
pub struct DryPart {
    /// Its effects.
    pub effect: Effect,
    /// Whom it would concern. In a public entry every part is everybody's.
    pub concerned: Vec<Concerned>,
}

/// Most accounts counted that would be swept before the command.
const SWEPT: usize = 50_000;

fn fault(e: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(e.to_string())
}

/// Where the log stands when the scratch is filled.
struct Scene {
    memory: Memory,
    /// The last entry that the memory shows.
    seq: u64,
    at: Time,
}

impl Engine {
    /// Decides a command on everything that is committed now, and forgets it. `at` is its time in a network
    /// that is driven; in others there is none. Waits, on this thread, until state has caught up.
    pub fn dry_run(&self, command: &Command, at: Option<Time>) -> Result<DryRun, Failure> {
        self.settle_state()?;
        let mut names: Vec<Name> = vec![Name::Network];
        names.extend(command.jws.iter().map(|jws| Name::Key(jws.kid())));
        // The keys first: who signed decides under which name a command's id is looked up.
        let scene = self.scene(names.clone())?;
        names.extend(machine::hints(&scene.memory, command).names);
        loop {
            // All of it again for each thing that was lacking: so that all of it is of one moment.
            let mut scene = self.scene(names.clone())?;
            match self.decide_dry(&mut scene, command, at) {
                Ok(run) => return run,
                Err(Stop::Need(more)) => names.extend(more),
                Err(Stop::Known(seq)) => {
                    let answer = answer_of(&*self.read, seq)?;
                    return Ok(DryRun { answer, repeated: true, parts: vec![] });
                }
                Err(Stop::Refused(no)) => return Err(Failure::Refused(no)),
                Err(Stop::Bug(what)) => return Err(fault(format!("a defect, nothing was changed: {what}"))),
            }
        }
    }

    fn scene(&self, names: Vec<Name>) -> Result<Scene, Failure> {
        let mut memory = Memory::new(usize::MAX, None);
        let cursor = load_at(&mut memory, &*self.read, names)?;
        let seq = cursor.ok_or_else(|| fault("state is empty"))?.seq;
        let last = self.read.read_envelopes(seq, 1).map_err(fault)?;
        let last = last.first().ok_or_else(|| fault(format!("entry {seq} is missing from the log")))?;
        let at = Envelope::decode(&last.bytes).map_err(fault)?.at;
        Ok(Scene { memory, seq, at })
    }

    fn decide_dry(
        &self,
        scene: &mut Scene,
        command: &Command,
        at: Option<Time>,
    ) -> Result<Result<DryRun, Failure>, Stop> {
        let time = time_of(scene, at)?;
        let due = match self.read.due(time.micros(), SWEPT).map_err(fault) {
            Ok(due) => due.rows.len(),
            Err(failure) => return Ok(Err(failure)),
        };
        seal_due(scene, time)?;
        for _ in 0..due.div_ceil(TURN) {
            scene.seq += 1;
            scene.at = time.max(scene.at.next());
        }
        sweep(scene, time)?;
        let (seq, at) = (scene.seq + 1, time.max(scene.at.next()));
        let decision = machine::decide(Draft::new(&scene.memory, seq, at), command)?;
        if let Err(no) = may_erase(&command.body, |seq| self.read.read_parts(seq).map_err(fault)) {
            return Ok(Err(no));
        }
        Ok(told(decision, seq, at).map_err(Failure::Refused))
    }
}

/// The time that a command is decided at, as the writer takes it.
fn time_of(scene: &Scene, at: Option<Time>) -> Result<Time, Stop> {
    let driven = match scene.memory.find(&Name::Network) {
        Found::Known(record) => record.network().is_some_and(|network| network.driven),
        Found::Absent | Found::NotLoaded => false,
    };
    match (driven, at) {
        (true, Some(at)) if at.plus_seconds(LATE) < scene.at => {
            let about = format!("the log is at {}", scene.at);
            Err(Refused::about(Refusal::TimeBackwards, about).into())
        }
        (true, at) => Ok(at.unwrap_or(scene.at)),
        (false, Some(_)) => Err(Refused::from(Refusal::NotDriven).into()),
        (false, None) => Ok(clock::now()),
    }
}

/// Seals the open cycle where the schedule says so by then: the writer does that before anything else.
fn seal_due(scene: &mut Scene, time: Time) -> Result<(), Stop> {
    let due = machine::seal_due(Draft::new(&scene.memory, scene.seq + 1, scene.at))?;
    if due.is_some_and(|due| due <= time) {
        scene.seq += 1;
        scene.at = time.max(scene.at.next());
        let records = machine::seal_by_schedule(Draft::new(&scene.memory, scene.seq, scene.at))?.records;
        scene.memory.changed(scene.seq, &Arc::new(records));
    }
    Ok(())
}

/// Books what the writer's ticks would, on the accounts that are at hand.
fn sweep(scene: &mut Scene, time: Time) -> Result<(), Stop> {
    let due = |record: &Arc<Record>| record.due().is_some_and(|due| due <= time);
    let accounts: Vec<AccountId> = scene.memory.accounts(due);
    if accounts.is_empty() {
        return Ok(());
    }
    let draft = Draft::new(&scene.memory, scene.seq, scene.at);
    let records = machine::sweep(draft, &accounts, None)?.records;
    scene.memory.changed(scene.seq, &Arc::new(records));
    Ok(())
}

/// A decision as it is told. One that does not fit into an entry is refused, as the writer would.
fn told(decision: Decision, seq: u64, at: Time) -> Result<DryRun, Refused> {
    let Decision { entry, answer, parts, .. } = decision;
    machine::seal(entry, seq, Hash::default(), at, &mut || [0; 16])
        .map_err(|e| Refused::about(Refusal::TooLarge, e))?;
    let part = |part: crate::book::PartOut| {
        let effect = Effect::from(part);
        DryPart { concerned: concerned_by(&effect.done), effect }
    };
    Ok(DryRun { answer, repeated: false, parts: parts.into_iter().map(part).collect() })
}
