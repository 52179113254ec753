//! Whose payments are: which keys move them, and until when.
//!
//! Owns: the till that asks, the brand's people, and the time after which a refund is theirs alone.
//! Promises: another brand's payment is as good as unknown. What another participant of the brand was paid, a franchisee
//! say, none but its own tills move: it would owe for what others do. No till gives back what is too old for a dispute.
//! Refuses to know: what a step comes to.

use crate::book::{Draft, KeyRecord, Of, Payment, Principal, Stop};
use crate::network::{Asked, signer};
use crate::sign::Purpose;
use crate::types::{BrandId, PaymentId, Refusal, Refused};

const DAY: u64 = 86_400;
/// How many days after a payment's deadline the last dispute over it can be filed, and a till refunds it. Later its issuer
/// counts on it, and the key of one till could give away what cycles settled long ago.
pub const LONGEST_DISPUTE: u64 = 120;

/// The till that signed, and its brand.
pub(super) fn till(draft: &mut Draft, asked: &Asked) -> Result<(Of<KeyRecord>, BrandId), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Till])?;
    match &key.owner {
        Principal::Brand(brand) => {
            let brand = brand.clone();
            Ok((key, brand))
        }
        _ => Err(Refused::about(Refusal::KeyOwner, asked.kid).into()),
    }
}

/// A payment of the brand and the participant whose till asks, and the till.
pub(super) fn own_payment(
    draft: &mut Draft,
    asked: &Asked,
    id: PaymentId,
) -> Result<(Payment, Of<KeyRecord>), Stop> {
    let (key, brand) = till(draft, asked)?;
    let payment = of_brand(draft, &brand, id)?;
    let terms = key.till.as_ref().ok_or_else(|| Stop::Bug("a till without terms".into()))?;
    if terms.participant == payment.participant {
        return Ok((payment, key));
    }
    let about = format!("{id} was paid to {}: a till of that participant asks", payment.participant);
    Err(Refused::about(Refusal::KeyOwner, about).into())
}

fn of_brand(draft: &mut Draft, brand: &BrandId, id: PaymentId) -> Result<Payment, Stop> {
    let payment = (*draft.payment(id)?).clone();
    if payment.brand == *brand {
        Ok(payment)
    } else {
        Err(Refused::about(Refusal::PaymentUnknown, id).into())
    }
}

/// A payment of the brand whose people ask: its root or an approver key, for whose word no till's limits count. `None`:
/// another key asks.
pub(super) fn peoples_payment(
    draft: &mut Draft,
    asked: &Asked,
    id: PaymentId,
) -> Result<Option<Payment>, Stop> {
    let people = |purpose| matches!(purpose, Purpose::BrandRoot | Purpose::Approver);
    if !people(draft.key(asked.kid)?.purpose) {
        return Ok(None);
    }
    let key = signer(draft, asked.kid, &[Purpose::BrandRoot, Purpose::Approver])?;
    let Principal::Brand(brand) = &key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    };
    // A root that was replaced stays in the books but is no longer the brand's.
    if key.purpose == Purpose::BrandRoot && draft.brand(brand)?.root.root != asked.kid {
        return Err(Refused::about(Refusal::KeyRetired, asked.kid).into());
    }
    of_brand(draft, brand, id).map(Some)
}

/// Refused if a payment is too old for a till to refund it.
pub(super) fn in_time(draft: &Draft, payment: &Payment) -> Result<(), Stop> {
    let last = payment.deadline.plus_seconds(LONGEST_DISPUTE.saturating_mul(DAY));
    if draft.at.seconds() <= last.seconds() {
        return Ok(());
    }
    let brand = &payment.brand;
    let about =
        format!("a till could refund it until {last}: the root or an approver key of {brand} signs now");
    Err(Refused::about(Refusal::PaymentClosed, about).into())
}
