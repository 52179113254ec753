//! What each operation can be refused with, for the document.
//!
//! Owns: the table. Promises: what the text tables of refusals show of a kind of command stands in it
//! (`tests/api.rs` compares them). Refuses to know: why.

use super::gate;
use super::problem::Code;
use crate::machine::{Carrier, Kind, Method, Route};
use crate::types::Refusal;

/// Whether an operation waits for the entry that `Min-Seq` names.
pub fn waits(route: &Route) -> bool {
    let shows = match route.carrier {
        Carrier::Vault => route.id == "getWallet",
        _ => !matches!(route.id, "getNetwork" | "getMe" | "listRefusals"),
    };
    route.method == Method::Get && route.path.starts_with("/v1/") && shows
}

/// Whether credentials are looked at: wrong ones are refused also where none are needed.
fn asks_who(route: &Route) -> bool {
    !matches!(route.id, "getHealth" | "getReadiness")
}

/// Before the machine is asked, or when something broke.
pub fn of_way(route: &Route) -> Vec<Code> {
    let mut codes = vec![Code::QueryInvalid, Code::RateLimited, Code::Broken, Code::Busy];
    if route.path.contains('{') || route.kind.is_none() {
        codes.push(Code::NotFound);
    }
    if asks_who(route) {
        codes.extend([
            Code::HeaderInvalid,
            Code::Unauthenticated,
            Code::ApiKeyUnknown,
            Code::ApiKeyExpired,
            Code::SignatureReplayed,
            Code::ScopeMissing,
        ]);
    }
    if route.carrier != Carrier::Nobody {
        codes.push(Code::NotYours);
    }
    if route.method == Method::Get && gate::is_of_log(route.path) {
        codes.push(Code::Stale);
    }
    if waits(route) {
        codes.extend([Code::NotYetThere, Code::HeaderInvalid]);
    }
    if route.method != Method::Get {
        codes.extend([Code::BodyInvalid, Code::BodyTooLarge, Code::BodyTooSlow, Code::MediaTypeUnsupported]);
    }
    if route.method == Method::Post && matches!(route.carrier, Carrier::Vault | Carrier::Optional) {
        // The vault's: a name or an application that somebody has, or decided, already.
        codes.push(Code::AlreadyTaken);
    }
    if matches!(
        route.id,
        "getCycleReport"
            | "getOrders"
            | "listNotices"
            | "matchStatement"
            | "readStatusReport"
            | "eraseDocument"
    ) {
        codes.push(Code::NotReady);
    }
    match route.id {
        // A file of orders that leaves is compared with what this node would make.
        "moveCycle" | "moveInstruction" => codes.extend([Code::NotReady, Code::FileMismatch]),
        // Bank details that would count are in the vault.
        "confirmBankDetails" => codes.push(Code::NotReady),
        "addDocument" => codes.push(Code::DocumentMismatch),
        "getDocument" => codes.push(Code::DocumentErased),
        _ => {}
    }
    if route.carrier == Carrier::Command {
        codes.extend([Code::IdempotencyKeyMissing, Code::IdempotencyKeyMismatch, Code::HeldKeyMissing]);
    }
    codes
}

/// By the machine.
pub fn of(route: &Route) -> Vec<Refusal> {
    use Refusal::*;
    let mut codes = vec![];
    if asks_who(route) {
        codes.extend([
            SignatureMalformed,
            SignatureCoverage,
            DigestMismatch,
            SignatureStale,
            SignatureInvalid,
            KeyUnknown,
            KeyRetired,
            KeyCompromised,
            KeyExpired,
        ]);
    }
    if matches!(route.id, "resolveAccount" | "addWalletAccount") {
        codes.push(UnitUnknown);
    }
    // An application is a registration that is decided later.
    let registers = matches!(route.id, "apply" | "approveApplication").then_some(Kind::BrandRegistered);
    let Some(kind) = route.kind.or(registers) else { return codes };
    codes.extend([
        TooLarge,
        Malformed,
        TokenMalformed,
        TokenTooLarge,
        TokenHeader,
        TokenType,
        TokenPayload,
        AudienceMismatch,
        EvidenceMissing,
        EvidenceMismatch,
        NotDriven,
        TimeBackwards,
        KeyPurpose,
        KeyOwner,
        IdReused,
    ]);
    codes.extend_from_slice(of_kind(kind));
    codes
}

