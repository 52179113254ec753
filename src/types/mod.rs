//! The words every other folder speaks: ids, amounts, instants, refusals and the one encoder.
//!
//! Owns: what a valid id, amount, price, date or instant is, and how each is written down.
//! Promises: a value of one of these types is valid; arithmetic is checked, and where it rounds the
//! method's name says in which direction.
//! Refuses to know: what the values are for.

mod amount;
mod encode;
mod id;
mod refusal;
mod schema;
mod time;

pub use amount::{Asset, MAX_INT, Money, Points, Rate, decimal};
pub(crate) use encode::as_text;
pub use encode::{Fingerprint, Hash, Malformed, b64, b64_decode, decode, encode, hex, word};
pub use id::{
    AccountId, AwardId, BrandId, CauseId, ComplaintId, ConsentId, Currency, DisputeId, ExchangeId, HoldId,
    Ident, InstructionId, Kid, ObjectionId, OfferId, ParticipantId, PaymentId, ReserveId, SetOffId, UnitCode,
};
pub use refusal::{Action, Refusal, Refused};
pub use schema::{pair, pairs};
pub use time::{Date, Month, Time};
