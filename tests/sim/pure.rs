//! The first driver: the pure core alone, in memory.

use super::super::common::node::{How, PureNode, Replay};
use super::super::common::world::World;
use super::super::common::world::beginning;
use super::generate::{Cast, Generator};
use super::model::Model;
use super::{Tally, agree, compare, founded};
use tallyhouse::types::Time;

/// Steps between two comparisons of everything.
const LOOK: u64 = 100;

/// Runs a seed. Every fifth seed signs and verifies for real; every fourth sweeps nothing, so that all
/// due work is booked where it is met.
pub fn run(seed: u64, steps: u64) -> Result<Tally, String> {
    let world = if seed.is_multiple_of(5) { World::new(seed) } else { World::unsigned(seed) };
    let mut node = PureNode::new(&world);
    node.ticking = seed % 4 != 3;
    let mut model = founded(&world, node.ticking, |request, at| node.submit(request, at));
    let cast = Cast::new(&world);
    let mut generator = Generator::new(&world, &cast, beginning());
    let mut tally = Tally::default();
    let mut replays = vec![Replay::new(How::Apply), Replay::new(How::Check(world.signing))];
    if seed % 3 == 1 {
        replays.push(Replay::new(How::Erased));
    }
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
            look(&model, &node, &mut replays).map_err(|what| format!("after step {step}: {what}"))?;
        }
    }
    for replay in replays {
        if replay.state.bytes() != node.state.bytes() {
            return Err("the same records give other bytes".into());
        }
    }
    Ok(tally)
}

/// The model, the node and the log agree on everything.
fn look(model: &Model, node: &PureNode, replays: &mut [Replay]) -> Result<(), String> {
    // A refusal leaves no entry, but the model has settled at its instant.
    let at = node.chain.last_at().expect("not empty").max(Time::from_micros(model.now).expect("in range"));
    let records: Vec<_> =
        node.state.0.iter().map(|(name, record)| (name.clone(), (**record).clone())).collect();
    if model.seq != node.chain.next_seq() {
        return Err(format!("{} entries, the model says {}", node.chain.next_seq(), model.seq));
    }
    for replay in replays {
        replay.follow(&node.entries)?;
        replay.same(&node.state)?;
    }
    compare::same(model, &records, at)
}
