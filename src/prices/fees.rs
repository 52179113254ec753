//! Fees: what the network asks for its service, as published; and what that comes to for a payment or an exchange.
//!
//! Owns: publishing versions, their notice, and the terms that a payment or an exchange is fixed with.
//! Promises: like prices, a version is announced before it applies, longer if anybody is to pay more, and approved by
//! two people; what was offered or held before keeps the fees that it was fixed with.
//! Refuses to know: what is captured of a payment, and how a fee is booked.

use super::exchange::{Fixed, exchanged};
use super::{MOST_VERSIONS, can_apply, forget, in_force, rules};
use crate::book::{
    Draft, ExchangeFee, ExchangeFeeTerms, Fee, FeeTerms, FeeVersions, Fees, LosingFees, Name, Notice,
    PartKey, Principal, Published, Record, Service, Stop, Tax,
};
use crate::network::{Asked, analyst, consents, speaker, two_approvers};
use crate::sign::{object, optional_object, optional_objects};
use crate::types::{
    Currency, Ident, MAX_INT, Money, ParticipantId, Points, Rate, Refusal, Refused, UnitCode,
};
use serde::{Deserialize, Serialize};

/// Most fees for exchanges in one version.
const MOST_EXCHANGE: usize = 50;
/// The most that losing a dispute costs in all, in the bank's smallest unit: 1,000.00 of most currencies.
const MOST_LOSING: u64 = 100_000;

/// `fees.publish`, signed by an analyst, approved by two of the operator's approvers: what the network asks for its
/// service from an instant on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishFees {
    /// 1, then one more for each publication, in whatever currency.
    pub version: u64,
    /// For payments and exchanges in this currency.
    pub currency: Currency,
    /// First instant, in Unix seconds: 7 days ahead, 30 if anybody is to pay more; at once while nobody but the
    /// operator's own participant has joined.
    pub from: u64,
    /// First instant after it; until the next version if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
    /// Who is owed the fees, as whose service they are taxed: the operator's participant, or another of its companies. A
    /// participant that has a brand of its own agrees: its brand's root or an approver key signs an approval.
    pub supplier: ParticipantId,
    /// From the participant whose shop takes points, for what others' points pay of a bill.
    #[serde(deserialize_with = "object")]
    pub acceptor: Fee,
    /// From each participant whose points others' shops take, for what they pay of a bill.
    #[serde(deserialize_with = "object")]
    pub issuer: Fee,
    /// From who exchanges points, in the points that are given up, by unit and membership tier; 0 for what is not listed.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub exchange: Option<Vec<ExchangeFee>>,
    /// The tax: on top of fees in money, within fees in points.
    #[serde(deserialize_with = "object")]
    pub tax: Tax,
    /// From whoever loses a dispute, once its target has answered; nothing if absent. At most 100,000 of the bank's
    /// smallest unit in all.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub dispute: Option<LosingFees>,
    /// Why, as a code, such as `yearly-review`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Ident>,
}

fn invalid(what: &str) -> Stop {
    Refused::about(Refusal::SettingInvalid, what).into()
}

/// Publishes a version of the network's fees.
pub fn publish_fees(draft: &mut Draft, asked: &Asked, args: &PublishFees) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let mut network = (*draft.network()?).clone();
    if !network.currencies.contains(&args.currency) {
        return Err(invalid(&format!("currency {}", args.currency)));
    }
    supplies(draft, asked, &args.supplier)?;
    let before = draft.get(&Name::Fees)?;
    let mut all = before.as_deref().and_then(Record::fees).cloned().unwrap_or_default();
    let next = all.versions.last().map_or(1, |last| last.version.saturating_add(1));
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let now = draft.at.seconds();
    if args.from < now || args.until.is_some_and(|until| until <= args.from) {
        return Err(invalid("from, until: not in the past, and in order"));
    }
    let fees = Fees {
        version: args.version,
        currency: args.currency,
        from: args.from,
        until: args.until,
        supplier: args.supplier.clone(),
        acceptor: args.acceptor,
        issuer: args.issuer,
        exchange: args.exchange.clone().unwrap_or_default(),
        tax: args.tax,
        dispute: args.dispute,
    };
    check(draft, &fees)?;
    check_notice(draft, &all, &fees)?;
    let approved = two_approvers(draft, asked, &Principal::Operator)?;
    let published = Published {
        terms: fees.clone(),
        reason: args.reason.clone(),
        by: asked.kid,
        approved,
        seq: draft.seq,
        at: draft.at,
    };
    all.versions.push(fees);
    forget(&mut all.versions, |_| false, now);
    if all.versions.len() > MOST_VERSIONS {
        return Err(invalid("more than 64 versions in force or announced"));
    }
    draft.put(PartKey::Public, Name::PublishedFees(args.version), Some(Record::from(published)))?;
    draft.put(PartKey::Public, Name::Fees, Some(Record::Fees(all)))?;
    if !network.fees {
        network.fees = true;
        draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))?;
    }
    Ok(())
}

