//! The demo's fees: what the network asks for its service, from the second month to the end of the first year.
//!
//! Owns: the form of `[fees]`, publishing them, and the demo's own sums of what they come to.
//! Promises: those sums are made by the published formulas, apart from the network's books; fees are announced, approved
//! and booked like anybody's.
//! Refuses to know: which payments there are.

use super::house::{House, hired, text};
use super::safe::Safe;
use super::tally::Borne;
use super::terms::fixed;
use crate::app::{Operator, id_of};
use crate::book::{ExchangeFee, Fee, Tax};
use crate::clearing::ConfirmDetails;
use crate::cli::prices::{in_money, in_points};
use crate::machine::Kind;
use crate::network::RegisterParticipant;
use crate::prices::PublishFees;
use crate::sign::Purpose;
use crate::types::{Currency, Ident, Money, ParticipantId, Points, Time, UnitCode};
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;
/// The number of the operator's own account: the brands' are counted from 1.
const OWN_ACCOUNT: u64 = 999_999;

/// A fee in money as it is written: percent, and amounts of the currency.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeText {
    percent: String,
    least: Option<String>,
    most: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeText {
    unit: Option<UnitCode>,
    tier: Option<Ident>,
    percent: String,
}

/// `[fees]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeesText {
    supplier: ParticipantId,
    days: [u64; 2],
    acceptor: FeeText,
    issuer: FeeText,
    #[serde(default)]
    exchange: Vec<ExchangeText>,
}

/// What the network asks for, and when.
#[derive(Clone, Debug)]
pub struct FeesTerms {
    /// Who is owed it: the operator's own participant.
    pub supplier: ParticipantId,
    days: [u64; 2],
    acceptor: Fee,
    issuer: Fee,
    exchange: Vec<ExchangeFee>,
}

fn ppm(percent: &str) -> Result<u32, String> {
    let ppm = fixed(percent, 4)?;
    u32::try_from(ppm)
        .ok()
        .filter(|ppm| *ppm < 1_000_000)
        .ok_or_else(|| format!("{percent} percent: below 100"))
}

fn fee(text: &FeeText, scale: u8) -> Result<Fee, String> {
    let money = |text: &String| Money::new(fixed(text, scale)?).ok_or_else(|| format!("{text} is too much"));
    let min = text.least.as_ref().map_or(Ok(Money::ZERO), money)?;
    let fee = Fee {
        ppm: ppm(&text.percent)?,
        min,
        max: text.most.as_ref().map(money).transpose()?,
        refundable: true,
    };
    if fee.is_sound() { Ok(fee) } else { Err("least, most: in order".into()) }
}

/// A fee of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charged {
    /// Who owes it: the brand's place.
    pub brand: usize,
    /// Whether it does for having taken points, and not for having issued them.
    pub acceptor: bool,
    /// What it comes to in full.
    pub full: u64,
}

impl Charged {
    /// What of it stands when so much of the payment does.
    pub fn at(&self, net: u64, of: u64) -> Option<u64> {
        let product = u128::from(self.full).checked_mul(u128::from(net))?;
        u64::try_from(product.checked_add(u128::from(of).checked_sub(1)?)?.checked_div(u128::from(of))?).ok()
    }
}

impl FeesTerms {
    /// Reads them; amounts are at the log's scale.
    pub fn read(text: &FeesText, scale: u8) -> Result<Self, String> {
        let named = |e: String| format!("[fees] {e}");
        let [from, until] = text.days;
        if from < 31 || until <= from {
            return Err(named(
                "days: from 31 on, since fees are announced 30 days before, and in order".into(),
            ));
        }
        let exchange = text.exchange.iter().map(|one| {
            let (unit, tier, min) = (one.unit, one.tier.clone(), Points::ZERO);
            Ok(ExchangeFee { unit, tier, ppm: ppm(&one.percent)?, min, max: None })
        });
        Ok(Self {
            supplier: text.supplier.clone(),
            days: text.days,
            acceptor: fee(&text.acceptor, scale).map_err(named)?,
            issuer: fee(&text.issuer, scale).map_err(named)?,
            exchange: exchange.collect::<Result<_, String>>().map_err(named)?,
        })
    }

