//! Clearing: who owes whom how much, and the fewest payments that settle it.
//!
//! Owns: netting (gross, bilateral, multilateral), instructions in the bank's minor unit, set-off with a
//! certificate; what a bank's statement says of the instructions; business days and the bank's identifiers; the stages
//! of cycles and instructions, and each step from one to the next: objections, approvals, payments, shortfall, funding; disputes and complaints;
//! reports of all that.
//! Promises: nothing here changes what anybody is owed in all; every result can be checked in one pass by
//! whoever has the obligations.
//! Refuses to know: where obligations come from, and how money is moved.

mod apart;
mod assign;
mod bank;
mod calendar;
mod chargeback;
mod complaint;
mod cover;
mod cycle;
mod details;
mod dispute;
mod documents;
mod due;
mod flow;
mod funding;
mod holding;
mod import;
mod instruct;
mod instruction;
mod late;
mod matching;
mod netting;
mod notified;
mod objection;
mod people;
mod period;
mod reconcile;
mod report;
mod schedule;
mod setoff;
mod shortfall;
mod stage;
mod statement;
mod subject;
mod taken;
mod write_off;
mod wrong;

pub use crate::book::Way;
pub use crate::book::{LinePlace, WithdrawalPlace};
pub use apart::{
    PairBalance, SetNetting, SetOffCycle, SetOffSide, set_netting, set_off_cycle, set_off_digest,
    set_off_lines, set_off_next,
};
pub use assign::{AssignLine, OperatorLine, assign_line};
pub use bank::{Bic, CreditorId, Iban, Reference};
pub use calendar::{business_days_after, is_business_day, on_or_after};
pub use complaint::{
    COMPLAINTS, ComplaintStep, FileComplaint, MoveComplaint, complaint_step, file_complaint, move_complaint,
    move_complaint_as,
};
pub use cover::{
    CallMargin, FilledAtIssuance, MOST_RATIO, MoveCover, SetReserve, call_margin, move_cover, set_reserve,
};
pub use cycle::{
    ComputeCycle, GRACE, Move, MoveCycle, SealCycle, compute_cycle, digest, move_cycle, seal_cycle,
};
pub use details::{
    BankDetails, ConfirmDetails, Counting, DebitMandate, DebitScheme, SaltedDetails, SetDetails,
    confirm_details, confirmed_by, paid_by, set_details,
};
pub use dispute::{
    DisputeStep, FileDispute, MoveDispute, REASONS, Reason, file_dispute, is_overdue, move_dispute,
};
pub use documents::{CycleDocument, cycle_documents, figures_table};
pub use due::{ClaimDue, ConfirmDue, claim_due, confirm_due};
pub use funding::{PairCap, SetFunding, set_funding};
pub use holding::{HOLDING, Holding, holdings};
pub use import::{
    AcceptStatement, ImportStatement, RejectStatement, accept_statement, import_statement, reject_statement,
};
pub use instruct::{Instructed, Remaining, instruct, remaining};
pub use instruction::{MoveInstruction, move_instruction};
pub use matching::{
    Accepted, Account, Difference, Exception, Last, Match, Matching, Open, Why, match_statement,
};
pub use netting::{Debt, Figure, Figures, Matrix, Nets};
pub use notified::NOTIFIED_WAITS;
pub use objection::{AnswerObjection, FileObjection, answer_objection, file_objection};
pub use period::{ClosePeriod, close_period};
pub use reconcile::{Differs, Missing, Reconciled, Takings, TillDay, reconcile};
pub use report::{Aged, BOOKS, Bears, Books, Exposed, Hole, aging, exposures, what_if};
pub use schedule::{SetSchedule, scheduled, seal_by_schedule, seal_due, set_schedule};
pub use setoff::{Level, SetOff, SetOffLine, check_set_off, set_off};
pub use stage::{InstructionStage, InstructionStep, Stage, Step, instruction_stage, side, stage};
pub use statement::{Balance, Line, LineKey, MOST_LINES, Statement, StatementKind};
pub use wrong::Unsound;