/// Whoever has a brand of its own agrees to be owed the network's fees, and so to be who disputes over them are about.
fn supplies(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<(), Stop> {
    let own = draft.network()?.operator.as_ref() == Some(who);
    if own || speaker(draft, who)?.is_none() { Ok(()) } else { consents(draft, asked, who) }
}

/// A version is in itself in order.
fn check(draft: &mut Draft, fees: &Fees) -> Result<(), Stop> {
    if !fees.acceptor.is_sound() || !fees.issuer.is_sound() {
        return Err(invalid("acceptor, issuer: ppm up to 1,000,000, min up to max"));
    }
    if !fees.tax.is_sound() {
        return Err(invalid("tax: a rate up to 1,000,000, above 0 for standard and for nothing else"));
    }
    let most = draft.network()?.bank_unit(fees.currency).and_then(|unit| unit.checked_mul(MOST_LOSING));
    let losing = fees.dispute.unwrap_or_default();
    let all = losing.network.plus(losing.winner);
    if all.is_none_or(|all| most.is_none_or(|most| all.get() > most)) {
        return Err(invalid("dispute: at most 100,000 of the bank's smallest unit in all"));
    }
    let key = |fee: &ExchangeFee| (fee.unit, fee.tier.clone());
    let twice = |at: usize, one: &ExchangeFee| fees.exchange.iter().take(at).any(|b| key(b) == key(one));
    if fees.exchange.len() > MOST_EXCHANGE || fees.exchange.iter().enumerate().any(|(at, one)| twice(at, one))
    {
        return Err(invalid("exchange: each unit and tier once, at most 50"));
    }
    for fee in &fees.exchange {
        if !fee.is_sound() {
            return Err(invalid("exchange: ppm below 1,000,000, min up to max, both with a unit only"));
        }
        if let Some(unit) = fee.unit {
            draft.unit(unit)?;
        }
    }
    Ok(())
}

/// A version begins no sooner than its notice allows: the longer one if anybody pays more than by any version that it
/// may follow, or for the first time.
fn check_notice(draft: &mut Draft, all: &FeeVersions, fees: &Fees) -> Result<(), Stop> {
    let now = draft.at.seconds();
    let joined =
        draft.get(&Name::Roll)?.as_deref().and_then(Record::roll).map_or(0, |roll| roll.participants);
    if joined <= 1 {
        return Ok(());
    }
    let mut before = all
        .versions
        .iter()
        .filter(|old| old.currency == fees.currency && can_apply(*old, &all.versions, now));
    let Notice { change_days, cut_days } = Notice::DEFAULT;
    // Before the first version, and where versions end, nothing is asked.
    let ends = all.versions.iter().filter_map(|old| old.until).filter(|end| {
        let span = fees.from..fees.until.unwrap_or(u64::MAX);
        span.contains(end) && *end < rules::after(now, cut_days)
    });
    let mut begins = std::iter::once(fees.from).chain(ends);
    let gap = begins.any(|at| in_force(&all.versions, fees.currency, at).is_none());
    let dearer = (gap && asks(fees)) || before.any(|old| is_dearer(old, fees));
    let (what, days) = if dearer { ("fees go up", cut_days) } else { ("a change", change_days) };
    Ok(rules::in_time(what, days, fees.from, now)?)
}

/// Whether anybody pays anything.
fn asks(fees: &Fees) -> bool {
    let points = fees.exchange.iter().any(|fee| fee.ppm > 0 || !fee.min.is_zero());
    let losing = fees.dispute.is_some_and(|losing| losing != LosingFees::default());
    points || losing || !fees.acceptor.is_waived() || !fees.issuer.is_waived()
}

/// Whether somebody may pay more by `new` than by `old`.
fn is_dearer(old: &Fees, new: &Fees) -> bool {
    let above = |old: Option<u64>, new: Option<u64>| match (old, new) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => new > old,
    };
    let money = |old: &Fee, new: &Fee| {
        let most = |fee: &Fee| fee.max.map(Money::get);
        let more = new.ppm > old.ppm || new.min > old.min || above(most(old), most(new));
        !new.is_waived() && (more || (old.refundable && !new.refundable))
    };
    let points = |old: Option<&ExchangeFee>, new: Option<&ExchangeFee>| {
        let Some(new) = new.filter(|new| new.ppm > 0 || !new.min.is_zero()) else { return false };
        let most = |fee: &ExchangeFee| fee.max.map(Points::get);
        old.is_none_or(|old| new.ppm > old.ppm || new.min > old.min || above(most(old), most(new)))
    };
    let losing = |fees: &Fees| fees.dispute.unwrap_or_default();
    let (lost, loses) = (losing(old), losing(new));
    let lines = || old.exchange.iter().chain(&new.exchange);
    let tiers = || lines().map(|fee| fee.tier.as_ref()).chain([None]);
    let of_unit =
        |unit: UnitCode| tiers().any(|tier| points(old.exchange_of(unit, tier), new.exchange_of(unit, tier)));
    // Of all other units none is named, and so none of their fees by unit.
    let of_others = |fees: &Fees| Fees {
        exchange: fees.exchange.iter().filter(|fee| fee.unit.is_none()).cloned().collect(),
        ..fees.clone()
    };
    let (old_others, new_others) = (of_others(old), of_others(new));
    let elsewhere = || {
        let Some(any) = "NONE".parse().ok() else { return true };
        tiers().any(|tier| points(old_others.exchange_of(any, tier), new_others.exchange_of(any, tier)))
    };
    money(&old.acceptor, &new.acceptor)
        || money(&old.issuer, &new.issuer)
        || loses.network > lost.network
        || loses.winner > lost.winner
        || (new.tax.rate > old.tax.rate && asks(new))
        || lines().filter_map(|fee| fee.unit).any(of_unit)
        || elsewhere()
}