    /// First instant, and first instant after them, in a network that is founded at `start`.
    pub fn window(&self, start: Time) -> [u64; 2] {
        self.days.map(|day| start.seconds().saturating_add(day.saturating_mul(DAY)))
    }

    /// What a payment of these shares costs whom: nothing for what is paid with the shop's own points.
    pub fn charged(
        &self,
        start: Time,
        now: Time,
        shop: usize,
        shares: &[Borne],
    ) -> Result<Vec<Charged>, String> {
        let [from, until] = self.window(start);
        if !(from..until).contains(&now.seconds()) {
            return Ok(vec![]);
        }
        let others = || shares.iter().filter(|share| share.brand != shop);
        let amounts = others().map(|share| u128::from(share.amount.get()));
        let all = amounts.clone().sum::<u128>();
        if all == 0 {
            return Ok(vec![]);
        }
        let mut charged = vec![one(&self.acceptor, shop, true, all)?];
        for (share, amount) in others().zip(amounts) {
            charged.push(one(&self.issuer, share.brand, false, amount)?);
        }
        Ok(charged)
    }

    /// What is published, as far as it is about units that there are.
    fn published(&self, currency: Currency, start: Time, units: &[UnitCode]) -> PublishFees {
        let [from, until] = self.window(start);
        let there = |fee: &&ExchangeFee| fee.unit.is_none_or(|unit| units.contains(&unit));
        let exchange: Vec<ExchangeFee> = self.exchange.iter().filter(there).cloned().collect();
        PublishFees {
            version: 1,
            currency,
            from,
            until: Some(until),
            supplier: self.supplier.clone(),
            acceptor: self.acceptor,
            issuer: self.issuer,
            exchange: Some(exchange).filter(|all| !all.is_empty()),
            dispute: None,
            tax: Tax::default(),
            reason: "first-fees".parse().ok(),
        }
    }
}

/// ceil(amount · ppm / 10^6), at least and at most so much.
fn one(fee: &Fee, brand: usize, acceptor: bool, amount: u128) -> Result<Charged, String> {
    let part = amount.saturating_mul(u128::from(fee.ppm)).div_ceil(1_000_000);
    let part = u64::try_from(part).map_err(text)?.max(fee.min.get());
    let full = fee.max.map_or(part, |max| part.min(max.get()));
    Ok(Charged { brand, acceptor, full })
}

impl House<'_> {
    /// The operator's own participant joins and says where it is paid, and the fees that it is to be owed are published.
    pub fn ask_for_fees(
        &mut self,
        operator: &Operator,
        safe: &Safe,
        fees: &FeesTerms,
        units: &[UnitCode],
        at: Time,
    ) -> Result<(), String> {
        let (participant, currency) = (fees.supplier.clone(), self.currency);
        let args = RegisterParticipant { participant, currency, operator: true };
        let cid = id_of(&["participant", fees.supplier.as_str()]);
        let request = operator.command(&self.pen, &cid, Kind::ParticipantRegistered, &args);
        self.send(&request.ok_or("an operator without roots")?, at)?;
        // It has no brand: the house signs for it, and another analyst calls back.
        let other = safe.operator_key("analyst-2")?;
        self.send(&hired(self.pen, operator, &other, "analyst-2", Purpose::Operations, at)?, at)?;
        let set = self.details(safe, &fees.supplier, "Tallyhouse", OWN_ACCOUNT)?;
        self.agreed(Kind::DetailsSet, fees.supplier.as_str(), &set, at)?;
        let (participant, currency) = (fees.supplier.clone(), self.currency);
        let called = ConfirmDetails { participant, currency, version: set.version, settlement: false };
        self.by(&other, Kind::DetailsConfirmed, fees.supplier.as_str(), &called, at)?;
        let args = fees.published(self.currency, at, units);
        self.agreed(Kind::FeesPublished, "1", &args, at)?;
        self.supplier = Some(fees.supplier.clone());
        Ok(())
    }

    /// What of a cycle's obligations is fees, what refunds gave back subtracted.
    pub(super) fn fees_in(&self, cycle: u64) -> Result<i64, String> {
        let Some(supplier) = &self.supplier else { return Ok(0) };
        let rows = self.views.obligations(Some(cycle)).map_err(text)?.what;
        Ok(rows.iter().filter(|row| row.creditor == *supplier).map(|row| row.amount).sum())
    }
}

