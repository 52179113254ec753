//! Clearing: who owes whom how much, and the fewest payments that settle it.
//!
//! Owns: netting (gross, bilateral, multilateral), instructions in the bank's minor unit, set-off with a
//! certificate; what a bank's statement says of the instructions; business days and the bank's identifiers.
//! Promises: nothing here changes what anybody is owed in all; every result can be checked in one pass by
//! whoever has the obligations.
//! Refuses to know: where obligations come from, and how money is moved.

mod bank;
mod calendar;
mod documents;
mod flow;
mod instruct;
mod matching;
mod netting;
mod setoff;
mod statement;
mod wrong;

pub use bank::{Bic, CreditorId, Iban, Reference};
pub use calendar::{business_days_after, is_business_day, on_or_after};
pub use documents::{CycleDocument, cycle_documents, figures_table};
pub use instruct::{Instructed, Remaining, instruct, remaining};
pub use matching::{
    Accepted, Account, Difference, Exception, Last, Match, Matching, Open, Way, Why, match_statement,
};
pub use netting::{Debt, Figure, Figures, Matrix, Nets};
pub use setoff::{Level, SetOff, SetOffLine, check_set_off, set_off};
pub use statement::{Balance, Line, LineKey, MOST_LINES, Statement, StatementKind};
pub use wrong::Unsound;
