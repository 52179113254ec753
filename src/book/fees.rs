//! Fees and tax: what the network asks for its service, and what tax stands in or on an amount.
//!
//! Owns: the records, and the functions from an amount to its fee and its tax.
//! Promises: each amount is rounded once: a fee up, then held between its minimum and maximum; a tax half up. None of
//! these functions falls when its amount rises, so what is booked step by step by cumulative amounts goes one way.
//! Refuses to know: who publishes them, and what becomes of the amounts.

use crate::types::{Currency, DisputeId, Ident, Money, ParticipantId, Points, UnitCode};
use serde::{Deserialize, Serialize};

/// Parts per million of the whole.
pub const MILLION: u32 = 1_000_000;

/// What is supplied for an amount of money.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// A shop took another's points.
    Redemption,
    /// Points were given for another's points.
    Exchange,
    /// Points were awarded that another pays for.
    Award,
    /// The network served who took points.
    AcceptorFee,
    /// The network served who issued points that were taken.
    IssuerFee,
    /// The network served who exchanged points.
    ExchangeFee,
    /// Points ended unspent, and who held the reserve for them keeps what they free.
    Breakage,
}

impl Service {
    /// As it is written.
    pub fn code(self) -> &'static str {
        match self {
            Self::Redemption => "redemption",
            Self::Exchange => "exchange",
            Self::Award => "award",
            Self::AcceptorFee => "acceptor_fee",
            Self::IssuerFee => "issuer_fee",
            Self::ExchangeFee => "exchange_fee",
            Self::Breakage => "breakage",
        }
    }

    /// Whether it is the network's own: its amount is a fee.
    pub fn is_fee(self) -> bool {
        matches!(self, Self::AcceptorFee | Self::IssuerFee | Self::ExchangeFee)
    }

    /// Whether who supplies it says how it is taxed.
    pub fn is_taxable(self) -> bool {
        matches!(self, Self::Redemption | Self::Exchange | Self::Award)
    }
}

/// Why a supply is taxed as it is; the categories of EN 16931.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaxCategory {
    /// At a rate above zero (S).
    Standard,
    /// At a rate of zero (Z).
    ZeroRated,
    /// Exempt (E).
    Exempt,
    /// Whoever gets the supply accounts for it (AE).
    ReverseCharge,
    /// No supply in the sense of the tax (O).
    #[default]
    OutsideScope,
}

/// Category and rate of a tax.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// Its category.
    pub category: TaxCategory,
    /// Its rate in parts per million of the net amount: above 0 if the category is `standard`, else 0.
    #[schema(maximum = 1_000_000)]
    pub rate: u32,
}

impl Tax {
    /// Whether category and rate go together.
    pub fn is_sound(self) -> bool {
        self.rate <= MILLION && (self.rate > 0) == (self.category == TaxCategory::Standard)
    }

    /// The tax on top of a net amount: half up.
    pub fn on(self, net: Money) -> Option<Money> {
        let double = u128::from(net.get()).checked_mul(u128::from(self.rate))?.checked_mul(2)?;
        let million = u128::from(MILLION);
        let rounded = double.checked_add(million)?.checked_div(million.checked_mul(2)?)?;
        u64::try_from(rounded).ok().and_then(Money::new)
    }

    /// The tax that a gross amount has in it: what is left of it beside its net, which is rounded half up.
    pub fn within(self, gross: Money) -> Option<Money> {
        let whole = u128::from(MILLION).checked_add(u128::from(self.rate))?;
        let double = u128::from(gross.get()).checked_mul(u128::from(MILLION))?.checked_mul(2)?;
        let net = double.checked_add(whole)?.checked_div(whole.checked_mul(2)?)?;
        gross.minus(u64::try_from(net).ok().and_then(Money::new)?)
    }
}

/// A fee in money: so many parts per million of what is paid, at least and at most so much for one payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Parts per million of the amount, rounded up. With `min` 0 or absent, 0 is a fee that is waived.
    #[schema(maximum = 1_000_000)]
    pub ppm: u32,
    /// At least this.
    #[serde(default, skip_serializing_if = "Money::is_zero_ref")]
    pub min: Money,
    /// At most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Money>,
    /// Whether it goes down again with what is refunded.
    pub refundable: bool,
}

