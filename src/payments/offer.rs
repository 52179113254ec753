//! Offers: a payment or an exchange with all amounts fixed, for a minute, until somebody agrees.
//!
//! Owns: what can be offered, for how long, and the limits that keep offers from denying others what they block.
//! Promises: what is agreed to is what was offered, once; points of an open offer are held, so that open offers and
//! holds of an account never exceed its points; headroom of a firm one is, and comes back when it is cancelled or over.
//! Refuses to know: who shows an offer to whom. Its signature is the network's: it stands in the log, under a signed
//! checkpoint, and its hash is what a consent repeats.

use super::authorise::{Authorise, LONGEST_HOLD, MOST_SHARES, share_of, spendable};
use super::consent::Consent;
use super::till;
use crate::book::{
    BillTerms, Draft, Draw, ExchangeTerms, Measure, Name, Offer, OfferState, OfferTerms, OfferedShare,
    PartKey, Principal, Record, Service, Stop, TillTerms,
};
use crate::network::{Asked, signer};
use crate::prices::{
    Exchanged, Fixed, Spend, accepts, end_firm, end_pledge, exchange_fee, exchange_fee_terms,
    exchange_prices, exchange_terms, exchanged_less, fees_now, hold_firm, keeper_of, payment_fees,
    pledge_firm, tax_now, with_fee,
};
use crate::sign::{Purpose, Sale, objects, optional_object};
use crate::types::{
    AccountId, BrandId, Currency, HoldId, Ident, Money, OfferId, Points, Refusal, Refused, Time, UnitCode,
};
use serde::{Deserialize, Serialize};

/// How long an offer can be agreed to, in seconds.
pub const OFFER_LIFE: u64 = 60;
/// Most open offers of an account.
const MOST_OPEN: usize = 3;

/// An exchange that somebody wants: exactly one of `source` and `target`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedExchange {
    /// The unit that is wanted; the one that is given up is that of the account whose key signs.
    pub to: UnitCode,
    /// The currency whose prices apply.
    pub currency: Currency,
    /// So many points are given up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Points>,
    /// So many points are got.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<Points>,
}

/// What one unit shall bear of a bill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedShare {
    /// The unit.
    pub unit: UnitCode,
    /// Its share of the bill.
    pub amount: Money,
}

/// A bill that a till offers to be paid with points, split by unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedPayment {
    /// What is to be paid with points, in all.
    pub amount: Money,
    /// Its currency.
    pub currency: Currency,
    /// Until when it can be captured, in Unix seconds.
    pub deadline: u64,
    /// The shop's receipt number.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// Capture all of it at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture: bool,
    /// The split: each unit once; the shares add up to the amount.
    #[serde(deserialize_with = "objects")]
    pub shares: Vec<WantedShare>,
}

/// `offer.make`: exactly one of the two. An exchange is asked for by the key of the account whose points are given up,
/// a payment by a till.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeOffer {
    /// An exchange.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub exchange: Option<WantedExchange>,
    /// A payment.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub payment: Option<WantedPayment>,
    /// Headroom of the participants that would owe for it is held until it can no longer be agreed to: then it is not
    /// refused for want of it. Where nothing limits what a participant may owe, nothing has to be held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub firm: bool,
}

/// `offer.cancel`, signed by the account's key or by a till of the brand: by whoever's offer it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOffer {
    /// Which.
    pub offer: OfferId,
}

fn invalid<T>(what: &str) -> Result<T, Stop> {
    Err(Refused::about(Refusal::SettingInvalid, what).into())
}

/// Whose key signed: an account's or a till's.
fn maker(draft: &mut Draft, asked: &Asked) -> Result<Principal, Stop> {
    Ok(signer(draft, asked.kid, &[Purpose::Account, Purpose::Till])?.owner.clone())
}

/// An offer of whoever asks; another's is as good as unknown.
pub(super) fn own_offer(draft: &mut Draft, id: OfferId, own: &Principal) -> Result<Offer, Stop> {
    let offer = (*draft.offer(id)?).clone();
    if offer.by == *own { Ok(offer) } else { Err(Refused::about(Refusal::OfferUnknown, id).into()) }
}

/// Its part: that of the holder or brand whose it is.
fn part_of(offer: &Offer) -> Result<PartKey, Stop> {
    match &offer.by {
        Principal::Account(account) => Ok(PartKey::Holder(*account)),
        Principal::Brand(brand) => Ok(PartKey::Brand(brand.clone())),
        Principal::Operator => Err(Stop::Bug("an offer of the operator's".into())),
    }
}