/// What a kind of command can be refused with, beside what all can.
fn of_kind(kind: Kind) -> &'static [Refusal] {
    use Refusal::*;
    match kind {
        Kind::ParticipantRegistered | Kind::EvidenceErased => &[AlreadyExists, SettingInvalid],
        Kind::BrandRegistered => &[ParticipantUnknown, AlreadyExists, SettingInvalid],
        Kind::BrandFrozen => &[BrandUnknown],
        Kind::KeyCertified => &[BrandUnknown, ParticipantUnknown, AlreadyExists, SettingInvalid],
        Kind::KeyRevoked | Kind::AccountKeyRevoked => &[TargetUnknown, AccountUnknown, SettingInvalid],
        Kind::BudgetSet => &[TargetUnknown, UnitUnknown, SerialStale, SettingInvalid, BudgetExpired],
        Kind::UnitDefined => &[BrandUnknown, AlreadyExists, SerialStale, SettingInvalid],
        Kind::UnitFrozen => &[UnitUnknown],
        Kind::PricesPublished => &[
            UnitUnknown,
            ParticipantUnknown,
            SerialStale,
            SettingInvalid,
            NoticeTooShort,
            BelowFloor,
            PeopleMissing,
        ],
        Kind::AcceptancePublished => {
            &[BrandUnknown, UnitUnknown, SerialStale, SettingInvalid, NoticeTooShort]
        }
        Kind::BreakagePublished => &[UnitUnknown, SerialStale, SettingInvalid, PeopleMissing],
        Kind::FeesPublished => {
            &[UnitUnknown, ParticipantUnknown, SerialStale, SettingInvalid, NoticeTooShort, PeopleMissing]
        }
        Kind::TaxPublished => &[ParticipantUnknown, SerialStale, SettingInvalid],
        Kind::AccountOpened => &[
            UnitUnknown,
            AccountUnknown,
            AlreadyExists,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            SettingInvalid,
        ],
        Kind::AccountFrozen | Kind::AccountTierSet => &[AccountUnknown],
        Kind::PointsIssued | Kind::PointsBatch => &[
            TokenConflict,
            RefConflict,
            BrandUnknown,
            UnitUnknown,
            AccountUnknown,
            TokenExpired,
            OccurredAtOutOfWindow,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            SettingInvalid,
            NoPrice,
            PriceStale,
            ExchangePaused,
            BudgetMissing,
            BudgetExpired,
            BudgetExceeded,
            HourlyCeilingExceeded,
            SponsorPriceExceeded,
            IssueCapExceeded,
            IssuanceCoverExceeded,
            ExposureExceeded,
            PairCapExceeded,
            AmountTooSmall,
            AmountTooLarge,
            TooManyLots,
            SharesMismatch,
            AssertedLimitExceeded,
            BatchMismatch,
            BatchLine,
            BatchRejected,
        ],
        Kind::ConsentOpened => &[
            ConsentUsed,
            BrandUnknown,
            ConsentExpired,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            NoPrice,
            PriceStale,
            AmountTooSmall,
            ConsentMismatch,
        ],
        Kind::PaymentAuthorised => &[
            ConsentUsed,
            ConsentUnknown,
            ConsentExpired,
            BrandUnknown,
            UnitUnknown,
            AccountUnknown,
            NotYetValid,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            SettingInvalid,
            NoPrice,
            PriceStale,
            UnitNotAccepted,
            OfferUnknown,
            OfferClosed,
            OfferMismatch,
            TillLimitExceeded,
            AcceptanceCapExceeded,
            AssertedLimitExceeded,
            ExposureExceeded,
            PairCapExceeded,
            AmountTooSmall,
            AmountTooLarge,
            SharesMismatch,
            ConsentMismatch,
            ConsentExceeded,
            InsufficientPoints,
            TooManyLots,
            TooManyHolds,
        ],
        Kind::OfferMade => &[
            UnitUnknown,
            AccountUnknown,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            SettingInvalid,
            NoPrice,
            PriceStale,
            ExchangePaused,
            UnitNotAccepted,
            OfferLimitExceeded,
            TooManyOffers,
            ExposureExceeded,
            PairCapExceeded,
            AmountTooSmall,
            AmountTooLarge,
            SharesMismatch,
            InsufficientPoints,
            TooManyHolds,
        ],
        Kind::OfferCancelled => &[OfferUnknown, OfferClosed],
        Kind::ExchangeMade => &[
            OfferUnknown,
            UnitUnknown,
            AccountUnknown,
            NetworkFrozen,
            BrandFrozen,
            UnitFrozen,
            AccountFrozen,
            NoPrice,
            PriceStale,
            BudgetMissing,
            BudgetExpired,
            BudgetExceeded,
            HourlyCeilingExceeded,
            IssueCapExceeded,
            IssuanceCoverExceeded,
            ExposureExceeded,
            PairCapExceeded,
            AcceptanceCapExceeded,
            AmountTooLarge,
            TooManyLots,
            OfferClosed,
            OfferMismatch,
        ],
        Kind::PaymentCaptured => &[
            PaymentUnknown,
            TillLimitExceeded,
            AmountTooSmall,
            AmountTooLarge,
            PaymentClosed,
            CaptureExceeded,
        ],
        Kind::PaymentVoided => &[PaymentUnknown, TillLimitExceeded, PaymentClosed],
        Kind::PaymentRefunded => &[
            PaymentUnknown,
            TillLimitExceeded,
            AssertedLimitExceeded,
            AmountTooSmall,
            AmountTooLarge,
            PaymentClosed,
            RefundExceeded,
            TooManyLots,
        ],
        Kind::CycleSealed => &[CycleUnknown, CycleStage, CyclesTooMany],
        Kind::CycleComputed => {
            &[CycleUnknown, SerialStale, AmountTooLarge, CycleStage, CycleDigest, CycleOpenWork]
        }
        Kind::CycleMoved => &[
            CycleUnknown,
            ParticipantUnknown,
            DetailsUnknown,
            SerialStale,
            SettingInvalid,
            AmountTooLarge,
            CycleStage,
            CycleOpenWork,
            PeopleMissing,
        ],
        Kind::ObjectionFiled => {
            &[CycleUnknown, BrandUnknown, PaymentUnknown, AmountTooLarge, CycleStage, ObjectionInvalid]
        }
        Kind::ObjectionAnswered => {
            &[CycleUnknown, ObjectionUnknown, AmountTooLarge, CycleStage, PeopleMissing, ObjectionInvalid]
        }
        Kind::StatementImported => &[AlreadyExists, SettingInvalid, StatementInvalid],
        Kind::StatementAccepted => &[StatementUnknown, AmountTooLarge, PeopleMissing, StatementInvalid],
        Kind::StatementRejected => &[StatementUnknown, StatementInvalid],
        Kind::InstructionMoved => &[
            InstructionUnknown,
            ParticipantUnknown,
            DetailsUnknown,
            AmountTooLarge,
            PeopleMissing,
            InstructionStage,
        ],
        Kind::DetailsSet => &[ParticipantUnknown, SerialStale, SettingInvalid, PeopleMissing],
        Kind::DetailsConfirmed => &[DetailsUnknown, SerialStale, AlreadyExists, PeopleMissing],
        Kind::NettingSet => {
            &[ParticipantUnknown, SerialStale, ExposureExceeded, CycleOpenWork, PeopleMissing]
        }
        Kind::CycleSetOff => &[CycleUnknown, SerialStale, AmountTooLarge, CycleStage, CycleDigest],
        Kind::DueConfirmed => &[
            BrandUnknown,
            InstructionUnknown,
            AlreadyExists,
            SettingInvalid,
            AmountTooLarge,
            CycleOpenWork,
            PeopleMissing,
        ],
        Kind::DueClaimed => {
            &[BrandUnknown, InstructionUnknown, AlreadyExists, SettingInvalid, CycleOpenWork, PeopleMissing]
        }
        Kind::LineAssigned => &[
            ParticipantUnknown,
            InstructionUnknown,
            StatementUnknown,
            AmountTooLarge,
            PeopleMissing,
            LineInvalid,
        ],
        Kind::ScheduleSet | Kind::PeriodClosed => &[SerialStale, SettingInvalid, PeopleMissing],
        Kind::FundingSet => {
            &[ParticipantUnknown, SerialStale, SettingInvalid, ExposureExceeded, PeopleMissing]
        }
        Kind::ReserveSet => &[
            ParticipantUnknown,
            UnitUnknown,
            SerialStale,
            SettingInvalid,
            NoPrice,
            PriceStale,
            PeopleMissing,
        ],
        Kind::CoverMoved => &[
            ParticipantUnknown,
            BrandUnknown,
            UnitUnknown,
            StatementUnknown,
            NoPrice,
            PriceStale,
            IssuanceCoverExceeded,
            ExposureExceeded,
            AmountTooLarge,
            PeopleMissing,
            CoverInvalid,
        ],
        Kind::MarginCalled => &[ParticipantUnknown, AmountTooLarge, MarginCallInvalid],
        Kind::PointsClawedBack => &[
            AwardUnknown,
            UnitUnknown,
            AccountUnknown,
            BudgetMissing,
            HourlyCeilingExceeded,
            AmountTooLarge,
            InsufficientPoints,
            ClawBackExceeded,
        ],
        Kind::DisputeFiled => &[BrandUnknown, PaymentUnknown, AmountTooLarge, DisputeInvalid],
        Kind::DisputeMoved => {
            &[BrandUnknown, DisputeUnknown, AmountTooLarge, PeopleMissing, DisputeInvalid, DisputeStage]
        }
        Kind::ComplaintFiled => &[AccountUnknown, PaymentUnknown, ComplaintInvalid],
        Kind::ComplaintMoved => &[ComplaintUnknown, ComplaintStage],
        Kind::CycleDue
        | Kind::Genesis
        | Kind::Term
        | Kind::NetworkFrozen
        | Kind::Snapshot
        | Kind::Tick
        | Kind::Refused => &[],
    }
}