/// What the page says of fees. Amounts are in the currency's scale.
#[derive(Clone, Serialize)]
pub struct Shown {
    /// Who is owed them.
    pub supplier: String,
    /// The first day of them.
    pub from: String,
    /// The first day after them.
    pub until: String,
    /// From who takes points: the fee, and what all of them owe.
    pub acceptor: (String, u64),
    /// From who issued points: the same.
    pub issuer: (String, u64),
    /// From who exchanges them; nobody in the demo does.
    pub exchange: Vec<String>,
    /// What the supplier is owed on balance.
    pub net: i64,
}

impl Shown {
    /// Of these terms, with what came of them.
    pub fn of(fees: &FeesTerms, start: Time, scale: u8, acceptor: u64, issuer: u64, net: i64) -> Self {
        let day = |seconds| Time::from_seconds(seconds).map_or_else(String::new, |at| at.date(0).to_string());
        let [from, until] = fees.window(start).map(day);
        Self {
            supplier: fees.supplier.to_string(),
            from,
            until,
            acceptor: (in_money(&fees.acceptor, scale), acceptor),
            issuer: (in_money(&fees.issuer, scale), issuer),
            exchange: fees.exchange.iter().map(in_points).collect(),
            net,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> FeesTerms {
        let fee = |ppm, min, max: Option<u64>| Fee {
            ppm,
            min: Money::new(min).expect("fits"),
            max: max.map(|max| Money::new(max).expect("fits")),
            refundable: true,
        };
        FeesTerms {
            supplier: "pa_op".parse().expect("an id"),
            days: [31, 60],
            acceptor: fee(4_000, 10, Some(900)),
            issuer: fee(2_000, 0, None),
            exchange: vec![],
        }
    }

    #[test]
    fn a_payment_costs_its_shop_once_and_each_issuer_its_share() {
        let (terms, start) = (terms(), Time::default());
        let share = |brand, amount| Borne {
            brand,
            amount: Money::new(amount).expect("fits"),
            points: Points::ZERO,
            obligation: Money::ZERO,
        };
        let shares = [share(0, 70_000), share(1, 30_001), share(2, 500)];
        let at = |day| start.plus_seconds(day * DAY);
        let of = |day| terms.charged(start, at(day), 0, &shares).expect("fits");
        assert!(of(30).is_empty() && of(60).is_empty());
        let charged = |brand, acceptor, full| Charged { brand, acceptor, full };
        // 0.4 % of 30,501; 0.2 % of each, rounded up.
        assert_eq!(of(31), [charged(0, true, 123), charged(1, false, 61), charged(2, false, 1)]);
        assert_eq!(terms.charged(start, at(31), 0, &shares[..1]), Ok(vec![]), "its own points cost nothing");
        let one = charged(0, true, 123);
        assert_eq!(
            [0, 1, 50_000, 100_501].map(|net| one.at(net, 100_501)),
            [Some(0), Some(1), Some(62), Some(123)]
        );
    }

    #[test]
    fn least_and_most_hold() {
        let one = |amount| super::one(&terms().acceptor, 0, true, amount).expect("fits").full;
        assert_eq!([one(1), one(100_000), one(10_000_000)], [10, 400, 900]);
    }
}
