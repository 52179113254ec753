//! Who works in the clearing house: analysts, approvers, participants' own people.
//!
//! Owns: which keys count as whose.
//! Promises: two approvals are by two people: keys differ, and so do the persons that their certificates name.
//! Refuses to know: what is approved.

pub(super) use crate::network::analyst;

use crate::book::{Draft, Principal, Stop};
use crate::network::{Asked, signer, two_approvers};
use crate::sign::Purpose;
use crate::types::{Kid, ParticipantId, Refusal, Refused};

/// Requires the approvals of two of the operator's approvers, of whom neither is who asks.
pub(super) fn two_people(draft: &mut Draft, asked: &Asked) -> Result<(), Stop> {
    two_approvers(draft, asked, &Principal::Operator).map(drop)
}

/// The participant for which a brand's key speaks.
pub(super) fn speaks_for(draft: &mut Draft, kid: Kid) -> Result<ParticipantId, Stop> {
    let key = signer(draft, kid, &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot])?;
    match &key.owner {
        Principal::Brand(brand) => Ok(draft.brand(brand)?.participant.clone()),
        _ => Err(Refused::about(Refusal::KeyOwner, kid).into()),
    }
}
