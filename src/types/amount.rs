//! Amounts: integers with a meaning, checked arithmetic, rounding in the name.
//!
//! There are no operators. A method that rounds says so (`_floor`, `_ceil`) and divides once, from the
//! original integers, in 128 bits.

use super::encode::Malformed;
use super::id::{Currency, UnitCode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// 2^53 − 1: the largest integer anywhere in the log, exact in every JSON reader.
pub const MAX_INT: u64 = 9_007_199_254_740_991;

/// Minor units as a decimal: 123456 with 2 digits is `1234.56`, −5 is `-0.05`.
pub fn decimal(minor: i64, digits: u8) -> String {
    let digits = usize::from(digits);
    let text = minor.unsigned_abs().to_string();
    let padded = format!("{text:0>width$}", width = digits.saturating_add(1));
    let (whole, part) = padded.split_at(padded.len().saturating_sub(digits));
    let sign = if minor < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// An amount of points in the unit's minor units, 0 to 2^53 − 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Points(u64);

impl Points {
    /// No points.
    pub const ZERO: Self = Self(0);

    /// `None` above 2^53 − 1.
    pub const fn new(minor: u64) -> Option<Self> {
        if minor <= MAX_INT { Some(Self(minor)) } else { None }
    }

    /// The number of minor units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount as a signed number, for legs.
    pub const fn signed(self) -> i64 {
        self.0.cast_signed()
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The same, for what is left out where it is nothing.
    pub fn is_zero_ref(&self) -> bool {
        self.is_zero()
    }

    /// The sum, `None` above 2^53 − 1.
    pub fn plus(self, more: Self) -> Option<Self> {
        self.0.checked_add(more.0).and_then(Self::new)
    }

    /// The difference, `None` below zero.
    pub fn minus(self, less: Self) -> Option<Self> {
        self.0.checked_sub(less.0).map(Self)
    }

    /// floor(self · a / b): the points of a unit at price `b` that so many points of a unit at price `a` give. One
    /// division over the exact product; `None` if it does not fit.
    pub fn reprice_floor(self, a: Rate, b: Rate) -> Option<Self> {
        let (quotient, _) = reprice(self.0, a, b)?;
        Self::new(quotient)
    }

    /// ceil(self · a / b): the same, rounded up.
    pub fn reprice_ceil(self, a: Rate, b: Rate) -> Option<Self> {
        let (quotient, exact) = reprice(self.0, a, b)?;
        Self::new(if exact { quotient } else { quotient.checked_add(1)? })
    }

    /// ceil(self · n / of): the part of an amount that belongs to `n` out of `of`. `None` if `of` is 0.
    pub fn share_ceil(self, n: u64, of: u64) -> Option<Self> {
        mul_div_ceil(self.0, n, of).and_then(Self::new)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(d)?).ok_or_else(|| serde::de::Error::custom("above 2^53 - 1"))
    }
}

/// An amount of one currency, 0 to 2^53 − 1, at the scale that genesis gives the currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `None` above 2^53 − 1.
    pub const fn new(minor: u64) -> Option<Self> {
        if minor <= MAX_INT { Some(Self(minor)) } else { None }
    }

    /// The number of units of the scale.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount as a signed number, for legs.
    pub const fn signed(self) -> i64 {
        self.0.cast_signed()
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The same, for what is left out where it is nothing.
    pub fn is_zero_ref(&self) -> bool {
        self.is_zero()
    }

    /// The sum, `None` above 2^53 − 1.
    pub fn plus(self, more: Self) -> Option<Self> {
        self.0.checked_add(more.0).and_then(Self::new)
    }

    /// The difference, `None` below zero.
    pub fn minus(self, less: Self) -> Option<Self> {
        self.0.checked_sub(less.0).map(Self)
    }

    /// floor(self · n / of): what of an obligation belongs to `n` out of `of`. `None` if `of` is 0.
    pub fn share_floor(self, n: u64, of: u64) -> Option<Self> {
        mul_div_floor(self.0, n, of).and_then(Self::new)
    }

    /// ceil(self · n / of): what of a fee belongs to `n` out of `of`. `None` if `of` is 0.
    pub fn share_ceil(self, n: u64, of: u64) -> Option<Self> {
        mul_div_ceil(self.0, n, of).and_then(Self::new)
    }

    /// floor(self · a / b) for two prices of the same unit: what is owed at price `a` for an amount
    /// that was counted at price `b`. One division over the exact product; `None` if it does not fit.
    pub fn reprice_floor(self, a: Rate, b: Rate) -> Option<Self> {
        let (quotient, _) = reprice(self.0, a, b)?;
        Self::new(quotient)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(d)?).ok_or_else(|| serde::de::Error::custom("above 2^53 - 1"))
    }
}

/// floor(x · a / b) for two prices, and whether nothing was rounded away.
fn reprice(x: u64, a: Rate, b: Rate) -> Option<(u64, bool)> {
    let up = u128::from(a.num).checked_mul(u128::from(b.den))?;
    let down = u128::from(a.den).checked_mul(u128::from(b.num))?;
    // Prices have at most 15 digits, so `up` and `down` have at most 100 bits; with an amount of 53
    // bits the product can pass 128 bits. Split the amount: x·up/down = (q·down + r)·x/down.
    let (whole, rest) = (up.checked_div(down)?, up.checked_rem(down)?);
    let x = u128::from(x);
    let high = whole.checked_mul(x)?;
    let (low, left) = match rest.checked_mul(x) {
        Some(product) => (product.checked_div(down)?, product.checked_rem(down)?),
        None => long_mul_div(rest, x, down)?,
    };
    let quotient = high.checked_add(low).and_then(|v| u64::try_from(v).ok())?;
    Some((quotient, left == 0))
}

/// floor(x·a/m) and what is left, where x·a does not fit 128 bits: schoolbook shift-and-subtract over the bits of `a`.
fn long_mul_div(x: u128, a: u128, m: u128) -> Option<(u128, u128)> {
    // Invariant: x·(bits of a seen so far) = quotient·m + rest, rest < m.
    let (mut quotient, mut rest) = (0u128, 0u128);
    for bit in (0..128u32).rev() {
        quotient = quotient.checked_mul(2)?;
        rest = rest.checked_mul(2)?;
        if a.checked_shr(bit)? & 1 == 1 {
            rest = rest.checked_add(x)?;
        }
        quotient = quotient.checked_add(rest.checked_div(m)?)?;
        rest = rest.checked_rem(m)?;
    }
    Some((quotient, rest))
}

fn mul_div_floor(x: u64, n: u64, of: u64) -> Option<u64> {
    let product = u128::from(x).checked_mul(u128::from(n))?;
    u64::try_from(product.checked_div(u128::from(of))?).ok()
}

fn mul_div_ceil(x: u64, n: u64, of: u64) -> Option<u64> {
    let product = u128::from(x).checked_mul(u128::from(n))?;
    if of == 0 {
        return None;
    }
    u64::try_from(product.div_ceil(u128::from(of))).ok()
}

/// A price: money per minor unit of points, as an exact fraction `[num, den]` of integers with at most
/// 15 significant digits each. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u64,
    den: u64,
}

