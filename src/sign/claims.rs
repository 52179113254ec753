//! Claims: the payload of each typ, a closed grammar. Unknown members are errors.
//!
//! Instants are Unix seconds, dates `YYYY-MM-DD`, amounts integers. `aud` is the network's id (hex).

use super::{PublicKey, Purpose, optional_object, optional_objects};
use crate::types::{
    AccountId, BrandId, Currency, Date, Hash, Ident, Kid, Money, ParticipantId, Points, Rate, UnitCode,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An amount of money in its currency: what a purchase cost, or a most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// The amount.
    pub amount: Money,
    /// Its currency.
    pub currency: Currency,
}

/// Points for one line of a receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaleLine {
    /// The line, as the shop counts.
    pub id: Ident,
    /// What it cost.
    pub amount: Money,
    /// Points for it.
    pub points: Points,
}

/// An award: what a token grants, and what a line of a batch is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Award {
    /// The account that gets the points; it is opened if there is none.
    pub sub: AccountId,
    /// How many points, in the unit's minor units, at least 1.
    pub amount: Points,
    /// The shop's receipt number: points are given for it once.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// The shop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store: Option<Ident>,
    /// The till.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub till: Option<Ident>,
    /// When it happened; now if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occurred_at: Option<u64>,
    /// The shop's own day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub business_date: Option<Date>,
    /// A code for why, such as `goodwill`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
    /// A campaign's code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub campaign: Option<Ident>,
    /// The last day of these points; by the unit's policy if absent, and not after that for a sponsor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Date>,
    /// Their first day; by the unit's policy if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Date>,
    /// Points by line of the receipt; they sum to the amount.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub lines: Option<Vec<SaleLine>>,
    /// What was bought for.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub sale: Option<Sale>,
}

/// `point-token+jwt`: an award of its own, signed by an issuing key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointToken {
    /// The network.
    pub aud: Hash,
    /// The brand.
    pub iss: BrandId,
    /// The token's id: it takes effect once.
    pub jti: Ident,
    /// The unit.
    pub unit: UnitCode,
    /// When it was made; of no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iat: Option<u64>,
    /// First instant at which it is no longer taken in.
    pub exp: u64,
    /// See [`Award::sub`].
    pub sub: AccountId,
    /// See [`Award::amount`].
    pub amount: Points,
    /// See [`Award::reference`].
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// See [`Award::store`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store: Option<Ident>,
    /// See [`Award::till`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub till: Option<Ident>,
    /// See [`Award::occurred_at`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occurred_at: Option<u64>,
    /// See [`Award::business_date`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub business_date: Option<Date>,
    /// See [`Award::reason`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
    /// See [`Award::campaign`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub campaign: Option<Ident>,
    /// See [`Award::until`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Date>,
    /// See [`Award::from`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Date>,
    /// See [`Award::lines`].
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub lines: Option<Vec<SaleLine>>,
    /// See [`Award::sale`].
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub sale: Option<Sale>,
}

impl PointToken {
    /// The award in it.
    pub fn award(&self) -> Award {
        Award {
            sub: self.sub,
            amount: self.amount,
            reference: self.reference.clone(),
            store: self.store.clone(),
            till: self.till.clone(),
            occurred_at: self.occurred_at,
            business_date: self.business_date,
            reason: self.reason.clone(),
            campaign: self.campaign.clone(),
            until: self.until,
            from: self.from,
            lines: self.lines.clone(),
            sale: self.sale.clone(),
        }
    }
}

/// An award of its own as the body of a request: a `point-token+jwt` whose id is the request's, and whose time is that
/// of the request's signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AwardOrder {
    /// The brand whose points they are.
    pub iss: BrandId,
    /// The unit, one of the brand's own.
    pub unit: UnitCode,
    /// The account that gets the points; it is opened if there is none.
    pub sub: AccountId,
    /// How many points, in the unit's minor units, at least 1.
    pub amount: Points,
    /// The shop's receipt number: points are given for it once.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// The shop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store: Option<Ident>,
    /// The till.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub till: Option<Ident>,
    /// When it happened, in Unix seconds of log time; now if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occurred_at: Option<u64>,
    /// The shop's own day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub business_date: Option<Date>,
    /// A code for why, such as `goodwill`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
    /// A campaign's code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub campaign: Option<Ident>,
    /// The last day of these points; by the unit's policy if absent, and not after that for a sponsor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Date>,
    /// Their first day; by the unit's policy if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Date>,
    /// Points by line of the receipt; they sum to the amount.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub lines: Option<Vec<SaleLine>>,
    /// What was bought for.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub sale: Option<Sale>,
}

impl AwardOrder {
    /// The token that it stands for.
    pub fn token(self, aud: Hash, jti: Ident, exp: u64) -> PointToken {
        let Self {
            iss,
            unit,
            sub,
            amount,
            reference,
            store,
            till,
            occurred_at,
            business_date,
            reason,
            campaign,
            until,
            from,
            lines,
            sale,
        } = self;
        PointToken {
            aud,
            jti,
            iat: None,
            exp,
            iss,
            unit,
            sub,
            amount,
            reference,
            store,
            till,
            occurred_at,
            business_date,
            reason,
            campaign,
            until,
            from,
            lines,
            sale,
        }
    }
}

/// What a batch does with a line that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLineError {
    /// All or nothing.
    Reject,
    /// The others go in.
    Skip,
}

/// `point-batch+jwt`: signs count, total and root of up to 10,000 award lines (NDJSON).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointBatch {
    /// The network.
    pub aud: Hash,
    /// The brand.
    pub iss: BrandId,
    /// The batch's id: it takes effect once.
    pub jti: Ident,
    /// The unit.
    pub unit: UnitCode,
    /// When it was made; of no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iat: Option<u64>,
    /// First instant at which it is no longer taken in.
    pub exp: u64,
    /// Lines.
    pub count: u64,
    /// Sum of their amounts.
    pub total: Points,
    /// RFC 6962 root over the lines' bytes, without line ends.
    pub root: Hash,
    /// What to do with a line that is refused.
    pub on_line_error: OnLineError,
}

