//! A minimum-cost flow over unit costs, in integers.
//!
//! Owns: the network (arcs with capacities), the solver, the potentials that prove its answer.
//! Promises: the flow ships every supply at the least sum of arc flows; the same arcs give the same flow.
//! Refuses to know: debts.
//!
//! The method is primal-dual (Ford and Fulkerson 1962; Ahuja, Magnanti, Orlin, *Network Flows*, 9.8): shortest
//! paths under reduced costs give potentials, then a maximum flow (Dinic) over arcs of reduced cost 0. The
//! distance from source to sink grows with every phase and is at most the number of nodes, since every arc
//! costs 1: so there are at most as many phases as nodes, and in practice a handful.

use super::wrong::Unsound;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A directed arc that may carry up to `room` more. Arc 2k and arc 2k + 1 are each other's reverse.
#[derive(Clone, Copy)]
struct Arc {
    to: usize,
    room: u64,
    cost: i64,
}

/// A network with one source and one sink beside the nodes 0 to n − 1.
pub(super) struct Network {
    arcs: Vec<Arc>,
    leaving: Vec<Vec<usize>>,
    potential: Vec<i64>,
    source: usize,
    sink: usize,
}

const NO_NODE: Unsound = Unsound::Bug("no such node");
const NO_ARC: Unsound = Unsound::Bug("no such arc");
const FAR: i64 = i64::MAX;

impl Network {
    /// A network of `nodes` nodes without arcs.
    pub(super) fn new(nodes: usize) -> Self {
        let all = nodes.saturating_add(2);
        Self {
            arcs: vec![],
            leaving: vec![vec![]; all],
            potential: vec![0; all],
            source: nodes,
            sink: nodes.saturating_add(1),
        }
    }

    /// Adds an arc of cost 1. Returns its number, for [`Self::flow`].
    pub(super) fn arc(&mut self, from: usize, to: usize, capacity: u64) -> Result<usize, Unsound> {
        self.push(from, to, capacity, 1)
    }

    /// `amount` has to leave `node` if it is above zero, has to arrive there if it is below.
    pub(super) fn supply(&mut self, node: usize, amount: i64) -> Result<(), Unsound> {
        let room = amount.unsigned_abs();
        let (from, to) = if amount > 0 { (self.source, node) } else { (node, self.sink) };
        self.push(from, to, room, 0).map(|_| ())
    }

    fn push(&mut self, from: usize, to: usize, room: u64, cost: i64) -> Result<usize, Unsound> {
        let number = self.arcs.len();
        self.leaving.get_mut(from).ok_or(NO_NODE)?.push(number);
        self.leaving.get_mut(to).ok_or(NO_NODE)?.push(number.saturating_add(1));
        self.arcs.push(Arc { to, room, cost });
        self.arcs.push(Arc { to: from, room: 0, cost: cost.checked_neg().ok_or(NO_ARC)? });
        Ok(number)
    }

    /// What flows over an arc: what its reverse could take back.
    pub(super) fn flow(&self, arc: usize) -> Result<u64, Unsound> {
        self.get(arc ^ 1).map(|back| back.room)
    }

    /// The node's potential, once solved: for an arc with room left it rises by at most 1 along the arc, for
    /// one that carries anything by at least 1.
    pub(super) fn potential(&self, node: usize) -> Result<i64, Unsound> {
        self.potential.get(node).copied().ok_or(NO_NODE)
    }

    fn get(&self, arc: usize) -> Result<Arc, Unsound> {
        self.arcs.get(arc).copied().ok_or(NO_ARC)
    }

    fn leaving(&self, node: usize) -> Result<&[usize], Unsound> {
        self.leaving.get(node).map(Vec::as_slice).ok_or(NO_NODE)
    }

    /// cost + potential(from) − potential(to): never below zero where there is room.
    fn reduced(&self, from: usize, arc: Arc) -> Result<i64, Unsound> {
        let up = arc.cost.checked_add(self.potential(from)?);
        up.and_then(|up| up.checked_sub(self.potential(arc.to).ok()?)).ok_or(Unsound::Bug("a potential"))
    }

    /// Ships as much as the supplies allow, at the least cost. Returns how much.
    pub(super) fn solve(&mut self) -> Result<u128, Unsound> {
        let mut shipped = 0u128;
        while self.lift()? {
            loop {
                let ranks = self.ranks()?;
                let more = self.block(ranks)?;
                if more == 0 {
                    break;
                }
                shipped = shipped.checked_add(more).ok_or(Unsound::Bug("128 bits"))?;
            }
        }
        Ok(shipped)
    }

