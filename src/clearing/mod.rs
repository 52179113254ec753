//! Clearing: who owes whom how much, and the fewest payments that settle it.
//!
//! Owns: netting (gross, bilateral, multilateral), instructions in the bank's minor unit, set-off with a
//! certificate.
//! Promises: nothing here changes what anybody is owed in all; every result can be checked in one pass by
//! whoever has the obligations.
//! Refuses to know: where obligations come from, and how money is moved.

mod flow;
mod instruct;
mod netting;
mod setoff;
mod wrong;

pub use instruct::{Instructed, Remaining, instruct, remaining};
pub use netting::{Debt, Figure, Figures, Matrix, Nets};
pub use setoff::{Level, SetOff, SetOffLine, check_set_off, set_off};
pub use wrong::Unsound;
