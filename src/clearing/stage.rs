//! Stages: where a cycle or an instruction stands, and which step may follow.
//!
//! Owns: the derivation of a stage from facts, and the one table of stages and steps.
//! Promises: what is not in the table is refused; no step leaves `settled` or `voided`, nor `confirmed` but by a
//! return that the bank books.
//! Refuses to know: who may ask, and what a step needs beside the stage.

use crate::book::{Closing, Fate, Instruction, Sums, Way};
use crate::types::{Refusal, Refused, word};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$line:meta])* $variant:ident $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$line])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

words! {
    /// Where a cycle stands.
    Stage {
        /// Obligations fall into it.
        Open "open"
        /// Its obligations are fixed.
        Sealed "sealed"
        /// Nets and instructions are there.
        Computed "computed"
        /// Participants may object.
        Review "review"
        /// Two people approved it.
        Approved "approved"
        /// Payers are asked to pay.
        PayIn "pay_in"
        /// Somebody did not pay in time.
        Shortfall "shortfall"
        /// All that is to be paid out is there.
        Funded "funded"
        /// Payment orders left.
        PayOut "pay_out"
        /// All is paid.
        Settled "settled"
        /// Given up: its obligations went on to another cycle.
        Voided "voided"
    }
}

words! {
    /// What is done to a cycle.
    Step {
        /// Fixes its obligations and opens the next one.
        Seal "seal"
        /// Takes what stands apart out of it.
        SetOff "set_off"
        /// Computes nets and instructions.
        Compute "compute"
        /// Opens the review.
        Review "review"
        /// A participant objects.
        Object "object"
        /// An objection is answered.
        Answer "answer"
        /// Sends it back, to be computed again.
        Return "return"
        /// Approves it.
        Approve "approve"
        /// Asks payers to pay.
        PayIn "pay_in"
        /// A bank statement confirms a payment.
        Confirm "confirm"
        /// Finds that not everybody paid.
        Shortfall "shortfall"
        /// Covers what is missing.
        Cover "cover"
        /// Lets payment orders leave.
        PayOut "pay_out"
        /// Ends it.
        Settle "settle"
        /// Gives it up.
        Void "void"
    }
}

words! {
    /// Where an instruction stands.
    InstructionStage {
        /// Computed.
        Draft "draft"
        /// Its cycle is approved.
        Approved "approved"
        /// The notice or the order left.
        Sent "sent"
        /// The bank has it.
        Acknowledged "acknowledged"
        /// Part of it is confirmed.
        PartlyPaid "partly_paid"
        /// All of it is confirmed.
        Confirmed "confirmed"
        /// Not paid in time.
        Overdue "overdue"
        /// The bank did not take it.
        Rejected "rejected"
        /// It came back.
        Returned "returned"
        /// It will not be paid: others bore it.
        Defaulted "defaulted"
        /// Its version of the cycle does not count any more.
        Withdrawn "withdrawn"
    }
}

words! {
    /// What is done to an instruction.
    InstructionStep {
        /// The bank says that it has it (pain.002).
        Acknowledge "acknowledge"
        /// The bank says that it does not take it (pain.002).
        Reject "reject"
        /// Issues it again, under a new id.
        Reissue "reissue"
        /// Lets the order of an instruction that was issued again leave, in a file of its own.
        Send "send"
        /// Writes a small difference off.
        WriteOff "write_off"
    }
}

/// That a step cannot be taken where something stands, and which can.
pub(super) fn misplaced<S: Serialize>(
    id: &impl fmt::Display,
    stage: &impl Serialize,
    step: &S,
    may: impl Iterator<Item = S>,
) -> String {
    let may: Vec<String> = may.map(|step| word(&step)).collect();
    let may = if may.is_empty() { "it has ended".into() } else { format!("now: {}", may.join(", ")) };
    format!("{id} is {}: no {}; {may}", word(stage), word(step))
}

/// What receivers get in all.
pub(super) fn paid_out_in_full(sums: &Sums) -> u64 {
    sums.moved.get().saturating_sub(sums.lost.get())
}

/// What is there to be paid out.
pub(super) fn collected(sums: &Sums) -> u64 {
    sums.paid_in.get().saturating_add(sums.drawn.get()).saturating_add(sums.written_off.get())
}

/// Where a cycle stands in one currency, once payers were asked to pay: what is missing in one holds no other up.
pub fn side(closing: &Closing, sums: &Sums) -> Stage {
    let funded = collected(sums) >= paid_out_in_full(sums);
    match (funded, sums.file, closing.shortfall) {
        (true, Some(_), _) => Stage::PayOut,
        (true, None, _) => Stage::Funded,
        (false, _, Some(_)) => Stage::Shortfall,
        (false, _, None) => Stage::PayIn,
    }
}

