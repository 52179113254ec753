//! Away: what the writer does when the way to its log is lost.
//!
//! Owns: opening the log anew, and what is said meanwhile.
//! Promises: whoever waited for the commit that was lost is told that its outcome is not known, and nobody is told
//! anything else; all memory is dropped; what the log has after all is passed on like any commit; a term begins
//! before anything is decided again. Who asks meanwhile is turned away at once.
//! Refuses to know: why the way was lost.

use super::desk::Desk;
use super::queue::Message;
use super::run::Engine;
use super::writer::Reopened;
use super::{Failure, fault};
use crate::types::Time;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// How long a log may be away before this node gives up, and whoever watches over it starts it again.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// From one try to the next.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// How long a reason counts before it is told, and how often the same one is.
const SETTLED: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(60);
/// A log that was opened so often, and took nothing but the beginning of a term each time, will not get better.
const OFTEN: u32 = 5;

impl Engine {
    /// Whether the writer is without its log at the moment: nothing can be written, and lists may be unreadable.
    pub fn is_away(&self) -> bool {
        self.shared.away.load(Ordering::Acquire)
    }
}

impl Desk {
    /// Opens the log anew, if that may help; else the failure is the engine's.
    pub(super) fn come_back(
        &mut self,
        failure: Failure,
        jobs: &mut Receiver<Message>,
        clock: &mut impl FnMut() -> Result<Time, String>,
    ) -> Result<(), Failure> {
        let done = self.writer.turns();
        let (often, then) = self.reopened;
        self.reopened = (if done == then { often + 1 } else { 1 }, done);
        let hopeless = self.reopened.0 > OFTEN || self.shared().is_stopping();
        if hopeless || !self.writer.comes_back() || !matches!(failure, Failure::Unavailable(_)) {
            return Err(failure);
        }
        // No other node could write either: as a reader this one answers still, and says what is wrong.
        if let (false, Some(why)) = (self.writer.is_alone(), self.writer.in_the_way()) {
            return Err(why);
        }
        eprintln!("warning: {failure}; the log is opened anew");
        self.shared().away.store(true, Ordering::Release);
        let back = self.open_again(jobs, clock);
        self.shared().away.store(false, Ordering::Release);
        back
    }

    fn open_again(
        &mut self,
        jobs: &mut Receiver<Message>,
        clock: &mut impl FnMut() -> Result<Time, String>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut said: Option<(Instant, String)> = None;
        loop {
            turn_away(jobs);
            // A clock that cannot be trusted is no reason to try again.
            let now = clock().map_err(fault)?;
            match self.reopen(now) {
                Ok(()) => {
                    eprintln!("warning: the log is open again after {:.1} s", begun.elapsed().as_secs_f64());
                    return Ok(());
                }
                Err(Tried::Later(why)) if begun.elapsed() < PATIENCE && !self.shared().is_stopping() => {
                    let (now, why) = (Instant::now(), why.to_string());
                    let due = said.as_ref().map_or(begun + SETTLED, |(at, before)| {
                        *at + if *before == why { AGAIN } else { SETTLED }
                    });
                    if now >= due {
                        eprintln!("alarm: nothing can be written: {why}");
                        said = Some((now, why));
                    }
                }
                Err(Tried::Later(failure) | Tried::Never(failure)) => return Err(failure),
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn reopen(&mut self, now: Time) -> Result<(), Tried> {
        // Memory is dropped, so state has to show all that was passed on; its follower comes back by itself.
        if let Some(tip) = self.writer.tip() {
            let shown = self.shared().followed.first().map_or(0, |size| size.load(Ordering::Acquire));
            if shown <= tip.seq {
                return Err(match self.shared().failure() {
                    Some(failure) => Tried::Never(failure),
                    None => Tried::Later(fault("state is behind")),
                });
            }
        }
        match self.writer.reopen().map_err(Tried::Later)? {
            Reopened::At(commits) => self.told.pass_on(&commits, self.writer.checkpoint()),
            Reopened::Never(failure) => return Err(Tried::Never(failure)),
        }
        let now = if self.writer.is_driven() { Time::default() } else { now };
        match self.writer.begin(now) {
            Ok(commits) => self.told.pass_on(&commits, self.writer.checkpoint()),
            Err(failure @ Failure::Deposed) => return Err(Tried::Never(failure)),
            Err(failure) => return Err(Tried::Later(failure)),
        }
        Ok(())
    }
}

/// Why the log is not open.
enum Tried {
    /// It may be later.
    Later(Failure),
    /// It will not be.
    Never(Failure),
}

/// Nothing was decided for whoever asks now.
fn turn_away(jobs: &mut Receiver<Message>) {
    while let Ok(message) = jobs.try_recv() {
        match message {
            Message::Do(_, reply) => drop(reply.send(Err(Failure::Busy))),
            Message::Snapshot(_, reply) => drop(reply.send(Err(Failure::Busy))),
            // Ticks come again; that the engine stops stands beside the queue too.
            Message::Tick | Message::Broken | Message::Stop => {}
        }
    }
}
