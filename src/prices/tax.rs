//! Tax of what participants supply each other: category and rate, as each publishes them for its own supplies.
//!
//! Owns: publishing them, and which apply at an instant.
//! Promises: what is owed stays the same, tax or not: the tax is within it. What was offered or held before a change
//! keeps the tax that it was fixed with.
//! Refuses to know: fees, whose tax is published with them.

use crate::book::{Draft, Name, PartKey, Record, Service, Stop, Tax, TaxVersion};
use crate::network::{Asked, signer, spoken_for};
use crate::sign::{Purpose, object};
use crate::types::{ParticipantId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Most versions that are kept: in force and announced.
const MOST_VERSIONS: usize = 16;

/// `tax.publish`, signed by the root of the brand that speaks for the participant: how what it supplies to other participants is taxed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishTax {
    /// Whose supplies.
    pub participant: ParticipantId,
    /// 1, then one more for each publication.
    pub version: u64,
    /// `redemption`: its shops take others' points; `exchange`: its points are given for others'; `award`: its points are
    /// awarded by others, who pay for them.
    pub service: Service,
    /// First instant, in Unix seconds; now if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u64>,
    /// The tax within what it is owed; `outside_scope` before the first version.
    #[serde(deserialize_with = "object")]
    pub tax: Tax,
}

/// Publishes how a participant's supplies are taxed.
pub fn publish_tax(draft: &mut Draft, asked: &Asked, args: &PublishTax) -> Result<(), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::BrandRoot])?;
    draft.participant(&args.participant)?;
    if spoken_for(draft, &key)? != args.participant {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    }
    if !args.service.is_taxable() || !args.tax.is_sound() {
        let about =
            "service: redemption, exchange or award; tax: a rate above 0 for standard and for nothing else";
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let (name, now) = (Name::Tax(args.participant.clone()), draft.at.seconds());
    let before = draft.get(&name)?;
    let mut table = before.as_deref().and_then(Record::tax).cloned().unwrap_or_default();
    let next = table.versions.last().map_or(1, |last| last.version.saturating_add(1));
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let from = args.from.unwrap_or(now);
    if from < now {
        return Err(Refused::about(Refusal::SettingInvalid, "from: not in the past").into());
    }
    table.versions.push(TaxVersion { version: args.version, service: args.service, from, tax: args.tax });
    let all = table.versions.clone();
    // What a later version of the same service has replaced applies never again.
    let replaced = |old: &TaxVersion| {
        all.iter().any(|new| new.service == old.service && new.version > old.version && new.from <= now)
    };
    table.versions.retain(|old| !replaced(old));
    if table.versions.len() > MOST_VERSIONS {
        let about = format!("more than {MOST_VERSIONS} versions in force or announced");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    draft.put(PartKey::Public, name, Some(Record::Tax(table)))?;
    let mut network = (*draft.network()?).clone();
    if !network.taxed {
        network.taxed = true;
        draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))?;
    }
    Ok(())
}

/// How a participant's supply is taxed now; `None` if it never said so, which is as good as outside the scope.
pub fn tax_now(draft: &mut Draft, supplier: &ParticipantId, service: Service) -> Result<Option<Tax>, Stop> {
    if !draft.network()?.taxed {
        return Ok(None);
    }
    let now = draft.at.seconds();
    let record = draft.get(&Name::Tax(supplier.clone()))?;
    let table = record.as_deref().and_then(Record::tax);
    let versions = table.map_or(&[][..], |table| &table.versions);
    Ok(versions.iter().rev().find(|one| one.service == service && one.from <= now).map(|one| one.tax))
}
