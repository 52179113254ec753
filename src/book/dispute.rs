//! Records of disputes: their stages, what they say, what they come to.
//!
//! Owns: their shapes.
//! Promises: what was said when it was filed is never changed, but for an amount of which less was owed by the time.
//! Refuses to know: which step may follow which.

use super::fees::Service;
use crate::types::{AwardId, Currency, ExchangeId, Hash, Ident, Money, ParticipantId, PaymentId, UnitCode};
use serde::{Deserialize, Serialize};

/// The stage of a dispute.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// Filed; nothing is booked yet.
    Filed,
    /// Booked against its target provisionally.
    ChargedBack,
    /// The target brought evidence against it.
    Represented,
    /// An analyst looks at both sides.
    Review,
    /// The filer does not accept that either.
    PreArbitration,
    /// The operator decides.
    Arbitration,
    /// The target accepted, or said nothing in time.
    Accepted,
    /// Closed without effect.
    Closed,
    /// The target gave in.
    Conceded,
    /// Decided for the filer.
    RuledForFiler,
    /// Decided for the target.
    RuledForTarget,
    /// Taken back by its filer.
    Withdrawn,
}

/// What the end of a dispute does to the points that were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointsEffect {
    /// Nothing: they stay spent.
    #[default]
    None,
    /// They go back into the lots that they were taken from.
    Restore,
}

impl PointsEffect {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What losing a dispute costs: whoever loses it owes this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeFee {
    /// Whom; whoever wins, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ParticipantId>,
    /// How much, in the currency of the dispute.
    pub amount: Money,
}

/// What a dispute came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeOutcome {
    /// Whether its filer won it.
    pub for_filer: bool,
    /// How much of the obligation was taken back.
    pub obligation: Money,
    /// What became of the points.
    pub points: PointsEffect,
    /// What its loser owes for having lost it.
    pub fees: Money,
}

/// A dispute over an obligation: a unit's share of a payment, an exchange, a fee of either, or sponsored awards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DisputeFacts)]
pub struct Dispute {
    /// The payment, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// The unit's share of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitCode>,
    /// The exchange, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    /// The fee of the payment or the exchange, if it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Service>,
    /// The sponsored awards, if it is about some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub award: Option<AwardId>,
    /// Who files: the participant that owes.
    pub filer: ParticipantId,
    /// Against whom: the participant that is owed.
    pub target: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much of the obligation: as filed, then what was charged back, if less was owed by then.
    pub amount: Money,
    /// Why.
    pub reason: Ident,
    /// Until when that reason could be given, in Unix seconds.
    pub limit: u64,
    /// What becomes of the points if the filer wins.
    #[serde(default, skip_serializing_if = "PointsEffect::is_none")]
    pub points: PointsEffect,
    /// Where it stands.
    pub stage: DisputeStage,
    /// When silence decides, in Unix seconds.
    pub until: u64,
    /// The version of the network's fees that was in force when it was filed, if one asked for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees_version: Option<u64>,
    /// What losing costs by that version, once the target has answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<DisputeFee>,
    /// What it came to, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<DisputeOutcome>,
    /// SHA-256 of the documents that were brought, with who brought them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::types::pairs::<ParticipantId, Hash>)]
    pub evidence: Vec<(ParticipantId, Hash)>,
}

impl Dispute {
    /// Whether it was charged back and is not decided.
    pub fn is_pending(&self) -> bool {
        self.stage != DisputeStage::Filed && self.outcome.is_none()
    }
}