/// Writes what became of an offer; one that is not open any more is refused.
pub(super) fn close(draft: &mut Draft, id: OfferId, offer: Offer, state: OfferState) -> Result<(), Stop> {
    if !offer.open(draft.at) {
        return Err(Refused::about(Refusal::OfferClosed, id).into());
    }
    let part = part_of(&offer)?;
    draft.put(part, Name::Offer(id), Some(Record::from(Offer { state, ..offer })))
}

/// Makes an offer.
pub fn make_offer(draft: &mut Draft, asked: &Asked, args: &MakeOffer) -> Result<OfferId, Stop> {
    let by = maker(draft, asked)?;
    if draft.network()?.frozen {
        return Err(Refusal::NetworkFrozen.into());
    }
    let id = OfferId { seq: draft.seq, part: 0 };
    let until = draft.at.plus_seconds(OFFER_LIFE);
    let terms = match (&args.exchange, &args.payment, &by) {
        (Some(wanted), None, Principal::Account(account)) => {
            let mut terms = offer_exchange(draft, *account, wanted)?;
            if args.firm {
                let ExchangeTerms { debtor, creditor, currency, worth, .. } = &terms;
                let pledged = pledge_firm(draft, &of_exchange(&terms, Some(until)), until)?;
                if pledged.is_none() || terms.payer() != debtor {
                    terms.firm = hold_firm(draft, terms.payer(), creditor, *currency, *worth, until)?;
                }
                terms.pledge = pledged;
            }
            draft.hold(*account, id, until, terms.source)?;
            OfferTerms::Exchange(Box::new(terms))
        }
        (None, Some(wanted), Principal::Brand(brand)) => {
            let (key, _) = till(draft, asked)?;
            let till = key.till.as_ref().ok_or_else(|| Stop::Bug("a till without terms".into()))?;
            let mut bill = offer_bill(draft, brand, till, wanted)?;
            for share in bill.shares.iter_mut().filter(|_| args.firm) {
                let (shop, currency) = (&bill.participant, bill.currency);
                let last = Time::from_seconds(bill.deadline).filter(|_| !bill.capture);
                let last = last.map_or(until, |last| last.max(until));
                share.pledge = pledge_firm(draft, &of_share(share, currency, last), until)?;
                if share.pledge.is_none() || *share.payer() != share.issuer {
                    share.firm = hold_firm(draft, share.payer(), shop, currency, share.obligation, until)?;
                }
            }
            OfferTerms::Payment(bill)
        }
        (Some(_), Some(_), _) | (None, None, _) => return invalid("one of exchange and payment"),
        _ => return Err(Refused::about(Refusal::KeyPurpose, asked.kid).into()),
    };
    let offer = Offer { by, key: asked.kid, terms, until, state: OfferState::Open };
    draft.put(part_of(&offer)?, Name::Offer(id), Some(Record::from(offer)))?;
    Ok(id)
}

/// Takes an offer back: what it held is free again.
pub fn cancel_offer(draft: &mut Draft, asked: &Asked, args: &CancelOffer) -> Result<(), Stop> {
    let by = maker(draft, asked)?;
    let offer = own_offer(draft, args.offer, &by)?;
    end_firm_of(draft, &offer)?;
    let held = match (&offer.terms, &by) {
        (OfferTerms::Exchange(terms), Principal::Account(account)) => Some((*account, terms.from)),
        _ => None,
    };
    close(draft, args.offer, offer, OfferState::Cancelled)?;
    match held {
        Some((account, unit)) => draft.release(account, unit, args.offer),
        None => Ok(()),
    }
}

/// Gives back the headroom that is held for an offer.
fn end_firm_of(draft: &mut Draft, offer: &Offer) -> Result<(), Stop> {
    match &offer.terms {
        OfferTerms::Exchange(terms) => {
            if let Some(held) = terms.pledge {
                end_pledge(draft, &of_exchange(terms, None), held, offer.until)?;
            }
            match terms.firm {
                true => {
                    end_firm(draft, terms.payer(), &terms.creditor, terms.currency, terms.worth, offer.until)
                }
                false => Ok(()),
            }
        }
        OfferTerms::Payment(bill) => {
            for share in &bill.shares {
                let (shop, currency) = (&bill.participant, bill.currency);
                if let Some(held) = share.pledge {
                    end_pledge(draft, &of_share(share, currency, offer.until), held, offer.until)?;
                }
                if share.firm {
                    end_firm(draft, share.payer(), shop, currency, share.obligation, offer.until)?;
                }
            }
            Ok(())
        }
    }
}