    /// Shortest distances from the source under reduced costs (Dijkstra) raise the potentials, none by more
    /// than the sink's. Whether the sink can be reached.
    fn lift(&mut self) -> Result<bool, Unsound> {
        let mut distance = vec![FAR; self.leaving.len()];
        let mut queue = BinaryHeap::from([Reverse((0i64, self.source))]);
        *distance.get_mut(self.source).ok_or(NO_NODE)? = 0;
        while let Some(Reverse((far, node))) = queue.pop() {
            if distance.get(node).is_some_and(|best| far > *best) {
                continue;
            }
            for number in self.leaving(node)? {
                let arc = self.get(*number)?;
                if arc.room == 0 {
                    continue;
                }
                let reduced = self.reduced(node, arc)?;
                if reduced < 0 {
                    return Err(Unsound::Bug("a reduced cost below zero"));
                }
                let next = far.checked_add(reduced).ok_or(Unsound::Bug("a distance"))?;
                let best = distance.get_mut(arc.to).ok_or(NO_NODE)?;
                if next < *best {
                    *best = next;
                    queue.push(Reverse((next, arc.to)));
                }
            }
        }
        let most = distance.get(self.sink).copied().ok_or(NO_NODE)?;
        if most == FAR {
            return Ok(false);
        }
        for (potential, distance) in self.potential.iter_mut().zip(distance) {
            *potential = potential.checked_add(distance.min(most)).ok_or(Unsound::Bug("a potential"))?;
        }
        Ok(true)
    }

    fn is_open(&self, from: usize, arc: Arc) -> Result<bool, Unsound> {
        Ok(arc.room > 0 && self.reduced(from, arc)? == 0)
    }

    /// The number of open arcs from the source to each node; `None` where there is no way.
    fn ranks(&self) -> Result<Vec<Option<usize>>, Unsound> {
        let mut ranks = vec![None; self.leaving.len()];
        *ranks.get_mut(self.source).ok_or(NO_NODE)? = Some(0usize);
        let mut queue = VecDeque::from([(self.source, 0usize)]);
        while let Some((node, rank)) = queue.pop_front() {
            for number in self.leaving(node)? {
                let arc = self.get(*number)?;
                let open = self.is_open(node, arc)?;
                let slot = ranks.get_mut(arc.to).ok_or(NO_NODE)?;
                if open && slot.is_none() {
                    let next = rank.saturating_add(1);
                    *slot = Some(next);
                    queue.push_back((arc.to, next));
                }
            }
        }
        Ok(ranks)
    }

    /// A blocking flow over open arcs that go up one rank: afterwards no path of that length is left.
    fn block(&mut self, mut ranks: Vec<Option<usize>>) -> Result<u128, Unsound> {
        let mut shipped = 0u128;
        // For each node the first of its arcs that was not yet found to be a dead end.
        let mut next = vec![0usize; self.leaving.len()];
        let mut path: Vec<usize> = vec![];
        let mut node = self.source;
        loop {
            if node == self.sink {
                shipped = shipped.checked_add(u128::from(self.augment(&path)?)).ok_or(NO_ARC)?;
                path.clear();
                node = self.source;
            }
            let place = next.get_mut(node).ok_or(NO_NODE)?;
            if let Some(number) = self.leaving(node)?.get(*place).copied() {
                let arc = self.get(number)?;
                let rank = |node: usize| ranks.get(node).copied().flatten();
                let up = rank(arc.to).is_some_and(|to| rank(node).and_then(|r| r.checked_add(1)) == Some(to));
                if up && self.is_open(node, arc)? {
                    path.push(number);
                    node = arc.to;
                } else {
                    *place = place.saturating_add(1);
                }
            } else if let Some(number) = path.pop() {
                *ranks.get_mut(node).ok_or(NO_NODE)? = None;
                node = self.get(number ^ 1)?.to;
            } else {
                return Ok(shipped);
            }
        }
    }

    /// Ships what the narrowest arc of a path takes.
    fn augment(&mut self, path: &[usize]) -> Result<u64, Unsound> {
        let mut least = u64::MAX;
        for number in path {
            least = least.min(self.get(*number)?.room);
        }
        for number in path {
            let forward = self.arcs.get_mut(*number).ok_or(NO_ARC)?;
            forward.room = forward.room.checked_sub(least).ok_or(NO_ARC)?;
            let back = self.arcs.get_mut(number ^ 1).ok_or(NO_ARC)?;
            back.room = back.room.checked_add(least).ok_or(NO_ARC)?;
        }
        Ok(least)
    }
}