/// 10^15 − 1.
const MAX_RATE: u64 = 999_999_999_999_999;

impl Rate {
    /// `None` unless both are from 1 to 10^15 − 1.
    pub fn new(num: u64, den: u64) -> Option<Self> {
        let fits = |n: u64| (1..=MAX_RATE).contains(&n);
        (fits(num) && fits(den)).then_some(Self { num, den })
    }

    /// Numerator and denominator.
    pub const fn fraction(self) -> (u64, u64) {
        (self.num, self.den)
    }

    /// The fewest points that are worth at least `money`: ceil(money / rate).
    pub fn points_ceil(self, money: Money) -> Option<Points> {
        mul_div_ceil(money.0, self.den, self.num).and_then(Points::new)
    }

    /// What `points` are worth, rounded down: floor(points · rate).
    pub fn money_floor(self, points: Points) -> Option<Money> {
        mul_div_floor(points.0, self.num, self.den).and_then(Money::new)
    }

    /// So many parts per million of what `points` are worth, rounded up once: ceil(points · rate · ppm / 10^6). `None` if
    /// it does not fit.
    pub fn money_ppm_ceil(self, points: Points, ppm: u32) -> Option<Money> {
        let product = u128::from(points.0).checked_mul(u128::from(self.num))?.checked_mul(u128::from(ppm))?;
        let whole = u128::from(self.den).checked_mul(1_000_000)?;
        u64::try_from(product.div_ceil(whole)).ok().and_then(Money::new)
    }

    /// The same, rounded down once.
    pub fn money_ppm_floor(self, points: Points, ppm: u32) -> Option<Money> {
        let product = u128::from(points.0).checked_mul(u128::from(self.num))?.checked_mul(u128::from(ppm))?;
        let whole = u128::from(self.den).checked_mul(1_000_000)?;
        u64::try_from(product.checked_div(whole)?).ok().and_then(Money::new)
    }

    /// Whether this price is above another.
    pub fn is_above(self, other: Self) -> bool {
        u128::from(self.num).saturating_mul(u128::from(other.den))
            > u128::from(other.num).saturating_mul(u128::from(self.den))
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        [self.num, self.den].serialize(s)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let [num, den] = <[u64; 2]>::deserialize(d)?;
        Self::new(num, den)
            .ok_or_else(|| serde::de::Error::custom("a price is [num, den], each from 1 to 999999999999999"))
    }
}