impl Fee {
    /// The fee for an amount.
    pub fn of(&self, amount: Money) -> Option<Money> {
        let fee = amount.share_ceil(u64::from(self.ppm), u64::from(MILLION))?.max(self.min);
        Some(self.max.map_or(fee, |max| fee.min(max)))
    }

    /// Whether its numbers go together.
    pub fn is_sound(&self) -> bool {
        self.ppm <= MILLION && self.max.is_none_or(|max| self.min <= max)
    }

    /// Whether it is always 0.
    pub fn is_waived(&self) -> bool {
        (self.ppm == 0 && self.min.is_zero()) || self.max.is_some_and(Money::is_zero)
    }
}

/// A fee for exchanging points, in the points that are given up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeFee {
    /// For points of this unit; of every unit that has no fee of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitCode>,
    /// For members of this tier; for all that have no fee of their own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Ident>,
    /// Parts per million of the points that leave the account, rounded up.
    #[schema(maximum = 999_999)]
    pub ppm: u32,
    /// At least this many, in the unit's smallest; only with a unit.
    #[serde(default, skip_serializing_if = "Points::is_zero_ref")]
    pub min: Points,
    /// At most this many; only with a unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Points>,
}

impl ExchangeFee {
    /// The fee when so many points leave the account.
    pub fn of(&self, source: Points) -> Option<Points> {
        let fee = source.share_ceil(u64::from(self.ppm), u64::from(MILLION))?.max(self.min);
        Some(self.max.map_or(fee, |max| fee.min(max)))
    }

    /// Whether its numbers go together.
    pub fn is_sound(&self) -> bool {
        let bounded = !self.min.is_zero() || self.max.is_some();
        self.ppm < MILLION && self.max.is_none_or(|max| self.min <= max) && (self.unit.is_some() || !bounded)
    }
}

/// What losing a dispute costs once its target has answered: flat, whatever was disputed. Outside the scope of tax.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LosingFees {
    /// Owed to the operator's participant.
    #[serde(default, skip_serializing_if = "Money::is_zero_ref")]
    pub network: Money,
    /// Owed to whoever wins.
    #[serde(default, skip_serializing_if = "Money::is_zero_ref")]
    pub winner: Money,
}

/// One version of the network's fees in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FeeTable)]
pub struct Fees {
    /// Counts up over all currencies.
    pub version: u64,
    /// For payments and exchanges in this currency.
    pub currency: Currency,
    /// First instant, in Unix seconds.
    pub from: u64,
    /// First instant after it, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Who is owed the fees, as whose service they are taxed: the operator's participant, or another of its companies.
    pub supplier: ParticipantId,
    /// From the participant whose shop takes points, for what others' points pay of a bill.
    pub acceptor: Fee,
    /// From each participant whose points others' shops take, for what they pay of a bill.
    pub issuer: Fee,
    /// From who exchanges points; none of these: 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchange: Vec<ExchangeFee>,
    /// The tax on top of fees in money, and within fees in points.
    pub tax: Tax,
    /// From whoever loses a dispute that is filed while the version is in force; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<LosingFees>,
}

impl Fees {
    /// The fee for exchanging points of a unit, for a member of a tier: the line that says most about them.
    pub fn exchange_of(&self, unit: UnitCode, tier: Option<&Ident>) -> Option<&ExchangeFee> {
        let fits = |fee: &&ExchangeFee| {
            fee.unit.is_none_or(|of| of == unit) && fee.tier.as_ref().is_none_or(|of| Some(of) == tier)
        };
        // A line for the unit says more than one for the tier.
        let says = |fee: &&ExchangeFee| (fee.unit.is_some(), fee.tier.is_some());
        self.exchange.iter().filter(fits).max_by_key(says)
    }
}

/// The network's fees: versions in force and announced, oldest first, at most 64.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeVersions {
    /// By version.
    pub versions: Vec<Fees>,
}

