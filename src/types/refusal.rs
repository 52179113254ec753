//! Refusals: every domain "no" that there is, in order of precedence.
//!
//! A refusal is data, not a fault: it has a stable code, an action for the till that receives it and a
//! text that says what to do. Codes are only ever added.

use super::id::ParticipantId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What a till should do with a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The request itself is wrong: change it.
    FixRequest,
    /// Ask the customer for another way to pay.
    OtherTender,
    /// Send the same again a little later.
    Retry,
    /// The issuer of the points, or the operator, must act first.
    CallIssuer,
}

impl Action {
    /// The code as programs read it.
    pub fn code(self) -> &'static str {
        match self {
            Self::FixRequest => "fix_request",
            Self::OtherTender => "other_tender",
            Self::Retry => "retry",
            Self::CallIssuer => "call_issuer",
        }
    }
}

macro_rules! refusals {
    ($($name:ident $code:literal $action:ident $burns:literal $text:literal)*) => {
        /// A refusal code. The order is the order of precedence: of several reasons the first is given.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Refusal { $(#[doc = $text] $name,)* }

        impl Refusal {
            /// Every refusal, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What a till should do.
            pub fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)* }
            }

            /// What it means and what to do, for people.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether the refusal depends on state that belongs to the request: it is then recorded in
            /// the log and the command's id is spent. Evidence, key status, unknown things and windows of
            /// time are not: the same request may succeed later.
            pub fn burns(self) -> bool {
                match self { $(Self::$name => $burns,)* }
            }
        }
    };
}

