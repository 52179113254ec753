//! Records: everything that state remembers, one shape each, written as canonical JSON.

use super::account::{Account, Lot};
use super::apart::{Due, Netting};
use super::clearing::{Bank, Closing, Complaint, Cycle, Instruction, Line, Objection, Roll, Statement, Told};
use super::details::{Details, DetailsVersion};
use super::dispute::Dispute;
use super::fees::{FeeTerms, FeeVersions, Fees, Tax, TaxTable};
use super::funding::{CoverStep, Funding, Pledge, Reserve};
use super::limit::Limit;
use super::name::Name;
use super::network::{Network, Participant};
use super::offer::{ClawedBack, Exchange, Offer, Sponsored};
use super::schedule::{Period, Schedule};
use super::terms::{Acceptance, Breakage, Floor, Notice, Price, Prices, Published, Sponsors};
use crate::sign::{HeldCaps, PublicKey, Purpose, SponsorTerms, TillLimits};
use crate::types::{
    BrandId, Currency, Date, DisputeId, Fingerprint, Hash, Ident, Kid, Malformed, Money, ParticipantId,
    Points, Refusal, Time, UnitCode, encode,
};
use serde::{Deserialize, Serialize};

/// A brand's root key and, if it named one, its recovery key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The root key.
    pub root: Kid,
    /// The key that may replace a lost root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Kid>,
}

/// A brand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// The legal entity that answers for its points.
    pub participant: ParticipantId,
    /// Its keys of last resort.
    pub root: Root,
    /// Nothing new while true.
    pub frozen: bool,
}

/// What became of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It may sign.
    Active,
    /// What it signed counts; nothing new.
    Retired,
    /// Nothing that it signs counts from here on.
    Compromised,
}

/// What a till key may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TillTerms {
    /// The shop.
    pub store: Ident,
    /// The till.
    pub till: Ident,
    /// The legal entity that the shop belongs to.
    pub participant: ParticipantId,
    /// The most that it may take, and the most that it may give back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<TillLimits>,
}

/// A key. One key, one purpose, one owner, one network, for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// The key itself.
    #[serde(deserialize_with = "crate::sign::recorded")]
    pub key: PublicKey,
    /// What it may sign.
    pub purpose: Purpose,
    /// Whose it is.
    pub owner: super::name::Principal,
    /// Its state.
    pub state: KeyState,
    /// First instant of validity, in Unix seconds.
    pub from: u64,
    /// First instant after validity, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// For till keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub till: Option<TillTerms>,
    /// For keys that the network holds: what they sign is asserted, up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldCaps>,
    /// For approver and operations keys: the person whose it is. Two keys of one person are not two people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Ident>,
}

/// What a key may issue, signed by the brand's root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The unit it may issue.
    pub unit: UnitCode,
    /// 1, then one more each time; the next replaces the one in force.
    pub serial: u64,
    /// Most points ever, counted over all serials.
    pub ceiling: Points,
    /// Most points in an hour.
    pub hourly: Points,
    /// First instant after the budget, in Unix seconds.
    pub until: u64,
    /// Receipts of these instants (Unix seconds, from and until) are taken however late, free of the
    /// hourly ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfill: Option<(u64, u64)>,
    /// If the key is another brand's, whose participant pays for the points: on which terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsored: Option<SponsorTerms>,
}

/// When points of a unit expire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Expiry {
    /// Never.
    Never,
    /// So many days after earning, rounded up to the end of a block of 1, 3 or 12 calendar months if
    /// `round` is given.
    Days {
        /// Days after earning.
        n: u32,
        /// Months of the block.
        #[serde(skip_serializing_if = "Option::is_none")]
        round: Option<u32>,
    },
    /// So many months after earning, rounded like days.
    Months {
        /// Months after earning.
        n: u32,
        /// Months of the block.
        #[serde(skip_serializing_if = "Option::is_none")]
        round: Option<u32>,
    },
    /// On a day of the year (month, day), the next one that is at least `least` days away.
    Yearly {
        /// Month 1 to 12.
        month: u32,
        /// Day 1 to 31.
        day: u32,
        /// Days that points live at least.
        least: u32,
    },
}

impl Expiry {
    /// The last day on which points earned on `day` can be spent; `None` for never.
    pub fn until(&self, day: Date) -> Option<Date> {
        let rounded =
            |date: Date, round: &Option<u32>| round.map_or(date, |months| date.end_of_block(months));
        match self {
            Self::Never => None,
            Self::Days { n, round } => Some(rounded(day.plus_days(*n), round)),
            Self::Months { n, round } => Some(rounded(day.plus_months(*n), round)),
            Self::Yearly { month, day: of, least } => {
                Some(day.plus_days(*least).next_anniversary(*month, *of))
            }
        }
    }
}