/// How a participant's supply is taxed from an instant on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxVersion {
    /// Counts up over all its services.
    pub version: u64,
    /// What it supplies.
    pub service: Service,
    /// First instant, in Unix seconds; until a later version of the same service.
    pub from: u64,
    /// The tax within what it is owed.
    pub tax: Tax,
}

/// How a participant's supplies are taxed: what is in force and announced, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxTable {
    /// By version.
    pub versions: Vec<TaxVersion>,
}

/// A fee as it was fixed for one payment or exchange: in full, whatever is captured of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeTerms {
    /// What for.
    pub service: Service,
    /// Who is owed it.
    pub supplier: ParticipantId,
    /// Who owes it.
    pub customer: ParticipantId,
    /// The version of the fees that was applied.
    pub version: u64,
    /// Without tax.
    pub net: Money,
    /// The tax's category.
    pub category: TaxCategory,
    /// The tax's rate, in parts per million of the net amount.
    pub rate: u32,
    /// The tax.
    pub tax: Money,
    /// Net and tax together: what is owed.
    pub gross: Money,
    /// Whether it goes down again with what is refunded.
    pub refundable: bool,
    /// How much of what is charged was charged back by a dispute that is open or won: it goes down by refunds no further.
    #[serde(default, skip_serializing_if = "Money::is_zero_ref")]
    pub charged: Money,
    /// Every dispute over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeId>,
    /// How much of that disputes took back.
    #[serde(default, skip_serializing_if = "Money::is_zero_ref")]
    pub won: Money,
}

impl FeeTerms {
    /// Category and rate of its tax.
    pub fn taxed(&self) -> Tax {
        Tax { category: self.category, rate: self.rate }
    }
}

/// The fee of an exchange: in points, which its holder gives up, and in money, which their issuer owes for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeFeeTerms {
    /// Of the points that are given up, so many are the fee.
    pub points: Points,
    /// The member's tier whose fee it is, if the fee is one tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Ident>,
    /// What they are worth, and who owes it.
    pub worth: FeeTerms,
}

/// What one obligation is for, and the tax in it: changes, so below zero where something is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supply {
    /// What is supplied.
    pub service: Service,
    /// How it is taxed.
    pub tax: Tax,
    /// Without tax.
    pub net: i64,
    /// The tax.
    pub amount: i64,
}

impl Supply {
    /// The same with nothing supplied.
    pub(super) fn of_nothing(self) -> Self {
        Self { net: 0, amount: 0, ..self }
    }

    /// Net and tax together; `None` if that is too much.
    pub fn gross(self) -> Option<i64> {
        self.net.checked_add(self.amount)
    }