/// The fees in force in a currency; `None` if none were published for it.
pub fn fees_now(draft: &mut Draft, currency: Currency) -> Result<Option<Fees>, Stop> {
    if !draft.network()?.fees {
        return Ok(None);
    }
    let now = draft.at.seconds();
    let record = draft.get(&Name::Fees)?;
    let versions = record.as_deref().and_then(Record::fees).map_or(&[][..], |fees| &fees.versions);
    Ok(in_force(versions, currency, now).cloned())
}

/// A fee in full: the tax comes on top.
fn on_top(
    fees: &Fees,
    service: Service,
    fee: &Fee,
    customer: &ParticipantId,
    amount: Money,
) -> Option<FeeTerms> {
    let net = fee.of(amount)?;
    let tax = fees.tax.on(net)?;
    Some(FeeTerms {
        service,
        supplier: fees.supplier.clone(),
        customer: customer.clone(),
        version: fees.version,
        net,
        category: fees.tax.category,
        rate: fees.tax.rate,
        tax,
        gross: net.plus(tax)?,
        refundable: fee.refundable,
        charged: Money::ZERO,
        disputes: vec![],
        won: Money::ZERO,
    })
}

/// The fees for a bill of which each of these issuers' points pay so much, in the order of who owes them: one from who
/// takes the points, one from each issuer. What is paid with one's own points costs nothing, and nobody owes oneself.
pub fn payment_fees(
    draft: &mut Draft,
    currency: Currency,
    acceptor: &ParticipantId,
    shares: &[(&ParticipantId, Money)],
) -> Result<Vec<FeeTerms>, Stop> {
    let Some(fees) = fees_now(draft, currency)? else { return Ok(vec![]) };
    let mut issuers: Vec<(&ParticipantId, Money)> = vec![];
    let mut all = Money::ZERO;
    for (issuer, amount) in shares.iter().filter(|(issuer, _)| *issuer != acceptor) {
        all = all.plus(*amount).ok_or(Refusal::AmountTooLarge)?;
        match issuers.iter_mut().find(|(have, _)| have == issuer) {
            Some((_, sum)) => *sum = sum.plus(*amount).ok_or(Refusal::AmountTooLarge)?,
            None => issuers.push((*issuer, *amount)),
        }
    }
    if issuers.is_empty() {
        return Ok(vec![]);
    }
    issuers.sort_by_key(|(issuer, _)| *issuer);
    let acceptor = (Service::AcceptorFee, &fees.acceptor, acceptor, all);
    let issuers = issuers.into_iter().map(|(issuer, sum)| (Service::IssuerFee, &fees.issuer, issuer, sum));
    let lines =
        std::iter::once(acceptor).chain(issuers).filter(|(_, _, customer, _)| **customer != fees.supplier);
    let terms = lines.map(|(service, fee, customer, amount)| on_top(&fees, service, fee, customer, amount));
    terms.collect::<Option<Vec<_>>>().ok_or_else(|| Refusal::AmountTooLarge.into())
}

