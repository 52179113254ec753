//! Authorise: points of one or several units are held for a bill, each under its holder's consent.

use super::capture::{Step, step};
use super::consent::{Agreed, Consent, Under, by_code, by_signature, draw};
use super::limits::{Way, draw_held, draw_till};
use super::offer::{not_offered, take_bill};
use super::till;
use crate::book::{
    BillTerms, Draft, Name, Of, OfferedShare, PartKey, Payment, Record, Service, Share, ShareTerms, Stop,
    TillTerms, Unit,
};
use crate::network::Asked;
use crate::prices::{
    Reserved, Spend, accept, end_firm, end_pledge, keep_pledge, keeper_of, payment_fees, pledge, price_now,
    reserve, tax_now, voluntary,
};
use crate::sign::{Sale, optional_objects};
use crate::types::{
    AccountId, BrandId, Currency, Ident, Money, OfferId, ParticipantId, PaymentId, Points, Rate, Refusal,
    Refused, Time, UnitCode,
};
use serde::{Deserialize, Serialize};

/// How long points may be held, in seconds: 30 days.
pub(super) const LONGEST_HOLD: u64 = 30 * 86_400;
/// Most units in one payment.
pub(super) const MOST_SHARES: usize = 16;

/// `payment.authorise`, signed by a till.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorise {
    /// X: what is to be paid with points, in all.
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
    /// The offer that this is, if it was offered before: everything is then as it was offered, and each consent repeats
    /// the offer's hash.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<OfferId>,
    /// Shares under consents that were opened at this till before; a share under a signed consent stands in that.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub under: Option<Vec<Under>>,
}

/// Where the bill is: the shop's side of every share.
pub(super) struct Bill<'a> {
    pub brand: &'a BrandId,
    pub till: &'a TillTerms,
    pub id: PaymentId,
    pub deadline: Time,
}

/// Holds the points, and takes them at once if so asked.
pub fn authorise(
    draft: &mut Draft,
    asked: &Asked,
    args: &Authorise,
    consents: &[Consent],
) -> Result<PaymentId, Stop> {
    let (key, brand) = till(draft, asked)?;
    let terms = key.till.as_ref().ok_or_else(|| Stop::Bug("a till without terms".into()))?;
    if draft.network()?.frozen {
        return Err(Refusal::NetworkFrozen.into());
    }
    if draft.brand(&brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &brand).into());
    }
    check_bill(draft, args, consents)?;
    let offered = match args.offer {
        Some(offer) => Some(take_bill(draft, &brand, terms, offer, args, consents)?),
        None => not_offered(consents).map(|()| None)?,
    };
    let sale = Sale { amount: args.amount, currency: args.currency };
    draw_till(draft, asked.kid, &brand, terms, Way::Take, &sale)?;
    let deadline = Time::from_seconds(args.deadline).ok_or(Refusal::AmountTooLarge)?;
    let bill = Bill { brand: &brand, till: terms, id: PaymentId { seq: draft.seq, part: 0 }, deadline };
    let mut agreed = Vec::with_capacity(consents.len());
    for consent in consents {
        agreed.push(by_signature(draft, asked, &bill, args, consent)?);
    }
    for under in args.under.iter().flatten() {
        agreed.push(by_code(draft, asked, &bill, args, under)?);
    }
    draw_held(draft, &brand, &key, &sale, agreed.iter().map(|one| (one.account, one.amount)))?;
    let mut shares = Vec::with_capacity(agreed.len());
    for one in agreed {
        let share = match &offered {
            Some(offered) => hold_offered(draft, &bill, args, one, offered)?,
            None => hold_share(draft, &bill, args, one)?,
        };
        if shares.iter().any(|have: &ShareTerms| have.unit == share.unit) {
            return Err(
                Refused::about(Refusal::SharesMismatch, format!("{} stands twice", share.unit)).into()
            );
        }
        shares.push(share);
    }
    let fees = match offered {
        Some((offered, _)) => offered.fees,
        None => {
            let borne: Vec<_> = shares.iter().map(|share| (&share.issuer, share.amount)).collect();
            payment_fees(draft, args.currency, &terms.participant, &borne)?
        }
    };
    let mut payment = Payment {
        brand: brand.clone(),
        participant: terms.participant.clone(),
        store: terms.store.clone(),
        till: terms.till.clone(),
        by: asked.kid,
        reference: args.reference.clone(),
        currency: args.currency,
        amount: args.amount,
        shares,
        fees,
        captured: Money::ZERO,
        refunded: Money::ZERO,
        deadline,
        closed: false,
    };
    if args.capture {
        step(draft, bill.id, &mut payment, Step::Capture { amount: args.amount, last: true })?;
        for share in &mut payment.shares {
            (share.reserved, share.paired) = (false, false);
        }
    }
    let id = bill.id;
    draft.put(PartKey::Brand(brand), Name::Payment(id), Some(Record::from(payment)))?;
    Ok(id)
}

