//! Funding: the terms on which a participant may owe, set by the operator's people.
//!
//! Owns: the command that sets them.
//! Promises: no cap is cut below what it stands for; nothing raises a cap but this command, and it brings no money: cover
//! and shares of the fund come and go by `cover.move` alone. Each setting stands in the history of the cover. Terms have
//! versions: what was approved and held back does not take newer terms away.
//! What payments hold is counted from a participant's first setting on: one that was authorised before counts as a debt
//! once it is captured, and it lapses within 30 days. A setting without a cap counts and limits nothing, so whoever is to
//! be capped gets one when it joins, or 30 days ahead.
//! Refuses to know: where the money is; statements say what came in.

use super::cover::keep;
use super::people::{analyst, two_people};
use crate::book::{CoverChange, CoverStep, Draft, Funding, FundingTerms, Name, PartKey, Record, Stop};
use crate::network::Asked;
use crate::prices::{end_met_call, exposure, funding, limit};
use crate::types::{Currency, Money, ParticipantId, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// Most caps for pairs.
const MOST_PAIRS: usize = 100;

/// A cap for what is owed to one other participant.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PairCap {
    /// Who is owed.
    pub creditor: ParticipantId,
    /// Most that is owed on balance.
    pub most: Money,
}

/// `funding.set`, signed by an analyst, approved by two approvers: the terms on which a participant may owe, in all. The
/// money behind its debts comes by `cover.move`.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFunding {
    /// Whose.
    pub participant: ParticipantId,
    /// In this currency.
    pub currency: Currency,
    /// One more than that of its terms in force; 1 at first.
    pub version: u64,
    /// Most that it may owe on balance, reservations included; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<Money>,
    /// Caps for single creditors.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "crate::sign::objects")]
    pub pairs: Vec<PairCap>,
    /// These caps count what may come to be owed, by holds and firm offers, and not only what is owed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
    /// Most headroom that firm offers to one creditor may hold; a tenth of the limit if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub per_shop: Option<Money>,
    /// Whether its debts must be covered: the cover that it brought is a limit, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub covered: bool,
}

/// The version of what is set, if it follows upon the one in force: an approval of older terms counts no more.
pub(super) fn next_version(have: u64, version: u64) -> Result<u64, Refused> {
    let next = have.saturating_add(1);
    if version == next {
        return Ok(next);
    }
    Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")))
}

/// Sets the terms on which a participant may owe.
pub fn set_funding(draft: &mut Draft, asked: &Asked, args: &SetFunding) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    two_people(draft, asked)?;
    draft.participant(&args.participant)?;
    let mut network = (*draft.network()?).clone();
    if !network.currencies.contains(&args.currency) {
        return Err(Refused::about(Refusal::SettingInvalid, format!("currency {}", args.currency)).into());
    }
    let distinct = args
        .pairs
        .iter()
        .enumerate()
        .all(|(at, a)| !args.pairs.iter().take(at).any(|b| b.creditor == a.creditor));
    if args.pairs.len() > MOST_PAIRS || !distinct {
        return Err(Refused::about(Refusal::SettingInvalid, "pairs: each once, at most 100").into());
    }
    for pair in &args.pairs {
        draft.participant(&pair.creditor)?;
    }
    let before = funding(draft, &args.participant, args.currency)?.unwrap_or_default();
    let version = next_version(before.version, args.version)?;
    let mut paired = before.paired.clone();
    // What is reserved already may be for a creditor whose cap is new: it counts until its day is over.
    let had = |new: &PairCap| before.in_flight && before.pairs.iter().any(|(had, _)| *had == new.creditor);
    for new in args.pairs.iter().filter(|new| args.in_flight && !had(new)) {
        paired.retain(|(_, creditor, _)| *creditor != new.creditor);
        paired.extend(before.reserved.iter().map(|(day, held)| (*day, new.creditor.clone(), *held)));
    }
    paired.sort_unstable();
    let after = Funding {
        version,
        cap: args.cap,
        pairs: args.pairs.iter().map(|pair| (pair.creditor.clone(), pair.most)).collect(),
        covered: args.covered,
        per_shop: args.per_shop,
        in_flight: args.in_flight,
        paired,
        ..before.clone()
    };
    // Whoever is over already may be given more, never less.
    let cut = limit(&after).is_some_and(|after| limit(&before).is_none_or(|before| after < before));
    let stands = exposure(draft, &args.participant, args.currency)?;
    if cut && limit(&after).is_some_and(|limit| i128::from(stands.used()) > i128::from(limit)) {
        let used = draft.network()?.told(args.currency, stands.used());
        let mut about = format!("{used} are in use: a limit below that comes once they are paid");
        if args.covered && before.cover.signed() < stands.used() {
            about.push_str(&format!(
                "; {} is its cover: first funding.set without covered, then cover.move by the line that brought the money, \
                 then covered",
                draft.network()?.told(args.currency, before.cover.signed())
            ));
        }
        return Err(Refused::about(Refusal::ExposureExceeded, about).into());
    }
    let terms = FundingTerms {
        cap: after.cap,
        pairs: after.pairs.clone(),
        in_flight: after.in_flight,
        per_shop: after.per_shop,
        covered: after.covered,
    };
    let set = CoverStep::bare(CoverChange::Set, Money::ZERO, after.cover, asked.kid, draft.at);
    let part = PartKey::Participant(args.participant.clone());
    let name = Name::Funding(args.participant.clone(), args.currency);
    draft.put(part, name, Some(Record::from(after)))?;
    keep(draft, &args.participant, args.currency, CoverStep { terms: Some(terms), ..set })?;
    end_met_call(draft, &args.participant, args.currency)?;
    if !network.capped {
        network.capped = true;
        draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))?;
    }
    Ok(())
}