/// What a leg counts: points of a unit, or money of a currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Asset {
    /// Points.
    Unit(UnitCode),
    /// Money.
    Money(Currency),
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => unit.fmt(f),
            Self::Money(currency) => currency.fmt(f),
        }
    }
}

impl FromStr for Asset {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        // Currencies have three letters, units four or more.
        if text.len() == 3 { text.parse().map(Self::Money) } else { text.parse().map(Self::Unit) }
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::encode::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(minor: u64) -> Money {
        Money::new(minor).expect("fits")
    }

    #[test]
    fn worked_example_of_overshoot() {
        // EUR 5.00 at 0.0075 a point takes 667 points, worth 5.0025.
        let price = Rate::new(75, 100).expect("a price in cents");
        assert_eq!(price.points_ceil(money(500)).map(Points::get), Some(667));
        assert_eq!(Points::new(667).and_then(|p| price.money_floor(p)), Some(money(500)));
    }

    #[test]
    fn a_part_of_a_value_is_rounded_up_once() {
        let points = |n| Points::new(n).expect("fits");
        let rate = Rate::new(1, 3).expect("a price");
        // 10 points are worth 3.33…, half of it 1.66…: not half of 4.
        assert_eq!(rate.money_ppm_ceil(points(10), 500_000), Some(money(2)));
        assert_eq!(rate.money_ppm_ceil(points(9), 1_000_000), Some(money(3)));
        assert_eq!(rate.money_ppm_ceil(points(1), 1), Some(money(1)));
        assert_eq!(rate.money_ppm_ceil(Points::ZERO, 1_000_000), Some(Money::ZERO));
        let dear = Rate::new(MAX_RATE, 1).expect("a price");
        assert_eq!(dear.money_ppm_ceil(points(MAX_INT), 10_000_000), None);
        let cheap = Rate::new(1, MAX_RATE).expect("a price");
        assert_eq!(cheap.money_ppm_ceil(points(MAX_INT), 10_000_000), Some(money(91)));
    }

    proptest! {
        #[test]
        fn paying_is_never_short(amount in 0..=1_000_000_000u64, num in 1..10_000u64, den in 1..10_000u64) {
            let price = Rate::new(num, den).expect("in range");
            let points = price.points_ceil(money(amount)).expect("fits");
            prop_assert!(price.money_floor(points).expect("fits").get() >= amount);
            if let Some(one_less) = points.minus(Points::new(1).expect("1")) {
                prop_assert!(u128::from(one_less.get()) * u128::from(num) < u128::from(amount) * u128::from(den));
            }
        }

        #[test]
        fn repricing_is_the_exact_floor(x in 0..=MAX_INT, a in 1..=MAX_RATE, b in 1..=MAX_RATE, c in 1..=MAX_RATE, d in 1..=MAX_RATE) {
            let got = money(x).reprice_floor(Rate::new(a, b).expect("rate"), Rate::new(c, d).expect("rate"));
            // Independent: floor(x·a·d / (b·c)) by bisection over 256-bit comparisons done in halves.
            if let Some(v) = got.map(Money::get) {
                prop_assert!(le(v, b, c, x, a, d));
                prop_assert!(!le(v + 1, b, c, x, a, d));
            }
        }
    }

    /// v·b·c ≤ x·a·d with all products exact, as little-endian base-2^32 digits.
    fn le(v: u64, b: u64, c: u64, x: u64, a: u64, d: u64) -> bool {
        let product = |factors: [u64; 3]| {
            let mut digits = vec![1u64];
            for factor in factors {
                let mut next = vec![0u64; digits.len() + 2];
                for (i, digit) in digits.iter().enumerate() {
                    let mut carry = 0u128;
                    for (j, half) in [factor & 0xffff_ffff, factor >> 32].into_iter().enumerate() {
                        let sum = u128::from(next[i + j]) + u128::from(*digit) * u128::from(half) + carry;
                        next[i + j] = (sum & 0xffff_ffff) as u64;
                        carry = sum >> 32;
                    }
                    let mut k = i + 2;
                    while carry > 0 {
                        if k == next.len() {
                            next.push(0);
                        }
                        let sum = u128::from(next[k]) + carry;
                        next[k] = (sum & 0xffff_ffff) as u64;
                        carry = sum >> 32;
                        k += 1;
                    }
                }
                digits = next;
            }
            digits.resize(16, 0);
            digits.reverse();
            digits
        };
        product([v, b, c]) <= product([x, a, d])
    }
}
