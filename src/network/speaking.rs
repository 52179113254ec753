//! Who speaks for a participant: the brand that was registered for it first.
//!
//! Owns: the one answer to whose keys sign for a participant, and whose for one that has no brand.
//! Promises: nobody comes to speak for a participant that has a brand but by that brand's word; a further brand has its
//! own units, tills and keys, and no word in what the participant owes or is owed. The house signs for those alone that
//! have no brand.
//! Refuses to know: what is signed.

use super::signer::{Asked, brand_root, signer, unless_refused};
use crate::book::{Draft, KeyRecord, Principal, Stop};
use crate::sign::Purpose;
use crate::types::{BrandId, ParticipantId, Refusal, Refused};

/// The brand that speaks for a participant; `None`: it has no brand.
pub fn speaker(draft: &mut Draft, who: &ParticipantId) -> Result<Option<BrandId>, Stop> {
    Ok(draft.participant(who)?.speaker.clone())
}

/// The participant for which the owner of a key speaks; refused if there is none.
pub fn spoken_for(draft: &mut Draft, key: &KeyRecord) -> Result<ParticipantId, Stop> {
    let Principal::Brand(brand) = &key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, key.key.kid()).into());
    };
    let who = draft.brand(brand)?.participant.clone();
    match speaker(draft, &who)? {
        Some(first) if first == *brand => Ok(who),
        Some(first) => {
            let about = format!("{brand} does not speak for {who}: {first} does");
            Err(Refused::about(Refusal::KeyOwner, about).into())
        }
        None => Err(Stop::Bug(format!("{who} has a brand and nobody who speaks for it"))),
    }
}

/// Refused if a participant has a brand: that signs for it, and not the house.
pub fn unspoken(draft: &mut Draft, who: &ParticipantId) -> Result<(), Stop> {
    match speaker(draft, who)? {
        None => Ok(()),
        Some(first) => {
            let about = format!("{who} has a brand: {first} signs for it, not the house");
            Err(Refused::about(Refusal::KeyOwner, about).into())
        }
    }
}

/// Requires an approval by the root of the brand that speaks for a participant. `None`: it has no brand.
pub fn speakers_root(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<Option<BrandId>, Stop> {
    let Some(first) = speaker(draft, who)? else { return Ok(None) };
    for kid in &asked.approvals {
        if unless_refused(brand_root(draft, *kid))?.as_ref() == Some(&first) {
            return Ok(Some(first));
        }
    }
    let about = format!("the root of {first}, which speaks for {who}, signs an approval");
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}

/// Requires that a participant agrees: an approval by the root or by an approver key of the brand that speaks for it.
pub fn consents(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<(), Stop> {
    let Some(first) = speaker(draft, who)? else {
        let about = format!("{who} has no brand that could agree");
        return Err(Refused::about(Refusal::EvidenceMissing, about).into());
    };
    for kid in &asked.approvals {
        let root = unless_refused(brand_root(draft, *kid))?;
        let key = unless_refused(signer(draft, *kid, &[Purpose::Approver]))?;
        let approver = key.is_some_and(|key| key.owner == Principal::Brand(first.clone()));
        if root.as_ref() == Some(&first) || approver {
            return Ok(());
        }
    }
    let about = format!("{who} agrees: the root or an approver key of {first} signs an approval");
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}

/// The operator's own participant: it bears what is written off and the operator's part of a shortfall, and holds reserves.
pub fn operators_own(draft: &mut Draft) -> Result<ParticipantId, Stop> {
    draft.network()?.operator.clone().ok_or_else(|| {
        let about = "the operator has no participant: participant.register with \"operator\":true makes one";
        Refused::about(Refusal::ParticipantUnknown, about).into()
    })
}