/// What leaves an account, what of it is the fee, and what is got for the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchanged {
    /// What leaves the account, with the fee.
    pub source: Points,
    /// The fee.
    pub fee: Points,
    /// What is got.
    pub target: Points,
}

/// The one function of offers and executions: the fee is a part of what leaves the account, and the rest is exchanged at
/// the prices. With the target fixed it is the fewest points of which enough are left. `None` if it does not fit.
pub fn exchanged_less(
    fixed: Fixed,
    fee: Option<&ExchangeFee>,
    settle: Rate,
    issue: Rate,
) -> Option<Exchanged> {
    let of = |source: Points| fee.map_or(Some(Points::ZERO), |fee| fee.of(source));
    match fixed {
        Fixed::Source(source) => {
            // A fee of all there is leaves nothing to exchange.
            let fee = of(source)?.min(source);
            let (_, target) = exchanged(Fixed::Source(source.minus(fee)?), settle, issue)?;
            Some(Exchanged { source, fee, target })
        }
        Fixed::Target(target) => {
            let (needed, _) = exchanged(Fixed::Target(target), settle, issue)?;
            let source = with_fee(needed, fee)?;
            Some(Exchanged { source, fee: of(source)?, target })
        }
    }
}

/// The fewest points of which so many are left after the fee. With one point more the fee goes up by one at the most, so
/// what is left never goes down, and takes every value.
pub fn with_fee(needed: Points, fee: Option<&ExchangeFee>) -> Option<Points> {
    let Some(fee) = fee.filter(|_| !needed.is_zero()) else { return Some(needed) };
    let enough = |source: Points| Some(source.minus(fee.of(source)?).is_some_and(|left| left >= needed));
    let (mut low, mut high) = (needed.get(), MAX_INT);
    if !enough(Points::new(high)?)? {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if enough(Points::new(middle)?)? { high = middle } else { low = middle.checked_add(1)? }
    }
    Points::new(low)
}

/// The fee line that applies to an exchange now; `None` if no fees are in force or none is for it, which is the fee 0.
pub fn exchange_fee(fees: Option<&Fees>, from: UnitCode, tier: Option<&Ident>) -> Option<ExchangeFee> {
    fees.and_then(|fees| fees.exchange_of(from, tier)).cloned()
}

/// The terms of an exchange's fee: what its points are worth at `settle` is owed by their issuer, tax within.
pub fn exchange_fee_terms(
    fees: &Fees,
    fee: Option<&ExchangeFee>,
    points: Points,
    issuer: &ParticipantId,
    settle: Rate,
) -> Option<ExchangeFeeTerms> {
    let gross = settle.money_floor(points)?;
    let tax = fees.tax.within(gross)?;
    let worth = FeeTerms {
        service: Service::ExchangeFee,
        supplier: fees.supplier.clone(),
        customer: issuer.clone(),
        version: fees.version,
        net: gross.minus(tax)?,
        category: fees.tax.category,
        rate: fees.tax.rate,
        tax,
        gross,
        refundable: false,
        charged: Money::ZERO,
        disputes: vec![],
        won: Money::ZERO,
    };
    Some(ExchangeFeeTerms { points, tier: fee.and_then(|fee| fee.tier.clone()), worth })
}