fn check_bill(draft: &mut Draft, args: &Authorise, consents: &[Consent]) -> Result<(), Stop> {
    if args.amount.is_zero() {
        return Err(Refused::about(Refusal::AmountTooSmall, "amount: at least 1").into());
    }
    let now = draft.at.seconds();
    if args.deadline <= now || args.deadline > now.saturating_add(LONGEST_HOLD) {
        return Err(Refused::about(Refusal::SettingInvalid, "deadline: ahead, by 30 days at the most").into());
    }
    let under = args.under.as_deref().unwrap_or_default();
    let shares = consents.len().saturating_add(under.len());
    if shares == 0 {
        return Err(Refused::about(Refusal::EvidenceMissing, "a consent for each unit").into());
    }
    let amounts = consents.iter().map(|consent| consent.claims.amount);
    let mut amounts = amounts.chain(under.iter().map(|one| one.amount));
    let sum = amounts.try_fold(Money::ZERO, |sum, amount| sum.plus(amount));
    if sum != Some(args.amount) || shares > MOST_SHARES {
        return Err(Refused::about(Refusal::SharesMismatch, format!("the bill is {}", args.amount)).into());
    }
    Ok(())
}

/// The unit of an account whose points may be spent at all: neither it, nor they, nor their issuer is frozen.
pub(super) fn spendable(draft: &mut Draft, id: AccountId) -> Result<(UnitCode, Of<Unit>), Stop> {
    let account = draft.account(id)?;
    let code = account.head.unit;
    let unit = draft.unit(code)?;
    if draft.brand(&unit.brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &unit.brand).into());
    }
    if unit.frozen {
        return Err(Refused::about(Refusal::UnitFrozen, code).into());
    }
    if account.head.frozen {
        // Without the account's name: the shop may know a code only.
        return Err(Refusal::AccountFrozen.into());
    }
    Ok((code, unit))
}

/// What a share of a bill comes to: P = ceil(X / rate) at the home price in the issuer's own shops and at the till price
/// elsewhere; O = floor(X · settle / rate).
pub(super) fn share_of(
    draft: &mut Draft,
    shop: &BrandId,
    participant: &ParticipantId,
    code: UnitCode,
    unit: &Unit,
    sale: &Sale,
) -> Result<OfferedShare, Stop> {
    let price = price_now(draft, code, sale.currency)?;
    let rate = if unit.brand == *shop { price.home } else { price.till };
    let points = rate.points_ceil(sale.amount).ok_or(Refusal::AmountTooLarge)?;
    let least = unit.min_spend(draft.at);
    if points.is_zero() || least.is_some_and(|least| points < least) {
        let least = least.unwrap_or(Points::new(1).unwrap_or_default());
        return Err(Refused::about(Refusal::AmountTooSmall, format!("at least {least} {code}")).into());
    }
    let issuer = draft.brand(&unit.brand)?.participant.clone();
    let obligation = owed(&issuer, participant, sale.amount, price.settle_with(participant), rate)?;
    let tax = match obligation.is_zero() {
        true => None,
        false => tax_now(draft, participant, Service::Redemption)?,
    };
    let keeper = match obligation.is_zero() {
        true => None,
        false => keeper_of(draft, code, participant)?,
    };
    let (amount, price, firm, pledge) = (sale.amount, price.version, false, None);
    Ok(OfferedShare { unit: code, amount, points, obligation, issuer, keeper, price, tax, firm, pledge })
}

