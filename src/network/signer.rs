//! Who signed, and whether they may.

use crate::book::{Draft, KeyRecord, KeyState, Of, Principal, Stop};
use crate::sign::Purpose;
use crate::types::{BrandId, Fingerprint, Ident, Kid, Refusal, Refused, Time};

/// What stands behind a command: its verified signatures. A signature that did not verify never gets
/// here; whether its key counts is judged from here on.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The key that signed the command.
    pub kid: Kid,
    /// The keys that signed an approval of exactly this command.
    pub approvals: Vec<Kid>,
    /// The command's id, if it has one of its own.
    pub cid: Option<Ident>,
    /// Recognises the same command coming again.
    pub fingerprint: Fingerprint,
}

impl Asked {
    /// All keys that stand behind the command, each once.
    pub fn signers(&self) -> Vec<Kid> {
        let mut all = vec![self.kid];
        for kid in &self.approvals {
            if !all.contains(kid) {
                all.push(*kid);
            }
        }
        all
    }
}

/// Whether a key may sign at `at`.
pub fn is_active(key: &KeyRecord, at: Time) -> Result<(), Refusal> {
    match key.state {
        KeyState::Retired => Err(Refusal::KeyRetired),
        KeyState::Compromised => Err(Refusal::KeyCompromised),
        KeyState::Active => {
            let now = at.seconds();
            let valid = key.from <= now && key.until.is_none_or(|until| now < until);
            if valid { Ok(()) } else { Err(Refusal::KeyExpired) }
        }
    }
}

/// The key that signed, if it is of one of the purposes and valid now.
pub fn signer(draft: &mut Draft, kid: Kid, purposes: &[Purpose]) -> Result<Of<KeyRecord>, Stop> {
    let key = draft.key(kid)?;
    if !purposes.contains(&key.purpose) {
        return Err(Refused::about(Refusal::KeyPurpose, kid).into());
    }
    is_active(&key, draft.at).map_err(|code| Refused::about(code, kid))?;
    Ok(key)
}

/// The operator's key of somebody who does the daily work.
pub fn analyst(draft: &mut Draft, kid: Kid) -> Result<Of<KeyRecord>, Stop> {
    let key = signer(draft, kid, &[Purpose::Operations])?;
    if key.owner == Principal::Operator {
        Ok(key)
    } else {
        Err(Refused::about(Refusal::KeyOwner, kid).into())
    }
}

/// The brand whose root signed.
pub(super) fn brand_root(draft: &mut Draft, kid: Kid) -> Result<BrandId, Stop> {
    let key = signer(draft, kid, &[Purpose::BrandRoot])?;
    let Principal::Brand(id) = &key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, kid).into());
    };
    // A root that was replaced stays in the books but is no longer the brand's.
    if draft.brand(id)?.root.root != kid {
        return Err(Refused::about(Refusal::KeyRetired, kid).into());
    }
    Ok(id.clone())
}

/// Whose key it is: the person that its certificate names, in whatever case, else nobody but the key itself.
pub fn person(key: &KeyRecord) -> Result<Ident, Stop> {
    let name = match &key.person {
        Some(person) => person.as_str().to_ascii_lowercase(),
        None => key.key.kid().to_string(),
    };
    name.parse().map_err(|_| Stop::Bug("a person's and a key's name are ids".into()))
}

/// Requires that two people approved, neither of them who asks: approvers of the owner whose keys count now. Returns
/// their keys.
pub fn two_approvers(draft: &mut Draft, asked: &Asked, owner: &Principal) -> Result<Vec<Kid>, Stop> {
    let (mut keys, mut people) = (vec![], vec![person(&*draft.key(asked.kid)?)?]);
    for kid in &asked.approvals {
        let key = unless_refused(signer(draft, *kid, &[Purpose::Approver]))?;
        // Whose key names nobody counts as nobody.
        let Some(key) = key.filter(|key| key.owner == *owner && key.person.is_some()) else { continue };
        let person = person(&key)?;
        if !people.contains(&person) {
            keys.push(*kid);
            people.push(person);
        }
    }
    if keys.len() >= 2 {
        return Ok(keys);
    }
    let about = format!(
        "two approver keys of {owner} sign, of two persons by their certificates, neither of them who asks: {} did",
        keys.len()
    );
    Err(Refused::about(Refusal::PeopleMissing, about).into())
}

/// A "no" becomes `None`, so that another way can be tried; everything else stops as before.
pub fn unless_refused<T>(tried: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match tried {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Refused(_)) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// Requires the signatures of k operator roots among all that signed.
pub fn operator(draft: &mut Draft, asked: &Asked) -> Result<(), Stop> {
    let network = draft.network()?;
    let mut roots = 0usize;
    for kid in asked.signers() {
        let root = network.roots.contains(&kid);
        if root && unless_refused(signer(draft, kid, &[Purpose::OperatorRoot]))?.is_some() {
            roots = roots.saturating_add(1);
        }
    }
    if roots >= usize::from(network.threshold) {
        return Ok(());
    }
    let about = format!("{} operator root signatures are needed, {roots} are there", network.threshold);
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}