/// One brand's points: the public settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Whose points they are.
    pub brand: BrandId,
    /// A higher version replaces a lower one.
    pub version: u64,
    /// Decimal places of a point, 0 to 4: amounts count the smallest.
    pub scale: u8,
    /// The unit's fixed offset from UTC in minutes: where its days begin and end.
    pub offset: i16,
    /// When points expire.
    pub expiry: Expiry,
    /// Days before earned points can be spent.
    pub pending_days: u32,
    /// Days that points given back after their date live on, once.
    pub grace_days: u32,
    /// Most points outstanding plus gone, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_cap: Option<Points>,
    /// Fewest points in one payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_spend: Option<Points>,
    /// Most points in which one shop's brand may offer bills in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_cap: Option<Points>,
    /// How long before they apply its prices are announced; the network's own periods if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// What a point is worth at the least, by currency.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub floor: Vec<Floor>,
    /// What holds still though these settings are worse for who has points.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<Kept>,
    /// Nothing new while true.
    pub frozen: bool,
}

/// Settings of a unit that hold until the notice of worse ones is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// First instant at which the unit's own count, in Unix seconds.
    pub until: u64,
    /// Fewest points in one payment until then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_spend: Option<Points>,
    /// Days that points given back after their date live on, until then.
    pub grace_days: u32,
}

impl Unit {
    /// What is kept at this instant.
    pub fn kept(&self, at: Time) -> Option<Kept> {
        self.kept.filter(|kept| at.seconds() < kept.until)
    }

    /// Fewest points in one payment at this instant.
    pub fn min_spend(&self, at: Time) -> Option<Points> {
        self.kept(at).map_or(self.min_spend, |kept| kept.min_spend)
    }

    /// Days that points live on which are given back after their date at this instant.
    pub fn grace_days(&self, at: Time) -> u32 {
        self.kept(at).map_or(self.grace_days, |kept| kept.grace_days)
    }
}

/// What one unit bears of a payment, as both sides of the obligation know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareTerms {
    /// The unit.
    pub unit: UnitCode,
    /// The consent that it rests on.
    pub consent: Ident,
    /// X_k, the share of the bill.
    pub amount: Money,
    /// P_k, the points that it takes in full.
    pub points: Points,
    /// O_k, what the issuer's participant owes for it in full.
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
    /// Whether headroom of the issuer's participant is reserved for it while it is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
    /// Whether it counts for the cap of the pair, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
    /// What is kept of the issuer's headroom beside that while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pledge: Option<Pledge>,
    /// How much of the obligation was charged back by a dispute that is open or won.
    #[serde(default, skip_serializing_if = "nothing")]
    pub charged: Money,
    /// Every dispute over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeId>,
    /// How much of that disputes took back, if it is taxed.
    #[serde(default, skip_serializing_if = "nothing")]
    pub won: Money,
    /// How much of that was charged back and its points given back.
    #[serde(default, skip_serializing_if = "nothing")]
    pub restored: Money,
}

impl ShareTerms {
    /// Who owes the shop's participant for it.
    pub fn payer(&self) -> &ParticipantId {
        self.keeper.as_ref().unwrap_or(&self.issuer)
    }
}

pub(super) fn nothing(money: &Money) -> bool {
    money.is_zero()
}

/// A payment. Open means: now is before the deadline, and it is not closed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The shop's brand.
    pub brand: BrandId,
    /// The shop's legal entity.
    pub participant: ParticipantId,
    /// The shop.
    pub store: Ident,
    /// The till.
    pub till: Ident,
    /// The till's key that asked for it: what it takes counts against this key's limits.
    pub by: Kid,
    /// The shop's receipt number.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ident>,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// X, the amount paid with points.
    pub amount: Money,
    /// One for each unit.
    pub shares: Vec<ShareTerms>,
    /// The network's fees for it, one for each participant that owes one; none if none were published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<FeeTerms>,
    /// c, captured so far.
    pub captured: Money,
    /// r, refunded so far.
    pub refunded: Money,
    /// When an open payment lapses.
    pub deadline: Time,
    /// Captured for the last time, or voided.
    pub closed: bool,
}

impl Payment {
    /// Whether it can be captured or voided at `at`.
    pub fn open(&self, at: Time) -> bool {
        !self.closed && at < self.deadline
    }
}

/// The part of a payment that rests on one account: who bears it and which lots it took.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose points.
    pub account: crate::types::AccountId,
    /// What was taken and not given back, in the order of taking; refunds give back from the end.
    pub taken: Vec<Lot>,
}

