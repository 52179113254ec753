//! The writer's desk: its thread.
//!
//! Owns: the turns. Each takes what waits, has it decided, and hands it to the appender, who answers.
//! Promises: what was accepted before the engine stops is answered; a lone command waits for no other thread.
//! Refuses to know: what is decided, and what becomes of a commit.

use super::appender::{Appender, Told, Work, publish_checkpoint};
use super::pace::Pace;
use super::queue::Message;
use super::run::Shared;
use super::writer::{Job, Outcome, Writer};
use super::{Failure, erase, fault};
use crate::machine::{Answer, Body, Command, Snapshot};
use crate::types::Time;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// See the module.
pub(super) struct Desk {
    pub(super) writer: Writer,
    pub(super) told: Told,
    pub(super) appender: Appender,
    pub(super) pace: Pace,
    /// How often the log was opened anew since something was committed, and what was committed by then.
    pub(super) reopened: (u32, u64),
}

type Waiting = (Job, oneshot::Sender<Outcome>);
type Made = (Snapshot, oneshot::Sender<Outcome>);

impl Desk {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.told.shared
    }

    pub(super) fn run(
        mut self,
        mut jobs: mpsc::Receiver<Message>,
        mut clock: impl FnMut() -> Result<Time, String>,
    ) {
        let mut published = Instant::now();
        let mut stopping = false;
        while !stopping {
            let Some(first) = jobs.blocking_recv() else { break };
            let mut batch = vec![];
            let mut snapshot = None;
            let mut tick = false;
            let mut lines = 0;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Do(job, reply) => {
                        lines += lines_of(&job.command);
                        batch.push((*job, reply));
                    }
                    Message::Snapshot(made, reply) => snapshot = Some((made, reply)),
                    Message::Tick => tick = true,
                    Message::Broken => {}
                    Message::Stop => stopping = true,
                }
                let full = batch.len() >= self.pace.max_batch || lines >= self.pace.max_lines;
                let go_on = !full && snapshot.is_none() && !stopping;
                next = if go_on { jobs.try_recv().ok() } else { None };
            }
            if stopping {
                // What was accepted before the stop is answered.
                jobs.close();
                while let Some(message) = jobs.blocking_recv() {
                    if let Message::Do(job, reply) = message {
                        batch.push((*job, reply));
                    }
                }
            }
            let turn = self.turn(batch, snapshot, tick, &mut clock);
            let turn = if stopping { turn.and_then(|()| self.writer.settle()) } else { turn };
            let turn = turn.or_else(|failure| {
                // What is on its way is answered first, whatever comes of it.
                let _ = self.writer.settle();
                self.come_back(failure, &mut jobs, &mut clock)
            });
            if let Err(failure) = turn {
                self.shared().fail(failure);
                return;
            }
            if published.elapsed() >= self.pace.publish || stopping {
                publish_checkpoint(self.shared(), &self.pace);
                published = Instant::now();
            }
        }
    }

    fn turn(
        &mut self,
        batch: Vec<Waiting>,
        snapshot: Option<Made>,
        tick: bool,
        clock: &mut impl FnMut() -> Result<Time, String>,
    ) -> Result<(), Failure> {
        let (jobs, replies): (Vec<Job>, Vec<_>) = batch.into_iter().unzip();
        let mut waiting = Some(replies);
        let done = self.take(&jobs, &mut waiting, snapshot, tick, clock);
        if let Err(failure) = &done {
            // Whether it was written is not known, or it was not decided: nobody is told anything but that.
            for reply in waiting.into_iter().flatten() {
                let _ = reply.send(Err(failure.clone()));
            }
        }
        done
    }

    /// Takes the replies of whom somebody else is to answer.
    fn take(
        &mut self,
        jobs: &[Job],
        waiting: &mut Option<Vec<oneshot::Sender<Outcome>>>,
        snapshot: Option<Made>,
        tick: bool,
        clock: &mut impl FnMut() -> Result<Time, String>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.writer.broken() {
            return Err(failure);
        }
        let now = clock().map_err(fault)?;
        if tick {
            self.writer.sweep(now)?;
            self.finish(vec![], vec![])?;
            self.writer.erase_again();
            self.count_unerased();
        }
        let state = self.shared().followed.first().map_or(0, |size| size.load(Ordering::Acquire));
        if let Some(seq) = state.checked_sub(1) {
            self.writer.projected(seq);
        }
        let most = self.pace.pinned_rows;
        let room = |shared: &Shared| shared.waiting.iter().all(|rows| rows.load(Ordering::Acquire) <= most);
        if !room(self.shared())
            && let Err(failure) = self.shared().wait(self.pace.patience, room)
        {
            for reply in waiting.take().into_iter().flatten() {
                let _ = reply.send(Err(failure.clone()));
            }
            return self.shared().failure().map_or(Ok(()), Err);
        }
        let outcomes = self.writer.decide_all(jobs, now)?;
        self.finish(outcomes, waiting.take().unwrap_or_default())?;
        if let Some((made, reply)) = snapshot {
            self.writer.settle()?;
            let commits = self.writer.snapshot(made, now)?;
            let answer =
                commits.last().map(|c| Answer::new(c.event.seq, c.event.at, c.event.kind, None, &[]));
            self.told.pass_on(&commits, self.writer.checkpoint());
            let _ = reply.send(answer.ok_or_else(|| fault("no snapshot was written")));
        }
        Ok(())
    }

    /// Has what was decided committed, and everybody told.
    fn finish(
        &mut self,
        outcomes: Vec<Outcome>,
        replies: Vec<oneshot::Sender<Outcome>>,
    ) -> Result<(), Failure> {
        let decided = self.writer.draw_up();
        if decided.is_none() && replies.is_empty() {
            return Ok(());
        }
        let unconfirmed = decided.is_none();
        let commits = decided.as_ref().map(|decided| decided.commits.as_slice()).unwrap_or_default();
        let erasing = Some(commits).filter(|commits| !erase::said_by(commits).is_empty()).map(<[_]>::to_vec);
        let lone = replies.len() < 2 && self.appender.is_idle();
        let work = Work { decided, outcomes, replies };
        if unconfirmed && let Err(failure) = self.writer.confirm() {
            work.fail(&failure);
            return Err(failure);
        }
        if !lone && erasing.is_none() {
            self.appender.hand_over(work);
            return Ok(());
        }
        let mut work = work;
        // Who asked for an erasure is answered when that was tried.
        let waiting =
            erasing.as_ref().map(|_| (std::mem::take(&mut work.outcomes), std::mem::take(&mut work.replies)));
        let done = self.appender.here(work);
        if let Some((outcomes, replies)) = waiting {
            if done.is_ok() {
                self.writer.erase_said(&erasing.unwrap_or_default());
                self.count_unerased();
            }
            for (outcome, reply) in outcomes.into_iter().zip(replies) {
                let _ = reply.send(done.clone().and(outcome));
            }
        }
        done
    }

    fn count_unerased(&self) {
        self.shared().unerased.store(self.writer.erasing.len(), Ordering::Relaxed);
    }
}

fn lines_of(command: &Command) -> usize {
    match &command.body {
        Body::Batch(batch) => batch.lines.len(),
        _ => 1,
    }
}