/// Where a cycle stands; once payers were asked to pay, where it stands in the currency that is furthest behind.
pub fn stage(closing: &Closing) -> Stage {
    let computed = closing.computed.is_some() && closing.returned.is_none();
    if closing.voided.is_some() {
        Stage::Voided
    } else if closing.settled.is_some() {
        Stage::Settled
    } else if closing.due.is_some() {
        closing.sums.iter().map(|sums| side(closing, sums)).min().unwrap_or(Stage::Funded)
    } else if closing.approved.is_some() {
        Stage::Approved
    } else if computed {
        if closing.review.is_some() { Stage::Review } else { Stage::Computed }
    } else if closing.sealed.is_some() {
        Stage::Sealed
    } else {
        Stage::Open
    }
}

impl Stage {
    /// Whether a step may follow.
    pub fn allows(self, step: Step) -> bool {
        use Stage::{Approved, Computed, Funded, Open, PayIn, PayOut, Review, Sealed, Shortfall};
        match step {
            Step::Seal => self == Open,
            Step::SetOff | Step::Compute => self == Sealed,
            Step::Review => self == Computed,
            Step::Object => self == Review,
            // Whoever objected to a version is answered, also when it was sent back meanwhile.
            Step::Answer => matches!(self, Sealed | Review),
            Step::Return => matches!(self, Computed | Review),
            Step::Approve => self == Review,
            Step::PayIn => self == Approved,
            Step::Confirm => matches!(self, PayIn | Shortfall | Funded | PayOut),
            Step::Shortfall => self == PayIn,
            Step::Cover => self == Shortfall,
            // A file for each currency.
            Step::PayOut => matches!(self, Funded | PayOut),
            // A cycle in which nobody is paid has no file.
            Step::Settle => matches!(self, Funded | PayOut),
            Step::Void => matches!(self, Sealed | Computed | Review | Approved),
        }
    }

    /// Whether nothing can happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Voided)
    }
}

/// Refuses a step that a cycle's stage does not allow; a step of one currency, if it is allowed in none.
pub(super) fn allowed(cycle: u64, closing: &Closing, step: Step) -> Result<(), Refused> {
    let at = stage(closing);
    let asked = closing.due.is_some() && !at.is_final();
    let may = |step: Step| {
        let of_side = asked && matches!(step, Step::Shortfall | Step::Cover | Step::PayOut);
        at.allows(step) || (of_side && closing.sums.iter().any(|sums| side(closing, sums).allows(step)))
    };
    if may(step) {
        return Ok(());
    }
    let all = Step::ALL.iter().copied().filter(|step| may(*step));
    let about = misplaced(&format_args!("cycle {cycle}"), &at, &step, all);
    Err(Refused::about(Refusal::CycleStage, about))
}

/// Where an instruction stands, at an instant in Unix seconds; `closing` is its cycle.
pub fn instruction_stage(one: &Instruction, closing: &Closing, now: u64) -> InstructionStage {
    let done = one.confirmed.get().saturating_add(one.written_off.get());
    let file = closing.sums.iter().find(|sums| sums.currency == one.currency).and_then(|sums| sums.file);
    let sent = match one.way {
        Way::In => closing.due.is_some(),
        Way::Out if one.replaces.is_some() => one.file.is_some(),
        Way::Out => file.is_some(),
    };
    let late = one.way == Way::In && closing.due.is_some_and(|due| due <= now);
    match one.fate {
        Some(Fate::Rejected) => InstructionStage::Rejected,
        Some(Fate::Returned) => InstructionStage::Returned,
        Some(Fate::Defaulted) => InstructionStage::Defaulted,
        None if closing.voided.is_some() || closing.version != one.version => InstructionStage::Withdrawn,
        None if closing.approved.is_none() => InstructionStage::Draft,
        None if !sent => InstructionStage::Approved,
        None if done >= one.amount.get() => InstructionStage::Confirmed,
        None if late => InstructionStage::Overdue,
        None if done > 0 => InstructionStage::PartlyPaid,
        None if one.acknowledged => InstructionStage::Acknowledged,
        None => InstructionStage::Sent,
    }
}

impl InstructionStage {
    /// Whether a step may follow.
    pub fn allows(self, step: InstructionStep) -> bool {
        use InstructionStage::{
            Acknowledged, Approved, Confirmed, Overdue, PartlyPaid, Rejected, Returned, Sent,
        };
        match step {
            InstructionStep::Acknowledge => self == Sent,
            InstructionStep::Reject => matches!(self, Sent | Acknowledged | Overdue),
            InstructionStep::Reissue => matches!(self, Rejected | Returned),
            InstructionStep::Send => self == Approved,
            // What was paid in full may have been too much.
            InstructionStep::WriteOff => matches!(self, PartlyPaid | Overdue | Confirmed),
        }
    }

    /// Whether a line of a statement may confirm more of it.
    pub fn takes(self) -> bool {
        matches!(self, Self::Sent | Self::Acknowledged | Self::PartlyPaid | Self::Overdue)
    }

