//! Terms: what units are worth and who takes them, as published.
//!
//! Owns: the records of prices and acceptance, and which of them apply at an instant.
//! Promises: what applies is a function of the record and the instant; nothing has to be swept.
//! Refuses to know: who may publish what.

use crate::sign::Sale;
use crate::types::{Currency, Ident, Kid, ParticipantId, Rate, Time, UnitCode};
use serde::{Deserialize, Serialize};

/// A version that applies from an instant on, in one currency.
pub trait Dated {
    /// Its number: a later version goes before an earlier one.
    fn version(&self) -> u64;
    /// In this currency.
    fn currency(&self) -> Currency;
    /// First instant, in Unix seconds.
    fn from(&self) -> u64;
    /// First instant after it, in Unix seconds.
    fn until(&self) -> Option<u64>;
}

macro_rules! dated {
    ($($shape:ty),*) => {$(
        impl Dated for $shape {
            fn version(&self) -> u64 {
                self.version
            }
            fn currency(&self) -> Currency {
                self.currency
            }
            fn from(&self) -> u64 {
                self.from
            }
            fn until(&self) -> Option<u64> {
                self.until
            }
        }
    )*};
}

dated!(Price, super::fees::Fees);

/// How long before they apply a unit's prices are announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Days for a change by which no holder and no shop gets less.
    #[schema(maximum = 366)]
    pub change_days: u32,
    /// Days for a cut, and for a unit that is no longer taken.
    #[schema(maximum = 366)]
    pub cut_days: u32,
}

impl Notice {
    /// Where a unit does not say.
    pub const DEFAULT: Self = Self { change_days: 7, cut_days: 30 };
}

/// What a point is worth at the least, at home and at tills: a promise to holders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// In this currency.
    pub currency: Currency,
    /// Money for a point.
    pub rate: Rate,
}

/// A price for one counterparty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceFor {
    /// The other participant.
    pub participant: ParticipantId,
    /// Money for a point.
    pub rate: Rate,
}

/// One version of a unit's prices in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Counts up per unit.
    pub version: u64,
    /// In this currency.
    pub currency: Currency,
    /// First instant, in Unix seconds.
    pub from: u64,
    /// First instant after it, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Through when it is kept for what was priced with it, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifiable_until: Option<u64>,
    /// What a point is worth at the issuer's own shops.
    pub home: Rate,
    /// What a consumer gets for it elsewhere.
    pub till: Rate,
    /// What the issuer pays the shop's participant.
    pub settle: Rate,
    /// The same, for some of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub settle_for: Vec<PriceFor>,
    /// What the issuer charges another participant for a point issued on its account.
    pub issue: Rate,
    /// The same, for some of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub issue_for: Vec<PriceFor>,
}

fn of<'a>(all: &'a [PriceFor], participant: &ParticipantId) -> Option<&'a PriceFor> {
    all.iter().find(|one| one.participant == *participant)
}

impl Price {
    /// What the issuer pays a participant whose shop takes a point.
    pub fn settle_with(&self, acceptor: &ParticipantId) -> Rate {
        of(&self.settle_for, acceptor).map_or(self.settle, |one| one.rate)
    }

    /// What the issuer charges a participant for a point issued on its account.
    pub fn issue_to(&self, counterparty: &ParticipantId) -> Rate {
        of(&self.issue_for, counterparty).map_or(self.issue, |one| one.rate)
    }

    /// All its settle prices.
    pub fn settles(&self) -> impl Iterator<Item = Rate> + '_ {
        std::iter::once(self.settle).chain(self.settle_for.iter().map(|one| one.rate))
    }

    /// The highest of its settle prices: what a point costs its issuer at the most.
    pub fn dearest(&self) -> Rate {
        self.settles().fold(self.settle, |high, rate| if rate.is_above(high) { rate } else { high })
    }

    /// All its issue prices.
    pub fn issues(&self) -> impl Iterator<Item = Rate> + '_ {
        std::iter::once(self.issue).chain(self.issue_for.iter().map(|one| one.rate))
    }
}

/// How many of a unit's points are expected to be spent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakage {
    /// Counts up per unit.
    pub version: u64,
    /// By the end of the month of earning, of the next one, and so on: parts per million.
    pub redeemed: Vec<u32>,
}

impl Breakage {
    /// How many of so many points are expected to be spent in the end, rounded down.
    pub fn expected(&self, points: u64) -> u64 {
        let last = u128::from(self.redeemed.last().copied().unwrap_or(0));
        let product = u128::from(points).saturating_mul(last);
        u64::try_from(product.checked_div(1_000_000).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// A unit's prices: those in force and those announced, oldest first, at most 64.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// By version.
    pub versions: Vec<Price>,
}

/// A version of prices or fees as it was published: what was said, by whom, and why. Never changed, never forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published<T> {
    /// The version.
    pub terms: T,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Ident>,
    /// The key that signed.
    pub by: Kid,
    /// The keys of the two people who approved; none for the first version of prices in a currency.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approved: Vec<Kid>,
    /// The entry.
    pub seq: u64,
    /// Its instant.
    pub at: Time,
}

/// A budget of another brand's key, whose participant pays for the points that it awards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sponsor {
    /// The key.
    pub key: Kid,
    /// Who pays.
    pub participant: ParticipantId,
    /// In this currency.
    pub currency: Currency,
    /// First instant after the budget, in Unix seconds.
    pub until: u64,
}

/// The sponsors' budgets of a unit that were not closed; those that have ended go with the next that is set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sponsors {
    /// In the order in which they were set.
    pub live: Vec<Sponsor>,
}

/// One unit that a brand takes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedUnit {
    /// The unit.
    pub unit: UnitCode,
    /// Most money's worth of it a day of the unit's. With it, payments in its currency only.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "crate::sign::optional_object"
    )]
    pub per_day: Option<Sale>,
}

/// For whose points a brand gives points of a unit of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeAccepted {
    /// The unit of its own.
    pub into: UnitCode,
    /// The key whose budget the points that are got draw on.
    pub budget: Kid,
    /// The units that are given up for it, each with the most worth of it that is taken a day.
    #[serde(deserialize_with = "crate::sign::objects")]
    pub units: Vec<AcceptedUnit>,
}

/// One version of what a brand takes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// A higher version replaces a lower one.
    pub version: u64,
    /// The units that are taken for payment.
    pub units: Vec<AcceptedUnit>,
    /// What is taken for exchange.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exchange: Vec<ExchangeAccepted>,
}

/// A version that is announced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnouncedAcceptance {
    /// First instant, in Unix seconds.
    pub from: u64,
    /// What it says.
    pub list: Accepted,
}

/// Whose units a brand takes, its own aside: what is in force, and what is announced.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// In force until the announced version begins.
    pub list: Accepted,
    /// The newest version, if it begins later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<AnnouncedAcceptance>,
}

impl Acceptance {
    /// What is in force at `at`.
    pub fn at(&self, at: Time) -> &Accepted {
        match &self.next {
            Some(next) if next.from <= at.seconds() => &next.list,
            _ => &self.list,
        }
    }

    /// The newest version.
    pub fn newest(&self) -> &Accepted {
        self.next.as_ref().map_or(&self.list, |next| &next.list)
    }
}
