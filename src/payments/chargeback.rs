//! Charge-back: what becomes of a share's points when its obligation is taken back.
//!
//! Owns: how many points a part of the obligation stands for.
//! Promises: with D of the obligation O taken back, ceil(P·D/O) points were given back in all, into the lots that they
//! came from. D is never above what stands of O, so they and what refunds gave back are never more than was taken, in
//! whatever order.
//! Refuses to know: why.

use super::capture::give_back;
use crate::book::{Draft, Name, PartKey, Record, ShareTerms, Stop};
use crate::types::{Money, PaymentId, Points, Refusal};

/// Gives back the points behind so much more of a share's obligation.
pub fn give_charged_back(
    draft: &mut Draft,
    id: PaymentId,
    terms: &mut ShareTerms,
    amount: Money,
) -> Result<(), Stop> {
    let after = terms.restored.plus(amount).ok_or(Refusal::AmountTooLarge)?;
    let points = |part: Money| terms.points.share_ceil(part.get(), terms.obligation.get());
    let (Some(had), Some(has)) = (points(terms.restored), points(after)) else {
        return Err(Refusal::AmountTooLarge.into());
    };
    let mut share = (*draft.share(id, terms.unit)?).clone();
    let grace = draft.unit(terms.unit)?.grace_days(draft.at);
    let back = give_back(&mut share, has.minus(had).unwrap_or(Points::ZERO));
    draft.restore(share.account, terms.unit, &back, grace)?;
    terms.restored = after;
    let part = PartKey::Holder(share.account);
    draft.put(part, Name::Share(id, terms.unit), Some(Record::Share(share)))
}
