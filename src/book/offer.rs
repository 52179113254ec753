//! Offers, exchanges, sponsored awards and awards that were taken back: terms that are fixed before anybody agrees, and what
//! became of them.
//!
//! Owns: the records, and the hash over an offer that its consent repeats.
//! Promises: all that the hash covers is in the record and never changes; only the state does.
//! Refuses to know: how the amounts were found.

use super::account::Origin;
use super::fees::{ExchangeFeeTerms, FeeTerms, Tax};
use super::name::Principal;
use crate::types::{
    Currency, Date, DisputeId, Hash, Ident, Kid, Money, Month, OfferId, ParticipantId, Points, Time,
    UnitCode, encode,
};
use serde::{Deserialize, Serialize};

/// What became of an offer. Past its deadline an open one is as good as cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It can be agreed to until its deadline.
    Open,
    /// It was agreed to.
    Taken,
    /// Whoever made it took it back.
    Cancelled,
}

/// An exchange as it is offered, and as it then happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeTerms {
    /// The unit that is given up.
    pub from: UnitCode,
    /// The unit that is got.
    pub to: UnitCode,
    /// The currency of its prices.
    pub currency: Currency,
    /// Points that are given up, with the fee.
    pub source: Points,
    /// Points that are got.
    pub target: Points,
    /// What the points that are exchanged are worth, floor((source − fee) · settle): an obligation, unless both units are one
    /// participant's.
    pub worth: Money,
    /// Who owes it: the participant of the unit that is given up.
    pub debtor: ParticipantId,
    /// Who pays it in the debtor's place: the holder of the unit's reserve, if that was filled when points were issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<ParticipantId>,
    /// Who is owed it: the participant of the unit that is got.
    pub creditor: ParticipantId,
    /// The version of prices whose `settle` was applied.
    pub settle_price: u64,
    /// The version of prices whose `issue` was applied.
    pub issue_price: u64,
    /// The key whose budget the points that are got draw on.
    pub budget: Kid,
    /// The network's fee, a part of what is given up; none if none were published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<ExchangeFeeTerms>,
    /// The tax within the obligation; outside the scope if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// Whether headroom of the debtor is held for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub firm: bool,
    /// What is held of the debtor's headroom for what its reserve may fail to free, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pledge: Option<Money>,
}

impl ExchangeTerms {
    /// Who owes the creditor for it.
    pub fn payer(&self) -> &ParticipantId {
        self.keeper.as_ref().unwrap_or(&self.debtor)
    }
}

/// What one unit bears of a bill that is offered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferedShare {
    /// The unit.
    pub unit: UnitCode,
    /// Its share of the bill.
    pub amount: Money,
    /// The points that it takes in full.
    pub points: Points,
    /// What the issuer's participant owes for it in full.
    pub obligation: Money,
    /// The issuer's participant.
    pub issuer: ParticipantId,
    /// Who pays for it in the issuer's place: the holder of the unit's reserve, if that was filled when points were issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<ParticipantId>,
    /// The version of the prices that was applied.
    pub price: u64,
    /// The tax within the obligation; outside the scope if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// Whether headroom of who owes it is held for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub firm: bool,
    /// What is held of the issuer's headroom for what its reserve may fail to free, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pledge: Option<Money>,
}

impl OfferedShare {
    /// Who would owe the shop's participant for it.
    pub fn payer(&self) -> &ParticipantId {
        self.keeper.as_ref().unwrap_or(&self.issuer)
    }
}

/// A bill as it is offered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillTerms {
    /// The shop's legal entity.
    pub participant: ParticipantId,
    /// The currency of its amounts.
    pub currency: Currency,
    /// What is to be paid with points.
    pub amount: Money,
    /// Until when it can be captured, in Unix seconds.
    pub deadline: u64,
    /// The shop's receipt number.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// Whether all of it is captured at once.
    pub capture: bool,
    /// The split that is proposed: one for each unit.
    pub shares: Vec<OfferedShare>,
    /// The network's fees for it, in full; none if none were published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<FeeTerms>,
}

/// What is offered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum OfferTerms {
    /// Points of one unit for points of another.
    Exchange(Box<ExchangeTerms>),
    /// Points for a bill.
    Payment(BillTerms),
}

/// A payment or exchange that nobody has agreed to yet: all amounts are fixed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Whose it is: a holder's for an exchange, a shop's brand's for a payment.
    pub by: Principal,
    /// The key that asked for it.
    pub key: Kid,
    /// What is offered.
    pub terms: OfferTerms,
    /// First instant at which it can no longer be agreed to.
    pub until: Time,
    /// What became of it.
    pub state: OfferState,
}

impl Offer {
    /// What a consent repeats: SHA-256 of the canonical JSON of id, terms and deadline. The network stands in the
    /// consent itself.
    pub fn hash(&self, id: OfferId) -> Hash {
        #[derive(Serialize)]
        struct Offered<'a> {
            offer: OfferId,
            terms: &'a OfferTerms,
            until: Time,
        }
        Hash::sha256(&encode(&Offered { offer: id, terms: &self.terms, until: self.until }))
    }

    /// Whether it can be agreed to at `at`.
    pub fn open(&self, at: Time) -> bool {
        self.state == OfferState::Open && at < self.until
    }
}

/// An exchange that happened, as the holder of the points that were given up knows it. It does not say whose the
/// points are that were got: only their own holder and brand read that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The offer that was agreed to.
    pub offer: OfferId,
    /// Whose points were given up.
    pub account: crate::types::AccountId,
    /// Its terms.
    pub terms: ExchangeTerms,
    /// How much of what it is worth was charged back by a dispute that is open or won.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub charged: Money,
    /// Every dispute over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeId>,
    /// How much of that disputes took back, if it is taxed.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub won: Money,
}

/// Awards of one entry that another participant pays for, as both sides know them: they name no account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sponsored {
    /// The unit.
    pub unit: UnitCode,
    /// How many points, in all.
    pub points: Points,
    /// The key that awarded them.
    pub key: Kid,
    /// Who pays for them: the participant of the brand whose key awarded them.
    pub debtor: ParticipantId,
    /// Who is owed: the participant of the unit.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// What is owed for them: the sum of ceil(points · issue) over the awards.
    pub worth: Money,
    /// The version of the prices that was applied.
    pub price: u64,
    /// The tax within what is owed; outside the scope if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// When.
    pub at: Time,
    /// How much of what they are worth was charged back by a dispute that is open or won.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub charged: Money,
    /// How much of that disputes took back, if it is taxed.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub won: Money,
    /// Every dispute over them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeId>,
    /// How many of the points were taken back.
    #[serde(default, skip_serializing_if = "Points::is_zero_ref")]
    pub clawed_back: Points,
    /// How much of what they are worth is not owed any more for that.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub returned: Money,
}

impl Sponsored {
    /// How much of what they are worth was taken back, by disputes, if it is taxed, and with the points.
    pub fn taken_back(&self) -> Money {
        self.won.plus(self.returned).unwrap_or(self.worth)
    }
}

/// Points of an award that were taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClawedBack {
    /// Whose they were.
    pub account: crate::types::AccountId,
    /// How many the award gave.
    pub awarded: Points,
    /// How many were taken back, in all.
    pub taken: Points,
    /// When they were earned.
    pub month: Month,
    /// Where they came from.
    pub origin: Origin,
    /// Their last day, if the award said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Why, the last time, as a code.
    pub reason: Ident,
}
