//! Authorise: points of one or several units are held for a bill, each under its holder's consent.

use super::capture::{Step, step};
use super::limits::{Way, draw_held, draw_till};
use super::till;
use crate::book::{
    Draft, Name, PartKey, Payment, Principal, Record, Share, ShareTerms, Stop, TillTerms, Used,
};
use crate::network::{Asked, signer};
use crate::prices::{accept, price_now};
use crate::sign::{PaymentConsent, Purpose, Sale};
use crate::types::{
    BrandId, Currency, Fingerprint, Ident, Kid, Money, ParticipantId, PaymentId, Points, Refusal, Refused,
    Time,
};
use serde::{Deserialize, Serialize};

/// How far ahead a consent's `exp` may lie when it is used, in seconds.
const CONSENT_LIFE: u64 = 300;
/// How long points may be held, in seconds: 30 days.
const LONGEST_HOLD: u64 = 30 * 86_400;
/// Most units in one payment.
const MOST_SHARES: usize = 16;

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
}

/// A consent whose signature verified.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The key that signed it.
    pub kid: Kid,
    /// Of its signing input.
    pub fingerprint: Fingerprint,
    /// What the holder agrees to.
    pub claims: PaymentConsent,
}

/// Where the bill is: the shop's side of every share.
struct Shop<'a> {
    brand: &'a BrandId,
    till: &'a TillTerms,
    id: PaymentId,
    deadline: Time,
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
    let bill = Sale { amount: args.amount, currency: args.currency };
    draw_till(draft, asked.kid, &brand, terms, Way::Take, &bill)?;
    let shares = consents.iter().map(|consent| (consent.claims.account, consent.claims.amount));
    draw_held(draft, &brand, &key, &bill, shares)?;
    let deadline = Time::from_seconds(args.deadline).ok_or(Refusal::AmountTooLarge)?;
    let shop = Shop { brand: &brand, till: terms, id: PaymentId { seq: draft.seq, part: 0 }, deadline };
    let mut shares = Vec::with_capacity(consents.len());
    for consent in consents {
        let share = hold_share(draft, asked, &shop, args, consent)?;
        if shares.iter().any(|have: &ShareTerms| have.unit == share.unit) {
            return Err(
                Refused::about(Refusal::SharesMismatch, format!("{} stands twice", share.unit)).into()
            );
        }
        shares.push(share);
    }
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
        captured: Money::ZERO,
        refunded: Money::ZERO,
        deadline,
        closed: false,
    };
    if args.capture {
        step(draft, shop.id, &mut payment, Step::Capture { amount: args.amount, last: true })?;
    }
    let id = shop.id;
    draft.put(PartKey::Brand(brand), Name::Payment(id), Some(Record::Payment(payment)))?;
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
    if consents.is_empty() {
        return Err(Refused::about(Refusal::EvidenceMissing, "a consent for each unit").into());
    }
    let sum = consents.iter().try_fold(Money::ZERO, |sum, consent| sum.plus(consent.claims.amount));
    if sum != Some(args.amount) || consents.len() > MOST_SHARES {
        return Err(Refused::about(Refusal::SharesMismatch, format!("the bill is {}", args.amount)).into());
    }
    Ok(())
}

/// The consent is by the account's own key, for this bill, at this till, now, and was not used before.
fn check_consent(
    draft: &mut Draft,
    asked: &Asked,
    shop: &Shop,
    args: &Authorise,
    consent: &Consent,
) -> Result<(), Stop> {
    let claims = &consent.claims;
    let name = Name::UsedConsent(claims.account, claims.jti.clone());
    if draft.get(&name)?.is_some() {
        return Err(Refused::about(Refusal::ConsentUsed, &claims.jti).into());
    }
    let key = signer(draft, consent.kid, &[Purpose::Account])?;
    if key.owner != Principal::Account(claims.account) {
        return Err(Refused::about(Refusal::KeyOwner, consent.kid).into());
    }
    let mismatch = |what: &str| Err(Refused::about(Refusal::ConsentMismatch, what).into());
    if claims.payee != *shop.brand {
        return mismatch("payee");
    }
    if asked.cid.as_ref() != Some(&claims.payment) {
        return mismatch("payment");
    }
    if claims.till.as_ref().is_some_and(|till| *till != shop.till.till) {
        return mismatch("till");
    }
    if claims.currency != args.currency {
        return mismatch("currency");
    }
    if claims.deadline < args.deadline {
        return mismatch("deadline");
    }
    let now = draft.at.seconds();
    if claims.exp <= now || claims.exp > now.saturating_add(CONSENT_LIFE) {
        return Err(Refused::about(Refusal::ConsentExpired, &claims.jti).into());
    }
    let used = Record::Used(Used(draft.seq, 0, consent.fingerprint));
    draft.put(PartKey::Holder(claims.account), name, Some(used))
}

/// Checks one consent and holds its points: P = ceil(X / rate) at the home price in the issuer's own
/// shops and at the till price elsewhere; O = floor(X · settle / rate).
fn hold_share(
    draft: &mut Draft,
    asked: &Asked,
    shop: &Shop,
    args: &Authorise,
    consent: &Consent,
) -> Result<ShareTerms, Stop> {
    check_consent(draft, asked, shop, args, consent)?;
    let claims = &consent.claims;
    let account = draft.account(claims.account)?;
    let code = account.head.unit;
    let unit = draft.unit(code)?;
    let issuer = draft.brand(&unit.brand)?;
    if issuer.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &unit.brand).into());
    }
    if unit.frozen {
        return Err(Refused::about(Refusal::UnitFrozen, code).into());
    }
    if account.head.frozen {
        return Err(Refused::about(Refusal::AccountFrozen, claims.account).into());
    }
    let at_home = unit.brand == *shop.brand;
    let price = price_now(draft, code, args.currency)?;
    if !at_home {
        let share = Sale { amount: claims.amount, currency: args.currency };
        accept(draft, shop.brand, code, unit.offset, &share)?;
    }
    let rate = if at_home { price.home } else { price.till };
    let points = rate.points_ceil(claims.amount).ok_or(Refusal::AmountTooLarge)?;
    if points.is_zero() || unit.min_spend.is_some_and(|least| points < least) {
        let least = unit.min_spend.unwrap_or(Points::new(1).unwrap_or_default());
        return Err(Refused::about(Refusal::AmountTooSmall, format!("at least {least} {code}")).into());
    }
    if points > claims.points {
        return Err(Refused::about(Refusal::ConsentExceeded, format!("{points} {code} are needed")).into());
    }
    let obligation = owed(&issuer.participant, &shop.till.participant, claims.amount, price.settle, rate)?;
    draft.hold(claims.account, shop.id, shop.deadline, points)?;
    let share = Record::Share(Share { account: claims.account, taken: vec![] });
    draft.put(PartKey::Holder(claims.account), Name::Share(shop.id, code), Some(share))?;
    Ok(ShareTerms {
        unit: code,
        consent: claims.jti.clone(),
        amount: claims.amount,
        points,
        obligation,
        issuer: issuer.participant.clone(),
        price: price.version,
    })
}

fn owed(
    issuer: &ParticipantId,
    shop: &ParticipantId,
    amount: Money,
    settle: crate::types::Rate,
    rate: crate::types::Rate,
) -> Result<Money, Stop> {
    if issuer == shop {
        return Ok(Money::ZERO);
    }
    Ok(amount.reprice_floor(settle, rate).ok_or(Refusal::AmountTooLarge)?)
}
