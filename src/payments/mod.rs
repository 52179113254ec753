//! Payments: consents, offers, authorise, capture, void, refund; exchange.
//!
//! Owns: a payment's numbers (authorised, captured, refunded, deadline) and what each step books.
//! Promises: with n = captured − refunded, a share stands at points(n) = ceil(P·n/X) and
//! obligation(n) = floor(O·n/X) after every step, and a fee at ceil(F·n/X), so a full refund ends at exactly zero.
//! Refuses to know: how a consent or a code reached the till.

mod authorise;
mod capture;
mod chargeback;
mod consent;
mod exchange;
mod fees;
mod headroom;
mod limits;
mod offer;
mod whose;

pub use authorise::{Authorise, authorise};
pub use capture::{Asks, Capture, Refund, Void, capture, owed_now, refund, step_by_some_till, void};
pub use chargeback::give_charged_back;
pub use consent::{Code, Consent, Given, OpenConsent, Under, open_consent};
pub use exchange::{AgreeExchange, exchange};
pub use fees::{charged_now, undisputed};
pub use offer::{
    CancelOffer, MakeOffer, OFFER_LIFE, WantedExchange, WantedPayment, WantedShare, cancel_offer, make_offer,
};
pub use whose::LONGEST_DISPUTE;

use whose::{in_time, own_payment, peoples_payment, till};