/// What an exchange spends, and what is owed for it.
pub(super) fn of_exchange(terms: &ExchangeTerms, until: Option<Time>) -> Spend<'_> {
    let owed = if terms.debtor == terms.creditor { Money::ZERO } else { terms.worth };
    let (unit, points, issuer, currency) = (terms.from, terms.source, &terms.debtor, terms.currency);
    Spend { unit, points, issuer, currency, owed, until }
}

/// What a share of a bill spends, and what is owed for it.
fn of_share(share: &OfferedShare, currency: Currency, until: Time) -> Spend<'_> {
    let OfferedShare { unit, points, obligation, issuer, .. } = share;
    Spend { unit: *unit, points: *points, issuer, currency, owed: *obligation, until: Some(until) }
}

/// Whether points of a unit may come into being now, for an exchange: neither they nor their brand are frozen.
pub(super) fn obtainable(draft: &mut Draft, to: UnitCode) -> Result<BrandId, Stop> {
    let unit = draft.unit(to)?;
    let brand = unit.brand.clone();
    if draft.brand(&brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &brand).into());
    }
    if unit.frozen {
        return Err(Refused::about(Refusal::UnitFrozen, to).into());
    }
    Ok(brand)
}

fn offer_exchange(
    draft: &mut Draft,
    account: AccountId,
    wanted: &WantedExchange,
) -> Result<ExchangeTerms, Stop> {
    let fixed = match (wanted.source, wanted.target) {
        (Some(source), None) => Fixed::Source(source),
        (None, Some(target)) => Fixed::Target(target),
        _ => return invalid("one of source and target"),
    };
    let (from, unit) = spendable(draft, account)?;
    let debtor = draft.brand(&unit.brand)?.participant.clone();
    let (to, currency) = (wanted.to, wanted.currency);
    if to == from {
        return invalid("to: another unit");
    }
    let brand = obtainable(draft, to)?;
    let creditor = draft.brand(&brand)?.participant.clone();
    let budget = exchange_terms(draft, &brand, from, to)?.budget;
    let prices = exchange_prices(draft, from, to, currency)?;
    let (settle, issue) = (prices.settle.settle_with(&creditor), prices.issue.issue_to(&debtor));
    let tier = draft.account(account)?.head.tier.clone();
    let fees = fees_now(draft, currency)?;
    let line = exchange_fee(fees.as_ref(), from, tier.as_ref());
    let Exchanged { source, fee, target } =
        exchanged_less(fixed, line.as_ref(), settle, issue).ok_or(Refusal::AmountTooLarge)?;
    let worth = source.minus(fee).and_then(|rest| settle.money_floor(rest)).ok_or(Refusal::AmountTooLarge)?;
    if source.is_zero() || target.is_zero() || worth.is_zero() {
        // Enough for one point, and for the smallest amount of money that can be owed for it.
        let one = (Points::new(1), Money::new(1));
        let least = one.0.and_then(|one| one.reprice_ceil(issue, settle));
        let least = least.zip(one.1.and_then(|one| settle.points_ceil(one))).map(|(a, b)| a.max(b));
        let least = least.and_then(|least| with_fee(least, line.as_ref())).ok_or(Refusal::AmountTooLarge)?;
        return Err(Refused::about(Refusal::AmountTooSmall, format!("at least {least} {from}")).into());
    }
    let fee = match &fees {
        None => None,
        Some(fees) => {
            let settle = prices.settle.settle_with(&fees.supplier);
            let terms = exchange_fee_terms(fees, line.as_ref(), fee, &debtor, settle);
            Some(terms.ok_or(Refusal::AmountTooLarge)?)
        }
    };
    let tax = tax_now(draft, &creditor, Service::Exchange)?.filter(|_| debtor != creditor);
    let held = |hold: &&crate::book::Hold| matches!(hold.of, HoldId::Offer(_));
    if draft.account(account)?.holds.iter().filter(held).count() >= MOST_OPEN {
        return Err(Refusal::TooManyOffers.into());
    }
    let keeper = match debtor == creditor {
        true => None,
        false => keeper_of(draft, from, &creditor)?,
    };
    Ok(ExchangeTerms {
        from,
        to,
        currency,
        source,
        target,
        worth,
        debtor,
        keeper,
        creditor,
        settle_price: prices.settle.version,
        issue_price: prices.issue.version,
        budget,
        fee,
        tax,
        firm: false,
        pledge: None,
    })
}