/// `payment-consent+jwt`: a holder agrees to spend points of one account in one payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentConsent {
    /// The network.
    pub aud: Hash,
    /// The consent's id: it takes effect once.
    pub jti: Ident,
    /// Whose points.
    pub account: AccountId,
    /// The shop's brand.
    pub payee: BrandId,
    /// The command id under which the till will ask.
    pub payment: Ident,
    /// The till, if only that one may.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub till: Option<Ident>,
    /// This account's share of the bill.
    pub amount: Money,
    /// Its currency.
    pub currency: Currency,
    /// Most points it may take.
    pub points: Points,
    /// Until when the points may be held, at the most.
    pub deadline: u64,
    /// The hash of the offer that it agrees to, hexadecimal, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<Hash>,
    /// When it was made; of no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iat: Option<u64>,
    /// First instant at which it is no longer taken: at most 5 minutes ahead when it is.
    pub exp: u64,
}

/// `spend-code+jwt`: what a phone shows at a till, also offline. It names no account: whose points it is about is whose
/// key signed it. It opens a consent, once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendCode {
    /// The network.
    pub aud: Hash,
    /// The code's id: it takes effect once.
    pub jti: Ident,
    /// The shop's brand, if only that one may.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payee: Option<BrandId>,
    /// Most that may be paid under the consent, in all.
    pub most: Money,
    /// Its currency.
    pub currency: Currency,
    /// When it was made; of no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iat: Option<u64>,
    /// First instant at which it is no longer taken: at most 60 seconds ahead when it is.
    pub exp: u64,
}

/// What the certificate of a till adds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TillClaims {
    /// The shop.
    pub store: Ident,
    /// The till.
    pub till: Ident,
    /// The legal entity that the shop belongs to.
    pub participant: ParticipantId,
    /// The most that the till may take, and the most that it may give back.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub limits: Option<TillLimits>,
}

/// What a till may take as payments, and as much again that it may give back by refunds and voids. A till
/// with limits deals in their currency only: amounts in two currencies do not add up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TillLimits {
    /// The currency of the amounts.
    pub currency: Currency,
    /// Most in one payment, refund or void.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub once: Option<Money>,
    /// Most in an hour.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hour: Option<Money>,
    /// Most in a day (UTC).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub day: Option<Money>,
}

/// What a held key may move at the most: a key whose secret the network keeps for its owner. What it signs
/// is asserted by the network, not signed by the owner, so the owner's root says how much it risks. In
/// points of the unit for an issuing key, in money of its limits' currency for a till's. All held keys of
/// a brand draw on the same counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldCaps {
    /// Most for one account in a day.
    pub per_account_day: u64,
    /// Most in a day: the unit's for points, UTC for money.
    pub per_day: u64,
}

/// `key-cert+jwt`: a root certifies a key. The key itself signs an approval of the certificate, which
/// proves its possession.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCert {
    /// The network.
    pub aud: Hash,
    /// The key.
    pub key: PublicKey,
    /// What it may sign.
    pub purpose: Purpose,
    /// Whose it is: a brand's id, or `op`.
    pub owner: String,
    /// First instant of validity.
    pub from: u64,
    /// First instant after it; for ever if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
    /// For tills.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub till: Option<TillClaims>,
    /// For issuing and till keys that the network holds.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub held: Option<HeldCaps>,
    /// For approver and operations keys: the person whose it is, by one id in the whole network.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Ident>,
}

/// `key-budget+jwt`: a brand's root lets a key issue points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBudget {
    /// The network.
    pub aud: Hash,
    /// The key that may issue.
    pub key: Kid,
    /// The unit that it may issue.
    pub unit: UnitCode,
    /// 1, then one more each time; the next replaces the one in force.
    pub serial: u64,
    /// Most points ever, over all serials.
    pub ceiling: Points,
    /// Most points in an hour.
    pub hourly: Points,
    /// First instant after the budget.
    pub until: u64,
    /// Receipts of these instants are taken however late.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub backfill: Option<Window>,
    /// The key is another brand's, whose participant pays for the points on these terms; that brand's root approves the
    /// budget.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub sponsored: Option<SponsorTerms>,
}

/// What a sponsor agreed to pay for points that its key awards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SponsorTerms {
    /// It pays in this currency.
    pub currency: Currency,
    /// The dearest issue price that it pays: while the unit's is above it, nothing is awarded.
    pub issue: Rate,
    /// Most money ever, over all serials; as much as the points cost if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ceiling: Option<Money>,
}

/// A window of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First instant.
    pub from: u64,
    /// First instant after it.
    pub until: u64,
}

/// `approval+jwt`: its signer agrees to the one statement with this digest, or proves with it that it
/// has the key which the statement names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The network.
    pub aud: Hash,
    /// SHA-256 of the signing input of what is approved.
    pub digest: Hash,
    /// When it was made; of no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iat: Option<u64>,
}

/// `command+jwt`: everything else that somebody may ask for. It has no end of its own, so that it may wait for approvals and
/// for a line; what is judged at the entry's time is its key, and the versions, serials and deadlines in its arguments. One
/// that was signed and not sent is called back by another command under the same id, or by retiring the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandClaims {
    /// The network.
    pub aud: Hash,
    /// The command's id, unique for its principal.
    pub cid: Ident,
    /// What is asked for, such as `payment.capture`.
    pub kind: String,
    /// The arguments, by kind.
    pub args: Box<RawValue>,
}
