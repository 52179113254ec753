//! Plain bank details: whether this node's vault has what is about to count.
//!
//! Owns: which commands make bank details count, and what is told where the vault lacks them.
//! Promises: over HTTP no details are confirmed, and no cycle is approved, of which no file of payment orders could be made:
//! once a cycle is approved, and its payers have paid, it can neither be paid out nor given up. What the machine refuses
//! anyway, it refuses.
//! Refuses to know: what stands in them.

use super::clearing::{State, unread};
use super::problem::{Code, Problem};
use super::service::Service;
use crate::book::{Draft, Name, Record};
use crate::clearing::{ConfirmDetails, Counting, Move, Stage, confirmed_by, paid_by, stage};
use crate::machine::Body;

/// A command that makes bank details count.
#[derive(Clone)]
pub enum Plain {
    /// Of the version that it confirms.
    Confirmed(ConfirmDetails),
    /// Of all that the cycle pays.
    Cycle(u64),
}

impl Plain {
    /// What a command makes count, if it does.
    pub fn of(body: &Body) -> Option<Self> {
        match body {
            Body::ConfirmDetails(args) => Some(Self::Confirmed(args.clone())),
            Body::MoveCycle(args) if args.step == Move::Approve => Some(Self::Cycle(args.cycle)),
            _ => None,
        }
    }

    /// A problem if the vault lacks any of it. It waits for state, and for the vault.
    pub fn check(&self, service: &Service) -> Result<(), Problem> {
        service.engine().settle()?;
        for one in self.counting(service)? {
            let kept = service.vault.details(one.commitment).map_err(Problem::fault)?;
            if kept.is_none() {
                let Counting { participant, currency, version, .. } = one;
                return Err(Problem::about(
                    Code::NotReady,
                    format!(
                        "the vault does not have version {version} of {participant}'s bank details in {currency}, so no \
                         file of payments could be made: whoever set them sends them in full, with their salt, to POST \
                         /v1/bank-details:keep (or `tallyhouse bank keep`) first"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn counting(&self, service: &Service) -> Result<Vec<Counting>, Problem> {
        let state = State { service };
        let mut draft = Draft::new(&state, 0, service.log_time()?);
        match self {
            Self::Confirmed(args) => {
                Ok(confirmed_by(&mut draft, args).map_err(unread)?.into_iter().collect())
            }
            Self::Cycle(cycle) => {
                let closing = service.record(&Name::Closing(*cycle))?;
                let closing = closing.as_deref().and_then(Record::closing);
                if closing.is_none_or(|closing| stage(closing) != Stage::Review) {
                    return Ok(vec![]);
                }
                paid_by(&mut draft, *cycle).map_err(unread)
            }
        }
    }
}