/// A consent that stays open: under it one till may ask for payments until it has asked for as much as the holder
/// agreed to, or its time has passed. What a payment gives back does not come back here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The shop's brand.
    pub brand: BrandId,
    /// The till's key that opened it; no other may use it.
    pub till: Kid,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Most that may be paid under it.
    pub most: Money,
    /// Asked for so far.
    pub used: Money,
    /// Most points that may be taken under it: what the most is worth at the price in force when it was opened.
    pub points: Points,
    /// Points asked for so far.
    pub spent: Points,
    /// First instant at which it is no longer open.
    pub until: Time,
}

/// Whose code opened a consent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Whose points.
    pub account: crate::types::AccountId,
    /// Of which unit.
    pub unit: UnitCode,
    /// The holder's key that signed the code.
    pub key: Kid,
}

/// A single-use id that took effect: where, and a fingerprint of its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Used(
    /// The entry.
    pub u64,
    /// The part.
    pub u16,
    /// Of the token's signing input or the line's bytes.
    pub Fingerprint,
);

/// A command id that took effect or was refused for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The entry that it made, or that records its refusal.
    pub seq: u64,
    /// Of the principal, the type and the signing input.
    pub fingerprint: Fingerprint,
    /// The refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// The writer's term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Counts the starts of a writer, from 1.
    pub term: u64,
}

/// How far due work is swept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// Nothing due up to here is left.
    pub through: Time,
}

/// A part that was erased on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// The part's RFC 6962 leaf hash.
    pub leaf: Hash,
    /// The entry that says it.
    pub seq: u64,
}

macro_rules! held {
    ($shape:ty, boxed) => { Box<$shape> };
    ($shape:ty) => { $shape };
}

/// Each record takes the room of the largest that is not boxed: those that there are many of are small.
macro_rules! records {
    ($($variant:ident($shape:ty) $($boxed:ident)? = $name:pat, $get:ident;)*) => {
        /// One record of state.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Record { $(#[allow(missing_docs)] $variant(held!($shape $(, $boxed)?)),)* }

        $($(
            impl From<$shape> for Record {
                fn from(one: $shape) -> Self {
                    let $boxed = Box::new(one);
                    Self::$variant($boxed)
                }
            }
        )?)*

        impl Record {
            /// The canonical bytes.
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$variant(r) => encode(r),)* }
            }

            /// Reads the record of that name. Bytes in another form than [`Record::encode`]'s are
            /// taken too: what must be canonical (a part, a state that is verified) is compared as bytes.
            pub fn decode(name: &Name, bytes: &[u8]) -> Result<Self, Malformed> {
                let read = match name { $($name => serde_json::from_slice(bytes).map(Self::$variant),)* };
                read.map_err(|e| Malformed(e.to_string()))
            }

            $(
                /// The record as this shape, if it is one.
                pub fn $get(&self) -> Option<&$shape> {
                    match self { Self::$variant(r) => Some(r), _ => None }
                }
            )*
        }

        impl Serialize for Record {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(r) => r.serialize(s),)* }
            }
        }
    };
}

