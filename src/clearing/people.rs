//! Who works in the clearing house: analysts, approvers, participants' own people.
//!
//! Owns: which keys count as whose.
//! Promises: two approvals are by two people: keys differ, and so do the persons that their certificates name.
//! Refuses to know: what is approved.

pub(super) use crate::network::analyst;

use crate::book::{Draft, Principal, Stop};
use crate::network::{Asked, consents, signer, speaker, spoken_for, two_approvers, unspoken};
use crate::sign::Purpose;
use crate::types::{Kid, ParticipantId, Refusal, Refused};

/// Requires the approvals of two of the operator's approvers, of whom neither is who asks.
pub(super) fn two_people(draft: &mut Draft, asked: &Asked) -> Result<(), Stop> {
    two_approvers(draft, asked, &Principal::Operator).map(drop)
}

/// The participant for which a key speaks: one of the brand that speaks for it.
pub(super) fn speaks_for(draft: &mut Draft, kid: Kid) -> Result<ParticipantId, Stop> {
    let key = signer(draft, kid, &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot])?;
    spoken_for(draft, &key)
}

/// Requires that a participant's own brand asks, with a key of one of these purposes; or for a participant without a brand an
/// analyst, with two of the operator's people. `is` says what it is asked as: `pays`.
pub(super) fn acts_for(
    draft: &mut Draft,
    asked: &Asked,
    (who, is): (&ParticipantId, &str),
    purposes: &[Purpose],
) -> Result<(), Stop> {
    if draft.key(asked.kid)?.owner == Principal::Operator {
        analyst(draft, asked.kid)?;
        unspoken(draft, who)?;
        return two_people(draft, asked);
    }
    let key = signer(draft, asked.kid, purposes)?;
    let by = spoken_for(draft, &key)?;
    if by == *who {
        return Ok(());
    }
    Err(Refused::about(Refusal::KeyOwner, format!("{by} is not who {is}")).into())
}

/// Requires the consent of whose money it is: an approval by the root or an approver of the brand that speaks for it. For a
/// participant without a brand the operator's two people stand.
pub(super) fn consented(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<(), Stop> {
    if speaker(draft, who)?.is_none() { Ok(()) } else { consents(draft, asked, who) }
}
