//! The pipe: commands on their way to the writer, in order, without waiting for each answer.
//!
//! Owns: the thread that checks signatures, and the queue of what was sent and not yet answered.
//! Promises: commands are submitted in the order in which they were sent, and answers come back in that
//! order; no more than a bounded number is on the way.
//! Refuses to know: what the commands mean.

use crate::engine::{Engine, Failure, Outcome, Ticket};
use crate::machine::Request;
use crate::types::Time;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::Scope;

/// Most commands on the way.
const MOST: usize = 4_096;

/// A command's place in the order of sending, from 1.
pub type Number = u64;

/// See the module. `W` is what the sender wants to know again when the answer comes.
pub struct Pipe<W> {
    to: SyncSender<(Request, Time)>,
    back: Receiver<Result<Ticket, Failure>>,
    waiting: VecDeque<W>,
    sent: Number,
}

impl<W> Pipe<W> {
    /// Begins to work; the thread ends when the pipe is dropped.
    pub fn open<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, engine: &'env Engine) -> Self {
        let (to, requests) = sync_channel::<(Request, Time)>(256);
        let (tickets, back) = channel();
        scope.spawn(move || {
            for (request, at) in requests {
                let ticket = engine.check(&request).map(|command| engine.submit(command, Some(at)));
                if tickets.send(ticket).is_err() {
                    return;
                }
            }
        });
        Self { to, back, waiting: VecDeque::new(), sent: 0 }
    }

    /// Sends a command. Answers that came meanwhile are to be taken with [`Pipe::take`].
    pub fn send(&mut self, request: Request, at: Time, what: W) -> Result<Number, String> {
        self.to.send((request, at)).map_err(|_| "the thread that checks commands is gone".to_owned())?;
        self.waiting.push_back(what);
        self.sent += 1;
        Ok(self.sent)
    }

    /// How many were sent.
    pub fn sent(&self) -> Number {
        self.sent
    }

    /// Whether so many are on the way that one should be taken.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MOST
    }

    /// Whether a command is on the way still.
    pub fn awaits(&self, number: Number) -> bool {
        let answered = self.sent.saturating_sub(u64::try_from(self.waiting.len()).unwrap_or(0));
        number > answered
    }

    /// The next answer, in the order of sending; `None` if nothing is on the way.
    pub fn take(&mut self) -> Option<(Number, W, Outcome)> {
        let number = self.sent.checked_sub(u64::try_from(self.waiting.len()).ok()?)?.checked_add(1)?;
        let what = self.waiting.pop_front()?;
        let gone = || Failure::Unavailable("the thread that checks commands is gone".into());
        let outcome = match self.back.recv() {
            Ok(Ok(ticket)) => ticket.wait(),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(gone()),
        };
        Some((number, what, outcome))
    }
}
