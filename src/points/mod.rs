//! Points come into being: tokens and batches of awards, also such as another participant pays for. And they are taken
//! back again.
//!
//! Owns: what an award must fulfil, and the dates and lots that it makes.
//! Promises: points exist from the entry that takes them in; a receipt is awarded once; a key never
//! issues more than its budget; a refused line changes nothing.
//! Refuses to know: who the holder is.

mod award;
mod batch;
mod claw_back;
mod sponsor;

pub use award::{AwardLine, Verdict, issue, issue_exchanged, latest_day, use_token};
pub use batch::{Batch, Lines, MAX_LINES, take_batch};
pub use claw_back::{ClawBack, claw_back, take_back};
pub use sponsor::put as put_sponsored;
