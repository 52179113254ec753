//! The simulator's entry: random commands against a simple model. See `sim/mod.rs`.

mod common;

use common::node::{PureNode, replay_by_applying, replay_by_checking};
use common::world::{World, beginning};

#[test]
fn the_founded_world_replays() {
    let world = World::new(1);
    let node = PureNode::founded(&world);
    assert_eq!(replay_by_applying(&node.entries).bytes(), node.state.bytes(), "by applying");
    let (state, signatures) = replay_by_checking(&node.entries, true);
    assert_eq!(state.bytes(), node.state.bytes(), "by checking");
    assert!(signatures > 60);
    assert!(node.chain.last_at() > Some(beginning()));
}