    /// Whether a line of a statement may say that it came back.
    pub fn comes_back(self) -> bool {
        // A bank may return a payment in parts.
        matches!(self, Self::PartlyPaid | Self::Overdue | Self::Confirmed | Self::Returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Computed, Mark};
    use crate::types::{Hash, Money, Time};

    /// A row for each stage: the steps that it allows. All others are forbidden.
    const CYCLES: &str = "
        open       seal
        sealed     set_off compute answer void
        computed   review return void
        review     object answer return approve void
        approved   pay_in void
        pay_in     confirm shortfall
        shortfall  confirm cover
        funded     confirm pay_out settle
        pay_out    confirm pay_out settle
        settled
        voided
    ";

    const INSTRUCTIONS: &str = "
        draft
        approved      send
        sent          acknowledge reject
        acknowledged  reject
        partly_paid   write_off
        confirmed     write_off
        overdue       reject write_off
        rejected      reissue
        returned      reissue
        defaulted
        withdrawn
    ";

    fn rows(table: &str) -> Vec<(&str, Vec<&str>)> {
        table
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.collect()))
            })
            .collect()
    }

    #[test]
    fn every_pair_of_stage_and_step() {
        let table = rows(CYCLES);
        assert_eq!(table.len(), Stage::ALL.len());
        for ((name, steps), stage) in table.into_iter().zip(Stage::ALL) {
            assert_eq!(name, stage.code());
            for step in Step::ALL {
                assert_eq!(stage.allows(*step), steps.contains(&step.code()), "{stage}, {step}");
            }
            assert_eq!(stage.is_final(), steps.is_empty(), "{stage}");
        }
    }

    #[test]
    fn every_pair_of_an_instructions_stage_and_step() {
        let table = rows(INSTRUCTIONS);
        assert_eq!(table.len(), InstructionStage::ALL.len());
        for ((name, steps), stage) in table.into_iter().zip(InstructionStage::ALL) {
            assert_eq!(name, stage.code());
            for step in InstructionStep::ALL {
                assert_eq!(stage.allows(*step), steps.contains(&step.code()), "{stage}, {step}");
            }
        }
    }

    fn mark() -> Mark {
        Mark { seq: 1, at: Time::default() }
    }

    fn sums(moved: u64) -> Sums {
        let zero = Money::ZERO;
        Sums {
            currency: "EUR".parse().expect("a currency"),
            payers: 1,
            receivers: 1,
            moved: Money::new(moved).expect("fits"),
            paid_in: zero,
            drawn: zero,
            written_off: zero,
            lost: zero,
            paid_out: zero,
            surplus: zero,
            file: None,
        }
    }

    #[test]
    fn a_refused_step_says_which_may_be_taken() {
        let mut closing = Closing::opened(1);
        closing.sealed = Some(mark());
        let said = |closing: &Closing, step| allowed(3, closing, step).expect_err("refused").about;
        let sealed = "cycle 3 is sealed: no approve; now: set_off, compute, answer, void";
        assert_eq!(said(&closing, Step::Approve), sealed);
        closing.voided = Some(mark());
        assert_eq!(said(&closing, Step::Seal), "cycle 3 is voided: no seal; it has ended");
        // What may be done in one currency while another is behind is named, too.
        closing.voided = None;
        (closing.approved, closing.due) = (Some(mark()), Some(20));
        closing.computed = Some(Computed { mark: mark(), digest: Hash::default(), after: None });
        closing.sums = vec![sums(100), Sums { paid_in: Money::new(100).expect("fits"), ..sums(100) }];
        let both = "cycle 3 is pay_in: no settle; now: confirm, shortfall, pay_out";
        assert_eq!(said(&closing, Step::Settle), both);
    }

    #[test]
    fn a_stage_follows_from_facts() {
        let mut closing = Closing::opened(1);
        let mut seen = vec![stage(&closing)];
        let mut step = |closing: &Closing| seen.push(stage(closing));
        closing.sealed = Some(mark());
        step(&closing);
        closing.computed = Some(Computed { mark: mark(), digest: Hash::default(), after: None });
        closing.sums = vec![sums(100)];
        step(&closing);
        closing.review = Some(9);
        step(&closing);
        closing.returned = "wrong".parse().ok();
        assert_eq!(stage(&closing), Stage::Sealed);
        closing.returned = None;
        closing.approved = Some(mark());
        step(&closing);
        closing.due = Some(20);
        step(&closing);
        closing.shortfall = Some(mark());
        step(&closing);
        closing.sums[0].paid_in = Money::new(60).expect("fits");
        closing.sums[0].drawn = Money::new(30).expect("fits");
        assert_eq!(stage(&closing), Stage::Shortfall);
        closing.sums[0].lost = Money::new(10).expect("fits");
        step(&closing);
        closing.sums[0].file = Some(Hash::default());
        step(&closing);
        closing.settled = Some(mark());
        step(&closing);
        assert_eq!(seen, Stage::ALL[..10]);
        closing.settled = None;
        closing.voided = Some(mark());
        assert_eq!(stage(&closing), Stage::Voided);
    }
}