refusals! {
    // The shape of the evidence.
    TooLarge "too_large" FixRequest false "The request is larger than allowed. Split it."
    Malformed "malformed" FixRequest false "The request is not of the documented form. The detail names the place."
    TokenMalformed "token_malformed" FixRequest false "The token is not a compact JWS: three base64url parts without padding, joined by dots."
    TokenTooLarge "token_too_large" FixRequest false "The token is longer than 4 KiB. Send large lists as a batch."
    TokenHeader "token_header" FixRequest false "The token's header must be exactly {alg, typ, kid} with alg EdDSA."
    TokenType "token_type" FixRequest false "The token's typ is not one that is taken here."
    TokenPayload "token_payload" FixRequest false "The token's payload does not follow the grammar of its typ. The detail names the member."
    SignatureMalformed "signature_malformed" FixRequest false "The HTTP message signature is not of the documented form. The detail names what is wrong with it."
    SignatureCoverage "signature_coverage" FixRequest false "The HTTP message signature covers too little, or what is not taken. The detail lists what it must cover."
    DigestMismatch "digest_mismatch" FixRequest false "Content-Digest must be exactly one sha-256 over the body's bytes as they were sent."
    SignatureStale "signature_stale" FixRequest false "The HTTP message signature does not count at this time. Sign again, for at most 300 seconds, with a clock that is right; the Idempotency-Key stays."
    AudienceMismatch "audience_mismatch" FixRequest false "The token is for another network. Its aud must be this network's id."
    SignatureInvalid "signature_invalid" FixRequest false "The signature does not verify under the key that the header names."
    EvidenceMissing "evidence_missing" FixRequest false "The command lacks a signature that it needs: an approval, a consent or a proof of possession."
    EvidenceMismatch "evidence_mismatch" FixRequest false "A signature that came along is for something else than this command."
    NotDriven "not_driven" FixRequest false "This network runs on real time; a command cannot bring its own."
    TimeBackwards "time_backwards" FixRequest false "The time given lies before the log's newest entry. Send commands in the order of their time."
    // Who may.
    KeyUnknown "key_unknown" CallIssuer false "The signing key is not registered in this network."
    KeyPurpose "key_purpose" FixRequest false "A key of this purpose may not sign this. Use the key that the documentation names for the command."
    KeyOwner "key_owner" FixRequest false "The key belongs to somebody else than the one this command concerns."
    KeyRetired "key_retired" CallIssuer false "The key is retired: what it signed before counts, nothing new."
    KeyCompromised "key_compromised" CallIssuer false "The key was reported compromised. Nothing that it signs counts any more."
    KeyExpired "key_expired" CallIssuer false "The key's certificate is not valid at this time. Have it certified anew."
    // Ids.
    IdReused "id_reused" FixRequest false "This id was used for another request. Take a new id for a new request."
    TokenConflict "token_conflict" CallIssuer true "A token with this jti but other content was taken in before."
    RefConflict "ref_conflict" FixRequest true "This receipt was awarded before with other content."
    ConsentUsed "consent_used" OtherTender true "This consent was used before. Ask the customer for a new one."
    // Unknown and already there.
    ParticipantUnknown "participant_unknown" FixRequest false "There is no such participant."
    BrandUnknown "brand_unknown" FixRequest false "There is no such brand in this network."
    UnitUnknown "unit_unknown" FixRequest false "There is no such unit in this network."
    AccountUnknown "account_unknown" FixRequest false "There is no such account."
    PaymentUnknown "payment_unknown" FixRequest false "There is no such payment."
    ConsentUnknown "consent_unknown" OtherTender false "There is no such consent open at this till. Ask the customer to show a code."
    OfferUnknown "offer_unknown" FixRequest false "There is no such offer, or it is somebody else's."
    CycleUnknown "cycle_unknown" FixRequest false "There is no such cycle."
    InstructionUnknown "instruction_unknown" FixRequest false "There is no such instruction."
    ObjectionUnknown "objection_unknown" FixRequest false "There is no such objection."
    DisputeUnknown "dispute_unknown" FixRequest false "There is no such dispute."
    ComplaintUnknown "complaint_unknown" FixRequest false "There is no such complaint."
    AwardUnknown "award_unknown" FixRequest false "No key of the brand made an award with this text. Send the batch's line, the token or the request's body as it was taken in, to the byte; it has a receipt's number, or is a token."
    DetailsUnknown "details_unknown" FixRequest false "The participant has no bank details in this currency. It sets them, then they are confirmed; or an analyst objects for those who owe it, and it waits for the next cycle."
    StatementUnknown "statement_unknown" FixRequest false "There is no such bank statement."
    TargetUnknown "target_unknown" FixRequest false "There is no such key."
    AlreadyExists "already_exists" FixRequest true "Something of this name is there already, with other content."
    SerialStale "serial_stale" FixRequest true "A version with this number or a higher one is in force. Take the next number."
    // Time.
    TokenExpired "token_expired" CallIssuer false "The token's exp has passed. Ask the issuer for a new one."
    ConsentExpired "consent_expired" OtherTender false "The consent's time has passed. Ask the customer again."
    OccurredAtOutOfWindow "occurred_at_out_of_window" CallIssuer false "occurred_at lies more than 30 days back, or ahead. The issuer's budget can open a backfill window."
    NotYetValid "not_yet_valid" Retry false "This is not valid yet."
    // Frozen.
    NetworkFrozen "network_frozen" Retry true "The network is frozen by its operator."
    BrandFrozen "brand_frozen" OtherTender true "The brand is frozen: nothing new may be issued or spent until it is released."
    UnitFrozen "unit_frozen" OtherTender true "The unit is frozen: nothing new may be issued or spent until it is released."
    AccountFrozen "account_frozen" OtherTender true "The account is frozen by its holder, its brand or the operator."
    // Settings.
    SettingInvalid "setting_invalid" FixRequest true "A setting is out of its range, or may not be changed after creation."
    NoPrice "no_price" CallIssuer true "The unit has no price in this currency in force now."
    NoticeTooShort "notice_too_short" FixRequest true "It begins sooner than the notice allows. The detail says from when on it may."
    BelowFloor "below_floor" FixRequest true "The price is below the least that the unit promises for a point."
    PriceStale "price_stale" CallIssuer true "The unit's prices in this currency have ended, and no later version is in force."
    ExchangePaused "exchange_paused" OtherTender true "Nothing is exchanged into this unit now: a version of its prices that is in force or announced would pay more for a point than another one charges for it."
    UnitNotAccepted "unit_not_accepted" OtherTender true "This brand does not accept this unit: for payment, or for exchange into its own."
    // Limits.
    BudgetMissing "budget_missing" CallIssuer true "The key has no budget: the brand's root must sign one."
    BudgetExpired "budget_expired" CallIssuer true "The key's budget has ended."
    BudgetExceeded "budget_exceeded" CallIssuer true "The key's budget is used up. The brand's root can sign a larger one with the next serial."
    HourlyCeilingExceeded "hourly_ceiling_exceeded" Retry true "The key would issue more within this hour than its budget lets it. Try again in the next hour; what is above the ceiling by itself needs a budget with a higher one. The detail says the amounts."
    SponsorPriceExceeded "sponsor_price_exceeded" CallIssuer true "The unit's issue price is above what the sponsor agreed to pay. Both brands' roots can sign a budget with a dearer one, with the next serial."
    IssueCapExceeded "issue_cap_exceeded" CallIssuer true "The unit's issue cap is reached."
    IssuanceCoverExceeded "issuance_cover_exceeded" CallIssuer true "The unit's reserve does not stand for more points than are outstanding. The participant behind them can top it up; its own keys and the operator's are told what is needed and what is there."
    TillLimitExceeded "till_limit_exceeded" OtherTender true "The till's limit per transaction, hour or day does not allow this."
    AssertedLimitExceeded "asserted_limit_exceeded" OtherTender true "The key is held by the network, and its certificate does not let it move as much, for one account or in all, within a day."
    AcceptanceCapExceeded "acceptance_cap_exceeded" OtherTender true "The shop's brand has taken as much of this unit today as it wants to."
    OfferLimitExceeded "offer_limit_exceeded" Retry true "The shop's brand has offered bills in as many points of this unit within the minute as the unit allows, or firm offers to one participant hold as much of another's headroom as they may. Try again in the next minute."
    TooManyOffers "too_many_offers" OtherTender true "The account has three offers open. Agree to one, cancel one, or wait a minute."
    ExposureExceeded "exposure_exceeded" OtherTender true "The participant behind these points may owe no more: its cap or its cover is used up. It can settle or top up; its own keys and the operator's are told how much is left."
    PairCapExceeded "pair_cap_exceeded" OtherTender true "The participant behind these points may owe this shop's participant no more."
    // Amounts.
    AmountTooSmall "amount_too_small" FixRequest true "The amount is below the minimum."
    AmountTooLarge "amount_too_large" FixRequest true "The amount is above the maximum, or a sum would pass 2^53 - 1."
    SharesMismatch "shares_mismatch" FixRequest true "The consents' shares do not add up to the amount, or a unit or account stands twice."
    ConsentMismatch "consent_mismatch" OtherTender true "The consent is for another shop, till, payment, currency or account."
    ConsentExceeded "consent_exceeded" OtherTender true "More is asked for than the customer agreed to."
    InsufficientPoints "insufficient_points" OtherTender true "The account has too few spendable points."
    TooManyLots "too_many_lots" CallIssuer true "The account holds points of more than 64 kinds of lots. A coarser expiry policy is needed."
    TooManyHolds "too_many_holds" OtherTender true "The account has 64 payments open. Capture or void some first."
    OfferClosed "offer_closed" OtherTender true "The offer was agreed to or cancelled, or its deadline has passed. Ask for a new one."
    OfferMismatch "offer_mismatch" FixRequest true "This is not what was offered: the hash, an amount or a date differs."
    PaymentClosed "payment_closed" FixRequest true "The payment is captured, voided or past its deadline, or too old for a till to refund. The detail says who can still refund it."
    CaptureExceeded "capture_exceeded" FixRequest true "More would be captured than was authorised."
    RefundExceeded "refund_exceeded" FixRequest true "More would be refunded than was captured."
    ClawBackExceeded "claw_back_exceeded" FixRequest true "More would be taken back than the award gave, less what was taken back before. The detail says what is left."
    // Clearing.
    CycleStage "cycle_stage" FixRequest true "The cycle's stage does not allow this step. The detail names the stage."
    CycleDigest "cycle_digest" FixRequest true "The digest is not that of the cycle's nets. Compute again from the cycle's obligations."
    CycleOpenWork "cycle_open_work" FixRequest true "Something must be done first: an objection is unanswered, a time has not passed, or an earlier cycle is not approved. The detail says what."
    CyclesTooMany "cycles_too_many" Retry true "Too many cycles are under way. Settle or void one first."
    PeopleMissing "people_missing" FixRequest false "Two different people must approve this with their approver keys, and the one who accepts is not the one who made it."
    ObjectionInvalid "objection_invalid" FixRequest true "The objection is not about an obligation of this cycle, is for more than that, or was answered."
    StatementInvalid "statement_invalid" FixRequest true "The statement's balances do not follow from the last accepted one and its lines, or it was accepted before."
    LineInvalid "line_invalid" FixRequest true "The line is none of an accepted statement that is nobody's still, or it does not fit: the instruction's way, currency, stage or what is open of it, the line that it takes back, the withdrawal, or what is the operator's. The detail says which."
    CoverInvalid "cover_invalid" FixRequest true "Cover rests on a line of an accepted statement by which money came in that nothing else was about, and on no more than is left of it; what is withdrawn is there, and names the order's reference. The detail says what is wrong."
    MarginCallInvalid "margin_call_invalid" FixRequest true "The participant stands for no more than is behind it, or the deadline is not ahead, is more than 30 days ahead, or would put off a call that was not met. The detail says which."
    InstructionStage "instruction_stage" FixRequest true "The instruction's stage does not allow this step. The detail names the stage."
    DisputeInvalid "dispute_invalid" FixRequest true "The reason is none of the documented ones, its time has passed, or more is disputed than is owed and neither refunded nor charged back, or it was disputed for the same reason or three times before. The detail says which."
    DisputeStage "dispute_stage" FixRequest true "The dispute's stage does not allow this step now. The detail names the stage."
    ComplaintInvalid "complaint_invalid" FixRequest true "The reason is none of the documented ones, too many documents came along, or as many complaints of the account as may be are open: withdraw one, or wait for an answer."
    ComplaintStage "complaint_stage" FixRequest true "The complaint's stage does not allow this step now. The detail names the stage."
    // Batches.
    BatchMismatch "batch_mismatch" FixRequest false "The lines do not match the count, total or root that the batch signs."
    BatchLine "batch_line" FixRequest true "A line of the batch is not of the documented form."
    BatchRejected "batch_rejected" FixRequest true "The batch is all or nothing, and some of its lines are refused. The detail names them."
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Refusal {
    type Err = super::Malformed;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .find(|r| r.code() == text)
            .copied()
            .ok_or_else(|| super::Malformed(format!("{text:?} is not a refusal code")))
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A refusal with what it was about, for the person who has to mend it. The log records the code only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The code.
    pub code: Refusal,
    /// The member, number or id that was wrong; may be empty. Never personal data or a secret.
    pub about: String,
    /// What one participant alone is told besides: amounts of what stands behind it. Nobody is told unless they are found to
    /// speak for it.
    pub told: Option<Box<(ParticipantId, String)>>,
}

impl Refused {
    /// A refusal that says what it is about.
    pub fn about(code: Refusal, about: impl fmt::Display) -> Self {
        Self { code, about: about.to_string(), told: None }
    }

    /// The same with what is told to this participant alone, and to the operator.
    pub fn telling(self, who: &ParticipantId, what: String) -> Self {
        Self { told: Some(Box::new((who.clone(), what))), ..self }
    }

    /// What whoever asked may read: with what is told to a participant alone, or without.
    pub fn opened(self, own: bool) -> Self {
        let Some(told) = self.told.filter(|_| own) else { return Self { told: None, ..self } };
        Self { about: format!("{}; {}", self.about, told.1), told: None, ..self }
    }
}

impl From<Refusal> for Refused {
    fn from(code: Refusal) -> Self {
        Self { code, about: String::new(), told: None }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.code.text())?;
        if !self.about.is_empty() {
            write!(f, " ({})", self.about)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}
