//! Disputes as tests ask for them.
//!
//! Owns: a dispute over a share of a payment, which others are made of; filing it, and its steps by whoever takes them.
//! Promises: requests are made exactly as asked.
//! Refuses to know: what they will be answered.

use super::house::House;
use super::world::{id, money};
use tallyhouse::clearing::{DisputeStep, FileDispute, MoveDispute};
use tallyhouse::types::{DisputeId, PaymentId, Refused};

/// Over so much of a unit's share of a payment.
pub fn over(payment: PaymentId, unit: &str, amount: u64, reason: &str) -> FileDispute {
    FileDispute { payment: Some(payment), unit: Some(id(unit)), ..about(amount, reason) }
}

/// Over so much of what is not said yet.
pub fn about(amount: u64, reason: &str) -> FileDispute {
    FileDispute {
        payment: None,
        unit: None,
        exchange: None,
        fee: None,
        award: None,
        amount: money(amount),
        reason: id(reason),
        points: None,
        evidence: vec![],
    }
}

/// A step that brings no documents.
pub fn step(dispute: DisputeId, step: DisputeStep) -> MoveDispute {
    MoveDispute { dispute, step, evidence: vec![] }
}

impl House {
    /// A dispute is filed by a brand.
    pub fn dispute(&mut self, filer: usize, args: &FileDispute) -> Result<DisputeId, Refused> {
        self.by_brand(filer, "dispute.file", args).map(|answer| DisputeId { seq: answer.seq, part: 0 })
    }

    /// A step by a brand, with its root if it gives in; or else by the analyst, with two approvers if that ends it.
    pub fn argue(&mut self, by: Option<usize>, dispute: DisputeId, next: DisputeStep) -> Result<(), Refused> {
        let (kind, args) = ("dispute.move", step(dispute, next));
        use DisputeStep as T;
        let ruling = matches!(next, T::RuleForFiler | T::RuleForTarget | T::Close);
        let done = match by {
            Some(brand) if matches!(next, T::Accept | T::Concede | T::Withdraw) => {
                self.by_root(brand, kind, &args)
            }
            Some(brand) => self.by_brand(brand, kind, &args),
            None if ruling => self.agreed(kind, &args),
            None => self.ask(kind, &args),
        };
        done.map(drop)
    }
}