fn offer_bill(
    draft: &mut Draft,
    shop: &BrandId,
    till: &TillTerms,
    wanted: &WantedPayment,
) -> Result<BillTerms, Stop> {
    if draft.brand(shop)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, shop).into());
    }
    if wanted.amount.is_zero() {
        return Err(Refused::about(Refusal::AmountTooSmall, "amount: at least 1").into());
    }
    let now = draft.at.seconds();
    if wanted.deadline <= now || wanted.deadline > now.saturating_add(LONGEST_HOLD) {
        return invalid("deadline: ahead, by 30 days at the most");
    }
    let sum = wanted.shares.iter().try_fold(Money::ZERO, |sum, share| sum.plus(share.amount));
    let units = || wanted.shares.iter().map(|share| share.unit);
    let once = units().enumerate().all(|(at, unit)| !units().take(at).any(|earlier| earlier == unit));
    if sum != Some(wanted.amount) || wanted.shares.len() > MOST_SHARES || !once {
        return Err(Refused::about(Refusal::SharesMismatch, format!("the bill is {}", wanted.amount)).into());
    }
    let mut shares = Vec::with_capacity(wanted.shares.len());
    for share in &wanted.shares {
        let issuer = obtainable(draft, share.unit)?;
        if issuer != *shop {
            accepts(draft, shop, share.unit)?;
        }
        let sale = Sale { amount: share.amount, currency: wanted.currency };
        let unit = draft.unit(share.unit)?;
        let offered = share_of(draft, shop, &till.participant, share.unit, &unit, &sale)?;
        if let Some(most) = unit.offer_cap {
            let subject = share.unit.as_str().parse();
            let subject = subject.map_err(|_| Stop::Bug("a unit's code is an id".into()))?;
            let (measure, amount, ceiling) = (Measure::OfferedMinute, offered.points.get(), most.get());
            let draw = Draw { brand: shop, subject, measure, offset: 0, amount, ceiling };
            draft.draw(draw, Refusal::OfferLimitExceeded)?;
        }
        shares.push(offered);
    }
    let borne: Vec<_> = shares.iter().map(|share| (&share.issuer, share.amount)).collect();
    let fees = payment_fees(draft, wanted.currency, &till.participant, &borne)?;
    Ok(BillTerms {
        participant: till.participant.clone(),
        currency: wanted.currency,
        amount: wanted.amount,
        deadline: wanted.deadline,
        reference: wanted.reference.clone(),
        capture: wanted.capture,
        shares,
        fees,
    })
}

/// The terms of an offer that is agreed to by these consents, which closes it, and until when it could be: everything is
/// as it was offered.
pub(super) fn take_bill(
    draft: &mut Draft,
    shop: &BrandId,
    till: &TillTerms,
    id: OfferId,
    args: &Authorise,
    consents: &[Consent],
) -> Result<(BillTerms, Time), Stop> {
    let mismatch = |what: &str| Err(Refused::about(Refusal::OfferMismatch, what).into());
    let offer = own_offer(draft, id, &Principal::Brand(shop.clone()))?;
    let OfferTerms::Payment(terms) = offer.terms.clone() else {
        return mismatch("an exchange is offered");
    };
    let same = terms.participant == till.participant
        && terms.amount == args.amount
        && terms.currency == args.currency
        && terms.deadline == args.deadline
        && terms.reference == args.reference
        && terms.capture == args.capture;
    if !same || args.under.is_some() || terms.shares.len() != consents.len() {
        return mismatch("amount, currency, deadline, ref, capture, shares: as offered");
    }
    let hash = offer.hash(id);
    if consents.iter().any(|consent| consent.claims.offer != Some(hash)) {
        return Err(Refused::about(Refusal::ConsentMismatch, "offer").into());
    }
    let until = offer.until;
    close(draft, id, offer, OfferState::Taken)?;
    Ok((terms, until))
}

/// A consent to an offer is none to anything else.
pub(super) fn not_offered(consents: &[Consent]) -> Result<(), Stop> {
    match consents.iter().any(|consent| consent.claims.offer.is_some()) {
        true => Err(Refused::about(Refusal::ConsentMismatch, "offer").into()),
        false => Ok(()),
    }
}
