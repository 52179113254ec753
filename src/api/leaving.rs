//! Leaving: whether the file of payment orders that is about to be approved is the one that this node makes.
//!
//! Owns: which commands let a file leave, and for which days such a file may be made.
//! Promises: a hash under which nothing could ever leave does not come into the log over HTTP: once it stood there, the
//! orders would be said to have left, and no file would be handed out. Nothing is decided here: what the stage or the
//! signer's key forbids, the machine refuses.
//! Refuses to know: what stands in a file.

use super::banking::desk;
use super::problem::{Code, Problem};
use super::service::Service;
use crate::banking::{Desk, ForDay, Prepared};
use crate::book::{Name, Record, Way};
use crate::clearing::{InstructionStage, InstructionStep, Move, Stage, instruction_stage, side, stage};
use crate::machine::Body;
use crate::types::{Currency, Date, Hash, InstructionId};
use std::collections::BTreeSet;

/// For how many days on a file may be made, from the usual day and from now.
const DAYS: u32 = 31;

/// What a file is of.
#[derive(Clone, Copy)]
enum Of {
    Cycle(u64, Currency),
    Again(InstructionId),
}

/// A file that a command lets leave.
#[derive(Clone, Copy)]
pub struct Leaving {
    of: Of,
    file: Hash,
}

impl Leaving {
    /// The file that a command lets leave, if it does.
    pub fn by(body: &Body) -> Option<Self> {
        match body {
            Body::MoveCycle(args) if args.step == Move::PayOut => {
                Some(Self { of: Of::Cycle(args.cycle, args.currency?), file: args.file? })
            }
            Body::MoveInstruction(args) if args.step == InstructionStep::Send => {
                Some(Self { of: Of::Again(args.instruction), file: args.file? })
            }
            _ => None,
        }
    }

    /// A problem if the file is not one that this node makes now. It waits for state, and for the vault.
    pub fn check(&self, service: &Service) -> Result<(), Problem> {
        // The file is made of what state shows, which follows the log.
        service.engine().settle()?;
        if !self.may_leave(service)? {
            return Ok(());
        }
        let desk = desk(service);
        let today = service.log_time()?.date(0);
        let usual = self.made(&desk, ForDay { on: None, today })?;
        if usual.sha256 == self.file {
            return Ok(());
        }
        for day in days(usual.on, today) {
            if self.made(&desk, ForDay { on: Some(day), today })?.sha256 == self.file {
                return Ok(());
            }
        }
        Err(Problem::about(Code::FileMismatch, self.advice(service)?))
    }

    /// Whether its turn has come. If not, the machine says why.
    fn may_leave(&self, service: &Service) -> Result<bool, Problem> {
        let cycle = match self.of {
            Of::Cycle(cycle, _) => cycle,
            Of::Again(id) => match service.record(&Name::Instruction(id))?.as_deref() {
                Some(Record::Instruction(one)) => one.cycle,
                _ => return Ok(false),
            },
        };
        let closing = service.record(&Name::Closing(cycle))?;
        let Some(closing) = closing.as_deref().and_then(Record::closing) else { return Ok(false) };
        if closing.due.is_none() || stage(closing).is_final() {
            return Ok(false);
        }
        Ok(match self.of {
            Of::Cycle(_, currency) => {
                let sums = closing.sums.iter().find(|sums| sums.currency == currency);
                sums.is_some_and(|sums| side(closing, sums) == Stage::Funded)
            }
            Of::Again(id) => {
                let record = service.record(&Name::Instruction(id))?;
                let now = service.log_time()?.seconds();
                record.as_deref().and_then(Record::instruction).is_some_and(|one| {
                    one.way == Way::Out
                        && one.replaces.is_some()
                        && instruction_stage(one, closing, now) == InstructionStage::Approved
                })
            }
        })
    }

    fn made(&self, desk: &Desk<'_>, day: ForDay) -> Result<Prepared, Problem> {
        Ok(match self.of {
            Of::Cycle(cycle, currency) => desk.pay_outs(cycle, currency, day)?,
            Of::Again(id) => desk.again(id, day)?,
        })
    }

    /// Where the file is looked at. Its hash is not said here, or people would sign what they are told.
    fn advice(&self, service: &Service) -> Result<String, Problem> {
        let (path, verb) = match self.of {
            Of::Cycle(cycle, currency) => (
                format!("/v1/cycles/{cycle}/orders/{currency}"),
                format!("bank orders {cycle} --currency {currency}"),
            ),
            Of::Again(id) => {
                let record = service.record(&Name::Instruction(id))?;
                let one = record.as_deref().and_then(Record::instruction);
                let (cycle, currency) = one
                    .map(|one| (one.cycle, one.currency))
                    .ok_or_else(|| Problem::about(Code::NotFound, "no such instruction"))?;
                (
                    format!("/v1/cycles/{cycle}/orders/{currency}?instruction={id}"),
                    format!("bank orders {cycle} --currency {currency} --instruction {id}"),
                )
            }
        };
        Ok(format!(
            "file: {} is not the SHA-256 of the file that would leave: look at it with GET {path} (or `tallyhouse \
             {verb}`), and approve the sha256 that it says. For another day of the bank's than the usual one: at most \
             {DAYS} days from that or from now, with `on`",
            self.file
        ))
    }
}

/// For which days a file may be made beside the usual one.
fn days(usual: Date, today: Date) -> BTreeSet<Date> {
    let from = |day: Date| (0..=DAYS).map(move |n| day.plus_days(n));
    from(usual).chain(from(today)).filter(|day| *day != usual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_near_the_usual_one_or_today() {
        let day = |text: &str| text.parse::<Date>().expect("a date");
        let all = days(day("2026-01-10"), day("2026-05-01"));
        for near in ["2026-01-11", "2026-02-10", "2026-05-01", "2026-06-01"] {
            assert!(all.contains(&day(near)), "{near}");
        }
        for far in ["2026-01-09", "2026-01-10", "2026-02-11", "2026-04-30", "2026-06-02"] {
            assert!(!all.contains(&day(far)), "{far}");
        }
    }
}
