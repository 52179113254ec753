//! Who works in the clearing house: analysts, approvers, participants' own people.
//!
//! Owns: which keys count as whose.
//! Promises: two approvals are by two people: keys differ, and so do the persons that their certificates name.
//! Refuses to know: what is approved.

pub(super) use crate::network::analyst;

use crate::book::{Draft, Principal, Stop};
use crate::network::{Asked, signer, two_approvers, unless_refused};
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

/// Requires the consent of whose money it is: an approval by the root or an approver of its brand. For a participant
/// without a brand the operator's two people stand.
pub(super) fn consented(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<(), Stop> {
    for kid in &asked.approvals {
        let key = unless_refused(signer(draft, *kid, &[Purpose::BrandRoot, Purpose::Approver]))?;
        let Some(Principal::Brand(brand)) = key.map(|key| key.owner.clone()) else { continue };
        if draft.brand(&brand)?.participant == *who {
            return Ok(());
        }
    }
    let about = format!("{who} consents: its brand's root or an approver of it signs, too");
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}
