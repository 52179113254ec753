//! The simulator: random commands against the real code and against a simple model, answer by answer.
//!
//! Owns: the run of one seed, what is compared, and how a failure tells its way back.
//! Promises: a seed decides everything; what it printed replays exactly.

#![allow(unreachable_pub)]

pub mod ask;
pub mod claw_back;
pub mod compare;
pub mod generate;
pub mod govern;
pub mod haggle;
pub mod issue;
pub mod model;
pub mod offer;
pub mod pay;
pub mod pure;
pub mod purse;
pub mod real;
pub mod rules;
pub mod trade;

use super::common::world::{World, beginning};
use ask::{Ask, What};
use model::Model;
use tallyhouse::machine::{Answer, Request};
use tallyhouse::types::{Refusal, Refused, Time};

/// How much is run: SIM_SEEDS seeds from 0, or SIM_SEED alone, SIM_STEPS commands each.
pub struct Plan {
    pub seeds: Vec<u64>,
    pub steps: u64,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

impl Plan {
    pub fn from_environment(seeds: u64, steps: u64) -> Self {
        let seeds = match number("SIM_SEED") {
            Some(seed) => vec![seed],
            None => (0..number("SIM_SEEDS").unwrap_or(seeds)).collect(),
        };
        Self { seeds, steps: number("SIM_STEPS").unwrap_or(steps) }
    }
}

/// Counts of what a run met, to see that the generator meets everything.
#[derive(Default)]
pub struct Tally {
    pub answers: std::collections::BTreeMap<String, u64>,
}

impl Tally {
    pub fn note(&mut self, what: &What, told: &Result<Answer, Refusal>) {
        let key = match told {
            Ok(answer) => {
                for other in &answer.others {
                    let verdict = serde_json::to_string(&other.verdict).expect("JSON");
                    *self.answers.entry(format!("line {verdict}")).or_default() += 1;
                }
                format!("ok {}", what.kind())
            }
            Err(code) => format!("no {code}"),
        };
        *self.answers.entry(key).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (key, n) in &other.answers {
            *self.answers.entry(key.clone()).or_default() += n;
        }
    }

    pub fn succeeded(&self) -> u64 {
        self.answers.iter().filter(|(key, _)| key.starts_with("ok ")).map(|(_, n)| n).sum()
    }

    pub fn all(&self) -> u64 {
        self.answers.iter().filter(|(key, _)| !key.starts_with("line ")).map(|(_, n)| n).sum()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = self.succeeded() * 100 / self.all().max(1);
        writeln!(f, "{} commands, {percent}% went through", self.all())?;
        for (key, n) in &self.answers {
            writeln!(f, "  {n:>9} {key}")?;
        }
        Ok(())
    }
}

/// Says what was expected and what came, if they differ.
pub fn agree(
    step: u64,
    ask: &Ask,
    expected: &Result<Answer, Refusal>,
    got: &Result<Answer, Refused>,
) -> Result<(), String> {
    let same = match (expected, got) {
        (Ok(expected), Ok(got)) => expected == got,
        (Err(expected), Err(got)) => *expected == got.code,
        _ => false,
    };
    if same {
        return Ok(());
    }
    Err(format!("step {step}: {:?}\n  the model says {expected:?}\n  the answer was {got:?}", ask.what))
}

/// A founded network's model: founding is asked for like everything else.
pub fn founded(
    world: &World,
    sweeps: bool,
    mut submit: impl FnMut(&Request, Time) -> Result<Answer, Refused>,
) -> Model {
    let mut model = Model::new(&world.genesis, beginning(), sweeps);
    for ask in founding(world) {
        let expected = model.judge(&ask, beginning());
        model.flush();
        let got = submit(&ask.request, beginning());
        agree(0, &ask, &expected, &got).unwrap_or_else(|what| panic!("founding: {what}"));
    }
    model
}

/// The founding requests, read back into what they ask for.
fn founding(world: &World) -> Vec<Ask> {
    use tallyhouse::machine::{Body, Command};
    let read = |request: Request| {
        let command = Command::read_unsigned(&request, world.net).expect("founding is well formed");
        let what = match command.body {
            Body::RegisterParticipant(args) => What::Participant(args),
            Body::RegisterBrand(args) => What::Brand(args),
            Body::Certify(cert) => What::Certify(cert),
            Body::SetBudget(args) => What::Budget(args),
            Body::DefineUnit(args) => What::Unit(args),
            Body::PublishPrices(args) => What::Prices(args),
            Body::PublishAcceptance(args) => What::Acceptance(args),
            other => panic!("founding asks for {other:?}"),
        };
        let cid = command.asked.cid.map(|cid| cid.to_string());
        Ask::new(request, command.asked.kid, command.asked.approvals, cid.as_deref(), what)
    };
    world.founding().into_iter().chain(world.approving()).map(read).collect()
}