/// Holds the points of one share at today's prices.
fn hold_share(draft: &mut Draft, bill: &Bill, args: &Authorise, agreed: Agreed) -> Result<ShareTerms, Stop> {
    let currency = args.currency;
    let (code, unit) = spendable(draft, agreed.account)?;
    let sale = Sale { amount: agreed.amount, currency };
    // No acceptance of a unit without a price.
    price_now(draft, code, currency)?;
    if unit.brand != *bill.brand {
        accept(draft, bill.brand, code, unit.offset, &sale, false)?;
    }
    let terms = share_of(draft, bill.brand, &bill.till.participant, code, &unit, &sale)?;
    hold_points(draft, bill, args, agreed, terms, None)
}

/// Holds the points of one share as they were offered.
fn hold_offered(
    draft: &mut Draft,
    bill: &Bill,
    args: &Authorise,
    agreed: Agreed,
    (offered, until): &(BillTerms, Time),
) -> Result<ShareTerms, Stop> {
    let (code, unit) = spendable(draft, agreed.account)?;
    let terms = offered.shares.iter().find(|share| share.unit == code && share.amount == agreed.amount);
    let terms =
        terms.ok_or_else(|| Refused::about(Refusal::OfferMismatch, format!("the share of {code}")))?;
    if unit.brand != *bill.brand {
        let sale = Sale { amount: agreed.amount, currency: args.currency };
        accept(draft, bill.brand, code, unit.offset, &sale, true)?;
    }
    hold_points(draft, bill, args, agreed, terms.clone(), Some(*until))
}

fn hold_points(
    draft: &mut Draft,
    bill: &Bill,
    args: &Authorise,
    agreed: Agreed,
    terms: OfferedShare,
    firm_until: Option<Time>,
) -> Result<ShareTerms, Stop> {
    let payer = terms.payer().clone();
    let OfferedShare { unit, amount, points, obligation, issuer, keeper, price, tax, firm, pledge: held } =
        terms;
    if points > agreed.points {
        return Err(Refused::about(Refusal::ConsentExceeded, format!("{points} {unit} are needed")).into());
    }
    if let Some(id) = agreed.open {
        draw(draft, bill.brand, id, points)?;
    }
    let (shop, currency, deadline) = (&bill.till.participant, args.currency, bill.deadline);
    let until = (!args.capture).then_some(deadline);
    let spend = Spend { unit, points, issuer: &issuer, currency, owed: obligation, until };
    let backed = match firm_until.zip(held) {
        Some((until, held)) => end_pledge(draft, &spend, held, until)?,
        None => pledge(draft, &spend)?,
    };
    let kept = match &backed {
        Some((holder, amount)) => keep_pledge(draft, &spend, holder, *amount)?,
        None => None,
    };
    // What is captured in the same entry is reserved until then, so that no other share takes the same headroom.
    let Reserved { any: reserved, paired } = match firm_until.filter(|_| firm) {
        // Headroom was held for it, so it is not asked for again.
        Some(until) => {
            end_firm(draft, &payer, shop, currency, obligation, until)?;
            reserve(draft, &payer, Some(shop), currency, deadline, obligation)?
        }
        // The issuer itself, to who holds its reserve: the reserve pays, and what it lacks was asked for.
        None if backed.is_some() && payer == issuer => Reserved::default(),
        None => voluntary(draft, &payer, shop, currency, obligation, Some(deadline))?,
    };
    draft.hold(agreed.account, bill.id, bill.deadline, points)?;
    let share = Record::Share(Share { account: agreed.account, taken: vec![] });
    draft.put(PartKey::Holder(agreed.account), Name::Share(bill.id, unit), Some(share))?;
    let (consent, charged, won, restored) = (agreed.consent, Money::ZERO, Money::ZERO, Money::ZERO);
    Ok(ShareTerms {
        unit,
        consent,
        amount,
        points,
        obligation,
        issuer,
        keeper,
        price,
        tax,
        reserved,
        paired,
        pledge: kept,
        charged,
        disputes: vec![],
        won,
        restored,
    })
}

fn owed(
    issuer: &ParticipantId,
    shop: &ParticipantId,
    amount: Money,
    settle: Rate,
    rate: Rate,
) -> Result<Money, Stop> {
    if issuer == shop {
        return Ok(Money::ZERO);
    }
    Ok(amount.reprice_floor(settle, rate).ok_or(Refusal::AmountTooLarge)?)
}