records! {
    Acceptance(Acceptance) = Name::Acceptance(_), acceptance;
    Account(Account) = Name::Account(_), account;
    Bank(Bank) = Name::Bank(_), bank;
    Brand(Brand) = Name::Brand(_), brand;
    Breakage(Breakage) = Name::Breakage(_), breakage;
    Budget(Budget) = Name::Budget(_), budget;
    ClawedBack(ClawedBack) = Name::ClawedBack(_), clawed_back;
    Closing(Closing) boxed = Name::Closing(_), closing;
    Command(Command) = Name::Command(..), command;
    Complaint(Complaint) = Name::Complaint(_), complaint;
    Consent(Consent) = Name::Consent(_), consent;
    CoverStep(CoverStep) boxed = Name::CoverStep(..), cover_step;
    Cycle(Cycle) = Name::Cycle, cycle;
    Details(Details) = Name::Details(..) | Name::House(_), details;
    DetailsVersion(DetailsVersion) boxed = Name::DetailsVersion(..) | Name::HouseVersion(..), details_version;
    Dispute(Dispute) boxed = Name::Dispute(_), dispute;
    Due(Due) = Name::Due(..), due_between;
    Enrolled(ParticipantId) = Name::Enrolled(_), enrolled;
    Erased(Erased) = Name::Erased(..), erased;
    Exchange(Exchange) boxed = Name::Exchange(_), exchange;
    Fees(FeeVersions) = Name::Fees, fees;
    Funding(Funding) boxed = Name::Funding(..), funding;
    Instruction(Instruction) boxed = Name::Instruction(_), instruction;
    Key(KeyRecord) boxed = Name::Key(_), key;
    Limit(Limit) = Name::Limit(..), limit;
    Line(Line) = Name::Line(..), line;
    Netting(Netting) = Name::Netting, netting;
    Network(Network) boxed = Name::Network, network;
    Offer(Offer) boxed = Name::Offer(_), offer;
    Objection(Objection) boxed = Name::Objection(_), objection;
    Participant(Participant) = Name::Participant(_), participant;
    Payment(Payment) boxed = Name::Payment(_), payment;
    Period(Period) = Name::Period, period;
    Prices(Prices) = Name::Prices(_), prices;
    Published(Published<Price>) boxed = Name::Published(..), published;
    PublishedFees(Published<Fees>) boxed = Name::PublishedFees(_), published_fees;
    Reserve(Reserve) = Name::Reserve(_), reserve;
    Roll(Roll) = Name::Roll, roll;
    Schedule(Schedule) = Name::Schedule, schedule;
    Share(Share) = Name::Share(..), share;
    Sponsored(Sponsored) boxed = Name::Sponsored(_), sponsored;
    Sponsors(Sponsors) = Name::Sponsors(_), sponsors;
    Shown(Shown) = Name::Shown(_), shown;
    Statement(Statement) boxed = Name::Statement(..), statement;
    Tax(TaxTable) = Name::Tax(_), tax;
    Term(Term) = Name::Term, term;
    Tick(Tick) = Name::Tick, tick;
    Told(Told) = Name::Told(..), told;
    Total(i64) = Name::Borne(..) | Name::Disputed(..) | Name::Net(..) | Name::Objecting(..) | Name::PutOff(..) | Name::Shared(..) | Name::Pair(..), total;
    Unit(Unit) boxed = Name::Unit(_), unit;
    Used(Used) = Name::UsedEntry(..) | Name::UsedOrder(..) | Name::UsedDue(..) | Name::UsedToken(..) | Name::UsedRef(..) | Name::UsedConsent(..), used;
}

impl Record {
    /// When the record next needs attention: the earliest deadline of a hold or expiry of a lot.
    pub fn due(&self) -> Option<Time> {
        self.account().and_then(Account::due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind that is larger than an account is boxed.
    #[test]
    fn a_record_takes_no_more_room_than_an_account() {
        assert!(size_of::<Record>() <= size_of::<Account>() + size_of::<usize>());
    }

    /// Policy, day of earning, last day.
    const EXPIRY: &[(Expiry, &str, &str)] = &[
        (Expiry::Never, "2026-01-31", "never"),
        (Expiry::Days { n: 0, round: None }, "2026-01-31", "2026-01-31"),
        (Expiry::Days { n: 30, round: None }, "2026-01-31", "2026-03-02"),
        (Expiry::Days { n: 30, round: None }, "2028-01-31", "2028-03-01"),
        (Expiry::Days { n: 3, round: Some(1) }, "2026-01-28", "2026-01-31"),
        (Expiry::Days { n: 3, round: Some(1) }, "2026-01-29", "2026-02-28"),
        (Expiry::Months { n: 1, round: None }, "2026-01-31", "2026-02-28"),
        (Expiry::Months { n: 12, round: Some(3) }, "2026-01-05", "2027-03-31"),
        (Expiry::Months { n: 12, round: Some(3) }, "2026-12-31", "2027-12-31"),
        (Expiry::Months { n: 24, round: Some(12) }, "2026-07-01", "2028-12-31"),
        (Expiry::Yearly { month: 3, day: 31, least: 30 }, "2026-03-01", "2026-03-31"),
        (Expiry::Yearly { month: 3, day: 31, least: 30 }, "2026-03-02", "2027-03-31"),
        (Expiry::Yearly { month: 2, day: 29, least: 0 }, "2026-02-28", "2026-02-28"),
        (Expiry::Yearly { month: 2, day: 29, least: 0 }, "2028-02-28", "2028-02-29"),
        // Nothing passes the last day that can be written.
        (Expiry::Days { n: 36_525, round: Some(12) }, "9999-12-31", "9999-12-31"),
        (Expiry::Months { n: 1_217, round: None }, "9990-01-01", "9999-12-31"),
        (Expiry::Yearly { month: 1, day: 1, least: 9 }, "9999-12-31", "9999-12-31"),
    ];

    #[test]
    fn expiry_by_policy() {
        for (policy, earned, last) in EXPIRY {
            let until = policy.until(earned.parse().expect("a day"));
            let text = until.map_or("never".into(), |day| day.to_string());
            assert_eq!(text, *last, "{policy:?} from {earned}");
            // What is written can be read again.
            assert!(until.is_none_or(|day| day.to_string().parse::<Date>() == Ok(day)), "{policy:?}");
        }
    }
}
