//! Kinds: the closed list of what an entry can be.

use crate::types::Malformed;
use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($name:ident $text:literal $public:literal $command:literal $doc:literal)*) => {
        /// What an entry is.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind { $(#[doc = $doc] $name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As the envelope writes it.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether content and evidence stand in the envelope, for everybody.
            pub fn is_public(self) -> bool {
                match self { $(Self::$name => $public,)* }
            }

            /// The `kind` of the command that makes it; empty if another typ or no command does.
            pub fn command(self) -> &'static str {
                match self { $(Self::$name => $command,)* }
            }

            /// What it means, for people.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

kinds! {
    Genesis "genesis" true "" "The network begins."
    Term "term" true "" "A writer begins its term."
    ParticipantRegistered "participant.registered" true "participant.register" "A legal entity joins."
    BrandRegistered "brand.registered" true "brand.register" "A brand joins with its root key."
    BrandFrozen "brand.frozen" true "brand.freeze" "A brand is frozen or released."
    NetworkFrozen "network.frozen" true "network.freeze" "The network is frozen or released."
    KeyCertified "key.certified" true "" "A root certifies a key."
    KeyRevoked "key.revoked" true "key.revoke" "A key is retired, reported compromised or restored."
    BudgetSet "budget.set" true "" "A brand's root lets a key issue points."
    UnitDefined "unit.defined" true "unit.define" "A unit is created or its settings change."
    UnitFrozen "unit.frozen" true "unit.freeze" "A unit is frozen or released."
    PricesPublished "prices.published" true "prices.publish" "A version of a unit's prices is published."
    AcceptancePublished "acceptance.published" true "acceptance.publish" "A brand publishes whose units it takes."
    BreakagePublished "breakage.published" true "breakage.publish" "A brand publishes how many of its points it expects to be spent."
    FeesPublished "fees.published" true "fees.publish" "A version of the network's fees is published."
    TaxPublished "tax.published" true "tax.publish" "A participant publishes how what it supplies is taxed."
    ReserveSet "reserve.set" true "reserve.set" "How much must stand behind a unit's points is set."
    Snapshot "snapshot" true "" "The root over all state records as of an earlier entry."
    EvidenceErased "evidence.erased" true "evidence.erase" "A part that holds evidence is erased; its hash stays."
    AccountOpened "account.opened" false "account.open" "An account is opened, or gets its key."
    AccountFrozen "account.frozen" false "account.freeze" "An account is frozen or released."
    AccountKeyRevoked "account.key_revoked" false "account.key_revoke" "The key of an account is revoked."
    AccountTierSet "account.tier_set" false "account.set_tier" "The membership tier of an account is set."
    PointsIssued "points.issued" false "" "A point token is taken in."
    PointsBatch "points.batch" false "" "A signed batch of awards is taken in."
    PointsClawedBack "points.clawed_back" false "points.claw_back" "Points of an award are taken back, as far as they are unspent."
    ConsentOpened "consent.opened" false "consent.open" "A consent is opened at a till, by a code that its holder showed."
    PaymentAuthorised "payment.authorised" false "payment.authorise" "Points are held for a bill, or taken at once."
    PaymentCaptured "payment.captured" false "payment.capture" "Points of a payment are taken."
    PaymentVoided "payment.voided" false "payment.void" "What a payment still holds is released."
    PaymentRefunded "payment.refunded" false "payment.refund" "Points of a payment are given back."
    OfferMade "offer.made" false "offer.make" "A payment or an exchange is offered: its amounts are fixed for a minute."
    OfferCancelled "offer.cancelled" false "offer.cancel" "An offer is taken back; what it held is free again."
    ExchangeMade "exchange.made" false "exchange.agree" "Points of one unit become points of another, as offered."
    CycleSealed "cycle.sealed" false "cycle.seal" "A cycle is sealed, and the next one opens."
    CycleComputed "cycle.computed" false "cycle.compute" "A cycle's nets and instructions are computed."
    CycleMoved "cycle.moved" false "cycle.move" "A cycle goes a step on: review, approval, payments in and out, shortfall, end."
    ObjectionFiled "objection.filed" false "objection.file" "A participant objects to obligations of a cycle."
    ObjectionAnswered "objection.answered" false "objection.answer" "An objection is accepted or rejected."
    StatementImported "statement.imported" false "statement.import" "A bank statement is taken in, and nothing is confirmed yet."
    StatementAccepted "statement.accepted" false "statement.accept" "A bank statement is accepted: what it says is paid."
    StatementRejected "statement.rejected" false "statement.reject" "A bank statement that was imported is not accepted: it changes nothing."
    LineAssigned "line.assigned" false "line.assign" "A line of a bank statement that fitted nothing: what it was about after all."
    InstructionMoved "instruction.moved" false "instruction.move" "An instruction is acknowledged, rejected, issued again, sent or written off."
    FundingSet "funding.set" false "funding.set" "What stands behind a participant's debts is set."
    CoverMoved "cover.moved" false "cover.move" "A participant's cover, or the reserve of a unit, is topped up or taken back."
    MarginCalled "margin.called" false "margin.call" "A participant that stands for more than is behind it is called upon to bring what is missing."
    PeriodClosed "period.closed" false "period.close" "A month is closed: what comes later for it is told as prior-period."
    DetailsSet "details.set" false "details.set" "A participant's bank details are set, as a commitment."
    DetailsConfirmed "details.confirmed" false "details.confirm" "Bank details were confirmed by calling back: they count from the next cycle."
    ScheduleSet "schedule.set" false "schedule.set" "It is set when cycles are sealed by themselves."
    NettingSet "netting.set" true "netting.set" "A participant declares whether it accepts the clearing house as its counterparty."
    CycleSetOff "cycle.set_off" false "cycle.set_off" "What stands apart is set off and taken out of a cycle; the rest stays owed between the same two."
    DueClaimed "due.claimed" false "due.claim" "A debtor says that it paid what was left to its creditor after set-off."
    DueConfirmed "due.confirmed" false "due.confirm" "A creditor says that it was paid what was left to it after set-off."
    CycleDue "cycle.due" false "" "The open cycle is sealed by the schedule, and the next one opens."
    DisputeFiled "dispute.filed" false "dispute.file" "Whoever owes for a payment, an exchange or sponsored awards disputes that."
    DisputeMoved "dispute.moved" false "dispute.move" "A dispute goes a step on."
    ComplaintFiled "complaint.filed" false "complaint.file" "A consumer complains."
    ComplaintMoved "complaint.moved" false "complaint.move" "A complaint goes a step on."
    Tick "tick" false "" "Due work is swept: holds past their deadline, lots past their date."
    Refused "refused" false "" "Commands were refused for good: their ids are spent."
}

impl Kind {
    /// Whether its evidence stays: what companies and the operator ask for in clearing names no person, and a tier is a
    /// brand's word on an account, which the effects name too.
    pub fn keeps_evidence(self) -> bool {
        matches!(
            self,
            Self::AccountTierSet
                | Self::CycleSealed
                | Self::CycleComputed
                | Self::CycleMoved
                | Self::CycleSetOff
                | Self::DueClaimed
                | Self::DueConfirmed
                | Self::ObjectionFiled
                | Self::ObjectionAnswered
                | Self::StatementImported
                | Self::StatementAccepted
                | Self::StatementRejected
                | Self::LineAssigned
                | Self::InstructionMoved
                | Self::FundingSet
                | Self::CoverMoved
                | Self::MarginCalled
                | Self::ScheduleSet
                | Self::PeriodClosed
                | Self::DetailsSet
                | Self::DetailsConfirmed
                | Self::DisputeFiled
                | Self::DisputeMoved
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Kind {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL
            .iter()
            .find(|kind| kind.text() == text)
            .copied()
            .ok_or_else(|| Malformed(format!("{text:?} is not a kind of entry")))
    }
}
