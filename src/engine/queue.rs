//! The queue: how commands reach the writer's thread, and answers come back.
//!
//! Owns: what is sent to the writer, the wait for room, the wait for an answer.
//! Promises: every ticket is answered, also when the writer is gone; a full queue turns tasks away after a moment.
//! Refuses to know: what the writer does with it.

use super::writer::{Job, Outcome};
use super::{Failure, fault};
use crate::machine::{Command, Snapshot};
use crate::types::Time;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What the writer's thread is sent.
pub(super) enum Message {
    Do(Box<Job>, oneshot::Sender<Outcome>),
    Snapshot(Snapshot, oneshot::Sender<Outcome>),
    /// Sweep what is due by now: real time goes on when nobody asks for anything.
    Tick,
    /// A commit failed: look why.
    Broken,
    Stop,
}

/// How long a task waits for room in a full queue.
const ROOM: Duration = Duration::from_secs(1);

/// An answer to come.
pub struct Ticket(pub(super) oneshot::Receiver<Outcome>);

impl Ticket {
    /// Waits on this thread.
    pub fn wait(self) -> Outcome {
        self.0.blocking_recv().unwrap_or_else(|_| Err(fault("the engine stopped before it answered")))
    }
}

impl Future for Ticket {
    type Output = Outcome;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Outcome> {
        let answer = std::pin::Pin::new(&mut self.0).poll(cx);
        answer.map(|got| got.unwrap_or_else(|_| Err(fault("the engine stopped before it answered"))))
    }
}

/// A way to the writer that can be cloned and sent to tasks.
#[derive(Clone)]
pub struct Handle(pub(super) mpsc::Sender<Message>);

impl Handle {
    /// Hands a checked command to the writer. If its queue is full it waits, but not for long: then the
    /// ticket says [`Failure::Busy`], and the command was not handed over.
    pub async fn submit(&self, command: Command, at: Option<Time>) -> Ticket {
        let (reply, answer) = oneshot::channel();
        match tokio::time::timeout(ROOM, self.0.reserve()).await {
            Ok(Ok(place)) => place.send(Message::Do(Box::new(Job { command, at }), reply)),
            // The writer is gone: the reply is dropped, and the ticket says so.
            Ok(Err(_)) => {}
            Err(_) => drop(reply.send(Err(Failure::Busy))),
        }
        Ticket(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Request;
    use crate::sign::{SecretKey, Typ, Verifier, sign};
    use crate::types::{Hash, encode};

    /// Well formed; what it asks for plays no part here.
    fn command() -> Command {
        let (key, net) = (SecretKey::from_seed([7; 32]), Hash([1; 32]));
        let claims = serde_json::json!({
            "aud": net, "cid": "c-1", "kind": "payment.void", "args": { "payment": "pay_1.0" }
        });
        let request = Request::of(vec![sign(&key, Typ::Command, &encode(&claims))]);
        Command::read(&request, net, &|_| Some(Verifier::new(&key.public()))).expect("a command")
    }

    fn block_on<T>(task: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(task)
    }

    #[test]
    fn a_full_queue_turns_away_and_hands_nothing_over() {
        let (queue, mut jobs) = mpsc::channel(1);
        let handle = Handle(queue);
        block_on(async {
            let first = handle.submit(command(), None).await;
            let second = handle.submit(command(), None).await;
            assert!(matches!(second.await, Err(Failure::Busy)));
            assert!(matches!(jobs.try_recv(), Ok(Message::Do(..))));
            assert!(jobs.try_recv().is_err(), "what was turned away is not in the queue");
            // Its reply was dropped with the message: an answer, not a wait for ever.
            assert!(matches!(first.await, Err(Failure::Unavailable(_))));
            drop(jobs);
            let gone = handle.submit(command(), None).await;
            assert!(matches!(gone.await, Err(Failure::Unavailable(_))));
        });
    }
}
