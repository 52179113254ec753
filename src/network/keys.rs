//! Certificates, revocation, budgets.

use super::register::put_key;
use super::signer::{Asked, brand_root, operator, unless_refused};
use super::speaking::speakers_root;
use super::sponsors;
use crate::book::{Budget, Draft, KeyRecord, KeyState, Name, PartKey, Principal, Record, Stop, TillTerms};
use crate::sign::{HeldCaps, KeyBudget, KeyCert, Purpose};
use crate::types::{Kid, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Takes a certificate: a brand's root certifies its issuing, till and approver keys, the operator its
/// log, operations and approver keys. The new key proves its possession by an approval.
pub fn certify(draft: &mut Draft, asked: &Asked, cert: &KeyCert) -> Result<(), Stop> {
    let kid = cert.key.kid();
    if cert.until.is_some_and(|until| until <= cert.from) {
        return Err(Refused::about(Refusal::SettingInvalid, "from, until: in order").into());
    }
    if !asked.approvals.contains(&kid) {
        return Err(Refused::about(
            Refusal::EvidenceMissing,
            "the new key signs an approval of its certificate",
        )
        .into());
    }
    let owner: Principal = cert
        .owner
        .parse()
        .map_err(|_| Refused::about(Refusal::TokenPayload, "owner: a brand's id, or op"))?;
    let allowed = match &owner {
        Principal::Operator => {
            operator(draft, asked)?;
            matches!(cert.purpose, Purpose::Log | Purpose::Operations | Purpose::Approver)
        }
        Principal::Brand(brand) => {
            if brand_root(draft, asked.kid)? != *brand {
                return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
            }
            matches!(cert.purpose, Purpose::Issuing | Purpose::Till | Purpose::Approver)
        }
        Principal::Account(_) => false,
    };
    if !allowed {
        return Err(
            Refused::about(Refusal::KeyPurpose, "this root does not certify keys of this purpose").into()
        );
    }
    if (cert.purpose == Purpose::Till) != cert.till.is_some() {
        return Err(Refused::about(
            Refusal::TokenPayload,
            "till: stands in certificates of tills, and only there",
        )
        .into());
    }
    if let (Some(till), Principal::Brand(brand)) = (&cert.till, &owner) {
        draft.participant(&till.participant)?;
        // What a till takes is owed to its legal entity, which owes what it gives back. Another than the brand's own
        // agrees by its own brand; for one without a brand (a franchisee, say) it is the operator's to confirm.
        let other = draft.brand(brand)?.participant != till.participant;
        if other && speakers_root(draft, asked, &till.participant)?.is_none() {
            operator(draft, asked)?;
        }
        if let Some(limits) = &till.limits
            && !draft.network()?.currencies.contains(&limits.currency)
        {
            return Err(
                Refused::about(Refusal::SettingInvalid, format!("currency {}", limits.currency)).into()
            );
        }
    }
    if let Some(held) = &cert.held {
        check_held(cert, held)?;
    }
    // Where two people are needed, a key that says of nobody whose it is could be anybody's.
    if cert.person.is_some() != matches!(cert.purpose, Purpose::Approver | Purpose::Operations) {
        let about =
            "person: whose key it is, in certificates of approver and operations keys, and only there";
        return Err(Refused::about(Refusal::TokenPayload, about).into());
    }
    let till = cert.till.clone().map(|t| TillTerms {
        store: t.store,
        till: t.till,
        participant: t.participant,
        limits: t.limits,
    });
    let state = KeyState::Active;
    let record = KeyRecord {
        key: cert.key,
        purpose: cert.purpose,
        owner,
        state,
        from: cert.from,
        until: cert.until,
        till,
        held: cert.held,
        person: cert.person.clone(),
    };
    put_key(draft, PartKey::Public, record)
}

/// A key that the network holds issues, or stands at a till that has limits: nothing else.
fn check_held(cert: &KeyCert, held: &HeldCaps) -> Result<(), Refused> {
    let limited = || cert.till.as_ref().is_some_and(|till| till.limits.is_some());
    match cert.purpose {
        Purpose::Issuing => {}
        Purpose::Till if limited() => {}
        Purpose::Till => {
            return Err(Refused::about(
                Refusal::SettingInvalid,
                "held: a till's certificate has limits then",
            ));
        }
        _ => return Err(Refused::about(Refusal::KeyPurpose, "held: issuing and till keys only")),
    }
    if held.per_account_day > held.per_day {
        let about = "held: per_account_day, per_day in order";
        return Err(Refused::about(Refusal::SettingInvalid, about));
    }
    Ok(())
}

/// `key.revoke`: by the root of the key's brand, or by the operator. Only the root restores a retired key.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// The key.
    pub key: Kid,
    /// What it becomes.
    pub state: KeyState,
}

