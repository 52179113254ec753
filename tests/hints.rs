//! What the writer looks up before it decides, for many commands at once: for trade, nothing that only one command
//! touches is left to be looked up on its own.

mod common;

use common::node::{PureNode, State};
use common::tour::Tour;
use std::collections::HashSet;
use tallyhouse::book::{Draft, Found, Name, Principal, Source, Stop};
use tallyhouse::machine::{Body, Command, ROUNDS, Request, decide, hints};
use tallyhouse::sign::Verifier;
use tallyhouse::types::Time;

/// State of which only what was asked for is at hand.
struct Away<'a> {
    state: &'a State,
    there: HashSet<Name>,
}

impl Source for Away<'_> {
    fn find(&self, name: &Name) -> Found {
        if self.there.contains(name) { self.state.find(name) } else { Found::NotLoaded }
    }
}

/// What a decision asks for after all rounds of hints.
fn lacking(node: &PureNode, command: &Command, at: Time) -> Vec<Name> {
    let mut away = Away { state: &node.state, there: HashSet::new() };
    let mut rounds = 0;
    loop {
        let said = hints(&away, command);
        let (names, more) = (said.names, said.more);
        away.there.extend(names);
        rounds += 1;
        if !more || rounds > ROUNDS {
            break;
        }
    }
    let mut lacking = vec![];
    loop {
        let draft = Draft::new(&away, node.chain.next_seq(), node.instant(at));
        match decide(draft, command) {
            Err(Stop::Need(names)) => {
                lacking.extend(names.iter().cloned());
                away.there.extend(names);
            }
            _ => return lacking,
        }
    }
}

/// Whether many commands touch it, so that it is at hand.
fn is_shared(state: &State, name: &Name) -> bool {
    if let (Name::Key(_), Some(key)) = (name, state.get(name).and_then(|record| record.key())) {
        return !matches!(key.owner, Principal::Account(_));
    }
    !matches!(
        name,
        Name::Account(_)
            | Name::Command(..)
            | Name::Consent(_)
            | Name::Key(_)
            | Name::Offer(_)
            | Name::Payment(_)
            | Name::Share(..)
            | Name::Shown(_)
            | Name::UsedConsent(..)
            | Name::UsedRef(..)
            | Name::UsedToken(..)
    )
}

fn is_trade(command: &Command) -> bool {
    matches!(
        command.body,
        Body::Issue(_)
            | Body::Batch(_)
            | Body::OpenConsent(..)
            | Body::Authorise(..)
            | Body::Capture(_)
            | Body::Void(_)
            | Body::Refund(_)
            | Body::MakeOffer(_)
            | Body::CancelOffer(_)
            | Body::Exchange(_)
    )
}

#[test]
fn trade_names_what_it_touches_before_it_is_decided() {
    let tour = Tour::take();
    let asked: Vec<(Request, Time)> = tour.node.asked.clone();
    let mut node = PureNode::founded(&tour.world);
    let mut trade = 0;
    for (request, at) in asked.into_iter().skip(node.asked.len()) {
        let known = |kid| {
            node.state.get(&Name::Key(kid)).and_then(|record| record.key()).map(|key| Verifier::new(&key.key))
        };
        if let Ok(command) = Command::read(&request, node.net, &known)
            && is_trade(&command)
        {
            trade += 1;
            let own: Vec<Name> = lacking(&node, &command, at)
                .into_iter()
                .filter(|name| !is_shared(&node.state, name))
                .collect();
            assert!(own.is_empty(), "{:?} asks for {own:?} on its own", command.body.kind());
        }
        // Refusals are a part of the tour.
        let _ = node.submit(&request, at);
    }
    assert!(trade > 20, "{trade} commands of trade");
}
