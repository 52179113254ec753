//! Records of what stands behind debts and behind points: funding, reserves, and the history of both.
//!
//! Owns: their shapes.
//! Promises: each step of a participant's cover stands in a record of its own that is never changed.
//! Refuses to know: what is enough; `prices` measures it.

use crate::types::{Currency, Ident, Kid, Money, ParticipantId, Rate, Time, UnitCode};
use serde::{Deserialize, Serialize};

/// What stands behind a participant's debts in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funding {
    /// Version of the terms, which alone it counts; 0: none were set.
    #[serde(default, skip_serializing_if = "unset")]
    pub version: u64,
    /// Most that it may owe on balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Money>,
    /// Most that it may owe one other participant, by that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<(ParticipantId, Money)>,
    /// Whether its debts must be covered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub covered: bool,
    /// Money that it left as cover.
    pub cover: Money,
    /// Its share of the common fund: drawn after its cover.
    pub fund: Money,
    /// Reserved for payments that are not captured yet, by the day (since 1970, UTC) with whose end it comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<(u64, Money)>,
    /// Whether caps for single creditors count what may come to be owed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
    /// If so: the same for those creditors, by the day and the creditor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired: Vec<(u64, ParticipantId, Money)>,
    /// Most that firm offers to one creditor may hold of what is left; a tenth of the limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_shop: Option<Money>,
    /// Held for firm offers, by the ten seconds (since 1970, UTC) with whose end it comes back, and the creditor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firm: Vec<(u64, ParticipantId, Money)>,
    /// It was called upon to bring what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<MarginCall>,
}

fn unset(version: &u64) -> bool {
    *version == 0
}

/// A margin call: so much was missing, and is to be brought or settled in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarginCall {
    /// What was missing.
    pub amount: Money,
    /// First instant at which it is late, in Unix seconds.
    pub until: u64,
    /// The entry that called.
    pub seq: u64,
}

/// What must stand behind a unit's points, and what does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// Version of what must be held, which alone it counts.
    pub version: u64,
    /// In this currency: what is held, and the price that counts.
    pub currency: Currency,
    /// How much of what outstanding points are worth must be held, in parts per million.
    pub ratio: u32,
    /// The money that is held for them, apart from all other.
    pub held: Money,
    /// If it is filled when points are issued: on what terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuance: Option<AtIssuance>,
}

/// Who gets the money that points free which end unspent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakageTo {
    /// Their issuer's participant.
    Issuer,
    /// The participant that holds the reserve: it keeps it.
    Operator,
    /// The common fund: the holder of the reserve keeps it as the issuer's share of the fund.
    Fund,
}

/// A reserve that is filled when points are issued: the issuer's participant owes its holder what the points need, and
/// that is who pays for them where they are spent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtIssuance {
    /// Who holds the reserve.
    pub keeper: ParticipantId,
    /// Who gets what points free that expire or are forfeited.
    pub breakage_to: BreakageTo,
    /// The price at which what is held stands.
    pub rate: Rate,
}

/// The terms on which a participant may owe, in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FundingTerms {
    /// Most that it may owe on balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Money>,
    /// Most that it may owe one other participant, by that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::types::pairs::<ParticipantId, Money>)]
    pub pairs: Vec<(ParticipantId, Money)>,
    /// Whether caps for single creditors count what may come to be owed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
    /// Most that firm offers to one creditor may hold of what is left; a tenth of the limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_shop: Option<Money>,
    /// Whether its debts must be covered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub covered: bool,
}

/// Headroom of an issuer that is kept while a payment is open: what its reserve may fail to free for the points.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pledge {
    /// How much.
    pub amount: Money,
    /// Whether it counts for the cap of the pair of issuer and holder of the reserve, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
}

/// What happened to a participant's cover, or to a reserve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoverChange {
    /// The terms on which it may owe were set.
    Set,
    /// Money was brought.
    ToppedUp,
    /// Money was taken back.
    Withdrawn,
    /// The participant was called upon to bring some.
    Called,
    /// It did not pay what a cycle asked for, and that was drawn.
    Drawn,
}

/// One step of what stands behind a participant's debts, or behind points of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CoverStepFacts)]
pub struct CoverStep {
    /// What happened.
    pub change: CoverChange,
    /// How much; 0 of terms.
    pub amount: Money,
    /// Of the reserve of this unit; of the cover of its debts if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitCode>,
    /// Of its share of the common fund, and not of its cover.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_fund: bool,
    /// What there is afterwards.
    pub after: Money,
    /// Of a draw: what was taken of the participant's share of the common fund besides.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub fund: Money,
    /// The bank statement whose line brought it, or by whose line it left, and the line's number from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::types::pair::<Ident, u16>)]
    pub line: Option<(Ident, u16)>,
    /// The reference of the order by which it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ident>,
    /// Of a call: first instant at which it is late, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The terms that were set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<FundingTerms>,
    /// The key that signed.
    pub by: Kid,
    /// Log time.
    pub at: Time,
}

impl CoverStep {
    /// A step with nothing but what happened, how much it came to, and what there is afterwards.
    pub fn bare(change: CoverChange, amount: Money, after: Money, by: Kid, at: Time) -> Self {
        let (fund, unit, line, reference, until, terms) = (Money::ZERO, None, None, None, None, None);
        Self { change, amount, unit, of_fund: false, after, fund, line, reference, until, terms, by, at }
    }
}