    pub(super) fn plus(self, more: Self) -> Option<Self> {
        let (net, amount) = (self.net.checked_add(more.net)?, self.amount.checked_add(more.amount)?);
        Some(Self { net, amount, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MAX_INT;
    use proptest::prelude::*;

    fn money(minor: u64) -> Money {
        Money::new(minor).expect("fits")
    }

    fn tax(rate: u32) -> Tax {
        let category = if rate == 0 { TaxCategory::OutsideScope } else { TaxCategory::Standard };
        Tax { category, rate }
    }

    #[test]
    fn worked_cases() {
        // 0.29 % of 1,000.00 is 2.90; of 1,000.01 it is above that, and the next cent.
        let fee = Fee { ppm: 2_900, min: money(30), max: Some(money(500)), refundable: true };
        let cases = [
            (100_000, 290),
            (100_001, 291),
            (1, 30),
            (10_344, 30),
            (10_345, 31),
            (172_413, 500),
            (172_414, 500),
        ];
        for (amount, charged) in cases.into_iter().chain([(MAX_INT, 500)]) {
            assert_eq!(fee.of(money(amount)), Some(money(charged)), "{amount}");
        }
        // A third, as near as a million parts come.
        let third = Fee { ppm: 333_333, min: Money::ZERO, max: None, refundable: false };
        for (amount, charged) in [(1, 1), (3, 1), (4, 2), (3_000_000, 999_999), (3_000_003, 1_000_000)] {
            assert_eq!(third.of(money(amount)), Some(money(charged)), "{amount}");
        }
        // 15 digits.
        let whole = Fee { ppm: MILLION, min: Money::ZERO, max: None, refundable: false };
        for amount in [999_999_999_999_999, MAX_INT] {
            assert_eq!(whole.of(money(amount)), Some(money(amount)));
        }
        assert_eq!(third.of(money(999_999_999_999_999)), Some(money(333_333_000_000_000)));
        // 19 % on 0.01, 0.02, 0.03: half up. Within 1.19 there are 0.19.
        let standard = tax(190_000);
        for (net, on) in
            [(0, 0), (1, 0), (2, 0), (3, 1), (50, 10), (100, 19), (999_999_999_999_999, 190_000_000_000_000)]
        {
            assert_eq!(standard.on(money(net)), Some(money(on)), "{net}");
        }
        for (gross, within) in [(0, 0), (1, 0), (3, 0), (4, 1), (119, 19), (500, 80)] {
            assert_eq!(standard.within(money(gross)), Some(money(within)), "{gross}");
        }
        assert_eq!(tax(0).on(money(MAX_INT)), Some(Money::ZERO));
        assert_eq!(tax(0).within(money(MAX_INT)), Some(Money::ZERO));
        assert_eq!(standard.on(money(MAX_INT)).map(|on| on.get() > MAX_INT / 6), Some(true));
    }

    #[test]
    fn the_line_that_says_most() {
        let line = |unit: Option<&str>, tier: Option<&str>, ppm| ExchangeFee {
            unit: unit.map(|unit| unit.parse().expect("a unit")),
            tier: tier.map(|tier| tier.parse().expect("a tier")),
            ppm,
            min: Points::ZERO,
            max: None,
        };
        let fees = Fees {
            version: 1,
            currency: "EUR".parse().expect("a currency"),
            from: 0,
            until: None,
            supplier: "pa_op".parse().expect("one"),
            acceptor: Fee { ppm: 0, min: Money::ZERO, max: None, refundable: true },
            issuer: Fee { ppm: 0, min: Money::ZERO, max: None, refundable: true },
            exchange: vec![
                line(None, None, 40),
                line(None, Some("gold"), 30),
                line(Some("KINO"), None, 20),
                line(Some("KINO"), Some("gold"), 10),
            ],
            dispute: None,
            tax: tax(0),
        };
        let of = |unit: &str, tier: Option<&str>| {
            let tier: Option<Ident> = tier.map(|tier| tier.parse().expect("a tier"));
            fees.exchange_of(unit.parse().expect("a unit"), tier.as_ref()).map(|fee| fee.ppm)
        };
        assert_eq!(
            [of("KINO", Some("gold")), of("KINO", Some("blue")), of("KINO", None)],
            [Some(10), Some(20), Some(20)]
        );
        assert_eq!([of("HARVEST", Some("gold")), of("HARVEST", Some("blue"))], [Some(30), Some(40)]);
        assert_eq!(
            Fees { exchange: vec![line(Some("KINO"), None, 1)], ..fees.clone() }
                .exchange_of("POLAR".parse().expect("a unit"), None),
            None
        );
    }

    proptest! {
        #[test]
        fn a_tax_is_the_nearest_and_never_falls(amount in 0..MAX_INT, rate in 0..=MILLION) {
            let tax = tax(rate);
            let (net, million) = (u128::from(amount), u128::from(MILLION));
            if let Some(on) = tax.on(money(amount)) {
                let exact = net * u128::from(rate);
                let off = exact.abs_diff(u128::from(on.get()) * million);
                prop_assert!(off * 2 <= million);
            }
            let within = tax.within(money(amount)).expect("less than the amount");
            let rest = u128::from(amount - within.get());
            let off = (net * million).abs_diff(rest * (million + u128::from(rate)));
            prop_assert!(off * 2 <= million + u128::from(rate));
            let next = money(amount + 1);
            prop_assert!(tax.within(next).expect("fits") >= within);
            // Net does not fall either.
            prop_assert!(next.minus(tax.within(next).expect("fits")) >= money(amount).minus(within));
            prop_assert!(tax.on(next).is_none_or(|on| Some(on) >= tax.on(money(amount))));
        }
    }
}