/// Changes the state of a key. Keys of accounts have a kind of their own, since their entries are not
/// public: `of_account` tells which is meant.
pub fn revoke(draft: &mut Draft, asked: &Asked, args: &RevokeKey, of_account: bool) -> Result<(), Stop> {
    let Some(Record::Key(key)) = draft.get(&Name::Key(args.key))?.as_deref().cloned() else {
        return Err(Refused::about(Refusal::TargetUnknown, args.key).into());
    };
    let brand = match &key.owner {
        Principal::Brand(brand) => Some(brand.clone()),
        Principal::Operator => None,
        Principal::Account(account) => {
            let unit = draft.account(*account)?.head.unit;
            Some(draft.unit(unit)?.brand.clone())
        }
    };
    if of_account != matches!(key.owner, Principal::Account(_)) {
        return Err(Refused::about(Refusal::TargetUnknown, args.key).into());
    }
    let by_root = brand.is_some() && unless_refused(brand_root(draft, asked.kid))? == brand;
    if !by_root {
        operator(draft, asked)?;
    }
    let restores = args.state == KeyState::Active;
    // A compromised key never comes back: somebody else may have it.
    if key.state == KeyState::Compromised || (restores && !by_root) {
        return Err(Refused::about(Refusal::SettingInvalid, "state").into());
    }
    set_state(draft, *key, args.state)
}

/// What a key's new state changes, whoever asks.
pub fn set_state(draft: &mut Draft, mut key: KeyRecord, state: KeyState) -> Result<(), Stop> {
    key.state = state;
    let name = Name::Key(key.key.kid());
    let part = match key.owner {
        Principal::Account(account) => PartKey::Holder(account),
        Principal::Operator | Principal::Brand(_) => PartKey::Public,
    };
    draft.put(part, name, Some(Record::from(key)))
}

/// Takes a budget, signed by the root of the key's brand; of another brand's key, by both roots. The next serial
/// replaces the one in force; what was issued counts on.
pub fn set_budget(draft: &mut Draft, asked: &Asked, claims: &KeyBudget) -> Result<(), Stop> {
    let brand = brand_root(draft, asked.kid)?;
    let key = draft.key(claims.key)?;
    let name = Name::Budget(claims.key);
    let before = draft.get(&name)?;
    let have = before.as_deref().and_then(Record::budget);
    if claims.sponsored.is_some() {
        sponsors::check(draft, asked, &brand, &key, claims, have)?;
    } else if key.owner != Principal::Brand(brand.clone()) {
        return Err(Refused::about(Refusal::KeyOwner, claims.key).into());
    }
    if !matches!(key.purpose, Purpose::Issuing | Purpose::Till) {
        return Err(Refused::about(Refusal::KeyPurpose, claims.key).into());
    }
    if key.held.is_some() && key.purpose == Purpose::Till {
        // Its caps are in money: they say nothing about points.
        return Err(Refused::about(Refusal::KeyPurpose, "a till whose key is held does not award").into());
    }
    if claims.sponsored.is_none() && draft.unit(claims.unit)?.brand != brand {
        return Err(Refused::about(Refusal::KeyOwner, claims.unit).into());
    }
    if let Some(have) = have
        && (claims.unit != have.unit || claims.sponsored.is_some() != have.sponsored.is_some())
    {
        let about = if claims.unit != have.unit {
            format!(
                "the key has a budget of {}, serial {}: a key has one, of one unit; certify another key for {}",
                have.unit, have.serial, claims.unit
            )
        } else {
            format!(
                "serial {} is in force, and {} sponsored: that does not change; a sponsored budget needs a key of its own",
                have.serial,
                if have.sponsored.is_some() { "is" } else { "is not" }
            )
        };
        return Err(Refused::about(Refusal::SerialStale, about).into());
    }
    // Each by one: whoever may lower a budget alone could use up all serials otherwise, and nobody could close it.
    let next = have.map_or(1, |have| have.serial.saturating_add(1));
    if claims.serial != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next serial is {next}")).into());
    }
    let budget = Budget {
        unit: claims.unit,
        serial: claims.serial,
        ceiling: claims.ceiling,
        hourly: claims.hourly,
        until: claims.until,
        backfill: claims.backfill.map(|window| (window.from, window.until)),
        sponsored: claims.sponsored,
    };
    sponsors::list(draft, claims.key, &key, claims)?;
    draft.put(PartKey::Public, name, Some(Record::Budget(budget)))
}
