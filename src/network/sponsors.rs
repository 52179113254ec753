//! Sponsors' budgets: what both brands agree to when another brand's key may award a unit's points.
//!
//! Owns: who must agree to such a budget, and which of them are live in a unit.
//! Promises: nothing is granted or raised unless the issuer's root and the sponsor's both stand behind it, and the root of the
//! brand that speaks for who pays, if that is another; each of the two alone
//! may lower or close it. Whose budget is live is named in the unit's list until it is closed or has ended.
//! Refuses to know: what points cost.

use super::signer::{Asked, brand_root, unless_refused};
use super::speaking::speakers_root;
use crate::book::{Budget, Draft, KeyRecord, Name, PartKey, Principal, Record, Sponsor, Stop};
use crate::sign::{KeyBudget, Purpose, SponsorTerms};
use crate::types::{BrandId, Kid, Money, Refusal, Refused};

/// Most budgets of sponsors that are live in a unit at a time.
const MOST_SPONSORS: usize = 200;

/// Whether a budget allows nothing that the one before did not.
fn lowers(have: &Budget, terms: &SponsorTerms, claims: &KeyBudget) -> bool {
    let Some(before) = have.sponsored else { return false };
    let window = claims.backfill.is_none_or(|window| {
        have.backfill.is_some_and(|(from, until)| from <= window.from && window.until <= until)
    });
    let money = match (terms.ceiling, before.ceiling) {
        (_, None) => true,
        (Some(now), Some(before)) => now <= before,
        (None, Some(_)) => false,
    };
    claims.ceiling <= have.ceiling
        && claims.hourly <= have.hourly
        && claims.until <= have.until
        && !terms.issue.is_above(before.issue)
        && window
        && money
}

/// Another brand's key awards a unit's points, and that brand's participant pays for them: an issuing key that it holds
/// itself. `by` is the brand whose root signs: the unit's, with the sponsor's root approving, or either of them if nothing
/// is raised.
pub(super) fn check(
    draft: &mut Draft,
    asked: &Asked,
    by: &BrandId,
    key: &KeyRecord,
    claims: &KeyBudget,
    have: Option<&Budget>,
) -> Result<(), Stop> {
    let (Some(terms), kid) = (&claims.sponsored, key.key.kid()) else { return Ok(()) };
    let Principal::Brand(sponsor) = &key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, kid).into());
    };
    let issuer = draft.unit(claims.unit)?.brand.clone();
    // Between two brands of one participant nothing would be owed.
    let same = draft.brand(sponsor)?.participant == draft.brand(&issuer)?.participant;
    let lowered = have.is_some_and(|have| lowers(have, terms, claims));
    if same || (*by != issuer && !(lowered && by == sponsor)) {
        return Err(Refused::about(Refusal::KeyOwner, kid).into());
    }
    if key.purpose != Purpose::Issuing || key.held.is_some() {
        return Err(Refused::about(Refusal::KeyPurpose, "sponsored: by an issuing key of its own").into());
    }
    if !draft.network()?.currencies.contains(&terms.currency) {
        return Err(Refused::about(Refusal::SettingInvalid, format!("currency {}", terms.currency)).into());
    }
    if have.and_then(|have| have.sponsored).is_some_and(|before| before.currency != terms.currency) {
        // What it paid so far counts on, and amounts in two currencies do not add up.
        return Err(Refused::about(Refusal::SettingInvalid, "sponsored.currency: stays as it is").into());
    }
    if lowered {
        return Ok(());
    }
    for approval in &asked.approvals {
        if unless_refused(brand_root(draft, *approval))?.as_ref() == Some(sponsor) {
            // Its participant comes to owe for another's points: that is for the brand to say which speaks for it.
            let pays = draft.brand(sponsor)?.participant.clone();
            return speakers_root(draft, asked, &pays).map(drop);
        }
    }
    let about = format!("sponsored: the root of {sponsor} approves what is granted or raised");
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}

/// Names a sponsor's budget in its unit's list, or takes it out if it allows nothing any more.
pub(super) fn list(draft: &mut Draft, kid: Kid, key: &KeyRecord, claims: &KeyBudget) -> Result<(), Stop> {
    let (Some(terms), Principal::Brand(brand)) = (&claims.sponsored, &key.owner) else { return Ok(()) };
    let participant = draft.brand(brand)?.participant.clone();
    let (name, now) = (Name::Sponsors(claims.unit), draft.at.seconds());
    let before = draft.get(&name)?;
    let mut sponsors = before.as_deref().and_then(Record::sponsors).cloned().unwrap_or_default();
    sponsors.live.retain(|one| one.key != kid && one.until > now);
    let closed = claims.until <= now
        || claims.ceiling.is_zero()
        || claims.hourly.is_zero()
        || terms.ceiling.is_some_and(Money::is_zero);
    if !closed {
        let until = claims.until;
        sponsors.live.push(Sponsor { key: kid, participant, currency: terms.currency, until });
    }
    if sponsors.live.len() > MOST_SPONSORS {
        let about = format!("more than {MOST_SPONSORS} sponsors' budgets live in {}", claims.unit);
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    draft.put(PartKey::Public, name, Some(Record::Sponsors(sponsors)))
}
