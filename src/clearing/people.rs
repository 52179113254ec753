//! Who works in the clearing house: analysts, approvers, participants' own people.
//!
//! Owns: which keys count as whose.
//! Promises: two approvals are by two people: keys differ, and so do the persons that their certificates name.
//! Refuses to know: what is approved.

use crate::book::{Draft, KeyRecord, Of, Principal, Stop};
use crate::network::{Asked, person, signer, unless_refused};
use crate::sign::Purpose;
use crate::types::{Kid, ParticipantId, Refusal, Refused};

/// The operator's key of somebody who does the daily work.
pub(super) fn analyst(draft: &mut Draft, kid: Kid) -> Result<Of<KeyRecord>, Stop> {
    let key = signer(draft, kid, &[Purpose::Operations])?;
    if key.owner == Principal::Operator {
        Ok(key)
    } else {
        Err(Refused::about(Refusal::KeyOwner, kid).into())
    }
}

/// Requires the approvals of two of the operator's approvers, of whom neither is who asks.
pub(super) fn two_people(draft: &mut Draft, asked: &Asked) -> Result<(), Stop> {
    let asking = person(&*draft.key(asked.kid)?)?;
    let mut people = vec![];
    for kid in &asked.approvals {
        let key = unless_refused(signer(draft, *kid, &[Purpose::Approver]))?;
        if let Some(key) = key.filter(|key| key.owner == Principal::Operator) {
            let person = person(&key)?;
            if person != asking && !people.contains(&person) {
                people.push(person);
            }
        }
    }
    if people.len() >= 2 {
        return Ok(());
    }
    let about = format!("two of the operator's approvers, {} signed", people.len());
    Err(Refused::about(Refusal::PeopleMissing, about).into())
}

/// The participant for which a brand's key speaks.
pub(super) fn speaks_for(draft: &mut Draft, kid: Kid) -> Result<ParticipantId, Stop> {
    let key = signer(draft, kid, &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot])?;
    match &key.owner {
        Principal::Brand(brand) => Ok(draft.brand(brand)?.participant.clone()),
        _ => Err(Refused::about(Refusal::KeyOwner, kid).into()),
    }
}
