//! The first driver: the pure core alone, in memory.

use super::super::common::node::{PureNode, replay_by_applying, replay_by_checking};
use super::super::common::world::World;
use super::generate::{Cast, Generator};
use super::model::Model;
use tallyhouse::types::Time;
use super::{Tally, agree, compare, founded};
use super::super::common::world::beginning;

/// Steps between two comparisons of everything.
const LOOK: u64 = 250;

/// Runs a seed. Every fifth seed signs and verifies for real; every fourth sweeps nothing, so that all
/// due work is booked where it is met.
pub fn run(seed: u64, steps: u64) -> Result<Tally, String> {
    let world = if seed % 5 == 0 { World::new(seed) } else { World::unsigned(seed) };
    let mut node = PureNode::new(&world);
    node.ticking = seed % 4 != 3;
    let mut model = founded(&world, node.ticking, |request, at| node.submit(request, at));
    let cast = Cast::new(&world);
    let mut generator = Generator::new(&world, &cast, beginning());
    let mut tally = Tally::default();
    for step in 1..=steps {
        let (ask, time) = generator.next(&model);
        let expected = model.judge(&ask, time);
        model.flush();
        let got = node.submit(&ask.request, time);
        agree(step, &ask, &expected, &got)?;
        tally.note(&ask.what, &expected);
        if let Ok(answer) = expected
            && answer.kind == "payment.authorised"
            && let Some(id) = answer.payment
            && generator.payments.last().is_none_or(|last| *last < id)
        {
            generator.payments.push(id);
        }
        if step % LOOK == 0 || step == steps {
            look(&mut model, &node).map_err(|what| format!("after step {step}: {what}"))?;
        }
    }
    replays(&node, world.signing)?;
    Ok(tally)
}

fn look(model: &mut Model, node: &PureNode) -> Result<(), String> {
    // A refusal leaves no entry, but the model has settled at its instant.
    let at = node.chain.last_at().expect("not empty").max(Time::from_micros(model.now).expect("in range"));
    let records: Vec<_> = node.state.0.iter().map(|(name, record)| (name.clone(), (**record).clone())).collect();
    if model.seq != node.chain.next_seq() {
        return Err(format!("{} entries, the model says {}", node.chain.next_seq(), model.seq));
    }
    compare::same(model, &records, at)
}

/// The log alone gives the same state, taken over or decided again.
fn replays(node: &PureNode, signatures: bool) -> Result<(), String> {
    let state = node.state.bytes();
    for (how, again) in [
        ("taking effects over", replay_by_applying(&node.entries).bytes()),
        ("deciding again", replay_by_checking(&node.entries, signatures).0.bytes()),
    ] {
        if again != state {
            let differs = |(name, bytes): &(&String, &Vec<u8>)| again.get(*name) != Some(*bytes);
            let one = state.iter().find(differs).map(|(name, bytes)| (name, String::from_utf8_lossy(bytes)));
            let extra = again.keys().find(|name| !state.contains_key(*name));
            return Err(format!("{how} gives another state: state has {one:?}, replay has also {extra:?}"));
        }
    }
    Ok(())
}
