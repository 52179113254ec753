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

pub use authorise::{Authorise, authorise};
pub use capture::{Asks, Capture, Refund, Void, capture, owed_now, refund, step_by_some_till, void};
pub use chargeback::give_charged_back;
pub use consent::{Code, Consent, Given, OpenConsent, Under, open_consent};
pub use exchange::{AgreeExchange, exchange};
pub use fees::{charged_now, undisputed};
pub use offer::{
    CancelOffer, MakeOffer, OFFER_LIFE, WantedExchange, WantedPayment, WantedShare, cancel_offer, make_offer,
};

use crate::book::{Draft, KeyRecord, Of, Payment, Principal, Stop};
use crate::network::{Asked, signer};
use crate::sign::Purpose;
use crate::types::{BrandId, PaymentId, Refusal, Refused};

/// The till that signed, and its brand.
fn till(draft: &mut Draft, asked: &Asked) -> Result<(Of<KeyRecord>, BrandId), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Till])?;
    match &key.owner {
        Principal::Brand(brand) => {
            let brand = brand.clone();
            Ok((key, brand))
        }
        _ => Err(Refused::about(Refusal::KeyOwner, asked.kid).into()),
    }
}

/// A payment of the brand whose till asks, and the till; another brand's is as good as unknown.
fn own_payment(draft: &mut Draft, asked: &Asked, id: PaymentId) -> Result<(Payment, Of<KeyRecord>), Stop> {
    let (key, brand) = till(draft, asked)?;
    let payment = (*draft.payment(id)?).clone();
    if payment.brand == brand {
        Ok((payment, key))
    } else {
        Err(Refused::about(Refusal::PaymentUnknown, id).into())
    }
}
